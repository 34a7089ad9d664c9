//! Namespaces: Active, labelled, limited, and ready to have pods.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Absence, Claim, Verdict};

/// A claim about one namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// `metadata.name`; the component's namespace where it is left out.
    #[serde(default)]
    pub name: Option<String>,
    /// Labels that must be there with exactly these values.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Hard limits that a ResourceQuota in it must have, as the API writes them (`pods: "50"`, `limits.memory: 8Gi`).
    #[serde(default)]
    pub quota: BTreeMap<String, String>,
    /// There, or gone.
    #[serde(default)]
    pub expect: Absence,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceAnswer;

impl Claim for Namespace {
    type Answer = NamespaceAnswer;

    fn judge(&self, _: &NamespaceAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
