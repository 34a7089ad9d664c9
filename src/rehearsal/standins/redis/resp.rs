//! The protocol: requests out of bytes, replies into bytes (RESP2, and of RESP3 its maps, nulls and verbatim texts).

use std::fmt::Write;

/// A command and its arguments.
pub(super) type Request = Vec<Vec<u8>>;

/// The longest argument and the most arguments that a server takes.
const LONGEST: i64 = 512 << 20;
const MOST: i64 = 1 << 20;

/// The version of the protocol that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// What every connection begins with.
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A word such as `OK`.
    Status(&'static str),
    /// A word that is made up.
    Words(String),
    /// A code and words: `ERR syntax error`.
    Error(String),
    /// A number.
    Integer(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// A text for people.
    Text(String),
    /// No such value.
    Null,
    /// No such list; RESP3 has one null for all.
    NullArray,
    /// A list.
    Array(Vec<Reply>),
    /// Pairs; in RESP2 a list of twice the length.
    Map(Vec<(Reply, Reply)>),
}

impl Reply {
    /// A text as bytes.
    pub(super) fn bulk(text: impl Into<String>) -> Self {
        Self::Bulk(text.into().into_bytes())
    }

    /// An error with its code.
    pub(super) fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    /// As it goes over the wire.
    pub(super) fn encode(&self, protocol: Protocol) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(protocol, &mut bytes);
        bytes
    }

    fn write(&self, protocol: Protocol, out: &mut Vec<u8>) {
        match self {
            Self::Status(word) => line(out, '+', word),
            Self::Words(words) => line(out, '+', words),
            // An error is one line whatever its words are.
            Self::Error(words) => line(out, '-', &words.replace(['\r', '\n'], " ")),
            Self::Integer(number) => line(out, ':', &number.to_string()),
            Self::Bulk(bytes) => {
                line(out, '$', &bytes.len().to_string());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Self::Text(text) => match protocol {
                Protocol::Resp2 => Self::bulk(text).write(protocol, out),
                Protocol::Resp3 => {
                    line(out, '=', &(text.len() + "txt:".len()).to_string());
                    line(out, 't', &format!("xt:{text}"));
                }
            },
            Self::Null => out.extend_from_slice(null(protocol, b"$-1\r\n")),
            Self::NullArray => out.extend_from_slice(null(protocol, b"*-1\r\n")),
            Self::Array(items) => {
                line(out, '*', &items.len().to_string());
                items.iter().for_each(|item| item.write(protocol, out));
            }
            Self::Map(pairs) => {
                match protocol {
                    Protocol::Resp2 => line(out, '*', &(pairs.len() * 2).to_string()),
                    Protocol::Resp3 => line(out, '%', &pairs.len().to_string()),
                }
                for (key, value) in pairs {
                    key.write(protocol, out);
                    value.write(protocol, out);
                }
            }
        }
    }
}

const fn null(protocol: Protocol, resp2: &'static [u8]) -> &'static [u8] {
    match protocol {
        Protocol::Resp2 => resp2,
        Protocol::Resp3 => b"_\r\n",
    }
}

fn line(out: &mut Vec<u8>, kind: char, text: &str) {
    let mut whole = String::with_capacity(text.len() + 3);
    // Writing into a String cannot fail.
    write!(whole, "{kind}{text}\r\n").ok();
    out.extend_from_slice(whole.as_bytes());
}

/// The first request of these bytes and how many of them it takes; `None` where it is not whole yet. A blank line is a
/// request without words.
///
/// # Errors
/// The words with which a server ends the connection.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, String> {
    let Some((first, mut at)) = until_newline(bytes, 0) else { return Ok(None) };
    let Some(count) = first.strip_prefix(b"*") else { return Ok(Some((inline(first)?, at))) };
    let Some(count) = number(count).filter(|count| *count <= MOST) else {
        return Err("ERR Protocol error: invalid multibulk length".to_owned());
    };
    // Fewer than none are none.
    let count = usize::try_from(count).unwrap_or(0);
    let mut words = Vec::new();
    for _ in 0..count {
        let Some((head, after)) = until_newline(bytes, at) else { return Ok(None) };
        let Some(length) = head.strip_prefix(b"$") else {
            let got = head.first().map_or(' ', |byte| char::from(*byte));
            return Err(format!("ERR Protocol error: expected '$', got '{got}'"));
        };
        let length = number(length).filter(|length| *length <= LONGEST);
        let Some(length) = length.and_then(|length| usize::try_from(length).ok()) else {
            return Err("ERR Protocol error: invalid bulk length".to_owned());
        };
        let Some(word) = bytes.get(after..after + length) else { return Ok(None) };
        if bytes.len() < after + length + 2 {
            return Ok(None);
        }
        words.push(word.to_vec());
        at = after + length + 2;
    }
    Ok(Some((words, at)))
}

/// The words of a request as a person types it into netcat: quotes hold blanks, and `\\` in double ones begins a sign.
fn inline(line: &[u8]) -> Result<Request, String> {
    let unbalanced = || "ERR Protocol error: unbalanced quotes in request".to_owned();
    let mut words = Vec::new();
    let mut rest = line.trim_ascii();
    while let Some(first) = rest.first() {
        let (word, after) = match first {
            quote @ (b'"' | b'\'') => quoted(&rest[1..], *quote).ok_or_else(unbalanced)?,
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                (rest[..end].to_vec(), &rest[end..])
            }
        };
        if after.first().is_some_and(|next| !next.is_ascii_whitespace()) {
            return Err(unbalanced());
        }
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

/// A word up to its closing quote, and what follows that.
fn quoted(text: &[u8], quote: u8) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut rest = text;
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, rest @ ..] if quote == b'"' => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok();
                word.push(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())?);
                rest
            }
            [b'\\', sign, rest @ ..] if quote == b'"' || *sign == quote => {
                word.push(match sign {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                rest
            }
            [end, rest @ ..] if *end == quote => return Some((word, rest)),
            [other, rest @ ..] => {
                word.push(*other);
                rest
            }
            [] => return None,
        };
    }
}

