//! The tunnel against an API server on loopback that forwards as a kubelet does, and as one that fails.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::{DialError, Dialer, Stream};
use crate::watch::Hub;

/// What the pod's end of a forward does.
#[derive(Clone, Copy, PartialEq)]
enum Far {
    Echoes,
    Refuses,
    Closes,
    /// The connection to the API server is cut without a word.
    Cut,
}

#[derive(Clone)]
struct Kubelet {
    far: Far,
    ended: Arc<Notify>,
}

async fn api_server(far: Far) -> (Dialer, Arc<Notify>) {
    let ended = Arc::new(Notify::new());
    let routes = Router::new()
        .route("/api/v1/namespaces/data/services/redis", get(|| async { Json(service()) }))
        .route("/apis/discovery.k8s.io/v1/namespaces/data/endpointslices", get(|| async { Json(slices()) }))
        .route("/api/v1/namespaces/data/pods/{pod}/portforward", get(forward))
        .fallback(not_found)
        .with_state(Kubelet { far, ended: Arc::clone(&ended) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (Dialer::forwarding(hub(address)), ended)
}

fn hub(api_server: SocketAddr) -> Hub {
    let config = kube::Config::new(format!("http://{api_server}").parse().unwrap());
    Hub::new(kube::Client::try_from(config).unwrap())
}

/// Dials directly, by an API server that gives pod `redis-0` a status of these each time it is asked, and no other pod.
async fn direct(statuses: Vec<Value>) -> Dialer {
    let statuses = Arc::new(Mutex::new(statuses.into_iter()));
    let pod = move || async move {
        let status = statuses.lock().unwrap().next().expect("asked once more");
        Json(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "redis-0"}, "status": status}))
    };
    let routes = Router::new().route("/api/v1/namespaces/data/pods/redis-0", get(pod)).fallback(not_found);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Dialer::direct(hub(address))
}

async fn not_found() -> impl IntoResponse {
    refused(http::StatusCode::NOT_FOUND, "NotFound", "not found")
}

async fn forbidden() -> impl IntoResponse {
    refused(http::StatusCode::FORBIDDEN, "Forbidden", "not yours")
}

fn refused(code: http::StatusCode, reason: &str, message: &str) -> impl IntoResponse + use<> {
    let status =
        json!({"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code.as_u16()});
    (code, Json(status))
}

fn service() -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "redis", "namespace": "data"},
        "spec": {"selector": {"app": "redis"}, "ports": [{"port": 6379, "targetPort": "client"}]}})
}

fn slices() -> Value {
    let endpoint =
        |pod| json!({"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": pod, "namespace": "data"}});
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "metadata": {}, "items": [
        {"metadata": {"name": "redis-x"}, "addressType": "IPv4", "ports": [{"port": 6379}],
         "endpoints": [endpoint("redis-0"), endpoint("redis-1")]}]})
}

async fn forward(State(kubelet): State<Kubelet>, upgrade: WebSocketUpgrade, uri: http::Uri) -> impl IntoResponse {
    let pod = uri.path().split('/').nth_back(1).unwrap_or_default().to_owned();
    upgrade.protocols(["v4.channel.k8s.io"]).on_upgrade(move |socket| async move {
        play(socket, kubelet.far, &pod).await;
        kubelet.ended.notify_one();
    })
}

/// Channel 0 carries data and channel 1 the error; each begins with the port.
async fn play(mut socket: WebSocket, far: Far, pod: &str) -> Option<()> {
    let port = 6379_u16.to_le_bytes();
    for channel in [0, 1] {
        send(&mut socket, channel, &port).await?;
    }
    match far {
        Far::Refuses => {
            let words = "failed to connect to localhost:6379: dial tcp4 127.0.0.1:6379: connect: connection refused";
            send(&mut socket, 1, words.as_bytes()).await?;
        }
        Far::Closes => send(&mut socket, 0, b"half a rep").await?,
        Far::Cut => return None,
        Far::Echoes => {
            send(&mut socket, 0, pod.as_bytes()).await?;
            while let Some(Ok(Message::Binary(bytes))) = socket.recv().await {
                send(&mut socket, 0, &bytes[1..]).await?;
            }
        }
    }
    socket.send(Message::Close(None)).await.ok()
}

