//! A command inside a pod.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Claim, Text, Verdict};

/// A claim about how a command ends inside a running container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// Labels that select the pod; the first running one by name is taken.
    pub pod: BTreeMap<String, String>,
    /// Container; the pod's only one, or its `kubectl.kubernetes.io/default-container`, where it is left out.
    #[serde(default)]
    pub container: Option<String>,
    /// Program and arguments; there is no shell unless one is named.
    pub command: Vec<String>,
    /// Exit code that is claimed.
    #[serde(default)]
    pub exit: i32,
    /// What it must print to standard output.
    #[serde(default)]
    pub prints: Option<Text>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecAnswer;

impl Claim for Exec {
    type Answer = ExecAnswer;

    fn judge(&self, _: &ExecAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
