//! Of the pods of a set that run Patroni one leads, and each says with a label what it is; so it is with those that CloudNativePG runs.
//!
//! Where Patroni keeps its state in Kubernetes, a member writes its role into a label of its pod
//! (<https://patroni.readthedocs.io/en/latest/kubernetes.html>), by which Services find the leader and its replicas. CloudNativePG's
//! operator labels the pods itself (`pkg/utils/labels_annotations.go`).

use std::time::Duration;

use serde_json::{Value, json};

use super::super::object::Act;
use super::faults::Fault;
use super::offspring::{PODS, pods_of, ready};
use super::scene::{Scene, leaving, list, name, text, uid};

/// The variable that names the cluster that a member of Patroni's belongs to.
const SCOPE: &str = "PATRONI_SCOPE";

/// The same in a pod of CloudNativePG's, where the other variable has this value (`pkg/specs/pods.go`).
const CLUSTER: &str = "CLUSTER_NAME";
const SOCKETS: (&str, &str) = ("PGHOST", "/controller/run");

/// How long a set is without a leader, until another takes over.
const ELECTION: Duration = Duration::from_millis(20);
/// The same under [`Fault::ElectsLate`].
const LATE: Duration = Duration::from_millis(2_700);

/// Which cluster a member is of, and how those of it name what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    cluster: String,
    label: String,
    leader: String,
}

impl Roles {
    /// As a member is told in its environment, with names and defaults of Patroni 3; `None` where it is a member of nothing.
    pub(crate) fn told(said: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if let Some(cluster) = said(SCOPE) {
            let or = |name: &str, usual: &str| said(name).unwrap_or_else(|| usual.to_owned());
            let label = or("PATRONI_KUBERNETES_ROLE_LABEL", "role");
            return Some(Self { cluster, label, leader: or("PATRONI_KUBERNETES_LEADER_LABEL_VALUE", "master") });
        }
        let cluster = said(CLUSTER).filter(|_| said(SOCKETS.0).is_some_and(|folder| folder == SOCKETS.1))?;
        Some(Self { cluster, label: "cnpg.io/instanceRole".to_owned(), leader: "primary".to_owned() })
    }

    /// As the set's template tells it; `None` where nothing in it is a member.
    fn of(set: &Value) -> Option<Self> {
        let said = |container: &Value, name: &str| {
            let found = list(container, "/env").iter().find(|one| text(one, "/name") == name);
            found.map(|one| text(one, "/value").to_owned())
        };
        let mut containers = list(set, "/spec/template/spec/containers").iter();
        containers.find_map(|container| Self::told(|name| said(container, name)))
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Whether a pod says that it leads.
    pub(crate) fn leads(&self, pod: &Value) -> bool {
        self.has(pod) == self.leader
    }

    fn has(&self, pod: &Value) -> String {
        pod["metadata"]["labels"][&self.label].as_str().unwrap_or_default().to_owned()
    }
}

/// Lets the members of a StatefulSet elect a leader where they have none.
pub(super) fn live(scene: &mut Scene<'_>) {
    let Some(roles) = Roles::of(scene.object) else { return };
    let (going, staying): (Vec<_>, Vec<_>) = pods_of(scene).into_iter().partition(|pod| leaving(pod));
    // Whoever leads gives that up once it has shut down, and not before.
    if going.iter().any(|pod| roles.leads(pod)) {
        return;
    }
    let members: Vec<_> = staying.into_iter().filter(|pod| ready(pod)).collect();
    let leads = members.iter().find(|pod| roles.leads(pod));
    let lasted = scene.lasting("leader", i64::from(leads.is_some()));
    let leader = match leads {
        Some(leader) => uid(leader).to_owned(),
        None => {
            let due = if scene.strikes(Fault::ElectsLate) { LATE } else { ELECTION };
            if scene.strikes(Fault::NeverElects) || members.is_empty() {
                return;
            }
            if lasted < due {
                return scene.after(due.saturating_sub(lasted));
            }
            // Who has followed a leader has what that has written; who came after it has nothing.
            uid(members.iter().find(|pod| !roles.has(pod).is_empty()).unwrap_or(&members[0])).to_owned()
        }
    };
    for pod in &members {
        let role = if uid(pod) == leader { roles.leader.as_str() } else { "replica" };
        if roles.has(pod) != role {
            let patch = json!({ "metadata": { "labels": { roles.label.as_str(): role } } });
            scene.act(Act::Merge { key: scene.key.beside(PODS, name(pod)), uid: uid(pod).to_owned(), patch });
        }
    }
}
