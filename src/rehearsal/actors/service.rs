//! Services: an EndpointSlice and an Endpoints object with the pods that they select.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::object::Act;
use super::faults::Fault;
use super::offspring::{PODS, ready};
use super::scene::{Scene, holds, is, leaving, list, map_of, name, number, text, uid};

/// When what is listed has changed last.
const CHANGED: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// The collection of slices.
pub(super) const SLICES: &str = "discovery.k8s.io/endpointslices";

/// Brings a Service's addresses up to date.
pub(super) fn live(scene: &mut Scene<'_>) {
    let service = scene.object;
    let selector =
        service.pointer("/spec/selector").filter(|selector| selector.as_object().is_some_and(|map| !map.is_empty()));
    let Some(selector) = selector else { return };
    if scene.leaving() || text(service, "/spec/type") == "ExternalName" {
        return;
    }
    let pods: Vec<Arc<Value>> =
        scene.view.labelled(PODS, &scene.key.namespace, selector).into_iter().filter(|pod| serves(pod)).collect();
    let good = i64::try_from(pods.iter().filter(|pod| ready(pod)).count()).unwrap_or_default();
    if scene.strikes(Fault::LateEndpoint) && good > 0 {
        let rest = std::time::Duration::from_millis(1_500).saturating_sub(scene.lasting("ready", good));
        if !rest.is_zero() {
            return scene.after(rest);
        }
    }
    slice(scene, &pods);
    endpoints(scene, &pods);
}

/// Whether a pod has an address that can be told.
fn serves(pod: &Value) -> bool {
    !text(pod, "/status/podIP").is_empty() && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Writes the slice.
fn slice(scene: &mut Scene<'_>, pods: &[Arc<Value>]) {
    let always = is(scene.object, "/spec/publishNotReadyAddresses");
    let shown = pods.iter().map(|pod| {
        let (serving, ending) = (ready(pod), leaving(pod));
        let mut endpoint = json!({
            "addresses": [text(pod, "/status/podIP")],
            "conditions": {"ready": (serving && !ending) || always, "serving": serving || always, "terminating": ending},
            "nodeName": text(pod, "/spec/nodeName"),
            "targetRef": target(pod),
        });
        let (host, domain) = (text(pod, "/spec/hostname"), text(pod, "/spec/subdomain"));
        if !host.is_empty() && domain == &*scene.key.name {
            endpoint["hostname"] = json!(host);
        }
        endpoint
    });
    let shown: Vec<Value> = shown.collect();
    let (ports, shown) = match pods.first() {
        Some(pod) => (json!(ports(scene.object, pod, true)), json!(shown)),
        None => (Value::Null, Value::Null),
    };
    let slices = scene.view.controlled(SLICES, scene.uid());
    if let Some(old) = slices.first() {
        if old.get("endpoints").unwrap_or(&Value::Null) == &shown && old.get("ports").unwrap_or(&Value::Null) == &ports
        {
            return;
        }
        let stamp = scene.stamp();
        let patch = json!({
            "metadata": {"annotations": {CHANGED: stamp}},
            "endpoints": shown, "ports": ports,
        });
        let key = scene.key.beside(SLICES, name(old));
        return scene.act(Act::Merge { key, uid: uid(old).to_owned(), patch });
    }
    let service = &scene.key.name;
    let mut labels = map_of(scene.object, "/metadata/labels");
    labels["endpointslice.kubernetes.io/managed-by"] = json!("endpointslice-controller.k8s.io");
    labels["kubernetes.io/service-name"] = json!(&**service);
    if text(scene.object, "/spec/clusterIP") == "None" {
        labels["service.kubernetes.io/headless"] = json!("");
    }
    let full = format!("{service}-{}", scene.dice.suffix());
    let object = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": format!("{service}-"), "name": full, "namespace": &*scene.key.namespace, "labels": labels,
            "annotations": {CHANGED: scene.stamp()},
            "ownerReferences": [scene.controller()],
        },
        "addressType": "IPv4",
        "endpoints": shown,
        "ports": ports,
    });
    scene.create(SLICES, object);
}

