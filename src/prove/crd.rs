//! Twin of `checks/crd.rs`.

use serde_json::{Value, json};

use super::{Cases, Deed, Object, Whose};
use crate::checks::{Absence, Crd};
use crate::rehearsal::Fault;

/// The kind of definitions.
const KIND: &str = "CustomResourceDefinition";

pub(super) fn cases(claim: &Crd) -> Cases {
    let mut cases = Cases::default();
    for name in &claim.names {
        match claim.expect {
            Absence::Present => {
                let mut own = definition(name);
                for version in &claim.versions {
                    // The others are served as before.
                    let patch = without(version, &claim.versions);
                    let words = [format!("{name} serves"), format!("not {version}")];
                    let deed = Deed::Merge { object: Object::new(KIND, None, name), patch };
                    own.broken(format!("without-version-{version}"), deed, words);
                }
                own.broken("not-served", Deed::Unserve(name.clone()), [name.as_str(), "is not in discovery"]);
                for case in &mut own.0 {
                    case.name = format!("{name}: {}", case.name);
                }
                cases.0.append(&mut own.0);
            }
            Absence::Absent | Absence::AbsentWithItsKind => {
                cases.broken(format!("{name}: appears"), Deed::Create(example(name)), ["still there", name]);
            }
        }
    }
    cases
}

/// What can become of one definition.
pub(super) fn definition(name: &str) -> Cases {
    let mut cases = Cases::default();
    let object = Object::new(KIND, None, name);
    let strike =
        |fault| vec![Deed::Life { whose: Whose::Definition(name.to_owned()), fault }, Deed::Recreate(object.clone())];
    cases.broken("gone", Deed::Delete(object.clone()), [name, "is not there"]);
    cases.broken(Fault::CrdNamesRefused.name(), strike(Fault::CrdNamesRefused), ["is already in use"]);
    let so_far = [name, "the initial names have been accepted"];
    cases.broken(Fault::CrdNotEstablished.name(), strike(Fault::CrdNotEstablished), so_far);
    cases
}

/// The definition with all versions that are claimed, of which this one is not served, and another in its place.
fn without(version: &str, claimed: &[String]) -> Value {
    let schema = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    let other = if claimed.iter().any(|claimed| claimed == "v9") { "v99" } else { "v9" };
    let names = claimed.iter().map(String::as_str).chain([other]);
    let written = |name: &str| json!({ "name": name, "served": name != version, "storage": name == claimed[0], "schema": schema });
    json!({ "spec": { "versions": names.map(written).collect::<Vec<_>>() } })
}

/// A definition of this name.
fn example(name: &str) -> Value {
    let (plural, group) = name.split_once('.').unwrap_or((name, "example.com"));
    let names = json!({ "plural": plural, "singular": "example", "kind": "Example", "listKind": "ExampleList" });
    let schema = json!({ "openAPIV3Schema": { "type": "object" } });
    let version = json!({ "name": "v1", "served": true, "storage": true, "schema": schema });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": KIND, "metadata": { "name": name },
        "spec": { "group": group, "names": names, "scope": "Namespaced", "versions": [version] },
    })
}
