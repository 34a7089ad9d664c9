//! Which node a pod gets.

use std::sync::Arc;

use serde_json::Value;

use super::super::super::object::{Act, Key};
use super::super::faults::Fault;
use super::super::scene::{Scene, is, list, name, text, uid};

/// What the scheduler says.
pub(super) enum Choice {
    /// Goes there.
    Node(String),
    /// Its claims are being bound.
    Wait,
    /// Nowhere, in the scheduler's words.
    Nowhere(String),
}

/// Chooses a node.
pub(super) fn choose(scene: &mut Scene<'_>) -> Choice {
    let pod = scene.object;
    if !text(pod, "/spec/nodeName").is_empty() {
        return Choice::Node(text(pod, "/spec/nodeName").to_owned());
    }
    let nodes = scene.view.list("/nodes", None);
    if nodes.is_empty() {
        return Choice::Nowhere("no nodes available to schedule pods".into());
    }
    let total = nodes.len();
    let mut objections = Objections::default();
    let fitting: Vec<&Arc<Value>> = nodes.iter().filter(|node| objections.consider(scene, node)).collect();
    if fitting.is_empty() {
        return Choice::Nowhere(objections.words(total));
    }
    match claims(scene, total, name(fitting[0])) {
        Some(choice) => choice,
        None => {
            let index = usize::try_from(scene.dice.next()).unwrap_or_default() % fitting.len();
            Choice::Node(name(fitting[index]).to_owned())
        }
    }
}

/// Why nodes do not fit, with how many of them.
#[derive(Default)]
struct Objections {
    count: Vec<(String, usize)>,
}

impl Objections {
    /// Whether a node fits; else it is noted why not.
    fn consider(&mut self, scene: &Scene<'_>, node: &Value) -> bool {
        let pod = scene.object;
        let before: usize = self.count.iter().map(|(_, count)| count).sum();
        if scene.strikes(Fault::Unschedulable) || !selected(pod, node) {
            self.object("node(s) didn't match Pod's node affinity/selector".into());
        } else if is(node, "/spec/unschedulable") {
            self.object("node(s) were unschedulable".into());
        } else if let Some(taint) = list(node, "/spec/taints").iter().find(|taint| !tolerated(pod, taint)) {
            let (key, value) = (text(taint, "/key"), text(taint, "/value"));
            self.object(format!("node(s) had untolerated taint {{{key}: {value}}}"));
        } else {
            for resource in ["cpu", "memory"] {
                let room = node.pointer("/status/allocatable").map_or(f64::MAX, |has| amount(has.get(resource)));
                if requested(pod, resource) > room {
                    self.object(format!("Insufficient {resource}"));
                }
            }
        }
        before == self.count.iter().map(|(_, count)| count).sum::<usize>()
    }

    fn object(&mut self, why: String) {
        match self.count.iter_mut().find(|(known, _)| *known == why) {
            Some((_, count)) => *count += 1,
            None => self.count.push((why, 1)),
        }
    }

    /// The message of the event and of the condition.
    fn words(mut self, total: usize) -> String {
        self.count.sort();
        let why: Vec<String> = self.count.iter().map(|(why, count)| format!("{count} {why}")).collect();
        format!(
            "0/{total} nodes are available: {}. no new claims to deallocate, preemption: 0/{total} nodes are available: \
             {total} Preemption is not helpful for scheduling.",
            why.join(", ")
        )
    }
}

/// Whether a node has the labels, and is the one, that a pod asks for.
fn selected(pod: &Value, node: &Value) -> bool {
    let labels = node.pointer("/metadata/labels");
    let wanted = pod.pointer("/spec/nodeSelector").and_then(Value::as_object);
    let by_label = wanted
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.and_then(|has| has.get(key)) == Some(value)));
    let affinity = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = list(pod, affinity);
    let matches = |term: &Value| {
        list(term, "/matchFields").iter().all(|field| list(field, "/values").iter().any(|value| value == name(node)))
            && list(term, "/matchExpressions").iter().all(|wanted| expression(labels, wanted))
    };
    by_label && (terms.is_empty() || terms.iter().any(matches))
}

