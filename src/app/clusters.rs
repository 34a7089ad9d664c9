//! Clusters that earlier runs left behind.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{ENVIRONMENT, WRONG, folders, output};
use crate::cluster::{ClusterKind, ClusterOptions, Clusters, Downs, Folders, Force, Row};
use crate::ports::Trouble;
use crate::tools::Toolbox;

pub(super) async fn list(as_json: bool) -> u8 {
    match clusters().await.list().await {
        Ok(rows) if as_json => output::say(&Value::from_iter(rows.iter().map(json_row)).to_string()),
        Ok(rows) if rows.is_empty() => output::say("no cluster of ours is left"),
        Ok(rows) => output::say(&rows.iter().map(|row| format!("{row}\n")).collect::<String>()),
        Err(trouble) => complain(&trouble),
    }
}

pub(super) async fn down(names: &[String], all: bool, force: bool) -> u8 {
    let which = match (names.is_empty(), all) {
        (false, _) => Downs::Named(names.to_vec()),
        (true, true) => Downs::All,
        (true, false) => Downs::LeftOver,
    };
    let clusters = clusters().await;
    match clusters.list().await {
        Ok(rows) if names.iter().any(|name| !is_among(name, &rows)) => return unknown(names, &rows),
        Ok(_) => {}
        Err(trouble) => return complain(&trouble),
    }
    match clusters.down(&which, if force { Force::Yes } else { Force::No }).await {
        Ok(done) => {
            let spared = done.warnings.iter().map(|line| format!("\n{line}")).collect::<String>();
            output::say(&format!("{}{spared}", done.saw))
        }
        Err(trouble) => complain(&trouble),
    }
}

fn is_among(name: &str, rows: &[Row]) -> bool {
    rows.iter().any(|row| row.name == name)
}

/// A name that is none of a cluster is a wrong command line; nothing is removed then.
fn unknown(names: &[String], rows: &[Row]) -> u8 {
    let unknown: Vec<&str> = names.iter().map(String::as_str).filter(|name| !is_among(name, rows)).collect();
    let there_are = match rows {
        [] => "there is none at all".to_owned(),
        rows => format!("there are: {}", rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ")),
    };
    output::complain(&format!("there is no cluster of ours called {}; {there_are}", unknown.join(", ")), &[]);
    WRONG
}

fn complain(trouble: &Trouble) -> u8 {
    output::complain(&trouble.headline, &trouble.details);
    ENVIRONMENT
}

fn json_row(row: &Row) -> Value {
    json!({ "name": row.name, "kubeconfig": row.kubeconfig, "standing": row.standing.to_string() })
}

/// No run of its own: it looks at what others made, with whatever tools are there.
async fn clusters() -> Clusters {
    let toolbox = Toolbox { path: std::env::var_os("PATH").unwrap_or_default(), cache: folders::cache() };
    let options = ClusterOptions {
        kind: ClusterKind::Kind,
        run: String::new(),
        keep: false,
        reuse: false,
        configs: PathBuf::new(),
        folders: Folders { state: folders::state(), run: folders::state() },
    };
    Clusters::new(options, toolbox.at_hand().await)
}
