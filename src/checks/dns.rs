//! Names: what the cluster's DNS answers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::reach::Faults;
use super::{Absence, Claim, Verdict};

/// A claim about one name, asked of every ready pod of the cluster's DNS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The name to ask for. One that ends in a dot is asked as it is; any other is completed as a pod of the
    /// component's namespace would: `redis`, `redis.data`, `redis.data.svc.cluster.local.`. Where that leads out of the
    /// cluster and nobody answers there, the cluster's own domain decides about names that can only be of the cluster.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// Addresses that must be among the answers.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Resolves, or does not (NXDOMAIN).
    #[serde(default)]
    pub expect: Absence,
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let letter = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    let label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(letter);
    if name.len() <= 253 && name.strip_suffix('.').unwrap_or(&name).split('.').all(label) {
        return Ok(name);
    }
    Err(serde::de::Error::custom(format!("`{name}` is not a name; write for instance `redis.data` or `example.com.`")))
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAnswer {
    /// What each ready DNS pod said, by the pod's name.
    pub servers: Vec<DnsServer>,
    /// The namespace that the name lies in, where it is a name of the cluster and that namespace does not exist.
    pub lost_namespace: Option<String>,
    /// Whether it can only be a name of the cluster: no server outside knows more of it.
    pub inside: bool,
}

/// One DNS pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsServer {
    /// `metadata.name`.
    pub pod: String,
    /// What it said.
    pub said: Resolution,
}

/// What one server makes of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It has addresses.
    Found {
        /// The completed name that has them.
        full: String,
        /// IPv4 and IPv6.
        addresses: BTreeSet<IpAddr>,
    },
    /// No form of the name exists (NXDOMAIN).
    NoName {
        /// Why the form that lies outside the cluster could not be asked for, where that is so: `SERVFAIL for a.b.`.
        unasked: Option<String>,
    },
    /// The name exists and has no address (NODATA): a headless Service without ready endpoints.
    NoAddress {
        /// The completed name.
        full: String,
    },
    /// The server could not answer (`SERVFAIL`, `REFUSED`): it has not read the cluster yet, or its upstream is away.
    Failed {
        /// The completed name that it failed at.
        full: String,
        /// The response code.
        code: String,
    },
    /// The server could not be talked to.
    Unmet(String),
}

impl Claim for Dns {
    type Answer = DnsAnswer;

    fn judge(&self, answer: &DnsAnswer) -> Verdict {
        match (self.expect, answer) {
            (Absence::Present, _) => self.judge_present(&answer.servers),
            (Absence::Absent, DnsAnswer { lost_namespace: Some(namespace), .. }) => Verdict::unclear(format!(
                "{} may be misspelt: there is no namespace {namespace}; claim `absent-with-its-kind` if that is right",
                self.name
            )),
            (Absence::Absent | Absence::AbsentWithItsKind, _) => self.judge_absent(&answer.servers, answer.inside),
        }
    }
}

impl Dns {
    fn judge_present(&self, servers: &[DnsServer]) -> Verdict {
        let name = &self.name;
        let mut faults = Faults::default();
        faults.unless(!servers.is_empty(), "a ready DNS pod", "the cluster has no ready DNS pod");
        for DnsServer { pod, said } in servers {
            let Resolution::Found { addresses, .. } = said else {
                faults.unless(false, format!("{name} resolves"), format!("{pod} says: {}", words(name, said)));
                continue;
            };
            let missing: Vec<String> =
                self.addresses.iter().filter(|wanted| !addresses.contains(wanted)).map(ToString::to_string).collect();
            faults.unless(
                missing.is_empty(),
                format!("{name} has {}", missing.join(", ")),
                format!("{pod} says: {}", words(name, said)),
            );
        }
        if let Some((one, other)) = dissent(servers) {
            let says = |server: &DnsServer| format!("{} says: {}", server.pod, words(name, &server.said));
            faults.unless(false, "the same answer of every DNS pod", format!("{}; {}", says(one), says(other)));
        }
        faults.or_held(self.sight(servers))
    }

