//! For this room's tests: an API server that knows ConfigMaps, Secrets and Namespaces, and a helm that is a shell script.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Installer;
use crate::plan::{ComponentKey, ComponentWork, StepId};
use crate::ports::Notes;
use crate::secrets::Secrets;
use crate::suite::{ChartSource, HelmInstall, Install, SingleValue};

/// Notes, and the end that keeps them heard.
pub(super) fn notes() -> (Notes, mpsc::UnboundedReceiver<(StepId, String)>) {
    let (out, heard) = mpsc::unbounded_channel();
    (Notes::new(StepId::cluster(), out), heard)
}

/// An API server in memory; an object is found by its path.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<Store>>);

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Value>,
    refusals: BTreeMap<&'static str, (usize, u16, String)>,
    asked: Vec<String>,
}

impl Fake {
    /// Answers the next requests of a method, or of one with its path, with a refusal.
    pub(super) fn refuse(&self, method: &'static str, times: usize, code: u16, words: &str) {
        self.0.lock().unwrap().refusals.insert(method, (times, code, words.to_owned()));
    }

    /// Puts an object there.
    pub(super) fn put(&self, path: &str, object: Value) {
        self.0.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    /// Every request so far, as `METHOD path`.
    pub(super) fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    /// Whether there is an object of this name.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.0.lock().unwrap().objects.keys().any(|path| path.ends_with(&format!("/{name}")))
    }

    /// A label of the object by this name.
    pub(super) fn label(&self, name: &str, label: &str) -> Option<String> {
        let store = self.0.lock().unwrap();
        let object = store.objects.iter().find(|(path, _)| path.ends_with(&format!("/{name}")))?.1;
        object["metadata"]["labels"][label].as_str().map(str::to_owned)
    }

    pub(super) fn client(&self) -> kube::Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let (code, answer) = fake.answer(head.method.as_str(), &head.uri, &body);
                let answer = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
                    Response::builder().status(code).body(answer).unwrap(),
                )
            }
        });
        kube::Client::new(service, "default")
    }

    fn answer(&self, method: &str, uri: &http::Uri, body: &[u8]) -> (u16, Value) {
        let path = uri.path();
        let mut store = self.0.lock().unwrap();
        store.asked.push(format!("{method} {path}"));
        for asked in [method, &format!("{method} {path}")] {
            if let Some((left, code, words)) = store.refusals.get_mut(asked).filter(|(left, ..)| *left > 0) {
                *left -= 1;
                return (*code, status(*code, words));
            }
        }
        match (method, path) {
            ("GET", "/api/v1") => (200, kinds()),
            ("GET", "/apis/example.com/v1") => (200, custom_kinds()),
            ("GET", path) if path.ends_with("/secrets") => {
                let items = store.objects.iter().filter(|(key, _)| key.starts_with(path)).map(|(_, object)| object);
                (200, json!({ "metadata": {}, "items": items.collect::<Vec<_>>() }))
            }
            ("GET", _) => store.objects.get(path).map_or((404, status(404, "not found")), |found| (200, found.clone())),
            ("DELETE", _) => (200, store.objects.remove(path).unwrap_or_default()),
            ("POST", _) => {
                let object: Value = serde_json::from_slice(body).unwrap();
                let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
                if store.objects.contains_key(&path) {
                    return (
                        409,
                        json!({ "status": "Failure", "code": 409, "reason": "AlreadyExists", "message": "" }),
                    );
                }
                if !uri.query().unwrap_or_default().contains("dryRun=All") {
                    store.objects.insert(path, object.clone());
                }
                (201, object)
            }
            ("PATCH", _) => {
                let mut object = store.objects.get(path).cloned().unwrap_or_default();
                merge(&mut object, serde_json::from_slice(body).unwrap());
                if !uri.query().unwrap_or_default().contains("dryRun=All") {
                    store.objects.insert(path.to_owned(), object.clone());
                }
                (200, object)
            }
            _ => (405, status(405, "method not allowed")),
        }
    }
}

fn merge(object: &mut Value, more: Value) {
    if let Value::Object(fields) = more {
        fields.into_iter().for_each(|(key, value)| merge(&mut object[key], value));
    } else {
        *object = more;
    }
}

fn status(code: u16, words: &str) -> Value {
    let reason = if code == 404 { "NotFound" } else { "" };
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": words })
}

fn kind(kind: &str, name: &str, namespaced: bool) -> Value {
    json!({ "kind": kind, "name": name, "singularName": "", "namespaced": namespaced, "verbs": ["get"] })
}

fn kinds() -> Value {
    let kinds = [
        kind("ConfigMap", "configmaps", true),
        kind("Secret", "secrets", true),
        kind("Namespace", "namespaces", false),
    ];
    json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": kinds })
}

/// What an operator looks after.
fn custom_kinds() -> Value {
    json!({ "kind": "APIResourceList", "groupVersion": "example.com/v1", "resources": [kind("Order", "orders", true)] })
}

/// A folder with a chart, two values files and a script that stands in for helm.
pub(super) struct Place(tempfile::TempDir);

/// A place whose helm is this script.
pub(super) fn place(script: &str) -> Place {
    let place = Place(tempfile::tempdir().unwrap());
    std::fs::create_dir(place.folder().join("chart")).unwrap();
    for (name, text) in [("chart/Chart.yaml", "name: c"), ("one.yaml", "a: 1"), ("two.yaml", "a: 2"), ("helm", script)]
    {
        std::fs::write(place.folder().join(name), text).unwrap();
    }
    std::fs::set_permissions(place.folder().join("helm"), std::fs::Permissions::from_mode(0o755)).unwrap();
    place
}

impl Place {
    pub(super) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn installer(&self, secrets: Secrets) -> Installer {
        Installer::new(self.folder().join("helm"), "run-1".to_owned(), self.folder().to_owned(), secrets)
    }

    /// The component `data/redis` in `shop` with one single value set.
    pub(super) fn work(&self, path: &str, value: &str) -> ComponentWork {
        let file = |name: &str| -> PathBuf { self.folder().join(name) };
        let install = Install::Helm(HelmInstall {
            release: "redis".to_owned(),
            chart: ChartSource::Path(file("chart")),
            values: vec![file("one.yaml"), file("two.yaml")],
            set: BTreeMap::from([(path.to_owned(), SingleValue::Text(value.to_owned()))]),
        });
        let key = ComponentKey { suite: "data".parse().unwrap(), component: "redis".parse().unwrap() };
        ComponentWork { key, namespace: "shop".parse().unwrap(), install }
    }
}
