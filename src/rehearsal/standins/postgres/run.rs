//! Statements on tables: what they change, and what they show.

use super::session::{Session, Tx};
use super::sql::{Column, Expr, Item, Kind, Statement};
use super::store::{Cell, Change, Places, Table, Tables, apply, coerce, fits};
use super::wire::{Complaint, Severity};
use super::{Fault, TOLD, history};

/// The rows that a statement shows.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Names and types of their columns.
    pub(super) columns: Vec<(String, Kind)>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// What came of a statement.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) notices: Vec<(Severity, Complaint)>,
    pub(super) shown: Option<Shown>,
    pub(super) tag: String,
}

impl Outcome {
    fn done(tag: impl Into<String>) -> Self {
        Self { notices: Vec::new(), shown: None, tag: tag.into() }
    }

    fn noting(self, severity: Severity, code: &'static str, words: String) -> Self {
        let mut notices = self.notices;
        notices.push((severity, Complaint::new(code, words)));
        Self { notices, ..self }
    }
}

type Ran<T> = Result<T, Complaint>;

impl Session<'_> {
    /// Runs one statement within the transaction that is open, which is at least one of its own.
    pub(super) fn run(&mut self, statement: &Statement, params: &[Cell]) -> Ran<Outcome> {
        let ends = matches!(statement, Statement::Commit | Statement::Rollback);
        if matches!(self.tx, Tx::Failed) && !ends {
            return Err(aborted());
        }
        match statement {
            Statement::Begin { is_read_only } => Ok(self.begin(*is_read_only)),
            Statement::Commit => Ok(self.commit()),
            Statement::Rollback => Ok(self.roll_back()),
            Statement::Create { table, columns, if_missing } => self.create(table, columns, *if_missing),
            Statement::Drop { tables, if_there } => self.drop_tables(tables, *if_there),
            Statement::Insert { table, columns, rows } => self.insert(table, columns, rows, params),
            Statement::Select { .. } => self.select(statement, params),
            Statement::Update { table, sets, filter } => {
                let known = self.table(table)?;
                let (sets, filter) = (places(&known, sets, params)?, places(&known, filter, params)?);
                self.check_writes("UPDATE")?;
                self.check_disk(table)?;
                let met = self.make(Change::Update { table: table.clone(), sets, filter });
                Ok(Outcome::done(format!("UPDATE {met}")))
            }
            Statement::Delete { table, filter } => {
                let filter = places(&self.table(table)?, filter, params)?;
                self.check_writes("DELETE")?;
                let met = self.make(Change::Delete { table: table.clone(), filter });
                Ok(Outcome::done(format!("DELETE {met}")))
            }
            Statement::Show(name) => {
                let (name, value) = self.setting(name)?;
                let shown = Shown { columns: vec![(name, Kind::Text)], rows: vec![vec![Some(value)]] };
                Ok(Outcome { shown: Some(shown), ..Outcome::done("SHOW") })
            }
            Statement::Discard => {
                if !self.is_alone || matches!(self.tx, Tx::Open { .. }) {
                    return Err(Complaint::new("25001", "DISCARD ALL cannot run inside a transaction block"));
                }
                self.settings.clear();
                self.told = Some(("application_name".to_owned(), String::new()));
                Ok(Outcome::done("DISCARD ALL"))
            }
            Statement::Set { name, value } => {
                let (name, _) = self.setting(name)?;
                self.settings.insert(name.clone(), value.clone());
                self.told = TOLD.contains(&name.as_str()).then_some((name, value.clone()));
                Ok(Outcome::done("SET"))
            }
        }
    }

    fn begin(&mut self, is_read_only: bool) -> Outcome {
        match std::mem::replace(&mut self.tx, Tx::Idle) {
            Tx::Idle => self.tx = Tx::Open { changes: Vec::new(), is_read_only },
            Tx::Implicit(changes) => self.tx = Tx::Open { changes, is_read_only },
            open @ (Tx::Open { .. } | Tx::Failed) => {
                self.tx = open;
                let words = "there is already a transaction in progress".to_owned();
                return Outcome::done("BEGIN").noting(Severity::Warning, "25001", words);
            }
        }
        Outcome::done("BEGIN")
    }

    fn commit(&mut self) -> Outcome {
        match std::mem::replace(&mut self.tx, Tx::Idle) {
            Tx::Failed => Outcome::done("ROLLBACK"),
            Tx::Open { changes, .. } => {
                self.keep(&changes);
                Outcome::done("COMMIT")
            }
            Tx::Implicit(changes) => {
                self.keep(&changes);
                none_open(Outcome::done("COMMIT"))
            }
            Tx::Idle => none_open(Outcome::done("COMMIT")),
        }
    }

    fn roll_back(&mut self) -> Outcome {
        match std::mem::replace(&mut self.tx, Tx::Idle) {
            Tx::Failed | Tx::Open { .. } => Outcome::done("ROLLBACK"),
            Tx::Implicit(_) | Tx::Idle => none_open(Outcome::done("ROLLBACK")),
        }
    }

    fn create(&mut self, table: &str, columns: &[Column], if_missing: bool) -> Ran<Outcome> {
        self.check_writes("CREATE TABLE")?;
        if self.server.faults.is(Fault::NoPermission) {
            return Err(Complaint::new("42501", "permission denied for schema public"));
        }
        let words = format!("relation \"{table}\" already exists");
        match (self.view().contains_key(table), if_missing) {
            (false, _) => {
                self.make(Change::Create { table: table.to_owned(), columns: columns.to_vec() });
                Ok(Outcome::done("CREATE TABLE"))
            }
            (true, false) => Err(Complaint::new("42P07", words)),
            (true, true) => {
                let words = format!("{words}, skipping");
                Ok(Outcome::done("CREATE TABLE").noting(Severity::Notice, "42P07", words))
            }
        }
    }

    fn drop_tables(&mut self, tables: &[String], if_there: bool) -> Ran<Outcome> {
        self.check_writes("DROP TABLE")?;
        if self.server.faults.is(Fault::KeepsTables) {
            return Err(Complaint::new("55P03", "canceling statement due to lock timeout"));
        }
        let mut outcome = Outcome::done("DROP TABLE");
        for table in tables {
            let words = format!("table \"{table}\" does not exist");
            match (self.view().contains_key(table), if_there) {
                (true, _) => {
                    self.make(Change::Drop(table.clone()));
                }
                (false, true) => outcome = outcome.noting(Severity::Notice, "00000", format!("{words}, skipping")),
                (false, false) => return Err(Complaint::new("42P01", words)),
            }
        }
        Ok(outcome)
    }

    fn insert(&mut self, table: &str, columns: &[String], rows: &[Vec<Expr>], params: &[Cell]) -> Ran<Outcome> {
        let known = self.table(table)?;
        let targets: Vec<usize> = match columns {
            [] => (0..known.columns.len()).collect(),
            [..] => columns.iter().map(|name| place_of(&known, name, Some(table))).collect::<Ran<_>>()?,
        };
        let mut kept = Vec::new();
        for row in rows {
            if row.len() > targets.len() {
                return Err(Complaint::new("42601", "INSERT has more expressions than target columns"));
            }
            if row.len() < targets.len() && !columns.is_empty() {
                return Err(Complaint::new("42601", "INSERT has more target columns than expressions"));
            }
            let mut cells = vec![None; known.columns.len()];
            for (value, target) in row.iter().zip(&targets) {
                cells[*target] = coerce(self.value(value, None, params)?, known.columns[*target].kind)?;
            }
            kept.push(cells);
        }
        self.check_writes("INSERT")?;
        self.check_disk(table)?;
        let count = self.make(Change::Insert { table: table.to_owned(), rows: kept });
        Ok(Outcome::done(format!("INSERT 0 {count}")))
    }

    fn select(&self, statement: &Statement, params: &[Cell]) -> Ran<Outcome> {
        let columns = self.columns(statement)?.unwrap_or_default();
        let Statement::Select { items, from, filter, limit } = statement else { return Ok(Outcome::done("SELECT 0")) };
        let table = from.as_deref().map(|from| self.table(from)).transpose()?;
        let met: Vec<Vec<Cell>> = match &table {
            None => vec![Vec::new()],
            Some(table) => {
                let filter = places(table, filter, params)?;
                table.rows.iter().filter(|row| fits(row, &filter)).cloned().collect()
            }
        };
        let mut rows = Vec::new();
        if items.iter().any(is_count) {
            rows.push(self.counted(items, met.len(), params)?);
        } else {
            for row in &met {
                rows.push(self.row(items, table.as_ref().map(|table| (table, row.as_slice())), params)?);
            }
        }
        rows.truncate(limit.unwrap_or(usize::MAX));
        let tag = format!("SELECT {}", rows.len());
        Ok(Outcome { shown: Some(Shown { columns, rows }), ..Outcome::done(tag) })
    }

    /// The one row of what is counted, and of what stands beside it.
    fn counted(&self, items: &[Item], count: usize, params: &[Cell]) -> Ran<Vec<Cell>> {
        let cell = |item: &Item| match item {
            Item::Value { .. } if is_count(item) => Ok(Some(count.to_string())),
            Item::Value { value: Expr::Column { name, position }, .. } => {
                let words = "must appear in the GROUP BY clause or be used in an aggregate function";
                Err(Complaint::new("42803", format!("column \"{name}\" {words}")).at(*position))
            }
            Item::Value { value, .. } => self.value(value, None, params),
            Item::All => Ok(None),
        };
        items.iter().map(cell).collect()
    }

    fn row(&self, items: &[Item], of: Option<(&Table, &[Cell])>, params: &[Cell]) -> Ran<Vec<Cell>> {
        let mut cells = Vec::new();
        for item in items {
            match (item, of) {
                (Item::All, Some((_, row))) => cells.extend(row.iter().cloned()),
                (Item::All, None) => {}
                (Item::Value { value, .. }, of) => cells.push(self.value(value, of, params)?),
            }
        }
        Ok(cells)
    }

    /// The columns that a statement will show; `None` where it shows none.
    pub(super) fn columns(&self, statement: &Statement) -> Ran<Option<Vec<(String, Kind)>>> {
        let (items, from) = match statement {
            Statement::Select { items, from, .. } => (items, from),
            Statement::Show(name) => return Ok(Some(vec![(self.setting(name)?.0, Kind::Text)])),
            Statement::Begin { .. }
            | Statement::Commit
            | Statement::Rollback
            | Statement::Create { .. }
            | Statement::Drop { .. }
            | Statement::Insert { .. }
            | Statement::Update { .. }
            | Statement::Delete { .. }
            | Statement::Discard
            | Statement::Set { .. } => return Ok(None),
        };
        let table = from.as_deref().map(|from| self.table(from)).transpose()?;
        let mut columns = Vec::new();
        for item in items {
            match (item, &table) {
                (Item::All, Some(table)) => {
                    columns.extend(table.columns.iter().map(|column| (column.name.clone(), column.kind)));
                }
                (Item::All, None) => {
                    return Err(Complaint::new("42601", "SELECT * with no tables specified is not valid"));
                }
                (Item::Value { value, label }, table) => {
                    let (own, kind) = describe(value, table.as_ref())?;
                    columns.push((label.clone().unwrap_or(own), kind));
                }
            }
        }
        Ok(Some(columns))
    }

    fn value(&self, value: &Expr, of: Option<(&Table, &[Cell])>, params: &[Cell]) -> Ran<Cell> {
        match value {
            Expr::Literal(_, text) => Ok(Some(text.clone())),
            Expr::Null => Ok(None),
            Expr::Param(number) => param(*number, params),
            Expr::Column { name, position } => {
                let place = of.and_then(|(table, _)| table.place(name));
                let cell = of.zip(place).and_then(|((_, row), place)| row.get(place));
                cell.cloned().ok_or_else(|| no_column(name).at(*position))
            }
            Expr::Call { function, position } => self.call(function, *position),
            Expr::Cast(inner, kind) => coerce(self.value(inner, of, params)?, *kind),
        }
    }

    fn call(&self, function: &str, position: usize) -> Ran<Cell> {
        let said = match function {
            "version" => {
                let version = self.server.version();
                format!(
                    "PostgreSQL {version} on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0-14) 12.2.0, 64-bit"
                )
            }
            "pg_postmaster_start_time" => self.server.born.strftime("%Y-%m-%d %H:%M:%S%.6f+00").to_string(),
            "pg_is_in_recovery" => if self.server.is_in_recovery() { "t" } else { "f" }.to_owned(),
            "current_database" => self.database.clone(),
            "current_user" => self.user.clone(),
            _ => return Err(no_function(function, position)),
        };
        Ok(Some(said))
    }

    /// The tables as this transaction sees them: what is committed, and its own changes.
    fn view(&self) -> Tables {
        let mut tables = self.server.committed(&self.database);
        for change in self.tx.changes() {
            apply(&mut tables, change);
        }
        tables
    }

    pub(super) fn table(&self, name: &str) -> Ran<Table> {
        let missing = || Complaint::new("42P01", format!("relation \"{name}\" does not exist"));
        let own = self.view().remove(name).or_else(|| self.server.view(name, &self.user));
        let table = own.ok_or_else(missing)?;
        match self.server.faults.on() {
            Some(Fault::History(fault)) if history::is_one(name) => fault.shown(name, table),
            Some(_) | None => Ok(table),
        }
    }

    fn make(&mut self, change: Change) -> usize {
        let met = apply(&mut self.view(), &change);
        if let Some(changes) = self.tx.changes_mut() {
            changes.push(change);
        }
        met
    }

    fn check_writes(&self, command: &str) -> Ran<()> {
        let is_read_only = matches!(self.tx, Tx::Open { is_read_only: true, .. }) || self.server.is_read_only();
        if is_read_only {
            return Err(Complaint::new("25006", format!("cannot execute {command} in a read-only transaction")));
        }
        Ok(())
    }

    fn check_disk(&self, table: &str) -> Ran<()> {
        if !self.server.faults.is(Fault::NoDisk) {
            return Ok(());
        }
        // A file is named by a number; one that stays the same for a table.
        let file = 16_384 + table.bytes().map(u32::from).sum::<u32>();
        let words = format!("could not extend file \"base/16384/{file}\": No space left on device");
        Err(Complaint { hint: Some("Check free disk space."), ..Complaint::new("53100", words) })
    }
}

