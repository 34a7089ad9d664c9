//! Pods: a scheduler and a kubelet in one.
//!
//! What a pod lives through is kept in memory ([`life`]); the object only shows it ([`status`]). The words of conditions,
//! reasons and events are the kubelet's and the scheduler's of Kubernetes 1.34.

mod life;

mod cell;
mod needs;
mod schedule;
mod status;

pub(super) use life::Life;
pub(super) use needs::{Surroundings, expand, hostname};
pub(super) use status::HOST;
