//! What did happen: past-tense facts, plain, owned, numbered and timed.
//!
//! - Purpose: the only thing a reporter knows. A transcript is this stream, one JSON object a line.
//! - Never: a channel, a handle, a hint how to draw it.
//! - Why self-contained: [`RunStarted`] carries the outline of the plan, so a recorded run renders without its suites.

mod tally;

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checks::Verdict;
use crate::plan::{Omission, Place, Plan, Step, StepId, Written};
use crate::span::Span;
use crate::suite::RequirementId;

pub use self::tally::{Counts, Outcome, Tally};

/// Version of the transcript's format that this program writes and reads.
pub const FORMAT: u32 = 1;

/// The kind of cluster in which nothing is real.
pub const REHEARSAL: &str = "rehearsal";

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number in the run, from 0, without gaps.
    pub seq: u64,
    /// When, in milliseconds since the run started.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum EventKind {
    /// The run began, and this is all that it will do.
    RunStarted(RunStarted),
    /// A step began.
    StepStarted {
        /// Which.
        step: StepId,
    },
    /// A step that lasts said what it waits for.
    StepWaited {
        /// Which.
        step: StepId,
        /// For what.
        on: String,
    },
    /// One look of a check ended.
    LookEnded {
        /// Which check.
        step: StepId,
        /// Which look, from 1.
        look: u32,
        /// What it came to.
        verdict: Verdict,
    },
    /// A step ended.
    StepEnded {
        /// Which.
        step: StepId,
        /// How.
        ending: Ending,
        /// From its start to its end; zero for one that never started.
        took_ms: u64,
        /// Looks taken; zero for a step that is no check.
        looks: u32,
        /// What was kept of it, if it ended red.
        evidence: Option<Evidence>,
    },
    /// The user or the machine asked the run to stop: nothing more is started.
    RunInterrupted {
        /// The signal's name.
        signal: String,
    },
    /// The run ended; every step has ended before.
    RunEnded {
        /// What it cost.
        cost: Cost,
    },
}

/// What a run will do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Version of the transcript's format.
    pub format: u32,
    /// This program's version.
    pub seaworthy: String,
    /// A random name for this run; on everything it creates.
    pub run: String,
    /// Wall-clock start.
    pub started: Timestamp,
    /// The environment in force.
    pub environment: String,
    /// The kind of cluster: `kind`, `k3d`, `context`, `in-cluster`, or [`REHEARSAL`].
    pub cluster: String,
    /// Whether something is signed off by this run: what the environment leaves out then costs the green.
    #[serde(default)]
    pub sign_off: bool,
    /// Every step, in the order of the plan.
    pub steps: Vec<StepOutline>,
    /// Everything that was left out.
    pub omissions: Vec<Omission>,
}

impl RunStarted {
    /// Whether nothing of it is real; whoever tells of the run must say so.
    #[must_use]
    pub fn is_rehearsal(&self) -> bool {
        self.cluster == REHEARSAL
    }
}

#[cfg(test)]
impl RunStarted {
    /// A run of these steps.
    pub(crate) fn of(steps: Vec<StepOutline>) -> Self {
        Self {
            format: FORMAT,
            seaworthy: "0".to_owned(),
            run: "r".to_owned(),
            started: Timestamp::UNIX_EPOCH,
            environment: "local".to_owned(),
            cluster: "kind".to_owned(),
            sign_off: false,
            steps,
            omissions: Vec::new(),
        }
    }
}

/// One step as reporters need it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepOutline {
    /// Its name.
    pub id: StepId,
    /// What kind of step, as one word: `cluster`, `render`, `preload`, `install`, `settle`, `budget`, `check`, `teardown`.
    pub kind: String,
    /// The claim or the deed as a sentence.
    pub title: String,
    /// Where it belongs.
    pub place: Option<Place>,
    /// Steps that it stood on.
    pub needs: Vec<StepId>,
    /// Its budget.
    pub budget: Span,
    /// Requirements served.
    pub requirements: Vec<RequirementId>,
    /// Where the author wrote what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
}

impl StepOutline {
    /// A step of this plan.
    #[must_use]
    pub fn of(step: &Step, plan: &Plan) -> Self {
        Self {
            id: step.id.clone(),
            kind: step.kind().to_owned(),
            title: step.title(),
            place: step.place.clone(),
            needs: step.needs.iter().cloned().collect(),
            budget: step.budget,
            requirements: step.requirements().to_vec(),
            written: plan.written.get(&step.id).cloned(),
        }
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "as")]
pub enum Ending {
    /// It did what it was to do; the claim holds.
    Held {
        /// What shows it.
        saw: String,
        /// What a reader should know all the same.
        warnings: Vec<String>,
    },
    /// The platform is not as claimed.
    Broken {
        /// What was claimed.
        expected: String,
        /// What was there, the lowest cause first.
        actual: String,
        /// What else is known, a line each.
        details: Vec<String>,
    },
    /// No judgement could be made.
    Unclear {
        /// Who must act; never the platform.
        fault: Fault,
        /// What stood in the way.
        why: String,
        /// What else is known, a line each.
        details: Vec<String>,
    },
    /// Something it stands on is red.
    Blocked {
        /// The lowest such step.
        by: StepId,
    },
    /// The run ended before it could start or end.
    NotRun {
        /// Why.
        why: String,
    },
}

/// What a run cost the machine it ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Wall time.
    pub wall_ms: u64,
    /// Wall time during which nothing outside this program was being waited for.
    pub own_ms: u64,
    /// Processor time of this program without its children.
    pub cpu_ms: u64,
    /// Largest resident memory, in kilobytes.
    pub peak_kb: u64,
}

/// Who must act on a trouble; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The platform: a claim is broken.
    Platform,
    /// Cluster, chart, transport, tools.
    Environment,
    /// This program.
    Ourselves,
}

/// What was kept of a red step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The folder.
    pub folder: PathBuf,
    /// The few lines worth having in a report.
    pub excerpt: Vec<String>,
}
