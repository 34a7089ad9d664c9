//! Pods: scheduled, prepared, started, ready.

use super::object::words;
use super::patience::EVICTION;
use super::{Health, Object, Surroundings, containers, scheduling};

/// Reasons for which a node puts a pod out; its controller makes another one.
const PUT_OUT: [&str; 6] =
    ["Evicted", "NodeShutdown", "Preempting", "Terminated", "UnexpectedAdmissionError", "NodeLost"];

pub(super) fn assess(pod: Object<'_>, around: &Surroundings<'_>) -> Health {
    if pod.is_going() {
        return Health::waiting(format!("pod {} is being deleted", pod.name()));
    }
    match pod.text("/status/phase") {
        "Succeeded" => return Health::ready("ran to success"),
        "Failed" => return failed(pod, around),
        _ => {}
    }
    if let Some(health) = scheduling::assess(pod, around).or_else(|| containers::gravest(pod, around)) {
        return health;
    }
    if pod.holds("Ready").is_some() {
        return Health::ready("ready");
    }
    containers::preparing(pod, around).unwrap_or_else(|| Health::waiting(unready(pod)))
}

fn failed(pod: Object<'_>, around: &Surroundings<'_>) -> Health {
    let (reason, message) = (pod.text("/status/reason"), pod.text("/status/message"));
    let line = format!("pod {} has failed: {message} ({reason})", pod.name());
    let replaced = pod.metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true));
    if replaced && (PUT_OUT.contains(&reason) || reason.starts_with("OutOf")) {
        return Health::stuck(line, EVICTION);
    }
    if !reason.is_empty() {
        return Health::doomed(line);
    }
    containers::culprit(pod, around).unwrap_or_else(|| Health::doomed(format!("pod {} has failed", pod.name())))
}

