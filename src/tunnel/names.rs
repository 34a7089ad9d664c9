//! What a name means to a client in the cluster, as its DNS has it
//! (<https://github.com/kubernetes/dns/blob/master/docs/specification.md>). Pure.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use super::target::{addresses, is_ready, standing};
use crate::checks::Host;

/// Whom a name can stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Whoever is behind a Service.
    Service { name: String, namespace: String },
    /// The one endpoint of a Service that has this hostname.
    Endpoint { hostname: String, service: String, namespace: String },
}

/// Everything that a name can stand for in a namespace, in the order in which a pod's resolver tries it: the search path of
/// `dnsPolicy: ClusterFirst` begins with the namespace itself. Empty for what only the world outside can know.
pub(super) fn meanings(name: &str, namespace: &str) -> Vec<Meaning> {
    let labels = labels(name);
    if !labels.iter().all(|label| is_label(label)) {
        return Vec::new();
    }
    // What follows `svc` is the domain of the cluster, whichever that is.
    let ends = labels.iter().position(|label| *label == "svc").filter(|at| *at > 1);
    let service =
        |name: &str, namespace: &str| Meaning::Service { name: name.to_owned(), namespace: namespace.to_owned() };
    let endpoint = |hostname: &str, service: &str, namespace: &str| Meaning::Endpoint {
        hostname: hostname.to_owned(),
        service: service.to_owned(),
        namespace: namespace.to_owned(),
    };
    match (&labels[..ends.unwrap_or(labels.len())], ends) {
        ([name], _) => vec![service(name, namespace)],
        ([name, own], Some(_)) => vec![service(name, own)],
        ([first, second], None) => vec![endpoint(first, second, namespace), service(first, second)],
        ([hostname, service, own], _) => vec![endpoint(hostname, service, own)],
        _ => Vec::new(),
    }
}

fn labels(name: &str) -> Vec<&str> {
    name.trim_end_matches('.').split('.').collect()
}

/// What the name of a Service or a pod can have between its dots.
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
}

/// Whether a name that nobody in the cluster has can be one of the world outside: it has its dots, and no sign that it was meant for
/// the cluster.
pub(super) fn may_be_outside(name: &str, namespace: &str) -> bool {
    let labels = labels(name);
    labels.iter().all(|label| is_label(label)) && labels.len() > 2 && !labels.contains(&"svc") && labels[2] != namespace
}

/// The pod that is the endpoint with a hostname: only endpoints that are ready have a name, and one without a hostname of its own goes by
/// its address with dashes. `None` inside where the endpoint is no pod.
pub(super) fn with_hostname(hostname: &str, slices: &[EndpointSlice], namespace: &str) -> Option<Option<Host>> {
    let dashed = |address: &String| address.replace(['.', ':'], "-") == hostname;
    let goes_by = |endpoint: &&Endpoint| match &endpoint.hostname {
        Some(own) => own == hostname,
        None => endpoint.addresses.iter().any(dashed),
    };
    let mut endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let found = endpoints.find(|endpoint| is_ready(endpoint.conditions.as_ref()) && goes_by(endpoint))?;
    let pod = found.target_ref.as_ref().filter(|object| object.kind.as_deref() == Some("Pod"));
    Some(pod.and_then(|pod| Some(Host::Pod { name: pod.name.clone()?, namespace: Some(namespace.to_owned()) })))
}

/// Why no endpoint of a Service has a hostname, from the pod of that name.
pub(super) fn nameless(hostname: &str, service: &str, pod: Option<&Pod>) -> String {
    let begins = format!("no ready endpoint of Service {service} has the hostname {hostname}");
    let Some(pod) = pod else { return format!("{begins}, and there is no such pod") };
    match own_name(pod) {
        None => format!("{begins}: the pod {hostname} has no `hostname` and `subdomain`"),
        Some((_, subdomain)) if !service.ends_with(&format!("/{subdomain}")) => {
            format!("{begins}: the pod {hostname} has the subdomain {subdomain}")
        }
        Some(_) => format!("{begins}: pod {}", standing(pod)),
    }
}

/// The hostname of a pod, and the headless Service in which it has it. A StatefulSet gives both to its pods.
pub(super) fn own_name(pod: &Pod) -> Option<(&str, &str)> {
    let spec = pod.spec.as_ref()?;
    let set = |text: &'_ Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if !set(&spec.hostname) || !set(&spec.subdomain) {
        return None;
    }
    spec.hostname.as_deref().zip(spec.subdomain.as_deref())
}

/// The pod that has this address and has not ended.
pub(super) fn pod_at(address: IpAddr, pods: &[Pod], namespace: &str) -> Option<Host> {
    let found = pods.iter().find(|pod| addresses(pod).any(|own| own == address))?;
    Some(Host::Pod { name: found.metadata.name.clone()?, namespace: Some(namespace.to_owned()) })
}

