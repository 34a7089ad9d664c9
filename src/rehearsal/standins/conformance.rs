//! What is true of the real servers and must be true of the stand-ins, as their clients see it.
//!
//! Each claim is a function that is given a way to connect. Here that leads to a stand-in; nothing in a claim knows.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use jiff::{SignedDuration, Timestamp};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisConnectionInfo, Value, cmd};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::neo4j::packstream;
use super::{StandIn, hmac};

/// An open connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection of no known kind.
pub(crate) type Connection = Box<dyn Stream>;

/// A new connection to a stand-in.
pub(crate) fn dial(stand_in: &StandIn) -> Connection {
    let (ours, theirs) = tokio::io::duplex(1 << 14);
    let stand_in = stand_in.clone();
    tokio::spawn(async move { stand_in.serve(theirs).await });
    Box::new(ours)
}

// ── Redis

/// A client that has not logged in.
pub(crate) async fn redis_client(stream: Connection) -> MultiplexedConnection {
    let bare = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (client, driver) = MultiplexedConnection::new_with_config(&bare, stream, config).await.unwrap();
    tokio::spawn(driver);
    client
}

/// One command, its words separated by blanks. The error is the server's: its code, then its words.
pub(crate) async fn ask<T: FromRedisValue>(client: &mut MultiplexedConnection, words: &str) -> Result<T, String> {
    let mut parts = words.split(' ');
    let mut command: Cmd = cmd(parts.next().unwrap());
    parts.for_each(|part| {
        command.arg(part);
    });
    let said = command.query_async(client).await;
    said.map_err(|error: redis::RedisError| match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    })
}

async fn entered(stream: Connection, password: &str) -> MultiplexedConnection {
    let mut client = redis_client(stream).await;
    assert_eq!(ask::<String>(&mut client, &format!("AUTH {password}")).await, Ok("OK".to_owned()));
    client
}

/// A Redis 7.0 with a password lets in whoever has it, and says no in its own words.
pub(crate) async fn redis_guards_itself(connect: impl AsyncFn() -> Connection, password: &str) {
    let mut client = redis_client(connect().await).await;
    let said = |client: &MultiplexedConnection, words: String| {
        let mut client = client.clone();
        async move { ask::<Value>(&mut client, &words).await.unwrap_err() }
    };
    for command in ["PING", "INFO", "GET a", "CLIENT ID", "ROLE"] {
        assert_eq!(said(&client, command.to_owned()).await, "NOAUTH Authentication required.", "{command}");
    }
    let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
    for login in
        ["AUTH wrong".to_owned(), format!("AUTH nobody {password}"), format!("HELLO 3 AUTH default x{password}")]
    {
        assert_eq!(said(&client, login.clone()).await, wrong, "{login}");
    }
    assert!(
        said(&client, "HELLO 3".to_owned()).await.starts_with("NOAUTH HELLO must be called with the client already")
    );
    // That a command is not known is said before anything is asked.
    assert!(said(&client, "NOSUCH a".to_owned()).await.starts_with("ERR unknown command 'NOSUCH'"));
    assert_eq!(said(&client, "CLIENT NOSUCH".to_owned()).await, "ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.");
    assert_eq!(said(&client, "GET".to_owned()).await, "ERR wrong number of arguments for 'get' command");
    assert_eq!(said(&client, "AUTH a b c".to_owned()).await, "ERR syntax error");
    assert_eq!(ask::<String>(&mut client, &format!("AUTH default {password}")).await, Ok("OK".to_owned()));
    assert_eq!(ask::<String>(&mut client, "PING").await, Ok("PONG".to_owned()));
    // A wrong login does not end the right one.
    assert_eq!(said(&client, "AUTH wrong".to_owned()).await, wrong);
    assert_eq!(ask::<String>(&mut client, "PING hello").await, Ok("hello".to_owned()));
}

/// A Redis 7.0 keeps what is written, as long as it was told to.
pub(crate) async fn redis_keeps_keys(connect: impl AsyncFn() -> Connection, password: &str) {
    let mut one = entered(connect().await, password).await;
    let mut two = entered(connect().await, password).await;
    let ok = || Ok(Some("OK".to_owned()));
    ask::<Value>(&mut one, "DEL conformance:a conformance:n").await.unwrap();
    assert_eq!(ask(&mut one, "SET conformance:a x EX 60").await, ok());
    assert_eq!(ask(&mut two, "GET conformance:a").await, Ok(Some("x".to_owned())));
    assert_eq!(ask(&mut two, "TTL conformance:a").await, Ok(60));
    assert_eq!(ask::<Option<String>>(&mut two, "SET conformance:a y NX").await, Ok(None));
    assert_eq!(ask(&mut two, "SET conformance:a y XX").await, ok());
    assert_eq!(ask(&mut two, "TTL conformance:a").await, Ok(-1));
    assert_eq!(ask(&mut two, "TTL conformance:none").await, Ok(-2));
    assert_eq!(ask(&mut two, "EXPIRE conformance:none 10").await, Ok(0));
    assert_eq!(ask(&mut two, "EXPIRE conformance:a 100 XX").await, Ok(0));
    assert_eq!(ask(&mut two, "EXPIRE conformance:a 100 NX").await, Ok(1));
    assert_eq!(ask(&mut two, "EXPIRE conformance:a 50 GT").await, Ok(0));
    assert_eq!(ask(&mut two, "EXPIRE conformance:a 50 LT").await, Ok(1));
    assert_eq!(ask(&mut two, "TTL conformance:a").await, Ok(50));
    assert_eq!(ask(&mut two, "INCR conformance:n").await, Ok(1));
    assert_eq!(ask(&mut two, "INCR conformance:n").await, Ok(2));
    assert_eq!(ask(&mut two, "EXISTS conformance:a conformance:a conformance:none").await, Ok(2));
    for (command, said) in [
        ("INCR conformance:a", "ERR value is not an integer or out of range"),
        ("SET conformance:a x EX 0", "ERR invalid expire time in 'set' command"),
        ("SET conformance:a x EX ten", "ERR value is not an integer or out of range"),
        ("SET conformance:a x WHEN", "ERR syntax error"),
        ("SET conformance:a x NX XX", "ERR syntax error"),
        ("SELECT 16", "ERR DB index is out of range"),
        ("SELECT x", "ERR value is not an integer or out of range"),
        ("EXEC", "ERR EXEC without MULTI"),
        ("DISCARD", "ERR DISCARD without MULTI"),
        ("CLIENT SETINFO LIB-NAME x", "ERR unknown subcommand 'SETINFO'. Try CLIENT HELP."),
        ("CLIENT NOSUCH", "ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."),
        ("CLIENT SETNAME", "ERR wrong number of arguments for 'client|setname' command"),
        ("CONFIG GET", "ERR wrong number of arguments for 'config|get' command"),
        ("CONFIG NOSUCH x", "ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP."),
        ("PING a b", "ERR wrong number of arguments for 'ping' command"),
        ("NOSUCH a b", "ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
        ("SENTINEL masters", "ERR unknown command 'SENTINEL', with args beginning with: 'masters' "),
        ("HELLO 4", "NOPROTO unsupported protocol version"),
        ("HELLO x", "ERR Protocol version is not an integer or out of range"),
        ("HELLO 2 NOSUCH", "ERR Syntax error in HELLO option 'NOSUCH'"),
        ("EXPIRE conformance:a x", "ERR value is not an integer or out of range"),
        ("EXPIRE conformance:a 1 x", "ERR Unsupported option x"),
        ("COMMAND COUNT x", "ERR wrong number of arguments for 'command|count' command"),
        ("WAIT 0 -1", "ERR timeout is negative"),
        ("WAIT x 1", "ERR value is not an integer or out of range"),
        ("WAIT 0 x", "ERR timeout is not an integer or out of range"),
    ] {
        assert_eq!(ask::<Value>(&mut two, command).await, Err(said.to_owned()), "{command}");
    }
    assert_eq!(ask(&mut two, "DEL conformance:a conformance:n conformance:none").await, Ok(2));
    assert_eq!(ask::<Option<String>>(&mut one, "GET conformance:a").await, Ok(None));
}

/// A Redis 7.0 runs what is queued at once, or not at all.
pub(crate) async fn redis_runs_transactions(connect: impl AsyncFn() -> Connection, password: &str) {
    let mut client = entered(connect().await, password).await;
    assert_eq!(ask(&mut client, "MULTI").await, Ok("OK".to_owned()));
    assert_eq!(ask::<Value>(&mut client, "MULTI").await, Err("ERR MULTI calls can not be nested".to_owned()));
    assert_eq!(ask(&mut client, "SET conformance:t 1").await, Ok("QUEUED".to_owned()));
    let aborted = "EXECABORT Transaction discarded because of previous errors.".to_owned();
    let said = ask::<Value>(&mut client, "EXEC").await;
    // 7.0 does not hold a nested MULTI against a transaction.
    assert!(said.is_ok(), "{said:?}");
    assert_eq!(ask(&mut client, "MULTI").await, Ok("OK".to_owned()));
    assert_eq!(ask(&mut client, "INCR conformance:t").await, Ok("QUEUED".to_owned()));
    assert_eq!(ask(&mut client, "GET conformance:t").await, Ok("QUEUED".to_owned()));
    assert_eq!(ask(&mut client, "EXEC").await, Ok((2, "2".to_owned())));
    assert_eq!(ask(&mut client, "MULTI").await, Ok("OK".to_owned()));
    assert!(ask::<Value>(&mut client, "NOSUCH").await.is_err());
    assert_eq!(ask::<Value>(&mut client, "EXEC").await, Err(aborted));
    assert_eq!(ask(&mut client, "DEL conformance:t").await, Ok(1));
}

/// A Redis 7.0 says what it is.
pub(crate) async fn redis_says_what_it_is(connect: impl AsyncFn() -> Connection, password: &str) {
    let mut client = entered(connect().await, password).await;
    let info: String = ask(&mut client, "INFO").await.unwrap();
    for line in ["# Server", "redis_mode:standalone", "role:master", "loading:0", "# Replication", "# Keyspace"] {
        assert!(info.lines().any(|found| found == line), "{line} in {info}");
    }
    assert!(info.starts_with("# Server\r\nredis_version:7."), "{info}");
    let part: String = ask(&mut client, "INFO replication").await.unwrap();
    assert!(part.starts_with("# Replication\r\nrole:master\r\nconnected_slaves:"), "{part}");
    assert_eq!(ask(&mut client, "INFO nosuch").await, Ok(String::new()));
    let (role, ..): (String, u64, Value) = ask(&mut client, "ROLE").await.unwrap();
    assert_eq!(role, "master");
    let config: Vec<(String, String)> = ask(&mut client, "CONFIG GET maxmemory-p*").await.unwrap();
    assert_eq!(config, [("maxmemory-policy".to_owned(), "noeviction".to_owned())]);
    assert_eq!(ask::<Option<String>>(&mut client, "CLIENT GETNAME").await, Ok(None));
    assert_eq!(ask(&mut client, "CLIENT SETNAME me").await, Ok("OK".to_owned()));
    assert_eq!(ask(&mut client, "CLIENT GETNAME").await, Ok("me".to_owned()));
    let Ok(Value::Array(greeting)) = ask(&mut client, "HELLO 2").await else { panic!("no greeting") };
    assert_eq!(greeting.len(), 14);
    assert_eq!(greeting[0], Value::BulkString(b"server".to_vec()));
    assert_eq!(ask(&mut client, "WAIT 0 10").await.map(|count: i64| count >= 0), Ok(true));
}

/// What comes over the wire, byte by byte, where a client library would hide it.
pub(crate) async fn redis_speaks_both_protocols(connect: impl AsyncFn() -> Connection, password: &str) {
    let mut stream = connect().await;
    let auth = format!("AUTH {password}\r\n");
    for (said, heard) in [
        (auth.as_str(), "+OK\r\n"),
        ("PING\r\n", "+PONG\r\n"),
        ("GET conformance:none\r\n", "$-1\r\n"),
        ("PING \"a b\\x21\" \r\n\r\n*-1\r\nping 'c'\r\n", "$4\r\na b!\r\n$1\r\nc\r\n"),
        ("*1\r\n$4\r\nping\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n", "+PONG\r\n$2\r\nhi\r\n"),
        ("HELLO 3 SETNAME me\r\n", "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n"),
    ] {
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut bytes = vec![0; heard.len()];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), heard, "{said}");
    }
    stream.write_all(b"GET conformance:none\r\nINFO nosuch\r\nQUIT\r\n").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("\r\n_\r\n=4\r\ntxt:\r\n+OK\r\n"), "{rest}");
}

