//! Writes: create, replace, patch and apply, each as the API server does it step by step
//! (`k8s.io/apiserver/pkg/endpoints/handlers`, `pkg/registry/generic/registry/store.go`).

use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use super::admission;
use super::catalog::{Resource, api_version};
use super::cluster::{State, now};
use super::delete::Deletion;
use super::failure::Failure;
use super::fields::{self, ApplyError, PatchError, Writer};
use super::object::Key;
use super::quota;
use super::schema::{self, Schema};
use super::webhooks;

/// What is done with fields that a kind does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validation {
    /// They are dropped.
    Ignore,
    /// They are dropped with a warning.
    Warn,
    /// They refuse the request.
    Strict,
}

/// What every write says beside its object.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) resource: Arc<Resource>,
    /// The version in whose words it is.
    pub(super) version: String,
    /// The namespace of its path.
    pub(super) namespace: Option<String>,
    /// The part that is written, `status` or `scale`; empty for the object itself.
    pub(super) part: &'static str,
    /// The field manager.
    pub(super) manager: String,
    pub(super) validation: Validation,
    /// Whether nothing is kept.
    pub(super) dry_run: bool,
    /// Whether an apply takes over what others own.
    pub(super) force: bool,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// The HTTP status.
    pub(super) code: u16,
    /// The object, in the version in which it is stored.
    pub(super) text: Bytes,
    /// `Warning` headers.
    pub(super) warnings: Vec<String>,
}

impl Outcome {
    /// An answer that is an object.
    pub(super) fn of(code: u16, object: &Value) -> Self {
        Self { code, text: serde_json::to_vec(object).unwrap_or_default().into(), warnings: Vec::new() }
    }
}

/// A patch, in one of the notations that clients use.
#[derive(Clone, Debug)]
pub(super) enum Patch {
    /// RFC 6902.
    Json(Value),
    /// RFC 7386.
    Merge(Value),
    /// With the lists of built-in kinds merged by their keys.
    Strategic(Value),
    /// What its manager wants, and nothing else (server-side apply).
    Apply(Value),
}

impl Patch {
    /// What an object is after it.
    ///
    /// # Errors
    /// Why it cannot be patched so.
    pub(super) fn to(&self, schema: Option<&Schema>, object: &Value) -> Result<Value, PatchError> {
        match (self, schema) {
            (Self::Json(patch), _) => fields::json_patch(object, patch),
            (Self::Strategic(patch), Some(schema)) => fields::strategic_merge_patch(schema, object, patch),
            (Self::Merge(patch) | Self::Strategic(patch) | Self::Apply(patch), _) => fields::merge_patch(object, patch),
        }
    }
}

/// What is written to an object that exists.
pub(super) enum Edit {
    /// The whole object.
    Replace(Value),
    /// A patch of it.
    Patch(Patch),
}

impl Write {
    fn schema(&self) -> Option<Arc<Schema>> {
        self.resource.schema(&self.version)
    }

    fn api_version(&self) -> String {
        api_version(&self.resource.group, &self.version)
    }

    fn key(&self, name: &str) -> Key {
        State::key(&self.resource, self.namespace.as_deref(), name)
    }

