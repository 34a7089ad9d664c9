//! Twin of `checks/redis.rs`.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisConnectionInfo, RedisError, cmd};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::channel::Tls;
use super::http::host_name;
use super::reach::{Unmet, silent};
use super::replica::{ASK_EVERY, Follower, whole_millis};
use super::{Site, Unseen, credential, token};
use crate::checks::{Address, Redis, RedisAnswer, RedisFacts, RedisInfo, RedisRole, Replicated, Written};
use crate::tunnel::Fate;

/// A key of ours goes away by itself, should the run end before it is removed.
const KEY_LIVES_SECONDS: u64 = 60;

/// How long a written key may take to appear on a replica.
const REPLICATES: Duration = Duration::from_secs(5);

pub(super) async fn observe(claim: &Redis, site: &Site<'_>) -> Result<RedisAnswer, Unseen> {
    let follower = Follower::default();
    let silence = || {
        let facts = claim.replica.as_ref().and_then(|replica| {
            let (facts, replicated) = follower.unanswered(|| silent("redis", replica))?;
            Some(RedisFacts { replicated: Some(replicated), ..facts })
        });
        facts.map_or_else(|| RedisAnswer::Unmet(silent("redis", &claim.at)), RedisAnswer::Open)
    };
    let seen = site.hearing(claim, silence, visit(claim, site, &follower)).await;
    seen.or_else(|unmet| unmet.answer(RedisAnswer::Unmet))
}

async fn visit(claim: &Redis, site: &Site<'_>, follower: &Follower<RedisFacts>) -> Result<RedisAnswer, Unmet> {
    let password = credential::resolve_any(claim.password.as_ref(), site).await?;
    let tls = Tls::of(claim.tls.as_ref(), site).await?;
    let login = Login { user: claim.user.as_deref(), password: password.as_deref(), tls };
    let name = host_name(&claim.at, site.namespace());
    let mut server = match Server::enter(&claim.at, &name, &login, site).await? {
        Ok(server) => server,
        Err(Refusal { command, error }) => return Ok(RedisAnswer::Refused { command, error }),
    };
    let info = server.ask::<String>(&cmd("INFO")).await?;
    if let Ok(text) = &info
        && field(text, "role").is_none()
    {
        return Err(Unmet::broke(&server.fate, format!("redis {} answered INFO without a `role`", claim.at)));
    }
    let info = info.and_then(|text| read_info(&text));
    let mut facts = RedisFacts { info, written: None, replicated: None };
    if claim.writes {
        let key = format!("seaworthy:{}:{}", site.prober.run, token());
        let written = server.write(&key).await?;
        facts.written = Some(written.clone());
        if let (Written::Kept, Some(replica)) = (written, &claim.replica) {
            follower.begin(&facts);
            facts.replicated = Some(awaits(follower, replica, &key, &login, site).await?);
        }
        // A user who may not delete has left a key that goes away by itself.
        server.ask::<redis::Value>(cmd("DEL").arg(&key)).await?.ok();
    }
    Ok(RedisAnswer::Open(facts))
}

/// As whom we come.
pub(super) struct Login<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) password: Option<&'a str>,
    pub(super) tls: Tls,
}

/// A command that got an error, in the server's words.
pub(super) struct Refusal {
    pub(super) command: String,
    pub(super) error: String,
}

/// Whether a key was there, and how long after it was first asked for that was found out.
pub(super) struct Appearance {
    pub(super) is_there: bool,
    pub(super) after_ms: u64,
}

/// A server that let us in. Its connection ends when it is dropped.
pub(super) struct Server {
    at: Address,
    connection: MultiplexedConnection,
    fate: Fate,
    _driver: AbortOnDropHandle<()>,
}

impl Server {
    /// Logs in where there is a password, and asks for a PONG. Its clients know it by this name.
    pub(super) async fn enter(
        at: &Address,
        name: &str,
        login: &Login<'_>,
        site: &Site<'_>,
    ) -> Result<Result<Self, Refusal>, Unmet> {
        let channel = login.tls.over(site.dial(at).await?, &format!("redis {at}"), name).await?;
        let fate = channel.fate();
        // Nothing is asked while connecting, so that each refusal arrives in the server's own words. The look is
        // bounded as a whole.
        let bare = RedisConnectionInfo::default().set_skip_set_lib_name();
        let unbounded = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&bare, channel, unbounded)
            .await
            .map_err(|error| broke(at, &fate, &error))?;
        let mut server =
            Self { at: at.clone(), connection, fate, _driver: AbortOnDropHandle::new(tokio::spawn(driver)) };
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
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<Result<T, String>, Unmet> {
        let answer = command.query_async(&mut self.connection).await;
        self.said(answer)
    }

