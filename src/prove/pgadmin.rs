//! Twin of `checks/pgadmin.rs`.

use super::{Cases, Deed, reach};
use crate::checks::{Access, Pgadmin};

pub(super) fn cases(claim: &Pgadmin, in_a_row: u32) -> Cases {
    let mut cases = match claim.expect {
        Access::Allowed => let_in(claim),
        Access::Denied => kept_out(claim),
    };
    cases.0.extend(reach::server(&claim.at, claim.expect, claim.password.as_ref(), in_a_row, "gave no valid answer").0);
    cases
}

fn let_in(claim: &Pgadmin) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    // The words are pgAdmin's own (`pgadmin/authenticate`), and Flask-WTF's of CSRF tokens.
    for (name, words) in [
        ("login-page-broken", "answered /login with HTTP 500"),
        ("no-csrf-token", "has a login page without a CSRF token"),
        ("rejects-csrf", "The CSRF token is invalid."),
        ("rejects-login", "refused the login of"),
        ("account-locked", "Your account is locked."),
        ("loses-sessions", "led to /login: it does not keep the session"),
        ("distrusts-sessions", "led to /login: it does not keep the session"),
        ("keeps-sessions", "was logged out of, and its pages still open"),
        ("refuses-logout", "cannot be logged out of: "),
        ("database-gone", "answered the login with HTTP 500"),
        ("overloaded", "answered /misc/ping with HTTP 503"),
        ("closes-mid-reply", "gave no valid answer"),
        ("not-pgadmin", "answered /misc/ping with HTTP 200"),
    ] {
        cases.broken(name, at(name), [words]);
    }
    cases.broken("hangs", at("hangs"), [format!("pgadmin {} does not answer", claim.at)]);
    cases.unclaimed("accepts-any-password", "that a stranger is refused is another claim (`expect: denied`)");
    let version = "it claims no `version`";
    cases.broken_if(claim.version.is_some(), "wrong-version", at("wrong-version"), "is version 4.30", version);
    let is_listed = !claim.servers.is_empty();
    let servers = "it claims no `servers`";
    cases.broken_if(is_listed, "no-servers", at("no-servers"), "; it has none", servers);
    cases.broken_if(is_listed, "other-servers", at("other-servers"), "; it has old ", servers);
    cases.broken_if(
        is_listed,
        "lists-fail",
        at("lists-fail"),
        "answered /browser/server_group/obj/ with HTTP 500",
        servers,
    );
    let groups = claim.servers.iter().any(|server| server.group.is_some());
    cases.broken_if(
        groups,
        "other-groups",
        at("other-groups"),
        "in the group old ",
        "it claims no `group` of a server",
    );
    let hosts = claim.servers.iter().any(|server| server.host.is_some());
    cases.broken_if(hosts, "other-hosts", at("other-hosts"), "on the host old ", "it claims no `host` of a server");
    cases
}

/// A server that cannot be talked to, or that keeps nobody's session, denies nothing.
fn kept_out(claim: &Pgadmin) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    cases.broken("accepts-any-password", at("accepts-any-password"), ["let in a stranger"]);
    cases.unclear("rejects-csrf", at("rejects-csrf"), ["The CSRF token is invalid.", "no refusal of access"]);
    cases.unclear("login-page-broken", at("login-page-broken"), ["answered /login with HTTP 500"]);
    cases.unclear("database-gone", at("database-gone"), ["answered the login with HTTP 500"]);
    cases.unclear("distrusts-sessions", at("distrusts-sessions"), ["it does not keep the session"]);
    cases.unclear("overloaded", at("overloaded"), ["answered /misc/ping with HTTP 503"]);
    cases.unclear("closes-mid-reply", at("closes-mid-reply"), ["gave no valid answer"]);
    cases.unclear("not-pgadmin", at("not-pgadmin"), ["answered /misc/ping with HTTP 200"]);
    cases.unclear("hangs", at("hangs"), [format!("pgadmin {} does not answer", claim.at)]);
    cases
}
