//! The rehearsal from outside: clients of every kind, and clients that behave as none should.
//!
//! - Why beside its unit tests: only over TLS is it seen that no client keeps another waiting, and that nothing breaks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "kubectl and helm are run from outside")]

mod abuse;
mod client;
mod crowd;
mod ends;
mod fuzz;
mod tools;
