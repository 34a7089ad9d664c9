//! The rules of what runs: pods, and what makes pods.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::admit::{labels, port_number, protocol, unchanged};
use super::error::FieldError;
use super::names;

/// Everything that is wrong with a workload; any other kind has nothing wrong here.
pub(super) fn admit(group: &str, kind: &str, old: Option<&Value>, new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let before = old.map(|old| &old["spec"]);
    match (group, kind) {
        ("", "Pod") => pod(before, spec, errors),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") => set(kind, before, spec, errors),
        ("batch", "Job") => job(before, spec, "spec", errors),
        ("batch", "CronJob") => {
            if spec["schedule"].as_str().is_none_or(str::is_empty) {
                errors.push(FieldError::required("spec.schedule", ""));
            }
            job(None, &spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", errors);
        }
        _ => {}
    }
}

/// A pod, of which little may change.
fn pod(old: Option<&Value>, new: &Value, errors: &mut Vec<FieldError>) {
    pod_spec(new, "spec", errors);
    let Some(old) = old else { return };
    let bare = |spec: &Value| {
        let mut spec = spec.clone();
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(container) = container.as_object_mut() {
                    container.remove("image");
                    // Which follows from the image, where nobody wrote it.
                    container.remove("imagePullPolicy");
                }
            }
        }
        if let Some(spec) = spec.as_object_mut() {
            for field in ["activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "schedulingGates"] {
                spec.remove(field);
            }
            // The scheduler says it once.
            if old["nodeName"].as_str().is_none_or(str::is_empty) {
                spec.remove("nodeName");
            }
        }
        spec
    };
    if bare(old) != bare(new) {
        let said = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
                    `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
                    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        errors.push(FieldError::forbidden("spec", said));
    }
}

/// A deployment, or another of the four that keep pods running.
fn set(kind: &str, old: Option<&Value>, new: &Value, errors: &mut Vec<FieldError>) {
    if let Some(replicas) = new["replicas"].as_i64().filter(|replicas| *replicas < 0) {
        let said = "must be greater than or equal to 0";
        errors.push(FieldError::invalid("spec.replicas", replicas.into(), said));
    }
    selector(kind, new, errors);
    pod_template(&new["template"], "spec.template", errors);
    if kind == "Deployment" {
        strategy(&new["strategy"], errors);
    }
    let restart = &new["template"]["spec"]["restartPolicy"];
    if restart != "Always" {
        let at = "spec.template.spec.restartPolicy";
        errors.push(FieldError::not_supported(at, restart.clone(), &["Always".into()]));
    }
    let Some(old) = old else { return };
    if kind != "StatefulSet" {
        unchanged(&old["selector"], &new["selector"], "spec.selector", errors);
        return;
    }
    let changes = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fixed = |spec: &Value| {
        let mut spec = spec.as_object().cloned().unwrap_or_default();
        spec.retain(|name, _| !changes.contains(&name.as_str()));
        // What a controller has said of a claim is no part of what was asked for.
        for claim in spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten() {
            claim.as_object_mut().map(|claim| claim.remove("status"));
        }
        spec
    };
    if fixed(old) != fixed(new) {
        let said = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
                    'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden("spec", said));
    }
}

/// How a deployment replaces its pods.
fn strategy(strategy: &Value, errors: &mut Vec<FieldError>) {
    let kind = strategy["type"].as_str().unwrap_or_default();
    let known = ["Recreate", "RollingUpdate"];
    if kind == "Recreate" && strategy.get("rollingUpdate").is_some() {
        let said = "may not be specified when strategy `type` is 'Recreate'";
        errors.push(FieldError::forbidden("spec.strategy.rollingUpdate", said));
    } else if !known.contains(&kind) {
        let shown = json!({ "Type": kind, "RollingUpdate": strategy["rollingUpdate"] });
        errors.push(FieldError::not_supported("spec.strategy", shown, &known.map(Value::from)));
    }
}

/// What is selected must be what the template makes.
fn selector(kind: &str, spec: &Value, errors: &mut Vec<FieldError>) {
    let selector = &spec["selector"];
    let matched = &spec["template"]["metadata"]["labels"];
    let Some(fields) = selector.as_object() else {
        errors.push(FieldError::required("spec.selector", ""));
        if kind != "DaemonSet" {
            return not_matched(matched, errors);
        }
        return;
    };
    labels(&selector["matchLabels"], "spec.selector.matchLabels", errors);
    if fields.is_empty() {
        let whom = match kind {
            "StatefulSet" => "statefulset",
            "DaemonSet" => "daemonset",
            _ => "deployment",
        };
        let said = format!("empty selector is invalid for {whom}");
        errors.push(FieldError::invalid("spec.selector", selector.clone(), said));
    } else if !selects(selector, matched) {
        not_matched(matched, errors);
    }
}

/// That the template's labels are not those that are selected.
fn not_matched(labels: &Value, errors: &mut Vec<FieldError>) {
    let said = "`selector` does not match template `labels`";
    let mut shown = labels.clone();
    if let Some(labels) = shown.as_object_mut() {
        labels.sort_keys();
    }
    errors.push(FieldError::invalid("spec.template.metadata.labels", shown, said));
}

/// Whether a selector selects these labels.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object();
    wanted.into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
        && selector["matchExpressions"].as_array().into_iter().flatten().all(|rule| {
            let found = rule["key"].as_str().and_then(|key| labels.get(key));
            let listed = || rule["values"].as_array().is_some_and(|values| found.is_some_and(|v| values.contains(v)));
            match rule["operator"].as_str().unwrap_or_default() {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

/// A job, whose pods are what they were made as.
fn job(old: Option<&Value>, new: &Value, at: &str, errors: &mut Vec<FieldError>) {
    pod_template(&new["template"], &format!("{at}.template"), errors);
    let restart = new["template"]["spec"]["restartPolicy"].as_str().unwrap_or_default();
    let path = format!("{at}.template.spec.restartPolicy");
    match restart {
        "OnFailure" | "Never" => {}
        "" | "Always" => errors.push(FieldError::required(path, "valid values: \"OnFailure\", \"Never\"")),
        other => {
            let known = ["OnFailure", "Never"].map(Value::from);
            errors.push(FieldError::not_supported(path, other.into(), &known));
        }
    }
    for field in ["parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"] {
        if let Some(number) = new[field].as_i64().filter(|number| *number < 0) {
            let said = "must be greater than or equal to 0";
            errors.push(FieldError::invalid(format!("{at}.{field}"), number.into(), said));
        }
    }
    let Some(old) = old else { return };
    for field in ["completions", "selector", "template", "completionMode", "podFailurePolicy", "backoffLimitPerIndex"] {
        unchanged(&old[field], &new[field], &format!("{at}.{field}"), errors);
    }
}

/// What pods are made from.
fn pod_template(template: &Value, path: &str, errors: &mut Vec<FieldError>) {
    labels(&template["metadata"]["labels"], &format!("{path}.labels"), errors);
    pod_spec(&template["spec"], &format!("{path}.spec"), errors);
}

/// What a pod runs.
fn pod_spec(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let mut volumes = HashSet::new();
    for (index, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let name = volume["name"].as_str().unwrap_or_default();
        let at = format!("{path}.volumes[{index}].name");
        if name.is_empty() {
            errors.push(FieldError::required(at, ""));
        } else {
            let wrong = names::label(name);
            errors.extend(wrong.into_iter().map(|said| FieldError::invalid(at.clone(), name.into(), said)));
            if !volumes.insert(name) {
                errors.push(FieldError::duplicate(at, name.into()));
            }
        }
    }
    for (index, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let kinds = volume.as_object().into_iter().flat_map(Map::keys).filter(|name| *name != "name");
        only_one(kinds, &SOURCES, &format!("{path}.volumes[{index}]"), "volume type", errors);
    }
    let mut seen = HashSet::new();
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        errors.push(FieldError::required(format!("{path}.containers"), ""));
    }
    for list in ["containers", "initContainers"] {
        for (index, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let at = format!("{path}.{list}[{index}]");
            let name = container["name"].as_str().unwrap_or_default();
            if !name.is_empty() && !seen.insert(name.to_owned()) {
                errors.push(FieldError::duplicate(format!("{at}.name"), name.into()));
            }
            one_container(container, &at, &volumes, errors);
        }
    }
    let known = ["Always", "OnFailure", "Never"].map(Value::from);
    if !known.contains(&spec["restartPolicy"]) {
        errors.push(FieldError::not_supported(format!("{path}.restartPolicy"), spec["restartPolicy"].clone(), &known));
    }
}

/// The volume sources that are met in practice, in the order in which Kubernetes looks at them.
const SOURCES: [&str; 10] = [
    "emptyDir",
    "hostPath",
    "secret",
    "nfs",
    "persistentVolumeClaim",
    "downwardAPI",
    "configMap",
    "projected",
    "csi",
    "ephemeral",
];

/// Of some alternatives one may be given.
fn only_one<'a>(
    given: impl Iterator<Item = &'a String>,
    order: &[&str],
    path: &str,
    what: &str,
    errors: &mut Vec<FieldError>,
) {
    let given: HashSet<&str> = given.map(String::as_str).collect();
    for name in order.iter().filter(|name| given.contains(**name)).skip(1) {
        errors.push(FieldError::forbidden(format!("{path}.{name}"), format!("may not specify more than 1 {what}")));
    }
}

/// One container.
fn one_container(container: &Value, at: &str, volumes: &HashSet<&str>, errors: &mut Vec<FieldError>) {
    let name = container["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        errors.push(FieldError::required(format!("{at}.name"), ""));
    } else {
        let wrong = names::label(name);
        errors.extend(wrong.into_iter().map(|said| FieldError::invalid(format!("{at}.name"), name.into(), said)));
    }
    if container["image"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required(format!("{at}.image"), ""));
    }
    let mut port_names = HashSet::new();
    for (index, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{at}.ports[{index}]");
        if let Some(name) = port["name"].as_str().filter(|name| !name.is_empty() && !port_names.insert(*name)) {
            errors.push(FieldError::duplicate(format!("{at}.name"), name.into()));
        }
        match port["containerPort"].as_i64() {
            None | Some(0) => errors.push(FieldError::required(format!("{at}.containerPort"), "")),
            Some(_) => port_number(&port["containerPort"], &format!("{at}.containerPort"), errors),
        }
        protocol(&port["protocol"], &format!("{at}.protocol"), errors);
    }
    for (index, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
        if variable["name"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(format!("{at}.env[{index}].name"), ""));
        }
        let both =
            variable["value"].as_str().is_some_and(|value| !value.is_empty()) && variable.get("valueFrom").is_some();
        if both {
            let said = "may not be specified when `value` is not empty";
            errors.push(FieldError::invalid(format!("{at}.env[{index}].valueFrom"), "".into(), said));
        }
    }
    for (index, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{at}.volumeMounts[{index}]");
        let name = mount["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.push(FieldError::required(format!("{at}.name"), ""));
        }
        if !volumes.contains(name) {
            errors.push(FieldError::not_found(format!("{at}.name"), name.into()));
        }
        if mount["mountPath"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(format!("{at}.mountPath"), ""));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let given = container[probe].as_object().into_iter().flat_map(Map::keys);
        only_one(given, &["exec", "httpGet", "tcpSocket", "grpc"], &format!("{at}.{probe}"), "handler type", errors);
        for action in ["httpGet", "tcpSocket"] {
            let Some(action_fields) = container[probe].get(action) else { continue };
            if action_fields["port"].is_null() || action_fields["port"].is_number() {
                port_number(&action_fields["port"], &format!("{at}.{probe}.{action}.port"), errors);
            }
        }
    }
    requests(&container["resources"], at, errors);
}

/// What a container asks for may not be more than what it may use.
fn requests(resources: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let none = Map::new();
    let limits = resources["limits"].as_object().unwrap_or(&none);
    for (name, asked) in resources["requests"].as_object().into_iter().flatten() {
        let Some(limit) = limits.get(name) else { continue };
        if super::quantity::exceeds(asked, limit) {
            let shown = limit.as_str().unwrap_or_default();
            let said = format!("must be less than or equal to {name} limit of {shown}");
            errors.push(FieldError::invalid(format!("{at}.resources.requests"), asked.clone(), said));
        }
    }
}
