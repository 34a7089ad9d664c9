//! Runs of the binary with folders of their own, and what they left.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One use of the binary: its folder, its arguments.
pub(crate) struct Use {
    folder: PathBuf,
    state: PathBuf,
    arguments: Vec<String>,
    variables: &'static [(&'static str, &'static str)],
}

/// What a run came to.
pub(crate) struct Told {
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) events: Vec<Value>,
    pub(crate) junit: String,
    pub(crate) folder: PathBuf,
}

impl Use {
    /// `seaworthy suite …` of the shipped suites, in a folder and with a memory of clusters of its own.
    pub(crate) fn of(name: &str, arguments: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { state: folder.join("state"), folder, arguments, variables: &[] }
    }

    /// The same on a machine where every request to the outside fails: proxies are named behind which nobody listens, for
    /// this program, its tools and the cluster's nodes.
    pub(crate) fn without_a_way_out(mut self) -> Self {
        const NOBODY: &str = "http://127.0.0.1:9";
        self.variables = &[("HTTP_PROXY", NOBODY), ("HTTPS_PROXY", NOBODY), ("ALL_PROXY", NOBODY)];
        self
    }

    /// The same with the memory of another.
    pub(crate) fn remembering(mut self, state: &Path) -> Self {
        self.state = state.to_owned();
        self
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seaworthy"));
        command.current_dir(root()).args(&self.arguments).env("XDG_STATE_HOME", &self.state).stdin(Stdio::null());
        command.envs(self.variables.iter().copied());
        if self.arguments.first().is_some_and(|first| first == "suite") {
            command.arg("--junit").arg(self.folder.join("junit.xml"));
            command.arg("--transcript").arg(self.transcript());
            command.arg("--out").arg(self.folder.join("out"));
        }
        command
    }

    pub(crate) fn transcript(&self) -> PathBuf {
        self.folder.join("run.jsonl")
    }

    /// Starts it and lets it run.
    pub(crate) fn start(&self) -> Child {
        self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Told {
        self.told(&self.command().output().unwrap())
    }

    /// What a started one came to.
    pub(crate) fn told(&self, output: &Output) -> Told {
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        Told {
            exit: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            events: events(&read(self.transcript())),
            junit: read(self.folder.join("junit.xml")),
            folder: self.folder.clone(),
        }
    }

    /// Waits until the transcript of a started run has an event like this. Bounded by `limit` looks of 50 ms.
    pub(crate) fn wait_for(&self, child: &mut Child, limit: u32, wanted: impl Fn(&Value) -> bool) {
        for _ in 0..limit {
            let text = std::fs::read_to_string(self.transcript()).unwrap_or_default();
            if events(&text).iter().any(&wanted) {
                return;
            }
            assert!(child.try_wait().unwrap().is_none(), "the run ended early; transcript:\n{text}");
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        panic!("no such event; transcript: {}", std::fs::read_to_string(self.transcript()).unwrap_or_default());
    }
}

fn events(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

impl Told {
    /// The endings of all steps, by their names.
    pub(crate) fn endings(&self) -> Vec<(&str, &Value)> {
        let ended = self.events.iter().filter(|event| event["event"] == "step-ended");
        ended.map(|event| (event["step"].as_str().unwrap(), &event["ending"])).collect()
    }

    /// The first line that a reader gets of each red step.
    pub(crate) fn first_lines(&self) -> Vec<String> {
        let red = |ending: &Value| matches!(ending["as"].as_str(), Some("broken" | "unclear"));
        let endings = self.endings().into_iter().filter(|(_, ending)| red(ending));
        let words = endings.map(|(_, ending)| ending["actual"].as_str().or(ending["why"].as_str()).unwrap());
        words.map(|words| words.lines().next().unwrap_or_default().to_owned()).collect()
    }

    /// Whether the terminal says this, wherever its lines break.
    pub(crate) fn shows(&self, words: &str) -> bool {
        let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '│').collect::<String>();
        plain(&self.stdout).contains(&plain(words))
    }

    /// All of it, for the message of a test that fails.
    pub(crate) fn everything(&self) -> String {
        format!("exit {:?}\n{}\n{}", self.exit, self.stdout, self.stderr)
    }
}

/// The clusters that runs with this memory have made and that still exist; those of other people do not count.
pub(crate) fn clusters(state: &Path) -> Vec<Value> {
    let told = Use::of("clusters", &["cluster", "list", "--json"]).remembering(state).run();
    let list: Vec<Value> = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{}", told.everything()));
    list.into_iter().filter(|row| row["standing"] != "not recorded here").collect()
}

/// One cluster that many tests use, each in a namespace of its own.
pub(crate) struct Shared {
    pub(crate) kubeconfig: PathBuf,
    pub(crate) context: String,
    pub(crate) cluster: String,
    state: PathBuf,
}

impl Shared {
    /// With the layers that these suites bring.
    pub(crate) fn raise(suites: &[&str]) -> Self {
        // Few at a time: what starts up beside a failover makes that late.
        let usage = Use::of("shared", &[&["suite", "--keep", "--jobs=4"], suites].concat());
        let told = usage.run();
        assert_eq!(told.exit, Some(0), "{}", told.everything());
        let list = clusters(usage.state());
        let cluster = list[0]["name"].as_str().unwrap().to_owned();
        let kubeconfig = PathBuf::from(list[0]["kubeconfig"].as_str().unwrap());
        Self { kubeconfig, context: format!("kind-{cluster}"), cluster, state: usage.state().to_owned() }
    }

    pub(crate) fn lower(&self) {
        let told = Use::of("shared-down", &["cluster", "down", &self.cluster]).remembering(&self.state).run();
        assert_eq!(told.exit, Some(0), "{}", told.everything());
    }

    /// A run of one of the suites of bad weather on this cluster, confirmed by the context's name.
    pub(crate) fn weather(&self, suite: &str, more: &[&str]) -> Use {
        let suites = root().join("tests/live/suites");
        let mut arguments = vec!["suite", suite, "--suites", suites.to_str().unwrap()];
        arguments.extend(self.here());
        arguments.extend(more);
        Use::of(suite, &arguments).remembering(&self.state)
    }

    /// The arguments that point a run at this cluster.
    pub(crate) fn here(&self) -> [&str; 6] {
        let kubeconfig = self.kubeconfig.to_str().unwrap();
        ["--context", &self.context, "--kubeconfig", kubeconfig, "--yes-this-cluster", &self.context]
    }

    /// What kubectl prints; every line of it.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("kubectl");
        command.args(["--kubeconfig", self.kubeconfig.to_str().unwrap()]).args(arguments);
        let output = command.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}
