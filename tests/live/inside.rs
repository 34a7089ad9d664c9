//! The same suites from inside the cluster: the binary as a Job, by its service account, dialling directly.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::harness::{Shared, root};

pub(crate) const NAMES: [&str; 4] = [
    "inside::a_cluster_without_mark_is_refused_and_missing_rights_are_named",
    "inside::data_plane_is_green",
    "inside::what_is_broken_is_red_for_its_own_reason",
    "inside::a_deleted_pod_tears_down_and_reports_within_its_grace_period",
];

/// Where everything lies on the node, and in the pods that mount it.
const PLACE: &str = "/opt/seaworthy";

/// Looks of half a second: three minutes.
const LONG: u32 = 360;

const OURS: &str = "--yes-this-cluster=in-cluster";

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    let tests: [fn(&Inside); 4] = [is_refused, is_green, is_red, is_deleted];
    let trial = |(name, test): (&str, fn(&Inside))| {
        let shared = Arc::clone(shared);
        Trial::test(name, move || super::passed(|| test(&Inside::enter(&shared))))
    };
    NAMES.into_iter().zip(tests).map(trial).collect()
}

/// A node of the shared cluster that has the program, helm, and the repository's suites and charts.
struct Inside<'a> {
    shared: &'a Shared,
    node: String,
}

impl<'a> Inside<'a> {
    fn enter(shared: &'a Shared) -> Self {
        let inside = Self { shared, node: format!("{}-control-plane", shared.cluster) };
        inside.on_node(&["mkdir", "-p", &format!("{PLACE}/bin"), &format!("{PLACE}/tests/live")]);
        inside.on_node(&["mkdir", "-p", "-m", "777", &format!("{PLACE}/reports")]);
        inside.copy(Path::new(env!("CARGO_BIN_EXE_seaworthy")), "bin/seaworthy");
        inside.copy(&which::which("helm").unwrap().canonicalize().unwrap(), "bin/helm");
        for folder in ["suites", "charts-under-test", "tests/live/suites", "tests/live/manifests", "tests/live/charts"]
        {
            inside.on_node(&["rm", "-rf", &format!("{PLACE}/{folder}")]);
            inside.copy(&root().join(folder), folder);
        }
        inside.kubectl(&["apply", "-f", root().join("suites/in-cluster/rights.yaml").to_str().unwrap()]);
        inside
    }

    fn copy(&self, from: &Path, to: &str) {
        let copied = Command::new("docker").arg("cp").arg(from).arg(format!("{}:{PLACE}/{to}", self.node)).output();
        assert!(copied.unwrap().status.success(), "{to} was not copied");
    }

    fn on_node(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker").args(["exec", &self.node]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.shared.kubectl(arguments)
    }

    /// Starts `seaworthy` with these arguments as a Job of this name and account.
    fn start(&self, name: &str, account: &str, arguments: &[&str]) {
        let report = |file: &str| format!("{PLACE}/reports/{name}{file}");
        let mut all: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        all.extend(["--out".to_owned(), report(""), "--junit".to_owned(), report(".xml")]);
        let job = job(name, account, &all);
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("job-{name}.json"));
        std::fs::write(&file, job.to_string()).unwrap();
        let told = self.kubectl(&["create", "-f", file.to_str().unwrap()]);
        assert!(told.contains("created"), "{told}");
    }

    /// Waits for a Job's pod to end, and removes it. What it printed, its exit code, and its JUnit report.
    fn end(&self, name: &str) -> (String, Option<i64>, String) {
        let exit = (0..LONG).find_map(|_| {
            std::thread::park_timeout(std::time::Duration::from_millis(500));
            let state = "jsonpath={.items[0].status.containerStatuses[0].state.terminated.exitCode}";
            let of_job = format!("job-name={name}");
            self.kubectl(&["-n", "seaworthy", "get", "pods", "-l", &of_job, "-o", state]).parse().ok()
        });
        let said = self.kubectl(&["-n", "seaworthy", "logs", &format!("job/{name}")]);
        self.kubectl(&["-n", "seaworthy", "delete", "job", name]);
        (said, exit, self.junit(name))
    }

    fn junit(&self, name: &str) -> String {
        self.on_node(&["cat", &format!("{PLACE}/reports/{name}.xml")])
    }

    fn run(&self, name: &str, account: &str, arguments: &[&str]) -> (String, Option<i64>, String) {
        self.start(name, account, arguments);
        self.end(name)
    }

    /// Waits until a namespace is not there any more.
    fn is_gone(&self, namespace: &str) -> bool {
        self.kubectl(&["wait", "--for=delete", &format!("namespace/{namespace}"), "--timeout=60s"]);
        self.kubectl(&["get", "namespace", namespace]).contains("NotFound")
    }
}

