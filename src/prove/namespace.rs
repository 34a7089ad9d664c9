//! Twin of `checks/namespace.rs`.

use serde_json::{Value, json};

use super::{Cases, Deed, Object, Whose};
use crate::checks::{Absence, Namespace};
use crate::rehearsal::Fault;

pub(super) fn cases(claim: &Namespace, own: &str) -> Cases {
    let name = claim.name.as_deref().unwrap_or(own);
    let mut cases = Cases::default();
    match claim.expect {
        Absence::Present => {
            labels(claim, name, &mut cases);
            quotas(claim, name, &mut cases);
            let held = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "held", "namespace": name, "finalizers": ["seaworthy.dev/held"] },
            });
            let namespace = Object::new("Namespace", None, name);
            cases.broken("terminating", vec![Deed::Create(held), Deed::Delete(namespace)], ["Terminating"]);
            let account = Object::new("ServiceAccount", Some(name), "default");
            let nobody = Deed::Life { whose: Whose::within(Some(name), name), fault: Fault::NoDefaultServiceAccount };
            let words = ["ServiceAccount default is not there"];
            cases.broken("without-account", vec![nobody, Deed::Delete(account)], words);
            let authority = Object::new("ConfigMap", Some(name), "kube-root-ca.crt");
            let nobody = Deed::Life { whose: Whose::within(Some(name), name), fault: Fault::NoRootAuthority };
            let words = ["ConfigMap kube-root-ca.crt is not there"];
            cases.broken("without-root-authority", vec![nobody, Deed::Delete(authority)], words);
        }
        Absence::Absent | Absence::AbsentWithItsKind => {
            let made = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            cases.broken("appears", Deed::Create(made), ["it is Active"]);
        }
    }
    cases
}

fn labels(claim: &Namespace, name: &str, cases: &mut Cases) {
    for label in claim.labels.keys() {
        let set = |value: Value| {
            let patch = json!({ "metadata": { "labels": { label: value } } });
            Deed::Merge { object: Object::new("Namespace", None, name), patch }
        };
        let words = |what: &str| [format!("label {label} {what}")];
        cases.broken(format!("without-label-{label}"), set(Value::Null), words("is missing"));
        // A value that every label may have, those that admission reads too.
        let other = if claim.labels[label] == "privileged" { "baseline" } else { "privileged" };
        cases.broken(format!("other-label-{label}"), set(json!(other)), words(&format!("is {other}")));
    }
}

fn quotas(claim: &Namespace, name: &str, cases: &mut Cases) {
    for resource in claim.quota.keys() {
        let quotas = Object::new("ResourceQuota", Some(name), "*");
        let missing = [format!("quota {resource} is missing")];
        cases.broken(format!("without-quota-{resource}"), Deed::Delete(quotas.clone()), missing);
        let patch = json!({ "spec": { "hard": { resource: "7777" } } });
        let other = [format!("quota {resource} is 7777")];
        cases.broken(format!("other-quota-{resource}"), Deed::Merge { object: quotas, patch }, other);
    }
}
