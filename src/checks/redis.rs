//! Redis: alive, keeping what is written, in its role.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Obstacle, Trust, Verdict, VersionRange, Written};
use crate::number::count;

/// A claim about one Redis server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Where to connect.
    pub at: Address,
    /// Password, if it wants one.
    #[serde(default)]
    pub password: Option<Credential>,
    /// User of the password (ACL); the default user where it is left out.
    #[serde(default)]
    pub user: Option<String>,
    /// Speak TLS, and trust this: `any`, or `ca` with the place of a certificate in PEM. A replica is talked to alike, and must
    /// have a certificate for its own name. The server must
    /// not ask for a certificate of ours (`tls-auth-clients no` or `optional`).
    #[serde(default)]
    pub tls: Option<Trust>,
    /// Its role.
    #[serde(default)]
    pub role: Option<RedisRole>,
    /// How many replicas must be attached and online, at least; only of a master.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// Its version.
    #[serde(default)]
    pub version: Option<VersionRange>,
    /// Whether a key of our own is written, read back and removed. Where the role claimed is `replica`: whether that
    /// writing is refused.
    #[serde(default = "yes")]
    pub writes: bool,
    /// A replica on which a written key must appear as well; a server that says it is a master is none.
    #[serde(default)]
    pub replica: Option<Address>,
    /// Let in, or kept out (NOAUTH, WRONGPASS; of one who comes without a password also NOPERM, where not even INFO is allowed).
    #[serde(default)]
    pub expect: Access,
}

/// The role that a server reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RedisRole {
    /// Takes writes.
    Master,
    /// Follows a master, its link up.
    Replica,
}

const fn yes() -> bool {
    true
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisAnswer {
    /// There was nobody to talk to.
    Unmet(Obstacle),
    /// A command by which we come in got an error instead.
    Refused {
        /// `AUTH` or `PING`.
        command: String,
        /// The server's words, its code first: `WRONGPASS invalid username-password pair`.
        error: String,
    },
    /// We were let in.
    Open(RedisFacts),
}

/// What a server that let us in showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisFacts {
    /// What `INFO` says, or the error it got; some users may not ask.
    pub info: Result<RedisInfo, String>,
    /// What came of writing a key; `None` where no write was asked for.
    pub written: Option<Written>,
    /// What came of looking for the key on the replica; `None` where none is named or nothing was kept.
    pub replicated: Option<Replicated>,
}

/// What `INFO` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisInfo {
    /// `redis_version`, where it says one.
    pub version: Option<String>,
    /// `role`.
    pub role: RedisRole,
    /// Of a replica: `master_link_status`, where it says one.
    pub link: Option<String>,
    /// Of a master: replicas whose state is `online`.
    pub online: u32,
    /// Of a master: all replicas that are attached.
    pub attached: u32,
}

/// What came of looking for a written key on a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replicated {
    /// It appeared.
    Appeared,
    /// It did not, this long after it was written.
    Absent {
        /// In milliseconds.
        after_ms: u64,
    },
    /// It did, and that was known only this long after it was written.
    Late {
        /// In milliseconds.
        after_ms: u64,
    },
    /// It did, and what was to be the replica says that it is a master, or takes writes as one: perhaps the very one that was
    /// written to.
    OnMaster,
    /// The replica answered with an error.
    Refused(String),
    /// The replica could not be talked to.
    Unmet(Obstacle),
}

impl Claim for Redis {
    type Answer = RedisAnswer;

    fn judge(&self, answer: &RedisAnswer) -> Verdict {
        match (answer, self.expect) {
            (RedisAnswer::Unmet(obstacle), expect) => obstacle.judge(format!("redis {} answers PING", self.at), expect),
            (RedisAnswer::Refused { command, error }, Access::Allowed) => self.judge_refused(command, error),
            (RedisAnswer::Refused { command, error }, Access::Denied) => self.judge_denial(command, error),
            (RedisAnswer::Open(facts), Access::Allowed) => self.judge_facts(facts),
            (RedisAnswer::Open(facts), Access::Denied) => self.judge_intrusion(facts),
        }
    }
}

impl Redis {
    /// A login refused is final: a server that is ready has read its passwords, and the same one will not do later.
    /// Whatever else it says (`LOADING`, `MASTERDOWN`, `NOPERM` before an operator has set its users) may pass.
    fn judge_refused(&self, command: &str, error: &str) -> Verdict {
        let at = &self.at;
        if ["WRONGPASS", "NOAUTH", "ERR invalid password"].iter().any(|code| error.starts_with(code)) {
            return Verdict::doomed(format!("redis {at} lets us in"), format!("redis {at} refused the login: {error}"));
        }
        Verdict::broken(format!("redis {at} answers {command}"), format!("redis {at} answered {command} with: {error}"))
    }

