//! Stored transcripts told again: what every report says of a run, whole.
//!
//! A snapshot lies beside the transcript that it was made from: `green.jsonl` → `green.terminal.snap`, and so on.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do fails the test")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use seaworthy::events::Event;
use seaworthy::report::{
    Colour, Dialect, Github, Junit, Out, Reading, Reporter, Reports, Terminal, Transcript, TranscriptError, Voice,
    coloured, read, unended,
};

/// Every stored run with its exit code.
const RUNS: [(&str, u8); 7] = [
    ("green", 0),
    ("broken-pull", 1),
    ("unsteady-sign-off", 5),
    ("unclear", 3),
    ("interrupted", 130),
    ("killed", 130),
    ("foreign-text", 70),
];

/// A file in memory that can still be read when its writer is gone.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn out(&self) -> Out {
        Box::new(self.clone())
    }

    fn terminal(&self, voice: Voice) -> Reporter {
        Reporter::Terminal(Terminal::plain(Box::new(anstream::StripStream::new(self.out())), voice))
    }

    fn junit(&self, dialect: Dialect) -> Reporter {
        Reporter::Junit(Junit::new(self.out(), dialect))
    }
}

fn stored(run: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/replay/{run}.jsonl", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn reading(run: &str) -> Reading {
    read(stored(run).as_slice()).unwrap()
}

/// Feeds the events to one reporter and gives the exit code.
fn tell(events: &[Event], reporter: Reporter) -> u8 {
    let mut reports = Reports::new(vec![reporter]);
    for event in events {
        reports.take(event);
    }
    let code = reports.tally().exit_code();
    let complaints = reports.close();
    assert!(complaints.is_empty(), "{complaints:?}");
    code
}

fn check(run: &str, report: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("replay");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("{run}.{report}"), text));
}

#[test]
fn every_run_has_its_exit_code() {
    for (run, code) in RUNS {
        assert_eq!(tell(&reading(run).events, Page::default().terminal(Voice::Normal)), code, "{run}");
    }
}

#[test]
fn a_terminal_is_told_the_whole_run() {
    for (run, _) in RUNS {
        let page = Page::default();
        tell(&reading(run).events, page.terminal(Voice::Normal));
        check(run, "terminal", &page.text());
    }
}

#[test]
fn a_quiet_terminal_is_told_what_is_red_and_a_verbose_one_every_look() {
    let quiet = Page::default();
    tell(&reading("broken-pull").events, quiet.terminal(Voice::Quiet));
    check("broken-pull", "quiet", &quiet.text());
    let verbose = Page::default();
    tell(&reading("unsteady-sign-off").events, verbose.terminal(Voice::Verbose));
    check("unsteady-sign-off", "verbose", &verbose.text());
}

#[test]
fn a_test_tab_is_told_the_whole_run() {
    for (run, _) in RUNS {
        for (dialect, name) in [(Dialect::Rich, "junit"), (Dialect::Strict, "junit-strict")] {
            let page = Page::default();
            tell(&reading(run).events, page.junit(dialect));
            check(run, name, &page.text());
        }
    }
}

#[test]
fn a_pull_request_is_told_what_is_red() {
    for (run, _) in RUNS {
        let (annotations, summary) = (Page::default(), Page::default());
        tell(&reading(run).events, Reporter::Github(Github::new(annotations.out(), summary.out())));
        check(run, "github", &format!("{}\n────\n{}", annotations.text(), summary.text()));
    }
}

#[test]
fn a_transcript_that_is_told_again_is_the_same_byte_for_byte() {
    for (run, _) in RUNS {
        let page = Page::default();
        let events = reading(run).events;
        tell(&events, Reporter::Transcript(Transcript::new(page.out())));
        let stored = String::from_utf8(stored(run)).unwrap();
        let whole_lines = stored.rfind('\n').map_or(0, |end| end + 1);
        assert_eq!(page.text(), stored[..whole_lines], "{run}");
        let (live, replayed) = (Page::default(), Page::default());
        tell(&events, live.terminal(Voice::Verbose));
        tell(&read(page.text().as_bytes()).unwrap().events, replayed.terminal(Voice::Verbose));
        assert_eq!(live.text(), replayed.text(), "{run}");
    }
}

/// What `junit-10.xsd` allows, as far as we could ever write something else.
#[test]
fn the_strict_dialect_writes_what_the_schema_knows_and_no_more() {
    let known: [(&str, &[&str]); 9] = [
        ("testsuites", &["name", "time", "tests", "failures", "disabled", "errors"]),
        ("testsuite", &["name", "tests", "failures", "errors", "time", "disabled", "skipped", "timestamp"]),
        ("properties", &[]),
        ("property", &["name", "value"]),
        ("testcase", &["name", "time", "classname"]),
        ("failure", &["message", "type"]),
        ("error", &["message", "type"]),
        ("skipped", &["message", "type"]),
        ("system-out", &[]),
    ];
    let told = RUNS.iter().map(|(run, _)| {
        let page = Page::default();
        tell(&reading(run).events, page.junit(Dialect::Strict));
        (*run, page.text())
    });
    for (run, text) in told.chain([("under way", unended().unwrap())]) {
        let xml = roxmltree::Document::parse(&text).unwrap();
        for element in xml.descendants().filter(roxmltree::Node::is_element) {
            let name = element.tag_name().name();
            let flaky: (&str, &[&str]) = (name, &["message", "type"]);
            let row = known.iter().find(|(known, _)| *known == name).copied();
            let (_, attributes) = row.or(name.starts_with("flaky").then_some(flaky)).expect(name);
            for attribute in element.attributes() {
                assert!(attributes.contains(&attribute.name()), "{run}: {name} {}", attribute.name());
            }
            let in_a_case = element.ancestors().any(|above| above.has_tag_name("testcase"));
            assert!(!(name == "properties" && in_a_case), "{run}: properties within a case");
        }
    }
}

