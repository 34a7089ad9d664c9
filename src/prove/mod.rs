//! What can go wrong with what a check looks at, and what must become of the check: how it is shown that it can fail.
//!
//! - Purpose: for each claim the faults that it says it sees, each with the cause that must be named, and the weather that
//!   it must not mind ([`of_check`], [`of_component`]); whether what became of it is what had to ([`Expected::judge`]).
//! - Never: do any of it. A [`Deed`] is data; the composition root does it to a rehearsal.
//! - Why not in `checks`: a judge that said itself what it sees would be right by definition. What is written here follows
//!   from what a field of a claim means to who writes it. One probed system, one file, as there.
//! - Why words: a check that is red for another reason than the one at hand would be red without it as well.

mod clickhouse;
mod component;
mod crd;
mod dns;
mod exec;
mod failover;
mod flyway;
mod helm_test;
mod http;
mod job;
mod kafka;
mod namespace;
mod neo4j;
mod operator;
mod pgadmin;
mod pods;
mod postgres;
mod proof;
mod reach;
mod redis;
mod s3;
mod sentinel;
mod tcp;
mod temporal;
mod tls;
mod weather;
mod workload;

use serde_json::Value;

use crate::checks::{Address, Check, Text};
use crate::rehearsal::{Fault, Gust};

pub use self::component::{Installed, of_component};
pub use self::proof::{Counts, Outcome, Proof};

/// One thing that is made to go wrong, and what must become of the check.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// A name that stays: `wrong-role`.
    pub name: String,
    /// What is done before the check begins, in this order.
    pub deeds: Vec<Deed>,
    /// What befalls it while it looks.
    pub storm: Option<Storm>,
    /// What must become of the check.
    pub expected: Expected,
}

impl Case {
    /// Nothing goes wrong, and the check has no more time than where something does: it must hold, or that it is red with
    /// a fault says nothing.
    #[must_use]
    pub fn control() -> Self {
        Self { name: "nothing".to_owned(), deeds: Vec::new(), storm: None, expected: Expected::Held }
    }

    /// Whether it is that case.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.deeds.is_empty() && self.storm.is_none() && self.expected == Expected::Held
    }
}

/// One thing that is done to a rehearsal.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Every server behind an address has a fault, by the name that it knows it by.
    Server {
        /// Where; a name without a namespace is in that of the component.
        at: Address,
        /// Its name.
        fault: &'static str,
    },
    /// Every server of the component's namespace that knows a fault of this name has it.
    Servers {
        /// Its name.
        fault: &'static str,
    },
    /// One of the cluster's DNS servers has a fault, and the others are well; or all have it.
    DnsServer {
        /// Its name.
        fault: &'static str,
        /// Whether all have it.
        all: bool,
    },
    /// The hooks of a release that have these names are called something else; it has lost all where none is named.
    Unhook {
        /// The release.
        release: String,
        /// The names.
        only: Vec<String>,
    },
    /// Who says something else than it should says this.
    Words(String),
    /// The kind of a definition, by its name, is served no more, whatever the definition says of itself.
    Unserve(String),
    /// From now on something goes wrong in the life of objects.
    Life {
        /// Of which.
        whose: Whose,
        /// What.
        fault: Fault,
    },
    /// A workload makes its pods anew, as `kubectl rollout restart` does.
    Restart(Object),
    /// An object is changed.
    Merge {
        /// Which.
        object: Object,
        /// A merge patch.
        patch: Value,
    },
    /// What an object says of itself is changed.
    Status {
        /// Which.
        object: Object,
        /// A merge patch of the whole object.
        patch: Value,
    },
    /// An object is deleted.
    Delete(Object),
    /// An object is deleted and created again as it was.
    Recreate(Object),
    /// An object is created.
    Create(Value),
}

/// What befalls a check that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storm {
    /// Each request to the API server is treated badly when it is made for the first time, and gets through when it is made
    /// again; no more than so many.
    Gust(Gust, usize),
    /// Every connection breaks as soon as something is open that lasts: a watch that waits, a connection to a container.
    Cut,
    /// Every watch expires as well.
    Forget,
    /// What serves an address is deleted while it is talked to, and made anew by whom it belongs to.
    Replace(Address),
}

