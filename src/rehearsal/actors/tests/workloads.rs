//! StatefulSets, DaemonSets, Jobs, claims and Services.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::super::object::Key;
use super::super::{Fault, Target};
use super::world::{World, conditions, pod};

/// Long enough for anything that is not for ever.
const LONG: Duration = Duration::from_secs(2);

fn template(name: &str, policy: &str, container: &Value) -> Value {
    json!({"metadata": {"labels": {"app": name}}, "spec": {"restartPolicy": policy, "containers": [container]}})
}

fn statefulset(replicas: u32) -> Value {
    let container = json!({"name": "c", "image": "postgres:15", "ports": [{"name": "pg", "containerPort": 5432}]});
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
        "spec": {
            "replicas": replicas, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
            "template": template("db", "Always", &container),
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            }}],
        },
    })
}

fn job(spec: &Value, script: &str) -> Value {
    let container = json!({"name": "c", "image": "busybox", "command": ["sh", "-c", script]});
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec});
    job["spec"]["template"] = template("j", "Never", &container);
    job
}

#[test]
fn a_statefulset_starts_one_pod_after_the_other_and_binds_their_claims() {
    let mut world = World::new();
    world.create("apps/statefulsets", statefulset(2));
    world.run(LONG);
    let first_ready = world.seen.iter().position(|(key, one)| &*key.name == "db-0" && pod(one).ends_with("ready"));
    let second = world.seen.iter().position(|(key, _)| &*key.name == "db-1");
    assert!(first_ready.unwrap() < second.unwrap());
    let claims = world.all("/persistentvolumeclaims");
    assert_eq!(claims.len(), 2);
    assert!(claims.iter().all(|claim| claim["status"]["phase"] == "Bound"));
    let status = &world.get("apps/statefulsets", "db")["status"];
    assert_eq!((&status["readyReplicas"], &status["updatedReplicas"]), (&json!(2), &json!(2)));
    assert_eq!(status["currentRevision"], status["updateRevision"]);
    assert_eq!(world.get("/pods", "db-0")["metadata"]["labels"]["apps.kubernetes.io/pod-index"], "0");
}

/// Two members of a Patroni cluster, both ready.
fn members() -> World {
    let mut world = World::new();
    let mut object = statefulset(2);
    let scope = json!([{"name": "PATRONI_SCOPE", "value": "db"}]);
    object["spec"]["template"]["spec"]["containers"][0]["env"] = scope;
    world.create("apps/statefulsets", object);
    world.run(LONG);
    world
}

fn roles(world: &World) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pods = world.all("/pods");
    pods.iter().map(|pod| (text(&pod["metadata"]["name"]), text(&pod["metadata"]["labels"]["role"]))).collect()
}

fn led_by(world: &World) -> Vec<String> {
    roles(world).into_iter().filter(|(_, role)| role == "master").map(|(name, _)| name).collect()
}

#[test]
fn of_pods_that_run_patroni_one_leads_and_another_takes_over_once_it_is_gone() {
    let mut world = members();
    assert_eq!(led_by(&world), ["db-0"]);
    assert!(roles(&world).contains(&("db-1".to_owned(), "replica".to_owned())));
    let gone = world.get("/pods", "db-0")["metadata"]["uid"].clone();
    world.delete(&Key::new("/pods", "ns", "db-0"));
    world.run(LONG);
    assert_ne!(world.get("/pods", "db-0")["metadata"]["uid"], gone);
    assert_eq!(led_by(&world), ["db-1"], "who comes back follows");
    let named =
        world.seen.iter().position(|(key, one)| &*key.name == "db-1" && one["metadata"]["labels"]["role"] == "master");
    let before =
        world.seen[..named.unwrap()].iter().rev().find(|(key, _)| &*key.resource == "/pods" && &*key.name == "db-0");
    assert_ne!(before.unwrap().1["status"]["phase"], "Running", "two would have taken writes");
}

