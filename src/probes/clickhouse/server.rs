//! One server over HTTP: how it is met, how it is asked, and what it says in place of an answer.

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue};
use reqwest::Url;

use crate::checks::{Address, Clickhouse, Guard, Obstacle};
use crate::complaint::chain;
use crate::probes::channel::Tls;
use crate::probes::http::host_name;
use crate::probes::line::{self, Line};
use crate::probes::reach::{Failure, Heard, Unmet};
use crate::probes::{Site, Unseen};
use crate::tunnel::{Dialer, Stream};

/// The most that is kept of an exception's words, in characters.
pub(super) const WORDS: usize = 300;

/// One server, and how it is asked.
#[derive(Clone)]
pub(super) struct Server {
    /// As the claim names it, or its cluster.
    pub(super) at: Address,
    /// The one of those behind it that is talked to.
    pub(super) place: Address,
    pub(super) dialer: Dialer,
    pub(super) namespace: String,
    pub(super) tls: Tls,
    /// The name by which clients in the cluster know it.
    pub(super) name: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: Option<String>,
    /// Told of each answer.
    pub(super) heard: Heard,
}

/// A conversation with a server, over one connection as long as that lasts, and then over another.
pub(super) struct Talk {
    pub(super) server: Server,
    line: Option<Line>,
}

impl Talk {
    /// The same server, over another connection.
    pub(super) fn again(&self) -> Self {
        Self { server: self.server.clone(), line: None }
    }

    /// What a query returns, as text.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<String, Failure> {
        let server = &self.server;
        let line = match self.line.take() {
            Some(line) => line,
            None => server.open(server.dial().await?).await?,
        };
        // After an exception some servers end the connection, and say so or not.
        let (said, line) = server.ask(line, &server.password, sql).await?;
        self.line = line;
        Ok(said)
    }
}

impl Server {
    /// Begins with what a ClickHouse server says to whoever comes.
    pub(super) async fn meet(self, site: &Site<'_>) -> Result<Talk, Unmet> {
        let line = self.open(site.dial(&self.place).await?).await?;
        let request = Request::get("/ping").header(HOST, self.host()).body(Full::default());
        let (reply, line) = self.exchange(line, request.map_err(|error| self.unsendable(&error))?).await?;
        match (reply.status, reply.body.trim_end()) {
            (200, "Ok.") => Ok(Talk { server: self, line }),
            (status, body) => Err(self.strange("/ping", status, body)),
        }
    }

    /// What a query returns, and the connection where another may follow on it.
    async fn ask(&self, line: Line, password: &str, sql: &str) -> Result<(String, Option<Line>), Failure> {
        let (reply, line) = self.exchange(line, self.query(password, sql).map_err(Unmet::from)?).await?;
        match (reply.exception(), reply.status) {
            (Some(error), _) => Err(Failure::Said(error)),
            (None, 200) => Ok((reply.body, line)),
            (None, status) => Err(self.strange("a query", status, &reply.body).into()),
        }
    }

    /// Whether the user comes in without any password as well.
    pub(super) async fn guard(&self) -> Result<Guard, Failure> {
        let stream = self.dial().await?;
        let is_forwarded = stream.is_forwarded();
        match self.ask(self.open(stream).await?, "", "SELECT 1").await {
            Ok(_) if is_forwarded => Ok(Guard::OpenToLoopback),
            Ok(_) => Ok(Guard::Open),
            Err(Failure::Said(error)) if Clickhouse::keeps_out(&error) => Ok(Guard::Asks),
            // Nothing was heard of what this server asks for.
            Err(failure) => Err(failure),
        }
    }

    async fn dial(&self) -> Result<Stream, Unmet> {
        Ok(self.dialer.dial(&self.place, &self.namespace).await?)
    }

    fn host(&self) -> String {
        format!("{}:{}", host_name(&self.at, &self.namespace), self.at.port)
    }

