//! Verdict after verdict → look again, settled, or expired.
//!
//! The rule: so many looks in a row must hold inside the window; one that does not starts the count again. The pause
//! doubles up to eight times itself after looks that do not hold, and the last look starts shortly before the window
//! closes. When it has closed, the last look that saw something broken speaks, also if later ones could not look: a
//! lost connection does not make a wrong answer right. Only where no look ever saw anything is the end unclear.

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
    /// How often it was looked, and what was seen; empty where the only look needed held.
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
    last_broken: Option<Verdict>,
    last_unclear: Option<String>,
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
            last_broken: None,
            last_unclear: None,
        }
    }

    /// Looks that came to a verdict so far.
    const fn looks(&self) -> u32 {
        self.held + self.broken + self.unclear
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

    /// Takes in a look that was cut short before it came to anything. One that the window's end cut says nothing about
    /// the platform, so earlier looks speak.
    pub(super) fn look_cut_short(&mut self, why: String, now: Duration) -> Next {
        if now < self.patience.within.duration() {
            return self.look_ended(Verdict::Unclear { why }, now);
        }
        self.last_unclear.get_or_insert(why);
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

    fn history(&self) -> Vec<String> {
        let counts = [(self.held, "held"), (self.broken, "broken"), (self.unclear, "unclear")];
        let seen: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let looked = (!seen.is_empty()).then(|| format!("looked {}: {}", times(self.looks()), seen.join(", ")));
        let blind = self.last_broken.as_ref().and(self.last_unclear.as_ref());
        looked.into_iter().chain(blind.map(|why| format!("sometimes could not look: {why}"))).collect()
    }
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
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
