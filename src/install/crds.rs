//! CustomResourceDefinitions: created side by side, applied only where they differ, and served before anyone uses them.
//!
//! - Why not apply all: a plain create is cheaper for the API server than a server-side apply, and 33 real CRDs weigh 6.5 MB.
//! - Why more than Established: the API server builds a kind's storage at the first request to it. Asking every new endpoint
//!   at once, as soon as it is established, builds them side by side and before the first user has to wait for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionStatus,
};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Object};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::sleep;

use super::apply::{Applier, Change, Obstacle, SIDE_BY_SIDE, told};
use super::{InstallError, Installed, apply};
use crate::manifest;
use crate::ports::{Done, Notes, Trouble};
use crate::secrets::Secrets;
use crate::watch::ObjectRef;

/// Pauses between two looks at an endpoint that does not answer yet.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(320));

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

/// Creates it; `false` where it is there already.
async fn create(applier: &Applier<'_>, api: &Api<DynamicObject>, crd: &DynamicObject) -> Result<bool, Obstacle> {
    match api.create(&apply::ours(), &applier.labelled(crd, None)).await {
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

/// Waits until each CRD is established and its endpoint answers. Bounded by the caller.
///
/// # Errors
/// Where the API server refuses a CRD's names, or refuses to be asked.
pub async fn await_served(client: &Client, crds: &[ObjectRef], notes: &Notes) -> Result<Done, Trouble> {
    let names: BTreeSet<String> = crds.iter().map(|crd| crd.name.clone()).collect();
    served(client, names, notes).await.map_err(|error| error.trouble(&Secrets::default()))
}

pub(super) async fn served(client: &Client, names: BTreeSet<String>, notes: &Notes) -> Result<Done, InstallError> {
    let total = names.len();
    let mut waiting = names.clone();
    notes.waiting(format!("{total} CRDs: the API server to serve them"));
    let mut answering =
        std::pin::pin!(established(client, names).map_ok(|crd| answers(client, crd)).try_buffer_unordered(64));
    while let Some(name) = answering.try_next().await? {
        waiting.remove(&name);
        let first = waiting.first().map_or("", String::as_str);
        if !waiting.is_empty() {
            notes.waiting(format!("{} of {total} CRDs: the API server to serve {first}", waiting.len()));
        }
    }
    Ok(Done::saying(format!("{total} CRDs are served")))
}

/// Each of these CRDs as it becomes established, until all are.
fn established(client: &Client, names: BTreeSet<String>) -> impl stream::Stream<Item = Result<Lean, InstallError>> {
    let api: Api<Lean> = Api::all_with(client.clone(), &resource());
    let total = names.len();
    let mut left = names;
    let seen = watcher(api, watcher::Config::default()).applied_objects().filter_map(move |seen| {
        // The watcher begins again by itself after an error; the caller's deadline ends what never comes.
        let fresh = seen.ok().filter(|crd| left.contains(name(crd))).and_then(|crd| match standing(&crd) {
            Standing::Established => left.remove(name(&crd)).then_some(Ok(crd)),
            Standing::Refused(why) => Some(Err(InstallError::NotEstablished { crd: name(&crd).to_owned(), why })),
            Standing::Underway => None,
        });
        future::ready(fresh)
    });
    seen.take(total)
}

enum Standing {
    Established,
    Underway,
    Refused(String),
}

/// What a CRD's conditions say (apiextensions `types.go`). Established stays true even where names are taken later.
fn standing(crd: &Lean) -> Standing {
    let conditions = crd.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is = |kind: &'static str, status: &'static str| {
        conditions.clone().find(move |condition| condition.type_ == kind && condition.status == status)
    };
    if let Some(taken) = is("NamesAccepted", "False") {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        return Standing::Refused(format!("{}: {}", text(&taken.reason), text(&taken.message)));
    }
    match is("Established", "True") {
        Some(_) if crd.metadata.deletion_timestamp.is_none() => Standing::Established,
        Some(_) | None => Standing::Underway,
    }
}

/// Lists one object of the kind until that works; returns the CRD's name.
async fn answers(client: &Client, crd: Lean) -> Result<String, InstallError> {
    let names = crd.status.as_ref().and_then(|status| status.accepted_names.clone()).unwrap_or_default();
    let stored = crd.status.as_ref().and_then(|status| status.stored_versions.clone()).unwrap_or_default();
    let group = name(&crd).split_once('.').map_or("", |(_, group)| group).to_owned();
    let version = stored.last().cloned().unwrap_or_default();
    let api_version = format!("{group}/{version}");
    let kind = ApiResource { group, version, api_version, kind: names.kind, plural: names.plural };
    let endpoint: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let mut pause = PAUSES.0;
    loop {
        match endpoint.list_metadata(&ListParams::default().limit(1)).await {
            Ok(_) => return Ok(name(&crd).to_owned()),
            // We may not list, so it cannot be known; whoever may will see.
            Err(kube::Error::Api(status)) if status.code == 403 => return Ok(name(&crd).to_owned()),
            Err(_) => sleep(pause).await,
        }
        pause = PAUSES.1.min(pause * 2);
    }
}

fn resource() -> ApiResource {
    ApiResource::erase::<CustomResourceDefinition>(&())
}

fn name<K: kube::ResourceExt>(object: &K) -> &str {
    object.meta().name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
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
    fn taken_names_are_refused_and_an_empty_status_is_under_way() {
        let standing_of = |status: Value| {
            let lean = serde_json::json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": { "name": "widgets.example.com" }, "spec": {}, "status": status,
            });
            standing(&serde_json::from_value(lean).unwrap())
        };
        let condition =
            |kind: &str, status: &str| serde_json::json!({ "type": kind, "status": status, "message": "taken" });
        let of = |conditions: Vec<Value>| standing_of(serde_json::json!({ "conditions": conditions }));
        assert!(matches!(standing_of(Value::Null), Standing::Underway));
        assert!(matches!(of(vec![condition("Established", "False")]), Standing::Underway));
        assert!(matches!(of(vec![condition("Established", "True")]), Standing::Established));
        let Standing::Refused(why) = of(vec![condition("Established", "True"), condition("NamesAccepted", "False")])
        else {
            panic!("not refused");
        };
        assert!(why.contains("taken"), "{why}");
    }
}
