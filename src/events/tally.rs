//! What a run came to: the events folded into counts, an [`Outcome`] and the exit code.
//!
//! - Purpose: the one place that decides whether a run is green.
//! - Never: green by default. A run that was cut short, checked nothing, or left a step without a judgement is not.
//! - Why `partial` is an outcome of its own and costs the exit code only in a sign-off: leaving a component out with a
//!   reason is daily work on a laptop, and a nightly red for it teaches people to look away. Whoever signs a release
//!   off says so, and then every requirement that went unserved counts. What the user asked to leave out does not.

use std::collections::BTreeSet;

use super::{Ending, Event, EventKind, Fault, RunStarted};
use crate::plan::{Omission, StepId};

/// What a run came to; the later in this list, the more it outweighs the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Every check was made and held.
    Conformant,
    /// Every check that was made held; the environment left out some that serve a requirement.
    Partial,
    /// Nothing was red because nothing was checked.
    Nothing,
    /// A claim is broken.
    Broken,
    /// Cluster, chart, tools or transport kept us from a judgement.
    Environment,
    /// This program is at fault.
    OurBug,
    /// The run was stopped before its end.
    Interrupted,
}

/// How many steps ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub planned: usize,
    /// Ended held.
    pub held: usize,
    /// Ended broken.
    pub broken: usize,
    /// Ended without a judgement, whoever is at fault.
    pub unclear: usize,
    /// Stood on something red.
    pub blocked: usize,
}

impl Counts {
    /// Counts one step that ended.
    pub fn add(&mut self, ending: &Ending) {
        match ending {
            Ending::Held { .. } => self.held += 1,
            Ending::Broken { .. } => self.broken += 1,
            Ending::Unclear { .. } => self.unclear += 1,
            Ending::Blocked { .. } => self.blocked += 1,
            Ending::NotRun { .. } => {}
        }
    }

    /// Planned, and not come to an end of its own.
    #[must_use]
    pub const fn not_run(&self) -> usize {
        self.planned.saturating_sub(self.held + self.broken + self.unclear + self.blocked)
    }
}

/// The events so far, counted.
#[derive(Clone, Debug)]
pub struct Tally {
    /// The checks.
    pub checks: Counts,
    /// All steps, checks among them.
    pub steps: Counts,
    /// The signal that stopped the run; of several, the last.
    pub signal: Option<String>,
    /// How often the run was asked to stop: the second time it ends without a teardown.
    pub interrupts: u32,
    /// Omissions that were not asked for and leave a requirement unserved.
    pub unserved: usize,
    /// Components that were not asked to be left out and that checks stand on: the verdict is one without them.
    pub missed: usize,
    /// Whether nothing of the run is real.
    pub rehearsed: bool,
    worst: Outcome,
    check_ids: BTreeSet<StepId>,
    /// Suites whose deploy budget held.
    budgets: usize,
    budget_ids: BTreeSet<StepId>,
    /// Every step that has not ended yet.
    open: BTreeSet<StepId>,
    sign_off: bool,
    ended: bool,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            checks: Counts::default(),
            steps: Counts::default(),
            signal: None,
            interrupts: 0,
            unserved: 0,
            missed: 0,
            rehearsed: false,
            worst: Outcome::Conformant,
            check_ids: BTreeSet::new(),
            budgets: 0,
            budget_ids: BTreeSet::new(),
            open: BTreeSet::new(),
            sign_off: false,
            ended: false,
        }
    }
}

