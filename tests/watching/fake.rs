//! An API server on loopback: lists and watches any kind, keeps a history, and misbehaves on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::server::Server;

/// The server; clones of what it keeps are held by its requests.
pub(crate) struct Fake {
    world: World,
    server: Server,
}

/// What is kept, and a number that changes with it.
#[derive(Clone)]
struct World {
    kept: Arc<Mutex<Kept>>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    version: u64,
    objects: BTreeMap<(String, String), Value>,
    /// Version, kind, event.
    history: Vec<(u64, String, Value)>,
    /// Versions before this one are forgotten.
    oldest: u64,
    requests: usize,
    lists: usize,
    watches: usize,
    last_version: String,
    /// The last version that a watch was told.
    told: u64,
    /// Counts the cuts: a watch from before the last one ends.
    cuts: u64,
    muted_before: u64,
    expired_before: u64,
    gone_as_status: bool,
    code: u16,
    denied: BTreeSet<String>,
    delay: Duration,
    log: String,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let kept = Kept { version: 1, code: 200, ..Kept::default() };
        let world = World { kept: Arc::new(Mutex::new(kept)), changes: watch::Sender::new(0) };
        let server = Server::start(Router::new().fallback(answer).with_state(world.clone()));
        Self { world, server }
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.server.client()
    }

    /// Creates or replaces an object of a kind.
    pub(crate) fn put(&self, plural: &str, mut object: Value) {
        self.world.edit(|kept| {
            kept.version += 1;
            object["metadata"]["resourceVersion"] = json!(kept.version.to_string());
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            let known = kept.objects.insert((plural.to_owned(), name), object.clone()).is_some();
            let kind = if known { "MODIFIED" } else { "ADDED" };
            kept.history.push((kept.version, plural.to_owned(), json!({ "type": kind, "object": object })));
        });
    }

    /// Deletes an object, and says so.
    pub(crate) fn remove(&self, plural: &str, name: &str) {
        self.world.edit(|kept| {
            let mut object = kept.objects.remove(&(plural.to_owned(), name.to_owned())).unwrap();
            kept.version += 1;
            object["metadata"]["resourceVersion"] = json!(kept.version.to_string());
            kept.history.push((kept.version, plural.to_owned(), json!({ "type": "DELETED", "object": object })));
        });
    }

    /// Deletes an object and forgets the history up to then: only a new list can tell.
    pub(crate) fn remove_unheard(&self, plural: &str, name: &str) {
        self.world.edit(|kept| {
            kept.objects.remove(&(plural.to_owned(), name.to_owned())).unwrap();
            kept.version += 10;
            kept.oldest = kept.version;
        });
    }

    /// Sends a bookmark of a version to every watch.
    pub(crate) fn bookmark(&self, version: u64) {
        self.world.edit(|kept| {
            kept.version = version;
            let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "resourceVersion": version.to_string() } });
            kept.history.push((version, "configmaps".to_owned(), json!({ "type": "BOOKMARK", "object": object })));
        });
    }

    /// Breaks every connection of a watch.
    pub(crate) fn cut(&self) {
        self.world.edit(|kept| kept.cuts += 1);
    }

    /// Lets every watch that is open say that its version has expired.
    pub(crate) fn expire(&self) {
        self.world.edit(|kept| {
            kept.cuts += 1;
            kept.expired_before = kept.cuts;
        });
    }

    /// Leaves every watch that is open without a word from now on.
    pub(crate) fn mute(&self) {
        self.world.edit(|kept| {
            kept.cuts += 1;
            kept.muted_before = kept.cuts;
        });
    }

    pub(crate) fn gone_as_status(&self, as_status: bool) {
        self.world.edit(|kept| kept.gone_as_status = as_status);
    }

    pub(crate) fn answer_with(&self, code: u16) {
        self.world.edit(|kept| kept.code = code);
    }

    pub(crate) fn deny(&self, plural: &str) {
        self.world.edit(|kept| kept.denied.extend([plural.to_owned()]));
    }

    pub(crate) fn delay(&self, delay: Duration) {
        self.world.edit(|kept| kept.delay = delay);
    }

    pub(crate) fn log(&self, log: &str) {
        self.world.edit(|kept| log.clone_into(&mut kept.log));
    }

    /// Ends the server and every connection to it.
    pub(crate) fn stop(&mut self) {
        self.server.stop();
    }

    pub(crate) fn restart(&mut self) {
        self.server.restart();
    }

    pub(crate) fn requests(&self) -> usize {
        self.world.kept().requests
    }

    pub(crate) fn lists(&self) -> usize {
        self.world.kept().lists
    }

    /// Until a watch is open.
    pub(crate) async fn watched(&self) {
        self.until(|kept| kept.watches > 0).await;
    }

    /// Until a watch has been opened from a version.
    pub(crate) async fn watched_from(&self, version: &str) {
        self.until(|kept| kept.last_version == version).await;
    }

    /// Until a watch has been told of a version.
    pub(crate) async fn told(&self, version: u64) {
        self.until(|kept| kept.told >= version).await;
    }

    /// Until no watch is open.
    pub(crate) async fn unwatched(&self) {
        self.until(|kept| kept.watches == 0).await;
    }

    async fn until(&self, holds: impl Fn(&Kept) -> bool) {
        let mut changes = self.world.changes.subscribe();
        changes.mark_changed();
        while changes.changed().await.is_ok() && !holds(&self.world.kept()) {}
    }
}

