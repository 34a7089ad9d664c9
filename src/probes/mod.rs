//! How claims are observed: one file per probed system, the twin of its file in `checks`.
//!
//! - Purpose: speak the system's own protocol and bring back an answer.
//! - Never: judge. Whether an answer is good is `checks`' business; only "could not look" is said here.

mod aid;
mod channel;
mod clickhouse;
mod crd;
mod credential;
mod dns;
mod exec;
mod failover;
mod flyway;
mod grpc;
mod helm_test;
mod http;
mod job;
mod kafka;
mod launch;
mod line;
mod namespace;
mod neo4j;
mod operator;
mod pgadmin;
mod postgres;
mod reach;
mod redis;
mod replica;
mod running;
mod s3;
mod sentinel;
mod signature;
#[cfg(test)]
mod stand;
mod tcp;
mod temporal;
mod trust;
mod workload;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub use self::running::mark;
use crate::checks::{Check, Claim, Verdict};
use crate::complaint;
use crate::k8s::Access;
use crate::kinds;
use crate::logs::LogKeeper;
use crate::number::count;
use crate::plan::CheckWork;
use crate::ports::Notes;
use crate::secrets::Secrets;
use crate::tunnel::Dialer;
use crate::watch::{Hub, ObjectRef};

/// Longest time for what looks have left unfinished: as long as the slowest of them may take.
const FINISHES: Duration = Duration::from_secs(30);

/// Everything that probes share.
#[derive(Clone)]
pub struct Prober {
    /// The run's watches, and its client.
    pub hub: Hub,
    /// The way into the cluster.
    pub dialer: Dialer,
    /// Secret values met so far.
    pub secrets: Secrets,
    /// The run's name: on every object, key and row that a probe makes.
    pub run: String,
    /// Logs of what probes run.
    pub logs: LogKeeper,
    /// A checked helm, where there is one.
    pub helm: Option<PathBuf>,
    /// The cluster, for programs.
    pub access: Access,
    /// What probes made and have not removed yet.
    pub made: Made,
    /// What still writes or removes something of ours, and is not waited for by a look that was given up.
    pub unfinished: TaskTracker,
    /// For which components the Secrets of their namespaces have been read.
    pub learnt: Arc<Each<OnceCell<()>>>,
    /// Whose turn it is to run a release's tests, which have fixed names.
    pub turns: Arc<Each<tokio::sync::Mutex<()>>>,
}

/// One of something for each name.
#[derive(Debug, Default)]
pub struct Each<T>(Mutex<BTreeMap<String, Arc<T>>>);

impl<T: Default> Each<T> {
    fn of(&self, name: String) -> Arc<T> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default())
    }
}

/// Objects that probes made, and what else they made in servers and could not remove; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Made(Arc<Mutex<Vec<ObjectRef>>>, Arc<Mutex<Vec<String>>>);

impl Made {
    /// This is left behind, whatever becomes of the look that made it: one that is dropped says so nowhere, and one that is followed by
    /// another is forgotten.
    fn leave(&self, what: String) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

/// Where one look happens.
struct Site<'a> {
    prober: &'a Prober,
    check: &'a CheckWork,
    notes: &'a Notes,
    /// Whether anybody has been reached that could be silent.
    met: AtomicBool,
    /// When somebody last said something, or was reached.
    heard: reach::Heard,
}

impl Site<'_> {
    /// The namespace of the component, where a claim names none.
    fn namespace(&self) -> &str {
        self.check.namespace.as_str()
    }
}

/// A look that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unseen(String);

impl Prober {
    fn remember(&self, object: ObjectRef) {
        self.made.0.lock().unwrap_or_else(PoisonError::into_inner).push(object);
    }

