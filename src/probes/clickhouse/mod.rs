//! Twin of `checks/clickhouse.rs`.
//!
//! All connections of one look to the address of the claim go to the same server: a table of ours is on that one only, or on each
//! replica of the shard that it is in. The table is named after the run, holds one row, and is dropped by a task that outlives a look
//! that is dropped.

mod proof;
mod replicas;
mod server;
#[cfg(test)]
mod tests;

use self::proof::{prove, see_through, table_name};
use self::replicas::Waiting;
use self::server::{Server, Talk};
use super::channel::Tls;
use super::http::host_name;
use super::reach::{Failure, Unmet, silent};
use super::{Site, Unseen, credential};
use crate::checks::{Access, Clickhouse, ClickhouseAnswer, ClickhouseFacts};

pub(super) async fn observe(claim: &Clickhouse, site: &Site<'_>) -> Result<ClickhouseAnswer, Unseen> {
    let waiting = Waiting::default();
    let silence = || match waiting.stands() {
        Some(facts) => ClickhouseAnswer::Open(facts),
        None => ClickhouseAnswer::Unmet(silent("clickhouse", &claim.at)),
    };
    let seen = site.hearing(claim, silence, visit(claim, site, &waiting)).await;
    seen.or_else(|unmet| unmet.answer(ClickhouseAnswer::Unmet))
}

async fn visit(claim: &Clickhouse, site: &Site<'_>, waiting: &Waiting) -> Result<ClickhouseAnswer, Unmet> {
    let password = credential::resolve_any(claim.password.as_ref(), site).await?;
    if password.as_deref().is_some_and(|password| password.trim() != password) {
        let why = format!("the password of {} begins or ends with a blank, which no header keeps", claim.user);
        return Err(Unseen(why).into());
    }
    let server = Server {
        at: claim.at.clone(),
        place: site.prober.dialer.one(&claim.at, site.namespace()).await?,
        dialer: site.prober.dialer.clone(),
        namespace: site.namespace().to_owned(),
        tls: Tls::of(claim.tls.as_ref(), site).await?,
        name: host_name(&claim.at, site.namespace()),
        user: claim.user.clone(),
        password: password.unwrap_or_default(),
        database: claim.database.clone(),
        heard: site.heard.clone(),
    };
    let talk = server.meet(site).await?;
    match show(claim, talk, site, waiting).await {
        Ok(facts) => Ok(ClickhouseAnswer::Open(facts)),
        Err(Failure::Said(error)) => Ok(ClickhouseAnswer::Refused(error)),
        Err(Failure::Unmet(unmet)) => Err(unmet),
    }
}

async fn show(
    claim: &Clickhouse,
    mut talk: Talk,
    site: &Site<'_>,
    waiting: &Waiting,
) -> Result<ClickhouseFacts, Failure> {
    // What it is asked in is said, since a server may have another default.
    let version = talk.ask("SELECT version() FORMAT TabSeparated").await?.trim().to_owned();
    let is_let_in = claim.expect == Access::Allowed;
    let guard = if claim.password.is_some() && is_let_in { Some(talk.server.guard().await?) } else { None };
    let mut facts = ClickhouseFacts { version, guard, cluster: None, written: None, leftovers: Vec::new() };
    match &claim.cluster {
        _ if !is_let_in => {}
        Some(name) => facts = replicas::show(claim, name, talk, site, waiting, facts).await?,
        None if claim.writes => {
            let proof = prove(talk, table_name(&site.prober.run));
            let (written, leftovers) = see_through(site, proof).await?;
            facts = ClickhouseFacts { written: Some(written), leftovers, ..facts };
        }
        None => {}
    }
    Ok(facts)
}