/// A request that is none ends the connection, in the server's words.
pub(crate) async fn redis_refuses_nonsense(connect: impl AsyncFn() -> Connection) {
    for (said, heard) in [
        ("*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*1\r\n:4\r\n", "-ERR Protocol error: expected '$', got ':'\r\n"),
        ("*1\r\n$x\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("PING \"a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
        ("POST / HTTP/1.1\r\n\r\n", ""),
    ] {
        let mut stream = connect().await;
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, heard, "{said}");
    }
}

/// A replica of a Redis 7.0 has what its master has, and takes nothing itself.
pub(crate) async fn redis_replicates(
    master: impl AsyncFn() -> Connection,
    replica: impl AsyncFn() -> Connection,
    password: &str,
) {
    let mut leads = entered(master().await, password).await;
    let mut follows = entered(replica().await, password).await;
    assert_eq!(ask(&mut leads, "SET conformance:r 1 EX 60").await, Ok("OK".to_owned()));
    assert_eq!(ask(&mut leads, "WAIT 1 2000").await, Ok(1));
    assert_eq!(ask(&mut follows, "GET conformance:r").await, Ok("1".to_owned()));
    assert_eq!(ask(&mut leads, "MULTI").await, Ok("OK".to_owned()));
    assert_eq!(ask(&mut leads, "WAIT 0 0").await, Ok("QUEUED".to_owned()));
    // Whether the replica has said by now that it has all depends on the moment; that nothing is waited for does not.
    assert!(matches!(ask::<(u8,)>(&mut leads, "EXEC").await, Ok((0 | 1,))));
    let refused = Err("READONLY You can't write against a read only replica.".to_owned());
    assert_eq!(ask::<Value>(&mut follows, "SET conformance:r 2").await, refused);
    assert_eq!(ask::<Value>(&mut follows, "DEL conformance:r").await, refused);
    let info: String = ask(&mut follows, "INFO replication").await.unwrap();
    for line in ["role:slave", "master_link_status:up", "slave_read_only:1", "connected_slaves:0"] {
        assert!(info.lines().any(|found| found == line), "{line} in {info}");
    }
    let info: String = ask(&mut leads, "INFO replication").await.unwrap();
    assert!(info.starts_with("# Replication\r\nrole:master\r\nconnected_slaves:1\r\nslave0:ip="), "{info}");
    assert!(info.contains(",state=online,offset="), "{info}");
    let role: Vec<Value> = ask(&mut follows, "ROLE").await.unwrap();
    assert_eq!((&role[0], role.len()), (&Value::BulkString(b"slave".to_vec()), 5));
    assert_eq!(role[3], Value::BulkString(b"connected".to_vec()));
    assert_eq!(ask(&mut leads, "DEL conformance:r").await, Ok(1));
}

/// A Sentinel of Redis 7.0 that is the only one to watch a master of this name with one replica; it lets in whoever has a password, where it has one.
pub(crate) async fn redis_sentinel_watches(
    connect: impl AsyncFn() -> Connection,
    watched: &str,
    password: Option<&str>,
) {
    let mut client = match password {
        Some(password) => entered(connect().await, password).await,
        None => redis_client(connect().await).await,
    };
    assert_eq!(ask(&mut client, "PING").await, Ok("PONG".to_owned()));
    assert_eq!(ask(&mut client, "ROLE").await, Ok(("sentinel".to_owned(), vec![watched.to_owned()])));
    let info: String = ask(&mut client, "INFO").await.unwrap();
    let titles: Vec<&str> = info.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(titles, ["# Server", "# Clients", "# Stats", "# CPU", "# Sentinel"]);
    let (ip, port): (String, String) =
        ask(&mut client, &format!("SENTINEL get-master-addr-by-name {watched}")).await.unwrap();
    let line = format!("master0:name={watched},status=ok,address={ip}:{port},slaves=1,sentinels=1");
    assert!(info.contains("redis_mode:sentinel\r\n") && info.contains(&line), "{info}");
    let none = ask::<Option<Vec<String>>>(&mut client, "SENTINEL get-master-addr-by-name nobody").await;
    assert_eq!(none, Ok(None));
    let all: Vec<Vec<String>> = ask(&mut client, "SENTINEL MASTERS").await.unwrap();
    let replicas: Vec<Vec<String>> = ask(&mut client, &format!("SENTINEL replicas {watched}")).await.unwrap();
    assert_eq!((all.len(), replicas.len()), (1, 1));
    let field =
        |fields: &[String], name: &str| fields.chunks(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
    for (name, value) in [
        ("name", watched),
        ("ip", &ip),
        ("port", &port),
        ("flags", "master"),
        ("role-reported", "master"),
        ("num-slaves", "1"),
        ("num-other-sentinels", "0"),
        ("quorum", "1"),
    ] {
        assert_eq!(field(&all[0], name).as_deref(), Some(value), "{name}");
    }
    for (name, value) in
        [("flags", "slave"), ("master-link-status", "ok"), ("master-port", &port), ("slave-priority", "100")]
    {
        assert_eq!(field(&replicas[0], name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(ask::<Vec<Value>>(&mut client, &format!("SENTINEL sentinels {watched}")).await, Ok(Vec::new()));
    let quorum = "OK 1 usable Sentinels. Quorum and failover authorization can be reached";
    assert_eq!(ask(&mut client, &format!("SENTINEL ckquorum {watched}")).await, Ok(quorum.to_owned()));
    for (command, said) in [
        ("GET a", "ERR unknown command 'GET', with args beginning with: 'a' "),
        ("SELECT 1", "ERR unknown command 'SELECT', with args beginning with: '1' "),
        ("SENTINEL master nobody", "ERR No such master with that name"),
        ("SENTINEL replicas nobody", "ERR No such master with that name"),
        ("SENTINEL ckquorum nobody", "ERR No such master with that name"),
        ("SENTINEL master", "ERR wrong number of arguments for 'sentinel|master' command"),
        ("SENTINEL nosuch", "ERR unknown subcommand 'nosuch'. Try SENTINEL HELP."),
    ] {
        assert_eq!(ask::<Value>(&mut client, command).await, Err(said.to_owned()), "{command}");
    }
}

// ── PostgreSQL

/// How to log in.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) database: &'a str,
}

/// A client that was let in, or the server's words: severity, code, words.
pub(crate) async fn postgres_client(stream: Connection, login: Login<'_>) -> Result<Client, String> {
    let mut config = tokio_postgres::Config::new();
    config.user(login.user).password(login.password).dbname(login.database).application_name("conformance");
    match config.connect_raw(stream, NoTls).await {
        Ok((client, driver)) => {
            tokio::spawn(driver);
            Ok(client)
        }
        Err(error) => Err(words(&error)),
    }
}

fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} {} {}", said.severity(), said.code().code(), said.message()),
        None => error.to_string(),
    }
}

