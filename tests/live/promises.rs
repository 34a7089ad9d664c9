//! What a developer's loop rests on: one layer alone, and environments laid over the suites.

use std::collections::BTreeSet;
use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::Value;

use super::harness::{Shared, Told, Use};

pub(crate) const NAMES: [&str; 2] = [
    "a_layer_is_selected_by_its_labels_and_replayed_alone",
    "an_environment_lays_its_values_over_and_says_why_it_leaves_out",
];

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    let tests: [fn(&Shared); 2] = [layer_alone, overlaid];
    let trial = |(name, test): (&str, fn(&Shared))| {
        let shared = Arc::clone(shared);
        Trial::test(name, move || super::passed(|| test(&shared)))
    };
    NAMES.into_iter().zip(tests).map(trial).collect()
}

/// Each step was begun only after all that it needs had held; a budget runs beside what it measures, and a teardown always.
pub(crate) fn order_is_kept(told: &Told) {
    let mut held = BTreeSet::new();
    let mut begun = 0;
    for event in &told.events {
        let step = event["step"].as_str().unwrap_or_default();
        match event["event"].as_str() {
            Some("step-started") => {
                let planned = told.events[0]["steps"].as_array().unwrap().iter().find(|planned| planned["id"] == step);
                let planned = planned.unwrap();
                let early =
                    planned["needs"].as_array().unwrap().iter().find(|need| !held.contains(need.as_str().unwrap()));
                let beside = ["budget", "teardown"].map(Value::from).contains(&planned["kind"]);
                assert!(early.is_none() || beside, "{step} was begun before {early:?} had held");
                begun += 1;
            }
            Some("step-ended") if event["ending"]["as"] == "held" => drop(held.insert(step)),
            _ => {}
        }
    }
    assert!(begun > 0, "no step was begun: {}", told.everything());
}

/// The layer's own checks run and no other's; what it stands on is there, and is not touched.
fn layer_alone(shared: &Shared) {
    let mut arguments = vec!["suite", "-l", "layer=12,stage in (bootstrap)", "--keep"];
    arguments.extend(shared.here());
    let told = Use::of("layer-alone", &arguments).run();
    assert_eq!(told.exit, Some(0), "{}", told.everything());
    let steps = told.events[0]["steps"].as_array().unwrap();
    let checks: Vec<&str> =
        steps.iter().filter(|step| step["kind"] == "check").map(|step| step["id"].as_str().unwrap()).collect();
    let expected = ["crds/widgets/its-kinds-are-served", "crds/widgets/nothing-else-of-the-chart-is-there"];
    assert_eq!(checks, expected);
    for install in ["bootstrap/namespaces/install", "crds/widgets/install"] {
        let endings = told.endings();
        let (_, ending) = endings.iter().find(|(step, _)| *step == install).unwrap();
        assert!(ending["saw"].as_str().is_some_and(|saw| saw.starts_with("unchanged")), "{install}: {ending}");
    }
}

/// The environment's values reach the cluster; what it leaves out is skipped with its reason and blocks nothing.
fn overlaid(shared: &Shared) {
    let told = shared.weather("overlaid", &["--env", "staging"]).run();
    assert_eq!(told.exit, Some(0), "{}", told.everything());
    assert!(told.shows("no licence in staging"), "{}", told.everything());
    assert!(told.junit.contains("no licence in staging"), "{}", told.junit);
    let loud = |event: &&Value| {
        event["event"] == "step-ended" && event["ending"]["warnings"].as_array().is_some_and(|w| !w.is_empty())
    };
    assert_eq!(told.events.iter().find(loud), None, "what is off makes no noise");
    let ran = |check: &str| told.endings().iter().any(|(step, ending)| *step == check && ending["as"] == "held");
    assert!(ran("overlaid/namespaces/labels-are-those-of-staging"), "{}", told.everything());
}