impl Tally {
    /// Counts one event.
    pub fn take(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted(run) => self.start(run),
            EventKind::StepEnded { step, ending, .. } => self.end(step, ending),
            EventKind::RunInterrupted { signal } => {
                self.signal = Some(signal.clone());
                self.interrupts += 1;
            }
            EventKind::RunEnded { .. } => self.ended = true,
            EventKind::StepStarted { .. } | EventKind::StepWaited { .. } | EventKind::LookEnded { .. } => {}
        }
    }

    fn start(&mut self, run: &RunStarted) {
        let is_check = |place: &crate::plan::Place| place.check.is_some();
        self.check_ids = run
            .steps
            .iter()
            .filter(|step| step.place.as_ref().is_some_and(is_check))
            .map(|step| step.id.clone())
            .collect();
        let budgets = run.steps.iter().filter(|step| step.kind == "budget");
        self.budget_ids = budgets.map(|step| step.id.clone()).collect();
        self.open = run.steps.iter().map(|step| step.id.clone()).collect();
        self.steps.planned = run.steps.len();
        self.checks.planned = self.check_ids.len();
        let (bare, serving): (Vec<&Omission>, Vec<_>) =
            run.omissions.iter().filter(|left| !left.asked).partition(|left| left.requirements.is_empty());
        self.unserved = serving.len();
        self.missed = bare.iter().filter(|left| left.place.component.is_some()).count();
        self.sign_off = run.sign_off;
        self.rehearsed = run.is_rehearsal();
    }

    fn end(&mut self, step: &StepId, ending: &Ending) {
        // A step that was not planned, or ends twice, stands for none that was.
        if !self.open.remove(step) {
            self.worst = self.worst.max(Outcome::OurBug);
            return;
        }
        self.steps.add(ending);
        if self.check_ids.contains(step) {
            self.checks.add(ending);
        }
        if self.budget_ids.contains(step) && matches!(ending, Ending::Held { .. }) {
            self.budgets += 1;
        }
        self.worst = self.worst.max(weight(ending));
    }

    /// Whether nothing was claimed that held. That a suite was in time is a claim where no more was asked for.
    const fn is_empty(&self) -> bool {
        self.checks.held == 0 && (self.budgets == 0 || self.unserved > 0 || self.missed > 0)
    }

    /// Whether the run came to its own end.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.ended
    }

    /// What the run came to, as far as it is known.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.signal.is_some() || !self.ended {
            Outcome::Interrupted
        } else if self.worst >= Outcome::Broken {
            self.worst
        } else if self.steps.held < self.steps.planned {
            // Blocked or not run, with nothing red and no signal to blame: the engine lost a step.
            Outcome::OurBug
        } else if self.is_empty() {
            Outcome::Nothing
        } else if self.unserved > 0 {
            Outcome::Partial
        } else {
            Outcome::Conformant
        }
    }

    /// What the process exits with. 2 (suite or command line wrong) is decided before there is a run, and so is most
    /// of 4 (nothing selected).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.outcome() {
            Outcome::Conformant => 0,
            Outcome::Partial if !self.sign_off => 0,
            Outcome::Partial => 5,
            Outcome::Nothing => 4,
            Outcome::Broken => 1,
            Outcome::Environment => 3,
            Outcome::OurBug => 70,
            Outcome::Interrupted => 130,
        }
    }
}

