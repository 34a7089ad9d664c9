//! Clients of servers, as scripts and exec probes run them: they reach who is there, and fail where nobody is.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::super::object::Key;
use super::super::pod::Surroundings;
use super::super::scene::{list, text};

/// What a client prints and how it ends; none where the program is no client that is known.
///
/// Who answers does not change while a script is played, and is looked up once.
pub(super) fn play(
    program: &str,
    args: &[String],
    around: &Surroundings<'_>,
    known: &mut BTreeMap<String, bool>,
) -> Option<(String, i32)> {
    let host = host(program, args)?;
    let there = host.is_none_or(|host| *known.entry(host.to_owned()).or_insert_with(|| answers(host, around)));
    let named = host.unwrap_or("localhost");
    Some(match (program, there) {
        ("redis-cli" | "valkey-cli", true) => {
            let has = |wanted: &str| args.iter().any(|word| word.eq_ignore_ascii_case(wanted));
            // Whom Sentinels watch is not known here: they answer that they know nobody.
            let said = if has("ping") {
                "PONG\n"
            } else if has("sentinel") {
                "\n"
            } else {
                "OK\n"
            };
            (said.to_owned(), 0)
        }
        ("redis-cli" | "valkey-cli", false) => {
            (format!("Could not connect to Redis at {named}:6379: Connection refused\n"), 1)
        }
        ("pg_isready", true) => (format!("{named}:5432 - accepting connections\n"), 0),
        ("pg_isready", false) => (format!("{named}:5432 - no response\n"), 2),
        ("nslookup", true) => (format!("Name:\t{named}\n"), 0),
        ("nslookup", false) => (format!("** server can't find {named}: NXDOMAIN\n"), 1),
        ("curl", false) => (String::new(), 7),
        (_, true) => (String::new(), 0),
        (_, false) => (String::new(), 1),
    })
}

/// Whom a client asks: the inner `None` is the container itself.
fn host<'a>(program: &str, args: &'a [String]) -> Option<Option<&'a str>> {
    let after = |option: &str| args.iter().position(|word| word == option).and_then(|at| args.get(at + 1));
    let named = match program {
        "redis-cli" | "valkey-cli" | "pg_isready" | "psql" | "pg_basebackup" => after("-h").map(String::as_str),
        "curl" | "wget" => {
            args.iter().find(|word| word.contains("://") || !word.starts_with('-')).map(|url| authority(url))
        }
        "nslookup" => args.iter().find(|word| !word.starts_with('-')).map(String::as_str),
        "nc" if args.iter().any(|word| word.starts_with("-z") || word.starts_with("-vz")) => {
            args.iter().find(|word| !word.starts_with('-')).map(String::as_str)
        }
        _ => return None,
    };
    Some(named.filter(|host| !matches!(*host, "localhost" | "127.0.0.1" | "::1")))
}

/// The host of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

/// Whether a name is one behind which a pod is ready. What is outside of the cluster is taken to be there.
fn answers(host: &str, around: &Surroundings<'_>) -> bool {
    let own = text(around.pod, "/metadata/namespace");
    let labels: Vec<&str> =
        host.trim_end_matches('.').trim_end_matches(".svc.cluster.local").trim_end_matches(".svc").split('.').collect();
    let (service, namespace) = match labels.as_slice() {
        [service] => (*service, own),
        [service, namespace] => (*service, *namespace),
        [_, service, namespace] => (*service, *namespace),
        _ => return true,
    };
    if namespace != own && around.view.get(&Key::new("/namespaces", "", namespace)).is_none() {
        return true;
    }
    let label = serde_json::json!({ "kubernetes.io/service-name": service });
    let slices = around.view.labelled("discovery.k8s.io/endpointslices", namespace, &label);
    let is_ready = |endpoint: &Value| endpoint["conditions"]["ready"] != false;
    slices.iter().any(|slice| list(slice, "/endpoints").iter().any(is_ready))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_client_asks_is_read_from_its_arguments() {
        let asked = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            host(&words[0], &words[1..]).map(|host| host.map(str::to_owned))
        };
        assert_eq!(asked("redis-cli -h redis ping"), Some(Some("redis".to_owned())));
        assert_eq!(asked("redis-cli ping"), Some(None));
        assert_eq!(asked("curl -fsS http://web.data:8080/x"), Some(Some("web.data".to_owned())));
        assert_eq!(asked("pg_isready -h 127.0.0.1"), Some(None));
        assert_eq!(asked("nc -z redis 6379"), Some(Some("redis".to_owned())));
        assert_eq!(asked("redis-server"), None);
    }
}
