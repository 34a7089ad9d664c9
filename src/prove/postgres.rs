//! Twin of `checks/postgres.rs`.

use super::{Cases, Deed, Expected, reach, tls};
use crate::checks::{Access, Address, Postgres, PostgresRole};

pub(super) fn cases(claim: &Postgres, in_a_row: u32) -> Cases {
    let mut cases = match claim.expect {
        Access::Allowed => let_in(claim),
        Access::Denied => kept_out(claim),
    };
    cases.0.extend(tls::cases(&claim.at, claim.tls.as_ref(), claim.expect).0);
    cases.0.extend(reach::server(&claim.at, claim.expect, claim.password.as_ref(), in_a_row, "broke off").0);
    cases
}

fn let_in(claim: &Postgres) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let is_replica = claim.role == Some(PostgresRole::Replica);
    let keeps = claim.writes && !is_replica;
    let writes = "it claims no writes here (`writes`, `role`)";
    // The codes are PostgreSQL's own (its manual, appendix A).
    cases.broken_if(keeps, "read-only", at("read-only"), "refused to write: 25006", writes);
    cases.broken_if(keeps, "loses-commit", at("loses-commit"), "committed a row and then had", writes);
    cases.broken_if(keeps, "no-disk", at("no-disk"), "refused to write: 53100", writes);
    cases.broken_if(keeps, "no-permission", at("no-permission"), "refused to write: 42501", writes);
    match keeps {
        true => cases.add("keeps-tables", at("keeps-tables"), Expected::Warned("a table of ours was left behind")),
        false => cases.unclaimed("keeps-tables", writes),
    }
    match (claim.role, keeps) {
        (Some(PostgresRole::Primary), _) => cases.broken("in-recovery", at("in-recovery"), ["is a replica"]),
        (None, true) => cases.broken("in-recovery", at("in-recovery"), ["refused to write: 25006"]),
        (Some(PostgresRole::Replica), _) => cases.broken("promoted", at("promoted"), ["is a primary"]),
        (None, false) => {
            cases.unclaimed("in-recovery", "it claims neither to be a primary nor writes");
        }
    }
    let version = "it claims no `version`";
    cases.broken_if(claim.version.is_some(), "wrong-version", at("wrong-version"), "is version", version);
    match claim.password {
        Some(_) => cases.broken("rejects-login", at("rejects-login"), ["refused the login: 28P01"]),
        None => cases.unclaimed("rejects-login", "it sends no password"),
    }
    match claim.password {
        // Over a forward that is all that is known of a server which lets in whoever comes.
        Some(_) => cases.add("no-password", at("no-password"), Expected::Warned("the password was not tested")),
        None => cases.unclaimed("no-password", "it sends no password"),
    }
    beside(claim, &mut cases);
    cases.unclaimed("accepts-any-password", "that a wrong one is refused is another claim (`expect: denied`)");
    unanswered(&claim.at, &mut cases);
    cases
}

/// What keeps a server from answering anybody, whatever is asked.
pub(super) fn unanswered(place: &Address, cases: &mut Cases) {
    let at = |fault| Deed::Server { at: place.clone(), fault };
    cases.broken("no-database", at("no-database"), ["3D000"]);
    cases.broken("starting-up", at("starting-up"), ["57P03"]);
    cases.broken("too-many-connections", at("too-many-connections"), ["53300"]);
    cases.broken("closes-mid-reply", at("closes-mid-reply"), ["broke off"]);
    cases.broken("not-postgres", at("not-postgres"), ["broke off"]);
    cases.broken("hangs", at("hangs"), [format!("postgres {place} does not answer")]);
}

/// What else is there: those that follow it, whom it follows, and what was made in it.
fn beside(claim: &Postgres, cases: &mut Cases) {
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let is_replica = claim.role == Some(PostgresRole::Replica);
    let link = "it does not claim to be a replica (`role`)";
    cases.broken_if(is_replica, "link-down", at("link-down"), "receives from no primary", link);
    match claim.replicas {
        Some(1..) => {
            cases.broken("replicas-wait", at("replicas-wait"), ["has 0 streaming of"]);
            cases.broken("backs-up", at("backs-up"), ["has 0 streaming of", "replays nothing"]);
            cases.broken("publishes", at("publishes"), ["has 0 streaming of"]);
            cases.unclear("hides-replicas", at("hides-replicas"), ["GRANT pg_monitor TO"]);
        }
        Some(0) | None => {
            for fault in ["replicas-wait", "backs-up", "publishes", "hides-replicas"] {
                cases.unclaimed(fault, "it claims no `replicas`");
            }
        }
    }
    for (fault, is_claimed, said, why) in [
        ("lacks-databases", !claim.databases.is_empty(), "has no database", "it claims no `databases`"),
        ("lacks-roles", !claim.roles.is_empty(), "has no role", "it claims no `roles`"),
        ("lacks-extensions", !claim.extensions.is_empty(), "has no extension", "it claims no `extensions`"),
    ] {
        cases.broken_if(is_claimed, fault, at(fault), said, why);
    }
    let Some(replica) = &claim.replica else {
        return cases.unclaimed("does-not-replicate", "it names no `replica`");
    };
    let on = |fault| Deed::Server { at: replica.clone(), fault };
    let name = replica.to_string();
    cases.broken("does-not-replicate", at("does-not-replicate"), [name.as_str(), "had no such row"]);
    cases.broken("replica-hangs", on("hangs"), [format!("postgres {replica} does not answer")]);
    cases.broken("replica-is-a-primary", on("promoted"), [name.as_str(), "is not in recovery"]);
    cases.broken("replica-not-postgres", on("not-postgres"), [format!("postgres {replica} broke off")]);
    match claim.password {
        Some(_) => cases.broken("replica-refuses-login", on("rejects-login"), [name.as_str(), "28P01"]),
        None => cases.unclaimed("replica-refuses-login", "it sends no password"),
    }
}

/// A server that cannot be talked to denies nothing, nor does one that lets in whoever comes over a forward.
fn kept_out(claim: &Postgres) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    match claim.password {
        Some(_) => cases.broken("accepts-any-password", at("accepts-any-password"), ["was let in"]),
        None => cases.unclaimed("accepts-any-password", "it comes without a password"),
    }
    cases.unclear("no-password", at("no-password"), ["without a password"]);
    cases.unclear("starting-up", at("starting-up"), ["57P03"]);
    cases.unclear("too-many-connections", at("too-many-connections"), ["53300"]);
    cases.unclear("not-postgres", at("not-postgres"), ["broke off"]);
    cases.unclear("hangs", at("hangs"), [format!("postgres {} does not answer", claim.at)]);
    cases
}
