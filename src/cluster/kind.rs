//! The command line of `kind`, and what it prints.

use std::path::Path;

use super::maker::Order;
use crate::process::Program;

/// Docker label that holds the cluster's name.
pub(super) const CLUSTER_LABEL: &str = "io.x-k8s.kind.cluster";

/// Docker label that holds a container's role.
pub(super) const ROLE_LABEL: &str = "io.x-k8s.kind.role";

/// Roles of containers that run pods.
pub(super) const NODE_ROLES: [&str; 2] = ["control-plane", "worker"];

/// Makes a cluster. `--wait 0s`: what kind would wait for is less than what is needed, and it passes when its time runs
/// out.
pub(super) fn create(kind: Program, order: &Order<'_>) -> Program {
    let create = kind.args(["create", "cluster", "--wait", "0s", "--name", order.name]);
    let create = create.arg("--config").arg(order.config).arg("--kubeconfig").arg(order.kubeconfig);
    match order.image {
        Some(image) => create.arg("--image").arg(image),
        None => create,
    }
}

/// Removes a cluster, or what there is of it. kind also takes it out of a kubeconfig; that must not be the user's.
pub(super) fn delete(kind: Program, name: &str, kubeconfig: &Path) -> Program {
    kind.args(["delete", "cluster", "--name", name, "--kubeconfig"]).arg(kubeconfig)
}

/// Prints the names of all clusters, one a line.
pub(super) fn list(kind: Program) -> Program {
    kind.args(["get", "clusters"])
}

/// Prints a kubeconfig.
pub(super) fn kubeconfig(kind: Program, name: &str) -> Program {
    kind.args(["get", "kubeconfig", "--name", name])
}

/// Brings the images of an archive into every node.
pub(super) fn load(kind: Program, archive: &Path, name: &str) -> Program {
    kind.args(["load", "image-archive", "--name", name]).arg(archive)
}

/// How many nodes a configuration asks for: one where it names none.
pub(super) fn nodes(config: &str) -> Result<usize, String> {
    #[derive(serde::Deserialize)]
    struct Config {
        #[serde(default)]
        nodes: Vec<serde::de::IgnoredAny>,
    }
    let config: Config = serde_saphyr::from_str(config).map_err(|error| error.to_string())?;
    Ok(config.nodes.len().max(1))
}

/// What kind says that it does next: `• Starting control-plane 🕹️  ...`.
pub(super) fn progress(line: &str) -> Option<&str> {
    let step = line.strip_prefix("• ")?.trim_end_matches("...");
    Some(step.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != ')'))
}

/// The line in which kind says why, with what the command that it ran said.
pub(super) fn cause(words: &str) -> Option<String> {
    let error = words.lines().find_map(|line| line.strip_prefix("ERROR: "))?;
    let output = words.lines().find_map(|line| line.strip_prefix("Command Output: "));
    Some(output.map_or_else(|| error.to_owned(), |output| format!("{error}: {output}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creating_waits_for_nothing_and_never_names_the_users_kubeconfig() {
        let order = Order {
            name: "seaworthy-a1",
            config: Path::new("kind-configs/default.yaml"),
            image: Some("kindest/node:v1.34.0"),
            kubeconfig: Path::new("/state/seaworthy-a1.kubeconfig"),
        };
        assert_eq!(
            create(Program::new("/bin/kind"), &order).line(),
            "kind create cluster --wait 0s --name seaworthy-a1 --config kind-configs/default.yaml --kubeconfig \
             /state/seaworthy-a1.kubeconfig --image kindest/node:v1.34.0"
        );
        assert_eq!(
            delete(Program::new("/bin/kind"), order.name, order.kubeconfig).line(),
            "kind delete cluster --name seaworthy-a1 --kubeconfig /state/seaworthy-a1.kubeconfig"
        );
    }

    #[test]
    fn nodes_are_counted_as_kind_counts_them() {
        assert_eq!(nodes("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"), Ok(1));
        assert_eq!(nodes(include_str!("../../kind-configs/default.yaml")), Ok(1));
        let three = "nodes:\n- role: control-plane\n  extraMounts: [{hostPath: /a}]\n- role: worker\n- role: worker\n";
        assert_eq!(nodes(three), Ok(3));
        assert!(nodes("nodes: 3").is_err());
    }

    #[test]
    fn progress_is_what_kind_does_next_without_its_ornaments() {
        assert_eq!(progress("• Starting control-plane 🕹️  ..."), Some("Starting control-plane"));
        assert_eq!(
            progress("• Ensuring node image (kindest/node:v1.34.0) 🖼  ..."),
            Some("Ensuring node image (kindest/node:v1.34.0)")
        );
        assert_eq!(progress("✓ Preparing nodes 📦"), None);
    }

    #[test]
    fn the_cause_is_kinds_error_and_the_output_of_what_it_ran() {
        let words = "Creating cluster \"a\" ...\n ✗ Ensuring node image (no/such:1)\n\
                     ERROR: failed to create cluster: failed to pull image \"no/such:1\": command \"docker pull no/such:1\" \
                     failed with error: exit status 1\nCommand Output: Error response from daemon: no such host\n";
        let cause = cause(words).unwrap();
        assert!(cause.starts_with("failed to create cluster: failed to pull image"), "{cause}");
        assert!(cause.ends_with("exit status 1: Error response from daemon: no such host"), "{cause}");
    }
}
