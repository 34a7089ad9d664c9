//! What Go says of an object that is not of its type. A built-in kind is decoded before anything else looks at it, so
//! one wrong type is answered with 400 and nothing further (`sigs.k8s.io/json`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::quantity;
use super::tree::{Schema, Type};

/// The first value that a built-in kind cannot be decoded from, as the answer's message has it after
/// `Deployment in version "v1" cannot be handled as a Deployment: `. None if there is none.
///
/// Of a custom resource Go knows the metadata alone.
pub(crate) fn decode_error(schema: &Schema, value: &Value) -> Option<String> {
    if !schema.is_builtin() {
        let at = At { owner: "", path: String::new() };
        return walk(schema.child("metadata")?, value.get("metadata")?, &at);
    }
    walk(schema, value, &At { owner: "", path: String::new() })
}

/// A place, as Go names it: without the indexes of lists.
struct At<'a> {
    /// The Go type that the nearest field belongs to, `DeploymentSpec`.
    owner: &'a str,
    /// The fields down to here, `spec.replicas`.
    path: String,
}

/// Looks at one place and what is in it.
fn walk(schema: &Schema, value: &Value, at: &At<'_>) -> Option<String> {
    match (schema.kind, value) {
        (_, Value::Null) | (Type::Any, _) => None,
        (Type::Boolean, Value::Bool(_)) | (Type::String, Value::String(_)) | (Type::Number, Value::Number(_)) => None,
        (Type::Int32, Value::Number(number)) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => None,
        (Type::Int64, Value::Number(number)) if number.is_i64() => None,
        (Type::Int32 | Type::Int64, Value::Number(number)) => Some(at.cannot(&format!("number {number}"), schema)),
        (Type::Bytes, Value::String(text)) => {
            let bad = STANDARD.decode(text).err()?;
            let offset = match bad {
                base64::DecodeError::InvalidByte(offset, _) | base64::DecodeError::InvalidLastSymbol(offset, _) => {
                    offset
                }
                base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => text.len(),
            };
            Some(format!("illegal base64 data at input byte {offset}"))
        }
        (Type::Time, Value::String(text)) => time_error(text),
        (Type::Quantity, _) => quantity::canonical(value).is_none().then(|| quantity::MUST_MATCH.to_owned()),
        (Type::IntOrString, Value::String(_) | Value::Number(_)) => None,
        (Type::Array, Value::Array(items)) => items.iter().find_map(|item| walk(schema.item(), item, at)),
        (Type::Object, Value::Object(fields)) => {
            let owner = schema.name.rsplit('.').next().unwrap_or_default();
            fields.iter().find_map(|(name, value)| {
                let child = schema.child(name)?;
                // The keys of a map are no fields to Go.
                if schema.name.is_empty() {
                    return walk(child, value, at);
                }
                let path = if at.path.is_empty() { name.clone() } else { format!("{}.{name}", at.path) };
                walk(child, value, &At { owner, path })
            })
        }
        (_, value) => Some(at.cannot(json_name(value), schema)),
    }
}

impl At<'_> {
    /// That this value cannot be had from JSON of that type.
    fn cannot(&self, json: &str, schema: &Schema) -> String {
        let go = go_name(schema);
        if self.path.is_empty() {
            return format!("json: cannot unmarshal {json} into Go value of type {go}");
        }
        format!("json: cannot unmarshal {json} into Go struct field {}.{} of type {go}", self.owner, self.path)
    }
}

/// Whether a text is a moment in RFC 3339.
pub(super) fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
    let is = |index: usize, wanted: &[u8]| bytes.get(index).is_some_and(|byte| wanted.contains(byte));
    let fine = digits(0..4) && is(4, b"-") && digits(5..7) && is(7, b"-") && digits(8..10) && is(10, b"Tt");
    let fine = fine && digits(11..13) && is(13, b":") && digits(14..16) && is(16, b":") && digits(17..19);
    fine && bytes.len() > 19 && is(19, b".Zz+-")
}

/// What Go says of a text that is no moment.
fn time_error(text: &str) -> Option<String> {
    let shown = format!("{text:?}");
    (!is_time(text))
        .then(|| format!("parsing time {shown} as \"2006-01-02T15:04:05Z07:00\": cannot parse {shown} as \"2006\""))
}

/// How Go's JSON names the type of a value.
fn json_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// How Go names a type: `int32`, `[]v1.Container`, `map[string]string`.
fn go_name(schema: &Schema) -> String {
    match schema.kind {
        Type::Any => "interface {}".to_owned(),
        Type::Boolean => "bool".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::Number => "float64".to_owned(),
        Type::String => "string".to_owned(),
        Type::Bytes => "[]uint8".to_owned(),
        Type::Time => "v1.Time".to_owned(),
        Type::Quantity => "resource.Quantity".to_owned(),
        Type::IntOrString => "intstr.IntOrString".to_owned(),
        Type::Array => format!("[]{}", go_name(schema.item())),
        Type::Object => match &schema.values {
            Some(value) => format!("map[string]{}", go_name(value.schema())),
            None => schema.name.split_once('.').map_or(schema.name, |(_, name)| name).to_owned(),
        },
    }
}
