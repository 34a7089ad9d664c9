//! The lines that stay: what began, what ended, and of a red step everything that its reader needs.

use owo_colors::OwoColorize;

use super::super::figures::{abridge, cut, length, plain, plain_lines, wrap};
use super::super::record::{Record, StepRecord};
use super::super::telling::{headline, particulars, verdict_line, word};
use super::{Voice, paint};
use crate::checks::Verdict;
use crate::events::{Ending, Event, EventKind, RunStarted};
use crate::number::count;
use crate::plan::StepId;

/// Columns of a line.
pub(super) const WIDTH: usize = 100;
/// Where a step's name begins: after its word and its time.
const NAMES: usize = 18;
/// Lines of one particular that are shown.
const SHOWN: usize = 20;

/// The widths that depend on the run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Layout {
    /// Columns for a step's name.
    pub names: usize,
}

impl Layout {
    /// Wide enough for most of the run's names; a longer one moves what follows it.
    pub(super) fn of(run: &RunStarted) -> Self {
        let longest = run.steps.iter().map(|step| step.id.as_str().chars().count()).max();
        Self { names: longest.unwrap_or(0).clamp(16, 36) }
    }
}

/// The lines that an event adds. The record has learned it already.
pub(super) fn told(event: &Event, record: &Record, voice: Voice, layout: Layout) -> Vec<String> {
    let verbose = voice == Voice::Verbose;
    match &event.kind {
        EventKind::RunStarted(run) if voice != Voice::Quiet => opening(run),
        EventKind::StepWaited { step, on } if verbose => {
            vec![aside("waits", record, step, &plain(on), layout)]
        }
        EventKind::LookEnded { step, look, verdict } if verbose => {
            let said = format!("{}: {}", verdict_word(verdict), verdict_line(verdict));
            vec![aside(&format!("look {look}"), record, step, &said, layout)]
        }
        EventKind::StepEnded { step, ending, .. } => {
            record.steps.get(step).map_or_else(Vec::new, |known| ended(known, ending, voice, layout))
        }
        EventKind::RunInterrupted { signal } => {
            let what = if record.tally.interrupts > 1 {
                "the second request to stop: the run ends now, and what it made is not taken away"
            } else {
                "nothing more is started; what the run made and does not keep is taken away"
            };
            vec![paint::warning(&format!("{}: {what}", plain(signal)))]
        }
        EventKind::RunStarted(_)
        | EventKind::StepStarted { .. }
        | EventKind::StepWaited { .. }
        | EventKind::LookEnded { .. }
        | EventKind::RunEnded { .. } => Vec::new(),
    }
}

fn opening(run: &RunStarted) -> Vec<String> {
    let checks = run.steps.iter().filter(|step| step.place.as_ref().is_some_and(|place| place.check.is_some())).count();
    let line = format!(
        "seaworthy {}   run {}   environment {}   cluster {}   {}, {}",
        plain(&run.seaworthy),
        plain(&run.run),
        plain(&run.environment),
        plain(&run.cluster),
        count(run.steps.len(), "step"),
        count(checks, "check"),
    );
    let banner =
        run.is_rehearsal().then(|| paint::warning("A rehearsal on an embedded cluster: nothing real is tested."));
    std::iter::once(line).chain(banner).chain([String::new()]).collect()
}

fn ended(step: &StepRecord, ending: &Ending, voice: Voice, layout: Layout) -> Vec<String> {
    match ending {
        // How to reach and to remove a cluster that stays is needed however little is wanted to be said.
        Ending::Held { saw, .. } if voice == Voice::Quiet && !saw.contains('\n') => Vec::new(),
        Ending::Held { saw, warnings } => {
            let mut lines = vec![row(step, ending, voice, layout)];
            // To be copied, so neither cut nor wrapped.
            lines.extend(plain_lines(saw).iter().skip(1).map(|line| gutter(line)));
            lines.extend(warnings.iter().flat_map(|text| labelled("warning", &[plain(text)])));
            lines
        }
        Ending::Broken { .. } | Ending::Unclear { .. } => block(step, ending),
        // Said once, in the summary, beneath what they stood on.
        Ending::Blocked { .. } | Ending::NotRun { .. } if voice != Voice::Verbose => Vec::new(),
        Ending::Blocked { .. } | Ending::NotRun { .. } => vec![row(step, ending, voice, layout)],
    }
}

/// One line for a step that is not red; only a verbose one may be longer than the terminal is wide.
fn row(step: &StepRecord, ending: &Ending, voice: Voice, layout: Layout) -> String {
    let looks = if step.red_looks().next().is_some() && step.has_held() {
        format!(" ({})", count(step.looks_taken as usize, "look"))
    } else {
        String::new()
    };
    let id = plain(step.outline.id.as_str());
    let room = match voice {
        Voice::Quiet | Voice::Normal => {
            WIDTH.saturating_sub(NAMES + layout.names.max(id.chars().count()) + 2 + looks.len())
        }
        Voice::Verbose => usize::MAX,
    };
    format!(
        "{} {:>8}  {id:<names$}  {}{looks}",
        format!("{:<7}", word(ending)).style(paint::ending(ending)),
        length(step.took_ms()),
        cut(&headline(ending), room),
        names = layout.names,
    )
}

/// A quiet line about a step that is under way.
fn aside(what: &str, record: &Record, step: &StepId, said: &str, layout: Layout) -> String {
    let began = record.steps.get(step).and_then(|known| known.began_ms).unwrap_or(record.now_ms);
    let names = layout.names;
    paint::quiet(&format!(
        "{what:<7} {:>8}  {:<names$}  {said}",
        length(record.now_ms.saturating_sub(began)),
        plain(step.as_str())
    ))
}

const fn verdict_word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Held { .. } => "held",
        Verdict::Broken { .. } => "broken",
        Verdict::Unclear { .. } => "unclear",
    }
}

/// A red step: its cause on the first line, the particulars beneath.
fn block(step: &StepRecord, ending: &Ending) -> Vec<String> {
    let told = wrap(&format!("{}: {}", plain(step.outline.id.as_str()), headline(ending)), WIDTH - NAMES);
    let first = format!(
        "{} {:>8}  {}",
        format!("{:<7}", word(ending)).style(paint::ending(ending)),
        length(step.took_ms()),
        told[0].bold(),
    );
    let more = told[1..].iter().map(|line| gutter(&line.bold().to_string()));
    let rest = particulars(step).into_iter().flat_map(|particular| labelled(particular.label, &particular.lines));
    std::iter::once(first).chain(more).chain(rest).collect()
}

/// Lines beneath a step, under a label.
fn labelled(label: &str, lines: &[String]) -> Vec<String> {
    let wrapped: Vec<String> = abridge(lines, SHOWN).iter().flat_map(|line| wrap(line, WIDTH - NAMES - 10)).collect();
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    labels.zip(wrapped).map(|(label, line)| gutter(&format!("{label:<10}{line}"))).collect()
}

/// A line beneath a step. The bar in front keeps foreign text from being taken for a line of ours.
fn gutter(text: &str) -> String {
    format!("{}{} {text}", " ".repeat(NAMES - 2), paint::quiet("│"))
}
