//! Claims at odds with themselves: a part that nothing would ever be held against.
//!
//! - Purpose: refuse it before anything runs. A green would seem to cover what was never looked at.
//! - Never: taste. Each rule is about a part that the judge or the probe cannot take into account.

use super::migration::is_version;
use super::{
    Absence, Access, Address, Check, Clickhouse, Crd, Dns, EVERY, Flyway, Host, Http, Kafka, Namespace, Neo4j,
    Operator, Pgadmin, Postgres, PostgresRole, Redis, RedisRole, S3, Sentinel, System, Tcp, Temporal, Workload,
};

/// One part of a claim that cannot be held against anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The part, by its key in the claim.
    pub key: &'static str,
    /// What is wrong with it.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl Contradiction {
    fn new(key: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { key, what: what.into(), remedy: remedy.into() }
    }
}

impl Check {
    /// Every part of the claim that another part makes meaningless.
    #[must_use]
    pub fn contradictions(&self) -> Vec<Contradiction> {
        match self {
            Self::Namespace(claim) => namespace(claim),
            Self::Crd(claim) => crd(claim),
            Self::Workload(claim) => workload(claim),
            Self::Operator(claim) => operator(claim),
            Self::Dns(claim) => dns(claim),
            Self::Http(claim) => http(claim),
            Self::Tcp(claim) => tcp(claim),
            Self::Redis(claim) => redis(claim),
            Self::Postgres(claim) => postgres(claim),
            Self::Clickhouse(claim) => clickhouse(claim),
            Self::Kafka(claim) => kafka(claim),
            Self::S3(claim) => s3(claim),
            Self::Pgadmin(claim) => pgadmin(claim),
            Self::Neo4j(claim) => neo4j(claim),
            Self::Temporal(claim) => temporal(claim),
            Self::Sentinel(claim) => sentinel(claim),
            Self::Flyway(claim) => flyway(claim),
            Self::Failover(claim) => {
                let own = match &claim.of {
                    System::Sentinel(claim) => sentinel(claim),
                    System::Postgres(claim) => postgres(claim).into_iter().chain(primary(claim)).collect(),
                    System::Kafka(claim) => failing_over(claim),
                };
                own.into_iter().map(|found| Contradiction { key: "of", ..found }).collect()
            }
            Self::Job(_) | Self::HelmTest(_) | Self::Exec(_) => Vec::new(),
        }
    }
}

