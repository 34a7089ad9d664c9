//! How requests are answered: codes, reasons, words.

use serde_json::{Value, json};

use super::world::{APPLY, JSON_PATCH, MERGE, STRATEGIC, World, plain};

/// A ConfigMap with one entry.
pub(crate) fn map(name: &str, entry: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "entry": entry } })
}

pub(crate) async fn what_is_not_there_is_not_found(w: &World) {
    w.show("get", &w.get("v1/configmaps/none").await);
    w.show("delete", &w.delete("v1/configmaps/none", Value::Null).await);
    w.show("put", &w.put("v1/configmaps/none", map("none", "a")).await);
    w.show("patch", &w.patch(MERGE, "v1/configmaps/none", json!({ "data": {} })).await);
    w.show("of a group", &w.get("apps/v1/deployments/none").await);
    w.show("namespace", &w.get("/api/v1/namespaces/parity-none").await);
    let details = w.get("apps/v1/deployments/none").await.body["details"].clone();
    w.say(format!("details: {} {} {}", details["name"], details["group"], details["kind"]));
}

pub(crate) async fn a_list_in_a_namespace_that_is_not_there_is_empty(w: &World) {
    let list = w.get("/api/v1/namespaces/parity-none/pods").await;
    w.say(format!("{} {} {}", list.code, list.body["kind"], list.body["items"]));
}

pub(crate) async fn a_path_that_is_not_served_is_not_found(w: &World) {
    for path in
        ["v1/nothings", "v1/nothings/x", "apps/v9/deployments", "none.example.com/v1/things", "v1/configmaps/x/status"]
    {
        w.show(path, &w.get(path).await);
    }
    let plain = w.get("/nothing").await;
    w.say(format!("/nothing: {}", plain.code));
}

pub(crate) async fn an_object_is_created_once(w: &World) {
    w.show("first", &w.post("v1/configmaps", map("one", "a")).await);
    w.show("second", &w.post("v1/configmaps", map("one", "b")).await);
    w.say(w.get("v1/configmaps/one").await.body["data"].to_string());
}

pub(crate) async fn nothing_is_created_in_a_namespace_that_is_not_there(w: &World) {
    w.show("create", &w.post("/api/v1/namespaces/parity-none/configmaps", map("one", "a")).await);
}

pub(crate) async fn a_body_must_be_an_object_of_the_kind_of_its_path(w: &World) {
    let broken = w.send("POST", "v1/configmaps", &[("content-type", "application/json")], b"{ not json".to_vec()).await;
    w.say(format!("broken: {}", broken.briefly()));
    let mut other = map("one", "a");
    other["kind"] = json!("Secret");
    w.say(format!("another kind: {}", w.post("v1/configmaps", other).await.briefly()));
    let mut elsewhere = map("one", "a");
    elsewhere["metadata"]["namespace"] = json!("default");
    w.show("another namespace", &w.post("v1/configmaps", elsewhere).await);
    let mut wrong = map("one", "a");
    wrong["data"]["entry"] = json!(5);
    w.say(format!("another type: {}", w.post("v1/configmaps", wrong).await.briefly()));
    let unknown = w.send("POST", "v1/configmaps", &[("content-type", "text/plain")], b"x".to_vec()).await;
    w.say(format!("another media type: {}", unknown.briefly()));
    w.create("v1/configmaps", map("one", "a")).await;
    w.show("another name", &w.put("v1/configmaps/one", map("two", "a")).await);
}

pub(crate) async fn every_cause_of_a_refusal_is_told(w: &World) {
    let template =
        json!({ "metadata": { "labels": { "app": "b" } }, "spec": { "containers": [{ "name": "C_", "image": "" }] } });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "replicas": -1, "selector": { "matchLabels": { "app": "a" } }, "template": template },
    });
    let answer = w.post("apps/v1/deployments", deployment).await;
    w.say(answer.briefly());
    answer.causes().iter().for_each(|cause| w.say(cause));
    let nameless = w.post("v1/configmaps", json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {} })).await;
    w.show("without a name", &nameless);
    w.show("a name that is none", &w.post("v1/configmaps", map("No_Name", "a")).await);
}

