//! Requests put together by chance, the same each time: whatever is asked, no task panics and the cluster lives on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use seaworthy::rehearsal::Rehearsal;
use tokio::time::timeout;

use super::client::{Client, SOON, available, deployment};

/// How many panics there were on threads of a runtime: the tests themselves are on others.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// How many requests are made.
const REQUESTS: usize = 2_500;

/// From which chance begins.
const SEED: u64 = 7;

/// Numbers that are the same for the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn number(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 8).unwrap() % below
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.number(of.len())]
    }

    fn path(&mut self, method: &str) -> String {
        let kind = self.one(&KINDS);
        let namespace =
            self.one(&["", "", "/namespaces/default", "/namespaces/default", "/namespaces/ghost", "/namespaces/%00"]);
        let (group, plural) = kind.rsplit_once('/').unwrap();
        let name = match (method, self.number(12)) {
            (_, 0) => self.one(&["", "/default", "/%2f", "/a%ffb"]),
            ("POST", 1..=9) => "",
            _ => self.one(&["/a", "/a", "/b", "/c"]),
        };
        let part = if name.is_empty() {
            ""
        } else {
            self.one(&["", "", "", "/status", "/scale", "/log", "/eviction", "/exec", "/finalize", "/token", "/ghost"])
        };
        match self.number(30) {
            0 => self
                .one(&[
                    "/",
                    "/api",
                    "/apis",
                    "/openapi/v3",
                    "/openapi/v2",
                    "/apis/apps",
                    "/api/v1/",
                    "/%",
                    "/version/x",
                    "/openapi/v3/apis/apps/v1",
                ])
                .to_owned(),
            _ => format!("{group}{namespace}/{plural}{name}{part}"),
        }
    }

    fn query(&mut self) -> String {
        let mut all = Vec::new();
        for _ in 0..self.number(6).saturating_sub(2) {
            let name = self.one(&NAMES);
            let value = self.one(&VALUES);
            all.push(format!("{name}={value}"));
        }
        all.join("&")
    }

    /// A value of any shape.
    fn value(&mut self, depth: usize) -> String {
        match self.number(if depth == 0 { 7 } else { 12 }) {
            0 => "null".to_owned(),
            1 => "true".to_owned(),
            2 => self.one(&["0", "-1", "7", "1e400", "99999999999999999999", "2147483648", "0.5"]).to_owned(),
            3..=6 => format!("\"{}\"", self.one(&TEXTS)),
            7..=8 => format!("[{}]", (0..self.number(3)).map(|_| self.value(depth - 1)).collect::<Vec<_>>().join(",")),
            _ => {
                let fields =
                    (0..self.number(5)).map(|_| format!("\"{}\":{}", self.one(&FIELDS), self.value(depth - 1)));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
        }
    }

    /// An object that is nearly one: right but for one or two of its fields.
    fn object(&mut self, kind: &str, api_version: &str) -> String {
        let mut object = serde_json::json!({
            "kind": kind,
            "apiVersion": api_version,
            "metadata": { "name": self.one(&["a", "b", "c"]), "labels": { "app": "a" } },
            "spec": {
                "replicas": 1,
                "selector": { "matchLabels": { "app": "a" } },
                "serviceName": "a",
                "ports": [{ "port": 80, "name": "web" }],
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "1Gi" } },
                "schedule": "* * * * *",
                "minAvailable": 1,
                "template": { "metadata": { "labels": { "app": "a" } }, "spec": { "containers": [{ "name": "x", "image": "web:1" }] } },
                "containers": [{ "name": "x", "image": "web:1", "command": ["sh", "-c", "echo a"], "env": [{ "name": "A", "value": "b" }] }],
            },
        });
        for _ in 0..self.number(3) {
            let at = self.one(&POINTERS);
            let value = serde_json::from_str(&self.value(2)).unwrap_or_default();
            if let Some(found) = object.pointer_mut(at) {
                *found = value;
            }
        }
        object.to_string()
    }

    fn body(&mut self, path: &str) -> Vec<u8> {
        let of_path =
            KINDS.iter().position(|kind| path.contains(kind.rsplit('/').next().unwrap_or_default())).unwrap_or(0);
        let (kind, version) = TITLES[of_path];
        match self.number(8) {
            0 => Vec::new(),
            1 => self.value(4).into_bytes(),
            2 => format!(
                "[{{\"op\":\"{}\",\"path\":\"{}\",\"value\":{}}}]",
                self.one(&["add", "remove", "replace", "x"]),
                self.one(&POINTERS),
                self.value(2)
            )
            .into_bytes(),
            3 => (0..self.number(64)).map(|_| u8::try_from(self.number(256)).unwrap()).collect(),
            _ => self.object(kind, version).into_bytes(),
        }
    }

    fn request(&mut self, token: &str) -> Request<Full<Bytes>> {
        let method = self.one(&[
            "GET", "GET", "POST", "POST", "POST", "PUT", "PUT", "PATCH", "PATCH", "PATCH", "DELETE", "HEAD", "OPTIONS",
        ]);
        let (path, query) = (self.path(method), self.query());
        let body = if matches!(method, "GET" | "HEAD") { Vec::new() } else { self.body(&path) };
        Request::builder()
            .method(method)
            .uri(format!("{path}?{query}"))
            .header("host", "rehearsal")
            .header("authorization", format!("Bearer {token}"))
            .header("accept", self.one(&ACCEPTED))
            .header("content-type", if method == "PATCH" { self.one(&PATCHES) } else { self.one(&BODIES) })
            .body(Full::new(body.into()))
            .unwrap()
    }
}

