//! The status of a pod, as its kubelet writes it.

use serde_json::{Value, json};

use super::super::scene::{Scene, condition, generation, list, terse, text};
use super::cell::{Cell, Ended, Part, State};
use super::life::{Life, Stage};

/// The address of the node.
pub(in super::super) const HOST: &str = "172.18.0.2";
/// What an evicted pod says.
pub(super) const EVICTED: &str =
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 51004Ki. ";

/// The status of a pod.
pub(super) fn render(life: &Life, scene: &Scene<'_>) -> Value {
    let pod = scene.object;
    let inits = statuses(&life.inits, list(pod, "/spec/initContainers"), pod);
    let mains = statuses(&life.mains, list(pod, "/spec/containers"), pod);
    let seen = life.seen.is_some();
    let addresses = |ip: &str| if ip.is_empty() { json!([]) } else { json!([{"ip": ip}]) };
    let host = if seen { HOST } else { "" };
    let message = match (life.evicted, life.stage) {
        (true, _) => EVICTED,
        (false, _) => "",
    };
    let status = json!({
        "observedGeneration": if seen || life.nowhere.is_some() { generation(pod) } else { 0 },
        "phase": if seen { life.phase(pod) } else { "Pending" },
        "conditions": conditions(life, scene),
        "message": message,
        "reason": if life.evicted { "Evicted" } else { "" },
        "hostIP": host,
        "hostIPs": addresses(host),
        "podIP": life.ip,
        "podIPs": addresses(&life.ip),
        "startTime": life.seen,
        "initContainerStatuses": if seen { inits } else { Vec::new() },
        "containerStatuses": if seen { mains } else { Vec::new() },
        "qosClass": quality(pod),
    });
    terse(status, &[])
}

