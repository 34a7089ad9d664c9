//! What the plan promises and what the engine makes of it: whole outlines and whole transcripts, without a cluster.
//!
//! Time is paused, so a story of ten minutes takes none and always reads the same.

#![expect(clippy::unwrap_used, reason = "a story that cannot be told has failed")]

mod catalog;
mod plans;
mod runs;
mod world;
