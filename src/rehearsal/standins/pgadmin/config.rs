//! What a pgAdmin is told when it starts.

use std::collections::BTreeMap;

use serde_json::Value;

/// The port of the official image.
const PORT: u16 = 80;

/// The group of a server that names none.
const GROUP: &str = "Servers";

/// What a server is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where it listens.
    pub(crate) port: u16,
    /// Its one user; nobody is let in who has no address.
    pub(crate) email: String,
    /// The user's password.
    pub(crate) password: String,
    /// The servers of the user.
    pub(crate) servers: Vec<Listed>,
}

/// A server that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) host: String,
    pub(crate) port: u64,
    pub(crate) database: String,
    pub(crate) user: String,
}

impl Config {
    /// As the official image is told: by its environment, and by the text of servers.json.
    pub(crate) fn told(environment: &BTreeMap<String, String>, servers: Option<&str>) -> Self {
        let said = |name: &str| environment.get(name).cloned();
        Self {
            port: said("PGADMIN_LISTEN_PORT").and_then(|port| port.parse().ok()).unwrap_or(PORT),
            email: said("PGADMIN_DEFAULT_EMAIL").unwrap_or_default(),
            password: said("PGADMIN_DEFAULT_PASSWORD").unwrap_or_default(),
            servers: servers.map(listed).unwrap_or_default(),
        }
    }
}

/// The servers of a servers.json, by their numbers; none where it is none.
fn listed(text: &str) -> Vec<Listed> {
    let all: Value = serde_json::from_str(text).unwrap_or_default();
    let mut servers: Vec<(u64, Listed)> = all["Servers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(number, server)| {
            let of = |key: &str| server[key].as_str().unwrap_or_default().to_owned();
            let listed = Listed {
                name: of("Name"),
                group: server["Group"].as_str().unwrap_or(GROUP).to_owned(),
                host: of("Host"),
                port: server["Port"].as_u64().unwrap_or(5432),
                database: of("MaintenanceDB"),
                user: of("Username"),
            };
            (number.parse().unwrap_or(u64::MAX), listed)
        })
        .collect();
    servers.sort_by_key(|(number, _)| *number);
    servers.into_iter().map(|(_, listed)| listed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_as_the_official_image_is() {
        let environment = [
            ("PGADMIN_DEFAULT_EMAIL", "me@example.com"),
            ("PGADMIN_DEFAULT_PASSWORD", "secret"),
            ("PGADMIN_LISTEN_PORT", "8080"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let json = r#"{"Servers": {"10": {"Name": "b", "Group": "More", "Host": "b-rw", "Port": 5433},
            "2": {"Name": "a", "Host": "a-rw", "MaintenanceDB": "app", "Username": "app"}}}"#;
        let config = Config::told(&environment.into(), Some(json));
        assert_eq!((config.port, config.email.as_str(), config.password.as_str()), (8080, "me@example.com", "secret"));
        let seen: Vec<_> = config
            .servers
            .iter()
            .map(|one| (one.name.as_str(), one.group.as_str(), one.host.as_str(), one.port))
            .collect();
        assert_eq!(seen, [("a", "Servers", "a-rw", 5432), ("b", "More", "b-rw", 5433)]);
        let bare = Config::told(&BTreeMap::new(), Some("no json"));
        assert_eq!((bare.port, bare.servers.len()), (80, 0));
    }
}
