//! The few statements that it knows, read from their text.

use super::exception::Exception;

/// The smallest part of a text that means something.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A name, a key word or a number, as it was written.
    Word(String),
    /// A name in backticks or double quotes.
    Name(String),
    /// A text in single quotes.
    Text(String),
    /// Any other letter.
    Sign(char),
}

/// A table by its name, in a database where one is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableName {
    pub(super) database: Option<String>,
    pub(super) table: String,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// What it has where a row says nothing of it.
    pub(super) usual: &'static str,
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// A table is made, as a replica of what is at a path in Keeper where that is said; where it `may_be_there` already that is no error.
    Create { table: TableName, columns: Vec<Column>, replica: Option<Replica>, may_be_there: bool },
    /// A table is dropped; where it `may_be_gone` already that is no error.
    Drop { table: TableName, may_be_gone: bool },
    /// Rows are added, by the columns that are named; by all where none is.
    Insert { table: TableName, columns: Vec<String>, rows: Vec<Vec<String>> },
    /// Something is asked, of the rows of a table where one is named.
    Select { what: What, from: Option<TableName>, only: Vec<Condition>, order: Vec<String> },
}

/// What a replicated table is told: a path in Keeper and the replica's own name, with macros in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) path: String,
    pub(super) name: String,
}

/// A column that must have a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) column: String,
    pub(super) value: String,
}

/// What is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Version,
    Count,
    Star,
    Number(String),
    Text(String),
    Columns(Vec<String>),
}

/// Engines that keep what is written, and types of columns.
const ENGINES: [&str; 8] = [
    "MergeTree",
    "ReplacingMergeTree",
    "SummingMergeTree",
    "AggregatingMergeTree",
    "Memory",
    "Log",
    "TinyLog",
    "StripeLog",
];
const TYPES: [&str; 10] =
    ["String", "UInt8", "UInt16", "UInt32", "UInt64", "Int8", "Int16", "Int32", "Int64", "Float64"];

/// Reads one statement.
///
/// # Errors
/// What the server says of a text that is none, or that names an engine or a type that it does not have.
pub(super) fn read(sql: &str) -> Result<Statement, Exception> {
    let mut cursor = Cursor { tokens: tokens(sql)?, at: 0 };
    if cursor.tokens.is_empty() {
        return Err(Exception::syntax("Empty query"));
    }
    let statement = match cursor.verb().as_str() {
        "create" => cursor.create(),
        "drop" => cursor.drop(),
        "insert" => cursor.insert(),
        "select" => cursor.select(),
        _ => return Err(cursor.stuck(0)),
    }?;
    cursor.sign(';');
    match cursor.at < cursor.tokens.len() {
        true => Err(cursor.stuck(cursor.at)),
        false => Ok(statement),
    }
}

