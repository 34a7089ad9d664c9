//! Which server a container is, by the program that it runs, its image and its ports.

use crate::rehearsal::actors::Started;

/// What a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trade {
    Redis,
    Postgres,
    Clickhouse,
    Kafka,
    S3,
    Pgadmin,
    Neo4j,
    Temporal,
    Dns,
    Http,
    Unknown,
}

/// Images of brokers; what else has `kafka` in its name comes to one, or looks at one.
const KAFKA: [&str; 5] = ["kafka", "kafka-native", "cp-kafka", "cp-server", "cp-kafka-native"];

/// What a Temporal server is run by, and its images; others of the same maker's come to one.
const TEMPORAL: [&str; 4] = ["temporal", "temporal-server", "temporalio/server", "temporalio/auto-setup"];

/// Whether it is this one: by its last name, or by that and its maker's.
fn is_image(image: &str, name: &str) -> bool {
    let bare = image.split('@').next().unwrap_or_default();
    let bare = bare.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(bare, |(bare, _)| bare);
    bare == name || bare.ends_with(&format!("/{name}"))
}

impl Trade {
    /// By the program that it runs, else by its image, else by its ports.
    pub(super) fn of(image: &str, told: &Started, ports: &[u16]) -> Self {
        let program = told.words.first().map(|word| last(word).to_owned()).unwrap_or_default();
        let name = last(image).split([':', '@']).next().unwrap_or_default().to_owned();
        let is = |words: &[&str]| words.iter().any(|word| program.contains(word) || name.contains(word));
        if is(&["exporter", "busybox"]) {
            return Self::by_port(ports);
        }
        // Before what it looks at: an image may be named after both.
        if is(&["pgadmin"]) {
            Self::Pgadmin
        } else if is(&["redis", "valkey"]) {
            Self::Redis
        } else if is(&["postgres", "pgsql", "patroni", "spilo"]) {
            Self::Postgres
        } else if is(&["clickhouse"]) {
            Self::Clickhouse
        } else if KAFKA.contains(&name.as_str()) || program.starts_with("kafka-server") {
            Self::Kafka
        } else if is(&["minio"]) {
            Self::S3
        } else if is(&["neo4j"]) {
            Self::Neo4j
        } else if TEMPORAL.iter().any(|server| program == *server || is_image(image, server)) {
            Self::Temporal
        } else if is(&["coredns"]) {
            Self::Dns
        } else if is(&["nginx", "httpd", "http", "caddy", "whoami", "web", "envoy", "gateway", "agnhost"]) {
            Self::Http
        } else {
            Self::by_port(ports)
        }
    }

    fn by_port(ports: &[u16]) -> Self {
        match ports.iter().any(|port| matches!(port, 80 | 443 | 3000 | 8000..=8999 | 9090..=9115)) {
            true => Self::Http,
            false => Self::Unknown,
        }
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}
