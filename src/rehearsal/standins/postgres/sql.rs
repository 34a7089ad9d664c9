//! As much of SQL as a check says, and a little more: text into statements.

use super::tokens::{Placed, Token, tokens};
use super::wire::Complaint;

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    Begin { is_read_only: bool },
    Commit,
    Rollback,
    Create { table: String, columns: Vec<Column>, if_missing: bool },
    Drop { tables: Vec<String>, if_there: bool },
    Insert { table: String, columns: Vec<String>, rows: Vec<Vec<Expr>> },
    Select { items: Vec<Item>, from: Option<String>, filter: Vec<(String, Expr)>, limit: Option<usize> },
    Update { table: String, sets: Vec<(String, Expr)>, filter: Vec<(String, Expr)> },
    Delete { table: String, filter: Vec<(String, Expr)> },
    Show(String),
    Discard,
    Set { name: String, value: String },
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// The types that are told apart. All others are kept as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int8,
    Int2,
    Int4,
    /// The type of the names of things.
    Name,
    Text,
    Varchar,
}

impl Kind {
    /// Its number in `pg_type`.
    pub(super) const fn oid(self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Name => 19,
            Self::Int8 => 20,
            Self::Int2 => 21,
            Self::Int4 => 23,
            Self::Text => 25,
            Self::Varchar => 1043,
        }
    }

    /// The type of this number, where it is told apart.
    pub(super) fn of_oid(oid: u32) -> Option<Self> {
        let all = [Self::Bool, Self::Name, Self::Int8, Self::Int2, Self::Int4, Self::Text, Self::Varchar];
        all.into_iter().find(|kind| kind.oid() == oid)
    }

    /// How many bytes a value takes; `None` where that varies.
    pub(super) const fn size(self) -> Option<u16> {
        match self {
            Self::Bool => Some(1),
            Self::Int8 => Some(8),
            Self::Int2 => Some(2),
            Self::Int4 => Some(4),
            Self::Name => Some(64),
            Self::Text | Self::Varchar => None,
        }
    }

    /// Its name in the server's words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int8 => "bigint",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Name => "name",
            Self::Text => "text",
            Self::Varchar => "character varying",
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "bool" | "boolean" => Some(Self::Bool),
            "int8" | "bigint" | "bigserial" => Some(Self::Int8),
            "int2" | "smallint" => Some(Self::Int2),
            "int" | "int4" | "integer" | "serial" => Some(Self::Int4),
            "varchar" | "character" => Some(Self::Varchar),
            "name" => Some(Self::Name),
            "text" | "char" | "timestamp" | "timestamptz" | "date" | "time" | "interval" | "json" | "jsonb"
            | "uuid" | "numeric" | "decimal" | "real" | "float4" | "float8" | "double" | "bytea" | "inet" => {
                Some(Self::Text)
            }
            _ => None,
        }
    }
}

/// One column of what is selected.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    All,
    Value { value: Expr, label: Option<String> },
}

/// A value before it is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Literal(Kind, String),
    Null,
    Param(usize),
    Column { name: String, position: usize },
    Call { function: String, position: usize },
    Cast(Box<Expr>, Kind),
}

/// All statements of a text; empty ones are left out.
///
/// # Errors
/// 42601 in the server's words: nothing of the text is run then.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>, Complaint> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.chars().count() + 1 };
    let mut statements = Vec::new();
    loop {
        while parser.takes(&Token::Sign(';')) {}
        if parser.peek().is_none() {
            return Ok(statements);
        }
        statements.push(parser.statement()?);
        if parser.peek().is_some() {
            parser.sign(';')?;
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Placed],
    at: usize,
    end: usize,
}

