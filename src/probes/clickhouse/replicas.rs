//! The replicas of a cluster, and a replicated table of our own on them.
//!
//! - Why each replica is told to make the table, and not one of them to make it `ON CLUSTER`: that goes through a queue in Keeper, with
//!   a login of the servers among themselves, which a cluster may do without; and who refuses could not be told from who is late.
//! - Why the row is waited for, and `SYSTEM SYNC REPLICA` not asked for: that needs a grant of its own, and says no more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::proof::{Proven, REMOVE, WRITE, insert, kept, rows, see_through, table_name, unfinished};
use super::server::{Server, Talk};
use crate::checks::{
    Address, Clickhouse, ClickhouseCluster, ClickhouseFacts, ClickhouseHost, ClickhouseReplica, Host, Obstacle,
    ReplicatedTable, Written,
};
use crate::probes::reach::{Failure, Unmet, heard};
use crate::probes::replica::{self, ASK_EVERY, whole_millis};
use crate::probes::{Site, Unseen, token};

/// Longest time until a replica lets us in and reaches its Keeper, and for what it shows beyond its lag.
const MEET: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(5);

/// After this time no further replica is asked to drop its table: what is left is named before the run ends.
const REMOVAL: Duration = Duration::from_secs(15);

/// The shortest time for the former, however fast the cluster is said to be: there it is the machine that is late.
const LEAST: Duration = Duration::from_secs(1);

/// Where Keeper has what belongs to tables of ours. ClickHouse keeps its own there, so that nothing has to be made on the way.
const FOLDER: &str = "/clickhouse";

/// Who is asked for, and how it is written.
const HOSTS: &str = "SELECT cluster, shard_num, host_name, is_local FROM system.clusters";
const LISTED: &str = "ORDER BY cluster, shard_num, replica_num FORMAT TabSeparated";

/// What a server shows of the cluster that it is part of, and each replica of its own shard.
pub(super) async fn show(
    claim: &Clickhouse,
    name: &str,
    mut talk: Talk,
    site: &Site<'_>,
    waiting: &Waiting,
    facts: ClickhouseFacts,
) -> Result<ClickhouseFacts, Failure> {
    // Of all clusters, only where it is none of them: a large installation lists more than is read of an answer.
    let own = name.replace('\\', "\\\\").replace('\'', "\\'");
    let mut listed = heard(talk.ask(&format!("{HOSTS} WHERE cluster = '{own}' {LISTED}")).await)?;
    if listed.as_deref() == Ok("") {
        listed = heard(talk.ask(&format!("{HOSTS} {LISTED}")).await)?;
    }
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => return Ok(ClickhouseFacts { cluster: Some(Err(error)), ..facts }),
    };
    let mut cluster = read(&listed, name);
    let mut facts = ClickhouseFacts { cluster: Some(Ok(cluster.clone())), ..facts };
    waiting.begin(&facts);
    let own = cluster.hosts.iter().find(|host| host.is_local).map(|host| host.shard);
    let shard = cluster.hosts.iter().filter(|host| Some(host.shard) == own);
    let met = join_all(shard.map(|host| enter(claim, host, &talk.server, site, waiting))).await;
    let met: Vec<(String, Result<Talk, String>)> =
        met.into_iter().collect::<Result<_, Unseen>>().map_err(Unmet::from)?;
    if !claim.writes || met.is_empty() || met.iter().any(|(_, met)| met.is_err()) {
        let replica =
            |(host, met): (String, Result<Talk, String>)| ClickhouseReplica { host, table: met.map(|_| None) };
        cluster.replicas = met.into_iter().map(replica).collect();
        return Ok(ClickhouseFacts { cluster: Some(Ok(cluster)), ..facts });
    }
    let proof = Proof {
        writer: talk,
        replicas: met
            .into_iter()
            .filter_map(|(host, met)| Some(Replica { host, talk: met.ok()?, made: Ok(()) }))
            .collect(),
        table: table_name(&site.prober.run),
        lag: replica::lag(claim.lag(), site),
        waiting: waiting.clone(),
    };
    let ((written, replicas), leftovers) = see_through(site, proof.give()).await?;
    cluster.replicas = replicas;
    facts = ClickhouseFacts { cluster: Some(Ok(cluster)), written, leftovers, ..facts };
    Ok(facts)
}

