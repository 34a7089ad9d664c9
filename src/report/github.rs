//! GitHub Actions: an annotation for each red step, and the job's summary.
//!
//! Workflow commands escape `%`, CR and LF, in properties `:` and `,` too (actions/toolkit, `core/src/command.ts`). In
//! the summary every foreign text is escaped: Markdown would swallow a `<sensitive>` and obey a `|`. As long as the run
//! lasts, commands are stopped: the log line of a pod that a terminal's report quotes must not be obeyed.

use std::io;
use std::path::{Path, PathBuf};

use super::critical_path::critical_path;
use super::figures::{abridge, length, plain};
use super::out::Out;
use super::record::{Record, StepRecord};
use super::suites::{SuitePart, path_of, suites};
use super::telling::{headline, outcome_line, particulars, unsteadiness, word};
use crate::events::{Event, EventKind};
use crate::number::count;

/// GitHub refuses a summary of more than 1 MiB; so many red steps of so many lines each stay far below.
const STEPS_SHOWN: usize = 60;
const LINES_SHOWN: usize = 40;

/// Tells a run to a pull request. Belongs behind a terminal that writes to the same output.
pub struct Github {
    annotations: Out,
    summary: Out,
    folder: PathBuf,
    stopped: Option<String>,
    failed: Option<io::Error>,
}

impl Github {
    /// Annotations go to the job's standard output, the summary to the file that the runner names.
    #[must_use]
    pub fn new(annotations: Out, summary: Out) -> Self {
        Self { annotations, summary, folder: PathBuf::new(), stopped: None, failed: None }
    }

    /// Where the program runs, as seen from the repository: annotations name files from there.
    #[must_use]
    pub fn running_in(self, folder: PathBuf) -> Self {
        Self { folder, ..self }
    }

    pub(super) fn take(&mut self, event: &Event) {
        if let EventKind::RunStarted(run) = &event.kind {
            let word = format!("seaworthy-{}", property(&plain(&run.run)));
            self.failed = self.annotate(&format!("::stop-commands::{word}\n")).err();
            self.stopped = Some(word);
        }
    }

    pub(super) fn close(mut self, record: &Record) -> io::Result<()> {
        let again = self.stopped.take().map_or_else(String::new, |word| format!("::{word}::\n"));
        self.annotate(&(again + &annotations(record, &self.folder)))?;
        self.summary.write_all(summary(record).as_bytes())?;
        self.summary.flush()?;
        self.failed.map_or(Ok(()), Err)
    }

    fn annotate(&mut self, text: &str) -> io::Result<()> {
        self.annotations.write_all(text.as_bytes())?;
        self.annotations.flush()
    }
}

/// One for each red step; of a run that is not green for another reason (interrupted, nothing checked), that reason.
fn annotations(record: &Record, folder: &Path) -> String {
    let red = record.red();
    if red.is_empty() && record.tally.exit_code() != 0 {
        return format!("::error title=seaworthy::{}\n", data(&outcome_line(&record.tally)));
    }
    red.into_iter().map(|step| annotation(step, folder)).collect()
}

