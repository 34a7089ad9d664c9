//! Twin of `checks/workload.rs`.

use serde_json::json;

use super::pods::DOOMS;
use super::{Cases, Deed, Object, Whose};
use crate::checks::{Absence, Workload};
use crate::rehearsal::{Fault, NODE};

/// Kinds that are complete with nothing but a name.
const BARE: [&str; 3] = ["ConfigMap", "Secret", "ServiceAccount"];

pub(super) fn cases(claim: &Workload) -> Cases {
    let object = Object::new(&claim.kind, claim.namespace.as_deref(), &claim.name);
    match claim.expect {
        Absence::Absent | Absence::AbsentWithItsKind => appears(&object),
        Absence::Present if claim.kind == "Node" => node(claim),
        Absence::Present if claim.name == "*" => {
            let mut cases = Cases::default();
            cases.unclaimed("doomed", "which one of all is struck is not known before");
            cases
        }
        Absence::Present => present(&object, claim.replicas),
    }
}

/// What was to be gone is there.
fn appears(object: &Object) -> Cases {
    let mut cases = Cases::default();
    if BARE.contains(&object.kind.as_str()) && object.name != "*" {
        let made = json!({
            "apiVersion": "v1", "kind": object.kind, "metadata": { "name": object.name, "namespace": object.namespace },
        });
        cases.broken("appears", Deed::Create(made), [object.name.as_str(), "is still there"]);
    } else {
        cases.unclaimed("appears", "one of this kind cannot be made from its name alone");
    }
    cases
}

fn node(claim: &Workload) -> Cases {
    let mut cases = Cases::default();
    let name = if claim.name == "*" { NODE } else { &claim.name };
    let node = Object::new("Node", None, name);
    let gone = json!({ "status": { "conditions": [{
        "type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "container runtime is down",
    }] } });
    cases.broken("not-ready", Deed::Status { object: node.clone(), patch: gone }, [name, "container runtime is down"]);
    cases.broken("gone", Deed::Delete(node), ["Node"]);
    cases
}

/// What a workload can come to, and that it is not there.
pub(super) fn present(object: &Object, replicas: Option<u32>) -> Cases {
    let mut cases = rollouts(object);
    let name = object.name.as_str();
    match (object.kind.as_str(), name) {
        ("ConfigMap", "kube-root-ca.crt") | ("ServiceAccount", "default") => {
            cases.unclaimed("gone", "the cluster makes it again");
        }
        _ => cases.broken("gone", Deed::Delete(object.clone()), [format!("{name} is not there")]),
    }
    match object.kind.as_str() {
        "Deployment" | "StatefulSet" => {
            let deed = Deed::scale_to_zero(object.clone());
            match replicas {
                None => cases.broken("scaled-to-zero", deed, ["nothing of it runs"]),
                Some(0) => cases.unclaimed("scaled-to-zero", "it claims no replica"),
                Some(_) => cases.broken("scaled-to-zero", deed, ["0 ready replicas"]),
            }
        }
        "DaemonSet" => {}
        _ => cases.unclaimed("doomed", "only of Deployments, StatefulSets and DaemonSets it is known what dooms them"),
    }
    cases
}

/// What can become of the pods of a workload when it makes them anew.
pub(super) fn rollouts(object: &Object) -> Cases {
    let mut cases = Cases::default();
    let whose = || Whose::within(object.namespace.as_deref(), &object.name);
    let strike = |fault| vec![Deed::Life { whose: whose(), fault }, Deed::Restart(object.clone())];
    if object.makes_pods() {
        for (fault, words) in DOOMS {
            cases.broken(fault.name(), strike(fault), [words]);
        }
        cases.broken(Fault::NeverReady.name(), strike(Fault::NeverReady), ["is running but not ready"]);
        cases.broken(Fault::StaleStatus.name(), strike(Fault::StaleStatus), ["newest specification"]);
    }
    if object.kind == "Deployment" {
        cases.broken(Fault::ProgressDeadline.name(), strike(Fault::ProgressDeadline), ["progress deadline"]);
    }
    cases
}
