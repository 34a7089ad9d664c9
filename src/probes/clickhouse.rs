//! Twin of `checks/clickhouse.rs`.
//!
//! All connections of one look go to the same server: a table of ours is on that one only.
//! The table is named after the run, holds one row, and is dropped by a task that outlives a look that is dropped.

use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue};
use reqwest::Url;
use tokio::time::timeout;

use super::http::host_name;
use super::line::{self, Line};
use super::reach::{Unmet, silent};
use super::{Site, Unseen, credential, token};
use crate::checks::{Access, Address, Clickhouse, ClickhouseAnswer, ClickhouseFacts, Guard, Obstacle, Written};
use crate::complaint::chain;
use crate::tunnel::{Dialer, Stream};

/// Longest time for making a table, inserting a row and reading it, and for dropping the table; both bound a task that
/// nobody waits for.
const WRITE: Duration = Duration::from_secs(8);
const REMOVE: Duration = Duration::from_secs(5);

/// The most that is kept of an exception's words, in characters.
const WORDS: usize = 300;

/// The most characters of a run's name that a table's name has.
const RUN: usize = 40;

pub(super) async fn observe(claim: &Clickhouse, site: &Site<'_>) -> Result<ClickhouseAnswer, Unseen> {
    let silence = || ClickhouseAnswer::Unmet(silent("clickhouse", &claim.at));
    let seen = site.hearing(claim, silence, visit(claim, site)).await;
    seen.or_else(|unmet| unmet.answer(ClickhouseAnswer::Unmet))
}

async fn visit(claim: &Clickhouse, site: &Site<'_>) -> Result<ClickhouseAnswer, Unmet> {
    let password = credential::resolve_any(claim.password.as_ref(), site).await?;
    if password.as_deref().is_some_and(|password| password.trim() != password) {
        let why = format!("the password of {} begins or ends with a blank, which no header keeps", claim.user);
        return Err(Unseen(why).into());
    }
    let server = Server {
        at: claim.at.clone(),
        place: site.prober.dialer.one(&claim.at, site.namespace()).await?,
        dialer: site.prober.dialer.clone(),
        namespace: site.namespace().to_owned(),
        user: claim.user.clone(),
        password: password.unwrap_or_default(),
        database: claim.database.clone(),
    };
    let talk = server.meet(site).await?;
    match show(claim, talk, site).await {
        Ok(facts) => Ok(ClickhouseAnswer::Open(facts)),
        Err(Failure::Said(error)) => Ok(ClickhouseAnswer::Refused(error)),
        Err(Failure::Unmet(unmet)) => Err(unmet),
    }
}

async fn show(claim: &Clickhouse, mut talk: Talk, site: &Site<'_>) -> Result<ClickhouseFacts, Failure> {
    // What it is asked in is said, since a server may have another default.
    let version = talk.ask("SELECT version() FORMAT TabSeparated").await?.trim().to_owned();
    let is_let_in = claim.expect == Access::Allowed;
    let guard = if claim.password.is_some() && is_let_in { Some(talk.server.guard().await?) } else { None };
    let mut facts = ClickhouseFacts { version, guard, written: None, leftover: None };
    if claim.writes && is_let_in {
        // The table is dropped even where this look is given up half-way, and the run does not end before that.
        let proof = site.prober.unfinished.spawn(prove(talk, table_name(&site.prober.run))).await;
        let lost = |error| Unmet::from(Unseen(format!("the write was not seen through: {error}")));
        let (written, leftover) = proof.map_err(lost)??;
        facts.written = Some(written);
        facts.leftover = leftover;
    }
    Ok(facts)
}

/// One row, inserted over one connection and read over another.
async fn prove(mut writer: Talk, table: String) -> Result<(Written, Option<String>), Unmet> {
    let mut reader = Talk { server: writer.server.clone(), line: None };
    let written = timeout(WRITE, write(&mut writer, &mut reader, &table)).await;
    let dropped = timeout(REMOVE, reader.ask(&format!("DROP TABLE IF EXISTS {table}"))).await;
    // Who may make no table may drop none either, and there is none.
    let is_there = !matches!(written, Ok(Ok(Insertion::NoTable(_))));
    let leftover = match dropped {
        Ok(Ok(_)) => None,
        Ok(Err(failure)) => Some(format!("{table}: {}", failure.words())),
        Err(_) => Some(format!("{table}: no answer within {} s", REMOVE.as_secs())),
    };
    match written {
        Ok(insertion) => Ok((insertion?.written(), leftover.filter(|_| is_there))),
        Err(_) => {
            let words = format!("clickhouse {} did not finish a write within {} s", writer.server.at, WRITE.as_secs());
            Err(Unmet::Obstacle(Obstacle::Broke(words)))
        }
    }
}

