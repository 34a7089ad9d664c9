//! Services: with a selector, one ready endpoint at least behind each port; without one, somebody else's business.
//!
//! A load balancer's outer address is waited for only where a controller has taken the Service on: most test clusters
//! have nothing that ever gives one, and there its absence is told.

use serde_json::{Map, Value};

use super::object::{text, words};
use super::patience::{LOAD_BALANCER, NO_LEADER, NO_PODS, NO_PORT};
use super::{Health, Object, Surroundings, pods, workloads};
use crate::number::count;

/// What Kubernetes' own service controller, which every cloud's is built on, puts on a Service before it makes a load
/// balancer for it (`k8s.io/cloud-provider/service/helpers`).
const TAKEN_ON: &str = "service.kubernetes.io/load-balancer-cleanup";

/// Reasons of the events with which it, and MetalLB, tell how that went.
const LOAD_BALANCED: [&str; 4] =
    ["SyncLoadBalancerFailed", "EnsuringLoadBalancer", "EnsuredLoadBalancer", "AllocationFailed"];

pub(super) fn assess(service: Object<'_>, around: &Surroundings<'_>) -> Health {
    if service.text("/spec/type") == "ExternalName" {
        return Health::ready("an external name");
    }
    let Some(selector) =
        service.data.pointer("/spec/selector").and_then(Value::as_object).filter(|map| !map.is_empty())
    else {
        return Health::ready("its endpoints are not made by selection");
    };
    let slices = around.all("EndpointSlice").iter();
    let own: Vec<_> =
        slices.filter(|slice| slice.label("kubernetes.io/service-name") == Some(service.name())).collect();
    let ports = service.list("/spec/ports").iter();
    let portless =
        ports.clone().find(|port| !own.iter().any(|slice| has(**slice, port) && ready_endpoints(**slice) > 0));
    match (own.iter().map(|slice| ready_endpoints(**slice)).sum(), portless) {
        (0, _) => unserved(service, selector, around),
        (_, Some(port)) => Health::stuck(no_port(service, port), NO_PORT),
        (ready, None) => reached(service, around, count(ready, "ready endpoint")),
    }
}

/// A Service with ready endpoints, and where it is reached from outside if that is a load balancer's business.
fn reached(service: Object<'_>, around: &Surroundings<'_>, saw: String) -> Health {
    if service.text("/spec/type") != "LoadBalancer" {
        return Health::ready(saw);
    }
    let given = service.list("/status/loadBalancer/ingress").iter();
    let given: Vec<String> = given.map(|one| ["/ip", "/hostname"].map(|at| text(one, at)).concat()).collect();
    if !given.is_empty() {
        return Health::ready(format!("{saw}, at {}", given.join(", ")));
    }
    let line = format!("Service {}: its load balancer has no address", service.name());
    if let Some(failure) = around.newest_event(service, &LOAD_BALANCED).filter(|event| event.text("/type") == "Warning")
    {
        return Health::stuck(format!("{line}: {} ({})", words(failure.data), failure.text("/reason")), LOAD_BALANCER);
    }
    if service.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TAKEN_ON) {
        return Health::waiting(line);
    }
    Health::ready(format!("{saw}, no load balancer"))
}

/// The endpoints of a slice that are ready. Unknown counts as ready: so says discovery/v1.
fn ready_endpoints(slice: Object<'_>) -> usize {
    let is_ready = |endpoint: &&Value| endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
    slice.list("/endpoints").iter().filter(is_ready).count()
}

/// Whether the endpoints of a slice have what a Service's port leads to: it names its ports as the Service does, and
/// leaves out those that lead to none of a pod's (`k8s.io/endpointslice`, `getEndpointPorts`).
fn has(slice: Object<'_>, port: &Value) -> bool {
    slice.list("/ports").iter().any(|own| text(own, "/name") == text(port, "/name"))
}

/// A port of a Service that leads nowhere, as its ready pods have no container port of the name that it asks for.
fn no_port(service: Object<'_>, port: &Value) -> String {
    let number = port.pointer("/port").and_then(Value::as_i64).unwrap_or_default();
    let target = port.pointer("/targetPort").and_then(Value::as_str).unwrap_or_default();
    let protocol = match text(port, "/protocol") {
        "" | "TCP" => String::new(),
        other => format!("{other} "),
    };
    format!(
        "Service {}: its port {number} leads nowhere: no ready pod has a {protocol}container port named {target:?}",
        service.name()
    )
}

