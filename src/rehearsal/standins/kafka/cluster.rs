//! What the brokers of a cluster share.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Config, NewTopic};

/// The topic in which groups are kept, and its partitions and replicas unless a broker is told otherwise.
const GROUPS: &str = "__consumer_offsets";
const PARTITIONS: usize = 50;
const REPLICAS: usize = 3;

/// What the brokers of a cluster share.
#[derive(Debug, Default)]
pub(crate) struct Cluster(Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    /// Where each broker that is there says that it is.
    pub(super) brokers: BTreeMap<i32, (String, u16)>,
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) groups: BTreeMap<String, Group>,
    /// How many members have been named.
    pub(super) members: usize,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) partitions: Vec<Partition>,
}

#[derive(Debug)]
pub(super) struct Partition {
    /// In the order in which they lead.
    pub(super) replicas: Vec<i32>,
    pub(super) records: Vec<Stored>,
}

/// A record as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) timestamp: i64,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) generation: i32,
    /// What each member has said of itself.
    pub(super) members: BTreeMap<String, Bytes>,
    /// Who tells the others what to read.
    pub(super) leader: String,
    /// What each member is to read.
    pub(super) assignments: BTreeMap<String, Bytes>,
    /// How far it has come, by topic and partition.
    pub(super) offsets: BTreeMap<(String, i32), i64>,
}

impl Cluster {
    /// A broker is there; topics that it is told of come to be with as many as they want.
    pub(super) fn register(&self, config: &Config) {
        let mut state = self.state();
        state.brokers.insert(config.node, (config.host.clone(), config.port));
        for topic in &config.topics {
            if state.brokers.len() >= topic.replicas && !state.topics.contains_key(&topic.name) {
                state.make(topic);
            }
        }
    }

    /// A broker is gone.
    pub(super) fn unregister(&self, node: i32) {
        self.state().brokers.remove(&node);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A new topic, whose partitions are led by one broker after the other.
    pub(super) fn make(&mut self, topic: &NewTopic) {
        let brokers: Vec<i32> = self.brokers.keys().copied().collect();
        let replicas = |index: usize| brokers.iter().copied().cycle().skip(index % brokers.len().max(1));
        let partitions = (0..topic.partitions)
            .map(|index| Partition { replicas: replicas(index).take(topic.replicas).collect(), records: Vec::new() });
        self.topics.insert(topic.name.clone(), Topic { partitions: partitions.collect() });
    }

    /// Who coordinates a group; `None` where that is only now to be decided.
    pub(super) fn coordinator(&mut self, group: &str) -> Option<i32> {
        let Some(topic) = self.topics.get(GROUPS) else {
            let replicas = self.brokers.len().min(REPLICAS);
            self.make(&NewTopic { name: GROUPS.to_owned(), partitions: PARTITIONS, replicas });
            return None;
        };
        // As Java's `String.hashCode` has it (Kafka, `GroupMetadataManager.partitionFor`).
        let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
        let partition = usize::try_from(hash & i32::MAX).unwrap_or_default() % topic.partitions.len().max(1);
        let replicas = &topic.partitions.get(partition)?.replicas;
        replicas.iter().copied().find(|replica| self.brokers.contains_key(replica))
    }
}
