//! HTTP: one request and the whole of its answer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::expect::excerpt;
use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Obstacle, Text, Verdict};

/// A claim about the answer to one HTTP request. Redirects are answers, not followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where to connect.
    pub at: Address,
    /// Path and query.
    #[serde(default = "root", deserialize_with = "path")]
    pub path: String,
    /// The request's method.
    #[serde(default = "get", deserialize_with = "method")]
    pub method: String,
    /// Request headers. `Host` is the address's name unless given, and is the name that a certificate must be for.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as `Authorization: Bearer …`.
    #[serde(default)]
    pub bearer: Option<Credential>,
    /// Speak TLS, and trust this: `any`, or `ca` with the place of a certificate in PEM.
    #[serde(default)]
    pub tls: Option<Trust>,
    /// Body sent with the request.
    #[serde(default)]
    pub body: Option<String>,
    /// Status that must come back; 200 where this is left out and access is allowed, 401 or 403 where it is denied.
    #[serde(default, deserialize_with = "status")]
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

fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let path = String::deserialize(deserializer)?;
    if path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(path);
    }
    Err(serde::de::Error::custom(format!("`{path}` is not a path; write for instance `/healthz?verbose`")))
}

fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let method = String::deserialize(deserializer)?;
    if !method.is_empty() && method.bytes().all(|c| c.is_ascii_uppercase()) {
        return Ok(method);
    }
    Err(serde::de::Error::custom(format!("`{method}` is not a method; write for instance `POST`")))
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    match Option::<u16>::deserialize(deserializer)? {
        Some(status) if !(200..=599).contains(&status) => {
            Err(serde::de::Error::custom(format!("{status} is no final HTTP status; they are 200 to 599")))
        }
        status => Ok(status),
    }
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAnswer {
    /// There was nobody to talk to.
    Unmet(Obstacle),
    /// A whole answer came.
    Answered(HttpResponse),
}

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// Its status.
    pub status: u16,
    /// Its headers by lower-case name; values of a repeated one are joined with `, `.
    pub headers: BTreeMap<String, String>,
    /// Its body: the first MiB at most.
    pub body: String,
    /// Whether the body went on after what was kept.
    pub cut: bool,
    /// From the request to the end of the body, in milliseconds.
    pub took_ms: u64,
}

impl Claim for Http {
    type Answer = HttpAnswer;

    fn judge(&self, answer: &HttpAnswer) -> Verdict {
        match answer {
            HttpAnswer::Unmet(obstacle) => obstacle.judge(format!("{} answers", self.request()), self.expect),
            HttpAnswer::Answered(response) => self.judge_response(response),
        }
    }
}

impl Http {
    fn request(&self) -> String {
        format!("http {} {} {}", self.at, self.method, self.path)
    }

    fn statuses(&self) -> Vec<u16> {
        match (self.status, self.expect) {
            (Some(status), _) => vec![status],
            (None, Access::Allowed) => vec![200],
            (None, Access::Denied) => vec![401, 403],
        }
    }

