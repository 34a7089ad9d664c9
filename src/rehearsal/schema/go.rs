//! Defaults of built-in types that depend on more than one field (`pkg/apis/*/*/defaults.go`), and the traces that a
//! round through Go leaves on an object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::builtin;
use super::tree::{Schema, Type};

/// The fields of an object.
type Fields = Map<String, Value>;

/// Fills in one object of a built-in type before what is in it.
pub(super) fn default(name: &str, fields: &mut Fields) {
    match name {
        "core.v1.Container" | "core.v1.EphemeralContainer" => pull_policy(fields),
        "core.v1.Pod" => pod(fields),
        // A volume that comes from nowhere is an empty folder.
        "core.v1.Volume" if fields.keys().all(|name| name == "name") => {
            fields.insert("emptyDir".into(), json!({}));
        }
        "core.v1.PodSpec" => pod_spec(fields),
        "core.v1.ServicePort" => {
            if let (false, Some(port)) = (fields.contains_key("targetPort"), fields.get("port").cloned()) {
                fields.insert("targetPort".into(), port);
            }
        }
        "core.v1.ReplicationController" => replication_controller(fields),
        "core.v1.Namespace" => namespace(fields),
        "core.v1.Secret" => string_data(fields),
        "batch.v1.Job" => job(fields),
        "apps.v1.StatefulSetSpec" => claim_templates(fields),
        "apps.v1.DaemonSet" => template_generation(fields),
        "rbac.v1.Subject" => subject(fields),
        "core.v1.LimitRangeItem" if fields.get("type").is_some_and(|kind| kind == "Container") => {
            for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
                follow(fields, from, to);
            }
        }
        "apiextensions.v1.CustomResourceDefinitionSpec" => definition_names(fields),
        _ => {}
    }
}

/// Drops what Go does not write (`omitempty`): nothing, unless the field is always there or is a pointer to it.
pub(super) fn settle(schema: &Schema, fields: &mut Fields) {
    fields.retain(|name, value| {
        let Some(property) = schema.properties.get(name.as_str()) else { return true };
        let kind = property.link.schema();
        let nothing = match value {
            Value::Array(items) => items.is_empty() && kind.kind == Type::Array,
            Value::Object(fields) => fields.is_empty() && kind.values.is_some(),
            zero if matches!(kind.kind, Type::Any | Type::IntOrString) || builtin::writes_zero(schema.name, name) => {
                zero.is_null()
            }
            Value::String(text) => text.is_empty(),
            Value::Number(number) => number.as_f64() == Some(0.0) && kind.kind != Type::Quantity,
            Value::Bool(flag) => !*flag,
            Value::Null => true,
        };
        !nothing || schema.required.iter().any(|required| required == name)
    });
}

/// A tag that may move is pulled each time.
fn pull_policy(container: &mut Fields) {
    if container.contains_key("imagePullPolicy") {
        return;
    }
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let name = image.split('@').next().unwrap_or_default();
    let tag = name.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    let moves = tag.map_or(!image.contains('@'), |tag| tag == "latest");
    container.insert("imagePullPolicy".into(), if moves { "Always" } else { "IfNotPresent" }.into());
}

/// A pod, as opposed to the template of one: what it may use at most, it asks for at least, and ports of the host's network
/// are the host's.
fn pod(pod: &mut Fields) {
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.entry("enableServiceLinks").or_insert(Value::Bool(true));
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) else { continue };
            let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else { continue };
            let requests = resources.entry("requests").or_insert_with(|| json!({}));
            if let Some(requests) = requests.as_object_mut() {
                for (name, limit) in limits {
                    requests.entry(name).or_insert(limit);
                }
            }
        }
    }
    if spec.get("hostNetwork") != Some(&Value::Bool(true)) {
        return;
    }
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                let number = port["containerPort"].clone();
                if let Some(port) = port.as_object_mut() {
                    port.entry("hostPort").or_insert(number);
                }
            }
        }
    }
}

