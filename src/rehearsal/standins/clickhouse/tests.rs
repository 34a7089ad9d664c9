//! Faults, as a client sees them.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::conformance::clickhouse_query;
use super::{Config, Fault, Server, Settings, serve_native};
use crate::rehearsal::standins::StandIn;
use crate::rehearsal::standins::conformance::{Login, dial, http_exchange};

const LOGIN: Login<'static> = Login { user: "app", password: "secret", database: "app" };

fn server() -> Arc<Server> {
    let (user, password) = ("app".to_owned(), "secret".to_owned());
    let config = Config { user, password, databases: vec!["app".to_owned()], ..Config::default() };
    Arc::new(Server::new(config, &Arc::default()))
}

async fn asked(server: &Arc<Server>, login: Login<'_>, sql: &str) -> Result<String, String> {
    clickhouse_query(dial(&StandIn::Clickhouse(Arc::clone(server))), login, sql).await
}

const CREATE: &str = "CREATE TABLE t (value String) ENGINE = MergeTree ORDER BY tuple()";
const INSERT: &str = "INSERT INTO t VALUES ('a')";
const SELECT: &str = "SELECT value FROM t";
const DROP: &str = "DROP TABLE t";

#[tokio::test]
async fn what_a_fault_refuses_is_refused_with_its_code_and_taken_after_it() {
    for (fault, before, sql, said) in [
        (Fault::ReadOnly, &[][..], CREATE, "164 READONLY"),
        (Fault::ReadOnly, &[CREATE], INSERT, "164 READONLY"),
        (Fault::ReadOnly, &[CREATE], DROP, "164 READONLY"),
        (Fault::NoPermission, &[], CREATE, "497 ACCESS_DENIED"),
        (Fault::NoSpace, &[CREATE], INSERT, "243 NOT_ENOUGH_SPACE"),
        (Fault::KeepsTables, &[CREATE], DROP, "497 ACCESS_DENIED"),
        (Fault::RejectsLogin, &[], "SELECT 1", "516 AUTHENTICATION_FAILED"),
        (Fault::NoDatabase, &[], "SELECT 1", "81 UNKNOWN_DATABASE"),
        (Fault::Overloaded, &[], "SELECT 1", "202 TOO_MANY_SIMULTANEOUS_QUERIES"),
        (Fault::OutOfMemory, &[], "SELECT 1", "241 MEMORY_LIMIT_EXCEEDED"),
    ] {
        let server = server();
        for sql in before {
            asked(&server, LOGIN, sql).await.unwrap();
        }
        server.inject(Some(fault));
        let refusal = asked(&server, LOGIN, sql).await.unwrap_err();
        let (code, name) = said.split_once(' ').unwrap();
        let words = format!(" ({name}) (version 25.8.2.29 (official build))\n");
        assert!(refusal.starts_with(&format!("{code} ")) && refusal.ends_with(&words), "{fault:?}: {refusal}");
        server.inject(None);
        assert!(asked(&server, LOGIN, sql).await.is_ok(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_row_is_lost_or_is_another_or_ends_in_an_exception() {
    for (fault, found) in [(Fault::LosesInsert, ""), (Fault::OtherValue, "other\n")] {
        let server = server();
        server.inject(Some(fault));
        for sql in [CREATE, INSERT] {
            assert_eq!(asked(&server, LOGIN, sql).await, Ok(String::new()));
        }
        assert_eq!(asked(&server, LOGIN, SELECT).await.as_deref(), Ok(found), "{fault:?}");
    }
    let server = server();
    for sql in [CREATE, INSERT] {
        asked(&server, LOGIN, sql).await.unwrap();
    }
    server.inject(Some(Fault::ExceptionAfter200));
    let found = asked(&server, LOGIN, SELECT).await.unwrap();
    assert!(found.starts_with("a\nCode: 241. DB::Exception: Memory limit"), "{found}");
}

/// Two replicas of one cluster.
fn replicas() -> [Arc<Server>; 2] {
    let keeper = Arc::default();
    let file = "<clickhouse><zookeeper><node><host>keeper</host><port>2181</port></node></zookeeper>
        <remote_servers><main><shard><replica><host>ch-0.hosts</host><port>9000</port></replica>
        <replica><host>ch-1.hosts</host><port>9000</port></replica></shard></main></remote_servers>
        <macros><replica from_env=\"POD\"/></macros></clickhouse>";
    ["ch-0", "ch-1"].map(|name| {
        let mut settings = Settings::default();
        settings.read(file, &std::iter::once(("POD".to_owned(), name.to_owned())).collect());
        let (user, password) = ("app".to_owned(), "secret".to_owned());
        let (name, databases) = (name.to_owned(), vec!["app".to_owned()]);
        Arc::new(Server::new(Config { name, user, password, databases, settings, ..Config::default() }, &keeper))
    })
}

const COPIED: &str =
    "CREATE TABLE t (value String) ENGINE = ReplicatedMergeTree('/clickhouse/t', '{replica}') ORDER BY tuple()";
const HOSTS: &str = "SELECT host_name, is_local FROM system.clusters";
const STATE: &str = "SELECT is_readonly, is_session_expired, active_replicas FROM system.replicas";
const PATH: &str = "SELECT count() FROM system.zookeeper WHERE path = '/clickhouse' AND name = 't'";

#[tokio::test]
async fn of_two_replicas_one_says_by_a_fault_of_its_own_that_something_is_wrong() {
    for (fault, sql, said) in [
        (None, HOSTS, "ch-0.hosts\t1\nch-1.hosts\t0\n"),
        (None, STATE, "0\t0\t2\n"),
        (None, SELECT, "b\n"),
        (None, PATH, "1\n"),
        (Some(Fault::NoCluster), HOSTS, ""),
        (Some(Fault::HidesClusters), HOSTS, "497 "),
        (Some(Fault::ListsFewer), HOSTS, "ch-0.hosts\t1\n"),
        (Some(Fault::ListsNobody), HOSTS, "ch-0.hosts\t1\nnobody\t0\n"),
        (Some(Fault::IsNoneOfThem), HOSTS, "ch-0.hosts\t0\nch-1.hosts\t0\n"),
        (Some(Fault::NoKeeper), PATH, "999 "),
        (Some(Fault::NoKeeper), STATE, "1\t1\t0\n"),
        (Some(Fault::NoKeeper), INSERT, "242 "),
        (Some(Fault::SessionExpired), STATE, "1\t1\t0\n"),
        (Some(Fault::SessionExpired), INSERT, "242 "),
        (Some(Fault::SessionExpired), DROP, "242 "),
        (Some(Fault::TablesReadOnly), STATE, "1\t0\t2\n"),
        (Some(Fault::TablesReadOnly), INSERT, "242 "),
        (Some(Fault::DoesNotFetch), SELECT, ""),
        (Some(Fault::AloneInKeeper), STATE, "0\t0\t1\n"),
    ] {
        let [one, other] = replicas();
        for (server, sql) in [(&one, COPIED), (&other, COPIED), (&other, "INSERT INTO t VALUES ('b')")] {
            asked(server, LOGIN, sql).await.unwrap();
        }
        one.inject(fault);
        let found = asked(&one, LOGIN, sql).await.unwrap_or_else(|refusal| refusal[..4].to_owned());
        assert_eq!(found, said, "{fault:?}: {sql}");
    }
}

#[tokio::test]
async fn no_table_is_made_without_keeper_or_macros_or_under_the_name_of_another_replica() {
    for (fault, code) in [(Fault::NoKeeper, "999 "), (Fault::NoMacros, "139 "), (Fault::OneReplicaName, "253 ")] {
        let [one, other] = replicas();
        for server in [&one, &other] {
            server.inject(Some(fault));
        }
        let first = asked(&one, LOGIN, COPIED).await;
        assert_eq!(first.is_ok(), fault == Fault::OneReplicaName, "{fault:?}: {first:?}");
        assert!(asked(&other, LOGIN, COPIED).await.unwrap_err().starts_with(code), "{fault:?}");
        other.inject(None);
        assert!(asked(&other, LOGIN, COPIED).await.is_ok(), "{fault:?}");
    }
}

#[tokio::test]
async fn what_keeper_has_goes_with_the_last_replica_or_stays() {
    for (fault, left) in [(None, "0\n"), (Some(Fault::KeepsPaths), "1\n")] {
        let [one, other] = replicas();
        for server in [&one, &other] {
            asked(server, LOGIN, COPIED).await.unwrap();
            server.inject(fault);
        }
        asked(&one, LOGIN, DROP).await.unwrap();
        assert_eq!(asked(&other, LOGIN, PATH).await.as_deref(), Ok("1\n"));
        asked(&other, LOGIN, DROP).await.unwrap();
        assert_eq!(asked(&one, LOGIN, PATH).await.as_deref(), Ok(left), "{fault:?}");
    }
    let [one, other] = replicas();
    for server in [&one, &other] {
        asked(server, LOGIN, COPIED).await.unwrap();
    }
    other.stop();
    assert_eq!(asked(&one, LOGIN, STATE).await.as_deref(), Ok("0\t0\t1\n"));
}

#[tokio::test]
async fn any_password_and_none_are_right_or_are_not() {
    let server = server();
    let wrong =
        [Login { password: "wrong", ..LOGIN }, Login { password: "", ..LOGIN }, Login { user: "nobody", ..LOGIN }];
    for login in wrong {
        assert!(asked(&server, login, "SELECT 1").await.unwrap_err().starts_with("516 "));
    }
    server.inject(Some(Fault::AcceptsAnyPassword));
    for login in wrong {
        assert_eq!(asked(&server, login, "SELECT 1").await.as_deref(), Ok("1\n"));
    }
}

#[tokio::test]
async fn a_server_is_overloaded_and_there_all_the_same() {
    let server = server();
    let ping = "GET /ping HTTP/1.1\r\nHost: clickhouse\r\nConnection: close\r\n\r\n";
    let pinged = async || http_exchange(&mut dial(&StandIn::Clickhouse(Arc::clone(&server))), ping).await;
    for fault in [None, Some(Fault::Overloaded), Some(Fault::OutOfMemory)] {
        server.inject(fault);
        let said = pinged().await;
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\nOk.\n"), "{said}");
    }
    // A limit of queries does not let in whoever has the wrong password.
    server.inject(Some(Fault::Overloaded));
    let wrong = Login { password: "wrong", ..LOGIN };
    assert!(asked(&server, wrong, "SELECT 1").await.unwrap_err().starts_with("516 "));
    server.inject(Some(Fault::NotClickhouse));
    let said = pinged().await;
    assert!(said.ends_with("\r\n\r\nIt works!\n") && !said.to_lowercase().contains("x-clickhouse"), "{said}");
    server.inject(Some(Fault::ClosesMidReply));
    let said = pinged().await;
    assert!(said.ends_with("\r\n\r\nOk"), "{said}");
}

#[tokio::test]
async fn an_old_version_is_told_with_each_exception_as_well() {
    let server = server();
    server.inject(Some(Fault::WrongVersion));
    assert_eq!(asked(&server, LOGIN, "SELECT version()").await.as_deref(), Ok("1.1.54394\n"));
    assert!(asked(&server, LOGIN, SELECT).await.unwrap_err().contains("(version 1.1.54394 "));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_says_nothing_until_it_does_not() {
    let server = server();
    server.inject(Some(Fault::Hangs));
    let mut answer = Box::pin(asked(&server, LOGIN, "SELECT 1"));
    timeout(Duration::from_secs(60), &mut answer).await.unwrap_err();
    server.inject(None);
    assert_eq!(answer.await.as_deref(), Ok("1\n"));
}

#[tokio::test]
async fn the_native_port_tells_who_speaks_http_where_to_go() {
    for (said, heard) in
        [("GET / HTTP/1.1\r\n\r\n", "You must use port 8123 for HTTP.\r\n"), ("\0\u{11}ClickHouse", "")]
    {
        let (mut ours, theirs) = tokio::io::duplex(1 << 10);
        tokio::spawn(serve_native(theirs));
        ours.write_all(said.as_bytes()).await.unwrap();
        let mut all = String::new();
        ours.read_to_string(&mut all).await.unwrap();
        assert!(all.ends_with(heard) && (heard.is_empty() == all.is_empty()), "{all}");
    }
}
