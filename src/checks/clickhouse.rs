//! ClickHouse: answers over HTTP, lets us in, keeps what is inserted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Guard, Obstacle, Verdict, VersionRange, Written};

/// A claim about one ClickHouse server, over its HTTP interface. That its `/ping` answers `Ok.` is always part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clickhouse {
    /// Its HTTP port, 8123 as a rule. Each look talks to one of the servers behind a Service, the next look to the next one.
    pub at: Address,
    /// User.
    pub user: String,
    /// Its password; an empty one where it is left out. That a user comes in without any is a warning.
    #[serde(default)]
    pub password: Option<Credential>,
    /// Database; the user's own default where it is left out.
    #[serde(default)]
    pub database: Option<String>,
    /// Its version.
    #[serde(default)]
    pub version: Option<VersionRange>,
    /// Whether a row is inserted into a MergeTree table of our own, read back over another connection, and the table
    /// dropped; the user must be allowed all of it.
    #[serde(default = "yes")]
    pub writes: bool,
    /// Let in, or kept out (by one of the codes with which ClickHouse refuses a login).
    #[serde(default)]
    pub expect: Access,
}

const fn yes() -> bool {
    true
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClickhouseAnswer {
    /// There was nobody to talk to.
    Unmet(Obstacle),
    /// The server answered the first query with an error: its code, then its words.
    Refused(String),
    /// We were let in.
    Open(ClickhouseFacts),
}

/// What a server that let us in showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClickhouseFacts {
    /// `version()`.
    pub version: String,
    /// Whether it asks for a password at all; `None` where no password was to be tested.
    pub guard: Option<Guard>,
    /// What came of inserting a row; `None` where none was to be.
    pub written: Option<Written>,
    /// A table of ours that could not be dropped, and why.
    pub leftover: Option<String>,
}

impl Claim for Clickhouse {
    type Answer = ClickhouseAnswer;

    fn judge(&self, answer: &ClickhouseAnswer) -> Verdict {
        let who = self.who();
        match (answer, self.expect) {
            (ClickhouseAnswer::Unmet(obstacle), expect) => {
                obstacle.judge(format!("clickhouse {who} is let in"), expect)
            }
            (ClickhouseAnswer::Refused(error), Access::Allowed) => {
                // Not final: what creates users and databases does so after the server has begun to answer.
                let verb = if Self::keeps_out(error) { "refused the login" } else { "answered the first query with" };
                Verdict::broken(format!("clickhouse {who} is let in"), format!("clickhouse {who} {verb}: {error}"))
            }
            (ClickhouseAnswer::Refused(error), Access::Denied) if Self::keeps_out(error) => {
                Verdict::held(format!("clickhouse {who} refused the login: {error}"))
            }
            (ClickhouseAnswer::Refused(error), Access::Denied) => {
                Verdict::unclear(format!("clickhouse {who} answered {error}; that is no refusal of access"))
            }
            (ClickhouseAnswer::Open(_), Access::Denied) => {
                Verdict::broken(format!("clickhouse {who} is kept out"), format!("clickhouse {who} was let in"))
            }
            (ClickhouseAnswer::Open(facts), Access::Allowed) => self.judge_facts(facts),
        }
    }
}

impl Clickhouse {
    /// Whether an error keeps a user out, by its code.
    #[must_use]
    pub fn keeps_out(error: &str) -> bool {
        LOGIN.contains(&error.split(' ').next().unwrap_or_default())
    }

    fn who(&self) -> String {
        format!("{}@{}", self.user, self.at)
    }

    fn judge_facts(&self, facts: &ClickhouseFacts) -> Verdict {
        let at = &self.at;
        let mut faults = Faults::default();
        if let Some(range) = &self.version {
            let holds = range.holds(&facts.version) == Some(true);
            faults.unless(holds, format!("version {range}"), format!("clickhouse {at} is version {}", facts.version));
        }
        if let Some(written) = &facts.written {
            let (holds, actual) = match written {
                Written::Kept => (true, String::new()),
                Written::Lost(found) => (false, format!("clickhouse {at} took a row and then had {found}")),
                Written::Refused(error) => (false, format!("clickhouse {at} refused to write: {error}")),
            };
            faults.unless(holds, format!("clickhouse {at} keeps what is inserted"), actual);
        }
        let mut verdict = faults.or_held(self.sight(facts));
        if let Verdict::Held { warnings, .. } = &mut verdict {
            warnings.extend(self.warnings(facts));
        }
        verdict
    }

    fn warnings(&self, facts: &ClickhouseFacts) -> Vec<String> {
        let user = &self.user;
        let unasked = match facts.guard {
            Some(Guard::Open) => Some(format!("the password was not tested: {user} comes in without one")),
            // A user may be let in from some networks only.
            Some(Guard::OpenToLoopback) => Some(format!(
                "the password was not tested: {user} comes in without one, at least from the server's loopback, where a forward arrives"
            )),
            Some(Guard::Asks) | None => None,
        };
        let leftover = facts.leftover.iter().map(|left| format!("a table of ours was left behind: {left}"));
        unasked.into_iter().chain(leftover).collect()
    }

    /// What a claim that holds has shown, in one line.
    fn sight(&self, facts: &ClickhouseFacts) -> String {
        let written = if facts.written.is_some() { ", and kept an inserted row" } else { "" };
        format!("clickhouse {} is version {}{written}", self.who(), facts.version)
    }
}

/// UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD and IP_ADDRESS_NOT_ALLOWED; newer servers tell whoever comes no more than
/// AUTHENTICATION_FAILED (ClickHouse, `src/Common/ErrorCodes.cpp`).
const LOGIN: [&str; 5] = ["192", "193", "194", "195", "516"];

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(yaml: &str) -> Clickhouse {
        serde_saphyr::from_str(&format!("{{at: 'ch:8123', user: app, {yaml}}}")).unwrap()
    }

    fn facts(written: Written) -> ClickhouseFacts {
        ClickhouseFacts {
            version: "25.8.2.29".to_owned(),
            guard: Some(Guard::Asks),
            written: Some(written),
            leftover: None,
        }
    }

    fn refused(error: &str) -> ClickhouseAnswer {
        ClickhouseAnswer::Refused(error.to_owned())
    }

    const WRONG: &str = "516 app: Authentication failed: password is incorrect, or there is no user with such name";

    fn actual(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Broken { actual, .. } => actual,
            Verdict::Held { .. } | Verdict::Unclear { .. } => panic!("not broken: {verdict:?}"),
        }
    }

    #[test]
    fn a_server_that_keeps_a_row_holds() {
        assert_eq!(
            claim("version: '>=18, <30'").judge(&ClickhouseAnswer::Open(facts(Written::Kept))),
            Verdict::held("clickhouse app@ch:8123 is version 25.8.2.29, and kept an inserted row")
        );
        let unwritten = ClickhouseFacts { written: None, ..facts(Written::Kept) };
        assert_eq!(
            claim("writes: false").judge(&ClickhouseAnswer::Open(unwritten)),
            Verdict::held("clickhouse app@ch:8123 is version 25.8.2.29")
        );
    }

    #[test]
    fn every_part_of_a_claim_can_fail() {
        let read_only = "164 app: Cannot execute query in readonly mode. (READONLY)";
        for (yaml, facts, said) in [
            ("version: '<25'", facts(Written::Kept), "clickhouse ch:8123 is version 25.8.2.29".to_owned()),
            (
                "version: '>=18'",
                ClickhouseFacts { version: "unknown".to_owned(), ..facts(Written::Kept) },
                "clickhouse ch:8123 is version unknown".to_owned(),
            ),
            (
                "writes: true",
                facts(Written::Refused(read_only.to_owned())),
                format!("clickhouse ch:8123 refused to write: {read_only}"),
            ),
            (
                "writes: true",
                facts(Written::Lost("no row".to_owned())),
                "clickhouse ch:8123 took a row and then had no row".to_owned(),
            ),
        ] {
            assert_eq!(actual(&claim(yaml).judge(&ClickhouseAnswer::Open(facts))), said);
        }
    }

    #[test]
    fn a_login_is_denied_by_its_own_codes_alone() {
        let (allowed, denied) = (claim("writes: true"), claim("expect: denied"));
        for error in
            [WRONG, "192 Unknown user app", "193 Wrong password for user app", "194 Password required", "195 no"]
        {
            assert!(matches!(denied.judge(&refused(error)), Verdict::Held { .. }), "{error}");
            let said = format!("clickhouse app@ch:8123 refused the login: {error}");
            assert_eq!(actual(&allowed.judge(&refused(error))), said);
        }
        for error in ["202 Too many simultaneous queries. Maximum: 100", "81 Database app does not exist", "5160 x", ""]
        {
            let verdict = denied.judge(&refused(error));
            assert!(matches!(&verdict, Verdict::Unclear { why } if why.ends_with("no refusal of access")), "{error}");
            assert!(actual(&allowed.judge(&refused(error))).contains("answered the first query with: "), "{error}");
        }
        let open = ClickhouseAnswer::Open(facts(Written::Kept));
        assert_eq!(actual(&denied.judge(&open)), "clickhouse app@ch:8123 was let in");
    }

    #[test]
    fn a_server_that_cannot_be_talked_to_breaks_being_let_in_and_denies_nothing() {
        let broke =
            || ClickhouseAnswer::Unmet(Obstacle::Broke("clickhouse ch:8123 answered /ping with nothing".to_owned()));
        assert_eq!(actual(&claim("writes: true").judge(&broke())), "clickhouse ch:8123 answered /ping with nothing");
        assert!(matches!(claim("expect: denied").judge(&broke()), Verdict::Unclear { .. }));
    }

    #[test]
    fn what_was_not_tested_and_what_was_left_behind_are_warnings() {
        let warned = |guard, leftover: Option<&str>| {
            let facts = ClickhouseFacts { guard, leftover: leftover.map(str::to_owned), ..facts(Written::Kept) };
            let verdict = claim("password: {value: secret}").judge(&ClickhouseAnswer::Open(facts));
            let Verdict::Held { warnings, .. } = verdict else { panic!("{verdict:?}") };
            warnings
        };
        assert_eq!(warned(Some(Guard::Asks), None), [""; 0]);
        assert_eq!(warned(None, None), [""; 0]);
        assert_eq!(warned(Some(Guard::Open), None), ["the password was not tested: app comes in without one"]);
        let over_a_forward = warned(Some(Guard::OpenToLoopback), None);
        assert!(
            over_a_forward[0].ends_with("from the server's loopback, where a forward arrives"),
            "{over_a_forward:?}"
        );
        assert_eq!(warned(None, Some("seaworthy_1: 497 no")), ["a table of ours was left behind: seaworthy_1: 497 no"]);
    }
}
