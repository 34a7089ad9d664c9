//! A port of a pod, forwarded through the API server's WebSocket.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use kube::api::Portforwarder;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::target::Target;
use super::{DialError, Fate};

/// One forwarded port. Dropping it ends the forward at once.
pub(super) struct Forward {
    forwarder: Portforwarder,
    pipe: DuplexStream,
    report: Report,
    target: Target,
    fate: Fate,
}

/// The channel on which the kubelet says that the pod's end is unusable.
enum Report {
    /// Nothing was said so far.
    Open(Pin<Box<dyn Future<Output = Option<String>> + Send>>),
    /// It closed without a word, which only a connection that breaks does.
    Gone,
}

impl Forward {
    /// `None` where the forwarder has already given its stream away.
    pub(super) fn new(mut forwarder: Portforwarder, target: Target) -> Option<Self> {
        let pipe = forwarder.take_stream(target.port)?;
        let report = Report::Open(Box::pin(forwarder.take_error(target.port)?));
        Some(Self { forwarder, pipe, report, target, fate: Fate::default() })
    }

    pub(super) fn fate(&self) -> Fate {
        self.fate.clone()
    }

    /// Waits for a refusal, which follows within milliseconds where nothing listens. Nothing says that something does:
    /// silence for `grace` is taken for it.
    pub(super) async fn refused_within(&mut self, grace: Duration) -> Result<(), DialError> {
        let report = std::future::poll_fn(|cx| self.poll_report(cx).map(|_: io::Error| ()));
        match tokio::time::timeout(grace, report).await {
            Ok(()) => Err(self.fate.told().unwrap_or_else(|| self.lost())),
            Err(_) => Ok(()),
        }
    }

    /// Ready with an error as soon as the kubelet has said one, or the connection to it is known to have broken.
    fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if let Report::Open(report) = &mut self.report {
            match report.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(said) => {
                    self.report = Report::Gone;
                    if let Some(words) = said {
                        return Poll::Ready(self.fate.tell(self.target.told(&words)));
                    }
                }
            }
        }
        Poll::Ready(self.fate.tell(self.lost()))
    }

    fn lost(&self) -> DialError {
        DialError::Lost(format!("lost the connection that forwards to {}", self.target))
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

impl AsyncRead for Forward {
    /// What has arrived is delivered first; an error takes the place of the end that follows it.
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.pipe).poll_read(cx, buf);
        let nothing = read.is_pending() || matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() == before;
        if !nothing || buf.capacity() == before {
            return read;
        }
        match self.poll_report(cx) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending => read,
        }
    }
}

impl AsyncWrite for Forward {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.pipe).poll_write(cx, bytes);
        if matches!(written, Poll::Ready(Err(_)))
            && let Poll::Ready(reported) = self.poll_report(cx)
        {
            return Poll::Ready(Err(reported));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    /// A forward cannot be closed in one direction: closing it would cut the reply that is still to come.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