/// The parts that are written, of those that only something that is there can have.
fn beside_absence(expect: Absence, parts: &[(&'static str, bool)]) -> Vec<Contradiction> {
    let word = match expect {
        Absence::Present => return Vec::new(),
        Absence::Absent => "absent",
        Absence::AbsentWithItsKind => "absent-with-its-kind",
    };
    beside(word, "what is gone", parts)
}

/// The parts that are written, of those that only somebody who is let in can see.
fn beside_denial(expect: Access, parts: &[(&'static str, bool)]) -> Vec<Contradiction> {
    match expect {
        Access::Allowed => Vec::new(),
        Access::Denied => beside("denied", "what keeps us out", parts),
    }
}

fn beside(word: &str, of: &str, parts: &[(&'static str, bool)]) -> Vec<Contradiction> {
    let written = parts.iter().filter(|(_, is_written)| *is_written);
    let contradiction = |(key, _): &(&'static str, bool)| {
        let what = format!("`{key}` means nothing beside `expect: {word}`: it cannot be seen of {of}");
        Contradiction::new(key, what, "remove it, or make it a check of its own without `expect`")
    };
    written.map(contradiction).collect()
}

/// A name that no object can have: absence of it would always hold (apimachinery `validation/name.go`, loosely: names of
/// roles may have colons).
fn impossible(key: &'static str, name: &str) -> Option<Contradiction> {
    let possible = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | ':');
    let what = || format!("no object can be called `{name}`");
    let remedy = "write the name alone, as `kubectl get -o name` has it after the slash";
    (name.is_empty() || !name.chars().all(possible)).then(|| Contradiction::new(key, what(), remedy))
}

fn namespace(claim: &Namespace) -> Vec<Contradiction> {
    let parts = [("labels", !claim.labels.is_empty()), ("quota", !claim.quota.is_empty())];
    beside_absence(claim.expect, &parts)
        .into_iter()
        .chain(claim.name.iter().filter_map(|name| impossible("name", name)))
        .collect()
}

fn crd(claim: &Crd) -> Vec<Contradiction> {
    let mut found = beside_absence(claim.expect, &[("versions", !claim.versions.is_empty())]);
    found.extend(claim.names.iter().filter_map(|name| impossible("names", name)));
    let bare = |name: &&String| !name.contains('.');
    found.extend(claim.names.iter().find(bare).map(|name| {
        let what = format!("no CustomResourceDefinition can be called `{name}`");
        Contradiction::new("names", what, "write its plural with its group, such as `caches.data.example.com`")
    }));
    found
}

fn workload(claim: &Workload) -> Vec<Contradiction> {
    let mut found = beside_absence(claim.expect, &[("replicas", claim.replicas.is_some())]);
    found.extend(impossible("name", &claim.name).filter(|_| claim.name != EVERY));
    if claim.name == EVERY && claim.replicas.is_some() && claim.expect == Absence::Present {
        let what = "`replicas` means nothing beside `name: \"*\"`: several objects have no count in common";
        found.push(Contradiction::new("replicas", what, "remove it, or name the one whose replicas are claimed"));
    }
    found
}

fn operator(claim: &Operator) -> Vec<Contradiction> {
    let both = claim.accepts.is_some() && claim.accepts == claim.denies;
    let contradiction = || {
        let what = "the same object cannot be both accepted and denied";
        Contradiction::new("denies", what, "name two files; they may differ in one field")
    };
    both.then(contradiction).into_iter().collect()
}

fn dns(claim: &Dns) -> Vec<Contradiction> {
    beside_absence(claim.expect, &[("addresses", !claim.addresses.is_empty())])
}

fn http(claim: &Http) -> Vec<Contradiction> {
    if claim.method == "HEAD" && claim.answers.is_some() {
        let what = "`answers` means nothing beside `method: HEAD`: such an answer has no body";
        return vec![Contradiction::new("answers", what, "remove it, or ask with GET")];
    }
    let (Some(status @ 200..300), Access::Denied) = (claim.status, claim.expect) else { return Vec::new() };
    let what = format!("status {status} lets in, and `expect: denied` claims to be kept out");
    let remedy = "write a status that denies, such as the 302 of a login, or leave it out for 401 or 403";
    vec![Contradiction::new("status", what, remedy)]
}

fn tcp(claim: &Tcp) -> Vec<Contradiction> {
    beside_denial(claim.expect, &[("send", claim.send.is_some()), ("answers", claim.answers.is_some())])
}

fn redis(claim: &Redis) -> Vec<Contradiction> {
    let Redis { role, replicas, version, replica, .. } = claim;
    let mut found = beside_denial(
        claim.expect,
        &[
            ("role", role.is_some()),
            ("replicas", replicas.is_some()),
            ("version", version.is_some()),
            ("replica", replica.is_some()),
        ],
    );
    if claim.user.is_some() && claim.password.is_none() {
        let what = "`user` means nothing without `password`: nobody logs in";
        found.push(Contradiction::new("user", what, "add the user's `password`, or remove the user"));
    }
    found.extend(same_server(replica.as_ref(), &claim.at));
    if claim.expect == Access::Denied {
        return found;
    }
    let is_replica = *role == Some(RedisRole::Replica);
    if is_replica && replicas.is_some() {
        let what = "only a master has `replicas`, and `role: replica` claims that this is none";
        found.push(Contradiction::new("replicas", what, "remove it, or claim it of the master"));
    }
    if *replicas == Some(0) {
        let what = "so many replicas are always online";
        found.push(Contradiction::new("replicas", what, "write 1 or more, or leave `replicas` out"));
    }
    if replica.is_some() && (is_replica || !claim.writes) {
        let what = "`replica` means nothing here: no key is written that could appear on it";
        found.push(Contradiction::new("replica", what, "claim it of a master, without `writes: false`"));
    }
    found
}

fn sentinel(claim: &Sentinel) -> Vec<Contradiction> {
    let mut found = Vec::new();
    if let Host::Outside(_) = claim.at.host {
        let what = "Sentinels outside the cluster name servers that cannot be looked up in it";
        found.push(Contradiction::new("at", what, "write their Service: `service:port` or `service.namespace:port`"));
    }
    if claim.sentinels == 0 {
        let what = "no Sentinel names no master";
        found.push(Contradiction::new("sentinels", what, "write 1 or more, or leave `sentinels` out"));
    }
    found
}

/// What keeps a claim from being one about whoever takes writes.
fn primary(claim: &Postgres) -> Option<Contradiction> {
    let takes_writes = claim.expect == Access::Allowed && claim.writes && claim.role != Some(PostgresRole::Replica);
    let what = "a failover is one of whoever takes writes, and this claims something else";
    (!takes_writes).then(|| Contradiction::new("of", what, "claim a primary that lets you in, with its writes"))
}

fn postgres(claim: &Postgres) -> Vec<Contradiction> {
    let Postgres { role, replicas, replica, .. } = claim;
    let mut found = beside_denial(
        claim.expect,
        &[
            ("role", role.is_some()),
            ("replicas", replicas.is_some()),
            ("version", claim.version.is_some()),
            ("replica", replica.is_some()),
            ("databases", !claim.databases.is_empty()),
            ("roles", !claim.roles.is_empty()),
            ("extensions", !claim.extensions.is_empty()),
            ("lag", claim.lag.is_some()),
        ],
    );
    found.extend(same_server(replica.as_ref(), &claim.at));
    for (key, names) in [("databases", &claim.databases), ("roles", &claim.roles), ("extensions", &claim.extensions)] {
        found.extend(names.iter().find_map(|name| nameless(key, name)));
    }
    if claim.expect == Access::Denied {
        return found;
    }
    if *replicas == Some(0) {
        let what = "so many replicas always stream";
        found.push(Contradiction::new("replicas", what, "write 1 or more, or leave `replicas` out"));
    }
    if claim.lag.is_some() && replica.is_none() {
        let what = "`lag` means nothing without `replica`: no row is waited for";
        found.push(Contradiction::new("lag", what, "name the `replica` on which the row must appear, or remove it"));
    }
    let is_replica = *role == Some(PostgresRole::Replica);
    if replica.is_some() && (is_replica || !claim.writes) {
        let what = "`replica` means nothing here: no row is committed that could appear on it";
        found.push(Contradiction::new("replica", what, "claim it of a primary, without `writes: false`"));
    }
    found
}

/// A replica that is the very server whose writes it is to have.
fn same_server(replica: Option<&Address>, at: &Address) -> Option<Contradiction> {
    let what = "`replica` is the address of the server itself: what is written there is always there";
    (replica == Some(at)).then(|| Contradiction::new("replica", what, "write the replica's own address"))
}

fn clickhouse(claim: &Clickhouse) -> Vec<Contradiction> {
    let Clickhouse { version, cluster, replicas, .. } = claim;
    let mut found = beside_denial(
        claim.expect,
        &[
            ("version", version.is_some()),
            ("cluster", cluster.is_some()),
            ("replicas", replicas.is_some()),
            ("lag", claim.lag.is_some()),
        ],
    );
    found.extend(cluster.iter().find_map(|name| nameless("cluster", name)));
    if claim.expect == Access::Denied {
        return found;
    }
    if claim.lag.is_some() && (cluster.is_none() || !claim.writes) {
        let what = "`lag` means nothing here: no row is waited for on replicas";
        found.push(Contradiction::new("lag", what, "claim it of a `cluster`, without `writes: false`, or remove it"));
    }
    match (cluster, replicas) {
        (None, Some(_)) => {
            let what = "`replicas` means nothing without `cluster`: which servers are replicas is what a cluster lists";
            found.push(Contradiction::new("replicas", what, "add the `cluster` as `system.clusters` names it"));
        }
        (Some(_), Some(0)) => {
            found.push(Contradiction::new("replicas", "no shard has 0 replicas", "write how many there are"));
        }
        (None | Some(_), None) | (Some(_), Some(_)) => {}
    }
    found
}

/// A cluster that is to keep us out, or is not written to, cannot be seen to fail over.
fn failing_over(claim: &Kafka) -> Vec<Contradiction> {
    let mut found = kafka(claim);
    if claim.expect == Access::Denied {
        let what = "`expect: denied` means nothing here: records are produced all the while";
        found.push(Contradiction::new("expect", what, "remove it"));
    }
    if claim.brokers == Some(1) {
        let what = "one broker cannot be taken over from";
        found.push(Contradiction::new("brokers", what, "claim this of a cluster with several brokers"));
    }
    found
}

/// Who logs in as nobody is not kept out: a broker that wants a login ends the conversation without a word.
fn kafka(claim: &Kafka) -> Vec<Contradiction> {
    let mut found = beside_denial(
        claim.expect,
        &[
            ("brokers", claim.brokers.is_some()),
            ("quorum", claim.quorum.is_some()),
            ("topics", !claim.topics.is_empty()),
            ("lag", claim.lag.is_some()),
        ],
    );
    match (&claim.user, &claim.password) {
        (Some(_), None) => {
            let what = "`user` means nothing without `password`: nobody logs in";
            found.push(Contradiction::new("user", what, "add the user's `password`, or remove the user"));
        }
        (None, Some(_)) => {
            let what = "`password` means nothing without `user`: nobody logs in";
            found.push(Contradiction::new("password", what, "add the `user`, or remove the password"));
        }
        (None, None) if claim.expect == Access::Denied => {
            let what = "who does not log in is refused without a word, as by any server that breaks off";
            found.push(Contradiction::new("expect", what, "add a `user` and the `password` that is refused"));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    for (key, wanted) in [("brokers", claim.brokers), ("quorum", claim.quorum)] {
        if wanted == Some(0) {
            found.push(Contradiction::new(key, format!("no cluster has 0 {key}"), "write how many there are"));
        }
    }
    found.extend(claim.topics.iter().find_map(|topic| nameless("topics", &topic.name)));
    if claim.topics.iter().any(|topic| topic.partitions == Some(0) || topic.replicas == Some(0)) {
        let what = "every topic has more than 0 partitions and replicas";
        found.push(Contradiction::new("topics", what, "write how many there are at least"));
    }
    if claim.lag.is_some() && claim.quorum.is_none() && claim.expect == Access::Allowed {
        let what = "`lag` means nothing without `quorum`: no voter is looked at";
        found.push(Contradiction::new("lag", what, "add how many voters the `quorum` has, or remove it"));
    }
    found
}

fn s3(claim: &S3) -> Vec<Contradiction> {
    let mut found = beside_denial(claim.expect, &[("buckets", !claim.buckets.is_empty())]);
    found.extend(nameless("access-key", &claim.access_key));
    found.extend(nameless("region", &claim.region));
    found.extend(claim.buckets.iter().find_map(|bucket| nameless("buckets", bucket)));
    found.extend(claim.bucket.iter().find_map(|bucket| nameless("bucket", bucket)));
    found
}

/// Who is kept out is made up: three wrong passwords would lock the account of somebody who is not.
fn made_up(expect: Access, parts: &[(&'static str, bool)]) -> Vec<Contradiction> {
    let of = |(key, is_written): &(&'static str, bool)| match (expect, is_written) {
        (Access::Denied, true) => {
            let what = format!(
                "`{key}` means nothing beside `expect: denied`: a stranger is made up, since wrong passwords lock an account"
            );
            Some(Contradiction::new(key, what, "remove it"))
        }
        (Access::Allowed, false) => {
            let what = format!("nobody logs in without `{key}`");
            let remedy = "add it, or claim with `expect: denied` alone that strangers are kept out";
            Some(Contradiction::new(key, what, remedy))
        }
        (Access::Denied, false) | (Access::Allowed, true) => None,
    };
    parts.iter().filter_map(of).collect()
}

fn pgadmin(claim: &Pgadmin) -> Vec<Contradiction> {
    let parts = [("version", claim.version.is_some()), ("servers", !claim.servers.is_empty())];
    let mut found = beside_denial(claim.expect, &parts);
    found.extend(made_up(claim.expect, &[("email", claim.email.is_some()), ("password", claim.password.is_some())]));
    found.extend(claim.email.iter().find_map(|email| nameless("email", email)));
    found.extend(claim.servers.iter().find_map(|server| nameless("servers", &server.name)));
    found
}

/// What logs in over HTTP ends a name at its first colon (RFC 7617).
fn neo4j(claim: &Neo4j) -> Vec<Contradiction> {
    let mut found = beside_denial(claim.expect, &[("version", claim.version.is_some())]);
    found.extend(made_up(claim.expect, &[("user", claim.user.is_some()), ("password", claim.password.is_some())]));
    found.extend(claim.user.iter().find_map(|user| nameless("user", user)));
    if claim.user.as_ref().is_some_and(|user| user.contains(':')) {
        found.push(Contradiction::new("user", "no name with a colon can log in over HTTP", "name another user"));
    }
    found.extend(nameless("database", &claim.database));
    if claim.bolt.as_ref() == Some(&claim.at) {
        let what = "`bolt` is where HTTP is spoken already";
        found.push(Contradiction::new("bolt", what, "name the port of Bolt, 7687 as a rule, or remove it"));
    }
    found
}

fn temporal(claim: &Temporal) -> Vec<Contradiction> {
    nameless("namespace", &claim.namespace).into_iter().collect()
}

fn flyway(claim: &Flyway) -> Vec<Contradiction> {
    let mut found: Vec<_> = claim.again.iter().filter_map(|name| impossible("again", name)).collect();
    found.extend(nameless("schema", &claim.schema));
    found.extend(nameless("table", &claim.table));
    found.extend(claim.baseline.iter().filter(|version| !is_version(version)).map(|version| {
        let what = format!("`{version}` is no version of a migration");
        Contradiction::new("baseline", what, "write it as the history has it, such as `1` or `2.1`")
    }));
    found
}

/// A name that nothing has.
fn nameless(key: &'static str, name: &str) -> Option<Contradiction> {
    name.is_empty().then(|| Contradiction::new(key, "nothing has an empty name", "write a name, or remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys that are refused.
    fn refused(yaml: &str) -> Vec<&'static str> {
        let check: Check = serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
        check.contradictions().into_iter().map(|found| found.key).collect()
    }

    #[test]
    fn what_cannot_be_held_against_anything_is_refused() {
        for (yaml, keys) in [
            ("namespace: {expect: absent, labels: {a: b}, quota: {pods: '1'}}", &["labels", "quota"][..]),
            ("crd: {names: [a.x], versions: [v1], expect: absent-with-its-kind}", &["versions"]),
            ("workload: {kind: Deployment, name: web, replicas: 0, expect: absent}", &["replicas"]),
            ("workload: {kind: Deployment, name: '*', replicas: 2}", &["replicas"]),
            ("operator: {deployments: [o], accepts: a.yaml, denies: a.yaml}", &["denies"]),
            ("dns: {name: redis, addresses: [10.0.0.1], expect: absent}", &["addresses"]),
            ("http: {at: 'web:80', status: 200, expect: denied}", &["status"]),
            ("tcp: {at: 'db:1', send: x, answers: {equals: y}, expect: denied}", &["send", "answers"]),
            ("http: {at: 'web:80', method: HEAD, answers: {lacks: error}}", &["answers"]),
            ("workload: {kind: Deployment, name: 'w*', expect: absent}", &["name"]),
            ("workload: {kind: Deployment, name: deploy/web, expect: absent}", &["name"]),
            ("workload: {kind: Deployment, name: Web}", &["name"]),
            ("namespace: {name: Data, expect: absent}", &["name"]),
            ("crd: {names: [caches], expect: absent}", &["names"]),
            ("temporal: {at: 't:1', namespace: ''}", &["namespace"]),
        ] {
            assert_eq!(refused(yaml), keys, "{yaml}");
        }
    }

    #[test]
    fn a_bound_that_is_always_kept_is_refused() {
        for (yaml, keys) in [
            ("redis: {at: 'r:1', role: master, replicas: 0}", &["replicas"][..]),
            ("postgres: {at: 'p:1', user: u, replicas: 1, lag: 1s}", &["lag"]),
            ("postgres: {at: 'p:1', user: u, lag: 1s, expect: denied}", &["lag"]),
            ("clickhouse: {at: 'c:1', user: u, lag: 1s, expect: denied}", &["lag"]),
            ("kafka: {at: 'k:1', user: u, password: {value: x}, lag: 1s, expect: denied}", &["lag"]),
            ("clickhouse: {at: 'c:1', user: u, lag: 1s}", &["lag"]),
            ("clickhouse: {at: 'c:1', user: u, cluster: m, writes: false, lag: 1s}", &["lag"]),
            ("kafka: {at: 'k:1', brokers: 3, lag: 1s, topics: [{name: t, replicas: 0}]}", &["topics", "lag"]),
        ] {
            assert_eq!(refused(yaml), keys, "{yaml}");
        }
    }

    #[test]
    fn what_no_server_could_be_held_against_is_refused() {
        for (yaml, keys) in [
            ("redis: {at: 'r:1', role: master, replicas: 1, expect: denied}", &["role", "replicas"][..]),
            ("redis: {at: 'r:1', role: replica, replicas: 1}", &["replicas"]),
            ("redis: {at: 'r:1', writes: false, replica: 's:1'}", &["replica"]),
            ("redis: {at: 'r:1', user: u}", &["user"]),
            ("redis: {at: 'r:1', replica: 'r:1'}", &["replica"]),
            ("postgres: {at: 'p:1', user: u, version: '>=16', expect: denied}", &["version"]),
            ("postgres: {at: 'p:1', user: u, roles: [r], databases: [d], expect: denied}", &["databases", "roles"]),
            ("postgres: {at: 'p:1', user: u, replica: 'p:1'}", &["replica"]),
            ("postgres: {at: 'p:1', user: u, replicas: 0, roles: [r, '']}", &["roles", "replicas"]),
            ("flyway: {at: 'p:1', user: u, migrations: sql, schema: '', table: ''}", &["schema", "table"]),
            ("flyway: {at: 'p:1', user: u, migrations: sql, baseline: V1}", &["baseline"]),
            ("postgres: {at: 'p:1', user: u, writes: false, replica: 'q:1'}", &["replica"]),
            ("postgres: {at: 'p:1', user: u, role: replica, replica: 'q:1'}", &["replica"]),
            (
                "clickhouse: {at: 'c:1', user: u, version: '>=18', cluster: m, replicas: 2, expect: denied}",
                &["version", "cluster", "replicas"],
            ),
            ("clickhouse: {at: 'c:1', user: u, replicas: 2}", &["replicas"]),
            ("clickhouse: {at: 'c:1', user: u, cluster: '', replicas: 0}", &["cluster", "replicas"]),
            ("flyway: {at: 'p:1', user: u, migrations: sql, again: job/migrations}", &["again"]),
            ("failover: {of: {postgres: {at: 'p:1', user: u, writes: false}}}", &["of"]),
            ("failover: {of: {postgres: {at: 'p:1', user: u, role: replica}}}", &["of"]),
            ("failover: {of: {postgres: {at: 'p:1', user: u, expect: denied}}}", &["of"]),
            ("failover: {of: {postgres: {at: 'p:1', user: u, replica: 'p:1'}}}", &["of"]),
            (
                "kafka: {at: 'k:1', user: u, password: {value: x}, brokers: 1, quorum: 1, topics: [{name: t}], expect: denied}",
                &["brokers", "quorum", "topics"],
            ),
            ("kafka: {at: 'k:1', user: u}", &["user"]),
            ("failover: {of: {kafka: {at: 'k:1', user: u, password: {value: x}, expect: denied}}}", &["of"]),
            ("failover: {of: {kafka: {at: 'k:1', brokers: 1}}}", &["of"]),
            ("kafka: {at: 'k:1', password: {value: x}}", &["password"]),
            ("kafka: {at: 'k:1', expect: denied}", &["expect"]),
            ("kafka: {at: 'k:1', brokers: 0, quorum: 0, topics: [{name: ''}]}", &["brokers", "quorum", "topics"]),
            ("s3: {at: 's:1', access-key: a, secret-key: {value: x}, buckets: [b], expect: denied}", &["buckets"]),
            ("s3: {at: 's:1', access-key: '', secret-key: {value: x}, region: ''}", &["access-key", "region"]),
            (
                "s3: {at: 's:1', access-key: a, secret-key: {value: x}, buckets: [b, ''], bucket: ''}",
                &["buckets", "bucket"],
            ),
            (
                "pgadmin: {at: 'p:1', email: a, password: {value: x}, version: ^9, servers: [{name: s}], expect: denied}",
                &["version", "servers", "email", "password"],
            ),
            ("pgadmin: {at: 'p:1'}", &["email", "password"]),
            ("pgadmin: {at: 'p:1', email: '', password: {value: x}, servers: [{name: ''}]}", &["email", "servers"]),
            (
                "neo4j: {at: 'n:1', user: a, password: {value: x}, version: ^5, expect: denied}",
                &["version", "user", "password"],
            ),
            ("neo4j: {at: 'n:1'}", &["user", "password"]),
            (
                "neo4j: {at: 'n:1', bolt: 'n:1', user: '', password: {value: x}, database: ''}",
                &["user", "database", "bolt"],
            ),
            ("neo4j: {at: 'n:1', user: 'a:b', password: {value: x}}", &["user"]),
        ] {
            assert_eq!(refused(yaml), keys, "{yaml}");
        }
    }

    #[test]
    fn what_belongs_together_is_let_be() {
        for yaml in [
            "namespace: {labels: {a: b}}",
            "workload: {kind: Deployment, name: '*', expect: absent}",
            "workload: {kind: ClusterRole, name: 'system:node'}",
            "operator: {deployments: [o], accepts: a.yaml, denies: b.yaml}",
            "http: {at: 'web:80', status: 302, has: {location: {contains: login}}, expect: denied}",
            "tcp: {at: 'db:1', expect: denied}",
            "redis: {at: 'r:1', user: u, password: {value: secret}, expect: denied}",
            "redis: {at: 'r:1', role: master, replicas: 1, replica: 's:1'}",
            "postgres: {at: 'p:1', user: u, role: replica}",
            "postgres: {at: 'p:1', user: u, role: replica, replicas: 1, databases: [d]}",
            "postgres: {at: 'p:1', user: u, role: primary, replicas: 1, replica: 'q:1'}",
            "clickhouse: {at: 'c:1', user: u, version: '>=18'}",
            "clickhouse: {at: 'c:1', user: u, cluster: main, replicas: 2, lag: 1s}",
            "flyway: {at: 'p:1', user: u, migrations: sql, again: migrations, baseline: '2.1'}",
            "failover: {of: {postgres: {at: 'p:1', user: u, role: primary, replicas: 1}}}",
            "failover: {of: {kafka: {at: 'k:1', brokers: 3}}, force: true}",
            "kafka: {at: 'k:1', brokers: 3, quorum: 3, topics: [{name: t, partitions: 1}]}",
            "kafka: {at: 'k:1', user: u, password: {value: x}, mechanism: plain, expect: denied}",
            "s3: {at: 's:1', access-key: a, secret-key: {value: x}, buckets: [b, c], bucket: b}",
            "s3: {at: 's:1', access-key: a, secret-key: {value: x}, bucket: b, expect: denied}",
            "pgadmin: {at: 'p:1', email: a, password: {value: x}, version: ^9, servers: [{name: s, group: g, host: h}]}",
            "pgadmin: {at: 'p:1', expect: denied}",
            "neo4j: {at: 'n:1', bolt: 'n:2', user: a, password: {value: x}, version: ^5, database: orders}",
            "neo4j: {at: 'n:1', bolt: 'n:2', expect: denied}",
            "temporal: {at: 't:1', namespace: orders, version: ^1.29, writes: false, tls: any}",
        ] {
            assert_eq!(refused(yaml), [""; 0], "{yaml}");
        }
    }
}
