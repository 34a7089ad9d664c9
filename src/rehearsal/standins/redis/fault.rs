//! What can be wrong with a Redis server.

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot save to its disk, and so takes no writes; as the real one, it refuses `PING` for it as well.
    RefusesWrites,
    /// Its memory is full: writes that need more are refused.
    OutOfMemory,
    /// It says that it is a replica where it is a master, and the reverse.
    WrongRole,
    /// What is written does not come to those that follow, or not from the one that it follows; all links are up.
    DoesNotReplicate,
    /// Each key is read as it was before it was last written.
    StaleRead,
    /// No password is right.
    AuthRefused,
    /// Every password is right.
    AcceptsAnyPassword,
    /// It asks for no password.
    NoPassword,
    /// Beyond a login it knows `PING` and nothing else.
    PingOnly,
    /// It closes each connection within its first reply.
    ClosesMidReply,
    /// It takes requests and answers none.
    Hangs,
    /// It is still reading its data from disk.
    Loading,
    /// The link to its master, or to those that follow it, is down.
    LinkDown,
    /// It says that a write was done, and forgets it.
    LosesWrites,
    /// It is much older than it should be.
    WrongVersion,
    /// As a replica it takes writes of its own.
    TakesWrites,
    /// Whoever asks INFO is told that he may not.
    InfoRefused,
    /// Those that follow are attached, and still wait for all its data.
    ReplicasWait,
    /// Every key has another value than was written.
    OtherValue,
    /// It speaks HTTP.
    NotRedis,
    /// As a Sentinel it names itself as the master.
    NamesAnother,
    /// As a Sentinel it names its own loopback, as it is told to before anybody knows better.
    NamesLoopback,
    /// As a Sentinel it watches nobody.
    KnowsNoMaster,
    /// As a Sentinel it does not reach the master.
    SeesItDown,
    /// As a Sentinel it reaches too few others.
    NoQuorum,
    /// As a Sentinel it has not heard of the others.
    KnowsFewer,
    /// As a Sentinel it has been told by every replica that it must not lead.
    NoHeirs,
    /// As a Sentinel it lets nobody lead in place of a master that is gone.
    NeverElects,
    /// As a Sentinel it takes long until it believes that a master is gone.
    ElectsLate,
    /// Where it is to lead in place of another it has none of the keys.
    LeadsEmpty,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::RefusesWrites,
        Self::OutOfMemory,
        Self::WrongRole,
        Self::DoesNotReplicate,
        Self::StaleRead,
        Self::AuthRefused,
        Self::AcceptsAnyPassword,
        Self::NoPassword,
        Self::PingOnly,
        Self::ClosesMidReply,
        Self::Hangs,
        Self::Loading,
        Self::LinkDown,
        Self::LosesWrites,
        Self::WrongVersion,
        Self::TakesWrites,
        Self::InfoRefused,
        Self::ReplicasWait,
        Self::OtherValue,
        Self::NotRedis,
        Self::NamesAnother,
        Self::NamesLoopback,
        Self::KnowsNoMaster,
        Self::SeesItDown,
        Self::NoQuorum,
        Self::KnowsFewer,
        Self::NoHeirs,
        Self::NeverElects,
        Self::ElectsLate,
        Self::LeadsEmpty,
    ];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RefusesWrites => "refuses-writes",
            Self::OutOfMemory => "out-of-memory",
            Self::WrongRole => "wrong-role",
            Self::DoesNotReplicate => "does-not-replicate",
            Self::StaleRead => "stale-read",
            Self::AuthRefused => "auth-refused",
            Self::AcceptsAnyPassword => "accepts-any-password",
            Self::NoPassword => "no-password",
            Self::PingOnly => "ping-only",
            Self::ClosesMidReply => "closes-mid-reply",
            Self::Hangs => "hangs",
            Self::Loading => "loading",
            Self::LinkDown => "link-down",
            Self::LosesWrites => "loses-writes",
            Self::WrongVersion => "wrong-version",
            Self::TakesWrites => "takes-writes",
            Self::InfoRefused => "info-refused",
            Self::ReplicasWait => "replicas-wait",
            Self::OtherValue => "other-value",
            Self::NotRedis => "not-redis",
            Self::NamesAnother => "names-another",
            Self::NamesLoopback => "names-loopback",
            Self::KnowsNoMaster => "knows-no-master",
            Self::SeesItDown => "sees-it-down",
            Self::NoQuorum => "no-quorum",
            Self::KnowsFewer => "knows-fewer",
            Self::NoHeirs => "no-heirs",
            Self::NeverElects => "never-elects",
            Self::ElectsLate => "elects-late",
            Self::LeadsEmpty => "leads-empty",
        }
    }
}
