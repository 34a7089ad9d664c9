//! Operators' custom resources: the statuses that they go through, read from `operators.yaml`.
//!
//! An operator has made its objects and shows one status after the other; each new generation starts again. A custom
//! resource of which nothing is written there gets no status, as without an operator.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::object::{Act, Key};
use super::faults::Fault;
use super::offspring::replicas;
use super::scene::{Scene, condition, generation, holds, map_of, name, number, text, uid};

/// What is written of one kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Operator {
    /// Its collection.
    resource: String,
    /// Its kind.
    kind: String,
    /// A label without which the operator does not look at an object.
    #[serde(default)]
    label: Option<String>,
    /// What must be there before anything but `pending` is shown.
    #[serde(default)]
    needs: Vec<Need>,
    /// The status until then.
    #[serde(default)]
    pending: Value,
    /// The statuses one after the other.
    #[serde(default)]
    steps: Vec<Step>,
    /// The status of one that the operator refuses.
    #[serde(default)]
    refused: Value,
}

/// An object that must be there, and ready if it has conditions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Need {
    resource: String,
    /// Nothing is needed where it comes to nothing: the object names none.
    name: String,
    /// `left=right`: needed only where both are the same.
    #[serde(default, rename = "if")]
    only: Option<String>,
}

/// One status, and what is made before it is shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Milliseconds after the step before.
    after: u64,
    /// The collections of the objects, with the objects.
    #[serde(default)]
    makes: Vec<Made>,
    /// Workloads whose pods must all be ready: `apps/statefulsets/name`.
    #[serde(default)]
    awaits: Vec<String>,
    /// The status; what it does not mention stays.
    #[serde(default)]
    status: Value,
}

/// An object that an operator makes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    resource: String,
    object: Value,
}

/// All operators by the collections that they look after.
fn operators() -> &'static HashMap<String, Operator> {
    static ALL: OnceLock<HashMap<String, Operator>> = OnceLock::new();
    ALL.get_or_init(|| {
        let all: Vec<Operator> = serde_saphyr::from_str(include_str!("operators.yaml")).unwrap_or_default();
        all.into_iter().map(|operator| (operator.resource.clone(), operator)).collect()
    })
}

/// The collection of a kind that an operator looks after.
pub(crate) fn resource(version: &str, kind: &str) -> Option<&'static str> {
    let group = version.split_once('/')?.0;
    let mut all = operators().values();
    let found = all.find(|operator| operator.kind == kind && operator.resource.split('/').next() == Some(group));
    found.map(|operator| operator.resource.as_str())
}

/// Whether an operator looks after a collection.
pub(super) fn attend(resource: &str) -> bool {
    operators().contains_key(resource)
}

/// Shows the next status of a custom resource.
pub(super) fn live(scene: &mut Scene<'_>) {
    let Some(operator) = operators().get(&*scene.key.resource) else { return };
    let unseen = operator.label.as_ref().is_some_and(|label| labelled(scene, label).is_none());
    if unseen || scene.leaving() || scene.strikes(Fault::OperatorSilent) {
        return;
    }
    if scene.strikes(Fault::OperatorRefuses) {
        return refuse(scene, operator);
    }
    if let Some(missing) = missing(scene, operator) {
        if !operator.pending.is_null() {
            show(scene, &operator.pending, &missing);
        }
        let later = scene.dice.delay(30, 60);
        return scene.after(later);
    }
    let age = scene.lasting("generation", generation(scene.object));
    if age.is_zero() {
        scene.remember("step", 0);
    }
    let done = usize::try_from(scene.remembered("step")).unwrap_or_default();
    let Some(step) = operator.steps.get(done) else { return };
    let since = scene.lasting("since", i64::try_from(done).unwrap_or_default() + generation(scene.object) * 100);
    let rest = Duration::from_millis(step.after).saturating_sub(since);
    if !rest.is_zero() {
        return scene.after(rest);
    }
    for made in &step.makes {
        make(scene, made);
    }
    if !step.awaits.iter().all(|awaited| stands(scene, awaited)) {
        let later = scene.dice.delay(20, 50);
        return scene.after(later);
    }
    if scene.strikes(Fault::StaleStatus) && generation(scene.object) > 1 {
        return;
    }
    if !step.status.is_null() {
        show(scene, &step.status, "");
    }
    scene.remember("step", i64::try_from(done).unwrap_or_default() + 1);
    scene.after(Duration::from_millis(1));
}

