//! The main job: a cluster, the layers, the probes, the reports, and nothing left.

use std::path::Path;
use std::process::Command;

use super::harness::{Shared, Told, Use};

/// The password that the shipped charts set: it must be nowhere in what a run writes.
const PASSWORD: &str = "only-for-this-test-run";

pub(crate) fn is_green() {
    let usage = Use::of("main-job", &["suite", "data-plane"]);
    let told = usage.run();
    assert_eq!(told.exit, Some(0), "{}", told.everything());
    for (step, ending) in told.endings() {
        assert_eq!(ending["as"], "held", "{step}: {ending}");
    }
    for check in
        ["data-plane/redis/primary-keeps-what-is-written", "data-plane/postgres/primary-keeps-what-is-committed"]
    {
        assert!(told.endings().iter().any(|(step, _)| *step == check), "{check} did not run");
    }
    assert!(told.junit.contains("primary-keeps-what-is-written"), "{}", told.junit);
    assert_eq!(clusters(usage.state()), "[]");
    says_the_same_again(&usage, &told);
    keeps_its_secrets(&told.folder);
}

/// `replay` prints what the run printed, byte for byte.
fn says_the_same_again(usage: &Use, told: &Told) {
    let transcript = usage.transcript();
    let again = Use::of("replay", &["replay", transcript.to_str().unwrap()]).run();
    assert_eq!(again.stdout, told.stdout);
}

fn keeps_its_secrets(folder: &Path) {
    let found = Command::new("grep").args(["-rlE", PASSWORD]).arg(folder).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "the password is in these files");
}

fn clusters(state: &Path) -> String {
    let list = Use::of("list", &["cluster", "list", "--json"]).remembering(state).run();
    list.stdout.trim().to_owned()
}

pub(crate) fn two_at_once() {
    let uses =
        ["at-once-a", "at-once-b"].map(|name| Use::of(name, &["suite", "bootstrap", "--component", "namespaces"]));
    let children = uses.each_ref().map(Use::start);
    for (usage, child) in uses.iter().zip(children) {
        let told = usage.told(&child.wait_with_output().unwrap());
        assert_eq!(told.exit, Some(0), "{}", told.everything());
    }
}

/// The second time every install says `unchanged`.
pub(crate) fn twice(shared: &Shared) {
    let mut arguments = vec!["suite", "data-plane", "--keep"];
    arguments.extend(shared.here());
    let installs = |told: &Told| -> Vec<String> {
        let installs = told.endings().into_iter().filter(|(step, _)| step.ends_with("/install"));
        installs.map(|(_, ending)| ending["saw"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let first = Use::of("twice-1", &arguments).run();
    assert_eq!(first.exit, Some(0), "{}", first.everything());
    let second = Use::of("twice-2", &arguments).run();
    assert_eq!(second.exit, Some(0), "{}", second.everything());
    assert!(installs(&first).iter().all(|saw| !saw.contains("unchanged")), "{:?}", installs(&first));
    let again = installs(&second);
    assert!(!again.is_empty() && again.iter().all(|saw| saw.contains("unchanged")), "{again:?}");
}
