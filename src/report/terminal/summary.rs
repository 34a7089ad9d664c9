//! The summary: what is red and what it blocks, what a reader should know, the suites in numbers, where the time went,
//! and at the very end, where a CI's log is opened, what the run came to.

use owo_colors::OwoColorize;

use super::super::critical_path::critical_path;
use super::super::figures::{cut, length, plain, wrap};
use super::super::record::{Record, StepRecord};
use super::super::suites::{SuitePart, path_of, suites};
use super::super::telling::{headline, outcome_line, unsteadiness, warnings, word};
use super::lines::{Layout, WIDTH};
use super::paint;
use crate::events::{Cost, Ending};
use crate::number::count;

/// In place of a word, beneath one.
const NO_WORD: &str = "        ";

/// The summary of a run that is over; the record is closed.
pub(super) fn summary(record: &Record, layout: Layout) -> Vec<String> {
    let sections = [
        red(record),
        not_run(record),
        notes(record),
        table(record),
        path(record, layout),
        cost(record),
        outcome(record),
    ];
    sections.into_iter().filter(|section| !section.is_empty()).flat_map(spaced).collect()
}

fn spaced(section: Vec<String>) -> impl Iterator<Item = String> {
    std::iter::once(String::new()).chain(section)
}

/// Every red step by its headline, with what it blocks.
fn red(record: &Record) -> Vec<String> {
    titled("Red", record.red().into_iter().flat_map(|step| red_step(record, step)).collect())
}

fn red_step(record: &Record, step: &StepRecord) -> Vec<String> {
    let Some(ending) = &step.ending else { return Vec::new() };
    let text = format!("{}: {}", plain(step.outline.id.as_str()), headline(ending));
    let word = format!("{:<8}", word(ending));
    let mut lines = hanging(&word.style(paint::ending(ending)).to_string(), &text);
    let blocked: Vec<&StepRecord> = record.blocked_by(&step.outline.id).collect();
    if !blocked.is_empty() {
        lines.extend(hanging(NO_WORD, &format!("blocks {}", names(&blocked))));
    }
    if let Some(evidence) = &step.evidence {
        lines.push(format!("  {NO_WORD}evidence in {}", plain(&evidence.folder.display().to_string())));
    }
    lines
}

/// What the run did not come to; of a step that was under way, what it was doing.
fn not_run(record: &Record) -> Vec<String> {
    let of_kind = |step: &&StepRecord| matches!(step.ending, Some(Ending::NotRun { .. }));
    let steps: Vec<&StepRecord> = record.steps.values().filter(of_kind).collect();
    if steps.is_empty() {
        return Vec::new();
    }
    let under_way = steps.iter().filter(|step| step.began_ms.is_some());
    let doing = under_way.flat_map(|step| {
        let why = step.ending.as_ref().map(headline).unwrap_or_default();
        hanging("", &format!("{}: {why}", plain(step.outline.id.as_str())))
    });
    titled("Not run", hanging("", &names(&steps)).into_iter().chain(doing).collect())
}

fn titled(title: &str, lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { lines } else { std::iter::once(paint::title(title)).chain(lines).collect() }
}

/// `12 steps, 9 checks: a, b, c and 9 more`.
fn names(steps: &[&StepRecord]) -> String {
    const NAMED: usize = 5;
    let checks = match steps.iter().filter(|step| step.is_check()).count() {
        0 => String::new(),
        checks => format!(", {}", count(checks, "check")),
    };
    let named: Vec<String> = steps.iter().take(NAMED).map(|step| plain(step.outline.id.as_str())).collect();
    let more = match steps.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{checks}: {}{more}", count(steps.len(), "step"), named.join(", "))
}

/// A word of eight columns or none, then a text that stays to the right of it.
fn hanging(word: &str, text: &str) -> Vec<String> {
    let lines = wrap(text, WIDTH - 10);
    let indent = if word.is_empty() { "    " } else { "          " };
    let rest = lines[1..].iter().map(|line| format!("{indent}{line}"));
    std::iter::once(format!("  {word}{}", lines[0])).chain(rest).collect()
}

