//! WebSocket messages whose first byte is their channel (`k8s.io/apimachinery/pkg/util/httpstream/wsstream`).

use std::time::Duration;

use futures::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::pump::{CHUNK, Gone, Outlet, Piece, WAITING, pump};
use super::{Connect, Said, status};

/// The channels of exec.
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;

/// The longest message that is taken, in bytes.
const LONGEST: usize = 4 << 20;

/// How long a client may take to say that it has heard the end.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

/// Speaks WebSocket on a connection that was switched over.
pub(super) async fn socket<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> WebSocketStream<S> {
    let bounds = WebSocketConfig::default().max_message_size(Some(LONGEST)).max_frame_size(Some(LONGEST));
    WebSocketStream::from_raw_socket(stream, Role::Server, Some(bounds)).await
}

/// The end of a connection on which all went well. A close without a code is an error to kubectl.
pub(super) fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() }))
}

/// Tells how a command ended, and waits until the client has heard it.
pub(super) async fn exec<S>(mut socket: WebSocketStream<S>, said: Said)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if tell(&mut socket, &said).await.is_ok() {
        let farewell = async { while let Some(Ok(_)) = socket.next().await {} };
        // A client that does not answer is left.
        tokio::time::timeout(FAREWELL, farewell).await.ok();
    }
}

async fn tell<S>(socket: &mut WebSocketStream<S>, said: &Said) -> Result<(), Gone>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let outputs = [(STDOUT, said.wants_stdout, &said.stdout), (STDERR, said.wants_stderr, &said.stderr)];
    for (channel, _, text) in outputs.iter().filter(|(_, wanted, _)| *wanted) {
        for chunk in text.chunks(CHUNK) {
            socket.feed(message(*channel, chunk)).await.map_err(|_| Gone)?;
        }
    }
    let status = status(said).to_string();
    socket.feed(message(STATUS, status.as_bytes())).await.map_err(|_| Gone)?;
    socket.send(goodbye()).await.map_err(|_| Gone)
}

fn message(channel: u8, data: &[u8]) -> Message {
    let mut message = Vec::with_capacity(data.len() + 1);
    message.push(channel);
    message.extend_from_slice(data);
    Message::binary(message)
}

/// What takes the bytes of one port to the client.
struct Channel {
    number: u8,
    messages: mpsc::Sender<Message>,
}

impl Outlet for Channel {
    async fn send(&self, data: Bytes) -> Result<(), Gone> {
        self.messages.send(message(self.number, &data)).await.map_err(|_| Gone)
    }
}

/// Serves the ports of the query, each on a channel for data and one for what is wrong with it, until all have ended or the
/// client leaves (`kubernetes/pkg/kubelet/cri/streaming/portforward/websocket.go`). That one of several has ended cannot be
/// told on this wire.
pub(super) async fn forward<S>(socket: WebSocketStream<S>, ports: &[u16], connect: &impl Connect)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (sink, source) = socket.split();
    let (messages, outgoing) = mpsc::channel(WAITING);
    // Two channels a port: there are 256.
    let numbered = (0_u8..=254).step_by(2).zip(ports);
    let mut inlets = Vec::new();
    let serving: FuturesUnordered<_> = numbered
        .map(|(number, port)| {
            let (inlet, incoming) = mpsc::channel(WAITING);
            inlets.push(Some(inlet));
            serve(*port, incoming, Channel { number, messages: messages.clone() }, connect)
        })
        .collect();
    // What is left are the copies in the channels: when all ports have ended, there is nothing more to send.
    drop(messages);
    let mut receiving = std::pin::pin!(receive(source, inlets));
    let sending = async { tokio::join!(serving.collect::<()>(), send(sink, outgoing)) };
    tokio::select! {
        () = &mut receiving => return,
        ((), ()) = sending => {}
    }
    // A connection that is dropped while something comes is reset, and what was sent on it can be lost.
    tokio::time::timeout(FAREWELL, receiving).await.ok();
}

async fn serve(port: u16, incoming: mpsc::Receiver<Piece>, data: Channel, connect: &impl Connect) {
    let errors = Channel { number: data.number + 1, messages: data.messages.clone() };
    let title = Bytes::copy_from_slice(&port.to_le_bytes());
    if data.send(title.clone()).await.is_err() || errors.send(title).await.is_err() {
        return;
    }
    match connect(port) {
        Ok(pod) => pump(incoming, &data, pod).await,
        // Nobody is there to hear it: that is noticed where the messages come in.
        Err(why) => drop(errors.send(why.into()).await),
    }
}

/// Gives what comes to the channels it is for, until the client leaves.
async fn receive<S>(mut source: SplitStream<WebSocketStream<S>>, mut inlets: Vec<Option<mpsc::Sender<Piece>>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = source.next().await {
        let mut data = match message {
            Message::Binary(data) => data,
            Message::Close(_) => return,
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        if data.len() < 2 {
            continue;
        }
        let channel = usize::from(data.split_to(1)[0]);
        // What is sent on a channel for errors has nobody to hear it, and so has what is sent to a port that has ended.
        let Some(inlet) = inlets.get_mut(channel / 2).filter(|_| channel.is_multiple_of(2)) else { continue };
        if let Some(open) = inlet
            && open.send(Piece::Data(data)).await.is_err()
        {
            *inlet = None;
        }
    }
}

async fn send<S>(mut sink: SplitSink<WebSocketStream<S>, Message>, mut outgoing: mpsc::Receiver<Message>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = outgoing.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
    sink.send(goodbye()).await.ok();
}
