//! Kafka: brokers that are all there and reached where they say they are, partitions that are whole, records and offsets that are
//! kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Obstacle, Trust, Verdict, Written};
use crate::number::count;
use crate::span::Span;

/// A claim about a Kafka cluster. Always part of it: each broker that it knows is reached, and lets us in, at the address that the
/// broker advertises; each partition of each topic that we may see has a leader and all its replicas in sync.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// Where a client begins (`bootstrap.servers`). Each look begins at one of the brokers behind a Service, the next look at the next
    /// one; the others are dialled where they advertise themselves.
    pub at: Address,
    /// User (SASL); nobody logs in where it is left out.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Credential>,
    /// How it is proven (`sasl.mechanism`).
    #[serde(default)]
    pub mechanism: Mechanism,
    /// Speak TLS, and trust this: `any`, or `ca` with the place of a certificate in PEM. Its `name` is for where a client begins: the
    /// certificate of each broker must be for the name or address that it advertises.
    #[serde(default)]
    pub tls: Option<Trust>,
    /// How many brokers are registered, exactly.
    #[serde(default)]
    pub brokers: Option<u32>,
    /// How many voters the quorum of controllers has (KRaft), exactly; one of them leads, and none is behind.
    #[serde(default)]
    pub quorum: Option<u32>,
    /// How far a voter may be behind the one that leads; 5s where it is left out.
    #[serde(default)]
    pub lag: Option<Span>,
    /// Topics that are there.
    #[serde(default)]
    pub topics: Vec<Topic>,
    /// Whether a topic of our own is made, records are produced to it with `acks=all`, a group of our own reads them over other
    /// connections and commits how far it has come, and both are deleted; the user must be allowed all of it. And whether a topic
    /// that does not exist is said to be unknown.
    #[serde(default = "yes")]
    pub writes: bool,
    /// Let in, or kept out (`SASL_AUTHENTICATION_FAILED`).
    #[serde(default)]
    pub expect: Access,
}

/// A topic that must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions it has, at least.
    #[serde(default)]
    pub partitions: Option<u32>,
    /// How many replicas each of its partitions has, at least.
    #[serde(default)]
    pub replicas: Option<u32>,
}

/// How a password is proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// `SCRAM-SHA-512`: the password itself is never sent.
    #[default]
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
    /// `SCRAM-SHA-256`.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// `PLAIN`: the password is sent as it is.
    Plain,
}

impl Mechanism {
    /// The name by which brokers know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }
}

const fn yes() -> bool {
    true
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KafkaAnswer {
    /// There was nobody to talk to.
    Unmet(Obstacle),
    /// The broker refused the login: the name of its error, then its words.
    Refused(String),
    /// We were let in.
    Open(KafkaFacts),
}

/// What a cluster that let us in showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaFacts {
    /// The brokers that it knows.
    pub brokers: Vec<Broker>,
    /// The quorum of controllers, or the error that the question got; `None` where nothing is claimed of it.
    pub quorum: Option<Result<Quorum, String>>,
    /// Every topic that we may see, but for those of probes.
    pub topics: Vec<TopicState>,
    /// Those that are claimed and that no broker tells us about, though not because they are unknown: each with the error.
    pub hidden: Vec<(String, String)>,
    /// What came of producing; `None` where nothing was to be produced, or a broker was not met.
    pub produced: Option<Produced>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// `node.id`.
    pub id: i32,
    /// Where it says that it is: `kafka-0.kafka-headless:9092`.
    pub advertised: String,
    /// Whether it was reached there and let us in; else why not.
    pub met: Result<(), String>,
}

/// Those who keep the cluster's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Who leads, and has said all of this: nobody else does.
    pub leader: i32,
    /// Who may vote.
    pub voters: Vec<Voter>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// `node.id`.
    pub id: i32,
    /// How far it is behind the one that leads, in milliseconds; `None` where it has never caught up with that one.
    pub behind_ms: Option<u64>,
}

/// A topic as the cluster has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// Its name.
    pub name: String,
    /// Its partitions, in their order.
    pub partitions: Vec<Partition>,
}

