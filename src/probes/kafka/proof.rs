//! Records of our own: a topic is made for them, they are produced to it, and a group reads them over other connections.

use std::sync::PoisonError;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use tokio::time::{Instant, sleep, timeout};

use super::group::{Member, Refusal, coordinator};
use super::ours::{Lines, Ours, Spread, about, millis, topic};
use super::records::{Batch, Kept, fetch, produce};
use super::wire::{Line, error};
use super::{Doing, LEAST, partitions};
use crate::checks::{Partition, Produced, Written};
use crate::probes::reach::{Failure, Unmet};
use crate::probes::replica::ASK_EVERY;
use crate::probes::{Site, token};

/// Longest time for writing and reading all of it; it bounds a task that nobody waits for.
pub(super) const WRITE: Duration = Duration::from_secs(15);

/// How long a new topic may take until each broker knows it, and a group until somebody coordinates it: the first one makes the topic
/// that groups are kept in.
const SETTLES: Duration = Duration::from_secs(8);

/// The most replicas and partitions that a topic of ours has, and the records in it.
const MOST: usize = 3;
const RECORDS: usize = 12;

/// What is written, and what has come of it so far.
pub(super) struct Proof {
    ours: Ours,
    settles: Duration,
    doing: Doing,
    unknown: Result<(), String>,
    records: Option<Written>,
    offsets: Option<Written>,
    /// The broker that coordinates our group.
    coordinator: i32,
}

impl Proof {
    pub(super) fn new(ours: Ours, site: &Site<'_>, doing: Doing) -> Self {
        let settles = settles(site);
        Self { ours, settles, doing, unknown: Ok(()), records: None, offsets: None, coordinator: -1 }
    }

    /// Writes, reads, and deletes what was written, whatever became of it.
    pub(super) async fn give(mut self) -> Result<Produced, Unmet> {
        let written = timeout(WRITE, self.write()).await;
        let last = self.doing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let leftovers = self.ours.remove().await;
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
        self.ours.line(lines, id).await
    }

    /// What is known of one topic.
    async fn topic(&self, lines: &mut Lines, name: &str) -> Result<MetadataResponseTopic, Failure> {
        let mut answer = about(self.line(lines, self.ours.any).await?, name).await?;
        answer.topics.pop().ok_or_else(|| Failure::Said("nothing about a topic that was asked for".to_owned()))
    }

    /// A topic that does not exist is unknown, and does not come to be by being asked for.
    async fn ask_for_unknown(&mut self, lines: &mut Lines) -> Result<(), Failure> {
        self.say("asking for a topic that does not exist");
        let name = format!("{}.unknown", self.ours.name);
        let found = self.topic(lines, &name).await?;
        if found.error_code != ResponseError::UnknownTopicOrPartition.code() {
            self.ours.made.push(name);
            let had = || format!("that it has {} partitions", found.partitions.len());
            self.unknown = Err(error(found.error_code, None).unwrap_or_else(had));
        }
        Ok(())
    }

    async fn make(&mut self, lines: &mut Lines) -> Result<(), Failure> {
        let few = self.ours.brokers.len().clamp(1, MOST);
        self.say(format!("making a topic with {few} partitions and {few} replicas of each"));
        let line = self.ours.line(lines, self.ours.any).await?;
        self.ours.make(line, Spread::Anywhere { partitions: few, replicas: few }, self.settles).await
    }

    /// Waits until each partition has a leader and all its replicas.
    async fn awaits(&self, lines: &mut Lines) -> Result<Vec<Partition>, Failure> {
        let (wanted, since) = (self.ours.brokers.len().clamp(1, MOST), Instant::now());
        loop {
            let found = partitions(&self.topic(lines, &self.ours.name).await?.partitions);
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
                topic: topic(&self.ours.name),
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
        let name = self.ours.name.clone();
        self.coordinator = match coordinator(self.line(lines, self.ours.any).await?, &name).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.say("joining a group");
        let joined = Member::join(self.line(lines, self.coordinator).await?, &name, &name, partitions).await?;
        Ok(joined.map(|member| self.ours.member = Some(member)))
    }

    /// Reads what was produced, from its beginning.
    async fn read(&self, lines: &mut Lines, batches: &[Batch]) -> Result<Written, Failure> {
        self.say("reading the records");
        let (mut kept, until) = (Kept::default(), Instant::now() + self.settles);
        for batch in batches {
            let line = self.line(lines, batch.leader).await?;
            kept += fetch(line, batch, until).await?.map_err(Failure::Said)?;
        }
        Ok(kept.judged(batches))
    }

    async fn commit(&self, lines: &mut Lines, batches: &[Batch]) -> Result<Written, Failure> {
        let Some(member) = &self.ours.member else {
            return Ok(Written::Refused("nobody joined it".to_owned()));
        };
        self.say("committing the offsets of a group");
        let offsets: Vec<(i32, i64)> = batches.iter().map(|batch| (batch.index, batch.end())).collect();
        let committed = member.commit(self.line(lines, self.coordinator).await?, &offsets).await?;
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
}

/// How long that may take at this cluster's pace.
pub(super) fn settles(site: &Site<'_>) -> Duration {
    site.prober.hub.here(SETTLES).max(LEAST)
}
