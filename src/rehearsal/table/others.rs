//! What is neither a workload, nor a way to one, nor storage.

use serde_json::{Value, json};

use super::Layout;
use super::glance::{Glance, bare, containers, human, labels};

/// The columns of these kinds.
pub(super) fn layout(plural: &str) -> Option<Layout> {
    Some(match plural {
        "namespaces" => ("Name|Status|Age", namespace),
        "nodes" => (
            "Name|Status|Roles|Age|Version|*Internal-IP|*External-IP|*OS-Image|*Kernel-Version|*Container-Runtime",
            node,
        ),
        "events" => ("Last Seen|Type|Reason|Object|*Subobject|*Source|Message|*First Seen|*Count|*Name", event),
        "configmaps" => ("Name|Data|Age", config_map),
        "secrets" => ("Name|Type|Data|Age", secret),
        // The number of secrets was taken out with 1.35 (kubernetes/kubernetes#117160).
        "serviceaccounts" => ("Name|Secrets|Age", service_account),
        "podtemplates" => ("Name|Containers|Images|Pod Labels", pod_template),
        "resourcequotas" => ("Name|Request|Limit|Age", quota),
        "leases" => ("Name|Holder|Age", lease),
        "rolebindings" | "clusterrolebindings" => ("Name|Role|Age|*Users|*Groups|*ServiceAccounts", binding),
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => ("Name|#Webhooks|Age", webhooks),
        "apiservices" => ("Name|Service|Available|Age", api_service),
        "certificatesigningrequests" => ("Name|Age|SignerName|Requestor|RequestedDuration|Condition", signing_request),
        "priorityclasses" => ("Name|#Value|?Global-Default|Age|PreemptionPolicy", priority_class),
        "runtimeclasses" => ("Name|Handler|Age", runtime_class),
        _ => return None,
    })
}

/// The cells of a kind that no printer knows: the moment itself, not how long ago it was.
pub(super) fn unknown(glance: &Glance<'_>) -> Value {
    json!([glance.name(), glance.text("/metadata/creationTimestamp")])
}

fn namespace(glance: &Glance<'_>) -> Value {
    json!([glance.name(), glance.text("/status/phase"), glance.age()])
}

