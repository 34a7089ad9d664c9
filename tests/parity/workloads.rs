//! The lives of workloads: which conditions they show, and in which order.

use serde_json::{Value, json};

use super::world::{IMAGE, MERGE, World, plain};

fn container(script: &str) -> Value {
    json!({ "name": "main", "image": IMAGE, "command": ["sh", "-c", script] })
}

/// A pod that runs a script once.
pub(crate) fn pod(name: &str, script: &str) -> Value {
    let spec =
        json!({ "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container(script)] });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec })
}

fn template(app: &str, script: &str) -> Value {
    let spec = json!({ "terminationGracePeriodSeconds": 1, "containers": [container(script)] });
    json!({ "metadata": { "labels": { "app": app } }, "spec": spec })
}

/// A workload of a kind of group `apps`.
fn workload(kind: &str, name: &str, script: &str) -> Value {
    let spec = json!({ "selector": { "matchLabels": { "app": name } }, "template": template(name, script) });
    let labels = json!({ "app": name });
    json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name, "labels": labels }, "spec": spec })
}

/// A Deployment whose pods wait.
pub(crate) fn deployment(name: &str, replicas: u32) -> Value {
    let mut object = workload("Deployment", name, "sleep 300");
    object["spec"]["replicas"] = json!(replicas);
    object
}

/// A Deployment that makes nothing yet.
pub(crate) fn paused(name: &str) -> Value {
    let mut object = deployment(name, 0);
    object["spec"]["paused"] = json!(true);
    object
}

/// A Job of one pod that runs a script.
fn job(name: &str, script: &str, more: &Value) -> Value {
    let mut pod = template(name, script);
    pod["spec"]["restartPolicy"] = json!("Never");
    let mut spec = json!({ "backoffLimit": 0, "template": pod });
    spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name }, "spec": spec })
}

/// The conditions of an object, in order of their types.
fn conditions(object: &Value, with: &[&str]) -> String {
    let all = object["status"]["conditions"].as_array().into_iter().flatten();
    let mut told: Vec<String> = all
        .map(|one| with.iter().map(|field| one[*field].as_str().unwrap_or("-")).collect::<Vec<_>>().join(" "))
        .collect();
    told.sort();
    told.join("; ")
}

fn holds(object: &Value, kind: &str, status: &str) -> bool {
    let all = object["status"]["conditions"].as_array();
    all.into_iter().flatten().any(|one| one["type"] == kind && one["status"] == status)
}

/// One condition of an object.
fn condition(object: &Value, kind: &str, with: &[&str]) -> String {
    let all = object["status"]["conditions"].as_array().into_iter().flatten();
    let found = all.into_iter().find(|one| one["type"] == kind);
    found.map_or_else(
        || format!("no {kind}"),
        |one| with.iter().map(|field| one[*field].as_str().unwrap_or("-")).collect::<Vec<_>>().join(" "),
    )
}

const WHOLE: [&str; 4] = ["type", "status", "reason", "message"];
const SHORT: [&str; 3] = ["type", "status", "reason"];

pub(crate) async fn a_rollout_progresses_and_is_available(w: &World) {
    w.create("apps/v1/deployments", deployment("web", 2)).await;
    let view = |one: &Value| condition(one, "Available", &SHORT);
    let selector = "fieldSelector=metadata.name%3Dweb";
    w.states("apps/v1/deployments", selector, view, |one| holds(one, "Available", "True")).await;
    let complete = |one: &Value| condition(one, "Progressing", &["reason"]) == "NewReplicaSetAvailable";
    let last = w.until("apps/v1/deployments", "web", complete).await;
    w.say(conditions(&last, &WHOLE));
    let status = &last["status"];
    for field in [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
    ] {
        w.say(format!("{field}: {}", status[field]));
    }
    w.say(plain(&last["metadata"]["annotations"]));
}

