//! One tree of types for built-in kinds and custom ones alike.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;
use serde_json::Value;

/// A name in a tree: borrowed from the table of built-in types, owned where a client sent the schema.
pub(crate) type Name = Cow<'static, str>;

/// What values a place may have at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Type {
    /// Anything, as JSON has it.
    #[default]
    Any,
    /// `true` or `false`.
    Boolean,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits; what `integer` means in a custom resource.
    Int64,
    /// Any number.
    Number,
    /// A text.
    String,
    /// Bytes in base64.
    Bytes,
    /// A moment in RFC 3339; built-in kinds only.
    Time,
    /// An amount such as `500m` or `1Gi`: a text, or a number that is read as one.
    Quantity,
    /// A whole number or a text.
    IntOrString,
    /// An object: of fields, or a map of values.
    Object,
    /// A list.
    Array,
}

/// How a list is merged, and what in it may be owned (`x-kubernetes-list-type`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum List {
    /// As a whole.
    #[default]
    Atomic,
    /// By its values, each of which it has once.
    Set,
    /// By these fields of its items, which together are unique.
    Map(Vec<Name>),
}

/// How a strategic merge patch treats a field (`x-kubernetes-patch-strategy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merge {
    /// Lists are merged instead of replaced.
    pub(crate) merge: bool,
    /// `$retainKeys` may name what is kept.
    pub(crate) retain_keys: bool,
    /// The field by which items of a list are matched; without one they are plain values.
    pub(crate) key: Option<Name>,
}

/// A type, or the name of one in the table of built-in types: those refer to each other, and to themselves.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// The type itself.
    Here(Arc<Schema>),
    /// Its name in the table.
    Named(&'static str),
}

impl Link {
    /// The type that is meant. A name that the table does not have means anything.
    pub(crate) fn schema(&self) -> &Schema {
        match self {
            Self::Here(schema) => schema,
            Self::Named(name) => super::builtin::named(name),
        }
    }
}

/// A field of an object.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    /// Its type.
    pub(crate) link: Link,
    /// What it is when the object does not have it.
    pub(crate) default: Option<Value>,
    /// How it is patched.
    pub(crate) merge: Merge,
}

/// A regular expression, of which definitions have the same in many places.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// As it was written.
    pub(crate) text: String,
    /// Compiled; none where it is too large to be: then it is not checked.
    pub(crate) regex: Option<Regex>,
}

impl Pattern {
    /// The pattern of this text, compiled once. None if it is no regular expression.
    pub(super) fn of(text: &str) -> Option<Arc<Self>> {
        static KNOWN: Mutex<BTreeMap<String, Option<Arc<Pattern>>>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pattern) = known.get(text) {
            return pattern.clone();
        }
        let regex = Regex::new(text);
        let wrong = matches!(regex, Err(regex::Error::Syntax(_)));
        let pattern = (!wrong).then(|| Arc::new(Self { text: text.to_owned(), regex: regex.ok() }));
        known.insert(text.to_owned(), pattern.clone());
        pattern
    }
}

/// Bounds on values, which few places have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// The only values allowed; empty for any.
    pub(crate) values: Vec<Value>,
    /// `minimum`, and whether that number itself is too small.
    pub(crate) minimum: Option<(f64, bool)>,
    /// `maximum`, and whether that number itself is too large.
    pub(crate) maximum: Option<(f64, bool)>,
    /// `multipleOf`.
    pub(crate) multiple_of: Option<f64>,
    /// `minLength`, in characters.
    pub(crate) min_length: Option<u64>,
    /// `maxLength`, in characters.
    pub(crate) max_length: Option<u64>,
    /// `minItems`.
    pub(crate) min_items: Option<u64>,
    /// `maxItems`.
    pub(crate) max_items: Option<u64>,
    /// `minProperties`.
    pub(crate) min_properties: Option<u64>,
    /// `maxProperties`.
    pub(crate) max_properties: Option<u64>,
    /// `pattern`.
    pub(crate) pattern: Option<Arc<Pattern>>,
    /// `format`, such as `date-time`.
    pub(crate) format: Option<String>,
    /// `allOf`: every one of them holds.
    pub(crate) all_of: Vec<Schema>,
    /// `anyOf`: at least one of them holds; empty for no such demand.
    pub(crate) any_of: Vec<Schema>,
    /// `oneOf`: exactly one of them holds; empty for no such demand.
    pub(crate) one_of: Vec<Schema>,
    /// `not`: this does not hold.
    pub(crate) not: Option<Box<Schema>>,
}

/// A type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    /// What values it has.
    pub(crate) kind: Type,
    /// For a built-in object its package and name, `apps.v1.DeploymentSpec`; empty for anything else.
    pub(crate) name: &'static str,
    /// The fields of an object.
    pub(crate) properties: BTreeMap<Name, Property>,
    /// The fields that an object must have.
    pub(crate) required: Vec<Name>,
    /// The type of an object's further values: it is a map.
    pub(crate) values: Option<Link>,
    /// The type of a list's items.
    pub(crate) items: Option<Link>,
    /// How a list is merged.
    pub(crate) list: List,
    /// Whether an object is merged and owned as a whole (`x-kubernetes-map-type: atomic`).
    pub(crate) atomic_map: bool,
    /// Whether it may be `null`.
    pub(crate) nullable: bool,
    /// Whether fields that it does not know stay (`x-kubernetes-preserve-unknown-fields`).
    pub(crate) preserve: bool,
    /// Whether it is an object of its own, with `apiVersion`, `kind` and `metadata` (`x-kubernetes-embedded-resource`).
    pub(crate) embedded: bool,
    /// Further bounds.
    pub(crate) limits: Option<Box<Limits>>,
}

impl Schema {
    /// A type without anything further to say.
    pub(crate) fn of(kind: Type) -> Self {
        Self { kind, ..Self::default() }
    }

    /// The type of what an object has under this name: a field, or a value of a map. None if it is not known.
    pub(crate) fn child(&self, name: &str) -> Option<&Schema> {
        match self.properties.get(name) {
            Some(property) => Some(property.link.schema()),
            None => self.values.as_ref().map(Link::schema),
        }
    }

    /// The type of a list's items; anything if it is not known.
    pub(crate) fn item(&self) -> &Schema {
        self.items.as_ref().map_or_else(|| anything(), Link::schema)
    }

    /// Whether this is a type of the built-in table, which a Go type stands behind.
    pub(crate) fn is_builtin(&self) -> bool {
        !self.name.is_empty()
    }
}

/// The type of what nothing is known about: maps are merged by their keys, lists are owned as a whole.
pub(crate) fn anything() -> &'static Schema {
    static ANYTHING: std::sync::OnceLock<Schema> = std::sync::OnceLock::new();
    ANYTHING.get_or_init(|| Schema { preserve: true, ..Schema::default() })
}
