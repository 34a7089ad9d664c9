//! What can be had: from the API server, and from the logs heard so far.

use std::path::Path;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::{Client, ResourceExt as _};

use crate::complaint;
use crate::watch::ObjectRef;

/// Most objects, events and pods that are kept: a namespace may hold thousands.
const MOST: u32 = 200;

/// Most of one log that is kept, from its end, in bytes.
const LOG_TAIL: usize = 64 << 10;

/// How many requests are under way at once.
const AT_ONCE: usize = 8;

/// What the API server gave.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) objects: Vec<DynamicObject>,
    /// Oldest first.
    pub(super) events: Vec<Event>,
    pub(super) troubles: Vec<String>,
}

pub(super) async fn from_cluster(client: &Client, namespace: &str, objects: &[ObjectRef]) -> Gathered {
    let mut gathered = Gathered::default();
    let gets = objects.iter().take(MOST as usize).cloned().map(|object| get(client.clone(), object));
    for got in futures::stream::iter(gets).buffered(AT_ONCE).collect::<Vec<_>>().await {
        match got {
            Ok(Some(object)) => gathered.objects.push(object),
            Ok(None) => {}
            Err(trouble) => gathered.troubles.push(trouble),
        }
    }
    let pods: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Pod>(&()));
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let few = ListParams::default().limit(MOST);
    let (pods, events) = tokio::join!(pods.list(&few), events.list(&few));
    match pods {
        Ok(list) => {
            let known: Vec<_> = gathered.objects.iter().map(|object| object.uid()).collect();
            let typed = list.items.into_iter().filter(|pod| !known.contains(&pod.uid())).map(as_pod);
            gathered.objects.extend(typed);
        }
        Err(error) => gathered.troubles.push(format!("pods of {namespace}: {}", complaint::chain(&error))),
    }
    match events {
        Ok(list) => gathered.events = list.items,
        Err(error) => gathered.troubles.push(format!("events of {namespace}: {}", complaint::chain(&error))),
    }
    gathered.events.sort_by_key(time);
    gathered
}

async fn get(client: Client, object: ObjectRef) -> Result<Option<DynamicObject>, String> {
    let api: Api<DynamicObject> = match &object.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &object.resource),
        None => Api::all_with(client, &object.resource),
    };
    api.get_opt(&object.name)
        .await
        .map_err(|error| format!("{} {}: {}", object.resource.kind, object.name, complaint::chain(&error)))
}

/// The items of a list carry no kind.
fn as_pod(mut pod: DynamicObject) -> DynamicObject {
    pod.types = Some(kube::api::TypeMeta { api_version: "v1".to_owned(), kind: "Pod".to_owned() });
    pod
}

/// When an event was last seen, by whichever of its times is set.
pub(super) fn time(event: &Event) -> Option<jiff::Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

/// The end of every log of a namespace, by `pod/file`.
pub(super) async fn log_tails(folder: &Path) -> Vec<(String, String)> {
    let mut tails = Vec::new();
    let Ok(mut pods) = tokio::fs::read_dir(folder).await else { return tails };
    while let Ok(Some(pod)) = pods.next_entry().await {
        let Ok(mut files) = tokio::fs::read_dir(pod.path()).await else { continue };
        while let Ok(Some(file)) = files.next_entry().await {
            let Ok(bytes) = tokio::fs::read(file.path()).await else { continue };
            let from = bytes.len().saturating_sub(LOG_TAIL);
            let name = format!("{}/{}", pod.file_name().to_string_lossy(), file.file_name().to_string_lossy());
            tails.push((name, String::from_utf8_lossy(&bytes[from..]).into_owned()));
        }
    }
    tails.sort();
    tails
}
