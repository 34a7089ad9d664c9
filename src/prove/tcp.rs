//! Twin of `checks/tcp.rs`.

use super::{Cases, Deed, other_text, reach};
use crate::checks::{Access, Tcp};

pub(super) fn cases(claim: &Tcp, in_a_row: u32) -> Cases {
    let mut cases = reach::cases(&claim.at, claim.expect, None);
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    if claim.expect == Access::Denied {
        cases.broken("opens", at("opens"), ["accepts connections"]);
        return cases;
    }
    cases.0.extend(reach::door(&claim.at, claim.expect, in_a_row, claim.answers.as_ref().map(|_| "answered")).0);
    other_text(
        &mut cases,
        "other-answer",
        claim.answers.as_ref(),
        &at("babbles"),
        "answered",
        "it claims no answer (`answers`)",
    );
    let talks = claim.answers.is_some();
    let silent = format!("tcp {} does not answer", claim.at);
    cases.broken_if(talks, "hangs", at("hangs"), &silent, "it claims no answer (`answers`)");
    cases
}
