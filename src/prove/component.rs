//! A component's readiness: what it waits for must be doomed, or late, by its lowest cause.

use super::pods::DOOMS;
use super::{Case, Cases, Deed, Object, Whose, crd, weather, workload};
use crate::rehearsal::Fault;

/// Kinds of which their operators write nothing: group and name. Only what is made for them is seen.
const UNTOLD: [(&str, &str); 2] = [("databases.spotahome.com/", "/RedisFailover"), ("postgresql.cnpg.io/", "/Pooler")];

/// When a fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// While it becomes ready.
    Settling,
    /// Once it is ready.
    Enduring,
}

/// The faults that a component's readiness must show, and the weather that it must bear; of these objects those that make
/// pods, or kinds, or run to an end, or that somebody looks after.
#[must_use]
pub fn of_component(when: Installed, objects: &[Object]) -> Vec<Case> {
    let mut cases = Cases::default();
    for object in objects {
        let mut own = match when {
            Installed::Settling => settling(object),
            Installed::Enduring if object.makes_pods() => enduring(object),
            Installed::Enduring => Cases::default(),
        };
        let (kind, name) = (object.kind.rsplit('/').next().unwrap_or_default().to_lowercase(), &object.name);
        for case in &mut own.0 {
            case.name = format!("{kind}/{name}: {}", case.name);
        }
        cases.0.append(&mut own.0);
    }
    if !cases.0.is_empty() {
        match objects.iter().find_map(|object| anew(when, object)) {
            // They are established in a moment.
            Some(deed @ Deed::Recreate(_)) => cases.0.extend(weather::of_moment(&[deed]).0),
            Some(deed) => cases.0.extend(weather::of_api(&[deed]).0),
            None => {}
        }
        cases.0.push(Case::control());
    }
    cases.0
}

/// What gives a component something to wait for.
fn anew(when: Installed, object: &Object) -> Option<Deed> {
    match (when, object.kind.as_str()) {
        _ if object.makes_pods() => Some(Deed::Restart(object.clone())),
        (Installed::Settling, "CustomResourceDefinition" | "Job") => Some(Deed::Recreate(object.clone())),
        _ => None,
    }
}

pub(super) fn settling(object: &Object) -> Cases {
    let whose = Whose::within(object.namespace.as_deref(), &object.name);
    let anew = |fault| vec![Deed::Life { whose: whose.clone(), fault }, Deed::Recreate(object.clone())];
    let mut cases = Cases::default();
    match object.kind.as_str() {
        _ if object.makes_pods() => return rolling_out(object),
        "CustomResourceDefinition" => return crd::definition(&object.name),
        "Job" => {
            for (fault, words) in DOOMS {
                cases.broken(fault.name(), anew(fault), [words]);
            }
            cases.broken(Fault::JobFails.name(), anew(Fault::JobFails), ["exited with code 1"]);
            cases.broken(
                Fault::JobHangs.name(),
                anew(Fault::JobHangs),
                [object.name.as_str(), "has not ended: 1 active pod"],
            );
        }
        "PersistentVolumeClaim" => {
            cases.broken(
                Fault::PvcPending.name(),
                anew(Fault::PvcPending),
                [format!("PersistentVolumeClaim {}", object.name)],
            );
        }
        kind if kind.contains('/') => {
            let is_told = !UNTOLD.iter().any(|(group, name)| kind.starts_with(group) && kind.ends_with(name));
            let silent = if is_told { "no controller has written a status" } else { "its operator has made no" };
            let refused = if is_told { "the operator refuses this object" } else { silent };
            for (fault, words) in [(Fault::OperatorSilent, silent), (Fault::OperatorRefuses, refused)] {
                cases.broken(fault.name(), anew(fault), [object.name.as_str(), words]);
            }
        }
        _ => return cases,
    }
    cases.broken("gone", Deed::Delete(object.clone()), [object.name.as_str(), "is not there"]);
    cases
}

fn rolling_out(object: &Object) -> Cases {
    let mut cases = workload::rollouts(object);
    let whose = Whose::within(object.namespace.as_deref(), &object.name);
    for fault in [Fault::SlowStart, Fault::RestartsOnce] {
        cases.held(fault.name(), vec![Deed::Life { whose: whose.clone(), fault }, Deed::Restart(object.clone())]);
    }
    cases
}

fn enduring(object: &Object) -> Cases {
    let mut cases = Cases::default();
    let whose = Whose::within(object.namespace.as_deref(), &object.name);
    let crash = vec![Deed::Life { whose, fault: Fault::CrashLoop }, Deed::Restart(object.clone())];
    cases.broken("crashes-later", crash, ["exited with code 1"]);
    cases.broken("deleted-later", Deed::Delete(object.clone()), [format!("{} is not there", object.name)]);
    if object.kind != "DaemonSet" {
        cases.broken("scaled-to-zero-later", Deed::scale_to_zero(object.clone()), ["scaled to 0"]);
    }
    cases
}