/// The class of a pod by what its containers ask for.
fn quality(pod: &Value) -> &'static str {
    let containers = list(pod, "/spec/containers").iter().chain(list(pod, "/spec/initContainers"));
    let (mut any, mut all) = (false, true);
    for container in containers {
        let part = |part: &str, resource: &str| container.pointer(&format!("/resources/{part}/{resource}"));
        for resource in ["cpu", "memory"] {
            let (request, limit) = (part("requests", resource), part("limits", resource));
            any |= request.is_some() || limit.is_some();
            all &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// The conditions, in the order in which they are shown.
fn conditions(life: &Life, scene: &Scene<'_>) -> Vec<Value> {
    let pod = scene.object;
    if life.seen.is_none() {
        return vec![scheduled(life, scene)];
    }
    let over = life.stage == Stage::Over || life.stage == Stage::Leaving;
    let done = match life.phase(pod) {
        "Succeeded" => Some("PodCompleted"),
        "Failed" => Some("PodFailed"),
        _ => None,
    };
    let initial = life.inits.iter().zip(list(pod, "/spec/initContainers"));
    let incomplete: Vec<&str> = initial
        .filter(|(cell, _)| match cell.part {
            Part::Sidecar => !cell.started && !over,
            Part::Init | Part::Main => cell.over(pod) != Some(0),
        })
        .map(|(_, spec)| text(spec, "/name"))
        .collect();
    let containers = life.mains.iter().zip(list(pod, "/spec/containers"));
    let sidecars = life.inits.iter().zip(list(pod, "/spec/initContainers"));
    let unready: Vec<&str> = sidecars
        .filter(|(cell, _)| cell.part == Part::Sidecar)
        .chain(containers)
        .filter(|(cell, _)| !cell.ready)
        .map(|(_, spec)| text(spec, "/name"))
        .collect();
    let words = |names: &[&str], what: &str| format!("containers with {what} status: [{}]", names.join(" "));
    let mut shown = Vec::new();
    if life.evicted {
        shown.push(entry(scene, "DisruptionTarget", true, "TerminationByKubelet", EVICTED));
    }
    shown.push(entry(scene, "PodReadyToStartContainers", !life.ip.is_empty() && !over, "", ""));
    shown.push(match (done, incomplete.is_empty()) {
        (Some("PodCompleted"), _) => entry(scene, "Initialized", true, "PodCompleted", ""),
        (_, true) => entry(scene, "Initialized", true, "", ""),
        (_, false) => entry(scene, "Initialized", false, "ContainersNotInitialized", &words(&incomplete, "incomplete")),
    });
    for kind in ["Ready", "ContainersReady"] {
        shown.push(match (done, unready.is_empty()) {
            (Some(done), _) => entry(scene, kind, false, done, ""),
            (None, true) => entry(scene, kind, true, "", ""),
            (None, false) => entry(scene, kind, false, "ContainersNotReady", &words(&unready, "unready")),
        });
    }
    shown.push(scheduled(life, scene));
    shown
}

/// The condition `PodScheduled`.
fn scheduled(life: &Life, scene: &Scene<'_>) -> Value {
    match &life.nowhere {
        Some(why) => entry(scene, "PodScheduled", false, "Unschedulable", why),
        // The scheduler does not say which generation it has seen; the kubelet does.
        None => {
            let mut entry = entry(scene, "PodScheduled", true, "", "");
            if let (None, Some(map)) = (&life.seen, entry.as_object_mut()) {
                map.shift_remove("observedGeneration");
            }
            entry
        }
    }
}

/// One condition, with the time of its transition kept where its status is the same.
fn entry(scene: &Scene<'_>, kind: &str, holds: bool, reason: &str, message: &str) -> Value {
    let status = if holds { "True" } else { "False" };
    let old = condition(scene.object, kind).filter(|old| text(old, "/status") == status);
    let since = old.map_or_else(|| scene.stamp(), |old| text(old, "/lastTransitionTime").to_owned());
    let mut entry = json!({
        "type": kind,
        "observedGeneration": generation(scene.object),
        "status": status,
        "lastProbeTime": null,
        "lastTransitionTime": since,
    });
    if !reason.is_empty() {
        entry["reason"] = json!(reason);
    }
    if !message.is_empty() {
        entry["message"] = json!(message);
    }
    entry
}

/// The statuses of containers.
fn statuses(cells: &[Cell], specs: &[Value], pod: &Value) -> Vec<Value> {
    cells.iter().zip(specs).map(|(cell, spec)| container(cell, spec, pod)).collect()
}

/// The status of one container.
fn container(cell: &Cell, spec: &Value, pod: &Value) -> Value {
    let image = full(text(spec, "/image"));
    let (state, id) = match &cell.state {
        State::Waiting { reason, message } => {
            let mut waiting = json!({"reason": reason});
            if !message.is_empty() {
                waiting["message"] = json!(message);
            }
            (json!({"waiting": waiting}), cell.last.as_ref().map_or("", |last| last.id.as_str()))
        }
        State::Running { since } => (json!({"running": {"startedAt": since}}), cell.id.as_str()),
        State::Ended(ended) => (json!({"terminated": terminated(ended)}), cell.id.as_str()),
    };
    let ready = match (&cell.state, cell.part) {
        (State::Ended(ended), Part::Init) => ended.code == 0,
        (_, _) => cell.ready,
    };
    let begun = !id.is_empty();
    let mut status = json!({
        "name": text(spec, "/name"),
        "state": state,
        "lastState": cell.last.as_ref().map_or(json!({}), |last| json!({"terminated": terminated(last)})),
        "ready": ready,
        "restartCount": cell.shown_restarts(),
        "image": if begun { image.as_str() } else { text(spec, "/image") },
        "imageID": if begun { image_id(&image) } else { String::new() },
        "started": cell.started && cell.runs(),
    });
    if begun {
        status["containerID"] = json!(format!("containerd://{id}"));
        status["resources"] = spec.get("resources").cloned().unwrap_or(json!({}));
    }
    if let Some(mounts) = mounts(spec, pod) {
        status["volumeMounts"] = mounts;
    }
    status
}

/// What is mounted, as the status repeats it.
fn mounts(spec: &Value, _pod: &Value) -> Option<Value> {
    let mounts = list(spec, "/volumeMounts");
    if mounts.is_empty() {
        return None;
    }
    let shown = mounts.iter().map(|mount| {
        let mut shown = json!({"name": text(mount, "/name"), "mountPath": text(mount, "/mountPath")});
        if super::super::scene::is(mount, "/readOnly") {
            shown["readOnly"] = json!(true);
            shown["recursiveReadOnly"] = json!("Disabled");
        }
        shown
    });
    Some(shown.collect())
}

/// How a container ended.
fn terminated(ended: &Ended) -> Value {
    json!({
        "exitCode": ended.code,
        "reason": ended.reason,
        "startedAt": ended.started,
        "finishedAt": ended.finished,
        "containerID": format!("containerd://{}", ended.id),
    })
}

/// The full name of an image, as the container engine knows it.
fn full(image: &str) -> String {
    let tagged = match image.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => image.to_owned(),
        Some(_) | None => format!("{image}:latest"),
    };
    match tagged.split_once('/') {
        Some((host, _)) if host.contains('.') || host.contains(':') || host == "localhost" => tagged,
        Some(_) => format!("docker.io/{tagged}"),
        None => format!("docker.io/library/{tagged}"),
    }
}

/// A digest that is the same for the same image.
fn image_id(image: &str) -> String {
    let mut seed = image
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut digest = String::from("sha256:");
    for _ in 0..4 {
        digest.push_str(&format!("{seed:016x}"));
        seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_shown_with_its_registry_and_its_tag() {
        assert_eq!(full("redis"), "docker.io/library/redis:latest");
        assert_eq!(full("a/b:1"), "docker.io/a/b:1");
        assert_eq!(full("quay.io:443/a/b"), "quay.io:443/a/b:latest");
    }

    #[test]
    fn the_class_of_a_pod_follows_its_requests() {
        let pod = |resources: Value| json!({"spec": {"containers": [{"name": "c", "resources": resources}]}});
        assert_eq!(quality(&pod(json!({}))), "BestEffort");
        assert_eq!(quality(&pod(json!({"requests": {"cpu": "1"}}))), "Burstable");
        assert_eq!(quality(&pod(json!({"limits": {"cpu": "1", "memory": "1Gi"}}))), "Guaranteed");
    }
}
