//! Twin of `checks/namespace.rs`.

use super::{Site, Unseen};
use crate::checks::{Namespace, NamespaceAnswer};

pub(super) async fn observe(_claim: &Namespace, _site: &Site<'_>) -> Result<NamespaceAnswer, Unseen> {
    Err(Unseen("this probe is not built yet".to_owned()))
}
