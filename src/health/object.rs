//! One object, read by where things are in it: built-in and custom kinds alike, whatever version served them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// One object as the API server has it.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Its API group; empty for the core group.
    pub group: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its metadata.
    pub metadata: &'a ObjectMeta,
    /// Everything else: `spec`, `status` and so on at the top.
    pub data: &'a Value,
}

impl<'a> Object<'a> {
    pub(super) fn name(self) -> &'a str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn uid(self) -> &'a str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) const fn is_going(self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    pub(super) fn annotation(self, key: &str) -> Option<&'a str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    pub(super) fn label(self, key: &str) -> Option<&'a str> {
        self.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }

    pub(super) fn is_owned_by(self, uid: &str) -> bool {
        self.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid)
    }

    /// The text at a JSON pointer; empty where there is none.
    pub(super) fn text(self, pointer: &str) -> &'a str {
        text(self.data, pointer)
    }

    /// The whole number at a JSON pointer.
    pub(super) fn number(self, pointer: &str) -> Option<i64> {
        self.data.pointer(pointer).and_then(Value::as_i64)
    }

    /// The whole number at a JSON pointer; zero where there is none, as the API leaves zeros out.
    pub(super) fn count(self, pointer: &str) -> i64 {
        self.number(pointer).unwrap_or_default()
    }

    /// The items at a JSON pointer; none where there is no list.
    pub(super) fn list(self, pointer: &str) -> &'a [Value] {
        list(self.data, pointer)
    }

    /// `status.conditions`.
    pub(super) fn conditions(self) -> &'a [Value] {
        self.list("/status/conditions")
    }

    /// The condition of a type.
    pub(super) fn condition(self, kind: &str) -> Option<&'a Value> {
        self.conditions().iter().find(|condition| text(condition, "/type") == kind)
    }

    /// The condition of a type, where it is `True`.
    pub(super) fn holds(self, kind: &str) -> Option<&'a Value> {
        self.condition(kind).filter(|condition| text(condition, "/status") == "True")
    }

    /// Whether the controller's status is about an older specification. Some controllers write the number as text.
    pub(super) fn is_stale(self) -> bool {
        let observed = self
            .data
            .pointer("/status/observedGeneration")
            .and_then(|observed| observed.as_i64().or_else(|| observed.as_str()?.parse().ok()));
        observed.is_some_and(|observed| observed < self.metadata.generation.unwrap_or_default())
    }
}

/// The text at a JSON pointer; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The items at a JSON pointer; none where there is no list.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// What a condition or event says of itself: its message, or its reason where that is all.
pub(super) fn words(value: &Value) -> &str {
    match text(value, "/message").trim() {
        "" => text(value, "/reason"),
        message => message,
    }
}
