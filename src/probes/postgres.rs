//! Twin of `checks/postgres.rs`.
//!
//! What is written is a table of our own, in the user's default schema, named after the run: it holds one row, and is
//! removed by a task that outlives a look that is dropped.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};
use tokio_util::task::AbortOnDropHandle;

use super::channel::{Channel, Tls};
use super::http::host_name;
use super::reach::{Failure, Unmet, silent};
use super::replica::{ASK_EVERY, Follower, whole_millis};
use super::{Made, Site, Unseen, credential, token};
use crate::checks::{
    Access, Address, Catalog, Guard, Postgres, PostgresAnswer, PostgresFacts, PostgresRole, Replicated, Standby,
    Written,
};
use crate::complaint::chain;
use crate::tunnel::{Dialer, Fate, Stream};

/// Longest time for writing and reading one row, for a replica to answer beyond its lag, and for removing the table: they bound a
/// task that nobody waits for.
const WRITE: Duration = Duration::from_secs(8);
const ANSWER: Duration = Duration::from_secs(5);
pub(super) const REMOVE: Duration = Duration::from_secs(5);

/// The most characters of a name that PostgreSQL keeps.
const NAME: usize = 63;

pub(super) async fn observe(claim: &Postgres, site: &Site<'_>) -> Result<PostgresAnswer, Unseen> {
    let follower = Arc::new(Follower::default());
    let silence = || {
        let facts = claim.replica.as_ref().and_then(|replica| {
            let (facts, replicated) = follower.unanswered(|| silent("postgres", replica))?;
            Some(PostgresFacts { replicated: Some(replicated), ..facts })
        });
        facts.map_or_else(|| PostgresAnswer::Unmet(silent("postgres", &claim.at)), PostgresAnswer::Open)
    };
    let seen = site.hearing(claim, silence, visit(claim, site, &follower)).await;
    seen.or_else(|unmet| unmet.answer(PostgresAnswer::Unmet))
}

/// The same for whoever notes on its own account how a check stands.
pub(super) async fn look(claim: &Postgres, site: &Site<'_>) -> Result<PostgresAnswer, Unseen> {
    let follower = Arc::new(Follower::default());
    let seen = site.within(visit(claim, site, &follower), || silent("postgres", &claim.at)).await;
    seen.or_else(|unmet| unmet.answer(PostgresAnswer::Unmet))
}

async fn visit(
    claim: &Postgres,
    site: &Site<'_>,
    follower: &Arc<Follower<PostgresFacts>>,
) -> Result<PostgresAnswer, Unmet> {
    let login = Login::of(claim, site).await?;
    match show(claim, &login, site, follower).await {
        Ok(facts) => Ok(PostgresAnswer::Open(facts)),
        Err(Failure::Said(error)) => Ok(PostgresAnswer::Refused(error)),
        Err(Failure::Unmet(unmet)) => Err(unmet),
    }
}

async fn show(
    claim: &Postgres,
    login: &Login,
    site: &Site<'_>,
    follower: &Arc<Follower<PostgresFacts>>,
) -> Result<PostgresFacts, Failure> {
    // Of several behind a Service each look is about one, the next look about the next.
    let at = site.prober.dialer.one(&claim.at, site.namespace()).await.map_err(Unmet::from)?;
    let enter = async || Ok::<_, Failure>(site.heard(Server::enter(&claim.at, login, site.dial(&at).await?).await?));
    let server = enter().await?;
    let version = site.heard(server.ask("SHOW server_version").await?);
    let role = match server.ask("SELECT pg_is_in_recovery()").await?.as_str() {
        "t" => PostgresRole::Replica,
        _ => PostgresRole::Primary,
    };
    let facts = PostgresFacts {
        version,
        role,
        guard: site.heard(guard(claim, &at, login, site).await?),
        receives: receives(&server, role).await?,
        standbys: site.heard(standbys(claim, &server).await?),
        catalog: site.heard(catalog(claim, &server).await?),
        written: None,
        replicated: None,
        leftover: None,
    };
    if !claim.writes || claim.expect == Access::Denied {
        return Ok(facts);
    }
    let reader = enter().await?;
    let standby = match &claim.replica {
        Some(replica) => {
            follower.begin(&facts);
            let standby = enter_replica(replica, login, site).await?;
            follower.end();
            Some(standby)
        }
        None => None,
    };
    let proof = Proof {
        writer: server,
        reader,
        standby,
        lag: super::replica::lag(claim.lag(), site),
        most: claim.lag().duration(),
        follower: Arc::clone(follower),
        facts,
        dialer: site.prober.dialer.clone(),
        place: at,
        login: login.clone(),
        made: site.prober.made.clone(),
    };
    // The table is removed even where this look is dropped half-way, and the run does not end before that.
    let proof = site.prober.unfinished.spawn(proof.give(table_name(&site.prober.run)));
    let lost = |error| Unmet::from(Unseen(format!("the write was not seen through: {error}")));
    Ok(proof.await.map_err(lost)??)
}

