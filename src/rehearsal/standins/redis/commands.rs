//! Which commands there are, and what stands before each: whether it is known, allowed, and possible now.

use std::time::Duration;

use super::resp::{Protocol, Reply, Request};
use super::{Fault, Server};

/// One connection's own state.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: i64,
    pub(super) protocol: Protocol,
    pub(super) database: usize,
    /// The name that the client gave itself.
    pub(super) name: Vec<u8>,
    /// As whom it has logged in.
    user: Option<String>,
    /// The commands since `MULTI`.
    queue: Option<Vec<Request>>,
    /// One of them was refused.
    is_spoilt: bool,
}

impl Session {
    /// A connection that has said nothing yet.
    pub(super) const fn new(id: i64) -> Self {
        Self { id, protocol: Protocol::Resp2, database: 0, name: Vec::new(), user: None, queue: None, is_spoilt: false }
    }
}

/// What follows a request.
#[derive(Debug)]
pub(super) enum Then {
    /// An answer.
    Reply(Reply),
    /// An answer, and the end of the connection.
    Last(Reply),
    /// The end of the connection.
    Close,
    /// An answer once so many followers have all, or after this time.
    Wait { replicas: usize, longest: Duration },
}

/// One command: its name, how many words it has (fewest, where negative), and what is true of it.
struct Spec {
    name: &'static str,
    arity: i64,
    flags: &'static [Flag],
}

#[derive(Clone, Copy, PartialEq)]
enum Flag {
    /// It changes keys.
    Write,
    /// It may need more memory.
    Grows,
    /// It is answered before a login.
    Free,
    /// It is answered while data is loaded.
    Early,
    /// A Sentinel knows it.
    Sentinel,
    /// Nothing else knows it than a Sentinel.
    SentinelOnly,
}

const fn spec(name: &'static str, arity: i64, flags: &'static [Flag]) -> Spec {
    Spec { name, arity, flags }
}

/// The commands, as `src/commands.c` has them.
const COMMANDS: &[Spec] = &[
    spec("auth", -2, &[Flag::Free, Flag::Early, Flag::Sentinel]),
    spec("client", -2, &[Flag::Early, Flag::Sentinel]),
    spec("command", -1, &[Flag::Early, Flag::Sentinel]),
    spec("config", -2, &[Flag::Early]),
    spec("dbsize", 1, &[]),
    spec("del", -2, &[Flag::Write]),
    spec("discard", 1, &[Flag::Early]),
    spec("echo", 2, &[Flag::Early]),
    spec("exec", 1, &[Flag::Early]),
    spec("exists", -2, &[]),
    spec("expire", -3, &[Flag::Write]),
    spec("flushall", -1, &[Flag::Write]),
    spec("flushdb", -1, &[Flag::Write]),
    spec("get", 2, &[]),
    spec("hello", -1, &[Flag::Free, Flag::Early, Flag::Sentinel]),
    spec("incr", 2, &[Flag::Write, Flag::Grows]),
    spec("info", -1, &[Flag::Early, Flag::Sentinel]),
    spec("multi", 1, &[Flag::Early]),
    spec("ping", -1, &[Flag::Sentinel]),
    spec("pttl", 2, &[]),
    spec("role", 1, &[Flag::Early, Flag::Sentinel]),
    spec("select", 2, &[Flag::Early]),
    spec("sentinel", -2, &[Flag::SentinelOnly, Flag::Sentinel]),
    spec("set", -3, &[Flag::Write, Flag::Grows]),
    spec("ttl", 2, &[]),
    spec("wait", 3, &[]),
];

/// The parts of commands that have some, and how many words each makes with its command.
const PARTS: &[(&str, &[(&str, i64)])] = &[
    ("client", &[("getname", 2), ("id", 2), ("setinfo", 4), ("setname", 3)]),
    ("command", &[("count", 2), ("docs", -2), ("getkeys", -3), ("info", -2), ("list", -2)]),
    ("config", &[("get", -3)]),
    (
        "sentinel",
        &[
            ("ckquorum", 3),
            ("get-master-addr-by-name", 3),
            ("master", 3),
            ("masters", 2),
            ("myid", 2),
            ("replicas", 3),
            ("sentinels", 3),
            ("slaves", 3),
        ],
    ),
];

