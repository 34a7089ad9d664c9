//! Twin of `checks/neo4j.rs`.
//!
//! Its traps, as Neo4j 5 has them:
//!
//! - A statement that failed is answered with HTTP 200; what became of it is in `errors` alone, beside results that may be there
//!   nonetheless.
//! - The discovery document is the same whether or not a database is there behind it. Of one that is not, a statement is answered with
//!   404 in the right form.
//! - The port of Bolt answers HTTP as well, with 200 and nothing: only Bolt's own handshake tells.
//! - A login is looked at with each request over HTTP: whoever has a wrong password locks its account in three.
//!
//! A node of ours is named after the run and removed by a task that outlives a look that is dropped.

mod bolt;
mod packstream;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use self::bolt::Bolt;
use super::channel::Channel;
use super::http::host_name;
use super::line::{Line, Reply};
use super::reach::{Failure, Heard, Unmet, heard, silent};
use super::{Made, Site, Unseen, credential, token};
use crate::checks::{
    Access, Address, Found, Neo4j, Neo4jAnswer, Neo4jDoor, Neo4jFacts, Neo4jMade, Neo4jNode, Obstacle,
};
use crate::complaint::chain;
use crate::tunnel::{Dialer, Stream};

/// Longest time for making a node and all that is asked of it, and for removing it; both bound a task that nobody waits for. A server
/// that has just started takes seconds for its first statements.
const WRITE: Duration = Duration::from_secs(15);
const REMOVE: Duration = Duration::from_secs(5);

/// Longest time for a farewell.
const LEAVE: Duration = Duration::from_secs(1);

/// The most that is kept of an error's words, in characters.
const WORDS: usize = 300;

/// What is left as it is in a path (RFC 3986, "unreserved").
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Anybody who is in may run it; it needs a database.
const NOTHING: &str = "RETURN 1";
const MAKE: &str = "CREATE (n:SeaworthyCheck {run: $run, token: $token, value: $value}) RETURN n.value";
const FIND: &str = "MATCH (n:SeaworthyCheck {token: $token}) RETURN n.value LIMIT 3";
const DELETE: &str = "MATCH (n:SeaworthyCheck {token: $token}) DETACH DELETE n";

/// The beginnings of the codes of a server that does not say whether it has done what it was asked for.
const UNTOLD: [&str; 2] = ["Neo.TransientError.", "Neo.DatabaseError."];

pub(super) async fn observe(claim: &Neo4j, site: &Site<'_>) -> Result<Neo4jAnswer, Unseen> {
    // Each of the two may be silent by itself.
    let is_at_bolt = AtomicBool::new(false);
    let silence = || {
        let bolt = claim.bolt.as_ref().filter(|_| is_at_bolt.load(Ordering::Relaxed));
        Neo4jAnswer::Unmet(bolt.map_or_else(|| silent("neo4j", &claim.at), |bolt| silent("bolt", bolt)))
    };
    let seen = site.hearing(claim, silence, visit(claim, site, &is_at_bolt)).await;
    seen.or_else(|unmet| unmet.answer(Neo4jAnswer::Unmet))
}

