//! Workloads that had pods once. What is scaled to nothing afterwards is ready by its counts, and works no more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::health::{self, Health, Object, Surroundings};

/// How many pods each workload that was ready wanted at most; clones share it.
#[derive(Clone, Default)]
pub(super) struct Manned(Arc<Mutex<BTreeMap<Place, i64>>>);

/// Kind, namespace and name: what is made anew under its old name stands in for what was there.
type Place = (String, String, String);

impl Manned {
    /// Takes note of a workload that is ready.
    pub(super) fn note(&self, object: Object<'_>) {
        if let Some(wanted) = health::wanted_pods(object).filter(|wanted| *wanted > 0) {
            let mut most = self.lock();
            let most = most.entry(place(object)).or_default();
            *most = wanted.max(*most);
        }
    }

    /// How many pods it had, where it wants none now.
    pub(super) fn had(&self, object: Object<'_>) -> Option<i64> {
        let wants_none = health::wanted_pods(object) == Some(0);
        wants_none.then(|| self.lock().get(&place(object)).copied()).flatten()
    }

    /// What speaks against a workload that is ready by its counts.
    pub(super) fn deserted(&self, object: Object<'_>, around: &Surroundings<'_>) -> Option<Health> {
        health::deserted(object, self.had(object)?, around)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(object: Object<'_>) -> Place {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    (object.kind.to_owned(), text(&object.metadata.namespace), text(&object.metadata.name))
}
