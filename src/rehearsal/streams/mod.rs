//! exec and port-forward, over every wire that clients use for them.
//!
//! Four wires carry the same two uses: channels in WebSocket messages (kube-rs, and exec of kubectl), SPDY/3.1 in WebSocket
//! messages (port-forward of kubectl since 1.31), and SPDY/3.1 alone (what Helm and older clients speak, and what kubectl
//! falls back to). What is said is what an API server and a kubelet of Kubernetes 1.34 say.

use std::future::Future;

use hyper::header::HeaderMap;
use hyper::upgrade::Upgraded;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

use super::failure::Failure;
use super::server::Body;

mod channels;
mod handshake;
mod pump;
mod spdy;
mod tunnel;

/// What a connection is switched over for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A command in a container.
    Exec,
    /// Connections to ports of a pod.
    PortForward,
}

/// How both sides speak after the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// WebSocket messages, the first byte of each being its channel.
    Channels,
    /// SPDY/3.1 in binary WebSocket messages.
    Tunnelled,
    /// SPDY/3.1.
    Spdy,
}

/// How a command ended, and what it had said by then.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Its exit code.
    pub(super) code: i32,
    /// The program of one that could not be started, as it is not in the image.
    pub(super) missing: Option<String>,
    /// Whether the client has asked for what it wrote.
    pub(super) wants_stdout: bool,
    /// Whether the client has asked for its complaints.
    pub(super) wants_stderr: bool,
}

/// Opens what answers at a port of the pod, or says why nothing does, in the kubelet's words.
pub(super) trait Connect: Fn(u16) -> Result<DuplexStream, String> {}

impl<F: Fn(u16) -> Result<DuplexStream, String>> Connect for F {}

/// Which wire a request asks for, and the 101 that agrees to it.
///
/// # Errors
/// 400 where no switch is asked for, 403 where nothing that is offered is spoken here.
pub(super) fn handshake(headers: &HeaderMap, use_: Use) -> Result<(Wire, Response<Body>), Failure> {
    let agreed = handshake::agree(headers, use_)?;
    let mut response = super::server::text(StatusCode::SWITCHING_PROTOCOLS.as_u16(), "", hyper::body::Bytes::new());
    *response.headers_mut() = agreed.headers;
    Ok((agreed.wire, response))
}

/// Serves port-forwarding until the client leaves. `ports` are those of the query, which channels need; over SPDY each
/// connection names its own.
pub(super) async fn forward<C: Connect>(wire: Wire, upgraded: Upgraded, ports: &[u16], connect: C) {
    forward_over(wire, TokioIo::new(upgraded), ports, connect).await;
}

/// Tells how a command that has been played ended.
pub(super) async fn exec(wire: Wire, upgraded: Upgraded, said: Said) {
    exec_over(wire, TokioIo::new(upgraded), said).await;
}

async fn forward_over<S, C>(wire: Wire, stream: S, ports: &[u16], connect: C)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    C: Connect,
{
    match wire {
        Wire::Channels => channels::forward(channels::socket(stream).await, ports, &connect).await,
        Wire::Tunnelled => {
            through_tunnel(stream, |inner| spdy::forward(inner, &connect)).await;
        }
        Wire::Spdy => spdy::forward(stream, &connect).await,
    }
}

async fn exec_over<S>(wire: Wire, stream: S, said: Said)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match wire {
        Wire::Channels => channels::exec(channels::socket(stream).await, said).await,
        Wire::Tunnelled => {
            through_tunnel(stream, |inner| spdy::exec(inner, said)).await;
        }
        Wire::Spdy => spdy::exec(stream, said).await,
    }
}

/// Runs something on what is inside WebSocket messages.
async fn through_tunnel<S, F, R>(stream: S, run: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: FnOnce(DuplexStream) -> R,
    R: Future<Output = ()>,
{
    let (inner, ours) = tokio::io::duplex(tunnel::BUFFER);
    let socket = channels::socket(stream).await;
    // Both come to their end: what runs closes its side when it is done, and the tunnel tells the client.
    tokio::join!(run(inner), tunnel::carry(socket, ours));
}

/// How a command ended, as a `Status` (`k8s.io/apiserver/pkg/util/proxy/streamtranslator.go`).
fn status(said: &Said) -> Value {
    if let Some(program) = &said.missing {
        return json!({
            "metadata": {},
            "status": "Failure",
            "message": format!(
                "Internal error occurred: error executing command in container: failed to exec in container: failed to start \
                 exec: OCI runtime exec failed: exec failed: unable to start container process: exec: \"{program}\": \
                 executable file not found in $PATH: unknown"
            ),
            "reason": "InternalError",
            "details": { "causes": [{ "message": "executable file not found in $PATH" }] },
            "code": 500,
        });
    }
    let code = said.code;
    if code == 0 {
        return json!({ "metadata": {}, "status": "Success" });
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: command terminated with exit code {code}"),
        "reason": "NonZeroExitCode",
        "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
    })
}

#[cfg(test)]
mod tests;
