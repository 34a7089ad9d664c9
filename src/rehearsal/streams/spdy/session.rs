//! One side of a SPDY connection: streams that a client begins.
//!
//! As in spdystream there are no windows: a stream whose reader is slow holds up the connection, and no more than a few pieces
//! of each wait here.

use std::collections::HashMap;

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::channels::FAREWELL;
use super::super::pump::{Gone, Outlet, Piece, WAITING};
use super::frame::{Frame, Headers, Reader, Writer};

/// How many streams a client may have at once; each port-forwarded connection takes two.
const MOST_STREAMS: usize = 512;

/// The reasons for which streams are broken off, and connections.
const PROTOCOL_ERROR: u32 = 1;
const REFUSED: u32 = 3;
const CANCELLED: u32 = 5;

/// A stream that a client has begun.
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) headers: Headers,
    pub(super) incoming: mpsc::Receiver<Piece>,
    pub(super) outgoing: Outgoing,
}

/// The way back on a stream.
#[derive(Clone)]
pub(super) struct Outgoing {
    id: u32,
    frames: mpsc::Sender<Frame>,
}

impl Outgoing {
    /// Tells that nothing more is sent.
    pub(super) async fn end(&self) -> Result<(), Gone> {
        let end = Frame::Data { id: self.id, data: Bytes::new(), fin: true };
        self.frames.send(end).await.map_err(|_| Gone)
    }
}

impl Outlet for Outgoing {
    async fn send(&self, data: Bytes) -> Result<(), Gone> {
        self.frames.send(Frame::Data { id: self.id, data, fin: false }).await.map_err(|_| Gone)
    }
}

/// A connection. It is closed when this is dropped.
pub(super) struct Session {
    arrivals: mpsc::Receiver<Stream>,
    frames: mpsc::Sender<Frame>,
    /// What reads and what writes.
    tasks: JoinSet<()>,
}

impl Session {
    /// Begins to read. A stream whose headers are not admitted is broken off.
    pub(super) fn start<S>(stream: S, admits: fn(&Headers) -> bool) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        let (frames, queue) = mpsc::channel(WAITING);
        let (begun, arrivals) = mpsc::channel(WAITING);
        let mut tasks = JoinSet::new();
        let reading = Reading { begun: Some(begun), frames: frames.clone(), admits, streams: HashMap::new(), last: 0 };
        tasks.spawn(reading.run(reader));
        tasks.spawn(write(writer, queue));
        Self { arrivals, frames, tasks }
    }

    /// The next stream that the client begins; nothing when it begins none any more.
    pub(super) async fn next(&mut self) -> Option<Stream> {
        self.arrivals.recv().await
    }

    /// Says goodbye, and waits until the client has left: a connection that is dropped while something comes is reset, and
    /// what was sent on it can be lost.
    pub(super) async fn finish(mut self) {
        // All that the client has begun was taken.
        self.frames.send(Frame::GoAway { last: u32::MAX >> 1, status: 0 }).await.ok();
        drop(self.frames);
        // Streams that the client begins now are taken and never heard.
        let farewell = async {
            loop {
                tokio::select! {
                    Some(late) = self.arrivals.recv() => drop(late),
                    ended = self.tasks.join_next() => if ended.is_none() { return },
                }
            }
        };
        tokio::time::timeout(FAREWELL, farewell).await.ok();
    }
}

/// Writes frames in the order in which they come.
async fn write<S: AsyncRead + AsyncWrite>(mut to: WriteHalf<S>, mut queue: mpsc::Receiver<Frame>) {
    let Ok(mut writer) = Writer::new() else { return };
    while let Some(frame) = queue.recv().await {
        let Ok(bytes) = writer.encode(&frame) else { return };
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    to.shutdown().await.ok();
}

/// What reads, and knows which streams there are.
struct Reading {
    /// Gone when the client begins no more streams.
    begun: Option<mpsc::Sender<Stream>>,
    frames: mpsc::Sender<Frame>,
    admits: fn(&Headers) -> bool,
    streams: HashMap<u32, mpsc::Sender<Piece>>,
    /// The greatest id of all.
    last: u32,
}

impl Reading {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(mut self, from: ReadHalf<S>) {
        let mut reader = Reader::new(from);
        loop {
            let handled = match reader.next().await {
                Ok(Some(frame)) => self.handle(frame).await,
                Ok(None) => return,
                Err(_) => {
                    // What follows cannot be told apart any more.
                    let goodbye = Frame::GoAway { last: self.last, status: PROTOCOL_ERROR };
                    self.frames.send(goodbye).await.ok();
                    return;
                }
            };
            if handled.is_err() {
                return;
            }
        }
    }

    async fn handle(&mut self, frame: Frame) -> Result<(), Gone> {
        match frame {
            Frame::Syn { id, headers, fin } => self.begin(id, headers, fin).await,
            Frame::Data { id, data, fin } => {
                if !data.is_empty() {
                    self.give(id, Piece::Data(data)).await;
                }
                if fin {
                    self.give(id, Piece::End).await;
                }
                Ok(())
            }
            Frame::Headers { id, fin: true, .. } => {
                self.give(id, Piece::End).await;
                Ok(())
            }
            Frame::Reset { id, .. } => {
                self.streams.remove(&id);
                Ok(())
            }
            // Those of a client are odd; an even one would answer a ping of ours.
            Frame::Ping { id } if id % 2 == 1 => self.frames.send(Frame::Ping { id }).await.map_err(|_| Gone),
            Frame::GoAway { .. } => {
                self.begun = None;
                Ok(())
            }
            Frame::Ping { .. } | Frame::Headers { .. } | Frame::Reply { .. } | Frame::Other => Ok(()),
        }
    }

    async fn begin(&mut self, id: u32, headers: Headers, fin: bool) -> Result<(), Gone> {
        let Some(begun) = &self.begun else { return Ok(()) };
        self.streams.retain(|_, stream| !stream.is_closed());
        let wrong = match () {
            () if id.is_multiple_of(2) || id <= self.last => Some(PROTOCOL_ERROR),
            () if self.streams.len() == MOST_STREAMS => Some(REFUSED),
            () if !(self.admits)(&headers) => Some(CANCELLED),
            () => None,
        };
        self.last = self.last.max(id);
        if let Some(status) = wrong {
            return self.frames.send(Frame::Reset { id, status }).await.map_err(|_| Gone);
        }
        let reply = Frame::Reply { id, headers: Headers::default(), fin: false };
        self.frames.send(reply).await.map_err(|_| Gone)?;
        let (inlet, incoming) = mpsc::channel(WAITING);
        let outgoing = Outgoing { id, frames: self.frames.clone() };
        begun.send(Stream { id, headers, incoming, outgoing }).await.map_err(|_| Gone)?;
        self.streams.insert(id, inlet);
        if fin {
            self.give(id, Piece::End).await;
        }
        Ok(())
    }

    /// Gives a stream what came for it. One that hears nothing any more is forgotten.
    async fn give(&mut self, id: u32, piece: Piece) {
        if let Some(stream) = self.streams.get(&id)
            && stream.send(piece).await.is_err()
        {
            self.streams.remove(&id);
        }
    }
}
