//! Twin of `checks/operator.rs`.

use super::{Cases, Deed, Object, workload};
use crate::checks::Operator;

pub(super) fn cases(claim: &Operator) -> Cases {
    let mut cases = Cases::default();
    for deployment in claim.deployments.iter().take(1) {
        let object = Object::new("Deployment", None, deployment);
        cases.0.extend(workload::rollouts(&object).0);
        cases.broken("gone", Deed::Delete(object.clone()), [deployment]);
        cases.broken("scaled-to-zero", Deed::scale_to_zero(object), ["is scaled to 0"]);
    }
    for name in &claim.crds {
        let object = Object::new("CustomResourceDefinition", None, name);
        cases.broken(format!("without-{name}"), Deed::Delete(object), [name.as_str(), "does not exist"]);
    }
    if claim.accepts.is_some() || claim.denies.is_some() {
        cases.unclaimed("webhook", "a rehearsal calls no webhooks");
    }
    cases
}