/// Of a replica: whether its WAL receiver streams. Whoever may not see what it does sees that it is there, and it is so only once it
/// is connected (PostgreSQL, `walreceiver.c`, `ready_to_display`).
async fn receives(server: &Server, role: PostgresRole) -> Result<Option<bool>, Failure> {
    if role == PostgresRole::Primary {
        return Ok(None);
    }
    let receivers = server.rows("SELECT status FROM pg_stat_wal_receiver").await?;
    let status = receivers.into_iter().next().map(|row| row.into_iter().next().flatten());
    Ok(Some(status.is_some_and(|status| status.is_none_or(|status| status == "streaming"))))
}

/// Of others than members of `pg_monitor` the `state` is hidden (PostgreSQL's manual, "Monitoring Database Activity").
async fn standbys(claim: &Postgres, server: &Server) -> Result<Option<Vec<Standby>>, Failure> {
    if claim.replicas.is_none() {
        return Ok(None);
    }
    // Subscribers of publications are listed as well.
    let logical = server.rows("SELECT active_pid FROM pg_replication_slots WHERE slot_type = 'logical'").await?;
    let rows = server.rows("SELECT pid, application_name, state, replay_lsn FROM pg_stat_replication").await?;
    let is_physical = |row: &Vec<Option<String>>| !logical.iter().any(|slot| slot.first() == row.first());
    let standby = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().skip(1);
        let (name, state, replayed) = (cells.next().flatten(), cells.next().flatten(), cells.next().flatten());
        // `pg_basebackup` and `pg_receivewal` stream as well, and replay nothing.
        let state = state.map(|state| if replayed.is_some() { state } else { format!("{state}, replays nothing") });
        Standby { name: name.unwrap_or_default(), state }
    };
    Ok(Some(rows.into_iter().filter(is_physical).map(standby).collect()))
}

async fn catalog(claim: &Postgres, server: &Server) -> Result<Catalog, Failure> {
    let names = async |wanted: &[String], sql| match wanted {
        [] => Ok(Vec::new()),
        [..] => {
            Ok::<_, Failure>(server.rows(sql).await?.into_iter().filter_map(|row| row.into_iter().next()?).collect())
        }
    };
    Ok(Catalog {
        databases: names(&claim.databases, "SELECT datname FROM pg_database").await?,
        roles: names(&claim.roles, "SELECT rolname FROM pg_roles").await?,
        extensions: names(&claim.extensions, "SELECT extname FROM pg_extension").await?,
    })
}

/// The replica, entered before anything is written, so that its lag is its own; or what came in place of that.
async fn enter_replica(at: &Address, login: &Login, site: &Site<'_>) -> Result<Result<Server, Replicated>, Unmet> {
    let met = async { Server::enter(at, &login.by_own_name(), site.dial(at).await?).await };
    match met.await {
        Ok(server) => Ok(Ok(server)),
        Err(failure) => Ok(Err(failure.replicated()?)),
    }
}

/// What the client says that is asked for a password and has none (tokio-postgres, `connect_raw.rs`).
const WITHHELD: &str = "password missing";

/// Whether a login without any password is let in as well.
async fn guard(claim: &Postgres, at: &Address, login: &Login, site: &Site<'_>) -> Result<Guard, Failure> {
    if claim.password.is_none() && claim.expect == Access::Allowed {
        return Ok(Guard::Open);
    }
    let stream = site.dial(at).await?;
    let is_forwarded = stream.is_forwarded();
    Ok(match Server::enter(&claim.at, &login.without_password(), stream).await {
        Ok(_) if is_forwarded => Guard::OpenToLoopback,
        Ok(_) => Guard::Open,
        Err(Failure::Said(error)) if Postgres::keeps_out(&error) => Guard::Asks,
        Err(failure) if failure.words().contains(WITHHELD) => Guard::Asks,
        // Nothing was heard of what this server asks for.
        Err(failure) => return Err(failure),
    })
}

