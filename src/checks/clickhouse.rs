//! ClickHouse: answers over HTTP, lets us in, keeps what is inserted, on every replica where there are several.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Guard, Obstacle, Trust, Verdict, VersionRange, Written};
use crate::number::count;
use crate::span::Span;

/// A claim about one ClickHouse server, or about a cluster that it is part of, over the HTTP interface. That `/ping` answers `Ok.` is
/// always part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clickhouse {
    /// Its HTTP port, 8123 as a rule, or 8443 with `tls`. Each look talks to one of the servers behind a Service, the next look to the next one.
    pub at: Address,
    /// User.
    pub user: String,
    /// Its password; an empty one where it is left out. That a user comes in without any is a warning.
    #[serde(default)]
    pub password: Option<Credential>,
    /// Database; the user's own default where it is left out.
    #[serde(default)]
    pub database: Option<String>,
    /// Speak TLS, and trust this: `any`, or `ca` with the place of a certificate in PEM. Its `name` is for
    /// `at`: the certificate of each replica must be for the name by which the cluster lists it.
    #[serde(default)]
    pub tls: Option<Trust>,
    /// Its version.
    #[serde(default)]
    pub version: Option<VersionRange>,
    /// Whether a row is inserted into a MergeTree table of our own, read back over another connection, and the table
    /// dropped; the user must be allowed all of it.
    #[serde(default = "yes")]
    pub writes: bool,
    /// The cluster that it is part of, by its name in `system.clusters`. Each replica of the server's own shard is reached where the
    /// cluster lists it (`host_name`, on the port of `at`), lets the same user in and reaches its Keeper. The table of our own is a
    /// `ReplicatedMergeTree` then, made on each of them with its macro `{replica}`, and the row appears on all. The user must be allowed
    /// to read `system.clusters`, `system.zookeeper` and `system.replicas`; a database whose engine is `Replicated` takes no such table.
    #[serde(default)]
    pub cluster: Option<String>,
    /// How many replicas each shard of the cluster has, exactly.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// How long the row may take to appear on each replica; 2s where it is left out.
    #[serde(default)]
    pub lag: Option<Span>,
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
    /// Of the cluster, or the error that the question for it got; `None` where nothing is claimed of one.
    pub cluster: Option<Result<ClickhouseCluster, String>>,
    /// What came of inserting a row; `None` where none was to be, or a replica could not take it.
    pub written: Option<Written>,
    /// Tables of ours that could not be dropped, and why.
    pub leftovers: Vec<String>,
}

/// What a server showed of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClickhouseCluster {
    /// The names of all clusters that it knows.
    pub known: Vec<String>,
    /// The hosts of the one that is claimed, as it lists them (`system.clusters`).
    pub hosts: Vec<ClickhouseHost>,
    /// The replicas of the shard that it is in.
    pub replicas: Vec<ClickhouseReplica>,
}

/// A host as `system.clusters` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClickhouseHost {
    /// `shard_num`.
    pub shard: u32,
    /// `host_name`.
    pub name: String,
    /// `is_local`: whether the server takes it for itself.
    pub is_local: bool,
}

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClickhouseReplica {
    /// `host_name`.
    pub host: String,
    /// What it showed of the table of ours, where one was made on all replicas; or why it could not take one.
    pub table: Result<Option<ReplicatedTable>, String>,
}

