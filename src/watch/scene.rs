//! The objects that are waited for, with everything around them that explains how they are.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, select_all};
use kube::api::{ApiResource, DynamicObject};

use super::feed::Objects;
use super::kinds::built_in;
use super::manned::Manned;
use super::{Hub, ObjectRef, WatchError, Window};
use crate::complaint::chain;
use crate::health::{self, Belief, Cause, Doubt, Health, Surroundings};

/// Windows on the kinds of the objects, and on the kinds around them.
pub(super) struct Scene<'a> {
    objects: &'a [ObjectRef],
    frames: Vec<Frame>,
    belief: Belief,
    /// What spoke against believing the objects at the last look.
    doubts: Vec<Doubt>,
    /// Group and kind of those that have no status to write.
    statusless: BTreeSet<(String, String)>,
}

/// One kind in one namespace.
struct Frame {
    resource: ApiResource,
    namespace: Option<String>,
    /// Whether it is only looked at for reasons: then it may be refused.
    around: bool,
    window: Window,
}

impl Frame {
    fn is_of(&self, resource: &ApiResource, namespace: Option<&str>) -> bool {
        self.resource == *resource && self.namespace.as_deref() == namespace
    }
}

/// What a frame shows at one look.
struct Sight<'a> {
    frame: &'a Frame,
    objects: Objects,
    near: Near,
}

/// The objects of a frame that can explain something.
enum Near {
    All,
    /// Those at these places: what is below the objects that are waited for, and the events about them.
    Kin(BTreeSet<usize>),
}

impl Sight<'_> {
    fn near(&self) -> impl Iterator<Item = health::Object<'_>> {
        let (all, kin) = match &self.near {
            Near::All => (&self.objects[..], None),
            Near::Kin(places) => (&[][..], Some(places.iter().map(|at| &self.objects[*at]))),
        };
        all.iter().chain(kin.into_iter().flatten()).map(|object| view(&self.frame.resource, object))
    }
}

/// Kinds of which only what is below an object, or is about it, explains how it is, where it is of such a kind itself.
const BELOW: [&str; 7] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Pod", "Event"];

impl<'a> Scene<'a> {
    pub(super) async fn open(hub: &Hub, objects: &'a [ObjectRef], belief: Belief) -> Self {
        let statusless = statusless(hub, objects).await;
        let mut scene = Self { objects, frames: Vec::new(), belief, doubts: Vec::new(), statusless };
        for object in objects {
            scene.frame(hub, object.resource.clone(), object.namespace.clone(), false);
        }
        for object in objects {
            for kind in around(&object.resource) {
                scene.frame_around(hub, kind, object.namespace.clone());
            }
        }
        scene
    }

    fn frame_around(&mut self, hub: &Hub, kind: &str, namespace: Option<String>) {
        if let Some(kind) = built_in(kind) {
            self.frame(hub, kind.resource, namespace.filter(|_| kind.namespaced), true);
        }
    }

    fn frame(&mut self, hub: &Hub, resource: ApiResource, namespace: Option<String>, around: bool) {
        if !self.frames.iter().any(|frame| frame.is_of(&resource, namespace.as_deref())) {
            let window = hub.window(&resource, namespace.as_deref());
            self.frames.push(Frame { resource, namespace, around, window });
        }
    }

    /// Why nothing newer is heard, where that is so: what is seen then must not be judged.
    pub(super) fn trouble(&self) -> Option<String> {
        let mut own = self.frames.iter().filter(|frame| !frame.around);
        let trouble = own.find_map(|frame| frame.window.trouble().filter(|_| !frame.window.is_refused()))?;
        Some(format!("the API server is not to be had: {}", chain(&*trouble)))
    }