/// Who logs in, to which database, and how it is talked to.
#[derive(Clone)]
pub(super) struct Login {
    user: String,
    /// That of the user's name where none is named.
    database: String,
    /// Without any, the client gives up when it is asked for one; an empty one lets the server say no.
    password: Option<String>,
    tls: Tls,
    /// Where names without a namespace are.
    namespace: String,
}

impl Login {
    /// As a claim names it.
    pub(super) async fn of(claim: &Postgres, site: &Site<'_>) -> Result<Self, Unseen> {
        let password = credential::resolve_any(claim.password.as_ref(), site).await?;
        let tls = Tls::of(claim.tls.as_ref(), site).await?;
        Ok(Self::new(&claim.user, claim.database.as_deref(), password, tls, site))
    }

    pub(super) fn new(user: &str, database: Option<&str>, password: Option<String>, tls: Tls, site: &Site<'_>) -> Self {
        Self {
            user: user.to_owned(),
            database: database.unwrap_or(user).to_owned(),
            password: Some(password.unwrap_or_default()),
            tls,
            namespace: site.namespace().to_owned(),
        }
    }

    /// The same for a server that is known by a name of its own.
    fn by_own_name(&self) -> Self {
        Self { tls: self.tls.clone().by_own_names(), ..self.clone() }
    }

    fn without_password(&self) -> Self {
        Self { password: None, ..self.clone() }
    }

    /// What the client is told. That it is over TLS it is not: that has been seen to before.
    fn config(&self) -> Config {
        let mut config = Config::new();
        config.user(&self.user).dbname(&self.database).application_name("seaworthy").ssl_mode(SslMode::Disable);
        if let Some(password) = &self.password {
            config.password(password);
        }
        config
    }

    /// A stream as it is to be, before anything else is said on it.
    async fn channel(&self, at: &Address, mut stream: Stream) -> Result<Channel, Unmet> {
        let who = format!("postgres {at}");
        if self.tls.is_claimed() {
            let fate = stream.fate();
            let broke = |words: &str| Unmet::broke(&fate, format!("{who} {words}"));
            match ask_for_tls(&mut stream).await {
                Ok(b'S') => {}
                Ok(b'N') => return Err(broke("offers no TLS")),
                // A server that has no process left for it says so in the clear, and one that is none says anything.
                Ok(_) => return Err(broke("broke off: it answered neither yes nor no when it was asked for TLS")),
                Err(error) => return Err(broke(&format!("broke off when it was asked for TLS: {}", chain(&error)))),
            }
        }
        self.tls.over(stream, &who, &host_name(at, &self.namespace)).await
    }
}

/// Asks whether a server speaks TLS (PostgreSQL's manual, "SSL Session Encryption"). Nothing behind its answer is read: that would
/// have been said in the clear.
async fn ask_for_tls(stream: &mut Stream) -> io::Result<u8> {
    const REQUEST: u32 = 80_877_103;
    stream.write_all(&[8_u32.to_be_bytes(), REQUEST.to_be_bytes()].concat()).await?;
    stream.flush().await?;
    stream.read_u8().await
}

/// One row, committed by one connection, read by another, and waited for on a replica.
struct Proof {
    writer: Server,
    reader: Server,
    standby: Option<Result<Server, Replicated>>,
    /// How long the row is waited for, and the longest that it may have taken.
    lag: Duration,
    most: Duration,
    follower: Arc<Follower<PostgresFacts>>,
    facts: PostgresFacts,
    /// The way to the server that is written to.
    dialer: Dialer,
    place: Address,
    login: Login,
    made: Made,
}

