//! What may start, what a red step blocks, what a passed budget cuts, and what an interrupt means. Pure.
//!
//! - Never: a clock or a task. Time since the run's start is an argument, and what must be done comes back as actions.
//! - Jobs: renders, preloads, installs and checks count. Waits for readiness do not: they cost nothing, and a slow
//!   component must not keep others from being installed. Of the cluster and the teardown there is one each.
//! - Order: what others stand on goes before checks, otherwise as in the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use super::ending::Cut;
use crate::events::Ending;
use crate::plan::{BudgetWork, Plan, Step, StepId, Work};
use crate::span::Span;

/// What the driver tells.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// The run begins.
    Begin,
    /// A started step has ended.
    Ended { step: StepId, ending: Ending },
    /// The user or the machine wants the run to stop.
    Interrupted { signal: String },
    /// The time that [`Scheduler::deadline`] named has come.
    Tick,
}

/// What the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Start this step's work.
    Start(StepId),
    /// Say that this budget's time has begun to count.
    Count(StepId),
    /// Tell this running step to end.
    Cut(StepId, Cut),
    /// Say that this step has ended without work of its own.
    End { step: StepId, ending: Ending, took: Duration },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    Interrupted,
    Aborted,
}

/// Where a run stands. Steps are known by their place in the plan.
#[derive(Debug)]
pub(super) struct Scheduler<'p> {
    plan: &'p Plan,
    states: Vec<State>,
    unmet: Vec<usize>,
    above: Vec<Vec<usize>>,
    ready: BTreeSet<(bool, usize)>,
    free_jobs: usize,
    /// Steps that have not ended.
    open: usize,
    /// Since when budgets count.
    counting: BTreeMap<usize, Duration>,
    /// What is looked at again once everything else has ended.
    endures: Vec<usize>,
    teardown: Option<usize>,
    stop: Stop,
    /// What providing the cluster came to, for those who must clean up by hand.
    made: Option<String>,
    actions: Vec<Action>,
}

impl<'p> Scheduler<'p> {
    pub(super) fn new(plan: &'p Plan, jobs: NonZeroUsize) -> Self {
        let count = plan.steps.len();
        let (mut above, mut unmet) = (vec![Vec::new(); count], vec![0; count]);
        for (index, step) in plan.steps.values().enumerate() {
            for need in step.needs.iter().filter_map(|need| plan.steps.get_index_of(need)) {
                above[need].push(index);
                unmet[index] += 1;
            }
        }
        Self {
            plan,
            states: vec![State::Waiting; count],
            unmet,
            above,
            ready: BTreeSet::new(),
            free_jobs: jobs.get(),
            open: count,
            counting: BTreeMap::new(),
            endures: (0..count).filter(|index| matches!(plan.steps[*index].work, Work::Endure(_))).collect(),
            teardown: plan.steps.values().position(|step| matches!(step.work, Work::Teardown)),
            stop: Stop::No,
            made: None,
            actions: Vec::new(),
        }
    }

