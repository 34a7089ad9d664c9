//! Clusters: made for a run, reused, or borrowed; and removed.
//!
//! - Purpose: a cluster that is usable, not merely created; images in its nodes; nothing left behind, not even after
//!   `kill -9`.
//! - Never: touch the user's kubeconfig, remove a cluster that this program did not make, let two runs share one.
//! - Why a record before creation: whatever happens to this process, what it made can be found and removed.

mod borrowed;
#[cfg(test)]
mod flows;
mod images;
mod inventory;
mod k3d;
mod kind;
mod lifecycle;
#[cfg(test)]
#[cfg(feature = "live")]
mod live;
mod maker;
mod preflight;
mod record;
mod usable;

pub use borrowed::{Borrowing, Place};
pub use inventory::{Downs, Force, Row, Standing};
pub use lifecycle::{ClusterKind, ClusterOptions, Clusters, Folders, Ownership, Raised};
pub use maker::Flavour;
pub use preflight::preflight;
