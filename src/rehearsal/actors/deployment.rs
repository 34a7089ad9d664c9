//! Deployments: ReplicaSets of the template, old ones down as the new one comes up.
//!
//! The arithmetic and the order of the conditions are those of `pkg/controller/deployment` (rolling.go, progress.go,
//! sync.go, util/deployment_util.go) of Kubernetes 1.34.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::object::{Act, Key};
use super::dice::hash;
use super::faults::Fault;
use super::offspring::{Rounding, active, conditions, observed, portion, replicas, set_condition};
use super::scene::{Scene, condition, map_of, name, number, put, terse, text, uid};

/// Who says so.
const SOURCE: &str = "deployment-controller";
/// The collection of ReplicaSets.
const SETS: &str = "apps/replicasets";
/// Which revision of its Deployment a ReplicaSet is.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// What a Deployment has and wants.
struct Rollout {
    wanted: i64,
    surge: i64,
    unavailable: i64,
    /// The ReplicaSet of the present template.
    new: Option<Arc<Value>>,
    /// All others, the oldest first.
    old: Vec<Arc<Value>>,
}

impl Rollout {
    fn of(scene: &Scene<'_>) -> Self {
        let deployment = scene.object;
        let wanted = replicas(deployment);
        let (mut surge, mut unavailable) = (0, wanted);
        if !recreates(deployment) {
            let rolling = "/spec/strategy/rollingUpdate";
            surge = portion(deployment.pointer(&format!("{rolling}/maxSurge")), wanted, "25%", Rounding::Up);
            let bound = deployment.pointer(&format!("{rolling}/maxUnavailable"));
            unavailable = portion(bound, wanted, "25%", Rounding::Down).min(wanted);
            if surge == 0 && unavailable == 0 {
                unavailable = 1;
            }
        }
        let mut old = scene.view.controlled(SETS, scene.uid());
        old.retain(|set| !super::scene::leaving(set));
        old.sort_by_cached_key(|set| (revision_of(set), name(set).to_owned()));
        let template = bare(deployment);
        let new = old.iter().position(|set| bare(set) == template).map(|index| old.remove(index));
        Self { wanted, surge, unavailable, new, old }
    }

    fn all(&self) -> impl Iterator<Item = &Value> {
        self.old.iter().chain(&self.new).map(|set| &**set)
    }
}

/// Whether all old pods go before a new one comes.
fn recreates(deployment: &Value) -> bool {
    text(deployment, "/spec/strategy/type") == "Recreate"
}

/// The template without the label that tells the ReplicaSets apart.
fn bare(object: &Value) -> Value {
    let mut template = object.pointer("/spec/template").cloned().unwrap_or_default();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.shift_remove("pod-template-hash");
    }
    template
}

/// The revision that an object is annotated with.
fn revision_of(object: &Value) -> i64 {
    object
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(REVISION))
        .and_then(Value::as_str)
        .and_then(|revision| revision.parse().ok())
        .unwrap_or_default()
}

/// Moves a rollout on by one step.
pub(super) fn live(scene: &mut Scene<'_>) {
    if scene.leaving() {
        return;
    }
    let rollout = Rollout::of(scene);
    let paused = super::scene::is(scene.object, "/spec/paused");
    let mut conditions = conditions(scene.object);
    pause_words(scene, &mut conditions, paused);
    if !paused && rollout.new.is_none() && !(recreates(scene.object) && any_pods(scene, &rollout.old)) {
        let made = make(scene, &rollout);
        let words = progressing("True", "NewReplicaSetCreated", &format!("Created new replica set \"{made}\""), scene);
        set_condition(&mut conditions, words, &scene.stamp());
        let mut status = map_of(scene.object, "/status");
        status["conditions"] = json!(conditions);
        return scene.status(status);
    }
    if !paused {
        number_revision(scene, &rollout);
    }
    match &rollout.new {
        Some(new) if scene.strikes(Fault::ProgressDeadline) => hold(scene, new),
        Some(_) | None if paused && rollout.all().count() > 1 => {}
        Some(_) | None => match recreates(scene.object) {
            true => recreate(scene, &rollout),
            false => roll(scene, &rollout),
        },
    }
    tidy(scene, &rollout);
    report(scene, &rollout, conditions, paused);
}

