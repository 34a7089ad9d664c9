//! The vocabulary of claims: what a suite may say about a platform, and how an answer to it is judged.
//!
//! - Never: a clock, a socket, a cluster, a file. A claim is data and [`Claim::judge`] is a pure function, so every
//!   way a check can fail is a unit test.
//! - Why twins: `checks/x.rs` says what may be claimed of system `x` and `probes/x.rs` how it is observed. A new system
//!   costs these two files, one variant and one arm, and the compiler lists them.

mod address;
mod admission;
mod clickhouse;
mod continuity;
mod contradiction;
mod crd;
mod credential;
mod dns;
mod exec;
mod expect;
mod failover;
mod flyway;
mod helm_test;
mod http;
mod job;
mod kafka;
mod migration;
mod namespace;
mod neo4j;
mod operator;
mod pgadmin;
mod postgres;
mod reach;
mod redis;
mod s3;
mod sentinel;
mod tcp;
mod temporal;
mod trust;
mod verdict;
mod version;
mod workload;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::address::is_dns_label;
pub use self::address::{Address, Host};
pub use self::admission::Admission;
pub use self::clickhouse::{
    Clickhouse, ClickhouseAnswer, ClickhouseCluster, ClickhouseFacts, ClickhouseHost, ClickhouseReplica,
    ReplicatedTable,
};
pub use self::continuity::{Attempt, Gap, Timeline};
pub use self::contradiction::Contradiction;
pub use self::crd::{Crd, CrdAnswer, CrdState};
pub use self::credential::{Credential, SecretKey};
pub use self::dns::{Dns, DnsAnswer, DnsServer, Resolution};
pub use self::exec::{Exec, ExecAnswer, ExecEnd};
pub use self::expect::{Absence, Access, Text};
pub use self::failover::{Committed, Failover, FailoverAnswer, Passage, System};
pub use self::flyway::{Again, Applied, Flyway, FlywayAnswer, FlywayFacts};
pub use self::helm_test::{HelmTest, HelmTestAnswer};
pub use self::http::{BodyEnd, BodyNeed, Http, HttpAnswer, HttpResponse};
pub use self::job::{Job, JobAnswer, Launch, Ran};
pub use self::kafka::{
    Broker, Kafka, KafkaAnswer, KafkaFacts, Mechanism, Partition, Produced, Quorum, Topic, TopicState, Voter,
};
pub use self::migration::Migration;
pub use self::namespace::{Namespace, NamespaceAnswer, NamespaceFound};
pub use self::neo4j::{Found, Neo4j, Neo4jAnswer, Neo4jDoor, Neo4jFacts, Neo4jMade, Neo4jNode};
pub use self::operator::{Operator, OperatorAnswer};
pub use self::pgadmin::{DatabaseServer, Logout, Pgadmin, PgadminAnswer, PgadminFacts, Registered};
pub use self::postgres::{Catalog, Guard, Postgres, PostgresAnswer, PostgresFacts, PostgresRole, Standby};
pub use self::reach::{Obstacle, Written};
pub use self::redis::{Redis, RedisAnswer, RedisFacts, RedisInfo, RedisRole, Replicated};
pub use self::s3::{Given, S3, S3Answer, S3Facts, S3Object, S3Put};
pub use self::sentinel::{Follower, Group, Leader, Opinion, Replica, Sentinel, SentinelAnswer, Watch};
pub use self::tcp::{Tcp, TcpAnswer};
pub use self::temporal::{
    Temporal, TemporalAnswer, TemporalFacts, TemporalResult, TemporalRun, TemporalStart, TemporalTask,
};
pub use self::trust::{Signed, Trust};
pub use self::verdict::{Outlook, Verdict};
pub use self::version::VersionRange;
pub(crate) use self::workload::EVERY;
pub use self::workload::{Workload, WorkloadAnswer};

/// One kind of claim: the answer that a probe brings and how it is judged.
pub trait Claim {
    /// What a probe saw, as plain data.
    type Answer;

    /// Compares what was seen with what is claimed. Pure: the same answer always gets the same verdict.
    fn judge(&self, answer: &Self::Answer) -> Verdict;
}

