//! Twin of `checks/workload.rs`: a wait on one object.

use std::sync::Arc;

use kube::ResourceExt as _;
use kube::api::DynamicObject;

use super::{Site, Unseen};
use crate::checks::{Absence, Claim, EVERY, Workload, WorkloadAnswer};
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
    if claim.name == EVERY {
        return every(claim, object, site).await;
    }
    let stands = |on: &str| site.notes.stands(claim.judge(&WorkloadAnswer::Waiting { on: on.to_owned() }));
    match hub.settle_telling(std::slice::from_ref(object), stands).await {
        Ok(Ok(saw)) => {
            let current = hub.current(object).await.map_err(|error| unseen(&error))?;
            Ok(WorkloadAnswer::Ready { saw, replicas: current.and_then(|now| replicas(object, &now)) })
        }
        Ok(Err(doom)) => Ok(WorkloadAnswer::Doomed { why: doom.why, details: doom.details }),
        Err(error) => Err(unseen(&error)),
    }
}

/// Waits until there is one at least, and then for all that are there.
async fn every(claim: &Workload, kind: &ObjectRef, site: &Site<'_>) -> Result<WorkloadAnswer, Unseen> {
    let hub = &site.prober.hub;
    let stands = |on: &str| site.notes.stands(claim.judge(&WorkloadAnswer::Waiting { on: on.to_owned() }));
    let some = |objects: &[Arc<DynamicObject>]| {
        if objects.is_empty() {
            stands(&format!("there is no {}", claim.kind));
            return None;
        }
        Some(objects.iter().map(|object| ObjectRef { name: object.name_any(), ..kind.clone() }).collect::<Vec<_>>())
    };
    let all = hub.until(&kind.resource, kind.namespace.as_deref(), some).await.map_err(|error| unseen(&error))?;
    match hub.settle_telling(&all, stands).await.map_err(|error| unseen(&error))? {
        Ok(saw) => Ok(match idle(&all, hub).await? {
            Some(object) => WorkloadAnswer::Ready { saw: format!("{object} has no pods"), replicas: Some(0) },
            None => WorkloadAnswer::Ready { saw, replicas: None },
        }),
        Err(doom) => Ok(WorkloadAnswer::Doomed { why: doom.why, details: doom.details }),
    }
}

/// One of those that are ready since nothing of them is to run. Of a Deployment's ReplicaSets only the newest has pods.
async fn idle<'o>(all: &'o [ObjectRef], hub: &Hub) -> Result<Option<&'o ObjectRef>, Unseen> {
    for object in all.iter().filter(|object| object.resource.kind != "ReplicaSet") {
        let now = hub.current(object).await.map_err(|error| unseen(&error))?;
        if now.and_then(|now| replicas(object, &now)) == Some(0) {
            return Ok(Some(object));
        }
    }
    Ok(None)
}

/// The ready replicas as the kind counts them; built-in kinds leave a count of zero out. Strimzi counts how many pods there are, and
/// none that are ready (`api/src/main/java/io/strimzi/api/kafka/model/nodepool/KafkaNodePoolStatus.java`).
fn replicas(object: &ObjectRef, now: &DynamicObject) -> Option<u32> {
    let status = now.data.get("status")?;
    let count = |field: &str| status.get(field).map(|count| count.as_u64().unwrap_or_default());
    let ready = count("readyReplicas").or_else(|| count("numberReady"));
    let group = object.resource.group.as_str();
    let left_out = group == "apps" || (group != "kafka.strimzi.io" && count("replicas").is_some());
    u32::try_from(ready.or_else(|| left_out.then_some(0))?).ok()
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
    let found = |objects: &[Arc<DynamicObject>]| match claim.name.as_str() {
        EVERY => objects.first().cloned(),
        _ => object.among(objects).cloned(),
    };
    let gone = |objects: &[_]| match found(objects) {
        None => Some(WorkloadAnswer::Gone),
        Some(found) => {
            site.notes.stands(claim.judge(&WorkloadAnswer::There { name: found.name_any(), how: hold(&found) }));
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

#[cfg(test)]
mod tests {
    use kube::api::{ApiResource, GroupVersionKind};
    use serde_json::json;

    use super::*;

    fn counted(group: &str, status: &serde_json::Value) -> Option<u32> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", "Thing"));
        let mut now = DynamicObject::new("x", &resource);
        now.data = json!({ "status": status });
        let namespace = Some("data".to_owned());
        replicas(&ObjectRef { resource, namespace, name: "x".to_owned() }, &now)
    }

    #[test]
    fn who_counts_no_ready_replicas_is_not_taken_to_have_none() {
        let three = json!({ "replicas": 3 });
        assert_eq!(counted("kafka.strimzi.io", &three), None);
        assert_eq!((counted("apps", &three), counted("argoproj.io", &three)), (Some(0), Some(0)));
        let ready = json!({ "replicas": 3, "readyReplicas": 2 });
        assert_eq!((counted("apps", &ready), counted("kafka.strimzi.io", &ready)), (Some(2), Some(2)));
        assert_eq!(counted("kafka.strimzi.io", &json!({ "conditions": [] })), None);
    }
}
