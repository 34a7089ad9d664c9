//! Patches that know nothing of the object's type: JSON patch (RFC 6902) and JSON merge patch (RFC 7386).

use serde_json::{Map, Value};

/// Why a patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PatchError {
    /// It is no patch at all: 400 with this message.
    Malformed(String),
    /// It does not go with the object: 422 with this message.
    Unfit(String),
    /// It cannot be understood for this object: 500 with this message.
    Failed(String),
}

/// What the object is after a JSON patch.
pub(crate) fn json_patch(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(|error| PatchError::Malformed(error.to_string()))?;
    let mut object = object.clone();
    match json_patch::patch(&mut object, &operations) {
        Ok(()) => Ok(object),
        Err(_) => Err(PatchError::Unfit("the server rejected our request due to an error in our request".to_owned())),
    }
}

/// What the object is after a JSON merge patch.
pub(crate) fn merge_patch(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed("a merge patch is an object".to_owned()));
    }
    let mut object = object.clone();
    merge(&mut object, patch);
    Ok(object)
}

/// Merges a value: objects field by field, `null` takes away, anything else replaces.
pub(super) fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(fields) = object.as_object_mut() else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.shift_remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}
