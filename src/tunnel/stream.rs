//! A dialled stream, and what became of it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::DialError;
use super::forward::Forward;

/// A byte stream to something in the cluster, or outside of it. Dropping it ends the connection.
pub struct Stream {
    wire: Wire,
    fate: Fate,
}

enum Wire {
    Socket(TcpStream),
    Forward(Box<Forward>),
}

/// Why a stream broke, as far as the way to the server is to blame; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Fate(Arc<OnceLock<DialError>>);

impl Fate {
    /// What befell the stream on its way. `None` where it is well, or was ended by the server itself.
    #[must_use]
    pub fn told(&self) -> Option<DialError> {
        self.0.get().cloned()
    }

    pub(super) fn tell(&self, error: DialError) -> io::Error {
        io::Error::other(self.0.get_or_init(|| error).clone())
    }
}

impl Stream {
    pub(super) fn socket(socket: TcpStream) -> Self {
        Self { wire: Wire::Socket(socket), fate: Fate::default() }
    }

    pub(super) fn forward(forward: Forward) -> Self {
        Self { fate: forward.fate(), wire: Wire::Forward(Box::new(forward)) }
    }

    /// Where to ask what became of the stream after it has been given to a client.
    #[must_use]
    pub fn fate(&self) -> Fate {
        self.fate.clone()
    }

    /// Whether the far end sees it coming from its own loopback.
    #[must_use]
    pub const fn is_forwarded(&self) -> bool {
        matches!(self.wire, Wire::Forward(_))
    }

    fn wire(self: Pin<&mut Self>) -> Pin<&mut dyn Duplex> {
        match &mut self.get_mut().wire {
            Wire::Socket(socket) => Pin::new(socket),
            Wire::Forward(forward) => Pin::new(forward.as_mut()),
        }
    }
}

/// What is read and written at once.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_shutdown(cx)
    }
}
