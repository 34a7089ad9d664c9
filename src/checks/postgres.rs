//! PostgreSQL: lets us in, keeps what is committed, in its role.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Obstacle, Verdict, VersionRange, Written};

/// A claim about one PostgreSQL server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Where to connect.
    pub at: Address,
    /// User.
    pub user: String,
    /// Its password; an empty one where it is left out. Forwarded connections reach the server on its loopback, which
    /// official images trust without a password: a warning says so, and a denial is Unclear then.
    #[serde(default)]
    pub password: Option<Credential>,
    /// Database; the user's name where it is left out.
    #[serde(default)]
    pub database: Option<String>,
    /// Its role.
    #[serde(default)]
    pub role: Option<PostgresRole>,
    /// Its version.
    #[serde(default)]
    pub version: Option<VersionRange>,
    /// Whether a row is committed to a table of our own, read back by a second connection, and the table removed; the
    /// user must be allowed to create one. Where the role claimed is `replica`: whether that writing is refused.
    #[serde(default = "yes")]
    pub writes: bool,
    /// Let in, or kept out (SQLSTATE class 28).
    #[serde(default)]
    pub expect: Access,
}

/// What `pg_is_in_recovery()` tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PostgresRole {
    /// Takes writes.
    Primary,
    /// In recovery, read only.
    Replica,
}

const LOOPBACK: &str = "a forward arrives on the server's loopback, from where it lets in anybody without a password";

const fn yes() -> bool {
    true
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostgresAnswer {
    /// There was nobody to talk to.
    Unmet(Obstacle),
    /// The server ended the login with an error: its SQLSTATE, then its words.
    Refused(String),
    /// We were let in.
    Open(PostgresFacts),
}

/// What a server that let us in showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresFacts {
    /// `server_version`.
    pub version: String,
    /// Its role.
    pub role: PostgresRole,
    /// Whether it asks for a password at all.
    pub guard: Guard,
    /// What came of writing a row; `None` where no write was asked for.
    pub written: Option<Written>,
    /// A table of ours that could not be removed, and why.
    pub leftover: Option<String>,
}

/// Whether a server asks for a password at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It does: being let in means that ours was right.
    Asks,
    /// It lets in anybody.
    Open,
    /// It lets in anybody who comes from its own loopback, as forwarded connections do; of others nothing is known.
    OpenToLoopback,
}

impl Claim for Postgres {
    type Answer = PostgresAnswer;

    fn judge(&self, answer: &PostgresAnswer) -> Verdict {
        let who = self.who();
        match (answer, self.expect) {
            (PostgresAnswer::Unmet(obstacle), expect) => obstacle.judge(format!("postgres {who} is let in"), expect),
            (PostgresAnswer::Refused(error), Access::Allowed) => {
                // Not final: bootstraps and operators create users after the server has begun to accept.
                let verb = if keeps_out(error) { "refused the login" } else { "answered the login with" };
                Verdict::broken(format!("postgres {who} is let in"), format!("postgres {who} {verb}: {error}"))
            }
            (PostgresAnswer::Refused(error), Access::Denied) if keeps_out(error) => {
                Verdict::held(format!("postgres {who} refused the login: {error}"))
            }
            (PostgresAnswer::Refused(error), Access::Denied) => {
                Verdict::unclear(format!("postgres {who} answered {error}; that is no refusal of access"))
            }
            (PostgresAnswer::Open(facts), Access::Denied) => match facts.guard {
                Guard::OpenToLoopback => Verdict::unclear(format!("postgres {who} was let in, but {LOOPBACK}")),
                Guard::Asks | Guard::Open => {
                    Verdict::broken(format!("postgres {who} is kept out"), format!("postgres {who} was let in"))
                }
            },
            (PostgresAnswer::Open(facts), Access::Allowed) => self.judge_facts(facts),
        }
    }
}

