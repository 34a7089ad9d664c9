//! PodDisruptionBudgets, ResourceQuotas and HorizontalPodAutoscalers: they count, and change nothing.

use serde_json::{Map, Value, json};

use super::super::object::Key;
use super::super::quota;
use super::super::schema::Amount;
use super::offspring::{PODS, Rounding, active, conditions, observed, portion, ready, set_condition};
use super::scene::{Scene, list, number, terse, text};

/// Counts the pods of a budget.
pub(super) fn disruptions(scene: &mut Scene<'_>) {
    let budget = scene.object;
    let none = json!({});
    let labels = budget.pointer("/spec/selector/matchLabels").unwrap_or(&none);
    let pods = scene.view.labelled(PODS, &scene.key.namespace, labels);
    let count = |wanted: fn(&Value) -> bool| {
        i64::try_from(pods.iter().filter(|pod| active(pod) && wanted(pod)).count()).unwrap_or_default()
    };
    let (expected, healthy) = (count(|_| true), count(ready));
    let desired = match (budget.pointer("/spec/maxUnavailable"), budget.pointer("/spec/minAvailable")) {
        (Some(most), _) => (expected - portion(Some(most), expected, "0", Rounding::Up)).max(0),
        (None, least) => portion(least, expected, "1", Rounding::Up),
    };
    let allowed = if expected == 0 { 0 } else { (healthy - desired).max(0) };
    let (status, reason) = match allowed {
        0 => ("False", "InsufficientPods"),
        _ => ("True", "SufficientPods"),
    };
    let mut all = conditions(budget);
    let new = json!({
        "type": "DisruptionAllowed", "status": status, "observedGeneration": observed(scene), "reason": reason,
        "message": "",
    });
    set_condition(&mut all, new, &scene.stamp());
    scene.status(json!({
        "observedGeneration": observed(scene),
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "conditions": all,
    }));
}

/// Counts what a quota limits.
pub(super) fn quota(scene: &mut Scene<'_>) {
    let hard = scene.object.pointer("/spec/hard").and_then(Value::as_object).cloned().unwrap_or_default();
    let used: Map<String, Value> = hard.keys().map(|what| (what.clone(), json!(used(scene, what)))).collect();
    scene.status(terse(json!({"hard": hard, "used": used}), &[]));
}

/// How much of a resource a namespace uses.
fn used(scene: &Scene<'_>, what: &str) -> String {
    let namespace = Some(&*scene.key.namespace);
    let pods = || scene.view.list(PODS, namespace).into_iter().filter(|pod| active(pod)).collect::<Vec<_>>();
    let plural = what.strip_prefix("count/").unwrap_or(what);
    if quota::is_amount(what) {
        return pods().iter().filter_map(|pod| quota::of_pod(pod, what)).fold(Amount::ZERO, Amount::and).to_string();
    }
    let count = match plural.split_once('.') {
        None if what == "pods" => pods().len(),
        None => scene.view.list(&format!("/{plural}"), namespace).len(),
        Some((plural, group)) => scene.view.list(&format!("{group}/{plural}"), namespace).len(),
    };
    count.to_string()
}

/// Says of an autoscaler what it says on a cluster that measures nothing.
pub(super) fn autoscaler(scene: &mut Scene<'_>) {
    let target = |field: &str| text(scene.object, &format!("/spec/scaleTargetRef/{field}"));
    let resource = match target("kind") {
        "Deployment" => "apps/deployments",
        "StatefulSet" => "apps/statefulsets",
        "ReplicaSet" => "apps/replicasets",
        _ => return,
    };
    let name = target("name").to_owned();
    let found = scene.view.get(&Key::new(resource, &scene.key.namespace, &name));
    let current = found.as_ref().and_then(|object| number(object, "/status/replicas")).unwrap_or_default();
    let mut all = conditions(scene.object);
    let stamp = scene.stamp();
    let mut say = |kind: &str, status: &str, reason: &str, message: &str| {
        set_condition(&mut all, json!({"type": kind, "status": status, "reason": reason, "message": message}), &stamp);
    };
    if found.is_none() {
        let group = resource.split('/').next().unwrap_or_default();
        let plural = resource.rsplit('/').next().unwrap_or_default();
        let message = format!(
            "the HPA controller was unable to get the target's current scale: {plural}.{group} \"{name}\" not found"
        );
        say("AbleToScale", "False", "FailedGetScale", &message);
    } else {
        let message = "the HPA controller was able to get the target's current scale";
        say("AbleToScale", "True", "SucceededGetScale", message);
        let metric = list(scene.object, "/spec/metrics").first().map_or("cpu", |metric| {
            let name = text(metric, "/resource/name");
            if name.is_empty() { "cpu" } else { name }
        });
        let why = format!(
            "unable to get metrics for resource {metric}: unable to fetch metrics from resource metrics API: the server \
             could not find the requested resource (get pods.metrics.k8s.io)"
        );
        let message =
            format!("the HPA was unable to compute the replica count: failed to get {metric} utilization: {why}");
        say("ScalingActive", "False", "FailedGetResourceMetric", &message);
        if scene.lasting("warned", 0).is_zero() {
            let source = "horizontal-pod-autoscaler";
            scene.warn(source, "FailedGetResourceMetric", format!("failed to get {metric} utilization: {why}"));
            let message = format!(
                "invalid metrics (1 invalid out of 1), first error is: failed to get {metric} resource metric value: \
                 failed to get {metric} utilization: {why}"
            );
            scene.warn(source, "FailedComputeMetricsReplicas", message);
        }
    }
    let metrics = found.is_some().then(|| json!([{"type": ""}]));
    let status =
        json!({"currentReplicas": current, "desiredReplicas": 0, "currentMetrics": metrics, "conditions": all});
    scene.status(terse(status, &["desiredReplicas", "currentMetrics"]));
}
