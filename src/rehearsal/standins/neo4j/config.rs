//! What a Neo4j is told when it starts.

use std::collections::BTreeMap;

/// What a server is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The port of its HTTP API.
    pub(crate) http: u16,
    /// The port of Bolt.
    pub(crate) bolt: u16,
    /// Where it sends whoever asks for Bolt; to the name that was asked where it is not told.
    pub(crate) advertised: Option<String>,
    /// Its one user.
    pub(crate) user: String,
    /// The user's password; whoever comes is let in where there is none.
    pub(crate) password: Option<String>,
    /// Whether the password must be changed before anything else, as that of a server that was told none.
    pub(crate) is_expired: bool,
    /// The database that it has besides its own.
    pub(crate) database: String,
}

impl Config {
    /// As the official image is told: each `NEO4J_…` is a setting (`_` is a dot, `__` is `_`), and `NEO4J_AUTH` is `user/password`, or
    /// `none`.
    pub(crate) fn told(environment: &BTreeMap<String, String>) -> Self {
        let said = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        let port = |name: &str| said(name)?.rsplit(':').next()?.parse().ok();
        let (user, password) = match said("NEO4J_AUTH").as_deref() {
            Some("none") => ("neo4j".to_owned(), None),
            Some(auth) => {
                let (user, password) = auth.split_once('/').unwrap_or(("neo4j", auth));
                (user.to_owned(), Some(password.to_owned()))
            }
            None => ("neo4j".to_owned(), Some("neo4j".to_owned())),
        };
        Self {
            http: port("NEO4J_server_http_listen__address").unwrap_or(7474),
            bolt: port("NEO4J_server_bolt_listen__address").unwrap_or(7687),
            advertised: said("NEO4J_server_bolt_advertised__address"),
            is_expired: password.as_deref() == Some("neo4j"),
            user,
            password,
            database: said("NEO4J_initial_dbms_default__database").unwrap_or_else(|| "neo4j".to_owned()),
        }
    }
}
