//! Pods: what a phase, and the states of all containers, come to in one word.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Layout;
use super::glance::{Glance, duration, moment};

/// The columns of pods.
pub(super) const LAYOUT: Layout = ("Name|Ready|Status|Restarts|Age|*IP|*Node|*Nominated Node|*Readiness Gates", pod);

/// What was found by going through the containers.
struct Tale {
    reason: String,
    ready: usize,
    restarts: i64,
    /// When a container was last seen to end, of those that started again.
    last: Option<Timestamp>,
}

/// What says that a pod has come to its end: a row with it is greyed out, and left out where that is asked for.
pub(super) fn completion(object: &Value) -> Option<Value> {
    let (reason, message) = match (object["kind"].as_str()?, object["status"]["phase"].as_str()?) {
        ("Pod", "Succeeded") => ("Succeeded", "The pod has completed successfully."),
        ("Pod", "Failed") => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!({ "type": "Completed", "status": "True", "reason": reason, "message": message }))
}

fn pod(glance: &Glance<'_>) -> Value {
    let sidecars = glance.list("/spec/initContainers").iter().filter(|container| is_sidecar(container)).count();
    let all = glance.list("/spec/containers").len() + sidecars;
    let tale = tell(glance);
    let restarts = match tale.last {
        Some(last) if tale.restarts != 0 => {
            format!("{} ({} ago)", tale.restarts, duration(glance.now.as_second(), last))
        }
        _ => tale.restarts.to_string(),
    };
    let address = match glance.text("/status/podIPs/0/ip") {
        "" => glance.text_or("/status/podIP", "<none>"),
        first => first,
    };
    json!([
        glance.name(),
        format!("{}/{all}", tale.ready),
        tale.reason,
        restarts,
        glance.age(),
        address,
        glance.text_or("/spec/nodeName", "<none>"),
        glance.text_or("/status/nominatedNodeName", "<none>"),
        gates(glance),
    ])
}

fn gates(glance: &Glance<'_>) -> String {
    let gates = glance.list("/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.iter().filter(|gate| gate["conditionType"].as_str().is_some_and(|kind| glance.is_true(kind)));
    format!("{}/{}", open.count(), gates.len())
}

fn tell(glance: &Glance<'_>) -> Tale {
    let mut tale = Tale { reason: first_reason(glance), ready: 0, restarts: 0, last: None };
    let (initializing, sidecars) = initialisation(glance, &mut tale);
    if !initializing || glance.is_true("Initialized") {
        // From here on the containers count, and those beside them; init containers that did their work are history.
        (tale.restarts, tale.last) = sidecars;
        run(glance, &mut tale);
    }
    let phase = glance.text("/status/phase");
    if glance.is_being_deleted() && glance.text("/status/reason") == "NodeLost" {
        tale.reason = "Unknown".to_owned();
    } else if glance.is_being_deleted() && !matches!(phase, "Succeeded" | "Failed") {
        tale.reason = "Terminating".to_owned();
    }
    tale
}

/// What is said before any container is looked at.
fn first_reason(glance: &Glance<'_>) -> String {
    let gated = |condition: &Value| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated";
    match glance.text("/status/reason") {
        _ if glance.list("/status/conditions").iter().any(gated) => "SchedulingGated".to_owned(),
        "" => glance.text("/status/phase").to_owned(),
        reason => reason.to_owned(),
    }
}

/// Goes through the init containers up to the one that has not done its work: whether there is one, and the restarts of
/// those that run beside the containers.
fn initialisation(glance: &Glance<'_>, tale: &mut Tale) -> (bool, (i64, Option<Timestamp>)) {
    let specified = glance.list("/spec/initContainers");
    let mut sidecars = (0, None);
    for (index, status) in glance.list("/status/initContainerStatuses").iter().enumerate() {
        let sidecar = specified.iter().any(|known| known["name"] == status["name"] && is_sidecar(known));
        let restarts = status["restartCount"].as_i64().unwrap_or_default();
        tale.restarts += restarts;
        tale.last = tale.last.max(last_end(status));
        if sidecar {
            sidecars.0 += restarts;
            sidecars.1 = sidecars.1.max(last_end(status));
        }
        let (waiting, terminated) = (&status["state"]["waiting"], &status["state"]["terminated"]);
        if !terminated.is_null() && terminated["exitCode"].as_i64().unwrap_or_default() == 0 {
            continue;
        }
        if sidecar && status["started"] == true {
            tale.ready += usize::from(status["ready"] == true);
            continue;
        }
        tale.reason = match waiting["reason"].as_str().unwrap_or_default() {
            _ if !terminated.is_null() => format!("Init:{}", ending(terminated)),
            "" | "PodInitializing" => format!("Init:{index}/{}", specified.len()),
            reason => format!("Init:{reason}"),
        };
        return (true, sidecars);
    }
    (false, sidecars)
}

/// Goes through the containers from the last to the first, so that the first one has the last word.
fn run(glance: &Glance<'_>, tale: &mut Tale) {
    let mut running = false;
    for status in glance.list("/status/containerStatuses").iter().rev() {
        tale.restarts += status["restartCount"].as_i64().unwrap_or_default();
        tale.last = tale.last.max(last_end(status));
        let terminated = &status["state"]["terminated"];
        match status["state"]["waiting"]["reason"].as_str().unwrap_or_default() {
            "" if !terminated.is_null() => tale.reason = ending(terminated),
            "" if status["ready"] == true && !status["state"]["running"].is_null() => {
                running = true;
                tale.ready += 1;
            }
            "" => {}
            reason => reason.clone_into(&mut tale.reason),
        }
    }
    if tale.reason == "Completed" && running {
        tale.reason = if glance.is_true("Ready") { "Running" } else { "NotReady" }.to_owned();
    }
}

/// How a container ended, in a word.
fn ending(terminated: &Value) -> String {
    let signal = terminated["signal"].as_i64().unwrap_or_default();
    match terminated["reason"].as_str().unwrap_or_default() {
        "" if signal != 0 => format!("Signal:{signal}"),
        "" => format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or_default()),
        reason => reason.to_owned(),
    }
}

fn last_end(status: &Value) -> Option<Timestamp> {
    moment(&status["lastState"]["terminated"]["finishedAt"])
}

/// Whether an init container runs beside the containers.
fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}
