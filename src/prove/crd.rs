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
                    // In place of the one that is claimed another is served.
                    let deeds = Deed::Merge { object: Object::new(KIND, None, name), patch: renamed(version) };
                    let words = [name.as_str(), "not", version];
                    own.broken(format!("without-version-{version}"), deeds, words);
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

/// The definition with one version of another name, which the server takes as its only one.
fn renamed(version: &str) -> Value {
    let schema = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    let other = if version == "v9" { "v8" } else { "v9" };
    let all = json!([
        { "name": version, "served": false, "storage": true, "schema": schema },
        { "name": other, "served": true, "storage": false, "schema": schema },
    ]);
    json!({ "spec": { "versions": all } })
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
