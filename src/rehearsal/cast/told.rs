//! What a container's words, environment and files tell its server.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::rehearsal::actors::Started;
use crate::rehearsal::object::Key;
use crate::rehearsal::standins::{StandIn, clickhouse, http, neo4j, postgres, redis, s3, temporal, tls};

/// The ports that a container names.
pub(super) fn ports(container: &Value) -> Vec<u16> {
    let named = container["ports"].as_array().into_iter().flatten();
    named.filter_map(|port| u16::try_from(port["containerPort"].as_u64()?).ok()).collect()
}

/// What follows an option: `--requirepass secret`, `--requirepass=secret`.
fn option(words: &[String], name: &str) -> Option<String> {
    words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(name)? {
        "" => words.get(at + 1).cloned(),
        value => value.strip_prefix('=').map(str::to_owned),
    })
}

/// What a server is to speak TLS with, and the port on which it is to speak nothing else.
pub(super) fn identity(told: &Started) -> (Option<Arc<tls::Identity>>, Option<u16>) {
    let papers = told.papers.as_ref();
    let identity = papers.and_then(|papers| tls::Identity::read(&papers.chain, &papers.key)).map(Arc::new);
    let port = told_port(&told.words, "--tls-port").filter(|_| identity.is_some());
    (identity, port)
}

/// Whom a Redis is to follow; of a Sentinel under which name it is to watch whom.
pub(super) fn followed(words: &[String], is_sentinel: bool) -> (Option<String>, Option<String>) {
    match monitored(words).filter(|_| is_sentinel) {
        Some((name, host)) => (Some(name), Some(host)),
        None => (None, option(words, "--replicaof").or_else(|| option(words, "--slaveof"))),
    }
}

/// Name and host of the master that a Sentinel is told to watch: `--sentinel monitor NAME HOST PORT QUORUM`.
fn monitored(words: &[String]) -> Option<(String, String)> {
    let at = words.iter().position(|word| word == "monitor")?;
    Some((words.get(at + 1)?.clone(), words.get(at + 2)?.clone()))
}

/// What a pod is annotated with that stands in for a web server: a list of pages in YAML, each with its `path` and, where it is
/// not as any, `status`, `headers`, `body` and the `bearer` token that it wants.
const PAGES: &str = "rehearsal.seaworthy.dev/pages";

/// What a pod is annotated with that stands in for a Kafka broker: topics that are there, `orders:3:2` with three partitions of two
/// replicas each, separated by commas.
pub(super) const TOPICS: &str = "rehearsal.seaworthy.dev/topics";

/// The pages of a web server. Where they cannot be read its first page says so.
pub(super) fn pages(pod: &Value) -> Vec<http::Route> {
    let Some(text) = pod["metadata"]["annotations"][PAGES].as_str() else { return Vec::new() };
    serde_saphyr::from_str(text).unwrap_or_else(|error| {
        let body = format!("the annotation {PAGES} cannot be read: {error}\n");
        vec![http::Route { path: "/".to_owned(), status: 500, body, bearer: None, headers: BTreeMap::new() }]
    })
}

pub(super) fn redis_config(told: &Started, address: &str) -> redis::Config {
    let environment = |name: &str| told.environment.get(name).filter(|value| !value.is_empty()).cloned();
    redis::Config {
        password: option(&told.words, "--requirepass").or_else(|| environment("REDIS_PASSWORD")),
        ip: option(&told.words, "--replica-announce-ip").unwrap_or_else(|| address.to_owned()),
        port: announced(&told.words),
        sentinel: told.words.iter().any(|word| word.contains("sentinel")),
        ..redis::Config::default()
    }
}

/// The port at which a Redis makes itself known: that of TLS where it replicates over that, or has no other.
fn announced(words: &[String]) -> u16 {
    let replicates_over_tls = option(words, "--tls-replication").is_some_and(|answer| answer == "yes");
    let plain = option(words, "--port").map_or(Some(6379), |port| port.parse().ok()).filter(|port| *port > 0);
    let tls = told_port(words, "--tls-port");
    let first = if replicates_over_tls { tls.or(plain) } else { plain.or(tls) };
    first.unwrap_or(6379)
}

/// A port by its option; none where it is zero.
fn told_port(words: &[String], name: &str) -> Option<u16> {
    option(words, name)?.parse().ok().filter(|port| *port > 0)
}

