//! Twin of `checks/tcp.rs`.

use super::{Cases, Deed, reach};
use crate::checks::{Access, Tcp};

pub(super) fn cases(claim: &Tcp) -> Cases {
    let mut cases = reach::cases(&claim.at, claim.expect, None);
    let talks = claim.answers.is_some() && claim.expect == Access::Allowed;
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let silent = format!("tcp {} does not answer", claim.at);
    cases.broken_if(talks, "hangs", at("hangs"), &silent, "it claims no answer (`answers`)");
    cases
}
