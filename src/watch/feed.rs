//! One list and one watch of a kind in a namespace, kept going for as long as anything waits on it.
//!
//! - Purpose: whatever happens to the connection, the view is again what the API server has, without a gap.
//! - Never: a watch resumed from a version that the server no longer knows; a connection trusted for being open.
//! - Why not `kube::runtime::watcher`: it resumes for ever from an expired version that is refused by an HTTP status
//!   instead of an event, and puts no limit on a list or on the start of a watch, where a half-open connection hangs.

use std::sync::Arc;
use std::time::Duration;

use futures::{TryStreamExt, pin_mut};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, TypeMeta, WatchEvent, WatchParams};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::lean::Lean;
use super::shelf::Shelf;
use crate::kinds;

/// How long the server keeps a watch open; also how soon a half-open connection is noticed, but for [`STALL`].
const WATCH: Duration = Duration::from_secs(45);
/// Silence after which an open watch counts as dead: the server should have ended it by then.
const STALL: Duration = Duration::from_secs(50);
/// Longest wait for the head of a watch's response, and for one page of a list.
const ANSWER: Duration = Duration::from_secs(20);
/// Objects asked for at once.
const PAGE: u32 = 500;
/// How long a kind that the API server does not serve is asked for again: an established CustomResourceDefinition is
/// served about a second later, and late on a busy server.
const DISCOVERY: Duration = Duration::from_secs(10);
/// How long access that was granted before may be denied: a restarted API server answers before it knows its roles.
const AMNESIA: Duration = Duration::from_secs(30);
/// Pauses between attempts: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// The objects of one kind in one namespace, by namespace and name.
pub type Objects = Arc<Shelf>;

/// What a watch knows at a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// The objects as last heard of; `None` until the first list is complete.
    pub(super) objects: Option<Objects>,
    /// Why nothing newer is heard at the moment.
    pub(super) trouble: Option<Arc<kube::Error>>,
    /// Whether the trouble is final.
    pub(super) refused: bool,
    /// Jobs with a `ttlSecondsAfterFinished` that are gone, by namespace and name: how they were at last.
    pub(super) ended: Objects,
}

/// A watch that keeps a [`View`] fresh.
pub(super) struct Feed {
    api: Api<Lean>,
    types: TypeMeta,
    view: Arc<watch::Sender<View>>,
    pause: Duration,
    /// Since when the server denies what is asked.
    denied: Option<Instant>,
}

/// How one watch request ended.
enum Ending {
    /// The connection is gone; what came after the version is still to be had.
    Resume(String),
    /// The server no longer knows the version, or will not say what followed it.
    Relist(Option<kube::Error>),
}

impl View {
    /// Takes in a complete list; what ended between two lists counts as gone.
    fn replace(&mut self, objects: Vec<Arc<DynamicObject>>) {
        let former = self.objects.replace(Arc::new(Shelf::new(objects))).unwrap_or_default();
        for object in former.iter() {
            self.bury(object);
        }
    }

    /// Keeps a Job that cleans up after itself, unless it is still there.
    fn bury(&mut self, object: &Arc<DynamicObject>) {
        let place = |objects: &Objects| objects.binary_search_by(|other| key(other).cmp(&key(object)));
        if !kinds::cleans_up(object) || self.objects.as_ref().is_some_and(|objects| place(objects).is_ok()) {
            return;
        }
        let at = place(&self.ended);
        let ended = Arc::make_mut(&mut self.ended).edit();
        match at {
            Ok(at) => ended[at] = Arc::clone(object),
            Err(at) => ended.insert(at, Arc::clone(object)),
        }
    }
}

impl Feed {
    pub(super) fn new(api: Api<Lean>, resource: &ApiResource, view: Arc<watch::Sender<View>>) -> Self {
        let types = TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
        Self { api, types, view, pause: PAUSE.0, denied: None }
    }

    /// Keeps the view fresh until the API server refuses for good.
    pub(super) async fn run(mut self) {
        loop {
            let trouble = match self.list().await {
                Ok(version) => self.follow(version).await,
                Err(error) => Some(error),
            };
            if let Some(error) = trouble
                && self.note(error)
            {
                return;
            }
            self.rest().await;
        }
    }

