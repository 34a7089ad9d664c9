use std::time::Duration;

use hyper::body::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::super::{Said, Wire, exec_over, forward_over, tests::pod};
use super::frame::{Frame, Headers, Reader, Writer};

/// A client that says frames and hears frames.
struct Client {
    reader: Reader<ReadHalf<DuplexStream>>,
    to: WriteHalf<DuplexStream>,
    writer: Writer,
}

impl Client {
    fn new(stream: DuplexStream) -> Self {
        let (from, to) = tokio::io::split(stream);
        Self { reader: Reader::new(from), to, writer: Writer::new().unwrap() }
    }

    /// One that forwards ports.
    fn forwarding() -> Self {
        let (theirs, ours) = tokio::io::duplex(4096);
        drop(tokio::spawn(forward_over(Wire::Spdy, theirs, &[], pod)));
        Self::new(ours)
    }

    async fn say(&mut self, frame: Frame) {
        let bytes = self.writer.encode(&frame).unwrap();
        self.to.write_all(&bytes).await.unwrap();
    }

    async fn begin(&mut self, id: u32, pairs: &[(&str, &str)]) {
        let headers = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.say(Frame::Syn { id, headers: Headers(headers), fin: false }).await;
    }

    /// Begins the two streams of one connection, as kubectl does: 2n+1 is for errors, 2n+3 for data.
    async fn connect(&mut self, id: u32, port: &str, request: &str) {
        for (id, kind) in [(id, "error"), (id + 2, "data")] {
            self.begin(id, &[("streamtype", kind), ("port", port), ("requestid", request)]).await;
            assert_eq!(self.hear().await, Frame::Reply { id, headers: Headers::default(), fin: false });
            if kind == "error" {
                self.end(id).await;
            }
        }
    }

    async fn data(&mut self, id: u32, data: &'static [u8]) {
        self.say(Frame::Data { id, data: Bytes::from_static(data), fin: false }).await;
    }

    async fn end(&mut self, id: u32) {
        self.say(Frame::Data { id, data: Bytes::new(), fin: true }).await;
    }

    async fn hear(&mut self) -> Frame {
        // What never comes fails the test, and does not hold it up.
        timeout(Duration::from_secs(10), self.reader.next()).await.unwrap().unwrap().unwrap()
    }

    /// All that comes on some streams until all of them have ended, for each of them.
    async fn hear_out<const N: usize>(&mut self, ids: [u32; N]) -> [String; N] {
        let mut heard = [const { String::new() }; N];
        let mut open = N;
        while open > 0 {
            let Frame::Data { id, data, fin } = self.hear().await else { panic!("not data") };
            let at = ids.iter().position(|known| *known == id).unwrap();
            heard[at].push_str(std::str::from_utf8(&data).unwrap());
            open -= usize::from(fin);
        }
        heard
    }
}

#[tokio::test]
async fn a_pod_still_answers_a_client_that_writes_no_more() {
    let mut client = Client::forwarding();
    client.connect(1, "80", "0").await;
    client.data(3, b"quiet").await;
    client.end(3).await;
    assert_eq!(client.hear_out([1, 3]).await, ["", "QUIET!"]);
}

#[tokio::test]
async fn a_connection_that_the_pod_ends_is_ended_for_the_client() {
    let mut client = Client::forwarding();
    client.connect(1, "82", "0").await;
    assert_eq!(client.hear_out([1, 3]).await, ["", "hello"]);
}

#[tokio::test]
async fn why_nothing_answers_comes_on_the_stream_for_errors() {
    let mut client = Client::forwarding();
    client.connect(1, "81", "0").await;
    let [errors, data] = client.hear_out([1, 3]).await;
    assert!(errors.ends_with("connection refused") && data.is_empty(), "{errors}");
}

#[tokio::test]
async fn one_connection_does_not_wait_for_another() {
    let mut client = Client::forwarding();
    client.connect(1, "80", "0").await;
    client.connect(5, "80", "1").await;
    client.data(7, b"second").await;
    client.end(7).await;
    assert_eq!(client.hear_out([5, 7]).await, ["", "SECOND!"]);
    client.end(3).await;
    assert_eq!(client.hear_out([1, 3]).await, ["", "!"]);
}

