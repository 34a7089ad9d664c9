//! What a scenario acts in: one cluster, a namespace of its own, and a sheet for what can be seen.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::words::Words;

/// The media type of a server-side apply.
pub(crate) const APPLY: &str = "application/apply-patch+yaml";
/// The media type of a merge patch.
pub(crate) const MERGE: &str = "application/merge-patch+json";
/// The media type of a strategic merge patch.
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// The media type of a JSON patch.
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
/// An image that the lab's cluster has; a rehearsal takes any.
pub(crate) const IMAGE: &str = "seaworthy-lab/busybox:1.35";

/// Keeps the namespaces of one process apart.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A cluster, as its clients reach it.
#[derive(Clone)]
pub(crate) struct Site {
    /// With all rights.
    pub(crate) client: Client,
    /// With a token that nobody has given out.
    pub(crate) stranger: Client,
    /// Beyond this a scenario has failed.
    pub(crate) patience: Duration,
}

impl Site {
    /// The cluster of a kubeconfig.
    pub(crate) async fn of(kubeconfig: &std::path::Path, patience: Duration) -> Self {
        let read = Kubeconfig::read_from(kubeconfig).unwrap();
        let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
        // A refusal is what is to be seen.
        config.default_retry = false;
        let client = Client::try_from(config.clone()).unwrap();
        config.auth_info = AuthInfo { token: Some("nobody-has-this".to_owned().into()), ..AuthInfo::default() };
        Self { client, stranger: Client::try_from(config).unwrap(), patience }
    }

    /// Whether it may not have compacted its history yet, which API servers do every five minutes
    /// (`--etcd-compaction-interval`).
    pub(crate) async fn is_young(&self) -> bool {
        let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(self.client.clone());
        let born = namespaces.get("kube-system").await.unwrap().metadata.creation_timestamp.unwrap().0;
        jiff::Timestamp::now().duration_since(born) < jiff::SignedDuration::from_mins(11)
    }
}

/// What a scenario acts in.
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) namespace: String,
    words: Words,
    /// The version at which the namespace came to be: all that happens in it comes later.
    birth: String,
    seen: Mutex<Vec<String>>,
    /// What was waited for last, and how that was.
    awaited: Mutex<String>,
}

/// An answer of the API server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    /// The body; `Null` where it is no JSON.
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl World {
    /// A world with a fresh namespace in which pods can be made.
    pub(crate) async fn begin(site: &Site) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("parity-{:x}-{number}", std::process::id());
        let words = Words::new(&namespace);
        let (birth, seen, awaited) = (String::new(), Mutex::default(), Mutex::default());
        let mut world = Self { site: site.clone(), namespace, words, birth, seen, awaited };
        let name = world.namespace.clone();
        let made = world.post("/api/v1/namespaces", namespace_named(&name)).await;
        assert_eq!(made.code, 201, "{}", made.text);
        world.birth = made.version();
        world.until("v1/serviceaccounts", "default", |_| true).await;
        world.until("v1/configmaps", "kube-root-ca.crt", |_| true).await;
        world
    }

    /// Deletes the namespace; what was seen.
    pub(crate) async fn end(self) -> Vec<String> {
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        self.delete(&path, json!({ "propagationPolicy": "Background" })).await;
        self.seen.into_inner().unwrap()
    }

    /// What was waited for last, and how that was.
    pub(crate) fn awaited(&self) -> String {
        self.awaited.lock().unwrap().clone()
    }

    /// Notes a line.
    pub(crate) fn say(&self, line: impl AsRef<str>) {
        let line = self.words.plain(line.as_ref());
        self.seen.lock().unwrap().push(line);
    }

    /// Notes how a request went: its code, and of a refusal the reason and the words.
    pub(crate) fn show(&self, what: &str, answer: &Answer) {
        self.say(format!("{what}: {}", answer.told()));
    }

    /// A path: `v1/pods/x` and `apps/v1/deployments` are in the scenario's namespace, `/…` is meant as it is.
    pub(crate) fn path(&self, short: &str) -> String {
        let namespace = &self.namespace;
        if short.starts_with('/') {
            return short.replace("{ns}", namespace);
        }
        if let Some(rest) = short.strip_prefix("v1/") {
            return format!("/api/v1/namespaces/{namespace}/{rest}");
        }
        let mut parts = short.splitn(3, '/');
        let (group, version, rest) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        format!("/apis/{group}/{version}/namespaces/{namespace}/{rest}")
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Request<Body> {
        let mut request =
            Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(self.path(path));
        request = request.header("user-agent", "parity/1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body)).unwrap()
    }

    /// Sends any request.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        self.send_as(&self.site.client, method, path, headers, body).await
    }

    /// Sends any request as somebody.
    pub(crate) async fn send_as(
        &self,
        client: &Client,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let response = client.send(self.request(method, path, headers, body)).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { code: head.status.as_u16(), headers: head.headers, body, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Vec::new()).await
    }

    /// Gets it in another shape.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send("GET", path, &[("accept", accept)], Vec::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.write("POST", path, "application/json", &body).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.write("PUT", path, "application/json", &body).await
    }

    pub(crate) async fn patch(&self, kind: &str, path: &str, body: Value) -> Answer {
        self.write("PATCH", path, kind, &body).await
    }

    pub(crate) async fn delete(&self, path: &str, options: Value) -> Answer {
        self.write("DELETE", path, "application/json", &options).await
    }

    async fn write(&self, method: &str, path: &str, kind: &str, body: &Value) -> Answer {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.send(method, path, &[("content-type", kind)], body).await
    }

    /// Creates what must be possible to create.
    pub(crate) async fn create(&self, path: &str, body: Value) -> Value {
        let made = self.post(path, body).await;
        assert!(made.code == 201, "{path}: {}", made.text);
        made.body
    }

    /// The events of a watch.
    pub(crate) async fn watch(&self, path: &str) -> BoxStream<'static, Value> {
        let response = self.site.client.send(self.request("GET", path, &[], Vec::new())).await.unwrap();
        lines(response.into_body()).map(|line| serde_json::from_str(&line).unwrap_or_default()).boxed()
    }

    /// The lines of a stream, as they come.
    pub(crate) async fn lines(&self, path: &str) -> BoxStream<'static, String> {
        lines(self.site.client.send(self.request("GET", path, &[], Vec::new())).await.unwrap().into_body())
    }

    /// Waits until the object of this name is as it should be.
    pub(crate) async fn until(&self, collection: &str, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.watched("", collection, name, is).await
    }

    /// Waits until the object of this name was as it should be, however briefly and however late the watch is opened: it
    /// begins where the namespace did.
    pub(crate) async fn once(&self, collection: &str, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.watched(&format!("&resourceVersion={}", self.birth), collection, name, is).await
    }

    async fn watched(&self, since: &str, collection: &str, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let of_name = format!("fieldSelector=metadata.name%3D{name}");
        let mut events = self.watch(&format!("{collection}?watch=1&{of_name}{since}")).await;
        while let Some(event) = events.next().await {
            if event["type"] != "DELETED" && event["type"] != "ERROR" && is(&event["object"]) {
                return event["object"].clone();
            }
            *self.awaited.lock().unwrap() =
                format!("{collection} {name}: {} {}", event["type"], event["object"]["status"]);
            last = event;
        }
        panic!("the watch of {collection} {name} ended; last: {last}");
    }

    /// Waits until no object of this name is there.
    pub(crate) async fn until_gone(&self, collection: &str, name: &str) {
        let selector = format!("fieldSelector=metadata.name%3D{name}");
        let list = self.get(&format!("{collection}?{selector}")).await.body;
        if list["items"].as_array().is_none_or(Vec::is_empty) {
            return;
        }
        *self.awaited.lock().unwrap() = format!("{collection} {name} to go: {}", list["items"][0]["metadata"]);
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let mut events = self.watch(&format!("{collection}?watch=1&{selector}&resourceVersion={version}")).await;
        while let Some(event) = events.next().await {
            if event["type"] == "DELETED" {
                return;
            }
        }
        panic!("the watch of {collection} {name} ended before it was gone");
    }

    /// Notes each new state of an object until one that is the last; deletion is a state, `gone`. None is missed, however
    /// late the watch is opened: it begins where the namespace did.
    pub(crate) async fn states(
        &self,
        collection: &str,
        selector: &str,
        view: impl Fn(&Value) -> String,
        is_last: impl Fn(&Value) -> bool,
    ) -> Value {
        let birth = &self.birth;
        let mut events = self.watch(&format!("{collection}?watch=1&{selector}&resourceVersion={birth}")).await;
        let mut before = String::new();
        while let Some(event) = events.next().await {
            let object = &event["object"];
            let now = if event["type"] == "DELETED" { "gone".to_owned() } else { view(object) };
            if now != before {
                self.say(&now);
                before = now;
            }
            if event["type"] == "DELETED" || is_last(object) {
                return object.clone();
            }
        }
        panic!("the watch of {collection} {selector} ended");
    }
}

