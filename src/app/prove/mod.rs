//! `prove`: everything is brought up once on a rehearsal; then each fault, and each kind of weather, is brought about on a
//! cluster that was forked from it, and the one check at hand looks. Of what does not hold there, nothing can be shown.

mod deeds;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use self::trial::{Ground, Trial};
use super::suite::{self, Ready};
use super::world::{Memory, Platform};
use super::{ENVIRONMENT, NOTHING, OURS, output, reports, signals};
use crate::cli::{Cli, ProveArgs};
use crate::events::{Ending, Event, EventKind};
use crate::number::count;
use crate::plan::{Plan, Selection, Step, StepId, Suites, Work};
use crate::prove::{self, Installed, Object, Proof};
use crate::rehearsal::is_operated;
use crate::rehearsal::object::Key;
use crate::report;
use crate::secrets::Secrets;
use crate::watch::ObjectRef;

/// Proves, and says what was proven.
pub(super) async fn run(cli: &Cli, arguments: &ProveArgs) -> u8 {
    match proven(cli, arguments).await {
        Ok(code) | Err(code) => code,
    }
}

async fn proven(cli: &Cli, arguments: &ProveArgs) -> Result<u8, u8> {
    let begun = Instant::now();
    reports::remove_former(&arguments.junit);
    // From here on a signal is heard: what is made below is to be removed.
    let limit = arguments.timeout.map(crate::span::Span::duration);
    let mut requests = signals::requests(limit).map_err(|error| {
        output::complain(&format!("cannot listen for signals: {error}"), &[]);
        OURS
    })?;
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
    let junit = arguments.junit.as_deref().map(reports::create_junit).transpose().map_err(|why| {
        output::complain(&why, &[]);
        ENVIRONMENT
    })?;
    let secrets = Secrets::default();
    // Dropped with all that is under way, folders included.
    let (trials, ground, red) = tokio::select! {
        prepared = prepare(ready, arguments, &faults, &secrets) => prepared?,
        Some(signal) = requests.next() => {
            drop(junit);
            arguments.junit.iter().for_each(|path| drop(std::fs::remove_file(path)));
            output::complain(&format!("interrupted by {signal} before anything was proven; nothing is reported"), &[]);
            return Err(signals::INTERRUPTED);
        }
    };
    let proven = Proven::default();
    let interrupted = tokio::select! {
        () = prove_all(&trials, &ground, arguments, &proven) => None,
        Some(signal) = requests.next() => Some(signal),
    };
    let mut proofs = proven.of(&trials, interrupted.as_deref());
    proofs.extend(red.into_iter().map(|(step, why)| undone(step, &secrets.mask(&why))));
    let code = tell(cli, arguments, &proofs, begun.elapsed(), junit)?;
    match interrupted {
        Some(signal) => {
            output::complain(&format!("interrupted by {signal}; what was not proven by then is told as undone"), &[]);
            Err(signals::INTERRUPTED)
        }
        None => Ok(code),
    }
}

/// The cases to try and where, and what does not hold to begin with.
async fn prepare(
    ready: Ready,
    arguments: &ProveArgs,
    faults: &globset::GlobSet,
    secrets: &Secrets,
) -> Result<(Vec<Arc<Trial>>, Ground, Red), u8> {
    let (plan, ground, red) = filled(ready, arguments, secrets).await?;
    for omission in plan.omissions.iter().filter(|omission| !omission.asked) {
        output::remark(&format!("left out: {}: {}", omission.place, omission.reason));
    }
    let trials = trials(&plan, &ground.platform.memory, faults, &red);
    if trials.is_empty() && red.is_empty() && !arguments.faults.is_empty() {
        return Err(unmatched(&plan, &ground.platform.memory, arguments));
    }
    Ok((trials.into_iter().map(Arc::new).collect(), ground, red))
}

/// What was proven so far, by the number of the trial.
#[derive(Default)]
struct Proven(Mutex<BTreeMap<usize, Proof>>);