/// What goes on over TLS where a server's certificate is for this name, and signed by this one, in PEM; else the client's words.
pub(crate) async fn over_tls<S: Stream>(stream: S, trusted: &str, name: &str) -> Result<TlsStream<S>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = versions.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| error.to_string())
}

/// A PostgreSQL with a certificate goes on over TLS where it is asked to, and lets the same users in as without.
pub(crate) async fn postgres_speaks_tls(
    connect: impl AsyncFn() -> Connection,
    login: Login<'_>,
    trusted: &str,
    name: &str,
) {
    let asked = async || {
        let mut stream = connect().await;
        stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'S');
        stream
    };
    let encrypted = async || Box::new(over_tls(asked().await, trusted, name).await.unwrap()) as Connection;
    let client = postgres_client(encrypted().await, login).await.unwrap();
    assert_eq!(shown(&client, "SELECT 1").await, [[Some("1".to_owned())]]);
    let refused = postgres_client(encrypted().await, Login { password: "wrong", ..login }).await.err();
    assert!(refused.unwrap().contains("28P01"));
    let other = over_tls(asked().await, trusted, "somebody.else.example").await.err();
    assert!(other.unwrap().contains("not valid for name"));
    assert!(postgres_client(connect().await, login).await.is_ok(), "plain text is taken as before");
}

/// Runs a text of statements.
pub(crate) async fn run(client: &Client, sql: &str) -> Result<(), String> {
    client.batch_execute(sql).await.map_err(|error| words(&error))
}

/// All cells of all rows.
pub(crate) async fn shown(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let all = client.simple_query(sql).await.map_err(|error| words(&error)).unwrap();
    let row = |message: SimpleQueryMessage| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
    };
    all.into_iter().filter_map(row).collect()
}

/// A PostgreSQL 15 lets in whoever has the password, and says no in its own words.
pub(crate) async fn postgres_guards_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let refused = async |login| postgres_client(connect().await, login).await.err().unwrap();
    let user = login.user;
    let wrong = format!("FATAL 28P01 password authentication failed for user \"{user}\"");
    assert_eq!(refused(Login { password: "wrong", ..login }).await, wrong);
    assert_eq!(refused(Login { password: "", ..login }).await, wrong);
    assert_eq!(
        refused(Login { user: "nobody", ..login }).await,
        "FATAL 28P01 password authentication failed for user \"nobody\""
    );
    assert_eq!(
        refused(Login { database: "nowhere", ..login }).await,
        "FATAL 3D000 database \"nowhere\" does not exist"
    );
    assert_eq!(refused(Login { password: "wrong", database: "nowhere", ..login }).await, wrong);
    assert!(postgres_client(connect().await, login).await.is_ok());
}

/// A PostgreSQL 15 says what it is.
pub(crate) async fn postgres_says_what_it_is(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let client = postgres_client(connect().await, login).await.unwrap();
    let one = |text: &str| vec![vec![Some(text.to_owned())]];
    assert_eq!(shown(&client, "SELECT 1").await, one("1"));
    assert_eq!(shown(&client, "SELECT pg_is_in_recovery()").await, one("f"));
    assert_eq!(
        shown(&client, "SELECT 'it''s', NULL, true; ").await,
        [[Some("it's".to_owned()), None, Some("t".to_owned())]]
    );
    assert_eq!(shown(&client, "SELECT 'x', count(*)").await, [[Some("x".to_owned()), Some("1".to_owned())]]);
    assert_eq!(shown(&client, "SELECT current_database()").await, one(login.database));
    assert_eq!(shown(&client, "SELECT current_user").await, one(login.user));
    assert_eq!(shown(&client, "SHOW default_transaction_read_only").await, one("off"));
    assert_eq!(shown(&client, "SHOW application_name").await, one("conformance"));
    assert_eq!(shown(&client, "SET application_name = 'x'; SHOW application_name").await, one("x"));
    let inside = "ERROR 25001 DISCARD ALL cannot run inside a transaction block";
    assert_eq!(run(&client, "DISCARD ALL; SELECT 1").await, Err(inside.to_owned()));
    assert_eq!(run(&client, "SET statement_timeout = 7; SELECT 1").await, Ok(()));
    assert_eq!(run(&client, "DISCARD ALL").await, Ok(()));
    assert_eq!(shown(&client, "SHOW statement_timeout").await, one("0"));
    let number = shown(&client, "SHOW server_version_num").await[0][0].clone().unwrap();
    assert!(number.len() == 6 && number.starts_with("15"), "{number}");
    let version = shown(&client, "SHOW server_version").await[0][0].clone().unwrap();
    assert!(version.starts_with("15."), "{version}");
    let long = shown(&client, "SELECT version()").await[0][0].clone().unwrap();
    assert!(long.starts_with(&format!("PostgreSQL {version} on ")), "{long}");
}

/// A PostgreSQL 15 shows others what is committed, and nothing before.
pub(crate) async fn postgres_commits(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let one = postgres_client(connect().await, login).await.unwrap();
    let two = postgres_client(connect().await, login).await.unwrap();
    let table = "\"conformance Table\"";
    run(&one, &format!("DROP TABLE IF EXISTS {table}")).await.unwrap();
    let batch = format!("BEGIN; CREATE TABLE {table} (value text); INSERT INTO {table} VALUES ('a'); COMMIT");
    run(&one, &batch).await.unwrap();
    let values = format!("SELECT value FROM {table}");
    let a = vec![vec![Some("a".to_owned())]];
    assert_eq!(shown(&two, &values).await, a);
    run(&one, &format!("BEGIN; INSERT INTO {table} VALUES ('b'), ('c')")).await.unwrap();
    assert_eq!(shown(&one, &values).await.len(), 3);
    assert_eq!(shown(&two, &values).await, a);
    run(&one, "ROLLBACK").await.unwrap();
    assert_eq!(shown(&one, &values).await, a);
    // One message is one transaction.
    let half = run(&one, &format!("INSERT INTO {table} VALUES ('b'); SELECT nothing FROM {table}")).await;
    assert_eq!(half, Err("ERROR 42703 column \"nothing\" does not exist".to_owned()));
    assert_eq!(shown(&two, &values).await, a);
    let wrong = run(&one, &format!("INSERT INTO {table} VALUES ('b'); SELEKT 1")).await;
    assert_eq!(wrong, Err("ERROR 42601 syntax error at or near \"SELEKT\"".to_owned()));
    run(&one, &format!("UPDATE {table} SET value = 'z' WHERE value = 'a'")).await.unwrap();
    assert_eq!(shown(&two, &format!("SELECT count(*) FROM {table} WHERE value = 'z'")).await, [[Some("1".to_owned())]]);
    run(&one, &format!("DELETE FROM {table}; DROP TABLE {table}")).await.unwrap();
    let missing = run(&two, &values).await;
    assert_eq!(missing, Err("ERROR 42P01 relation \"conformance Table\" does not exist".to_owned()));
}

/// A PostgreSQL 15 refuses what cannot be done, and a transaction that has failed takes no more.
pub(crate) async fn postgres_refuses(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let client = postgres_client(connect().await, login).await.unwrap();
    run(&client, "DROP TABLE IF EXISTS conformance; CREATE TABLE conformance (n int)").await.unwrap();
    for (sql, said) in [
        ("SELECT * FROM nowhere", "42P01 relation \"nowhere\" does not exist"),
        ("DROP TABLE nowhere", "42P01 table \"nowhere\" does not exist"),
        ("CREATE TABLE conformance (n int)", "42P07 relation \"conformance\" already exists"),
        ("CREATE TABLE elsewhere.conformance (n int)", "3F000 schema \"elsewhere\" does not exist"),
        ("CREATE TABLE wrong (n nosuch)", "42704 type \"nosuch\" does not exist"),
        ("INSERT INTO conformance VALUES ('x')", "22P02 invalid input syntax for type integer: \"x\""),
        ("INSERT INTO conformance VALUES (1, 2)", "42601 INSERT has more expressions than target columns"),
        ("INSERT INTO conformance (m) VALUES (1)", "42703 column \"m\" of relation \"conformance\" does not exist"),
        ("SELECT nosuch()", "42883 function nosuch() does not exist"),
        ("SELECT * ", "42601 SELECT * with no tables specified is not valid"),
        ("SELECT 1 FROM", "42601 syntax error at end of input"),
        ("SHOW nosuch", "42704 unrecognized configuration parameter \"nosuch\""),
        ("SELECT 'a", "42601 unterminated quoted string at or near \"'a\""),
        (
            "BEGIN READ ONLY; INSERT INTO conformance VALUES (1)",
            "25006 cannot execute INSERT in a read-only transaction",
        ),
        ("SELECT 1", "25P02 current transaction is aborted, commands ignored until end of transaction block"),
        ("ROLLBACK; BEGIN; SELECT nosuch", "42703 column \"nosuch\" does not exist"),
        (
            "SHOW server_version",
            "25P02 current transaction is aborted, commands ignored until end of transaction block",
        ),
        (
            "ROLLBACK; BEGIN READ ONLY; CREATE TABLE other (n int)",
            "25006 cannot execute CREATE TABLE in a read-only transaction",
        ),
        (
            "ROLLBACK; BEGIN READ ONLY; DROP TABLE conformance",
            "25006 cannot execute DROP TABLE in a read-only transaction",
        ),
    ] {
        assert_eq!(run(&client, sql).await, Err(format!("ERROR {said}")), "{sql}");
    }
    // Ending one that has failed is no error, and ends it.
    run(&client, "COMMIT").await.unwrap();
    run(&client, "ROLLBACK; DROP TABLE conformance; DROP TABLE IF EXISTS conformance; ;").await.unwrap();
}

