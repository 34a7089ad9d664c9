//! What is said before anything else: which questions are taken, and who is asking.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable as _, StrBytes};

use super::{Fault, Head, Server, Then};

/// The questions that are taken and their versions: those of Kafka 4.1, as long as they name topics and ask for one group.
const TAKEN: [(ApiKey, i16, i16); 17] = [
    (ApiKey::Produce, 0, 12),
    (ApiKey::Fetch, 4, 12),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::OffsetCommit, 2, 9),
    (ApiKey::OffsetFetch, 1, 7),
    (ApiKey::FindCoordinator, 0, 3),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::SaslHandshake, 0, 1),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 5),
    (ApiKey::SaslAuthenticate, 0, 2),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::DescribeQuorum, 0, 2),
];

/// The mechanism that brokers take that are told their users in a line of JAAS.
const PLAIN: &str = "PLAIN";

/// How far a client has come with its login.
pub(super) struct Session(Stage);

#[derive(PartialEq)]
enum Stage {
    /// Nobody yet.
    Stranger,
    /// A mechanism is agreed on.
    Proving,
    /// Somebody.
    In,
    /// Nobody, and nobody has to be.
    Anyone,
}

impl Session {
    pub(super) const fn new(is_open: bool) -> Self {
        Self(if is_open { Stage::Anyone } else { Stage::Stranger })
    }

    /// Whether other questions are taken.
    pub(super) fn is_in(&self) -> bool {
        matches!(self.0, Stage::In | Stage::Anyone)
    }
}

impl Server {
    /// The questions that are taken, with their versions.
    pub(super) fn taken(&self) -> Vec<(ApiKey, i16, i16)> {
        let is_new = self.faults.is(Fault::OtherVersions);
        let others = |(key, least, most)| match is_new && key == ApiKey::Metadata {
            true => (key, most + 1, most + 9),
            false => (key, least, most),
        };
        TAKEN.map(others).to_vec()
    }

    /// A version that is not known is answered in the oldest form, and since version 3 a client says what it is (KIP-511).
    pub(super) fn versions(&self, head: Head, question: &mut Bytes) -> Then {
        let (version, code) = match head.version {
            0..=4 if head.version < 3 || is_named(question, head.version) => (head.version, 0),
            0..=4 => (head.version, ResponseError::InvalidRequest.code()),
            _ => (0, ResponseError::UnsupportedVersion.code()),
        };
        let of_one = |(key, least, most): (ApiKey, i16, i16)| {
            ApiVersion::default().with_api_key(key as i16).with_min_version(least).with_max_version(most)
        };
        let keys = self.taken().into_iter().map(of_one).collect();
        head.say_as(version, &ApiVersionsResponse::default().with_error_code(code).with_api_keys(keys))
    }

    pub(super) fn handshake(&self, head: Head, session: &mut Session, asked: &SaslHandshakeRequest) -> Then {
        let answer = SaslHandshakeResponse::default();
        if session.0 == Stage::Anyone {
            return head.say(&answer.with_error_code(ResponseError::IllegalSaslState.code()));
        }
        let takes = if self.faults.is(Fault::NoMechanism) { "GSSAPI" } else { PLAIN };
        let answer = answer.with_mechanisms(vec![StrBytes::from_static_str(takes)]);
        if asked.mechanism.as_str() != takes {
            let refused = head.say(&answer.with_error_code(ResponseError::UnsupportedSaslMechanism.code()));
            return last(refused);
        }
        session.0 = Stage::Proving;
        head.say(&answer)
    }

    pub(super) fn authenticate(&self, head: Head, session: &mut Session, asked: &SaslAuthenticateRequest) -> Then {
        let answer = SaslAuthenticateResponse::default();
        let refused = |error: ResponseError, words: &'static str| {
            let words = Some(StrBytes::from_static_str(words));
            last(head.say(&answer.clone().with_error_code(error.code()).with_error_message(words)))
        };
        if session.0 != Stage::Proving {
            let words = "SaslAuthenticate request received after successful authentication";
            return refused(ResponseError::IllegalSaslState, words);
        }
        if !self.lets_in(&asked.auth_bytes) {
            let words = "Authentication failed: Invalid username or password";
            return refused(ResponseError::SaslAuthenticationFailed, words);
        }
        session.0 = Stage::In;
        head.say(&answer)
    }

    /// Whether this is the name and the password of somebody (RFC 4616).
    fn lets_in(&self, told: &Bytes) -> bool {
        let told = String::from_utf8_lossy(told).into_owned();
        let mut parts = told.split('\0').skip(1);
        let (Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next()) else { return false };
        let is_known = self.config.users.iter().any(|known| known.name == user && known.password == password);
        !self.faults.is(Fault::RejectsLogin) && (is_known || self.faults.is(Fault::AcceptsAnyPassword))
    }
}

/// Whether a client says what it is in a way that brokers take (`ApiVersionsRequest.isValid`).
fn is_named(question: &mut Bytes, version: i16) -> bool {
    let Ok(asked) = ApiVersionsRequest::decode(question, version) else { return false };
    let is_valid = |text: &str| {
        let inner = text.strip_prefix(|first: char| first.is_ascii_alphanumeric());
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
        inner.is_some_and(|rest| rest.chars().all(allowed) && !rest.ends_with(['-', '.']))
    };
    is_valid(&asked.client_software_name) && is_valid(&asked.client_software_version)
}

fn last(then: Then) -> Then {
    match then {
        Then::Say(said) => Then::Last(said),
        other @ (Then::Last(_) | Then::Hush | Then::Leave) => other,
    }
}
