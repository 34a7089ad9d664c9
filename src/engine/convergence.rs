//! Verdict after verdict → look again, settled, or expired.
//!
//! The rule: so many looks in a row must hold inside the window; one that does not starts the count again. The pause
//! doubles up to eight times itself after looks that do not hold, and the last look starts shortly before the window
//! closes. When it has closed, the last look that saw something broken speaks, also if later ones could not look: a
//! lost connection does not make a wrong answer right. What a look noted before the window cut it short speaks only
//! where no look had its time. Only where no look ever saw anything is the end unclear.

use std::time::Duration;

use crate::checks::{Outlook, Pace, Verdict};
use crate::span::Span;
use crate::suite::Patience;

/// The pause grows up to this many times its beginning.
const LONGEST_PAUSE: u32 = 8;

/// What follows from a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Look again after this pause.
    Again(Duration),
    /// The check has come to its end.
    Settled(Conclusion),
}

/// How a check ended, and how it came to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conclusion {
    pub(super) verdict: Verdict,
    /// How often it was looked and what was seen, a line each; empty where one look was enough.
    pub(super) history: Vec<String>,
}

/// One check on its way to an end. Times count from its first look.
#[derive(Debug)]
pub(super) struct Convergence {
    patience: Patience,
    pace: Pace,
    pause: Duration,
    in_a_row: u32,
    held: u32,
    broken: u32,
    unclear: u32,
    cut_short: u32,
    last_broken: Option<Verdict>,
    last_unclear: Option<String>,
    /// What the look noted that the window cut short, where another one speaks.
    overruled: Option<String>,
}

impl Convergence {
    pub(super) const fn new(patience: Patience, pace: Pace) -> Self {
        Self {
            patience,
            pace,
            pause: patience.every.duration(),
            in_a_row: 0,
            held: 0,
            broken: 0,
            unclear: 0,
            cut_short: 0,
            last_broken: None,
            last_unclear: None,
            overruled: None,
        }
    }

    const fn looks(&self) -> u32 {
        self.held + self.broken + self.unclear + self.cut_short
    }

    /// Longest time that a look which starts now may take.
    pub(super) fn look_limit(&self, now: Duration) -> Duration {
        let rest = self.patience.within.duration().saturating_sub(now);
        match self.pace {
            Pace::Repeated => rest.min(self.patience.look.duration()),
            Pace::Once => rest,
        }
    }

    /// Takes in what a look came to.
    pub(super) fn look_ended(&mut self, verdict: Verdict, now: Duration) -> Next {
        match &verdict {
            Verdict::Held { .. } => {
                self.held += 1;
                self.in_a_row += 1;
                self.pause = self.patience.every.duration();
                if self.in_a_row >= self.needed() {
                    return self.settle(verdict);
                }
                return self.again(self.pause, now);
            }
            Verdict::Broken { outlook, .. } => {
                self.broken += 1;
                let is_final = *outlook == Outlook::Final || self.pace == Pace::Once;
                self.last_broken = Some(verdict.clone());
                if is_final {
                    return self.settle(verdict);
                }
            }
            Verdict::Unclear { why } => {
                self.unclear += 1;
                self.last_unclear = Some(why.clone());
            }
        }
        self.in_a_row = 0;
        let pause = self.pause;
        self.pause = (pause * 2).min(self.patience.every.duration() * LONGEST_PAUSE);
        self.again(pause, now)
    }

    /// Takes in a look that was cut short, and how the claim stood until then. One that had all the time of a look has
    /// said its word; one that the window's end cut had less, and does not overrule it.
    pub(super) fn look_cut_short(&mut self, stood: Verdict, now: Duration) -> Next {
        if now < self.patience.within.duration() {
            return self.look_ended(stood, now);
        }
        self.cut_short += 1;
        let is_late = self.last_broken.is_some() || self.held > 0;
        match stood {
            // What says the same is not overruled.
            Verdict::Broken { .. } if self.last_broken.as_ref() == Some(&stood) => {}
            Verdict::Broken { actual, .. } if is_late => self.overruled = Some(actual),
            Verdict::Broken { .. } => self.last_broken = Some(stood),
            Verdict::Held { saw: why, .. } | Verdict::Unclear { why } => {
                self.last_unclear.get_or_insert(why);
            }
        }
        Next::Settled(self.expired())
    }

