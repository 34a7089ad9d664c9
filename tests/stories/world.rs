//! A world that does what its story says, and a transcript of what came of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use seaworthy::checks::Verdict;
use seaworthy::engine::{RunOptions, Usage, run};
use seaworthy::events::{Ending, Event, EventKind, Evidence};
use seaworthy::plan::{CheckWork, Plan, Step, StepId};
use seaworthy::ports::{Done, Notes, Trouble, World};
use tokio::time::{Instant, sleep, sleep_until};

/// What a step does in a story. Times are in milliseconds.
#[derive(Clone)]
pub(crate) enum Deed {
    /// Takes so long, then ends so.
    Ends(u64, Result<Done, Trouble>),
    /// Says what it waits for, and waits for ever.
    Hangs(&'static str),
    /// Ends at once, and leaves a task behind that speaks half a second later.
    Haunts,
    /// Panics after so long.
    Panics(u64),
}

/// What one look does in a story.
#[derive(Clone)]
pub(crate) enum Look {
    /// Takes so long, then comes to this.
    Sees(u64, Verdict),
    /// Notes how it stands, and waits for ever.
    Stands(Verdict),
    /// Waits for ever without a word.
    Hangs,
}

/// Steps take a second and looks ten milliseconds, and all goes well, where a story says nothing else.
#[derive(Default)]
pub(crate) struct FakeWorld {
    deeds: BTreeMap<&'static str, Deed>,
    looks: BTreeMap<&'static str, Vec<Look>>,
    evidence_takes: BTreeMap<&'static str, u64>,
    seen: Mutex<BTreeMap<String, usize>>,
}

impl FakeWorld {
    /// This step does that.
    pub(crate) fn deed(mut self, step: &'static str, deed: Deed) -> Self {
        self.deeds.insert(step, deed);
        self
    }

    /// This step takes so long, and ends well.
    pub(crate) fn takes(self, step: &'static str, millis: u64) -> Self {
        self.deed(step, Deed::Ends(millis, Ok(Done::saying("done"))))
    }

    /// This step fails at once.
    pub(crate) fn fails(self, step: &'static str, trouble: Trouble) -> Self {
        self.deed(step, Deed::Ends(0, Err(trouble)))
    }

    /// This check's looks, the last one again and again.
    pub(crate) fn looks(mut self, check: &'static str, looks: impl IntoIterator<Item = Look>) -> Self {
        self.looks.insert(check, looks.into_iter().collect());
        self
    }

    /// Keeping this step's evidence takes so long.
    pub(crate) fn evidence_takes(mut self, step: &'static str, millis: u64) -> Self {
        self.evidence_takes.insert(step, millis);
        self
    }

    fn next_look(&self, check: &str) -> Look {
        let mut seen = self.seen.lock().unwrap();
        let count = seen.entry(check.to_owned()).or_default();
        *count += 1;
        let looks = self.looks.get(check).map_or(&[] as &[Look], Vec::as_slice);
        looks.get(*count - 1).or(looks.last()).cloned().unwrap_or(Look::Sees(10, Verdict::held("an answer")))
    }
}

impl World for FakeWorld {
    async fn perform(&self, step: &Step, notes: &Notes) -> Result<Done, Trouble> {
        match self.deeds.get(step.id.as_str()).cloned().unwrap_or(Deed::Ends(1_000, Ok(Done::saying("done")))) {
            Deed::Ends(millis, end) => {
                pause(millis).await;
                end
            }
            Deed::Hangs(on) => {
                notes.waiting(on);
                std::future::pending().await
            }
            Deed::Haunts => {
                let notes = notes.clone();
                tokio::spawn(async move {
                    pause(500).await;
                    notes.waiting("Godot");
                });
                Ok(Done::saying("done"))
            }
            Deed::Panics(millis) => {
                pause(millis).await;
                panic!("index out of bounds")
            }
        }
    }

    async fn observe(&self, check: &CheckWork, notes: &Notes) -> Verdict {
        match self.next_look(&format!("{}/{}", check.key, check.spec.name)) {
            Look::Sees(millis, verdict) => {
                pause(millis).await;
                verdict
            }
            Look::Stands(verdict) => {
                notes.stands(verdict);
                std::future::pending().await
            }
            Look::Hangs => std::future::pending().await,
        }
    }

