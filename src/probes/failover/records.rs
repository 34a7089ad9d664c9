//! Writes to Kafka: each is a record of one partition of our own, on which a group has committed how far it has come.

use std::time::Duration;

use tokio::time::timeout;

use super::super::kafka::Producer;
use super::super::reach::Unmet;
use super::{Ledger, Said};
use crate::checks::Written;

impl Ledger for Producer<'_> {
    const COMMITS: bool = true;

    fn home(&self) -> &str {
        Producer::home(self)
    }

    fn leader(&self) -> Option<(String, String)> {
        Producer::leader(self)
    }

    fn forget(&mut self) {
        Producer::forget(self);
    }

    async fn write(&mut self, number: usize, patience: Duration) -> Result<Said<()>, Unmet> {
        Producer::write(self, number, patience).await
    }

    async fn missing(&mut self, numbers: &[usize], patience: Duration) -> Option<Vec<usize>> {
        // What is asked may not outlast what it is asked of.
        timeout(patience * 2, Producer::missing(self, numbers, patience)).await.ok().flatten()
    }

    async fn commit(&mut self, offset: i64) -> Said<()> {
        Producer::commit(self, offset).await
    }

    async fn committed(&mut self, offset: i64) -> Option<Written> {
        Producer::committed(self, offset).await
    }

    async fn tidy(&mut self, _: usize) -> Vec<String> {
        Producer::tidy(self).await
    }
}