fn tokens(sql: &str) -> Result<Vec<Token>, Exception> {
    let mut letters = sql.chars().peekable();
    let mut found = Vec::new();
    while let Some(letter) = letters.next() {
        found.push(match letter {
            letter if letter.is_whitespace() => continue,
            '\'' | '`' | '"' => {
                let text = quoted(&mut letters, letter)
                    .ok_or_else(|| Exception::syntax("Single quoted string is not closed"))?;
                if letter == '\'' { Token::Text(text) } else { Token::Name(text) }
            }
            letter if is_plain(letter) => {
                let mut word = letter.to_string();
                while let Some(next) = letters.next_if(|next| is_plain(*next)) {
                    word.push(next);
                }
                Token::Word(word)
            }
            sign => Token::Sign(sign),
        });
    }
    Ok(found)
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// What stands before the closing quote; `None` where there is none.
fn quoted(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: char) -> Option<String> {
    let mut text = String::new();
    loop {
        match letters.next()? {
            '\\' => text.push(match letters.next()? {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            letter if letter == quote => match letters.next_if_eq(&quote) {
                Some(twice) => text.push(twice),
                None => return Some(text),
            },
            letter => text.push(letter),
        }
    }
}

struct Cursor {
    tokens: Vec<Token>,
    at: usize,
}

impl Cursor {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += usize::from(token.is_some());
        token
    }

    fn verb(&mut self) -> String {
        match self.next() {
            Some(Token::Word(word)) => word.to_lowercase(),
            Some(Token::Name(_) | Token::Text(_) | Token::Sign(_)) | None => String::new(),
        }
    }

    /// Whether these words come next; they are passed then.
    fn words(&mut self, words: &str) -> bool {
        let comes = words.split(' ').enumerate().all(|(ahead, word)| {
            matches!(self.tokens.get(self.at + ahead), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
        });
        if comes {
            self.at += words.split(' ').count();
        }
        comes
    }

    fn sign(&mut self, sign: char) -> bool {
        let comes = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        self.at += usize::from(comes);
        comes
    }

    /// The words for a place that cannot be read on from.
    fn stuck(&self, at: usize) -> Exception {
        let here = match self.tokens.get(at) {
            Some(Token::Word(text) | Token::Name(text) | Token::Text(text)) => text.clone(),
            Some(Token::Sign(sign)) => sign.to_string(),
            None => "end of query".to_owned(),
        };
        Exception::syntax(format!("Syntax error: failed at position {} ({here}): {here}", at + 1))
    }

    fn expect(&mut self, holds: bool) -> Result<(), Exception> {
        if holds { Ok(()) } else { Err(self.stuck(self.at)) }
    }

    fn name(&mut self) -> Result<String, Exception> {
        match self.next() {
            Some(Token::Word(name) | Token::Name(name)) => Ok(name),
            Some(Token::Text(_) | Token::Sign(_)) => Err(self.stuck(self.at - 1)),
            None => Err(self.stuck(self.at)),
        }
    }

    fn table(&mut self) -> Result<TableName, Exception> {
        let first = self.name()?;
        Ok(match self.sign('.') {
            true => TableName { database: Some(first), table: self.name()? },
            false => TableName { database: None, table: first },
        })
    }

    /// What `one` reads, once and again after each comma.
    fn list<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, Exception>) -> Result<Vec<T>, Exception> {
        let mut all = vec![one(self)?];
        while self.sign(',') {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn enclosed<T>(&mut self, inside: impl Fn(&mut Self) -> Result<T, Exception>) -> Result<T, Exception> {
        let opens = self.sign('(');
        self.expect(opens)?;
        let found = inside(self)?;
        let closes = self.sign(')');
        self.expect(closes)?;
        Ok(found)
    }

    fn create(&mut self) -> Result<Statement, Exception> {
        let comes = self.words("table");
        self.expect(comes)?;
        let may_be_there = self.words("if not exists");
        let table = self.table()?;
        let columns = self.enclosed(|cursor| cursor.list(Self::column))?;
        let replica = if self.words("engine") { self.engine()? } else { None };
        // How the rows are kept does not matter here.
        self.at = self.tokens.len();
        Ok(Statement::Create { table, columns, replica, may_be_there })
    }

    fn engine(&mut self) -> Result<Option<Replica>, Exception> {
        self.sign('=');
        let engine = self.name()?;
        let plain = engine.strip_prefix("Replicated").filter(|plain| plain.ends_with("MergeTree"));
        if !ENGINES.contains(&plain.unwrap_or(&engine)) {
            return Err(Exception::new(56, "UNKNOWN_STORAGE", format!("Unknown table engine {engine}")));
        }
        if plain.is_none() {
            return Ok(None);
        }
        match self.enclosed(|cursor| cursor.list(Self::value)).as_deref() {
            Ok([path, name]) => Ok(Some(Replica { path: path.clone(), name: name.clone() })),
            Ok(_) | Err(_) => {
                let words = format!("Storage {engine} requires 2 parameters: path in ZooKeeper, replica name");
                Err(Exception::new(42, "NUMBER_OF_ARGUMENTS_DOESNT_MATCH", words))
            }
        }
    }

    fn column(&mut self) -> Result<Column, Exception> {
        let (name, kind) = (self.name()?, self.name()?);
        match TYPES.contains(&kind.as_str()) {
            true => Ok(Column { name, usual: if kind == "String" { "" } else { "0" } }),
            false => Err(Exception::new(50, "UNKNOWN_TYPE", format!("Unknown data type family: {kind}"))),
        }
    }

    fn drop(&mut self) -> Result<Statement, Exception> {
        let comes = self.words("table");
        self.expect(comes)?;
        let may_be_gone = self.words("if exists");
        let table = self.table()?;
        let _is_at_once = self.words("sync") || self.words("no delay");
        Ok(Statement::Drop { table, may_be_gone })
    }

    fn insert(&mut self) -> Result<Statement, Exception> {
        let comes = self.words("into table") || self.words("into");
        self.expect(comes)?;
        let table = self.table()?;
        let names_columns = self.tokens.get(self.at) == Some(&Token::Sign('('));
        let columns = if names_columns { self.enclosed(|cursor| cursor.list(Self::name))? } else { Vec::new() };
        let comes = self.words("values") || self.words("format values");
        self.expect(comes)?;
        let rows = self.list(|cursor| cursor.enclosed(|cursor| cursor.list(Self::value)))?;
        Ok(Statement::Insert { table, columns, rows })
    }

    fn value(&mut self) -> Result<String, Exception> {
        match self.next() {
            Some(Token::Text(text) | Token::Word(text)) => Ok(text),
            Some(Token::Name(_) | Token::Sign(_)) => Err(self.stuck(self.at - 1)),
            None => Err(self.stuck(self.at)),
        }
    }

    fn select(&mut self) -> Result<Statement, Exception> {
        let what = self.what()?;
        let from = if self.words("from") { Some(self.table()?) } else { None };
        let only = if self.words("where") { self.conditions()? } else { Vec::new() };
        let order = if self.words("order by") { self.list(Self::name)? } else { Vec::new() };
        if self.words("format") {
            let format = self.name()?;
            if !matches!(format.as_str(), "TabSeparated" | "TSV") {
                return Err(Exception::new(73, "UNKNOWN_FORMAT", format!("Unknown format {format}")));
            }
        }
        Ok(Statement::Select { what, from, only, order })
    }

    fn conditions(&mut self) -> Result<Vec<Condition>, Exception> {
        let mut all = Vec::new();
        loop {
            let column = self.name()?;
            let is_equal = self.sign('=');
            self.expect(is_equal)?;
            all.push(Condition { column, value: self.value()? });
            if !self.words("and") {
                return Ok(all);
            }
        }
    }

    fn what(&mut self) -> Result<What, Exception> {
        if self.sign('*') {
            return Ok(What::Star);
        }
        if let Some(Token::Text(text)) = self.tokens.get(self.at).cloned() {
            self.at += 1;
            return Ok(What::Text(text));
        }
        let columns = self.list(Self::name)?;
        let is_called = self.sign('(');
        if is_called {
            self.sign('*');
            let closes = self.sign(')');
            self.expect(closes)?;
        }
        match (columns.as_slice(), is_called) {
            ([name], true) if name == "version" => Ok(What::Version),
            ([name], true) if name == "count" => Ok(What::Count),
            ([.., name], true) => {
                Err(Exception::new(46, "UNKNOWN_FUNCTION", format!("Function with name `{name}` does not exist")))
            }
            ([number], false) if number.bytes().all(|byte| byte.is_ascii_digit()) => Ok(What::Number(number.clone())),
            (_, _) => Ok(What::Columns(columns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(table: &str) -> TableName {
        TableName { database: None, table: table.to_owned() }
    }

    #[test]
    fn statements_are_read() {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let column = |name: &str, usual| Column { name: name.to_owned(), usual };
        let select = |what, from| Statement::Select { what, from, only: Vec::new(), order: Vec::new() };
        for (sql, statement) in [
            (
                "CREATE TABLE IF NOT EXISTS `a b`.t (v String, \"n m\" UInt64) ENGINE = MergeTree() ORDER BY tuple();",
                Statement::Create {
                    table: TableName { database: Some("a b".to_owned()), table: "t".to_owned() },
                    columns: vec![column("v", ""), column("n m", "0")],
                    replica: None,
                    may_be_there: true,
                },
            ),
            (
                "CREATE TABLE t (v String) ENGINE = ReplicatedMergeTree('/a/{shard}', '{replica}') ORDER BY tuple()",
                Statement::Create {
                    table: named("t"),
                    columns: vec![column("v", "")],
                    replica: Some(Replica { path: "/a/{shard}".to_owned(), name: "{replica}".to_owned() }),
                    may_be_there: false,
                },
            ),
            (
                "insert into t (v, n) values ('it\\'s', 1), ('a''b\\n', 2)",
                Statement::Insert {
                    table: named("t"),
                    columns: owned(&["v", "n"]),
                    rows: vec![owned(&["it's", "1"]), owned(&["a'b\n", "2"])],
                },
            ),
            ("DROP TABLE IF EXISTS t SYNC", Statement::Drop { table: named("t"), may_be_gone: true }),
            ("DROP TABLE t NO DELAY", Statement::Drop { table: named("t"), may_be_gone: false }),
            ("SELECT * FROM t", select(What::Star, Some(named("t")))),
            ("SELECT count() FROM t", select(What::Count, Some(named("t")))),
            ("SELECT version() FORMAT TSV", select(What::Version, None)),
            ("SELECT 1", select(What::Number("1".to_owned()), None)),
            (
                "SELECT v FROM s.t WHERE n = 1 AND m = 'a b' ORDER BY v, n FORMAT TSV",
                Statement::Select {
                    what: What::Columns(owned(&["v"])),
                    from: Some(TableName { database: Some("s".to_owned()), table: "t".to_owned() }),
                    only: [("n", "1"), ("m", "a b")]
                        .map(|(column, value)| Condition { column: column.to_owned(), value: value.to_owned() })
                        .into(),
                    order: owned(&["v", "n"]),
                },
            ),
        ] {
            assert_eq!(read(sql), Ok(statement), "{sql}");
        }
    }

    #[test]
    fn what_is_no_statement_is_told_with_its_place() {
        for (sql, code, words) in [
            ("", 62, "Empty query"),
            ("SELEKT 1", 62, "failed at position 1 (SELEKT)"),
            ("SELECT", 62, "failed at position 2 (end of query)"),
            ("SELECT 'a", 62, "Single quoted string is not closed"),
            ("DROP TABLE t t", 62, "failed at position 4 (t)"),
            ("INSERT INTO t", 62, "(end of query)"),
            ("INSERT INTO t VALUES (,)", 62, "(,)"),
            ("SELECT nosuch()", 46, "Function with name `nosuch` does not exist"),
            ("SELECT 1 FORMAT Nosuch", 73, "Unknown format Nosuch"),
            ("CREATE TABLE t (v Strng) ENGINE = Memory", 50, "Unknown data type family: Strng"),
            ("CREATE TABLE t (v String) ENGINE = MergeTre", 56, "Unknown table engine MergeTre"),
            ("CREATE TABLE t (v String) ENGINE = ReplicatedMemory('/t', 'a')", 56, "engine ReplicatedMemory"),
            ("CREATE TABLE t (v String) ENGINE = ReplicatedMergeTree ORDER BY tuple()", 42, "requires 2 parameters"),
            ("SELECT v FROM t WHERE n", 62, "(end of query)"),
            ("SELECT v FROM t WHERE n = 1 AND", 62, "(end of query)"),
        ] {
            let exception = read(sql).unwrap_err();
            assert!(exception.code == code && exception.words.contains(words), "{sql}: {exception:?}");
        }
    }
}