/// What came of inserting a row.
enum Insertion {
    /// No table was made, in these words.
    NoTable(String),
    /// There is a table.
    Table(Written),
}

impl Insertion {
    fn written(self) -> Written {
        match self {
            Self::NoTable(error) => Written::Refused(error),
            Self::Table(written) => written,
        }
    }
}

async fn write(writer: &mut Talk, reader: &mut Talk, table: &str) -> Result<Insertion, Unmet> {
    let value = token();
    let create = format!("CREATE TABLE {table} (value String) ENGINE = MergeTree ORDER BY tuple()");
    if let Err(error) = heard(writer.ask(&create).await)? {
        return Ok(Insertion::NoTable(error));
    }
    if let Err(error) = heard(writer.ask(&format!("INSERT INTO {table} VALUES ('{value}')")).await)? {
        return Ok(Insertion::Table(Written::Refused(error)));
    }
    let found = heard(reader.ask(&format!("SELECT value FROM {table} FORMAT TabSeparated")).await)?;
    Ok(Insertion::Table(match found {
        Ok(found) if found.trim_end() == value => Written::Kept,
        Ok(found) if found.is_empty() => Written::Lost("no row".to_owned()),
        Ok(_) => Written::Lost("another row".to_owned()),
        Err(error) => Written::Lost(format!("an error in place of it: {error}")),
    }))
}

/// What the server said, good or bad, where it said something.
fn heard(said: Result<String, Failure>) -> Result<Result<String, String>, Unmet> {
    match said {
        Ok(said) => Ok(Ok(said)),
        Err(Failure::Said(error)) => Ok(Err(error)),
        Err(Failure::Unmet(unmet)) => Err(unmet),
    }
}

/// A name that needs no quotes.
fn table_name(run: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let run: String = run.chars().map(plain).take(RUN).collect();
    format!("seaworthy_{run}_{}", token())
}

/// One server, and how it is asked.
#[derive(Clone)]
struct Server {
    /// As the claim names it.
    at: Address,
    /// The one of those behind it that is talked to.
    place: Address,
    dialer: Dialer,
    namespace: String,
    user: String,
    password: String,
    database: Option<String>,
}

/// A conversation with a server, over one connection as long as that lasts, and then over another.
struct Talk {
    server: Server,
    line: Option<Line>,
}

/// A question that brought no answer.
enum Failure {
    /// The server said why: its code, then its words.
    Said(String),
    /// The conversation ended.
    Unmet(Unmet),
}

impl From<Unmet> for Failure {
    fn from(unmet: Unmet) -> Self {
        Self::Unmet(unmet)
    }
}

impl Failure {
    fn words(&self) -> String {
        match self {
            Self::Said(error) => error.clone(),
            Self::Unmet(unmet) => unmet.words(),
        }
    }
}

