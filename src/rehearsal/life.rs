//! Life: what has changed is told to the actors, and what they do is done, until the rehearsal ends.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::actors::Fault;
use super::cast::{Cast, DECLARED};
use super::cluster::{Cluster, State, now};
use super::collector;
use super::object::{Act, Key, View};
use super::stage::{Next, Stage};
use super::standins::postgres;
use super::store::{Change, Store};

/// Runs until it is dropped.
pub(super) async fn live(cluster: Arc<Cluster>, stage: Arc<Stage>) {
    let life = Life { cluster, stage };
    loop {
        life.hear();
        while life.look() {
            life.hear();
            // Requests get their turn between two looks.
            tokio::task::yield_now().await;
        }
        let stirred = life.cluster.stirred.notified();
        let next = life.cluster.step(|state| state.agenda.first());
        life.stage.next.send_replace(next.map_or(Next::Never, Next::At));
        match next {
            Some(due) => drop(timeout_at(due, stirred).await),
            None => stirred.await,
        }
        life.stage.next.send_replace(Next::Now);
    }
}

struct Life {
    cluster: Arc<Cluster>,
    stage: Arc<Stage>,
}

impl Life {
    /// Plans to look at whatever is touched by what has happened.
    fn hear(&self) {
        self.cluster.step(|state| {
            let news = std::mem::take(&mut state.store.news);
            let touched: Vec<Key> = news.iter().flat_map(|change| touched(state, &self.stage, change)).collect();
            let now = Instant::now();
            touched.into_iter().for_each(|key| state.agenda.plan(key, now));
        });
    }

    /// Looks at what is due, if anything is. One step: whoever forks the cluster meanwhile forgets nothing that is due.
    fn look(&self) -> bool {
        let (since, stage) = (self.stage.begun.elapsed(), &self.stage);
        self.cluster.step(|state| {
            let Some(key) = state.agenda.next() else { return false };
            let collected = collector::look_at(state, &key);
            let view = Sight { store: &state.store, cast: &stage.cast };
            let (acts, mut again) = stage.actors().reconcile(&key, &view, since, Timestamp::now());
            let mut was_refused = false;
            for act in acts {
                // Nobody tells of what did not come to be.
                let is_boast = matches!(&act, Act::Event { reason: "SuccessfulCreate", .. });
                if is_boast && was_refused {
                    again = Some(Duration::ZERO);
                } else {
                    was_refused = perform(state, stage, act).is_err();
                }
            }
            if let Some(again) = [collected, again].into_iter().flatten().min() {
                state.agenda.plan(key, Instant::now() + again.max(Duration::from_millis(1)));
            }
            true
        })
    }
}

/// What actors see: the objects, and who answers behind a name.
struct Sight<'a> {
    store: &'a Store,
    cast: &'a Cast,
}

impl View for Sight<'_> {
    fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.store.get(key)
    }

    fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.store.list(resource, namespace)
    }

    fn labelled(&self, resource: &str, namespace: &str, labels: &Value) -> Vec<Arc<Value>> {
        self.store.labelled(resource, namespace, labels)
    }

    fn controlled(&self, resource: &str, owner_uid: &str) -> Vec<Arc<Value>> {
        self.store.controlled(resource, owner_uid)
    }

    fn database(&self, namespace: &str, host: &str, port: u16) -> Option<Arc<postgres::Server>> {
        self.cast.database(self.store, namespace, host, port)
    }
}

/// What must be looked at because of a change.
fn touched(state: &State, stage: &Stage, change: &Change) -> Vec<Key> {
    let key = &change.now.key;
    let now = state.store.seen(&change.now);
    let before = change.before.as_ref().map(|before| state.store.seen(before));
    let mut touched = stage.actors().touched(key, before.as_deref(), (!change.removed).then_some(&now), &state.store);
    touched.push(key.clone());
    touched.extend(collector::touched(state, change));
    if change.removed && &*key.resource == "/pods" {
        stage.forget(&change.now.uid);
    }
    touched
}

/// What an actor wanted to make was refused, and its controller told.
struct WasRefused;

