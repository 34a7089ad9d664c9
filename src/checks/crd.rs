//! CustomResourceDefinitions: accepted, established, and really served.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Absence, Claim, Verdict};

/// A claim about one CustomResourceDefinition, or a set of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crd {
    /// `metadata.name` of each: `plural.group`.
    #[serde(deserialize_with = "names")]
    pub names: Vec<String>,
    /// Versions that each must serve; any served version will do where this is empty.
    #[serde(default)]
    pub versions: Vec<String>,
    /// There, or gone.
    #[serde(default)]
    pub expect: Absence,
}

fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    if names.is_empty() {
        return Err(serde::de::Error::custom("no name, no claim; write at least one, `plural.group`"));
    }
    Ok(names)
}

/// What was seen, by `metadata.name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrdAnswer {
    /// Each definition that is claimed.
    pub definitions: BTreeMap<String, CrdState>,
}

/// How far a definition has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrdState {
    /// It is not there.
    Missing,
    /// It is there and may still come to be served; for a claim that it is gone, there is all that counts.
    Waiting {
        /// On what.
        on: String,
    },
    /// It will not be served.
    Doomed {
        /// Why.
        why: String,
    },
    /// It is established, and every one of these versions is in discovery and answers a list.
    Served {
        /// The versions.
        versions: Vec<String>,
    },
}

impl Claim for Crd {
    type Answer = CrdAnswer;

    fn judge(&self, answer: &CrdAnswer) -> Verdict {
        if self.names.is_empty() {
            return Verdict::unclear("the check names no CustomResourceDefinition");
        }
        match self.expect {
            Absence::Present => self.judge_served(answer),
            Absence::Absent | Absence::AbsentWithItsKind => self.judge_gone(answer),
        }
    }
}

impl Crd {
    fn judge_served(&self, answer: &CrdAnswer) -> Verdict {
        let expected = match self.versions.as_slice() {
            [] => format!("{} served", self.they()),
            versions => format!("{} served as {}", self.they(), versions.join(", ")),
        };
        let mut lacks = Vec::new();
        for name in &self.names {
            match answer.definitions.get(name) {
                Some(CrdState::Doomed { why }) => return Verdict::doomed(expected, why.clone()),
                Some(CrdState::Waiting { on }) => lacks.push(on.clone()),
                Some(CrdState::Served { versions }) => lacks.extend(self.unserved(name, versions)),
                Some(CrdState::Missing) | None => lacks.push(format!("{name} is not there")),
            }
        }
        if lacks.is_empty() {
            Verdict::held(format!("{} served", self.names.len()))
        } else {
            Verdict::broken(expected, lacks.join("; "))
        }
    }

    fn unserved(&self, name: &str, served: &[String]) -> Option<String> {
        if served.is_empty() {
            return Some(format!("{name} serves no version"));
        }
        let lacking: Vec<_> = self.versions.iter().filter(|version| !served.contains(version)).cloned().collect();
        (!lacking.is_empty()).then(|| format!("{name} serves {}, not {}", served.join(", "), lacking.join(", ")))
    }

    fn judge_gone(&self, answer: &CrdAnswer) -> Verdict {
        let is_there = |name: &&String| !matches!(answer.definitions.get(*name), None | Some(CrdState::Missing));
        let there: Vec<_> = self.names.iter().filter(is_there).cloned().collect();
        if there.is_empty() {
            return Verdict::held(if self.names.len() == 1 { "it is not there" } else { "none of them is there" });
        }
        Verdict::broken(format!("{} gone", self.they()), format!("still there: {}", there.join(", ")))
    }

    /// The names, and the verb that goes with them.
    fn they(&self) -> String {
        let verb = if self.names.len() == 1 { "is" } else { "are" };
        format!("{} {verb}", self.names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_about_no_definition_is_refused() {
        assert!(serde_saphyr::from_str::<Crd>("names: []").is_err());
    }

    fn claim(versions: &[&str], expect: Absence) -> Crd {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Crd { names: owned(&["a.x", "b.x"]), versions: owned(versions), expect }
    }

    fn answer(a: CrdState, b: CrdState) -> CrdAnswer {
        CrdAnswer { definitions: BTreeMap::from([("a.x".to_owned(), a), ("b.x".to_owned(), b)]) }
    }

    fn served(version: &str) -> CrdState {
        CrdState::Served { versions: vec![version.to_owned()] }
    }

    #[test]
    fn definitions_hold_when_each_serves_what_is_claimed() {
        let all = answer(served("v1"), served("v1"));
        assert_eq!(claim(&[], Absence::Present).judge(&all), Verdict::held("2 served"));
        assert_eq!(claim(&["v1"], Absence::Present).judge(&all), Verdict::held("2 served"));
        let none = answer(served("v1"), CrdState::Served { versions: Vec::new() });
        assert_eq!(
            claim(&[], Absence::Present).judge(&none),
            Verdict::broken("a.x, b.x are served", "b.x serves no version")
        );
        let verdict = claim(&["v1"], Absence::Present).judge(&answer(served("v1"), served("v2")));
        assert_eq!(verdict, Verdict::broken("a.x, b.x are served as v1", "b.x serves v2, not v1"));
    }

    #[test]
    fn every_definition_that_lacks_something_is_named() {
        let waiting = CrdState::Waiting { on: "b.x is not established yet".to_owned() };
        let verdict = claim(&[], Absence::Present).judge(&answer(CrdState::Missing, waiting));
        assert_eq!(verdict, Verdict::broken("a.x, b.x are served", "a.x is not there; b.x is not established yet"));
    }

    #[test]
    fn a_refused_definition_is_final() {
        let doomed = CrdState::Doomed { why: "taken".to_owned() };
        let verdict = claim(&[], Absence::Present).judge(&answer(CrdState::Missing, doomed));
        assert_eq!(verdict, Verdict::doomed("a.x, b.x are served", "taken"));
    }

    #[test]
    fn gone_means_every_one_of_them() {
        let gone = claim(&[], Absence::Absent);
        assert_eq!(gone.judge(&CrdAnswer::default()), Verdict::held("none of them is there"));
        let verdict = gone.judge(&answer(CrdState::Missing, served("v1")));
        assert_eq!(verdict, Verdict::broken("a.x, b.x are gone", "still there: b.x"));
    }

    #[test]
    fn a_claim_about_nothing_is_unclear() {
        let nothing = Crd { names: Vec::new(), versions: Vec::new(), expect: Absence::Absent };
        assert!(matches!(nothing.judge(&CrdAnswer::default()), Verdict::Unclear { .. }));
    }
}
