//! Every fault does what its name says, and weather passes.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Fault, Target};
use super::world::{World, conditions, pod};

/// Long enough for anything that is not for ever.
const LONG: Duration = Duration::from_secs(3);

/// A world in which a fault is on for whatever is called `x…`.
fn under(fault: Fault) -> World {
    let mut world = World::new();
    world.actors.inject(Target { namespace: None, name: "x".into() }, Some(fault));
    world
}

fn template(policy: &str) -> Value {
    json!({"metadata": {"labels": {"app": "x"}}, "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1}]}]}})
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "x"}}, "template": template("Always")},
    })
}

/// What a Deployment and its pod say under a fault.
fn rollout(fault: Fault) -> (String, String, World) {
    let mut world = under(fault);
    world.create("apps/deployments", deployment());
    world.run(LONG);
    let pods = world.all("/pods");
    (conditions(&world.get("apps/deployments", "x")), pods.first().map(|first| pod(first)).unwrap_or_default(), world)
}

#[test]
fn faults_of_pods_keep_a_rollout_from_its_end() {
    for (fault, shown) in [
        (Fault::ImagePull, "Pending waiting:"),
        (Fault::CrashLoop, "Running waiting:CrashLoopBackOff"),
        (Fault::NeverReady, "Running running#0"),
        (Fault::Unschedulable, "Pending"),
        (Fault::ConfigMissing, "Pending waiting:CreateContainerConfigError"),
        (Fault::OomKilled, "Running waiting:CrashLoopBackOff"),
        (Fault::QuotaExceeded, ""),
        (Fault::ProgressDeadline, ""),
    ] {
        let (deployment, pod, _) = rollout(fault);
        assert!(deployment.contains("Available=False"), "{fault:?}: {deployment}");
        assert!(pod.starts_with(shown), "{fault:?}: {pod}");
    }
}

#[test]
fn faults_are_told_where_a_cluster_tells_them() {
    assert!(rollout(Fault::ProgressDeadline).0.contains("Progressing=False(ProgressDeadlineExceeded)"));
    assert!(rollout(Fault::QuotaExceeded).0.contains("ReplicaFailure=True(FailedCreate)"));
    let (_, _, world) = rollout(Fault::OomKilled);
    let last = &world.all("/pods")[0]["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["reason"], &last["exitCode"]), (&json!("OOMKilled"), &json!(137)));
    let (_, _, world) = rollout(Fault::Evicted);
    assert!(world.seen.iter().any(|(_, one)| one["status"]["reason"] == "Evicted"));
    let mut world = under(Fault::NoDefaultServiceAccount);
    world.create("/namespaces", json!({"kind": "Namespace", "metadata": {"name": "x"}}));
    world.run(LONG);
    assert_eq!(world.objects.0.keys().filter(|key| &*key.namespace == "x").count(), 1, "the ConfigMap alone");
}

#[test]
fn no_fault_keeps_the_actors_busy() {
    for fault in Fault::ALL {
        let mut world = under(fault);
        world.create("apps/deployments", deployment());
        world.run(LONG);
        let before = world.asked;
        world.run(LONG);
        assert!(world.asked - before < 500, "{fault:?}: asked {} times in three seconds", world.asked - before);
    }
}

#[test]
fn weather_passes() {
    for fault in [Fault::RestartsOnce, Fault::LateEndpoint, Fault::SlowStart] {
        assert!(fault.is_weather());
        let (deployment, shown, _) = rollout(fault);
        assert!(deployment.contains("Available=True"), "{fault:?}: {deployment}");
        assert_eq!(shown.contains("#1"), fault == Fault::RestartsOnce, "{fault:?}: {shown}");
    }
}

#[test]
fn a_late_endpoint_comes_late() {
    let mut world = under(Fault::LateEndpoint);
    world.create("/services", json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"selector": {"app": "x"}, "ports": [{"port": 1}]}}));
    world.create("apps/deployments", deployment());
    let ready = |world: &World| {
        world
            .all("discovery.k8s.io/endpointslices")
            .iter()
            .any(|slice| slice["endpoints"][0]["conditions"]["ready"] == true)
    };
    world.run(Duration::from_secs(1));
    assert!(!ready(&world));
    world.run(LONG);
    assert!(ready(&world));
}

