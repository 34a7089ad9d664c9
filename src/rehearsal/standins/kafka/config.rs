//! What a broker is told when it starts, as the official image, Confluent's and Bitnami's are told it.

use std::collections::BTreeMap;

use serde_json::Value;

/// The port of clients, where none is told.
const CLIENTS: u16 = 9092;

/// What a broker is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `node.id`.
    pub(crate) node: i32,
    /// Where clients are told to find it (`advertised.listeners`).
    pub(crate) host: String,
    /// The port of that.
    pub(crate) port: u16,
    /// Who may log in; with nobody here, nobody has to.
    pub(crate) users: Vec<User>,
    /// What all brokers of a cluster are told alike: `controller.quorum.voters`, or where to find them. Empty for one that is alone.
    pub(crate) quorum: String,
    /// Topics that are there from the beginning.
    pub(crate) topics: Vec<NewTopic>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: 0,
            host: "localhost".to_owned(),
            port: CLIENTS,
            users: Vec::new(),
            quorum: String::new(),
            topics: Vec::new(),
        }
    }
}

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// Its name.
    pub(crate) name: String,
    /// Its password.
    pub(crate) password: String,
}

/// A topic that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewTopic {
    /// Its name.
    pub(crate) name: String,
    /// How many partitions it has.
    pub(crate) partitions: usize,
    /// How many replicas each of them has.
    pub(crate) replicas: usize,
}

impl NewTopic {
    /// Each of `name:partitions:replicas`, separated by commas; what is left out is one.
    pub(crate) fn listed(text: &str) -> Vec<Self> {
        let topic = |text: &str| {
            let mut parts = text.split(':').map(str::trim);
            let name = parts.next().filter(|name| !name.is_empty())?.to_owned();
            let mut number = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(1);
            Some(Self { name, partitions: number(), replicas: number() })
        };
        text.split(',').filter_map(topic).collect()
    }

    /// The one that a KafkaTopic of Strimzi's declares, with as many partitions and replicas as it says; of what is left out one.
    pub(crate) fn declared(object: &Value) -> Option<Self> {
        let spec = &object["spec"];
        let name = spec["topicName"].as_str().or(object["metadata"]["name"].as_str())?.to_owned();
        let number = |field: &str| spec[field].as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(1);
        Some(Self { name, partitions: number("partitions"), replicas: number("replicas") })
    }
}

impl Config {
    /// As its environment tells it: `KAFKA_NODE_ID`, or `KAFKA_CFG_NODE_ID` as Bitnami's image has it.
    pub(crate) fn told(environment: &BTreeMap<String, String>) -> Self {
        let setting = |name: &str| {
            let found =
                environment.get(&format!("KAFKA_{name}")).or_else(|| environment.get(&format!("KAFKA_CFG_{name}")));
            found.map(String::as_str).filter(|value| !value.is_empty())
        };
        let inner: Vec<&str> = ["CONTROLLER_LISTENER_NAMES", "INTER_BROKER_LISTENER_NAME"]
            .into_iter()
            .filter_map(setting)
            .flat_map(|names| names.split(','))
            .map(str::trim)
            .collect();
        let listeners = listeners(setting("ADVERTISED_LISTENERS").or(setting("LISTENERS")).unwrap_or_default());
        let of_clients = listeners.iter().find(|(name, ..)| !inner.contains(name)).or(listeners.first());
        let (name, host, port) = of_clients.copied().unwrap_or(("PLAINTEXT", "localhost", CLIENTS));
        let is_guarded = match setting("LISTENER_SECURITY_PROTOCOL_MAP") {
            Some(map) => map.split(',').any(|pair| {
                pair.trim().split_once(':').is_some_and(|(one, how)| one == name && how.starts_with("SASL"))
            }),
            None => name.starts_with("SASL"),
        };
        let quorum = ["CONTROLLER_QUORUM_VOTERS", "CONTROLLER_QUORUM_BOOTSTRAP_SERVERS", "ZOOKEEPER_CONNECT"];
        Self {
            node: setting("NODE_ID").or(setting("BROKER_ID")).and_then(|id| id.parse().ok()).unwrap_or_default(),
            host: host.to_owned(),
            port,
            users: if is_guarded { users(environment) } else { Vec::new() },
            quorum: quorum.into_iter().find_map(setting).unwrap_or_default().to_owned(),
            topics: Vec::new(),
        }
    }

