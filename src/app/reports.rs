//! Opening the reports of a run, and keeping secrets out of them.

use std::fs::File;
use std::io::{IsTerminal as _, Seek as _, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::output;
use crate::cli::{Cli, SuiteArgs};
use crate::events::Event;
use crate::report::{self, Dialect, Github, Junit, Out, Reporter, Reports, Terminal, Transcript, Voice};
use crate::secrets::Secrets;

/// What a report takes at least, in bytes.
const ROOM: usize = 1 << 20;

/// Removes the reports of an earlier run: a run that does not come to its own must not leave another one's green.
pub(super) fn remove_former<'a>(reports: impl IntoIterator<Item = &'a std::path::PathBuf>) {
    for path in reports.into_iter().filter(|path| path.is_file()) {
        // What cannot be removed cannot be written either, and that is said.
        std::fs::remove_file(path).ok();
    }
}

/// Every report that the command line and the surroundings ask for.
///
/// # Errors
/// Where a file cannot be opened; better now than after half an hour.
pub(super) fn open(cli: &Cli, arguments: &SuiteArgs) -> Result<Reports, String> {
    let mut reporters = vec![Reporter::Terminal(terminal(cli))];
    if let Some(path) = &arguments.transcript {
        reporters.push(Reporter::Transcript(Transcript::new(create(path, "")?)));
    }
    reporters.extend(junit(arguments.junit.as_deref(), arguments.junit_strict)?);
    reporters.extend(github()?);
    Ok(Reports::new(reporters))
}

/// The run as lines on standard output, with what is under way below them where somebody watches.
pub(super) fn terminal(cli: &Cli) -> Terminal {
    let voice = voice(cli);
    let out: Out = Box::new(report::coloured(std::io::stdout(), output::colour(cli.color)));
    let watched = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    if watched { Terminal::live(out, voice) } else { Terminal::plain(out, voice) }
}

/// How much the command line wants to be told.
pub(super) const fn voice(cli: &Cli) -> Voice {
    match (cli.quiet, cli.verbose) {
        (true, _) => Voice::Quiet,
        (false, 0) => Voice::Normal,
        (false, _) => Voice::Verbose,
    }
}

/// The JUnit report, where one is asked for.
pub(super) fn junit(path: Option<&Path>, strict: bool) -> Result<Option<Reporter>, String> {
    let dialect = if strict { Dialect::Strict } else { Dialect::Rich };
    path.map(|path| Ok(Reporter::Junit(Junit::new(create_junit(path)?, dialect)))).transpose()
}

/// Annotations and a summary, where GitHub's runner is listening.
fn github() -> Result<Option<Reporter>, String> {
    if std::env::var_os("GITHUB_ACTIONS").is_none_or(|value| value != "true") {
        return Ok(None);
    }
    let summary = std::env::var_os("GITHUB_STEP_SUMMARY").map(|path| append(Path::new(&path))).transpose()?;
    let summary = summary.unwrap_or_else(|| Box::new(std::io::sink()));
    let github = Github::new(Box::new(std::io::stdout()), summary).running_in(folder_in_repository());
    Ok(Some(Reporter::Github(github)))
}

/// Where this program runs, as seen from the repository that GitHub's runner checked out; empty where that is unknown.
fn folder_in_repository() -> PathBuf {
    let inside = || {
        let repository = std::env::var_os("GITHUB_WORKSPACE")?;
        std::env::current_dir().ok()?.strip_prefix(repository).ok().map(Path::to_owned)
    };
    inside().unwrap_or_default()
}

/// Opens a JUnit file, which is written when all is over.
///
/// # Errors
/// Where it cannot be written.
pub(super) fn create_junit(path: &Path) -> Result<Out, String> {
    create(path, &report::unended().map_err(|error| error.to_string())?)
}

/// Opens a report that says `meanwhile` until it is written.
fn create(path: &Path, meanwhile: &str) -> Result<Out, String> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    }
    opened(path, File::create(path).and_then(|file| Awaited::of(file, meanwhile)))
}

