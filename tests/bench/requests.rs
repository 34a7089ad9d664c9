//! What waiting costs the API server: a hundred waits of 30 s on four kinds, and one `kubectl wait` as long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use seaworthy::watch::{Hub, ObjectRef};
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::util::MapRequestLayer;

use super::figures;
use super::place::{self, Fault, NAMESPACE, Place};

const OF_EACH_KIND: usize = 25;
const WAIT: Duration = Duration::from_secs(30);
const GOAL: usize = 20;

pub(crate) async fn measure(place: &Place) -> Result<(), Fault> {
    place.namespace().await?;
    let objects = objects(&place.client().await?).await?;
    let count = Arc::new(AtomicUsize::new(0));
    let hub = Hub::new(counting(place, &count).await?);
    let notes = place::notes();
    let waits = objects.iter().map(|object| timeout(WAIT, hub.settle(std::slice::from_ref(object), &notes)));
    let (ended, theirs) = tokio::join!(join_all(waits), kubectl(place));
    if let Some(early) = ended.into_iter().find_map(Result::ok) {
        return Err(format!("a wait for what never becomes ready ended: {early:?}").into());
    }
    let (ours, theirs) = (count.load(Ordering::Relaxed), theirs?);
    let waits = objects.len();
    println!("\n{waits} waits of {} s on four kinds: requests to the API server", WAIT.as_secs());
    println!("  {:<54} {theirs:>9}, {waits} of them {}", "one kubectl wait", theirs * waits);
    println!("  {:<54} {ours:>9}", "all of ours");
    figures::goal("at most 20 together", ours <= GOAL, &ours.to_string());
    Ok(())
}

/// A client as `k8s::client` makes it, whose requests are counted.
async fn counting(place: &Place, count: &Arc<AtomicUsize>) -> Result<Client, Fault> {
    let kubeconfig = Kubeconfig::read_from(&place.shared.kubeconfig)?;
    let options = KubeConfigOptions { context: Some(place.shared.context.clone()), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.default_retry = false;
    let count = Arc::clone(count);
    let layer = MapRequestLayer::new(move |request: http::Request<kube::client::Body>| {
        count.fetch_add(1, Ordering::Relaxed);
        request
    });
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

/// Requests of one wait, as kubectl itself logs them.
async fn kubectl(place: &Place) -> Result<usize, Fault> {
    let wait = ["wait", "-v=6", "-n", NAMESPACE, "--for=condition=Available", "deployment/held-0", "--timeout=30s"];
    let ended = place.kubectl(wait).run().await?;
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    let requests = log.lines().filter(|line| line.contains("verb=\"GET\"") && line.contains("status=")).count();
    if requests == 0 { Err(format!("kubectl logs no request: {log}").into()) } else { Ok(requests) }
}

/// Objects whose pods are held back by a scheduling gate that nobody lifts: they cost no memory, and are never ready.
async fn objects(client: &Client) -> Result<Vec<ObjectRef>, Fault> {
    let kinds = [
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<StatefulSet>(&()),
        ApiResource::erase::<Job>(&()),
        ApiResource::erase::<Pod>(&()),
    ];
    let mut objects = Vec::new();
    for kind in kinds {
        let endpoint: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &kind);
        for number in 0..OF_EACH_KIND {
            let name = format!("held-{number}");
            let object = DynamicObject::new(&name, &kind).data(json!({ "spec": spec(&kind.kind, &name) }));
            endpoint.create(&PostParams::default(), &object).await?;
            objects.push(place::within(kind.clone(), &name));
        }
    }
    Ok(objects)
}

fn spec(kind: &str, name: &str) -> Value {
    let pod = json!({
        "schedulingGates": [{ "name": "bench.example/never" }], "restartPolicy": "Never",
        "containers": [{ "name": "main", "image": "none" }],
    });
    let labels = json!({ "app": format!("{kind}-{name}") });
    let mut lasting = pod.clone();
    lasting["restartPolicy"] = "Always".into();
    match kind {
        "Pod" => pod,
        "Job" => json!({ "template": { "spec": pod } }),
        _ => json!({
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": lasting },
        }),
    }
}
