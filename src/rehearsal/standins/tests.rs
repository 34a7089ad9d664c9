//! The stand-ins are held against what is true of the real servers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::conformance::{self, Connection, Login, dial};
use super::tls::tests::papers;
use super::{StandIn, UnknownFault, clickhouse, dns, echo, http, kafka, neo4j, pgadmin, postgres, redis, s3, tls};

const PASSWORD: &str = "secret";
const LOGIN: Login<'static> = Login { user: "app", password: PASSWORD, database: "app" };

fn redis_server() -> Arc<redis::Server> {
    let lag = Duration::from_millis(5);
    Arc::new(redis::Server::new(redis::Config { password: Some(PASSWORD.to_owned()), lag, ..Default::default() }))
}

fn postgres_server() -> StandIn {
    let users = vec![postgres::User { name: "app".to_owned(), password: PASSWORD.to_owned() }];
    let databases = vec!["app".to_owned()];
    StandIn::Postgres(Arc::new(postgres::Server::new(postgres::Config { users, databases, ..Default::default() })))
}

fn clickhouse_server() -> StandIn {
    let (user, password) = ("app".to_owned(), PASSWORD.to_owned());
    let config = clickhouse::Config { user, password, databases: vec!["app".to_owned()], ..Default::default() };
    StandIn::Clickhouse(Arc::new(clickhouse::Server::new(config, &Arc::default())))
}

fn kafka_broker() -> StandIn {
    StandIn::Kafka(Arc::new(kafka::Server::new(kafka::Config::default(), &Arc::default())))
}

fn s3_server() -> StandIn {
    let (access_key, secret_key) = ("app".to_owned(), PASSWORD.to_owned());
    StandIn::S3(Arc::new(s3::Server::new(s3::Config { access_key, secret_key, ..Default::default() })))
}

fn pgadmin_server() -> StandIn {
    let listed = |name: &str, group: &str, port| pgadmin::Listed {
        name: name.to_owned(),
        group: group.to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        database: "app".to_owned(),
        user: "app".to_owned(),
    };
    let servers = vec![listed("postgres", "Servers", 5432), listed("other", "More", 5433)];
    let (email, password) = ("app@example.com".to_owned(), PASSWORD.to_owned());
    StandIn::Pgadmin(Arc::new(pgadmin::Server::new(pgadmin::Config { port: 80, email, password, servers })))
}

fn neo4j_server() -> StandIn {
    let auth = ("NEO4J_AUTH".to_owned(), format!("neo4j/{PASSWORD}"));
    StandIn::Neo4j(Arc::new(neo4j::Server::new(neo4j::Config::told(&std::iter::once(auth).collect()))))
}

fn dns_server() -> StandIn {
    let api: IpAddr = [10, 96, 0, 1].into();
    let lookup = move |name: &str, _| match name {
        "kubernetes.default.svc.cluster.local" => dns::Answer::Addresses(vec![api]),
        "default.svc.cluster.local" => dns::Answer::NoData,
        _ => dns::Answer::NxDomain,
    };
    StandIn::Dns(Arc::new(dns::Server::new(dns::Config { lookup: Arc::new(lookup) })))
}

fn to(stand_in: &StandIn) -> impl AsyncFn() -> Connection {
    async || dial(stand_in)
}

#[tokio::test]
async fn redis_is_as_the_real_one() {
    let server = StandIn::Redis(redis_server());
    redis::conformance::guards_itself(to(&server), PASSWORD).await;
    redis::conformance::keeps_keys(to(&server), PASSWORD).await;
    redis::conformance::runs_transactions(to(&server), PASSWORD).await;
    redis::conformance::says_what_it_is(to(&server), PASSWORD).await;
    redis::conformance::speaks_both_protocols(to(&server), PASSWORD).await;
    redis::conformance::refuses_nonsense(to(&server)).await;
}

#[tokio::test(start_paused = true)]
async fn redis_replicates_as_the_real_one() {
    let (master, replica) = (redis_server(), redis_server());
    replica.follow(&master);
    let (master, replica) = (StandIn::Redis(master), StandIn::Redis(replica));
    redis::conformance::replicates(to(&master), to(&replica), PASSWORD).await;
}

#[tokio::test]
async fn a_sentinel_is_as_the_real_one() {
    let (master, replica) = (redis_server(), redis_server());
    replica.follow(&master);
    let sentinel = Arc::new(redis::Server::new(redis::Config { sentinel: true, ..Default::default() }));
    sentinel.watch("main", &master, 1, 1);
    redis::conformance::sentinel_watches(to(&StandIn::Redis(sentinel)), "main", None).await;
}

