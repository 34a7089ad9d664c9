//! A client that speaks no protocol: what a program that is played does in a database of the same rehearsal.

use super::session::Session;
use super::store::Cell;
use super::wire::Complaint;
use super::{Fault, History, Login, Server, history, wrong_password};

/// Somebody who was let in.
#[derive(Debug)]
pub(crate) struct Visit<'s>(Session<'s>);

/// What the server says against something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The SQLSTATE.
    pub(crate) code: &'static str,
    /// Its words.
    pub(crate) words: String,
}

impl From<Complaint> for Refusal {
    fn from(complaint: Complaint) -> Self {
        Self { code: complaint.code, words: complaint.words }
    }
}

impl Server {
    /// Lets a program in, as over the wire. Faults that lie in the conversation itself do not touch it.
    ///
    /// # Errors
    /// What it says of the login.
    pub(crate) fn visit(&self, user: &str, password: &str, database: &str) -> Result<Visit<'_>, Refusal> {
        self.receives()?;
        let known = self.config.users.iter().find(|known| known.name == user);
        let is_right = known.is_some_and(|known| !self.config.asks_password || known.password == password);
        if !is_right || self.faults.is(Fault::RejectsLogin) {
            return Err(wrong_password(user).into());
        }
        self.has(database)?;
        if self.faults.is(Fault::History(History::Grows)) {
            let mut databases = self.lock();
            let tables = databases.get_mut(database).into_iter().flatten();
            tables.filter(|(name, _)| history::is_one(name)).for_each(|(_, table)| history::grow(table));
        }
        let login = Login { user: user.to_owned(), database: database.to_owned(), settings: Vec::new() };
        Ok(Visit(Session::new(self, login)))
    }
}

impl Visit<'_> {
    /// Runs a text of statements as one transaction, unless they say otherwise; the rows that the last one shows.
    ///
    /// # Errors
    /// What the server says; nothing has happened then.
    pub(crate) fn run(&mut self, text: &str) -> Result<Vec<Vec<Cell>>, Refusal> {
        self.0.whole(text).map_err(Refusal::from)
    }

    /// The names of all tables that are there.
    pub(crate) fn tables(&self) -> Vec<String> {
        self.0.server.tables(&self.0.database)
    }

    /// The server's version.
    pub(crate) fn version(&self) -> String {
        self.0.server.version()
    }
}
