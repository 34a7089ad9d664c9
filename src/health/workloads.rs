//! Deployments, StatefulSets, DaemonSets and ReplicaSets: every wanted pod of the newest specification is available.
//!
//! The counts are those of `kubectl rollout status` (its `polymorphichelpers/rollout_status.go`), with the former pods
//! gone. Where they fall short the pods of the newest specification say why. A `partition` is the object's own word that
//! former pods may stay, and is told; `OnDelete`, of which `kubectl rollout status` knows nothing, is no such word.

use super::object::words;
use super::patience::{BY_HAND, FORMER_REVISION};
use super::{Health, Object, Surroundings, creation, pods};

/// What stands between a workload and its goal: the first count that falls short, or what shows that none does.
type Rollout = Result<String, String>;

pub(super) fn deployment(deployment: Object<'_>, around: &Surroundings<'_>) -> Health {
    if let Some(unseen) = unseen(deployment) {
        return unseen;
    }
    let count = |field: &str| deployment.count(&format!("/status/{field}"));
    let rollout = counted(wanted(deployment), count("updatedReplicas"), count("replicas"), count("availableReplicas"));
    let rollout = match rollout {
        Err(lack) => lack,
        Ok(saw) => return Health::ready(saw),
    };
    let Some(newest) = newest_replica_set(deployment, around) else {
        let paused = paused(deployment, &rollout);
        return creation::refused(deployment, around).or(paused).unwrap_or_else(|| short(deployment, &rollout));
    };
    let lowest = pod_trouble(newest, around, |_| true).map(|health| health.below(newest).below(deployment));
    let refused = creation::refused(newest, around).map(|health| health.below(deployment));
    let late = late(deployment, lowest.as_ref());
    let paused = paused(deployment, &rollout);
    Health::gravest(lowest.into_iter().chain(refused).chain(late).chain(paused))
        .unwrap_or_else(|| short(deployment, &rollout))
}

pub(super) fn stateful_set(set: Object<'_>, around: &Surroundings<'_>) -> Health {
    if let Some(unseen) = unseen(set) {
        return unseen;
    }
    let wanted = wanted(set);
    let count = |field: &str| set.count(&format!("/status/{field}"));
    let partition = set.count("/spec/updateStrategy/rollingUpdate/partition");
    let fresh = count("updatedReplicas");
    let updated = if fresh >= (wanted - partition).max(0) { wanted } else { fresh };
    let created = if count("replicas") < wanted {
        Err(format!("{} of {wanted} pods created", count("replicas")))
    } else {
        Ok(())
    };
    match created.and_then(|()| counted(wanted, updated, count("replicas"), count("readyReplicas"))) {
        Ok(saw) if fresh < wanted => {
            Health::ready(format!("{saw}, {fresh} of the newest specification (partition {partition})"))
        }
        Ok(saw) => Health::ready(saw),
        Err(lack) => {
            let former =
                |pod: Object<'_>| pod.label("controller-revision-hash") != Some(set.text("/status/updateRevision"));
            let troubles = around.owned("Pod", set).map(|pod| match pods::assess(pod, around) {
                Health::Doomed(on) if former(pod) => Health::Waiting { on, patience: Some(FORMER_REVISION) },
                health @ (Health::Ready { .. } | Health::Waiting { .. } | Health::Doomed(_)) => health,
            });
            let lowest = Health::gravest(troubles).map(|health| health.below(set));
            let has_former = updated < wanted && count("replicas") > fresh;
            let idle = has_former.then(|| by_hand(set, fresh, wanted)).flatten();
            Health::gravest(lowest.into_iter().chain(creation::refused(set, around)).chain(idle))
                .unwrap_or_else(|| short(set, &lack))
        }
    }
}

pub(super) fn daemon_set(set: Object<'_>, around: &Surroundings<'_>) -> Health {
    if let Some(unseen) = unseen(set) {
        return unseen;
    }
    let count = |field: &str| set.count(&format!("/status/{field}"));
    let (wanted, fresh) = (count("desiredNumberScheduled"), count("updatedNumberScheduled"));
    match counted(wanted, fresh, wanted, count("numberAvailable")) {
        Ok(_) if wanted == 0 => Health::ready("no node is meant to run it"),
        Ok(saw) => Health::ready(saw),
        Err(lack) => {
            // Kept up for the scheduler of old, and still the only link from the set to its newest pods.
            let newest = set.annotation("deprecated.daemonset.template.generation");
            let is_new = |pod: Object<'_>| newest.is_none() || pod.label("pod-template-generation") == newest;
            let lowest = pod_trouble(set, around, is_new).map(|health| health.below(set));
            let has_former = count("currentNumberScheduled") > fresh;
            let idle = has_former.then(|| by_hand(set, fresh, wanted)).flatten();
            Health::gravest(lowest.into_iter().chain(creation::refused(set, around)).chain(idle))
                .unwrap_or_else(|| short(set, &lack))
        }
    }
}