pub(crate) async fn a_new_template_makes_a_new_set_and_empties_the_old(w: &World) {
    w.create("apps/v1/deployments", deployment("web", 1)).await;
    w.until("apps/v1/deployments", "web", |one| one["status"]["availableReplicas"] == 1).await;
    let patch = json!({ "spec": { "template": { "metadata": { "labels": { "step": "two" } } } } });
    w.patch(MERGE, "apps/v1/deployments/web", patch).await;
    let done = |one: &Value| {
        one["status"]["observedGeneration"] == 2
            && one["status"]["replicas"] == 1
            && one["status"]["updatedReplicas"] == 1
            && one["status"]["availableReplicas"] == 1
    };
    w.until("apps/v1/deployments", "web", done).await;
    let mut sets: Vec<String> = w.get("apps/v1/replicasets").await.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| {
            let notes = &set["metadata"]["annotations"];
            format!(
                "revision {} wanted {} replicas {} {}",
                notes["deployment.kubernetes.io/revision"],
                notes["deployment.kubernetes.io/desired-replicas"],
                set["spec"]["replicas"],
                set["metadata"]["ownerReferences"][0]["kind"]
            )
        })
        .collect();
    sets.sort();
    sets.iter().for_each(|set| w.say(set));
}

pub(crate) async fn a_rollout_without_progress_is_over_its_deadline(w: &World) {
    let mut object = deployment("web", 1);
    object["spec"]["progressDeadlineSeconds"] = json!(2);
    object["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = json!({ "exec": { "command": ["false"] } });
    w.create("apps/v1/deployments", object).await;
    let last = w.until("apps/v1/deployments", "web", |one| holds(one, "Progressing", "False")).await;
    w.say(conditions(&last, &WHOLE));
    w.say(format!("{} {}", last["status"]["unavailableReplicas"], last["status"]["readyReplicas"]));
}

/// Each state that the first container of a pod shows.
fn first_state(pod: &Value) -> String {
    let status = &pod["status"]["containerStatuses"][0];
    let Some((name, state)) = status["state"].as_object().and_then(|state| state.iter().next()) else {
        return "none".to_owned();
    };
    format!("{name} {} {}", state["reason"].as_str().unwrap_or("-"), state["exitCode"])
}

pub(crate) async fn an_image_that_cannot_be_pulled_is_waited_for(w: &World) {
    let mut object = pod("one", "true");
    object["spec"]["containers"][0]["image"] = json!("parity.invalid/none:1");
    w.create("v1/pods", object).await;
    let name = "fieldSelector=metadata.name%3Done";
    let is = |reason: &'static str| move |pod: &Value| first_state(pod).contains(reason);
    w.states("v1/pods", name, first_state, is("ImagePullBackOff")).await;
    let pod = w.until("v1/pods", "one", is("ImagePull")).await;
    w.say(format!("{} {}", pod["status"]["phase"], conditions(&pod, &SHORT)));
    let log = w.get("v1/pods/one/log").await;
    w.say(format!("log: {}", log.briefly()));
}

pub(crate) async fn a_container_that_ends_badly_is_started_again_later(w: &World) {
    let mut object = pod("one", "echo started; exit 3");
    object["spec"]["restartPolicy"] = json!("Always");
    w.create("v1/pods", object).await;
    let crashed = |pod: &Value| first_state(pod).contains("CrashLoopBackOff");
    let pod = w.once("v1/pods", "one", crashed).await;
    let status = &pod["status"]["containerStatuses"][0];
    w.say(format!("{} {}", pod["status"]["phase"], conditions(&pod, &SHORT)));
    let last = &status["lastState"]["terminated"];
    w.say(format!("{} {} {}", last["exitCode"], last["reason"], status["ready"]));
    w.say(status["state"]["waiting"]["message"].as_str().unwrap_or_default().split(" restarting").next().unwrap());
    let again = w
        .until("v1/pods", "one", |pod| pod["status"]["containerStatuses"][0]["restartCount"].as_u64() >= Some(1))
        .await;
    w.say(format!("restarted: {}", again["status"]["containerStatuses"][0]["restartCount"].as_u64() >= Some(1)));
}

pub(crate) async fn a_pod_that_ends_well_has_succeeded(w: &World) {
    // Longer than a kubelet takes from one look at its containers to the next.
    w.create("v1/pods", pod("one", "sleep 5")).await;
    let phase = |pod: &Value| pod["status"]["phase"].to_string();
    let pod = w
        .states("v1/pods", "fieldSelector=metadata.name%3Done", phase, |pod| pod["status"]["phase"] == "Succeeded")
        .await;
    w.say(conditions(&pod, &SHORT));
    w.say(first_state(&pod));
    w.say(format!("{} {}", pod["status"]["qosClass"], pod["status"]["containerStatuses"][0]["restartCount"]));
}

pub(crate) async fn a_pod_that_ends_badly_has_failed(w: &World) {
    w.create("v1/pods", pod("one", "exit 7")).await;
    let pod = w.until("v1/pods", "one", |pod| pod["status"]["phase"] == "Failed").await;
    w.say(format!("{} {}", first_state(&pod), conditions(&pod, &SHORT)));
}

pub(crate) async fn init_containers_run_before_all_others(w: &World) {
    let mut object = pod("one", "sleep 1");
    let init = |name: &str, script: &str| json!({ "name": name, "image": IMAGE, "command": ["sh", "-c", script] });
    object["spec"]["initContainers"] = json!([init("first", "true"), init("second", "exit 4")]);
    w.create("v1/pods", object).await;
    let pod = w.until("v1/pods", "one", |pod| pod["status"]["phase"] == "Failed").await;
    w.say(conditions(&pod, &WHOLE));
    for status in pod["status"]["initContainerStatuses"].as_array().unwrap() {
        w.say(format!("{} {} {}", status["name"], status["ready"], status["state"]["terminated"]["exitCode"]));
    }
    w.say(first_state(&pod));
}

pub(crate) async fn a_pod_that_fits_nowhere_is_unschedulable(w: &World) {
    let mut object = pod("one", "true");
    object["spec"]["nodeSelector"] = json!({ "parity.example.com/none": "x" });
    w.create("v1/pods", object).await;
    let pod = w.until("v1/pods", "one", |pod| holds(pod, "PodScheduled", "False")).await;
    w.say(format!("{} {}", pod["status"]["phase"], conditions(&pod, &WHOLE)));
}

pub(crate) async fn a_container_without_its_configuration_waits(w: &World) {
    let mut object = pod("one", "true");
    object["spec"]["containers"][0]["envFrom"] = json!([{ "configMapRef": { "name": "missing" } }]);
    w.create("v1/pods", object).await;
    let pod = w.until("v1/pods", "one", |pod| first_state(pod).contains("CreateContainerConfigError")).await;
    let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
    w.say(format!("{} {} {}", pod["status"]["phase"], waiting["reason"], waiting["message"]));
    let mut account = super::workloads::pod("two", "true");
    account["spec"]["serviceAccountName"] = json!("nobody");
    w.show("without its account", &w.post("v1/pods", account).await);
}

pub(crate) async fn events_tell_the_start_of_a_pod(w: &World) {
    w.create("v1/pods", pod("one", "sleep 300")).await;
    w.until("v1/pods", "one", |pod| holds(pod, "Ready", "True")).await;
    let mut reasons = Vec::new();
    for reason in ["Scheduled", "Pulled", "Created", "Started"] {
        let mut events =
            w.watch(&format!("v1/events?watch=1&fieldSelector=involvedObject.name%3Done,reason%3D{reason}")).await;
        let event = futures::StreamExt::next(&mut events).await.unwrap();
        let object = &event["object"];
        reasons.push(format!("{} {} {}", object["type"], object["reason"], object["message"]));
    }
    reasons.iter().for_each(|reason| w.say(reason));
}

pub(crate) async fn a_job_that_is_done_is_complete(w: &World) {
    w.create("batch/v1/jobs", job("work", "sleep 1", &json!({}))).await;
    let name = "fieldSelector=metadata.name%3Dwork";
    let view = |one: &Value| conditions(one, &["type", "status", "reason", "message"]);
    let job = w.states("batch/v1/jobs", name, view, |one| holds(one, "Complete", "True")).await;
    let status = &job["status"];
    w.say(format!("{} {} {}", status["succeeded"], status["failed"], status["active"]));
    w.say(format!("completed: {}", status["completionTime"].is_string()));
}

pub(crate) async fn a_job_that_fails_too_often_has_failed(w: &World) {
    w.create("batch/v1/jobs", job("work", "exit 1", &json!({}))).await;
    let name = "fieldSelector=metadata.name%3Dwork";
    let view = |one: &Value| conditions(one, &["type", "status", "reason", "message"]);
    let job = w.states("batch/v1/jobs", name, view, |one| holds(one, "Failed", "True")).await;
    let status = &job["status"];
    w.say(format!("{} {} {} {}", status["succeeded"], status["failed"], status["active"], status["completionTime"]));
}

pub(crate) async fn a_job_over_its_deadline_has_failed(w: &World) {
    w.create("batch/v1/jobs", job("work", "sleep 300", &json!({ "activeDeadlineSeconds": 2 }))).await;
    let name = "fieldSelector=metadata.name%3Dwork";
    let view = |one: &Value| conditions(one, &["type", "status", "reason", "message"]);
    let job = w.states("batch/v1/jobs", name, view, |one| holds(one, "Failed", "True")).await;
    w.say(format!("{} {}", job["status"]["failed"], job["status"]["active"]));
}

pub(crate) async fn a_suspended_job_waits_until_it_is_resumed(w: &World) {
    w.create("batch/v1/jobs", job("work", "true", &json!({ "suspend": true }))).await;
    let held = w.until("batch/v1/jobs", "work", |one| holds(one, "Suspended", "True")).await;
    w.say(conditions(&held, &WHOLE));
    w.say(held["status"]["startTime"].to_string());
    let pods = w.get("v1/pods").await.body["items"].as_array().map_or(0, Vec::len);
    w.say(format!("pods: {pods}"));
    w.patch(MERGE, "batch/v1/jobs/work", json!({ "spec": { "suspend": false } })).await;
    let done = w.until("batch/v1/jobs", "work", |one| holds(one, "Complete", "True")).await;
    w.say(conditions(&done, &SHORT));
}

pub(crate) async fn a_missed_time_of_a_cron_job_makes_a_job(w: &World) {
    let cron = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "often" },
        "spec": { "schedule": "* * * * *", "suspend": true, "jobTemplate": { "spec": job("often", "true", &json!({}))["spec"] } },
    });
    w.create("batch/v1/cronjobs", cron).await;
    let past = json!({ "status": { "lastScheduleTime": "2020-01-01T00:00:00Z" } });
    w.patch(MERGE, "batch/v1/cronjobs/often/status", past).await;
    let resumed = json!({ "spec": { "suspend": false, "startingDeadlineSeconds": 100 } });
    w.patch(MERGE, "batch/v1/cronjobs/often", resumed).await;
    let mut jobs = w.watch("batch/v1/jobs?watch=1").await;
    let made = futures::StreamExt::next(&mut jobs).await.unwrap()["object"].clone();
    let owner = &made["metadata"]["ownerReferences"][0];
    w.say(format!("{} {} {}", owner["kind"], owner["name"], owner["controller"]));
    let name = made["metadata"]["name"].as_str().unwrap();
    w.say(format!(
        "named after its minute: {}",
        name.strip_prefix("often-").is_some_and(|rest| rest.parse::<u64>().is_ok())
    ));
    w.patch(MERGE, "batch/v1/cronjobs/often", json!({ "spec": { "suspend": true } })).await;
    let successful = |one: &Value| one["status"]["lastSuccessfulTime"].is_string() && one["status"]["active"].is_null();
    let done = w.until("batch/v1/cronjobs", "often", successful).await;
    w.say(format!("{} {}", done["status"]["lastScheduleTime"].is_string(), done["status"]["active"]));
}

