//! Names, parsed once and then trusted.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::checks::is_dns_label;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:path, $rule:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                if $valid(text) {
                    return Ok(Self(text.to_owned()));
                }
                Err(format!(concat!("`{}` is not ", $what, "; ", $rule), text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $rule, "pattern": $pattern })
            }
        }
    };
}

name!(
    /// The name of a suite: one layer of the platform.
    SuiteName, "a suite's name", is_label,
    "use small letters, digits and single dashes, at most 40 characters", "^[a-z0-9]+(-[a-z0-9]+)*$"
);
name!(
    /// The name of a component: one install inside a suite.
    ComponentName, "a component's name", is_label,
    "use small letters, digits and single dashes, at most 40 characters", "^[a-z0-9]+(-[a-z0-9]+)*$"
);
name!(
    /// The name of a check inside a component: a claim in a few words.
    CheckName, "a check's name", is_label,
    "use small letters, digits and single dashes, at most 40 characters", "^[a-z0-9]+(-[a-z0-9]+)*$"
);
name!(
    /// The name of an environment: `local`, `ci`, `staging`.
    EnvironmentName, "an environment's name", is_label,
    "use small letters, digits and single dashes, at most 40 characters", "^[a-z0-9]+(-[a-z0-9]+)*$"
);
name!(
    /// A Kubernetes namespace (RFC 1123 label).
    NamespaceName, "a namespace", is_dns_label,
    "use small letters, digits and dashes, at most 63 characters", "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
);
name!(
    /// The stable id of a requirement, as the platform's owners write it: `A-40-redis`, `F-4`, `E-SC-001`.
    RequirementId, "a requirement's id", is_requirement,
    "write a capital letter, a dash, and letters, digits and dashes, as in `A-40-redis`", "^[A-Z](-[A-Za-z0-9]+)+$"
);
name!(
    /// The key of a suite's label, by which suites are selected: `layer`, `stage`.
    LabelKey, "a label's key", is_label_word,
    "use letters, digits and `-_./` between them, at most 63 characters", "^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$"
);
name!(
    /// The value of a suite's label: `40`, `data`.
    LabelValue, "a label's value", is_label_word,
    "use letters, digits and `-_./` between them, at most 63 characters", "^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$"
);
name!(
    /// The name of an environment variable.
    VariableName, "a variable's name", is_variable,
    "use letters, digits and underscores, and no digit first", "^[A-Za-z_][A-Za-z0-9_]*$"
);
name!(
    /// The name of a program on the PATH.
    ProgramName, "a program's name", is_program,
    "use letters, digits and `-_.+`, and no path: it is looked for on the PATH", "^[A-Za-z0-9][A-Za-z0-9._+-]*$"
);

fn is_label(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= 40 && text.split('-').all(part)
}

fn is_label_word(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || b"-_./".contains(&c);
    let outer = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63 && outer(bytes.first()) && outer(bytes.last()) && text.bytes().all(inner)
}

fn is_variable(text: &str) -> bool {
    let is_word = text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    is_word && text.bytes().next().is_some_and(|c| !c.is_ascii_digit())
}

fn is_program(text: &str) -> bool {
    let is_word = text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.+".contains(&c));
    is_word && text.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric())
}

fn is_requirement(text: &str) -> bool {
    let mut parts = text.split('-');
    let area = parts.next().is_some_and(|area| area.len() == 1 && area.bytes().all(|c| c.is_ascii_uppercase()));
    let rest: Vec<&str> = parts.collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric());
    area && !rest.is_empty() && text.len() <= 60 && rest.iter().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_field_are_taken() {
        for text in ["data-plane", "crds", "redis-7"] {
            assert!(text.parse::<SuiteName>().is_ok(), "{text}");
        }
        for text in ["A-40-redis", "F-4", "E-SC-001", "A-m1"] {
            assert!(text.parse::<RequirementId>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_wrong_name_is_refused_with_its_rule() {
        for text in ["", "Data", "a--b", "-a", "a_b", "a/b"] {
            assert!(text.parse::<SuiteName>().is_err(), "{text}");
        }
        assert_eq!(
            "a40".parse::<RequirementId>().unwrap_err(),
            "`a40` is not a requirement's id; write a capital letter, a dash, and letters, digits and dashes, as in \
             `A-40-redis`"
        );
    }
}
