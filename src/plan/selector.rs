//! Suites by their labels, in kubectl's words: `layer=40,stage!=qa`, `stage in (data, auth)`, `layer`, `!layer`.
//!
//! As in Kubernetes, `!=` and `notin` also take what has no such label.

use std::fmt;
use std::str::FromStr;

use crate::suite::{LabelKey, LabelValue, Suite};

/// Demands on labels, all of which must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    written: String,
    demands: Vec<Demand>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Demand {
    key: LabelKey,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Present,
    Absent,
    OneOf(Vec<LabelValue>),
    NoneOf(Vec<LabelValue>),
}

impl Selector {
    /// Whether a suite's labels meet every demand.
    #[must_use]
    pub fn takes(&self, suite: &Suite) -> bool {
        self.demands.iter().all(|demand| {
            let value = suite.labels.get(&demand.key);
            match &demand.wanted {
                Wanted::Present => value.is_some(),
                Wanted::Absent => value.is_none(),
                Wanted::OneOf(values) => value.is_some_and(|value| values.contains(value)),
                Wanted::NoneOf(values) => value.is_none_or(|value| !values.contains(value)),
            }
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let demands = demands(text).into_iter().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { written: text.to_owned(), demands })
    }
}

/// The parts between commas that are in no brackets.
fn demands(text: &str) -> Vec<&str> {
    let mut inside = false;
    let between = |c: char| {
        inside = c == '(' || (inside && c != ')');
        c == ',' && !inside
    };
    text.split(between).collect()
}

impl FromStr for Demand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let one = |value: &str| Ok::<_, String>(vec![value.trim().parse()?]);
        let (key, wanted) = if let Some((key, value)) = text.split_once("!=") {
            (key, Wanted::NoneOf(one(value)?))
        } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            (key, Wanted::OneOf(one(value)?))
        } else if let Some((key, values)) = text.split_once(" notin ") {
            (key, Wanted::NoneOf(listed(values)?))
        } else if let Some((key, values)) = text.split_once(" in ") {
            (key, Wanted::OneOf(listed(values)?))
        } else if let Some(key) = text.strip_prefix('!') {
            (key, Wanted::Absent)
        } else {
            (text, Wanted::Present)
        };
        Ok(Self { key: key.trim().parse()?, wanted })
    }
}

/// `(a, b)`.
fn listed(text: &str) -> Result<Vec<LabelValue>, String> {
    let inner = text.trim().strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let inner = inner.ok_or_else(|| format!("`{}` is not a list; write `(a, b)`", text.trim()))?;
    inner.split(',').map(|value| value.trim().parse()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(labels: &[(&str, &str)]) -> Suite {
        Suite {
            name: "it".parse().unwrap(),
            title: String::new(),
            labels: labels.iter().map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap())).collect(),
            needs: Vec::new(),
            deploy_budget: crate::span::Span::secs(1),
            deploy_requirements: Vec::new(),
            components: Default::default(),
            file: Default::default(),
        }
    }

    #[test]
    fn every_demand_must_hold() {
        let data = suite(&[("layer", "40"), ("stage", "data")]);
        for (text, takes) in [
            ("layer=40", true),
            ("layer==40, stage = data", true),
            ("layer=40,stage!=qa", true),
            ("layer=40,stage!=data", false),
            ("tier!=qa", true),
            ("tier=qa", false),
            ("stage in (qa, data),layer", true),
            ("stage in (qa)", false),
            ("stage notin (qa,auth)", true),
            ("!stage", false),
            ("!tier", true),
            ("tier", false),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().takes(&data), takes, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["", "layer=", "=40", "layer=40,", "stage in qa", "stage in ()", "a b", "stage in (a", "a=b=c"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }
}