async fn send(socket: &mut WebSocket, channel: u8, bytes: &[u8]) -> Option<()> {
    socket.send(Message::Binary([&[channel], bytes].concat().into())).await.ok()
}

async fn dial(dialer: &Dialer) -> Stream {
    dialer.dial(&"redis:6379".parse().unwrap(), "data").await.unwrap()
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_dial_meets_the_next_endpoint() {
    let (dialer, _) = api_server(Far::Echoes).await;
    for pod in ["redis-0", "redis-1", "redis-0"] {
        let mut stream = dial(&dialer).await;
        let mut said = [0; 7];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(said, pod.as_bytes());
        stream.write_all(b"ping").await.unwrap();
        let mut said = [0; 4];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"ping");
    }
}

#[tokio::test]
async fn who_dials_in_turn_with_somebody_else_meets_every_endpoint_all_the_same() {
    let (dialer, _) = api_server(Far::Echoes).await;
    let (one, other) = (dialer.of("one"), dialer.of("other"));
    let mut met = Vec::new();
    for dialer in [&one, &other, &one, &other, &dialer.of("one")] {
        let mut said = [0; 7];
        dial(dialer).await.read_exact(&mut said).await.unwrap();
        met.push(String::from_utf8(said.to_vec()).unwrap());
    }
    assert_eq!(met, ["redis-0", "redis-0", "redis-1", "redis-1", "redis-0"]);
}

#[tokio::test]
async fn one_pod_is_named_for_several_streams_and_each_time_it_is_the_next() {
    let (dialer, _) = api_server(Far::Echoes).await;
    let service = "redis:6379".parse().unwrap();
    for pod in ["redis-0", "redis-1", "redis-0"] {
        let one = dialer.one(&service, "data").await.unwrap();
        assert_eq!(one, format!("pod/{pod}.data:6379").parse().unwrap());
        for _ in 0..2 {
            let mut stream = dialer.dial(&one, "elsewhere").await.unwrap();
            let mut said = [0; 7];
            stream.read_exact(&mut said).await.unwrap();
            assert_eq!(said, pod.as_bytes());
        }
    }
    let outside = "host/example.com:1".parse().unwrap();
    assert_eq!(dialer.one(&outside, "data").await, Ok(outside));
}

#[tokio::test]
async fn a_refusal_takes_the_place_of_the_end_and_is_known_afterwards() {
    let (dialer, _) = api_server(Far::Refuses).await;
    let mut stream = dial(&dialer).await;
    let fate = stream.fate();
    let refused = DialError::Refused("nothing listens on port 6379 of pod data/redis-0: connection refused".to_owned());
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.to_string(), refused.to_string());
    drop(stream);
    assert_eq!(fate.told(), Some(refused));
}

#[tokio::test]
async fn a_server_that_closes_is_no_fault_of_the_way() {
    let (dialer, _) = api_server(Far::Closes).await;
    let mut stream = dial(&dialer).await;
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!((said.as_str(), stream.fate().told()), ("half a rep", None));
}

#[tokio::test]
async fn a_way_that_breaks_is_told_from_a_server_that_closes() {
    let (dialer, _) = api_server(Far::Cut).await;
    let mut stream = dial(&dialer).await;
    stream.read_u8().await.unwrap_err();
    assert!(matches!(stream.fate().told(), Some(DialError::Lost(_))), "{:?}", stream.fate().told());
}

#[tokio::test]
async fn a_knock_waits_for_the_refusal_that_would_come() {
    let at = "redis:6379".parse().unwrap();
    let (dialer, _) = api_server(Far::Refuses).await;
    assert!(matches!(dialer.knock(&at, "data").await, Err(DialError::Refused(_))));
    let (dialer, _) = api_server(Far::Echoes).await;
    assert_eq!(dialer.knock(&at, "data").await, Ok(()));
}

#[tokio::test]
async fn a_dropped_stream_ends_its_forward() {
    let (dialer, ended) = api_server(Far::Echoes).await;
    drop(dial(&dialer).await);
    tokio::time::timeout(Duration::from_secs(5), ended.notified()).await.expect("the forward goes on");
}

