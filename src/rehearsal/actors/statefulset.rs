//! StatefulSets: numbered pods with claims of their own, one after the other.
//!
//! The counts and the order of steps follow `pkg/controller/statefulset/stateful_set_control.go` of Kubernetes 1.34.

use std::sync::Arc;

use serde_json::{Value, json};

use super::offspring::{
    PODS, REVISIONS, active, conditions, named, observed, pods_of, ready, refused, replicas, revision,
};
use super::scene::{Scene, leaving, list, name, number, put, terse, text};

/// Who says so.
const SOURCE: &str = "statefulset-controller";
/// The label with the revision of a pod.
const REVISION: &str = "controller-revision-hash";

/// What a StatefulSet has and wants.
struct Crew {
    /// The pods by their ordinals.
    pods: Vec<(i64, Arc<Value>)>,
    /// The first ordinal.
    first: i64,
    wanted: i64,
    /// The revision of the present template.
    update: String,
    /// The revision that all pods had last.
    current: String,
    /// Whether pods need not wait for each other.
    parallel: bool,
}

/// Moves a StatefulSet on by one step.
pub(super) fn live(scene: &mut Scene<'_>) {
    if scene.leaving() {
        return;
    }
    let update = revision(scene);
    let said = text(scene.object, "/status/currentRevision");
    let mut pods: Vec<(i64, Arc<Value>)> =
        pods_of(scene).into_iter().filter_map(|pod| Some((ordinal(&pod)?, pod))).collect();
    pods.sort_by_key(|(ordinal, _)| *ordinal);
    let crew = Crew {
        pods,
        first: number(scene.object, "/spec/ordinals/start").unwrap_or_default().clamp(0, 1_000_000_000),
        wanted: replicas(scene.object),
        current: if said.is_empty() { update.clone() } else { said.to_owned() },
        update,
        parallel: text(scene.object, "/spec/podManagementPolicy") == "Parallel",
    };
    step(scene, &crew);
    report(scene, &crew);
}

/// The number of a pod.
fn ordinal(pod: &Value) -> Option<i64> {
    name(pod).rsplit_once('-').and_then(|(_, number)| number.parse().ok())
}

/// Creates, deletes or replaces what is due.
fn step(scene: &mut Scene<'_>, crew: &Crew) {
    let end = crew.first + crew.wanted;
    for ordinal in crew.first..end {
        let Some((_, pod)) = crew.pods.iter().find(|(number, _)| *number == ordinal) else {
            if !create(scene, crew, ordinal) || !crew.parallel {
                return;
            }
            continue;
        };
        let over = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        if over && !leaving(pod) {
            return remove(scene, pod);
        }
        if !crew.parallel && (leaving(pod) || !ready(pod)) {
            return;
        }
    }
    let surplus = crew.pods.iter().rev().filter(|(number, _)| *number >= end || *number < crew.first);
    for (_, pod) in surplus {
        if !leaving(pod) {
            remove(scene, pod);
        }
        if !crew.parallel {
            return;
        }
    }
    roll(scene, crew);
}

/// Replaces the pods of an older revision, from the highest on, each once those above are well.
fn roll(scene: &mut Scene<'_>, crew: &Crew) {
    if text(scene.object, "/spec/updateStrategy/type") == "OnDelete" {
        return;
    }
    let partition = number(scene.object, "/spec/updateStrategy/rollingUpdate/partition")
        .unwrap_or_default()
        .clamp(0, 1_000_000_000);
    for (ordinal, pod) in crew.pods.iter().rev().filter(|(ordinal, _)| *ordinal >= crew.first + partition) {
        let _ = ordinal;
        if text(pod, "/metadata/labels/controller-revision-hash") != crew.update {
            if !leaving(pod) {
                remove(scene, pod);
            }
            return;
        }
        if leaving(pod) || !ready(pod) {
            return;
        }
    }
}

/// Deletes a pod and says so.
fn remove(scene: &mut Scene<'_>, pod: &Value) {
    let message = format!("delete Pod {} in StatefulSet {} successful", name(pod), scene.key.name);
    scene.delete(scene.key.beside(PODS, name(pod)), pod);
    scene.tell(SOURCE, "SuccessfulDelete", message);
}

