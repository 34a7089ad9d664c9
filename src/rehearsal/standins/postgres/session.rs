//! A connection that was let in: messages of a client, one after the other.

use std::collections::{BTreeMap, HashMap};

use super::run::{Outcome, Shown, aborted};
use super::sql::{self, Expr, Item, Kind, Statement};
use super::store::{Cell, Change, from_binary, to_binary};
use super::wire::{Complaint, Fields, Out, Severity, length, short};
use super::{Fault, Login, Server};

/// Where a connection stands between transactions.
#[derive(Debug)]
pub(super) enum Tx {
    /// In none.
    Idle,
    /// In the one that a message is by itself.
    Implicit(Vec<Change>),
    /// In one that the client has begun.
    Open { changes: Vec<Change>, is_read_only: bool },
    /// In one that has failed and was not ended.
    Failed,
}

impl Tx {
    /// What has been changed so far.
    pub(super) fn changes(&self) -> &[Change] {
        match self {
            Self::Implicit(changes) | Self::Open { changes, .. } => changes,
            Self::Idle | Self::Failed => &[],
        }
    }

    /// What has been changed so far, to add to it.
    pub(super) const fn changes_mut(&mut self) -> Option<&mut Vec<Change>> {
        match self {
            Self::Implicit(changes) | Self::Open { changes, .. } => Some(changes),
            Self::Idle | Self::Failed => None,
        }
    }

    const fn status(&self) -> u8 {
        match self {
            Self::Idle | Self::Implicit(_) => b'I',
            Self::Open { .. } => b'T',
            Self::Failed => b'E',
        }
    }
}

/// A statement that was parsed ahead, and the types of its parameters.
#[derive(Clone, Debug)]
struct Prepared {
    statement: Option<Statement>,
    params: Vec<Kind>,
}

/// A prepared statement with its values.
#[derive(Clone, Debug)]
struct Portal {
    statement: Option<Statement>,
    params: Vec<Cell>,
    /// How each column is to be sent: 0 is text, 1 binary; one number is for all.
    formats: Vec<u16>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) server: &'a Server,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) tx: Tx,
    /// What the client has set.
    pub(super) settings: BTreeMap<String, String>,
    /// What it has set just now and must be told that it is set.
    pub(super) told: Option<(String, String)>,
    /// The statement that runs is the only one of its message.
    pub(super) is_alone: bool,
    prepared: HashMap<String, Prepared>,
    portals: HashMap<String, Portal>,
    /// After an error, until the client has said that it knows.
    is_skipping: bool,
}

impl<'a> Session<'a> {
    /// A connection that was just let in.
    pub(super) fn new(server: &'a Server, login: Login) -> Self {
        Self {
            server,
            user: login.user,
            database: login.database,
            tx: Tx::Idle,
            settings: login.settings.into_iter().filter(|(name, _)| name != "user" && name != "database").collect(),
            told: None,
            is_alone: true,
            prepared: HashMap::new(),
            portals: HashMap::new(),
            is_skipping: false,
        }
    }

    /// Answers one message; whether the connection goes on.
    pub(super) fn answer(&mut self, kind: u8, body: &[u8], out: &mut Out) -> bool {
        if self.server.faults.is(Fault::StartingUp) {
            // A server that starts anew has ended the connections of before.
            let words = "terminating connection due to administrator command";
            out.complain(Severity::Fatal, &Complaint::new("57P01", words));
            return false;
        }
        let mut fields = Fields(body);
        match kind {
            b'X' => return false,
            b'Q' => {
                self.is_skipping = false;
                match fields.text() {
                    Ok(text) => self.simple(&text, out),
                    Err(complaint) => out.complain(Severity::Error, &complaint),
                }
                self.ready(out);
            }
            b'S' => {
                self.is_skipping = false;
                self.end_implicit();
                self.ready(out);
            }
            b'P' | b'B' | b'D' | b'E' | b'C' if self.is_skipping => {}
            b'P' | b'B' | b'D' | b'E' | b'C' => {
                if let Err(complaint) = self.extended(kind, &mut fields, out) {
                    self.fail();
                    self.is_skipping = true;
                    out.complain(Severity::Error, &complaint);
                }
            }
            b'H' => {}
            other => {
                let words = format!("invalid frontend message type {other}");
                out.complain(Severity::Fatal, &Complaint::new("08P01", words));
                return false;
            }
        }
        true
    }