    /// How each object is; `None` while something has not been listed yet.
    pub(super) fn look(&mut self, hub: &Hub) -> Result<Option<Vec<Health>>, WatchError> {
        let mut seen = Vec::new();
        for frame in &mut self.frames {
            match frame.window.objects() {
                Ok(Some(objects)) => seen.push(objects),
                Ok(None) => return Ok(None),
                Err(_) if frame.around => seen.push(Objects::default()),
                Err(refused) => return Err(refused),
            }
        }
        let near = self.near(&seen);
        let sights = self.frames.iter().zip(seen).zip(near);
        let sights: Vec<Sight<'_>> = sights.map(|((frame, objects), near)| Sight { frame, objects, near }).collect();
        if let Some((kind, namespace)) = self.lacks(&sights, &hub.manned) {
            drop(sights);
            self.frame_around(hub, kind, namespace);
            return Ok(None);
        }
        let (healths, doubts) = self.assess(&sights, &hub.manned).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        self.doubts = doubts.concat();
        Ok(Some(healths))
    }

    /// Of each frame, what can explain something. Whatever is below workloads, Jobs and pods is known by its owners; other
    /// objects may be explained by anything in their namespace.
    fn near(&self, seen: &[Objects]) -> Vec<Near> {
        let is_known_by_kin = |namespace: &Option<String>| {
            let mut own = self.objects.iter().filter(|object| object.namespace == *namespace);
            own.all(|object| {
                matches!(
                    (object.resource.group.as_str(), object.resource.kind.as_str()),
                    ("apps", _) | ("batch", "Job") | ("", "Pod")
                )
            })
        };
        let is_below =
            |frame: &Frame| BELOW.contains(&frame.resource.kind.as_str()) && is_known_by_kin(&frame.namespace);
        let mut near: Vec<Near> = self
            .frames
            .iter()
            .map(|frame| if is_below(frame) { Near::Kin(BTreeSet::new()) } else { Near::All })
            .collect();
        let mut uids: Vec<&str> = Vec::new();
        for object in self.objects {
            let own = |frame: &Frame| frame.is_of(&object.resource, object.namespace.as_deref());
            let own = self.frames.iter().position(own);
            if let Some(at) = own
                && let Some(place) = object.place(&seen[at])
                && let Near::Kin(places) = &mut near[at]
            {
                places.insert(place);
                uids.extend(seen[at][place].metadata.uid.as_deref());
            }
        }
        while let Some(uid) = uids.pop() {
            for (near, objects) in near.iter_mut().zip(seen) {
                let Near::Kin(places) = near else { continue };
                let new = objects.kin(uid).iter().filter(|at| places.insert(**at));
                uids.extend(new.filter_map(|at| objects[*at].metadata.uid.as_deref()));
            }
        }
        near
    }

