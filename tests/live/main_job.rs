//! The main job: a cluster, the layers, the probes, the reports, and nothing left.

use std::path::Path;
use std::process::Command;

use super::harness::{Shared, Told, Use, clusters};

/// How the passwords begin that the shipped charts set: they must be nowhere in what a run writes.
const PASSWORD: &str = "only-for-this-";

pub(crate) fn is_green() {
    let usage = Use::of("main-job", &["suite", "data-plane"]).without_a_way_out();
    let told = usage.run();
    assert_eq!(told.exit, Some(0), "{}", told.everything());
    for (step, ending) in told.endings() {
        assert_eq!(ending["as"], "held", "{step}: {ending}");
    }
    for check in [
        "data-plane/redis/primary-keeps-what-is-written",
        "data-plane/postgres/primary-keeps-what-is-committed",
        "data-plane/clickhouse/keeps-what-is-inserted",
    ] {
        assert!(told.endings().iter().any(|(step, _)| *step == check), "{check} did not run");
    }
    assert!(told.junit.contains("primary-keeps-what-is-written"), "{}", told.junit);
    assert_eq!(clusters(usage.state()), [] as [serde_json::Value; 0]);
    super::promises::order_is_kept(&told);
    costs_little(&told);
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
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "a password is in these files");
}

/// What is promised of the program itself: under 5 % of the wall time, under 72 MB. Of these up to 46 are pages of its own file, as
/// many as the kernel happens to have mapped around those that it has used.
fn costs_little(told: &Told) {
    let cost = &told.events.last().unwrap()["cost"];
    let of = |field: &str| cost[field].as_u64().unwrap_or_else(|| panic!("no {field} in {cost}"));
    assert!(of("own_ms") * 20 < of("wall_ms"), "{cost}");
    assert!((1..72 * 1024).contains(&of("peak_kb")), "{cost}");
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

/// What platforms may do without, on a cluster of its own: beside all else two cores would be late for what must be in time.
pub(crate) fn optional() {
    let told = Use::of("optional", &["suite", "data-plane-ext"]).run();
    assert_eq!(told.exit, Some(0), "{}", told.everything());
}

/// The shared cluster has everything; installing it again changes nothing, and every install says so (C-5, D-6).
pub(crate) fn twice(shared: &Shared) {
    let mut arguments = vec!["suite", "data-plane", "--keep"];
    arguments.extend(shared.here());
    let told = Use::of("twice", &arguments).run();
    assert_eq!(told.exit, Some(0), "{}", told.everything());
    let installs: Vec<_> = told.endings().into_iter().filter(|(step, _)| step.ends_with("/install")).collect();
    assert!(installs.len() > 3, "{}", told.everything());
    for (step, ending) in installs {
        assert!(ending["saw"].as_str().is_some_and(|saw| saw.starts_with("unchanged")), "{step}: {ending}");
    }
}
