//! What is in a cluster before anybody has installed anything.

use serde_json::{Value, json};

use super::cluster::{State, now};

/// The objects, in the order in which they come.
const OBJECTS: &str = include_str!("seed.yaml");

/// Fills an empty cluster.
///
/// # Errors
/// Which object could not be created, and why: a defect of this program.
pub(super) fn fill(state: &mut State) -> Result<(), String> {
    for document in OBJECTS.split("\n---\n").skip(1) {
        let object: Value = serde_saphyr::from_str(document).map_err(|error| error.to_string())?;
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let group =
            object["apiVersion"].as_str().and_then(|version| Some(version.split_once('/')?.0)).unwrap_or_default();
        let resource = state.catalog.of_kind(group, &kind).ok_or_else(|| format!("{kind} is not served"))?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
        let is_node = kind == "Node";
        state.create_own(&resource, object).map_err(|refused| format!("{kind} {name}: {}", refused.message))?;
        if is_node {
            let key = State::key(&resource, namespace.as_deref(), &name);
            let uid = state.store.find(&key).map(|stored| stored.uid.to_string()).unwrap_or_default();
            state.amend(&key, &uid, |node| node["status"] = ready_node(&name));
        }
    }
    Ok(())
}

/// The status of a node on which pods can run.
fn ready_node(name: &str) -> Value {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let time = now();
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": time, "lastTransitionTime": time,
        })
    };
    let capacity = json!({ "cpu": "8", "memory": "16Gi", "pods": "2000", "ephemeral-storage": "100Gi" });
    json!({
        "capacity": capacity,
        "allocatable": capacity,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "addresses": [{ "type": "InternalIP", "address": "172.18.0.2" }, { "type": "Hostname", "address": name }],
        "nodeInfo": {
            "architecture": "amd64", "operatingSystem": "linux", "osImage": "a rehearsal", "kernelVersion": "0.0.0",
            "kubeletVersion": "v1.34.4", "kubeProxyVersion": "", "containerRuntimeVersion": "rehearsal://0",
            "bootID": "", "machineID": "", "systemUUID": "",
        },
    })
}
