//! Records of our own: a topic is made for them, they are produced to it, and a group reads them over other connections.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::PoisonError;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, FindCoordinatorRequest, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use tokio::time::{Instant, sleep, timeout};

use super::door::{Door, Registered};
use super::group::{Member, Refusal};
use super::records::{Batch, Kept, fetch, produce};
use super::wire::{Line, error};
use super::{Doing, LEAST, OURS, partitions};
use crate::checks::{Partition, Produced, Written};
use crate::probes::reach::Unmet;
use crate::probes::replica::ASK_EVERY;
use crate::probes::{Site, token};

/// Longest time for writing and reading all of it, and for deleting it; both bound a task that nobody waits for.
pub(super) const WRITE: Duration = Duration::from_secs(15);
pub(super) const REMOVE: Duration = Duration::from_secs(5);

/// How long a new topic may take until each broker knows it, and a group until somebody coordinates it: the first one makes the topic
/// that groups are kept in.
const SETTLES: Duration = Duration::from_secs(8);

/// The most replicas and partitions that a topic of ours has, and the records in it.
const MOST: usize = 3;
const RECORDS: usize = 12;

/// How long a topic of ours would keep its records, should the run end before it is deleted, in milliseconds.
const RETENTION_MS: &str = "3600000";

/// The most characters of a run's name that a topic's name has.
const RUN: usize = 40;

/// A step that failed.
pub(super) enum Failure {
    /// A broker said why.
    Said(String),
    /// The conversation ended.
    Unmet(Unmet),
}

impl From<Unmet> for Failure {
    fn from(unmet: Unmet) -> Self {
        Self::Unmet(unmet)
    }
}

/// Connections by the number of the broker that each leads to.
type Lines = BTreeMap<i32, Line>;

/// What is written, and what has come of it so far.
pub(super) struct Proof {
    door: Door,
    brokers: Vec<Registered>,
    controller: i32,
    /// The name of the topic, and of the group that reads it.
    name: String,
    settles: Duration,
    doing: Doing,
    unknown: Result<(), String>,
    records: Option<Written>,
    offsets: Option<Written>,
    /// Topics of ours that may be there.
    made: Vec<String>,
    /// The member of our group, and the broker that coordinates it.
    member: Option<(Member, i32)>,
}

impl Proof {
    pub(super) fn new(
        door: Door,
        metadata: &MetadataResponse,
        brokers: Vec<Registered>,
        site: &Site<'_>,
        doing: Doing,
    ) -> Self {
        // Any broker passes on what is meant for the controller (KIP-590), who is named only where it is a broker.
        let named = brokers.iter().find(|broker| broker.id == metadata.controller_id.0);
        let controller = named.or(brokers.first()).map_or(-1, |broker| broker.id);
        Self {
            door,
            brokers,
            controller,
            name: topic_name(&site.prober.run),
            settles: site.prober.hub.here(SETTLES).max(LEAST),
            doing,
            unknown: Ok(()),
            records: None,
            offsets: None,
            made: Vec::new(),
            member: None,
        }
    }

    /// Writes, reads, and deletes what was written, whatever became of it.
    pub(super) async fn give(mut self) -> Result<Produced, Unmet> {
        let written = timeout(WRITE, self.write()).await;
        let last = self.doing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let leftovers = self.remove().await;
        let failed = match written {
            Ok(Ok(())) => None,
            Ok(Err(Failure::Said(error))) => Some(format!("{error}, when {last}")),
            Ok(Err(Failure::Unmet(unmet))) => return Err(unmet),
            Err(_elapsed) => Some(format!("no end within {} s, when {last}", WRITE.as_secs())),
        };
        let Self { unknown, mut records, mut offsets, .. } = self;
        match (failed, &records) {
            (Some(error), Some(Written::Kept)) => offsets = offsets.or(Some(Written::Refused(error))),
            (Some(error), None) => records = Some(Written::Refused(error)),
            (Some(_), Some(_)) | (None, _) => {}
        }
        let records = records.unwrap_or_else(|| Written::Lost("nothing that was looked for".to_owned()));
        Ok(Produced { unknown, records, offsets, leftovers })
    }

    async fn write(&mut self) -> Result<(), Failure> {
        let (mut writers, mut readers) = (Lines::new(), Lines::new());
        self.ask_for_unknown(&mut writers).await?;
        self.make(&mut writers).await?;
        let partitions = self.awaits(&mut writers).await?;
        let batches = self.produce(&mut writers, &partitions).await?;
        let indexes: Vec<i32> = partitions.iter().map(|partition| partition.index).collect();
        // What becomes of the group says nothing of the records.
        let joined = self.join(&mut readers, &indexes).await;
        let kept = self.read(&mut readers, &batches).await?;
        self.records = Some(kept);
        if self.records != Some(Written::Kept) {
            return Ok(());
        }
        joined?;
        self.offsets = Some(self.commit(&mut readers, &batches).await?);
        Ok(())
    }

