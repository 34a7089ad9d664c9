//! Seeded chance: the same seed and the same calls give the same names and the same delays.

use std::time::Duration;

/// The letters of names that a cluster makes up: no vowels and no digits that look like letters, as
/// `k8s.io/apimachinery/pkg/util/rand` has them.
pub(super) const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// How fast the cluster lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// In percent of the usual durations, which bring a plain Deployment up in 50 to 250 ms; 0 for no delay at all.
    pub(crate) percent: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { percent: 100 }
    }
}

/// A generator of numbers (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Dice {
    state: u64,
    pace: Pace,
}

impl Dice {
    /// A generator whose numbers depend on the seed alone.
    pub(super) fn new(seed: u64, pace: Pace) -> Self {
        Self { state: seed, pace }
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A delay between two numbers of milliseconds, at the pace of the cluster.
    pub(super) fn delay(&mut self, least: u64, most: u64) -> Duration {
        let micros = least * 1000 + self.next() % ((most.saturating_sub(least)) * 1000 + 1);
        Duration::from_micros(micros * u64::from(self.pace.percent) / 100)
    }

    /// The end of a generated name: five letters.
    pub(super) fn suffix(&mut self) -> String {
        (0..5).map(|_| letter(self.next())).collect()
    }

    /// `digits` hexadecimal digits.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(digits);
        text
    }
}

/// A letter for a number.
fn letter(number: u64) -> char {
    let index = usize::try_from(number % 27).unwrap_or_default();
    char::from(LETTERS[index])
}

/// A short name for a text: the decimal digits of its FNV-1a hash in the letters above, as the hashes of pod templates
/// look.
pub(super) fn hash(text: &str) -> String {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08}").bytes().map(|digit| letter(u64::from(digit))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let tell = |seed| {
            let mut dice = Dice::new(seed, Pace::default());
            (dice.suffix(), dice.delay(1, 9), dice.hex(64))
        };
        assert_eq!(tell(7), tell(7));
        assert_ne!(tell(7), tell(8));
        assert_eq!(tell(7).2.len(), 64);
    }

    #[test]
    fn a_delay_stays_between_its_bounds_and_keeps_the_pace() {
        let mut dice = Dice::new(1, Pace::default());
        for _ in 0..100 {
            let delay = dice.delay(5, 9);
            assert!((Duration::from_millis(5)..=Duration::from_millis(9)).contains(&delay), "{delay:?}");
        }
        assert_eq!(Dice::new(1, Pace { percent: 0 }).delay(5, 9), Duration::ZERO);
    }

    #[test]
    fn a_hash_has_eight_to_ten_letters_of_a_cluster() {
        for text in ["", "a", "{\"a\":1}", "something longer"] {
            let hash = hash(text);
            assert!((8..=10).contains(&hash.len()), "{hash}");
            assert!(hash.bytes().all(|letter| LETTERS.contains(&letter)), "{hash}");
        }
        assert_ne!(hash("a"), hash("b"));
    }
}
