//! What an API server says when it refuses: a `Status`, in its own words
//! (`k8s.io/apimachinery/pkg/api/errors`).

use serde_json::{Value, json};

use super::catalog::Resource;
use super::schema::{FieldError, invalid_message};

/// A request that is refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    /// The HTTP status.
    pub(super) code: u16,
    /// The reason, as clients tell refusals apart.
    pub(super) reason: &'static str,
    /// The words.
    pub(super) message: String,
    /// `details` of the Status.
    pub(super) details: Value,
}

impl Failure {
    /// A refusal without details.
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    /// A request that cannot be understood.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// An object that is not there.
    pub(super) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", resource.title())).about(resource, name)
    }

    /// A path that nothing serves.
    pub(super) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Self { details: json!({}), ..Self::new(404, "NotFound", message) }
    }

    /// A verb that a resource does not have.
    pub(super) fn no_such_verb() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self { details: json!({}), ..Self::new(405, "MethodNotAllowed", message) }
    }

    /// A name that is taken.
    pub(super) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.title());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// A write to what has changed since it was read, or another precondition that does not hold.
    pub(super) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.title());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// What is not allowed.
    pub(super) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", resource.title());
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// An object with mistakes, each with its field. The kind is said in full here, not the resource.
    pub(super) fn invalid(resource: &Resource, name: &str, wrong: &[FieldError]) -> Self {
        let message = invalid_message(&resource.group, &resource.kind, name, wrong);
        let causes: Vec<Value> = wrong
            .iter()
            .map(|error| json!({ "reason": error.kind.reason(), "message": error.message(), "field": error.path }))
            .collect();
        let mut failure = Self::new(422, "Invalid", message);
        failure.details = json!({ "name": name, "group": *resource.group, "kind": resource.kind, "causes": causes });
        if resource.group.is_empty() {
            remove(&mut failure.details, "group");
        }
        failure
    }

    /// A version from which nothing can be told any more.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The same, with what it is about.
    pub(super) fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.details = json!({ "name": name, "group": *resource.group, "kind": *resource.plural });
        if resource.group.is_empty() {
            remove(&mut self.details, "group");
        }
        self
    }

    /// The same with more details.
    pub(super) fn detail(mut self, key: &str, value: Value) -> Self {
        self.details[key] = value;
        self
    }

    /// The `Status` that is sent.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        });
        if self.details.is_null() {
            remove(&mut status, "details");
        }
        status
    }
}

fn remove(value: &mut Value, key: &str) {
    value.as_object_mut().into_iter().for_each(|map| drop(map.shift_remove(key)));
}
