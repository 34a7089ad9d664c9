//! Kafka's protocol over a stream that is already open: a question, and the answer to it, in a version that both sides speak.
//!
//! - Why no version beyond those of [`newest`]: in later ones topics are numbered instead of named, and several groups are asked for
//!   at once. Kafka 3.9 and 4 speak these as well.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable as _, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::complaint::chain;
use crate::probes::Unseen;
use crate::probes::channel::Channel;
use crate::probes::reach::Unmet;
use crate::tunnel::Fate;

/// The largest answer that is read, in bytes: the metadata of ten thousands of partitions are a few of them.
const LARGEST: usize = 64 << 20;

/// By which name brokers know us.
const CLIENT: &str = "seaworthy";

/// An open connection to a broker.
pub(super) struct Line {
    stream: Channel,
    fate: Fate,
    /// Whom it leads to, in words.
    who: String,
    /// The versions of each question that the broker takes.
    taken: BTreeMap<i16, (i16, i16)>,
    number: i32,
}

impl Line {
    /// Begins with the question that every broker answers to whoever comes: what it understands.
    pub(super) async fn open(who: String, stream: Channel) -> Result<Self, Unmet> {
        let fate = stream.fate();
        // Nobody else's first answer has this number by chance, and nothing is read of an answer that has another.
        let number = 0x5ea1_0000;
        let mut line = Self { stream, fate, who, taken: BTreeMap::new(), number };
        let question = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str(CLIENT))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let newest = newest::<ApiVersionsRequest>().min(3);
        let said = line.exchange(&question, newest).await?;
        // A broker that is older than the question answers in the oldest form (KIP-511).
        let is_older = said.len() >= 2 && said[..2] == ResponseError::UnsupportedVersion.code().to_be_bytes();
        let answer: ApiVersionsResponse = match is_older {
            true => line.ask_as(&question, 0).await?,
            false => line.read::<ApiVersionsRequest>(said, newest)?,
        };
        if let Some(error) = error(answer.error_code, None) {
            return Err(line.broke(&format!("answered the first question with {error}")));
        }
        let versions = answer.api_keys.iter().map(|key| (key.api_key, (key.min_version, key.max_version)));
        line.taken = versions.collect();
        Ok(line)
    }

    /// The answer to a question.
    pub(super) async fn ask<R: Request>(&mut self, question: &R) -> Result<R::Response, Unmet> {
        let (ours, theirs) = ((R::VERSIONS.min, newest::<R>()), self.taken.get(&R::KEY).copied());
        let (least, most) = theirs.unwrap_or((i16::MAX, i16::MIN));
        let version = ours.1.min(most);
        if version < ours.0.max(least) {
            let name = ApiKey::try_from(R::KEY).map_or_else(|()| R::KEY.to_string(), |key| format!("{key:?}"));
            let takes = theirs.map_or("none".to_owned(), |(least, most)| format!("{least} to {most}"));
            let words =
                format!("takes no version of {name} that is spoken here, {} to {}, but {takes}", ours.0, ours.1);
            return Err(self.broke(&words));
        }
        self.ask_as(question, version).await
    }

    async fn ask_as<R: Request>(&mut self, question: &R, version: i16) -> Result<R::Response, Unmet> {
        let said = self.exchange(question, version).await?;
        self.read::<R>(said, version)
    }

    /// Says something and returns the answer without its header.
    async fn exchange<R: Request>(&mut self, question: &R, version: i16) -> Result<Bytes, Unmet> {
        self.number = self.number.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.number)
            .with_client_id(Some(StrBytes::from_static_str(CLIENT)));
        let mut said = BytesMut::new();
        let written =
            header.encode(&mut said, R::header_version(version)).and_then(|()| question.encode(&mut said, version));
        written.map_err(|error| self.unsaid(&error))?;
        let answer = self.carry(&said).await.map_err(|error| self.no_answer(&chain(&error)))?;
        let mut answer = answer.map_err(|words| self.no_answer(&words))?;
        if answer.get(..4) != Some(&self.number.to_be_bytes()[..]) {
            return Err(self.no_answer("an answer to another question"));
        }
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version));
        header.map_err(|error| self.no_answer(&format!("{error:#}")))?;
        Ok(answer)
    }

    /// The bytes of a question there, and of an answer back; the inner error is an answer that is none.
    async fn carry(&mut self, said: &[u8]) -> std::io::Result<Result<Bytes, String>> {
        let length = u32::try_from(said.len()).map_err(std::io::Error::other)?;
        self.stream.write_all(&[&length.to_be_bytes()[..], said].concat()).await?;
        self.stream.flush().await?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await?;
        let size = usize::try_from(i32::from_be_bytes(length)).ok().filter(|size| *size <= LARGEST);
        let Some(size) = size else { return Ok(Err(format!("it begins with {:?}", String::from_utf8_lossy(&length)))) };
        let mut answer = vec![0; size];
        self.stream.read_exact(&mut answer).await?;
        Ok(Ok(Bytes::from(answer)))
    }

    fn read<R: Request>(&self, mut said: Bytes, version: i16) -> Result<R::Response, Unmet> {
        R::Response::decode(&mut said, version).map_err(|error| self.no_answer(&format!("{error:#}")))
    }

    /// What cannot be said at all says nothing of the platform.
    pub(super) fn unsaid(&self, error: &(impl std::fmt::Display + ?Sized)) -> Unmet {
        Unseen(format!("cannot put a question to {} into words: {error:#}", self.who)).into()
    }

    fn no_answer(&self, words: &str) -> Unmet {
        self.broke(&format!("gave no valid answer: {words}"))
    }

    /// What this broker did, and no Kafka broker does.
    pub(super) fn broke(&self, words: &str) -> Unmet {
        Unmet::broke(&self.fate, format!("{} {words}", self.who))
    }
}

