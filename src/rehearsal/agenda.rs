//! What the actors are to look at, and when.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio::time::Instant;

use super::object::Key;

/// When to look at what.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    /// The number keeps apart what is due at the same time.
    due: BTreeMap<(Instant, u64), Key>,
    /// Where in `due` an object is.
    planned: HashMap<Key, (Instant, u64)>,
    turn: u64,
}

impl Agenda {
    /// The same, but for these.
    pub(super) fn fork(&self, left: &HashSet<Key>) -> Self {
        let mut fork = self.clone();
        fork.due.retain(|_, key| !left.contains(key));
        fork.planned.retain(|key, _| !left.contains(key));
        fork
    }

    /// Plans to look at an object at a moment, if not before.
    pub(super) fn plan(&mut self, key: Key, at: Instant) {
        if let Some(planned) = self.planned.get(&key) {
            if planned.0 <= at {
                return;
            }
            self.due.remove(planned);
        }
        self.turn += 1;
        self.due.insert((at, self.turn), key.clone());
        self.planned.insert(key, (at, self.turn));
    }

    /// When the next is due.
    pub(super) fn first(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }

    /// An object that is due.
    pub(super) fn next(&mut self) -> Option<Key> {
        let due = self.due.first_entry().filter(|due| due.key().0 <= Instant::now())?;
        let key = due.remove();
        self.planned.remove(&key);
        Some(key)
    }
}
