//! Small reconcilers that give objects the life a cluster gives them.
//!
//! Each actor looks at one object and at what it has made ([`scene`]) and says what is to be done: acts that whoever
//! holds the objects performs. Nothing here waits, reads or writes: time comes with every call, chance from a seed
//! ([`dice`]), and what is to go wrong is said beforehand ([`faults`]). Statuses, conditions, reasons and events have the
//! words of Kubernetes 1.34; durations are about a hundred times shorter than a real cluster's.

mod dice;
mod faults;
mod scene;

mod bonds;
mod stage;

mod namespace;
mod node;

mod offspring;

mod daemonset;
mod deployment;
mod replicaset;
mod statefulset;

mod cronjob;
mod job;
mod schedule;

mod budget;
mod claim;
mod definition;
mod service;

mod leaders;
mod operators;

mod play;
mod pod;
mod told;

#[cfg(test)]
mod tests;

pub(crate) use dice::Pace;
pub use faults::{Fault, Target};
pub(crate) use leaders::Roles;
pub(crate) use operators::resource as operated;
pub(crate) use play::played;
pub(crate) use stage::Actors;
pub(crate) use told::{Started, started};
