//! Whether an object is what its schema says, in the words of the API server for custom resources
//! (`k8s.io/apiextensions-apiserver/pkg/apiserver/validation`).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::error::FieldError;
use super::tree::{Limits, List, Schema, Type};

/// Everything that is wrong with a value by its schema. Rules in CEL are not evaluated.
pub(crate) fn validate(schema: &Schema, value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(schema, value, "", &mut errors);
    errors
}

/// Looks at one place, `path`, and at what is in it.
fn walk(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_null() && schema.nullable {
        return;
    }
    if let Some(wanted) = wrong_type(schema.kind, value) {
        let found = json_name(value);
        let detail = format!("{} in body must be of type {wanted}: {found:?}", shown(path));
        errors.push(FieldError::type_invalid(shown(path), found.into(), detail));
        if let Some(limits) = &schema.limits {
            choice(limits, value, path, errors);
        }
        return;
    }
    if let Some(limits) = &schema.limits {
        bounds(limits, value, path, errors);
    }
    match value {
        Value::Object(fields) => object(schema, fields, path, errors),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(schema.item(), item, &format!("{path}[{index}]"), errors);
            }
            unique(&schema.list, items, path, errors);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Looks at the fields of an object: those that are there, and those that must be.
fn object(schema: &Schema, fields: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    for name in &schema.required {
        if !fields.contains_key(&**name) {
            errors.push(FieldError::required(join(path, name), ""));
        }
    }
    if let Some(limits) = &schema.limits {
        let count = fields.len();
        if limits.max_properties.is_some_and(|most| count as u64 > most) {
            errors.push(FieldError::too_many(shown(path), count, limits.max_properties.unwrap_or_default()));
        }
        if let Some(least) = limits.min_properties.filter(|least| (count as u64) < *least) {
            let detail = format!("{} in body should have at least {least} properties", shown(path));
            errors.push(FieldError::invalid(shown(path), count.into(), detail));
        }
    }
    for name in ["apiVersion", "kind"].into_iter().filter(|_| schema.embedded) {
        if fields.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
            errors.push(FieldError::required(join(path, name), ""));
        }
    }
    // Its own metadata is looked at by other rules.
    let whole = path.is_empty() || schema.embedded;
    for (name, value) in fields {
        if whole && name == "metadata" {
            continue;
        }
        if let Some(child) = schema.child(name) {
            walk(child, value, &join(path, name), errors);
        }
    }
}

/// The name of the type that a value should have been of, if it is not.
fn wrong_type(kind: Type, value: &Value) -> Option<&'static str> {
    let (fine, wanted) = match kind {
        Type::Any => (true, ""),
        Type::Boolean => (value.is_boolean(), "boolean"),
        Type::Int32 | Type::Int64 => (whole_number(value), "integer"),
        Type::Number => (value.is_number(), "number"),
        Type::String | Type::Bytes | Type::Time => (value.is_string(), "string"),
        Type::Quantity => (value.is_string() || value.is_number(), "string"),
        Type::IntOrString => (value.is_string() || whole_number(value), "integer,string"),
        Type::Object => (value.is_object(), "object"),
        Type::Array => (value.is_array(), "array"),
    };
    (!fine).then_some(wanted)
}