    /// Who votes for the controller that leads; nobody is named where they find each other in another way.
    pub(super) fn voters(&self) -> Vec<i32> {
        self.quorum.split(',').filter_map(|voter| voter.trim().split_once('@')?.0.parse().ok()).collect()
    }
}

/// Name, host and port of each of `CLIENT://kafka-0:9092,INTERNAL://…`.
fn listeners(text: &str) -> Vec<(&str, &str, u16)> {
    let places = text.split(',').filter_map(|one| one.trim().split_once("://"));
    let placed = places.filter_map(|(name, place)| Some((name, place.rsplit_once(':')?)));
    placed.filter_map(|(name, (host, port))| Some((name, host, port.parse().ok()?))).collect()
}

/// Who may log in: `user_NAME="PASSWORD"` of a line of JAAS, or Bitnami's two lists.
fn users(environment: &BTreeMap<String, String>) -> Vec<User> {
    let lines =
        environment.iter().filter(|(name, _)| name.ends_with("SASL_JAAS_CONFIG")).map(|(_, line)| line.as_str());
    let told = lines.flat_map(|line| line.split_whitespace()).filter_map(|word| {
        let (name, password) = word.strip_prefix("user_")?.split_once('=')?;
        let password = password.trim_end_matches(';').trim_matches('"').to_owned();
        Some(User { name: name.to_owned(), password })
    });
    let list = |name: &str| environment.get(name).map(String::as_str).unwrap_or_default().split(',');
    let listed = list("KAFKA_CLIENT_USERS").zip(list("KAFKA_CLIENT_PASSWORDS")).filter(|(name, _)| !name.is_empty());
    let listed = listed.map(|(name, password)| User { name: name.to_owned(), password: password.to_owned() });
    told.chain(listed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(&str, &str)]) -> Config {
        Config::told(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_broker_is_told_as_images_are() {
        let official = told(&[
            ("KAFKA_NODE_ID", "2"),
            ("KAFKA_ADVERTISED_LISTENERS", "INTERNAL://kafka-2.all:9094,CLIENT://kafka-2.all:9092"),
            ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CLIENT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
            ("KAFKA_INTER_BROKER_LISTENER_NAME", "INTERNAL"),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "0@kafka-0.all:9093,1@kafka-1.all:9093,2@kafka-2.all:9093"),
            (
                "KAFKA_LISTENER_NAME_CLIENT_PLAIN_SASL_JAAS_CONFIG",
                r#"org.apache.kafka.common.security.plain.PlainLoginModule required user_app="secret" user_b="x";"#,
            ),
        ]);
        assert_eq!((official.node, official.host.as_str(), official.port), (2, "kafka-2.all", 9092));
        assert_eq!(official.voters(), [0, 1, 2]);
        let user = |name: &str, password: &str| User { name: name.to_owned(), password: password.to_owned() };
        assert_eq!(official.users, [user("app", "secret"), user("b", "x")]);
        let bitnami = told(&[
            ("KAFKA_CFG_NODE_ID", "1"),
            ("KAFKA_CFG_ADVERTISED_LISTENERS", "SASL_PLAINTEXT://kafka-1:9092"),
            ("KAFKA_CLIENT_USERS", "app,other"),
            ("KAFKA_CLIENT_PASSWORDS", "secret,x"),
        ]);
        assert_eq!((bitnami.node, bitnami.host.as_str(), bitnami.users.len()), (1, "kafka-1", 2));
        let open = told(&[("KAFKA_CLIENT_USERS", "app"), ("KAFKA_CLIENT_PASSWORDS", "x")]);
        assert_eq!((open.host.as_str(), open.port, open.users, open.quorum.as_str()), ("localhost", 9092, vec![], ""));
    }

    #[test]
    fn topics_are_listed_with_their_sizes() {
        let topic = |name: &str, partitions, replicas| NewTopic { name: name.to_owned(), partitions, replicas };
        assert_eq!(NewTopic::listed("orders:3:2, sales"), [topic("orders", 3, 2), topic("sales", 1, 1)]);
        assert_eq!(NewTopic::listed(""), []);
    }
}
