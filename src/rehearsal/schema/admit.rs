//! What a schema cannot say: whether names are names, whether what belongs together does, and what may not change. These
//! are the well-known rules of `pkg/apis/*/validation`, not all of them.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::builtin::builtin;
use super::error::FieldError;
use super::tree::Schema;
use super::{names, workloads};

/// What an answer says of a field that may not change.
pub(super) const IMMUTABLE: &str = "field is immutable";

/// The most bytes that a `ConfigMap` or a `Secret` may hold.
const MOST_DATA: usize = 1024 * 1024;

/// Everything that is wrong with an object besides its schema, or with the change from `old` to `new`. Both have their
/// defaults and a name.
pub(crate) fn admit(group_version: &str, kind: &str, old: Option<&Value>, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let group = group_version.rsplit_once('/').map_or("", |(group, _)| group);
    metadata(group, kind, old, new, &mut errors);
    match (group, kind) {
        ("", "ConfigMap" | "Secret") => data(kind, old, new, &mut errors),
        ("", "Service") => service(old, new, &mut errors),
        ("", "PersistentVolumeClaim") => claim(old, new, &mut errors),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(old, new, &mut errors),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(new, &mut errors),
        ("networking.k8s.io", "Ingress") => ingress(new, &mut errors),
        _ => workloads::admit(group, kind, old, new, &mut errors),
    }
    if let Some(schema) = builtin(group_version, kind) {
        choices(&schema, new, "", &mut errors);
    }
    errors
}

/// Texts that must be one of a few, as far as nothing has been said of them.
fn choices(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !path.is_empty() || *name != "status") {
                // What the strategy of a workload may be is said of the strategy.
                if let Some(child) = schema.child(name).filter(|_| !schema.name.ends_with("Strategy")) {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    choices(child, value, &path, errors);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                choices(schema.item(), item, &format!("{path}[{index}]"), errors);
            }
        }
        Value::String(_) => {
            let known = schema.limits.as_ref().map_or(&[][..], |limits| &limits.values);
            let said = known.is_empty() || known.contains(value) || errors.iter().any(|error| error.path == path);
            if !said {
                errors.push(FieldError::not_supported(path, value.clone(), known));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An object's name, namespace, labels and annotations.
fn metadata(group: &str, kind: &str, old: Option<&Value>, new: &Value, errors: &mut Vec<FieldError>) {
    let metadata = &new["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else if old.is_none() {
        let wrong = match (group, kind) {
            ("", "Namespace") | ("apps", "StatefulSet") => names::label(name),
            ("", "Service") => names::old_label(name),
            ("rbac.authorization.k8s.io", _) => names::path_segment(name),
            _ => names::subdomain(name),
        };
        errors.extend(wrong.into_iter().map(|said| FieldError::invalid("metadata.name", name.into(), said)));
    }
    labels(&metadata["labels"], "metadata.labels", errors);
    for key in metadata["annotations"].as_object().into_iter().flat_map(Map::keys) {
        for said in names::qualified(&key.to_lowercase()) {
            errors.push(FieldError::invalid("metadata.annotations", key.as_str().into(), said));
        }
    }
    for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
        for (field, said) in [("apiVersion", "version must not be empty"), ("kind", ""), ("name", ""), ("uid", "")] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                let said = if said.is_empty() { "must not be empty" } else { said };
                errors.push(FieldError::invalid(format!("metadata.ownerReferences.{field}"), "".into(), said));
            }
        }
    }
    let Some(old) = old else { return };
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        unchanged(&old["metadata"][field], &metadata[field], &format!("metadata.{field}"), errors);
    }
    let finalizers = |object: &Value| object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    if old["metadata"]["deletionTimestamp"].is_string() {
        let before = finalizers(old);
        let added: Vec<Value> = finalizers(new).into_iter().filter(|name| !before.contains(name)).collect();
        if !added.is_empty() {
            let added: Vec<&str> = added.iter().filter_map(Value::as_str).collect();
            let said = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", said));
        }
    }
}

/// Labels, whose keys and values have their forms.
pub(super) fn labels(labels: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        for said in names::qualified(key) {
            errors.push(FieldError::invalid(path, key.as_str().into(), said));
        }
        for said in names::label_value(value.as_str().unwrap_or_default()) {
            errors.push(FieldError::invalid(path, value.clone(), said));
        }
    }
}

/// Notes that a field has changed which may not.
pub(super) fn unchanged(old: &Value, new: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if old != new {
        errors.push(FieldError::invalid(path, new.clone(), IMMUTABLE));
    }
}

