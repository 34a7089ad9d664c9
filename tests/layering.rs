//! Which room may import which. An arrow that is not in this table is a design change: make it here first.
#![expect(clippy::unwrap_used, reason = "a source that cannot be read is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each room, in the order of the map in `src/lib.rs`, with the rooms it may name as `crate::room`.
const TABLE: &[(&str, &[&str])] = &[
    ("span", &[]),
    ("number", &[]),
    ("checks", &["span", "number"]),
    ("health", &["number"]),
    ("suite", &["span", "checks"]),
    ("plan", &["span", "number", "suite", "checks"]),
    ("events", &["span", "plan", "suite", "checks"]),
    ("ports", &["events", "plan", "checks"]),
    ("engine", &["ports", "events", "plan", "suite", "checks", "span", "complaint"]),
    ("complaint", &[]),
    ("secrets", &[]),
    ("process", &[]),
    ("grpc", &[]),
    ("manifest", &[]),
    ("k8s", &[]),
    ("kinds", &[]),
    ("watch", &["kinds", "health", "ports", "complaint"]),
    ("logs", &["watch", "health", "secrets", "complaint"]),
    ("tunnel", &["watch", "checks", "complaint"]),
    ("tools", &["process", "complaint"]),
    ("rehearsal", &["grpc"]),
    ("prove", &["rehearsal", "events", "plan", "checks"]),
    ("cluster", &["tools", "rehearsal", "ADAPTER"]),
    ("install", &["ADAPTER"]),
    ("probes", &["ADAPTER"]),
    ("evidence", &["ADAPTER"]),
    ("report", &["events", "plan", "checks", "suite", "span", "number", "prove"]),
    ("cli", &["span"]),
    ("app", &["*"]),
];

/// What every adapter may stand on; never on another adapter, never on the engine.
const ADAPTER: &[&str] = &[
    "ports",
    "events",
    "plan",
    "suite",
    "checks",
    "span",
    "number",
    "health",
    "complaint",
    "secrets",
    "process",
    "grpc",
    "manifest",
    "k8s",
    "kinds",
    "watch",
    "logs",
    "tunnel",
];

/// Rooms of words: they know no runtime, no client and no file.
const PURE: &[&str] = &["span", "number", "checks", "health", "suite", "plan", "events", "prove", "grpc"];
const IMPURE: &[&str] = &["tokio::", "kube::", "reqwest::", "std::fs", "std::net::Tcp", "std::env", "std::process"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file of production code with the room it stands in.
fn files() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![source()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(source()).unwrap();
                let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
                found.push((room, path));
            }
        }
    }
    let of_tests: Vec<PathBuf> = found.iter().flat_map(|(_, path)| test_files(path)).collect();
    found.retain(|(room, path)| room != "lib" && room != "main" && !of_tests.contains(path));
    found
}

/// The files that a module brings in for its tests alone, by `#[cfg(test)]` before `mod x;`.
fn test_files(module: &Path) -> Vec<PathBuf> {
    let folder =
        if module.ends_with("mod.rs") { module.parent().unwrap().to_owned() } else { module.with_extension("") };
    let text = std::fs::read_to_string(module).unwrap();
    let declared = text.split("#[cfg(test)]\nmod ").skip(1);
    let names = declared.filter_map(|rest| rest.lines().next().unwrap().strip_suffix(';'));
    names.map(|name| folder.join(name).with_extension("rs")).collect()
}

/// The code of a file without its comments and unit tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_import_follows_the_table() {
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (room, path) in files() {
        let Some(may) = table.get(room.as_str()) else {
            wrong.push(format!("{room} is not in the table"));
            continue;
        };
        let code = code(&path);
        for found in code.split("crate::").skip(1) {
            let named = found.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
            let adapter = may.contains(&"ADAPTER") && ADAPTER.contains(&named);
            if named != room && !may.contains(&"*") && !may.contains(&named) && !adapter {
                wrong.push(format!("{} names crate::{named}", path.strip_prefix(source()).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rooms_of_words_know_no_runtime_and_no_files() {
    let mut wrong = Vec::new();
    for (room, path) in files() {
        if PURE.contains(&room.as_str()) {
            let code = code(&path);
            wrong.extend(
                IMPURE
                    .iter()
                    .filter(|word| code.contains(**word))
                    .map(|word| format!("{} uses {word}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_of_the_table_exists() {
    let rooms: Vec<String> = files().into_iter().map(|(room, _)| room).collect();
    let missing: Vec<&str> =
        TABLE.iter().map(|(room, _)| *room).filter(|room| !rooms.iter().any(|r| r == room)).collect();
    assert!(missing.is_empty(), "no such room: {missing:?}");
}

#[test]
fn the_map_names_every_room_in_the_order_of_the_table() {
    let map = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    let shown: Vec<&str> = map
        .lines()
        .filter(|line| line.starts_with("//! - "))
        .filter_map(|line| line.strip_prefix("//! - [`")?.split('`').next())
        .collect();
    let declared: Vec<&str> = map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let rooms: Vec<&str> = TABLE.iter().map(|(room, _)| *room).collect();
    assert_eq!(shown, rooms);
    assert_eq!(declared, rooms);
}
