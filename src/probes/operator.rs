//! Twin of `checks/operator.rs`.

use super::{Site, Unseen};
use crate::checks::{Operator, OperatorAnswer};

pub(super) async fn observe(_claim: &Operator, _site: &Site<'_>) -> Result<OperatorAnswer, Unseen> {
    Err(Unseen("this probe is not built yet".to_owned()))
}