#[tokio::test]
async fn what_is_not_there_is_missing() {
    let (dialer, _) = api_server(Far::Echoes).await;
    let of = async |at: &str| dialer.dial(&at.parse().unwrap(), "data").await.map(drop).unwrap_err();
    assert_eq!(of("redsi:6379").await, DialError::Missing("there is no Service data/redsi".to_owned()));
    assert_eq!(of("redis:1").await, DialError::Missing("Service data/redis has no TCP port 1; it has 6379".to_owned()));
}

/// A headless Service `hosts` with one pod in it that has a name there, and nothing else.
async fn named() -> Dialer {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "kafka-0"},
        "spec": {"containers": [], "hostname": "kafka-0", "subdomain": "hosts"}, "status": running("10.0.0.1")});
    let pods = json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [pod]});
    let services = json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": []});
    let hosts = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hosts"}, "spec": {"ports": []}});
    let slices = |asked: http::Uri| {
        let is_of_hosts = asked.query().is_some_and(|query| query.contains("service-name%3Dhosts"));
        let endpoint =
            json!({"addresses": ["10.0.0.1"], "hostname": "kafka-0", "targetRef": {"kind": "Pod", "name": "kafka-0"}});
        let slice = json!({"metadata": {}, "addressType": "IPv4", "ports": [], "endpoints": [endpoint]});
        let items = if is_of_hosts { vec![slice] } else { Vec::new() };
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "metadata": {}, "items": items})
    };
    let always = |object: Value| get(move || async move { Json(object) });
    let routes = Router::new()
        .route("/api/v1/namespaces/data/pods", always(pods))
        .route("/api/v1/namespaces/data/pods/kafka-0", always(pod))
        .route("/api/v1/namespaces/data/services", always(services))
        .route("/api/v1/namespaces/data/services/hosts", always(hosts))
        .route("/api/v1/namespaces/guarded/services/kafka-1", get(forbidden))
        .route(
            "/apis/discovery.k8s.io/v1/namespaces/data/endpointslices",
            get(move |asked: http::Uri| async move { Json(slices(asked)) }),
        )
        .fallback(not_found);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Dialer::forwarding(hub(address))
}

#[tokio::test]
async fn a_server_is_known_as_the_clusters_dns_has_it_and_not_by_the_bare_name_of_its_pod() {
    let dialer = named().await;
    for (name, known) in [
        ("10.0.0.1", Ok("pod/kafka-0.data:9092")),
        ("kafka-0.hosts.data.svc.cluster.local", Ok("pod/kafka-0.data:9092")),
        ("Kafka-0.hosts", Ok("pod/kafka-0.data:9092")),
        ("hosts", Ok("hosts.data:9092")),
        (
            "b0.kafka.example.com",
            Err(
                "no client can resolve b0.kafka.example.com: if it is outside the cluster, only a client inside can tell",
            ),
        ),
        ("10.0.0.9", Err("no pod and no Service in data has the address 10.0.0.9")),
        (
            "kafka-0",
            Err(
                "no client can resolve kafka-0: there is no Service data/kafka-0, and the pod goes by kafka-0.hosts.data.svc",
            ),
        ),
        ("kafka-0.host.data.svc", Err("no client can resolve kafka-0.host.data.svc: there is no Service data/host")),
        (
            "kafka-1.hosts",
            Err(
                "no client can resolve kafka-1.hosts: no ready endpoint of Service data/hosts has the hostname kafka-1, and there \
                 is no such pod, and there is no Service hosts/kafka-1",
            ),
        ),
        ("a/../secrets", Err("no client can resolve a/../secrets: it is no name")),
    ] {
        let found = dialer.known_as(name, 9092, "data").await.map(|address| address.to_string());
        assert_eq!(found, known.map(str::to_owned).map_err(|why| DialError::Missing(why.to_owned())), "{name}");
    }
}

#[tokio::test]
async fn where_we_may_not_look_for_a_name_what_is_known_of_it_is_told_all_the_same() {
    let why = named().await.known_as("kafka-1.guarded", 9092, "data").await.unwrap_err();
    let DialError::Lost(why) = why else { panic!("{why:?}") };
    assert!(why.starts_with("cannot look for Service guarded/kafka-1: ") && why.contains("not yours"), "{why}");
    assert!(why.ends_with("; there is no Service data/guarded"), "{why}");
}

