//! How a namespace that ends says what keeps it (`pkg/controller/namespace/deletion/status_condition_utils.go`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cluster::now;
use super::object::Key;

/// What is still there, each with its finalizers.
pub(super) type Held = [(Key, Vec<String>)];

/// The conditions of its namespace.
pub(super) fn conditions(held: &Held) -> Value {
    let kinds = listed(held.iter().map(|(key, _)| title(key)), "has");
    let finalizers = listed(held.iter().flat_map(|(_, finalizers)| finalizers.iter().cloned()), "in");
    json!([
        fine("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
        fine(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed"
        ),
        fine(
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization"
        ),
        match kinds {
            None => fine("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
            Some(kinds) => condition(
                ("NamespaceContentRemaining", "True"),
                "SomeResourcesRemain",
                &format!("Some resources are remaining: {kinds}"),
            ),
        },
        match finalizers {
            None => fine(
                "NamespaceFinalizersRemaining",
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished"
            ),
            Some(finalizers) => condition(
                ("NamespaceFinalizersRemaining", "True"),
                "SomeFinalizersRemain",
                &format!("Some content in the namespace has finalizers remaining: {finalizers}"),
            ),
        },
    ])
}

fn fine(kind: &str, reason: &str, message: &str) -> Value {
    condition((kind, "False"), reason, message)
}

fn condition((kind, status): (&str, &str), reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now() })
}

/// The kind of an object with its group: `pods.`, `deployments.apps`.
fn title(key: &Key) -> String {
    match key.resource.split_once('/') {
        Some((group, plural)) => format!("{plural}.{group}"),
        None => key.resource.to_string(),
    }
}

/// Each name with how often it is there; none where there is none.
fn listed(names: impl Iterator<Item = String>, word: &str) -> Option<String> {
    let mut counts = BTreeMap::<String, usize>::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    let listed: Vec<String> =
        counts.into_iter().map(|(name, count)| format!("{name} {word} {count} resource instances")).collect();
    (!listed.is_empty()).then(|| listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_namespace_is_named_with_its_number() {
        let held = [
            (Key::new("/pods", "n", "a"), vec!["example.com/wait".to_owned()]),
            (Key::new("/pods", "n", "b"), Vec::new()),
        ];
        let said = conditions(&held);
        assert_eq!(said[3]["message"], "Some resources are remaining: pods. has 2 resource instances");
        let finalizers =
            "Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances";
        assert_eq!(said[4]["message"], finalizers);
        assert_eq!(conditions(&[])[4]["status"], "False");
    }
}
