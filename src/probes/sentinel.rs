//! Twin of `checks/sentinel.rs`.
//!
//! Servers are reached where Sentinels and masters say that they are, as any client of theirs would; that is looked up anew at
//! each look, since what is announced changes with each pod.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use ::redis::{Value, cmd};
use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, timeout};

use super::channel::Tls;
use super::http::host_name;
use super::reach::Unmet;
use super::redis::{self, Appearance, Login, Refusal, Server, read_info};
use super::{Site, Unseen, credential, replica, token};
use crate::checks::{
    Address, Follower, Group, Host, Leader, Opinion, RedisInfo, RedisRole, Replica, Sentinel, SentinelAnswer, Watch,
    Written,
};

/// Longest time for all that one server is asked: the others are heard all the same, and within one look.
const ANSWER: Duration = Duration::from_secs(2);

/// The shortest time for that, however fast the cluster is said to be: a busy machine is late by more.
const LEAST: Duration = Duration::from_secs(1);

pub(super) async fn observe(claim: &Sentinel, site: &Site<'_>) -> Result<SentinelAnswer, Unseen> {
    let seen = visit(claim, site).await;
    seen.or_else(|unmet| unmet.answer(SentinelAnswer::Unmet))
}

/// What a conversation came to; the inner error is the server's.
type Heard<T> = Result<Result<T, Refusal>, Unmet>;

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
    let tls = Tls::of(claim.tls.as_ref(), site).await?;
    let login = Login { user: None, password: password.as_deref(), tls };
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
    let tls = Tls::of(claim.tls.as_ref(), site).await?;
    let login = Login { user: None, password: password.as_deref(), tls };
    let places = site.prober.dialer.each(&claim.at, site.namespace()).await?;
    let mut asked: FuturesUnordered<_> = places.iter().map(|at| opinion(claim, at, &login, site)).collect();
    let mut words = "no sentinel is there".to_owned();
    while let Some(opinion) = asked.next().await {
        match opinion.map(|opinion| opinion.said) {
            Ok(Ok(watch)) => return Ok(Ok(watch)),
            Ok(Err(said)) | Err(Unseen(said)) => words = said,
        }
    }
    Ok(Err(words))
}

/// What one Sentinel says, whatever became of the others.
async fn opinion(claim: &Sentinel, at: &Address, login: &Login<'_>, site: &Site<'_>) -> Result<Opinion, Unseen> {
    let pod = match &at.host {
        Host::Pod { name, .. } | Host::Service { name, .. } | Host::Outside(name) => name.clone(),
    };
    let said = heard("it", ANSWER, site, watch(claim, at, login, site)).await?.and_then(|said| said);
    Ok(Opinion { pod, said })
}

/// How a Sentinel sees the master, or its words where it does not.
async fn watch(claim: &Sentinel, at: &Address, login: &Login<'_>, site: &Site<'_>) -> Heard<Result<Watch, String>> {
    let master = &claim.master;
    let mut server = match Server::enter(at, &host_name(&claim.at, site.namespace()), login, site).await? {
        Ok(server) => server,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let told = server.ask::<HashMap<String, String>>(cmd("SENTINEL").arg("MASTER").arg(master)).await?;
    let told = match told {
        Ok(told) => told,
        Err(error) => return Ok(Ok(Err(error))),
    };
    let listed = server.ask::<Vec<HashMap<String, String>>>(cmd("SENTINEL").arg("REPLICAS").arg(master)).await?;
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => return Ok(Ok(Err(error))),
    };
    let heirs: BTreeSet<_> = listed.iter().filter(|one| may_lead(one)).filter_map(|one| one.get("name")).collect();
    let heirs = u32::try_from(heirs.len()).unwrap_or(u32::MAX);
    let quorum = server.ask::<Value>(cmd("SENTINEL").arg("CKQUORUM").arg(master)).await?.map(drop);
    let text = |name: &str| told.get(name).cloned().unwrap_or_default();
    let others: u32 = text("num-other-sentinels").parse().unwrap_or(0);
    let (host, flags) = (text("ip"), text("flags"));
    Ok(Ok(match text("port").parse() {
        Ok(port) if !host.is_empty() => {
            Ok(Watch { host, port, flags, sentinels: others.saturating_add(1), heirs, quorum })
        }
        Ok(_) | Err(_) => Err(format!("{master} is at `{host}:{}`", text("port"))),
    }))
}

/// Whether a replica could lead, as a Sentinel that would choose sees it (`sentinel.c`, `sentinelSelectSlave`).
fn may_lead(replica: &HashMap<String, String>) -> bool {
    let text = |name: &str| replica.get(name).map(String::as_str).unwrap_or_default();
    let is_away = text("flags").split(',').any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected"));
    !is_away && text("slave-priority") != "0" && text("master-link-status") == "ok"
}

