//! From a Service and its EndpointSlices to the pods behind one of its ports. Pure.

use std::fmt;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::DialError;
use crate::checks::{Address, Host};

/// A port of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) port: u16,
    /// Where a Service leads to it, of what is reached through one.
    pub(super) ip: Option<IpAddr>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {} of pod {}/{}", self.port, self.namespace, self.pod)
    }
}

impl Target {
    /// It as an address of its own.
    pub(super) fn address(self) -> Address {
        Address { host: Host::Pod { name: self.pod, namespace: Some(self.namespace) }, port: self.port }
    }

    /// What the kubelet's word about an unusable port means.
    pub(super) fn told(&self, words: &str) -> DialError {
        if words.to_lowercase().contains("connection refused") {
            return DialError::Refused(format!("nothing listens on {self}: connection refused"));
        }
        DialError::Lost(format!("cannot forward to {self}: {}", words.trim()))
    }
}

/// The ready pods behind a Service's port, by name. Ports that are named are resolved as the cluster has resolved them. Nothing
/// resolves the port of a Service that has no address of its own: clients find its pods by DNS, and dial the port that they mean.
///
/// # Errors
/// `Missing` for a port that the Service does not have, `Podless` for a Service that leads to something else than pods. No
/// ready pod is no error here: the list is empty.
pub(super) fn targets(service: &Service, slices: &[EndpointSlice], port: u16) -> Result<Vec<Target>, DialError> {
    let name = full_name(service);
    let spec = service.spec.clone().unwrap_or_default();
    if let Some(external) = spec.external_name.filter(|_| spec.type_.as_deref() == Some("ExternalName")) {
        return Err(DialError::Podless(format!(
            "Service {name} only stands for {external}; dial `host/{external}:{port}` instead"
        )));
    }
    let mut found: Vec<Target> = if spec.cluster_ip.as_deref() == Some("None") {
        slices.iter().flat_map(|slice| pods_at(slice, port)).collect()
    } else {
        let wanted = tcp_port(service, port).ok_or_else(|| {
            let ports = list_ports(&spec.ports.unwrap_or_default());
            DialError::Missing(format!("Service {name} has no TCP port {port}; it has {ports}"))
        })?;
        slices.iter().flat_map(|slice| pods_of(slice, wanted)).collect()
    };
    found.sort();
    // With two families of addresses a pod is in two slices.
    found.dedup_by(|one, other| (&one.namespace, &one.pod, one.port) == (&other.namespace, &other.pod, other.port));
    if found.is_empty() && slices.iter().any(|slice| has_ready(slice) && !names_pods(slice)) {
        return Err(DialError::Podless(format!(
            "the endpoints of Service {name} are no pods, so nothing can be forwarded to them"
        )));
    }
    Ok(found)
}

/// Why a Service has no ready endpoint behind a port, from the pods that its selector matches.
pub(super) fn no_endpoint(service: &Service, port: u16, pods: &[Pod]) -> DialError {
    let name = full_name(service);
    let Some(selector) = selector(service) else {
        return DialError::NoEndpoint(format!("Service {name} has no endpoint, and no selector that could find one"));
    };
    if let Some(wanted) = named_target(service, port)
        && pods.iter().any(is_up)
        && !pods.iter().any(|pod| has_port(pod, wanted))
    {
        return DialError::NoEndpoint(format!(
            "port {port} of Service {name} leads nowhere: no pod of its selector {selector} has a container port named {wanted:?}"
        ));
    }
    let standings: Vec<String> = pods.iter().map(standing).collect();
    let matched = match standings.len() {
        0 => "no pod matches".to_owned(),
        1 => format!("1 pod matches: {}", standings.join("")),
        n => format!("{n} pods match: {}", standings.join(", ")),
    };
    DialError::NoEndpoint(format!("Service {name} has no ready endpoint; of its selector {selector} {matched}"))
}

/// The Service's selector as the API server reads it; `None` where it has none.
pub(super) fn selector(service: &Service) -> Option<String> {
    let selector = service.spec.as_ref()?.selector.as_ref().filter(|selector| !selector.is_empty())?;
    Some(selector.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","))
}

