//! Bolt, as much of it as logs in and runs a statement ("Bolt Protocol", "Handshake" and "Message"): versions 5.0 to 5.8 and 4.4.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::packstream;
use super::{Login, Table, told};
use crate::checks::{Address, Obstacle};
use crate::probes::Site;
use crate::probes::reach::{Failure, Heard, Unmet};
use crate::tunnel::{Fate, Stream};

/// Bolt's own first bytes, and what is proposed: 5.8 and the eight before it, 4.4 alone.
const HELLO: [u8; 20] = [0x60, 0x60, 0xb0, 0x17, 0, 8, 8, 5, 0, 0, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0];

/// What whoever speaks HTTP begins an answer with.
const HTTP: [u8; 4] = *b"HTTP";

/// The most of one message, in bytes, and of the rows that are read.
const LARGEST: usize = 64 << 10;
const MOST: usize = 16;

/// Messages by their signatures.
mod is {
    pub(super) const HELLO: u8 = 0x01;
    pub(super) const GOODBYE: u8 = 0x02;
    pub(super) const RESET: u8 = 0x0f;
    pub(super) const RUN: u8 = 0x10;
    pub(super) const PULL: u8 = 0x3f;
    pub(super) const LOGON: u8 = 0x6a;
    pub(super) const SUCCESS: u8 = 0x70;
    pub(super) const RECORD: u8 = 0x71;
    pub(super) const FAILURE: u8 = 0x7f;
}

/// A connection of somebody who is in.
pub(super) struct Bolt {
    stream: Stream,
    fate: Fate,
    /// What it says is noted.
    heard: Heard,
    /// Who is at its other end: `bolt neo4j:7687`.
    who: String,
    database: String,
}

impl Bolt {
    /// Logs in, and has a statement run that anybody who is in may run.
    pub(super) async fn enter(at: &Address, login: &Login, database: &str, site: &Site<'_>) -> Result<Self, Failure> {
        let stream = site.dial(at).await?;
        let fate = stream.fate();
        let (heard, who, database) = (site.heard.clone(), format!("bolt {at}"), database.to_owned());
        let mut bolt = Self { stream, fate, heard, who, database };
        let version = bolt.agree().await?;
        bolt.log_in(version, login).await?;
        bolt.run(super::NOTHING, &json!({}), &[]).await?;
        Ok(bolt)
    }

    /// Agrees on a version, by its numbers.
    async fn agree(&mut self) -> Result<(u8, u8), Unmet> {
        self.send(&HELLO).await?;
        match self.some::<4>().await? {
            [0, 0, 0, 0] => Err(self.broke("speaks neither Bolt 5.0 to 5.8 nor 4.4")),
            HTTP => Err(self.broke("answered Bolt's handshake in HTTP")),
            [0, 0, minor, major @ (4 | 5)] => Ok((major, minor)),
            other => {
                let said = String::from_utf8_lossy(&other).into_owned();
                Err(self.broke(&format!("answered Bolt's handshake with {said:?}, which is no version")))
            }
        }
    }

    /// Says who we are: since 5.1 the program and the user in two messages.
    async fn log_in(&mut self, version: (u8, u8), login: &Login) -> Result<(), Failure> {
        let agent = concat!("seaworthy/", env!("CARGO_PKG_VERSION"));
        let mut hello = json!({ "user_agent": agent });
        let user = json!({ "scheme": "basic", "principal": login.user, "credentials": login.password });
        if version >= (5, 3) {
            hello["bolt_agent"] = json!({ "product": agent });
        }
        if version < (5, 1) {
            merge(&mut hello, &user);
            return self.ask(is::HELLO, &[hello]).await.map(drop);
        }
        self.ask(is::HELLO, &[hello]).await?;
        self.ask(is::LOGON, &[user]).await.map(drop)
    }

