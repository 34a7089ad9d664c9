//! What was gathered, as people read it.

use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use super::belonging::{Telling, is_pod};
use super::gather::time;
use crate::events::Ending;
use crate::ports::Last;
use crate::secrets::MASK;

/// Lines of each kind that a report gets.
const EXCERPT: usize = 5;

/// How the step ended, and what it was waiting for just then.
pub(super) fn last_seen(ending: &Ending, last: &Last) -> String {
    let mut lines = match ending {
        Ending::Broken { expected, actual, details } => {
            [vec![format!("expected: {expected}"), format!("actual: {actual}")], details.clone()].concat()
        }
        Ending::Unclear { why, details, fault: _ } => [vec![format!("no judgement: {why}")], details.clone()].concat(),
        Ending::Held { .. } | Ending::Blocked { .. } | Ending::NotRun { .. } => Vec::new(),
    };
    lines.extend(last.note.iter().map(|note| format!("waiting on: {note}")));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// The objects as YAML documents, without the bookkeeping of field managers and without the values of Secrets.
pub(super) fn objects(objects: &[DynamicObject]) -> String {
    let documents = objects.iter().map(|object| {
        let mut object = object.clone();
        object.metadata.managed_fields = None;
        hide(&mut object);
        serde_saphyr::to_string(&object).unwrap_or_else(|error| format!("# cannot be written: {error}\n"))
    });
    documents.map(|document| format!("---\n{document}")).collect()
}

fn hide(object: &mut DynamicObject) {
    if object.types.as_ref().is_some_and(|types| types.kind == "Secret") {
        for field in ["data", "stringData"] {
            for value in object.data[field].as_object_mut().into_iter().flatten() {
                *value.1 = Value::from(MASK);
            }
        }
        // `kubectl apply` keeps the whole object here, its data included.
        object.annotations_mut().retain(|key, _| key != "kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// One line an event, oldest first.
pub(super) fn events(events: &[Event]) -> String {
    events.iter().map(|event| line(event) + "\n").collect()
}

fn line(event: &Event) -> String {
    let at = time(event).map_or_else(String::new, |at| at.strftime("%H:%M:%S ").to_string());
    let (about, count) = (&event.involved_object, event.count.unwrap_or(1));
    let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
    format!(
        "{at}{} {} {}/{}: {}{times}",
        event.type_.as_deref().unwrap_or("Normal"),
        event.reason.as_deref().unwrap_or_default(),
        about.kind.as_deref().unwrap_or_default(),
        about.name.as_deref().unwrap_or_default(),
        event.message.as_deref().unwrap_or_default().trim()
    )
}

/// The few lines worth having in a report: the last warnings, and the end of the logs of pods that are not ready.
pub(super) fn excerpt(telling: &Telling<'_>) -> Vec<String> {
    let Telling { objects, events, logs } = telling;
    let warnings: Vec<String> =
        events.iter().filter(|event| event.type_.as_deref() == Some("Warning")).map(line).collect();
    let mut lines = warnings[warnings.len().saturating_sub(EXCERPT)..].to_vec();
    let unwell: Vec<String> = objects.iter().filter(|object| is_unwell(object)).map(|pod| pod.name_any()).collect();
    for (name, text) in logs.iter().filter(|(name, _)| unwell.iter().any(|pod| name.starts_with(&format!("{pod}/")))) {
        let said: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &said[said.len().saturating_sub(EXCERPT)..];
        lines.extend(last.iter().map(|line| format!("{name}: {}", untimed(line))));
    }
    lines
}

/// A kept log has the API server's time before each line.
fn untimed(line: &str) -> &str {
    line.split_once(' ').filter(|(time, _)| time.parse::<jiff::Timestamp>().is_ok()).map_or(line, |(_, words)| words)
}

fn is_unwell(object: &DynamicObject) -> bool {
    let ready = object.data["status"]["conditions"]
        .as_array()
        .is_some_and(|all| all.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True"));
    is_pod(object) && !ready && object.data["status"]["phase"] != "Succeeded"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_values_of_secrets_are_not_written() {
        let secret = object(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "s", "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "hidden" } },
            "data": { "password": "aGlkZGVu" }, "stringData": { "other": "hidden" }
        }));
        let text = objects(&[secret]);
        assert!(!text.contains("aGlkZGVu") && !text.contains("hidden"), "{text}");
        assert!(text.contains("password") && text.contains(MASK), "{text}");
    }

    #[test]
    fn an_excerpt_has_warnings_and_the_logs_of_what_is_not_ready() {
        let event = |kind: &str, message: &str| Event {
            type_: Some(kind.to_owned()),
            reason: Some("R".to_owned()),
            message: Some(message.to_owned()),
            ..Event::default()
        };
        let pod = |name: &str, ready: &str| {
            object(json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
                "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": ready }] }
            }))
        };
        let logs = [("well/c.0.log", "fine"), ("ill/c.0.log", "one\n\n2026-01-02T03:04:05.678Z two\n")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()));
        let lines = excerpt(&Telling {
            events: &[event("Normal", "pulled"), event("Warning", "cannot pull")],
            objects: &[pod("well", "True"), pod("ill", "False")],
            logs: &logs,
        });
        assert_eq!(lines, ["Warning R /: cannot pull", "ill/c.0.log: one", "ill/c.0.log: two"]);
    }
}
