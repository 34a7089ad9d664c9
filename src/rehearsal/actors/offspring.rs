//! What the controllers of pods have in common: making pods from a template, and telling the good from the bad.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::object::{Act, Key};
use super::faults::Fault;
use super::scene::{Scene, condition, generation, holds, leaving, list, map_of, name, number, put, text};

/// The collection of pods.
pub(super) const PODS: &str = "/pods";

/// Whether a pod is neither over nor on its way out.
pub(super) fn active(pod: &Value) -> bool {
    !leaving(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Whether a pod's condition `Ready` holds.
pub(super) fn ready(pod: &Value) -> bool {
    holds(pod, "Ready")
}

/// The pods that an object controls.
pub(super) fn pods_of(scene: &Scene<'_>) -> Vec<Arc<Value>> {
    scene.view.controlled(PODS, scene.uid())
}

/// A pod of the object's template: its name begins with `stem` and has a random end.
pub(super) fn seed(scene: &mut Scene<'_>, template: &Value, stem: &str) -> Value {
    // Generated names are cut so that the whole has at most 63 characters.
    let base: String = stem.chars().take(58).collect();
    let full = format!("{base}{}", scene.dice.suffix());
    let mut pod = named(scene, template, &full);
    put(&mut pod, &["metadata", "generateName"], json!(stem));
    pod
}

/// A pod of the object's template with a name.
pub(super) fn named(scene: &Scene<'_>, template: &Value, pod: &str) -> Value {
    let mut metadata = json!({"name": pod, "namespace": &*scene.key.namespace});
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")) {
            metadata[field] = value.clone();
        }
    }
    metadata["ownerReferences"] = json!([scene.controller()]);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template.get("spec").cloned().unwrap_or_default(),
    })
}

/// Creates a pod. Where its maker was refused one, and until it is time to try again, it is told why, or nothing more
/// than before.
pub(super) fn create_or_refuse(
    scene: &mut Scene<'_>,
    source: &'static str,
    pod: Value,
) -> Result<(), Option<(&'static str, String)>> {
    refused(scene, source, &pod)?;
    let message = format!("Created pod: {}", name(&pod));
    scene.create(PODS, pod);
    scene.tell(source, "SuccessfulCreate", message);
    Ok(())
}

/// Whether pods are refused for now: why, where it is news.
pub(super) fn refused(
    scene: &mut Scene<'_>,
    source: &'static str,
    pod: &Value,
) -> Result<(), Option<(&'static str, String)>> {
    let count = scene.remembered("refusals");
    let mut why = scene.take_refusal();
    if why.is_none() {
        let rest = rest_after(count).saturating_sub(scene.lasting("refusals", count));
        if !rest.is_zero() {
            scene.after(rest);
            return Err(None);
        }
        if scene.strikes(Fault::QuotaExceeded) {
            let stem = text(pod, "/metadata/generateName");
            let words = format!(
                "pods \"{stem}\" is forbidden: exceeded quota: rehearsed, requested: pods=1, used: pods=10, limited: \
                 pods=10"
            );
            scene.warn(source, "FailedCreate", format!("Error creating: {words}"));
            why = Some(words);
        }
    }
    let Some(why) = why else {
        // A pod may not come for a reason that nobody tells.
        scene.after(Duration::from_millis(500));
        return Ok(());
    };
    scene.remember("refusals", count + 1);
    scene.after(rest_after(count + 1));
    Err(Some(("FailedCreate", why)))
}

/// The pause after so many refusals: twice as long each time, up to two seconds.
fn rest_after(refusals: i64) -> Duration {
    match u32::try_from(refusals).unwrap_or_default() {
        0 => Duration::ZERO,
        count => Duration::from_millis(40 << count.min(6)).min(Duration::from_secs(2)),
    }
}

/// Deletes a pod and says so.
pub(super) fn delete_pod(scene: &mut Scene<'_>, source: &'static str, pod: &Value) {
    let message = format!("Deleted pod: {}", name(pod));
    scene.delete(scene.key.beside(PODS, name(pod)), pod);
    scene.tell(source, "SuccessfulDelete", message);
}

/// No workload has more pods than this, whatever it asks for.
const MOST_PODS: i64 = 100_000;

/// `spec.replicas`, by default 1.
pub(super) fn replicas(object: &Value) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1).clamp(0, MOST_PODS)
}

