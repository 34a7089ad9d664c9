//! Twin of `checks/pgadmin.rs`.
//!
//! pgAdmin has no API for strangers to its own pages: what a browser does is done here, as pgAdmin 9 has it. Its traps:
//!
//! - A session is bound to whoever began it, by address and `User-Agent` (`ENHANCED_COOKIE_PROTECTION`), and kept by one server
//!   alone: all of a look goes to the same server, in the same words.
//! - Whatever is wrong with a session leads to `/browser/`, as a login that was taken does: only a page that opens shows that one was.
//! - A login that is refused leads to the login page, and so does one with a CSRF token that is not taken: what became of it is
//!   in the words of that page alone, and only the first who asks is told.
//! - Who logs in is logged out, by a task that outlives a look that is dropped.
//!
//! Neither the password nor what makes a session (its cookies, its CSRF token) is ever told.

mod pages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, HeaderValue, LOCATION, SET_COOKIE};
use reqwest::Url;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::channel::Tls;
use super::http::host_name;
use super::line::{Line, Reply};
use super::reach::{Heard, Unmet, silent};
use super::{Made, Site, Unseen, credential, token};
use crate::checks::{Access, Address, Logout, Obstacle, Pgadmin, PgadminAnswer, PgadminFacts, Registered};
use crate::complaint::chain;
use crate::tunnel::{Dialer, Stream};

/// Longest time for a session, from its login to the last page of it, and for its logout; both bound a task that nobody waits for.
const STAY: Duration = Duration::from_secs(8);
const LEAVE: Duration = Duration::from_secs(5);

/// The most that is kept of an answer's words, in characters.
const WORDS: usize = 300;

/// The least length of a cookie's value that tells anything: `en` is a language, and in many words.
const TELLING: usize = 8;

const PING: &str = "/misc/ping";
const LOGIN: &str = "/login";
const AUTHENTICATE: &str = "/authenticate/login";
/// The one page of a session that shows the version as well, and asks for no CSRF token but gives one.
const INSIDE: &str = "/browser/js/utils.js";
const GROUPS: &str = "/browser/server_group/obj/";
const SERVERS: &str = "/browser/server/obj/";
const LOGOUT: &str = "/logout";

pub(super) async fn observe(claim: &Pgadmin, site: &Site<'_>) -> Result<PgadminAnswer, Unseen> {
    let silence = || PgadminAnswer::Unmet(silent("pgadmin", &claim.at));
    let seen = site.hearing(claim, silence, visit(claim, site)).await;
    seen.or_else(|unmet| unmet.answer(PgadminAnswer::Unmet))
}

async fn visit(claim: &Pgadmin, site: &Site<'_>) -> Result<PgadminAnswer, Unmet> {
    let who = Who::of(claim, site).await?;
    let server = Server {
        at: claim.at.clone(),
        place: site.prober.dialer.one(&claim.at, site.namespace()).await?,
        dialer: site.prober.dialer.clone(),
        heard: site.heard.clone(),
        namespace: site.namespace().to_owned(),
        tls: Tls::of(claim.tls.as_ref(), site).await?,
    };
    let line = server.open(site.dial(&server.place).await?).await?;
    let mut talk = Talk { server, line: Some(line), cookies: BTreeMap::new(), csrf: String::new() };
    talk.ping().await?;
    talk.meet().await?;
    let lists = !claim.servers.is_empty() && claim.expect == Access::Allowed;
    // A session is ended even where this look is given up half-way, and the run does not end before that.
    let session = session(talk, who, lists, site.prober.made.clone());
    let session = site.prober.unfinished.spawn(session).await;
    session.map_err(|error| Unmet::from(Unseen(format!("the session was not seen through: {error}"))))?
}

/// Who logs in.
struct Who {
    email: String,
    password: String,
}

impl Who {
    /// Whom the claim names, or nobody: pgAdmin takes an address for one only below a domain that could be anybody's (RFC 2606).
    async fn of(claim: &Pgadmin, site: &Site<'_>) -> Result<Self, Unseen> {
        match (claim.expect, &claim.email, &claim.password) {
            (Access::Denied, _, _) => {
                Ok(Self { email: format!("seaworthy-{}@example.com", token()), password: token() })
            }
            (Access::Allowed, Some(email), Some(password)) => {
                Ok(Self { email: email.clone(), password: credential::resolve(password, site).await? })
            }
            (Access::Allowed, _, _) => Err(Unseen(format!("nobody is named who logs in at pgadmin {}", claim.at))),
        }
    }
}

/// What came of a login, and what the session showed.
enum Stay {
    Refused(String),
    Seen { version: String, servers: Option<Vec<Registered>> },
}

