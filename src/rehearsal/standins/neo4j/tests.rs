//! Faults, as a client sees them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::conformance::{BoltClient, neo4j_ask, neo4j_run};
use super::{Config, Fault, Server};
use crate::rehearsal::standins::StandIn;
use crate::rehearsal::standins::conformance::{Connection, Login, dial};

const LOGIN: Login<'static> = Login { user: "neo4j", password: "only-for-this", database: "neo4j" };
const STRANGER: Login<'static> = Login { user: "nobody", ..LOGIN };

const MAKE: &str = "CREATE (n:Note {token: $token}) RETURN n.token";
const FIND: &str = "MATCH (n:Note {token: $token}) RETURN n.token";
const DELETE: &str = "MATCH (n:Note {token: $token}) DETACH DELETE n";

fn told(environment: &[(&str, &str)]) -> Config {
    let environment: BTreeMap<_, _> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::told(&environment)
}

fn server() -> Arc<Server> {
    Arc::new(Server::new(told(&[("NEO4J_AUTH", "neo4j/only-for-this")])))
}

fn to(server: &Arc<Server>) -> Connection {
    dial(&StandIn::Neo4j(Arc::clone(server)))
}

async fn ran(server: &Arc<Server>, statement: &str) -> (u16, Result<Vec<Value>, String>) {
    neo4j_run(to(server), LOGIN, statement, json!({ "token": "t" })).await
}

async fn over_bolt(server: &Arc<Server>, statement: &str) -> Result<Vec<Value>, String> {
    BoltClient::inside(to(server), LOGIN).await.run(LOGIN, statement, json!({ "token": "t" })).await
}

#[tokio::test]
async fn what_a_fault_refuses_is_refused_with_its_code_and_taken_after_it() {
    for (fault, statement, status, code) in [
        (Fault::RejectsLogin, "RETURN 1", 401, "Neo.ClientError.Security.Unauthorized"),
        (Fault::AccountLocked, "RETURN 1", 429, "Neo.ClientError.Security.AuthenticationRateLimit"),
        (Fault::PasswordExpired, "RETURN 1", 200, "Neo.ClientError.Security.CredentialsExpired"),
        (Fault::NoDatabase, "RETURN 1", 404, "Neo.ClientError.Database.DatabaseNotFound"),
        (Fault::DatabaseUnavailable, "RETURN 1", 404, "Neo.TransientError.General.DatabaseUnavailable"),
        (Fault::ReadOnly, MAKE, 200, "Neo.ClientError.General.WriteOnReadOnlyAccessDatabase"),
        (Fault::RefusesDeletes, DELETE, 200, "Neo.ClientError.Security.Forbidden"),
    ] {
        let server = server();
        server.inject(Some(fault));
        assert_eq!(ran(&server, statement).await, (status, Err(code.to_owned())), "{fault:?}");
        server.inject(None);
        assert_eq!(ran(&server, statement).await.0, 200, "{fault:?}");
    }
    let server = server();
    server.inject(Some(Fault::UnavailableOnceDeleted));
    for (statement, status) in [(MAKE, 200), (FIND, 200), (DELETE, 200), (FIND, 404)] {
        assert_eq!(ran(&server, statement).await.0, status, "{statement}");
    }
}

#[tokio::test]
async fn nodes_are_lost_doubled_and_kept_as_a_fault_has_it() {
    for (fault, statements, found) in [
        (Fault::LosesNodes, &[MAKE][..], vec![]),
        (Fault::DoublesNodes, &[MAKE], vec![json!("t"), json!("t")]),
        (Fault::OtherValues, &[MAKE], vec![json!("other")]),
        (Fault::KeepsNodes, &[MAKE, DELETE], vec![json!("t")]),
        (Fault::BoltShowsOthers, &[MAKE], vec![json!("t")]),
    ] {
        let server = server();
        server.inject(Some(fault));
        for statement in statements {
            assert_eq!(ran(&server, statement).await.0, 200);
        }
        let shown = if fault == Fault::BoltShowsOthers { Vec::new() } else { found.clone() };
        assert_eq!(ran(&server, FIND).await, (200, Ok(found)), "{fault:?}");
        assert_eq!(over_bolt(&server, FIND).await, Ok(shown), "{fault:?}");
    }
}

