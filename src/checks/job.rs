//! Jobs: created, launched in time, run to success.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Claim, Text, Verdict};
use crate::span::Span;

/// A claim that a Job made for this check runs to success.
///
/// The Job is created under a name of its own, its logs are streamed, and it is removed afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// A file with one `batch/v1` Job; its name is used as a prefix.
    pub manifest: PathBuf,
    /// Longest time from creation to its first container running.
    #[serde(default = "launch")]
    pub launch: Span,
    /// What its log must look like.
    #[serde(default)]
    pub log: Option<Text>,
}

/// Requirement F-5: a Job is launched in under 30 s.
const fn launch() -> Span {
    Span::secs(30)
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobAnswer;

impl Claim for Job {
    type Answer = JobAnswer;

    fn judge(&self, _: &JobAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