/// Whether it is a number without a fraction, however it is written.
fn whole_number(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// Looks at whether a value is one of the few that there are.
fn choice(limits: &Limits, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if !limits.values.is_empty() && !limits.values.contains(value) {
        errors.push(FieldError::not_supported(shown(path), value.clone(), &limits.values));
    }
}

/// Looks at what bounds a value besides its type.
fn bounds(limits: &Limits, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let at = shown(path);
    choice(limits, value, path, errors);
    let mut invalid = |said: String| {
        errors.push(FieldError::invalid(at, value.clone(), format!("{at} in body {said}")));
    };
    if let Some(number) = value.as_f64() {
        if let Some((least, open)) = limits.minimum.filter(|(least, open)| number < *least || *open && number == *least)
        {
            invalid(format!("should be greater than {}{least}", if open { "" } else { "or equal to " }));
        }
        if let Some((most, open)) = limits.maximum.filter(|(most, open)| number > *most || *open && number == *most) {
            invalid(format!("should be less than {}{most}", if open { "" } else { "or equal to " }));
        }
        if let Some(factor) = limits.multiple_of.filter(|factor| (number / factor).fract() != 0.0) {
            invalid(format!("should be a multiple of {factor}"));
        }
    }
    if let Value::String(text) = value {
        if let Some(pattern) = &limits.pattern
            && pattern.regex.as_ref().is_some_and(|regex| !regex.is_match(text))
        {
            invalid(format!("should match '{}'", pattern.text));
        }
        let length = text.chars().count() as u64;
        if let Some(least) = limits.min_length.filter(|least| length < *least) {
            invalid(format!("should be at least {least} chars long"));
        }
        if let Some(most) = limits.max_length.filter(|most| length > *most) {
            errors.push(FieldError::too_long(at, most));
        }
        if let Some(format) = limits.format.as_deref().filter(|format| !has_format(format, text)) {
            let detail = format!("{at} in body must be of type {format}: {text:?}");
            errors.push(FieldError::invalid(at, value.clone(), detail));
        }
    }
    if let Value::Array(items) = value {
        if let Some(least) = limits.min_items.filter(|least| (items.len() as u64) < *least) {
            let detail = format!("{at} in body should have at least {least} items");
            errors.push(FieldError::invalid(at, items.len().into(), detail));
        }
        if let Some(most) = limits.max_items.filter(|most| items.len() as u64 > *most) {
            errors.push(FieldError::too_many(at, items.len(), most));
        }
    }
    junctions(limits, value, path, errors);
}

/// Looks at what other schemas say about the same value. Where none of several holds, what is wrong by the nearest of them
/// is said too.
fn junctions(limits: &Limits, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let wrong = |schema: &Schema| {
        let mut found = Vec::new();
        walk(schema, value, path, &mut found);
        found
    };
    let mut invalid = |said: String| {
        errors.push(FieldError::invalid("<nil>", "".into(), format!("{path:?} must {said}")));
    };
    let mut nearest = Vec::new();
    if !limits.any_of.is_empty() {
        let each: Vec<Vec<FieldError>> = limits.any_of.iter().map(wrong).collect();
        if !each.iter().any(Vec::is_empty) {
            invalid("validate at least one schema (anyOf)".to_owned());
            nearest.extend(each.into_iter().min_by_key(Vec::len).unwrap_or_default());
        }
    }
    if !limits.one_of.is_empty() {
        let each: Vec<Vec<FieldError>> = limits.one_of.iter().map(wrong).collect();
        let said = "validate one and only one schema (oneOf). Found";
        match each.iter().filter(|wrong| wrong.is_empty()).count() {
            0 => {
                invalid(format!("{said} none valid"));
                nearest.extend(each.into_iter().min_by_key(Vec::len).unwrap_or_default());
            }
            1 => {}
            several => invalid(format!("{said} {several} valid alternatives")),
        }
    }
    for found in limits.all_of.iter().map(wrong).filter(|found| !found.is_empty()) {
        nearest.extend(found);
    }
    if limits.not.as_ref().is_some_and(|schema| wrong(schema).is_empty()) {
        invalid("not validate the schema (not)".to_owned());
    }
    errors.extend(nearest);
}

/// Whether a text is of a format; one that is not known is not looked at.
fn has_format(format: &str, text: &str) -> bool {
    match format {
        "date-time" => super::decode::is_time(text),
        "byte" => {
            text.len().is_multiple_of(4) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        }
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "uuid" => {
            let shape = [8, 4, 4, 4, 12];
            let parts: Vec<&str> = text.split('-').collect();
            parts.len() == shape.len()
                && parts
                    .iter()
                    .zip(shape)
                    .all(|(part, length)| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
        }
        _ => true,
    }
}

/// Looks for items that are there twice, in a list that has each once.
fn unique(list: &List, items: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let shown = match list {
            List::Atomic => return,
            List::Set => item.clone(),
            List::Map(keys) => {
                let Some(fields) = item.as_object() else { continue };
                let present = keys.iter().filter_map(|key| fields.get_key_value(&**key));
                Value::Object(present.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
        };
        if !seen.insert(shown.to_string()) {
            errors.push(FieldError::duplicate(format!("{path}[{index}]"), shown));
        }
    }
}

/// A field below a path.
fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// How a path is written; the object itself has none.
fn shown(path: &str) -> &str {
    if path.is_empty() { "<nil>" } else { path }
}

/// How JSON schema names the type of a value.
fn json_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
