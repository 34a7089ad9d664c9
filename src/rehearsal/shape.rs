//! In which shape objects are sent: whole, their metadata alone, or as rows of a table.

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::catalog::{Resource, api_version};
use super::table;

/// The shape that a client asks for by its `Accept` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `Table`; whether each row has its object's metadata.
    Table,
}

impl Shape {
    /// Reads an `Accept` header: the first of its alternatives that is served here. None where there is none.
    pub(super) fn of(accept: &str) -> Option<Self> {
        if accept.trim().is_empty() {
            return Some(Self::Whole);
        }
        accept.split(',').find_map(|alternative| {
            let mut parts = alternative.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let parameters: Vec<&str> = parts.collect();
            let wanted = parameters.iter().find_map(|parameter| parameter.strip_prefix("as="));
            match (kind, wanted) {
                ("application/json" | "*/*" | "application/*", None) => Some(Self::Whole),
                ("application/json", Some("Table")) if parameters.contains(&"v=v1") => Some(Self::Table),
                ("application/json", Some("PartialObjectMetadata" | "PartialObjectMetadataList"))
                    if parameters.contains(&"v=v1") =>
                {
                    Some(Self::Metadata)
                }
                _ => None,
            }
        })
    }
}

/// Whose objects are sent, in which version and shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lens<'a> {
    pub(super) resource: &'a Resource,
    pub(super) version: &'a str,
    pub(super) shape: Shape,
}

impl Lens<'_> {
    /// One object, alone.
    pub(super) fn object(&self, text: &Bytes) -> Bytes {
        match self.shape {
            Shape::Whole if self.version == self.resource.storage => text.clone(),
            Shape::Whole => sent(&self.converted(text)),
            Shape::Metadata => sent(&self.metadata(text, true)),
            Shape::Table => sent(&self.table(&[text], &json!({}), true)),
        }
    }

    /// One object of a list. Of built-in kinds the list alone says what they are.
    pub(super) fn item(&self, text: &Bytes) -> Bytes {
        let is_bare = !self.resource.custom && self.version == self.resource.storage;
        match self.shape {
            Shape::Whole if is_bare => bare(text),
            Shape::Whole | Shape::Table => self.object(text),
            Shape::Metadata => sent(&self.metadata(text, false)),
        }
    }

    /// The objects of a list as one table.
    pub(super) fn table(&self, texts: &[&Bytes], metadata: &Value, with_columns: bool) -> Value {
        let objects: Vec<Value> = texts.iter().map(|text| self.converted(text)).collect();
        table::table(self.resource, self.version, &objects, metadata, with_columns)
    }

    /// Kind and version of a list.
    pub(super) fn list_kind(&self) -> (&str, String) {
        match self.shape {
            Shape::Metadata => ("PartialObjectMetadataList", "meta.k8s.io/v1".to_owned()),
            Shape::Whole | Shape::Table => (&self.resource.list_kind, api_version(&self.resource.group, self.version)),
        }
    }

    /// What a bookmark says: a version, and that there is nothing before it that was not sent.
    pub(super) fn bookmark(&self, revision: u64, ends_list: bool) -> Value {
        let mut metadata = json!({ "resourceVersion": revision.to_string(), "creationTimestamp": null });
        if ends_list {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let (kind, version) = match self.shape {
            Shape::Whole => (self.resource.kind.as_str(), api_version(&self.resource.group, self.version)),
            Shape::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            Shape::Table => {
                return json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": null, "rows": [] });
            }
        };
        json!({ "kind": kind, "apiVersion": version, "metadata": metadata })
    }

    fn converted(&self, text: &Bytes) -> Value {
        let mut object: Value = serde_json::from_slice(text).unwrap_or_default();
        object["apiVersion"] = json!(api_version(&self.resource.group, self.version));
        object
    }

    fn metadata(&self, text: &Bytes, with_kind: bool) -> Value {
        let mut object: Value = serde_json::from_slice(text).unwrap_or_default();
        let metadata = object["metadata"].take();
        match with_kind {
            true => json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata }),
            false => json!({ "metadata": metadata }),
        }
    }
}

/// An object without the kind and the version with which its text begins.
fn bare(text: &Bytes) -> Bytes {
    const AFTER: &[u8] = b",\"metadata\"";
    match text.windows(AFTER.len()).position(|window| window == AFTER) {
        Some(at) => [b"{", &text[at + 1..]].concat().into(),
        None => text.clone(),
    }
}

pub(super) fn sent(value: &Value) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_alternative_that_is_served_decides() {
        for (accept, shape) in [
            ("", Some(Shape::Whole)),
            ("application/json, */*", Some(Shape::Whole)),
            ("application/vnd.kubernetes.protobuf,application/json", Some(Shape::Whole)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some(Shape::Table)),
            ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", Some(Shape::Whole)),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Some(Shape::Metadata)),
            ("application/vnd.kubernetes.protobuf", None),
        ] {
            assert_eq!(Shape::of(accept), shape, "{accept}");
        }
    }

    #[test]
    fn an_item_of_a_built_in_kind_does_not_repeat_what_its_list_says() {
        let text = Bytes::from_static(br#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}"#);
        assert_eq!(&bare(&text)[..], br#"{"metadata":{"name":"a"}}"#);
    }
}