fn node(glance: &Glance<'_>) -> Value {
    let ready = glance.list("/status/conditions").iter().find(|condition| condition["type"] == "Ready");
    let mut status = match ready {
        Some(ready) if ready["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if glance.at("/spec/unschedulable") == true {
        status.push_str(",SchedulingDisabled");
    }
    let address = |kind: &str| {
        let found = glance.list("/status/addresses").iter().find(|address| address["type"] == kind);
        found.map_or_else(|| "<none>".to_owned(), |address| bare(&address["address"]))
    };
    json!([
        glance.name(),
        status,
        roles(glance),
        glance.age(),
        glance.text("/status/nodeInfo/kubeletVersion"),
        address("InternalIP"),
        address("ExternalIP"),
        glance.text_or("/status/nodeInfo/osImage", "<unknown>"),
        glance.text_or("/status/nodeInfo/kernelVersion", "<unknown>"),
        glance.text_or("/status/nodeInfo/containerRuntimeVersion", "<unknown>"),
    ])
}

fn roles(glance: &Glance<'_>) -> String {
    let labels = glance.at("/metadata/labels").as_object().into_iter().flatten();
    let mut roles: Vec<&str> = labels
        .filter_map(|(label, value)| match label.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if label == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

fn event(glance: &Glance<'_>) -> Value {
    let first = match glance.some("/firstTimestamp") {
        Some(_) => glance.since("/firstTimestamp"),
        None => glance.since("/eventTime"),
    };
    let series = glance.some("/series").is_some();
    let last = match glance.some("/lastTimestamp") {
        _ if series => glance.since("/series/lastObservedTime"),
        Some(_) => glance.since("/lastTimestamp"),
        None => first.clone(),
    };
    let count = match glance.number("/count") {
        _ if series => glance.number("/series/count"),
        0 => 1,
        count => count,
    };
    let kind = glance.text("/involvedObject/kind").to_lowercase();
    let object = match glance.text("/involvedObject/name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    json!([
        last,
        glance.text("/type"),
        glance.text("/reason"),
        object,
        glance.text("/involvedObject/fieldPath"),
        source(glance),
        glance.text("/message").trim(),
        first,
        count,
        glance.name(),
    ])
}

fn source(glance: &Glance<'_>) -> String {
    let either = |one, other| match glance.text(one) {
        "" => glance.text(other),
        text => text,
    };
    let component = either("/source/component", "/reportingComponent");
    match either("/source/host", "/reportingInstance") {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    }
}

fn config_map(glance: &Glance<'_>) -> Value {
    json!([glance.name(), glance.count("/data") + glance.count("/binaryData"), glance.age()])
}

fn secret(glance: &Glance<'_>) -> Value {
    json!([glance.name(), glance.text("/type"), glance.count("/data"), glance.age()])
}

fn service_account(glance: &Glance<'_>) -> Value {
    json!([glance.name(), glance.count("/secrets"), glance.age()])
}

fn pod_template(glance: &Glance<'_>) -> Value {
    let (names, images) = containers(glance.at("/template/spec"));
    json!([glance.name(), names, images, labels(glance.at("/template/metadata/labels"))])
}

fn quota(glance: &Glance<'_>) -> Value {
    let mut hard: Vec<(&String, &Value)> = glance.at("/status/hard").as_object().into_iter().flatten().collect();
    hard.sort_unstable_by_key(|(resource, _)| *resource);
    let used = glance.at("/status/used");
    let part = |limits: bool| {
        let of = hard.iter().filter(|(resource, _)| resource.starts_with("limits.") == limits);
        let words = |(resource, hard): &(&String, &Value)| {
            let used = used.get(resource.as_str()).map_or_else(|| "0".to_owned(), bare);
            format!("{resource}: {used}/{}", bare(hard))
        };
        of.map(words).collect::<Vec<_>>().join(", ")
    };
    json!([glance.name(), part(false), part(true), glance.age()])
}

fn lease(glance: &Glance<'_>) -> Value {
    json!([glance.name(), glance.text("/spec/holderIdentity"), glance.age()])
}

fn binding(glance: &Glance<'_>) -> Value {
    let subjects = |kind: &str| {
        let of = glance.list("/subjects").iter().filter(|subject| subject["kind"] == kind);
        let name = |subject: &Value| match subject["namespace"].as_str().unwrap_or_default() {
            "" => bare(&subject["name"]),
            namespace => format!("{namespace}/{}", bare(&subject["name"])),
        };
        of.map(name).collect::<Vec<_>>().join(", ")
    };
    json!([
        glance.name(),
        format!("{}/{}", glance.text("/roleRef/kind"), glance.text("/roleRef/name")),
        glance.age(),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ])
}

fn webhooks(glance: &Glance<'_>) -> Value {
    json!([glance.name(), glance.count("/webhooks"), glance.age()])
}

fn api_service(glance: &Glance<'_>) -> Value {
    let place = |service: &Value| format!("{}/{}", bare(&service["namespace"]), bare(&service["name"]));
    let service = glance.some("/spec/service").map_or_else(|| "Local".to_owned(), place);
    let condition = glance.list("/status/conditions").iter().find(|condition| condition["type"] == "Available");
    let available = match condition {
        None => "Unknown".to_owned(),
        Some(condition) if condition["status"] == "True" => "True".to_owned(),
        Some(condition) => format!("{} ({})", bare(&condition["status"]), bare(&condition["reason"])),
    };
    json!([glance.name(), service, available, glance.age()])
}

fn signing_request(glance: &Glance<'_>) -> Value {
    let has = |kind: &str| glance.list("/status/conditions").iter().any(|condition| condition["type"] == kind);
    let mut words = vec![match () {
        () if has("Denied") => "Denied",
        () if has("Approved") => "Approved",
        () => "Pending",
    }];
    words.extend(has("Failed").then_some("Failed"));
    words.extend((!glance.text("/status/certificate").is_empty()).then_some("Issued"));
    let asked = glance.at("/spec/expirationSeconds").as_i64();
    json!([
        glance.name(),
        glance.age(),
        glance.text_or("/spec/signerName", "<none>"),
        glance.text("/spec/username"),
        asked.map_or_else(|| "<none>".to_owned(), human),
        words.join(","),
    ])
}

fn priority_class(glance: &Glance<'_>) -> Value {
    json!([
        glance.name(),
        glance.number("/value"),
        glance.at("/globalDefault") == true,
        glance.age(),
        glance.text_or("/preemptionPolicy", "PreemptLowerPriority"),
    ])
}

fn runtime_class(glance: &Glance<'_>) -> Value {
    json!([glance.name(), glance.text("/handler"), glance.age()])
}
