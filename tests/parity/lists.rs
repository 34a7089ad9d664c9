//! Lists and watches: what is in them, in which order, and how they end.

use futures::StreamExt as _;
use serde_json::{Value, json};

use super::requests::map;
use super::world::{Answer, MERGE, World};

/// Five ConfigMaps, `a` to `e`, with labels `place` and `half`.
async fn five(w: &World) {
    for (number, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let mut object = map(name, "x");
        let half = if number < 2 { "first" } else { "second" };
        object["metadata"]["labels"] = json!({ "of": "five", "place": number.to_string(), "half": half });
        if name == "e" {
            object["metadata"]["labels"]["last"] = json!("");
        }
        w.create("v1/configmaps", object).await;
    }
}

fn names(list: &Value) -> String {
    let items = list["items"].as_array().into_iter().flatten();
    items.map(|item| item["metadata"]["name"].as_str().unwrap_or_default()).collect::<Vec<_>>().join(" ")
}

pub(crate) async fn labels_select(w: &World) {
    five(w).await;
    for selector in [
        "half=first",
        "half==second",
        "of=five,half!=first",
        "place in (1,3)",
        "of,place notin (0,1,2)",
        "last",
        "of,!last",
        "last=",
        "half=first,last",
    ] {
        let list = w.get(&format!("v1/configmaps?labelSelector={}", escaped(selector))).await;
        w.say(format!("{selector}: {} {}", list.code, names(&list.body)));
    }
    for selector in ["a b", "in (", "a=b=c"] {
        let list = w.get(&format!("v1/configmaps?labelSelector={}", escaped(selector))).await;
        w.say(format!("{selector}: {}", list.briefly()));
    }
}

/// As it is written in a query.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

pub(crate) async fn fields_select(w: &World) {
    five(w).await;
    for selector in
        ["metadata.name=a", "metadata.name!=a,metadata.name!=kube-root-ca.crt", "metadata.namespace=default"]
    {
        let list = w.get(&format!("v1/configmaps?fieldSelector={}", escaped(selector))).await;
        w.say(format!("{selector}: {} {}", list.code, names(&list.body)));
    }
    for (kind, selector) in [("configmaps", "data.entry=x"), ("pods", "spec.image=x"), ("pods", "status.phase=Running")]
    {
        w.show(&format!("{kind} {selector}"), &w.get(&format!("v1/{kind}?fieldSelector={}", escaped(selector))).await);
    }
}

pub(crate) async fn a_list_comes_in_pages(w: &World) {
    five(w).await;
    let of = "v1/configmaps?labelSelector=of%3Dfive&limit=2";
    let mut next = String::new();
    let mut versions = Vec::new();
    for _ in 0..3 {
        let page = w.get(&format!("{of}&continue={next}")).await;
        w.say(format!("{} {} remaining {}", page.code, names(&page.body), page.body["metadata"]["remainingItemCount"]));
        versions.push(page.version());
        next = page.body["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        w.say(format!("more: {}", !next.is_empty()));
    }
    versions.dedup();
    w.say(format!("versions: {}", versions.len()));
    let whole = w.get("v1/configmaps?limit=2").await;
    w.say(format!("without a selector: remaining {}", whole.body["metadata"]["remainingItemCount"]));
    w.say(format!("no such page: {}", w.get(&format!("{of}&continue=nonsense")).await.briefly()));
}

pub(crate) async fn a_page_shows_what_was_there_at_the_first(w: &World) {
    five(w).await;
    let of = "v1/configmaps?labelSelector=of%3Dfive&limit=3";
    let first = w.get(of).await;
    w.delete("v1/configmaps/d", Value::Null).await;
    let next = first.body["metadata"]["continue"].as_str().unwrap().to_owned();
    let second = w.get(&format!("{of}&continue={next}")).await;
    w.say(format!("{} {}", second.code, names(&second.body)));
}

pub(crate) async fn a_list_of_a_version_to_come_is_refused(w: &World) {
    let answer = w.get("v1/configmaps?resourceVersion=99999999999").await;
    w.say(answer.briefly());
    w.say(answer.body["details"]["causes"][0]["reason"].to_string());
    w.say(w.get("v1/configmaps?resourceVersion=nonsense").await.briefly());
}

/// Opens a watch from now.
async fn from_now(w: &World, more: &str) -> futures::stream::BoxStream<'static, Value> {
    let version = w.get("v1/configmaps").await.version();
    w.watch(&format!("v1/configmaps?watch=1&resourceVersion={version}{more}")).await
}

fn told(event: &Value) -> String {
    let object = &event["object"];
    format!("{} {} {}", event["type"].as_str().unwrap_or_default(), object["metadata"]["name"], object["data"]["entry"])
}

pub(crate) async fn a_watch_tells_every_change_in_order(w: &World) {
    let mut events = from_now(w, "").await;
    w.create("v1/configmaps", map("one", "a")).await;
    w.patch(MERGE, "v1/configmaps/one", json!({ "data": { "entry": "b" } })).await;
    w.create("v1/configmaps", map("two", "a")).await;
    w.patch(MERGE, "v1/configmaps/one", json!({ "data": { "entry": "c" } })).await;
    w.delete("v1/configmaps/two", Value::Null).await;
    w.delete("v1/configmaps/one", Value::Null).await;
    let mut versions = Vec::new();
    for _ in 0..6 {
        let event = events.next().await.unwrap();
        versions.push(event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap());
        w.say(told(&event));
    }
    w.say(format!("versions rise: {}", versions.is_sorted_by(|a, b| a < b)));
}

