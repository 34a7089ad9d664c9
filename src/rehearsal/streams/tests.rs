use std::convert::Infallible;
use std::sync::Mutex;

use futures::{SinkExt as _, StreamExt as _};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{Said, Use, Wire, exec, exec_over, forward, forward_over, handshake, status};

const WHY: &str = "error forwarding port 81 to pod p, uid : connection refused";

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn websocket(protocols: &'static str) -> HeaderMap {
    headers(&[
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", protocols),
    ])
}

#[test]
fn the_first_offer_that_is_spoken_is_agreed_to() {
    let wire = |protocols, use_| handshake(&websocket(protocols), use_).map(|(wire, _)| wire).map_err(|f| f.code);
    assert_eq!(wire("v5.channel.k8s.io, v4.channel.k8s.io", Use::Exec), Ok(Wire::Channels));
    assert_eq!(wire("v5.channel.k8s.io, v4.channel.k8s.io", Use::PortForward), Ok(Wire::Channels));
    assert_eq!(wire("SPDY/3.1+portforward.k8s.io", Use::PortForward), Ok(Wire::Tunnelled));
    assert_eq!(wire("SPDY/3.1+portforward.k8s.io", Use::Exec), Err(403));
    assert_eq!(wire("chat", Use::PortForward), Err(403));
}

#[test]
fn a_websocket_is_answered_with_its_key_and_protocol() {
    let (_, response) = handshake(&websocket("SPDY/3.1+portforward.k8s.io"), Use::PortForward).unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap();
    assert_eq!(response.status(), 101);
    // The example of RFC 6455, 1.3.
    assert_eq!(header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(header("sec-websocket-protocol"), "SPDY/3.1+portforward.k8s.io");
    assert_eq!((header("connection"), header("upgrade")), ("Upgrade", "websocket"));
    assert_eq!(response.headers().len(), 4);
}

#[test]
fn spdy_is_agreed_to_in_its_own_headers() {
    let mut asked = headers(&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")]);
    for version in ["v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io"] {
        asked.append("x-stream-protocol-version", HeaderValue::from_static(version));
    }
    let (wire, response) = handshake(&asked, Use::Exec).unwrap();
    assert_eq!(wire, Wire::Spdy);
    assert_eq!(response.headers()["x-stream-protocol-version"], "v4.channel.k8s.io");
    assert_eq!(response.headers()["upgrade"], "SPDY/3.1");
    assert_eq!(handshake(&asked, Use::PortForward).map(drop).unwrap_err().code, 403);
}

#[test]
fn a_request_that_asks_for_no_switch_is_refused() {
    let refused = handshake(&HeaderMap::new(), Use::Exec).map(drop).unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (400, "Upgrade request required"));
    let half = headers(&[("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v4.channel.k8s.io")]);
    assert_eq!(handshake(&half, Use::Exec).map(drop).unwrap_err().code, 400);
}

#[test]
fn an_exit_code_is_told_in_the_causes_of_a_status() {
    assert_eq!(status(&Said::default()), serde_json::json!({ "metadata": {}, "status": "Success" }));
    assert_eq!(
        status(&Said { code: 3, ..Said::default() })["details"]["causes"][0],
        serde_json::json!({ "reason": "ExitCode", "message": "3" })
    );
}

/// At port 80 everything is sent back in capitals until the client writes no more; at port 82 something is said and the
/// connection ended; at any other nothing listens.
pub(super) fn pod(port: u16) -> Result<DuplexStream, String> {
    let (ours, theirs) = tokio::io::duplex(64);
    match port {
        80 => drop(tokio::spawn(shout(theirs))),
        82 => drop(tokio::spawn(greet(theirs))),
        _ => return Err(WHY.to_owned()),
    }
    Ok(ours)
}

async fn shout(mut stream: DuplexStream) {
    let mut heard = [0; 16];
    while let Ok(length @ 1..) = stream.read(&mut heard).await {
        stream.write_all(&heard[..length].to_ascii_uppercase()).await.unwrap();
    }
    stream.write_all(b"!").await.unwrap();
}

async fn greet(mut stream: DuplexStream) {
    stream.write_all(b"hello").await.unwrap();
}

fn said() -> Said {
    Said {
        stdout: b"out\n".repeat(30_000),
        stderr: b"err\n".to_vec(),
        code: 3,
        wants_stdout: true,
        wants_stderr: true,
        ..Said::default()
    }
}

/// A client of a server that plays one pod.
async fn client() -> kube::Client {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answering = service_fn(answer);
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answering).with_upgrades();
            drop(tokio::spawn(connection));
        }
    }));
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    kube::Client::try_from(config).unwrap()
}

