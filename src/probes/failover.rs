//! Twin of `checks/failover.rs`.
//!
//! One client writes at a steady rate, and looks for the master anew whenever it has lost it, as an application would. Each write
//! is a key of its own, so that in the end each that was acknowledged can be asked for.

use std::convert::Infallible;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, ResourceExt as _};
use redis::cmd;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};

use super::reach::Unmet;
use super::redis::{Login, Refusal, Server, field};
use super::replica::whole_millis;
use super::{Site, Unseen, credential, sentinel, token};
use crate::checks::{
    Address, Attempt, Claim as _, Failover, FailoverAnswer, Host, Passage, Sentinel, System, Timeline, Verdict,
};
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

/// Keys of ours go away by themselves, should the run end before they are removed: so long after the check's window.
const KEYS_OUTLIVE: u64 = 600;

pub(super) async fn observe(claim: &Failover, site: &Site<'_>) -> Result<FailoverAnswer, Unseen> {
    let System::Sentinel(system) = &claim.of;
    let not_begun = |verdict| claim.judge(&FailoverAnswer::NotBegun(Box::new(verdict)));
    until_held(system, site, not_begun).await;
    let password = credential::resolve_any(system.password.as_ref(), site).await?;
    let login = Login { user: None, password: password.as_deref() };
    let mut writer = Writer::new(claim, system, &login, site);
    let before = loop {
        writer.beat().await;
        if let Some(words) = writer.timeline.last_refusal() {
            let expected = "writes are acknowledged before anything is deleted";
            site.notes.stands(not_begun(Verdict::broken(expected, words)));
        }
        if let Some(master) = writer.master.as_ref().filter(|_| writer.in_a_row >= STEADY) {
            break (master.run_id.clone(), master.pod.clone());
        }
    };
    let (former, deleted) = before;
    let deleted_ms = writer.now_ms();
    writer.beat_while(delete(&deleted, sentinel::home(system, site), site)).await?;
    writer.in_a_row = 0;
    let passage =
        Passage { deleted, deleted_ms, successor: None, writes: Timeline::default(), lost_ms: None, after: None };
    let passage = pass(claim, site, &mut writer, &former, passage).await;
    writer.tidy().await;
    Ok(FailoverAnswer::Done(passage))
}

