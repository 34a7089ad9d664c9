//! Which kinds are served, and how definitions bring more.

use serde_json::{Value, json};

use super::world::{APPLY, Answer, MERGE, World, plain};

/// A group that only this scenario has.
fn group(w: &World) -> String {
    format!("{}.example.com", w.namespace)
}

fn definition(w: &World) -> Value {
    let size = json!({ "type": "integer", "minimum": 1, "maximum": 9 });
    let spec = json!({
        "type": "object", "required": ["size"],
        "properties": { "size": size, "mode": { "type": "string", "enum": ["a", "b"], "default": "a" } },
    });
    let status = json!({ "type": "object", "properties": { "size": { "type": "integer" } } });
    let schema = json!({ "openAPIV3Schema": { "type": "object", "properties": { "spec": spec, "status": status } } });
    let parts =
        json!({ "status": {}, "scale": { "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size" } });
    let columns = json!([{ "name": "Size", "type": "integer", "jsonPath": ".spec.size" }]);
    let version = |name: &str, storage: bool, served: bool| json!({ "name": name, "served": served, "storage": storage, "schema": schema, "subresources": parts, "additionalPrinterColumns": columns });
    let versions =
        json!([version("v1", true, true), version("v1beta1", false, true), version("v1alpha1", false, false)]);
    let names =
        json!({ "plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList", "shortNames": ["bt"] });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("boats.{}", group(w)) },
        "spec": { "group": group(w), "scope": "Namespaced", "names": names, "versions": versions },
    })
}

