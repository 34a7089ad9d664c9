//! What was proven of checks, as lines for people and as JUnit for a CI's test tab.
//!
//! A check that missed a fault is a failure, and so is one that weather turned red. What a check does not claim to see is
//! a skipped case: it must not look proven.

use std::collections::BTreeMap;
use std::time::Duration;

use owo_colors::OwoColorize as _;
use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use super::figures::{length, plain, wrap};
use super::terminal::Voice;
use crate::events::REHEARSAL;
use crate::number::count;
use crate::prove::{Counts, Outcome, Proof};

/// The longest line.
const WIDTH: usize = 100;

/// The room that the word before a line has.
const WORD: usize = 14;

/// The proofs of each check, then the table, then what they come to.
#[must_use]
pub fn proofs(all: &[Proof], took: Duration, voice: Voice) -> String {
    let steps = by_step(all);
    let blocks = steps.iter().flat_map(|(step, proofs)| block(step, proofs, voice));
    let widest = steps.keys().map(|step| step.chars().count()).max().unwrap_or_default();
    let head = ["seen", "missed", "borne", "false alarms", "undone", "not claimed"];
    let row = |name: &str, cells: [String; 6]| {
        let cells = cells.iter().zip(head).map(|(cell, head)| format!("  {cell:>width$}", width = head.len()));
        format!("{name:<widest$}{}", cells.collect::<String>())
    };
    let is_told = |proofs: &[&Proof]| voice != Voice::Quiet || proofs.iter().any(|proof| !proof.outcome.is_well());
    let rows = steps.iter().filter(|(_, proofs)| is_told(proofs));
    let rows = rows.map(|(step, proofs)| row(step, figures(Counts::of(proofs.iter().copied()))));
    let all_of_it = row("", figures(Counts::of(all)));
    let table = std::iter::once(row("", head.map(str::to_owned)).bold().to_string()).chain(rows).chain([all_of_it]);
    let lines = blocks.chain(table).chain([String::new(), sum(Counts::of(all), took)]);
    lines.collect::<Vec<_>>().join("\n")
}

