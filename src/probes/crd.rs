//! Twin of `checks/crd.rs`: a wait until definitions are established, then until their endpoints answer.
//!
//! Established is not served: discovery is filled by another controller, and the storage behind an endpoint is built
//! at its first request. Neither can be watched, so these two are asked for, side by side and with growing pauses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use serde_json::Value;

use super::{Site, Unseen};
use crate::checks::{Absence, Claim, Crd, CrdAnswer, CrdState};
use crate::complaint::chain;
use crate::health::{self, Health, Surroundings};
use crate::watch::{ObjectRef, view};

/// Pauses between questions to an endpoint that does not answer yet: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// What each established definition serves and must be asked for.
type Endpoints = BTreeMap<String, Vec<ApiResource>>;

pub(super) async fn observe(claim: &Crd, site: &Site<'_>) -> Result<CrdAnswer, Unseen> {
    match claim.expect {
        Absence::Absent | Absence::AbsentWithItsKind => settled(claim, site, is_gone).await.map(|(answer, _)| answer),
        Absence::Present => {
            let (answer, endpoints) = settled(claim, site, is_decided).await?;
            if answer.definitions.values().any(|state| matches!(state, CrdState::Doomed { .. })) {
                return Ok(answer);
            }
            served(claim, site, endpoints).await
        }
    }
}

fn is_gone(states: &CrdAnswer) -> bool {
    states.definitions.values().all(|state| matches!(state, CrdState::Missing))
}

/// All established, or one refused.
fn is_decided(states: &CrdAnswer) -> bool {
    let mut all = states.definitions.values();
    all.any(|state| matches!(state, CrdState::Doomed { .. }))
        || states.definitions.values().all(|state| matches!(state, CrdState::Served { .. }))
}

/// Waits until the definitions are as wanted by their own conditions.
async fn settled(
    claim: &Crd,
    site: &Site<'_>,
    is_wanted: fn(&CrdAnswer) -> bool,
) -> Result<(CrdAnswer, Endpoints), Unseen> {
    let hub = &site.prober.hub;
    let unseen = |error| Unseen(chain(&error));
    let kind = hub.resource("CustomResourceDefinition").await.map_err(unseen)?.resource;
    let decide = |objects: &[Arc<DynamicObject>]| {
        let found = |name: &String| {
            ObjectRef { resource: kind.clone(), namespace: None, name: name.clone() }.among(objects).cloned()
        };
        let definitions: BTreeMap<_, _> = claim.names.iter().map(|name| (name.clone(), found(name))).collect();
        let states = definitions.iter().map(|(name, found)| (name.clone(), state(&kind, found.as_deref())));
        let answer = CrdAnswer { definitions: states.collect() };
        if is_wanted(&answer) {
            let endpoints =
                definitions.into_iter().filter_map(|(name, found)| Some((name, endpoints(found.as_deref()?))));
            return Some((answer, endpoints.collect()));
        }
        site.notes.stands(claim.judge(&answer));
        None
    };
    hub.until(&kind, None, decide).await.map_err(unseen)
}

/// How far a definition has come by its own account: served means established here.
fn state(kind: &ApiResource, found: Option<&DynamicObject>) -> CrdState {
    let Some(definition) = found else { return CrdState::Missing };
    match health::assess(view(kind, definition), &Surroundings::default()) {
        Health::Ready { .. } => {
            CrdState::Served { versions: endpoints(definition).into_iter().map(|it| it.version).collect() }
        }
        Health::Waiting { on, .. } => CrdState::Waiting { on: on.line },
        Health::Doomed(cause) => CrdState::Doomed { why: cause.line },
    }
}

/// The endpoints that a definition promises: one for each served version.
fn endpoints(definition: &DynamicObject) -> Vec<ApiResource> {
    let text = |value: &Value, at: &str| value.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let versions = definition.data.pointer("/spec/versions").and_then(Value::as_array);
    let promised = versions.into_iter().flatten().filter(|version| version["served"] == Value::Bool(true));
    let group = text(&definition.data, "/spec/group");
    let endpoint = |version: &Value| ApiResource {
        api_version: format!("{group}/{}", text(version, "/name")),
        group: group.clone(),
        version: text(version, "/name"),
        kind: text(&definition.data, "/spec/names/kind"),
        plural: text(&definition.data, "/spec/names/plural"),
    };
    promised.map(endpoint).collect()
}

/// Asks every endpoint until all have answered.
async fn served(claim: &Crd, site: &Site<'_>, endpoints: Endpoints) -> Result<CrdAnswer, Unseen> {
    let client = site.prober.hub.client();
    let mut pause = PAUSE.0;
    loop {
        let asked = endpoints.iter().map(async |(name, endpoints)| (name.clone(), ask(client, name, endpoints).await));
        let answer = CrdAnswer { definitions: join_all(asked).await.into_iter().collect() };
        if answer.definitions.values().all(|state| matches!(state, CrdState::Served { .. })) {
            return Ok(answer);
        }
        site.notes.stands(claim.judge(&answer));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Whether each endpoint of a definition is in discovery and answers a list.
async fn ask(client: &Client, name: &str, endpoints: &[ApiResource]) -> CrdState {
    for endpoint in endpoints {
        let on = |what: &str| CrdState::Waiting { on: format!("{name}: {} {what}", endpoint.version) };
        match client.list_api_group_resources(&endpoint.api_version).await {
            Ok(list) if list.resources.iter().any(|resource| resource.name == endpoint.plural) => {}
            Ok(_) => return on("is not in discovery yet"),
            Err(error) => return on(&format!("is not in discovery yet: {}", chain(&error))),
        }
        let api: Api<DynamicObject> = Api::all_with(client.clone(), endpoint);
        if let Err(error) = api.list_metadata(&ListParams::default().limit(1)).await {
            return on(&format!("does not answer yet: {}", chain(&error)));
        }
    }
    CrdState::Served { versions: endpoints.iter().map(|endpoint| endpoint.version.clone()).collect() }
}
