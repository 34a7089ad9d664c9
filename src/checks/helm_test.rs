//! A release's own test hooks, run as jobs that can be followed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Claim, Verdict};

/// A claim that every test hook (`helm.sh/hook: test`) of a release passes. A release without one breaks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HelmTest {
    /// The release; the component's own where it is left out.
    #[serde(default)]
    pub release: Option<String>,
    /// Names of the hooks to run; all of them where this is empty. A name that matches none breaks the claim.
    #[serde(default)]
    pub only: Vec<String>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelmTestAnswer;

impl Claim for HelmTest {
    type Answer = HelmTestAnswer;

    fn judge(&self, _: &HelmTestAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
