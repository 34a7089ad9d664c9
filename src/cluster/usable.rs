//! The gate: a cluster on which a suite can start, which is more than one that was created.
//!
//! `kind create --wait` looks at control-plane nodes only and passes when its time runs out; k3d waits for a line in a
//! log. Here every node is Ready and all are there, the cluster's DNS is available, and a pod in a namespace could start:
//! its ServiceAccount and the root certificate that is mounted into it exist.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Node, ServiceAccount};
use kube::Client;
use kube::api::{ApiResource, DynamicObject};

use crate::complaint;
use crate::ports::{Notes, Trouble};
use crate::watch::Hub;

/// Between two questions whether the API server is ready, which nothing announces.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a borrowed API server, which was running before we came, may be out of reach.
const BORROWED: Duration = Duration::from_secs(10);

/// Waits until a cluster that was made here is usable with this many nodes. Bounded by the caller; notes what is not
/// there yet.
pub(super) async fn made(client: &Client, nodes: usize, notes: &Notes) -> Result<(), Trouble> {
    while let Err(error) = ready(client).await {
        notes.waiting(format!("the API server is not ready: {}", words(&error)));
        tokio::time::sleep(PAUSE).await;
    }
    let hub = Hub::new(client.clone());
    // One after the other: what became true while another was waited for costs nothing.
    let wait = Wait { hub: &hub, notes };
    wait.until(&ApiResource::erase::<Node>(&()), None, |found| nodes_ready(found, nodes)).await?;
    wait.until(&ApiResource::erase::<Deployment>(&()), Some("kube-system"), dns_available).await?;
    let default = Some("default");
    wait.until(&ApiResource::erase::<ServiceAccount>(&()), default, |found| there(found, "default")).await?;
    wait.until(&ApiResource::erase::<ConfigMap>(&()), default, |found| there(found, "kube-root-ca.crt")).await
}

/// Looks whether a borrowed cluster answers, and whether it lets us in.
pub(super) async fn borrowed(client: &Client, notes: &Notes) -> Result<(), Trouble> {
    let deadline = tokio::time::Instant::now() + BORROWED;
    loop {
        let error = match ready(client).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let refused = matches!(&error, kube::Error::Api(status) if matches!(status.code, 401 | 403));
        let words = format!("the API server is not ready: {}", words(&error));
        if refused || tokio::time::Instant::now() > deadline {
            return Err(Trouble::environment(words));
        }
        notes.waiting(words);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ready(client: &Client) -> kube::Result<()> {
    let request = hyper::Request::get("/readyz").body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request_text(request).await.map(drop)
}

/// An API server's own words where it has answered, without the client's picture of the answer around them.
pub(super) fn words(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} ({})", status.message, status.code);
    }
    complaint::chain(error)
}

struct Wait<'a> {
    hub: &'a Hub,
    notes: &'a Notes,
}

impl Wait<'_> {
    /// Waits until nothing is left to wait for; notes what is.
    async fn until(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        mut left: impl FnMut(&[std::sync::Arc<DynamicObject>]) -> Option<String> + Send,
    ) -> Result<(), Trouble> {
        let decide = |found: &[std::sync::Arc<DynamicObject>]| match left(found) {
            Some(on) => {
                self.notes.waiting(on);
                None
            }
            None => Some(()),
        };
        let wait = self.hub.until(resource, namespace, decide).await;
        wait.map_err(|error| Trouble::environment(complaint::chain(&error)))
    }
}

/// What keeps the nodes from being ready, if anything.
fn nodes_ready<O: AsRef<DynamicObject>>(found: &[O], expected: usize) -> Option<String> {
    if found.len() < expected {
        return Some(format!("{} of {expected} nodes have joined", found.len()));
    }
    found.iter().find_map(|node| {
        let node = node.as_ref();
        let name = node.metadata.name.as_deref().unwrap_or_default();
        match condition(node, "Ready") {
            Some(ready) if ready["status"] == "True" => None,
            Some(ready) => Some(format!("node {name} is not Ready: {}", ready["message"].as_str().unwrap_or_default())),
            None => Some(format!("node {name} has not reported yet")),
        }
    })
}

/// What keeps the cluster's DNS from answering, if anything. kind and k3s both run it as this Deployment.
fn dns_available<O: AsRef<DynamicObject>>(found: &[O]) -> Option<String> {
    let named = |object: &&O| object.as_ref().metadata.name.as_deref() == Some("coredns");
    let Some(dns) = found.iter().find(named).map(AsRef::as_ref) else {
        return Some("Deployment kube-system/coredns does not exist yet".to_owned());
    };
    let seen = dns.data["status"]["observedGeneration"].as_i64() >= dns.metadata.generation;
    match condition(dns, "Available") {
        Some(available) if seen && available["status"] == "True" => None,
        Some(available) => {
            let why = available["message"].as_str().unwrap_or_default();
            Some(format!("Deployment kube-system/coredns is not available: {why}"))
        }
        None => Some("Deployment kube-system/coredns has no status yet".to_owned()),
    }
}

fn there<O: AsRef<DynamicObject>>(found: &[O], name: &str) -> Option<String> {
    let there = found.iter().any(|object| object.as_ref().metadata.name.as_deref() == Some(name));
    (!there).then(|| format!("namespace default has no {name} yet, without which no pod starts"))
}

fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a serde_json::Value> {
    object.data["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn object(value: Value) -> Arc<DynamicObject> {
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn node(name: &str, status: &Value) -> Arc<DynamicObject> {
        object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}))
    }

    fn conditions(kind: &str, status: &str, message: &str) -> Value {
        json!({"conditions": [{"type": kind, "status": status, "message": message}], "observedGeneration": 1})
    }

    #[test]
    fn all_nodes_must_be_there_and_every_one_ready() {
        let ready = node("a", &conditions("Ready", "True", ""));
        let young = node("b", &json!({}));
        let waiting = node("b", &conditions("Ready", "False", "cni plugin not initialized"));
        assert_eq!(nodes_ready(std::slice::from_ref(&ready), 1), None);
        assert_eq!(nodes_ready(std::slice::from_ref(&ready), 2).unwrap(), "1 of 2 nodes have joined");
        assert_eq!(nodes_ready(&[ready.clone(), young], 2).unwrap(), "node b has not reported yet");
        let why = nodes_ready(&[ready, waiting], 2).unwrap();
        assert_eq!(why, "node b is not Ready: cni plugin not initialized");
    }

    #[test]
    fn dns_is_available_only_by_a_status_of_its_present_generation() {
        let dns = |generation: i64, status: Value| {
            object(json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "coredns", "generation": generation}, "status": status}))
        };
        assert!(dns_available::<Arc<DynamicObject>>(&[]).unwrap().contains("does not exist"));
        assert!(dns_available(&[dns(1, json!({}))]).unwrap().contains("no status"));
        assert!(
            dns_available(&[dns(1, conditions("Available", "False", "no minimum"))]).unwrap().ends_with("no minimum")
        );
        assert!(dns_available(&[dns(2, conditions("Available", "True", ""))]).is_some());
        assert_eq!(dns_available(&[dns(1, conditions("Available", "True", ""))]), None);
    }

    #[test]
    fn a_namespace_without_its_account_cannot_start_pods() {
        let account = object(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}));
        assert_eq!(there(&[account], "default"), None);
        assert!(there::<Arc<DynamicObject>>(&[], "default").unwrap().contains("has no default yet"));
    }
}
