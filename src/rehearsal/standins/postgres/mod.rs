//! A PostgreSQL server with databases, tables, transactions and a login.
//!
//! The protocol is version 3 (PostgreSQL documentation, "Frontend/Backend Protocol"); the words are those of
//! PostgreSQL 15. No library is used for the server's side: what a fault needs is to write half a message.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use self::replication::Links;
use self::scram::{Exchange, Verifier};
use self::session::Session;
use self::store::{Change, Tables, apply};
use self::wire::{Complaint, Fields, Out, Severity, body};
use super::switch::Switch;
use super::tls::Identity;

mod catalog;
#[cfg(test)]
pub(crate) mod conformance;
mod fault;
mod history;
mod replication;
mod run;
mod scram;
mod session;
mod sql;
mod store;
#[cfg(test)]
mod tests;
mod tokens;
mod visit;
mod wire;

pub(crate) use self::catalog::Setup;
pub(crate) use self::fault::Fault;
pub(crate) use self::history::History;
pub(crate) use self::visit::{Refusal, Visit};

/// What a server says under `wrong-version`: older than any that is still served.
const OLD: &str = "9.6.24";

/// The settings that a client is told at its login, and whenever they change.
const TOLD: &[&str] = &[
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// Requests that come in place of a login: the numbers stand where the protocol's version would.
const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

/// What a server is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Under which name it follows another.
    pub(crate) name: String,
    /// Its version as `SHOW server_version` says it: `15.14 (Debian 15.14-1.pgdg12+1)`.
    pub(crate) version: String,
    /// Who may log in.
    pub(crate) users: Vec<User>,
    /// The databases there are.
    pub(crate) databases: Vec<String>,
    /// Whether passwords are asked for; otherwise every user there is is let in.
    pub(crate) asks_password: bool,
    /// Whether it is a replica.
    pub(crate) is_in_recovery: bool,
    /// What is there beside that.
    pub(crate) setup: Setup,
    /// Its certificate, where it offers TLS.
    pub(crate) tls: Option<Arc<Identity>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "walreceiver".to_owned(),
            version: "15.14 (Debian 15.14-1.pgdg12+1)".to_owned(),
            users: Vec::new(),
            databases: vec!["postgres".to_owned()],
            asks_password: true,
            is_in_recovery: false,
            setup: Setup::default(),
            tls: None,
        }
    }
}

/// Who may log in.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// Its name.
    pub(crate) name: String,
    /// Its password.
    pub(crate) password: String,
}

/// A PostgreSQL server.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    verifiers: BTreeMap<String, Verifier>,
    faults: Switch<Fault>,
    databases: Mutex<BTreeMap<String, Tables>>,
    links: Mutex<Links>,
    connections: AtomicU32,
    /// When it was started.
    born: Timestamp,
}

/// A connection, whatever it is made of.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Who wants in, and to what.
#[derive(Debug)]
struct Login {
    user: String,
    database: String,
    /// What the client wants to be set.
    settings: Vec<(String, String)>,
}

impl Server {
    /// A server in order, without tables.
    pub(crate) fn new(config: Config) -> Self {
        let verifier = |user: &User| (user.name.clone(), Verifier::of(&user.password));
        let verifiers = config.users.iter().map(verifier).collect();
        let names = config.databases.iter().chain(&config.setup.databases);
        let databases = names.map(|name| (name.clone(), Tables::new())).collect();
        Self {
            config,
            verifiers,
            faults: Switch::off(),
            databases: Mutex::new(databases),
            links: Mutex::default(),
            connections: AtomicU32::new(0),
            born: Timestamp::now(),
        }
    }

    /// Switches a fault on, or off what is on.
    pub(crate) fn inject(&self, fault: Option<Fault>) {
        self.faults.turn(fault);
    }

    /// The names of the tables of a database.
    pub(crate) fn tables(&self, database: &str) -> Vec<String> {
        self.committed(database).into_keys().collect()
    }

    /// Makes an empty database, unless it is there.
    pub(crate) fn create(&self, database: &str) {
        self.lock().entry(database.to_owned()).or_default();
    }

