//! What the cluster holds: every object as the text that is sent, each collection with its history.
//!
//! - Why text: lists and watches send what was stored without making it anew, and ten thousand objects take the room of
//!   their text. Whoever changes an object reads it first.
//! - Why a history for each collection: a watch wakes for its own kind only.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::body::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use super::object::{Key, View};

/// How much a collection remembers, in changes and in bytes of them; watches of older versions have expired.
const CHANGES: usize = 4096;
const BYTES: usize = 8 << 20;

/// How many objects are held as they were read: a few times what a suite installs.
const RECENT: usize = 1024;

/// One object as it is stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) key: Key,
    pub(super) uid: Box<str>,
    /// Its `resourceVersion`.
    pub(super) revision: u64,
    pub(super) labels: Labels,
    /// Values that field selectors ask for, beside name and namespace.
    pub(super) fields: Labels,
    /// The uids of its owners, the one that controls it first.
    pub(super) owners: Vec<Box<str>>,
    /// Whether the first of them controls it.
    pub(super) is_controlled: bool,
    /// The object as JSON.
    pub(super) text: Bytes,
    /// The same as it was read, as long as anybody holds it.
    read: Mutex<Weak<Value>>,
}

/// A few pairs; most objects have less than ten.
pub(super) type Labels = Box<[(Box<str>, Box<str>)]>;

/// The value of a key.
pub(super) fn value<'a>(labels: &'a Labels, key: &str) -> Option<&'a str> {
    labels.iter().find(|(name, _)| &**name == key).map(|(_, value)| &**value)
}

impl Stored {
    /// The object, to be changed.
    pub(super) fn value(&self) -> Value {
        serde_json::from_slice(&self.text).unwrap_or_default()
    }

    /// The object as somebody holds it.
    fn held(&self) -> Option<Arc<Value>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }
}

/// What has happened to one object.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// The version at which it happened.
    pub(super) revision: u64,
    /// What was there before.
    pub(super) before: Option<Arc<Stored>>,
    /// What is there now. Of an object that was removed: its last state, at the version of the removal.
    pub(super) now: Arc<Stored>,
    /// Whether it was removed.
    pub(super) removed: bool,
}

/// The name of an object in its collection: namespace, name.
type Place = (Arc<str>, Arc<str>);

/// The objects of one collection as they are at one version.
pub(super) type Objects = BTreeMap<Place, Arc<Stored>>;

#[derive(Debug)]
struct Collection {
    objects: Objects,
    history: VecDeque<Change>,
    /// The size of all that is in the history, in bytes.
    remembered: usize,
    /// The latest version that is no longer in the history.
    forgotten: u64,
    latest: watch::Sender<u64>,
}

impl Collection {
    fn new(revision: u64) -> Self {
        let latest = watch::Sender::new(revision);
        Self { objects: Objects::new(), history: VecDeque::new(), remembered: 0, forgotten: 0, latest }
    }

    fn record(&mut self, change: Change) {
        let revision = change.revision;
        self.remembered += change.now.text.len();
        self.history.push_back(change);
        while self.history.len() > CHANGES || self.remembered > BYTES {
            self.forget_one();
        }
        self.latest.send_replace(revision);
    }

    fn forget_one(&mut self) {
        if let Some(change) = self.history.pop_front() {
            self.remembered -= change.now.text.len();
            self.forgotten = change.revision;
        }
    }
}

/// All collections under one version, as etcd counts.
#[derive(Debug, Default)]
pub(super) struct Store {
    revision: u64,
    collections: HashMap<Arc<str>, Collection>,
    /// Up to where it is forgotten what has happened, in collections too that had nothing in them yet.
    forgotten: u64,
    /// Which object has a uid.
    uids: HashMap<Box<str>, Key>,
    /// Owner's uid → what it owns.
    owned: HashMap<Box<str>, BTreeSet<Key>>,
    /// Everything that has happened and that the actors have not been told.
    pub(super) news: Vec<Change>,
    /// What was read of late, here and in forks: most of it is looked at again and again.
    recent: Arc<Mutex<VecDeque<Arc<Value>>>>,
}

