//! Names: what the cluster's DNS answers.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Absence, Claim, Verdict};

/// A claim about one name, asked of every ready CoreDNS pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The name to ask for, fully qualified, or a short one that is completed as a pod of the component's namespace
    /// would: `redis`, `redis.data`, `redis.data.svc.cluster.local.`.
    pub name: String,
    /// Addresses that must be among the answers.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Resolves, or does not (NXDOMAIN).
    #[serde(default)]
    pub expect: Absence,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAnswer;

impl Claim for Dns {
    type Answer = DnsAnswer;

    fn judge(&self, _: &DnsAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
