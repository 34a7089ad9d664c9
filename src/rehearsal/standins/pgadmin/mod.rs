//! A pgAdmin 9 that asks for a login: its login page, the list of servers of its one user, and the logout.
//!
//! It keeps sessions as the real one does: a cookie, a CSRF token that even questions need, the words that wait for the next login
//! page, and the mistrust of whoever comes with another `User-Agent` than the session began with. Three wrong passwords lock the account.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{COOKIE, HeaderValue, SERVER, SET_COOKIE, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use self::page::Answer;
use super::http::Page;
use super::switch::Switch;

mod config;
#[cfg(test)]
pub(crate) mod conformance;
mod fault;
mod page;
#[cfg(test)]
mod tests;

pub(crate) use self::config::{Config, Listed};
pub(crate) use self::fault::Fault;

/// What it is, and what it is under `wrong-version`, as pgAdmin counts.
const VERSION: u32 = 91_800;
const OLD_VERSION: u32 = 43_000;

/// How many wrong passwords lock the account (`MAX_LOGIN_ATTEMPTS`).
const ATTEMPTS: u32 = 3;

/// The group that is always there.
const FIRST_GROUP: &str = "Servers";

/// The cookie of a session.
const COOKIE_NAME: &str = "pga4_session";

const WRONG: &str = "Incorrect username or password.";
const LOCKED: &str = "Your account is locked. Please contact the Administrator.";
const NO_ADDRESS: &str = "Email/Username is not valid";
const SIGN_IN: &str = "You must sign in to view this resource.";
const NO_TABLE: &str = "(sqlite3.OperationalError) no such table: user\n[SQL: SELECT user.id AS user_id FROM user]";

/// A pgAdmin.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    faults: Switch<Fault>,
    memory: Mutex<Memory>,
}

/// What it keeps between two requests.
#[derive(Debug, Default)]
struct Memory {
    sessions: HashMap<String, Session>,
    /// How many wrong passwords have been tried since the last right one.
    attempts: u32,
}

/// What belongs to whoever brings a cookie.
#[derive(Clone, Debug, Default)]
struct Session {
    /// In whose words it began.
    agent: String,
    /// Once a page had one.
    csrf: Option<String>,
    is_in: bool,
    /// What the next login page says, each with its kind.
    messages: Vec<(&'static str, String)>,
}

/// A request within a session.
struct Asked<'r> {
    head: &'r Parts,
    body: &'r [u8],
}

impl Asked<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// The id of the session that it says it belongs to.
    fn session(&self) -> Option<&str> {
        let cookies = self.header(COOKIE.as_str())?.split(';');
        cookies
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find(|(name, _)| *name == COOKIE_NAME)
            .map(|(_, id)| id)
    }

    /// The fields of a form.
    fn form(&self) -> HashMap<String, String> {
        let address = Url::parse(&format!("http://pgadmin/?{}", String::from_utf8_lossy(self.body)));
        address.map(|address| address.query_pairs().into_owned().collect()).unwrap_or_default()
    }
}

impl Server {
    /// A server in order.
    pub(crate) fn new(config: Config) -> Self {
        Self { config, faults: Switch::off(), memory: Mutex::default() }
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
        super::http::serve(stream, |request| self.answer(request)).await
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Page>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        self.faults.outlast(Fault::Hangs).await;
        let response = match self.faults.on() {
            Some(Fault::NotPgadmin) => return page::html(200, "It works!\n"),
            Some(Fault::Overloaded) => page::html(503, "Service Unavailable\n"),
            Some(_) | None => self.within(&Asked { head: &head, body: &body }),
        }?;
        Ok(match self.faults.is(Fault::ClosesMidReply) {
            true => response.map(Page::broken_off),
            false => response,
        })
    }

