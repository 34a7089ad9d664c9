//! What a container would do, without doing it: its lines, how long it takes, and how it ends.
//!
//! Scripts are read as [`shell`] has them, and a handful of programs are known. What is not known succeeds
//! silently. A second of sleep takes 10 ms, and none more than 400 ms; from five minutes on it is for ever.

mod clients;
mod flyway;
mod player;
mod programs;
mod shell;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::super::object::View;
use super::pod::{Surroundings, expand};
use super::scene::{list, text};
use player::{Flow, Player};

/// What a container will do once it has started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plot {
    /// Its lines, with their times since the start.
    pub(super) lines: Vec<(Duration, String)>,
    /// When it ends and with which code; `None` for a server.
    pub(super) end: Option<(Duration, i32)>,
    /// Whether it waits, without an end, for something that does not answer yet: then it is to be played again.
    pub(super) waits: bool,
    /// The words of the server that it comes to; empty where that is none that is known.
    pub(super) server: Vec<String>,
}

/// What a command in a container said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exec {
    /// Its output.
    pub(crate) stdout: String,
    /// Its error output.
    pub(crate) stderr: String,
    /// Its exit code.
    pub(crate) code: i32,
}

/// Plays a command in a container, as `kubectl exec` would run it.
pub(crate) fn played(command: &[String], pod: &Value, container: &str, view: &dyn View) -> Exec {
    match Surroundings::of(pod, container, view) {
        Some(around) => execute(&around, command, Timestamp::UNIX_EPOCH),
        None => Exec { stdout: String::new(), stderr: format!("container {container} not found"), code: 1 },
    }
}

/// Plays one command to its end; what never ends is cut off with code 0.
pub(super) fn execute(around: &Surroundings<'_>, command: &[String], wall: Timestamp) -> Exec {
    let mut player = Player::new(around, around.environment().unwrap_or_default(), wall);
    player.captured.push(String::new());
    let flow = player.program(command);
    let stdout = player.captured.pop().unwrap_or_default();
    let code = match flow {
        Flow::Code(code) | Flow::Exit(code) => code,
        Flow::Forever | Flow::Break | Flow::Continue => 0,
    };
    Exec { stdout, stderr: player.errors, code }
}

/// Plays what a container runs.
pub(super) fn perform(around: &Surroundings<'_>, init: bool, wall: Timestamp) -> Plot {
    let env = around.environment().unwrap_or_default();
    let words_of = |part: &str| {
        let words = list(around.container, part).iter().filter_map(Value::as_str);
        words.map(|word| expand(word, &env)).collect::<Vec<_>>()
    };
    let (mut words, args) = (words_of("/command"), words_of("/args"));
    // An image that is called like the program that its entry point is.
    if words.is_empty() && image(around) == "flyway" {
        words.push("flyway".to_owned());
    }
    let entry = words.is_empty();
    let serves = server_by_nature(around, init);
    if entry && args.first().is_none_or(|first| first.starts_with('-') || !is_known(first)) {
        let end = (!serves).then_some((Duration::ZERO, 0));
        return Plot { end, ..Plot::default() };
    }
    words.extend(args);
    let mut player = Player::new(around, env, wall);
    player.serves = serves;
    let flow = match player.program(&words) {
        // What a server's pod comes to at last is its server, though nothing is known of it.
        Flow::Code(0) | Flow::Exit(0) if serves && player.unknown_last => Flow::Forever,
        flow @ (Flow::Code(_) | Flow::Exit(_) | Flow::Forever | Flow::Break | Flow::Continue) => flow,
    };
    player.flush();
    let end = match flow {
        Flow::Code(code) | Flow::Exit(code) => Some((player.clock, code)),
        Flow::Break | Flow::Continue => Some((player.clock, 0)),
        Flow::Forever => None,
    };
    let waits = player.unanswered && player.steps > player::MOST_STEPS;
    Plot { lines: player.lines, end, waits, server: player.server }
}

/// The name of a container's image, without where it is from and which it is.
fn image<'a>(around: &Surroundings<'a>) -> &'a str {
    base(text(around.container, "/image")).split([':', '@']).next().unwrap_or_default()
}

/// Whether a container of which nothing is known is a server: one of a pod that is always started again.
fn server_by_nature(around: &Surroundings<'_>, init: bool) -> bool {
    let sidecar = text(around.container, "/restartPolicy") == "Always";
    let policy = text(around.pod, "/spec/restartPolicy");
    sidecar || (!init && !matches!(policy, "Never" | "OnFailure"))
}

/// The last part of a program's path.
fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Programs that are played.
fn is_known(program: &str) -> bool {
    const KNOWN: [&str; 45] = [
        "sh",
        "bash",
        "ash",
        "dash",
        "echo",
        "printf",
        "sleep",
        "exit",
        "true",
        ":",
        "false",
        "cat",
        "printenv",
        "env",
        "exec",
        "test",
        "[",
        "tail",
        "date",
        "hostname",
        "seq",
        "nc",
        "timeout",
        "tini",
        "dumb-init",
        "wait",
        "ls",
        "export",
        "set",
        "cd",
        "grep",
        "head",
        "wc",
        "id",
        "whoami",
        "busybox",
        "redis-cli",
        "pg_isready",
        "psql",
        "curl",
        "wget",
        "nslookup",
        "getent",
        "mysqladmin",
        "flyway",
    ];
    KNOWN.contains(&base(program)) || is_server(program) || base(program).ends_with(".sh")
}

/// Programs that run for ever.
fn is_server(program: &str) -> bool {
    const SERVERS: [&str; 17] = [
        "redis-server",
        "redis-sentinel",
        "postgres",
        "patroni",
        "nginx",
        "httpd",
        "pause",
        "mysqld",
        "mongod",
        "caddy",
        "envoy",
        "haproxy",
        "coredns",
        "clickhouse-server",
        "memcached",
        "minio",
        "etcd",
    ];
    SERVERS.contains(&base(program))
}