/// Every claim that a suite can make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A namespace is Active, labelled and usable.
    Namespace(Namespace),
    /// A CustomResourceDefinition is established and served.
    Crd(Crd),
    /// A workload is ready, and ready for its newest specification.
    Workload(Workload),
    /// An operator runs, its CRDs are served and its webhook answers.
    Operator(Operator),
    /// A Job runs to success within its budget.
    Job(Job),
    /// A release's own test hooks pass.
    HelmTest(HelmTest),
    /// The cluster's DNS answers a name.
    Dns(Dns),
    /// An HTTP request gets the answer claimed.
    Http(Http),
    /// A TCP port accepts, or refuses.
    Tcp(Tcp),
    /// A command inside a pod ends as claimed.
    Exec(Exec),
    /// Redis answers, keeps what is written, and has the role claimed.
    Redis(Redis),
    /// Sentinels agree on a Redis master, it leads, and its replicas have what is written to it.
    Sentinel(Sentinel),
    /// Whoever takes writes is deleted, another takes them, and nothing that was acknowledged is lost.
    Failover(Failover),
    /// PostgreSQL answers, keeps what is committed, and has the role claimed.
    Postgres(Postgres),
    /// ClickHouse answers over HTTP and keeps what is inserted, on every replica where there are several.
    Clickhouse(Clickhouse),
    /// S3 takes signed requests, has its buckets, and keeps an object for whoever may have it.
    S3(S3),
    /// Flyway's migrations are in a database as their files have them, and running them again changes nothing.
    Flyway(Flyway),
    /// Kafka's brokers are all there, its partitions are whole, and it keeps records and the offsets of groups.
    Kafka(Kafka),
    /// pgAdmin lets its user in through its login page, and lists the servers that it was told of.
    Pgadmin(Pgadmin),
    /// Neo4j lets its user in over HTTP and over Bolt, and keeps a node for both.
    Neo4j(Neo4j),
    /// Temporal serves, has a namespace, and sees a workflow through.
    Temporal(Temporal),
}

/// How a check is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One look after another until it has converged or its window closes.
    Repeated,
    /// One look that itself waits on a watch, or runs something to its end, as long as the window lasts.
    Once,
}

impl Check {
    /// Whether this check is repeated looks or one that lasts.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        match self {
            Self::Namespace(_) | Self::Workload(_) | Self::Job(_) | Self::HelmTest(_) | Self::Failover(_) => Pace::Once,
            Self::Flyway(claim) if claim.again.is_some() => Pace::Once,
            Self::Crd(_)
            | Self::Operator(_)
            | Self::Dns(_)
            | Self::Http(_)
            | Self::Tcp(_)
            | Self::Exec(_)
            | Self::Redis(_)
            | Self::Sentinel(_)
            | Self::Postgres(_)
            | Self::Clickhouse(_)
            | Self::Flyway(_)
            | Self::Kafka(_)
            | Self::S3(_)
            | Self::Pgadmin(_)
            | Self::Neo4j(_)
            | Self::Temporal(_) => Pace::Repeated,
        }
    }

    /// Whether something is run to its end for it, which takes as long as that does.
    #[must_use]
    pub const fn runs_something(&self) -> bool {
        match self {
            Self::Job(_) | Self::HelmTest(_) | Self::Failover(_) => true,
            Self::Flyway(claim) => claim.again.is_some(),
            Self::Namespace(_)
            | Self::Crd(_)
            | Self::Workload(_)
            | Self::Operator(_)
            | Self::Dns(_)
            | Self::Http(_)
            | Self::Tcp(_)
            | Self::Exec(_)
            | Self::Redis(_)
            | Self::Sentinel(_)
            | Self::Postgres(_)
            | Self::Clickhouse(_)
            | Self::Kafka(_)
            | Self::S3(_)
            | Self::Pgadmin(_)
            | Self::Neo4j(_)
            | Self::Temporal(_) => false,
        }
    }

    /// Whether something is taken from the component for it: it is looked at last, once all else that is claimed has held.
    #[must_use]
    pub const fn disrupts(&self) -> bool {
        matches!(self, Self::Failover(_))
    }

    /// Whether the claim is that we are kept out.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        let expect = match self {
            Self::Http(claim) => claim.expect,
            Self::Tcp(claim) => claim.expect,
            Self::Redis(claim) => claim.expect,
            Self::Postgres(claim) => claim.expect,
            Self::Clickhouse(claim) => claim.expect,
            Self::Kafka(claim) => claim.expect,
            Self::S3(claim) => claim.expect,
            Self::Pgadmin(claim) => claim.expect,
            Self::Neo4j(claim) => claim.expect,
            Self::Namespace(_)
            | Self::Crd(_)
            | Self::Workload(_)
            | Self::Operator(_)
            | Self::Job(_)
            | Self::HelmTest(_)
            | Self::Dns(_)
            | Self::Exec(_)
            | Self::Sentinel(_)
            | Self::Failover(_)
            | Self::Flyway(_)
            | Self::Temporal(_) => return false,
        };
        expect == Access::Denied
    }

    /// The word that the suite file uses for it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "namespace",
            Self::Crd(_) => "crd",
            Self::Workload(_) => "workload",
            Self::Operator(_) => "operator",
            Self::Job(_) => "job",
            Self::HelmTest(_) => "helm-test",
            Self::Dns(_) => "dns",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Exec(_) => "exec",
            Self::Redis(_) => "redis",
            Self::Sentinel(_) => "sentinel",
            Self::Failover(_) => "failover",
            Self::Postgres(_) => "postgres",
            Self::Clickhouse(_) => "clickhouse",
            Self::S3(_) => "s3",
            Self::Flyway(_) => "flyway",
            Self::Kafka(_) => "kafka",
            Self::Pgadmin(_) => "pgadmin",
            Self::Neo4j(_) => "neo4j",
            Self::Temporal(_) => "temporal",
        }
    }
}
