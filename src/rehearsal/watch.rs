//! Watches: what is there, what happens, and how far that goes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::catalog::Resource;
use super::cluster::Cluster;
use super::failure::Failure;
use super::request::Query;
use super::select::Selector;
use super::shape::{Lens, Shape, sent};
use super::store::{Change, Stored};

/// How long a watch lasts that does not say (`--min-request-timeout` of the API server).
const LASTS: Duration = Duration::from_secs(1800);

/// How often a watch on which nothing happens says how far it has come; the real one does so each minute.
const BOOKMARKS: Duration = Duration::from_secs(10);

/// What is watched.
pub(super) struct Scope {
    pub(super) resource: Arc<Resource>,
    pub(super) version: String,
    pub(super) namespace: Option<String>,
    pub(super) selector: Selector,
    pub(super) shape: Shape,
}

/// One watch. It keeps a version, not what is still to be sent: a client that does not read costs nothing.
pub(super) struct Watch {
    cluster: Arc<Cluster>,
    scope: Scope,
    /// Up to where everything was sent.
    at: u64,
    latest: watch::Receiver<u64>,
    ends: Instant,
    bookmarks: bool,
    /// Texts that are ready.
    ready: VecDeque<Bytes>,
    /// Nothing comes after what is ready.
    over: bool,
    /// Whether a table's columns were said.
    titled: bool,
}

impl Watch {
    /// Begins a watch.
    ///
    /// # Errors
    /// Where the query is wrong.
    pub(super) fn begin(cluster: &Arc<Cluster>, scope: Scope, query: &Query) -> Result<Self, Failure> {
        if query.is("sendInitialEvents") && query.get("resourceVersionMatch").is_none() {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let wrong = [super::schema::FieldError::forbidden("resourceVersionMatch", why)];
            let message = super::schema::invalid_message("meta.k8s.io", "ListOptions", "", &wrong);
            return Err(Failure { message, ..Failure::invalid(&scope.resource, "", &wrong) });
        }
        let asked = query.get("resourceVersion").unwrap_or("0");
        let asked: u64 = asked.parse().map_err(|_| {
            Failure::bad_request(format!("resourceVersion: Invalid value: \"{asked}\": must be a number"))
        })?;
        let lasts = query.number("timeoutSeconds").and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.filter(|seconds| *seconds > 0).map_or(LASTS, Duration::from_secs);
        let sends_all = query.get("sendInitialEvents").map(|_| query.is("sendInitialEvents"));
        let starts_with_all = sends_all.unwrap_or(asked == 0);
        let (latest, there, now) = cluster.step(|state| {
            let latest = state.store.latest(&scope.resource.collection);
            let there: Vec<Arc<Stored>> = match starts_with_all {
                true => {
                    let within = state.store.within(&scope.resource.collection, scope.namespace.as_deref());
                    within.filter(|stored| scope.selector.selects(stored)).cloned().collect()
                }
                false => Vec::new(),
            };
            (latest, there, state.store.revision())
        });
        let at = if starts_with_all || asked == 0 { now } else { asked };
        let mut watch = Self {
            cluster: cluster.clone(),
            at,
            latest,
            ends: Instant::now() + lasts,
            bookmarks: query.is("allowWatchBookmarks"),
            ready: VecDeque::new(),
            over: false,
            titled: false,
            scope,
        };
        for stored in &there {
            watch.say("ADDED", &stored.text, stored.revision);
        }
        if sends_all == Some(true) {
            watch.mark(true);
        }
        Ok(watch)
    }

    /// The next text; none where the watch is over.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(text) = self.ready.pop_front() {
                return Some(text);
            }
            if self.over {
                return None;
            }
            self.latest.mark_unchanged();
            self.look();
            if !self.ready.is_empty() {
                continue;
            }
            let pause = (Instant::now() + BOOKMARKS).min(self.ends);
            match timeout_at(pause, self.latest.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => self.over = true,
                Err(_) => {
                    self.over = Instant::now() >= self.ends;
                    if self.bookmarks {
                        self.mark(false);
                    }
                }
            }
        }
    }

    /// Whether a text says that what was asked for is forgotten.
    pub(super) fn is_expiry(text: &Bytes) -> bool {
        text.starts_with(br#"{"type":"ERROR""#)
    }

    /// Reads what has happened since.
    fn look(&mut self) {
        let (found, now) = self
            .cluster
            .step(|state| (state.store.since(&self.scope.resource.collection, self.at), state.store.revision()));
        match found {
            Ok(changes) => {
                for change in &changes {
                    self.tell(change);
                }
                self.at = self.at.max(now);
            }
            Err(oldest) => {
                let gone = Failure::expired(format!("too old resource version: {} ({oldest})", self.at));
                self.ready.push_back(line("ERROR", &sent(&gone.status())));
                self.over = true;
            }
        }
    }

    /// What a change is to somebody who sees a part of the collection.
    fn tell(&mut self, change: &Change) {
        let scope = &self.scope;
        let is_seen = |stored: &Stored| {
            scope.namespace.as_deref().is_none_or(|namespace| namespace == &*stored.key.namespace)
                && scope.selector.selects(stored)
        };
        let before = change.before.as_deref().is_some_and(is_seen);
        let now = !change.removed && is_seen(&change.now);
        match (before, now) {
            (false, true) => self.say("ADDED", &change.now.text, change.now.revision),
            (true, true) => self.say("MODIFIED", &change.now.text, change.now.revision),
            (true, false) if change.removed => self.say("DELETED", &change.now.text, change.now.revision),
            // It is shown as it was last seen, with the version of the change that took it out of sight.
            (true, false) => {
                if let Some(before) = &change.before {
                    let mut object = before.value();
                    object["metadata"]["resourceVersion"] = json!(change.now.revision.to_string());
                    self.say("DELETED", &sent(&object), change.now.revision);
                }
            }
            (false, false) => {}
        }
    }

    fn say(&mut self, kind: &str, text: &Bytes, revision: u64) {
        let text = match self.scope.shape {
            Shape::Whole | Shape::Metadata => self.lens().object(text),
            Shape::Table => {
                let metadata = json!({ "resourceVersion": revision.to_string() });
                let table = self.lens().table(&[text], &metadata, !self.titled);
                self.titled = true;
                sent(&table)
            }
        };
        self.ready.push_back(line(kind, &text));
    }

    fn mark(&mut self, ends_list: bool) {
        let bookmark = self.lens().bookmark(self.at, ends_list);
        self.ready.push_back(line("BOOKMARK", &sent(&bookmark)));
    }

    fn lens(&self) -> Lens<'_> {
        Lens { resource: &self.scope.resource, version: &self.scope.version, shape: self.scope.shape }
    }
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    [b"{\"type\":\"", kind.as_bytes(), b"\",\"object\":", object, b"}\n"].concat().into()
}
