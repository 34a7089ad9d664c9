//! The seam between two streams of one log: what has been kept is not kept again.

use jiff::Timestamp;

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
    /// The time to ask the API server to start from.
    pub(super) const fn since(&self) -> Option<Timestamp> {
        self.at
    }

    /// A seam at this mark.
    pub(super) const fn seam(self) -> Seam {
        Seam { mark: self, old: self, met: 0 }
    }
}

impl Seam {
    /// Whether this line, as the API prints it (`timestamp text`), is new. A line without a timestamp always is.
    pub(super) fn is_new(&mut self, line: &str) -> bool {
        let Some(at) = line.split(' ').next().and_then(|word| word.parse::<Timestamp>().ok()) else {
            return true;
        };
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
    fn a_line_without_a_time_is_kept() {
        assert!(Mark::default().seam().is_new("unable to retrieve container logs"));
    }
}
