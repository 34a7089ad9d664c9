//! Many clients, and slow ones: none keeps another waiting.

use std::time::{Duration, Instant};

use futures::future::join_all;
use seaworthy::rehearsal::Rehearsal;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::client::{Client, SOON, available, config_map, deployment, rest};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// The longest that a request may take while others misbehave.
const BOUND: Duration = Duration::from_secs(10);

/// A client reads and writes, each request within the bound.
async fn is_served(client: &Client) {
    for at in 0..5 {
        let begun = Instant::now();
        assert_eq!(client.get("/api/v1/namespaces/default").await.code, 200);
        let made = client.send(&format!("POST {MAPS}"), &config_map(&format!("served-{at}"), 64, at)).await;
        assert_eq!(made.code, 201, "{}", made.object());
        assert!(begun.elapsed() < BOUND, "a request took {:?}", begun.elapsed());
    }
}

/// Writes so many versions of one object of 1 MB.
async fn churn(client: &Client, versions: usize) {
    client.send(&format!("POST {MAPS}"), &config_map("big", 8, 0)).await;
    for version in 0..versions {
        let put = client.send(&format!("PUT {MAPS}/big"), &config_map("big", 1_000_000, version)).await;
        assert_eq!(put.code, 200, "{}", put.object());
    }
}

async fn version(client: &Client) -> String {
    let list = client.get(MAPS).await.object();
    list["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_half_said_connections_keep_nobody_waiting() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let client = Client::of(&rehearsal);
    let _idle = join_all((0..200).map(|_| client.dial())).await;
    let mut half = Vec::new();
    for said in ["GET /api HT", "POST /api/v1/namespaces/default/pods HTTP/1.1\r\nContent-Le"] {
        let mut stream = client.dial().await;
        stream.write_all(said.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        half.push(stream);
    }
    let mut stream = client.dial().await;
    let head = client.head(&format!("POST {MAPS}"), "Content-Type: application/json\r\nContent-Length: 500\r\n");
    stream.write_all(format!("{head}{{\"kind\":").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    half.push(stream);
    // A handshake that is never ended.
    let mut silent = tokio::net::TcpStream::connect(client.address).await.unwrap();
    silent.write_all(&[22, 3, 1]).await.unwrap();
    is_served(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_nobody_reads_keep_nobody_waiting() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let client = Client::of(&rehearsal);
    let path = format!("{MAPS}?watch=1");
    let _watches = join_all((0..100).map(|_| client.watch(&path))).await;
    churn(&client, 4).await;
    is_served(&client).await;
    client.send("POST /apis/apps/v1/namespaces/default/deployments", &deployment("web", 2)).await;
    available(&client, "web").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_nobody_reads_keep_nobody_waiting() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let client = Client::of(&rehearsal);
    for at in 0..8 {
        client.send(&format!("POST {MAPS}"), &config_map(&format!("big-{at}"), 1_000_000, at)).await;
    }
    let mut lists = Vec::new();
    for _ in 0..10 {
        lists.push(client.watch(MAPS).await);
    }
    is_served(&client).await;
    let whole = rest(&mut lists[0], SOON).await;
    assert!(whole.len() > 8_000_000, "whoever reads late gets all of it: {}", whole.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_is_read_late_gets_no_more_than_is_remembered() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let client = Client::of(&rehearsal);
    let mut slow = client.watch(&format!("{MAPS}?watch=1&resourceVersion={}", version(&client).await)).await;
    churn(&client, 60).await;
    let read = rest(&mut slow, SOON).await;
    // What the system holds of a connection and what is remembered of a collection; 60 MB were written.
    assert!(read.len() < 24_000_000, "{} bytes were kept for it", read.len());
    let text = String::from_utf8_lossy(&read);
    let last = text.lines().rfind(|line| line.starts_with("{\"type\"")).unwrap();
    assert!(last.contains("\"type\":\"ERROR\"") && last.contains("\"code\":410"), "{}", &last[..last.len().min(300)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_of_a_version_that_is_forgotten_has_expired() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let client = Client::of(&rehearsal);
    let old = version(&client).await;
    churn(&client, 12).await;
    let mut watch = client.watch(&format!("{MAPS}?watch=1&resourceVersion={old}")).await;
    let text = String::from_utf8(rest(&mut watch, SOON).await).unwrap();
    let event: Value = serde_json::from_str(text.lines().find(|line| line.starts_with('{')).unwrap()).unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!((&event["object"]["code"], &event["object"]["reason"]), (&410.into(), &"Expired".into()));
    assert!(text.trim_end().ends_with('0'), "the stream ends as it should: {text}");
}
