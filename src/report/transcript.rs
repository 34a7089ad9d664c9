//! The transcript: one event a line, written as it happens, and read again.
//!
//! Each line is handed on whole and flushed, so a run that was killed has still been told up to its last event.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};

use super::out::Out;
use crate::events::{Event, EventKind, FORMAT};
use crate::plan::StepId;

/// Writes a transcript.
pub struct Transcript {
    out: Out,
    failed: Option<io::Error>,
}

impl Transcript {
    /// A transcript that goes to `out`; what buffers must pass a flush on.
    #[must_use]
    pub fn new(out: Out) -> Self {
        Self { out, failed: None }
    }

    /// After the first failure nothing more is written: a transcript with a hole would tell another run.
    pub(super) fn take(&mut self, event: &Event) {
        if self.failed.is_none() {
            self.failed = self.write(event).err();
        }
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }

    pub(super) fn close(self) -> io::Result<()> {
        self.failed.map_or(Ok(()), Err)
    }
}

/// A transcript that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Its events.
    pub events: Vec<Event>,
    /// What a reader should know: the last line is cut off.
    pub warning: Option<String>,
}

/// A transcript that cannot be read. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// The source failed.
    #[error("cannot read the transcript after line {after}")]
    Read {
        /// The last line that could be read.
        after: usize,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no event in it.
    #[error("the transcript is empty")]
    Empty,
    /// It is of another version, or no transcript at all.
    #[error("line 1: the transcript has format {found}, and this program reads format {FORMAT}")]
    Format {
        /// What it says.
        found: String,
    },
    /// A line is no event.
    #[error("line {line} of the transcript is not an event")]
    Line {
        /// Which.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Lines are missing, doubled or in disorder.
    #[error("line {line} of the transcript is event {found}, where event {expected} belongs")]
    Order {
        /// Which line.
        line: usize,
        /// Its number.
        found: u64,
        /// The number after the one before.
        expected: u64,
    },
    /// It does not begin with the start of a run, or begins twice.
    #[error("line {line} of the transcript: a run starts on line 1 and nowhere else")]
    Start {
        /// Which line.
        line: usize,
    },
    /// An event is about a step that the run's plan does not have.
    #[error("line {line} of the transcript speaks of step `{step}`, which the run's plan does not have")]
    Step {
        /// Which line.
        line: usize,
        /// Which step.
        step: StepId,
    },
}

/// Reads a transcript whole. A last line without its line end is left out with a warning: that is how a killed run
/// ends.
///
/// # Errors
/// Anything else that is not as [`Transcript`] writes it.
pub fn read(mut source: impl BufRead) -> Result<Reading, TranscriptError> {
    let mut reader = Reader::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let after = reader.events.len();
        let length = source.read_until(b'\n', &mut line).map_err(|source| TranscriptError::Read { after, source })?;
        match (length, line.last()) {
            (0, _) => return reader.finish(None),
            (_, Some(b'\n')) => reader.take(&line)?,
            (_, _) => {
                let number = after + 1;
                return reader
                    .finish(Some(format!("line {number} is cut off; what follows line {after} is not known")));
            }
        }
    }
}

#[derive(Default)]
struct Reader {
    events: Vec<Event>,
    steps: BTreeSet<StepId>,
}

impl Reader {
    fn take(&mut self, text: &[u8]) -> Result<(), TranscriptError> {
        let line = self.events.len() + 1;
        if line == 1 {
            known_format(text)?;
        }
        let event: Event = serde_json::from_slice(text).map_err(|source| TranscriptError::Line { line, source })?;
        let expected = self.events.len() as u64;
        if event.seq != expected {
            return Err(TranscriptError::Order { line, found: event.seq, expected });
        }
        self.check(line, &event.kind)?;
        self.events.push(event);
        Ok(())
    }

    fn check(&mut self, line: usize, kind: &EventKind) -> Result<(), TranscriptError> {
        if (line == 1) != matches!(kind, EventKind::RunStarted(_)) {
            return Err(TranscriptError::Start { line });
        }
        if let EventKind::RunStarted(run) = kind {
            self.steps = run.steps.iter().map(|step| step.id.clone()).collect();
        }
        match step_of(kind) {
            Some(step) if !self.steps.contains(step) => Err(TranscriptError::Step { line, step: step.clone() }),
            Some(_) | None => Ok(()),
        }
    }

    fn finish(self, warning: Option<String>) -> Result<Reading, TranscriptError> {
        if self.events.is_empty() {
            return Err(TranscriptError::Empty);
        }
        Ok(Reading { events: self.events, warning })
    }
}

const fn step_of(kind: &EventKind) -> Option<&StepId> {
    match kind {
        EventKind::StepStarted { step }
        | EventKind::StepWaited { step, .. }
        | EventKind::LookEnded { step, .. }
        | EventKind::StepEnded { step, .. } => Some(step),
        EventKind::RunStarted(_) | EventKind::RunInterrupted { .. } | EventKind::RunEnded { .. } => None,
    }
}

/// Asked before anything else is read, since another version's events may not even parse.
fn known_format(text: &[u8]) -> Result<(), TranscriptError> {
    let value: serde_json::Value =
        serde_json::from_slice(text).map_err(|source| TranscriptError::Line { line: 1, source })?;
    match value.get("format") {
        Some(format) if *format == FORMAT => Ok(()),
        Some(format) => Err(TranscriptError::Format { found: format.to_string() }),
        None => Err(TranscriptError::Start { line: 1 }),
    }
}
