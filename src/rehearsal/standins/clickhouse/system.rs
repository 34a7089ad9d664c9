//! What a server tells of itself in the tables of its database `system`.

use super::exception::Exception;
use super::fault::Fault;
use super::sql::{Column, Condition};
use super::{Server, Table};

/// A host that nobody is.
const NOBODY: &str = "nobody";

impl Server {
    /// A table of `system`, of which only so much is asked.
    pub(super) fn system(&self, user: &str, name: &str, only: &[Condition]) -> Result<Table, Exception> {
        match name {
            "clusters" if self.faults.is(Fault::HidesClusters) => {
                Err(Exception::no_grant(user, "SELECT ON system.clusters"))
            }
            "clusters" => Ok(self.clusters()),
            "macros" => {
                let rows = self.macros().into_iter().map(|(name, value)| vec![name, value]).collect();
                Ok(table(&["macro", "substitution"], rows))
            }
            "replicas" => Ok(self.replicas()),
            "zookeeper" if !self.config.settings.keeper.is_empty() => self.zookeeper(only),
            _ => {
                Err(Exception::new(60, "UNKNOWN_TABLE", format!("Unknown table expression identifier 'system.{name}'")))
            }
        }
    }

    fn clusters(&self) -> Table {
        let mut rows = Vec::new();
        let clusters = &self.config.settings.clusters;
        for (cluster, shards) in clusters.iter().filter(|_| !self.faults.is(Fault::NoCluster)) {
            for (shard, hosts) in (1_usize..).zip(shards) {
                let listed =
                    if self.faults.is(Fault::ListsFewer) { hosts.len().saturating_sub(1) } else { hosts.len() };
                for (number, replica) in (1_usize..).zip(&hosts[..listed]) {
                    // A pod's name in its Service begins with its own.
                    let is_own = replica.host.split('.').next() == Some(&*self.config.name);
                    let is_local = is_own && !self.faults.is(Fault::IsNoneOfThem);
                    let host = if self.faults.is(Fault::ListsNobody) && !is_own { NOBODY } else { &replica.host };
                    let numbers = [shard.to_string(), "1".to_owned(), number.to_string()];
                    let place = [host.to_owned(), replica.port.clone(), u8::from(is_local).to_string()];
                    rows.push([vec![cluster.clone()], numbers.into(), place.into()].concat());
                }
            }
        }
        table(&["cluster", "shard_num", "shard_weight", "replica_num", "host_name", "port", "is_local"], rows)
    }

    fn replicas(&self) -> Table {
        let mut rows = Vec::new();
        let databases = self.lock();
        let shared = self.keeper.tables();
        for (database, tables) in &*databases {
            for (name, table) in tables {
                let Some(replica) = &table.replica else { continue };
                let replicas = shared.get(&replica.path).map(|shared| &shared.replicas);
                let is_seen = !(self.faults.is(Fault::NoKeeper) || self.faults.is(Fault::SessionExpired));
                let count = |is_wanted: &dyn Fn(bool) -> bool| {
                    replicas.into_iter().flatten().filter(|(_, active)| is_seen && is_wanted(**active)).count()
                };
                let active = match self.faults.is(Fault::AloneInKeeper) {
                    true => 1,
                    false => count(&|active| active),
                };
                let is_expired = self.faults.is(Fault::NoKeeper) || self.faults.is(Fault::SessionExpired);
                rows.push(vec![
                    database.clone(),
                    name.clone(),
                    "ReplicatedMergeTree".to_owned(),
                    u8::from(self.tables_are_read_only()).to_string(),
                    u8::from(is_expired).to_string(),
                    replica.path.clone(),
                    replica.name.clone(),
                    count(&|_| true).to_string(),
                    active.to_string(),
                ]);
            }
        }
        let columns = [
            "database",
            "table",
            "engine",
            "is_readonly",
            "is_session_expired",
            "zookeeper_path",
            "replica_name",
            "total_replicas",
            "active_replicas",
        ];
        table(&columns, rows)
    }

    /// What is below a path, which has to be named.
    fn zookeeper(&self, only: &[Condition]) -> Result<Table, Exception> {
        let Some(path) = only.iter().find(|only| only.column == "path").map(|only| only.value.clone()) else {
            let words = "SELECT from system.zookeeper table must contain condition like path = 'path' in WHERE clause";
            return Err(Exception::new(36, "BAD_ARGUMENTS", words));
        };
        self.reaches_keeper()?;
        let rows = self.keeper.children(&path)?.into_iter().map(|name| vec![name, path.clone()]).collect();
        Ok(table(&["name", "path"], rows))
    }
}

fn table(columns: &[&str], rows: Vec<Vec<String>>) -> Table {
    let columns = columns.iter().map(|name| Column { name: (*name).to_owned(), usual: "" }).collect();
    Table { columns, rows, replica: None }
}
