//! `prove`: everything is brought up once on a rehearsal, where all of it must hold; then each fault, and each kind of
//! weather, is brought about on a cluster that was forked from it, and the one check at hand looks.

mod deeds;
mod trial;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use self::trial::{Ground, Trial};
use super::suite::{self, Ready};
use super::world::{Memory, Platform};
use super::{ENVIRONMENT, OURS, output, reports};
use crate::cli::{Cli, ProveArgs};
use crate::events::{Ending, EventKind};
use crate::number::count;
use crate::plan::{Plan, Selection, Step, StepId, Suites, Work};
use crate::prove::{self, Installed, Object, Proof};
use crate::report;
use crate::secrets::Secrets;

/// Proves, and says what was proven.
pub(super) async fn run(cli: &Cli, arguments: &ProveArgs) -> u8 {
    match proven(cli, arguments).await {
        Ok(code) | Err(code) => code,
    }
}

async fn proven(cli: &Cli, arguments: &ProveArgs) -> Result<u8, u8> {
    let begun = Instant::now();
    let selection = Selection {
        suites: Suites::of(&arguments.names),
        components: arguments.components.clone(),
        checks: arguments.checks.clone(),
        ..Selection::default()
    };
    let faults = patterns(&arguments.faults)?;
    let folder = tempfile::Builder::new().prefix("seaworthy-prove-").tempdir().map_err(|error| {
        output::complain(&format!("cannot make a folder: {error}"), &[]);
        ENVIRONMENT
    })?;
    let ready = suite::rehearsed(cli, &selection, folder.path()).await?;
    let junit = arguments.junit.as_deref().map(reports::create).transpose().map_err(|why| {
        output::complain(&why, &[]);
        ENVIRONMENT
    })?;
    let secrets = Secrets::default();
    let (plan, ground) = filled(ready, arguments, &secrets, folder.path()).await?;
    let trials = trials(&plan, &ground.platform.memory, &faults);
    let proofs = prove_all(trials, &ground, arguments).await;
    let took = begun.elapsed();
    tell(cli, arguments, &proofs, took, junit)
}

fn patterns(globs: &[String]) -> Result<globset::GlobSet, u8> {
    let wrong = |error: globset::Error| {
        output::complain(&format!("--fault: {error}"), &[]);
        super::WRONG
    };
    let mut set = globset::GlobSetBuilder::new();
    for glob in globs {
        set.add(globset::Glob::new(glob).map_err(wrong)?);
    }
    set.build().map_err(wrong)
}

/// The platform in order, on a rehearsal, with all its checks held.
async fn filled(ready: Ready, arguments: &ProveArgs, secrets: &Secrets, folder: &Path) -> Result<(Plan, Ground), u8> {
    let mut plan = ready.plan.clone();
    plan.steps.shift_remove(&StepId::teardown());
    let options = ready.options(arguments.jobs, false);
    let (run, helm) = (options.run.clone(), ready.helm());
    let platform: Arc<Platform> = Arc::new(ready.world(&suite::Keeping::default(), secrets));
    let mut red = Vec::new();
    let sink = |event: &crate::events::Event| {
        if let EventKind::StepEnded { step, ending, .. } = &event.kind
            && !matches!(ending, Ending::Held { .. })
        {
            red.push((step.clone(), ending.clone()));
        }
    };
    crate::engine::run(&plan, Arc::clone(&platform), options, futures::stream::pending(), sink).await;
    if !red.is_empty() {
        return Err(unfounded(&red, secrets));
    }
    let ours = |why: &str| {
        output::complain(why, &[]);
        OURS
    };
    let rehearsal = platform.clusters.rehearsal().ok_or_else(|| ours("there is no rehearsal to prove anything on"))?;
    if let Ok(site) = platform.memory.site() {
        // What the checks made to look is not to be there when they look again.
        drop(site.prober.clean().await);
    }
    rehearsal.rest(Duration::from_secs(5)).await;
    let rehearsal = Arc::new(rehearsal);
    let ground = Ground { rehearsal, platform, run, folder: folder.into(), helm, secrets: secrets.clone() };
    Ok((plan, ground))
}

/// Where something is red already, nothing can be shown by making it red.
fn unfounded(red: &[(StepId, Ending)], secrets: &Secrets) -> u8 {
    let told = red.iter().map(|(step, ending)| {
        let why = match ending {
            Ending::Held { saw: why, .. }
            | Ending::Broken { actual: why, .. }
            | Ending::Unclear { why, .. }
            | Ending::NotRun { why } => why.clone(),
            Ending::Blocked { by } => format!("blocked by {by}"),
        };
        secrets.mask(&format!("{step}: {why}"))
    });
    let headline = "nothing can be proven: not everything holds while nothing is wrong";
    output::complain(headline, &told.collect::<Vec<_>>());
    let is_broken = red.iter().any(|(_, ending)| matches!(ending, Ending::Broken { .. }));
    if is_broken { 1 } else { ENVIRONMENT }
}