impl Proof {
    /// The facts with what came of it.
    async fn give(self, table: String) -> Result<PostgresFacts, Unmet> {
        let value = token();
        let written = timeout(WRITE, self.write(&table, &value)).await;
        let was_refused = matches!(written, Ok(Ok(Written::Refused(_))));
        let replicated = match (&written, &self.standby) {
            (Ok(Ok(Written::Kept)), Some(Ok(standby))) => self.awaits(standby, &table, &value).await.map(Some),
            (Ok(Ok(Written::Kept)), Some(Err(missed))) => Ok(Some(missed.clone())),
            _ => Ok(None),
        };
        if written.is_err() {
            self.cancel().await;
        }
        // What has come of a write that was not finished is known where it was made.
        let remover = if written.is_err() { &self.writer } else { &self.reader };
        // A replica that is waited for in vain must not hold that up as well.
        let removal = format!("BEGIN; SET LOCAL synchronous_commit TO local; DROP TABLE IF EXISTS {table}; COMMIT");
        let leftover = match timeout(REMOVE, remover.run(&removal)).await {
            _ if was_refused => None,
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(format!("{table}: {}", failure.words())),
            Err(_) => Some(format!("{table}: no answer within {} s", REMOVE.as_secs())),
        };
        leftover.iter().for_each(|left| self.made.leave(format!("table {left}")));
        let written = match written {
            Ok(written) => written?,
            Err(_) => match self.writer.fate.told() {
                Some(lost) => return Err(lost.into()),
                None => Written::Refused(format!("no answer within {} s", WRITE.as_secs())),
            },
        };
        Ok(PostgresFacts { written: Some(written), replicated: replicated?, leftover, ..self.facts })
    }

    /// Lets the server give up what it has not finished: a commit that waits for a replica would keep its connection for ever.
    async fn cancel(&self) {
        let cancelling = async {
            let stream = self.dialer.dial(&self.place, &self.login.namespace).await.ok()?;
            let channel = self.login.channel(&self.writer.at, stream).await.ok()?;
            self.writer.client.cancel_token().cancel_query_raw(channel, NoTls).await.ok()
        };
        timeout(ANSWER, cancelling).await.ok();
    }

    async fn write(&self, table: &str, value: &str) -> Result<Written, Unmet> {
        let batch = format!("BEGIN; CREATE TABLE {table} (value text); INSERT INTO {table} VALUES ('{value}'); COMMIT");
        match self.writer.run(&batch).await {
            Ok(()) => {}
            Err(Failure::Said(error)) => return Ok(Written::Refused(error)),
            Err(Failure::Unmet(unmet)) => return Err(unmet),
        }
        match self.reader.ask(&format!("SELECT value FROM {table}")).await {
            Ok(found) if found == value => Ok(Written::Kept),
            Ok(found) if found.is_empty() => Ok(Written::Lost("no row".to_owned())),
            Ok(_) => Ok(Written::Lost("another row".to_owned())),
            Err(Failure::Said(error)) => Ok(Written::Lost(format!("an error in place of it: {error}"))),
            Err(Failure::Unmet(unmet)) => Err(unmet),
        }
    }

    async fn awaits(&self, standby: &Server, table: &str, value: &str) -> Result<Replicated, Unmet> {
        let written = PostgresFacts { written: Some(Written::Kept), ..self.facts.clone() };
        self.follower.begin(&written);
        let shown = timeout(self.lag + ANSWER, self.appears(standby, table, value)).await;
        match shown {
            Ok(Ok(replicated)) => Ok(replicated),
            Ok(Err(failure)) => failure.replicated(),
            Err(_elapsed) => Ok(Replicated::Unmet(silent("postgres", &standby.at))),
        }
    }

    /// Asks the replica for the row until it is there, no longer than it may take.
    async fn appears(&self, standby: &Server, table: &str, value: &str) -> Result<Replicated, Failure> {
        let since = Instant::now();
        loop {
            let after_ms = whole_millis(since.elapsed());
            match standby.ask(&format!("SELECT value FROM {table}")).await {
                Ok(found) if found == value && since.elapsed() > self.most => {
                    return Ok(Replicated::Late { after_ms: whole_millis(since.elapsed()) });
                }
                Ok(found) if found == value => break,
                Ok(_) => {}
                // 42P01 undefined_table: that is part of the same transaction.
                Err(Failure::Said(error)) if error.starts_with("42P01") => {}
                Err(failure) => return Err(failure),
            }
            if since.elapsed() >= self.lag {
                return Ok(Replicated::Absent { after_ms });
            }
            self.follower.missing(after_ms);
            sleep(ASK_EVERY).await;
        }
        let is_replica = standby.ask("SELECT pg_is_in_recovery()").await? == "t";
        Ok(if is_replica { Replicated::Appeared } else { Replicated::OnMaster })
    }
}

