//! TCP: a port that accepts, or refuses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, Address, Claim, Text, Verdict};

/// A claim about one TCP port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// Where to connect.
    pub at: Address,
    /// Text sent after connecting.
    #[serde(default)]
    pub send: Option<String>,
    /// What must come back within the look's time.
    #[serde(default)]
    pub answers: Option<Text>,
    /// Accepts, or refuses. A Service that does not exist refuses nothing: that is Unclear.
    #[serde(default)]
    pub expect: Access,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpAnswer;

impl Claim for Tcp {
    type Answer = TcpAnswer;

    fn judge(&self, _: &TcpAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