    async fn keep_evidence(&self, step: &Step, _: &Ending, _: &Notes) -> Option<Evidence> {
        pause(self.evidence_takes.get(step.id.as_str()).copied().unwrap_or(100)).await;
        Some(Evidence { folder: step.id.as_str().into(), excerpt: Vec::new() })
    }
}

async fn pause(millis: u64) {
    if millis > 0 {
        sleep(Duration::from_millis(millis)).await;
    }
}

/// Runs a plan in a world, with four jobs and no interrupt.
pub(crate) async fn told(plan: &Plan, world: FakeWorld) -> String {
    told_with(plan, world, 4, &[]).await
}

/// Runs a plan with so many jobs and signals at these milliseconds; returns its transcript, a fact a line.
pub(crate) async fn told_with(plan: &Plan, world: FakeWorld, jobs: usize, signals: &[(u64, &str)]) -> String {
    let events = lived(plan, world, jobs, signals).await;
    events.iter().fold(String::new(), |mut text, event| {
        writeln!(text, "{:>7}  {}", event.at_ms, fact(&event.kind)).unwrap();
        text
    })
}

/// The same, as events; what must be so of every run is looked at here.
pub(crate) async fn lived(plan: &Plan, world: FakeWorld, jobs: usize, signals: &[(u64, &str)]) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let options = RunOptions {
        jobs: NonZeroUsize::new(jobs).unwrap(),
        run: "sw-1a2b".to_owned(),
        environment: "local".to_owned(),
        cluster: "kind".to_owned(),
        sign_off: false,
        started: jiff::Timestamp::UNIX_EPOCH,
        measure: Usage::default,
    };
    run(plan, Arc::new(world), options, interrupts(signals), |event| events.push(event.clone())).await;
    assert!(events.iter().enumerate().all(|(index, event)| event.seq == index as u64), "a gap in the sequence");
    plan.steps.keys().for_each(|step| lives_once(step, &events));
    assert!(matches!(events.last().unwrap().kind, EventKind::RunEnded { .. }), "the run's end comes last");
    events
}

/// A step starts at most once, speaks only between its start and its end, and ends once.
fn lives_once(id: &StepId, events: &[Event]) {
    let phases = events.iter().filter_map(|event| match &event.kind {
        EventKind::StepStarted { step } if step == id => Some('<'),
        EventKind::StepWaited { step, .. } | EventKind::LookEnded { step, .. } if step == id => Some('-'),
        EventKind::StepEnded { step, .. } if step == id => Some('>'),
        EventKind::StepStarted { .. }
        | EventKind::StepWaited { .. }
        | EventKind::LookEnded { .. }
        | EventKind::StepEnded { .. }
        | EventKind::RunStarted(_)
        | EventKind::RunInterrupted { .. }
        | EventKind::RunEnded { .. } => None,
    });
    let life: String = phases.collect();
    let words = life.trim_start_matches('<').trim_end_matches('>');
    assert!(life.ends_with('>') && words.chars().all(|phase| phase == '-'), "the life of {id}: {life}");
    assert!(life.len() - words.len() == if life.starts_with('<') { 2 } else { 1 }, "the life of {id}: {life}");
}

fn interrupts(signals: &[(u64, &str)]) -> impl Stream<Item = String> {
    let start = Instant::now();
    let signals: Vec<_> = signals.iter().map(|(at, name)| (*at, (*name).to_owned())).collect();
    stream::iter(signals).then(move |(at, name)| async move {
        sleep_until(start + Duration::from_millis(at)).await;
        name
    })
}

fn fact(kind: &EventKind) -> String {
    match kind {
        EventKind::RunStarted(run) => format!("run {} of {} steps", run.run, run.steps.len()),
        EventKind::StepStarted { step } => format!("{step} started"),
        EventKind::StepWaited { step, on } => format!("{step} waits: {on}"),
        EventKind::LookEnded { step, look, verdict } => format!("{step} look {look}: {}", seen(verdict)),
        EventKind::StepEnded { step, ending, took_ms, looks, evidence } => {
            let looks = if *looks > 0 { format!(", {looks} looks") } else { String::new() };
            let evidence = evidence.as_ref().map_or("", |_| ", evidence kept");
            format!("{step} {} ({took_ms} ms{looks}{evidence})", end(ending))
        }
        EventKind::RunInterrupted { signal } => format!("interrupted: {signal}"),
        EventKind::RunEnded { cost } => format!("run ended, {} ms its own", cost.own_ms),
    }
}

fn seen(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Held { saw, .. } => format!("held, {saw}"),
        Verdict::Broken { actual, .. } => format!("broken, {actual}"),
        Verdict::Unclear { why } => format!("unclear, {why}"),
    }
}

fn end(ending: &Ending) -> String {
    match ending {
        Ending::Held { saw, .. } => format!("held: {saw}"),
        Ending::Broken { expected, actual, details } => {
            format!("BROKEN: expected {expected}; actual {actual}{}", more(details))
        }
        Ending::Unclear { fault, why, details } => format!("UNCLEAR ({fault:?}): {why}{}", more(details)),
        Ending::Blocked { by } => format!("blocked by {by}"),
        Ending::NotRun { why } => format!("not run: {why}"),
    }
}

fn more(details: &[String]) -> String {
    if details.is_empty() { String::new() } else { format!(" [{}]", details.join("; ")) }
}