const MISCONF: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
    Commands that may modify the data set are disabled, because this instance is configured to report errors during \
    writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about \
    the RDB error.";

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

impl Server {
    /// Answers one request.
    pub(super) fn answer(&self, session: &mut Session, request: &Request) -> Then {
        let name = text(&request[0]).to_lowercase();
        match name.as_str() {
            "quit" => return Then::Last(Reply::Status("OK")),
            // Someone makes a browser send requests here.
            "post" | "host:" => return Then::Close,
            _ => {}
        }
        let spec = match self.admit(session, &name, request) {
            Ok(spec) => spec,
            Err(refusal) => {
                session.is_spoilt |= session.queue.is_some();
                return Then::Reply(Reply::Error(refusal));
            }
        };
        match (&mut session.queue, spec.name) {
            (Some(queue), name) if !matches!(name, "exec" | "discard" | "multi") => {
                queue.push(request.clone());
                Then::Reply(Reply::Status("QUEUED"))
            }
            (_, "exec" | "discard" | "multi") => Then::Reply(self.transact(session, spec.name)),
            (None, "wait") => self.wait_for(request),
            (Some(_) | None, name) => Then::Reply(self.run(session, name, request)),
        }
    }

    /// Whether a command may be run here and now.
    fn admit(&self, session: &Session, name: &str, request: &Request) -> Result<&'static Spec, String> {
        let is_known = |spec: &&Spec| {
            let has = |flag| spec.flags.contains(&flag);
            let is_only_ping = self.faults.is(Fault::PingOnly) && !matches!(name, "ping" | "auth" | "hello");
            let fits = if self.config.sentinel { has(Flag::Sentinel) } else { !has(Flag::SentinelOnly) };
            spec.name == name && fits && !is_only_ping
        };
        let spec = COMMANDS.iter().find(is_known).ok_or_else(|| unknown(request))?;
        if !fits(spec.arity, request.len()) {
            return Err(arity(spec.name));
        }
        self.check_part(spec.name, request)?;
        let has = |flag| spec.flags.contains(&flag);
        if self.needs_login(session) && !has(Flag::Free) {
            return Err("NOAUTH Authentication required.".to_owned());
        }
        if self.is_denied(session, spec.name) {
            return Err(format!("NOPERM this user has no permissions to run the '{name}' command"));
        }
        match self.faults.on() {
            Some(Fault::OutOfMemory) if has(Flag::Grows) => {
                return Err("OOM command not allowed when used memory > 'maxmemory'.".to_owned());
            }
            Some(Fault::RefusesWrites) if has(Flag::Write) || name == "ping" => return Err(MISCONF.to_owned()),
            Some(Fault::InfoRefused) if name == "info" => {
                return Err("NOPERM this user has no permissions to run the 'info' command".to_owned());
            }
            Some(_) | None => {}
        }
        if has(Flag::Write) && self.link().is_some() && !self.faults.is(Fault::TakesWrites) {
            return Err("READONLY You can't write against a read only replica.".to_owned());
        }
        if self.faults.is(Fault::Loading) && !has(Flag::Early) {
            return Err("LOADING Redis is loading the dataset in memory".to_owned());
        }
        Ok(spec)
    }

    /// Whether a command that has parts has this one, with so many words.
    fn check_part(&self, name: &str, request: &Request) -> Result<(), String> {
        let Some((_, parts)) = PARTS.iter().find(|(command, _)| *command == name) else { return Ok(()) };
        let Some(part) = request.get(1) else { return Ok(()) };
        let wanted = text(part).to_lowercase();
        // `CLIENT SETINFO` is known since 7.2.
        let is_early = wanted == "setinfo" && !self.is_at_least(7, 2);
        match parts.iter().find(|(part, _)| *part == wanted) {
            Some((_, arity)) if !is_early && fits(*arity, request.len()) => Ok(()),
            Some((part, _)) if !is_early => Err(arity(&format!("{name}|{part}"))),
            Some(_) | None => {
                Err(format!("ERR unknown subcommand '{}'. Try {} HELP.", text(part), name.to_uppercase()))
            }
        }
    }

    fn needs_login(&self, session: &Session) -> bool {
        session.user.is_none() && self.password().is_some()
    }

    /// The password of `default`.
    fn password(&self) -> Option<&str> {
        self.config.password.as_deref().filter(|_| !self.faults.is(Fault::NoPassword))
    }

    fn is_denied(&self, session: &Session, command: &str) -> bool {
        let user = self.config.users.iter().find(|user| session.user.as_deref() == Some(user.name.as_str()));
        user.is_some_and(|user| user.denied.iter().any(|denied| denied == command))
    }

    fn run(&self, session: &mut Session, name: &str, request: &Request) -> Reply {
        let words = &request[1..];
        match name {
            "auth" => self.auth(session, words),
            "client" => self.client(session, words),
            "command" => command(words),
            "config" => self.config_command(words),
            "echo" => Reply::Bulk(words[0].clone()),
            "hello" => self.hello(session, words),
            "info" => Reply::Text(self.info(words)),
            "ping" => match words {
                [] => Reply::Status("PONG"),
                [word] => Reply::Bulk(word.clone()),
                [..] => Reply::Error(arity("ping")),
            },
            "role" => self.role(),
            "select" => select(session, &words[0]),
            "sentinel" => self.sentinel(words),
            // Within a transaction nothing is waited for.
            "wait" => Reply::Integer(i64::try_from(self.caught_up()).unwrap_or(i64::MAX)),
            _ => self.on_keys(session.database, name, words),
        }
    }

    fn transact(&self, session: &mut Session, name: &str) -> Reply {
        let queue = session.queue.take();
        let was_spoilt = std::mem::take(&mut session.is_spoilt);
        match (name, queue) {
            ("multi", None) => {
                session.queue = Some(Vec::new());
                Reply::Status("OK")
            }
            ("multi", Some(queue)) => {
                session.queue = Some(queue);
                session.is_spoilt = was_spoilt;
                Reply::error("ERR MULTI calls can not be nested")
            }
            ("discard", Some(_)) => Reply::Status("OK"),
            (_, None) => Reply::error(format!("ERR {} without MULTI", name.to_uppercase())),
            (_, Some(_)) if was_spoilt => Reply::error("EXECABORT Transaction discarded because of previous errors."),
            (_, Some(queue)) => {
                let run = |request: &Request| self.run(session, &text(&request[0]).to_lowercase(), request);
                Reply::Array(queue.iter().map(run).collect())
            }
        }
    }

    fn wait_for(&self, request: &Request) -> Then {
        if self.link().is_some() {
            let words = "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a \
                replica is configured to be writable (which is not the default) writes to replicas are just local and \
                are not propagated.";
            return Then::Reply(Reply::error(words));
        }
        match (text(&request[1]).parse(), text(&request[2]).parse::<i64>()) {
            (Ok(_), Ok(..0)) => Then::Reply(Reply::error("ERR timeout is negative")),
            (Ok(replicas), Ok(millis)) => {
                Then::Wait { replicas, longest: Duration::from_millis(millis.unsigned_abs()) }
            }
            (Err(_), _) => Then::Reply(Reply::error("ERR value is not an integer or out of range")),
            (_, Err(_)) => Then::Reply(Reply::error("ERR timeout is not an integer or out of range")),
        }
    }

    fn auth(&self, session: &mut Session, words: &[Vec<u8>]) -> Reply {
        let (user, password) = match words {
            [_] if self.password().is_none() && !self.faults.is(Fault::AcceptsAnyPassword) => {
                return Reply::error(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                    your configuration is correct?",
                );
            }
            [password] => ("default".to_owned(), text(password)),
            [user, password] => (text(user), text(password)),
            [] | [..] => return Reply::error("ERR syntax error"),
        };
        match self.log_in(session, user, &password) {
            Ok(()) => Reply::Status("OK"),
            Err(refusal) => Reply::Error(refusal),
        }
    }

    fn log_in(&self, session: &mut Session, user: String, password: &str) -> Result<(), String> {
        let is_right = match user.as_str() {
            "default" => self.password().is_none_or(|right| right == password),
            name => self.config.users.iter().any(|user| user.name == name && user.password == password),
        };
        if self.faults.is(Fault::AuthRefused) || !(is_right || self.faults.is(Fault::AcceptsAnyPassword)) {
            return Err(WRONG_PASSWORD.to_owned());
        }
        session.user = Some(user);
        Ok(())
    }

    /// `HELLO [2|3 [AUTH user password] [SETNAME name]]`
    fn hello(&self, session: &mut Session, words: &[Vec<u8>]) -> Reply {
        let protocol = match words.first().map(|word| text(word)).as_deref() {
            None => session.protocol,
            Some("2") => Protocol::Resp2,
            Some("3") => Protocol::Resp3,
            Some(other) if other.parse::<i64>().is_err() => {
                return Reply::error("ERR Protocol version is not an integer or out of range");
            }
            Some(_) => return Reply::error("NOPROTO unsupported protocol version"),
        };
        let mut rest = words.get(1..).unwrap_or_default();
        loop {
            rest = match rest {
                [] => break,
                [option, user, password, rest @ ..] if text(option).eq_ignore_ascii_case("auth") => {
                    if let Err(refusal) = self.log_in(session, text(user), &text(password)) {
                        return Reply::Error(refusal);
                    }
                    rest
                }
                [option, name, rest @ ..] if text(option).eq_ignore_ascii_case("setname") => {
                    session.name.clone_from(name);
                    rest
                }
                [option, ..] => {
                    return Reply::error(format!("ERR Syntax error in HELLO option '{}'", text(option)));
                }
            };
        }
        if self.needs_login(session) {
            return Reply::error(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
                <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
                the same time",
            );
        }
        session.protocol = protocol;
        self.greeting(session)
    }

    fn client(&self, session: &mut Session, words: &[Vec<u8>]) -> Reply {
        match (text(&words[0]).to_lowercase().as_str(), words.get(1)) {
            ("id", _) => Reply::Integer(session.id),
            ("getname", _) if session.name.is_empty() => Reply::Null,
            ("getname", _) => Reply::Bulk(session.name.clone()),
            ("setname", Some(name)) => {
                session.name.clone_from(name);
                Reply::Status("OK")
            }
            _ => Reply::Status("OK"),
        }
    }

    fn is_at_least(&self, major: u32, minor: u32) -> bool {
        let version = self.version();
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
    }
}

