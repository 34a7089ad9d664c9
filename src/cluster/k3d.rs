//! The command line of `k3d`, and what it prints.

use std::path::Path;

use super::maker::Order;
use crate::process::Program;

/// Docker label that holds the cluster's name.
pub(super) const CLUSTER_LABEL: &str = "k3d.cluster";

/// Docker label that holds a container's role.
pub(super) const ROLE_LABEL: &str = "k3d.role";

/// Roles of containers that run pods.
pub(super) const NODE_ROLES: [&str; 2] = ["server", "agent"];

/// Makes a cluster. k3d waits for a line in k3s' log, without which it has no kubeconfig to give.
pub(super) fn create(k3d: Program, order: &Order<'_>) -> Program {
    let create = own(k3d, order.kubeconfig).args(["cluster", "create", order.name, "--config"]).arg(order.config);
    let create = create.args(["--kubeconfig-update-default=false", "--kubeconfig-switch-context=false"]);
    match order.image {
        Some(image) => create.arg("--image").arg(image),
        None => create,
    }
}

/// Removes a cluster, or what there is of it.
pub(super) fn delete(k3d: Program, name: &str, kubeconfig: &Path) -> Program {
    own(k3d, kubeconfig).args(["cluster", "delete", name])
}

/// Prints all clusters as JSON.
pub(super) fn list(k3d: Program) -> Program {
    k3d.args(["cluster", "list", "--output", "json"])
}

/// The names in what [`list`] prints.
pub(super) fn names(printed: &[u8]) -> serde_json::Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Cluster {
        name: String,
    }
    let clusters: Option<Vec<Cluster>> = serde_json::from_slice(printed)?;
    Ok(clusters.unwrap_or_default().into_iter().map(|cluster| cluster.name).collect())
}

/// Prints a kubeconfig.
pub(super) fn kubeconfig(k3d: Program, name: &str) -> Program {
    k3d.args(["kubeconfig", "get", name])
}

/// Brings the images of an archive into every node, without the helper image that other modes would pull.
pub(super) fn load(k3d: Program, archive: &Path, name: &str) -> Program {
    k3d.args(["image", "import", "--mode", "direct", "--cluster", name]).arg(archive)
}

/// How many nodes a configuration asks for: one server where it says nothing.
pub(super) fn nodes(config: &str) -> Result<usize, String> {
    #[derive(serde::Deserialize)]
    struct Config {
        servers: Option<usize>,
        agents: Option<usize>,
    }
    let config: Config = serde_saphyr::from_str(config).map_err(|error| error.to_string())?;
    Ok(config.servers.unwrap_or(1).max(1) + config.agents.unwrap_or(0))
}

/// What k3d says that it does: `INFO[0003] Starting Node 'k3d-a-server-0'`.
pub(super) fn progress(line: &str) -> Option<&str> {
    line.strip_prefix("INFO[")?.split_once("] ").map(|(_, step)| step)
}

/// The last line that k3d marks as an error; its fatal line only repeats that there was one.
pub(super) fn cause(words: &str) -> Option<String> {
    let marked = |mark: &str| words.lines().rev().find_map(|line| line.strip_prefix(mark)?.split_once("] "));
    marked("ERRO[").or_else(|| marked("FATA[")).map(|(_, words)| words.to_owned())
}

/// k3d edits the default kubeconfig even when it deletes, and refuses to where KUBECONFIG names several: so the default
/// is made the cluster's own.
fn own(k3d: Program, kubeconfig: &Path) -> Program {
    k3d.env("KUBECONFIG", kubeconfig)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creating_names_the_cluster_the_file_and_the_image() {
        let order = Order {
            name: "seaworthy-a1",
            config: Path::new("kind-configs/k3d.yaml"),
            image: Some("rancher/k3s:v1.34.1-k3s1"),
            kubeconfig: Path::new("/state/seaworthy-a1.kubeconfig"),
        };
        assert_eq!(
            create(Program::new("/bin/k3d"), &order).line(),
            "k3d cluster create seaworthy-a1 --config kind-configs/k3d.yaml --kubeconfig-update-default=false \
             --kubeconfig-switch-context=false --image rancher/k3s:v1.34.1-k3s1"
        );
    }

    #[test]
    fn names_are_read_from_the_list_and_none_is_none() {
        let printed = br#"[{"name":"a","nodes":[{"name":"k3d-a-server-0"}],"network":{"name":"k3d-a"}},{"name":"b"}]"#;
        assert_eq!(names(printed).unwrap(), ["a", "b"]);
        assert!(names(b"[]").unwrap().is_empty() && names(b"null").unwrap().is_empty());
    }

    #[test]
    fn nodes_are_servers_and_agents() {
        assert_eq!(nodes("kind: Simple\n"), Ok(1));
        assert_eq!(nodes("servers: 3\nagents: 2\n"), Ok(5));
        assert_eq!(nodes(include_str!("../../kind-configs/k3d.yaml")), Ok(1));
    }

    #[test]
    fn the_cause_is_the_last_error_not_the_goodbye() {
        let words = "INFO[0000] Prep: Network\nERRO[0003] Failed Cluster Start: no such image\nFATA[0003] Cluster creation \
                     FAILED, all changes have been rolled back!\n";
        assert_eq!(words.lines().find_map(progress), Some("Prep: Network"));
        assert_eq!(cause(words).as_deref(), Some("Failed Cluster Start: no such image"));
    }
}
