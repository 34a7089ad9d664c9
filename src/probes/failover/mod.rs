//! Twin of `checks/failover.rs`.
//!
//! One client writes at a steady rate, and looks for the master anew whenever it has lost it, as an application would. Each write
//! is a thing of its own, so that in the end each that was acknowledged can be asked for.

mod keys;
mod rows;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::{Api, ResourceExt as _};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};

use self::keys::Keys;
use self::rows::Rows;
use super::kafka::Producer;
use super::reach::Unmet;
use super::replica::whole_millis;
use super::{Site, Unseen, judged, kafka, postgres, sentinel};
use crate::checks::{
    Address, Attempt, Claim as _, Committed, Failover, FailoverAnswer, Host, Passage, System, Timeline, Verdict,
    Written,
};
use crate::complaint::chain;

/// Longest time for one write, with looking for the master where that is lost.
const WRITE: Duration = Duration::from_secs(2);

/// The shortest time for that, however fast the cluster is said to be: a busy machine is late by more.
const LEAST: Duration = Duration::from_secs(1);

/// Longest time for a group to commit how far it has come: who coordinates it is chosen when it is first asked for.
const COMMIT: Duration = Duration::from_secs(10);

/// The shortest time between two writes.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// So many writes in a row must be acknowledged before the master is deleted, and by the one that follows it.
const STEADY: usize = 10;

/// How long to wait between looks at a system that does not hold yet: it is many servers, and none can be watched.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) async fn observe(claim: &Failover, site: &Site<'_>) -> Result<FailoverAnswer, Unseen> {
    match &claim.of {
        System::Sentinel(system) => watch(claim, site, Keys::of(system, site).await?).await,
        System::Postgres(system) => watch(claim, site, Rows::of(system, site).await?).await,
        System::Kafka(system) => Box::pin(watch(claim, site, Producer::new(system, site).await?)).await,
    }
}

async fn watch<L: Ledger>(claim: &Failover, site: &Site<'_>, ledger: L) -> Result<FailoverAnswer, Unseen> {
    let not_begun = |verdict| claim.judge(&FailoverAnswer::NotBegun(Box::new(verdict)));
    until_held(&claim.of, site, not_begun).await;
    let mut writer = Writer::new(claim, ledger, site);
    let mut offset = (!L::COMMITS).then_some(0);
    let (former, deleted) = loop {
        writer.beat().await;
        if let Some(words) = writer.timeline.last_refusal() {
            let expected = "writes are acknowledged before anything is deleted";
            site.notes.stands(not_begun(Verdict::broken(expected, words)));
        }
        let Some(leader) = writer.ledger.leader().filter(|_| writer.in_a_row >= STEADY) else { continue };
        if offset.is_some() {
            break leader;
        }
        // That takes its time, in which nothing is written: it is waited once more until writes are steady.
        match writer.commit().await {
            Ok(committed) => offset = Some(committed),
            Err(words) => site.notes.stands(not_begun(Verdict::broken("a group commits how far it has come", words))),
        }
        writer.in_a_row = 0;
    };
    let home = writer.ledger.home().to_owned();
    let there = writer.beat_while(pods_of(&home, site)).await?;
    let deleted_ms = writer.now_ms();
    let uid = writer.beat_while(delete(&deleted, &home, claim.force, site)).await?;
    writer.in_a_row = 0;
    let passage = Passage {
        deleted,
        deleted_ms,
        successor: None,
        stood_by: false,
        writes: Timeline::default(),
        lost_ms: None,
        committed: None,
        served_ms: None,
        after: None,
        leftovers: Vec::new(),
    };
    let before = Before { leader: former, uid, offset: offset.unwrap_or_default(), pods: there };
    let mut passage = pass(claim, site, &mut writer, &before, passage).await;
    passage.leftovers = writer.tidy().await;
    Ok(FailoverAnswer::Done(passage))
}

/// How it was when a pod was deleted.
struct Before {
    /// Whose writes were acknowledged: the life of a server, which has another when it comes back.
    leader: String,
    /// Which pod that was.
    uid: Option<String>,
    /// What a group had committed.
    offset: i64,
    /// The names of the pods of the namespace.
    pods: BTreeSet<String>,
}

