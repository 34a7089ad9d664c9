//! Services, what answers behind them, and the ways in.

use serde_json::{Value, json};

use super::Layout;
use super::glance::{Glance, bare, first_three, labels, or_none, selector};

/// The columns of kinds that make pods reachable.
pub(super) fn layout(plural: &str) -> Option<Layout> {
    Some(match plural {
        "services" => ("Name|Type|Cluster-IP|External-IP|Port(s)|Age|*Selector", service),
        "endpoints" => ("Name|Endpoints|Age", endpoints),
        "endpointslices" => ("Name|AddressType|Ports|Endpoints|Age", slice),
        "ingresses" => ("Name|Class|Hosts|Address|Ports|Age", ingress),
        "ingressclasses" => ("Name|Controller|Parameters|Age", class),
        "networkpolicies" => ("Name|Pod-Selector|Age", policy),
        _ => return None,
    })
}

fn service(glance: &Glance<'_>) -> Value {
    let internal = match glance.text("/spec/clusterIPs/0") {
        "" => glance.text_or("/spec/clusterIP", "<none>"),
        first => first,
    };
    let ports: Vec<String> = glance.list("/spec/ports").iter().map(port).collect();
    json!([
        glance.name(),
        glance.text("/spec/type"),
        internal,
        external(glance),
        or_none(ports.join(",")),
        glance.age(),
        labels(glance.at("/spec/selector")),
    ])
}

fn port(port: &Value) -> String {
    let node = match port["nodePort"].as_i64() {
        Some(node @ 1..) => format!(":{node}"),
        _ => String::new(),
    };
    format!("{}{node}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP"))
}

fn external(glance: &Glance<'_>) -> String {
    let given = texts(glance.list("/spec/externalIPs"));
    match glance.text("/spec/type") {
        "ClusterIP" | "NodePort" => or_none(given.join(",")),
        "LoadBalancer" => {
            let all = [balancers(glance), given].concat();
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        "ExternalName" => glance.text("/spec/externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// The addresses of load balancers, each once and in order.
fn balancers(glance: &Glance<'_>) -> Vec<String> {
    let address = |ingress: &Value| match ingress["ip"].as_str().unwrap_or_default() {
        "" => ingress["hostname"].as_str().map(str::to_owned),
        ip => Some(ip.to_owned()),
    };
    let mut all: Vec<String> = glance.list("/status/loadBalancer/ingress").iter().filter_map(address).collect();
    all.retain(|address| !address.is_empty());
    all.sort_unstable();
    all.dedup();
    all
}

fn texts(list: &[Value]) -> Vec<String> {
    list.iter().map(bare).collect()
}

fn endpoints(glance: &Glance<'_>) -> Value {
    let mut all = Vec::new();
    for subset in glance.list("/subsets") {
        let addresses = || subset["addresses"].as_array().into_iter().flatten().map(|address| bare(&address["ip"]));
        match subset["ports"].as_array().map(Vec::as_slice).unwrap_or_default() {
            // Without ports the addresses stand alone.
            [] => all.extend(addresses()),
            ports => {
                ports.iter().for_each(|port| all.extend(addresses().map(|ip| join(&ip, &port["port"]))));
            }
        }
    }
    json!([glance.name(), first_three(&all, "<none>"), glance.age()])
}

fn join(address: &str, port: &Value) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn slice(glance: &Glance<'_>) -> Value {
    let number = |port: &Value| match (&port["port"], &port["name"]) {
        (Value::Null, Value::Null) => "*".to_owned(),
        (Value::Null, name) => bare(name),
        (number, _) => bare(number),
    };
    let ports: Vec<String> = glance.list("/ports").iter().map(number).collect();
    let addresses = |endpoint: &Value| texts(endpoint["addresses"].as_array().map(Vec::as_slice).unwrap_or_default());
    let all: Vec<String> = glance.list("/endpoints").iter().flat_map(addresses).collect();
    json!([
        glance.name(),
        glance.text("/addressType"),
        first_three(&ports, "<unset>"),
        first_three(&all, "<unset>"),
        glance.age(),
    ])
}

fn ingress(glance: &Glance<'_>) -> Value {
    let hosts = |rule: &Value| rule["host"].as_str().filter(|host| !host.is_empty()).map(str::to_owned);
    let all: Vec<String> = glance.list("/spec/rules").iter().filter_map(hosts).collect();
    let ports = if glance.list("/spec/tls").is_empty() { "80" } else { "80, 443" };
    json!([
        glance.name(),
        glance.text_or("/spec/ingressClassName", "<none>"),
        first_three(&all, "*"),
        balancers(glance).join(","),
        ports,
        glance.age(),
    ])
}

fn class(glance: &Glance<'_>) -> Value {
    let reference = |given: &Value| {
        let group = given["apiGroup"].as_str().map(|group| format!(".{group}")).unwrap_or_default();
        format!("{}{group}/{}", bare(&given["kind"]), bare(&given["name"]))
    };
    let parameters = or_none(glance.some("/spec/parameters").map(reference).unwrap_or_default());
    json!([glance.name(), glance.text("/spec/controller"), parameters, glance.age()])
}

fn policy(glance: &Glance<'_>) -> Value {
    json!([glance.name(), or_none(selector(glance.at("/spec/podSelector"))), glance.age()])
}
