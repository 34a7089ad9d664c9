//! Parity: what clients can observe is the same in a rehearsal and in a real cluster.
//!
//! Each scenario acts as a client in a namespace of its own and notes what it sees. `recorded/` holds what a real cluster
//! (Kind, Kubernetes 1.34) showed; `differences.txt` the lines in which a rehearsal is another, each with its reason. A
//! listed difference that is none any more is a failure.
//!
//! With `SEAWORTHY_PARITY_KUBECONFIG` the same list runs against that cluster, which must show
//! what was recorded; with `SEAWORTHY_RECORD=1` it is recorded anew.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot be acted is a failed test")]

mod compare;
mod endings;
mod kinds;
mod lists;
mod owners;
mod requests;
mod streams;
mod words;
mod workloads;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use seaworthy::rehearsal::Rehearsal;
use tokio::runtime::Runtime;

use self::world::{Site, World};

/// A claim about every cluster, and how it is seen.
struct Scenario {
    name: &'static str,
    act: for<'a> fn(&'a World) -> BoxFuture<'a, ()>,
}

macro_rules! scenarios {
    ($($room:ident: $($name:ident)*;)*) => {
        &[$($(Scenario { name: stringify!($name), act: |world| $room::$name(world).boxed() },)*)*]
    };
}

/// What only a cluster shows whose history was compacted, which nothing but time brings about there.
const NEEDS_AGE: &[&str] = &["a_watch_from_an_expired_version_is_told_so"];

/// All scenarios.
const SCENARIOS: &[Scenario] = scenarios! {
    requests:
        what_is_not_there_is_not_found
        a_list_in_a_namespace_that_is_not_there_is_empty
        a_path_that_is_not_served_is_not_found
        an_object_is_created_once
        nothing_is_created_in_a_namespace_that_is_not_there
        a_body_must_be_an_object_of_the_kind_of_its_path
        every_cause_of_a_refusal_is_told
        an_unknown_verb_or_patch_is_refused
        a_stranger_is_unauthorized
        who_may_do_all_is_told_so
        a_generated_name_has_five_letters
        a_write_to_an_old_version_conflicts
        a_write_that_changes_nothing_makes_no_version
        a_deletion_of_another_object_conflicts
        a_dry_run_leaves_nothing
        unknown_fields_are_refused_told_or_dropped
        a_json_patch_is_applied_whole_or_not_at_all
        patches_merge_by_their_kind
        what_is_fixed_cannot_be_changed
        a_quota_refuses_what_is_too_much
        a_quota_counts_what_containers_ask_for_and_may_use
        a_webhook_that_cannot_be_reached_refuses_what_it_is_asked_about
        a_namespace_has_an_account_and_the_authority
        plain_entries_of_a_secret_are_encoded
        an_account_is_given_a_token
        the_server_says_that_it_is_well;
    owners:
        what_is_applied_is_owned
        an_apply_over_anothers_field_conflicts_unless_forced
        a_field_that_is_applied_no_more_is_removed_unless_another_owns_it
        an_update_takes_fields_from_who_applied_them
        items_of_a_list_with_keys_are_owned_one_by_one
        who_writes_is_named_by_the_user_agent
        status_and_spec_are_written_at_their_own_paths
        a_generation_counts_changes_of_the_spec
        a_workload_is_scaled_at_its_own_path;
    lists:
        labels_select
        fields_select
        a_list_comes_in_pages
        a_page_shows_what_was_there_at_the_first
        a_list_of_a_version_to_come_is_refused
        a_watch_tells_every_change_in_order
        a_watch_from_a_version_tells_what_came_after_it
        a_watch_without_a_version_begins_with_what_is_there
        a_watch_of_some_tells_who_comes_into_sight_and_leaves_it
        a_watch_list_ends_its_first_part_with_a_bookmark
        a_watch_ends_when_its_time_is_over
        a_watch_from_an_expired_version_is_told_so
        one_object_is_shown_and_not_watched
        lists_are_shown_as_tables
        objects_are_shown_as_metadata_alone
        a_collection_is_deleted_by_its_selector;
    endings:
        a_finalizer_holds_what_is_deleted
        a_pod_that_is_deleted_has_its_grace
        deletion_in_the_background_takes_the_offspring_later
        deletion_in_the_foreground_waits_for_the_offspring
        orphans_stay
        what_has_lost_its_owner_is_collected
        a_namespace_ends_with_all_that_is_in_it
        a_namespace_waits_for_the_finalizers_in_it
        a_pod_is_evicted_unless_a_budget_forbids_it;
    workloads:
        a_rollout_progresses_and_is_available
        a_new_template_makes_a_new_set_and_empties_the_old
        a_rollout_without_progress_is_over_its_deadline
        an_image_that_cannot_be_pulled_is_waited_for
        a_container_that_ends_badly_is_started_again_later
        a_pod_that_ends_well_has_succeeded
        a_pod_that_ends_badly_has_failed
        init_containers_run_before_all_others
        a_pod_that_fits_nowhere_is_unschedulable
        a_container_without_its_configuration_waits
        events_tell_the_start_of_a_pod
        a_job_that_is_done_is_complete
        a_job_that_fails_too_often_has_failed
        a_job_over_its_deadline_has_failed
        a_suspended_job_waits_until_it_is_resumed
        a_missed_time_of_a_cron_job_makes_a_job
        a_stateful_set_makes_one_pod_after_the_other
        a_daemon_set_has_a_pod_on_every_node
        an_autoscaler_without_measurements_says_so
        a_claim_is_bound_when_a_pod_needs_it
        a_service_has_an_address_that_stays
        a_slice_says_which_addresses_are_ready;
    streams:
        a_log_that_is_followed_ends_with_its_container
        a_log_is_read_from_its_end_or_up_to_a_length
        the_log_before_a_restart_is_there_once_there_was_one
        a_container_that_has_not_started_has_no_log
        a_log_that_is_followed_ends_with_its_pod
        a_command_says_how_it_ended
        a_port_is_forwarded_or_refused;
    kinds:
        a_definition_is_established_and_then_served
        custom_objects_follow_their_schema
        custom_objects_have_status_and_scale
        a_definition_takes_its_objects_with_it
        a_definition_that_is_wrong_is_refused
        built_in_kinds_are_discovered
        all_kinds_are_discovered_at_once;
};