impl Talk {
    /// What a query returns, as text.
    async fn ask(&mut self, sql: &str) -> Result<String, Failure> {
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
    async fn meet(self, site: &Site<'_>) -> Result<Talk, Unmet> {
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
    async fn guard(&self) -> Result<Guard, Failure> {
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
        Line::open(stream, format!("clickhouse {}", self.at)).await
    }

    /// One answer, and the connection where another request may follow on it.
    async fn exchange(&self, line: Line, request: Request<Full<Bytes>>) -> Result<(Reply, Option<Line>), Unmet> {
        let line::Reply { status, headers, body, end } = line.exchange(request).await?;
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
struct Reply {
    status: u16,
    /// The code of an exception, where the head has one.
    code: Option<String>,
    body: String,
}

impl Reply {
    /// The exception that it tells of: its code, then its words in one line. It may stand behind rows.
    fn exception(&self) -> Option<String> {
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
/// `Code: 193, e.displayText() = DB::Exception: words, e.what() = DB::Exception`.
fn exception(text: &str) -> Option<(&str, &str)> {
    let line = text.lines().next()?.strip_prefix("Code: ")?;
    let (code, rest) = line.split_at(line.find(|c: char| !c.is_ascii_digit())?);
    let (_, words) = rest.split_once("DB::Exception: ")?;
    let words = words.split(", e.what() = ").next()?.split(" (version ").next()?;
    (!code.is_empty()).then_some((code, words))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::checks::Verdict;
    use crate::probes::stand::{Heard, actual, closed_port, look, serve, stands_when_dropped, why};

    /// What a misbehaving server does instead of what it should.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fault {
        None,
        WrongPassword,
        WrongPasswordOfOld,
        Overloaded,
        Open,
        ReadOnly,
        NoSpace,
        Forgets,
        Garbles,
        LateException,
        BrokenOff,
        KeepsTables,
        NoPing,
        NoCode,
        HangsAtInsert,
        OneAnswer,
        Hangs,
    }

    /// A request: its first line and its header fields, then its body.
    async fn request(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
        let mut all = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&all).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length =
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    return Ok((head.to_owned(), body.to_owned()));
                }
            }
            if stream.read_buf(&mut all).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    const PASSWORD: &str = "hunter22";

    fn said(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn exception(code: u16, words: &str) -> String {
        let body = format!("Code: {code}. DB::Exception: {words} (version 25.8.2.29 (official build))\n");
        let head = format!("500 Internal Server Error\r\nX-ClickHouse-Exception-Code: {code}");
        said(&head, &body)
    }

    fn refuses_login(fault: Fault, head: &str) -> Option<String> {
        let is_right =
            fault == Fault::Open || head.to_lowercase().contains(&format!("x-clickhouse-key: {PASSWORD}\r\n"));
        let words = "app: Authentication failed: password is incorrect, or there is no user with such name.\nMore.";
        if fault == Fault::WrongPasswordOfOld {
            let words = "Wrong password for user app";
            let body = format!("Code: 193, e.displayText() = DB::Exception: {words}, e.what() = DB::Exception\n");
            return Some(said("401 Unauthorized", &body));
        }
        (fault == Fault::WrongPassword || !is_right).then(|| exception(516, words))
    }

    fn answer(fault: Fault, head: &str, sql: &str, heard: &Heard) -> String {
        if let Some(refusal) = refuses_login(fault, head) {
            return refusal;
        }
        let inserted =
            || heard.all().iter().find_map(|said| said.strip_prefix("INSERT")?.split('\'').nth(1).map(str::to_owned));
        match (sql.split(' ').next().unwrap(), fault) {
            (_, Fault::Overloaded) => exception(202, "Too many simultaneous queries. Maximum: 100"),
            (_, Fault::NoCode) => said("503 Service Unavailable", "upstream connect error\n"),
            ("CREATE", Fault::ReadOnly) | ("DROP", Fault::ReadOnly) => {
                exception(164, "app: Cannot execute query in readonly mode. (READONLY)")
            }
            ("INSERT", Fault::NoSpace) => {
                exception(243, "Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)")
            }
            ("DROP", Fault::KeepsTables) => exception(497, "app: Not enough privileges. (ACCESS_DENIED)"),
            ("SELECT", _) if sql.contains("version()") => said("200 OK", "25.8.2.29\n"),
            ("SELECT", Fault::Forgets) => said("200 OK", ""),
            ("SELECT", Fault::Garbles) => said("200 OK", "0123\n"),
            ("SELECT", Fault::LateException) => {
                said("200 OK", "0123Code: 241. DB::Exception: Memory limit exceeded (version 25.8.2.29)\n")
            }
            ("SELECT", Fault::BrokenOff) => {
                let body = "__exception__\r\nCode: 241. DB::Exception: Memory limit exceeded (version 25.8.2.29)\r\n";
                format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len())
            }
            ("SELECT", _) => said("200 OK", &format!("{}\n", inserted().unwrap_or_default())),
            _ => said("200 OK", ""),
        }
    }

    async fn talk(mut stream: TcpStream, fault: Fault, heard: Heard) -> std::io::Result<()> {
        loop {
            let (head, sql) = request(&mut stream).await?;
            let hangs = fault == Fault::Hangs || (fault == Fault::HangsAtInsert && sql.starts_with("INSERT"));
            let reply = match head.starts_with("GET /ping ") {
                true if fault == Fault::NoPing => said("200 OK", "It works!\n"),
                true => said("200 OK", "Ok.\n"),
                false => answer(fault, &head, &sql, &heard),
            };
            heard.note(if sql.is_empty() { head } else { sql });
            if hangs {
                std::future::pending::<()>().await;
            }
            if fault == Fault::OneAnswer {
                return stream.write_all(reply.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).await;
            }
            stream.write_all(reply.as_bytes()).await?;
            if reply.contains("chunked") {
                return Ok(());
            }
        }
    }

    async fn server(fault: Fault, heard: Heard) -> u16 {
        serve(move |stream| talk(stream, fault, heard.clone())).await
    }

    fn check(port: u16, more: &str) -> String {
        format!("clickhouse: {{at: 'host/127.0.0.1:{port}', user: app, password: {{value: {PASSWORD}}}, {more}}}")
    }

    async fn judged(fault: Fault, more: &str) -> Verdict {
        look(&check(server(fault, Heard::default()).await, more)).await
    }

    #[tokio::test]
    async fn a_good_server_holds_and_the_table_of_ours_is_dropped() {
        let heard = Heard::default();
        let port = server(Fault::None, heard.clone()).await;
        let verdict = look(&check(port, "version: ^25, database: app")).await;
        assert!(matches!(&verdict, Verdict::Held { warnings, .. } if warnings.is_empty()), "{verdict:?}");
        let said = heard.all();
        assert!(said[0].starts_with("GET /ping HTTP/1.1\r\n"), "{said:?}");
        let table = said[3].split(' ').nth(2).unwrap();
        assert!(table.starts_with("seaworthy_run_1_"), "{table}");
        assert_eq!(said.last().unwrap(), &format!("DROP TABLE IF EXISTS {table}"));
    }

    #[tokio::test]
    async fn a_connection_serves_for_several_questions_and_one_that_ends_is_replaced() {
        // The writer's, the one that comes without a password, and the reader's; or one for each question.
        for (fault, connections) in [(Fault::None, 3), (Fault::OneAnswer, 7)] {
            let (heard, met) = (Heard::default(), Heard::default());
            let counted = met.clone();
            let port = serve(move |stream| {
                counted.note("met");
                talk(stream, fault, heard.clone())
            })
            .await;
            let verdict = look(&check(port, "writes: true")).await;
            assert!(matches!(&verdict, Verdict::Held { warnings, .. } if warnings.is_empty()), "{verdict:?}");
            assert_eq!(met.all().len(), connections, "{fault:?}");
        }
    }

    #[tokio::test]
    async fn the_database_is_named_and_no_password_is_in_an_address() {
        let heard = Heard::default();
        let noted = heard.clone();
        let port = serve(move |mut stream| {
            let noted = noted.clone();
            async move {
                let (head, _) = request(&mut stream).await?;
                let reply =
                    if head.starts_with("GET") { said("200 OK", "Ok.\n") } else { exception(81, "no such database") };
                noted.note(head);
                stream.write_all(reply.as_bytes()).await
            }
        })
        .await;
        let verdict = look(&check(port, "database: 'a&b c'")).await;
        assert!(actual(&verdict).ends_with("answered the first query with: 81 no such database"), "{verdict:?}");
        let head = heard.all().pop().unwrap();
        assert!(head.starts_with("POST /?wait_end_of_query=1&database=a%26b+c HTTP/1.1\r\n"), "{head}");
        for field in [
            format!("host: 127.0.0.1:{port}"),
            "x-clickhouse-user: app".to_owned(),
            format!("x-clickhouse-key: {PASSWORD}"),
        ] {
            assert!(head.to_lowercase().lines().any(|line| line == field), "{field} in {head}");
        }
    }

    #[tokio::test]
    async fn each_fault_breaks_with_its_own_words() {
        for (fault, said) in [
            (
                Fault::WrongPassword,
                "refused the login: 516 app: Authentication failed: password is incorrect, or there is no user with such name.",
            ),
            (Fault::WrongPasswordOfOld, "refused the login: 193 Wrong password for user app"),
            (Fault::Overloaded, "answered the first query with: 202 Too many simultaneous queries. Maximum: 100"),
            (Fault::ReadOnly, "refused to write: 164 app: Cannot execute query in readonly mode. (READONLY)"),
            (Fault::NoSpace, "refused to write: 243 Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)"),
            (Fault::Forgets, "took a row and then had no row"),
            (Fault::Garbles, "took a row and then had another row"),
            (Fault::LateException, "took a row and then had an error in place of it: 241 Memory limit exceeded"),
            (Fault::BrokenOff, "took a row and then had an error in place of it: 241 Memory limit exceeded"),
            (Fault::NoPing, "answered /ping with HTTP 200, \"It works!\""),
            (Fault::NoCode, "answered a query with HTTP 503, \"upstream connect error\""),
        ] {
            let verdict = judged(fault, "writes: true").await;
            let actual = actual(&verdict);
            assert!(actual.ends_with(said) && !actual.contains(PASSWORD), "{fault:?}: {actual}");
        }
    }

    #[tokio::test]
    async fn a_table_is_dropped_whatever_became_of_its_row() {
        for fault in [Fault::NoSpace, Fault::Forgets, Fault::LateException] {
            let heard = Heard::default();
            look(&check(server(fault, heard.clone()).await, "writes: true")).await;
            assert!(heard.all().last().unwrap().starts_with("DROP TABLE"), "{fault:?}");
        }
        let verdict = judged(Fault::KeepsTables, "writes: true").await;
        let Verdict::Held { warnings, .. } = &verdict else { panic!("{verdict:?}") };
        assert!(warnings[0].contains(": 497 app: Not enough privileges. (ACCESS_DENIED)"), "{warnings:?}");
    }

    async fn told(heard: &Heard, word: &str) {
        heard.told(word, |heard| heard.all().iter().any(|said| said.starts_with(word))).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_is_given_up_half_way_drops_its_table() {
        let heard = Heard::default();
        let check = check(server(Fault::HangsAtInsert, heard.clone()).await, "writes: true");
        tokio::select! {
            verdict = look(&check) => panic!("{verdict:?}"),
            () = told(&heard, "INSERT") => {}
        }
        tokio::time::advance(WRITE).await;
        told(&heard, "DROP TABLE").await;
    }

    #[tokio::test]
    async fn only_a_refused_login_is_a_denial() {
        for fault in [Fault::WrongPassword, Fault::WrongPasswordOfOld] {
            let verdict = judged(fault, "expect: denied").await;
            assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
        }
        for fault in [Fault::Overloaded, Fault::NoPing, Fault::NoCode] {
            let verdict = judged(fault, "expect: denied").await;
            assert!(matches!(verdict, Verdict::Unclear { .. }), "{fault:?}: {verdict:?}");
        }
        assert!(actual(&judged(Fault::None, "expect: denied").await).ends_with("was let in"));
    }

    #[tokio::test]
    async fn a_user_who_comes_in_without_a_password_is_a_warning() {
        let verdict = judged(Fault::Open, "writes: false").await;
        let Verdict::Held { warnings, .. } = &verdict else { panic!("{verdict:?}") };
        assert_eq!(warnings, &["the password was not tested: app comes in without one"]);
    }

    #[tokio::test]
    async fn a_server_that_hangs_breaks_when_the_time_is_up_and_one_that_is_away_at_once() {
        let port = server(Fault::Hangs, Heard::default()).await;
        let verdict = stands_when_dropped(&check(port, "writes: true")).await.unwrap();
        assert_eq!(actual(&verdict), format!("clickhouse host/127.0.0.1:{port} does not answer"));
        let port = closed_port().await;
        let verdict = look(&check(port, "writes: true")).await;
        assert_eq!(actual(&verdict), format!("nothing listens on 127.0.0.1:{port}: connection refused"));
    }

    #[tokio::test]
    async fn a_password_that_cannot_be_sent_says_nothing_of_the_platform() {
        let port = server(Fault::None, Heard::default()).await;
        for (password, said) in [
            ("two\\nlines", "the password of app fits into no header"),
            ("secret ", "the password of app begins or ends with a blank, which no header keeps"),
        ] {
            let check =
                format!("clickhouse: {{at: 'host/127.0.0.1:{port}', user: app, password: {{value: \"{password}\"}}}}");
            assert_eq!(why(&look(&check).await), said);
        }
    }

    #[test]
    fn exceptions_are_read_as_servers_of_all_ages_write_them() {
        let reply = |body: &str, code: Option<&str>| {
            Reply { status: 500, code: code.map(str::to_owned), body: body.to_owned() }.exception()
        };
        let told = |body: &str| reply(body, None);
        assert_eq!(
            told(
                "Code: 60. DB::Exception: Table default.t does not exist. (UNKNOWN_TABLE) (version 25.8.2.29 (official build))\n"
            ),
            Some("60 Table default.t does not exist. (UNKNOWN_TABLE)".to_owned())
        );
        assert_eq!(
            told(
                "Code: 60, e.displayText() = DB::Exception: Table default.t doesn't exist., e.what() = DB::Exception\n"
            ),
            Some("60 Table default.t doesn't exist.".to_owned())
        );
        assert_eq!(told("a Code: x\nCode: 7\n"), None);
        assert_eq!(
            reply("Poco::Exception. Code: 1000\nmore", Some("1000")),
            Some("1000 Poco::Exception. Code: 1000".to_owned())
        );
        let long = told(&format!("Code: 1. DB::Exception: {}", "ä".repeat(5000))).unwrap();
        assert_eq!(long.chars().count(), WORDS + 2);
    }

    #[test]
    fn a_tables_name_is_unique_and_needs_no_quotes() {
        let name = table_name("Run-é`; DROP");
        assert!(name.starts_with("seaworthy_Run_____DROP_"), "{name}");
        assert_ne!(name, table_name("Run-é`; DROP"));
        assert_eq!(table_name(&"x".repeat(200)).len(), "seaworthy__".len() + RUN + 16);
    }
}
