//! What can be wrong with it.

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Whoever comes is let in.
    AcceptsAnyone,
    /// Whoever comes over Bolt is let in.
    BoltAcceptsAnyone,
    /// Nobody is let in.
    RejectsLogin,
    /// Nobody is let in over Bolt.
    BoltRejectsLogin,
    /// Nobody is let in for a while, after too many wrong passwords.
    AccountLocked,
    /// Every password must be changed first.
    PasswordExpired,
    /// Nodes are taken and not kept.
    LosesNodes,
    /// Every node has another value.
    OtherValues,
    /// Every node is there twice.
    DoublesNodes,
    /// Nodes are said to be deleted, and stay.
    KeepsNodes,
    /// Nobody may delete anything.
    RefusesDeletes,
    /// The database can only be read.
    ReadOnly,
    /// No database is there but the server's own.
    NoDatabase,
    /// The database is not to be had.
    DatabaseUnavailable,
    /// The database is not to be had for who looks for what is not there.
    UnavailableOnceDeleted,
    /// It is an older one.
    WrongVersion,
    /// Whoever asks for Bolt is sent to their own machine.
    AdvertisesItself,
    /// Over Bolt no nodes are there.
    BoltShowsOthers,
    /// It speaks an older Bolt alone.
    OldBolt,
    /// Behind the port of Bolt is a web server.
    BoltSpeaksHttp,
    /// Whoever comes over Bolt gets no answer.
    BoltHangs,
    /// Every request fails.
    Status500,
    /// Every request is refused for now.
    Overloaded,
    /// The connection ends within an answer.
    ClosesMidReply,
    /// It is a web server of another kind.
    NotNeo4j,
    /// Requests are taken and not answered.
    Hangs,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::AcceptsAnyone,
        Self::BoltAcceptsAnyone,
        Self::RejectsLogin,
        Self::BoltRejectsLogin,
        Self::AccountLocked,
        Self::PasswordExpired,
        Self::LosesNodes,
        Self::OtherValues,
        Self::DoublesNodes,
        Self::KeepsNodes,
        Self::RefusesDeletes,
        Self::ReadOnly,
        Self::NoDatabase,
        Self::DatabaseUnavailable,
        Self::UnavailableOnceDeleted,
        Self::WrongVersion,
        Self::AdvertisesItself,
        Self::BoltShowsOthers,
        Self::OldBolt,
        Self::BoltSpeaksHttp,
        Self::BoltHangs,
        Self::Status500,
        Self::Overloaded,
        Self::ClosesMidReply,
        Self::NotNeo4j,
        Self::Hangs,
    ];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AcceptsAnyone => "accepts-anyone",
            Self::BoltAcceptsAnyone => "bolt-accepts-anyone",
            Self::RejectsLogin => "rejects-login",
            Self::BoltRejectsLogin => "bolt-rejects-login",
            Self::AccountLocked => "account-locked",
            Self::PasswordExpired => "password-expired",
            Self::LosesNodes => "loses-nodes",
            Self::OtherValues => "other-values",
            Self::DoublesNodes => "doubles-nodes",
            Self::KeepsNodes => "keeps-nodes",
            Self::RefusesDeletes => "refuses-deletes",
            Self::ReadOnly => "read-only",
            Self::NoDatabase => "no-database",
            Self::DatabaseUnavailable => "database-unavailable",
            Self::UnavailableOnceDeleted => "unavailable-once-deleted",
            Self::WrongVersion => "wrong-version",
            Self::AdvertisesItself => "advertises-itself",
            Self::BoltShowsOthers => "bolt-shows-others",
            Self::OldBolt => "old-bolt",
            Self::BoltSpeaksHttp => "bolt-speaks-http",
            Self::BoltHangs => "bolt-hangs",
            Self::Status500 => "status-500",
            Self::Overloaded => "overloaded",
            Self::ClosesMidReply => "closes-mid-reply",
            Self::NotNeo4j => "not-neo4j",
            Self::Hangs => "hangs",
        }
    }
}