    fn expired(&self) -> Conclusion {
        let verdict = match (&self.last_broken, &self.last_unclear) {
            (Some(broken), _) => broken.clone(),
            (None, _) if self.held > 0 => self.not_often_enough(),
            (None, why) => {
                let why = why.as_deref().unwrap_or("never looked");
                Verdict::unclear(format!("could not look within {}: {why}", self.patience.within))
            }
        };
        Conclusion { verdict, history: self.history() }
    }

    /// How many looks must hold one after the other. One that waits by itself has waited already.
    const fn needed(&self) -> u32 {
        match self.pace {
            Pace::Repeated => self.patience.in_a_row,
            Pace::Once => 1,
        }
    }

    fn settle(&self, verdict: Verdict) -> Next {
        let plain = matches!(verdict, Verdict::Held { .. }) && self.looks() <= self.needed();
        Next::Settled(Conclusion { verdict, history: if plain { Vec::new() } else { self.history() } })
    }

    /// Looks again, at the latest the shortest pause before the window closes; expires where there is no time for that.
    fn again(&self, pause: Duration, now: Duration) -> Next {
        let every = self.patience.every.duration();
        let latest = self.patience.within.duration().saturating_sub(every);
        match latest.checked_sub(now) {
            Some(rest) if !rest.is_zero() => Next::Again(pause.min(rest)),
            _ => Next::Settled(self.expired()),
        }
    }

    fn not_often_enough(&self) -> Verdict {
        let expected = format!("held {} times in a row within {}", self.needed(), self.patience.within);
        Verdict::broken(expected, format!("held {} times in a row before the time was up", self.in_a_row))
    }

    /// How often it was looked and what was seen, where that was not once.
    fn history(&self) -> Vec<String> {
        let counts =
            [(self.held, "held"), (self.broken, "broken"), (self.unclear, "unclear"), (self.cut_short, "cut short")];
        let seen: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let looked = (self.looks() > 1).then(|| format!("looked {} times: {}", self.looks(), seen.join(", ")));
        let blind = self.last_broken.as_ref().and(self.last_unclear.as_ref());
        let blind = blind.map(|why| format!("sometimes could not look: {why}"));
        let overruled = self.overruled.as_ref().map(|noted| format!("the last look was cut short at: {noted}"));
        looked.into_iter().chain(blind).chain(overruled).collect()
    }
}

