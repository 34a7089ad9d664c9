//! Jobs: pods that end, counted until there are enough good or too many bad ones.
//!
//! The order of conditions follows `pkg/controller/job/job_controller.go` of Kubernetes 1.34: `SuccessCriteriaMet` or
//! `FailureTarget` first, `Complete` or `Failed` once no pod runs any more.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::offspring::{conditions, create_or_refuse, delete_pod, pods_of, seed};
use super::scene::{Scene, condition, holds, is, leaving, list, name, number, put, terse, text, uid};

/// Who says so.
const SOURCE: &str = "job-controller";

/// What a Job has.
struct Tally {
    active: Vec<Arc<Value>>,
    /// The indexes of good pods, or a number for each where there are no indexes.
    succeeded: Vec<i64>,
    failed: i64,
    /// How often containers were started again, where pods do that themselves.
    restarts: i64,
    terminating: i64,
    ready: i64,
    /// The uids of the pods that have ended, well and badly.
    ended: [Vec<String>; 2],
}

impl Tally {
    fn of(scene: &Scene<'_>, indexed: bool) -> Self {
        let mut tally = Self {
            active: Vec::new(),
            succeeded: Vec::new(),
            failed: 0,
            restarts: 0,
            terminating: 0,
            ready: 0,
            ended: [Vec::new(), Vec::new()],
        };
        for (position, pod) in pods_of(scene).into_iter().enumerate() {
            match text(&pod, "/status/phase") {
                "Succeeded" => {
                    let position = i64::try_from(position).unwrap_or_default();
                    let index = if indexed { index_of(&pod).unwrap_or_default() } else { position };
                    if !tally.succeeded.contains(&index) {
                        tally.succeeded.push(index);
                        tally.ended[0].push(uid(&pod).to_owned());
                    }
                }
                "Failed" => {
                    tally.failed += 1;
                    tally.ended[1].push(uid(&pod).to_owned());
                }
                _ if leaving(&pod) => tally.terminating += 1,
                _ => {
                    let counts = list(&pod, "/status/containerStatuses").iter();
                    tally.restarts += counts.filter_map(|one| number(one, "/restartCount")).sum::<i64>();
                    tally.ready += i64::from(holds(&pod, "Ready"));
                    tally.active.push(pod);
                }
            }
        }
        tally.succeeded.sort_unstable();
        tally
    }

    fn good(&self) -> i64 {
        i64::try_from(self.succeeded.len()).unwrap_or(i64::MAX)
    }
}

/// The index of a pod of an indexed Job.
fn index_of(pod: &Value) -> Option<i64> {
    text(pod, "/metadata/annotations/batch.kubernetes.io~1job-completion-index").parse().ok()
}

/// Moves a Job on by one step.
pub(super) fn live(scene: &mut Scene<'_>) {
    if scene.leaving() {
        return;
    }
    if holds(scene.object, "Complete") || holds(scene.object, "Failed") {
        return expire(scene);
    }
    let indexed = text(scene.object, "/spec/completionMode") == "Indexed";
    let tally = Tally::of(scene, indexed);
    let mut conditions = conditions(scene.object);
    if suspend(scene, &tally, &mut conditions) {
        return report(scene, &tally, &conditions, indexed, None);
    }
    let start = match text(scene.object, "/status/startTime") {
        "" => scene.stamp(),
        start => start.to_owned(),
    };
    if condition(scene.object, "FailureTarget").is_none() && condition(scene.object, "SuccessCriteriaMet").is_none() {
        verdict(scene, &tally, &mut conditions);
    }
    let decided = |kind: &str| conditions.iter().find(|one| text(one, "/type") == kind).cloned();
    match (decided("FailureTarget"), decided("SuccessCriteriaMet")) {
        (Some(target), _) => finish(scene, &tally, &target, ("Failed", true), &mut conditions),
        (None, Some(met)) => finish(scene, &tally, &met, ("Complete", false), &mut conditions),
        (None, None) => grow(scene, &tally, indexed),
    }
    report(scene, &tally, &conditions, indexed, Some(&start));
}