impl Answer {
    /// The code, and of a refusal the reason and the words.
    pub(crate) fn told(&self) -> String {
        let text = |field: &str| self.body[field].as_str().unwrap_or_default().to_owned();
        if self.code < 300 {
            return format!("{} {}", self.code, text("kind")).trim_end().to_owned();
        }
        format!("{} {}: {}", self.code, text("reason"), text("message").trim_end())
    }

    /// Reason and code alone.
    pub(crate) fn briefly(&self) -> String {
        format!("{} {}", self.code, self.body["reason"].as_str().unwrap_or_default()).trim_end().to_owned()
    }

    /// What is given as causes of a refusal, in order of their fields.
    pub(crate) fn causes(&self) -> Vec<String> {
        let causes = self.body["details"]["causes"].as_array().into_iter().flatten();
        let mut causes: Vec<String> = causes
            .map(|cause| {
                let part = |field: &str| cause[field].as_str().unwrap_or_default();
                format!("{} {}: {}", part("reason"), part("field"), part("message"))
            })
            .collect();
        causes.sort();
        // Some rules are asked twice.
        causes.dedup();
        causes
    }

    /// The warnings in the header.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let all = self.headers.get_all("warning").iter();
        all.map(|value| value.to_str().unwrap_or_default().to_owned()).collect()
    }

    pub(crate) fn version(&self) -> String {
        self.body["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
    }
}

/// A value as text; the order of fields says nothing.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{}:{}", json!(name), plain(value))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// The lines of a body, as they come; what follows the last line's end is one more.
fn lines(body: Body) -> BoxStream<'static, String> {
    let held = (body, Vec::<u8>::new());
    futures::stream::unfold(Some(held), |held| async {
        let (mut body, mut bytes) = held?;
        loop {
            if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                let rest = bytes.split_off(end + 1);
                let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
                return Some((line, Some((body, rest))));
            }
            match body.frame().await {
                Some(Ok(frame)) => bytes.extend(frame.into_data().unwrap_or_default()),
                Some(Err(_)) | None if bytes.is_empty() => return None,
                Some(Err(_)) | None => return Some((String::from_utf8_lossy(&bytes).into_owned(), None)),
            }
        }
    })
    .boxed()
}

fn namespace_named(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}
