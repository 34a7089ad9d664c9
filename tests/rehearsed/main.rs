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
        let all = [&["suite", "--transcript", "run.jsonl"], arguments].concat();
        Self::with(&all)
    }

    /// Any command that writes a JUnit report.
    fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let suites = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsed/suites");
        let mut command = Command::cargo_bin("seaworthy").unwrap();
        command.env_clear().env("PATH", folder.path().join("nowhere")).env("HOME", folder.path());
        command.current_dir(folder.path()).arg("--suites").arg(suites).args(arguments);
        let output = command.args(["--junit", "junit.xml"]).output().unwrap();
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
    // Whoever looks a little later finds the kubelet waiting before it tries again.
    assert!(["(ErrImagePull)", "(ImagePullBackOff)"].iter().any(|reason| said.contains(reason)), "{said}");
    for words in [
        "container main cannot pull image",
        "container main exited with code 7",
        "no more room on deck",
        "Job restarting has failed (BackoffLimitExceeded): ",
        ": error: the anchor is lost",
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

#[test]
fn every_fault_that_the_checks_of_a_suite_claim_to_see_is_seen_and_weather_is_borne() {
    let run = Run::with(&["prove", "shop"]);
    let said = run.unwrapped();
    assert_eq!(run.output.status.code(), Some(0), "{}", run.said());
    assert!(said.contains("Rehearsed: nothing real was tested."), "{said}");
    assert!(said.contains("shop/cache/it-keeps-what-is-written seen"), "{said}");
    assert!(said.contains("wrong-version: it claims no `version`"), "{said}");
    let junit = run.file("junit.xml");
    for words in [
        r#"<testsuites name="rehearsal.prove""#,
        r#"<testsuite name="rehearsal.prove.shop.cache.it-keeps-what-is-written""#,
        r#"<testcase name="loses-writes" classname="shop/cache/it-keeps-what-is-written""#,
        r#"<property name="cluster" value="rehearsal"/>"#,
        r#"failures="0" errors="0""#,
    ] {
        assert!(junit.contains(words), "lacks {words}:\n{junit}");
    }
    let left: Vec<_> = std::fs::read_dir(run.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["junit.xml"], "a proving leaves its report alone");
}

#[test]
fn a_proving_is_told_to_programs_case_by_case() {
    let run = Run::with(&["prove", "shop", "--component", "namespace", "--fault", "*-label-tier", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&run.output.stdout).unwrap();
    assert_eq!(told["cluster"], "rehearsal");
    assert_eq!(told["counts"]["seen"], 2, "{told}");
    let first = &told["proofs"][0];
    assert_eq!((&first["step"], &first["outcome"]), (&"shop/namespace/it-is-there".into(), &"seen".into()), "{told}");
    assert_eq!(first["said"], "label tier is missing", "{told}");
}

#[test]
fn nothing_is_proven_of_what_does_not_hold_to_begin_with() {
    let run = Run::with(&["prove", "sinking"]);
    let said = run.unwrapped();
    assert_eq!(run.output.status.code(), Some(1), "{said}");
    assert!(said.contains("nothing can be proven: nothing holds while nothing is wrong"), "{said}");
    assert!(said.contains("sinking/unpullable/settle:") && said.contains("cannot pull image"), "{said}");
}

#[test]
fn a_proving_that_is_over_its_time_says_so_and_that_nothing_was_proven() {
    let run = Run::with(&["prove", "shop", "--timeout", "1ms"]);
    let said = run.unwrapped();
    assert_eq!(run.output.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted by the time limit of the run before anything was proven"), "{said}");
}

#[test]
fn a_pattern_that_no_fault_has_proves_nothing() {
    let run = Run::with(&["prove", "shop", "--component", "namespace", "--fault", "no-such-fault"]);
    assert_eq!(run.output.status.code(), Some(4), "{}", run.said());
    assert!(
        run.unwrapped().contains("`--fault no-such-fault` matches nothing; there is api-410-expired,"),
        "{}",
        run.said()
    );
}
