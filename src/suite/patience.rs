//! All waiting, named: windows, pauses, and how often in a row.

use serde::{Deserialize, Serialize};

use crate::checks::Check;
use crate::span::Span;

/// How long and how insistently a check is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// The window: from the first look to the last moment at which the claim may still become true.
    pub within: Span,
    /// Longest time that one look may take; all of the window for a check that is one look.
    pub look: Span,
    /// The pause after the first look that did not hold; it doubles up to eight times itself.
    pub every: Span,
    /// How many looks must hold one after the other; one that does not starts the count again.
    pub in_a_row: u32,
}

impl Patience {
    /// What a check gets that says nothing: 2 min where something is run to its end, else 30 s; a denial must hold twice
    /// in a row, since a server that is just starting refuses everybody.
    #[must_use]
    pub fn of(check: &Check) -> Self {
        let within = Span::secs(if check.runs_something() { 120 } else { 30 });
        Self { within, in_a_row: if check.is_denial() { 2 } else { 1 }, ..Self::default() }
    }
}

impl Default for Patience {
    /// 30 s of looks of at most 10 s, the first pause 250 ms, one that holds is enough.
    fn default() -> Self {
        Self { within: Span::secs(30), look: Span::secs(10), every: Span::millis(250), in_a_row: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_that_held_once_may_be_a_server_that_is_just_starting() {
        let of = |claim: &str| Patience::of(&serde_json::from_str(claim).unwrap()).in_a_row;
        assert_eq!(of(r#"{"tcp": {"at": "web:80", "expect": "denied"}}"#), 2);
        assert_eq!(of(r#"{"tcp": {"at": "web:80"}}"#), 1);
    }
}
