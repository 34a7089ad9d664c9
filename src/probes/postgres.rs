//! Twin of `checks/postgres.rs`.
//!
//! What is written is a table of our own, in the user's default schema, named after the run: it holds one row, and is
//! removed by a task that outlives a look that is dropped.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};
use tokio_util::task::AbortOnDropHandle;

use super::reach::{Unmet, silent};
use super::{Site, Unseen, credential, token};
use crate::checks::{Access, Address, Postgres, PostgresAnswer, PostgresFacts, PostgresRole, Written};
use crate::complaint::chain;
use crate::tunnel::{Fate, Stream};

/// Longest time for writing and reading one row, and for removing its table; both bound a task that nobody waits for.
const WRITE: Duration = Duration::from_secs(8);
const REMOVE: Duration = Duration::from_secs(5);

/// The most characters of a name that PostgreSQL keeps.
const NAME: usize = 63;

pub(super) async fn observe(claim: &Postgres, site: &Site<'_>) -> Result<PostgresAnswer, Unseen> {
    let silence = || PostgresAnswer::Unmet(silent("postgres", &claim.at));
    let seen = site.hearing(claim, silence, visit(claim, site)).await;
    seen.or_else(|unmet| unmet.answer(PostgresAnswer::Unmet))
}

async fn visit(claim: &Postgres, site: &Site<'_>) -> Result<PostgresAnswer, Unmet> {
    let login = login(claim, site).await?;
    let server = match Server::enter(&claim.at, &login, site.dial(&claim.at).await?).await {
        Ok(server) => server,
        Err(Failure::Said(error)) => return Ok(PostgresAnswer::Refused(error)),
        Err(Failure::Unmet(unmet)) => return Err(unmet),
    };
    let (version, role) = match server.ask("SHOW server_version").await {
        Ok(version) => (version, server.ask("SELECT pg_is_in_recovery()").await),
        Err(failure) => return failure.refusal(),
    };
    let role = match role {
        Ok(recovering) if recovering == "t" => PostgresRole::Replica,
        Ok(_) => PostgresRole::Primary,
        Err(failure) => return failure.refusal(),
    };
    let mut facts = PostgresFacts { version, role, written: None, leftover: None };
    if claim.writes && claim.expect == Access::Allowed {
        let reader = site.dial(&claim.at).await?;
        let reader = match Server::enter(&claim.at, &login, reader).await {
            Ok(reader) => reader,
            Err(failure) => return failure.refusal(),
        };
        // The table is removed even where this look is dropped half-way.
        let table = table_name(&site.prober.run);
        let proof = tokio::spawn(prove(server, reader, table)).await;
        let (written, leftover) =
            proof.map_err(|error| Unseen(format!("the write was not seen through: {error}")))??;
        facts.written = Some(written);
        facts.leftover = leftover;
    }
    Ok(PostgresAnswer::Open(facts))
}

async fn login(claim: &Postgres, site: &Site<'_>) -> Result<Config, Unseen> {
    let password = credential::resolve_any(claim.password.as_ref(), site).await?;
    let mut login = Config::new();
    login.user(&claim.user).dbname(claim.database.as_ref().unwrap_or(&claim.user)).application_name("seaworthy");
    // Without any, the client gives up when asked for one; an empty one lets the server say no.
    login.password(password.unwrap_or_default());
    Ok(login)
}

/// One row, committed by one connection and read by another.
async fn prove(writer: Server, reader: Server, table: String) -> Result<(Written, Option<String>), Unmet> {
    let written = timeout(WRITE, write(&writer, &reader, &table)).await;
    let was_refused = matches!(written, Ok(Ok(Written::Refused(_))));
    let removal = format!("DROP TABLE IF EXISTS {table}");
    let leftover = match timeout(REMOVE, reader.run(&removal)).await {
        _ if was_refused => None,
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(format!("{table}: {}", failure.words())),
        Err(_) => Some(format!("{table}: no answer within {} s", REMOVE.as_secs())),
    };
    match written {
        Ok(written) => Ok((written?, leftover)),
        Err(_) => {
            let words = format!("postgres {} did not finish a write within {} s", writer.at, WRITE.as_secs());
            Err(Unmet::broke(&writer.fate, words))
        }
    }
}

async fn write(writer: &Server, reader: &Server, table: &str) -> Result<Written, Unmet> {
    let value = token();
    let batch = format!("BEGIN; CREATE TABLE {table} (value text); INSERT INTO {table} VALUES ('{value}'); COMMIT");
    match writer.run(&batch).await {
        Ok(()) => {}
        Err(Failure::Said(error)) => return Ok(Written::Refused(error)),
        Err(Failure::Unmet(unmet)) => return Err(unmet),
    }
    match reader.ask(&format!("SELECT value FROM {table}")).await {
        Ok(found) if found == value => Ok(Written::Kept),
        Ok(found) if found.is_empty() => Ok(Written::Lost("no row".to_owned())),
        Ok(_) => Ok(Written::Lost("another row".to_owned())),
        Err(Failure::Said(error)) => Ok(Written::Lost(format!("an error in place of it: {error}"))),
        Err(Failure::Unmet(unmet)) => Err(unmet),
    }
}

/// A name that needs no care in SQL beyond its quotes, `"…"` included.
fn table_name(run: &str) -> String {
    let run: String = run.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let random = token();
    let run: String = run.chars().take(NAME - "seaworthy__".len() - random.len()).collect();
    format!("\"seaworthy_{run}_{random}\"")
}

/// A server that let us in. Its connection ends when it is dropped.
struct Server {
    at: Address,
    client: Client,
    fate: Fate,
    _driver: AbortOnDropHandle<()>,
}

/// A step that failed.
enum Failure {
    /// The server said so: its SQLSTATE, then its words.
    Said(String),
    /// The conversation ended.
    Unmet(Unmet),
}

impl Failure {
    fn of(at: &Address, fate: &Fate, error: &Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self::Said(format!("{} {}", said.code().code(), said.message())),
            None => Self::Unmet(Unmet::broke(fate, format!("postgres {at} broke off: {}", chain(error)))),
        }
    }

    fn refusal(self) -> Result<PostgresAnswer, Unmet> {
        match self {
            Self::Said(error) => Ok(PostgresAnswer::Refused(error)),
            Self::Unmet(unmet) => Err(unmet),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Said(error) => error.clone(),
            Self::Unmet(Unmet::Obstacle(obstacle)) => obstacle.text().to_owned(),
            Self::Unmet(Unmet::Unseen(Unseen(why))) => why.clone(),
        }
    }
}

impl Server {
    async fn enter(at: &Address, login: &Config, stream: Stream) -> Result<Self, Failure> {
        let fate = stream.fate();
        match login.connect_raw(stream, NoTls).await {
            Ok((client, connection)) => {
                // What ends the connection reaches the client as well, and the fate knows the way's part in it.
                let driver = tokio::spawn(async move { drop(connection.await) });
                Ok(Self { at: at.clone(), client, fate, _driver: AbortOnDropHandle::new(driver) })
            }
            Err(error) => Err(Failure::of(at, &fate, &error)),
        }
    }

    async fn run(&self, sql: &str) -> Result<(), Failure> {
        self.client.batch_execute(sql).await.map_err(|error| Failure::of(&self.at, &self.fate, &error))
    }

    /// The first column of the first row as text; empty where there is none.
    async fn ask(&self, sql: &str) -> Result<String, Failure> {
        let rows = self.client.simple_query(sql).await.map_err(|error| Failure::of(&self.at, &self.fate, &error))?;
        let first = rows.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        });
        Ok(first.unwrap_or_default())
    }
}
