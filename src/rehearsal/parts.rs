//! Parts of objects with paths of their own: scale, log, exec, port-forward, eviction, finalize, token.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Method, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::actors::{Fault, played};
use super::catalog::Scale;
use super::cluster::{State, success};
use super::delete::Deletion;
use super::failure::Failure;
use super::handle::{Call, Desk, patch, told};
use super::logs::Log;
use super::object::{Key, View as _};
use super::server::{Body, object, text};
use super::streams::{self, Said, Use};
use super::write::{Edit, Outcome, Patch};

/// Answers a request for a part.
///
/// # Errors
/// Why not, as it is to be told.
pub(super) async fn answer(desk: &Desk, call: Call, part: &str) -> Result<Response<Body>, Failure> {
    let of = (&*call.resource.group.clone(), &*call.resource.plural.clone(), part, call.heard.method.clone());
    match (of.0, of.1, of.2, &of.3) {
        ("", "pods", "log", &Method::GET) => log(desk, &call),
        ("", "pods", "exec", &Method::GET | &Method::POST) => exec(desk, call),
        ("", "pods", "portforward", &Method::GET | &Method::POST) => forward(desk, call),
        ("", "pods", "eviction", &Method::POST) => evict(desk, &call),
        ("", "namespaces", "finalize", &Method::PUT) => finalize(desk, &call),
        ("", "serviceaccounts", "token", &Method::POST) => token(desk, &call),
        (_, _, "scale", method) => {
            let version = call.resource.version(&call.place.version);
            let scale = version.and_then(|version| version.scale.clone()).ok_or_else(Failure::no_such_path)?;
            match *method {
                Method::GET => show_scale(desk, &call, &scale),
                Method::PUT | Method::PATCH => set_scale(desk, &call, &scale),
                _ => Err(Failure::no_such_verb()),
            }
        }
        _ => Err(Failure::no_such_path()),
    }
}

fn key(call: &Call) -> Key {
    State::key(&call.resource, call.place.namespace.as_deref(), call.name())
}

fn pod(desk: &Desk, call: &Call) -> Result<Value, Failure> {
    desk.cluster.step(|state| state.found(&call.resource, &key(call))).map(|stored| stored.value())
}

/// An object's scale (`autoscaling/v1`).
fn scale_of(whole: &Value, scale: &Scale) -> Value {
    let at = |path: &str| whole.pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or(Value::Null);
    let metadata = &whole["metadata"];
    let selector = match &scale.selector {
        Some(path) => at(path),
        None => json!(selector_text(&whole["spec"]["selector"])),
    };
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        // None is not written (`omitempty`).
        "spec": match at(&scale.spec).as_i64().unwrap_or(0) {
            0 => json!({}),
            replicas => json!({ "replicas": replicas }),
        },
        "status": match selector.as_str() {
            None | Some("") => json!({ "replicas": at(&scale.status).as_i64().unwrap_or(0) }),
            Some(selector) => json!({ "replicas": at(&scale.status).as_i64().unwrap_or(0), "selector": selector }),
        },
    })
}

/// A label selector as text.
fn selector_text(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().or_else(|| selector.as_object());
    let labels = labels.into_iter().flatten().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    labels.collect::<Vec<_>>().join(",")
}

fn show_scale(desk: &Desk, call: &Call, scale: &Scale) -> Result<Response<Body>, Failure> {
    Ok(object(200, &scale_of(&pod(desk, call)?, scale)))
}

