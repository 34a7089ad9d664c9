//! Runs of the binary on an embedded cluster: no engine, no network, no helm.
#![expect(clippy::unwrap_used, reason = "a run that leaves no report is a failed test")]

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;

/// One run, in a folder of its own, with nothing on its PATH.
struct Run {
    folder: tempfile::TempDir,
    output: Output,
}

impl Run {
    fn of(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let suites = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsed/suites");
        let mut command = Command::cargo_bin("seaworthy").unwrap();
        command.env_clear().env("PATH", folder.path().join("nowhere")).env("HOME", folder.path());
        command.current_dir(folder.path()).arg("--suites").arg(suites).args(["suite", "--junit", "junit.xml"]);
        let output = command.args(["--transcript", "run.jsonl"]).args(arguments).output().unwrap();
        Self { folder, output }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned() + &String::from_utf8_lossy(&self.output.stderr)
    }

    /// The same on one line, as if the terminal had been wide enough.
    fn unwrapped(&self) -> String {
        self.said().replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// The folder of logs and evidence.
    fn kept(&self) -> PathBuf {
        self.folder.path().join("seaworthy-out/latest").canonicalize().unwrap()
    }
}

#[test]
fn without_an_engine_a_suite_is_rehearsed_green_and_every_output_says_so() {
    let run = Run::of(&["shop"]);
    let said = run.said();
    assert_eq!(run.output.status.code(), Some(0), "{said}");
    assert!(said.contains("A rehearsal on an embedded cluster: nothing real is tested."), "{said}");
    assert!(said.contains("Rehearsed: nothing real was tested. Conformant: all 9 checks held. Exit code 0."), "{said}");
    let junit = run.file("junit.xml");
    for words in [
        r#"<testsuites name="rehearsal.seaworthy""#,
        r#"<testsuite name="rehearsal.shop""#,
        r#"classname="rehearsal.shop.cache""#,
        r#"<property name="cluster" value="rehearsal"/>"#,
    ] {
        assert!(junit.contains(words), "lacks {words}:\n{junit}");
    }
    let transcript = run.file("run.jsonl");
    assert!(transcript.lines().next().unwrap().contains(r#""cluster":"rehearsal""#), "{transcript}");
    assert!(run.kept().to_str().unwrap().ends_with("-rehearsal"), "{:?}", run.kept());
}

#[test]
fn a_quiet_rehearsal_says_what_it_is() {
    let run = Run::of(&["shop", "-q", "--component", "namespace"]);
    assert!(run.said().contains("Rehearsed: nothing real was tested."), "{}", run.said());
}

#[test]
fn what_is_rehearsed_can_fail_and_names_the_lowest_cause() {
    let run = Run::of(&["sinking", "--cluster", "rehearsal"]);
    let said = run.unwrapped();
    assert_eq!(run.output.status.code(), Some(1), "{said}");
    for words in [
        "container main cannot pull image",
        "(ErrImagePull)",
        "container main exited with code 7",
        "no more room on deck",
    ] {
        assert!(said.contains(words), "lacks {words:?}:\n{said}");
    }
    assert!(said.contains("Rehearsed: nothing real was tested. Not conformant"), "{said}");
}

#[test]
fn containers_are_heard_as_on_a_real_cluster() {
    let run = Run::of(&["shop", "--component", "web"]);
    assert_eq!(run.output.status.code(), Some(0), "{}", run.said());
    let mut heard = String::new();
    let mut folders = vec![run.kept().join("logs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => heard += &std::fs::read_to_string(path).unwrap(),
            }
        }
    }
    let lines: Vec<&str> = heard.lines().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
    assert!(lines.windows(3).any(|three| three == ["counted 1", "counted 2", "counted 3"]), "{heard}");
}
