//! Times and foreign text as people read them: lengths of time, text without control characters, text within a width.

use crate::number::count;

/// Milliseconds as `0.4s`, `41.2s`, `1m41s`, `1h02m`.
pub(super) fn length(ms: u64) -> String {
    let secs = ms / 1_000;
    match secs {
        0..60 => format!("{secs}.{}s", ms % 1_000 / 100),
        60..3_600 => format!("{}m{:02}s", secs / 60, secs % 60),
        _ => format!("{}h{:02}m", secs / 3_600, secs % 3_600 / 60),
    }
}

/// Text of the platform as lines that are safe to print: without colours, every other control character spelled out.
/// A log line must not clear the screen, hide its beginning, or make an XML file unreadable.
pub(super) fn plain_lines(text: &str) -> Vec<String> {
    text.lines().map(|line| spell_out(&without_colours(line))).collect()
}

/// The same on one line.
pub(super) fn plain(text: &str) -> String {
    plain_lines(text).join(" ").trim().to_owned()
}

/// Removes complete CSI sequences (`ESC [ … letter`), which is how programs colour their logs.
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.find(|c| ('@'..='~').contains(&c)) {
            Some(end) if part[..end].bytes().all(|byte| (b' '..=b'?').contains(&byte)) => {
                kept.push_str(&part[end + 1..]);
            }
            Some(_) | None => {
                kept.push_str("\u{1b}[");
                kept.push_str(part);
            }
        }
    }
    kept
}

fn spell_out(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\t' => out.push_str("    "),
            // Directions that make a text read differently from what it says, and what XML cannot carry.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                out.extend(c.escape_unicode());
            }
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// The text in at most `width` characters, the last of them `…` if something is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The text in lines of at most `width` characters, broken between words; a longer word stays whole, so that an image
/// or an address can still be copied.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line =
            lines.last_mut().filter(|line| line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// At most `shown` lines: the first and the last ones, and between them how many are missing.
pub(super) fn abridge(lines: &[String], shown: usize) -> Vec<String> {
    if lines.len() <= shown {
        return lines.to_vec();
    }
    let (head, tail) = (shown / 2, shown - shown / 2 - 1);
    let missing = format!("… {} …", count(lines.len() - head - tail, "line"));
    let tail = &lines[lines.len() - tail..];
    lines[..head].iter().chain([&missing]).chain(tail).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_a_person_says_them() {
        for (ms, text) in [(0, "0.0s"), (449, "0.4s"), (59_999, "59.9s"), (101_000, "1m41s"), (3_725_000, "1h02m")] {
            assert_eq!(length(ms), text);
        }
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m"), "red");
        assert_eq!(plain("\u{1b}]0;title\u{7}a\u{1b}[2"), "\\u{1b}]0;title\\u{7}a\\u{1b}[2");
        assert_eq!(plain("50%\r100%\tdone\0"), "50%\\r100%    done\\u{0}");
        assert_eq!(plain("a\u{202e}b\u{ffff}"), "a\\u{202e}b\\u{ffff}");
        assert_eq!(plain("größer 好 🙂"), "größer 好 🙂");
    }

    #[test]
    fn a_long_word_stays_whole() {
        assert_eq!(wrap("see registry.example/a/b:c now", 10), ["see", "registry.example/a/b:c", "now"]);
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(cut("abcdef", 4), "abc…");
    }

    #[test]
    fn of_many_lines_the_first_and_the_last_are_shown() {
        let lines: Vec<String> = (1..=9).map(|n| n.to_string()).collect();
        assert_eq!(abridge(&lines, 5), ["1", "2", "… 5 lines …", "8", "9"]);
        assert_eq!(abridge(&lines, 9), lines);
    }
}
