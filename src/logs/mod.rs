//! Container logs, streamed to files from their first line, so that a pod that is gone has still been heard.
//!
//! - Purpose: follow every container of a namespace, init and earlier instances included, into one file each.
//! - Never: a line lost or doubled when a stream drops, a secret value in a file, a failure of the run: a log that
//!   cannot be had is a fact for the report, not an error.
//! - Why not `previous` alone: a Job's pod, a hook's pod or a rollout's old pod is deleted with its logs.

mod keeper;
mod lines;
mod stream;

pub use self::keeper::{Heard, LogKeeper};
pub use self::lines::words;