/// One session, from its login to its logout.
async fn session(mut talk: Talk, who: Who, lists: bool, made: Made) -> Result<PgadminAnswer, Unmet> {
    let stay = match timeout(STAY, talk.stay(&who, lists)).await {
        Ok(Ok(Stay::Refused(words))) => return Ok(PgadminAnswer::Refused(words)),
        Ok(stay) => stay,
        Err(_) => {
            let words = format!("pgadmin {} did not see a session through within {} s", talk.server.at, STAY.as_secs());
            Err(Unmet::Obstacle(Obstacle::Broke(words)))
        }
    };
    // Whether a login was taken that brought no answer is not known.
    let left = timeout(LEAVE, talk.leave()).await;
    if !matches!(left, Ok(Ok(Logout::Done))) {
        made.leave(format!("a session of {}, for a day as a rule", talk.server.at));
    }
    let logout = match left {
        Ok(Ok(logout)) => logout,
        Ok(Err(Unmet::Obstacle(obstacle))) => Logout::Refused(obstacle.text().to_owned()),
        // What the way does to us says nothing of the server.
        Ok(Err(unseen @ Unmet::Unseen(_))) => return stay.and(Err(unseen)),
        Err(_) => Logout::Refused(format!("no answer to the logout within {} s", LEAVE.as_secs())),
    };
    match stay? {
        Stay::Refused(words) => Ok(PgadminAnswer::Refused(words)),
        Stay::Seen { version, servers } => Ok(PgadminAnswer::Open(PgadminFacts { version, servers, logout })),
    }
}

/// One server, and how it is reached.
struct Server {
    /// As the claim names it.
    at: Address,
    /// The one of those behind it that is talked to.
    place: Address,
    dialer: Dialer,
    /// What it says is noted: all that is asked of it may take longer than it may be silent.
    heard: Heard,
    namespace: String,
    tls: Tls,
}

impl Server {
    async fn dial(&self) -> Result<Stream, Unmet> {
        let stream = self.dialer.dial(&self.place, &self.namespace).await?;
        self.heard.note();
        Ok(stream)
    }

    async fn open(&self, stream: Stream) -> Result<Line, Unmet> {
        let who = format!("pgadmin {}", self.at);
        Line::open(self.tls.over(stream, &who, &host_name(&self.at, &self.namespace)).await?, who).await
    }

    fn host(&self) -> String {
        format!("{}:{}", host_name(&self.at, &self.namespace), self.at.port)
    }

    /// What cannot be sent at all is the claim's fault, and says nothing of the platform.
    fn unsendable(&self, error: &(dyn std::error::Error + 'static)) -> Unseen {
        Unseen(format!("cannot make a request to {}: {}", self.at, chain(error)))
    }
}

/// A conversation with a server, over one connection as long as that lasts, and then over another; with what makes it a session.
struct Talk {
    server: Server,
    line: Option<Line>,
    cookies: BTreeMap<String, String>,
    csrf: String,
}

impl Talk {
    /// What any pgAdmin says to whoever comes.
    async fn ping(&mut self) -> Result<(), Unmet> {
        let reply = self.get(PING).await?;
        let is_it = reply.status == 200 && reply.body.trim_ascii_end() == b"PING";
        if is_it { Ok(()) } else { Err(self.strange(PING, &reply)) }
    }

    /// Comes to the login page, where a session begins.
    async fn meet(&mut self) -> Result<(), Unmet> {
        let reply = self.get(LOGIN).await?;
        let page = text(&reply);
        if reply.status != 200 || !pages::is_login(&page) {
            return Err(self.strange(LOGIN, &reply));
        }
        let Some(csrf) = pages::login_token(&page) else {
            return Err(self.broke("has a login page without a CSRF token: nobody can log in there"));
        };
        self.csrf = csrf.to_owned();
        Ok(())
    }

    async fn stay(&mut self, who: &Who, lists: bool) -> Result<Stay, Unmet> {
        if let Some(words) = self.log_in(who).await? {
            return Ok(Stay::Refused(words));
        }
        let reply = self.get(INSIDE).await?;
        let page = text(&reply);
        let version = match (reply.status.as_u16(), path(&reply)) {
            (200, _) => pages::version(&page).ok_or_else(|| self.strange(INSIDE, &reply))?,
            (_, Some(to)) => {
                let to = self.hidden(to);
                return Err(self.broke(&format!("took the login and then led to {to}: it does not keep the session")));
            }
            (_, None) => return Err(self.strange(INSIDE, &reply)),
        };
        if let Some(csrf) = pages::inner_token(&page) {
            self.csrf = csrf.to_owned();
        }
        let servers = if lists { Some(self.servers().await?) } else { None };
        Ok(Stay::Seen { version, servers })
    }

    /// Logs in. Returns the words with which that was refused.
    async fn log_in(&mut self, who: &Who) -> Result<Option<String>, Unmet> {
        // Who presses this button is looked for neither by Kerberos nor by OAuth 2.
        let fields = [
            ("csrf_token", self.csrf.as_str()),
            ("email", &who.email),
            ("password", &who.password),
            ("internal_button", "Login"),
        ];
        let form = Url::parse_with_params("http://pgadmin/", fields);
        let form = form.map_err(|error| self.server.unsendable(&error))?.query().unwrap_or_default().to_owned();
        let request = Request::post(AUTHENTICATE).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let reply = self.ask(request, form).await?;
        let page = match path(&reply) {
            Some(LOGIN) => self.get(LOGIN).await?,
            Some(_) => return Ok(None),
            None if reply.status == 200 && pages::is_login(&text(&reply)) => reply,
            None => return Err(self.strange("the login", &reply)),
        };
        match pages::messages(&text(&page)) {
            Some(messages) if !messages.is_empty() => {
                Ok(Some(self.hidden(&messages.join(" ")).chars().take(WORDS).collect()))
            }
            Some(_) => Err(self.broke("answered the login with its login page, without a word")),
            None => Err(self.strange("a login that was not taken", &page)),
        }
    }

