//! A client that produces one record after the other to a topic of its own with one partition, and finds whoever leads that anew
//! when it has lost it, as an application would.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::ResponseError;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::door::{Door, registered};
use super::group::{Member, Refusal, coordinator};
use super::ours::{Lines, Ours, Spread, about, millis, topic};
use super::proof::settles;
use super::records::{Batch, fetch, produce};
use super::wire::{Line, error};
use super::{describe, door, partitions};
use crate::checks::{Address, Kafka, Written};
use crate::probes::failover::{Ledger, Said};
use crate::probes::reach::{Failure, Unmet};
use crate::probes::{Site, Unseen, token};

/// The most replicas that the topic has.
const MOST: usize = 3;

/// How a broker says that a topic of this name has been made before.
const THERE_ALREADY: &str = "TOPIC_ALREADY_EXISTS";

/// Whoever leads the partition.
struct Leader {
    id: i32,
    pod: String,
    line: Line,
}

/// The client.
pub(in crate::probes) struct Producer<'a> {
    site: &'a Site<'a>,
    at: Address,
    door: Door,
    ours: Option<Ours>,
    leader: Option<Leader>,
    /// Whether the topic is known to have been made.
    is_made: bool,
    /// Whether the topic has been whole since it was made.
    was_whole: bool,
    /// Tells the records of one client from any other's.
    token: String,
    unfinished: TaskTracker,
}

impl Drop for Producer<'_> {
    /// Where the look is given up half-way, a task takes out what was made, and the run does not end before that.
    fn drop(&mut self) {
        if let Some(ours) = self.ours.take().filter(|ours| !ours.made.is_empty()) {
            self.unfinished.spawn(async move { ours.remove().await });
        }
    }
}

impl<'a> Producer<'a> {
    pub(in crate::probes) async fn new(claim: &Kafka, site: &'a Site<'a>) -> Result<Self, Unseen> {
        Ok(Self {
            site,
            at: claim.at.clone(),
            door: door(claim, site).await?,
            ours: None,
            leader: None,
            is_made: false,
            was_whole: false,
            token: token(),
            unfinished: site.prober.unfinished.clone(),
        })
    }

    /// A connection to whichever broker is behind the claim's address.
    async fn begin(&mut self) -> Result<Line, Failure> {
        let stream = self.site.dial(&self.at).await?;
        self.door.begin(&self.at, stream).await?.map_err(Failure::Said)
    }

    /// Whoever leads the partition, of a topic that is made where it is not there yet.
    async fn find(&mut self) -> Result<Leader, Failure> {
        let mut line = self.begin().await?;
        let ours = match &mut self.ours {
            Some(ours) => ours,
            None => {
                let metadata = describe(&mut line).await?;
                let brokers = registered(&metadata);
                self.ours.insert(Ours::new(self.door.clone(), &metadata, brokers, self.site.prober))
            }
        };
        if !self.is_made {
            let spread = spread(ours, coordinator(&mut line, &ours.name).await?)?;
            // This may be given up half-way: it is then known what may have been made, and the same is asked for again.
            match ours.make(&mut line, spread, settles(self.site)).await {
                Ok(()) => {}
                Err(Failure::Said(words)) if words.starts_with(THERE_ALREADY) => ours.made.push(ours.name.clone()),
                Err(failure) => return Err(failure),
            }
            self.is_made = true;
        }
        let metadata = about(&mut line, &ours.name).await?;
        ours.brokers = registered(&metadata);
        let found = metadata.topics.first().map(|one| (one.error_code, partitions(&one.partitions)));
        let (code, partitions) = found.unwrap_or((ResponseError::UnknownTopicOrPartition.code(), Vec::new()));
        let Some(partition) = partitions.first() else {
            let words = error(code, None).unwrap_or_else(|| "a topic without partitions".to_owned());
            return Err(Failure::Said(words));
        };
        self.was_whole |= partition.is_whole();
        let leader = partition.leader.filter(|_| self.was_whole);
        let unled = || Failure::Said(format!("nobody leads {}", partition.told("the topic")));
        let id = leader.ok_or_else(unled)?;
        let broker = ours.brokers.iter().find(|broker| broker.id == id);
        let broker = broker.ok_or_else(|| Failure::Said(format!("broker {id}, which leads, is not there")))?;
        let pod = self.door.pod(broker).await?;
        let pod = pod.ok_or_else(|| Failure::Said(format!("{} is not one pod", broker.advertised())))?;
        let line = self.door.enter(broker).await?.map_err(Failure::Said)?;
        Ok(Leader { id, pod, line })
    }

    async fn ask_to_commit(&mut self, offset: i64) -> Result<(), Failure> {
        let Some(ours) = self.ours.clone() else { return Err(Failure::Said("there is no topic".to_owned())) };
        let mut lines = Lines::new();
        let found = coordinator(&mut self.begin().await?, &ours.name).await?;
        let id = found.map_err(|refusal| Failure::Said(refusal.words))?;
        let line = ours.line(&mut lines, id).await?;
        let joined = Member::join(line, &ours.name, &ours.name, &[0]).await?;
        let member = joined.map_err(|refusal| Failure::Said(refusal.words))?;
        if let Some(ours) = &mut self.ours {
            ours.member = Some(member.clone());
        }
        match member.commit(line, &[(0, offset)]).await? {
            Ok(kept) if kept == [(0, offset)] => Ok(()),
            Ok(_) => Err(Failure::Said("OffsetFetch: another offset than was committed".to_owned())),
            Err(refusal) => Err(Failure::Said(refusal.words)),
        }
    }

