//! An object and its schema together: what is in it, and how two of them differ
//! (`sigs.k8s.io/structured-merge-diff/typed`).

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::super::schema::{List, Schema, Type, anything};
use super::set::{Element, Set};

/// How a value is looked at.
pub(super) enum Shape<'a> {
    /// As a whole.
    Leaf,
    /// Field by field.
    Map(&'a Map<String, Value>),
    /// Item by item.
    List(&'a [Value]),
}

/// How a value of a type is looked at.
pub(super) fn shape<'a>(schema: &Schema, value: &'a Value) -> Shape<'a> {
    match value {
        Value::Object(fields) if !schema.atomic_map && matches!(schema.kind, Type::Object | Type::Any) => {
            Shape::Map(fields)
        }
        Value::Array(items) if schema.kind == Type::Array && schema.list != List::Atomic => Shape::List(items),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Shape::Leaf
        }
    }
}

/// The type of a field, and whether it is one that the type itself has: not a key of a map.
pub(super) fn field<'a>(schema: &'a Schema, name: &str) -> (&'a Schema, bool) {
    (schema.child(name).unwrap_or_else(|| anything()), schema.properties.contains_key(name))
}

/// The element that an item of a list is. None if it has none of the keys.
pub(super) fn element(schema: &Schema, item: &Value) -> Option<Element> {
    match &schema.list {
        List::Map(keys) => {
            let fields = item.as_object()?;
            let default = |key: &str| schema.item().properties.get(key).and_then(|property| property.default.clone());
            let found = |key: &str| fields.get(key).cloned().or_else(|| default(key));
            let keys: BTreeMap<String, Value> =
                keys.iter().filter_map(|key| Some((key.to_string(), found(key)?))).collect();
            (!keys.is_empty()).then(|| Element::key(keys))
        }
        List::Set | List::Atomic => Some(Element::Item(item.to_string().into())),
    }
}

/// A field by its name.
pub(super) fn named(name: &str) -> Element {
    Element::Field(name.into())
}

/// Every field that an object has.
pub(super) fn to_set(schema: &Schema, value: &Value) -> Set {
    let mut set = Set::default();
    collect(schema, value, &mut Vec::new(), &mut set);
    set
}

/// Every field below a place.
fn collect(schema: &Schema, value: &Value, at: &mut Vec<Element>, set: &mut Set) {
    match shape(schema, value) {
        Shape::Leaf => set.insert(at),
        Shape::Map(fields) => {
            for (name, value) in fields {
                let (child, known) = field(schema, name);
                at.push(named(name));
                collect(child, value, at, set);
                if !known || value.is_null() || value.as_object().is_some_and(Map::is_empty) {
                    set.insert(at);
                }
                at.pop();
            }
        }
        Shape::List(items) => {
            let elements: Vec<Option<Element>> = items.iter().map(|item| element(schema, item)).collect();
            for (item, element) in items.iter().zip(&elements) {
                let Some(element) = element else { continue };
                let twice = elements.iter().filter(|other| other.as_ref() == Some(element)).count() > 1;
                at.push(element.clone());
                if !twice {
                    collect(schema.item(), item, at, set);
                }
                set.insert(at);
                at.pop();
            }
        }
    }
}

/// How one object differs from another.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// The fields that only the old one has.
    pub(super) removed: Set,
    /// The fields that are another value.
    pub(super) modified: Set,
    /// The fields that only the new one has.
    pub(super) added: Set,
}

impl Comparison {
    /// Without some fields and all below them.
    pub(super) fn without(self, ignored: &Set) -> Self {
        Self {
            removed: self.removed.difference_with_all_below(ignored),
            modified: self.modified.difference_with_all_below(ignored),
            added: self.added.difference_with_all_below(ignored),
        }
    }
}

/// How the new object differs from the old.
pub(super) fn compare(schema: &Schema, old: &Value, new: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    differ(schema, Some(old), Some(new), &mut Vec::new(), &mut comparison);
    comparison
}

