//! A Sentinel: which server leads, as it sees it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::commands::text;
use super::resp::Reply;
use super::{Fault, Server};

/// How long a master must be gone until another leads: five seconds, at a rehearsal's pace; and where that takes long.
const DOWN_AFTER: Duration = Duration::from_millis(250);
const LATE: Duration = Duration::from_secs(3);

/// A master that is watched.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    name: String,
    ip: String,
    port: u16,
    master: Arc<Server>,
    quorum: u32,
    /// How many Sentinels watch it, with this one.
    sentinels: u32,
    /// Whether its master does not answer it.
    is_down: bool,
    /// How many of them it reaches.
    usable: u32,
    /// Whether no replica may lead.
    is_childless: bool,
}

impl Watched {
    fn is_up(&self) -> bool {
        !self.is_down && !self.master.is_stopped()
    }

    fn turn_to(&mut self, master: Arc<Server>) {
        (self.ip, self.port) = (master.config.ip.clone(), master.config.port);
        self.master = master;
    }
}

impl Server {
    /// Watches this master under a name, in place of whom it has watched under it: with so many Sentinels in all, of whom
    /// so many must agree that it is gone.
    pub(crate) fn watch(&self, name: &str, master: &Arc<Self>, quorum: u32, sentinels: u32) {
        let mut state = self.state();
        state.watched.retain(|watched| watched.name != name);
        state.watched.push(Watched {
            name: name.to_owned(),
            ip: master.config.ip.clone(),
            port: master.config.port,
            master: Arc::clone(master),
            quorum,
            sentinels,
            is_down: false,
            usable: sentinels,
            is_childless: false,
        });
    }

    /// Who leads under a name that it watches, whoever did before; `None` where that one is gone and nobody can lead in its place.
    /// Somebody has come who is to follow: another is chosen at once where the one that led is gone.
    pub(crate) fn leader(&self, name: &str) -> Option<Arc<Self>> {
        self.elect(Duration::ZERO);
        let state = self.state();
        let watched = state.watched.iter().find(|watched| watched.name == name)?;
        let waits = self.faults.is(Fault::NeverElects) || self.faults.is(Fault::ElectsLate);
        Some(Arc::clone(&watched.master)).filter(|master| waits || !master.is_stopped())
    }

    /// Turns to another where a master has been gone for so long.
    fn elect(&self, after: Duration) {
        let after = match self.faults.on() {
            Some(Fault::NeverElects) => return,
            Some(Fault::ElectsLate) => LATE,
            Some(_) | None => after,
        };
        let now = Instant::now();
        for watched in &mut self.state().watched {
            let gone = watched.master.state().stopped;
            if gone.is_some_and(|gone| now.duration_since(gone) >= after)
                && let Some(next) = watched.master.succeed()
            {
                watched.turn_to(next);
            }
        }
    }

    /// Whom it watches, as it says that it does.
    fn watched(&self) -> Vec<Watched> {
        self.elect(DOWN_AFTER);
        let mut all = self.state().watched.clone();
        for watched in &mut all {
            match self.faults.on() {
                Some(Fault::NamesAnother) => watched.ip.clone_from(&self.config.ip),
                Some(Fault::NamesLoopback) => "127.0.0.1".clone_into(&mut watched.ip),
                Some(Fault::SeesItDown) => watched.is_down = true,
                Some(Fault::NoQuorum) => watched.usable = watched.quorum.saturating_sub(1),
                Some(Fault::NoHeirs) => watched.is_childless = true,
                Some(Fault::KnowsFewer) => watched.sentinels = 1,
                Some(_) | None => {}
            }
        }
        all.retain(|_| !self.faults.is(Fault::KnowsNoMaster));
        all
    }

    /// The names of the masters that are watched.
    pub(super) fn watched_names(&self) -> Vec<Reply> {
        self.watched().iter().map(|watched| Reply::bulk(watched.name.clone())).collect()
    }

    /// The lines of `INFO sentinel`.
    pub(super) fn sentinel_section(&self) -> Vec<String> {
        let all = self.watched();
        let mut lines = vec![format!("sentinel_masters:{}", all.len()), "sentinel_tilt:0".to_owned()];
        for (at, watched) in all.iter().enumerate() {
            let status = if watched.is_up() { "ok" } else { "odown" };
            let (name, ip, port, sentinels) = (&watched.name, &watched.ip, watched.port, watched.sentinels);
            let slaves = replicas(watched).len();
            lines.push(format!(
                "master{at}:name={name},status={status},address={ip}:{port},slaves={slaves},sentinels={sentinels}"
            ));
        }
        lines
    }

