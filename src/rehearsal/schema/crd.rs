//! The schema of a custom resource, from its definition, and what is wrong with it where it is not structural
//! (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema`).
//!
//! `x-kubernetes-validations` (CEL) is neither evaluated nor looked at.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::FieldError;
use super::tree::{Limits, Link, List, Merge, Pattern, Property, Schema, Type};

/// How deep in a schema something stands, which decides what it must say.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    /// The object itself.
    Root,
    /// The items of a list.
    Item,
    /// A field.
    Field,
}

/// The schemas of a `CustomResourceDefinition` by the names of its versions, or everything that is wrong with them.
pub(crate) fn of_definition(definition: &Value) -> Result<BTreeMap<String, Arc<Schema>>, Vec<FieldError>> {
    let none = Vec::new();
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array).unwrap_or(&none);
    let written: Vec<&Value> = versions.iter().map(|version| &version["schema"]["openAPIV3Schema"]).collect();
    // Kubernetes keeps a schema that all versions share in one place, and names that place.
    let shared = written.windows(2).all(|pair| pair[0] == pair[1]);
    let (mut schemas, mut errors) = (BTreeMap::new(), Vec::new());
    for (index, version) in versions.iter().enumerate() {
        let at = format!("spec.versions[{index}].schema.openAPIV3Schema");
        if !written[index].is_object() {
            errors.push(FieldError::required(at, ""));
            continue;
        }
        let at = if shared { "spec.validation.openAPIV3Schema".to_owned() } else { at };
        match Schema::of_crd(written[index], &at) {
            Ok(schema) => {
                schemas.insert(version["name"].as_str().unwrap_or_default().to_owned(), schema);
            }
            Err(wrong) => errors.extend(wrong.into_iter().filter(|error| !errors.contains(error)).collect::<Vec<_>>()),
        }
    }
    if errors.is_empty() { Ok(schemas) } else { Err(errors) }
}

impl Schema {
    /// The schema that a definition gives as `openAPIV3Schema`, which stands at `path` in it; or everything that is wrong
    /// with it, in the order of the messages.
    pub(crate) fn of_crd(written: &Value, path: &str) -> Result<Arc<Self>, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut schema = structural(written, Level::Root, path, &mut errors);
        if !errors.is_empty() {
            errors.sort_by_cached_key(FieldError::to_string);
            return Err(errors);
        }
        add_own_fields(&mut schema);
        Ok(Arc::new(schema))
    }
}

/// Adds the fields that every object has.
fn add_own_fields(schema: &mut Schema) {
    let text = || Link::Here(Arc::new(Schema::of(Type::String)));
    let metadata = Link::Named("meta.v1.ObjectMeta");
    for (name, link) in [("apiVersion", text()), ("kind", text()), ("metadata", metadata)] {
        schema.properties.insert(Cow::Borrowed(name), Property { link, default: None, merge: Merge::default() });
    }
}