pub(crate) async fn an_unknown_verb_or_patch_is_refused(w: &World) {
    w.show("post to a name", &w.post("v1/configmaps/x", map("x", "a")).await);
    w.show("put to a collection", &w.put("v1/configmaps", map("x", "a")).await);
    w.create("v1/configmaps", map("one", "a")).await;
    w.show("patch of no known kind", &w.patch("application/json", "v1/configmaps/one", json!({})).await);
    w.show("apply by nobody", &w.patch(APPLY, "v1/configmaps/one", map("one", "b")).await);
}

pub(crate) async fn a_stranger_is_unauthorized(w: &World) {
    let answer = w.send_as(&w.site.stranger, "GET", "v1/pods", &[], Vec::new()).await;
    w.show("list", &answer);
    w.say(format!("{} {}", answer.body["kind"], answer.body["status"]));
}

pub(crate) async fn who_may_do_all_is_told_so(w: &World) {
    let asked = json!({ "verb": "create", "resource": "pods", "namespace": w.namespace });
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": { "resourceAttributes": asked },
    });
    let answer = w.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review).await;
    w.show("review", &answer);
    w.say(answer.body["status"]["allowed"].to_string());
}

pub(crate) async fn a_generated_name_has_five_letters(w: &World) {
    let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "generateName": "made-" } });
    let (one, two) = (w.create("v1/configmaps", object.clone()).await, w.create("v1/configmaps", object).await);
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    w.say(format!("{} {}", name(&one).len(), name(&one).starts_with("made-")));
    w.say(format!("the same: {}", name(&one) == name(&two)));
    w.say(one["metadata"]["generateName"].to_string());
}