fn unready(pod: Object<'_>) -> String {
    let gate = pod.condition("Ready").map(words).filter(|words| !words.is_empty());
    match (gate, pod.text("/spec/nodeName")) {
        (Some(words), _) => format!("pod {} is not ready: {words}", pod.name()),
        (None, "") => format!("pod {} is not scheduled yet", pod.name()),
        (None, node) => format!("pod {} is not started yet on node {node}", pod.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::literal::{doomed, ready, stuck, waiting};
    use super::super::patience::{CRASH, EVICTION, MOUNT, REFERENCE, REGISTRY, RUNTIME, SANDBOX, SCHEDULING};

    /// A pod `web-1` with one container `app` in a state, and what else its status and surroundings say.
    fn pod(state: &str, more: &str) -> String {
        format!(
            "apiVersion: v1
kind: Pod
metadata: {{ name: web-1, uid: u1 }}
spec:
  restartPolicy: Always
  nodeName: n1
  containers: [{{ name: app, image: 'redis:nope', resources: {{ limits: {{ memory: 64Mi }}, requests: {{ memory: 1Gi }} }} }}]
status:
  phase: Pending
  containerStatuses: [{{ name: app, {state} }}]
{more}"
        )
    }

    fn waits(reason: &str, message: &str) -> String {
        pod(&format!("restartCount: 0, state: {{ waiting: {{ reason: {reason}, message: '{message}' }} }}"), "")
    }

    fn event(reason: &str, message: &str) -> String {
        format!(
            "\n---\napiVersion: v1\nkind: Event\nmetadata: {{ name: e, resourceVersion: '7' }}\n\
             involvedObject: {{ uid: u1, fieldPath: 'spec.containers{{app}}' }}\nreason: {reason}\nmessage: '{message}'"
        )
    }

    #[test]
    fn a_ready_pod_is_ready_and_a_finished_one_too() {
        let conditions = "  conditions: [{ type: Ready, status: 'True' }]";
        ready(&pod("ready: true, state: { running: {} }", conditions), "ready");
        let done = "{ apiVersion: v1, kind: Pod, metadata: { name: a }, status: { phase: Succeeded } }";
        ready(done, "ran to success");
    }

    #[test]
    fn a_new_pod_with_an_empty_status_is_not_ready() {
        waiting("{ apiVersion: v1, kind: Pod, metadata: { name: a } }", "pod a is not scheduled yet");
    }

    #[test]
    fn an_image_that_is_not_there_is_doomed_with_its_name_and_the_registrys_words() {
        for reason in ["ErrImagePull", "ImagePullBackOff"] {
            let message = "failed to resolve reference \"docker.io/library/redis:nope\": not found";
            let line = format!("pod web-1: container app cannot pull image \"redis:nope\": not found ({reason})");
            doomed(&waits(reason, message), &line);
        }
    }

    #[test]
    fn a_back_off_without_words_takes_them_from_the_event() {
        let yaml = waits("ImagePullBackOff", "Back-off pulling image \"redis:nope\"")
            + &event("Failed", "Failed to pull image \"redis:nope\": manifest unknown");
        doomed(&yaml, "pod web-1: container app cannot pull image \"redis:nope\": manifest unknown (ImagePullBackOff)");
    }

    #[test]
    fn a_busy_registry_is_waited_for() {
        let line = "pod web-1: container app cannot pull image \"redis:nope\": 429 Too Many Requests (ErrImagePull)";
        stuck(&waits("ErrImagePull", "429 Too Many Requests"), line, REGISTRY);
    }

    #[test]
    fn images_that_can_never_be_used_are_doomed() {
        for reason in ["InvalidImageName", "ErrImageNeverPull", "ImageInspectError"] {
            let line = format!("pod web-1: container app cannot use image \"redis:nope\": why ({reason})");
            doomed(&waits(reason, "why"), &line);
        }
    }

    #[test]
    fn a_missing_reference_may_still_appear() {
        let line = "pod web-1: container app is misconfigured: couldn't find key b in ConfigMap ns/a (CreateContainerConfigError)";
        stuck(&waits("CreateContainerConfigError", "couldn''t find key b in ConfigMap ns/a"), line, REFERENCE);
    }

    #[test]
    fn a_container_that_cannot_be_created_is_doomed_unless_the_runtime_stumbles() {
        doomed(
            &waits("RunContainerError", "exec: nope: not found"),
            "pod web-1: container app cannot be started: exec: nope: not found (RunContainerError)",
        );
        let line = "pod web-1: container app cannot be created: name x is reserved for y (CreateContainerError)";
        stuck(&waits("CreateContainerError", "name x is reserved for y"), line, RUNTIME);
    }

    #[test]
    fn a_crash_loop_names_the_exit_code() {
        let state = "restartCount: 1, state: { waiting: { reason: CrashLoopBackOff } }, \
                     lastState: { terminated: { exitCode: 3, reason: Error } }";
        stuck(&pod(state, ""), "pod web-1: container app exited with code 3, restarted once (CrashLoopBackOff)", CRASH);
        let many = state.replace("restartCount: 1", "restartCount: 6");
        doomed(&pod(&many, ""), "pod web-1: container app exited with code 3, restarted 6 times (CrashLoopBackOff)");
    }

    #[test]
    fn a_first_exit_is_not_yet_a_crash_loop() {
        let once = "restartCount: 0, state: { terminated: { exitCode: 3, reason: Error } }";
        waiting(&pod(once, ""), "pod web-1: container app exited with code 3");
        let twice = once.replace("restartCount: 0", "restartCount: 1");
        stuck(&pod(&twice, ""), "pod web-1: container app exited with code 3, restarted once (Error)", CRASH);
    }

    #[test]
    fn a_container_killed_for_memory_says_so_with_its_limit() {
        let state = "restartCount: 1, state: { waiting: { reason: CrashLoopBackOff } }, \
                     lastState: { terminated: { exitCode: 137, reason: OOMKilled } }";
        let line = "pod web-1: container app was killed for using more memory than its limit of 64Mi (OOMKilled, exit \
                    code 137), restarted once (CrashLoopBackOff)";
        stuck(&pod(state, ""), line, CRASH);
    }

    #[test]
    fn a_command_that_does_not_exist_is_doomed_at_its_first_start() {
        let state =
            "restartCount: 0, state: { terminated: { exitCode: 128, reason: StartError, message: 'exec: nope' } }";
        doomed(&pod(state, ""), "pod web-1: container app cannot be started: exec: nope (StartError)");
    }

    #[test]
    fn a_container_killed_for_its_liveness_probe_says_so() {
        let died = |finished: &str| {
            let end = format!("exitCode: 137, reason: Error, finishedAt: '2026-01-01T{finished}Z'");
            pod(&format!("restartCount: 0, state: {{ terminated: {{ {end} }} }}"), "")
        };
        let said = event("Killing", "Container app failed liveness probe, will be restarted").replace("'7'", "'8'")
            + "\nlastTimestamp: '2026-01-01T00:00:30Z'"
            + &event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500");
        let line = "pod web-1: container app was killed, as its liveness probe failed: HTTP probe failed with statuscode: 500 \
                    (exit code 137)";
        waiting(&(died("00:00:59") + &said), line);
        waiting(&(died("00:10:00") + &said), "pod web-1: container app exited with code 137");
    }

    #[test]
    fn a_failed_pod_names_its_container_or_its_nodes_reason() {
        let ended = "state: { terminated: { exitCode: 2 } }";
        let failed = pod(ended, "").replace("phase: Pending", "phase: Failed");
        doomed(&failed, "pod web-1: container app exited with code 2");
        let evicted = failed.replace("phase: Failed", "phase: Failed\n  reason: Evicted\n  message: disk");
        doomed(&evicted, "pod web-1 has failed: disk (Evicted)");
        let owned = evicted.replace(
            "uid: u1 }",
            "uid: u1, ownerReferences: [{ apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: r1, controller: true }] }",
        );
        stuck(&owned, "pod web-1 has failed: disk (Evicted)", EVICTION);
    }

    #[test]
    fn a_running_container_that_is_not_ready_quotes_its_probe() {
        let running = pod("ready: false, state: { running: {} }", "");
        waiting(&running, "pod web-1: container app is running but not ready");
        let probed = running + &event("Unhealthy", "Readiness probe failed: 503");
        waiting(&probed, "pod web-1: container app is running but not ready: Readiness probe failed: 503");
    }

    #[test]
    fn what_keeps_a_container_from_being_created_is_in_the_newest_event() {
        let creating = waits("ContainerCreating", "");
        waiting(&creating, "pod web-1: container app is being created");
        let table = [
            ("FailedMount", "configmap \"c\" not found", REFERENCE),
            ("FailedMount", "timed out waiting for the condition", MOUNT),
            ("FailedCreatePodSandBox", "plugin type=\"x\" failed", SANDBOX),
        ];
        for (reason, message, patience) in table {
            let line = format!("pod web-1: {message} ({reason})");
            stuck(&format!("{creating}{}", event(reason, message)), &line, patience);
        }
        let pulling = creating.clone() + &event("Pulling", "Pulling image");
        waiting(&pulling, "pod web-1: container app is being created");
    }

    #[test]
    fn init_containers_come_before_containers_and_sidecars_stay() {
        let init = |policy: &str, state: &str| {
            format!(
                "apiVersion: v1
kind: Pod
metadata: {{ name: web-1 }}
spec: {{ nodeName: n1, restartPolicy: Always, initContainers: [{{ name: first{policy} }}], containers: [{{ name: app }}] }}
status:
  initContainerStatuses: [{{ name: first, {state} }}]
  containerStatuses: [{{ name: app, state: {{ waiting: {{ reason: PodInitializing }} }} }}]"
            )
        };
        waiting(&init("", "state: { running: {} }"), "pod web-1: init container first is running");
        let sidecar = init(", restartPolicy: Always", "started: true, ready: true, state: { running: {} }");
        waiting(&sidecar, "pod web-1: container app is being created");
        let crashed = init(
            "",
            "restartCount: 2, state: { waiting: { reason: CrashLoopBackOff } }, lastState: { terminated: { exitCode: 1 } }",
        );
        stuck(
            &crashed,
            "pod web-1: init container first exited with code 1, restarted 2 times (CrashLoopBackOff)",
            CRASH,
        );
    }

    #[test]
    fn a_pod_that_no_node_takes_is_doomed_only_where_none_could() {
        let pending = "apiVersion: v1
kind: Pod
metadata: { name: web-1 }
spec: { containers: [{ name: app, resources: { requests: { memory: 64Gi } } }] }
status:
  phase: Pending
  conditions: [{ type: PodScheduled, status: 'False', reason: Unschedulable, message: 1 Insufficient memory. }]";
        stuck(pending, "pod web-1 is taken by no node: 1 Insufficient memory. (Unschedulable)", SCHEDULING);
        let node = |memory: &str| {
            format!(
                "{pending}\n---\napiVersion: v1\nkind: Node\nmetadata: {{ name: node }}\nstatus: {{ allocatable: {{ memory: {memory} }} }}"
            )
        };
        stuck(&node("128Gi"), "pod web-1 is taken by no node: 1 Insufficient memory. (Unschedulable)", SCHEDULING);
        let line = "pod web-1 asks for more memory than any node has (8Gi): 1 Insufficient memory. (Unschedulable)";
        doomed(&node("8Gi"), line);
    }

    #[test]
    fn a_readiness_gate_is_waited_for_with_its_words() {
        let conditions = "  conditions: [{ type: Ready, status: 'False', message: the gate is closed }]";
        let yaml = pod("ready: true, state: { running: {} }", conditions);
        waiting(&yaml, "pod web-1 is not ready: the gate is closed");
    }
}
