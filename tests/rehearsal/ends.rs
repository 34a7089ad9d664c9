//! What a rehearsal keeps to itself, and what is left of it.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, PostParams, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use seaworthy::rehearsal::Rehearsal;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::client::{Client, SOON, rest};

async fn kube_client(rehearsal: &Rehearsal) -> kube::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let read = Kubeconfig::read_from(rehearsal.kubeconfig()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

async fn running_pod(pods: &Api<Pod>, name: &str) {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name },
        "spec": { "containers": [{ "name": "main", "image": "web:1", "ports": [{ "containerPort": 8080 }] }] },
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let is_running = async || pods.get_status(name).await.unwrap().status.unwrap().phase.as_deref() == Some("Running");
    for _ in 0..250 {
        if is_running().await {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{name} should run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_rehearsal_leaves_no_port_no_stream_and_no_folder() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let (raw, client, file) = (Client::of(&rehearsal), kube_client(&rehearsal).await, rehearsal.kubeconfig());
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    running_pod(&pods, "web").await;
    let mut tunnel = pods.portforward("web", &[8080]).await.unwrap();
    let mut stream = tunnel.take_stream(8080).unwrap();
    let mut watch = raw.watch("/api/v1/pods?watch=1").await;
    let mut idle = raw.dial().await;
    drop(rehearsal);
    rest(&mut watch, SOON).await;
    rest(&mut idle, SOON).await;
    let mut bytes = Vec::new();
    timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("a forwarded port should be closed").ok();
    let closed = async {
        while TcpStream::connect(raw.address).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, closed).await.expect("the port should be closed");
    assert!(!file.parent().unwrap().exists(), "{} should be gone", file.display());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_rehearsals_do_not_see_each_other() {
    let (one, other) = (Rehearsal::begin(1).await.unwrap(), Rehearsal::begin(1).await.unwrap());
    let (one, mut other) = ((Client::of(&one), one), (Client::of(&other), other));
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "mine" } });
    assert_eq!(one.0.send("POST /api/v1/namespaces", &namespace).await.code, 201);
    assert_eq!(one.0.get("/api/v1/namespaces/mine").await.code, 200);
    assert_eq!(other.0.get("/api/v1/namespaces/mine").await.code, 404);
    assert_ne!(one.1.kubeconfig(), other.1.kubeconfig());
    other.0.token.clone_from(&one.0.token);
    assert_eq!(other.0.get("/api/v1/namespaces").await.code, 401, "the token of one is none at the other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_loopback_is_listened_at() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let client = Client::of(&rehearsal);
    assert!(rehearsal.address().starts_with("https://127.0.0.1:"), "{}", rehearsal.address());
    // Whoever listens at every address listens at this one as well.
    for elsewhere in ["127.0.0.2", "::1"] {
        assert!(TcpStream::connect((elsewhere, client.address.port())).await.is_err(), "{elsewhere}");
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_token_is_in_no_log_and_no_debug_output() {
    let heard = Heard::default();
    // Where a process has one subscriber, `tracing` asks that of the thread that comes by a callsite first, and keeps its answer
    // for all: another test's thread, which has none, would switch this one's log off. Where there are two, it asks them both.
    let _second = tracing_subscriber::registry().set_default();
    let writer = heard.clone();
    let logs = tracing_subscriber::fmt().with_env_filter("trace").with_writer(move || writer.clone());
    let _guard = logs.set_default();
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let token = Client::of(&rehearsal).token;
    let namespaces: Api<Namespace> = Api::all(kube_client(&rehearsal).await);
    namespaces.get("default").await.unwrap();
    let mut watch = namespaces.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    watch.next().await.unwrap().unwrap();
    let logged = String::from_utf8(heard.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("namespaces"), "something should be logged");
    assert!(!logged.contains(&token), "the token is logged");
    let folder = rehearsal.kubeconfig();
    let shown = format!("{rehearsal:?} {rehearsal:#?}");
    assert!(shown.contains("127.0.0.1") && !shown.contains(&token), "{shown}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o077, 0, "for its user's eyes only");
}
