//! From a request to its answer.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{HeaderValue, WARNING};
use hyper::{Method, Response};
use serde_json::{Value, json};

use super::catalog::Resource;
use super::cluster::{Cluster, State, selectable_names};
use super::delete::Deletion;
use super::discovery;
use super::failure::Failure;
use super::read::{Asked, list_metadata, list_text};
use super::request::{Path, Place, Query, path};
use super::select::Selector;
use super::server::{Body, Heard, object, text};
use super::shape::{Lens, Shape};
use super::stage::Stage;
use super::watch::{Scope, Watch};
use super::write::{Edit, Outcome, Patch, Validation, Write};
use super::{parts, review, wire};

/// Answers requests.
pub(super) struct Desk {
    pub(super) cluster: Arc<Cluster>,
    pub(super) stage: Arc<Stage>,
}

/// A request for a resource that is served.
pub(super) struct Call {
    pub(super) resource: Arc<Resource>,
    pub(super) place: Place,
    pub(super) query: Query,
    pub(super) shape: Shape,
    pub(super) heard: Heard,
}

impl Call {
    /// The body as an object.
    pub(super) fn object(&self) -> Result<Value, Failure> {
        let object = read(&self.heard.body, self.heard.header("content-type"))?;
        if object.is_object() { Ok(object) } else { Err(Failure::bad_request("the request body is no object")) }
    }

    /// How objects are to be shown.
    pub(super) fn lens(&self) -> Lens<'_> {
        Lens { resource: &self.resource, version: &self.place.version, shape: self.shape }
    }

    /// The name in the path.
    pub(super) fn name(&self) -> &str {
        self.place.name.as_deref().unwrap_or_default()
    }

    /// What a write says beside its object.
    pub(super) fn write(&self) -> Result<Write, Failure> {
        let agent = self.heard.header("user-agent").split('/').next().unwrap_or_default();
        let manager = self.query.get("fieldManager").unwrap_or(if agent.is_empty() { "unknown" } else { agent });
        let validation = match self.query.get("fieldValidation") {
            None | Some("Warn") => Validation::Warn,
            Some("Ignore") => Validation::Ignore,
            Some("Strict") => Validation::Strict,
            Some(other) => {
                let options = match self.heard.method {
                    Method::POST => "CreateOptions",
                    Method::PUT => "UpdateOptions",
                    _ => "PatchOptions",
                };
                let allowed = "supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"";
                let why = format!(
                    "{options}.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"{other}\": {allowed}"
                );
                return Err(Failure::new(422, "Invalid", why));
            }
        };
        let dry_run = match self.query.all("dryRun") {
            [] => false,
            [all] if all == "All" => true,
            [all] if all.is_empty() => false,
            other => {
                let why = format!("dryRun: Unsupported value: {other:?}: supported values: \"All\"");
                return Err(Failure::new(422, "Invalid", why));
            }
        };
        Ok(Write {
            resource: self.resource.clone(),
            version: self.place.version.clone(),
            namespace: self.place.namespace.clone(),
            part: match self.place.part.as_deref() {
                Some("status") => "status",
                Some("scale") => "scale",
                Some(_) | None => "",
            },
            manager: manager.to_owned(),
            validation,
            dry_run,
            force: self.query.is("force"),
        })
    }

    fn selector(&self) -> Result<Selector, Failure> {
        let (labels, fields) = (self.query.get("labelSelector"), self.query.get("fieldSelector"));
        let selector = Selector::of(labels, fields)?;
        let known = selectable_names(&self.resource);
        let is_known = |field: &&str| {
            *field == "metadata.name"
                || (*field == "metadata.namespace" && self.resource.namespaced)
                || known.contains(field)
        };
        if let Some(unknown) = selector.fields().find(|field| !is_known(field)) {
            let why = match known.is_empty() && !self.resource.custom {
                true => format!(
                    "\"{unknown}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                ),
                false => format!("field label not supported: {unknown}"),
            };
            return Err(Failure::bad_request(why));
        }
        Ok(selector)
    }
}

