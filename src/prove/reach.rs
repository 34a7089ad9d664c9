//! What can stand in the way to a server, whatever it speaks.

use serde_json::json;

use super::{Cases, Deed, Object};
use crate::checks::{Access, Address, Credential, Host};

/// A Service that is not there, has nothing behind it, or leads to a port at which nobody listens.
pub(super) fn cases(at: &Address, expect: Access) -> Cases {
    let mut cases = Cases::default();
    let Some(service) = service(at) else {
        cases.unclaimed("service-gone", "it is not reached through a Service");
        return cases;
    };
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
    cases
}

/// The Service of an address, if it is one.
pub(super) fn service(at: &Address) -> Option<Object> {
    match &at.host {
        Host::Service { name, namespace } => Some(Object::new("Service", namespace.as_deref(), name)),
        Host::Pod { .. } | Host::Outside(_) => None,
    }
}

/// A password that cannot be read is no word about the server.
pub(super) fn secret(credential: Option<&Credential>, cases: &mut Cases) {
    if let Some(Credential::Secret(key)) = credential {
        let secret = Object::new("Secret", key.namespace.as_deref(), &key.name);
        cases.unclear("secret-gone", Deed::Delete(secret), [&key.name]);
    }
}
