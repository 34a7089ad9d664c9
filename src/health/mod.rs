//! What Kubernetes objects say of themselves: ready, waiting on something, or doomed.
//!
//! - Purpose: a pure function from an object and what surrounds it to a [`Health`]: [`assess()`].
//! - Never: a request, a clock. What it needs is handed in, so every rule is a test over literal objects; states that
//!   heal now and then carry a [`Patience`] for whoever holds the clock.
//! - Why doomed: a state that cannot heal ends the wait at once and names the lowest cause, with the way down to it.

mod cause;
mod doubt;
mod object;
mod patience;
mod surroundings;

mod containers;
mod creation;
mod pods;
mod pulls;
mod scheduling;

mod conditions;
mod crds;
mod ingresses;
mod jobs;
mod scaling;
mod services;
mod volumes;
mod workloads;

mod assess;
#[cfg(test)]
mod literal;

pub use self::assess::{assess, is_built_in};
pub use self::cause::{Cause, Health, Speaker};
pub use self::doubt::{Belief, Doubt, doubts};
pub use self::jobs::is_cleaned_up;
pub use self::object::Object;
pub use self::patience::Patience;
pub use self::scaling::{deserted, wanted_pods};
pub use self::scheduling::wants_nodes;
pub use self::surroundings::Surroundings;
