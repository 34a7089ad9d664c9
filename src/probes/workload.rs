//! Twin of `checks/workload.rs`.

use super::{Site, Unseen};
use crate::checks::{Workload, WorkloadAnswer};

pub(super) async fn observe(_claim: &Workload, _site: &Site<'_>) -> Result<WorkloadAnswer, Unseen> {
    Err(Unseen("this probe is not built yet".to_owned()))
}
