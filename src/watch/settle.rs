//! Waiting until objects are ready, or one of them never will be.

use super::{Hub, ObjectRef, WatchError};
use crate::ports::Notes;

/// Objects that will not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doom {
    /// The lowest cause in one line.
    pub why: String,
    /// The way down to it.
    pub details: Vec<String>,
}

impl Hub {
    /// Waits until every one of these objects is ready by `health`, or one is doomed; notes what it waits for.
    ///
    /// # Errors
    /// The outer error where a watch is refused, the inner one where an object is doomed.
    pub async fn settle(&self, _objects: &[ObjectRef], _notes: &Notes) -> Result<Result<String, Doom>, WatchError> {
        std::future::pending().await
    }
}