/// Does what an actor does.
fn perform(state: &mut State, stage: &Stage, act: Act) -> Result<(), WasRefused> {
    match act {
        Act::Create { resource, object } => return create(state, stage, resource, object),
        Act::Merge { key, uid, patch } => {
            state.amend(&key, &uid, |object| {
                let status = object["status"].take();
                // A patch that is no object changes nothing.
                super::fields::merge_patch(object, &patch).into_iter().for_each(|merged| *object = merged);
                super::write::set_or_remove(object, "status", status);
            });
            stage.cast.heed(state, &key);
        }
        Act::Status { key, uid, status } => {
            state.amend(&key, &uid, |object| super::write::set_or_remove(object, "status", status));
            if DECLARED.contains(&&*key.resource) {
                stage.cast.declare(state, &key.namespace);
            }
        }
        Act::Delete { key, uid } => state.delete_own(&key, &uid),
        Act::Reap { key, uid } => state.reap(&key, &uid),
        Act::Event { about, uid, warning, reason, message, source, field_path } => {
            let kind = if warning { "Warning" } else { "Normal" };
            let told = Told { about: &about, uid: &uid, kind, reason, message: &message, source, field_path };
            tell(state, &told);
        }
        Act::Log { pod, uid, container, restart, line } => {
            let line = if stage.actors().strike(&pod, Fault::OtherWords) { stage.words.line() } else { line };
            stage.logs.open(&uid, &container, restart).write(line);
        }
        Act::Start { pod, uid, container, restart } => {
            stage.logs.open(&uid, &container, restart);
            stage.cast.start(state, &pod, &uid, &container);
        }
        Act::Serve { pod, uid, container } => stage.cast.start(state, &pod, &uid, &container),
        Act::Stop { uid, container, restart, .. } => {
            stage.logs.open(&uid, &container, restart).end();
            stage.cast.stop(&uid, &container);
        }
    }
    Ok(())
}

/// Creates what an actor makes. Where it is refused its controller hears of it, and says so by an event.
fn create(state: &mut State, stage: &Stage, resource: &str, object: Value) -> Result<(), WasRefused> {
    let Some(resource) = state.catalog.of_collection(resource) else { return Ok(()) };
    let owners = object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    let refused = match state.create_own(&resource, object) {
        // What is there already is what was wanted.
        Err(refused) if refused.code != 409 => refused,
        Ok(()) | Err(_) => return Ok(()),
    };
    let controller = owners.iter().find(|owner| owner["controller"] == true);
    let uid = controller.and_then(|owner| owner["uid"].as_str()).unwrap_or_default();
    let Some(about) = state.store.of_uid(uid).cloned() else { return Ok(()) };
    let source = match &*about.resource {
        "batch/jobs" => "job-controller",
        "apps/daemonsets" => "daemonset-controller",
        "apps/statefulsets" => "statefulset-controller",
        _ => "replicaset-controller",
    };
    let why = stage.actors().refused(&about, &resource.kind, &refused.message);
    let (message, reason) = (format!("Error creating: {why}"), "FailedCreate");
    tell(state, &Told { about: &about, uid, kind: "Warning", reason, message: &message, source, field_path: None });
    Err(WasRefused)
}

/// An event.
struct Told<'a> {
    about: &'a Key,
    uid: &'a str,
    kind: &'a str,
    reason: &'a str,
    message: &'a str,
    source: &'a str,
    field_path: Option<String>,
}

/// Writes an event, or counts the one that says the same.
fn tell(state: &mut State, told: &Told<'_>) {
    let (Some(resource), Some(of)) =
        (state.catalog.find("", "v1", "events"), state.catalog.of_collection(&told.about.resource))
    else {
        return;
    };
    let namespace = if told.about.namespace.is_empty() { "default" } else { &*told.about.namespace };
    // What is the same has the same name, so that it is found without a search.
    let mark = mark(&[told.uid, told.reason, told.message, told.field_path.as_deref().unwrap_or_default()]);
    let name = format!("{}.{mark:016x}", told.about.name);
    let key = State::key(&resource, Some(namespace), &name);
    if let Some(stored) = state.store.find(&key) {
        let uid = stored.uid.to_string();
        return state.amend(&key, &uid, |event| {
            event["count"] = json!(event["count"].as_i64().unwrap_or(1) + 1);
            event["lastTimestamp"] = json!(now());
        });
    }
    let mut involved = json!({
        "kind": of.kind,
        "namespace": *told.about.namespace,
        "name": *told.about.name,
        "uid": told.uid,
        "apiVersion": of.api_version(&of.storage),
        "resourceVersion": state.store.find(told.about).map(|stored| stored.revision.to_string()),
    });
    if let Some(path) = &told.field_path {
        involved["fieldPath"] = json!(path);
    }
    if told.about.namespace.is_empty() {
        super::write::remove(&mut involved, "namespace");
    }
    let event = json!({
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": { "name": name, "namespace": namespace },
        "involvedObject": involved,
        "reason": told.reason,
        "message": told.message,
        "source": { "component": told.source },
        "firstTimestamp": now(),
        "lastTimestamp": now(),
        "count": 1,
        "type": told.kind,
        "eventTime": null,
        "reportingComponent": told.source,
        "reportingInstance": "",
    });
    // A namespace that ends takes no events; nobody waits for them.
    state.create_own(&resource, event).ok();
}

/// A number that texts have in common only where they are the same (FNV-1a).
fn mark(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
