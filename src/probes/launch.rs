//! How a launch spends its time, from what watches show of its pods and what the kubelet says of its pulls. Pure.

use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::checks::Launch;
use crate::span::Span;

/// What has been seen of a launch so far, counted from the creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stopwatch {
    /// When its first pod was there.
    admitted: Option<Duration>,
    /// When a node had taken one.
    scheduled: Option<Duration>,
    /// When a first container had been started.
    started: Option<Duration>,
}

impl Stopwatch {
    /// Takes in how its pods stand now. `true` once a container has been started.
    pub(super) fn look<'a>(&mut self, pods: impl IntoIterator<Item = &'a DynamicObject>, now: Duration) -> bool {
        for pod in pods {
            self.admitted.get_or_insert(now);
            let is_started = has_started(pod);
            if is_started || pod.data.pointer("/spec/nodeName").is_some() {
                self.scheduled.get_or_insert(now);
            }
            if is_started {
                self.started.get_or_insert(now);
            }
        }
        self.started.is_some()
    }

    /// Where the time went until now, or until it was launched, of which `pulling` was spent on images.
    pub(super) fn parts(&self, pulling: Duration, now: Duration) -> Launch {
        let end = self.started.unwrap_or(now);
        let admitted = self.admitted.unwrap_or(end);
        let scheduled = self.scheduled.unwrap_or(end).max(admitted);
        let node = end.saturating_sub(scheduled);
        let pulling = pulling.min(node);
        Launch {
            admission: Span::from(admitted),
            scheduling: Span::from(scheduled.saturating_sub(admitted)),
            pulling: Span::from(pulling),
            starting: Span::from(node.saturating_sub(pulling)),
        }
    }
}

/// Whether a container of a pod runs, or has run.
fn has_started(pod: &DynamicObject) -> bool {
    let statuses = ["initContainerStatuses", "containerStatuses"].map(|list| pod.data["status"][list].as_array());
    let started = |state: &Value| !state["running"].is_null() || !state["terminated"]["containerID"].is_null();
    statuses.into_iter().flatten().flatten().any(|status| started(&status["state"]))
}

/// Whether an event says that a container of one of these pods, by uid, was started: what was said of its image came before.
pub(super) fn is_start(event: &DynamicObject, pods: &[String]) -> bool {
    event.data["reason"] == "Started" && is_about(event, pods)
}

/// How long images were pulled for these pods, by the kubelet's account (`pkg/kubelet/images/image_manager.go`):
/// `Successfully pulled image "x" in 1.06s (2.1s including waiting). Image size: 1 bytes.`
pub(super) fn pulled<'a>(events: impl IntoIterator<Item = &'a DynamicObject>, pods: &[String]) -> Duration {
    let about = events.into_iter().filter(|event| event.data["reason"] == "Pulled" && is_about(event, pods));
    about.filter_map(|event| length_of_pull(event.data["message"].as_str()?)).sum()
}

fn is_about(event: &DynamicObject, pods: &[String]) -> bool {
    event.data["involvedObject"]["uid"].as_str().is_some_and(|uid| pods.iter().any(|pod| pod == uid))
}

fn length_of_pull(message: &str) -> Option<Duration> {
    let (_, rest) = message.strip_prefix("Successfully pulled image ")?.rsplit_once("\" in ")?;
    let waiting = rest.split_once('(').and_then(|(_, rest)| rest.split_once(" including waiting")).map(|(all, _)| all);
    duration(waiting.or_else(|| rest.split_whitespace().next())?.trim_end_matches('.'))
}

/// A duration as Go writes it: `1m2.5s`, `345.6ms`, `12µs`.
fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = rest[number..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |length| number + length);
        let seconds = match &rest[number..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "µs" | "μs" | "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += rest[..number].parse::<f64>().ok()? * seconds;
        rest = &rest[unit..];
    }
    Duration::try_from_secs_f64(total).ok()
}

