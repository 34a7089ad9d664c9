//! The live slice: the binary against a real Kind cluster. Opt-in (`--features live`); needs an engine, kind and helm.
//!
//! First the main job on a cluster of its own. Then bad weather on one shared cluster: every kind of failure must be
//! red for its own reason, name the cause in its first line, and leave nothing behind. Then the same from inside the
//! cluster. Last what disturbs the cluster itself.
#![expect(clippy::unwrap_used, reason = "a stage that cannot be set is a failed test")]
#![expect(clippy::disallowed_methods, reason = "the program is tested from outside, as a child of this one")]

mod harness;
mod inside;
mod main_job;
mod promises;
mod serves;
mod signals;
mod weather;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use harness::Shared;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let own = [
        ("main_job_is_green_and_leaves_reports_and_no_cluster", main_job::is_green as fn()),
        ("a_killed_run_is_found_and_cleaned_up", signals::killed_run_is_cleaned_up),
        ("two_runs_at_once_do_not_collide", main_job::two_at_once),
        ("what_is_optional_is_green", main_job::optional),
    ];
    if arguments.list {
        let names = own.iter().map(|(name, _)| *name).chain(inside::NAMES).chain(signals::NAMES);
        let names = names.chain(promises::NAMES).map(str::to_owned).chain(weather::names());
        names.for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    // One after the other: each makes a cluster of its own, and two cores carry two clusters badly.
    arguments.test_threads = Some(1);
    let first = run(&arguments, own.map(|(name, test)| Trial::test(name, move || passed(test))).into());
    let suites = ["data-plane", "db-migrations", "bootstrap", "crds", "core-operators"];
    let shared = Arc::new(Shared::raise(&suites));
    arguments.test_threads = Some(4);
    let second = run(&arguments, weather::trials(&shared).into_iter().chain(promises::trials(&shared)).collect());
    arguments.test_threads = Some(1);
    let third = run(&arguments, inside::trials(&shared).into_iter().chain(signals::trials(&shared)).collect());
    shared.lower();
    if first && second && third { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(arguments: &Arguments, trials: Vec<Trial>) -> bool {
    let shows = |trial: Trial| {
        let shows = serves::kind(trial.name());
        trial.with_kind(shows)
    };
    let trials = trials.into_iter().map(shows).collect();
    !libtest_mimic::run(arguments, trials).has_failed()
}

fn passed(test: impl FnOnce() + std::panic::UnwindSafe) -> Result<(), libtest_mimic::Failed> {
    std::panic::catch_unwind(test).map_err(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned())).unwrap_or_default().into()
    })
}
