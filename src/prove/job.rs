//! Twin of `checks/job.rs`. The Job gets its name when it is made: whatever runs beside it in the namespace is struck too.

use super::pods::DOOMS;
use super::{Cases, Deed, Whose, other_text, wants_words};
use crate::checks::Job;
use crate::rehearsal::Fault;

pub(super) fn cases(claim: &Job) -> Cases {
    let mut cases = Cases::default();
    let strike = |fault| Deed::Life { whose: Whose::within(None, ""), fault };
    for (fault, words) in DOOMS {
        cases.broken(fault.name(), strike(fault), [words]);
    }
    cases.broken(Fault::JobFails.name(), strike(Fault::JobFails), ["exited with code 1"]);
    cases.broken(Fault::JobHangs.name(), strike(Fault::JobHangs), ["has not ended"]);
    cases.broken(Fault::SlowStart.name(), strike(Fault::SlowStart), ["it was not launched within its `launch`"]);
    let words = strike(Fault::OtherWords);
    let silent = "it claims nothing of its log (`log`)";
    other_text(&mut cases, Fault::OtherWords.name(), claim.log.as_ref(), &words, "its log ends", silent);
    let said = wants_words(claim.log.as_ref());
    cases.broken_if(
        said,
        Fault::Mute.name(),
        strike(Fault::Mute),
        "its log ends nothing",
        "it claims no line of its log (`log`)",
    );
    cases
}
