//! What a container's program is told when it starts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::super::object::View;
use super::play;
use super::pod::{Surroundings, expand};
use super::scene::list;

/// The words of its command, and its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Started {
    /// Command and arguments, with `$(NAME)` replaced; without a command of its own the arguments alone. Of a script that comes to a
    /// server those of the server.
    pub(crate) words: Vec<String>,
    /// Its environment, with what Secrets and ConfigMaps give to it.
    pub(crate) environment: BTreeMap<String, String>,
    /// The SQL that its image runs when there is no data yet (`/docker-entrypoint-initdb.d`), by the scripts' names.
    pub(crate) setup: Vec<String>,
    /// The servers.json that a pgAdmin is told (`PGADMIN_SERVER_JSON_FILE`).
    pub(crate) servers: Option<String>,
    /// The files that a ClickHouse reads beside its own (`/etc/clickhouse-server/config.d`), by their names.
    pub(crate) settings: Vec<String>,
    /// The certificate and the key that a Redis or a PostgreSQL is to speak TLS with, as it reads them.
    pub(crate) papers: Option<Papers>,
    /// Whether its script still waits for what does not answer: it serves nobody yet.
    pub(crate) waits: bool,
}

/// What a container of a pod is told; none where there is no such container.
pub(crate) fn started(pod: &Value, container: &str, view: &dyn View) -> Option<Started> {
    let around = Surroundings::of(pod, container, view)?;
    // A container that lacks a reference does not start.
    let environment = around.environment().unwrap_or_default();
    let texts =
        ["/command", "/args"].into_iter().flat_map(|part| list(around.container, part)).filter_map(Value::as_str);
    let written: Vec<String> = texts.map(|text| expand(text, &environment)).collect();
    // What a script comes to, as the server is told it.
    let plot = play::perform(&around, false, Timestamp::UNIX_EPOCH);
    let words = if plot.server.is_empty() { written } else { plot.server };
    let scripts = around.files("/docker-entrypoint-initdb.d").into_iter();
    let setup = scripts.filter(|(name, _)| name.ends_with(".sql")).map(|(_, script)| script).collect();
    let environment: BTreeMap<String, String> = environment.into_iter().collect();
    let listed = environment.get("PGADMIN_SERVER_JSON_FILE").map_or("/pgadmin4/servers.json", String::as_str);
    let servers = around.file(listed);
    let files = around.files("/etc/clickhouse-server/config.d").into_iter();
    let settings = files.filter(|(name, _)| name.ends_with(".xml")).map(|(_, file)| file).collect();
    let papers = papers(&words, &around);
    Some(Started { words, environment, setup, servers, settings, papers, waits: plot.waits })
}

/// A certificate, with those that lead up to it, and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Papers {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// As Redis is told (`--tls-cert-file`, `--tls-key-file`), or PostgreSQL (`ssl = on`, `ssl_cert_file`, `ssl_key_file`).
fn papers(words: &[String], around: &Surroundings<'_>) -> Option<Papers> {
    let redis = |name: &str| words.iter().skip_while(|word| **word != name).nth(1);
    let postgres =
        |name: &str| words.iter().find_map(|word| word.strip_prefix("--").unwrap_or(word).strip_prefix(name));
    let (chain, key) = match (redis("--tls-cert-file"), postgres("ssl=")) {
        (Some(chain), _) => (chain.as_str(), redis("--tls-key-file")?.as_str()),
        (None, Some("on" | "true" | "yes" | "1")) => (postgres("ssl_cert_file=")?, postgres("ssl_key_file=")?),
        (None, _) => return None,
    };
    Some(Papers { chain: around.file(chain)?, key: around.file(key)? })
}
