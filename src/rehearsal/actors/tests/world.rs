//! A cluster in memory whose clock jumps to whatever is due next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::super::object::{Act, Key, View};
use super::super::{Actors, Pace};

/// The objects.
#[derive(Default)]
pub(super) struct Objects(pub(super) BTreeMap<Key, Value>);

impl View for Objects {
    fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.0.get(key).cloned().map(Arc::new)
    }

    fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let wanted =
            |key: &&Key| &*key.resource == resource && namespace.is_none_or(|wanted| wanted == &*key.namespace);
        self.0.keys().filter(wanted).map(|key| Arc::new(self.0[key].clone())).collect()
    }

    fn labelled(&self, resource: &str, namespace: &str, labels: &Value) -> Vec<Arc<Value>> {
        let has = |object: &Arc<Value>| {
            let own = &object["metadata"]["labels"];
            labels.as_object().is_some_and(|wanted| wanted.iter().all(|(key, value)| own.get(key) == Some(value)))
        };
        self.list(resource, Some(namespace)).into_iter().filter(has).collect()
    }

    fn controlled(&self, resource: &str, owner_uid: &str) -> Vec<Arc<Value>> {
        let owned = |object: &Arc<Value>| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|owners| {
                owners.iter().any(|owner| owner["uid"] == owner_uid && owner["controller"] == true)
            })
        };
        self.list(resource, None).into_iter().filter(owned).collect()
    }
}

/// A cluster.
pub(super) struct World {
    pub(super) objects: Objects,
    pub(super) actors: Actors,
    pub(super) now: Duration,
    due: BTreeMap<(Duration, u64), Key>,
    timers: BTreeMap<Key, (Duration, u64)>,
    turn: u64,
    uids: u64,
    /// Every state that an object went through.
    pub(super) seen: Vec<(Key, Value)>,
    /// `reason: message` of the events on each object.
    pub(super) events: Vec<(Key, String)>,
    /// The lines of containers.
    pub(super) lines: Vec<String>,
    /// Why pods are refused.
    pub(super) refuses: Option<String>,
    /// How often an actor was asked.
    pub(super) asked: usize,
}

/// When the clock begins.
const BEGINNING: i64 = 1_700_000_000;

impl World {
    /// A cluster with nothing in it.
    pub(super) fn bare() -> Self {
        Self {
            objects: Objects::default(),
            actors: Actors::new(7, Pace::default()),
            now: Duration::ZERO,
            due: BTreeMap::new(),
            timers: BTreeMap::new(),
            turn: 0,
            uids: 0,
            seen: Vec::new(),
            events: Vec::new(),
            lines: Vec::new(),
            refuses: None,
            asked: 0,
        }
    }

