//! Plans as people see them, and the selections that are refused.

use insta::assert_snapshot;
use seaworthy::plan::{Extent, Selection, StepId, outline, plan};
use seaworthy::suite::CheckSpec;

use crate::catalog::{asking, asking_for, catalog, check, name, planned, refusal};

const PLATFORM: &str = "
    bootstrap: namespaces dns~
    operators < bootstrap: cert-manager redis-operator<cert-manager mesh!too-big
    data-plane < operators: web<redis redis postgres console!no-image<redis grafana<console
";

fn outlined(selection: &Selection) -> String {
    outline(&plan(&catalog(PLATFORM), selection).unwrap())
}

#[test]
fn what_a_suite_needs_is_made_ready_and_not_checked() {
    assert_snapshot!(outlined(&asking(&["data-plane"])));
}

#[test]
fn the_platform_is_every_suite_in_full() {
    assert_snapshot!(outlined(&asking(&[])));
}

#[test]
fn only_installs_nothing_that_was_not_asked_for() {
    assert_snapshot!(outlined(&asking_for(&["data-plane"], Extent::Only)));
}

#[test]
fn installed_installs_nothing_at_all() {
    assert_snapshot!(outlined(&asking_for(&["data-plane"], Extent::Installed)));
}

#[test]
fn a_check_picked_brings_what_it_stands_on_and_no_more() {
    assert_snapshot!(outlined(&Selection { checks: vec!["web/*".to_owned()], ..asking(&["data-plane"]) }));
}

#[test]
fn a_requirement_of_the_deploy_budget_needs_the_whole_suite() {
    assert_snapshot!(outlined(&Selection { requirements: vec!["F-*".to_owned()], ..asking(&["operators"]) }));
}

#[test]
fn images_are_preloaded_where_the_environment_says_so() {
    let mut catalog = catalog("data-plane: redis");
    catalog.environment.preload = true;
    assert_snapshot!(outline(&plan(&catalog, &asking(&[])).unwrap()));
}

#[test]
fn every_step_comes_after_what_it_needs() {
    let plan = planned(PLATFORM, &[]);
    for (index, step) in plan.steps.values().enumerate() {
        for need in &step.needs {
            assert!(plan.steps.get_index_of(need).unwrap() < index, "{} before {need}", step.id);
        }
    }
}

#[test]
fn what_takes_something_away_comes_last_and_not_at_all_where_others_have_filled_the_cluster() {
    let mut catalog = catalog("data-plane: redis");
    let spec = check(&mut catalog, "data-plane", "redis").clone();
    let failover = serde_json::json!({ "failover": { "of": { "sentinel": { "at": "redis:26379" } } } });
    let failover = CheckSpec { name: name("outlives"), check: serde_json::from_value(failover).unwrap(), ..spec };
    catalog.suites[0].components[0].checks.shift_insert(0, failover.name.clone(), failover);
    let whole = plan(&catalog, &asking(&[])).unwrap();
    let outlives = whole.steps.values().find(|step| step.id.as_str() == "data-plane/redis/outlives").unwrap();
    let needs: Vec<_> = outlives.needs.iter().map(ToString::to_string).collect();
    assert_eq!(needs, ["data-plane/redis/answers", "data-plane/redis/settle"]);
    let looked = plan(&catalog, &asking_for(&[], Extent::Installed)).unwrap();
    let left: Vec<_> = looked.omissions.iter().map(|omission| (omission.reason.as_str(), omission.asked)).collect();
    assert!(left.contains(&("it deletes a pod, and with --installed nothing is taken away", false)), "{left:?}");
}

#[test]
fn what_is_off_is_transparent_to_what_needs_it() {
    let plan = planned(PLATFORM, &["data-plane"]);
    let grafana = plan.steps.values().find(|step| step.id.as_str() == "data-plane/grafana/install").unwrap();
    let needs: Vec<_> = grafana.needs.iter().map(ToString::to_string).collect();
    assert_eq!(needs, ["cluster", "data-plane/grafana/render", "data-plane/redis/settle"]);
}