#[test]
fn a_job_fails_or_hangs() {
    for (fault, expected) in [(Fault::JobFails, "Failed=True"), (Fault::JobHangs, "")] {
        let mut world = under(fault);
        let spec = json!({"completions": 1, "parallelism": 1, "backoffLimit": 1, "template": template("Never")});
        world.create(
            "batch/jobs",
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": spec}),
        );
        world.run(LONG);
        let shown = conditions(&world.get("batch/jobs", "x"));
        assert!(if expected.is_empty() { shown.is_empty() } else { shown.contains(expected) }, "{fault:?}: {shown}");
    }
}

/// What the conditions of a definition named `xs.example.org` come to.
fn definition(fault: Option<Fault>) -> (Vec<String>, World) {
    let mut world = World::new();
    world.actors.inject(Target { namespace: None, name: "xs.example.org".into() }, fault);
    let names = json!({"plural": "xs", "kind": "X", "listKind": "XList", "singular": "x"});
    world.create("apiextensions.k8s.io/customresourcedefinitions", json!({
        "kind": "CustomResourceDefinition", "metadata": {"name": "xs.example.org"},
        "spec": {"group": "example.org", "names": names, "versions": [{"name": "v1", "storage": true, "served": true}]},
    }));
    world.run(LONG);
    (world.story("apiextensions.k8s.io/customresourcedefinitions", "x", conditions), world)
}

#[test]
fn a_definition_is_established_a_moment_after_its_names_are_accepted() {
    let (story, _) = definition(None);
    assert_eq!(
        story,
        [
            "",
            "NamesAccepted=True(NoConflicts) Established=False(Installing)",
            "NamesAccepted=True(NoConflicts) Established=True(InitialNamesAccepted)",
        ]
    );
    assert!(definition(Some(Fault::CrdNotEstablished)).0.last().unwrap().ends_with("Established=False(Installing)"));
    let refused = definition(Some(Fault::CrdNamesRefused)).0;
    assert_eq!(refused.last().unwrap(), "NamesAccepted=False(PluralConflict) Established=False(NotAccepted)");
}

#[test]
fn names_that_another_definition_has_are_refused() {
    let (_, mut world) = definition(None);
    let names = json!({"plural": "ys", "kind": "X", "listKind": "YList", "singular": "y"});
    world.create(
        "apiextensions.k8s.io/customresourcedefinitions",
        json!({
            "kind": "CustomResourceDefinition", "metadata": {"name": "ys.example.org"},
            "spec": {"group": "example.org", "names": names, "versions": [{"name": "v1", "storage": true}]},
        }),
    );
    world.run(LONG);
    let story = world.story("apiextensions.k8s.io/customresourcedefinitions", "y", conditions);
    assert_eq!(story.last().unwrap(), "NamesAccepted=False(KindConflict) Established=False(NotAccepted)");
    let refused = world.objects.0.iter().find(|(key, _)| &*key.name == "ys.example.org").unwrap().1;
    assert_eq!(
        refused["status"]["acceptedNames"],
        json!({"plural": "ys", "kind": "", "singular": "y", "listKind": "YList"})
    );
}

/// A CNPG cluster after a while.
fn cluster(fault: Option<Fault>) -> World {
    let mut world = World::new();
    world.actors.inject(Target { namespace: None, name: "x".into() }, fault);
    world.create("postgresql.cnpg.io/clusters", json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "x"}, "spec": {"instances": 2},
    }));
    world.run(LONG);
    world
}

#[test]
fn an_operator_shows_its_phases_and_makes_what_they_are_about() {
    let world = cluster(None);
    let phases = world.story("postgresql.cnpg.io/clusters", "x", |one| one["status"]["phase"].to_string());
    assert_eq!(
        phases,
        [
            "null",
            "\"Setting up primary\"",
            "\"Waiting for the instances to become active\"",
            "\"Cluster in healthy state\""
        ]
    );
    let done = world.get("postgresql.cnpg.io/clusters", "x");
    assert_eq!((&done["status"]["readyInstances"], &done["status"]["currentPrimary"]), (&json!(2), &json!("x-1")));
    assert_eq!(conditions(&done).split(' ').next(), Some("Ready=True(ClusterIsReady)"));
    let pods: Vec<_> = world.all("/pods").iter().map(|pod| pod["metadata"]["name"].clone()).collect();
    assert_eq!(pods, ["x-1", "x-2"]);
    let mut world = world;
    let key = super::super::super::object::Key::new("postgresql.cnpg.io/clusters", "ns", "x");
    world.edit(&key, |one| one["spec"]["instances"] = json!(3));
    world.run(LONG);
    assert_eq!(world.get(&key.resource, "x")["status"]["readyInstances"], 3);
    assert_eq!(world.get("/secrets", "x-app")["data"]["host"], "eC1ydw==");
}

