//! What can be wrong with a server's TLS, whatever is spoken over it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Cases, Deed, Object};
use crate::checks::{Access, Address, Credential, SecretKey, Signed, Trust};
use crate::rehearsal;

/// A certificate that no client should take, a server without any, and one to trust that cannot be read.
pub(super) fn cases(at: &Address, trust: Option<&Trust>, expect: Access) -> Cases {
    let mut cases = Cases::default();
    let is = |fault| Deed::Server { at: at.clone(), fault };
    hinders(&mut cases, expect, "speaks-no-tls", trust.map(|_| vec![is("speaks-no-tls")]), "no TLS");
    let signed = match trust {
        Some(Trust::Signed(signed)) => Some(signed),
        Some(Trust::Any) | None => None,
    };
    let unknown = "has a certificate signed by a CA that is not trusted";
    let another = "certificate-of-another";
    hinders(&mut cases, expect, "unknown-ca", signed.map(|_| vec![is(another)]), unknown);
    let expired = signed.map(|_| vec![is("certificate-expired")]);
    hinders(&mut cases, expect, "certificate-expired", expired, "has a certificate that is expired since");
    let key = signed.and_then(kept);
    // Who has signed that certificate is trusted then.
    let trusted = key.zip(rehearsal::other_authority()).map(|(key, pem)| vec![holds(key, pem), is(another)]);
    let other = "has a certificate for somebody.else.example, and not for";
    hinders(&mut cases, expect, "certificate-for-another", trusted, other);
    match key {
        Some(key) => {
            let words = ["the certificate to trust cannot be read"];
            cases.unclear("ca-unreadable", holds(key, "nonsense"), words);
        }
        None => cases.unclaimed("ca-unreadable", UNKEPT),
    }
    cases
}

const UNKEPT: &str = "it trusts no certificate that is kept in a Secret (`tls`, `ca`)";

/// Must be seen where it can be brought about: a server that cannot be talked to denies nothing.
fn hinders(cases: &mut Cases, expect: Access, name: &str, deeds: Option<Vec<Deed>>, words: &str) {
    match (deeds, expect) {
        (Some(deeds), Access::Allowed) => cases.broken(name, deeds, [words]),
        (Some(deeds), Access::Denied) => cases.unclear(name, deeds, [words]),
        (None, _) if name == "certificate-for-another" => cases.unclaimed(name, UNKEPT),
        (None, _) if name == "speaks-no-tls" => cases.unclaimed(name, "it claims no `tls`"),
        (None, _) => cases.unclaimed(name, "it does not claim who has signed a certificate (`tls`, `ca`)"),
    }
}

/// Where the certificate is kept that is trusted, if that is in the cluster.
fn kept(signed: &Signed) -> Option<&SecretKey> {
    match &signed.ca {
        Credential::Secret(key) => Some(key),
        Credential::Env(_) | Credential::Value(_) => None,
    }
}

/// A Secret holds something else.
fn holds(key: &SecretKey, content: &str) -> Deed {
    let patch = json!({ "data": { key.key.as_str(): STANDARD.encode(content) } });
    Deed::Merge { object: Object::new("Secret", key.namespace.as_deref(), &key.name), patch }
}
