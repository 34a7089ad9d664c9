//! What disturbs a run: signals, a kill, an API server that goes away.

use std::process::{Child, Command};
use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::Value;

use super::harness::{Shared, Use, clusters};

/// The trials on the shared cluster.
pub(crate) const NAMES: [&str; 2] = ["sigterm_tears_down_and_reports_everything", "a_restarted_api_server_is_survived"];

/// Looks of 50 ms: two minutes.
const LONG: u32 = 2_400;

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    let (sigterm, restart) = (Arc::clone(shared), Arc::clone(shared));
    vec![
        Trial::test(NAMES[0], move || super::passed(|| sigterm_is_orderly(&sigterm))),
        Trial::test(NAMES[1], move || super::passed(|| restart_is_survived(&restart))),
    ]
}

fn settling(event: &Value) -> bool {
    event["event"] == "step-waited" && event["step"] == "slow-start/it/settle"
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn sigterm_is_orderly(shared: &Shared) {
    let usage = shared.weather("slow-start", &[]);
    let mut child = usage.start();
    usage.wait_for(&mut child, LONG, settling);
    send(&child, "-TERM");
    let told = usage.told(&child.wait_with_output().unwrap());
    assert_eq!(told.exit, Some(130), "{}", told.everything());
    let steps = told.events[0]["steps"].as_array().unwrap().len();
    assert_eq!(told.endings().len(), steps, "every step has an ending");
    assert!(told.junit.contains("it-answers") && told.junit.contains("</testsuites>"), "{}", told.junit);
    let namespace = shared.kubectl(&["get", "namespace", "slow-start"]);
    assert!(namespace.contains("NotFound"), "left behind: {namespace}");
}

/// The container runs: a kubelet that has yet to mount its volumes would lose minutes of its own to the outage.
fn running(event: &Value) -> bool {
    settling(event) && event["on"].as_str().is_some_and(|on| on.contains("is running but not ready"))
}

fn restart_is_survived(shared: &Shared) {
    let usage = shared.weather("slow-start", &[]);
    let mut child = usage.start();
    usage.wait_for(&mut child, LONG, running);
    let node = format!("{}-control-plane", shared.cluster);
    let killed = Command::new("docker").args(["exec", &node, "pkill", "-f", "kube-apiserver"]).status().unwrap();
    assert!(killed.success(), "there is no API server to restart");
    let told = usage.told(&child.wait_with_output().unwrap());
    assert_eq!(told.exit, Some(0), "{}", told.everything());
}

pub(crate) fn killed_run_is_cleaned_up() {
    let usage = Use::of("killed", &["suite", "bootstrap"]);
    let mut child = usage.start();
    usage.wait_for(&mut child, LONG, |event| event["event"] == "step-ended" && event["step"] == "cluster");
    send(&child, "-KILL");
    child.wait().unwrap();
    assert_eq!(clusters(usage.state())[0]["standing"], "left over by a run that was killed");
    let down = Use::of("killed-down", &["cluster", "down"]).remembering(usage.state()).run();
    assert_eq!(down.exit, Some(0), "{}", down.everything());
    assert_eq!(clusters(usage.state()), [] as [Value; 0]);
}