/// A PostgreSQL 15 takes statements with parameters.
pub(crate) async fn postgres_takes_parameters(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let client = postgres_client(connect().await, login).await.unwrap();
    run(&client, "DROP TABLE IF EXISTS parameters").await.unwrap();
    client.execute("CREATE TABLE parameters (n int, t text, b bool, l bigint)", &[]).await.unwrap();
    let insert = "INSERT INTO parameters VALUES ($1, $2, $3, $4)";
    let count = client.execute(insert, &[&-7, &"it's", &true, &None::<i64>]).await.unwrap();
    assert_eq!(count, 1);
    let row = client.query_one("SELECT n, t, b, l FROM parameters WHERE t = $1", &[&"it's"]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, String>(1)), (-7, "it's".to_owned()));
    assert_eq!((row.get::<_, bool>("b"), row.get::<_, Option<i64>>("l")), (true, None));
    assert_eq!(client.query("SELECT * FROM parameters WHERE n = $1", &[&8]).await.unwrap().len(), 0);
    let said: String = client.query_one("SELECT $1::text", &[&"x"]).await.unwrap().get(0);
    assert_eq!(said, "x");
    let many: i64 = client.query_one("SELECT count(*) FROM parameters", &[]).await.unwrap().get(0);
    assert_eq!(many, 1);
    let missing = client.query("SELECT * FROM nowhere", &[]).await.unwrap_err();
    assert_eq!(words(&missing), "ERROR 42P01 relation \"nowhere\" does not exist");
    // After an error the connection goes on, and one in a transaction ends what can be prepared in it.
    run(&client, "BEGIN").await.unwrap();
    assert!(client.query("SELECT nosuch", &[]).await.is_err());
    let aborted = "ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block";
    assert_eq!(words(&client.prepare("SELECT 1").await.unwrap_err()), aborted);
    run(&client, "ROLLBACK").await.unwrap();
    let user: String = client.query_one("SELECT current_user", &[]).await.unwrap().get(0);
    assert_eq!(user, login.user);
    assert_eq!(client.execute("DELETE FROM parameters WHERE n = $1", &[&-7]).await.unwrap(), 1);
    client.execute("DROP TABLE parameters", &[]).await.unwrap();
}

/// Messages that no client library sends.
pub(crate) async fn postgres_meets_strangers(connect: impl AsyncFn() -> Connection) {
    // What asks for TLS is told that there is none, and may go on.
    let mut stream = connect().await;
    stream.write_all(&[&8_u32.to_be_bytes()[..], &80_877_103_u32.to_be_bytes()].concat()).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'N');
    // One of the versions before 3 is told so in the form that it understands.
    let old = "EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.0\n\0";
    for (startup, said) in [(&[0, 2, 0, 0, 0][..], old), (&[0, 3, 0, 0, 0], "\0C28000\0")] {
        let length = u32::try_from(startup.len() + 4).unwrap();
        let mut stream = connect().await;
        stream.write_all(&[&length.to_be_bytes()[..], startup].concat()).await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        let all = String::from_utf8_lossy(&all);
        assert!(all.starts_with('E') && all.contains(said), "{all}");
    }
}

// ── ClickHouse

/// One query over a connection of its own. The error is the server's: the exception's code, then all that it says.
pub(crate) async fn clickhouse_query(mut stream: Connection, login: Login<'_>, sql: &str) -> Result<String, String> {
    let Login { user, password, database } = login;
    let request = format!(
        "POST /?wait_end_of_query=1&database={database} HTTP/1.0\r\nHost: clickhouse\r\nX-ClickHouse-User: {user}\r\n\
         X-ClickHouse-Key: {password}\r\nContent-Length: {}\r\n\r\n{sql}",
        sql.len()
    );
    let all = http_exchange(&mut stream, &request).await;
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    if head.split(' ').nth(1) == Some("200") {
        return Ok(body.to_owned());
    }
    let code = body.strip_prefix("Code: ").and_then(|rest| rest.split(['.', ',']).next());
    Err(format!("{} {body}", code.unwrap_or("none")))
}

async fn clickhouse_code(stream: Connection, login: Login<'_>, sql: &str) -> String {
    let said = clickhouse_query(stream, login, sql).await.unwrap_err();
    said.split(' ').next().unwrap_or_default().to_owned()
}

/// A ClickHouse from 18 on says to whoever comes that it is there, and lets in whoever has the password.
pub(crate) async fn clickhouse_guards_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    for path in ["/", "/ping", "/replicas_status"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: clickhouse\r\nConnection: close\r\n\r\n");
        let said = http_exchange(&mut connect().await, &request).await;
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\nOk.\n"), "{path}: {said}");
    }
    let nowhere = "GET /nowhere HTTP/1.1\r\nHost: clickhouse\r\nConnection: close\r\n\r\n";
    let said = http_exchange(&mut connect().await, nowhere).await;
    assert!(said.starts_with("HTTP/1.1 404 Not Found\r\n") && said.contains("There is no handle /nowhere"), "{said}");
    for wrong in [
        Login { password: "wrong", ..login },
        Login { password: "", ..login },
        Login { user: "nobody", ..login },
        Login { password: "wrong", database: "nowhere", ..login },
    ] {
        // Servers before 20.1 tell an unknown user from a wrong password, and that from none.
        let code = clickhouse_code(connect().await, wrong, "SELECT 1").await;
        assert!(["516", "193", "192", "194"].contains(&code.as_str()), "{code}");
    }
    assert_eq!(clickhouse_code(connect().await, Login { database: "nowhere", ..login }, "SELECT 1").await, "81");
    assert_eq!(clickhouse_query(connect().await, login, "SELECT 1").await.as_deref(), Ok("1\n"));
    // What an address asks by GET must change nothing; HTTP's own login does as well.
    let token = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("{}:{}", login.user, login.password),
    );
    for (sql, heard) in [("SELECT%201", "\r\n\r\n1\n"), ("DROP%20TABLE%20t", "\r\n\r\nCode: 164")] {
        let request = format!("GET /?query={sql} HTTP/1.0\r\nHost: clickhouse\r\nAuthorization: Basic {token}\r\n\r\n");
        let said = http_exchange(&mut connect().await, &request).await;
        assert!(said.contains(heard), "{sql}: {said}");
    }
}

/// A ClickHouse from 18 on keeps what is inserted, and shows it to other connections.
pub(crate) async fn clickhouse_keeps_rows(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let ask = async |sql: &str| clickhouse_query(connect().await, login, sql).await;
    let nothing = || Ok(String::new());
    assert_eq!(ask("DROP TABLE IF EXISTS conformance").await, nothing());
    let create = "CREATE TABLE conformance (value String, n UInt64) ENGINE = MergeTree ORDER BY tuple()";
    assert_eq!(ask(create).await, nothing());
    assert_eq!(ask("CREATE TABLE IF NOT EXISTS conformance (value String) ENGINE = Memory").await, nothing());
    assert_eq!(ask("SELECT value FROM conformance").await, nothing());
    assert_eq!(ask("INSERT INTO conformance VALUES ('it\\'s', 7)").await, nothing());
    let rows = || Ok("it\\'s\t7\n".to_owned());
    assert_eq!(ask("SELECT * FROM conformance FORMAT TabSeparated").await, rows());
    assert_eq!(ask(&format!("SELECT value, n FROM {}.conformance", login.database)).await, rows());
    assert_eq!(ask("INSERT INTO conformance (n) VALUES (1), (2)").await, nothing());
    assert_eq!(ask("SELECT count() FROM conformance").await.as_deref(), Ok("3\n"));
    assert_eq!(ask("SELECT 1 FROM conformance").await.as_deref(), Ok("1\n1\n1\n"));
    let version = ask("SELECT version();").await.unwrap();
    let (major, _) = version.split_once('.').unwrap();
    assert!(major.parse::<u32>().is_ok_and(|major| major >= 18), "{version}");
    assert_eq!(ask("DROP TABLE conformance").await, nothing());
}

/// A ClickHouse from 18 on refuses what cannot be done, each with its code.
pub(crate) async fn clickhouse_refuses(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    clickhouse_query(connect().await, login, "DROP TABLE IF EXISTS conformance").await.unwrap();
    let create = "CREATE TABLE conformance (value String) ENGINE = MergeTree ORDER BY tuple()";
    clickhouse_query(connect().await, login, create).await.unwrap();
    for (sql, code) in [
        ("SELEKT 1", "62"),
        ("SELECT", "62"),
        ("SELECT 'a", "62"),
        ("", "62"),
        ("SELECT nosuch()", "46"),
        ("SELECT 1 FORMAT Nosuch", "73"),
        ("SELECT nosuch FROM conformance", "47"),
        ("SELECT value FROM nosuch", "60"),
        ("SELECT value FROM nowhere.nosuch", "81"),
        ("INSERT INTO nosuch VALUES ('a')", "60"),
        ("INSERT INTO conformance (nosuch) VALUES ('a')", "16"),
        ("DROP TABLE nosuch", "60"),
        (create, "57"),
        ("CREATE TABLE nowhere.t (value String) ENGINE = Memory", "81"),
        ("CREATE TABLE t (value Strng) ENGINE = Memory", "50"),
        ("CREATE TABLE t (value String) ENGINE = MergeTre", "56"),
        ("CREATE TABLE t (value String) ENGINE = ReplicatedMergeTree('/t', 'a') ORDER BY tuple()", "225"),
    ] {
        assert_eq!(clickhouse_code(connect().await, login, sql).await, code, "{sql}");
    }
    let request = format!(
        "POST /?nosuch=1 HTTP/1.0\r\nX-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\nContent-Length: 8\r\n\r\nSELECT 1",
        login.user, login.password
    );
    let said = http_exchange(&mut connect().await, &request).await;
    assert!(said.contains(" 404 Not Found\r\n") && said.contains("\r\n\r\nCode: 115"), "{said}");
    clickhouse_query(connect().await, login, "DROP TABLE conformance").await.unwrap();
}

