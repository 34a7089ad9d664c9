//! Taking away what a run created in a cluster that stays: found by its mark, so it works for a run that was killed too.
//!
//! Nothing that cannot be removed keeps the rest from being removed; everything that stays is named.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PartialObjectMeta, Preconditions};
use kube::discovery::{Discovery, Scope, verbs};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt as _};
use tokio::time::timeout;

use super::apply::{self, Applier, Obstacle};
use super::{InstallError, Installer, Target, claims, render};
use crate::k8s::RUN_LABEL;
use crate::kinds;
use crate::manifest;
use crate::number::count;
use crate::ports::{Done, Notes};
use crate::watch::ObjectRef;

/// One thing to be removed.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) object: ObjectRef,
    pub(super) uid: String,
}

/// What is removed together, in the order of this type: kinds go after their objects, namespaces last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wave {
    Objects,
    Crds,
    Namespaces,
}

impl Wave {
    /// How long something may take to go before the rest is seen to; all three end within a teardown.
    const fn patience(self) -> Duration {
        Duration::from_secs(match self {
            Self::Objects | Self::Crds => 40,
            Self::Namespaces => 80,
        })
    }
}

/// A release that this run has made.
struct Release {
    namespace: String,
    name: String,
    /// When its first record was written.
    since: Option<Time>,
}

/// Takes away what this run has made, `installed` among it, with the claims of its StatefulSets. Goes on where something
/// cannot be removed: what is left comes back beside what was done.
pub(super) async fn everything(
    installer: &Installer,
    cluster: &Target,
    installed: &[ObjectRef],
    notes: &Notes,
) -> (Done, Vec<InstallError>) {
    let mut claimed = claims::of(&cluster.client, installed).await;
    let (mut left, mut found) = (Vec::new(), Vec::new());
    let releases = releases(installer, &cluster.client).await.unwrap_or_else(|error| {
        left.push(error);
        Vec::new()
    });
    for release in releases.iter().rev() {
        notes.waiting(format!("helm uninstalls {}", release.name));
        match uninstall(installer, cluster, release, notes).await {
            Ok(hooks) => found.extend(hooks),
            Err(error) => left.push(error),
        }
    }
    match marked(installer, &cluster.client).await {
        Ok((marked, unlisted)) => {
            found.extend(marked);
            left.extend(unlisted);
        }
        Err(error) => left.push(error),
    }
    let mut waves: BTreeMap<Wave, BTreeMap<String, Marked>> = BTreeMap::new();
    for marked in found {
        waves.entry(wave(&marked)).or_default().insert(marked.uid.clone(), marked);
    }
    let mut objects = 0;
    for wave in [Wave::Objects, Wave::Crds, Wave::Namespaces] {
        let marked = waves.remove(&wave).unwrap_or_default().into_values().collect();
        left.extend(gone(&cluster.client, wave, marked, notes, &mut objects).await);
        if wave == Wave::Objects {
            let orphaned = claims::orphaned(&cluster.client, std::mem::take(&mut claimed)).await;
            left.extend(gone(&cluster.client, wave, orphaned, notes, &mut objects).await);
        }
    }
    (Done::saying(format!("removed {} and {}", count(releases.len(), "release"), count(objects, "object"))), left)
}

/// Takes a release away, and says which of its hooks stay: helm counts what a hook made to no release.
async fn uninstall(
    installer: &Installer,
    cluster: &Target,
    release: &Release,
    notes: &Notes,
) -> Result<Vec<Marked>, InstallError> {
    let (name, namespace) = (&release.name, &release.namespace);
    let text = installer.helm.hooks(&cluster.access, name, namespace).await?;
    installer.helm.uninstall(&cluster.access, name, namespace).await?;
    let applier = Applier::new(cluster, namespace, &installer.run, notes);
    let mut stay = Vec::new();
    for written in render::read(name, &text)? {
        let object = written.object;
        let title = manifest::title(&object);
        if object.annotations().get("helm.sh/resource-policy").is_some_and(|policy| policy == "keep") {
            continue;
        }
        let look = || async {
            let kind = applier.kind(&object).await?;
            let there = kind.endpoint(applier.client, &object, namespace).get_metadata_opt(&object.name_any()).await?;
            Ok::<_, Obstacle>((apply::reference(&kind, &object, namespace), there))
        };
        let (object, there) = applier.persist(&title, look).await?;
        // What was there before the release is not of its making: a hook whose moment never came has made nothing.
        let ours = there.filter(|there| there.metadata.creation_timestamp >= release.since);
        stay.extend(ours.and_then(|there| Some(Marked { object, uid: there.metadata.uid? })));
    }
    Ok(stay)
}

/// Releases whose first revision is this run's, oldest first. One that was there before is not ours to remove.
async fn releases(installer: &Installer, client: &Client) -> Result<Vec<Release>, InstallError> {
    let records: Api<Secret> = Api::all(client.clone());
    let ours = ListParams::default().labels(&format!("owner=helm,version=1,{RUN_LABEL}={}", installer.run));
    let mut found = records.list_metadata(&ours).await.map_err(|source| asking("the run's releases", source))?.items;
    // Times have whole seconds; within one the versions of the records tell which came first.
    let version = |record: &PartialObjectMeta<Secret>| record.metadata.resource_version.as_ref()?.parse::<u64>().ok();
    found.sort_by_key(|record| (record.metadata.creation_timestamp.clone().map(|at| at.0), version(record)));
    let named = |labels: &BTreeMap<String, String>| labels.get("name").cloned();
    let release = |record: PartialObjectMeta<Secret>| {
        let ObjectMeta { namespace, labels, creation_timestamp: since, .. } = record.metadata;
        Some(Release { namespace: namespace?, name: named(&labels?)?, since })
    };
    Ok(found.into_iter().filter_map(release).collect())
}