/// A partition as the cluster has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub index: i32,
    /// The broker that leads it; `None` where none does.
    pub leader: Option<i32>,
    /// The brokers that are to have it.
    pub replicas: Vec<i32>,
    /// Those that have all of it.
    pub in_sync: Vec<i32>,
}

/// What came of producing and consuming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// What was said of a topic that does not exist, where it was not said to be unknown.
    pub unknown: Result<(), String>,
    /// What became of the records.
    pub records: Written,
    /// What became of the offsets that a group committed; `None` where no record was kept.
    pub offsets: Option<Written>,
    /// What of ours could not be removed, and why.
    pub leftovers: Vec<String>,
}

/// The most of a list that is told.
const TOLD: usize = 6;

impl Claim for Kafka {
    type Answer = KafkaAnswer;

    fn judge(&self, answer: &KafkaAnswer) -> Verdict {
        let who = self.who();
        match (answer, self.expect) {
            (KafkaAnswer::Unmet(obstacle), expect) => obstacle.judge(format!("kafka {who} answers"), expect),
            (KafkaAnswer::Refused(error), Access::Allowed) => {
                // Not final: what creates users does so after the brokers have begun to answer.
                Verdict::broken(format!("kafka {who} is let in"), format!("kafka {who} refused the login: {error}"))
            }
            (KafkaAnswer::Refused(error), Access::Denied) if keeps_out(error) => {
                Verdict::held(format!("kafka {who} refused the login: {error}"))
            }
            (KafkaAnswer::Refused(error), Access::Denied) => {
                Verdict::unclear(format!("kafka {who} answered the login with {error}; that is no refusal of access"))
            }
            (KafkaAnswer::Open(_), Access::Denied) => {
                Verdict::broken(format!("kafka {who} is kept out"), format!("kafka {who} was let in"))
            }
            (KafkaAnswer::Open(facts), Access::Allowed) => self.judge_facts(facts),
        }
    }
}

/// Whether an error keeps a user out. That a broker does not have the mechanism says nothing of the user.
fn keeps_out(error: &str) -> bool {
    error.split(' ').next() == Some("SASL_AUTHENTICATION_FAILED")
}

impl Kafka {
    /// How far a voter may be behind the one that leads.
    #[must_use]
    pub fn lag(&self) -> Span {
        // Voters that follow fetch at least twice a second; one that has heard nothing for 2 s asks for another leader
        // (`controller.quorum.fetch.timeout.ms`).
        self.lag.unwrap_or(Span::secs(5))
    }

    fn who(&self) -> String {
        self.user.as_ref().map_or_else(|| self.at.to_string(), |user| format!("{user}@{}", self.at))
    }

    fn judge_facts(&self, facts: &KafkaFacts) -> Verdict {
        let mut faults = Faults::default();
        self.judge_brokers(facts, &mut faults);
        match &facts.quorum {
            Some(Ok(quorum)) => self.judge_quorum(quorum, &mut faults),
            Some(Err(error)) => {
                let actual = format!("kafka {} does not say who its controllers are: {error}", self.at);
                faults.unless(false, "the quorum of controllers is told", actual);
            }
            None => {}
        }
        self.judge_partitions(facts, &mut faults);
        for topic in &self.topics {
            self.judge_topic(topic, facts, &mut faults);
        }
        if let Some(produced) = &facts.produced {
            self.judge_produced(produced, &mut faults);
        }
        let mut verdict = faults.or_held(self.sight(facts));
        if let (Verdict::Held { warnings, .. }, Some(produced)) = (&mut verdict, &facts.produced) {
            warnings.extend(produced.leftovers.iter().map(|left| format!("something of ours was left behind: {left}")));
        }
        verdict
    }

