//! Workloads: every wanted pod of the newest specification is ready.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Absence, Claim, Verdict};
use crate::number::count;

/// A claim about one object that has a health: a workload, a claim for a volume, or a custom resource. Where a
/// container of it was restarted, being ready counts once that container has been up for twice as long as it last lived, or
/// for 20 s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// `kind`, with its API version where it is not a built-in one: `Deployment`, `postgresql.cnpg.io/v1/Cluster`.
    pub kind: String,
    /// `metadata.name`; `*` for every one that is there, and at least one.
    pub name: String,
    /// Where it is, if not beside the component.
    #[serde(default)]
    pub namespace: Option<String>,
    /// How many ready replicas at least; what its own specification wants, and not none, where this is left out. (Of all but one of a
    /// Deployment's ReplicaSets that is none.)
    #[serde(default)]
    pub replicas: Option<u32>,
    /// There, or gone.
    #[serde(default)]
    pub expect: Absence,
}

/// The name that stands for every object of a kind.
pub(crate) const EVERY: &str = "*";

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkloadAnswer {
    /// It is as its newest specification wants it.
    Ready {
        /// What shows it.
        saw: String,
        /// Its ready replicas, where its kind counts them; of several only that one has none.
        replicas: Option<u32>,
    },
    /// It is not, and may become so.
    Waiting {
        /// The lowest thing that it waits on.
        on: String,
    },
    /// It will not become ready by waiting.
    Doomed {
        /// The lowest cause.
        why: String,
        /// The way down to it, last log lines.
        details: Vec<String>,
    },
    /// It is there although it should be gone.
    There {
        /// Its name: where all of a kind are to be gone, that of one.
        name: String,
        /// What keeps it: `being deleted, held by the finalizer x`.
        how: String,
    },
    /// It is not there.
    Gone,
}

impl Claim for Workload {
    type Answer = WorkloadAnswer;

    fn judge(&self, answer: &WorkloadAnswer) -> Verdict {
        let actual = match answer {
            WorkloadAnswer::Ready { saw, replicas } if self.expect == Absence::Present => {
                return self.count(saw, *replicas);
            }
            WorkloadAnswer::Gone if self.expect != Absence::Present => return Verdict::held("it is not there"),
            WorkloadAnswer::Doomed { why, details } => {
                let lines: Vec<_> = std::iter::once(why).chain(details).map(String::as_str).collect();
                return Verdict::doomed(self.expected(), lines.join("\n"));
            }
            WorkloadAnswer::Ready { saw, .. } => saw.clone(),
            WorkloadAnswer::Waiting { on } => on.clone(),
            WorkloadAnswer::There { name, how } => format!("{} {name} is still there, {how}", self.kind),
            WorkloadAnswer::Gone => format!("{} {} is not there", self.kind, self.name),
        };
        Verdict::broken(self.expected(), actual)
    }
}

impl Workload {
    /// Holds the ready replicas against those that are claimed.
    fn count(&self, saw: &str, replicas: Option<u32>) -> Verdict {
        match (self.replicas, replicas) {
            (Some(_), None) => {
                Verdict::doomed(self.expected(), format!("a {} does not count its ready replicas", self.kind))
            }
            (Some(wanted), Some(ready)) if ready < wanted => Verdict::broken(
                self.expected(),
                format!("{}, and all that it wants: {saw}", count(ready as usize, "ready replica")),
            ),
            (None, Some(0)) => {
                let remedy = if self.name == EVERY { "name those that are to run" } else { "claim `replicas: 0`" };
                Verdict::broken(self.expected(), format!("nothing of it runs, nor is meant to: {saw}; if so, {remedy}"))
            }
            (Some(_), Some(_)) | (None, _) => Verdict::held(saw),
        }
    }

    fn expected(&self) -> String {
        let name = format!("{} {}", self.kind, self.name);
        match (self.expect, self.replicas) {
            (Absence::Present, Some(replicas)) => {
                format!("{name} is ready with {} at least", count(replicas as usize, "replica"))
            }
            (Absence::Present, None) => format!("{name} is ready"),
            (Absence::Absent | Absence::AbsentWithItsKind, _) => format!("{name} is gone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(replicas: Option<u32>, expect: Absence) -> Workload {
        Workload { kind: "Deployment".to_owned(), name: "web".to_owned(), namespace: None, replicas, expect }
    }

    fn ready(replicas: Option<u32>) -> WorkloadAnswer {
        WorkloadAnswer::Ready { saw: "2 of 2 pods are available".to_owned(), replicas }
    }

    #[test]
    fn a_ready_workload_holds_unless_more_replicas_are_claimed() {
        let held = Verdict::held("2 of 2 pods are available");
        assert_eq!(claim(None, Absence::Present).judge(&ready(Some(2))), held);
        assert_eq!(claim(Some(2), Absence::Present).judge(&ready(Some(2))), held);
        let few = claim(Some(3), Absence::Present).judge(&ready(Some(2)));
        let actual = "2 ready replicas, and all that it wants: 2 of 2 pods are available";
        assert_eq!(few, Verdict::broken("Deployment web is ready with 3 replicas at least", actual));
    }

    #[test]
    fn a_workload_scaled_to_zero_holds_only_where_zero_is_claimed() {
        assert!(matches!(claim(None, Absence::Present).judge(&ready(Some(0))), Verdict::Broken { .. }));
        assert!(matches!(claim(Some(0), Absence::Present).judge(&ready(Some(0))), Verdict::Held { .. }));
        let every = Workload { name: "*".to_owned(), ..claim(None, Absence::Present) };
        let Verdict::Broken { actual, .. } = every.judge(&ready(Some(0))) else { panic!("zero is ready") };
        assert!(actual.ends_with("if so, name those that are to run"), "{actual}");
    }

    #[test]
    fn replicas_of_a_kind_that_counts_none_can_never_hold() {
        let verdict = claim(Some(1), Absence::Present).judge(&ready(None));
        let expected = "Deployment web is ready with 1 replica at least";
        assert_eq!(verdict, Verdict::doomed(expected, "a Deployment does not count its ready replicas"));
    }

    #[test]
    fn a_doomed_workload_is_final_with_the_cause_first() {
        let doom = WorkloadAnswer::Doomed { why: "no image".to_owned(), details: vec!["way".to_owned()] };
        let verdict = claim(None, Absence::Present).judge(&doom);
        assert_eq!(verdict, Verdict::doomed("Deployment web is ready", "no image\nway"));
    }

    #[test]
    fn what_waits_or_is_missing_may_heal() {
        let waiting = WorkloadAnswer::Waiting { on: "pod web-1 is not scheduled yet".to_owned() };
        let verdict = claim(None, Absence::Present).judge(&waiting);
        assert_eq!(verdict, Verdict::broken("Deployment web is ready", "pod web-1 is not scheduled yet"));
        let verdict = claim(None, Absence::Present).judge(&WorkloadAnswer::Gone);
        assert_eq!(verdict, Verdict::broken("Deployment web is ready", "Deployment web is not there"));
    }

    #[test]
    fn gone_is_held_only_when_claimed() {
        for expect in [Absence::Absent, Absence::AbsentWithItsKind] {
            assert_eq!(claim(None, expect).judge(&WorkloadAnswer::Gone), Verdict::held("it is not there"));
            let there = WorkloadAnswer::There { name: "web".to_owned(), how: "not being deleted".to_owned() };
            let actual = "Deployment web is still there, not being deleted";
            assert_eq!(claim(None, expect).judge(&there), Verdict::broken("Deployment web is gone", actual));
        }
    }
}
