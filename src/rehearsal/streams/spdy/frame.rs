//! Frames of SPDY/3.1, read and written (draft-mbelshe-httpbis-spdy-00, 2.2 and 2.6). What is not understood is an error or is
//! passed over; nothing that is read can make this panic or hold more than it may.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::dictionary::DICTIONARY;

/// The longest frame that is taken, in bytes; clients copy 32 KiB at a time.
const LONGEST: usize = 1 << 20;

/// The most that headers may come to, in bytes.
const MOST_HEADERS: usize = 64 << 10;

/// A frame that says nothing of itself begins with this bit.
const CONTROL: u32 = 1 << 31;
const VERSION: u16 = 3;
const FIN: u8 = 1;

/// Headers by their names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Headers(pub(super) Vec<(String, String)>);

impl Headers {
    /// A header; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A stream begins.
    Syn {
        id: u32,
        headers: Headers,
        fin: bool,
    },
    /// It was taken.
    Reply {
        id: u32,
        headers: Headers,
        fin: bool,
    },
    /// It is broken off.
    Reset {
        id: u32,
        status: u32,
    },
    /// To be sent back as it is.
    Ping {
        id: u32,
    },
    /// The sender begins nothing more, and takes nothing that begins after `last`.
    GoAway {
        last: u32,
        status: u32,
    },
    /// More headers for a stream.
    Headers {
        id: u32,
        headers: Headers,
        fin: bool,
    },
    Data {
        id: u32,
        data: Bytes,
        fin: bool,
    },
    /// SETTINGS and WINDOW_UPDATE, which spdystream neither sends nor heeds, and what is not known.
    Other,
}

/// Bytes that are no frames.
#[derive(Debug, thiserror::Error)]
pub(super) enum Garbled {
    #[error("the connection ends within a frame")]
    Cut(#[source] std::io::Error),
    #[error("a frame of {0} bytes")]
    TooLong(usize),
    #[error("SPDY version {0}")]
    Version(u16),
    #[error("a frame of type {0} that is too short")]
    TooShort(u16),
    #[error("headers that are not compressed as agreed")]
    Headers,
}

/// Reads frames.
pub(super) struct Reader<R> {
    from: R,
    inflate: Decompress,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, inflate: Decompress::new(true) }
    }

    /// The next frame; nothing at the end.
    ///
    /// # Errors
    /// What makes it impossible to read on.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, Garbled> {
        let mut head = [0; 8];
        if self.from.read(&mut head[..1]).await.map_err(Garbled::Cut)? == 0 {
            return Ok(None);
        }
        self.from.read_exact(&mut head[1..]).await.map_err(Garbled::Cut)?;
        let [a, b, c, d, flags, e, f, g] = head;
        let length = usize::try_from(u32::from_be_bytes([0, e, f, g])).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(Garbled::TooLong(length));
        }
        let mut body = vec![0; length];
        self.from.read_exact(&mut body).await.map_err(Garbled::Cut)?;
        let word = u32::from_be_bytes([a, b, c, d]);
        if word & CONTROL == 0 {
            return Ok(Some(Frame::Data { id: word, data: body.into(), fin: flags & FIN != 0 }));
        }
        let version = u16::from_be_bytes([a, b]) & 0x7fff;
        if version != VERSION {
            return Err(Garbled::Version(version));
        }
        self.control(u16::from_be_bytes([c, d]), flags & FIN != 0, &body).map(Some)
    }

    fn control(&mut self, kind: u16, fin: bool, body: &[u8]) -> Result<Frame, Garbled> {
        let word = |at: usize| {
            let bytes = body.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_be_bytes).ok_or(Garbled::TooShort(kind))
        };
        let stream = |at| word(at).map(|id| id & !CONTROL);
        Ok(match kind {
            // After the id: another stream's id, a priority and a slot.
            1 => Frame::Syn { id: stream(0)?, fin, headers: self.headers(body.get(10..), kind)? },
            2 => Frame::Reply { id: stream(0)?, fin, headers: self.headers(body.get(4..), kind)? },
            3 => Frame::Reset { id: stream(0)?, status: word(4)? },
            6 => Frame::Ping { id: word(0)? },
            7 => Frame::GoAway { last: stream(0)?, status: word(4)? },
            8 => Frame::Headers { id: stream(0)?, fin, headers: self.headers(body.get(4..), kind)? },
            _ => Frame::Other,
        })
    }

    fn headers(&mut self, compressed: Option<&[u8]>, kind: u16) -> Result<Headers, Garbled> {
        let block = inflate(&mut self.inflate, compressed.ok_or(Garbled::TooShort(kind))?)?;
        parse(&block).ok_or(Garbled::Headers)
    }
}

