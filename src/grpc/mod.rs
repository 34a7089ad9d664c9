//! gRPC without a transport: messages and statuses as they are sent, and the few services that are spoken with.
//!
//! - Purpose: both sides of it, for a probe and for what stands in for its server ("gRPC over HTTP2", `doc/PROTOCOL-HTTP2.md`).
//! - Never: a connection.
//! - Why one copy for both: that a field has the number that it has here is shown by the real server alone, against which both are held.

pub(crate) mod health;
pub(crate) mod temporal;

use std::fmt;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue, InvalidHeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use prost::Message;

/// What a request and an answer are said to be.
pub(crate) const CONTENT_TYPE: &str = "application/grpc";

/// Header fields of its own: how a call ended and why, and how long it may take.
pub(crate) const STATUS: &str = "grpc-status";
pub(crate) const MESSAGE: &str = "grpc-message";
pub(crate) const TIMEOUT: &str = "grpc-timeout";

/// What stands before a message: whether it is compressed, and its length in bytes.
const PREFIX: usize = 5;

/// What is written as it is in `grpc-message`: printable ASCII but for the percent sign.
const ESCAPED: AsciiSet = CONTROLS.add(b'%');

/// How a call can end; each has the number of its place ("Status codes and their use in gRPC").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

/// All of them in the order of their numbers, with their names.
const CODES: [(Code, &str); 17] = [
    (Code::Ok, "OK"),
    (Code::Cancelled, "CANCELLED"),
    (Code::Unknown, "UNKNOWN"),
    (Code::InvalidArgument, "INVALID_ARGUMENT"),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (Code::NotFound, "NOT_FOUND"),
    (Code::AlreadyExists, "ALREADY_EXISTS"),
    (Code::PermissionDenied, "PERMISSION_DENIED"),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (Code::FailedPrecondition, "FAILED_PRECONDITION"),
    (Code::Aborted, "ABORTED"),
    (Code::OutOfRange, "OUT_OF_RANGE"),
    (Code::Unimplemented, "UNIMPLEMENTED"),
    (Code::Internal, "INTERNAL"),
    (Code::Unavailable, "UNAVAILABLE"),
    (Code::DataLoss, "DATA_LOSS"),
    (Code::Unauthenticated, "UNAUTHENTICATED"),
];

impl Code {
    /// By its number; whoever is told of one that is not known takes it for `UNKNOWN`.
    fn of(number: &str) -> Self {
        let known = number.parse().ok().and_then(|number: usize| CODES.get(number));
        known.map_or(Self::Unknown, |(code, _)| *code)
    }

    fn number(self) -> usize {
        CODES.iter().position(|(code, _)| *code == self).unwrap_or_default()
    }

    /// Its name: `NOT_FOUND`.
    pub(crate) fn name(self) -> &'static str {
        CODES.get(self.number()).map_or("UNKNOWN", |(_, name)| name)
    }
}

/// How a call ended that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// How.
    pub(crate) code: Code,
    /// Why, in the server's words.
    pub(crate) words: String,
}

impl Status {
    pub(crate) fn new(code: Code, words: impl Into<String>) -> Self {
        Self { code, words: words.into() }
    }

    /// As it is sent: behind an answer, or in place of one.
    pub(crate) fn sent(result: &Result<(), Self>) -> Result<HeaderMap, InvalidHeaderValue> {
        let (code, words) =
            result.as_ref().map_or_else(|status| (status.code, status.words.as_str()), |()| (Code::Ok, ""));
        let mut fields = HeaderMap::new();
        fields.insert(STATUS, HeaderValue::from_str(&code.number().to_string())?);
        if !words.is_empty() {
            fields.insert(MESSAGE, HeaderValue::from_str(&utf8_percent_encode(words, &ESCAPED).to_string())?);
        }
        Ok(fields)
    }

    /// As it is read, where there is one.
    pub(crate) fn read(fields: &HeaderMap) -> Option<Result<(), Self>> {
        let text = |name| fields.get(name).and_then(|value| value.to_str().ok());
        let code = Code::of(text(STATUS)?);
        let words = percent_decode_str(text(MESSAGE).unwrap_or_default()).decode_utf8_lossy().into_owned();
        Some(if code == Code::Ok { Ok(()) } else { Err(Self { code, words }) })
    }
}

