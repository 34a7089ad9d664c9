//! Kubernetes objects from the text that people and tools write: YAML streams, JSON, what helm and kustomize print.
//!
//! - Never: a file, a request. Text and the name of where it came from go in, objects come out.
//! - Why documents are cut apart first: each keeps the name of the template that it came from, an error names it, and a
//!   stream of thousands of documents never meets the parser's limits for one.
//! - Why these options: manifests are read as kubectl and helm read them (YAML 1.1: `0644` is 420, the last of two equal
//!   keys wins), keys as well as values: an unquoted key `no` is the text `false`.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use kube::api::DynamicObject;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::options::DuplicateKeyPolicy;

/// One object and where it was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The file, or the template that helm names above a document.
    pub source: String,
    /// The object; it has a kind, an API version and a name.
    pub object: DynamicObject,
}

/// Text that holds no objects.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is neither YAML nor JSON.
    #[error("{origin} is not valid YAML: {words}")]
    Syntax {
        /// Where it was written.
        origin: String,
        /// The parser's words, with a line that counts from the document's start.
        words: String,
    },
    /// It can be read, but is no Kubernetes object.
    #[error("{origin} is not a Kubernetes object: {why}")]
    NotAnObject {
        /// Where it was written.
        origin: String,
        /// What is missing or wrong.
        why: String,
    },
}

/// Whether a file's ending says that it is a manifest; helm and kubectl know the same three.
#[must_use]
pub fn is_named_as_one(file: &Path) -> bool {
    file.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| ["yaml", "yml", "json"].contains(&ending))
}

/// Every object of a text, in its order; the items of a `List` one by one.
///
/// # Errors
/// At the first document that is not YAML, JSON, or an object with `apiVersion`, `kind` and `metadata.name`.
pub fn read(origin: &str, text: &str) -> Result<Vec<Written>, ManifestError> {
    let read: Result<Vec<_>, _> = documents(origin, text).iter().map(Document::read).collect();
    Ok(read?.concat())
}

/// One document of a stream, not yet parsed.
#[derive(Debug)]
pub struct Document {
    /// The file, or the template that helm names above it.
    pub origin: String,
    text: String,
}

impl Document {
    /// The objects of the document: one, or the items of a `List`.
    ///
    /// # Errors
    /// As [`read`].
    pub fn read(&self) -> Result<Vec<Written>, ManifestError> {
        let written = |value| Ok(Written { object: object(&self.origin, value)?, source: self.origin.clone() });
        items(value(&self.origin, &self.text)?).into_iter().map(written).collect()
    }
}

/// One document as plain data; `null` where it is empty.
///
/// # Errors
/// Where it is neither YAML nor JSON.
pub fn value(origin: &str, text: &str) -> Result<Value, ManifestError> {
    if let Ok(json) = serde_json::from_str(text) {
        return Ok(json);
    }
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        budget: serde_saphyr::budget! { max_depth: 256, max_nodes: 4_000_000, max_events: 16_000_000 },
    };
    let parsed: Result<Option<Node>, _> = serde_saphyr::from_str_with_options(text, options);
    parsed.map(|node| node.map_or(Value::Null, |Node(value)| value)).map_err(|error| {
        let words = error.without_snippet().to_string();
        let words = words.strip_prefix("error: ").unwrap_or(&words).to_owned();
        ManifestError::Syntax { origin: origin.to_owned(), words }
    })
}

/// YAML as the JSON that becomes of it on its way to the API server (sigs.k8s.io/yaml `YAMLToJSON`).
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        text.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // JSON as Go writes it: `1.0` is 1, which fits a field that takes whole numbers only.
        Ok(value.to_string().parse().map_or_else(|_| value.into(), |whole: i64| whole.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(Node(item)) = items.next_element()? {
            read.push(item);
        }
        Ok(read.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some((Key(key), Node(value))) = fields.next_entry()? {
            read.insert(key, value);
        }
        Ok(read.into())
    }
}

/// A key, first read as a value and then written as text.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        match text.deserialize_any(Reader)? {
            Value::String(text) => Ok(Self(text)),
            value @ (Value::Bool(_) | Value::Number(_)) => Ok(Self(value.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(de::Error::custom("a key must be text")),
        }
    }
}

