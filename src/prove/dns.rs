//! Twin of `checks/dns.rs`. One server of several is struck: each must answer for itself.

use serde_json::json;

use super::{Cases, Deed, Object};
use crate::checks::{Absence, Dns};

/// The workload of the cluster's DNS, which every distribution has under this name.
const SERVERS: (&str, &str) = ("kube-system", "coredns");

pub(super) fn servers() -> Object {
    Object::new("Deployment", Some(SERVERS.0), SERVERS.1)
}

/// The Service that a name of the cluster is for, and its namespace where that is said.
fn place(name: &str) -> Option<(&str, Option<&str>)> {
    let name = name.strip_suffix('.').map_or(Some(name), |full| full.strip_suffix(".svc.cluster.local"))?;
    let name = name.strip_suffix(".svc.cluster.local").or_else(|| name.strip_suffix(".svc")).unwrap_or(name);
    match name.split_once('.') {
        None => Some((name, None)),
        Some((_, namespace)) if namespace.contains('.') => None,
        Some((name, namespace)) => Some((name, Some(namespace))),
    }
}

pub(super) fn cases(claim: &Dns, in_a_row: u32) -> Cases {
    let mut cases = Cases::default();
    let servers = servers();
    let one = |fault| Deed::DnsServer { fault, all: false };
    match claim.expect {
        Absence::Present => {
            cases.broken("nxdomain", one("nxdomain"), ["NXDOMAIN", SERVERS.1]);
            cases.broken("servfail", one("servfail"), ["SERVFAIL", SERVERS.1]);
            cases.broken("refused", one("refused"), ["REFUSED", SERVERS.1]);
            cases.broken("no-addresses", one("no-addresses"), ["NODATA", SERVERS.1]);
            // An address that nobody has (RFC 5737), which only this server gives.
            cases.broken("wrong-address", one("wrong-address"), ["is 192.0.2.1", SERVERS.1]);
            let all = Deed::DnsServer { fault: "wrong-address", all: true };
            let none = "it claims no `addresses`";
            cases.broken_if(!claim.addresses.is_empty(), "wrong-address-everywhere", all, "is 192.0.2.1", none);
            match in_a_row {
                2.. => cases.broken("closes-every-other", one("flaps"), ["broke off", SERVERS.1]),
                _ => cases.unclaimed("closes-every-other", "one look that holds is enough (`in-a-row`)"),
            }
            cases.broken("refuses-connections", one("refuses"), ["connection refused", SERVERS.1]);
            cases.broken("closes", one("closes"), ["broke off", SERVERS.1]);
            cases.broken("hangs", one("hangs"), ["no answer within", SERVERS.1]);
            cases.broken("no-server", Deed::Delete(servers), ["no ready DNS pod"]);
        }
        Absence::Absent | Absence::AbsentWithItsKind => {
            match place(&claim.name) {
                None => cases.unclaimed("appears", "only a name of the cluster is made to appear"),
                Some((name, namespace)) => {
                    let spec = json!({ "ports": [{ "port": 80 }] });
                    let metadata = json!({ "name": name, "namespace": namespace });
                    let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec });
                    cases.broken("appears", Deed::Create(service), [name, " is 10."]);
                }
            }
            cases.unclear("servfail", one("servfail"), ["SERVFAIL", SERVERS.1]);
            cases.unclear("hangs", one("hangs"), ["no answer within", SERVERS.1]);
            cases.unclear("no-server", Deed::Delete(servers), ["no ready DNS pod"]);
        }
    }
    cases
}
