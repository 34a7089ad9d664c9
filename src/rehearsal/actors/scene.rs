//! One object at one moment, and what an actor does about it.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::object::{Act, Key, View};
use super::dice::Dice;
use super::faults::{Fault, Faults};

/// What an actor is given.
pub(super) struct Scene<'a> {
    /// The object's key.
    pub(super) key: &'a Key,
    /// The object, as it is.
    pub(super) object: &'a Value,
    /// All others.
    pub(super) view: &'a dyn View,
    /// Since the cluster started.
    pub(super) now: Duration,
    /// For what is written into objects.
    pub(super) wall: Timestamp,
    /// Chance.
    pub(super) dice: &'a mut Dice,
    /// What is to go wrong.
    pub(super) faults: &'a Faults,
    /// What is remembered of the object.
    memory: &'a mut Memory,
    /// Names of which there is one each, with who has them.
    taken: &'a mut HashMap<String, Key>,
    /// What controllers were refused.
    refusals: &'a mut HashMap<Key, String>,
    /// What is done so far.
    acts: Vec<Act>,
    /// When to look again, from now.
    again: Option<Duration>,
}

/// Since when what is so of each object: by what, with the value that it has had since.
type Memory = HashMap<Key, HashMap<&'static str, (i64, Duration)>>;

/// What all actors share.
#[derive(Clone, Debug)]
pub(super) struct Mind {
    /// Chance.
    pub(super) dice: Dice,
    /// What is to go wrong.
    pub(super) faults: Faults,
    /// What is remembered of objects.
    memory: Memory,
    /// Names of which there is one each, with who has them.
    taken: HashMap<String, Key>,
    /// What controllers were refused, in the API server's words.
    refusals: HashMap<Key, String>,
}

impl Mind {
    /// One that remembers nothing.
    pub(super) fn new(dice: Dice) -> Self {
        Self { dice, faults: Faults::default(), memory: Memory::new(), taken: HashMap::new(), refusals: HashMap::new() }
    }

    /// Notes that a controller was refused a pod, and returns why in the words of a cluster: there a pod is refused before
    /// its name has been made up.
    pub(super) fn refuse(&mut self, controller: &Key, why: &str) -> String {
        let stem = format!("\"{}-", controller.name);
        let cut = why.find(&stem).and_then(|at| {
            let (before, after) = why.split_at(at + stem.len());
            let (made_up, rest) = after.split_once('"')?;
            (made_up.len() == 5).then(|| format!("{before}\"{rest}"))
        });
        let why = cut.unwrap_or_else(|| why.to_owned());
        self.refusals.insert(controller.clone(), why.clone());
        why
    }

    /// Drops what is remembered of an object.
    pub(super) fn forget(&mut self, key: &Key) {
        self.refusals.remove(key);
        self.memory.remove(key);
        if key.resource.ends_with("/customresourcedefinitions") {
            self.taken.retain(|_, owner| owner != key);
        }
    }
}

/// The moment of a scene.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// Since the cluster started.
    pub(super) now: Duration,
    /// For what is written into objects.
    pub(super) wall: Timestamp,
}

impl<'a> Scene<'a> {
    /// A scene in which nothing has happened yet.
    pub(super) fn new(
        (key, object): (&'a Key, &'a Value),
        view: &'a dyn View,
        moment: Moment,
        mind: &'a mut Mind,
    ) -> Self {
        Self {
            key,
            object,
            view,
            now: moment.now,
            wall: moment.wall,
            dice: &mut mind.dice,
            faults: &mind.faults,
            memory: &mut mind.memory,
            taken: &mut mind.taken,
            refusals: &mut mind.refusals,
            acts: Vec::new(),
            again: None,
        }
    }

    /// What was done, and when to look again.
    pub(super) fn end(self) -> (Vec<Act>, Option<Duration>) {
        (self.acts, self.again)
    }

