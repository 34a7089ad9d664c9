//! What is true of a Redis and must be true of its stand-in, as a client sees it.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisConnectionInfo, Value, cmd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::rehearsal::standins::conformance::Connection;

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
pub(crate) async fn guards_itself(connect: impl AsyncFn() -> Connection, password: &str) {
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
pub(crate) async fn keeps_keys(connect: impl AsyncFn() -> Connection, password: &str) {
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
pub(crate) async fn runs_transactions(connect: impl AsyncFn() -> Connection, password: &str) {
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
pub(crate) async fn says_what_it_is(connect: impl AsyncFn() -> Connection, password: &str) {
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
pub(crate) async fn speaks_both_protocols(connect: impl AsyncFn() -> Connection, password: &str) {
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
pub(crate) async fn refuses_nonsense(connect: impl AsyncFn() -> Connection) {
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
pub(crate) async fn replicates(
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
pub(crate) async fn sentinel_watches(connect: impl AsyncFn() -> Connection, watched: &str, password: Option<&str>) {
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
