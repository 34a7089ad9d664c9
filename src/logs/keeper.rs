//! Who is followed: every container instance of the namespaces in use.

use std::collections::{BTreeMap, BTreeSet};
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, ResourceExt as _};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::lines::words;
use super::stream::{Follow, Instance};
use crate::health::Speaker;
use crate::secrets::Secrets;
use crate::watch::{Ear, Hub, LastWords, ObjectRef};

/// Keeps the logs of a run; clones share them. Following ends when the last clone is dropped.
#[derive(Clone)]
pub struct LogKeeper {
    inner: Arc<Inner>,
    _alive: Arc<DropGuard>,
}

struct Inner {
    hub: Hub,
    folder: PathBuf,
    secrets: Secrets,
    followed: Mutex<BTreeSet<String>>,
    heard: watch::Sender<BTreeMap<Instance, Entry>>,
    /// Turns to hold a stream open: of containers that run, and of those that have ended.
    running: Semaphore,
    ended: Semaphore,
    stop: CancellationToken,
}

/// One log.
struct Entry {
    file: PathBuf,
    /// Once it is over: why it is incomplete, if it is.
    end: Option<Result<(), String>>,
}

/// How many containers that run are heard at once: each takes a connection and a file, of the 1024 that a process has by
/// default. The logs beyond lie on their nodes until another or they themselves have ended.
const RUNNING: usize = 256;

/// How many logs of containers that have ended are read at once; those are soon over, and wait for none that run on.
const ENDED: usize = 32;

/// How long the end of a log that tells why may come after the end of what wrote it.
const OVER: Duration = Duration::from_secs(1);

/// How much of its end is read for its last lines, in bytes.
const END: u64 = 64 << 10;

/// What is known of one pod's logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The files, the last instance of each container last.
    pub files: Vec<PathBuf>,
    /// Why a log is incomplete, by container.
    pub cut: BTreeMap<String, String>,
}

impl LogKeeper {
    /// Logs go to `folder/<namespace>/<pod>/<container>.<restart>.log`; a later pod of the same name to
    /// `<pod>@<first part of its uid>`.
    #[must_use]
    pub fn new(hub: Hub, folder: PathBuf, secrets: Secrets) -> Self {
        let stop = CancellationToken::new();
        let alive = Arc::new(stop.clone().drop_guard());
        let (followed, heard) = (Mutex::default(), watch::Sender::new(BTreeMap::new()));
        let (running, ended) = (Semaphore::new(RUNNING), Semaphore::new(ENDED));
        let inner = Arc::new(Inner { hub, folder, secrets, followed, heard, running, ended, stop });
        let ear: Weak<dyn Ear> = Arc::downgrade(&(Arc::clone(&inner) as Arc<dyn Ear>));
        inner.hub.heard_by(ear);
        Self { inner, _alive: alive }
    }

    /// From now on every container of the namespace is followed. Asking twice is asking once.
    pub fn follow(&self, namespace: &str) {
        let mut followed = self.inner.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if followed.insert(namespace.to_owned()) {
            let (inner, namespace) = (Arc::clone(&self.inner), namespace.to_owned());
            let stop = self.inner.stop.clone();
            tokio::spawn(stop.run_until_cancelled_owned(async move { inner.notice(&namespace).await }));
        }
    }

    /// Waits until every log of this pod that was begun has ended, and so many have, and says what there is. Bounded by the caller,
    /// who may know of a container that has run before the keeper does.
    pub async fn ended(&self, pod: &str, uid: &str, least: usize) -> Heard {
        let of_pod = |instance: &Instance| instance.pod == pod && instance.uid == uid;
        self.inner.over(of_pod, least).await;
        self.so_far(of_pod)
    }

    /// The files of a pod as far as they are written.
    #[must_use]
    pub fn of_pod(&self, pod: &str) -> Heard {
        self.so_far(|instance| instance.pod == pod)
    }

    /// Where the logs of a namespace are.
    #[must_use]
    pub fn folder(&self, namespace: &str) -> PathBuf {
        self.inner.folder.join(namespace)
    }

