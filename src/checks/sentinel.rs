//! Redis behind Sentinels: they agree on one master, it leads, and what is written to it appears on its replicas.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Obstacle, RedisRole, Trust, Verdict, Written};
use crate::number::count;
use crate::span::Span;

/// A claim about the Redis servers that one set of Sentinels watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sentinel {
    /// The Sentinels, by their Service; each ready pod behind it is asked.
    pub at: Address,
    /// The name under which they watch the master.
    #[serde(default = "usual")]
    pub master: String,
    /// Password of the Sentinels, if they want one.
    #[serde(default)]
    pub sentinel_password: Option<Credential>,
    /// Password of the Redis servers, if they want one.
    #[serde(default)]
    pub password: Option<Credential>,
    /// Speak TLS, with the Sentinels and with the servers, and trust this: `any`, or `ca` with the place of a certificate in PEM. A
    /// server's certificate must be for the name or address by which it is announced, unless a `name` is given.
    #[serde(default)]
    pub tls: Option<Trust>,
    /// How many Sentinels there must be, at least. Each of them must know of so many.
    #[serde(default = "sentinels")]
    pub sentinels: u32,
    /// How many replicas must follow the master, at least.
    #[serde(default = "replicas")]
    pub replicas: u32,
    /// How long a key that was written to the master may take to appear on each of its replicas.
    #[serde(default = "lag")]
    pub lag: Span,
}

/// The name that the operators and most charts give the master.
fn usual() -> String {
    "mymaster".to_owned()
}

/// The fewest of which a majority is left when one is gone.
const fn sentinels() -> u32 {
    3
}

/// The fewest with which there is somebody to fail over to.
const fn replicas() -> u32 {
    1
}

const fn lag() -> Span {
    Span::secs(2)
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentinelAnswer {
    /// There was no Sentinel to talk to.
    Unmet(Obstacle),
    /// Each Sentinel was asked.
    Asked {
        /// What they said, by pod.
        sentinels: Vec<Opinion>,
        /// The servers, where the Sentinels name one master.
        group: Option<Group>,
    },
}

/// What one Sentinel said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    /// The pod.
    pub pod: String,
    /// How it sees the master, or why it says nothing of it.
    pub said: Result<Watch, String>,
}

/// How a Sentinel sees the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Host name or address of the master.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `flags`: `master`, and what is wrong with it.
    pub flags: String,
    /// How many Sentinels watch it, with this one.
    pub sentinels: u32,
    /// How many replicas it could let lead in place of the master.
    pub heirs: u32,
    /// Whether so many of them are there that a failover could be decided; else the words (`SENTINEL CKQUORUM`).
    pub quorum: Result<(), String>,
}

/// What the servers showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Where the master is, as the Sentinels name it.
    pub place: String,
    /// The master, or why it could not be talked to.
    pub master: Result<Leader, String>,
}

/// A server that is named as master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Its role.
    pub role: RedisRole,
    /// What came of writing a key.
    pub written: Written,
    /// Each replica that it lists as online, where something was kept that could appear on them.
    pub replicas: Vec<Replica>,
    /// How many are online.
    pub online: u32,
    /// How many are attached: who is not online yet has not all of the data.
    pub attached: u32,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Where it is, as its master names it.
    pub place: String,
    /// What it showed, or why it could not be talked to.
    pub found: Result<Follower, String>,
}

/// What a replica showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Its role.
    pub role: RedisRole,
    /// After how many milliseconds the key was there; `None` where it was not in time.
    pub appeared_ms: Option<u64>,
}

impl Watch {
    /// Where the master is.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Whether that is no place where others find it: what Sentinels are told until an operator knows better.
    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// What is wrong with the master as it sees it (`sentinel.c`, `addReplySentinelRedisInstance`).
    fn troubles(&self) -> Vec<&str> {
        let troubles = ["s_down", "o_down", "disconnected", "failover_in_progress", "force_failover"];
        self.flags.split(',').filter(|flag| troubles.contains(flag)).collect()
    }
}