/// A label of the object.
fn labelled(scene: &Scene<'_>, label: &str) -> Option<Value> {
    scene.object.pointer("/metadata/labels")?.get(label).cloned()
}

/// Shows that the operator refuses the object.
fn refuse(scene: &mut Scene<'_>, operator: &Operator) {
    let usual = json!({
        "observedGeneration": "{generation}",
        "conditions": [{
            "type": "Ready", "status": "False", "reason": "ReconcileError", "observedGeneration": "{generation}",
            "message": "rehearsed: the operator refuses this object",
        }],
    });
    show(scene, if operator.refused.is_null() { &usual } else { &operator.refused }, "");
}

/// The first thing that must be there and is not: its kind's collection and its name.
fn missing(scene: &Scene<'_>, operator: &Operator) -> Option<String> {
    let needed = operator.needs.iter().filter(|need| {
        need.only.as_ref().is_none_or(|only| {
            let only = fill_text(scene, only, "");
            only.split_once('=').is_some_and(|(left, right)| left == right)
        })
    });
    needed.into_iter().find_map(|need| {
        let wanted = Some(fill_text(scene, &need.name, "")).filter(|name| !name.is_empty())?;
        let own = scene.view.get(&scene.key.beside(&need.resource, &wanted));
        let object = own.or_else(|| scene.view.get(&Key::new(&need.resource, "", &wanted)));
        let there = object.is_some_and(|object| condition(&object, "Ready").is_none() || holds(&object, "Ready"));
        let ready = there && (!operators().contains_key(&need.resource) || has_status(scene, need, &wanted));
        (!ready).then(|| wanted.clone())
    })
}

/// Whether a needed custom resource has been looked at by its own operator.
fn has_status(scene: &Scene<'_>, need: &Need, wanted: &str) -> bool {
    let own = scene.view.get(&scene.key.beside(&need.resource, wanted));
    let object = own.or_else(|| scene.view.get(&Key::new(&need.resource, "", wanted)));
    object.is_some_and(|object| object.get("status").is_some())
}

/// Whether all pods of a workload are ready.
fn stands(scene: &Scene<'_>, awaited: &str) -> bool {
    let awaited = fill_text(scene, awaited, "");
    let Some((resource, wanted)) = awaited.rsplit_once('/') else { return true };
    let Some(object) = scene.view.get(&scene.key.beside(resource, wanted)) else { return false };
    number(&object, "/status/readyReplicas").unwrap_or_default() >= replicas(&object)
}

/// Makes an object unless it is there; a workload that is there gets its number of pods.
fn make(scene: &mut Scene<'_>, made: &Made) {
    let Some(resource) = collection(&made.resource) else { return };
    let mut object = fill(scene, &made.object, "");
    if object["metadata"].get("namespace").is_none() {
        object["metadata"]["namespace"] = json!(&*scene.key.namespace);
    }
    let key = Key::new(resource, text(&object, "/metadata/namespace"), name(&object));
    let Some(old) = scene.view.get(&key) else {
        object["metadata"]["ownerReferences"] = json!([scene.controller()]);
        return scene.create(resource, object);
    };
    let wanted = object.pointer("/spec/replicas");
    if resource.starts_with("apps/") && wanted.is_some() && old.pointer("/spec/replicas") != wanted {
        let patch = json!({"spec": {"replicas": wanted}});
        scene.act(Act::Merge { key, uid: uid(&old).to_owned(), patch });
    }
}

/// The collections of objects that operators make.
fn collection(resource: &str) -> Option<&'static str> {
    const MADE: [&str; 8] = [
        "/secrets",
        "/configmaps",
        "/services",
        "apps/statefulsets",
        "apps/deployments",
        "batch/jobs",
        "cert-manager.io/certificaterequests",
        "/persistentvolumeclaims",
    ];
    MADE.into_iter().find(|known| *known == resource)
}

