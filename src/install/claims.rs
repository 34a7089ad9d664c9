//! What StatefulSets leave behind: the claims of their pods, which neither helm nor an owner takes away with them.

use futures::future::join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, ApiResource, ListParams, ObjectMeta};
use kube::{Client, ResourceExt as _};

use super::remove::Marked;
use crate::watch::ObjectRef;

/// A StatefulSet with the claims that it has had made.
pub(super) struct Claimed {
    set: StatefulSet,
    claims: Vec<Marked>,
}

/// The claims of those of these objects that are StatefulSets, for as long as they are there to tell. What cannot be seen
/// is not removed.
pub(super) async fn of(client: &Client, objects: &[ObjectRef]) -> Vec<Claimed> {
    let sets = objects.iter().filter(|object| object.resource.kind == "StatefulSet");
    let each = sets.filter_map(|set| Some(claimed(client, set.namespace.as_deref()?, &set.name)));
    join_all(each).await.into_iter().flatten().collect()
}

/// The claims whose StatefulSet is gone: no longer used, and made for it alone.
pub(super) async fn orphaned(client: &Client, claimed: Vec<Claimed>) -> Vec<Marked> {
    let each = claimed.into_iter().map(|Claimed { set, claims }| async move {
        let sets: Api<StatefulSet> = Api::namespaced(client.clone(), &set.namespace().unwrap_or_default());
        let there = sets.get_metadata_opt(&set.name_any()).await.ok()?;
        let is_there = there.is_some_and(|it| it.metadata.uid == set.uid() && it.metadata.deletion_timestamp.is_none());
        (!is_there).then_some(claims)
    });
    join_all(each).await.into_iter().flatten().flatten().collect()
}

async fn claimed(client: &Client, namespace: &str, name: &str) -> Option<Claimed> {
    let set = Api::<StatefulSet>::namespaced(client.clone(), namespace).get_opt(name).await.ok()??;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let claims = claims.list_metadata(&ListParams::default()).await.ok()?.items;
    let claims = claims.into_iter().map(|claim| claim.metadata).filter(|claim| is_made_for(claim, &set));
    let marked = claims.filter_map(|claim| {
        let resource = ApiResource::erase::<PersistentVolumeClaim>(&());
        let object = ObjectRef { resource, namespace: claim.namespace, name: claim.name? };
        Some(Marked { object, uid: claim.uid? })
    });
    let claims = marked.collect();
    Some(Claimed { set, claims })
}

/// Whether the controller has made this claim for a pod of the set: named `<template>-<set>-<ordinal>`, and no older than
/// the set is. An older one was kept from a set before, and is somebody's data (kubernetes `stateful_set_utils.go`,
/// `getPersistentVolumeClaimName`).
fn is_made_for(claim: &ObjectMeta, set: &StatefulSet) -> bool {
    let templates = set.spec.volume_claim_templates.iter().flatten();
    let mut ordinals = templates.filter_map(|template| {
        claim.name.as_deref()?.strip_prefix(&format!("{}-{}-", template.name_any(), set.name_any()))
    });
    ordinals.any(|ordinal| ordinal.parse::<u32>().is_ok())
        && claim.creation_timestamp >= set.metadata.creation_timestamp
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_a_sets_by_its_name_and_its_age() {
        let set: StatefulSet = serde_json::from_value(json!({
            "metadata": { "name": "db", "creationTimestamp": "2026-01-01T00:01:00Z" },
            "spec": {
                "serviceName": "db", "selector": {}, "template": {},
                "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": {} }],
            },
        }))
        .unwrap();
        let is_its = |name: &str, made: &str| {
            let claim = json!({ "name": name, "creationTimestamp": format!("2026-01-01T00:{made}Z") });
            is_made_for(&serde_json::from_value(claim).unwrap(), &set)
        };
        assert!(is_its("data-db-0", "01:00") && is_its("data-db-12", "02:00"));
        assert!(!is_its("data-db-0", "00:59"), "kept from before");
        for other in ["data-db", "data-db-x", "data-db2-0", "logs-db-0", "x-data-db-0"] {
            assert!(!is_its(other, "02:00"), "{other}");
        }
    }
}
