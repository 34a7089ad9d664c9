//! Operators: running, their kinds served, and their webhook answering for real.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Claim, Verdict};

/// A claim about one operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Its Deployments, by name, in the component's namespace; each must be ready.
    pub deployments: Vec<String>,
    /// Its CustomResourceDefinitions, `plural.group`; each must be served.
    #[serde(default)]
    pub crds: Vec<String>,
    /// A file with an object that its admission must accept when created with a server-side dry run.
    #[serde(default)]
    pub accepts: Option<PathBuf>,
    /// A file with an object that its admission must deny.
    #[serde(default)]
    pub denies: Option<PathBuf>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorAnswer;

impl Claim for Operator {
    type Answer = OperatorAnswer;

    fn judge(&self, _: &OperatorAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