impl Store {
    /// The same objects once more, but for these, and without their history: who watches them begins anew.
    pub(super) fn fork(&self, left: &HashSet<Key>) -> Self {
        let collections = self.collections.iter().map(|(name, collection)| {
            let mut objects = collection.objects.clone();
            objects.retain(|_, stored| !left.contains(&stored.key));
            (name.clone(), Collection { objects, forgotten: self.revision, ..Collection::new(self.revision) })
        });
        let mut fork = Self {
            revision: self.revision,
            collections: collections.collect(),
            forgotten: self.revision,
            uids: self.uids.clone(),
            owned: self.owned.clone(),
            news: self.news.clone(),
            recent: Arc::clone(&self.recent),
        };
        fork.news.retain(|change| !left.contains(&change.now.key));
        // To those who stay it is as if these had been removed: Services name them no more, and quotas do not count them.
        // In their order, on which chance depends.
        let in_order: BTreeSet<&Key> = left.iter().collect();
        fork.news.extend(in_order.into_iter().filter_map(|key| self.find(key)).map(|stored| Change {
            revision: self.revision,
            before: Some(stored.clone()),
            now: stored.clone(),
            removed: true,
        }));
        fork.uids.retain(|_, key| !left.contains(key));
        fork.owned.retain(|_, owned| {
            owned.retain(|key| !left.contains(key));
            !owned.is_empty()
        });
        fork
    }

    /// These objects and what they own, and so on.
    pub(super) fn with_offspring(&self, objects: &[Key]) -> HashSet<Key> {
        let (mut all, mut next) = (HashSet::new(), objects.to_vec());
        while let Some(key) = next.pop() {
            // They may own each other.
            if all.insert(key.clone()) {
                let uid = self.find(&key).map(|stored| stored.uid.clone());
                next.extend(uid.iter().flat_map(|uid| self.owned(uid)).cloned());
            }
        }
        all
    }

    /// The latest version.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// Puts an object in the place of what is there; `metadata.resourceVersion` becomes the new version.
    pub(super) fn put(&mut self, key: &Key, mut object: Value, fields: &[(&str, &str)]) -> Arc<Stored> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = Value::String(self.revision.to_string());
        let stored = Arc::new(stored(key, &object, self.revision, fields));
        self.hold(&stored, &Arc::new(object));
        self.uids.insert(stored.uid.clone(), key.clone());
        for owner in &stored.owners {
            self.owned.entry(owner.clone()).or_default().insert(key.clone());
        }
        let collection = collection(&mut self.collections, &key.resource, self.revision);
        let before = collection.objects.insert(place(key), stored.clone());
        for owner in before.iter().flat_map(|before| &before.owners).filter(|owner| !stored.owners.contains(owner)) {
            disown(&mut self.owned, owner, key);
        }
        self.tell(Change { revision: self.revision, before, now: stored.clone(), removed: false });
        stored
    }

    /// Removes an object. Gives its last state, at the version of the removal.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<Stored>> {
        let collection = self.collections.get_mut(&key.resource)?;
        let before = collection.objects.remove(&place(key))?;
        self.revision += 1;
        self.uids.remove(&before.uid);
        for owner in &before.owners {
            disown(&mut self.owned, owner, key);
        }
        let mut object = before.value();
        object["metadata"]["resourceVersion"] = Value::String(self.revision.to_string());
        let fields: Vec<(&str, &str)> = before.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let now = Arc::new(stored(key, &object, self.revision, &fields));
        self.tell(Change { revision: self.revision, before: Some(before), now: now.clone(), removed: true });
        Some(now)
    }

    fn tell(&mut self, change: Change) {
        self.news.push(change.clone());
        collection(&mut self.collections, &change.now.key.resource.clone(), self.revision).record(change);
    }

    /// An object that was stored, to be looked at.
    pub(super) fn seen(&self, stored: &Stored) -> Arc<Value> {
        stored.held().unwrap_or_else(|| {
            let value = Arc::new(stored.value());
            self.hold(stored, &value);
            value
        })
    }

    fn hold(&self, stored: &Stored, value: &Arc<Value>) {
        *stored.read.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(value);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(Arc::clone(value));
        if recent.len() > RECENT {
            recent.pop_front();
        }
    }

    /// An object.
    pub(super) fn find(&self, key: &Key) -> Option<&Arc<Stored>> {
        self.collections.get(&key.resource)?.objects.get(&place(key))
    }

    /// A collection as it is now, if anything was ever in it.
    pub(super) fn objects(&self, resource: &str) -> Option<&Objects> {
        self.collections.get(resource).map(|collection| &collection.objects)
    }

    /// The objects of a collection, in one namespace or in all.
    pub(super) fn within<'a>(
        &'a self,
        resource: &str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Stored>> {
        self.objects(resource).into_iter().flat_map(move |objects| within(objects, namespace))
    }

    /// The object that has a uid.
    pub(super) fn of_uid(&self, uid: &str) -> Option<&Key> {
        self.uids.get(uid)
    }

    /// What an object owns.
    pub(super) fn owned(&self, uid: &str) -> impl Iterator<Item = &Key> {
        self.owned.get(uid).into_iter().flatten()
    }

    /// Everything in a namespace.
    pub(super) fn contents(&self, namespace: &str) -> Vec<Key> {
        let all = self.collections.values();
        all.flat_map(|collection| within(&collection.objects, Some(namespace)))
            .map(|stored| stored.key.clone())
            .collect()
    }

    /// Lets the actors look again at everything in a namespace, or at everything.
    pub(super) fn stir(&mut self, namespace: Option<&str>) {
        let all = self.collections.values().flat_map(|collection| within(&collection.objects, namespace));
        let again = |now: &Arc<Stored>| Change {
            revision: now.revision,
            before: Some(now.clone()),
            now: now.clone(),
            removed: false,
        };
        let again: Vec<Change> = all.map(again).collect();
        self.news.extend(again);
    }

    /// Forgets everything that has happened, up to a version that nobody has seen: watches must start anew.
    pub(super) fn forget(&mut self) {
        self.revision += 1;
        for collection in self.collections.values_mut() {
            while !collection.history.is_empty() {
                collection.forget_one();
            }
            collection.forgotten = self.revision;
        }
        self.forgotten = self.revision;
    }

    /// A signal that wakes at each change of a collection.
    pub(super) fn latest(&mut self, resource: &Arc<str>) -> watch::Receiver<u64> {
        collection(&mut self.collections, resource, self.revision).latest.subscribe()
    }

    /// What has happened in a collection after a version.
    ///
    /// # Errors
    /// The oldest version from which it can still be told.
    pub(super) fn since(&self, resource: &str, revision: u64) -> Result<Vec<Change>, u64> {
        let collection = self.collections.get(resource);
        let oldest = collection.map_or(0, |collection| collection.forgotten).max(self.forgotten);
        if revision < oldest {
            return Err(oldest);
        }
        let Some(collection) = collection else { return Ok(Vec::new()) };
        let from = collection.history.partition_point(|change| change.revision <= revision);
        Ok(collection.history.range(from..).cloned().collect())
    }
}

