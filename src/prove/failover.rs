//! Twin of `checks/failover.rs`. That its system does not hold to begin with is proven where that is claimed for itself.

use super::{Cases, Deed, Expected, Whose};
use crate::checks::{Failover, Kafka, System};
use crate::rehearsal::Fault;

pub(super) fn cases(claim: &Failover) -> Cases {
    let mut cases = Cases::default();
    let life = |fault| Deed::Life { whose: Whose::within(None, ""), fault };
    let all = |fault| Deed::Servers { fault };
    // Whoever comes back empty and is still named would take writes at once.
    let without_return = |deed| vec![deed, life(Fault::Unschedulable)];
    let (never, late, is_missed) = match &claim.of {
        System::Sentinel(system) => {
            let at = |fault| Deed::Server { at: system.at.clone(), fault };
            cases.broken("knows-no-master", at("knows-no-master"), ["No such master with that name"]);
            (without_return(at("never-elects")), without_return(at("elects-late")), system.replicas > 1)
        }
        System::Postgres(system) => {
            let claims = system.replicas.is_some_and(|replicas| replicas > 0);
            (vec![life(Fault::NeverElects)], vec![life(Fault::ElectsLate)], claims)
        }
        System::Kafka(system) => return kafka(system),
    };
    cases.broken("never-elects", never, ["nobody took a write after", "was deleted"]);
    cases.broken("elects-late", late, ["no write was acknowledged for"]);
    cases.broken("successor-lacks-writes", all("leads-empty"), ["acknowledged writes are gone"]);
    let few = "the replicas that it claims are there without who was deleted (`replicas`)";
    cases.broken_if(is_missed, "does-not-come-back", life(Fault::Unschedulable), "in the end: ", few);
    cases
}

fn kafka(system: &Kafka) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: system.at.clone(), fault };
    let unplaced = Deed::Life { whose: Whose::within(None, ""), fault: Fault::Unschedulable };
    // A broker that comes back would lead again what it has led.
    let without_return = |fault| vec![at(fault), unplaced.clone()];
    cases.broken("never-elects", without_return("never-elects"), ["nobody took a write after", "was deleted"]);
    cases.broken("elects-late", without_return("elects-late"), ["no write was acknowledged for"]);
    cases.broken("successor-lacks-records", at("leads-empty"), ["acknowledged writes are gone"]);
    let words = ["the offset that a group had committed before is gone"];
    cases.broken("successor-lacks-offsets", at("coordinates-empty"), words);
    let words = ["no group was served for", "was deleted"];
    cases.broken("successor-serves-groups-late", without_return("coordinates-late"), words);
    let words = ["itself came back, and served the group"];
    cases.broken("nobody-else-serves-groups", at("coordinates-alone"), words);
    let words = ["no group is served any more: OffsetFetch: GROUP_AUTHORIZATION_FAILED"];
    cases.broken("successor-refuses-groups", at("coordinates-nobody"), words);
    cases.add("keeps-topics", at("keeps-topics"), Expected::Warned("something of ours was left behind"));
    let several = system.brokers.is_some_and(|brokers| brokers > 1);
    let why = "it does not claim how many brokers there are (`brokers`)";
    cases.broken_if(several, "does-not-come-back", unplaced, "in the end: ", why);
    cases
}
