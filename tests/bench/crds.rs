//! How long 33 real CRDs take until every new endpoint answers: helm and kubectl, and ours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams};
use seaworthy::install::{self, Installer, Target};
use seaworthy::manifest;
use seaworthy::plan::{ComponentKey, ComponentWork};
use seaworthy::process::Program;
use seaworthy::secrets::Secrets;
use seaworthy::suite::{ChartSource, Install};
use tokio::time::{Instant, sleep};

use super::figures;
use super::place::{self, Fault, Place};

const ROUNDS: usize = 5;

/// Between two looks at whether something is gone, or answers.
const PAUSE: Duration = Duration::from_millis(20);

/// The API server tidies up for a while after the last CRD is gone; neither side is to pay for that.
const CALM: Duration = Duration::from_secs(5);

pub(crate) async fn measure(place: &Place) -> Result<(), Fault> {
    let charts = tempfile::tempdir()?;
    let crds = crds().await?;
    let (chart, endpoints) = (chart(&crds, charts.path())?, endpoints(&crds)?);
    let client = place.client().await?;
    let (mut theirs, mut ours, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(timed(&client, &endpoints, kubectl(place, &chart)).await?.0);
        let (all, rendering) = timed(&client, &endpoints, install(place, &chart, charts.path())).await?;
        ours.push(all);
        after.push(all - rendering);
    }
    clear(&client).await?;
    figures::table(
        "33 real CRDs until every new endpoint answers, seconds",
        &[
            ("helm template | kubectl apply, kubectl wait", &theirs),
            ("ours: render, install, settle", &ours),
            ("ours once rendered, as a run does while its cluster is made", &after),
        ],
    );
    let times = figures::median(&theirs) / figures::median(&ours);
    figures::goal("at least twice as fast, by the median", times >= 2.0, &format!("{times:.2} times"));
    Ok(())
}

/// From a cluster without CRDs to the last endpoint that answers, in seconds; and what the work says of itself.
async fn timed<T>(
    client: &Client,
    endpoints: &[String],
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<(f64, T), Fault> {
    clear(client).await?;
    let started = Instant::now();
    let said = work.await?;
    all_answer(client, endpoints).await?;
    Ok((started.elapsed().as_secs_f64(), said))
}

async fn kubectl(place: &Place, chart: &Path) -> Result<(), Fault> {
    let (kubeconfig, chart) = (place.shared.kubeconfig.display().to_string(), chart.display().to_string());
    let script = "set -eo pipefail; export KUBECONFIG=$0
        helm template bench \"$1\" --include-crds | kubectl apply --server-side -f -
        kubectl wait --for=condition=Established crd --all --timeout=5m";
    Program::new("bash").args(["-c", script, &kubeconfig, &chart]).output().await?;
    Ok(())
}

/// As a run does it; how many seconds of that are rendering.
async fn install(place: &Place, chart: &Path, folder: &Path) -> Result<f64, Fault> {
    let target = Target { access: place.access.clone(), client: place.client().await?, exclusive: true };
    let installer = Installer::new("helm".into(), "bench".to_owned(), folder.join("rendered"), Secrets::default());
    let work = ComponentWork {
        key: ComponentKey { suite: "crds".parse()?, component: "all".parse()? },
        namespace: "bench".parse()?,
        install: Install::Crds { charts: vec![ChartSource::Path(chart.to_owned())], paths: Vec::new() },
    };
    let notes = place::notes();
    let started = Instant::now();
    let rendered = installer.render(&work, &notes).await.map_err(place::fault)?;
    let rendering = started.elapsed().as_secs_f64();
    installer.install(&work, &rendered, &target, &notes).await.map_err(place::fault)?;
    install::await_served(&target.client, &rendered.objects, &notes).await.map_err(place::fault)?;
    Ok(rendering)
}

/// The endpoints of the kinds that a folder of CRDs brings.
fn endpoints(crds: &Path) -> Result<Vec<String>, Fault> {
    let mut endpoints = Vec::new();
    for file in std::fs::read_dir(crds)? {
        for crd in manifest::read("a CRD", &std::fs::read_to_string(file?.path())?)? {
            let crd: CustomResourceDefinition = serde_json::from_value(serde_json::to_value(crd.object)?)?;
            let version =
                crd.spec.versions.into_iter().find(|version| version.storage).ok_or("it stores no version")?;
            endpoints.push(format!("/apis/{}/{}/{}?limit=1", crd.spec.group, version.name, crd.spec.names.plural));
        }
    }
    Ok(endpoints)
}

/// Lists every kind until each has answered; what both sides are held to.
async fn all_answer(client: &Client, endpoints: &[String]) -> Result<(), Fault> {
    try_join_all(endpoints.iter().map(|path| answers(client, path))).await?;
    Ok(())
}

async fn answers(client: &Client, path: &str) -> Result<(), Fault> {
    while client.request_text(http::Request::get(path).body(Vec::new())?).await.is_err() {
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Deletes every CRD, and waits until that is done.
async fn clear(client: &Client) -> Result<(), Fault> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    crds.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    while !crds.list_metadata(&ListParams::default()).await?.items.is_empty() {
        sleep(PAUSE * 5).await;
    }
    sleep(CALM).await;
    Ok(())
}

/// The lab's folder of CRDs.
async fn crds() -> Result<PathBuf, Fault> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/lab/crds");
    let printed = Program::new(script).output().await?;
    Ok(Path::new(String::from_utf8(printed)?.trim()).join("bench-33"))
}

/// A chart that holds them.
fn chart(crds: &Path, into: &Path) -> Result<PathBuf, Fault> {
    let chart = into.join("chart");
    std::fs::create_dir_all(chart.join("crds"))?;
    std::fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: crds\nversion: 1.0.0\n")?;
    for crd in std::fs::read_dir(crds)? {
        let crd = crd?;
        std::fs::copy(crd.path(), chart.join("crds").join(crd.file_name()))?;
    }
    Ok(chart)
}
