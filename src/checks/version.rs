//! A range of versions as the field writes it: `>=15, <18`, `7`, `^1.34`.

use std::fmt;

use semver::{Version, VersionReq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which versions are claimed. A leading `v` and what follows the third number (`-0ubuntu1`, `+k3s1`) do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRange(VersionReq);

impl VersionRange {
    /// Whether a version as a system prints it (`15.18 (Debian 15.18-0+deb12u1)`, `v1.34.4`, `7.0.15`) is in the range.
    /// `None` where no version can be read from it.
    #[must_use]
    pub fn holds(&self, printed: &str) -> Option<bool> {
        read(printed).map(|version| self.0.matches(&version))
    }
}

/// The first number with dots in a text, filled up to three parts.
fn read(printed: &str) -> Option<Version> {
    let start = printed.find(|c: char| c.is_ascii_digit())?;
    let numbers: String = printed[start..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let mut parts = numbers.split('.').map(|part| part.parse::<u64>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    Some(Version::new(next(), next(), next()))
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for VersionRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VersionRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        VersionReq::parse(&text).map(Self).map_err(|error| {
            serde::de::Error::custom(format!(
                "`{text}` is not a range of versions ({error}); write for instance `>=15, <18`"
            ))
        })
    }
}

impl schemars::JsonSchema for VersionRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "VersionRange".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A range of versions: `>=15, <18`, `^7.0`." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_systems_print_them() {
        let range: VersionRange = serde_json::from_str("\">=15, <18\"").unwrap();
        for (printed, holds) in [
            ("15.18 (Debian 15.18-0+deb12u1)", Some(true)),
            ("v17", Some(true)),
            ("PostgreSQL 18.1 on x86_64", Some(false)),
            ("7.0.15", Some(false)),
            ("unknown", None),
        ] {
            assert_eq!(range.holds(printed), holds, "{printed}");
        }
    }
}