/// A test tab adds up what its file says.
#[test]
fn the_counts_of_a_junit_file_are_those_of_its_cases() {
    for (run, code) in RUNS {
        let page = Page::default();
        tell(&reading(run).events, page.junit(Dialect::Rich));
        let text = page.text();
        let xml = roxmltree::Document::parse(&text).unwrap();
        let count = |tag: &str| xml.descendants().filter(|node| node.has_tag_name(tag)).count().to_string();
        let said = |attribute: &str| xml.root_element().attribute(attribute).unwrap().to_owned();
        assert_eq!(said("tests"), count("testcase"), "{run}");
        assert_eq!(said("failures"), count("failure"), "{run}");
        assert_eq!(said("errors"), count("error"), "{run}");
        assert_eq!(said("skipped"), count("skipped"), "{run}");
        let red = said("failures") != "0" || said("errors") != "0";
        assert_eq!(red, !matches!(code, 0 | 5), "{run}: a red run has a red case, and a green one has none");
    }
}

#[test]
fn a_run_that_never_began_is_an_error_in_the_test_tab() {
    let page = Page::default();
    assert_eq!(tell(&[], page.junit(Dialect::Rich)), 130);
    assert!(page.text().contains("the run stopped before it began"));
}

#[test]
fn colours_go_where_they_are_asked_for() {
    let text = |colour| {
        let page = Page::default();
        let out = coloured(page.out() as Box<dyn Write + Send>, colour);
        tell(&reading("green").events, Reporter::Terminal(Terminal::plain(Box::new(out), Voice::Normal)));
        page.text()
    };
    assert!(text(Colour::Always).contains("\u{1b}["));
    assert!(!text(Colour::Never).contains('\u{1b}'));
}

/// The mask must survive every report: Markdown and XML would take it for a tag.
#[test]
fn a_masked_secret_is_seen_to_be_masked() {
    let (annotations, summary, junit) = (Page::default(), Page::default(), Page::default());
    let events = reading("foreign-text").events;
    tell(&events, Reporter::Github(Github::new(annotations.out(), summary.out())));
    tell(&events, junit.junit(Dialect::Rich));
    for text in [summary.text(), junit.text()] {
        assert!(text.contains("&lt;sensitive&gt;") && !text.contains("<sensitive>"));
    }
}

#[test]
fn a_transcript_cut_off_in_the_middle_of_a_line_is_read_up_to_it() {
    let reading = reading("killed");
    assert_eq!(reading.events.len(), 29);
    assert_eq!(reading.warning.as_deref(), Some("line 30 is cut off; what follows line 29 is not known"));
}

#[test]
fn a_transcript_that_is_none_is_refused_with_its_line() {
    let green = String::from_utf8(stored("green")).unwrap();
    let first = green.lines().next().unwrap();
    let without_the_third = green.lines().enumerate().filter(|(line, _)| *line != 2);
    let rows = [
        ("", "the transcript is empty".to_owned()),
        ("{\"seq\":0", "the transcript is empty".to_owned()),
        ("not json\n", "line 1 of the transcript is not an event".to_owned()),
        ("{}\n", "line 1 of the transcript: a run starts on line 1 and nowhere else".to_owned()),
        (
            &first.replace("\"format\":1", "\"format\":9"),
            "line 1: the transcript has format 9, and this program reads format 1".to_owned(),
        ),
        (&format!("{first}\n{{}}"), "line 2 of the transcript is not an event".to_owned()),
        (
            &format!("{first}\n{}", first.replace("\"seq\":0", "\"seq\":1")),
            "line 2 of the transcript: a run starts on line 1 and nowhere else".to_owned(),
        ),
        (
            &format!("{first}\n{{\"seq\":1,\"at_ms\":1,\"event\":\"step-started\",\"step\":\"a/b\"}}"),
            "line 2 of the transcript speaks of step `a/b`, which the run's plan does not have".to_owned(),
        ),
        (
            &without_the_third.map(|(_, line)| line).collect::<Vec<_>>().join("\n"),
            "line 3 of the transcript is event 3, where event 2 belongs".to_owned(),
        ),
    ];
    for (text, complaint) in rows {
        let whole =
            if text.starts_with("{\"seq\":0") && text.len() < 20 { text.to_owned() } else { format!("{text}\n") };
        let whole = if text.is_empty() { String::new() } else { whole };
        let error: TranscriptError = read(whole.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), complaint);
    }
}

/// A disk that is full after a few lines.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_report_that_cannot_be_written_is_said_and_the_others_go_on() {
    let page = Page::default();
    let full = Reporter::Transcript(Transcript::new(Box::new(Full(3))));
    let mut reports = Reports::new(vec![full, page.junit(Dialect::Rich)]);
    for event in reading("green").events {
        reports.take(&event);
    }
    let complaints: Vec<String> = reports.close().iter().map(ToString::to_string).collect();
    assert_eq!(complaints, ["cannot write the transcript"]);
    assert!(page.text().ends_with("</testsuites>\n"));
}