    /// Whether every step has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.open == 0
    }

    /// When the next budget passes, if one counts.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.counting.iter().map(|(index, since)| *since + self.step(*index).budget.duration()).min()
    }

    /// Takes in what happened and says what to do.
    pub(super) fn take(&mut self, input: Input, now: Duration) -> Vec<Action> {
        match input {
            Input::Begin => {
                for index in 0..self.states.len() {
                    self.stand(index, now);
                }
            }
            Input::Ended { step, ending } => self.ended(&step, &ending, now),
            Input::Interrupted { signal } => self.interrupted(&signal, now),
            Input::Tick => self.expire_budgets(now),
        }
        self.fill(now);
        self.wind_up();
        std::mem::take(&mut self.actions)
    }

    fn step(&self, index: usize) -> &'p Step {
        &self.plan.steps[index]
    }

    /// A step's needs may all have held: then it starts, queues, or, as a budget, is judged.
    fn stand(&mut self, index: usize, now: Duration) {
        if self.states[index] == State::Ended || self.unmet[index] > 0 {
            return;
        }
        let step = self.step(index);
        match &step.work {
            Work::Endure(_) | Work::Teardown => {}
            Work::Budget(budget) => self.keep_budget(index, budget, now),
            Work::Check(_) => {
                self.ready.insert((true, index));
            }
            Work::Render(_) | Work::Preload(_) | Work::Install(_) => {
                self.ready.insert((false, index));
            }
            Work::Cluster(_) | Work::Settle(_) => self.start(index),
        }
    }

    fn start(&mut self, index: usize) {
        self.states[index] = State::Running;
        self.actions.push(Action::Start(self.step(index).id.clone()));
    }

    /// Gives free jobs to steps that are ready.
    fn fill(&mut self, now: Duration) {
        while self.free_jobs > 0 {
            let Some((_, index)) = self.ready.pop_first() else { return };
            self.free_jobs -= 1;
            self.count_budgets(&self.step(index).id, now);
            self.start(index);
        }
    }

    fn ended(&mut self, step: &StepId, ending: &Ending, now: Duration) {
        let Some(index) = self.plan.steps.get_index_of(step) else { return };
        self.states[index] = State::Ended;
        self.open -= 1;
        self.free_jobs += usize::from(takes_a_job(self.step(index)));
        match ending {
            Ending::Held { saw, .. } => {
                if matches!(self.step(index).work, Work::Cluster(_)) {
                    self.made = Some(saw.clone());
                }
                for above in self.above[index].clone() {
                    self.unmet[above] -= 1;
                    self.stand(above, now);
                }
            }
            Ending::Broken { .. } | Ending::Unclear { .. } | Ending::Blocked { .. } | Ending::NotRun { .. } => {
                self.block(self.above[index].clone(), step, now);
            }
        }
    }

    /// Ends these steps and all that stand on them, as far as they have not started.
    fn block(&mut self, mut open: Vec<usize>, by: &StepId, now: Duration) {
        let mut blocked = BTreeSet::new();
        while let Some(index) = open.pop() {
            let is_budget = self.counting.contains_key(&index);
            if (self.states[index] == State::Waiting || is_budget) && blocked.insert(index) {
                open.extend(&self.above[index]);
            }
        }
        for index in blocked {
            self.end(index, Ending::Blocked { by: by.clone() }, now);
        }
    }

    /// Ends a step that does no work of its own, or not yet.
    fn end(&mut self, index: usize, ending: Ending, now: Duration) {
        self.states[index] = State::Ended;
        self.open -= 1;
        self.ready.remove(&(true, index));
        self.ready.remove(&(false, index));
        let took = self.counting.remove(&index).map_or(Duration::ZERO, |since| now.saturating_sub(since));
        self.actions.push(Action::End { step: self.step(index).id.clone(), ending, took });
    }

    /// Once everything else has ended, what was ready is looked at again; then what the run made is taken away.
    fn wind_up(&mut self) {
        let is_waiting = |index: &usize| self.states[*index] == State::Waiting;
        let endures: Vec<usize> = self.endures.iter().copied().filter(is_waiting).collect();
        let teardown: Vec<usize> = self.teardown.into_iter().filter(is_waiting).collect();
        if self.open > endures.len() + teardown.len() {
            return;
        }
        let next = if endures.is_empty() { teardown } else { endures };
        next.into_iter().for_each(|index| self.start(index));
    }

    // ── budgets of suites

    /// Budgets begin to count with the first of the steps that they time.
    fn count_budgets(&mut self, starting: &StepId, now: Duration) {
        for (index, step) in self.plan.steps.values().enumerate() {
            let Work::Budget(budget) = &step.work else { continue };
            if budget.from.contains(starting) && self.states[index] == State::Waiting {
                self.states[index] = State::Running;
                self.counting.insert(index, now);
                self.actions.push(Action::Count(step.id.clone()));
            }
        }
    }

    fn keep_budget(&mut self, index: usize, budget: &BudgetWork, now: Duration) {
        let since = self.counting.get(&index).copied().unwrap_or(now);
        let saw = format!("ready after {} of {}", Span::from(now.saturating_sub(since)), budget.limit);
        self.end(index, Ending::Held { saw, warnings: Vec::new() }, now);
    }

    /// A budget that has passed is broken; what still runs of its suite is cut, and what has not started is blocked.
    fn expire_budgets(&mut self, now: Duration) {
        for (index, since) in self.counting.clone() {
            let step = self.step(index);
            if let Work::Budget(budget) = &step.work
                && now >= since + step.budget.duration()
            {
                self.expire(index, budget, now);
            }
        }
    }

    fn expire(&mut self, index: usize, budget: &BudgetWork, now: Duration) {
        let step = self.step(index);
        let late = |ids: &BTreeSet<StepId>| -> Vec<usize> {
            let indexes = ids.iter().filter_map(|id| self.plan.steps.get_index_of(id));
            indexes.filter(|index| self.states[*index] != State::Ended).collect()
        };
        let not_ready = late(&step.needs);
        let names: Vec<String> =
            not_ready.iter().filter_map(|index| self.step(*index).place.as_ref()).map(ToString::to_string).collect();
        let members = [not_ready, late(&budget.from)].concat();
        let actual = format!("after {} not ready: {}", budget.limit, names.join(", "));
        self.end(index, Ending::Broken { expected: step.title(), actual, details: Vec::new() }, now);
        let why = format!("the deploy budget of {}, {}, has passed", budget.suite, budget.limit);
        for member in members.iter().filter(|member| self.states[**member] == State::Running) {
            self.actions.push(Action::Cut(self.step(*member).id.clone(), Cut::Budget { why: why.clone() }));
        }
        self.block(members, &step.id, now);
    }

    // ── interrupts

    /// The first interrupt lets nothing start but the teardown, the second waits for nothing.
    fn interrupted(&mut self, signal: &str, now: Duration) {
        match self.stop {
            Stop::No => {
                self.stop = Stop::Interrupted;
                let cut = Cut::Stop { why: format!("interrupted by {signal}") };
                self.stop_all(|step| !matches!(step.work, Work::Teardown), &cut, now);
            }
            Stop::Interrupted => {
                self.stop = Stop::Aborted;
                let made = self.made.as_ref().map_or_else(String::new, |made| format!(" (left behind: {made})"));
                self.stop_all(|_| true, &Cut::Abort { why: format!("aborted by a second {signal}{made}") }, now);
            }
            Stop::Aborted => {}
        }
    }

    fn stop_all(&mut self, which: impl Fn(&Step) -> bool, cut: &Cut, now: Duration) {
        let (Cut::Stop { why } | Cut::Abort { why } | Cut::Budget { why }) = cut;
        for index in 0..self.states.len() {
            let step = self.step(index);
            let is_attempt = self.states[index] == State::Running && !self.counting.contains_key(&index);
            if self.states[index] == State::Ended || !which(step) {
                continue;
            }
            if is_attempt {
                self.actions.push(Action::Cut(step.id.clone(), cut.clone()));
            } else {
                self.end(index, Ending::NotRun { why: why.clone() }, now);
            }
        }
    }
}