    /// The answer within a session, which begins where there is none yet.
    fn within(&self, asked: &Asked<'_>) -> Answer {
        let mut memory = self.lock();
        let agent = asked.header(USER_AGENT.as_str()).unwrap_or_default();
        let known = asked.session().and_then(|id| Some((id.to_owned(), memory.sessions.get(id)?.clone())));
        let is_other = asked.head.method == Method::POST && self.faults.is(Fault::DistrustsSessions);
        let is_distrusted = |session: &Session| session.agent != agent || is_other;
        let fresh = || (secret(), Session { agent: agent.to_owned(), ..Session::default() });
        let (id, mut session, answer) = match known {
            Some((_, session)) if is_distrusted(&session) => {
                let (id, session) = fresh();
                (id, session, page::moved("/browser/"))
            }
            known => {
                let (id, mut session) = known.unwrap_or_else(fresh);
                let answer = self.page(asked, &mut session, &mut memory.attempts);
                (id, session, answer)
            }
        };
        session.is_in &= !self.faults.is(Fault::LosesSessions);
        let cookie = format!("{COOKIE_NAME}={id}; HttpOnly; Path=/; SameSite=Lax");
        memory.sessions.insert(id, session);
        let mut response = answer?;
        response.headers_mut().insert(SET_COOKIE, HeaderValue::from_str(&cookie).map_err(io::Error::other)?);
        response.headers_mut().insert(SERVER, HeaderValue::from_static("gunicorn"));
        Ok(response)
    }

    fn page(&self, asked: &Asked<'_>, session: &mut Session, attempts: &mut u32) -> Answer {
        let version = if self.faults.is(Fault::WrongVersion) { OLD_VERSION } else { VERSION };
        match (asked.head.method.as_str(), asked.path()) {
            ("GET", "/misc/ping") => page::html(200, "PING"),
            ("GET", "/login") => self.login_page(asked, session),
            ("GET", "/authenticate/login") => page::moved("/login"),
            ("POST", "/authenticate/login") => self.log_in(asked, session, attempts),
            ("GET", "/") if session.is_in => page::moved("/browser/"),
            ("GET", "/browser/") if session.is_in => page::browser(version),
            ("GET", "/browser/js/utils.js") if session.is_in => page::utils(token(session), version),
            ("GET", path @ ("/" | "/browser/" | "/browser/js/utils.js")) => {
                session.messages.push(("error", SIGN_IN.to_owned()));
                page::moved(&format!("/login?next={path}"))
            }
            ("GET", "/logout") => self.log_out(session),
            ("GET", "/browser/server_group/obj/") => self.listed(asked, session, || self.groups()),
            ("GET", path) => match path.strip_prefix("/browser/server/obj/").and_then(|rest| rest.strip_suffix('/')) {
                Some(group) => self.listed(asked, session, || self.servers(group)),
                None => page::missing(),
            },
            _ => page::missing(),
        }
    }

    fn login_page(&self, asked: &Asked<'_>, session: &mut Session) -> Answer {
        if session.is_in {
            let forged = self.forged(session, asked.header("X-pgA-CSRFToken"));
            return forged.map_or_else(|| page::moved("/"), page::unasked);
        }
        match self.faults.on() {
            Some(Fault::LoginPageBroken) => page::error(500, "unable to open database file"),
            Some(Fault::NoCsrfToken) => page::login(None, &[]),
            Some(_) | None => {
                let messages = std::mem::take(&mut session.messages);
                page::login(Some(token(session)), &messages)
            }
        }
    }

    fn log_in(&self, asked: &Asked<'_>, session: &mut Session, attempts: &mut u32) -> Answer {
        if self.faults.is(Fault::DatabaseGone) {
            return page::error(500, NO_TABLE);
        }
        let form = asked.form();
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let email = field("email");
        let is_user = email == self.config.email && !email.is_empty();
        if is_user && (*attempts >= ATTEMPTS || self.faults.is(Fault::AccountLocked)) {
            session.messages.extend([("Warning", LOCKED.to_owned()), ("error", SIGN_IN.to_owned())]);
            return page::moved("/login");
        }
        // To look at a form is to make one, with a token.
        token(session);
        let refusal =
            self.unaddressed(email).or_else(|| self.forged(session, form.get("csrf_token").map(String::as_str)));
        if let Some(words) = refusal {
            session.messages.push(("Warning", words.to_owned()));
            return page::moved("/login");
        }
        let is_right = match self.faults.on() {
            Some(Fault::AcceptsAnyPassword) => true,
            Some(Fault::RejectsLogin) => false,
            Some(_) | None => is_user && field("password") == self.config.password,
        };
        if is_right {
            *attempts = 0;
            session.is_in = true;
            return page::moved("/browser/");
        }
        let mut words = WRONG.to_owned();
        if is_user {
            *attempts += 1;
            let left = ATTEMPTS - *attempts;
            words += &format!("{left} more {} remaining.", if left > 1 { "attempts" } else { "attempt" });
        }
        session.messages.push(("Warning", words));
        page::moved("/login")
    }

