//! Twin of `checks/sentinel.rs`. Who leads and who follows is known to the Sentinels alone: of servers all are struck.

use super::{Cases, Deed, reach, tls};
use crate::checks::{Access, Sentinel};

pub(super) fn cases(claim: &Sentinel, in_a_row: u32) -> Cases {
    let mut cases = tls::cases(&claim.at, claim.tls.as_ref(), Access::Allowed);
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let all = |fault| Deed::Servers { fault };
    cases.broken("names-another", at("names-another"), ["sentinel", "names", "and sentinel"]);
    cases.broken("names-loopback", at("names-loopback"), ["which is its own loopback"]);
    cases.broken("knows-no-master", at("knows-no-master"), ["No such master with that name"]);
    cases.broken("sees-it-down", at("sees-it-down"), ["as s_down, o_down"]);
    cases.broken("no-quorum", at("no-quorum"), ["says: NOQUORUM"]);
    cases.broken_if(claim.sentinels > 1, "knows-fewer", at("knows-fewer"), "knows of 1", "one is enough (`sentinels`)");
    cases.broken("ping-only", at("ping-only"), ["says: ERR unknown command"]);
    cases.broken("not-redis", at("not-redis"), ["gave no valid reply"]);
    cases.broken("hangs", at("hangs"), ["does not answer"]);
    match claim.sentinel_password {
        Some(_) => cases.broken("sentinel-refuses-login", at("auth-refused"), ["AUTH with: WRONGPASS"]),
        None => cases.unclaimed("sentinel-refuses-login", "it sends no password to Sentinels (`sentinel-password`)"),
    }
    cases.broken("wrong-role", all("wrong-role"), ["is a replica, and the sentinels name it the master"]);
    cases.broken("out-of-memory", all("out-of-memory"), ["refused to write: OOM"]);
    cases.broken("loses-writes", all("loses-writes"), ["took a write and then had no such key"]);
    let counts = claim.replicas > 0;
    let none = "it claims no replica (`replicas`)";
    cases.broken_if(counts, "no-heirs", at("no-heirs"), "could let 0 replicas lead", none);
    cases.broken_if(counts, "link-down", all("link-down"), "has 0 online", none);
    cases.broken_if(counts, "replicas-wait", all("replicas-wait"), "has 0 online of", none);
    cases.broken_if(counts, "does-not-replicate", all("does-not-replicate"), "had no key", none);
    cases.0.extend(reach::cases(&claim.at, Access::Allowed, claim.password.as_ref()).0);
    cases.0.extend(reach::door(&claim.at, Access::Allowed, in_a_row, Some("gave no valid reply")).0);
    cases
}