/// Suspends the Job or lets it go on; whether it is suspended.
fn suspend(scene: &mut Scene<'_>, tally: &Tally, conditions: &mut Vec<Value>) -> bool {
    let suspended = is(scene.object, "/spec/suspend");
    let was = conditions.iter().any(|one| text(one, "/type") == "Suspended" && text(one, "/status") == "True");
    if suspended == was {
        return suspended;
    }
    let (status, reason, message) = match suspended {
        true => ("True", "JobSuspended", "Job suspended"),
        false => ("False", "JobResumed", "Job resumed"),
    };
    conditions.retain(|one| text(one, "/type") != "Suspended");
    conditions.push(said(scene, "Suspended", status, reason, message));
    scene.tell(SOURCE, if suspended { "Suspended" } else { "Resumed" }, message.to_owned());
    if suspended {
        tally.active.iter().for_each(|pod| delete_pod(scene, SOURCE, pod));
    }
    suspended
}

/// A condition as it begins.
fn said(scene: &Scene<'_>, kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let stamp = scene.stamp();
    json!({
        "type": kind, "status": status, "lastProbeTime": stamp, "lastTransitionTime": stamp, "reason": reason,
        "message": message,
    })
}

/// Decides whether the Job has succeeded or failed.
fn verdict(scene: &mut Scene<'_>, tally: &Tally, conditions: &mut Vec<Value>) {
    let limit = number(scene.object, "/spec/backoffLimit").unwrap_or(6);
    let deadline = number(scene.object, "/spec/activeDeadlineSeconds");
    let failure = if let Some(message) = by_policy(scene) {
        Some(("PodFailurePolicy", message))
    } else if tally.failed + tally.restarts > limit {
        Some(("BackoffLimitExceeded", "Job has reached the specified backoff limit".to_owned()))
    } else if deadline.is_some_and(|deadline| too_long(scene, deadline)) {
        Some(("DeadlineExceeded", "Job was active longer than specified deadline".to_owned()))
    } else {
        None
    };
    let wanted = number(scene.object, "/spec/completions");
    let enough = match wanted {
        Some(wanted) => tally.good() >= wanted,
        None => tally.good() > 0 && tally.active.is_empty(),
    };
    if let Some((reason, message)) = failure {
        conditions.push(said(scene, "FailureTarget", "True", reason, &message));
    } else if enough {
        let message = "Reached expected number of succeeded pods";
        conditions.push(said(scene, "SuccessCriteriaMet", "True", "CompletionsReached", message));
    }
}

/// Whether the Job has run longer than it may: a hundredth of what it says; asks to be called again when it will have.
fn too_long(scene: &mut Scene<'_>, seconds: i64) -> bool {
    let rest = hundredth(seconds).saturating_sub(scene.lasting("running", 0));
    if rest.is_zero() {
        return true;
    }
    scene.after(rest);
    false
}

/// A hundredth of a number of seconds.
fn hundredth(seconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(seconds).unwrap_or_default().saturating_mul(10))
}

/// The first rule of the failure policy that makes the Job fail, in the controller's words.
fn by_policy(scene: &Scene<'_>) -> Option<String> {
    let rules = list(scene.object, "/spec/podFailurePolicy/rules");
    if rules.is_empty() {
        return None;
    }
    let failed = pods_of(scene).into_iter().filter(|pod| text(pod, "/status/phase") == "Failed");
    for pod in failed {
        for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| text(rule, "/action") == "FailJob") {
            let codes = list(rule, "/onExitCodes/values");
            let negated = text(rule, "/onExitCodes/operator") == "NotIn";
            for one in list(&pod, "/status/containerStatuses") {
                let Some(code) = number(one, "/state/terminated/exitCode").filter(|code| *code != 0) else { continue };
                let wanted = text(rule, "/onExitCodes/containerName");
                if (wanted.is_empty() || wanted == text(one, "/name")) && codes.contains(&json!(code)) != negated {
                    let (container, whole) = (text(one, "/name"), format!("{}/{}", scene.key.namespace, name(&pod)));
                    return Some(format!(
                        "Container {container} for pod {whole} failed with exit code {code} matching FailJob rule at \
                         index {at}"
                    ));
                }
            }
        }
    }
    None
}

