//! Container logs from an API server on loopback that drops, refuses, is away, and says too much.
#![expect(clippy::unwrap_used, reason = "a stage that cannot be set is a failed test")]

mod fake;
#[path = "../fake/mod.rs"]
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fake::{Fake, Stream};
use seaworthy::logs::LogKeeper;
use seaworthy::secrets::Secrets;
use seaworthy::watch::Hub;
use serde_json::{Value, json};

struct Scene {
    fake: Fake,
    folder: tempfile::TempDir,
    secrets: Secrets,
    keeper: LogKeeper,
}

impl Scene {
    fn new(streams: impl IntoIterator<Item = Stream>) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (fake, folder) = (Fake::start(streams), tempfile::tempdir().unwrap());
        let secrets = Secrets::default();
        let keeper = LogKeeper::new(Hub::new(fake.client()), folder.path().to_owned(), secrets.clone());
        Self { fake, folder, secrets, keeper }
    }

    /// Follows pod `p` until its log has ended: the files' names with their texts, and whether all is whole.
    async fn heard(&self) -> (Vec<(String, String)>, bool) {
        self.heard_all(1).await
    }

    /// The same of so many logs.
    async fn heard_all(&self, logs: usize) -> (Vec<(String, String)>, bool) {
        self.keeper.follow("ns");
        self.fake.asked(1).await;
        let heard = within(self.keeper.ended("p", "u", logs)).await;
        let name = |path: &Path| path.strip_prefix(self.folder.path()).unwrap().display().to_string();
        let file = |path: &PathBuf| (name(path), std::fs::read_to_string(path).unwrap());
        (heard.files.iter().map(file).collect(), heard.cut.is_empty())
    }
}

async fn within<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("within 20 s")
}

fn container(name: &str, restarts: i32, state: &Value, last: &Value) -> Value {
    json!({ "name": name, "ready": false, "image": "i", "imageID": "", "restartCount": restarts, "state": state,
            "lastState": last })
}

fn pod(containers: &[Value]) -> Value {
    json!({ "metadata": { "name": "p", "namespace": "ns", "uid": "u" },
            "status": { "containerStatuses": containers } })
}

fn over() -> Value {
    json!({ "terminated": { "exitCode": 0, "containerID": "x" } })
}

fn ended() -> Value {
    pod(&[container("c", 0, &over(), &json!({}))])
}

/// A log of so many lines, twenty a second.
fn log(lines: usize) -> String {
    let line = |n: usize| format!("2026-01-02T03:{:02}:{:02}.{:02}Z line {n}\n", n / 1200, n / 20 % 60, n % 20 * 5);
    (0..lines).map(line).collect()
}

fn only(text: String) -> (Vec<(String, String)>, bool) {
    (vec![("ns/p/c.0.log".to_owned(), text)], true)
}

#[tokio::test]
async fn wherever_a_stream_drops_every_line_is_kept_once() {
    let whole = log(60);
    for cut in [0, 1, 40, 41, 700, 1200, whole.len() - 1, whole.len()] {
        for stream in [Stream::dropped(cut), Stream::closed(cut)] {
            let scene = Scene::new([stream]);
            scene.fake.log(&whole);
            scene.fake.pod(Some(ended()));
            assert_eq!(scene.heard().await, only(whole.clone()), "cut at byte {cut}");
        }
    }
}

#[tokio::test]
async fn a_container_that_still_starts_or_a_server_that_fails_is_asked_again() {
    let scene = Scene::new([Stream::refused(400), Stream::refused(500), Stream::refused(503)]);
    scene.fake.log(&log(3));
    scene.fake.pod(Some(ended()));
    assert_eq!(scene.heard().await, only(log(3)));
}

#[tokio::test]
async fn what_a_kubelet_says_in_place_of_a_log_is_no_log() {
    let scene = Scene::new([]);
    scene.fake.log("unable to retrieve container logs for containerd://0123");
    scene.fake.pod(Some(ended()));
    assert_eq!(scene.heard().await, (vec![("ns/p/c.0.log".to_owned(), String::new())], false));
}

#[tokio::test]
async fn an_api_server_that_is_away_for_seconds_costs_no_line() {
    let mut scene = Scene::new([Stream::held(log(10).len())]);
    scene.fake.log(&log(30));
    scene.fake.pod(Some(ended()));
    scene.keeper.follow("ns");
    scene.fake.asked(1).await;
    scene.fake.stop();
    tokio::time::sleep(Duration::from_secs(4)).await;
    scene.fake.restart();
    assert_eq!(scene.heard().await, only(log(30)));
}

#[tokio::test]
async fn a_log_that_ended_before_its_pod_went_is_whole_and_one_that_was_dropped_is_not() {
    for (stream, whole) in [(Stream::last(log(9).len()), true), (Stream::last(log(9).len() - 3), false)] {
        let scene = Scene::new([stream]);
        scene.fake.log(&log(9));
        scene.fake.pod(Some(ended()));
        let (files, is_whole) = scene.heard().await;
        assert_eq!(is_whole, whole);
        assert!(files[0].1.starts_with(&log(8)), "{files:?}");
    }
}

#[tokio::test]
async fn init_containers_and_earlier_instances_have_files_of_their_own() {
    let scene = Scene::new([]);
    scene.fake.log(&log(2));
    let mut pod = pod(&[container("c", 1, &over(), &over())]);
    pod["status"]["initContainerStatuses"] = json!([container("init", 0, &over(), &json!({}))]);
    scene.fake.pod(Some(pod));
    let names: Vec<String> = scene.heard_all(3).await.0.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["ns/p/c.0.log", "ns/p/c.1.log", "ns/p/init.0.log"]);
}

#[tokio::test]
async fn a_secret_that_is_learnt_while_a_log_runs_is_masked_from_then_on() {
    let scene = Scene::new([Stream::held(log(1).len())]);
    scene.fake.log(&format!("{}2026-01-02T04:00:00Z password hunter2hunter2\n", log(1)));
    scene.fake.pod(Some(ended()));
    scene.keeper.follow("ns");
    scene.fake.asked(1).await;
    scene.secrets.learn("hunter2hunter2");
    scene.fake.release();
    let text = format!("{}2026-01-02T04:00:00Z password <sensitive>\n", log(1));
    assert_eq!(scene.heard().await, only(text));
}

#[tokio::test]
async fn many_containers_that_run_are_heard_through_a_bounded_number_of_streams_and_hold_up_none_that_has_ended() {
    let scene = Scene::new((0..300).map(|_| Stream::held(0)));
    scene.fake.log(&log(1));
    let all = |state: &Value| -> Vec<Value> {
        let running = (0..299).map(|n| container(&format!("c{n}"), 0, state, &json!({})));
        running.chain([container("ended", 0, &over(), &json!({}))]).collect()
    };
    scene.fake.pod(Some(pod(&all(&json!({ "running": {} })))));
    scene.keeper.follow("ns");
    within(scene.fake.asked(257)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(scene.fake.streams(), 257);
    scene.fake.pod(Some(pod(&all(&over()))));
    scene.fake.release();
    let (files, whole) = scene.heard_all(300).await;
    assert!(whole && files.len() == 300 && files.iter().all(|(_, text)| *text == log(1)));
}
