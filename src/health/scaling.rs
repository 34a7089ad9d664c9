//! PodDisruptionBudgets and HorizontalPodAutoscalers: built-in kinds whose controllers say whether they can work.
//!
//! A budget that too few pods meet blocks every drain of a node (`disruptionsAllowed` may well be 0). An autoscaler
//! without metrics scales nothing; Argo CD calls it degraded by the same two conditions.

use serde_json::Value;

use super::object::{text, words};
use super::patience::METRICS;
use super::{Health, Object};

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

#[cfg(test)]
mod tests {
    use super::super::literal::{ready, stuck, waiting};
    use super::super::patience::METRICS;

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
