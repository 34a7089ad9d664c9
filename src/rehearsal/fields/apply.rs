//! Server-side apply (`sigs.k8s.io/structured-merge-diff/merge`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::schema::{Schema, prune};
use super::merging;
use super::owners::{self, Entry, Writer};
use super::set::Set;
use super::typed::{self, Comparison};

/// The annotation in which `kubectl apply` keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A field that another manager owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The other manager, as messages have it: `"kubectl-client-side-apply" using apps/v1 at …`.
    pub(crate) manager: String,
    /// The field: `.spec.replicas`.
    pub(crate) path: String,
}

/// Why something cannot be applied.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ApplyError {
    /// It says what nobody may say: 400 with this message.
    Bad(String),
    /// It does not go with the schema: 500 with this message.
    Unfit(String),
    /// Others own what it changes: 409 with `conflict_message` and a cause for each.
    Conflicts(Vec<Conflict>),
}

/// What an object is when `config` has been applied to `live` (none: it is created), with its owners.
///
/// Fields that the writer owned before and names no more are gone, unless another owns them too. With `force`, fields of
/// others are taken over instead of being conflicts. Defaults are not filled in.
pub(crate) fn apply(
    schema: &Schema,
    live: Option<&Value>,
    config: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, ApplyError> {
    match applied(schema, live, config, writer, force) {
        Err(ApplyError::Conflicts(all)) if writer.name() == "kubectl" => {
            // What kubectl applied before from the client's side is its own.
            let own = live.map(|live| last_applied(schema, live)).unwrap_or_default().paths();
            let left: Vec<Conflict> = all.into_iter().filter(|conflict| !own.contains(&conflict.path)).collect();
            if left.is_empty() { applied(schema, live, config, writer, true) } else { Err(ApplyError::Conflicts(left)) }
        }
        done => done,
    }
}

/// The same, without regard to what was applied from the client's side.
fn applied(
    schema: &Schema,
    live: Option<&Value>,
    config: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, ApplyError> {
    if !config["metadata"]["managedFields"].is_null() {
        return Err(ApplyError::Bad("metadata.managedFields must be nil".to_owned()));
    }
    if let Some(said) = merging::unfit(schema, config) {
        return Err(ApplyError::Unfit(format!("failed to create typed patch object ({}): {said}", describe(config))));
    }
    let config = without_nulls_of_metadata(config);
    let before = owners::bare(live.unwrap_or(&owners::zero(schema)));
    let mut entries = live.map(owners::entries).unwrap_or_default();
    if let (true, Some(_)) = (entries.is_empty(), live) {
        let all = Writer { manager: "before-first-apply", has_status: false, subresource: "", ..*writer };
        owners::update(schema, &owners::zero(schema), &before, &mut entries, &all);
    }
    let last = entries.iter().position(|entry| entry.is_of(writer, true)).map(|index| entries.remove(index));
    let set = typed::to_set(schema, &config).difference_with_all_below(&writer.ignored(schema));
    let merged = merging::merge(schema, &before, &config);
    let object = match &last {
        Some(last) if !last.set.is_empty() => pruned(schema, &merged, &last.set, &set, &entries),
        _ => merged,
    };
    take(schema, &before, &object, &mut entries, writer, force)?;
    let mut own = writer.entry(true, set.difference(&owners::of_the_server()));
    let same = live.is_some() && object == before;
    if same {
        own.time = last.and_then(|last| last.time);
    }
    if !own.set.is_empty() {
        entries.push(own);
    }
    Ok(finished(schema, object, entries, &config, writer))
}

/// The object with its owners, and without what Go would not write.
fn finished(schema: &Schema, mut object: Value, entries: Vec<Entry>, config: &Value, writer: &Writer<'_>) -> Value {
    if schema.is_builtin() {
        prune(schema, &mut object);
    }
    let annotation = object["metadata"]["annotations"].get(LAST_APPLIED).is_some_and(Value::is_string);
    if annotation && writer.name() == "kubectl" {
        let mut config = config.clone();
        if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
        object["metadata"]["annotations"][LAST_APPLIED] = format!("{}\n", sorted(&config)).into();
    }
    owners::write(&mut object, entries);
    object
}

/// Takes the changed fields away from the others, or says which they are.
fn take(
    schema: &Schema,
    before: &Value,
    object: &Value,
    entries: &mut Vec<Entry>,
    writer: &Writer<'_>,
    force: bool,
) -> Result<(), ApplyError> {
    let comparison = typed::compare(schema, before, object).without(&writer.ignored(schema));
    let Comparison { removed, modified, added } = &comparison;
    let changed = modified.union(added);
    let conflicts: Vec<Conflict> = entries
        .iter()
        .flat_map(|entry| {
            let manager = shown(entry);
            let paths = entry.set.intersection(&changed).paths();
            paths.into_iter().map(move |path| Conflict { manager: manager.clone(), path })
        })
        .collect();
    if !force && !conflicts.is_empty() {
        return Err(ApplyError::Conflicts(conflicts));
    }
    for entry in entries.iter_mut() {
        entry.set = entry.set.difference(&changed).difference(removed);
    }
    entries.retain(|entry| !entry.set.is_empty());
    Ok(())
}

/// The merged object without what its manager named last and names no more, unless somebody else owns it.
fn pruned(schema: &Schema, merged: &Value, last: &Set, set: &Set, others: &[Entry]) -> Value {
    let ensured = |set: &Set| typed::with_named_fields(schema, set);
    let all = ensured(&typed::to_set(schema, merged));
    let empty = || Value::Object(Map::new());
    let left = merging::without(schema, merged, &ensured(last)).unwrap_or_else(empty);
    let owned = others.iter().fold(set.clone(), |owned, entry| owned.union(&entry.set));
    // What went with it though somebody owns it comes back, and what went though nobody had named it.
    let gone = all.difference(&ensured(&typed::to_set(schema, &left))).difference(&ensured(&owned));
    let left = merging::without(schema, merged, &gone).unwrap_or_else(empty);
    let gone = all.difference(&ensured(&typed::to_set(schema, &left))).intersection(&ensured(last));
    merging::without(schema, merged, &gone).unwrap_or_else(empty)
}

/// The fields that `kubectl apply` wrote down as its own, as far as they are still what it wrote.
fn last_applied(schema: &Schema, live: &Value) -> Set {
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap_or_default();
    let Ok(config) = serde_json::from_str::<Value>(text) else { return Set::default() };
    let Comparison { removed, modified, added } = typed::compare(schema, &config, live);
    typed::to_set(schema, &config).difference(&modified).difference(&added).difference(&removed)
}

/// The config without fields of its metadata that are `null`, as clients send `creationTimestamp`.
fn without_nulls_of_metadata(config: &Value) -> Value {
    fn clean(metadata: &mut Value) {
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.retain(|_, value| !value.is_null());
        }
    }
    let mut config = config.clone();
    for pointer in ["/metadata", "/spec/template/metadata", "/spec/jobTemplate/metadata"] {
        config.pointer_mut(pointer).map(clean);
    }
    config
}

/// `default/web; apps/v1, Kind=Deployment`
fn describe(config: &Value) -> String {
    let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    format!("{namespace}/{name}; {}, Kind={}", text("/apiVersion"), text("/kind"))
}

/// How messages name a manager.
fn shown(entry: &Entry) -> String {
    let mut shown = format!("{:?}", entry.manager);
    if !entry.subresource.is_empty() {
        shown.push_str(&format!(" with subresource {:?}", entry.subresource));
    }
    if !entry.applies {
        shown.push_str(&format!(" using {}", entry.api_version));
    }
    shown
}

/// A value with the names of its objects in order, as Go writes a map.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<&String, Value> = fields.iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(fields.into_iter().map(|(name, value)| (name.clone(), value)).collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// The message of a 409: `Apply failed with 1 conflict: conflict with "a" using apps/v1: .spec.replicas`.
pub(crate) fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", one.manager, one.path);
    }
    let mut by_manager: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for conflict in conflicts {
        by_manager.entry(&conflict.manager).or_default().push(&conflict.path);
    }
    let mut lines = Vec::new();
    for (manager, paths) in by_manager {
        lines.push(format!("conflicts with {manager}:"));
        lines.extend(paths.into_iter().map(|path| format!("- {path}")));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}
