//! What can be wrong with a ClickHouse server.

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It takes no writes.
    ReadOnly,
    /// The user may create no tables.
    NoPermission,
    /// Its disk is full: rows cannot be added.
    NoSpace,
    /// It says that rows were inserted, and has none of them; tables it keeps.
    LosesInsert,
    /// It has other values than were inserted.
    OtherValue,
    /// It is much older than it should be.
    WrongVersion,
    /// No password is right.
    RejectsLogin,
    /// Every password is right, and none as well.
    AcceptsAnyPassword,
    /// It has none of the databases that it is asked for.
    NoDatabase,
    /// The user may drop no tables.
    KeepsTables,
    /// It runs as many queries as it takes; whether it is there it says all the same.
    Overloaded,
    /// It has no memory left, not even to look at who is asking.
    OutOfMemory,
    /// What it says of a table ends with an exception, behind a status that says that all is well.
    ExceptionAfter200,
    /// It knows no cluster.
    NoCluster,
    /// It does not say which clusters it knows.
    HidesClusters,
    /// It lists each shard without the last host.
    ListsFewer,
    /// It lists a host that is not there in the place of each other one.
    ListsNobody,
    /// It takes none of the hosts for itself.
    IsNoneOfThem,
    /// It does not reach its Keeper.
    NoKeeper,
    /// Its session with Keeper has expired: tables that it has take no writes and cannot be dropped.
    SessionExpired,
    /// Its replicated tables take no writes, though its session with Keeper lasts.
    TablesReadOnly,
    /// It has no macros.
    NoMacros,
    /// It has the same name for each replica.
    OneReplicaName,
    /// It does not fetch what is inserted on other replicas.
    DoesNotFetch,
    /// It takes the other replicas for gone.
    AloneInKeeper,
    /// What Keeper has of a table stays when that is dropped.
    KeepsPaths,
    /// It closes each connection within its answer.
    ClosesMidReply,
    /// It is some other web server.
    NotClickhouse,
    /// It takes requests and answers none.
    Hangs,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::ReadOnly,
        Self::NoPermission,
        Self::NoSpace,
        Self::LosesInsert,
        Self::OtherValue,
        Self::WrongVersion,
        Self::RejectsLogin,
        Self::AcceptsAnyPassword,
        Self::NoDatabase,
        Self::KeepsTables,
        Self::Overloaded,
        Self::OutOfMemory,
        Self::ExceptionAfter200,
        Self::NoCluster,
        Self::HidesClusters,
        Self::ListsFewer,
        Self::ListsNobody,
        Self::IsNoneOfThem,
        Self::NoKeeper,
        Self::SessionExpired,
        Self::TablesReadOnly,
        Self::NoMacros,
        Self::OneReplicaName,
        Self::DoesNotFetch,
        Self::AloneInKeeper,
        Self::KeepsPaths,
        Self::ClosesMidReply,
        Self::NotClickhouse,
        Self::Hangs,
    ];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::NoPermission => "no-permission",
            Self::NoSpace => "no-space",
            Self::LosesInsert => "loses-insert",
            Self::OtherValue => "other-value",
            Self::WrongVersion => "wrong-version",
            Self::RejectsLogin => "rejects-login",
            Self::AcceptsAnyPassword => "accepts-any-password",
            Self::NoDatabase => "no-database",
            Self::KeepsTables => "keeps-tables",
            Self::Overloaded => "overloaded",
            Self::OutOfMemory => "out-of-memory",
            Self::ExceptionAfter200 => "exception-after-200",
            Self::NoCluster => "no-cluster",
            Self::HidesClusters => "hides-clusters",
            Self::ListsFewer => "lists-fewer",
            Self::ListsNobody => "lists-nobody",
            Self::IsNoneOfThem => "is-none-of-them",
            Self::NoKeeper => "no-keeper",
            Self::SessionExpired => "session-expired",
            Self::TablesReadOnly => "tables-read-only",
            Self::NoMacros => "no-macros",
            Self::OneReplicaName => "one-replica-name",
            Self::DoesNotFetch => "does-not-fetch",
            Self::AloneInKeeper => "alone-in-keeper",
            Self::KeepsPaths => "keeps-paths",
            Self::ClosesMidReply => "closes-mid-reply",
            Self::NotClickhouse => "not-clickhouse",
            Self::Hangs => "hangs",
        }
    }
}
