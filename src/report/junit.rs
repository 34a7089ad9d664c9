//! JUnit: one test suite for each suite, one test case for each check, and one for everything else that can go wrong.
//!
//! - A component is a case (is it ready?), and so are the deploy budget, the cluster and the teardown: a platform that
//!   could not even be installed must be red in a CI's test tab too.
//! - Broken is a failure; unclear, our bug and not run are errors; blocked and left out are skipped with their reason.
//!   Not run is an error because a test tab shows a skipped case in grey, and an interrupted run must not look passed.
//! - [`Dialect::Strict`] is valid against the Jenkins xunit plugin's `junit-10.xsd`, which forbids some of what other
//!   readers understand; there the same is said in `system-out`.

use std::io;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::figures::plain;
use super::out::Out;
use super::record::{Record, StepRecord};
use super::suites::{SuitePart, suites, the_runs_own};
use super::telling::{headline, numbers, outcome_line, particulars, serves, verdict_line, warnings, word};
use crate::checks::Verdict;
use crate::events::{Ending, Fault, Outcome};
use crate::number::count;
use crate::plan::Omission;

/// Whose idea of JUnit is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// With properties and times on every case, which most readers show and the others ignore.
    #[default]
    Rich,
    /// Valid against `junit-10.xsd`.
    Strict,
}

/// Tells a run to a CI's test tab, all at its end.
pub struct Junit {
    out: Out,
    dialect: Dialect,
}

impl Junit {
    /// A JUnit file that goes to `out`.
    #[must_use]
    pub fn new(out: Out, dialect: Dialect) -> Self {
        Self { out, dialect }
    }

    pub(super) fn close(mut self, record: &Record) -> io::Result<()> {
        let xml = Telling { record, dialect: self.dialect }.report().to_string().map_err(io::Error::other)?;
        let xml = match self.dialect {
            Dialect::Rich => xml,
            Dialect::Strict => without_root_skipped(&xml),
        };
        self.out.write_all(xml.as_bytes())?;
        self.out.flush()
    }
}

/// What a JUnit file says while the run is under way, in either dialect: who is killed writes nothing any more, and an empty
/// file is taken for no file at all by some readers.
///
/// # Errors
/// Where it cannot be written as XML.
pub fn unended() -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new("run");
    suite.add_test_case(not_run("end", "it has not come to its end: it is under way, or something ended it"));
    let mut report = quick_junit::Report::new("seaworthy");
    report.add_test_suite(suite);
    Ok(without_root_skipped(&report.to_string()?))
}

/// A case that stands for what was to be, and was not.
fn not_run(name: &str, why: &str) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type("not run").set_message(why);
    TestCase::new(name, status)
}

/// `junit-10.xsd` knows `skipped` on a suite but not on the root, where quick-junit always writes it.
fn without_root_skipped(xml: &str) -> String {
    let Some(root) = xml.find("<testsuites ") else { return xml.to_owned() };
    let (before, rest) = xml.split_at(root);
    let (tag, after) = rest.split_at(rest.find('>').unwrap_or(rest.len()));
    let kept: Vec<&str> = tag.split(' ').filter(|attribute| !attribute.starts_with("skipped=")).collect();
    format!("{before}{}{after}", kept.join(" "))
}

#[derive(Clone, Copy)]
struct Telling<'a> {
    record: &'a Record,
    dialect: Dialect,
}

