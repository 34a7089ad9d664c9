//! The same on a real engine with a real kind: `cargo test --features live`. `SEAWORTHY_NODE_IMAGE` names a node image
//! other than kind's own, `SEAWORTHY_IMAGE` an image that the engine has.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::plan::{ClusterWork, StepId};
use crate::ports::Notes;
use crate::process::Program;
use crate::span::Span;
use crate::suite::Environment;
use crate::tools::{Needs, Tool, Toolbox};

/// Notes that are printed as they come.
fn notes() -> Notes {
    let (out, mut notes) = tokio::sync::mpsc::unbounded_channel();
    let start = tokio::time::Instant::now();
    tokio::spawn(async move {
        while let Some((_, note)) = notes.recv().await {
            eprintln!("{:?}: {note}", start.elapsed());
        }
    });
    Notes::new(StepId::cluster(), out)
}

fn work(node_image: Option<String>) -> ClusterWork {
    let environment = Environment {
        name: "live".parse().unwrap(),
        node_image: node_image.or_else(|| std::env::var("SEAWORTHY_NODE_IMAGE").ok()),
        cluster_config: None,
        preload: true,
        cluster_budget: Span::secs(300),
        requires: crate::suite::Requires::default(),
    };
    ClusterWork { environment }
}

async fn clusters(folder: &Path, run: &str, reuse: bool) -> Clusters {
    rustls::crypto::ring::default_provider().install_default().ok();
    let toolbox = Toolbox { path: std::env::var_os("PATH").unwrap(), cache: folder.join("cache") };
    let needs = Needs { engine: true, tools: [Tool::Kind].into() };
    let equipment =
        toolbox.equip(&needs, &|line| eprintln!("{line}")).await.expect("the live tests need an engine and kind");
    let options = ClusterOptions {
        kind: ClusterKind::Kind,
        run: format!("{run}-{}", std::process::id()),
        keep: false,
        reuse,
        configs: concat!(env!("CARGO_MANIFEST_DIR"), "/kind-configs").into(),
        folders: Folders { state: folder.into(), run: folder.into() },
    };
    Clusters::new(options, equipment)
}

#[tokio::test]
async fn a_cluster_is_made_usable_gets_an_image_and_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut clusters = clusters(folder.path(), "live", false).await;
    let start = tokio::time::Instant::now();
    let raised = clusters.raise(&work(None), &notes()).await.unwrap();
    eprintln!("usable after {:?}: {}", start.elapsed(), raised.done.saw);
    let rows = clusters.list().await.unwrap();
    assert!(rows.iter().any(|row| row.name.contains("-live-") && row.standing == Standing::InUse), "{rows:?}");
    let refused = clusters.down(&Downs::All, Force::No).await.unwrap();
    assert_eq!(refused.saw, "nothing removed");
    if let Ok(image) = std::env::var("SEAWORTHY_IMAGE") {
        let images = [image.clone(), image];
        let start = tokio::time::Instant::now();
        let first = clusters.preload(&images, &notes()).await.unwrap();
        eprintln!("preloaded after {:?}: {}", start.elapsed(), first.saw);
        clusters.loader = Default::default();
        let start = tokio::time::Instant::now();
        assert_eq!(clusters.preload(&images, &notes()).await.unwrap().saw, "0 image(s) loaded, 2 already there");
        eprintln!("looked again in {:?}", start.elapsed());
        let unknown = clusters.preload(&["no-such.invalid/image:1".to_owned()], &notes()).await.unwrap_err();
        eprintln!("{}", unknown.headline);
        assert!(
            unknown.headline.starts_with("image no-such.invalid/image:1 is not in the local engine"),
            "{unknown:?}"
        );
    }
    lower(&clusters).await;
}

