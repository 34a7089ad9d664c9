//! Twin of `checks/exec.rs`.

use super::{Site, Unseen};
use crate::checks::{Exec, ExecAnswer};

pub(super) async fn observe(_claim: &Exec, _site: &Site<'_>) -> Result<ExecAnswer, Unseen> {
    Err(Unseen("this probe is not built yet".to_owned()))
}
