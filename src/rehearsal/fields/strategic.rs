//! Strategic merge patch (`k8s.io/apimachinery/pkg/util/strategicpatch`): a merge patch that knows by which field the items
//! of a list are told apart.

use serde_json::{Map, Value};

use super::super::schema::{Merge, Schema};
use super::patch::PatchError;

/// What stands before the name of a list to say in which order its items are.
const ORDER: &str = "$setElementOrder/";
/// What stands before the name of a list of plain values to say which of them go.
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// What the object is after a strategic merge patch. Only built-in kinds have one.
pub(crate) fn strategic_merge_patch(schema: &Schema, object: &Value, patch: &Value) -> Result<Value, PatchError> {
    let (Some(fields), Some(changes)) = (object.as_object(), patch.as_object()) else {
        return Err(PatchError::Malformed("a strategic merge patch is an object".to_owned()));
    };
    Ok(Value::Object(merge_object(schema, fields, changes)?))
}

/// Merges the changes into the fields of an object.
fn merge_object(
    schema: &Schema,
    fields: &Map<String, Value>,
    changes: &Map<String, Value>,
) -> Result<Map<String, Value>, PatchError> {
    match changes.get("$patch").and_then(Value::as_str) {
        Some("replace") => return Ok(plain(changes)),
        Some("delete") => return Ok(Map::new()),
        Some("merge") | None => {}
        Some(other) => {
            return Err(PatchError::Malformed(format!("Unknown patch type found: {other}")));
        }
    }
    let mut fields = fields.clone();
    if let Some(kept) = changes.get("$retainKeys").and_then(Value::as_array) {
        fields.retain(|name, _| kept.iter().any(|kept| kept == name));
    }
    for (name, change) in changes {
        if let Some(list) = name.strip_prefix(DELETE_FROM) {
            delete_values(&mut fields, list, change);
        }
    }
    for (name, change) in changes.iter().filter(|(name, _)| !name.starts_with('$')) {
        let order = changes.get(&format!("{ORDER}{name}")).and_then(Value::as_array);
        merge_field(schema, &mut fields, name, change, order)?;
    }
    // A list whose order alone is given.
    for (name, order) in changes {
        let Some(list) = name.strip_prefix(ORDER).filter(|list| !changes.contains_key(*list)) else { continue };
        if let (Some(Value::Array(items)), Some(order)) = (fields.get_mut(list), order.as_array()) {
            let key = merge_of(schema, list).key;
            let own = items.clone();
            sort(items, order, key.as_deref(), &own);
        }
    }
    Ok(fields)
}

/// How a field is patched.
fn merge_of(schema: &Schema, name: &str) -> Merge {
    schema.properties.get(name).map(|property| property.merge.clone()).unwrap_or_default()
}

/// Merges one field.
fn merge_field(
    schema: &Schema,
    fields: &mut Map<String, Value>,
    name: &str,
    change: &Value,
    order: Option<&Vec<Value>>,
) -> Result<(), PatchError> {
    let child = schema.child(name).unwrap_or_else(|| super::super::schema::anything());
    let how = merge_of(schema, name);
    let merged = match (fields.get(name), change) {
        (_, Value::Null) => {
            fields.shift_remove(name);
            return Ok(());
        }
        (Some(Value::Object(own)), Value::Object(change))
            if !child.preserve || child.kind == super::super::schema::Type::Object =>
        {
            Value::Object(merge_object(child, own, change)?)
        }
        (_, Value::Object(change)) => {
            if change.get("$patch").and_then(Value::as_str) == Some("delete") {
                fields.shift_remove(name);
                return Ok(());
            }
            Value::Object(merge_object(child, &Map::new(), change)?)
        }
        (own, Value::Array(change)) if how.merge => {
            let none = Vec::new();
            let own = own.and_then(Value::as_array).unwrap_or(&none);
            Value::Array(merge_list(child, &how, own, change, order)?)
        }
        (_, Value::Array(change)) => {
            Value::Array(change.iter().filter(|item| item.get("$patch").is_none()).cloned().collect())
        }
        (_, other) => other.clone(),
    };
    fields.insert(name.to_owned(), merged);
    Ok(())
}