    fn judge_brokers(&self, facts: &KafkaFacts, faults: &mut Faults) {
        let (at, brokers) = (&self.at, &facts.brokers);
        let are: Vec<i32> = brokers.iter().map(|broker| broker.id).collect();
        let has = match brokers.len() {
            0 => format!("kafka {at} knows no broker"),
            n => format!("kafka {at} has {} ({})", count(n, "broker"), ids(&are)),
        };
        let missing = missing(facts, &are);
        match self.brokers {
            Some(wanted) => {
                let actual = format!("{has}{missing}");
                faults.unless(brokers.len() == wanted as usize, count(wanted as usize, "broker"), actual);
            }
            None => faults.unless(!brokers.is_empty(), "brokers", has),
        }
        for (n, broker) in brokers.iter().enumerate() {
            let Broker { id, advertised, met } = broker;
            let same = brokers[..n].iter().find(|other| other.advertised == *advertised);
            let other = same.map_or(-1, |other| other.id);
            faults.unless(
                same.is_none(),
                "each broker has an address of its own",
                format!("brokers {other} and {id} both advertise {advertised} (`advertised.listeners`)"),
            );
            if let Err(why) = met {
                let actual = format!("broker {id} advertises {advertised} (`advertised.listeners`): {why}");
                faults.unless(false, "each broker is reached where it says that it is", actual);
            }
        }
    }

    fn judge_quorum(&self, quorum: &Quorum, faults: &mut Faults) {
        let (at, wanted) = (&self.at, self.quorum.unwrap_or_default());
        let voters: Vec<i32> = quorum.voters.iter().map(|voter| voter.id).collect();
        faults.unless(
            voters.len() == wanted as usize,
            format!("a quorum of {}", count(wanted as usize, "voter")),
            format!("kafka {at} has a quorum of {} ({})", count(voters.len(), "voter"), ids(&voters)),
        );
        for Voter { id, behind_ms } in &quorum.voters {
            let expected = format!("no voter is more than {} behind", self.lag());
            match behind_ms {
                Some(behind) => {
                    let holds = u128::from(*behind) <= self.lag().duration().as_millis();
                    let behind = Span::millis(*behind);
                    faults.unless(holds, expected, format!("voter {id} is {behind} behind the one that leads"));
                }
                None => {
                    faults.unless(false, expected, format!("voter {id} has never caught up with the one that leads"));
                }
            }
        }
    }

    fn judge_partitions(&self, facts: &KafkaFacts, faults: &mut Faults) {
        let of_all = || facts.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (topic, one)));
        let leaderless = of_all().filter(|(_, one)| one.leader.is_none());
        let leaderless: Vec<String> = leaderless.map(|(topic, one)| one.told(&topic.name)).collect();
        let actual = format!("kafka {}: no broker leads {}", self.at, some(&leaderless));
        faults.unless(leaderless.is_empty(), "a leader of each partition", actual);
        let behind = of_all().filter(|(_, one)| one.leader.is_some() && !one.is_whole());
        let behind: Vec<String> = behind.map(|(topic, one)| one.told(&topic.name)).collect();
        let actual = format!("kafka {} has replicas that are not in sync: {}", self.at, some(&behind));
        faults.unless(behind.is_empty(), "all replicas in sync", actual);
    }

    fn judge_topic(&self, topic: &Topic, facts: &KafkaFacts, faults: &mut Faults) {
        let (at, name) = (&self.at, &topic.name);
        let Some(state) = facts.topics.iter().find(|state| state.name == *name) else {
            let hidden = facts.hidden.iter().find(|(hidden, _)| hidden == name);
            let actual = match hidden {
                Some((_, error)) => format!("kafka {at} tells nothing about topic {name}: {error}"),
                None => format!("kafka {at} has no topic {name}"),
            };
            return faults.unless(false, format!("topic {name}"), actual);
        };
        let partitions = state.partitions.len();
        if let Some(wanted) = topic.partitions {
            faults.unless(
                partitions >= wanted as usize,
                format!("{} of topic {name}", count(wanted as usize, "partition")),
                format!("topic {name} has {}", count(partitions, "partition")),
            );
        }
        if let Some(wanted) = topic.replicas {
            let least = state.partitions.iter().map(|one| one.replicas.len()).min().unwrap_or_default();
            faults.unless(
                least >= wanted as usize,
                format!("{} of each partition of topic {name}", count(wanted as usize, "replica")),
                format!("a partition of topic {name} has {}", count(least, "replica")),
            );
        }
    }

    fn judge_produced(&self, produced: &Produced, faults: &mut Faults) {
        let at = &self.at;
        if let Err(said) = &produced.unknown {
            let actual = format!("kafka {at} was asked for a topic that does not exist, and said {said}");
            faults.unless(false, "a topic that does not exist is unknown (UNKNOWN_TOPIC_OR_PARTITION)", actual);
        }
        let (holds, actual) = match &produced.records {
            Written::Kept => (true, String::new()),
            Written::Lost(found) => (false, format!("kafka {at} acknowledged records and then had {found}")),
            Written::Refused(error) => (false, format!("kafka {at} refused to write: {error}")),
        };
        faults.unless(holds, format!("kafka {at} keeps what is produced"), actual);
        let (holds, actual) = match &produced.offsets {
            Some(Written::Kept) | None => (true, String::new()),
            Some(Written::Lost(found)) => {
                (false, format!("kafka {at} took the offsets of a group and then had {found}"))
            }
            Some(Written::Refused(error)) => (false, format!("kafka {at} serves no group: {error}")),
        };
        faults.unless(holds, format!("kafka {at} keeps how far a group has come"), actual);
    }

    /// What a claim that holds has shown, in one line.
    fn sight(&self, facts: &KafkaFacts) -> String {
        let brokers = count(facts.brokers.len(), "broker");
        let leader = match &facts.quorum {
            Some(Ok(Quorum { leader, voters })) => format!(", {leader} leads {}", count(voters.len(), "voter")),
            Some(Err(_)) | None => String::new(),
        };
        let partitions: usize = facts.topics.iter().map(|topic| topic.partitions.len()).sum();
        let whole = match partitions {
            0 => String::new(),
            n => format!(", {} in sync", count(n, "partition")),
        };
        let kept = if facts.produced.is_some() { ", and kept records and the offsets of a group" } else { "" };
        format!("kafka {} has {brokers}{leader}{whole}{kept}", self.who())
    }
}

