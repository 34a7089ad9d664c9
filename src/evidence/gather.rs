//! What can be had: from the API server, and from the logs heard so far.

use std::collections::BTreeSet;
use std::path::Path;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, TypeMeta};
use kube::{Client, ResourceExt as _};

use super::{Log, Scene};
use crate::complaint;
use crate::k8s::CHECK_LABEL;
use crate::kinds;
use crate::watch::ObjectRef;

/// Most objects, events and pods that are kept: a namespace may hold thousands.
const MOST: u32 = 200;

/// Most of one log that is kept, from its end, in bytes.
const LOG_TAIL: usize = 64 << 10;

/// How many requests are under way at once.
const AT_ONCE: usize = 8;

/// What could be had, and what could not.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) objects: Vec<DynamicObject>,
    /// Oldest first.
    pub(super) events: Vec<Event>,
    pub(super) logs: Vec<Log>,
    pub(super) troubles: Vec<String>,
}

/// Everything of the scene's namespace.
pub(super) async fn from(scene: &Scene) -> Gathered {
    let mut gathered = Gathered::default();
    let Some(namespace) = &scene.namespace else { return gathered };
    if let Some(hub) = &scene.hub {
        gathered.objects(hub.client(), &scene.objects).await;
        gathered.around(hub.client(), namespace, scene.check.as_deref()).await;
    }
    if let Some(logs) = &scene.logs {
        gathered.logs = log_tails(&logs.folder(namespace)).await;
    }
    gathered
}

impl Gathered {
    /// The component's own objects.
    async fn objects(&mut self, client: &Client, objects: &[ObjectRef]) {
        let gets = objects.iter().take(MOST as usize).cloned().map(|object| get(client.clone(), object));
        for got in futures::stream::iter(gets).buffered(AT_ONCE).collect::<Vec<_>>().await {
            match got {
                Ok(Some(object)) => self.objects.push(object),
                Ok(None) => {}
                Err(trouble) => self.troubles.push(trouble),
            }
        }
    }

    /// The namespace's pods and events, and the Jobs that the check ran.
    async fn around(&mut self, client: &Client, namespace: &str, check: Option<&str>) {
        let few = ListParams::default().limit(MOST);
        let pods = listed(client, namespace, ApiResource::erase::<Pod>(&()), &few);
        let mark = check.map(|check| few.clone().labels(&format!("{CHECK_LABEL}={check}")));
        let jobs = async {
            match &mark {
                Some(mark) => listed(client, namespace, ApiResource::erase::<Job>(&()), mark).await,
                None => Ok(Vec::new()),
            }
        };
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        let (pods, jobs, events) = tokio::join!(pods, jobs, events.list(&few));
        for found in [pods, jobs] {
            match found {
                Ok(found) => self.add(found),
                Err(trouble) => self.troubles.push(trouble),
            }
        }
        match events {
            Ok(list) => self.events = list.items,
            Err(error) => self.troubles.push(format!("events of {namespace}: {}", complaint::chain(&error))),
        }
        self.events.sort_by_key(time);
    }

    /// Without the events that speak of an earlier run: last seen before this one began, about an object that is gone.
    /// What is still there may have said what is wrong with it long ago.
    pub(super) fn since(mut self, began: Timestamp) -> Self {
        let there: BTreeSet<String> = self.objects.iter().filter_map(|object| object.uid()).collect();
        let is_there = |event: &Event| event.involved_object.uid.as_ref().is_some_and(|uid| there.contains(uid));
        // The server's times are of whole seconds.
        let is_new = |event: &Event| time(event).is_none_or(|at| at.as_second() >= began.as_second());
        self.events.retain(|event| is_new(event) || is_there(event));
        self
    }

    fn add(&mut self, found: Vec<DynamicObject>) {
        let known: Vec<_> = self.objects.iter().map(|object| object.uid()).collect();
        self.objects.extend(found.into_iter().filter(|object| !known.contains(&object.uid())));
    }
}

/// The objects of one kind in a namespace. The items of a list carry no kind of their own.
async fn listed(
    client: &Client,
    namespace: &str,
    resource: ApiResource,
    which: &ListParams,
) -> Result<Vec<DynamicObject>, String> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let list = api.list(which).await;
    let list = list.map_err(|error| format!("{} of {namespace}: {}", resource.plural, complaint::chain(&error)))?;
    let types = Some(TypeMeta { api_version: resource.api_version, kind: resource.kind });
    Ok(list.items.into_iter().map(|object| DynamicObject { types: types.clone(), ..object }).collect())
}

async fn get(client: Client, object: ObjectRef) -> Result<Option<DynamicObject>, String> {
    let api: Api<DynamicObject> = kinds::endpoint(&client, &object.resource, object.namespace.as_deref());
    api.get_opt(&object.name)
        .await
        .map_err(|error| format!("{} {}: {}", object.resource.kind, object.name, complaint::chain(&error)))
}

/// When an event was last seen, by whichever of its times is set.
pub(super) fn time(event: &Event) -> Option<jiff::Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

/// The end of every log of a namespace, by `pod/file`.
async fn log_tails(folder: &Path) -> Vec<Log> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_of_an_earlier_run_are_not_told_unless_their_object_is_still_there() {
        let event = |uid: &str, at: &str| -> Event {
            let about = json!({ "kind": "Pod", "name": "redis-0", "uid": uid });
            serde_json::from_value(json!({ "metadata": {}, "involvedObject": about, "lastTimestamp": at })).unwrap()
        };
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "redis-0", "uid": "there" } });
        let (before, after) = ("2026-01-02T03:04:04Z", "2026-01-02T03:04:05Z");
        let events = [("gone", before), ("there", before), ("gone", after), ("there", after)];
        let gathered = Gathered {
            objects: vec![serde_json::from_value(pod).unwrap()],
            events: events.map(|(uid, at)| event(uid, at)).into(),
            ..Gathered::default()
        };
        let told = gathered.since("2026-01-02T03:04:05.678Z".parse().unwrap()).events;
        assert_eq!(told, [("there", before), ("gone", after), ("there", after)].map(|(uid, at)| event(uid, at)));
    }
}
