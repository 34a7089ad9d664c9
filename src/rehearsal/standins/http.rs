//! A web server: a page for every path, and others where they are named.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Interval, interval};

use super::switch::Switch;
use super::words::Words;

/// How often a body that drips gets its next byte.
const DRIP: Duration = Duration::from_millis(200);

/// What a server is told when it starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    /// Its own name, which is on its pages.
    pub(crate) name: String,
    /// Its pages. The first whose path fits is sent; `/healthz` and `/readyz` are there without being named.
    pub(crate) routes: Vec<Route>,
    /// Whether a path without a page of its own is not found; otherwise it gets a small page with the server's name.
    pub(crate) is_strict: bool,
    /// What it says where it says something else.
    pub(crate) words: Words,
}

/// What is sent for a path.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// The path, without a query.
    pub(crate) path: String,
    /// The status.
    #[serde(default = "ok")]
    pub(crate) status: u16,
    /// Headers by name; a `content-type` is added where there is none.
    #[serde(default)]
    pub(crate) headers: std::collections::BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub(crate) body: String,
    /// The bearer token without which it is not sent.
    #[serde(default)]
    pub(crate) bearer: Option<String>,
}

const fn ok() -> u16 {
    200
}

impl Route {
    /// A page that anybody may read.
    #[cfg(test)]
    pub(crate) fn page(path: &str, body: &str) -> Self {
        Self {
            path: path.to_owned(),
            status: 200,
            headers: std::collections::BTreeMap::new(),
            body: body.to_owned(),
            bearer: None,
        }
    }
}

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every page has another body.
    WrongBody,
    /// Every page says that the server failed.
    Status500,
    /// Every page says that the server is overloaded.
    Status503,
    /// Every page redirects to itself.
    RedirectLoop,
    /// Every body comes a byte at a time and does not end.
    SlowDrip,
    /// Requests are taken and not answered.
    Hangs,
    /// The connection ends within a body.
    ClosesMidBody,
    /// The connection ends without an answer.
    EmptyReply,
    /// It speaks another protocol.
    NotHttp,
    /// Every page is said to be bytes of no kind.
    WrongContentType,
    /// Nobody is let in.
    Unauthorized,
    /// Everybody is let in: every page is there for whoever asks.
    LetsIn,
    /// No page has a header but those that HTTP itself needs.
    WithoutHeaders,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::WrongBody,
        Self::Status500,
        Self::Status503,
        Self::RedirectLoop,
        Self::SlowDrip,
        Self::Hangs,
        Self::ClosesMidBody,
        Self::EmptyReply,
        Self::NotHttp,
        Self::WrongContentType,
        Self::Unauthorized,
        Self::LetsIn,
        Self::WithoutHeaders,
    ];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WrongBody => "wrong-body",
            Self::Status500 => "status-500",
            Self::Status503 => "status-503",
            Self::RedirectLoop => "redirect-loop",
            Self::SlowDrip => "slow-drip",
            Self::Hangs => "hangs",
            Self::ClosesMidBody => "closes-mid-body",
            Self::EmptyReply => "empty-reply",
            Self::NotHttp => "not-http",
            Self::WrongContentType => "wrong-content-type",
            Self::Unauthorized => "unauthorized",
            Self::LetsIn => "lets-in",
            Self::WithoutHeaders => "without-headers",
        }
    }
}

/// A web server.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    faults: Switch<Fault>,
}

impl Server {
    /// A server in order.
    pub(crate) fn new(config: Config) -> Self {
        Self { config, faults: Switch::off() }
    }

    /// Switches a fault on, or off what is on.
    pub(crate) fn inject(&self, fault: Option<Fault>) {
        self.faults.turn(fault);
    }

