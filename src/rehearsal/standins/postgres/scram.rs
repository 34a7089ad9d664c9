//! SCRAM-SHA-256 as a server (RFC 5802, RFC 7677), without channel binding.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::super::hmac;

/// How often a password is hashed: what PostgreSQL does unless told otherwise.
const ROUNDS: u32 = 4096;

/// What a server keeps of a password.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    salt: [u8; 16],
    stored: [u8; 32],
    server: [u8; 32],
}

impl Verifier {
    /// Of this password, with a salt of its own.
    pub(super) fn of(password: &str) -> Self {
        let salt: [u8; 16] = random();
        let salted = stretch(password.as_bytes(), &salt, ROUNDS);
        let stored = Sha256::digest(hmac(&salted, &[b"Client Key"])).into();
        Self { salt, stored, server: hmac(&salted, &[b"Server Key"]) }
    }
}

/// A login half-way.
#[derive(Debug)]
pub(super) struct Exchange {
    verifier: Verifier,
    /// The client's first message without its header, and the server's answer to it.
    said: String,
    nonce: String,
}

impl Exchange {
    /// Takes the client's first message and gives the answer to it; `None` where it is none.
    pub(super) fn begin(verifier: &Verifier, first: &str) -> Option<(Self, String)> {
        // `y`: the client could bind to a channel and believes that the server cannot, which is right.
        let bare = first.strip_prefix("n,,").or_else(|| first.strip_prefix("y,,"))?;
        let theirs = bare.split(',').find_map(|part| part.strip_prefix("r="))?;
        let nonce = format!("{theirs}{}", BASE64_STANDARD.encode(random::<18>()));
        let answer = format!("r={nonce},s={},i={ROUNDS}", BASE64_STANDARD.encode(verifier.salt));
        let said = format!("{bare},{answer}");
        Some((Self { verifier: verifier.clone(), said, nonce }, answer))
    }

    /// Takes the client's proof and gives the server's; `None` where the password was another one.
    pub(super) fn finish(&self, last: &str) -> Option<String> {
        let (unproven, proof) = last.rsplit_once(",p=")?;
        let nonce = unproven.split(',').find_map(|part| part.strip_prefix("r="))?;
        if nonce != self.nonce {
            return None;
        }
        let said = format!("{},{unproven}", self.said);
        let signature = hmac(&self.verifier.stored, &[said.as_bytes()]);
        let proof: [u8; 32] = BASE64_STANDARD.decode(proof).ok()?.try_into().ok()?;
        let key = xor(proof, signature);
        let is_right = <[u8; 32]>::from(Sha256::digest(key)) == self.verifier.stored;
        is_right.then(|| format!("v={}", BASE64_STANDARD.encode(hmac(&self.verifier.server, &[said.as_bytes()]))))
    }
}

/// PBKDF2 for one block (RFC 8018, 5.2).
fn stretch(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let mut last = hmac(password, &[salt, &1_u32.to_be_bytes()]);
    let mut sum = last;
    for _ in 1..rounds {
        last = hmac(password, &[&last]);
        sum = xor(sum, last);
    }
    sum
}

fn xor(mut one: [u8; 32], other: [u8; 32]) -> [u8; 32] {
    one.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
    one
}

fn random<const N: usize>() -> [u8; N] {
    // The standard library seeds each of these anew from the system's randomness.
    std::array::from_fn(|_| RandomState::new().build_hasher().finish().to_be_bytes()[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_proven() {
        // RFC 7677, 3.
        let salt: [u8; 16] = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let salted = stretch(b"pencil", &salt, 4096);
        let stored = Sha256::digest(hmac(&salted, &[b"Client Key"])).into();
        let verifier = Verifier { salt, stored, server: hmac(&salted, &[b"Server Key"]) };
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let said = format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let exchange = Exchange { verifier, said, nonce: nonce.to_owned() };
        let last = |proof: &str| format!("c=biws,r={nonce},p={proof}");
        assert_eq!(
            exchange.finish(&last("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")).unwrap(),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        assert_eq!(exchange.finish(&last("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVA=")), None);
    }

    #[test]
    fn a_first_message_that_is_none_is_refused() {
        let verifier = Verifier::of("x");
        assert!(Exchange::begin(&verifier, "n,,n=,r=abc").is_some());
        assert!(Exchange::begin(&verifier, "p=tls-unique,,n=,r=abc").is_none());
        assert!(Exchange::begin(&verifier, "n,,n=").is_none());
    }
}