#[tokio::test]
async fn a_stranger_comes_in_through_the_door_that_a_fault_opens() {
    for (fault, http, bolt) in [
        (None, 401, 0x7f),
        (Some(Fault::AcceptsAnyone), 200, 0x70),
        (Some(Fault::BoltAcceptsAnyone), 401, 0x70),
        (Some(Fault::BoltRejectsLogin), 401, 0x7f),
    ] {
        let server = server();
        server.inject(fault);
        assert_eq!(neo4j_run(to(&server), STRANGER, "RETURN 1", json!({})).await.0, http, "{fault:?}");
        let mut client = BoltClient::propose(to(&server), 5, 8, 8).await;
        assert_eq!(client.log_in(STRANGER).await.0, bolt, "{fault:?}");
    }
    let server = server();
    server.inject(Some(Fault::BoltRejectsLogin));
    assert_eq!(ran(&server, "RETURN 1").await.0, 200);
    assert_eq!(BoltClient::propose(to(&server), 5, 8, 8).await.log_in(LOGIN).await.0, 0x7f);
}

#[tokio::test]
async fn what_it_says_of_itself_changes_with_the_fault() {
    let server = server();
    for (fault, version, bolt) in [
        (None, "5.26.0", "bolt://graph:7687"),
        (Some(Fault::WrongVersion), "4.4.38", "bolt://graph:7687"),
        (Some(Fault::AdvertisesItself), "5.26.0", "bolt://localhost:7687"),
    ] {
        server.inject(fault);
        let (_, said) = neo4j_ask(to(&server), None, "GET /", "").await;
        assert_eq!((&said["neo4j_version"], &said["bolt_direct"]), (&json!(version), &json!(bolt)), "{fault:?}");
    }
    for (fault, status) in [(Fault::Status500, 500), (Fault::Overloaded, 503), (Fault::NotNeo4j, 200)] {
        server.inject(Some(fault));
        assert_eq!(neo4j_ask(to(&server), None, "GET /", "").await, (status, Value::Null), "{fault:?}");
    }
    server.inject(Some(Fault::OldBolt));
    assert_eq!(BoltClient::propose(to(&server), 5, 8, 8).await.version, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_door_that_hangs_goes_on_after_the_fault_and_one_may_speak_http() {
    let server = server();
    server.inject(Some(Fault::BoltHangs));
    let mut proposing = Box::pin(BoltClient::propose(to(&server), 5, 8, 8));
    assert!(timeout(Duration::from_secs(5), &mut proposing).await.is_err());
    assert_eq!(ran(&server, "RETURN 1").await.0, 200);
    server.inject(None);
    assert_eq!(proposing.await.version, (5, 8));
    server.inject(Some(Fault::Hangs));
    assert!(timeout(Duration::from_secs(5), ran(&server, "RETURN 1")).await.is_err());
    server.inject(Some(Fault::BoltSpeaksHttp));
    let mut stream = to(&server);
    stream.write_all(&[0x60, 0x60, 0xb0, 0x17]).await.unwrap();
    let mut said = [0; 4];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(said, *b"HTTP");
}

#[test]
fn it_is_told_as_the_official_image_is() {
    let usual = told(&[]);
    assert_eq!((usual.http, usual.bolt, usual.database.as_str(), usual.is_expired), (7474, 7687, "neo4j", true));
    let other = told(&[
        ("NEO4J_AUTH", "neo4j/with/slashes"),
        ("NEO4J_server_http_listen__address", "0.0.0.0:8474"),
        ("NEO4J_server_bolt_listen__address", ":8687"),
        ("NEO4J_server_bolt_advertised__address", "graph.example.com:443"),
        ("NEO4J_initial_dbms_default__database", "orders"),
    ]);
    assert_eq!((other.http, other.bolt, other.database.as_str(), other.is_expired), (8474, 8687, "orders", false));
    assert_eq!(other.password.as_deref(), Some("with/slashes"));
    assert_eq!(other.advertised.as_deref(), Some("graph.example.com:443"));
    assert_eq!(told(&[("NEO4J_AUTH", "none")]).password, None);
}
