//! kubectl and helm themselves, where they are on the path.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use seaworthy::rehearsal::Rehearsal;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// The longest that a program may take.
const LONGEST: Duration = Duration::from_secs(30);

/// A program, used on one rehearsal.
struct Tool {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: tempfile::TempDir,
}

impl Tool {
    /// The program of a name; where it is missing that is said, and the test has nothing to do, unless
    /// `SEAWORTHY_NEEDS_TOOLS` says that it must be there.
    fn find(name: &str, rehearsal: &Rehearsal) -> Option<Self> {
        let Ok(program) = which::which(name) else {
            assert!(std::env::var_os("SEAWORTHY_NEEDS_TOOLS").is_none(), "{name} is not on the path");
            eprintln!("SKIPPED: {name} is not on the path, so nothing was tested with it");
            return None;
        };
        Some(Self { program, kubeconfig: rehearsal.kubeconfig(), home: tempfile::tempdir().unwrap() })
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words.split_whitespace()).env("KUBECONFIG", &self.kubeconfig).env("HOME", self.home.path());
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it; whether it succeeded, and all that it said.
    async fn run(&self, words: &str) -> (bool, String) {
        let ended = timeout(LONGEST, self.command(words).output()).await;
        let ended = ended.unwrap_or_else(|_| panic!("`{words}` should end")).unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        (ended.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Runs it successfully.
    async fn done(&self, words: &str) -> String {
        let (ok, said) = self.run(words).await;
        assert!(ok, "`{words}` failed: {said}");
        said
    }
}

fn manifest(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - { name: main, image: 'web:1', ports: [{ containerPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_applies_waits_reads_and_deletes() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let Some(kubectl) = Tool::find("kubectl", &rehearsal) else { return };
    let file = manifest(kubectl.home.path(), "web.yaml", WEB);
    kubectl.done("create namespace shop").await;
    assert!(kubectl.done(&format!("apply -n shop -f {file}")).await.contains("deployment.apps/web created"));
    assert!(kubectl.done(&format!("apply -n shop -f {file}")).await.contains("deployment.apps/web unchanged"));
    kubectl.done(&format!("apply -n shop --server-side --force-conflicts -f {file}")).await;
    kubectl.done("wait -n shop --for=condition=Available deployment/web --timeout=10s").await;
    kubectl.done("rollout status -n shop deployment/web --timeout=10s").await;
    let pods = kubectl.done("get pods -n shop -l app=web").await;
    assert_eq!(pods.matches("Running").count(), 2, "{pods}");
    kubectl.done("scale -n shop deployment/web --replicas=1").await;
    kubectl.done("label -n shop deployment/web tier=front").await;
    kubectl.done("annotate -n shop deployment/web note=x").await;
    kubectl.done("logs -n shop deployment/web").await;
    assert!(kubectl.done("describe -n shop deployment/web").await.contains("tier=front"));
    assert!(kubectl.done("get deployment web -n shop -o jsonpath={.metadata.labels.tier}").await.contains("front"));
    kubectl.done("get all -A -o wide").await;
    kubectl.done("get events -n shop").await;
    assert!(kubectl.done("auth can-i create pods").await.contains("yes"));
    assert!(kubectl.done("api-resources").await.contains("deployments"));
    let (ok, said) = kubectl.run("get ghosts").await;
    assert!(!ok && said.contains("the server doesn't have a resource type"), "{said}");
    let (ok, said) = kubectl.run("get pod ghost -n shop").await;
    assert!(!ok && said.contains("NotFound"), "{said}");
    kubectl.done(&format!("delete -n shop -f {file} --timeout=10s")).await;
    kubectl.done("delete namespace shop --timeout=10s").await;
    assert!(!kubectl.run("get namespace shop").await.0, "the namespace should be gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_runs_a_command_and_forwards_a_port() {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let Some(kubectl) = Tool::find("kubectl", &rehearsal) else { return };
    let file = manifest(kubectl.home.path(), "web.yaml", WEB);
    kubectl.done(&format!("apply -f {file}")).await;
    kubectl.done("wait --for=condition=Available deployment/web --timeout=10s").await;
    assert_eq!(kubectl.done("exec deployment/web -- echo seen").await.trim(), "seen");
    let mut forward = kubectl.command("port-forward service/web :80").spawn().unwrap();
    let mut said = BufReader::new(forward.stdout.take().unwrap()).lines();
    let line = timeout(LONGEST, said.next_line()).await.unwrap().unwrap().unwrap();
    let port: u16 = line.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    timeout(LONGEST, stream.read_to_end(&mut heard)).await.unwrap().unwrap();
    assert!(heard.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&heard));
    forward.kill().await.unwrap();
}

/// Installs a chart, changes it, takes the change back, and removes it.
async fn lives(chart: &str, change: &str, has_tests: bool) {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let (Some(helm), Some(kubectl)) = (Tool::find("helm", &rehearsal), Tool::find("kubectl", &rehearsal)) else {
        return;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts-under-test").join(chart);
    let path = path.display();
    helm.done(&format!("install one {path} -n data --create-namespace --wait --timeout 20s")).await;
    if has_tests {
        helm.done("test one -n data --timeout 20s").await;
    }
    helm.done(&format!("upgrade one {path} -n data --set {change} --wait --timeout 20s")).await;
    helm.done("rollback one 1 -n data --wait --timeout 20s").await;
    let history = helm.done("history one -n data").await;
    assert!(history.contains("Rollback to 1"), "{history}");
    helm.done("uninstall one -n data --wait --timeout 20s").await;
    assert!(!helm.done("list -A -q").await.contains("one"), "the release should be gone");
    let left = kubectl.done("get deployments,statefulsets,services,secrets,configmaps -n data -o name").await;
    // What belongs to a test is not the release's: helm leaves it.
    let stays = ["configmap/kube-root-ca.crt", "configmap/one-ping"];
    let left: Vec<&str> = left.lines().filter(|line| line.contains('/') && !stays.contains(line)).collect();
    assert_eq!(left, [] as [&str; 0], "what is left");
    kubectl.done("delete namespace data --timeout=10s").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_installs_changes_and_removes_redis() {
    lives("redis", "replicas=2", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_installs_changes_and_removes_postgres() {
    lives("postgres", "database=other", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_installs_changes_and_removes_clickhouse() {
    lives("clickhouse", "database=other", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_installs_changes_and_removes_replicas_of_clickhouse() {
    lives("clickhouse-ha", "replicas=1", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_installs_changes_and_removes_kafka() {
    lives("kafka", "replicas=1", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_installs_changes_and_removes_pgadmin() {
    lives("pgadmin", "email=other@example.com", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_installs_changes_and_removes_minio() {
    lives("minio", "accessKey=other", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_installs_changes_and_removes_neo4j() {
    lives("neo4j", "password=another-password", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_installs_changes_and_removes_temporal() {
    lives("temporal", "namespace=orders", false).await;
}
