//! DaemonSets: one pod on each node that it may run on.

use std::sync::Arc;

use serde_json::{Value, json};

use super::offspring::{
    PODS, active, conditions, create_or_refuse, delete_pod, observed, pods_of, ready, revision, seed,
};
use super::scene::{Scene, generation, leaving, list, name, put, terse, text};

/// Who says so.
const SOURCE: &str = "daemonset-controller";
/// Taints that each of these pods tolerates, and their effects.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// Moves a DaemonSet on by one step.
pub(super) fn live(scene: &mut Scene<'_>) {
    if scene.leaving() {
        return;
    }
    let full = revision(scene);
    let hash = full.rsplit('-').next().unwrap_or_default().to_owned();
    let nodes: Vec<Arc<Value>> =
        scene.view.list("/nodes", None).into_iter().filter(|node| fits(scene.object, node)).collect();
    let pods = pods_of(scene);
    let stem = format!("{}-", scene.key.name);
    for node in &nodes {
        let on_it: Vec<&Arc<Value>> = pods.iter().filter(|pod| node_of(pod) == name(node)).collect();
        if on_it.is_empty() {
            let pod = pod(scene, &stem, &hash, name(node));
            if create_or_refuse(scene, SOURCE, pod).is_err() {
                break;
            }
        }
        for over in on_it.iter().filter(|pod| !active(pod) && !leaving(pod)) {
            scene.delete(scene.key.beside(PODS, name(over)), over);
        }
    }
    for pod in pods.iter().filter(|pod| !nodes.iter().any(|node| name(node) == node_of(pod)) && !leaving(pod)) {
        delete_pod(scene, SOURCE, pod);
    }
    let updated = |pod: &&Arc<Value>| text(pod, "/metadata/labels/controller-revision-hash") == hash;
    let rolling = text(scene.object, "/spec/updateStrategy/type") != "OnDelete";
    let all_well = pods.iter().all(|pod| active(pod) && ready(pod));
    let stale = pods.iter().find(|pod| !updated(pod) && !leaving(pod));
    if let Some(pod) = stale.filter(|pod| rolling && (all_well || !ready(pod))) {
        delete_pod(scene, SOURCE, pod);
    }
    let (count, good) = (pods.len(), pods.iter().filter(|pod| active(pod) && ready(pod)).count());
    let status = json!({
        "currentNumberScheduled": count,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": nodes.len(),
        "numberReady": good,
        "observedGeneration": observed(scene),
        "updatedNumberScheduled": pods.iter().filter(updated).count(),
        "numberAvailable": good,
        "numberUnavailable": nodes.len().saturating_sub(good),
        "conditions": conditions(scene.object),
    });
    let keep = ["currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"];
    scene.status(terse(status, &keep));
}

/// The node that a pod is for.
fn node_of(pod: &Value) -> &str {
    let terms = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    match text(pod, "/spec/nodeName") {
        "" => text(pod, &format!("{terms}/0/matchFields/0/values/0")),
        node => node,
    }
}

/// Whether a node has the labels that the template asks for, and no taint that keeps its pods away.
fn fits(set: &Value, node: &Value) -> bool {
    let labels = node.pointer("/metadata/labels");
    let wanted = set.pointer("/spec/template/spec/nodeSelector").and_then(Value::as_object);
    let selected = wanted
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.and_then(|has| has.get(key)) == Some(value)));
    let tolerated = |taint: &Value| {
        let own = list(set, "/spec/template/spec/tolerations").iter();
        text(taint, "/effect") == "PreferNoSchedule"
            || TOLERATED.iter().any(|(key, _)| *key == text(taint, "/key"))
            || own.into_iter().any(|one| {
                text(one, "/key") == text(taint, "/key")
                    || (text(one, "/key").is_empty() && text(one, "/operator") == "Exists")
            })
    };
    selected && list(node, "/spec/taints").iter().all(tolerated)
}

/// A pod for a node.
fn pod(scene: &mut Scene<'_>, stem: &str, hash: &str, node: &str) -> Value {
    let template = scene.object.pointer("/spec/template").cloned().unwrap_or_default();
    let mut pod = seed(scene, &template, stem);
    put(&mut pod, &["metadata", "labels", "controller-revision-hash"], json!(hash));
    let turn = generation(scene.object).to_string();
    put(&mut pod, &["metadata", "labels", "pod-template-generation"], json!(turn));
    let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    let terms = json!({"nodeSelectorTerms": [{"matchFields": [field]}]});
    let place = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"];
    put(&mut pod, &place, terms);
    let mut tolerations = list(&pod, "/spec/tolerations").to_vec();
    tolerations.extend(TOLERATED.map(|(key, effect)| json!({"key": key, "operator": "Exists", "effect": effect})));
    put(&mut pod, &["spec", "tolerations"], json!(tolerations));
    pod
}
