//! Manifests: YAML or JSON text as Kubernetes objects.
//!
//! Read as the field's tools read them (YAML 1.1 booleans and octal numbers), so that `mode: 0644` is 420 here too.

use kube::api::DynamicObject;
use serde_json::Value;

/// A text that holds no objects.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not YAML.
    #[error("{file} is not YAML: {words}")]
    Syntax {
        /// Where the text came from.
        file: String,
        /// The parser's words, with the place.
        words: String,
    },
    /// A document in it is no Kubernetes object.
    #[error("document {number} of {file} is no Kubernetes object: {what}")]
    Shape {
        /// Where the text came from.
        file: String,
        /// Which document, from 1.
        number: usize,
        /// What is missing or wrong.
        what: String,
    },
}

/// Every object in a text of any number of documents; lists (`kind: List`) are taken apart, empty documents are nothing.
///
/// # Errors
/// Where the text is not YAML, or a document lacks `apiVersion`, `kind` or a name.
pub fn read(text: &str, file: &str) -> Result<Vec<DynamicObject>, ManifestError> {
    // Rendered charts are larger than what people write: the parser's limits are raised, not lifted.
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        budget: serde_saphyr::budget! { max_documents: 10_000, max_nodes: 4_000_000, max_events: 10_000_000 },
    };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| ManifestError::Syntax { file: file.to_owned(), words: error.to_string() })?;
    let mut objects = Vec::new();
    for (number, document) in documents.into_iter().enumerate().filter(|(_, document)| !document.is_null()) {
        let wrong = |what: String| ManifestError::Shape { file: file.to_owned(), number: number + 1, what };
        for item in taken_apart(document) {
            objects.push(object(item).map_err(wrong)?);
        }
    }
    Ok(objects)
}

fn taken_apart(document: Value) -> Vec<Value> {
    let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) && document["items"].is_array();
    match document {
        Value::Object(mut map) if is_list => match map.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        other => vec![other],
    }
}

fn object(value: Value) -> Result<DynamicObject, String> {
    let object: DynamicObject = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let types = object.types.as_ref().ok_or("it has no `apiVersion` and `kind`")?;
    if types.kind.is_empty() || types.api_version.is_empty() {
        return Err("it has no `apiVersion` or no `kind`".to_owned());
    }
    if object.metadata.name.is_none() && object.metadata.generate_name.is_none() {
        return Err(format!("the {} has no `metadata.name`", types.kind));
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_lists_and_numbers_are_read_as_kubectl_reads_them() {
        let text = "---\n# nothing\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata: { mode: 0644 }\n---\n\
                    apiVersion: v1\nkind: List\nitems:\n- { apiVersion: v1, kind: Secret, metadata: { name: b } }\n";
        let objects = read(text, "x.yaml").unwrap();
        let names: Vec<_> = objects.iter().map(|object| object.metadata.name.as_deref()).collect();
        assert_eq!(names, [Some("a"), Some("b")]);
        assert_eq!(objects[0].data["data"]["mode"], 420);
    }

    #[test]
    fn what_is_no_object_is_named_by_its_document() {
        for (text, words) in [
            ("a: 1", "document 1 of x.yaml is no Kubernetes object: it has no `apiVersion` and `kind`"),
            ("apiVersion: v1\nkind: Pod", "document 1 of x.yaml is no Kubernetes object"),
        ] {
            assert!(read(text, "x.yaml").unwrap_err().to_string().starts_with(words), "{text}");
        }
        assert!(matches!(read("a: [", "x.yaml"), Err(ManifestError::Syntax { .. })));
    }
}
