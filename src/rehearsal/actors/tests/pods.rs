//! Pods alone: what they need, what they run, and what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::played;
use super::world::{World, conditions, pod};

/// Long enough for anything that is not for ever.
const LONG: Duration = Duration::from_secs(2);

fn alone(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}}, "spec": spec})
}

/// What a pod with this spec has become after a while.
fn after(spec: &Value) -> (World, Arc<Value>) {
    let mut world = World::new();
    world.create("/pods", alone(spec));
    world.run(LONG);
    let pod = world.get("/pods", "p");
    (world, pod)
}

#[test]
fn init_containers_run_one_after_the_other_and_sidecars_beside() {
    let init = json!([
        {"name": "i", "image": "x", "command": ["echo", "first"]},
        {"name": "s", "image": "x", "restartPolicy": "Always", "command": ["sh", "-c", "echo beside; sleep infinity"]},
    ]);
    let main = json!([{"name": "c", "image": "x", "command": ["echo", "last"]}]);
    let (world, done) = after(&json!({"restartPolicy": "Never", "initContainers": init, "containers": main}));
    assert_eq!(world.lines, ["first", "beside", "last"]);
    assert_eq!(done["status"]["phase"], "Succeeded");
    let story = world.story("/pods", "p", conditions);
    assert!(story.iter().any(|one| one.contains("Initialized=False(ContainersNotInitialized)")), "{story:#?}");
    assert!(conditions(&done).contains("Ready=False(PodCompleted)"), "{}", conditions(&done));
}

#[test]
fn a_failed_init_container_fails_a_pod_that_never_restarts() {
    let init = json!([{"name": "i", "image": "x", "command": ["false"]}]);
    let (_, done) =
        after(&json!({"restartPolicy": "Never", "initContainers": init, "containers": [{"name": "c", "image": "x"}]}));
    assert_eq!(pod(&done), "Failed waiting:PodInitializing#0");
}