    fn judge_denial(&self, command: &str, error: &str) -> Verdict {
        let at = &self.at;
        // What comes after a login that was taken is no refusal of it.
        if command != "AUTH" && self.password.is_some() {
            let actual = format!("redis {at} took the login, and then answered {command} with: {error}");
            return Verdict::broken(format!("redis {at} keeps us out"), actual);
        }
        if keeps_out(error) {
            return Verdict::held(format!("redis {at} refused {command}: {error}"));
        }
        if error.contains("without any password configured") {
            return Verdict::broken(
                format!("redis {at} keeps us out"),
                format!("redis {at} wants no password: {error}"),
            );
        }
        Verdict::unclear(format!("redis {at} answered {command} with: {error}; that is no refusal of access"))
    }

    fn judge_intrusion(&self, facts: &RedisFacts) -> Verdict {
        let at = &self.at;
        match &facts.written {
            // Who has a password that was taken, or may ask how it is, has been let in, whatever he may write.
            Some(Written::Refused(error)) if keeps_out(error) && facts.info.is_err() && self.password.is_none() => {
                Verdict::held(format!("redis {at} refused to write: {error}"))
            }
            Some(Written::Kept | Written::Lost(_)) => {
                Verdict::broken(format!("redis {at} keeps us out"), format!("redis {at} let us in, and took a write"))
            }
            Some(Written::Refused(_)) | None => {
                Verdict::broken(format!("redis {at} keeps us out"), format!("redis {at} let us in"))
            }
        }
    }

    fn judge_facts(&self, facts: &RedisFacts) -> Verdict {
        let at = &self.at;
        let mut faults = Faults::default();
        match &facts.info {
            Ok(info) => self.judge_info(info, &mut faults),
            Err(error) => {
                let wanted = self.role.is_some() || self.replicas.is_some() || self.version.is_some();
                faults.unless(!wanted, "an answer to INFO", format!("redis {at} answered INFO with: {error}"));
            }
        }
        if let Some(written) = &facts.written {
            self.judge_written(written, &mut faults);
        }
        if let (Some(replicated), Some(replica)) = (&facts.replicated, &self.replica) {
            let expected = format!("a key written to {at} appears on {replica}");
            faults.unless(*replicated == Replicated::Appeared, expected, missed(replicated, at, replica));
        }
        faults.or_held(self.sight(facts))
    }

    fn judge_info(&self, info: &RedisInfo, faults: &mut Faults) {
        let at = &self.at;
        if let Some(role) = self.role {
            let expected = format!("redis {at} is a {}", word(role));
            faults.unless(info.role == role, expected, format!("redis {at} is a {}", word(info.role)));
            let claims_link = role == RedisRole::Replica && info.role == role;
            faults.unless(
                !claims_link || info.link.as_deref() == Some("up"),
                format!("redis {at} has its link to the master up"),
                match &info.link {
                    Some(link) => format!("redis {at} has lost its master: its link is {link}"),
                    None => format!("redis {at} answered INFO without a `master_link_status`"),
                },
            );
        }
        if let Some(replicas) = self.replicas {
            faults.unless(
                info.online >= replicas,
                format!("{} online at redis {at}", count(replicas as usize, "replica")),
                format!("redis {at} has {} online of {} attached", info.online, info.attached),
            );
        }
        if let Some(range) = &self.version {
            let holds = info.version.as_deref().and_then(|version| range.holds(version)) == Some(true);
            let actual = match &info.version {
                Some(version) => format!("redis {at} is version {version}"),
                None => format!("redis {at} answered INFO without a `redis_version`"),
            };
            faults.unless(holds, format!("version {range}"), actual);
        }
    }

    fn judge_written(&self, written: &Written, faults: &mut Faults) {
        let at = &self.at;
        let is_replica = self.role == Some(RedisRole::Replica);
        let expected = match is_replica {
            true => format!("redis {at} refuses writes as a replica does (READONLY)"),
            false => format!("redis {at} keeps what is written"),
        };
        let (holds, actual) = match written {
            Written::Kept => (!is_replica, format!("redis {at} took a write")),
            Written::Lost(found) => (false, format!("redis {at} took a write and then had {found}")),
            Written::Refused(error) => {
                (is_replica && error.starts_with("READONLY"), format!("redis {at} refused to write: {error}"))
            }
        };
        faults.unless(holds, expected, actual);
    }