async fn visit(claim: &Neo4j, site: &Site<'_>, is_at_bolt: &AtomicBool) -> Result<Neo4jAnswer, Unmet> {
    let login = Login::of(claim, site).await?;
    let server = Server {
        at: claim.at.clone(),
        place: site.prober.dialer.one(&claim.at, site.namespace()).await?,
        dialer: site.prober.dialer.clone(),
        heard: site.heard.clone(),
        namespace: site.namespace().to_owned(),
        database: claim.database.clone(),
        authorization: login.header(claim, site)?,
    };
    let line = server.open(site.dial(&server.place).await?).await?;
    let mut talk = Talk { server, line: Some(line) };
    let discovery = talk.discover().await?;
    let over_http = heard(talk.run(NOTHING, &json!({})).await)?.map(drop);
    if over_http.is_ok() == (claim.expect == Access::Denied) || is_no_refusal(claim, &over_http) {
        return Ok(entered(Neo4jDoor::Http, over_http, &discovery, claim));
    }
    let mut bolt = None;
    if let Some(at) = &claim.bolt {
        is_at_bolt.store(true, Ordering::Relaxed);
        let entered_bolt = heard(Bolt::enter(at, &login, &claim.database, site).await)?;
        is_at_bolt.store(false, Ordering::Relaxed);
        match entered_bolt {
            Ok(connection) if claim.expect == Access::Allowed => bolt = Some(connection),
            Ok(_) => return Ok(entered(Neo4jDoor::Bolt, Ok(()), &discovery, claim)),
            Err(error) => return Ok(Neo4jAnswer::Refused(Neo4jDoor::Bolt, error)),
        }
    }
    let answer = entered(Neo4jDoor::Http, over_http, &discovery, claim);
    let Neo4jAnswer::Open(mut facts) = answer else { return Ok(answer) };
    if claim.writes {
        // What was made is removed even where this look is given up half-way, and the run does not end before that.
        let place = Place { run: site.prober.run.clone(), token: token() };
        let proof = site.prober.unfinished.spawn(prove(talk, bolt, place, site.prober.made.clone())).await;
        let lost = |error| Unmet::from(Unseen(format!("the write was not seen through: {error}")));
        facts.node = Some(proof.map_err(lost)??);
    }
    Ok(Neo4jAnswer::Open(facts))
}

/// Whether it is an error that says nothing of who may come in, where that is claimed.
fn is_no_refusal(claim: &Neo4j, said: &Result<(), String>) -> bool {
    claim.expect == Access::Denied && said.as_ref().is_err_and(|error| !Neo4j::keeps_out(error))
}

/// What came of a door, without a node.
fn entered(door: Neo4jDoor, said: Result<(), String>, discovery: &Discovery, claim: &Neo4j) -> Neo4jAnswer {
    match said {
        Err(error) => Neo4jAnswer::Refused(door, error),
        Ok(()) => Neo4jAnswer::Open(Neo4jFacts {
            door,
            version: discovery.neo4j_version.clone(),
            astray: discovery.astray(claim),
            node: None,
        }),
    }
}

/// Who logs in.
struct Login {
    user: String,
    password: String,
}

impl Login {
    /// Whom the claim names, or nobody.
    async fn of(claim: &Neo4j, site: &Site<'_>) -> Result<Self, Unseen> {
        match (claim.expect, &claim.user, &claim.password) {
            (Access::Denied, _, _) => Ok(Self { user: format!("seaworthy-{}", token()), password: token() }),
            (Access::Allowed, Some(user), Some(password)) => {
                Ok(Self { user: user.clone(), password: credential::resolve(password, site).await? })
            }
            (Access::Allowed, _, _) => Err(Unseen(format!("nobody is named who logs in at neo4j {}", claim.at))),
        }
    }

    /// As HTTP has it. The pair is as good as the password.
    fn header(&self, claim: &Neo4j, site: &Site<'_>) -> Result<HeaderValue, Unseen> {
        let pair = BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password));
        let mut value = HeaderValue::from_str(&format!("Basic {pair}"))
            .map_err(|_| Unseen(format!("the login at neo4j {} fits into no header", claim.at)))?;
        value.set_sensitive(true);
        if claim.expect == Access::Allowed {
            site.prober.secrets.learn(&pair);
        }
        Ok(value)
    }
}

/// What it says of itself to whoever comes.
#[derive(Deserialize)]
struct Discovery {
    neo4j_version: String,
    #[serde(default)]
    bolt_direct: Option<String>,
}

impl Discovery {
    /// Where it sends clients for Bolt, if nobody else than itself, or nobody at the port of the claim, could get there.
    fn astray(&self, claim: &Neo4j) -> Option<String> {
        let (bolt, told) = (claim.bolt.as_ref()?, self.bolt_direct.as_ref()?);
        let (_, place) = told.split_once("://")?;
        let (host, port) = place.trim_end_matches('/').rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']);
        let address = host.parse::<IpAddr>();
        let is_itself = host == "localhost" || address.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified());
        let is_elsewhere = is_itself && host_name(bolt, "") != host;
        (is_elsewhere || port != bolt.port.to_string()).then(|| told.chars().take(WORDS).collect())
    }
}

