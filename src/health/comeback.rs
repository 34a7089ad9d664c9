//! Containers that came back: ready now, as they were before they exited.
//!
//! Why: between two exits a crash loop is ready, and whoever looks just then would believe it. A container that has been
//! restarted is believed once it has been up for longer than it lived before.

use std::time::Duration;

use jiff::Timestamp;

use super::{Object, Surroundings, containers};

/// A container that has exited and is up again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comeback {
    /// In one line, with the pod, the container and how it exited; another one for each of its lives.
    pub line: String,
    /// Since when it is up, by its node's clock.
    pub up_since: Timestamp,
    /// How long it must be up to be believed.
    pub owes: Duration,
}

/// The containers of an object's pods that came back, however long ago.
#[must_use]
pub fn comebacks(object: Object<'_>, around: &Surroundings<'_>) -> Vec<Comeback> {
    let mut pods: Vec<Object<'_>> = around.owned("Pod", object).collect();
    pods.extend(around.owned("ReplicaSet", object).flat_map(|set| around.owned("Pod", set)));
    pods.extend((object.kind == "Pod").then_some(object));
    pods.into_iter().filter(|pod| !pod.is_going()).flat_map(containers::comebacks).collect()
}

#[cfg(test)]
mod tests {
    use super::super::literal::with;
    use super::*;

    fn found(status: &str) -> Vec<Comeback> {
        let yaml = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web, uid: d }}\n---\napiVersion: apps/v1\nkind: \
             ReplicaSet\nmetadata: {{ name: web-1, uid: r, ownerReferences: [{{ apiVersion: apps/v1, kind: Deployment, name: \
             web, uid: d }}] }}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: web-1-x, uid: p, ownerReferences: [{{ \
             apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: r }}] }}\nspec: {{ containers: [{{ name: app }}] }}\n\
             status: {{ containerStatuses: [{{ name: app, {status} }}] }}"
        );
        with(&yaml, comebacks)
    }

    fn died(started: &str, finished: &str) -> String {
        format!("lastState: {{ terminated: {{ exitCode: 1, startedAt: '{started}', finishedAt: '{finished}' }} }}")
    }

    const UP: &str = "restartCount: 3, state: { running: { startedAt: '2026-01-01T00:01:00Z' } }";

    #[test]
    fn a_restarted_container_owes_more_than_its_last_life_within_reason() {
        let short = found(&format!("{UP}, {}", died("2026-01-01T00:00:00Z", "2026-01-01T00:00:04Z")));
        let line = "pod web-1-x: container app exited with code 1, restarted 3 times; it is up again, and must stay so for \
                    longer than it last lived (4 s)";
        let up_since = "2026-01-01T00:01:00Z".parse().unwrap();
        assert_eq!(short, [Comeback { line: line.to_owned(), up_since, owes: Duration::from_secs(5) }]);
        let long = found(&format!("{UP}, {}", died("2026-01-01T00:00:00Z", "2026-01-01T00:00:50Z")));
        assert_eq!(long[0].owes, Duration::from_secs(20));
        assert!(long[0].line.ends_with("must stay so for 20 s"), "{}", long[0].line);
    }

    #[test]
    fn a_container_that_never_exited_or_is_not_up_owes_nothing() {
        assert_eq!(found("restartCount: 0, state: { running: { startedAt: '2026-01-01T00:01:00Z' } }"), []);
        let down = format!("state: {{ waiting: {{}} }}, {}", died("2026-01-01T00:00:00Z", "2026-01-01T00:00:04Z"));
        assert_eq!(found(&down), []);
    }
}