/// A report that something else stands in for until it is written.
struct Awaited {
    file: File,
    stand_in: bool,
}

impl Awaited {
    /// A file that there is room for: a full disk is worth knowing before the run, too.
    fn of(mut file: File, meanwhile: &str) -> std::io::Result<Self> {
        let stand_in = file.metadata()?.is_file();
        if stand_in {
            file.write_all(&vec![b' '; ROOM])?;
            emptied(&mut file)?;
            file.write_all(meanwhile.as_bytes())?;
        }
        Ok(Self { file, stand_in })
    }
}

impl Write for Awaited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if std::mem::take(&mut self.stand_in) {
            emptied(&mut self.file)?;
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn emptied(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()
}

fn append(path: &Path) -> Result<Out, String> {
    opened(path, File::options().append(true).create(true).open(path))
}

fn opened(path: &Path, file: std::io::Result<impl Write + Send + 'static>) -> Result<Out, String> {
    file.map(|file| Box::new(file) as Out).map_err(|error| cannot(path, &error))
}

fn cannot(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

/// What names things in an event rather than telling of them. A secret that is an everyday word is in the names of steps as
/// well, and a step that ends under another name than it began would be lost.
const NAMES: [&str; 13] = [
    "event",
    "step",
    "by",
    "as",
    "id",
    "kind",
    "place",
    "needs",
    "requirements",
    "fault",
    "run",
    "cluster",
    "environment",
];

/// The event with every secret value known by now masked, wherever in it a text may carry one; its names stay.
pub(super) fn masked(event: &Event, secrets: &Secrets) -> Event {
    let masked = serde_json::to_value(event).map(|value| mask(value, secrets)).and_then(serde_json::from_value);
    masked.unwrap_or_else(|_| event.clone())
}

fn mask(value: Value, secrets: &Secrets) -> Value {
    match value {
        Value::String(text) => Value::String(secrets.mask(&text)),
        Value::Array(items) => items.into_iter().map(|item| mask(item, secrets)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| {
                let value = if NAMES.contains(&key.as_str()) { value } else { mask(value, secrets) };
                (key, value)
            })
            .collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Ending, EventKind};
    use crate::plan::StepId;

    #[test]
    fn a_junit_file_says_that_nothing_came_to_an_end_until_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("of/this/run.xml");
        let mut out = create_junit(&path).unwrap();
        let says = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert!(
            says(&path).contains("has not come to its end") && says(&path).contains("errors=\"1\""),
            "{}",
            says(&path)
        );
        out.write_all(b"<testsuites/>").unwrap();
        out.write_all(b"\n").unwrap();
        assert_eq!(says(&path), "<testsuites/>\n");
    }

    #[test]
    fn no_text_of_an_event_keeps_a_secret() {
        let secrets = Secrets::default();
        secrets.learn("hunter2hunter2");
        let says = || "login with hunter2hunter2 failed".to_owned();
        let ending = Ending::Broken { expected: says(), actual: says(), details: vec![says()] };
        let kind = EventKind::StepEnded { step: StepId::cluster(), ending, took_ms: 1, looks: 1, evidence: None };
        let masked = masked(&Event { seq: 0, at_ms: 0, kind }, &secrets);
        assert!(!format!("{masked:?}").contains("hunter2"), "{masked:?}");
        assert_eq!(masked.seq, 0);
    }

    #[test]
    fn a_secret_that_is_an_everyday_word_does_not_rename_a_step() {
        let secrets = Secrets::default();
        secrets.learn("cluster");
        let ending = Ending::Blocked { by: StepId::cluster() };
        let kind = EventKind::StepEnded { step: StepId::cluster(), ending, took_ms: 1, looks: 1, evidence: None };
        let event = Event { seq: 0, at_ms: 0, kind };
        assert_eq!(masked(&event, &secrets), event);
        let waits = |on: &str| Event {
            seq: 1,
            at_ms: 1,
            kind: EventKind::StepWaited { step: StepId::cluster(), on: on.to_owned() },
        };
        assert_eq!(masked(&waits("for the cluster"), &secrets), waits("for the <sensitive>"));
    }
}