/// The old name of the service account follows the new one.
fn pod_spec(spec: &mut Fields) {
    for (from, to) in [("serviceAccountName", "serviceAccount"), ("serviceAccount", "serviceAccountName")] {
        if let Some(account) = spec.get(from).filter(|account| account.as_str().is_some_and(|name| !name.is_empty())) {
            let account = account.clone();
            spec.insert(to.into(), account);
        }
    }
}

/// A replication controller selects what its template makes, and is labelled as that.
fn replication_controller(object: &mut Fields) {
    let labels = object.get("spec").and_then(|spec| spec.pointer("/template/metadata/labels")).cloned();
    let Some(labels) = labels.filter(|labels| labels.as_object().is_some_and(|labels| !labels.is_empty())) else {
        return;
    };
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        spec.entry("selector").or_insert_with(|| labels.clone());
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("labels").or_insert(labels);
    }
}

/// A namespace carries its name as a label.
fn namespace(object: &mut Fields) {
    let name = object.get("metadata").and_then(|metadata| metadata.get("name")).cloned();
    if let (Some(name @ Value::String(_)), Some(metadata)) =
        (name, object.get_mut("metadata").and_then(Value::as_object_mut))
    {
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert("kubernetes.io/metadata.name".into(), name);
        }
    }
}

/// `stringData` is written into `data`, and never kept.
fn string_data(secret: &mut Fields) {
    let Some(Value::Object(texts)) = secret.remove("stringData") else { return };
    if texts.is_empty() {
        return;
    }
    let data = secret.entry("data").or_insert_with(|| json!({}));
    if let Some(data) = data.as_object_mut() {
        for (name, text) in texts {
            data.insert(name, STANDARD.encode(text.as_str().unwrap_or_default()).into());
        }
    }
}

/// A job that says neither how many nor how many at once is done after one; it is labelled as its pods are.
fn job(job: &mut Fields) {
    let labels = job.get("spec").and_then(|spec| spec.pointer("/template/metadata/labels")).cloned();
    if let (Some(labels), Some(metadata)) = (labels, job.get_mut("metadata").and_then(Value::as_object_mut)) {
        metadata.entry("labels").or_insert(labels);
    }
    let Some(spec) = job.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        spec.insert("completions".into(), 1.into());
    }
    spec.entry("parallelism").or_insert_with(|| 1.into());
}

/// The claims that a set makes are claims.
fn claim_templates(spec: &mut Fields) {
    for claim in spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(claim) = claim.as_object_mut() {
            claim.insert("apiVersion".into(), "v1".into());
            claim.insert("kind".into(), "PersistentVolumeClaim".into());
        }
    }
}

/// A daemon set counts the changes of its template in an annotation.
fn template_generation(object: &mut Fields) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if let Some(annotations) = metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut() {
        annotations.entry("deprecated.daemonset.template.generation").or_insert_with(|| "1".into());
    }
}

/// What one map of amounts says, another says too where it says nothing itself.
fn follow(fields: &mut Fields, from: &str, to: &str) {
    let Some(Value::Object(amounts)) = fields.get(from).cloned() else { return };
    if let Some(own) = fields.entry(to).or_insert_with(|| json!({})).as_object_mut() {
        for (name, amount) in amounts {
            own.entry(name).or_insert(amount);
        }
    }
}

/// People are in the group of the access rules, service accounts in the core group.
fn subject(subject: &mut Fields) {
    let person = matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group"));
    if person && !subject.contains_key("apiGroup") {
        subject.insert("apiGroup".into(), "rbac.authorization.k8s.io".into());
    }
}

/// What a definition does not say about its names follows from its kind.
fn definition_names(spec: &mut Fields) {
    let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) else { return };
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let empty = |names: &Fields, name: &str| names.get(name).and_then(Value::as_str).is_none_or(str::is_empty);
    if empty(names, "singular") {
        names.insert("singular".into(), kind.to_lowercase().into());
    }
    if empty(names, "listKind") {
        names.insert("listKind".into(), format!("{kind}List").into());
    }
}
