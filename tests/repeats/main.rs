//! Many looks through each probe leave nothing behind: no task, no descriptor (and so no connection and no listener), no object, no
//! key and no table.
//!
//! A hundred here; `SEAWORTHY_LOOKS=1000` is what `.ci/run` makes of it. Of what runs a Job it is a tenth: a look takes away what the
//! one before has left, so that only one can be at a time.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set is a failed test")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, Discovery};
use seaworthy::checks::Verdict;
use seaworthy::k8s::{self, Access};
use seaworthy::logs::LogKeeper;
use seaworthy::plan::{CheckWork, ComponentKey, StepId};
use seaworthy::ports::Notes;
use seaworthy::probes::{Made, Prober};
use seaworthy::rehearsal::Rehearsal;
use seaworthy::secrets::Secrets;
use seaworthy::suite::{CheckSpec, Patience};
use seaworthy::tunnel::Dialer;
use seaworthy::watch::Hub;
use serde::Deserialize as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

/// How many looks, and how many of them at once.
const LOOKS: usize = 100;
const AT_ONCE: usize = 8;

/// How many tasks and descriptors may be more: both ends of the connections to the API server that the client keeps open, as many as
/// are used at once. A look that leaves something leaves more than that.
const KEPT: usize = 4 * AT_ONCE;

/// How long what is over may take to be gone.
const SETTLES: Duration = Duration::from_secs(20);

/// A check of each kind that talks to a server or makes an object.
const CHECKS: &[&str] = &[
    "redis: {at: 'cache:6379', password: {secret: {name: auth, key: password}}, role: master}",
    "redis: {at: 'cache:6379', password: {value: wrong}, expect: denied}",
    "sentinel: {at: 'sentinels:26379', password: {secret: {name: auth, key: password}}, replicas: 0}",
    "postgres: {at: 'orders:5432', user: app, password: {secret: {name: auth, key: password}}, replica: 'orders-ro:5432'}",
    "postgres: {at: 'orders:5432', user: app, password: {value: wrong}, expect: denied}",
    "clickhouse: {at: 'events:8123', user: app, password: {secret: {name: auth, key: password}}}",
    "clickhouse: {at: 'events:8123', user: app, password: {value: wrong}, expect: denied}",
    "clickhouse: {at: 'events:8123', user: app, password: {secret: {name: auth, key: password}}, cluster: main, replicas: 1}",
    "kafka: {at: 'log:9092', user: app, password: {secret: {name: auth, key: password}}, mechanism: plain, brokers: 1, quorum: 1}",
    "kafka: {at: 'log:9092', user: app, password: {value: wrong}, mechanism: plain, expect: denied}",
    "s3: {at: 'store:9000', access-key: app, secret-key: {secret: {name: auth, key: password}}}",
    "s3: {at: 'store:9000', access-key: app, secret-key: {value: wrong}, expect: denied}",
    "pgadmin: {at: 'pages:80', email: me@example.com, password: {secret: {name: auth, key: password}}, servers: [{name: orders}]}",
    "pgadmin: {at: 'pages:80', expect: denied}",
    "neo4j: {at: 'graph:7474', bolt: 'graph:7687', user: neo4j, password: {secret: {name: auth, key: password}}}",
    "neo4j: {at: 'graph:7474', bolt: 'graph:7687', expect: denied}",
    "temporal: {at: 'flows:7233'}",
    "http: {at: 'web:80', status: 200}",
    "tcp: {at: 'web:80'}",
    "dns: {name: cache}",
    "exec: {pod: {app: web}, command: [echo, hello], prints: {contains: hello}}",
    "namespace: {name: data}",
    "workload: {kind: Deployment, name: web}",
    "job: {manifest: job.yaml, log: {contains: hello}}",
];

/// What is there: on this side and, since it is the same process, on the cluster's.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    tasks: usize,
    descriptors: usize,
    objects: usize,
}

struct Stage {
    client: Client,
    prober: Prober,
    _rehearsal: Rehearsal,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn set() -> Self {
        let rehearsal = Rehearsal::begin(1).await.unwrap();
        let access = Access::Kubeconfig { file: rehearsal.kubeconfig(), context: None };
        let client = k8s::client(&access).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (hub, secrets) = (Hub::new(client.clone()), Secrets::default());
        let prober = Prober {
            dialer: Dialer::forwarding(hub.clone()),
            logs: LogKeeper::new(hub.clone(), folder.path().to_owned(), secrets.clone()),
            hub,
            secrets,
            run: "repeats".to_owned(),
            helm: None,
            access,
            made: Made::default(),
            unfinished: TaskTracker::new(),
            learnt: Arc::default(),
            turns: Arc::default(),
        };
        let stage = Self { client, prober, _rehearsal: rehearsal, _folder: folder };
        stage.make(include_str!("servers.yaml")).await;
        stage
    }