pub(crate) async fn a_write_to_an_old_version_conflicts(w: &World) {
    let mut old = w.create("v1/configmaps", map("one", "a")).await;
    let new = w.patch(MERGE, "v1/configmaps/one", json!({ "data": { "entry": "b" } })).await;
    w.say(format!("another version: {}", new.version() != old["metadata"]["resourceVersion"].as_str().unwrap()));
    old["data"]["entry"] = json!("c");
    w.show("put", &w.put("v1/configmaps/one", old.clone()).await);
    let version = old["metadata"]["resourceVersion"].clone();
    let patch = json!({ "metadata": { "resourceVersion": version }, "data": { "entry": "d" } });
    w.show("patch", &w.patch(MERGE, "v1/configmaps/one", patch).await);
    old["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    w.show("put without a version", &w.put("v1/configmaps/one", old).await);
    w.say(w.get("v1/configmaps/one").await.body["data"].to_string());
}

pub(crate) async fn a_write_that_changes_nothing_makes_no_version(w: &World) {
    let made = w.create("v1/configmaps", map("one", "a")).await;
    let version = made["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let patched = w.patch(MERGE, "v1/configmaps/one", json!({ "data": { "entry": "a" } })).await;
    w.say(format!("patch: {} {}", patched.code, patched.version() == version));
    let put = w.put("v1/configmaps/one", patched.body).await;
    w.say(format!("put: {} {}", put.code, put.version() == version));
}

pub(crate) async fn a_deletion_of_another_object_conflicts(w: &World) {
    let made = w.create("v1/configmaps", map("one", "a")).await;
    let other = "00000000-0000-4000-8000-000000000000";
    let options = json!({ "preconditions": { "uid": other } });
    w.show("another uid", &w.delete("v1/configmaps/one", options).await);
    let options = json!({ "preconditions": { "resourceVersion": "1" } });
    w.say(format!("another version: {}", w.delete("v1/configmaps/one", options).await.briefly()));
    let metadata = &made["metadata"];
    let options =
        json!({ "preconditions": { "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"] } });
    let deleted = w.delete("v1/configmaps/one", options).await;
    w.say(format!("the very object: {} {}", deleted.code, deleted.body["status"]));
    w.say(format!("details: {} {}", deleted.body["details"]["name"], deleted.body["details"]["kind"]));
}

pub(crate) async fn a_dry_run_leaves_nothing(w: &World) {
    let made = w.post("v1/configmaps?dryRun=All", map("one", "a")).await;
    w.show("create", &made);
    w.say(format!("has a uid: {}", made.body["metadata"]["uid"].is_string()));
    w.show("get", &w.get("v1/configmaps/one").await);
    w.create("v1/configmaps", map("one", "a")).await;
    let patched = w.patch(MERGE, "v1/configmaps/one?dryRun=All", json!({ "data": { "entry": "b" } })).await;
    w.say(format!("patch: {} {}", patched.code, patched.body["data"]));
    w.show("delete", &w.delete("v1/configmaps/one?dryRun=All", Value::Null).await);
    w.say(w.get("v1/configmaps/one").await.body["data"].to_string());
    w.say(format!("unknown: {}", w.post("v1/configmaps?dryRun=Some", map("two", "a")).await.briefly()));
}

pub(crate) async fn unknown_fields_are_refused_told_or_dropped(w: &World) {
    let mut object = map("one", "a");
    object["nonsense"] = json!(1);
    w.show("strict", &w.post("v1/configmaps?fieldValidation=Strict", object.clone()).await);
    let warned = w.post("v1/configmaps?fieldValidation=Warn", object.clone()).await;
    w.say(format!("warn: {} {:?} {}", warned.code, warned.warnings(), warned.body["nonsense"]));
    object["metadata"]["name"] = json!("two");
    let ignored = w.post("v1/configmaps?fieldValidation=Ignore", object.clone()).await;
    w.say(format!("ignore: {} {:?} {}", ignored.code, ignored.warnings(), ignored.body["nonsense"]));
    w.show("another", &w.post("v1/configmaps?fieldValidation=Other", object).await);
    let patch = json!({ "spec": { "replcas": 1 } });
    let body = super::workloads::deployment("web", 0);
    w.create("apps/v1/deployments", body).await;
    let refused = w.patch(MERGE, "apps/v1/deployments/web?fieldValidation=Strict", patch).await;
    // Between them the whole object is told.
    let words = refused.body["message"].as_str().unwrap_or_default();
    let ends = [words.split('{').next(), words.rsplit('}').next()].map(Option::unwrap_or_default);
    w.say(format!("patch: {} {ends:?}", refused.briefly()));
}

pub(crate) async fn a_json_patch_is_applied_whole_or_not_at_all(w: &World) {
    w.create("v1/configmaps", map("one", "a")).await;
    let good = json!([{ "op": "test", "path": "/data/entry", "value": "a" }, { "op": "add", "path": "/data/more", "value": "b" }]);
    w.say(w.patch(JSON_PATCH, "v1/configmaps/one", good).await.body["data"].to_string());
    let bad = json!([{ "op": "remove", "path": "/data/more" }, { "op": "test", "path": "/data/entry", "value": "z" }]);
    w.say(w.patch(JSON_PATCH, "v1/configmaps/one", bad).await.briefly());
    let lost = json!([{ "op": "remove", "path": "/data/nothing" }]);
    w.say(w.patch(JSON_PATCH, "v1/configmaps/one", lost).await.briefly());
    w.say(w.get("v1/configmaps/one").await.body["data"].to_string());
}

pub(crate) async fn patches_merge_by_their_kind(w: &World) {
    w.create("apps/v1/deployments", super::workloads::deployment("web", 0)).await;
    let containers = json!([{ "name": "second", "image": super::world::IMAGE }]);
    let patch = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    let names = |object: &Value| {
        let all = object["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default();
        all.iter().map(|one| one["name"].to_string()).collect::<Vec<_>>().join(" ")
    };
    let merged = w.patch(STRATEGIC, "apps/v1/deployments/web", patch.clone()).await;
    w.say(format!("strategic: {} {}", merged.code, names(&merged.body)));
    let replaced = w.patch(MERGE, "apps/v1/deployments/web", patch).await;
    w.say(format!("merge: {} {}", replaced.code, names(&replaced.body)));
    let gone = w.patch(MERGE, "apps/v1/deployments/web", json!({ "metadata": { "labels": { "a": "b" } } })).await;
    w.say(plain(&gone.body["metadata"]["labels"]));
    let gone = w.patch(MERGE, "apps/v1/deployments/web", json!({ "metadata": { "labels": { "a": null } } })).await;
    w.say(plain(&gone.body["metadata"]["labels"]));
}

pub(crate) async fn what_is_fixed_cannot_be_changed(w: &World) {
    w.create("apps/v1/deployments", super::workloads::deployment("web", 0)).await;
    let patch = json!({ "spec": { "selector": { "matchLabels": { "app": "other" } } } });
    let answer = w.patch(MERGE, "apps/v1/deployments/web", patch).await;
    w.say(format!("selector: {}", answer.briefly()));
    let mut fixed = map("fixed", "a");
    fixed["immutable"] = json!(true);
    w.create("v1/configmaps", fixed).await;
    w.show("immutable", &w.patch(MERGE, "v1/configmaps/fixed", json!({ "data": { "entry": "b" } })).await);
    let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s" }, "spec": { "ports": [{ "port": 80 }] } });
    w.create("v1/services", service).await;
    let patch = json!({ "spec": { "clusterIP": "10.96.200.200", "clusterIPs": ["10.96.200.200"] } });
    let answer = w.patch(MERGE, "v1/services/s", patch).await;
    w.say(format!("address: {}", answer.briefly()));
    answer.causes().iter().for_each(|cause| w.say(cause));
}

pub(crate) async fn a_quota_refuses_what_is_too_much(w: &World) {
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few" },
        "spec": { "hard": { "services": "1", "count/secrets": "1" } },
    });
    w.create("v1/resourcequotas", quota).await;
    let told = |quota: &Value| quota["status"]["hard"]["services"] == "1" && quota["status"]["used"]["services"] == "0";
    w.until("v1/resourcequotas", "few", told).await;
    let service = |name: &str| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name }, "spec": { "ports": [{ "port": 80 }] } });
    w.show("first", &w.post("v1/services", service("one")).await);
    w.show("second", &w.post("v1/services", service("two")).await);
    let used = w.until("v1/resourcequotas", "few", |quota| quota["status"]["used"]["services"] == "1").await;
    w.say(plain(&used["status"]["used"]));
}

