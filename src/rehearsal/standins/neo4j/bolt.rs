//! Its Bolt: 5.0 to 5.8 and 4.4, logins, and statements as transactions of their own.

use std::io;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::error::Error;
use super::packstream::{self, Message};
use super::{Asked, Door, Fault, Server, Table};

/// What whoever speaks Bolt says first.
pub(super) const MAGIC: [u8; 4] = [0x60, 0x60, 0xb0, 0x17];

/// The newest of each line that is spoken, and the oldest.
const SPOKEN: [(u8, u8, u8); 2] = [(5, 8, 0), (4, 4, 4)];

const HELLO: u8 = 0x01;
const GOODBYE: u8 = 0x02;
const RESET: u8 = 0x0f;
const RUN: u8 = 0x10;
const DISCARD: u8 = 0x2f;
const PULL: u8 = 0x3f;
const LOGON: u8 = 0x6a;
const SUCCESS: u8 = 0x70;
const RECORD: u8 = 0x71;
const IGNORED: u8 = 0x7e;
const FAILURE: u8 = 0x7f;

/// How far a conversation is.
enum State {
    /// Nothing has been said.
    New,
    /// It has been told who the program is, not yet who its user.
    Stranger,
    /// Somebody is in.
    Ready,
    /// There are rows to be fetched.
    Streaming(Table),
    /// An error was told, and nothing is done until it is taken note of.
    Failed,
}

/// What comes of a message: the answers, and whether that was the last of them.
struct Done {
    answers: Vec<Message>,
    ends: bool,
}

impl Done {
    fn going_on(answers: Vec<Message>) -> Self {
        Self { answers, ends: false }
    }
}

impl Server {
    pub(super) async fn serve_bolt<S>(&self, mut stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if self.faults.is(Fault::BoltSpeaksHttp) {
            return super::super::speak_http(stream).await;
        }
        let mut proposed = [0; 20];
        stream.read_exact(&mut proposed).await?;
        self.faults.outlast(Fault::BoltHangs).await;
        let version = match self.faults.is(Fault::OldBolt) {
            true => None,
            false => proposed[4..].chunks(4).find_map(agreed),
        };
        let (major, minor) = version.unwrap_or((0, 0));
        stream.write_all(&[0, 0, minor, major]).await?;
        if version.is_none() {
            return stream.shutdown().await;
        }
        let mut state = State::New;
        loop {
            let message = heard(&mut stream).await?;
            self.faults.outlast(Fault::BoltHangs).await;
            self.faults.outlast(Fault::Hangs).await;
            let done = self.react((major, minor), message, &mut state);
            for answer in &done.answers {
                let bytes = packstream::written(answer);
                let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
                stream.write_all(&length.to_be_bytes()).await?;
                stream.write_all(&bytes).await?;
                stream.write_all(&[0, 0]).await?;
            }
            stream.flush().await?;
            if done.ends {
                return stream.shutdown().await;
            }
        }
    }

    fn react(&self, version: (u8, u8), (signature, fields): Message, state: &mut State) -> Done {
        let field = |at: usize| fields.get(at).cloned().unwrap_or_default();
        match (&*state, signature) {
            (_, GOODBYE) => Done { answers: Vec::new(), ends: true },
            (State::New, HELLO) => self.hello(version, &field(0), state),
            (State::Stranger, LOGON) => self.log_in(version, &field(0), json!({}), state),
            (State::Ready | State::Streaming(_) | State::Failed, RESET) => {
                *state = State::Ready;
                Done::going_on(vec![success(json!({}))])
            }
            (State::Failed, _) => Done::going_on(vec![(IGNORED, Vec::new())]),
            (State::Ready, RUN) => {
                let (answer, next) = self.statement(version, &field(0), &field(1), &field(2));
                *state = next;
                Done::going_on(vec![answer])
            }
            (State::Streaming(table), PULL | DISCARD) => {
                let rows = table.rows.iter().filter(|_| signature == PULL);
                let mut answers: Vec<Message> = rows.map(|row| (RECORD, vec![row.clone().into()])).collect();
                answers.push(success(json!({ "bookmark": self.bookmark(), "type": "r", "db": self.config.database })));
                *state = State::Ready;
                Done::going_on(answers)
            }
            (State::New | State::Stranger | State::Ready | State::Streaming(_), _) => {
                let words = format!("Message of type {signature:#04x} cannot be handled by a session in this state.");
                Done { answers: vec![failure(version, &Error::invalid(400, words), "")], ends: true }
            }
        }
    }

    fn hello(&self, version: (u8, u8), told: &Value, state: &mut State) -> Done {
        let hints = json!({ "connection.recv_timeout_seconds": 120 });
        let server = format!("Neo4j/{}", self.version());
        let about = json!({ "server": server, "connection_id": "bolt-1", "hints": hints });
        if version >= (5, 3) && !told["bolt_agent"].is_object() {
            let words = "Illegal value for field \"bolt_agent\": Must be a map with string keys and string values.";
            return Done { answers: vec![failure(version, &Error::invalid(400, words), "")], ends: true };
        }
        if version < (5, 1) {
            return self.log_in(version, told, about, state);
        }
        *state = State::Stranger;
        Done::going_on(vec![success(about)])
    }

    fn log_in(&self, version: (u8, u8), told: &Value, about: Value, state: &mut State) -> Done {
        let of = |key: &str| told[key].as_str().unwrap_or_default();
        match self.let_in(Door::Bolt, of("principal"), of("credentials")) {
            Ok(()) => {
                *state = State::Ready;
                Done::going_on(vec![success(about)])
            }
            Err(error) => Done { answers: vec![failure(version, &error, "")], ends: true },
        }
    }

    fn statement(&self, version: (u8, u8), text: &Value, parameters: &Value, extra: &Value) -> (Message, State) {
        let none = Map::new();
        let database = extra["db"].as_str().unwrap_or(&self.config.database);
        let asked = Asked {
            door: Door::Bolt,
            database,
            text: text.as_str().unwrap_or_default(),
            parameters: parameters.as_object().unwrap_or(&none),
            reads: extra["mode"] == "r",
        };
        match self.run(&asked) {
            Ok(table) => (success(json!({ "t_first": 1, "fields": table.columns })), State::Streaming(table)),
            Err(error) => (failure(version, &error, database), State::Failed),
        }
    }
}

fn success(told: Value) -> Message {
    (SUCCESS, vec![told])
}

/// By the name that its code has in this version.
fn failure(version: (u8, u8), error: &Error, database: &str) -> Message {
    let words = error.bolt_words(database);
    let told = match version >= (5, 7) {
        true => json!({ "neo4j_code": error.code, "message": words, "gql_status": "50N42" }),
        false => json!({ "code": error.code, "message": words }),
    };
    (FAILURE, vec![told])
}

/// The newest version that one proposal and this server have in common: `[0, how many before it, minor, major]`.
fn agreed(proposal: &[u8]) -> Option<(u8, u8)> {
    let &[0, range, minor, major] = proposal else { return None };
    let (_, newest, oldest) = SPOKEN.into_iter().find(|(spoken, ..)| *spoken == major)?;
    let best = minor.min(newest);
    (best >= minor.saturating_sub(range) && best >= oldest).then_some((major, best))
}

/// The next message.
async fn heard<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Message> {
    let mut message = Vec::new();
    loop {
        let length = usize::from(stream.read_u16().await?);
        if length == 0 && !message.is_empty() {
            return packstream::read(message).ok_or_else(|| io::Error::other("no message"));
        }
        let start = message.len();
        message.resize(start + length, 0);
        stream.read_exact(&mut message[start..]).await?;
    }
}