impl Claim for Sentinel {
    type Answer = SentinelAnswer;

    fn judge(&self, answer: &SentinelAnswer) -> Verdict {
        let (sentinels, group) = match answer {
            SentinelAnswer::Unmet(obstacle) => {
                return obstacle.judge(format!("sentinel {} answers", self.at), Access::Allowed);
            }
            SentinelAnswer::Asked { sentinels, group } => (sentinels, group),
        };
        let mut faults = Faults::default();
        let (there, wanted) = (sentinels.len(), self.sentinels as usize);
        faults.unless(
            there >= wanted,
            format!("{} at {}", count(wanted, "sentinel"), self.at),
            format!("{} ready at {}", count(there, "sentinel"), self.at),
        );
        for Opinion { pod, said } in sentinels {
            match said {
                Ok(watch) => self.judge_watch(pod, watch, &mut faults),
                Err(words) => faults.unless(
                    false,
                    format!("sentinel {pod} knows {}", self.master),
                    format!("sentinel {pod} says: {words}"),
                ),
            }
        }
        let named: Vec<(&str, String)> = sentinels.iter().filter_map(named).collect();
        let other = named.iter().find(|(_, place)| *place != named[0].1);
        if let Some((pod, place)) = other {
            let (first, its) = &named[0];
            faults.unless(
                false,
                format!("all sentinels name one {}", self.master),
                format!("sentinel {first} names {its}, and sentinel {pod} names {place}"),
            );
        }
        match group {
            Some(group) => self.judge_group(group, &mut faults),
            // Where nothing else was found wrong, nobody was asked.
            None => faults.unless(!faults.is_empty(), format!("a {}", self.master), "no sentinel names one"),
        }
        faults.or_held(self.sight(sentinels.len(), group.as_ref()))
    }
}

impl Sentinel {
    fn judge_watch(&self, pod: &str, watch: &Watch, faults: &mut Faults) {
        let (master, place) = (&self.master, watch.place());
        faults.unless(
            !watch.is_loopback(),
            format!("{master} is where others find it"),
            format!("sentinel {pod} names {place}, which is its own loopback"),
        );
        let troubles = watch.troubles();
        faults.unless(
            troubles.is_empty(),
            format!("sentinel {pod} sees {master} up"),
            format!("sentinel {pod} sees {master} at {place} as {}", troubles.join(", ")),
        );
        if let Err(words) = &watch.quorum {
            let expected = format!("sentinel {pod} can have a failover decided");
            faults.unless(false, expected, format!("sentinel {pod} says: {words}"));
        }
        let wanted = count(self.sentinels as usize, "sentinel");
        faults.unless(
            watch.sentinels >= self.sentinels,
            format!("sentinel {pod} knows of {wanted}"),
            format!("sentinel {pod} knows of {}", watch.sentinels),
        );
        let heirs = count(self.replicas as usize, "replica");
        faults.unless(
            watch.heirs >= self.replicas,
            format!("sentinel {pod} could let {heirs} lead"),
            format!("sentinel {pod} could let {} lead in place of the master", count(watch.heirs as usize, "replica")),
        );
    }

    fn judge_group(&self, Group { place, master }: &Group, faults: &mut Faults) {
        let leader = match master {
            Ok(leader) => leader,
            Err(words) => {
                return faults.unless(false, format!("the master at {place} lets us in"), words.as_str());
            }
        };
        faults.unless(
            leader.role == RedisRole::Master,
            format!("redis {place} is a master"),
            format!("redis {place} is a replica, and the sentinels name it the master"),
        );
        let keeps = format!("redis {place} keeps what is written");
        match &leader.written {
            Written::Kept => {}
            Written::Refused(error) => {
                faults.unless(false, keeps, format!("redis {place} refused to write: {error}"));
            }
            Written::Lost(found) => {
                faults.unless(false, keeps, format!("redis {place} took a write and then had {found}"));
            }
        }
        let wanted = self.replicas.max(leader.attached);
        faults.unless(
            leader.online >= wanted,
            format!("{} online at redis {place}", count(wanted as usize, "replica")),
            format!("redis {place} has {} online of {} attached", leader.online, leader.attached),
        );
        leader.replicas.iter().for_each(|replica| self.judge_replica(replica, faults));
    }

