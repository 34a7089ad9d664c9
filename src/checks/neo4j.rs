//! Neo4j: lets its user in over HTTP and over Bolt, and keeps a node for both.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Obstacle, Verdict, VersionRange};

/// A claim about a Neo4j 5 (or 4.4) that asks for a login, over HTTP and, where that is named, over Bolt. Its discovery document is
/// there for whoever comes and says nothing of its databases; that a statement of the user is run in the database is always part
/// of it, through each of the two that is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Neo4j {
    /// Its HTTP port, 7474 as a rule. Each look talks to one of the servers behind a Service, the next look to the next one.
    pub at: Address,
    /// Its Bolt port, 7687 as a rule: what applications use, and where a node that was made over HTTP must be read.
    #[serde(default)]
    pub bolt: Option<Address>,
    /// Who logs in.
    #[serde(default)]
    pub user: Option<String>,
    /// The password. A login that is refused is not tried again: after three wrong ones (`dbms.security.auth_max_failed_attempts`)
    /// nobody gets in as this user for a while, the applications included.
    #[serde(default)]
    pub password: Option<Credential>,
    /// The database.
    #[serde(default = "neo4j")]
    pub database: String,
    /// Its version.
    #[serde(default)]
    pub version: Option<VersionRange>,
    /// Whether a node is made, read over another connection and deleted; the user must be allowed all of it. What stays are the names
    /// of its label and its properties, the same for all looks: Neo4j forgets no name.
    #[serde(default = "yes")]
    pub writes: bool,
    /// Let in; or kept out, by the code with which Neo4j refuses a login. Who is kept out is a stranger whom each look makes up:
    /// wrong passwords would keep out whoever has an account.
    #[serde(default)]
    pub expect: Access,
}

const fn yes() -> bool {
    true
}

fn neo4j() -> String {
    "neo4j".to_owned()
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Neo4jAnswer {
    /// There was nobody to talk to.
    Unmet(Obstacle),
    /// A statement that anybody who is in may run brought an error through this door: its code, then its words.
    Refused(Neo4jDoor, String),
    /// We were let in.
    Open(Neo4jFacts),
}

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neo4jDoor {
    /// The HTTP API.
    Http,
    /// Bolt.
    Bolt,
}

/// What a server that let us in showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neo4jFacts {
    /// Through which door we came in last.
    pub door: Neo4jDoor,
    /// Its version: `5.26.0`.
    pub version: String,
    /// Where it sends clients for Bolt, if that is not where the claim has it: `bolt://localhost:7687`.
    pub astray: Option<String>,
    /// What came of a node of ours; `None` where none was to be made.
    pub node: Option<Neo4jMade>,
}

/// What came of making a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Neo4jMade {
    /// The server said no.
    Refused(String),
    /// The server said yes.
    Taken(Box<Neo4jNode>),
}

/// A node that a server has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neo4jNode {
    /// What came to us over another connection.
    pub read: Found,
    /// What came over Bolt, where that is claimed.
    pub bolt: Option<Found>,
    /// The error in place of deleting it, or what came to whoever asked afterwards.
    pub deleted: Result<Found, String>,
}

/// What came to somebody who looked for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// What was made.
    Same,
    /// None.
    Nothing,
    /// One with another value.
    Other,
    /// So many, where one was made.
    Many(usize),
    /// An error: its code, then its words.
    Refused(String),
}

impl Found {
    fn words(&self) -> String {
        match self {
            Self::Same => "the node".to_owned(),
            Self::Nothing => "no node".to_owned(),
            Self::Other => "a node with another value".to_owned(),
            Self::Many(count) => format!("{count} nodes"),
            Self::Refused(error) => error.clone(),
        }
    }
}

/// An error begins with its code, which has dots and no colon: `Neo.ClientError.Security.Unauthorized: Invalid credential.`
fn code_of(error: &str) -> &str {
    error.split(':').next().unwrap_or_default()
}

/// The code of a login that is refused ("Neo4j Status Codes"): an unknown user and a wrong password have the same.
const UNAUTHORIZED: &str = "Neo.ClientError.Security.Unauthorized";

/// The code of a login that is not even looked at, after others with wrong passwords.
const LOCKED: &str = "Neo.ClientError.Security.AuthenticationRateLimit";

/// The codes of what is wrong once a login has been taken.
const INSIDE: [&str; 3] = [
    "Neo.ClientError.Database.DatabaseNotFound",
    "Neo.ClientError.Security.CredentialsExpired",
    "Neo.ClientError.Security.Forbidden",
];

