//! The cluster: one state under one lock, in which every request and every actor's deed is one step.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::agenda::Agenda;
use super::catalog::{Catalog, Resource, custom};
use super::failure::Failure;
use super::object::Key;
use super::read::Paging;
use super::store::{Store, Stored};

/// Everything that the cluster is.
#[derive(Debug)]
pub(super) struct Cluster {
    state: Mutex<State>,
    /// Wakes the actors.
    pub(super) stirred: Notify,
}

/// What the lock is around.
#[derive(Debug)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) agenda: Agenda,
    pub(super) catalog: Catalog,
    pub(super) paging: Paging,
    /// Numbers for uids and generated names.
    pub(super) dice: Dice,
    /// The next address of a Service.
    pub(super) addresses: u32,
}

impl Cluster {
    /// A cluster with nothing in it.
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let state = State {
            store: Store::default(),
            agenda: Agenda::default(),
            catalog: Catalog::new(),
            paging: Paging::default(),
            dice: Dice(seed),
            addresses: 0,
        };
        Arc::new(Self { state: Mutex::new(state), stirred: Notify::new() })
    }

    /// A cluster with all that is in this one, but for these objects and what they own, which from now on goes its own way.
    pub(super) fn fork(state: &State, without: &[Key]) -> Arc<Self> {
        let left = state.store.with_offspring(without);
        let state = State {
            store: state.store.fork(&left),
            agenda: state.agenda.fork(&left),
            catalog: state.catalog.clone(),
            paging: Paging::default(),
            dice: state.dice.clone(),
            addresses: state.addresses,
        };
        Arc::new(Self { state: Mutex::new(state), stirred: Notify::new() })
    }

    /// One step. What was changed stirs the actors.
    pub(super) fn step<T>(&self, step: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let done = step(&mut state);
        if !state.store.news.is_empty() {
            self.stirred.notify_one();
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Stores an object, with what selectors ask of it, and serves what it brings.
    pub(super) fn keep(&mut self, resource: &Resource, key: &Key, object: Value) -> Arc<Stored> {
        let fields = selectable(resource, &object);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if &*resource.plural == "customresourcedefinitions" && is_true(&object, "Established") {
            // A schema that cannot be read was refused when it came.
            custom(&object).into_iter().for_each(|custom| self.catalog.add(custom));
        }
        self.store.put(key, object, &fields)
    }

    /// Takes an object out of the store, and with a definition what it brought.
    pub(super) fn discard(&mut self, resource: &Resource, key: &Key) -> Option<Arc<Stored>> {
        let removed = self.store.remove(key)?;
        if &*resource.plural == "customresourcedefinitions" {
            let spec = &removed.value()["spec"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            self.catalog.withdraw(&text(&spec["group"]), &text(&spec["names"]["plural"]));
        }
        Some(removed)
    }

    /// The key of an object of a resource.
    pub(super) fn key(resource: &Resource, namespace: Option<&str>, name: &str) -> Key {
        Key {
            resource: resource.collection.clone(),
            namespace: namespace.filter(|_| resource.namespaced).unwrap_or_default().into(),
            name: name.into(),
        }
    }

    /// An object that must be there.
    pub(super) fn found(&self, resource: &Resource, key: &Key) -> Result<Arc<Stored>, Failure> {
        self.store.find(key).cloned().ok_or_else(|| Failure::not_found(resource, &key.name))
    }
}

/// Whether a condition of an object is `True`.
pub(super) fn is_true(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|found| found["type"] == condition && found["status"] == "True")
}

/// Now, in the notation of `metadata`: whole seconds.
pub(super) fn now() -> String {
    written(Timestamp::now())
}

/// A time in the notation of `metadata`: whole seconds.
pub(super) fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The fields that field selectors may name, with what they are in an object. Beside these only `metadata.name` and
/// `metadata.namespace` are known (`k8s.io/kubernetes/pkg/apis/*/v1/conversion.go`).
pub(super) fn selectable_names(resource: &Resource) -> &'static [&'static str] {
    match (&*resource.group, &*resource.plural) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("", "namespaces") => &["status.phase"],
        ("", "secrets") => &["type"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("batch", "jobs") => &["status.successful"],
        _ => &[],
    }
}

fn selectable(resource: &Resource, object: &Value) -> Vec<(&'static str, String)> {
    let read = |path: &'static str| {
        let pointer = match path {
            "source" => "/source/component".to_owned(),
            path => format!("/{}", path.replace('.', "/")),
        };
        let text = match object.pointer(&pointer) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) if path == "status.successful" => "0".to_owned(),
            None | Some(Value::Null) if matches!(path, "spec.hostNetwork" | "spec.unschedulable") => "false".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        (path, text)
    };
    selectable_names(resource).iter().copied().map(read).collect()
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A uid: a UUID of version 4.
    pub(super) fn uid(&mut self) -> String {
        let (high, low) = (self.roll(), self.roll());
        let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0x0fff);
        let (fourth, fifth) = ((low >> 48) & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
        format!("{first:08x}-{second:04x}-4{third:03x}-{fourth:04x}-{fifth:012x}")
    }

    /// The five characters after a `generateName` (`k8s.io/apimachinery/pkg/util/rand`).
    pub(super) fn suffix(&mut self) -> String {
        const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5).map(|_| char::from(LETTERS[usize::try_from(self.roll() % 27).unwrap_or(0)])).collect()
    }
}

/// `Status` of a deed that has no object to show.
pub(super) fn success(resource: &Resource, name: &str, uid: &str) -> Value {
    let mut details = json!({ "name": name, "group": *resource.group, "kind": *resource.plural, "uid": uid });
    if resource.group.is_empty() {
        details.as_object_mut().into_iter().for_each(|map| drop(map.shift_remove("group")));
    }
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}