type Parsed<T> = Result<T, Complaint>;

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|placed| &placed.token)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |placed| placed.at)
    }

    /// The error at the token that comes next.
    fn wrong<T>(&self) -> Parsed<T> {
        let words = match self.tokens.get(self.at) {
            Some(placed) => format!("syntax error at or near \"{}\"", placed.raw),
            None => "syntax error at end of input".to_owned(),
        };
        Err(Complaint::new("42601", words).at(self.position()))
    }

    fn takes(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    /// Whether these words come next, all of them; they are passed over then.
    fn says(&mut self, words: &str) -> bool {
        let start = self.at;
        let all = words.split(' ').all(|word| self.takes(&Token::Word(word.to_owned())));
        if !all {
            self.at = start;
        }
        all
    }

    fn says_one_of(&mut self, choices: &[&str]) -> bool {
        choices.iter().any(|words| self.says(words))
    }

    fn must_say(&mut self, words: &str) -> Parsed<()> {
        if self.says(words) { Ok(()) } else { self.wrong() }
    }

    fn sign(&mut self, sign: char) -> Parsed<()> {
        if self.takes(&Token::Sign(sign)) { Ok(()) } else { self.wrong() }
    }

    fn name(&mut self) -> Parsed<String> {
        match self.peek().cloned() {
            Some(Token::Word(name) | Token::Quoted(name)) if !name.is_empty() => {
                self.at += 1;
                Ok(name)
            }
            Some(
                Token::Word(_)
                | Token::Quoted(_)
                | Token::Text(_)
                | Token::Number(_)
                | Token::Param(_)
                | Token::Sign(_)
                | Token::Cast,
            )
            | None => self.wrong(),
        }
    }

    /// A table, of the schema `public` where one is named.
    fn table(&mut self) -> Parsed<String> {
        let name = self.name()?;
        if !self.takes(&Token::Sign('.')) {
            return Ok(name);
        }
        if name != "public" {
            return Err(Complaint::new("3F000", format!("schema \"{name}\" does not exist")));
        }
        self.name()
    }

    /// What is separated by commas.
    fn list<T>(&mut self, one: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut all = vec![one(self)?];
        while self.takes(&Token::Sign(',')) {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn statement(&mut self) -> Parsed<Statement> {
        if self.says_one_of(&["begin", "start transaction"]) {
            return self.begin();
        }
        if self.says_one_of(&["commit", "end"]) {
            let _noise = self.says_one_of(&["work", "transaction"]);
            return Ok(Statement::Commit);
        }
        if self.says_one_of(&["rollback", "abort"]) {
            let _noise = self.says_one_of(&["work", "transaction"]);
            return Ok(Statement::Rollback);
        }
        if self.says("create") {
            return self.create();
        }
        if self.says("drop table") {
            let if_there = self.says("if exists");
            let tables = self.list(Self::table)?;
            let _noise = self.says_one_of(&["cascade", "restrict"]);
            return Ok(Statement::Drop { tables, if_there });
        }
        if self.says("insert into") {
            return self.insert();
        }
        if self.says("select") {
            return self.select();
        }
        if self.says("update") {
            let table = self.table()?;
            self.must_say("set")?;
            let sets = self.list(Self::assignment)?;
            return Ok(Statement::Update { table, sets, filter: self.filter()? });
        }
        if self.says("delete from") {
            return Ok(Statement::Delete { table: self.table()?, filter: self.filter()? });
        }
        if self.says("discard all") {
            return Ok(Statement::Discard);
        }
        if self.says("show") {
            return Ok(Statement::Show(self.dotted()?));
        }
        if self.says("set") {
            return self.set();
        }
        self.wrong()
    }

    fn begin(&mut self) -> Parsed<Statement> {
        let _noise = self.says_one_of(&["work", "transaction"]);
        let mut is_read_only = false;
        loop {
            if self.says("read only") {
                is_read_only = true;
            } else if self.says("read write") {
                is_read_only = false;
            } else if self.says("isolation level") {
                let levels = ["serializable", "repeatable read", "read committed", "read uncommitted"];
                if !self.says_one_of(&levels) {
                    return self.wrong();
                }
            } else if !self.takes(&Token::Sign(',')) {
                return Ok(Statement::Begin { is_read_only });
            }
        }
    }

    fn create(&mut self) -> Parsed<Statement> {
        let _kind = self.says_one_of(&["temp", "temporary", "unlogged"]);
        self.must_say("table")?;
        let if_missing = self.says("if not exists");
        let table = self.table()?;
        self.sign('(')?;
        let mut columns = Vec::new();
        if !self.takes(&Token::Sign(')')) {
            columns = self.list(Self::column)?;
            self.sign(')')?;
        }
        Ok(Statement::Create { table, columns, if_missing })
    }

    fn column(&mut self) -> Parsed<Column> {
        let name = self.name()?;
        let kind = self.kind()?;
        // Constraints are read over: nothing here holds them.
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(Token::Sign('(')) => depth += 1,
                Some(Token::Sign(')')) if depth > 0 => depth -= 1,
                Some(Token::Sign(',' | ')')) if depth == 0 => return Ok(Column { name, kind }),
                None | Some(Token::Sign(';')) => return self.wrong(),
                Some(_) => {}
            }
            self.at += 1;
        }
    }

    fn kind(&mut self) -> Parsed<Kind> {
        let position = self.position();
        let name = self.name()?;
        let kind = Kind::named(&name);
        let kind =
            kind.ok_or_else(|| Complaint::new("42704", format!("type \"{name}\" does not exist")).at(position))?;
        let _rest = self.says_one_of(&["varying", "precision", "with time zone", "without time zone"]);
        if self.takes(&Token::Sign('(')) {
            self.at += 1;
            self.sign(')')?;
        }
        Ok(kind)
    }

    fn insert(&mut self) -> Parsed<Statement> {
        let table = self.table()?;
        let mut columns = Vec::new();
        if self.takes(&Token::Sign('(')) {
            columns = self.list(Self::name)?;
            self.sign(')')?;
        }
        self.must_say("values")?;
        let rows = self.list(|parser| {
            parser.sign('(')?;
            let row = parser.list(Self::value)?;
            parser.sign(')')?;
            Ok(row)
        })?;
        Ok(Statement::Insert { table, columns, rows })
    }

    fn select(&mut self) -> Parsed<Statement> {
        let items = self.list(Self::item)?;
        let from = if self.says("from") { Some(self.table()?) } else { None };
        let filter = self.filter()?;
        let mut limit = None;
        if self.says("limit") {
            match self.peek() {
                Some(Token::Number(number)) => limit = number.parse().ok(),
                _ => return self.wrong(),
            }
            self.at += 1;
        }
        Ok(Statement::Select { items, from, filter, limit })
    }

    fn item(&mut self) -> Parsed<Item> {
        if self.takes(&Token::Sign('*')) {
            return Ok(Item::All);
        }
        let value = self.value()?;
        let label = if self.says("as") { Some(self.name()?) } else { None };
        Ok(Item::Value { value, label })
    }

    fn filter(&mut self) -> Parsed<Vec<(String, Expr)>> {
        let mut all = Vec::new();
        if self.says("where") {
            all.push(self.assignment()?);
            while self.says("and") {
                all.push(self.assignment()?);
            }
        }
        Ok(all)
    }

    fn assignment(&mut self) -> Parsed<(String, Expr)> {
        let name = self.name()?;
        self.sign('=')?;
        Ok((name, self.value()?))
    }

    fn value(&mut self) -> Parsed<Expr> {
        let mut value = self.bare_value()?;
        while self.takes(&Token::Cast) {
            value = Expr::Cast(Box::new(value), self.kind()?);
        }
        Ok(value)
    }

    fn bare_value(&mut self) -> Parsed<Expr> {
        let position = self.position();
        let negative = self.takes(&Token::Sign('-'));
        let Some(token) = self.peek().cloned() else { return self.wrong() };
        let value = match token {
            Token::Number(number) => {
                let number = if negative { format!("-{number}") } else { number };
                Expr::Literal(kind_of(&number), number)
            }
            _ if negative => return self.wrong(),
            Token::Text(text) => Expr::Literal(Kind::Text, text),
            Token::Param(number) => Expr::Param(number),
            Token::Word(word) if is_reserved(&word) => return self.wrong(),
            Token::Word(word) => match word.as_str() {
                "null" => Expr::Null,
                "true" => Expr::Literal(Kind::Bool, "t".to_owned()),
                "false" => Expr::Literal(Kind::Bool, "f".to_owned()),
                "current_user" | "session_user" | "user" => {
                    Expr::Call { function: "current_user".to_owned(), position }
                }
                _ => Expr::Column { name: word, position },
            },
            Token::Quoted(name) => Expr::Column { name, position },
            Token::Sign(_) | Token::Cast => return self.wrong(),
        };
        self.at += 1;
        if let Expr::Column { name, position } = &value
            && self.takes(&Token::Sign('('))
        {
            return self.call(name.clone(), *position);
        }
        Ok(value)
    }

    /// The rest of a function's call. None of those that are known takes an argument, but for `count(*)`.
    fn call(&mut self, function: String, position: usize) -> Parsed<Expr> {
        let _star = self.takes(&Token::Sign('*'));
        while self.peek().is_some_and(|token| !matches!(token, Token::Sign(')' | ';'))) {
            self.value()?;
            let _more = self.takes(&Token::Sign(','));
        }
        self.sign(')')?;
        Ok(Expr::Call { function, position })
    }

    fn dotted(&mut self) -> Parsed<String> {
        let mut name = self.name()?;
        while self.takes(&Token::Sign('.')) {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name)
    }

    /// `SET [SESSION|LOCAL] name {=|TO} value`
    fn set(&mut self) -> Parsed<Statement> {
        let _scope = self.says_one_of(&["session", "local"]);
        let name = self.dotted()?;
        if !self.takes(&Token::Sign('=')) {
            self.must_say("to")?;
        }
        let start = self.at;
        while self.peek().is_some_and(|token| *token != Token::Sign(';')) {
            self.at += 1;
        }
        let word = |placed: &Placed| {
            if let Token::Text(text) = &placed.token { text.clone() } else { placed.raw.clone() }
        };
        let words = self.tokens[start..self.at].iter().map(word);
        let value = words.collect::<Vec<_>>().join(" ");
        if value.is_empty() { self.wrong() } else { Ok(Statement::Set { name, value }) }
    }
}