pub(crate) async fn a_watch_from_a_version_tells_what_came_after_it(w: &World) {
    let version =
        w.create("v1/configmaps", map("one", "a")).await["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    w.patch(MERGE, "v1/configmaps/one", json!({ "data": { "entry": "b" } })).await;
    w.delete("v1/configmaps/one", Value::Null).await;
    let mut events = w.watch(&format!("v1/configmaps?watch=1&resourceVersion={version}")).await;
    for _ in 0..2 {
        w.say(told(&events.next().await.unwrap()));
    }
}

pub(crate) async fn a_watch_without_a_version_begins_with_what_is_there(w: &World) {
    w.create("v1/configmaps", map("one", "a")).await;
    for more in ["", "&resourceVersion=0"] {
        let mut events = w.watch(&format!("v1/configmaps?watch=1&fieldSelector=metadata.name%3Done{more}")).await;
        w.say(told(&events.next().await.unwrap()));
    }
}

pub(crate) async fn a_watch_of_some_tells_who_comes_into_sight_and_leaves_it(w: &World) {
    let mut events = from_now(w, "&labelSelector=seen%3Dyes").await;
    w.create("v1/configmaps", map("one", "a")).await;
    for (seen, entry) in [("yes", "b"), ("yes", "c"), ("no", "d"), ("no", "e"), ("yes", "f")] {
        let patch = json!({ "metadata": { "labels": { "seen": seen } }, "data": { "entry": entry } });
        w.patch(MERGE, "v1/configmaps/one", patch).await;
    }
    w.delete("v1/configmaps/one", Value::Null).await;
    for _ in 0..5 {
        w.say(told(&events.next().await.unwrap()));
    }
}

pub(crate) async fn a_watch_list_ends_its_first_part_with_a_bookmark(w: &World) {
    w.create("v1/configmaps", map("one", "a")).await;
    let how = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = w.watch(&format!("v1/configmaps?{how}&fieldSelector=metadata.name%3Done")).await;
    w.say(told(&events.next().await.unwrap()));
    let mark = events.next().await.unwrap();
    let metadata = &mark["object"]["metadata"];
    w.say(format!("{} {} {}", mark["type"], mark["object"]["kind"], metadata["annotations"]));
    w.say(format!("has a version: {}", metadata["resourceVersion"].is_string()));
    let bare = w.get("v1/configmaps?watch=1&sendInitialEvents=true").await;
    w.say(bare.briefly());
    bare.causes().iter().for_each(|cause| w.say(cause));
}

pub(crate) async fn a_watch_ends_when_its_time_is_over(w: &World) {
    let mut events = from_now(w, "&timeoutSeconds=1").await;
    w.say(format!("{:?}", events.next().await));
}

pub(crate) async fn a_watch_from_an_expired_version_is_told_so(w: &World) {
    let mut events = w.watch("v1/configmaps?watch=1&resourceVersion=1").await;
    let event = events.next().await.unwrap();
    let object = &event["object"];
    w.say(format!("{} {} {} {}", event["type"], object["kind"], object["code"], object["reason"]));
    w.say(object["message"].as_str().unwrap_or_default().split('(').next().unwrap_or_default());
    w.say(format!("ends: {}", events.next().await.is_none()));
}

pub(crate) async fn one_object_is_shown_and_not_watched(w: &World) {
    w.create("v1/configmaps", map("one", "a")).await;
    w.show("get", &w.get("v1/configmaps/one?watch=1").await);
}

/// The names of the columns and the cells of the first row that are no times.
fn table(answer: &Answer) -> String {
    let body = &answer.body;
    let columns = body["columnDefinitions"].as_array().into_iter().flatten();
    let columns: Vec<String> = columns.map(|column| format!("{}:{}", column["name"], column["priority"])).collect();
    format!("{} {} {}", answer.code, body["kind"], columns.join(" "))
}

pub(crate) async fn lists_are_shown_as_tables(w: &World) {
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    for short in [
        "v1/pods",
        "v1/configmaps",
        "v1/services",
        "v1/secrets",
        "v1/persistentvolumeclaims",
        "v1/events",
        "apps/v1/deployments",
        "apps/v1/replicasets",
        "apps/v1/statefulsets",
        "apps/v1/daemonsets",
        "batch/v1/jobs",
        "batch/v1/cronjobs",
        "discovery.k8s.io/v1/endpointslices",
        "networking.k8s.io/v1/ingresses",
        "/api/v1/nodes",
        "/api/v1/namespaces",
    ] {
        w.say(format!("{short}: {}", table(&w.get_as(short, accept).await)));
    }
    w.create("v1/configmaps", map("one", "a")).await;
    let one = w.get_as("v1/configmaps/one", accept).await.body;
    let row = &one["rows"][0];
    w.say(format!("{} {} {}", row["cells"][0], row["cells"][1], row["object"]["kind"]));
}

pub(crate) async fn objects_are_shown_as_metadata_alone(w: &World) {
    w.create("v1/configmaps", map("one", "a")).await;
    let one = w.get_as("v1/configmaps/one", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").await.body;
    w.say(format!("{} {} {} {}", one["apiVersion"], one["kind"], one["metadata"]["name"], one["data"]));
    let list = w
        .get_as(
            "v1/configmaps?fieldSelector=metadata.name%3Done",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        )
        .await
        .body;
    w.say(format!("{} {} {}", list["kind"], names(&list), list["items"][0]["data"]));
    w.say(w.get_as("v1/configmaps", "text/csv").await.briefly());
}

pub(crate) async fn a_collection_is_deleted_by_its_selector(w: &World) {
    five(w).await;
    let answer = w.delete("v1/configmaps?labelSelector=half%3Dfirst", Value::Null).await;
    w.say(format!("{} {} {}", answer.code, answer.body["kind"], names(&answer.body)));
    w.say(names(&w.get("v1/configmaps?labelSelector=of%3Dfive").await.body));
}
