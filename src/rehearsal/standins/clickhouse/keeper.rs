//! What replicas share: what Keeper has of their tables. The rows of such a table are here as well, where in truth each replica
//! fetches them from another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::exception::Exception;

/// A Keeper.
#[derive(Debug, Default)]
pub(crate) struct Keeper(Mutex<BTreeMap<String, Shared>>);

/// A table at a path of it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Its replicas, and whether each is there.
    pub(super) replicas: BTreeMap<String, bool>,
    /// Its rows in their order, each with the replica that it was inserted on.
    pub(super) rows: Vec<(String, Vec<String>)>,
}

/// What every Keeper has, and a server that uses it makes.
const ALWAYS: [&str; 2] = ["/zookeeper", "/clickhouse/task_queue"];

impl Keeper {
    /// A table of a path gets a replica.
    ///
    /// # Errors
    /// Where it has one of this name.
    pub(super) fn join(&self, path: &str, name: &str) -> Result<(), Exception> {
        let mut tables = self.tables();
        let replicas = &mut tables.entry(path.to_owned()).or_default().replicas;
        if replicas.contains_key(name) {
            let words = format!("Replica {path}/replicas/{name} already exists");
            return Err(Exception::new(253, "REPLICA_ALREADY_EXISTS", words));
        }
        replicas.insert(name.to_owned(), true);
        Ok(())
    }

    /// A replica is dropped; with the last one goes the path, unless it stays.
    pub(super) fn leave(&self, path: &str, name: &str, stays: bool) {
        let mut tables = self.tables();
        let Some(shared) = tables.get_mut(path) else { return };
        shared.replicas.remove(name);
        if shared.replicas.is_empty() && !stays {
            tables.remove(path);
        }
    }

    /// A replica is not there any more, and not dropped.
    pub(super) fn lose(&self, path: &str, name: &str) {
        if let Some(is_active) = self.tables().get_mut(path).and_then(|shared| shared.replicas.get_mut(name)) {
            *is_active = false;
        }
    }

    /// The names below a path.
    ///
    /// # Errors
    /// Where there is no such path.
    pub(super) fn children(&self, path: &str) -> Result<BTreeSet<String>, Exception> {
        let tables = self.tables();
        let of_tables = tables.iter().flat_map(|(table, shared)| {
            let replicas = shared.replicas.keys().map(move |name| format!("{table}/replicas/{name}"));
            std::iter::once(format!("{table}/replicas")).chain(replicas)
        });
        let all: Vec<String> = of_tables.chain(ALWAYS.map(str::to_owned)).collect();
        let path = path.trim_end_matches('/');
        let below: BTreeSet<String> = all
            .iter()
            .filter_map(|known| known.strip_prefix(path)?.strip_prefix('/')?.split('/').next())
            .map(str::to_owned)
            .collect();
        match below.is_empty() && !all.iter().any(|known| known == path) {
            true => Err(Exception::keeper(format!("Coordination error: No node, path {path}"))),
            false => Ok(below),
        }
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, BTreeMap<String, Shared>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