impl Postgres {
    fn who(&self) -> String {
        format!("{}@{}", self.user, self.at)
    }

    fn judge_facts(&self, facts: &PostgresFacts) -> Verdict {
        let at = &self.at;
        let mut faults = Faults::default();
        if let Some(role) = self.role {
            let is = |role| format!("postgres {at} is a {}", word(role));
            faults.unless(facts.role == role, is(role), is(facts.role));
        }
        if let Some(range) = &self.version {
            let holds = range.holds(&facts.version) == Some(true);
            faults.unless(holds, format!("version {range}"), format!("postgres {at} is version {}", facts.version));
        }
        if let Some(written) = &facts.written {
            self.judge_written(written, &mut faults);
        }
        let mut verdict = faults.or_held(self.sight(facts));
        if let Verdict::Held { warnings, .. } = &mut verdict {
            warnings.extend(self.warnings(facts));
        }
        verdict
    }

    fn warnings(&self, facts: &PostgresFacts) -> Vec<String> {
        let unasked = match (self.password.is_some(), facts.guard) {
            (true, Guard::OpenToLoopback) => Some(format!("the password was not tested: {LOOPBACK}")),
            (true, Guard::Open) => Some("the password was not tested: the server asks for none".to_owned()),
            (true, Guard::Asks) | (false, _) => None,
        };
        let leftover = facts.leftover.iter().map(|left| format!("a table of ours was left behind: {left}"));
        unasked.into_iter().chain(leftover).collect()
    }

    fn judge_written(&self, written: &Written, faults: &mut Faults) {
        let at = &self.at;
        let is_replica = self.role == Some(PostgresRole::Replica);
        let expected = match is_replica {
            true => format!("postgres {at} refuses writes as a replica does (25006)"),
            false => format!("postgres {at} keeps what is committed"),
        };
        let (holds, actual) = match written {
            Written::Kept => (!is_replica, format!("postgres {at} took a write")),
            Written::Lost(found) => (false, format!("postgres {at} committed a row and then had {found}")),
            // 25006 read_only_sql_transaction
            Written::Refused(error) => {
                (is_replica && error.starts_with("25006"), format!("postgres {at} refused to write: {error}"))
            }
        };
        faults.unless(holds, expected, actual);
    }

    /// What a claim that holds has shown, in one line.
    fn sight(&self, facts: &PostgresFacts) -> String {
        let written = match &facts.written {
            Some(Written::Kept) => ", and kept a committed row",
            Some(Written::Refused(_) | Written::Lost(_)) => ", and refused a write",
            None => "",
        };
        format!("postgres {} is a {}, version {}{written}", self.who(), word(facts.role), facts.version)
    }
}

/// SQLSTATE class 28, invalid authorization specification: a wrong password, an unknown user, no rule in `pg_hba.conf`.
fn keeps_out(error: &str) -> bool {
    error.starts_with("28")
}

