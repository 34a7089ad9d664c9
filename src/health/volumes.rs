//! PersistentVolumeClaims: bound, or waiting for their first consumer, which nobody needs to wait for.

use super::object::text;
use super::patience::{PROVISIONING, REFERENCE};
use super::{Health, Object, Surroundings};

pub(super) fn assess(claim: Object<'_>, around: &Surroundings<'_>) -> Health {
    let name = claim.name();
    match claim.text("/status/phase") {
        "Bound" => return Health::ready("bound"),
        "Lost" => return Health::doomed(format!("PersistentVolumeClaim {name} has lost its volume")),
        _ => {}
    }
    let Some(event) = around.newest_event(claim, &[]) else {
        return Health::waiting(format!("PersistentVolumeClaim {name} is not bound yet"));
    };
    let (reason, message) = (event.text("/reason"), event.text("/message").trim());
    let line = format!("PersistentVolumeClaim {name}: {message} ({reason})");
    match reason {
        "WaitForFirstConsumer" if !is_used(claim, around) => Health::ready("waits for its first consumer"),
        // Names a class that does not exist, or none where there is no default.
        "ProvisioningFailed" | "FailedBinding"
            if message.contains("not found") || message.contains("no storage class") =>
        {
            Health::stuck(line, REFERENCE)
        }
        "ProvisioningFailed" | "FailedBinding" => Health::stuck(line, PROVISIONING),
        _ => Health::waiting(line),
    }
}

fn is_used(claim: Object<'_>, around: &Surroundings<'_>) -> bool {
    let claims = |pod: &Object<'_>| {
        pod.list("/spec/volumes").iter().any(|volume| text(volume, "/persistentVolumeClaim/claimName") == claim.name())
    };
    around.all("Pod").iter().any(claims)
}

#[cfg(test)]
mod tests {
    use super::super::literal::{doomed, ready, stuck, waiting};
    use super::super::patience::{PROVISIONING, REFERENCE};

    fn claim(phase: &str) -> String {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{ name: data, uid: c1 }}\nstatus: {{ phase: {phase} }}"
        )
    }

    fn event(reason: &str, message: &str) -> String {
        format!(
            "\n---\napiVersion: v1\nkind: Event\nmetadata: {{ name: e, resourceVersion: '1' }}\ninvolvedObject: {{ uid: c1 }}\n\
             reason: {reason}\nmessage: '{message}'"
        )
    }

    #[test]
    fn a_claim_is_ready_when_bound_and_doomed_when_its_volume_is_lost() {
        ready(&claim("Bound"), "bound");
        doomed(&claim("Lost"), "PersistentVolumeClaim data has lost its volume");
        waiting(&claim("Pending"), "PersistentVolumeClaim data is not bound yet");
    }

    #[test]
    fn a_claim_without_a_consumer_is_not_waited_for_but_with_one_it_is() {
        let yaml = claim("Pending") + &event("WaitForFirstConsumer", "waiting");
        ready(&yaml, "waits for its first consumer");
        let pod = "\n---\napiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec: { volumes: [{ name: v, persistentVolumeClaim: { \
                   claimName: data } }] }";
        waiting(&format!("{yaml}{pod}"), "PersistentVolumeClaim data: waiting (WaitForFirstConsumer)");
    }

    #[test]
    fn a_class_that_does_not_exist_and_a_provisioner_that_fails_are_told_apart() {
        let unknown = claim("Pending") + &event("ProvisioningFailed", "storageclass \"x\" not found");
        stuck(&unknown, "PersistentVolumeClaim data: storageclass \"x\" not found (ProvisioningFailed)", REFERENCE);
        let failed = claim("Pending") + &event("ProvisioningFailed", "disk full");
        stuck(&failed, "PersistentVolumeClaim data: disk full (ProvisioningFailed)", PROVISIONING);
    }
}
