//! What a server says of itself: `INFO`, `ROLE`, `HELLO`, `CONFIG GET`.

use std::fmt::Write;

use tokio::time::Instant;

use super::commands::{Session, text};
use super::keys::DATABASES;
use super::resp::{Protocol, Reply};
use super::{Fault, Server};

/// What a server says under `wrong-version`: older than any that is still served.
const OLD: &str = "2.8.24";

/// The sections of `INFO` in their order.
const SECTIONS: &[&str] =
    &["server", "clients", "memory", "persistence", "stats", "replication", "cpu", "cluster", "keyspace"];
const SENTINEL_SECTIONS: &[&str] = &["server", "clients", "stats", "cpu", "sentinel"];

impl Server {
    /// The version that it says.
    pub(super) fn version(&self) -> String {
        if self.faults.is(Fault::WrongVersion) { OLD.to_owned() } else { self.config.version.clone() }
    }

    /// The master that it says it follows, and whether the link is up.
    fn said_link(&self) -> Option<(String, u16, bool)> {
        match (self.link(), self.faults.is(Fault::WrongRole)) {
            (link, false) => link,
            (Some(_), true) => None,
            (None, true) => Some(("127.0.0.1".to_owned(), self.config.port, true)),
        }
    }

    const fn mode(&self) -> &'static str {
        if self.config.sentinel { "sentinel" } else { "standalone" }
    }

    /// The sections that are asked for; all where none is.
    pub(super) fn info(&self, wanted: &[Vec<u8>]) -> String {
        let wanted: Vec<String> = wanted.iter().map(|word| text(word).to_lowercase()).collect();
        let all = |word: &String| matches!(word.as_str(), "all" | "default" | "everything");
        let is_wanted = |section: &str| wanted.is_empty() || wanted.iter().any(|word| all(word) || word == section);
        let sections = if self.config.sentinel { SENTINEL_SECTIONS } else { SECTIONS };
        let written = sections.iter().filter(|section| is_wanted(section)).map(|section| self.section(section));
        written.collect::<Vec<_>>().join("\r\n")
    }

    fn section(&self, name: &str) -> String {
        let mut title = name.to_owned();
        title[..1].make_ascii_uppercase();
        let title = if name == "cpu" { "CPU".to_owned() } else { title };
        let mut lines = vec![format!("# {title}")];
        match name {
            "server" => lines.extend(self.server_section()),
            "clients" => lines.extend(["connected_clients:1".to_owned(), "blocked_clients:0".to_owned()]),
            "memory" => {
                lines.extend(["used_memory:1048576", "maxmemory:0", "maxmemory_policy:noeviction"].map(str::to_owned));
            }
            "persistence" => lines.extend(self.persistence_section()),
            "stats" => lines.extend(["total_connections_received:1", "rejected_connections:0"].map(str::to_owned)),
            "replication" => lines.extend(self.replication_section()),
            "cpu" => lines.extend(["used_cpu_sys:0.100000".to_owned(), "used_cpu_user:0.100000".to_owned()]),
            "cluster" => lines.push("cluster_enabled:0".to_owned()),
            "sentinel" => lines.extend(self.sentinel_section()),
            _ => lines.extend(self.keyspace_section()),
        }
        lines.iter().fold(String::new(), |mut text, line| {
            // Writing into a String cannot fail.
            write!(text, "{line}\r\n").ok();
            text
        })
    }

    fn server_section(&self) -> Vec<String> {
        let up = self.started.elapsed().as_secs();
        vec![
            format!("redis_version:{}", self.version()),
            format!("redis_mode:{}", self.mode()),
            "os:Linux x86_64".to_owned(),
            "arch_bits:64".to_owned(),
            "process_id:1".to_owned(),
            format!("run_id:{}", self.run_id),
            format!("tcp_port:{}", self.config.port),
            format!("uptime_in_seconds:{up}"),
            format!("uptime_in_days:{}", up / 86_400),
        ]
    }

    fn persistence_section(&self) -> Vec<String> {
        let saved = if self.faults.is(Fault::RefusesWrites) { "err" } else { "ok" };
        vec![
            format!("loading:{}", u8::from(self.faults.is(Fault::Loading))),
            format!("rdb_last_bgsave_status:{saved}"),
            "aof_enabled:0".to_owned(),
        ]
    }

    fn replication_section(&self) -> Vec<String> {
        let offset = self.offset();
        let mut lines = Vec::new();
        match self.said_link() {
            Some((host, port, is_up)) => {
                lines.push("role:slave".to_owned());
                lines.push(format!("master_host:{host}"));
                lines.push(format!("master_port:{port}"));
                lines.push(format!("master_link_status:{}", if is_up { "up" } else { "down" }));
                lines.push(format!("master_last_io_seconds_ago:{}", if is_up { 0 } else { -1 }));
                lines.push("master_sync_in_progress:0".to_owned());
                lines.push(format!("slave_read_repl_offset:{offset}"));
                lines.push(format!("slave_repl_offset:{offset}"));
                if !is_up {
                    lines.push("master_link_down_since_seconds:1".to_owned());
                }
                lines.extend(["slave_priority:100", "slave_read_only:1", "replica_announced:1"].map(str::to_owned));
            }
            None => lines.push("role:master".to_owned()),
        }
        let followers = self.followers();
        lines.push(format!("connected_slaves:{}", followers.len()));
        for (at, follower) in followers.iter().enumerate() {
            let (ip, port, seen) = (&follower.ip, follower.port, follower.offset);
            let state = if self.faults.is(Fault::ReplicasWait) { "wait_bgsave" } else { "online" };
            lines.push(format!("slave{at}:ip={ip},port={port},state={state},offset={seen},lag=0"));
        }
        lines.push("master_failover_state:no-failover".to_owned());
        lines.push(format!("master_replid:{}", self.replication_id()));
        lines.push(format!("master_replid2:{}", "0".repeat(40)));
        lines.push(format!("master_repl_offset:{offset}"));
        lines.push("second_repl_offset:-1".to_owned());
        lines.push(format!("repl_backlog_active:{}", u8::from(offset > 0 || !followers.is_empty())));
        lines.push("repl_backlog_size:1048576".to_owned());
        lines.push(format!("repl_backlog_first_byte_offset:{}", u8::from(offset > 0)));
        lines.push(format!("repl_backlog_histlen:{offset}"));
        lines
    }

    fn keyspace_section(&self) -> Vec<String> {
        self.settle();
        let state = self.state();
        let now = Instant::now();
        let count = |database| (database, state.keys.count(database, now));
        let used = (0..DATABASES).map(count).filter(|(_, (all, _))| *all > 0);
        used.map(|(at, (all, expiring))| format!("db{at}:keys={all},expires={expiring},avg_ttl=0")).collect()
    }

    /// `ROLE`
    pub(super) fn role(&self) -> Reply {
        if self.config.sentinel {
            return Reply::Array(vec![Reply::bulk("sentinel"), Reply::Array(self.watched_names())]);
        }
        let offset = i64::try_from(self.offset()).unwrap_or(i64::MAX);
        match self.said_link() {
            Some((host, port, is_up)) => Reply::Array(vec![
                Reply::bulk("slave"),
                Reply::bulk(host),
                Reply::Integer(port.into()),
                Reply::bulk(if is_up { "connected" } else { "connect" }),
                Reply::Integer(if is_up { offset } else { -1 }),
            ]),
            None => {
                let follower = |follower: &super::replication::Follower| {
                    let parts = [follower.ip.clone(), follower.port.to_string(), follower.offset.to_string()];
                    Reply::Array(parts.map(Reply::bulk).to_vec())
                };
                let followers = self.followers().iter().map(follower).collect();
                Reply::Array(vec![Reply::bulk("master"), Reply::Integer(offset), Reply::Array(followers)])
            }
        }
    }

    /// What answers `HELLO`.
    pub(super) fn greeting(&self, session: &Session) -> Reply {
        let protocol = match session.protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        };
        let role = if self.said_link().is_some() { "replica" } else { "master" };
        let mut pairs = vec![
            ("server", Reply::bulk("redis")),
            ("version", Reply::bulk(self.version())),
            ("proto", Reply::Integer(protocol)),
            ("id", Reply::Integer(session.id)),
            ("mode", Reply::bulk(self.mode())),
        ];
        if !self.config.sentinel {
            pairs.push(("role", Reply::bulk(role)));
        }
        pairs.push(("modules", Reply::Array(Vec::new())));
        Reply::Map(pairs.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
    }

    /// `CONFIG GET pattern …`, of which patterns are a whole name, or its beginning and a star.
    pub(super) fn config_command(&self, words: &[Vec<u8>]) -> Reply {
        let settings = [
            ("appendonly", "no".to_owned()),
            ("databases", DATABASES.to_string()),
            ("maxmemory", "0".to_owned()),
            ("maxmemory-policy", "noeviction".to_owned()),
            ("port", self.config.port.to_string()),
            ("replica-read-only", "yes".to_owned()),
            ("requirepass", self.config.password.clone().unwrap_or_default()),
            ("save", String::new()),
            ("timeout", "0".to_owned()),
        ];
        let is_wanted = |name: &str| {
            words[1..].iter().map(|word| text(word).to_lowercase()).any(|pattern| match pattern.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == pattern,
            })
        };
        let found = settings.into_iter().filter(|(name, _)| is_wanted(name));
        Reply::Map(found.map(|(name, value)| (Reply::bulk(name), Reply::bulk(value))).collect())
    }
}
