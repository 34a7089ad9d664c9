//! Workloads that had pods once. What is scaled to nothing afterwards is ready by its counts, and works no more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::health::{self, Health, Object, Surroundings};

/// How many pods each workload that was ready wanted at most, by its uid; clones share it.
#[derive(Clone, Default)]
pub(super) struct Manned(Arc<Mutex<BTreeMap<String, i64>>>);

impl Manned {
    /// Takes note of a workload that is ready.
    pub(super) fn note(&self, object: Object<'_>) {
        if let (Some(uid), Some(wanted)) = (object.metadata.uid.clone(), health::wanted_pods(object)) {
            let mut most = self.lock();
            let most = most.entry(uid).or_default();
            *most = wanted.max(*most);
        }
    }

    /// How many pods it had, where it wants none now.
    pub(super) fn had(&self, object: Object<'_>) -> Option<i64> {
        let had = *self.lock().get(object.metadata.uid.as_deref()?)?;
        (health::wanted_pods(object) == Some(0) && had > 0).then_some(had)
    }

    /// What speaks against a workload that is ready by its counts.
    pub(super) fn deserted(&self, object: Object<'_>, around: &Surroundings<'_>) -> Option<Health> {
        health::deserted(object, self.had(object)?, around)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
