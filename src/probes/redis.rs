//! Twin of `checks/redis.rs`.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisConnectionInfo, RedisError, cmd};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::reach::{Unmet, silent};
use super::{Site, Unseen, credential, token};
use crate::checks::{Address, Redis, RedisAnswer, RedisFacts, RedisInfo, RedisRole, Replicated, Written};
use crate::tunnel::Fate;

/// A key of ours goes away by itself, should the run end before it is removed.
const KEY_LIVES_SECONDS: u64 = 60;

/// How long a written key may take to appear on a replica, and how often it is asked for: a replica cannot be watched.
const REPLICATES: Duration = Duration::from_secs(5);
const ASK_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn observe(claim: &Redis, site: &Site<'_>) -> Result<RedisAnswer, Unseen> {
    let silence = || RedisAnswer::Unmet(silent("redis", &claim.at));
    let seen = site.hearing(claim, silence, visit(claim, site)).await;
    seen.or_else(|unmet| unmet.answer(RedisAnswer::Unmet))
}

async fn visit(claim: &Redis, site: &Site<'_>) -> Result<RedisAnswer, Unmet> {
    let password = credential::resolve_any(claim.password.as_ref(), site).await?;
    let login = Login { user: claim.user.as_deref(), password: password.as_deref() };
    let mut server = match Server::enter(&claim.at, &login, site).await? {
        Ok(server) => server,
        Err(Refusal { command, error }) => return Ok(RedisAnswer::Refused { command, error }),
    };
    let info = server.ask::<String>(&cmd("INFO")).await?.and_then(|text| read_info(&text));
    let mut facts = RedisFacts { info, written: None, replicated: None };
    if claim.writes {
        let key = format!("seaworthy:{}:{}", site.prober.run, token());
        let written = server.write(&key).await?;
        if let (Written::Kept, Some(replica)) = (&written, &claim.replica) {
            facts.replicated = Some(follow(replica, &login, &key, site).await?);
        }
        facts.written = Some(written);
        // A user who may not delete has left a key that goes away by itself.
        server.ask::<redis::Value>(cmd("DEL").arg(&key)).await?.ok();
    }
    Ok(RedisAnswer::Open(facts))
}

struct Login<'a> {
    user: Option<&'a str>,
    password: Option<&'a str>,
}

struct Refusal {
    command: String,
    error: String,
}

/// A server that let us in. Its connection ends when it is dropped.
struct Server<'a> {
    at: &'a Address,
    connection: MultiplexedConnection,
    fate: Fate,
    _driver: AbortOnDropHandle<()>,
}

impl<'a> Server<'a> {
    /// Logs in where there is a password, and asks for a PONG.
    async fn enter(at: &'a Address, login: &Login<'_>, site: &Site<'_>) -> Result<Result<Self, Refusal>, Unmet> {
        let stream = site.dial(at).await?;
        let fate = stream.fate();
        // Nothing is asked while connecting, so that each refusal arrives in the server's own words. The look is
        // bounded as a whole.
        let bare = RedisConnectionInfo::default().set_skip_set_lib_name();
        let unbounded = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&bare, stream, unbounded)
            .await
            .map_err(|error| broke(at, &fate, &error))?;
        let mut server = Self { at, connection, fate, _driver: AbortOnDropHandle::new(tokio::spawn(driver)) };
        if let Some(password) = login.password {
            let mut auth = cmd("AUTH");
            if let Some(user) = login.user {
                auth.arg(user);
            }
            if let Err(error) = server.ask::<redis::Value>(auth.arg(password)).await? {
                return Ok(Err(Refusal { command: "AUTH".to_owned(), error }));
            }
        }
        match server.ask::<redis::Value>(&cmd("PING")).await? {
            Ok(_) => Ok(Ok(server)),
            Err(error) => Ok(Err(Refusal { command: "PING".to_owned(), error })),
        }
    }

    /// One command. The inner error is the server's: its code, then its words.
    async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<Result<T, String>, Unmet> {
        match command.query_async(&mut self.connection).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) => match error.kind() {
                ErrorKind::Server(_) | ErrorKind::Extension => Ok(Err(server_words(&error))),
                _ => Err(broke(self.at, &self.fate, &error)),
            },
        }
    }

    /// Writes a key and reads it back.
    async fn write(&mut self, key: &str) -> Result<Written, Unmet> {
        let mut set = cmd("SET");
        set.arg(key).arg(key).arg("EX").arg(KEY_LIVES_SECONDS);
        if let Err(error) = self.ask::<redis::Value>(&set).await? {
            return Ok(Written::Refused(error));
        }
        Ok(match self.ask::<Option<String>>(cmd("GET").arg(key)).await? {
            Ok(Some(found)) if found == key => Written::Kept,
            Ok(Some(_)) => Written::Lost("another value".to_owned()),
            Ok(None) => Written::Lost("no such key".to_owned()),
            Err(error) => Written::Lost(format!("an error in place of the key: {error}")),
        })
    }
}

/// Waits for a key on a replica.
async fn follow(at: &Address, login: &Login<'_>, key: &str, site: &Site<'_>) -> Result<Replicated, Unmet> {
    let mut server = match Server::enter(at, login, site).await {
        Ok(Ok(server)) => server,
        Ok(Err(Refusal { error, .. })) => return Ok(Replicated::Refused(error)),
        Err(Unmet::Obstacle(obstacle)) => return Ok(Replicated::Unmet(obstacle)),
        Err(unseen) => return Err(unseen),
    };
    let since = Instant::now();
    loop {
        match server.ask::<Option<String>>(cmd("GET").arg(key)).await? {
            Ok(Some(found)) if found == key => return Ok(Replicated::Appeared),
            Ok(_) if since.elapsed() < REPLICATES => sleep(ASK_EVERY).await,
            Ok(_) => return Ok(Replicated::Absent { after_ms: whole_millis(since.elapsed()) }),
            Err(error) => return Ok(Replicated::Refused(error)),
        }
    }
}

/// What `INFO` says, from its text of `name:value` lines.
fn read_info(text: &str) -> Result<RedisInfo, String> {
    let field = |wanted: &str| {
        text.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    let role = match field("role") {
        Some("master") => RedisRole::Master,
        Some("slave") => RedisRole::Replica,
        other => return Err(format!("an INFO whose role is {other:?}")),
    };
    // `slave0:ip=10.0.0.2,port=6379,state=online,offset=42,lag=0`; other fields that begin so have no number.
    let is_replica = |name: &str| name.strip_prefix("slave").is_some_and(|n| n.parse::<u32>().is_ok());
    let replicas: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| is_replica(name))
        .map(|(_, state)| state)
        .collect();
    let online = replicas.iter().filter(|state| state.split(',').any(|part| part == "state=online")).count();
    Ok(RedisInfo {
        version: field("redis_version").unwrap_or("unknown").to_owned(),
        role,
        link_up: field("master_link_status") == Some("up"),
        online: u32::try_from(online).unwrap_or(u32::MAX),
        attached: u32::try_from(replicas.len()).unwrap_or(u32::MAX),
    })
}

fn server_words(error: &RedisError) -> String {
    let code = error.code().unwrap_or("ERR");
    error.detail().map_or_else(|| code.to_owned(), |detail| format!("{code} {detail}"))
}

fn broke(at: &Address, fate: &Fate, error: &RedisError) -> Unmet {
    let words = match error.kind() {
        ErrorKind::Io => format!("redis {at} broke off: {error}"),
        _ => format!("redis {at} does not speak the Redis protocol: {error}"),
    };
    Unmet::broke(fate, words)
}

fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