pub(crate) async fn a_stateful_set_makes_one_pod_after_the_other(w: &World) {
    let mut set = workload("StatefulSet", "db", "sleep 300");
    set["spec"]["serviceName"] = json!("db");
    set["spec"]["replicas"] = json!(3);
    let mut pods = w.watch("v1/pods?watch=1&labelSelector=app%3Ddb").await;
    w.create("apps/v1/statefulsets", set).await;
    let mut seen: Vec<String> = Vec::new();
    while seen.len() < 6 {
        let event = futures::StreamExt::next(&mut pods).await.unwrap();
        let (pod, name) = (&event["object"], event["object"]["metadata"]["name"].as_str().unwrap().to_owned());
        for line in [format!("{name} made"), format!("{name} ready")] {
            if (line.ends_with("made") || holds(pod, "Ready", "True")) && !seen.contains(&line) {
                seen.push(line);
            }
        }
    }
    seen.iter().for_each(|line| w.say(line));
    let pod = w.get("v1/pods/db-0").await.body;
    w.say(format!(
        "{} {}",
        pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"],
        pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"]
    ));
    w.say(format!("{} {}", pod["spec"]["hostname"], pod["spec"]["subdomain"]));
    w.patch(MERGE, "apps/v1/statefulsets/db", json!({ "spec": { "replicas": 1 } })).await;
    let mut gone = Vec::new();
    while gone.len() < 2 {
        let event = futures::StreamExt::next(&mut pods).await.unwrap();
        if event["type"] == "DELETED" {
            gone.push(event["object"]["metadata"]["name"].as_str().unwrap().to_owned());
        }
    }
    gone.iter().for_each(|name| w.say(format!("{name} gone")));
    let set = w.until("apps/v1/statefulsets", "db", |one| one["status"]["replicas"] == 1).await;
    let status = &set["status"];
    w.say(format!(
        "{} {} {} {}",
        status["replicas"],
        status["readyReplicas"],
        status["currentRevision"] == status["updateRevision"],
        status["collisionCount"]
    ));
}