/// Reads what `system.clusters` has.
fn read(listed: &str, name: &str) -> ClickhouseCluster {
    let mut cluster = ClickhouseCluster::default();
    for line in listed.lines() {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().unwrap_or_default().to_owned();
        let (of, shard, host, is_local) = (cell(), cell(), cell(), cell());
        if of == name {
            let shard = shard.parse().unwrap_or_default();
            cluster.hosts.push(ClickhouseHost { shard, name: host, is_local: is_local == "1" });
        }
        if !cluster.known.contains(&of) {
            cluster.known.push(of);
        }
    }
    cluster
}

/// A replica where its cluster lists it, as the same user, with a question that its Keeper answers.
async fn enter(
    claim: &Clickhouse,
    host: &ClickhouseHost,
    server: &Server,
    site: &Site<'_>,
    waiting: &Waiting,
) -> Result<(String, Result<Talk, String>), Unseen> {
    let meeting = async {
        let (dialer, port) = (&site.prober.dialer, claim.at.port);
        let at = match claim.at.host {
            Host::Outside(_) => Address { host: Host::Outside(host.name.clone()), port },
            Host::Service { .. } | Host::Pod { .. } => {
                dialer.known_as(&host.name, port, claim.at.home(site.namespace())).await.map_err(Unmet::from)?
            }
        };
        let place = dialer.one(&at, site.namespace()).await.map_err(Unmet::from)?;
        let (tls, name) = (server.tls.clone().by_own_names(), host.name.clone());
        let mut talk = Server { at, place, tls, name, ..server.clone() }.meet(site).await?;
        // What is wrong with any question is not laid to its Keeper.
        if let Err(error) = heard(talk.ask("SELECT 1").await)? {
            return Ok(Err(match Clickhouse::keeps_out(&error) {
                true => format!("it refused the login: {error}"),
                false => format!("it answered the first question with: {error}"),
            }));
        }
        let keeper = "SELECT count() FROM system.zookeeper WHERE path = '/' FORMAT TabSeparated";
        Ok::<_, Failure>(match heard(talk.ask(keeper).await)? {
            Ok(_) => Ok(talk),
            Err(error) => Err(format!("it does not reach its Keeper: {error}")),
        })
    };
    let patience = site.prober.hub.here(MEET).max(LEAST);
    let met = match waiting.on(&host.name, "when it was met", patience, meeting).await {
        Ok(Ok(met)) => met,
        Ok(Err(Failure::Said(error))) => Err(error),
        Ok(Err(Failure::Unmet(Unmet::Obstacle(obstacle)))) => Err(obstacle.text().to_owned()),
        Ok(Err(Failure::Unmet(Unmet::Unseen(unseen)))) => return Err(unseen),
        Err(late) => Err(late),
    };
    Ok((host.name.clone(), met))
}

/// A replica that let us in.
struct Replica {
    host: String,
    talk: Talk,
    /// Whether it has made the table.
    made: Result<(), Failure>,
}

/// One row in a table of all replicas.
struct Proof {
    writer: Talk,
    replicas: Vec<Replica>,
    table: String,
    /// How long the row is waited for.
    lag: Duration,
    waiting: Waiting,
}

type Shown = (Option<Written>, Vec<ClickhouseReplica>);

impl Proof {
    async fn give(mut self) -> Proven<Shown> {
        self.make().await;
        let came = self.write().await;
        let leftovers = self.remove().await;
        Proven { came, leftovers }
    }

    /// Makes the table on all replicas.
    async fn make(&mut self) {
        let Self { replicas, table, waiting, .. } = self;
        let create = format!(
            "CREATE TABLE {table} (value String) ENGINE = ReplicatedMergeTree('{FOLDER}/{table}', '{{replica}}') ORDER BY tuple()"
        );
        let making = replicas.iter_mut().map(async |Replica { host, talk, made }| {
            let said = waiting.on(host, "when it was to make a replicated table", WRITE, talk.ask(&create)).await;
            *made = said.unwrap_or_else(|late| Err(broke(late))).map(drop);
        });
        join_all(making).await;
    }