    fn judge_replica(&self, Replica { place, found }: &Replica, faults: &mut Faults) {
        let follower = match found {
            Ok(follower) => follower,
            Err(words) => return faults.unless(false, format!("the replica at {place} lets us in"), words.as_str()),
        };
        faults.unless(
            follower.role == RedisRole::Replica,
            format!("redis {place} is a replica"),
            format!("redis {place} is a master too"),
        );
        faults.unless(
            follower.appeared_ms.is_some_and(|after| u128::from(after) <= self.lag.duration().as_millis()),
            format!("a key written to {} appears on {place} within {}", self.master, self.lag),
            match follower.appeared_ms {
                Some(after) => format!("redis {place} had the key only {} after it was written", Span::millis(after)),
                None => format!("redis {place} had no key {} after it was written", self.lag),
            },
        );
    }

    /// What a claim that holds has shown, in one line.
    fn sight(&self, sentinels: usize, group: Option<&Group>) -> String {
        let Some(Group { place, master: Ok(leader) }) = group else { return String::new() };
        let lags = leader.replicas.iter().filter_map(|replica| replica.found.as_ref().ok()?.appeared_ms);
        let slowest = lags.max().map_or(String::new(), |ms| format!(" within {}", Span::millis(ms)));
        format!(
            "{} name {place}, which kept a key that appeared on {}{slowest}",
            count(sentinels, "sentinel"),
            count(leader.replicas.len(), "replica"),
        )
    }
}