/// By what a node of ours is found.
struct Place {
    run: String,
    token: String,
}

/// One node, made over one connection and looked at over others.
async fn prove(mut writer: Talk, mut bolt: Option<Bolt>, place: Place, left: Made) -> Result<Neo4jMade, Unmet> {
    let mut reader = Talk { server: writer.server.clone(), line: None };
    let mut is_there = true;
    let made = timeout(WRITE, make(&mut writer, &mut reader, bolt.as_mut(), &place, &mut is_there)).await;
    if let Some(bolt) = bolt {
        timeout(LEAVE, bolt.leave()).await.ok();
    }
    if is_there {
        let node = format!("node :SeaworthyCheck {{token: \"{}\"}} of neo4j {}", place.token, writer.server.at);
        match timeout(REMOVE, reader.delete(&place)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => left.leave(format!("{node}: {}", failure.words())),
            Err(_) => left.leave(format!("{node}: no answer within {} s", REMOVE.as_secs())),
        }
    }
    match made {
        Ok(made) => made,
        Err(_) => {
            let words = format!("neo4j {} did not see a node through within {} s", writer.server.at, WRITE.as_secs());
            Err(Unmet::Obstacle(Obstacle::Broke(words)))
        }
    }
}

async fn make(
    writer: &mut Talk,
    reader: &mut Talk,
    mut bolt: Option<&mut Bolt>,
    place: &Place,
    is_there: &mut bool,
) -> Result<Neo4jMade, Unmet> {
    let value = token();
    let whole = json!({ "run": place.run, "token": place.token, "value": value });
    let named = json!({ "token": place.token });
    let made = match heard(writer.run(MAKE, &whole).await)? {
        Ok(made) => made,
        Err(error) => {
            *is_there = UNTOLD.iter().any(|code| error.starts_with(code));
            return Ok(Neo4jMade::Refused(error));
        }
    };
    let read = found(reader.run(FIND, &named).await, &value)?;
    let over_bolt = match &mut bolt {
        // Another server of a cluster must have caught up before it may answer.
        Some(bolt) => Some(found(bolt.run(FIND, &named, &made.bookmarks).await, &value)?),
        None => None,
    };
    let deleted = match heard(writer.run(DELETE, &named).await)? {
        Ok(deleted) => Ok(match &mut bolt {
            Some(bolt) if over_bolt == Some(Found::Same) => {
                found(bolt.run(FIND, &named, &deleted.bookmarks).await, &value)?
            }
            Some(_) | None => found(reader.run(FIND, &named).await, &value)?,
        }),
        Err(error) => Err(error),
    };
    *is_there = deleted != Ok(Found::Nothing);
    Ok(Neo4jMade::Taken(Neo4jNode { read, bolt: over_bolt, deleted }.into()))
}

fn found(said: Result<Table, Failure>, value: &str) -> Result<Found, Unmet> {
    Ok(match heard(said)? {
        Ok(table) => match table.rows.as_slice() {
            [] => Found::Nothing,
            [row] if row.first().and_then(Value::as_str) == Some(value) => Found::Same,
            [_] => Found::Other,
            more => Found::Many(more.len()),
        },
        Err(error) => Found::Refused(error),
    })
}

/// What a statement brought.
#[derive(Default)]
struct Table {
    rows: Vec<Vec<Value>>,
    /// What to tell another server so that it knows of it.
    bookmarks: Vec<String>,
}

/// An answer of the transactional API ("HTTP API", "Result formats").
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    results: Vec<Of>,
    errors: Vec<Error>,
    #[serde(default, rename = "lastBookmarks")]
    bookmarks: Vec<String>,
}

#[derive(Deserialize)]
struct Of {
    data: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    row: Vec<Value>,
}

#[derive(Deserialize)]
struct Error {
    code: String,
    message: String,
}