/// What there is to compare with a recording.
#[derive(Clone)]
struct Ground {
    runtime: Arc<Runtime>,
    site: Site,
    /// Whether it is a cluster, and not a rehearsal of one.
    is_real: bool,
    records: bool,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let real = std::env::var_os("SEAWORTHY_PARITY_KUBECONFIG").map(PathBuf::from);
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    let (site, rehearsal) = runtime.block_on(async {
        match &real {
            Some(kubeconfig) => (Site::of(kubeconfig, Duration::from_secs(60)).await, None),
            None => {
                let rehearsal = Rehearsal::begin(1).await.unwrap();
                (Site::of(&rehearsal.kubeconfig(), Duration::from_secs(20)).await, Some(rehearsal))
            }
        }
    });
    let records = std::env::var_os("SEAWORTHY_RECORD").is_some();
    assert!(!records || real.is_some(), "only a real cluster is recorded: give SEAWORTHY_PARITY_KUBECONFIG");
    let ground = Ground { runtime, site, is_real: real.is_some(), records };
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let is_young = ground.is_real && ground.runtime.block_on(ground.site.is_young());
    if is_young {
        eprintln!("left out, since this cluster is too young to have forgotten anything: {}", NEEDS_AGE.join(", "));
    }
    let trial = |scenario: &'static Scenario| {
        let ground = ground.clone();
        let left_out = is_young && NEEDS_AGE.contains(&scenario.name);
        Trial::test(scenario.name, move || holds(scenario, &ground)).with_ignored_flag(left_out)
    };
    let mut trials: Vec<Trial> = SCENARIOS.iter().map(trial).collect();
    trials.push(Trial::test("every_recording_and_every_difference_belongs_to_a_scenario", || {
        compare::check_names(&SCENARIOS.iter().map(|scenario| scenario.name).collect::<Vec<_>>())
    }));
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(rehearsal);
    conclusion.exit_code()
}

/// The scenario shows what was recorded.
fn holds(scenario: &Scenario, ground: &Ground) -> Result<(), Failed> {
    let (site, act) = (ground.site.clone(), scenario.act);
    let acting = ground.runtime.spawn(async move {
        let patience = site.patience;
        let world = World::begin(&site).await;
        let acted = tokio::time::timeout(patience, std::panic::AssertUnwindSafe(act(&world)).catch_unwind()).await;
        let problem = match acted {
            Ok(Ok(())) => None,
            Ok(Err(panic)) => {
                let words = panic.downcast_ref::<String>().cloned();
                Some(
                    words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned())).unwrap_or_default(),
                )
            }
            Err(_) => Some(format!("not done in {patience:?}; waited for {}", world.awaited())),
        };
        (world.end().await, problem)
    });
    let (seen, problem) = ground.runtime.block_on(acting)?;
    if let Some(problem) = problem {
        return Err(format!("{problem}\nseen until then:\n{}", seen.join("\n")).into());
    }
    match (ground.records, ground.is_real) {
        (true, _) => compare::record(scenario.name, &seen),
        (false, true) => compare::same(scenario.name, &seen),
        (false, false) => compare::same_but_for_what_is_listed(scenario.name, &seen),
    }
}
