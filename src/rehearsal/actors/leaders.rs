//! Patroni: of the pods of a set that run it one leads, and each says with a label what it is.
//!
//! Where it keeps its state in Kubernetes, a member writes its role into a label of its pod
//! (<https://patroni.readthedocs.io/en/latest/kubernetes.html>), by which Services find the leader and its replicas.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::object::Act;
use super::faults::Fault;
use super::offspring::{PODS, pods_of, ready};
use super::scene::{Scene, leaving, list, name, text, uid};

/// The variable that names the cluster that a member belongs to.
pub(crate) const SCOPE: &str = "PATRONI_SCOPE";

/// How long a set is without a leader, until another takes over.
const ELECTION: Duration = Duration::from_millis(20);
/// The same under [`Fault::ElectsLate`].
const LATE: Duration = Duration::from_millis(2_700);

/// How the members of a cluster name what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    label: String,
    leader: String,
}

impl Roles {
    /// As Patroni is told in its environment, by names and defaults of Patroni 3.
    pub(crate) fn told(said: impl Fn(&str) -> Option<String>) -> Self {
        let or = |name: &str, usual: &str| said(name).unwrap_or_else(|| usual.to_owned());
        Self {
            label: or("PATRONI_KUBERNETES_ROLE_LABEL", "role"),
            leader: or("PATRONI_KUBERNETES_LEADER_LABEL_VALUE", "master"),
        }
    }

    /// As the set's template tells it; `None` where nothing in it runs it.
    fn of(set: &Value) -> Option<Self> {
        let said = |container: &Value, name: &str| {
            let found = list(container, "/env").iter().find(|one| text(one, "/name") == name);
            found.map(|one| text(one, "/value").to_owned())
        };
        let mut containers = list(set, "/spec/template/spec/containers").iter();
        let container = containers.find(|container| said(container, SCOPE).is_some())?;
        Some(Self::told(|name| said(container, name)))
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
    let (going, staying): (Vec<Value>, Vec<Value>) = pods_of(scene).into_iter().partition(leaving);
    // Whoever leads gives that up once it has shut down, and not before.
    if going.iter().any(|pod| roles.leads(pod)) {
        return;
    }
    let members: Vec<Value> = staying.into_iter().filter(ready).collect();
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
            uid(&members[0]).to_owned()
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