/// Ends the Job once no pod runs any more.
fn finish(
    scene: &mut Scene<'_>,
    tally: &Tally,
    decided: &Value,
    (kind, warning): (&str, bool),
    conditions: &mut Vec<Value>,
) {
    if !tally.active.is_empty() || tally.terminating > 0 {
        if warning && !tally.active.is_empty() {
            // What is stopped counts as failed.
            scene.remember("stopped", i64::try_from(tally.active.len()).unwrap_or_default());
        }
        tally.active.iter().for_each(|pod| delete_pod(scene, SOURCE, pod));
        return;
    }
    // The first is to be seen before the second is there.
    if condition(scene.object, text(decided, "/type")).is_none() {
        return;
    }
    let (reason, message) = (text(decided, "/reason"), text(decided, "/message"));
    conditions.push(said(scene, kind, "True", reason, message));
    match (warning, reason) {
        (false, _) => scene.tell(SOURCE, "Completed", "Job completed".into()),
        (true, "DeadlineExceeded") => scene.warn(SOURCE, "DeadlineExceeded", message.to_owned()),
        (true, "PodFailurePolicy") => scene.warn(SOURCE, "PodFailurePolicy", message.to_owned()),
        (true, _) => scene.warn(SOURCE, "BackoffLimitExceeded", message.to_owned()),
    }
}

/// Creates the pods that are lacking, after a pause where pods have failed.
fn grow(scene: &mut Scene<'_>, tally: &Tally, indexed: bool) {
    let parallel = number(scene.object, "/spec/parallelism").unwrap_or(1).clamp(0, 100_000);
    let wanted = match number(scene.object, "/spec/completions") {
        Some(all) => parallel.min(all.saturating_sub(tally.good())),
        None if tally.good() > 0 => 0,
        None => parallel,
    };
    let running = i64::try_from(tally.active.len()).unwrap_or(i64::MAX);
    let surplus = usize::try_from(running - wanted).unwrap_or_default();
    tally.active.iter().rev().take(surplus).for_each(|pod| delete_pod(scene, SOURCE, pod));
    if running >= wanted || pausing(scene, tally.failed) {
        return;
    }
    let taken: Vec<i64> =
        tally.active.iter().filter_map(|pod| index_of(pod)).chain(tally.succeeded.iter().copied()).collect();
    let mut free = (0..).filter(|index| !taken.contains(index));
    for _ in running..wanted {
        let index = if indexed { free.next() } else { None };
        let pod = pod(scene, index);
        if create_or_refuse(scene, SOURCE, pod).is_err() {
            return;
        }
    }
}

/// Whether the next pod has to wait for the ones that failed: 10 s and twice as long each time, a hundredth of it.
fn pausing(scene: &mut Scene<'_>, failed: i64) -> bool {
    if failed == 0 {
        return false;
    }
    let doubled = u32::try_from(failed - 1).unwrap_or_default().min(5);
    let pause = Duration::from_millis(100) * 2_u32.pow(doubled);
    let rest = pause.saturating_sub(scene.lasting("failures", failed));
    if rest.is_zero() {
        return false;
    }
    scene.after(rest);
    true
}

