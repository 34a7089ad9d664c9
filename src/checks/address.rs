//! Where a probe goes: `redis:6379`, `redis.data:6379`, `pod/redis-0:6379`, `host/example.com:443`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One place to dial, in the words of the suite file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// What is dialled.
    pub host: Host,
    /// TCP port, 1 to 65535: a Service's port (not its target port), or a pod's container port.
    pub port: u16,
}

/// What stands before the port of an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A Service: one of its ready endpoints answers. Without a namespace: the component's.
    Service {
        /// `metadata.name`.
        name: String,
        /// Where it is, if not beside the component.
        namespace: Option<String>,
    },
    /// One pod, whether ready or not. Without a namespace: the component's.
    Pod {
        /// `metadata.name`.
        name: String,
        /// Where it is, if not beside the component.
        namespace: Option<String>,
    },
    /// A name or address outside the cluster, dialled from where this program runs.
    Outside(String),
}

impl Address {
    /// The namespace that it is in, for whoever is in this one.
    #[must_use]
    pub fn home<'a>(&'a self, own: &'a str) -> &'a str {
        match &self.host {
            Host::Service { namespace: Some(namespace), .. } | Host::Pod { namespace: Some(namespace), .. } => {
                namespace
            }
            Host::Service { .. } | Host::Pod { .. } | Host::Outside(_) => own,
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!(
                "`{text}` {what}; write `service:port`, `service.namespace:port`, `pod/name:port` or `host/name:port`"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("has no port"))?;
        let port =
            port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| wrong("has no port from 1 to 65535"))?;
        let (form, name) = host.split_once('/').unwrap_or(("service", host));
        let (first, namespace) = match name.split_once('.') {
            Some((first, rest)) => (first.to_owned(), Some(rest.trim_end_matches(".svc").to_owned())),
            None => (name.to_owned(), None),
        };
        let labels = [Some(first.as_str()), namespace.as_deref()];
        let host = match form {
            "host" if !name.is_empty() => Host::Outside(name.to_owned()),
            "service" | "pod" if !labels.into_iter().flatten().all(is_dns_label) => {
                return Err(wrong("is not a name Kubernetes allows"));
            }
            "service" => Host::Service { name: first, namespace },
            "pod" => Host::Pod { name: first, namespace },
            _ => return Err(wrong("names nothing that can be dialled")),
        };
        Ok(Self { host, port })
    }
}

/// Whether this is an RFC 1123 label, as Kubernetes validates the names of Services and namespaces.
pub(crate) fn is_dns_label(name: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (form, name, namespace) = match &self.host {
            Host::Service { name, namespace } => ("", name, namespace.as_deref()),
            Host::Pod { name, namespace } => ("pod/", name, namespace.as_deref()),
            Host::Outside(name) => ("host/", name, None),
        };
        let dot = if namespace.is_some() { "." } else { "" };
        write!(f, "{form}{name}{dot}{}:{}", namespace.unwrap_or_default(), self.port)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "service:port, service.namespace:port, pod/name:port or host/name:port",
            "pattern": "^((pod|host)/)?[^/:]+:[0-9]+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_alike() {
        for text in
            ["redis:6379", "redis.data:6379", "pod/redis-0:6379", "pod/redis-0.data:6379", "host/example.com:443"]
        {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_refused() {
        for text in
            ["redis", "redis:0", "redis:70000", ":6379", "Redis:6379", "svc/redis:1", "redis.:1", "host/:1", "-a:1"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