/// Where a check is made.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The namespace of its component.
    pub namespace: &'a str,
    /// The release of its component, if that is one.
    pub release: Option<&'a str>,
    /// How many looks in a row must hold.
    pub in_a_row: u32,
}

/// Which objects a fault is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// What is in a namespace, that of the component where none is given, and is called so.
    Within {
        /// Where.
        namespace: Option<String>,
        /// A name; that of a workload is meant for its pods too. Empty for all.
        name: String,
    },
    /// An object without a namespace.
    Definition(String),
}

impl Whose {
    fn within(namespace: Option<&str>, name: &str) -> Self {
        Self::Within { namespace: namespace.map(str::to_owned), name: name.to_owned() }
    }
}

/// An object of a rehearsal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `Deployment`, or with its API version where it is no built-in kind.
    pub kind: String,
    /// Where; that of the component where none is given and the kind has one.
    pub namespace: Option<String>,
    /// `metadata.name`; `*` for all that are there.
    pub name: String,
}

impl Deed {
    /// A workload is scaled to nothing.
    fn scale_to_zero(object: Object) -> Self {
        Self::Merge { object, patch: serde_json::json!({ "spec": { "replicas": 0 } }) }
    }
}

impl Object {
    /// Whether it is a workload of the kinds whose pods can be doomed.
    fn makes_pods(&self) -> bool {
        matches!(self.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet")
    }

    fn new(kind: &str, namespace: Option<&str>, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: namespace.map(str::to_owned), name: name.to_owned() }
    }
}

/// What must become of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is broken, and all these words are in what it says.
    Broken(Vec<String>),
    /// It could not look, and all these words are in what it says.
    Unclear(Vec<String>),
    /// It holds: this is weather.
    Held,
    /// It holds with a warning that has this in it.
    Warned(&'static str),
    /// It claims nothing of it, because of this; nothing is done.
    Unclaimed(&'static str),
}

/// The faults that a check claims to see where it is made, and those of its system that it does not; then the weather.
#[must_use]
pub fn of_check(check: &Check, setting: Setting<'_>) -> Vec<Case> {
    let mut cases = match check {
        Check::Namespace(claim) => namespace::cases(claim, setting.namespace),
        Check::Crd(claim) => crd::cases(claim),
        Check::Workload(claim) => workload::cases(claim),
        Check::Operator(claim) => operator::cases(claim),
        Check::Job(claim) => job::cases(claim),
        Check::HelmTest(claim) => helm_test::cases(claim, setting.release),
        Check::Dns(claim) => dns::cases(claim, setting.in_a_row),
        Check::Http(claim) => http::cases(claim, setting.in_a_row),
        Check::Tcp(claim) => tcp::cases(claim, setting.in_a_row),
        Check::Exec(claim) => exec::cases(claim),
        Check::Redis(claim) => redis::cases(claim, setting.in_a_row),
        Check::Sentinel(claim) => sentinel::cases(claim, setting.in_a_row),
        Check::Failover(claim) => failover::cases(claim),
        Check::Postgres(claim) => postgres::cases(claim, setting.in_a_row),
        Check::Clickhouse(claim) => clickhouse::cases(claim, setting.in_a_row),
        Check::S3(claim) => s3::cases(claim, setting.in_a_row),
        Check::Flyway(claim) => flyway::cases(claim, setting.in_a_row),
        Check::Kafka(claim) => kafka::cases(claim, setting.in_a_row),
        Check::Pgadmin(claim) => pgadmin::cases(claim, setting.in_a_row),
        Check::Neo4j(claim) => neo4j::cases(claim, setting.in_a_row),
        Check::Temporal(claim) => temporal::cases(claim, setting.in_a_row),
    };
    cases.0.extend(weather::of_check(check).0);
    cases.0.push(Case::control());
    cases.0
}

/// By this deed another text comes than the one that is claimed: one that is not it, or one that it must lack.
fn other_text(cases: &mut Cases, name: &str, wanted: Option<&Text>, deed: &Deed, words: &str, field: &'static str) {
    let other = match wanted {
        None => return cases.unclaimed(name, field),
        Some(Text::Lacks(text)) => text.clone(),
        Some(wanted) => {
            ["It works!", "Nothing to see."].into_iter().find(|text| !wanted.matches(text)).unwrap_or("-").to_owned()
        }
    };
    cases.broken(name, vec![Deed::Words(other), deed.clone()], [words]);
}

/// Whether silence is not what is claimed.
fn wants_words(wanted: Option<&Text>) -> bool {
    matches!(wanted, Some(Text::Contains(_) | Text::Equals(_))) && wanted.is_some_and(|wanted| !wanted.matches(""))
}

/// Cases in the making.
#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, name: impl Into<String>, deeds: impl Deeds, expected: Expected) {
        self.0.push(Case { name: name.into(), deeds: deeds.listed(), storm: None, expected });
    }

    /// Must be broken, naming all of this.
    fn broken<W: AsRef<str>>(
        &mut self,
        name: impl Into<String>,
        deeds: impl Deeds,
        words: impl IntoIterator<Item = W>,
    ) {
        self.add(name, deeds, Expected::Broken(owned(words)));
    }

    /// Must be unclear, naming all of this.
    fn unclear<W: AsRef<str>>(
        &mut self,
        name: impl Into<String>,
        deeds: impl Deeds,
        words: impl IntoIterator<Item = W>,
    ) {
        self.add(name, deeds, Expected::Unclear(owned(words)));
    }

    /// Must be broken where it is claimed, naming this.
    fn broken_if(&mut self, claimed: bool, name: &str, deeds: impl Deeds, words: &str, why_not: &'static str) {
        match claimed {
            true => self.broken(name, deeds, [words]),
            false => self.unclaimed(name, why_not),
        }
    }

    /// Is not claimed to be seen.
    fn unclaimed(&mut self, name: impl Into<String>, why: &'static str) {
        self.add(name, Vec::new(), Expected::Unclaimed(why));
    }

    /// Is weather.
    fn held(&mut self, name: impl Into<String>, deeds: impl Deeds) {
        self.add(name, deeds, Expected::Held);
    }
}

