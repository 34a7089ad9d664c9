//! Twin of `checks/temporal.rs`.

use super::{Cases, Deed, Expected, reach};
use crate::checks::{Access, Temporal};

pub(super) fn cases(claim: &Temporal, in_a_row: u32) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let namespace = &claim.namespace;
    // The names of states and codes are Temporal's and gRPC's own.
    for (name, words) in [
        ("not-serving", "says of its own health: NOT_SERVING"),
        ("unavailable", "says of its own health: UNAVAILABLE"),
        ("overloaded", "answered GetSystemInfo with RESOURCE_EXHAUSTED"),
        ("any-namespace", "a namespace that nobody has that it is REGISTERED"),
        ("status-503", "answered Check with HTTP 503"),
        ("not-grpc", "answered Check with HTTP 200, which is no gRPC"),
        ("hangs-once-well", "answered Check and does not answer GetSystemInfo"),
        ("speaks-http-1", "gave no valid answer"),
        ("closes-mid-reply", "gave no valid answer"),
    ] {
        cases.broken(name, at(name), [words]);
    }
    cases.broken("no-namespace", at("no-namespace"), ["has no namespace", namespace, "NOT_FOUND"]);
    cases.broken("namespace-deprecated", at("namespace-deprecated"), [namespace.as_str(), "is DEPRECATED"]);
    cases.broken("namespace-deleted", at("namespace-deleted"), [namespace.as_str(), "is DELETED"]);
    cases.broken("hangs", at("hangs"), [format!("temporal {} does not answer", claim.at)]);
    let version = "it claims no `version`";
    cases.broken_if(claim.version.is_some(), "wrong-version", at("wrong-version"), "is version 0.28.0", version);
    of_workflows(claim, &mut cases);
    cases.0.extend(reach::server(&claim.at, Access::Allowed, None, in_a_row, "gave no valid answer").0);
    cases
}

/// What only a workflow meets.
fn of_workflows(claim: &Temporal, cases: &mut Cases) {
    let writes = "it claims no writes (`writes`)";
    for (name, words) in [
        ("refuses-workflows", "refused to start a workflow in namespace"),
        ("forgets-workflows", "no task of it came to a worker; what it says of the workflow: NOT_FOUND"),
        ("schedules-nothing", "no task of it came to a worker; what it says of the workflow: RUNNING"),
        ("refuses-workers", "refused a worker its task: PERMISSION_DENIED"),
        ("other-tasks", "another task than that of the workflow it took"),
        ("refuses-results", "refused what came of it: NOT_FOUND"),
        ("completes-nothing", "says of the workflow then: RUNNING"),
        ("fails-workflows", "says of the workflow then: FAILED"),
        ("loses-results", "had in place of its result: none"),
        ("other-results", "had in place of its result: another one"),
        ("keeps-no-history", "had in place of its result: NOT_FOUND"),
    ] {
        let deed = Deed::Server { at: claim.at.clone(), fault: name };
        cases.broken_if(claim.writes, name, deed, words, writes);
    }
    let name = "refuses-deletes";
    let deed = Deed::Server { at: claim.at.clone(), fault: name };
    match claim.writes {
        true => cases.add(name, deed, Expected::Warned("something of ours was left behind: workflow")),
        false => cases.unclaimed(name, writes),
    }
}
