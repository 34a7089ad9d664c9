//! Deployments, ReplicaSets and the pods under them.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{World, conditions, pod};

/// Long enough for anything that is not for ever.
const LONG: Duration = Duration::from_secs(2);

fn deployment(name: &str, replicas: u32, container: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"restartPolicy": "Always", "containers": [container]}},
        },
    })
}

fn server() -> Value {
    json!({"name": "c", "image": "redis:7"})
}

#[test]
fn a_rollout_reaches_available_through_the_conditions_a_cluster_shows() {
    let mut world = World::new();
    world.create("apps/deployments", deployment("web", 1, &server()));
    world.run(LONG);
    assert_eq!(
        world.story("apps/deployments", "web", conditions),
        [
            "",
            "Progressing=True(NewReplicaSetCreated)",
            "Progressing=True(NewReplicaSetCreated) Available=False(MinimumReplicasUnavailable)",
            "Available=False(MinimumReplicasUnavailable) Progressing=True(ReplicaSetUpdated)",
            "Available=True(MinimumReplicasAvailable) Progressing=True(NewReplicaSetAvailable)",
        ]
    );
    let web = world.get("apps/deployments", "web");
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(web["status"]["observedGeneration"], 1);
    assert_eq!((&web["status"]["readyReplicas"], &web["status"]["unavailableReplicas"]), (&json!(1), &Value::Null));
}

#[test]
fn a_pod_comes_up_as_a_kubelet_brings_it_up() {
    let mut world = World::new();
    world.create("apps/deployments", deployment("web", 1, &server()));
    world.run(LONG);
    assert_eq!(
        world.story("/pods", "web", pod),
        ["-", "Pending", "Pending waiting:ContainerCreating#0", "Running running#0 ready"]
    );
    let events: Vec<String> = world.heard("web-").iter().map(|event| event.split(':').next().unwrap().into()).collect();
    assert_eq!(events, ["SuccessfulCreate", "Scheduled", "Pulled", "Created", "Started"]);
    let pods = world.all("/pods");
    assert_eq!(pods[0]["status"]["podIP"], "10.244.0.2");
    assert_eq!(pods[0]["spec"]["nodeName"], "one");
    assert_eq!(
        conditions(&pods[0]),
        "PodReadyToStartContainers=True() Initialized=True() Ready=True() ContainersReady=True() PodScheduled=True()"
    );
}

#[test]
fn a_crash_loop_shows_waiting_and_terminated_as_a_kubelet_does() {
    let mut world = World::new();
    let container = json!({"name": "c", "image": "busybox", "command": ["sh", "-c", "echo boom; exit 3"]});
    world.create("apps/deployments", deployment("web", 1, &container));
    world.run(Duration::from_millis(280));
    let story = world.story("/pods", "web", pod);
    assert_eq!(
        story[3..8],
        [
            "Running terminated:Error#0",
            "Running terminated:Error#1",
            "Running waiting:CrashLoopBackOff#1",
            "Running terminated:Error#2",
            "Running waiting:CrashLoopBackOff#2",
        ]
    );
    let pods = world.all("/pods");
    let last = &pods[0]["status"]["containerStatuses"][0];
    assert_eq!(last["lastState"]["terminated"]["exitCode"], 3);
    let message = last["state"]["waiting"]["message"].as_str().unwrap();
    assert!(message.starts_with("back-off 20s restarting failed container=c pod=web-"), "{message}");
    assert_eq!(world.lines, ["boom", "boom", "boom"]);
    assert_eq!(conditions(&world.get("apps/deployments", "web")).matches("False").count(), 1);
}

#[test]
fn a_new_template_replaces_the_pods_without_ever_having_too_few() {
    let mut world = World::new();
    let key = world.create("apps/deployments", deployment("web", 4, &server()));
    world.run(LONG);
    world.seen.clear();
    world.edit(&key, |web| web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("redis:8"));
    world.run(LONG);
    let available = |web: &Value| web["status"]["availableReplicas"].to_string();
    assert!(world.story("apps/deployments", "web", available).iter().all(|count| matches!(&**count, "3" | "4" | "5")));
    let web = world.get("apps/deployments", "web");
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    assert!(conditions(&web).contains("Progressing=True(NewReplicaSetAvailable)"));
    let pods = world.all("/pods");
    assert_eq!(pods.len(), 4);
    assert!(pods.iter().all(|pod| pod["spec"]["containers"][0]["image"] == "redis:8"));
    let sets = world.all("apps/replicasets");
    assert_eq!(sets.len(), 2);
    world.edit(&key, |web| web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("redis:7"));
    world.run(LONG);
    assert_eq!(world.all("apps/replicasets").len(), 2, "an older ReplicaSet is used again");
    let web = world.get("apps/deployments", "web");
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
}