/// Every object of any kind that carries the run's mark, and the kinds that could not be asked for it.
async fn marked(installer: &Installer, client: &Client) -> Result<(Vec<Marked>, Vec<InstallError>), InstallError> {
    // One request, and a group whose server is down does not hide the others; servers before 1.26 do not know it.
    let discovery = match Discovery::new(client.clone()).run_aggregated().await {
        Ok(discovery) => discovery,
        Err(_) => Discovery::new(client.clone()).run().await.map_err(|source| asking("the kinds it serves", source))?,
    };
    let kinds = discovery.groups().flat_map(kube::discovery::ApiGroup::recommended_resources);
    let removable =
        kinds.filter(|(_, able)| able.supports_operation(verbs::LIST) && able.supports_operation(verbs::DELETE));
    let ours = ListParams::default().labels(&format!("{RUN_LABEL}={}", installer.run));
    let lists = removable.map(|(resource, able)| {
        let ours = &ours;
        async move {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let found = match api.list_metadata(ours).await {
                Ok(list) => list.items,
                // We have applied no object of a kind that we may not list, that is gone, or whose own server is away.
                Err(kube::Error::Api(status)) if [403, 404, 405, 503].contains(&status.code) => Vec::new(),
                Err(source) => return Err(asking(&format!("what there is of {}", resource.kind), source)),
            };
            let spaced = able.scope == Scope::Namespaced;
            let each = found.into_iter().filter(|object| !derived(&object.metadata)).filter_map(move |object| {
                let namespace = object.metadata.namespace.filter(|_| spaced);
                let reference = ObjectRef { resource: resource.clone(), namespace, name: object.metadata.name? };
                Some(Marked { object: reference, uid: object.metadata.uid? })
            });
            Ok(each.collect::<Vec<_>>())
        }
    });
    let (mut found, mut unlisted) = (Vec::new(), Vec::new());
    for list in join_all(lists).await {
        match list {
            Ok(list) => found.extend(list),
            Err(error) => unlisted.push(error),
        }
    }
    Ok((found, unlisted))
}

/// Whether a controller made it for an object that it goes with, and gave it that one's labels: a Service's EndpointSlice.
fn derived(metadata: &ObjectMeta) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true))
}

fn wave(marked: &Marked) -> Wave {
    match marked.object.resource.kind.as_str() {
        "Namespace" => Wave::Namespaces,
        "CustomResourceDefinition" => Wave::Crds,
        _ => Wave::Objects,
    }
}

/// Deletes them side by side and waits until each is gone; counts those, and returns why the others stay.
async fn gone(client: &Client, wave: Wave, marked: Vec<Marked>, notes: &Notes, count: &mut usize) -> Vec<InstallError> {
    if marked.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = marked.iter().map(title).collect();
    notes.waiting(format!("{} to be gone", names.join(", ")));
    let deleted = join_all(marked.iter().map(|marked| delete(client, marked, wave.patience()))).await;
    let stay: Vec<InstallError> = deleted.into_iter().filter_map(Result::err).collect();
    *count += marked.len() - stay.len();
    stay
}

async fn delete(client: &Client, marked: &Marked, patience: Duration) -> Result<(), InstallError> {
    let Marked { object, uid } = marked;
    let title = title(marked);
    let api: Api<DynamicObject> = kinds::endpoint(client, &object.resource, object.namespace.as_deref());
    let this = Preconditions { uid: Some(uid.clone()), resource_version: None };
    match api.delete(&object.name, &DeleteParams::background().preconditions(this)).await {
        Ok(_) => {}
        // Gone already, or another object by the same name, which is not ours.
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => return Ok(()),
        Err(source) => return Err(InstallError::Api { deed: format!("delete {title}"), source: Box::new(source) }),
    }
    match timeout(patience, await_condition(api.clone(), &object.name, conditions::is_deleted(uid))).await {
        Ok(waited) => {
            waited.map(drop).map_err(|error| InstallError::Nothing(format!("cannot see {title} go: {error}")))
        }
        Err(_) => {
            let held = api.get(&object.name).await.map_or_else(|error| error.to_string(), |object| holding(&object));
            Err(InstallError::Nothing(format!("{title} is still there {patience:?} after its deletion: {held}")))
        }
    }
}

/// What keeps an object that is being deleted: of a namespace its own words, else its finalizers.
fn holding(object: &DynamicObject) -> String {
    let conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
    let remaining = conditions.filter(|condition| condition["status"] == "True");
    let words: Vec<&str> = remaining.filter_map(|condition| condition["message"].as_str()).collect();
    let is_namespace = manifest::is(object, "", "Namespace");
    if is_namespace && !words.is_empty() {
        words.join("; ")
    } else {
        format!("its finalizers are {}", object.finalizers().join(", "))
    }
}

fn title(Marked { object, .. }: &Marked) -> String {
    match &object.namespace {
        Some(namespace) => format!("{} {namespace}/{}", object.resource.kind, object.name),
        None => format!("{} {}", object.resource.kind, object.name),
    }
}

fn asking(what: &str, source: kube::Error) -> InstallError {
    InstallError::Api { deed: format!("ask the API server for {what}"), source: Box::new(source) }
}