#[test]
fn a_missing_reference_heals_when_it_appears() {
    let container = json!({"name": "c", "image": "x", "envFrom": [{"configMapRef": {"name": "m"}}], "command": ["sh", "-c", "echo $A; sleep infinity"]});
    let (mut world, waiting) = after(&json!({"containers": [container]}));
    assert_eq!(pod(&waiting), "Pending waiting:CreateContainerConfigError#0");
    assert_eq!(waiting["status"]["containerStatuses"][0]["state"]["waiting"]["message"], "configmap \"m\" not found");
    assert!(world.heard("p").contains(&"Failed: Error: configmap \"m\" not found"));
    world.create("/configmaps", json!({"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"A": "now"}}));
    world.run(LONG);
    assert_eq!(pod(&world.get("/pods", "p")), "Running running#0 ready");
    assert_eq!(world.lines, ["now"]);
}

#[test]
fn a_missing_volume_keeps_the_container_in_creation() {
    let volume = json!({"name": "v", "secret": {"secretName": "s"}});
    let (world, waiting) = after(&json!({"containers": [{"name": "c", "image": "x"}], "volumes": [volume]}));
    assert_eq!(pod(&waiting), "Pending waiting:ContainerCreating#0");
    assert!(
        world.heard("p").contains(&"FailedMount: MountVolume.SetUp failed for volume \"v\" : secret \"s\" not found")
    );
}

#[test]
fn an_unschedulable_pod_says_why() {
    let (world, waiting) = after(&json!({"nodeSelector": {"a": "b"}, "containers": [{"name": "c", "image": "x"}]}));
    assert_eq!(conditions(&waiting), "PodScheduled=False(Unschedulable)");
    assert!(world.heard("p")[0].starts_with(
        "FailedScheduling: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    ));
}

#[test]
fn scripts_are_played_with_their_files_and_their_environment() {
    let container = json!({
        "name": "c", "image": "x", "command": ["sh", "/scripts/run.sh"], "env": [{"name": "WHO", "value": "you"}],
        "volumeMounts": [{"name": "v", "mountPath": "/scripts"}],
    });
    let script = "set -e\nfor n in 1 2; do echo \"$n $WHO\"; done\nif [ -f /scripts/run.sh ]; then echo there; fi\n\
                  i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i | cat\nfalse\necho never\n";
    let mut world = World::new();
    world.create("/configmaps", json!({"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"run.sh": script}}));
    let volumes = json!([{"name": "v", "configMap": {"name": "m"}}]);
    world.create("/pods", alone(&json!({"restartPolicy": "Never", "containers": [container], "volumes": volumes})));
    world.run(LONG);
    assert_eq!(world.lines, ["1 you", "2 you", "there", "3"]);
    assert_eq!(world.get("/pods", "p")["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 1);
}

#[test]
fn a_command_in_a_container_is_played() {
    let (world, running) =
        after(&json!({"containers": [{"name": "c", "image": "x", "env": [{"name": "A", "value": "1"}]}]}));
    let run = |script: &str| played(&["sh".into(), "-c".into(), script.into()], &running, "c", &world.objects);
    assert_eq!((run("echo $A").stdout, run("exit 4").code), ("1\n".to_owned(), 4));
    let missing = run("cat /nothing");
    assert_eq!((missing.code, missing.stderr.as_str()), (1, "cat: can't open '/nothing': No such file or directory\n"));
}

#[test]
fn scripts_without_an_end_are_servers() {
    for script in
        ["while true; do echo x; sleep 5; done", "tail -f /dev/null", "exec redis-server", "sleep 1d", "nc -lk 80"]
    {
        let container = json!({"name": "c", "image": "x", "command": ["sh", "-c", script]});
        let (_, running) = after(&json!({"restartPolicy": "Never", "containers": [container]}));
        assert_eq!(running["status"]["phase"], "Running", "{script}");
    }
}

#[test]
fn a_readiness_probe_that_fails_is_told_and_keeps_the_pod_unready() {
    let container = json!({"name": "c", "image": "x", "readinessProbe": {"exec": {"command": ["false"]}}});
    let (world, unready) = after(&json!({"containers": [container]}));
    assert_eq!(pod(&unready), "Running running#0");
    assert!(conditions(&unready).contains("Ready=False(ContainersNotReady)"));
    assert!(world.heard("p").iter().any(|event| event.starts_with("Unhealthy: Readiness probe failed")));
}

#[test]
fn a_script_that_waits_for_a_service_goes_on_when_it_answers() {
    let container =
        json!({"name": "c", "image": "x", "command": ["sh", "-c", "until nc -z db 5432; do sleep 1; done; echo on"]});
    let (mut world, waiting) = after(&json!({"restartPolicy": "Never", "containers": [container]}));
    assert_eq!(pod(&waiting), "Running running#0 ready");
    let labels = json!({"kubernetes.io/service-name": "db"});
    world.create(
        "discovery.k8s.io/endpointslices",
        json!({"metadata": {"name": "db-1", "labels": labels}, "endpoints": [{"conditions": {"ready": true}}]}),
    );
    world.run(LONG);
    assert_eq!(world.get("/pods", "p")["status"]["phase"], "Succeeded");
    assert_eq!(world.lines, ["on"]);
}

#[test]
fn clients_that_ask_their_own_server_are_answered() {
    for (script, code) in [
        ("redis-cli ping | grep -q PONG", 0),
        ("for i in $(seq 3); do redis-cli -h nobody ping | grep PONG && exit; sleep 0.5; done; exit 1", 1),
        ("some-tool status | grep -q ready", 0),
        ("echo no | grep -q yes", 1),
        ("pg_isready -h 127.0.0.1 -U me", 0),
    ] {
        let container = json!({"name": "c", "image": "x", "command": ["sh", "-c", script]});
        let (_, done) = after(&json!({"restartPolicy": "Never", "containers": [container]}));
        let ended = &done["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"];
        assert_eq!(*ended, code, "{script}");
    }
}

#[test]
fn a_server_of_which_nothing_is_known_runs_unless_its_pod_is_to_end() {
    for command in
        [json!(["/manager", "--leader-elect"]), json!(["sh", "-c", "echo up; exec /app/server"]), json!(["/run.sh"])]
    {
        for (policy, phase) in [("Always", "Running"), ("Never", "Succeeded")] {
            let container = json!({"name": "c", "image": "x", "command": command});
            let (_, done) = after(&json!({"restartPolicy": policy, "containers": [container]}));
            assert_eq!(done["status"]["phase"], phase, "{command} {policy}");
            assert_eq!(done["status"]["containerStatuses"][0]["restartCount"], 0, "{command} {policy}");
        }
    }
}
