//! How long each state that heals now and then may last before it counts as doomed.
//!
//! Why two lengths: a Secret that is missing now may be made by an operator that is just starting, and an application
//! restarts until its database is there. While other objects of the same wait are still making progress such states get
//! time; once nothing else is under way, waiting longer changes nothing.

use std::time::Duration;

/// How long a state may last from when it was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The state, as a few words; also what tells one patience from another.
    pub with: &'static str,
    /// Where nothing else of the same wait makes progress.
    pub alone: Duration,
    /// Where something else of the same wait did make progress meanwhile.
    pub in_company: Duration,
}

impl Patience {
    /// With an object that was installed and is not there any more.
    pub const GONE: Self = GONE;
    /// With a container that exits time and again.
    pub const CRASH: Self = CRASH;
    /// With a ConfigMap, Secret, key or ServiceAccount that is not there.
    pub const REFERENCE: Self = REFERENCE;

    /// Whether it is with something that keeps a container from starting at all.
    #[must_use]
    pub fn is_before_the_start(&self) -> bool {
        const KINDS: [Patience; 9] =
            [REFERENCE, REGISTRY, SCHEDULING, SANDBOX, MOUNT, RUNTIME, QUOTA, WEBHOOK, PROVISIONING];
        KINDS.contains(self)
    }
}

const fn patience(with: &'static str, alone: u64, in_company: u64) -> Patience {
    Patience { with, alone: Duration::from_secs(alone), in_company: Duration::from_secs(in_company) }
}

/// A ConfigMap, Secret, key or ServiceAccount that is referred to and not there. Heals when the object appears.
pub(super) const REFERENCE: Patience = patience("a missing reference", 5, 60);
/// `CrashLoopBackOff`: two exits at least. Heals when what the container needs comes up; the kubelet's third pause is 40 s.
pub(super) const CRASH: Patience = patience("a crash loop", 0, 150);
/// A registry that is overloaded or slow. Heals with a later pull; the kubelet's pauses are 10, 20 and 40 s.
pub(super) const REGISTRY: Patience = patience("a registry that does not answer properly", 75, 150);
/// No node takes the pod. Heals when other pods end, a volume binds or a node becomes ready.
pub(super) const SCHEDULING: Patience = patience("a pod that no node takes", 20, 60);
/// A sandbox or network that cannot be made. Heals when the node's network plugin is up.
pub(super) const SANDBOX: Patience = patience("a pod sandbox that cannot be made", 60, 120);
/// A volume that cannot be mounted. Heals when it is detached elsewhere or its driver is up.
pub(super) const MOUNT: Patience = patience("a volume that cannot be mounted", 60, 120);
/// A container runtime that stumbles over itself (`name is reserved`, a deadline).
pub(super) const RUNTIME: Patience = patience("a container that cannot be created", 60, 120);
/// A quota that is used up. Heals when something else in the namespace goes.
pub(super) const QUOTA: Patience = patience("an exhausted quota", 5, 60);
/// An admission webhook that cannot be called. Heals when its server is up.
pub(super) const WEBHOOK: Patience = patience("an admission webhook that does not answer", 60, 120);
/// A volume that cannot be provisioned. Heals with the provisioner's next attempt.
pub(super) const PROVISIONING: Patience = patience("a volume that cannot be provisioned", 20, 60);
/// A pod that its node has put out. Heals when its controller replaces it.
pub(super) const EVICTION: Patience = patience("an evicted pod", 30, 60);
/// A broken pod of a StatefulSet's former revision. Heals when the controller replaces it, which it may never do.
pub(super) const FORMER_REVISION: Patience = patience("a broken pod of the former revision", 30, 120);
/// A Service whose selector matches no pod. Heals when its pods are made.
pub(super) const NO_PODS: Patience = patience("a Service without pods", 5, 10);
/// A Service of those pods of a workload that have a label which its template does not give them: who elects a leader puts it
/// there (Patroni, CloudNativePG), once there is one.
pub(super) const NO_LEADER: Patience = patience("a Service whose pods nobody has labelled", 30, 120);
/// A Service's port that leads to none of its ready pods. Heals when pods of another specification come.
pub(super) const NO_PORT: Patience = patience("a Service port that leads nowhere", 5, 30);
/// An Ingress whose class nobody has. Heals when a gateway's chart brings it, which may be installed beside.
pub(super) const NO_CLASS: Patience = patience("an Ingress without its class", 60, 180);
/// An Ingress that leads to a Service, or a port of one, that is not there. Heals when that is installed, perhaps beside.
pub(super) const NO_BACKEND: Patience = patience("an Ingress that leads nowhere", 60, 180);
/// A workload whose former pods only a hand, or an operator in its place, replaces.
pub(super) const BY_HAND: Patience = patience("pods that nobody replaces", 10, 60);
/// An autoscaler that finds no metrics. Heals when the metrics server is up and has seen the pods, a minute at most.
pub(super) const METRICS: Patience = patience("an autoscaler that cannot scale", 60, 120);
/// A load balancer that its controller could not provide. Heals with the controller's next attempt.
pub(super) const LOAD_BALANCER: Patience = patience("a load balancer that cannot be provided", 30, 120);
/// An object that was installed and is not there any more. Heals when its maker makes it anew.
pub(super) const GONE: Patience = patience("an object that is gone", 5, 30);
/// A workload that was ready with pods and wants none any more. Heals when whoever restarts it so has done so.
pub(super) const DESERTED: Patience = patience("a workload scaled to nothing", 5, 30);
