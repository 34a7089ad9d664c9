//! Deleting: at once, after a grace period, or once every finalizer is done
//! (`k8s.io/apiserver/pkg/registry/generic/registry/store.go`, `BeforeDelete`, `deletionFinalizersForGarbageCollection`).

use std::sync::Arc;

use serde_json::{Value, json};

use super::catalog::Resource;
use super::cluster::{State, now, success};
use super::failure::Failure;
use super::object::Key;
use super::store::Stored;
use super::write::{Outcome, remove};

/// What the collector works off before an owner goes.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// What the collector works off before an owner goes and leaves what it owned.
pub(super) const ORPHAN: &str = "orphan";

/// `DeleteOptions`, in the body or the query.
#[derive(Clone, Debug, Default)]
pub(super) struct Deletion {
    /// `gracePeriodSeconds`.
    pub(super) grace: Option<i64>,
    /// What happens to what it owns.
    pub(super) propagation: Option<String>,
    /// The uid that it must have.
    pub(super) uid: Option<String>,
    /// The version that it must have.
    pub(super) revision: Option<String>,
    pub(super) dry_run: bool,
}

impl Deletion {
    /// Reads the options of a request.
    pub(super) fn of(body: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let orphan = body["orphanDependents"].as_bool().map(|orphan| if orphan { "Orphan" } else { "Background" });
        Self {
            grace: body["gracePeriodSeconds"].as_i64(),
            propagation: text(&body["propagationPolicy"]).or_else(|| orphan.map(str::to_owned)),
            uid: text(&body["preconditions"]["uid"]),
            revision: text(&body["preconditions"]["resourceVersion"]),
            dry_run: body["dryRun"].as_array().is_some_and(|all| !all.is_empty()),
        }
    }
}

impl State {
    /// Deletes an object.
    ///
    /// # Errors
    /// What the API server says.
    pub(super) fn delete(&mut self, resource: &Arc<Resource>, key: &Key, how: &Deletion) -> Result<Outcome, Failure> {
        let stored = self.found(resource, key)?;
        check(resource, &stored, how)?;
        let mut object = stored.value();
        let add = finalizer(resource, how);
        let changed = add.is_some_and(|finalizer| add_finalizer(&mut object, finalizer));
        if add.is_none() {
            changed_back(&mut object);
        }
        let has_finalizers = finalizers(&object).next().is_some();
        let grace = grace(resource, &object, how);
        let is_first = object["metadata"]["deletionTimestamp"].is_null();
        let stays = has_finalizers || grace > 0;
        if !stays {
            let uid = stored.uid.to_string();
            if !how.dry_run {
                self.discard(resource, key);
            }
            // A pod is shown as it was.
            let body = if is_pod(resource) { object } else { success(resource, &key.name, &uid) };
            return Ok(Outcome::of(200, &body));
        }
        let shortened = object["metadata"]["deletionGracePeriodSeconds"].as_i64().is_some_and(|before| grace < before);
        if is_first || shortened {
            object["metadata"]["deletionTimestamp"] = json!(deletion_time(grace));
            object["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
            if let Some(generation) = object["metadata"]["generation"].as_i64().filter(|_| is_first) {
                object["metadata"]["generation"] = json!(generation + 1);
            }
        }
        if &*resource.plural == "namespaces" {
            object["status"]["phase"] = json!("Terminating");
        }
        if how.dry_run || !(is_first || shortened || changed) {
            return Ok(Outcome::of(200, &object));
        }
        let kept = self.keep(resource, key, object);
        Ok(Outcome { code: 200, text: kept.text.clone(), warnings: Vec::new() })
    }

    /// Removes a finalizer; with the last one goes an object that is being deleted.
    pub(super) fn finish(&mut self, resource: &Arc<Resource>, key: &Key, finalizer: &str) {
        let Some(stored) = self.store.find(key).cloned() else { return };
        let mut object = stored.value();
        let left: Vec<Value> = finalizers(&object).filter(|held| *held != finalizer).map(|held| json!(held)).collect();
        let ends = left.is_empty() && !object["metadata"]["deletionTimestamp"].is_null();
        match left.is_empty() {
            true => remove(&mut object["metadata"], "finalizers"),
            false => object["metadata"]["finalizers"] = json!(left),
        }
        self.keep(resource, key, object);
        if ends {
            self.discard(resource, key);
        }
    }
}

/// The finalizers of an object.
pub(super) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let metadata = object["metadata"]["finalizers"].as_array();
    // A namespace has its own beside.
    let spec = object["spec"]["finalizers"].as_array().filter(|_| object["kind"] == "Namespace");
    metadata.into_iter().chain(spec).flatten().filter_map(Value::as_str)
}

