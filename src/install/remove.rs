//! Taking away what a run created in a cluster that stays: found by its mark, so it works for a run that was killed too.

use std::collections::BTreeMap;

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Preconditions};
use kube::discovery::{Discovery, Scope, verbs};
use kube::runtime::wait::{await_condition, conditions};

use super::{InstallError, Installer, Target};
use crate::k8s::RUN_LABEL;
use crate::ports::{Done, Notes};
use crate::watch::ObjectRef;

/// One thing to be removed, in the order of this type: kinds go after their objects, namespaces last.
#[derive(Debug)]
struct Marked {
    object: ObjectRef,
    uid: String,
}

pub(super) async fn everything(installer: &Installer, cluster: &Target, notes: &Notes) -> Result<Done, InstallError> {
    let releases = releases(installer, &cluster.client).await?;
    for (namespace, name) in releases.iter().rev() {
        notes.waiting(format!("helm uninstalls {name}"));
        installer.helm.uninstall(&cluster.access, name, namespace).await?;
    }
    let mut waves: BTreeMap<u8, Vec<Marked>> = BTreeMap::new();
    for marked in marked(installer, &cluster.client).await? {
        waves.entry(wave(&marked)).or_default().push(marked);
    }
    let mut count = 0;
    for wave in waves.into_values() {
        count += wave.len();
        gone(&cluster.client, &wave, notes).await?;
    }
    Ok(Done::saying(format!("removed {} releases and {count} objects", releases.len())))
}

/// Releases whose first revision is this run's, oldest first. One that was there before is not ours to remove.
async fn releases(installer: &Installer, client: &Client) -> Result<Vec<(String, String)>, InstallError> {
    let records: Api<Secret> = Api::all(client.clone());
    let ours = ListParams::default().labels(&format!("owner=helm,version=1,{RUN_LABEL}={}", installer.run));
    let mut found = records.list_metadata(&ours).await.map_err(|source| asking("the run's releases", source))?.items;
    found.sort_by_key(|record| record.metadata.creation_timestamp.clone().map(|at| at.0));
    let named = |labels: &BTreeMap<String, String>| labels.get("name").cloned();
    Ok(found
        .into_iter()
        .filter_map(|record| Some((record.metadata.namespace?, named(record.metadata.labels.as_ref()?)?)))
        .collect())
}

/// Every object of any kind that carries the run's mark.
async fn marked(installer: &Installer, client: &Client) -> Result<Vec<Marked>, InstallError> {
    let discovery =
        Discovery::new(client.clone()).run().await.map_err(|source| asking("the kinds it serves", source))?;
    let kinds = discovery.groups().flat_map(kube::discovery::ApiGroup::recommended_resources);
    let removable =
        kinds.filter(|(_, able)| able.supports_operation(verbs::LIST) && able.supports_operation(verbs::DELETE));
    let ours = ListParams::default().labels(&format!("{RUN_LABEL}={}", installer.run));
    let lists = removable.map(|(resource, able)| {
        let ours = &ours;
        async move {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            // A kind that cannot be listed has nothing of ours: we have applied no object of it.
            let found = api.list_metadata(ours).await.map_or_else(|_| Vec::new(), |list| list.items);
            let spaced = able.scope == Scope::Namespaced;
            let each = found.into_iter().filter(|object| !derived(&object.metadata)).filter_map(move |object| {
                let namespace = object.metadata.namespace.filter(|_| spaced);
                let reference = ObjectRef { resource: resource.clone(), namespace, name: object.metadata.name? };
                Some(Marked { object: reference, uid: object.metadata.uid? })
            });
            each.collect::<Vec<_>>()
        }
    });
    Ok(join_all(lists).await.into_iter().flatten().collect())
}

/// Whether a controller made it for an object that it goes with, and gave it that one's labels: a Service's EndpointSlice.
fn derived(metadata: &ObjectMeta) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true))
}

fn wave(marked: &Marked) -> u8 {
    match marked.object.resource.kind.as_str() {
        "Namespace" => 2,
        "CustomResourceDefinition" => 1,
        _ => 0,
    }
}

/// Deletes them side by side and waits until each is gone.
async fn gone(client: &Client, wave: &[Marked], notes: &Notes) -> Result<(), InstallError> {
    let names: Vec<String> =
        wave.iter().map(|one| format!("{} {}", one.object.resource.kind, one.object.name)).collect();
    notes.waiting(format!("{} to be gone", names.join(", ")));
    try_join_all(wave.iter().map(|marked| delete(client, marked))).await.map(drop)
}

async fn delete(client: &Client, Marked { object, uid }: &Marked) -> Result<(), InstallError> {
    let title = format!("{} {}", object.resource.kind, object.name);
    let api: Api<DynamicObject> = match &object.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &object.resource),
        None => Api::all_with(client.clone(), &object.resource),
    };
    let this = Preconditions { uid: Some(uid.clone()), resource_version: None };
    match api.delete(&object.name, &DeleteParams::background().preconditions(this)).await {
        Ok(_) => {}
        // Gone already, or another object by the same name, which is not ours.
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => return Ok(()),
        Err(source) => return Err(asking(&title, source)),
    }
    let waited = await_condition(api, &object.name, conditions::is_deleted(uid)).await;
    waited.map(drop).map_err(|error| InstallError::Nothing(format!("cannot see {title} go: {error}")))
}

fn asking(what: &str, source: kube::Error) -> InstallError {
    InstallError::Api { deed: format!("ask the API server for {what}"), source: Box::new(source) }
}
