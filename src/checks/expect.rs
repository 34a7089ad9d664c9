//! Small expectations that several claims share.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

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
    Contains(#[serde(deserialize_with = "some_text")] String),
    /// Nowhere in the text.
    Lacks(#[serde(deserialize_with = "some_text")] String),
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

/// Nothing is contained in every text: a claim that could not fail.
fn some_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Err(serde::de::Error::custom("an empty text is in every text; write what must be there"));
    }
    Ok(text)
}

/// The most of a text that fits into one line of a report, in characters.
const EXCERPT: usize = 200;

/// The beginning of a text, quoted, in one line.
pub(super) fn excerpt(text: &str) -> String {
    let text = text.trim();
    let beginning: String = text.chars().take(EXCERPT).collect();
    let more = if beginning.len() < text.len() { "…" } else { "" };
    if text.is_empty() { "nothing".to_owned() } else { format!("{beginning:?}{more}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_matches_what_it_says_and_nothing_else() {
        for (text, yes, no) in [
            (Text::Equals("ok".into()), " ok\n", "ok ok"),
            (Text::Contains("ok".into()), "it is ok.", "OK"),
            (Text::Lacks("error".into()), "fine", "an error"),
        ] {
            assert!(text.matches(yes) && !text.matches(no), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_in_every_text_is_refused() {
        assert!(serde_saphyr::from_str::<Text>("contains: ''").is_err());
        assert!(serde_saphyr::from_str::<Text>("lacks: ''").is_err());
        assert!(serde_saphyr::from_str::<Text>("equals: ''").is_ok());
    }

    #[test]
    fn an_excerpt_is_one_line_of_bounded_length() {
        assert_eq!(excerpt(" a\nb "), "\"a\\nb\"");
        assert_eq!(excerpt("\n"), "nothing");
        assert!(excerpt(&"ä".repeat(5000)).chars().count() < EXCERPT + 5);
    }
}