/// What a `ConfigMap` or a `Secret` holds.
fn data(kind: &str, old: Option<&Value>, new: &Value, errors: &mut Vec<FieldError>) {
    let mut total = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in new[field].as_object().into_iter().flatten() {
            let wrong = names::data_key(key);
            errors.extend(
                wrong.into_iter().map(|said| FieldError::invalid(format!("{field}[{key}]"), key.as_str().into(), said)),
            );
            let text = value.as_str().unwrap_or_default();
            let encoded = kind == "Secret" || field == "binaryData";
            total += if encoded { text.len() / 4 * 3 } else { text.len() };
            if field == "data" && new["binaryData"].get(key).is_some() {
                let said = "duplicate of key present in binaryData";
                errors.push(FieldError::invalid(format!("data[{key}]"), key.as_str().into(), said));
            }
        }
    }
    if total > MOST_DATA {
        let at = if kind == "Secret" { "data" } else { "" };
        errors.push(FieldError::too_long(at, MOST_DATA as u64));
    }
    if kind == "Secret" {
        secret_type(new, errors);
    }
    let Some(old) = old else { return };
    if kind == "Secret" {
        unchanged(&old["type"], &new["type"], "type", errors);
    }
    if old["immutable"] == Value::Bool(true) {
        for field in ["immutable", "data", "binaryData"] {
            if old[field] != new[field] {
                errors.push(FieldError::forbidden(field, "field is immutable when `immutable` is set"));
            }
        }
    }
}

/// What a `Secret` of a known type must hold.
fn secret_type(secret: &Value, errors: &mut Vec<FieldError>) {
    let wanted: &[&str] = match secret["type"].as_str().unwrap_or_default() {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/service-account-token" => {
            let name = "kubernetes.io/service-account.name";
            if secret["metadata"]["annotations"][name].as_str().is_none_or(str::is_empty) {
                errors.push(FieldError::required(format!("metadata.annotations[{name}]"), ""));
            }
            &[]
        }
        _ => &[],
    };
    for key in wanted.iter().filter(|key| secret["data"].get(**key).is_none()) {
        errors.push(FieldError::required(format!("data[{key}]"), ""));
    }
}

/// A service's ports, and the address that it keeps.
fn service(old: Option<&Value>, new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let none = Vec::new();
    let ports = spec["ports"].as_array().unwrap_or(&none);
    let kind = spec["type"].as_str().unwrap_or("ClusterIP");
    if !["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"].contains(&kind) {
        let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].map(Value::from);
        errors.push(FieldError::not_supported("spec.type", kind.into(), &known));
    }
    if ports.is_empty() && spec["clusterIP"] != "None" && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    if kind == "ExternalName" && spec["externalName"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required("spec.externalName", ""));
    }
    let (mut seen_names, mut seen_ports) = (HashSet::new(), HashSet::new());
    for (index, port) in ports.iter().enumerate() {
        let at = format!("spec.ports[{index}]");
        let name = port["name"].as_str().unwrap_or_default();
        if name.is_empty() && ports.len() > 1 {
            errors.push(FieldError::required(format!("{at}.name"), ""));
        } else if !name.is_empty() {
            let wrong = names::label(name);
            errors.extend(wrong.into_iter().map(|said| FieldError::invalid(format!("{at}.name"), name.into(), said)));
            if !seen_names.insert(name) {
                errors.push(FieldError::duplicate(format!("{at}.name"), name.into()));
            }
        }
        port_number(&port["port"], &format!("{at}.port"), errors);
        protocol(&port["protocol"], &format!("{at}.protocol"), errors);
        if port["targetPort"].is_number() {
            port_number(&port["targetPort"], &format!("{at}.targetPort"), errors);
        }
        if !seen_ports.insert((port["protocol"].as_str(), port["port"].as_i64())) {
            let shown = json!({
                "Name": "", "Protocol": port["protocol"], "AppProtocol": null, "Port": port["port"], "TargetPort": 0,
                "NodePort": 0,
            });
            errors.push(FieldError::duplicate(at, shown));
        }
    }
    labels(&spec["selector"], "spec.selector", errors);
    let Some(old) = old else { return };
    let (before, after) = (&old["spec"]["clusterIP"], &spec["clusterIP"]);
    let stays = kind != "ExternalName" && old["spec"]["type"] != "ExternalName";
    if stays && before.is_string() && before != after {
        errors.push(FieldError::invalid("spec.clusterIPs[0]", json!([after]), "may not change once set"));
    }
}

/// The number of a port.
pub(super) fn port_number(port: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let number = port.as_i64().unwrap_or(0);
    if !(1..=65535).contains(&number) {
        errors.push(FieldError::invalid(path, number.into(), "must be between 1 and 65535, inclusive"));
    }
}

/// The protocol of a port.
pub(super) fn protocol(protocol: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let known = ["SCTP", "TCP", "UDP"].map(Value::from);
    if !known.contains(protocol) {
        errors.push(FieldError::not_supported(path, protocol.clone(), &known));
    }
}

