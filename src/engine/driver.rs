//! The loop that feeds the scheduler and does what it says. Deliberately dull.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::attempt::{Attempt, Report, Word};
use super::ending::Cut;
use super::meter::{Meter, Usage};
use super::recorder::{Recorder, millis};
use super::scheduler::{Action, Input, Scheduler};
use crate::events::{Cost, Event, EventKind, FORMAT, RunStarted, StepOutline};
use crate::plan::{Plan, StepId};
use crate::ports::{Notes, World};

/// What a run must be told besides its plan.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How many renders, preloads, installs and checks may be under way at once.
    pub jobs: NonZeroUsize,
    /// The run's random name.
    pub run: String,
    /// The environment in force.
    pub environment: String,
    /// The kind of cluster.
    pub cluster: String,
    /// Whether something is signed off by this run.
    pub sign_off: bool,
    /// Wall-clock start.
    pub started: Timestamp,
    /// Reads what this process has used.
    pub measure: fn() -> Usage,
}

/// Carries out a plan. `interrupts` yields the names of signals; all that happens goes to `sink`, in order, and ends
/// with [`EventKind::RunEnded`]. The run's outcome is a fold over these events.
///
/// Dropping the future drops all work under way without a teardown.
pub async fn run<W: World>(
    plan: &Plan,
    world: Arc<W>,
    options: RunOptions,
    interrupts: impl Stream<Item = String>,
    sink: impl FnMut(&Event),
) {
    let (notes, noted) = mpsc::unbounded_channel();
    let (words, mut spoken) = mpsc::unbounded_channel();
    let mut interrupts = pin!(interrupts.fuse());
    let mut drive = Drive {
        plan,
        world,
        scheduler: Scheduler::new(plan, options.jobs),
        recorder: Recorder::start(sink),
        meter: Meter::start(),
        cuts: BTreeMap::new(),
        tasks: JoinSet::new(),
        notes,
        noted,
        words,
    };
    drive.recorder.record(EventKind::RunStarted(started(plan, &options)));
    drive.take(Input::Begin);
    while !drive.scheduler.is_finished() {
        let budget = drive.scheduler.deadline().map(|at| drive.recorder.moment(at));
        tokio::select! {
            biased;
            Some(signal) = interrupts.next() => drive.interrupt(signal),
            Some((step, on)) = drive.noted.recv() => drive.note(step, on),
            Some(word) = spoken.recv() => drive.hear(word),
            () = sleep_until(budget.unwrap_or_else(Instant::now)), if budget.is_some() => drive.take(Input::Tick),
        }
    }
    drive.end(options.measure);
}

fn started(plan: &Plan, options: &RunOptions) -> RunStarted {
    RunStarted {
        format: FORMAT,
        seaworthy: env!("CARGO_PKG_VERSION").to_owned(),
        run: options.run.clone(),
        started: options.started,
        environment: options.environment.clone(),
        cluster: options.cluster.clone(),
        sign_off: options.sign_off,
        steps: plan.steps.values().map(|step| StepOutline::of(step, plan)).collect(),
        omissions: plan.omissions.clone(),
    }
}

/// A run under way.
struct Drive<'p, W, S> {
    plan: &'p Plan,
    world: Arc<W>,
    scheduler: Scheduler<'p>,
    recorder: Recorder<S>,
    meter: Meter,
    /// The steps under way, and how to end them.
    cuts: BTreeMap<StepId, watch::Sender<Option<Cut>>>,
    /// Holds the attempts, so that they end with the run.
    tasks: JoinSet<()>,
    notes: mpsc::UnboundedSender<(StepId, String)>,
    noted: mpsc::UnboundedReceiver<(StepId, String)>,
    words: mpsc::UnboundedSender<Word>,
}

impl<W: World, S: FnMut(&Event)> Drive<'_, W, S> {
    /// Tells the scheduler, and does what it answers.
    fn take(&mut self, input: Input) {
        for action in self.scheduler.take(input, self.recorder.now()) {
            match action {
                Action::Start(step) => self.start(step),
                Action::Count(step) => self.recorder.record(EventKind::StepStarted { step }),
                Action::Cut(step, cut) => {
                    // An attempt that has just ended needs no cutting.
                    self.cuts.get(&step).and_then(|sender| sender.send(Some(cut)).ok());
                }
                Action::End { step, ending, took } => self.recorder.record(EventKind::StepEnded {
                    step,
                    ending,
                    took_ms: millis(took),
                    looks: 0,
                    evidence: None,
                }),
            }
        }
    }

    fn start(&mut self, id: StepId) {
        let (cutter, cut) = watch::channel(None);
        let attempt = Attempt {
            world: Arc::clone(&self.world),
            step: self.plan.steps[&id].clone(),
            notes: Notes::new(id.clone(), self.notes.clone()),
            meter: self.meter.clone(),
            words: self.words.clone(),
            cut,
            looks: AtomicU32::new(0),
        };
        self.cuts.insert(id.clone(), cutter);
        self.recorder.record(EventKind::StepStarted { step: id });
        self.tasks.spawn(attempt.run());
    }

    fn interrupt(&mut self, signal: String) {
        self.recorder.record(EventKind::RunInterrupted { signal: signal.clone() });
        self.take(Input::Interrupted { signal });
    }

    /// A step says what it waits for. One that has ended may have left a task behind that still speaks.
    fn note(&mut self, step: StepId, on: String) {
        if self.cuts.contains_key(&step) {
            self.recorder.record(EventKind::StepWaited { step, on });
        }
    }

    /// An attempt has a word. What it noted before comes first.
    fn hear(&mut self, word: Word) {
        while let Ok((step, on)) = self.noted.try_recv() {
            self.note(step, on);
        }
        match word {
            Word::Keeping { step, why } => {
                self.recorder.record(EventKind::StepWaited { step, on: format!("evidence of: {why}") });
            }
            Word::Looked { step, look, verdict } => {
                self.recorder.record(EventKind::LookEnded { step, look, verdict });
            }
            Word::Ended(Report { step, ending, took, looks, evidence }) => {
                self.cuts.remove(&step);
                self.recorder.record(EventKind::StepEnded {
                    step: step.clone(),
                    ending: ending.clone(),
                    took_ms: millis(took),
                    looks,
                    evidence,
                });
                self.take(Input::Ended { step, ending });
            }
        }
    }

    fn end(&mut self, measure: fn() -> Usage) {
        let Usage { cpu_ms, peak_kb } = measure();
        let (wall, own) = (self.recorder.now(), self.meter.own());
        let cost = Cost { wall_ms: millis(wall), own_ms: millis(own), cpu_ms, peak_kb };
        self.recorder.record(EventKind::RunEnded { cost });
    }
}