/// The master, and what follows it. Whoever is to have a key is there before it is written, so that its lag is its own.
async fn group(claim: &Sentinel, named: &Watch, site: &Site<'_>) -> Result<Group, Unmet> {
    let password = credential::resolve_any(claim.password.as_ref(), site).await?;
    let tls = Tls::of(claim.tls.as_ref(), site).await?;
    let login = Login { user: None, password: password.as_deref(), tls };
    let place = named.place();
    let lead = async {
        let mut server = match enter(claim, &named.host, named.port, &login, site).await? {
            Ok(server) => server,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let info = info(&mut server).await?;
        Ok(info.map(|info| (server, info)))
    };
    let (mut server, (info, listed)) = match heard(&format!("redis {place}"), ANSWER, site, lead).await? {
        Ok(led) => led,
        Err(words) => return Ok(Group { place, master: Err(words) }),
    };
    let replicas =
        try_join_all(listed.into_iter().map(|(host, port)| follower(claim, host, port, &login, site))).await?;
    let key = format!("seaworthy:{}:{}", site.prober.run, token());
    let since = Instant::now();
    let write = async { Ok(Ok(server.write(&key).await?)) };
    let written = match heard(&format!("redis {place}"), ANSWER, site, write).await? {
        Ok(written) => written,
        Err(words) => return Ok(Group { place, master: Err(words) }),
    };
    let replicas = match written {
        Written::Kept => {
            try_join_all(replicas.into_iter().map(|found| caught_up(claim, found, &key, since, site))).await?
        }
        Written::Lost(_) | Written::Refused(_) => Vec::new(),
    };
    // What cannot be removed goes away by itself.
    heard(&place, ANSWER, site, async { Ok(Ok(server.ask::<Value>(cmd("DEL").arg(&key)).await?)) }).await.ok();
    Ok(Group {
        place,
        master: Ok(Leader { role: info.role, written, replicas, online: info.online, attached: info.attached }),
    })
}

/// A server, where it makes itself known.
async fn enter(claim: &Sentinel, host: &str, port: u16, login: &Login<'_>, site: &Site<'_>) -> Heard<Server> {
    let at = site.prober.dialer.known_as(host, port, claim.at.home(site.namespace())).await?;
    Server::enter(&at, host, login, site).await
}

/// What a server says of itself, and where the replicas are that it lists, each once.
async fn info(server: &mut Server) -> Heard<(RedisInfo, BTreeSet<(String, u16)>)> {
    let told = server.ask::<String>(&cmd("INFO")).await?;
    let read = told.and_then(|text| Ok((read_info(&text)?, redis::online(&text).into_iter().collect())));
    Ok(read.map_err(|error| Refusal { command: "INFO".to_owned(), error }))
}

/// A replica, and its role; or why it could not be talked to.
type Follows = (String, Result<(Server, RedisRole), String>);

async fn follower(
    claim: &Sentinel,
    host: String,
    port: u16,
    login: &Login<'_>,
    site: &Site<'_>,
) -> Result<Follows, Unseen> {
    let place = format!("{host}:{port}");
    let met = async {
        let mut server = match enter(claim, &host, port, login, site).await? {
            Ok(server) => server,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let info = info(&mut server).await?;
        Ok(info.map(|(info, _)| (server, info.role)))
    };
    let found = heard(&format!("redis {place}"), ANSWER, site, met).await?;
    Ok((place, found))
}

/// Waits for a key on a replica, no longer than it may take.
async fn caught_up(
    claim: &Sentinel,
    (place, found): Follows,
    key: &str,
    since: Instant,
    site: &Site<'_>,
) -> Result<Replica, Unseen> {
    let (mut server, role) = match found {
        Ok(met) => met,
        Err(words) => return Ok(Replica { place, found: Err(words) }),
    };
    let lag = replica::lag(claim.lag, site);
    let patience = lag.saturating_sub(since.elapsed());
    let found = match timeout(lag + ANSWER, server.awaits(key, patience, |_| {})).await {
        Ok(Ok(Ok(Appearance { is_there, .. }))) => {
            let appeared_ms = is_there.then(|| replica::whole_millis(since.elapsed()));
            Ok(Follower { role, appeared_ms })
        }
        Ok(Ok(Err(error))) => Err(format!("redis {place} answered GET with: {error}")),
        Ok(Err(Unmet::Obstacle(obstacle))) => Err(format!("redis {place}: {}", obstacle.text())),
        Ok(Err(Unmet::Unseen(unseen))) => return Err(unseen),
        Err(_elapsed) => Err(format!("redis {place} does not answer")),
    };
    Ok(Replica { place, found })
}
