//! The types of the kinds that Kubernetes itself has, from `builtin.txt`.
//!
//! The table is what an API server publishes under `/openapi/v3`, in a notation of our own; `regenerate` writes it:
//!
//! ```text
//! @ apps/v1 Deployment apps.v1.Deployment        a kind and its type
//! apps.v1.DeploymentSpec                         a type; ` atomic` after it: merged as a whole
//!  replicas int32                                a field and its type; `!` after its name: required
//!  strategy apps.v1.DeploymentStrategy ={} +retainKeys
//!  containers! [core.v1.Container] %name +merge(name)
//! ```
//!
//! `[T]` is a list and `{T}` a map. `=` stands before a default, `%` before the keys of a list that is a map (`%` alone
//! is a set), `~` is a map or list merged as a whole, `+` says how a strategic merge patch treats the field and `|`
//! lists the values allowed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::tree::{Limits, Link, List, Merge, Property, Schema, Type, anything};

/// The table.
const TABLE: &str = include_str!("builtin.txt");

/// The optional fields whose zero is written, one type a line.
const POINTERS: &str = include_str!("pointers.txt");

/// Whether Go writes this optional field of a type even where it is `""`, `0` or `false`.
pub(super) fn writes_zero(name: &str, field: &str) -> bool {
    static READ: OnceLock<HashMap<&'static str, Vec<&'static str>>> = OnceLock::new();
    let pointers = READ.get_or_init(|| {
        let lines = POINTERS.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once(' ')).map(|(name, rest)| (name, rest.split(' ').collect())).collect()
    });
    pointers.get(name).is_some_and(|fields| fields.contains(&field))
}

/// The table, read.
struct Table {
    /// The type of a kind, by its `apiVersion` and itself.
    kinds: HashMap<(&'static str, &'static str), &'static str>,
    /// All types by their names.
    types: HashMap<&'static str, Arc<Schema>>,
}

/// The schema of a kind that Kubernetes itself has, by its `apiVersion` and itself.
pub(crate) fn builtin(group_version: &str, kind: &str) -> Option<Arc<Schema>> {
    let table = table();
    table.types.get(table.kinds.get(&(group_version, kind))?).cloned()
}

/// The type of this name in the table, or anything if there is none.
pub(super) fn named(name: &str) -> &'static Schema {
    table().types.get(name).map_or_else(|| anything(), |schema| &**schema)
}

/// The table, read once.
fn table() -> &'static Table {
    static READ: OnceLock<Table> = OnceLock::new();
    READ.get_or_init(|| read(TABLE))
}

/// Reads a table. What cannot be read in it is left out; a test holds that there is nothing of the sort in ours.
fn read(text: &'static str) -> Table {
    let mut table = Table { kinds: HashMap::new(), types: HashMap::new() };
    let mut open: Option<Schema> = None;
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(kind) = line.strip_prefix("@ ") {
            let mut words = kind.split(' ');
            if let (Some(version), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) {
                table.kinds.insert((version, kind), name);
            }
        } else if let Some(line) = line.strip_prefix(' ') {
            if let Some(schema) = &mut open {
                field(schema, line);
            }
        } else {
            close(&mut table, open.take());
            let (name, atomic_map) = line.strip_suffix(" atomic").map_or((line, false), |name| (name, true));
            // What these are of is not known, and they are owned as a whole.
            let preserve = name.ends_with(".RawExtension") || name.ends_with(".FieldsV1");
            let atomic_map = atomic_map || preserve;
            open = Some(Schema { kind: Type::Object, name, atomic_map, preserve, ..Schema::default() });
        }
    }
    close(&mut table, open);
    table
}

/// Puts a type that has been read into the table.
fn close(table: &mut Table, schema: Option<Schema>) {
    if let Some(schema) = schema {
        table.types.insert(schema.name, Arc::new(schema));
    }
}