/// A name that needs no care in SQL beyond its quotes, `"…"` included.
pub(super) fn table_name(run: &str) -> String {
    let run: String = run.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let random = token();
    let run: String = run.chars().take(NAME - "seaworthy__".len() - random.len()).collect();
    format!("\"seaworthy_{run}_{random}\"")
}

/// A server that let us in. Its connection ends when it is dropped.
pub(super) struct Server {
    at: Address,
    client: Client,
    fate: Fate,
    _driver: AbortOnDropHandle<()>,
}

impl Failure {
    fn of(at: &Address, fate: &Fate, error: &Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self::Said(format!("{} {}", said.code().code(), said.message())),
            None => Self::Unmet(Unmet::broke(fate, format!("postgres {at} broke off: {}", chain(error)))),
        }
    }

    /// What a replica is said to be that answers so, or does not.
    fn replicated(self) -> Result<Replicated, Unmet> {
        match self {
            Self::Said(error) => Ok(Replicated::Refused(error)),
            Self::Unmet(Unmet::Obstacle(obstacle)) => Ok(Replicated::Unmet(obstacle)),
            Self::Unmet(unseen @ Unmet::Unseen(_)) => Err(unseen),
        }
    }
}

impl Server {
    pub(super) async fn enter(at: &Address, login: &Login, stream: Stream) -> Result<Self, Failure> {
        let channel = login.channel(at, stream).await?;
        let fate = channel.fate();
        match login.config().connect_raw(channel, NoTls).await {
            Ok((client, connection)) => {
                // What ends the connection reaches the client as well, and the fate knows the way's part in it.
                let driver = tokio::spawn(async move { drop(connection.await) });
                Ok(Self { at: at.clone(), client, fate, _driver: AbortOnDropHandle::new(driver) })
            }
            Err(error) => Err(Failure::of(at, &fate, &error)),
        }
    }

    pub(super) async fn run(&self, sql: &str) -> Result<(), Failure> {
        self.client.batch_execute(sql).await.map_err(|error| Failure::of(&self.at, &self.fate, &error))
    }

    /// The first column of the first row as text; empty where there is none.
    pub(super) async fn ask(&self, sql: &str) -> Result<String, Failure> {
        let first = self.rows(sql).await?.into_iter().next();
        Ok(first.and_then(|row| row.into_iter().next()?).unwrap_or_default())
    }

    /// All rows as text; `NULL` is `None`.
    pub(super) async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let said = self.client.simple_query(sql).await.map_err(|error| Failure::of(&self.at, &self.fate, &error))?;
        let mut rows = Vec::new();
        for message in said {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncRead, AsyncWrite};

    use super::*;
    use crate::checks::Verdict;
    use crate::probes::stand::{
        Heard, actual, closed_port, for_web_test, look, message, refusal, serve, stands_when_dropped, trusting,
    };

