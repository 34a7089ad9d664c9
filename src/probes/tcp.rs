//! Twin of `checks/tcp.rs`.

use super::{Site, Unseen};
use crate::checks::{Tcp, TcpAnswer};

pub(super) async fn observe(_claim: &Tcp, _site: &Site<'_>) -> Result<TcpAnswer, Unseen> {
    Err(Unseen("this probe is not built yet".to_owned()))
}