/// Whether labels fulfil one expression.
fn expression(labels: Option<&Value>, wanted: &Value) -> bool {
    let value = labels.and_then(|labels| labels.get(text(wanted, "/key")));
    let among = || value.is_some_and(|value| list(wanted, "/values").contains(value));
    match text(wanted, "/operator") {
        "In" => among(),
        "NotIn" => !among(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => true,
    }
}

/// Whether a pod may go where this taint is.
fn tolerated(pod: &Value, taint: &Value) -> bool {
    text(taint, "/effect") == "PreferNoSchedule"
        || list(pod, "/spec/tolerations").iter().any(|toleration| {
            let (key, operator) = (text(toleration, "/key"), text(toleration, "/operator"));
            let effect = text(toleration, "/effect");
            (effect.is_empty() || effect == text(taint, "/effect"))
                && match operator {
                    "Exists" => key.is_empty() || key == text(taint, "/key"),
                    _ => key == text(taint, "/key") && text(toleration, "/value") == text(taint, "/value"),
                }
        })
}

/// What the containers of a pod ask for together.
fn requested(pod: &Value, resource: &str) -> f64 {
    let request = |container: &Value| match container.pointer("/resources/requests") {
        Some(requests) if requests.get(resource).is_some() => amount(requests.get(resource)),
        Some(_) | None => 0.0,
    };
    list(pod, "/spec/containers").iter().map(request).sum()
}

/// A quantity (`500m`, `2Gi`) as a number; without one, as much as there could be.
fn amount(quantity: Option<&Value>) -> f64 {
    let text = match quantity {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => return f64::MAX,
    };
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        _ => 1.0,
    };
    digits.parse::<f64>().map_or(0.0, |number| number * factor)
}

/// The claims of the pod: `None` where all are bound. One that waits for its first consumer is told of the node.
fn claims(scene: &mut Scene<'_>, total: usize, node: &str) -> Option<Choice> {
    let pod = scene.object;
    let mut waiting = None;
    for volume in list(pod, "/spec/volumes") {
        let claim = match volume.get("ephemeral") {
            Some(_) => format!("{}-{}", scene.key.name, text(volume, "/name")),
            None => text(volume, "/persistentVolumeClaim/claimName").to_owned(),
        };
        if claim.is_empty() {
            continue;
        }
        let key = scene.key.beside("/persistentvolumeclaims", &claim);
        let Some(object) = scene.view.get(&key) else {
            let why = format!("persistentvolumeclaim \"{claim}\" not found");
            return Some(Choice::Nowhere(format!("0/{total} nodes are available: {why}. not found")));
        };
        if text(&object, "/status/phase") != "Bound" {
            waiting = Some(Choice::Wait);
            ask_for(scene, key, &object, node);
            if scene.faults.strike(&scene.key.namespace, &claim, Fault::PvcPending) || no_class(scene, &object) {
                let why = "pod has unbound immediate PersistentVolumeClaims";
                waiting = Some(Choice::Nowhere(format!("0/{total} nodes are available: {why}. not found")));
            }
        }
    }
    waiting
}

/// Whether a claim names a class that is not there.
fn no_class(scene: &Scene<'_>, claim: &Value) -> bool {
    let class = text(claim, "/spec/storageClassName");
    !class.is_empty()
        && class != "standard"
        && scene.view.get(&Key::new("storage.k8s.io/storageclasses", "", class)).is_none()
}

/// Tells a claim of its first consumer's node.
fn ask_for(scene: &mut Scene<'_>, key: Key, claim: &Value, node: &str) {
    const SELECTED: &str = "volume.kubernetes.io/selected-node";
    if claim.pointer("/metadata/annotations").is_some_and(|annotations| annotations.get(SELECTED).is_some()) {
        return;
    }
    let patch = serde_json::json!({"metadata": {"annotations": {SELECTED: node}}});
    scene.act(Act::Merge { key, uid: uid(claim).to_owned(), patch });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_read_with_their_suffixes() {
        assert!((amount(Some(&json!("500m"))) - 0.5).abs() < 1e-9);
        assert!((amount(Some(&json!("2Ki"))) - 2048.0).abs() < 1e-9);
        assert!((amount(Some(&json!(3))) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn objections_are_counted_in_the_words_of_the_scheduler() {
        let mut objections = Objections::default();
        objections.object("Insufficient memory".into());
        objections.object("Insufficient cpu".into());
        assert_eq!(
            objections.words(1),
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. no new claims to deallocate, \
             preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        );
    }

    #[test]
    fn a_taint_keeps_away_who_does_not_tolerate_it() {
        let taint = json!({"key": "dedicated", "value": "db", "effect": "NoSchedule"});
        assert!(!tolerated(&json!({}), &taint));
        assert!(tolerated(&json!({"spec": {"tolerations": [{"operator": "Exists"}]}}), &taint));
        let other = json!({"spec": {"tolerations": [{"key": "dedicated", "value": "web", "effect": "NoSchedule"}]}});
        assert!(!tolerated(&other, &taint));
    }
}
