//! One object merged into another by its schema, and what is left of one without some of its fields
//! (`sigs.k8s.io/structured-merge-diff/typed`).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::schema::{Schema, Type};
use super::set::Set;
use super::typed::{Shape, element, field, named, shape};

/// The first thing for which an object cannot be merged by its schema: a field that the schema does not know, or an item
/// that a list has twice. The text is what a message has: `.spec.foo: field not declared in schema`.
pub(super) fn unfit(schema: &Schema, value: &Value) -> Option<String> {
    unfit_at(schema, value, &mut String::new())
}

/// The same, below a place.
fn unfit_at(schema: &Schema, value: &Value, at: &mut String) -> Option<String> {
    let length = at.len();
    match shape(schema, value) {
        Shape::Leaf => wrong_scalar(schema.kind, value).map(|said| format!("{at}: {said}")),
        Shape::Map(fields) => fields.iter().find_map(|(name, value)| {
            at.push_str(&named(name).to_string());
            let known = schema.child(name);
            let wrong = match known {
                None if !schema.preserve => Some(format!("{at}: field not declared in schema")),
                None => None,
                Some(child) => unfit_at(child, value, at),
            };
            at.truncate(length);
            wrong
        }),
        Shape::List(items) => {
            let mut seen = HashSet::new();
            items.iter().enumerate().find_map(|(index, item)| {
                let Some(element) = element(schema, item) else {
                    let said = "associative list with keys has an element that omits all key fields";
                    return Some(format!("{at}: element {index}: {said}"));
                };
                if !seen.insert(element.to_string()) {
                    return Some(format!("{at}: duplicate entries for key {element}"));
                }
                at.push_str(&element.to_string());
                let wrong = unfit_at(schema.item(), item, at);
                at.truncate(length);
                wrong
            })
        }
    }
}

/// What is wrong with a value that has no parts.
fn wrong_scalar(kind: Type, value: &Value) -> Option<String> {
    let go = match value {
        Value::Null => return None,
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    match kind {
        Type::Int32 | Type::Int64 | Type::Number if !value.is_number() => {
            Some(format!("expected numeric (int or float), got {go}"))
        }
        Type::String | Type::Bytes | Type::Time if !value.is_string() => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{value}}}"))
        }
        Type::Boolean if !value.is_boolean() => {
            Some(format!("expected boolean, got &value.valueUnstructured{{Value:{value}}}"))
        }
        Type::Object if !value.is_object() => Some(format!("expected map, got &{{{}}}", bare_text(value))),
        Type::Array if !value.is_array() => Some(format!("expected list, got &{{{}}}", bare_text(value))),
        Type::Any | Type::Boolean | Type::Int32 | Type::Int64 | Type::Number | Type::String => None,
        Type::Bytes | Type::Time | Type::Quantity | Type::IntOrString | Type::Object | Type::Array => None,
    }
}

/// A value as Go prints it.
fn bare_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What one object is with another merged into it.
pub(super) fn merge(schema: &Schema, live: &Value, config: &Value) -> Value {
    match (shape(schema, live), shape(schema, config)) {
        (Shape::Map(live), Shape::Map(config)) if !live.is_empty() || !config.is_empty() => {
            let mut merged = live.clone();
            for (name, value) in config {
                let value = match live.get(name) {
                    Some(live) => merge(field(schema, name).0, live, value),
                    None => value.clone(),
                };
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Shape::List(live), Shape::List(config)) if !live.is_empty() || !config.is_empty() => {
            Value::Array(merge_items(schema, live, config))
        }
        _ => config.clone(),
    }
}

/// Merges two lists: the items of both, in the order of the second as far as it has them, and otherwise of the first.
fn merge_items(schema: &Schema, live: &[Value], config: &[Value]) -> Vec<Value> {
    let key = |item: &Value| element(schema, item).map(|element| element.to_string()).unwrap_or_default();
    let live: Vec<(String, &Value)> = live.iter().map(|item| (key(item), item)).collect();
    let config: Vec<(String, &Value)> = config.iter().map(|item| (key(item), item)).collect();
    let in_live: HashSet<&str> = live.iter().map(|(key, _)| key.as_str()).collect();
    let in_config: HashSet<&str> = config.iter().map(|(key, _)| key.as_str()).collect();
    let mut shared = config.iter().map(|(key, _)| key.as_str()).filter(|key| in_live.contains(key)).peekable();
    let mut done: HashSet<&str> = HashSet::new();
    let one = |key: &str, item: &Value| {
        let mut same = live.iter().filter(|(other, _)| other == key);
        match (same.next(), same.next()) {
            // What is there twice is not merged with, but replaced.
            (Some((_, live)), None) => merge(schema.item(), live, item),
            _ => item.clone(),
        }
    };
    let (mut out, mut left, mut right) = (Vec::new(), 0, 0);
    while left < live.len() || right < config.len() {
        if let (Some((own, _)), Some((other, item))) = (live.get(left), config.get(right)) {
            if own == other {
                done.insert(other);
                out.push(one(other, item));
                (left, right) = (left + 1, right + 1);
                shared.next();
                continue;
            }
            if in_config.contains(own.as_str()) && shared.peek().is_some_and(|next| next != own) {
                left += 1;
                continue;
            }
        }
        if let Some((own, item)) = live.get(left) {
            if !in_config.contains(own.as_str()) {
                out.push((*item).clone());
                left += 1;
                continue;
            }
            if done.contains(own.as_str()) {
                left += 1;
            }
        }
        if let Some((other, item)) = config.get(right) {
            done.insert(other);
            out.push(one(other, item));
            right += 1;
            if shared.peek() == Some(&other.as_str()) {
                shared.next();
            }
        }
    }
    out
}

/// What is left of an object without these fields. None if nothing is.
pub(super) fn without(schema: &Schema, value: &Value, gone: &Set) -> Option<Value> {
    match shape(schema, value) {
        // A list or an object that is one value has no parts to lose; what stands for itself stays.
        Shape::Leaf => (!value.is_array() && !value.is_object()).then(|| value.clone()),
        Shape::Map(fields) => {
            let mut left = Map::new();
            for (name, value) in fields {
                let element = named(name);
                if gone.has(&element) {
                    continue;
                }
                let value = match gone.below(&element) {
                    // What has lost all that was in it is still there: somebody owns it.
                    Some(gone) => without(field(schema, name).0, value, gone).unwrap_or(Value::Null),
                    None => value.clone(),
                };
                left.insert(name.clone(), value);
            }
            (!left.is_empty()).then_some(Value::Object(left))
        }
        Shape::List(items) => {
            let mut left = Vec::new();
            for item in items {
                let Some(element) = element(schema, item) else { continue };
                if gone.has(&element) {
                    continue;
                }
                left.extend(match gone.below(&element) {
                    Some(gone) => without(schema.item(), item, gone),
                    None => Some(item.clone()),
                });
            }
            (!left.is_empty()).then_some(Value::Array(left))
        }
    }
}