/// A claim to storage.
fn claim(old: Option<&Value>, new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    if spec["accessModes"].as_array().is_none_or(Vec::is_empty) {
        errors.push(FieldError::required("spec.accessModes", "at least 1 access mode is required"));
    }
    if spec.pointer("/resources/requests/storage").is_none() {
        errors.push(FieldError::required("spec.resources[storage]", ""));
    }
    let Some(old) = old else { return };
    let mut before = old["spec"].clone();
    // The name of the volume is filled in once, and a bound claim may ask for more.
    if before["volumeName"].as_str().is_none_or(str::is_empty)
        && let (Some(before), Some(name)) = (before.as_object_mut(), spec.get("volumeName"))
    {
        before.insert("volumeName".into(), name.clone());
    }
    if new["status"]["phase"] == "Bound" {
        for field in ["resources", "volumeAttributesClassName"] {
            if let Some(before) = before.as_object_mut() {
                before.remove(field);
                before.extend(spec.get(field).map(|value| (field.to_owned(), value.clone())));
            }
        }
    }
    if &before != spec {
        let said =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.push(FieldError::forbidden("spec", said));
    }
}

/// Whom a binding gives which role.
fn binding(old: Option<&Value>, new: &Value, errors: &mut Vec<FieldError>) {
    let role = &new["roleRef"];
    if role["name"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required("roleRef.name", ""));
    }
    let kind = role["kind"].as_str().unwrap_or_default();
    if !["Role", "ClusterRole"].contains(&kind) {
        let known = ["ClusterRole", "Role"].map(Value::from);
        errors.push(FieldError::not_supported("roleRef.kind", kind.into(), &known));
    }
    for (index, subject) in new["subjects"].as_array().into_iter().flatten().enumerate() {
        let at = format!("subjects[{index}]");
        if subject["name"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(format!("{at}.name"), ""));
        }
        let known = ["ServiceAccount", "User", "Group"];
        let kind = subject["kind"].as_str().unwrap_or_default();
        if !known.contains(&kind) {
            let known = known.map(Value::from);
            errors.push(FieldError::not_supported(format!("{at}.kind"), kind.into(), &known));
        }
        // In a namespace it is that namespace's.
        let apart = kind == "ServiceAccount" && new["metadata"]["namespace"].as_str().is_none_or(str::is_empty);
        if apart && subject["namespace"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(format!("{at}.namespace"), ""));
        }
    }
    if old.is_some_and(|old| &old["roleRef"] != role) {
        let shown = json!({ "APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"] });
        errors.push(FieldError::invalid("roleRef", shown, "cannot change roleRef"));
    }
}

/// A definition of a custom resource; its schemas are `of_definition`'s.
fn definition(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    let wanted = format!("{plural}.{group}");
    let name = text(&new["metadata"]["name"]);
    if name != wanted {
        let said = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid("metadata.name", name.into(), said));
    }
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid("spec.group", group.into(), "should be a domain with at least one dot"));
    }
    for field in ["plural", "kind"] {
        if text(&spec["names"][field]).is_empty() {
            errors.push(FieldError::required(format!("spec.names.{field}"), ""));
        }
    }
    let stored = spec["versions"].as_array().into_iter().flatten().filter(|version| version["storage"] == true).count();
    if stored != 1 {
        let said = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid("spec.versions", spec["versions"].clone(), said));
    }
    errors.extend(super::of_definition(new).err().into_iter().flatten());
}

/// An ingress's paths, which say how they are meant.
fn ingress(new: &Value, errors: &mut Vec<FieldError>) {
    for (rule_index, rule) in new["spec"]["rules"].as_array().into_iter().flatten().enumerate() {
        for (index, path) in rule["http"]["paths"].as_array().into_iter().flatten().enumerate() {
            let at = format!("spec.rules[{rule_index}].http.paths[{index}]");
            let kind = path["pathType"].as_str().unwrap_or_default();
            let known = ["Exact", "ImplementationSpecific", "Prefix"];
            if kind.is_empty() {
                errors.push(FieldError::required(format!("{at}.pathType"), "pathType must be specified"));
            } else if !known.contains(&kind) {
                let known = known.map(Value::from);
                errors.push(FieldError::not_supported(format!("{at}.pathType"), kind.into(), &known));
            }
            let starts = path["path"].as_str().is_some_and(|path| path.starts_with('/'));
            if !starts && ["Exact", "Prefix"].contains(&kind) {
                let shown = path["path"].as_str().unwrap_or_default();
                errors.push(FieldError::invalid(format!("{at}.path"), shown.into(), "must be an absolute path"));
            }
        }
    }
}
