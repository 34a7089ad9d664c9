//! Continuity: what became of writes that were tried at a steady rate while something happened.

use std::fmt;

use indexmap::IndexMap;

use crate::number::count;
use crate::span::Span;

/// Every write that was tried, in the order in which they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline(pub Vec<Attempt>);

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it ended, in milliseconds since the first was begun.
    pub at_ms: u64,
    /// Why it was not acknowledged; `None` where it was.
    pub refused: Option<String>,
}

/// A time in which no write was acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// From the last acknowledgement, or from the beginning, in milliseconds.
    pub from_ms: u64,
    /// How long it was until the next, or until the last write was tried, in milliseconds.
    pub length_ms: u64,
    /// What writes met in it, and how often, in the order in which it came.
    pub refusals: IndexMap<String, usize>,
}

impl Timeline {
    /// How many writes were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.0.iter().filter(|attempt| attempt.refused.is_none()).count()
    }

    /// Why the last write was not acknowledged; `None` where it was.
    #[must_use]
    pub fn last_refusal(&self) -> Option<&str> {
        self.0.last()?.refused.as_deref()
    }

    /// The longest time in which no write was acknowledged, from the last that was acknowledged before a moment; the first of them.
    #[must_use]
    pub fn longest_gap(&self, from_ms: u64) -> Gap {
        let acknowledged = |attempt: &Attempt| attempt.refused.is_none() && attempt.at_ms <= from_ms;
        let first = self.0.iter().rposition(acknowledged).unwrap_or_default();
        let (mut longest, mut gap) = (Gap::default(), Gap::default());
        for Attempt { at_ms, refused } in self.0.iter().skip(first) {
            gap.length_ms = at_ms.saturating_sub(gap.from_ms);
            if let Some(why) = refused {
                *gap.refusals.entry(why.clone()).or_default() += 1;
            }
            // What came before the first is not looked at.
            let counts = *at_ms > from_ms || first == 0;
            if counts && gap.length_ms > longest.length_ms {
                longest = gap.clone();
            }
            if refused.is_none() {
                gap = Gap { from_ms: *at_ms, ..Gap::default() };
            }
        }
        longest
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Span::millis(self.length_ms))?;
        let told = |(why, times): (&String, &usize)| format!("{why}, {}", count(*times, "time"));
        let met: Vec<String> = self.refusals.iter().map(told).collect();
        if met.is_empty() { Ok(()) } else { write!(f, " ({})", met.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(attempts: &[(u64, Option<&str>)]) -> Timeline {
        let attempt =
            |(at_ms, refused): &(u64, Option<&str>)| Attempt { at_ms: *at_ms, refused: refused.map(str::to_owned) };
        Timeline(attempts.iter().map(attempt).collect())
    }

    #[test]
    fn a_gap_lasts_from_one_acknowledgement_to_the_next_and_says_what_writes_met() {
        let timeline = timeline(&[
            (10, None),
            (110, None),
            (210, Some("connection refused")),
            (310, Some("READONLY")),
            (410, Some("connection refused")),
            (510, None),
            (610, None),
        ]);
        assert_eq!(timeline.acknowledged(), 4);
        assert_eq!(timeline.last_refusal(), None);
        let gap = timeline.longest_gap(0);
        assert_eq!((gap.from_ms, gap.length_ms), (110, 400));
        assert_eq!(gap.to_string(), "400ms (connection refused, 2 times; READONLY, 1 time)");
    }

    #[test]
    fn a_gap_that_has_not_ended_counts_to_the_last_write() {
        let timeline = timeline(&[(10, None), (110, None), (1_110, Some("no answer")), (2_110, Some("no answer"))]);
        let gap = timeline.longest_gap(0);
        assert_eq!((gap.from_ms, gap.length_ms), (110, 2_000));
        assert_eq!(timeline.last_refusal(), Some("no answer"));
    }

    #[test]
    fn where_nothing_was_acknowledged_all_of_it_is_a_gap() {
        assert_eq!(timeline(&[(50, Some("no answer")), (90, Some("no answer"))]).longest_gap(0).length_ms, 90);
        assert_eq!(timeline(&[]).longest_gap(0), Gap::default());
        assert_eq!(timeline(&[(5, None)]).longest_gap(0).to_string(), "5ms");
    }

    #[test]
    fn what_was_before_the_last_acknowledgement_before_a_moment_is_no_gap() {
        let timeline = timeline(&[(900, None), (1_000, None), (1_100, Some("refused")), (1_300, None)]);
        let gap = timeline.longest_gap(1_050);
        assert_eq!((gap.from_ms, gap.length_ms), (1_000, 300));
    }
}