/// Reads one field of a type: its name, its type, and what is said about it.
fn field(schema: &mut Schema, line: &'static str) -> Option<()> {
    let (name, rest) = line.split_once(' ')?;
    let (kind, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (name, required) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
    let mut property = Property { link: link(kind), default: None, merge: Merge::default() };
    let (mut list, mut atomic, mut values) = (List::Atomic, false, Vec::new());
    while let Some(mark) = rest.chars().next() {
        // Only a default may have blanks in it, and it is the last.
        let (word, after) = if mark == '=' { (rest, "") } else { rest.split_once(' ').unwrap_or((rest, "")) };
        rest = after;
        let said = &word[1..];
        match mark {
            '=' => property.default = Some(serde_json::from_str(said).ok()?),
            '%' if said.is_empty() => list = List::Set,
            '%' => list = List::Map(said.split(',').map(Cow::Borrowed).collect()),
            '~' => atomic = true,
            '+' => property.merge = merge(said),
            '|' => values = said.split('|').map(Value::from).collect(),
            _ => return None,
        }
    }
    if atomic || list != List::Atomic || !values.is_empty() {
        let mut own = property.link.schema_before(kind);
        own.list = list;
        own.atomic_map = atomic;
        own.limits = (!values.is_empty()).then(|| Box::new(Limits { values, ..Limits::default() }));
        property.link = Link::Here(Arc::new(own));
    }
    if required {
        schema.required.push(Cow::Borrowed(name));
    }
    schema.properties.insert(Cow::Borrowed(name), property);
    Some(())
}

impl Link {
    /// A copy of the type itself, for something to be added. The table is being read: what a name stands for is not known.
    fn schema_before(&self, kind: &'static str) -> Schema {
        match self {
            Self::Here(schema) => (**schema).clone(),
            Self::Named(_) => Schema { kind: Type::Object, name: kind, ..Schema::default() },
        }
    }
}

/// How a strategic merge patch treats a field: `merge(name)`, `merge`, `retainKeys`, or both.
fn merge(said: &'static str) -> Merge {
    let mut merge = Merge::default();
    for word in said.split('+') {
        match word.split_once('(') {
            Some((_, key)) => {
                merge.merge = true;
                merge.key = Some(Cow::Borrowed(key.trim_end_matches(')')));
            }
            None if word == "merge" => merge.merge = true,
            None => merge.retain_keys = true,
        }
    }
    merge
}

/// A type in the notation of the table.
fn link(text: &'static str) -> Link {
    let inside = |open: char, close: char| text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
    if let Some(item) = inside('[', ']') {
        return Link::Here(Arc::new(Schema { items: Some(link(item)), ..Schema::of(Type::Array) }));
    }
    if let Some(value) = inside('{', '}') {
        return Link::Here(Arc::new(Schema { values: Some(link(value)), ..Schema::of(Type::Object) }));
    }
    match plain().get(text) {
        Some(schema) => Link::Here(schema.clone()),
        None => Link::Named(text),
    }
}

/// The types without a structure, which all fields share.
fn plain() -> &'static BTreeMap<&'static str, Arc<Schema>> {
    static PLAIN: OnceLock<BTreeMap<&'static str, Arc<Schema>>> = OnceLock::new();
    PLAIN.get_or_init(|| {
        let kinds = [
            ("bool", Type::Boolean),
            ("int32", Type::Int32),
            ("int64", Type::Int64),
            ("number", Type::Number),
            ("string", Type::String),
            ("bytes", Type::Bytes),
            ("time", Type::Time),
            ("quantity", Type::Quantity),
            ("intstr", Type::IntOrString),
        ];
        let any = Schema { preserve: true, ..Schema::default() };
        let object = Schema { preserve: true, ..Schema::of(Type::Object) };
        let plain = kinds.into_iter().map(|(name, kind)| (name, Arc::new(Schema::of(kind))));
        plain.chain([("any", Arc::new(any)), ("object", Arc::new(object))]).collect()
    })
}