pub(super) fn replica_set(set: Object<'_>, around: &Surroundings<'_>) -> Health {
    if let Some(unseen) = unseen(set) {
        return unseen;
    }
    let created = set.count("/status/replicas");
    match counted(wanted(set), created, created, set.count("/status/availableReplicas")) {
        Ok(saw) => Health::ready(saw),
        Err(lack) => {
            let lowest = pod_trouble(set, around, |_| true).map(|health| health.below(set));
            Health::gravest(lowest.into_iter().chain(creation::refused(set, around)))
                .unwrap_or_else(|| short(set, &lack))
        }
    }
}

/// A workload whose controller has not taken note of its newest specification.
fn unseen(workload: Object<'_>) -> Option<Health> {
    let unseen = workload.number("/status/observedGeneration").is_none() || workload.is_stale();
    unseen.then(|| {
        let line =
            format!("{} {}: its controller has not seen the newest specification", workload.kind, workload.name());
        Health::waiting(line)
    })
}

pub(super) fn wanted(workload: Object<'_>) -> i64 {
    workload.number("/spec/replicas").unwrap_or(1)
}

fn counted(wanted: i64, updated: i64, existing: i64, available: i64) -> Rollout {
    if updated < wanted {
        Err(format!("{updated} of {wanted} pods are of the newest specification"))
    } else if existing > wanted.max(updated.min(wanted)) {
        Err(format!("{} former pods are still there", existing - wanted))
    } else if available < wanted {
        Err(format!("{available} of {wanted} pods are available"))
    } else {
        Ok(format!("{available} of {wanted} pods are available"))
    }
}

/// A workload that leaves the replacing of its former pods to somebody else: to the operator that has made it, which takes one after
/// the other and its time between them (spotahome/redis-operator `operator/redisfailover/checker.go`, `UpdateRedisesPods`), else to a hand.
fn by_hand(workload: Object<'_>, fresh: i64, wanted: i64) -> Option<Health> {
    if workload.text("/spec/updateStrategy/type") != "OnDelete" {
        return None;
    }
    let (kind, name) = (workload.kind, workload.name());
    let short = format!("{kind} {name}: {fresh} of {wanted} pods are of the newest specification");
    let strategy = "its update strategy OnDelete leaves the others until";
    let mut owners = workload.metadata.owner_references.iter().flatten();
    Some(match owners.find(|owner| owner.controller == Some(true)) {
        Some(by) => {
            Health::waiting(format!("{short}, and {strategy} the operator of {} {} deletes them", by.kind, by.name))
        }
        None => Health::stuck(format!("{short}, and {strategy} somebody deletes them"), BY_HAND),
    })
}

/// A Deployment whose rollout somebody has paused, and which lacks something until it is resumed.
fn paused(deployment: Object<'_>, lack: &str) -> Option<Health> {
    let is_paused = deployment.data.pointer("/spec/paused").and_then(serde_json::Value::as_bool).unwrap_or_default();
    is_paused.then(|| Health::stuck(format!("Deployment {} is paused: {lack}", deployment.name()), BY_HAND))
}

fn short(workload: Object<'_>, lack: &str) -> Health {
    Health::waiting(format!("{} {}: {lack}", workload.kind, workload.name()))
}

/// The replica set of a Deployment's newest specification, once it is seen.
fn newest_replica_set<'a>(deployment: Object<'_>, around: &Surroundings<'a>) -> Option<Object<'a>> {
    const REVISION: &str = "deployment.kubernetes.io/revision";
    let newest = deployment.annotation(REVISION)?;
    around.owned("ReplicaSet", deployment).find(|set| set.annotation(REVISION) == Some(newest))
}

