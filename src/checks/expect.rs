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
    /// Whether what was read of a text is as claimed; `None` where that cannot be told: what a part of a text lacks says
    /// nothing of the `whole`, and what is no text (UTF-16, a picture) lacks every word.
    #[must_use]
    pub fn holds(&self, read: &str, whole: bool) -> Option<bool> {
        match self {
            Self::Contains(wanted) if read.contains(wanted.as_str()) => Some(true),
            Self::Lacks(unwanted) if read.contains(unwanted.as_str()) => Some(false),
            Self::Equals(_) | Self::Contains(_) | Self::Lacks(_) => {
                (whole && is_text(read)).then(|| self.matches(read))
            }
        }
    }

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

/// Bytes that are no UTF-8 have been read as U+FFFD, and UTF-16 has a NUL beside each ASCII character.
fn is_text(read: &str) -> bool {
    !read.contains(['\u{fffd}', '\0'])
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
    fn what_is_no_text_or_not_all_of_it_shows_only_what_is_found_in_it() {
        let [equals, contains, lacks] =
            [Text::Equals("ok".into()), Text::Contains("ok".into()), Text::Lacks("error".into())];
        let utf16 = |text: &str| {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        for unread in [utf16("an error"), utf16("\u{feff}ok"), String::from_utf8_lossy(b"\x89PNG").into_owned()] {
            assert_eq!([&equals, &contains, &lacks].map(|text| text.holds(&unread, true)), [None; 3], "{unread:?}");
        }
        assert_eq!(contains.holds("ok, and \u{fffd}", true), Some(true));
        assert_eq!(lacks.holds("error \u{fffd}", true), Some(false));
        assert_eq!([&equals, &contains, &lacks].map(|text| text.holds("fine", false)), [None; 3]);
        assert_eq!(
            [&equals, &contains, &lacks].map(|text| text.holds("fine", true)),
            [Some(false), Some(false), Some(true)]
        );
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