    /// Which of these records are not there; `None` where that cannot be asked for now.
    async fn absent(&mut self, acknowledged: &[usize], patience: Duration) -> Option<Vec<usize>> {
        let (mut leader, ours) = (self.leader.take()?, self.ours.as_ref()?);
        let all = Batch { topic: topic(&ours.name), index: 0, leader: leader.id, offset: 0, records: Vec::new() };
        let kept = fetch(&mut leader.line, &all, Instant::now() + patience).await.ok()?.ok()?;
        self.leader = Some(leader);
        let there: BTreeSet<usize> = kept.numbers(&self.token).collect();
        Some(acknowledged.iter().copied().filter(|number| !there.contains(number)).collect())
    }
}

/// Whoever coordinates the group is to lead the partition as well, so that both are taken over when it is gone. Who refuses to name it
/// says so again once something is to be committed.
fn spread(ours: &Ours, coordinator: Result<i32, Refusal>) -> Result<Spread, Failure> {
    let others = ours.brokers.iter().map(|broker| broker.id);
    let replicas = ours.brokers.len().clamp(1, MOST);
    match coordinator {
        Ok(first) => {
            let on = std::iter::once(first).chain(others.filter(|id| *id != first));
            Ok(Spread::On(on.take(replicas).collect()))
        }
        Err(refusal) if refusal.may_pass => Err(Failure::Said(refusal.words)),
        Err(_) => Ok(Spread::Anywhere { partitions: 1, replicas }),
    }
}

impl Ledger for Producer<'_> {
    const COMMITS: bool = true;

    /// The number and the pod of whoever leads.
    fn leader(&self) -> Option<(String, String)> {
        self.leader.as_ref().map(|leader| (leader.id.to_string(), leader.pod.clone()))
    }

    /// Who leads is to be found anew.
    fn forget(&mut self) {
        self.leader = None;
    }

    /// The namespace of the brokers.
    fn home(&self) -> &str {
        self.door.home()
    }

    /// Produces the record of a number. The inner error is a broker's.
    async fn write(&mut self, number: usize, patience: Duration) -> Result<Said<()>, Unmet> {
        // On a connection whose answer was not waited for the next one is an answer to something else: it is kept only then.
        let mut leader = match self.leader.take() {
            Some(leader) => leader,
            None => match self.find().await {
                Ok(found) => found,
                Err(Failure::Said(words)) => return Ok(Err(words)),
                Err(Failure::Unmet(unmet)) => return Err(unmet),
            },
        };
        let Some(ours) = &self.ours else { return Ok(Err("there is no topic".to_owned())) };
        let record = format!("{number}-{}", self.token);
        let batch = Batch { topic: topic(&ours.name), index: 0, leader: leader.id, offset: 0, records: vec![record] };
        let produced = produce(&mut leader.line, &batch, millis(patience)).await?;
        self.leader = Some(leader);
        Ok(produced.map(drop).map_err(|refusal| refusal.words))
    }

    async fn missing(&mut self, numbers: &[usize], patience: Duration) -> Option<Vec<usize>> {
        // What is asked may not outlast what it is asked of.
        timeout(patience * 2, self.absent(numbers, patience)).await.ok().flatten()
    }

    /// Lets a group commit that it has come so far.
    async fn commit(&mut self, offset: i64) -> Said<()> {
        self.ask_to_commit(offset).await.map_err(|failure| failure.words())
    }

    /// What has become of the offset that was committed; `None` where that cannot be asked for now.
    async fn committed(&mut self, offset: i64) -> Option<(Written, String)> {
        let mut ours = self.ours.clone()?;
        let member = ours.member.clone()?;
        let mut line = self.begin().await.ok()?;
        // Who coordinates it now may have been away when brokers were last asked for.
        ours.brokers = registered(&about(&mut line, &ours.name).await.ok()?);
        let id = match coordinator(&mut line, &ours.name).await.ok()? {
            Ok(id) => id,
            Err(refusal) if refusal.may_pass => return None,
            Err(refusal) => return Some((Written::Refused(refusal.words), String::new())),
        };
        let mut lines = Lines::new();
        let found = member.committed(ours.line(&mut lines, id).await.ok()?, vec![0]).await.ok()?;
        let told = match found {
            Ok(kept) if kept == [(0, offset)] => Written::Kept,
            Ok(kept) if kept.iter().all(|(_, kept)| *kept == -1) => Written::Lost("none".to_owned()),
            Ok(kept) => Written::Lost(format!("{} instead of {offset}", kept.first().map_or(-1, |(_, kept)| *kept))),
            Err(refusal) if refusal.may_pass => return None,
            Err(refusal) => Written::Refused(refusal.words),
        };
        Some((told, id.to_string()))
    }

    /// Takes out what was made. Returns what could not be, and why.
    async fn tidy(&mut self, _: usize) -> Vec<String> {
        let Some(ours) = &self.ours else { return Vec::new() };
        let left = ours.remove().await;
        self.ours = None;
        left
    }
}
