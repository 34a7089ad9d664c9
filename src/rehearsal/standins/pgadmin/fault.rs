//! What can be wrong with it.

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its login page cannot be made.
    LoginPageBroken,
    /// Its login page has no CSRF token.
    NoCsrfToken,
    /// No CSRF token is the right one.
    RejectsCsrf,
    /// Whoever comes is let in.
    AcceptsAnyPassword,
    /// Nobody is let in.
    RejectsLogin,
    /// The account of the one user is locked.
    AccountLocked,
    /// Nobody's session is there any more at the next request.
    LosesSessions,
    /// Whoever logs in seems to be somebody else than came to the login page, and is led where a login leads, without one.
    DistrustsSessions,
    /// A session stays open whoever logs out of it.
    KeepsSessions,
    /// Nobody can log out.
    RefusesLogout,
    /// Its own database is gone: the process lives, and its login page comes.
    DatabaseGone,
    /// No server is registered.
    NoServers,
    /// The servers have other names.
    OtherServers,
    /// The servers are in other groups.
    OtherGroups,
    /// The servers are on other hosts.
    OtherHosts,
    /// Servers cannot be listed.
    ListsFail,
    /// It is years old.
    WrongVersion,
    /// Nothing is done.
    Overloaded,
    /// The connection ends within an answer.
    ClosesMidReply,
    /// It is a web server of another kind.
    NotPgadmin,
    /// Requests are taken and not answered.
    Hangs,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::LoginPageBroken,
        Self::NoCsrfToken,
        Self::RejectsCsrf,
        Self::AcceptsAnyPassword,
        Self::RejectsLogin,
        Self::AccountLocked,
        Self::LosesSessions,
        Self::DistrustsSessions,
        Self::KeepsSessions,
        Self::RefusesLogout,
        Self::DatabaseGone,
        Self::NoServers,
        Self::OtherServers,
        Self::OtherGroups,
        Self::OtherHosts,
        Self::ListsFail,
        Self::WrongVersion,
        Self::Overloaded,
        Self::ClosesMidReply,
        Self::NotPgadmin,
        Self::Hangs,
    ];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LoginPageBroken => "login-page-broken",
            Self::NoCsrfToken => "no-csrf-token",
            Self::RejectsCsrf => "rejects-csrf",
            Self::AcceptsAnyPassword => "accepts-any-password",
            Self::RejectsLogin => "rejects-login",
            Self::AccountLocked => "account-locked",
            Self::LosesSessions => "loses-sessions",
            Self::DistrustsSessions => "distrusts-sessions",
            Self::KeepsSessions => "keeps-sessions",
            Self::RefusesLogout => "refuses-logout",
            Self::DatabaseGone => "database-gone",
            Self::NoServers => "no-servers",
            Self::OtherServers => "other-servers",
            Self::OtherGroups => "other-groups",
            Self::OtherHosts => "other-hosts",
            Self::ListsFail => "lists-fail",
            Self::WrongVersion => "wrong-version",
            Self::Overloaded => "overloaded",
            Self::ClosesMidReply => "closes-mid-reply",
            Self::NotPgadmin => "not-pgadmin",
            Self::Hangs => "hangs",
        }
    }
}