/// Undoes the compression of one block; its end is a flush of the sender, not the end of what is compressed.
fn inflate(state: &mut Decompress, mut input: &[u8]) -> Result<Vec<u8>, Garbled> {
    let mut block = Vec::new();
    let mut part = [0; 4096];
    loop {
        let (taken, given) = (state.total_in(), state.total_out());
        let outcome = state.decompress(input, &mut part, FlushDecompress::Sync);
        let taken = usize::try_from(state.total_in() - taken).map_err(|_| Garbled::Headers)?;
        let given = usize::try_from(state.total_out() - given).map_err(|_| Garbled::Headers)?;
        input = input.get(taken..).ok_or(Garbled::Headers)?;
        block.extend_from_slice(&part[..given]);
        if block.len() > MOST_HEADERS {
            return Err(Garbled::Headers);
        }
        match outcome {
            Err(error) if error.needs_dictionary().is_some() => {
                state.set_dictionary(&DICTIONARY).map_err(|_| Garbled::Headers)?;
            }
            Err(_) | Ok(Status::StreamEnd) => return Err(Garbled::Headers),
            Ok(Status::BufError) => return Ok(block),
            // All is in, and there was room for what came of it.
            Ok(Status::Ok) if input.is_empty() && given < part.len() => return Ok(block),
            Ok(Status::Ok) if taken == 0 && given == 0 => return Err(Garbled::Headers),
            Ok(Status::Ok) => {}
        }
    }
}

/// A number of pairs, each with a length before the name and before the value.
fn parse(mut block: &[u8]) -> Option<Headers> {
    let count = number(&mut block)?;
    let mut headers = Headers::default();
    for _ in 0..count {
        let name = text(&mut block)?.to_ascii_lowercase();
        headers.0.push((name, text(&mut block)?));
    }
    Some(headers)
}

fn number(block: &mut &[u8]) -> Option<u32> {
    let (bytes, rest) = block.split_first_chunk()?;
    *block = rest;
    Some(u32::from_be_bytes(*bytes))
}

fn text(block: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(number(block)?).ok()?;
    let (text, rest) = block.split_at_checked(length)?;
    *block = rest;
    String::from_utf8(text.to_vec()).ok()
}

/// Writes frames.
pub(super) struct Writer {
    deflate: Compress,
}

impl Writer {
    /// # Errors
    /// Where the compression cannot be set up.
    pub(super) fn new() -> Result<Self, Garbled> {
        let mut deflate = Compress::new(Compression::default(), true);
        deflate.set_dictionary(&DICTIONARY).map_err(|_| Garbled::Headers)?;
        Ok(Self { deflate })
    }

    /// A frame as it is sent. Frames are to be sent in the order in which they are encoded, for the headers of one are
    /// compressed with those before them in mind.
    ///
    /// # Errors
    /// A frame that is too long.
    pub(super) fn encode(&mut self, frame: &Frame) -> Result<Vec<u8>, Garbled> {
        match frame {
            Frame::Data { id, data, fin } => framed(id & !CONTROL, *fin, data),
            Frame::Syn { id, headers, fin } => {
                let body = [&id.to_be_bytes()[..], &[0; 6], &self.compressed(headers)?].concat();
                framed(control(1), *fin, &body)
            }
            Frame::Reply { id, headers, fin } => {
                framed(control(2), *fin, &[&id.to_be_bytes()[..], &self.compressed(headers)?].concat())
            }
            Frame::Reset { id, status } => {
                framed(control(3), false, &[id.to_be_bytes(), status.to_be_bytes()].concat())
            }
            Frame::Ping { id } => framed(control(6), false, &id.to_be_bytes()),
            Frame::GoAway { last, status } => {
                framed(control(7), false, &[last.to_be_bytes(), status.to_be_bytes()].concat())
            }
            Frame::Headers { id, headers, fin } => {
                framed(control(8), *fin, &[&id.to_be_bytes()[..], &self.compressed(headers)?].concat())
            }
            // No settings.
            Frame::Other => framed(control(4), false, &0_u32.to_be_bytes()),
        }
    }

    fn compressed(&mut self, headers: &Headers) -> Result<Vec<u8>, Garbled> {
        let mut block = length(headers.0.len())?.to_vec();
        for text in headers.0.iter().flat_map(|(name, value)| [name, value]) {
            block.extend(length(text.len())?);
            block.extend(text.bytes());
        }
        let mut compressed = Vec::with_capacity(block.len() + 64);
        let mut rest = block.as_slice();
        loop {
            compressed.reserve(256);
            let taken = self.deflate.total_in();
            self.deflate.compress_vec(rest, &mut compressed, FlushCompress::Sync).map_err(|_| Garbled::Headers)?;
            let taken = usize::try_from(self.deflate.total_in() - taken).map_err(|_| Garbled::Headers)?;
            rest = rest.get(taken..).ok_or(Garbled::Headers)?;
            // Where room is left, the flush is complete.
            if rest.is_empty() && compressed.len() < compressed.capacity() {
                return Ok(compressed);
            }
        }
    }
}