/// Writes on until another takes the writes and the system holds again. Nothing is given up meanwhile: another look would delete
/// another pod.
async fn pass<L: Ledger>(
    claim: &Failover,
    site: &Site<'_>,
    writer: &mut Writer<'_, L>,
    before: &Before,
    mut passage: Passage,
) -> Passage {
    let (former, offset) = (before.leader.as_str(), before.offset);
    let stands = |passage: &Passage| site.notes.stands(claim.judge(&FailoverAnswer::Done(passage.clone())));
    while passage.successor.is_none() || passage.lost_ms.is_none() {
        writer.beat_past(former).await;
        // Asked as soon as writes are taken again, and not only once they are steady.
        if L::COMMITS && passage.committed.is_none() && writer.in_a_row > 0 {
            writer.told(before, &mut passage).await;
        }
        passage.writes.clone_from(&writer.timeline);
        let leader = writer.ledger.leader().filter(|(life, _)| life != former && writer.in_a_row >= STEADY);
        passage.successor = passage.successor.or_else(|| leader.map(|(_, pod)| pod));
        passage.stood_by = passage.successor.as_ref().is_some_and(|pod| before.pods.contains(pod));
        stands(&passage);
        if passage.successor.is_some() {
            passage.lost_ms = writer.lost().await;
        }
    }
    if passage.lost_ms.as_ref().is_some_and(|lost| !lost.is_empty()) {
        return passage;
    }
    while L::COMMITS && passage.committed.is_none() {
        writer.told(before, &mut passage).await;
        stands(&passage);
        writer.beat().await;
    }
    if passage.committed.as_ref().is_some_and(|committed| committed.offset != Written::Kept) {
        return passage;
    }
    let so_far = passage.clone();
    let verdict = |verdict| {
        let passage = Passage { after: Some(Box::new(verdict)), ..so_far.clone() };
        claim.judge(&FailoverAnswer::Done(passage))
    };
    // Whoever comes back must not take anything away either.
    let held = writer.beat_while(until_held(&claim.of, site, verdict)).await;
    passage.after = Some(Box::new(held));
    passage.lost_ms = writer.lost().await;
    while passage.lost_ms.is_none() {
        stands(&passage);
        writer.beat().await;
        passage.lost_ms = writer.lost().await;
    }
    if let Some(committed) = passage.committed.take() {
        let untold = Written::Refused("the offset is not told in the end".to_owned());
        let mut last = Committed { offset: untold, ..committed };
        loop {
            if let Some((offset, _)) = writer.committed(offset).await {
                last.offset = offset;
                break;
            }
            stands(&Passage { committed: Some(last.clone()), ..passage.clone() });
            writer.beat().await;
        }
        passage.committed = Some(last);
    }
    passage.writes.clone_from(&writer.timeline);
    stands(&passage);
    passage
}

/// Looks at a system until its own claim holds. What it comes to until then is noted as how this check stands.
async fn until_held(system: &System, site: &Site<'_>, stands: impl Fn(Verdict) -> Verdict) -> Verdict {
    loop {
        let verdict = match system {
            System::Sentinel(claim) => judged(claim, sentinel::observe(claim, site).await),
            System::Postgres(claim) => judged(claim, postgres::look(claim, site).await),
            System::Kafka(claim) => judged(claim, Box::pin(kafka::look(claim, site)).await),
        };
        if matches!(verdict, Verdict::Held { .. }) {
            return verdict;
        }
        site.notes.stands(stands(verdict));
        tokio::time::sleep(site.prober.hub.here(AGAIN)).await;
    }
}

/// The names of the pods that are there.
async fn pods_of(namespace: &str, site: &Site<'_>) -> Result<BTreeSet<String>, Unseen> {
    let pods: Api<Pod> = Api::namespaced(site.prober.hub.client().clone(), namespace);
    let listed = pods.list_metadata(&ListParams::default()).await;
    let listed = listed.map_err(|error| Unseen(format!("cannot list the pods of {namespace}: {}", chain(&error))))?;
    Ok(listed.items.iter().map(|pod| pod.name_any()).collect())
}

