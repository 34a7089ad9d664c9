//! What a platform that works goes through now and then, and no check may turn red for.

use std::time::Duration;

use super::{Case, Cases, Deed, Expected, Storm, Whose, dns};
use crate::checks::{Access, Address, Check, Host};
use crate::rehearsal::{Fault, Gust};

/// How many requests a gust hits; of those that must wait a second before they may come again, fewer.
const REQUESTS: usize = 40;
const THROTTLED: usize = 6;

/// The weather at the API server, with what is done before it, so that there is something to wait for.
pub(super) fn of_api(before: &[Deed]) -> Cases {
    let slow = Gust::Delay(Duration::from_millis(200));
    let all = [
        ("api-429", Storm::Gust(Gust::Throttle, THROTTLED)),
        ("api-500-leader-change", Storm::Gust(Gust::Fail, REQUESTS)),
        ("api-503", Storm::Gust(Gust::Unavailable, REQUESTS)),
        ("api-reset", Storm::Gust(Gust::Reset, REQUESTS)),
        ("api-slow", Storm::Gust(slow, REQUESTS)),
        ("api-connections-cut", Storm::Cut),
        ("api-410-expired", Storm::Forget),
    ];
    let case = |(name, storm): (&str, Storm)| Case {
        name: name.to_owned(),
        deeds: before.to_vec(),
        storm: Some(storm),
        expected: Expected::Held,
    };
    Cases(all.map(case).into())
}

/// The same for what is there when it is looked for: no watch is open for long enough to expire.
pub(super) fn of_moment(before: &[Deed]) -> Cases {
    let mut cases = of_api(before);
    cases.0.retain(|case| case.storm != Some(Storm::Forget));
    cases.unclaimed(
        "api-410-expired",
        "what it looks for is there in a moment: no watch is open for long enough to expire",
    );
    cases
}

/// The weather that a check must bear: at the API server, and behind the address that it talks to.
pub(super) fn of_check(check: &Check) -> Cases {
    // Who takes something away writes and asks; nothing is watched.
    let watches = check.runs_something() && !check.disrupts();
    let mut cases = if watches { of_api(&[]) } else { of_moment(&[]) };
    for at in addresses(check) {
        let Host::Service { name, namespace } = &at.host else { continue };
        let whose = Whose::within(namespace.as_deref(), name);
        let late = Deed::Life { whose, fault: Fault::LateEndpoint };
        for (what, deeds) in [("pod-replaced", Vec::new()), ("late-endpoint", vec![late])] {
            let (name, storm) = (format!("{at}-{what}"), Some(Storm::Replace(at.clone())));
            cases.0.push(Case { name, deeds, storm, expected: Expected::Held });
        }
    }
    if let Check::Dns(_) = check {
        cases.held("dns-rolled-out", Deed::Restart(dns::servers()));
    }
    cases
}

/// The servers that a check talks to.
fn addresses(check: &Check) -> Vec<&Address> {
    match check {
        Check::Http(claim) if claim.expect == Access::Allowed => vec![&claim.at],
        // Who only knocks is gone before anything could befall the conversation.
        Check::Tcp(claim) if claim.expect == Access::Allowed && claim.answers.is_some() => vec![&claim.at],
        Check::Redis(claim) => std::iter::once(&claim.at).chain(&claim.replica).collect(),
        Check::Sentinel(claim) => vec![&claim.at],
        Check::Postgres(claim) => vec![&claim.at],
        Check::Clickhouse(claim) => vec![&claim.at],
        Check::Kafka(claim) => vec![&claim.at],
        Check::S3(claim) => vec![&claim.at],
        Check::Pgadmin(claim) => vec![&claim.at],
        Check::Neo4j(claim) => std::iter::once(&claim.at).chain(&claim.bolt).collect(),
        Check::Temporal(claim) => vec![&claim.at],
        Check::Http(_)
        | Check::Tcp(_)
        | Check::Namespace(_)
        | Check::Crd(_)
        | Check::Workload(_)
        | Check::Operator(_)
        | Check::Job(_)
        | Check::HelmTest(_)
        | Check::Failover(_)
        | Check::Dns(_)
        | Check::Exec(_) => Vec::new(),
        // Whether a database has its tables when its pod is made anew is for its storage to say.
        Check::Flyway(_) => Vec::new(),
    }
}