/// Says that a rollout is paused or goes on again, where it is new.
fn pause_words(scene: &Scene<'_>, conditions: &mut Vec<Value>, paused: bool) {
    let reason = condition(scene.object, "Progressing").map_or("", |progress| text(progress, "/reason"));
    let words = match (paused, reason) {
        (true, "DeploymentPaused") | (false, "") => return,
        (true, _) => progressing("Unknown", "DeploymentPaused", "Deployment is paused", scene),
        (false, "DeploymentPaused") => progressing("Unknown", "DeploymentResumed", "Deployment is resumed", scene),
        (false, _) => return,
    };
    set_condition(conditions, words, &scene.stamp());
}

/// Whether any ReplicaSet still has pods that run.
fn any_pods(scene: &Scene<'_>, sets: &[Arc<Value>]) -> bool {
    sets.iter().any(|set| {
        let pods = scene.view.controlled(super::offspring::PODS, uid(set));
        pods.iter().any(|pod| active(pod) || super::scene::leaving(pod))
    }) || sets.iter().any(|set| replicas(set) > 0)
}

/// Creates the ReplicaSet of the present template; its name.
fn make(scene: &mut Scene<'_>, rollout: &Rollout) -> String {
    let mut template = bare(scene.object);
    let hash = hash(&template.to_string());
    put(&mut template, &["metadata", "labels", "pod-template-hash"], json!(hash));
    let full = format!("{}-{hash}", scene.key.name);
    let revision = rollout.old.iter().map(|set| revision_of(set)).max().unwrap_or_default() + 1;
    let count = match recreates(scene.object) {
        true => rollout.wanted,
        false => growth(rollout, 0),
    };
    let mut selector = map_of(scene.object, "/spec/selector");
    put(&mut selector, &["matchLabels", "pod-template-hash"], json!(hash));
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": full,
            "namespace": &*scene.key.namespace,
            "labels": template.pointer("/metadata/labels"),
            "annotations": annotations(scene, rollout, revision),
            "ownerReferences": [scene.controller()],
        },
        "spec": {
            "replicas": count,
            "minReadySeconds": number(scene.object, "/spec/minReadySeconds").unwrap_or_default(),
            "selector": selector,
            "template": template,
        },
    });
    scene.create(SETS, set);
    scene.tell(SOURCE, "ScalingReplicaSet", format!("Scaled up replica set {full} from 0 to {count}"));
    scene.merge(json!({"metadata": {"annotations": {REVISION: revision.to_string()}}}));
    full
}