/// A number or a percentage of `whole`, as `maxSurge` (`up`) and `maxUnavailable` are written.
pub(super) fn portion(value: Option<&Value>, whole: i64, default: &str, rounding: Rounding) -> i64 {
    let text = match value {
        Some(Value::Number(number)) => return number.as_i64().unwrap_or_default().clamp(0, MOST_PODS),
        Some(Value::String(text)) => text.as_str(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => default,
    };
    let Some(percent) = text.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok()) else {
        return text.parse::<i64>().unwrap_or_default().clamp(0, MOST_PODS);
    };
    let percent = percent.clamp(0, 1000);
    match rounding {
        Rounding::Up => (whole * percent + 99) / 100,
        Rounding::Down => whole * percent / 100,
    }
}

/// To which side a percentage of pods is rounded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    /// To more pods.
    Up,
    /// To fewer.
    Down,
}

/// The generation that a controller says it has seen: of the object, or, when its status is to be stale, of before.
pub(super) fn observed(scene: &Scene<'_>) -> i64 {
    let now = generation(scene.object);
    match scene.strikes(Fault::StaleStatus) {
        true => number(scene.object, "/status/observedGeneration").unwrap_or(now - 1).min(now - 1),
        false => now,
    }
}

/// The conditions of an object with one set as controllers do it: unchanged where status and reason are the same, else
/// put at the end, with its time of transition kept where the status is the same.
pub(super) fn set_condition(conditions: &mut Vec<Value>, new: Value, stamp: &str) {
    let kind = text(&new, "/type").to_owned();
    let old = conditions.iter().find(|condition| text(condition, "/type") == kind);
    let mut new = new;
    if let Some(old) = old {
        let same_status = old.get("status") == new.get("status");
        if same_status && old.get("reason") == new.get("reason") && old.get("message") == new.get("message") {
            return;
        }
        if same_status {
            new["lastTransitionTime"] = old["lastTransitionTime"].clone();
        }
    }
    if new.get("lastTransitionTime").is_none() {
        new["lastTransitionTime"] = json!(stamp);
    }
    conditions.retain(|condition| text(condition, "/type") != kind);
    conditions.push(new);
}

/// The conditions of an object as they are.
pub(super) fn conditions(object: &Value) -> Vec<Value> {
    list(object, "/status/conditions").to_vec()
}

/// The pods to be deleted first when there are too many: those that are worth least.
pub(super) fn cheapest_first(pods: &mut [Arc<Value>]) {
    let since = |pod: &Value| condition(pod, "Ready").map(|ready| text(ready, "/lastTransitionTime").to_owned());
    pods.sort_by_cached_key(|pod| {
        let scheduled = !text(pod, "/spec/nodeName").is_empty();
        let phase = match text(pod, "/status/phase") {
            "Running" => 1,
            _ => 0,
        };
        // Among the ready, the younger goes first.
        let young = std::cmp::Reverse((since(pod), text(pod, "/metadata/creationTimestamp").to_owned()));
        (scheduled, phase, ready(pod), young)
    });
}

/// Creates a ControllerRevision unless there is one; its name is the name of the owner and the hash of its data.
/// Returns its name.
pub(super) fn revision(scene: &mut Scene<'_>) -> String {
    let template = scene.object.pointer("/spec/template").cloned().unwrap_or_default();
    let hash = super::dice::hash(&template.to_string());
    let full = format!("{}-{hash}", scene.key.name);
    let revisions = scene.view.controlled(REVISIONS, scene.uid());
    let newest = revisions.iter().filter_map(|revision| number(revision, "/revision")).max().unwrap_or_default();
    match revisions.iter().find(|revision| name(revision) == full) {
        Some(old) if number(old, "/revision") == Some(newest) => {}
        Some(old) => {
            let key = Key::new(REVISIONS, &scene.key.namespace, &full);
            let uid = super::scene::uid(old).to_owned();
            scene.act(Act::Merge { key, uid, patch: json!({"revision": newest + 1}) });
        }
        None => {
            let mut data = json!({"spec": {"template": template}});
            put(&mut data, &["spec", "template", "$patch"], json!("replace"));
            let mut labels = map_of(scene.object, "/spec/template/metadata/labels");
            labels["controller-revision-hash"] = json!(hash);
            let object = json!({
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {
                    "name": full, "namespace": &*scene.key.namespace, "labels": labels,
                    "ownerReferences": [scene.controller()],
                },
                "data": data,
                "revision": newest + 1,
            });
            scene.create(REVISIONS, object);
        }
    }
    full
}

/// The collection of the histories of StatefulSets and DaemonSets.
pub(super) const REVISIONS: &str = "apps/controllerrevisions";
