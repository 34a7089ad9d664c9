//! Where a password comes from. The value itself is never part of a claim that is printed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The source of a secret value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// A key of a Secret in the cluster, read when the probe looks.
    Secret(SecretKey),
    /// An environment variable of this program.
    Env(String),
    /// The value in the clear, for claims such as "a wrong password is denied". It is treated as a secret all the same.
    Value(#[serde(serialize_with = "masked")] String),
}

/// One key of one Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretKey {
    /// `metadata.name`.
    pub name: String,
    /// The key within `data`.
    pub key: String,
    /// Where the Secret is, if not beside the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

fn masked<S: serde::Serializer>(_: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("<sensitive>")
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(key) => f.debug_tuple("Secret").field(key).finish(),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
            Self::Value(_) => f.write_str("Value(<sensitive>)"),
        }
    }
}