pub(crate) async fn a_quota_counts_what_containers_ask_for_and_may_use(w: &World) {
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few" },
        "spec": { "hard": { "limits.memory": "1Gi", "requests.cpu": "1", "pods": "9" } },
    });
    w.create("v1/resourcequotas", quota).await;
    w.until("v1/resourcequotas", "few", |quota| quota["status"]["used"]["pods"] == "0").await;
    let container = |name: &str, cpu: &str, memory: &str| {
        json!({ "name": name, "image": "none.invalid/none:1", "resources": {
            "requests": { "cpu": cpu }, "limits": { "memory": memory },
        }})
    };
    let pod = |name: &str, first: Value, rest: Value| {
        let spec = json!({ "initContainers": [first], "containers": rest });
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec })
    };
    let mut silent = pod("silent", container("c", "1m", "1Mi"), json!([container("b", "1m", "1Mi")]));
    silent["spec"]["initContainers"][0]["resources"] = json!({});
    silent["spec"]["containers"][0]["resources"]["limits"] = json!({});
    w.show("silent", &w.post("v1/pods", silent).await);
    let (first, second) = (container("first", "100m", "600Mi"), container("second", "250m", "0.25Gi"));
    w.show(
        "one",
        &w.post("v1/pods", pod("one", first.clone(), json!([second, container("third", "500m", "1Mi")]))).await,
    );
    let used = w.until("v1/resourcequotas", "few", |quota| quota["status"]["used"]["pods"] == "1").await;
    w.say(plain(&used["status"]["used"]));
    w.show("two", &w.post("v1/pods", pod("two", first.clone(), json!([container("main", "1m", "1Mi")]))).await);
    w.show("both", &w.post("v1/pods", pod("both", first, json!([container("main", "0.3", "1Mi")]))).await);
    w.show(
        "small",
        &w.post("v1/pods", pod("small", container("i", "1m", "1Mi"), json!([container("main", "1m", "1Mi")]))).await,
    );
}

