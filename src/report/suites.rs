//! A run suite by suite: what of each was installed, checked and left out, and how long it took to deploy.

use indexmap::IndexMap;

use super::record::{Record, StepRecord};
use crate::events::Counts;
use crate::plan::{Omission, Place};
use crate::suite::{ComponentName, SuiteName};

/// One suite's part of a run.
#[derive(Default)]
pub(super) struct SuitePart<'a> {
    /// Steps of the suite itself: its deploy budget.
    pub own: Vec<&'a StepRecord>,
    /// Each component's steps, in the order of the plan.
    pub components: IndexMap<&'a ComponentName, Vec<&'a StepRecord>>,
    /// What of it was left out without the user asking for that.
    pub left_out: Vec<&'a Omission>,
}

/// The run's suites, in the order of the plan.
pub(super) fn suites(record: &Record) -> IndexMap<&SuiteName, SuitePart<'_>> {
    let mut parts: IndexMap<&SuiteName, SuitePart<'_>> = IndexMap::new();
    for step in record.steps.values() {
        let Some(place) = &step.outline.place else { continue };
        let part = parts.entry(&place.suite).or_default();
        match &place.component {
            Some(component) => part.components.entry(component).or_default().push(step),
            None => part.own.push(step),
        }
    }
    for omission in record.run.iter().flat_map(|run| &run.omissions).filter(|omission| !omission.asked) {
        parts.entry(&omission.place.suite).or_default().left_out.push(omission);
    }
    parts
}

/// The steps that belong to no suite: the cluster and the teardown.
pub(super) fn the_runs_own(record: &Record) -> impl Iterator<Item = &StepRecord> {
    record.steps.values().filter(|step| step.outline.place.is_none())
}

impl<'a> SuitePart<'a> {
    /// The checks of all components, counted.
    pub(super) fn checks(&self) -> Counts {
        let mut counts = Counts::default();
        for step in self.components.values().flatten().filter(|step| step.is_check()) {
            counts.planned += 1;
            if let Some(ending) = &step.ending {
                counts.add(ending);
            }
        }
        counts
    }

    /// How many components are ready: all their steps that are no checks have held.
    pub(super) fn ready(&self) -> usize {
        let ready =
            |steps: &&Vec<&StepRecord>| steps.iter().filter(|step| !step.is_check()).all(|step| step.has_held());
        self.components.values().filter(ready).count()
    }

    /// The suite's deploy budget, where the plan holds one.
    pub(super) fn budget(&self) -> Option<&'a StepRecord> {
        self.own.iter().copied().find(|step| step.outline.kind == "budget")
    }

    /// From the suite's first install to its last component ready, in milliseconds; `None` if not all are.
    pub(super) fn deployed_ms(&self) -> Option<u64> {
        if self.ready() < self.components.len() {
            return None;
        }
        let of = |kind: &'static str| self.components.values().flatten().filter(move |step| step.outline.kind == kind);
        let first = of("install").filter_map(|step| step.began_ms).min()?;
        let last = of("settle").chain(of("install")).filter_map(|step| step.ended_ms).max()?;
        Some(last.saturating_sub(first))
    }
}

/// A place as people write it: `suite`, `suite/component` or `suite/component/check`.
pub(super) fn path_of(place: &Place) -> String {
    let component = place.component.iter().map(|name| format!("/{name}"));
    let check = place.check.iter().map(|name| format!("/{name}"));
    component.chain(check).fold(place.suite.to_string(), |path, part| path + &part)
}
