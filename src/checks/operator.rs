//! Operators: running, their kinds served, and their webhook answering for real.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Admission, Claim, Verdict};
use crate::number::count;

/// A claim about one operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Its Deployments, by name, in the component's namespace; each must be ready.
    #[serde(deserialize_with = "deployments")]
    pub deployments: Vec<String>,
    /// Its CustomResourceDefinitions, `plural.group`; each must be served.
    #[serde(default)]
    pub crds: Vec<String>,
    /// A file with an object that its admission must accept when created with a server-side dry run.
    #[serde(default)]
    pub accepts: Option<PathBuf>,
    /// A file with an object that its admission must deny.
    #[serde(default)]
    pub denies: Option<PathBuf>,
}

fn deployments<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let deployments = Vec::<String>::deserialize(deserializer)?;
    if deployments.is_empty() {
        return Err(serde::de::Error::custom("no Deployment, no operator; write at least one"));
    }
    Ok(deployments)
}

/// What was seen: how far the operator has come. Each step stands on the one before it, so a look goes no further than
/// the first that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorAnswer {
    /// One of its Deployments will not become ready.
    Doomed {
        /// The lowest cause.
        why: String,
    },
    /// It runs, but not all of its kinds are served.
    Unserved {
        /// Each CustomResourceDefinition that is not served, with what is missing.
        crds: Vec<String>,
    },
    /// It runs and its kinds are served.
    Serving {
        /// How its workloads stand, in a few words.
        workloads: String,
        /// What became of the object that it must accept, where one is claimed.
        accepts: Option<Admission>,
        /// What became of the object that it must deny, where one is claimed.
        denies: Option<Admission>,
    },
}

impl Claim for Operator {
    type Answer = OperatorAnswer;

    fn judge(&self, answer: &OperatorAnswer) -> Verdict {
        match answer {
            OperatorAnswer::Doomed { why } => Verdict::doomed(self.wants_workloads(), why),
            OperatorAnswer::Unserved { crds } => {
                Verdict::broken(format!("{} served", count(self.crds.len(), "CRD")), crds.join("; "))
            }
            OperatorAnswer::Serving { workloads, accepts, denies } => {
                let wrong = [accepts.as_ref().and_then(accepting), denies.as_ref().and_then(denying)];
                wrong
                    .into_iter()
                    .flatten()
                    .next()
                    .unwrap_or_else(|| Verdict::held(self.told(workloads, denies.as_ref())))
            }
        }
    }
}

impl Operator {
    /// What is claimed of its Deployments.
    #[must_use]
    pub fn wants_workloads(&self) -> String {
        format!("deployments ready: {}", self.deployments.join(", "))
    }

    fn told(&self, workloads: &str, denies: Option<&Admission>) -> String {
        let mut told = vec![workloads.to_owned()];
        if !self.crds.is_empty() {
            told.push(format!("{} served", count(self.crds.len(), "CRD")));
        }
        if self.accepts.is_some() {
            told.push("admission accepted the valid object".to_owned());
        }
        if let Some(Admission::Denied { words }) = denies {
            told.push(format!("admission denied the other: {words}"));
        }
        told.join(", ")
    }
}

/// What is wrong where the object should have been accepted.
fn accepting(admission: &Admission) -> Option<Verdict> {
    let expected = "admission accepts the valid object";
    match admission {
        Admission::Accepted => None,
        Admission::Denied { words } => Some(Verdict::broken(expected, words)),
        Admission::Invalid { words } => {
            Some(Verdict::broken(expected, format!("the API server itself refuses it: {words}")))
        }
        Admission::Unready { words } => Some(Verdict::broken(expected, format!("admission does not answer: {words}"))),
        Admission::Forbidden { words } => Some(Verdict::unclear(words)),
    }
}

/// What is wrong where the object should have been denied. A schema that refuses it shows nothing of the operator.
fn denying(admission: &Admission) -> Option<Verdict> {
    let expected = "admission denies the forbidden object";
    match admission {
        Admission::Denied { .. } => None,
        Admission::Accepted => Some(Verdict::broken(expected, "it was accepted")),
        Admission::Invalid { words } => Some(Verdict::broken(
            expected,
            format!("it never reached admission, the API server itself refuses it: {words}"),
        )),
        Admission::Unready { words } => Some(Verdict::broken(expected, format!("admission does not answer: {words}"))),
        Admission::Forbidden { words } => Some(Verdict::unclear(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_without_a_deployment_is_no_claim() {
        assert!(serde_saphyr::from_str::<Operator>("deployments: []").is_err());
    }
    use crate::checks::Outlook;

    fn claim() -> Operator {
        Operator {
            deployments: vec!["widgets".to_owned()],
            crds: vec!["widgets.example.com".to_owned()],
            accepts: Some("good.yaml".into()),
            denies: Some("bad.yaml".into()),
        }
    }

    fn serving(accepts: Admission, denies: Admission) -> Verdict {
        claim().judge(&OperatorAnswer::Serving {
            workloads: "1 of 1 ready".to_owned(),
            accepts: Some(accepts),
            denies: Some(denies),
        })
    }

    fn denied() -> Admission {
        Admission::refused(403, "admission webhook \"w\" denied the request: size must be positive")
    }

    fn starting() -> Admission {
        Admission::refused(500, "failed calling webhook \"w\": connection refused")
    }

    #[test]
    fn an_operator_that_accepts_the_good_and_denies_the_bad_holds() {
        let Verdict::Held { saw, .. } = serving(Admission::Accepted, denied()) else { panic!("not held") };
        assert!(saw.contains("1 of 1 ready, 1 CRD served") && saw.contains("size must be positive"), "{saw}");
    }

    #[test]
    fn a_denial_of_the_good_object_carries_the_webhooks_words() {
        let Verdict::Broken { actual, .. } = serving(denied(), denied()) else { panic!("not broken") };
        assert!(actual.contains("size must be positive"), "{actual}");
    }

    #[test]
    fn a_webhook_that_does_not_answer_yet_may_heal() {
        for verdict in [serving(starting(), denied()), serving(Admission::Accepted, starting())] {
            assert!(matches!(verdict, Verdict::Broken { outlook: Outlook::MayHeal, .. }), "{verdict:?}");
        }
    }

    #[test]
    fn a_refusal_by_schema_is_no_denial_by_admission() {
        let invalid = Admission::refused(422, "Widget \"a\" is invalid: spec.size: Required value");
        assert!(matches!(serving(Admission::Accepted, invalid), Verdict::Broken { .. }));
        assert!(matches!(serving(Admission::Accepted, Admission::Accepted), Verdict::Broken { .. }));
    }

    #[test]
    fn what_we_may_not_ask_is_unclear() {
        let forbidden = Admission::refused(403, "widgets is forbidden: User \"u\" cannot create resource \"widgets\"");
        assert!(matches!(serving(forbidden, denied()), Verdict::Unclear { .. }));
    }

    #[test]
    fn a_doomed_deployment_and_a_kind_that_is_not_served_are_broken() {
        let doomed = claim().judge(&OperatorAnswer::Doomed { why: "no such image".to_owned() });
        assert!(matches!(doomed, Verdict::Broken { outlook: Outlook::Final, .. }));
        let unserved =
            claim().judge(&OperatorAnswer::Unserved { crds: vec!["widgets.example.com: absent".to_owned()] });
        assert!(matches!(unserved, Verdict::Broken { outlook: Outlook::MayHeal, .. }));
    }
}
