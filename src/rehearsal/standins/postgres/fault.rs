//! What can be wrong with a PostgreSQL server.

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It takes no writes, though it is no replica.
    ReadOnly,
    /// It is a replica: in recovery, and so takes no writes.
    InRecovery,
    /// No password is right.
    RejectsLogin,
    /// Every password is right.
    AcceptsAnyPassword,
    /// It asks for no password.
    NoPassword,
    /// It is much older than it should be.
    WrongVersion,
    /// It says that rows were committed, and forgets them; tables it keeps.
    LosesCommit,
    /// It lets nobody in yet.
    StartingUp,
    /// It has as many connections as it takes.
    TooManyConnections,
    /// Its disk is full: rows cannot be added.
    NoDisk,
    /// The user may create no tables.
    NoPermission,
    /// After the login it closes each connection within its first reply.
    ClosesMidReply,
    /// It takes messages and answers none.
    Hangs,
    /// It speaks HTTP.
    NotPostgres,
    /// It is no replica, though it was to be one.
    Promoted,
    /// It has none of the databases that it is asked for.
    NoDatabase,
    /// Somebody holds a lock on every table: none can be dropped.
    KeepsTables,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::ReadOnly,
        Self::InRecovery,
        Self::RejectsLogin,
        Self::AcceptsAnyPassword,
        Self::NoPassword,
        Self::WrongVersion,
        Self::LosesCommit,
        Self::StartingUp,
        Self::TooManyConnections,
        Self::NoDisk,
        Self::NoPermission,
        Self::ClosesMidReply,
        Self::Hangs,
        Self::NotPostgres,
        Self::Promoted,
        Self::NoDatabase,
        Self::KeepsTables,
    ];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::InRecovery => "in-recovery",
            Self::RejectsLogin => "rejects-login",
            Self::AcceptsAnyPassword => "accepts-any-password",
            Self::NoPassword => "no-password",
            Self::WrongVersion => "wrong-version",
            Self::LosesCommit => "loses-commit",
            Self::StartingUp => "starting-up",
            Self::TooManyConnections => "too-many-connections",
            Self::NoDisk => "no-disk",
            Self::NoPermission => "no-permission",
            Self::ClosesMidReply => "closes-mid-reply",
            Self::Hangs => "hangs",
            Self::NotPostgres => "not-postgres",
            Self::Promoted => "promoted",
            Self::NoDatabase => "no-database",
            Self::KeepsTables => "keeps-tables",
        }
    }
}