/// How a pod is, by the account of its workload where that is known: pods of a former specification say nothing.
fn controlled(pod: Object<'_>, around: &Surroundings<'_>) -> Health {
    let owner = |kind: &str, of: Object<'_>| around.all(kind).iter().find(|owner| of.is_owned_by(owner.uid())).copied();
    let deployment = owner("ReplicaSet", pod).and_then(|set| owner("Deployment", set));
    let workload = deployment
        .map(|deployment| workloads::deployment(deployment, around))
        .or_else(|| owner("StatefulSet", pod).map(|set| workloads::stateful_set(set, around)));
    workload.unwrap_or_else(|| pods::assess(pod, around))
}

/// The workloads whose pods a Service would lead to, if they had any.
fn makers<'a>(selector: &Map<String, Value>, around: &Surroundings<'a>) -> Vec<Object<'a>> {
    let workloads = ["Deployment", "StatefulSet"].into_iter().flat_map(|kind| around.all(kind).iter().copied());
    let would_match = |workload: &Object<'_>| {
        let labels = workload.data.pointer("/spec/template/metadata/labels");
        selector.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
    };
    workloads.filter(would_match).collect()
}

/// The workloads whose pods a Service would lead to, if somebody gave them a label that their templates do not.
fn labelled_later<'a>(selector: &Map<String, Value>, around: &Surroundings<'a>) -> Vec<Object<'a>> {
    let workloads = ["Deployment", "StatefulSet"].into_iter().flat_map(|kind| around.all(kind).iter().copied());
    let could_match = |workload: &Object<'_>| {
        let label = |key: &str| workload.data.pointer("/spec/template/metadata/labels")?.get(key);
        let given = selector.keys().filter(|key| label(key).is_some()).count();
        given > 0
            && given < selector.len()
            && selector.iter().all(|(key, value)| label(key).is_none_or(|own| own == value))
    };
    workloads.filter(could_match).collect()
}

/// How a workload stands that makes pods.
fn maker(workload: Object<'_>, around: &Surroundings<'_>) -> Health {
    match workload.kind {
        "Deployment" => workloads::deployment(workload, around),
        _ => workloads::stateful_set(workload, around),
    }
}

/// A workload that is still to make the pods that it wants: as long as it is waited for, so is what they are for.
fn making(workload: Object<'_>, around: &Surroundings<'_>) -> Option<Health> {
    let health = maker(workload, around);
    (workloads::wanted(workload) > 0 && matches!(health, Health::Waiting { .. })).then_some(health)
}

/// What keeps a workload from making pods, where that does not pass by itself.
fn barren(workload: Object<'_>, around: &Surroundings<'_>) -> Option<Health> {
    let health = maker(workload, around);
    matches!(health, Health::Doomed(_) | Health::Waiting { patience: Some(_), .. }).then_some(health)
}

/// A Service behind which nothing is ready, and why.
fn unserved(service: Object<'_>, selector: &Map<String, Value>, around: &Surroundings<'_>) -> Health {
    let name = service.name();
    let matches = |pod: &&Object<'_>| selector.iter().all(|(key, value)| pod.label(key) == value.as_str());
    let mut selected = around.all("Pod").iter().filter(matches).peekable();
    if selected.peek().is_none() {
        let (makers, later) = (makers(selector, around), labelled_later(selector, around));
        let makers = if makers.is_empty() { &later } else { &makers };
        if let Some(lowest) = makers.iter().find_map(|maker| barren(*maker, around)) {
            return lowest.below(service);
        }
        if let Some(making) = makers.iter().find_map(|maker| making(*maker, around)) {
            return making.below(service);
        }
        let labels: Vec<_> =
            selector.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        let line = format!("Service {name} has no endpoints: no pod has the labels {}", labels.join(","));
        let idle = makers.iter().find(|maker| workloads::wanted(**maker) == 0);
        let idle = idle.map_or_else(String::new, |idle| format!("; {} {} is scaled to 0", idle.kind, idle.name()));
        let patience = if later.is_empty() { NO_PODS } else { NO_LEADER };
        return Health::stuck(line + &idle, patience);
    }
    Health::gravest(selected.map(|pod| controlled(*pod, around)))
        .map(|health| health.below(service))
        .unwrap_or_else(|| Health::waiting(format!("Service {name} has no ready endpoint yet")))
}