/// Writes on until another takes the writes and the system holds again. Nothing is given up meanwhile: another look would delete
/// another pod.
async fn pass(
    claim: &Failover,
    site: &Site<'_>,
    writer: &mut Writer<'_>,
    former: &str,
    mut passage: Passage,
) -> Passage {
    let stands = |passage: &Passage| site.notes.stands(claim.judge(&FailoverAnswer::Done(passage.clone())));
    while passage.successor.is_none() || passage.lost_ms.is_none() {
        writer.beat().await;
        passage.writes.clone_from(&writer.timeline);
        let master = writer.master.as_ref().filter(|master| master.run_id != former && writer.in_a_row >= STEADY);
        passage.successor = passage.successor.or_else(|| master.map(|master| master.pod.clone()));
        stands(&passage);
        if passage.successor.is_some() {
            passage.lost_ms = writer.lost().await;
        }
    }
    if passage.lost_ms.as_ref().is_some_and(|lost| !lost.is_empty()) {
        return passage;
    }
    let System::Sentinel(system) = &claim.of;
    let so_far = passage.clone();
    let verdict = |verdict| {
        let passage = Passage { after: Some(Box::new(verdict)), ..so_far.clone() };
        claim.judge(&FailoverAnswer::Done(passage))
    };
    // Whoever comes back must not take anything away either.
    let held = writer.beat_while(until_held(system, site, verdict)).await;
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
async fn until_held(claim: &Sentinel, site: &Site<'_>, stands: impl Fn(Verdict) -> Verdict) -> Verdict {
    loop {
        let verdict = match sentinel::observe(claim, site).await {
            Ok(answer) => claim.judge(&answer),
            Err(Unseen(why)) => Verdict::unclear(why),
        };
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

/// The server that takes the writes.
struct Master {
    server: Server,
    run_id: String,
    pod: String,
}

/// The client that writes.
struct Writer<'a> {
    system: &'a Sentinel,
    login: &'a Login<'a>,
    site: &'a Site<'a>,
    /// What its keys begin with.
    prefix: String,
    begun: Instant,
    master: Option<Master>,
    beats: Interval,
    timeline: Timeline,
    in_a_row: usize,
}

impl<'a> Writer<'a> {
    fn new(claim: &Failover, system: &'a Sentinel, login: &'a Login<'a>, site: &'a Site<'a>) -> Self {
        let prefix = format!("seaworthy:{}:{}", site.prober.run, token());
        let mut beats = interval(site.prober.hub.here(claim.every.duration()).max(LEAST_PAUSE));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (begun, timeline) = (Instant::now(), Timeline::default());
        Self { system, login, site, prefix, begun, master: None, beats, timeline, in_a_row: 0 }
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

    fn key(&self, number: usize) -> String {
        format!("{}:{number}", self.prefix)
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

    async fn attempt(&mut self) -> Result<Result<(), String>, Unmet> {
        let key = self.key(self.timeline.0.len());
        let master = match &mut self.master {
            Some(master) => master,
            None => match self.find().await? {
                Ok(found) => self.master.insert(found),
                Err(words) => return Ok(Err(words)),
            },
        };
        let mut set = cmd("SET");
        let window = self.site.check.spec.patience.within.duration().as_secs();
        set.arg(&key).arg(&key).arg("EX").arg(window + KEYS_OUTLIVE);
        Ok(master.server.ask::<redis::Value>(&set).await?.map(drop))
    }

    /// The master, as the first Sentinel names it that names one.
    async fn find(&self) -> Result<Result<Master, String>, Unmet> {
        let named = match sentinel::named(self.system, self.site).await? {
            Ok(named) => named,
            Err(words) => return Ok(Err(words)),
        };
        let dialer = &self.site.prober.dialer;
        let at = dialer.known_as(&named.host, named.port, sentinel::home(self.system, self.site)).await?;
        // Where each pod is announced by a Service of its own.
        let behind = dialer.each(&at, self.site.namespace()).await?;
        let pod = match behind.as_slice() {
            [Address { host: Host::Pod { name, .. }, .. }] => name.clone(),
            _ => return Ok(Err(format!("{} is not one pod", named.place()))),
        };
        let mut server = match Server::enter(&at, self.login, self.site).await? {
            Ok(server) => server,
            Err(Refusal { command, error }) => return Ok(Err(format!("{command}: {error}"))),
        };
        let info = match server.ask::<String>(cmd("INFO").arg("server")).await? {
            Ok(info) => info,
            Err(error) => return Ok(Err(format!("INFO: {error}"))),
        };
        let run_id = field(&info, "run_id").unwrap_or_default().to_owned();
        Ok(Ok(Master { server, run_id, pod }))
    }

    /// When those writes were acknowledged that are not there any more; `None` where they cannot be asked for now: the master is to
    /// be found anew.
    async fn lost(&mut self) -> Option<Vec<u64>> {
        let mut master = self.master.take()?;
        let mut lost = Vec::new();
        for (number, attempt) in self.timeline.0.iter().enumerate().filter(|(_, attempt)| attempt.refused.is_none()) {
            let key = self.key(number);
            let mut get = cmd("GET");
            let asked = timeout(self.patience(), master.server.ask::<Option<String>>(get.arg(&key)));
            match asked.await {
                Ok(Ok(Ok(Some(found)))) if found == key => {}
                Ok(Ok(Ok(_))) => lost.push(attempt.at_ms),
                Ok(Ok(Err(_)) | Err(_)) | Err(_) => return None,
            }
        }
        self.master = Some(master);
        Some(lost)
    }

    fn patience(&self) -> Duration {
        self.site.prober.hub.here(WRITE).max(LEAST)
    }

    /// Removes what was written. What cannot be removed goes away by itself.
    async fn tidy(&mut self) {
        // One more than was noted: the last write may have been cut short.
        let keys: Vec<String> = (0..=self.timeline.0.len()).map(|number| self.key(number)).collect();
        let patience = self.patience();
        if let Some(master) = &mut self.master {
            timeout(patience, master.server.ask::<redis::Value>(cmd("DEL").arg(keys))).await.ok();
        }
    }
}
