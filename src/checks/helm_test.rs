//! A release's own test hooks, run as jobs that can be followed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::job::Ran;
use super::{Claim, Verdict};

/// A claim that every test (a Job or Pod with `helm.sh/hook: test`) of a release passes. A release without one breaks it.
/// Hooks of other kinds, which tests use, are brought in for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HelmTest {
    /// The release; the component's own where it is left out.
    #[serde(default)]
    pub release: Option<String>,
    /// Names of the hooks to run; all of them where this is empty. A name that matches none breaks the claim.
    #[serde(default)]
    pub only: Vec<String>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelmTestAnswer {
    /// Every test that the release has, by name.
    pub hooks: Vec<String>,
    /// Those that were run, by name, and what could not be brought in for them.
    pub ran: BTreeMap<String, Ran>,
}

impl Claim for HelmTest {
    type Answer = HelmTestAnswer;

    fn judge(&self, answer: &HelmTestAnswer) -> Verdict {
        if answer.hooks.is_empty() {
            return Verdict::doomed("the release has test hooks", "it has none, so nothing would be tested");
        }
        let unknown: Vec<&str> =
            self.only.iter().filter(|name| !answer.hooks.contains(name)).map(String::as_str).collect();
        if !unknown.is_empty() {
            let there = answer.hooks.join(", ");
            return Verdict::doomed(format!("test hook {}", unknown.join(", ")), format!("the release has {there}"));
        }
        let mut saw = Vec::new();
        let mut all_warnings = Vec::new();
        for (name, ran) in &answer.ran {
            match ran.verdict(&format!("test hook {name}")) {
                Verdict::Held { saw: one, warnings } => {
                    saw.push(one);
                    all_warnings.extend(warnings.into_iter().map(|warning| format!("test hook {name}: {warning}")));
                }
                red @ (Verdict::Broken { .. } | Verdict::Unclear { .. }) => return red,
            }
        }
        Verdict::Held { saw: saw.join("; "), warnings: all_warnings }
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::Launch;
    use super::*;
    use crate::span::Span;

    fn ran(end: Result<(), Vec<String>>) -> Ran {
        Ran {
            end,
            launch: Some(Launch { starting: Span::secs(1), ..Launch::default() }),
            log: Some("PONG".to_owned()),
            cut: None,
        }
    }

    fn answer(ends: &[(&str, Result<(), Vec<String>>)]) -> HelmTestAnswer {
        let ran = ends.iter().map(|(name, end)| ((*name).to_owned(), ran(end.clone()))).collect();
        HelmTestAnswer { hooks: ends.iter().map(|(name, _)| (*name).to_owned()).collect(), ran }
    }

    fn claim(only: &[&str]) -> HelmTest {
        HelmTest { release: None, only: only.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn a_release_without_test_hooks_is_not_green() {
        assert!(matches!(claim(&[]).judge(&answer(&[])), Verdict::Broken { .. }));
    }

    #[test]
    fn a_name_that_matches_no_hook_is_not_green() {
        assert!(matches!(claim(&["pnig"]).judge(&answer(&[("ping", Ok(()))])), Verdict::Broken { .. }));
    }

    #[test]
    fn one_failed_hook_breaks_the_claim_and_is_named() {
        let answer = answer(&[("a", Ok(())), ("b", Err(vec!["exited with 1".to_owned()]))]);
        let Verdict::Broken { expected, actual, .. } = claim(&[]).judge(&answer) else { panic!("not broken") };
        assert_eq!((expected.as_str(), actual.as_str()), ("test hook b runs to success", "exited with 1"));
    }

    #[test]
    fn every_hook_that_passed_is_said() {
        assert_eq!(
            claim(&[]).judge(&answer(&[("a", Ok(())), ("b", Ok(()))])),
            Verdict::held(
                "test hook a succeeded, launched after 1s (starting 1s); its log ends: PONG; \
                 test hook b succeeded, launched after 1s (starting 1s); its log ends: PONG"
            )
        );
    }
}