impl Telling<'_> {
    fn report(self) -> quick_junit::Report {
        let mut report = quick_junit::Report::new(self.named("seaworthy"));
        report.time = Some(Duration::from_millis(self.record.now_ms));
        if self.dialect == Dialect::Rich {
            report.timestamp = self.at(0).and_then(|text| text.parse().ok());
        }
        report.add_test_suite(self.the_run());
        for (name, part) in suites(self.record) {
            report.add_test_suite(self.suite(&self.named(name.as_str()), &part));
        }
        report
    }

    /// A name under which a CI keeps the history of cases: what is rehearsed has one of its own.
    fn named(self, name: &str) -> String {
        if self.record.tally.rehearsed { format!("rehearsal.{name}") } else { name.to_owned() }
    }

    /// The cluster and the teardown; and of a run that never began, or checked nothing, that it did so.
    fn the_run(self) -> TestSuite {
        let name = self.named("run");
        let mut suite = self.empty_suite(&name);
        for step in the_runs_own(self.record) {
            suite.add_test_case(self.case(&name, step.outline.id.as_str(), &[step]));
        }
        if self.record.run.is_none() {
            suite.add_test_case(not_run("start", "the run stopped before it began"));
        } else if self.record.tally.outcome() == Outcome::Nothing {
            suite.add_test_case(not_run("checks", "nothing was checked, so nothing is known"));
        }
        timed(suite)
    }

    fn suite(self, name: &str, part: &SuitePart<'_>) -> TestSuite {
        let mut suite = self.empty_suite(name);
        for step in &part.own {
            suite.add_test_case(self.case(name, own_name(step), &[step]));
        }
        for (component, steps) in &part.components {
            let class = format!("{name}.{component}");
            let (checks, deeds): (Vec<&StepRecord>, Vec<&StepRecord>) = steps.iter().partition(|step| step.is_check());
            if !deeds.is_empty() {
                suite.add_test_case(self.case(&class, &format!("{component} is ready"), &deeds));
            }
            for check in checks {
                suite.add_test_case(self.case(&class, own_name(check), &[check]));
            }
        }
        for omission in &part.left_out {
            suite.add_test_case(left_out(name, omission));
        }
        timed(suite)
    }

    fn empty_suite(self, name: &str) -> TestSuite {
        let mut suite = TestSuite::new(name);
        suite.timestamp = self.at(0).and_then(|text| text.parse().ok());
        suite.add_properties(self.properties());
        suite
    }

    fn properties(self) -> Vec<Property> {
        let tally = &self.record.tally;
        let run = self.record.run.iter().flat_map(|run| {
            [
                ("seaworthy", &run.seaworthy),
                ("run", &run.run),
                ("environment", &run.environment),
                ("cluster", &run.cluster),
            ]
        });
        run.map(|(name, value)| Property::new(name, plain(value)))
            .chain([
                Property::new("outcome", outcome_line(tally)),
                Property::new("exit-code", tally.exit_code().to_string()),
            ])
            .collect()
    }

    /// One case for steps that are one thing to the reader; the first that did not hold decides.
    fn case(self, class: &str, name: &str, steps: &[&StepRecord]) -> TestCase {
        let decisive = steps.iter().find(|step| !step.has_held()).or(steps.last());
        let mut case =
            TestCase::new(plain(name), decisive.map_or_else(TestCaseStatus::success, |step| self.status(step)));
        case.set_classname(class);
        case.set_time(Duration::from_millis(steps.iter().map(|step| step.took_ms()).sum()));
        if let Some(step) = decisive {
            self.describe(&mut case, step, steps);
        }
        case
    }

    /// What a case says beside how it ended: of the step that decides, and what is worth knowing of any.
    fn describe(self, case: &mut TestCase, step: &StepRecord, steps: &[&StepRecord]) {
        let mut out = vec![plain(&step.outline.title)];
        if let Some(Ending::Held { saw, .. }) = &step.ending {
            out.push(plain(saw));
        }
        out.extend(steps.iter().flat_map(|step| warnings(step)).map(|text| format!("warning: {}", plain(text))));
        match self.dialect {
            Dialect::Rich => {
                case.timestamp = step.began_ms.and_then(|began| self.at(began)).and_then(|text| text.parse().ok());
                let ids = step.outline.requirements.iter();
                case.add_properties(ids.map(|id| Property::new("requirement", id.as_str())));
            }
            Dialect::Strict => out.extend(serves(step).iter().map(|ids| format!("serves {ids}"))),
        }
        if step.looks_taken > 1 {
            out.push(count(step.looks_taken as usize, "look"));
        }
        case.set_system_out(out.join("\n"));
    }

    fn status(self, step: &StepRecord) -> TestCaseStatus {
        let Some(ending) = &step.ending else { return TestCaseStatus::non_success(NonSuccessKind::Error) };
        let mut status = match ending {
            Ending::Held { .. } => return held(step),
            Ending::Broken { .. } | Ending::Unclear { fault: Fault::Platform, .. } => {
                TestCaseStatus::non_success(NonSuccessKind::Failure)
            }
            Ending::Unclear { fault: Fault::Environment | Fault::Ourselves, .. } | Ending::NotRun { .. } => {
                TestCaseStatus::non_success(NonSuccessKind::Error)
            }
            Ending::Blocked { .. } => TestCaseStatus::skipped(),
        };
        status.set_type(word(ending)).set_message(self.message(ending));
        let body = body(step);
        if !body.is_empty() {
            status.set_description(body);
        }
        status
    }

    /// The headline; of a blocked step, with the headline of what blocks it.
    fn message(self, ending: &Ending) -> String {
        let beneath = match ending {
            Ending::Blocked { by } => self.record.steps.get(by).and_then(|step| step.ending.as_ref()),
            Ending::Held { .. } | Ending::Broken { .. } | Ending::Unclear { .. } | Ending::NotRun { .. } => None,
        };
        match beneath {
            Some(cause) => format!("{}: {}", headline(ending), headline(cause)),
            None => headline(ending),
        }
    }

    /// A moment of the run on the wall's clock.
    fn at(self, ms: u64) -> Option<String> {
        let started: Timestamp = self.record.run.as_ref()?.started;
        let since = SignedDuration::from_millis(i64::try_from(ms).ok()?);
        started.checked_add(since).ok().map(|moment| moment.to_string())
    }
}

