//! Whole image references replaced in pod specifications, wherever a kind keeps its own.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde_json::Value;

/// Lists of containers within a pod's specification.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Replaces every image that stands in `images`; the others are left alone.
pub(super) fn replace(object: &mut DynamicObject, images: &BTreeMap<String, String>) {
    if !images.is_empty() {
        each(&mut object.data, &mut |image| {
            if let Some(other) = images.get(image.as_str()) {
                image.clone_from(other);
            }
        });
    }
}

/// Every image of every container, at any depth: a CronJob keeps its pod two templates down.
pub(super) fn each(value: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if CONTAINERS.contains(&name.as_str()) {
                    for container in field.as_array_mut().into_iter().flatten() {
                        if let Some(Value::String(image)) = container.get_mut("image") {
                            visit(image);
                        }
                    }
                }
                each(field, visit);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_references_of_containers_are_replaced_at_any_depth() {
        let text = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec:\n  jobTemplate: {spec: {template: {spec: {\n\
                    initContainers: [{image: 'redis:7'}], containers: [{image: 'redis:7'}, {image: 'redis:7.1'}]}}}}\n  note: 'redis:7'\n";
        let mut object = crate::manifest::read("x", text).unwrap().remove(0).object;
        replace(&mut object, &BTreeMap::from([("redis:7".to_owned(), "mirror/redis:7".to_owned())]));
        let pod = &object.data["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        assert_eq!(pod["initContainers"][0]["image"], "mirror/redis:7");
        assert_eq!(pod["containers"][0]["image"], "mirror/redis:7");
        assert_eq!(pod["containers"][1]["image"], "redis:7.1");
        assert_eq!(object.data["spec"]["note"], "redis:7");
    }
}
