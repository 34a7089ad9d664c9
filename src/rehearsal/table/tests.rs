use serde_json::{Value, json};

use super::glance::{human, selector};
use super::{Kind, layout};

const NOW: &str = "2026-03-01T12:00:00Z";

fn row(group: &str, plural: &str, object: &Value) -> Value {
    Kind::BuiltIn(layout(group, plural)).row(object, NOW.parse().unwrap())
}

fn cells(group: &str, plural: &str, object: &Value) -> Value {
    row(group, plural, object)["cells"].clone()
}

fn pod(spec: &Value, status: &Value) -> Value {
    json!({
        "kind": "Pod",
        "metadata": { "name": "p", "creationTimestamp": "2026-03-01T11:59:00Z" },
        "spec": spec,
        "status": status,
    })
}

/// READY, STATUS and RESTARTS.
fn told(object: &Value) -> String {
    let cells = cells("", "pods", object);
    let cells: Vec<&str> = (1..4).map(|at| cells[at].as_str().unwrap()).collect();
    cells.join(" ")
}

#[test]
fn a_time_is_told_in_two_units_at_most() {
    let said: Vec<String> = [
        -2,
        -1,
        0,
        119,
        120,
        125,
        599,
        600,
        10799,
        10800,
        11100,
        28800,
        172_799,
        172_800,
        176_400,
        691_200,
        62_985_600,
        63_072_000,
        63_158_400,
        252_288_000,
    ]
    .into_iter()
    .map(human)
    .collect();
    assert_eq!(said.join(" "), "<invalid> 0s 0s 119s 2m 2m5s 9m59s 10m 179m 3h 3h5m 8h 47h 2d 2d1h 8d 729d 2y 2y1d 8y");
}

#[test]
fn every_layout_has_as_many_cells_as_columns() {
    let all = [
        (
            "",
            "configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims persistentvolumes pods podtemplates replicationcontrollers resourcequotas secrets serviceaccounts services",
        ),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("apiregistration.k8s.io", "apiservices"),
        ("apps", "controllerrevisions daemonsets deployments replicasets statefulsets"),
        ("autoscaling", "horizontalpodautoscalers"),
        ("batch", "cronjobs jobs"),
        ("certificates.k8s.io", "certificatesigningrequests"),
        ("coordination.k8s.io", "leases"),
        ("discovery.k8s.io", "endpointslices"),
        ("networking.k8s.io", "ingressclasses ingresses networkpolicies"),
        ("node.k8s.io", "runtimeclasses"),
        ("policy", "poddisruptionbudgets"),
        ("rbac.authorization.k8s.io", "clusterrolebindings rolebindings roles"),
        ("scheduling.k8s.io", "priorityclasses"),
        ("storage.k8s.io", "csidrivers csinodes storageclasses volumeattachments"),
    ];
    for (group, plurals) in all {
        for plural in plurals.split(' ') {
            let kind = Kind::BuiltIn(layout(group, plural));
            let columns = kind.columns().as_array().unwrap().len();
            let cells = cells(group, plural, &json!({ "metadata": { "name": "x" } }));
            assert_eq!(cells.as_array().unwrap().len(), columns, "{plural}");
        }
    }
}

#[test]
fn columns_have_the_type_and_the_priority_that_their_layout_says() {
    let columns = Kind::BuiltIn(layout("batch", "cronjobs")).columns();
    assert_eq!(
        columns[0],
        json!({ "name": "Name", "type": "string", "format": "name", "description": "", "priority": 0 })
    );
    assert_eq!((&columns[3]["type"], &columns[4]["type"]), (&json!("boolean"), &json!("integer")));
    assert_eq!((&columns[6]["priority"], &columns[7]["priority"]), (&json!(0), &json!(1)));
}

#[test]
fn a_running_pod_counts_its_containers_and_says_when_it_last_restarted() {
    let ended = json!({ "terminated": { "finishedAt": "2026-03-01T11:59:55Z" } });
    let object = pod(
        &json!({ "containers": [{}, {}], "nodeName": "n" }),
        &json!({ "phase": "Running", "podIPs": [{ "ip": "10.0.0.1" }], "containerStatuses": [
            { "ready": true, "restartCount": 3, "state": { "running": {} }, "lastState": ended },
            { "ready": false, "restartCount": 0, "state": { "running": {} } },
        ] }),
    );
    assert_eq!(
        cells("", "pods", &object),
        json!(["p", "1/2", "Running", "3 (5s ago)", "60s", "10.0.0.1", "n", "<none>", "<none>"])
    );
}

#[test]
fn the_first_container_has_the_last_word() {
    let object = pod(
        &json!({ "containers": [{}, {}] }),
        &json!({ "phase": "Running", "containerStatuses": [
            { "restartCount": 1, "state": { "waiting": { "reason": "CrashLoopBackOff" } } },
            { "restartCount": 0, "state": { "terminated": { "exitCode": 1, "reason": "Error" } } },
        ] }),
    );
    assert_eq!(told(&object), "0/2 CrashLoopBackOff 1");
}

