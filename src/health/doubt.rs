//! Doubts about readiness: what is ready now, and may not be for long.
//!
//! Why: between two exits a crash loop is ready, and so is a container that fails its liveness probe until it is killed.
//! Whoever looks just then would believe it. A container that was restarted is believed once it has been up for twice as
//! long as it lived before, one whose liveness probe failed once the probe must have succeeded since. And what exits is
//! known of its pod before its owner counts one pod less.

use std::time::Duration;

use jiff::Timestamp;

use super::patience::GONE;
use super::{Object, Patience, Surroundings, containers};

/// When readiness is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// As soon as it is seen.
    AtOnce,
    /// Once it has stood the test, as far as the usual window of a check allows.
    OnceProven,
    /// Once it has stood the test, and nothing has only just started.
    Lasting,
}

impl Belief {
    /// How long an object may be absent: where it was there before, only somebody who takes it away is to be thought of.
    #[must_use]
    pub const fn absence(self) -> Option<Patience> {
        match self {
            Self::AtOnce | Self::OnceProven => None,
            Self::Lasting => Some(GONE),
        }
    }

    /// The longest that what came back is waited for.
    pub(super) const fn longest_proof(self) -> Duration {
        match self {
            Self::AtOnce => Duration::ZERO,
            Self::OnceProven => Duration::from_secs(20),
            Self::Lasting => Duration::from_secs(60),
        }
    }

    /// How long a container must have been ready that has never exited: most that cannot work say so by then.
    pub(super) const fn youth(self) -> Duration {
        match self {
            Self::AtOnce | Self::OnceProven => Duration::ZERO,
            Self::Lasting => Duration::from_secs(10),
        }
    }
}

/// A reason not to believe yet that a ready object stays so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// In one line, with the pod and the container.
    pub line: String,
    /// Since when nothing has spoken against it, by its node's clock.
    pub since: Timestamp,
    /// How long that must last.
    pub owes: Duration,
}

/// The doubts about an object's pods, however old.
#[must_use]
pub fn doubts(object: Object<'_>, around: &Surroundings<'_>, belief: Belief) -> Vec<Doubt> {
    if belief == Belief::AtOnce {
        return Vec::new();
    }
    let mut pods = Vec::new();
    collect(object, around, DEPTH, &mut pods);
    let lives = |pod: &Object<'_>| !pod.is_going() && !["Succeeded", "Failed"].contains(&pod.text("/status/phase"));
    pods.into_iter().filter(lives).flat_map(|pod| containers::doubts(pod, around, belief)).collect()
}

/// How far down a pod may be: a custom resource, its Deployment, the ReplicaSet, the pod. Owners may go in circles.
const DEPTH: u8 = 4;

/// The pods below an object, whatever stands between.
fn collect<'a>(object: Object<'a>, around: &Surroundings<'a>, depth: u8, pods: &mut Vec<Object<'a>>) {
    if object.kind == "Pod" {
        return pods.push(object);
    }
    let Some(depth) = depth.checked_sub(1) else { return };
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod"] {
        around.owned(kind, object).for_each(|below| collect(below, around, depth, pods));
    }
}

#[cfg(test)]
mod tests {
    use super::super::literal::with;
    use super::*;

