//! One connection of a client to a port of a pod, in both directions.

use std::future::Future;

use hyper::body::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;

/// The most that is read from a pod before it is sent on, in bytes.
pub(super) const CHUNK: usize = 32 << 10;

/// How many pieces of a client may wait for a pod to read them.
pub(super) const WAITING: usize = 32;

/// What comes from a client. When no more comes and there was no end, the client has left.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    /// The client writes no more.
    End,
}

/// Nobody is there to be sent anything.
#[derive(Debug)]
pub(super) struct Gone;

/// What takes the bytes of a pod to the client.
pub(super) trait Outlet {
    /// Sends some bytes on.
    fn send(&self, data: Bytes) -> impl Future<Output = Result<(), Gone>> + Send;
}

/// Carries bytes both ways until the pod writes no more, or the client is gone. That a client writes no more is told to the
/// pod, which may still answer: a kubelet holds the connection as long as the pod does.
pub(super) async fn pump(mut incoming: mpsc::Receiver<Piece>, outlet: &impl Outlet, pod: DuplexStream) {
    let (mut reader, mut writer) = tokio::io::split(pod);
    let to_pod = async {
        // A pod that reads no more may still write: what comes for it is dropped.
        while let Some(piece) = incoming.recv().await {
            drop(match piece {
                Piece::Data(data) => writer.write_all(&data).await,
                Piece::End => writer.shutdown().await,
            });
        }
    };
    let from_pod = async {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            match reader.read_buf(&mut chunk).await {
                Ok(1..) if outlet.send(chunk.into()).await.is_ok() => {}
                Ok(_) | Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = to_pod => {}
        () = from_pod => {}
    }
}