fn kind_of(number: &str) -> Kind {
    match (number.parse::<i32>(), number.parse::<i64>()) {
        (Ok(_), _) => Kind::Int4,
        (_, Ok(_)) => Kind::Int8,
        _ => Kind::Text,
    }
}

/// Words that name no column (the reserved ones of PostgreSQL that can stand here by mistake).
fn is_reserved(word: &str) -> bool {
    matches!(
        word,
        "select"
            | "from"
            | "where"
            | "limit"
            | "and"
            | "or"
            | "not"
            | "as"
            | "table"
            | "into"
            | "create"
            | "order"
            | "group"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> (String, usize) {
        let complaint = parse(text).unwrap_err();
        (format!("{} {}", complaint.code, complaint.words), complaint.position.unwrap())
    }

    #[test]
    fn a_text_of_several_statements_is_read_whole() {
        let batch = "BEGIN; CREATE TABLE \"a\"\"B\" (value text); INSERT INTO \"a\"\"B\" VALUES ('it''s'); COMMIT;";
        let statements = parse(batch).unwrap();
        let table = "a\"B".to_owned();
        let value = Column { name: "value".to_owned(), kind: Kind::Text };
        let row = vec![Expr::Literal(Kind::Text, "it's".to_owned())];
        assert_eq!(
            statements,
            [
                Statement::Begin { is_read_only: false },
                Statement::Create { table: table.clone(), columns: vec![value], if_missing: false },
                Statement::Insert { table, columns: Vec::new(), rows: vec![row] },
                Statement::Commit,
            ]
        );
    }

    #[test]
    fn names_without_quotes_are_in_lower_case() {
        let Statement::Drop { tables, if_there } = &parse("drop table if exists Public.Foo, \"Bar\"").unwrap()[0]
        else {
            panic!("another statement")
        };
        assert_eq!((tables.as_slice(), *if_there), (&["foo".to_owned(), "Bar".to_owned()][..], true));
    }

    #[test]
    fn what_is_no_sql_is_refused_where_it_stops_being_any() {
        for (text, said, at) in [
            ("SELEKT 1", "42601 syntax error at or near \"SELEKT\"", 1),
            ("SELECT 1 FROM", "42601 syntax error at end of input", 14),
            ("BEGIN; COMMIT nonsense", "42601 syntax error at or near \"nonsense\"", 15),
            ("INSERT INTO t VALUES ('a)", "42601 unterminated quoted string at or near \"'a)\"", 23),
            ("CREATE TABLE t (a txt)", "42704 type \"txt\" does not exist", 19),
        ] {
            assert_eq!(words(text), (said.to_owned(), at), "{text}");
        }
    }

    #[test]
    fn comments_and_constraints_are_read_over() {
        let made = parse("create table t (id serial primary key, n varchar(20) not null default ('x')) -- so").unwrap();
        let Statement::Create { columns, .. } = &made[0] else { panic!("another statement") };
        assert_eq!(columns.iter().map(|column| column.kind).collect::<Vec<_>>(), [Kind::Int4, Kind::Varchar]);
    }
}
