//! CustomResourceDefinitions: created side by side, applied only where they differ, and served before anyone uses them.
//!
//! - Why not apply all: a plain create is cheaper for the API server than a server-side apply, and 33 real CRDs weigh 6.5 MB.
//! - Why not Established: the API server builds a kind's storage at the first request to it. Asking every new endpoint as
//!   soon as its CRD stirs builds them side by side, and before the first user has to wait for it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use hyper::header::{ACCEPT, HeaderValue};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionCondition, CustomResourceDefinitionStatus,
};
use kube::Client;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Object, ObjectMeta, PartialObjectMeta, Request,
    TypeMeta, WatchEvent, WatchParams,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::apply::{Applier, Change, Obstacle, SIDE_BY_SIDE, told};
use super::{InstallError, Installed, apply};
use crate::complaint;
use crate::manifest;
use crate::number::count;
use crate::ports::{Done, Notes, Trouble};
use crate::secrets::Secrets;
use crate::watch::ObjectRef;

/// How long a CRD's next change is waited for before its endpoint is asked again without one: at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// An answer without spec and status (apimachinery `meta/v1`, `PartialObjectMetadata`).
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// A CRD as it is created, not copied for its mark.
#[derive(Serialize)]
struct Marked<'a> {
    #[serde(flatten)]
    types: &'a Option<TypeMeta>,
    metadata: ObjectMeta,
    #[serde(flatten)]
    data: &'a Value,
}

/// A CRD without its schemas, which are most of it.
type Lean = Object<Nothing, CustomResourceDefinitionStatus>;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Nothing {}

/// Brings CRDs in: creates what is absent, applies what differs, leaves the rest alone.
pub(super) async fn install(applier: &Applier<'_>, crds: &[DynamicObject]) -> Result<Installed, InstallError> {
    let api: Api<DynamicObject> = Api::all_with(applier.client.clone(), &resource());
    let list = applier.persist("CustomResourceDefinitions", || async {
        Ok::<_, Obstacle>(api.list_metadata(&ListParams::default()).await?)
    });
    let there: BTreeSet<String> = list.await?.items.into_iter().filter_map(|crd| crd.metadata.name).collect();
    let each: Vec<_> = crds.iter().map(|crd| one(applier, &api, crd, &there)).collect();
    Ok(told(stream::iter(each).buffer_unordered(SIDE_BY_SIDE).try_collect().await?))
}

async fn one(
    applier: &Applier<'_>,
    api: &Api<DynamicObject>,
    crd: &DynamicObject,
    there: &BTreeSet<String>,
) -> Result<(Change, ObjectRef), InstallError> {
    let title = manifest::title(crd);
    let reference = ObjectRef { resource: resource(), namespace: None, name: name(crd).to_owned() };
    if !there.contains(name(crd)) && applier.persist(&title, || create(applier, api, crd)).await? {
        return Ok((Change::Created, reference));
    }
    let live = applier.persist(&title, || async { Ok::<_, Obstacle>(api.get_opt(name(crd)).await?) }).await?;
    let going = live.as_ref().is_some_and(|live| live.metadata.deletion_timestamp.is_some());
    match live.filter(|live| !going && same(live, crd)) {
        Some(_) => Ok((Change::Unchanged, reference)),
        None => applier.one(crd).await,
    }
}

/// Creates it; `false` where it is there already. The API server is asked to answer with the metadata alone: its answer
/// would be the whole CRD once more.
async fn create(applier: &Applier<'_>, api: &Api<DynamicObject>, crd: &DynamicObject) -> Result<bool, Obstacle> {
    let marked = Marked { types: &crd.types, metadata: applier.marked(&crd.metadata, None), data: &crd.data };
    let body = serde_json::to_vec(&marked).map_err(kube::Error::SerdeError)?;
    let request = Request::new(api.resource_url()).create(&apply::ours(), body);
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(METADATA));
    match applier.client.request::<PartialObjectMeta<DynamicObject>>(request).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether what is there is what is wanted, what the API server fills in left aside. A wrong `false` only costs an apply.
fn same(live: &DynamicObject, wanted: &DynamicObject) -> bool {
    let covers = |live: &Option<BTreeMap<String, String>>, wanted: &Option<BTreeMap<String, String>>| {
        let live = live.clone().unwrap_or_default();
        wanted.iter().flatten().all(|(key, value)| live.get(key) == Some(value))
    };
    let mut spec = live.data["spec"].clone();
    let wish = &wanted.data["spec"];
    for (parent, key) in [("", "/conversion"), ("/names", "/listKind"), ("/names", "/singular")] {
        if wish.pointer(&format!("{parent}{key}")).is_none()
            && let Some(Value::Object(fields)) = spec.pointer_mut(parent)
        {
            fields.remove(&key[1..]);
        }
    }
    covers(&live.metadata.labels, &wanted.metadata.labels)
        && covers(&live.metadata.annotations, &wanted.metadata.annotations)
        && spec == *wish
}