pub(crate) async fn a_daemon_set_has_a_pod_on_every_node(w: &World) {
    w.create("apps/v1/daemonsets", workload("DaemonSet", "agent", "sleep 300")).await;
    let set = w.until("apps/v1/daemonsets", "agent", |one| one["status"]["numberAvailable"] == 1).await;
    for field in [
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "updatedNumberScheduled",
        "numberReady",
        "numberMisscheduled",
        "numberUnavailable",
    ] {
        w.say(format!("{field}: {}", set["status"][field]));
    }
}

pub(crate) async fn an_autoscaler_without_measurements_says_so(w: &World) {
    let mut object = deployment("web", 1);
    object["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({ "requests": { "cpu": "10m" } });
    w.create("apps/v1/deployments", object).await;
    w.until("apps/v1/deployments", "web", |one| one["status"]["availableReplicas"] == 1).await;
    let target = json!({ "type": "Utilization", "averageUtilization": 50 });
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "web" },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" }, "minReplicas": 1, "maxReplicas": 3,
            "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": target } }],
        },
    });
    w.create("autoscaling/v2/horizontalpodautoscalers", scaler).await;
    let told =
        w.until("autoscaling/v2/horizontalpodautoscalers", "web", |one| holds(one, "ScalingActive", "False")).await;
    w.say(conditions(&told, &SHORT));
    w.say(format!("{} {}", told["status"]["currentReplicas"], told["status"]["desiredReplicas"]));
}

