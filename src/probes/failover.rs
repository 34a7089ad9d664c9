//! Twin of `checks/failover.rs`.
//!
//! One client writes at a steady rate, and looks for the master anew whenever it has lost it, as an application would. Each write
//! is a key of its own, so that in the end each that was acknowledged can be asked for.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, ResourceExt as _};
use redis::cmd;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::reach::Unmet;
use super::redis::{Login, Refusal, Server, field};
use super::{Site, Unseen, credential, sentinel, token};
use crate::checks::{
    Attempt, Claim as _, Failover, FailoverAnswer, Host, Passage, Sentinel, System, Timeline, Verdict,
};
use crate::complaint::chain;

/// Longest time for one write, with looking for the master where that is lost.
const WRITE: Duration = Duration::from_secs(2);

/// The shortest time for that, however fast the cluster is said to be: a busy machine is late by more.
const LEAST: Duration = Duration::from_secs(1);

/// So many writes in a row must be acknowledged before the master is deleted, and by the one that follows it.
const STEADY: usize = 10;

/// How long to wait between looks at a system that does not hold yet: it is many servers, and none can be watched.
const AGAIN: Duration = Duration::from_millis(500);

/// Keys of ours go away by themselves, should the run end before they are removed.
const KEYS_LIVE_SECONDS: u64 = 600;

pub(super) async fn observe(claim: &Failover, site: &Site<'_>) -> Result<FailoverAnswer, Unseen> {
    let System::Sentinel(system) = &claim.of;
    until_held(system, site, |verdict| claim.judge(&FailoverAnswer::NotBegun(Box::new(verdict)))).await;
    let password = credential::resolve_any(system.password.as_ref(), site).await?;
    let login = Login { user: None, password: password.as_deref() };
    let mut writer = Writer::new(system, &login, site);
    let mut beats = interval(site.prober.hub.here(claim.every.duration()).max(Duration::from_millis(5)));
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let lost = |words: &str| Verdict::broken("writes are acknowledged before anything is deleted", words);
    while writer.in_a_row < STEADY {
        beats.tick().await;
        writer.write().await;
        if let Some(words) = writer.timeline.last_refusal() {
            site.notes.stands(claim.judge(&FailoverAnswer::NotBegun(Box::new(lost(words)))));
        }
    }
    let Some(master) = &writer.master else { return Err(Unseen("the master is lost again".to_owned())) };
    let (former, pod) = (master.run_id.clone(), master.pod.clone());
    let mut passage = Passage {
        deleted: pod.clone(),
        deleted_ms: writer.now_ms(),
        successor: None,
        writes: Timeline::default(),
        lost_ms: None,
        after: None,
    };
    delete(&pod, site).await?;
    writer.in_a_row = 0;
    while passage.successor.is_none() {
        beats.tick().await;
        writer.write().await;
        let master = writer.master.as_ref().filter(|master| master.run_id != former);
        passage.successor = master.filter(|_| writer.in_a_row >= STEADY).map(|master| master.pod.clone());
        passage.writes.clone_from(&writer.timeline);
        site.notes.stands(claim.judge(&FailoverAnswer::Done(passage.clone())));
    }
    passage.lost_ms = Some(writer.lost().await?);
    let stands = |verdict| {
        let passage = Passage { after: Some(Box::new(verdict)), ..passage.clone() };
        claim.judge(&FailoverAnswer::Done(passage))
    };
    if passage.lost_ms.as_ref().is_some_and(Vec::is_empty) {
        let held = until_held(system, site, stands).await;
        passage.after = Some(Box::new(held));
    }
    writer.tidy().await;
    Ok(FailoverAnswer::Done(passage))
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

/// Deletes a pod, as a rollout or the drain of a node does.
async fn delete(name: &str, site: &Site<'_>) -> Result<(), Unseen> {
    let pods: Api<Pod> = Api::namespaced(site.prober.hub.client().clone(), site.namespace());
    let cannot = |error: kube::Error| Unseen(format!("cannot delete pod {name}: {}", chain(&error)));
    let uid = pods.get(name).await.map_err(cannot)?.uid();
    let this_one = Preconditions { uid, ..Preconditions::default() };
    let how = DeleteParams { preconditions: Some(this_one), ..DeleteParams::default() };
    pods.delete(name, &how).await.map(drop).map_err(cannot)
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
    timeline: Timeline,
    in_a_row: usize,
}

impl<'a> Writer<'a> {
    fn new(system: &'a Sentinel, login: &'a Login<'a>, site: &'a Site<'a>) -> Self {
        let prefix = format!("seaworthy:{}:{}", site.prober.run, token());
        let (begun, timeline) = (Instant::now(), Timeline::default());
        Self { system, login, site, prefix, begun, master: None, timeline, in_a_row: 0 }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn key(&self, number: usize) -> String {
        format!("{}:{number}", self.prefix)
    }

    /// Tries one write, and notes what became of it.
    async fn write(&mut self) {
        let patience = self.site.prober.hub.here(WRITE).max(LEAST);
        let refused = match timeout(patience, self.attempt()).await {
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
        set.arg(&key).arg(&key).arg("EX").arg(KEYS_LIVE_SECONDS);
        Ok(master.server.ask::<redis::Value>(&set).await?.map(drop))
    }

    /// The master, as the first Sentinel names it that names one.
    async fn find(&self) -> Result<Result<Master, String>, Unmet> {
        let named = match sentinel::named(self.system, self.site).await? {
            Ok(named) => named,
            Err(words) => return Ok(Err(words)),
        };
        let dialer = &self.site.prober.dialer;
        let at = dialer.known_as(&named.host, named.port, self.site.namespace()).await?;
        let pod = match &at.host {
            Host::Pod { name, .. } => name.clone(),
            Host::Service { .. } | Host::Outside(_) => return Ok(Err(format!("{} is no pod", named.place()))),
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

    /// When those writes were acknowledged that are not there any more.
    async fn lost(&mut self) -> Result<Vec<u64>, Unseen> {
        let mut lost = Vec::new();
        for (number, attempt) in self.timeline.0.iter().enumerate().filter(|(_, attempt)| attempt.refused.is_none()) {
            let key = self.key(number);
            let Some(master) = &mut self.master else { return Err(Unseen("the new master is lost again".to_owned())) };
            let found = master.server.ask::<Option<String>>(cmd("GET").arg(&key)).await;
            match found.or_else(|unmet| unmet.answer(|obstacle| Err(obstacle.text().to_owned())))? {
                Ok(Some(found)) if found == key => {}
                Ok(_) => lost.push(attempt.at_ms),
                Err(words) => return Err(Unseen(format!("cannot read what was written: {words}"))),
            }
        }
        Ok(lost)
    }

    /// Removes what was written. What cannot be removed goes away by itself.
    async fn tidy(&mut self) {
        let keys: Vec<String> = (0..self.timeline.0.len()).map(|number| self.key(number)).collect();
        if let Some(master) = &mut self.master {
            master.server.ask::<redis::Value>(cmd("DEL").arg(keys)).await.ok();
        }
    }
}
