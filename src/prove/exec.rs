//! Twin of `checks/exec.rs`. Which pods carry the labels is known to the cluster alone: the whole namespace is struck.

use super::{Cases, Deed, Object, Whose, other_text, wants_words};
use crate::checks::Exec;
use crate::rehearsal::Fault;

pub(super) fn cases(claim: &Exec) -> Cases {
    let mut cases = Cases::default();
    let strike = |fault| Deed::Life { whose: Whose::within(None, ""), fault };
    let other = "this very exit code is claimed";
    cases.broken_if(claim.exit != 1, Fault::ExecFails.name(), strike(Fault::ExecFails), "exited with 1:", other);
    let silent = "it claims no output (`prints`)";
    let said = wants_words(claim.prints.as_ref());
    cases.broken_if(said, Fault::Mute.name(), strike(Fault::Mute), "printed nothing", silent);
    let words = strike(Fault::OtherWords);
    other_text(&mut cases, Fault::OtherWords.name(), claim.prints.as_ref(), &words, "printed \"", silent);
    cases.broken(Fault::ExecHangs.name(), strike(Fault::ExecHangs), ["has not ended"]);
    cases.broken(Fault::ExecMissing.name(), strike(Fault::ExecMissing), ["executable file not found"]);
    let pods = Deed::Delete(Object::new("Pod", None, "*"));
    cases.broken("no-pod", vec![strike(Fault::Unschedulable), pods], ["no pod with", "is running"]);
    cases
}
