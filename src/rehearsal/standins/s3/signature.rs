//! Whether a request is signed as who sends it claims: AWS's signature, version 4, by a header field or within the address.

use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use sha2::{Digest as _, Sha256};

use super::super::hmac;
use super::error::Error;

/// How far two clocks may be apart, in seconds.
const SKEW: i64 = 15 * 60;

/// What a request shows of who signed it.
#[derive(Debug)]
pub(super) struct Shown {
    access_key: String,
    /// `20261129/us-east-1/s3/aws4_request`.
    scope: String,
    /// The header fields that are signed.
    fields: String,
    signature: String,
    date: String,
    payload: String,
    /// For how many seconds an address holds; of a request that is signed itself `None`.
    holds: Option<i64>,
}

impl Shown {
    /// Reads it; `None` of a request that nobody has signed.
    pub(super) fn read(head: &Parts) -> Result<Option<Self>, Error> {
        match (head.headers.get(AUTHORIZATION).map(|value| value.to_str()), head.uri.query()) {
            (Some(Ok(value)), _) => Self::of_field(value, &head.headers).map(Some),
            (Some(Err(_)), _) => Err(Error::MECHANISM),
            (None, Some(query)) if query.contains("X-Amz-Signature=") => Self::of_query(head).map(Some),
            (None, _) => Ok(None),
        }
    }

    fn of_field(value: &str, headers: &HeaderMap) -> Result<Self, Error> {
        let parts = value.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(Error::MECHANISM)?;
        let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let part = |name: &str| parts.split(',').find_map(|part| part.trim().strip_prefix(name)).map(str::to_owned);
        let date = field("x-amz-date").ok_or(Error::NO_DATE)?;
        let payload = field("x-amz-content-sha256").ok_or(Error::PAYLOAD)?;
        Self::of(part("Credential="), part("SignedHeaders="), part("Signature="), date, payload, None)
    }

    fn of_query(head: &Parts) -> Result<Self, Error> {
        let address = Url::parse(&format!("http://s3{}", head.uri)).map_err(|_| Error::SIGNATURE)?;
        let part =
            |wanted: &str| address.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
        let date = part("X-Amz-Date").ok_or(Error::NO_DATE)?;
        let holds = part("X-Amz-Expires").and_then(|seconds| seconds.parse().ok()).ok_or(Error::SIGNATURE)?;
        let (credential, fields) = (part("X-Amz-Credential"), part("X-Amz-SignedHeaders"));
        Self::of(credential, fields, part("X-Amz-Signature"), date, "UNSIGNED-PAYLOAD".to_owned(), Some(holds))
    }

    fn of(
        credential: Option<String>,
        fields: Option<String>,
        signature: Option<String>,
        date: String,
        payload: String,
        holds: Option<i64>,
    ) -> Result<Self, Error> {
        let (Some(credential), Some(fields), Some(signature)) = (credential, fields, signature) else {
            return Err(Error::SIGNATURE);
        };
        let (access_key, scope) = credential.split_once('/').ok_or(Error::SIGNATURE)?;
        let (access_key, scope) = (access_key.to_owned(), scope.to_owned());
        Ok(Self { access_key, scope, fields, signature, date, payload, holds })
    }

    /// Whether it is an address that somebody gave away.
    pub(super) const fn is_presigned(&self) -> bool {
        self.holds.is_some()
    }

    /// Whether it was made when it may have been, by a server's clock.
    pub(super) fn is_timely(&self, now: Timestamp) -> Result<(), Error> {
        // 20261129T132602Z
        let made: Timestamp = self.date.parse().map_err(|_| Error::NO_DATE)?;
        let age = now.duration_since(made);
        let skew = SignedDuration::from_secs(SKEW);
        match self.holds {
            None if age.abs() > skew => Err(Error::SKEWED),
            Some(_) if -age > skew => Err(Error::EARLY),
            Some(seconds) if age > SignedDuration::from_secs(seconds) => Err(Error::EXPIRED),
            None | Some(_) => Ok(()),
        }
    }

    /// Whether the owner of this key has signed the request.
    pub(super) fn is_of(&self, access_key: &str, secret_key: &str, head: &Parts) -> Result<(), Error> {
        if self.access_key != access_key {
            return Err(Error::NO_KEY);
        }
        let said = format!(
            "AWS4-HMAC-SHA256\n{}\n{}\n{}",
            self.date,
            self.scope,
            hex(&Sha256::digest(self.canonical(head).as_bytes()))
        );
        let first = format!("AWS4{secret_key}").into_bytes();
        let key = self.scope.split('/').fold(first, |key, part| hmac(&key, &[part.as_bytes()]).to_vec());
        match hex(&hmac(&key, &[said.as_bytes()])) == self.signature {
            true => Ok(()),
            false => Err(Error::SIGNATURE),
        }
    }

    /// The request as it must have been signed.
    fn canonical(&self, head: &Parts) -> String {
        let mut query: Vec<(&str, &str)> = head
            .uri
            .query()
            .into_iter()
            .flat_map(|query| query.split('&'))
            .filter(|part| !part.is_empty())
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .filter(|(name, _)| *name != "X-Amz-Signature")
            .collect();
        query.sort_unstable();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let field = |name: &str| {
            let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            format!("{name}:{}\n", values.map(str::trim).collect::<Vec<_>>().join(","))
        };
        let fields: String = self.fields.split(';').map(field).collect();
        let (method, path, query) = (&head.method, head.uri.path(), query.join("&"));
        format!("{method}\n{path}\n{query}\n{fields}\n{}\n{}", self.fields, self.payload)
    }

    /// Whether this is what was signed for the body.
    pub(super) fn covers(&self, body: &[u8]) -> Result<(), Error> {
        match self.payload == "UNSIGNED-PAYLOAD" || self.payload == hex(&Sha256::digest(body)) {
            true => Ok(()),
            false => Err(Error::PAYLOAD),
        }
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