#[tokio::test]
async fn postgres_is_as_the_real_one() {
    let server = postgres_server();
    postgres::conformance::guards_itself(to(&server), LOGIN).await;
    postgres::conformance::says_what_it_is(to(&server), LOGIN).await;
    postgres::conformance::commits(to(&server), LOGIN).await;
    postgres::conformance::refuses(to(&server), LOGIN).await;
    postgres::conformance::takes_parameters(to(&server), LOGIN).await;
    postgres::conformance::meets_strangers(to(&server)).await;
}

#[tokio::test]
async fn postgres_speaks_tls_as_the_real_one() {
    let (chain, key, authority) = papers("postgres.data.svc");
    let users = vec![postgres::User { name: "app".to_owned(), password: PASSWORD.to_owned() }];
    let tls = tls::Identity::read(&chain, &key).map(Arc::new);
    let config = postgres::Config { users, databases: vec!["app".to_owned()], tls, ..Default::default() };
    let server = StandIn::Postgres(Arc::new(postgres::Server::new(config)));
    postgres::conformance::speaks_tls(to(&server), LOGIN, &authority, "postgres.data.svc").await;
}

#[tokio::test]
async fn clickhouse_is_as_the_real_one() {
    let server = clickhouse_server();
    clickhouse::conformance::guards_itself(to(&server), LOGIN).await;
    clickhouse::conformance::keeps_rows(to(&server), LOGIN).await;
    clickhouse::conformance::refuses(to(&server), LOGIN).await;
}

#[tokio::test]
async fn clickhouse_replicates_as_the_real_one() {
    let keeper = Arc::default();
    let replica = |name: &str| {
        let (user, password) = ("app".to_owned(), PASSWORD.to_owned());
        let mut settings = clickhouse::Settings::default();
        let file = "<clickhouse><zookeeper><node><host>keeper</host><port>2181</port></node></zookeeper>
            <remote_servers><main><shard><replica><host>ch-0</host><port>9000</port></replica>
            <replica><host>ch-1</host><port>9000</port></replica></shard></main></remote_servers>
            <macros><replica from_env=\"POD\"/></macros></clickhouse>";
        settings.read(file, &std::iter::once(("POD".to_owned(), name.to_owned())).collect());
        let (name, databases) = (name.to_owned(), vec!["app".to_owned()]);
        let config = clickhouse::Config { name, user, password, databases, settings, ..Default::default() };
        StandIn::Clickhouse(Arc::new(clickhouse::Server::new(config, &keeper)))
    };
    let (one, other) = (replica("ch-0"), replica("ch-1"));
    clickhouse::conformance::replicates(to(&one), to(&other), LOGIN).await;
}

#[tokio::test]
async fn s3_is_as_the_real_one() {
    let server = s3_server();
    s3::conformance::guards_itself(to(&server), LOGIN).await;
    s3::conformance::keeps_objects(to(&server), LOGIN).await;
    s3::conformance::refuses(to(&server), LOGIN).await;
}

#[tokio::test]
async fn pgadmin_is_as_the_real_one() {
    let login = Login { user: "app%40example.com", ..LOGIN };
    let server = pgadmin_server();
    pgadmin::conformance::guards_itself(to(&server), login).await;
    pgadmin::conformance::lists_servers(to(&server), login).await;
    pgadmin::conformance::locks_accounts(to(&server), login).await;
}

#[tokio::test(start_paused = true)]
async fn neo4j_is_as_the_real_one() {
    let login = Login { user: "neo4j", database: "neo4j", ..LOGIN };
    let server = neo4j_server();
    neo4j::conformance::tells_of_itself(to(&server), login).await;
    neo4j::conformance::keeps_nodes(to(&server), to(&server), login).await;
    neo4j::conformance::refuses(to(&server), to(&server), login).await;
    neo4j::conformance::guards_itself(to(&server), to(&server), login).await;
}

#[tokio::test]
async fn dns_is_as_the_real_one() {
    conformance::dns_answers(to(&dns_server())).await;
}

#[tokio::test]
async fn http_is_as_real_ones() {
    let server = StandIn::Http(Arc::new(http::Server::new(http::Config::default())));
    conformance::http_answers(to(&server)).await;
}

#[test]
fn every_fault_has_a_name_of_its_own_by_which_it_is_switched_on() {
    let echo = StandIn::Echo(Arc::new(echo::Server::new()));
    let http = StandIn::Http(Arc::new(http::Server::new(http::Config::default())));
    let redis = StandIn::Redis(redis_server());
    for stand_in in [
        redis,
        postgres_server(),
        clickhouse_server(),
        kafka_broker(),
        s3_server(),
        pgadmin_server(),
        neo4j_server(),
        dns_server(),
        http,
        echo,
    ] {
        let names = stand_in.faults();
        for name in &names {
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{name}"
            );
            assert_eq!(stand_in.inject(Some(name)), Ok(()));
        }
        assert_eq!(stand_in.inject(Some("nosuch")), Err(UnknownFault("nosuch".to_owned())));
        assert_eq!(stand_in.inject(None), Ok(()));
    }
}