/// How two values at the same place differ; one of them is there.
fn differ(schema: &Schema, old: Option<&Value>, new: Option<&Value>, at: &mut Vec<Element>, to: &mut Comparison) {
    let leaf = match (old.map(|old| whole(schema, old)), new.map(|new| whole(schema, new))) {
        (Some(old), Some(new)) => old && new,
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return,
    };
    if leaf {
        match (old, new) {
            (None, _) => to.added.insert(at),
            (_, None) => to.removed.insert(at),
            (Some(old), Some(new)) if old != new => to.modified.insert(at),
            (Some(_), Some(_)) => {}
        }
        return;
    }
    let (old_shape, new_shape) = (old.map(|old| shape(schema, old)), new.map(|new| shape(schema, new)));
    // A leaf that becomes something with parts, or the reverse, is gone and new at once.
    let leaf = |shape: &Option<Shape<'_>>, value: Option<&Value>| {
        matches!(shape, Some(Shape::Leaf)) && !value.is_some_and(Value::is_null)
    };
    if old.is_some() && new.is_some() && (leaf(&old_shape, old) || leaf(&new_shape, new)) {
        to.modified.insert(at);
    }
    differ_fields(schema, old_shape.as_ref(), new_shape.as_ref(), at, to);
    differ_items(schema, old_shape.as_ref(), new_shape.as_ref(), at, to);
    if old.is_none() {
        to.added.insert(at);
    } else if new.is_none() {
        to.removed.insert(at);
    }
}

/// Whether a value has no parts to look at: one without fields or items counts as a whole too.
fn whole(schema: &Schema, value: &Value) -> bool {
    match shape(schema, value) {
        Shape::Leaf => true,
        Shape::Map(fields) => fields.is_empty(),
        Shape::List(items) => items.is_empty(),
    }
}

/// How the fields of two objects differ.
fn differ_fields(
    schema: &Schema,
    old: Option<&Shape<'_>>,
    new: Option<&Shape<'_>>,
    at: &mut Vec<Element>,
    to: &mut Comparison,
) {
    let none = Map::new();
    let of = |shape: Option<&Shape<'_>>| matches!(shape, Some(Shape::Map(_)));
    if !of(old) && !of(new) {
        return;
    }
    let old = if let Some(Shape::Map(fields)) = old { fields } else { &none };
    let new = if let Some(Shape::Map(fields)) = new { fields } else { &none };
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    for name in names {
        at.push(named(name));
        differ(field(schema, name).0, old.get(name), new.get(name), at, to);
        at.pop();
    }
}

/// How the items of two lists differ.
fn differ_items(
    schema: &Schema,
    old: Option<&Shape<'_>>,
    new: Option<&Shape<'_>>,
    at: &mut Vec<Element>,
    to: &mut Comparison,
) {
    let old: &[Value] = if let Some(Shape::List(items)) = old { items } else { &[] };
    let new: &[Value] = if let Some(Shape::List(items)) = new { items } else { &[] };
    let (old_items, new_items) = (by_element(schema, old), by_element(schema, new));
    let mut seen = HashSet::new();
    for element in old.iter().chain(new).filter_map(|item| element(schema, item)) {
        if !seen.insert(element.to_string()) {
            continue;
        }
        let key = element.to_string();
        let none = Vec::new();
        let (old, new) = (old_items.get(&key).unwrap_or(&none), new_items.get(&key).unwrap_or(&none));
        at.push(element);
        match (old.as_slice(), new.as_slice()) {
            ([] | [_], [] | [_]) => differ(schema.item(), old.first().copied(), new.first().copied(), at, to),
            ([_, _, ..], [_, _, ..]) => {
                if old != new {
                    to.modified.insert(at);
                }
            }
            ([_, _, ..], [] | [_]) => {
                if let Some(new) = new.first() {
                    differ(schema.item(), None, Some(new), at, to);
                }
                to.removed.insert(at);
            }
            ([] | [_], [_, _, ..]) => {
                if let Some(old) = old.first() {
                    differ(schema.item(), Some(old), None, at, to);
                }
                to.added.insert(at);
            }
        }
        at.pop();
    }
}

/// The items of a list by what each is.
fn by_element<'a>(schema: &Schema, items: &'a [Value]) -> HashMap<String, Vec<&'a Value>> {
    let mut by_element: HashMap<String, Vec<&Value>> = HashMap::new();
    for item in items {
        if let Some(element) = element(schema, item) {
            by_element.entry(element.to_string()).or_default().push(item);
        }
    }
    by_element
}

/// A set in which every field of a type is a member that something below is in it.
pub(super) fn with_named_fields(schema: &Schema, set: &Set) -> Set {
    set.with_members(&mut |at, element| {
        let Element::Field(name) = element else { return false };
        let mut here = schema;
        for element in at {
            here = match element {
                Element::Field(name) => field(here, name).0,
                Element::Key(_) | Element::Item(_) | Element::Index(_) => here.item(),
            };
        }
        here.properties.contains_key(&**name)
    })
}
