//! How an ending is put into words: one word, one line, and the particulars. The same words in every report.

use super::figures::{plain, plain_lines};
use super::record::{Look, StepRecord};
use crate::checks::Verdict;
use crate::events::{Counts, Ending, Fault, Outcome, Tally};
use crate::number::count;

/// What else is known of a red step, under a label.
pub(super) struct Particular {
    /// One word.
    pub label: &'static str,
    /// Safe to print.
    pub lines: Vec<String>,
}

/// The one word for an ending.
pub(super) const fn word(ending: &Ending) -> &'static str {
    match ending {
        Ending::Held { .. } => "held",
        Ending::Broken { .. } => "broken",
        Ending::Unclear { fault: Fault::Platform | Fault::Environment, .. } => "unclear",
        Ending::Unclear { fault: Fault::Ourselves, .. } => "our bug",
        Ending::Blocked { .. } => "blocked",
        Ending::NotRun { .. } => "not run",
    }
}

/// The one line for an ending: of a red one, the lowest cause.
pub(super) fn headline(ending: &Ending) -> String {
    match ending {
        Ending::Held { saw, .. } => plain(saw.lines().next().unwrap_or_default()),
        Ending::Broken { actual: cause, .. } | Ending::Unclear { why: cause, .. } => plain_lines(cause)
            .into_iter()
            .map(|line| line.trim().to_owned())
            .find(|line| !line.is_empty())
            .unwrap_or_else(|| "no cause was given".to_owned()),
        Ending::Blocked { by } => format!("blocked by {}", plain(by.as_str())),
        Ending::NotRun { why } => plain(why),
    }
}

/// The one line for a verdict.
pub(super) fn verdict_line(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Held { saw, .. } => plain(saw),
        Verdict::Broken { actual, .. } => plain(actual),
        Verdict::Unclear { why } => plain(why),
    }
}

/// The numbers of looks that came to the same: `look 2`, `looks 2 to 5`.
pub(super) fn numbers(look: &Look) -> String {
    if look.first == look.last {
        format!("look {}", look.first)
    } else {
        format!("looks {} to {}", look.first, look.last)
    }
}

/// What the reader of a red step needs beside its headline.
pub(super) fn particulars(step: &StepRecord) -> Vec<Particular> {
    let (claim, cause, details) = match &step.ending {
        Some(Ending::Broken { expected, actual, details }) => (expected.as_str(), actual.as_str(), details.as_slice()),
        Some(Ending::Unclear { why, details, .. }) => (step.outline.title.as_str(), why.as_str(), details.as_slice()),
        Some(Ending::Held { .. } | Ending::Blocked { .. } | Ending::NotRun { .. }) | None => return Vec::new(),
    };
    let details: Vec<String> = details.iter().flat_map(|line| plain_lines(line)).collect();
    let mut all = vec![
        Particular { label: "expected", lines: plain_lines(claim) },
        Particular { label: "also", lines: beneath_the_headline(cause) },
        Particular { label: "excerpt", lines: excerpt(step, cause, &details) },
        Particular { label: "looks", lines: looks(step) },
        Particular { label: "serves", lines: serves(step) },
        Particular { label: "evidence", lines: folder(step) },
    ];
    all.insert(2, Particular { label: "details", lines: details });
    all.retain(|particular| !particular.lines.is_empty());
    all
}

fn beneath_the_headline(cause: &str) -> Vec<String> {
    plain_lines(cause).into_iter().filter(|line| !line.trim().is_empty()).skip(1).collect()
}

/// The evidence's few lines (`where it was said: words`), without those whose words the cause or the details have.
fn excerpt(step: &StepRecord, cause: &str, details: &[String]) -> Vec<String> {
    let said: Vec<String> = plain_lines(cause).into_iter().chain(details.iter().cloned()).collect();
    let is_news = |line: &String| {
        let words = line.split_once(": ").map_or(line.as_str(), |(_, words)| words);
        !said.iter().any(|said| said.contains(words))
    };
    let kept = step.evidence.iter().flat_map(|evidence| &evidence.excerpt).flat_map(|line| plain_lines(line));
    kept.filter(is_news).collect()
}