    /// A cluster with a node and a namespace `ns`.
    pub(super) fn new() -> Self {
        let mut world = Self::bare();
        let allocatable = json!({"cpu": "4", "memory": "8Gi", "pods": "110"});
        world.create("/nodes", json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": "one", "labels": {"kubernetes.io/hostname": "one"}},
            "status": {"allocatable": allocatable},
        }));
        world.create("/namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}}));
        world.run(Duration::from_secs(1));
        world
    }

    fn wall(&self) -> Timestamp {
        let since = i64::try_from(self.now.as_millis()).unwrap();
        Timestamp::from_millisecond(BEGINNING * 1000 + since).unwrap()
    }

    /// One timer for each object is enough: the earliest.
    fn wake(&mut self, key: Key, at: Duration) {
        match self.timers.get(&key) {
            Some(earlier) if earlier.0 <= at => return,
            Some(later) => drop(self.due.remove(later)),
            None => {}
        }
        self.timers.insert(key.clone(), (at, self.turn + 1));
        self.turn += 1;
        self.due.insert((at, self.turn), key);
    }

    fn changed(&mut self, key: &Key, old: Option<&Value>) {
        let new = self.objects.0.get(key).cloned();
        if let Some(new) = &new {
            self.seen.push((key.clone(), new.clone()));
        }
        let touched = self.actors.touched(key, old, new.as_ref(), &self.objects);
        self.wake(key.clone(), self.now);
        for other in touched {
            self.wake(other, self.now);
        }
    }

    /// Creates an object, in `ns` unless it is of a kind without namespaces.
    pub(super) fn create(&mut self, resource: &str, mut object: Value) -> Key {
        let name = object["metadata"]["name"]
            .as_str()
            .map(str::to_owned)
            .unwrap_or_else(|| format!("{}{:05}", object["metadata"]["generateName"].as_str().unwrap(), self.uids));
        const WIDE: [&str; 4] =
            ["/nodes", "/namespaces", "/persistentvolumes", "apiextensions.k8s.io/customresourcedefinitions"];
        let namespace = match (WIDE.contains(&resource), object["metadata"]["namespace"].as_str()) {
            (true, _) => "",
            (false, Some(namespace)) => namespace,
            (false, None) => "ns",
        }
        .to_owned();
        let key = Key::new(resource, &namespace, &name);
        if self.objects.0.contains_key(&key) {
            return key;
        }
        self.uids += 1;
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!(namespace);
        object["metadata"]["uid"] = json!(format!("uid-{}", self.uids));
        object["metadata"]["generation"] = json!(1);
        object["metadata"]["creationTimestamp"] = json!(super::super::scene::stamp(self.wall()));
        if resource == "/pods" && object["spec"].is_object() && object["spec"]["restartPolicy"].is_null() {
            object["spec"]["restartPolicy"] = json!("Always");
        }
        if let Some(Value::Object(texts)) = object.get("stringData").cloned() {
            let encode = |text: &Value| base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap());
            object["data"] = texts.iter().map(|(key, text)| (key.clone(), json!(encode(text)))).collect();
        }
        self.objects.0.insert(key.clone(), object);
        self.changed(&key, None);
        key
    }

    /// Changes an object as a client would.
    pub(super) fn edit(&mut self, key: &Key, edit: impl FnOnce(&mut Value)) {
        let Some(object) = self.objects.0.get_mut(key) else { return };
        let old = object.clone();
        edit(object);
        if old["spec"] != object["spec"] {
            object["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap() + 1);
        }
        if old != *object {
            self.changed(key, Some(&old));
        }
    }

    /// Deletes an object as a client would.
    pub(super) fn delete(&mut self, key: &Key) {
        if &*key.resource == "/pods" {
            let stamp = super::super::scene::stamp(self.wall());
            return self.edit(key, |pod| {
                pod["metadata"]["deletionTimestamp"] = json!(stamp);
                pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
            });
        }
        self.remove(key);
    }

    fn remove(&mut self, key: &Key) {
        let Some(old) = self.objects.0.remove(key) else { return };
        let uid = old["metadata"]["uid"].clone();
        self.changed(key, Some(&old));
        let owned: Vec<Key> = self
            .objects
            .0
            .iter()
            .filter(|(_, object)| {
                object["metadata"]["ownerReferences"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one["uid"] == uid))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in owned {
            self.delete(&key);
        }
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Create { resource: "/pods", object } if self.refuses.is_some() => {
                let owner = &object["metadata"]["ownerReferences"][0]["name"];
                let key = Key::new("apps/replicasets", "ns", owner.as_str().unwrap());
                let why = self.refuses.clone().unwrap();
                let name = object["metadata"]["name"].as_str().unwrap();
                drop(self.actors.refused(&key, "Pod", &format!("pods \"{name}\" is forbidden: {why}")));
                self.wake(key, self.now);
            }
            Act::Create { resource, object } => {
                self.create(resource, object);
            }
            Act::Merge { key, uid, patch } if self.is(&key, &uid) => self.edit(&key, |object| merge(object, &patch)),
            Act::Status { key, uid, status } if self.is(&key, &uid) => {
                self.edit(&key, |object| object["status"] = status);
            }
            Act::Delete { key, uid } if self.is(&key, &uid) => self.delete(&key),
            Act::Reap { key, uid } if self.is(&key, &uid) => self.remove(&key),
            Act::Event { about, reason, message, .. } => self.events.push((about, format!("{reason}: {message}"))),
            Act::Log { line, .. } => self.lines.push(line),
            Act::Merge { .. }
            | Act::Status { .. }
            | Act::Delete { .. }
            | Act::Reap { .. }
            | Act::Start { .. }
            | Act::Serve { .. }
            | Act::Stop { .. } => {}
        }
    }

    fn is(&self, key: &Key, uid: &str) -> bool {
        self.objects.0.get(key).is_some_and(|object| object["metadata"]["uid"] == uid)
    }

    /// Lives on for a while.
    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((&(at, turn), _)) = self.due.first_key_value() {
            if at > end {
                break;
            }
            let Some(key) = self.due.remove(&(at, turn)) else { break };
            self.timers.remove(&key);
            self.now = self.now.max(at);
            self.asked += 1;
            let wall = self.wall();
            let (acts, again) = self.actors.reconcile(&key, &self.objects, self.now, wall);
            acts.into_iter().for_each(|act| self.perform(act));
            if let Some(again) = again {
                self.wake(key, self.now + again);
            }
        }
        self.now = end;
    }

    /// One object.
    pub(super) fn get(&self, resource: &str, name: &str) -> Arc<Value> {
        self.objects.get(&Key::new(resource, "ns", name)).unwrap_or_default()
    }

    /// The objects of a collection in `ns`.
    pub(super) fn all(&self, resource: &str) -> Vec<Arc<Value>> {
        self.objects.list(resource, Some("ns"))
    }

    /// What an object went through, each state told by a function, without repetitions.
    pub(super) fn story(&self, resource: &str, begin: &str, tell: impl Fn(&Value) -> String) -> Vec<String> {
        let states = self.seen.iter().filter(|(key, _)| &*key.resource == resource && key.name.starts_with(begin));
        let mut told: Vec<String> = states.map(|(_, object)| tell(object)).collect();
        told.dedup();
        told
    }

    /// The events on objects whose names begin so, in their order, without repetitions in a row.
    pub(super) fn heard(&self, begin: &str) -> Vec<&str> {
        let about = self.events.iter().filter(|(key, _)| key.name.starts_with(begin));
        let mut heard: Vec<&str> = about.map(|(_, event)| event.as_str()).collect();
        heard.dedup();
        heard
    }
}

/// `type=status(reason)` of each condition.
pub(super) fn conditions(object: &Value) -> String {
    let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    let told: Vec<String> = all
        .iter()
        .map(|one| format!("{}={}({})", text(one, "type"), text(one, "status"), text(one, "reason")))
        .collect();
    told.join(" ")
}

/// The phase of a pod and the states of its containers.
pub(super) fn pod(object: &Value) -> String {
    let all = object["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
    let mut told = vec![object["status"]["phase"].as_str().unwrap_or("-").to_owned()];
    for one in &all {
        let (state, what) = one["state"].as_object().and_then(|state| state.iter().next()).unwrap();
        let ready = if one["ready"] == true { " ready" } else { "" };
        let reason = what["reason"].as_str().map(|reason| format!(":{reason}")).unwrap_or_default();
        told.push(format!("{state}{reason}#{}{ready}", one["restartCount"]));
    }
    told.join(" ")
}

/// RFC 7386.
fn merge(object: &mut Value, patch: &Value) {
    let Some(entries) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    let map = object.as_object_mut().unwrap();
    for (key, value) in entries {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