/// A look that its deadline cut short without a word on how the claim stood.
pub(super) fn cut_short(after: Duration, waiting_on: Option<&str>) -> String {
    let after = Span::from(after);
    match waiting_on {
        Some(on) => format!("no answer after {after}, waiting on {on}"),
        None => format!("no answer after {after}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    fn patient(in_a_row: u32) -> Convergence {
        Convergence::new(Patience { in_a_row, ..Patience::default() }, Pace::Repeated)
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn broken() -> Verdict {
        Verdict::broken("PONG", "LOADING")
    }

    #[track_caller]
    fn settled(next: Next) -> (Verdict, String) {
        match next {
            Next::Settled(Conclusion { verdict, history }) => (verdict, history.join("; ")),
            Next::Again(pause) => panic!("looks again in {pause:?}"),
        }
    }

    #[test]
    fn one_look_that_holds_is_enough_and_needs_no_words() {
        let end = settled(patient(1).look_ended(Verdict::held("PONG"), at(1)));
        assert_eq!(end, (Verdict::held("PONG"), String::new()));
    }

    #[test]
    fn the_pause_doubles_up_to_eight_times_itself() {
        let mut check = patient(1);
        let pauses = [250, 500, 1_000, 2_000, 2_000].map(at);
        for pause in pauses {
            assert_eq!(check.look_ended(broken(), at(1)), Next::Again(pause));
        }
    }

    #[test]
    fn a_look_that_does_not_hold_starts_the_count_again() {
        let mut check = patient(2);
        assert_eq!(check.look_ended(Verdict::held("1"), at(1)), Next::Again(at(250)));
        assert_eq!(check.look_ended(Verdict::unclear("reset"), at(2)), Next::Again(at(250)));
        assert_eq!(check.look_ended(Verdict::held("2"), at(3)), Next::Again(at(250)));
        let words = "looked 4 times: 3 held, 1 unclear".to_owned();
        assert_eq!(settled(check.look_ended(Verdict::held("3"), at(4))), (Verdict::held("3"), words));
    }

    #[test]
    fn what_is_final_ends_at_once() {
        let doomed = Verdict::doomed("a role", "no such user");
        assert_eq!(settled(patient(1).look_ended(doomed.clone(), at(1))), (doomed, String::new()));
    }

    #[test]
    fn what_was_seen_broken_outlives_a_lost_connection() {
        let mut check = patient(1);
        check.look_ended(broken(), at(1));
        let words = "looked 2 times: 1 broken, 1 unclear; sometimes could not look: refused".to_owned();
        assert_eq!(settled(check.look_ended(Verdict::unclear("refused"), WITHIN)), (broken(), words));
    }

    #[test]
    fn only_where_nothing_was_ever_seen_is_the_end_unclear() {
        let end = settled(patient(1).look_cut_short(Verdict::unclear("no answer after 10s"), WITHIN));
        assert_eq!(end, (Verdict::unclear("could not look within 30s: no answer after 10s"), String::new()));
    }

    #[test]
    fn a_look_that_the_window_cut_does_not_overrule_one_that_had_its_time() {
        let silence = || Verdict::broken("PONG", "does not answer");
        let mut check = patient(1);
        check.look_ended(broken(), at(1));
        let words = "looked 2 times: 1 broken, 1 cut short; the last look was cut short at: does not answer".to_owned();
        assert_eq!(settled(check.look_cut_short(silence(), WITHIN)), (broken(), words));

        let mut check = patient(1);
        check.look_ended(silence(), at(1));
        let words = "looked 2 times: 1 broken, 1 cut short".to_owned();
        assert_eq!(settled(check.look_cut_short(silence(), WITHIN)), (silence(), words), "it is said once");

        let mut check = patient(1);
        check.look_ended(broken(), at(1));
        check.look_cut_short(silence(), at(11_000));
        check.look_cut_short(Verdict::unclear("no answer after 8s"), WITHIN);
        assert_eq!(check.expired().verdict, silence(), "it had all the time of a look");

        let mut check = patient(1);
        check.look_cut_short(broken(), at(10_000));
        let words = "looked 2 times: 1 broken, 1 cut short; the last look was cut short at: does not answer".to_owned();
        assert_eq!(settled(check.look_cut_short(silence(), WITHIN)), (broken(), words), "it had less time");

        let end = settled(patient(1).look_cut_short(silence(), WITHIN));
        assert_eq!(end, (silence(), String::new()), "there is no other");
    }

    #[test]
    fn holding_too_seldom_is_not_holding() {
        let mut check = patient(3);
        check.look_ended(Verdict::held("1"), at(1));
        let (verdict, _) = settled(check.look_ended(Verdict::held("2"), WITHIN));
        assert_eq!(
            verdict,
            Verdict::broken("held 3 times in a row within 30s", "held 2 times in a row before the time was up")
        );
    }

    #[test]
    fn the_last_look_starts_shortly_before_the_window_closes() {
        let mut check = patient(1);
        (0..4).for_each(|_| drop(check.look_ended(broken(), at(1))));
        assert_eq!(check.look_ended(broken(), at(29_000)), Next::Again(at(750)));
        assert_eq!(settled(check.look_ended(broken(), at(29_751))).0, broken());
    }

    #[test]
    fn a_look_that_itself_waits_is_final_unless_it_saw_nothing() {
        let mut check = Convergence::new(Patience::default(), Pace::Once);
        assert_eq!(check.look_limit(at(0)), WITHIN);
        assert_eq!(check.look_ended(Verdict::unclear("refused"), at(1)), Next::Again(at(250)));
        assert_eq!(settled(check.look_ended(broken(), at(2))).0, broken());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_check_ends_inside_its_window(
            looks in prop::collection::vec((0_u8..3, 1_u64..9_000), 400),
            in_a_row in 1_u32..5,
        ) {
            let mut check = patient(in_a_row);
            let mut now = Duration::ZERO;
            let mut row = 0;
            for (kind, took) in looks {
                let took = at(took).min(check.look_limit(now));
                prop_assert!(!took.is_zero(), "a look without time");
                now += took;
                row = if kind == 0 { row + 1 } else { 0 };
                let verdict = match kind {
                    0 => Verdict::held("PONG"),
                    1 => broken(),
                    _ => Verdict::unclear("refused"),
                };
                match check.look_ended(verdict, now) {
                    Next::Again(pause) => now += pause,
                    Next::Settled(end) => {
                        prop_assert_eq!(matches!(end.verdict, Verdict::Held { .. }), row == in_a_row);
                        prop_assert!(now <= WITHIN);
                        return Ok(());
                    }
                }
            }
            prop_assert!(false, "never ended");
        }
    }
}
