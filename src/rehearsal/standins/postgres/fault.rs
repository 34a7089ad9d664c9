//! What can be wrong with a PostgreSQL server.

use super::history::History;

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
    /// What is committed does not reach those that follow it, which it lists all the same.
    DoesNotReplicate,
    /// Those that follow it have not caught up yet.
    ReplicasWait,
    /// Who follows it makes a backup, and is no replica.
    BacksUp,
    /// Who follows it subscribes to a publication, and is no replica.
    Publishes,
    /// It shows nobody how those do that follow it.
    HidesReplicas,
    /// Nothing reaches it of what it is to follow.
    LinkDown,
    /// When it takes over it has no table.
    LeadsEmpty,
    /// It has no database beyond those of its own.
    LacksDatabases,
    /// It has no role beyond those of its own.
    LacksRoles,
    /// It has no extension beyond those of its own.
    LacksExtensions,
    /// The schema histories of Flyway in it are not as they should be.
    History(History),
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
        Self::DoesNotReplicate,
        Self::ReplicasWait,
        Self::BacksUp,
        Self::Publishes,
        Self::HidesReplicas,
        Self::LinkDown,
        Self::LeadsEmpty,
        Self::LacksDatabases,
        Self::LacksRoles,
        Self::LacksExtensions,
        Self::History(History::Gone),
        Self::History(History::Denied),
        Self::History(History::Lacks),
        Self::History(History::Failed),
        Self::History(History::Drifted),
        Self::History(History::Twice),
        Self::History(History::Ahead),
        Self::History(History::Baselined),
        Self::History(History::Renamed),
        Self::History(History::Grows),
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
            Self::DoesNotReplicate => "does-not-replicate",
            Self::ReplicasWait => "replicas-wait",
            Self::BacksUp => "backs-up",
            Self::Publishes => "publishes",
            Self::HidesReplicas => "hides-replicas",
            Self::LinkDown => "link-down",
            Self::LeadsEmpty => "leads-empty",
            Self::LacksDatabases => "lacks-databases",
            Self::LacksRoles => "lacks-roles",
            Self::LacksExtensions => "lacks-extensions",
            Self::History(history) => history.name(),
        }
    }
}
