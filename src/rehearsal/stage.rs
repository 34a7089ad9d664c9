//! The stage: the actors, what their containers have written, and who answers behind their ports.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::actors::{Actors, Pace};
use super::cast::Cast;
use super::logs::Logs;
use super::standins::words::Words;

/// When an actor has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Now.
    Now,
    /// Not before this moment, unless something changes.
    At(Instant),
    /// Not before something changes.
    Never,
}

/// How often something came to be open between a cluster and its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Requests, of which each takes at least a moment.
    pub requests: usize,
    /// Watches that had told all that there was to tell, and waited for more.
    pub watches: usize,
    /// Connections to containers.
    pub forwards: usize,
    /// Watches that were told that what they ask for is forgotten (410).
    pub expired: usize,
}

/// Everything that lives beside the objects.
pub(super) struct Stage {
    /// When the cluster began: the actors count from there.
    pub(super) begun: Instant,
    actors: Mutex<Actors>,
    pub(super) logs: Logs,
    pub(super) cast: Arc<Cast>,
    /// What those say who are to say something else.
    pub(super) words: Words,
    /// What is open between this cluster and its clients.
    pub(super) streams: watch::Sender<Streams>,
    /// When an actor has something to do next, where nothing is to be done now.
    pub(super) next: watch::Sender<Next>,
    /// Ends every connection with the rehearsal.
    pub(super) ended: CancellationToken,
}

impl Stage {
    /// A stage on which nothing has happened.
    pub(super) fn new(seed: u64, authority: String, cast: Arc<Cast>) -> Self {
        let actors = Actors::new(seed, Pace::default()).with_authority(authority);
        Self {
            begun: Instant::now(),
            actors: Mutex::new(actors),
            logs: Logs::default(),
            words: cast.words().clone(),
            cast,
            streams: watch::Sender::default(),
            next: watch::Sender::new(Next::Now),
            ended: CancellationToken::new(),
        }
    }

    /// The same stage once more, with others to stand in behind the ports.
    pub(super) fn fork(&self, cast: Arc<Cast>) -> Self {
        Self {
            begun: self.begun,
            actors: Mutex::new(self.actors().clone()),
            logs: self.logs.fork(),
            words: cast.words().clone(),
            cast,
            streams: watch::Sender::default(),
            next: watch::Sender::new(Next::Now),
            ended: CancellationToken::new(),
        }
    }

    /// The actors. Their lock is taken within the cluster's, never around it.
    pub(super) fn actors(&self) -> MutexGuard<'_, Actors> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pod is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.logs.drop_pod(uid);
        self.cast.drop_pod(uid);
    }
}