/// Behind a Service at the first port stand two pods, each at one of the others; all on loopback.
async fn inside(ports: [u16; 3]) -> Dialer {
    let [at, ..] = ports;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "redis", "namespace": "data"},
        "spec": {"ports": [{"port": at, "targetPort": "redis"}]}});
    let slice = |pod: usize| {
        let target = json!({"kind": "Pod", "name": format!("redis-{pod}"), "namespace": "data"});
        json!({"metadata": {"name": format!("redis-{pod}")}, "addressType": "IPv4", "ports": [{"port": ports[pod + 1]}],
            "endpoints": [{"addresses": ["127.0.0.1"], "targetRef": target}]})
    };
    let slices = json!({"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": {}, "items": [slice(0), slice(1)]});
    let pod =
        || async { Json(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "status": running("127.0.0.1")})) };
    let routes = Router::new()
        .route("/api/v1/namespaces/data/services/redis", get(move || async { Json(service) }))
        .route("/apis/discovery.k8s.io/v1/namespaces/data/endpointslices", get(move || async { Json(slices) }))
        .route("/api/v1/namespaces/data/pods/{pod}", get(pod))
        .fallback(not_found);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Dialer::direct(hub(address)).knowing(|_, _| "127.0.0.1".to_owned())
}

#[tokio::test]
async fn from_inside_a_dial_goes_through_the_service_and_then_to_the_pod_whose_turn_it_is() {
    let bind = || tokio::net::TcpListener::bind("127.0.0.1:0");
    let (service, one, other) = (bind().await.unwrap(), bind().await.unwrap(), bind().await.unwrap());
    let port = |listener: &tokio::net::TcpListener| listener.local_addr().unwrap().port();
    let dialer = inside([port(&service), port(&one), port(&other)]).await;
    let at = format!("redis:{}", port(&service)).parse().unwrap();
    for meant in [&one, &other, &one] {
        let stream = dialer.dial(&at, "data").await.unwrap();
        let soon = Duration::from_secs(5);
        tokio::time::timeout(soon, service.accept()).await.unwrap().unwrap();
        tokio::time::timeout(soon, meant.accept()).await.unwrap().unwrap();
        assert!(!stream.is_forwarded());
    }
    let name = |pod: &str, port| format!("pod/{pod}.data:{port}");
    assert_eq!(dialer.one(&at, "data").await.unwrap().to_string(), name("redis-1", port(&other)));
    service.accept().await.unwrap();
    // That one of those behind it refuses is no refusal of the Service, at which somebody accepts.
    drop(one);
    let refused = dialer.dial(&at, "data").await.err();
    assert!(matches!(&refused, Some(DialError::NoEndpoint(words)) if words.contains("accepts, and")), "{refused:?}");
    // Where nobody does, its pods do not stand in for it.
    drop(service);
    for _ in 0..2 {
        assert!(matches!(dialer.one(&at, "data").await, Err(DialError::Refused(_))));
    }
}

fn running(address: &str) -> Value {
    json!({"phase": "Running", "podIP": address})
}

#[tokio::test]
async fn from_inside_a_pod_is_dialled_at_its_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("pod/redis-0:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    assert!(!direct(vec![running("127.0.0.1")]).await.dial(&at, "data").await.unwrap().is_forwarded());
    drop(listener);
    let refused = direct(vec![running("127.0.0.1"); 2]).await.knock(&at, "data").await;
    assert!(matches!(&refused, Err(DialError::Refused(words)) if words.contains("127.0.0.1")), "{refused:?}");
}

#[tokio::test]
async fn from_inside_what_became_of_a_pod_counts_before_the_words_of_the_way_to_it() {
    let waiting = json!({"phase": "Pending"});
    for (statuses, words) in [
        (
            vec![running("127.0.0.1"), running("127.0.0.2")],
            "pod/redis-0:1 has been replaced, and was at 127.0.0.1 before",
        ),
        (vec![running("127.0.0.1"), waiting.clone()], "pod data/redis-0 is Pending"),
        (vec![waiting], "pod data/redis-0 is Pending"),
    ] {
        let dialled = direct(statuses).await.knock(&"pod/redis-0:1".parse().unwrap(), "data").await;
        assert_eq!(dialled, Err(DialError::Missing(words.to_owned())));
    }
    let dialled = direct(Vec::new()).await.knock(&"pod/nobody:1".parse().unwrap(), "data").await;
    assert_eq!(dialled, Err(DialError::Missing("there is no pod data/nobody".to_owned())));
}
