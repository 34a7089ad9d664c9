//! Faults, replication and Sentinels, as a client sees them.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{advance, timeout};

use super::conformance::{ask, redis_client};
use super::{Config, Fault, Server, User};
use crate::rehearsal::standins::StandIn;
use crate::rehearsal::standins::conformance::dial;

fn server() -> Arc<Server> {
    Arc::new(Server::new(Config { password: Some("secret".to_owned()), ..Config::default() }))
}

fn open(port: u16) -> Arc<Server> {
    Arc::new(Server::new(Config { ip: "10.0.0.7".to_owned(), port, ..Config::default() }))
}

/// What a server says to each of these commands on one connection; errors are in place of answers.
async fn said(server: &Arc<Server>, commands: &[&str]) -> Vec<String> {
    let mut client = redis_client(dial(&StandIn::Redis(Arc::clone(server)))).await;
    let mut all = Vec::new();
    for command in commands {
        all.push(match ask::<Value>(&mut client, command).await {
            Ok(Value::Okay) => "OK".to_owned(),
            Ok(Value::SimpleString(word)) => word,
            Ok(Value::BulkString(bytes)) => String::from_utf8(bytes).unwrap(),
            Ok(Value::Int(number)) => number.to_string(),
            Ok(Value::Nil) => "nil".to_owned(),
            Ok(other) => format!("{other:?}"),
            Err(words) => words,
        });
    }
    all
}

async fn line(server: &Arc<Server>, name: &str) -> Option<String> {
    let info = said(server, &["INFO"]).await.remove(0);
    let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.map(str::to_owned)
}

#[tokio::test]
async fn every_fault_shows_and_passes() {
    let commands = ["AUTH secret", "PING", "SET a 2", "GET a", "INFO replication"];
    for (fault, at, words) in [
        (Fault::RefusesWrites, 1, "MISCONF Redis is configured to save RDB snapshots, but"),
        (Fault::RefusesWrites, 2, "MISCONF Redis is configured to save RDB snapshots, but"),
        (Fault::OutOfMemory, 2, "OOM command not allowed when used memory > 'maxmemory'."),
        (Fault::WrongRole, 4, "# Replication\r\nrole:slave\r\n"),
        (Fault::StaleRead, 3, "1"),
        (Fault::AuthRefused, 0, "WRONGPASS invalid username-password pair or user is disabled."),
        (Fault::AuthRefused, 1, "NOAUTH Authentication required."),
        (Fault::NoPassword, 0, "ERR AUTH <password> called without any password configured for the default user."),
        (Fault::PingOnly, 2, "ERR unknown command 'SET', with args beginning with: 'a' '2' "),
        (Fault::PingOnly, 4, "ERR unknown command 'INFO', with args beginning with: 'replication' "),
        (Fault::Loading, 1, "LOADING Redis is loading the dataset in memory"),
        (Fault::Loading, 2, "LOADING Redis is loading the dataset in memory"),
        (Fault::LosesWrites, 3, "1"),
    ] {
        let server = server();
        said(&server, &["AUTH secret", "SET a 1"]).await;
        server.inject(Some(fault));
        let faulty = said(&server, &commands).await;
        assert!(faulty[at].starts_with(words), "{fault:?}: {faulty:?}");
        server.inject(None);
        let healthy = said(&server, &commands).await;
        assert_eq!(healthy[..4], ["OK", "PONG", "OK", "2"], "{fault:?}");
        assert!(healthy[4].starts_with("# Replication\r\nrole:master\r\n"), "{fault:?}: {healthy:?}");
    }
}

#[tokio::test]
async fn a_stale_read_of_a_new_key_finds_none_and_a_lost_write_leaves_none() {
    for fault in [Fault::StaleRead, Fault::LosesWrites] {
        let server = open(6379);
        server.inject(Some(fault));
        assert_eq!(said(&server, &["SET a 1", "GET a"]).await, ["OK", "nil"], "{fault:?}");
    }
}

#[tokio::test]
async fn any_password_is_right_where_all_are() {
    let server = server();
    server.inject(Some(Fault::AcceptsAnyPassword));
    assert_eq!(said(&server, &["PING", "AUTH wrong", "PING"]).await[1..], ["OK", "PONG"]);
    server.inject(Some(Fault::NoPassword));
    assert_eq!(said(&server, &["PING"]).await, ["PONG"]);
}

