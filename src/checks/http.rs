//! HTTP: one request and the whole of its answer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, Address, Claim, Credential, Text, Verdict};

/// A claim about the answer to one HTTP request. Redirects are answers, not followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where to connect.
    pub at: Address,
    /// Path and query.
    #[serde(default = "root")]
    pub path: String,
    /// The request's method.
    #[serde(default = "get")]
    pub method: String,
    /// Request headers; `Host` is the address's name unless given.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as `Authorization: Bearer …`.
    #[serde(default)]
    pub bearer: Option<Credential>,
    /// Speak TLS, and trust this: `system`, `any` (no verification), or a key of a Secret with a CA certificate.
    #[serde(default)]
    pub tls: Option<Trust>,
    /// Body sent with the request.
    #[serde(default)]
    pub body: Option<String>,
    /// Status that must come back; 200 where this is left out and access is allowed, 401 or 403 where it is denied.
    #[serde(default)]
    pub status: Option<u16>,
    /// Response headers that must be there, by name.
    #[serde(default)]
    pub has: BTreeMap<String, Text>,
    /// What the response's body must look like.
    #[serde(default)]
    pub answers: Option<Text>,
    /// Let in, or kept out.
    #[serde(default)]
    pub expect: Access,
}

/// Which certificates are trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Any certificate at all.
    Any,
    /// Certificates signed by this one, in PEM.
    Ca(Credential),
}

fn root() -> String {
    "/".to_owned()
}

fn get() -> String {
    "GET".to_owned()
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer;

impl Claim for Http {
    type Answer = HttpAnswer;

    fn judge(&self, _: &HttpAnswer) -> Verdict {
        Verdict::unclear("this claim is not judged yet")
    }
}