fn until_newline(bytes: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(from..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = &rest[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), from + end + 1))
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_once_it_is_whole_and_not_before() {
        let whole = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), Ok(None), "{end}");
        }
        let twice = [&whole[..], whole].concat();
        assert_eq!(parse(&twice), Ok(Some((vec![b"GET".to_vec(), b"k".to_vec()], whole.len()))));
        assert_eq!(parse(b"PING  x\r\n"), Ok(Some((vec![b"PING".to_vec(), b"x".to_vec()], 9))));
    }

    #[test]
    fn nonsense_gets_the_servers_words() {
        assert_eq!(parse(b"*x\r\n").unwrap_err(), "ERR Protocol error: invalid multibulk length");
        assert_eq!(parse(b"*1\r\n:3\r\n").unwrap_err(), "ERR Protocol error: expected '$', got ':'");
        assert_eq!(parse(b"SET 'a\\' b\r\n").unwrap_err(), "ERR Protocol error: unbalanced quotes in request");
        assert_eq!(parse(b"*1\r\n$-4\r\n").unwrap_err(), "ERR Protocol error: invalid bulk length");
    }

    #[test]
    fn each_version_of_the_protocol_has_its_own_maps_and_nulls() {
        let map = Reply::Map(vec![(Reply::bulk("a"), Reply::Null)]);
        assert_eq!(map.encode(Protocol::Resp2), b"*2\r\n$1\r\na\r\n$-1\r\n");
        assert_eq!(map.encode(Protocol::Resp3), b"%1\r\n$1\r\na\r\n_\r\n");
        assert_eq!(Reply::Text("hi".to_owned()).encode(Protocol::Resp3), b"=6\r\ntxt:hi\r\n");
        assert_eq!(Reply::NullArray.encode(Protocol::Resp2), b"*-1\r\n");
        assert_eq!(Reply::error("ERR a\nb").encode(Protocol::Resp2), b"-ERR a b\r\n");
    }
}
