//! Twin of `checks/workload.rs`.

use serde_json::{Value, json};

use super::pods::DOOMS;
use super::{Cases, Deed, Object, Whose, component};
use crate::checks::{Absence, Workload};
use crate::rehearsal::{Fault, NODE};

pub(super) fn cases(claim: &Workload) -> Cases {
    let object = Object::new(&claim.kind, claim.namespace.as_deref(), &claim.name);
    match claim.expect {
        Absence::Absent | Absence::AbsentWithItsKind => appears(&object),
        Absence::Present if claim.kind == "Node" => node(claim),
        Absence::Present if claim.replicas == Some(0) && object.makes_pods() => {
            let mut cases = Cases::default();
            cases.unclaimed("doomed", "it claims no replica");
            cases.broken("gone", Deed::Delete(object.clone()), [format!("{} is not there", object.name)]);
            cases
        }
        Absence::Present => present(&object, claim.replicas),
    }
}

/// What was to be gone is there.
fn appears(object: &Object) -> Cases {
    let mut cases = Cases::default();
    let name = if object.name == "*" { "one-of-them" } else { &object.name };
    match least(&object.kind) {
        Some(mut made) => {
            made["kind"] = json!(object.kind);
            made["metadata"] = json!({ "name": name, "namespace": object.namespace });
            cases.broken("appears", Deed::Create(made), [name, "is still there"]);
        }
        None => cases.unclaimed("appears", "what one of this kind consists of is not known here"),
    }
    cases
}

/// The least that an object of a kind consists of, beside its name.
fn least(kind: &str) -> Option<Value> {
    let labels = json!({ "app": "one-of-them" });
    let pod = json!({ "containers": [{ "name": "main", "image": "one-of-them:1" }], "restartPolicy": "Always" });
    let template = json!({ "metadata": { "labels": labels }, "spec": pod });
    let once = json!({ "spec": { "containers": pod["containers"], "restartPolicy": "Never" } });
    let selected = json!({ "selector": { "matchLabels": labels }, "template": template });
    Some(match kind {
        "ConfigMap" | "Secret" | "ServiceAccount" | "Namespace" => json!({ "apiVersion": "v1" }),
        "Service" => json!({ "apiVersion": "v1", "spec": { "ports": [{ "port": 80 }] } }),
        "Pod" => json!({ "apiVersion": "v1", "spec": pod }),
        "Deployment" | "StatefulSet" | "DaemonSet" => json!({ "apiVersion": "apps/v1", "spec": selected }),
        "Job" => json!({ "apiVersion": "batch/v1", "spec": { "template": once } }),
        _ => return None,
    })
}

fn node(claim: &Workload) -> Cases {
    let mut cases = Cases::default();
    let name = if claim.name == "*" { NODE } else { &claim.name };
    let node = Object::new("Node", None, name);
    let gone = json!({ "status": { "conditions": [{
        "type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "container runtime is down",
    }] } });
    cases.broken("not-ready", Deed::Status { object: node.clone(), patch: gone }, [name, "container runtime is down"]);
    let words = if claim.name == "*" { "there is no Node" } else { "is not there" };
    cases.broken("gone", Deed::Delete(node), [words]);
    cases
}

/// What a workload can come to, and that it is not there.
pub(super) fn present(object: &Object, replicas: Option<u32>) -> Cases {
    let mut cases = rollouts(object);
    let name = object.name.as_str();
    match (object.kind.as_str(), name) {
        (_, "*") => cases.unclaimed("gone", "of all that are there none is missing"),
        ("ConfigMap", "kube-root-ca.crt") | ("ServiceAccount", "default") => {
            cases.unclaimed("gone", "the cluster makes it again");
        }
        _ => cases.broken("gone", Deed::Delete(object.clone()), [format!("{name} is not there")]),
    }
    match object.kind.as_str() {
        "Deployment" | "StatefulSet" => {
            let deed = Deed::scale_to_zero(object.clone());
            match replicas {
                _ if name == "*" => {
                    cases.unclaimed("scaled-to-zero", "of all that are there some may be meant to run nothing");
                }
                None => cases.broken("scaled-to-zero", deed, ["nothing of it runs"]),
                Some(_) => cases.broken("scaled-to-zero", deed, ["0 ready replicas"]),
            }
            if let Some(claimed @ 2..) = replicas {
                let short =
                    Deed::Merge { object: object.clone(), patch: json!({ "spec": { "replicas": claimed - 1 } }) };
                let words = format!("{} ready replica", claimed - 1);
                cases.broken("one-replica-short", short, [words.as_str(), "and all that it wants"]);
            }
        }
        "DaemonSet" if replicas.is_some() => {
            cases.unclaimed("scaled-to-zero", "it is the nodes that say how many there are");
        }
        "DaemonSet" => {}
        "Job" | "PersistentVolumeClaim" if name != "*" => {
            let own = component::settling(object).0.into_iter().filter(|case| case.name != "gone");
            cases.0.extend(own);
        }
        _ => cases.unclaimed("doomed", "only of Deployments, StatefulSets and DaemonSets it is known what dooms them"),
    }
    cases
}

/// What can become of the pods of a workload when it makes them anew.
pub(super) fn rollouts(object: &Object) -> Cases {
    let mut cases = Cases::default();
    // Of all of a kind whatever is there is struck.
    let name = if object.name == "*" { "" } else { &object.name };
    let whose = || Whose::within(object.namespace.as_deref(), name);
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
