//! Admission webhooks: whether one is asked about a write, whether it can be reached, and what it says
//! (`k8s.io/apiserver/pkg/admission/plugin/webhook`).
//!
//! Nothing is sent: one that validates denies what the pods behind its Service are annotated with ([`DENIES`]), and accepts the rest;
//! one that would change objects accepts each as it is. Its certificate is taken for trusted. Not asked are webhooks outside the
//! cluster, those with `matchConditions` (CEL), and any about a deletion.

use serde::Deserialize;
use serde_json::{Value, json};

use super::cluster::State;
use super::failure::Failure;
use super::object::{Key, View as _};
use super::schema::selects;
use super::write::Write;

/// What a pod is annotated with that serves a webhook: a list in YAML of what it denies, each with `where`, the part of an object
/// that makes it one of those, and `says`, why.
pub const DENIES: &str = "rehearsal.seaworthy.dev/denies";

/// The collections whose objects are asked about, in the order in which the server does, each with whether its webhooks deny.
const CONFIGURATIONS: [(&str, bool); 2] = [
    ("admissionregistration.k8s.io/mutatingwebhookconfigurations", false),
    ("admissionregistration.k8s.io/validatingwebhookconfigurations", true),
];

/// Something that a webhook denies.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Denied {
    r#where: Value,
    says: String,
}

/// Asks every webhook that is meant for a write.
///
/// # Errors
/// What the first one says that does not accept the object, or that one which must be asked cannot be.
pub(super) fn ask(state: &State, write: &Write, old: Option<&Value>, new: &Value) -> Result<(), Failure> {
    // Or a webhook that cannot be reached could not be taken away.
    if &*write.resource.group == "admissionregistration.k8s.io" {
        return Ok(());
    }
    for (collection, denies) in CONFIGURATIONS {
        for configuration in state.store.list(collection, None) {
            for webhook in items(&configuration["webhooks"]).filter(|webhook| is_meant(state, webhook, write, old, new))
            {
                call(state, webhook, denies, new)?;
            }
        }
    }
    Ok(())
}

fn is_meant(state: &State, webhook: &Value, write: &Write, old: Option<&Value>, new: &Value) -> bool {
    let labels = |object: &Value| object["metadata"]["labels"].clone();
    let within = match (&*write.resource.plural, write.namespace.as_deref()) {
        ("namespaces", _) => Some(labels(new)),
        (_, Some(namespace)) => state.store.get(&Key::new("/namespaces", "", namespace)).map(|found| labels(&found)),
        (_, None) => None,
    };
    let mut objects = [Some(new), old].into_iter().flatten();
    webhook["clientConfig"]["service"].is_object()
        && webhook["matchConditions"].as_array().is_none_or(Vec::is_empty)
        && items(&webhook["rules"]).any(|rule| covers(rule, write, if old.is_some() { "UPDATE" } else { "CREATE" }))
        && within.is_none_or(|labels| selects(&webhook["namespaceSelector"], &labels))
        && objects.any(|object| selects(&webhook["objectSelector"], &labels(object)))
}

/// Whether a rule is about a write (`plugin/webhook/predicates/rules`). Which version is written does not matter, as by default
/// (`matchPolicy: Equivalent`).
fn covers(rule: &Value, write: &Write, operation: &str) -> bool {
    let is = |item: &str, wanted: &str| item == "*" || item == wanted;
    let among = |list: &str, wanted: &str| items(&rule[list]).filter_map(Value::as_str).any(|item| is(item, wanted));
    let is_path = |item: &str| {
        let (plural, part) = item.split_once('/').unwrap_or((item, ""));
        is(plural, &write.resource.plural) && is(part, write.part)
    };
    let scope = if write.resource.namespaced { "Namespaced" } else { "Cluster" };
    among("operations", operation)
        && among("apiGroups", &write.resource.group)
        && items(&rule["resources"]).filter_map(Value::as_str).any(is_path)
        && rule["scope"].as_str().is_none_or(|wanted| is(wanted, scope))
}

