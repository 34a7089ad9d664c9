//! A ClickHouse server with databases, tables and a user, over its HTTP interface.
//!
//! The words are those of ClickHouse 25.8; what an older one says in others, `conformance` does not hold of either.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use reqwest::Url;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use self::exception::Exception;
use self::sql::{Column, Statement, TableName, What};
use super::http::Page;
use super::switch::Switch;

mod exception;
mod fault;
mod sql;
#[cfg(test)]
mod tests;

pub(crate) use self::fault::Fault;

/// The ports for HTTP and for the native protocol.
pub(crate) const HTTP: u16 = 8123;
pub(crate) const NATIVE: u16 = 9000;

/// What a server says under `wrong-version`: as versions were counted before 18.
const OLD: &str = "1.1.54394";

/// What an address may say beside settings, of which none is known here.
const PARAMETERS: [&str; 8] =
    ["query", "database", "user", "password", "wait_end_of_query", "default_format", "query_id", "session_id"];

/// What a server is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Its own name, which it says with each answer.
    pub(crate) name: String,
    /// Its version as `version()` says it.
    pub(crate) version: String,
    /// Who may log in.
    pub(crate) user: String,
    /// With this, which may be empty.
    pub(crate) password: String,
    /// Its databases beside `default`, which is where a query is that names none.
    pub(crate) databases: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "clickhouse-0".to_owned(),
            version: "25.8.2.29".to_owned(),
            user: "default".to_owned(),
            password: String::new(),
            databases: Vec::new(),
        }
    }
}

/// A ClickHouse server.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    faults: Switch<Fault>,
    databases: Mutex<BTreeMap<String, Tables>>,
}

/// The tables of a database by name.
type Tables = BTreeMap<String, Table>;

/// One table.
#[derive(Clone, Debug, Default)]
struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The place of a column.
    fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// Who asks, and where.
struct Asker {
    user: String,
    database: String,
    /// Whether nothing may be changed, as where it is asked by GET.
    is_reader: bool,
}

impl Server {
    /// A server in order, without tables.
    pub(crate) fn new(config: Config) -> Self {
        let all = config.databases.iter().cloned().chain(["default".to_owned()]);
        let databases = all.map(|name| (name, Tables::new())).collect();
        Self { config, faults: Switch::off(), databases: Mutex::new(databases) }
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
        let response = self.page(&head, &String::from_utf8_lossy(&body))?;
        Ok(match self.faults.is(Fault::ClosesMidReply) {
            true => response.map(Page::broken_off),
            false => response,
        })
    }

    fn page(&self, head: &Parts, body: &str) -> io::Result<Response<Page>> {
        if self.faults.is(Fault::NotClickhouse) {
            return self.sent(200, "text/html", "It works!\n", None);
        }
        let address = Url::parse(&format!("http://clickhouse{}", head.uri)).map_err(io::Error::other)?;
        let asks = head.method == Method::POST || address.query_pairs().any(|(name, _)| name == "query");
        match address.path() {
            "/" if asks => {}
            "/" | "/ping" | "/replicas_status" => return self.sent(200, "text/html; charset=UTF-8", "Ok.\n", None),
            path => {
                let words = format!("There is no handle {path}\n\nUse / or /ping for health checks.\n");
                return self.sent(404, "text/plain; charset=UTF-8", &words, None);
            }
        }
        match self.query(head, &address, body) {
            Ok(rows) => self.sent(200, "text/tab-separated-values; charset=UTF-8", &rows, None),
            Err(exception) => {
                let text = exception.text(&self.version());
                self.sent(exception.status(), "text/plain; charset=UTF-8", &text, Some(exception.code))
            }
        }
    }

    fn sent(&self, status: u16, kind: &str, body: &str, code: Option<u16>) -> io::Result<Response<Page>> {
        let mut response = Response::builder().status(status).header(CONTENT_TYPE, kind);
        if !self.faults.is(Fault::NotClickhouse) {
            response = response.header("X-ClickHouse-Server-Display-Name", &self.config.name);
        }
        if let Some(code) = code {
            response = response.header("X-ClickHouse-Exception-Code", code);
        }
        response.body(Page::of(body)).map_err(io::Error::other)
    }

