//! SASL as Kafka carries it: the mechanism is agreed on, then its messages go to and fro (KIP-43, KIP-152).

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;
use ring::{digest, hmac, pbkdf2};

use super::wire::{Line, error};
use crate::checks::Mechanism;
use crate::probes::reach::Unmet;
use crate::probes::token;

/// The most rounds of hashing that a broker may ask for (Kafka, `ScramMechanism`: 16384): more is no SCRAM of Kafka's, and would keep
/// this program busy for as long as the other side likes.
const ROUNDS: u32 = 16_384;

/// As whom we come.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) mechanism: Mechanism,
}

impl Login {
    /// Logs in over a new connection. The inner error is the broker's: its name, then its words.
    pub(super) async fn prove(&self, line: &mut Line) -> Result<Result<(), String>, Unmet> {
        let name = StrBytes::from_static_str(self.mechanism.name());
        let answer = line.ask(&SaslHandshakeRequest::default().with_mechanism(name)).await?;
        if let Some(error) = error(answer.error_code, None) {
            let has: Vec<String> = answer.mechanisms.iter().map(|one| one.to_string()).collect();
            let has =
                if has.is_empty() { "it asks for no login".to_owned() } else { format!("it has {}", has.join(", ")) };
            return Ok(Err(format!("{error} ({}; {has})", self.mechanism.name())));
        }
        match self.mechanism {
            Mechanism::Plain => {
                let Self { user, password, .. } = self;
                Ok(say(line, format!("\0{user}\0{password}")).await?.map(drop))
            }
            Mechanism::ScramSha256 => self.scram(line, hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256).await,
            Mechanism::ScramSha512 => self.scram(line, hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512).await,
        }
    }

    async fn scram(
        &self,
        line: &mut Line,
        hash: hmac::Algorithm,
        stretch: pbkdf2::Algorithm,
    ) -> Result<Result<(), String>, Unmet> {
        let begun = Scram::begin(&self.user, &token(), hash, stretch);
        let first = match say(line, begun.first()).await? {
            Ok(first) => first,
            Err(error) => return Ok(Err(error)),
        };
        let answer = begun.answer(&self.password, &first);
        let (last, proof) = answer.map_err(|why| line.broke(&format!("gave no valid answer to a login: {why}")))?;
        match say(line, last).await? {
            Ok(theirs) if theirs.split(',').next() == Some(&proof) => Ok(Ok(())),
            Ok(_) => Err(line.broke("let us in without knowing the password itself")),
            Err(error) => Ok(Err(error)),
        }
    }
}

/// One message there, and the one that comes back.
async fn say(line: &mut Line, words: String) -> Result<Result<String, String>, Unmet> {
    let answer = line.ask(&SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(words))).await?;
    match error(answer.error_code, answer.error_message.as_ref()) {
        Some(error) => Ok(Err(error)),
        None => Ok(Ok(String::from_utf8_lossy(&answer.auth_bytes).into_owned())),
    }
}

/// A login by SCRAM (RFC 5802), without channel binding, as the client.
struct Scram {
    hash: hmac::Algorithm,
    stretch: pbkdf2::Algorithm,
    nonce: String,
    /// The first message without its header.
    bare: String,
}

impl Scram {
    fn begin(user: &str, nonce: &str, hash: hmac::Algorithm, stretch: pbkdf2::Algorithm) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self { hash, stretch, nonce: nonce.to_owned(), bare: format!("n={user},r={nonce}") }
    }

    fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// The last message, and how the server's answer to it begins if it knows the password as well. Kafka takes a password's bytes as
    /// they are (`ScramFormatter.normalize`).
    fn answer(&self, password: &str, first: &str) -> Result<(String, String), String> {
        let part = |name: &str| {
            let found = first.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.ok_or_else(|| format!("it says no `{name}`"))
        };
        let (nonce, salt, rounds) = (part("r")?, part("s")?, part("i")?);
        if !nonce.starts_with(&self.nonce) {
            return Err("it answers somebody else".to_owned());
        }
        let salt = BASE64_STANDARD.decode(salt).map_err(|_| "its salt is none".to_owned())?;
        let rounds = rounds.parse().ok().filter(|rounds: &NonZeroU32| rounds.get() <= ROUNDS);
        let rounds = rounds.ok_or_else(|| format!("it does not ask for 1 to {ROUNDS} rounds of hashing"))?;
        let mut salted = vec![0; self.hash.digest_algorithm().output_len()];
        pbkdf2::derive(self.stretch, rounds, &salt, password.as_bytes(), &mut salted);
        let sign = |key: &[u8], words: &str| hmac::sign(&hmac::Key::new(self.hash, key), words.as_bytes());
        let key = sign(&salted, "Client Key");
        let stored = digest::digest(self.hash.digest_algorithm(), key.as_ref());
        let unproven = format!("c=biws,r={nonce}");
        let said = format!("{},{first},{unproven}", self.bare);
        let signature = sign(stored.as_ref(), &said);
        let proof: Vec<u8> = key.as_ref().iter().zip(signature.as_ref()).map(|(one, other)| one ^ other).collect();
        let theirs = sign(sign(&salted, "Server Key").as_ref(), &said);
        Ok((format!("{unproven},p={}", BASE64_STANDARD.encode(proof)), format!("v={}", BASE64_STANDARD.encode(theirs))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_proven() {
        // RFC 7677, 3.
        let login = Scram::begin("user", "rOprNGfwEbeRWgbNEkqO", hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256);
        assert_eq!(login.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let (last, theirs) = login.answer("pencil", &format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")).unwrap();
        assert_eq!(last, format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        assert_eq!(theirs, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn what_no_server_says_is_no_answer() {
        let login = Scram::begin("a,b=c", "abc", hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512);
        assert_eq!(login.first(), "n,,n=a=2Cb=3Dc,r=abc");
        for (first, why) in [
            ("s=AAAA,i=4096", "it says no `r`"),
            ("r=abcd,i=4096", "it says no `s`"),
            ("r=abcd,s=AAAA", "it says no `i`"),
            ("r=xyz,s=AAAA,i=4096", "it answers somebody else"),
            ("r=abcd,s=?,i=4096", "its salt is none"),
            ("r=abcd,s=AAAA,i=0", "it does not ask for 1 to 16384 rounds of hashing"),
            ("r=abcd,s=AAAA,i=2000000000", "it does not ask for 1 to 16384 rounds of hashing"),
        ] {
            assert_eq!(login.answer("x", first).unwrap_err(), why);
        }
    }
}