/// The annotations of a ReplicaSet: those of the Deployment, the revision, and how many pods there are to be.
fn annotations(scene: &Scene<'_>, rollout: &Rollout, revision: i64) -> Value {
    let mut map = map_of(scene.object, "/metadata/annotations");
    if let Some(map) = map.as_object_mut() {
        map.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    map["deployment.kubernetes.io/desired-replicas"] = json!(rollout.wanted.to_string());
    map["deployment.kubernetes.io/max-replicas"] = json!((rollout.wanted + rollout.surge).to_string());
    map[REVISION] = json!(revision.to_string());
    map
}

/// Gives an older ReplicaSet that has become the present one again the next revision, and the Deployment its own.
fn number_revision(scene: &mut Scene<'_>, rollout: &Rollout) {
    let Some(new) = &rollout.new else { return };
    let newest = rollout.old.iter().map(|set| revision_of(set)).max().unwrap_or_default();
    let mut revision = revision_of(new);
    if revision <= newest {
        let history = match text(new, "/metadata/annotations/deployment.kubernetes.io~1revision-history") {
            "" => revision.to_string(),
            before => format!("{before},{revision}"),
        };
        revision = newest + 1;
        let patch = json!({"metadata": {"annotations": {
            REVISION: revision.to_string(),
            "deployment.kubernetes.io/revision-history": history,
        }}});
        merge_set(scene, new, patch);
    }
    if revision_of(scene.object) != revision {
        scene.merge(json!({"metadata": {"annotations": {REVISION: revision.to_string()}}}));
    }
}

/// Merges into a ReplicaSet.
fn merge_set(scene: &mut Scene<'_>, set: &Value, patch: Value) {
    let key = Key::new(SETS, &scene.key.namespace, name(set));
    scene.act(Act::Merge { key, uid: uid(set).to_owned(), patch });
}

/// Gives a ReplicaSet another number of pods and says so.
fn scale(scene: &mut Scene<'_>, rollout: &Rollout, set: &Value, count: i64) {
    let before = replicas(set);
    if before == count {
        return;
    }
    let patch = json!({
        "metadata": {"annotations": {
            "deployment.kubernetes.io/desired-replicas": rollout.wanted.to_string(),
            "deployment.kubernetes.io/max-replicas": (rollout.wanted + rollout.surge).to_string(),
        }},
        "spec": {"replicas": count},
    });
    merge_set(scene, set, patch);
    let way = if count > before { "up" } else { "down" };
    let message = format!("Scaled {way} replica set {} from {before} to {count}", name(set));
    scene.tell(SOURCE, "ScalingReplicaSet", message);
}

/// Keeps a rollout from any progress.
fn hold(scene: &mut Scene<'_>, new: &Value) {
    if replicas(new) > 0 {
        merge_set(scene, new, json!({"spec": {"replicas": 0}}));
    }
}

/// How many pods the new ReplicaSet may have now (NewRSNewReplicas).
fn growth(rollout: &Rollout, present: i64) -> i64 {
    let total: i64 = rollout.all().map(replicas).sum();
    if total >= rollout.wanted + rollout.surge {
        return present;
    }
    let room = rollout.wanted + rollout.surge - total;
    present + room.min(rollout.wanted - present)
}

/// The next step of a rolling update.
fn roll(scene: &mut Scene<'_>, rollout: &Rollout) {
    let Some(new) = &rollout.new else { return };
    let present = replicas(new);
    let target = if present > rollout.wanted { rollout.wanted } else { growth(rollout, present) };
    if target != present {
        return scale(scene, rollout, new, target);
    }
    let total: i64 = rollout.all().map(replicas).sum();
    let available = |set: &Value| number(set, "/status/availableReplicas").unwrap_or_default();
    let least = rollout.wanted - rollout.unavailable;
    let mut spare = total - least - (present - available(new));
    let mut surplus = rollout.all().map(available).sum::<i64>() - least;
    for set in &rollout.old {
        let count = replicas(set);
        // What does not work goes first, and costs nothing of what is available.
        let broken = (count - available(set)).clamp(0, spare.max(0));
        let working = (count - broken).min(surplus.max(0)).min((spare - broken).max(0));
        spare -= broken + working;
        surplus -= working;
        scale(scene, rollout, set, count - broken - working);
    }
}

/// The next step of an update that has no two versions at once.
fn recreate(scene: &mut Scene<'_>, rollout: &Rollout) {
    let mut running = false;
    for set in &rollout.old {
        running |= replicas(set) > 0;
        scale(scene, rollout, set, 0);
    }
    let Some(new) = &rollout.new else { return };
    if !running && !any_pods(scene, &rollout.old) {
        scale(scene, rollout, new, rollout.wanted);
    }
}

/// Deletes the oldest ReplicaSets beyond the history limit, once the rollout is complete.
fn tidy(scene: &mut Scene<'_>, rollout: &Rollout) {
    let limit = number(scene.object, "/spec/revisionHistoryLimit").unwrap_or(10);
    let empty: Vec<&Arc<Value>> = rollout
        .old
        .iter()
        .filter(|set| replicas(set) == 0 && number(set, "/status/replicas").unwrap_or_default() == 0)
        .collect();
    let surplus = empty.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    for set in &empty[..surplus] {
        scene.delete(Key::new(SETS, &scene.key.namespace, name(set)), set);
    }
}

/// A condition `Progressing`.
fn progressing(status: &str, reason: &str, message: &str, scene: &Scene<'_>) -> Value {
    json!({
        "type": "Progressing", "status": status, "lastUpdateTime": scene.stamp(), "reason": reason, "message": message,
    })
}

/// The counts of a status.
#[derive(PartialEq)]
struct Counts {
    replicas: i64,
    updated: i64,
    ready: i64,
    available: i64,
}

impl Counts {
    fn of(rollout: &Rollout) -> Self {
        let sum = |field: &str| rollout.all().filter_map(|set| number(set, field)).sum();
        Self {
            replicas: sum("/status/replicas"),
            updated: rollout.new.as_ref().and_then(|new| number(new, "/status/replicas")).unwrap_or_default(),
            ready: sum("/status/readyReplicas"),
            available: sum("/status/availableReplicas"),
        }
    }

    /// What the Deployment says by now.
    fn said(deployment: &Value) -> Self {
        let said = |field: &str| number(deployment, field).unwrap_or_default();
        Self {
            replicas: said("/status/replicas"),
            updated: said("/status/updatedReplicas"),
            ready: said("/status/readyReplicas"),
            available: said("/status/availableReplicas"),
        }
    }

    /// Whether anything has come nearer to the end since (DeploymentProgressing).
    fn beyond(&self, before: &Self) -> bool {
        self.updated > before.updated
            || self.replicas - self.updated < before.replicas - before.updated
            || self.ready > before.ready
            || self.available > before.available
    }
}

/// Writes the status.
fn report(scene: &mut Scene<'_>, rollout: &Rollout, mut conditions: Vec<Value>, paused: bool) {
    let counts = Counts::of(rollout);
    let stamp = scene.stamp();
    let enough = counts.available >= rollout.wanted - rollout.unavailable;
    let (status, reason, message) = match enough {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    let available = json!({
        "type": "Available", "status": status, "lastUpdateTime": stamp, "reason": reason, "message": message,
    });
    set_condition(&mut conditions, available, &stamp);
    if !paused {
        progress(scene, rollout, &counts, &mut conditions);
    }
    failures(rollout, &mut conditions, &stamp);
    let status = json!({
        "availableReplicas": counts.available,
        "collisionCount": number(scene.object, "/status/collisionCount"),
        "conditions": conditions,
        "observedGeneration": observed(scene),
        "readyReplicas": counts.ready,
        "replicas": counts.replicas,
        "unavailableReplicas": (rollout.all().map(replicas).sum::<i64>() - counts.available).max(0),
        "updatedReplicas": counts.updated,
    });
    scene.status(terse(status, &[]));
}

/// Takes over what the ReplicaSets cannot do.
fn failures(rollout: &Rollout, conditions: &mut Vec<Value>, stamp: &str) {
    let failure = rollout.new.iter().chain(&rollout.old).find_map(|set| condition(set, "ReplicaFailure"));
    match failure {
        Some(failure) => {
            let mut failure = failure.clone();
            failure["lastUpdateTime"] = failure["lastTransitionTime"].clone();
            set_condition(conditions, failure, stamp);
        }
        None => conditions.retain(|condition| text(condition, "/type") != "ReplicaFailure"),
    }
}

/// Sets the condition `Progressing`.
fn progress(scene: &mut Scene<'_>, rollout: &Rollout, counts: &Counts, conditions: &mut Vec<Value>) {
    let Some(new) = &rollout.new else { return };
    let present = condition(scene.object, "Progressing").cloned();
    let reason = present.as_ref().map_or("", |present| text(present, "/reason"));
    let label = format!("ReplicaSet \"{}\"", name(new));
    let stamp = scene.stamp();
    if counts.replicas == counts.updated && reason == "NewReplicaSetAvailable" {
        return;
    }
    let complete = counts.updated == rollout.wanted
        && counts.replicas == rollout.wanted
        && counts.available == rollout.wanted
        && !scene.strikes(Fault::ProgressDeadline);
    let words = if complete {
        progressing("True", "NewReplicaSetAvailable", &format!("{label} has successfully progressed."), scene)
    } else if counts.beyond(&Counts::said(scene.object)) {
        // The time of the last progress is what the deadline counts from.
        let mut words = progressing("True", "ReplicaSetUpdated", &format!("{label} is progressing."), scene);
        if let Some(present) = present.filter(|present| text(present, "/status") == "True") {
            words["lastTransitionTime"] = present["lastTransitionTime"].clone();
        }
        conditions.retain(|condition| text(condition, "/type") != "Progressing");
        words
    } else if out_of_time(scene, present.as_ref()) {
        progressing("False", "ProgressDeadlineExceeded", &format!("{label} has timed out progressing."), scene)
    } else {
        return;
    };
    set_condition(conditions, words, &stamp);
}

/// Whether the deadline for progress is over; asks to be called again when it will be.
///
/// The seconds of the deadline are counted as hundredths, so that a rehearsal need not wait for them.
fn out_of_time(scene: &mut Scene<'_>, present: Option<&Value>) -> bool {
    if scene.strikes(Fault::ProgressDeadline) {
        return true;
    }
    let Some(present) = present else { return false };
    if text(present, "/reason") == "NewReplicaSetAvailable" {
        return false;
    }
    let limit = number(scene.object, "/spec/progressDeadlineSeconds").unwrap_or(600).clamp(0, 1_000_000);
    let Ok(since) = text(present, "/lastUpdateTime").parse::<Timestamp>() else { return false };
    let limit = i64::max(limit * 10, 1000);
    let passed = scene.wall.as_millisecond() - since.as_millisecond();
    if passed > limit {
        return true;
    }
    let rest = u64::try_from(limit - passed + 1).unwrap_or(1);
    scene.after(std::time::Duration::from_millis(rest));
    false
}