    /// Inserts the row through the server of the claim, where all have a table for it, and looks for it on each.
    async fn write(&mut self) -> Result<Shown, Unmet> {
        let Self { writer, replicas, table, lag, waiting } = self;
        if replicas.iter().any(|replica| replica.made.is_err()) {
            return Ok((None, replicas.iter().map(Replica::refused).collect::<Result<_, _>>()?));
        }
        let (value, mut reader) = (token(), writer.again());
        let written = timeout(WRITE, insert(writer, &mut reader, table, &value)).await;
        let written = written.unwrap_or_else(|_elapsed| Err(unfinished(writer)))?;
        let row = (written == Written::Kept).then_some(Row { value: &value, since: Instant::now(), lag: *lag });
        let shown = replicas.iter_mut().map(async |Replica { host, talk, .. }| {
            let showing = shows(talk, table, row.as_ref());
            let shown = waiting.on(host, "when it was asked for the row", *lag + ANSWER, showing).await;
            let table = match shown.unwrap_or_else(|late| Err(broke(late))) {
                Ok(table) => Ok(Some(table)),
                Err(Failure::Said(error)) => Err(format!("it answered for the table with: {error}")),
                Err(Failure::Unmet(Unmet::Obstacle(obstacle))) => Err(obstacle.text().to_owned()),
                Err(Failure::Unmet(unmet @ Unmet::Unseen(_))) => return Err(unmet),
            };
            Ok::<_, Unmet>(ClickhouseReplica { host: host.clone(), table })
        });
        let shown = join_all(shown).await.into_iter().collect::<Result<_, _>>()?;
        Ok((Some(written), shown))
    }

    /// Drops the table on one replica after the other: with the last one goes what Keeper has of it. Returns what stayed, and why.
    async fn remove(&mut self) -> Vec<String> {
        let (table, mut left, until) = (&self.table, Vec::new(), Instant::now() + REMOVAL);
        for Replica { host, talk, made } in &mut self.replicas {
            let why = match Instant::now() < until {
                true => kept(timeout(REMOVE, drop_table(talk, table)).await),
                false => Some(format!("it was not asked to drop it: those before it took {} s", REMOVAL.as_secs())),
            };
            // Who has refused to make it has none.
            let is_there = !matches!(made, Err(Failure::Said(_)));
            left.extend(why.filter(|_| is_there).map(|why| format!("{table} on {host}: {why}")));
        }
        // A table that was not made may have its place there all the same.
        if let (true, Some(Replica { talk, .. })) = (left.is_empty(), self.replicas.first_mut()) {
            let stays = timeout(REMOVE, in_keeper(talk, table)).await;
            let stays = stays.unwrap_or_else(|_elapsed| Some(format!("no answer within {} s", REMOVE.as_secs())));
            left.extend(stays.map(|why| format!("{FOLDER}/{table} in Keeper: {why}")));
        }
        left
    }
}

impl Replica {
    /// What it is told as that has made no table, or has one where another has none.
    fn refused(&self) -> Result<ClickhouseReplica, Unmet> {
        let table = match &self.made {
            Ok(()) => Ok(None),
            Err(Failure::Said(error)) => Err(format!("it refused to make a replicated table: {error}")),
            Err(Failure::Unmet(Unmet::Obstacle(obstacle))) => Err(obstacle.text().to_owned()),
            Err(Failure::Unmet(unmet @ Unmet::Unseen(_))) => return Err(unmet.clone()),
        };
        Ok(ClickhouseReplica { host: self.host.clone(), table })
    }
}

/// The row that is looked for.
struct Row<'a> {
    value: &'a str,
    since: Instant,
    lag: Duration,
}