/// Waits until the endpoint of every version that these CRDs serve answers. Bounded by the caller.
///
/// # Errors
/// Where the API server refuses a CRD's names, or refuses to be asked.
pub async fn await_served(client: &Client, crds: &[DynamicObject], notes: &Notes) -> Result<Done, Trouble> {
    served(client, crds, notes).await.map_err(|error| error.trouble(&Secrets::default()))
}

pub(super) async fn served(client: &Client, crds: &[DynamicObject], notes: &Notes) -> Result<Done, InstallError> {
    let stirred: BTreeMap<&str, Notify> = crds.iter().map(|crd| (name(crd), Notify::new())).collect();
    let total = count(stirred.len(), "CRD");
    notes.waiting(format!("{total}: the API server to serve them"));
    let unserved = Unserved::new(&total, stirred.keys().copied(), notes);
    let each: Vec<_> = crds.iter().map(|crd| answers(client, crd, &stirred[name(crd)], &unserved)).collect();
    let all = async {
        stream::iter(each).buffer_unordered(64).try_collect::<()>().await?;
        Ok(Done::saying(format!("{total} served")))
    };
    tokio::select! {
        done = all => done,
        never = stir(client, &stirred) => match never {},
    }
}

/// The CRDs that are still waited for, each with what the API server said of it last.
struct Unserved<'a> {
    total: &'a str,
    left: Mutex<BTreeMap<&'a str, Option<String>>>,
    notes: &'a Notes,
}

impl<'a> Unserved<'a> {
    fn new(total: &'a str, names: impl Iterator<Item = &'a str>, notes: &'a Notes) -> Self {
        Self { total, left: Mutex::new(names.map(|name| (name, None)).collect()), notes }
    }

    fn served(&self, name: &str) {
        self.change(|left| drop(left.remove(name)));
    }

    fn failed(&self, name: &'a str, error: &kube::Error) {
        let said = if let kube::Error::Api(status) = error {
            if status.code == 404 {
                // That it is not there yet is what is waited for, and says nothing that is not known.
                return;
            }
            status.message.clone()
        } else {
            complaint::chain(error)
        };
        self.stands(name, format!("which says: {said}"));
    }

    fn stands(&self, name: &'a str, how: String) {
        self.change(|left| drop(left.insert(name, Some(how))));
    }

    /// Changes what is waited for and tells it: one CRD in all their place, best one of which something is known.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<&'a str, Option<String>>)) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut left);
        let Some((name, said)) = left.iter().find(|(_, said)| said.is_some()).or_else(|| left.first_key_value()) else {
            return;
        };
        let why = said.as_ref().map_or(String::new(), |said| format!(", {said}"));
        self.notes.waiting(format!("{} of {}: the API server to serve {name}{why}", left.len(), self.total));
    }
}

/// Wakes whoever waits for a CRD each time that it changes, for as long as it is let. Only metadata is watched, and only
/// from now on: 33 real CRDs weigh 6.5 MB, which the API server would read and write while it has better things to do.
async fn stir(client: &Client, stirred: &BTreeMap<&str, Notify>) -> Infallible {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    loop {
        // Whoever waits asks now and then by itself as well: what keeps us from watching passes, or is what it is told.
        let now = api.list_metadata(&ListParams::default().limit(1)).await;
        let version = now.ok().and_then(|list| list.metadata.resource_version).unwrap_or_default();
        if let Ok(changes) = api.watch_metadata(&WatchParams::default(), &version).await {
            stirred.values().for_each(Notify::notify_one);
            let mut changes = pin!(changes);
            while let Some(change) = changes.next().await {
                wake(stirred, change);
            }
        }
        sleep(PAUSES.1).await;
    }
}

fn wake(
    stirred: &BTreeMap<&str, Notify>,
    change: kube::Result<WatchEvent<PartialObjectMeta<CustomResourceDefinition>>>,
) {
    if let Ok(WatchEvent::Added(crd) | WatchEvent::Modified(crd)) = change
        && let Some(waiting) = stirred.get(name(&crd))
    {
        waiting.notify_one();
    }
}

