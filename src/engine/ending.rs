//! How what came back from the world becomes a step's ending; every sentence that the engine itself says of a step.

use std::any::Any;
use std::time::Duration;

use super::convergence::Conclusion;
use crate::checks::Verdict;
use crate::events::{Ending, Fault};
use crate::plan::{Step, Work};
use crate::ports::{Done, Trouble};
use crate::span::Span;

/// Why a step must end before it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The run was asked to stop; what is known of a red step is still kept.
    Stop {
        /// `interrupted by SIGTERM`.
        why: String,
    },
    /// The suite's deploy budget has passed.
    Budget {
        /// `the deploy budget of data-plane, 10m, has passed`.
        why: String,
    },
    /// The run was asked a second time: nothing is waited for.
    Abort {
        /// `aborted by a second SIGTERM`.
        why: String,
    },
}

/// Whether evidence is kept and what stands on the step is blocked.
pub(super) const fn is_red(ending: &Ending) -> bool {
    match ending {
        Ending::Broken { .. } | Ending::Unclear { .. } => true,
        Ending::Held { .. } | Ending::Blocked { .. } | Ending::NotRun { .. } => false,
    }
}

/// The one line worth saying first of a red ending.
pub(super) fn headline(ending: &Ending) -> &str {
    match ending {
        Ending::Held { saw: line, .. }
        | Ending::Broken { actual: line, .. }
        | Ending::Unclear { why: line, .. }
        | Ending::NotRun { why: line } => line,
        Ending::Blocked { by } => by.as_str(),
    }
}

/// A step that is no check came back by itself.
pub(super) fn of_deed(step: &Step, deed: Result<Done, Trouble>) -> Ending {
    match deed {
        Ok(Done { saw, warnings }) => Ending::Held { saw, warnings },
        Err(Trouble { fault: Fault::Platform, headline, details }) => {
            Ending::Broken { expected: step.title(), actual: headline, details }
        }
        Err(Trouble { fault: fault @ (Fault::Environment | Fault::Ourselves), headline, details }) => {
            Ending::Unclear { fault, why: headline, details }
        }
    }
}

/// A check came to its conclusion. A claim that held late says how often it was looked.
pub(super) fn of_check(Conclusion { verdict, history }: Conclusion) -> Ending {
    match verdict {
        Verdict::Held { saw, warnings } => {
            let saw = std::iter::once(saw).chain(history).collect::<Vec<_>>().join("; ");
            Ending::Held { saw, warnings }
        }
        Verdict::Broken { expected, actual, outlook: _ } => Ending::Broken { expected, actual, details: history },
        Verdict::Unclear { why } => Ending::Unclear { fault: Fault::Environment, why, details: history },
    }
}

/// A step that is no check ran out of its own time. Only readiness is the platform's to reach: what else takes too
/// long keeps us from judging the platform.
pub(super) fn overdue(step: &Step, note: Option<&str>) -> Ending {
    late(step, &step.budget.to_string(), note)
}

/// A step was ended from outside.
pub(super) fn cut_off(step: &Step, cut: &Cut, after: Duration, note: Option<&str>) -> Ending {
    let after = Span::from(after);
    match cut {
        Cut::Stop { why } | Cut::Abort { why } => Ending::NotRun { why: waiting(format!("{why} after {after}"), note) },
        Cut::Budget { why } => late(step, &format!("{after}: {why}"), note),
    }
}

fn late(step: &Step, after: &str, note: Option<&str>) -> Ending {
    let details = Vec::new();
    match step.work {
        Work::Settle(_) | Work::Endure(_) | Work::Budget(_) | Work::Check(_) => {
            let actual = waiting(format!("not ready after {after}"), note);
            Ending::Broken { expected: step.title(), actual, details }
        }
        Work::Cluster(_) | Work::Render(_) | Work::Preload(_) | Work::Install(_) | Work::Teardown => {
            let why = waiting(format!("not done after {after}"), note);
            Ending::Unclear { fault: Fault::Environment, why, details }
        }
    }
}

fn waiting(what: String, note: Option<&str>) -> String {
    match note {
        Some(note) => format!("{what}; last waiting on: {note}"),
        None => what,
    }
}

/// The work panicked: our bug, and only this step's.
pub(super) fn panicked(step: &Step, panic: &(dyn Any + Send)) -> Ending {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words");
    Ending::Unclear { fault: Fault::Ourselves, why: format!("{} panicked: {words}", step.id), details: Vec::new() }
}