/// The uids of pods.
pub(super) fn uids<'a>(pods: impl IntoIterator<Item = &'a DynamicObject>) -> Vec<String> {
    pods.into_iter().filter_map(|pod| pod.uid()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pod(spec: &Value, status: &Value) -> DynamicObject {
        let metadata = json!({ "name": "j-x", "uid": "u1" });
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status });
        serde_json::from_value(pod).unwrap()
    }

    fn running() -> Value {
        json!({ "containerStatuses": [{ "state": { "running": {} } }] })
    }

    #[test]
    fn each_part_of_a_launch_ends_where_the_next_begins() {
        let mut watch = Stopwatch::default();
        assert!(!watch.look(&[], ms(5)));
        assert!(!watch.look([&pod(&json!({}), &json!({}))], ms(20)));
        let taken = json!({ "nodeName": "n" });
        let creating = json!({ "containerStatuses": [{ "state": { "waiting": { "reason": "ContainerCreating" } } }] });
        assert!(!watch.look([&pod(&taken, &creating)], ms(50)));
        assert!(watch.look([&pod(&taken, &running())], ms(1_000)));
        assert!(watch.look([&pod(&taken, &json!({}))], ms(1_500)), "what was started stays so");
        let parts = watch.parts(ms(700), ms(2_000));
        let told = [parts.admission, parts.scheduling, parts.pulling, parts.starting].map(|part| part.to_string());
        assert_eq!(told, ["20ms", "30ms", "700ms", "250ms"]);
        assert_eq!(parts.total(), Span::secs(1));
    }

    #[test]
    fn what_is_still_under_way_has_taken_all_the_time_since() {
        let mut watch = Stopwatch::default();
        assert_eq!(watch.parts(ms(0), ms(300)).admission, Span::millis(300));
        watch.look([&pod(&json!({}), &json!({}))], ms(20));
        assert_eq!(watch.parts(ms(0), ms(300)).scheduling, Span::millis(280));
        // Seen first when it ran already.
        let mut late = Stopwatch::default();
        late.look([&pod(&json!({ "nodeName": "n" }), &running())], ms(90));
        let parts = late.parts(ms(0), ms(300));
        assert_eq!((parts.admission, parts.total()), (Span::millis(90), Span::millis(90)));
    }

    #[test]
    fn the_kubelets_account_of_a_pull_is_read_with_its_waiting() {
        let of = |message: &str| length_of_pull(message).map(|length| length.as_micros());
        let pulled = "Successfully pulled image \"docker.io/library/busybox:1.37\" in ";
        assert_eq!(of(&format!("{pulled}1.061s (2.1s including waiting). Image size: 2 bytes.")), Some(2_100_000));
        assert_eq!(of(&format!("{pulled}1m2.5s")), Some(62_500_000));
        assert_eq!(of(&format!("{pulled}345.678ms (345.7ms including waiting)")), Some(345_700));
        assert_eq!(of("Container image \"busybox\" already present on machine"), None);
        assert_eq!(of(&format!("{pulled}a while")), None);
    }

    #[test]
    fn pulls_for_other_pods_do_not_count() {
        let event = |reason: &str, uid: &str| -> DynamicObject {
            let message = "Successfully pulled image \"x\" in 2s (2s including waiting)";
            let about = json!({ "kind": "Pod", "uid": uid });
            let event = json!({ "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e" }, "reason": reason,
                "message": message, "involvedObject": about });
            serde_json::from_value(event).unwrap()
        };
        let events = [event("Pulled", "u1"), event("Pulled", "u2"), event("Started", "u2")];
        let pods = ["u1".to_owned()];
        assert_eq!(pulled(&events, &pods), Duration::from_secs(2));
        assert!(!events.iter().any(|event| is_start(event, &pods)));
        assert!(is_start(&event("Started", "u1"), &pods));
    }

    #[test]
    fn a_container_that_is_being_created_has_not_started() {
        let waiting = json!({ "containerStatuses": [{ "state": { "waiting": { "reason": "ContainerCreating" } } }] });
        assert!(!has_started(&pod(&json!({}), &waiting)) && has_started(&pod(&json!({}), &running())));
    }
}
