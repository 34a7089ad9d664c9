//! Lines of a log: how much of one is held, and the seam between two streams, where what has been kept is not kept again.

use jiff::Timestamp;

use crate::secrets::Secrets;

/// How much of a line is kept, in bytes.
const LONGEST: usize = 256 << 10;

/// How much more is held, in bytes, so that a secret across the cut is seen whole, and masked.
const MARGIN: usize = 4 << 10;

/// A line as it comes in, however long it gets.
#[derive(Debug, Default)]
pub(super) struct Line {
    held: Vec<u8>,
    length: usize,
}

impl Line {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let room = (LONGEST + MARGIN).saturating_sub(self.held.len());
        self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len();
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the API server has put a time before it, as it does with every line of a container.
    pub(super) fn has_time(&self) -> bool {
        time(&self.text()).is_some()
    }

    pub(super) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.held)
    }

    /// The line without secrets; of one that is too long its beginning, and how much is left out.
    pub(super) fn masked(&self, secrets: &Secrets) -> String {
        let mut text = secrets.mask(&self.text());
        if self.length > LONGEST {
            text.truncate(text.floor_char_boundary(LONGEST));
            text += &format!(" … (a line of {} bytes, cut here)", self.length);
        }
        text
    }

    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.length = 0;
    }
}

/// Where a log was left: the time of its last line, and how many lines carried that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    at: Option<Timestamp>,
    lines_at: usize,
}

/// Tells the lines of a reopened stream that are new from those that are already kept.
///
/// `sinceTime` has whole seconds in the API (`metav1.Time`), so a reopened stream starts with lines that are known.
#[derive(Debug)]
pub(super) struct Seam {
    mark: Mark,
    old: Mark,
    met: usize,
}

impl Mark {
    /// The time to ask the API server to start from: cut to its whole second, as a client that rounds would skip lines.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.at.and_then(|at| Timestamp::from_second(at.as_second()).ok())
    }

    /// A seam at this mark.
    pub(super) const fn seam(self) -> Seam {
        Seam { mark: self, old: self, met: 0 }
    }
}

impl Seam {
    /// Whether this line, as the API prints it (`timestamp text`), is new. A line without a timestamp always is.
    pub(super) fn is_new(&mut self, line: &str) -> bool {
        let Some(at) = time(line) else { return true };
        if self.old.at.is_some_and(|old| at < old) {
            return false;
        }
        if self.old.at == Some(at) && self.met < self.old.lines_at {
            self.met += 1;
            return false;
        }
        let again = self.mark.at == Some(at);
        self.mark = Mark { at: Some(at), lines_at: if again { self.mark.lines_at + 1 } else { 1 } };
        true
    }

    /// Where the log is now.
    pub(super) const fn mark(&self) -> Mark {
        self.mark
    }
}

/// What a container wrote, of a line as it is kept: without the time that the API puts before it.
#[must_use]
pub fn words(line: &str) -> &str {
    line.split_once(' ').map_or(line, |(_, words)| words)
}

/// The time that the API puts before a line.
fn time(line: &str) -> Option<Timestamp> {
    line.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: [&str; 6] = [
        "2026-01-02T03:04:05.1Z one",
        "2026-01-02T03:04:05.2Z two",
        "2026-01-02T03:04:05.2Z two",
        "2026-01-02T03:04:05.2Z three",
        "2026-01-02T03:04:06Z four",
        "2026-01-02T03:04:07Z five",
    ];

    /// Streams the log in two parts; the second starts again at the whole second of the last line heard.
    fn heard(cut: usize) -> Vec<&'static str> {
        let mut first = Mark::default().seam();
        let mut kept: Vec<&str> = LOG[..cut].iter().copied().filter(|line| first.is_new(line)).collect();
        let since = first.mark().since().map(|at| at.to_string()[..19].to_owned()).unwrap_or_default();
        let mut second = first.mark().seam();
        kept.extend(LOG.iter().copied().filter(|line| line[..19] >= *since).filter(|line| second.is_new(line)));
        kept
    }

    #[test]
    fn wherever_a_stream_is_cut_every_line_is_kept_once() {
        for cut in 0..=LOG.len() {
            assert_eq!(heard(cut), LOG, "cut after {cut} lines");
        }
    }

    #[test]
    fn of_a_huge_line_only_its_beginning_is_held_and_no_secret_lies_across_the_cut() {
        let (secrets, mut line) = (Secrets::default(), Line::default());
        secrets.learn("hunter2hunter2");
        line.push(&vec![b'x'; LONGEST - 5]);
        line.push(b"hunter2hunter2");
        (0..100).for_each(|_| line.push(&[b'y'; 1 << 20]));
        assert!(line.held.len() <= LONGEST + MARGIN);
        let text = line.masked(&secrets);
        assert!(!text.contains("hunt"), "{}", &text[LONGEST - 20..]);
        assert!(
            text.ends_with("bytes, cut here)") && text.contains("a line of 105119753 bytes"),
            "{}",
            &text[LONGEST..]
        );
    }

    #[test]
    fn a_line_without_a_time_is_kept() {
        assert!(Mark::default().seam().is_new("a word of the runtime's own"));
    }
}
