//! Twin of `checks/clickhouse.rs`.

use super::{Cases, Deed, Expected, reach};
use crate::checks::{Access, Clickhouse};

pub(super) fn cases(claim: &Clickhouse, in_a_row: u32) -> Cases {
    let mut cases = match claim.expect {
        Access::Allowed => let_in(claim),
        Access::Denied => kept_out(claim),
    };
    cases.0.extend(reach::server(&claim.at, claim.expect, claim.password.as_ref(), in_a_row, "gave no valid answer").0);
    cases
}

fn let_in(claim: &Clickhouse) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    // The codes are ClickHouse's own (`src/Common/ErrorCodes.cpp`).
    let writes = "it claims no writes (`writes`)";
    let refuses = if claim.cluster.is_some() { "refused to make a replicated table" } else { "refused to write" };
    for (name, code) in [("read-only", 164), ("no-permission", 497)] {
        cases.broken_if(claim.writes, name, at(name), &format!("{refuses}: {code}"), writes);
    }
    for (name, words) in [
        ("no-space", "refused to write: 243"),
        ("loses-insert", "took a row and then had no row"),
        ("other-value", "took a row and then had another row"),
        ("exception-after-200", "took a row and then had an error in place of it: 241"),
    ] {
        cases.broken_if(claim.writes, name, at(name), words, writes);
    }
    match claim.writes {
        true => cases.add("keeps-tables", at("keeps-tables"), Expected::Warned("a table of ours was left behind")),
        false => cases.unclaimed("keeps-tables", writes),
    }
    let version = "it claims no `version`";
    cases.broken_if(claim.version.is_some(), "wrong-version", at("wrong-version"), "is version", version);
    match claim.password {
        Some(_) => {
            cases.broken("rejects-login", at("rejects-login"), ["refused the login: 516"]);
            let untested = Expected::Warned("the password was not tested");
            cases.add("accepts-any-password", at("accepts-any-password"), untested);
        }
        None => {
            cases.unclaimed("rejects-login", "it sends no password");
            cases.unclaimed("accepts-any-password", "it sends no password");
        }
    }
    replicas(claim, &mut cases);
    cases.broken("no-database", at("no-database"), ["81 Database"]);
    cases.broken("overloaded", at("overloaded"), ["202 Too many simultaneous queries"]);
    cases.broken("out-of-memory", at("out-of-memory"), ["answered the first query with: 241"]);
    cases.broken("closes-mid-reply", at("closes-mid-reply"), ["gave no valid answer"]);
    cases.broken("not-clickhouse", at("not-clickhouse"), ["answered /ping with HTTP 200"]);
    cases.broken("hangs", at("hangs"), [format!("clickhouse {} does not answer", claim.at)]);
    cases
}

/// The cluster that it is part of; every server behind the address has the fault.
fn replicas(claim: &Clickhouse, cases: &mut Cases) {
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let name = claim.cluster.clone().unwrap_or_default();
    let lists = "it claims no `cluster`";
    for (fault, words) in [
        ("no-cluster", format!("has no cluster {name} in system.clusters")),
        ("hides-clusters", "does not say which clusters it knows: 497".to_owned()),
        ("is-none-of-them", format!("takes none of the hosts of cluster {name} for itself")),
        ("no-keeper", "it does not reach its Keeper: 999".to_owned()),
    ] {
        cases.broken_if(claim.cluster.is_some(), fault, at(fault), &words, lists);
    }
    let counts = claim.replicas.is_some_and(|wanted| wanted > 1);
    for (fault, words) in [
        ("lists-fewer", format!("in shard 1 of cluster {name}")),
        ("lists-nobody", format!("replica nobody of cluster {name}")),
    ] {
        cases.broken_if(counts, fault, at(fault), &words, "it does not claim several `replicas`");
    }
    let keeps = claim.cluster.is_some() && claim.writes;
    let table = "it claims no replicated table (`cluster`, `writes`)";
    for (fault, words) in [
        ("session-expired", "is read-only (system.replicas): its session with Keeper has expired"),
        ("tables-read-only", "refused to write: 242"),
        ("no-macros", "it refused to make a replicated table: 139 No macro 'replica'"),
    ] {
        cases.broken_if(keeps, fault, at(fault), words, table);
    }
    match keeps {
        true => cases.add("keeps-paths", at("keeps-paths"), Expected::Warned("in Keeper: it is there after")),
        false => cases.unclaimed("keeps-paths", table),
    }
    let several = keeps && counts;
    let alone = "it does not claim a replicated table on several `replicas`";
    for (fault, words) in [
        ("does-not-fetch", "had no such row"),
        ("alone-in-keeper", "knows 1 active of"),
        ("one-replica-name", "it refused to make a replicated table: 253"),
    ] {
        cases.broken_if(several, fault, at(fault), words, alone);
    }
}

/// A server that cannot be talked to denies nothing.
fn kept_out(claim: &Clickhouse) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    cases.broken("accepts-any-password", at("accepts-any-password"), ["was let in"]);
    // Who logs in is asked before the query, and a limit of queries comes after that.
    cases.unclaimed("overloaded", "a server with too many queries keeps out all the same");
    cases.unclear("out-of-memory", at("out-of-memory"), ["241", "no refusal of access"]);
    cases.unclear("closes-mid-reply", at("closes-mid-reply"), ["gave no valid answer"]);
    cases.unclear("not-clickhouse", at("not-clickhouse"), ["answered /ping with HTTP 200"]);
    cases.unclear("hangs", at("hangs"), [format!("clickhouse {} does not answer", claim.at)]);
    cases
}