    /// What a query returns. Who asks is looked at first, then where, then what.
    fn query(&self, head: &Parts, address: &Url, body: &str) -> Result<String, Exception> {
        let parameter =
            |wanted: &str| address.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
        if self.faults.is(Fault::OutOfMemory) {
            return Err(Exception::no_memory());
        }
        let user = self.let_in(head, &parameter)?;
        if let Some((name, _)) = address.query_pairs().find(|(name, _)| !PARAMETERS.contains(&&**name)) {
            return Err(Exception::new(115, "UNKNOWN_SETTING", format!("Unknown setting '{name}'")));
        }
        let database = parameter("database").unwrap_or_else(|| "default".to_owned());
        if self.faults.is(Fault::NoDatabase) || !self.lock().contains_key(&database) {
            return Err(Exception::no_database(&database));
        }
        // What an address asks is read before what the body says.
        let sql = parameter("query").map_or_else(|| body.to_owned(), |query| format!("{query}\n{body}"));
        let statement = sql::read(&sql)?;
        if self.faults.is(Fault::Overloaded) {
            return Err(Exception::too_many_queries());
        }
        self.run(&Asker { user, database, is_reader: head.method == Method::GET }, statement)
    }

    /// The user, by header fields of the server's own, by HTTP's, or by the address.
    fn let_in(&self, head: &Parts, parameter: &impl Fn(&str) -> Option<String>) -> Result<String, Exception> {
        let field = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let basic = field(AUTHORIZATION.as_str()).and_then(|value| {
            let decoded = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
            let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
            Some((user.to_owned(), password.to_owned()))
        });
        let (user, password) = basic.unzip();
        let user = field("X-ClickHouse-User").or(user).or_else(|| parameter("user"));
        let password = field("X-ClickHouse-Key").or(password).or_else(|| parameter("password"));
        let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| "default".to_owned());
        let is_right = user == self.config.user && password.unwrap_or_default() == self.config.password;
        match self.faults.on() {
            Some(Fault::AcceptsAnyPassword) => Ok(user),
            Some(Fault::RejectsLogin) => Err(Exception::login(&user)),
            Some(_) | None if is_right => Ok(user),
            Some(_) | None => Err(Exception::login(&user)),
        }
    }

    fn run(&self, asker: &Asker, statement: Statement) -> Result<String, Exception> {
        let changes = !matches!(statement, Statement::Select { .. });
        if changes && (asker.is_reader || self.faults.is(Fault::ReadOnly)) {
            return Err(Exception::read_only(&asker.user));
        }
        match statement {
            Statement::Create { table, columns, may_be_there } => self.create(asker, &table, columns, may_be_there),
            Statement::Drop { table, may_be_gone } => self.drop(asker, &table, may_be_gone),
            Statement::Insert { table, columns, rows } => self.insert(asker, &table, &columns, rows),
            Statement::Select { what, from } => self.select(asker, what, from.as_ref()),
        }
    }

    fn create(
        &self,
        asker: &Asker,
        name: &TableName,
        columns: Vec<Column>,
        may_be_there: bool,
    ) -> Result<String, Exception> {
        let (database, table) = asker.place(name);
        if self.faults.is(Fault::NoPermission) {
            return Err(Exception::no_grant(&asker.user, &format!("CREATE TABLE ON {database}.{table}")));
        }
        let mut databases = self.lock();
        let tables = databases.get_mut(database).ok_or_else(|| Exception::no_database(database))?;
        if tables.contains_key(table) {
            let words = format!("Table {database}.{table} already exists");
            return if may_be_there {
                Ok(String::new())
            } else {
                Err(Exception::new(57, "TABLE_ALREADY_EXISTS", words))
            };
        }
        tables.insert(table.to_owned(), Table { columns, rows: Vec::new() });
        Ok(String::new())
    }

    fn drop(&self, asker: &Asker, name: &TableName, may_be_gone: bool) -> Result<String, Exception> {
        let (database, table) = asker.place(name);
        if self.faults.is(Fault::KeepsTables) {
            return Err(Exception::no_grant(&asker.user, &format!("DROP TABLE ON {database}.{table}")));
        }
        let was_there = self.lock().get_mut(database).and_then(|tables| tables.remove(table)).is_some();
        match was_there || may_be_gone {
            true => Ok(String::new()),
            false => Err(Exception::no_table(database, table)),
        }
    }

    fn insert(
        &self,
        asker: &Asker,
        name: &TableName,
        columns: &[String],
        rows: Vec<Vec<String>>,
    ) -> Result<String, Exception> {
        let (database, table) = asker.place(name);
        let mut databases = self.lock();
        let tables = databases.get_mut(database).ok_or_else(|| Exception::no_database(database))?;
        let found = tables.get_mut(table).ok_or_else(|| Exception::no_table(database, table))?;
        if let Some(column) = columns.iter().find(|column| found.place(column).is_none()) {
            let words = format!("No such column {column} in table {database}.{table}");
            return Err(Exception::new(16, "NO_SUCH_COLUMN_IN_TABLE", words));
        }
        let all: Vec<String> = found.columns.iter().map(|column| column.name.clone()).collect();
        let columns = if columns.is_empty() { &all } else { columns };
        if rows.iter().any(|row| row.len() != columns.len()) {
            return Err(Exception::syntax("Cannot parse expression: a row has as many values as there are columns"));
        }
        if self.faults.is(Fault::NoSpace) {
            return Err(Exception::no_space());
        }
        let value = |row: &[String], column: &Column| {
            let at = columns.iter().position(|one| *one == column.name);
            at.map_or_else(|| column.usual.to_owned(), |at| row[at].clone())
        };
        let whole = |row: Vec<String>| found.columns.iter().map(|column| value(&row, column)).collect();
        let rows: Vec<Vec<String>> = rows.into_iter().map(whole).collect();
        if !self.faults.is(Fault::LosesInsert) {
            found.rows.extend(rows);
        }
        Ok(String::new())
    }

    fn select(&self, asker: &Asker, what: What, from: Option<&TableName>) -> Result<String, Exception> {
        let Some(name) = from else {
            return match what {
                What::Version => Ok(format!("{}\n", self.version())),
                What::Number(text) => Ok(format!("{text}\n")),
                What::Text(text) => Ok(format!("{}\n", escaped(&text))),
                What::Count => Ok("1\n".to_owned()),
                What::Columns(columns) => Err(unknown_column(columns.first())),
                What::Star => Err(unknown_column(None)),
            };
        };
        let (database, table) = asker.place(name);
        let databases = self.lock();
        let tables = databases.get(database).ok_or_else(|| Exception::no_database(database))?;
        let Some(found) = tables.get(table) else {
            let words = format!("Unknown table expression identifier '{table}'");
            return Err(Exception::new(60, "UNKNOWN_TABLE", words));
        };
        let columns = match what {
            What::Count => return Ok(format!("{}\n", found.rows.len())),
            What::Star => found.columns.iter().map(|column| column.name.clone()).collect(),
            What::Columns(columns) => columns,
            What::Version => return Ok(format!("{}\n", self.version()).repeat(found.rows.len())),
            What::Number(text) | What::Text(text) => {
                return Ok(format!("{}\n", escaped(&text)).repeat(found.rows.len()));
            }
        };
        let place = |column: &String| found.place(column).ok_or_else(|| unknown_column(Some(column)));
        let places: Vec<usize> = columns.iter().map(place).collect::<Result<_, _>>()?;
        let cell = |text: &str| if self.faults.is(Fault::OtherValue) { "other".to_owned() } else { escaped(text) };
        let line = |row: &Vec<String>| places.iter().map(|at| cell(&row[*at])).collect::<Vec<_>>().join("\t") + "\n";
        let rows: String = found.rows.iter().map(line).collect();
        Ok(match self.faults.is(Fault::ExceptionAfter200) {
            true => rows + &Exception::no_memory().text(&self.version()),
            false => rows,
        })
    }

    fn version(&self) -> String {
        if self.faults.is(Fault::WrongVersion) { OLD.to_owned() } else { self.config.version.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Tables>> {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asker {
    /// Database and name of a table.
    fn place<'a>(&'a self, name: &'a TableName) -> (&'a str, &'a str) {
        (name.database.as_deref().unwrap_or(&self.database), &name.table)
    }
}

fn unknown_column(column: Option<&String>) -> Exception {
    let column = column.map_or("*", String::as_str);
    Exception::new(47, "UNKNOWN_IDENTIFIER", format!("Unknown expression identifier `{column}`"))
}

/// A text as TabSeparated has it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\'', "\\'")
}

/// Serves the port for the native protocol, which nobody speaks here: who comes with HTTP is told where to go.
///
/// # Errors
/// The stream's own.
pub(crate) async fn serve_native<S>(mut stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut beginning = [0; 4];
    stream.read_exact(&mut beginning).await?;
    if matches!(&beginning, b"GET " | b"POST") {
        let words = format!("Port {NATIVE} is for clickhouse-client program\r\nYou must use port {HTTP} for HTTP.\r\n");
        stream.write_all(format!("HTTP/1.0 400 Bad Request\r\n\r\n{words}").as_bytes()).await?;
    }
    stream.shutdown().await
}
