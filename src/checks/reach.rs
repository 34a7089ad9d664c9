//! The way to a server: what stood in it, and what that means for a claim.

use super::{Access, Verdict};

/// What kept a probe from a conversation with a server. Each text is a whole sentence part that names the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The Service or pod does not exist, or has no such port.
    Missing(String),
    /// The Service exists and nothing ready stands behind it.
    NoEndpoint(String),
    /// Something is there, and nothing listens on the port.
    Refused(String),
    /// It accepted, and then broke off, or did not speak the protocol.
    Broke(String),
}

impl Obstacle {
    /// What was found.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Missing(text) | Self::NoEndpoint(text) | Self::Refused(text) | Self::Broke(text) => text,
        }
    }

    /// A server that cannot be talked to breaks a claim that we are let in, and says nothing about being kept out.
    pub(super) fn judge(&self, expected: impl Into<String>, expect: Access) -> Verdict {
        match expect {
            Access::Allowed => Verdict::broken(expected, self.text()),
            Access::Denied => {
                Verdict::unclear(format!("{}; a server that cannot be talked to denies nothing", self.text()))
            }
        }
    }
}

/// What came of writing something of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was read back as written.
    Kept,
    /// The server said no, in these words; its error code stands first.
    Refused(String),
    /// The server said yes, and something else was read back.
    Lost(String),
}

/// Everything that a judge found wrong, in the order in which it looked.
#[derive(Default)]
pub(super) struct Faults(Vec<(String, String)>);

impl Faults {
    /// Notes what was expected and what was there instead, unless it `holds`.
    pub(super) fn unless(&mut self, holds: bool, expected: impl Into<String>, actual: impl Into<String>) {
        if !holds {
            self.0.push((expected.into(), actual.into()));
        }
    }

    /// Whether nothing was found wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Broken by every fault; where there is none, unclear because of `why`.
    pub(super) fn or_unclear(self, why: impl Into<String>) -> Verdict {
        if self.is_empty() { Verdict::unclear(why) } else { self.or_held("") }
    }

    /// Held by what was `saw`, or broken by every fault, the first one first.
    pub(super) fn or_held(self, saw: impl Into<String>) -> Verdict {
        if self.is_empty() {
            return Verdict::held(saw);
        }
        let (mut expected, actual): (Vec<String>, Vec<String>) = self.0.into_iter().unzip();
        expected.dedup();
        Verdict::broken(expected.join("; "), actual.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_server_breaks_being_let_in_and_proves_no_denial() {
        let obstacle = Obstacle::Refused("nothing listens on redis.data:6379".to_owned());
        assert_eq!(
            obstacle.judge("PONG", Access::Allowed),
            Verdict::broken("PONG", "nothing listens on redis.data:6379")
        );
        assert!(matches!(obstacle.judge("PONG", Access::Denied), Verdict::Unclear { .. }));
    }

    #[test]
    fn every_fault_is_told_and_the_first_stands_first() {
        let mut faults = Faults::default();
        faults.unless(true, "up", "up");
        faults.unless(false, "a master", "a replica");
        faults.unless(false, "2 replicas", "none");
        faults.unless(false, "2 replicas", "none again");
        assert_eq!(faults.or_held("unused"), Verdict::broken("a master; 2 replicas", "a replica; none; none again"));
        assert_eq!(Faults::default().or_held("all well"), Verdict::held("all well"));
    }
}
