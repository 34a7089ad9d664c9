//! Executes a plan; the only source of events.
//!
//! - Purpose: decide synchronously (`scheduler`, `convergence`), act asynchronously (`driver`, `attempt`).
//! - Never: know a cluster, a chart or a protocol. The world is behind [`crate::ports::World`].
//! - Why two halves: every rule of blocking, cancelling and budgets is a unit test without a clock.

mod attempt;
mod convergence;
mod driver;
mod ending;
mod meter;
mod recorder;
mod scheduler;

pub use self::driver::{RunOptions, run};
pub use self::meter::Usage;
