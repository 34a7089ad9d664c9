//! Receiving what another server commits, and the views in which both say so.
//!
//! A server that follows takes its primary's tables over whenever it is about to show them. Nothing runs in between.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

use super::sql::{Column, Kind};
use super::store::{Cell, Table};
use super::{Fault, Server};

/// Whom a server follows, and who follows it.
#[derive(Debug, Default)]
pub(super) struct Links {
    primary: Option<Weak<Server>>,
    standbys: Vec<Weak<Server>>,
    is_stopped: bool,
    leads: bool,
}

impl Server {
    /// Follows this server from now on.
    pub(crate) fn follow(self: &Arc<Self>, primary: &Arc<Self>) {
        let mut known = primary.links();
        known.standbys.retain(|standby| standby.strong_count() > 0 && standby.as_ptr() != Arc::as_ptr(self));
        known.standbys.push(Arc::downgrade(self));
        drop(known);
        let mut own = self.links();
        (own.primary, own.leads) = (Some(Arc::downgrade(primary)), false);
    }

    /// Follows nobody from now on, and takes writes, whatever it was to be.
    pub(crate) fn lead(&self) {
        self.settle();
        let mut own = self.links();
        (own.primary, own.leads) = (None, true);
        drop(own);
        if self.faults.is(Fault::LeadsEmpty) {
            self.lock().values_mut().for_each(BTreeMap::clear);
        }
    }

    /// Whether it was made the one that takes writes.
    pub(crate) fn leads(&self) -> bool {
        self.links().leads
    }

    /// Whether it follows this server.
    pub(crate) fn is_following(&self, primary: &Arc<Self>) -> bool {
        self.links().primary.as_ref().is_some_and(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(primary)))
    }

    /// It is gone: who follows it receives nothing any more, and whom it follows does not list it. Before it goes it sends what it
    /// has committed (PostgreSQL's manual, "Shutting Down the Server"), and nothing is committed after that.
    pub(crate) fn stop(&self) {
        let standbys: Vec<Weak<Self>> = self.links().standbys.clone();
        let follows =
            |standby: &Arc<Self>| standby.source().is_some_and(|source| std::ptr::eq(&raw const *source, self));
        let followers: Vec<Arc<Self>> = standbys.iter().filter_map(Weak::upgrade).filter(follows).collect();
        let last = {
            let databases = self.lock();
            self.links().is_stopped = true;
            databases.clone()
        };
        if !self.faults.is(Fault::DoesNotReplicate) {
            followers.iter().for_each(|standby| *standby.lock() = last.clone());
        }
    }

    /// Whether it is gone.
    pub(super) fn is_stopped(&self) -> bool {
        self.links().is_stopped
    }

    /// Takes over what its primary has committed, where that reaches it.
    pub(super) fn settle(&self) {
        let Some(primary) = self.source() else { return };
        if !primary.faults.is(Fault::DoesNotReplicate) {
            let committed = primary.lock().clone();
            *self.lock() = committed;
        }
    }

    /// Whom it receives from.
    pub(super) fn source(&self) -> Option<Arc<Self>> {
        let primary = self.links().primary.as_ref()?.upgrade()?;
        let is_up = !primary.links().is_stopped && !self.faults.is(Fault::LinkDown);
        is_up.then_some(primary)
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `pg_stat_replication`, as far as it is asked for. Who is no superuser sees no more than that they are there (PostgreSQL's
    /// manual, "Monitoring Database Activity").
    pub(super) fn stat_replication(&self, is_superuser: bool) -> Table {
        let known: Vec<Weak<Self>> = self.links().standbys.clone();
        let receives = |standby: &Arc<Self>| {
            !standby.links().is_stopped && standby.source().is_some_and(|source| std::ptr::eq(&raw const *source, self))
        };
        let state = match self.faults.on() {
            Some(Fault::HidesReplicas) => None,
            Some(Fault::ReplicasWait) => Some("catchup"),
            Some(_) | None => is_superuser.then_some("streaming"),
        };
        let replays = state.filter(|_| !self.faults.is(Fault::BacksUp)).map(|_| "0/3000060".to_owned());
        let row = |(at, standby): (usize, Arc<Self>)| {
            let name = if self.faults.is(Fault::BacksUp) { "pg_basebackup" } else { &standby.config.name };
            vec![Some((at + 60).to_string()), Some(name.to_owned()), state.map(str::to_owned), replays.clone()]
        };
        let rows = known.iter().filter_map(Weak::upgrade).filter(receives).enumerate().map(row).collect();
        let columns =
            [("pid", Kind::Int4), ("application_name", Kind::Text), ("state", Kind::Text), ("replay_lsn", Kind::Text)];
        table(&columns, rows)
    }

    /// `pg_replication_slots`: who follows has no slot here; a subscriber would, whose process is listed among those that follow.
    pub(super) fn replication_slots(&self) -> Table {
        let slot = || vec![Some("60".to_owned()), Some("logical".to_owned())];
        let rows = self.faults.is(Fault::Publishes).then(slot).into_iter().collect();
        table(&[("active_pid", Kind::Int4), ("slot_type", Kind::Text)], rows)
    }

    /// `pg_stat_wal_receiver`: one row, where it receives.
    pub(super) fn stat_wal_receiver(&self) -> Table {
        let receiver = || vec![Some("streaming".to_owned())];
        let rows = self.source().map(|_| receiver()).into_iter().collect();
        table(&[("status", Kind::Text)], rows)
    }
}

/// A view's columns with its rows.
pub(super) fn table(columns: &[(&str, Kind)], rows: Vec<Vec<Cell>>) -> Table {
    let column = |(name, kind): &(&str, Kind)| Column { name: (*name).to_owned(), kind: *kind };
    Table { columns: columns.iter().map(column).collect(), rows }
}
