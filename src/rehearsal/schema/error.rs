//! What is wrong with a field, in the words of the API server (`k8s.io/apimachinery/pkg/util/validation/field`).

use std::fmt;

use serde_json::Value;

/// In which way a field is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// It is missing.
    Required,
    /// What it names is not there.
    NotFound,
    /// Its value is not allowed.
    Invalid,
    /// Its value is of another type.
    TypeInvalid,
    /// Its value is none of those that are allowed.
    NotSupported,
    /// Its value is there twice.
    Duplicate,
    /// Its text is too long.
    TooLong,
    /// It has too many items.
    TooMany,
    /// It may not be there, or not be changed.
    Forbidden,
}

impl ErrorKind {
    /// The reason in a `Status` cause.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::NotFound => "FieldValueNotFound",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Forbidden => "FieldValueForbidden",
        }
    }

    /// How a message names it.
    fn words(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::NotFound => "Not found",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Forbidden => "Forbidden",
        }
    }
}

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldError {
    /// Where: `spec.template.spec.containers[0].image`.
    pub(crate) path: String,
    /// In which way.
    pub(crate) kind: ErrorKind,
    /// The value that is wrong, where the message shows one.
    pub(crate) value: Option<Value>,
    /// More about it; may be empty.
    pub(crate) detail: String,
}

impl FieldError {
    /// A field that must be there.
    pub(crate) fn required(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { path: path.into(), kind: ErrorKind::Required, value: None, detail: detail.into() }
    }

    /// A field whose value is not allowed.
    pub(crate) fn invalid(path: impl Into<String>, value: Value, detail: impl Into<String>) -> Self {
        Self { path: path.into(), kind: ErrorKind::Invalid, value: Some(value), detail: detail.into() }
    }

    /// A value that is of another type, or has not the form of its type.
    pub(crate) fn type_invalid(path: impl Into<String>, value: Value, detail: impl Into<String>) -> Self {
        Self { path: path.into(), kind: ErrorKind::TypeInvalid, value: Some(value), detail: detail.into() }
    }

    /// A field that may not be there, or not be changed.
    pub(crate) fn forbidden(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { path: path.into(), kind: ErrorKind::Forbidden, value: None, detail: detail.into() }
    }

    /// A field that names what is not there.
    pub(crate) fn not_found(path: impl Into<String>, value: Value) -> Self {
        Self { path: path.into(), kind: ErrorKind::NotFound, value: Some(value), detail: String::new() }
    }

    /// A value that is there a second time.
    pub(crate) fn duplicate(path: impl Into<String>, value: Value) -> Self {
        Self { path: path.into(), kind: ErrorKind::Duplicate, value: Some(value), detail: String::new() }
    }

    /// A text that is longer than `most` bytes.
    pub(crate) fn too_long(path: impl Into<String>, most: u64) -> Self {
        let detail = format!("may not be more than {most} bytes");
        Self { path: path.into(), kind: ErrorKind::TooLong, value: None, detail }
    }

    /// A list of `count` items where `most` are allowed.
    pub(crate) fn too_many(path: impl Into<String>, count: usize, most: u64) -> Self {
        let detail = format!("must have at most {most} {}", if most == 1 { "item" } else { "items" });
        Self { path: path.into(), kind: ErrorKind::TooMany, value: Some(count.into()), detail }
    }

    /// A value that is none of `allowed`.
    pub(crate) fn not_supported(path: impl Into<String>, value: Value, allowed: &[Value]) -> Self {
        let words: Vec<String> = allowed.iter().map(Value::to_string).collect();
        let detail = if words.is_empty() { String::new() } else { format!("supported values: {}", words.join(", ")) };
        Self { path: path.into(), kind: ErrorKind::NotSupported, value: Some(value), detail }
    }

    /// What a `Status` cause says: the message without the field.
    pub(crate) fn message(&self) -> String {
        let mut text = self.kind.words().to_owned();
        if let Some(value) = &self.value {
            text.push_str(": ");
            text.push_str(&value.to_string());
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message())
    }
}

/// The message of a 422: `Deployment.apps "x" is invalid: …`, several errors in brackets, each said once.
pub(crate) fn invalid_message(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for error in errors {
        let line = error.to_string();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let kind = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    match lines.as_slice() {
        [one] => format!("{kind} {name:?} is invalid: {one}"),
        several => format!("{kind} {name:?} is invalid: [{}]", several.join(", ")),
    }
}