impl Proven {
    /// What has become of each trial; of those that did not come to their end, that they were interrupted.
    fn of(self, trials: &[Arc<Trial>], interrupted: Option<&str>) -> Vec<Proof> {
        let mut proofs = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let why = format!("not proven: interrupted by {}", interrupted.unwrap_or("its end"));
        let undone = |trial: &Trial| Proof {
            step: trial.of.clone(),
            fault: trial.case.name.clone(),
            outcome: prove::Outcome::Undone { why: why.clone() },
            took_ms: 0,
            tries: 0,
            before: None,
        };
        trials.iter().enumerate().map(|(at, trial)| proofs.remove(&at).unwrap_or_else(|| undone(trial))).collect()
    }

    fn proofs(&self) -> MutexGuard<'_, BTreeMap<usize, Proof>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step that does not hold while nothing is wrong: of that nothing can be shown by making it red.
fn undone(step: StepId, why: &str) -> Proof {
    let why = format!("on a rehearsal it does not hold while nothing is wrong: {why}");
    Proof {
        step,
        fault: "nothing".to_owned(),
        outcome: prove::Outcome::Undone { why },
        took_ms: 0,
        tries: 1,
        before: None,
    }
}

/// Says that no case has such a name, and which there are.
fn unmatched(plan: &Plan, memory: &Memory, arguments: &ProveArgs) -> u8 {
    let all = trials(plan, memory, &globset::GlobSet::empty(), &Red::new());
    let names: BTreeSet<&str> = all.iter().map(|trial| bare(&trial.case.name)).collect();
    let there = names.into_iter().collect::<Vec<_>>().join(", ");
    output::complain(&format!("`--fault {}` matches nothing; there is {there}", arguments.faults.join(" ")), &[]);
    NOTHING
}

/// The name of a case without the object that it is about.
fn bare(name: &str) -> &str {
    name.rsplit_once(": ").map_or(name, |(_, bare)| bare)
}

/// What does not hold, and why.
type Red = BTreeMap<StepId, String>;

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

/// The platform in order, on a rehearsal, and what of it does not hold.
async fn filled(ready: Ready, arguments: &ProveArgs, secrets: &Secrets) -> Result<(Plan, Ground, Red), u8> {
    let mut plan = ready.plan.clone();
    plan.steps.shift_remove(&StepId::teardown());
    let options = ready.options(arguments.jobs, false);
    let platform: Arc<Platform> = Arc::new(ready.world(&suite::Keeping::default(), secrets));
    let (mut red, mut is_broken) = (Red::new(), false);
    let sink = |event: &Event| {
        let EventKind::StepEnded { step, ending, .. } = &event.kind else { return };
        let why = match ending {
            Ending::Held { .. } => return,
            Ending::Broken { actual: why, .. } | Ending::Unclear { why, .. } | Ending::NotRun { why } => why.clone(),
            Ending::Blocked { by } => format!("blocked by {by}"),
        };
        is_broken |= matches!(ending, Ending::Broken { .. });
        red.insert(step.clone(), why);
    };
    crate::engine::run(&plan, Arc::clone(&platform), options, futures::stream::pending(), sink).await;
    let holds = |step: &&Step| matches!(step.work, Work::Check(_) | Work::Settle(_)) && !red.contains_key(&step.id);
    if !plan.steps.values().any(|step| holds(&step)) {
        return Err(unfounded(&red, is_broken, secrets));
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
    Ok((plan, Ground { rehearsal: Arc::new(rehearsal), platform }, red))
}

/// Where everything is red already, nothing can be shown by making it red.
fn unfounded(red: &Red, is_broken: bool, secrets: &Secrets) -> u8 {
    let told = red.iter().map(|(step, why)| secrets.mask(&format!("{step}: {why}")));
    let headline = "nothing can be proven: nothing holds while nothing is wrong";
    output::complain(headline, &told.collect::<Vec<_>>());
    if is_broken { 1 } else { ENVIRONMENT }
}

/// Every case of every check of the plan, and of the readiness of every component that is installed.
fn trials(plan: &Plan, memory: &Memory, faults: &globset::GlobSet, red: &Red) -> Vec<Trial> {
    let mut trials = Vec::new();
    for step in plan.steps.values().filter(|step| !red.contains_key(&step.id)) {
        let (cases, steps, namespace) = match &step.work {
            Work::Check(work) => {
                let namespace = work.namespace.as_str();
                let release = work.release.as_deref();
                let setting = prove::Setting { namespace, release, in_a_row: work.spec.patience.in_a_row };
                (prove::of_check(&work.spec.check, setting), vec![step.clone()], namespace)
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
        let without = aside(plan, memory, steps.first().unwrap_or(step));
        let is_asked = |name: &str| faults.is_empty() || faults.is_match(name) || faults.is_match(bare(name));
        let asked = cases.into_iter().filter(|case| is_asked(&case.name));
        trials.extend(asked.map(|case| Trial {
            of: step.id.clone(),
            steps: steps.clone(),
            case,
            later,
            namespace: namespace.to_owned(),
            without: Arc::clone(&without),
        }));
    }
    trials
}

/// What is in a namespace of components that a step does not stand on.
fn aside(plan: &Plan, memory: &Memory, step: &Step) -> Arc<[Key]> {
    let (mut beneath, mut next) = (BTreeSet::new(), vec![&step.id]);
    while let Some(id) = next.pop() {
        if beneath.insert(id) {
            next.extend(plan.steps.get(id).into_iter().flat_map(|step| &step.needs));
        }
    }
    let others = plan.steps.values().filter(|other| !beneath.contains(&other.id));
    let installed = others.filter_map(|other| {
        let Work::Install(work) = &other.work else { return None };
        Some(memory.installed(&work.key))
    });
    let key = |object: ObjectRef| {
        let collection = format!("{}/{}", object.resource.group, object.resource.plural);
        Some(Key::new(&collection, object.namespace.as_deref()?, &object.name))
    };
    installed.flatten().filter_map(key).collect()
}

/// Whether these are the readiness and the last look of one component.
fn are_of_one(settle: &Step, endure: &Step) -> bool {
    matches!((&settle.work, &endure.work), (Work::Settle(one), Work::Endure(two)) if one.key == two.key)
}

fn objects(memory: &Memory, key: &crate::plan::ComponentKey) -> Vec<Object> {
    let installed = memory.installed(key).into_iter();
    installed
        .map(|object| {
            let (version, kind) = (object.resource.api_version, object.resource.kind);
            let kind = if is_operated(&version, &kind) { format!("{version}/{kind}") } else { kind };
            Object { kind, namespace: object.namespace, name: object.name }
        })
        .collect()
}

/// How many cases are tried again at once, and how much longer each has.
const AGAIN: (usize, u32) = (8, 4);

async fn prove_all(trials: &[Arc<Trial>], ground: &Ground, arguments: &ProveArgs, proven: &Proven) {
    let bar = ProgressBar::new(u64::try_from(trials.len()).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} cases, {elapsed}") {
        bar.set_style(style);
    }
    let (again, progress) = (&Semaphore::new(AGAIN.0), &bar);
    let order = in_order(trials.iter().map(|trial| (&trial.of, trial.lasts())));
    let proving = order.into_iter().map(|at| async move {
        let mut proof = attempt(&trials[at], at, ground, 1).await;
        for tries in 2..=arguments.tries {
            let Some(before) = proof.outcome.complaint() else { break };
            // Where much is to be tried again all slots come to wait here, and a machine that was too busy no longer is.
            let _permit = again.acquire().await;
            proof = Proof { tries, before: Some(before), ..attempt(&trials[at], at, ground, AGAIN.1).await };
        }
        proven.proofs().insert(at, proof);
        progress.inc(1);
    });
    futures::stream::iter(proving).buffer_unordered(usize::from(arguments.jobs)).collect::<()>().await;
    bar.finish_and_clear();
}

/// In which order they begin. What lasts longest is begun early, or all would wait for it at the end, and yet not all of it at once, since it
/// waits most of its time. Of each step one after the other: many cases of one that is dear would keep each other from seeing in time what
/// they have to see. Given is of each whose it is, and whether it lasts; told are their places.
fn in_order<'s>(trials: impl Iterator<Item = (&'s StepId, bool)>) -> Vec<usize> {
    let mut of_step: BTreeMap<&StepId, usize> = BTreeMap::new();
    let (mut long, mut short) = (Vec::new(), Vec::new());
    for (at, (step, lasts)) in trials.enumerate() {
        let nth = of_step.entry(step).or_default();
        *nth += 1;
        if lasts { long.push((0, at)) } else { short.push((*nth, at)) }
    }
    short.sort_unstable();
    let mut order = Vec::with_capacity(long.len() + short.len());
    let (mut long, mut short) = (long.into_iter(), short.into_iter());
    loop {
        let before = order.len();
        order.extend(long.next().into_iter().chain(short.next()).map(|(_, at)| at));
        if order.len() == before {
            return order;
        }
    }
}

/// Tries a case once, with so many times its time.
async fn attempt(trial: &Arc<Trial>, number: usize, ground: &Ground, ease: u32) -> Proof {
    let (step, fault, secrets) = (trial.of.clone(), trial.case.name.clone(), ground.platform.secrets.clone());
    let (trial, ground) = (Arc::clone(trial), ground.clone());
    // A task each: what blocks one thread for a moment does not hold up the deadlines of others.
    let joined = AbortOnDropHandle::new(tokio::spawn(async move { trial.run(&ground, number, ease).await })).await;
    let (outcome, took) = joined.unwrap_or_else(|error| {
        (prove::Outcome::Undone { why: format!("the trial panicked: {error}") }, Duration::ZERO)
    });
    let outcome = outcome.map(|text| secrets.mask(&text));
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    Proof { step, fault, outcome, took_ms, tries: 1, before: None }
}

/// The checks of which nothing shows that they can be broken. That they can be unclear shows nothing of what they claim.
fn unshown(proofs: &[Proof]) -> Vec<String> {
    let mut steps: BTreeMap<&str, bool> = BTreeMap::new();
    for proof in proofs {
        *steps.entry(proof.step.as_str()).or_default() |=
            matches!(proof.outcome, prove::Outcome::Seen { unclear: false, .. });
    }
    steps.into_iter().filter(|(_, is_shown)| !is_shown).map(|(step, _)| step.to_owned()).collect()
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
    // A check of which not everything was tried may be shown to be able to fail by the rest.
    let is_whole = arguments.faults.is_empty() && proofs.iter().all(|proof| proof.tries > 0);
    let unshown = if is_whole { unshown(proofs) } else { Vec::new() };
    if !unshown.is_empty() {
        output::complain("of these checks no fault was shown that breaks them", &unshown);
    }
    let code = match counts.exit_code() {
        0 if !unshown.is_empty() => ENVIRONMENT,
        code => code,
    };
    if code == NOTHING {
        let none = count(counts.unclaimed, "fault");
        output::complain(
            &format!("nothing was proven: of what was asked for, {none}, none is claimed to be seen"),
            &[],
        );
    }
    match output::say_in(&text, cli.color) {
        0 => Ok(code),
        trouble => Err(trouble),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_begins_early_among_what_does_not_and_each_step_in_turn() {
        let step = |name: &str| serde_json::from_str::<StepId>(&format!("\"data/redis/{name}\"")).unwrap();
        let (dear, cheap, late) = (step("dear"), step("cheap"), step("late"));
        let all = [
            (&dear, false),
            (&dear, false),
            (&dear, false),
            (&cheap, false),
            (&cheap, false),
            (&late, true),
            (&late, true),
        ];
        assert_eq!(in_order(all.into_iter()), [5, 0, 6, 3, 1, 4, 2]);
    }
}