#[test]
fn recreate_stops_all_pods_before_it_starts_new_ones() {
    let mut world = World::new();
    let mut object = deployment("web", 2, &server());
    object["spec"]["strategy"] = json!({"type": "Recreate"});
    let key = world.create("apps/deployments", object);
    world.run(LONG);
    world.seen.clear();
    world.edit(&key, |web| web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("redis:8"));
    world.run(LONG);
    let most = world.story("apps/deployments", "web", |web| web["status"]["replicas"].to_string());
    assert!(most.contains(&"null".to_owned()), "{most:?}");
    let pods = world.all("/pods");
    assert_eq!(pods.len(), 2);
    assert!(pods.iter().all(|pod| pod["spec"]["containers"][0]["image"] == "redis:8"));
}

#[test]
fn a_deleted_pod_is_killed_and_replaced() {
    let mut world = World::new();
    let container = json!({"name": "c", "image": "busybox", "command": ["sleep", "infinity"]});
    world.create("apps/deployments", deployment("web", 1, &container));
    world.run(LONG);
    let before = world.all("/pods")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    world.delete(&super::super::super::object::Key::new("/pods", "ns", &before));
    world.run(LONG);
    assert!(world.heard(&before).contains(&"Killing: Stopping container c"));
    assert_eq!(world.story("/pods", &before, pod).last().unwrap(), "Failed terminated:Error#0");
    let pods = world.all("/pods");
    assert_eq!(pods.len(), 1);
    assert_ne!(pods[0]["metadata"]["name"], before);
    assert_eq!(pod(&pods[0]), "Running running#0 ready");
}

#[test]
fn an_image_that_cannot_be_had_alternates_between_error_and_back_off() {
    let mut world = World::new();
    let container = json!({"name": "c", "image": "registry.invalid/x:1"});
    world.create("apps/deployments", deployment("web", 1, &container));
    world.run(Duration::from_millis(400));
    let story = world.story("/pods", "web", pod);
    assert_eq!(
        story[2..5],
        ["Pending waiting:ContainerCreating#0", "Pending waiting:ErrImagePull#0", "Pending waiting:ImagePullBackOff#0",]
    );
    let heard = world.heard("web-");
    assert!(heard.contains(&"BackOff: Back-off pulling image \"registry.invalid/x:1\""), "{heard:?}");
    assert!(heard.contains(&"Failed: Error: ErrImagePull"), "{heard:?}");
}

#[test]
fn a_deployment_is_looked_at_few_times() {
    let mut world = World::new();
    for number in 0..50 {
        world.create("apps/deployments", deployment(&format!("web-{number}"), 1, &server()));
    }
    let before = world.asked;
    world.run(LONG);
    let each = (world.asked - before) / 50;
    assert!(each < 45, "{each} calls a Deployment");
    assert_eq!(world.all("/pods").iter().filter(|one| pod(one) == "Running running#0 ready").count(), 50);
}

#[test]
fn a_refused_pod_is_told_as_a_replica_failure() {
    let mut world = World::new();
    world.refuses = Some("exceeded quota: q".into());
    world.create("apps/deployments", deployment("web", 1, &server()));
    world.run(LONG);
    let shown = conditions(&world.get("apps/deployments", "web"));
    assert!(shown.contains("ReplicaFailure=True(FailedCreate)"), "{shown}");
    let told = world.get("apps/deployments", "web")["status"]["conditions"][2]["message"].clone();
    let set = world.all("apps/replicasets")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(told, format!("pods \"{set}-\" is forbidden: exceeded quota: q"));
    world.refuses = None;
    world.run(LONG);
    let shown = conditions(&world.get("apps/deployments", "web"));
    assert_eq!(shown, "Available=True(MinimumReplicasAvailable) Progressing=True(NewReplicaSetAvailable)");
}