pub(crate) async fn a_claim_is_bound_when_a_pod_needs_it(w: &World) {
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Mi" } } },
    });
    let made = w.create("v1/persistentvolumeclaims", claim).await;
    w.say(format!(
        "{} {} {}",
        made["status"]["phase"], made["spec"]["storageClassName"], made["metadata"]["finalizers"]
    ));
    let mut events = w.watch("v1/events?watch=1&fieldSelector=involvedObject.name%3Ddata").await;
    let event = futures::StreamExt::next(&mut events).await.unwrap()["object"].clone();
    w.say(format!("{} {} {}", event["type"], event["reason"], event["message"]));
    let mut user = pod("user", "sleep 300");
    user["spec"]["volumes"] = json!([{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }]);
    user["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "data", "mountPath": "/data" }]);
    w.create("v1/pods", user).await;
    let bound = w.until("v1/persistentvolumeclaims", "data", |one| one["status"]["phase"] == "Bound").await;
    w.say(format!("{} {}", bound["status"]["accessModes"], bound["status"]["capacity"]));
    let volume = bound["spec"]["volumeName"].as_str().unwrap().to_owned();
    let volume = w.until("/api/v1/persistentvolumes", &volume, |one| one["status"]["phase"] == "Bound").await;
    w.say(format!("{} {}", volume["spec"]["claimRef"]["name"], volume["spec"]["persistentVolumeReclaimPolicy"]));
    w.until("v1/pods", "user", |pod| pod["status"]["phase"] == "Running").await;
    w.delete("v1/persistentvolumeclaims/data", Value::Null).await;
    let held = w.get("v1/persistentvolumeclaims/data").await.body;
    w.say(format!("used: {}", held["metadata"]["deletionTimestamp"].is_string()));
    w.delete("v1/pods/user", json!({ "gracePeriodSeconds": 0 })).await;
    w.until_gone("v1/persistentvolumeclaims", "data").await;
}

