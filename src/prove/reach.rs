//! What can stand in the way to a server, whatever it speaks.

use serde_json::json;

use super::{Cases, Deed, Object};
use crate::checks::{Access, Address, Credential, Host};

/// Everything that can be wrong on the way to a server that is entered: its Service, its password and its port. `broken_off` is
/// said of a conversation that the server ends before it has begun.
pub(super) fn server(
    at: &Address,
    expect: Access,
    password: Option<&Credential>,
    in_a_row: u32,
    broken_off: &str,
) -> Cases {
    let mut cases = cases(at, expect, password);
    cases.0.extend(door(at, expect, in_a_row, Some(broken_off)).0);
    cases
}

/// A Service that is not there or has nothing behind it, and a password that cannot be read.
pub(super) fn cases(at: &Address, expect: Access, password: Option<&Credential>) -> Cases {
    let mut cases = Cases::default();
    match service(at) {
        Some(service) => way(&service, expect, &mut cases),
        None => cases.unclaimed("service-gone", "it is not reached through a Service"),
    }
    // It is no word about the server.
    if let Some(Credential::Secret(key)) = password {
        let secret = Object::new("Secret", key.namespace.as_deref(), &key.name);
        cases.unclear("secret-gone", Deed::Delete(secret), [&key.name]);
    }
    cases
}

fn way(service: &Object, expect: Access, cases: &mut Cases) {
    let nobody = json!({ "spec": { "selector": { "seaworthy.dev/nobody": "is-so" } } });
    let ways = [
        ("service-gone", vec![Deed::Delete(service.clone())], "there is no Service"),
        ("no-endpoint", vec![Deed::Merge { object: service.clone(), patch: nobody }], "has no ready endpoint"),
    ];
    for (name, deeds, words) in ways {
        match expect {
            Access::Allowed => cases.broken(name, deeds, [words, &service.name]),
            Access::Denied => cases.unclear(name, deeds, [words, &service.name]),
        }
    }
}

/// What can be wrong with its port, whatever is spoken behind it; `broken_off` is said of a conversation that the server
/// ends before it has begun, where there is one.
pub(super) fn door(at: &Address, expect: Access, in_a_row: u32, broken_off: Option<&str>) -> Cases {
    let mut cases = Cases::default();
    let is = |fault| Deed::Server { at: at.clone(), fault };
    let words = ["connection refused"];
    match expect {
        Access::Allowed => cases.broken("refuses-connections", is("refuses"), words),
        Access::Denied => cases.unclear("refuses-connections", is("refuses"), words),
    }
    let name = "closes-every-other";
    match (expect, in_a_row, broken_off) {
        (Access::Allowed, 2.., Some(words)) => cases.broken(name, is("flaps"), [words]),
        (Access::Allowed, 2.., None) => cases.unclaimed(name, "it claims no answer"),
        (Access::Allowed, _, _) => cases.unclaimed(name, "one look that holds is enough (`in-a-row`)"),
        // Looks that came to nothing say nothing, however they are mixed with others.
        (Access::Denied, _, _) => cases.unclaimed(name, "it claims to be kept out"),
    }
    cases
}

/// The Service of an address, if it is one.
fn service(at: &Address) -> Option<Object> {
    match &at.host {
        Host::Service { name, namespace } => Some(Object::new("Service", namespace.as_deref(), name)),
        Host::Pod { .. } | Host::Outside(_) => None,
    }
}