fn command(words: &[Vec<u8>]) -> Reply {
    match words.first().map(|word| text(word).to_lowercase()).as_deref() {
        Some("count") => Reply::Integer(i64::try_from(COMMANDS.len()).unwrap_or(i64::MAX)),
        // What a command is like: a client asks for it to complete what is typed.
        None | Some(_) => Reply::Array(Vec::new()),
    }
}

fn select(session: &mut Session, word: &[u8]) -> Reply {
    match text(word).parse::<i64>().map(usize::try_from) {
        Err(_) => Reply::error("ERR value is not an integer or out of range"),
        Ok(Ok(database)) if database < super::keys::DATABASES => {
            session.database = database;
            Reply::Status("OK")
        }
        Ok(_) => Reply::error("ERR DB index is out of range"),
    }
}

/// The words for a command that nobody knows, which show the beginning of it.
fn unknown(request: &Request) -> String {
    let mut shown = String::new();
    for word in &request[1..] {
        if shown.len() >= 128 {
            break;
        }
        let left = 128 - shown.len();
        shown.push_str(&format!("'{}' ", text(word).chars().take(left).collect::<String>()));
    }
    let name: String = text(&request[0]).chars().take(128).collect();
    format!("ERR unknown command '{name}', with args beginning with: {shown}")
}

/// The words for too few or too many arguments.
pub(super) fn arity(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

fn fits(arity: i64, count: usize) -> bool {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if arity < 0 { count >= -arity } else { count == arity }
}

/// Bytes as text; what is no UTF-8 is shown as such.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
