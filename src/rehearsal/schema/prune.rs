//! Fields that a type does not know are dropped, and named for the warning or the error that a client asked for.

use serde_json::Value;

use super::tree::{Schema, Type};

/// Drops what the schema does not know and names each: `spec.template.spec.containers[0].foo`.
///
/// Of built-in kinds, fields that are `null` go too, without a word: to Go they are not there. A custom resource keeps
/// them where its schema says `nullable`, and where the field has a default to take their place. What `apply` has made
/// of a custom resource is not pruned: a `null` in it is an error.
pub(crate) fn prune(schema: &Schema, value: &mut Value) -> Vec<String> {
    let mut dropped = Vec::new();
    walk(schema, value, &mut String::new(), &mut dropped);
    dropped
}

/// One place of the object, at `path`.
fn walk(schema: &Schema, value: &mut Value, path: &mut String, dropped: &mut Vec<String>) {
    let length = path.len();
    match value {
        Value::Array(items) if schema.kind == Type::Array => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push_str(&format!("[{index}]"));
                walk(schema.item(), item, path, dropped);
                path.truncate(length);
            }
        }
        Value::Object(fields) if schema.kind == Type::Object || !schema.properties.is_empty() => {
            let builtin = schema.is_builtin();
            fields.retain(|name, value| {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(name);
                let kept = match schema.child(name) {
                    Some(child) if value.is_null() => {
                        let taken =
                            schema.properties.get(name.as_str()).is_some_and(|property| property.default.is_some());
                        !builtin && (child.nullable || child.preserve || taken)
                    }
                    Some(child) => {
                        walk(child, value, path, dropped);
                        true
                    }
                    None if schema.preserve => true,
                    None => {
                        dropped.push(path.clone());
                        false
                    }
                };
                path.truncate(length);
                kept
            });
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {}
    }
}
