//! Twin of `checks/kafka.rs`.
//!
//! - Why a client of our own: each broker is dialled where it advertises itself, by the way that leads into the cluster; and what a
//!   broker refuses is told in its own words.
//! - What is written has the run's name and a token in it, and is removed by a task that outlives a look that is dropped.

mod door;
mod group;
mod login;
mod ours;
mod producer;
mod proof;
mod records;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::metadata_response::MetadataResponsePartition;
use kafka_protocol::messages::{DescribeQuorumRequest, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::timeout;

use self::door::{Door, Registered};
use self::login::Login;
use self::ours::Ours;
pub(super) use self::producer::Producer;
use self::proof::Proof;
use self::wire::{Line, error};
use super::channel::Tls;
use super::reach::{Unmet, silent};
use super::{Site, Unseen, credential};
use crate::checks::{
    Access, Broker, Kafka, KafkaAnswer, KafkaFacts, Partition, Produced, Quorum, TopicState, Voter, Written,
};

/// Longest time until a broker lets us in that is dialled where it advertises itself, and until the controllers answer.
const MEET: Duration = Duration::from_secs(3);

/// The shortest time for that, however fast the cluster is said to be: there it is the machine that is late.
const LEAST: Duration = Duration::from_millis(400);

/// What the topics and groups of probes begin with, of this run or of others.
const OURS: &str = "seaworthy.";

pub(super) async fn observe(claim: &Kafka, site: &Site<'_>) -> Result<KafkaAnswer, Unseen> {
    let progress = Progress::default();
    let silence =
        || progress.stands().map_or_else(|| KafkaAnswer::Unmet(silent("kafka", &claim.at)), KafkaAnswer::Open);
    let seen = site.hearing(claim, silence, visit(claim, site, &progress)).await;
    seen.or_else(|unmet| unmet.answer(KafkaAnswer::Unmet))
}

/// The same for whoever notes on its own account how a check stands.
pub(super) async fn look(claim: &Kafka, site: &Site<'_>) -> Result<KafkaAnswer, Unseen> {
    let progress = Progress::default();
    let seen = site.within(visit(claim, site, &progress), || silent("kafka", &claim.at)).await;
    seen.or_else(|unmet| unmet.answer(KafkaAnswer::Unmet))
}

async fn visit(claim: &Kafka, site: &Site<'_>, progress: &Progress) -> Result<KafkaAnswer, Unmet> {
    let door = door(claim, site).await?;
    let stream = site.dial(&claim.at).await?;
    let mut line = match door.begin(&claim.at, stream).await? {
        Ok(line) => site.heard(line),
        Err(error) => return Ok(KafkaAnswer::Refused(error)),
    };
    if claim.expect == Access::Denied {
        // Who has not logged in, though, has not been let in by that alone.
        return Ok(KafkaAnswer::Open(KafkaFacts::default()));
    }
    let metadata = site.heard(describe(&mut line).await?);
    let registered = door::registered(&metadata);
    let brokers = site.heard(meet(&door, &registered, site).await?);
    let quorum = match claim.quorum {
        Some(_) => Some(quorum(&mut line, patience(site)).await?),
        None => None,
    };
    let topics = topics(&metadata);
    let hidden = hidden(claim, &topics, &mut line).await?;
    let mut facts = KafkaFacts { brokers, quorum, topics, hidden, produced: None };
    let all_met = !facts.brokers.is_empty() && facts.brokers.iter().all(|broker| broker.met.is_ok());
    if claim.writes && all_met {
        progress.begin(&facts);
        let ours = Ours::new(door, &metadata, registered, site.prober);
        let proof = Proof::new(ours, site, Arc::clone(&progress.doing));
        // All of it is deleted even where this look is dropped half-way, and the run does not end before that.
        let proven = site.prober.unfinished.spawn(proof.give()).await;
        let lost = |error| Unmet::from(Unseen(format!("the write was not seen through: {error}")));
        facts.produced = Some(proven.map_err(lost)??);
    }
    Ok(KafkaAnswer::Open(facts))
}

/// The way in, for whom the claim names.
async fn door(claim: &Kafka, site: &Site<'_>) -> Result<Door, Unseen> {
    let password = credential::resolve_any(claim.password.as_ref(), site).await?;
    let login = claim.user.clone().zip(password);
    let login = login.map(|(user, password)| Login { user, password, mechanism: claim.mechanism });
    Ok(Door::new(claim, login, Tls::of(claim.tls.as_ref(), site).await?, site))
}

/// Everything that the cluster says of itself.
async fn describe(line: &mut Line) -> Result<MetadataResponse, Unmet> {
    let all = MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false);
    let metadata = line.ask(&all).await?;
    match error(metadata.error_code, None) {
        Some(error) => Err(line.broke(&format!("answered a question for its metadata with {error}"))),
        None => Ok(metadata),
    }
}