#[test]
fn who_has_followed_takes_over_even_where_the_one_that_led_is_back_by_then() {
    let mut world = members();
    world.actors.inject(Target { namespace: None, name: String::new() }, Some(Fault::ElectsLate));
    world.seen.clear();
    world.delete(&Key::new("/pods", "ns", "db-0"));
    world.run(2 * LONG);
    let at = |name: &str, is: &dyn Fn(&Value) -> bool| {
        world.seen.iter().position(|(key, one)| &*key.resource == "/pods" && &*key.name == name && is(one)).unwrap()
    };
    let back = at("db-0", &|one| one["metadata"]["deletionTimestamp"].is_null() && pod(one).ends_with("ready"));
    assert!(back < at("db-1", &|one| one["metadata"]["labels"]["role"] == "master"), "or this shows nothing");
    assert_eq!(led_by(&world), ["db-1"], "who comes back has nothing of what was written");
}

#[test]
fn where_nobody_takes_over_nobody_does() {
    let mut world = members();
    world.actors.inject(Target { namespace: None, name: String::new() }, Some(Fault::NeverElects));
    world.delete(&Key::new("/pods", "ns", "db-0"));
    world.run(LONG);
    assert_eq!(led_by(&world), [""; 0]);
}

#[test]
fn a_statefulset_is_updated_from_the_highest_pod_down_to_its_partition() {
    let mut world = World::new();
    let mut object = statefulset(3);
    object["spec"]["updateStrategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}});
    let key = world.create("apps/statefulsets", object);
    world.run(LONG);
    world.seen.clear();
    world.edit(&key, |db| db["spec"]["template"]["spec"]["containers"][0]["image"] = json!("postgres:16"));
    world.run(LONG);
    let leaving =
        |(key, one): &(Key, Value)| one["metadata"]["deletionTimestamp"].is_string().then(|| key.name.to_string());
    let mut order: Vec<String> = world.seen.iter().filter_map(leaving).collect();
    order.dedup();
    assert_eq!(order, ["db-2", "db-1"]);
    let image = |name: &str| world.get("/pods", name)["spec"]["containers"][0]["image"].clone();
    assert_eq!([image("db-0"), image("db-1"), image("db-2")], ["postgres:15", "postgres:16", "postgres:16"]);
    let status = &world.get("apps/statefulsets", "db")["status"];
    assert_ne!(status["currentRevision"], status["updateRevision"]);
    assert_eq!(status["updatedReplicas"], 2);
}

#[test]
fn a_job_is_complete_after_its_criteria_are_met() {
    let mut world = World::new();
    world.create("batch/jobs", job(&json!({"completions": 1, "parallelism": 1}), "echo hello; sleep 1"));
    world.run(LONG);
    assert_eq!(
        world.story("batch/jobs", "j", conditions),
        [
            "",
            "SuccessCriteriaMet=True(CompletionsReached)",
            "SuccessCriteriaMet=True(CompletionsReached) Complete=True(CompletionsReached)",
        ]
    );
    let status = &world.get("batch/jobs", "j")["status"];
    assert_eq!((&status["succeeded"], status["completionTime"].is_string()), (&json!(1), true));
    assert_eq!(world.lines, ["hello"]);
    assert_eq!(
        world.story("/pods", "j", pod),
        [
            "-",
            "Pending",
            "Pending waiting:ContainerCreating#0",
            "Running running#0 ready",
            "Succeeded terminated:Completed#0"
        ]
    );
    assert!(world.heard("j").contains(&"Completed: Job completed"));
    let counts = |job: &Value| {
        let status = &job["status"];
        let uncounted = status["uncountedTerminatedPods"]["succeeded"].as_array().map_or(0, Vec::len);
        format!("{} {} {uncounted}", status["active"], status["succeeded"])
    };
    assert_eq!(world.story("batch/jobs", "j", counts), ["null null 0", "1 null 0", "null null 1", "null 1 0"]);
}

#[test]
fn a_job_fails_after_its_pauses_and_not_before_its_limit() {
    let mut world = World::new();
    world.create("batch/jobs", job(&json!({"completions": 1, "parallelism": 1, "backoffLimit": 2}), "exit 3"));
    world.run(LONG);
    assert_eq!(world.all("/pods").len(), 3);
    let status = &world.get("batch/jobs", "j");
    assert_eq!(conditions(status), "FailureTarget=True(BackoffLimitExceeded) Failed=True(BackoffLimitExceeded)");
    assert_eq!(status["status"]["failed"], 3);
    assert_eq!(status["status"]["conditions"][1]["message"], "Job has reached the specified backoff limit");
    assert!(
        world.heard("j-").iter().all(|event| !event.contains("Back-off")),
        "pods that never restart do not back off"
    );
}

#[test]
fn a_job_that_lasts_too_long_loses_its_pods() {
    let mut world = World::new();
    let spec = json!({"completions": 1, "parallelism": 1, "activeDeadlineSeconds": 20});
    world.create("batch/jobs", job(&spec, "sleep infinity"));
    world.run(LONG);
    assert!(world.all("/pods").is_empty());
    let done = world.get("batch/jobs", "j");
    assert_eq!(conditions(&done), "FailureTarget=True(DeadlineExceeded) Failed=True(DeadlineExceeded)");
    assert_eq!(done["status"]["failed"], 1);
}

#[test]
fn an_indexed_job_gives_each_pod_its_number() {
    let mut world = World::new();
    let spec = json!({"completions": 3, "parallelism": 2, "completionMode": "Indexed"});
    world.create("batch/jobs", job(&spec, "echo $JOB_COMPLETION_INDEX"));
    world.run(LONG);
    world.lines.sort();
    assert_eq!(world.lines, ["0", "1", "2"]);
    assert_eq!(world.get("batch/jobs", "j")["status"]["completedIndexes"], "0-2");
}

#[test]
fn a_suspended_job_has_no_pods_until_it_goes_on() {
    let mut world = World::new();
    let key = world.create("batch/jobs", job(&json!({"completions": 1, "parallelism": 1, "suspend": true}), "true"));
    world.run(LONG);
    assert_eq!(world.all("/pods").len(), 0);
    assert_eq!(conditions(&world.get("batch/jobs", "j")), "Suspended=True(JobSuspended)");
    world.edit(&key, |job| job["spec"]["suspend"] = json!(false));
    world.run(LONG);
    assert!(conditions(&world.get("batch/jobs", "j")).ends_with("Complete=True(CompletionsReached)"));
}

#[test]
fn a_finished_job_goes_after_its_time_to_live() {
    let mut world = World::new();
    let spec = json!({"completions": 1, "parallelism": 1, "ttlSecondsAfterFinished": 30});
    world.create("batch/jobs", job(&spec, "true"));
    world.run(LONG);
    assert_eq!(world.all("batch/jobs").len() + world.all("/pods").len(), 0);
}

#[test]
fn a_cronjob_makes_a_job_at_each_of_its_minutes() {
    let mut world = World::new();
    let template = job(&json!({"completions": 1, "parallelism": 1}), "true");
    world.create(
        "batch/cronjobs",
        json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
            "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": template["spec"]}},
        }),
    );
    world.run(Duration::from_secs(130));
    let jobs = world.all("batch/jobs");
    assert_eq!(jobs.len(), 2);
    assert!(jobs.iter().all(|job| conditions(job).contains("Complete=True")));
    assert!(world.heard("c").iter().any(|event| event.starts_with("SawCompletedJob: Saw completed job: c-")));
    assert!(world.get("batch/cronjobs", "c")["status"]["lastScheduleTime"].is_string());
}