/// The documents of a stream that say anything, each with where it was written.
///
/// A line that begins with `---` always starts a document: YAML forbids it within a scalar, and helm cuts the same way.
#[must_use]
pub fn documents(origin: &str, text: &str) -> Vec<Document> {
    let mut documents = Vec::new();
    let mut last = Document { origin: origin.to_owned(), text: String::new() };
    for line in text.lines() {
        if let Some(rest) =
            line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            let next = Document { origin: last.origin.clone(), text: format!("{rest}\n") };
            documents.push(std::mem::replace(&mut last, next));
            continue;
        }
        if let Some(template) = line.strip_prefix("# Source: ") {
            template.trim().clone_into(&mut last.origin);
        }
        last.text.push_str(line);
        last.text.push('\n');
    }
    documents.push(last);
    let says = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
    documents.retain(|document| document.text.lines().any(says));
    documents
}

/// The value itself, or the items of a `List`.
fn items(mut value: Value) -> Vec<Value> {
    if value.is_null() {
        return Vec::new();
    }
    if value["kind"] != "List" {
        return vec![value];
    }
    if let Value::Array(items) = value["items"].take() { items } else { Vec::new() }
}

fn object(origin: &str, mut value: Value) -> Result<DynamicObject, ManifestError> {
    let wrong = |why: String| ManifestError::NotAnObject { origin: origin.to_owned(), why };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&value["kind"]);
    for (part, found) in
        [("apiVersion", text(&value["apiVersion"])), ("kind", kind.clone()), ("metadata.name", name(&value))]
    {
        if found.is_empty() {
            return Err(wrong(format!("it has no `{part}`")));
        }
    }
    if text(&value["apiVersion"]).starts_with("kustomize.config.k8s.io/") {
        return Err(wrong("it is a kustomization; give what `kustomize build` prints of it".to_owned()));
    }
    for part in ["labels", "annotations"] {
        let texts = value.pointer_mut(&format!("/metadata/{part}")).and_then(Value::as_object_mut);
        // As Go reads it, which is how charts with an unset value in a label have always been installed.
        texts.into_iter().flatten().filter(|(_, text)| text.is_null()).for_each(|(_, text)| *text = "".into());
    }
    serde_json::from_value(value).map_err(|error| wrong(format!("{kind}: {error}")))
}

fn name(value: &Value) -> String {
    let metadata = &value["metadata"];
    // A kustomization is named by its file; it gets its own remedy.
    let fallback = if value["kind"] == "Kustomization" { "kustomization" } else { "" };
    metadata["name"].as_str().unwrap_or(fallback).to_owned()
}

