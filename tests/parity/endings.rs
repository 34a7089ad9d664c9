//! How objects end.

use serde_json::{Value, json};

use super::requests::map;
use super::world::{MERGE, World};

fn held(name: &str) -> Value {
    let mut object = map(name, "a");
    object["metadata"]["finalizers"] = json!(["parity.example.com/hold"]);
    object
}

pub(crate) async fn a_finalizer_holds_what_is_deleted(w: &World) {
    w.create("v1/configmaps", held("one")).await;
    let deleted = w.delete("v1/configmaps/one", Value::Null).await;
    w.show("delete", &deleted);
    w.say(format!(
        "{} {}",
        deleted.body["metadata"]["deletionTimestamp"].is_string(),
        deleted.body["metadata"]["deletionGracePeriodSeconds"]
    ));
    w.show("again", &w.delete("v1/configmaps/one", Value::Null).await);
    w.say(format!("create: {}", w.post("v1/configmaps", map("one", "b")).await.briefly()));
    let more = json!({ "metadata": { "finalizers": ["parity.example.com/hold", "parity.example.com/more"] } });
    let refused = w.patch(MERGE, "v1/configmaps/one", more).await;
    w.say(format!("another finalizer: {}", refused.briefly()));
    refused.causes().iter().for_each(|cause| w.say(cause));
    let edited = w.patch(MERGE, "v1/configmaps/one", json!({ "data": { "entry": "b" } })).await;
    w.say(format!("edit: {} {}", edited.code, edited.body["data"]));
    let freed = w.patch(MERGE, "v1/configmaps/one", json!({ "metadata": { "finalizers": null } })).await;
    w.say(format!("without: {} {}", freed.code, freed.body["metadata"]["finalizers"]));
    w.show("get", &w.get("v1/configmaps/one").await);
}

pub(crate) async fn a_pod_that_is_deleted_has_its_grace(w: &World) {
    w.create("v1/pods", super::workloads::pod("one", "trap 'exit 0' TERM; sleep 300 & wait")).await;
    w.until("v1/pods", "one", |pod| pod["status"]["phase"] == "Running").await;
    let deleted = w.delete("v1/pods/one", json!({ "gracePeriodSeconds": 7 })).await;
    w.show("delete", &deleted);
    w.say(format!(
        "{} {}",
        deleted.body["metadata"]["deletionTimestamp"].is_string(),
        deleted.body["metadata"]["deletionGracePeriodSeconds"]
    ));
    w.until_gone("v1/pods", "one").await;
    w.create("v1/pods", super::workloads::pod("two", "sleep 300")).await;
    w.until("v1/pods", "two", |pod| pod["status"]["phase"] == "Running").await;
    let deleted = w.delete("v1/pods/two", json!({ "gracePeriodSeconds": 0 })).await;
    w.say(format!("at once: {}", deleted.code));
    w.show("get", &w.get("v1/pods/two").await);
}

async fn with_offspring(w: &World) {
    w.create("apps/v1/deployments", super::workloads::deployment("web", 1)).await;
    w.until("apps/v1/deployments", "web", |one| one["status"]["availableReplicas"] == 1).await;
}

/// The kinds of which something of `web` is there, with whether it has an owner.
async fn left(w: &World) -> String {
    let mut left = Vec::new();
    for kind in ["deployments", "replicasets"] {
        let list = w.get(&format!("apps/v1/{kind}?labelSelector=app%3Dweb")).await.body;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        left.extend(
            items.iter().map(|item| format!("{kind} owned: {}", item["metadata"]["ownerReferences"].is_array())),
        );
    }
    left.join(", ")
}

pub(crate) async fn deletion_in_the_background_takes_the_offspring_later(w: &World) {
    with_offspring(w).await;
    let deleted = w.delete("apps/v1/deployments/web", json!({ "propagationPolicy": "Background" })).await;
    w.show("delete", &deleted);
    w.show("get", &w.get("apps/v1/deployments/web").await);
    let set = w.get("apps/v1/replicasets").await.body["items"][0]["metadata"]["name"].clone();
    if let Some(set) = set.as_str() {
        w.until_gone("apps/v1/replicasets", set).await;
    }
    w.say(format!("left: {}", left(w).await));
}

pub(crate) async fn deletion_in_the_foreground_waits_for_the_offspring(w: &World) {
    with_offspring(w).await;
    let deleted = w.delete("apps/v1/deployments/web", json!({ "propagationPolicy": "Foreground" })).await;
    w.show("delete", &deleted);
    w.say(format!(
        "{} {}",
        deleted.body["metadata"]["finalizers"],
        deleted.body["metadata"]["deletionTimestamp"].is_string()
    ));
    w.until_gone("apps/v1/deployments", "web").await;
    w.say(format!("left: {}", left(w).await));
    let pods = w.get("v1/pods?labelSelector=app%3Dweb").await.body["items"].as_array().map_or(0, Vec::len);
    w.say(format!("pods: {pods}"));
}

