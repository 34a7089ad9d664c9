//! Benchmarks on a real Kind cluster: this program beside others, in turns, in one run. `ci/bench` starts them.
//!
//! - Purpose: a table of figures for every promise about speed and cost, and whether it is kept.
//! - Never: a failure because something was slow: machines differ, and what holds is the comparison.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set ends the benchmark")]
#![expect(clippy::disallowed_methods, reason = "programs are compared from outside")]

mod crds;
mod detection;
mod figures;
#[path = "../live/harness.rs"]
#[allow(dead_code, unreachable_pub, reason = "the live slice uses the rest of it")]
mod harness;
mod place;
mod program;
mod pull;
mod requests;

use std::process::ExitCode;

use place::{Fault, Place};

/// Every measurement by its name; the first needs no cluster of ours.
const NAMES: [&str; 5] = ["program", "detection", "pull", "requests", "crds"];

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().ok();
    // `cargo bench` adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(unknown) = asked.iter().find(|name| !NAMES.contains(&name.as_str())) {
        eprintln!("there is no measurement `{unknown}`; there are {}", NAMES.join(", "));
        return ExitCode::from(2);
    }
    let wanted: Vec<&str> =
        NAMES.into_iter().filter(|name| asked.is_empty() || asked.iter().any(|asked| asked == name)).collect();
    match measure(&wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("cannot measure: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// As many threads as the program itself has.
fn measure(wanted: &[&str]) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (alone, on_cluster): (Vec<&str>, Vec<&str>) = wanted.iter().partition(|name| **name == "program");
    if !alone.is_empty() {
        runtime.block_on(program::measure())?;
    }
    if on_cluster.is_empty() {
        return Ok(());
    }
    let place = Place::raise()?;
    let measured = runtime.block_on(all(&on_cluster, &place));
    place.lower();
    measured
}

async fn all(names: &[&str], place: &Place) -> Result<(), Fault> {
    for name in names {
        match *name {
            "detection" => detection::measure(place).await?,
            "pull" => pull::measure(place).await?,
            "requests" => requests::measure(place).await?,
            "crds" => crds::measure(place).await?,
            other => return Err(format!("{other} is not measured on a cluster").into()),
        }
    }
    Ok(())
}