#[tokio::test]
async fn a_server_of_another_version_says_so_wherever_it_says_one() {
    let server = open(6379);
    assert_eq!(line(&server, "redis_version").await.unwrap(), "7.0.15");
    server.inject(Some(Fault::WrongVersion));
    assert_eq!(line(&server, "redis_version").await.unwrap(), "2.8.24");
    let mut client = redis_client(dial(&StandIn::Redis(server))).await;
    let greeting: Vec<Value> = ask(&mut client, "HELLO").await.unwrap();
    assert_eq!(greeting[3], Value::BulkString(b"2.8.24".to_vec()));
}

#[tokio::test]
async fn a_reply_is_broken_off_and_a_stranger_speaks_http() {
    for (fault, heard) in [(Fault::ClosesMidReply, "+PO"), (Fault::NotRedis, "HTTP/1.1 400 Bad Request\r\n")] {
        let server = open(6379);
        server.inject(Some(fault));
        let mut stream = dial(&StandIn::Redis(server));
        stream.write_all(b"PING\r\n").await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert!(all.starts_with(heard) && !all.contains("PONG"), "{fault:?}: {all}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_answers_when_it_no_longer_does() {
    let server = open(6379);
    let mut stream = dial(&StandIn::Redis(Arc::clone(&server)));
    server.inject(Some(Fault::Hangs));
    stream.write_all(b"PING\r\n").await.unwrap();
    let mut reply = [0; 7];
    timeout(Duration::from_secs(60), stream.read_exact(&mut reply)).await.unwrap_err();
    server.inject(None);
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_away_by_the_clock() {
    let server = open(6379);
    assert_eq!(said(&server, &["SET a 1 EX 2", "TTL a", "DBSIZE"]).await, ["OK", "2", "1"]);
    advance(Duration::from_secs(2)).await;
    assert_eq!(said(&server, &["GET a", "TTL a", "DBSIZE"]).await, ["nil", "-2", "0"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_arrives_after_its_lag_and_not_before() {
    let (master, replica) = (open(1), open(2));
    said(&master, &["SET before 1"]).await;
    replica.follow(&master);
    said(&master, &["SET a 1 EX 9"]).await;
    assert_eq!(said(&replica, &["GET before", "GET a"]).await, ["1", "nil"]);
    advance(Duration::from_millis(5)).await;
    assert_eq!(said(&replica, &["GET a", "TTL a"]).await, ["1", "9"]);
    said(&master, &["DEL a"]).await;
    advance(Duration::from_millis(5)).await;
    assert_eq!(replica.get("a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_lets_those_that_follow_have_all_first() {
    let (master, replica) = (open(1), open(2));
    replica.follow(&master);
    said(&master, &["SET a 1"]).await;
    master.stop();
    replica.lead();
    assert_eq!(said(&replica, &["GET a"]).await, ["1"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_replicated_arrives_when_the_fault_is_over() {
    for fault in [Fault::DoesNotReplicate, Fault::LinkDown] {
        for at_master in [true, false] {
            let (master, replica) = (open(1), open(2));
            replica.follow(&master);
            let faulty = if at_master { &master } else { &replica };
            faulty.inject(Some(fault));
            said(&master, &["SET a 1"]).await;
            advance(Duration::from_secs(1)).await;
            assert_eq!(said(&replica, &["GET a"]).await, ["nil"], "{fault:?}");
            let is_up = fault == Fault::DoesNotReplicate;
            assert_eq!(line(&replica, "master_link_status").await.unwrap(), if is_up { "up" } else { "down" });
            assert_eq!(line(&master, "connected_slaves").await.unwrap(), if is_up { "1" } else { "0" });
            faulty.inject(None);
            assert_eq!(said(&replica, &["GET a"]).await, ["1"], "{fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_whose_master_is_gone_says_so_and_may_lead() {
    for stops in [true, false] {
        let (master, replica) = (open(1), open(2));
        replica.follow(&master);
        let line_of_replica = "ip=10.0.0.7,port=2,state=online,offset=0,lag=0";
        assert_eq!(line(&master, "slave0").await.unwrap(), line_of_replica);
        said(&master, &["SET a 1"]).await;
        advance(Duration::from_secs(1)).await;
        if stops {
            master.stop();
        }
        drop(master);
        assert_eq!(line(&replica, "master_link_status").await.unwrap(), "down");
        let written = said(&replica, &["SET b 1"]).await;
        assert_eq!(written, ["READONLY You can't write against a read only replica."]);
        replica.lead();
        assert_eq!(said(&replica, &["GET a", "SET b 1"]).await, ["1", "OK"]);
        assert_eq!(line(&replica, "role").await.unwrap(), "master");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_stopped_ends_its_connections_and_takes_no_more() {
    let server = open(6379);
    let mut before = dial(&StandIn::Redis(Arc::clone(&server)));
    before.write_all(b"PING\r\n").await.unwrap();
    before.read_exact(&mut [0; 7]).await.unwrap();
    server.stop();
    let mut after = dial(&StandIn::Redis(server));
    for stream in [&mut before, &mut after] {
        let mut rest = [0; 1];
        assert_eq!(timeout(Duration::from_secs(60), stream.read(&mut rest)).await.unwrap().unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_counts_those_that_have_all() {
    let (master, replica) = (open(1), open(2));
    replica.follow(&master);
    assert_eq!(said(&master, &["SET a 1", "WAIT 1 1000"]).await, ["OK", "1"]);
    replica.inject(Some(Fault::DoesNotReplicate));
    assert_eq!(said(&master, &["SET a 2", "WAIT 1 1000"]).await, ["OK", "0"]);
}

#[tokio::test]
async fn a_flush_takes_what_is_in_one_database_or_in_all() {
    let server = open(6379);
    let fill = ["SET a 1", "SELECT 1", "SET a 1", "FLUSHDB", "DBSIZE", "SELECT 0", "DBSIZE", "FLUSHALL", "DBSIZE"];
    assert_eq!(said(&server, &fill).await, ["OK", "OK", "OK", "OK", "0", "OK", "1", "OK", "0"]);
}

#[tokio::test]
async fn a_user_may_run_what_is_not_denied_it() {
    let user = User { name: "bob".to_owned(), password: "pw".to_owned(), denied: vec!["set".to_owned()] };
    let server = Arc::new(Server::new(Config { users: vec![user], ..Config::default() }));
    let all = said(&server, &["AUTH bob wrong", "AUTH bob pw", "GET a", "SET a 1"]).await;
    assert!(all[0].starts_with("WRONGPASS "), "{all:?}");
    assert_eq!(all[1..], ["OK", "nil", "NOPERM this user has no permissions to run the 'set' command"]);
}

#[tokio::test]
async fn a_sentinel_says_who_leads_and_forgets_who_did() {
    let (master, replica) = (open(1), open(2));
    replica.follow(&master);
    let sentinel = Arc::new(Server::new(Config { sentinel: true, ..Config::default() }));
    sentinel.watch("main", &master, 2, 3);
    let mut client = redis_client(dial(&StandIn::Redis(Arc::clone(&sentinel)))).await;
    let address = |port: &str| Ok(Some(("10.0.0.7".to_owned(), port.to_owned())));
    assert_eq!(ask(&mut client, "SENTINEL get-master-addr-by-name main").await, address("1"));
    assert_eq!(ask::<Option<(String, String)>>(&mut client, "SENTINEL get-master-addr-by-name x").await, Ok(None));
    let fields: Vec<String> = ask(&mut client, "SENTINEL master main").await.unwrap();
    let field = |fields: &[String], name: &str| {
        fields.chunks(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone()).unwrap()
    };
    assert_eq!((field(&fields, "flags"), field(&fields, "num-slaves")), ("master".to_owned(), "1".to_owned()));
    let replicas: Vec<Vec<String>> = ask(&mut client, "SENTINEL replicas main").await.unwrap();
    assert_eq!(field(&replicas[0], "name"), "10.0.0.7:2");
    let quorum = "OK 3 usable Sentinels. Quorum and failover authorization can be reached";
    assert_eq!(ask(&mut client, "SENTINEL ckquorum main").await, Ok(quorum.to_owned()));
    assert_eq!(
        ask::<Value>(&mut client, "SENTINEL ckquorum x").await,
        Err("ERR No such master with that name".to_owned())
    );
    assert_eq!(ask(&mut client, "ROLE").await, Ok(("sentinel".to_owned(), vec!["main".to_owned()])));
    let unknown = "ERR unknown command 'GET', with args beginning with: 'a' ".to_owned();
    assert_eq!(ask::<Value>(&mut client, "GET a").await, Err(unknown));
    master.stop();
    let fields: Vec<String> = ask(&mut client, "SENTINEL master main").await.unwrap();
    assert_eq!(field(&fields, "flags"), "s_down,o_down,master,disconnected");
    replica.lead();
    sentinel.watch("main", &replica, 2, 3);
    assert_eq!(ask(&mut client, "SENTINEL get-master-addr-by-name main").await, address("2"));
}

#[tokio::test(start_paused = true)]
async fn where_a_master_is_gone_for_long_all_sentinels_let_the_one_lead_that_has_most_of_it() {
    let (master, behind, ahead) = (open(1), open(2), open(3));
    let sentinels = [(); 2].map(|()| Arc::new(Server::new(Config { sentinel: true, ..Config::default() })));
    sentinels.iter().for_each(|sentinel| sentinel.watch("main", &master, 2, 3));
    behind.follow(&master);
    ahead.follow(&master);
    behind.inject(Some(Fault::DoesNotReplicate));
    said(&master, &["SET a 1"]).await;
    advance(Duration::from_secs(1)).await;
    assert_eq!(said(&ahead, &["GET a"]).await, ["1"]);
    master.stop();
    let leads = async |sentinel: &Arc<Server>| {
        let mut client = redis_client(dial(&StandIn::Redis(Arc::clone(sentinel)))).await;
        ask::<(String, String)>(&mut client, "SENTINEL get-master-addr-by-name main").await.unwrap().1
    };
    assert_eq!(leads(&sentinels[0]).await, "1");
    advance(Duration::from_secs(1)).await;
    behind.inject(None);
    for sentinel in &sentinels {
        assert_eq!(leads(sentinel).await, "3");
    }
    assert!(behind.is_following(&ahead));
    assert_eq!(said(&ahead, &["GET a", "SET b 2"]).await, ["1", "OK"]);
    advance(Duration::from_secs(1)).await;
    assert_eq!(said(&behind, &["GET a", "GET b"]).await, ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn each_fault_of_a_sentinel_is_in_what_it_says() {
    let (master, replica) = (open(1), open(2));
    replica.follow(&master);
    let config = Config { sentinel: true, ip: "10.0.0.9".to_owned(), ..Config::default() };
    let sentinel = Arc::new(Server::new(config));
    sentinel.watch("main", &master, 2, 3);
    let mut client = redis_client(dial(&StandIn::Redis(Arc::clone(&sentinel)))).await;
    for (fault, name, said) in [
        (Fault::NamesAnother, "ip", "10.0.0.9"),
        (Fault::NamesLoopback, "ip", "127.0.0.1"),
        (Fault::SeesItDown, "flags", "s_down,o_down,master,disconnected"),
        (Fault::KnowsFewer, "num-other-sentinels", "0"),
    ] {
        sentinel.inject(Some(fault));
        let fields: Vec<String> = ask(&mut client, "SENTINEL master main").await.unwrap();
        let value = fields.chunks(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
        assert_eq!(value, Some(said), "{fault:?}");
    }
    sentinel.inject(Some(Fault::KnowsNoMaster));
    let nobody = Err("ERR No such master with that name".to_owned());
    assert_eq!(ask::<Value>(&mut client, "SENTINEL master main").await, nobody);
    sentinel.inject(Some(Fault::NoQuorum));
    let few = ask::<Value>(&mut client, "SENTINEL ckquorum main").await.unwrap_err();
    assert!(few.starts_with("NOQUORUM 1 usable Sentinels."), "{few}");
    sentinel.inject(Some(Fault::NeverElects));
    master.stop();
    advance(Duration::from_secs(60)).await;
    let fields: Vec<String> = ask(&mut client, "SENTINEL master main").await.unwrap();
    assert!(fields.iter().any(|field| field == "1"), "{fields:?}");
}
