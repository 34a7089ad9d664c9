//! What the server itself does to an object of a built-in kind that has its defaults and its owners,
//! before it looks at what is wrong with it (`pkg/registry/*/*/strategy.go`, and the admission plugins that every cluster
//! has).

use serde_json::{Map, Value, json};

use super::builtin::builtin;

/// The toleration that every pod has of a node that cannot be heard, for five minutes.
const TOLERATED: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// Prepares an object to be kept instead of `old` (none: it is created). A status is the one before; a new object has the
/// first one. It has its uid already.
pub(crate) fn prepare(group_version: &str, kind: &str, old: Option<&Value>, new: &mut Value) {
    let review = group_version.starts_with("auth") && !group_version.starts_with("autoscaling");
    if !review {
        status(group_version, kind, old, new);
    }
    if old.is_some() {
        if kind == "DaemonSet" {
            count_template(old, new);
        }
        return;
    }
    match (group_version, kind) {
        ("v1", "Pod") => pod(new),
        ("v1", "Namespace") => {
            let spec = entry(new, "spec");
            spec.entry("finalizers").or_insert_with(|| json!(["kubernetes"]));
        }
        ("batch/v1", "Job") => job(new),
        _ => {}
    }
}

/// An object below an object; made where it is not there.
fn entry<'a>(object: &'a mut Value, name: &str) -> &'a mut Map<String, Value> {
    if !object[name].is_object() {
        object[name] = json!({});
    }
    match &mut object[name] {
        Value::Object(fields) => fields,
        // It was made one just now.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => unreachable!(),
    }
}

/// A write to an object does not change its status.
fn status(group_version: &str, kind: &str, old: Option<&Value>, new: &mut Value) {
    let Some(schema) = builtin(group_version, kind) else { return };
    let Some(child) = schema.child("status") else { return };
    let kept = match old {
        Some(old) => old.get("status").cloned(),
        None => {
            let mut first = json!({});
            super::default(child, &mut first);
            schema.properties.get("status").is_some_and(|property| property.default.is_some()).then_some(first)
        }
    };
    let Some(fields) = new.as_object_mut() else { return };
    match kept {
        Some(kept) => fields.insert("status".to_owned(), kept),
        None => fields.shift_remove("status"),
    };
}

/// A pod is tolerant for a while, has a priority, and a class of service that follows from what it asks for.
fn pod(pod: &mut Value) {
    let class = service_class(&pod["spec"]);
    entry(pod, "status").insert("qosClass".to_owned(), class.into());
    let spec = entry(pod, "spec");
    spec.entry("priority").or_insert_with(|| 0.into());
    spec.entry("preemptionPolicy").or_insert_with(|| "PreemptLowerPriority".into());
    let Some(tolerations) = spec.entry("tolerations").or_insert_with(|| json!([])).as_array_mut() else { return };
    for key in TOLERATED {
        let tolerates = |one: &Value| {
            let key_fits = one["key"] == key || one["key"].is_null() && one["operator"] == "Exists";
            key_fits && (one["effect"] == "NoExecute" || one["effect"].is_null())
        };
        if !tolerations.iter().any(tolerates) {
            tolerations.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
            }));
        }
    }
}

/// How a pod is treated when there is not enough: by whether its containers ask for all that they may use.
fn service_class(spec: &Value) -> &'static str {
    let containers = ["containers", "initContainers"].into_iter();
    let containers: Vec<&Value> = containers.flat_map(|list| spec[list].as_array().into_iter().flatten()).collect();
    let amount =
        |container: &Value, side: &str, name: &str| container["resources"][side][name].as_str().map(str::to_owned);
    let none = |container: &&Value| {
        ["requests", "limits"]
            .iter()
            .all(|side| ["cpu", "memory"].iter().all(|name| amount(container, side, name).is_none()))
    };
    let full = |container: &&Value| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amount(container, "limits", name);
            limit.is_some() && amount(container, "requests", name) == limit
        })
    };
    if containers.iter().all(none) {
        "BestEffort"
    } else if containers.iter().all(full) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// A job finds its pods by its own uid.
fn job(job: &mut Value) {
    let text = |pointer: &str| job.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (uid, name) = (text("/metadata/uid"), text("/metadata/name"));
    if job["spec"]["manualSelector"] == Value::Bool(true) {
        return;
    }
    let labels = [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ];
    if !job["spec"]["template"].is_object() {
        return;
    }
    // Labels that are the template's stay the template's.
    let own = &job["metadata"]["labels"];
    let follow = own.as_object().is_none_or(Map::is_empty) || own == &job["spec"]["template"]["metadata"]["labels"];
    let metadata = entry(&mut job["spec"]["template"], "metadata");
    if let Some(own) = metadata.entry("labels").or_insert_with(|| json!({})).as_object_mut() {
        for (label, value) in labels {
            own.insert(label.to_owned(), value.as_str().into());
        }
    }
    let selector = json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": uid } });
    entry(job, "spec").insert("selector".to_owned(), selector);
    if follow {
        let labels = job["spec"]["template"]["metadata"]["labels"].clone();
        entry(job, "metadata").insert("labels".to_owned(), labels);
    }
}

/// A daemon set counts the changes of its template.
fn count_template(old: Option<&Value>, new: &mut Value) {
    const COUNT: &str = "deprecated.daemonset.template.generation";
    let Some(old) = old else { return };
    let before = old["metadata"]["annotations"][COUNT].as_str().and_then(|count| count.parse().ok()).unwrap_or(1_u64);
    let now = before + u64::from(old["spec"]["template"] != new["spec"]["template"]);
    let metadata = entry(new, "metadata");
    if let Some(annotations) = metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut() {
        annotations.insert(COUNT.to_owned(), now.to_string().into());
    }
}
