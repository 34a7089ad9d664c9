//! Twin of `checks/redis.rs`.

use super::{Cases, Deed, reach, tls};
use crate::checks::{Access, Redis, RedisRole};

pub(super) fn cases(claim: &Redis, in_a_row: u32) -> Cases {
    let mut cases = match claim.expect {
        Access::Allowed => let_in(claim),
        Access::Denied => kept_out(claim),
    };
    cases.0.extend(tls::cases(&claim.at, claim.tls.as_ref(), claim.expect).0);
    let broken_off =
        if claim.tls.is_some() { "closed the connection within the TLS handshake" } else { "gave no valid reply" };
    cases.0.extend(reach::server(&claim.at, claim.expect, claim.password.as_ref(), in_a_row, broken_off).0);
    cases
}

fn let_in(claim: &Redis) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let is_replica = claim.role == Some(RedisRole::Replica);
    let keeps = claim.writes && !is_replica;
    let writes = "it claims no writes here (`writes`, `role`)";
    cases.broken("refuses-writes", at("refuses-writes"), ["MISCONF"]);
    cases.broken_if(keeps, "out-of-memory", at("out-of-memory"), "OOM", writes);
    cases.broken_if(keeps, "stale-read", at("stale-read"), "took a write and then had no such key", writes);
    cases.broken_if(keeps, "other-value", at("other-value"), "took a write and then had another value", writes);
    let refuses = "it does not claim that a replica refuses writes (`role`, `writes`)";
    cases.broken_if(is_replica && claim.writes, "takes-writes", at("takes-writes"), "took a write", refuses);
    cases.broken_if(keeps, "loses-writes", at("loses-writes"), "took a write and then had no such key", writes);
    let other = if is_replica { "is a master" } else { "is a replica" };
    cases.broken_if(claim.role.is_some(), "wrong-role", at("wrong-role"), other, "it claims no `role`");
    let link = if is_replica { "has lost its master" } else { "online of" };
    let counts = claim.replicas.is_some_and(|replicas| replicas > 0);
    let linked = is_replica || counts;
    cases.broken_if(linked, "link-down", at("link-down"), link, "it claims neither `role: replica` nor `replicas`");
    cases.broken_if(counts, "replicas-wait", at("replicas-wait"), "has 0 online of", "it claims no `replicas`");
    let asks_info = claim.role.is_some() || claim.replicas.is_some() || claim.version.is_some();
    let info = "it claims nothing that INFO says (`role`, `replicas`, `version`)";
    cases.broken_if(asks_info, "info-refused", at("info-refused"), "answered INFO with: NOPERM", info);
    let version = "it claims no `version`";
    cases.broken_if(claim.version.is_some(), "wrong-version", at("wrong-version"), "is version", version);
    let login = "it sends no password";
    let has_password = claim.password.is_some();
    cases.broken_if(has_password, "auth-refused", at("auth-refused"), "refused the login: WRONGPASS", login);
    cases.broken_if(has_password, "no-password", at("no-password"), "without any password configured", login);
    let asks = claim.writes || asks_info;
    cases.broken_if(asks, "ping-only", at("ping-only"), "unknown command", "it claims nothing beyond an answer");
    cases.broken("loading", at("loading"), ["LOADING"]);
    cases.broken("closes-mid-reply", at("closes-mid-reply"), ["gave no valid reply"]);
    cases.broken("not-redis", at("not-redis"), ["gave no valid reply"]);
    cases.broken("hangs", at("hangs"), [format!("redis {} does not answer", claim.at)]);
    match &claim.replica {
        None => cases.unclaimed("does-not-replicate", "it names no `replica`"),
        Some(replica) => {
            let on = |fault| Deed::Server { at: replica.clone(), fault };
            let name = replica.to_string();
            cases.broken("does-not-replicate", at("does-not-replicate"), [name.as_str(), "had no key"]);
            cases.broken("replica-hangs", on("hangs"), [format!("redis {replica} does not answer")]);
            cases.broken("replica-is-a-master", on("wrong-role"), [name.as_str(), "is a master, no replica"]);
            cases.broken("replica-not-redis", on("not-redis"), [format!("redis {replica} gave no valid reply")]);
            match claim.password {
                Some(_) => cases.broken("replica-refuses-login", on("auth-refused"), [name.as_str(), "WRONGPASS"]),
                None => cases.unclaimed("replica-refuses-login", login),
            }
        }
    }
    cases
}

/// A server that cannot be talked to denies nothing.
fn kept_out(claim: &Redis) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    match (&claim.user, &claim.password) {
        // A server without passwords knows nobody else (redis `ACLAuthenticateUser`).
        (Some(user), _) if user != "default" => {
            cases.unclaimed("no-password", "it comes as another user than `default`");
        }
        (_, Some(_)) => cases.broken("no-password", at("no-password"), ["wants no password"]),
        (_, None) => cases.broken("no-password", at("no-password"), ["let us in"]),
    }
    match claim.password {
        Some(_) => cases.broken("accepts-any-password", at("accepts-any-password"), ["let us in"]),
        None => cases.unclaimed("accepts-any-password", "it comes without a password"),
    }
    // Who is not let in is told so before, with a password or without (redis `processCommand`: NOAUTH comes before LOADING).
    cases.unclaimed("loading", "a server that is loading keeps out all the same");
    cases.unclear("closes-mid-reply", at("closes-mid-reply"), ["gave no valid reply"]);
    cases.unclear("not-redis", at("not-redis"), ["gave no valid reply"]);
    cases.unclear("hangs", at("hangs"), [format!("redis {} does not answer", claim.at)]);
    cases
}