#[test]
fn init_containers_speak_until_their_work_is_done() {
    let spec = json!({ "initContainers": [{ "name": "a" }, { "name": "b" }], "containers": [{}] });
    let with = |second: Value| {
        let done = json!({ "name": "a", "state": { "terminated": { "exitCode": 0 } } });
        let waiting = json!({ "restartCount": 0, "state": { "waiting": { "reason": "PodInitializing" } } });
        told(&pod(
            &spec,
            &json!({
                "phase": "Pending", "initContainerStatuses": [done, second], "containerStatuses": [waiting],
            }),
        ))
    };
    let running = json!({ "name": "b", "state": { "running": {} } });
    let broken = json!({ "name": "b", "restartCount": 2, "state": { "waiting": { "reason": "CrashLoopBackOff" } } });
    let failed = json!({ "name": "b", "state": { "terminated": { "exitCode": 3 } } });
    let done = json!({ "name": "b", "restartCount": 2, "state": { "terminated": { "exitCode": 0 } } });
    assert_eq!(with(running), "0/1 Init:1/2 0");
    assert_eq!(with(broken), "0/1 Init:CrashLoopBackOff 2");
    assert_eq!(with(failed), "0/1 Init:ExitCode:3 0");
    assert_eq!(with(done), "0/1 PodInitializing 0");
}

#[test]
fn a_sidecar_counts_among_the_containers() {
    let object = pod(
        &json!({ "initContainers": [{ "name": "s", "restartPolicy": "Always" }], "containers": [{}] }),
        &json!({
            "phase": "Running",
            "initContainerStatuses": [{ "name": "s", "started": true, "ready": true, "restartCount": 1, "state": { "running": {} } }],
            "containerStatuses": [{ "ready": true, "state": { "running": {} } }],
        }),
    );
    assert_eq!(told(&object), "2/2 Running 1");
}

#[test]
fn completed_beside_running_is_running_or_not_ready() {
    let with = |ready: &str| {
        told(&pod(
            &json!({ "containers": [{}, {}] }),
            &json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": ready }], "containerStatuses": [
                { "state": { "terminated": { "exitCode": 0, "reason": "Completed" } } },
                { "ready": true, "state": { "running": {} } },
            ] }),
        ))
    };
    assert_eq!((with("True"), with("False")), ("1/2 Running 0".to_owned(), "1/2 NotReady 0".to_owned()));
}

#[test]
fn a_pod_that_is_being_deleted_is_terminating_unless_it_is_over() {
    let mut object = pod(&json!({ "containers": [{}] }), &json!({ "phase": "Running" }));
    object["metadata"]["deletionTimestamp"] = json!(NOW);
    assert_eq!(told(&object), "0/1 Terminating 0");
    object["status"]["phase"] = json!("Succeeded");
    assert_eq!(told(&object), "0/1 Succeeded 0");
    assert_eq!(row("", "pods", &object)["conditions"][0]["reason"], "Succeeded");
}

#[test]
fn a_row_carries_the_metadata_of_its_object_and_no_more() {
    let object = pod(&json!({ "containers": [] }), &json!({ "phase": "Running" }));
    let row = row("", "pods", &object);
    assert_eq!(
        row["object"],
        json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] })
    );
    assert_eq!(row.get("conditions"), None);
}

#[test]
fn a_deployment_says_how_many_are_ready_of_how_many() {
    let object = json!({
        "metadata": { "name": "d", "creationTimestamp": "2026-03-01T09:00:00Z" },
        "spec": {
            "replicas": 3,
            "selector": { "matchLabels": { "b": "2", "a": "1" } },
            "template": { "spec": { "containers": [{ "name": "x", "image": "i:1" }, { "name": "y", "image": "j:2" }] } },
        },
        "status": { "readyReplicas": 1, "updatedReplicas": 3, "availableReplicas": 1 },
    });
    assert_eq!(cells("apps", "deployments", &object), json!(["d", "1/3", 3, 1, "3h", "x,y", "i:1,j:2", "a=1,b=2"]));
}

#[test]
fn selectors_are_written_in_the_order_of_their_keys() {
    let written = selector(&json!({
        "matchLabels": { "m": "1" },
        "matchExpressions": [
            { "key": "z", "operator": "DoesNotExist" },
            { "key": "a", "operator": "NotIn", "values": ["y", "x"] },
            { "key": "b", "operator": "Exists" },
        ],
    }));
    assert_eq!(written, "a notin (x,y),b,m=1,!z");
}

#[test]
fn a_job_says_what_became_of_it_and_how_long_it_took() {
    let mut object = json!({
        "metadata": { "name": "j", "creationTimestamp": "2026-03-01T11:00:00Z" },
        "spec": { "completions": 2 },
        "status": { "succeeded": 1, "startTime": "2026-03-01T11:57:55Z" },
    });
    let said = |object: &Value| cells("batch", "jobs", object).as_array().unwrap()[1..4].to_vec();
    assert_eq!(said(&object), ["Running", "1/2", "2m5s"]);
    object["status"] = json!({
        "succeeded": 2, "startTime": "2026-03-01T11:50:00Z", "completionTime": "2026-03-01T11:50:07Z",
        "conditions": [{ "type": "Complete", "status": "True" }],
    });
    assert_eq!(said(&object), ["Complete", "2/2", "7s"]);
}