    /// Takes over what has been committed to another one.
    pub(crate) fn inherit(&self, other: &Self) {
        let inherited = other.lock().clone();
        *self.lock() = inherited;
    }

    /// Serves one connection until either side ends it.
    ///
    /// # Errors
    /// The stream's own, and messages that are none.
    pub(crate) async fn serve<S>(&self, stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if self.faults.is(Fault::NotPostgres) {
            return super::speak_http(stream).await;
        }
        let (mut stream, login) = self.startup(Box::new(stream)).await?;
        let Some(login) = login else { return stream.shutdown().await };
        if let Err(refusal) = self.let_in(&mut stream, &login).await? {
            return refuse(&mut stream, &refusal).await;
        }
        self.greet(&mut stream, &login).await?;
        let mut session = Session::new(self, login);
        loop {
            let kind = match stream.read_u8().await {
                Ok(kind) => kind,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return stream.shutdown().await,
                Err(error) => return Err(error),
            };
            let body = body(&mut stream).await?;
            self.faults.outlast(Fault::Hangs).await;
            let mut out = Out::default();
            let goes_on = session.answer(kind, &body, &mut out);
            if self.is_stopped() {
                // Whether that was committed nobody learns any more.
                return Ok(());
            }
            let Out(bytes) = out;
            if self.faults.is(Fault::ClosesMidReply) {
                stream.write_all(&bytes[..bytes.len() / 2]).await?;
                return stream.shutdown().await;
            }
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            if !goes_on {
                return stream.shutdown().await;
            }
        }
    }