    /// An object of the request must be of the kind of its path.
    fn check_kind(&self, object: &Value) -> Result<(), Failure> {
        // Whatever else it says wrongly is seen by its kind's schema; these are written to before.
        if !object.is_object() || !(object["metadata"].is_object() || object["metadata"].is_null()) {
            return Err(Failure::bad_request("the request body or its metadata is no object"));
        }
        if !matches!(object["metadata"], Value::Null | Value::Object(_)) {
            let (kind, version) = (&self.resource.kind, &self.version);
            let why = format!(
                "{kind} in version \"{version}\" cannot be handled as a {kind}: json: cannot unmarshal into Go struct field {kind}.metadata of type v1.ObjectMeta"
            );
            return Err(Failure::bad_request(why));
        }
        let (kind, version) =
            (object["kind"].as_str().unwrap_or_default(), object["apiVersion"].as_str().unwrap_or_default());
        if kind.is_empty() || version.is_empty() {
            let missing = if kind.is_empty() { "Kind" } else { "apiVersion" };
            return Err(Failure::bad_request(format!("Object '{missing}' is missing in '{object}'")));
        }
        let expected = self.api_version();
        if version != expected {
            let title = format!("{kind} in version \"{version}\" cannot be handled as a {}", self.resource.kind);
            let why =
                format!("the API version in the data ({version}) does not match the expected API version ({expected})");
            return Err(Failure::bad_request(if kind == self.resource.kind { why } else { title }));
        }
        if kind != self.resource.kind {
            let why = format!(
                "{kind} in version \"{}\" cannot be handled as a {}: converting to known kind",
                self.version, self.resource.kind
            );
            return Err(Failure::bad_request(why));
        }
        Ok(())
    }

    fn check_namespace(&self, object: &mut Value) -> Result<(), Failure> {
        if !self.resource.namespaced {
            remove(&mut object["metadata"], "namespace");
            return Ok(());
        }
        let wanted = self.namespace.clone().unwrap_or_default();
        let named = object["metadata"]["namespace"].as_str().unwrap_or_default();
        if !named.is_empty() && named != wanted {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(why));
        }
        object["metadata"]["namespace"] = json!(wanted);
        Ok(())
    }

    /// Drops what the kind does not have, with words about it.
    fn prune(&self, object: &mut Value) -> Result<Vec<String>, Failure> {
        let Some(schema) = self.schema() else { return Ok(Vec::new()) };
        let kind = &self.resource.kind;
        if let Some(why) = schema::decode_error(&schema, object) {
            let version = &self.version;
            let why = format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}");
            return Err(Failure::bad_request(why));
        }
        let dropped = schema::prune(&schema, object);
        let named: Vec<String> = dropped.iter().map(|path| format!("unknown field \"{path}\"")).collect();
        match self.validation {
            _ if named.is_empty() => Ok(Vec::new()),
            Validation::Ignore => Ok(Vec::new()),
            Validation::Warn => Ok(named),
            Validation::Strict => {
                let message = format!(
                    "{kind} in version \"{}\" cannot be handled as a {kind}: strict decoding error: {}",
                    self.version,
                    named.join(", ")
                );
                Err(Failure::bad_request(message))
            }
        }
    }

    /// What the API server checks before it stores an object.
    fn validate(&self, old: Option<&Value>, new: &Value) -> Result<(), Failure> {
        let mut wrong = schema::admit(&self.api_version(), &self.resource.kind, old, new);
        if let Some(schema) = self.schema().filter(|_| self.resource.custom) {
            wrong.extend(schema::validate(&schema, new));
        }
        let name = new["metadata"]["name"].as_str().unwrap_or_default();
        if wrong.is_empty() { Ok(()) } else { Err(Failure::invalid(&self.resource, name, &wrong)) }
    }

    fn default(&self, object: &mut Value) {
        if let Some(schema) = self.schema() {
            schema::default(&schema, object);
        }
    }

    fn has_status(&self) -> bool {
        self.resource.version(&self.version).is_some_and(|version| version.status)
    }

    /// Notes who owns which fields after a write that is no apply.
    fn own(&self, old: Option<&Value>, new: &mut Value) {
        let Some(schema) = self.schema() else { return };
        self.as_writer(|writer| fields::updated(&schema, old, new, writer));
    }

    fn as_writer<T>(&self, write: impl FnOnce(&Writer<'_>) -> T) -> T {
        let (api_version, time) = (self.api_version(), now());
        write(&Writer {
            manager: &self.manager,
            api_version: &api_version,
            subresource: self.part,
            time: &time,
            has_status: self.has_status(),
        })
    }
}

