//! What of an object is left to others: fields that Kubernetes' own controllers and CA injectors fill in place of its author.

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

/// Groups whose objects say with a `caBundle` whom the API server trusts.
const TRUSTING: [&str; 3] = ["admissionregistration.k8s.io/", "apiextensions.k8s.io/", "apiregistration.k8s.io/"];

/// A `caBundle` that says nothing: none, or the line end (in base64) that fields which must not be empty are given.
const BLANK: [&str; 2] = ["", "Cg=="];

/// The object without what others have taken over in the one that is there.
pub(super) fn conceded(object: &DynamicObject, live: Option<&DynamicObject>) -> DynamicObject {
    let mut object = object.clone();
    let Some(live) = live else { return object };
    let trusting =
        object.types.as_ref().is_some_and(|types| TRUSTING.iter().any(|group| types.api_version.starts_with(group)));
    if trusting {
        leave_blank_bundles(&mut object.data);
    }
    let Some(fields) = object.data.as_object_mut() else { return object };
    if is_autoscaled(live) {
        fields.get_mut("spec").and_then(|spec| spec.as_object_mut()?.remove("replicas"));
    }
    if fields.contains_key("aggregationRule") {
        fields.remove("rules");
    }
    object
}

/// Whether the number of replicas was last set by a HorizontalPodAutoscaler.
fn is_autoscaled(live: &DynamicObject) -> bool {
    live.managed_fields().iter().any(|entry| {
        entry.manager.as_deref() == Some("kube-controller-manager") && entry.subresource.as_deref() == Some("scale")
    })
}

fn leave_blank_bundles(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, value| key != "caBundle" || !value.as_str().is_none_or(|text| BLANK.contains(&text)));
            fields.values_mut().for_each(leave_blank_bundles);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_blank_bundles),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_ca_bundle_without_content_is_for_injectors_to_fill_and_one_that_the_author_gives_is_not() {
        let hook = |bundle: &str| {
            let webhook = json!({ "name": "a", "clientConfig": { "caBundle": bundle } });
            object(json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                           "metadata": { "name": "a" }, "webhooks": [webhook] }))
        };
        let left =
            |bundle: &str| conceded(&hook(bundle), Some(&hook("LS0t"))).data["webhooks"][0]["clientConfig"].clone();
        assert_eq!((left(""), left("Cg==")), (json!({}), json!({})));
        assert_eq!(left("LS1"), json!({ "caBundle": "LS1" }));
        assert_eq!(conceded(&hook(""), None), hook(""), "what is new is as its author wrote it");
        let map = object(
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "caBundle": "" } }),
        );
        assert_eq!(conceded(&map, Some(&map)), map);
    }

    #[test]
    fn replicas_that_an_autoscaler_sets_and_rules_that_are_aggregated_are_theirs() {
        let deployment = |managers: Value| {
            let metadata = json!({ "name": "a", "managedFields": managers });
            object(
                json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": { "replicas": 1 } }),
            )
        };
        let scaled = deployment(json!([{ "manager": "kube-controller-manager", "subresource": "scale" }]));
        let alone = deployment(json!([{ "manager": "kubectl", "subresource": "scale" }]));
        assert_eq!(conceded(&alone, Some(&scaled)).data["spec"], json!({}));
        assert_eq!(conceded(&alone, Some(&alone)).data["spec"], json!({ "replicas": 1 }));
        let role = object(
            json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "a" },
                                  "aggregationRule": {}, "rules": [] }),
        );
        assert!(conceded(&role, Some(&role)).data.get("rules").is_none());
    }
}
