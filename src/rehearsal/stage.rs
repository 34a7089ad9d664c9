//! The stage: the actors, what their containers have written, and who answers behind their ports.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::actors::{Actors, Pace};
use super::cast::Cast;
use super::logs::Logs;

/// Everything that lives beside the objects.
pub(super) struct Stage {
    actors: Mutex<Actors>,
    pub(super) logs: Logs,
    pub(super) cast: Arc<Cast>,
    /// Ends every connection with the rehearsal.
    pub(super) ended: CancellationToken,
}

impl Stage {
    /// A stage on which nothing has happened.
    pub(super) fn new(seed: u64, authority: String, cast: Arc<Cast>) -> Self {
        let actors = Actors::new(seed, Pace::default()).with_authority(authority);
        Self { actors: Mutex::new(actors), logs: Logs::default(), cast, ended: CancellationToken::new() }
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
