//! What built-in kinds get and must have beside their structure: the strategies and admission plugins of the API server
//! (`pkg/registry/*/strategy.go`, `plugin/pkg/admission`).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::catalog::Resource;
use super::cluster::State;
use super::failure::Failure;
use super::object::{Key, View as _};
use super::schema::FieldError;
use super::write::remove;

/// Where Services get their addresses: kind's range.
const SERVICES: [u8; 2] = [10, 96];

/// The kinds of which the server counts the generations.
pub(super) fn has_generation(resource: &Resource) -> bool {
    resource.custom
        || matches!(
            (&*resource.group, &*resource.plural),
            ("", "pods" | "replicationcontrollers" | "podtemplates")
                | ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
                | ("batch", _)
                | ("policy" | "admissionregistration.k8s.io" | "apiextensions.k8s.io" | "discovery.k8s.io", _)
                | ("networking.k8s.io", _)
        )
}

/// Whether a change is one that the generation counts: anything but metadata and status.
pub(super) fn counts(old: &Value, new: &Value) -> bool {
    let rest = |object: &Value| -> Vec<(String, Value)> {
        let fields = object.as_object().into_iter().flatten();
        let counted = fields.filter(|(key, _)| !matches!(key.as_str(), "metadata" | "status" | "apiVersion"));
        let mut counted: Vec<_> = counted.map(|(key, value)| (key.clone(), value.clone())).collect();
        counted.sort_by(|(a, _), (b, _)| a.cmp(b));
        counted
    };
    rest(old) != rest(new)
}

/// Whether an object that is being deleted goes with its last finalizer; pods go when their node says so, namespaces
/// when they are empty.
pub(super) fn ends_without_finalizers(resource: &Resource) -> bool {
    !(resource.group.is_empty() && matches!(&*resource.plural, "namespaces" | "pods"))
}

/// What a client may write in two ways is stored in one.
pub(super) fn normalise(resource: &Resource, object: &mut Value) {
    if !resource.custom {
        drop_nulls(object);
    }
    let is_fit = object["data"].is_object() || object["data"].is_null();
    if resource.group.is_empty() && &*resource.plural == "secrets" && is_fit {
        let plain = object["stringData"].take();
        remove(object, "stringData");
        for (key, value) in plain.as_object().into_iter().flatten() {
            object["data"][key] = json!(STANDARD.encode(value.as_str().unwrap_or_default()));
        }
    }
}

/// A field of a built-in kind that is `null` is one that is not there; but a time that is not known is written so.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| !value.is_null() || name == "eventTime");
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The items of a list that may be missing.
fn items<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// What a new object of a built-in kind gets, and whether it may come in.
pub(super) fn admit(state: &mut State, resource: &Resource, object: &mut Value) -> Result<(), Failure> {
    match (&*resource.group, &*resource.plural) {
        ("", "namespaces") => new_namespace(object),
        ("", "pods") => new_pod(state, resource, object)?,
        ("", "services") => allocate(state, resource, object)?,
        ("", "persistentvolumeclaims") => new_claim(state, object),
        ("apiextensions.k8s.io", "customresourcedefinitions") => new_definition(resource, object)?,
        _ => {}
    }
    Ok(())
}

fn new_namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
}

/// As the ServiceAccount plugin does.
fn new_pod(state: &mut State, resource: &Resource, object: &mut Value) -> Result<(), Failure> {
    let (namespace, name) = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
    let account = object["spec"]["serviceAccountName"].as_str().filter(|name| !name.is_empty()).unwrap_or("default");
    let account = account.to_owned();
    let found = state.store.get(&Key::new("/serviceaccounts", &namespace, &account));
    let Some(found) = found else {
        let why =
            format!("error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found");
        return Err(Failure::forbidden(resource, &name, &why));
    };
    let spec = &mut object["spec"];
    spec["serviceAccountName"] = json!(account);
    spec["serviceAccount"] = json!(account);
    let mounts = spec["automountServiceAccountToken"].as_bool();
    if mounts.or(found["automountServiceAccountToken"].as_bool()).unwrap_or(true) {
        mount_token(spec, &format!("kube-api-access-{}", state.dice.suffix()));
    }
    if spec["enableServiceLinks"].is_null() {
        spec["enableServiceLinks"] = json!(true);
    }
    limits(spec);
    Ok(())
}