    fn forget(&self, object: &ObjectRef) {
        self.made.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|made| made != object);
    }

    /// Waits until nothing of ours is written or removed any more. Returns what did not come to an end.
    pub async fn finish(&self) -> Option<String> {
        self.unfinished.close();
        timeout(FINISHES, self.unfinished.wait()).await.err()?;
        let left = count(self.unfinished.len(), "probe");
        Some(format!("{left} had not removed what was written within {} s", FINISHES.as_secs()))
    }

    /// What probes made in servers and could not remove.
    pub fn left(&self) -> Vec<String> {
        std::mem::take(&mut *self.made.1.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Removes the objects that probes made and did not remove: what failed, and what was cut short. Returns what cannot be removed.
    pub async fn clean(&self) -> Vec<String> {
        let made = std::mem::take(&mut *self.made.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut left = Vec::new();
        for object in made {
            let api: Api<DynamicObject> =
                kinds::endpoint(self.hub.client(), &object.resource, object.namespace.as_deref());
            match api.delete(&object.name, &DeleteParams::background()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    let place = object.namespace.as_ref().map_or(String::new(), |namespace| format!("{namespace}/"));
                    left.push(format!("{} {place}{}: {}", object.resource.kind, object.name, complaint::chain(&error)));
                }
            }
        }
        left
    }

    /// One look at one check. No secret value that is known is in what it says.
    pub async fn observe(&self, check: &CheckWork, notes: &Notes) -> Verdict {
        let prober = &Self { dialer: self.dialer.of(&mark(check)), ..self.clone() };
        let site = Site { prober, check, notes, met: AtomicBool::new(false), heard: reach::Heard::default() };
        credential::learn_all(&site).await;
        // As large as the largest probe: on the heap, not on the stack of whoever polls.
        self.masked(Box::pin(self.look(&site)).await)
    }

    async fn look(&self, site: &Site<'_>) -> Verdict {
        match &site.check.spec.check {
            Check::Namespace(claim) => judged(claim, namespace::observe(claim, site).await),
            Check::Crd(claim) => judged(claim, crd::observe(claim, site).await),
            Check::Workload(claim) => judged(claim, workload::observe(claim, site).await),
            Check::Operator(claim) => judged(claim, operator::observe(claim, site).await),
            Check::Job(claim) => judged(claim, job::observe(claim, site).await),
            Check::HelmTest(claim) => judged(claim, helm_test::observe(claim, site).await),
            Check::Dns(claim) => judged(claim, dns::observe(claim, site).await),
            Check::Http(claim) => judged(claim, http::observe(claim, site).await),
            Check::Tcp(claim) => judged(claim, tcp::observe(claim, site).await),
            Check::Exec(claim) => judged(claim, exec::observe(claim, site).await),
            Check::Redis(claim) => judged(claim, redis::observe(claim, site).await),
            Check::Sentinel(claim) => judged(claim, sentinel::observe(claim, site).await),
            Check::Failover(claim) => judged(claim, failover::observe(claim, site).await),
            Check::Postgres(claim) => judged(claim, postgres::observe(claim, site).await),
            Check::Clickhouse(claim) => judged(claim, clickhouse::observe(claim, site).await),
            Check::S3(claim) => judged(claim, s3::observe(claim, site).await),
            Check::Flyway(claim) => judged(claim, flyway::observe(claim, site).await),
            Check::Kafka(claim) => judged(claim, kafka::observe(claim, site).await),
            Check::Pgadmin(claim) => judged(claim, pgadmin::observe(claim, site).await),
            Check::Neo4j(claim) => judged(claim, neo4j::observe(claim, site).await),
            Check::Temporal(claim) => judged(claim, temporal::observe(claim, site).await),
        }
    }

    fn masked(&self, verdict: Verdict) -> Verdict {
        let mask = |text: String| self.secrets.mask(&text);
        match verdict {
            Verdict::Held { saw, warnings } => {
                Verdict::Held { saw: mask(saw), warnings: warnings.into_iter().map(mask).collect() }
            }
            Verdict::Broken { expected, actual, outlook } => {
                Verdict::Broken { expected: mask(expected), actual: mask(actual), outlook }
            }
            Verdict::Unclear { why } => Verdict::Unclear { why: mask(why) },
        }
    }
}

fn judged<C: Claim>(claim: &C, answer: Result<C::Answer, Unseen>) -> Verdict {
    match answer {
        Ok(answer) => claim.judge(&answer),
        Err(Unseen(why)) => Verdict::unclear(why),
    }
}

/// Sixteen hexadecimal digits that nothing else has: two looks never meet on one key or table.
fn token() -> String {
    // The standard library seeds each of these anew from the system's randomness.
    format!("{:016x}", std::collections::hash_map::RandomState::new().build_hasher().finish())
}
