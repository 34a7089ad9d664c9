//! Twin of `checks/workload.rs`: a wait on one object.

use std::sync::Arc;

use kube::api::DynamicObject;

use super::{Site, Unseen};
use crate::checks::{Absence, Claim, Workload, WorkloadAnswer};
use crate::complaint::chain;
use crate::kinds::Kind;
use crate::watch::{Hub, ObjectRef, WatchError};

pub(super) async fn observe(claim: &Workload, site: &Site<'_>) -> Result<WorkloadAnswer, Unseen> {
    let hub = &site.prober.hub;
    let served = match hub.resource(&claim.kind).await {
        Ok(served) => served,
        Err(WatchError::Unknown { .. }) if claim.expect == Absence::AbsentWithItsKind => {
            return Ok(WorkloadAnswer::Gone);
        }
        Err(error) => return Err(unseen(&error)),
    };
    let object = object(claim, site, served);
    if claim.is_every() && claim.expect == Absence::Present {
        return every(claim, &object, site).await;
    }
    match claim.expect {
        Absence::Present => present(claim, &object, site).await,
        Absence::Absent | Absence::AbsentWithItsKind => absent(claim, &object, site).await,
    }
}

fn object(claim: &Workload, site: &Site<'_>, served: Kind) -> ObjectRef {
    let namespace = served.namespaced.then(|| claim.namespace.as_deref().unwrap_or(site.namespace()).to_owned());
    ObjectRef { resource: served.resource, namespace, name: claim.name.clone() }
}

async fn present(claim: &Workload, object: &ObjectRef, site: &Site<'_>) -> Result<WorkloadAnswer, Unseen> {
    let hub = &site.prober.hub;
    let saw = match settled(claim, std::slice::from_ref(object), site).await? {
        Ok(saw) => saw,
        Err(doom) => return Ok(doom),
    };
    let current = hub.current(object).await.map_err(|error| unseen(&error))?;
    Ok(WorkloadAnswer::Ready { saw, replicas: current.and_then(|object| replicas(&object)) })
}

/// As [`present`], of all objects that are there once there is one.
async fn every(claim: &Workload, kind: &ObjectRef, site: &Site<'_>) -> Result<WorkloadAnswer, Unseen> {
    let named = |objects: &[Arc<DynamicObject>]| {
        if objects.is_empty() {
            site.notes.stands(claim.judge(&WorkloadAnswer::Gone));
            return None;
        }
        let name = |object: &Arc<DynamicObject>| object.metadata.name.clone().unwrap_or_default();
        Some(objects.iter().map(|object| ObjectRef { name: name(object), ..kind.clone() }).collect::<Vec<_>>())
    };
    let hub = &site.prober.hub;
    let all = hub.until(&kind.resource, kind.namespace.as_deref(), named).await.map_err(|error| unseen(&error))?;
    Ok(match settled(claim, &all, site).await? {
        Ok(saw) => WorkloadAnswer::Ready { saw, replicas: u32::try_from(all.len()).ok() },
        Err(doom) => doom,
    })
}

/// Waits until all of them are ready, and says what shows it; or what dooms one.
async fn settled(
    claim: &Workload,
    objects: &[ObjectRef],
    site: &Site<'_>,
) -> Result<Result<String, WorkloadAnswer>, Unseen> {
    let stands = |on: &str| site.notes.stands(claim.judge(&WorkloadAnswer::Waiting { on: on.to_owned() }));
    let settled = site.prober.hub.settle_telling(objects, stands).await.map_err(|error| unseen(&error))?;
    Ok(settled.map_err(|doom| WorkloadAnswer::Doomed { why: doom.why, details: doom.details }))
}

/// The ready replicas as the kind counts them; a count of zero is left out by the API.
fn replicas(object: &DynamicObject) -> Option<u32> {
    let status = object.data.get("status")?;
    let count = |field: &str| status.get(field).map(|count| count.as_u64().unwrap_or_default());
    let ready = count("readyReplicas").or_else(|| count("numberReady"));
    let ready = ready.or_else(|| count("replicas").map(|_| 0))?;
    u32::try_from(ready).ok()
}

async fn absent(claim: &Workload, object: &ObjectRef, site: &Site<'_>) -> Result<WorkloadAnswer, Unseen> {
    let hub = &site.prober.hub;
    if let Some(namespace) = &object.namespace
        && !exists(hub, namespace).await?
    {
        return match claim.expect {
            Absence::AbsentWithItsKind => Ok(WorkloadAnswer::Gone),
            Absence::Present | Absence::Absent => {
                Err(Unseen(format!("there is no namespace {namespace} for {object} to be absent from")))
            }
        };
    }
    let gone = |objects: &[_]| match if claim.is_every() { objects.first() } else { object.among(objects) } {
        None => Some(WorkloadAnswer::Gone),
        Some(found) => {
            site.notes.stands(claim.judge(&WorkloadAnswer::There { how: hold(found) }));
            None
        }
    };
    hub.until(&object.resource, object.namespace.as_deref(), gone).await.map_err(|error| unseen(&error))
}

async fn exists(hub: &Hub, namespace: &str) -> Result<bool, Unseen> {
    let served = hub.resource("Namespace").await.map_err(|error| unseen(&error))?;
    let namespace = ObjectRef { resource: served.resource, namespace: None, name: namespace.to_owned() };
    let found = hub.current(&namespace).await.map_err(|error| unseen(&error))?;
    Ok(found.is_some())
}

/// What keeps an object that should be gone.
fn hold(object: &DynamicObject) -> String {
    match (&object.metadata.deletion_timestamp, object.metadata.finalizers.as_deref()) {
        (None, _) => "and nobody has deleted it".to_owned(),
        (Some(_), None | Some([])) => "being deleted".to_owned(),
        (Some(_), Some(finalizers)) => format!("being deleted, held by {}", finalizers.join(", ")),
    }
}

fn unseen(error: &WatchError) -> Unseen {
    Unseen(chain(error))
}
