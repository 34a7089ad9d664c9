//! Twin of `checks/sentinel.rs`.
//!
//! Servers are reached where Sentinels and masters say that they are, as any client of theirs would; that is looked up anew at
//! each look, since what is announced changes with each pod.

use std::collections::HashMap;
use std::time::Duration;

use ::redis::{Value, cmd};
use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;
use tokio::time::timeout;

use super::reach::Unmet;
use super::redis::{self, Login, Refusal, Server, field, read_info};
use super::{Site, Unseen, credential, token};
use crate::checks::{
    Address, Follower, Group, Host, Leader, Opinion, RedisRole, Replica, Sentinel, SentinelAnswer, Watch, Written,
};

/// Longest time for all that one server is asked: the others are heard all the same, and within one look.
const ANSWER: Duration = Duration::from_secs(2);

/// The shortest time for that, and for a key to appear, however fast the cluster is said to be: a busy machine is late by more.
const LEAST: Duration = Duration::from_secs(1);
const LEAST_LAG: Duration = Duration::from_millis(400);

pub(super) async fn observe(claim: &Sentinel, site: &Site<'_>) -> Result<SentinelAnswer, Unseen> {
    let seen = visit(claim, site).await;
    seen.or_else(|unmet| unmet.answer(SentinelAnswer::Unmet))
}

/// What a conversation came to; the inner error is the server's.
type Heard<T> = Result<Result<T, Refusal>, Unmet>;

fn refused(command: &str, error: String) -> Refusal {
    Refusal { command: command.to_owned(), error }
}

/// What somebody says, or that nothing has come of it in time: whoever is silent is named, and the others are heard all the same.
async fn heard<T>(
    place: &str,
    patience: Duration,
    site: &Site<'_>,
    talk: impl Future<Output = Heard<T>>,
) -> Result<Result<T, String>, Unseen> {
    match timeout(site.prober.hub.here(patience).max(LEAST), talk).await {
        Ok(Ok(Ok(said))) => Ok(Ok(said)),
        Ok(Ok(Err(Refusal { command, error }))) => Ok(Err(format!("{place} answered {command} with: {error}"))),
        Ok(Err(unmet)) => unmet.answer(|obstacle| Err(format!("{place}: {}", obstacle.text()))),
        Err(_elapsed) => Ok(Err(format!("{place} does not answer"))),
    }
}

async fn visit(claim: &Sentinel, site: &Site<'_>) -> Result<SentinelAnswer, Unmet> {
    let password = credential::resolve_any(claim.sentinel_password.as_ref(), site).await?;
    let login = Login { user: None, password: password.as_deref() };
    let places = site.prober.dialer.each(&claim.at, site.namespace()).await?;
    let sentinels = try_join_all(places.iter().map(|at| opinion(claim, at, &login, site))).await?;
    let mut named = sentinels.iter().filter_map(|opinion| opinion.said.as_ref().ok());
    let group = match named.next() {
        Some(first) if named.all(|other| other.place() == first.place()) => Some(group(claim, first, site).await?),
        Some(_) | None => None,
    };
    Ok(SentinelAnswer::Asked { sentinels, group })
}

/// How a Sentinel sees the master that sees it: the first that answers; else the words of one that does not name any.
pub(super) async fn named(claim: &Sentinel, site: &Site<'_>) -> Result<Result<Watch, String>, Unmet> {
    let password = credential::resolve_any(claim.sentinel_password.as_ref(), site).await?;
    let login = Login { user: None, password: password.as_deref() };
    let places = site.prober.dialer.each(&claim.at, site.namespace()).await?;
    let mut asked: FuturesUnordered<_> = places.iter().map(|at| opinion(claim, at, &login, site)).collect();
    let mut words = "no sentinel is there".to_owned();
    while let Some(opinion) = asked.next().await {
        match opinion?.said {
            Ok(watch) => return Ok(Ok(watch)),
            Err(said) => words = said,
        }
    }
    Ok(Err(words))
}

/// What one Sentinel says, whatever became of the others.
async fn opinion(claim: &Sentinel, at: &Address, login: &Login<'_>, site: &Site<'_>) -> Result<Opinion, Unseen> {
    let pod = match &at.host {
        Host::Pod { name, .. } | Host::Service { name, .. } | Host::Outside(name) => name.clone(),
    };
    let said = heard("it", ANSWER, site, watch(&claim.master, at, login, site)).await?.and_then(|said| said);
    Ok(Opinion { pod, said })
}

