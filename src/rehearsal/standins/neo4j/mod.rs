//! A Neo4j 5 of one server: one database, whose nodes are shared by HTTP and Bolt, one user, and a lock after wrong passwords.
//!
//! What it does is what a client needs that makes a node, finds it and deletes it, each as a transaction of its own: no relationships, no
//! indexes, no open transactions. Either protocol is spoken on each of its ports, by what comes first.

use std::io::{self, Cursor};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, join, split};
use tokio::time::Instant;

use self::cypher::{Pattern, Statement, Unread};
use self::error::Error;
use super::switch::Switch;

mod bolt;
mod config;
#[cfg(test)]
pub(crate) mod conformance;
mod cypher;
mod error;
mod fault;
mod http;
pub(super) mod packstream;
#[cfg(test)]
mod tests;

pub(crate) use self::config::Config;
pub(crate) use self::fault::Fault;

const VERSION: &str = "5.26.0";
const OLD_VERSION: &str = "4.4.38";

/// The server's own database.
const SYSTEM: &str = "system";

/// How many wrong passwords in a row lock an account, and for how long (`dbms.security.auth_max_failed_attempts`, `auth_lock_time`).
const ATTEMPTS: u32 = 3;
const LOCKED: Duration = Duration::from_secs(5);

/// A Neo4j.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    faults: Switch<Fault>,
    graph: Mutex<Graph>,
}

/// What it keeps.
#[derive(Debug, Default)]
struct Graph {
    nodes: Vec<Pattern>,
    /// How many transactions have changed something.
    changes: u64,
    /// How many wrong passwords have been tried since the last right one, and when the last was.
    wrong: u32,
    since: Option<Instant>,
}

/// The two ways in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Http,
    Bolt,
}

/// What a statement brings.
#[derive(Debug)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// A statement as it comes.
struct Asked<'a> {
    door: Door,
    database: &'a str,
    text: &'a str,
    parameters: &'a Map<String, Value>,
    /// Whether nothing may be changed.
    reads: bool,
}

impl Server {
    /// A server in order.
    pub(crate) fn new(config: Config) -> Self {
        Self { config, faults: Switch::off(), graph: Mutex::default() }
    }

    /// Switches a fault on, or off what is on.
    pub(crate) fn inject(&self, fault: Option<Fault>) {
        self.faults.turn(fault);
    }

    /// Serves one connection until either side ends it.
    ///
    /// # Errors
    /// The stream's own, a request that is none, and an answer that is broken off on purpose.
    pub(crate) async fn serve<S>(&self, mut stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut first = [0; 4];
        let count = stream.read(&mut first).await?;
        let (read, write) = split(stream);
        let stream = join(Cursor::new(first[..count].to_vec()).chain(read), write);
        match first == bolt::MAGIC {
            true => self.serve_bolt(stream).await,
            false => super::http::serve(stream, |request| self.answer(request)).await,
        }
    }

    /// Looks at who comes.
    fn let_in(&self, door: Door, user: &str, password: &str) -> Result<(), Error> {
        let is_open = match (self.faults.on(), door) {
            (Some(Fault::AcceptsAnyone), _) | (Some(Fault::BoltAcceptsAnyone), Door::Bolt) => true,
            (Some(Fault::RejectsLogin), _) | (Some(Fault::BoltRejectsLogin), Door::Bolt) => {
                return Err(Error::unauthorized());
            }
            (Some(Fault::AccountLocked), _) => return Err(Error::locked()),
            (_, Door::Http | Door::Bolt) => self.config.password.is_none(),
        };
        if is_open {
            return Ok(());
        }
        // Of who is not known nothing is counted.
        if user != self.config.user {
            return Err(Error::unauthorized());
        }
        let mut graph = self.lock();
        if graph.wrong >= ATTEMPTS && graph.since.is_some_and(|since| since.elapsed() < LOCKED) {
            return Err(Error::locked());
        }
        if Some(password) == self.config.password.as_deref() {
            graph.wrong = 0;
            return Ok(());
        }
        graph.wrong += 1;
        graph.since = Some(Instant::now());
        Err(Error::unauthorized())
    }