/// What is not red and yet worth knowing.
fn notes(record: &Record) -> Vec<String> {
    let of_step = |step: &StepRecord, text: &str| format!("{}: {text}", plain(step.outline.id.as_str()));
    let late = record.steps.values().filter_map(|step| Some(of_step(step, &unsteadiness(step)?)));
    let warned =
        record.steps.values().flat_map(|step| warnings(step).iter().map(move |text| of_step(step, &plain(text))));
    let left_out = record.run.iter().flat_map(|run| &run.omissions).filter(|omission| !omission.asked);
    let skipped = left_out.map(|omission| format!("{}: {}", path_of(&omission.place), plain(&omission.reason)));
    let notes = [("looks", late.collect::<Vec<_>>()), ("warned", warned.collect()), ("skipped", skipped.collect())];
    let lines: Vec<String> = notes
        .iter()
        .flat_map(|(word, texts)| {
            texts.iter().flat_map(move |text| hanging(&paint::warning(&format!("{word:<8}")), text))
        })
        .collect();
    titled("Worth knowing", lines)
}

/// The suites in numbers.
fn table(record: &Record) -> Vec<String> {
    let parts = suites(record);
    let Some(width) = parts.keys().map(|name| name.as_str().len().max(5)).max() else { return Vec::new() };
    let head = ["ready", "checks", "held", "broken", "unclear", "blocked", "not run", "skipped"];
    let head = head.iter().fold(format!("{:<width$}", "suite"), |line, title| format!("{line}  {title:>7}"));
    let head = paint::title(&format!("{head}  deployed in"));
    std::iter::once(head).chain(parts.iter().map(|(name, part)| line_of(name.as_str(), part, width))).collect()
}

fn line_of(name: &str, part: &SuitePart<'_>, width: usize) -> String {
    let checks = part.checks();
    let ready = format!("{}/{}", part.ready(), part.components.len());
    let counts = [checks.held, checks.broken, checks.unclear, checks.blocked, checks.not_run(), part.left_out.len()];
    let cells = counts.iter().map(|n| if *n == 0 { "-".to_owned() } else { n.to_string() });
    let cells = [ready, checks.planned.to_string()].into_iter().chain(cells);
    let line = cells.fold(format!("{name:<width$}"), |line, cell| format!("{line}  {cell:>7}"));
    format!("{line}  {}", deployed(part))
}

fn deployed(part: &SuitePart<'_>) -> String {
    let took = part.deployed_ms().map_or_else(|| "-".to_owned(), length);
    match part.budget() {
        Some(budget) => format!("{took} of {}", budget.outline.budget),
        None => took,
    }
}

/// The chain of steps that made the wall time; what took less than a hundredth of it is only counted.
fn path(record: &Record, layout: Layout) -> Vec<String> {
    let path = critical_path(record);
    let small = (record.now_ms / 100).max(50);
    let mut lines = Vec::new();
    for link in &path {
        if link.idle_ms > small {
            lines.push(format!("  {:>8}  {}", length(link.idle_ms), paint::quiet("the next waited for its turn")));
        }
        if link.step.took_ms() > small {
            lines.push(path_line(link.step, layout));
        }
    }
    if lines.is_empty() {
        return lines;
    }
    let brief: Vec<u64> = path.iter().map(|link| link.step.took_ms()).filter(|took| *took <= small).collect();
    if !brief.is_empty() {
        let said = format!("{} of less than {}", count(brief.len(), "more step"), length(small.next_multiple_of(100)));
        lines.push(format!("  {:>8}  {}", length(brief.iter().sum()), paint::quiet(&said)));
    }
    std::iter::once(paint::title("Critical path")).chain(lines).collect()
}

fn path_line(step: &StepRecord, layout: Layout) -> String {
    let (took, id) = (length(step.took_ms()), plain(step.outline.id.as_str()));
    let Some(on) = &step.waits_for else { return format!("  {took:>8}  {id}") };
    let room = WIDTH.saturating_sub(12 + layout.names.max(id.chars().count()) + 2);
    let waited = cut(&format!("waited last for {}", plain(on)), room);
    format!("  {took:>8}  {id:<names$}  {}", paint::quiet(&waited), names = layout.names)
}

fn cost(record: &Record) -> Vec<String> {
    record.cost.iter().map(cost_line).collect()
}

fn cost_line(cost: &Cost) -> String {
    let tenths = cost.own_ms.saturating_mul(1_000) / cost.wall_ms.max(1);
    format!(
        "{} in all, {} of it ({}.{} %) in seaworthy itself; {} of processor time, {} MB at most",
        length(cost.wall_ms),
        length(cost.own_ms),
        tenths / 10,
        tenths % 10,
        length(cost.cpu_ms),
        cost.peak_kb.div_ceil(1_000)
    )
}

fn outcome(record: &Record) -> Vec<String> {
    let line = format!("{} Exit code {}.", outcome_line(&record.tally), record.tally.exit_code());
    vec![line.style(paint::outcome(record.tally.outcome())).to_string()]
}
