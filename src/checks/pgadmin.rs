//! pgAdmin: lets its user in through its own login page, and lists the servers that it was told of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Obstacle, Trust, Verdict, VersionRange};

/// A claim about one pgAdmin 4 that asks for a login, over HTTP. Its `/misc/ping` answers as long as the process does; that its
/// login page comes, that the login opens its pages and that they are shut again after the logout is always part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pgadmin {
    /// Its port, 80 of the official image. Each look talks to one of the servers behind a Service, the next look to the next one:
    /// they share no sessions.
    pub at: Address,
    /// Who logs in, by e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// The password. A login that is refused is not tried again: pgAdmin locks an account after three (`MAX_LOGIN_ATTEMPTS`) until
    /// an administrator unlocks it.
    #[serde(default)]
    pub password: Option<Credential>,
    /// Speak TLS, and trust this: `any`, or `ca` with the place of a certificate in PEM.
    #[serde(default)]
    pub tls: Option<Trust>,
    /// Its version.
    #[serde(default)]
    pub version: Option<VersionRange>,
    /// Servers that are registered for whoever logs in.
    #[serde(default)]
    pub servers: Vec<DatabaseServer>,
    /// Let in; or kept out, by the words with which pgAdmin refuses a login. Who is kept out is a stranger whom each look makes up:
    /// wrong passwords would lock the account of whoever has one.
    #[serde(default)]
    pub expect: Access,
}

/// A server in pgAdmin's list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseServer {
    /// `Name` in servers.json.
    pub name: String,
    /// `Group`; any where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `Host`; any where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PgadminAnswer {
    /// There was nobody to talk to.
    Unmet(Obstacle),
    /// The login brought the login page again, with these words.
    Refused(String),
    /// We were let in.
    Open(PgadminFacts),
}

/// What a pgAdmin that let us in showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgadminFacts {
    /// Its version: `9.18`.
    pub version: String,
    /// The servers that are registered; `None` where none are claimed.
    pub servers: Option<Vec<Registered>>,
    /// What came of the logout.
    pub logout: Logout,
}

/// A server that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// The name of its group.
    pub group: String,
    /// Its host; empty where a service file names it.
    pub host: String,
}

impl Registered {
    fn place(&self) -> String {
        let host = if self.host.is_empty() { "that a service file names" } else { &self.host };
        format!("in the group {} on the host {host}", self.group)
    }
}

/// What came of a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logout {
    /// The session opens nothing any more.
    Done,
    /// The session still opens pages.
    Ignored,
    /// The server did not do it, in these words.
    Refused(String),
}

impl Claim for Pgadmin {
    type Answer = PgadminAnswer;

    fn judge(&self, answer: &PgadminAnswer) -> Verdict {
        let (at, who) = (&self.at, self.who());
        let let_in = format!("pgadmin {at} lets in {who}");
        match (answer, self.expect) {
            (PgadminAnswer::Unmet(obstacle), expect) => obstacle.judge(let_in, expect),
            // Each further try would bring the account nearer to its lock.
            (PgadminAnswer::Refused(words), Access::Allowed) if Self::counts(words) => {
                Verdict::doomed(let_in, format!("pgadmin {at} refused the login of {who}: {words}"))
            }
            (PgadminAnswer::Refused(words), Access::Allowed) => {
                Verdict::broken(let_in, format!("pgadmin {at} answered the login of {who} with: {words}"))
            }
            (PgadminAnswer::Refused(words), Access::Denied) if Self::keeps_out(words) => {
                Verdict::held(format!("pgadmin {at} refused the login of {who}: {words}"))
            }
            (PgadminAnswer::Refused(words), Access::Denied) => Verdict::unclear(format!(
                "pgadmin {at} answered the login of {who} with {words:?}; that is no refusal of access"
            )),
            (PgadminAnswer::Open(_), Access::Denied) => {
                Verdict::broken(format!("pgadmin {at} keeps {who} out"), format!("pgadmin {at} let in {who}"))
            }
            (PgadminAnswer::Open(facts), Access::Allowed) => self.judge_facts(facts),
        }
    }
}

impl Pgadmin {
    /// Whether these words keep a user out; how many tries are left may follow them.
    fn keeps_out(words: &str) -> bool {
        words.starts_with("Incorrect username or password")
    }

    /// Whether these words are said of a login that counts towards a lock, or of an account that is locked.
    fn counts(words: &str) -> bool {
        Self::keeps_out(words) || words.starts_with("Your account is locked")
    }

    fn who(&self) -> &str {
        self.email.as_deref().unwrap_or("a stranger")
    }

