//! Faults, as a client sees them.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::conformance::{postgres_client, run, shown};
use super::{Config, Fault, History, Refusal, Server, Setup, User};
use crate::rehearsal::standins::StandIn;
use crate::rehearsal::standins::conformance::{Login, dial};

const LOGIN: Login<'static> = Login { user: "app", password: "secret", database: "app" };

fn server() -> Arc<Server> {
    let users = vec![User { name: "app".to_owned(), password: "secret".to_owned() }];
    Arc::new(Server::new(Config { users, databases: vec!["app".to_owned()], ..Config::default() }))
}

async fn client(server: &Arc<Server>, login: Login<'_>) -> Result<tokio_postgres::Client, String> {
    postgres_client(dial(&StandIn::Postgres(Arc::clone(server))), login).await
}

#[tokio::test]
async fn a_login_fails_with_the_words_of_its_fault_and_succeeds_after_it() {
    let server = server();
    for (fault, words) in [
        (Fault::RejectsLogin, "FATAL 28P01 password authentication failed for user \"app\""),
        (Fault::StartingUp, "FATAL 57P03 the database system is starting up"),
        (Fault::TooManyConnections, "FATAL 53300 sorry, too many clients already"),
        (Fault::NoDatabase, "FATAL 3D000 database \"app\" does not exist"),
    ] {
        server.inject(Some(fault));
        assert_eq!(client(&server, LOGIN).await.err().as_deref(), Some(words));
        server.inject(None);
        assert!(client(&server, LOGIN).await.is_ok(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_password_is_asked_for_and_not_looked_at_or_not_asked_for_at_all() {
    let server = server();
    server.inject(Some(Fault::AcceptsAnyPassword));
    assert!(client(&server, Login { password: "wrong", ..LOGIN }).await.is_ok());
    let unasked = || async {
        let mut config = tokio_postgres::Config::new();
        config.user("app").dbname("app");
        let stream = dial(&StandIn::Postgres(Arc::clone(&server)));
        config.connect_raw(stream, tokio_postgres::NoTls).await.is_ok()
    };
    assert!(!unasked().await);
    server.inject(Some(Fault::NoPassword));
    assert!(unasked().await);
    assert!(client(&server, Login { user: "nobody", ..LOGIN }).await.is_ok());
    server.inject(None);
    let nobody = client(&server, Login { user: "nobody", ..LOGIN }).await.err();
    assert_eq!(nobody.as_deref(), Some("FATAL 28P01 password authentication failed for user \"nobody\""));
}

#[tokio::test]
async fn a_write_fails_with_the_words_of_its_fault_and_succeeds_after_it() {
    let server = server();
    let client = client(&server, LOGIN).await.unwrap();
    for (fault, words) in [
        (Fault::ReadOnly, "ERROR 25006 cannot execute CREATE TABLE in a read-only transaction"),
        (Fault::InRecovery, "ERROR 25006 cannot execute CREATE TABLE in a read-only transaction"),
        (Fault::NoPermission, "ERROR 42501 permission denied for schema public"),
        (Fault::NoDisk, "ERROR 53100 could not extend file \"base/16384/16500\": No space left on device"),
    ] {
        let batch = "BEGIN; CREATE TABLE t (value text); INSERT INTO t VALUES ('a'); COMMIT";
        server.inject(Some(fault));
        assert_eq!(run(&client, batch).await.err().as_deref(), Some(words));
        assert_eq!(run(&client, "ROLLBACK").await, Ok(()));
        assert_eq!(server.tables("app"), Vec::<String>::new());
        server.inject(None);
        assert_eq!(run(&client, batch).await, Ok(()), "{fault:?}");
        assert_eq!(server.tables("app"), ["t"]);
        run(&client, "DROP TABLE t").await.unwrap();
    }
}

#[tokio::test]
async fn what_a_server_says_of_itself_changes_with_its_fault() {
    let server = server();
    let client = client(&server, LOGIN).await.unwrap();
    for (fault, sql, said) in [
        (Fault::WrongVersion, "SHOW server_version", "9.6.24"),
        (Fault::InRecovery, "SELECT pg_is_in_recovery()", "t"),
        (Fault::InRecovery, "SHOW in_hot_standby", "on"),
        (Fault::ReadOnly, "SELECT pg_is_in_recovery()", "f"),
        (Fault::ReadOnly, "SHOW default_transaction_read_only", "on"),
    ] {
        server.inject(Some(fault));
        assert_eq!(shown(&client, sql).await, [[Some(said.to_owned())]], "{fault:?}");
    }
}

#[tokio::test]
async fn a_table_that_is_locked_cannot_be_dropped() {
    let server = server();
    let client = client(&server, LOGIN).await.unwrap();
    run(&client, "CREATE TABLE t (value text)").await.unwrap();
    server.inject(Some(Fault::KeepsTables));
    let refused = run(&client, "DROP TABLE IF EXISTS t").await.err();
    assert_eq!(refused.as_deref(), Some("ERROR 55P03 canceling statement due to lock timeout"));
    assert_eq!(server.tables("app"), ["t"]);
}

#[tokio::test]
async fn a_commit_that_is_lost_leaves_a_table_without_rows() {
    let server = server();
    let client = client(&server, LOGIN).await.unwrap();
    server.inject(Some(Fault::LosesCommit));
    run(&client, "BEGIN; CREATE TABLE t (value text); INSERT INTO t VALUES ('a')").await.unwrap();
    assert_eq!(shown(&client, "SELECT value FROM t").await.len(), 1);
    run(&client, "COMMIT").await.unwrap();
    assert_eq!(shown(&client, "SELECT value FROM t").await.len(), 0);
}

#[tokio::test]
async fn a_connection_ends_within_a_reply_or_when_the_server_starts_anew() {
    let server = server();
    let broken = client(&server, LOGIN).await.unwrap();
    server.inject(Some(Fault::ClosesMidReply));
    let said = run(&broken, "SELECT 1").await.unwrap_err();
    assert!(!said.contains("ERROR") && broken.is_closed(), "{said}");
    server.inject(None);
    let ended = client(&server, LOGIN).await.unwrap();
    server.inject(Some(Fault::StartingUp));
    let said = run(&ended, "SELECT 1").await.unwrap_err();
    assert_eq!(said, "FATAL 57P01 terminating connection due to administrator command");
}

#[tokio::test]
async fn a_stranger_speaks_http() {
    let server = server();
    server.inject(Some(Fault::NotPostgres));
    let mut stream = dial(&StandIn::Postgres(Arc::clone(&server)));
    stream.write_all(&[0, 0, 0, 8, 0, 3, 0, 0]).await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    assert!(all.starts_with("HTTP/1.1 400 "), "{all}");
    assert!(client(&server, LOGIN).await.is_err());
}

#[tokio::test]
async fn a_server_that_hangs_answers_when_it_no_longer_does() {
    let server = server();
    let client = client(&server, LOGIN).await.unwrap();
    tokio::time::pause();
    server.inject(Some(Fault::Hangs));
    let mut asking = Box::pin(shown(&client, "SELECT 1"));
    timeout(Duration::from_secs(60), &mut asking).await.unwrap_err();
    server.inject(None);
    assert_eq!(asking.await, [[Some("1".to_owned())]]);
}

#[tokio::test]
async fn a_replica_says_that_it_is_one() {
    let users = vec![User { name: "app".to_owned(), password: "secret".to_owned() }];
    let config = Config { users, databases: vec!["app".to_owned()], is_in_recovery: true, ..Config::default() };
    let client = client(&Arc::new(Server::new(config)), LOGIN).await.unwrap();
    assert_eq!(shown(&client, "SELECT pg_is_in_recovery()").await, [[Some("t".to_owned())]]);
    let refused = run(&client, "CREATE TABLE t (value text)").await;
    assert_eq!(refused, Err("ERROR 25006 cannot execute CREATE TABLE in a read-only transaction".to_owned()));
}

#[tokio::test]
async fn what_is_committed_reaches_who_follows_and_both_say_so() {
    let primary = server();
    let users = vec![User { name: "app".to_owned(), password: "secret".to_owned() }];
    let name = "pg-1".to_owned();
    let config = Config { name, users, databases: vec!["app".to_owned()], is_in_recovery: true, ..Config::default() };
    let replica = Arc::new(Server::new(config));
    replica.follow(&primary);
    assert!(replica.is_following(&primary) && !primary.is_following(&replica));
    let (one, two) = (client(&primary, LOGIN).await.unwrap(), client(&replica, LOGIN).await.unwrap());
    run(&one, "CREATE TABLE t (value text)").await.unwrap();
    let cell = |text: &str| Some(text.to_owned());
    let standbys = "SELECT application_name, state FROM pg_stat_replication";
    let receivers = "SELECT count(*) FROM pg_stat_wal_receiver";
    for (of_primary, of_replica, rows, listed, receives) in [
        (None, None, 1, vec![vec![cell("pg-1"), cell("streaming")]], "1"),
        (Some(Fault::DoesNotReplicate), None, 1, vec![vec![cell("pg-1"), cell("streaming")]], "1"),
        (Some(Fault::ReplicasWait), None, 3, vec![vec![cell("pg-1"), cell("catchup")]], "1"),
        (Some(Fault::HidesReplicas), None, 4, vec![vec![cell("pg-1"), None]], "1"),
        (Some(Fault::BacksUp), None, 5, vec![vec![cell("pg_basebackup"), cell("streaming")]], "1"),
        (None, Some(Fault::LinkDown), 5, vec![], "0"),
    ] {
        primary.inject(of_primary);
        replica.inject(of_replica);
        run(&one, "INSERT INTO t VALUES ('a')").await.unwrap();
        assert_eq!(shown(&two, "SELECT value FROM t").await.len(), rows, "{of_primary:?} {of_replica:?}");
        assert_eq!(shown(&one, standbys).await, listed, "{of_primary:?} {of_replica:?}");
        assert_eq!(shown(&two, receivers).await, [[cell(receives)]], "{of_primary:?} {of_replica:?}");
    }
    replica.inject(None);
    primary.stop();
    assert_eq!(shown(&two, receivers).await, [[cell("0")]]);
    assert_eq!(shown(&two, "SELECT value FROM t").await.len(), 6, "it sends what it has before it goes");
}

#[tokio::test]
async fn what_was_made_is_listed_but_for_its_fault() {
    let users = vec![User { name: "app".to_owned(), password: "secret".to_owned() }];
    let mut setup = Setup::default();
    setup.read("CREATE ROLE reader; CREATE EXTENSION pgcrypto; CREATE DATABASE crm");
    let server = Arc::new(Server::new(Config { users, databases: vec!["app".to_owned()], setup, ..Config::default() }));
    let client = client(&server, LOGIN).await.unwrap();
    for (sql, made, fault) in [
        ("SELECT datname FROM pg_database", &["app", "crm"][..], Fault::LacksDatabases),
        ("SELECT rolname FROM pg_roles", &["app", "reader"], Fault::LacksRoles),
        ("SELECT extname FROM pg_extension", &["pgcrypto"], Fault::LacksExtensions),
    ] {
        let names = async || shown(&client, sql).await.into_iter().flatten().flatten().collect::<Vec<_>>();
        let all = names().await;
        assert!(made.iter().all(|name| all.iter().any(|there| there == name)), "{all:?}");
        server.inject(Some(fault));
        let left = names().await;
        assert!(!left.is_empty() && made.iter().all(|name| !left.iter().any(|there| there == name)), "{left:?}");
        server.inject(None);
    }
}

#[tokio::test]
async fn what_a_program_commits_is_there_for_clients_and_for_who_inherits_it() {
    let server = server();
    let mut visit = server.visit("app", "secret", "app").unwrap();
    visit.run("CREATE TABLE t (value text); INSERT INTO t VALUES ('a')").unwrap();
    let refused = visit.run("INSERT INTO t VALUES ('b'); SELECT value FROM nowhere").unwrap_err();
    assert_eq!(refused.words, "relation \"nowhere\" does not exist");
    assert_eq!(shown(&client(&server, LOGIN).await.unwrap(), "SELECT value FROM t").await, [[Some("a".to_owned())]]);
    let heir = self::server();
    heir.inherit(&server);
    run(&client(&server, LOGIN).await.unwrap(), "DROP TABLE t").await.unwrap();
    assert_eq!(shown(&client(&heir, LOGIN).await.unwrap(), "SELECT value FROM t").await, [[Some("a".to_owned())]]);
}

#[test]
fn a_program_is_let_in_as_a_client_is() {
    let server = server();
    let visit = |user, password, database| server.visit(user, password, database).map(drop);
    let refused = |code, words: &str| Err(Refusal { code, words: words.to_owned() });
    assert_eq!(visit("app", "secret", "app"), Ok(()));
    for (user, password) in [("app", "wrong"), ("nobody", "secret")] {
        let words = format!("password authentication failed for user \"{user}\"");
        assert_eq!(visit(user, password, "app"), refused("28P01", &words));
    }
    assert_eq!(visit("app", "secret", "none"), refused("3D000", "database \"none\" does not exist"));
    for (fault, code) in [
        (Fault::StartingUp, "57P03"),
        (Fault::TooManyConnections, "53300"),
        (Fault::RejectsLogin, "28P01"),
        (Fault::NoDatabase, "3D000"),
    ] {
        server.inject(Some(fault));
        assert_eq!(visit("app", "secret", "app").unwrap_err().code, code);
    }
}

#[tokio::test]
async fn a_history_is_shown_as_its_fault_has_it_and_other_tables_as_they_are() {
    let server = server();
    let client = client(&server, LOGIN).await.unwrap();
    for table in ["flyway_schema_history", "others"] {
        let columns = "installed_rank integer, version text, description text, script text";
        run(
            &client,
            &format!("CREATE TABLE {table} ({columns}); INSERT INTO {table} VALUES (1, '1', 'a', 'V1__a.sql')"),
        )
        .await
        .unwrap();
    }
    let rows = async |table: &str| shown(&client, &format!("SELECT installed_rank FROM {table}")).await.len();
    server.inject(Some(Fault::History(History::Lacks)));
    assert_eq!((rows("flyway_schema_history").await, rows("others").await), (0, 1));
    server.inject(Some(Fault::History(History::Grows)));
    drop(server.visit("app", "secret", "app").unwrap());
    server.inject(None);
    assert_eq!((rows("flyway_schema_history").await, rows("others").await), (2, 1));
}