#[test]
fn what_is_off_beneath_a_check_is_left_out_aloud_and_what_is_not_beneath_it_is_not() {
    let unasked = |selection: Selection| {
        let plan = plan(&catalog(PLATFORM), &selection).unwrap();
        let unasked = plan.omissions.into_iter().filter(|omission| !omission.asked);
        unasked.map(|omission| omission.place.to_string()).collect::<Vec<_>>()
    };
    let checks = |pattern: &str| Selection { checks: vec![pattern.to_owned()], ..asking(&["data-plane"]) };
    assert_eq!(unasked(checks("web/*")), ["operators/mesh"]);
    assert_eq!(unasked(checks("grafana/*")), ["operators/mesh", "data-plane/console"]);
    assert_eq!(
        unasked(asking(&["data-plane"])),
        ["operators/mesh", "data-plane/console/answers"],
        "what has checks of its own is said once"
    );
    assert!(unasked(asking_for(&["bootstrap"], Extent::WithNeeds)).is_empty());
}

#[test]
fn a_mistyped_suite_is_met_with_the_nearest_name() {
    let words = |name| refusal(PLATFORM, &asking(&[name])).0;
    assert_eq!(words("dataplane"), "there is no suite `dataplane`; did you mean `data-plane`?");
    assert_eq!(words("x"), "there is no suite `x`; there are: bootstrap, operators, data-plane");
    assert_eq!(refusal("", &asking(&["x"])).0, "there is no suite `x`; no suite was found at all");
}

#[test]
fn a_pattern_that_matches_nothing_is_refused() {
    let selection = Selection { checks: vec!["redis/pnig".to_owned()], ..asking(&[]) };
    let words = "`--check redis/pnig` matches nothing in the suites asked for; see: seaworthy list".to_owned();
    assert_eq!(refusal(PLATFORM, &selection), (words, true));
}

#[test]
fn a_run_of_nothing_is_refused() {
    let words = |lines, suites: &[&str]| refusal(lines, &asking(suites));
    assert_eq!(words("", &[]), ("nothing to check: the suites asked for claim nothing".to_owned(), true));
    let off = "nothing to check: 1 check left out, for instance a/b/answers: off in local: no-image";
    assert_eq!(words("a: b!no-image", &[]), (off.to_owned(), true));
}

#[test]
fn a_check_named_like_another_step_is_refused() {
    let mut catalog = catalog("data-plane: redis");
    let redis = &mut catalog.suites[0].components[0];
    redis.checks[0].name = "install".parse().unwrap();
    let error = plan(&catalog, &asking(&[])).unwrap_err();
    assert_eq!(error.to_string(), "`data-plane/redis/install` would be two steps of one name; rename the check");
}

#[test]
fn a_selector_takes_suites_by_their_labels_and_a_name_narrows_it() {
    let asked = |suites: &[&str], selector: &str| {
        let selection = Selection { selector: Some(selector.parse().unwrap()), ..asking(suites) };
        plan(&catalog(LABELLED), &selection).map(|plan| {
            let checks = plan.steps.keys().filter(|id| id.as_str().ends_with("/answers"));
            checks.map(ToString::to_string).collect::<Vec<_>>()
        })
    };
    assert_eq!(asked(&[], "layer=auth").unwrap(), ["auth/keycloak/answers"]);
    assert_eq!(asked(&["auth", "data"], "layer!=data").unwrap(), ["auth/keycloak/answers"]);
    let nothing = asked(&["data"], "layer=auth").unwrap_err();
    assert!(nothing.selects_nothing(), "{nothing}");
}

#[test]
fn images_of_what_the_cluster_brings_are_loaded_before_its_checks() {
    let mut catalog = catalog("bootstrap: smoke~");
    catalog.environment.preload = true;
    let laid = plan(&catalog, &asking(&[])).unwrap();
    let check = &laid.steps[&StepId::of_component(&name("bootstrap"), &name("smoke"), "answers")];
    assert!(check.needs.iter().any(|need| need.as_str() == "bootstrap/smoke/preload"), "{:?}", check.needs);
}

const LABELLED: &str = "data: redis
    auth: keycloak";
