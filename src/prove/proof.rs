//! What became of a check in a case, and whether that is what had to.

use serde::Serialize;

use super::Expected;
use crate::events::Ending;
use crate::plan::StepId;

/// What became of a check in one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The fault was seen, and named.
    Seen {
        /// What was said.
        said: String,
        /// Whether that was that it could not look.
        unclear: bool,
    },
    /// It was not, or something else was named.
    Missed {
        /// What became of the check instead.
        why: String,
    },
    /// The weather was borne.
    Borne,
    /// The weather turned it red.
    FalseAlarm {
        /// What was said.
        said: String,
    },
    /// It is not claimed to be seen.
    Unclaimed {
        /// Why not.
        why: String,
    },
    /// The fault could not be brought about, so nothing is shown.
    Undone {
        /// Why not.
        why: String,
    },
}

impl Outcome {
    /// Whether it is as it must be.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.complaint().is_none()
    }

    /// What is wrong with it, in a line; `None` where all is well.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        match self {
            Self::Missed { why } => Some(format!("missed: {why}")),
            Self::FalseAlarm { said } => Some(format!("a false alarm: {said}")),
            Self::Undone { why } => Some(format!("undone: {why}")),
            Self::Seen { .. } | Self::Borne | Self::Unclaimed { .. } => None,
        }
    }

    /// The same outcome told in other words.
    #[must_use]
    pub fn map(self, words: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Seen { said, unclear } => Self::Seen { said: words(said), unclear },
            Self::Missed { why } => Self::Missed { why: words(why) },
            Self::FalseAlarm { said } => Self::FalseAlarm { said: words(said) },
            Self::Undone { why } => Self::Undone { why: words(why) },
            other @ (Self::Borne | Self::Unclaimed { .. }) => other,
        }
    }
}

/// One case, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The check, or a component's readiness, as it is named in plans and reports.
    pub step: StepId,
    /// The case.
    pub fault: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// From the fault to the verdict, at the last try.
    pub took_ms: u64,
    /// How often it was tried; 0 where that came to no end.
    pub tries: u32,
    /// What became of it at the try before, where it was tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// How many cases came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Faults that were seen.
    pub seen: usize,
    /// Faults that were not.
    pub missed: usize,
    /// Weather that was borne.
    pub borne: usize,
    /// Weather that was not.
    pub false_alarms: usize,
    /// Faults that are not claimed to be seen.
    pub unclaimed: usize,
    /// Faults that could not be brought about.
    pub undone: usize,
    /// Cases that were as they must be at a later try only.
    pub later: usize,
}

impl Counts {
    /// Of these proofs.
    pub fn of<'a>(proofs: impl IntoIterator<Item = &'a Proof>) -> Self {
        let mut counts = Self::default();
        for proof in proofs {
            let count = match proof.outcome {
                Outcome::Seen { .. } => &mut counts.seen,
                Outcome::Missed { .. } => &mut counts.missed,
                Outcome::Borne => &mut counts.borne,
                Outcome::FalseAlarm { .. } => &mut counts.false_alarms,
                Outcome::Unclaimed { .. } => &mut counts.unclaimed,
                Outcome::Undone { .. } => &mut counts.undone,
            };
            *count += 1;
            counts.later += usize::from(proof.tries > 1 && proof.outcome.is_well());
        }
        counts
    }

    /// 0 where every fault was seen and all weather borne, 1 where not, 3 where that could not be found out, 4 where
    /// nothing was done.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self { missed, false_alarms, .. } if *missed + *false_alarms > 0 => 1,
            Self { undone, .. } if *undone > 0 => 3,
            Self { seen, borne, .. } if *seen + *borne == 0 => 4,
            _ => 0,
        }
    }
}