    fn ready(&mut self, out: &mut Out) {
        if let Some((name, value)) = self.told.take() {
            out.parameter(&name, &value);
        }
        out.ready(self.tx.status());
    }

    /// Statements in one text are one transaction, unless they say otherwise.
    fn simple(&mut self, text: &str, out: &mut Out) {
        let statements = match sql::parse(text) {
            Ok(statements) => statements,
            Err(complaint) => {
                self.fail();
                return out.complain(Severity::Error, &complaint);
            }
        };
        if statements.is_empty() {
            out.message(b'I', &[]);
        }
        self.is_alone = statements.len() == 1;
        for statement in &statements {
            match self.step(statement, &[]) {
                Ok(outcome) => send(&outcome, None, out),
                Err(complaint) => return out.complain(Severity::Error, &complaint),
            }
        }
        self.end_implicit();
    }

    /// Runs statements as one text, for who speaks no protocol; the rows that the last one shows.
    pub(super) fn whole(&mut self, text: &str) -> Result<Vec<Vec<Cell>>, Complaint> {
        let statements = sql::parse(text)?;
        self.is_alone = statements.len() == 1;
        let mut rows = Vec::new();
        for statement in &statements {
            rows = self.step(statement, &[])?.shown.map(|shown| shown.rows).unwrap_or_default();
        }
        self.end_implicit();
        Ok(rows)
    }

    fn step(&mut self, statement: &Statement, params: &[Cell]) -> Result<Outcome, Complaint> {
        if matches!(self.tx, Tx::Idle) {
            self.tx = Tx::Implicit(Vec::new());
        }
        let ran = self.run(statement, params);
        if ran.is_err() {
            self.fail();
        }
        ran
    }

    fn fail(&mut self) {
        self.tx = match self.tx {
            Tx::Idle | Tx::Implicit(_) => Tx::Idle,
            Tx::Open { .. } | Tx::Failed => Tx::Failed,
        };
    }

    fn end_implicit(&mut self) {
        if let Tx::Implicit(changes) = &self.tx {
            let changes = changes.clone();
            self.tx = Tx::Idle;
            self.keep(&changes);
        }
    }

    /// Commits.
    pub(super) fn keep(&self, changes: &[Change]) {
        let is_forgetful = self.server.faults.is(Fault::LosesCommit);
        self.server.keep(&self.database, changes.iter().filter(|change| !(is_forgetful && change.is_of_rows())));
    }

    fn extended(&mut self, kind: u8, fields: &mut Fields<'_>, out: &mut Out) -> Result<(), Complaint> {
        match kind {
            b'P' => self.prepare(fields, out),
            b'B' => self.bind(fields, out),
            b'D' => self.describe(fields, out),
            b'E' => self.execute(&fields.text()?, out),
            _ => {
                let (kind, name) = (fields.letter()?, fields.text()?);
                if kind == b'S' {
                    self.prepared.remove(&name);
                } else {
                    self.portals.remove(&name);
                }
                out.message(b'3', &[]);
                Ok(())
            }
        }
    }

