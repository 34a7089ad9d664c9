//! Runs from their first event to their last.

use insta::assert_snapshot;
use seaworthy::checks::Verdict;
use seaworthy::events::{Ending, EventKind};
use seaworthy::plan::{Plan, plan};
use seaworthy::ports::Trouble;
use seaworthy::span::Span;
use seaworthy::suite::{CheckSpec, Patience};

use crate::catalog::{asking, catalog, check, lasting, name, planned};
use crate::world::{Deed, FakeWorld, Look, lived, told, told_with};

const TWO_LAYERS: &str = "
    operators: cert-manager
    data-plane < operators: redis postgres
";

#[tokio::test(start_paused = true)]
async fn layer_fails_blocks_those_above() {
    let trouble = Trouble::platform("image cert-manager:1.0 cannot be pulled: manifest unknown");
    let world = FakeWorld::default().fails("operators/cert-manager/settle", trouble);
    assert_snapshot!(told(&planned(TWO_LAYERS, &[]), world).await);
}

#[tokio::test(start_paused = true)]
async fn independent_components_run_side_by_side() {
    let world = FakeWorld::default().takes("data-plane/redis/settle", 5_000).takes("data-plane/postgres/settle", 8_000);
    assert_snapshot!(told(&planned("data-plane: redis postgres web<redis", &[]), world).await);
}