impl View for Store {
    fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.find(key).map(|stored| self.seen(stored))
    }

    fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.within(resource, namespace).map(|stored| self.seen(stored)).collect()
    }

    fn labelled(&self, resource: &str, namespace: &str, labels: &Value) -> Vec<Arc<Value>> {
        let Some(wanted) = labels.as_object() else { return Vec::new() };
        let holds =
            |stored: &&Arc<Stored>| wanted.iter().all(|(key, wanted)| value(&stored.labels, key) == wanted.as_str());
        self.within(resource, Some(namespace)).filter(holds).map(|stored| self.seen(stored)).collect()
    }

    fn controlled(&self, resource: &str, owner_uid: &str) -> Vec<Arc<Value>> {
        let of_kind = self.owned(owner_uid).filter(|key| &*key.resource == resource);
        let stored = of_kind.filter_map(|key| self.find(key));
        let controlled = |stored: &&Arc<Stored>| stored.is_controlled && &*stored.owners[0] == owner_uid;
        stored.filter(controlled).map(|stored| self.seen(stored)).collect()
    }
}

/// The part of a collection that is in one namespace, or all of it.
pub(super) fn within<'a>(objects: &'a Objects, namespace: Option<&'a str>) -> impl Iterator<Item = &'a Arc<Stored>> {
    let first = Bound::Included((Arc::from(namespace.unwrap_or_default()), Arc::from("")));
    let range = objects.range((first, Bound::Unbounded));
    range
        .take_while(move |((held, _), _)| namespace.is_none_or(|namespace| &**held == namespace))
        .map(|(_, stored)| stored)
}

fn collection<'a>(
    collections: &'a mut HashMap<Arc<str>, Collection>,
    resource: &Arc<str>,
    revision: u64,
) -> &'a mut Collection {
    collections.entry(resource.clone()).or_insert_with(|| Collection::new(revision))
}

fn disown(owned: &mut HashMap<Box<str>, BTreeSet<Key>>, owner: &str, key: &Key) {
    if let Some(keys) = owned.get_mut(owner) {
        keys.remove(key);
        if keys.is_empty() {
            owned.remove(owner);
        }
    }
}

fn place(key: &Key) -> Place {
    (key.namespace.clone(), key.name.clone())
}

