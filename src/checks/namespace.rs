//! Namespaces: Active, labelled, limited, and ready to have pods.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Absence, Claim, Verdict};

/// A claim about one namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// `metadata.name`; the component's namespace where it is left out.
    #[serde(default)]
    pub name: Option<String>,
    /// Labels that must be there with exactly these values.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Hard limits that a ResourceQuota in it must have, as the API writes them (`pods: "50"`, `limits.memory: 8Gi`).
    #[serde(default)]
    pub quota: BTreeMap<String, String>,
    /// There, or gone.
    #[serde(default)]
    pub expect: Absence,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceAnswer {
    /// Its name.
    pub name: String,
    /// What is there under the name.
    pub found: Option<NamespaceFound>,
}

/// A namespace that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceFound {
    /// `status.phase`.
    pub phase: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The hard limits in force, of all its quotas together.
    pub quota: BTreeMap<String, String>,
    /// What every pod needs and is not there yet: `ServiceAccount default`.
    pub unprepared: Vec<String>,
}

impl Claim for Namespace {
    type Answer = NamespaceAnswer;

    fn judge(&self, answer: &NamespaceAnswer) -> Verdict {
        let name = &answer.name;
        match (&answer.found, self.expect) {
            (None, Absence::Absent | Absence::AbsentWithItsKind) => Verdict::held("it is not there"),
            (Some(found), Absence::Absent | Absence::AbsentWithItsKind) => {
                Verdict::broken(format!("namespace {name} is gone"), format!("it is {}", found.phase))
            }
            (None, Absence::Present) => Verdict::broken(self.expected(name), format!("there is no namespace {name}")),
            (Some(found), Absence::Present) => match self.lacks(found) {
                lacks if lacks.is_empty() => Verdict::held("Active, and ready for pods"),
                lacks => Verdict::broken(self.expected(name), lacks.join("; ")),
            },
        }
    }
}

impl Namespace {
    fn expected(&self, name: &str) -> String {
        let mut expected = format!("namespace {name} is Active and ready for pods");
        for (what, wanted) in [("labels", &self.labels), ("quota", &self.quota)] {
            if !wanted.is_empty() {
                let pairs: Vec<_> = wanted.iter().map(|(key, value)| format!("{key}={value}")).collect();
                expected = format!("{expected}, with {what} {}", pairs.join(", "));
            }
        }
        expected
    }

    /// Everything that is not as claimed.
    fn lacks(&self, found: &NamespaceFound) -> Vec<String> {
        let mut lacks = Vec::new();
        if found.phase != "Active" {
            lacks.push(format!("it is {}", found.phase));
        }
        lacks.extend(differences("label", &self.labels, &found.labels));
        lacks.extend(differences("quota", &self.quota, &found.quota));
        lacks.extend(found.unprepared.iter().map(|what| format!("{what} is not there yet")));
        lacks
    }
}

fn differences<'a>(
    what: &'a str,
    wanted: &'a BTreeMap<String, String>,
    found: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = String> + 'a {
    wanted.iter().filter(|(key, value)| found.get(*key) != Some(value)).map(move |(key, value)| match found.get(key) {
        Some(other) => format!("{what} {key} is {other}, not {value}"),
        None => format!("{what} {key} is missing"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn claim(expect: Absence) -> Namespace {
        Namespace { name: None, labels: pairs(&[("layer", "10")]), quota: pairs(&[("pods", "50")]), expect }
    }

    fn good() -> NamespaceFound {
        let (labels, quota) = (pairs(&[("layer", "10"), ("more", "x")]), pairs(&[("pods", "50")]));
        NamespaceFound { phase: "Active".to_owned(), labels, quota, unprepared: Vec::new() }
    }

    fn judged(expect: Absence, found: Option<NamespaceFound>) -> Verdict {
        claim(expect).judge(&NamespaceAnswer { name: "data".to_owned(), found })
    }

    const EXPECTED: &str = "namespace data is Active and ready for pods, with labels layer=10, with quota pods=50";

    #[test]
    fn a_namespace_as_claimed_holds() {
        assert_eq!(judged(Absence::Present, Some(good())), Verdict::held("Active, and ready for pods"));
    }

    #[test]
    fn everything_that_differs_is_named_at_once() {
        let found = NamespaceFound {
            phase: "Terminating".to_owned(),
            labels: pairs(&[("layer", "20")]),
            quota: BTreeMap::new(),
            unprepared: vec!["ServiceAccount default".to_owned()],
        };
        let actual = "it is Terminating; label layer is 20, not 10; quota pods is missing; ServiceAccount default is not \
                      there yet";
        assert_eq!(judged(Absence::Present, Some(found)), Verdict::broken(EXPECTED, actual));
    }

    #[test]
    fn a_missing_namespace_is_broken_or_held_as_claimed() {
        assert_eq!(judged(Absence::Present, None), Verdict::broken(EXPECTED, "there is no namespace data"));
        assert_eq!(judged(Absence::Absent, None), Verdict::held("it is not there"));
        assert_eq!(judged(Absence::Absent, Some(good())), Verdict::broken("namespace data is gone", "it is Active"));
    }
}