    /// `SENTINEL …`
    pub(super) fn sentinel(&self, words: &[Vec<u8>]) -> Reply {
        let sub = text(&words[0]).to_lowercase();
        let all = self.watched();
        let of = |name: &[u8]| all.iter().find(|watched| watched.name.as_bytes() == name);
        match (sub.as_str(), &words[1..]) {
            ("masters", []) => Reply::Array(all.iter().map(master).collect()),
            ("get-master-addr-by-name", [name]) => of(name).map_or(Reply::NullArray, |watched| {
                Reply::Array(vec![Reply::bulk(watched.ip.clone()), Reply::bulk(watched.port.to_string())])
            }),
            ("master", [name]) => of(name).map_or_else(nobody, master),
            ("replicas" | "slaves", [name]) => of(name).map_or_else(nobody, |watched| Reply::Array(replicas(watched))),
            ("sentinels", [name]) => of(name).map_or_else(nobody, sentinels),
            ("ckquorum", [name]) => of(name).map_or_else(nobody, quorum),
            ("myid", []) => Reply::bulk(self.run_id.clone()),
            // Which parts there are, and with how many words, is looked at before.
            _ => Reply::error("ERR syntax error"),
        }
    }
}

fn nobody() -> Reply {
    Reply::error("ERR No such master with that name")
}

fn fields(pairs: Vec<(&str, String)>) -> Reply {
    Reply::Map(pairs.into_iter().map(|(name, value)| (Reply::bulk(name), Reply::bulk(value))).collect())
}

fn master(watched: &Watched) -> Reply {
    let flags = if watched.is_up() { "master" } else { "s_down,o_down,master,disconnected" };
    fields(vec![
        ("name", watched.name.clone()),
        ("ip", watched.ip.clone()),
        ("port", watched.port.to_string()),
        ("runid", watched.master.run_id.clone()),
        ("flags", flags.to_owned()),
        ("down-after-milliseconds", "30000".to_owned()),
        ("role-reported", "master".to_owned()),
        ("config-epoch", "0".to_owned()),
        ("num-slaves", replicas(watched).len().to_string()),
        ("num-other-sentinels", watched.sentinels.saturating_sub(1).to_string()),
        ("quorum", watched.quorum.to_string()),
        ("failover-timeout", "180000".to_owned()),
        ("parallel-syncs", "1".to_owned()),
    ])
}

fn replicas(watched: &Watched) -> Vec<Reply> {
    let master = &watched.master;
    let one = |follower: &super::replication::Follower| {
        fields(vec![
            ("name", format!("{}:{}", follower.ip, follower.port)),
            ("ip", follower.ip.clone()),
            ("port", follower.port.to_string()),
            ("runid", follower.run_id.clone()),
            ("flags", "slave".to_owned()),
            ("role-reported", "slave".to_owned()),
            ("master-link-down-time", "0".to_owned()),
            ("master-link-status", if master.is_stopped() { "err" } else { "ok" }.to_owned()),
            ("master-host", watched.ip.clone()),
            ("master-port", watched.port.to_string()),
            ("slave-priority", if watched.is_childless { "0" } else { "100" }.to_owned()),
            ("slave-repl-offset", follower.offset.to_string()),
        ])
    };
    master.followers().iter().map(one).collect()
}

/// The others that watch it. Only how many they are is known.
fn sentinels(watched: &Watched) -> Reply {
    let one = |at: u32| {
        fields(vec![
            ("name", format!("{at:040x}")),
            ("port", "26379".to_owned()),
            ("runid", format!("{at:040x}")),
            ("flags", "sentinel".to_owned()),
        ])
    };
    Reply::Array((1..watched.sentinels).map(one).collect())
}

fn quorum(watched: &Watched) -> Reply {
    let usable = watched.usable;
    if usable < watched.quorum {
        let words = "Not enough available Sentinels to reach the specified quorum for this master";
        return Reply::error(format!("NOQUORUM {usable} usable Sentinels. {words}"));
    }
    Reply::Words(format!("OK {usable} usable Sentinels. Quorum and failover authorization can be reached"))
}
