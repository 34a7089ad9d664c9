//! How claims are observed: one file per probed system, the twin of its file in `checks`.
//!
//! - Purpose: speak the system's own protocol and bring back an answer.
//! - Never: judge. Whether an answer is good is `checks`' business; only "could not look" is said here.

mod crd;
mod credential;
mod dns;
mod exec;
mod helm_test;
mod http;
mod job;
mod namespace;
mod operator;
mod postgres;
mod reach;
mod redis;
#[cfg(test)]
mod stand;
mod tcp;
mod trust;
mod workload;

use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;

use crate::checks::{Check, Claim, Verdict};
use crate::plan::CheckWork;
use crate::ports::Notes;
use crate::secrets::Secrets;
use crate::tunnel::Dialer;
use crate::watch::Hub;

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
    /// Where logs of what probes run are kept.
    pub logs: PathBuf,
}

/// Where one look happens.
struct Site<'a> {
    prober: &'a Prober,
    check: &'a CheckWork,
    notes: &'a Notes,
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
    /// One look at one check. No secret value that is known is in what it says.
    pub async fn observe(&self, check: &CheckWork, notes: &Notes) -> Verdict {
        self.masked(self.look(&Site { prober: self, check, notes }).await)
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
            Check::Postgres(claim) => judged(claim, postgres::observe(claim, site).await),
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
