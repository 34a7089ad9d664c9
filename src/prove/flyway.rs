//! Twin of `checks/flyway.rs`.

use super::pods::DOOMS;
use super::{Cases, Deed, Object, Whose, postgres, reach, tls};
use crate::checks::{Access, Flyway};
use crate::rehearsal::Fault;

pub(super) fn cases(claim: &Flyway, in_a_row: u32) -> Cases {
    let mut cases = history(claim);
    cases.0.extend(server(claim).0);
    cases.0.extend(second_run(claim).0);
    cases.0.extend(tls::cases(&claim.at, claim.tls.as_ref(), Access::Allowed).0);
    cases.0.extend(reach::cases(&claim.at, Access::Allowed, claim.password.as_ref()).0);
    // Before a second run one look is repeated until it holds, so that none of them needs to hold twice.
    let in_a_row = if claim.again.is_some() { 1 } else { in_a_row };
    cases.0.extend(reach::door(&claim.at, Access::Allowed, in_a_row, Some("broke off")).0);
    cases
}

/// What can be wrong with a history.
fn history(claim: &Flyway) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    cases.broken("history-gone", at("history-gone"), ["no migration has run", &claim.table]);
    cases.broken("history-lacks", at("history-lacks"), ["not applied: version"]);
    cases.broken("history-failed", at("history-failed"), ["has failed"]);
    cases.broken("history-drifted", at("history-drifted"), ["has drifted: it was applied with checksum"]);
    cases.broken("history-twice", at("history-twice"), ["is there 2 times"]);
    cases.broken("history-ahead", at("history-ahead"), ["is not among the files"]);
    cases.broken("history-baselined", at("history-baselined"), ["not applied: version", "passes over"]);
    cases.broken("history-renamed", at("history-renamed"), ["was applied as \"another name\""]);
    cases.broken("history-denied", at("history-denied"), ["was refused to read", "42501"]);
    cases
}

/// What can be wrong with the server that it is in.
fn server(claim: &Flyway) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    match claim.password {
        Some(_) => cases.broken("rejects-login", at("rejects-login"), ["was refused: 28P01"]),
        None => cases.unclaimed("rejects-login", "it sends no password"),
    }
    cases.unclaimed("no-password", "that a password is asked for is another claim (`postgres`)");
    postgres::unanswered(&claim.at, &mut cases);
    cases
}

/// What can come of running the migrations again.
fn second_run(claim: &Flyway) -> Cases {
    let mut cases = Cases::default();
    let Some(name) = &claim.again else {
        for name in ["history-grows", Fault::JobFails.name(), Fault::JobHangs.name(), "job-gone"] {
            cases.unclaimed(name, "it claims no second run (`again`)");
        }
        return cases;
    };
    let grows = Deed::Server { at: claim.at.clone(), fault: "history-grows" };
    cases.broken("history-grows", grows, ["run again, changed", "has come"]);
    let strike = |fault| Deed::Life { whose: Whose::within(None, name), fault };
    for (fault, words) in DOOMS {
        cases.broken(fault.name(), strike(fault), [words]);
    }
    cases.broken(Fault::JobFails.name(), strike(Fault::JobFails), ["exited with code 1"]);
    cases.broken(Fault::JobHangs.name(), strike(Fault::JobHangs), ["has not ended"]);
    cases.unclear("job-gone", Deed::Delete(Object::new("Job", None, name)), ["there is no Job", name]);
    cases.unclaimed(Fault::SlowStart.name(), "how soon a Job is launched is another claim (`job`)");
    cases
}
