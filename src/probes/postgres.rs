//! Twin of `checks/postgres.rs`.

use super::{Site, Unseen};
use crate::checks::{Postgres, PostgresAnswer};

pub(super) async fn observe(_claim: &Postgres, _site: &Site<'_>) -> Result<PostgresAnswer, Unseen> {
    Err(Unseen("this probe is not built yet".to_owned()))
}
