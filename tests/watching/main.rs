//! The hub against an API server on loopback that misbehaves on demand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fake;
#[path = "../fake/mod.rs"]
mod server;

use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use futures::future::BoxFuture;
use seaworthy::health::Speaker;
use seaworthy::watch::{Ear, Hub, LastWords, ObjectRef, WatchError};
use serde_json::{Value, json};
use tokio::time::{advance, pause, resume, sleep, timeout};

use self::fake::Fake;

/// Longest real time that anything here may take.
const SOON: Duration = Duration::from_secs(5);

/// A hub on a fresh server.
fn hub() -> (Fake, Hub) {
    let fake = Fake::start();
    let hub = Hub::new(fake.client());
    (fake, hub)
}

/// Waits until the ConfigMaps of `ns` are exactly these.
async fn names(hub: &Hub, wanted: &[&str]) {
    let kind = hub.resource("ConfigMap").await.unwrap().resource;
    let same = hub.until(&kind, Some("ns"), |objects| {
        let names: Vec<_> = objects.iter().filter_map(|object| object.metadata.name.as_deref()).collect();
        (names == wanted).then_some(())
    });
    timeout(SOON, same).await.expect("the wait should end").unwrap();
}

/// Keeps a window on the ConfigMaps of `ns` open, so that one watch lives through a whole test.
async fn open(hub: &Hub) -> seaworthy::watch::Window {
    let kind = hub.resource("ConfigMap").await.unwrap().resource;
    hub.window(&kind, Some("ns"))
}

fn map(name: &str) -> Value {
    json!({ "metadata": { "name": name, "namespace": "ns" } })
}

