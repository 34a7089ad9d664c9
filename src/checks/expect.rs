//! Small expectations that several claims share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a thing is claimed to be there, or to be gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Absence {
    /// It is there.
    #[default]
    Present,
    /// It is gone. A kind or namespace that does not exist is Unclear: a misspelt name is absent everywhere.
    Absent,
    /// It is gone, and its kind or namespace may be missing as well.
    AbsentWithItsKind,
}

/// Whether the platform is claimed to let us in, or to keep us out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// We are let in.
    #[default]
    Allowed,
    /// We are kept out, by the system's own refusal; a server that is merely unreachable denies nothing.
    Denied,
}

/// What a text must look like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Text {
    /// The whole text, surrounding white space aside.
    Equals(String),
    /// Somewhere in the text.
    Contains(String),
    /// Nowhere in the text.
    Lacks(String),
}

impl Text {
    /// Whether `text` is as claimed.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Equals(wanted) => text.trim() == wanted.trim(),
            Self::Contains(wanted) => text.contains(wanted.as_str()),
            Self::Lacks(unwanted) => !text.contains(unwanted.as_str()),
        }
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Equals(wanted) => write!(f, "exactly {wanted:?}"),
            Self::Contains(wanted) => write!(f, "text with {wanted:?}"),
            Self::Lacks(unwanted) => write!(f, "text without {unwanted:?}"),
        }
    }
}
