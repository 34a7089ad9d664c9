//! The binary from outside: what it prints, and the code it exits with. No engine, no network.
#![expect(clippy::unwrap_used, reason = "a program that cannot be started is a failed test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

/// The binary in the repository's folder, with nothing on its PATH and nothing in its environment.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("seaworthy").unwrap();
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nowhere");
    command.env_clear().env("PATH", &nowhere).env("HOME", &nowhere).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(arguments);
    command
}

fn seaworthy(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

#[track_caller]
fn check(arguments: &[&str], code: i32, says: &[&str]) -> String {
    let output = seaworthy(arguments);
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert_eq!(output.status.code(), Some(code), "{text}");
    for words in says {
        assert!(text.contains(words), "lacks {words:?}:\n{text}");
    }
    text
}

/// A folder of suites with one file.
fn folder(name: &str, text: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
    folder.to_str().unwrap().to_owned()
}

/// A suite that installs nothing.
fn provided(name: &str) -> String {
    format!(
        "version: 1\nsuite: {name}\ntitle: t\ncomponents:\n  a:\n    install: {{ provided: {{ by: me }} }}\n    checks:\n      \
         b: {{ requirements: [F-1], probe: {{ dns: {{ name: b }} }} }}\n"
    )
}

#[test]
fn without_an_engine_everything_that_is_missing_is_said_at_once() {
    check(&["suite", "data-plane", "--real"], 3, &["container engine", "helm", "kind", "missing"]);
}

#[test]
fn what_only_a_real_cluster_has_is_never_rehearsed() {
    for asked in ["--sign-off", "--keep", "--reuse"] {
        check(&["suite", "data-plane", asked], 3, &["container engine"]);
        check(&["suite", "data-plane", "--cluster", "rehearsal", asked], 2, &[asked]);
    }
    check(&["suite", "data-plane", "--cluster", "rehearsal", "--real"], 2, &["--real"]);
    check(&["suite", "data-plane", "--cluster", "rehearsal", "--context", "a"], 2, &["leave --cluster out"]);
}

#[test]
fn without_an_engine_a_rehearsal_misses_no_more_than_its_tools() {
    let said = check(&["suite", "data-plane"], 3, &["helm", "missing"]);
    assert!(!said.contains("container engine"), "{said}");
}

#[test]
fn what_an_environment_requires_is_missed_together_with_the_tools() {
    let suites = folder("required", &provided("required"));
    let environments = Path::new(&suites).join("environments");
    std::fs::create_dir_all(&environments).unwrap();
    let text = "version: 1\nenvironment: gate\nrequires: { env: [PUBLISH_TOKEN, PATH], programs: [cosign] }\n";
    std::fs::write(environments.join("gate.yaml"), text).unwrap();
    let says = ["container engine", "variable PUBLISH_TOKEN", "program cosign", "remedy: export PUBLISH_TOKEN"];
    let said = check(&["suite", "required", "--real", "-e", "gate", "--suites", &suites], 3, &says);
    assert!(!said.contains("variable PATH"), "{said}");
    check(&["suite", "required", "--dry-run", "-e", "gate", "--suites", &suites], 0, &["required"]);
}

#[test]
fn suites_are_selected_by_their_labels() {
    let dry = |selector: &'static str| vec!["suite", "--dry-run", "-l", selector];
    let said = check(&dry("layer=12"), 0, &["its-kinds-are-served"]);
    assert!(!said.contains("data-plane"), "{said}");
    check(&dry("stage in (data),layer!=10"), 0, &["primary-keeps-what-is-written"]);
    check(&["suite", "crds", "--dry-run", "-l", "layer=40"], 4, &["layer=40"]);
    check(&dry("layer=99"), 4, &["layer=99"]);
    check(&dry("layer=="), 2, &["--selector"]);
    let listed = check(&["list", "-l", "layer=40"], 0, &["data-plane", "[layer=40, stage=data]"]);
    assert!(!listed.contains("bootstrap ["), "{listed}");
    check(&["list", "-l", "layer=99"], 4, &["layer=99"]);
}

#[test]
fn coverage_names_each_requirement_with_what_serves_it() {
    check(&["list", "--requirements"], 0, &["F-4\n  data-plane/deploy-budget\n", "C-2\n  crds/widgets/its-kinds"]);
    let output = seaworthy(&["list", "--requirements", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let redis = list["requirements"].as_array().unwrap().iter().find(|row| row["requirement"] == "A-40-redis").unwrap();
    assert_eq!(redis["checks"][0]["check"], "data-plane/redis/primary-keeps-what-is-written");
}

#[test]
fn answers_for_a_pipe_have_no_colour() {
    for arguments in [["list", "-v"], ["list", "-q"], ["list", "--color=never"], ["list", "--color=auto"]] {
        let said = check(&arguments, 0, &["bootstrap"]);
        assert!(!said.contains('\u{1b}'), "{said}");
    }
    check(&["list", "-q", "-v"], 2, &["cannot be used with"]);
}

#[test]
fn the_shipped_suites_are_in_order() {
    check(&["validate"], 0, &["in order: 7 suites with 60 checks"]);
    let one = folder("alone", &provided("alone"));
    check(&["validate", "--suites", &one], 0, &["1 suite with 1 check,"]);
}

#[test]
fn a_dry_run_prints_the_plan_and_needs_nothing() {
    let says = ["bootstrap", "crds", "data-plane", "primary-keeps-what-is-written", "A-40-redis", "10m"];
    check(&["suite", "data-plane", "--dry-run"], 0, &says);
}

#[test]
fn a_folder_without_suites_is_not_green() {
    check(&["validate", "--suites", "siuets"], 2, &["siuets"]);
    check(&["suite", "--all", "--suites", "tests/stories"], 2, &["no suite"]);
}

#[test]
fn a_suite_that_nobody_wrote_is_named_with_what_may_be_meant() {
    for arguments in [["suite", "data-plan"], ["list", "data-plan"]] {
        check(&arguments, 2, &["there is no suite `data-plan`; did you mean `data-plane`?"]);
    }
}

#[test]
fn a_cluster_that_is_none_of_ours_is_a_wrong_command_line() {
    check(&["cluster", "down", "kind", "--force"], 2, &["no cluster of ours called kind; there is none at all"]);
}

#[test]
fn what_is_wrong_goes_to_standard_error_and_leaves_answers_alone() {
    let suites = folder("title", "version: 1\nsuite: title\n");
    for arguments in [["validate", "--suites", &suites], ["list", "--json", &format!("--suites={suites}")]] {
        let output = seaworthy(&arguments);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("`title` is missing here") && said.contains("2 mistakes in the suites"), "{said}");
    }
}

#[test]
fn an_environment_without_a_file_is_named_with_whoever_named_it() {
    let remedy = "choose one of `lab`, `local`, `production`, or write `suites/environments/stagin.yaml`";
    let said = check(&["validate", "-e", "stagin"], 2, &["no environment `stagin`", remedy]);
    assert!(!said.contains("SEAWORTHY_ENV"), "{said}");
    let output = command(&["validate"]).env("SEAWORTHY_ENV", "stagin").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(remedy) && said.contains("`stagin` comes from the variable SEAWORTHY_ENV"), "{said}");
}

/// Every command that only prints.
const ANSWERS: [&[&str]; 10] = [
    &["--help"],
    &["suite", "--help"],
    &["completion", "bash"],
    &["list"],
    &["list", "--json"],
    &["list", "--requirements"],
    &["schema"],
    &["validate"],
    &["suite", "data-plane", "--dry-run"],
    &["replay", "tests/replay/green.jsonl"],
];

#[test]
#[expect(clippy::disallowed_methods, reason = "assert_cmd keeps the reader of the output to itself")]
fn a_reader_who_has_seen_enough_is_no_failure() {
    for arguments in ANSWERS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("seaworthy"));
        let child = command.args(arguments).env_clear().current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = child.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_selection_that_matches_nothing_has_its_own_exit_code() {
    check(&["suite", "data-plane", "--check", "no-such-check"], 4, &["no-such-check"]);
    check(&["suite", "--all", "--requirement", "Z-99-*"], 4, &["Z-99-*"]);
    check(&["suite", "--all", "--component", "nothing"], 4, &["nothing"]);
}

#[test]
fn a_run_that_does_not_come_about_leaves_no_report_of_an_earlier_one() {
    let junit = Path::new(env!("CARGO_TARGET_TMPDIR")).join("former.xml");
    std::fs::write(&junit, "<testsuites/>").unwrap();
    check(
        &["suite", "data-plane", "--check", "no-such-check", "--junit", junit.to_str().unwrap()],
        4,
        &["no-such-check"],
    );
    assert!(!junit.exists());
}

#[test]
fn a_report_that_cannot_be_written_leaves_no_folder_of_the_run() {
    let suites = folder("unreported", &provided("unreported"));
    let out = Path::new(&suites).join("out");
    let kubeconfig = Path::new(&suites).join("kubeconfig");
    let config = "contexts: [{ name: x, context: { cluster: x, user: x } }]\n\
                  clusters: [{ name: x, cluster: { server: 'https://127.0.0.1:1' } }]\nusers: [{ name: x, user: {} }]\n";
    std::fs::write(&kubeconfig, config).unwrap();
    let [out_arg, kubeconfig] = [&out, &kubeconfig].map(|path| path.to_str().unwrap());
    let cluster = ["--context", "x", "--kubeconfig", kubeconfig, "--out", out_arg, "--suites", &suites];
    for report in ["--junit", "--transcript"] {
        let arguments = [["suite", "unreported", report, "/dev/null/report"].as_slice(), &cluster].concat();
        check(&arguments, 3, &["cannot write /dev/null"]);
    }
    assert!(!out.exists());
}

#[test]
fn who_names_no_suite_is_told_of_every_way_to_name_some() {
    check(&["suite"], 2, &["<SUITE>...", "--all", "--selector <SELECTOR>"]);
}

#[test]
fn no_suite_named_is_a_wrong_command_line() {
    check(&["suite"], 2, &["SUITE"]);
}

#[test]
fn every_mistake_comes_at_once_with_its_place() {
    let text = "version: 1\nsuite: bad\ntitle: t\nneeds: [nobody]\nbudgets: {}\ncomponents:\n  a:\n    namespace: x\n    \
                install: { provided: { by: me } }\n    ready: 30\n    checks: {}\n";
    let suites = folder("bad", text);
    check(&["validate", "--suites", &suites], 2, &["bad.yaml:4:", "nobody", "bad.yaml:5:", "budgets", "30", "checks"]);
}

#[test]
fn a_list_for_programs_is_json() {
    let output = seaworthy(&["list", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let suites: Vec<&str> = list["suites"].as_array().unwrap().iter().map(|s| s["suite"].as_str().unwrap()).collect();
    let all =
        ["bootstrap", "crds", "core-operators", "core-operators-ext", "data-plane", "data-plane-ext", "db-migrations"];
    assert_eq!(suites, all);
}

#[test]
fn schemas_are_json_schemas_and_fit_the_shipped_files() {
    for (of, key) in [("suite", "components"), ("environment", "suites")] {
        let output = seaworthy(&["schema", of]);
        let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(jsonschema::meta::is_valid(&schema), "{of}");
        assert!(schema.to_string().contains(key), "{of}");
    }
}

#[test]
fn a_context_must_be_confirmed_by_its_own_name() {
    let named = ["suite", "bootstrap", "--context", "production", "--kubeconfig", "/nowhere/config"];
    check(&named, 3, &["production: not in /nowhere/config, which does not exist"]);
    check(&["suite", "bootstrap", "--yes-this-cluster", "x"], 2, &["--context"]);
    check(&["suite", "bootstrap", "--cluster", "context"], 2, &["--context NAME"]);
    check(&["suite", "bootstrap", "--kubeconfig", "/nowhere/config"], 2, &["--context <NAME>"]);
    check(&["suite", "bootstrap", "--dry-run", "--cluster", "kind", "--context", "a"], 2, &["leave --cluster out"]);
}

#[test]
fn outside_of_a_pod_the_cluster_around_it_is_missing() {
    check(&["suite", "bootstrap", "--cluster", "in-cluster"], 3, &["service account", "--context"]);
    check(&["suite", "bootstrap", "--cluster", "in-cluster", "--context", "x"], 2, &["leave --cluster out"]);
}

#[test]
fn a_transcript_that_is_none_is_refused_with_its_line() {
    check(&["replay", "Cargo.toml"], 2, &["Cargo.toml", "line 1"]);
    check(&["replay", "/nowhere/run.jsonl"], 2, &["/nowhere/run.jsonl"]);
}

#[test]
fn what_is_logged_has_levels() {
    let lines = |level: &[&str]| {
        let replayed = seaworthy(&[&["replay", "tests/replay/unsteady-sign-off.jsonl"], level].concat());
        let lines: BTreeSet<String> = String::from_utf8(replayed.stdout).unwrap().lines().map(str::to_owned).collect();
        lines
    };
    let (quiet, usual, verbose) = (lines(&["-q"]), lines(&[]), lines(&["-v"]));
    assert!(quiet.len() < usual.len() && quiet.is_subset(&usual), "{quiet:#?}\n{usual:#?}");
    assert!(usual.len() < verbose.len(), "{usual:#?}\n{verbose:#?}");
    check(&["-q", "-v", "list"], 2, &["--verbose"]);
}

#[test]
fn completion_and_help_are_there() {
    check(&["completion", "bash"], 0, &["_seaworthy"]);
    check(&["--help"], 0, &["Exit codes", "130  interrupted"]);
    check(&["suite", "--help"], 0, &["--yes-this-cluster", "[default: 16]"]);
}

#[test]
fn no_cluster_of_ours_is_a_plain_answer() {
    check(&["cluster", "list"], 0, &["no cluster of ours"]);
}