/// Reads an object from a body.
fn read(body: &Bytes, kind: &str) -> Result<Value, Failure> {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind == "application/vnd.kubernetes.protobuf" {
        return wire::decode(body).map_err(|error| Failure::bad_request(error.to_string()));
    }
    if !matches!(kind, "" | "*/*") && !kind.contains("json") && !kind.contains("yaml") {
        let accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
        let why =
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
        return Err(Failure::new(415, "UnsupportedMediaType", why));
    }
    match serde_json::from_slice(body) {
        Ok(value) => Ok(value),
        Err(_) if kind.contains("yaml") => {
            let text = std::str::from_utf8(body).map_err(|error| Failure::bad_request(error.to_string()))?;
            serde_saphyr::from_str(text).map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))
        }
        Err(error) => Err(Failure::bad_request(format!("couldn't get version/kind; json parse error: {error}"))),
    }
}

impl Desk {
    /// The answer to a request.
    ///
    /// # Errors
    /// Why there is none, as it is to be told.
    pub(super) async fn answer(&self, heard: Heard) -> Result<Response<Body>, Failure> {
        let query = Query::of(&heard.query);
        let place = match path(&heard.path) {
            Path::Resource(place) => place,
            Path::Other(words) => return self.inform(&words, &heard),
        };
        let resource = self.cluster.step(|state| state.catalog.find(&place.group, &place.version, &place.plural));
        let Some(resource) = resource else {
            let knows_group = self.cluster.step(|state| discovery::group(&state.catalog, &place.group).is_some());
            if knows_group || place.group.is_empty() {
                return Err(Failure::no_such_path());
            }
            return Ok(text(404, "text/plain; charset=utf-8", Bytes::from_static(b"404 page not found\n")));
        };
        if place.namespace.is_some() && !resource.namespaced {
            return Err(Failure::no_such_path());
        }
        let Some(shape) = Shape::of(heard.header("accept")) else {
            let why = "only the following media types are accepted: application/json";
            return Err(Failure::new(406, "NotAcceptable", why));
        };
        let call = Call { resource, place, query, shape, heard };
        match call.place.part.as_deref() {
            None | Some("status") => self.serve(call),
            Some(part) => {
                let part = part.to_owned();
                parts::answer(self, call, &part).await
            }
        }
    }

    fn serve(&self, call: Call) -> Result<Response<Body>, Failure> {
        let has_status = call.resource.version(&call.place.version).is_some_and(|version| version.status);
        if call.place.part.is_some() && !has_status {
            return Err(Failure::no_such_path());
        }
        if call.resource.answered {
            let asked = call.object()?;
            return review::answer(&call.resource.kind, asked)
                .map(|said| object(201, &said))
                .ok_or_else(Failure::no_such_verb);
        }
        let named = call.place.name.is_some();
        let method = call.heard.method.clone();
        match (method, named) {
            (Method::GET, true) => self.get(&call),
            (Method::GET, false) if call.query.is("watch") => self.watch(call),
            (Method::GET, false) => self.list(&call),
            (Method::POST, false) => self.create(&call),
            (Method::PUT, true) => {
                let edit = Edit::Replace(call.object()?);
                self.edit(&call, edit)
            }
            (Method::PATCH, true) => {
                let edit = Edit::Patch(patch(&call)?);
                self.edit(&call, edit)
            }
            (Method::DELETE, true) => self.delete(&call),
            (Method::DELETE, false) => self.delete_all(&call),
            _ => Err(Failure::no_such_verb()),
        }
    }

    fn get(&self, call: &Call) -> Result<Response<Body>, Failure> {
        let key = State::key(&call.resource, call.place.namespace.as_deref(), call.name());
        let stored = self.cluster.step(|state| state.found(&call.resource, &key))?;
        Ok(text(200, "application/json", call.lens().object(&stored.text)))
    }

