//! One shared watch per kind and namespace, for every wait of a run.
//!
//! - Purpose: a wait is a predicate over a store that a single watch keeps fresh; a hundred waits cost what one costs.
//! - Never: a poll per assertion, an unbounded wait (the engine drops a wait at its deadline), a missed change after
//!   `410 Gone`, a dropped connection or a restarted API server.
//! - What a watch keeps is lean: neither managed fields, nor the schemas of CustomResourceDefinitions, nor the
//!   values of Secrets.

mod error;
mod feed;
mod hub;
mod kinds;
mod lean;
mod manned;
mod scene;
mod settle;
mod shelf;

pub use self::error::WatchError;
pub use self::feed::Objects;
pub use self::hub::{Hub, ObjectRef, Window};
pub use self::scene::view;
pub use self::settle::{Doom, Ear, LastWords, is_no_log};
pub use self::shelf::Shelf;