    /// A query. By GET the server would change nothing, and what is in an address stands in logs.
    fn query(&self, password: &str, sql: &str) -> Result<Request<Full<Bytes>>, Unseen> {
        // An exception that comes while rows are being sent would come after a status of 200.
        let mut parameters = vec![("wait_end_of_query", "1")];
        parameters.extend(self.database.as_deref().map(|database| ("database", database)));
        let address = Url::parse_with_params("http://clickhouse/", parameters);
        let address = address.map_err(|error| self.unsendable(&error))?;
        let mut password = HeaderValue::from_str(password)
            .map_err(|_| Unseen(format!("the password of {} fits into no header", self.user)))?;
        password.set_sensitive(true);
        let request = Request::post(format!("/?{}", address.query().unwrap_or_default()))
            .header(HOST, self.host())
            .header("X-ClickHouse-User", &self.user)
            .header("X-ClickHouse-Key", password);
        request.body(Full::from(sql.to_owned())).map_err(|error| self.unsendable(&error))
    }

    /// What cannot be sent at all is the claim's fault, and says nothing of the platform.
    fn unsendable(&self, error: &(dyn std::error::Error + 'static)) -> Unseen {
        Unseen(format!("cannot make a request to {}: {}", self.at, chain(error)))
    }

    /// An answer that no ClickHouse server gives.
    fn strange(&self, what: &str, status: u16, body: &str) -> Unmet {
        let beginning: String = body.lines().next().unwrap_or_default().chars().take(80).collect();
        let words = format!("clickhouse {} answered {what} with HTTP {status}, {beginning:?}", self.at);
        Unmet::Obstacle(Obstacle::Broke(words))
    }

    async fn open(&self, stream: Stream) -> Result<Line, Unmet> {
        let who = format!("clickhouse {}", self.at);
        Line::open(self.tls.over(stream, &who, &self.name).await?, who).await
    }

    /// One answer, and the connection where another request may follow on it.
    async fn exchange(&self, line: Line, request: Request<Full<Bytes>>) -> Result<(Reply, Option<Line>), Unmet> {
        let line::Reply { status, headers, body, end } = line.exchange(request).await?;
        self.heard.note();
        let code = headers.get("X-ClickHouse-Exception-Code").and_then(|code| code.to_str().ok());
        let body = String::from_utf8_lossy(&body).into_owned();
        let reply = Reply { status: status.as_u16(), code: code.map(str::to_owned), body };
        match end {
            Ok(line) => Ok((reply, line)),
            // Newer servers break an answer off behind an exception that comes too late for the status.
            Err(_) if reply.exception().is_some() => Ok((reply, None)),
            Err(unmet) => Err(unmet),
        }
    }
}

/// What a server answered.
pub(super) struct Reply {
    pub(super) status: u16,
    /// The code of an exception, where the head has one.
    pub(super) code: Option<String>,
    pub(super) body: String,
}

impl Reply {
    /// The exception that it tells of: its code, then its words in one line. It may stand behind rows.
    pub(super) fn exception(&self) -> Option<String> {
        let told = self.body.match_indices("Code: ").find_map(|(at, _)| exception(&self.body[at..]));
        let (code, words) = match (told, &self.code) {
            (Some(told), _) => told,
            (None, Some(code)) => (code.as_str(), self.body.lines().next().unwrap_or_default()),
            (None, None) => return None,
        };
        Some(format!("{code} {}", words.chars().take(WORDS).collect::<String>()))
    }
}

/// Reads `Code: 516. DB::Exception: words (version 25.8.2.29 (official build))`, or as servers before 20.1 say it,
/// `Code: 193, e.displayText() = DB::Exception: words, e.what() = DB::Exception`. What befalls a server with its Keeper is a
/// `Coordination::Exception`.
fn exception(text: &str) -> Option<(&str, &str)> {
    let line = text.lines().next()?.strip_prefix("Code: ")?;
    let (code, rest) = line.split_at(line.find(|c: char| !c.is_ascii_digit())?);
    let (_, words) = rest.split_once("DB::Exception: ").or_else(|| rest.split_once("Coordination::Exception: "))?;
    let words = words.split(", e.what() = ").next()?.split(" (version ").next()?;
    (!code.is_empty()).then_some((code, words))
}