/// Mounts the account's token into every container, as `plugin/pkg/admission/serviceaccount` does.
fn mount_token(spec: &mut Value, volume: &str) {
    const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    for containers in ["containers", "initContainers"] {
        for container in items(spec, containers) {
            let mounts = container["volumeMounts"].as_array();
            if !mounts.into_iter().flatten().any(|mount| mount["mountPath"] == PLACE) {
                let mount = json!({ "name": volume, "mountPath": PLACE, "readOnly": true });
                push(&mut container["volumeMounts"], mount);
            }
        }
    }
    let field = json!({ "apiVersion": "v1", "fieldPath": "metadata.namespace" });
    let sources = json!([
        { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
        { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
        { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": field }] } },
    ]);
    push(&mut spec["volumes"], json!({ "name": volume, "projected": { "defaultMode": 420, "sources": sources } }));
}

/// A container that names a limit and no request asks for the limit (`SetDefaults_Pod`).
fn limits(spec: &mut Value) {
    for containers in ["containers", "initContainers"] {
        for container in items(spec, containers) {
            let limits = container["resources"]["limits"].clone();
            for (name, limit) in limits.as_object().into_iter().flatten() {
                if container["resources"]["requests"][name].is_null() {
                    container["resources"]["requests"][name] = limit.clone();
                }
            }
        }
    }
}

/// Gives a Service its address and, where its type has them, its node ports.
fn allocate(state: &mut State, resource: &Resource, object: &mut Value) -> Result<(), Failure> {
    check_address(state, resource, object)?;
    let spec = &mut object["spec"];
    if spec["type"] == "ExternalName" {
        return Ok(());
    }
    if spec["clusterIP"].as_str().is_none_or(str::is_empty) {
        state.addresses += 1;
        // The first ten are given to what every cluster brings.
        let [.., third, fourth] = (state.addresses + 256).to_be_bytes();
        let [first, second] = SERVICES;
        spec["clusterIP"] = json!(format!("{first}.{second}.{third}.{fourth}"));
    }
    spec["clusterIPs"] = json!([spec["clusterIP"]]);
    if spec["ipFamilies"].is_null() {
        spec["ipFamilies"] = json!(["IPv4"]);
    }
    if spec["ipFamilyPolicy"].is_null() {
        spec["ipFamilyPolicy"] = json!("SingleStack");
    }
    let has_node_ports = matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer"));
    for port in items(spec, "ports").filter(|_| has_node_ports) {
        if port["nodePort"].is_null() {
            port["nodePort"] = json!(30000 + state.dice.roll() % 2768);
        }
    }
    Ok(())
}

/// Whether a Service may have the address that it asks for.
fn check_address(state: &State, resource: &Resource, object: &Value) -> Result<(), Failure> {
    let asked = object["spec"]["clusterIP"].as_str().unwrap_or_default();
    if matches!(asked, "" | "None") {
        return Ok(());
    }
    let wrong = if asked.parse::<std::net::IpAddr>().is_err() {
        let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        FieldError::invalid("spec.clusterIPs[0]", json!(asked), why)
    } else if state.store.list("/services", None).iter().any(|other| other["spec"]["clusterIP"] == asked) {
        let why = format!("failed to allocate IP {asked}: provided IP is already allocated");
        FieldError::invalid("spec.clusterIPs", json!([asked]), why)
    } else {
        return Ok(());
    };
    Err(Failure::invalid(resource, object["metadata"]["name"].as_str().unwrap_or_default(), &[wrong]))
}

/// As DefaultStorageClass does.
fn new_claim(state: &State, object: &mut Value) {
    if object["spec"]["storageClassName"].is_null() {
        let is_default = |class: &&Arc<Value>| {
            class["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
        };
        let classes = state.store.list("storage.k8s.io/storageclasses", None);
        if let Some(class) = classes.iter().find(is_default) {
            object["spec"]["storageClassName"] = class["metadata"]["name"].clone();
        }
    }
    if object["spec"]["volumeMode"].is_null() {
        object["spec"]["volumeMode"] = json!("Filesystem");
    }
    push(&mut object["metadata"]["finalizers"], json!("kubernetes.io/pvc-protection"));
}

fn new_definition(resource: &Resource, object: &mut Value) -> Result<(), Failure> {
    if let Err(wrong) = super::catalog::custom(object) {
        return Err(Failure::invalid(resource, object["metadata"]["name"].as_str().unwrap_or_default(), &wrong));
    }
    push(&mut object["metadata"]["finalizers"], json!("customresourcecleanup.apiextensions.k8s.io"));
    object["status"] = json!({
        "conditions": [],
        "acceptedNames": { "plural": "", "kind": "" },
        "storedVersions": [super::catalog::custom(object).map(|custom| custom.storage).unwrap_or_default()],
    });
    Ok(())
}

/// What was given to an object once stays, where the new one does not name it.
pub(super) fn keep_allocated(resource: &Resource, old: &Value, new: &mut Value) {
    match (&*resource.group, &*resource.plural) {
        ("", "services") => {
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if new["spec"][field].is_null() || new["spec"][field] == "" {
                    new["spec"][field] = old["spec"][field].clone();
                }
            }
        }
        ("", "namespaces") => {
            new["spec"]["finalizers"] = old["spec"]["finalizers"].clone();
            new["metadata"]["labels"]["kubernetes.io/metadata.name"] = old["metadata"]["name"].clone();
        }
        ("", "persistentvolumeclaims") => {
            for field in ["storageClassName", "volumeMode", "volumeName"] {
                if new["spec"][field].is_null() && !old["spec"][field].is_null() {
                    new["spec"][field] = old["spec"][field].clone();
                }
            }
        }
        ("batch", "jobs") => {
            for path in ["selector", "template"] {
                let labels = &old["spec"][path]["metadata"]["labels"];
                if new["spec"][path].is_null() {
                    new["spec"][path] = old["spec"][path].clone();
                }
                for (label, value) in labels.as_object().into_iter().flatten() {
                    if new["spec"][path]["metadata"]["labels"][label].is_null() {
                        new["spec"][path]["metadata"]["labels"][label] = value.clone();
                    }
                }
            }
        }
        _ => {}
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn push(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(held) => held.push(item),
        None => *list = json!([item]),
    }
}