/// Two replicas of a cluster `main`, of a ClickHouse from 18 on, with a Keeper and the macro `replica`: what is inserted on one is on the
/// other, and with the last of them goes what Keeper has of the table.
pub(crate) async fn clickhouse_replicates(
    one: impl AsyncFn() -> Connection,
    other: impl AsyncFn() -> Connection,
    login: Login<'_>,
) {
    let ask = async |sql: &str| clickhouse_query(one().await, login, sql).await;
    let ask_other = async |sql: &str| clickhouse_query(other().await, login, sql).await;
    let nothing = || Ok(String::new());
    let create = "CREATE TABLE copied (value String) ENGINE = ReplicatedMergeTree('/clickhouse/copied', '{replica}') ORDER BY tuple()";
    assert_eq!(ask("SELECT count() FROM system.clusters WHERE cluster = 'main'").await.as_deref(), Ok("2\n"));
    let hosts =
        "SELECT shard_num, replica_num, is_local FROM system.clusters WHERE cluster = 'main' ORDER BY replica_num";
    assert!(ask(hosts).await.unwrap().starts_with("1\t1\t1\n1\t2\t"));
    let macros = ask("SELECT substitution FROM system.macros WHERE macro = 'replica'").await.unwrap();
    let name = macros.trim_end();
    assert_eq!(ask(create).await, nothing());
    let same = create.replace("{replica}", name);
    assert!(clickhouse_query(other().await, login, &same).await.unwrap_err().starts_with("253 "));
    assert_eq!(ask_other(create).await, nothing());
    assert_eq!(ask("INSERT INTO copied VALUES ('a')").await, nothing());
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    while ask_other("SELECT value FROM copied").await.as_deref() != Ok("a\n") {
        assert!(tokio::time::Instant::now() < until, "the row should be there");
        tokio::task::yield_now().await;
    }
    let state = "SELECT is_readonly, is_session_expired, zookeeper_path, total_replicas, active_replicas FROM system.replicas WHERE table = 'copied'";
    assert_eq!(ask(state).await.as_deref(), Ok("0\t0\t/clickhouse/copied\t2\t2\n"));
    let named = "SELECT count() FROM system.zookeeper WHERE path = '/clickhouse' AND name = 'copied'";
    let replicas = "SELECT name FROM system.zookeeper WHERE path = '/clickhouse/copied/replicas'";
    assert_eq!(ask("DROP TABLE copied").await, nothing());
    assert_eq!(ask_other(named).await.as_deref(), Ok("1\n"));
    let left = ask_other(replicas).await.unwrap();
    assert!(left.lines().count() == 1 && left.trim_end() != name, "{left}");
    assert_eq!(ask_other("DROP TABLE IF EXISTS copied").await, nothing());
    assert_eq!(ask_other(named).await.as_deref(), Ok("0\n"));
    for (sql, codes) in [
        (replicas, ["999", "999"]),
        ("SELECT name FROM system.zookeeper", ["36", "36"]),
        ("SELECT nosuch FROM system.replicas", ["47", "47"]),
        ("SELECT name FROM system.nosuch", ["60", "60"]),
        // Servers before 22.6 say of it that the syntax is wrong.
        (&create.replace("replica}", "nosuch}"), ["139", "62"]),
        ("CREATE TABLE t (v String) ENGINE = ReplicatedMergeTree('/t') ORDER BY tuple()", ["42", "42"]),
    ] {
        let code = clickhouse_code(one().await, login, sql).await;
        assert!(codes.contains(&code.as_str()), "{sql}: {code}");
    }
}

// ── S3

/// A request as its sender signs it, and as it is sent.
#[derive(Clone, Copy)]
pub(crate) struct S3Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// In the order of its names, encoded.
    pub(crate) query: &'a str,
    pub(crate) body: &'a str,
    /// A header field that is not signed, with its end of line.
    pub(crate) field: &'a str,
    /// The host that is told, where it is not the one that is signed.
    pub(crate) host: Option<&'a str>,
    /// How many seconds ago it was signed.
    pub(crate) age: i64,
}

impl<'a> S3Request<'a> {
    pub(crate) const fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, query: "", body: "", field: "", host: None, age: 0 }
    }
}

/// The signature of a canonical request, and whose and of when it says that it is.
fn s3_signature(login: Login<'_>, date: &str, canonical: &str) -> (String, String) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
    let said = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let first = format!("AWS4{}", login.password).into_bytes();
    let key = scope.split('/').fold(first, |key, part| hmac(&key, &[part.as_bytes()]).to_vec());
    (hex(&hmac(&key, &[said.as_bytes()])), format!("{}/{scope}", login.user))
}

/// What comes of it: the status, and the code of an error or else the whole answer.
async fn s3_said(mut stream: Connection, request: S3Request<'_>, target: &str, fields: &str) -> (u16, String) {
    let S3Request { method, body, field, host, .. } = request;
    let (host, length) = (host.unwrap_or("s3:9000"), body.len());
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    let all = http_exchange(&mut stream, &format!("{head}{fields}{field}\r\n{body}")).await;
    let status = all.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let code = all.split_once("<Code>").and_then(|(_, rest)| rest.split('<').next());
    (status, code.map_or_else(|| all.clone(), str::to_owned))
}

/// A request that is signed by a header field.
pub(crate) async fn s3_ask(stream: Connection, login: Login<'_>, request: S3Request<'_>) -> (u16, String) {
    let S3Request { method, path, query, body, age, .. } = request;
    let date = (Timestamp::now() - SignedDuration::from_secs(age)).strftime("%Y%m%dT%H%M%SZ").to_string();
    let payload: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    let names = "host;x-amz-content-sha256;x-amz-date";
    let fields = format!("host:s3:9000\nx-amz-content-sha256:{payload}\nx-amz-date:{date}\n");
    let (signature, credential) =
        s3_signature(login, &date, &format!("{method}\n{path}\n{query}\n{fields}\n{names}\n{payload}"));
    let fields = format!(
        "X-Amz-Date: {date}\r\nX-Amz-Content-Sha256: {payload}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}\r\n"
    );
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    s3_said(stream, request, &target, &fields).await
}

/// A request whose address is signed, for a minute.
pub(crate) async fn s3_presigned(stream: Connection, login: Login<'_>, request: S3Request<'_>) -> (u16, String) {
    let S3Request { method, path, age, .. } = request;
    let date = (Timestamp::now() - SignedDuration::from_secs(age)).strftime("%Y%m%dT%H%M%SZ").to_string();
    let credential = s3_signature(login, &date, "").1.replace('/', "%2F");
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={date}&X-Amz-Expires=60&\
         X-Amz-SignedHeaders=host"
    );
    let canonical = format!("{method}\n{path}\n{query}\nhost:s3:9000\n\nhost\nUNSIGNED-PAYLOAD");
    let target = format!("{path}?{query}&X-Amz-Signature={}", s3_signature(login, &date, &canonical).0);
    s3_said(stream, request, &target, "").await
}

/// A MinIO does what the key's owner signs, and nothing else; it says that it is ready to whoever asks.
pub(crate) async fn s3_guards_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let list = S3Request::new("GET", "/");
    for path in ["/minio/health/live", "/minio/health/ready"] {
        let (status, _) = s3_said(connect().await, S3Request::new("GET", path), path, "").await;
        assert_eq!(status, 200, "{path}");
    }
    let (status, all) = s3_ask(connect().await, login, list).await;
    assert!(status == 200 && all.contains("<ListAllMyBucketsResult xmlns="), "{all}");
    let (old, new) = (S3Request { age: 3600, ..list }, S3Request { age: -3600, ..list });
    let (wrong, nobody) = (Login { password: "wrong-secret", ..login }, Login { user: "nobody", ..login });
    for (login, request, code) in [
        (wrong, list, "SignatureDoesNotMatch"),
        (nobody, list, "InvalidAccessKeyId"),
        (login, old, "RequestTimeTooSkewed"),
        (login, new, "RequestTimeTooSkewed"),
        (login, S3Request { host: Some("other:9000"), ..list }, "SignatureDoesNotMatch"),
        // Who is not let in is not told what is there.
        (wrong, S3Request::new("GET", "/nosuch"), "SignatureDoesNotMatch"),
    ] {
        assert_eq!(s3_ask(connect().await, login, request).await, (403, code.to_owned()), "{} {code}", request.path);
    }
    for (path, fields, said) in [
        ("/", "", (403, "AccessDenied")),
        ("/nosuch/none", "", (403, "AccessDenied")),
        ("/", "Authorization: Basic YTpi\r\n", (400, "InvalidRequest")),
        ("/", "Authorization: AWS4-HMAC-SHA256 nonsense\r\n", (400, "AccessDenied")),
    ] {
        let (status, code) = s3_said(connect().await, S3Request::new("GET", path), path, fields).await;
        assert_eq!((status, code.as_str()), said, "{path} {fields}");
    }
}

