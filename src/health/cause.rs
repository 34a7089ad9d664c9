//! How an object is, and the lowest thing that keeps it from being ready.

use super::{Object, Patience};

/// How an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is as its newest specification wants it.
    Ready {
        /// What shows it, in a few words: `2 of 2 replicas ready`.
        saw: String,
    },
    /// It may still become ready.
    Waiting {
        /// The lowest thing it waits on.
        on: Cause,
        /// How long that may last; `None` where it is ordinary progress.
        patience: Option<Patience>,
    },
    /// It will not become ready by waiting.
    Doomed(Cause),
}

/// The lowest thing that keeps an object from being ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// In one line, with the object, the container and the reporter's own words:
    /// `pod redis-0: container redis cannot pull image "redis:nope": not found (ErrImagePull)`.
    pub line: String,
    /// The objects on the way down to it, from the top: `Deployment redis`, `ReplicaSet redis-5d4`.
    pub way: Vec<String>,
    /// Whose log says more.
    pub speaker: Option<Speaker>,
}

/// Whose last words tell why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// A container that has exited.
    Container {
        /// Its pod.
        pod: String,
        /// Its name.
        container: String,
        /// Whether it has been restarted since, so that its last words are the previous container's.
        previous: bool,
    },
    /// Whichever container of an owner's pods wrote last. The pods may be gone; who heard them while they ran still knows.
    Pods {
        /// The owner's uid.
        owner: String,
    },
}

impl Health {
    pub(super) fn ready(saw: impl Into<String>) -> Self {
        Self::Ready { saw: saw.into() }
    }

    pub(super) fn waiting(line: impl Into<String>) -> Self {
        Self::Waiting { on: Cause::new(line), patience: None }
    }

    pub(super) fn stuck(line: impl Into<String>, patience: Patience) -> Self {
        Self::Waiting { on: Cause::new(line), patience: Some(patience) }
    }

    pub(super) fn doomed(line: impl Into<String>) -> Self {
        Self::Doomed(Cause::new(line))
    }

    /// The same, of which a log says more.
    pub(super) fn said_by(mut self, speaker: Speaker) -> Self {
        if let Self::Waiting { on: cause, .. } | Self::Doomed(cause) = &mut self {
            cause.speaker = Some(speaker);
        }
        self
    }

    /// The same as the reason for what stands above it.
    pub(super) fn below(mut self, owner: Object<'_>) -> Self {
        if let Self::Waiting { on: cause, .. } | Self::Doomed(cause) = &mut self {
            cause.way.insert(0, format!("{} {}", owner.kind, owner.name()));
        }
        self
    }

    /// The gravest of several, the first of equals; `None` where all are ready.
    pub(super) fn gravest(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut gravest: Option<Self> = None;
        for health in all {
            if health.gravity() > gravest.as_ref().map_or(0, Self::gravity) {
                gravest = Some(health);
            }
        }
        gravest
    }

    pub(super) const fn gravity(&self) -> u8 {
        match self {
            Self::Ready { .. } => 0,
            Self::Waiting { patience: None, .. } => 1,
            Self::Waiting { patience: Some(_), .. } => 2,
            Self::Doomed(_) => 3,
        }
    }
}

impl Cause {
    fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), way: Vec::new(), speaker: None }
    }
}