async fn answer(mut request: Request<Incoming>) -> Result<hyper::Response<super::Body>, Infallible> {
    let use_ = if request.uri().path().ends_with("/exec") { Use::Exec } else { Use::PortForward };
    let (wire, response) = handshake(request.headers(), use_).unwrap();
    let upgrade = hyper::upgrade::on(&mut request);
    drop(tokio::spawn(async move {
        let upgraded = upgrade.await.unwrap();
        match use_ {
            Use::Exec => exec(wire, upgraded, said()).await,
            Use::PortForward => forward(wire, upgraded, &[80, 81, 82], pod).await,
        }
    }));
    Ok(response)
}

#[tokio::test]
async fn kube_reaches_the_ports_of_a_pod_and_hears_why_one_does_not_answer() {
    let pods: Api<Pod> = Api::namespaced(client().await, "n");
    let mut forwarded = pods.portforward("p", &[80, 81, 82]).await.unwrap();
    let refusal = forwarded.take_error(81).unwrap();
    let mut first = forwarded.take_stream(80).unwrap();
    let mut third = forwarded.take_stream(82).unwrap();
    first.write_all(b"loud and clear").await.unwrap();
    let mut heard = [0; 14];
    first.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"LOUD AND CLEAR");
    let mut greeting = [0; 5];
    third.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"hello");
    assert_eq!(refusal.await.as_deref(), Some(WHY));
}

#[tokio::test]
async fn kube_hears_what_a_command_wrote_and_how_it_ended() {
    let pods: Api<Pod> = Api::namespaced(client().await, "n");
    let mut process = pods.exec("p", ["false"], &AttachParams::default()).await.unwrap();
    let (mut stdout, mut stderr) = (process.stdout().unwrap(), process.stderr().unwrap());
    let ended = process.take_status().unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (out_read, err_read) = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
    assert_eq!((out_read.unwrap(), err_read.unwrap()), (120_000, 4));
    let ended = ended.await.unwrap();
    assert_eq!(ended.reason.as_deref(), Some("NonZeroExitCode"));
    process.join().await.unwrap();
}

#[tokio::test]
async fn on_channels_a_command_ends_with_its_status_and_a_close_that_is_normal() {
    let (theirs, ours) = tokio::io::duplex(64);
    drop(tokio::spawn(exec_over(Wire::Channels, theirs, Said { stderr: b"no".to_vec(), ..said_little() })));
    let mut socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
    let mut heard = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        heard.push(message);
    }
    let status = [b"\x03", status(&Said::default()).to_string().as_bytes()].concat();
    let normal = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    assert_eq!(
        heard,
        [Message::binary(b"\x01yes".as_slice()), Message::binary(status), Message::Close(Some(normal))],
        "what was not asked for is not sent"
    );
}

fn said_little() -> Said {
    Said { stdout: b"yes".to_vec(), wants_stdout: true, ..Said::default() }
}

/// A client on channels of a pod's ports.
async fn on_channels<C>(ports: &'static [u16], connect: C) -> WebSocketStream<DuplexStream>
where
    C: Fn(u16) -> Result<DuplexStream, String> + Send + Sync + 'static,
{
    let (theirs, ours) = tokio::io::duplex(64);
    drop(tokio::spawn(async move { forward_over(Wire::Channels, theirs, ports, connect).await }));
    WebSocketStream::from_raw_socket(ours, Role::Client, None).await
}

#[tokio::test]
async fn each_channel_begins_with_its_port_and_all_end_together() {
    let mut socket = on_channels(&[82, 443], pod).await;
    let mut heard = Vec::new();
    while let Some(Ok(Message::Binary(message))) = socket.next().await {
        heard.push(message.to_vec());
    }
    // Within a channel there is an order; among channels there is none.
    heard.sort_by_key(|message| message[0]);
    let why = [b"\x03", WHY.as_bytes()].concat();
    assert_eq!(heard, [&b"\x00\x52\x00"[..], b"\x00hello", b"\x01\x52\x00", b"\x02\xbb\x01", b"\x03\xbb\x01", &why]);
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_pod() {
    let (ours, mut theirs) = tokio::io::duplex(64);
    let only = Mutex::new(Some(ours));
    let taken = move |_| only.lock().unwrap().take().ok_or_else(|| WHY.to_owned());
    let mut socket = on_channels(&[80], taken).await;
    socket.send(Message::binary(b"\x00last words".as_slice())).await.unwrap();
    let mut heard = [0; 10];
    theirs.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"last words");
    drop(socket);
    assert_eq!(theirs.read(&mut heard).await.unwrap(), 0);
}