    /// What spoke against believing the objects at the last look.
    pub(super) fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    /// A kind that is worth a watch only now: nodes where the scheduler finds them too small, autoscalers where something
    /// was scaled to nothing.
    fn lacks(&self, sights: &[Sight<'_>], manned: &Manned) -> Option<(&'static str, Option<String>)> {
        for sight in sights {
            let frame = sight.frame;
            let (kind, namespace) = match frame.resource.kind.as_str() {
                "Pod" if sight.near().any(health::wants_nodes) => ("Node", None),
                _ if self.belief == Belief::Lasting && sight.near().any(|object| manned.had(object).is_some()) => {
                    ("HorizontalPodAutoscaler", frame.namespace.clone())
                }
                _ => continue,
            };
            let is_open = |frame: &Frame| frame.resource.kind == kind && frame.namespace == namespace;
            if !self.frames.iter().any(is_open) {
                return Some((kind, namespace));
            }
        }
        None
    }

    fn assess(&self, sights: &[Sight<'_>], manned: &Manned) -> Vec<(Health, Vec<Doubt>)> {
        let namespaces: BTreeSet<_> = self.objects.iter().map(|object| object.namespace.as_deref()).collect();
        let around = |namespace| (namespace, surroundings(sights, namespace, &self.statusless));
        let around: BTreeMap<_, _> = namespaces.into_iter().map(around).collect();
        let each = self.objects.iter();
        each.map(|object| health(object, sights, &around[&object.namespace.as_deref()], self.belief, manned)).collect()
    }

    /// Waits for a change of anything in the scene.
    pub(super) async fn changed(&mut self) {
        select_all(self.frames.iter_mut().map(|frame| Box::pin(frame.window.changed()))).await;
    }
}

/// An object as `health` reads it.
#[must_use]
pub fn view<'a>(resource: &'a ApiResource, object: &'a DynamicObject) -> health::Object<'a> {
    health::Object { group: &resource.group, kind: &resource.kind, metadata: &object.metadata, data: &object.data }
}

fn health(
    object: &ObjectRef,
    sights: &[Sight<'_>],
    around: &Surroundings<'_>,
    belief: Belief,
    manned: &Manned,
) -> (Health, Vec<Doubt>) {
    let own = |sight: &&Sight<'_>| sight.frame.is_of(&object.resource, object.namespace.as_deref());
    let Some(Sight { frame, objects, .. }) = sights.iter().find(own) else {
        return (missing(object, belief), Vec::new());
    };
    if let Some(found) = object.among(objects).map(|found| view(&object.resource, found)) {
        return (present(found, around, belief, manned), health::doubts(found, around, belief));
    }
    let ended = frame.window.ended();
    let ended = object.among(&ended).map(|ended| view(&object.resource, ended));
    let ended = ended.filter(|ended| health::is_cleaned_up(*ended)).map(|ended| health::assess(ended, around));
    (ended.unwrap_or_else(|| missing(object, belief)), Vec::new())
}

fn present(object: health::Object<'_>, around: &Surroundings<'_>, belief: Belief, manned: &Manned) -> Health {
    match health::assess(object, around) {
        ready @ Health::Ready { .. } if belief == Belief::Lasting => manned.deserted(object, around).unwrap_or(ready),
        ready @ Health::Ready { .. } => {
            manned.note(object);
            ready
        }
        unready @ (Health::Waiting { .. } | Health::Doomed(_)) => unready,
    }
}

fn missing(object: &ObjectRef, belief: Belief) -> Health {
    let line = format!("{object} is not there");
    Health::Waiting { on: Cause { line, way: Vec::new(), speaker: None }, patience: belief.absence() }
}

/// Everything seen in a namespace, and what has none.
fn surroundings<'a>(
    sights: &'a [Sight<'a>],
    namespace: Option<&str>,
    statusless: &BTreeSet<(String, String)>,
) -> Surroundings<'a> {
    let in_sight = |frame: &Frame| frame.namespace.is_none() || frame.namespace.as_deref() == namespace;
    let objects = sights.iter().filter(|sight| in_sight(sight.frame)).flat_map(Sight::near);
    let refused = sights.iter().filter(|sight| sight.frame.around && sight.frame.window.is_refused());
    let unseen = refused.map(|sight| sight.frame.resource.kind.clone());
    Surroundings::new(objects).without_status(statusless.iter().cloned()).unseen(unseen)
}

/// The kinds in the same namespace that explain how an object of a kind is.
fn around(resource: &ApiResource) -> &'static [&'static str] {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => &["Event", "PersistentVolumeClaim"],
        ("apps", "Deployment") => &["ReplicaSet", "Pod", "Event", "PersistentVolumeClaim"],
        ("apps", _) | ("batch", "Job") => &["Pod", "Event", "PersistentVolumeClaim"],
        ("", "PersistentVolumeClaim") => &["Event", "Pod"],
        ("", "Service") => {
            &["EndpointSlice", "Pod", "ReplicaSet", "Deployment", "StatefulSet", "Event", "PersistentVolumeClaim"]
        }
        ("networking.k8s.io", "Ingress") => &["IngressClass", "Service"],
        (group, _) if health::is_built_in(group) => &[],
        _ => &["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod", "Event", "PersistentVolumeClaim"],
    }
}

/// The custom kinds among the objects that the API server gives no status to write.
async fn statusless(hub: &Hub, objects: &[ObjectRef]) -> BTreeSet<(String, String)> {
    let custom = objects.iter().map(|object| &object.resource).filter(|resource| !health::is_built_in(&resource.group));
    let names: BTreeSet<_> = custom.map(|resource| format!("{}/{}", resource.api_version, resource.kind)).collect();
    let served = join_all(names.iter().map(|name| hub.resource(name))).await;
    let without = served.into_iter().flatten().filter(|served| !served.has_status);
    without.map(|served| (served.resource.group, served.resource.kind)).collect()
}
