//! Twin of `checks/exec.rs`.

use super::{Cases, Deed, Whose};
use crate::checks::{Exec, Text};
use crate::rehearsal::Fault;

pub(super) fn cases(claim: &Exec) -> Cases {
    let mut cases = Cases::default();
    let strike = |fault| Deed::Life { whose: Whose::within(None, ""), fault };
    let other = "this very exit code is claimed";
    cases.broken_if(claim.exit != 1, Fault::ExecFails.name(), strike(Fault::ExecFails), "exited with 1", other);
    let said = matches!(claim.prints, Some(Text::Contains(_) | Text::Equals(_)));
    cases.broken_if(said, Fault::Mute.name(), strike(Fault::Mute), "printed", "it claims no output (`prints`)");
    cases
}