    /// Runs a statement of somebody who is in.
    fn run(&self, asked: &Asked<'_>) -> Result<Table, Error> {
        self.is_there(asked.database)?;
        let statement = cypher::read(asked.text, asked.parameters).map_err(|unread| match unread {
            Unread::Invalid(word) => Error::syntax(&word),
            Unread::Missing(parameter) => Error::missing(&parameter),
        })?;
        match self.faults.on() {
            _ if asked.reads && statement.writes() => return Err(Error::access_mode(asked.database)),
            // Who looks for what is not there deletes nothing, which is no write.
            Some(Fault::ReadOnly) if matches!(statement, Statement::Create { .. }) => return Err(Error::read_only()),
            Some(Fault::RefusesDeletes) if matches!(statement, Statement::Delete { .. }) => {
                return Err(Error::forbidden());
            }
            Some(_) | None => {}
        }
        let table = self.done(&statement, asked.door);
        let finds_nothing = matches!(statement, Statement::Find { .. }) && table.rows.is_empty();
        match finds_nothing && self.faults.is(Fault::UnavailableOnceDeleted) {
            true => Err(Error::unavailable(asked.database)),
            false => Ok(table),
        }
    }

    fn is_there(&self, database: &str) -> Result<(), Error> {
        let is_own = database == SYSTEM;
        match self.faults.on() {
            Some(Fault::NoDatabase) if !is_own => Err(Error::no_database(database)),
            Some(Fault::DatabaseUnavailable) if !is_own => Err(Error::unavailable(database)),
            Some(Fault::PasswordExpired) => Err(Error::expired(database)),
            _ if !is_own && database != self.config.database => Err(Error::no_database(database)),
            _ if self.config.is_expired => Err(Error::expired(database)),
            _ => Ok(()),
        }
    }

    fn done(&self, statement: &Statement, door: Door) -> Table {
        let mut graph = self.lock();
        let fault = self.faults.on();
        match statement {
            Statement::Number { name, number } => {
                Table { columns: vec![name.clone()], rows: vec![vec![(*number).into()]] }
            }
            Statement::Create { node, returned } => {
                graph.changes += 1;
                let times = match fault {
                    Some(Fault::LosesNodes) => 0,
                    Some(Fault::DoublesNodes) => 2,
                    Some(_) | None => 1,
                };
                (0..times).for_each(|_| graph.nodes.push(node.clone()));
                let columns = returned.iter().map(|returned| returned.column.clone()).collect();
                let row = |returned: &cypher::Returned| vec![property(node, &returned.property)];
                Table { columns, rows: returned.iter().map(row).collect() }
            }
            Statement::Find { node, returned, most } => {
                let is_blind = fault == Some(Fault::BoltShowsOthers) && door == Door::Bolt;
                let found = graph.nodes.iter().filter(|other| !is_blind && is_one(other, node)).take(*most);
                let value = |found: &Pattern| match fault {
                    Some(Fault::OtherValues) => Value::from("other"),
                    Some(_) | None => property(found, &returned.property),
                };
                Table { columns: vec![returned.column.clone()], rows: found.map(|found| vec![value(found)]).collect() }
            }
            Statement::Delete { node } => {
                if fault != Some(Fault::KeepsNodes) {
                    graph.nodes.retain(|other| !is_one(other, node));
                }
                graph.changes += 1;
                Table { columns: Vec::new(), rows: Vec::new() }
            }
        }
    }

    fn version(&self) -> &'static str {
        if self.faults.is(Fault::WrongVersion) { OLD_VERSION } else { VERSION }
    }

    /// What stands for all that has been changed so far.
    fn bookmark(&self) -> String {
        format!("FB:{:016x}", self.lock().changes)
    }

    fn lock(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_one(node: &Pattern, wanted: &Pattern) -> bool {
    let has = |(key, value): (&String, &Value)| node.properties.get(key) == Some(value);
    (wanted.label.is_none() || node.label == wanted.label) && wanted.properties.iter().all(has)
}

fn property(node: &Pattern, name: &str) -> Value {
    node.properties.get(name).cloned().unwrap_or_default()
}
