//! Jobs: created, launched in time, run to success.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Claim, Text, Verdict};
use crate::span::Span;

/// A claim that a Job made for this check runs to success.
///
/// The Job is created under a name of its own, its logs are streamed, and it is removed afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// A file with one `batch/v1` Job; its name is used as a prefix.
    pub manifest: PathBuf,
    /// Images to use in place of those written (whole references); an environment's `images` are added.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
    /// Longest time from creation to its first container running.
    #[serde(default = "launch")]
    pub launch: Span,
    /// What its log must look like.
    #[serde(default)]
    pub log: Option<Text>,
}

/// Requirement F-5: a Job is launched in under 30 s.
const fn launch() -> Span {
    Span::secs(30)
}

/// Something that ran to its end: a Job, or a pod of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How it ended; `Err` has the lowest cause in its first line and more of what is known in the others.
    pub end: Result<(), Vec<String>>,
    /// From its creation to its first container running; `None` where none ever ran.
    pub launch: Option<Launch>,
    /// Its log, as far as it was heard; `None` where nothing could be had of it.
    pub log: Option<String>,
    /// Why a log is incomplete.
    pub cut: Option<String>,
}

/// Where the time of a launch went, from the creation to the first container running, by our clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// Until its pod was there: the API server, admission, and whoever makes the pod.
    pub admission: Span,
    /// From then until a node had taken it.
    pub scheduling: Span,
    /// How long the node pulled images, by the kubelet's own account, waiting included; nothing where they were there.
    pub pulling: Span,
    /// The rest: volumes, network, and the start itself.
    pub starting: Span,
}

impl Launch {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Span {
        Span::from(self.parts().into_iter().map(|(_, part)| part.duration()).sum::<std::time::Duration>())
    }

    /// Each part that took any time, and how long.
    #[must_use]
    pub fn told(&self) -> String {
        let parts = self.parts().into_iter().filter(|(_, part)| *part > Span::default());
        parts.map(|(name, part)| format!("{name} {part}")).collect::<Vec<_>>().join(", ")
    }

    const fn parts(&self) -> [(&'static str, Span); 4] {
        [
            ("admission", self.admission),
            ("scheduling", self.scheduling),
            ("pulling", self.pulling),
            ("starting", self.starting),
        ]
    }
}

/// What was seen.
pub type JobAnswer = Ran;

impl Ran {
    /// The verdict on something that had to run to success, its log aside.
    pub(super) fn verdict(&self, what: &str) -> Verdict {
        match &self.end {
            Err(causes) => Verdict::doomed(format!("{what} runs to success"), causes.join("\n")),
            Ok(()) => Verdict::Held { saw: self.summary(what), warnings: self.warnings() },
        }
    }

    fn summary(&self, what: &str) -> String {
        let last = self.log.as_deref().and_then(|log| log.lines().rev().find(|line| !line.trim().is_empty()));
        let launched = |launch: Launch| format!(", launched after {} ({})", launch.total(), launch.told());
        let launched = self.launch.map_or_else(String::new, launched);
        format!("{what} succeeded{launched}{}", last.map_or_else(String::new, |line| format!("; its log ends: {line}")))
    }

    /// A pod lost after success is a warning and never a failure.
    fn warnings(&self) -> Vec<String> {
        let log = match (&self.log, &self.cut) {
            (None, _) => Some("its pod was gone before its log could be heard".to_owned()),
            (Some(_), Some(why)) => Some(format!("its log is incomplete: {why}")),
            (Some(_), None) => None,
        };
        let launch = self.launch.is_none().then(|| "its pod was gone before its launch was seen".to_owned());
        log.into_iter().chain(launch).collect()
    }
}

impl Claim for Job {
    type Answer = JobAnswer;

