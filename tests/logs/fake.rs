//! An API server on loopback with one pod, whose log it streams as it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::server::Server;

/// How one stream of a log goes; a stream that nothing is said of sends everything and ends.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    bytes: usize,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    /// The connection breaks.
    Drop,
    /// The stream ends as if the log had.
    Close,
    /// The pod is deleted, and the stream ends.
    Delete,
    /// Nothing more comes before the release.
    Hold,
    /// There is no stream.
    Refuse(u16),
}

impl Stream {
    pub(crate) const fn dropped(bytes: usize) -> Self {
        Self { bytes, then: Then::Drop }
    }

    pub(crate) const fn closed(bytes: usize) -> Self {
        Self { bytes, then: Then::Close }
    }

    pub(crate) const fn last(bytes: usize) -> Self {
        Self { bytes, then: Then::Delete }
    }

    pub(crate) const fn held(bytes: usize) -> Self {
        Self { bytes, then: Then::Hold }
    }

    pub(crate) const fn refused(code: u16) -> Self {
        Self { bytes: 0, then: Then::Refuse(code) }
    }
}

/// The server.
pub(crate) struct Fake {
    world: World,
    server: Server,
}

#[derive(Clone)]
struct World {
    kept: Arc<Mutex<Kept>>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    pod: Option<Value>,
    log: String,
    streams: VecDeque<Stream>,
    asked: usize,
    released: bool,
}

impl Fake {
    pub(crate) fn start(streams: impl IntoIterator<Item = Stream>) -> Self {
        let kept = Kept { streams: streams.into_iter().collect(), ..Kept::default() };
        let world = World { kept: Arc::new(Mutex::new(kept)), changes: watch::Sender::new(0) };
        let server = Server::start(Router::new().fallback(answer).with_state(world.clone()));
        Self { world, server }
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.server.client()
    }

    pub(crate) fn pod(&self, pod: Option<Value>) {
        self.world.edit(|kept| kept.pod = pod);
    }

    pub(crate) fn log(&self, log: &str) {
        self.world.edit(|kept| log.clone_into(&mut kept.log));
    }

    /// Lets every held stream go on.
    pub(crate) fn release(&self) {
        self.world.edit(|kept| kept.released = true);
    }

    /// Until logs have been asked for so many times.
    pub(crate) async fn asked(&self, times: usize) {
        let mut changes = self.world.changes.subscribe();
        while self.streams() < times {
            changes.changed().await.unwrap();
        }
    }

    /// How often a log has been asked for.
    pub(crate) fn streams(&self) -> usize {
        self.world.kept().asked
    }

    pub(crate) fn stop(&mut self) {
        self.server.stop();
    }

    pub(crate) fn restart(&mut self) {
        self.server.restart();
    }
}

impl World {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut Kept) -> T) -> T {
        let edited = edit(&mut self.kept());
        self.changes.send_modify(|change| *change += 1);
        edited
    }
}

async fn answer(State(world): State<World>, uri: Uri, Query(query): Query<BTreeMap<String, String>>) -> Response {
    if query.contains_key("watch") {
        return Body::from_stream(stream::pending::<Result<String, std::io::Error>>()).into_response();
    }
    match uri.path().rsplit('/').next().unwrap() {
        "pods" => {
            let items: Vec<Value> = world.kept().pod.iter().cloned().collect();
            let list = json!({ "kind": "List", "metadata": { "resourceVersion": "1" }, "items": items });
            axum::Json(list).into_response()
        }
        "log" => log(&world, query.get("sinceTime").map_or("", String::as_str)),
        _ => world.kept().pod.clone().map_or_else(|| status(404), |pod| axum::Json(pod).into_response()),
    }
}

fn status(code: u16) -> Response {
    let reason = if code == 404 { "NotFound" } else { "" };
    let message = format!("told to say {code}");
    let body = json!({ "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message });
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

fn log(world: &World, since: &str) -> Response {
    let (how, there, text) = world.edit(|kept| {
        kept.asked += 1;
        let since = since.trim_end_matches('Z');
        // Whole seconds, as the API server has them.
        let lines = kept.log.split_inclusive('\n').filter(|line| line[..since.len().min(19)] >= *since);
        let text = lines.collect::<String>();
        (kept.streams.pop_front(), kept.pod.is_some(), text)
    });
    let how = how.unwrap_or(Stream::closed(text.len()));
    if !there {
        return status(404);
    }
    let (begin, rest) = text.split_at(how.bytes.min(text.len()));
    let (begin, rest, world) = (begin.to_owned(), rest.to_owned(), world.clone());
    let end = stream::once(async move {
        match how.then {
            Then::Drop => {
                // What was sent before is to arrive first.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                return Err(std::io::Error::other("dropped"));
            }
            Then::Delete => world.edit(|kept| kept.pod = None),
            Then::Hold => {
                let mut changes = world.changes.subscribe();
                while !world.kept().released {
                    changes.changed().await.map_err(std::io::Error::other)?;
                }
                return Ok(rest);
            }
            Then::Close | Then::Refuse(_) => {}
        }
        Ok(String::new())
    });
    match how.then {
        Then::Refuse(code) => status(code),
        Then::Drop | Then::Close | Then::Delete | Then::Hold => {
            Body::from_stream(stream::iter([Ok(begin)]).chain(end)).into_response()
        }
    }
}
