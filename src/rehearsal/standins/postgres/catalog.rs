//! What is there beside tables: databases, roles and extensions.

use super::replication::table;
use super::sql::Kind;
use super::store::Table;
use super::tokens::{Token, tokens};
use super::{Fault, Server};

/// What the scripts of `/docker-entrypoint-initdb.d` make, as far as a client could list it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Databases.
    pub(crate) databases: Vec<String>,
    /// Roles.
    pub(crate) roles: Vec<String>,
    /// Extensions.
    pub(crate) extensions: Vec<String>,
}

impl Setup {
    /// Reads one script. What it does else is not done; a text that is no SQL makes nothing.
    pub(crate) fn read(&mut self, script: &str) {
        let tokens = tokens(script).unwrap_or_default();
        for statement in tokens.split(|placed| placed.token == Token::Sign(';')) {
            let words: Vec<&str> = statement.iter().filter_map(|placed| name(&placed.token)).collect();
            let (made, rest) = match words.as_slice() {
                ["create", "database", rest @ ..] => (&mut self.databases, rest),
                ["create", "role" | "user", rest @ ..] => (&mut self.roles, rest),
                ["create", "extension", rest @ ..] => (&mut self.extensions, rest),
                _ => continue,
            };
            let named = rest.strip_prefix(&["if", "not", "exists"]).unwrap_or(rest).first();
            made.extend(named.map(|name| (*name).to_owned()));
        }
    }
}

fn name(token: &Token) -> Option<&str> {
    match token {
        Token::Word(name) | Token::Quoted(name) => Some(name),
        Token::Text(_) | Token::Number(_) | Token::Param(_) | Token::Sign(_) | Token::Cast => None,
    }
}

impl Server {
    /// A view of the server's own, by its name.
    pub(super) fn view(&self, name: &str, user: &str) -> Option<Table> {
        let is_superuser = self.config.users.first().is_some_and(|first| first.name == user);
        let names = |column, own: &[&str], made: Vec<String>, lacks| {
            let made = if self.faults.is(lacks) { Vec::new() } else { made };
            let own = own.iter().map(|name| (*name).to_owned());
            table(&[(column, Kind::Name)], own.chain(made).map(|name| vec![Some(name)]).collect())
        };
        // A copy has what its primary has.
        let source = self.source();
        let setup = source.as_ref().map_or(&self.config.setup, |primary| &primary.config.setup);
        Some(match name {
            "pg_stat_replication" => self.stat_replication(is_superuser),
            "pg_replication_slots" => self.replication_slots(),
            "pg_stat_wal_receiver" => self.stat_wal_receiver(),
            "pg_database" => {
                let made = self.lock().keys().cloned().collect();
                names("datname", &["template1", "template0"], made, Fault::LacksDatabases)
            }
            "pg_roles" => {
                let users = self.config.users.iter().map(|user| user.name.clone());
                let made = users.chain(setup.roles.iter().cloned()).collect();
                names("rolname", &["pg_monitor", "pg_read_all_data"], made, Fault::LacksRoles)
            }
            "pg_extension" => names("extname", &["plpgsql"], setup.extensions.clone(), Fault::LacksExtensions),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_make_is_read_and_the_rest_is_passed_over() {
        let mut setup = Setup::default();
        setup.read(
            "CREATE ROLE replicator LOGIN REPLICATION; -- so\nALTER ROLE x; create extension if not exists pgcrypto;",
        );
        setup.read(
            "CREATE DATABASE \"Crm\" OWNER app; CREATE USER reader PASSWORD 'x; y'; GRANT CONNECT ON DATABASE a TO b",
        );
        setup.read("CREATE ROLE 'unterminated");
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let expected =
            Setup { databases: own(&["Crm"]), roles: own(&["replicator", "reader"]), extensions: own(&["pgcrypto"]) };
        assert_eq!(setup, expected);
    }
}
