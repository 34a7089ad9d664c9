//! Twin of `checks/failover.rs`. That its system does not hold to begin with is proven where that is claimed for itself.

use super::{Cases, Deed, Whose};
use crate::checks::{Failover, System};
use crate::rehearsal::Fault;

pub(super) fn cases(claim: &Failover) -> Cases {
    let mut cases = Cases::default();
    let System::Sentinel(system) = &claim.of;
    let at = |fault| Deed::Server { at: system.at.clone(), fault };
    let all = |fault| Deed::Servers { fault };
    let unplaced = Deed::Life { whose: Whose::within(None, ""), fault: Fault::Unschedulable };
    cases.broken("knows-no-master", at("knows-no-master"), ["No such master with that name"]);
    // Whoever comes back empty and is still named would take writes at once.
    let without_return = |fault| vec![at(fault), unplaced.clone()];
    cases.broken("never-elects", without_return("never-elects"), ["nobody took a write after", "was deleted"]);
    cases.broken("elects-late", without_return("elects-late"), ["no write was acknowledged for"]);
    cases.broken("successor-lacks-writes", all("leads-empty"), ["acknowledged writes are gone"]);
    let few = "the replicas that it claims are there without who was deleted (`replicas`)";
    cases.broken_if(system.replicas > 1, "does-not-come-back", unplaced, "in the end: ", few);
    cases
}