    /// Many at once, none of which waits for the answer to another. The inner error is the server's to one of them.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &mut self,
        commands: &Pipeline,
    ) -> Result<Result<Vec<T>, String>, Unmet> {
        let answers = commands.query_async(&mut self.connection).await;
        self.said(answers)
    }

    fn said<T>(&self, answer: Result<T, RedisError>) -> Result<Result<T, String>, Unmet> {
        match answer {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => {
                Ok(Err(server_words(&error)))
            }
            Err(error) => Err(broke(&self.at, &self.fate, &error)),
        }
    }

    /// Writes a key and reads it back.
    pub(super) async fn write(&mut self, key: &str) -> Result<Written, Unmet> {
        if let Err(error) = self.ask::<redis::Value>(&set(key)).await? {
            return Ok(Written::Refused(error));
        }
        Ok(match self.ask::<Option<String>>(cmd("GET").arg(key)).await? {
            Ok(Some(found)) if found == key => Written::Kept,
            Ok(Some(_)) => Written::Lost("another value".to_owned()),
            Ok(None) => Written::Lost("no such key".to_owned()),
            Err(error) => Written::Lost(format!("an error in place of the key: {error}")),
        })
    }

    /// Waits until a key is there that was written elsewhere, no longer than this; meanwhile it is told how long it is missing.
    pub(super) async fn awaits(
        &mut self,
        key: &str,
        patience: Duration,
        missing: impl Fn(u64) + Send,
    ) -> Result<Result<Appearance, String>, Unmet> {
        let since = Instant::now();
        loop {
            let found = self.ask::<Option<String>>(cmd("GET").arg(key)).await?;
            let after_ms = whole_millis(since.elapsed());
            match found {
                Ok(Some(found)) if found == key => return Ok(Ok(Appearance { is_there: true, after_ms })),
                Ok(_) if since.elapsed() >= patience => return Ok(Ok(Appearance { is_there: false, after_ms })),
                Ok(_) => {
                    missing(after_ms);
                    sleep(ASK_EVERY).await;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

/// Keeps a key, whose value is its name.
fn set(key: &str) -> Cmd {
    let mut set = cmd("SET");
    set.arg(key).arg(key).arg("EX").arg(KEY_LIVES_SECONDS);
    set
}

/// Waits for a key on a replica.
async fn awaits(
    follower: &Follower<RedisFacts>,
    at: &Address,
    key: &str,
    login: &Login<'_>,
    site: &Site<'_>,
) -> Result<Replicated, Unmet> {
    let login = Login { tls: login.tls.clone().by_own_names(), ..*login };
    let mut server = match Server::enter(at, &host_name(at, site.namespace()), &login, site).await {
        Ok(Ok(server)) => server,
        Ok(Err(Refusal { error, .. })) => return Ok(Replicated::Refused(error)),
        Err(Unmet::Obstacle(obstacle)) => return Ok(Replicated::Unmet(obstacle)),
        Err(unseen) => return Err(unseen),
    };
    let patience = site.prober.hub.here(REPLICATES);
    match server.awaits(key, patience, |after_ms| follower.missing(after_ms)).await? {
        Ok(Appearance { is_there: true, .. }) => {
            let is_master = match server.ask::<String>(&cmd("INFO")).await? {
                Ok(info) => field(&info, "role") == Some("master"),
                // To a user who may not ask it, a replica is what refuses the key.
                Err(_) => match server.ask::<redis::Value>(&set(key)).await? {
                    Ok(_) => true,
                    Err(error) if error.starts_with("READONLY") => false,
                    Err(error) => return Ok(Replicated::Refused(error)),
                },
            };
            Ok(if is_master { Replicated::OnMaster } else { Replicated::Appeared })
        }
        Ok(Appearance { is_there: false, after_ms }) => Ok(Replicated::Absent { after_ms }),
        Err(error) => Ok(Replicated::Refused(error)),
    }
}

/// One field of what `INFO` says, a text of `name:value` lines.
pub(super) fn field<'a>(info: &'a str, wanted: &str) -> Option<&'a str> {
    info.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// What `INFO` says.
pub(super) fn read_info(text: &str) -> Result<RedisInfo, String> {
    let role = match field(text, "role") {
        Some("master") => RedisRole::Master,
        Some("slave") => RedisRole::Replica,
        Some(other) => return Err(format!("the role {other}, which is neither master nor slave")),
        None => return Err("no role".to_owned()),
    };
    let replicas = replicas(text);
    let online = replicas.iter().filter(|replica| is_online(replica)).count();
    Ok(RedisInfo {
        version: field(text, "redis_version").map(str::to_owned),
        role,
        link: field(text, "master_link_status").map(str::to_owned),
        online: u32::try_from(online).unwrap_or(u32::MAX),
        attached: u32::try_from(replicas.len()).unwrap_or(u32::MAX),
    })
}

/// The replicas that a master lists: `slave0:ip=10.0.0.2,port=6379,state=online,offset=42,lag=0`; other fields that begin so have
/// no number. Who takes a copy of all and tells of no port (`redis-cli --rdb`) is no replica.
fn replicas(info: &str) -> Vec<HashMap<&str, &str>> {
    let is_replica = |name: &str| name.strip_prefix("slave").is_some_and(|n| n.parse::<u32>().is_ok());
    let lines = info.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| is_replica(name));
    let replicas = lines.map(|(_, state)| state.split(',').filter_map(|part| part.split_once('=')).collect());
    replicas.filter(|replica: &HashMap<_, _>| replica.get("port") != Some(&"0")).collect()
}

fn is_online(replica: &HashMap<&str, &str>) -> bool {
    replica.get("state") == Some(&"online")
}

/// Where a master says that its replicas are, of those that are online.
pub(super) fn online(info: &str) -> Vec<(String, u16)> {
    let place = |replica: HashMap<&str, &str>| {
        let port = replica.get("port")?.parse().ok()?;
        Some(((*replica.get("ip")?).to_owned(), port))
    };
    replicas(info).into_iter().filter(is_online).filter_map(place).collect()
}

fn server_words(error: &RedisError) -> String {
    let code = error.code().unwrap_or("ERR");
    error.detail().map_or_else(|| code.to_owned(), |detail| format!("{code} {detail}"))
}

/// The client tells an end within a reply apart from a reply of another protocol by its words alone.
fn broke(at: &Address, fate: &Fate, error: &RedisError) -> Unmet {
    let words = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join("; ");
    Unmet::broke(fate, format!("redis {at} gave no valid reply: {words}"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};

    use super::*;
    use crate::checks::Verdict;
    use crate::probes::stand::{
        Heard, Stand, actual, closed_port, for_web_test, look, serve, stands_when_dropped, trusting,
    };

    const MASTER: &str = "redis_version:7.4.1\r\nrole:master\r\nconnected_slaves:2\r\nslaves_waiting_psync:0\r\n\
        slave0:ip=10.0.0.2,port=6379,state=online,offset=42,lag=0\r\nslave1:ip=10.0.0.3,port=6379,state=wait_bgsave,offset=0,lag=9\r\n";
    const REPLICA: &str = "redis_version:7.4.1\r\nrole:slave\r\nmaster_link_status:up\r\nslave_read_only:1\r\n";

    type Keys = Arc<Mutex<HashMap<String, String>>>;

    /// What a misbehaving server does instead of what it should.
    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        WrongPassword,
        ReadOnly,
        Forgets,
        ClosesMidReply,
        SpeaksHttp,
        Hangs,
    }

    async fn server(fault: Fault, info: &'static str, heard: Heard) -> u16 {
        with_keys(Keys::default(), fault, info, heard).await
    }

    async fn with_keys(keys: Keys, fault: Fault, info: &'static str, heard: Heard) -> u16 {
        serve(move |stream| talk(BufStream::new(stream), fault, info, heard.clone(), Arc::clone(&keys))).await
    }

    async fn talk<S>(
        mut stream: BufStream<S>,
        fault: Fault,
        info: &'static str,
        heard: Heard,
        keys: Keys,
    ) -> std::io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let command = command(&mut stream).await?;
            heard.note(command.join(" "));
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            let reply = match (words.as_slice(), fault) {
                (_, Fault::Hangs) => std::future::pending().await,
                (_, Fault::SpeaksHttp) => "HTTP/1.1 400 Bad Request\r\n\r\n".to_owned(),
                (["AUTH", ..], Fault::WrongPassword) => "-WRONGPASS invalid username-password pair\r\n".to_owned(),
                (["AUTH" | "PING", ..], _) => "+OK\r\n".to_owned(),
                (["INFO"], _) if info.is_empty() => {
                    "-NOPERM this user has no permissions to run the 'info' command\r\n".to_owned()
                }
                (["INFO"], _) => bulk(info),
                (["SET", ..], Fault::ReadOnly) => {
                    "-READONLY You can't write against a read only replica.\r\n".to_owned()
                }
                (["SET", key, value, ..], _) => {
                    keys.lock().unwrap().insert((*key).to_owned(), (*value).to_owned());
                    "+OK\r\n".to_owned()
                }
                (["GET", _], Fault::Forgets) => "$-1\r\n".to_owned(),
                (["GET", _], Fault::ClosesMidReply) => {
                    stream.write_all(b"$100\r\nonly the begin").await?;
                    return stream.shutdown().await;
                }
                (["GET", key], _) => keys.lock().unwrap().get(*key).map_or("$-1\r\n".to_owned(), |value| bulk(value)),
                (["DEL", key], _) => {
                    keys.lock().unwrap().remove(*key);
                    ":1\r\n".to_owned()
                }
                (other, _) => format!("-ERR unknown command {other:?}\r\n"),
            };
            stream.write_all(reply.as_bytes()).await?;
            stream.flush().await?;
        }
    }

    fn bulk(text: &str) -> String {
        format!("${}\r\n{text}\r\n", text.len())
    }

    async fn command(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Vec<String>> {
        let mut words = Vec::new();
        for _ in 0..number(stream).await? {
            let mut word = vec![0; number(stream).await? + 2];
            stream.read_exact(&mut word).await?;
            words.push(String::from_utf8_lossy(&word).trim_end().to_owned());
        }
        Ok(words)
    }

    async fn number(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<usize> {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        line.trim_end().get(1..).and_then(|n| n.parse().ok()).ok_or_else(|| std::io::Error::other("no number"))
    }

    #[test]
    fn info_is_read_as_redis_writes_it() {
        let master = read_info(MASTER).unwrap();
        assert_eq!((master.role, master.online, master.attached), (RedisRole::Master, 1, 2));
        let replica = read_info(REPLICA).unwrap();
        assert_eq!((replica.role, replica.link.as_deref()), (RedisRole::Replica, Some("up")));
        assert!(read_info("redis_mode:sentinel\r\nrole:sentinel\r\n").is_err());
    }

    #[tokio::test]
    async fn a_good_server_holds_and_nothing_of_ours_stays_on_it() {
        let heard = Heard::default();
        let port = server(Fault::None, MASTER, heard.clone()).await;
        let verdict = look(&format!("redis: {{at: 'host/127.0.0.1:{port}', role: master, replicas: 1}}")).await;
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
        let said = heard.all();
        let key = said[2].split(' ').nth(1).unwrap().to_owned();
        assert!(key.starts_with("seaworthy:run-1:"));
        assert_eq!(
            said,
            ["PING", "INFO", &format!("SET {key} {key} EX 60"), &format!("GET {key}"), &format!("DEL {key}")]
        );
    }

    #[tokio::test]
    async fn each_fault_breaks_with_its_own_words() {
        for (fault, said) in [
            (Fault::WrongPassword, "refused the login: WRONGPASS invalid username-password pair"),
            (Fault::ReadOnly, "refused to write: READONLY You can't write against a read only replica."),
            (Fault::Forgets, "took a write and then had no such key"),
            (Fault::ClosesMidReply, "gave no valid reply: "),
            (Fault::SpeaksHttp, "gave no valid reply: "),
        ] {
            let at = format!("host/127.0.0.1:{}", server(fault, MASTER, Heard::default()).await);
            let verdict = look(&format!("redis: {{at: '{at}', password: {{value: hunter22}}}}")).await;
            let actual = actual(&verdict);
            assert!(actual.starts_with(&format!("redis {at} {said}")), "{actual}");
            assert!(!actual.contains("hunter22"), "{actual}");
        }
    }

    #[tokio::test]
    async fn all_that_is_said_is_said_over_tls_where_that_is_claimed() {
        let heard = Heard::default();
        let noted = heard.clone();
        let port = serve(move |stream| {
            let heard = noted.clone();
            async move {
                let stream = BufStream::new(for_web_test().accept(stream).await?);
                talk(stream, Fault::None, MASTER, heard, Keys::default()).await
            }
        })
        .await;
        let check = |name| format!("redis: {{at: 'host/127.0.0.1:{port}', role: master, {}}}", trusting(name));
        let verdict = look(&check("web.test")).await;
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
        assert_eq!(heard.all()[..2], ["PING", "INFO"]);
        let verdict = look(&check("redis.data.svc")).await;
        let said = format!("redis host/127.0.0.1:{port} has a certificate for web.test, and not for redis.data.svc");
        assert_eq!(actual(&verdict), said);
        let port = server(Fault::SpeaksHttp, MASTER, Heard::default()).await;
        let denied = format!("redis: {{at: 'host/127.0.0.1:{port}', tls: any, expect: denied}}");
        assert!(matches!(look(&denied).await, Verdict::Unclear { .. }));
    }

    #[tokio::test]
    async fn a_server_that_says_yes_to_everything_is_no_redis() {
        for info in ["PONG", "redis_version:7.4.1\r\nlast_role:master\r\n"] {
            let at = format!("host/127.0.0.1:{}", server(Fault::None, info, Heard::default()).await);
            let verdict = look(&format!("redis: {{at: '{at}', writes: false}}")).await;
            assert_eq!(actual(&verdict), format!("redis {at} answered INFO without a `role`"));
        }
    }

    #[tokio::test]
    async fn a_server_that_hangs_breaks_when_the_time_is_up_and_one_that_is_away_at_once() {
        let at = format!("host/127.0.0.1:{}", server(Fault::Hangs, MASTER, Heard::default()).await);
        let verdict = stands_when_dropped(&format!("redis: {{at: '{at}'}}")).await.unwrap();
        assert_eq!(actual(&verdict), format!("redis {at} does not answer"));
        let port = closed_port().await;
        let verdict = look(&format!("redis: {{at: 'host/127.0.0.1:{port}'}}")).await;
        assert_eq!(actual(&verdict), format!("nothing listens on 127.0.0.1:{port}: connection refused"));
    }

    #[tokio::test]
    async fn a_wrong_password_is_a_denial_and_a_server_that_hangs_up_is_none() {
        let port = server(Fault::WrongPassword, MASTER, Heard::default()).await;
        let check =
            |port| format!("redis: {{at: 'host/127.0.0.1:{port}', password: {{value: wrong}}, expect: denied}}");
        assert!(matches!(look(&check(port)).await, Verdict::Held { .. }));
        let port = server(Fault::SpeaksHttp, MASTER, Heard::default()).await;
        assert!(matches!(look(&check(port)).await, Verdict::Unclear { .. }));
        let port = server(Fault::None, MASTER, Heard::default()).await;
        assert!(actual(&look(&check(port)).await).ends_with("let us in, and took a write"));
    }

    #[tokio::test]
    async fn a_user_and_password_are_sent_and_learnt() {
        let heard = Heard::default();
        let port = server(Fault::None, REPLICA, heard.clone()).await;
        let stand = Stand::of(&format!(
            "redis: {{at: 'host/127.0.0.1:{port}', user: app, password: {{value: hunter22}}, writes: false}}"
        ));
        assert!(matches!(stand.look().await, Verdict::Held { .. }));
        assert_eq!(heard.all(), ["AUTH app hunter22", "PING", "INFO"]);
        assert_eq!(stand.prober.secrets.mask("hunter22"), crate::secrets::MASK);
    }

    #[tokio::test]
    async fn a_replica_that_hangs_is_the_one_that_is_named() {
        let master = server(Fault::None, MASTER, Heard::default()).await;
        let at = format!("host/127.0.0.1:{}", server(Fault::Hangs, REPLICA, Heard::default()).await);
        let check = format!("redis: {{at: 'host/127.0.0.1:{master}', replica: '{at}'}}");
        let verdict = stands_when_dropped(&check).await.unwrap();
        assert_eq!(actual(&verdict), format!("redis {at} does not answer"));
    }

    #[tokio::test]
    async fn a_replica_that_is_away_breaks_and_one_with_the_key_holds() {
        // One store behind two ports stands for a replica that has caught up.
        let keys = Keys::default();
        let master = with_keys(keys.clone(), Fault::None, MASTER, Heard::default()).await;
        let replica = with_keys(keys.clone(), Fault::None, REPLICA, Heard::default()).await;
        let check = |at, replica| format!("redis: {{at: 'host/127.0.0.1:{at}', replica: 'host/127.0.0.1:{replica}'}}");
        assert!(matches!(look(&check(master, replica)).await, Verdict::Held { .. }));
        let itself = look(&check(master, master)).await;
        assert!(actual(&itself).ends_with("has the key and is a master, no replica"), "{itself:?}");
        // Whoever may not ask for the role is told by what the other does with a write.
        let (master, replica) = (
            with_keys(keys.clone(), Fault::None, "", Heard::default()).await,
            with_keys(keys, Fault::ReadOnly, "", Heard::default()).await,
        );
        let itself = look(&check(master, master)).await;
        assert!(actual(&itself).ends_with("has the key and is a master, no replica"), "{itself:?}");
        assert!(matches!(look(&check(master, replica)).await, Verdict::Held { .. }));
        let closed = closed_port().await;
        assert_eq!(
            actual(&look(&check(master, closed)).await),
            format!("nothing listens on 127.0.0.1:{closed}: connection refused")
        );
    }
}