/// A pod of the Job.
fn pod(scene: &mut Scene<'_>, index: Option<i64>) -> Value {
    let template = scene.object.pointer("/spec/template").cloned().unwrap_or_default();
    let job = scene.key.name.clone();
    let stem = index.map_or_else(|| format!("{job}-"), |index| format!("{job}-{index}-"));
    let mut pod = seed(scene, &template, &stem);
    let uid = scene.uid().to_owned();
    for (key, value) in [
        ("batch.kubernetes.io/controller-uid", &*uid),
        ("batch.kubernetes.io/job-name", &*job),
        ("controller-uid", &*uid),
        ("job-name", &*job),
    ] {
        put(&mut pod, &["metadata", "labels", key], json!(value));
    }
    if let Some(index) = index {
        const INDEX: &str = "batch.kubernetes.io/job-completion-index";
        let index = index.to_string();
        put(&mut pod, &["metadata", "labels", INDEX], json!(index));
        put(&mut pod, &["metadata", "annotations", INDEX], json!(index));
        put(&mut pod, &["spec", "hostname"], json!(format!("{job}-{index}")));
        let mut containers = list(&pod, "/spec/containers").to_vec();
        for container in &mut containers {
            let mut env = list(container, "/env").to_vec();
            env.push(json!({"name": "JOB_COMPLETION_INDEX", "value": index}));
            put(container, &["env"], json!(env));
        }
        put(&mut pod, &["spec", "containers"], json!(containers));
    }
    pod
}

/// Numbers as ranges: `0-2,5`.
fn ranges(numbers: &[i64]) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            Some(_) | None => runs.push((*number, *number)),
        }
    }
    let texts = runs.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    texts.collect::<Vec<_>>().join(",")
}

/// Writes the status.
fn report(scene: &mut Scene<'_>, tally: &Tally, conditions: &[Value], indexed: bool, start: Option<&str>) {
    let active = i64::try_from(tally.active.len()).unwrap_or_default();
    let stopping = conditions.iter().any(|one| matches!(text(one, "/type"), "FailureTarget" | "SuccessCriteriaMet"));
    // With the decision the pods that it is about are listed; they are counted right after.
    let decided = ["FailureTarget", "SuccessCriteriaMet"].iter().any(|kind| condition(scene.object, kind).is_some());
    let said = |field: &str| number(scene.object, field).unwrap_or_default();
    let (mut good, mut bad) = (tally.good(), tally.failed + scene.remembered("stopped"));
    let mut uncounted = json!({});
    if stopping && !decided {
        for (place, (kind, count)) in [("succeeded", &mut good), ("failed", &mut bad)].into_iter().enumerate() {
            let before = said(&format!("/status/{kind}"));
            let fresh: Vec<&String> =
                tally.ended[place].iter().skip(usize::try_from(before).unwrap_or_default()).collect();
            if !fresh.is_empty() {
                uncounted[kind] = json!(fresh);
                *count = before;
            }
        }
    }
    let complete = conditions.iter().any(|one| text(one, "/type") == "Complete");
    let status = json!({
        "conditions": conditions,
        "startTime": start,
        "completionTime": complete.then(|| scene.stamp()),
        "active": if stopping { 0 } else { active },
        "succeeded": good,
        "failed": bad,
        "terminating": tally.terminating + if stopping { active } else { 0 },
        "completedIndexes": if indexed { ranges(&tally.succeeded) } else { String::new() },
        "uncountedTerminatedPods": uncounted,
        "ready": tally.ready,
    });
    scene.status(terse(status, &["uncountedTerminatedPods", "ready", "terminating"]));
}

/// Deletes a Job that is over, after its time to live, a hundredth of it.
fn expire(scene: &mut Scene<'_>) {
    let Some(live) = number(scene.object, "/spec/ttlSecondsAfterFinished") else { return };
    let rest = hundredth(live).saturating_sub(scene.lasting("over", 0));
    if rest.is_zero() {
        scene.delete(scene.key.clone(), scene.object);
    } else {
        scene.after(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_written_as_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7,8");
        assert_eq!(ranges(&[]), "");
    }
}