/// The newest version of a question that is asked here.
fn newest<R: Request>() -> i16 {
    let named = [
        (ApiKey::Produce, 12),
        (ApiKey::Fetch, 12),
        (ApiKey::OffsetCommit, 9),
        (ApiKey::OffsetFetch, 7),
        (ApiKey::FindCoordinator, 3),
        (ApiKey::DeleteTopics, 5),
    ];
    let newest = named.iter().find(|(key, _)| *key as i16 == R::KEY);
    newest.map_or(R::VERSIONS.max, |(_, version)| *version)
}

/// An error by its name, `NOT_ENOUGH_REPLICAS`, with what was said about it; `None` where the code is none.
pub(super) fn error(code: i16, words: Option<&StrBytes>) -> Option<String> {
    let error = ResponseError::try_from_code(code)?;
    let mut name = String::new();
    if let ResponseError::Unknown(code) = error {
        name = format!("error {code}");
    } else {
        for letter in format!("{error:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
    }
    let words = words.map(|words| words.trim()).filter(|words| !words.is_empty());
    Some(words.map_or_else(|| name.clone(), |words| format!("{name} {words}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_names_that_kafka_has_for_them() {
        let words = StrBytes::from_static_str(" Invalid username or password\n");
        assert_eq!(error(0, Some(&words)), None);
        assert_eq!(error(58, Some(&words)).unwrap(), "SASL_AUTHENTICATION_FAILED Invalid username or password");
        for (code, name) in [
            (3, "UNKNOWN_TOPIC_OR_PARTITION"),
            (15, "COORDINATOR_NOT_AVAILABLE"),
            (19, "NOT_ENOUGH_REPLICAS"),
            (38, "INVALID_REPLICATION_FACTOR"),
            (56, "KAFKA_STORAGE_ERROR"),
            (-1, "UNKNOWN_SERVER_ERROR"),
            (9999, "error 9999"),
        ] {
            assert_eq!(error(code, None).unwrap(), name);
        }
    }
}
