//! The reporters of one run, fed together.

use std::io;

use super::github::Github;
use super::junit::Junit;
use super::record::Record;
use super::terminal::Terminal;
use super::transcript::Transcript;
use crate::events::{Event, Tally};

/// A report that could not be written. The run goes on all the same, and this is said at its end.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the {report}")]
pub struct ReportError {
    /// Which one.
    pub report: &'static str,
    #[source]
    source: io::Error,
}

/// One way to tell a run.
pub enum Reporter {
    /// To the person who watches.
    Terminal(Terminal),
    /// To a CI's test tab.
    Junit(Junit),
    /// To whoever wants to tell it again.
    Transcript(Transcript),
    /// To a pull request.
    Github(Github),
}

impl Reporter {
    fn take(&mut self, event: &Event, record: &Record) {
        match self {
            Self::Terminal(terminal) => terminal.take(event, record),
            Self::Transcript(transcript) => transcript.take(event),
            Self::Github(github) => github.take(event),
            Self::Junit(_) => {}
        }
    }

    fn close(self, record: &Record) -> Result<(), ReportError> {
        let (report, closed) = match self {
            Self::Terminal(terminal) => ("terminal's lines", terminal.close(record)),
            Self::Junit(junit) => ("JUnit file", junit.close(record)),
            Self::Transcript(transcript) => ("transcript", transcript.close()),
            Self::Github(github) => ("GitHub summary", github.close(record)),
        };
        closed.map_err(|source| ReportError { report, source })
    }
}

/// All reporters of a run, and the record that they share.
pub struct Reports {
    record: Record,
    reporters: Vec<Reporter>,
}

impl Reports {
    /// These reporters, before the first event.
    #[must_use]
    pub fn new(reporters: Vec<Reporter>) -> Self {
        Self { record: Record::default(), reporters }
    }

    /// Tells one event.
    pub fn take(&mut self, event: &Event) {
        self.record.take(event);
        for reporter in &mut self.reporters {
            reporter.take(event, &self.record);
        }
    }

    /// What the run came to so far; after its last event, for good.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.record.tally
    }

    /// Writes what is written at the end. To be called however the run ended: what no event has ended is then
    /// reported as not run. Returns every report that could not be written whole.
    pub fn close(mut self) -> Vec<ReportError> {
        self.record.close();
        self.reporters.into_iter().filter_map(|reporter| reporter.close(&self.record).err()).collect()
    }
}