    /// All servers that are registered, group by group.
    async fn servers(&mut self) -> Result<Vec<Registered>, Unmet> {
        let groups: Vec<pages::Group> = self.list(GROUPS).await?;
        let mut all = Vec::new();
        for group in groups {
            let servers: Vec<pages::Entry> = self.list(&format!("{SERVERS}{}/", group.id)).await?;
            all.extend(servers.into_iter().map(|server| Registered {
                name: server.name,
                group: group.name.clone(),
                host: server.host.unwrap_or_default(),
            }));
        }
        Ok(all)
    }

    async fn list<T: DeserializeOwned>(&mut self, path: &str) -> Result<Vec<T>, Unmet> {
        let reply = self.get(path).await?;
        let list = if reply.status == 200 { serde_json::from_slice(&reply.body).ok() } else { None };
        list.ok_or_else(|| self.strange(path, &reply))
    }

    /// Logs out, and looks whether the session as it was opens anything still.
    async fn leave(&mut self) -> Result<Logout, Unmet> {
        let session = self.cookies.clone();
        let reply = self.get(LOGOUT).await?;
        if path(&reply).is_none() {
            return Err(self.strange(LOGOUT, &reply));
        }
        self.cookies = session;
        let reply = self.get(INSIDE).await?;
        match (reply.status.as_u16(), path(&reply)) {
            (_, Some(LOGIN)) => Ok(Logout::Done),
            (200, _) if pages::version(&text(&reply)).is_some() => Ok(Logout::Ignored),
            _ => Err(self.strange(INSIDE, &reply)),
        }
    }

    async fn get(&mut self, path: &str) -> Result<Reply, Unmet> {
        self.ask(Request::get(path), String::new()).await
    }

    /// One answer, within the session.
    async fn ask(&mut self, request: hyper::http::request::Builder, body: String) -> Result<Reply, Unmet> {
        let mut request = request.header(HOST, self.server.host());
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, self.sensitive(&cookies.join("; "))?);
        }
        if !self.csrf.is_empty() {
            request = request.header("X-pgA-CSRFToken", self.sensitive(&self.csrf)?);
        }
        let request = request.body(Full::from(body)).map_err(|error| self.server.unsendable(&error))?;
        let reply = self.exchange(request).await?;
        for cookie in reply.headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok()) {
            if let Some((name, value)) = cookie.split(';').next().and_then(|cookie| cookie.split_once('=')) {
                self.cookies.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        Ok(reply)
    }

    fn sensitive(&self, text: &str) -> Result<HeaderValue, Unseen> {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| Unseen(format!("the session at pgadmin {} fits into no header", self.server.at)))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, Unmet> {
        let server = &self.server;
        let line = match self.line.take() {
            Some(line) => line,
            None => server.open(server.dial().await?).await?,
        };
        let mut reply = line.exchange(request).await?;
        server.heard.note();
        self.line = std::mem::replace(&mut reply.end, Ok(None))?;
        Ok(reply)
    }

    /// An answer that no pgAdmin in order gives.
    fn strange(&self, what: &str, reply: &Reply) -> Unmet {
        let status = reply.status.as_u16();
        if let Some(to) = path(reply) {
            return self.broke(&format!("answered {what} with HTTP {status}, which leads to {}", self.hidden(to)));
        }
        let body = text(reply);
        let words = pages::error(&body).unwrap_or_else(|| {
            let first = body.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            first.chars().take(80).collect()
        });
        let words: String = self.hidden(&words).chars().take(WORDS).collect();
        self.broke(&format!("answered {what} with HTTP {status}, {words:?}"))
    }

    fn broke(&self, what: &str) -> Unmet {
        Unmet::Obstacle(Obstacle::Broke(format!("pgadmin {} {what}", self.server.at)))
    }

    /// A text without what makes the session.
    fn hidden(&self, text: &str) -> String {
        let secrets = self.cookies.values().chain([&self.csrf]).filter(|secret| secret.len() >= TELLING);
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "hidden"))
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// Where an answer leads, without the server's own name and without what it is asked there.
fn path(reply: &Reply) -> Option<&str> {
    let to = reply.headers.get(LOCATION).filter(|_| reply.status.is_redirection())?.to_str().ok()?;
    let to = to.split('?').next().unwrap_or_default();
    let Some((_, rest)) = to.split_once("://") else { return Some(to) };
    Some(rest.find('/').map_or("/", |at| &rest[at..]))
}
