//! HTTP: one request, and as much of its answer as the claim is about.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::expect::excerpt;
use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Obstacle, Text, Trust, Verdict};

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
    /// Request headers. `Host` is the address's name unless given, and is the name that a certificate must be for unless `tls` has one.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as `Authorization: Bearer …`.
    #[serde(default)]
    pub bearer: Option<Credential>,
    /// Speak TLS, and trust this: `any`, or `ca` with the place of a certificate in PEM; its `name`, if not what is dialled.
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
    /// An answer came: its head, and what was read of its body.
    Answered(HttpResponse),
}

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// Its status.
    pub status: u16,
    /// Its headers by lower-case name; values of a repeated one are joined with `, `.
    pub headers: BTreeMap<String, String>,
    /// What was read of its body: the first MiB at most.
    pub body: String,
    /// Whether that is all of it.
    pub end: BodyEnd,
    /// From the request to the end of what was read, in milliseconds.
    pub took_ms: u64,
}

/// Where the reading of a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// Where the body ended.
    Whole,
    /// After as much as is kept.
    TooLong,
    /// The server had not ended it.
    Open,
}

/// How much of a body matters, once the head is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyNeed {
    /// The head has decided the claim.
    Nothing,
    /// The head has broken the claim; how the body begins may say why.
    Hint,
    /// The claim is about the body.
    Claimed,
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

    /// How much of the body must be read after this head.
    #[must_use]
    pub fn body_need(&self, head: &HttpResponse) -> BodyNeed {
        match &self.answers {
            _ if !self.judge_head(head).is_empty() => BodyNeed::Hint,
            Some(_) => BodyNeed::Claimed,
            None => BodyNeed::Nothing,
        }
    }

    /// Whether more of the body could not change the verdict.
    #[must_use]
    pub fn is_decided(&self, body: &str) -> bool {
        match &self.answers {
            Some(wanted @ Text::Contains(_)) => wanted.matches(body),
            Some(wanted @ Text::Lacks(_)) => !wanted.matches(body),
            Some(Text::Equals(_)) => false,
            None => true,
        }
    }

    fn judge_response(&self, response: &HttpResponse) -> Verdict {
        let mut faults = self.judge_head(response);
        let encoding = response.headers.get("content-encoding").filter(|encoding| *encoding != "identity");
        if let (Some(wanted), Some(encoding), true) = (&self.answers, encoding, faults.is_empty()) {
            let unread = format!("{} got a body encoded as {encoding} although", self.request());
            return Verdict::unclear(format!("{unread} none was asked for; whether it is {wanted} cannot be told"));
        }
        if let Some(wanted) = &self.answers {
            let Some(holds) = wanted.holds(&response.body, true) else {
                let unread = format!("the body of {} cannot be read as text", self.request());
                return faults.or_unclear(format!("{unread}; whether it is {wanted} cannot be told"));
            };
            judge_body(wanted, holds, response, &mut faults);
        }
        faults.or_held(format!("{} got {} in {} ms", self.request(), response.status, response.took_ms))
    }

    fn judge_head(&self, response: &HttpResponse) -> Faults {
        let mut faults = Faults::default();
        let statuses = self.statuses();
        let body = match (response.body.trim(), response.end) {
            ("", BodyEnd::Open) => String::new(),
            (body, BodyEnd::Whole | BodyEnd::TooLong | BodyEnd::Open) => format!("; its body starts {}", excerpt(body)),
        };
        faults.unless(
            statuses.contains(&response.status),
            format!("status {}", statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")),
            format!("{} got {}{body}", self.request(), response.status),
        );
        for (name, wanted) in &self.has {
            let found = response.headers.get(&name.to_lowercase());
            faults.unless(
                found.is_some_and(|value| wanted.holds(value, true) == Some(true)),
                format!("header {name} with {wanted}"),
                found.map_or_else(|| format!("no header {name}"), |value| format!("header {name}: {value}")),
            );
        }
        faults
    }
}