/// A replicated table, as one replica shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicatedTable {
    /// How long after it was inserted the row was there, in milliseconds; `None` where it did not appear.
    pub appeared_ms: Option<u64>,
    /// `is_readonly`.
    pub is_read_only: bool,
    /// `is_session_expired`, of the session with Keeper.
    pub is_session_expired: bool,
    /// `active_replicas`; `None` of a table that is read-only.
    pub active: Option<u32>,
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
    /// How long the row may take to appear on each replica.
    #[must_use]
    pub fn lag(&self) -> Span {
        self.lag.unwrap_or(Span::secs(2))
    }

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
        match &facts.cluster {
            Some(Ok(cluster)) => self.judge_cluster(cluster, facts.written.as_ref(), &mut faults),
            Some(Err(error)) => {
                let actual = format!("clickhouse {at} does not say which clusters it knows: {error}");
                faults.unless(false, "an answer to what system.clusters has", actual);
            }
            None => {}
        }
        let mut verdict = faults.or_held(self.sight(facts));
        let left = facts.leftovers.iter().map(|left| format!("a table of ours was left behind: {left}"));
        match &mut verdict {
            Verdict::Held { warnings, .. } => warnings.extend(self.untested(facts.guard).into_iter().chain(left)),
            Verdict::Broken { actual, .. } => left.for_each(|left| *actual = format!("{actual}; {left}")),
            Verdict::Unclear { .. } => {}
        }
        verdict
    }

    fn judge_cluster(&self, cluster: &ClickhouseCluster, written: Option<&Written>, faults: &mut Faults) {
        let (at, name) = (&self.at, self.cluster.as_deref().unwrap_or_default());
        let hosts = &cluster.hosts;
        if hosts.is_empty() {
            let actual = format!("clickhouse {at} has no cluster {name} in system.clusters, but {}", cluster.known());
            return faults.unless(false, format!("cluster {name}"), actual);
        }
        let mut shards: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        hosts.iter().for_each(|host| shards.entry(host.shard).or_default().push(&host.name));
        for (shard, replicas) in &shards {
            let wanted = self.replicas.map_or(replicas.len(), |wanted| wanted as usize);
            let has = count(replicas.len(), "replica");
            faults.unless(
                replicas.len() == wanted,
                format!("{} in each shard of cluster {name}", count(wanted, "replica")),
                format!("clickhouse {at} has {has} in shard {shard} of cluster {name}: {}", replicas.join(", ")),
            );
        }
        let all: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        faults.unless(
            hosts.iter().any(|host| host.is_local),
            format!("clickhouse {at} is part of cluster {name}"),
            format!("clickhouse {at} takes none of the hosts of cluster {name} for itself: {}", all.join(", ")),
        );
        for replica in &cluster.replicas {
            match &replica.table {
                Ok(Some(table)) => self.judge_table(&replica.host, table, (cluster, written), faults),
                Ok(None) => {}
                Err(why) => {
                    let expected = format!("each replica of cluster {name} takes a replicated table");
                    faults.unless(false, expected, format!("replica {} of cluster {name}: {why}", replica.host));
                }
            }
        }
    }

    fn judge_table(
        &self,
        host: &str,
        table: &ReplicatedTable,
        (cluster, written): (&ClickhouseCluster, Option<&Written>),
        faults: &mut Faults,
    ) {
        let why = if table.is_session_expired { "its session with Keeper has expired" } else { "it is without Keeper" };
        faults.unless(
            !table.is_read_only,
            "a replicated table takes writes on each replica",
            format!("replica {host} is read-only (system.replicas): {why}"),
        );
        let all = u32::try_from(cluster.replicas.len()).unwrap_or(u32::MAX);
        let active = table.active.unwrap_or(all);
        faults.unless(
            active == all,
            "all replicas of a table are active",
            format!("replica {host} knows {active} active of {all} (system.replicas)"),
        );
        let late = match table.appeared_ms {
            Some(ms) if u128::from(ms) <= self.lag().duration().as_millis() => None,
            Some(ms) => Some(format!("replica {host} had the row only {} after it was inserted", Span::millis(ms))),
            None => Some(format!("replica {host} had no such row {} after it was inserted", self.lag())),
        };
        if let (Some(late), Some(Written::Kept)) = (late, written) {
            let expected = format!("a row inserted at {} appears on each replica within {}", self.at, self.lag());
            faults.unless(false, expected, late);
        }
    }

    fn untested(&self, guard: Option<Guard>) -> Option<String> {
        let user = &self.user;
        match guard {
            Some(Guard::Open) => Some(format!("the password was not tested: {user} comes in without one")),
            // A user may be let in from some networks only.
            Some(Guard::OpenToLoopback) => Some(format!(
                "the password was not tested: {user} comes in without one, at least from the server's loopback, where a forward arrives"
            )),
            Some(Guard::Asks) | None => None,
        }
    }

    /// What a claim that holds has shown, in one line.
    fn sight(&self, facts: &ClickhouseFacts) -> String {
        let kept = if facts.written.is_some() { ", and kept an inserted row" } else { "" };
        let among = if facts.written.is_some() { " on" } else { ", one of" };
        let cluster = facts.cluster.iter().flatten().zip(&self.cluster).map(|(cluster, name)| {
            let replicas = count(cluster.replicas.len(), "replica");
            format!("{among} {replicas} of cluster {name}")
        });
        let cluster: String = cluster.collect();
        format!("clickhouse {} is version {}{kept}{cluster}", self.who(), facts.version)
    }
}