fn set_scale(desk: &Desk, call: &Call, scale: &Scale) -> Result<Response<Body>, Failure> {
    let write = call.write()?;
    let asked = match call.heard.method {
        Method::PUT => Err(call.object()?),
        _ => Ok(patch(call)?),
    };
    let done = desk.cluster.step(|state| {
        let whole = state.found(&call.resource, &key(call))?.value();
        let old = scale_of(&whole, scale);
        let new = match asked {
            Err(new) => new,
            Ok(patch) => patch.to(None, &old).map_err(|_| {
                Failure::new(422, "Invalid", "the server rejected our request due to an error in our request")
            })?,
        };
        let asked = if new["spec"]["replicas"].is_null() { Some(0) } else { new["spec"]["replicas"].as_i64() };
        let Some(replicas) = asked.filter(|replicas| *replicas >= 0) else {
            let wrong = super::schema::FieldError::invalid(
                "spec.replicas",
                new["spec"]["replicas"].clone(),
                "must be greater than or equal to 0",
            );
            let refused = Failure::invalid(&call.resource, call.name(), std::slice::from_ref(&wrong));
            let message = super::schema::invalid_message("autoscaling", "Scale", call.name(), &[wrong]);
            return Err(Failure { message, ..refused });
        };
        let mut merge = json!({ "metadata": {} });
        if let Some(version) = new["metadata"]["resourceVersion"].as_str() {
            merge["metadata"]["resourceVersion"] = json!(version);
        }
        let path: Vec<&str> = scale.spec.split('.').collect();
        path.iter().fold(&mut merge, |at, part| &mut at[*part]).clone_from(&json!(replicas));
        state.edit(&write, call.name(), Edit::Patch(Patch::Merge(merge)))
    })?;
    let whole = serde_json::from_slice(&done.text).unwrap_or_default();
    Ok(told(call, Outcome::of(200, &scale_of(&whole, scale))))
}

/// The state of a container, with its name, by name or the only one.
fn container<'a>(pod: &'a Value, asked: Option<&str>) -> Result<&'a str, Failure> {
    let spec = &pod["spec"];
    let all = ["initContainers", "containers", "ephemeralContainers"];
    let name = |container: &'a Value| container["name"].as_str().unwrap_or_default();
    let named: Vec<&str> = all.iter().flat_map(|list| spec[list].as_array().into_iter().flatten()).map(name).collect();
    let main: Vec<&str> = spec["containers"].as_array().into_iter().flatten().map(name).collect();
    let pod = pod["metadata"]["name"].as_str().unwrap_or_default();
    match (asked, main.as_slice()) {
        (Some(asked), _) => named
            .into_iter()
            .find(|name| *name == asked)
            .ok_or_else(|| Failure::bad_request(format!("container {asked} is not valid for pod {pod}"))),
        (None, [only]) => Ok(only),
        (None, several) => {
            let choice = several.join(" ");
            let why = format!("a container name must be specified for pod {pod}, choose one of: [{choice}]");
            Err(Failure::bad_request(why))
        }
    }
}

fn status<'a>(pod: &'a Value, container: &str) -> &'a Value {
    let lists = ["containerStatuses", "initContainerStatuses"];
    let all = lists.iter().flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    all.into_iter().find(|status| status["name"] == container).unwrap_or(&Value::Null)
}