/// Every case of every check of the plan, and of the readiness of every component that is installed.
fn trials(plan: &Plan, memory: &Memory, faults: &globset::GlobSet) -> Vec<Trial> {
    let mut trials = Vec::new();
    for step in plan.steps.values() {
        let (cases, steps, namespace) = match &step.work {
            Work::Check(work) => {
                let namespace = work.namespace.as_str();
                (prove::of_check(&work.spec.check, namespace), vec![step.clone()], namespace)
            }
            // What dies a moment after it was ready is seen by the last look: both are one claim.
            Work::Settle(work) => {
                let cases = prove::of_component(Installed::Settling, &objects(memory, &work.key));
                let endure = plan.steps.values().find(|other| are_of_one(step, other));
                (cases, std::iter::once(step).chain(endure).cloned().collect(), work.namespace.as_str())
            }
            Work::Endure(work) => {
                let cases = prove::of_component(Installed::Enduring, &objects(memory, &work.key));
                let settle = plan.steps.values().find(|other| are_of_one(other, step));
                (cases, settle.into_iter().chain([step]).cloned().collect(), work.namespace.as_str())
            }
            Work::Cluster(_)
            | Work::Render(_)
            | Work::Preload(_)
            | Work::Install(_)
            | Work::Budget(_)
            | Work::Teardown => continue,
        };
        let later = matches!(step.work, Work::Endure(_));
        let asked = cases.into_iter().filter(|case| faults.is_empty() || faults.is_match(&case.name));
        trials.extend(asked.map(|case| Trial {
            of: step.id.clone(),
            steps: steps.clone(),
            case,
            later,
            namespace: namespace.to_owned(),
        }));
    }
    trials
}

/// Whether these are the readiness and the last look of one component.
fn are_of_one(settle: &Step, endure: &Step) -> bool {
    matches!((&settle.work, &endure.work), (Work::Settle(one), Work::Endure(two)) if one.key == two.key)
}

fn objects(memory: &Memory, key: &crate::plan::ComponentKey) -> Vec<Object> {
    let installed = memory.installed(key).into_iter();
    installed
        .map(|object| Object { kind: object.resource.kind, namespace: object.namespace, name: object.name })
        .collect()
}

/// How many cases are under way at once where they are tried again, and how much longer each has.
const AGAIN: (usize, u32) = (4, 4);

async fn prove_all(trials: Vec<Trial>, ground: &Ground, arguments: &ProveArgs) -> Vec<Proof> {
    let trials: Vec<Arc<Trial>> = trials.into_iter().map(Arc::new).collect();
    let bar = ProgressBar::new(u64::try_from(trials.len()).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} cases, {elapsed}") {
        bar.set_style(style);
    }
    let all: Vec<usize> = (0..trials.len()).collect();
    let mut proofs = attempt(&trials, &all, ground, (usize::from(arguments.jobs), 1), &bar).await;
    for tries in 2..=arguments.tries {
        let failed: Vec<usize> = all.iter().copied().filter(|at| !proofs[*at].outcome.is_well()).collect();
        let again = attempt(&trials, &failed, ground, AGAIN, &bar).await;
        for (at, proof) in failed.into_iter().zip(again) {
            proofs[at] = Proof { tries, ..proof };
        }
    }
    bar.finish_and_clear();
    proofs
}

/// Tries these cases, so many at once.
async fn attempt(
    trials: &[Arc<Trial>],
    which: &[usize],
    ground: &Ground,
    (jobs, ease): (usize, u32),
    bar: &ProgressBar,
) -> Vec<Proof> {
    let proving = which.iter().map(|at| {
        let (trial, number, ground) = (Arc::clone(&trials[*at]), *at, ground.clone());
        async move {
            let (step, fault, secrets) = (trial.of.clone(), trial.case.name.clone(), ground.secrets.clone());
            // A task each: what blocks one thread for a moment does not hold up the deadlines of others.
            let joined = tokio::spawn(async move { trial.run(&ground, number, ease).await }).await;
            let (outcome, took) = joined.unwrap_or_else(|error| {
                (prove::Outcome::Undone { why: format!("the trial panicked: {error}") }, Duration::ZERO)
            });
            bar.inc(u64::from(ease == 1));
            let outcome = outcome.map(|text| secrets.mask(&text));
            Proof { step, fault, outcome, took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX), tries: 1 }
        }
    });
    futures::stream::iter(proving).buffered(jobs).collect().await
}

fn tell(
    cli: &Cli,
    arguments: &ProveArgs,
    proofs: &[Proof],
    took: Duration,
    junit: Option<report::Out>,
) -> Result<u8, u8> {
    let counts = prove::Counts::of(proofs);
    let cannot = |why: String| {
        output::complain(&why, &[]);
        ENVIRONMENT
    };
    if let Some(mut out) = junit {
        let xml = report::proofs_junit(proofs, took).map_err(|error| cannot(error.to_string()))?;
        let written = out.write_all(xml.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| cannot(format!("cannot write the JUnit report: {error}")))?;
    }
    let text = if arguments.json {
        let told = serde_json::json!({ "cluster": crate::events::REHEARSAL, "counts": counts, "proofs": proofs });
        format!("{told:#}")
    } else {
        report::proofs(proofs, took, reports::voice(cli))
    };
    let code = counts.exit_code();
    if code == super::NOTHING {
        let none = count(counts.unclaimed, "fault");
        output::complain(&format!("nothing was proven; {none} of what was asked for is not claimed to be seen"), &[]);
    }
    match output::say_in(&text, cli.color) {
        0 => Ok(code),
        trouble => Err(trouble),
    }
}