/// What all proofs come to, in one line.
fn sum(counts: Counts, took: Duration) -> String {
    let Counts { seen, missed, borne, false_alarms, undone, later, .. } = counts;
    let took = length(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let note = |number: usize, what: &str| if number == 0 { String::new() } else { format!("; {number} {what}") };
    let undone = note(undone, "could not be brought about") + &note(later, "at a later try only");
    let (faults, weather) = (count(seen + missed, "fault"), borne + false_alarms);
    let told = format!(
        "Rehearsed: nothing real was tested. {seen} of {faults} seen, {borne} of {weather} kinds of weather borne{undone}, in \
         {took}. Exit code {}.",
        counts.exit_code()
    );
    match counts.exit_code() {
        0 => told.green().bold().to_string(),
        1 => told.red().bold().to_string(),
        _ => told.yellow().bold().to_string(),
    }
}

fn by_step(all: &[Proof]) -> BTreeMap<&str, Vec<&Proof>> {
    let mut steps: BTreeMap<&str, Vec<&Proof>> = BTreeMap::new();
    for proof in all {
        steps.entry(proof.step.as_str()).or_default().push(proof);
    }
    steps
}

fn figures(counts: Counts) -> [String; 6] {
    let figure = |number: usize| if number == 0 { "-".to_owned() } else { number.to_string() };
    let Counts { seen, missed, borne, false_alarms, undone, unclaimed, .. } = counts;
    [seen, missed, borne, false_alarms, undone, unclaimed].map(figure)
}

/// What there is to say of one check; of a quiet voice only what is wrong.
fn block(step: &str, proofs: &[&Proof], voice: Voice) -> Vec<String> {
    let mut lines = Vec::new();
    let hanging = |word: &str, text: &str| {
        let mut lines = wrap(&plain(text), WIDTH - WORD - 2).into_iter();
        let first = lines.next().unwrap_or_default();
        let rest = lines.map(|line| format!("  {:WORD$}{line}", ""));
        std::iter::once(format!("  {word:<WORD$}{first}")).chain(rest).collect::<Vec<_>>()
    };
    let names = |is: fn(&Outcome) -> bool| {
        let names: Vec<&str> = proofs.iter().filter(|it| is(&it.outcome)).map(|it| it.fault.as_str()).collect();
        names.join(", ")
    };
    for (word, names) in [
        ("seen", names(|outcome| matches!(outcome, Outcome::Seen { .. }))),
        ("borne", names(|outcome| matches!(outcome, Outcome::Borne))),
    ] {
        if !names.is_empty() && voice == Voice::Normal {
            lines.extend(hanging(word, &names));
        }
    }
    for proof in proofs {
        let fault = &proof.fault;
        let (word, text) = match &proof.outcome {
            Outcome::Seen { said, .. } if voice == Voice::Verbose => ("seen", format!("{fault}: {said}")),
            Outcome::Borne if voice == Voice::Verbose => ("borne", fault.clone()),
            Outcome::Unclaimed { why } if voice != Voice::Quiet => ("not claimed", format!("{fault}: {why}")),
            Outcome::Missed { why } => ("MISSED", format!("{fault}: {why}")),
            Outcome::FalseAlarm { said } => ("FALSE ALARM", format!("{fault}: {said}")),
            Outcome::Undone { why } => ("UNDONE", format!("{fault}: {why}")),
            Outcome::Seen { .. } | Outcome::Borne | Outcome::Unclaimed { .. } => continue,
        };
        lines.extend(hanging(word, &text));
    }
    // What is well at a later try only may be a race that a user's one run loses.
    for (proof, before) in proofs.iter().filter_map(|proof| Some((proof, proof.before.as_ref()?))) {
        if proof.outcome.is_well() && voice != Voice::Quiet {
            lines.extend(hanging("later only", &format!("{}: before, {before}", proof.fault)));
        }
    }
    if !lines.is_empty() {
        lines.insert(0, step.bold().to_string());
        lines.push(String::new());
    }
    lines
}

/// One test suite for each check, one case for each fault.
///
/// # Errors
/// Where it cannot be written as XML.
pub fn proofs_junit(all: &[Proof], took: Duration) -> Result<String, quick_junit::SerializeError> {
    let mut report = quick_junit::Report::new("rehearsal.prove");
    report.time = Some(took);
    for (step, proofs) in by_step(all) {
        let mut suite = TestSuite::new(format!("rehearsal.prove.{}", step.replace('/', ".")));
        suite.add_property(Property::new("cluster", REHEARSAL));
        for proof in proofs {
            let mut case = TestCase::new(plain(&proof.fault), status(&proof.outcome));
            case.set_classname(step).set_time(Duration::from_millis(proof.took_ms));
            if let Outcome::Seen { said, .. } = &proof.outcome {
                case.set_system_out(plain(said));
            }
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn status(outcome: &Outcome) -> TestCaseStatus {
    let (mut status, word, text) = match outcome {
        Outcome::Seen { .. } | Outcome::Borne => return TestCaseStatus::success(),
        Outcome::Missed { why } => (TestCaseStatus::non_success(NonSuccessKind::Failure), "missed", why),
        Outcome::FalseAlarm { said } => (TestCaseStatus::non_success(NonSuccessKind::Failure), "false alarm", said),
        Outcome::Undone { why } => (TestCaseStatus::non_success(NonSuccessKind::Error), "undone", why),
        Outcome::Unclaimed { why } => (TestCaseStatus::skipped(), "not claimed", why),
    };
    status.set_type(word).set_message(plain(text));
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::StepId;

    fn all() -> Vec<Proof> {
        let step: StepId = serde_json::from_str(r#""data/redis/keeps""#).unwrap();
        let proof = |fault: &str, outcome| Proof {
            step: step.clone(),
            fault: fault.to_owned(),
            outcome,
            took_ms: 20,
            tries: 1,
            before: None,
        };
        let text = || "redis r:1 is a replica".to_owned();
        vec![
            proof("wrong-role", Outcome::Seen { said: text(), unclear: false }),
            proof("hangs", Outcome::Missed { why: "not broken, but held".to_owned() }),
            proof("api-429", Outcome::Borne),
            proof("api-500", Outcome::FalseAlarm { said: text() }),
            proof("wrong-version", Outcome::Unclaimed { why: "it claims no `version`".to_owned() }),
            proof("gone", Outcome::Undone { why: "there is none".to_owned() }),
        ]
    }

    /// The text without its colours.
    fn bare(text: &str) -> String {
        super::super::figures::plain_lines(text).join("\n")
    }

    #[test]
    fn a_proving_is_told_check_by_check_and_in_figures() {
        let told = bare(&proofs(&all(), Duration::from_millis(1_250), Voice::Normal));
        insta::assert_snapshot!(told, @r"
        data/redis/keeps
          seen          wrong-role
          borne         api-429
          MISSED        hangs: not broken, but held
          FALSE ALARM   api-500: redis r:1 is a replica
          not claimed   wrong-version: it claims no `version`
          UNDONE        gone: there is none

                          seen  missed  borne  false alarms  undone  not claimed
        data/redis/keeps     1       1      1             1       1            1
                             1       1      1             1       1            1

        Rehearsed: nothing real was tested. 1 of 2 faults seen, 1 of 2 kinds of weather borne; 1 could not be brought about, in 1.2s. Exit code 1.
        ");
        let later = Proof { tries: 2, before: Some("missed: held".to_owned()), ..all().remove(0) };
        let told = bare(&proofs(&[later], Duration::ZERO, Voice::Normal));
        assert!(told.contains("later only    wrong-role: before, missed: held"), "{told}");
        let quiet = bare(&proofs(&all()[..1], Duration::ZERO, Voice::Quiet));
        assert!(!quiet.contains("wrong-role") && quiet.contains("1 of 1 fault seen"), "{quiet}");
    }

    #[test]
    fn what_is_missed_fails_in_a_test_tab_and_what_is_not_claimed_does_not_look_proven() {
        let xml = proofs_junit(&all(), Duration::ZERO).unwrap();
        let parsed = roxmltree::Document::parse(&xml).unwrap();
        let of = |name: &str| {
            let case = parsed.descendants().find(|node| node.attribute("name") == Some(name)).unwrap();
            case.children().find(|node| node.is_element()).map(|node| node.tag_name().name().to_owned())
        };
        assert_eq!(of("wrong-role").as_deref(), Some("system-out"));
        assert_eq!(of("api-429"), None);
        assert_eq!(of("hangs").as_deref(), Some("failure"));
        assert_eq!(of("api-500").as_deref(), Some("failure"));
        assert_eq!(of("gone").as_deref(), Some("error"));
        assert_eq!(of("wrong-version").as_deref(), Some("skipped"));
        assert!(xml.contains(r#"name="rehearsal.prove.data.redis.keeps""#), "{xml}");
    }
}