#[test]
fn of_the_instances_of_a_cluster_one_is_its_primary_and_another_once_that_is_gone() {
    let mut world = cluster(None);
    let role =
        |world: &World, name: &str| world.get("/pods", name)["metadata"]["labels"]["cnpg.io/instanceRole"].clone();
    assert_eq!((role(&world, "x-1"), role(&world, "x-2")), (json!("primary"), json!("replica")));
    world.delete(&super::super::super::object::Key::new("/pods", "ns", "x-1"));
    world.run(LONG);
    assert_eq!((role(&world, "x-1"), role(&world, "x-2")), (json!("replica"), json!("primary")));
}

#[test]
fn a_pooler_and_a_backup_wait_for_their_cluster() {
    let mut world = World::new();
    let of = |kind: &str, more: Value| {
        let mut object = json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": kind, "metadata": {"name": "p"}});
        object["spec"] = more;
        object["spec"]["cluster"] = json!({"name": "x"});
        object
    };
    world.create("postgresql.cnpg.io/poolers", of("Pooler", json!({"instances": 2})));
    world.create("postgresql.cnpg.io/backups", of("Backup", json!({})));
    world.run(LONG);
    assert!(world.all("apps/deployments").is_empty());
    assert_eq!(world.get("postgresql.cnpg.io/backups", "p")["status"], Value::Null);
    world.create("postgresql.cnpg.io/clusters", json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "x"}, "spec": {"instances": 1},
    }));
    world.run(LONG);
    assert_eq!(world.get("apps/deployments", "p")["status"]["readyReplicas"], 2);
    assert_eq!(world.get("postgresql.cnpg.io/poolers", "p")["status"], json!({"instances": 2}));
    assert_eq!(world.get("postgresql.cnpg.io/backups", "p")["status"]["phase"], "completed");
}

#[test]
fn a_redis_failover_is_made_once_its_password_can_be_read_and_without_one_at_once() {
    let mut world = World::new();
    let failover = |name: &str, auth: Value| {
        json!({
            "apiVersion": "databases.spotahome.com/v1", "kind": "RedisFailover", "metadata": {"name": name},
            "spec": {"auth": auth, "redis": {"replicas": 2}},
        })
    };
    world.create("databases.spotahome.com/redisfailovers", failover("closed", json!({"secretPath": "secret"})));
    world.create("databases.spotahome.com/redisfailovers", failover("open", json!({})));
    world.run(LONG);
    let made = |world: &World| {
        let sets = world.all("apps/statefulsets").into_iter();
        sets.map(|set| set["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(made(&world), ["rfr-open"]);
    world.create(
        "/secrets",
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"}, "data": {"password": "c2VjcmV0"}}),
    );
    world.run(LONG);
    assert_eq!(made(&world), ["rfr-closed", "rfr-open"]);
    assert_eq!(world.get("apps/statefulsets", "rfr-closed")["status"]["readyReplicas"], 2);
}

#[test]
fn an_operator_can_be_silent_or_refuse_or_wait_for_pods_that_never_are_ready() {
    let status = |fault| cluster(Some(fault)).get("postgresql.cnpg.io/clusters", "x")["status"].clone();
    assert_eq!(status(Fault::OperatorSilent), Value::Null);
    assert_eq!(status(Fault::OperatorRefuses)["phase"], "Unable to create required cluster objects");
    assert_eq!(status(Fault::NeverReady)["phase"], "Waiting for the instances to become active");
}

#[test]
fn a_certificate_waits_for_its_issuer_and_a_stale_one_keeps_its_generation() {
    let mut world = World::new();
    let spec = json!({"secretName": "tls", "issuerRef": {"name": "ca"}});
    let key = world.create(
        "cert-manager.io/certificates",
        json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "xc"}, "spec": spec,
        }),
    );
    world.run(LONG);
    assert!(conditions(&world.get("cert-manager.io/certificates", "xc")).contains("Ready=False"));
    world.create(
        "cert-manager.io/issuers",
        json!({"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "ca"}}),
    );
    world.run(LONG);
    assert_eq!(conditions(&world.get("cert-manager.io/certificates", "xc")), "Ready=True(Ready)");
    assert_eq!(world.get("/secrets", "tls")["type"], "kubernetes.io/tls");
    let seen = |world: &World| {
        world.get("cert-manager.io/certificates", "xc")["status"]["conditions"][0]["observedGeneration"].clone()
    };
    world.edit(&key, |one| one["spec"]["commonName"] = json!("a"));
    world.run(LONG);
    assert_eq!(seen(&world), 2);
    world.actors.inject(Target { namespace: None, name: "xc".into() }, Some(Fault::StaleStatus));
    world.edit(&key, |one| one["spec"]["commonName"] = json!("b"));
    world.run(LONG);
    assert_eq!(seen(&world), 2);
}

#[test]
fn a_stale_deployment_does_not_observe_its_generation() {
    let (_, _, world) = rollout(Fault::StaleStatus);
    let deployment = world.get("apps/deployments", "x");
    assert!(
        deployment["status"]["observedGeneration"].as_i64().unwrap_or(0)
            < deployment["metadata"]["generation"].as_i64().unwrap()
    );
}

#[test]
fn a_claim_that_is_never_bound_keeps_its_pod_from_a_node() {
    let mut world = under(Fault::PvcPending);
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    world.create(
        "/persistentvolumeclaims",
        json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "x"}, "spec": spec}),
    );
    world.create("/pods", json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {
        "containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}],
    }}));
    world.run(LONG);
    assert_eq!(world.get("/persistentvolumeclaims", "x")["status"]["phase"], "Pending");
    assert_eq!(conditions(&world.get("/pods", "p")), "PodScheduled=False(Unschedulable)");
}