    fn so_far(&self, which: impl Fn(&Instance) -> bool) -> Heard {
        let mut known = Heard::default();
        for (instance, log) in self.inner.heard.borrow().iter().filter(|(instance, _)| which(instance)) {
            known.files.push(log.file.clone());
            if let Some(Err(why)) = &log.end {
                known.cut.insert(instance.container.clone(), why.clone());
            }
        }
        known
    }
}

impl Ear for Inner {
    fn last_words<'a>(&'a self, namespace: &'a str, speaker: &'a Speaker) -> BoxFuture<'a, Option<LastWords>> {
        let spoke = move |one: &Instance| {
            one.namespace == namespace
                && match speaker {
                    Speaker::Container { pod, container, .. } => one.pod == *pod && one.container == *container,
                    Speaker::Pods { owner } => one.owner == *owner,
                }
        };
        Box::pin(async move {
            // What is still being read then is quoted as far as it is.
            timeout(OVER, self.over(spoke, 0)).await.ok();
            let mut last: Option<(SystemTime, LastWords)> = None;
            for (container, file) in self.files(spoke) {
                let Ok((written, end)) = end_of(&file).await else { continue };
                if let Some(words) = LastWords::of(&container, &end)
                    && last.as_ref().is_none_or(|(before, _)| *before <= written)
                {
                    last = Some((written, words));
                }
            }
            last.map(|(_, words)| words)
        })
    }
}

/// When a log was last written to, and what was written of its last [`END`] bytes.
async fn end_of(file: &Path) -> std::io::Result<(SystemTime, String)> {
    let mut file = File::open(file).await?;
    let about = file.metadata().await?;
    file.seek(SeekFrom::Start(about.len().saturating_sub(END))).await?;
    let mut end = Vec::new();
    file.read_to_end(&mut end).await?;
    let end = String::from_utf8_lossy(&end);
    Ok((about.modified()?, end.lines().map(|line| words(line).to_owned() + "\n").collect()))
}

impl Inner {
    /// Waits until every log of these that was begun has ended, and so many have.
    async fn over(&self, which: impl Fn(&Instance) -> bool, least: usize) {
        let mut heard = self.heard.subscribe();
        let over = |all: &BTreeMap<Instance, Entry>| {
            let mut those = all.iter().filter(|(one, _)| which(one));
            those.clone().count() >= least && those.all(|(_, log)| log.end.is_some())
        };
        // The sender lives in `self`, so the wait cannot fail.
        heard.wait_for(over).await.ok();
    }

    fn files(&self, which: impl Fn(&Instance) -> bool) -> Vec<(String, PathBuf)> {
        let heard = self.heard.borrow();
        let those = heard.iter().filter(|(one, _)| which(one));
        those.map(|(one, log)| (one.container.clone(), log.file.clone())).collect()
    }

    /// Looks at every change of the namespace's pods and starts what is not followed yet.
    async fn notice(self: Arc<Self>, namespace: &str) {
        let pods = ApiResource::erase::<Pod>(&());
        loop {
            let known: BTreeSet<Instance> = self.heard.borrow().keys().cloned().collect();
            let fresh = |objects: &[Arc<DynamicObject>]| {
                let all = objects.iter().flat_map(|object| instances(object));
                let fresh: Vec<_> = all.filter(|(instance, _)| !known.contains(instance)).collect();
                (!fresh.is_empty()).then_some(fresh)
            };
            // A namespace whose pods may not be watched has no logs for us either.
            let Ok(fresh) = self.hub.until(&pods, Some(namespace), fresh).await else { return };
            for (instance, previous) in fresh {
                Arc::clone(&self).begin(instance, previous).await;
            }
        }
    }