#[cfg(test)]
mod tests {
    use super::super::literal::{ready, stuck, waiting};
    use super::super::patience::{LOAD_BALANCER, NO_LEADER, NO_PODS, NO_PORT, QUOTA};

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
        stuck(&(selecting.clone() + &slice("web", "{ conditions: { ready: false } }")), line, NO_PODS);
        let idle = "\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec: { replicas: 0, template: { \
                    metadata: { labels: { app: web, tier: front } } } }";
        stuck(&(selecting + idle), &format!("{line}; Deployment web is scaled to 0"), NO_PODS);
    }

    #[test]
    fn a_service_of_whoever_leads_is_given_time_until_somebody_does_and_one_with_a_wrong_label_is_not() {
        let leading = service("selector: { app: db, role: master }");
        let line = "Service web has no endpoints: no pod has the labels app=db,role=master";
        let set = |labels: &str| {
            format!(
                "\n---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{ name: db, uid: s1 }}\n\
                 spec: {{ replicas: 0, template: {{ metadata: {{ labels: {{ {labels} }} }} }} }}"
            )
        };
        let idle = format!("{line}; StatefulSet db is scaled to 0");
        stuck(&(leading.clone() + &set("app: db")), &idle, NO_LEADER);
        stuck(&(leading.clone() + &set("app: db, role: replica")), line, NO_PODS);
        stuck(&(leading + &set("tier: back")), line, NO_PODS);
    }

    #[test]
    fn every_port_of_a_service_needs_a_ready_endpoint() {
        let ports = "ports: [{ name: http, port: 80 }, { name: metrics, port: 9121, targetPort: telemetry }]";
        let selecting = service(&format!("selector: {{ app: web }}, {ports}"));
        let slice = |ports: &str| slice("web", "{ conditions: { ready: true } }") + &format!("\nports: [{ports}]");
        ready(
            &(selecting.clone() + &slice("{ name: http, port: 8080 }, { name: metrics, port: 1 }")),
            "1 ready endpoint",
        );
        let line = "Service web: its port 9121 leads nowhere: no ready pod has a container port named \"telemetry\"";
        stuck(&(selecting.clone() + &slice("{ name: http, port: 8080 }")), line, NO_PORT);
        let alone = service("selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }]");
        ready(&(alone + &slice("{ name: '', port: 8080 }")), "1 ready endpoint");
    }

    #[test]
    fn a_service_whose_pods_may_not_be_made_names_what_forbids_them() {
        let set = "\n---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: db, uid: s1, generation: 1 }\n\
                   spec: { replicas: 1, template: { metadata: { labels: { app: web } } } }\nstatus: { observedGeneration: 1 }";
        let event = "\n---\napiVersion: v1\nkind: Event\nmetadata: { name: e, resourceVersion: '5' }\n\
                     involvedObject: { uid: s1 }\nreason: FailedCreate\nmessage: 'forbidden: exceeded quota: q'";
        let line = "StatefulSet db cannot create its pods: forbidden: exceeded quota: q (FailedCreate)";
        stuck(&(service("selector: { app: web }") + set + event), line, QUOTA);
    }

    #[test]
    fn a_service_waits_for_a_workload_that_is_still_to_make_its_pods() {
        let set = "\n---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: db, uid: s1, generation: 2 }\n\
                   spec: { replicas: 1, template: { metadata: { labels: { app: web } } } }\nstatus: { observedGeneration: 1 }";
        let line = "StatefulSet db: its controller has not seen the newest specification";
        waiting(&(service("selector: { app: web }") + set), line);
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

    #[test]
    fn a_load_balancer_is_waited_for_where_a_controller_has_taken_it_on_and_else_its_absence_is_told() {
        let finalizer = "[service.kubernetes.io/load-balancer-cleanup]";
        let balanced = |finalizers: &str, ingress: &str| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{ name: web, uid: s1, finalizers: {finalizers} }}\nspec: {{ type: \
                 LoadBalancer, selector: {{ app: web }} }}\nstatus: {{ loadBalancer: {{ ingress: [{ingress}] }} }}"
            ) + &slice("web", "{}")
        };
        ready(&balanced("[]", ""), "1 ready endpoint, no load balancer");
        ready(
            &balanced(finalizer, "{ ip: 1.2.3.4 }, { hostname: lb.example }"),
            "1 ready endpoint, at 1.2.3.4, lb.example",
        );
        let line = "Service web: its load balancer has no address";
        waiting(&balanced(finalizer, ""), line);
        let event = "\n---\napiVersion: v1\nkind: Event\nmetadata: { name: e, resourceVersion: '5' }\ntype: Warning\n\
                     involvedObject: { uid: s1 }\nreason: AllocationFailed\nmessage: no available IPs";
        stuck(&(balanced("[]", "") + event), &format!("{line}: no available IPs (AllocationFailed)"), LOAD_BALANCER);
    }
}