/// The last few different things that a check saw; one alone is the headline again.
fn looks(step: &StepRecord) -> Vec<String> {
    const SHOWN: usize = 4;
    if step.looks.len() < 2 {
        return Vec::new();
    }
    let skipped = step.looks.len().saturating_sub(SHOWN);
    step.looks[skipped..].iter().map(|look| format!("{}: {}", numbers(look), verdict_line(&look.verdict))).collect()
}

/// The requirements served, on one line.
pub(super) fn serves(step: &StepRecord) -> Vec<String> {
    let ids: Vec<&str> = step.outline.requirements.iter().map(|id| id.as_str()).collect();
    if ids.is_empty() { Vec::new() } else { vec![ids.join(", ")] }
}

fn folder(step: &StepRecord) -> Vec<String> {
    step.evidence.iter().map(|evidence| plain(&evidence.folder.display().to_string())).collect()
}

/// What to say of a check that held, though not at its first look; `None` where there is nothing to say.
pub(super) fn unsteadiness(step: &StepRecord) -> Option<String> {
    let last_red = step.red_looks().last().filter(|_| step.has_held())?;
    let how = if step.wavered() { "wavered" } else { "held late" };
    Some(format!("{how}, {} looks; {}: {}", step.looks_taken, numbers(last_red), verdict_line(&last_red.verdict)))
}

/// What is worth knowing of a step although it held.
pub(super) fn warnings(step: &StepRecord) -> &[String] {
    match &step.ending {
        Some(Ending::Held { warnings, .. }) => warnings,
        Some(Ending::Broken { .. } | Ending::Unclear { .. } | Ending::Blocked { .. } | Ending::NotRun { .. })
        | None => &[],
    }
}

/// What the run came to, as a sentence.
pub(super) fn outcome_line(tally: &Tally) -> String {
    let (checks, steps) = (tally.checks, tally.steps);
    let line = match tally.outcome() {
        Outcome::Conformant => format!("Conformant: {} held{}.", all_checks(checks.held), missed(tally)),
        Outcome::Partial => {
            let left_out = count(tally.unserved, "part");
            let held = all_checks(checks.held);
            format!("Conformant in part: {held} held, and {left_out} with requirements left out{}.", missed(tally))
        }
        Outcome::Nothing => "Nothing was checked, so nothing is known.".to_owned(),
        Outcome::Broken => format!("Not conformant: {}.", trouble(steps)),
        Outcome::Environment => format!("No verdict: {}.", trouble(steps)),
        Outcome::OurBug => format!("No verdict, by a fault of seaworthy itself: {}.", trouble(steps)),
        Outcome::Interrupted => format!("{}: {}.", what_stopped(tally), progress(checks)),
    };
    if tally.rehearsed { format!("Rehearsed: nothing real was tested. {line}") } else { line }
}

/// What the checks stand on and was not there.
fn missed(tally: &Tally) -> String {
    match tally.missed {
        0 => String::new(),
        missed => format!(" (without {} beneath, left out)", count(missed, "component")),
    }
}

fn all_checks(held: usize) -> String {
    match held {
        0 => "every deploy budget".to_owned(),
        1 => "the only check".to_owned(),
        _ => format!("all {held} checks"),
    }
}

fn trouble(steps: Counts) -> String {
    let parts = [
        (steps.broken, "broken"),
        (steps.unclear, "unclear"),
        (steps.blocked, "blocked"),
        (steps.not_run(), "not run"),
    ];
    let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, how)| format!("{n} {how}")).collect();
    format!("{} of {}", said.join(", "), count(steps.planned, "step"))
}

fn what_stopped(tally: &Tally) -> String {
    match &tally.signal {
        Some(signal) => format!("Interrupted by {}", plain(signal)),
        None => "Cut short, its end is not on record".to_owned(),
    }
}

fn progress(checks: Counts) -> String {
    let Counts { planned, held, broken, unclear, blocked } = checks;
    let parts = [(broken, "broken"), (unclear, "unclear"), (blocked, "blocked"), (checks.not_run(), "not run")];
    let rest = parts.iter().filter(|(n, _)| *n > 0).fold(String::new(), |said, (n, how)| format!("{said}, {n} {how}"));
    format!("{held} of {} held{rest}", count(planned, "check"))
}