const fn word(role: PostgresRole) -> &'static str {
    match role {
        PostgresRole::Primary => "primary",
        PostgresRole::Replica => "replica",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(yaml: &str) -> Postgres {
        serde_saphyr::from_str(&format!("{{at: 'pg:5432', user: app, {yaml}}}")).unwrap()
    }

    fn facts(role: PostgresRole, written: Written) -> PostgresFacts {
        PostgresFacts {
            version: "17.2 (Debian)".to_owned(),
            role,
            guard: Guard::Asks,
            written: Some(written),
            leftover: None,
        }
    }

    fn read_only() -> Written {
        Written::Refused("25006 cannot execute CREATE TABLE in a read-only transaction".to_owned())
    }

    fn actual(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Broken { actual, .. } => actual,
            Verdict::Held { .. } | Verdict::Unclear { .. } => panic!("not broken: {verdict:?}"),
        }
    }

    #[test]
    fn a_primary_that_keeps_a_row_holds() {
        let answer = PostgresAnswer::Open(facts(PostgresRole::Primary, Written::Kept));
        assert_eq!(
            claim("role: primary, version: '>=15, <18'").judge(&answer),
            Verdict::held("postgres app@pg:5432 is a primary, version 17.2 (Debian), and kept a committed row")
        );
    }

    #[test]
    fn every_part_of_a_claim_can_fail() {
        for (yaml, facts, said) in [
            ("role: replica", facts(PostgresRole::Primary, read_only()), "postgres pg:5432 is a primary"),
            ("version: ^16", facts(PostgresRole::Primary, Written::Kept), "postgres pg:5432 is version 17.2 (Debian)"),
            (
                "writes: true",
                facts(PostgresRole::Primary, read_only()),
                "postgres pg:5432 refused to write: 25006 cannot execute CREATE TABLE in a read-only transaction",
            ),
            ("role: replica", facts(PostgresRole::Replica, Written::Kept), "postgres pg:5432 took a write"),
            (
                "role: primary",
                facts(PostgresRole::Primary, Written::Lost("no row".to_owned())),
                "postgres pg:5432 committed a row and then had no row",
            ),
        ] {
            assert_eq!(actual(&claim(yaml).judge(&PostgresAnswer::Open(facts))), said);
        }
    }

    #[test]
    fn a_replica_refuses_for_being_read_only_and_for_no_other_reason() {
        let replica = claim("role: replica");
        let answer = |written| PostgresAnswer::Open(facts(PostgresRole::Replica, written));
        assert!(matches!(replica.judge(&answer(read_only())), Verdict::Held { .. }));
        let no_right = Written::Refused("42501 permission denied for schema public".to_owned());
        assert!(matches!(replica.judge(&answer(no_right)), Verdict::Broken { .. }));
    }

    #[test]
    fn a_login_is_denied_by_class_28_alone() {
        let denied = claim("expect: denied");
        let wrong = PostgresAnswer::Refused("28P01 password authentication failed for user \"app\"".to_owned());
        assert!(matches!(denied.judge(&wrong), Verdict::Held { .. }));
        assert_eq!(
            actual(&claim("writes: true").judge(&wrong)),
            "postgres app@pg:5432 refused the login: 28P01 password authentication failed for user \"app\""
        );
        let starting = PostgresAnswer::Refused("57P03 the database system is starting up".to_owned());
        assert!(matches!(denied.judge(&starting), Verdict::Unclear { .. }));
        let open = PostgresAnswer::Open(facts(PostgresRole::Primary, Written::Kept));
        assert_eq!(actual(&denied.judge(&open)), "postgres app@pg:5432 was let in");
    }

    #[test]
    fn a_table_left_behind_is_a_warning() {
        let mut facts = facts(PostgresRole::Primary, Written::Kept);
        facts.leftover = Some("seaworthy_x: lock timeout".to_owned());
        let verdict = claim("writes: true").judge(&PostgresAnswer::Open(facts));
        assert!(matches!(verdict, Verdict::Held { warnings, .. } if warnings.len() == 1));
    }

    #[test]
    fn a_server_that_asks_for_no_password_has_tested_none() {
        let answer =
            |guard| PostgresAnswer::Open(PostgresFacts { guard, ..facts(PostgresRole::Primary, Written::Kept) });
        let with_password = claim("password: {value: x}");
        for (guard, warned) in [(Guard::Asks, 0), (Guard::Open, 1), (Guard::OpenToLoopback, 1)] {
            let verdict = with_password.judge(&answer(guard));
            assert!(matches!(verdict, Verdict::Held { warnings, .. } if warnings.len() == warned), "{guard:?}");
        }
        let denied = claim("expect: denied");
        assert!(matches!(denied.judge(&answer(Guard::OpenToLoopback)), Verdict::Unclear { .. }));
        assert!(matches!(denied.judge(&answer(Guard::Open)), Verdict::Broken { .. }));
    }
}
