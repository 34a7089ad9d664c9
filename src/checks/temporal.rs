//! Temporal: its frontend is well, a namespace is there, and a workflow that is started is worked on and finished.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::Faults;
use super::{Access, Address, Claim, Obstacle, Trust, Verdict, VersionRange};

/// A claim about a Temporal, over gRPC. That its frontend says of itself that it serves, that the namespace is registered and that one
/// which nobody has is not there are always part of it. There is no `expect: denied`: a server asks nobody who they are unless it is
/// configured to (`authorization`, `requireClientAuth`), and of one that does it is unclear how it is: who we are to it cannot be claimed.
/// What lists and counts workflows, its visibility, is not looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Temporal {
    /// Its frontend's gRPC port, 7233 as a rule. Each look talks to one of the servers behind a Service, the next look to the next one.
    pub at: Address,
    /// The namespace: one of Temporal's own, not of the cluster.
    #[serde(default = "default")]
    pub namespace: String,
    /// Its version.
    #[serde(default)]
    pub version: Option<VersionRange>,
    /// Whether a workflow is started, on a task queue of its own, finished by a worker of ours and deleted.
    #[serde(default = "yes")]
    pub writes: bool,
    /// Talks TLS; trusts any certificate, or only what a CA signed.
    #[serde(default)]
    pub tls: Option<Trust>,
}

const fn yes() -> bool {
    true
}

fn default() -> String {
    "default".to_owned()
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemporalAnswer {
    /// There was nobody to talk to.
    Unmet(Obstacle),
    /// What it said of its health, which is not that it serves: `NOT_SERVING`, or an error.
    Unwell(String),
    /// What whoever comes may ask brought an error: the call, then its code and its words.
    Refused(&'static str, String),
    /// It is well.
    Open(Box<TemporalFacts>),
}

/// What a server that is well showed. Errors begin with their codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporalFacts {
    /// Its version: `1.29.1`.
    pub version: String,
    /// The state of the namespace, such as `REGISTERED`; or the error in place of it.
    pub namespace: Result<String, String>,
    /// The same of a namespace that nobody has; `None` where the one that is meant is not there.
    pub nobodys: Option<Result<String, String>>,
    /// What came of a workflow of ours; `None` where none was to be started.
    pub workflow: Option<TemporalStart>,
    /// The workflow that could not be removed, and why.
    pub leftover: Option<String>,
}

/// What came of starting a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemporalStart {
    /// The server said no.
    Refused(String),
    /// The server said yes.
    Taken(Box<TemporalRun>),
}

/// A workflow that a server has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporalRun {
    /// What came to a worker that waited for its task.
    pub task: TemporalTask,
    /// What came of telling that the task is done, with a result; `None` where none came.
    pub done: Option<Result<(), String>>,
    /// The status of the workflow after all that, such as `COMPLETED`; or the error in place of it.
    pub status: Result<String, String>,
    /// What its history has as its result; `None` where nothing was done.
    pub result: Option<TemporalResult>,
}

/// What came to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemporalTask {
    /// The task, with the input that the workflow was started with.
    Same,
    /// None in time.
    Nothing,
    /// That of another workflow, or with another input.
    Other,
    /// An error.
    Refused(String),
}

/// What a history has as the result of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemporalResult {
    /// What the worker gave.
    Same,
    /// None: the event that ends it is missing, or empty.
    Nothing,
    /// Another.
    Other,
    /// An error.
    Refused(String),
}

/// The state of a namespace that can be used, and the status of a workflow that ended well.
const REGISTERED: &str = "REGISTERED";
const COMPLETED: &str = "COMPLETED";

/// The code of what is not there.
const NOT_FOUND: &str = "NOT_FOUND";

/// The codes with which whoever has no business in a namespace is told so.
const KEPT_OUT: [&str; 3] = [NOT_FOUND, "PERMISSION_DENIED", "UNAUTHENTICATED"];