/// The gravest state among an owner's pods of the newest specification.
fn pod_trouble(owner: Object<'_>, around: &Surroundings<'_>, is_new: impl Fn(Object<'_>) -> bool) -> Option<Health> {
    let pods = around.owned("Pod", owner).filter(|pod| !pod.is_going() && is_new(*pod));
    Health::gravest(pods.map(|pod| pods::assess(pod, around)))
}

/// A Deployment past its own deadline, with what it waited for.
fn late(deployment: Object<'_>, lowest: Option<&Health>) -> Option<Health> {
    let progressing = deployment.condition("Progressing")?;
    if super::object::text(progressing, "/reason") != "ProgressDeadlineExceeded" {
        return None;
    }
    let deadline = deployment.number("/spec/progressDeadlineSeconds").unwrap_or(600);
    let why = match lowest {
        Some(Health::Waiting { on, .. } | Health::Doomed(on)) => &on.line,
        Some(Health::Ready { .. }) | None => words(progressing),
    };
    let line = format!("Deployment {} exceeded its progress deadline of {deadline}s: {why}", deployment.name());
    Some(Health::doomed(line))
}

#[cfg(test)]
mod tests {
    use super::super::literal::{doomed, health, ready, stuck, waiting};
    use super::super::patience::{BY_HAND, FORMER_REVISION};
    use super::super::{Cause, Health};

    fn workload(kind: &str, spec: &str, status: &str) -> String {
        format!(
            "apiVersion: apps/v1
kind: {kind}
metadata: {{ name: web, uid: w1, generation: 2, annotations: {{ deployment.kubernetes.io/revision: '2' }} }}
spec: {{ {spec} }}
status: {{ {status} }}"
        )
    }

    fn replica_set(uid: &str, revision: u8) -> String {
        format!(
            "\n---\napiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {{ name: web-{uid}, uid: {uid}, annotations: {{ \
             deployment.kubernetes.io/revision: '{revision}' }}, ownerReferences: [{{ apiVersion: apps/v1, kind: Deployment, \
             name: web, uid: w1 }}] }}"
        )
    }

    fn broken_pod(owner: &str, labels: &str) -> String {
        format!(
            "\n---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: web-{owner}-x, labels: {{ {labels} }}, ownerReferences: [{{ \
             apiVersion: apps/v1, kind: ReplicaSet, name: o, uid: {owner} }}] }}\nspec: {{ nodeName: n, containers: [{{ name: a, \
             image: b }}] }}\nstatus: {{ phase: Pending, containerStatuses: [{{ name: a, state: {{ waiting: {{ reason: \
             ErrImagePull, message: not found }} }} }}] }}"
        )
    }

    const DEPLOYED: &str = "observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2";

    #[test]
    fn a_deployment_is_ready_when_every_pod_is_new_and_available() {
        ready(&workload("Deployment", "replicas: 2", DEPLOYED), "2 of 2 pods are available");
    }

    #[test]
    fn a_workload_that_its_controller_has_not_seen_is_not_ready() {
        for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"] {
            let line = format!("{kind} web: its controller has not seen the newest specification");
            waiting(&workload(kind, "replicas: 2", ""), &line);
            let stale = DEPLOYED.replace("observedGeneration: 2", "observedGeneration: 1");
            waiting(&workload(kind, "replicas: 2", &stale), &line);
        }
    }

    #[test]
    fn old_pods_and_missing_pods_keep_a_deployment_from_being_ready() {
        let table = [
            ("updatedReplicas: 2", "updatedReplicas: 1", "1 of 2 pods are of the newest specification"),
            (" replicas: 2", " replicas: 3", "1 former pods are still there"),
            ("availableReplicas: 2", "availableReplicas: 1", "1 of 2 pods are available"),
        ];
        for (from, to, lack) in table {
            let yaml = workload("Deployment", "replicas: 2", &DEPLOYED.replacen(from, to, 1));
            waiting(&yaml, &format!("Deployment web: {lack}"));
        }
    }

    #[test]
    fn a_paused_deployment_says_so_and_what_it_lacks() {
        let former = DEPLOYED.replace("updatedReplicas: 2", "updatedReplicas: 0");
        let line = "Deployment web is paused: 0 of 2 pods are of the newest specification";
        stuck(&workload("Deployment", "replicas: 2, paused: true", &former), line, BY_HAND);
        stuck(&(workload("Deployment", "replicas: 2, paused: true", &former) + &replica_set("r2", 2)), line, BY_HAND);
        ready(&workload("Deployment", "replicas: 2, paused: true", DEPLOYED), "2 of 2 pods are available");
    }

    #[test]
    fn a_broken_pod_dooms_its_deployment_with_the_way_down() {
        let unready = DEPLOYED.replace("availableReplicas: 2", "availableReplicas: 0");
        let yaml = workload("Deployment", "replicas: 2", &unready) + &replica_set("r2", 2) + &broken_pod("r2", "");
        let cause = Cause {
            line: "pod web-r2-x: container a cannot pull image \"b\": not found (ErrImagePull)".to_owned(),
            way: vec!["Deployment web".to_owned(), "ReplicaSet web-r2".to_owned()],
            speaker: None,
        };
        assert_eq!(health(&yaml), Health::Doomed(cause));
    }

    #[test]
    fn a_broken_pod_of_the_former_specification_says_nothing_about_the_new_one() {
        let unready = DEPLOYED.replace("availableReplicas: 2", "availableReplicas: 0");
        let yaml = workload("Deployment", "replicas: 2", &unready) + &replica_set("r1", 1) + &broken_pod("r1", "");
        waiting(&yaml, "Deployment web: 0 of 2 pods are available");
    }

    #[test]
    fn a_missed_progress_deadline_dooms() {
        let late = "observedGeneration: 2, replicas: 1, updatedReplicas: 1, conditions: [{ type: Progressing, status: 'False', \
                    reason: ProgressDeadlineExceeded, message: it took too long }]";
        let yaml = workload("Deployment", "progressDeadlineSeconds: 60", late) + &replica_set("r2", 2);
        doomed(&yaml, "Deployment web exceeded its progress deadline of 60s: it took too long");
    }

    #[test]
    fn a_stateful_set_counts_what_its_strategy_lets_it_replace() {
        let status = "observedGeneration: 2, replicas: 3, readyReplicas: 3, updatedReplicas: 1";
        waiting(
            &workload("StatefulSet", "replicas: 3", status),
            "StatefulSet web: 1 of 3 pods are of the newest specification",
        );
        let partition =
            |partition| format!("replicas: 3, updateStrategy: {{ rollingUpdate: {{ partition: {partition} }} }}");
        let staged = "3 of 3 pods are available, 1 of the newest specification (partition 2)";
        ready(&workload("StatefulSet", &partition(2), status), staged);
        let all = status.replace("updatedReplicas: 1", "updatedReplicas: 3");
        ready(&workload("StatefulSet", &partition(2), &all), "3 of 3 pods are available");
        let few = "observedGeneration: 2, replicas: 1, readyReplicas: 1, updatedReplicas: 1";
        waiting(&workload("StatefulSet", "replicas: 3", few), "StatefulSet web: 1 of 3 pods created");
    }

    #[test]
    fn a_revision_that_runs_nowhere_because_nobody_deletes_the_former_pods_is_not_ready() {
        let stale = "observedGeneration: 2, replicas: 2, readyReplicas: 2, updatedReplicas: 0, desiredNumberScheduled: 2, \
                     currentNumberScheduled: 2, updatedNumberScheduled: 0, numberAvailable: 2";
        for kind in ["StatefulSet", "DaemonSet"] {
            let spec = "replicas: 2, updateStrategy: { type: OnDelete }";
            let line = format!(
                "{kind} web: 0 of 2 pods are of the newest specification, and its update strategy OnDelete leaves the \
                 others until somebody deletes them"
            );
            stuck(&workload(kind, spec, stale), &line, BY_HAND);
            let made = workload(kind, spec, stale).replace(
                "metadata: { ",
                "metadata: { ownerReferences: [{ apiVersion: a/v1, kind: Thing, name: t, uid: t1, controller: true }], ",
            );
            let by_operator = line.replace("somebody deletes", "the operator of Thing t deletes");
            waiting(&made, &by_operator);
            let fresh = stale.replace("updatedReplicas: 0", "updatedReplicas: 2");
            let fresh = fresh.replace("updatedNumberScheduled: 0", "updatedNumberScheduled: 2");
            ready(&workload(kind, spec, &fresh), "2 of 2 pods are available");
        }
    }

    #[test]
    fn a_broken_pod_of_a_stateful_sets_former_revision_may_be_replaced() {
        let status = "observedGeneration: 2, replicas: 1, updateRevision: new";
        let line = "pod web-w1-x: container a cannot pull image \"b\": not found (ErrImagePull)";
        let set = workload("StatefulSet", "", status);
        stuck(&format!("{set}{}", broken_pod("w1", "controller-revision-hash: old")), line, FORMER_REVISION);
        doomed(&format!("{set}{}", broken_pod("w1", "controller-revision-hash: new")), line);
    }

    #[test]
    fn a_daemon_set_is_ready_on_every_node_that_is_meant_to_run_it() {
        let on = |available: u8| {
            format!(
                "observedGeneration: 2, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: {available}"
            )
        };
        ready(&workload("DaemonSet", "", &on(2)), "2 of 2 pods are available");
        waiting(&workload("DaemonSet", "", &on(1)), "DaemonSet web: 1 of 2 pods are available");
        ready(&workload("DaemonSet", "", "observedGeneration: 2"), "no node is meant to run it");
        let line = "pod web-w1-x: container a cannot pull image \"b\": not found (ErrImagePull)";
        doomed(&(workload("DaemonSet", "", &on(1)) + &broken_pod("w1", "")), line);
    }
}
