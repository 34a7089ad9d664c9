//! The listener: TLS on loopback, or none, one task a connection, nothing that one client does keeps another waiting.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::failure::Failure;
use super::handle::Desk;
use super::shape::sent;
use super::weather::{Blow, Weather};

/// The longest body that is read (`--max-request-bytes` of etcd twice over, as the API server allows).
const LONGEST_BODY: usize = 3 << 20;

/// How long a client may take to say who it is and what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is sent.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request that was read.
pub(super) struct Heard {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What becomes of the connection after a response that switches protocols.
    pub(super) upgrade: Option<hyper::upgrade::OnUpgrade>,
}

impl Heard {
    /// A header as text; empty where there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What the listener needs.
pub(super) struct Door {
    pub(super) desk: Arc<Desk>,
    pub(super) weather: Arc<Weather>,
    /// Who may come in.
    pub(super) token: String,
}

/// Accepts connections until it is dropped.
pub(super) async fn listen(listener: TcpListener, tls: Option<TlsAcceptor>, door: Arc<Door>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let ended = door.desk.stage.ended.clone();
                drop(tokio::spawn(ended.run_until_cancelled_owned(attend(stream, tls.clone(), door.clone()))));
            }
            // No more files, for instance: those that are open go on.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// A listener on loopback, at a port that is free.
pub(super) async fn bind() -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await
}

async fn attend(stream: TcpStream, tls: Option<TlsAcceptor>, door: Arc<Door>) {
    stream.set_nodelay(true).ok();
    let mut cut = door.weather.cuts();
    cut.mark_unchanged();
    match tls {
        Some(tls) => {
            let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await else { return };
            converse(stream, cut, door).await;
        }
        None => converse(stream, cut, door).await,
    }
}

/// Answers on a connection until it ends, or is cut.
async fn converse<S>(stream: S, mut cut: watch::Receiver<u64>, door: Arc<Door>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answering = service_fn(move |request| {
        let door = door.clone();
        async move { door.answer(request).await }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let connection = http.serve_connection(TokioIo::new(stream), answering).with_upgrades();
    tokio::select! {
        // How a connection ends is the client's to tell.
        ended = connection => drop(ended),
        () = torn(&mut cut) => {}
    }
}

/// Waits until the weather breaks every connection.
async fn torn(cut: &mut watch::Receiver<u64>) {
    if cut.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// An error that breaks the connection off.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken off")]
struct BrokenOff;

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, BrokenOff> {
        let (mut parts, body) = request.into_parts();
        let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let path = parts.uri.path().to_owned();
        match self.weather.next(&parts.method, &parts.uri).await {
            Blow::None => {}
            Blow::Refuse(failure) => return Ok(refused(&failure)),
            Blow::BreakOff => return Err(BrokenOff),
        }
        self.desk.stage.streams.send_modify(|streams| streams.requests += 1);
        if !is_open(&path) && !self.admits(&parts.headers) {
            return Ok(refused(&Failure::new(401, "Unauthorized", "Unauthorized")));
        }
        let body = match timeout(PATIENCE, Limited::new(body, LONGEST_BODY).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                let message = format!("Request entity too large: limit is {LONGEST_BODY}");
                return Ok(refused(&Failure::new(413, "RequestEntityTooLarge", message)));
            }
            Ok(Err(_)) | Err(_) => return Err(BrokenOff),
        };
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let heard = Heard { method: parts.method, path, query, headers: parts.headers, body, upgrade };
        Ok(self.desk.answer(heard).await.unwrap_or_else(|failure| refused(&failure)))
    }

    /// Whether a request carries the token of this cluster.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let said = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let wanted = format!("Bearer {}", self.token);
        // Of one length whatever is said, and compared to the end: it tells nothing by the time it takes.
        said.len() == wanted.len() && said.iter().zip(wanted.as_bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
    }
}

/// What anybody may ask (`system:public-info-viewer`).
fn is_open(path: &str) -> bool {
    matches!(path, "/healthz" | "/livez" | "/readyz" | "/version")
}

/// A refusal as it is sent.
pub(super) fn refused(failure: &Failure) -> Response<Body> {
    let mut response = object(failure.code, &failure.status());
    if let Some(seconds) = failure.details["retryAfterSeconds"].as_u64() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An object as it is sent.
pub(super) fn object(code: u16, object: &Value) -> Response<Body> {
    text(code, "application/json", sent(object))
}

/// A text as it is sent.
pub(super) fn text(code: u16, kind: &'static str, text: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(text).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