impl Partition {
    /// Whether it has a leader, and all its replicas are in sync.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.leader.is_some() && self.replicas.iter().all(|replica| self.in_sync.contains(replica))
    }

    /// `orders-3 (replicas 0, 1, 2, in sync 0)`.
    #[must_use]
    pub fn told(&self, topic: &str) -> String {
        let in_sync = if self.in_sync.is_empty() { "none".to_owned() } else { ids(&self.in_sync) };
        format!("{topic}-{} (replicas {}, in sync {in_sync})", self.index, ids(&self.replicas))
    }
}

/// The brokers that are to have partitions and are not there.
fn missing(facts: &KafkaFacts, are: &[i32]) -> String {
    let replicas = facts.topics.iter().flat_map(|topic| &topic.partitions).flat_map(|one| &one.replicas);
    let mut missing: Vec<i32> = replicas.copied().filter(|replica| !are.contains(replica)).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() { String::new() } else { format!("; partitions are kept by {} as well", ids(&missing)) }
}

fn ids(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

/// The first of them, and how many more there are.
fn some(all: &[String]) -> String {
    let told = all.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ");
    match all.len() {
        n if n > TOLD => format!("{told} and {} more", n - TOLD),
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(yaml: &str) -> Kafka {
        serde_saphyr::from_str(&format!("{{at: 'kafka:9092', user: app, {yaml}}}")).unwrap()
    }

    fn broker(id: i32) -> Broker {
        Broker { id, advertised: format!("kafka-{id}.kafka-headless:9092"), met: Ok(()) }
    }

    fn partition(index: i32, leader: Option<i32>, in_sync: &[i32]) -> Partition {
        Partition { index, leader, replicas: vec![0, 1, 2], in_sync: in_sync.to_vec() }
    }

    fn orders(partitions: Vec<Partition>) -> Vec<TopicState> {
        vec![TopicState { name: "orders".to_owned(), partitions }]
    }

    fn quorum(leader: i32, behind: &[Option<u64>]) -> Option<Result<Quorum, String>> {
        let voters = (0..).zip(behind).map(|(id, behind_ms)| Voter { id, behind_ms: *behind_ms }).collect();
        Some(Ok(Quorum { leader, voters }))
    }

    fn produced(records: Written, offsets: Option<Written>) -> Option<Produced> {
        Some(Produced { unknown: Ok(()), records, offsets, leftovers: Vec::new() })
    }

    fn facts() -> KafkaFacts {
        KafkaFacts {
            brokers: (0..3).map(broker).collect(),
            quorum: None,
            topics: orders(vec![partition(0, Some(1), &[1, 2, 0])]),
            hidden: vec![("secret".to_owned(), "TOPIC_AUTHORIZATION_FAILED".to_owned())],
            produced: produced(Written::Kept, Some(Written::Kept)),
        }
    }

    fn actual(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Broken { actual, .. } => actual,
            Verdict::Held { .. } | Verdict::Unclear { .. } => panic!("not broken: {verdict:?}"),
        }
    }

    #[test]
    fn a_cluster_that_is_whole_and_keeps_records_holds() {
        let whole = KafkaFacts { quorum: quorum(2, &[Some(0), Some(400), Some(0)]), ..facts() };
        let all = "brokers: 3, quorum: 3, topics: [{name: orders, partitions: 1, replicas: 3}]";
        assert_eq!(
            claim(all).judge(&KafkaAnswer::Open(whole)),
            Verdict::held(
                "kafka app@kafka:9092 has 3 brokers, 2 leads 3 voters, 1 partition in sync, and kept records and the offsets of a group"
            )
        );
        let new = KafkaFacts { topics: Vec::new(), produced: None, ..facts() };
        assert_eq!(
            claim("writes: false").judge(&KafkaAnswer::Open(new)),
            Verdict::held("kafka app@kafka:9092 has 3 brokers")
        );
    }

    #[test]
    fn every_part_of_what_is_claimed_of_the_brokers_can_fail() {
        let (two, none) = ((0..2).map(broker).collect::<Vec<_>>(), Vec::new());
        let local = Broker {
            advertised: "localhost:9092".to_owned(),
            met: Err("there is no such Service".into()),
            ..broker(2)
        };
        let twice = Broker { advertised: broker(0).advertised, ..broker(1) };
        for (yaml, brokers, said) in [
            ("brokers: 3", two.clone(), "kafka kafka:9092 has 2 brokers (0, 1); partitions are kept by 2 as well"),
            ("brokers: 1", two, "kafka kafka:9092 has 2 brokers (0, 1); partitions are kept by 2 as well"),
            ("brokers: 3", none.clone(), "kafka kafka:9092 knows no broker; partitions are kept by 0, 1, 2 as well"),
            ("writes: true", none, "kafka kafka:9092 knows no broker"),
            (
                "writes: true",
                vec![local],
                "broker 2 advertises localhost:9092 (`advertised.listeners`): there is no such Service",
            ),
            (
                "writes: true",
                vec![broker(0), twice],
                "brokers 0 and 1 both advertise kafka-0.kafka-headless:9092 (`advertised.listeners`)",
            ),
        ] {
            assert_eq!(actual(&claim(yaml).judge(&KafkaAnswer::Open(KafkaFacts { brokers, ..facts() }))), said);
        }
    }

    #[test]
    fn every_part_of_what_is_claimed_of_the_quorum_can_fail() {
        let well = [Some(0), Some(0), Some(5000)];
        for (quorum, said) in [
            (quorum(0, &well[..2]), "kafka kafka:9092 has a quorum of 2 voters (0, 1)"),
            (quorum(0, &[well[0], Some(5001), well[2]]), "voter 1 is 5s1ms behind the one that leads"),
            (quorum(0, &[well[0], None, well[2]]), "voter 1 has never caught up with the one that leads"),
            (
                Some(Err("CLUSTER_AUTHORIZATION_FAILED".to_owned())),
                "kafka kafka:9092 does not say who its controllers are: CLUSTER_AUTHORIZATION_FAILED",
            ),
        ] {
            assert_eq!(actual(&claim("quorum: 3").judge(&KafkaAnswer::Open(KafkaFacts { quorum, ..facts() }))), said);
        }
    }

    #[test]
    fn every_part_of_what_is_claimed_of_partitions_and_topics_can_fail() {
        let many = (0..9).map(|index| partition(index, None, &[])).collect();
        for (topic, partitions, said) in [
            ("orders", vec![partition(0, None, &[0])], "no broker leads orders-0 (replicas 0, 1, 2, in sync 0)"),
            ("orders", vec![partition(3, Some(0), &[0, 2])], "not in sync: orders-3 (replicas 0, 1, 2, in sync 0, 2)"),
            ("orders", many, "orders-5 (replicas 0, 1, 2, in sync none) and 3 more"),
            ("sales", vec![partition(0, Some(0), &[0, 1, 2])], "kafka kafka:9092 has no topic sales"),
            (
                "secret",
                vec![partition(0, Some(0), &[0, 1, 2])],
                "tells nothing about topic secret: TOPIC_AUTHORIZATION_FAILED",
            ),
            ("orders, partitions: 2", vec![partition(0, Some(0), &[0, 1, 2])], "topic orders has 1 partition"),
            (
                "orders, replicas: 4",
                vec![partition(0, Some(0), &[0, 1, 2])],
                "a partition of topic orders has 3 replicas",
            ),
        ] {
            let open = KafkaAnswer::Open(KafkaFacts { topics: orders(partitions), ..facts() });
            let verdict = claim(&format!("topics: [{{name: {topic}}}]")).judge(&open);
            assert!(actual(&verdict).ends_with(said), "{verdict:?}");
        }
    }

    #[test]
    fn every_part_of_what_is_kept_can_fail() {
        let refused = || Written::Refused("NOT_ENOUGH_REPLICAS".to_owned());
        let lost = || Written::Lost("10 of 12".to_owned());
        for (produced, said) in [
            (produced(refused(), None), "kafka kafka:9092 refused to write: NOT_ENOUGH_REPLICAS"),
            (produced(lost(), None), "kafka kafka:9092 acknowledged records and then had 10 of 12"),
            (produced(Written::Kept, Some(refused())), "kafka kafka:9092 serves no group: NOT_ENOUGH_REPLICAS"),
            (
                produced(Written::Kept, Some(lost())),
                "kafka kafka:9092 took the offsets of a group and then had 10 of 12",
            ),
            (
                produced(Written::Kept, Some(Written::Kept))
                    .map(|one| Produced { unknown: Err("that it has it".to_owned()), ..one }),
                "kafka kafka:9092 was asked for a topic that does not exist, and said that it has it",
            ),
        ] {
            let open = KafkaAnswer::Open(KafkaFacts { produced, ..facts() });
            assert_eq!(actual(&claim("writes: true").judge(&open)), said);
        }
    }

    #[test]
    fn what_was_left_behind_is_a_warning() {
        let left = |one| Produced { leftovers: vec!["topic t: no".to_owned()], ..one };
        let open = KafkaFacts { produced: facts().produced.map(left), ..facts() };
        let verdict = claim("writes: true").judge(&KafkaAnswer::Open(open));
        let Verdict::Held { warnings, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(warnings, ["something of ours was left behind: topic t: no"]);
    }

    #[test]
    fn a_login_is_denied_by_its_own_error_alone() {
        let wrong = "SASL_AUTHENTICATION_FAILED Authentication failed: Invalid username or password";
        let refused = |error: &str| KafkaAnswer::Refused(error.to_owned());
        let (allowed, denied) = (claim("writes: true"), claim("expect: denied"));
        assert!(matches!(denied.judge(&refused(wrong)), Verdict::Held { .. }));
        assert!(actual(&allowed.judge(&refused(wrong))).ends_with(&format!("refused the login: {wrong}")));
        for error in ["UNSUPPORTED_SASL_MECHANISM it has PLAIN", "ILLEGAL_SASL_STATE", ""] {
            assert!(matches!(denied.judge(&refused(error)), Verdict::Unclear { .. }), "{error}");
            assert!(actual(&allowed.judge(&refused(error))).contains("refused the login: "), "{error}");
        }
        let open = KafkaAnswer::Open(facts());
        assert_eq!(actual(&denied.judge(&open)), "kafka app@kafka:9092 was let in");
    }

    #[test]
    fn a_broker_that_cannot_be_talked_to_breaks_being_let_in_and_denies_nothing() {
        let broke = || KafkaAnswer::Unmet(Obstacle::Broke("kafka kafka:9092 does not answer".to_owned()));
        assert_eq!(actual(&claim("writes: true").judge(&broke())), "kafka kafka:9092 does not answer");
        assert!(matches!(claim("expect: denied").judge(&broke()), Verdict::Unclear { .. }));
    }
}
