//! Twin of `checks/operator.rs`.

use super::{Cases, Deed, Object, workload};
use crate::checks::Operator;

pub(super) fn cases(claim: &Operator) -> Cases {
    let mut cases = Cases::default();
    for deployment in &claim.deployments {
        let object = Object::new("Deployment", None, deployment);
        let mut own = workload::rollouts(&object);
        own.broken("gone", Deed::Delete(object.clone()), [format!("{deployment} is not there")]);
        own.broken("scaled-to-zero", Deed::scale_to_zero(object), [deployment.as_str(), "is scaled to 0"]);
        for case in &mut own.0 {
            case.name = format!("{deployment}: {}", case.name);
        }
        cases.0.append(&mut own.0);
    }
    for name in &claim.crds {
        let object = Object::new("CustomResourceDefinition", None, name);
        cases.broken(format!("without-{name}"), Deed::Delete(object), [name.as_str(), "does not exist"]);
        let unserved = [name.as_str(), "does not answer a list"];
        cases.broken(format!("{name}-not-served"), Deed::Unserve(name.clone()), unserved);
    }
    if claim.accepts.is_some() || claim.denies.is_some() {
        cases.unclaimed("webhook", "a rehearsal calls no webhooks");
    }
    cases
}