/// Deletes a pod, as a rollout or the drain of a node does, or with no grace period. Where the answer to that is lost, it is looked
/// whether it was heard. Returns which pod that was.
async fn delete(name: &str, namespace: &str, force: bool, site: &Site<'_>) -> Result<Option<String>, Unseen> {
    let pods: Api<Pod> = Api::namespaced(site.prober.hub.client().clone(), namespace);
    let cannot = |error: kube::Error| Unseen(format!("cannot delete pod {name}: {}", chain(&error)));
    let uid = pods.get(name).await.map_err(cannot)?.uid();
    let this_one = Preconditions { uid: uid.clone(), ..Preconditions::default() };
    let grace_period_seconds = force.then_some(0);
    let how = DeleteParams { preconditions: Some(this_one), grace_period_seconds, ..DeleteParams::default() };
    let Err(error) = pods.delete(name, &how).await else { return Ok(uid) };
    match pods.get_opt(name).await {
        Ok(Some(pod)) if pod.uid() == uid && pod.metadata.deletion_timestamp.is_none() => Err(cannot(error)),
        Ok(_) => Ok(uid),
        Err(_) => Err(cannot(error)),
    }
}

/// Whether a pod that was deleted has not gone yet, as far as can be told.
async fn lingers(name: &str, namespace: &str, uid: Option<&String>, site: &Site<'_>) -> bool {
    let pods: Api<Pod> = Api::namespaced(site.prober.hub.client().clone(), namespace);
    match pods.get_metadata_opt(name).await {
        Ok(found) => found.is_some_and(|pod| pod.metadata.uid.as_ref() == uid),
        Err(_) => true,
    }
}

/// What a server answered: its words where it is against it.
pub(super) type Said<T> = Result<T, String>;

/// A client of a system that writes one thing after the other, and knows whom to.
pub(super) trait Ledger {
    /// Whether there are groups that commit how far they have come.
    const COMMITS: bool = false;

    /// The namespace in which the system's pods are.
    fn home(&self) -> &str;

    /// What tells whoever takes the writes from all others and from its own next life, and its pod; `None` where it is lost.
    fn leader(&self) -> Option<(String, String)>;

    /// It is to be found anew.
    fn forget(&mut self);

    /// Comes as a new client does, where one is let in by something else than what serves those who are in.
    fn come_anew(&mut self) {}

    /// Writes one thing, by its number, to whoever takes it now.
    async fn write(&mut self, number: usize, patience: Duration) -> Result<Said<()>, Unmet>;

    /// Which of these are not there; `None` where that cannot be asked for now, and whoever takes writes is to be found anew. No
    /// answer is waited for longer than this patience, however many there are.
    async fn missing(&mut self, numbers: &[usize], patience: Duration) -> Option<Vec<usize>>;

    /// Lets a group commit that it has come so far.
    async fn commit(&mut self, _: i64) -> Said<()> {
        Ok(())
    }

    /// What has become of the offset that was committed, and by whom that was told, in the words of [`Ledger::leader`]; `None` where
    /// that cannot be asked for now.
    async fn committed(&mut self, _: i64) -> Option<(Written, String)> {
        None
    }

    /// Removes what was written under so many numbers, in a bounded time, and says what cannot be removed and does not go away by
    /// itself.
    async fn tidy(&mut self, numbers: usize) -> Vec<String>;
}

/// The server that takes the writes.
struct Master<S> {
    server: S,
    /// What tells it from the same pod's next life.
    life: String,
    pod: String,
}

impl<S> Master<S> {
    fn told(&self) -> (String, String) {
        (self.life.clone(), self.pod.clone())
    }
}

/// The pod behind an address, where it is one, and where that is: whoever is dialled there is that pod, whoever comes next.
async fn one_pod(at: &Address, site: &Site<'_>) -> Result<Option<(String, Address)>, Unmet> {
    let behind = site.prober.dialer.each(at, site.namespace()).await?;
    Ok(match behind.as_slice() {
        [at @ Address { host: Host::Pod { name, .. }, .. }] => Some((name.clone(), at.clone())),
        _ => None,
    })
}

/// The client that writes at a steady rate.
struct Writer<'a, L: Ledger> {
    ledger: L,
    site: &'a Site<'a>,
    begun: Instant,
    beats: Interval,
    timeline: Timeline,
    in_a_row: usize,
}

