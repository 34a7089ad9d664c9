//! One way to dial `service.namespace:port`: a port-forward stream from outside the cluster, a socket from inside.
//!
//! - Purpose: a byte stream that is handed straight to a client, and in plain words what was there instead.
//! - Never: a listener; a wait without an end; a stream that outlives its owner.
//! - Why [`Fate`]: opening a forward succeeds even where nothing listens, and the refusal follows on a channel of its
//!   own, after the client has taken the stream. Clients lose such errors on their way up, so it is kept aside.
//!
//! A forward ends at the pod's loopback: a server that listens on the pod's address alone is not reached by it, one that
//! listens on loopback alone is, and network policies do not apply.

mod dialer;
mod forward;
mod names;
mod stream;
mod target;
#[cfg(test)]
mod tests;

pub use self::dialer::{DialError, Dialer};
pub(crate) use self::stream::Duplex;
pub use self::stream::{Fate, Stream};
