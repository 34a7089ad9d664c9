//! What a rehearsal costs: how soon it answers, how soon a large list is there, what memory and processor time it takes.
//! It needs no cluster and no engine.
//!
//! - Purpose: the promises about the cost of a rehearsal, each with its figure, and whether it is kept.
//! - Why the client is measured as well: both are in this process, and its share must be known to tell the server's.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set ends the benchmark")]
#![expect(clippy::disallowed_methods, reason = "the client is one of its own")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use seaworthy::rehearsal::Rehearsal;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;

#[path = "../rehearsal/client.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use the rest of it")]
mod client;

use client::{Client, deployment};

/// How many objects the large list has.
const OBJECTS: usize = 10_000;

/// How many pods are watched, and how many Deployments there are.
const PODS: usize = 1_000;

/// One connection that is kept.
struct Line(SendRequest<Full<Bytes>>, String);

impl Line {
    async fn to(client: &Client) -> Self {
        let stream = client.dial().await;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        drop(tokio::spawn(connection));
        Self(sender, format!("Bearer {}", client.token))
    }

    async fn ask(&mut self, method: &str, path: &str, body: Vec<u8>) -> hyper::Response<Incoming> {
        self.0.ready().await.unwrap();
        let request = Request::builder().method(method).uri(path).header("host", "rehearsal");
        let request = request.header("authorization", &self.1).header("content-type", "application/json");
        let answer = self.0.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
        answer
    }

    /// How many bytes are answered.
    async fn size(&mut self, path: &str) -> usize {
        let mut answer = self.ask("GET", path, Vec::new()).await;
        let mut size = 0;
        while let Some(frame) = answer.frame().await {
            size += frame.unwrap().data_ref().map_or(0, Bytes::len);
        }
        size
    }

    async fn make(&mut self, path: &str, object: &Value) {
        self.ask("POST", path, object.to_string().into_bytes()).await.collect().await.unwrap();
    }
}

/// Resident memory of this process in MB (10⁶ bytes).
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().unwrap_or(f64::NAN);
    kib * 1024.0 / 1e6
}

/// Processor time of this process so far.
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Figures with their promises, and whether all are kept.
struct Book(bool);

impl Book {
    fn promise(&mut self, what: &str, figure: f64, below: f64, unit: &str) {
        let kept = figure < below;
        self.0 &= kept;
        println!(
            "{}  {what}: {figure:.2} {unit}, promised < {below:.0} {unit}",
            if kept { "KEPT    " } else { "NOT KEPT" }
        );
    }

    fn told(what: &str, figure: &str) {
        println!("          {what}: {figure}");
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let mut book = Book(true);
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot measure: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        start(&mut book).await;
        let rehearsal = Rehearsal::begin(1).await.unwrap();
        let client = Client::of(&rehearsal);
        list(&mut book, &client).await;
        memory(&mut book, &client).await;
        drop(rehearsal);
        processor(&mut book).await;
    });
    if book.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// From its beginning to its first list, over a connection of its own.
async fn start(book: &mut Book) {
    let mut figures = Vec::new();
    for seed in 0..7 {
        let begun = Instant::now();
        let rehearsal = Rehearsal::begin(seed).await.unwrap();
        let mut line = Line::to(&Client::of(&rehearsal)).await;
        line.size("/api/v1/namespaces").await;
        figures.push(milliseconds(begun));
    }
    book.promise("a rehearsal begins and answers a list", median(figures), 100.0, "ms");
}

fn small(at: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": format!("settings-{at:05}"), "labels": { "app": format!("app-{}", at % 100), "tier": "data" } },
        "data": { "settings.yaml": format!("port: {at}\nlevel: info\nnames: [one, two, three]\n"), "mode": "fast" },
    })
}

/// A list of all objects, its bytes received over TLS.
async fn list(book: &mut Book, client: &Client) {
    const MAPS: &str = "/api/v1/namespaces/default/configmaps";
    let mut line = Line::to(client).await;
    let (begun, before) = (Instant::now(), resident());
    for at in 0..OBJECTS {
        line.make(MAPS, &small(at)).await;
    }
    Book::told("creating each of 10,000 objects", &format!("{:.3} ms", milliseconds(begun) / 1e4));
    Book::told("memory they take", &format!("{:.1} MB", resident() - before));
    let mut figures = Vec::new();
    let mut size = 0;
    for _ in 0..7 {
        let begun = Instant::now();
        size = line.size(MAPS).await;
        figures.push(milliseconds(begun));
    }
    let figure = median(figures);
    let what =
        format!("a list of 10,000 objects, {:.1} MB over TLS", f64::from(u32::try_from(size).unwrap_or(0)) / 1e6);
    book.promise(&what, figure, 200.0, "ms");
}