/// The host of the primary that a PostgreSQL is to follow: `primary_conninfo`, or as Bitnami's image is told.
pub(super) fn primary(told: &Started) -> Option<String> {
    let conninfo =
        told.words.iter().find_map(|word| word.split_once("primary_conninfo=")).map(|(_, conninfo)| conninfo);
    let host = conninfo.and_then(|conninfo| conninfo.split_whitespace().find_map(|part| part.strip_prefix("host=")));
    host.map(str::to_owned).or_else(|| told.environment.get("POSTGRESQL_MASTER_HOST").cloned())
}

pub(super) fn postgres_config(
    pod: &Key,
    told: &Started,
    follows: bool,
    tls: Option<Arc<tls::Identity>>,
) -> postgres::Config {
    let environment = |names: [&str; 2]| names.iter().find_map(|name| told.environment.get(*name).cloned());
    let user = environment(["POSTGRES_USER", "POSTGRESQL_USERNAME"]).unwrap_or_else(|| "postgres".to_owned());
    let database = environment(["POSTGRES_DB", "POSTGRESQL_DATABASE"]).unwrap_or_else(|| user.clone());
    let password = environment(["POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD"]);
    let mut setup = postgres::Setup::default();
    told.setup.iter().for_each(|script| setup.read(script));
    postgres::Config {
        name: pod.name.to_string(),
        setup,
        // As Bitnami's image is told.
        is_in_recovery: follows
            || told.environment.get("POSTGRESQL_REPLICATION_MODE").is_some_and(|mode| mode == "slave"),
        asks_password: password.is_some(),
        users: vec![postgres::User { name: user, password: password.unwrap_or_default() }],
        databases: vec![database, "postgres".to_owned()],
        tls,
        ..postgres::Config::default()
    }
}

/// As the official image is told.
pub(super) fn clickhouse_config(told: &Started, pod: &str) -> clickhouse::Config {
    let environment = |name: &str| told.environment.get(name).filter(|value| !value.is_empty()).cloned();
    let mut settings = clickhouse::Settings::default();
    told.settings.iter().for_each(|file| settings.read(file, &told.environment));
    clickhouse::Config {
        name: pod.to_owned(),
        settings,
        user: environment("CLICKHOUSE_USER").unwrap_or_else(|| "default".to_owned()),
        password: environment("CLICKHOUSE_PASSWORD").unwrap_or_default(),
        databases: environment("CLICKHOUSE_DB").into_iter().collect(),
        ..clickhouse::Config::default()
    }
}

/// A Neo4j, behind both of its ports.
pub(super) fn graph(told: &Started, ports: &mut Vec<u16>) -> StandIn {
    let config = neo4j::Config::told(&told.environment);
    ports.extend([config.http, config.bolt]);
    StandIn::Neo4j(Arc::new(neo4j::Server::new(config)))
}

/// A Temporal, behind the port of its frontend.
pub(super) fn flows(told: &Started, ports: &mut Vec<u16>) -> StandIn {
    let config = temporal::Config::told(&told.words, &told.environment);
    ports.push(config.port);
    StandIn::Temporal(Arc::new(temporal::Server::new(config)))
}

/// An S3 server, behind the port of its API.
pub(super) fn store(told: &Started, ports: &mut Vec<u16>) -> StandIn {
    let (config, port) = s3_config(told);
    ports.push(port);
    StandIn::S3(Arc::new(s3::Server::new(config)))
}

/// As the official image is told, today's or that of years ago, or Bitnami's; and the port of its API.
fn s3_config(told: &Started) -> (s3::Config, u16) {
    let environment = |names: [&str; 2]| names.iter().find_map(|name| told.environment.get(*name).cloned());
    let usual = s3::Config::default();
    // `orders,reports:public`: behind a name stands who may do what with it.
    let buckets = told.environment.get("MINIO_DEFAULT_BUCKETS").map(String::as_str).unwrap_or_default();
    let name = |bucket: &str| bucket.split(':').next().unwrap_or_default().trim().to_owned();
    let port = option(&told.words, "--address").and_then(|address| address.rsplit(':').next()?.parse().ok());
    let config = s3::Config {
        access_key: environment(["MINIO_ROOT_USER", "MINIO_ACCESS_KEY"]).unwrap_or(usual.access_key),
        secret_key: environment(["MINIO_ROOT_PASSWORD", "MINIO_SECRET_KEY"]).unwrap_or(usual.secret_key),
        buckets: buckets.split(',').map(name).filter(|name| !name.is_empty()).collect(),
    };
    (config, port.unwrap_or(s3::PORT))
}
