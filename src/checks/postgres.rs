//! PostgreSQL: lets us in, keeps what is committed, in its role.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Obstacle, Replicated, Trust, Verdict, VersionRange, Written};
use crate::number::count;
use crate::span::Span;

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
    /// Speak TLS, as with `sslmode=verify-full`, and trust this: `any`, or `ca` with the place of a certificate in PEM. A server
    /// that offers none breaks the claim. A replica is talked to alike, and must have a certificate for its own name.
    #[serde(default)]
    pub tls: Option<Trust>,
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
    /// How many replicas must stream from it, at least (`pg_stat_replication`); of a replica those that it passes on to. The user
    /// must be a member of `pg_monitor` to see that.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// A replica on which a committed row must appear as well, entered as the same user; a server that is not in recovery is none.
    #[serde(default)]
    pub replica: Option<Address>,
    /// How long the row may take to appear there; 2s where it is left out.
    #[serde(default)]
    pub lag: Option<Span>,
    /// Databases that must be there.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Roles that must be there.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Extensions that must be there, in the database that is entered.
    #[serde(default)]
    pub extensions: Vec<String>,
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
    /// In recovery, read only, and receiving what is written to its primary.
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
    /// Of a replica: whether it streams from a primary (`pg_stat_wal_receiver`).
    pub receives: Option<bool>,
    /// Of those that receive from it; `None` where that was not asked for.
    pub standbys: Option<Vec<Standby>>,
    /// What is there, as far as it is claimed.
    pub catalog: Catalog,
    /// What came of writing a row; `None` where no write was asked for.
    pub written: Option<Written>,
    /// What came of looking for the row on the replica; `None` where none is named or nothing was kept.
    pub replicated: Option<Replicated>,
    /// A table of ours that could not be removed, and why.
    pub leftover: Option<String>,
}

/// One that receives what is written, as the server lists it (`pg_stat_replication`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    /// `application_name`.
    pub name: String,
    /// `state`, and that it replays nothing where that is so; `None` where the user may not see it.
    pub state: Option<String>,
}