/// As `suites/in-cluster/job.yaml`, with an image that the node has and the program beside it.
fn job(name: &str, account: &str, arguments: &[String]) -> Value {
    let lab = std::env::var("SEAWORTHY_ENV").unwrap_or_default();
    let image = if lab == "lab" { "seaworthy-lab/postgres:15" } else { "docker.io/library/postgres:17" };
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name, "namespace": "seaworthy" },
        "spec": { "backoffLimit": 0, "template": { "spec": {
            "serviceAccountName": account, "restartPolicy": "Never", "terminationGracePeriodSeconds": 120,
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65532 },
            "containers": [{
                "name": "seaworthy", "image": image, "imagePullPolicy": "IfNotPresent", "workingDir": PLACE,
                "command": [format!("{PLACE}/bin/seaworthy")], "args": arguments,
                "env": [{ "name": "PATH", "value": format!("{PLACE}/bin") }, { "name": "SEAWORTHY_ENV", "value": lab }],
                "securityContext": { "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                     "capabilities": { "drop": ["ALL"] } },
                "volumeMounts": [{ "name": "all", "mountPath": PLACE }],
            }],
            "volumes": [{ "name": "all", "hostPath": { "path": PLACE } }],
        } } },
    })
}

fn is_refused(inside: &Inside) {
    let (said, exit, _) = inside.run("unmarked", "seaworthy", &["suite", "data-plane"]);
    assert_eq!(exit, Some(3), "{said}");
    assert!(said.contains("it carries no mark") && said.contains("--yes-this-cluster in-cluster"), "{said}");
    let (said, exit, _) = inside.run("no-rights", "default", &["suite", "bootstrap", "crds", OURS]);
    assert_eq!(exit, Some(3), "{said}");
    let words = said.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    assert!(words.contains("seaworthy:default\" cannot") && words.contains("resource \""), "{said}");
}

fn is_green(inside: &Inside) {
    let (said, exit, junit) = inside.run("green", "seaworthy", &["suite", "data-plane", OURS]);
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("Conformant: all 29 checks held") && said.contains("cluster in-cluster"), "{said}");
    assert!(junit.contains("primary-keeps-what-is-written") && junit.contains("</testsuites>"), "{junit}");
}

fn is_red(inside: &Inside) {
    // Whom the cluster leads to is whoever it likes; that each of two is met is up to us.
    let suites = [
        ("wrong-redis-password", "WRONGPASS"),
        ("service-without-endpoints", "app=misspelt"),
        ("one-of-two-fails", "404"),
    ];
    for (suite, says) in suites {
        let arguments = ["suite", suite, "--suites", "tests/live/suites", OURS];
        let (said, exit, junit) = inside.run(suite, "seaworthy", &arguments);
        assert_eq!(exit, Some(1), "{said}");
        let failure = junit.split("<failure message=\"").nth(1).and_then(|rest| rest.split('"').next());
        assert!(failure.is_some_and(|message| message.contains(says)), "{failure:?}\n{said}");
        assert!(inside.is_gone(suite), "left behind: {suite}");
    }
}

fn is_deleted(inside: &Inside) {
    inside.start("deleted", "seaworthy", &["suite", "slow-start", "--suites", "tests/live/suites", OURS, "-v"]);
    let begun = (0..LONG).any(|_| {
        std::thread::park_timeout(std::time::Duration::from_millis(500));
        inside.kubectl(&["-n", "seaworthy", "logs", "job/deleted"]).contains("is running but not ready")
    });
    assert!(begun, "it never came to wait for its pod");
    inside.kubectl(&["-n", "seaworthy", "delete", "job", "deleted", "--cascade=foreground"]);
    let junit = inside.junit("deleted");
    assert!(junit.contains("it-answers") && junit.contains("</testsuites>"), "{junit}");
    assert!(inside.is_gone("slow-start"), "left behind");
}
