//! Who must look again when something changed: what is kept so that nobody needs to search for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::super::object::{Key, View};
use super::scene::{holds, is, list, number, text};

/// Who selects pods, by namespace and by one of the labels that they ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct Bonds {
    by_label: HashMap<(String, String), HashSet<Key>>,
    /// Where each of them is found.
    places: HashMap<Key, (String, String)>,
}

impl Bonds {
    /// Notes what an object selects; `selector` is a map of labels.
    pub(super) fn note(&mut self, key: &Key, selector: Option<&Value>) {
        let first = selector.and_then(Value::as_object).and_then(|map| map.iter().next());
        let label = first.map_or_else(String::new, |(name, value)| format!("{name}={}", value.as_str().unwrap_or("")));
        let place = (key.namespace.to_string(), label);
        if self.places.get(key) == Some(&place) {
            return;
        }
        self.forget(key);
        self.by_label.entry(place.clone()).or_default().insert(key.clone());
        self.places.insert(key.clone(), place);
    }

    /// Drops an object that is gone.
    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(place) = self.places.remove(key)
            && let Some(keys) = self.by_label.get_mut(&place)
        {
            keys.remove(key);
        }
    }

    /// Who may select a pod of a namespace with these labels.
    fn selecting(&self, namespace: &str, pod: &Value, keys: &mut Vec<Key>) {
        let labels = pod.pointer("/metadata/labels").and_then(Value::as_object);
        let pairs =
            labels.into_iter().flatten().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or("")));
        for label in pairs {
            if let Some(found) = self.by_label.get(&(namespace.to_owned(), label)) {
                keys.extend(found.iter().cloned());
            }
        }
    }

    /// Those that count everything in a namespace: quotas, and whoever selects without a label.
    fn counting(&self, namespace: &str, keys: &mut Vec<Key>) {
        if let Some(found) = self.by_label.get(&(namespace.to_owned(), String::new())) {
            keys.extend(found.iter().cloned());
        }
    }

    /// Which other objects must be looked at.
    pub(super) fn touched(&self, changed: &Key, old: Option<&Value>, new: Option<&Value>, view: &dyn View) -> Vec<Key> {
        let mut keys = Vec::new();
        let (resource, namespace) = (&*changed.resource, &*changed.namespace);
        let pod = resource == "/pods";
        if pod
            && let (Some(old), Some(new)) = (old, new)
            && shown(old) == shown(new)
        {
            return keys;
        }
        for object in [old, new].into_iter().flatten() {
            let owner = controller(changed, object);
            if pod {
                self.selecting(namespace, object, &mut keys);
                // A Deployment that recreates waits for the pods themselves to be gone.
                if new.is_none()
                    && let Some(set) = owner.as_ref().and_then(|owner| view.get(owner))
                {
                    keys.extend(controller(changed, &set));
                }
            }
            keys.extend(owner);
        }
        if pod || old.is_none() || new.is_none() {
            self.counting(namespace, &mut keys);
        }
        match (resource, new) {
            ("/nodes", _) => {
                let sets = view.list("apps/daemonsets", None);
                let key = |set: &Arc<Value>| {
                    Key::new("apps/daemonsets", text(set, "/metadata/namespace"), super::scene::name(set))
                };
                keys.extend(sets.iter().map(key));
            }
            ("/serviceaccounts" | "/configmaps", None) => keys.push(Key::new("/namespaces", "", namespace)),
            ("/persistentvolumeclaims", None) => keys.extend(old.and_then(super::claim::volume_of)),
            ("/endpoints", None) => keys.push(changed.beside("/services", &changed.name)),
            _ => {}
        }
        keys.retain(|key| key != changed);
        keys.sort();
        keys.dedup();
        keys
    }
}

/// What others see of a pod.
fn shown(pod: &Value) -> impl PartialEq + '_ {
    let restarts: i64 =
        list(pod, "/status/containerStatuses").iter().filter_map(|one| number(one, "/restartCount")).sum();
    (
        text(pod, "/status/phase"),
        holds(pod, "Ready"),
        text(pod, "/status/podIP"),
        super::scene::leaving(pod),
        pod.pointer("/metadata/labels"),
        restarts,
    )
}

/// The controller of an object.
fn controller(changed: &Key, object: &Value) -> Option<Key> {
    let owner = list(object, "/metadata/ownerReferences").iter().find(|owner| is(owner, "/controller"))?;
    let resource = match (text(owner, "/apiVersion"), text(owner, "/kind")) {
        ("apps/v1", "Deployment") => "apps/deployments",
        ("apps/v1", "ReplicaSet") => "apps/replicasets",
        ("apps/v1", "StatefulSet") => "apps/statefulsets",
        ("apps/v1", "DaemonSet") => "apps/daemonsets",
        ("batch/v1", "Job") => "batch/jobs",
        ("batch/v1", "CronJob") => "batch/cronjobs",
        ("v1", "Service") => "/services",
        (version, kind) => super::operators::resource(version, kind)?,
    };
    Some(changed.beside(resource, text(owner, "/name")))
}