impl State {
    /// Creates an object.
    ///
    /// # Errors
    /// What the API server says.
    pub(super) fn create(&mut self, write: &Write, mut object: Value) -> Result<Outcome, Failure> {
        write.check_kind(&object)?;
        write.check_namespace(&mut object)?;
        let warnings = write.prune(&mut object)?;
        self.name(write, &mut object)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.open_namespace(write, &name)?;
        write.default(&mut object);
        admission::normalise(&write.resource, &mut object);
        write.own(None, &mut object);
        self.bring_in(write, object, warnings)
    }

    /// The rest of a create, of an object whose fields have their owners.
    fn bring_in(&mut self, write: &Write, mut object: Value, warnings: Vec<String>) -> Result<Outcome, Failure> {
        let resource = &write.resource;
        self.begin(write, &mut object);
        schema::prepare(&write.api_version(), &resource.kind, None, &mut object);
        admission::admit(self, resource, &mut object)?;
        write.default(&mut object);
        write.validate(None, &object)?;
        webhooks::ask(self, write, None, &object)?;
        let key = write.key(object["metadata"]["name"].as_str().unwrap_or_default());
        if self.store.find(&key).is_some() {
            return Err(Failure::already_exists(resource, &key.name));
        }
        quota::admit(self, resource, &object)?;
        self.write_down(write, &key, object, 201, warnings)
    }

    /// Keeps an object, or only shows what would be kept.
    fn write_down(
        &mut self,
        write: &Write,
        key: &Key,
        mut object: Value,
        code: u16,
        warnings: Vec<String>,
    ) -> Result<Outcome, Failure> {
        tidy(&write.resource, &mut object);
        let text = if write.dry_run {
            serde_json::to_vec(&object).unwrap_or_default().into()
        } else {
            self.keep(&write.resource, key, object).text.clone()
        };
        Ok(Outcome { code, text, warnings })
    }