async fn lower(clusters: &Clusters) {
    let start = tokio::time::Instant::now();
    assert!(clusters.lower(&notes()).await.unwrap().saw.starts_with("removed seaworthy-live-"));
    eprintln!("gone after {:?}", start.elapsed());
    assert_eq!(clusters.lower(&notes()).await.unwrap().saw, "no cluster of this run is left");
    assert_eq!(clusters.list().await.unwrap().iter().filter(|row| row.name.contains("seaworthy-live-")).count(), 0);
}

#[tokio::test]
async fn a_node_image_that_cannot_be_pulled_is_said_in_kinds_words_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let clusters = clusters(folder.path(), "unpullable", false).await;
    let image = Some("no-such.invalid/node:1".to_owned());
    let trouble = clusters.raise(&work(image), &notes()).await.unwrap_err();
    eprintln!("{}\n{}", trouble.headline, trouble.details.join("\n"));
    assert!(trouble.headline.contains("failed to pull image \"no-such.invalid/node:1\""), "{trouble:?}");
    assert_eq!(trouble.details.last().unwrap(), "nothing was left behind");
    assert!(clusters.lower(&notes()).await.unwrap().saw.starts_with("removed"));
    assert!(!folder.path().join("clusters").read_dir().unwrap().any(|_| true));
}

/// The run that is killed by the next test; by itself it does nothing.
#[tokio::test]
async fn victim() {
    if let Ok(folder) = std::env::var("SEAWORTHY_TEST_VICTIM") {
        let raised = clusters(Path::new(&folder), "victim", false).await.raise(&work(None), &notes()).await;
        unreachable!("it was to be killed: {raised:?}");
    }
}

#[tokio::test]
async fn what_a_killed_run_leaves_is_found_by_its_record_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let clusters = clusters(folder.path(), "after-kill", false).await;
    let victim = Program::new(std::env::current_exe().unwrap())
        .args(["--exact", "cluster::live::victim"])
        .env("SEAWORTHY_TEST_VICTIM", folder.path());
    let running = tokio::spawn(async move { victim.run().await });
    // The victim's own children are in groups of their own, so this is what `kill -9` of it alone leaves: kind goes on.
    let pid = loop {
        match clusters.list().await.unwrap().iter().find_map(|row| row.recorded) {
            Some((_, pid)) => break pid,
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    Program::new("/bin/kill").args(["-9", &pid.to_string()]).output().await.unwrap();
    running.await.unwrap().unwrap();
    let rows = clusters.list().await.unwrap();
    eprintln!("{rows:?}");
    assert!(rows.iter().any(|row| row.name.contains("victim") && row.standing == Standing::LeftOver), "{rows:?}");
    let start = tokio::time::Instant::now();
    let down = clusters.down(&Downs::LeftOver, Force::No).await.unwrap();
    eprintln!("{} after {:?}", down.saw, start.elapsed());
    assert!(!clusters.list().await.unwrap().iter().any(|row| row.name.contains("victim")));
}

#[tokio::test]
async fn a_kept_cluster_is_reused_by_one_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = clusters(folder.path(), "kept", true).await;
    first.raise(&work(None), &notes()).await.unwrap();
    assert!(first.lower(&notes()).await.unwrap().saw.starts_with("kept seaworthy-kept-"));
    let second = clusters(folder.path(), "second", true).await;
    let start = tokio::time::Instant::now();
    let raised = second.raise(&work(None), &notes()).await.unwrap();
    eprintln!("reused after {:?}: {}", start.elapsed(), raised.done.saw);
    assert!(raised.done.saw.starts_with("reused seaworthy-kept-"), "{}", raised.done.saw);
    let rows = second.list().await.unwrap();
    let ours: Vec<_> = rows.iter().filter(|row| row.name.contains("-kept-")).collect();
    assert!(ours.len() == 1 && ours[0].standing == Standing::InUse, "{rows:?}");
    let refused = first.down(&Downs::Named(vec![ours[0].name.clone()]), Force::No).await.unwrap_err();
    assert!(refused.headline.contains("in use by process"), "{}", refused.headline);
    drop(second.lower(&notes()).await.unwrap());
    first.down(&Downs::All, Force::No).await.unwrap();
}
