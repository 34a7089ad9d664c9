//! ReplicaSets: as many pods as are asked for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::offspring::{
    active, cheapest_first, conditions, create_or_refuse, delete_pod, observed, pods_of, ready, replicas, seed,
    set_condition,
};
use super::scene::{Scene, list, terse};

/// Who says so.
const SOURCE: &str = "replicaset-controller";

/// Adds and removes pods, and counts them.
pub(super) fn live(scene: &mut Scene<'_>) {
    let pods: Vec<Arc<Value>> = pods_of(scene).into_iter().filter(|pod| active(pod)).collect();
    let mut failed = None;
    if !scene.leaving() {
        failed = settle(scene, &pods);
    }
    let wanted = replicas(scene.object);
    let ready_pods = pods.iter().filter(|pod| ready(pod)).count();
    let mut new = conditions(scene.object);
    match failed {
        Some((reason, message)) => {
            let stamp = scene.stamp();
            let failure = json!({"type": "ReplicaFailure", "status": "True", "reason": reason, "message": message});
            set_condition(&mut new, failure, &stamp);
        }
        None if i64::try_from(pods.len()) == Ok(wanted) || list(scene.object, "/status/conditions").is_empty() => {
            new.clear();
        }
        None => {}
    }
    let status = json!({
        "availableReplicas": ready_pods,
        "conditions": new,
        "fullyLabeledReplicas": pods.len(),
        "observedGeneration": observed(scene),
        "readyReplicas": ready_pods,
        "replicas": pods.len(),
    });
    scene.status(terse(status, &["replicas"]));
}

/// Makes the pods as many as they should be; what went wrong, as reason and message.
fn settle(scene: &mut Scene<'_>, pods: &[Arc<Value>]) -> Option<(&'static str, String)> {
    let wanted = usize::try_from(replicas(scene.object)).unwrap_or_default();
    if pods.len() > wanted {
        let mut pods = pods.to_vec();
        cheapest_first(&mut pods);
        for pod in &pods[..pods.len() - wanted] {
            delete_pod(scene, SOURCE, pod);
        }
        return None;
    }
    let template = scene.object.pointer("/spec/template").cloned().unwrap_or_default();
    let stem = format!("{}-", scene.key.name);
    for _ in pods.len()..wanted {
        let pod = seed(scene, &template, &stem);
        if let Err(why) = create_or_refuse(scene, SOURCE, pod) {
            return why;
        }
    }
    None
}
