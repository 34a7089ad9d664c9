//! Leading and following.
//!
//! A server that follows reads its master's log by itself, whenever it is about to say something: each change once its
//! lag is over. Nothing runs in between, so that what is read depends on the clock alone.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::keys::{Change, Keys};
use super::resp::Reply;
use super::{Fault, Link, Server};

/// How long a chain of servers that follow each other may be.
const LONGEST_CHAIN: u8 = 8;

/// A server that follows, as its master knows it.
pub(super) struct Follower {
    pub(super) ip: String,
    pub(super) port: u16,
    pub(super) offset: u64,
    pub(super) run_id: String,
}

impl Server {
    /// Follows this server from now on: takes its keys over, and after them each of its writes.
    pub(crate) fn follow(self: &Arc<Self>, master: &Arc<Self>) {
        master.settle();
        let (keys, log) = {
            let mut leader = master.state();
            leader.replicas.retain(|known| known.strong_count() > 0 && known.as_ptr() != Arc::as_ptr(self));
            leader.replicas.push(Arc::downgrade(self));
            (leader.keys.clone(), leader.log.clone())
        };
        let mut state = self.state();
        state.keys = keys;
        state.link = Some(Link {
            master: Arc::downgrade(master),
            id: master.run_id.clone(),
            ip: master.config.ip.clone(),
            port: master.config.port,
            lag: self.config.lag,
            applied: log.len(),
            log,
        });
    }

    /// Follows nobody from now on, and takes writes.
    pub(crate) fn lead(&self) {
        self.settle();
        let mut state = self.state();
        state.link = None;
        if self.faults.is(Fault::LeadsEmpty) {
            state.keys = Keys::default();
        }
    }

    /// Whether it follows this server.
    pub(crate) fn is_following(&self, master: &Arc<Self>) -> bool {
        self.state().link.as_ref().is_some_and(|link| std::ptr::eq(link.master.as_ptr(), Arc::as_ptr(master)))
    }

    /// Who leads in place of this server, which is gone: of those that followed it one that leads already, else the one that has
    /// most of its stream, whom the others follow from then on. `None` where nobody is left.
    pub(super) fn succeed(&self) -> Option<Arc<Self>> {
        let known: Vec<Weak<Self>> = self.state().replicas.clone();
        let alive = known.iter().filter_map(Weak::upgrade).filter(|server| !server.is_stopped());
        // Whoever follows somebody else is not its own any more.
        let (own, others): (Vec<_>, Vec<_>) = alive.partition(|server| {
            let link = server.state().link.clone();
            link.is_some_and(|link| std::ptr::eq(link.master.as_ptr(), self))
        });
        if let Some(leads) = others.into_iter().find(|server| server.state().link.is_none()) {
            return Some(leads);
        }
        let next = own.iter().max_by_key(|server| server.offset())?.clone();
        next.lead();
        own.iter().filter(|server| !Arc::ptr_eq(server, &next)).for_each(|server| server.follow(&next));
        Some(next)
    }

    /// Applies what has arrived from the master by now.
    pub(super) fn settle(&self) {
        self.settle_after(LONGEST_CHAIN);
    }

    fn settle_after(&self, chain: u8) {
        let Some(Link { master, .. }) = self.state().link.clone() else { return };
        let master = master.upgrade();
        let stuck = |server: &Self| server.faults.is(Fault::DoesNotReplicate) || server.faults.is(Fault::LinkDown);
        if chain == 0 || stuck(self) || master.as_deref().is_some_and(stuck) {
            return;
        }
        if let Some(master) = &master {
            master.settle_after(chain - 1);
        }
        let mut state = self.state();
        let Some(link) = state.link.clone() else { return };
        let now = Instant::now();
        // Who is told to stop lets those that follow have all first, as Redis does from 7.0 on (`shutdown-timeout`).
        let lag = if master.is_none_or(|master| master.is_stopped()) { Duration::ZERO } else { link.lag };
        let Some(sent_by) = now.checked_sub(lag) else { return };
        let arrived = link.log.since(link.applied, sent_by);
        if let Some(link) = &mut state.link {
            link.applied += arrived.len();
        }
        for change in arrived {
            state.log.push(now, change.clone());
            state.keys.apply(change);
        }
    }

    /// Makes a change of its own, and sends it to all that follow.
    pub(super) fn make(&self, change: Change) {
        if self.faults.is(Fault::LosesWrites) {
            return;
        }
        let mut state = self.state();
        state.log.push(Instant::now(), change.clone());
        state.keys.apply(change);
    }

    /// Where its master is and whether the link to it is up; `None` of a server that leads.
    pub(super) fn link(&self) -> Option<(String, u16, bool)> {
        let link = self.state().link.clone()?;
        let is_up = link.master.upgrade().is_some_and(|master| self.hears(&master));
        Some((link.ip, link.port, is_up))
    }

    /// How much of its master's stream, or of its own, it has.
    pub(super) fn offset(&self) -> u64 {
        self.settle();
        let state = self.state();
        match &state.link {
            Some(link) => link.log.offset(link.applied),
            None => state.log.offset(state.log.len()),
        }
    }

    /// Whose stream it has: its master's, or its own.
    pub(super) fn replication_id(&self) -> String {
        self.state().link.as_ref().map_or_else(|| self.run_id.clone(), |link| link.id.clone())
    }

    /// The servers that follow it and whose link is up.
    pub(super) fn followers(&self) -> Vec<Follower> {
        let known: Vec<Weak<Self>> = self.state().replicas.clone();
        let follows = |server: &Arc<Self>| {
            let link = server.state().link.clone();
            link.is_some_and(|link| std::ptr::eq(link.master.as_ptr(), self)) && server.hears(self)
        };
        let all = known.iter().filter_map(Weak::upgrade).filter(follows);
        all.map(|server| Follower {
            ip: server.config.ip.clone(),
            port: server.config.port,
            offset: server.offset(),
            run_id: server.run_id.clone(),
        })
        .collect()
    }

    fn hears(&self, master: &Self) -> bool {
        let alive = |server: &Self| !server.is_stopped() && !server.faults.is(Fault::LinkDown);
        alive(self) && alive(master)
    }

    /// How many followers have all that was written.
    pub(super) fn caught_up(&self) -> usize {
        let own = self.offset();
        self.followers().iter().filter(|follower| follower.offset >= own).count()
    }

    /// `WAIT`: how many followers have all that was written. Waits for them no longer than this; zero is for ever.
    pub(super) async fn wait(&self, wanted: usize, longest: Duration) -> Reply {
        let arrives = self.state().log.last().map(|last| last + self.config.lag);
        let until = Instant::now() + longest;
        if self.caught_up() < wanted {
            let soon = arrives.unwrap_or(until);
            tokio::time::sleep_until(if longest.is_zero() { soon } else { soon.min(until) }).await;
        }
        if self.caught_up() < wanted {
            match longest.is_zero() {
                true => std::future::pending().await,
                false => sleep(until.saturating_duration_since(Instant::now())).await,
            }
        }
        Reply::Integer(i64::try_from(self.caught_up()).unwrap_or(i64::MAX))
    }
}