    /// NODATA is no absence: something has that name. A server that fails, or that nobody can talk to, shows nothing.
    /// Servers outside that cannot be asked matter only where the name may be theirs.
    fn judge_absent(&self, servers: &[DnsServer], inside: bool) -> Verdict {
        let name = &self.name;
        if servers.is_empty() {
            return Verdict::unclear("the cluster has no ready DNS pod that could be asked");
        }
        let mut faults = Faults::default();
        for DnsServer { pod, said } in servers {
            match said {
                Resolution::NoName { unasked: Some(_) } if !inside => {
                    return Verdict::unclear(format!(
                        "{pod} says: {}; write `{name}.svc` for a name of the cluster, `{name}.` for any other",
                        words(name, said)
                    ));
                }
                Resolution::NoName { .. } => {}
                Resolution::Found { .. } | Resolution::NoAddress { .. } => {
                    faults.unless(
                        false,
                        format!("{name} does not exist"),
                        format!("{pod} says: {}", words(name, said)),
                    );
                }
                Resolution::Failed { .. } | Resolution::Unmet(_) => {
                    return Verdict::unclear(format!("{pod} says: {}", words(name, said)));
                }
            }
        }
        faults.or_held(self.sight(servers))
    }

    fn sight(&self, servers: &[DnsServer]) -> String {
        let said = servers.first().map(|server| words(&self.name, &server.said)).unwrap_or_default();
        format!("{said}, say all {} DNS pods", servers.len())
    }
}

/// Two servers that disagree about a name of the cluster. Names outside may well have other addresses at each asking.
fn dissent(servers: &[DnsServer]) -> Option<(&DnsServer, &DnsServer)> {
    let first = servers.first()?;
    let Resolution::Found { full, .. } = &first.said else { return None };
    let differs = |server: &&DnsServer| matches!(server.said, Resolution::Found { .. }) && server.said != first.said;
    full.contains(".svc.").then(|| servers.iter().find(differs)).flatten().map(|other| (first, other))
}

