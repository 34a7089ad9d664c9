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

/// How long a set is without a leader, until another takes over.
const ELECTION: Duration = Duration::from_millis(20);
/// The same under [`Fault::ElectsLate`].
const LATE: Duration = Duration::from_millis(2_700);

/// How the members of a set name what they are.
struct Roles {
    label: String,
    leader: String,
}

impl Roles {
    /// As the set's template tells Patroni; `None` where nothing in it runs it. Names and defaults are those of Patroni 3.
    fn of(set: &Value) -> Option<Self> {
        let containers = list(set, "/spec/template/spec/containers");
        let runs = |container: &&Value| list(container, "/env").iter().any(|one| text(one, "/name") == "PATRONI_SCOPE");
        let container = containers.iter().find(runs)?;
        let told = |name: &str, usual: &str| {
            let found = list(container, "/env").iter().find(|one| text(one, "/name") == name);
            found.map_or(usual, |one| text(one, "/value")).to_owned()
        };
        let label = told("PATRONI_KUBERNETES_ROLE_LABEL", "role");
        Some(Self { label, leader: told("PATRONI_KUBERNETES_LEADER_LABEL_VALUE", "master") })
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
    if going.iter().any(|pod| roles.has(pod) == roles.leader) {
        return;
    }
    let members: Vec<Value> = staying.into_iter().filter(ready).collect();
    let leads = members.iter().find(|pod| roles.has(pod) == roles.leader);
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
