//! Which rule is asked about which kind.

use super::{
    Health, Object, Surroundings, conditions, crds, ingresses, jobs, pods, scaling, services, volumes, workloads,
};

/// How an object is, judged by its newest specification, its status, and what surrounds it.
#[must_use]
pub fn assess(object: Object<'_>, around: &Surroundings<'_>) -> Health {
    if object.is_going() && !jobs::is_cleaned_up(object) {
        return Health::waiting(format!("{} {} is being deleted", object.kind, object.name()));
    }
    match (object.group, object.kind) {
        ("", "Pod") => pods::assess(object, around),
        ("apps", "Deployment") => workloads::deployment(object, around),
        ("apps", "StatefulSet") => workloads::stateful_set(object, around),
        ("apps", "DaemonSet") => workloads::daemon_set(object, around),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workloads::replica_set(object, around),
        ("batch", "Job") => jobs::assess(object, around),
        ("", "PersistentVolumeClaim") => volumes::assess(object, around),
        ("", "Service") => services::assess(object, around),
        ("networking.k8s.io", "Ingress") => ingresses::assess(object, around),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crds::assess(object),
        ("policy", "PodDisruptionBudget") => scaling::budget(object),
        ("autoscaling", "HorizontalPodAutoscaler") => scaling::autoscaler(object),
        ("", "Namespace") => phase(object, "Active"),
        ("", "ResourceQuota") => quota(object),
        ("", "Node") | ("apiregistration.k8s.io", "APIService") => conditions::assess(object, around),
        _ if is_built_in(object.group) => Health::ready("exists"),
        _ => conditions::assess(object, around),
    }
}

/// Whether a group is one of the API server's own, whose remaining kinds are ready by existing: ConfigMaps, Secrets,
/// roles, policies, classes, webhook configurations.
#[must_use]
pub fn is_built_in(group: &str) -> bool {
    const OWN: [&str; 17] = [
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    ];
    // The first groups were named without a domain; no custom resource can be.
    !group.contains('.') || OWN.contains(&group)
}

fn phase(object: Object<'_>, wanted: &str) -> Health {
    match object.text("/status/phase") {
        phase if phase == wanted => Health::ready(phase),
        "" => Health::waiting(format!("{} {} has no status yet", object.kind, object.name())),
        other => Health::waiting(format!("{} {} is {other}", object.kind, object.name())),
    }
}

/// A quota that its controller has not counted yet denies everything.
fn quota(object: Object<'_>) -> Health {
    let (wanted, counted) = (object.data.pointer("/spec/hard"), object.data.pointer("/status/hard"));
    if wanted == counted {
        return Health::ready("counted");
    }
    Health::waiting(format!("ResourceQuota {} has not been counted yet", object.name()))
}

#[cfg(test)]
mod tests {
    use super::super::literal::{ready, waiting};

    #[test]
    fn what_has_no_status_by_nature_is_ready_by_existing() {
        ready("{ apiVersion: v1, kind: ConfigMap, metadata: { name: a } }", "exists");
        ready("{ apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: { name: a } }", "exists");
    }

    #[test]
    fn what_is_being_deleted_is_not_ready() {
        let going =
            "{ apiVersion: v1, kind: Secret, metadata: { name: a, deletionTimestamp: '2026-01-01T00:00:00Z' } }";
        waiting(going, "Secret a is being deleted");
    }

    #[test]
    fn a_namespace_is_ready_when_active() {
        ready("{ apiVersion: v1, kind: Namespace, metadata: { name: a }, status: { phase: Active } }", "Active");
        waiting("{ apiVersion: v1, kind: Namespace, metadata: { name: a } }", "Namespace a has no status yet");
        let going = "{ apiVersion: v1, kind: Namespace, metadata: { name: a }, status: { phase: Terminating } }";
        waiting(going, "Namespace a is Terminating");
    }

    #[test]
    fn a_quota_is_ready_when_it_has_been_counted() {
        let quota = "{ apiVersion: v1, kind: ResourceQuota, metadata: { name: q }, spec: { hard: { pods: '1' } }";
        ready(&format!("{quota}, status: {{ hard: {{ pods: '1' }} }} }}"), "counted");
        waiting(&format!("{quota} }}"), "ResourceQuota q has not been counted yet");
    }
}
