//! What names mean inside the cluster (<https://github.com/kubernetes/dns/blob/master/docs/specification.md>).

use std::net::IpAddr;

use super::cluster::State;
use super::object::{Key, View as _};
use super::standins::dns::Answer;

/// Looks up a name as the cluster's DNS does: in lower case, without the dot at its end.
pub(super) fn look_up(state: &State, name: &str) -> Answer {
    let Some(inside) = name.strip_suffix(".cluster.local") else { return Answer::NxDomain };
    let mut labels: Vec<&str> = inside.split('.').collect();
    match (labels.pop(), labels.pop()) {
        (Some("svc"), Some(namespace)) => match labels.as_slice() {
            // A namespace is a name without an address (RFC 8020 asks for it).
            [] if exists(state, namespace) => Answer::NoData,
            [service] => of_service(state, namespace, service),
            [host, service] => of_host(state, namespace, service, host),
            _ => Answer::NxDomain,
        },
        (Some("svc"), None) => Answer::NoData,
        _ => Answer::NxDomain,
    }
}

fn exists(state: &State, namespace: &str) -> bool {
    state.store.find(&Key::new("/namespaces", "", namespace)).is_some()
}

fn of_service(state: &State, namespace: &str, name: &str) -> Answer {
    let Some(service) = state.store.get(&Key::new("/services", namespace, name)) else { return Answer::NxDomain };
    match service["spec"]["clusterIP"].as_str() {
        Some("None") => {
            let ready: Vec<IpAddr> = endpoints(state, namespace, name).map(|(address, _)| address).collect();
            // Without a pod that is ready a headless Service has no record at all.
            if ready.is_empty() { Answer::NxDomain } else { Answer::Addresses(ready) }
        }
        Some(address) => address.parse().map_or(Answer::NoData, |address| Answer::Addresses(vec![address])),
        None => Answer::NxDomain,
    }
}

fn of_host(state: &State, namespace: &str, service: &str, host: &str) -> Answer {
    let dashed = |address: IpAddr| address.to_string().replace(['.', ':'], "-");
    let found: Vec<IpAddr> = endpoints(state, namespace, service)
        .filter(|(address, hostname)| hostname.as_deref() == Some(host) || dashed(*address) == host)
        .map(|(address, _)| address)
        .collect();
    if found.is_empty() { Answer::NxDomain } else { Answer::Addresses(found) }
}

/// The ready addresses behind a Service, each with its host name.
fn endpoints(state: &State, namespace: &str, service: &str) -> impl Iterator<Item = (IpAddr, Option<String>)> {
    let label = serde_json::json!({ "kubernetes.io/service-name": service });
    let slices = state.store.labelled("discovery.k8s.io/endpointslices", namespace, &label);
    let endpoints = slices.into_iter().flat_map(|slice| slice["endpoints"].as_array().cloned().unwrap_or_default());
    endpoints.filter(|endpoint| endpoint["conditions"]["ready"] != false).filter_map(|endpoint| {
        let address = endpoint["addresses"][0].as_str()?.parse().ok()?;
        Some((address, endpoint["hostname"].as_str().map(str::to_owned)))
    })
}