/// Merges two lists, by the key of their items or by their values.
fn merge_list(
    schema: &Schema,
    how: &Merge,
    own: &[Value],
    change: &[Value],
    order: Option<&Vec<Value>>,
) -> Result<Vec<Value>, PatchError> {
    let mut items = own.to_vec();
    let Some(key) = how.key.as_deref() else {
        for value in change {
            if !items.contains(value) {
                items.push(value.clone());
            }
        }
        sort(&mut items, order.map_or(change, Vec::as_slice), None, own);
        return Ok(items);
    };
    if change.iter().any(|item| item["$patch"] == "replace") {
        items.clear();
    }
    for item in change {
        let Some(fields) = item.as_object() else {
            return Err(PatchError::Failed(format!("map: {item} does not contain declared merge key: {key}")));
        };
        let directive = fields.get("$patch").and_then(Value::as_str);
        let Some(wanted) = fields.get(key) else {
            if directive == Some("replace") {
                continue;
            }
            let said = format!("map: {} does not contain declared merge key: {key}", go_map(fields));
            return Err(PatchError::Failed(said));
        };
        match directive {
            Some("delete") => items.retain(|own| own.get(key) != Some(wanted)),
            Some("replace") => items.push(Value::Object(plain(fields))),
            _ => match items.iter_mut().find(|own| own.get(key) == Some(wanted)) {
                Some(Value::Object(own)) => *own = merge_object(schema.item(), own, fields)?,
                Some(other) => *other = item.clone(),
                None => items.push(Value::Object(merge_object(schema.item(), &Map::new(), fields)?)),
            },
        }
    }
    sort(&mut items, order.map_or(change, Vec::as_slice), Some(key), own);
    Ok(items)
}

/// Puts the items into the order that the patch gives; those that it does not name come where the server had them, as
/// far as that can be told.
fn sort(items: &mut Vec<Value>, order: &[Value], key: Option<&str>, own: &[Value]) {
    let name = |item: &Value| key.map_or_else(|| item.clone(), |key| item.get(key).cloned().unwrap_or(Value::Null));
    let place = |item: &Value| order.iter().position(|ordered| name(ordered) == name(item));
    let before = |item: &Value| own.iter().position(|own| name(own) == name(item)).unwrap_or(usize::MAX);
    let (mut named, mut others): (Vec<Value>, Vec<Value>) = items.drain(..).partition(|item| place(item).is_some());
    named.sort_by_key(place);
    others.sort_by_key(before);
    let mut named = named.into_iter().peekable();
    let mut others = others.into_iter().peekable();
    // An item of the server's stays before the one that it stood before.
    while let (Some(one), Some(other)) = (named.peek(), others.peek()) {
        let first = before(one) != usize::MAX && before(other) < before(one);
        let next = if first { others.next() } else { named.next() };
        items.extend(next);
    }
    items.extend(named);
    items.extend(others);
}

/// Takes values out of a list.
fn delete_values(fields: &mut Map<String, Value>, list: &str, gone: &Value) {
    if let (Some(Value::Array(items)), Some(gone)) = (fields.get_mut(list), gone.as_array()) {
        items.retain(|item| !gone.contains(item));
    }
}

/// The fields without what only a patch has.
fn plain(fields: &Map<String, Value>) -> Map<String, Value> {
    let kept = fields.iter().filter(|(name, _)| !name.starts_with('$'));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A map as Go prints it: `map[name:web]`.
fn go_map(fields: &Map<String, Value>) -> String {
    let mut parts: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}:{}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    parts.sort();
    format!("map[{}]", parts.join(" "))
}