/// The first word of a control frame.
fn control(kind: u16) -> u32 {
    CONTROL | u32::from(VERSION) << 16 | u32::from(kind)
}

fn framed(word: u32, fin: bool, body: &[u8]) -> Result<Vec<u8>, Garbled> {
    if body.len() > LONGEST {
        return Err(Garbled::TooLong(body.len()));
    }
    let [_, length @ ..] = length(body.len())?;
    let flags = if fin { FIN } else { 0 };
    Ok([&word.to_be_bytes()[..], &[flags], &length, body].concat())
}

fn length(length: usize) -> Result<[u8; 4], Garbled> {
    u32::try_from(length).map(u32::to_be_bytes).map_err(|_| Garbled::TooLong(length))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Frame>, Garbled> {
        let all = async {
            let mut reader = Reader::new(bytes);
            let mut frames = Vec::new();
            while let Some(frame) = reader.next().await? {
                frames.push(frame);
            }
            Ok(frames)
        };
        // Bytes that are there already are not waited for.
        all.now_or_never().unwrap()
    }

    fn written(frames: &[Frame]) -> Vec<u8> {
        let mut writer = Writer::new().unwrap();
        frames.iter().flat_map(|frame| writer.encode(frame).unwrap()).collect()
    }

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn headers_are_read_however_they_are_compressed() {
        // zlib named the dictionary in the first block, and the second one leans on the first.
        let pairs = headers(&[("streamtype", "data"), ("port", "80"), ("requestid", "0")]);
        let frames = [
            Frame::Syn { id: 1, headers: pairs.clone(), fin: false },
            Frame::Syn { id: 3, headers: pairs, fin: true },
            Frame::Reply { id: 1, headers: Headers::default(), fin: false },
        ];
        let bytes = written(&frames);
        assert_eq!(bytes[18..24], [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2]);
        assert_eq!(read(&bytes).unwrap(), frames);
    }

    #[test]
    fn headers_that_grow_beyond_all_measure_are_refused() {
        let long = "x".repeat(MOST_HEADERS);
        let bytes = written(&[Frame::Syn { id: 1, headers: headers(&[("a", &long)]), fin: false }]);
        assert!(bytes.len() < 4096 && matches!(read(&bytes), Err(Garbled::Headers)));
    }

    #[test]
    fn another_version_and_a_frame_without_end_are_refused() {
        assert!(matches!(read(&[0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]), Err(Garbled::Version(2))));
        assert!(matches!(read(&[0, 0, 0, 1, 0, 0xff, 0xff, 0xff]), Err(Garbled::TooLong(0xff_ffff))));
        assert!(matches!(read(&[0x80, 3, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1]), Err(Garbled::TooShort(3))));
    }

    fn any_headers() -> impl Strategy<Value = Headers> + Clone {
        prop::collection::vec(("[a-z-]{0,12}", "\\PC{0,40}"), 0..6).prop_map(Headers)
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let id = 0_u32..CONTROL;
        let (with, fin) = (any_headers(), any::<bool>());
        prop_oneof![
            (id.clone(), with.clone(), fin).prop_map(|(id, headers, fin)| Frame::Syn { id, headers, fin }),
            (id.clone(), with.clone(), fin).prop_map(|(id, headers, fin)| Frame::Reply { id, headers, fin }),
            (id.clone(), with, fin).prop_map(|(id, headers, fin)| Frame::Headers { id, headers, fin }),
            (id.clone(), any::<u32>()).prop_map(|(id, status)| Frame::Reset { id, status }),
            (id.clone(), any::<u32>()).prop_map(|(last, status)| Frame::GoAway { last, status }),
            any::<u32>().prop_map(|id| Frame::Ping { id }),
            (id, prop::collection::vec(any::<u8>(), 0..200), fin).prop_map(|(id, data, fin)| Frame::Data {
                id,
                data: data.into(),
                fin
            }),
            Just(Frame::Other),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(frames in prop::collection::vec(any_frame(), 0..12)) {
            prop_assert_eq!(read(&written(&frames)).unwrap(), frames);
        }

        #[test]
        fn nothing_that_is_read_makes_it_panic(
            frames in prop::collection::vec(any_frame(), 0..4),
            at in any::<prop::sample::Index>(), byte in any::<u8>(),
            noise in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut bytes = written(&frames);
            bytes.extend(noise);
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            // Frames or an error; it is enough that it comes to an end.
            drop(read(&bytes));
        }
    }
}
