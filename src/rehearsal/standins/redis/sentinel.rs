//! A Sentinel: which server leads, as it sees it.

use std::sync::{Arc, Weak};

use super::Server;
use super::commands::text;
use super::resp::Reply;

/// A master that is watched.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    name: String,
    ip: String,
    port: u16,
    master: Weak<Server>,
    quorum: u32,
    /// How many Sentinels watch it, with this one.
    sentinels: u32,
}

impl Watched {
    fn is_up(&self) -> bool {
        self.master.upgrade().is_some_and(|master| !master.is_stopped())
    }
}

impl Server {
    /// Watches this master under a name, in place of whom it has watched under it: with so many Sentinels in all, of whom
    /// so many must agree that it is gone.
    pub(crate) fn watch(&self, name: &str, master: &Arc<Self>, quorum: u32, sentinels: u32) {
        let (ip, port) = (master.config.ip.clone(), master.config.port);
        let master = Arc::downgrade(master);
        let mut state = self.state();
        state.watched.retain(|watched| watched.name != name);
        state.watched.push(Watched { name: name.to_owned(), ip, port, master, quorum, sentinels });
    }

    /// The names of the masters that are watched.
    pub(super) fn watched_names(&self) -> Vec<Reply> {
        self.state().watched.iter().map(|watched| Reply::bulk(watched.name.clone())).collect()
    }

    /// The lines of `INFO sentinel`.
    pub(super) fn sentinel_section(&self) -> Vec<String> {
        let all = self.state().watched.clone();
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
        let all = self.state().watched.clone();
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
    let run_id = watched.master.upgrade().map(|master| master.run_id.clone()).unwrap_or_default();
    let flags = if watched.is_up() { "master" } else { "s_down,o_down,master,disconnected" };
    fields(vec![
        ("name", watched.name.clone()),
        ("ip", watched.ip.clone()),
        ("port", watched.port.to_string()),
        ("runid", run_id),
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
    let Some(master) = watched.master.upgrade() else { return Vec::new() };
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
            ("slave-priority", "100".to_owned()),
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
    let usable = watched.sentinels;
    if usable < watched.quorum {
        let words = "Not enough available Sentinels to reach the specified quorum for this master";
        return Reply::error(format!("NOQUORUM {usable} usable Sentinels. {words}"));
    }
    Reply::Words(format!("OK {usable} usable Sentinels. Quorum and failover authorization can be reached"))
}