/// Lets the clock jump while nothing is on the wire.
async fn later(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

#[tokio::test]
async fn a_wait_sees_what_is_there_what_comes_and_what_goes() {
    let (fake, hub) = hub();
    fake.put("configmaps", map("b"));
    names(&hub, &["b"]).await;
    fake.put("configmaps", map("a"));
    names(&hub, &["a", "b"]).await;
    fake.remove("configmaps", "b");
    names(&hub, &["a"]).await;
    assert_eq!(fake.requests(), 2, "one list and one watch");
}

#[tokio::test]
async fn a_change_during_a_dropped_connection_is_not_missed() {
    let (fake, hub) = hub();
    fake.put("configmaps", map("a"));
    let _window = open(&hub).await;
    names(&hub, &["a"]).await;
    fake.watched().await;
    fake.cut();
    fake.put("configmaps", map("b"));
    names(&hub, &["a", "b"]).await;
    assert_eq!(fake.lists(), 1, "the watch is resumed, not begun anew");
}

#[tokio::test]
async fn an_expired_version_leads_to_a_new_list_whether_it_comes_as_an_event_or_as_a_status() {
    for as_status in [false, true] {
        let (fake, hub) = hub();
        fake.put("configmaps", map("a"));
        fake.put("configmaps", map("b"));
        let _window = open(&hub).await;
        names(&hub, &["a", "b"]).await;
        fake.watched().await;
        fake.gone_as_status(as_status);
        fake.remove_unheard("configmaps", "a");
        fake.cut();
        names(&hub, &["b"]).await;
        assert_eq!(fake.lists(), 2, "as status: {as_status}");
    }
}

#[tokio::test]
async fn a_version_that_expires_in_the_middle_of_a_watch_leads_to_a_new_list() {
    let (fake, hub) = hub();
    fake.put("configmaps", map("a"));
    let _window = open(&hub).await;
    names(&hub, &["a"]).await;
    fake.watched().await;
    fake.remove_unheard("configmaps", "a");
    fake.expire();
    names(&hub, &[]).await;
}

#[tokio::test]
async fn a_bookmark_moves_the_version_from_which_a_watch_is_resumed() {
    let (fake, hub) = hub();
    let _window = open(&hub).await;
    names(&hub, &[]).await;
    fake.watched().await;
    fake.bookmark(40);
    fake.put("configmaps", map("a"));
    names(&hub, &["a"]).await;
    fake.bookmark(90);
    timeout(SOON, fake.told(90)).await.expect("the bookmark should be sent");
    fake.cut();
    timeout(SOON, fake.watched_from("90")).await.expect("the watch should be resumed from the bookmark");
}

#[tokio::test]
async fn a_server_that_is_gone_for_20_seconds_is_survived() {
    let (mut fake, hub) = hub();
    let mut window = open(&hub).await;
    names(&hub, &[]).await;
    fake.stop();
    fake.put("configmaps", map("a"));
    for _ in 0..20 {
        sleep(Duration::from_millis(20)).await;
        later(Duration::from_secs(1)).await;
    }
    assert!(window.trouble().is_some(), "a reader should know why nothing is heard");
    assert!(window.objects().unwrap().unwrap().is_empty());
    fake.restart();
    names(&hub, &["a"]).await;
    assert!(window.trouble().is_none());
}

#[tokio::test]
async fn a_half_open_connection_is_noticed_within_50_seconds() {
    let (fake, hub) = hub();
    let _window = open(&hub).await;
    names(&hub, &[]).await;
    fake.watched().await;
    fake.mute();
    fake.put("configmaps", map("a"));
    sleep(Duration::from_millis(50)).await;
    later(Duration::from_secs(51)).await;
    names(&hub, &["a"]).await;
}

#[tokio::test]
async fn a_slow_server_is_waited_for() {
    let (fake, hub) = hub();
    fake.put("configmaps", map("a"));
    fake.delay(Duration::from_millis(400));
    names(&hub, &["a"]).await;
}

#[tokio::test]
async fn denied_access_is_refused_at_once_with_the_servers_words() {
    let (fake, hub) = hub();
    fake.answer_with(403);
    let kind = hub.resource("ConfigMap").await.unwrap().resource;
    let refused = timeout(SOON, hub.until(&kind, Some("ns"), |_| Some(()))).await.unwrap();
    let Err(error @ WatchError::Refused { .. }) = refused else { panic!("{refused:?}") };
    assert!(seaworthy::complaint::chain(&error).contains("told to answer 403"), "{error:?}");
    assert_eq!(fake.requests(), 1);
}

#[tokio::test]
async fn denied_access_after_a_first_answer_is_a_server_that_is_starting() {
    let (fake, hub) = hub();
    let _window = open(&hub).await;
    names(&hub, &[]).await;
    fake.watched().await;
    fake.answer_with(403);
    fake.cut();
    sleep(Duration::from_millis(100)).await;
    fake.put("configmaps", map("a"));
    fake.answer_with(200);
    names(&hub, &["a"]).await;
}

#[tokio::test]
async fn an_outage_does_not_count_as_denial() {
    let (mut fake, hub) = hub();
    let _window = open(&hub).await;
    names(&hub, &[]).await;
    fake.watched().await;
    fake.stop();
    for _ in 0..40 {
        sleep(Duration::from_millis(5)).await;
        later(Duration::from_secs(1)).await;
    }
    fake.answer_with(403);
    fake.restart();
    sleep(Duration::from_millis(1200)).await;
    fake.put("configmaps", map("a"));
    fake.answer_with(200);
    names(&hub, &["a"]).await;
}

#[tokio::test]
async fn a_kind_that_is_served_a_little_later_is_waited_for_and_one_that_never_is_refused() {
    let (fake, hub) = hub();
    fake.answer_with(404);
    let mut window = open(&hub).await;
    sleep(Duration::from_millis(100)).await;
    assert!(window.objects().is_ok());
    fake.answer_with(200);
    names(&hub, &[]).await;
    fake.watched().await;
    fake.answer_with(404);
    fake.cut();
    for _ in 0..12 {
        sleep(Duration::from_millis(20)).await;
        later(Duration::from_secs(1)).await;
    }
    while window.objects().is_ok() {
        timeout(SOON, window.changed()).await.expect("the kind should be refused");
    }
}

#[tokio::test]
async fn a_hundred_waits_of_30_seconds_on_four_kinds_cost_at_most_20_requests() {
    let (fake, hub) = hub();
    let mut waits = tokio::task::JoinSet::new();
    for wait in 0..100 {
        let (hub, kind) = (hub.clone(), ["Pod", "ConfigMap", "Deployment", "Job"][wait % 4]);
        let kind = hub.resource(kind).await.unwrap().resource;
        waits.spawn(async move { hub.until(&kind, Some("ns"), |objects| (!objects.is_empty()).then_some(())).await });
    }
    for _ in 0..30 {
        sleep(Duration::from_millis(20)).await;
        later(Duration::from_secs(1)).await;
    }
    for plural in ["pods", "configmaps", "deployments", "jobs"] {
        fake.put(plural, map("a"));
    }
    timeout(SOON, waits.join_all()).await.unwrap().into_iter().for_each(|wait| wait.unwrap());
    assert!(fake.requests() <= 8, "{} requests", fake.requests());
}

#[tokio::test]
async fn a_watch_outlives_its_last_wait_by_30_seconds_and_no_more() {
    let (fake, hub) = hub();
    names(&hub, &[]).await;
    fake.watched().await;
    later(Duration::from_secs(29)).await;
    names(&hub, &[]).await;
    assert_eq!(fake.requests(), 2, "the second wait finds the first one's watch");
    sleep(Duration::from_millis(20)).await;
    for _ in 0..31 {
        sleep(Duration::from_millis(5)).await;
        later(Duration::from_secs(1)).await;
    }
    timeout(SOON, fake.unwatched()).await.expect("the connection should be closed");
}

/// A Deployment `web` with a replica set and a pod in a state.
fn deploy(fake: &Fake, state: &Value) {
    let owner = |kind: &str, uid: &str| json!([{ "apiVersion": "apps/v1", "kind": kind, "name": kind, "uid": uid }]);
    let revision = json!({ "deployment.kubernetes.io/revision": "1" });
    let metadata =
        |name: &str, uid: &str| json!({ "name": name, "namespace": "ns", "uid": uid, "annotations": revision });
    fake.put("deployments", json!({ "metadata": metadata("web", "d"), "status": { "observedGeneration": 1 } }));
    let mut set = json!({ "metadata": metadata("web-1", "r") });
    set["metadata"]["ownerReferences"] = owner("Deployment", "d");
    fake.put("replicasets", set);
    let mut pod = json!({
        "metadata": metadata("web-1-x", "p"),
        "spec": { "nodeName": "n", "containers": [{ "name": "app", "image": "redis:nope" }] },
        "status": { "phase": "Pending", "containerStatuses": [{ "name": "app", "restartCount": 1 }] },
    });
    pod["metadata"]["ownerReferences"] = owner("ReplicaSet", "r");
    for (key, value) in state.as_object().unwrap() {
        pod["status"]["containerStatuses"][0][key] = value.clone();
    }
    fake.put("pods", pod);
}

async fn web(hub: &Hub) -> ObjectRef {
    let resource = hub.resource("Deployment").await.unwrap().resource;
    ObjectRef { resource, namespace: Some("ns".to_owned()), name: "web".to_owned() }
}

#[tokio::test]
async fn settling_names_the_lowest_cause_and_the_way_down_to_it() {
    let (fake, hub) = hub();
    let web = web(&hub).await;
    let (mut told, missed) = (Vec::new(), tokio::sync::Notify::new());
    let settle = async {
        let objects = [web];
        hub.settle_telling(&objects, |on| {
            told.push(on.to_owned());
            missed.notify_one();
        })
        .await
    };
    let breaking = async {
        missed.notified().await;
        deploy(&fake, &json!({ "state": { "waiting": { "reason": "ErrImagePull", "message": "manifest unknown" } } }));
    };
    let (settled, ()) = timeout(SOON, async { tokio::join!(settle, breaking) }).await.unwrap();
    let doom = settled.unwrap().unwrap_err();
    assert_eq!(
        doom.why,
        "pod web-1-x: container app cannot pull image \"redis:nope\": manifest unknown (ErrImagePull)"
    );
    assert_eq!(doom.details, ["found by way of Deployment web, ReplicaSet web-1"]);
    assert_eq!(told.first().map(String::as_str), Some("Deployment web is not there"));
}

#[tokio::test]
async fn a_crash_loop_comes_with_the_last_words_of_its_container() {
    let (fake, hub) = hub();
    fake.log("starting\ncannot open the database\n");
    let ended = json!({ "terminated": { "exitCode": 1, "reason": "Error" } });
    deploy(&fake, &json!({ "state": { "waiting": { "reason": "CrashLoopBackOff" } }, "lastState": ended }));
    let settled = timeout(SOON, hub.settle_telling(&[web(&hub).await], |_| ())).await.unwrap();
    let doom = settled.unwrap().unwrap_err();
    assert_eq!(
        doom.why,
        "pod web-1-x: container app exited with code 1, restarted once (CrashLoopBackOff): cannot open the database"
    );
    assert_eq!(doom.details[1], "log of container app: starting");
}

#[tokio::test]
async fn what_a_kubelet_says_in_place_of_a_log_is_nobodys_last_words() {
    let (fake, hub) = hub();
    fake.log("unable to retrieve container logs for containerd://0123");
    let ended = json!({ "terminated": { "exitCode": 1, "reason": "Error" } });
    deploy(&fake, &json!({ "state": { "waiting": { "reason": "CrashLoopBackOff" } }, "lastState": ended }));
    let settled = timeout(SOON, hub.settle_telling(&[web(&hub).await], |_| ())).await.unwrap();
    let doom = settled.unwrap().unwrap_err();
    assert_eq!(doom.why, "pod web-1-x: container app exited with code 1, restarted once (CrashLoopBackOff)");
}

/// A Deployment that counts as ready, whose one container is up again, a second after it lived for a second.
fn came_back(fake: &Fake, lived: i64) {
    let ago = |seconds| (jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds)).to_string();
    let end = json!({ "terminated": { "exitCode": 1, "startedAt": ago(1 + lived), "finishedAt": ago(1) } });
    let up = json!({ "running": { "startedAt": ago(0) } });
    deploy(fake, &json!({ "ready": true, "restartCount": 2, "state": up, "lastState": end }));
    let status = json!({ "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
    fake.put("deployments", json!({ "metadata": { "name": "web", "namespace": "ns", "uid": "d" }, "status": status }));
}

#[tokio::test]
async fn a_crash_loop_is_not_believed_in_its_ready_moment() {
    let (fake, hub) = hub();
    came_back(&fake, 60);
    let objects = [web(&hub).await];
    let (mut told, doubted) = (Vec::new(), tokio::sync::Notify::new());
    let settle = hub.settle_telling(&objects, |on| {
        told.push(on.to_owned());
        if on.contains("must stay so for 20 s") {
            doubted.notify_one();
        }
    });
    let crash = async {
        doubted.notified().await;
        let now = jiff::Timestamp::now().to_string();
        let ended = json!({ "terminated": { "exitCode": 1, "reason": "Error", "finishedAt": now } });
        deploy(&fake, &json!({ "state": { "waiting": { "reason": "CrashLoopBackOff" } }, "lastState": ended }));
    };
    let (settled, ()) = timeout(SOON, async { tokio::join!(settle, crash) }).await.unwrap();
    assert!(settled.unwrap().unwrap_err().why.contains("exited with code 1"), "{told:?}");
}

#[tokio::test]
async fn what_came_back_is_believed_once_it_stays_and_by_a_settle_at_once() {
    let (fake, hub) = hub();
    came_back(&fake, 0);
    let web = [web(&hub).await];
    let (out, _heard) = tokio::sync::mpsc::unbounded_channel();
    let notes = seaworthy::ports::Notes::new(seaworthy::plan::StepId::cluster(), out);
    let begun = tokio::time::Instant::now();
    assert!(timeout(SOON, hub.settle(&web, &notes)).await.unwrap().unwrap().is_ok());
    // What came back is not believed before 3 s.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(timeout(SOON, hub.settle_telling(&web, |_| ())).await.unwrap().unwrap().is_ok());
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_is_scaled_to_nothing_after_it_was_ready_does_not_endure_unless_it_is_scaled_by_an_autoscaler() {
    let (fake, hub) = hub();
    let web = [web(&hub).await];
    let (out, _heard) = tokio::sync::mpsc::unbounded_channel();
    let notes = seaworthy::ports::Notes::new(seaworthy::plan::StepId::cluster(), out);
    let scaled = |replicas: u8| {
        let status = json!({ "observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas, "availableReplicas": replicas });
        let metadata = json!({ "name": "web", "namespace": "ns", "uid": "d" });
        fake.put("deployments", json!({ "metadata": metadata, "spec": { "replicas": replicas }, "status": status }));
    };
    scaled(0);
    assert!(timeout(SOON, hub.endure(&web, &notes)).await.unwrap().unwrap().is_ok(), "it was meant to have none");
    scaled(2);
    hub.catch_up(&web).await;
    assert!(timeout(SOON, hub.settle(&web, &notes)).await.unwrap().unwrap().is_ok());
    scaled(0);
    hub.catch_up(&web).await;
    fake.put("horizontalpodautoscalers", json!({ "metadata": { "name": "other", "namespace": "ns" } }));
    let doom = timeout(2 * SOON, hub.endure(&web, &notes)).await.unwrap().unwrap().unwrap_err();
    assert_eq!(doom.why, "Deployment web was scaled to 0 after it had been ready with 2 pods; still so after 5 s");
    let target = json!({ "minReplicas": 0, "scaleTargetRef": { "kind": "Deployment", "name": "web" } });
    fake.put("horizontalpodautoscalers", json!({ "metadata": { "name": "web", "namespace": "ns" }, "spec": target }));
    let resource = hub.resource("HorizontalPodAutoscaler").await.unwrap().resource;
    hub.catch_up(&[ObjectRef { resource, namespace: Some("ns".to_owned()), name: "web".to_owned() }]).await;
    assert!(timeout(SOON, hub.endure(&web, &notes)).await.unwrap().unwrap().is_ok());
}

#[tokio::test]
async fn what_was_just_written_is_caught_up_with_although_its_watch_has_not_heard_of_it() {
    let (fake, hub) = hub();
    let put = |generation: u8| {
        let metadata = json!({ "name": "web", "namespace": "ns", "generation": generation });
        fake.put("deployments", json!({ "metadata": metadata }));
    };
    put(1);
    let web = [web(&hub).await];
    assert!(hub.current(&web[0]).await.unwrap().is_some());
    fake.watched().await;
    // Until its watch is open again nobody tells it.
    fake.cut();
    fake.unwatched().await;
    put(2);
    let seen = async || hub.current(&web[0]).await.unwrap().unwrap().metadata.generation;
    assert_eq!(seen().await, Some(1));
    timeout(SOON, hub.catch_up(&web)).await.unwrap();
    assert_eq!(seen().await, Some(2));
}

#[tokio::test]
async fn what_is_gone_at_the_end_is_not_waited_for_long() {
    let (_fake, hub) = hub();
    let (out, _heard) = tokio::sync::mpsc::unbounded_channel();
    let notes = seaworthy::ports::Notes::new(seaworthy::plan::StepId::cluster(), out);
    let doom = timeout(2 * SOON, hub.endure(&[web(&hub).await], &notes)).await.unwrap().unwrap().unwrap_err();
    assert_eq!(doom.why, "Deployment web is not there; still so after 5 s");
}

#[tokio::test]
async fn settling_ends_when_the_newest_specification_is_there() {
    let (fake, hub) = hub();
    let settle = tokio::spawn({
        let (hub, web) = (hub.clone(), web(&hub).await);
        async move { hub.settle_telling(&[web], |_| ()).await }
    });
    let status = json!({ "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
    fake.put("deployments", json!({ "metadata": { "name": "web", "namespace": "ns" }, "status": status }));
    let saw = timeout(SOON, settle).await.unwrap().unwrap().unwrap().unwrap();
    assert_eq!(saw, "1 of 1 pods are available");
}

#[tokio::test]
async fn a_job_that_cleans_up_after_itself_has_still_ended_whoever_saw_it() {
    for (condition, heard, is_well) in [("Complete", true, true), ("Complete", false, true), ("Failed", true, false)] {
        let (fake, hub) = hub();
        let job = |status: Value| {
            let metadata = json!({ "name": "migrate", "namespace": "ns", "uid": "j" });
            json!({ "metadata": metadata, "spec": { "ttlSecondsAfterFinished": 0 }, "status": status })
        };
        fake.put("jobs", job(json!({ "active": 1 })));
        let resource = hub.resource("Job").await.unwrap().resource;
        let mut window = hub.window(&resource, Some("ns"));
        let ended = json!({ "conditions": [{ "type": condition, "status": "True", "reason": "R", "message": "m" }] });
        let has_ended = |job: &kube::api::DynamicObject| job.data["status"]["conditions"].is_array();
        while !window.objects().unwrap().is_some_and(|jobs| jobs.iter().any(|job| has_ended(job))) {
            fake.put("jobs", job(ended.clone()));
            timeout(SOON, window.changed()).await.unwrap();
        }
        if heard {
            fake.remove("jobs", "migrate");
        } else {
            fake.remove_unheard("jobs", "migrate");
            fake.expire();
        }
        while !window.objects().unwrap().is_some_and(|jobs| jobs.is_empty()) {
            timeout(SOON, window.changed()).await.unwrap();
        }
        let migrate = [ObjectRef { resource, namespace: Some("ns".to_owned()), name: "migrate".to_owned() }];
        let settled = timeout(SOON, hub.settle_telling(&migrate, |_| ())).await.unwrap().unwrap();
        assert_eq!(settled.is_ok(), is_well, "{condition}: {settled:?}");
    }
}

/// Has heard the pods of one owner.
struct Heard(&'static str);

impl Ear for Heard {
    fn last_words<'a>(&'a self, namespace: &'a str, speaker: &'a Speaker) -> BoxFuture<'a, Option<LastWords>> {
        let known = namespace == "ns" && *speaker == Speaker::Pods { owner: self.0.to_owned() };
        Box::pin(async move { known.then(|| LastWords::of("app", "error: no such table\n\nbye\n")).flatten() })
    }
}

#[tokio::test]
async fn a_failed_job_whose_pods_are_gone_is_told_with_what_was_heard_of_them() {
    let why = "Job migrate has failed (BackoffLimitExceeded): too often";
    let lines =
        ["found by way of Job migrate", "log of container app: error: no such table", "log of container app: bye"];
    for (owner, told, details) in
        [("j", format!("{why}: error: no such table"), &lines[..]), ("k", why.to_owned(), &lines[..1])]
    {
        let (fake, hub) = hub();
        let condition =
            json!({ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often" });
        let metadata = json!({ "name": "migrate", "namespace": "ns", "uid": "j" });
        fake.put("jobs", json!({ "metadata": metadata, "status": { "conditions": [condition] } }));
        let ear: Arc<dyn Ear> = Arc::new(Heard(owner));
        hub.heard_by(Arc::downgrade(&ear));
        let resource = hub.resource("Job").await.unwrap().resource;
        let migrate = [ObjectRef { resource, namespace: Some("ns".to_owned()), name: "migrate".to_owned() }];
        let doom = timeout(SOON, hub.settle_telling(&migrate, |_| ())).await.unwrap().unwrap().unwrap_err();
        assert_eq!(
            (doom.why, doom.details.as_slice()),
            (told, details.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice())
        );
    }
}

#[tokio::test]
async fn a_pod_too_big_for_every_node_is_doomed_also_where_the_nodes_are_known_already() {
    let (fake, hub) = hub();
    fake.put("nodes", json!({ "metadata": { "name": "n" }, "status": { "allocatable": { "cpu": "2" } } }));
    let condition =
        json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient cpu" });
    fake.put(
        "pods",
        json!({
            "metadata": { "name": "web", "namespace": "ns" },
            "spec": { "containers": [{ "name": "app", "resources": { "requests": { "cpu": "8" } } }] },
            "status": { "phase": "Pending", "conditions": [condition] },
        }),
    );
    let resource = hub.resource("Pod").await.unwrap().resource;
    let pod = [ObjectRef { resource, namespace: Some("ns".to_owned()), name: "web".to_owned() }];
    for _ in 0..3 {
        let settled = timeout(SOON, hub.settle_telling(&pod, |_| ())).await.unwrap();
        let why = settled.unwrap().unwrap_err().why;
        assert_eq!(why, "pod web asks for more cpu than any node has (2): Insufficient cpu (Unschedulable)");
        // The watches have been opened and are silent: the next wait hears nothing that it does not ask for.
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn reasons_that_may_not_be_read_are_done_without() {
    let (fake, hub) = hub();
    fake.deny("events");
    deploy(&fake, &json!({ "state": { "waiting": { "reason": "InvalidImageName", "message": "bad" } } }));
    let settled = timeout(SOON, hub.settle_telling(&[web(&hub).await], |_| ())).await.unwrap();
    assert!(settled.unwrap().unwrap_err().why.contains("InvalidImageName"));
}

/// An API server's discovery with the kind `Widget`, in two versions of one group.
fn discovery() -> axum::Router {
    let versions = ["v1", "v1beta1"];
    let group_versions =
        versions.map(|version| json!({ "groupVersion": format!("x.test/{version}"), "version": version }));
    let group = json!({ "name": "x.test", "versions": group_versions, "preferredVersion": group_versions[0] });
    let groups = json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [group] });
    let app = axum::Router::new().route("/apis", get(async move || axum::Json(groups)));
    versions.into_iter().fold(app, |app, version| {
        let kind = json!({ "name": "widgets", "singularName": "", "namespaced": true, "kind": "Widget", "verbs": ["list"] });
        let list = json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("x.test/{version}"), "resources": [kind]
        });
        app.route(&format!("/apis/x.test/{version}"), get(async move || axum::Json(list)))
    })
}

#[tokio::test]
async fn a_kind_in_a_version_that_is_not_served_is_not_unknown() {
    let server = server::Server::start(discovery());
    let hub = Hub::new(server.client());
    assert_eq!(hub.resource("x.test/v1beta1/Widget").await.unwrap().resource.version, "v1beta1");
    let error = hub.resource("x.test/v9/Widget").await.unwrap_err();
    assert!(matches!(error, WatchError::Otherwise { .. }));
    let words = "the cluster does not serve the kind x.test/v9/Widget as it is written; \
                 it serves x.test/v1/Widget, x.test/v1beta1/Widget";
    assert_eq!(error.to_string(), words);
    for unknown in ["x.test/v9/Gadget", "x.test/v1/Gadget", "y.test/v1/Widget"] {
        assert!(matches!(hub.resource(unknown).await, Err(WatchError::Unknown { .. })), "{unknown}");
    }
}