/// `Deployment shop/redis`, `ClusterRole reader`: an object as people name it.
#[must_use]
pub fn title(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("object", |types| types.kind.as_str());
    let name = object.metadata.name.as_deref().unwrap_or("without a name");
    match &object.metadata.namespace {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// Whether the object is of this kind, in whatever version of this group.
#[must_use]
pub fn is(object: &DynamicObject, group: &str, kind: &str) -> bool {
    object.types.as_ref().is_some_and(|types| {
        let found = types.api_version.split_once('/').map_or("", |(group, _)| group);
        found == group && types.kind == kind
    })
}

/// What a Secret holds, decoded, as far as it is text; nothing of any other object.
#[must_use]
pub fn secret_values(object: &DynamicObject) -> Vec<String> {
    if !is(object, "", "Secret") {
        return Vec::new();
    }
    let texts = |part: &str| -> Vec<String> {
        let fields = object.data[part].as_object().into_iter().flatten();
        fields.filter_map(|(_, value)| value.as_str().map(str::to_owned)).collect()
    };
    let decoded = texts("data").into_iter().filter_map(|text| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
        String::from_utf8(bytes).ok()
    });
    decoded.chain(texts("stringData")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(text: &str) -> Vec<String> {
        read("x.yaml", text).unwrap().iter().map(|one| title(&one.object)).collect()
    }

    #[test]
    fn empty_and_comment_only_documents_are_no_objects() {
        assert!(titles("# nothing\n---\n\n---\n# Source: a.yaml\n---").is_empty());
        assert!(titles("").is_empty());
    }

    #[test]
    fn a_separator_cuts_and_dashes_within_a_scalar_do_not() {
        let text = "--- # first\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  pem: |\n    ---BEGIN---\n    ---\n\
                    ---\r\napiVersion: v1\nkind: Secret\nmetadata: {name: b, namespace: ns}\n";
        assert_eq!(titles(text), ["ConfigMap a", "Secret ns/b"]);
        assert_eq!(read("x", text).unwrap()[0].object.data["data"]["pem"], "---BEGIN---\n---\n");
    }

    #[test]
    fn a_document_carries_the_template_that_helm_names_and_so_do_those_after_it_in_one_file() {
        let text = "---\n# Source: demo/crds/a.yaml\napiVersion: v1\nkind: A\nmetadata: {name: a}\n---\n\
                    apiVersion: v1\nkind: B\nmetadata: {name: b}\n";
        let sources: Vec<String> = read("demo", text).unwrap().into_iter().map(|one| one.source).collect();
        assert_eq!(sources, ["demo/crds/a.yaml", "demo/crds/a.yaml"]);
    }

    #[test]
    fn values_are_read_as_kubectl_reads_them() {
        for (text, json) in [
            ("[0644, 1_000, 1.0, 1e3, 1.10, 1:30]", r#"[420,1000,1,1000,1.1,"1:30"]"#),
            ("[yes, On, n, ~, 'no', !!str off, 2001-12-14]", r#"[true,true,false,null,"no","off","2001-12-14"]"#),
            ("{twice: 1, twice: 2}", r#"{"twice":2}"#),
            ("{n: 1, YES: 2}", r#"{"false":1,"true":2}"#),
            ("{'n': 1, \"yes\": 2, !!str on: 3}", r#"{"n":1,"on":3,"yes":2}"#),
            ("{0644: 1, 1.10: 2, '007': 3}", r#"{"007":3,"1.1":2,"420":1}"#),
            ("{a: &a {x: 1, no: 2}, b: {<<: *a, y: 3}}", r#"{"a":{"false":2,"x":1},"b":{"false":2,"true":3,"x":1}}"#),
        ] {
            let json: Value = serde_json::from_str(json).unwrap();
            assert_eq!(value("x", text).unwrap(), json, "{text}");
        }
        assert!(value("x", "~: 1").unwrap_err().to_string().contains("a key must be text"));
    }

    #[test]
    fn json_and_the_items_of_a_list_are_objects_too() {
        let text =
            r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}]}"#;
        assert_eq!(titles(text), ["Pod a"]);
    }

    #[test]
    fn what_is_no_object_says_what_it_lacks() {
        for (text, words) in [
            ("apiVersion: v1\nkind: Pod\n", "x.yaml is not a Kubernetes object: it has no `metadata.name`"),
            ("kind: Pod\nmetadata: {name: a}\n", "x.yaml is not a Kubernetes object: it has no `apiVersion`"),
            ("just text", "x.yaml is not a Kubernetes object: it has no `apiVersion`"),
            (
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
                "x.yaml is not a Kubernetes object: it is a kustomization; give what `kustomize build` prints of it",
            ),
            ("a: [1\n", "x.yaml is not valid YAML: unclosed bracket '[' at line 1, column 4"),
        ] {
            assert_eq!(read("x.yaml", text).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn thousands_of_documents_are_fine() {
        let text = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n".repeat(3_000);
        assert_eq!(titles(&text).len(), 3_000);
    }
}
