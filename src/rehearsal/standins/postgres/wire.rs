//! The protocol, version 3: messages out of bytes and into bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message that is read, in bytes.
const LONGEST: usize = 16 << 20;

/// What is wrong with a statement or a login: the fields of an `ErrorResponse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The SQLSTATE.
    pub(super) code: &'static str,
    /// The words.
    pub(super) words: String,
    /// Where in the statement, in characters from 1.
    pub(super) position: Option<usize>,
    /// What may help.
    pub(super) hint: Option<&'static str>,
}

impl Complaint {
    /// An error without a place.
    pub(super) fn new(code: &'static str, words: impl Into<String>) -> Self {
        Self { code, words: words.into(), position: None, hint: None }
    }

    /// The same error at a place.
    pub(super) fn at(self, position: usize) -> Self {
        Self { position: Some(position), ..self }
    }
}

/// How much a complaint ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// The statement.
    Error,
    /// The connection.
    Fatal,
    /// Nothing: what was asked for makes no sense now.
    Warning,
    /// Nothing.
    Notice,
}

impl Severity {
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
        }
    }

    const fn letter(self) -> u8 {
        match self {
            Self::Error | Self::Fatal => b'E',
            Self::Warning | Self::Notice => b'N',
        }
    }
}

/// Messages that are to be sent.
#[derive(Debug, Default)]
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    /// Adds a message: its letter, its length, its body.
    pub(super) fn message(&mut self, letter: u8, body: &[u8]) {
        self.0.push(letter);
        self.0.extend_from_slice(&length(body.len() + 4));
        self.0.extend_from_slice(body);
    }

    /// Adds an authentication request.
    pub(super) fn authentication(&mut self, kind: u32, data: &[u8]) {
        self.message(b'R', &[&kind.to_be_bytes()[..], data].concat());
    }

    /// Adds the value of a setting.
    pub(super) fn parameter(&mut self, name: &str, value: &str) {
        self.message(b'S', format!("{name}\0{value}\0").as_bytes());
    }

    /// Adds that a command was done.
    pub(super) fn complete(&mut self, tag: &str) {
        self.message(b'C', format!("{tag}\0").as_bytes());
    }

    /// Adds an error or a notice.
    pub(super) fn complain(&mut self, severity: Severity, complaint: &Complaint) {
        let word = severity.word();
        let mut fields = format!("S{word}\0V{word}\0C{}\0M{}\0", complaint.code, complaint.words);
        if let Some(hint) = complaint.hint {
            fields.push_str(&format!("H{hint}\0"));
        }
        if let Some(position) = complaint.position {
            fields.push_str(&format!("P{position}\0"));
        }
        fields.push('\0');
        self.message(severity.letter(), fields.as_bytes());
    }

    /// Adds that the next statement may come, and in which state of a transaction: `I`, `T` or `E`.
    pub(super) fn ready(&mut self, status: u8) {
        self.message(b'Z', &[status]);
    }
}

/// A length or a count as four bytes.
pub(super) fn length(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes()
}

/// A count as two bytes.
pub(super) fn short(count: usize) -> [u8; 2] {
    u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes()
}

/// What follows a length of four bytes that counts itself.
///
/// # Errors
/// The stream's own, and a length that no message has.
pub(super) async fn body<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
    let Some(length) = length.filter(|length| *length <= LONGEST) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "invalid length of a message"));
    };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Reads the fields of a message one after the other.
#[derive(Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// So many bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Complaint> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A text up to its zero.
    pub(super) fn text(&mut self) -> Result<String, Complaint> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(cut_short)?;
        let text = String::from_utf8_lossy(self.bytes(end)?).into_owned();
        self.bytes(1)?;
        Ok(text)
    }

    /// A letter.
    pub(super) fn letter(&mut self) -> Result<u8, Complaint> {
        Ok(self.bytes(1)?[0])
    }

    /// A number of two bytes.
    pub(super) fn short(&mut self) -> Result<u16, Complaint> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A number of four bytes.
    pub(super) fn long(&mut self) -> Result<u32, Complaint> {
        let bytes = self.bytes(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

fn cut_short() -> Complaint {
    Complaint::new("08P01", "insufficient data left in message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_its_code_and_words() {
        let mut out = Out::default();
        out.complain(Severity::Fatal, &Complaint::new("28P01", "no").at(3));
        assert_eq!(out.0, b"E\0\0\0\x21SFATAL\0VFATAL\0C28P01\0Mno\0P3\0\0");
    }

    #[tokio::test]
    async fn a_length_that_no_message_has_is_refused() {
        assert_eq!(body(&mut &b"\0\0\0\x06ab"[..]).await.unwrap(), b"ab");
        for nonsense in [&b"\0\0\0\x03"[..], b"GET / HTTP", b"\0\0\0\x06a"] {
            assert!(body(&mut &nonsense[..]).await.is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn fields_end_where_the_message_does() {
        let mut fields = Fields(b"ab\0\0\x07");
        assert_eq!(fields.text(), Ok("ab".to_owned()));
        assert_eq!(fields.short(), Ok(7));
        assert_eq!(fields.letter().unwrap_err().code, "08P01");
    }
}