/// Where a Sentinel says that the master is.
fn named(opinion: &Opinion) -> Option<(&str, String)> {
    let watch = opinion.said.as_ref().ok()?;
    Some((opinion.pod.as_str(), watch.place()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(yaml: &str) -> Sentinel {
        serde_saphyr::from_str(&format!("{{at: 'sentinels:26379', {yaml}}}")).unwrap()
    }

    fn watch() -> Watch {
        Watch {
            host: "10.0.0.1".to_owned(),
            port: 6379,
            flags: "master".to_owned(),
            sentinels: 3,
            heirs: 2,
            quorum: Ok(()),
        }
    }

    fn follower(place: &str) -> Replica {
        let found = Ok(Follower { role: RedisRole::Replica, appeared_ms: Some(7) });
        Replica { place: place.to_owned(), found }
    }

    fn leader() -> Leader {
        Leader {
            role: RedisRole::Master,
            written: Written::Kept,
            replicas: vec![follower("10.0.0.2:6379"), follower("10.0.0.3:6379")],
            online: 2,
            attached: 2,
        }
    }

    fn asked(said: Vec<Result<Watch, String>>, master: Option<Result<Leader, String>>) -> SentinelAnswer {
        let opinion = |(at, said)| Opinion { pod: format!("s-{at}"), said };
        let sentinels = said.into_iter().enumerate().map(opinion).collect();
        let group = master.map(|master| Group { place: "10.0.0.1:6379".to_owned(), master });
        SentinelAnswer::Asked { sentinels, group }
    }

    fn all(watch: &Watch) -> Vec<Result<Watch, String>> {
        vec![Ok(watch.clone()), Ok(watch.clone()), Ok(watch.clone())]
    }

    fn actual(verdict: Verdict) -> String {
        match verdict {
            Verdict::Broken { actual, .. } => actual,
            Verdict::Held { .. } | Verdict::Unclear { .. } => panic!("not broken: {verdict:?}"),
        }
    }

    #[test]
    fn sentinels_that_agree_on_a_master_that_leads_hold() {
        assert_eq!(
            claim("replicas: 2").judge(&asked(all(&watch()), Some(Ok(leader())))),
            Verdict::held("3 sentinels name 10.0.0.1:6379, which kept a key that appeared on 2 replicas within 7ms")
        );
    }

    #[test]
    fn every_word_of_a_sentinel_can_break_it() {
        let other = Watch { host: "10.0.0.9".to_owned(), ..watch() };
        let loopback = Watch { host: "127.0.0.1".to_owned(), ..watch() };
        let down = Watch { flags: "s_down,master,disconnected".to_owned(), ..watch() };
        let alone = Watch { sentinels: 1, ..watch() };
        let childless = Watch { heirs: 0, ..watch() };
        let few = Watch { quorum: Err("NOQUORUM 1 usable Sentinels.".to_owned()), ..watch() };
        for (second, said) in [
            (Ok(other), "sentinel s-0 names 10.0.0.1:6379, and sentinel s-1 names 10.0.0.9:6379"),
            (Ok(down), "sentinel s-1 sees mymaster at 10.0.0.1:6379 as s_down, disconnected"),
            (Ok(alone), "sentinel s-1 knows of 1"),
            (Ok(childless), "sentinel s-1 could let 0 replicas lead in place of the master"),
            (Ok(few), "sentinel s-1 says: NOQUORUM 1 usable Sentinels."),
            (Err("it does not answer".to_owned()), "sentinel s-1 says: it does not answer"),
        ] {
            let said_by = vec![Ok(watch()), second, Ok(watch())];
            assert_eq!(actual(claim("").judge(&asked(said_by, Some(Ok(leader()))))), said);
        }
        let said = actual(claim("").judge(&asked(all(&loopback), None)));
        assert!(said.starts_with("sentinel s-0 names 127.0.0.1:6379, which is its own loopback"), "{said}");
        let two = vec![Ok(watch()), Ok(watch())];
        assert_eq!(actual(claim("").judge(&asked(two, Some(Ok(leader()))))), "2 sentinels ready at sentinels:26379");
    }

    #[test]
    fn every_word_of_a_server_can_break_it() {
        let lost = Written::Lost("no such key".to_owned());
        let refused = Written::Refused("OOM command not allowed".to_owned());
        let with = |found| vec![Replica { place: "10.0.0.2:6379".to_owned(), found }];
        let too = with(Ok(Follower { role: RedisRole::Master, appeared_ms: Some(1) }));
        let late = with(Ok(Follower { role: RedisRole::Replica, appeared_ms: None }));
        let away = with(Err("redis 10.0.0.2:6379 does not answer".to_owned()));
        for (master, said) in [
            (Err("nothing listens".to_owned()), "nothing listens"),
            (
                Ok(Leader { role: RedisRole::Replica, ..leader() }),
                "redis 10.0.0.1:6379 is a replica, and the sentinels name it the master",
            ),
            (Ok(Leader { written: lost, ..leader() }), "redis 10.0.0.1:6379 took a write and then had no such key"),
            (
                Ok(Leader { written: refused, ..leader() }),
                "redis 10.0.0.1:6379 refused to write: OOM command not allowed",
            ),
            (Ok(Leader { online: 0, ..leader() }), "redis 10.0.0.1:6379 has 0 online of 2 attached"),
            (Ok(Leader { attached: 3, ..leader() }), "redis 10.0.0.1:6379 has 2 online of 3 attached"),
            (Ok(Leader { replicas: too, ..leader() }), "redis 10.0.0.2:6379 is a master too"),
            (Ok(Leader { replicas: late, ..leader() }), "redis 10.0.0.2:6379 had no key 2s after it was written"),
            (Ok(Leader { replicas: away, ..leader() }), "redis 10.0.0.2:6379 does not answer"),
        ] {
            assert_eq!(actual(claim("").judge(&asked(all(&watch()), Some(master)))), said);
        }
    }

    #[test]
    fn where_nobody_names_a_master_it_is_broken_whatever_else_is_well() {
        assert_eq!(actual(claim("").judge(&asked(all(&watch()), None))), "no sentinel names one");
        assert!(matches!(
            claim("").judge(&SentinelAnswer::Unmet(Obstacle::Missing("there is no Service".to_owned()))),
            Verdict::Broken { .. }
        ));
    }
}