/// The verbs of a resource, in alphabetical order.
fn verbs(resource: &Value) -> String {
    let mut verbs: Vec<&str> = resource["verbs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    verbs.sort_unstable();
    verbs.join(" ")
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn is_established(object: &Value) -> bool {
    let all = object["status"]["conditions"].as_array();
    all.into_iter().flatten().any(|one| one["type"] == "Established" && one["status"] == "True")
}

/// Brings a definition in and waits until it is served.
async fn define(w: &World) -> Value {
    let made = w.create(DEFINITIONS, definition(w)).await;
    let name = made["metadata"]["name"].as_str().unwrap();
    w.until(DEFINITIONS, name, is_established).await;
    // The server says `Established` before it has learnt the path.
    let place = format!("/apis/{}/v1", group(w));
    while w.get(&format!("{place}/boats")).await.code != 200 || w.get(&place).await.code != 200 {
        tokio::task::yield_now().await;
    }
    made
}

async fn undefine(w: &World) {
    let name = format!("boats.{}", group(w));
    w.delete(&format!("{DEFINITIONS}/{name}"), Value::Null).await;
    w.until_gone(DEFINITIONS, &name).await;
}

fn boats(w: &World, rest: &str) -> String {
    format!("{}/v1/boats{rest}", group(w))
}

fn boat(w: &World, name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": format!("{}/v1", group(w)), "kind": "Boat", "metadata": { "name": name }, "spec": spec })
}

/// What is told without the group's name.
fn show(w: &World, what: &str, answer: &Answer) {
    w.say(format!("{what}: {}", answer.told().replace(&group(w), "<group>")));
}

pub(crate) async fn a_definition_is_established_and_then_served(w: &World) {
    let place = format!("/apis/{}", group(w));
    w.say(format!("before: {}", w.get(&place).await.code));
    let made = w.create(DEFINITIONS, definition(w)).await;
    let name = made["metadata"]["name"].as_str().unwrap().to_owned();
    let last = w.until(DEFINITIONS, &name, is_established).await;
    for one in last["status"]["conditions"].as_array().unwrap() {
        w.say(format!("{} {} {} {}", one["type"], one["status"], one["reason"], one["message"]));
    }
    w.say(plain(&last["status"]["acceptedNames"]));
    w.say(last["status"]["storedVersions"].to_string());
    while w.get(&place).await.code != 200 || w.get(&boats(w, "")).await.code != 200 {
        tokio::task::yield_now().await;
    }
    let found = w.get(&place).await;
    let versions: Vec<String> =
        found.body["versions"].as_array().into_iter().flatten().map(|one| one["version"].to_string()).collect();
    w.say(format!("{} {} {}", found.body["kind"], versions.join(" "), found.body["preferredVersion"]["version"]));
    let resources = w.get(&format!("{place}/v1")).await;
    for one in resources.body["resources"].as_array().into_iter().flatten() {
        w.say(format!("{} {} {} {} {}", one["name"], one["kind"], one["namespaced"], one["shortNames"], verbs(one)));
    }
    for version in ["v1beta1", "v1alpha1"] {
        w.say(format!("{version}: {}", w.get(&format!("{}/{version}/boats", group(w))).await.code));
    }
    undefine(w).await;
    while w.get(&boats(w, "")).await.code != 404 {
        tokio::task::yield_now().await;
    }
    w.say("served no more");
}

pub(crate) async fn custom_objects_follow_their_schema(w: &World) {
    define(w).await;
    let made = w.post(&boats(w, ""), boat(w, "one", &json!({ "size": 3, "nonsense": 1 }))).await;
    w.say(format!("{} {} {}", made.code, plain(&made.body["spec"]), made.body["metadata"]["generation"]));
    for spec in [json!({}), json!({ "size": 10 }), json!({ "size": "3" }), json!({ "size": 3, "mode": "c" })] {
        let refused = w.post(&boats(w, ""), boat(w, "two", &spec)).await;
        w.say(format!("{spec}: {}", refused.briefly()));
        refused.causes().iter().for_each(|cause| w.say(cause));
    }
    let strict =
        w.post(&boats(w, "?fieldValidation=Strict"), boat(w, "two", &json!({ "size": 3, "nonsense": 1 }))).await;
    show(w, "strict", &strict);
    show(w, "not there", &w.get(&boats(w, "/none")).await);
    show(w, "once", &w.post(&boats(w, ""), boat(w, "one", &json!({ "size": 3 }))).await);
    let other = w.get(&format!("{}/v1beta1/boats/one", group(w))).await;
    w.say(format!("{} {}", other.code, other.body["apiVersion"].as_str().unwrap_or_default().ends_with("/v1beta1")));
    let strategic = w.patch(super::world::STRATEGIC, &boats(w, "/one"), json!({})).await;
    show(w, "strategic", &strategic);
    undefine(w).await;
}

pub(crate) async fn custom_objects_have_status_and_scale(w: &World) {
    define(w).await;
    let mut object = boat(w, "one", &json!({ "size": 3 }));
    object["status"] = json!({ "size": 3 });
    let made = w.post(&boats(w, ""), object).await;
    w.say(format!("create: {} {}", made.code, made.body["status"]));
    let patch = json!({ "spec": { "size": 5 }, "status": { "size": 2 } });
    let patched = w.patch(MERGE, &boats(w, "/one/status"), patch).await;
    w.say(format!(
        "status: {} {} {} {}",
        patched.code, patched.body["spec"]["size"], patched.body["status"], patched.body["metadata"]["generation"]
    ));
    let scale = w.get(&boats(w, "/one/scale")).await;
    w.say(format!(
        "scale: {} {} {} {}",
        scale.code,
        scale.body["kind"],
        plain(&scale.body["spec"]),
        plain(&scale.body["status"])
    ));
    let scaled = w.patch(MERGE, &boats(w, "/one/scale"), json!({ "spec": { "replicas": 4 } })).await;
    w.say(format!("{} {}", scaled.code, scaled.body["spec"]));
    let whole = w.get(&boats(w, "/one")).await.body;
    w.say(format!("{} {}", whole["spec"]["size"], whole["metadata"]["generation"]));
    let path = boats(w, "/one?fieldManager=two");
    let conflict = w.patch(APPLY, &path, boat(w, "one", &json!({ "size": 7 }))).await;
    w.say(conflict.briefly());
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = w.get_as(&boats(w, ""), accept).await.body;
    let columns = table["columnDefinitions"].as_array().into_iter().flatten().map(|one| one["name"].to_string());
    w.say(format!("{} {}", columns.collect::<Vec<_>>().join(" "), table["rows"][0]["cells"]));
    undefine(w).await;
}

pub(crate) async fn a_definition_takes_its_objects_with_it(w: &World) {
    define(w).await;
    w.create(&boats(w, ""), boat(w, "one", &json!({ "size": 3 }))).await;
    let mut events = w.watch(&boats(w, "?watch=1")).await;
    let told = |event: &Value| format!("{} {}", event["type"], event["object"]["metadata"]["name"]);
    w.say(told(&futures::StreamExt::next(&mut events).await.unwrap()));
    undefine(w).await;
    w.say(told(&futures::StreamExt::next(&mut events).await.unwrap()));
}

pub(crate) async fn a_definition_that_is_wrong_is_refused(w: &World) {
    let mut misnamed = definition(w);
    misnamed["metadata"]["name"] = json!("boats.example.org");
    let mut two = definition(w);
    two["spec"]["versions"][1]["storage"] = json!(true);
    let mut bare = definition(w);
    bare["spec"]["versions"][0].as_object_mut().unwrap().remove("schema");
    for (what, object) in [("its name", misnamed), ("two storage versions", two), ("no schema", bare)] {
        let refused = w.post(DEFINITIONS, object).await;
        w.say(format!("{what}: {}", refused.briefly()));
        // The value that is told is the whole list, as Go writes it.
        let short =
            |cause: &String| cause.split(": Invalid value: [").next().unwrap_or_default().replace(&group(w), "<group>");
        refused.causes().iter().map(short).for_each(|cause| w.say(cause));
    }
}

pub(crate) async fn built_in_kinds_are_discovered(w: &World) {
    for (place, wanted) in [
        ("/api/v1", ["pods", "configmaps", "services", "pods/log", "pods/eviction", "namespaces"].as_slice()),
        ("/apis/apps/v1", &["deployments", "deployments/scale", "deployments/status", "statefulsets", "daemonsets"]),
        ("/apis/batch/v1", &["jobs", "cronjobs"]),
    ] {
        let found = w.get(place).await.body;
        for one in found["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| wanted.contains(&one["name"].as_str().unwrap_or_default()))
        {
            w.say(format!(
                "{place} {} {} {} {} {} {}",
                one["name"],
                one["kind"],
                one["namespaced"],
                verbs(one),
                one["shortNames"],
                one["categories"]
            ));
        }
    }
    let groups = w.get("/apis").await.body;
    let mut groups: Vec<String> = groups["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| {
            ["apps", "batch", "policy", "autoscaling", "apiextensions.k8s.io"]
                .contains(&one["name"].as_str().unwrap_or_default())
        })
        .map(|one| format!("{} {}", one["name"], one["preferredVersion"]["groupVersion"]))
        .collect();
    groups.sort();
    groups.iter().for_each(|group| w.say(group));
}

pub(crate) async fn all_kinds_are_discovered_at_once(w: &World) {
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let found = w.get_as("/apis", accept).await;
    w.say(format!(
        "{} {} {:?}",
        found.body["kind"],
        found.body["apiVersion"],
        found.headers.get("content-type").map(|value| value.to_str().unwrap_or_default().to_owned())
    ));
    let groups = found.body["items"].as_array().into_iter().flatten();
    let apps = groups.into_iter().find(|one| one["metadata"]["name"] == "apps").cloned().unwrap_or_default();
    for one in apps["versions"][0]["resources"].as_array().into_iter().flatten() {
        let parts: Vec<String> =
            one["subresources"].as_array().into_iter().flatten().map(|part| part["subresource"].to_string()).collect();
        w.say(format!(
            "{} {} {} {} {}",
            one["resource"],
            one["scope"],
            one["responseKind"]["kind"],
            one["singularResource"],
            parts.join(" ")
        ));
    }
    let core = w.get_as("/api", accept).await;
    w.say(format!("{} {}", core.body["kind"], core.body["items"][0]["versions"][0]["version"]));
    let plain = w.get("/api").await.body;
    w.say(format!("{} {}", plain["kind"], plain["versions"]));
}