const KINDS: [&str; 14] = [
    "/api/v1/pods",
    "/api/v1/services",
    "/api/v1/configmaps",
    "/api/v1/secrets",
    "/api/v1/namespaces",
    "/api/v1/persistentvolumeclaims",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/daemonsets",
    "/apis/batch/v1/jobs",
    "/apis/batch/v1/cronjobs",
    "/apis/policy/v1/poddisruptionbudgets",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/apps/v1/replicasets",
];
const TITLES: [(&str, &str); 14] = [
    ("Pod", "v1"),
    ("Service", "v1"),
    ("ConfigMap", "v1"),
    ("Secret", "v1"),
    ("Namespace", "v1"),
    ("PersistentVolumeClaim", "v1"),
    ("Deployment", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("DaemonSet", "apps/v1"),
    ("Job", "batch/v1"),
    ("CronJob", "batch/v1"),
    ("PodDisruptionBudget", "policy/v1"),
    ("CustomResourceDefinition", "apiextensions.k8s.io/v1"),
    ("ReplicaSet", "apps/v1"),
];
const NAMES: [&str; 18] = [
    "watch",
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "resourceVersion",
    "timeoutSeconds",
    "fieldManager",
    "force",
    "dryRun",
    "fieldValidation",
    "propagationPolicy",
    "gracePeriodSeconds",
    "sendInitialEvents",
    "tailLines",
    "sinceSeconds",
    "limitBytes",
    "container",
];
const VALUES: [&str; 16] = [
    "",
    "1",
    "0",
    "-1",
    "true",
    "a",
    "a%3Db",
    "a%20in%20(b,c)",
    "%ff",
    "99999999999999999999",
    "9223372036854775807",
    "All",
    "Strict",
    "Foreground",
    "metadata.name%3Da",
    "-9223372036854775808",
];
const TEXTS: [&str; 10] = ["", "a", "default", "1", "1Gi", "\\u0000", "\\ud83d\\ude00", "../x", "* * * * *", "25%"];
const FIELDS: [&str; 14] = [
    "kind",
    "apiVersion",
    "metadata",
    "spec",
    "status",
    "name",
    "namespace",
    "labels",
    "replicas",
    "containers",
    "ports",
    "data",
    "finalizers",
    "$patch",
];
const POINTERS: [&str; 25] = [
    "",
    "/kind",
    "/metadata",
    "/metadata/name",
    "/metadata/labels",
    "/metadata/labels/app",
    "/spec",
    "/spec/replicas",
    "/spec/selector",
    "/spec/selector/matchLabels",
    "/spec/ports",
    "/spec/ports/0",
    "/spec/ports/0/port",
    "/spec/accessModes",
    "/spec/resources",
    "/spec/schedule",
    "/spec/minAvailable",
    "/spec/template",
    "/spec/template/metadata",
    "/spec/template/spec",
    "/spec/template/spec/containers",
    "/spec/containers",
    "/spec/containers/0",
    "/spec/containers/0/command",
    "/spec/containers/0/env/0",
];
const ACCEPTED: [&str; 5] = [
    "",
    "*/*",
    "application/json",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
];
const PATCHES: [&str; 5] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "text/plain",
];
const BODIES: [&str; 5] = [
    "application/json",
    "application/json",
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

async fn connected(client: &Client) -> SendRequest<Full<Bytes>> {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client.dial().await)).await.unwrap();
    drop(tokio::spawn(connection));
    sender
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_makes_a_task_panic() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name().is_some_and(|name| name.starts_with("tokio")) {
            PANICS.fetch_add(1, Ordering::Relaxed);
        }
        told(panic);
    }));
    let rehearsal = Rehearsal::begin(SEED).await.unwrap();
    let client = Client::of(&rehearsal);
    let mut chance = Chance(SEED);
    let mut done = 0;
    let mut sender = connected(&client).await;
    for at in 0..REQUESTS {
        let request = chance.request(&client.token);
        let what =
            format!("request {at}: {} {} {:?}", request.method(), request.uri(), request.headers().get("content-type"));
        let body = request.body().clone().collect().await.unwrap().to_bytes();
        let before = PANICS.load(Ordering::Relaxed);
        let answer =
            timeout(SOON, sender.send_request(request)).await.unwrap_or_else(|_| panic!("no answer to {what}"));
        let text = String::from_utf8_lossy(&body);
        assert_eq!(PANICS.load(Ordering::Relaxed), before, "{what}\n{text}");
        let answer = answer.unwrap_or_else(|error| panic!("{error}: {what}\n{text}"));
        assert!(answer.status().as_u16() != 500 || text.contains("$patch") || what.contains("PATCH"), "{what}\n{text}");
        done += usize::from(answer.status().is_success());
        // What goes on for as long as it is read is left.
        let ends = answer.headers().contains_key("content-length");
        let all = answer.into_body().collect();
        let is_read = ends && timeout(SOON, all).await.expect("an answer should end").is_ok();
        if !is_read || sender.ready().await.is_err() {
            sender = connected(&client).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    client.send("POST /apis/apps/v1/namespaces/default/deployments", &deployment("alive", 1)).await;
    available(&client, "alive").await;
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "tasks that panicked");
    assert!(done > REQUESTS / 50, "{done} requests did something: the others prove less");
}
