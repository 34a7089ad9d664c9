//! A Redis server: alone, leading, following, or a Sentinel that watches others.
//!
//! Replies and error words are those of Redis 7 (`src/server.c`, `acl.c`, `replication.c`, `sentinel.c` at 7.0).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::Instant;

use self::commands::{Session, Then};
use self::keys::{Keys, Log};
use self::resp::{Protocol, Reply};
use self::sentinel::Watched;
use super::switch::Switch;

mod commands;
#[cfg(test)]
pub(crate) mod conformance;
mod data;
mod fault;
mod info;
mod keys;
mod replication;
mod resp;
mod sentinel;
#[cfg(test)]
mod tests;

pub(crate) use self::fault::Fault;

/// What a server is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Its version: `7.0.15`.
    pub(crate) version: String,
    /// The password of the user `default`; without one anybody is let in.
    pub(crate) password: Option<String>,
    /// Users besides `default`.
    pub(crate) users: Vec<User>,
    /// The address at which others know it.
    pub(crate) ip: String,
    /// The port at which others know it.
    pub(crate) port: u16,
    /// How long a write takes to a server that follows.
    pub(crate) lag: Duration,
    /// Whether it is a Sentinel, which keeps no keys.
    pub(crate) sentinel: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: "7.0.15".to_owned(),
            password: None,
            users: Vec::new(),
            ip: "127.0.0.1".to_owned(),
            port: 6379,
            lag: Duration::from_millis(5),
            sentinel: false,
        }
    }
}

/// A user that is not `default`.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// Its name.
    pub(crate) name: String,
    /// Its password.
    pub(crate) password: String,
    /// The commands that it may not run, in lower case.
    pub(crate) denied: Vec<String>,
}

/// One server, whatever its role.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    /// Its run id and replication id: 40 hexadecimal digits.
    run_id: String,
    started: Instant,
    faults: Switch<Fault>,
    stopped: watch::Sender<bool>,
    clients: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Keys,
    /// What it has written, for those that follow it.
    log: Log,
    /// Of a server that follows: whom, and how far.
    link: Option<Link>,
    /// Servers that have followed it; some may have left since.
    replicas: Vec<Weak<Server>>,
    /// Of a Sentinel: the masters that it watches.
    watched: Vec<Watched>,
    /// Since when it is stopped.
    stopped: Option<Instant>,
}

/// A server's way to its master.
#[derive(Clone, Debug)]
struct Link {
    master: Weak<Server>,
    /// The master's run id.
    id: String,
    ip: String,
    port: u16,
    lag: Duration,
    log: Log,
    /// How many changes of the log have been applied.
    applied: usize,
}

impl Server {
    /// A server in order, without keys, that leads.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            run_id: hex(40),
            started: Instant::now(),
            faults: Switch::off(),
            stopped: watch::Sender::new(false),
            clients: AtomicI64::new(0),
            state: Mutex::default(),
        }
    }

    /// Switches a fault on, or off what is on.
    pub(crate) fn inject(&self, fault: Option<Fault>) {
        self.faults.turn(fault);
    }

    /// Ends every connection and answers no more. Servers that follow it see that it is gone.
    pub(crate) fn stop(&self) {
        self.state().stopped.get_or_insert_with(Instant::now);
        self.stopped.send_replace(true);
    }

    /// Whether it has been stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// The value of a key of the first database, as it is kept.
    #[cfg(test)]
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.settle();
        self.state().keys.get(0, key.as_bytes(), Instant::now()).map(|entry| entry.value.clone())
    }

    /// Serves one connection until either side ends it, or the server is stopped.
    ///
    /// # Errors
    /// The stream's own.
    pub(crate) async fn serve<S>(&self, mut stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut stopped = self.stopped.subscribe();
        let talk = async {
            if self.faults.is(Fault::NotRedis) {
                return super::speak_http(&mut stream).await;
            }
            self.talk(&mut stream).await
        };
        tokio::select! {
            ended = talk => ended,
            _ = stopped.wait_for(|stopped| *stopped) => Ok(()),
        }
    }

    async fn talk<S>(&self, stream: &mut S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut session = Session::new(self.clients.fetch_add(1, Ordering::Relaxed) + 1);
        let mut heard = Vec::new();
        loop {
            let (request, length) = match resp::parse(&heard) {
                Ok(Some(whole)) => whole,
                Ok(None) if stream.read_buf(&mut heard).await? == 0 => return stream.shutdown().await,
                Ok(None) => continue,
                Err(words) => {
                    stream.write_all(&Reply::error(words).encode(Protocol::Resp2)).await?;
                    return stream.shutdown().await;
                }
            };
            heard.drain(..length);
            if request.is_empty() {
                continue;
            }
            self.faults.outlast(Fault::Hangs).await;
            let then = self.answer(&mut session, &request);
            let (reply, ends) = match then {
                Then::Reply(reply) => (reply, false),
                Then::Last(reply) => (reply, true),
                Then::Close => return stream.shutdown().await,
                Then::Wait { replicas, longest } => (self.wait(replicas, longest).await, false),
            };
            let bytes = reply.encode(session.protocol);
            if self.faults.is(Fault::ClosesMidReply) {
                stream.write_all(&bytes[..bytes.len() / 2]).await?;
                return stream.shutdown().await;
            }
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            if ends {
                return stream.shutdown().await;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many random hexadecimal digits.
fn hex(digits: usize) -> String {
    // The standard library seeds each of these anew from the system's randomness.
    let mut text = String::new();
    while text.len() < digits {
        text.push_str(&format!("{:016x}", RandomState::new().build_hasher().finish()));
    }
    text.truncate(digits);
    text
}