/// The Service that has this address.
pub(super) fn service_at(address: IpAddr, services: &[Service]) -> Option<Host> {
    let has = |service: &&Service| {
        let spec = service.spec.iter();
        let mut written = spec.flat_map(|spec| spec.cluster_ip.iter().chain(spec.cluster_ips.iter().flatten()));
        written.any(|own| own.parse() == Ok(address))
    };
    let found = services.iter().find(has)?;
    Some(Host::Service { name: found.metadata.name.clone()?, namespace: found.metadata.namespace.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(meaning: &Meaning) -> String {
        match meaning {
            Meaning::Service { name, namespace } => format!("Service {namespace}/{name}"),
            Meaning::Endpoint { hostname, service, namespace } => format!("{hostname} of {namespace}/{service}"),
        }
    }

    #[test]
    fn a_name_is_tried_in_its_own_namespace_first_and_a_full_one_means_one_thing() {
        for (name, meant) in [
            ("redis", "Service data/redis"),
            ("redis-0.redis", "redis-0 of data/redis, Service redis/redis-0"),
            ("redis.other.svc", "Service other/redis"),
            ("redis.data.svc.cluster.local", "Service data/redis"),
            ("redis-0.redis.other", "redis-0 of other/redis"),
            ("redis-0.redis.data.svc.", "redis-0 of data/redis"),
            ("redis-0.redis.data.svc.corp.example", "redis-0 of data/redis"),
            ("b0.kafka.example.com", ""),
            ("redis/log", ""),
            ("", ""),
        ] {
            let meanings: Vec<String> = meanings(name, "data").iter().map(said).collect();
            assert_eq!(meanings.join(", "), meant, "{name}");
        }
    }

    #[test]
    fn what_was_meant_for_the_cluster_is_not_looked_for_outside() {
        for (name, outside) in [
            ("b0.kafka.example.com", true),
            ("kafka.example.com", true),
            ("localhost", false),
            ("kafka-0.kafka-hots", false),
            ("kafka-0.kafka-hots.data", false),
            ("kafka-0.kafka-hots.data.svc.cluster.local", false),
        ] {
            assert_eq!(may_be_outside(name, "data"), outside, "{name}");
        }
    }

    fn slice(endpoint: &Value) -> EndpointSlice {
        serde_json::from_value(json!({"metadata": {}, "addressType": "IPv4", "ports": [], "endpoints": [endpoint]}))
            .unwrap()
    }

    #[test]
    fn an_endpoint_goes_by_its_hostname_or_by_its_address_and_only_while_it_is_ready() {
        let reference = json!({"kind": "Pod", "name": "redis-0"});
        let own = json!({"addresses": ["10.0.0.1"], "hostname": "first", "targetRef": reference});
        let bare = json!({"addresses": ["10.0.0.1"], "targetRef": reference});
        let unready = json!({"addresses": ["10.0.0.1"], "hostname": "first", "conditions": {"ready": false}, "targetRef": reference});
        let foreign = json!({"addresses": ["10.0.0.1"], "hostname": "first"});
        let pod = Host::Pod { name: "redis-0".to_owned(), namespace: Some("data".to_owned()) };
        for (endpoint, hostname, found) in [
            (&own, "first", Some(Some(pod.clone()))),
            (&own, "redis-0", None),
            (&own, "10-0-0-1", None),
            (&bare, "10-0-0-1", Some(Some(pod))),
            (&unready, "first", None),
            (&foreign, "first", Some(None)),
        ] {
            assert_eq!(with_hostname(hostname, &[slice(endpoint)], "data"), found, "{hostname} of {endpoint}");
        }
    }

    fn pod(name: &str, spec: &Value, status: &Value) -> Pod {
        let spec = json!({"containers": [], "hostname": spec["hostname"], "subdomain": spec["subdomain"]});
        serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec, "status": status})).unwrap()
    }

    #[test]
    fn a_hostname_that_nobody_has_says_what_became_of_the_pod() {
        let why = |pod: Option<&Pod>| nameless("redis-0", "data/redis", pod);
        let begins = "no ready endpoint of Service data/redis has the hostname redis-0";
        let of = |subdomain: &str| {
            pod("redis-0", &json!({"hostname": "redis-0", "subdomain": subdomain}), &json!({"phase": "Pending"}))
        };
        assert_eq!(why(None), format!("{begins}, and there is no such pod"));
        assert_eq!(why(Some(&of("redis"))), format!("{begins}: pod redis-0 is Pending"));
        assert_eq!(why(Some(&of("redsi"))), format!("{begins}: the pod redis-0 has the subdomain redsi"));
        assert_eq!(why(Some(&of(""))), format!("{begins}: the pod redis-0 has no `hostname` and `subdomain`"));
    }

    #[test]
    fn an_address_is_that_of_a_pod_that_lives_or_of_a_service() {
        let two = json!({"phase": "Running", "podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}, {"ip": "fd00::2"}]});
        let pods = [
            pod("redis-1", &json!({}), &two),
            pod("done", &json!({}), &json!({"phase": "Succeeded", "podIP": "10.0.0.3"})),
        ];
        let at = |address: &str| pod_at(address.parse().unwrap(), &pods, "data");
        let redis = Host::Pod { name: "redis-1".to_owned(), namespace: Some("data".to_owned()) };
        assert_eq!([at("10.0.0.2"), at("fd00::2")], [Some(redis.clone()), Some(redis)]);
        assert_eq!([at("10.0.0.3"), at("10.0.0.9")], [None, None]);
        let spec = json!({"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00::7"], "ports": []});
        let service = json!({"metadata": {"name": "redis", "namespace": "data"}, "spec": spec});
        let services = [serde_json::from_value(service).unwrap()];
        let at = |address: &str| service_at(address.parse().unwrap(), &services);
        let redis = Host::Service { name: "redis".to_owned(), namespace: Some("data".to_owned()) };
        assert_eq!([at("10.96.0.7"), at("fd00::7")], [Some(redis.clone()), Some(redis)]);
        assert_eq!(at("10.96.0.8"), None);
    }
}