    /// The uid of the object.
    pub(super) fn uid(&self) -> &'a str {
        uid(self.object)
    }

    /// Whether the object is on its way out.
    pub(super) fn leaving(&self) -> bool {
        leaving(self.object)
    }

    /// The present time as objects carry it, in whole seconds.
    pub(super) fn stamp(&self) -> String {
        stamp(self.wall)
    }

    /// Whether a fault is meant for this object.
    pub(super) fn strikes(&self, fault: Fault) -> bool {
        self.faults.strike(&self.key.namespace, &self.key.name, fault)
    }

    /// Something else.
    pub(super) fn act(&mut self, act: Act) {
        self.acts.push(act);
    }

    /// Creates an object.
    pub(super) fn create(&mut self, resource: &'static str, object: Value) {
        self.acts.push(Act::Create { resource, object });
    }

    /// Merges into the object.
    pub(super) fn merge(&mut self, patch: Value) {
        self.acts.push(Act::Merge { key: self.key.clone(), uid: self.uid().to_owned(), patch });
    }

    /// Gives the object this status, unless it has it.
    pub(super) fn status(&mut self, status: Value) {
        if self.object.get("status") != Some(&status) {
            self.acts.push(Act::Status { key: self.key.clone(), uid: self.uid().to_owned(), status });
        }
    }

    /// Deletes another object.
    pub(super) fn delete(&mut self, key: Key, object: &Value) {
        self.acts.push(Act::Delete { key, uid: uid(object).to_owned() });
    }

    /// Reports something about the object.
    pub(super) fn tell(&mut self, source: &'static str, reason: &'static str, message: String) {
        self.event(source, reason, message, None, false);
    }

    /// Warns of something about the object.
    pub(super) fn warn(&mut self, source: &'static str, reason: &'static str, message: String) {
        self.event(source, reason, message, None, true);
    }

    /// Reports or warns of something about a part of the object.
    pub(super) fn event(
        &mut self,
        source: &'static str,
        reason: &'static str,
        message: String,
        field_path: Option<String>,
        warning: bool,
    ) {
        let (about, uid) = (self.key.clone(), self.uid().to_owned());
        self.acts.push(Act::Event { about, uid, warning, reason, message, source, field_path });
    }

    /// For how long something about the object has had this value: zero the first time.
    pub(super) fn lasting(&mut self, what: &'static str, value: i64) -> Duration {
        let now = self.now;
        let known = self.memory.entry(self.key.clone()).or_default();
        let entry = known.entry(what).or_insert((value, now));
        if entry.0 != value {
            *entry = (value, now);
        }
        now.saturating_sub(entry.1)
    }

    /// A number that was remembered of the object; zero where there is none.
    pub(super) fn remembered(&self, what: &'static str) -> i64 {
        let known = self.memory.get(self.key).and_then(|known| known.get(what));
        known.map(|(value, _)| *value).unwrap_or_default()
    }

    /// Remembers a number of the object.
    pub(super) fn remember(&mut self, what: &'static str, value: i64) {
        self.memory.entry(self.key.clone()).or_default().insert(what, (value, self.now));
    }

    /// What the object's controller was refused since it last asked.
    pub(super) fn take_refusal(&mut self) -> Option<String> {
        self.refusals.remove(self.key)
    }

    /// Takes a name of which there is one; whether the object has it now.
    pub(super) fn take(&mut self, name: String) -> bool {
        self.taken.entry(name).or_insert_with(|| self.key.clone()) == self.key
    }

    /// Asks to be called again after this time, or earlier.
    pub(super) fn after(&mut self, delay: Duration) {
        self.again = Some(self.again.map_or(delay, |earlier| earlier.min(delay)));
    }

    /// Asks to be called again at this time since the start.
    pub(super) fn at(&mut self, time: Duration) {
        self.after(time.saturating_sub(self.now));
    }

    /// The reference with which what this object makes names it as its controller.
    pub(super) fn controller(&self) -> Value {
        json!({
            "apiVersion": text(self.object, "/apiVersion"),
            "kind": text(self.object, "/kind"),
            "name": &*self.key.name,
            "uid": self.uid(),
            "controller": true,
            "blockOwnerDeletion": true,
        })
    }
}

/// A time as objects carry it, in whole seconds.
pub(super) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The text at a JSON pointer; empty where there is none.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at a JSON pointer.
pub(super) fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// Whether there is `true` at a JSON pointer.
pub(super) fn is(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// The list at a JSON pointer; empty where there is none.
pub(super) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The name of an object.
pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// The uid of an object.
pub(super) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// The generation of an object.
pub(super) fn generation(object: &Value) -> i64 {
    number(object, "/metadata/generation").unwrap_or(1)
}

/// Whether an object is on its way out.
pub(super) fn leaving(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
}

/// The condition of a type.
pub(super) fn condition<'v>(object: &'v Value, kind: &str) -> Option<&'v Value> {
    list(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == kind)
}

/// Whether the condition of a type is `True`.
pub(super) fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| text(condition, "/status") == "True")
}

/// A map without the entries that an API server leaves out of a status: `null`, zero, an empty text or list, except
/// those named.
pub(super) fn terse(mut value: Value, keep: &[&str]) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.retain(|key, entry| keep.contains(&key.as_str()) || !is_nothing(entry));
    }
    value
}

/// Whether `omitempty` leaves a value out.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// The map at a JSON pointer; an empty one where there is none, or something else.
pub(super) fn map_of(value: &Value, pointer: &str) -> Value {
    value.pointer(pointer).filter(|found| found.is_object()).cloned().unwrap_or_else(|| json!({}))
}

/// Gives a place in a map of maps a value, making the maps on the way.
pub(super) fn put(value: &mut Value, path: &[&str], entry: Value) {
    let mut place = value;
    for step in path {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[*step];
    }
    *place = entry;
}
