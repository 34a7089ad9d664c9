//! What can be made to go wrong on purpose, seen as a client sees it.

use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::await_condition;
use serde_json::{from_value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn client(rehearsal: &Rehearsal) -> kube::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let kubeconfig = Kubeconfig::read_from(rehearsal.kubeconfig()).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    config.proxy_url = None;
    kube::Client::try_from(config).unwrap()
}

fn pod(name: &str, image: &str) -> Pod {
    from_value(json!({
        "metadata": { "name": name },
        "spec": { "containers": [{ "name": "main", "image": image, "ports": [{ "containerPort": 6379 }] }] },
    }))
    .unwrap()
}

/// Why a pod's container waits, once it does for this reason.
async fn waits(pods: &Api<Pod>, name: &str, reason: &str) -> bool {
    let is = |pod: Option<&Pod>| {
        let pod = json!(pod);
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == reason
    };
    timeout(PATIENCE, await_condition(pods.clone(), name, is)).await.is_ok_and(|seen| seen.is_ok())
}

async fn runs(pods: &Api<Pod>, name: &str) -> bool {
    let is = |pod: Option<&Pod>| json!(pod)["status"]["containerStatuses"][0]["ready"] == true;
    timeout(PATIENCE, await_condition(pods.clone(), name, is)).await.is_ok_and(|seen| seen.is_ok())
}

#[tokio::test]
async fn a_fault_strikes_its_target_and_nothing_else_until_it_is_taken_back() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client(&rehearsal).await, "default");
    let target = Target { namespace: Some("default".to_owned()), name: "struck".to_owned() };
    rehearsal.afflict(target.clone(), Some(Fault::ImagePull));
    for name in ["struck", "spared"] {
        pods.create(&PostParams::default(), &pod(name, "redis")).await.unwrap();
    }
    assert!(runs(&pods, "spared").await);
    assert!(waits(&pods, "struck", "ImagePullBackOff").await);
    rehearsal.afflict(target, None);
    assert!(runs(&pods, "struck").await, "it recovers");
}

#[tokio::test]
async fn a_server_behind_a_port_can_be_made_to_fail_by_name() {
    let rehearsal = Rehearsal::begin(2).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client(&rehearsal).await, "default");
    pods.create(&PostParams::default(), &pod("cache", "redis:7")).await.unwrap();
    assert!(runs(&pods, "cache").await);
    assert!(rehearsal.server_faults("default", "cache").contains(&"loading"));
    let ping = async || ping(&pods, "cache").await;
    assert_eq!(ping().await, "+PONG\r\n");
    assert_eq!(rehearsal.afflict_server("default", "cache", Some("loading")), 1);
    assert_eq!(ping().await, "-LOADING");
    assert_eq!(rehearsal.afflict_server("default", "cache", Some("no-such-fault")), 0);
    rehearsal.afflict_server("default", "cache", None);
    assert_eq!(ping().await, "+PONG\r\n");
}

#[tokio::test]
async fn a_gust_hits_as_many_requests_as_it_was_told_and_in_the_words_of_an_api_server() {
    let rehearsal = Rehearsal::begin(3).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client(&rehearsal).await, "default");
    for (gust, code, words) in [
        (Gust::Throttle, 429, "too many requests"),
        (Gust::Fail, 500, "etcdserver: leader changed"),
        (Gust::Unavailable, 503, "currently unable to handle the request"),
    ] {
        rehearsal.gust(gust, 2);
        for _ in 0..2 {
            let error = maps.list(&kube::api::ListParams::default()).await.unwrap_err();
            let kube::Error::Api(status) = error else { panic!("{error:?}") };
            assert!(status.code == code && status.message.contains(words), "{status:?}");
        }
        maps.list(&kube::api::ListParams::default()).await.unwrap();
    }
    rehearsal.gust(Gust::Reset, 1);
    let error = maps.list(&kube::api::ListParams::default()).await.unwrap_err();
    assert!(!matches!(error, kube::Error::Api(_)), "{error:?}");
    rehearsal.cut();
    maps.list(&kube::api::ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn what_was_forgotten_must_be_listed_anew() {
    let rehearsal = Rehearsal::begin(4).await.unwrap();
    let maps: Api<ConfigMap> = Api::all(client(&rehearsal).await);
    let page = maps.list(&kube::api::ListParams::default().limit(1)).await.unwrap();
    let next = page.metadata.continue_.unwrap();
    rehearsal.forget();
    let rest = kube::api::ListParams::default().limit(1).continue_token(&next);
    let error = maps.list(&rest).await.unwrap_err();
    assert!(matches!(&error, kube::Error::Api(status) if status.code == 410), "{error:?}");
    assert_eq!(maps.list(&kube::api::ListParams::default()).await.unwrap().items.len(), 4);
}

#[tokio::test]
async fn a_fork_has_everything_answers_as_before_and_goes_its_own_way() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let first: Api<Pod> = Api::namespaced(client(&rehearsal).await, "default");
    first.create(&PostParams::default(), &pod("cache", "redis")).await.unwrap();
    assert!(runs(&first, "cache").await);
    rehearsal.rest(PATIENCE).await;
    let fork = rehearsal.fork(&[], true).await.unwrap();
    let second: Api<Pod> = Api::namespaced(client(&fork).await, "default");
    assert_eq!(second.get("cache").await.unwrap(), first.get("cache").await.unwrap());
    assert_eq!(ping(&second, "cache").await, "+PONG\r\n");
    fork.afflict_server("default", "cache", Some("loading"));
    assert_eq!(ping(&second, "cache").await, "-LOADING");
    assert_eq!(ping(&first, "cache").await, "+PONG\r\n");
    second.create(&PostParams::default(), &pod("later", "redis")).await.unwrap();
    assert!(runs(&second, "later").await);
    assert!(first.get_opt("later").await.unwrap().is_none());
}