fn words(name: &str, said: &Resolution) -> String {
    match said {
        Resolution::Found { full, addresses } => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("{full} is {}", addresses.join(", "))
        }
        Resolution::NoName { unasked: None } => format!("{name} does not exist (NXDOMAIN)"),
        Resolution::NoName { unasked: Some(why) } => {
            format!("{name} does not exist in the cluster (NXDOMAIN), and outside of it nobody could be asked: {why}")
        }
        Resolution::NoAddress { full } => format!("{full} exists and has no address (NODATA)"),
        Resolution::Failed { full, code } => format!("{code} for {full}"),
        Resolution::Unmet(why) => why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "redis.data.svc.cluster.local.";

    fn claim(yaml: &str) -> Dns {
        serde_saphyr::from_str(&format!("{{name: redis, {yaml}}}")).unwrap()
    }

    fn found(address: &str) -> Resolution {
        Resolution::Found { full: FULL.to_owned(), addresses: BTreeSet::from([address.parse().unwrap()]) }
    }

    const NO_NAME: Resolution = Resolution::NoName { unasked: None };

    fn unasked() -> Resolution {
        Resolution::NoName { unasked: Some("SERVFAIL for redis.".to_owned()) }
    }

    fn failed() -> Resolution {
        Resolution::Failed { full: FULL.to_owned(), code: "SERVFAIL".to_owned() }
    }

    fn answer(said: impl IntoIterator<Item = Resolution>) -> DnsAnswer {
        let servers =
            said.into_iter().enumerate().map(|(i, said)| DnsServer { pod: format!("coredns-{i}"), said }).collect();
        DnsAnswer { servers, lost_namespace: None, inside: true }
    }

    #[test]
    fn a_name_holds_when_every_server_has_it() {
        assert_eq!(
            claim("addresses: [10.0.0.1]").judge(&answer([found("10.0.0.1"), found("10.0.0.1")])),
            Verdict::held("redis.data.svc.cluster.local. is 10.0.0.1, say all 2 DNS pods")
        );
    }

    #[test]
    fn each_way_not_to_resolve_is_told_apart() {
        for (said, words) in [
            (NO_NAME, "coredns-0 says: redis does not exist (NXDOMAIN)"),
            (
                unasked(),
                "coredns-0 says: redis does not exist in the cluster (NXDOMAIN), and outside of it nobody could be asked: \
                 SERVFAIL for redis.",
            ),
            (
                Resolution::NoAddress { full: FULL.to_owned() },
                "coredns-0 says: redis.data.svc.cluster.local. exists and has no address (NODATA)",
            ),
            (failed(), "coredns-0 says: SERVFAIL for redis.data.svc.cluster.local."),
            (Resolution::Unmet("pod refused".to_owned()), "coredns-0 says: pod refused"),
        ] {
            assert_eq!(claim("").judge(&answer([said])), Verdict::broken("redis resolves", words));
        }
    }

    #[test]
    fn one_server_that_disagrees_is_enough_to_break() {
        assert!(matches!(claim("").judge(&answer([found("10.0.0.1"), NO_NAME])), Verdict::Broken { .. }));
        assert!(matches!(claim("").judge(&answer([found("10.0.0.1"), found("10.0.0.2")])), Verdict::Broken { .. }));
        assert!(matches!(claim("addresses: [10.0.0.9]").judge(&answer([found("10.0.0.1")])), Verdict::Broken { .. }));
        assert_eq!(
            claim("").judge(&answer([])),
            Verdict::broken("a ready DNS pod", "the cluster has no ready DNS pod")
        );
    }

    #[test]
    fn absent_is_nxdomain_from_every_server_and_nothing_less() {
        let absent = claim("expect: absent");
        assert!(matches!(absent.judge(&answer([NO_NAME, NO_NAME])), Verdict::Held { .. }));
        assert!(matches!(absent.judge(&answer([NO_NAME, found("10.0.0.1")])), Verdict::Broken { .. }));
        let nodata = Resolution::NoAddress { full: FULL.to_owned() };
        assert!(matches!(absent.judge(&answer([nodata])), Verdict::Broken { .. }));
        assert!(matches!(absent.judge(&answer([failed()])), Verdict::Unclear { .. }));
        assert!(matches!(absent.judge(&answer([])), Verdict::Unclear { .. }));
    }

    #[test]
    fn a_name_in_a_namespace_that_does_not_exist_may_be_misspelt() {
        let lost = DnsAnswer { lost_namespace: Some("daat".to_owned()), ..answer([NO_NAME]) };
        assert!(matches!(claim("expect: absent").judge(&lost), Verdict::Unclear { .. }));
        assert!(matches!(claim("expect: absent-with-its-kind").judge(&lost), Verdict::Held { .. }));
    }

    #[test]
    fn servers_outside_that_cannot_be_asked_decide_nothing_about_a_name_of_the_cluster() {
        let absent = claim("expect: absent");
        assert!(matches!(absent.judge(&answer([unasked()])), Verdict::Held { .. }));
        let open = DnsAnswer { inside: false, ..answer([unasked()]) };
        assert!(matches!(absent.judge(&open), Verdict::Unclear { .. }));
        let told = DnsAnswer { inside: false, ..answer([NO_NAME]) };
        assert!(matches!(absent.judge(&told), Verdict::Held { .. }));
    }

    #[test]
    fn what_is_no_name_is_refused_when_it_is_read() {
        for name in ["''", "'.'", "a..b", "'a b'", "http://a", "'*.a'"] {
            assert!(serde_saphyr::from_str::<Dns>(&format!("{{name: {name}}}")).is_err(), "{name}");
        }
    }
}