    fn judge_facts(&self, facts: &PgadminFacts) -> Verdict {
        let at = &self.at;
        let mut faults = Faults::default();
        if let Some(range) = &self.version {
            let holds = range.holds(&facts.version) == Some(true);
            faults.unless(holds, format!("version {range}"), format!("pgadmin {at} is version {}", facts.version));
        }
        for server in &self.servers {
            self.judge_server(server, facts.servers.as_deref().unwrap_or_default(), &mut faults);
        }
        let logout = match &facts.logout {
            Logout::Done => String::new(),
            Logout::Ignored => format!("pgadmin {at} was logged out of, and its pages still open"),
            Logout::Refused(why) => format!("pgadmin {at} cannot be logged out of: {why}"),
        };
        faults.unless(logout.is_empty(), "a session that is logged out opens nothing", logout);
        faults.or_held(self.sight(facts))
    }

    fn judge_server(&self, wanted: &DatabaseServer, found: &[Registered], faults: &mut Faults) {
        let (at, name) = (&self.at, &wanted.name);
        let namesakes: Vec<&Registered> = found.iter().filter(|server| server.name == *name).collect();
        if namesakes.is_empty() {
            let names: Vec<&str> = found.iter().map(|server| server.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return faults.unless(
                false,
                format!("server {name} is registered"),
                format!("pgadmin {at} has no server {name}; it has {names}"),
            );
        }
        let is_meant = |server: &&&Registered| {
            wanted.group.as_ref().is_none_or(|group| server.group == *group)
                && wanted.host.as_ref().is_none_or(|host| server.host == *host)
        };
        let group = wanted.group.iter().map(|group| format!("in the group {group}"));
        let host = wanted.host.iter().map(|host| format!("on the host {host}"));
        let place: Vec<String> = group.chain(host).collect();
        let places: Vec<String> = namesakes.iter().map(|server| server.place()).collect();
        faults.unless(
            namesakes.iter().any(|server| is_meant(&server)),
            format!("server {name} is {}", place.join(" ")),
            format!("pgadmin {at} has the server {name} {}", places.join(", and ")),
        );
    }

    /// What a claim that holds has shown, in one line.
    fn sight(&self, facts: &PgadminFacts) -> String {
        let names: Vec<&str> = self.servers.iter().map(|server| server.name.as_str()).collect();
        let listed = if names.is_empty() { String::new() } else { format!(", and lists {}", names.join(", ")) };
        format!("pgadmin {} let in {}, is version {}{listed}", self.at, self.who(), facts.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(yaml: &str) -> Pgadmin {
        serde_saphyr::from_str(&format!("{{at: 'pa:80', email: me@example.com, password: {{value: x}}, {yaml}}}"))
            .unwrap()
    }

    fn stranger() -> Pgadmin {
        serde_saphyr::from_str("{at: 'pa:80', expect: denied}").unwrap()
    }

    fn registered(name: &str, group: &str, host: &str) -> Registered {
        Registered { name: name.to_owned(), group: group.to_owned(), host: host.to_owned() }
    }

    fn facts(servers: Vec<Registered>) -> PgadminFacts {
        PgadminFacts { version: "9.18".to_owned(), servers: Some(servers), logout: Logout::Done }
    }

    fn two() -> Vec<Registered> {
        vec![registered("orders", "Servers", "postgres"), registered("ledger", "Back office", "ledger-rw")]
    }

    fn refused(words: &str) -> PgadminAnswer {
        PgadminAnswer::Refused(words.to_owned())
    }

    fn actual(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Broken { actual, .. } => actual,
            Verdict::Held { .. } | Verdict::Unclear { .. } => panic!("not broken: {verdict:?}"),
        }
    }

    const WRONG: &str = "Incorrect username or password.2 more attempts remaining.";
    const LOCKED: &str = "Your account is locked. Please contact the Administrator.";
    const FORGED: &str = "The CSRF token is invalid.";

    #[test]
    fn a_pgadmin_that_lets_in_and_lists_its_servers_holds() {
        for yaml in [
            "servers: [{name: orders}, {name: ledger, group: Back office, host: ledger-rw}], version: ^9",
            "servers: [{name: orders, group: Servers}, {name: ledger, host: ledger-rw}]",
        ] {
            assert_eq!(
                claim(yaml).judge(&PgadminAnswer::Open(facts(two()))),
                Verdict::held("pgadmin pa:80 let in me@example.com, is version 9.18, and lists orders, ledger")
            );
        }
        let unlisted = PgadminFacts { servers: None, ..facts(Vec::new()) };
        assert_eq!(
            claim("version: '>=9.1'").judge(&PgadminAnswer::Open(unlisted)),
            Verdict::held("pgadmin pa:80 let in me@example.com, is version 9.18")
        );
    }

    #[test]
    fn every_part_of_a_claim_can_fail() {
        for (yaml, facts, said) in [
            ("version: <9", facts(two()), "pgadmin pa:80 is version 9.18"),
            ("version: '>=9.20'", facts(two()), "pgadmin pa:80 is version 9.18"),
            ("servers: [{name: sales}]", facts(two()), "pgadmin pa:80 has no server sales; it has orders, ledger"),
            ("servers: [{name: sales}]", facts(Vec::new()), "pgadmin pa:80 has no server sales; it has none"),
            (
                "servers: [{name: orders, group: Back office}]",
                facts(two()),
                "pgadmin pa:80 has the server orders in the group Servers on the host postgres",
            ),
            (
                "servers: [{name: orders, group: Servers, host: other}]",
                facts(two()),
                "pgadmin pa:80 has the server orders in the group Servers on the host postgres",
            ),
            (
                "servers: [{name: archive, host: archive-rw}]",
                facts(vec![registered("archive", "Servers", "")]),
                "pgadmin pa:80 has the server archive in the group Servers on the host that a service file names",
            ),
            (
                "servers: []",
                PgadminFacts { logout: Logout::Ignored, ..facts(Vec::new()) },
                "pgadmin pa:80 was logged out of, and its pages still open",
            ),
        ] {
            assert_eq!(actual(&claim(yaml).judge(&PgadminAnswer::Open(facts))), said, "{yaml}");
        }
        let verdict =
            claim("servers: [{name: orders, group: More, host: other}]").judge(&PgadminAnswer::Open(facts(two())));
        let Verdict::Broken { expected, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(expected, "server orders is in the group More on the host other");
    }

    #[test]
    fn of_namesakes_one_must_be_as_claimed() {
        let both = vec![registered("orders", "Old", "postgres"), registered("orders", "New", "orders-rw")];
        let judged = |yaml: &str| claim(yaml).judge(&PgadminAnswer::Open(facts(both.clone())));
        assert!(matches!(judged("servers: [{name: orders, group: New, host: orders-rw}]"), Verdict::Held { .. }));
        // No one of them is both.
        assert_eq!(
            actual(&judged("servers: [{name: orders, group: New, host: postgres}]")),
            "pgadmin pa:80 has the server orders in the group Old on the host postgres, and in the group New on the host orders-rw"
        );
    }

    #[test]
    fn a_login_that_counts_towards_a_lock_is_not_tried_again() {
        for words in [WRONG, LOCKED, "Incorrect username or password."] {
            let verdict = claim("servers: []").judge(&refused(words));
            let said = format!("pgadmin pa:80 refused the login of me@example.com: {words}");
            assert_eq!(verdict, Verdict::doomed("pgadmin pa:80 lets in me@example.com", said));
        }
        let verdict = claim("servers: []").judge(&refused(FORGED));
        let said = format!("pgadmin pa:80 answered the login of me@example.com with: {FORGED}");
        assert_eq!(verdict, Verdict::broken("pgadmin pa:80 lets in me@example.com", said));
    }

    #[test]
    fn a_stranger_is_denied_by_pgadmins_own_words_alone() {
        let held = stranger().judge(&refused("Incorrect username or password."));
        assert_eq!(
            held,
            Verdict::held("pgadmin pa:80 refused the login of a stranger: Incorrect username or password.")
        );
        for words in [LOCKED, FORGED, "Email/Username is not valid", ""] {
            let verdict = stranger().judge(&refused(words));
            assert!(matches!(&verdict, Verdict::Unclear { why } if why.ends_with("no refusal of access")), "{words}");
        }
        let open = PgadminAnswer::Open(facts(Vec::new()));
        assert_eq!(actual(&stranger().judge(&open)), "pgadmin pa:80 let in a stranger");
    }

    #[test]
    fn a_server_that_cannot_be_talked_to_breaks_being_let_in_and_denies_nothing() {
        let broke = || PgadminAnswer::Unmet(Obstacle::Broke("pgadmin pa:80 answered /login with HTTP 500".to_owned()));
        assert_eq!(actual(&claim("servers: []").judge(&broke())), "pgadmin pa:80 answered /login with HTTP 500");
        assert!(matches!(stranger().judge(&broke()), Verdict::Unclear { .. }));
    }

    #[test]
    fn a_session_that_cannot_be_ended_breaks_it() {
        let left = PgadminFacts { logout: Logout::Refused("HTTP 500".to_owned()), ..facts(Vec::new()) };
        let verdict = claim("servers: []").judge(&PgadminAnswer::Open(left));
        assert_eq!(actual(&verdict), "pgadmin pa:80 cannot be logged out of: HTTP 500");
    }
}
