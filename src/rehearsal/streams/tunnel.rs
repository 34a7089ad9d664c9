//! A stream of bytes in binary WebSocket messages (`k8s.io/client-go/tools/portforward/tunneling_connection.go`).

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::channels::{FAREWELL, goodbye};
use super::pump::CHUNK;

/// How much may wait on each way through, in bytes.
pub(super) const BUFFER: usize = 64 << 10;

/// Carries bytes both ways until one side ends.
pub(super) async fn carry<S>(socket: WebSocketStream<S>, inner: DuplexStream)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut source) = socket.split();
    let (mut reader, mut writer) = tokio::io::split(inner);
    let inward = async {
        while let Some(Ok(message)) = source.next().await {
            match message {
                Message::Binary(data) if writer.write_all(&data).await.is_ok() => {}
                // The WebSocket answers these by itself.
                Message::Ping(_) | Message::Pong(_) => {}
                // Text has no place here, and after a close nothing comes.
                Message::Binary(_) | Message::Text(_) | Message::Close(_) | Message::Frame(_) => break,
            }
        }
        // What runs inside sees the end, finishes, and closes its side.
        writer.shutdown().await.ok();
        std::future::pending::<()>().await;
    };
    let outward = async {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            match reader.read_buf(&mut chunk).await {
                Ok(1..) if sink.send(Message::binary(chunk)).await.is_ok() => {}
                Ok(_) | Err(_) => break,
            }
        }
        sink.send(goodbye()).await.ok();
    };
    tokio::select! {
        () = inward => {}
        () = outward => {}
    }
    // A connection that is dropped while something comes is reset, and what was sent on it can be lost.
    let farewell = async { while let Some(Ok(_)) = source.next().await {} };
    tokio::time::timeout(FAREWELL, farewell).await.ok();
}
