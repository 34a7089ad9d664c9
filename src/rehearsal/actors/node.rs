//! Nodes: ready from the beginning.

use serde_json::{Value, json};

use super::scene::{Scene, text};

/// Gives a node that has no status that of a small machine that is well.
pub(super) fn live(scene: &mut Scene<'_>) {
    if scene.object.get("status").is_some_and(|status| status.get("conditions").is_some()) || scene.leaving() {
        return;
    }
    let stamp = scene.stamp();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "lastHeartbeatTime": stamp, "lastTransitionTime": stamp, "reason": reason,
            "message": message,
        })
    };
    let fine = |what: &str, has: &str| format!("kubelet has {has} {what} available");
    let room = json!({
        "cpu": "8", "ephemeral-storage": "100Gi", "hugepages-1Gi": "0", "hugepages-2Mi": "0", "memory": "32Gi",
        "pods": "10000",
    });
    let said = scene.object.get("status");
    let given = |field: &str| said.and_then(|status| status.get(field)).filter(|value| !value.is_null()).cloned();
    let status = json!({
        "capacity": given("capacity").unwrap_or_else(|| room.clone()),
        "allocatable": given("allocatable").unwrap_or(room),
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", &fine("memory", "sufficient")),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", &fine("PID", "sufficient")),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "addresses": [
            {"type": "InternalIP", "address": super::pod::HOST},
            {"type": "Hostname", "address": text(scene.object, "/metadata/name")},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": info(),
    });
    scene.status(status);
}

/// What a node says of its software.
fn info() -> Value {
    json!({
        "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "rehearsal", "osImage": "rehearsal",
        "containerRuntimeVersion": "rehearsal://0", "kubeletVersion": "v1.34.4", "kubeProxyVersion": "",
        "operatingSystem": "linux", "architecture": "amd64",
    })
}