/// The suite with the time of its cases, as readers of JUnit expect; they ran side by side, so it is not wall time.
fn timed(mut suite: TestSuite) -> TestSuite {
    let time = suite.test_cases.iter().filter_map(|case| case.time).sum();
    suite.set_time(time);
    suite
}

/// The last part of a step's name: stable from run to run, as a CI's history needs it.
fn own_name(step: &StepRecord) -> &str {
    let id = step.outline.id.as_str();
    id.rsplit('/').next().unwrap_or(id)
}

/// A case that held; each different thing seen before it did is a flaky run of it.
fn held(step: &StepRecord) -> TestCaseStatus {
    let mut status = TestCaseStatus::success();
    for look in step.red_looks() {
        let (kind, ty) = match look.verdict {
            Verdict::Held { .. } => continue,
            Verdict::Broken { .. } => (NonSuccessKind::Failure, "broken"),
            Verdict::Unclear { .. } => (NonSuccessKind::Error, "unclear"),
        };
        let mut rerun = TestRerun::new(kind);
        rerun.set_type(ty).set_message(format!("{}: {}", numbers(look), verdict_line(&look.verdict)));
        status.add_rerun(rerun);
    }
    status
}

/// The particulars of a red step, a label over each.
fn body(step: &StepRecord) -> String {
    let block = |label: &str, lines: &[String]| match lines {
        [line] => format!("{label}: {line}\n"),
        lines => lines.iter().fold(format!("{label}:\n"), |text, line| format!("{text}  {line}\n")),
    };
    particulars(step).iter().map(|particular| block(particular.label, &particular.lines)).collect()
}

/// A case for something that the environment leaves out.
fn left_out(suite: &str, omission: &Omission) -> TestCase {
    let place = &omission.place;
    let component = place.component.as_ref().map(|name| format!("{name} is ready"));
    let name = place.check.as_ref().map(ToString::to_string).or(component).unwrap_or_else(|| suite.to_owned());
    let class = place.component.iter().fold(suite.to_owned(), |class, component| format!("{class}.{component}"));
    let mut status = TestCaseStatus::skipped();
    status.set_type("skipped").set_message(plain(&omission.reason));
    let mut case = TestCase::new(name, status);
    case.set_classname(class).set_time(Duration::ZERO);
    let ids: Vec<&str> = omission.requirements.iter().map(|id| id.as_str()).collect();
    if !ids.is_empty() {
        case.set_system_out(format!("leaves unserved {}", ids.join(", ")));
    }
    case
}