    fn found(status: &str, events: &str, belief: Belief) -> Vec<Doubt> {
        let yaml = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web, uid: d }}\n---\napiVersion: apps/v1\nkind: \
             ReplicaSet\nmetadata: {{ name: web-1, uid: r, ownerReferences: [{{ apiVersion: apps/v1, kind: Deployment, name: \
             web, uid: d }}] }}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: web-1-x, uid: p, ownerReferences: [{{ \
             apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: r }}] }}\nspec: {{ containers: [{{ name: app, livenessProbe: {{ periodSeconds: 3 }} }}] }}\n\
             status: {{ containerStatuses: [{{ name: app, {status} }}] }}{events}"
        );
        with(&yaml, |object, around| doubts(object, around, belief))
    }

    fn died(started: &str, finished: &str) -> String {
        format!("lastState: {{ terminated: {{ exitCode: 1, startedAt: '{started}', finishedAt: '{finished}' }} }}")
    }

    const UP: &str = "restartCount: 3, state: { running: { startedAt: '2026-01-01T00:01:00Z' } }";

    #[test]
    fn a_restarted_container_owes_more_than_its_last_life_within_reason() {
        let short = format!("{UP}, {}", died("2026-01-01T00:00:00Z", "2026-01-01T00:00:04Z"));
        let line = "pod web-1-x: container app exited with code 1, restarted 3 times; it is up again, and must stay so for \
                    11 s (it last lived 4 s)";
        let since = "2026-01-01T00:01:00Z".parse().unwrap();
        let doubt = Doubt { line: line.to_owned(), since, owes: Duration::from_secs(11) };
        assert_eq!(found(&short, "", Belief::OnceProven), [doubt]);
        assert_eq!(found(&short, "", Belief::AtOnce), []);
        let long = format!("{UP}, {}", died("2026-01-01T00:00:00Z", "2026-01-01T00:00:50Z"));
        let owed = |belief| found(&long, "", belief)[0].owes;
        assert_eq!(owed(Belief::OnceProven), Duration::from_secs(20));
        assert_eq!(owed(Belief::Lasting), Duration::from_secs(60));
    }

    #[test]
    fn a_container_that_never_exited_owes_its_youth_where_readiness_must_last() {
        let young = "restartCount: 0, state: { running: { startedAt: '2026-01-01T00:01:00Z' } }";
        assert_eq!(found(young, "", Belief::OnceProven), []);
        let line = "pod web-1-x: container app is ready only since a moment ago, and must stay so for 10 s";
        let doubt = |since: &str| {
            [Doubt { line: line.to_owned(), since: since.parse().unwrap(), owes: Duration::from_secs(10) }]
        };
        assert_eq!(found(young, "", Belief::Lasting), doubt("2026-01-01T00:01:00Z"));
        let ready = "], conditions: [{ type: Ready, status: 'True', lastTransitionTime: '2026-01-01T00:03:00Z' }";
        assert_eq!(
            found(&format!("{young} }}{ready}, {{ type: x"), "", Belief::Lasting),
            doubt("2026-01-01T00:03:00Z")
        );
    }

    #[test]
    fn a_container_that_exited_a_moment_ago_is_doubted_although_its_owner_has_not_heard_of_it() {
        let down = format!("state: {{ waiting: {{}} }}, {}", died("2026-01-01T00:00:00Z", "2026-01-01T00:00:04Z"));
        let line = "pod web-1-x: container app exited with code 1; it is not up again".to_owned();
        let since = "2026-01-01T00:00:04Z".parse().unwrap();
        let doubt = Doubt { line, since, owes: Duration::from_secs(20) };
        assert_eq!(found(&down, "", Belief::OnceProven), [doubt]);
        assert_eq!(found("state: { waiting: {} }", "", Belief::Lasting), [], "it has not been up yet");
    }

    #[test]
    fn a_failed_liveness_probe_is_doubted_until_the_probe_must_have_succeeded() {
        let up = "restartCount: 0, state: { running: { startedAt: '2026-01-01T00:01:00Z' } }";
        let event = |message: &str, last: &str| {
            format!(
                "\n---\napiVersion: v1\nkind: Event\nmetadata: {{ name: e, resourceVersion: '7' }}\ninvolvedObject: {{ uid: p, \
                 fieldPath: 'spec.containers{{app}}' }}\nreason: Unhealthy\nmessage: '{message}'\nlastTimestamp: '{last}'"
            )
        };
        let failed = event("Liveness probe failed: 500", "2026-01-01T00:02:00Z");
        let line = "pod web-1-x: container app is ready, but its probe says: Liveness probe failed: 500; it must succeed for 5 s";
        let since = "2026-01-01T00:02:00Z".parse().unwrap();
        let doubt = Doubt { line: line.to_owned(), since, owes: Duration::from_secs(5) };
        assert_eq!(found(up, &failed, Belief::OnceProven), [doubt]);
        let before = event("Liveness probe failed: 500", "2026-01-01T00:00:30Z");
        assert_eq!(found(up, &before, Belief::OnceProven), [], "of its last life");
        let other = event("Readiness probe failed: 500", "2026-01-01T00:02:00Z");
        assert_eq!(found(up, &other, Belief::OnceProven), []);
    }
}