fn tcp_port(service: &Service, port: u16) -> Option<&ServicePort> {
    let mut ports = service.spec.as_ref()?.ports.iter().flatten();
    ports.find(|own| own.port == i32::from(port) && is_tcp(own.protocol.as_deref()))
}

/// The container port that a port of the Service asks for by name.
fn named_target(service: &Service, port: u16) -> Option<&str> {
    match tcp_port(service, port)?.target_port.as_ref()? {
        IntOrString::String(name) => Some(name),
        IntOrString::Int(_) => None,
    }
}

fn has_port(pod: &Pod, name: &str) -> bool {
    let spec = pod.spec.iter();
    let containers = spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    containers.flat_map(|container| container.ports.iter().flatten()).any(|port| port.name.as_deref() == Some(name))
}

fn full_name(service: &Service) -> String {
    let metadata = &service.metadata;
    format!("{}/{}", metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

fn list_ports(ports: &[ServicePort]) -> String {
    let ports: Vec<String> = ports
        .iter()
        .map(|port| match port.protocol.as_deref() {
            None | Some("TCP") => port.port.to_string(),
            Some(other) => format!("{}/{other}", port.port),
        })
        .collect();
    if ports.is_empty() { "none".to_owned() } else { ports.join(", ") }
}

fn is_tcp(protocol: Option<&str>) -> bool {
    protocol.is_none_or(|protocol| protocol == "TCP")
}

/// A slice names its ports as the Service does, and holds what each target port came to for the pods in it.
fn pods_of(slice: &EndpointSlice, wanted: &ServicePort) -> Vec<Target> {
    let same = |name: Option<&str>| name.unwrap_or_default() == wanted.name.as_deref().unwrap_or_default();
    let port = slice.ports.iter().flatten().find(|p| same(p.name.as_deref()) && is_tcp(p.protocol.as_deref()));
    port.and_then(|p| p.port)
        .and_then(|port| u16::try_from(port).ok())
        .map_or_else(Vec::new, |port| pods_at(slice, port))
}

/// The ready pods of a slice, at this port.
fn pods_at(slice: &EndpointSlice, port: u16) -> Vec<Target> {
    slice
        .endpoints
        .iter()
        .flatten()
        .filter(|endpoint| is_ready(endpoint.conditions.as_ref()))
        .filter_map(|endpoint| Some((endpoint, endpoint.target_ref.as_ref()?)))
        .filter(|(_, object)| object.kind.as_deref() == Some("Pod"))
        .map(|(endpoint, object)| Target {
            ip: endpoint.addresses.first().and_then(|address| address.parse().ok()),
            namespace: object.namespace.clone().or(slice.metadata.namespace.clone()).unwrap_or_default(),
            pod: object.name.clone().unwrap_or_default(),
            port,
        })
        .collect()
}

/// An unknown readiness is to be taken for ready, says the API.
pub(super) fn is_ready(conditions: Option<&k8s_openapi::api::discovery::v1::EndpointConditions>) -> bool {
    conditions.and_then(|conditions| conditions.ready).unwrap_or(true)
}

fn has_ready(slice: &EndpointSlice) -> bool {
    slice.endpoints.iter().flatten().any(|endpoint| is_ready(endpoint.conditions.as_ref()))
}

fn names_pods(slice: &EndpointSlice) -> bool {
    slice.endpoints.iter().flatten().any(|endpoint| endpoint.target_ref.is_some())
}

/// A pod's address, in brackets where it is an IPv6 one. `None` before it has one, and after its end, when it may be
/// another pod's.
pub(super) fn address(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let address =
        status.pod_ip.as_ref().filter(|_| !matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")))?;
    Some(if address.contains(':') { format!("[{address}]") } else { address.clone() })
}

/// All addresses of a pod that has not ended.
pub(super) fn addresses(pod: &Pod) -> impl Iterator<Item = IpAddr> {
    let status = pod.status.iter().filter(|status| !matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")));
    let written = status.flat_map(|status| {
        status
            .pod_ip
            .iter()
            .map(String::as_str)
            .chain(status.pod_ips.iter().flatten().map(|address| address.ip.as_str()))
    });
    written.filter_map(|address| address.parse().ok())
}

/// A pod and what keeps it from being an endpoint: `redis-0 is Pending (ImagePullBackOff)`.
pub(super) fn standing(pod: &Pod) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let Some(status) = &pod.status else { return format!("{name} has no status yet") };
    if pod.metadata.deletion_timestamp.is_some() {
        return format!("{name} is being deleted");
    }
    let statuses = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let reason = statuses.filter_map(|container| container.state.as_ref()).find_map(|state| {
        match (&state.waiting, &state.terminated) {
            (Some(waiting), _) => waiting.reason.clone(),
            (None, Some(ended)) if ended.exit_code != 0 => Some(format!("exit code {}", ended.exit_code)),
            (None, Some(_) | None) => None,
        }
    });
    let stands = match (status.phase.as_deref(), is_up(pod)) {
        (_, true) => return format!("{name} is ready, and no endpoint yet"),
        (Some("Running") | None, false) => "is not ready".to_owned(),
        (Some(phase), false) => format!("is {phase}"),
    };
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{name} {stands}{reason}")
}

fn is_up(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(spec: &Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "redis", "namespace": "data"}, "spec": spec})).unwrap()
    }

    fn slice(port: &Value, endpoints: &Value) -> EndpointSlice {
        serde_json::from_value(json!({
            "metadata": {"name": "redis-x", "namespace": "data"},
            "addressType": "IPv4", "ports": [port], "endpoints": endpoints,
        }))
        .unwrap()
    }

    fn endpoint(pod: &str, ready: bool) -> Value {
        json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": pod, "namespace": "data"}})
    }

    fn pod(name: &str, status: &Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": name}, "status": status})).unwrap()
    }

    fn names(targets: &[Target]) -> Vec<String> {
        targets.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_named_target_port_is_what_the_slice_of_each_pod_says() {
        let service = service(&json!({"selector": {"app": "redis"}, "ports": [
            {"name": "metrics", "port": 9121}, {"name": "redis", "port": 6379, "targetPort": "client"}
        ]}));
        let slices = [
            slice(&json!({"name": "redis", "port": 6380}), &json!([endpoint("redis-1", true)])),
            slice(
                &json!({"name": "redis", "port": 6379}),
                &json!([endpoint("redis-0", true), endpoint("redis-2", false)]),
            ),
            slice(&json!({"name": "metrics", "port": 9121}), &json!([endpoint("redis-0", true)])),
        ];
        assert_eq!(
            names(&targets(&service, &slices, 6379).unwrap()),
            ["port 6379 of pod data/redis-0", "port 6380 of pod data/redis-1"]
        );
    }

    #[test]
    fn a_port_without_a_name_is_found_and_an_unknown_readiness_counts_as_ready() {
        let service = service(&json!({"ports": [{"port": 80, "targetPort": 8080}]}));
        let web = json!([{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "web"}}]);
        let slices = [slice(&json!({"name": "", "port": 8080}), &web)];
        assert_eq!(names(&targets(&service, &slices, 80).unwrap()), ["port 8080 of pod data/web"]);
    }

    #[test]
    fn the_port_of_a_headless_service_is_not_translated() {
        let service = service(&json!({"clusterIP": "None", "ports": [{"port": 80, "targetPort": 8080}]}));
        let slices = [slice(&json!({"port": 8080}), &json!([endpoint("web", true)]))];
        assert_eq!(names(&targets(&service, &slices, 80).unwrap()), ["port 80 of pod data/web"]);
        // It need not even be listed.
        assert_eq!(names(&targets(&service, &slices, 81).unwrap()), ["port 81 of pod data/web"]);
    }

    #[test]
    fn a_pod_with_addresses_of_both_families_is_one() {
        let service = service(&json!({"ports": [{"port": 80}]}));
        let of = |address: &str| {
            let target = json!({"kind": "Pod", "name": "web", "namespace": "data"});
            slice(&json!({"port": 80}), &json!([{"addresses": [address], "targetRef": target}]))
        };
        let found = targets(&service, &[of("fd00::1"), of("10.0.0.1")], 80).unwrap();
        assert_eq!(found.iter().map(|target| target.ip.unwrap().to_string()).collect::<Vec<_>>(), ["10.0.0.1"]);
    }

    #[test]
    fn a_port_that_is_not_there_lists_those_that_are() {
        let dns = service(&json!({"ports": [{"port": 53, "protocol": "UDP"}, {"port": 9153}]}));
        assert_eq!(
            targets(&dns, &[], 53).unwrap_err(),
            DialError::Missing("Service data/redis has no TCP port 53; it has 53/UDP, 9153".to_owned())
        );
    }

    #[test]
    fn what_cannot_be_forwarded_to_says_why() {
        let external = service(&json!({"type": "ExternalName", "externalName": "db.example.com"}));
        let DialError::Podless(words) = targets(&external, &[], 5432).unwrap_err() else { panic!("there are pods") };
        assert_eq!(words, "Service data/redis only stands for db.example.com; dial `host/db.example.com:5432` instead");
        let foreign = service(&json!({"ports": [{"port": 80}]}));
        let slices = [slice(&json!({"port": 80}), &json!([{"addresses": ["192.0.2.1"]}]))];
        assert!(matches!(targets(&foreign, &slices, 80), Err(DialError::Podless(_))));
    }

    #[test]
    fn a_service_without_endpoints_names_its_selector_and_the_state_of_every_pod() {
        let redis = service(&json!({"selector": {"app": "redis", "tier": "data"}, "ports": [{"port": 6379}]}));
        assert_eq!(targets(&redis, &[], 6379), Ok(Vec::new()));
        let waiting = json!({"phase": "Pending", "containerStatuses": [{"name": "c", "ready": false, "restartCount": 0,
            "image": "", "imageID": "", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]});
        let pods = [pod("redis-0", &waiting), pod("redis-1", &json!({"phase": "Running"}))];
        assert_eq!(
            no_endpoint(&redis, 6379, &pods).to_string(),
            "Service data/redis has no ready endpoint; of its selector app=redis,tier=data 2 pods match: \
             redis-0 is Pending (ImagePullBackOff), redis-1 is not ready"
        );
        assert_eq!(
            no_endpoint(&redis, 6379, &[]).to_string(),
            "Service data/redis has no ready endpoint; of its selector app=redis,tier=data no pod matches"
        );
        let bare = service(&json!({"ports": [{"port": 6379}]}));
        assert_eq!(
            no_endpoint(&bare, 6379, &[]).to_string(),
            "Service data/redis has no endpoint, and no selector that could find one"
        );
    }

    #[test]
    fn a_port_that_no_ready_pod_has_by_its_name_leads_nowhere() {
        let redis = service(&json!({"selector": {"app": "redis"}, "ports": [{"port": 80, "targetPort": "web"}]}));
        let mut up = pod("redis-0", &json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
        let containers =
            |port: &str| json!({"containers": [{"name": "c", "ports": [{"name": port, "containerPort": 1}]}]});
        up.spec = serde_json::from_value(containers("http")).unwrap();
        assert_eq!(
            no_endpoint(&redis, 80, std::slice::from_ref(&up)).to_string(),
            "port 80 of Service data/redis leads nowhere: no pod of its selector app=redis has a container port named \"web\""
        );
        up.spec = serde_json::from_value(containers("web")).unwrap();
        assert!(no_endpoint(&redis, 80, &[up]).to_string().ends_with("redis-0 is ready, and no endpoint yet"));
    }

    #[test]
    fn a_pod_has_an_address_while_it_lives() {
        let at = |status: Value| address(&pod("redis-0", &status));
        assert_eq!(at(json!({"phase": "Running", "podIP": "10.0.0.1"})).unwrap(), "10.0.0.1");
        assert_eq!(at(json!({"phase": "Running", "podIP": "fd00::1"})).unwrap(), "[fd00::1]");
        assert_eq!(at(json!({"phase": "Pending"})), None);
        assert_eq!(at(json!({"phase": "Succeeded", "podIP": "10.0.0.1"})), None);
    }

    #[test]
    fn a_refusal_in_the_pod_is_told_from_a_forward_that_failed() {
        let target = Target { namespace: "data".to_owned(), pod: "redis-0".to_owned(), port: 1, ip: None };
        let refused = "error forwarding port 1 to pod x: IPv4: dial tcp4 127.0.0.1:1: connect: connection refused";
        assert_eq!(
            target.told(refused),
            DialError::Refused("nothing listens on port 1 of pod data/redis-0: connection refused".to_owned())
        );
        assert!(matches!(target.told("network namespace for sandbox is closed"), DialError::Lost(_)));
    }
}
