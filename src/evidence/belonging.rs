//! What of a namespace belongs to a red step: the component's own objects, what they brought about, and what the
//! check ran.
//!
//! Why by name as well as by owner: an event names an object that may be gone, a log the pod that wrote it, and both
//! outlive the owners that would tell.

use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::DynamicObject;

use super::gather::Gathered;
use super::{Log, Scene};
use crate::k8s::CHECK_LABEL;

/// Names that a red step answers for, together with everything named after them.
struct Belonging(Vec<String>);

/// The part of what was gathered that shows why a step is red.
pub(super) struct Telling<'a> {
    pub(super) objects: &'a [DynamicObject],
    pub(super) events: &'a [Event],
    pub(super) logs: &'a [Log],
}

/// Puts what belongs to the step first, and says which that is: all of it, where nothing that ran or was said belongs.
pub(super) fn first<'a>(gathered: &'a mut Gathered, scene: &Scene) -> Telling<'a> {
    let belonging = Belonging::new(scene, &gathered.objects);
    let objects = sorted(&mut gathered.objects, |object| belonging.has_object(object));
    let events = sorted(&mut gathered.events, |event| belonging.has_event(event));
    let logs = sorted(&mut gathered.logs, |(name, _)| belonging.has_log(name));
    let no_pod = !gathered.objects[..objects].iter().any(is_pod);
    if no_pod && events == 0 && logs == 0 {
        return Telling { objects: &gathered.objects, events: &gathered.events, logs: &gathered.logs };
    }
    Telling { objects: &gathered.objects[..objects], events: &gathered.events[..events], logs: &gathered.logs[..logs] }
}

/// Moves what belongs to the front, each part in its order, and counts it.
fn sorted<T>(all: &mut [T], belongs: impl Fn(&T) -> bool) -> usize {
    all.sort_by_key(|one| !belongs(one));
    all.partition_point(belongs)
}

pub(super) fn is_pod(object: &DynamicObject) -> bool {
    object.types.as_ref().is_some_and(|types| types.kind == "Pod")
}

impl Belonging {
    fn new(scene: &Scene, objects: &[DynamicObject]) -> Self {
        let of_component = scene.objects.iter().filter(|object| object.namespace.is_some());
        let of_check = objects
            .iter()
            .filter(|object| scene.check.is_some() && object.labels().get(CHECK_LABEL) == scene.check.as_ref());
        Self(of_component.map(|object| object.name.clone()).chain(of_check.map(ResourceExt::name_any)).collect())
    }

    fn has_object(&self, object: &DynamicObject) -> bool {
        let kind = object.types.as_ref().map_or("", |types| types.kind.as_str());
        self.has(kind, &object.name_any())
            || object.owner_references().iter().any(|owner| self.has(&owner.kind, &owner.name))
    }

    fn has_event(&self, event: &Event) -> bool {
        let about = &event.involved_object;
        self.has(about.kind.as_deref().unwrap_or_default(), about.name.as_deref().unwrap_or_default())
    }

    /// `name` is `pod/file`.
    fn has_log(&self, name: &str) -> bool {
        self.has("Pod", name.split('/').next().unwrap_or_default())
    }

    /// What controllers make is called `<owner>-…`, and a StatefulSet's claims `<template>-<owner>-<ordinal>`.
    fn has(&self, kind: &str, name: &str) -> bool {
        self.0.iter().any(|root| {
            let of_template = kind == "PersistentVolumeClaim" && name.contains(&format!("-{root}-"));
            of_template || name.strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    }
}

#[cfg(test)]
mod tests {
    use kube::api::ApiResource;
    use serde_json::{Value, json};

    use super::*;
    use crate::watch::ObjectRef;

    fn object(kind: &str, metadata: &Value) -> DynamicObject {
        serde_json::from_value(json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata })).unwrap()
    }

    fn event(kind: &str, name: &str) -> Event {
        serde_json::from_value(json!({ "metadata": {}, "involvedObject": { "kind": kind, "name": name } })).unwrap()
    }

    /// A component with the StatefulSet `redis`, and a check that carries this mark.
    fn redis(check: Option<&str>) -> Scene {
        let resource = ApiResource::erase::<k8s_openapi::api::apps::v1::StatefulSet>(&());
        let redis = ObjectRef { resource, namespace: Some("data".to_owned()), name: "redis".to_owned() };
        Scene { objects: vec![redis], check: check.map(str::to_owned), ..Scene::default() }
    }

    /// A namespace that redis shares with postgres.
    fn shared() -> Gathered {
        Gathered {
            objects: vec![
                object("Pod", &json!({ "name": "postgres-0" })),
                object("Pod", &json!({ "name": "redis-0" })),
                object("Pod", &json!({ "name": "redistribution-0" })),
            ],
            events: vec![event("Pod", "postgres-0"), event("PersistentVolumeClaim", "data-redis-0")],
            logs: ["postgres-0/postgres.0.log", "redis-0/redis.0.log"]
                .map(|name| (name.to_owned(), String::new()))
                .into(),
            ..Gathered::default()
        }
    }

    fn names(telling: &Telling<'_>) -> Vec<String> {
        let objects = telling.objects.iter().map(ResourceExt::name_any);
        let events = telling.events.iter().filter_map(|event| event.involved_object.name.clone());
        objects.chain(events).chain(telling.logs.iter().map(|(name, _)| name.clone())).collect()
    }

    #[test]
    fn a_neighbour_in_the_namespace_does_not_speak_for_a_red_step() {
        assert_eq!(names(&first(&mut shared(), &redis(None))), ["redis-0", "data-redis-0", "redis-0/redis.0.log"]);
    }

    #[test]
    fn what_belongs_stands_first_and_nothing_is_lost() {
        let mut gathered = shared();
        first(&mut gathered, &redis(None));
        let order: Vec<String> = gathered.objects.iter().map(ResourceExt::name_any).collect();
        assert_eq!(order, ["redis-0", "postgres-0", "redistribution-0"]);
    }

    #[test]
    fn what_a_check_ran_belongs_to_it_with_the_pods_it_owns() {
        let mut gathered = shared();
        let labels = json!({ CHECK_LABEL: "s.redis.load" });
        gathered.objects.push(object("Job", &json!({ "name": "load", "labels": labels })));
        let owner = json!({ "apiVersion": "batch/v1", "kind": "Job", "name": "load", "uid": "1" });
        gathered.objects.push(object("Pod", &json!({ "name": "other", "ownerReferences": [owner] })));
        gathered.events.push(event("Pod", "load-x7k2p"));
        let of_check = names(&first(&mut gathered, &redis(Some("s.redis.load"))));
        for name in ["load", "other", "load-x7k2p"] {
            assert!(of_check.contains(&name.to_owned()), "{name} of {of_check:?}");
        }
        let of_another = names(&first(&mut gathered, &redis(Some("s.redis.ping"))));
        assert!(!of_another.contains(&"load".to_owned()), "{of_another:?}");
    }

    #[test]
    fn where_nothing_belongs_everything_is_told() {
        let mut gathered = shared();
        gathered.objects.remove(1);
        gathered.events.remove(1);
        gathered.logs.remove(1);
        let all = names(&first(&mut gathered, &redis(None)));
        assert_eq!(all, ["postgres-0", "redistribution-0", "postgres-0", "postgres-0/postgres.0.log"]);
    }
}