    /// Serves one connection until either side ends it.
    ///
    /// # Errors
    /// The stream's own, a request that is none, and an answer that is broken off on purpose.
    pub(crate) async fn serve<S>(&self, stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if self.faults.is(Fault::NotHttp) {
            return speak_something_else(stream).await;
        }
        serve(stream, |request| self.answer(request)).await
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Page>> {
        self.faults.outlast(Fault::Hangs).await;
        let mut response = self.page(&request).map_err(io::Error::other)?;
        match self.faults.on() {
            Some(Fault::EmptyReply | Fault::NotHttp) => Err(io::Error::other("no answer is to be given")),
            Some(Fault::WrongBody) => {
                *response.body_mut() = Page::of(&self.config.words.text());
                Ok(response)
            }
            Some(Fault::WrongContentType) => {
                let kind = hyper::header::HeaderValue::from_static("application/octet-stream");
                response.headers_mut().insert(CONTENT_TYPE, kind);
                Ok(response)
            }
            Some(Fault::SlowDrip) => Ok(response.map(|_| Page::Drip(Box::new(interval(DRIP))))),
            Some(Fault::ClosesMidBody) => Ok(response.map(Page::broken_off)),
            Some(Fault::LetsIn) => plain(200, "Welcome.\n"),
            Some(Fault::WithoutHeaders) => {
                response.headers_mut().clear();
                Ok(response)
            }
            Some(Fault::Status500) => plain(500, "Internal Server Error\n"),
            Some(Fault::Status503) => plain(503, "Service Unavailable\n"),
            Some(Fault::Unauthorized) => unauthorized(),
            Some(Fault::RedirectLoop) => {
                let to = request.uri().path_and_query().map_or("/", |to| to.as_str());
                let moved = Response::builder().status(302).header(LOCATION, to);
                moved.body(Page::of("")).map_err(io::Error::other)
            }
            Some(Fault::Hangs) | None => Ok(response),
        }
    }

    fn page(&self, request: &Request<Incoming>) -> io::Result<Response<Page>> {
        let path = request.uri().path();
        let Some(route) = self.config.routes.iter().find(|route| route.path == path) else {
            return match path {
                "/healthz" | "/readyz" => plain(200, "ok"),
                _ if self.config.is_strict => plain(404, "404 page not found\n"),
                _ => plain(200, &format!("This is {}.\n", self.config.name)),
            };
        };
        if let Some(token) = &route.bearer {
            let given = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
            if given != Some(format!("Bearer {token}").as_bytes()) {
                return unauthorized();
            }
        }
        let mut response = Response::builder().status(route.status);
        for (name, value) in &route.headers {
            response = response.header(name, value);
        }
        if !route.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            response = response.header(CONTENT_TYPE, "text/plain; charset=utf-8");
        }
        response.body(Page::of(&route.body)).map_err(io::Error::other)
    }
}

fn plain(status: u16, body: &str) -> io::Result<Response<Page>> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, "text/plain; charset=utf-8");
    response.body(Page::of(body)).map_err(io::Error::other)
}

fn unauthorized() -> io::Result<Response<Page>> {
    let response = Response::builder().status(401).header(WWW_AUTHENTICATE, "Bearer");
    response.body(Page::of("Unauthorized\n")).map_err(io::Error::other)
}

/// Serves pages on one connection until either side ends it.
///
/// # Errors
/// The stream's own, a request that is none, and an answer that is broken off on purpose.
pub(super) async fn serve<S, A>(stream: S, answer: impl Fn(Request<Incoming>) -> A) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    A: Future<Output = io::Result<Response<Page>>>,
{
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    connection.await.map_err(io::Error::other)
}

/// As an SSH server does, which speaks first.
async fn speak_something_else<S>(mut stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").await?;
    let _count = stream.read(&mut [0; 1024]).await?;
    stream.write_all(b"Invalid SSH identification string.\r\n").await?;
    stream.shutdown().await
}

/// The body of an answer.
pub(super) enum Page {
    /// All of it, until it is taken.
    Whole(Option<Bytes>),
    /// A byte at a time, for ever.
    Drip(Box<Interval>),
    /// So much of it, and then the end of the connection.
    Half { bytes: Bytes, step: Step },
}

/// What comes next of a body that is broken off.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Send,
    /// What was sent must be on its way before the end is known: it would be thrown away otherwise.
    Yield,
    Break,
}

impl Page {
    pub(super) fn of(text: &str) -> Self {
        Self::Whole(Some(Bytes::copy_from_slice(text.as_bytes())))
    }

    /// Half of it, with the end of the connection in place of the rest.
    pub(super) fn broken_off(self) -> Self {
        Self::Half { bytes: self.beginning(), step: Step::Send }
    }

    /// The first half of it.
    fn beginning(self) -> Bytes {
        match self {
            Self::Whole(Some(bytes)) | Self::Half { bytes, .. } => bytes.slice(..bytes.len() / 2),
            Self::Whole(None) | Self::Drip(_) => Bytes::new(),
        }
    }
}