    fn judge_response(&self, response: &HttpResponse) -> Verdict {
        let request = self.request();
        if let (Some(status @ 200..300), Access::Denied) = (self.status, self.expect) {
            let expected = "a status that denies: 401, 403, or a redirect to a login";
            return Verdict::doomed(expected, format!("the claim asks for {status}, which lets in"));
        }
        let mut faults = Faults::default();
        let statuses = self.statuses();
        faults.unless(
            statuses.contains(&response.status),
            format!("status {}", statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")),
            format!("{request} got {}; its body starts {}", response.status, excerpt(&response.body)),
        );
        for (name, wanted) in &self.has {
            let found = response.headers.get(&name.to_lowercase());
            faults.unless(
                found.is_some_and(|value| wanted.matches(value)),
                format!("header {name} with {wanted}"),
                found.map_or_else(|| format!("no header {name}"), |value| format!("header {name}: {value}")),
            );
        }
        if let Some(wanted) = &self.answers {
            self.judge_body(wanted, response, &mut faults);
        }
        faults.or_held(format!("{request} got {} in {} ms", response.status, response.took_ms))
    }

    /// What a body lacks or equals cannot be told from its beginning alone.
    fn judge_body(&self, wanted: &Text, response: &HttpResponse, faults: &mut Faults) {
        let whole = !response.cut || matches!(wanted, Text::Contains(_));
        let rest = if response.cut { ", and went on after 1 MiB" } else { "" };
        faults.unless(
            whole && wanted.matches(&response.body),
            format!("a body that is {wanted}"),
            format!("the body starts {}{rest}", excerpt(&response.body)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(yaml: &str) -> Http {
        serde_saphyr::from_str(&format!("{{at: 'web:80', {yaml}}}")).unwrap()
    }

    fn response(status: u16, body: &str) -> HttpResponse {
        HttpResponse {
            status,
            headers: BTreeMap::from([("content-type".to_owned(), "text/html".to_owned())]),
            body: body.to_owned(),
            cut: false,
            took_ms: 12,
        }
    }

    fn judged(yaml: &str, response: HttpResponse) -> Verdict {
        claim(yaml).judge(&HttpAnswer::Answered(response))
    }

    #[test]
    fn the_answer_claimed_holds() {
        assert_eq!(
            judged("path: /x, has: {Content-Type: {contains: html}}, answers: {equals: hi}", response(200, "hi\n")),
            Verdict::held("http web:80 GET /x got 200 in 12 ms")
        );
    }

    #[test]
    fn another_status_is_shown_with_the_beginning_of_its_body() {
        assert_eq!(
            judged("path: /x", response(503, "no healthy upstream")),
            Verdict::broken("status 200", "http web:80 GET /x got 503; its body starts \"no healthy upstream\"")
        );
    }

    #[test]
    fn a_claim_of_denial_that_asks_for_a_success_is_never_green() {
        let verdict = judged("status: 200, expect: denied", response(200, "hi"));
        assert!(matches!(verdict, Verdict::Broken { .. }), "{verdict:?}");
        assert!(matches!(judged("status: 302, expect: denied", response(302, "")), Verdict::Held { .. }));
    }

    #[test]
    fn every_part_of_a_claim_can_fail() {
        for yaml in [
            "status: 404",
            "has: {content-type: {equals: text/plain}}",
            "has: {etag: {contains: x}}",
            "answers: {contains: welcome}",
            "answers: {lacks: hi}",
            "expect: denied",
        ] {
            assert!(matches!(judged(yaml, response(200, "hi")), Verdict::Broken { .. }), "{yaml}");
        }
    }

    #[test]
    fn a_denial_is_401_or_403_or_the_status_that_is_given() {
        for (yaml, status) in [("expect: denied", 401), ("expect: denied", 403), ("expect: denied, status: 302", 302)] {
            assert!(matches!(judged(yaml, response(status, "")), Verdict::Held { .. }), "{status}");
        }
        assert!(matches!(judged("expect: denied", response(404, "")), Verdict::Broken { .. }));
        let away = HttpAnswer::Unmet(Obstacle::Broke("closed".to_owned()));
        assert!(matches!(claim("expect: denied").judge(&away), Verdict::Unclear { .. }));
    }

    #[test]
    fn the_beginning_of_a_body_does_not_show_what_its_end_lacks() {
        let cut = HttpResponse { cut: true, ..response(200, "fine so far") };
        assert!(matches!(judged("answers: {lacks: error}", cut.clone()), Verdict::Broken { .. }));
        assert!(matches!(judged("answers: {contains: fine}", cut), Verdict::Held { .. }));
    }

    #[test]
    fn what_is_no_request_is_refused_when_it_is_read() {
        for yaml in ["path: x", "path: '/a b'", "method: get", "method: ''", "status: 42", "status: 100"] {
            assert!(serde_saphyr::from_str::<Http>(&format!("{{at: 'web:80', {yaml}}}")).is_err(), "{yaml}");
        }
    }
}