    fn say(&self, doing: impl Into<String>) {
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) = doing.into();
    }

    /// The connection to a broker, opened where there is none yet.
    async fn line<'l>(&self, lines: &'l mut Lines, id: i32) -> Result<&'l mut Line, Failure> {
        match lines.entry(id) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(place) => {
                let broker = self.brokers.iter().find(|broker| broker.id == id);
                let broker = broker.ok_or_else(|| Failure::Said(format!("broker {id} is not there")))?;
                Ok(place.insert(self.door.enter(broker).await?.map_err(Failure::Said)?))
            }
        }
    }

    /// What is known of one topic.
    async fn topic(&self, lines: &mut Lines, name: &str) -> Result<MetadataResponseTopic, Failure> {
        let topic = MetadataRequestTopic::default().with_name(Some(topic(name)));
        let question = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
        let mut answer = self.line(lines, self.controller).await?.ask(&question).await?;
        answer.topics.pop().ok_or_else(|| Failure::Said("nothing about a topic that was asked for".to_owned()))
    }

    /// A topic that does not exist is unknown, and does not come to be by being asked for.
    async fn ask_for_unknown(&mut self, lines: &mut Lines) -> Result<(), Failure> {
        self.say("asking for a topic that does not exist");
        let name = format!("{}.unknown", self.name);
        let found = self.topic(lines, &name).await?;
        if found.error_code != ResponseError::UnknownTopicOrPartition.code() {
            self.made.push(name);
            let had = || format!("that it has {} partitions", found.partitions.len());
            self.unknown = Err(error(found.error_code, None).unwrap_or_else(had));
        }
        Ok(())
    }

    async fn make(&mut self, lines: &mut Lines) -> Result<(), Failure> {
        let few = self.brokers.len().clamp(1, MOST);
        let replicas = i16::try_from(few).unwrap_or(1);
        self.say(format!("making a topic with {few} partitions and {replicas} replicas of each"));
        let config = |name, value: String| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_static_str(name))
                .with_value(Some(StrBytes::from_string(value)))
        };
        // One broker may be away.
        let enough = config("min.insync.replicas", (replicas - 1).max(1).to_string());
        let wanted = CreatableTopic::default()
            .with_name(topic(&self.name))
            .with_num_partitions(i32::from(replicas))
            .with_replication_factor(replicas)
            .with_configs(vec![enough, config("retention.ms", RETENTION_MS.to_owned())]);
        let question = CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(millis(self.settles));
        self.made.push(self.name.clone());
        let answer = self.line(lines, self.controller).await?.ask(&question).await?;
        let refused = answer.topics.first().and_then(|one| error(one.error_code, one.error_message.as_ref()));
        if let Some(refused) = refused {
            self.made.retain(|made| *made != self.name);
            return Err(Failure::Said(refused));
        }
        Ok(())
    }

    /// Waits until each partition has a leader and all its replicas.
    async fn awaits(&self, lines: &mut Lines) -> Result<Vec<Partition>, Failure> {
        let (wanted, since) = (self.brokers.len().clamp(1, MOST), Instant::now());
        loop {
            let found = partitions(&self.topic(lines, &self.name).await?.partitions);
            let unready = found.iter().find(|partition| !partition.is_whole());
            let said = match unready {
                None if found.len() == wanted => return Ok(found),
                None => format!("a new topic has {} of {wanted} partitions", found.len()),
                Some(one) if one.leader.is_none() => format!("no broker leads {}", one.told("a new topic")),
                Some(one) => format!("not all replicas are in sync: {}", one.told("a new topic")),
            };
            if since.elapsed() >= self.settles {
                return Err(Failure::Said(said));
            }
            self.say(format!("waiting for a new topic: {said}"));
            sleep(ASK_EVERY).await;
        }
    }

    /// Produces to each partition, and tells what was.
    async fn produce(&self, lines: &mut Lines, partitions: &[Partition]) -> Result<Vec<Batch>, Failure> {
        self.say("producing records");
        let mut batches = Vec::new();
        for (n, partition) in partitions.iter().enumerate() {
            let records = (n..RECORDS).step_by(partitions.len()).map(|number| format!("{number}-{}", token()));
            let leader = partition.leader.unwrap_or(-1);
            let mut batch = Batch {
                topic: topic(&self.name),
                index: partition.index,
                leader,
                offset: 0,
                records: records.collect(),
            };
            let since = Instant::now();
            loop {
                match produce(self.line(lines, leader).await?, &batch, millis(self.settles)).await? {
                    Ok(offset) => break batch.offset = offset,
                    // A broker may not know yet that it leads a new partition.
                    Err(Refusal { may_pass: true, .. }) if since.elapsed() < self.settles => sleep(ASK_EVERY).await,
                    Err(Refusal { words, .. }) => return Err(Failure::Said(words)),
                }
            }
            batches.push(batch);
        }
        Ok(batches)
    }

    async fn join(&mut self, lines: &mut Lines, partitions: &[i32]) -> Result<(), Failure> {
        let since = Instant::now();
        loop {
            let refusal = match self.ask_to_join(lines, partitions).await? {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal,
            };
            if !refusal.may_pass || since.elapsed() >= self.settles {
                return Err(Failure::Said(refusal.words));
            }
            self.say(format!("joining a group: {}", refusal.words));
            sleep(ASK_EVERY).await;
        }
    }

    async fn ask_to_join(&mut self, lines: &mut Lines, partitions: &[i32]) -> Result<Result<(), Refusal>, Failure> {
        self.say("looking for who coordinates a group");
        let question =
            FindCoordinatorRequest::default().with_key(StrBytes::from_string(self.name.clone())).with_key_type(0);
        let answer = self.line(lines, self.controller).await?.ask(&question).await?;
        if let Some(error) = error(answer.error_code, answer.error_message.as_ref()) {
            let may_pass = answer.error_code == ResponseError::CoordinatorNotAvailable.code();
            return Ok(Err(Refusal { words: format!("FindCoordinator: {error}"), may_pass }));
        }
        self.say("joining a group");
        let coordinator = answer.node_id.0;
        let line = self.line(lines, coordinator).await?;
        let joined = Member::join(line, &self.name, &self.name, partitions).await?;
        Ok(joined.map(|member| self.member = Some((member, coordinator))))
    }

    /// Reads what was produced, from its beginning.
    async fn read(&self, lines: &mut Lines, batches: &[Batch]) -> Result<Written, Failure> {
        self.say("reading the records");
        let mut kept = Kept::default();
        for batch in batches {
            let line = self.line(lines, batch.leader).await?;
            kept += fetch(line, batch, self.settles).await?.map_err(Failure::Said)?;
        }
        Ok(kept.judged(batches))
    }

    async fn commit(&self, lines: &mut Lines, batches: &[Batch]) -> Result<Written, Failure> {
        let Some((member, coordinator)) = &self.member else {
            return Ok(Written::Refused("nobody joined it".to_owned()));
        };
        self.say("committing the offsets of a group");
        let offsets: Vec<(i32, i64)> = batches.iter().map(|batch| (batch.index, batch.end())).collect();
        let committed = member.commit(self.line(lines, *coordinator).await?, &offsets).await?;
        Ok(match committed {
            Ok(found) if found == offsets => Written::Kept,
            Ok(found) => match found.iter().find(|one| !offsets.contains(one)) {
                // What was never committed is -1.
                None | Some((_, -1)) => Written::Lost("none".to_owned()),
                Some(_) => Written::Lost("others".to_owned()),
            },
            Err(Refusal { words, .. }) => Written::Refused(words),
        })
    }

    /// Deletes the group and the topics, over connections of its own: on others an answer may still be under way. Returns what could not
    /// be, and why.
    async fn remove(&self) -> Vec<String> {
        let mut left = Vec::new();
        if let Some((member, coordinator)) = &self.member {
            let leaving = async {
                let mut lines = Lines::new();
                Ok::<_, Failure>(member.leave(self.line(&mut lines, *coordinator).await?).await?)
            };
            let refused = timeout(REMOVE, leaving).await.map_or_else(|_| Some(late()), |gone| gone.unwrap_or_else(why));
            left.extend(refused.map(|why| format!("group {}: {why}", self.name)));
        }
        for name in &self.made {
            let refused = timeout(REMOVE, self.delete(name)).await;
            let refused = refused.map_or_else(|_| Some(late()), |gone| gone.unwrap_or_else(why));
            left.extend(refused.map(|why| format!("topic {name}: {why}")));
        }
        left
    }

    async fn delete(&self, name: &str) -> Result<Option<String>, Failure> {
        let mut lines = Lines::new();
        let question =
            DeleteTopicsRequest::default().with_topic_names(vec![topic(name)]).with_timeout_ms(millis(REMOVE));
        let answer = self.line(&mut lines, self.controller).await?.ask(&question).await?;
        let Some(result) = answer.responses.first() else { return Ok(None) };
        let is_gone = result.error_code == ResponseError::UnknownTopicOrPartition.code();
        Ok(error(result.error_code, result.error_message.as_ref()).filter(|_| !is_gone))
    }
}

fn late() -> String {
    format!("no answer within {} s", REMOVE.as_secs())
}

/// Why a step failed, in words.
fn why(failure: Failure) -> Option<String> {
    Some(match failure {
        Failure::Said(error) => error,
        Failure::Unmet(Unmet::Obstacle(obstacle)) => obstacle.text().to_owned(),
        Failure::Unmet(Unmet::Unseen(unseen)) => unseen.0,
    })
}

fn topic(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn millis(time: Duration) -> i32 {
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
