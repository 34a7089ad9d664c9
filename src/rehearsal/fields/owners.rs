//! `metadata.managedFields`: who wrote which fields last (`k8s.io/apimachinery/pkg/util/managedfields`).

use serde_json::{Map, Value, json};

use super::super::schema::{Schema, Type};
use super::set::{Element, Set};
use super::typed::{self, Comparison};

/// How many of those that update are told apart; the oldest of more become one.
const MOST_UPDATERS: usize = 10;

/// Who writes, and what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer<'a> {
    /// `fieldManager`, or what stands before the `/` of the user agent.
    pub(crate) manager: &'a str,
    /// The `apiVersion` of the request.
    pub(crate) api_version: &'a str,
    /// `status`, `scale`; empty for the object itself.
    pub(crate) subresource: &'a str,
    /// Now, in RFC 3339.
    pub(crate) time: &'a str,
    /// Whether the kind has a status apart: a write to the object itself does not change it, and does not own it.
    pub(crate) has_status: bool,
}

/// What one manager owns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// Who.
    pub(super) manager: String,
    /// Whether by applying, and not by updating.
    pub(super) applies: bool,
    /// In which version of the kind.
    pub(super) api_version: String,
    /// Since when; it may not be known.
    pub(super) time: Option<String>,
    /// Through which subresource; empty for the object itself.
    pub(super) subresource: String,
    /// What.
    pub(super) set: Set,
}

impl Entry {
    /// Reads one entry. None if it is none.
    fn parse(value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let applies = match value["operation"].as_str()? {
            "Apply" => true,
            "Update" => false,
            _ => return None,
        };
        (value["fieldsType"] == "FieldsV1" && value["apiVersion"].is_string()).then(|| Self {
            manager: text("manager"),
            applies,
            api_version: text("apiVersion"),
            time: value["time"].as_str().map(str::to_owned),
            subresource: text("subresource"),
            set: Set::parse(&value["fieldsV1"]),
        })
    }

    /// As `managedFields` has it.
    fn to_value(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": if self.applies { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
        });
        if let Some(time) = &self.time {
            entry["time"] = time.as_str().into();
        }
        entry["fieldsType"] = "FieldsV1".into();
        entry["fieldsV1"] = self.set.to_value();
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.as_str().into();
        }
        entry
    }

    /// Whether this is what the writer owned before: who applies is the same in all versions.
    pub(super) fn is_of(&self, writer: &Writer<'_>, applies: bool) -> bool {
        let same = self.manager == writer.name() && self.applies == applies && self.subresource == writer.subresource;
        same && (applies || self.api_version == writer.api_version)
    }
}

impl<'a> Writer<'a> {
    /// Its name, which is never empty.
    pub(super) fn name(&self) -> &'a str {
        if self.manager.is_empty() { "unknown" } else { self.manager }
    }

    /// The fields that such a write does not change, whatever it says.
    pub(super) fn ignored(&self, schema: &Schema) -> Set {
        let mut ignored = Set::default();
        let mut add = |path: &[&str]| {
            let path: Vec<Element> = path.iter().map(|name| Element::Field((*name).into())).collect();
            ignored.insert(&path);
        };
        match (self.subresource, schema.is_builtin()) {
            ("", _) if self.has_status => add(&["status"]),
            ("status", true) => {
                add(&["spec"]);
                add(&["metadata", "labels"]);
            }
            ("status", false) => {
                add(&["spec"]);
                add(&["metadata"]);
            }
            _ => {}
        }
        ignored
    }

    /// What it owns with these fields.
    pub(super) fn entry(&self, applies: bool, set: Set) -> Entry {
        Entry {
            manager: self.name().to_owned(),
            applies,
            api_version: self.api_version.to_owned(),
            time: Some(self.time.to_owned()),
            subresource: self.subresource.to_owned(),
            set,
        }
    }
}

/// Writes into `new` who owns what of it after it has replaced `old` (none: it is created) by anything but an apply.
///
/// A writer that sends `managedFields` of its own says who owned what before; an empty list forgets all owners.
pub(crate) fn updated(schema: &Schema, old: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    let sent = new["metadata"].as_object_mut().and_then(|metadata| metadata.remove("managedFields"));
    let said = sent.as_ref().filter(|_| writer.subresource.is_empty()).and_then(Value::as_array);
    let forget = said.is_some_and(|said| said.is_empty() || matches!(&**said, [one] if one == &json!({})));
    let said: Option<Vec<Entry>> = said.map(|said| said.iter().filter_map(Entry::parse).collect());
    let mut entries = match said {
        Some(_) if forget => Vec::new(),
        Some(entries) if !entries.is_empty() => entries,
        _ => old.map(entries).unwrap_or_default(),
    };
    // Nobody has owned anything of it: it stays so until it is applied.
    if entries.is_empty() && old.is_some() {
        return;
    }
    let empty = zero(schema);
    let before = bare(old.unwrap_or(&empty));
    update(schema, &before, &bare(new), &mut entries, writer);
    cap(&mut entries);
    write(new, entries);
}

