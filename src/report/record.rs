//! Everything known of a run so far: the events, sorted by step.

use indexmap::IndexMap;

use crate::checks::Verdict;
use crate::events::{Cost, Ending, Event, EventKind, Evidence, RunStarted, StepOutline, Tally};
use crate::plan::StepId;

/// A run as its events have told it so far.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// How it began; `None` before the first event.
    pub run: Option<RunStarted>,
    /// Its steps, in the order of the plan.
    pub steps: IndexMap<StepId, StepRecord>,
    /// What it came to.
    pub tally: Tally,
    /// What it cost, once it has ended.
    pub cost: Option<Cost>,
    /// When the latest event was, in milliseconds since the start.
    pub now_ms: u64,
}

/// One step as its events have told it so far.
#[derive(Clone, Debug)]
pub struct StepRecord {
    /// What the plan says of it.
    pub outline: StepOutline,
    /// Its start, in milliseconds since the run's.
    pub began_ms: Option<u64>,
    /// Its end, in milliseconds since the run's start.
    pub ended_ms: Option<u64>,
    /// How it ended; after [`Record::close`], every step has ended.
    pub ending: Option<Ending>,
    /// What it last said that it waits for.
    pub waits_for: Option<String>,
    /// Its looks; equal ones in a row are one.
    pub looks: Vec<Look>,
    /// How many looks it took.
    pub looks_taken: u32,
    /// What was kept of it.
    pub evidence: Option<Evidence>,
}

/// Looks in a row that came to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Number of the first, from 1.
    pub first: u32,
    /// Number of the last.
    pub last: u32,
    /// What they came to.
    pub verdict: Verdict,
}

impl Record {
    /// Learns one event.
    pub fn take(&mut self, event: &Event) {
        self.tally.take(event);
        self.now_ms = self.now_ms.max(event.at_ms);
        match &event.kind {
            EventKind::RunStarted(run) => {
                self.steps = run.steps.iter().map(|step| (step.id.clone(), StepRecord::new(step))).collect();
                self.run = Some(run.clone());
            }
            EventKind::StepStarted { step } => self.with(step, |known| known.began_ms = Some(event.at_ms)),
            EventKind::StepWaited { step, on } => self.with(step, |known| known.waits_for = Some(on.clone())),
            EventKind::LookEnded { step, look, verdict } => self.with(step, |known| known.look(*look, verdict)),
            EventKind::StepEnded { step, ending, looks, evidence, .. } => self.with(step, |known| {
                known.ended_ms = Some(event.at_ms);
                known.ending = Some(ending.clone());
                known.looks_taken = *looks;
                known.evidence.clone_from(evidence);
            }),
            EventKind::RunInterrupted { .. } => {}
            EventKind::RunEnded { cost } => self.cost = Some(cost.clone()),
        }
    }

    /// Ends what no event has ended, because the run was killed or its transcript is cut off.
    pub fn close(&mut self) {
        for step in self.steps.values_mut().filter(|step| step.ending.is_none()) {
            let why = match (step.began_ms, &step.waits_for) {
                (None, _) => "the run stopped before it could start".to_owned(),
                (Some(_), None) => "the run stopped while it was under way".to_owned(),
                (Some(_), Some(on)) => format!("the run stopped while it waited for {on}"),
            };
            step.ended_ms = step.began_ms.map(|_| self.now_ms);
            step.ending = Some(Ending::NotRun { why });
        }
    }

    /// The steps that ended red, in the order in which they did.
    #[must_use]
    pub fn red(&self) -> Vec<&StepRecord> {
        let mut red: Vec<&StepRecord> = self.steps.values().filter(|step| step.is_red()).collect();
        red.sort_by_key(|step| step.ended_ms);
        red
    }

    /// The steps that `id` blocks.
    pub fn blocked_by(&self, id: &StepId) -> impl Iterator<Item = &StepRecord> {
        self.steps.values().filter(move |step| matches!(&step.ending, Some(Ending::Blocked { by }) if by == id))
    }

    fn with(&mut self, step: &StepId, learn: impl FnOnce(&mut StepRecord)) {
        // A transcript that names a step its plan does not have is refused where it is read.
        if let Some(known) = self.steps.get_mut(step) {
            learn(known);
        }
    }
}

impl StepRecord {
    fn new(outline: &StepOutline) -> Self {
        Self {
            outline: outline.clone(),
            began_ms: None,
            ended_ms: None,
            ending: None,
            waits_for: None,
            looks: Vec::new(),
            looks_taken: 0,
            evidence: None,
        }
    }

    fn look(&mut self, number: u32, verdict: &Verdict) {
        match self.looks.last_mut() {
            Some(look) if look.verdict == *verdict => look.last = number,
            Some(_) | None => self.looks.push(Look { first: number, last: number, verdict: verdict.clone() }),
        }
    }

    /// From its start to its end, in milliseconds; zero for one that never started.
    #[must_use]
    pub fn took_ms(&self) -> u64 {
        self.began_ms.zip(self.ended_ms).map_or(0, |(began, ended)| ended.saturating_sub(began))
    }

    /// Whether it is a check.
    #[must_use]
    pub fn is_check(&self) -> bool {
        self.outline.place.as_ref().is_some_and(|place| place.check.is_some())
    }

    /// Whether it ended broken or unclear.
    #[must_use]
    pub const fn is_red(&self) -> bool {
        match &self.ending {
            Some(Ending::Broken { .. } | Ending::Unclear { .. }) => true,
            Some(Ending::Held { .. } | Ending::Blocked { .. } | Ending::NotRun { .. }) | None => false,
        }
    }

    /// Whether it ended held.
    #[must_use]
    pub const fn has_held(&self) -> bool {
        matches!(self.ending, Some(Ending::Held { .. }))
    }

    /// The looks that did not hold.
    pub fn red_looks(&self) -> impl Iterator<Item = &Look> {
        self.looks.iter().filter(|look| !matches!(look.verdict, Verdict::Held { .. }))
    }

    /// Whether it held once, and then a later look did not.
    #[must_use]
    pub fn wavered(&self) -> bool {
        let held = self.looks.iter().position(|look| matches!(look.verdict, Verdict::Held { .. }));
        held.is_some_and(|held| self.red_looks().any(|look| self.looks[held].last < look.first))
    }
}
