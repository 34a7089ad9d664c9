//! What every namespace has: a ServiceAccount `default` and the certificate of the cluster's authority.

use serde_json::json;

use super::faults::Fault;
use super::scene::Scene;

/// Gives a namespace what it lacks.
pub(super) fn live(scene: &mut Scene<'_>, ca: &str) {
    if scene.leaving() {
        return;
    }
    let name = &*scene.key.name;
    let missing = |resource, wanted| scene.view.get(&super::super::object::Key::new(resource, name, wanted)).is_none();
    let (no_account, no_ca) = (missing("/serviceaccounts", "default"), missing("/configmaps", "kube-root-ca.crt"));
    if no_ca && !scene.faults.strike(name, name, Fault::NoRootAuthority) {
        let metadata = json!({
            "name": "kube-root-ca.crt", "namespace": name,
            "annotations": {
                "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when \
                    using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage \
                    is guaranteed across distributions of Kubernetes clusters.",
            },
        });
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": ca}});
        scene.create("/configmaps", map);
    }
    if no_account && !scene.faults.strike(name, name, Fault::NoDefaultServiceAccount) {
        let metadata = json!({"name": "default", "namespace": name});
        scene.create("/serviceaccounts", json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}));
    }
}