/// Names of what is there; of what nothing is claimed nothing is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// `pg_database`.
    pub databases: Vec<String>,
    /// `pg_roles`.
    pub roles: Vec<String>,
    /// `pg_extension`.
    pub extensions: Vec<String>,
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
                let verb = if Self::keeps_out(error) { "refused the login" } else { "answered the login with" };
                Verdict::broken(format!("postgres {who} is let in"), format!("postgres {who} {verb}: {error}"))
            }
            (PostgresAnswer::Refused(error), Access::Denied) if Self::keeps_out(error) => {
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
    /// How long the row may take to appear there.
    #[must_use]
    pub fn lag(&self) -> Span {
        self.lag.unwrap_or(Span::secs(2))
    }

    /// Whether an error keeps a user out: SQLSTATE class 28, invalid authorization specification (a wrong password, an unknown user,
    /// no rule in `pg_hba.conf`).
    #[must_use]
    pub fn keeps_out(error: &str) -> bool {
        error.starts_with("28")
    }

    fn who(&self) -> String {
        format!("{}@{}", self.user, self.at)
    }

    fn judge_facts(&self, facts: &PostgresFacts) -> Verdict {
        let at = &self.at;
        let mut faults = Faults::default();
        if let Some(role) = self.role {
            let is = |role| format!("postgres {at} is a {}", word(role));
            faults.unless(facts.role == role, is(role), is(facts.role));
            if role == PostgresRole::Replica && facts.receives == Some(false) {
                faults.unless(
                    false,
                    format!("postgres {at} receives from its primary"),
                    format!("postgres {at} receives from no primary (pg_stat_wal_receiver has no one that streams)"),
                );
            }
        }
        if let Some(range) = &self.version {
            let holds = range.holds(&facts.version) == Some(true);
            faults.unless(holds, format!("version {range}"), format!("postgres {at} is version {}", facts.version));
        }
        self.judge_catalog(&facts.catalog, &mut faults);
        let hidden = self.judge_standbys(facts.standbys.as_deref().unwrap_or_default(), &mut faults);
        if let Some(written) = &facts.written {
            self.judge_written(written, &mut faults);
        }
        if let (Some(replicated), Some(replica)) = (&facts.replicated, &self.replica) {
            let expected = format!("a row committed at {at} appears on {replica} within {}", self.lag());
            faults.unless(*replicated == Replicated::Appeared, expected, missed(replicated, at, replica));
        }
        if hidden {
            let user = &self.user;
            return faults.or_unclear(format!(
                "postgres {at} does not show {user} how its replicas do; it does after: GRANT pg_monitor TO {user}"
            ));
        }
        let mut verdict = faults.or_held(self.sight(facts));
        match &mut verdict {
            Verdict::Held { warnings, .. } => warnings.extend(self.warnings(facts)),
            Verdict::Broken { actual, .. } => {
                let left = facts.leftover.iter().map(|left| format!("; a table of ours was left behind: {left}"));
                actual.extend(left);
            }
            Verdict::Unclear { .. } => {}
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

    fn judge_catalog(&self, catalog: &Catalog, faults: &mut Faults) {
        let at = &self.at;
        for (kind, wanted, there) in [
            ("database", &self.databases, &catalog.databases),
            ("role", &self.roles, &catalog.roles),
            ("extension", &self.extensions, &catalog.extensions),
        ] {
            let missing: Vec<&str> = wanted.iter().filter(|name| !there.contains(name)).map(String::as_str).collect();
            faults.unless(
                missing.is_empty(),
                format!("postgres {at} has the {kind}s {}", wanted.join(", ")),
                format!("postgres {at} has no {kind} {}", missing.join(", ")),
            );
        }
    }

    /// Whether it is not to be seen how many stream.
    fn judge_standbys(&self, standbys: &[Standby], faults: &mut Faults) -> bool {
        let Some(wanted) = self.replicas else { return false };
        let streaming = standbys.iter().filter(|standby| standby.state.as_deref() == Some("streaming")).count();
        let hidden = standbys.iter().filter(|standby| standby.state.is_none()).count();
        let wanted = wanted as usize;
        if streaming < wanted && streaming + hidden >= wanted {
            return true;
        }
        let told = |standby: &Standby| format!("{}: {}", standby.name, standby.state.as_deref().unwrap_or("hidden"));
        let all = standbys.iter().map(told).collect::<Vec<_>>().join(", ");
        let all = if all.is_empty() { all } else { format!(" ({all})") };
        faults.unless(
            streaming >= wanted,
            format!("{} streaming from postgres {}", count(wanted, "replica"), self.at),
            format!("postgres {} has {streaming} streaming of {}{all}", self.at, standbys.len()),
        );
        false
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
        let replicated = match (&facts.replicated, &self.replica) {
            (Some(_), Some(replica)) => format!(" that appeared on {replica}"),
            (None, _) | (_, None) => String::new(),
        };
        let streaming =
            facts.standbys.as_ref().map_or(String::new(), |all| format!(", {} attached", count(all.len(), "replica")));
        let (who, role, version) = (self.who(), word(facts.role), &facts.version);
        format!("postgres {who} is a {role}, version {version}{streaming}{written}{replicated}")
    }
}

/// How a replica has missed a row.
fn missed(replicated: &Replicated, at: &Address, replica: &Address) -> String {
    match replicated {
        Replicated::Appeared => format!("it appeared on {replica}"),
        Replicated::Absent { after_ms } => {
            format!("postgres {replica} had no such row {after_ms} ms after it was committed at {at}")
        }
        Replicated::Late { after_ms } => {
            format!("postgres {replica} had the row only {after_ms} ms after it was committed at {at}")
        }
        Replicated::OnMaster => format!("postgres {replica} has the row and is not in recovery: it is no replica"),
        Replicated::Refused(error) => format!("postgres {replica} refused to read it: {error}"),
        Replicated::Unmet(obstacle) => obstacle.text().to_owned(),
    }
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
            receives: (role == PostgresRole::Replica).then_some(true),
            standbys: None,
            catalog: Catalog::default(),
            written: Some(written),
            replicated: None,
            leftover: None,
        }
    }

    fn standby(state: Option<&str>) -> Standby {
        Standby { name: "pg-1".to_owned(), state: state.map(str::to_owned) }
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
    fn what_streams_from_it_is_counted_and_what_may_not_be_seen_is_unclear() {
        let with = |states: &[Option<&str>]| {
            let standbys = Some(states.iter().map(|state| standby(*state)).collect());
            let facts = PostgresFacts { standbys, ..facts(PostgresRole::Primary, Written::Kept) };
            claim("replicas: 1").judge(&PostgresAnswer::Open(facts))
        };
        assert!(matches!(with(&[Some("streaming"), Some("catchup")]), Verdict::Held { .. }));
        assert_eq!(actual(&with(&[Some("catchup")])), "postgres pg:5432 has 0 streaming of 1 (pg-1: catchup)");
        assert_eq!(actual(&with(&[])), "postgres pg:5432 has 0 streaming of 0");
        assert!(matches!(with(&[None]), Verdict::Unclear { why } if why.ends_with("GRANT pg_monitor TO app")));
    }

    #[test]
    fn a_replica_that_receives_nothing_breaks() {
        let facts = PostgresFacts { receives: Some(false), ..facts(PostgresRole::Replica, read_only()) };
        assert_eq!(
            actual(&claim("role: replica").judge(&PostgresAnswer::Open(facts))),
            "postgres pg:5432 receives from no primary (pg_stat_wal_receiver has no one that streams)"
        );
    }

    #[test]
    fn each_thing_that_is_not_there_is_named() {
        let catalog = Catalog { databases: vec!["app".to_owned()], ..Catalog::default() };
        let facts = PostgresFacts { catalog, ..facts(PostgresRole::Primary, Written::Kept) };
        let claim = claim("databases: [app, crm, dwh], roles: [reader], extensions: [pgcrypto]");
        assert_eq!(
            actual(&claim.judge(&PostgresAnswer::Open(facts))),
            "postgres pg:5432 has no database crm, dwh; postgres pg:5432 has no role reader; \
             postgres pg:5432 has no extension pgcrypto"
        );
    }

    #[test]
    fn a_row_that_does_not_reach_the_replica_breaks() {
        let judged = |replicated| {
            let facts = PostgresFacts { replicated: Some(replicated), ..facts(PostgresRole::Primary, Written::Kept) };
            claim("replica: 'ro:5432'").judge(&PostgresAnswer::Open(facts))
        };
        assert_eq!(
            judged(Replicated::Appeared),
            Verdict::held(
                "postgres app@pg:5432 is a primary, version 17.2 (Debian), and kept a committed row that appeared on ro:5432"
            )
        );
        for (replicated, said) in [
            (
                Replicated::Absent { after_ms: 2001 },
                "postgres ro:5432 had no such row 2001 ms after it was committed at pg:5432",
            ),
            (
                Replicated::Late { after_ms: 4100 },
                "postgres ro:5432 had the row only 4100 ms after it was committed at pg:5432",
            ),
            (Replicated::OnMaster, "postgres ro:5432 has the row and is not in recovery: it is no replica"),
            (
                Replicated::Refused("42501 permission denied".to_owned()),
                "postgres ro:5432 refused to read it: 42501 permission denied",
            ),
            (Replicated::Unmet(Obstacle::NoEndpoint("nobody".to_owned())), "nobody"),
        ] {
            assert_eq!(actual(&judged(replicated)), said);
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
        let verdict = claim("writes: true").judge(&PostgresAnswer::Open(facts.clone()));
        assert!(matches!(verdict, Verdict::Held { warnings, .. } if warnings.len() == 1));
        facts.written = Some(Written::Lost("no row".to_owned()));
        let broken = claim("writes: true").judge(&PostgresAnswer::Open(facts));
        assert!(
            actual(&broken).ends_with("then had no row; a table of ours was left behind: seaworthy_x: lock timeout")
        );
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
