//! Who owns which fields, and which part of an object a path writes.

use serde_json::{Value, json};

use super::requests::map;
use super::world::{APPLY, Answer, MERGE, World};

async fn apply(w: &World, manager: &str, force: bool, object: Value) -> Answer {
    let path = format!("v1/configmaps/one?fieldManager={manager}&force={force}");
    w.patch(APPLY, &path, object).await
}

fn data(entries: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "one" }, "data": entries })
}

/// Who owns what, in the order of managers.
fn owners(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let mut all: Vec<String> = entries
        .map(|entry| {
            format!("{} {} {} {}", entry["manager"], entry["operation"], entry["subresource"], entry["fieldsV1"])
        })
        .collect();
    all.sort();
    all
}

pub(crate) async fn what_is_applied_is_owned(w: &World) {
    let first = apply(w, "one", false, data(&json!({ "a": "1" }))).await;
    w.show("first", &first);
    owners(&first.body).iter().for_each(|owner| w.say(owner));
    let again = apply(w, "one", false, data(&json!({ "a": "1" }))).await;
    w.say(format!("again: {} the same version: {}", again.code, again.version() == first.version()));
    let second = apply(w, "two", false, data(&json!({ "b": "2" }))).await;
    w.say(format!("second: {} {}", second.code, second.body["data"]));
    owners(&second.body).iter().for_each(|owner| w.say(owner));
}

pub(crate) async fn an_apply_over_anothers_field_conflicts_unless_forced(w: &World) {
    apply(w, "one", false, data(&json!({ "a": "1", "b": "1" }))).await;
    let refused = apply(w, "two", false, data(&json!({ "a": "2", "b": "2" }))).await;
    w.show("refused", &refused);
    refused.causes().iter().for_each(|cause| w.say(cause));
    let forced = apply(w, "two", true, data(&json!({ "a": "2" }))).await;
    w.say(format!("forced: {} {}", forced.code, forced.body["data"]));
    owners(&forced.body).iter().for_each(|owner| w.say(owner));
}

pub(crate) async fn a_field_that_is_applied_no_more_is_removed_unless_another_owns_it(w: &World) {
    apply(w, "one", false, data(&json!({ "a": "1", "b": "1" }))).await;
    apply(w, "two", false, data(&json!({ "b": "1" }))).await;
    let less = apply(w, "one", false, data(&json!({}))).await;
    w.say(format!("{} {}", less.code, less.body["data"]));
    owners(&less.body).iter().for_each(|owner| w.say(owner));
}

pub(crate) async fn an_update_takes_fields_from_who_applied_them(w: &World) {
    apply(w, "one", false, data(&json!({ "a": "1", "b": "1" }))).await;
    let patched = w.patch(MERGE, "v1/configmaps/one?fieldManager=editor", json!({ "data": { "a": "2" } })).await;
    owners(&patched.body).iter().for_each(|owner| w.say(owner));
    let refused = apply(w, "one", false, data(&json!({ "a": "1", "b": "1" }))).await;
    w.say(refused.briefly());
    w.say(refused.body["message"].as_str().unwrap_or_default().replace(" at <time>", ""));
}

pub(crate) async fn items_of_a_list_with_keys_are_owned_one_by_one(w: &World) {
    let ports = |port: u16| {
        let ports = json!([{ "port": port, "protocol": "TCP", "name": format!("p{port}") }]);
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s" }, "spec": { "ports": ports } })
    };
    for (manager, port) in [("one", 80), ("two", 81)] {
        let path = format!("v1/services/s?fieldManager={manager}");
        let answer = w.patch(APPLY, &path, ports(port)).await;
        let names = answer.body["spec"]["ports"].as_array().into_iter().flatten().map(|port| port["name"].to_string());
        w.say(format!("{} {}", answer.code, names.collect::<Vec<_>>().join(" ")));
        owners(&answer.body).iter().for_each(|owner| w.say(owner));
    }
}

pub(crate) async fn who_writes_is_named_by_the_user_agent(w: &World) {
    let made = w.create("v1/configmaps", map("one", "a")).await;
    owners(&made).iter().for_each(|owner| w.say(owner));
}

pub(crate) async fn status_and_spec_are_written_at_their_own_paths(w: &World) {
    w.create("apps/v1/deployments", super::workloads::paused("web")).await;
    w.until("apps/v1/deployments", "web", |object| object["status"]["observedGeneration"] == 1).await;
    let patch = json!({ "spec": { "minReadySeconds": 5 }, "status": { "collisionCount": 3 } });
    let by_status = w.patch(MERGE, "apps/v1/deployments/web/status", patch.clone()).await;
    let told = |answer: &Answer| {
        let body = &answer.body;
        format!(
            "{} {} {} {}",
            answer.code,
            body["spec"]["minReadySeconds"],
            body["status"]["collisionCount"],
            body["metadata"]["generation"]
        )
    };
    w.say(told(&by_status));
    let patch = json!({ "spec": { "minReadySeconds": 6 }, "status": { "collisionCount": 4 } });
    w.say(told(&w.patch(MERGE, "apps/v1/deployments/web", patch).await));
}

pub(crate) async fn a_generation_counts_changes_of_the_spec(w: &World) {
    w.create("apps/v1/deployments", super::workloads::paused("web")).await;
    let generation = |answer: Answer| answer.body["metadata"]["generation"].to_string();
    let label = json!({ "metadata": { "labels": { "a": "b" } } });
    w.say(generation(w.patch(MERGE, "apps/v1/deployments/web", label).await));
    let spec = json!({ "spec": { "replicas": 2 } });
    w.say(generation(w.patch(MERGE, "apps/v1/deployments/web", spec).await));
    let made = w.create("v1/configmaps", map("one", "a")).await;
    w.say(made["metadata"]["generation"].to_string());
}

pub(crate) async fn a_workload_is_scaled_at_its_own_path(w: &World) {
    w.create("apps/v1/deployments", super::workloads::paused("web")).await;
    let scale = w.get("apps/v1/deployments/web/scale").await;
    w.show("get", &scale);
    w.say(format!("{} {} {}", scale.body["apiVersion"], scale.body["spec"], scale.body["status"]["selector"]));
    let patched = w.patch(MERGE, "apps/v1/deployments/web/scale", json!({ "spec": { "replicas": 3 } })).await;
    w.say(format!("patch: {} {}", patched.code, patched.body["spec"]));
    w.say(w.get("apps/v1/deployments/web").await.body["spec"]["replicas"].to_string());
    let mut stale = scale.body;
    stale["spec"]["replicas"] = json!(4);
    w.show("put of an old version", &w.put("apps/v1/deployments/web/scale", stale).await);
    w.show(
        "less than none",
        &w.patch(MERGE, "apps/v1/deployments/web/scale", json!({ "spec": { "replicas": -1 } })).await,
    );
    w.show("of what has none", &w.get("v1/configmaps/kube-root-ca.crt/scale").await);
}