fn call(state: &State, webhook: &Value, denies: bool, object: &Value) -> Result<(), Failure> {
    let name = webhook["name"].as_str().unwrap_or_default();
    match serving(state, &webhook["clientConfig"]["service"]) {
        Ok(denied) => match denied.iter().find(|denied| denies && has(object, &denied.r#where)) {
            Some(Denied { says, .. }) => {
                let message = format!("admission webhook \"{name}\" denied the request: {says}");
                Err(Failure::new(403, "Forbidden", message))
            }
            None => Ok(()),
        },
        Err(_) if webhook["failurePolicy"] == "Ignore" => Ok(()),
        Err(why) => {
            let message = format!("failed calling webhook \"{name}\": {}", reached_for(webhook, &why));
            let details = json!({ "causes": [{ "message": message }] });
            Err(Failure {
                details,
                ..Failure::new(500, "InternalError", format!("Internal error occurred: {message}"))
            })
        }
    }
}

/// Why a webhook is not reached, with its place as the server's client writes it.
fn reached_for(webhook: &Value, why: &str) -> String {
    let service = &webhook["clientConfig"]["service"];
    let text = |field: &str| service[field].as_str().unwrap_or_default();
    let (name, namespace, path) = (text("name"), text("namespace"), text("path"));
    let port = service["port"].as_u64().unwrap_or(443);
    let seconds = webhook["timeoutSeconds"].as_u64().unwrap_or(10);
    format!(
        "failed to call webhook: Post \"https://{name}.{namespace}.svc:{port}/{}?timeout={seconds}s\": {why}",
        path.trim_start_matches('/')
    )
}

/// What the webhook behind a Service denies; else why nobody answers there.
fn serving(state: &State, service: &Value) -> Result<Vec<Denied>, String> {
    let text = |field: &str| service[field].as_str().unwrap_or_default();
    let (name, namespace) = (text("name"), text("namespace"));
    let port = service["port"].as_u64().unwrap_or(443);
    let found = state.store.get(&Key::new("/services", namespace, name));
    let found = found.ok_or_else(|| format!("service \"{name}\" not found"))?;
    if !items(&found["spec"]["ports"]).any(|served| served["port"] == port) {
        return Err(format!("no service port {port} found for service \"{name}\""));
    }
    let label = json!({ "kubernetes.io/service-name": name });
    let slices = state.store.labelled("discovery.k8s.io/endpointslices", namespace, &label);
    let mut endpoints = slices.iter().flat_map(|slice| items(&slice["endpoints"]));
    let pod = endpoints
        .find(|endpoint| endpoint["conditions"]["ready"] != false)
        .and_then(|endpoint| endpoint["targetRef"]["name"].as_str())
        .and_then(|pod| state.store.get(&Key::new("/pods", namespace, pod)));
    let Some(pod) = pod else {
        let address = found["spec"]["clusterIP"].as_str().unwrap_or_default();
        return Err(format!("dial tcp {address}:{port}: connect: connection refused"));
    };
    match pod["metadata"]["annotations"][DENIES].as_str() {
        Some(text) => {
            serde_saphyr::from_str(text).map_err(|error| format!("the annotation {DENIES} cannot be read: {error}"))
        }
        None => Ok(Vec::new()),
    }
}

/// Whether an object has all that is in a part of one.
fn has(object: &Value, part: &Value) -> bool {
    match part.as_object() {
        Some(fields) => fields.iter().all(|(name, part)| object.get(name).is_some_and(|object| has(object, part))),
        None => object == part,
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::super::catalog::Catalog;
    use super::super::write::Validation;
    use super::*;

    fn write(part: &'static str) -> Write {
        Write {
            resource: Catalog::new().find("apps", "v1", "deployments").unwrap(),
            version: "v1".to_owned(),
            namespace: Some("data".to_owned()),
            part,
            manager: "test".to_owned(),
            validation: Validation::Ignore,
            dry_run: false,
            force: false,
        }
    }

    #[test]
    fn a_rule_is_about_writes_of_its_operations_groups_resources_and_scope() {
        let rule = |changes: &[(&str, Value)]| {
            let mut rule = json!({ "operations": ["CREATE"], "apiGroups": ["apps"], "resources": ["deployments"] });
            changes.iter().for_each(|(name, value)| rule[*name] = value.clone());
            rule
        };
        let covered = |changes: &[(&str, Value)], part| covers(&rule(changes), &write(part), "CREATE");
        assert!(covered(&[], ""));
        assert!(covered(
            &[("operations", json!(["*"])), ("apiGroups", json!(["*"])), ("scope", json!("Namespaced"))],
            ""
        ));
        assert!(!covered(&[("operations", json!(["UPDATE"]))], ""));
        assert!(!covered(&[("apiGroups", json!([""]))], ""));
        assert!(!covered(&[("scope", json!("Cluster"))], ""));
        for (item, whole, status) in [
            ("deployments/*", true, true),
            ("*", true, false),
            ("*/*", true, true),
            ("deployments/status", false, true),
        ] {
            let changes = [("resources", json!([item]))];
            assert_eq!((covered(&changes, ""), covered(&changes, "status")), (whole, status), "{item}");
        }
    }

    #[test]
    fn a_part_of_an_object_is_found_in_it_whatever_else_it_has() {
        let gadget = json!({ "kind": "Gadget", "spec": { "size": 0, "parts": [1] } });
        assert!(has(&gadget, &json!({})) && has(&gadget, &json!({ "spec": { "size": 0 } })));
        assert!(!has(&gadget, &json!({ "spec": { "size": 1 } })) && !has(&gadget, &json!({ "spec": { "colour": 1 } })));
    }
}