    /// Why this is nobody's address.
    fn unaddressed(&self, email: &str) -> Option<&'static str> {
        let is_anybodys = |domain: &str| {
            let last = domain.rsplit('.').next().unwrap_or_default();
            domain.contains('.') && !["arpa", "invalid", "local", "localhost", "onion", "test"].contains(&last)
        };
        let is_address = email.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && is_anybodys(domain));
        (!is_address && email != self.config.email).then_some(NO_ADDRESS)
    }

    /// Why a request does not come from a page of this session.
    fn forged(&self, session: &Session, told: Option<&str>) -> Option<&'static str> {
        match (told, &session.csrf) {
            (None | Some(""), _) => Some("The CSRF token is missing."),
            (Some(_), None) => Some("The CSRF session token is missing."),
            (Some(told), Some(own)) if told != own || self.faults.is(Fault::RejectsCsrf) => {
                Some("The CSRF token is invalid.")
            }
            (Some(_), Some(_)) => None,
        }
    }

    fn log_out(&self, session: &mut Session) -> Answer {
        match self.faults.on() {
            Some(Fault::RefusesLogout) => return page::error(500, "attempt to write a readonly database"),
            Some(Fault::KeepsSessions) => {}
            Some(_) | None => *session = Session { agent: std::mem::take(&mut session.agent), ..Session::default() },
        }
        page::moved("/")
    }

    /// A list, for a page of somebody who is in.
    fn listed(&self, asked: &Asked<'_>, session: &mut Session, list: impl FnOnce() -> Vec<Value>) -> Answer {
        if let Some(words) = self.forged(session, asked.header("X-pgA-CSRFToken")) {
            return page::unasked(words);
        }
        if !session.is_in {
            session.messages.push(("error", SIGN_IN.to_owned()));
            return page::moved(&format!("/login?next={}", asked.path()));
        }
        match self.faults.on() {
            Some(Fault::ListsFail) => page::error(500, "database disk image is malformed"),
            Some(_) | None => page::to_script(&Value::Array(list())),
        }
    }

    /// The names of all groups, each with its number: the first is always there.
    fn group_names(&self) -> Vec<String> {
        let mut names = vec![FIRST_GROUP.to_owned()];
        for Listed { group, .. } in self.registered() {
            if !names.contains(&group) {
                names.push(group);
            }
        }
        names
    }

    fn groups(&self) -> Vec<Value> {
        let mut groups: Vec<(String, usize)> = self.group_names().into_iter().zip(1..).collect();
        groups.sort();
        groups.into_iter().map(|(name, id)| json!({ "id": id, "name": name })).collect()
    }

    fn servers(&self, group: &str) -> Vec<Value> {
        let Some((name, id)) = self.group_names().into_iter().zip(1..).find(|(_, id)| id.to_string() == group) else {
            return Vec::new();
        };
        let all = self.registered().into_iter().zip(1..);
        all.filter(|(server, _)| server.group == name).map(|(server, own)| page::listed(own, id, &server)).collect()
    }

    /// The servers of its user.
    fn registered(&self) -> Vec<Listed> {
        let is_on = |fault| self.faults.is(fault);
        let other = |is_on: bool, text: &str| if is_on { format!("old {text}") } else { text.to_owned() };
        let servers = self.config.servers.iter().filter(|_| !is_on(Fault::NoServers));
        let seen = |server: &Listed| Listed {
            name: other(is_on(Fault::OtherServers), &server.name),
            group: other(is_on(Fault::OtherGroups), &server.group),
            host: other(is_on(Fault::OtherHosts), &server.host),
            ..server.clone()
        };
        servers.map(seen).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The CSRF token of a session, made where there is none yet.
fn token(session: &mut Session) -> &str {
    session.csrf.get_or_insert_with(secret)
}

/// What nobody guesses.
fn secret() -> String {
    // The standard library seeds each of these anew from the system's randomness.
    let half = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}