/// A MinIO keeps an object until it is deleted, and gives it to whoever has a presigned address.
pub(crate) async fn s3_keeps_objects(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let ask = async |request: S3Request<'_>| s3_ask(connect().await, login, request).await;
    let (bucket, object) = (S3Request::new("PUT", "/conformance"), S3Request::new("GET", "/conformance/a/b%20c"));
    assert_eq!(ask(bucket).await.0, 200);
    assert_eq!(ask(bucket).await, (409, "BucketAlreadyOwnedByYou".to_owned()));
    assert_eq!(ask(S3Request { method: "HEAD", ..bucket }).await.0, 200);
    let put = S3Request { method: "PUT", body: "hello", ..object };
    let (status, said) = ask(put).await;
    let etag = "\r\netag: \"5d41402abc4b2a76b9719d911017c592\"\r\n";
    assert!(status == 200 && said.to_lowercase().contains(etag), "{said}");
    let (status, said) = ask(object).await;
    assert!(status == 200 && said.to_lowercase().contains(etag) && said.ends_with("\r\n\r\nhello"), "{said}");
    let list = |query| S3Request { query, ..S3Request::new("GET", "/conformance") };
    let (_, said) = ask(list("list-type=2&max-keys=1&prefix=a%2F")).await;
    assert!(said.contains("<KeyCount>1</KeyCount>") && said.contains("<Key>a/b c</Key>"), "{said}");
    assert!(said.contains("<Size>5</Size>") && said.contains("5d41402abc4b2a76b9719d911017c592"), "{said}");
    let (_, said) = ask(list("list-type=2&prefix=z")).await;
    assert!(said.contains("<ListBucketResult xmlns=") && said.contains("<KeyCount>0</KeyCount>"), "{said}");
    let (_, said) = ask(list("location=")).await;
    assert!(said.contains("<LocationConstraint xmlns="), "{said}");

    let (status, said) = s3_presigned(connect().await, login, object).await;
    assert!(status == 200 && said.ends_with("\r\n\r\nhello"), "{said}");
    for (login, request, code) in [
        (login, S3Request { host: Some("other:9000"), ..object }, "SignatureDoesNotMatch"),
        (login, S3Request { age: 120, ..object }, "AccessDenied"),
        (login, S3Request { age: -3600, ..object }, "AccessDenied"),
        (Login { password: "wrong-secret", ..login }, object, "SignatureDoesNotMatch"),
        (Login { user: "nobody", ..login }, object, "InvalidAccessKeyId"),
    ] {
        assert_eq!(s3_presigned(connect().await, login, request).await, (403, code.to_owned()), "{code}");
    }
    assert_eq!(s3_said(connect().await, object, object.path, "").await, (403, "AccessDenied".to_owned()));

    assert_eq!(ask(S3Request { method: "DELETE", ..bucket }).await, (409, "BucketNotEmpty".to_owned()));
    for _ in 0..2 {
        assert_eq!(ask(S3Request { method: "DELETE", ..object }).await.0, 204);
    }
    assert_eq!(ask(object).await, (404, "NoSuchKey".to_owned()));
    assert_eq!(ask(S3Request { method: "DELETE", ..bucket }).await.0, 204);
    assert_eq!(ask(S3Request { method: "DELETE", ..bucket }).await, (404, "NoSuchBucket".to_owned()));
}

/// A MinIO refuses what cannot be done, each with its code.
pub(crate) async fn s3_refuses(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let ask = async |request: S3Request<'_>| s3_ask(connect().await, login, request).await;
    let put = S3Request { body: "hello", ..S3Request::new("PUT", "/conformance/a") };
    assert_eq!(ask(S3Request::new("PUT", "/conformance")).await.0, 200);
    for (request, status, code) in [
        (S3Request::new("PUT", "/A_b"), 400, "InvalidBucketName"),
        (S3Request::new("GET", "/nosuch"), 404, "NoSuchBucket"),
        (S3Request::new("GET", "/nosuch/a"), 404, "NoSuchBucket"),
        (S3Request { path: "/nosuch/a", ..put }, 404, "NoSuchBucket"),
        (S3Request::new("DELETE", "/nosuch/a"), 404, "NoSuchBucket"),
        (S3Request { field: "Content-MD5: MDAwMDAwMDAwMDAwMDAwMA==\r\n", ..put }, 400, "BadDigest"),
        (S3Request::new("POST", "/"), 400, "BadRequest"),
    ] {
        assert_eq!(ask(request).await, (status, code.to_owned()), "{} {}", request.method, request.path);
    }
    assert_eq!(ask(S3Request::new("GET", "/conformance/a")).await, (404, "NoSuchKey".to_owned()));
    assert_eq!(ask(S3Request::new("DELETE", "/conformance")).await.0, 204);
}

// ── pgAdmin

/// A visitor of a pgAdmin, with the cookie and the CSRF token of the session.
#[derive(Clone, Default)]
pub(crate) struct Visitor {
    pub(crate) agent: &'static str,
    pub(crate) cookie: String,
    pub(crate) token: String,
}

/// What a visitor gets: the status, where it leads, and all of it.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) to: String,
    pub(crate) all: String,
}

impl Visitor {
    /// One request; what the answer says of the session is kept.
    pub(crate) async fn ask(&mut self, mut stream: Connection, method: &str, path: &str, form: &str) -> Got {
        let fields = [("User-Agent", self.agent), ("Cookie", &self.cookie), ("X-pgA-CSRFToken", &self.token)];
        let written = fields.iter().filter(|(_, value)| !value.is_empty());
        let fields: String = written.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: pgadmin\r\nConnection: close\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n{fields}\r\n{form}",
            form.len()
        );
        let all = http_exchange(&mut stream, &request).await;
        let lines = || all.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
        let field = |wanted: &str| {
            let mut found = lines().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
            found.next().unwrap_or_default().to_owned()
        };
        let cookie = field("Set-Cookie");
        if let Some((cookie, _)) = cookie.split_once(';') {
            cookie.clone_into(&mut self.cookie);
        }
        for before in ["\"csrfToken\": \"", "pgAdmin['csrf_token'] = '"] {
            if let Some((_, rest)) = all.split_once(before) {
                self.token = rest.split(['"', '\'']).next().unwrap_or_default().to_owned();
            }
        }
        let status = all.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Got { status, to: field("Location"), all }
    }

    /// Tries to log in from the login page, and comes back to it where that leads there: what it says then.
    pub(crate) async fn log_in(
        &mut self,
        connect: &impl AsyncFn() -> Connection,
        login: Login<'_>,
    ) -> Result<(), String> {
        let page = self.ask(connect().await, "GET", "/login", "").await;
        assert!(page.status == 200 && page.all.contains("renderSecurityPage('login_user'"), "{}", page.all);
        self.try_with(connect, login, &self.token.clone()).await
    }

    /// The same with another token than the page's.
    pub(crate) async fn try_with(
        &mut self,
        connect: &impl AsyncFn() -> Connection,
        login: Login<'_>,
        token: &str,
    ) -> Result<(), String> {
        let form = format!("csrf_token={token}&email={}&password={}&internal_button=Login", login.user, login.password);
        let got = self.ask(connect().await, "POST", "/authenticate/login", &form).await;
        assert_eq!(got.status, 302, "{}", got.all);
        if got.to == "/browser/" {
            return Ok(());
        }
        assert_eq!(got.to, "/login");
        let page = self.ask(connect().await, "GET", "/login", "").await;
        let (_, messages) = page.all.split_once("\"messages\": ").unwrap_or_default();
        Err(messages.split("});").next().unwrap_or_default().to_owned())
    }
}

/// A pgAdmin 9 lets its user in through its login page alone, and keeps out who is not: each in its own words.
pub(crate) async fn pgadmin_guards_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let mut visitor = Visitor { agent: "conformance", ..Visitor::default() };
    let ping = visitor.ask(connect().await, "GET", "/misc/ping", "").await;
    assert!(ping.status == 200 && ping.all.ends_with("\r\n\r\nPING"), "{}", ping.all);
    for (path, to) in [
        ("/", "/login?next=/"),
        ("/browser/", "/login?next=/browser/"),
        ("/browser/js/utils.js", "/login?next=/browser/js/utils.js"),
        ("/authenticate/login", "/login"),
    ] {
        let mut stranger = Visitor::default();
        let got = stranger.ask(connect().await, "GET", path, "").await;
        assert_eq!((got.status, got.to.as_str()), (302, to), "{path}");
    }
    let one = |words: &str| Err(format!("[[\"Warning\", \"{words}\"]]"));
    let stranger = Login { user: "nobody%40example.com", password: "guessed", ..login };
    assert_eq!(visitor.log_in(&connect, stranger).await, one("Incorrect username or password."));
    for user in ["nobody", "nobody%40example.local"] {
        assert_eq!(visitor.log_in(&connect, Login { user, ..stranger }).await, one("Email/Username is not valid"));
    }
    assert_eq!(visitor.try_with(&connect, login, "nonsense").await, one("The CSRF token is invalid."));
    assert_eq!(visitor.try_with(&connect, login, "").await, one("The CSRF token is missing."));
    assert_eq!(Visitor::default().try_with(&connect, login, "nonsense").await, one("The CSRF token is invalid."));

    let wrong = Login { password: "wrong", ..login };
    for left in ["2 more attempts", "1 more attempt"] {
        let said = one(&format!("Incorrect username or password.{left} remaining."));
        assert_eq!(visitor.log_in(&connect, wrong).await, said);
    }
    // The right one takes them back.
    assert_eq!(visitor.log_in(&connect, login).await, Ok(()));
    let inside = visitor.ask(connect().await, "GET", "/browser/js/utils.js", "").await;
    assert!(inside.status == 200 && inside.all.contains("    app_version_int: '9"), "{}", inside.all);
    // Whoever comes in other words than the session began in has lost it.
    let mut thief = Visitor { agent: "another", ..visitor.clone() };
    let got = thief.ask(connect().await, "GET", "/browser/js/utils.js", "").await;
    assert_eq!((got.status, got.to.as_str()), (302, "/browser/"));
}

