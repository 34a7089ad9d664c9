//! Twin of `checks/operator.rs`.

use serde_json::json;

use super::{Cases, Deed, Object, workload};
use crate::checks::Operator;
use crate::rehearsal::DENIES;

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
    admission(&mut cases, claim);
    cases
}

/// What its admission can come to. Which webhooks and pods are its own is known to the cluster alone: all are struck.
fn admission(cases: &mut Cases, claim: &Operator) {
    let all = |kind: &str| Object::new(kind, None, "*");
    let (accepts, denies) = (claim.accepts.is_some(), claim.denies.is_some());
    let silent = ["admission does not answer", "failed calling webhook"];
    let unasked = "it claims nothing of its admission (`accepts`, `denies`)";
    if accepts || denies {
        cases.broken("webhook-unreachable", Deed::Delete(all("Service")), silent);
    } else {
        cases.unclaimed("webhook-unreachable", unasked);
    }
    let words = "nothing is let in";
    let denied = json!([{ "where": {}, "says": words }]).to_string();
    let patch = json!({ "metadata": { "annotations": { DENIES: denied } } });
    let deny = Deed::Merge { object: all("Pod"), patch };
    cases.broken_if(accepts, "webhook-denies-all", deny, words, "it claims no object that is accepted (`accepts`)");
    let lost = Deed::Delete(all("ValidatingWebhookConfiguration"));
    cases.broken_if(denies, "webhook-gone", lost, "it was accepted", "it claims no object that is denied (`denies`)");
}
