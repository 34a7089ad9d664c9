//! Workloads: every wanted pod of the newest specification is ready.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Absence, Claim, Verdict};

/// A claim about one object that has a health: a workload, a claim for a volume, or a custom resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// `kind`, with its API version where it is not a built-in one: `Deployment`, `postgresql.cnpg.io/v1/Cluster`.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// Where it is, if not beside the component.
    #[serde(default)]
    pub namespace: Option<String>,
    /// How many ready replicas at least; what its own specification wants where this is left out.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// There, or gone.
    #[serde(default)]
    pub expect: Absence,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadAnswer;

impl Claim for Workload {
    type Answer = WorkloadAnswer;

    fn judge(&self, _: &WorkloadAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
