//! What can be wrong with it.

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It says of itself that it does not serve.
    NotServing,
    /// Every call is refused, as by a server that has not found its others yet.
    Unavailable,
    /// Every call but that for its health is refused for now.
    Overloaded,
    /// No namespace is there.
    NoNamespace,
    /// Every namespace takes nothing new.
    NamespaceDeprecated,
    /// Every namespace is about to go.
    NamespaceDeleted,
    /// Whatever namespace is asked for is there.
    AnyNamespace,
    /// No workflow may be started.
    RefusesWorkflows,
    /// Workflows are taken and not kept.
    ForgetsWorkflows,
    /// No task comes to a worker.
    SchedulesNothing,
    /// No worker may have a task.
    RefusesWorkers,
    /// A worker is given what was not asked for.
    OtherTasks,
    /// A task is over before it is done.
    RefusesResults,
    /// What a worker has done is taken and comes to nothing.
    CompletesNothing,
    /// Every workflow fails.
    FailsWorkflows,
    /// Every workflow ends without its result.
    LosesResults,
    /// Every workflow ends with another result.
    OtherResults,
    /// The history of a workflow that is over is not to be had.
    KeepsNoHistory,
    /// No workflow may be deleted.
    RefusesDeletes,
    /// It is an older one.
    WrongVersion,
    /// A proxy before it has nobody behind it.
    Status503,
    /// It is a web server.
    NotGrpc,
    /// It is a web server that speaks no HTTP/2.
    SpeaksHttp1,
    /// A call is broken off within its answer.
    ClosesMidReply,
    /// Calls are taken and not answered.
    Hangs,
    /// Calls are taken and not answered, but for that for its health.
    HangsOnceWell,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::NotServing,
        Self::Unavailable,
        Self::Overloaded,
        Self::NoNamespace,
        Self::NamespaceDeprecated,
        Self::NamespaceDeleted,
        Self::AnyNamespace,
        Self::RefusesWorkflows,
        Self::ForgetsWorkflows,
        Self::SchedulesNothing,
        Self::RefusesWorkers,
        Self::OtherTasks,
        Self::RefusesResults,
        Self::CompletesNothing,
        Self::FailsWorkflows,
        Self::LosesResults,
        Self::OtherResults,
        Self::KeepsNoHistory,
        Self::RefusesDeletes,
        Self::WrongVersion,
        Self::Status503,
        Self::NotGrpc,
        Self::SpeaksHttp1,
        Self::ClosesMidReply,
        Self::Hangs,
        Self::HangsOnceWell,
    ];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NotServing => "not-serving",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::NoNamespace => "no-namespace",
            Self::NamespaceDeprecated => "namespace-deprecated",
            Self::NamespaceDeleted => "namespace-deleted",
            Self::AnyNamespace => "any-namespace",
            Self::RefusesWorkflows => "refuses-workflows",
            Self::ForgetsWorkflows => "forgets-workflows",
            Self::SchedulesNothing => "schedules-nothing",
            Self::RefusesWorkers => "refuses-workers",
            Self::OtherTasks => "other-tasks",
            Self::RefusesResults => "refuses-results",
            Self::CompletesNothing => "completes-nothing",
            Self::FailsWorkflows => "fails-workflows",
            Self::LosesResults => "loses-results",
            Self::OtherResults => "other-results",
            Self::KeepsNoHistory => "keeps-no-history",
            Self::RefusesDeletes => "refuses-deletes",
            Self::WrongVersion => "wrong-version",
            Self::Status503 => "status-503",
            Self::NotGrpc => "not-grpc",
            Self::SpeaksHttp1 => "speaks-http-1",
            Self::ClosesMidReply => "closes-mid-reply",
            Self::Hangs => "hangs",
            Self::HangsOnceWell => "hangs-once-well",
        }
    }
}