impl ClickhouseCluster {
    fn known(&self) -> String {
        if self.known.is_empty() { "none at all".to_owned() } else { self.known.join(", ") }
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
            cluster: None,
            written: Some(written),
            leftovers: Vec::new(),
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
            let leftovers = leftover.map(str::to_owned).into_iter().collect();
            let facts = ClickhouseFacts { guard, leftovers, ..facts(Written::Kept) };
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

    fn host(shard: u32, name: &str, is_local: bool) -> ClickhouseHost {
        ClickhouseHost { shard, name: name.to_owned(), is_local }
    }

    fn table(appeared_ms: Option<u64>) -> ReplicatedTable {
        ReplicatedTable { appeared_ms, is_read_only: false, is_session_expired: false, active: Some(2) }
    }

    fn replica(host: &str, table: Result<Option<ReplicatedTable>, &str>) -> ClickhouseReplica {
        ClickhouseReplica { host: host.to_owned(), table: table.map_err(str::to_owned) }
    }

    /// Two replicas, of which the other showed this.
    fn cluster(other: Result<Option<ReplicatedTable>, &str>) -> ClickhouseCluster {
        ClickhouseCluster {
            known: vec!["main".to_owned(), "test".to_owned()],
            hosts: vec![host(1, "ch-0", true), host(1, "ch-1", false)],
            replicas: vec![replica("ch-0", Ok(Some(table(Some(0))))), replica("ch-1", other)],
        }
    }

    fn judged(yaml: &str, cluster: ClickhouseCluster, written: Option<Written>) -> Verdict {
        let facts = ClickhouseFacts { cluster: Some(Ok(cluster)), written, ..facts(Written::Kept) };
        claim(&format!("cluster: main, {yaml}")).judge(&ClickhouseAnswer::Open(facts))
    }

    #[test]
    fn a_cluster_that_keeps_a_row_on_all_replicas_holds() {
        assert_eq!(
            judged("replicas: 2", cluster(Ok(Some(table(Some(2000))))), Some(Written::Kept)),
            Verdict::held(
                "clickhouse app@ch:8123 is version 25.8.2.29, and kept an inserted row on 2 replicas of cluster main"
            )
        );
        assert_eq!(
            judged("writes: false", cluster(Ok(None)), None),
            Verdict::held("clickhouse app@ch:8123 is version 25.8.2.29, one of 2 replicas of cluster main")
        );
    }

    #[test]
    fn every_part_of_a_claim_about_a_cluster_can_fail_and_names_the_replica() {
        let well = || cluster(Ok(Some(table(Some(2)))));
        let with = |hosts: Vec<ClickhouseHost>| ClickhouseCluster { hosts, ..well() };
        let found = |change: fn(&mut ReplicatedTable)| {
            let mut table = table(Some(2));
            change(&mut table);
            cluster(Ok(Some(table)))
        };
        for (cluster, said) in [
            (with(Vec::new()), "clickhouse ch:8123 has no cluster main in system.clusters, but main, test"),
            (with(vec![host(1, "ch-0", true)]), "clickhouse ch:8123 has 1 replica in shard 1 of cluster main: ch-0"),
            (
                with(vec![host(1, "ch-0", true), host(1, "ch-1", false), host(2, "ch-2", false)]),
                "clickhouse ch:8123 has 1 replica in shard 2 of cluster main: ch-2",
            ),
            (
                with(vec![host(1, "ch-0", false), host(1, "ch-1", false)]),
                "clickhouse ch:8123 takes none of the hosts of cluster main for itself: ch-0, ch-1",
            ),
            (self::cluster(Err("it does not answer")), "replica ch-1 of cluster main: it does not answer"),
            (
                found(|table| table.is_read_only = true),
                "replica ch-1 is read-only (system.replicas): it is without Keeper",
            ),
            (
                found(|table| (table.is_read_only, table.is_session_expired) = (true, true)),
                "replica ch-1 is read-only (system.replicas): its session with Keeper has expired",
            ),
            (found(|table| table.active = Some(1)), "replica ch-1 knows 1 active of 2 (system.replicas)"),
            (found(|table| table.appeared_ms = None), "replica ch-1 had no such row 2s after it was inserted"),
            (
                found(|table| table.appeared_ms = Some(2001)),
                "replica ch-1 had the row only 2s1ms after it was inserted",
            ),
        ] {
            assert_eq!(actual(&judged("replicas: 2", cluster, Some(Written::Kept))), said);
        }
    }

    #[test]
    fn a_server_that_does_not_say_which_clusters_it_knows_is_told_so() {
        let error = "497 app: Not enough privileges".to_owned();
        let facts = ClickhouseFacts { cluster: Some(Err(error)), written: None, ..facts(Written::Kept) };
        let verdict = claim("cluster: main").judge(&ClickhouseAnswer::Open(facts));
        let said = "clickhouse ch:8123 does not say which clusters it knows: 497 app: Not enough privileges";
        assert_eq!(actual(&verdict), said);
    }

    #[test]
    fn that_a_row_is_not_there_is_said_only_where_one_was_kept() {
        let refused = Written::Refused("242 Table is in readonly mode".to_owned());
        let verdict = judged("replicas: 2", cluster(Ok(Some(table(None)))), Some(refused));
        assert_eq!(actual(&verdict), "clickhouse ch:8123 refused to write: 242 Table is in readonly mode");
    }

    #[test]
    fn what_was_left_behind_is_told_of_a_broken_claim_as_well() {
        let leftovers = vec!["seaworthy_1 on ch-1: 242 read-only".to_owned()];
        let facts = ClickhouseFacts { leftovers, ..facts(Written::Lost("no row".to_owned())) };
        let verdict = claim("writes: true").judge(&ClickhouseAnswer::Open(facts));
        let said =
            "took a row and then had no row; a table of ours was left behind: seaworthy_1 on ch-1: 242 read-only";
        assert!(actual(&verdict).ends_with(said), "{verdict:?}");
    }
}
