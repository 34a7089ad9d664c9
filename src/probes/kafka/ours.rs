//! What is made in a cluster for a look, and how it is taken out again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use tokio::time::timeout;

use super::OURS;
use super::door::{Door, Registered};
use super::group::{Member, coordinator};
use super::wire::{Line, error};
use crate::probes::reach::{Failure, Unmet};
use crate::probes::{Made, Prober, token};

/// Longest time for deleting a group, and a topic; it bounds a task that nobody waits for.
pub(super) const REMOVE: Duration = Duration::from_secs(5);

/// How long a topic of ours would keep its records, should the run end before it is deleted, in milliseconds.
const RETENTION_MS: &str = "3600000";

/// The errors of a broker that does not say whether it has done what it was asked for.
const UNTOLD: [ResponseError; 3] =
    [ResponseError::RequestTimedOut, ResponseError::UnknownServerError, ResponseError::NotController];

/// The most characters of a run's name that a topic's name has.
const RUN: usize = 40;

/// Connections by the number of the broker that each leads to.
pub(super) type Lines = BTreeMap<i32, Line>;

/// Where the replicas of a new topic are to be.
pub(super) enum Spread {
    /// So many partitions with so many replicas of each, wherever the cluster puts them.
    Anywhere { partitions: usize, replicas: usize },
    /// One partition, on these brokers, of which the first is to lead.
    On(Vec<i32>),
}

impl Spread {
    fn replicas(&self) -> usize {
        match self {
            Self::Anywhere { replicas, .. } => *replicas,
            Self::On(brokers) => brokers.len(),
        }
    }

    fn asked_of(&self, topic: CreatableTopic) -> CreatableTopic {
        match self {
            Self::Anywhere { partitions, replicas } => topic
                .with_num_partitions(i32::try_from(*partitions).unwrap_or(1))
                .with_replication_factor(i16::try_from(*replicas).unwrap_or(1)),
            Self::On(brokers) => {
                let on = brokers.iter().copied().map(BrokerId).collect();
                // Where brokers are named, both numbers follow from that and may not be given.
                topic
                    .with_num_partitions(-1)
                    .with_replication_factor(-1)
                    .with_assignments(vec![CreatableReplicaAssignment::default().with_broker_ids(on)])
            }
        }
    }
}

/// A topic and a group of one name, and the cluster that they are in.
#[derive(Clone)]
pub(super) struct Ours {
    pub(super) door: Door,
    pub(super) brokers: Vec<Registered>,
    /// Who is asked what any broker may be asked; it passes on what is meant for the controller (KIP-590), who is named only where it
    /// is a broker.
    pub(super) any: i32,
    pub(super) name: String,
    /// Topics that may be there.
    pub(super) made: Vec<String>,
    /// The member of the group, where there is one.
    pub(super) member: Option<Member>,
    /// Where it is noted what cannot be taken out again.
    left: Made,
}

impl Ours {
    pub(super) fn new(door: Door, metadata: &MetadataResponse, brokers: Vec<Registered>, prober: &Prober) -> Self {
        let named = brokers.iter().find(|broker| broker.id == metadata.controller_id.0);
        let any = named.or(brokers.first()).map_or(-1, |broker| broker.id);
        let (name, left) = (topic_name(&prober.run), prober.made.clone());
        Self { door, brokers, any, name, made: Vec::new(), member: None, left }
    }

