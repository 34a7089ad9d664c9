//! Secrets among rendered objects: learnt, so that no output carries them, and taken out of what is written to files.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use serde_json::Value;

use super::images;
use crate::manifest;
use crate::secrets::{MASK, Secrets};

/// Learns every value of every Secret, but for those that are a name of something in the same component as well.
///
/// A Secret often holds a user or a database beside the password. Were `postgres` masked, no report could name the image.
pub(super) fn learn(objects: &[DynamicObject], secrets: &Secrets) {
    let values: Vec<String> = objects.iter().flat_map(manifest::secret_values).collect();
    let names = if values.is_empty() { BTreeSet::new() } else { names(objects) };
    for value in values {
        if !names.iter().any(|name| name.contains(value.trim())) {
            secrets.learn(&value);
        }
    }
}

/// The object as it may be written down: a Secret's values masked.
pub(super) fn redacted(object: &DynamicObject) -> DynamicObject {
    let mut object = object.clone();
    if manifest::is(&object, "", "Secret") {
        for part in ["data", "stringData"] {
            for (_, value) in object.data.get_mut(part).and_then(Value::as_object_mut).into_iter().flatten() {
                *value = MASK.into();
            }
        }
        if let Some(annotations) = &mut object.metadata.annotations {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    object
}

/// What a report must be able to say: names, namespaces and images.
fn names(objects: &[DynamicObject]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for object in objects {
        names.extend(object.metadata.name.clone());
        names.extend(object.metadata.namespace.clone());
        images::each(&mut object.data.clone(), &mut |image| {
            names.insert(image.clone());
        });
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {password: czNjcjN0LXZhbHVl, user: cG9zdGdyZXM=}\n\
                        stringData: {token: t0ken-value}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{image: 'postgres:15'}]}\n";

    fn objects() -> Vec<DynamicObject> {
        manifest::read("x", TEXT).unwrap().into_iter().map(|one| one.object).collect()
    }

    #[test]
    fn every_value_of_a_secret_is_learnt_and_a_name_is_still_readable() {
        let secrets = Secrets::default();
        learn(&objects(), &secrets);
        let masked = secrets.mask("s3cr3t-value czNjcjN0LXZhbHVl t0ken-value postgres:15");
        assert_eq!(masked, "<sensitive> <sensitive> <sensitive> postgres:15");
    }

    #[test]
    fn what_is_written_down_holds_no_secret() {
        let text = serde_json::to_string(&redacted(&objects()[0])).unwrap();
        assert!(!text.contains("czNj") && !text.contains("t0ken") && text.contains("password"), "{text}");
    }
}