#[test]
fn a_service_says_where_it_is_reached() {
    let service = |spec: Value, status: Value| {
        let object = json!({ "metadata": { "name": "s" }, "spec": spec, "status": status });
        cells("", "services", &object).as_array().unwrap()[1..6].to_vec()
    };
    let ports = json!([{ "port": 80, "nodePort": 30080, "protocol": "TCP" }, { "port": 53, "protocol": "UDP" }]);
    assert_eq!(
        service(json!({ "type": "NodePort", "clusterIP": "10.96.0.1", "ports": ports }), Value::Null),
        ["NodePort", "10.96.0.1", "<none>", "80:30080/TCP,53/UDP", "<unknown>"]
    );
    assert_eq!(service(json!({ "type": "LoadBalancer" }), Value::Null)[2], "<pending>");
    let ready = json!({ "loadBalancer": { "ingress": [{ "ip": "9.9.9.9" }, { "hostname": "a.example" }] } });
    assert_eq!(
        service(json!({ "type": "LoadBalancer", "externalIPs": ["1.1.1.1"] }), ready)[2],
        "9.9.9.9,a.example,1.1.1.1"
    );
}

#[test]
fn of_many_endpoints_three_are_shown() {
    let slice = json!({
        "metadata": { "name": "e" }, "addressType": "IPv4", "ports": [{ "port": 80 }],
        "endpoints": [{ "addresses": ["10.0.0.1"] }, { "addresses": ["10.0.0.2", "10.0.0.3"] }, { "addresses": ["10.0.0.4"] }],
    });
    let cells = cells("discovery.k8s.io", "endpointslices", &slice);
    assert_eq!(cells[3], "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...");
    let none = super::tests::cells("discovery.k8s.io", "endpointslices", &json!({}));
    assert_eq!((&none[2], &none[3]), (&json!("<unset>"), &json!("<unset>")));
}

#[test]
fn an_event_is_told_from_when_it_was_last_seen() {
    let object = json!({
        "metadata": { "name": "e.1" }, "type": "Warning", "reason": "BackOff", "message": "why \n", "count": 4,
        "firstTimestamp": "2026-03-01T11:50:00Z", "lastTimestamp": "2026-03-01T11:59:50Z",
        "involvedObject": { "kind": "Pod", "name": "p" }, "source": { "component": "kubelet", "host": "n" },
    });
    assert_eq!(
        cells("", "events", &object),
        json!(["10s", "Warning", "BackOff", "pod/p", "", "kubelet, n", "why", "10m", 4, "e.1"])
    );
}

#[test]
fn a_kind_that_no_printer_knows_has_the_moment_of_its_creation() {
    let object = json!({ "metadata": { "name": "r", "creationTimestamp": NOW } });
    assert_eq!(cells("rbac.authorization.k8s.io", "roles", &object), json!(["r", NOW]));
    assert_eq!(Kind::BuiltIn(layout("rbac.authorization.k8s.io", "roles")).columns()[1]["type"], "date");
}

#[test]
fn a_custom_kind_has_the_columns_that_its_definition_names() {
    let columns = [
        json!({ "name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status" }),
        json!({ "name": "First", "type": "integer", "jsonPath": ".spec.sizes[0]", "priority": 1 }),
        json!({ "name": "Zone", "type": "string", "jsonPath": ".metadata.labels.topology\\.kubernetes\\.io/zone" }),
        json!({ "name": "Flag", "type": "boolean", "jsonPath": ".spec.flag" }),
        json!({ "name": "Since", "type": "date", "jsonPath": ".metadata.creationTimestamp" }),
        json!({ "name": "Gone", "type": "string", "jsonPath": ".spec.nothing.here" }),
        json!({ "name": "Map", "type": "string", "jsonPath": ".spec.map" }),
    ];
    let object = json!({
        "metadata": {
            "name": "c", "creationTimestamp": "2026-03-01T11:59:00Z",
            "labels": { "topology.kubernetes.io/zone": "z1" },
        },
        "spec": { "sizes": [7, 8], "flag": true, "map": { "a": 1 } },
        "status": { "conditions": [{ "type": "Other", "status": "False" }, { "type": "Ready", "status": "True" }] },
    });
    let kind = Kind::Custom(&columns);
    assert_eq!(
        kind.row(&object, NOW.parse().unwrap())["cells"],
        json!(["c", "True", 7, "z1", true, "60s", null, "{\"a\":1}"])
    );
    assert_eq!(kind.columns()[2]["priority"], 1);
}

#[test]
fn a_custom_kind_without_columns_has_its_age() {
    let object = json!({ "metadata": { "name": "c", "creationTimestamp": "2026-03-01T10:00:00Z" } });
    let kind = Kind::Custom(&[]);
    assert_eq!(kind.row(&object, NOW.parse().unwrap())["cells"], json!(["c", "120m"]));
    assert_eq!(kind.columns()[1]["type"], "date");
}