/// What a replica shows of its table, once the row is there or is late.
async fn shows(talk: &mut Talk, table: &str, row: Option<&Row<'_>>) -> Result<ReplicatedTable, Failure> {
    let appeared_ms = match row {
        Some(row) => awaits(talk, table, row).await?,
        None => None,
    };
    // How many are active is asked of Keeper, which a table that is read-only may be without.
    let state = format!(
        "SELECT is_readonly, is_session_expired FROM system.replicas WHERE table = '{table}' FORMAT TabSeparated"
    );
    let state = talk.ask(&state).await?;
    let Some((is_read_only, is_session_expired)) = state.trim_end().split_once('\t') else {
        return Err(Failure::Said("it is not listed in system.replicas".to_owned()));
    };
    let (is_read_only, is_session_expired) = (is_read_only == "1", is_session_expired == "1");
    let active = match is_read_only {
        true => None,
        false => {
            let active =
                format!("SELECT active_replicas FROM system.replicas WHERE table = '{table}' FORMAT TabSeparated");
            talk.ask(&active).await?.trim_end().parse().ok()
        }
    };
    Ok(ReplicatedTable { appeared_ms, is_read_only, is_session_expired, active })
}

/// Asks for the row until it is there, no longer than it may take.
async fn awaits(talk: &mut Talk, table: &str, row: &Row<'_>) -> Result<Option<u64>, Failure> {
    loop {
        let found = talk.ask(&rows(table)).await?;
        let after = row.since.elapsed();
        match found.trim_end() {
            found if found == row.value => return Ok(Some(whole_millis(after))),
            "" if after < row.lag => sleep(ASK_EVERY).await,
            "" => return Ok(None),
            _ => return Err(Failure::Said("another row than the one that was inserted".to_owned())),
        }
    }
}

/// Drops a table at once. Servers of today would do so minutes later; those before 20.4 know no other way, nor the word for it, which
/// is a syntax error to them (62).
async fn drop_table(talk: &mut Talk, table: &str) -> Result<(), Failure> {
    let plain = format!("DROP TABLE IF EXISTS {table}");
    match talk.ask(&format!("{plain} SYNC")).await {
        Err(Failure::Said(error)) if error.starts_with("62 ") => talk.ask(&plain).await.map(drop),
        said => said.map(drop),
    }
}

/// What Keeper still has of a table that was dropped everywhere, or why that is not known.
async fn in_keeper(talk: &mut Talk, table: &str) -> Option<String> {
    let question = format!(
        "SELECT count() FROM system.zookeeper WHERE path = '{FOLDER}' AND name = '{table}' FORMAT TabSeparated"
    );
    match talk.ask(&question).await {
        Ok(found) if found.trim_end() == "0" => None,
        Ok(_) => Some("it is there after the table was dropped".to_owned()),
        Err(failure) => Some(failure.words()),
    }
}

fn broke(words: String) -> Failure {
    Failure::Unmet(Unmet::Obstacle(Obstacle::Broke(words)))
}

/// Whom of a cluster a look waits for, should its time run out meanwhile; clones share it, for a task that outlives its look.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<Asked>>);

#[derive(Default)]
struct Asked {
    /// What was seen before; `None` as long as no replica was asked anything.
    facts: Option<ClickhouseFacts>,
    /// Hosts that have not answered yet, with what they are at.
    hosts: BTreeMap<String, &'static str>,
}

impl Waiting {
    /// So much has been seen before anything is asked of a replica.
    fn begin(&self, facts: &ClickhouseFacts) {
        self.asked().facts = Some(facts.clone());
    }

    /// Waits for the answer of a host, no longer than this; else says so.
    async fn on<T>(
        &self,
        host: &str,
        doing: &'static str,
        patience: Duration,
        question: impl Future<Output = T>,
    ) -> Result<T, String> {
        self.asked().hosts.insert(host.to_owned(), doing);
        let said = timeout(patience, question).await;
        self.asked().hosts.remove(host);
        said.map_err(|_elapsed| format!("no answer within {} ms {doing}", patience.as_millis()))
    }

    /// What there is to say as long as those who are asked say no more; `None` where no replica is.
    pub(super) fn stands(&self) -> Option<ClickhouseFacts> {
        let asked = self.asked();
        let mut facts = asked.facts.clone()?;
        let cluster = facts.cluster.as_mut()?.as_mut().ok()?;
        let silent = asked.hosts.iter().map(|(host, doing)| ClickhouseReplica {
            host: host.clone(),
            table: Err(format!("no answer yet {doing}")),
        });
        cluster.replicas = silent.collect();
        (!cluster.replicas.is_empty()).then_some(facts)
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
