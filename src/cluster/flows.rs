//! Whole lives of clusters with a `kind` that is a shell script: it fails, hangs, lies and leaves things behind.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::record::{Record, Shelf};
use super::*;
use crate::plan::{ClusterWork, StepId};
use crate::ports::{Notes, Trouble};
use crate::process::Program;
use crate::span::Span;
use crate::suite::Environment;
use crate::tools::{Engine, Equipment, Found, Tool};

/// A machine whose kind keeps its clusters as files in `made/`.
struct Machine(tempfile::TempDir);

impl Machine {
    async fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(machine.at("made")).unwrap();
        std::fs::write(machine.at("default.yaml"), "kind: Cluster\n").unwrap();
        machine.creating("touch $dir/made/$name").await.deleting("rm -f $dir/made/$name").await
    }

    /// What `kind create cluster` does; `$dir` is the machine's folder and `$name` the cluster's name.
    async fn creating(self, script: &str) -> Self {
        self.does("create", script).await
    }

    async fn deleting(self, script: &str) -> Self {
        self.does("delete", script).await
    }

    async fn does(self, what: &str, script: &str) -> Self {
        std::fs::write(self.at(what), script).unwrap();
        let kind = "dir=$(dirname \"$0\")\n\
                    case \"$1\" in delete) name=$4 ;; create) name=$6 ;; esac\n\
                    case \"$1 $2\" in\n\
                    'get clusters') ls $dir/made ;;\n\
                    'get kubeconfig') cat $dir/kubeconfig ;;\n\
                    *) . $dir/$1 ;;\n\
                    esac\n";
        std::fs::write(self.at("kind"), format!("#!/bin/sh\n{kind}")).unwrap();
        Program::new("/bin/chmod").arg("+x").arg(self.at("kind")).output().await.unwrap();
        self
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn made(&self) -> Vec<String> {
        let mut names: Vec<String> = files(&self.at("made"));
        names.sort();
        names
    }

    fn shelf(&self) -> Shelf {
        Shelf::new(&self.at("state"))
    }

    fn clusters(&self, run: &str, kind: ClusterKind, reuse: bool) -> Clusters {
        let engine = Engine { program: "/bin/false".into(), podman: false, multi_platform: false };
        let found = Found { path: self.at("kind"), version: "0.33.0".parse().unwrap() };
        let equipment = Equipment { engine: Some(engine), tools: [(Tool::Kind, found)].into() };
        let folders = Folders { state: self.at("state"), run: self.at("run") };
        let configs = self.0.path().to_owned();
        Clusters::new(ClusterOptions { kind, run: run.to_owned(), keep: false, reuse, configs, folders }, equipment)
    }

    fn run(&self, run: &str) -> Clusters {
        self.clusters(run, ClusterKind::Kind, false)
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn notes() -> Notes {
    Notes::new(StepId::cluster(), tokio::sync::mpsc::unbounded_channel().0)
}

fn environment() -> Environment {
    Environment {
        name: "local".parse().unwrap(),
        node_image: None,
        cluster_config: None,
        preload: false,
        cluster_budget: Span::secs(60),
        requires: crate::suite::Requires::default(),
    }
}

async fn raise(clusters: &Clusters) -> Result<Raised, Trouble> {
    clusters.raise(&ClusterWork { environment: environment() }, &notes()).await
}

async fn lower(clusters: &Clusters) -> Result<String, Trouble> {
    clusters.lower(&notes()).await.map(|done| done.saw)
}

async fn standings(clusters: &Clusters) -> Vec<(String, Standing)> {
    clusters.list().await.unwrap().into_iter().map(|row| (row.name, row.standing)).collect()
}

#[tokio::test]
async fn a_creation_that_fails_half_way_says_why_in_kinds_words_and_what_is_left_and_that_is_removed() {
    let machine = Machine::new().await;
    let recorded = "test -f $dir/state/clusters/$name.json || exit 9; touch $dir/made/$name";
    let fails = "echo ' x Starting' >&2; echo 'ERROR: failed to init node' >&2; exit 1";
    let machine = machine.creating(&format!("{recorded}; {fails}")).await;
    let clusters = machine.run("a1");
    let trouble = raise(&clusters).await.unwrap_err();
    assert_eq!(trouble.headline, "kind 0.33.0 could not create cluster seaworthy-a1: failed to init node");
    assert_eq!(trouble.details.last().unwrap(), "left behind: cluster seaworthy-a1, which the teardown removes");
    assert!(trouble.details.iter().any(|line| line == " x Starting" || line == "x Starting"), "{trouble:?}");
    assert_eq!(lower(&clusters).await.unwrap(), "removed seaworthy-a1");
    assert!(machine.made().is_empty() && files(&machine.at("state/clusters")).is_empty());
    assert_eq!(lower(&clusters).await.unwrap(), "no cluster of this run is left");
}

#[tokio::test]
async fn a_creation_that_hangs_is_ended_with_its_caller_and_what_it_made_is_removed() {
    let machine = Machine::new().await.creating("touch $dir/made/$name; sleep 1000").await;
    let clusters = machine.run("a1");
    let begun = async {
        while machine.made().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        raised = raise(&clusters) => panic!("{raised:?}"),
        () = begun => {}
    }
    assert_eq!(standings(&clusters).await, [("seaworthy-a1".to_owned(), Standing::InUse)]);
    assert_eq!(lower(&clusters).await.unwrap(), "removed seaworthy-a1");
    assert!(machine.made().is_empty() && files(&machine.at("state/clusters")).is_empty());
}

#[tokio::test]
async fn a_tool_that_says_it_removed_what_is_still_there_is_not_believed() {
    let machine = Machine::new().await.creating("touch $dir/made/$name; exit 1").await.deleting("exit 0").await;
    let clusters = machine.run("a1");
    raise(&clusters).await.unwrap_err();
    let trouble = lower(&clusters).await.unwrap_err();
    assert_eq!(trouble.headline, "cluster seaworthy-a1 is still there: kind said that it removed it");
    assert_eq!(trouble.details, ["try again with: seaworthy cluster down seaworthy-a1"]);
    assert_eq!(lower(&clusters).await.unwrap_err(), trouble, "the second time it is no better");
    drop(clusters);
    assert_eq!(standings(&machine.run("b2")).await, [("seaworthy-a1".to_owned(), Standing::LeftOver)]);
    let machine = machine.deleting("rm -f $dir/made/$name").await;
    assert_eq!(machine.run("b2").down(&Downs::LeftOver, Force::No).await.unwrap().saw, "removed seaworthy-a1");
    assert!(machine.made().is_empty() && files(&machine.at("state/clusters")).is_empty());
}

#[tokio::test]
async fn a_second_run_of_the_same_name_is_refused_and_harms_nothing() {
    let machine = Machine::new().await.creating("touch $dir/made/$name; exit 1").await;
    let (first, second) = (machine.run("a1"), machine.run("a1"));
    raise(&first).await.unwrap_err();
    assert!(raise(&second).await.unwrap_err().headline.starts_with("cannot write the record "));
    assert_eq!(lower(&second).await.unwrap(), "no cluster of this run is left");
    assert_eq!(machine.made(), ["seaworthy-a1"]);
    assert_eq!(lower(&first).await.unwrap(), "removed seaworthy-a1");
}

fn record(name: &str, keep: bool) -> Record {
    let (name, run, digest) = (name.to_owned(), "x".to_owned(), "d".to_owned());
    Record { name, flavour: Flavour::Kind, run, pid: 42, created: Timestamp::UNIX_EPOCH, keep, digest }
}

/// One cluster of each standing, and one that is somebody else's; the claim holds the one in use.
async fn zoo() -> (Machine, super::record::Claim) {
    let machine = Machine::new().await;
    for name in ["left", "kept", "used", "strange"] {
        std::fs::write(machine.at("made").join(format!("seaworthy-{name}")), "").unwrap();
    }
    std::fs::write(machine.at("made/somebody-elses"), "").unwrap();
    let shelf = machine.shelf();
    for (name, keep) in [("seaworthy-gone", false), ("seaworthy-left", false), ("seaworthy-kept", true)] {
        drop(shelf.claim(record(name, keep)).unwrap());
    }
    let used = shelf.claim(record("seaworthy-used", false)).unwrap();
    (machine, used)
}

#[tokio::test]
async fn the_list_joins_what_is_recorded_with_what_exists() {
    let (machine, _used) = zoo().await;
    let listed = standings(&machine.run("a1")).await;
    let listed: Vec<(&str, Standing)> = listed.iter().map(|(name, standing)| (name.as_str(), *standing)).collect();
    assert_eq!(
        listed,
        [
            ("seaworthy-gone", Standing::Gone),
            ("seaworthy-kept", Standing::Kept),
            ("seaworthy-left", Standing::LeftOver),
            ("seaworthy-strange", Standing::Unrecorded),
            ("seaworthy-used", Standing::InUse),
        ]
    );
}

#[tokio::test]
async fn only_what_nobody_needs_is_removed_unless_more_is_asked_for() {
    let (machine, _used) = zoo().await;
    let clusters = machine.run("a1");
    let down = clusters.down(&Downs::LeftOver, Force::No).await.unwrap();
    assert_eq!(down.saw, "removed seaworthy-gone, seaworthy-left");
    assert_eq!(
        down.warnings,
        [
            "kept: seaworthy-kept (name it to remove it, or say --all)",
            "in use by a run: seaworthy-used (name it with --force to remove it all the same)",
            "not recorded here: seaworthy-strange (name it to remove it)",
        ]
    );
    assert_eq!(clusters.down(&Downs::All, Force::No).await.unwrap().saw, "removed seaworthy-kept");
    assert_eq!(machine.made(), ["seaworthy-strange", "seaworthy-used", "somebody-elses"]);
}

#[tokio::test]
async fn a_cluster_in_use_is_refused_by_name_unless_forced_and_a_strangers_is_never_touched() {
    let (machine, _used) = zoo().await;
    let clusters = machine.run("a1");
    let named = |name: &str| Downs::Named(vec![name.to_owned()]);
    let refused = clusters.down(&named("seaworthy-used"), Force::No).await.unwrap_err();
    assert_eq!(refused.headline, "seaworthy-used: in use by process 42; --force removes it all the same");
    let unknown = clusters.down(&named("somebody-elses"), Force::Yes).await.unwrap_err();
    assert_eq!(unknown.headline, "somebody-elses: there is no such cluster of ours");
    assert!(machine.made().contains(&"seaworthy-used".to_owned()));
    clusters.down(&named("seaworthy-used"), Force::Yes).await.unwrap();
    clusters.down(&named("seaworthy-strange"), Force::No).await.unwrap();
    assert_eq!(machine.made(), ["seaworthy-kept", "seaworthy-left", "somebody-elses"]);
}

#[tokio::test]
async fn a_run_warns_of_what_others_left() {
    let (machine, _used) = zoo().await;
    let warnings = machine.run("a1").leftovers().await;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("seaworthy-left was left over"), "{warnings:?}");
}

#[tokio::test]
async fn a_cluster_configuration_that_is_not_there_is_named() {
    let machine = Machine::new().await;
    let environment = Environment { cluster_config: Some(machine.at("mine.yaml")), ..environment() };
    let trouble = machine.run("a1").raise(&ClusterWork { environment }, &notes()).await.unwrap_err();
    assert!(trouble.headline.starts_with("cannot use the cluster configuration ") && machine.made().is_empty());
    assert!(trouble.headline.contains("mine.yaml: No such file"), "{trouble:?}");
}

#[tokio::test]
async fn suites_without_a_cluster_configuration_get_the_one_of_this_program() {
    let machine = Machine::new().await.creating("touch $dir/made/$name; cp $dir/kubeconfig ${10}").await;
    api_server(&machine, 500, 404).await;
    std::fs::remove_file(machine.at("default.yaml")).unwrap();
    until_waiting(&machine.run("a1")).await.unwrap();
    assert_eq!(machine.made(), ["seaworthy-a1"]);
}

/// An API server that is ready or not, and that carries the mark or not.
async fn api_server(machine: &Machine, readyz: u16, mark: u16) {
    use axum::http::StatusCode;
    use axum::routing::get;
    rustls::crypto::ring::default_provider().install_default().ok();
    let status = |code: u16| StatusCode::from_u16(code).unwrap();
    let answer = axum::Json(match mark {
        200 => serde_json::json!({"metadata": {"name": "seaworthy", "namespace": "kube-system"}}),
        404 => serde_json::json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}),
        code => serde_json::json!({"kind": "Status", "status": "Failure", "message": "words", "code": code}),
    });
    let mark_path = "/api/v1/namespaces/kube-system/configmaps/seaworthy";
    let app = axum::Router::new()
        .route("/readyz", get(move || async move { (status(readyz), "ok") }))
        .route(mark_path, get(move || async move { (status(mark), answer) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: blue\ncontexts: [{{name: blue, context: {{cluster: one, user: one}}}}]\n\
         clusters: [{{name: one, cluster: {{server: 'http://{address}'}}}}]\nusers: [{{name: one, user: {{}}}}]\n"
    );
    std::fs::write(machine.at("kubeconfig"), kubeconfig).unwrap();
}

async fn borrow(readyz: u16, mark: u16, confirmed: Option<&str>) -> Result<Raised, Trouble> {
    let machine = Machine::new().await;
    api_server(&machine, readyz, mark).await;
    let confirmed = confirmed.map(str::to_owned);
    let files = vec![machine.at("kubeconfig")];
    let borrowing = Borrowing { place: Place::Context { name: "blue".to_owned(), files }, confirmed };
    let clusters = machine.clusters("a1", ClusterKind::Borrowed(borrowing), false);
    let raised = raise(&clusters).await;
    assert_eq!(lower(&clusters).await.unwrap(), "context blue is left as it is");
    raised
}

#[tokio::test]
async fn a_borrowed_cluster_is_used_only_where_it_is_marked_or_confirmed_by_name() {
    let marked = borrow(200, 200, None).await.unwrap();
    assert_eq!(
        (marked.ownership, marked.done.saw.as_str()),
        (Ownership::Borrowed, "context blue, marked as ours to use")
    );
    let refused = borrow(200, 404, None).await.unwrap_err();
    assert_eq!(refused.headline, "context blue is not used: it carries no mark");
    assert!(refused.details[0].ends_with("--yes-this-cluster blue"), "{refused:?}");
    let unreadable = borrow(200, 403, None).await.unwrap_err();
    assert_eq!(unreadable.headline, "context blue is not used: its mark cannot be read: words (403)");
    let confirmed = borrow(200, 404, Some("blue")).await.unwrap();
    assert_eq!(confirmed.done.saw, "context blue, confirmed on the command line");
    let wrong = borrow(200, 200, Some("green")).await.unwrap_err();
    assert_eq!(wrong.headline, "confirmation: it is context blue, confirmed was green");
}

#[tokio::test]
async fn a_borrowed_cluster_that_does_not_let_us_in_is_not_waited_for() {
    let start = tokio::time::Instant::now();
    let trouble = borrow(403, 200, None).await.unwrap_err();
    assert!(trouble.headline.starts_with("the API server is not ready: "), "{trouble:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// Raises until the API server, which is never ready here, is waited for.
async fn until_waiting(clusters: &Clusters) -> Option<String> {
    let (out, mut notes) = tokio::sync::mpsc::unbounded_channel();
    let (work, to) = (ClusterWork { environment: environment() }, Notes::new(StepId::cluster(), out));
    let raise = clusters.raise(&work, &to);
    tokio::pin!(raise);
    loop {
        tokio::select! {
            raised = &mut raise => panic!("{raised:?}"),
            note = notes.recv() => {
                let (_, note) = note?;
                if note.starts_with("the API server is not ready") {
                    return Some(note);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_kept_cluster_is_reused_by_one_run_and_another_run_makes_its_own() {
    let machine = Machine::new().await.creating("touch $dir/made/$name; cp $dir/kubeconfig ${10}").await;
    api_server(&machine, 500, 404).await;
    let (first, second, third) = (
        machine.clusters("a1", ClusterKind::Kind, true),
        machine.clusters("b2", ClusterKind::Kind, true),
        machine.run("c3"),
    );
    until_waiting(&first).await.unwrap();
    until_waiting(&second).await.unwrap();
    assert_eq!(machine.made(), ["seaworthy-a1", "seaworthy-b2"], "two runs share one");
    drop((first, second));
    let again = machine.clusters("d4", ClusterKind::Kind, true);
    until_waiting(&again).await.unwrap();
    assert_eq!(machine.made(), ["seaworthy-a1", "seaworthy-b2"], "a kept one was not reused");
    assert!(lower(&again).await.unwrap().starts_with("kept seaworthy-a1\nexport KUBECONFIG="), "it was there before");
    until_waiting(&third).await.unwrap();
    assert_eq!(machine.made(), ["seaworthy-a1", "seaworthy-b2", "seaworthy-c3"], "reused unasked");
    assert_eq!(lower(&third).await.unwrap(), "removed seaworthy-c3");
}

#[tokio::test]
async fn what_a_killed_run_has_half_made_is_left_over_and_never_reused() {
    let machine = Machine::new().await.creating("touch $dir/made/$name; exec sleep 60").await;
    let first = machine.clusters("a1", ClusterKind::Kind, true);
    {
        let (work, to) = (ClusterWork { environment: environment() }, notes());
        let mut raise = std::pin::pin!(first.raise(&work, &to));
        while machine.made().is_empty() {
            tokio::select! {
                raised = &mut raise => panic!("{raised:?}"),
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    }
    drop(first);
    assert_eq!(standings(&machine.run("b2")).await, [("seaworthy-a1".to_owned(), Standing::LeftOver)]);
}