/// `pods/log` (`pkg/registry/core/pod/rest/log.go`, `pkg/kubelet/kubelet_pods.go`).
fn log(desk: &Desk, call: &Call) -> Result<Response<Body>, Failure> {
    let pod = pod(desk, call)?;
    for (field, least) in [("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)] {
        if let Some(asked) = call.query.number(field).filter(|asked| *asked < least) {
            let why = format!("must be greater than {}", if least == 0 { "or equal to 0" } else { "0" });
            let wrong = super::schema::FieldError::invalid(field, json!(asked), why);
            let message =
                super::schema::invalid_message("", "PodLogOptions", call.name(), std::slice::from_ref(&wrong));
            return Err(Failure { message, ..Failure::invalid(&call.resource, call.name(), &[wrong]) });
        }
    }
    let container = container(&pod, call.query.get("container"))?;
    let (uid, name) = (pod["metadata"]["uid"].as_str().unwrap_or_default(), call.name());
    let status = status(&pod, container);
    let restarts = u32::try_from(status["restartCount"].as_u64().unwrap_or(0)).unwrap_or(0);
    let waiting = &status["state"]["waiting"];
    let start = if call.query.is("previous") {
        if status["lastState"]["terminated"].is_null() {
            let why = format!("previous terminated container \"{container}\" in pod \"{name}\" not found");
            return Err(Failure::bad_request(why));
        }
        // While it waits for its next start the last one is the one before.
        if waiting.is_null() { restarts.saturating_sub(1) } else { restarts }
    } else {
        restarts
    };
    let log = desk.stage.logs.find(uid, container, start);
    let Some(log) = log else {
        let reason = waiting["reason"].as_str().unwrap_or("ContainerCreating");
        let doing = match reason {
            "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image",
            _ => reason,
        };
        let why = match pod["spec"]["nodeName"].as_str() {
            None | Some("") => return Ok(text(204, "text/plain", Bytes::new())),
            Some(_) => format!("container \"{container}\" in pod \"{name}\" is waiting to start: {doing}"),
        };
        return Err(Failure::bad_request(why));
    };
    Ok(stream(Reading::of(log, call)))
}

/// How a log is read.
struct Reading {
    log: Arc<Log>,
    at: usize,
    grown: watch::Receiver<usize>,
    follow: bool,
    timestamps: bool,
    since: Option<Timestamp>,
    /// How many bytes may still be sent.
    left: Option<usize>,
}

impl Reading {
    fn of(log: Arc<Log>, call: &Call) -> Self {
        let query = &call.query;
        let ago = query
            .number("sinceSeconds")
            .and_then(|seconds| Timestamp::now().checked_sub(SignedDuration::from_secs(seconds)).ok());
        let since = query.get("sinceTime").and_then(|time| time.parse().ok()).or(ago);
        let lines = log.from(0).lines.len();
        let tail = query.number("tailLines").and_then(|tail| usize::try_from(tail).ok());
        Self {
            at: tail.map_or(0, |tail| lines.saturating_sub(tail)),
            grown: log.growth(),
            follow: query.is("follow"),
            timestamps: query.is("timestamps"),
            since,
            left: query.number("limitBytes").and_then(|limit| usize::try_from(limit).ok()),
            log,
        }
    }

    /// What is there and was not sent; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.grown.mark_unchanged();
            let part = self.log.from(self.at);
            self.at += part.lines.len();
            let mut text = String::new();
            for (time, line) in part.lines.iter().filter(|(time, _)| self.since.is_none_or(|since| *time >= since)) {
                if self.timestamps {
                    text.push_str(&format!("{} ", time.strftime("%Y-%m-%dT%H:%M:%S%.9fZ")));
                }
                text.push_str(line);
                text.push('\n');
            }
            if let Some(left) = &mut self.left {
                let fits = (0..=text.len().min(*left)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                text.truncate(fits);
                *left -= fits;
            }
            if !text.is_empty() {
                return Some(text.into());
            }
            if !self.follow || part.complete || self.left == Some(0) || self.grown.changed().await.is_err() {
                return None;
            }
        }
    }
}

fn stream(reading: Reading) -> Response<Body> {
    let parts = futures::stream::unfold(reading, async |mut reading| {
        let part = reading.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(part)), reading))
    });
    let mut response = text(200, "text/plain", Bytes::new());
    *response.body_mut() = StreamBody::new(parts).boxed_unsync();
    response
}

fn exec(desk: &Desk, mut call: Call) -> Result<Response<Body>, Failure> {
    let pod = pod(desk, &call)?;
    let container = container(&pod, call.query.get("container"))?.to_owned();
    if status(&pod, &container)["state"]["running"].is_null() {
        let name = call.name();
        return Err(Failure::new(
            500,
            "InternalError",
            format!(
                "Internal error occurred: unable to upgrade connection: container not found (\"{container}\") in pod {name}"
            ),
        ));
    }
    let (wire, response) = streams::handshake(&call.heard.headers, Use::Exec)?;
    let upgrade = call.heard.upgrade.take().ok_or_else(|| Failure::bad_request("Upgrade request required"))?;
    let (ended, fault) = desk.cluster.step(|state| {
        let mut ended = played(call.query.all("command"), &pod, &container, &state.store);
        let key = Key::new("/pods", pod["metadata"]["namespace"].as_str().unwrap_or_default(), call.name());
        let actors = desk.stage.actors();
        if actors.strike(&key, Fault::ExecFails) {
            ended.code = 1;
        }
        if actors.strike(&key, Fault::Mute) {
            (ended.stdout, ended.stderr) = (String::new(), String::new());
        }
        if actors.strike(&key, Fault::OtherWords) {
            ended.stdout = desk.stage.words.text();
        }
        let never = [Fault::ExecMissing, Fault::ExecHangs].into_iter().find(|fault| actors.strike(&key, *fault));
        (ended, never)
    });
    let said = Said {
        stdout: ended.stdout.into_bytes(),
        stderr: ended.stderr.into_bytes(),
        code: ended.code,
        missing: (fault == Some(Fault::ExecMissing))
            .then(|| call.query.all("command").first().cloned().unwrap_or_default()),
        wants_stdout: call.query.is("stdout"),
        wants_stderr: call.query.is("stderr"),
    };
    tokio::spawn(desk.stage.ended.clone().run_until_cancelled_owned(async move {
        if let Ok(upgraded) = upgrade.await {
            if fault == Some(Fault::ExecHangs) {
                std::future::pending::<()>().await;
            }
            streams::exec(wire, upgraded, said).await;
        }
    }));
    Ok(response)
}