/// How a Sentinel sees the master, or its words where it does not.
async fn watch(master: &str, at: &Address, login: &Login<'_>, site: &Site<'_>) -> Heard<Result<Watch, String>> {
    let mut server = match Server::enter(at, login, site).await? {
        Ok(server) => server,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let told = server.ask::<HashMap<String, String>>(cmd("SENTINEL").arg("MASTER").arg(master)).await?;
    let told = match told {
        Ok(told) => told,
        Err(error) => return Ok(Ok(Err(error))),
    };
    let quorum = server.ask::<Value>(cmd("SENTINEL").arg("CKQUORUM").arg(master)).await?.map(drop);
    let text = |name: &str| told.get(name).cloned().unwrap_or_default();
    let others: u32 = text("num-other-sentinels").parse().unwrap_or(0);
    let (host, flags) = (text("ip"), text("flags"));
    Ok(Ok(match text("port").parse() {
        Ok(port) if !host.is_empty() => Ok(Watch { host, port, flags, sentinels: others.saturating_add(1), quorum }),
        Ok(_) | Err(_) => Err(format!("{master} is at `{host}:{}`", text("port"))),
    }))
}

/// The master, and what follows it.
async fn group(claim: &Sentinel, named: &Watch, site: &Site<'_>) -> Result<Group, Unmet> {
    let password = credential::resolve_any(claim.password.as_ref(), site).await?;
    let login = Login { user: None, password: password.as_deref() };
    let place = named.place();
    let key = format!("seaworthy:{}:{}", site.prober.run, token());
    let led = heard(&format!("redis {place}"), ANSWER, site, lead(named, &key, &login, site)).await?;
    let master = match led {
        Ok(Led { mut server, role, written, online, listed }) => {
            let replicas = match written {
                Written::Kept => {
                    try_join_all(listed.iter().map(|place| replica(claim, place, &key, &login, site))).await?
                }
                Written::Lost(_) | Written::Refused(_) => Vec::new(),
            };
            // What cannot be removed goes away by itself.
            heard(&place, ANSWER, site, async { Ok(Ok(server.ask::<Value>(cmd("DEL").arg(&key)).await?)) }).await.ok();
            Ok(Leader { role, written, replicas, online })
        }
        Err(words) => Err(words),
    };
    Ok(Group { place, master })
}

/// A master that a key was written to.
struct Led {
    server: Server,
    role: RedisRole,
    written: Written,
    online: u32,
    /// Where its replicas are.
    listed: Vec<(String, u16)>,
}

async fn lead(named: &Watch, key: &str, login: &Login<'_>, site: &Site<'_>) -> Heard<Led> {
    let at = site.prober.dialer.known_as(&named.host, named.port, site.namespace()).await?;
    let mut server = match Server::enter(&at, login, site).await? {
        Ok(server) => server,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let text = match server.ask::<String>(&cmd("INFO")).await? {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(refused("INFO", error))),
    };
    let info = match read_info(&text) {
        Ok(info) => info,
        Err(error) => return Ok(Err(refused("INFO", error))),
    };
    let written = server.write(key).await?;
    Ok(Ok(Led { role: info.role, written, online: info.online, listed: redis::online(&text), server }))
}

async fn replica(
    claim: &Sentinel,
    (host, port): &(String, u16),
    key: &str,
    login: &Login<'_>,
    site: &Site<'_>,
) -> Result<Replica, Unseen> {
    let place = format!("{host}:{port}");
    let lag = site.prober.hub.here(claim.lag.duration()).max(LEAST_LAG);
    let followed = async {
        let at = site.prober.dialer.known_as(host, *port, site.namespace()).await?;
        let mut server = match Server::enter(&at, login, site).await? {
            Ok(server) => server,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let appearance = match server.awaits(key, lag, |_| {}).await? {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(refused("GET", error))),
        };
        let text = match server.ask::<String>(&cmd("INFO")).await? {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(refused("INFO", error))),
        };
        let is_master = field(&text, "role") == Some("master");
        let role = if is_master { RedisRole::Master } else { RedisRole::Replica };
        Ok(Ok(Follower { role, appeared_ms: appearance.is_there.then_some(appearance.after_ms) }))
    };
    let found = heard(&format!("redis {place}"), ANSWER + claim.lag.duration(), site, followed).await?;
    Ok(Replica { place, found })
}
