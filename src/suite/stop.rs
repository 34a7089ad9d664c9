//! Why the reader could not go on: `serde`'s errors, in the author's words.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::mistake::{Finding, listed};
use super::source::Place;

/// What ended one attempt to understand a node.
#[derive(Debug)]
pub(super) struct Stop {
    /// The node that is wrong; the innermost reader that sees the error fills it in.
    pub(super) place: Option<Place>,
    pub(super) cause: Cause,
}

/// What was wrong with it.
#[derive(Debug)]
pub(super) enum Cause {
    /// Something of its own.
    Finding(Finding),
    /// A key that must be there is not.
    Missing(&'static str),
    /// Only that something inside it was taken away.
    Consequence,
}

impl Stop {
    pub(super) fn new(finding: Finding) -> Self {
        Self { place: None, cause: Cause::Finding(finding) }
    }

    pub(super) fn consequence(place: Place) -> Self {
        Self { place: Some(place), cause: Cause::Consequence }
    }

    /// The same, here unless it is known to be deeper inside.
    pub(super) fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    /// The same, with the keys that are known here as its remedy where it has none.
    pub(super) fn keys(mut self, known: &[&str]) -> Self {
        if let Cause::Finding(finding) = &mut self.cause {
            finding.remedy.get_or_insert_with(|| format!("its keys are {}", listed(known)));
        }
        self
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Finding(finding) => f.write_str(&finding.what),
            Cause::Missing(key) => write!(f, "`{key}` is missing"),
            Cause::Consequence => f.write_str("a part of it is wrong"),
        }
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Finding::of_parser(&message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let expected = in_our_words(&expected);
        let finding = Finding::new(format!("{expected} is expected here, and this is {}", named(found)));
        Self::new(match how_to(expected, found) {
            Some(remedy) => finding.remedy(remedy),
            None => finding,
        })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let most = match expected.to_string().as_str() {
            "u8" => u8::MAX.into(),
            "u16" => u16::MAX.into(),
            "u32" => u32::MAX,
            _ => return Self::invalid_type(found, expected),
        };
        let finding = Finding::new(format!("{} is out of range", named(found)));
        Self::new(finding.remedy(format!("write a whole number from 0 to {most}")))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(Finding::new(format!("`{word}` is not known here")).did_you_mean(word, known.iter().copied()))
    }

    fn unknown_field(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(Finding::new(format!("there is no key `{word}` here")).did_you_mean(word, known.iter().copied()))
    }

    fn missing_field(key: &'static str) -> Self {
        Self { place: None, cause: Cause::Missing(key) }
    }
}

/// What to write instead, where a few words can say it.
fn how_to(expected: &str, found: Unexpected<'_>) -> Option<String> {
    match (expected, found) {
        (_, Unexpected::Unit) => Some("write it, or remove the key".to_owned()),
        ("text", Unexpected::Bool(_) | Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_)) => {
            Some("put it in quotes to make it text".to_owned())
        }
        ("text, a whole number, `true` or `false`", Unexpected::Float(_)) => {
            Some("put it in quotes to make it text; a number with a fraction goes into a file of `values`".to_owned())
        }
        ("a list", Unexpected::Str(text)) => Some(format!("put it in brackets: `[{text}]`")),
        ("`true` or `false`" | "a whole number", _) => Some(format!("write {expected}, without quotes")),
        _ => None,
    }
}

/// What `serde` says it expects, for people who write YAML.
fn in_our_words(expected: &str) -> &str {
    match expected {
        "a string" | "path string" | "a borrowed string" => "text",
        "a single value" => "text, a whole number, `true` or `false`",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "u8" | "u16" | "u32" | "u64" | "i32" | "i64" => "a whole number",
        "IP address" => "an IP address",
        other if other == "a map" || other.starts_with("struct ") => "a mapping of keys to values",
        other => other,
    }
}

fn named(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "text".to_owned(),
        Unexpected::Unit | Unexpected::Option => "empty".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map | Unexpected::NewtypeStruct => "a mapping".to_owned(),
        Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant => "a choice".to_owned(),
        Unexpected::Other(other) => other.to_owned(),
    }
}