    async fn make(&self, manifests: &str) {
        let discovery = Discovery::new(self.client.clone()).run().await.unwrap();
        for text in manifests.split("\n---\n") {
            let value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
            let object = DynamicObject::deserialize(value).unwrap();
            let (group, kind) =
                object.types.as_ref().map(|types| (types.api_version.clone(), types.kind.clone())).unwrap();
            let (group, version) = group.split_once('/').unwrap_or(("", &group));
            let gvk = kube::core::GroupVersionKind::gvk(group, version, &kind);
            let (resource, _) = discovery.resolve_gvk(&gvk).unwrap();
            let api: Api<DynamicObject> = match object.metadata.namespace.as_deref() {
                Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
                None => Api::all_with(self.client.clone(), &resource),
            };
            api.create(&kube::api::PostParams::default(), &object).await.unwrap();
        }
    }

    async fn look(&self, work: &CheckWork) -> Verdict {
        self.prober.observe(work, &Notes::new(StepId::cluster(), unbounded_channel().0)).await
    }

    /// Looks once the servers are there.
    async fn holds(&self, work: &CheckWork) {
        let since = Instant::now();
        loop {
            let verdict = self.look(work).await;
            if matches!(verdict, Verdict::Held { .. }) {
                return;
            }
            assert!(since.elapsed() < SETTLES, "{verdict:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// So many looks, each of which must hold, and without a warning that something was left behind.
    async fn repeat(&self, work: &CheckWork, looks: usize) {
        let mut open = FuturesUnordered::new();
        let at_once = if work.spec.check.runs_something() { 1 } else { AT_ONCE };
        for begun in 0..looks + at_once {
            if begun >= at_once {
                let verdict = open.next().await.unwrap();
                let is_clean =
                    matches!(&verdict, Verdict::Held { warnings, .. } if !warnings.iter().any(|w| w.contains("left")));
                assert!(is_clean, "{verdict:?}");
            }
            if begun < looks {
                open.push(self.look(work));
            }
        }
    }

    /// What is there now. Events are not counted: they tell of what was.
    async fn traces(&self) -> Traces {
        let mut objects = 0;
        for group in Discovery::new(self.client.clone()).run().await.unwrap().groups() {
            for (resource, capabilities) in group.recommended_resources() {
                if resource.kind != "Event" && capabilities.supports_operation("list") {
                    let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
                    objects += api.list(&ListParams::default()).await.unwrap().items.len();
                }
            }
        }
        let descriptors = Path::new("/proc/self/fd").read_dir().unwrap().count();
        Traces { tasks: Handle::current().metrics().num_alive_tasks(), descriptors, objects }
    }

    /// How many keys there are in the Redis.
    async fn keys(&self) -> String {
        let mut stream = self.prober.dialer.dial(&"cache:6379".parse().unwrap(), "data").await.unwrap();
        stream.write_all(b"AUTH only-for-this-rehearsal\r\nDBSIZE\r\nQUIT\r\n").await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said.lines().nth(1).unwrap().to_owned()
    }
}

fn work(check: &str) -> CheckWork {
    CheckWork {
        key: ComponentKey { suite: "repeats".parse().unwrap(), component: "servers".parse().unwrap() },
        namespace: "data".parse().unwrap(),
        release: None,
        folder: std::path::PathBuf::new(),
        spec: CheckSpec {
            name: "holds".parse().unwrap(),
            title: "It holds".to_owned(),
            requirements: Vec::new(),
            check: serde_saphyr::from_str(&check.replace("job.yaml", &job())).unwrap(),
            patience: Patience::default(),
            line: 1,
        },
    }
}

fn job() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/repeats/job.yaml").display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_looks_leave_nothing_behind() {
    let looks = std::env::var("SEAWORTHY_LOOKS").map_or(LOOKS, |looks| looks.parse().unwrap());
    let stage = Stage::set().await;
    let all: Vec<CheckWork> = CHECKS.iter().copied().map(work).collect();
    // What comes with a server that is only starting would be taken for what a look has left.
    for work in all.iter().filter(|work| !work.spec.check.runs_something()) {
        stage.holds(work).await;
    }
    for (work, text) in all.iter().zip(CHECKS) {
        stage.holds(work).await;
        // What is made once, for all looks, is there from here on.
        stage.repeat(work, 2 * AT_ONCE).await;
        let before = stage.traces().await;
        let begun = Instant::now();
        let looks = if work.spec.check.runs_something() { looks / 10 } else { looks };
        stage.repeat(work, looks).await;
        eprintln!("{looks} looks in {:?}: {text}", begun.elapsed());
        let settling = Instant::now();
        loop {
            let after = stage.traces().await;
            let is_gone = after.tasks <= before.tasks + KEPT
                && after.descriptors <= before.descriptors + KEPT
                && after.objects <= before.objects;
            if is_gone {
                break;
            }
            assert!(settling.elapsed() < SETTLES, "{text}: {before:?} became {after:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
    assert_eq!(stage.keys().await, ":0");
    assert_eq!(stage.prober.finish().await, None);
    assert!(stage.prober.clean().await.is_empty());
}
