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
        }
    }
}