impl fmt::Display for Status {
    /// In one line, the code first: `NOT_FOUND: Namespace orders is not found.`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.words.split_whitespace().collect();
        write!(f, "{}: {}", self.code.name(), words.join(" "))
    }
}

/// A message as it is sent.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let body = message.encode_to_vec();
    // No message of ours is as large as could not be said.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), &body].concat().into()
}

/// Why what came is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misframed {
    /// It is shorter or longer than it says.
    Length,
    /// It is compressed, which nobody has asked for.
    Compressed,
    /// It is another message than was asked for, or none.
    Other,
}

impl fmt::Display for Misframed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a message of another length than it says",
            Self::Compressed => "a compressed message, which was not asked for",
            Self::Other => "what is not the message that was asked for",
        })
    }
}

/// The one message that was sent.
pub(crate) fn unframed<M: Message + Default>(sent: &[u8]) -> Result<M, Misframed> {
    let Some((&[flag, ref length @ ..], message)) = sent.split_first_chunk::<PREFIX>() else {
        return Err(Misframed::Length);
    };
    if usize::try_from(u32::from_be_bytes(*length)) != Ok(message.len()) {
        return Err(Misframed::Length);
    }
    if flag != 0 {
        return Err(Misframed::Compressed);
    }
    M::decode(message).map_err(|_| Misframed::Other)
}

/// How long a call may take, as it is sent: at most eight digits and a unit, here that of milliseconds.
pub(crate) fn timeout_sent(time: Duration) -> String {
    format!("{}m", time.as_millis().min(99_999_999))
}

/// How long a call may take, where that is said.
pub(crate) fn timeout_read(fields: &HeaderMap) -> Option<Duration> {
    let text = fields.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::temporal::WorkflowExecution;

    #[test]
    fn every_code_is_read_by_its_number_and_an_unknown_one_is_unknown() {
        for (number, (code, name)) in CODES.into_iter().enumerate() {
            assert_eq!((Code::of(&number.to_string()), code.name()), (code, name));
        }
        for number in ["17", "-1", "", "x"] {
            assert_eq!(Code::of(number), Code::Unknown, "{number}");
        }
    }

    #[test]
    fn a_status_is_read_as_it_was_sent() {
        for words in ["", "Namespace x is not found.", "100 %, größer\nals alles"] {
            let status = Err(Status::new(Code::NotFound, words));
            assert_eq!(Status::read(&Status::sent(&status).unwrap()), Some(status));
        }
        assert_eq!(Status::read(&Status::sent(&Ok(())).unwrap()), Some(Ok(())));
        assert_eq!(Status::read(&HeaderMap::new()), None);
        assert_eq!(Status::new(Code::Internal, "a\n b").to_string(), "INTERNAL: a b");
    }

    #[test]
    fn a_message_is_read_as_it_was_sent_and_nothing_else_is() {
        let one = WorkflowExecution { workflow_id: "a".to_owned(), run_id: "b".to_owned() };
        let sent = framed(&one);
        // Fields 1 and 2, each a text of one byte.
        assert_eq!(&sent[..], b"\0\0\0\0\x06\x0a\x01a\x12\x01b");
        assert_eq!(unframed(&sent), Ok(one));
        let other = |sent: &[u8]| unframed::<WorkflowExecution>(sent);
        assert_eq!(other(b""), Err(Misframed::Length));
        assert_eq!(other(&sent[..9]), Err(Misframed::Length));
        assert_eq!(other(b"\0\0\0\0\x01\x0a\x01"), Err(Misframed::Length));
        assert_eq!(other(b"\x01\0\0\0\0"), Err(Misframed::Compressed));
        assert_eq!(other(b"\0\0\0\0\x01\x0a"), Err(Misframed::Other));
        assert_eq!(other(b"\0\0\0\0\0"), Ok(WorkflowExecution::default()));
    }

    #[test]
    fn a_time_is_read_in_every_unit() {
        let of = |text: &'static str| {
            let mut fields = HeaderMap::new();
            fields.insert(TIMEOUT, HeaderValue::from_static(text));
            timeout_read(&fields)
        };
        let sent = timeout_sent(Duration::from_secs(5));
        assert_eq!(sent, "5000m");
        for (text, time) in [("5000m", 5000), ("5S", 5000), ("5000000u", 5000), ("2M", 120_000), ("1H", 3_600_000)] {
            assert_eq!(of(text), Some(Duration::from_millis(time)), "{text}");
        }
        for text in ["", "5", "S", "5x"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
