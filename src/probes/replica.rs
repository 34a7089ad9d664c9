//! What was written to one server, looked for on another.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Site;
use crate::checks::{Obstacle, Replicated};
use crate::span::Span;

/// How often a replica is asked: it cannot be watched.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(20);

/// The shortest time for it, however fast the cluster is said to be: there it is the machine that is late.
const LEAST_LAG: Duration = Duration::from_millis(400);

/// How long a replica may be behind at this cluster's pace.
pub(super) fn lag(claimed: Span, site: &Site<'_>) -> Duration {
    let (claimed, here) = (claimed.duration(), site.prober.hub.here(claimed.duration()));
    if here < claimed { here.max(LEAST_LAG) } else { claimed }
}

pub(super) fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How far looking for it has come, should the time run out meanwhile; with what has been seen before.
pub(super) struct Follower<F>(Mutex<Option<(F, Option<Replicated>)>>);

impl<F> Default for Follower<F> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<F: Clone> Follower<F> {
    /// From now on it is the replica that is waited for; so much has been seen before.
    pub(super) fn begin(&self, facts: &F) {
        *self.state() = Some((facts.clone(), None));
    }

    /// It is not waited for any more.
    pub(super) fn end(&self) {
        *self.state() = None;
    }

    /// It has answered, and it was not there.
    pub(super) fn missing(&self, after_ms: u64) {
        if let Some((_, so_far)) = self.state().as_mut() {
            *so_far = Some(Replicated::Absent { after_ms });
        }
    }

    /// What there is to say as long as the replica says no more; `None` where it is not waited for.
    pub(super) fn unanswered(&self, silent: impl FnOnce() -> Obstacle) -> Option<(F, Replicated)> {
        let (facts, so_far) = self.state().clone()?;
        Some((facts, so_far.unwrap_or_else(|| Replicated::Unmet(silent()))))
    }

    fn state(&self) -> MutexGuard<'_, Option<(F, Option<Replicated>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