/// Asks every version of the kind, again whenever the CRD has changed, until all answer.
async fn answers<'a>(
    client: &Client,
    crd: &'a DynamicObject,
    stirred: &Notify,
    unserved: &Unserved<'a>,
) -> Result<(), InstallError> {
    let endpoints = endpoints(client, crd);
    if endpoints.is_empty() {
        let why = "it serves no version".to_owned();
        return Err(InstallError::NotEstablished { crd: name(crd).to_owned(), why });
    }
    let mut pause = PAUSES.0;
    while let Err(error) = try_join_all(endpoints.iter().map(answer)).await {
        // Whoever may not list cannot know; what the CRD says of itself must do.
        if matches!(&error, kube::Error::Api(status) if status.code == 403) && is_established(client, name(crd)).await {
            break;
        }
        unserved.failed(name(crd), &error);
        match timeout(pause, stirred.notified()).await {
            Ok(()) => pause = PAUSES.0,
            // For so long nothing has happened to it that perhaps nothing will.
            Err(_) if pause == PAUSES.1 => {
                standing(client, name(crd)).await?.into_iter().for_each(|how| unserved.stands(name(crd), how));
            }
            Err(_) => pause = PAUSES.1.min(pause * 2),
        }
    }
    unserved.served(name(crd));
    Ok(())
}

async fn answer(endpoint: &Api<DynamicObject>) -> kube::Result<()> {
    endpoint.list_metadata(&ListParams::default().limit(1)).await.map(drop)
}

/// The endpoint of each version that a CRD has served.
fn endpoints(client: &Client, crd: &DynamicObject) -> Vec<Api<DynamicObject>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &crd.data["spec"];
    let versions = spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == true);
    let resources = versions.map(|version| {
        let kind = GroupVersionKind::gvk(&text(&spec["group"]), &text(&version["name"]), &text(&spec["names"]["kind"]));
        ApiResource::from_gvk_with_plural(&kind, &text(&spec["names"]["plural"]))
    });
    resources.map(|resource| Api::all_with(client.clone(), &resource)).collect()
}

/// Whether a CRD says that it is served under the names that it asks for. A server that has just started may deny even that.
async fn is_established(client: &Client, name: &str) -> bool {
    let api: Api<Lean> = Api::all_with(client.clone(), &resource());
    api.get(name).await.is_ok_and(|crd| holds(&crd, "Established") && holds(&crd, "NamesAccepted"))
}

fn holds(crd: &Lean, kind: &str) -> bool {
    condition(crd, kind, "True").is_some()
}

fn condition<'a>(crd: &'a Lean, kind: &str, status: &str) -> Option<&'a CustomResourceDefinitionCondition> {
    let mut conditions = crd.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.find(|condition| condition.type_ == kind && condition.status == status)
}

/// How a CRD stands that may still come to be served; `None` where that cannot be seen now.
async fn standing(client: &Client, name: &str) -> Result<Option<String>, InstallError> {
    let api: Api<Lean> = Api::all_with(client.clone(), &resource());
    // Whatever keeps us from looking passes, or the caller's deadline ends the wait.
    let Ok(found) = api.get_opt(name).await else { return Ok(None) };
    match found.as_ref().and_then(refusal) {
        Some(why) => Err(InstallError::NotEstablished { crd: name.to_owned(), why }),
        None => Ok(Some(missing(found.as_ref()))),
    }
}

/// What there is of a CRD that is not served.
fn missing(crd: Option<&Lean>) -> String {
    let Some(crd) = crd else { return "which is not there".to_owned() };
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    match condition(crd, "Established", "False") {
        Some(so_far) => format!("which is not established: {} ({})", text(&so_far.message), text(&so_far.reason)),
        None if holds(crd, "Established") => "which is established and has no endpoint".to_owned(),
        None => "of which nobody says that it is established".to_owned(),
    }
}

/// Why a CRD is not served, in the words of its conditions (apiextensions `types.go`): its names are taken.
fn refusal(crd: &Lean) -> Option<String> {
    let taken = condition(crd, "NamesAccepted", "False")?;
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    Some(format!("{}: {}", text(&taken.reason), text(&taken.message)))
}

fn resource() -> ApiResource {
    ApiResource::erase::<CustomResourceDefinition>(&())
}

