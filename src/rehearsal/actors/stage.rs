//! Who acts on what, and when.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::super::object::{Act, Key, View};
use super::bonds::Bonds;
use super::dice::{Dice, Pace};
use super::faults::{Fault, Target};
use super::pod::Life;
use super::scene::{Mind, Moment, Scene, uid};
use super::{
    budget, claim, cronjob, daemonset, definition, deployment, job, leaders, namespace, node, operators, replicaset,
    service, statefulset,
};

/// The certificate of the cluster's authority, where none is given.
const CA: &str = "-----BEGIN CERTIFICATE-----\ncmVoZWFyc2VkOiBub3RoaW5nIHJlYWw=\n-----END CERTIFICATE-----\n";

/// All actors, with what they remember.
#[derive(Clone, Debug)]
pub(crate) struct Actors {
    mind: Mind,
    ca: String,
    /// What each pod is living through.
    pods: HashMap<Key, Life>,
    /// How many pods have had an address.
    addresses: u32,
    /// When a controller that was told of a change looks at its object.
    due: HashMap<Key, Duration>,
    bonds: Bonds,
}

impl Actors {
    /// Actors at the beginning of a cluster: the same seed and the same calls give the same acts.
    pub(crate) fn new(seed: u64, pace: Pace) -> Self {
        Self {
            mind: Mind::new(Dice::new(seed, pace)),
            ca: CA.to_owned(),
            pods: HashMap::new(),
            addresses: 0,
            due: HashMap::new(),
            bonds: Bonds::default(),
        }
    }

    /// The same actors, giving each namespace this certificate (PEM) in `kube-root-ca.crt`.
    pub(crate) fn with_authority(mut self, pem: String) -> Self {
        self.ca = pem;
        self
    }

    /// Tells a controller that the API server refused what it made: its kind, and why. The controller is to be looked at
    /// again at once. Returns why in the words of a cluster, for the event.
    pub(crate) fn refused(&mut self, controller: &Key, kind: &str, message: &str) -> String {
        match kind {
            "Pod" => self.mind.refuse(controller, message),
            _ => message.to_owned(),
        }
    }

    /// Switches a fault on for a target, or, with none, all of the target's off.
    pub(crate) fn inject(&mut self, at: Target, fault: Option<Fault>) {
        self.mind.faults.set(at, fault);
    }

    /// Whether a fault is on for an object.
    pub(crate) fn strike(&self, key: &Key, fault: Fault) -> bool {
        self.mind.faults.strike(&key.namespace, &key.name, fault)
    }

    /// What there is to do about one object, now.
    ///
    /// `now` is the time since the cluster started and never goes back; `wall` is what is written into objects. To be
    /// called whenever the object, or one that [`Actors::touched`] leads to it from, has changed or is gone, and again
    /// after the second answer, if there is one: a time from `now`.
    pub(crate) fn reconcile(
        &mut self,
        key: &Key,
        view: &impl View,
        now: Duration,
        wall: Timestamp,
    ) -> (Vec<Act>, Option<Duration>) {
        let is_pod = &*key.resource == "/pods";
        if !is_pod && !ATTENDED.contains(&&*key.resource) && !operators::attend(&key.resource) {
            return (Vec::new(), None);
        }
        if !is_pod && let Some(later) = self.later(key, now) {
            return (Vec::new(), Some(later));
        }
        let Some(object) = view.get(key) else {
            return (self.forget(key, view), None);
        };
        let moment = Moment { now, wall };
        let mut scene = Scene::new((key, &object), view, moment, &mut self.mind);
        if is_pod {
            if self.pods.get(key).is_none_or(|life| life.uid != uid(&object)) {
                let life = Life::new(&mut scene, self.addresses);
                self.addresses += 1;
                self.pods.insert(key.clone(), life);
            }
            if let Some(life) = self.pods.get_mut(key) {
                life.live(&mut scene);
            }
            return scene.end();
        }
        match &*key.resource {
            "/services" => self.bonds.note(key, object.pointer("/spec/selector")),
            "policy/poddisruptionbudgets" => self.bonds.note(key, object.pointer("/spec/selector/matchLabels")),
            "/resourcequotas" => self.bonds.note(key, None),
            _ => {}
        }
        act(&mut scene, &self.ca);
        scene.end()
    }

    /// How long a controller still takes to look at what has changed; `None` when it looks now.
    fn later(&mut self, key: &Key, now: Duration) -> Option<Duration> {
        let due = match self.due.get(key) {
            Some(due) => *due,
            None => {
                let due = now + self.mind.dice.delay(1, 6);
                self.due.insert(key.clone(), due);
                due
            }
        };
        if due > now {
            return Some(due - now);
        }
        self.due.remove(key);
        None
    }

    /// Drops what is remembered of an object that is gone; what there is to do about that.
    fn forget(&mut self, key: &Key, view: &impl View) -> Vec<Act> {
        self.pods.remove(key);
        self.due.remove(key);
        self.bonds.forget(key);
        self.mind.forget(key);
        if &*key.resource != "/services" {
            return Vec::new();
        }
        // An Endpoints object has no owner: it goes by its name.
        let endpoints = key.beside("/endpoints", &key.name);
        let old = view.get(&endpoints);
        old.map(|old| Act::Delete { key: endpoints, uid: uid(&old).to_owned() }).into_iter().collect()
    }

    /// Which other objects must be looked at because this one was created (`old` is `None`), has changed or is gone
    /// (`new` is `None`).
    pub(crate) fn touched(
        &self,
        changed: &Key,
        old: Option<&Value>,
        new: Option<&Value>,
        view: &impl View,
    ) -> Vec<Key> {
        self.bonds.touched(changed, old, new, view)
    }
}

/// The collections with an actor of their own, besides pods and what operators look after.
const ATTENDED: [&str; 16] = [
    "/namespaces",
    "/nodes",
    "/services",
    "/persistentvolumeclaims",
    "/persistentvolumes",
    "/resourcequotas",
    "apps/deployments",
    "apps/replicasets",
    "apps/statefulsets",
    "apps/daemonsets",
    "batch/jobs",
    "batch/cronjobs",
    "policy/poddisruptionbudgets",
    "autoscaling/horizontalpodautoscalers",
    "apiextensions.k8s.io/customresourcedefinitions",
    "apiregistration.k8s.io/apiservices",
];

/// Lets the actor of an object's kind act.
fn act(scene: &mut Scene<'_>, ca: &str) {
    match &*scene.key.resource {
        "/namespaces" => namespace::live(scene, ca),
        "/nodes" => node::live(scene),
        "/services" => service::live(scene),
        "/persistentvolumeclaims" => claim::live(scene),
        "/persistentvolumes" => claim::volume(scene),
        "/resourcequotas" => budget::quota(scene),
        "apps/deployments" => deployment::live(scene),
        "apps/replicasets" => replicaset::live(scene),
        "apps/statefulsets" => {
            statefulset::live(scene);
            leaders::live(scene);
        }
        "apps/daemonsets" => daemonset::live(scene),
        "batch/jobs" => job::live(scene),
        "batch/cronjobs" => cronjob::live(scene),
        "policy/poddisruptionbudgets" => budget::disruptions(scene),
        "autoscaling/horizontalpodautoscalers" => budget::autoscaler(scene),
        "apiextensions.k8s.io/customresourcedefinitions" => definition::live(scene),
        "apiregistration.k8s.io/apiservices" => definition::local(scene),
        _ => operators::live(scene),
    }
}