    fn prepare(&mut self, fields: &mut Fields<'_>, out: &mut Out) -> Result<(), Complaint> {
        let (name, text) = (fields.text()?, fields.text()?);
        let mut declared = Vec::new();
        for _ in 0..fields.short()? {
            declared.push(Kind::of_oid(fields.long()?));
        }
        let mut statements = sql::parse(&text)?;
        if statements.len() > 1 {
            return Err(Complaint::new("42601", "cannot insert multiple commands into a prepared statement"));
        }
        if !name.is_empty() && self.prepared.contains_key(&name) {
            return Err(Complaint::new("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        let statement = statements.pop();
        let ends = matches!(statement, Some(Statement::Commit | Statement::Rollback) | None);
        if matches!(self.tx, Tx::Failed) && !ends {
            return Err(aborted());
        }
        let mut params = statement.as_ref().map_or(Ok(Vec::new()), |statement| self.params(statement))?;
        for (param, declared) in params.iter_mut().zip(declared) {
            *param = declared.unwrap_or(*param);
        }
        if let Some(statement) = &statement {
            // What it names must be there already.
            self.columns(statement)?;
        }
        self.prepared.insert(name, Prepared { statement, params });
        out.message(b'1', &[]);
        Ok(())
    }

    /// The types of a statement's parameters: of the columns that they stand for, or text.
    fn params(&self, statement: &Statement) -> Result<Vec<Kind>, Complaint> {
        let mut kinds = Vec::new();
        let mut note = |value: &Expr, kind: Kind| {
            let (number, kind) = match value {
                Expr::Param(number) => (*number, kind),
                Expr::Cast(inner, kind) => match &**inner {
                    Expr::Param(number) => (*number, *kind),
                    Expr::Literal(..) | Expr::Null | Expr::Column { .. } | Expr::Call { .. } | Expr::Cast(..) => return,
                },
                Expr::Literal(..) | Expr::Null | Expr::Column { .. } | Expr::Call { .. } => return,
            };
            if kinds.len() < number {
                kinds.resize(number, Kind::Text);
            }
            if let Some(place) = number.checked_sub(1).and_then(|at| kinds.get_mut(at)) {
                *place = kind;
            }
        };
        let (table, pairs) = match statement {
            Statement::Insert { table, columns, rows } => {
                let known = self.table(table)?;
                let all: Vec<String> = known.columns.iter().map(|column| column.name.clone()).collect();
                let names = if columns.is_empty() { &all } else { columns };
                let pair = |row: &Vec<Expr>| names.iter().cloned().zip(row.iter().cloned()).collect::<Vec<_>>();
                (Some(known), rows.iter().flat_map(pair).collect())
            }
            Statement::Select { items, from, filter, .. } => {
                items.iter().for_each(|item| match item {
                    Item::Value { value, .. } => note(value, Kind::Text),
                    Item::All => {}
                });
                (from.as_deref().map(|from| self.table(from)).transpose()?, filter.clone())
            }
            Statement::Update { table, sets, filter } => {
                (Some(self.table(table)?), sets.iter().chain(filter).cloned().collect())
            }
            Statement::Delete { table, filter } => (Some(self.table(table)?), filter.clone()),
            Statement::Begin { .. }
            | Statement::Commit
            | Statement::Rollback
            | Statement::Create { .. }
            | Statement::Drop { .. }
            | Statement::Show(_)
            | Statement::Discard
            | Statement::Set { .. } => (None, Vec::new()),
        };
        for (name, value) in &pairs {
            let place = table.as_ref().and_then(|table| Some(table.columns[table.place(name)?].kind));
            note(value, place.unwrap_or(Kind::Text));
        }
        Ok(kinds)
    }

    fn bind(&mut self, fields: &mut Fields<'_>, out: &mut Out) -> Result<(), Complaint> {
        let (portal, name) = (fields.text()?, fields.text()?);
        let prepared = self.named(&name)?.clone();
        let formats = shorts(fields)?;
        let count = usize::from(fields.short()?);
        if count != prepared.params.len() {
            let wanted = prepared.params.len();
            let words = format!(
                "bind message supplies {count} parameters, but prepared statement \"{name}\" requires {wanted}"
            );
            return Err(Complaint::new("08P01", words));
        }
        let mut params = Vec::new();
        for (at, kind) in prepared.params.iter().enumerate() {
            let size = fields.long()?;
            if size == u32::MAX {
                params.push(None);
                continue;
            }
            let bytes = fields.bytes(usize::try_from(size).unwrap_or(usize::MAX))?;
            let text = match format(&formats, at) {
                0 => String::from_utf8_lossy(bytes).into_owned(),
                _ => from_binary(bytes, *kind)?,
            };
            params.push(Some(text));
        }
        let formats = shorts(fields)?;
        self.portals.insert(portal, Portal { statement: prepared.statement, params, formats });
        out.message(b'2', &[]);
        Ok(())
    }

    fn named(&self, name: &str) -> Result<&Prepared, Complaint> {
        let words = || match name {
            "" => "unnamed prepared statement does not exist".to_owned(),
            name => format!("prepared statement \"{name}\" does not exist"),
        };
        self.prepared.get(name).ok_or_else(|| Complaint::new("26000", words()))
    }

    fn portal(&self, name: &str) -> Result<Portal, Complaint> {
        let missing = || Complaint::new("34000", format!("portal \"{name}\" does not exist"));
        self.portals.get(name).cloned().ok_or_else(missing)
    }

    fn describe(&self, fields: &mut Fields<'_>, out: &mut Out) -> Result<(), Complaint> {
        let (kind, name) = (fields.letter()?, fields.text()?);
        let (statement, formats) = if kind == b'S' {
            let prepared = self.named(&name)?;
            let mut body = short(prepared.params.len()).to_vec();
            prepared.params.iter().for_each(|kind| body.extend(kind.oid().to_be_bytes()));
            out.message(b't', &body);
            (prepared.statement.clone(), Vec::new())
        } else {
            let portal = self.portal(&name)?;
            (portal.statement, portal.formats)
        };
        let columns = statement.as_ref().map_or(Ok(None), |statement| self.columns(statement))?;
        match columns {
            Some(columns) => send_columns(&columns, &formats, out),
            None => out.message(b'n', &[]),
        }
        Ok(())
    }

    fn execute(&mut self, name: &str, out: &mut Out) -> Result<(), Complaint> {
        let portal = self.portal(name)?;
        let Some(statement) = &portal.statement else {
            out.message(b'I', &[]);
            return Ok(());
        };
        self.is_alone = true;
        let outcome = self.step(statement, &portal.params)?;
        send(&outcome, Some(&portal.formats), out);
        Ok(())
    }

    /// The right name of a setting, and its value.
    pub(super) fn setting(&self, name: &str) -> Result<(String, String), Complaint> {
        let all = self.server.settings(&self.user);
        let Some((known, value)) = all.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
            // A name with a dot may be anybody's.
            return match (self.settings.get(name), name.contains('.')) {
                (Some(value), _) => Ok((name.to_owned(), value.clone())),
                (None, true) => Ok((name.to_owned(), String::new())),
                (None, false) => {
                    Err(Complaint::new("42704", format!("unrecognized configuration parameter \"{name}\"")))
                }
            };
        };
        let value = self.settings.get(&known).cloned().unwrap_or(value);
        Ok((known, value))
    }
}

fn shorts(fields: &mut Fields<'_>) -> Result<Vec<u16>, Complaint> {
    (0..fields.short()?).map(|_| fields.short()).collect()
}

/// The format at this place: none is text for all, and one is for all.
fn format(formats: &[u16], at: usize) -> u16 {
    match formats {
        [] => 0,
        [all] => *all,
        [..] => formats.get(at).copied().unwrap_or(0),
    }
}

/// Sends what came of a statement: its columns as well where nobody has asked for them by themselves.
fn send(outcome: &Outcome, formats: Option<&[u16]>, out: &mut Out) {
    for (severity, complaint) in &outcome.notices {
        out.complain(*severity, complaint);
    }
    if let Some(shown) = &outcome.shown {
        if formats.is_none() {
            send_columns(&shown.columns, &[], out);
        }
        send_rows(shown, formats.unwrap_or_default(), out);
    }
    out.complete(&outcome.tag);
}

fn send_columns(columns: &[(String, Kind)], formats: &[u16], out: &mut Out) {
    let mut body = short(columns.len()).to_vec();
    for (at, (name, kind)) in columns.iter().enumerate() {
        body.extend_from_slice(name.as_bytes());
        // Of no table's column; then the type, its size, no modifier, and the format.
        body.extend_from_slice(&[0; 7]);
        body.extend_from_slice(&kind.oid().to_be_bytes());
        body.extend_from_slice(&kind.size().unwrap_or(u16::MAX).to_be_bytes());
        body.extend_from_slice(&u32::MAX.to_be_bytes());
        body.extend_from_slice(&format(formats, at).to_be_bytes());
    }
    out.message(b'T', &body);
}

fn send_rows(shown: &Shown, formats: &[u16], out: &mut Out) {
    for row in &shown.rows {
        let mut body = short(row.len()).to_vec();
        for (at, (cell, (_, kind))) in row.iter().zip(&shown.columns).enumerate() {
            let bytes = cell.as_ref().map(|text| match format(formats, at) {
                0 => text.as_bytes().to_vec(),
                _ => to_binary(text, *kind),
            });
            match bytes {
                Some(bytes) => {
                    body.extend_from_slice(&length(bytes.len()));
                    body.extend_from_slice(&bytes);
                }
                None => body.extend_from_slice(&u32::MAX.to_be_bytes()),
            }
        }
        out.message(b'D', &body);
    }
}