    fn list(&self, call: &Call) -> Result<Response<Body>, Failure> {
        let selector = call.selector()?;
        let asked = Asked {
            resource: &call.resource,
            namespace: call.place.namespace.as_deref(),
            selector: &selector,
            query: &call.query,
        };
        let page = self.cluster.step(|state| {
            check_revision(&call.query, state.store.revision())?;
            state.paging.page(&state.store, &asked)
        })?;
        let (lens, metadata) = (call.lens(), list_metadata(&page));
        if lens.shape == Shape::Table {
            let texts: Vec<&Bytes> = page.objects.iter().map(|stored| &stored.text).collect();
            return Ok(object(200, &lens.table(&texts, &metadata, true)));
        }
        let items: Vec<Bytes> = page.objects.iter().map(|stored| lens.item(&stored.text)).collect();
        let (kind, version) = lens.list_kind();
        Ok(text(200, "application/json", list_text(kind, &version, &metadata, &items)))
    }

    fn watch(&self, call: Call) -> Result<Response<Body>, Failure> {
        let selector = call.selector()?;
        let scope = Scope {
            resource: call.resource,
            version: call.place.version,
            namespace: call.place.namespace,
            selector,
            shape: call.shape,
        };
        let watch = Watch::begin(&self.cluster, scope, &call.query)?;
        let streams = self.stage.streams.clone();
        let lines = futures::stream::unfold((watch, streams), async |(mut watch, streams)| {
            let line = {
                let mut next = pin!(watch.next());
                match futures::poll!(next.as_mut()) {
                    Poll::Ready(line) => line,
                    Poll::Pending => {
                        streams.send_modify(|streams| streams.watches += 1);
                        next.await
                    }
                }
            }?;
            if Watch::is_expiry(&line) {
                streams.send_modify(|streams| streams.expired += 1);
            }
            Some((Ok::<_, Infallible>(Frame::data(line)), (watch, streams)))
        });
        let mut response = text(200, "application/json", Bytes::new());
        *response.body_mut() = StreamBody::new(lines).boxed_unsync();
        Ok(response)
    }

    fn create(&self, call: &Call) -> Result<Response<Body>, Failure> {
        let (write, object) = (call.write()?, call.object()?);
        self.cluster.step(|state| state.create(&write, object)).map(|done| told(call, done))
    }

    fn edit(&self, call: &Call, edit: Edit) -> Result<Response<Body>, Failure> {
        let write = call.write()?;
        self.cluster.step(|state| state.edit(&write, call.name(), edit)).map(|done| told(call, done))
    }

    fn delete(&self, call: &Call) -> Result<Response<Body>, Failure> {
        let how = deletion(call)?;
        let key = State::key(&call.resource, call.place.namespace.as_deref(), call.name());
        self.cluster.step(|state| state.delete(&call.resource, &key, &how)).map(|done| told(call, done))
    }

    fn delete_all(&self, call: &Call) -> Result<Response<Body>, Failure> {
        let (selector, how) = (call.selector()?, deletion(call)?);
        if &*call.resource.plural == "namespaces" {
            return Err(Failure::no_such_verb());
        }
        let (items, revision) = self.cluster.step(|state| {
            let within = state.store.within(&call.resource.collection, call.place.namespace.as_deref());
            let chosen: Vec<_> = within.filter(|stored| selector.selects(stored)).cloned().collect();
            for stored in &chosen {
                // One that is gone by now is what was asked for.
                state.delete(&call.resource, &stored.key, &how).ok();
            }
            let items: Vec<Bytes> = chosen.iter().map(|stored| call.lens().item(&stored.text)).collect();
            (items, state.store.revision())
        });
        let lens = call.lens();
        let (kind, version) = lens.list_kind();
        let metadata = json!({ "resourceVersion": revision.to_string() });
        Ok(text(200, "application/json", list_text(kind, &version, &metadata, &items)))
    }

