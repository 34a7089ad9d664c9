//! PodDisruptionBudgets and HorizontalPodAutoscalers: built-in kinds whose controllers say whether they can work.
//!
//! A budget that too few pods meet blocks every drain of a node (`disruptionsAllowed` may well be 0). An autoscaler
//! without metrics scales nothing; Argo CD calls it degraded by the same two conditions. And workloads that were scaled to
//! nothing, which are ready by their counts.

use serde_json::Value;

use super::object::{text, words};
use super::patience::{DESERTED, METRICS};
use super::{Health, Object, Surroundings, workloads};
use crate::number::count;

pub(super) fn budget(budget: Object<'_>) -> Health {
    let name = budget.name();
    if budget.number("/status/observedGeneration").is_none() || budget.is_stale() {
        return Health::waiting(format!(
            "PodDisruptionBudget {name}: its controller has not seen the newest specification"
        ));
    }
    let (healthy, wanted) = (budget.count("/status/currentHealthy"), budget.count("/status/desiredHealthy"));
    if healthy < wanted {
        return Health::waiting(format!("PodDisruptionBudget {name}: {healthy} of {wanted} pods are healthy"));
    }
    Health::ready(format!("{healthy} pods are healthy, {wanted} are wanted"))
}

pub(super) fn autoscaler(scaler: Object<'_>) -> Health {
    let conditions = scaler.conditions();
    let line = |said: &str| format!("HorizontalPodAutoscaler {}: {said}", scaler.name());
    let of = |kind: &str| conditions.iter().find(|condition| text(condition, "/type") == kind);
    let told = [of("AbleToScale"), of("ScalingActive")];
    // Zero replicas are its own way of being switched off.
    let is_lacking =
        |condition: &&&Value| text(condition, "/status") == "False" && text(condition, "/reason") != "ScalingDisabled";
    if let Some(lacking) = told.iter().flatten().find(is_lacking) {
        return Health::stuck(line(words(lacking)), METRICS);
    }
    match told {
        [Some(_), Some(_)] => Health::ready("its controller scales by it"),
        [_, _] => Health::waiting(line("its controller has not looked at it yet")),
    }
}

/// How many pods a workload wants; `None` for what is none.
#[must_use]
pub fn wanted_pods(object: Object<'_>) -> Option<i64> {
    match (object.group, object.kind) {
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet") => Some(workloads::wanted(object)),
        ("apps", "DaemonSet") => Some(object.count("/status/desiredNumberScheduled")),
        _ => None,
    }
}

/// A workload that was ready with `had` pods and wants none any more, unless an autoscaler does that: one that may go down
/// to none, or KEDA's, which leaves that to its `ScaledObject`.
#[must_use]
pub fn deserted(workload: Object<'_>, had: i64, around: &Surroundings<'_>) -> Option<Health> {
    let target = |scaler: &Object<'_>| {
        let of = |field: &str| scaler.text(&format!("/spec/scaleTargetRef/{field}"));
        let owners = scaler.metadata.owner_references.iter().flatten();
        let may = scaler.number("/spec/minReplicas") == Some(0)
            || owners.into_iter().any(|owner| owner.kind == "ScaledObject");
        may && of("kind") == workload.kind && of("name") == workload.name()
    };
    let is_scaled = around.all("HorizontalPodAutoscaler").iter().any(target);
    (had > 0 && wanted_pods(workload) == Some(0) && !is_scaled).then(|| {
        let (kind, name) = (workload.kind, workload.name());
        let had = count(usize::try_from(had).unwrap_or_default(), "pod");
        let line = match kind {
            "DaemonSet" => format!("no node is meant to run DaemonSet {name} any more; it had been ready with {had}"),
            _ => format!("{kind} {name} was scaled to 0 after it had been ready with {had}"),
        };
        Health::stuck(line, DESERTED)
    })
}

#[cfg(test)]
mod tests {
    use super::super::literal::{ready, stuck, waiting, with};
    use super::super::patience::METRICS;
    use super::deserted;

    #[test]
    fn a_workload_scaled_to_nothing_is_deserted_unless_an_autoscaler_scales_it() {
        let web = |replicas: u8| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec: {{ replicas: {replicas} }}"
            )
        };
        let line = |yaml: &str, had: i64| match with(yaml, |object, around| deserted(object, had, around)) {
            Some(super::Health::Waiting { on, .. }) => Some(on.line),
            _ => None,
        };
        let said = "Deployment web was scaled to 0 after it had been ready with 2 pods";
        assert_eq!(line(&web(0), 2).as_deref(), Some(said));
        assert_eq!((line(&web(1), 2), line(&web(0), 0)), (None, None));
        let scaler = |more: &str, least: u8| {
            format!(
                "\n---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{ name: web{more} }}\nspec: {{ \
                 minReplicas: {least}, scaleTargetRef: {{ kind: Deployment, name: web }} }}"
            )
        };
        let keda = ", ownerReferences: [{ apiVersion: keda.sh/v1alpha1, kind: ScaledObject, name: web, uid: s }]";
        assert_eq!(line(&(web(0) + &scaler(keda, 1)), 2), None);
        assert_eq!(line(&(web(0) + &scaler("", 0)), 2), None);
        assert_eq!(line(&(web(0) + &scaler("", 1)), 2).as_deref(), Some(said), "it never scales to none");
        let daemons =
            "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: { name: agent }\nstatus: { desiredNumberScheduled: 0 }";
        let said = "no node is meant to run DaemonSet agent any more; it had been ready with 1 pod";
        assert_eq!(line(daemons, 1).as_deref(), Some(said));
    }

    #[test]
    fn a_disruption_budget_is_ready_when_enough_pods_are_healthy() {
        let budget = |status: &str| {
            format!(
                "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{ name: web, generation: 1 }}\nstatus: {{ {status} }}"
            )
        };
        let unseen = "PodDisruptionBudget web: its controller has not seen the newest specification";
        waiting(&budget(""), unseen);
        waiting(&budget("observedGeneration: 0, currentHealthy: 1"), unseen);
        let short = "observedGeneration: 1, currentHealthy: 1, desiredHealthy: 2";
        waiting(&budget(short), "PodDisruptionBudget web: 1 of 2 pods are healthy");
        ready(&budget(&short.replace("Healthy: 2", "Healthy: 1")), "1 pods are healthy, 1 are wanted");
    }

    #[test]
    fn an_autoscaler_that_finds_no_metrics_is_stuck_with_its_words() {
        let scaler = |conditions: &str| {
            format!(
                "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{ name: web }}\nstatus: {{ conditions: \
                 [{conditions}] }}"
            )
        };
        waiting(&scaler(""), "HorizontalPodAutoscaler web: its controller has not looked at it yet");
        let able = "{ type: AbleToScale, status: 'True' }";
        let active = |status: &str, reason: &str| {
            scaler(&format!(
                "{able}, {{ type: ScalingActive, status: '{status}', reason: {reason}, message: no metrics }}"
            ))
        };
        ready(&active("True", "ValidMetricFound"), "its controller scales by it");
        ready(&active("False", "ScalingDisabled"), "its controller scales by it");
        let lost = scaler("{ type: AbleToScale, status: 'False', reason: FailedGetScale, message: web not found }");
        stuck(&lost, "HorizontalPodAutoscaler web: web not found", METRICS);
        stuck(&active("False", "FailedGetResourceMetric"), "HorizontalPodAutoscaler web: no metrics", METRICS);
    }
}
