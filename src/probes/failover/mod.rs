//! Twin of `checks/failover.rs`.
//!
//! One client writes at a steady rate, and looks for the master anew whenever it has lost it, as an application would. Each write
//! is a thing of its own, so that in the end each that was acknowledged can be asked for.

mod keys;
mod rows;

use std::convert::Infallible;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, ResourceExt as _};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};

use self::keys::Keys;
use self::rows::Rows;
use super::reach::Unmet;
use super::replica::whole_millis;
use super::{Site, Unseen};
use crate::checks::{Address, Attempt, Claim as _, Failover, FailoverAnswer, Host, Passage, System, Timeline, Verdict};
use crate::complaint::chain;

/// Longest time for one write, with looking for the master where that is lost.
const WRITE: Duration = Duration::from_secs(2);

/// The shortest time for that, however fast the cluster is said to be: a busy machine is late by more.
const LEAST: Duration = Duration::from_secs(1);

/// The shortest time between two writes.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// So many writes in a row must be acknowledged before the master is deleted, and by the one that follows it.
const STEADY: usize = 10;

/// How long to wait between looks at a system that does not hold yet: it is many servers, and none can be watched.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) async fn observe(claim: &Failover, site: &Site<'_>) -> Result<FailoverAnswer, Unseen> {
    match &claim.of {
        System::Sentinel(system) => watch(claim, site, &Keys::of(system, site).await?).await,
        System::Postgres(system) => watch(claim, site, &Rows::of(system, site).await?).await,
    }
}

async fn watch<L: Ledger>(claim: &Failover, site: &Site<'_>, ledger: &L) -> Result<FailoverAnswer, Unseen> {
    let not_begun = |verdict| claim.judge(&FailoverAnswer::NotBegun(Box::new(verdict)));
    until_held(ledger, site, not_begun).await;
    let mut writer = Writer::new(claim, ledger, site);
    let before = loop {
        writer.beat().await;
        if let Some(words) = writer.timeline.last_refusal() {
            let expected = "writes are acknowledged before anything is deleted";
            site.notes.stands(not_begun(Verdict::broken(expected, words)));
        }
        if let Some(master) = writer.master.as_ref().filter(|_| writer.in_a_row >= STEADY) {
            break (master.life.clone(), master.pod.clone());
        }
    };
    let (former, deleted) = before;
    let deleted_ms = writer.now_ms();
    writer.beat_while(delete(&deleted, ledger.home(), site)).await?;
    writer.in_a_row = 0;
    let passage = Passage {
        deleted,
        deleted_ms,
        successor: None,
        writes: Timeline::default(),
        lost_ms: None,
        after: None,
        leftover: None,
    };
    let mut passage = pass(claim, site, &mut writer, &former, passage).await;
    passage.leftover = writer.tidy().await;
    Ok(FailoverAnswer::Done(passage))
}

/// Writes on until another takes the writes and the system holds again. Nothing is given up meanwhile: another look would delete
/// another pod.
async fn pass<L: Ledger>(
    claim: &Failover,
    site: &Site<'_>,
    writer: &mut Writer<'_, L>,
    former: &str,
    mut passage: Passage,
) -> Passage {
    let stands = |passage: &Passage| site.notes.stands(claim.judge(&FailoverAnswer::Done(passage.clone())));
    while passage.successor.is_none() || passage.lost_ms.is_none() {
        writer.beat().await;
        passage.writes.clone_from(&writer.timeline);
        let master = writer.master.as_ref().filter(|master| master.life != former && writer.in_a_row >= STEADY);
        passage.successor = passage.successor.or_else(|| master.map(|master| master.pod.clone()));
        stands(&passage);
        if passage.successor.is_some() {
            passage.lost_ms = writer.lost().await;
        }
    }
    if passage.lost_ms.as_ref().is_some_and(|lost| !lost.is_empty()) {
        return passage;
    }
    let ledger = writer.ledger;
    let so_far = passage.clone();
    let verdict = |verdict| {
        let passage = Passage { after: Some(Box::new(verdict)), ..so_far.clone() };
        claim.judge(&FailoverAnswer::Done(passage))
    };
    // Whoever comes back must not take anything away either.
    let held = writer.beat_while(until_held(ledger, site, verdict)).await;
    passage.after = Some(Box::new(held));
    passage.lost_ms = writer.lost().await;
    while passage.lost_ms.is_none() {
        stands(&passage);
        writer.beat().await;
        passage.lost_ms = writer.lost().await;
    }
    passage.writes.clone_from(&writer.timeline);
    stands(&passage);
    passage
}

/// Looks at a system until its own claim holds. What it comes to until then is noted as how this check stands.
async fn until_held<L: Ledger>(ledger: &L, site: &Site<'_>, stands: impl Fn(Verdict) -> Verdict) -> Verdict {
    loop {
        let verdict = ledger.verdict().await;
        if matches!(verdict, Verdict::Held { .. }) {
            return verdict;
        }
        site.notes.stands(stands(verdict));
        tokio::time::sleep(site.prober.hub.here(AGAIN)).await;
    }
}