    /// What a misbehaving server does instead of what it should.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fault {
        None,
        WrongPassword,
        Starting,
        ReadOnly,
        Forgets,
        ClosesAfterLogin,
        Hangs,
        InRecovery,
    }

    async fn server(fault: Fault, heard: Heard) -> u16 {
        serve(move |stream| talk(stream, fault, heard.clone())).await
    }

    fn row(text: &str) -> Vec<u8> {
        let column = [&b"\0\x01c\0"[..], &[0; 18]].concat();
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        let cell = [&[0, 1][..], &length, text.as_bytes()].concat();
        [message(b'T', &column), message(b'D', &cell), message(b'C', b"SELECT 1\0")].concat()
    }

    /// A server that is asked for TLS first, and answers with this letter.
    async fn secured(letter: u8, heard: Heard) -> u16 {
        serve(move |mut stream| {
            let heard = heard.clone();
            async move {
                let mut request = [0; 8];
                stream.read_exact(&mut request).await?;
                assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
                stream.write_all(&[letter]).await?;
                talk(for_web_test().accept(stream).await?, Fault::None, heard).await
            }
        })
        .await
    }

    async fn talk<S>(mut stream: S, fault: Fault, heard: Heard) -> std::io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut startup = vec![0; usize::try_from(stream.read_u32().await?).unwrap() - 4];
        stream.read_exact(&mut startup).await?;
        match fault {
            Fault::Hangs => std::future::pending().await,
            Fault::WrongPassword => {
                let words = "password authentication failed for user \"app\"";
                stream.write_all(&refusal("28P01", words)).await?;
            }
            Fault::Starting => stream.write_all(&refusal("57P03", "the database system is starting up")).await?,
            Fault::None | Fault::ReadOnly | Fault::Forgets | Fault::ClosesAfterLogin | Fault::InRecovery => {}
        }
        // A password in the clear is asked for, and any will do.
        stream.write_all(&message(b'R', &3_u32.to_be_bytes())).await?;
        assert_eq!(stream.read_u8().await?, b'p');
        let mut password = vec![0; usize::try_from(stream.read_u32().await?).unwrap() - 4];
        stream.read_exact(&mut password).await?;
        let ready = message(b'Z', b"I");
        stream.write_all(&[message(b'R', &[0; 4]), ready.clone()].concat()).await?;
        let mut inserted = String::new();
        while fault != Fault::ClosesAfterLogin && stream.read_u8().await? == b'Q' {
            let mut sql = vec![0; usize::try_from(stream.read_u32().await?).unwrap() - 4];
            stream.read_exact(&mut sql).await?;
            let sql = String::from_utf8_lossy(&sql).trim_end_matches('\0').to_owned();
            let reply = match sql.split(' ').next() {
                Some("SHOW") => row("17.2"),
                Some("SELECT") if sql.contains("recovery") => row(if fault == Fault::InRecovery { "t" } else { "f" }),
                Some("BEGIN;") if fault == Fault::ReadOnly => {
                    refusal("25006", "cannot execute CREATE TABLE in a read-only transaction")
                }
                Some("BEGIN;") => {
                    inserted = sql.split('\'').nth(1).unwrap_or_default().to_owned();
                    message(b'C', b"COMMIT\0")
                }
                // The row was committed by another connection: what is heard there is what is found here.
                Some("SELECT") if fault == Fault::Forgets => message(b'C', b"SELECT 0\0"),
                Some("SELECT") => row(&committed(&heard).unwrap_or(inserted.clone())),
                _ => message(b'C', b"DROP TABLE\0"),
            };
            heard.note(sql);
            stream.write_all(&[reply, ready.clone()].concat()).await?;
        }
        Ok(())
    }

    fn committed(heard: &Heard) -> Option<String> {
        heard
            .all()
            .iter()
            .find(|sql| sql.starts_with("BEGIN"))
            .and_then(|sql| sql.split('\'').nth(1).map(str::to_owned))
    }

    fn check(port: u16, more: &str) -> String {
        format!("postgres: {{at: 'host/127.0.0.1:{port}', user: app, password: {{value: hunter22}}, {more}}}")
    }

    #[tokio::test]
    async fn a_good_server_holds_and_the_table_of_ours_is_removed() {
        let heard = Heard::default();
        let port = server(Fault::None, heard.clone()).await;
        let verdict = look(&check(port, "role: primary, version: ^17")).await;
        assert!(matches!(&verdict, Verdict::Held { warnings, .. } if warnings.is_empty()), "{verdict:?}");
        let said = heard.all();
        let table = said[2].split(' ').nth(3).unwrap();
        assert!(table.starts_with("\"seaworthy_run_1_"), "{table}");
        assert!(said.last().unwrap().ends_with(&format!("; DROP TABLE IF EXISTS {table}; COMMIT")), "{said:?}");
    }

    #[tokio::test]
    async fn each_fault_breaks_with_its_own_words() {
        for (fault, said) in [
            (Fault::WrongPassword, "refused the login: 28P01 password authentication failed for user \"app\""),
            (Fault::Starting, "answered the login with: 57P03 the database system is starting up"),
            (Fault::ReadOnly, "refused to write: 25006 cannot execute CREATE TABLE in a read-only transaction"),
            (Fault::Forgets, "committed a row and then had no row"),
            (Fault::ClosesAfterLogin, "broke off: "),
        ] {
            let verdict = look(&check(server(fault, Heard::default()).await, "writes: true")).await;
            let actual = actual(&verdict);
            assert!(actual.contains(said) && !actual.contains("hunter22"), "{actual}");
        }
    }

    #[tokio::test]
    async fn all_that_is_said_is_said_over_tls_where_that_is_claimed() {
        let heard = Heard::default();
        let port = secured(b'S', heard.clone()).await;
        let verdict = look(&check(port, &trusting("web.test"))).await;
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
        assert!(heard.all().iter().any(|sql| sql.contains("DROP TABLE")));
        let verdict = look(&check(port, &trusting("pg.data.svc"))).await;
        let said = format!("postgres host/127.0.0.1:{port} has a certificate for web.test, and not for pg.data.svc");
        assert_eq!(actual(&verdict), said);
    }

    #[tokio::test]
    async fn a_server_without_tls_is_told_no_password_where_it_is_claimed() {
        for (letter, said) in
            [(b'N', "offers no TLS"), (b'H', "broke off: it answered neither yes nor no when it was asked for TLS")]
        {
            let port = secured(letter, Heard::default()).await;
            let verdict = look(&check(port, "tls: any")).await;
            assert_eq!(actual(&verdict), format!("postgres host/127.0.0.1:{port} {said}"));
        }
        let denied = check(secured(b'N', Heard::default()).await, "tls: any, expect: denied");
        assert!(matches!(look(&denied).await, Verdict::Unclear { .. }));
    }

    #[tokio::test]
    async fn a_table_is_removed_even_where_its_row_was_lost() {
        let heard = Heard::default();
        look(&check(server(Fault::Forgets, heard.clone()).await, "writes: true")).await;
        assert!(heard.all().last().unwrap().contains("DROP TABLE"));
    }

    #[tokio::test]
    async fn a_server_that_hangs_breaks_when_the_time_is_up_and_one_that_is_away_at_once() {
        let port = server(Fault::Hangs, Heard::default()).await;
        let verdict = stands_when_dropped(&check(port, "writes: true")).await.unwrap();
        assert_eq!(actual(&verdict), format!("postgres host/127.0.0.1:{port} does not answer"));
        let port = closed_port().await;
        let verdict = look(&check(port, "writes: true")).await;
        assert_eq!(actual(&verdict), format!("nothing listens on 127.0.0.1:{port}: connection refused"));
    }

    #[tokio::test]
    async fn a_row_is_waited_for_on_the_replica_and_each_way_to_miss_it_is_told() {
        for (fault, lag, said) in [
            (Fault::InRecovery, "30s", None),
            (Fault::None, "30s", Some("has the row and is not in recovery: it is no replica")),
            (Fault::Forgets, "100ms", Some("had no such row")),
            (Fault::WrongPassword, "30s", Some("refused to read it: 28P01")),
        ] {
            let heard = Heard::default();
            let (port, replica) = (server(Fault::None, heard.clone()).await, server(fault, heard.clone()).await);
            let verdict = look(&check(port, &format!("lag: {lag}, replica: 'host/127.0.0.1:{replica}'"))).await;
            match said {
                None => assert!(matches!(&verdict, Verdict::Held { saw, .. } if saw.contains("that appeared on"))),
                Some(said) => assert!(actual(&verdict).contains(said), "{verdict:?}"),
            }
            assert!(heard.all().iter().any(|sql| sql.contains("DROP TABLE")), "{fault:?}");
        }
    }

    #[tokio::test]
    async fn a_replica_that_hangs_is_named_and_not_its_primary() {
        let heard = Heard::default();
        let (port, replica) = (server(Fault::None, heard.clone()).await, server(Fault::Hangs, heard).await);
        let text = check(port, &format!("replica: 'host/127.0.0.1:{replica}'"));
        let verdict = stands_when_dropped(&text).await.unwrap();
        assert_eq!(actual(&verdict), format!("postgres host/127.0.0.1:{replica} does not answer"));
    }

    #[tokio::test]
    async fn only_class_28_is_a_denial() {
        let verdict = look(&check(server(Fault::WrongPassword, Heard::default()).await, "expect: denied")).await;
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
        let verdict = look(&check(server(Fault::Starting, Heard::default()).await, "expect: denied")).await;
        assert!(matches!(verdict, Verdict::Unclear { .. }), "{verdict:?}");
        let verdict = look(&check(server(Fault::None, Heard::default()).await, "expect: denied")).await;
        assert!(actual(&verdict).ends_with("was let in"), "{verdict:?}");
    }

    #[test]
    fn a_tables_name_is_unique_quoted_and_short_enough() {
        let name = table_name("Run-é\"; DROP");
        assert!(name.starts_with("\"seaworthy_Run_____DROP_") && name.ends_with('"'), "{name}");
        assert_ne!(name, table_name("Run-é\"; DROP"));
        assert_eq!(table_name(&"x".repeat(200)).len(), NAME + 2);
    }
}
