//! Redis: alive, keeping what is written, in its role.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, Address, Claim, Credential, Verdict, VersionRange};

/// A claim about one Redis server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Where to connect.
    pub at: Address,
    /// Password, if it wants one.
    #[serde(default)]
    pub password: Option<Credential>,
    /// User of the password (ACL); the default user where it is left out.
    #[serde(default)]
    pub user: Option<String>,
    /// Its role.
    #[serde(default)]
    pub role: Option<RedisRole>,
    /// How many replicas must be attached and online; only of a master.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// Its version.
    #[serde(default)]
    pub version: Option<VersionRange>,
    /// Whether a key of our own is written, read back and removed; on a replica, that writing is refused.
    #[serde(default = "yes")]
    pub writes: bool,
    /// A replica on which a written key must appear as well.
    #[serde(default)]
    pub replica: Option<Address>,
    /// Let in, or kept out (NOAUTH, WRONGPASS, NOPERM).
    #[serde(default)]
    pub expect: Access,
}

/// The role that `ROLE` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RedisRole {
    /// Takes writes.
    Master,
    /// Follows a master, its link up.
    Replica,
}

const fn yes() -> bool {
    true
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAnswer;

impl Claim for Redis {
    type Answer = RedisAnswer;

    fn judge(&self, _: &RedisAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