/// Deletes a pod, as a rollout or the drain of a node does. Where the answer to that is lost, it is looked whether it was heard.
async fn delete(name: &str, namespace: &str, site: &Site<'_>) -> Result<(), Unseen> {
    let pods: Api<Pod> = Api::namespaced(site.prober.hub.client().clone(), namespace);
    let cannot = |error: kube::Error| Unseen(format!("cannot delete pod {name}: {}", chain(&error)));
    let uid = pods.get(name).await.map_err(cannot)?.uid();
    let this_one = Preconditions { uid: uid.clone(), ..Preconditions::default() };
    let how = DeleteParams { preconditions: Some(this_one), ..DeleteParams::default() };
    let Err(error) = pods.delete(name, &how).await else { return Ok(()) };
    match pods.get_opt(name).await {
        Ok(Some(pod)) if pod.uid() == uid && pod.metadata.deletion_timestamp.is_none() => Err(cannot(error)),
        Ok(_) => Ok(()),
        Err(_) => Err(cannot(error)),
    }
}

/// What a server answered: its words where it is against it.
type Said<T> = Result<T, String>;

/// A system that is written to, and asked for what was written.
trait Ledger {
    /// A server of it that let us in.
    type Server;

    /// The namespace in which its pods are.
    fn home(&self) -> &str;

    /// What its own claim comes to.
    async fn verdict(&self) -> Verdict;

    /// Whoever takes writes now, as its clients would find it.
    async fn find(&self) -> Result<Said<Master<Self::Server>>, Unmet>;

    /// Writes one thing, by its number.
    async fn write(&self, server: &mut Self::Server, number: usize) -> Result<Said<()>, Unmet>;

    /// Which of these are not there.
    async fn missing(&self, server: &mut Self::Server, numbers: &[usize]) -> Result<Said<Vec<usize>>, Unmet>;

    /// Removes what was written under so many numbers, in a bounded time, and says what cannot be removed and does not go away by itself.
    async fn tidy(&self, server: Option<&mut Self::Server>, numbers: usize) -> Option<String>;
}

/// The server that takes the writes.
struct Master<S> {
    server: S,
    /// What tells it from the same pod's next life.
    life: String,
    pod: String,
}

/// The pod behind an address, where it is one.
async fn one_pod(at: &Address, site: &Site<'_>) -> Result<Option<String>, Unmet> {
    let behind = site.prober.dialer.each(at, site.namespace()).await?;
    Ok(match behind.as_slice() {
        [Address { host: Host::Pod { name, .. }, .. }] => Some(name.clone()),
        _ => None,
    })
}

/// The client that writes.
struct Writer<'a, L: Ledger> {
    ledger: &'a L,
    site: &'a Site<'a>,
    begun: Instant,
    master: Option<Master<L::Server>>,
    beats: Interval,
    timeline: Timeline,
    in_a_row: usize,
}

impl<'a, L: Ledger> Writer<'a, L> {
    fn new(claim: &Failover, ledger: &'a L, site: &'a Site<'a>) -> Self {
        let mut beats = interval(site.prober.hub.here(claim.every.duration()).max(LEAST_PAUSE));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (begun, timeline) = (Instant::now(), Timeline::default());
        Self { ledger, site, begun, master: None, beats, timeline, in_a_row: 0 }
    }

    /// The next write, when it is time for it.
    async fn beat(&mut self) {
        self.beats.tick().await;
        self.write().await;
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
        let refused = match timeout(self.patience(), self.attempt()).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(words))) => Some(words),
            Ok(Err(Unmet::Obstacle(obstacle))) => Some(obstacle.text().to_owned()),
            // That we could not get there is what happens to clients as well.
            Ok(Err(Unmet::Unseen(Unseen(words)))) => Some(words),
            Err(_elapsed) => Some("no answer".to_owned()),
        };
        match &refused {
            None => self.in_a_row += 1,
            Some(_) => (self.master, self.in_a_row) = (None, 0),
        }
        self.timeline.0.push(Attempt { at_ms: self.now_ms(), refused });
    }

    async fn attempt(&mut self) -> Result<Said<()>, Unmet> {
        let number = self.timeline.0.len();
        let master = match &mut self.master {
            Some(master) => master,
            None => match self.ledger.find().await? {
                Ok(found) => self.master.insert(found),
                Err(words) => return Ok(Err(words)),
            },
        };
        self.ledger.write(&mut master.server, number).await
    }

    /// When those writes were acknowledged that are not there any more; `None` where they cannot be asked for now: the master is to
    /// be found anew.
    async fn lost(&mut self) -> Option<Vec<u64>> {
        let mut master = self.master.take()?;
        let attempts = self.timeline.0.iter().enumerate();
        let acknowledged: Vec<usize> =
            attempts.filter(|(_, attempt)| attempt.refused.is_none()).map(|(number, _)| number).collect();
        let asked = timeout(self.patience(), self.ledger.missing(&mut master.server, &acknowledged)).await;
        let Ok(Ok(Ok(missing))) = asked else { return None };
        self.master = Some(master);
        Some(missing.into_iter().map(|number| self.timeline.0[number].at_ms).collect())
    }

    fn patience(&self) -> Duration {
        self.site.prober.hub.here(WRITE).max(LEAST)
    }

    /// Removes what was written.
    async fn tidy(&mut self) -> Option<String> {
        // One more than was noted: the last write may have been cut short.
        let numbers = self.timeline.0.len() + 1;
        let server = self.master.as_mut().map(|master| &mut master.server);
        self.ledger.tidy(server, numbers).await
    }
}
