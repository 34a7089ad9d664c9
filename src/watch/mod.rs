//! One shared watch per kind and namespace, for every wait of a run.
//!
//! - Purpose: a wait is a predicate over a store that a single watch keeps fresh; a hundred waits cost what one costs.
//! - Never: a poll per assertion, an unbounded wait (the engine drops a wait at its deadline), a missed change after
//!   `410 Gone`, a dropped connection or a restarted API server.

use kube::Client;
use kube::api::{ApiResource, DynamicObject};

use crate::ports::Notes;

/// One object in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectRef {
    /// Its kind.
    pub resource: ApiResource,
    /// Its namespace; `None` for a kind without.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// The watches of one run; clones share them.
#[derive(Clone)]
pub struct Hub {
    client: Client,
}

/// A wait that ended without what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The API server does not know the kind, or we may not watch it.
    #[error("cannot watch {kind}")]
    Refused {
        /// The kind as `plural.group/version`.
        kind: String,
        /// The API server's words.
        source: Box<kube::Error>,
    },
}

/// Objects that will not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doom {
    /// The lowest cause in one line.
    pub why: String,
    /// The way down to it.
    pub details: Vec<String>,
}

impl Hub {
    /// No watch is opened before something waits.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client that the watches use.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Waits until `decide` makes something of the objects of a kind in a namespace (`None`: all of them, or a kind
    /// without namespaces). It is asked once when the first list is complete, and again after every change.
    ///
    /// # Errors
    /// Where the API server refuses the watch for good: the kind is not served, or access is denied.
    pub async fn until<T>(
        &self,
        _resource: &ApiResource,
        _namespace: Option<&str>,
        _decide: impl FnMut(&[std::sync::Arc<DynamicObject>]) -> Option<T> + Send,
    ) -> Result<T, WatchError> {
        std::future::pending().await
    }

    /// Waits until every one of these objects is ready by `health`, or one is doomed; notes what it waits for.
    ///
    /// # Errors
    /// The outer error where a watch is refused, the inner one where an object is doomed.
    pub async fn settle(&self, _objects: &[ObjectRef], _notes: &Notes) -> Result<Result<String, Doom>, WatchError> {
        std::future::pending().await
    }
}