/// An error begins with its code: `NOT_FOUND: Namespace orders is not found.`
fn code_of(error: &str) -> &str {
    error.split(':').next().unwrap_or_default()
}

impl Claim for Temporal {
    type Answer = TemporalAnswer;

    fn judge(&self, answer: &TemporalAnswer) -> Verdict {
        let at = &self.at;
        let serves = format!("temporal {at} serves");
        match answer {
            TemporalAnswer::Unmet(obstacle) => obstacle.judge(serves, Access::Allowed),
            TemporalAnswer::Unwell(said) => {
                Verdict::broken(serves, format!("temporal {at} says of its own health: {said}"))
            }
            TemporalAnswer::Refused(call, error) => {
                Verdict::broken(serves, format!("temporal {at} answered {call} with {error}"))
            }
            TemporalAnswer::Open(facts) => self.judge_facts(facts),
        }
    }
}

impl Temporal {
    fn judge_facts(&self, facts: &TemporalFacts) -> Verdict {
        let (at, namespace) = (&self.at, &self.namespace);
        let mut faults = Faults::default();
        if let Some(range) = &self.version {
            let holds = range.holds(&facts.version) == Some(true);
            faults.unless(holds, format!("version {range}"), format!("temporal {at} is version {}", facts.version));
        }
        let there = match &facts.namespace {
            Ok(state) if state == REGISTERED => None,
            Ok(state) => Some(format!("namespace {namespace} of temporal {at} is {state}")),
            Err(error) if code_of(error) == NOT_FOUND => {
                Some(format!("temporal {at} has no namespace {namespace}: {error}"))
            }
            Err(error) if KEPT_OUT.contains(&code_of(error)) => {
                return faults
                    .or_unclear(format!("temporal {at} wants to know who asks for namespace {namespace}: {error}"));
            }
            Err(error) => Some(format!("temporal {at}, asked for namespace {namespace}, answered {error}")),
        };
        let wanted = format!("temporal {at} has a namespace {namespace}");
        faults.unless(there.is_none(), wanted, there.unwrap_or_default());
        if let Some(start) = &facts.workflow {
            let wrong = self.unfinished(start);
            let wanted = format!("temporal {at} sees a workflow through");
            faults.unless(wrong.is_none(), wanted, wrong.unwrap_or_default());
        }
        match &facts.nobodys {
            Some(Ok(state)) => faults.unless(
                false,
                "a namespace that nobody has is not there",
                format!("temporal {at} says of a namespace that nobody has that it is {state}"),
            ),
            Some(Err(error)) if !KEPT_OUT.contains(&code_of(error)) => {
                return faults
                    .or_unclear(format!("temporal {at}, asked for a namespace that nobody has, answered {error}"));
            }
            Some(Err(_)) | None => {}
        }
        let mut verdict = faults.or_held(self.sight(facts));
        if let Verdict::Held { warnings, .. } = &mut verdict {
            warnings.extend(facts.leftover.iter().map(|left| format!("something of ours was left behind: {left}")));
        }
        verdict
    }

    /// What has kept a workflow from its end, the first thing of all.
    fn unfinished(&self, start: &TemporalStart) -> Option<String> {
        let (at, namespace) = (&self.at, &self.namespace);
        let run = match start {
            TemporalStart::Refused(error) => {
                return Some(format!("temporal {at} refused to start a workflow in namespace {namespace}: {error}"));
            }
            TemporalStart::Taken(run) => run,
        };
        let is = run.status.as_ref().unwrap_or_else(|error| error);
        match &run.task {
            TemporalTask::Same => {}
            TemporalTask::Nothing => {
                let took = format!("temporal {at} took a workflow, and no task of it came to a worker");
                return Some(format!("{took}; what it says of the workflow: {is}"));
            }
            TemporalTask::Other => {
                return Some(format!("temporal {at} gave a worker another task than that of the workflow it took"));
            }
            TemporalTask::Refused(error) => {
                return Some(format!("temporal {at} took a workflow and refused a worker its task: {error}"));
            }
        }
        if let Some(Err(error)) = &run.done {
            return Some(format!("temporal {at} gave a worker a task and refused what came of it: {error}"));
        }
        if run.status.as_deref() != Ok(COMPLETED) {
            return Some(format!("temporal {at} took what a worker had done, and says of the workflow then: {is}"));
        }
        let result = match &run.result {
            Some(TemporalResult::Same) => return None,
            Some(TemporalResult::Nothing) | None => "none",
            Some(TemporalResult::Other) => "another one",
            Some(TemporalResult::Refused(error)) => error,
        };
        Some(format!("temporal {at} completed a workflow and then had in place of its result: {result}"))
    }

