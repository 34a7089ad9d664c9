//! What the brokers of a cluster share.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Config, Fault, NewTopic};

/// How long nobody leads what a broker has led that is gone, where that takes long.
const LATE: Duration = Duration::from_secs(3);

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
    /// Whether a broker has ever gone.
    pub(super) has_lost: bool,
}

#[derive(Debug)]
pub(super) struct Topic {
    /// Whether it cannot be deleted, by whichever broker: it was made where topics are kept.
    pub(super) is_kept: bool,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Debug)]
pub(super) struct Partition {
    /// In the order in which they come to lead.
    pub(super) replicas: Vec<i32>,
    /// Who leads, as long as that one is there; one that comes back follows.
    pub(super) leader: Option<i32>,
    /// Until when nobody leads all the same.
    pub(super) unled: Option<Instant>,
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
        let leaderless = |one: &&mut Partition| one.leader.is_none() && one.replicas.contains(&config.node);
        let all = state.topics.values_mut().flat_map(|topic| &mut topic.partitions);
        all.filter(leaderless).for_each(|one| one.leader = Some(config.node));
        for topic in &config.topics {
            if state.brokers.len() >= topic.replicas && !state.topics.contains_key(&topic.name) {
                state.make(topic);
            }
        }
    }

    /// A broker is gone, with this fault of its own; another leads what it has led.
    pub(super) fn unregister(&self, node: i32, fault: Option<Fault>) {
        let mut state = self.state();
        state.brokers.remove(&node);
        state.has_lost = true;
        let there: Vec<i32> = state.brokers.keys().copied().collect();
        let all =
            state.topics.iter_mut().flat_map(|(name, topic)| topic.partitions.iter_mut().map(move |one| (name, one)));
        for (name, one) in all.filter(|(_, one)| one.leader == Some(node)) {
            let next = one.replicas.iter().copied().find(|replica| there.contains(replica));
            let is_alone = fault == Some(Fault::CoordinatesAlone) && name == GROUPS;
            one.leader = next.filter(|_| fault != Some(Fault::NeverElects) && !is_alone);
            let is_late = match fault {
                Some(Fault::ElectsLate) => true,
                Some(Fault::CoordinatesLate) => name == GROUPS,
                Some(_) | None => false,
            };
            one.unled = is_late.then(|| Instant::now() + LATE);
            if fault == Some(Fault::LeadsEmpty) {
                one.records.clear();
            }
        }
        if fault == Some(Fault::CoordinatesEmpty) {
            state.groups.values_mut().for_each(|group| group.offsets.clear());
        }
    }

    /// Has a topic that is declared for it; anew, where brokers have come to hold replicas that it lacks.
    pub(crate) fn declare(&self, topic: &NewTopic) {
        let mut state = self.state();
        // One broker holds one replica of a partition.
        let replicas = topic.replicas.min(state.brokers.len());
        let placed = state.topics.get(&topic.name).and_then(|topic| topic.partitions.first());
        if replicas > 0 && placed.is_none_or(|first| first.replicas.len() < replicas) {
            state.make(&NewTopic { replicas, ..topic.clone() });
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partition {
    /// Who leads now.
    pub(super) fn leader(&self) -> Option<i32> {
        self.leader.filter(|_| self.unled.is_none_or(|until| until <= Instant::now()))
    }
}

impl State {
    /// A new topic, whose partitions are led by one broker after the other.
    pub(super) fn make(&mut self, topic: &NewTopic) {
        let brokers: Vec<i32> = self.brokers.keys().copied().collect();
        let replicas = |index: usize| brokers.iter().copied().cycle().skip(index % brokers.len().max(1));
        let placed = (0..topic.partitions).map(|index| replicas(index).take(topic.replicas).collect());
        self.place(&topic.name, placed);
    }

    /// A new topic, whose partitions are on these brokers, each led by the first of them.
    pub(super) fn place(&mut self, name: &str, placed: impl Iterator<Item = Vec<i32>>) {
        let partitions = placed.map(|replicas| Partition {
            leader: replicas.first().copied(),
            replicas,
            unled: None,
            records: Vec::new(),
        });
        self.topics.insert(name.to_owned(), Topic { is_kept: false, partitions: partitions.collect() });
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
        topic.partitions.get(partition)?.leader()
    }
}