/// Each broker where it says that it is, all at once.
async fn meet(door: &Door, registered: &[Registered], site: &Site<'_>) -> Result<Vec<Broker>, Unmet> {
    let patience = patience(site);
    let meetings = registered.iter().map(async |broker| {
        let met = match timeout(patience, door.enter(broker)).await {
            Ok(Ok(entered)) => entered.map(drop),
            Ok(Err(Unmet::Obstacle(obstacle))) => Err(obstacle.text().to_owned()),
            Ok(Err(Unmet::Unseen(unseen))) => return Err(unseen),
            Err(_elapsed) => Err("it does not answer there".to_owned()),
        };
        Ok(Broker { id: broker.id, advertised: broker.advertised(), met })
    });
    let met: Result<Vec<Broker>, Unseen> = join_all(meetings).await.into_iter().collect();
    Ok(met?)
}

fn patience(site: &Site<'_>) -> Duration {
    site.prober.hub.here(MEET).max(LEAST)
}

/// The topic in which the controllers keep the metadata (KIP-595).
const METADATA: &str = "__cluster_metadata";

/// Who keeps the metadata. The inner error is the broker's: it passes the question on to the controller that leads, and is silent as long
/// as there is none.
async fn quorum(line: &mut Line, patience: Duration) -> Result<Result<Quorum, String>, Unmet> {
    let topic = TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str(METADATA)))
        .with_partitions(vec![PartitionData::default().with_partition_index(0)]);
    let question = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let Ok(answer) = timeout(patience, line.ask(&question)).await else {
        return Ok(Err(format!("no answer within {} ms", patience.as_millis())));
    };
    let mut answer = answer?;
    if let Some(error) = error(answer.error_code, answer.error_message.as_ref()) {
        return Ok(Err(error));
    }
    let found = answer.topics.pop().and_then(|mut topic| topic.partitions.pop());
    let Some(found) = found else { return Ok(Err(format!("it has no {METADATA}"))) };
    if let Some(error) = error(found.error_code, found.error_message.as_ref()) {
        return Ok(Err(error));
    }
    let leader = found.leader_id.0;
    let of_leader = found.current_voters.iter().find(|voter| voter.replica_id.0 == leader);
    let now = of_leader.map(|voter| voter.last_caught_up_timestamp);
    let voters = found.current_voters.iter().map(|voter| {
        let caught_up = Some(voter.last_caught_up_timestamp).filter(|at| *at >= 0);
        let behind = now.zip(caught_up).map(|(now, then)| u64::try_from(now - then).unwrap_or_default());
        Voter { id: voter.replica_id.0, behind_ms: behind }
    });
    Ok(Ok(Quorum { leader, voters: voters.collect() }))
}

/// What is claimed and not listed may be there: a list is only of what we may see, and only who asks by name is told that it may not.
async fn hidden(claim: &Kafka, listed: &[TopicState], line: &mut Line) -> Result<Vec<(String, String)>, Unmet> {
    let mut hidden = Vec::new();
    for topic in claim.topics.iter().filter(|topic| listed.iter().all(|listed| listed.name != topic.name)) {
        let answer = ours::about(line, &topic.name).await?;
        let code = answer.topics.first().map_or(0, |found| found.error_code);
        let is_told = code != ResponseError::UnknownTopicOrPartition.code();
        hidden.extend(error(code, None).filter(|_| is_told).map(|error| (topic.name.clone(), error)));
    }
    Ok(hidden)
}

/// Its topics without those of probes, which come and go.
fn topics(metadata: &MetadataResponse) -> Vec<TopicState> {
    let named = metadata.topics.iter().filter_map(|topic| Some((topic.name.as_ref()?.to_string(), topic)));
    let kept = named.filter(|(name, _)| !name.starts_with(OURS));
    kept.map(|(name, topic)| TopicState { name, partitions: partitions(&topic.partitions) }).collect()
}

fn partitions(found: &[MetadataResponsePartition]) -> Vec<Partition> {
    let mut partitions: Vec<Partition> = found
        .iter()
        .map(|one| Partition {
            index: one.partition_index,
            leader: Some(one.leader_id.0).filter(|leader| *leader >= 0),
            replicas: one.replica_nodes.iter().map(|id| id.0).collect(),
            in_sync: one.isr_nodes.iter().map(|id| id.0).collect(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    partitions
}

/// How far a look has come that writes, should its time run out meanwhile.
#[derive(Default)]
struct Progress {
    /// What was seen before; `None` as long as nothing is written.
    facts: Mutex<Option<KafkaFacts>>,
    /// What is being done, with what was last heard of it.
    doing: Doing,
}

/// What is being done, for whoever looks at the clock.
type Doing = Arc<Mutex<String>>;

impl Progress {
    fn begin(&self, facts: &KafkaFacts) {
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts.clone());
    }

    /// What there is to say as long as no more is seen.
    fn stands(&self) -> Option<KafkaFacts> {
        let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let records = Written::Refused(format!("no answer yet when {doing}"));
        Some(KafkaFacts {
            produced: Some(Produced { unknown: Ok(()), records, offsets: None, leftovers: Vec::new() }),
            ..facts
        })
    }
}
