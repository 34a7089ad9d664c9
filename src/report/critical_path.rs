//! Which chain of steps made the wall time.
//!
//! From the step that ended last, back through whichever step it stood on ended last. Shortening anything else makes
//! no run shorter.

use std::collections::BTreeSet;

use super::record::{Record, StepRecord};
use crate::plan::StepId;

/// One step of the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'a> {
    /// The step.
    pub step: &'a StepRecord,
    /// From the end of what it stood on to its start, in milliseconds: what it waited for was a free place.
    pub idle_ms: u64,
}

/// The chain, first step first; empty if nothing was run.
pub(super) fn critical_path(record: &Record) -> Vec<Link<'_>> {
    let mut path = Vec::new();
    let mut seen: BTreeSet<&StepId> = BTreeSet::new();
    let mut next = record.steps.values().filter(|step| step.began_ms.is_some()).max_by_key(|step| step.ended_ms);
    while let Some(step) = next.filter(|step| seen.insert(&step.outline.id)) {
        let before = stood_on(record, step);
        let ready_ms = before.and_then(|before| before.ended_ms).unwrap_or(0);
        path.push(Link { step, idle_ms: step.began_ms.unwrap_or(0).saturating_sub(ready_ms) });
        next = before;
    }
    path.reverse();
    path
}

/// What kept the step from starting earlier: of the steps it needs, the one that ended last. The last looks at components
/// need no step to have held, and start after all others; tearing down starts after those. A deploy budget only counts what
/// others do.
fn stood_on<'a>(record: &'a Record, step: &StepRecord) -> Option<&'a StepRecord> {
    let began = step.began_ms?;
    let outline = &step.outline;
    let comes_after = |other: &&StepRecord| match outline.kind.as_str() {
        "teardown" => true,
        "endure" => !matches!(other.outline.kind.as_str(), "endure" | "teardown"),
        _ => outline.needs.contains(&other.outline.id),
    };
    record
        .steps
        .values()
        .filter(comes_after)
        .filter(|other| other.outline.id != outline.id && other.outline.kind != "budget")
        .filter(|other| other.began_ms.is_some() && other.ended_ms.is_some_and(|ended| ended <= began))
        .max_by_key(|other| other.ended_ms)
}
