//! The programs that a run drives: helm, kind, k3d and a container engine.
//!
//! - Purpose: find each at a version that is known to work, on PATH or in the cache; else fetch the pinned official
//!   release, whose SHA-256 is written here; where that is out of reach, have an installed Go build the same version of
//!   helm; say everything that is missing at once, each with its remedy.
//! - Never: run a program that was not found here, keep a download whose sum differs, read the environment.
//! - Why pinned: a run of tomorrow uses what was tested today.

mod build;
mod containers;
mod download;
mod equipment;
mod missing;
mod pin;
mod tool;

pub use build::BuildError;
pub use containers::Engine;
pub use download::DownloadError;
pub use equipment::{Equipment, Needs, Tell, Toolbox};
pub use missing::Missing;
pub use tool::{Found, Tool};