#[test]
fn a_daemonset_has_a_pod_on_each_node() {
    let mut world = World::new();
    let allocatable = json!({"cpu": "4", "memory": "8Gi"});
    world
        .create("/nodes", json!({"kind": "Node", "metadata": {"name": "two"}, "status": {"allocatable": allocatable}}));
    let container = json!({"name": "c", "image": "x"});
    world.create(
        "apps/daemonsets",
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "ds"},
            "spec": {"selector": {"matchLabels": {"app": "ds"}}, "template": template("ds", "Always", &container)},
        }),
    );
    world.run(LONG);
    let mut nodes: Vec<_> = world.all("/pods").iter().map(|pod| pod["spec"]["nodeName"].clone()).collect();
    nodes.sort_by_key(Value::to_string);
    assert_eq!(nodes, ["one", "two"]);
    let status = &world.get("apps/daemonsets", "ds")["status"];
    assert_eq!((&status["numberReady"], &status["desiredNumberScheduled"]), (&json!(2), &json!(2)));
}

#[test]
fn a_service_has_the_addresses_of_its_ready_pods_with_named_ports_resolved() {
    let mut world = World::new();
    world.create("/services", json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"},
        "spec": {"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"name": "p", "port": 1, "targetPort": "pg"}]},
    }));
    world.run(LONG);
    let slice = &world.all("discovery.k8s.io/endpointslices")[0];
    assert_eq!((&slice["endpoints"], &slice["ports"]), (&Value::Null, &Value::Null));
    world.create("apps/statefulsets", statefulset(1));
    world.run(LONG);
    let slice = &world.all("discovery.k8s.io/endpointslices")[0];
    let ip = &world.get("/pods", "db-0")["status"]["podIP"];
    assert_eq!(slice["endpoints"][0]["addresses"][0], *ip);
    assert_eq!(slice["endpoints"][0]["conditions"], json!({"ready": true, "serving": true, "terminating": false}));
    assert_eq!(slice["endpoints"][0]["hostname"], "db-0");
    assert_eq!(slice["ports"], json!([{"name": "p", "port": 5432, "protocol": "TCP"}]));
    let endpoints = world.get("/endpoints", "db");
    assert_eq!(endpoints["subsets"][0]["addresses"][0]["ip"], *ip);
    world.delete(&Key::new("/services", "ns", "db"));
    world.run(LONG);
    assert_eq!(world.all("/endpoints").len(), 0);
}