impl<'a, L: Ledger> Writer<'a, L> {
    fn new(claim: &Failover, ledger: L, site: &'a Site<'a>) -> Self {
        let mut beats = interval(site.prober.hub.here(claim.every.duration()).max(LEAST_PAUSE));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ledger, site, begun: Instant::now(), beats, timeline: Timeline::default(), in_a_row: 0 }
    }

    /// The next write, when it is time for it.
    async fn beat(&mut self) {
        self.beats.tick().await;
        self.write().await;
    }

    /// The next write; of a client that comes anew for it, until somebody else than this one has taken any.
    async fn beat_past(&mut self, former: &str) {
        if self.ledger.leader().is_none_or(|(life, _)| life == former) {
            self.ledger.come_anew();
        }
        self.beat().await;
    }

    async fn write_on(&mut self) -> Infallible {
        loop {
            self.beat().await;
        }
    }

    /// Writes on as long as something else lasts.
    async fn beat_while<T>(&mut self, other: impl Future<Output = T>) -> T {
        tokio::select! {
            done = other => done,
            never = self.write_on() => match never {},
        }
    }

    fn now_ms(&self) -> u64 {
        whole_millis(self.begun.elapsed())
    }

    /// Tries one write, and notes what became of it.
    async fn write(&mut self) {
        let (number, patience) = (self.timeline.0.len(), self.patience());
        let refused = match timeout(patience, self.ledger.write(number, patience)).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(words))) => Some(words),
            Ok(Err(Unmet::Obstacle(obstacle))) => Some(obstacle.text().to_owned()),
            // That we could not get there is what happens to clients as well.
            Ok(Err(Unmet::Unseen(Unseen(words)))) => Some(words),
            Err(_elapsed) => Some("no answer".to_owned()),
        };
        match &refused {
            None => self.in_a_row += 1,
            Some(_) => {
                self.ledger.forget();
                self.in_a_row = 0;
            }
        }
        self.timeline.0.push(Attempt { at_ms: self.now_ms(), refused });
    }

    /// When those writes were acknowledged that are not there any more; `None` where they cannot be asked for now.
    async fn lost(&mut self) -> Option<Vec<u64>> {
        let patience = self.patience();
        let all = self.timeline.0.iter().enumerate().filter(|(_, attempt)| attempt.refused.is_none());
        let acknowledged: Vec<usize> = all.map(|(number, _)| number).collect();
        let Some(missing) = self.ledger.missing(&acknowledged, patience).await else {
            self.ledger.forget();
            return None;
        };
        Some(missing.into_iter().map(|number| self.timeline.0[number].at_ms).collect())
    }

    /// Lets a group commit how far it has come; returns how far.
    async fn commit(&mut self) -> Said<i64> {
        let offset = i64::try_from(self.timeline.acknowledged()).unwrap_or(i64::MAX);
        match timeout(COMMIT, self.ledger.commit(offset)).await {
            Ok(committed) => committed.map(|()| offset),
            Err(_elapsed) => Err(format!("no end within {} s", COMMIT.as_secs())),
        }
    }

    /// What has become of the offset that was committed, and who told; `None` where that cannot be asked for now.
    async fn committed(&mut self, offset: i64) -> Option<(Written, String)> {
        timeout(self.patience(), self.ledger.committed(offset)).await.ok().flatten()
    }

    /// The same for the first time after a deletion. Who was deleted and has not gone yet has not come back either: until then the
    /// group is served, and that is noted.
    async fn told(&mut self, before: &Before, passage: &mut Passage) {
        let lingers = lingers(&passage.deleted, self.ledger.home(), before.uid.as_ref(), self.site);
        let lingers = timeout(self.patience(), lingers).await.unwrap_or(true);
        let Some((offset, by)) = self.committed(before.offset).await else { return };
        let (is_former, now_ms) = (by == before.leader, self.now_ms());
        if is_former && lingers {
            passage.served_ms = Some(now_ms);
        } else {
            let unserved_ms = now_ms.saturating_sub(passage.served_ms.unwrap_or(passage.deleted_ms));
            passage.committed = Some(Committed { unserved_ms, is_former, offset });
        }
    }

    fn patience(&self) -> Duration {
        self.site.prober.hub.here(WRITE).max(LEAST)
    }

    /// Removes what was written. Returns what could not be, and why.
    async fn tidy(&mut self) -> Vec<String> {
        // One more than was noted: the last write may have been cut short.
        self.ledger.tidy(self.timeline.0.len() + 1).await
    }
}