    /// What is asked of no resource.
    fn inform(&self, words: &[String], heard: &Heard) -> Result<Response<Body>, Failure> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let wants_all =
            heard.header("accept").contains("as=APIGroupDiscoveryList") && heard.header("accept").contains("v=v2");
        let found = self.cluster.step(|state| {
            let catalog = &state.catalog;
            Some(match words.as_slice() {
                ["version"] => discovery::version(),
                ["api"] if wants_all => discovery::aggregated(catalog, true),
                ["apis"] if wants_all => discovery::aggregated(catalog, false),
                ["api"] => discovery::core_versions(),
                ["apis"] => discovery::groups(catalog),
                ["api", version] => discovery::resources(catalog, "", version)?,
                ["apis", group] => discovery::group(catalog, group)?,
                ["apis", group, version] => discovery::resources(catalog, group, version)?,
                ["openapi", "v3"] => discovery::descriptions(catalog),
                ["openapi", "v3", "api", version] => discovery::description(catalog, "", version)?,
                ["openapi", "v3", "apis", group, version] => discovery::description(catalog, group, version)?,
                _ => return None,
            })
        });
        if let Some(found) = found {
            let kind = match found["kind"] == "APIGroupDiscoveryList" {
                true => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
                false => "application/json",
            };
            return Ok(text(200, kind, super::shape::sent(&found)));
        }
        match words.as_slice() {
            ["healthz" | "livez" | "readyz"] => Ok(text(200, "text/plain; charset=utf-8", Bytes::from_static(b"ok"))),
            _ => Ok(text(404, "text/plain; charset=utf-8", Bytes::from_static(b"404 page not found\n"))),
        }
    }
}

/// A list of a version that is not there yet cannot be given.
fn check_revision(query: &Query, is: u64) -> Result<(), Failure> {
    let Some(asked) = query.get("resourceVersion") else { return Ok(()) };
    let Ok(asked) = asked.parse::<u64>() else {
        return Err(Failure::bad_request(format!("resourceVersion: Invalid value: \"{asked}\"")));
    };
    if asked > is {
        let failure = Failure::new(504, "Timeout", format!("Too large resource version: {asked}, current: {is}"));
        let cause = json!({ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" });
        return Err(Failure { details: json!({ "causes": [cause], "retryAfterSeconds": 1 }), ..failure });
    }
    Ok(())
}

/// The patch in a request.
pub(super) fn patch(call: &Call) -> Result<Patch, Failure> {
    let kind = call.heard.header("content-type").split(';').next().unwrap_or_default().trim();
    let body = || read(&call.heard.body, kind);
    match kind {
        "application/json-patch+json" => Ok(Patch::Json(body()?)),
        "application/merge-patch+json" => Ok(Patch::Merge(body()?)),
        "application/strategic-merge-patch+json" if !call.resource.custom => Ok(Patch::Strategic(body()?)),
        "application/apply-patch+yaml" => match call.query.get("fieldManager") {
            Some(_) => Ok(Patch::Apply(body()?)),
            None => {
                let why = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
                Err(Failure::new(422, "Invalid", why))
            }
        },
        "application/strategic-merge-patch+json" => {
            let accepted = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
            let why =
                format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
            Err(Failure::new(415, "UnsupportedMediaType", why))
        }
        _ => Err(Failure::new(415, "UnsupportedMediaType", "415: Unsupported Media Type")),
    }
}

/// The options of a deletion, in the body or in the query.
fn deletion(call: &Call) -> Result<Deletion, Failure> {
    let body = if call.heard.body.is_empty() { Value::Null } else { call.object()? };
    let mut how = Deletion::of(&body);
    how.grace = how.grace.or_else(|| call.query.number("gracePeriodSeconds"));
    how.propagation = how.propagation.or_else(|| call.query.get("propagationPolicy").map(str::to_owned));
    how.dry_run |= call.query.get("dryRun") == Some("All");
    match how.propagation.as_deref() {
        None | Some("Foreground" | "Background" | "Orphan") => Ok(how),
        Some(other) => Err(Failure::new(
            422,
            "Invalid",
            format!(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"{other}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            ),
        )),
    }
}

/// An outcome as it is sent.
pub(super) fn told(call: &Call, done: Outcome) -> Response<Body> {
    // What says how a request went is sent as it is.
    let is_status = done.text.starts_with(br#"{"kind":"Status""#);
    let shown = if is_status { done.text } else { call.lens().object(&done.text) };
    let mut response = text(done.code, "application/json", shown);
    for warning in done.warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        HeaderValue::from_str(&format!("299 - \"{quoted}\"")).into_iter().for_each(|value| {
            response.headers_mut().append(WARNING, value);
        });
    }
    response
}