    /// What a new object gets from the server.
    fn begin(&mut self, write: &Write, object: &mut Value) {
        if write.has_status() {
            remove(object, "status");
        }
        let metadata = &mut object["metadata"];
        for given in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"] {
            remove(metadata, given);
        }
        metadata["uid"] = json!(self.dice.uid());
        metadata["creationTimestamp"] = json!(now());
        remove(metadata, "generation");
        if admission::has_generation(&write.resource) {
            metadata["generation"] = json!(1);
        }
    }

    fn name(&mut self, write: &Write, object: &mut Value) -> Result<(), Failure> {
        let metadata = &mut object["metadata"];
        if metadata["name"].as_str().unwrap_or_default().is_empty() {
            let Some(prefix) = metadata["generateName"].as_str().filter(|prefix| !prefix.is_empty()) else {
                let wrong = schema::FieldError::required("metadata.name", "name or generateName is required");
                return Err(Failure::invalid(&write.resource, "", &[wrong]));
            };
            // The longest name that a label can have, less the suffix (`names.SimpleNameGenerator`).
            let prefix: String = prefix.chars().take(58).collect();
            metadata["name"] = json!(format!("{prefix}{}", self.dice.suffix()));
        }
        Ok(())
    }

    /// An object can only come into a namespace that is there and stays.
    fn open_namespace(&self, write: &Write, name: &str) -> Result<(), Failure> {
        let Some(namespace) = write.namespace.as_deref().filter(|_| write.resource.namespaced) else { return Ok(()) };
        let namespaces = self.catalog.find("", "v1", "namespaces").ok_or_else(Failure::no_such_path)?;
        let stored = self.found(&namespaces, &Self::key(&namespaces, None, namespace))?;
        if self.store.seen(&stored)["metadata"]["deletionTimestamp"].is_null() {
            return Ok(());
        }
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = json!({
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        });
        Err(Failure::forbidden(&write.resource, name, &why).detail("causes", json!([cause])))
    }

    /// Replaces or patches an object.
    ///
    /// # Errors
    /// What the API server says.
    pub(super) fn edit(&mut self, write: &Write, name: &str, edit: Edit) -> Result<Outcome, Failure> {
        let key = write.key(name);
        let stored = match self.store.find(&key) {
            Some(stored) => stored.clone(),
            // `kubectl apply` and helm create what is missing by applying it.
            None => {
                return match edit {
                    Edit::Patch(Patch::Apply(config)) if write.part.is_empty() => self.apply_new(write, name, config),
                    Edit::Replace(_) | Edit::Patch(_) => Err(Failure::not_found(&write.resource, name)),
                };
            }
        };
        let mut old = Value::clone(&self.store.seen(&stored));
        convert(&mut old, &write.api_version());
        let (mut new, warnings) = match edit {
            Edit::Replace(object) => self.replaced(write, &old, object)?,
            Edit::Patch(Patch::Apply(config)) => Self::applied(write, &old, config)?,
            Edit::Patch(patch) => self.patched(write, &old, &patch)?,
        };
        check_preconditions(&write.resource, &old, &new)?;
        carry_over(write, &old, &mut new);
        if write.part != "status" {
            schema::prepare(&write.api_version(), &write.resource.kind, Some(&old), &mut new);
        }
        if same(&old, &new) {
            return Ok(Outcome { code: 200, text: stored.text.clone(), warnings });
        }
        write.validate(Some(&old), &new)?;
        webhooks::ask(self, write, Some(&old), &new)?;
        let code = 200;
        let ends = !new["metadata"]["deletionTimestamp"].is_null() && has_no_finalizers(&new);
        if ends && !write.dry_run && admission::ends_without_finalizers(&write.resource) {
            self.keep(&write.resource, &key, new);
            let removed =
                self.discard(&write.resource, &key).ok_or_else(|| Failure::not_found(&write.resource, name))?;
            return Ok(Outcome { code, text: removed.text.clone(), warnings });
        }
        self.write_down(write, &key, new, code, warnings)
    }

    fn replaced(&mut self, write: &Write, old: &Value, mut object: Value) -> Result<(Value, Vec<String>), Failure> {
        write.check_kind(&object)?;
        write.check_namespace(&mut object)?;
        let named = object["metadata"]["name"].as_str().unwrap_or_default();
        if old["metadata"]["name"] != named {
            let expected = old["metadata"]["name"].as_str().unwrap_or_default();
            let why = format!("the name of the object ({named}) does not match the name on the URL ({expected})");
            return Err(Failure::bad_request(why));
        }
        let warnings = write.prune(&mut object)?;
        write.default(&mut object);
        admission::normalise(&write.resource, &mut object);
        write.own(Some(old), &mut object);
        Ok((object, warnings))
    }

    fn patched(&mut self, write: &Write, old: &Value, patch: &Patch) -> Result<(Value, Vec<String>), Failure> {
        let schema = write.schema();
        let mut new = patch.to(schema.as_deref(), old).map_err(|error| unpatched(write, old, error))?;
        let patched = new.clone();
        let warnings = write.prune(&mut new).map_err(|refused| unread(refused, &patched))?;
        write.default(&mut new);
        admission::normalise(&write.resource, &mut new);
        write.own(Some(old), &mut new);
        Ok((new, warnings))
    }

    fn applied(write: &Write, old: &Value, mut config: Value) -> Result<(Value, Vec<String>), Failure> {
        write.check_kind(&config)?;
        write.check_namespace(&mut config)?;
        admission::normalise(&write.resource, &mut config);
        let mut new = apply(write, Some(old), &config)?;
        write.default(&mut new);
        Ok((new, Vec::new()))
    }

    fn apply_new(&mut self, write: &Write, name: &str, mut config: Value) -> Result<Outcome, Failure> {
        write.check_kind(&config)?;
        write.check_namespace(&mut config)?;
        if config["metadata"]["name"].as_str().is_none_or(str::is_empty) {
            config["metadata"]["name"] = json!(name);
        }
        self.open_namespace(write, name)?;
        admission::normalise(&write.resource, &mut config);
        let mut new = apply(write, None, &config)?;
        write.default(&mut new);
        self.bring_in(write, new, Vec::new())
    }
}

