//! TLS: which certificates are trusted, and for which name.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Credential;
use super::address::is_dns_label;

/// Which certificates are trusted: `any`, or `ca` with the place of a certificate in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Any certificate at all.
    Any,
    /// Those that somebody has signed.
    Signed(Signed),
}

/// Certificates that somebody has signed, each for the name that is dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// Who has: a certificate in PEM, or several.
    pub ca: Credential,
    /// The name that the certificate must be for, where that is not what is dialled: `service.namespace.svc` of a Service, the name
    /// alone of a pod or of what is outside.
    #[serde(default, deserialize_with = "name", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Trust {
    /// The name that certificates must be for, where one is given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Any => None,
            Self::Signed(signed) => signed.name.as_deref(),
        }
    }
}

const ANY: &str = "any";

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.parse::<IpAddr>().is_ok() || name.split('.').all(is_dns_label) {
        return Ok(Some(name));
    }
    let why = format!("`{name}` is no name that a certificate can be for; write for instance `pg-rw.data.svc`");
    Err(serde::de::Error::custom(why))
}

impl Serialize for Trust {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str(ANY),
            Self::Signed(signed) => signed.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Trust {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Trust;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`any`, or `ca` with the place of a certificate")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Trust, E> {
        if text == ANY { Ok(Trust::Any) } else { Err(E::unknown_variant(text, &[ANY, "ca"])) }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Trust, A::Error> {
        Signed::deserialize(MapAccessDeserializer::new(map)).map(Trust::Signed)
    }
}

impl JsonSchema for Trust {
    fn schema_name() -> Cow<'static, str> {
        "Trust".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Which certificates are trusted.",
            "oneOf": [
                { "description": "Any certificate at all.", "type": "string", "const": ANY },
                generator.subschema_for::<Signed>()
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Trust, String> {
        serde_saphyr::from_str(yaml).map_err(|error: serde_saphyr::Error| error.to_string())
    }

    #[test]
    fn trust_is_in_anybody_or_in_one_and_may_name_who_is_meant() {
        assert_eq!(read("any").unwrap(), Trust::Any);
        let ca = Credential::Env("CA".to_owned());
        assert_eq!(read("{ca: {env: CA}}").unwrap(), Trust::Signed(Signed { ca: ca.clone(), name: None }));
        for name in ["pg-rw", "pg-rw.data.svc", "10.0.0.1", "::1"] {
            let signed = Signed { ca: ca.clone(), name: Some(name.to_owned()) };
            assert_eq!(read(&format!("{{ca: {{env: CA}}, name: '{name}'}}")).unwrap(), Trust::Signed(signed));
        }
    }

    #[test]
    fn what_is_no_trust_is_refused_with_what_would_be() {
        for (yaml, why) in [
            ("none", "unknown variant `none`, expected one of any, ca"),
            ("{name: pg}", "missing field `ca`"),
            ("{ca: {env: CA}, names: pg}", "unknown field `names`"),
            ("{ca: {env: CA}, name: 'pg rw'}", "no name that a certificate can be for"),
            ("{ca: {env: CA}, name: ''}", "no name that a certificate can be for"),
            ("true", "`any`, or `ca`"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(why), "{yaml}: {error}");
        }
    }

    #[test]
    fn trust_is_written_as_it_is_read() {
        for yaml in ["any", "{ca: {env: CA}}", "{ca: {env: CA}, name: pg.data.svc}"] {
            let trust = read(yaml).unwrap();
            assert_eq!(serde_json::from_value::<Trust>(serde_json::to_value(&trust).unwrap()).unwrap(), trust);
        }
    }
}