fn check(resource: &Resource, stored: &Stored, how: &Deletion) -> Result<(), Failure> {
    // `plugin/pkg/admission/namespace/lifecycle`.
    if &*resource.plural == "namespaces" && matches!(&*stored.key.name, "default" | "kube-system" | "kube-public") {
        return Err(Failure::forbidden(resource, &stored.key.name, "this namespace may not be deleted"));
    }
    let is = stored.revision.to_string();
    let precondition = |what: &str, asked: &str, is: &str| {
        let why = format!("Precondition failed: {what} in precondition: {asked}, {what} in object meta: {is}");
        Err(Failure::conflict(resource, &stored.key.name, &why))
    };
    match (&how.uid, &how.revision) {
        (Some(uid), _) if **uid != *stored.uid => {
            let (kind, name, is) = (&resource.kind, &stored.key.name, &stored.uid);
            let why = format!(
                "Operation cannot be fulfilled on {kind} \"{name}\": the UID in the precondition ({uid}) does not match the UID in record ({is}). The object might have been deleted and then recreated"
            );
            Err(Failure { message: why, ..Failure::conflict(resource, name, "") })
        }
        (_, Some(revision)) if *revision != is => precondition("ResourceVersion", revision, &is),
        _ => Ok(()),
    }
}

/// The finalizer by which the collector knows what to do with what the object owns. The default is to delete it in the
/// background; Jobs of `batch/v1` leave it (`pkg/registry/batch/job/strategy.go`).
fn finalizer(resource: &Resource, how: &Deletion) -> Option<&'static str> {
    let is_job = &*resource.group == "batch" && &*resource.plural == "jobs";
    match how.propagation.as_deref() {
        Some("Foreground") => Some(FOREGROUND),
        Some("Orphan") => Some(ORPHAN),
        None if is_job => Some(ORPHAN),
        Some(_) | None => None,
    }
}

fn add_finalizer(object: &mut Value, finalizer: &str) -> bool {
    if finalizers(object).any(|held| held == finalizer) {
        return false;
    }
    let metadata = &mut object["metadata"];
    match metadata["finalizers"].as_array_mut() {
        Some(held) => held.push(json!(finalizer)),
        None => metadata["finalizers"] = json!([finalizer]),
    }
    true
}

/// Who deletes in the background takes back what an earlier deletion asked of the collector.
fn changed_back(object: &mut Value) {
    if let Some(held) = object.pointer_mut("/metadata/finalizers").and_then(Value::as_array_mut) {
        held.retain(|finalizer| finalizer != FOREGROUND && finalizer != ORPHAN);
    }
}

/// Only pods that a node has are given time.
fn grace(resource: &Resource, object: &Value, how: &Deletion) -> i64 {
    if !is_pod(resource) {
        return 0;
    }
    let phase = object["status"]["phase"].as_str().unwrap_or_default();
    let is_placed = object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    if !is_placed || matches!(phase, "Succeeded" | "Failed") {
        return 0;
    }
    how.grace.or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30).max(0)
}

fn deletion_time(grace: i64) -> String {
    let after = jiff::SignedDuration::from_secs(grace);
    jiff::Timestamp::now().checked_add(after).map_or_else(|_| now(), super::cluster::written)
}

fn is_pod(resource: &Resource) -> bool {
    resource.group.is_empty() && &*resource.plural == "pods"
}
