//! CustomResourceDefinitions: accepted, established, and really served.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Absence, Claim, Verdict};

/// A claim about one CustomResourceDefinition, or a set of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crd {
    /// `metadata.name` of each: `plural.group`.
    pub names: Vec<String>,
    /// Versions that each must serve; any served version will do where this is empty.
    #[serde(default)]
    pub versions: Vec<String>,
    /// There, or gone.
    #[serde(default)]
    pub expect: Absence,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrdAnswer;

impl Claim for Crd {
    type Answer = CrdAnswer;

    fn judge(&self, _: &CrdAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
