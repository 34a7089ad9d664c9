//! A length of time as people write it: `500ms`, `30s`, `1m30s`, `10m`, `2h`.
//!
//! Never: a bare number. `timeout: 30` has meant seconds, milliseconds and minutes in one platform's files.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration with its unit written out; whole milliseconds, at most 24 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A span of whole milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The same length for the clock's arithmetic.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in UNITS {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut total = 0_u64;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
            let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
            total = total.saturating_add(part(text, number, unit)?);
            rest = &rest[digits + letters..];
        }
        match Duration::from_millis(total) {
            Duration::ZERO => Err(format!("`{text}` is no length of time; write for instance `30s`")),
            length if length > LONGEST => Err(format!("`{text}` is longer than 24h")),
            length => Ok(Self(length)),
        }
    }
}

/// One number with its unit, in milliseconds.
fn part(whole: &str, number: &str, unit: &str) -> Result<u64, String> {
    let count: u64 =
        number.parse().map_err(|_| format!("`{whole}` is not a duration; write for instance `90s` or `1m30s`"))?;
    let (_, millis) = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| format!("`{whole}` has no unit that is known; use ms, s, m or h, as in `{count}s`"))?;
    Ok(count.saturating_mul(millis))
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written)
    }
}

/// Reads a span, and tells who wrote a bare number which unit is missing.
struct Written;

impl Visitor<'_> for Written {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as `30s`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Span, E> {
        self.visit_str(&number.to_string())
    }
}

impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A duration with its unit: 500ms, 30s, 1m30s, 2h.",
            "pattern": "^([0-9]+(ms|s|m|h))+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in ["500ms", "30s", "1m30s", "10m", "2h", "1h1m1s1ms"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_a_remedy() {
        assert_eq!("30".parse::<Span>().unwrap_err(), "`30` has no unit that is known; use ms, s, m or h, as in `30s`");
    }

    #[test]
    fn nonsense_zero_and_forever_are_refused() {
        for text in ["", "s", "0s", "-1s", "1.5s", "3 s", "1y", "25h", "99999999999999999999h", "18446744073709551615h"]
        {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }
}