    /// What a claim that holds has shown, in one line.
    fn sight(&self, facts: &TemporalFacts) -> String {
        let (at, namespace, version) = (&self.at, &self.namespace, &facts.version);
        let through = if facts.workflow.is_some() { ", and saw a workflow through" } else { "" };
        format!("temporal {at} {version} has namespace {namespace}{through}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(more: &str) -> Temporal {
        serde_saphyr::from_str(&format!("{{at: 'flows:7233', {more}}}")).unwrap()
    }

    const GONE: &str = "NOT_FOUND: Namespace default is not found.";
    const AWAY: &str = "UNAVAILABLE: shard is not to be had";

    fn run() -> TemporalRun {
        TemporalRun {
            task: TemporalTask::Same,
            done: Some(Ok(())),
            status: Ok("COMPLETED".to_owned()),
            result: Some(TemporalResult::Same),
        }
    }

    fn facts(run: TemporalRun) -> TemporalFacts {
        TemporalFacts {
            version: "1.29.1".to_owned(),
            namespace: Ok("REGISTERED".to_owned()),
            nobodys: Some(Err(GONE.to_owned())),
            workflow: Some(TemporalStart::Taken(run.into())),
            leftover: None,
        }
    }

    fn judged(facts: TemporalFacts) -> Verdict {
        claim("").judge(&TemporalAnswer::Open(facts.into()))
    }

    #[track_caller]
    fn actual(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Broken { actual, .. } => actual,
            Verdict::Held { .. } | Verdict::Unclear { .. } => panic!("not broken: {verdict:?}"),
        }
    }

    #[test]
    fn a_server_that_sees_a_workflow_through_holds() {
        let held = "temporal flows:7233 1.29.1 has namespace default, and saw a workflow through";
        assert_eq!(judged(facts(run())), Verdict::held(held));
        let alone = TemporalFacts { workflow: None, ..facts(run()) };
        let verdict = claim("writes: false, namespace: orders").judge(&TemporalAnswer::Open(alone.into()));
        assert_eq!(verdict, Verdict::held("temporal flows:7233 1.29.1 has namespace orders"));
    }

    #[test]
    fn a_server_that_does_not_serve_is_told_in_its_own_words() {
        let of = |answer| actual(&claim("").judge(&answer)).to_owned();
        let unwell = of(TemporalAnswer::Unwell("NOT_SERVING".to_owned()));
        assert_eq!(unwell, "temporal flows:7233 says of its own health: NOT_SERVING");
        let refused = of(TemporalAnswer::Refused("GetSystemInfo", AWAY.to_owned()));
        assert_eq!(refused, format!("temporal flows:7233 answered GetSystemInfo with {AWAY}"));
        assert_eq!(of(TemporalAnswer::Unmet(Obstacle::Refused("nothing listens".to_owned()))), "nothing listens");
    }