fn annotation(step: &StepRecord, folder: &Path) -> String {
    let Some(ending) = &step.ending else { return String::new() };
    let title = format!("{}: {}", word(ending), plain(step.outline.id.as_str()));
    let first = std::iter::once(headline(ending));
    let rest = particulars(step).into_iter().flat_map(|particular| {
        let lines = abridge(&particular.lines, LINES_SHOWN);
        lines.into_iter().map(move |line| format!("{}: {line}", particular.label))
    });
    let message: Vec<String> = first.chain(rest).collect();
    let place = step.outline.written.as_ref().map_or_else(String::new, |written| {
        let file = plain(&folder.join(&written.file).display().to_string());
        format!("file={},line={},", property(&file), written.line)
    });
    format!("::error {place}title={}::{}\n", property(&title), data(&message.join("\n")))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn summary(record: &Record) -> String {
    let line = format!("{} Exit code {}.", outcome_line(&record.tally), record.tally.exit_code());
    let parts = [
        format!("## Seaworthy: {}\n", markdown(&line)),
        about(record),
        table(record),
        red(record),
        notes(record),
        path(record),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn about(record: &Record) -> String {
    let Some(run) = &record.run else { return String::new() };
    let took = length(record.now_ms);
    let said = format!(
        "seaworthy {}, run {}, environment {}, cluster {}",
        run.seaworthy, run.run, run.environment, run.cluster
    );
    format!("{}, {took}\n", markdown(&plain(&said)))
}

fn table(record: &Record) -> String {
    let parts = suites(record);
    if parts.is_empty() {
        return String::new();
    }
    let head = "| suite | ready | checks | held | broken | unclear | blocked | not run | skipped | deployed in |\n\
                |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    parts.iter().fold(head.to_owned(), |text, (name, part)| text + &row(name.as_str(), part))
}

fn row(name: &str, part: &SuitePart<'_>) -> String {
    let checks = part.checks();
    let budget = part.budget().map_or_else(String::new, |step| format!(" of {}", step.outline.budget));
    let deployed = part.deployed_ms().map_or_else(|| "-".to_owned(), length);
    let (ready, components) = (part.ready(), part.components.len());
    let counts = [
        checks.planned,
        checks.held,
        checks.broken,
        checks.unclear,
        checks.blocked,
        checks.not_run(),
        part.left_out.len(),
    ];
    let cells: String = counts.iter().map(|n| format!(" {n} |")).collect();
    format!("| {} | {ready} of {components} |{cells} {deployed}{budget} |\n", markdown(name))
}

fn red(record: &Record) -> String {
    let red = record.red();
    let shown: String = red.iter().take(STEPS_SHOWN).map(|step| folded(record, step)).collect();
    match red.len().saturating_sub(STEPS_SHOWN) {
        0 => shown,
        hidden => format!("{shown}\n… and {} in the other reports.\n", count(hidden, "more red step")),
    }
}

/// One red step: its headline in sight, its particulars behind it.
fn folded(record: &Record, step: &StepRecord) -> String {
    let Some(ending) = &step.ending else { return String::new() };
    let blocked = record.blocked_by(&step.outline.id).count();
    let blocks = if blocked == 0 { String::new() } else { format!(", blocks {}", count(blocked, "step")) };
    let details: String = particulars(step)
        .iter()
        .map(|particular| format!("{}\n  {}\n", particular.label, abridge(&particular.lines, LINES_SHOWN).join("\n  ")))
        .collect();
    format!(
        "<details><summary><b>{}</b> <code>{}</code>: {}{blocks}</summary>\n\n<pre>\n{}</pre>\n\n</details>\n",
        word(ending),
        html(&plain(step.outline.id.as_str())),
        html(&headline(ending)),
        html(&details),
    )
}

fn notes(record: &Record) -> String {
    let late = record.steps.values().filter_map(|step| Some((step.outline.id.to_string(), unsteadiness(step)?)));
    let left_out = record.run.iter().flat_map(|run| &run.omissions).filter(|omission| !omission.asked);
    let left_out = left_out.map(|omission| (path_of(&omission.place), format!("skipped, {}", omission.reason)));
    late.chain(left_out)
        .map(|(place, note)| format!("- {}: {}\n", markdown(&plain(&place)), markdown(&plain(&note))))
        .collect()
}

fn path(record: &Record) -> String {
    let steps: String = critical_path(record)
        .iter()
        .filter(|link| link.step.took_ms() > record.now_ms / 100)
        .map(|link| {
            let waited = link.step.waits_for.as_deref().map_or_else(String::new, plain);
            let id = plain(link.step.outline.id.as_str());
            format!("| {} | {} | {} |\n", length(link.step.took_ms()), markdown(&id), markdown(&waited))
        })
        .collect();
    if steps.is_empty() {
        return steps;
    }
    format!(
        "<details><summary>Critical path</summary>\n\n| took | step | waited last for |\n|--:|---|---|\n{steps}\n</details>\n"
    )
}

/// Text as Markdown that shows it as it is, in a paragraph or a table's cell.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// Text within HTML elements.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Ending, RunStarted, StepOutline};
    use crate::plan::{StepId, Written};

    #[test]
    fn workflow_commands_are_escaped() {
        assert_eq!(data("100%\r\n::error::"), "100%25%0D%0A::error::");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
    }

    #[test]
    fn a_red_check_is_annotated_on_the_line_that_claims_it() {
        let id = StepId::cluster();
        let written = Written { file: "suites/data-plane.yaml".into(), line: 12 };
        let (kind, title, budget) = ("check".to_owned(), "it answers".to_owned(), crate::span::Span::secs(1));
        let (place, needs, requirements) = (None, Vec::new(), Vec::new());
        let outline =
            StepOutline { id: id.clone(), kind, title, place, needs, budget, requirements, written: Some(written) };
        let ending = Ending::Broken { expected: String::new(), actual: "it is silent".to_owned(), details: Vec::new() };
        let mut record = Record::default();
        let ended = EventKind::StepEnded { step: id, ending, took_ms: 0, looks: 1, evidence: None };
        for kind in [EventKind::RunStarted(RunStarted::of(vec![outline])), ended] {
            record.take(&Event { seq: 0, at_ms: 0, kind });
        }
        let said = annotations(&record, Path::new("platform"));
        let place = "::error file=platform/suites/data-plane.yaml,line=12,title=broken%3A cluster::";
        assert_eq!(said, format!("{place}it is silent\n"));
    }

    #[test]
    fn foreign_text_stays_text_in_markdown() {
        assert_eq!(markdown("<sensitive> | `a` *b*"), "&lt;sensitive&gt; \\| \\`a\\` \\*b\\*");
    }
}
