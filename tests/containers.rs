//! The protocol probes against the real servers, each alone in a container.
//!
//! Opt-in, since it needs a container engine: `cargo test --features containers --test containers`. Other images than
//! the official ones are named by `SEAWORTHY_REDIS_IMAGE`, `SEAWORTHY_POSTGRES_IMAGE` and `SEAWORTHY_BUSYBOX_IMAGE`.

use std::time::Duration;

use seaworthy::checks::Verdict;
use seaworthy::plan::{CheckWork, ComponentKey, StepId};
use seaworthy::ports::Notes;
use seaworthy::probes::Prober;
use seaworthy::secrets::Secrets;
use seaworthy::suite::{CheckSpec, Patience};
use seaworthy::tunnel::Dialer;
use seaworthy::watch::Hub;
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt};
use tokio::time::{Instant, sleep};

/// How long a server may take until it is as a test wants it.
const STARTS: Duration = Duration::from_secs(60);

/// The image that `variable` names, or the official one.
fn image(variable: &str, official: &str, port: u16) -> GenericImage {
    let reference = std::env::var(variable).unwrap_or_else(|_| official.to_owned());
    let (name, tag) = reference.rsplit_once(':').expect("an image with its tag");
    GenericImage::new(name, tag).with_exposed_port(port.tcp())
}

async fn start(request: ContainerRequest<GenericImage>, port: u16) -> (ContainerAsync<GenericImage>, String) {
    let container = request.start().await.expect("a container engine that has, or can pull, the image");
    let port = container.get_host_port_ipv4(port).await.unwrap();
    (container, format!("host/127.0.0.1:{port}"))
}

async fn redis(more: &[&str]) -> (ContainerAsync<GenericImage>, String) {
    let command = [&["redis-server", "--requirepass", "hunter22"][..], more].concat();
    let image = image("SEAWORTHY_REDIS_IMAGE", "redis:7.4", 6379);
    start(image.with_network("bridge").with_cmd(command.into_iter().map(str::to_owned)), 6379).await
}

/// One look at a check in the suite file's words; there is no cluster.
async fn look(check: &str) -> Verdict {
    let refuse = tower::service_fn(|_: http::Request<kube::client::Body>| async {
        Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("there is no cluster here"))
    });
    let hub = Hub::new(kube::Client::new(refuse, "default"));
    let prober = Prober {
        dialer: Dialer::forwarding(hub.clone()),
        hub,
        secrets: Secrets::default(),
        run: "containers".to_owned(),
        logs: std::env::temp_dir(),
    };
    let work = CheckWork {
        key: ComponentKey { suite: "containers".parse().unwrap(), component: "server".parse().unwrap() },
        namespace: "default".parse().unwrap(),
        release: None,
        folder: std::env::temp_dir(),
        spec: CheckSpec {
            name: "holds".parse().unwrap(),
            title: "It holds".to_owned(),
            requirements: Vec::new(),
            check: serde_saphyr::from_str(check).unwrap_or_else(|error| panic!("{error}")),
            patience: Patience::default(),
            line: 1,
        },
    };
    prober.observe(&work, &Notes::new(StepId::cluster(), tokio::sync::mpsc::unbounded_channel().0)).await
}

/// Looks until the verdict is as wanted, and panics with the last one where it never is.
async fn until(check: &str, wanted: impl Fn(&Verdict) -> bool) {
    let since = Instant::now();
    loop {
        let verdict = look(check).await;
        if wanted(&verdict) {
            return;
        }
        assert!(since.elapsed() < STARTS, "{check}: {verdict:?}");
        sleep(Duration::from_millis(200)).await;
    }
}

async fn holds(check: &str) {
    until(check, |verdict| matches!(verdict, Verdict::Held { .. })).await;
}

async fn breaks(check: &str, words: &str) {
    until(check, |verdict| matches!(verdict, Verdict::Broken { actual, .. } if actual.contains(words))).await;
}