pub(crate) async fn orphans_stay(w: &World) {
    with_offspring(w).await;
    let deleted = w.delete("apps/v1/deployments/web", json!({ "propagationPolicy": "Orphan" })).await;
    w.say(format!("delete: {} {}", deleted.code, deleted.body["metadata"]["finalizers"]));
    w.until_gone("apps/v1/deployments", "web").await;
    w.say(format!("left: {}", left(w).await));
    w.show("another policy", &w.delete("v1/configmaps/x", json!({ "propagationPolicy": "Other" })).await);
}

pub(crate) async fn what_has_lost_its_owner_is_collected(w: &World) {
    let owner = w.create("v1/configmaps", map("owner", "a")).await;
    let reference =
        |name: &str, uid: &Value| json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid }]);
    let mut child = map("child", "a");
    child["metadata"]["ownerReferences"] = reference("owner", &owner["metadata"]["uid"]);
    w.create("v1/configmaps", child).await;
    let mut lost = map("lost", "a");
    lost["metadata"]["ownerReferences"] = reference("never", &json!("00000000-0000-4000-8000-000000000000"));
    w.create("v1/configmaps", lost).await;
    w.until_gone("v1/configmaps", "lost").await;
    w.say(format!("child: {}", w.get("v1/configmaps/child").await.code));
    w.delete("v1/configmaps/owner", Value::Null).await;
    w.until_gone("v1/configmaps", "child").await;
    w.say("all are gone");
}

pub(crate) async fn a_namespace_ends_with_all_that_is_in_it(w: &World) {
    let namespace = format!("{}-b", w.namespace);
    let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
    w.create("/api/v1/namespaces", body).await;
    w.create(&format!("/api/v1/namespaces/{namespace}/configmaps"), map("one", "a")).await;
    let selector = format!("fieldSelector=metadata.name%3D{namespace}");
    let mut events = w.watch(&format!("/api/v1/namespaces?watch=1&{selector}")).await;
    let deleted = w.delete(&format!("/api/v1/namespaces/{namespace}"), Value::Null).await;
    w.show("delete", &deleted);
    w.say(format!("{} {}", deleted.body["status"]["phase"], deleted.body["spec"]["finalizers"]));
    let mut before = String::new();
    while before != "\"DELETED\"" {
        let event = futures::StreamExt::next(&mut events).await.unwrap();
        let now =
            if event["type"] == "DELETED" { &event["type"] } else { &event["object"]["status"]["phase"] }.to_string();
        if now != before {
            w.say(&now);
        }
        before = now;
    }
    w.show("get", &w.get(&format!("/api/v1/namespaces/{namespace}/configmaps/one")).await);
}

pub(crate) async fn a_namespace_waits_for_the_finalizers_in_it(w: &World) {
    let namespace = format!("{}-c", w.namespace);
    let (place, maps) =
        (format!("/api/v1/namespaces/{namespace}"), format!("/api/v1/namespaces/{namespace}/configmaps"));
    let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
    w.create("/api/v1/namespaces", body).await;
    w.create(&maps, held("one")).await;
    w.delete(&place, Value::Null).await;
    let refused = w.post(&maps, map("two", "a")).await;
    w.show("create", &refused);
    refused.causes().iter().for_each(|cause| w.say(cause));
    let is = |kind: &'static str| {
        move |one: &Value| {
            let all = one["status"]["conditions"].as_array();
            all.into_iter().flatten().any(|condition| condition["type"] == kind && condition["status"] == "True")
        }
    };
    let waiting = w.until("/api/v1/namespaces", &namespace, is("NamespaceFinalizersRemaining")).await;
    let mut conditions: Vec<String> = waiting["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| format!("{} {} {} {}", one["type"], one["status"], one["reason"], one["message"]))
        .collect();
    conditions.sort();
    conditions.iter().for_each(|condition| w.say(condition));
    w.patch(MERGE, &format!("{maps}/one"), json!({ "metadata": { "finalizers": null } })).await;
    w.until_gone("/api/v1/namespaces", &namespace).await;
    w.say("gone");
}

pub(crate) async fn a_pod_is_evicted_unless_a_budget_forbids_it(w: &World) {
    with_offspring(w).await;
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "all" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } },
    });
    w.create("policy/v1/poddisruptionbudgets", budget).await;
    let told = w.until("policy/v1/poddisruptionbudgets", "all", |one| one["status"]["currentHealthy"] == 1).await;
    let status = &told["status"];
    w.say(format!(
        "{} {} {} {}",
        status["expectedPods"], status["currentHealthy"], status["desiredHealthy"], status["disruptionsAllowed"]
    ));
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.for_each(|one| w.say(format!("{} {} {}", one["type"], one["status"], one["reason"])));
    let pod = w.get("v1/pods?labelSelector=app%3Dweb").await.body["items"][0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let eviction =
        json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": pod, "namespace": w.namespace } });
    let refused = w.post(&format!("v1/pods/{pod}/eviction"), eviction.clone()).await;
    w.show("evict", &refused);
    refused.causes().iter().for_each(|cause| w.say(cause));
    w.delete("policy/v1/poddisruptionbudgets/all", Value::Null).await;
    w.until_gone("policy/v1/poddisruptionbudgets", "all").await;
    w.say(format!("without a budget: {}", w.post(&format!("v1/pods/{pod}/eviction"), eviction).await.code));
    let nobody = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "none" } });
    w.show("nobody", &w.post("v1/pods/none/eviction", nobody).await);
}
