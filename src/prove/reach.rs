//! What can stand in the way to a server, whatever it speaks.

use serde_json::json;

use super::{Cases, Deed, Object};
use crate::checks::{Access, Address, Credential, Host};

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

/// The Service of an address, if it is one.
fn service(at: &Address) -> Option<Object> {
    match &at.host {
        Host::Service { name, namespace } => Some(Object::new("Service", namespace.as_deref(), name)),
        Host::Pod { .. } | Host::Outside(_) => None,
    }
}