#[tokio::test]
async fn a_fork_without_an_object_is_without_what_it_owns_and_has_the_rest() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let sets: Api<ReplicaSet> = Api::namespaced(client(&rehearsal).await, "default");
    for name in ["left", "kept"] {
        let set = json!({ "metadata": { "name": name }, "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name, "of": "both" } }, "spec": pod(name, "redis").spec },
        }});
        sets.create(&PostParams::default(), &from_value(set).unwrap()).await.unwrap();
    }
    let services: Api<Service> = Api::namespaced(client(&rehearsal).await, "default");
    let both = json!({ "metadata": { "name": "both" }, "spec": { "selector": { "of": "both" }, "ports": [{ "port": 6379 }] } });
    services.create(&PostParams::default(), &from_value(both).unwrap()).await.unwrap();
    rehearsal.rest(PATIENCE).await;
    let fork = rehearsal.fork(&[Key::new("apps/replicasets", "default", "left")], false).await.unwrap();
    fork.rest(PATIENCE).await;
    let client = client(&fork).await;
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), "default");
    let sets = sets.list(&ListParams::default()).await.unwrap();
    assert_eq!(sets.iter().map(|set| set.name_any()).collect::<Vec<_>>(), ["kept"]);
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let pods = pods.list(&ListParams::default()).await.unwrap();
    assert_eq!(pods.iter().map(|pod| pod.labels()["app"].clone()).collect::<Vec<_>>(), ["kept"]);
    let slices: Api<EndpointSlice> = Api::namespaced(client, "default");
    let slices = slices.list(&ListParams::default()).await.unwrap();
    let named = slices.iter().filter(|slice| slice.metadata.generate_name.as_deref() == Some("both-"));
    let named: Vec<_> =
        named.flat_map(|slice| slice.endpoints.iter().flatten()).map(|one| one.target_ref.clone()).collect();
    let kept = pods.iter().map(|pod| Some(pod.name_any())).collect::<Vec<_>>();
    assert_eq!(named.into_iter().map(|pod| pod.and_then(|pod| pod.name)).collect::<Vec<_>>(), kept);
}

#[tokio::test]
async fn a_rehearsal_rests_once_what_was_done_has_had_its_consequences() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let client = client(&rehearsal).await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let calm = from_value(json!({ "metadata": { "name": "calm" } })).unwrap();
    namespaces.create(&PostParams::default(), &calm).await.unwrap();
    rehearsal.rest(PATIENCE).await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client, "calm");
    assert!(accounts.get_opt("default").await.unwrap().is_some());
}

/// What a pod's Redis answers to a PING: the beginning of it.
async fn ping(pods: &Api<Pod>, name: &str) -> String {
    let mut forward = pods.portforward(name, &[6379]).await.unwrap();
    let mut stream = forward.take_stream(6379).unwrap();
    stream.write_all(b"*1\r\n$4\r\nPING\r\n").await.unwrap();
    let mut reply = [0; 8];
    let count = timeout(PATIENCE, stream.read(&mut reply)).await.unwrap().unwrap();
    String::from_utf8_lossy(&reply[..count]).into_owned()
}
