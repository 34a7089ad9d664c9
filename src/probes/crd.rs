//! Twin of `checks/crd.rs`.

use super::{Site, Unseen};
use crate::checks::{Crd, CrdAnswer};

pub(super) async fn observe(_claim: &Crd, _site: &Site<'_>) -> Result<CrdAnswer, Unseen> {
    Err(Unseen("this probe is not built yet".to_owned()))
}
