//! The actors in a small world of virtual time.

mod world;

mod faults;
mod pods;
mod rollouts;
mod workloads;
