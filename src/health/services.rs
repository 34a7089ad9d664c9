//! Services: with a selector, one ready endpoint at least; without one, somebody else's business.
//!
//! A load balancer's outer address is not waited for: most test clusters have nothing that gives one.

use serde_json::{Map, Value};

use super::object::list;
use super::patience::NO_PODS;
use super::{Health, Object, Surroundings, pods};

pub(super) fn assess(service: Object<'_>, around: &Surroundings<'_>) -> Health {
    if service.text("/spec/type") == "ExternalName" {
        return Health::ready("an external name");
    }
    let Some(selector) =
        service.data.pointer("/spec/selector").and_then(Value::as_object).filter(|map| !map.is_empty())
    else {
        return Health::ready("its endpoints are not made by selection");
    };
    match ready_endpoints(service, around) {
        0 => unserved(service, selector, around),
        count => Health::ready(format!("{count} ready endpoints")),
    }
}

fn ready_endpoints(service: Object<'_>, around: &Surroundings<'_>) -> usize {
    let slices = around.all("EndpointSlice").iter();
    let own = slices.filter(|slice| slice.label("kubernetes.io/service-name") == Some(service.name()));
    // Unknown counts as ready: so says discovery/v1.
    let is_ready = |endpoint: &&Value| endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
    own.map(|slice| list(slice.data, "/endpoints").iter().filter(is_ready).count()).sum()
}

/// A Service behind which nothing is ready, and why.
fn unserved(service: Object<'_>, selector: &Map<String, Value>, around: &Surroundings<'_>) -> Health {
    let name = service.name();
    let matches = |pod: &&Object<'_>| selector.iter().all(|(key, value)| pod.label(key) == value.as_str());
    let mut selected = around.all("Pod").iter().filter(matches).peekable();
    if selected.peek().is_none() {
        let labels: Vec<_> =
            selector.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        let line = format!("Service {name} has no endpoints: no pod has the labels {}", labels.join(","));
        return Health::stuck(line, NO_PODS);
    }
    Health::gravest(selected.map(|pod| pods::assess(*pod, around)))
        .map(|health| health.below(service))
        .unwrap_or_else(|| Health::waiting(format!("Service {name} has no ready endpoint yet")))
}

#[cfg(test)]
mod tests {
    use super::super::literal::{ready, stuck, waiting};
    use super::super::patience::NO_PODS;

    fn service(spec: &str) -> String {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{ name: web }}\nspec: {{ {spec} }}")
    }

    fn slice(name: &str, endpoints: &str) -> String {
        format!(
            "\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{ name: s, labels: {{ \
             kubernetes.io/service-name: {name} }} }}\nendpoints: [{endpoints}]"
        )
    }

    #[test]
    fn a_service_with_a_selector_needs_a_ready_endpoint() {
        let selecting = service("selector: { app: web }");
        ready(&(selecting.clone() + &slice("web", "{ conditions: { ready: true } }, {}")), "2 ready endpoints");
        let line = "Service web has no endpoints: no pod has the labels app=web";
        stuck(&selecting, line, NO_PODS);
        stuck(&(selecting.clone() + &slice("other", "{}")), line, NO_PODS);
        stuck(&(selecting + &slice("web", "{ conditions: { ready: false } }")), line, NO_PODS);
    }

    #[test]
    fn a_service_waits_for_the_pods_that_it_selects() {
        let pod = "\n---\napiVersion: v1\nkind: Pod\nmetadata: { name: web-1, labels: { app: web } }";
        waiting(&(service("selector: { app: web }") + pod), "pod web-1 is not scheduled yet");
        let running = format!("{pod}\nstatus: {{ phase: Running, conditions: [{{ type: Ready, status: 'True' }}] }}");
        waiting(&(service("selector: { app: web }") + &running), "Service web has no ready endpoint yet");
    }

    #[test]
    fn a_service_without_selection_is_not_waited_for() {
        ready(&service("type: ExternalName, externalName: example.org"), "an external name");
        ready(&service("clusterIP: None"), "its endpoints are not made by selection");
    }
}