/// The words for a statement in a transaction that has failed.
pub(super) fn aborted() -> Complaint {
    Complaint::new("25P02", "current transaction is aborted, commands ignored until end of transaction block")
}

fn is_count(item: &Item) -> bool {
    matches!(item, Item::Value { value: Expr::Call { function, .. }, .. } if function == "count")
}

fn none_open(outcome: Outcome) -> Outcome {
    outcome.noting(Severity::Warning, "25P01", "there is no transaction in progress".to_owned())
}

fn no_column(name: &str) -> Complaint {
    Complaint::new("42703", format!("column \"{name}\" does not exist"))
}

fn no_function(name: &str, position: usize) -> Complaint {
    let hint = "No function matches the given name and argument types. You might need to add explicit type casts.";
    let complaint = Complaint::new("42883", format!("function {name}() does not exist")).at(position);
    Complaint { hint: Some(hint), ..complaint }
}

fn param(number: usize, params: &[Cell]) -> Ran<Cell> {
    let missing = || Complaint::new("42P02", format!("there is no parameter ${number}"));
    number.checked_sub(1).and_then(|at| params.get(at)).cloned().ok_or_else(missing)
}

fn place_of(table: &Table, name: &str, of: Option<&str>) -> Ran<usize> {
    table.place(name).ok_or_else(|| match of {
        Some(of) => Complaint::new("42703", format!("column \"{name}\" of relation \"{of}\" does not exist")),
        None => no_column(name),
    })
}

