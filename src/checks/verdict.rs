//! What a look at the platform came to.

use serde::{Deserialize, Serialize};

/// The three answers a check can end with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The claim is true.
    Held {
        /// What was seen that shows it, in one line.
        saw: String,
        /// What a reader should know although the claim holds: a pod lost after its Job succeeded.
        warnings: Vec<String>,
    },
    /// We looked, and the claim is not true.
    Broken {
        /// What the claim asks for.
        expected: String,
        /// What was there instead; the lowest cause first.
        actual: String,
        /// Whether another look can come to another answer.
        outlook: Outlook,
    },
    /// We could not look: retried inside its budget, at the end an error and never a failure of the platform.
    Unclear {
        /// What kept us from looking.
        why: String,
    },
}

/// Whether a broken claim can still become true by waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outlook {
    /// Systems converge: look again until the window closes.
    MayHeal,
    /// Waiting is pointless: a Job has failed, an image does not exist.
    Final,
}

impl Verdict {
    /// The claim is true, and this shows it.
    pub fn held(saw: impl Into<String>) -> Self {
        Self::Held { saw: saw.into(), warnings: Vec::new() }
    }

    /// The claim is not true now; it may become true.
    pub fn broken(expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Self::Broken { expected: expected.into(), actual: actual.into(), outlook: Outlook::MayHeal }
    }

    /// The claim is not true and waiting will not change that.
    pub fn doomed(expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Self::Broken { expected: expected.into(), actual: actual.into(), outlook: Outlook::Final }
    }

    /// We could not look.
    pub fn unclear(why: impl Into<String>) -> Self {
        Self::Unclear { why: why.into() }
    }
}