/// Notes in the entries what an update from one object to another makes of them.
pub(super) fn update(schema: &Schema, old: &Value, new: &Value, entries: &mut Vec<Entry>, writer: &Writer<'_>) {
    let comparison = typed::compare(schema, old, new).without(&writer.ignored(schema));
    let Comparison { removed, modified, added } = &comparison;
    let changed = modified.union(added);
    for entry in entries.iter_mut() {
        entry.set = entry.set.difference(&changed).difference(removed);
    }
    let own = changed.difference(&of_the_server());
    if !own.is_empty() {
        match entries.iter_mut().find(|entry| entry.is_of(writer, false)) {
            Some(entry) => {
                entry.set = entry.set.union(&own);
                entry.time = Some(writer.time.to_owned());
            }
            None => entries.push(writer.entry(false, own)),
        }
    }
    entries.retain(|entry| !entry.set.is_empty());
}

/// The oldest of too many updaters become one.
fn cap(entries: &mut Vec<Entry>) {
    sort(entries);
    while entries.iter().filter(|entry| !entry.applies).count() > MOST_UPDATERS {
        let mut updaters = entries.iter().enumerate().filter(|(_, entry)| !entry.applies).map(|(index, _)| index);
        let (Some(first), Some(second)) = (updaters.next(), updaters.next()) else { return };
        let next = entries.remove(second);
        let oldest = &mut entries[first];
        oldest.manager = "ancient-changes".to_owned();
        oldest.set = oldest.set.union(&next.set);
        oldest.time = next.time;
    }
}

/// The entries of an object.
pub(super) fn entries(object: &Value) -> Vec<Entry> {
    object["metadata"]["managedFields"].as_array().into_iter().flatten().filter_map(Entry::parse).collect()
}

/// Writes the entries into an object, in their order.
pub(super) fn write(object: &mut Value, mut entries: Vec<Entry>) {
    sort(&mut entries);
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".into(), entries.iter().map(Entry::to_value).collect());
    }
}

/// Those that apply come first, then the older.
fn sort(entries: &mut [Entry]) {
    entries.sort_by(|one, other| {
        let key = |entry: &Entry| {
            let names = (entry.manager.clone(), entry.api_version.clone(), entry.subresource.clone());
            (!entry.applies, entry.time.clone(), names)
        };
        key(one).cmp(&key(other))
    });
}

/// An object without its owners.
pub(super) fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

/// The fields that the server alone writes, which nobody owns.
pub(super) fn of_the_server() -> Set {
    let mut set = Set::default();
    let field = |name: &str| Element::Field(name.into());
    for name in ["apiVersion", "kind", "metadata"] {
        set.insert(&[field(name)]);
    }
    let names = ["name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"];
    for name in names.into_iter().chain(["managedFields", "resourceVersion"]) {
        set.insert(&[field("metadata"), field(name)]);
    }
    set
}

/// What there is of an object before it is created: in Go a structure that is not a pointer is there, and empty.
pub(super) fn zero(schema: &Schema) -> Value {
    let mut fields = Map::new();
    if !schema.is_builtin() {
        return Value::Object(fields);
    }
    for (name, property) in &schema.properties {
        let kind = property.link.schema();
        let required = schema.required.contains(name);
        match &property.default {
            Some(Value::Object(default)) if default.is_empty() && kind.kind == Type::Object => {
                fields.insert(name.to_string(), zero(kind));
            }
            // A number, a text or a flag that is nothing.
            Some(default) if *default == nothing(kind.kind) => {
                fields.insert(name.to_string(), default.clone());
            }
            None if required => {
                fields.insert(name.to_string(), nothing(kind.kind));
            }
            Some(_) | None => {}
        }
    }
    Value::Object(fields)
}

/// What Go writes for a field that is always there and that nobody has set.
fn nothing(kind: Type) -> Value {
    match kind {
        Type::Boolean => Value::Bool(false),
        Type::Int32 | Type::Int64 | Type::Number => 0.into(),
        Type::String => "".into(),
        Type::Any | Type::Bytes | Type::Time | Type::Quantity | Type::IntOrString | Type::Object | Type::Array => {
            Value::Null
        }
    }
}