pub(crate) async fn a_service_has_an_address_that_stays(w: &World) {
    let service = |name: &str, spec: Value| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name }, "spec": spec });
    let port = json!([{ "port": 80 }]);
    let usual = w.create("v1/services", service("plain", json!({ "ports": port }))).await;
    let spec = &usual["spec"];
    w.say(format!("{} {} {} {}", spec["type"], spec["clusterIP"], spec["clusterIPs"], plain(&spec["ports"])));
    w.say(format!(
        "{} {} {} {}",
        spec["ipFamilies"], spec["ipFamilyPolicy"], spec["internalTrafficPolicy"], spec["sessionAffinity"]
    ));
    let headless = w.create("v1/services", service("headless", json!({ "clusterIP": "None", "ports": port }))).await;
    w.say(format!("{} {}", headless["spec"]["clusterIP"], headless["spec"]["clusterIPs"]));
    let open = w.create("v1/services", service("open", json!({ "type": "NodePort", "ports": port }))).await;
    let node_port = open["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    w.say(format!("{} {}", (30000..32768).contains(&node_port), open["spec"]["externalTrafficPolicy"]));
    let taken = w.post("v1/services", service("taken", json!({ "clusterIP": spec["clusterIP"], "ports": port }))).await;
    w.say(taken.briefly());
    taken.causes().iter().for_each(|cause| w.say(cause));
    let wrong = w.post("v1/services", service("wrong", json!({ "clusterIP": "nonsense", "ports": port }))).await;
    w.say(wrong.briefly());
    wrong.causes().iter().for_each(|cause| w.say(cause));
    let outside = w
        .create("v1/services", service("outside", json!({ "type": "ExternalName", "externalName": "example.com" })))
        .await;
    w.say(format!("{} {}", outside["spec"]["clusterIP"], outside["spec"]["externalName"]));
}

pub(crate) async fn a_slice_says_which_addresses_are_ready(w: &World) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s" },
        "spec": { "selector": { "in": "s" }, "ports": [{ "name": "web", "port": 80, "targetPort": 8080 }] },
    });
    w.create("v1/services", service).await;
    for (name, command) in [("bad", "false"), ("good", "true")] {
        let mut object = pod(name, "sleep 300");
        object["metadata"]["labels"] = json!({ "in": "s" });
        object["spec"]["containers"][0]["readinessProbe"] =
            json!({ "exec": { "command": [command] }, "periodSeconds": 1 });
        w.create("v1/pods", object).await;
    }
    let mut slices =
        w.watch("discovery.k8s.io/v1/endpointslices?watch=1&labelSelector=kubernetes.io%2Fservice-name%3Ds").await;
    let told = |slice: &Value| {
        let all = slice["endpoints"].as_array().into_iter().flatten();
        let mut all: Vec<String> =
            all.map(|one| format!("{} {}", one["targetRef"]["name"], plain(&one["conditions"]))).collect();
        all.sort();
        all
    };
    loop {
        let slice = futures::StreamExt::next(&mut slices).await.unwrap()["object"].clone();
        let all = told(&slice);
        if all.len() == 2 && all[1].contains("\"ready\":true") {
            all.iter().for_each(|line| w.say(line));
            w.say(format!("{} {}", slice["addressType"], plain(&slice["ports"])));
            w.say(plain(&slice["metadata"]["labels"]));
            break;
        }
    }
}