    /// What a claim that holds has shown, in one line.
    fn sight(&self, facts: &RedisFacts) -> String {
        let server = match &facts.info {
            Ok(info) => {
                let version = info.version.iter().map(|version| format!(", version {version}")).collect::<String>();
                format!("redis {} is a {}{version}", self.at, word(info.role))
            }
            Err(_) => format!("redis {} answers", self.at),
        };
        let written = match &facts.written {
            Some(Written::Kept) => ", and kept a key",
            Some(Written::Refused(_) | Written::Lost(_)) => ", and refused a write",
            None => "",
        };
        let replicated = match (&facts.replicated, &self.replica) {
            (Some(_), Some(replica)) => format!(" that appeared on {replica}"),
            (None, _) | (_, None) => String::new(),
        };
        format!("{server}{written}{replicated}")
    }
}

/// The server's ways to say that we have no access.
fn keeps_out(error: &str) -> bool {
    // `ERR invalid password` is what servers before Redis 6 said.
    ["NOAUTH", "WRONGPASS", "NOPERM", "ERR invalid password"].iter().any(|code| error.starts_with(code))
}

fn missed(replicated: &Replicated, at: &Address, replica: &Address) -> String {
    match replicated {
        Replicated::Appeared => format!("it appeared on {replica}"),
        Replicated::Absent { after_ms } => {
            format!("redis {replica} had no key {after_ms} ms after it was written to {at}")
        }
        Replicated::Late { after_ms } => {
            format!("redis {replica} had the key only {after_ms} ms after it was written to {at}")
        }
        Replicated::OnMaster => format!("redis {replica} has the key and is a master, no replica"),
        Replicated::Refused(error) => format!("redis {replica} refused to read it: {error}"),
        Replicated::Unmet(obstacle) => obstacle.text().to_owned(),
    }
}