/// A reference to a pod.
fn target(pod: &Value) -> Value {
    json!({"kind": "Pod", "namespace": text(pod, "/metadata/namespace"), "name": name(pod), "uid": uid(pod)})
}

/// The ports of a Service on a pod: of a slice, or of Endpoints, which leave out the name that is empty.
fn ports(service: &Value, pod: &Value, of_slice: bool) -> Vec<Value> {
    let found = list(service, "/spec/ports").iter().filter_map(|port| {
        let protocol = match text(port, "/protocol") {
            "" => "TCP",
            named => named,
        };
        let number = match port.get("targetPort") {
            None | Some(Value::Null) => number(port, "/port"),
            Some(Value::Number(number)) if number.as_i64() == Some(0) => self::number(port, "/port"),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(wanted)) => wanted.parse().ok().or_else(|| named_port(pod, wanted)),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
        }?;
        let mut shown = json!({"name": text(port, "/name"), "port": number, "protocol": protocol});
        if let Some(protocol) = port.get("appProtocol") {
            shown["appProtocol"] = protocol.clone();
        }
        if !of_slice && text(port, "/name").is_empty() {
            shown.as_object_mut()?.shift_remove("name");
        }
        Some(shown)
    });
    found.collect()
}

/// The number of a container's port by its name.
fn named_port(pod: &Value, wanted: &str) -> Option<i64> {
    let containers = list(pod, "/spec/containers").iter().chain(list(pod, "/spec/initContainers"));
    let mut ports = containers.flat_map(|container| list(container, "/ports"));
    ports.find(|port| text(port, "/name") == wanted).and_then(|port| number(port, "/containerPort"))
}

/// Writes the Endpoints object.
fn endpoints(scene: &mut Scene<'_>, pods: &[Arc<Value>]) {
    let always = is(scene.object, "/spec/publishNotReadyAddresses");
    let shown = |wanted: bool| {
        let some = pods.iter().filter(|pod| !leaving(pod) && (holds(pod, "Ready") || always) == wanted);
        let addresses = some.map(|pod| {
            let mut address = json!({
                "ip": text(pod, "/status/podIP"), "nodeName": text(pod, "/spec/nodeName"), "targetRef": target(pod),
            });
            let (host, domain) = (text(pod, "/spec/hostname"), text(pod, "/spec/subdomain"));
            if !host.is_empty() && domain == &*scene.key.name {
                address["hostname"] = json!(host);
            }
            address
        });
        addresses.collect::<Vec<_>>()
    };
    let mut subset = json!({});
    for (field, addresses) in [("addresses", shown(true)), ("notReadyAddresses", shown(false))] {
        if !addresses.is_empty() {
            subset[field] = json!(addresses);
        }
    }
    let subsets = match pods.first() {
        Some(pod) if subset.as_object().is_some_and(|map| !map.is_empty()) => {
            subset["ports"] = json!(ports(scene.object, pod, false));
            json!([subset])
        }
        Some(_) | None => Value::Null,
    };
    let key = scene.key.beside("/endpoints", &scene.key.name);
    let Some(old) = scene.view.get(&key) else {
        let mut labels = map_of(scene.object, "/metadata/labels");
        labels["endpoints.kubernetes.io/managed-by"] = json!("endpoint-controller");
        if text(scene.object, "/spec/clusterIP") == "None" {
            labels["service.kubernetes.io/headless"] = json!("");
        }
        let metadata = json!({"name": &*scene.key.name, "namespace": &*scene.key.namespace, "labels": labels, "annotations": {CHANGED: scene.stamp()}});
        let mut object = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata});
        if !subsets.is_null() {
            object["subsets"] = subsets;
        }
        return scene.create("/endpoints", object);
    };
    if old.get("subsets").unwrap_or(&Value::Null) != &subsets {
        scene.act(Act::Merge {
            key,
            uid: uid(&old).to_owned(),
            patch: json!({"metadata": {"annotations": {CHANGED: scene.stamp()}}, "subsets": subsets}),
        });
    }
}
