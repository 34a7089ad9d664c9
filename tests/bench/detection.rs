//! How long after the API server has a change a wait for it ends: `kubectl wait`, and ours.

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use seaworthy::install;
use seaworthy::watch::Hub;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::figures;
use super::place::{self, Fault, NAMESPACE, Place};

const ROUNDS: usize = 30;

/// How much slower than `kubectl wait` is as good as it, in milliseconds.
const AS_GOOD: f64 = 10.0;

/// Between a wait's first look and the change, so that no start is measured.
const CALM: Duration = Duration::from_millis(300);

pub(crate) async fn measure(place: &Place) -> Result<(), Fault> {
    let stage = Stage::set(place).await?;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        theirs.push(stage.kubectl(place, &format!("theirs-{round}")).await?);
        ours.push(stage.settle(&format!("ours-{round}")).await?);
    }
    figures::table(
        "detection: from the answer to the patch, milliseconds",
        &[("kubectl wait, to its exit", &theirs), ("ours, to the end of the wait", &ours)],
    );
    let behind = figures::median(&ours) - figures::median(&theirs);
    figures::goal("within 10 ms of kubectl wait's, by the median", behind <= AS_GOOD, &format!("{behind:+.1} ms"));
    Ok(())
}

/// A custom kind that no controller touches.
struct Stage {
    beacons: Api<DynamicObject>,
    kind: ApiResource,
    hub: Hub,
}

impl Stage {
    async fn set(place: &Place) -> Result<Self, Fault> {
        place.namespace().await?;
        let client = place.client().await?;
        let crd = ApiResource::erase::<
            k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
        >(&());
        let crds: Api<DynamicObject> = Api::all_with(client.clone(), &crd);
        let made = crds.create(&PostParams::default(), &serde_json::from_value(definition())?).await?;
        install::await_served(&client, &[made], &place::notes()).await.map_err(place::fault)?;
        let kind =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("bench.example", "v1", "Beacon"), "beacons");
        let beacons = Api::namespaced_with(client, NAMESPACE, &kind);
        Ok(Self { beacons, kind, hub: Hub::new(place.client().await?) })
    }

    async fn kubectl(&self, place: &Place, name: &str) -> Result<f64, Fault> {
        self.build(name).await?;
        let watching = Notify::new();
        let beacon = format!("beacon/{name}");
        let wait = ["wait", "-v=6", "-n", NAMESPACE, "--for=condition=Ready", &beacon, "--timeout=60s"];
        let program = place.kubectl(wait);
        let wait = async {
            let heard = |line: &str| {
                if line.contains("watch=true") {
                    watching.notify_one();
                }
            };
            let ended = program.heard(heard).await?;
            let at = Instant::now();
            ended.succeeded(&program)?;
            Ok(at)
        };
        self.latency(name, &watching, wait).await
    }

    async fn settle(&self, name: &str) -> Result<f64, Fault> {
        self.build(name).await?;
        let watching = Notify::new();
        let objects = [place::within(self.kind.clone(), name)];
        let wait = async {
            let settled = self.hub.settle_telling(&objects, |_| watching.notify_one()).await?;
            let at = Instant::now();
            settled.map_err(|doom| doom.why)?;
            Ok(at)
        };
        self.latency(name, &watching, wait).await
    }

    /// Lights the beacon once it is watched; from then to the end of the wait, in milliseconds. An end may come before
    /// the answer to the change that it saw.
    async fn latency(
        &self,
        name: &str,
        watching: &Notify,
        wait: impl Future<Output = Result<Instant, Fault>>,
    ) -> Result<f64, Fault> {
        let light = async {
            watching.notified().await;
            sleep(CALM).await;
            let lit = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
            self.beacons.patch_status(name, &PatchParams::default(), &Patch::Merge(lit)).await?;
            Ok(Instant::now())
        };
        let (ended, lit) = tokio::try_join!(wait, light)?;
        let (late, early) = (ended.saturating_duration_since(lit), lit.saturating_duration_since(ended));
        Ok((late.as_secs_f64() - early.as_secs_f64()) * 1_000.0)
    }

    async fn build(&self, name: &str) -> Result<(), Fault> {
        let beacon = DynamicObject::new(name, &self.kind).within(NAMESPACE);
        self.beacons.create(&PostParams::default(), &beacon).await?;
        Ok(())
    }
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "beacons.bench.example" },
        "spec": {
            "group": "bench.example", "scope": "Namespaced",
            "names": { "kind": "Beacon", "plural": "beacons", "singular": "beacon", "listKind": "BeaconList" },
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    })
}