impl World {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    fn edit(&self, edit: impl FnOnce(&mut Kept)) {
        edit(&mut self.kept());
        self.changes.send_modify(|change| *change += 1);
    }
}

async fn answer(State(world): State<World>, uri: Uri, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let plural = uri.path().rsplit('/').next().unwrap().to_owned();
    let (delay, code) = {
        let mut kept = world.kept();
        kept.requests += 1;
        (kept.delay, if kept.denied.contains(&plural) { 403 } else { kept.code })
    };
    tokio::time::sleep(delay).await;
    if code != 200 {
        return status(code, &format!("told to answer {code}"));
    }
    if plural == "log" {
        return world.kept().log.clone().into_response();
    }
    if query.contains_key("watch") { watch(&world, &plural, &query["resourceVersion"]) } else { list(&world, &plural) }
}

fn list(world: &World, plural: &str) -> Response {
    let mut kept = world.kept();
    kept.lists += 1;
    let items: Vec<_> = kept.objects.iter().filter(|((kind, _), _)| kind == plural).map(|(_, object)| object).collect();
    let metadata = json!({ "resourceVersion": kept.version.to_string() });
    axum::Json(json!({ "apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items })).into_response()
}

fn status(code: u16, message: &str) -> Response {
    let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message });
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

/// One watch as it goes on.
struct Watching {
    world: World,
    changes: watch::Receiver<u64>,
    plural: String,
    /// The last version sent.
    version: u64,
    /// The cuts there were when it began.
    since: u64,
}

fn watch(world: &World, plural: &str, version: &str) -> Response {
    let mut kept = world.kept();
    version.clone_into(&mut kept.last_version);
    let (version, since) = (version.parse().unwrap(), kept.cuts);
    if version < kept.oldest && kept.gone_as_status {
        return status(410, "too old resource version");
    }
    kept.watches += 1;
    drop(kept);
    let changes = world.changes.subscribe();
    world.changes.send_modify(|change| *change += 1);
    let watching = Watching { world: world.clone(), changes, plural: plural.to_owned(), version, since };
    let lines = stream::unfold(watching, |mut watching| async {
        let line = watching.next().await?;
        Some((Ok::<_, Infallible>(line), watching))
    });
    Body::from_stream(lines).into_response()
}

impl Watching {
    /// The next line; none when the watch ends.
    async fn next(&mut self) -> Option<String> {
        loop {
            {
                let mut kept = self.world.kept();
                if kept.cuts > self.since && kept.muted_before <= self.since {
                    // An expiry is said once, by a watch that then ends.
                    let expired = kept.expired_before > self.since;
                    self.since = kept.cuts;
                    kept.oldest = if expired { kept.version } else { kept.oldest };
                    return if expired { self.expired() } else { None };
                }
                let muted = kept.muted_before > self.since;
                if !muted && self.version < kept.oldest {
                    self.version = u64::MAX;
                    return self.expired();
                }
                let new =
                    |(version, plural, _): &&(u64, String, Value)| *version > self.version && *plural == self.plural;
                if !muted && let Some((version, _, event)) = kept.history.iter().find(new).cloned() {
                    drop(kept);
                    self.version = version;
                    self.world.edit(|kept| kept.told = version);
                    return Some(format!("{event}\n"));
                }
            }
            self.changes.changed().await.ok()?;
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "a line of the stream")]
    fn expired(&self) -> Option<String> {
        let gone = json!({ "kind": "Status", "status": "Failure", "code": 410, "message": "too old resource version" });
        Some(format!("{}\n", json!({ "type": "ERROR", "object": gone })))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.world.edit(|kept| kept.watches -= 1);
    }
}