    fn judge(&self, ran: &JobAnswer) -> Verdict {
        let verdict = ran.verdict("the Job");
        if ran.end.is_err() {
            return verdict;
        }
        if let Some(late) = ran.launch.filter(|launch| launch.total() > self.launch) {
            let (total, parts) = (late.total(), late.told());
            return Verdict::doomed(
                format!("launched within {}", self.launch),
                format!("launched after {total}: {parts}"),
            );
        }
        match (&self.log, &ran.log) {
            (Some(wanted), Some(log)) => match wanted.holds(log, ran.cut.is_none()) {
                Some(true) => verdict,
                Some(false) => Verdict::doomed(
                    format!("its log is {wanted}"),
                    format!("its log ends {}", super::expect::excerpt(&tail(log))),
                ),
                None => {
                    let cut = ran.cut.as_ref().map(|why| format!("is incomplete: {why}"));
                    let unread = cut.unwrap_or_else(|| "cannot be read as text".to_owned());
                    Verdict::unclear(format!("its log {unread}; whether it is {wanted} cannot be told"))
                }
            },
            (Some(wanted), None) => Verdict::unclear(format!(
                "the Job succeeded, but its pod was gone before its log could be heard and held against {wanted}"
            )),
            (None, _) => verdict,
        }
    }
}

/// The last lines of a log: as much as a report wants.
pub(super) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::Outlook;
    use super::*;

    fn claim(log: Option<Text>) -> Job {
        Job { manifest: "job.yaml".into(), images: BTreeMap::new(), launch: Span::secs(30), log }
    }

    const LAUNCH: Launch = Launch {
        admission: Span::millis(200),
        scheduling: Span::millis(100),
        pulling: Span::millis(1_500),
        starting: Span::millis(200),
    };

    fn ran() -> Ran {
        Ran { end: Ok(()), launch: Some(LAUNCH), log: Some("a\nmigrated 3\n".to_owned()), cut: None }
    }

    #[test]
    fn a_job_that_succeeded_in_time_holds_and_says_what_it_said() {
        let verdict = claim(Some(Text::Contains("migrated".to_owned()))).judge(&ran());
        assert_eq!(
            verdict,
            Verdict::held(
                "the Job succeeded, launched after 2s (admission 200ms, scheduling 100ms, pulling 1s500ms, starting 200ms); \
                 its log ends: migrated 3"
            )
        );
    }

    #[test]
    fn a_failed_job_is_broken_for_good_with_its_cause_first() {
        let failed =
            Ran { end: Err(vec!["pod j-x: container c exited with 1".to_owned(), "boom".to_owned()]), ..ran() };
        let Verdict::Broken { actual, outlook, .. } = claim(None).judge(&failed) else { panic!("not broken") };
        assert_eq!((actual.lines().next(), outlook), (Some("pod j-x: container c exited with 1"), Outlook::Final));
    }

    #[test]
    fn a_failed_job_is_a_failure_even_if_its_log_is_gone() {
        let failed = Ran { end: Err(vec!["BackoffLimitExceeded".to_owned()]), log: None, ..ran() };
        assert!(matches!(claim(None).judge(&failed), Verdict::Broken { .. }));
    }

    #[test]
    fn a_pod_lost_after_success_is_a_warning() {
        let Verdict::Held { warnings, .. } = claim(None).judge(&Ran { log: None, ..ran() }) else { panic!("not held") };
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn a_log_that_had_to_be_read_and_was_lost_is_unclear() {
        let verdict = claim(Some(Text::Contains("x".to_owned()))).judge(&Ran { log: None, ..ran() });
        assert!(matches!(verdict, Verdict::Unclear { .. }));
    }

    #[test]
    fn the_beginning_of_a_log_shows_what_is_in_it_and_not_what_it_lacks() {
        let cut = Ran { cut: Some("the pod was gone in the middle of a line".to_owned()), ..ran() };
        let judged = |wanted| claim(Some(wanted)).judge(&cut);
        assert!(matches!(judged(Text::Contains("migrated".to_owned())), Verdict::Held { .. }));
        assert!(matches!(judged(Text::Lacks("migrated".to_owned())), Verdict::Broken { .. }));
        let Verdict::Unclear { why } = judged(Text::Lacks("panic".to_owned())) else { panic!("judged") };
        assert!(why.starts_with("its log is incomplete: the pod was gone"), "{why}");
    }

    #[test]
    fn a_late_launch_and_a_wrong_log_are_broken() {
        let late = Ran { launch: Some(Launch { pulling: Span::secs(31), ..LAUNCH }), ..ran() };
        let Verdict::Broken { actual, .. } = claim(None).judge(&late) else { panic!("not broken") };
        assert_eq!(actual, "launched after 31s500ms: admission 200ms, scheduling 100ms, pulling 31s, starting 200ms");
        assert!(matches!(claim(Some(Text::Lacks("migrated".to_owned()))).judge(&ran()), Verdict::Broken { .. }));
    }
}