/// Reads one place of a schema, and notes what is wrong there.
fn structural(written: &Value, level: Level, path: &str, errors: &mut Vec<FieldError>) -> Schema {
    let flag = |name: &str| written[name] == Value::Bool(true);
    let int_or_string = flag("x-kubernetes-int-or-string");
    let mut schema = Schema {
        kind: if int_or_string { Type::IntOrString } else { kind(written["type"].as_str()) },
        nullable: flag("nullable"),
        preserve: flag("x-kubernetes-preserve-unknown-fields"),
        embedded: flag("x-kubernetes-embedded-resource"),
        atomic_map: written["x-kubernetes-map-type"] == "atomic",
        list: list(written),
        required: texts(&written["required"]).map(|name| Cow::Owned(name.to_owned())).collect(),
        limits: limits(written, int_or_string),
        ..Schema::default()
    };
    complaints(written, level, path, errors);
    if let Some(items) = written.get("items").filter(|items| items.is_object()) {
        schema.items = Some(Link::Here(Arc::new(structural(items, Level::Item, &format!("{path}.items"), errors))));
    }
    match &written["additionalProperties"] {
        Value::Bool(true) => schema.values = Some(Link::Here(Arc::new(super::tree::anything().clone()))),
        values @ Value::Object(_) => {
            let values = structural(values, Level::Field, &format!("{path}.additionalProperties"), errors);
            schema.values = Some(Link::Here(Arc::new(values)));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
    }
    for (name, field) in written["properties"].as_object().into_iter().flatten() {
        let child = structural(field, Level::Field, &format!("{path}.properties[{name}]"), errors);
        let property = Property {
            link: Link::Here(Arc::new(child)),
            default: field.get("default").cloned(),
            merge: Merge::default(),
        };
        schema.properties.insert(Cow::Owned(name.clone()), property);
    }
    if schema.embedded {
        add_own_fields(&mut schema);
    }
    schema
}

/// The type of this name.
fn kind(name: Option<&str>) -> Type {
    match name.unwrap_or_default() {
        "boolean" => Type::Boolean,
        "integer" => Type::Int64,
        "number" => Type::Number,
        "string" => Type::String,
        "object" => Type::Object,
        "array" => Type::Array,
        _ => Type::Any,
    }
}

/// How a list is merged.
fn list(written: &Value) -> List {
    match written["x-kubernetes-list-type"].as_str() {
        Some("set") => List::Set,
        Some("map") => {
            List::Map(texts(&written["x-kubernetes-list-map-keys"]).map(|key| Cow::Owned(key.to_owned())).collect())
        }
        _ => List::Atomic,
    }
}

/// The texts of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// What bounds values besides their type. None if nothing does.
fn limits(written: &Value, int_or_string: bool) -> Option<Box<Limits>> {
    let fields = written.as_object()?;
    let count = |name: &str| written[name].as_u64();
    let bound = |name: &str, open: &str| Some((written[name].as_f64()?, written[open] == Value::Bool(true)));
    let nested =
        |name: &str| -> Vec<Schema> { written[name].as_array().into_iter().flatten().map(value_schema).collect() };
    let known = [
        "enum",
        "minimum",
        "maximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "pattern",
        "format",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
    ];
    if !known.iter().any(|name| fields.contains_key(*name)) {
        return None;
    }
    Some(Box::new(Limits {
        values: written["enum"].as_array().cloned().unwrap_or_default(),
        minimum: bound("minimum", "exclusiveMinimum"),
        maximum: bound("maximum", "exclusiveMaximum"),
        multiple_of: written["multipleOf"].as_f64(),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
        pattern: written["pattern"].as_str().and_then(Pattern::of),
        format: written["format"].as_str().map(str::to_owned),
        all_of: nested("allOf"),
        // That it is one or the other is what the type says already.
        any_of: if int_or_string { Vec::new() } else { nested("anyOf") },
        one_of: nested("oneOf"),
        not: fields.get("not").map(|not| Box::new(value_schema(not))),
    }))
}

/// A schema inside `allOf` and the like: it says nothing of the structure.
fn value_schema(written: &Value) -> Schema {
    structural(written, Level::Field, "", &mut Vec::new())
}

/// What is wrong at one place of a schema.
fn complaints(written: &Value, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    let Some(fields) = written.as_object() else { return };
    let at = |name: &str| format!("{path}.{name}");
    let kind = written["type"].as_str().unwrap_or_default();
    let flag = |name: &str| written[name] == Value::Bool(true);
    let embedded = flag("x-kubernetes-embedded-resource");
    let open = flag("x-kubernetes-preserve-unknown-fields") || flag("x-kubernetes-int-or-string");
    if kind == "array" && !fields.contains_key("items") {
        errors.push(FieldError::required(at("items"), "must be specified"));
    }
    if embedded && kind.is_empty() {
        errors.push(FieldError::required(at("type"), "must be object if x-kubernetes-embedded-resource is true"));
    } else if kind.is_empty() && !open {
        let whose = match level {
            Level::Root => "at the root",
            Level::Item => "for specified array items",
            Level::Field => "for specified object fields",
        };
        errors.push(FieldError::required(at("type"), format!("must not be empty {whose}")));
    }
    if level == Level::Root {
        if !kind.is_empty() && kind != "object" {
            errors.push(FieldError::invalid(at("type"), kind.into(), "must be object at the root"));
        }
        if fields.contains_key("additionalProperties") {
            errors.push(FieldError::forbidden(at("additionalProperties"), "must not be used at the root"));
        }
        if flag("nullable") {
            errors.push(FieldError::forbidden(at("nullable"), "nullable cannot be true at the root"));
        }
    }
    let additional = fields.get("additionalProperties").is_some_and(|value| value != &Value::Bool(false));
    if additional && written["properties"].as_object().is_some_and(|fields| !fields.is_empty()) {
        let said = "additionalProperties and properties are mutual exclusive";
        errors.push(FieldError::forbidden(at("additionalProperties"), said));
    }
    if flag("uniqueItems") {
        let said = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(at("uniqueItems"), said));
    }
    for name in ["$ref", "definitions", "dependencies", "patternProperties", "additionalItems", "id"] {
        if fields.contains_key(name) {
            errors.push(FieldError::forbidden(at(name), format!("{name} is not supported")));
        }
    }
    if let Some(pattern) = written["pattern"].as_str().filter(|pattern| Pattern::of(pattern).is_none()) {
        let said = "must be a valid regular expression, but isn't: error parsing regexp";
        errors.push(FieldError::invalid(at("pattern"), pattern.into(), said));
    }
    list_complaints(written, path, errors);
}