const fn word(role: RedisRole) -> &'static str {
    match role {
        RedisRole::Master => "master",
        RedisRole::Replica => "replica",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Outlook;

    fn claim(yaml: &str) -> Redis {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn info(role: RedisRole) -> RedisInfo {
        RedisInfo { version: Some("7.4.1".to_owned()), role, link: Some("up".to_owned()), online: 1, attached: 2 }
    }

    fn open(info: RedisInfo, written: Option<Written>) -> RedisAnswer {
        RedisAnswer::Open(RedisFacts { info: Ok(info), written, replicated: None })
    }

    fn refused(command: &str, error: &str) -> RedisAnswer {
        RedisAnswer::Refused { command: command.to_owned(), error: error.to_owned() }
    }

    fn actual(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Broken { actual, .. } => actual,
            Verdict::Held { .. } | Verdict::Unclear { .. } => panic!("not broken: {verdict:?}"),
        }
    }

    #[test]
    fn a_master_that_keeps_a_key_holds() {
        let verdict = claim("{at: 'redis:6379', role: master, replicas: 1, version: '>=7, <8'}")
            .judge(&open(info(RedisRole::Master), Some(Written::Kept)));
        assert_eq!(verdict, Verdict::held("redis redis:6379 is a master, version 7.4.1, and kept a key"));
    }

    #[test]
    fn every_part_of_a_claim_can_fail() {
        let master = info(RedisRole::Master);
        let cut = RedisInfo { link: Some("down".to_owned()), ..info(RedisRole::Replica) };
        let alone = RedisInfo { link: None, ..info(RedisRole::Replica) };
        let unnamed = RedisInfo { version: None, ..info(RedisRole::Master) };
        let readonly = || Some(Written::Refused("READONLY You can't write against a read only replica.".to_owned()));
        for (yaml, answer, said) in [
            ("role: replica", open(master.clone(), readonly()), "redis r:1 is a master"),
            ("role: replica", open(cut, readonly()), "redis r:1 has lost its master: its link is down"),
            ("role: replica", open(alone, readonly()), "redis r:1 answered INFO without a `master_link_status`"),
            ("version: ^6", open(unnamed, Some(Written::Kept)), "redis r:1 answered INFO without a `redis_version`"),
            ("replicas: 2", open(master.clone(), Some(Written::Kept)), "redis r:1 has 1 online of 2 attached"),
            ("version: ^6", open(master.clone(), Some(Written::Kept)), "redis r:1 is version 7.4.1"),
            ("role: replica", open(info(RedisRole::Replica), Some(Written::Kept)), "redis r:1 took a write"),
            (
                "role: master",
                open(master.clone(), readonly()),
                "redis r:1 refused to write: READONLY You can't write against a read only replica.",
            ),
            (
                "writes: true",
                open(master, Some(Written::Lost("nothing".into()))),
                "redis r:1 took a write and then had nothing",
            ),
        ] {
            assert_eq!(actual(&claim(&format!("{{at: 'r:1', {yaml}}}")).judge(&answer)), said);
        }
    }

    #[test]
    fn a_replica_that_refuses_writes_holds() {
        let readonly = Written::Refused("READONLY You can't write".to_owned());
        let verdict = claim("{at: 'r:1', role: replica}").judge(&open(info(RedisRole::Replica), Some(readonly)));
        assert_eq!(verdict, Verdict::held("redis r:1 is a replica, version 7.4.1, and refused a write"));
    }

    #[test]
    fn a_replica_behind_a_claim_without_a_role_does_not_pass_for_keeping_writes() {
        let readonly = Written::Refused("READONLY You can't write".to_owned());
        assert!(matches!(
            claim("at: r:1").judge(&open(info(RedisRole::Replica), Some(readonly))),
            Verdict::Broken { .. }
        ));
    }

    #[test]
    fn a_wrong_password_is_final_and_a_loading_server_may_heal() {
        let wrong = claim("at: r:1").judge(&refused("AUTH", "WRONGPASS invalid username-password pair"));
        let Verdict::Broken { outlook, actual, .. } = wrong else { panic!("{wrong:?}") };
        assert_eq!(outlook, Outlook::Final);
        assert_eq!(actual, "redis r:1 refused the login: WRONGPASS invalid username-password pair");
        let loading = claim("at: r:1").judge(&refused("PING", "LOADING Redis is loading the dataset in memory"));
        assert!(matches!(loading, Verdict::Broken { outlook: Outlook::MayHeal, .. }));
    }

    #[test]
    fn only_the_servers_own_refusal_is_a_denial() {
        let denied = claim("{at: 'r:1', expect: denied}");
        assert!(matches!(denied.judge(&refused("PING", "NOAUTH Authentication required.")), Verdict::Held { .. }));
        assert!(matches!(denied.judge(&refused("PING", "LOADING Redis")), Verdict::Unclear { .. }));
        let away = RedisAnswer::Unmet(Obstacle::NoEndpoint("no pod".to_owned()));
        assert!(matches!(denied.judge(&away), Verdict::Unclear { .. }));
        let open_door = refused("AUTH", "ERR AUTH <password> called without any password configured");
        assert!(matches!(denied.judge(&open_door), Verdict::Broken { .. }));
        let let_in = denied.judge(&open(info(RedisRole::Master), Some(Written::Kept)));
        assert_eq!(actual(&let_in), "redis r:1 let us in, and took a write");
        let no_right = Some(Written::Refused("NOPERM this user has no permissions".to_owned()));
        let reader = denied.judge(&open(info(RedisRole::Master), no_right.clone()));
        assert_eq!(actual(&reader), "redis r:1 let us in", "the password was accepted");
        let error = "NOPERM this user has no permissions to run the 'info' command".to_owned();
        let nobody = RedisAnswer::Open(RedisFacts { info: Err(error), written: no_right, replicated: None });
        assert!(matches!(denied.judge(&nobody), Verdict::Held { .. }));
        let stranger = claim("{at: 'r:1', user: app, password: {value: not-the-password}, expect: denied}");
        assert_eq!(actual(&stranger.judge(&nobody)), "redis r:1 let us in");
        let no_ping = stranger.judge(&refused("PING", "NOPERM this user has no permissions to run the 'ping' command"));
        assert!(actual(&no_ping).starts_with("redis r:1 took the login, and then answered PING with: NOPERM"));
    }

    #[test]
    fn a_key_that_does_not_reach_the_replica_breaks() {
        let answer = |replicated| {
            RedisAnswer::Open(RedisFacts {
                info: Ok(info(RedisRole::Master)),
                written: Some(Written::Kept),
                replicated: Some(replicated),
            })
        };
        let redis = claim("{at: 'r:1', replica: 's:1'}");
        assert!(matches!(redis.judge(&answer(Replicated::Appeared)), Verdict::Held { .. }));
        assert_eq!(
            actual(&redis.judge(&answer(Replicated::Absent { after_ms: 5000 }))),
            "redis s:1 had no key 5000 ms after it was written to r:1"
        );
        assert_eq!(
            actual(&redis.judge(&answer(Replicated::OnMaster))),
            "redis s:1 has the key and is a master, no replica"
        );
    }

    #[test]
    fn a_user_who_may_not_ask_info_passes_only_where_nothing_was_claimed_of_it() {
        let answer = RedisAnswer::Open(RedisFacts {
            info: Err("NOPERM this user has no permissions to run the 'info' command".to_owned()),
            written: Some(Written::Kept),
            replicated: None,
        });
        assert!(matches!(claim("at: r:1").judge(&answer), Verdict::Held { .. }));
        assert!(matches!(claim("{at: 'r:1', role: master}").judge(&answer), Verdict::Broken { .. }));
    }
}
