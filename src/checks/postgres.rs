//! PostgreSQL: lets us in, keeps what is committed, in its role.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, Address, Claim, Credential, Verdict, VersionRange};

/// A claim about one PostgreSQL server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Where to connect.
    pub at: Address,
    /// User.
    pub user: String,
    /// Its password.
    #[serde(default)]
    pub password: Option<Credential>,
    /// Database; the user's name where it is left out.
    #[serde(default)]
    pub database: Option<String>,
    /// Its role.
    #[serde(default)]
    pub role: Option<PostgresRole>,
    /// Its version.
    #[serde(default)]
    pub version: Option<VersionRange>,
    /// Whether a row of our own is written, committed, read back by a second connection and removed; on a replica,
    /// that writing is refused.
    #[serde(default = "yes")]
    pub writes: bool,
    /// Let in, or kept out (SQLSTATE class 28).
    #[serde(default)]
    pub expect: Access,
}

/// What `pg_is_in_recovery()` tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PostgresRole {
    /// Takes writes.
    Primary,
    /// In recovery, read only.
    Replica,
}

const fn yes() -> bool {
    true
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresAnswer;

impl Claim for Postgres {
    type Answer = PostgresAnswer;

    fn judge(&self, _: &PostgresAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