/// What is wrong with how a list says that it is merged.
fn list_complaints(written: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let keys = written["x-kubernetes-list-map-keys"].as_array();
    let list = written["x-kubernetes-list-type"].as_str();
    let items = &written["items"];
    if list.is_some() && written["type"] != "array" {
        let said = "must be array if x-kubernetes-list-type is specified";
        errors.push(match written["type"].as_str() {
            None => FieldError::required(format!("{path}.type"), said),
            Some(kind) => FieldError::invalid(format!("{path}.type"), kind.into(), said),
        });
    }
    match (list, keys) {
        (Some("map"), None) => {
            let said = "must not be empty if x-kubernetes-list-type is map";
            errors.push(FieldError::required(format!("{path}.x-kubernetes-list-map-keys"), said));
        }
        (Some("map"), Some(keys)) => {
            let fields = items["properties"].as_object();
            if keys.iter().filter_map(Value::as_str).any(|key| fields.is_none_or(|fields| !fields.contains_key(key))) {
                let at = format!("{path}.x-kubernetes-list-map-keys");
                errors.push(FieldError::invalid(
                    at,
                    keys.clone().into(),
                    "entries must all be names of item properties",
                ));
            }
            key_complaints(items, keys, fields, path, errors);
        }
        (Some(other), Some(keys)) if !keys.is_empty() => {
            let said = "must be map if x-kubernetes-list-map-keys is non-empty";
            errors.push(FieldError::invalid(format!("{path}.x-kubernetes-list-type"), other.into(), said));
        }
        _ => {}
    }
}

/// A key that an item need not have could not tell items apart.
fn key_complaints(
    items: &Value,
    keys: &[Value],
    fields: Option<&Map<String, Value>>,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    for key in keys.iter().filter_map(Value::as_str) {
        let Some(field) = fields.and_then(|fields| fields.get(key)) else { continue };
        let required = texts(&items["required"]).any(|name| name == key);
        if !required && field.get("default").is_none() {
            let said =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(FieldError::required(format!("{path}.items.properties[{key}].default"), said));
        }
    }
}