    #[test]
    fn every_part_of_a_workflow_can_fail() {
        let of = |change: fn(&mut TemporalRun)| {
            let mut run = run();
            change(&mut run);
            actual(&judged(facts(run))).to_owned()
        };
        let took =
            "temporal flows:7233 took a workflow, and no task of it came to a worker; what it says of the workflow: ";
        for (status, is) in [(Ok("RUNNING"), "RUNNING"), (Err(AWAY), AWAY)] {
            let status = status.map(str::to_owned).map_err(str::to_owned);
            let waiting = TemporalRun { task: TemporalTask::Nothing, done: None, status, result: None };
            assert_eq!(actual(&judged(facts(waiting))), format!("{took}{is}"));
        }
        assert!(of(|run| run.task = TemporalTask::Other).ends_with("another task than that of the workflow it took"));
        assert!(of(|run| run.task = TemporalTask::Refused(AWAY.into())).ends_with(AWAY));
        assert!(of(|run| run.done = Some(Err(AWAY.into()))).ends_with(&format!("refused what came of it: {AWAY}")));
        for status in [Ok("RUNNING".to_owned()), Err(AWAY.to_owned())] {
            let is = status.clone().unwrap_or_else(|error| error);
            let verdict = judged(facts(TemporalRun { status, ..run() }));
            assert!(actual(&verdict).ends_with(&format!("says of the workflow then: {is}")), "{verdict:?}");
        }
        let result = "temporal flows:7233 completed a workflow and then had in place of its result: ";
        assert_eq!(of(|run| run.result = Some(TemporalResult::Nothing)), format!("{result}none"));
        assert_eq!(of(|run| run.result = Some(TemporalResult::Other)), format!("{result}another one"));
        assert_eq!(of(|run| run.result = Some(TemporalResult::Refused(AWAY.into()))), format!("{result}{AWAY}"));
        let refused = TemporalFacts { workflow: Some(TemporalStart::Refused(AWAY.into())), ..facts(run()) };
        assert!(actual(&judged(refused)).ends_with(&format!("to start a workflow in namespace default: {AWAY}")));
    }

    #[test]
    fn a_namespace_must_be_registered_and_that_of_nobody_must_not_be_there() {
        let of = |namespace: Result<&str, &str>| {
            let namespace = namespace.map(str::to_owned).map_err(str::to_owned);
            let facts = TemporalFacts { namespace, nobodys: None, workflow: None, ..facts(run()) };
            actual(&judged(facts)).to_owned()
        };
        assert_eq!(of(Ok("DEPRECATED")), "namespace default of temporal flows:7233 is DEPRECATED");
        assert_eq!(of(Err(GONE)), format!("temporal flows:7233 has no namespace default: {GONE}"));
        assert_eq!(of(Err(AWAY)), format!("temporal flows:7233, asked for namespace default, answered {AWAY}"));
        let nobodys = |said| TemporalFacts { nobodys: Some(said), ..facts(run()) };
        let there = judged(nobodys(Ok("REGISTERED".to_owned())));
        assert!(actual(&there).ends_with("a namespace that nobody has that it is REGISTERED"));
        for code in KEPT_OUT {
            let verdict = judged(nobodys(Err(format!("{code}: no"))));
            assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
        }
        let untold = nobodys(Err(AWAY.to_owned()));
        let verdict = judged(untold.clone());
        assert!(matches!(&verdict, Verdict::Unclear { why } if why.ends_with(AWAY)), "{verdict:?}");
        // Unless something else is wrong already.
        let both = TemporalFacts { namespace: Ok("DELETED".to_owned()), ..untold };
        assert_eq!(actual(&judged(both)), "namespace default of temporal flows:7233 is DELETED");
    }

    #[test]
    fn what_was_left_behind_is_a_warning() {
        let left = TemporalFacts { leftover: Some(format!("workflow a: {AWAY}")), ..facts(run()) };
        let Verdict::Held { warnings, .. } = judged(left) else { panic!("not held") };
        assert_eq!(warnings, [format!("something of ours was left behind: workflow a: {AWAY}")]);
    }

    #[test]
    fn another_version_is_told() {
        let verdict = claim("version: '>=1.30'").judge(&TemporalAnswer::Open(facts(run()).into()));
        assert_eq!(actual(&verdict), "temporal flows:7233 is version 1.29.1");
        let verdict = claim("version: ^1.20").judge(&TemporalAnswer::Open(facts(run()).into()));
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
    }
}
