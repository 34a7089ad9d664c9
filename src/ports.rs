//! What the engine needs of the world. One page; the composition root is the only real implementor, tests bring a fake.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::checks::Verdict;
use crate::events::{Ending, Evidence, Fault};
use crate::plan::{CheckWork, Step, StepId};

/// The world as a run meets it.
pub trait World: Send + Sync + 'static {
    /// Does the work of one step that is not a check. Dropped at the step's deadline: whatever it last noted is
    /// then reported, so anything that waits notes what it waits for.
    fn perform(&self, step: &Step, notes: &Notes) -> impl Future<Output = Result<Done, Trouble>> + Send;

    /// One look of a check. Dropped at its deadline: whatever verdict it last noted is then final.
    fn observe(&self, check: &CheckWork, notes: &Notes) -> impl Future<Output = Verdict> + Send;

    /// Keeps what shows why a step ended red, and says where.
    fn keep_evidence(
        &self,
        step: &Step,
        ending: &Ending,
        notes: &Notes,
    ) -> impl Future<Output = Option<Evidence>> + Send;
}

/// A step that did what it was to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What came of it, in one line: `installed redis, revision 1`, `unchanged`. Below it, a line each, what is there to
    /// be copied.
    pub saw: String,
    /// What a reader should know although it went well.
    pub warnings: Vec<String>,
}

impl Done {
    /// Done, and this came of it.
    pub fn saying(saw: impl Into<String>) -> Self {
        Self { saw: saw.into(), warnings: Vec::new() }
    }
}

/// A step that could not do what it was to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Who must act.
    pub fault: Fault,
    /// The lowest cause, in one line.
    pub headline: String,
    /// What else is known, a line each: the tool's own words, last log lines.
    pub details: Vec<String>,
}

impl Trouble {
    /// Something between this program and a judgement of the platform: a tool, a chart, the network.
    pub fn environment(headline: impl Into<String>) -> Self {
        Self { fault: Fault::Environment, headline: headline.into(), details: Vec::new() }
    }

    /// The platform is not as its suite claims.
    pub fn platform(headline: impl Into<String>) -> Self {
        Self { fault: Fault::Platform, headline: headline.into(), details: Vec::new() }
    }

    /// The same trouble with more known of it.
    #[must_use]
    pub fn with(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }
}

/// How a step that is under way speaks: to the reader of a live run, and for its own obituary.
#[derive(Clone, Debug)]
pub struct Notes {
    step: StepId,
    kept: Arc<Mutex<Kept>>,
    out: mpsc::UnboundedSender<(StepId, String)>,
}

/// The latest word of a step.
#[derive(Clone, Debug, Default)]
pub struct Last {
    /// What it was waiting for.
    pub note: Option<String>,
    /// How a check stood.
    pub verdict: Option<Verdict>,
}

#[derive(Debug, Default)]
struct Kept {
    last: Last,
    /// What was sent on last; it outlives the look that said it.
    sent: Option<String>,
}

impl Notes {
    /// Notes of one step; what changes is sent on.
    #[must_use]
    pub fn new(step: StepId, out: mpsc::UnboundedSender<(StepId, String)>) -> Self {
        Self { step, kept: Arc::default(), out }
    }

    /// Says what is being waited for now. Saying the same again costs nothing.
    pub fn waiting(&self, on: impl Into<String>) {
        let on = on.into();
        let mut kept = self.kept();
        kept.last.note = Some(on.clone());
        if kept.sent.as_deref() != Some(on.as_str()) {
            kept.sent = Some(on.clone());
            // A run that is ending no longer listens; the note is kept all the same.
            self.out.send((self.step.clone(), on)).ok();
        }
    }

    /// Says how the check stands now, should its time run out.
    pub fn stands(&self, verdict: Verdict) {
        if let Verdict::Broken { actual, .. } = &verdict {
            self.waiting(actual.clone());
        }
        self.kept().last.verdict = Some(verdict);
    }

    /// What was noted, which from now on is no longer the last word: a look is over, or has come further.
    pub fn look_afresh(&self) -> Last {
        std::mem::take(&mut self.kept().last)
    }

    /// The latest word.
    #[must_use]
    pub fn last(&self) -> Last {
        self.kept().last.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
