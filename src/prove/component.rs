//! A component's readiness: what it waits for must be doomed, or late, by its lowest cause.

use super::{Case, Cases, Deed, Object, Whose, crd, weather, workload};
use crate::rehearsal::Fault;

/// When a fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// While it becomes ready.
    Settling,
    /// Once it is ready.
    Enduring,
}

/// The faults that a component's readiness must show, and the weather that it must bear; of these objects those that make
/// pods, or kinds.
#[must_use]
pub fn of_component(when: Installed, objects: &[Object]) -> Vec<Case> {
    let mut cases = Cases::default();
    for object in objects {
        let (kind, name) = (object.kind.as_str(), object.name.as_str());
        let mut own = match when {
            Installed::Settling if object.makes_pods() => settling(object),
            Installed::Settling if kind == "CustomResourceDefinition" => {
                let mut cases = crd::definition(name);
                cases.0.extend(weather::of_api(&[]).0);
                cases
            }
            Installed::Enduring if object.makes_pods() => enduring(object),
            Installed::Settling | Installed::Enduring => Cases::default(),
        };
        for case in &mut own.0 {
            case.name = format!("{}/{name}: {}", kind.to_lowercase(), case.name);
        }
        cases.0.append(&mut own.0);
    }
    if !cases.0.is_empty() {
        cases.0.push(Case::control());
    }
    cases.0
}

fn settling(object: &Object) -> Cases {
    let mut cases = workload::rollouts(object);
    let anew = Deed::Restart(object.clone());
    let whose = Whose::within(object.namespace.as_deref(), &object.name);
    for fault in [Fault::SlowStart, Fault::RestartsOnce] {
        cases.held(fault.name(), vec![Deed::Life { whose: whose.clone(), fault }, anew.clone()]);
    }
    cases.0.extend(weather::of_api(&[anew]).0);
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