fn stored(key: &Key, object: &Value, revision: u64, fields: &[(&str, &str)]) -> Stored {
    let metadata = &object["metadata"];
    let labels = metadata["labels"].as_object();
    let labels = labels.into_iter().flatten().map(|(key, value)| pair(key, value.as_str().unwrap_or_default()));
    let mut owners: Vec<(bool, &str)> = metadata["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|owner| Some((owner["controller"] == true, owner["uid"].as_str()?)))
        .collect();
    owners.sort_by_key(|(controls, _)| !controls);
    Stored {
        key: key.clone(),
        uid: metadata["uid"].as_str().unwrap_or_default().into(),
        revision,
        labels: labels.collect(),
        fields: fields.iter().map(|(name, value)| pair(name, value)).collect(),
        is_controlled: owners.first().is_some_and(|(controls, _)| *controls),
        owners: owners.into_iter().map(|(_, uid)| uid.into()).collect(),
        text: serde_json::to_vec(object).unwrap_or_default().into(),
        read: Mutex::default(),
    }
}

fn pair(key: &str, value: &str) -> (Box<str>, Box<str>) {
    (key.into(), value.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, owner: Option<&str>) -> Value {
        let owners: Vec<Value> = owner.iter().map(|uid| json!({ "uid": uid, "controller": true })).collect();
        json!({ "metadata": { "name": name, "uid": format!("uid-{name}"), "labels": { "app": name }, "ownerReferences": owners } })
    }

    fn put(store: &mut Store, name: &str, owner: Option<&str>) -> Key {
        let key = Key::new("/pods", "n", name);
        store.put(&key, object(name, owner), &[("status.phase", "Running")]);
        key
    }

    #[test]
    fn what_happened_after_a_version_is_told_in_order_and_an_older_one_has_expired() {
        let mut store = Store::default();
        let key = put(&mut store, "a", None);
        let seen = store.revision();
        put(&mut store, "b", None);
        store.remove(&key).unwrap();
        let told = store.since("/pods", seen).unwrap();
        let told: Vec<_> = told.iter().map(|change| (&*change.now.key.name, change.removed)).collect();
        assert_eq!(told, [("b", false), ("a", true)]);
        store.forget();
        assert_eq!(store.since("/pods", seen).unwrap_err(), store.revision());
        assert!(store.since("/pods", store.revision()).unwrap().is_empty());
    }

    #[test]
    fn what_is_left_out_goes_with_all_that_it_owns_also_where_they_own_each_other() {
        let mut store = Store::default();
        let first = put(&mut store, "first", Some("uid-third"));
        let second = put(&mut store, "second", Some("uid-first"));
        let third = put(&mut store, "third", Some("uid-second"));
        let other = put(&mut store, "other", None);
        let left = store.with_offspring(std::slice::from_ref(&first));
        assert_eq!(left, HashSet::from([first, second.clone(), third]));
        let fork = store.fork(&left);
        assert!(fork.find(&other).is_some() && fork.find(&second).is_none() && fork.of_uid("uid-third").is_none());
        assert_eq!(fork.owned("uid-first").count(), 0);
    }

    #[test]
    fn what_is_seen_is_what_was_put_last_whether_it_is_held_or_read_anew() {
        let mut store = Store::default();
        let key = put(&mut store, "a", None);
        let first = store.find(&key).unwrap().clone();
        let fork = store.fork(&HashSet::new());
        assert!(Arc::ptr_eq(&store.seen(&first), &fork.seen(&first)));
        for _ in 0..=RECENT {
            put(&mut store, "b", None);
        }
        assert!(first.held().is_none(), "more is held than its bound");
        put(&mut store, "a", Some("o"));
        assert_eq!(*store.get(&key).unwrap(), store.find(&key).unwrap().value());
        assert_eq!(*fork.get(&key).unwrap(), first.value());
        assert_ne!(store.get(&key), fork.get(&key));
    }

    #[test]
    fn a_history_keeps_no_more_than_its_bound() {
        let mut store = Store::default();
        for _ in 0..=CHANGES {
            put(&mut store, "a", None);
        }
        assert!(store.since("/pods", 0).is_err());
        assert_eq!(store.since("/pods", 1).unwrap().len(), CHANGES);
    }

    #[test]
    fn an_object_is_found_by_its_owner_until_it_has_another() {
        let mut store = Store::default();
        put(&mut store, "a", Some("o"));
        assert_eq!(store.controlled("/pods", "o").len(), 1);
        put(&mut store, "a", Some("p"));
        assert_eq!(store.owned("o").count(), 0);
        assert_eq!(store.controlled("/pods", "p").len(), 1);
    }

    #[test]
    fn a_namespace_is_a_part_of_its_collection() {
        let mut store = Store::default();
        put(&mut store, "a", None);
        store.put(&Key::new("/pods", "na", "b"), object("b", None), &[]);
        assert_eq!(store.list("/pods", Some("n")).len(), 1);
        assert_eq!(store.list("/pods", None).len(), 2);
        assert_eq!(store.labelled("/pods", "na", &json!({ "app": "b" })).len(), 1);
        assert_eq!(store.labelled("/pods", "na", &json!({ "app": "a" })).len(), 0);
        assert_eq!(store.contents("na"), [Key::new("/pods", "na", "b")]);
    }
}