    /// Replaces the view by a complete list and returns its version.
    async fn list(&mut self) -> Result<String, kube::Error> {
        let mut objects = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = timeout(ANSWER, self.api.list(&params)).await.map_err(|_| silence())??;
            objects.extend(page.items.into_iter().map(|Lean(object)| self.typed(object)));
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                objects.sort_by(|a, b| key(a).cmp(&key(b)));
                self.well(|view| view.replace(objects));
                return Ok(page.metadata.resource_version.unwrap_or_default());
            }
        }
    }

    /// Watches on from a version for as long as that is possible.
    async fn follow(&mut self, mut version: String) -> Option<kube::Error> {
        loop {
            let opened = Instant::now();
            match self.watch(version).await {
                Ending::Relist(error) => return error,
                Ending::Resume(reached) => version = reached,
            }
            // A watch that ended at its time is simply opened again; one that ends at once must not be hammered.
            if opened.elapsed() < PAUSE.1 {
                self.rest().await;
            }
        }
    }

    /// One watch request from a version to its end.
    async fn watch(&mut self, mut version: String) -> Ending {
        let params = WatchParams { timeout: Some(WATCH.as_secs() as u32), bookmarks: true, ..WatchParams::default() };
        let stream = match timeout(ANSWER, self.api.watch(&params, &version)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error @ kube::Error::Api(_))) => return Ending::Relist(Some(error)),
            Ok(Err(error)) => return self.interrupted(version, error),
            Err(_) => return self.interrupted(version, silence()),
        };
        self.well(|_| ());
        pin_mut!(stream);
        loop {
            match timeout(STALL, stream.try_next()).await {
                Ok(Ok(Some(event))) => match self.hear(event) {
                    Ok(Some(reached)) => version = reached,
                    Ok(None) => {}
                    Err(error) => return Ending::Relist(error),
                },
                Ok(Ok(None)) => return Ending::Resume(version),
                Ok(Err(error)) => return self.interrupted(version, error),
                Err(_) => return self.interrupted(version, silence()),
            }
        }
    }

    /// Takes one event in; returns the version that it brings the view to.
    fn hear(&mut self, event: WatchEvent<Lean>) -> Result<Option<String>, Option<kube::Error>> {
        match event {
            WatchEvent::Added(Lean(object)) | WatchEvent::Modified(Lean(object)) => {
                let object = self.typed(object);
                let version = object.metadata.resource_version.clone();
                self.change(
                    |objects, at| match at {
                        Ok(at) => objects[at] = Arc::clone(&object),
                        Err(at) => objects.insert(at, Arc::clone(&object)),
                    },
                    &object,
                );
                Ok(version)
            }
            WatchEvent::Deleted(Lean(object)) => {
                let object = self.typed(object);
                self.change(|objects, at| drop(at.map(|at| objects.remove(at))), &object);
                self.view.send_modify(|view| view.bury(&object));
                Ok(object.metadata.resource_version.clone())
            }
            WatchEvent::Bookmark(mark) => Ok(Some(mark.metadata.resource_version)),
            // An expired version is the ordinary end of a long silence and no trouble.
            WatchEvent::Error(status) if status.code == 410 => Err(None),
            WatchEvent::Error(status) => Err(Some(kube::Error::Api(status))),
        }
    }

    fn change(&self, edit: impl FnOnce(&mut Vec<Arc<DynamicObject>>, Result<usize, usize>), object: &DynamicObject) {
        self.view.send_modify(|view| {
            let objects = Arc::make_mut(view.objects.get_or_insert_default()).edit();
            let at = objects.binary_search_by(|other| key(other).cmp(&key(object)));
            edit(objects, at);
        });
    }

    fn typed(&self, mut object: DynamicObject) -> Arc<DynamicObject> {
        // Items of a list do not say what they are.
        object.types = Some(self.types.clone());
        if self.types.kind == "Secret" {
            // Whoever reads a secret value must learn it for masking, so none is kept where everybody looks.
            object.data = serde_json::Value::Null;
        }
        Arc::new(object)
    }

    /// The server answered as it should: what was wrong is over.
    fn well(&mut self, edit: impl FnOnce(&mut View)) {
        self.denied = None;
        self.pause = PAUSE.0;
        self.view.send_modify(|view| {
            view.trouble = None;
            edit(view);
        });
    }

    fn interrupted(&mut self, version: String, error: kube::Error) -> Ending {
        self.note(error);
        Ending::Resume(version)
    }

    /// Makes a trouble known and says whether it is final.
    fn note(&mut self, error: kube::Error) -> bool {
        let known = self.view.borrow().objects.is_some();
        let refused = match patience(&error, known) {
            Some(patience) => self.denied.get_or_insert_with(Instant::now).elapsed() >= patience,
            None => {
                // An outage is no denial: a server that comes back is given its time from then on.
                self.denied = None;
                false
            }
        };
        self.view.send_modify(|view| {
            // The words of an outage change with every attempt; its first ones tell most.
            if refused || view.trouble.is_none() {
                view.trouble = Some(Arc::new(error));
            }
            view.refused = refused;
        });
        refused
    }

    async fn rest(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE.1);
    }
}

/// How long an error may last before it counts as a refusal; `None` for weather, which passes.
fn patience(error: &kube::Error, known: bool) -> Option<Duration> {
    let kube::Error::Api(status) = error else { return None };
    match status.code {
        404 => Some(DISCOVERY),
        401 | 403 if known => Some(AMNESIA),
        401 | 403 | 400 | 405 | 406 | 415 | 422 => Some(Duration::ZERO),
        _ => None,
    }
}

/// What identifies an object among those of its kind.
pub(super) fn key(object: &DynamicObject) -> (Option<&str>, Option<&str>) {
    (object.metadata.namespace.as_deref(), object.metadata.name.as_deref())
}

fn silence() -> kube::Error {
    kube::Error::ReadEvents(std::io::Error::new(std::io::ErrorKind::TimedOut, "the API server does not answer"))
}
