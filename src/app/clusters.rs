//! Clusters that earlier runs left behind.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{ENVIRONMENT, folders, output};
use crate::cluster::{ClusterKind, ClusterOptions, Clusters, Downs, Folders, Force, Row};
use crate::ports::Trouble;
use crate::tools::Toolbox;

pub(super) async fn list(as_json: bool) -> u8 {
    match clusters().await.list().await {
        Ok(rows) if as_json => {
            output::say(&Value::from_iter(rows.iter().map(json_row)).to_string());
            0
        }
        Ok(rows) if rows.is_empty() => {
            output::say("no cluster of ours is left");
            0
        }
        Ok(rows) => {
            rows.iter().for_each(|row| output::say(&row.to_string()));
            0
        }
        Err(trouble) => complain(&trouble),
    }
}

pub(super) async fn down(names: &[String], all: bool, force: bool) -> u8 {
    let which = match (names.is_empty(), all) {
        (false, _) => Downs::Named(names.to_vec()),
        (true, true) => Downs::All,
        (true, false) => Downs::LeftOver,
    };
    match clusters().await.down(&which, if force { Force::Yes } else { Force::No }).await {
        Ok(done) => {
            output::say(&done.saw);
            0
        }
        Err(trouble) => complain(&trouble),
    }
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