fn name<K: kube::ResourceExt>(object: &K) -> &str {
    object.meta().name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;

    const WANTED: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
        metadata: {name: widgets.example.com, labels: {a: b}}\n\
        spec: {group: example.com, names: {kind: Widget, plural: widgets}, versions: [{name: v1, schema: {a: 1}}]}\n";

    fn crd(text: &str) -> DynamicObject {
        manifest::read("x", text).unwrap().remove(0).object
    }

    /// As the API server gives it back: with what it fills in.
    fn live() -> DynamicObject {
        let mut live = crd(WANTED);
        live.metadata.uid = Some("u".to_owned());
        live.metadata.labels.get_or_insert_default().insert("seaworthy.dev/run".to_owned(), "r".to_owned());
        live.data["status"] = serde_json::json!({ "conditions": [] });
        live.data["spec"]["conversion"] = serde_json::json!({ "strategy": "None" });
        live.data["spec"]["names"]["listKind"] = "WidgetList".into();
        live.data["spec"]["names"]["singular"] = "widget".into();
        live
    }

    #[test]
    fn what_the_api_server_fills_in_is_no_difference_and_any_part_of_a_schema_is() {
        assert!(same(&live(), &crd(WANTED)));
        for (from, to) in
            [("a: 1", "a: 2"), ("{a: 1}", "{a: 1, b: 1}"), ("{a: b}", "{a: c}"), ("name: v1,", "name: v2,")]
        {
            assert!(!same(&live(), &crd(&WANTED.replace(from, to))), "{to}");
        }
        let mut more = live();
        more.data["spec"]["versions"][0]["schema"]["old"] = true.into();
        assert!(!same(&more, &crd(WANTED)), "a field that the wanted schema no longer has");
    }

    #[test]
    fn taken_names_are_a_refusal_and_an_empty_status_is_none() {
        let refusal_of = |status: Value| {
            let lean = serde_json::json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": { "name": "widgets.example.com" }, "spec": {}, "status": status,
            });
            refusal(&serde_json::from_value(lean).unwrap())
        };
        let condition = |kind: &str, status: &str| serde_json::json!({ "type": kind, "status": status, "reason": "ListKindConflict", "message": "taken" });
        let of = |conditions: Vec<Value>| refusal_of(serde_json::json!({ "conditions": conditions }));
        assert_eq!(refusal_of(Value::Null), None);
        assert_eq!(of(vec![condition("Established", "False")]), None);
        assert_eq!(of(vec![condition("NamesAccepted", "True")]), None);
        let taken = of(vec![condition("Established", "True"), condition("NamesAccepted", "False")]);
        assert_eq!(taken.as_deref(), Some("ListKindConflict: taken"));
    }

    #[test]
    fn what_a_crd_lacks_that_is_not_served_is_told() {
        let with = |conditions: Value| {
            let lean = serde_json::json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": { "name": "widgets.example.com" }, "spec": {}, "status": { "conditions": conditions },
            });
            missing(Some(&serde_json::from_value(lean).unwrap()))
        };
        let condition = |status: &str| serde_json::json!([{ "type": "Established", "status": status, "reason": "Installing", "message": "wait" }]);
        assert_eq!(missing(None), "which is not there");
        assert_eq!(with(serde_json::json!([])), "of which nobody says that it is established");
        assert_eq!(with(condition("False")), "which is not established: wait (Installing)");
        assert_eq!(with(condition("True")), "which is established and has no endpoint");
    }

    #[test]
    fn what_keeps_a_crd_from_being_served_is_told_and_that_it_is_not_there_yet_is_nothing() {
        let (notes, _kept) = fake::notes();
        let unserved = Unserved::new("2 CRDs", ["a.io", "b.io"].into_iter(), &notes);
        let error =
            |code: u16, words: &str| kube::Error::Api(kube::core::Status::failure(words, "").with_code(code).boxed());
        let told = || notes.last().note.unwrap();
        unserved.stands("a.io", missing(None));
        unserved.failed("a.io", &error(404, "the server could not find the requested resource"));
        assert_eq!(told(), "2 of 2 CRDs: the API server to serve a.io, which is not there");
        unserved.failed("b.io", &error(500, "conversion webhook for b.io failed"));
        unserved.served("a.io");
        assert_eq!(told(), "1 of 2 CRDs: the API server to serve b.io, which says: conversion webhook for b.io failed");
    }

    #[tokio::test]
    async fn every_version_that_is_served_has_an_endpoint_to_answer() {
        let more = "versions: [{name: v1, served: true}, {name: v2, served: true}, {name: v0, served: false}]}\n";
        let crd = crd(&WANTED.replace("versions: [{name: v1, schema: {a: 1}}]}\n", more));
        let paths: Vec<_> =
            endpoints(&fake::Fake::default().client(), &crd).iter().map(|api| api.resource_url().to_owned()).collect();
        assert_eq!(paths, ["/apis/example.com/v1/widgets", "/apis/example.com/v2/widgets"]);
    }
}