impl Claim for Neo4j {
    type Answer = Neo4jAnswer;

    fn judge(&self, answer: &Neo4jAnswer) -> Verdict {
        let (at, who) = (&self.at, self.who());
        let let_in = format!("neo4j {at} lets in {who}");
        match (answer, self.expect) {
            (Neo4jAnswer::Unmet(obstacle), expect) => obstacle.judge(let_in, expect),
            (Neo4jAnswer::Refused(door, error), Access::Allowed) => self.turned_away(*door, error),
            (Neo4jAnswer::Refused(door, error), Access::Denied) if Self::keeps_out(error) => {
                Verdict::held(format!("{} refused {who}: {error}", self.place(*door)))
            }
            (Neo4jAnswer::Refused(door, error), Access::Denied) if Self::is_inside(error) => {
                let place = self.place(*door);
                let actual = format!("{place} let in {who}, and then said {error}");
                Verdict::broken(format!("{place} keeps {who} out"), actual)
            }
            (Neo4jAnswer::Refused(door, error), Access::Denied) => Verdict::unclear(format!(
                "{} answered {who} with {error}; that is no refusal of access",
                self.place(*door)
            )),
            (Neo4jAnswer::Open(facts), Access::Denied) => {
                let place = self.place(facts.door);
                Verdict::broken(format!("{place} keeps {who} out"), format!("{place} let in {who}"))
            }
            (Neo4jAnswer::Open(facts), Access::Allowed) => self.judge_facts(facts),
        }
    }
}

impl Neo4j {
    /// Whether an error keeps a user out, by its code.
    #[must_use]
    pub fn keeps_out(error: &str) -> bool {
        code_of(error) == UNAUTHORIZED
    }

    /// Whether an error is told to those only who may come in.
    fn is_inside(error: &str) -> bool {
        INSIDE.contains(&code_of(error))
    }

    fn who(&self) -> &str {
        self.user.as_deref().unwrap_or("a stranger")
    }

    fn place(&self, door: Neo4jDoor) -> String {
        match (door, &self.bolt) {
            (Neo4jDoor::Bolt, Some(bolt)) => format!("bolt {bolt}"),
            (Neo4jDoor::Bolt, None) | (Neo4jDoor::Http, _) => format!("neo4j {}", self.at),
        }
    }

    /// Each further try of a wrong password would keep out those who have the right one.
    fn turned_away(&self, door: Neo4jDoor, error: &str) -> Verdict {
        let (place, who) = (self.place(door), self.who());
        let let_in = format!("{place} lets in {who}");
        match code_of(error) {
            UNAUTHORIZED => Verdict::doomed(let_in, format!("{place} refused {who}: {error}")),
            LOCKED => {
                let why = "somebody has tried wrong passwords, and until that is over the right one does not help";
                Verdict::broken(let_in, format!("{place} refused {who}: {error} ({why})"))
            }
            _ => Verdict::broken(
                let_in,
                format!("{place} answered a statement of {who} in database {} with: {error}", self.database),
            ),
        }
    }

    fn judge_facts(&self, facts: &Neo4jFacts) -> Verdict {
        let at = &self.at;
        let mut faults = Faults::default();
        if let Some(range) = &self.version {
            let holds = range.holds(&facts.version) == Some(true);
            faults.unless(holds, format!("version {range}"), format!("neo4j {at} is version {}", facts.version));
        }
        let keeps = format!("neo4j {at} keeps a node");
        match &facts.node {
            None => {}
            Some(Neo4jMade::Refused(error)) => {
                faults.unless(false, keeps, format!("neo4j {at} refused to write: {error}"));
            }
            // What is not what was made is so for whoever asks.
            Some(Neo4jMade::Taken(node)) if node.read != Found::Same => {
                let found = node.read.words();
                faults.unless(false, keeps, format!("neo4j {at} took a node and then had in place of it: {found}"));
            }
            Some(Neo4jMade::Taken(node)) => {
                self.judge_node(node, &mut faults);
                if let Ok(Found::Refused(error)) = &node.deleted {
                    let asked = format!("neo4j {at} was asked for a node that was deleted, and answered {error}");
                    return faults.or_unclear(asked);
                }
            }
        }
        let mut verdict = faults.or_held(self.sight(facts));
        if let Verdict::Held { warnings, .. } = &mut verdict {
            warnings.extend(facts.astray.iter().map(|told| {
                format!("neo4j {at} sends whoever asks it for Bolt to {told} (`server.bolt.advertised_address`)")
            }));
        }
        verdict
    }