pub(crate) async fn a_namespace_has_an_account_and_the_authority(w: &World) {
    let namespace = w.get("/api/v1/namespaces/{ns}").await.body;
    w.say(plain(&namespace["metadata"]["labels"]));
    w.say(format!("{} {}", namespace["status"]["phase"], namespace["spec"]["finalizers"]));
    let account = w.get("v1/serviceaccounts/default").await;
    w.say(format!("{} {}", account.code, account.body["kind"]));
    let authority = w.get("v1/configmaps/kube-root-ca.crt").await.body;
    w.say(format!("{}", authority["data"]["ca.crt"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----")));
}

pub(crate) async fn plain_entries_of_a_secret_are_encoded(w: &World) {
    let secret =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" }, "stringData": { "a": "b" } });
    let made = w.create("v1/secrets", secret).await;
    w.say(format!("{} {} {}", made["data"], made["stringData"], made["type"]));
    let broken = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "t" }, "data": { "a": "?" } });
    w.say(w.post("v1/secrets", broken).await.briefly());
}

pub(crate) async fn an_account_is_given_a_token(w: &World) {
    let asked = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "expirationSeconds": 600 } });
    let answer = w.post("v1/serviceaccounts/default/token", asked.clone()).await;
    w.show("request", &answer);
    w.say(answer.body["status"]["token"].as_str().is_some_and(|token| !token.is_empty()).to_string());
    w.show("nobody", &w.post("v1/serviceaccounts/none/token", asked).await);
}

pub(crate) async fn the_server_says_that_it_is_well(w: &World) {
    for path in ["/healthz", "/livez", "/readyz"] {
        let answer = w.get(path).await;
        w.say(format!("{path}: {} {}", answer.code, answer.text));
    }
    let version = w.get("/version").await;
    w.say(format!("/version: {} {}.{}", version.code, version.body["major"], version.body["minor"]));
}

const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

pub(crate) async fn a_webhook_that_cannot_be_reached_refuses_what_it_is_asked_about(w: &World) {
    let name = w.namespace.as_str();
    let rule = json!({ "operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"] });
    let webhook = json!({
        "name": "maps.example.com", "rules": [rule], "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": { "service": { "namespace": name, "name": "reviewer", "path": "/review" } }, "timeoutSeconds": 5,
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } },
        "objectSelector": { "matchExpressions": [{ "key": "asked", "operator": "Exists" }] },
    });
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": name }, "webhooks": [webhook],
    });
    w.create(WEBHOOKS, configuration).await;
    let map = |name: &str, labels: &Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": labels } });
    let asked = map("asked", &json!({ "asked": "yes" }));
    // The server learns of webhooks and Services a moment after it has stored them.
    let told = async |wanted: &str| loop {
        let answer = w.post("v1/configmaps?dryRun=All", asked.clone()).await;
        if answer.text.contains(wanted) {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    w.show("no service", &told("not found").await);
    w.say(format!("others: {}", w.post("v1/configmaps", map("other", &json!({}))).await.code));
    let patch = json!({ "metadata": { "labels": { "asked": "now" } } });
    w.show("an update", &w.patch(MERGE, "v1/configmaps/other", patch).await);
    let service = |port: u16| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "reviewer" }, "spec": { "ports": [{ "port": port }] } });
    w.create("v1/services", service(80)).await;
    w.show("another port", &told("no service port").await);
    w.delete("v1/services/reviewer", Value::Null).await;
    let made = w.create("v1/services", service(443)).await;
    let refused = told("refused").await.told();
    w.say(format!("no endpoint: {}", refused.replace(made["spec"]["clusterIP"].as_str().unwrap(), "<address>")));
    let ignore = json!([{ "op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore" }]);
    w.say(format!("ignored: {}", w.patch(JSON_PATCH, &format!("{WEBHOOKS}/{name}"), ignore).await.code));
    told("\"kind\":\"ConfigMap\"").await;
    w.delete(&format!("{WEBHOOKS}/{name}"), Value::Null).await;
}