    /// Runs one statement that reads, as a transaction of its own, on a server that knows of what these bookmarks stand for.
    pub(super) async fn run(
        &mut self,
        statement: &str,
        parameters: &Value,
        bookmarks: &[String],
    ) -> Result<Table, Failure> {
        let extra = json!({ "mode": "r", "db": self.database, "bookmarks": bookmarks });
        let table = self.rows(&[statement.into(), parameters.clone(), extra]).await;
        if let Err(Failure::Said(_)) = &table {
            // What follows an error is ignored until this.
            self.ask(is::RESET, &[]).await?;
        }
        table
    }

    async fn rows(&mut self, run: &[Value]) -> Result<Table, Failure> {
        self.ask(is::RUN, run).await?;
        self.say(is::PULL, &[json!({ "n": -1 })]).await?;
        let mut table = Table::default();
        loop {
            match self.hear().await? {
                (is::RECORD, mut fields) if fields.len() == 1 && table.rows.len() < MOST => {
                    let Value::Array(row) = fields.remove(0) else { return Err(self.strange(is::RECORD).into()) };
                    table.rows.push(row);
                }
                answer => return self.done(answer).map(|_| table),
            }
        }
    }

    /// Leaves as one should; a server that does not listen is left all the same.
    pub(super) async fn leave(mut self) {
        self.say(is::GOODBYE, &[]).await.ok();
    }

    /// The answer to one message.
    async fn ask(&mut self, signature: u8, fields: &[Value]) -> Result<Value, Failure> {
        self.say(signature, fields).await?;
        let answer = self.hear().await?;
        self.done(answer)
    }

    fn done(&self, (signature, fields): (u8, Vec<Value>)) -> Result<Value, Failure> {
        let told_of = fields.into_iter().next().unwrap_or_default();
        match signature {
            is::SUCCESS => Ok(told_of),
            is::FAILURE => {
                // By another name since 5.7.
                let code =
                    told_of["neo4j_code"].as_str().or(told_of["code"].as_str()).unwrap_or("an error without a code");
                Err(Failure::Said(told(code, told_of["message"].as_str().unwrap_or_default())))
            }
            other => Err(self.strange(other).into()),
        }
    }

    async fn say(&mut self, signature: u8, fields: &[Value]) -> Result<(), Unmet> {
        let message = packstream::message(signature, fields);
        let mut bytes = Vec::with_capacity(message.len() + 4);
        for chunk in message.chunks(usize::from(u16::MAX)) {
            bytes.extend(u16::try_from(chunk.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend(chunk);
        }
        bytes.extend([0, 0]);
        self.send(&bytes).await
    }

    /// The next message.
    async fn hear(&mut self) -> Result<(u8, Vec<Value>), Unmet> {
        let mut message = Vec::new();
        loop {
            let length = usize::from(u16::from_be_bytes(self.some().await?));
            match length {
                // Nothing before an end is said now and again to keep the connection.
                0 if message.is_empty() => self.heard.note(),
                0 => break,
                _ if message.len() + length > LARGEST => {
                    let most = LARGEST >> 10;
                    return Err(self.broke(&format!("sent a message of more than {most} KiB")));
                }
                _ => {
                    let start = message.len();
                    message.resize(start + length, 0);
                    let read = self.stream.read_exact(&mut message[start..]).await;
                    read.map_err(|error| self.lost(&error))?;
                }
            }
        }
        self.heard.note();
        packstream::read(&message)
            .ok_or_else(|| self.broke("sent what is no message of Bolt, or a value not asked for"))
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Unmet> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| self.lost(&error))
    }

    async fn some<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Unmet> {
        let mut bytes = [0; COUNT];
        let read = self.stream.read_exact(&mut bytes).await;
        read.map_err(|error| self.lost(&error))?;
        self.heard.note();
        Ok(bytes)
    }

    fn lost(&self, error: &std::io::Error) -> Unmet {
        Unmet::broke(&self.fate, format!("{} gave no valid answer: {error}", self.who))
    }

    fn strange(&self, signature: u8) -> Unmet {
        self.broke(&format!("sent a message {signature:#04x} where none belongs"))
    }

    fn broke(&self, what: &str) -> Unmet {
        Unmet::Obstacle(Obstacle::Broke(format!("{} {what}", self.who)))
    }
}

fn merge(into: &mut Value, more: &Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more.clone());
    }
}