/// What one ending makes of the whole run.
const fn weight(ending: &Ending) -> Outcome {
    match ending {
        Ending::Broken { .. } | Ending::Unclear { fault: Fault::Platform, .. } => Outcome::Broken,
        Ending::Unclear { fault: Fault::Environment, .. } => Outcome::Environment,
        Ending::Unclear { fault: Fault::Ourselves, .. } => Outcome::OurBug,
        // Decided by what blocks it or by what stopped the run.
        Ending::Held { .. } | Ending::Blocked { .. } | Ending::NotRun { .. } => Outcome::Conformant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Cost, StepOutline};
    use crate::plan::Place;
    use crate::span::Span;

    fn place(check: Option<&str>) -> Place {
        Place {
            suite: "base".parse().unwrap(),
            component: Some("redis".parse().unwrap()),
            check: check.map(|name| name.parse().unwrap()),
        }
    }

    fn outline(step: &str) -> StepOutline {
        let place = place((step != "install").then_some(step));
        StepOutline {
            id: StepId::of_component(&place.suite, place.component.as_ref().unwrap(), step),
            kind: "check".to_owned(),
            title: step.to_owned(),
            place: Some(place),
            needs: Vec::new(),
            budget: Span::secs(1),
            requirements: Vec::new(),
            written: None,
        }
    }

    fn started(steps: &[&str]) -> RunStarted {
        RunStarted::of(steps.iter().map(|step| outline(step)).collect())
    }

    /// A run of one install and checks `a`, `b`, …, one for each ending.
    fn run(endings: &[Ending]) -> Tally {
        let names = ["install", "a", "b", "c"];
        let mut tally = Tally::default();
        let held = [Ending::Held { saw: String::new(), warnings: Vec::new() }];
        let all: Vec<&Ending> = held.iter().chain(endings).collect();
        feed(&mut tally, EventKind::RunStarted(started(&names[..all.len()])));
        for (name, ending) in names.iter().zip(all) {
            let step = outline(name).id;
            feed(
                &mut tally,
                EventKind::StepEnded { step, ending: ending.clone(), took_ms: 0, looks: 0, evidence: None },
            );
        }
        tally
    }

    fn feed(tally: &mut Tally, kind: EventKind) {
        tally.take(&Event { seq: 0, at_ms: 0, kind });
    }

    fn finish(mut tally: Tally) -> Tally {
        feed(&mut tally, EventKind::RunEnded { cost: Cost::default() });
        tally
    }

    fn held() -> Ending {
        Ending::Held { saw: String::new(), warnings: Vec::new() }
    }

    fn broken() -> Ending {
        Ending::Broken { expected: String::new(), actual: String::new(), details: Vec::new() }
    }

    fn unclear(fault: Fault) -> Ending {
        Ending::Unclear { fault, why: String::new(), details: Vec::new() }
    }

    #[test]
    fn the_heaviest_ending_decides_the_exit_code() {
        let blocked = || Ending::Blocked { by: outline("a").id };
        let rows: [(&str, &[Ending], u8); 7] = [
            ("all held", &[held(), held()], 0),
            ("broken beside held", &[held(), broken()], 1),
            ("blocked beside broken", &[broken(), blocked()], 1),
            ("unclear outweighs broken", &[broken(), unclear(Fault::Environment)], 3),
            ("our bug outweighs unclear", &[unclear(Fault::Ourselves), unclear(Fault::Environment), broken()], 70),
            ("blocked by nothing red", &[held(), blocked()], 70),
            ("nothing checked", &[], 4),
        ];
        for (name, endings, code) in rows {
            assert_eq!(finish(run(endings)).exit_code(), code, "{name}");
        }
    }

    #[test]
    fn a_deploy_budget_alone_is_a_claim_where_no_more_was_asked_for() {
        let budget = || StepOutline { kind: "budget".to_owned(), place: Some(place(None)), ..outline("budget") };
        let left_out =
            Omission { place: place(Some("a")), requirements: Vec::new(), reason: "too big".to_owned(), asked: false };
        for (ending, omissions, code) in [
            (held(), Vec::new(), 0),
            (broken(), Vec::new(), 1),
            (held(), vec![Omission { asked: true, ..left_out.clone() }], 0),
            (held(), vec![left_out], 4),
        ] {
            let mut tally = Tally::default();
            let started = RunStarted { omissions, ..RunStarted::of(vec![budget()]) };
            feed(&mut tally, EventKind::RunStarted(started));
            let step = budget().id;
            feed(&mut tally, EventKind::StepEnded { step, ending, took_ms: 0, looks: 0, evidence: None });
            assert_eq!(finish(tally).exit_code(), code);
        }
    }

    #[test]
    fn a_step_that_ends_under_another_name_or_twice_stands_for_none() {
        for second in ["c", "a"] {
            let mut tally = Tally::default();
            feed(&mut tally, EventKind::RunStarted(started(&["a", "b"])));
            for name in ["a", second] {
                let step = outline(name).id;
                feed(&mut tally, EventKind::StepEnded { step, ending: held(), took_ms: 0, looks: 0, evidence: None });
            }
            assert_eq!((tally.steps.held, finish(tally).exit_code()), (1, 70), "{second}");
        }
    }

    #[test]
    fn an_interruption_outweighs_everything() {
        let mut tally = run(&[unclear(Fault::Ourselves), broken()]);
        feed(&mut tally, EventKind::RunInterrupted { signal: "SIGTERM".to_owned() });
        assert_eq!(finish(tally).exit_code(), 130);
    }

    #[test]
    fn a_run_that_never_ended_is_not_green() {
        assert_eq!(run(&[held(), held()]).exit_code(), 130);
        assert_eq!(Tally::default().exit_code(), 130);
    }

    #[test]
    fn what_an_environment_leaves_out_costs_the_exit_code_of_a_sign_off_alone() {
        let left_out = |asked, requirements: &[&str]| Omission {
            place: place(None),
            requirements: requirements.iter().map(|id| id.parse().unwrap()).collect(),
            reason: "too big".to_owned(),
            asked,
        };
        let rows = [
            ("daily work", left_out(false, &["F-1"]), false, Outcome::Partial, 0),
            ("sign-off", left_out(false, &["F-1"]), true, Outcome::Partial, 5),
            ("asked for", left_out(true, &["F-1"]), true, Outcome::Conformant, 0),
            ("serves no requirement", left_out(false, &[]), true, Outcome::Conformant, 0),
        ];
        for (name, omission, sign_off, outcome, code) in rows {
            let mut tally = Tally::default();
            feed(
                &mut tally,
                EventKind::RunStarted(RunStarted { sign_off, omissions: vec![omission], ..started(&["a"]) }),
            );
            let step = outline("a").id;
            feed(&mut tally, EventKind::StepEnded { step, ending: held(), took_ms: 0, looks: 1, evidence: None });
            let tally = finish(tally);
            assert_eq!((tally.outcome(), tally.exit_code()), (outcome, code), "{name}");
        }
    }
}
