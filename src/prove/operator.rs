//! Twin of `checks/operator.rs`.

use super::{Cases, Deed, Object, workload};
use crate::checks::Operator;

pub(super) fn cases(claim: &Operator) -> Cases {
    let mut cases = Cases::default();
    for deployment in claim.deployments.iter().take(1) {
        cases.0.extend(workload::present(&Object::new("Deployment", None, deployment), false).0);
        let scaled = serde_json::json!({ "spec": { "replicas": 0 } });
        let object = Object::new("Deployment", None, deployment);
        cases.broken("scaled-to-zero", Deed::Merge { object, patch: scaled }, ["is scaled to 0"]);
    }
    for name in &claim.crds {
        let object = Object::new("CustomResourceDefinition", None, name);
        cases.broken(format!("without-{name}"), Deed::Delete(object), [name.as_str(), "does not exist"]);
    }
    let webhook = "a rehearsal calls no webhooks";
    if claim.accepts.is_some() || claim.denies.is_some() {
        cases.unclaimed("webhook", webhook);
    }
    cases
}