/// Pods of Deployments beside all those objects: watched by one watch, then by one each.
async fn memory(book: &mut Book, client: &Client) {
    let mut line = Line::to(client).await;
    for at in 0..10 {
        line.make("/apis/apps/v1/namespaces/default/deployments", &deployment(&format!("web-{at}"), PODS / 10)).await;
    }
    let mut watch = Line::to(client).await.ask("GET", "/api/v1/pods?watch=1", Vec::new()).await;
    let reading = tokio::spawn(async move { while watch.frame().await.is_some_and(|frame| frame.is_ok()) {} });
    ready(&mut line, 10, Duration::from_secs(60)).await;
    book.promise("10,000 objects and one watch of 1,000 pods, with its client", resident(), 150.0, "MB");
    let before = resident();
    let watches = watches(client).await;
    let with_all = resident();
    Book::told("what 1,000 watches with their clients add", &format!("{:.1} MB", with_all - before));
    book.promise("10,000 objects and 1,000 watches, one of each pod, with their clients", with_all, 150.0, "MB");
    drop(watches);
    reading.abort();
}

/// One watch of each pod; its first event was read.
async fn watches(client: &Client) -> Vec<TlsStream<TcpStream>> {
    let mut line = Line::to(client).await;
    let list = line.ask("GET", "/api/v1/namespaces/default/pods?limit=2000", Vec::new()).await;
    let list: Value = serde_json::from_slice(&list.collect().await.unwrap().to_bytes()).unwrap();
    let names: Vec<String> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned()))
        .collect();
    drop(list);
    assert_eq!(names.len(), PODS, "pods");
    let mut buffer = vec![0; 64 << 10];
    let mut all = Vec::new();
    for name in names {
        let path = format!("/api/v1/namespaces/default/pods?watch=1&fieldSelector=metadata.name%3D{name}");
        let mut watch = client.watch(&path).await;
        let mut read = 0;
        while !buffer[..read].ends_with(b"}\n\r\n") {
            read += watch.read(&mut buffer[read..]).await.unwrap();
        }
        all.push(watch);
    }
    all
}

/// Waits until so many Deployments have all their pods available.
async fn ready(line: &mut Line, count: usize, within: Duration) {
    let begun = Instant::now();
    loop {
        let list = line.ask("GET", "/apis/apps/v1/namespaces/default/deployments", Vec::new()).await;
        let list: Value = serde_json::from_slice(&list.collect().await.unwrap().to_bytes()).unwrap();
        let is_ready = |one: &&Value| one["status"]["availableReplicas"] == one["spec"]["replicas"];
        let ready = list["items"].as_array().unwrap().iter().filter(is_ready).count();
        if ready == count {
            return;
        }
        assert!(begun.elapsed() < within, "{ready} of {count} Deployments are available");
        sleep(Duration::from_secs(1)).await;
    }
}

/// Processor time of a whole life of 1,000 Deployments of one pod each.
async fn processor(book: &mut Book) {
    let rehearsal = Rehearsal::begin(2).await.unwrap();
    let mut line = Line::to(&Client::of(&rehearsal)).await;
    let (begun, before) = (Instant::now(), spent());
    for at in 0..PODS {
        line.make("/apis/apps/v1/namespaces/default/deployments", &deployment(&format!("web-{at}"), 1)).await;
    }
    let made = spent() - before;
    ready(&mut line, PODS, Duration::from_secs(120)).await;
    let all = spent() - before;
    let each = |time: Duration| time.as_secs_f64() * 1e3 / 1e3;
    Book::told("processor time for each of 1,000 Deployments, created", &format!("{:.2} ms", each(made)));
    Book::told(
        "… and until its pod is available",
        &format!("{:.2} ms, in {:.1} s", each(all), begun.elapsed().as_secs_f64()),
    );
    checks(book, &rehearsal).await;
}

/// What the program itself spends on a check of each of these Deployments, as a process of its own: all that it does, its
/// beginning and its reports among it.
async fn checks(book: &mut Book, rehearsal: &Rehearsal) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let suites = at("suites");
    std::fs::create_dir(&suites).unwrap();
    let claims = (0..PODS).map(|at| {
        let probe = format!("{{ workload: {{ kind: Deployment, name: web-{at} }} }}");
        format!("      web-{at}-is-ready: {{ requirements: [X-1], probe: {probe}, within: 2m }}\n")
    });
    let suite = format!(
        "version: 1\nsuite: crowd\ntitle: Every one of a thousand Deployments is ready\ncomponents:\n  all:\n    \
         namespace: default\n    install: {{ provided: {{ by: the benchmark }} }}\n    checks:\n{}",
        claims.collect::<String>()
    );
    std::fs::write(folder.path().join("suites/crowd.yaml"), suite).unwrap();
    let mut figures = Vec::new();
    for _ in 0..5 {
        let mut run = tokio::process::Command::new(env!("CARGO_BIN_EXE_seaworthy"));
        run.args(["--suites", &suites, "suite", "crowd", "-q", "--installed", "--context", "rehearsal"]);
        run.args(["--yes-this-cluster", "rehearsal", "--out", &at("out"), "--transcript", &at("run.jsonl")]);
        let ended = run.arg("--kubeconfig").arg(rehearsal.kubeconfig()).output().await.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        let transcript = std::fs::read_to_string(at("run.jsonl")).unwrap();
        let last: Value = serde_json::from_str(transcript.lines().last().unwrap()).unwrap();
        figures.push(last["cost"]["cpu_ms"].as_f64().unwrap() / 1e3);
    }
    book.promise(
        "processor time of the program for each of 1,000 checks on 1,000 workloads",
        median(figures),
        2.0,
        "ms",
    );
}