fn forward(desk: &Desk, mut call: Call) -> Result<Response<Body>, Failure> {
    let pod = pod(desk, &call)?;
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    if phase != "Running" {
        let why = format!("unable to forward port because pod is not running. Current status={phase}");
        return Err(Failure::bad_request(why));
    }
    let (wire, response) = streams::handshake(&call.heard.headers, Use::PortForward)?;
    let upgrade = call.heard.upgrade.take().ok_or_else(|| Failure::bad_request("Upgrade request required"))?;
    let ports: Vec<u16> = call
        .query
        .all("ports")
        .iter()
        .flat_map(|ports| ports.split(','))
        .filter_map(|port| port.parse().ok())
        .collect();
    let (stage, name) = (desk.stage.clone(), call.name().to_owned());
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    tokio::spawn(desk.stage.ended.clone().run_until_cancelled_owned(async move {
        if let Ok(upgraded) = upgrade.await {
            let connect = move |port| {
                let opened = stage.cast.connect(&name, &uid, port)?;
                stage.streams.send_modify(|streams| streams.forwards += 1);
                Ok(opened)
            };
            streams::forward(wire, upgraded, &ports, connect).await;
        }
    }));
    Ok(response)
}

/// Deletes a pod, unless a budget for its disruption is used up.
fn evict(desk: &Desk, call: &Call) -> Result<Response<Body>, Failure> {
    let options = call.object()?;
    let how = Deletion::of(&options["deleteOptions"]);
    desk.cluster.step(|state| {
        let pod = state.found(&call.resource, &key(call))?.value();
        let namespace = call.place.namespace.as_deref().unwrap_or_default();
        let labels = &pod["metadata"]["labels"];
        let covers = |budget: &&Arc<Value>| {
            let wanted = budget["spec"]["selector"]["matchLabels"].as_object();
            wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
        };
        let budgets = state.store.list("policy/poddisruptionbudgets", Some(namespace));
        if let Some(budget) = budgets.iter().find(covers)
            && budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0) < 1
        {
            let words = "Cannot evict pod as it would violate the pod's disruption budget.";
            let name = budget["metadata"]["name"].as_str().unwrap_or_default();
            let healthy = &budget["status"];
            let why = format!(
                "The disruption budget {name} needs {} healthy pods and has {} currently",
                healthy["desiredHealthy"], healthy["currentHealthy"]
            );
            let cause = json!({ "reason": "DisruptionBudget", "message": why });
            return Err(Failure {
                details: json!({ "causes": [cause] }),
                ..Failure::new(429, "TooManyRequests", words)
            });
        }
        state.delete(&call.resource, &key(call), &how)
    })?;
    Ok(object(201, &success(&call.resource, call.name(), "")))
}

/// Sets a namespace's own finalizers.
fn finalize(desk: &Desk, call: &Call) -> Result<Response<Body>, Failure> {
    let asked = call.object()?;
    let kept = desk.cluster.step(|state| {
        let stored = state.found(&call.resource, &key(call))?;
        let left: Vec<&str> =
            asked["spec"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        state.amend(&key(call), &stored.uid, |object| object["spec"] = json!({ "finalizers": left }));
        Ok(state.store.find(&key(call)).cloned().unwrap_or(stored))
    })?;
    Ok(text(200, "application/json", kept.text.clone()))
}

/// A token that opens nothing: what asks for one inside the cluster is not run.
fn token(desk: &Desk, call: &Call) -> Result<Response<Body>, Failure> {
    let mut asked = call.object()?;
    pod(desk, call)?;
    let seconds = asked["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
    let expires = Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
    asked["status"] = json!({ "token": "rehearsal", "expirationTimestamp": super::cluster::written(expires) });
    Ok(object(201, &asked))
}
