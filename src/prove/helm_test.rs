//! Twin of `checks/helm_test.rs`. What the hooks are called stands in the release: the whole namespace is struck.

use super::pods::DOOMS;
use super::{Cases, Deed, Whose};
use crate::rehearsal::Fault;

pub(super) fn cases() -> Cases {
    let mut cases = Cases::default();
    // A quota is met by who makes pods for others, and a hook may be a pod of its own.
    for (fault, words) in DOOMS.into_iter().filter(|(fault, _)| *fault != Fault::QuotaExceeded) {
        cases.broken(fault.name(), Deed::Life { whose: Whose::within(None, ""), fault }, [words]);
    }
    cases.broken(
        "test-hangs",
        Deed::Life { whose: Whose::within(None, ""), fault: Fault::JobHangs },
        ["has not ended"],
    );
    cases
}