/// A pgAdmin 9 lists the servers that it was told of for whoever is in, and for nobody after the logout.
pub(crate) async fn pgadmin_lists_servers(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let (groups, servers) = ("/browser/server_group/obj/", "/browser/server/obj/1/");
    let mut visitor = Visitor { agent: "conformance", ..Visitor::default() };
    let said = |words: &str| {
        format!(
            "{{\"success\":0,\"errormsg\":\"{words} You need to refresh the page.\",\"info\":\"\",\"result\":null,\"data\":null}}"
        )
    };
    let got = visitor.ask(connect().await, "GET", groups, "").await;
    assert!(got.status == 401 && got.all.ends_with(&said("The CSRF token is missing.")), "{}", got.all);
    let mut early = Visitor { token: "nonsense".to_owned(), ..Visitor::default() };
    let got = early.ask(connect().await, "GET", groups, "").await;
    assert!(got.status == 401 && got.all.ends_with(&said("The CSRF session token is missing.")), "{}", got.all);
    visitor.ask(connect().await, "GET", "/login", "").await;
    let got = visitor.ask(connect().await, "GET", groups, "").await;
    assert_eq!((got.status, got.to), (302, format!("/login?next={groups}")));

    assert_eq!(visitor.log_in(&connect, login).await, Ok(()));
    // Who is in is led away from the login page.
    let again = visitor.clone().ask(connect().await, "GET", "/login", "").await;
    assert_eq!((again.status, again.to.as_str()), (302, "/"), "{}", again.all);
    let got = visitor.ask(connect().await, "GET", groups, "").await;
    assert!(got.all.ends_with("[{\"id\":2,\"name\":\"More\"},{\"id\":1,\"name\":\"Servers\"}]"), "{}", got.all);
    let got = visitor.ask(connect().await, "GET", servers, "").await;
    let one = "[{\"id\":1,\"name\":\"postgres\",\"host\":\"127.0.0.1\",\"port\":5432,\"db\":\"app\",\"username\":\"app\",\"gid\":1,\
               \"group-name\":\"Servers\",\"comment\":null,\"role\":null,\"connected\":false,\"version\":null,\"server_type\":\"pg\",\
               \"db_res\":null}]";
    assert!(got.all.ends_with(one), "{}", got.all);
    let got = visitor.ask(connect().await, "GET", "/browser/server/obj/77/", "").await;
    assert!(got.status == 200 && got.all.trim_end().ends_with("[]"), "{}", got.all);
    let mut forger = Visitor { token: "nonsense".to_owned(), ..visitor.clone() };
    let got = forger.ask(connect().await, "GET", groups, "").await;
    assert!(got.status == 401 && got.all.ends_with(&said("The CSRF token is invalid.")), "{}", got.all);
    assert_eq!(visitor.ask(connect().await, "GET", "/nosuch", "").await.status, 404);

    let left = visitor.clone();
    let got = visitor.ask(connect().await, "GET", "/logout", "").await;
    assert_eq!((got.status, got.to.as_str()), (302, "/"));
    for mut session in [visitor, left] {
        let got = session.ask(connect().await, "GET", "/browser/js/utils.js", "").await;
        assert_eq!((got.status, got.to.as_str()), (302, "/login?next=/browser/js/utils.js"));
    }
}

/// A pgAdmin 9 locks the account of whoever has tried three wrong passwords; the right one does not help any more.
pub(crate) async fn pgadmin_locks_accounts(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let mut visitor = Visitor { agent: "conformance", ..Visitor::default() };
    for _ in 0..3 {
        let said = visitor.log_in(&connect, Login { password: "wrong", ..login }).await.unwrap_err();
        assert!(said.starts_with("[[\"Warning\", \"Incorrect username or password."), "{said}");
    }
    let locked = "[[\"Warning\", \"Your account is locked. Please contact the Administrator.\"], [\"error\", \"You must sign in to view \
                  this resource.\"]]";
    assert_eq!(visitor.log_in(&connect, login).await, Err(locked.to_owned()));
}

// ── Neo4j

