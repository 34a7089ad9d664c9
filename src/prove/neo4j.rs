//! Twin of `checks/neo4j.rs`.

use super::{Cases, Deed, Expected, reach};
use crate::checks::{Access, Neo4j};

/// Why what is wrong with Bolt alone is not seen.
const NO_BOLT: &str = "it names no `bolt`";

pub(super) fn cases(claim: &Neo4j, in_a_row: u32) -> Cases {
    let mut cases = match claim.expect {
        Access::Allowed => let_in(claim),
        Access::Denied => kept_out(claim),
    };
    cases.0.extend(reach::server(&claim.at, claim.expect, claim.password.as_ref(), in_a_row, "gave no valid answer").0);
    cases
}

fn let_in(claim: &Neo4j) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    // The codes are Neo4j's own ("Neo4j Status Codes").
    let writes = "it claims no writes (`writes`)";
    for (name, words) in [
        ("loses-nodes", "took a node and then had in place of it: no node"),
        ("other-values", "had in place of it: a node with another value"),
        ("doubles-nodes", "had in place of it: 2 nodes"),
        ("keeps-nodes", "said that a node was deleted, and still has it"),
        ("refuses-deletes", "refused to delete a node: Neo.ClientError.Security.Forbidden"),
        ("read-only", "refused to write: Neo.ClientError.General.WriteOnReadOnlyAccessDatabase"),
    ] {
        cases.broken_if(claim.writes, name, at(name), words, writes);
    }
    let name = "unavailable-once-deleted";
    match claim.writes {
        true => cases.unclear(name, at(name), ["a node that was deleted", "DatabaseUnavailable"]),
        false => cases.unclaimed(name, writes),
    }
    for (name, words) in [
        ("rejects-login", "refused "),
        ("account-locked", "Neo.ClientError.Security.AuthenticationRateLimit"),
        ("password-expired", "Neo.ClientError.Security.CredentialsExpired"),
        ("no-database", "Neo.ClientError.Database.DatabaseNotFound"),
        ("database-unavailable", "Neo.TransientError.General.DatabaseUnavailable"),
        ("status-500", "answered GET / with HTTP 500"),
        ("overloaded", "answered GET / with HTTP 503"),
        ("closes-mid-reply", "gave no valid answer"),
        ("not-neo4j", "answered GET / with HTTP 200"),
    ] {
        cases.broken(name, at(name), [words]);
    }
    cases.broken("hangs", at("hangs"), [format!("neo4j {} does not answer", claim.at)]);
    cases.unclaimed("accepts-anyone", "that a stranger is refused is another claim (`expect: denied`)");
    let version = "it claims no `version`";
    cases.broken_if(claim.version.is_some(), "wrong-version", at("wrong-version"), "is version 4.4.38", version);
    over_bolt(claim, &mut cases);
    cases
}

/// What is wrong with Bolt alone; the server has the fault, whichever of its ports is named.
fn over_bolt(claim: &Neo4j, cases: &mut Cases) {
    let Some(bolt) = &claim.bolt else {
        for name in [
            "bolt-rejects-login",
            "bolt-shows-others",
            "old-bolt",
            "bolt-speaks-http",
            "bolt-hangs",
            "advertises-itself",
        ] {
            cases.unclaimed(name, NO_BOLT);
        }
        return;
    };
    let at = |fault| Deed::Server { at: bolt.clone(), fault };
    let place = format!("bolt {bolt}");
    for (name, words) in [
        ("bolt-rejects-login", "refused "),
        ("old-bolt", "speaks neither Bolt 5.0 to 5.8 nor 4.4"),
        ("bolt-speaks-http", "answered Bolt's handshake in HTTP"),
        ("bolt-hangs", "does not answer"),
    ] {
        cases.broken(name, at(name), [place.as_str(), words]);
    }
    let found = format!("{place} in place of it: no node");
    let writes = "it claims no writes (`writes`)";
    cases.broken_if(claim.writes, "bolt-shows-others", at("bolt-shows-others"), &found, writes);
    cases.add(
        "advertises-itself",
        at("advertises-itself"),
        Expected::Warned("sends whoever asks it for Bolt to bolt://localhost"),
    );
}

/// A server that cannot be talked to denies nothing, nor does one that has no time for anybody.
fn kept_out(claim: &Neo4j) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    cases.broken("accepts-anyone", at("accepts-anyone"), ["let in a stranger"]);
    let name = "bolt-accepts-anyone";
    match &claim.bolt {
        Some(bolt) => {
            cases.broken(name, at(name), [format!("bolt {bolt} let in a stranger")]);
            cases.unclear("bolt-speaks-http", at("bolt-speaks-http"), ["answered Bolt's handshake in HTTP"]);
            cases.unclear("bolt-hangs", at("bolt-hangs"), [format!("bolt {bolt} does not answer")]);
        }
        None => {
            for name in [name, "bolt-speaks-http", "bolt-hangs"] {
                cases.unclaimed(name, NO_BOLT);
            }
        }
    }
    cases.unclear("account-locked", at("account-locked"), ["AuthenticationRateLimit", "no refusal of access"]);
    cases.unclear("status-500", at("status-500"), ["answered GET / with HTTP 500"]);
    cases.unclear("overloaded", at("overloaded"), ["answered GET / with HTTP 503"]);
    cases.unclear("closes-mid-reply", at("closes-mid-reply"), ["gave no valid answer"]);
    cases.unclear("not-neo4j", at("not-neo4j"), ["answered GET / with HTTP 200"]);
    cases.unclear("hangs", at("hangs"), [format!("neo4j {} does not answer", claim.at)]);
    cases
}
