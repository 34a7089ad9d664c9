//! Twin of `checks/helm_test.rs`. What the hooks are called stands in the release: the whole namespace is struck.

use super::pods::DOOMS;
use super::{Cases, Deed, Object, Whose};
use crate::checks::HelmTest;
use crate::rehearsal::Fault;

pub(super) fn cases(claim: &HelmTest, own: Option<&str>) -> Cases {
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
    match claim.release.as_deref().or(own) {
        // Where helm keeps the first revision, which is the only one that was installed.
        Some(release) => {
            let kept = Object::new("Secret", None, &format!("sh.helm.release.v1.{release}.v1"));
            cases.unclear("release-gone", Deed::Delete(kept), ["release: not found"]);
            let lose = |only: &[String]| Deed::Unhook { release: release.to_owned(), only: only.to_vec() };
            cases.broken("without-tests", lose(&[]), ["it has none, so nothing would be tested"]);
            match claim.only.as_slice() {
                [] => cases.unclaimed("without-the-tests-named", "it names none (`only`)"),
                only => cases.broken("without-the-tests-named", lose(only), ["the release has"]),
            }
        }
        None => cases.unclaimed("release-gone", "it names no release, and its component is none"),
    }
    cases
}
