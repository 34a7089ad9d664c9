//! What an object has though nobody wrote it.
//!
//! A schema carries the defaults that OpenAPI can say. What Kubernetes sets in Go is in `defaults.txt`, one type a block:
//!
//! ```text
//! apps.v1.DeploymentSpec
//!  replicas =1
//! apps.v1.DeploymentStrategy
//!  rollingUpdate ={} if type=RollingUpdate
//! ```
//!
//! A line holds where the field is missing, and where the field after `if` has that value (`if type`: any value; `if !type`:
//! none). Lines apply in their order, a type before those inside it. `batch.v1.Job spec` is the `spec` of a `Job`, where it
//! is not the same as its type anywhere else. What depends on more than that is in `go`.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::tree::{Schema, Type};
use super::{go, quantity};

/// The defaults that OpenAPI does not carry.
const RULES: &str = include_str!("defaults.txt");

/// On what a rule depends, besides the field being missing.
enum When {
    /// On nothing.
    Always,
    /// On another field being there.
    Present(&'static str),
    /// On another field not being there.
    Absent(&'static str),
    /// On another field's value, a text.
    Is(&'static str, &'static str),
}

/// A field of a type, and what it is if it is missing.
struct Rule {
    /// The field.
    field: &'static str,
    /// Its default.
    value: Value,
    /// On what it depends.
    when: When,
}

/// Fills in what the object does not say, and brings amounts into the form in which Kubernetes gives them back.
pub(crate) fn default(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(fields) => object(schema, fields),
        Value::Array(items) if schema.kind == Type::Array => {
            for item in items {
                default(schema.item(), item);
            }
        }
        Value::String(_) | Value::Number(_) if schema.kind == Type::Quantity => quantity::normalise(value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
    }
}

/// Fills in one object, then what is in it.
fn object(schema: &Schema, fields: &mut Map<String, Value>) {
    if schema.is_builtin() {
        apply(schema.name, fields);
        for (inside, block) in inner_blocks(schema.name) {
            if let Some(fields) = fields.get_mut(inside).and_then(Value::as_object_mut) {
                apply(block, fields);
            }
        }
        go::default(schema.name, fields);
    }
    for (name, property) in &schema.properties {
        let Some(default) = &property.default else { continue };
        let missing = match fields.get(&**name) {
            None => true,
            Some(value) => value.is_null() && !property.link.schema().nullable,
        };
        if missing {
            fields.insert(name.to_string(), default.clone());
        }
    }
    for (name, value) in fields.iter_mut() {
        if let Some(child) = schema.child(name) {
            default(child, value);
        }
    }
    if schema.is_builtin() {
        go::settle(schema, fields);
    }
}

/// Applies the rules of one block.
fn apply(block: &str, fields: &mut Map<String, Value>) {
    for rule in rules().get(block).into_iter().flatten() {
        if !fields.contains_key(rule.field) && rule.when.holds(fields) {
            fields.insert(rule.field.to_owned(), rule.value.clone());
        }
    }
}

/// The blocks for fields of this type, with the names of the fields.
fn inner_blocks(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let blocks = rules().keys().filter_map(|block| Some((block.split_once(' ')?, *block)));
    blocks.filter(move |((owner, _), _)| *owner == name).map(|((_, field), block)| (field, block))
}

impl When {
    /// Whether it is so in this object.
    fn holds(&self, fields: &Map<String, Value>) -> bool {
        match self {
            Self::Always => true,
            Self::Present(field) => fields.contains_key(*field),
            Self::Absent(field) => !fields.contains_key(*field),
            Self::Is(field, value) => fields.get(*field).and_then(Value::as_str) == Some(value),
        }
    }
}

/// The rules of each type, read once.
fn rules() -> &'static HashMap<&'static str, Vec<Rule>> {
    static READ: OnceLock<HashMap<&'static str, Vec<Rule>>> = OnceLock::new();
    READ.get_or_init(|| {
        let mut rules: HashMap<&'static str, Vec<Rule>> = HashMap::new();
        let mut open = "";
        for line in RULES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            match line.strip_prefix(' ') {
                None => open = line,
                Some(line) => rules.entry(open).or_default().extend(rule(line)),
            }
        }
        rules
    })
}

/// Reads one rule. A test holds that all of ours can be read.
fn rule(line: &'static str) -> Option<Rule> {
    let (line, when) = match line.rsplit_once(" if ") {
        None => (line, When::Always),
        Some((line, when)) => (line, condition(when)),
    };
    let (field, value) = line.split_once(" =")?;
    Some(Rule { field, value: serde_json::from_str(value).ok()?, when })
}

/// Reads what stands after `if`.
fn condition(text: &'static str) -> When {
    match (text.strip_prefix('!'), text.split_once('=')) {
        (Some(field), _) => When::Absent(field),
        (None, Some((field, value))) => When::Is(field, value),
        (None, None) => When::Present(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_rules_is_read_and_names_a_field_of_a_type() {
        let mut seen = 0;
        let (mut open, mut schema) = ("", super::super::tree::anything());
        for line in RULES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let Some(said) = line.strip_prefix(' ') else {
                open = line;
                let (name, inside) = open.split_once(' ').unwrap_or((open, ""));
                schema = super::super::builtin::named(name);
                if !inside.is_empty() {
                    schema = schema.child(inside).unwrap();
                }
                assert!(schema.is_builtin(), "{open} is no type");
                continue;
            };
            let rule = rule(said).unwrap_or_else(|| panic!("{open}: {said}"));
            assert!(schema.properties.contains_key(rule.field), "{open}.{}", rule.field);
            seen += 1;
        }
        assert_eq!(seen, rules().values().map(Vec::len).sum::<usize>());
    }
}
