//! Twin of `checks/reach.rs`: getting as far as a conversation with a server.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::{Site, Unseen};
use crate::checks::{Address, Claim, Obstacle};
use crate::tunnel::{DialError, Fate, Stream};

/// How long a server may be silent before its silence is noted as how the check stands.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// The shortest time for that, however fast the cluster is said to be: a busy machine is late by more.
const LEAST_SILENCE: Duration = Duration::from_millis(150);

/// When somebody last said something, or was reached: how long a way is says nothing of who is at its end. Clones share it, for a
/// task that outlives its look.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<Option<Instant>>>);

impl Heard {
    /// That was now.
    pub(super) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No conversation: the platform is to blame, or nothing can be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unmet {
    Obstacle(Obstacle),
    Unseen(Unseen),
}

impl Unmet {
    /// The obstacle as an answer.
    pub(super) fn answer<A>(self, answer: impl FnOnce(Obstacle) -> A) -> Result<A, Unseen> {
        match self {
            Self::Obstacle(obstacle) => Ok(answer(obstacle)),
            Self::Unseen(unseen) => Err(unseen),
        }
    }

    /// What stood in the way, as a text.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Obstacle(obstacle) => obstacle.text().to_owned(),
            Self::Unseen(Unseen(why)) => why.clone(),
        }
    }

    /// A conversation that ended too early, in the client's `words`: what befell the stream on its way counts first.
    pub(super) fn broke(fate: &Fate, words: impl Into<String>) -> Self {
        fate.told().map_or_else(|| Self::Obstacle(Obstacle::Broke(words.into())), Self::from)
    }
}

/// A step of a conversation that failed.
pub(super) enum Failure {
    /// The server said why: its code, then its words.
    Said(String),
    /// The conversation ended.
    Unmet(Unmet),
}

impl Failure {
    pub(super) fn words(&self) -> String {
        match self {
            Self::Said(error) => error.clone(),
            Self::Unmet(unmet) => unmet.words(),
        }
    }
}

impl From<Unmet> for Failure {
    fn from(unmet: Unmet) -> Self {
        Self::Unmet(unmet)
    }
}

impl From<Unseen> for Failure {
    fn from(unseen: Unseen) -> Self {
        Self::Unmet(unseen.into())
    }
}

/// What a server said, good or bad, told apart from the end of the conversation.
pub(super) fn heard<T>(said: Result<T, Failure>) -> Result<Result<T, String>, Unmet> {
    match said {
        Ok(said) => Ok(Ok(said)),
        Err(Failure::Said(error)) => Ok(Err(error)),
        Err(Failure::Unmet(unmet)) => Err(unmet),
    }
}

impl From<Unseen> for Unmet {
    fn from(unseen: Unseen) -> Self {
        Self::Unseen(unseen)
    }
}

impl From<DialError> for Unmet {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Missing(text) => Self::Obstacle(Obstacle::Missing(text)),
            DialError::NoEndpoint(text) => Self::Obstacle(Obstacle::NoEndpoint(text)),
            DialError::Refused(text) => Self::Obstacle(Obstacle::Refused(text)),
            DialError::Podless(text) | DialError::Lost(text) => Self::Unseen(Unseen(text)),
        }
    }
}

impl Site<'_> {
    /// A stream to an address of the claim.
    pub(super) async fn dial(&self, at: &Address) -> Result<Stream, Unmet> {
        let stream = self.prober.dialer.dial(at, self.namespace()).await?;
        self.met.store(true, Ordering::Relaxed);
        self.heard.note();
        Ok(stream)
    }

    /// Notes that somebody has said something: of a look that asks much the whole may take longer than a silence.
    pub(super) fn heard<T>(&self, said: T) -> T {
        self.heard.note();
        said
    }

    /// Sees `talk` through. A server that says nothing for long breaks the claim, should the look's time run out; `silence`
    /// is asked now and again what that would be. As long as nobody has been reached, it is not a server that is silent.
    pub(super) async fn hearing<C: Claim, T>(
        &self,
        claim: &C,
        silence: impl Fn() -> C::Answer,
        talk: impl Future<Output = T>,
    ) -> T {
        let mut talk = pin!(talk);
        let patience = self.prober.hub.here(SILENCE).max(LEAST_SILENCE);
        let mut since = Instant::now();
        loop {
            if let Ok(said) = timeout_at(since + patience, &mut talk).await {
                return said;
            }
            if let Some(heard) = self.heard.last().filter(|heard| *heard > since) {
                since = heard;
                continue;
            }
            if self.met.load(Ordering::Relaxed) {
                self.notes.stands(claim.judge(&silence()));
            }
            since = Instant::now();
        }
    }
}

/// Longest time for a look that is part of another, and the shortest time for that.
const LOOK: Duration = Duration::from_secs(30);
const LEAST_LOOK: Duration = Duration::from_secs(3);

impl Site<'_> {
    /// Sees a look through that is part of another, which notes on its own account how the check stands: a server that says
    /// nothing is `silent` in the end.
    pub(super) async fn within<T>(
        &self,
        look: impl Future<Output = Result<T, Unmet>>,
        silent: impl FnOnce() -> Obstacle,
    ) -> Result<T, Unmet> {
        let patience = self.prober.hub.here(LOOK).max(LEAST_LOOK);
        timeout(patience, look).await.unwrap_or_else(|_elapsed| Err(Unmet::Obstacle(silent())))
    }
}

/// What a server is that accepts and then says nothing.
pub(super) fn silent(system: &str, at: &Address) -> Obstacle {
    Obstacle::Broke(format!("{system} {at} does not answer"))
}