/// Merges a status into the present one; conditions are replaced, with their times kept where they say the same.
fn show(scene: &mut Scene<'_>, template: &Value, missing: &str) {
    let new = fill(scene, template, missing);
    let mut status = map_of(scene.object, "/status");
    for (field, value) in new.as_object().into_iter().flatten() {
        status[field] = value.clone();
    }
    let stamp = scene.stamp();
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        for one in conditions {
            let old = condition(scene.object, text(one, "/type")).filter(|old| old.get("status") == one.get("status"));
            let since = old.and_then(|old| old.get("lastTransitionTime")).cloned();
            if one.is_object() && one.get("lastTransitionTime").is_none() {
                one["lastTransitionTime"] = since.unwrap_or_else(|| json!(stamp));
            }
        }
    }
    scene.status(status);
}

/// A template with its placeholders filled in, wherever they stand.
fn fill(scene: &Scene<'_>, template: &Value, missing: &str) -> Value {
    match template {
        Value::String(text) => fill_value(scene, text, missing),
        Value::Array(items) => items.iter().map(|item| fill(scene, item, missing)).collect(),
        Value::Object(map) => {
            let filled = map.iter().map(|(key, value)| (key, value, fill(scene, value, missing)));
            // What the object does not say is not said of what is made either; a `null` that is written out is meant.
            let said = filled.filter(|(_, template, value)| template.is_null() || !value.is_null());
            Value::Object(said.map(|(key, _, value)| (fill_text(scene, key, missing), value)).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

/// A text that is one placeholder becomes the value itself, of whatever type; else a text.
fn fill_value(scene: &Scene<'_>, text: &str, missing: &str) -> Value {
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    match inner.filter(|inner| !inner.contains(['{', '}', ' '])) {
        Some(name) => placeholder(scene, name, missing).unwrap_or_else(|| json!(text)),
        None => json!(fill_text(scene, text, missing)),
    }
}

/// A text with its placeholders filled in; of a list its texts, one after the other.
fn fill_text(scene: &Scene<'_>, text: &str, missing: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}').and_then(|(name, tail)| Some((placeholder(scene, name, missing)?, tail))) {
            Some((Value::String(value), tail)) => {
                out.push_str(&value);
                rest = tail;
            }
            Some((Value::Array(items), tail)) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                out.push_str(&texts.join("; "));
                rest = tail;
            }
            Some((value, tail)) => {
                out.push_str(&value.to_string());
                rest = tail;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The value of a placeholder: a word, or a path into the object with a default: `spec.instances|1`. `None` where it is
/// neither.
fn placeholder(scene: &Scene<'_>, name: &str, missing: &str) -> Option<Value> {
    let (path, default) = match name.split_once('|') {
        Some((path, default)) => (path, Some(default)),
        None => (name, None),
    };
    match path {
        "name" => Some(json!(&*scene.key.name)),
        "namespace" => Some(json!(&*scene.key.namespace)),
        "uid" => Some(json!(scene.uid())),
        "generation" => Some(json!(generation(scene.object))),
        "now" => Some(json!(scene.stamp())),
        "missing" => Some(json!(missing)),
        _ => {
            let found = match path.strip_prefix("label:") {
                Some(label) => labelled(scene, label),
                None if path.starts_with("spec.") => {
                    scene.object.pointer(&format!("/{}", path.replace('.', "/"))).cloned()
                }
                None => return None,
            };
            let default = || match default? {
                "name" => Some(json!(&*scene.key.name)),
                "null" => Some(Value::Null),
                default => Some(default.parse::<i64>().map_or(json!(default), Value::from)),
            };
            found.filter(|found| !found.is_null()).or_else(default)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_can_be_read() {
        let all: Vec<Operator> = serde_saphyr::from_str(include_str!("operators.yaml")).unwrap();
        assert!(all.len() > 20, "{}", all.len());
        for operator in &all {
            assert!(!operator.steps.is_empty(), "{} has no steps", operator.kind);
            for made in operator.steps.iter().flat_map(|step| &step.makes) {
                assert!(collection(&made.resource).is_some(), "{} makes {}", operator.kind, made.resource);
                assert!(made.object["kind"].is_string() && made.object["metadata"]["name"].is_string());
            }
        }
    }

    #[test]
    fn a_kind_is_found_by_its_group() {
        assert_eq!(resource("postgresql.cnpg.io/v1", "Cluster"), Some("postgresql.cnpg.io/clusters"));
        assert_eq!(resource("cluster.x-k8s.io/v1", "Cluster"), None);
    }
}
