//! Twin of `checks/http.rs`.

use super::{Site, Unseen};
use crate::checks::{Http, HttpAnswer};

pub(super) async fn observe(_claim: &Http, _site: &Site<'_>) -> Result<HttpAnswer, Unseen> {
    Err(Unseen("this probe is not built yet".to_owned()))
}