    /// The connection to a broker, opened where there is none yet.
    pub(super) async fn line<'l>(&self, lines: &'l mut Lines, id: i32) -> Result<&'l mut Line, Failure> {
        match lines.entry(id) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(place) => {
                let broker = self.brokers.iter().find(|broker| broker.id == id);
                let broker = broker.ok_or_else(|| Failure::Said(format!("broker {id} is not there")))?;
                Ok(place.insert(self.door.enter(broker).await?.map_err(Failure::Said)?))
            }
        }
    }

    /// Makes the topic; one broker may be away.
    pub(super) async fn make(&mut self, line: &mut Line, spread: Spread, patience: Duration) -> Result<(), Failure> {
        let config = |name, value: String| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_static_str(name))
                .with_value(Some(StrBytes::from_string(value)))
        };
        let enough = config("min.insync.replicas", spread.replicas().saturating_sub(1).max(1).to_string());
        let wanted = spread
            .asked_of(CreatableTopic::default())
            .with_name(topic(&self.name))
            .with_configs(vec![enough, config("retention.ms", RETENTION_MS.to_owned())]);
        let question = CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(millis(patience));
        if !self.made.contains(&self.name) {
            self.made.push(self.name.clone());
        }
        let answer = line.ask(&question).await?;
        let Some(one) = answer.topics.first() else { return Ok(()) };
        let Some(refused) = error(one.error_code, one.error_message.as_ref()) else { return Ok(()) };
        if !UNTOLD.iter().any(|untold| untold.code() == one.error_code) {
            self.made.retain(|made| *made != self.name);
        }
        Err(Failure::Said(refused))
    }

    /// Deletes the group and the topics, over connections of its own: on others an answer may still be under way. Returns what could not
    /// be, and why.
    pub(super) async fn remove(&self) -> Vec<String> {
        let mut left = Vec::new();
        if let Some(member) = &self.member {
            left.extend(within(self.leave(member)).await.map(|why| format!("group {}: {why}", self.name)));
        }
        for name in &self.made {
            left.extend(within(self.delete(name)).await.map(|why| format!("topic {name}: {why}")));
        }
        left.iter().cloned().for_each(|left| self.left.leave(left));
        left
    }

    /// A connection to any broker that lets us in.
    async fn enter_any(&self) -> Result<Line, Failure> {
        let mut last = Failure::Said("no broker is there".to_owned());
        let first = self.brokers.iter().filter(|broker| broker.id == self.any);
        for broker in first.chain(self.brokers.iter().filter(|broker| broker.id != self.any)) {
            match self.door.enter(broker).await {
                Ok(Ok(line)) => return Ok(line),
                Ok(Err(error)) => last = Failure::Said(error),
                Err(unmet) => last = Failure::Unmet(unmet),
            }
        }
        Err(last)
    }

    async fn leave(&self, member: &Member) -> Result<Option<String>, Failure> {
        let id = coordinator(&mut self.enter_any().await?, &self.name).await?;
        let id = id.map_err(|refusal| Failure::Said(refusal.words))?;
        Ok(member.leave(self.line(&mut Lines::new(), id).await?).await?)
    }

    async fn delete(&self, name: &str) -> Result<Option<String>, Failure> {
        let question =
            DeleteTopicsRequest::default().with_topic_names(vec![topic(name)]).with_timeout_ms(millis(REMOVE));
        let answer = self.enter_any().await?.ask(&question).await?;
        let Some(result) = answer.responses.first() else { return Ok(None) };
        let is_gone = result.error_code == ResponseError::UnknownTopicOrPartition.code();
        Ok(error(result.error_code, result.error_message.as_ref()).filter(|_| !is_gone))
    }
}

/// Why something could not be removed.
async fn within(removal: impl Future<Output = Result<Option<String>, Failure>>) -> Option<String> {
    match timeout(REMOVE, removal).await {
        Ok(Ok(refused)) => refused,
        Ok(Err(failure)) => Some(failure.words()),
        Err(_elapsed) => Some(format!("no answer within {} s", REMOVE.as_secs())),
    }
}

/// What a broker knows of one topic.
pub(super) async fn about(line: &mut Line, name: &str) -> Result<MetadataResponse, Unmet> {
    let topic = MetadataRequestTopic::default().with_name(Some(topic(name)));
    let question = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
    let answer = line.ask(&question).await?;
    if answer.topics.is_empty() {
        return Err(line.broke("answered nothing about a topic that was asked for"));
    }
    Ok(answer)
}

pub(super) fn topic(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

pub(super) fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

/// A name that Kafka allows; a `.` and a `_` would be one in the names of its metrics, so only one of them is used.
fn topic_name(run: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let run: String = run.chars().map(plain).take(RUN).collect();
    format!("{OURS}{run}.{}", token())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topics_name_is_unique_and_allowed() {
        let name = topic_name("Run_é/1");
        assert!(name.starts_with("seaworthy.Run---1."), "{name}");
        assert_ne!(name, topic_name("Run_é/1"));
        assert_eq!(topic_name(&"x".repeat(300)).len(), OURS.len() + RUN + 1 + 16);
    }
}