impl Expected {
    /// Holds what became of a check against this.
    #[must_use]
    pub fn judge(&self, ending: &Ending) -> Outcome {
        let said = told(ending);
        match (self, ending) {
            (Self::Unclaimed(why), _) => Outcome::Unclaimed { why: (*why).to_owned() },
            (Self::Held, Ending::Held { .. }) => Outcome::Borne,
            (Self::Warned(words), Ending::Held { warnings, .. }) => {
                match warnings.iter().find(|line| line.contains(words)) {
                    Some(said) => Outcome::Seen { said: format!("warned: {said}"), unclear: true },
                    None => Outcome::Missed { why: format!("held without a warning of `{words}`") },
                }
            }
            (Self::Warned(_), _) => {
                Outcome::Missed { why: format!("not held with a warning, but {}: {said}", word(ending)) }
            }
            (Self::Held, _) => Outcome::FalseAlarm { said },
            (Self::Broken(words), Ending::Broken { .. }) | (Self::Unclear(words), Ending::Unclear { .. }) => {
                match words.iter().find(|words| !said.contains(words.as_str())) {
                    None => Outcome::Seen { said, unclear: matches!(self, Self::Unclear(_)) },
                    Some(lacking) => Outcome::Missed { why: format!("red without naming `{lacking}`: {said}") },
                }
            }
            (Self::Broken(_), _) => Outcome::Missed { why: format!("not broken, but {}: {said}", word(ending)) },
            (Self::Unclear(_), _) => Outcome::Missed { why: format!("not unclear, but {}: {said}", word(ending)) },
        }
    }
}

const fn word(ending: &Ending) -> &'static str {
    match ending {
        Ending::Held { .. } => "held",
        Ending::Broken { .. } => "broken",
        Ending::Unclear { .. } => "unclear",
        Ending::Blocked { .. } => "blocked",
        Ending::NotRun { .. } => "not run",
    }
}

/// What a red ending says of its cause; not how it came to be looked at, which has words for other things as well.
fn told(ending: &Ending) -> String {
    match ending {
        Ending::Held { saw: line, .. }
        | Ending::NotRun { why: line }
        | Ending::Broken { actual: line, .. }
        | Ending::Unclear { why: line, .. } => line.lines().collect::<Vec<_>>().join("; "),
        Ending::Blocked { by } => by.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fault as AtFault;

    fn broken(actual: &str) -> Ending {
        Ending::Broken { expected: "it works".to_owned(), actual: actual.to_owned(), details: vec!["more".to_owned()] }
    }

    fn unclear(why: &str) -> Ending {
        Ending::Unclear { fault: AtFault::Environment, why: why.to_owned(), details: Vec::new() }
    }

    fn held() -> Ending {
        Ending::Held { saw: "all is well".to_owned(), warnings: Vec::new() }
    }

    #[test]
    fn a_fault_is_seen_where_its_cause_is_named_and_the_kind_of_red_is_right() {
        let expected = Expected::Broken(vec!["READONLY".to_owned()]);
        assert_eq!(
            expected.judge(&broken("said: READONLY")),
            Outcome::Seen { said: "said: READONLY".to_owned(), unclear: false }
        );
        for other in [broken("said: LOADING"), unclear("READONLY"), held()] {
            assert!(matches!(expected.judge(&other), Outcome::Missed { .. }), "{other:?}");
        }
        let expected = Expected::Unclear(vec!["LOADING".to_owned()]);
        assert!(matches!(expected.judge(&unclear("LOADING")), Outcome::Seen { .. }));
        for other in [broken("LOADING"), unclear("READONLY"), held()] {
            assert!(matches!(expected.judge(&other), Outcome::Missed { .. }), "{other:?}");
        }
    }

    #[test]
    fn weather_that_turns_a_check_red_is_a_false_alarm() {
        assert_eq!(Expected::Held.judge(&held()), Outcome::Borne);
        let warned = Ending::Held { saw: String::new(), warnings: vec!["the password was not tested: x".to_owned()] };
        let expected = Expected::Warned("not tested");
        assert!(matches!(expected.judge(&warned), Outcome::Seen { .. }));
        assert!(matches!(expected.judge(&held()), Outcome::Missed { .. }));
        assert!(matches!(expected.judge(&broken("not tested")), Outcome::Missed { .. }));
        for red in [broken("x"), unclear("x"), Ending::NotRun { why: "x".to_owned() }] {
            assert!(matches!(Expected::Held.judge(&red), Outcome::FalseAlarm { .. }), "{red:?}");
        }
    }

    #[test]
    fn the_exit_code_says_missed_before_undone_and_nothing_done_is_not_green() {
        let code = |seen, missed, false_alarms, undone| {
            Counts { seen, missed, false_alarms, undone, ..Counts::default() }.exit_code()
        };
        assert_eq!([code(5, 0, 0, 0), code(5, 1, 0, 1), code(5, 0, 1, 0), code(5, 0, 0, 1)], [0, 1, 1, 3]);
        assert_eq!(code(0, 0, 0, 0), 4);
        assert_eq!(Counts { unclaimed: 3, ..Counts::default() }.exit_code(), 4);
    }
}