fn apply(write: &Write, live: Option<&Value>, config: &Value) -> Result<Value, Failure> {
    let schema = write.schema().ok_or_else(Failure::no_such_path)?;
    if let Some(why) = schema::decode_error(&schema, config) {
        return Err(Failure::new(500, "", format!("failed to create typed patch object: {why}")));
    }
    let applied = write.as_writer(|writer| fields::apply(&schema, live, config, writer, write.force));
    applied.map_err(|error| match error {
        ApplyError::Bad(why) => Failure::bad_request(why),
        ApplyError::Unfit(why) => Failure::new(500, "", why),
        ApplyError::Conflicts(conflicts) => {
            let cause = |conflict: &fields::Conflict| {
                let message = format!("conflict with {}", conflict.manager);
                json!({ "reason": "FieldManagerConflict", "message": message, "field": conflict.path })
            };
            let causes: Vec<Value> = conflicts.iter().map(cause).collect();
            let failure = Failure::new(409, "Conflict", fields::conflict_message(&conflicts));
            Failure { details: json!({ "causes": causes }), ..failure }
        }
    })
}

/// Of an unknown field in what a patch has made, the whole object is told (`pkg/endpoints/handlers/patch.go`).
fn unread(refused: Failure, patched: &Value) -> Failure {
    match refused.message.split_once("strict decoding error: ") {
        Some((_, why)) => {
            let told = json!(patched.to_string());
            let why = format!(" \"\" is invalid: patch: Invalid value: {told}: strict decoding error: {why}");
            Failure::new(422, "Invalid", why)
        }
        None => refused,
    }
}

fn unpatched(write: &Write, old: &Value, error: PatchError) -> Failure {
    match error {
        PatchError::Malformed(why) => Failure::bad_request(why),
        PatchError::Failed(why) => Failure::new(500, "", why),
        PatchError::Unfit(why) => {
            let name = old["metadata"]["name"].as_str().unwrap_or_default();
            Failure::new(422, "Invalid", why).about(&write.resource, name)
        }
    }
}

/// What a write asks of the object as it was: the version and the uid that it names.
fn check_preconditions(resource: &Resource, old: &Value, new: &Value) -> Result<(), Failure> {
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let (asked, is) = (text(new, "uid"), text(old, "uid"));
    if !asked.is_empty() && asked != is {
        let why = format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {is}");
        return Err(Failure::conflict(resource, name, &why));
    }
    let (asked, is) = (text(new, "resourceVersion"), text(old, "resourceVersion"));
    if !asked.is_empty() && asked != is {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Failure::conflict(resource, name, why));
    }
    Ok(())
}

/// Gives an object what only the server may change, and keeps each part to its own path.
fn carry_over(write: &Write, old: &Value, new: &mut Value) {
    if write.part == "status" {
        // Of the rest only who owns what is taken over.
        let (status, managed) = (new["status"].take(), new["metadata"]["managedFields"].take());
        *new = old.clone();
        set_or_remove(new, "status", status);
        set_or_remove(&mut new["metadata"], "managedFields", managed);
        return;
    }
    if write.has_status() {
        set_or_remove(new, "status", old["status"].clone());
    }
    for kept in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "name",
        "namespace",
        "generateName",
    ] {
        set_or_remove(&mut new["metadata"], kept, old["metadata"][kept].clone());
    }
    if admission::has_generation(&write.resource) && admission::counts(old, new) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
        new["metadata"]["generation"] = json!(generation + 1);
    }
    admission::keep_allocated(&write.resource, old, new);
}

/// Whether nothing changes but times of ownership.
fn same(old: &Value, new: &Value) -> bool {
    old == new
}

