//! What goes because something else has gone: the garbage collector, namespaces that end, kinds that end
//! (`pkg/controller/garbagecollector`, `pkg/controller/namespace`, `apiextensions-apiserver/pkg/controller/finalizer`).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::remains;

use super::catalog::Resource;
use super::cluster::State;
use super::delete::{Deletion, FOREGROUND, ORPHAN, finalizers};
use super::object::{Key, View as _};
use super::store::{Change, Stored};
use super::write::set_or_remove;

/// The finalizer of a CustomResourceDefinition whose objects are still there.
const INSTANCES: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Until something that hinders an end is looked at again; what ends it wakes the collector as well.
const PAUSE: Duration = Duration::from_millis(50);

/// What must be looked at because of a change: what was owned by what has gone, and what waits for it to go.
pub(super) fn touched(state: &State, change: &Change) -> Vec<Key> {
    let gone = &change.now;
    let pod = (&*gone.key.resource == "/pods").then(|| state.store.seen(gone));
    let pod = pod.as_ref().filter(|pod| change.removed || has_ended(pod));
    let claims = pod.into_iter().flat_map(|pod| claims(pod));
    let mut touched: Vec<Key> = claims.map(|claim| gone.key.beside("/persistentvolumeclaims", claim)).collect();
    if !change.removed {
        return touched;
    }
    touched.extend(state.store.owned(&gone.uid).cloned());
    touched.extend(gone.owners.iter().filter_map(|owner| state.store.of_uid(owner).cloned()));
    if !gone.key.namespace.is_empty() {
        touched.push(Key::new("/namespaces", "", &gone.key.namespace));
    }
    if let Some((group, plural)) = gone.key.resource.split_once('/') {
        let definition = format!("{plural}.{group}");
        touched.push(Key::new("apiextensions.k8s.io/customresourcedefinitions", "", &definition));
    }
    touched
}

/// Takes away what should be gone. Says when to look again.
pub(super) fn look_at(state: &mut State, key: &Key) -> Option<Duration> {
    let stored = state.store.find(key)?.clone();
    let resource = state.catalog.of_collection(&key.resource)?;
    if !stored.owners.is_empty() && stored.owners.iter().all(|owner| state.store.of_uid(owner).is_none()) {
        // What is created before its owner is would be an error of the client's; a cluster deletes it as well.
        let how = Deletion { propagation: Some("Background".to_owned()), ..Deletion::default() };
        state.delete(&resource, key, &how).ok();
        return None;
    }
    let object = state.store.seen(&stored);
    if object["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    let held: Vec<String> = finalizers(&object).map(str::to_owned).collect();
    let is = |finalizer: &str| held.iter().any(|held| held == finalizer);
    if is(ORPHAN) {
        orphan(state, &stored);
        state.finish(&resource, key, ORPHAN);
        return None;
    }
    if is(FOREGROUND) {
        return foreground(state, &resource, &stored);
    }
    if is(INSTANCES) {
        return end_kind(state, &resource, key, &object);
    }
    if &*key.resource == "/namespaces" && is("kubernetes") {
        return end_namespace(state, &resource, key, &object);
    }
    if &*key.resource == "/persistentvolumeclaims" && is_mounted(state, key) {
        return None;
    }
    // A claim or a volume that nothing mounts any more is let go.
    let protection =
        ["kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"].into_iter().find(|held| is(held))?;
    state.finish(&resource, key, protection);
    None
}

/// The claims that a pod mounts.
fn claims(pod: &Value) -> impl Iterator<Item = &str> {
    let volumes = pod["spec"]["volumes"].as_array();
    volumes.into_iter().flatten().filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
}

fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Whether a pod that has not ended mounts a claim (`pkg/controller/volume/pvcprotection`).
fn is_mounted(state: &State, claim: &Key) -> bool {
    let pods = state.store.list("/pods", Some(&claim.namespace));
    pods.iter().any(|pod| !has_ended(pod) && claims(pod).any(|name| *name == *claim.name))
}

/// What is owned no longer has this owner.
fn orphan(state: &mut State, owner: &Stored) {
    let owned: Vec<Key> = state.store.owned(&owner.uid).cloned().collect();
    for key in owned {
        let Some(uid) = state.store.find(&key).map(|stored| stored.uid.to_string()) else { continue };
        state.amend(&key, &uid, |object| {
            let mut left = object["metadata"]["ownerReferences"].take();
            left.as_array_mut().into_iter().for_each(|all| all.retain(|one| one["uid"] != *owner.uid));
            let left = if left.as_array().is_some_and(Vec::is_empty) { Value::Null } else { left };
            set_or_remove(&mut object["metadata"], "ownerReferences", left);
        });
    }
}

/// First what is owned, then the owner.
fn foreground(state: &mut State, resource: &Arc<Resource>, owner: &Stored) -> Option<Duration> {
    let owned: Vec<Key> = state.store.owned(&owner.uid).cloned().collect();
    let mut blocks = false;
    for key in owned {
        let Some(stored) = state.store.find(&key).cloned() else { continue };
        let object = state.store.seen(&stored);
        let references = object["metadata"]["ownerReferences"].as_array();
        blocks |=
            references.into_iter().flatten().any(|one| one["uid"] == *owner.uid && one["blockOwnerDeletion"] == true);
        if object["metadata"]["deletionTimestamp"].is_null()
            && let Some(of) = state.catalog.of_collection(&key.resource)
        {
            let how = Deletion { propagation: Some("Foreground".to_owned()), ..Deletion::default() };
            state.delete(&of, &key, &how).ok();
        }
    }
    if blocks {
        return Some(PAUSE);
    }
    state.finish(resource, &owner.key, FOREGROUND);
    None
}

/// First the objects of a kind, then the kind.
fn end_kind(state: &mut State, resource: &Arc<Resource>, key: &Key, definition: &Value) -> Option<Duration> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &definition["spec"];
    let collection = format!("{}/{}", text(&spec["group"]), text(&spec["names"]["plural"]));
    let instances: Vec<Key> = state.store.within(&collection, None).map(|stored| stored.key.clone()).collect();
    if instances.is_empty() {
        state.finish(resource, key, INSTANCES);
        return None;
    }
    let of = state.catalog.of_collection(&collection)?;
    for instance in &instances {
        state.delete(&of, instance, &Deletion::default()).ok();
    }
    Some(PAUSE)
}

/// First everything in a namespace, then the namespace.
fn end_namespace(state: &mut State, resource: &Arc<Resource>, key: &Key, namespace: &Value) -> Option<Duration> {
    let contents = state.store.contents(&key.name);
    if contents.is_empty() {
        let uid = namespace["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        state.amend(key, &uid, |object| object["spec"] = json!({}));
        if namespace["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            state.discard(resource, key);
        }
        return None;
    }
    let mut held: Vec<(Key, Vec<String>)> = Vec::new();
    for content in contents {
        let Some(of) = state.catalog.of_collection(&content.resource) else { continue };
        let how = Deletion { propagation: Some("Background".to_owned()), ..Deletion::default() };
        state.delete(&of, &content, &how).ok();
        if let Some(stored) = state.store.find(&content) {
            held.push((content, finalizers(&state.store.seen(stored)).map(str::to_owned).collect()));
        }
    }
    if namespace["status"]["conditions"].is_null() {
        let uid = namespace["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        state.amend(key, &uid, |object| object["status"]["conditions"] = remains::conditions(&held));
    }
    Some(PAUSE)
}