/// Values by the place of their column. They are literals or parameters.
fn places(table: &Table, values: &[(String, Expr)], params: &[Cell]) -> Ran<Places> {
    let place = |(name, value): &(String, Expr)| {
        let place = place_of(table, name, None)?;
        let cell = match value {
            Expr::Literal(_, text) => Some(text.clone()),
            Expr::Null => None,
            Expr::Param(number) => param(*number, params)?,
            Expr::Column { name, position } => return Err(no_column(name).at(*position)),
            Expr::Call { function, position } => return Err(no_function(function, *position)),
            Expr::Cast(inner, kind) => match &**inner {
                Expr::Literal(_, text) => coerce(Some(text.clone()), *kind)?,
                Expr::Param(number) => coerce(param(*number, params)?, *kind)?,
                Expr::Null | Expr::Column { .. } | Expr::Call { .. } | Expr::Cast(..) => None,
            },
        };
        Ok((place, coerce(cell, table.columns[place].kind)?))
    };
    values.iter().map(place).collect()
}

/// The name and the type of a column that shows this value.
fn describe(value: &Expr, table: Option<&Table>) -> Ran<(String, Kind)> {
    let anonymous = "?column?".to_owned();
    match value {
        Expr::Literal(kind, _) => Ok((anonymous, *kind)),
        Expr::Null | Expr::Param(_) => Ok((anonymous, Kind::Text)),
        Expr::Column { name, position } => {
            let place = table.and_then(|table| Some(table.columns[table.place(name)?].kind));
            Ok((name.clone(), place.ok_or_else(|| no_column(name).at(*position))?))
        }
        Expr::Call { function, position } => {
            let kind = match function.as_str() {
                "count" => Kind::Int8,
                "pg_is_in_recovery" => Kind::Bool,
                "current_database" | "current_user" => Kind::Name,
                "version" | "pg_postmaster_start_time" => Kind::Text,
                _ => return Err(no_function(function, *position)),
            };
            Ok((function.clone(), kind))
        }
        Expr::Cast(inner, kind) => {
            let (own, _) = describe(inner, table)?;
            let name = match kind {
                Kind::Bool => "bool",
                Kind::Int8 => "int8",
                Kind::Int2 => "int2",
                Kind::Int4 => "int4",
                Kind::Name => "name",
                Kind::Text => "text",
                Kind::Varchar => "varchar",
            };
            Ok((if own == anonymous { name.to_owned() } else { own }, *kind))
        }
    }
}
