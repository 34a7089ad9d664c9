//! Scenarios through the room.

use serde_json::{Value, json};

use super::super::schema::{Schema, builtin, default};
use super::set::Set;
use super::*;
use std::sync::Arc;

/// The deployment's schema.
fn schema() -> Arc<Schema> {
    builtin("apps/v1", "Deployment").unwrap()
}

/// A writer of this name.
fn writer(manager: &str) -> Writer<'_> {
    let time = "2026-01-01T00:00:00Z";
    Writer { manager, api_version: "apps/v1", subresource: "", time, has_status: true }
}

/// A small deployment.
fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{
                    "name": "web", "image": "busybox:1.35", "env": [{ "name": "A", "value": "1" }],
                }] },
            },
        },
    })
}

/// What each manager owns.
fn owned(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().find(|entry| entry["manager"] == manager).map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

#[test]
fn who_creates_an_object_owns_what_was_not_there_by_itself() {
    let mut object = deployment();
    default(&schema(), &mut object);
    updated(&schema(), None, &mut object, &writer("me"));
    let own = owned(&object, "me");
    assert!(own.get("f:status").is_none() && own.get("f:metadata").is_none(), "{own}");
    let spec = &own["f:spec"];
    assert!(spec.get(".").is_none(), "a structure that is always there is nobody's: {spec}");
    assert_eq!(spec["f:selector"], json!({}));
    assert_eq!(spec["f:strategy"]["f:rollingUpdate"][".".to_owned()], json!({}));
    let containers = &spec["f:template"]["f:spec"]["f:containers"];
    assert!(containers.get(".").is_none());
    let one = &containers["k:{\"name\":\"web\"}"];
    assert_eq!(one["."], json!({}));
    assert_eq!(one["f:env"]["."], json!({}));
    assert_eq!(one["f:env"]["k:{\"name\":\"A\"}"], json!({ ".": {}, "f:name": {}, "f:value": {} }));
}

#[test]
fn what_is_applied_no_more_is_gone_and_its_defaults_are_not() {
    let mut object = apply(&schema(), None, &deployment(), &writer("me"), false).unwrap();
    default(&schema(), &mut object);
    let mut config = deployment();
    config["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap().remove("env");
    config["spec"]["replicas"] = 3.into();
    let object = apply(&schema(), Some(&object), &config, &writer("me"), false).unwrap();
    let container = &object["spec"]["template"]["spec"]["containers"][0];
    assert!(container.get("env").is_none());
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert_eq!(object["spec"]["replicas"], 3);
}

#[test]
fn a_field_of_another_is_a_conflict_unless_it_is_forced_or_the_same() {
    let mut object = deployment();
    default(&schema(), &mut object);
    updated(&schema(), None, &mut object, &writer("kubectl-create"));
    let mut config = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "default" },
        "spec": { "replicas": 2 },
    });
    let same = apply(&schema(), Some(&object), &config, &writer("me"), false).unwrap();
    assert_eq!(owned(&same, "me"), json!({ "f:spec": { "f:replicas": {} } }));
    assert_eq!(owned(&same, "kubectl-create")["f:spec"]["f:replicas"], json!({}));
    config["spec"]["replicas"] = 5.into();
    let Err(ApplyError::Conflicts(conflicts)) = apply(&schema(), Some(&object), &config, &writer("me"), false) else {
        panic!("no conflict");
    };
    assert_eq!(
        conflict_message(&conflicts),
        "Apply failed with 1 conflict: conflict with \"kubectl-create\" using apps/v1: .spec.replicas"
    );
    let taken = apply(&schema(), Some(&object), &config, &writer("me"), true).unwrap();
    assert_eq!(taken["spec"]["replicas"], 5);
    assert_eq!(owned(&taken, "kubectl-create")["f:spec"].get("f:replicas"), None);
}

#[test]
fn what_two_apply_goes_only_when_neither_names_it() {
    let config = |labels: Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": "b" }, "data": labels });
    let schema = builtin("v1", "ConfigMap").unwrap();
    let writer = |manager| Writer { api_version: "v1", has_status: false, ..writer(manager) };
    let one = apply(&schema, None, &config(json!({ "x": "1", "y": "2" })), &writer("one"), false).unwrap();
    let two = apply(&schema, Some(&one), &config(json!({ "x": "1" })), &writer("two"), false).unwrap();
    let less = apply(&schema, Some(&two), &config(json!({})), &writer("one"), false).unwrap();
    assert_eq!(less["data"], json!({ "x": "1" }));
    let none = apply(&schema, Some(&less), &config(json!({})), &writer("two"), false).unwrap();
    assert_eq!(none.get("data").filter(|data| *data != &json!({})), None);
}

#[test]
fn a_list_by_keys_may_not_have_one_twice() {
    let mut config = deployment();
    let env = &mut config["spec"]["template"]["spec"]["containers"][0]["env"];
    *env = json!([{ "name": "A", "value": "1" }, { "name": "A", "value": "2" }]);
    let Err(ApplyError::Unfit(said)) = apply(&schema(), None, &config, &writer("me"), false) else { panic!() };
    assert_eq!(
        said,
        "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): \
         .spec.template.spec.containers[name=\"web\"].env: duplicate entries for key [name=\"A\"]"
    );
}

#[test]
fn a_set_is_read_and_written_as_it_was() {
    let fields = json!({
        "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
        "f:spec": { "f:ports": { "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} } }, "f:x": { "v:\"a\"": {} } },
    });
    assert_eq!(Set::parse(&fields).to_value(), fields);
    let paths = Set::parse(&fields).paths();
    assert!(paths.contains(&".spec.ports[port=80,protocol=\"TCP\"].port".to_owned()), "{paths:?}");
}

#[test]
fn a_strategic_merge_patch_merges_lists_by_their_keys() {
    let patch = json!({ "spec": { "template": { "spec": {
        "$setElementOrder/containers": [{ "name": "new" }, { "name": "web" }],
        "containers": [
            { "name": "web", "env": [{ "name": "A", "$patch": "delete" }, { "name": "B", "value": "2" }] },
            { "name": "new", "image": "x" },
        ],
    } } } });
    let object = strategic_merge_patch(&schema(), &deployment(), &patch).unwrap();
    assert_eq!(
        object["spec"]["template"]["spec"]["containers"],
        json!([
            { "name": "new", "image": "x" },
            { "name": "web", "image": "busybox:1.35", "env": [{ "name": "B", "value": "2" }] },
        ])
    );
    let patch = json!({ "spec": { "strategy": { "$retainKeys": ["type"], "type": "Recreate" } } });
    let mut before = deployment();
    default(&schema(), &mut before);
    let object = strategic_merge_patch(&schema(), &before, &patch).unwrap();
    assert_eq!(object["spec"]["strategy"], json!({ "type": "Recreate" }));
}

#[test]
fn a_merge_patch_takes_away_what_is_null() {
    let object = merge_patch(&json!({ "a": { "b": 1, "c": [1] }, "d": 1 }), &json!({ "a": { "b": null, "c": [2] } }));
    assert_eq!(object.unwrap(), json!({ "a": { "c": [2] }, "d": 1 }));
    let object = json_patch(&json!({ "a": [1] }), &json!([{ "op": "add", "path": "/a/-", "value": 2 }]));
    assert_eq!(object.unwrap(), json!({ "a": [1, 2] }));
    let patch = json!([{ "op": "test", "path": "/a", "value": 3 }]);
    assert!(matches!(json_patch(&json!({ "a": 1 }), &patch), Err(PatchError::Unfit(_))));
}