const fn takes_a_job(step: &Step) -> bool {
    match step.work {
        Work::Render(_) | Work::Preload(_) | Work::Install(_) | Work::Check(_) => true,
        Work::Cluster(_) | Work::Settle(_) | Work::Budget(_) | Work::Endure(_) | Work::Teardown => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use indexmap::IndexMap;
    use proptest::prelude::*;

    use super::*;
    use crate::events::Fault;
    use crate::plan::{CheckWork, ClusterWork, ComponentKey, ComponentWork};
    use crate::suite::Install;

    /// One random step: its kind, and which of the steps before it it needs.
    type Sketch = (u8, u32);

    fn key() -> ComponentKey {
        ComponentKey { suite: "a".parse().unwrap(), component: "b".parse().unwrap() }
    }

    fn component() -> ComponentWork {
        let install = Install::Provided { by: String::new() };
        ComponentWork { key: key(), namespace: "c".parse().unwrap(), install }
    }

    fn a_check() -> CheckWork {
        let check = serde_json::json!({ "tcp": { "at": "redis:6379" } });
        let spec = crate::suite::CheckSpec {
            name: "d".parse().unwrap(),
            title: String::new(),
            requirements: Vec::new(),
            check: serde_json::from_value(check).unwrap(),
            patience: crate::suite::Patience::default(),
            line: 1,
        };
        CheckWork { key: key(), namespace: "c".parse().unwrap(), release: None, folder: "".into(), spec }
    }

    fn a_cluster() -> Work {
        let environment = crate::suite::Environment {
            name: "local".parse().unwrap(),
            node_image: None,
            cluster_config: None,
            preload: false,
            cluster_budget: Span::secs(60),
            requires: crate::suite::Requires::default(),
        };
        Work::Cluster(Box::new(ClusterWork { environment }))
    }

    /// A plan with a cluster, the steps sketched, a budget over its installs and settles, and a teardown.
    fn drawn(sketches: &[Sketch]) -> Plan {
        let mut steps = IndexMap::new();
        let mut add = |id: StepId, needs: BTreeSet<StepId>, work| {
            steps.insert(id.clone(), Step { id, needs, budget: Span::secs(30), place: None, work });
        };
        add(StepId::cluster(), BTreeSet::new(), a_cluster());
        let name = |index| StepId::of_suite(&key().suite, &format!("s{index}"));
        let (mut installs, mut settles) = (BTreeSet::new(), BTreeSet::new());
        for (index, (kind, bits)) in sketches.iter().enumerate() {
            // As in a real plan: nothing stands on what is only looked at in the end.
            let stood_on = |bit: &usize| bits >> (bit % 32) & 1 == 1 && sketches[*bit].0 % 5 != 3;
            let mut needs: BTreeSet<StepId> = (0..index).filter(stood_on).map(name).collect();
            needs.extend((bits & 1 == 0).then(StepId::cluster));
            let work = match kind % 5 {
                0 => Work::Render(component()),
                1 => Work::Install(component()),
                2 => Work::Settle(component()),
                3 => Work::Endure(component()),
                _ => Work::Check(Box::new(a_check())),
            };
            installs.extend(matches!(work, Work::Install(_)).then(|| name(index)));
            settles.extend(matches!(work, Work::Settle(_)).then(|| name(index)));
            add(name(index), needs, work);
        }
        if !installs.is_empty() && !settles.is_empty() {
            let suite = key().suite;
            let budget = BudgetWork { suite, from: installs.clone(), limit: Span::secs(30), requirements: Vec::new() };
            // As in a real plan: no settle is ready before an install has started.
            settles.extend(installs);
            add(StepId::of_suite(&key().suite, "deploy-budget"), settles, Work::Budget(budget));
        }
        add(StepId::teardown(), BTreeSet::new(), Work::Teardown);
        Plan { steps, omissions: Vec::new(), written: BTreeMap::new() }
    }

    fn red(why: &str) -> Ending {
        Ending::Unclear { fault: Fault::Environment, why: why.to_owned(), details: Vec::new() }
    }

    fn held() -> Ending {
        Ending::Held { saw: String::new(), warnings: Vec::new() }
    }

    /// A run in which the world does as the dice say, held against all that must always be so.
    struct Game<'p> {
        plan: &'p Plan,
        jobs: usize,
        scheduler: Scheduler<'p>,
        running: Vec<StepId>,
        started: Vec<StepId>,
        endings: BTreeMap<StepId, Ending>,
        interrupts: u32,
        now: Duration,
    }

    impl<'p> Game<'p> {
        fn new(plan: &'p Plan, jobs: usize) -> Self {
            Self {
                plan,
                jobs,
                scheduler: Scheduler::new(plan, NonZeroUsize::new(jobs).unwrap()),
                running: Vec::new(),
                started: Vec::new(),
                endings: BTreeMap::new(),
                interrupts: 0,
                now: Duration::ZERO,
            }
        }

        fn take(&mut self, input: Input) {
            for action in self.scheduler.take(input, self.now) {
                match action {
                    Action::Start(id) => self.start(id),
                    Action::Count(id) => assert!(matches!(self.plan.steps[&id].work, Work::Budget(_))),
                    Action::Cut(id, _) => assert!(self.running.contains(&id), "{id} is cut but does not run"),
                    Action::End { step, ending, .. } => {
                        assert!(!self.running.contains(&step), "{step} still runs");
                        self.end(step, ending);
                    }
                }
            }
            let jobs = self.running.iter().filter(|id| takes_a_job(&self.plan.steps[*id])).count();
            assert!(jobs <= self.jobs, "{jobs} jobs at once");
        }

        fn start(&mut self, id: StepId) {
            let step = &self.plan.steps[&id];
            let has_held = |need: &StepId| matches!(self.endings.get(need), Some(Ending::Held { .. }));
            assert!(step.needs.iter().all(has_held), "{id} starts before its needs have held");
            assert!(!self.started.contains(&id), "{id} starts twice");
            let is_teardown = matches!(step.work, Work::Teardown);
            if let Work::Endure(_) = step.work {
                let is_late = |step: &&Step| matches!(step.work, Work::Endure(_) | Work::Teardown);
                let others = self.plan.steps.values().filter(|step| !is_late(step));
                assert!(others.into_iter().all(|step| self.endings.contains_key(&step.id)), "{id} starts early");
            }
            assert!(is_teardown || self.interrupts == 0, "{id} starts after an interrupt");
            let passed = |id: &StepId| matches!(self.endings.get(id), Some(Ending::Broken { .. }));
            let timed = self.plan.steps.values().filter(|budget| budget.needs.contains(&id) && passed(&budget.id));
            assert_eq!(timed.count(), 0, "{id} starts although its budget has passed");
            assert!(!is_teardown || self.endings.len() == self.plan.steps.len() - 1, "the teardown starts early");
            self.started.push(id.clone());
            self.running.push(id);
        }

        fn end(&mut self, id: StepId, ending: Ending) {
            if let Ending::Blocked { by } = &ending {
                let cause = self.endings.get(by);
                assert!(matches!(cause, Some(Ending::Broken { .. } | Ending::Unclear { .. })), "{by} is no cause");
            }
            assert!(self.endings.insert(id, ending).is_none(), "a step ends twice");
        }

        fn throw(&mut self, die: u8) {
            self.now += Duration::from_secs(1);
            match die {
                0..4 => {
                    self.interrupts += 1;
                    self.take(Input::Interrupted { signal: "SIGINT".to_owned() });
                }
                4..12 if self.scheduler.deadline().is_some() => {
                    self.now = self.now.max(self.scheduler.deadline().unwrap());
                    self.take(Input::Tick);
                }
                _ => {
                    assert!(!self.running.is_empty(), "nothing runs and the run does not end");
                    let step = self.running.remove(usize::from(die) % self.running.len());
                    let ending = if die.is_multiple_of(7) { red("the die") } else { held() };
                    self.end(step.clone(), ending.clone());
                    self.take(Input::Ended { step, ending });
                }
            }
        }

        fn play(mut self, dice: &[u8]) {
            self.take(Input::Begin);
            let mut dice = dice.iter().copied().chain(std::iter::repeat(20));
            while !self.scheduler.is_finished() {
                self.throw(dice.next().unwrap());
            }
            assert_eq!(self.endings.len(), self.plan.steps.len(), "every step has one ending");
            assert!(self.running.is_empty(), "every started step has ended");
            let tore_down = self.started.contains(&StepId::teardown());
            assert!(tore_down || self.interrupts > 1, "no teardown");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_happens_every_rule_holds(
            sketches in prop::collection::vec(any::<Sketch>(), 0..24),
            dice in prop::collection::vec(any::<u8>(), 0..80),
            jobs in 1_usize..5,
        ) {
            Game::new(&drawn(&sketches), jobs).play(&dice);
        }
    }

    #[test]
    fn what_is_blocked_names_the_lowest_cause() {
        let plan = drawn(&[(1, 0), (2, 0b1), (3, 0b10)]);
        let mut game = Game::new(&plan, 4);
        game.take(Input::Begin);
        game.running.clear();
        game.end(StepId::cluster(), red("no engine"));
        game.take(Input::Ended { step: StepId::cluster(), ending: red("no engine") });
        let blocked = Ending::Blocked { by: StepId::cluster() };
        assert_eq!(game.endings.values().filter(|ending| **ending == blocked).count(), 4);
    }
}