#[tokio::test(start_paused = true)]
async fn a_chart_that_does_not_render_is_red_before_the_cluster_is_there() {
    let trouble = Trouble::environment("templates/web.yaml:3: nil pointer").with(["helm's own words".to_owned()]);
    let world = FakeWorld::default().takes("cluster", 20_000).fails("data-plane/redis/render", trouble);
    assert_snapshot!(told(&planned("data-plane: redis", &[]), world).await);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_come_is_the_environments_fault() {
    let world = FakeWorld::default().deed("cluster", Deed::Hangs("the control plane of sw-1a2b"));
    assert_snapshot!(told(&planned("data-plane: redis", &[]), world).await);
}

#[tokio::test(start_paused = true)]
async fn first_interrupt_tears_down_and_reports_everything() {
    let world = FakeWorld::default().deed("operators/cert-manager/settle", Deed::Hangs("pod cert-manager-0"));
    assert_snapshot!(told_with(&planned(TWO_LAYERS, &[]), world, 4, &[(5_000, "SIGTERM")]).await);
}

#[tokio::test(start_paused = true)]
async fn second_interrupt_aborts_and_names_what_it_leaves_behind() {
    let world = FakeWorld::default().deed("teardown", Deed::Hangs("namespace data to go"));
    let signals = [(1_500, "SIGINT"), (4_000, "SIGINT")];
    assert_snapshot!(told_with(&planned("data-plane: redis", &[]), world, 4, &signals).await);
}

#[tokio::test(start_paused = true)]
async fn evidence_is_kept_through_the_first_interrupt_and_dropped_at_the_second() {
    let world = FakeWorld::default()
        .fails("data-plane/redis/settle", Trouble::platform("crash loop"))
        .fails("data-plane/postgres/settle", Trouble::platform("no such image"))
        .evidence_takes("data-plane/redis/settle", 2_000)
        .evidence_takes("data-plane/postgres/settle", 9_000);
    let signals = [(3_000, "SIGINT"), (7_000, "SIGINT")];
    assert_snapshot!(told_with(&planned("data-plane: redis postgres", &[]), world, 4, &signals).await);
}

#[tokio::test(start_paused = true)]
async fn a_flaky_check_converges_and_says_how_often_it_looked() {
    let looks = [
        Look::Sees(10, Verdict::unclear("connection refused")),
        Look::Sees(10, Verdict::held("PONG")),
        Look::Sees(10, Verdict::broken("PONG", "LOADING")),
        Look::Sees(10, Verdict::held("PONG")),
    ];
    let mut catalog = catalog("data-plane: redis");
    check(&mut catalog, "data-plane", "redis").patience.in_a_row = 2;
    let world = FakeWorld::default().looks("data-plane/redis/answers", looks);
    assert_snapshot!(told(&plan(&catalog, &asking(&[])).unwrap(), world).await);
}

#[tokio::test(start_paused = true)]
async fn a_doomed_check_ends_at_once() {
    let doomed = Look::Sees(10, Verdict::doomed("role primary", "no such user"));
    let world = FakeWorld::default().looks("data-plane/redis/answers", [doomed]);
    assert_snapshot!(told(&planned("data-plane: redis", &[]), world).await);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_never_holds_keeps_what_it_saw() {
    let mut catalog = catalog("data-plane: redis");
    check(&mut catalog, "data-plane", "redis").patience.within = Span::secs(3);
    let looks = [
        Look::Sees(10, Verdict::broken("role primary", "role replica")),
        Look::Sees(10, Verdict::unclear("connection refused")),
    ];
    let world = FakeWorld::default().looks("data-plane/redis/answers", looks);
    assert_snapshot!(told(&plan(&catalog, &asking(&[])).unwrap(), world).await);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_hangs_is_cut_and_looked_at_again() {
    let mut catalog = catalog("data-plane: redis");
    let patience = Patience { within: Span::secs(8), look: Span::secs(3), ..Patience::default() };
    check(&mut catalog, "data-plane", "redis").patience = patience;
    let world = FakeWorld::default().looks("data-plane/redis/answers", [Look::Hangs]);
    assert_snapshot!(told(&plan(&catalog, &asking(&[])).unwrap(), world).await);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_lasts_ends_with_its_last_word() {
    let mut catalog = catalog("data-plane: redis");
    check(&mut catalog, "data-plane", "redis").check = lasting();
    let stands = Look::Stands(Verdict::broken("Active", "Terminating: finalizer kubernetes"));
    let world = FakeWorld::default().looks("data-plane/redis/answers", [stands]);
    assert_snapshot!(told(&plan(&catalog, &asking(&[])).unwrap(), world).await);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_the_window_cuts_short_does_not_overrule_what_was_seen_before() {
    let mut catalog = catalog("data-plane: redis");
    check(&mut catalog, "data-plane", "redis").patience.within = Span::secs(3);
    let silence = Look::Stands(Verdict::broken("status 200", "web does not answer"));
    let looks = [Look::Sees(10, Verdict::broken("status 200", "web got 404")), silence];
    let world = FakeWorld::default().looks("data-plane/redis/answers", looks);
    assert_snapshot!(told(&plan(&catalog, &asking(&[])).unwrap(), world).await);
}

#[tokio::test(start_paused = true)]
async fn a_settle_that_times_out_says_what_it_waited_for() {
    let world = FakeWorld::default().deed("data-plane/redis/settle", Deed::Hangs("pod redis-0: image is being pulled"));
    assert_snapshot!(told(&planned("data-plane: redis", &[]), world).await);
}

#[tokio::test(start_paused = true)]
async fn what_was_ready_is_looked_at_once_more_when_every_check_has_ended() {
    let died = Deed::Ends(
        100,
        Err(Trouble::platform("pod redis-0: container redis exited with code 1, restarted 2 times (CrashLoopBackOff)")),
    );
    let world = FakeWorld::default().deed("data-plane/redis/endure", died);
    assert_snapshot!(told(&planned("data-plane: redis web<redis", &[]), world).await);
}

#[tokio::test(start_paused = true)]
async fn a_passed_deploy_budget_cuts_what_still_runs_of_its_suite() {
    let mut catalog = catalog("data-plane: redis web<redis\nother: dns");
    catalog.suites[0].deploy_budget = Span::secs(10);
    let world = FakeWorld::default().deed("data-plane/redis/settle", Deed::Hangs("pod redis-0"));
    assert_snapshot!(told(&plan(&catalog, &asking(&[])).unwrap(), world.takes("other/dns/settle", 15_000)).await);
}

#[tokio::test(start_paused = true)]
async fn one_job_does_one_thing_at_a_time_and_installs_before_it_checks() {
    let world = FakeWorld::default().takes("data-plane/redis/settle", 10);
    assert_snapshot!(told_with(&planned("data-plane: redis postgres", &[]), world, 1, &[]).await);
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_step_and_no_other() {
    let world = FakeWorld::default().deed("data-plane/redis/install", Deed::Panics(500));
    assert_snapshot!(told(&planned("data-plane: redis postgres", &[]), world).await);
}

#[tokio::test(start_paused = true)]
async fn a_teardown_that_hangs_is_given_up() {
    let world = FakeWorld::default().deed("teardown", Deed::Hangs("namespace data to go"));
    assert_snapshot!(told(&planned("data-plane: redis", &[]), world).await);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_checks_all_end() {
    let plan = many_checks(1_000);
    let events = lived(&plan, FakeWorld::default(), 16, &[]).await;
    let held = |kind: &EventKind| matches!(kind, EventKind::StepEnded { ending: Ending::Held { .. }, .. });
    assert_eq!(events.iter().filter(|event| held(&event.kind)).count(), plan.steps.len());
}

#[tokio::test(start_paused = true)]
async fn a_step_speaks_only_while_it_lives() {
    let world = FakeWorld::default().deed("data-plane/redis/render", Deed::Haunts);
    let events = lived(&planned("data-plane: redis", &[]), world, 4, &[]).await;
    assert!(!events.iter().any(|event| matches!(event.kind, EventKind::StepWaited { .. })));
}

/// One component with so many checks.
fn many_checks(count: usize) -> Plan {
    let mut catalog = catalog("data-plane: redis");
    let redis = &mut catalog.suites[0].components[0];
    let pattern = redis.checks[0].clone();
    let checks = (0..count).map(|number| CheckSpec { name: name(&format!("c{number}")), ..pattern.clone() });
    redis.checks = checks.map(|check| (check.name.clone(), check)).collect();
    plan(&catalog, &asking(&[])).unwrap()
}