/// One request over HTTP, by whoever logs in: the status, and the answer if that is JSON.
pub(crate) async fn neo4j_ask(
    mut stream: Connection,
    login: Option<Login<'_>>,
    line: &str,
    body: &str,
) -> (u16, serde_json::Value) {
    let login = login.map(|login| BASE64_STANDARD.encode(format!("{}:{}", login.user, login.password)));
    let login = login.map_or_else(String::new, |pair| format!("Authorization: Basic {pair}\r\n"));
    let request = format!(
        "{line} HTTP/1.1\r\nHost: graph:7474\r\nConnection: close\r\nAccept: application/json\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\n{login}\r\n{body}",
        body.len()
    );
    let all = http_exchange(&mut stream, &request).await;
    let status = all.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = all.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// A statement over HTTP as a transaction of its own: the status, and the first column or the code of an error.
pub(crate) async fn neo4j_run(
    stream: Connection,
    login: Login<'_>,
    statement: &str,
    parameters: serde_json::Value,
) -> (u16, Result<Vec<serde_json::Value>, String>) {
    let body = json!({ "statements": [{ "statement": statement, "parameters": parameters }] }).to_string();
    let line = format!("POST /db/{}/tx/commit", login.database);
    let (status, said) = neo4j_ask(stream, Some(login), &line, &body).await;
    if let Some(code) = said["errors"][0]["code"].as_str() {
        return (status, Err(code.to_owned()));
    }
    let rows = said["results"][0]["data"].as_array().into_iter().flatten();
    (status, Ok(rows.map(|row| row["row"][0].clone()).collect()))
}

/// A client of Bolt.
pub(crate) struct BoltClient {
    stream: Connection,
    /// What was agreed on: major, then minor.
    pub(crate) version: (u8, u8),
}

impl BoltClient {
    /// Proposes one version and so many before it.
    pub(crate) async fn propose(mut stream: Connection, major: u8, minor: u8, range: u8) -> Self {
        stream.write_all(&[0x60, 0x60, 0xb0, 0x17, 0, range, minor, major]).await.unwrap();
        stream.write_all(&[0; 12]).await.unwrap();
        let mut agreed = [0; 4];
        stream.read_exact(&mut agreed).await.unwrap();
        Self { stream, version: (agreed[3], agreed[2]) }
    }

    /// Sends a message and takes one answer: its signature, and what it tells.
    pub(crate) async fn ask(&mut self, signature: u8, fields: Vec<serde_json::Value>) -> (u8, serde_json::Value) {
        let bytes = packstream::written(&(signature, fields));
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        self.stream.write_all(&[&length[..], &bytes, &[0, 0]].concat()).await.unwrap();
        self.hear().await
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> (u8, serde_json::Value) {
        let mut bytes = Vec::new();
        loop {
            let length = usize::from(self.stream.read_u16().await.unwrap());
            if length == 0 && !bytes.is_empty() {
                break;
            }
            let start = bytes.len();
            bytes.resize(start + length, 0);
            self.stream.read_exact(&mut bytes[start..]).await.unwrap();
        }
        let (signature, mut fields) = packstream::read(bytes).unwrap();
        (signature, if fields.is_empty() { serde_json::Value::Null } else { fields.remove(0) })
    }

    /// Logs in as this version has it: what the last answer was.
    pub(crate) async fn log_in(&mut self, login: Login<'_>) -> (u8, serde_json::Value) {
        let user = json!({ "scheme": "basic", "principal": login.user, "credentials": login.password });
        let mut hello = json!({ "user_agent": "conformance/1", "bolt_agent": { "product": "conformance/1" } });
        if self.version < (5, 1) {
            hello.as_object_mut().unwrap().extend(user.as_object().unwrap().clone());
            return self.ask(0x01, vec![hello]).await;
        }
        let (signature, about) = self.ask(0x01, vec![hello]).await;
        assert!(signature == 0x70 && about["server"].as_str().unwrap().starts_with("Neo4j/5."), "{about}");
        self.ask(0x6a, vec![user]).await
    }

    /// Somebody who is in, in the newest version.
    pub(crate) async fn inside(stream: Connection, login: Login<'_>) -> Self {
        let mut client = Self::propose(stream, 5, 8, 8).await;
        let said = client.log_in(login).await;
        assert_eq!(said.0, 0x70, "{said:?}");
        client
    }

    /// What a statement brings that reads: its first column, or the code of an error.
    pub(crate) async fn run(
        &mut self,
        login: Login<'_>,
        statement: &str,
        parameters: serde_json::Value,
    ) -> Result<Vec<serde_json::Value>, String> {
        let extra = json!({ "db": login.database, "mode": "r" });
        let said = self.ask(0x10, vec![statement.into(), parameters, extra]).await;
        let mut next = match said.0 {
            0x70 => self.ask(0x3f, vec![json!({ "n": -1 })]).await,
            _ => said,
        };
        let mut rows = Vec::new();
        while next.0 == 0x71 {
            rows.push(next.1[0].clone());
            next = self.hear().await;
        }
        if next.0 == 0x70 { Ok(rows) } else { Err(bolt_code(self.version, &next)) }
    }
}

/// The code of a failure, by the name that it has in this version.
fn bolt_code(version: (u8, u8), (signature, told): &(u8, serde_json::Value)) -> String {
    assert_eq!(*signature, 0x7f, "{told}");
    let key = if version >= (5, 7) { "neo4j_code" } else { "code" };
    told[key].as_str().unwrap_or_default().to_owned()
}

const UNAUTHORIZED: &str = "Neo.ClientError.Security.Unauthorized";
const RATE_LIMIT: &str = "Neo.ClientError.Security.AuthenticationRateLimit";

/// A Neo4j 5 tells whoever comes what it is, and answers what it does not have with a code.
pub(crate) async fn neo4j_tells_of_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let (status, told) = neo4j_ask(connect().await, None, "GET /", "").await;
    assert!(status == 200 && told["neo4j_version"].as_str().unwrap().starts_with("5."), "{told}");
    assert!(told["bolt_direct"].as_str().unwrap().starts_with("bolt://"), "{told}");
    assert_eq!(told["transaction"], "http://graph:7474/db/{databaseName}/tx");
    for (line, status, words) in
        [("GET /nosuch", 404, "Not Found"), ("GET /db/neo4j/tx/commit", 405, "Method Not Allowed")]
    {
        let said = neo4j_ask(connect().await, Some(login), line, "").await;
        let error = json!({ "errors": [{ "code": "Neo.ClientError.Request.Invalid", "message": words }] });
        assert_eq!(said, (status, error), "{line}");
    }
}

/// A Neo4j lets its user in through both doors; of wrong passwords the third locks the account for a while, for those of nobody nothing
/// is locked.
pub(crate) async fn neo4j_guards_itself(
    http: impl AsyncFn() -> Connection,
    bolt: impl AsyncFn() -> Connection,
    login: Login<'_>,
) {
    let one = async |login: Login<'_>| neo4j_run(http().await, login, "RETURN 1", json!({})).await;
    let (status, said) = neo4j_ask(http().await, None, "POST /db/neo4j/tx/commit", "{}").await;
    assert_eq!((status, said["errors"][0]["code"].as_str()), (401, Some(UNAUTHORIZED)));
    let (nobody, wrong) = (Login { user: "nobody", ..login }, Login { password: "wrong", ..login });
    for _ in 0..5 {
        assert_eq!(one(nobody).await, (401, Err(UNAUTHORIZED.to_owned())));
    }
    // Who is not let in is not told what is there.
    let elsewhere = Login { database: "nosuch", ..nobody };
    assert_eq!(one(elsewhere).await, (401, Err(UNAUTHORIZED.to_owned())));
    assert_eq!(one(login).await, (200, Ok(vec![1.into()])));
    for (major, minor, range) in [(5, 8, 8), (5, 0, 0), (4, 4, 0)] {
        let mut client = BoltClient::propose(bolt().await, major, minor, range).await;
        assert_eq!(client.version, (major, minor));
        assert_eq!(client.log_in(login).await.0, 0x70, "{major}.{minor}");
        let mut client = BoltClient::propose(bolt().await, major, minor, range).await;
        let said = client.log_in(nobody).await;
        assert_eq!(bolt_code(client.version, &said), UNAUTHORIZED, "{major}.{minor}");
    }
    for _ in 0..3 {
        assert_eq!(one(wrong).await, (401, Err(UNAUTHORIZED.to_owned())));
    }
    for login in [wrong, login] {
        assert_eq!(one(login).await, (429, Err(RATE_LIMIT.to_owned())));
        let mut client = BoltClient::propose(bolt().await, 5, 8, 8).await;
        let said = client.log_in(login).await;
        assert_eq!(bolt_code(client.version, &said), RATE_LIMIT);
    }
    tokio::time::sleep(Duration::from_millis(5100)).await;
    assert_eq!(one(login).await, (200, Ok(vec![1.into()])));
}

/// A Neo4j has one graph behind both doors.
pub(crate) async fn neo4j_keeps_nodes(
    http: impl AsyncFn() -> Connection,
    bolt: impl AsyncFn() -> Connection,
    login: Login<'_>,
) {
    let run = async |statement: &str| {
        let parameters = json!({ "token": "t", "value": "v" });
        let (status, said) = neo4j_run(http().await, login, statement, parameters).await;
        assert_eq!(status, 200, "{said:?}");
        said.unwrap()
    };
    let find = "MATCH (n:Conformance {token: $token}) RETURN n.value LIMIT 3";
    assert_eq!(run(find).await, [json!(null); 0]);
    assert_eq!(run("CREATE (n:Conformance {token: $token, value: $value}) RETURN n.value").await, [json!("v")]);
    assert_eq!(run(find).await, [json!("v")]);
    let mut client = BoltClient::inside(bolt().await, login).await;
    assert_eq!(client.run(login, find, json!({ "token": "t" })).await, Ok(vec![json!("v")]));
    assert_eq!(client.run(login, find, json!({ "token": "other" })).await, Ok(Vec::new()));
    for _ in 0..2 {
        assert_eq!(run("MATCH (n:Conformance {token: $token}) DETACH DELETE n").await, [json!(null); 0]);
    }
    assert_eq!(run(find).await, [json!(null); 0]);
    assert_eq!(client.run(login, find, json!({ "token": "t" })).await, Ok(Vec::new()));
    let body = json!({ "statements": [{ "statement": "RETURN 7 AS seven" }] }).to_string();
    let (_, said) = neo4j_ask(http().await, Some(login), "POST /db/neo4j/tx/commit", &body).await;
    let result = json!([{ "columns": ["seven"], "data": [{ "row": [7], "meta": [null] }] }]);
    assert_eq!((&said["results"], &said["errors"]), (&result, &json!([])));
    assert!(said["lastBookmarks"][0].is_string(), "{said}");
}

/// A Neo4j refuses what cannot be done, each with its code: over HTTP with 200 as a rule.
pub(crate) async fn neo4j_refuses(
    http: impl AsyncFn() -> Connection,
    bolt: impl AsyncFn() -> Connection,
    login: Login<'_>,
) {
    let elsewhere = Login { database: "nosuch", ..login };
    let (none, create) = ("Neo.ClientError.Database.DatabaseNotFound", "CREATE (n:Conformance {token: $token})");
    let (syntax, missing) = ("Neo.ClientError.Statement.SyntaxError", "Neo.ClientError.Statement.ParameterMissing");
    for (login, statement, status, code) in
        [(elsewhere, "RETURN 1", 404, none), (login, "RETRUN 1", 200, syntax), (login, create, 200, missing)]
    {
        let said = neo4j_run(http().await, login, statement, json!({})).await;
        assert_eq!(said, (status, Err(code.to_owned())), "{statement}");
        let mut client = BoltClient::inside(bolt().await, login).await;
        // In a mode in which it may.
        let extra = json!({ "db": login.database, "mode": "w" });
        let said = client.ask(0x10, vec![statement.into(), json!({}), extra]).await;
        assert_eq!(bolt_code(client.version, &said), code, "{statement}");
        // Nothing is done until the error was taken note of.
        assert_eq!(client.ask(0x3f, vec![json!({ "n": -1 })]).await.0, 0x7e);
        assert_eq!(client.ask(0x0f, Vec::new()).await.0, 0x70);
    }
    let mut client = BoltClient::inside(bolt().await, login).await;
    let said = client.run(login, create, json!({ "token": "t" })).await;
    assert_eq!(said, Err("Neo.ClientError.Statement.AccessMode".to_owned()));
    for (major, minor) in [(9, 0), (3, 0)] {
        assert_eq!(BoltClient::propose(bolt().await, major, minor, 0).await.version, (0, 0));
    }
    let mut client = BoltClient::propose(bolt().await, 5, 8, 0).await;
    let said = client.ask(0x01, vec![json!({ "user_agent": "conformance/1" })]).await;
    assert_eq!(bolt_code(client.version, &said), "Neo.ClientError.Request.Invalid");
}

// ── DNS

/// One question and its answer.
pub(crate) async fn dns_exchange(stream: &mut Connection, name: &str, kind: RecordType) -> Message {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    let bytes = question.to_vec().unwrap();
    stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut answer).await.unwrap();
    let answer = Message::from_vec(&answer).unwrap();
    assert_eq!(answer.metadata.id, question.metadata.id);
    assert_eq!(answer.queries, question.queries);
    answer
}

/// The DNS of a cluster knows the API server's Service, and tells a name that is missing from one without an address.
pub(crate) async fn dns_answers(connect: impl AsyncFn() -> Connection) {
    let mut stream = connect().await;
    let api = "kubernetes.default.svc.cluster.local.";
    for name in [api, "Kubernetes.DEFAULT.svc.cluster.local."] {
        let answer = dns_exchange(&mut stream, name, RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        assert!(answer.metadata.authoritative, "{answer:?}");
        assert_eq!(answer.answers.len(), 1);
        assert_eq!(answer.answers[0].ttl, 30);
        assert!(answer.answers[0].data.ip_addr().unwrap().is_ipv4());
    }
    let none = dns_exchange(&mut stream, api, RecordType::AAAA).await;
    assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(none.authorities.len(), 1);
    let missing = dns_exchange(&mut stream, "nosuch.default.svc.cluster.local.", RecordType::A).await;
    assert_eq!((missing.metadata.response_code, missing.answers.len()), (ResponseCode::NXDomain, 0));
    assert!(missing.metadata.authoritative && missing.authorities.len() == 1, "{missing:?}");
    assert_eq!(missing.authorities[0].record_type(), RecordType::SOA);
}

// ── HTTP

/// Sends a request and reads until the server ends the connection.
pub(crate) async fn http_exchange(stream: &mut Connection, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    // A connection that breaks has said what it has said.
    stream.read_to_end(&mut all).await.ok();
    String::from_utf8_lossy(&all).into_owned()
}

/// A web server answers a request, and refuses what is none.
pub(crate) async fn http_answers(connect: impl AsyncFn() -> Connection) {
    let request = "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
    let page = http_exchange(&mut connect().await, request).await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    let nonsense = http_exchange(&mut connect().await, "NONSENSE\r\n\r\n").await;
    assert!(nonsense.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{nonsense}");
}