fn has_no_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
}

/// An object in the words of another of its versions.
pub(super) fn convert(object: &mut Value, api_version: &str) {
    if object["apiVersion"] != *api_version {
        object["apiVersion"] = json!(api_version);
    }
}

/// Brings an object into the order and the version in which it is stored: kind and version first, so that lists of
/// built-in kinds can leave them out.
fn tidy(resource: &Resource, object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    let mut tidied = Map::with_capacity(map.len());
    tidied.insert("kind".to_owned(), json!(resource.kind));
    tidied.insert("apiVersion".to_owned(), json!(resource.api_version(&resource.storage)));
    for (key, value) in std::mem::take(map) {
        if key != "kind" && key != "apiVersion" {
            tidied.insert(key, value);
        }
    }
    *map = tidied;
    if let Some(metadata) = map.get_mut("metadata") {
        for list in ["managedFields", "finalizers", "ownerReferences"] {
            if metadata[list].as_array().is_some_and(Vec::is_empty) {
                remove(metadata, list);
            }
        }
    }
}

pub(super) fn remove(value: &mut Value, key: &str) {
    value.as_object_mut().into_iter().for_each(|map| drop(map.shift_remove(key)));
}

pub(super) fn set_or_remove(object: &mut Value, key: &str, value: Value) {
    if value.is_null() {
        remove(object, key);
    } else {
        object[key] = value;
    }
}

/// What the cluster itself does, past what clients must say and may not do. Ownership of fields is not noted for it.
impl State {
    /// Creates an object of an actor's.
    ///
    /// # Errors
    /// What the API server says.
    pub(super) fn create_own(&mut self, resource: &Arc<Resource>, mut object: Value) -> Result<(), Failure> {
        let write = Write {
            resource: resource.clone(),
            version: resource.storage.clone(),
            namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
            part: "",
            manager: String::new(),
            validation: Validation::Ignore,
            dry_run: false,
            force: false,
        };
        self.name(&write, &mut object)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.open_namespace(&write, &name)?;
        write.default(&mut object);
        admission::normalise(resource, &mut object);
        self.bring_in(&write, object, Vec::new()).map(drop)
    }

    /// Changes an object, where it is there, of this uid, and changes by it.
    pub(super) fn amend(&mut self, key: &Key, uid: &str, change: impl FnOnce(&mut Value)) {
        let Some((resource, old)) = self.own(key, uid) else { return };
        let mut new = old.clone();
        change(&mut new);
        if new == old {
            return;
        }
        if admission::has_generation(&resource) && admission::counts(&old, &new) {
            new["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        let ends = !new["metadata"]["deletionTimestamp"].is_null() && has_no_finalizers(&new);
        tidy(&resource, &mut new);
        self.keep(&resource, key, new);
        if ends && admission::ends_without_finalizers(&resource) {
            self.discard(&resource, key);
        }
    }

    /// Deletes an object with what it owns.
    pub(super) fn delete_own(&mut self, key: &Key, uid: &str) {
        let Some((resource, _)) = self.own(key, uid) else { return };
        let how = Deletion { propagation: Some("Background".to_owned()), ..Deletion::default() };
        // What cannot be deleted now is looked at again.
        self.delete(&resource, key, &how).ok();
    }

    /// Removes a pod whose node has ended it, once nothing else holds it.
    pub(super) fn reap(&mut self, key: &Key, uid: &str) {
        let Some((resource, object)) = self.own(key, uid) else { return };
        if has_no_finalizers(&object) {
            self.discard(&resource, key);
        }
    }

    fn own(&self, key: &Key, uid: &str) -> Option<(Arc<Resource>, Value)> {
        let stored = self.store.find(key).filter(|stored| &*stored.uid == uid)?;
        Some((self.catalog.of_collection(&key.resource)?, Value::clone(&self.store.seen(stored))))
    }
}