    async fn begin(self: Arc<Self>, instance: Instance, previous: bool) {
        let file = self.file(&instance);
        if let Some(folder) = file.parent() {
            // A folder that cannot be made shows as a file that cannot be written.
            tokio::fs::create_dir_all(folder).await.ok();
        }
        let entry = Entry { file: file.clone(), end: None };
        self.heard.send_modify(|all| drop(all.insert(instance.clone(), entry)));
        let pods = Api::namespaced(self.hub.client().clone(), &instance.namespace);
        let follow = Follow { pods, instance: instance.clone(), file, secrets: self.secrets.clone(), previous };
        let stop = self.stop.clone();
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            let turn = self.turn(&instance).await;
            let end = follow.until_the_end().await;
            drop(turn);
            self.heard.send_modify(|all| {
                all.entry(instance).and_modify(|log| log.end = Some(end));
            });
        }));
    }

    /// Waits for a turn. The turns are never closed, so there is always one to come.
    async fn turn(&self, instance: &Instance) -> Option<SemaphorePermit<'_>> {
        let ended = async {
            self.runs_no_more(instance).await;
            self.ended.acquire().await
        };
        tokio::select! {
            turn = self.running.acquire() => turn.ok(),
            turn = ended => turn.ok(),
        }
    }

    async fn runs_no_more(&self, instance: &Instance) {
        let resource = ApiResource::erase::<Pod>(&());
        let namespace = Some(instance.namespace.clone());
        let pod = ObjectRef { resource, namespace, name: instance.pod.clone() };
        let over = |pods: &[Arc<DynamicObject>]| {
            let runs = pod.among(pods).is_some_and(|pod| runs(pod, instance));
            (!runs).then_some(())
        };
        // A namespace that may no longer be watched tells of no end, but its logs may still be had.
        self.hub.until(&pod.resource, Some(&instance.namespace), over).await.ok();
    }

    fn file(&self, instance: &Instance) -> PathBuf {
        let namesake =
            |one: &Instance| one.namespace == instance.namespace && one.pod == instance.pod && one.uid != instance.uid;
        let taken = self.heard.borrow().keys().any(namesake);
        let uid = instance.uid.split('-').next().unwrap_or_default();
        let pod = if taken { format!("{}@{uid}", instance.pod) } else { instance.pod.clone() };
        let log = format!("{}.{}.log", instance.container, instance.restart);
        self.folder.join(&instance.namespace).join(pod).join(log)
    }
}

/// The instances of a pod that have started, and whether each is had with `previous`.
///
/// An instance of which nothing was seen while it ran shows in `lastState` once its successor is there.
fn instances(object: &DynamicObject) -> Vec<(Instance, bool)> {
    let Ok(pod) = object.clone().try_parse::<Pod>() else { return Vec::new() };
    let (namespace, name, uid) = (pod.namespace().unwrap_or_default(), pod.name_any(), pod.uid().unwrap_or_default());
    let owner = pod.owner_references().iter().find(|owner| owner.controller == Some(true));
    let owner = owner.map(|owner| owner.uid.clone()).unwrap_or_default();
    let status = pod.status.unwrap_or_default();
    let statuses = [status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses];
    let instance = |status: &ContainerStatus, restart: i32| Instance {
        namespace: namespace.clone(),
        pod: name.clone(),
        uid: uid.clone(),
        owner: owner.clone(),
        container: status.name.clone(),
        restart,
    };
    let mut found = Vec::new();
    for status in statuses.into_iter().flatten().flatten() {
        let state = status.state.clone().unwrap_or_default();
        let before = status.last_state.clone().unwrap_or_default().terminated;
        if before.is_some_and(|ended| ended.container_id.is_some()) {
            // The count goes up when the next instance starts: while a crash loop waits, the last one has its number.
            let waits = state.waiting.is_some();
            let restart = if waits { status.restart_count } else { status.restart_count - 1 };
            found.extend((restart >= 0).then(|| (instance(&status, restart), true)));
        }
        if state.running.is_some() || state.terminated.is_some_and(|ended| ended.container_id.is_some()) {
            found.push((instance(&status, status.restart_count), false));
        }
    }
    found
}

