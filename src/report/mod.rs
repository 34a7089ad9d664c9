//! How a run is told: to a terminal, to a CI's test tab, to a later reader, to a pull request.
//!
//! - Purpose: reporters are folds over the events; the same events always give the same bytes, live or replayed.
//! - Never: a cluster, a clock, the environment's variables, a file's path to open. Writers are handed in. (What
//!   animates the lines of a live terminal is indicatif's own timer, and nothing of it stays on the screen.)
//! - Why one [`Record`] beneath them all: what a step came to is worked out once, so two reports never disagree.

mod critical_path;
mod figures;
mod github;
mod junit;
mod out;
mod proofs;
mod record;
mod reports;
mod suites;
mod telling;
mod terminal;
mod transcript;

pub use self::github::Github;
pub use self::junit::{Dialect, Junit, unended};
pub use self::out::Out;
pub use self::proofs::{proofs, proofs_junit};
pub use self::record::{Look, Record, StepRecord};
pub use self::reports::{ReportError, Reporter, Reports};
pub use self::terminal::{Colour, Terminal, Voice, coloured};
pub use self::transcript::{Reading, Transcript, TranscriptError, read};
