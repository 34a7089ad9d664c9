//! What no author writes: every text gets an answer, soon, and never a panic.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Catalog, Mistakes, SourceFile, read};

const VALID: &str = include_str!("valid.yaml");

fn read_bytes(bytes: &[u8]) -> Result<Catalog, Mistakes> {
    let file = SourceFile { path: PathBuf::from("suites/data-plane.yaml"), bytes: bytes.to_vec() };
    read(Path::new("suites"), &[file], None, &|_| true)
}

/// The first mistake's place and words.
#[track_caller]
fn check(bytes: &[u8], line: usize, what: &str) {
    let mistakes = read_bytes(bytes).expect_err("this is wrong");
    let first = mistakes.iter().next().unwrap();
    assert!(first.what.contains(what), "{mistakes}");
    assert_eq!(first.spot.as_ref().unwrap().line, line, "{mistakes}");
}

#[test]
fn the_sample_that_is_spoilt_below_is_valid() {
    if let Err(mistakes) = read_bytes(VALID.as_bytes()) {
        panic!("{mistakes}");
    }
}

#[test]
fn a_text_that_is_no_suite_is_refused_where_it_stops_being_one() {
    check(b"", 1, "this file says nothing");
    check(b"# only\n# comments\n", 1, "this file says nothing");
    check(b"version: 1\nsuite: \xff\xfe\n", 2, "not UTF-8");
    check(b"version: 1\nsuite: a\0b\n", 2, "control character U+0000");
    check(b"just a sentence\n", 1, "a mapping of keys to values is expected");
    check(&vec![b'#'; 10 << 20], 1, "10485760 bytes long");
    check(b"version: 1\n---\nversion: 1\n", 3, "second document");
    check(b"version: 1\nsuite: *nowhere\n", 2, "not YAML");
}

#[test]
fn a_billion_laughs_are_refused_before_they_are_told() {
    let mut text = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..10 {
        let many = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{many}]\n"));
    }
    let mistakes = read_bytes(text.as_bytes()).unwrap_err();
    assert!(mistakes.to_string().contains("more repetitive than a suite can be"), "{mistakes}");
    assert!(mistakes.to_string().len() < 2_000);
}

#[test]
fn ten_thousand_levels_are_refused() {
    let flow = "[".repeat(10_000);
    let block: String = (0..1_000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    let closed = format!("a: {flow}{}", "]".repeat(10_000));
    for text in [flow, block, closed] {
        let mistakes = read_bytes(text.as_bytes()).unwrap_err();
        assert_eq!(mistakes.iter().count(), 1, "{mistakes}");
    }
}

#[test]
fn an_endless_list_of_mistakes_ends() {
    let text: String = (0..9_000).map(|number| format!("key{number}: 1\n")).collect();
    let mistakes = read_bytes(text.as_bytes()).unwrap_err();
    assert!(mistakes.to_string().contains("this file has more than 100 mistakes"));
    assert!(mistakes.iter().count() < 120, "{}", mistakes.iter().count());
}

#[test]
fn thousands_of_names_that_are_nowhere_are_not_each_compared_with_thousands() {
    let names = |prefix: &str| (0..3_000).map(|number| format!("{prefix}{number}")).collect::<Vec<String>>();
    let components: String = names("c").iter().map(|name| format!("  {name}: {{}}\n")).collect();
    let needs = names("n").join(", ");
    let text = format!("version: 1\nsuite: data-plane\ncomponents:\n  first: {{ needs: [{needs}] }}\n{components}");
    let mistakes = read_bytes(text.as_bytes()).unwrap_err();
    assert!(mistakes.iter().any(|mistake| mistake.what == "there is no component `n0`"));
    assert_eq!(mistakes.iter().last().unwrap().what, "8753 more mistakes are not shown");
}

#[test]
fn keys_that_are_no_text_are_refused_where_they_are() {
    for key in ["7", "true", "~", "[a, b]", "{ a: b }", "1.5"] {
        let text = VALID.replace("  redis:\n", &format!("  ? {key}\n  :\n"));
        let mistakes = read_bytes(text.as_bytes()).unwrap_err().to_string();
        assert!(mistakes.contains("text is expected here"), "{key}: {mistakes}");
    }
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_change_nothing() {
    let windows = format!("\u{feff}{}", VALID.replace('\n', "\r\n"));
    let plain = read_bytes(VALID.as_bytes()).unwrap();
    assert_eq!(format!("{:?}", read_bytes(windows.as_bytes()).unwrap()), format!("{plain:?}"));

    let spoilt = |text: &str| read_bytes(text.replace("within: 30s", "witin: 30s").as_bytes()).unwrap_err();
    assert_eq!(spoilt(&windows), spoilt(VALID));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_suite_cut_anywhere_gets_an_answer(at in 0..VALID.len()) {
        let cut = &VALID.as_bytes()[..at];
        prop_assert!(read_bytes(cut).is_ok() || !read_bytes(cut).unwrap_err().to_string().is_empty());
    }

    #[test]
    fn a_suite_with_bytes_exchanged_gets_the_same_answer_twice(
        spoilt in proptest::collection::vec((0..VALID.len(), any::<u8>()), 1..6)
    ) {
        let mut bytes = VALID.as_bytes().to_vec();
        for (at, byte) in spoilt {
            bytes[at] = byte;
        }
        let words = || read_bytes(&bytes).map(|catalog| format!("{catalog:?}")).map_err(|mistakes| mistakes.to_string());
        prop_assert_eq!(words(), words());
    }

    #[test]
    fn a_suite_with_parts_moved_gets_an_answer(from in 0..VALID.len(), length in 0..80_usize, to in 0..VALID.len()) {
        let part = VALID.as_bytes()[from..].iter().take(length).copied();
        let mut bytes = VALID.as_bytes().to_vec();
        bytes.splice(to..to, part);
        prop_assert!(read_bytes(&bytes).is_ok() || read_bytes(&bytes).unwrap_err().iter().count() > 0);
    }
}