fn runs(pod: &DynamicObject, instance: &Instance) -> bool {
    let status = &pod.data["status"];
    let all = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"];
    let mut all = all.into_iter().filter_map(|list| status[list].as_array()).flatten();
    let this = |one: &&serde_json::Value| one["name"] == instance.container && one["restartCount"] == instance.restart;
    pod.uid().as_ref() == Some(&instance.uid) && all.find(this).is_some_and(|one| one["state"]["running"].is_object())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: &serde_json::Value) -> DynamicObject {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "uid": "u" }, "status": status
        });
        serde_json::from_value(pod).unwrap()
    }

    fn named(object: &DynamicObject) -> Vec<(String, i32, bool)> {
        instances(object).into_iter().map(|(one, previous)| (one.container, one.restart, previous)).collect()
    }

    fn container(name: &str, restarts: i32, state: &serde_json::Value, last: &serde_json::Value) -> serde_json::Value {
        json!({
            "name": name, "ready": false, "image": "i", "imageID": "", "restartCount": restarts,
            "state": state, "lastState": last
        })
    }

    #[test]
    fn an_instance_knows_who_owns_its_pod() {
        let running = container("c", 0, &json!({ "running": {} }), &json!({}));
        let mut owned = pod(&json!({ "containerStatuses": [running] }));
        let owner = |kind: &str, uid: &str, controls: bool| json!({ "apiVersion": "batch/v1", "kind": kind, "name": "o", "uid": uid, "controller": controls });
        owned.metadata.owner_references =
            serde_json::from_value(json!([owner("Node", "n", false), owner("Job", "j", true)])).unwrap();
        let owners: Vec<String> = instances(&owned).into_iter().map(|(one, _)| one.owner).collect();
        assert_eq!(owners, ["j"]);
    }

    #[test]
    fn what_has_not_started_has_no_log() {
        let waiting = container("c", 0, &json!({ "waiting": { "reason": "ContainerCreating" } }), &json!({}));
        assert_eq!(named(&pod(&json!({ "containerStatuses": [waiting] }))), []);
    }

    #[test]
    fn init_containers_and_instances_that_ended_before_they_were_noticed_are_heard() {
        let ended = json!({ "terminated": { "exitCode": 1, "containerID": "x" } });
        let init = container("init", 0, &ended, &json!({}));
        let restarted = container("c", 2, &json!({ "running": {} }), &ended);
        let status = json!({ "initContainerStatuses": [init], "containerStatuses": [restarted] });
        let expected = [("init", 0, false), ("c", 1, true), ("c", 2, false)];
        assert_eq!(
            named(&pod(&status)),
            expected.map(|(name, restart, previous)| (name.to_owned(), restart, previous))
        );
    }

    #[test]
    fn a_crash_loop_that_waits_is_heard_through_its_last_instance() {
        let ended = json!({ "terminated": { "exitCode": 1, "containerID": "x" } });
        let looping = container("c", 3, &json!({ "waiting": { "reason": "CrashLoopBackOff" } }), &ended);
        assert_eq!(named(&pod(&json!({ "containerStatuses": [looping] }))), [("c".to_owned(), 3, true)]);
    }

    #[tokio::test]
    async fn of_pods_that_are_gone_whoever_wrote_last_is_quoted_without_the_times_and_never_anothers_pod() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let nowhere = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
        let (hub, folder) = (Hub::new(kube::Client::try_from(nowhere).unwrap()), tempfile::tempdir().unwrap());
        let keeper = LogKeeper::new(hub, folder.path().to_owned(), Secrets::default());
        let logs =
            [("job", "a", "first"), ("job", "b", "then\n2026-01-02T03:04:06Z last"), ("other", "c", "never ours")];
        for (at, (owner, container, text)) in logs.into_iter().enumerate() {
            let file = folder.path().join(container);
            std::fs::write(&file, format!("2026-01-02T03:04:05Z {text}\n")).unwrap();
            let written = SystemTime::UNIX_EPOCH + Duration::from_secs(at as u64);
            std::fs::File::open(&file).unwrap().set_modified(written).unwrap();
            let instance = Instance {
                namespace: "ns".to_owned(),
                pod: format!("{owner}-x"),
                uid: String::new(),
                owner: owner.to_owned(),
                container: container.to_owned(),
                restart: 0,
            };
            keeper.inner.heard.send_modify(|all| drop(all.insert(instance, Entry { file, end: Some(Ok(())) })));
        }
        let words = async |namespace, speaker| keeper.inner.last_words(namespace, &speaker).await;
        let pods = |owner: &str| Speaker::Pods { owner: owner.to_owned() };
        let said = LastWords { container: "b".to_owned(), lines: vec!["then".to_owned(), "last".to_owned()] };
        assert_eq!(words("ns", pods("job")).await, Some(said));
        assert_eq!(words("ns", pods("another")).await, None);
        assert_eq!(words("another", pods("job")).await, None);
        let container = Speaker::Container { pod: "job-x".to_owned(), container: "a".to_owned(), previous: false };
        assert_eq!(words("ns", container).await.unwrap().lines, ["first"]);
    }
}