fn owned<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Vec<String> {
    words.into_iter().map(|word| word.as_ref().to_owned()).collect()
}

/// One deed or several.
trait Deeds {
    fn listed(self) -> Vec<Deed>;
}

impl Deeds for Deed {
    fn listed(self) -> Vec<Deed> {
        vec![self]
    }
}

impl Deeds for Vec<Deed> {
    fn listed(self) -> Vec<Deed> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    /// A claim in the suite file's words.
    pub(super) fn check(yaml: &str) -> Check {
        serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}"))
    }

    fn kinds() -> Vec<Check> {
        [
            "namespace: { labels: { a: b }, quota: { pods: '4' } }",
            "namespace: { expect: absent }",
            "crd: { names: [things.example.com], versions: [v1] }",
            "crd: { names: [things.example.com], expect: absent }",
            "workload: { kind: Deployment, name: web, replicas: 2 }",
            "workload: { kind: Node, name: '*' }",
            "workload: { kind: Deployment, name: '*' }",
            "workload: { kind: Deployment, name: web, expect: absent }",
            "workload: { kind: ConfigMap, name: web, expect: absent }",
            "operator: { deployments: [manager], crds: [things.example.com] }",
            "job: { manifest: job.yaml, log: { contains: done } }",
            "helm-test: {}",
            "dns: { name: web }",
            "dns: { name: web.other, addresses: [10.0.0.1] }",
            "dns: { name: web, expect: absent }",
            "http: { at: 'web:80', answers: { equals: hello } }",
            "http: { at: 'web:80', expect: denied }",
            "http: { at: 'web:80', has: { etag: { contains: x } }, answers: { lacks: hello } }",
            "tcp: { at: 'web:80', answers: { contains: hello } }",
            "tcp: { at: 'web:80', expect: denied }",
            "tcp: { at: 'web:80', answers: { lacks: hello } }",
            "exec: { pod: { app: web }, command: ['true'], prints: { contains: x } }",
            "exec: { pod: { app: web }, command: ['true'], prints: { lacks: x } }",
            "redis: { at: 'r:1', password: { secret: { name: auth, key: k } }, role: master, replica: 's:1' }",
            "redis: { at: 'r:1', role: replica, tls: any }",
            "redis: { at: 'r:1', tls: { ca: { env: CA } }, expect: denied }",
            "redis: { at: 'r:1', password: { value: wrong }, expect: denied }",
            "postgres: { at: 'p:1', user: app, role: primary }",
            "postgres: { at: 'p:1', user: app, role: replica, tls: { ca: { secret: { name: tls, key: ca.crt } } } }",
            "postgres: { at: 'p:1', user: app, expect: denied }",
            "clickhouse: { at: 'c:1', user: app, password: { secret: { name: auth, key: k } }, version: '>=18' }",
            "clickhouse: { at: 'c:1', user: app, writes: false }",
            "clickhouse: { at: 'c:1', user: app, cluster: main, replicas: 2 }",
            "clickhouse: { at: 'c:1', user: app, cluster: main, writes: false }",
            "clickhouse: { at: 'c:1', user: app, password: { value: wrong }, expect: denied }",
            "kafka: { at: 'k:1', brokers: 3, quorum: 3, topics: [{ name: t, partitions: 3, replicas: 3 }] }",
            "kafka: { at: 'k:1', user: app, password: { secret: { name: auth, key: k } }, writes: false }",
            "kafka: { at: 'k:1', user: app, password: { value: wrong }, expect: denied }",
            "s3: { at: 's:1', access-key: app, secret-key: { secret: { name: auth, key: k } }, buckets: [b] }",
            "s3: { at: 's:1', access-key: app, secret-key: { value: x }, writes: false }",
            "s3: { at: 's:1', access-key: app, secret-key: { value: wrong }, expect: denied }",
            "failover: { of: { kafka: { at: 'k:1', brokers: 3 } } }",
            "pgadmin: { at: 'a:1', email: me, password: { value: x }, servers: [{ name: s, group: g, host: h }] }",
            "pgadmin: { at: 'a:1', email: me, password: { secret: { name: auth, key: k } }, version: ^9 }",
            "pgadmin: { at: 'a:1', expect: denied }",
            "neo4j: { at: 'n:1', bolt: 'n:2', user: app, password: { secret: { name: auth, key: k } }, version: ^5 }",
            "neo4j: { at: 'n:1', user: app, password: { value: x }, writes: false }",
            "neo4j: { at: 'n:1', bolt: 'n:2', expect: denied }",
            "neo4j: { at: 'n:1', expect: denied }",
            "temporal: { at: 't:1', version: ^1.29 }",
            "temporal: { at: 't:1', namespace: orders, writes: false, tls: any }",
            "flyway: { at: 'p:1', user: app, migrations: sql }",
            "flyway: { at: 'p:1', user: app, password: { value: x }, migrations: sql, again: migrations }",
        ]
        .map(check)
        .into()
    }

    const SETTING: Setting<'_> = Setting { namespace: "data", release: Some("web"), in_a_row: 2 };

    #[test]
    fn every_kind_of_claim_has_a_fault_that_it_sees_and_weather_that_it_bears() {
        for check in kinds() {
            let cases = of_check(&check, SETTING);
            let red = |case: &&Case| matches!(case.expected, Expected::Broken(_) | Expected::Unclear(_));
            assert!(cases.iter().filter(red).count() > 0, "{check:?}");
            assert!(cases.iter().any(|case| case.expected == Expected::Held), "{check:?}");
            for case in cases.iter().filter(|case| !matches!(case.expected, Expected::Unclaimed(_))) {
                let does = case.deeds.len() + case.storm.iter().count() > 0 || case.is_control();
                assert!(does, "{} of {check:?} does nothing", case.name);
            }
            for case in cases.iter().filter(red) {
                let (Expected::Broken(words) | Expected::Unclear(words)) = &case.expected else { unreachable!() };
                assert!(words.iter().any(|word| word.len() > 2), "{} of {check:?} names no cause", case.name);
            }
        }
    }

    #[test]
    fn no_two_cases_of_a_check_have_one_name() {
        for check in kinds() {
            let mut names: Vec<String> = of_check(&check, SETTING).into_iter().map(|case| case.name).collect();
            let all = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), all, "{check:?}");
        }
    }
}