/// What a body lacks or equals cannot be told from its beginning alone.
fn judge_body(wanted: &Text, holds: bool, response: &HttpResponse, faults: &mut Faults) {
    let whole = response.end == BodyEnd::Whole || matches!(wanted, Text::Contains(_));
    let rest = match response.end {
        BodyEnd::Whole => "",
        BodyEnd::TooLong => ", and went on after 1 MiB",
        BodyEnd::Open => ", and was not at its end",
    };
    faults.unless(
        whole && holds,
        format!("a body that is {wanted}"),
        format!("the body starts {}{rest}", excerpt(&response.body)),
    );
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
            end: BodyEnd::Whole,
            took_ms: 12,
        }
    }

    #[test]
    fn a_body_that_is_no_text_says_nothing_of_what_it_lacks() {
        let utf16 = response(200, "e\0r\0r\0o\0r\0");
        for claim in ["{lacks: error}", "{contains: error}", "{equals: error}"] {
            let verdict = judged(&format!("answers: {claim}"), utf16.clone());
            let Verdict::Unclear { why } = verdict else { panic!("judged: {verdict:?}") };
            assert!(why.contains("cannot be read as text"), "{why}");
        }
        let broken = judged("answers: {lacks: error}, status: 201", utf16.clone());
        assert!(matches!(broken, Verdict::Broken { .. }), "{broken:?}");
        assert!(matches!(judged("status: 200", utf16), Verdict::Held { .. }));
    }

    #[test]
    fn a_body_that_is_encoded_says_nothing_of_what_it_lacks() {
        let mut encoded = response(200, "\u{fffd}\u{fffd}");
        encoded.headers.insert("content-encoding".to_owned(), "gzip".to_owned());
        let Verdict::Unclear { why } = judged("answers: {lacks: error}", encoded.clone()) else { panic!("judged") };
        assert!(why.contains("encoded as gzip"), "{why}");
        assert!(matches!(judged("status: 200", encoded), Verdict::Held { .. }));
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
    fn a_body_is_read_where_the_claim_or_its_failure_is_about_it() {
        let need = |yaml, status| claim(yaml).body_need(&response(status, ""));
        assert_eq!(need("path: /x", 200), BodyNeed::Nothing);
        assert_eq!(need("status: 404", 404), BodyNeed::Nothing);
        assert_eq!(need("answers: {contains: hi}", 200), BodyNeed::Claimed);
        assert_eq!(need("answers: {contains: hi}", 404), BodyNeed::Hint);
        assert_eq!(need("has: {etag: {contains: x}}", 200), BodyNeed::Hint);
    }

    #[test]
    fn a_body_has_decided_a_claim_as_soon_as_nothing_more_can_change_it() {
        let decided = |yaml, body| claim(yaml).is_decided(body);
        assert!(decided("answers: {contains: hi}", "oh hi") && !decided("answers: {contains: hi}", "oh"));
        assert!(decided("answers: {lacks: hi}", "oh hi") && !decided("answers: {lacks: hi}", "oh"));
        assert!(!decided("answers: {equals: hi}", "hi"));
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
        for end in [BodyEnd::TooLong, BodyEnd::Open] {
            let cut = HttpResponse { end, ..response(200, "fine so far") };
            assert!(matches!(judged("answers: {lacks: error}", cut.clone()), Verdict::Broken { .. }));
            assert!(matches!(judged("answers: {contains: fine}", cut), Verdict::Held { .. }));
        }
    }

    #[test]
    fn what_is_no_request_is_refused_when_it_is_read() {
        for yaml in ["path: x", "path: '/a b'", "method: get", "method: ''", "status: 42", "status: 100"] {
            assert!(serde_saphyr::from_str::<Http>(&format!("{{at: 'web:80', {yaml}}}")).is_err(), "{yaml}");
        }
    }
}
