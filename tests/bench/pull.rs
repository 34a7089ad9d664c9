//! How long after a pod's status says that its image cannot be pulled we say so.

use futures::{TryStreamExt as _, pin_mut};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DeleteParams, PostParams, WatchEvent, WatchParams};
use seaworthy::watch::Hub;
use serde_json::json;
use tokio::time::Instant;

use super::figures;
use super::place::{self, Fault, NAMESPACE, Place};

const ROUNDS: usize = 5;

/// No name server knows it, anywhere (RFC 2606).
const IMAGE: &str = "registry.invalid/no/such:image";

/// The kubelet's words for it.
const REASONS: [&str; 2] = ["ErrImagePull", "ImagePullBackOff"];

pub(crate) async fn measure(place: &Place) -> Result<(), Fault> {
    place.namespace().await?;
    let (mut after, mut line) = (Vec::new(), String::new());
    for round in 0..ROUNDS {
        let (late, why) = verdict(place, &format!("pull-{round}")).await?;
        after.push(late);
        line = why;
    }
    figures::table(
        "an image that cannot be pulled: from the pod's status to our verdict, milliseconds",
        &[("ours", &after)],
    );
    println!("  first line: {line}");
    let largest = figures::largest(&after);
    figures::goal("within 1 s, always", largest <= 1_000.0, &format!("{largest:.1} ms"));
    let told = line.contains(IMAGE) && REASONS.iter().any(|reason| line.contains(reason));
    figures::goal("image and kubelet's reason in the first line", told, if told { "both" } else { "not both" });
    Ok(())
}

/// How late the verdict was, and its first line.
async fn verdict(place: &Place, name: &str) -> Result<(f64, String), Fault> {
    let client = place.client().await?;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let deployment = serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "main", "image": IMAGE }] },
            },
        },
    }))?;
    deployments.create(&PostParams::default(), &deployment).await?;
    let hub = Hub::new(place.client().await?);
    let objects = [place::within(ApiResource::erase::<Deployment>(&()), name)];
    let settled = async {
        let settled = hub.settle(&objects, &place::notes()).await?;
        Ok((Instant::now(), settled))
    };
    let (said, (ended, settled)) = tokio::try_join!(status_says_so(Api::namespaced(client, NAMESPACE), name), settled)?;
    deployments.delete(name, &DeleteParams::default()).await?;
    let doom = settled.err().ok_or("a Deployment whose image is nowhere became ready")?;
    Ok((ended.saturating_duration_since(said).as_secs_f64() * 1_000.0, doom.why))
}

/// When a watch of nobody else first hears of it.
async fn status_says_so(pods: Api<Pod>, name: &str) -> Result<Instant, Fault> {
    let events = pods.watch(&WatchParams::default().labels(&format!("app={name}")), "0").await?;
    pin_mut!(events);
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Added(pod) | WatchEvent::Modified(pod) = event
            && cannot_pull(&pod)
        {
            return Ok(Instant::now());
        }
    }
    Err("the watch ended before the image could not be pulled".into())
}

fn cannot_pull(pod: &Pod) -> bool {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let mut waiting = containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
    waiting.any(|reason| REASONS.contains(&reason))
}
