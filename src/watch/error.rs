//! Waits that ended without what was waited for.

use std::sync::Arc;

/// A wait that ended without what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The API server does not serve the kind, or we may not watch it.
    #[error("cannot watch {kind}")]
    Refused {
        /// The kind as `plural.group/version`.
        kind: String,
        /// The API server's words.
        source: Arc<kube::Error>,
    },
    /// The API server serves nothing under the name, or more than one thing.
    #[error("the cluster does not know the kind {kind}{hint}")]
    Unknown {
        /// The kind as it was written.
        kind: String,
        /// What to write instead, with its separator; empty where that is not known.
        hint: String,
    },
    /// The API server does not say what it serves.
    #[error("cannot find out whether the cluster knows the kind {kind}")]
    Discovery {
        /// The kind as it was written.
        kind: String,
        /// What went wrong.
        source: Box<kube::Error>,
    },
}

impl WatchError {
    pub(super) fn unknown(kind: &str, remedy: &str) -> Self {
        let hint = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
        Self::Unknown { kind: kind.to_owned(), hint }
    }
}