    /// Reads who wants in, over TLS where it is asked for and offered; `None` where nobody does.
    async fn startup<'s>(&self, mut stream: Box<dyn Duplex + 's>) -> io::Result<(Box<dyn Duplex + 's>, Option<Login>)> {
        loop {
            let packet = match body(&mut stream).await {
                Ok(packet) => packet,
                // A look whether the port is open, or nonsense: neither gets a word.
                Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) => {
                    return Ok((stream, None));
                }
                Err(error) => return Err(error),
            };
            self.faults.outlast(Fault::Hangs).await;
            let mut fields = Fields(&packet);
            match (fields.long(), self.config.tls.as_deref().filter(|tls| tls.is_on())) {
                (Ok(SSL), Some(tls)) => {
                    stream.write_all(b"S").await?;
                    stream.flush().await?;
                    stream = Box::new(tls.accept(stream).await?);
                }
                (Ok(SSL | GSS), _) => {
                    stream.write_all(b"N").await?;
                    stream.flush().await?;
                }
                (Ok(CANCEL) | Err(_), _) => return Ok((stream, None)),
                (Ok(version), _) => {
                    let login = answer_login(&mut stream, version, &mut fields).await?;
                    return Ok((stream, login));
                }
            }
        }
    }

    /// Whether a login succeeds; the inner error is what the server says where it does not.
    async fn let_in<S>(&self, stream: &mut S, login: &Login) -> io::Result<Result<(), Complaint>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Err(refusal) = self.receives() {
            return Ok(Err(refusal));
        }
        let asks = self.config.asks_password && !self.faults.is(Fault::NoPassword);
        let user = &login.user;
        let is_proven = match (asks, self.faults.is(Fault::AcceptsAnyPassword)) {
            (false, _) => true,
            (true, true) => {
                // Only the right password can be proven to a client: any password must come in the clear.
                ask(stream, 3, &[]).await?;
                read_password(stream).await?;
                true
            }
            (true, false) => match self.prove(stream, user).await? {
                Ok(is_proven) => is_proven,
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        if !is_proven || (asks && self.faults.is(Fault::RejectsLogin)) {
            return Ok(Err(wrong_password(user)));
        }
        let lets_anyone_in = matches!(self.faults.on(), Some(Fault::AcceptsAnyPassword | Fault::NoPassword));
        if !lets_anyone_in && !self.verifiers.contains_key(user) {
            return Ok(Err(Complaint::new("28000", format!("role \"{user}\" does not exist"))));
        }
        ask(stream, 0, &[]).await?;
        Ok(self.has(&login.database))
    }

    /// Whether anybody is let in at all by now.
    fn receives(&self) -> Result<(), Complaint> {
        match self.faults.on() {
            Some(Fault::StartingUp) => Err(Complaint::new("57P03", "the database system is starting up")),
            Some(Fault::TooManyConnections) => Err(Complaint::new("53300", "sorry, too many clients already")),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether there is a database.
    fn has(&self, database: &str) -> Result<(), Complaint> {
        let is_there = !self.faults.is(Fault::NoDatabase) && self.lock().contains_key(database);
        let missing = || Complaint::new("3D000", format!("database \"{database}\" does not exist"));
        is_there.then_some(()).ok_or_else(missing)
    }

    /// SCRAM-SHA-256, as far as the client's proof. Who is not known is asked as well, and never right.
    async fn prove<S>(&self, stream: &mut S, user: &str) -> io::Result<Result<bool, Complaint>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        const METHOD: &str = "SCRAM-SHA-256";
        ask(stream, 10, format!("{METHOD}\0\0").as_bytes()).await?;
        let first = read_password(stream).await?;
        let mut fields = Fields(&first);
        let (method, first) = match (fields.text(), fields.long()) {
            (Ok(method), Ok(_)) => (method, String::from_utf8_lossy(fields.0).into_owned()),
            (Err(refusal), _) | (_, Err(refusal)) => return Ok(Err(refusal)),
        };
        if method != METHOD {
            let words = "client selected an invalid SASL authentication mechanism";
            return Ok(Err(Complaint::new("08P01", words)));
        }
        let verifier = self.verifiers.get(user).cloned().unwrap_or_else(|| Verifier::of(&first));
        let Some((exchange, answer)) = Exchange::begin(&verifier, &first) else {
            return Ok(Err(Complaint::new("08P01", "malformed SCRAM message")));
        };
        ask(stream, 11, answer.as_bytes()).await?;
        let last = read_password(stream).await?;
        let proof = exchange.finish(&String::from_utf8_lossy(&last));
        match proof.filter(|_| !self.faults.is(Fault::RejectsLogin)) {
            Some(proof) => {
                ask(stream, 12, proof.as_bytes()).await?;
                Ok(Ok(true))
            }
            None => Ok(Ok(false)),
        }
    }

    async fn greet<S: AsyncWrite + Unpin>(&self, stream: &mut S, login: &Login) -> io::Result<()> {
        let mut out = Out::default();
        for (name, value) in self.settings(&login.user) {
            let wanted = login.settings.iter().find(|(wanted, _)| wanted.eq_ignore_ascii_case(&name));
            if TOLD.contains(&name.as_str()) {
                out.parameter(&name, wanted.map_or(&value, |(_, value)| value));
            }
        }
        let process = self.connections.fetch_add(1, Ordering::Relaxed) + 100;
        out.message(b'K', &[process.to_be_bytes(), process.wrapping_mul(2_654_435_761).to_be_bytes()].concat());
        out.ready(b'I');
        stream.write_all(&out.0).await?;
        stream.flush().await
    }

    /// All settings by their right names.
    fn settings(&self, user: &str) -> Vec<(String, String)> {
        let read_only = if self.is_read_only() { "on" } else { "off" };
        let standby = if self.is_in_recovery() { "on" } else { "off" };
        let first = self.config.users.first().is_some_and(|first| first.name == user);
        let version = self.version();
        let number = version_number(&version);
        [
            ("application_name", ""),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO, MDY"),
            ("default_transaction_read_only", if self.is_in_recovery() { "off" } else { read_only }),
            ("transaction_read_only", read_only),
            ("in_hot_standby", standby),
            ("integer_datetimes", "on"),
            ("IntervalStyle", "postgres"),
            // The image makes the first user one.
            ("is_superuser", if first { "on" } else { "off" }),
            ("max_connections", "100"),
            ("search_path", "\"$user\", public"),
            ("server_encoding", "UTF8"),
            ("server_version", version.as_str()),
            ("server_version_num", number.as_str()),
            ("session_authorization", user),
            ("standard_conforming_strings", "on"),
            ("statement_timeout", "0"),
            ("synchronous_commit", "on"),
            ("TimeZone", "Etc/UTC"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn version(&self) -> String {
        if self.faults.is(Fault::WrongVersion) { OLD.to_owned() } else { self.config.version.clone() }
    }

    fn is_in_recovery(&self) -> bool {
        match self.faults.on() {
            Some(Fault::InRecovery) => true,
            Some(Fault::Promoted) => false,
            Some(_) | None => self.config.is_in_recovery && !self.leads(),
        }
    }

    fn is_read_only(&self) -> bool {
        self.is_in_recovery() || self.faults.is(Fault::ReadOnly)
    }

    fn committed(&self, database: &str) -> Tables {
        self.settle();
        self.lock().get(database).cloned().unwrap_or_default()
    }

    fn keep<'c>(&self, database: &str, changes: impl Iterator<Item = &'c Change>) {
        let mut databases = self.lock();
        // Looked at under the lock under which it stops: what comes later would be on no replica.
        if self.is_stopped() {
            return;
        }
        if let Some(tables) = databases.get_mut(database) {
            for change in changes {
                apply(tables, change);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Tables>> {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wrong_password(user: &str) -> Complaint {
    Complaint::new("28P01", format!("password authentication failed for user \"{user}\""))
}

/// A version as one number: 15.14 is 150014, and 9.6.24 is 90624.
fn version_number(version: &str) -> String {
    let short = version.split(' ').next().unwrap_or_default();
    let mut parts = short.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (first, second, third) = (parts.next(), parts.next(), parts.next());
    let (first, second) = (first.unwrap_or(0), second.unwrap_or(0));
    third.map_or(first * 10_000 + second, |third| first * 10_000 + second * 100 + third).to_string()
}

/// What is said to who wants to log in in a version of the protocol; `None` where that cannot be.
async fn answer_login<S>(stream: &mut S, version: u32, fields: &mut Fields<'_>) -> io::Result<Option<Login>>
where
    S: AsyncWrite + Unpin,
{
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != 3 {
        let words = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0");
        // In the form that clients of the versions before 3 understand: a text without fields.
        stream.write_all(format!("EFATAL:  {words}\n\0").as_bytes()).await?;
        return Ok(None);
    }
    match read_login(fields) {
        Ok(login) if minor == 0 => Ok(Some(login)),
        Ok(login) => {
            // A newer client is told to speak as of 3.0, and that nothing else was not understood.
            let mut out = Out::default();
            out.message(b'v', &[0, 3, 0, 0, 0, 0, 0, 0]);
            stream.write_all(&out.0).await?;
            Ok(Some(login))
        }
        Err(refusal) => {
            refuse(stream, &refusal).await?;
            Ok(None)
        }
    }
}

/// The settings of a startup message: names and values, and an empty name at the end.
fn read_login(fields: &mut Fields<'_>) -> Result<Login, Complaint> {
    let mut settings = Vec::new();
    let cut = |_| Complaint::new("08P01", "invalid startup packet layout: expected terminator as last byte");
    loop {
        let name = fields.text().map_err(cut)?;
        if name.is_empty() {
            break;
        }
        settings.push((name, fields.text().map_err(cut)?));
    }
    let value = |wanted: &str| settings.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let Some(user) = value("user").filter(|user| !user.is_empty()) else {
        return Err(Complaint::new("28000", "no PostgreSQL user name specified in startup packet"));
    };
    let database = value("database").filter(|database| !database.is_empty()).unwrap_or_else(|| user.clone());
    Ok(Login { user, database, settings })
}

/// Sends an authentication request.
async fn ask<S: AsyncWrite + Unpin>(stream: &mut S, kind: u32, data: &[u8]) -> io::Result<()> {
    let mut out = Out::default();
    out.authentication(kind, data);
    stream.write_all(&out.0).await?;
    stream.flush().await
}

/// Reads what answers one: all of them have the same letter.
async fn read_password<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    if stream.read_u8().await? != b'p' {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "expected a password"));
    }
    body(stream).await
}

async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, refusal: &Complaint) -> io::Result<()> {
    let mut out = Out::default();
    out.complain(Severity::Fatal, refusal);
    stream.write_all(&out.0).await?;
    stream.shutdown().await
}
