//! A ClickHouse server with databases, tables and a user, over its HTTP interface; one of several replicas where it is told of a Keeper.
//!
//! The words are those of ClickHouse 25.8; what an older one says in others, `conformance` does not hold of either.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
use self::sql::{Column, Condition, Replica, Statement, TableName, What};
use super::http::Page;
use super::switch::Switch;

#[cfg(test)]
pub(crate) mod conformance;
mod exception;
mod fault;
mod keeper;
mod settings;
mod sql;
mod system;
#[cfg(test)]
mod tests;

pub(crate) use self::fault::Fault;
pub(crate) use self::keeper::Keeper;
pub(crate) use self::settings::Settings;

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
    /// What it is told in files.
    pub(crate) settings: Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "clickhouse-0".to_owned(),
            version: "25.8.2.29".to_owned(),
            user: "default".to_owned(),
            password: String::new(),
            databases: Vec::new(),
            settings: Settings::default(),
        }
    }
}

/// A ClickHouse server.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    keeper: Arc<Keeper>,
    faults: Switch<Fault>,
    databases: Mutex<BTreeMap<String, Tables>>,
}

/// The tables of a database by name.
type Tables = BTreeMap<String, Table>;

/// One table.
#[derive(Clone, Debug, Default)]
struct Table {
    columns: Vec<Column>,
    /// Of a replica its Keeper has them.
    rows: Vec<Vec<String>>,
    replica: Option<Replica>,
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
    /// A server in order, without tables, whose Keeper this is.
    pub(crate) fn new(config: Config, keeper: &Arc<Keeper>) -> Self {
        let all = config.databases.iter().cloned().chain(["default".to_owned()]);
        let databases = all.map(|name| (name, Tables::new())).collect();
        Self { config, keeper: Arc::clone(keeper), faults: Switch::off(), databases: Mutex::new(databases) }
    }

    /// Whether servers that are told this have the same Keeper.
    pub(crate) fn is_with(&self, config: &Config) -> bool {
        !config.settings.keeper.is_empty() && self.config.settings.keeper == config.settings.keeper
    }