impl Body for Page {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(rest) => Poll::Ready(rest.take().filter(|bytes| !bytes.is_empty()).map(Frame::data).map(Ok)),
            Self::Drip(ticks) => {
                let _at = ready!(ticks.poll_tick(context));
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b".")))))
            }
            Self::Half { bytes, step } => match *step {
                Step::Send => {
                    *step = Step::Yield;
                    Poll::Ready(Some(Ok(Frame::data(bytes.clone()))))
                }
                Step::Yield => {
                    *step = Step::Break;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                Step::Break => Poll::Ready(Some(Err(io::Error::other("broken off on purpose")))),
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(rest) => SizeHint::with_exact(size(rest.as_ref().map_or(0, Bytes::len))),
            Self::Drip(_) => SizeHint::default(),
            // What was promised, and one more where that is nothing.
            Self::Half { bytes, .. } => SizeHint::with_exact(size(bytes.len() * 2 + 1)),
        }
    }
}

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::rehearsal::standins::StandIn;
    use crate::rehearsal::standins::conformance::{dial, http_exchange};

    fn server() -> Arc<Server> {
        let secret = Route { bearer: Some("token".to_owned()), ..Route::page("/secret", "inside") };
        let moved = Route {
            status: 301,
            headers: [("Location", "/there"), ("Content-Type", "a/b")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Route::page("/here", "")
        };
        let routes = vec![Route::page("/", "welcome"), secret, moved];
        Arc::new(Server::new(Config { name: "web-0".to_owned(), routes, ..Config::default() }))
    }

    async fn got(server: &Arc<Server>, path: &str, headers: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n{headers}\r\n");
        http_exchange(&mut dial(&StandIn::Http(Arc::clone(server))), &request).await.to_lowercase()
    }

    #[tokio::test]
    async fn each_path_has_its_page() {
        let server = server();
        for (path, headers, head, body) in [
            ("/", "", "http/1.1 200 ok\r\ncontent-type: text/plain; charset=utf-8\r\n", "\r\n\r\nwelcome"),
            ("/?q", "", "http/1.1 200 ok\r\n", "\r\n\r\nwelcome"),
            ("/healthz", "", "http/1.1 200 ok\r\n", "\r\n\r\nok"),
            ("/other", "", "http/1.1 200 ok\r\n", "\r\n\r\nthis is web-0.\n"),
            ("/here", "", "http/1.1 301 moved permanently\r\ncontent-type: a/b\r\nlocation: /there\r\n", "\r\n\r\n"),
            ("/secret", "", "http/1.1 401 unauthorized\r\nwww-authenticate: bearer\r\n", "unauthorized\n"),
            ("/secret", "Authorization: Bearer nokey\r\n", "http/1.1 401 unauthorized\r\n", "unauthorized\n"),
            ("/secret", "Authorization: Bearer token\r\n", "http/1.1 200 ok\r\n", "\r\n\r\ninside"),
        ] {
            let page = got(&server, path, headers).await;
            assert!(page.starts_with(head) && page.ends_with(body), "{path}: {page}");
        }
        let strict = Arc::new(Server::new(Config { is_strict: true, ..Config::default() }));
        assert!(got(&strict, "/other", "").await.starts_with("http/1.1 404 not found\r\n"));
    }

    #[tokio::test]
    async fn every_fault_shows_and_passes() {
        let server = server();
        for (fault, begins, ends) in [
            (Fault::WrongBody, "http/1.1 200 ok\r\n", "\r\n\r\nit works!\n"),
            (Fault::Status500, "http/1.1 500 internal server error\r\n", "internal server error\n"),
            (Fault::Status503, "http/1.1 503 service unavailable\r\n", "service unavailable\n"),
            (Fault::RedirectLoop, "http/1.1 302 found\r\nlocation: /?again\r\n", "\r\n\r\n"),
            (Fault::ClosesMidBody, "http/1.1 200 ok\r\n", "content-length: 7\r\n\r\nwel"),
            (Fault::EmptyReply, "", ""),
            (Fault::NotHttp, "ssh-2.0-", "identification string.\r\n"),
            (Fault::WrongContentType, "http/1.1 200 ok\r\ncontent-type: application/octet-stream\r\n", "welcome"),
            (Fault::Unauthorized, "http/1.1 401 unauthorized\r\n", "unauthorized\n"),
            (Fault::LetsIn, "http/1.1 200 ok\r\n", "welcome.\n"),
            (Fault::WithoutHeaders, "http/1.1 200 ok\r\nconnection: close\r\ncontent-length: 7\r\n\r\n", "welcome"),
        ] {
            server.inject(Some(fault));
            // The date differs from one answer to the next, and stands before the body.
            let page = got(&server, "/?again", "").await;
            let page: String = page.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect();
            assert!(page.starts_with(begins) && page.ends_with(ends), "{fault:?}: {page}");
            assert!(!begins.is_empty() || page.is_empty(), "{page}");
            server.inject(None);
            assert!(got(&server, "/?again", "").await.ends_with("\r\n\r\nwelcome"), "{fault:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_drips_and_a_server_that_hangs_says_nothing() {
        let server = server();
        server.inject(Some(Fault::SlowDrip));
        let mut stream = dial(&StandIn::Http(Arc::clone(&server)));
        stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").await.unwrap();
        let (since, mut all) = (Instant::now(), Vec::new());
        while all.iter().filter(|byte| **byte == b'.').count() < 5 + 1 {
            assert_ne!(stream.read_buf(&mut all).await.unwrap(), 0);
        }
        // One of the dots stands in the first line; the first byte comes at once.
        assert_eq!(since.elapsed().as_millis() / 100, 8);
        server.inject(Some(Fault::Hangs));
        timeout(Duration::from_secs(60), got(&server, "/", "")).await.unwrap_err();
    }
}
