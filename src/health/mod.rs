//! What Kubernetes objects say of themselves: ready, waiting on something, or doomed.
//!
//! - Purpose: a pure function from an object and what surrounds it to a [`Health`].
//! - Never: a request. What it needs is handed in, so every rule is a test over a literal object.
//! - Why doomed: a state that cannot heal ends the wait at once and names the lowest cause.

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
        /// The lowest thing it waits on: `pod redis-0: container redis is being created`.
        on: String,
    },
    /// It will not become ready by waiting.
    Doomed {
        /// The lowest cause in one line, with the object, the container and the reporter's own words.
        why: String,
        /// The way down to it and more of what is known: owners, last log lines, events.
        details: Vec<String>,
    },
}