/// Creates a pod with its claims; `false` where it is refused.
fn create(scene: &mut Scene<'_>, crew: &Crew, ordinal: i64) -> bool {
    let set = scene.key.name.clone();
    let full = format!("{set}-{ordinal}");
    let partition = number(scene.object, "/spec/updateStrategy/rollingUpdate/partition")
        .unwrap_or_default()
        .clamp(0, 1_000_000_000);
    let old = ordinal < crew.first + partition && crew.current != crew.update;
    let (revision, template) = match old.then(|| template_of(scene, &crew.current)).flatten() {
        Some(template) => (&crew.current, template),
        None => (&crew.update, scene.object.pointer("/spec/template").cloned().unwrap_or_default()),
    };
    let mut pod = named(scene, &template, &full);
    put(&mut pod, &["metadata", "labels", REVISION], json!(revision));
    put(&mut pod, &["metadata", "labels", "statefulset.kubernetes.io/pod-name"], json!(full));
    put(&mut pod, &["metadata", "labels", "apps.kubernetes.io/pod-index"], json!(ordinal.to_string()));
    put(&mut pod, &["metadata", "generateName"], json!(format!("{set}-")));
    put(&mut pod, &["spec", "hostname"], json!(full));
    put(&mut pod, &["spec", "subdomain"], json!(text(scene.object, "/spec/serviceName")));
    claim(scene, &mut pod, &full);
    if refused(scene, SOURCE, &pod).is_err() {
        return false;
    }
    scene.create(PODS, pod);
    scene.tell(SOURCE, "SuccessfulCreate", format!("create Pod {full} in StatefulSet {set} successful"));
    true
}

/// The template of a revision.
fn template_of(scene: &Scene<'_>, revision: &str) -> Option<Value> {
    let object = scene.view.get(&scene.key.beside(REVISIONS, revision))?;
    let mut template = object.pointer("/data/spec/template")?.clone();
    if let Some(map) = template.as_object_mut() {
        map.shift_remove("$patch");
    }
    Some(template)
}

/// Creates the claims of a pod and mounts them.
fn claim(scene: &mut Scene<'_>, pod: &mut Value, full: &str) {
    let templates = list(scene.object, "/spec/volumeClaimTemplates").to_vec();
    let mut volumes = list(pod, "/spec/volumes").to_vec();
    for template in templates {
        let volume = name(&template).to_owned();
        let claim = format!("{volume}-{full}");
        volumes.retain(|known| text(known, "/name") != volume);
        volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}));
        if scene.view.get(&scene.key.beside("/persistentvolumeclaims", &claim)).is_some() {
            continue;
        }
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": template.get("metadata").cloned().unwrap_or_default(),
            "spec": template.get("spec").cloned().unwrap_or_default(),
        });
        put(&mut object, &["metadata", "name"], json!(claim));
        put(&mut object, &["metadata", "namespace"], json!(&*scene.key.namespace));
        let labels = scene.object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
        for (key, value) in labels.into_iter().flatten() {
            put(&mut object, &["metadata", "labels", key], value.clone());
        }
        scene.create("/persistentvolumeclaims", object);
        let set = &scene.key.name;
        let message = format!("create Claim {claim} Pod {full} in StatefulSet {set} success");
        scene.tell(SOURCE, "SuccessfulCreate", message);
    }
    if !volumes.is_empty() {
        put(pod, &["spec", "volumes"], json!(volumes));
    }
}

/// Writes the status.
fn report(scene: &mut Scene<'_>, crew: &Crew) {
    let of = |revision: &str| {
        let has = |pod: &&Arc<Value>| text(pod, "/metadata/labels/controller-revision-hash") == revision;
        crew.pods.iter().map(|(_, pod)| pod).filter(|pod| active(pod)).filter(has).count()
    };
    let all = crew.pods.iter().filter(|(_, pod)| !leaving(pod) || !text(pod, "/status/phase").is_empty()).count();
    let good = crew.pods.iter().filter(|(_, pod)| active(pod) && ready(pod)).count();
    let (mut current, updated) = (crew.current.clone(), of(&crew.update));
    let whole = usize::try_from(crew.wanted).unwrap_or_default();
    let rolling = text(scene.object, "/spec/updateStrategy/type") != "OnDelete";
    if rolling && updated == whole && good == whole && all == whole {
        current.clone_from(&crew.update);
    }
    let status = json!({
        "observedGeneration": observed(scene),
        "replicas": all,
        "readyReplicas": good,
        "currentReplicas": of(&current),
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": crew.update,
        "collisionCount": 0,
        "availableReplicas": good,
        "conditions": conditions(scene.object),
    });
    scene.status(terse(status, &["replicas", "availableReplicas", "collisionCount"]));
}
