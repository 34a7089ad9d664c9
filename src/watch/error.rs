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
    /// The API server serves nothing under the name.
    #[error("the cluster does not know the kind {kind}")]
    Unknown {
        /// The kind as it was written.
        kind: String,
    },
    /// The API server serves the name, but in other versions than the one written, or in several groups.
    #[error("the cluster does not serve the kind {kind} as it is written; it serves {served}")]
    Otherwise {
        /// The kind as it was written.
        kind: String,
        /// What could be written instead: `example.org/v1/Widget, example.org/v2/Widget`.
        served: String,
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