    /// Its Keeper.
    pub(crate) const fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    /// It is gone: its replicas are not there any more.
    pub(crate) fn stop(&self) {
        let databases = self.lock();
        let replicas = databases.values().flat_map(BTreeMap::values).filter_map(|table| table.replica.as_ref());
        replicas.for_each(|replica| self.keeper.lose(&replica.path, &replica.name));
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
            Statement::Create { table, columns, replica, may_be_there } => {
                self.create(asker, &table, Table { columns, rows: Vec::new(), replica }, may_be_there)
            }
            Statement::Drop { table, may_be_gone } => self.drop(asker, &table, may_be_gone),
            Statement::Insert { table, columns, rows } => self.insert(asker, &table, &columns, rows),
            Statement::Select { what, from: None, .. } => self.constant(what),
            Statement::Select { what, from: Some(table), only, order } => {
                let (database, name) = asker.place(&table);
                if database == "system" {
                    return self.selected(what, self.system(&asker.user, name, &only)?, &only, &order);
                }
                let is_of_rows = matches!(what, What::Star | What::Columns(_));
                let rows = self.selected(what, self.found(database, name)?, &only, &order)?;
                Ok(match self.faults.is(Fault::ExceptionAfter200) && is_of_rows {
                    true => rows + &Exception::no_memory().text(&self.version()),
                    false => rows,
                })
            }
        }
    }

    fn create(&self, asker: &Asker, name: &TableName, new: Table, may_be_there: bool) -> Result<String, Exception> {
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
        let replica = new.replica.as_ref().map(|replica| self.join(replica)).transpose()?;
        tables.insert(table.to_owned(), Table { replica, ..new });
        Ok(String::new())
    }

    /// Makes a table one of the replicas of what is at its path.
    fn join(&self, told: &Replica) -> Result<Replica, Exception> {
        if self.config.settings.keeper.is_empty() {
            return Err(Exception::new(225, "NO_ZOOKEEPER", "Can't create replicated table without ZooKeeper"));
        }
        let replica = Replica { path: self.expanded(&told.path)?, name: self.expanded(&told.name)? };
        self.reaches_keeper()?;
        self.keeper.join(&replica.path, &replica.name)?;
        Ok(replica)
    }

    /// A text with what its macros stand for.
    fn expanded(&self, text: &str) -> Result<String, Exception> {
        let (mut all, mut rest) = (String::new(), text);
        while let Some((before, name, after)) = rest
            .split_once('{')
            .and_then(|(before, rest)| rest.split_once('}').map(|(name, after)| (before, name, after)))
        {
            let macros = self.macros();
            let value = macros.get(name).ok_or_else(|| Exception::no_macro(name, text))?;
            all = all + before + value;
            rest = after;
        }
        Ok(all + rest)
    }

    fn macros(&self) -> BTreeMap<String, String> {
        match self.faults.on() {
            Some(Fault::NoMacros) => BTreeMap::new(),
            Some(Fault::OneReplicaName) => {
                self.config.settings.macros.keys().map(|name| (name.clone(), "one".to_owned())).collect()
            }
            Some(_) | None => self.config.settings.macros.clone(),
        }
    }

    fn reaches_keeper(&self) -> Result<(), Exception> {
        match self.faults.is(Fault::NoKeeper) {
            true => Err(Exception::no_keeper(&self.config.settings.keeper)),
            false => Ok(()),
        }
    }

    /// Whether its replicated tables are; the server itself takes writes.
    fn tables_are_read_only(&self) -> bool {
        matches!(self.faults.on(), Some(Fault::NoKeeper | Fault::SessionExpired | Fault::TablesReadOnly))
    }

    fn drop(&self, asker: &Asker, name: &TableName, may_be_gone: bool) -> Result<String, Exception> {
        let (database, table) = asker.place(name);
        if self.faults.is(Fault::KeepsTables) {
            return Err(Exception::no_grant(&asker.user, &format!("DROP TABLE ON {database}.{table}")));
        }
        let mut databases = self.lock();
        let was_there = databases.get_mut(database).and_then(|tables| tables.remove(table));
        if let Some(replica) = was_there.as_ref().and_then(|table| table.replica.as_ref()) {
            // As the real one it forgets the table, and what Keeper has of it stays.
            if self.tables_are_read_only() {
                let words = "Can't drop readonly replicated table (need to drop data in ZooKeeper as well)";
                return Err(Exception::table_is_read_only(words));
            }
            self.keeper.leave(&replica.path, &replica.name, self.faults.is(Fault::KeepsPaths));
        }
        match was_there.is_some() || may_be_gone {
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
        if found.replica.is_some() && self.tables_are_read_only() {
            return Err(Exception::table_is_read_only("Table is in readonly mode"));
        }
        if self.faults.is(Fault::LosesInsert) {
            return Ok(String::new());
        }
        match &found.replica {
            Some(replica) => {
                let mut shared = self.keeper.tables();
                let log = &mut shared.entry(replica.path.clone()).or_default().rows;
                log.extend(rows.into_iter().map(|row| (replica.name.clone(), row)));
            }
            None => found.rows.extend(rows),
        }
        Ok(String::new())
    }

    /// What is asked of no table.
    fn constant(&self, what: What) -> Result<String, Exception> {
        match what {
            What::Version => Ok(format!("{}\n", self.version())),
            What::Number(text) => Ok(format!("{text}\n")),
            What::Text(text) => Ok(format!("{}\n", escaped(&text))),
            What::Count => Ok("1\n".to_owned()),
            What::Columns(columns) => Err(unknown_column(columns.first())),
            What::Star => Err(unknown_column(None)),
        }
    }

    /// A table as it is now.
    fn found(&self, database: &str, table: &str) -> Result<Table, Exception> {
        let databases = self.lock();
        let tables = databases.get(database).ok_or_else(|| Exception::no_database(database))?;
        let Some(found) = tables.get(table) else {
            let words = format!("Unknown table expression identifier '{table}'");
            return Err(Exception::new(60, "UNKNOWN_TABLE", words));
        };
        let mut now = found.clone();
        if let Some(replica) = &found.replica {
            let shared = self.keeper.tables();
            let fetched = |origin: &str| origin == replica.name || !self.faults.is(Fault::DoesNotFetch);
            let log = shared.get(&replica.path).into_iter().flat_map(|shared| &shared.rows);
            now.rows = log.filter(|(origin, _)| fetched(origin)).map(|(_, row)| row.clone()).collect();
        }
        if self.faults.is(Fault::OtherValue) {
            now.rows.iter_mut().flatten().for_each(|cell| "other".clone_into(cell));
        }
        Ok(now)
    }

    /// What is asked of the rows of a table, of which only some count.
    fn selected(
        &self,
        what: What,
        mut found: Table,
        only: &[Condition],
        order: &[String],
    ) -> Result<String, Exception> {
        for Condition { column, value } in only {
            let at = found.place(column).ok_or_else(|| unknown_column(Some(column)))?;
            found.rows.retain(|row| row[at] == *value);
        }
        let place = |column: &String| found.place(column).ok_or_else(|| unknown_column(Some(column)));
        let order: Vec<usize> = order.iter().map(place).collect::<Result<_, _>>()?;
        let columns = match what {
            What::Count => return Ok(format!("{}\n", found.rows.len())),
            What::Star => found.columns.iter().map(|column| column.name.clone()).collect(),
            What::Columns(columns) => columns,
            What::Version => return Ok(format!("{}\n", self.version()).repeat(found.rows.len())),
            What::Number(text) | What::Text(text) => {
                return Ok(format!("{}\n", escaped(&text)).repeat(found.rows.len()));
            }
        };
        let places: Vec<usize> = columns.iter().map(place).collect::<Result<_, _>>()?;
        found.rows.sort_by_key(|row| order.iter().map(|at| row[*at].clone()).collect::<Vec<_>>());
        let line = |row: &Vec<String>| places.iter().map(|at| escaped(&row[*at])).collect::<Vec<_>>().join("\t") + "\n";
        Ok(found.rows.iter().map(line).collect())
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