/// A value with one of its parts, the `turn`-th, replaced by something of another type.
fn spoilt(value: &Value, turn: &mut i64, nonsense: &Value) -> Value {
    *turn -= 1;
    if *turn == 0 {
        return nonsense.clone();
    }
    match value {
        Value::Object(map) => map.iter().map(|(key, part)| (key.clone(), spoilt(part, turn, nonsense))).collect(),
        Value::Array(list) => list.iter().map(|part| spoilt(part, turn, nonsense)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[test]
fn no_nonsense_in_an_object_makes_an_actor_panic() {
    let pod = template("Never");
    let spec = json!({
        "replicas": 2, "completions": 2, "parallelism": 2, "completionMode": "Indexed", "schedule": "* * * * *",
        "selector": {"matchLabels": {"app": "x"}, "app": "x"}, "ports": [{"port": 1, "targetPort": "a"}], "template": pod,
        "serviceName": "x", "ordinals": {"start": 1}, "jobTemplate": {"metadata": {}, "spec": {"template": pod}},
        "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": {}}], "names": {"plural": "xs", "kind": "X"},
        "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}, "hard": {"pods": "1", "limits.cpu": "1"},
        "scaleTargetRef": {"kind": "Deployment", "name": "x"}, "progressDeadlineSeconds": 9, "minAvailable": "50%",
        "containers": [{"name": "c", "image": "i", "command": ["sh", "-c", "echo $A"], "env": [{"name": "A", "value": "1"}]}],
        "volumes": [{"name": "v", "configMap": {"name": "m"}}], "instances": 2,
    });
    let status = json!({"conditions": [{"type": "Progressing", "status": "True"}], "active": [{"uid": "u"}]});
    let metadata = json!({"name": "x", "labels": {"app": "x"}, "annotations": {"a": "b"}});
    let whole = json!({"apiVersion": "v1", "kind": "X", "metadata": metadata, "spec": spec, "status": status});
    let nonsense = [json!(null), json!("%"), json!(i64::MAX), json!(i64::MIN), json!([1, null]), json!({"a": []})];
    for (resource, nonsense) in RESOURCES.iter().flat_map(|resource| nonsense.iter().map(move |one| (resource, one))) {
        for turn in (1_i64..130).step_by(11) {
            let mut object = spoilt(&whole, &mut turn.clone(), nonsense);
            if !object["metadata"].is_object() {
                continue;
            }
            object["metadata"]["name"] = json!("x");
            if !object["metadata"]["labels"].is_object() && *resource == "/pods" {
                continue;
            }
            object["metadata"]["namespace"] = json!("ns");
            let mut world = World::bare();
            world.create(resource, object);
            world.run(Duration::from_millis(200));
        }
    }
}

/// The collections that actors look after.
const RESOURCES: [&str; 16] = [
    "/nodes",
    "/services",
    "/persistentvolumeclaims",
    "/persistentvolumes",
    "/resourcequotas",
    "/pods",
    "apps/deployments",
    "apps/replicasets",
    "apps/statefulsets",
    "apps/daemonsets",
    "batch/jobs",
    "batch/cronjobs",
    "policy/poddisruptionbudgets",
    "autoscaling/horizontalpodautoscalers",
    "apiextensions.k8s.io/customresourcedefinitions",
    "postgresql.cnpg.io/clusters",
];