#[test]
fn a_claim_waits_for_its_first_consumer() {
    let mut world = World::new();
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    world.create(
        "/persistentvolumeclaims",
        json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "a"}, "spec": spec}),
    );
    world.run(LONG);
    assert_eq!(world.get("/persistentvolumeclaims", "a")["status"]["phase"], "Pending");
    assert!(world.heard("a").iter().any(|event| event.starts_with("WaitForFirstConsumer: waiting for first consumer")));
    world.create(
        "/pods",
        json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "c", "image": "x"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "a"}}],
        }}),
    );
    world.run(LONG);
    assert_eq!(world.get("/persistentvolumeclaims", "a")["status"]["phase"], "Bound");
    assert_eq!(pod(&world.get("/pods", "p")), "Running running#0 ready");
    world.delete(&Key::new("/persistentvolumeclaims", "ns", "a"));
    world.run(LONG);
    assert!(world.objects.0.keys().all(|key| &*key.resource != "/persistentvolumes"));
}

#[test]
fn a_budget_counts_what_is_healthy() {
    let mut world = World::new();
    world.create(
        "policy/poddisruptionbudgets",
        json!({
            "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "db"}}},
        }),
    );
    world.create("apps/statefulsets", statefulset(2));
    world.run(LONG);
    let status = &world.get("policy/poddisruptionbudgets", "b")["status"];
    assert_eq!((&status["currentHealthy"], &status["disruptionsAllowed"]), (&json!(2), &json!(1)));
}

#[test]
fn a_quota_says_what_is_used() {
    let mut world = World::new();
    let hard = json!({"pods": "9", "requests.cpu": "4", "count/statefulsets.apps": "5"});
    world
        .create("/resourcequotas", json!({"kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}}));
    world.run(LONG);
    world.create("apps/statefulsets", statefulset(2));
    world.run(LONG);
    let used = &world.get("/resourcequotas", "q")["status"]["used"];
    assert_eq!(*used, json!({"pods": "2", "requests.cpu": "0", "count/statefulsets.apps": "1"}));
}