#[tokio::test]
async fn a_stream_that_does_not_say_what_it_is_for_is_broken_off() {
    let mut client = Client::forwarding();
    client.begin(1, &[("streamtype", "data"), ("port", "0")]).await;
    assert_eq!(client.hear().await, Frame::Reset { id: 1, status: 5 });
    client.begin(1, &[("streamtype", "data"), ("port", "80")]).await;
    assert_eq!(client.hear().await, Frame::Reset { id: 1, status: 1 });
}

#[tokio::test]
async fn a_ping_is_sent_back_and_a_reset_frees_the_pod() {
    let mut client = Client::forwarding();
    client.connect(1, "80", "0").await;
    client.say(Frame::Reset { id: 3, status: 5 }).await;
    assert_eq!(client.hear_out([1, 3]).await, ["", ""]);
    client.say(Frame::Ping { id: 7 }).await;
    assert_eq!(client.hear().await, Frame::Ping { id: 7 });
}

#[tokio::test]
async fn a_client_that_goes_away_is_let_go() {
    let mut client = Client::forwarding();
    client.say(Frame::GoAway { last: 0, status: 0 }).await;
    assert!(matches!(client.hear().await, Frame::GoAway { status: 0, .. }));
    client.to.shutdown().await.unwrap();
    assert_eq!(client.reader.next().await.unwrap(), None);
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection_with_a_reason() {
    let mut client = Client::forwarding();
    client.to.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(matches!(client.hear().await, Frame::GoAway { status: 1, .. }));
}

#[tokio::test]
async fn a_command_is_told_on_the_streams_that_the_client_begins() {
    let (theirs, ours) = tokio::io::duplex(4096);
    let said = Said {
        stdout: b"out".repeat(20_000),
        stderr: b"err".to_vec(),
        code: 2,
        wants_stdout: true,
        wants_stderr: true,
        ..Said::default()
    };
    drop(tokio::spawn(exec_over(Wire::Spdy, theirs, said)));
    let mut client = Client::new(ours);
    for (id, kind) in [(1, "error"), (3, "stdout"), (5, "stderr")] {
        client.begin(id, &[("streamtype", kind)]).await;
        assert_eq!(client.hear().await, Frame::Reply { id, headers: Headers::default(), fin: false });
    }
    let [status, out, err] = client.hear_out([1, 3, 5]).await;
    assert_eq!((out.len(), err.as_str()), (60_000, "err"));
    assert!(status.contains(r#""reason":"ExitCode","message":"2""#), "{status}");
    assert!(matches!(client.hear().await, Frame::GoAway { status: 0, .. }));
}

#[tokio::test]
async fn spdy_goes_through_a_websocket() {
    use futures::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::{Message, protocol::Role};

    let (theirs, ours) = tokio::io::duplex(4096);
    drop(tokio::spawn(forward_over(Wire::Tunnelled, theirs, &[], pod)));
    let mut socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
    let mut writer = Writer::new().unwrap();
    // One frame in two messages, for a message is no frame.
    let ping = writer.encode(&Frame::Ping { id: 9 }).unwrap();
    for part in ping.chunks(5) {
        socket.send(Message::binary(part.to_vec())).await.unwrap();
    }
    let Some(Ok(Message::Binary(heard))) = socket.next().await else { panic!("not a frame") };
    assert_eq!(&heard[..], ping);
    socket.close(None).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        assert!(!message.is_binary() || message.len() == 16, "a goodbye, and nothing else");
    }
}

#[tokio::test]
async fn a_client_that_leaves_within_a_frame_is_let_go() {
    let (theirs, mut ours) = tokio::io::duplex(4096);
    let serving = tokio::spawn(forward_over(Wire::Spdy, theirs, &[], pod));
    ours.write_all(&[0x80, 3, 0]).await.unwrap();
    ours.shutdown().await.unwrap();
    let mut rest = Vec::new();
    ours.read_to_end(&mut rest).await.unwrap();
    serving.await.unwrap();
}
