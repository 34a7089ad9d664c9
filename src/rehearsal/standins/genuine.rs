//! The genuine servers, held against the same claims as the stand-ins: what a claim says of a stand-in is worth what it is worth here.
//!
//! Ignored, since they need those servers, each as it is when it has just started: `ci/conformance` has them brought up in the lab
//! (`tests/genuine/suites`) and says where they are.

use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::conformance::{self, Connection, Login};
use super::{clickhouse, kafka, neo4j, pgadmin, postgres, redis, s3, temporal};

/// Where the suite's servers are.
const NAMESPACE: &str = "genuine";

const PASSWORD: &str = "only-for-this-test-run";
const LOGIN: Login<'static> = Login { user: "app", password: PASSWORD, database: "app" };

/// The cluster that they are in.
async fn cluster() -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let file = std::env::var_os("SEAWORTHY_GENUINE_KUBECONFIG").expect("ci/conformance says where the servers are");
    let kubeconfig = Kubeconfig::read_from(file).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// The pods behind a Service, by name.
async fn behind(client: &Client, namespace: &str, service: &str) -> Vec<String> {
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let of_it = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
    let slices = slices.list(&of_it).await.unwrap();
    let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let mut pods: Vec<String> = endpoints.filter_map(|one| one.target_ref.as_ref()?.name.clone()).collect();
    pods.sort();
    assert!(!pods.is_empty(), "nobody is behind {service}");
    pods
}

/// A way to a pod's port.
fn to(client: &Client, namespace: &str, pod: &str, port: u16) -> impl AsyncFn() -> Connection + use<> {
    let (pods, pod): (Api<Pod>, _) = (Api::namespaced(client.clone(), namespace), pod.to_owned());
    async move || {
        let mut forward = pods.portforward(&pod, &[port]).await.unwrap();
        let stream = forward.take_stream(port).unwrap();
        // It ends with the stream.
        tokio::spawn(async move { drop(forward.join().await) });
        Box::new(stream) as Connection
    }
}

/// A way to the first server behind a Service of the suite.
async fn server(service: &str, port: u16) -> impl AsyncFn() -> Connection {
    let client = cluster().await;
    let pods = behind(&client, NAMESPACE, service).await;
    to(&client, NAMESPACE, &pods[0], port)
}

#[tokio::test]
#[ignore = "needs the genuine servers: ci/conformance"]
async fn redis() {
    let to = server("redis", 6379).await;
    redis::conformance::guards_itself(&to, PASSWORD).await;
    redis::conformance::keeps_keys(&to, PASSWORD).await;
    redis::conformance::runs_transactions(&to, PASSWORD).await;
    redis::conformance::says_what_it_is(&to, PASSWORD).await;
    redis::conformance::speaks_both_protocols(&to, PASSWORD).await;
    redis::conformance::refuses_nonsense(&to).await;
    redis::conformance::replicates(&to, server("redis-replica", 6379).await, PASSWORD).await;
}

#[tokio::test]
#[ignore = "needs the genuine servers: ci/conformance"]
async fn sentinel() {
    redis::conformance::sentinel_watches(server("sentinel-sentinel", 26379).await, "mymaster", Some(PASSWORD)).await;
}

#[tokio::test]
#[ignore = "needs the genuine servers: ci/conformance"]
async fn postgres() {
    let to = server("postgres", 5432).await;
    postgres::conformance::guards_itself(&to, LOGIN).await;
    postgres::conformance::says_what_it_is(&to, LOGIN).await;
    postgres::conformance::commits(&to, LOGIN).await;
    postgres::conformance::refuses(&to, LOGIN).await;
    postgres::conformance::takes_parameters(&to, LOGIN).await;
    let secrets: Api<Secret> = Api::namespaced(cluster().await, NAMESPACE);
    let papers = secrets.get("postgres-tls").await.unwrap().data.unwrap_or_default();
    let authority = String::from_utf8(papers["ca.crt"].0.clone()).unwrap();
    postgres::conformance::speaks_tls(&to, LOGIN, &authority, "postgres.genuine.svc").await;
    // Of them all it is the one without a certificate.
    postgres::conformance::meets_strangers(server("patroni", 5432).await).await;
}

#[tokio::test]
#[ignore = "needs the genuine servers: ci/conformance"]
async fn clickhouse() {
    let to_one = server("clickhouse", 8123).await;
    clickhouse::conformance::guards_itself(&to_one, LOGIN).await;
    clickhouse::conformance::keeps_rows(&to_one, LOGIN).await;
    clickhouse::conformance::refuses(&to_one, LOGIN).await;
    let client = cluster().await;
    let pods = behind(&client, NAMESPACE, "replicated").await;
    let [one, other] = [0, 1].map(|at: usize| to(&client, NAMESPACE, &pods[at], 8123));
    clickhouse::conformance::replicates(one, other, LOGIN).await;
}

#[tokio::test]
#[ignore = "needs the genuine servers: ci/conformance"]
async fn kafka() {
    let to = server("kafka", 9092).await;
    kafka::conformance::guards_itself(&to, LOGIN).await;
    kafka::conformance::tells_of_itself(&to, LOGIN).await;
    kafka::conformance::makes_topics(&to, LOGIN).await;
    kafka::conformance::keeps_records(&to, LOGIN).await;
    kafka::conformance::serves_groups(&to, LOGIN).await;
}

#[tokio::test]
#[ignore = "needs the genuine servers: ci/conformance"]
async fn s3() {
    let to = server("minio", 9000).await;
    s3::conformance::guards_itself(&to, LOGIN).await;
    s3::conformance::keeps_objects(&to, LOGIN).await;
    s3::conformance::refuses(&to, LOGIN).await;
}

#[tokio::test]
#[ignore = "needs the genuine servers: ci/conformance"]
async fn pgadmin() {
    let login = Login { user: "app%40example.com", ..LOGIN };
    let to = server("pgadmin", 8080).await;
    pgadmin::conformance::guards_itself(&to, login).await;
    pgadmin::conformance::lists_servers(&to, login).await;
    pgadmin::conformance::locks_accounts(&to, login).await;
}

#[tokio::test]
#[ignore = "needs the genuine servers: ci/conformance"]
async fn neo4j() {
    let login = Login { user: "neo4j", database: "neo4j", ..LOGIN };
    let (http, bolt) = (server("neo4j", 7474).await, server("neo4j", 7687).await);
    neo4j::conformance::tells_of_itself(&http, login).await;
    neo4j::conformance::keeps_nodes(&http, &bolt, login).await;
    neo4j::conformance::refuses(&http, &bolt, login).await;
    neo4j::conformance::guards_itself(&http, &bolt, login).await;
}

#[tokio::test]
#[ignore = "needs the genuine servers: ci/conformance"]
async fn temporal() {
    let to = server("temporal", 7233).await;
    temporal::conformance::tells_of_itself(&to).await;
    temporal::conformance::sees_workflows_through(&to, "default").await;
    temporal::conformance::refuses(&to, "default").await;
}

#[tokio::test]
#[ignore = "needs the genuine servers: ci/conformance"]
async fn dns() {
    let client = cluster().await;
    let pods = behind(&client, "kube-system", "kube-dns").await;
    conformance::dns_answers(to(&client, "kube-system", &pods[0], 53)).await;
}