/// An error as it is told: in one line, with its code first.
fn told(code: &str, message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    format!("{code}: {}", words.join(" ")).chars().take(WORDS).collect()
}

/// One server, and how it is asked.
#[derive(Clone)]
struct Server {
    /// As the claim names it.
    at: Address,
    /// The one of those behind it that is talked to.
    place: Address,
    dialer: Dialer,
    /// What it says is noted: all that is asked of it may take longer than it may be silent.
    heard: Heard,
    namespace: String,
    database: String,
    authorization: HeaderValue,
}

impl Server {
    async fn dial(&self) -> Result<Stream, Unmet> {
        let stream = self.dialer.dial(&self.place, &self.namespace).await?;
        self.heard.note();
        Ok(stream)
    }

    async fn open(&self, stream: Stream) -> Result<Line, Unmet> {
        Line::open(Channel::Plain(stream), format!("neo4j {}", self.at)).await
    }

    /// What cannot be sent at all is the claim's fault, and says nothing of the platform.
    fn unsendable(&self, error: &(dyn std::error::Error + 'static)) -> Unseen {
        Unseen(format!("cannot make a request to {}: {}", self.at, chain(error)))
    }

    /// An answer that no Neo4j gives.
    fn strange(&self, what: &str, reply: &Reply) -> Unmet {
        let body = String::from_utf8_lossy(&reply.body);
        let first = body.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let first: String = first.chars().take(80).collect();
        let status = reply.status.as_u16();
        Unmet::Obstacle(Obstacle::Broke(format!("neo4j {} answered {what} with HTTP {status}, {first:?}", self.at)))
    }
}

/// A conversation with a server, over one connection as long as that lasts, and then over another.
struct Talk {
    server: Server,
    line: Option<Line>,
}

impl Talk {
    async fn discover(&mut self) -> Result<Discovery, Unmet> {
        // A browser would be led to a page.
        let reply = self.ask(Request::get("/").header(ACCEPT, "application/json"), String::new()).await?;
        let document = if reply.status == 200 { serde_json::from_slice(&reply.body).ok() } else { None };
        document.ok_or_else(|| self.server.strange("GET /", &reply))
    }

    /// Runs one statement as a transaction of its own.
    async fn run(&mut self, statement: &str, parameters: &Value) -> Result<Table, Failure> {
        let database = utf8_percent_encode(&self.server.database, &ENCODED);
        let request = Request::post(format!("/db/{database}/tx/commit"))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, self.server.authorization.clone());
        let body = json!({ "statements": [{ "statement": statement, "parameters": parameters }] });
        let reply = self.ask(request, body.to_string()).await?;
        let said: Option<Said> = serde_json::from_slice(&reply.body).ok();
        match said {
            Some(said) if !said.errors.is_empty() => {
                let Error { code, message } = &said.errors[0];
                Err(Failure::Said(told(code, message)))
            }
            Some(said) if reply.status.is_success() && said.results.len() == 1 => {
                let rows = said.results.into_iter().flat_map(|of| of.data).map(|row| row.row).collect();
                Ok(Table { rows, bookmarks: said.bookmarks })
            }
            Some(_) | None => Err(self.server.strange("a statement", &reply).into()),
        }
    }

    async fn delete(&mut self, place: &Place) -> Result<(), Failure> {
        self.run(DELETE, &json!({ "token": place.token })).await.map(drop)
    }

    async fn ask(&mut self, request: hyper::http::request::Builder, body: String) -> Result<Reply, Unmet> {
        let server = &self.server;
        let host = format!("{}:{}", host_name(&server.at, &server.namespace), server.at.port);
        let request = request.header(HOST, host).body(Full::from(Bytes::from(body)));
        let request = request.map_err(|error| server.unsendable(&error))?;
        let line = match self.line.take() {
            Some(line) => line,
            None => server.open(server.dial().await?).await?,
        };
        let mut reply = line.exchange(request).await?;
        server.heard.note();
        self.line = std::mem::replace(&mut reply.end, Ok(None))?;
        Ok(reply)
    }
}