#[tokio::test]
async fn redis_keeps_a_key_and_refuses_whoever_has_no_password() {
    let (_server, at) = redis(&[]).await;
    holds(&format!("redis: {{at: '{at}', password: {{value: hunter22}}, role: master, version: '>=7'}}")).await;
    holds(&format!("redis: {{at: '{at}', password: {{value: wrong}}, expect: denied}}")).await;
    holds(&format!("redis: {{at: '{at}', expect: denied}}")).await;
    breaks(&format!("redis: {{at: '{at}', password: {{value: wrong}}}}"), "refused the login: WRONGPASS").await;
    breaks(&format!("redis: {{at: '{at}', password: {{value: hunter22}}, replicas: 1}}"), "0 online").await;
    breaks(&format!("redis: {{at: '{at}', password: {{value: hunter22}}, version: ^1}}"), "is version").await;
}

#[tokio::test]
async fn a_redis_replica_gets_what_its_master_is_given_and_takes_no_writes() {
    let (master, at) = redis(&["--masterauth", "hunter22"]).await;
    let address = master.get_bridge_ip_address().await.unwrap().to_string();
    let (_replica, copy) = redis(&["--masterauth", "hunter22", "--replicaof", &address, "6379"]).await;
    let password = "password: {value: hunter22}";
    holds(&format!("redis: {{at: '{copy}', {password}, role: replica}}")).await;
    holds(&format!("redis: {{at: '{at}', {password}, role: master, replicas: 1, replica: '{copy}'}}")).await;
    breaks(&format!("redis: {{at: '{copy}', {password}, role: master}}"), "is a replica").await;
    breaks(&format!("redis: {{at: '{copy}', {password}}}"), "refused to write: READONLY").await;
}

#[tokio::test]
async fn postgres_keeps_a_row_and_refuses_whoever_has_no_password() {
    let image = image("SEAWORTHY_POSTGRES_IMAGE", "postgres:17", 5432);
    let request = image.with_env_var("POSTGRES_USER", "app").with_env_var("POSTGRES_PASSWORD", "hunter22");
    let (_server, at) = start(request, 5432).await;
    let check = |more: &str| format!("postgres: {{at: '{at}', user: app, {more}}}");
    holds(&check("password: {value: hunter22}, role: primary, version: '>=15'")).await;
    holds(&check("password: {value: wrong}, expect: denied")).await;
    holds(&check("expect: denied")).await;
    breaks(&check("password: {value: wrong}"), "refused the login: 28P01").await;
    breaks(&check("password: {value: hunter22}, expect: denied"), "was let in").await;
    breaks(&check("password: {value: hunter22}, role: replica"), "is a primary").await;
    breaks(&check("password: {value: hunter22}, database: nope"), "3D000").await;
}

#[tokio::test]
async fn a_web_server_answers_what_it_has_and_says_what_it_lacks() {
    let image = image("SEAWORTHY_BUSYBOX_IMAGE", "busybox:1.36", 8080);
    let serve = "mkdir /www && echo hello > /www/index.html && exec httpd -f -p 8080 -h /www";
    let (_server, at) = start(image.with_cmd(["sh", "-c", serve]), 8080).await;
    holds(&format!("http: {{at: '{at}', answers: {{equals: hello}}, has: {{content-type: {{contains: html}}}}}}"))
        .await;
    holds(&format!("http: {{at: '{at}', path: /nope, status: 404}}")).await;
    breaks(&format!("http: {{at: '{at}', path: /nope}}"), "got 404; its body starts").await;
    breaks(&format!("http: {{at: '{at}', expect: denied}}"), "got 200").await;
    holds(&format!("tcp: {{at: '{at}', send: \"GET / HTTP/1.0\\r\\n\\r\\n\", answers: {{contains: hello}}}}")).await;
    breaks(&format!("tcp: {{at: '{at}', expect: denied}}"), "accepts connections").await;
}