    /// A node that is there as it was made.
    fn judge_node(&self, node: &Neo4jNode, faults: &mut Faults) {
        let at = &self.at;
        if let Some(found) = &node.bolt {
            let place = self.place(Neo4jDoor::Bolt);
            faults.unless(
                *found == Found::Same,
                format!("{place} shows what neo4j {at} has"),
                format!("neo4j {at} has a node, and {place} in place of it: {}", found.words()),
            );
        }
        let kept = match &node.deleted {
            Ok(Found::Same | Found::Other | Found::Many(_)) => {
                Some(format!("neo4j {at} said that a node was deleted, and still has it"))
            }
            Ok(Found::Nothing | Found::Refused(_)) => None,
            Err(error) => Some(format!("neo4j {at} refused to delete a node: {error}")),
        };
        faults.unless(kept.is_none(), "a node that was deleted is gone", kept.unwrap_or_default());
    }

    /// What a claim that holds has shown, in one line.
    fn sight(&self, facts: &Neo4jFacts) -> String {
        let (at, who, version) = (&self.at, self.who(), &facts.version);
        let over = self.bolt.as_ref().map_or_else(String::new, |bolt| format!(", over Bolt at {bolt} as well"));
        let kept = if facts.node.is_some() { ", and kept a node" } else { "" };
        format!("neo4j {at} {version} let in {who}{over}{kept}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Outlook;

    fn claim(more: &str) -> Neo4j {
        serde_saphyr::from_str(&format!("{{at: 'graph:7474', {more}}}")).unwrap()
    }

    const APP: &str = "user: app, password: {value: x}, bolt: 'graph:7687'";
    const WRONG: &str = "Neo.ClientError.Security.Unauthorized: Invalid credential.";
    const AWAY: &str = "Neo.TransientError.General.DatabaseUnavailable: Requested database is not available.";

    fn node() -> Neo4jNode {
        Neo4jNode { read: Found::Same, bolt: Some(Found::Same), deleted: Ok(Found::Nothing) }
    }

    fn facts(node: Option<Neo4jNode>) -> Neo4jFacts {
        let node = node.map(|node| Neo4jMade::Taken(node.into()));
        let version = "5.26.0".to_owned();
        Neo4jFacts { door: Neo4jDoor::Bolt, version, astray: None, node }
    }

    fn judged(facts: Neo4jFacts) -> Verdict {
        claim(APP).judge(&Neo4jAnswer::Open(facts))
    }

    fn actual(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Broken { actual, .. } => actual,
            Verdict::Held { .. } | Verdict::Unclear { .. } => panic!("not broken: {verdict:?}"),
        }
    }

    #[test]
    fn a_server_that_keeps_a_node_holds() {
        let held =
            Verdict::held("neo4j graph:7474 5.26.0 let in app, over Bolt at graph:7687 as well, and kept a node");
        assert_eq!(judged(facts(Some(node()))), held);
        let alone = claim("user: app, password: {value: x}, writes: false");
        assert_eq!(alone.judge(&Neo4jAnswer::Open(facts(None))), Verdict::held("neo4j graph:7474 5.26.0 let in app"));
        assert_eq!(alone.database, "neo4j");
    }

    #[test]
    fn every_part_of_a_node_can_fail() {
        let of = |change: fn(&mut Neo4jNode)| {
            let mut node = node();
            change(&mut node);
            actual(&judged(facts(Some(node)))).to_owned()
        };
        let lost = "neo4j graph:7474 took a node and then had in place of it: ";
        assert_eq!(of(|node| node.read = Found::Nothing), format!("{lost}no node"));
        assert_eq!(of(|node| node.read = Found::Other), format!("{lost}a node with another value"));
        assert_eq!(of(|node| node.read = Found::Many(2)), format!("{lost}2 nodes"));
        assert_eq!(of(|node| node.read = Found::Refused(AWAY.into())), format!("{lost}{AWAY}"));
        let other = "neo4j graph:7474 has a node, and bolt graph:7687 in place of it: no node";
        assert_eq!(of(|node| node.bolt = Some(Found::Nothing)), other);
        assert!(of(|node| node.bolt = Some(Found::Refused(AWAY.into()))).ends_with(AWAY));
        for found in [Found::Same, Found::Other, Found::Many(3)] {
            let kept = judged(facts(Some(Neo4jNode { deleted: Ok(found), ..node() })));
            assert!(actual(&kept).ends_with("said that a node was deleted, and still has it"), "{kept:?}");
        }
        assert_eq!(
            of(|node| node.deleted = Err(AWAY.into())),
            format!("neo4j graph:7474 refused to delete a node: {AWAY}")
        );
    }

    #[test]
    fn whether_a_node_is_gone_is_not_told_by_another_error_unless_something_else_is_wrong_already() {
        let untold = Neo4jNode { deleted: Ok(Found::Refused(AWAY.into())), ..node() };
        let verdict = judged(facts(Some(untold.clone())));
        assert!(matches!(&verdict, Verdict::Unclear { why } if why.ends_with(AWAY)), "{verdict:?}");
        let both = Neo4jNode { bolt: Some(Found::Other), ..untold };
        assert!(actual(&judged(facts(Some(both)))).ends_with("a node with another value"));
    }

    #[test]
    fn a_refused_write_another_version_and_a_way_astray_are_told() {
        let refused = Neo4jFacts { node: Some(Neo4jMade::Refused(AWAY.into())), ..facts(None) };
        assert_eq!(actual(&judged(refused)), format!("neo4j graph:7474 refused to write: {AWAY}"));
        let old = claim(&format!("{APP}, version: '>=5.26'"));
        let verdict = old.judge(&Neo4jAnswer::Open(Neo4jFacts { version: "4.4.38".into(), ..facts(None) }));
        assert_eq!(actual(&verdict), "neo4j graph:7474 is version 4.4.38");
        let unread = old.judge(&Neo4jAnswer::Open(Neo4jFacts { version: "dev".into(), ..facts(None) }));
        assert_eq!(actual(&unread), "neo4j graph:7474 is version dev");
        let astray = Neo4jFacts { astray: Some("bolt://localhost:7687".into()), ..facts(Some(node())) };
        let Verdict::Held { warnings, .. } = judged(astray) else { panic!("not held") };
        assert!(warnings[0].contains(" to bolt://localhost:7687 ("), "{warnings:?}");
    }

    #[test]
    fn a_wrong_password_ends_the_looks_and_all_else_may_heal() {
        let looked = |door, error: &str| claim(APP).judge(&Neo4jAnswer::Refused(door, error.to_owned()));
        let refused = looked(Neo4jDoor::Http, WRONG);
        assert_eq!(actual(&refused), format!("neo4j graph:7474 refused app: {WRONG}"));
        assert!(matches!(refused, Verdict::Broken { outlook: Outlook::Final, .. }));
        let at_bolt = looked(Neo4jDoor::Bolt, WRONG);
        assert_eq!(actual(&at_bolt), format!("bolt graph:7687 refused app: {WRONG}"));
        for (error, words) in [
            ("Neo.ClientError.Security.AuthenticationRateLimit: Please wait 5 seconds.", "somebody has tried wrong"),
            ("Neo.ClientError.Security.CredentialsExpired: must be changed", "in database neo4j with: Neo.ClientError"),
            (AWAY, "answered a statement of app in database neo4j with: Neo.TransientError"),
        ] {
            let verdict = looked(Neo4jDoor::Http, error);
            assert!(actual(&verdict).contains(words), "{verdict:?}");
            assert!(matches!(verdict, Verdict::Broken { outlook: Outlook::MayHeal, .. }), "{error}");
        }
    }

    #[test]
    fn only_a_refused_login_is_a_denial() {
        let denied = claim("bolt: 'graph:7687', expect: denied");
        let held = denied.judge(&Neo4jAnswer::Refused(Neo4jDoor::Bolt, WRONG.into()));
        assert_eq!(held, Verdict::held(format!("bolt graph:7687 refused a stranger: {WRONG}")));
        for error in [AWAY, "Neo.ClientError.Security.AuthenticationRateLimit: x"] {
            let verdict = denied.judge(&Neo4jAnswer::Refused(Neo4jDoor::Http, error.into()));
            assert!(matches!(&verdict, Verdict::Unclear { why } if why.contains(error)), "{verdict:?}");
        }
        // Who is kept out is not told which databases there are.
        let inside = "Neo.ClientError.Database.DatabaseNotFound: Requested database name: 'neo4j'.";
        let verdict = denied.judge(&Neo4jAnswer::Refused(Neo4jDoor::Http, inside.into()));
        assert_eq!(actual(&verdict), format!("neo4j graph:7474 let in a stranger, and then said {inside}"));
        let open = denied.judge(&Neo4jAnswer::Open(facts(None)));
        assert_eq!(actual(&open), "bolt graph:7687 let in a stranger");
        let away = denied.judge(&Neo4jAnswer::Unmet(Obstacle::Broke("neo4j graph:7474 does not answer".into())));
        assert!(matches!(away, Verdict::Unclear { .. }));
    }
}
