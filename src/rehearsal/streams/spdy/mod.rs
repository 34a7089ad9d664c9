//! SPDY/3.1 as clients of Kubernetes speak it (`github.com/moby/spdystream`): streams with headers, no requests.

use std::collections::HashMap;

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::task::JoinSet;

use super::pump::{CHUNK, Gone, Outlet as _, pump};
use super::{Connect, Said, status};

mod dictionary;
mod frame;
mod session;

use frame::Headers;
use session::{Outgoing, Session, Stream};

/// Serves port-forwarding until the client leaves. Each connection is two streams with one `requestid`, one for data and one
/// for what is wrong with it (`kubernetes/pkg/kubelet/cri/streaming/portforward/httpstream.go`).
pub(super) async fn forward<S>(stream: S, connect: &impl Connect)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut session = Session::start(stream, admits);
    let mut halves: HashMap<String, Stream> = HashMap::new();
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            begun = session.next() => {
                let Some(begun) = begun else { break };
                let id = request(&begun);
                let Some(first) = halves.remove(&id) else {
                    halves.insert(id, begun);
                    continue;
                };
                if let Some((port, data, errors)) = pair(first, begun) {
                    serving.spawn(serve(data, errors, connect(port)));
                }
            }
            Some(served) = serving.join_next() => drop(served),
        }
    }
    // Those that are open may come to their end; when the client is gone, they have.
    while serving.join_next().await.is_some() {}
    session.finish().await;
}

/// Whether a stream says what it is for.
fn admits(headers: &Headers) -> bool {
    port(headers).is_some() && matches!(headers.get("streamtype"), "data" | "error")
}

fn port(headers: &Headers) -> Option<u16> {
    headers.get("port").parse().ok().filter(|port| *port > 0)
}

/// Which connection a stream is for. Clients without `requestid` begin the stream for errors right before the one for data.
fn request(stream: &Stream) -> String {
    match (stream.headers.get("requestid"), stream.headers.get("streamtype")) {
        ("", "data") => stream.id.saturating_sub(2).to_string(),
        ("", _) => stream.id.to_string(),
        (id, _) => id.to_owned(),
    }
}

/// The port, and the streams for data and for errors; nothing where two of one kind were begun.
fn pair(one: Stream, other: Stream) -> Option<(u16, Stream, Stream)> {
    let port = port(&one.headers)?;
    match (one.headers.get("streamtype"), other.headers.get("streamtype")) {
        ("data", "error") => Some((port, one, other)),
        ("error", "data") => Some((port, other, one)),
        _ => None,
    }
}

async fn serve(data: Stream, errors: Stream, pod: Result<DuplexStream, String>) {
    let why = match pod {
        Ok(pod) => {
            pump(data.incoming, &data.outgoing, pod).await;
            String::new()
        }
        Err(why) => why,
    };
    // A client that has left hears none of it.
    tell(&errors.outgoing, why.as_bytes()).await.ok();
    data.outgoing.end().await.ok();
}

/// Sends a text on a stream, and its end.
async fn tell(stream: &Outgoing, text: &[u8]) -> Result<(), Gone> {
    for chunk in text.chunks(CHUNK) {
        stream.send(Bytes::copy_from_slice(chunk)).await?;
    }
    stream.end().await
}

/// Tells how a command ended, on the streams that the client begins for it
/// (`kubernetes/pkg/kubelet/cri/streaming/remotecommand/httpstream.go`).
pub(super) async fn exec<S>(stream: S, said: Said)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut session = Session::start(stream, |headers| {
        matches!(headers.get("streamtype"), "error" | "stdin" | "stdout" | "stderr" | "resize")
    });
    let mut streams: HashMap<String, Stream> = HashMap::new();
    let wanted = [("error", true), ("stdout", said.wants_stdout), ("stderr", said.wants_stderr)];
    while wanted.iter().any(|(kind, wanted)| *wanted && !streams.contains_key(*kind)) {
        let Some(begun) = session.next().await else { return };
        streams.insert(begun.headers.get("streamtype").to_owned(), begun);
    }
    let status = status(&said).to_string();
    for (kind, text) in [("stdout", said.stdout.as_slice()), ("stderr", &said.stderr), ("error", status.as_bytes())] {
        if let Some(stream) = streams.get(kind)
            && tell(&stream.outgoing, text).await.is_err()
        {
            return;
        }
    }
    drop(streams);
    session.finish().await;
}

#[cfg(test)]
mod tests;
