//! Pods that their controller is not allowed to create.

use super::object::words;
use super::patience::{QUOTA, REFERENCE, WEBHOOK};
use super::{Health, Object, Surroundings};

/// Why an owner cannot create its pods: its own condition, or the newest event if that is not a success.
pub(super) fn refused(owner: Object<'_>, around: &Surroundings<'_>) -> Option<Health> {
    let event = around.newest_event(owner, &["FailedCreate", "SuccessfulCreate"]);
    let failure = event.filter(|event| event.text("/reason") == "FailedCreate").map(|event| event.text("/message"));
    let message = owner.holds("ReplicaFailure").map(words).or(failure)?;
    Some(judge(owner, message.trim_start_matches("Error creating: ")))
}

fn judge(owner: Object<'_>, message: &str) -> Health {
    let line = format!("{} {} cannot create its pods: {message} (FailedCreate)", owner.kind, owner.name());
    let says = |words: &str| message.contains(words);
    if says("exceeded quota") {
        Health::stuck(line, QUOTA)
    } else if says("failed calling webhook") {
        Health::stuck(line, WEBHOOK)
    } else if says("error looking up service account") || says("not yet ready to handle request") {
        Health::stuck(line, REFERENCE)
    } else {
        Health::doomed(line)
    }
}

#[cfg(test)]
mod tests {
    use super::super::literal::{doomed, stuck, waiting};
    use super::super::patience::{QUOTA, REFERENCE, WEBHOOK};

    fn replica_set(message: &str) -> String {
        format!(
            "apiVersion: apps/v1
kind: ReplicaSet
metadata: {{ name: web, uid: r1, generation: 1 }}
status: {{ observedGeneration: 1, conditions: [{{ type: ReplicaFailure, status: 'True', reason: FailedCreate, message: '{message}' }}] }}"
        )
    }

    #[test]
    fn what_heals_is_waited_for_and_what_is_denied_is_doomed() {
        let said = |message: &str| format!("ReplicaSet web cannot create its pods: {message} (FailedCreate)");
        let table = [
            ("pods \"a\" is forbidden: exceeded quota: q, requested: pods=1", QUOTA),
            (
                "pods \"a\" is forbidden: error looking up service account a/b: serviceaccount \"b\" not found",
                REFERENCE,
            ),
            ("Internal error occurred: failed calling webhook \"w\"", WEBHOOK),
        ];
        for (message, patience) in table {
            stuck(&replica_set(message), &said(message), patience);
        }
        for message in
            ["admission webhook \"w\" denied the request: no", "pods \"a\" is forbidden: violates PodSecurity"]
        {
            doomed(&replica_set(message), &said(message));
        }
    }

    #[test]
    fn an_event_counts_until_a_pod_was_created_after_it() {
        let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: web, uid: s1 }\nstatus: { observedGeneration: 0 }";
        let event = |version: u8, reason: &str| {
            format!(
                "\n---\napiVersion: v1\nkind: Event\nmetadata: {{ name: e, resourceVersion: '{version}' }}\n\
                 involvedObject: {{ uid: s1 }}\nreason: {reason}\nmessage: denied"
            )
        };
        let failed = format!("{set}{}", event(5, "FailedCreate"));
        doomed(&failed, "StatefulSet web cannot create its pods: denied (FailedCreate)");
        let healed = failed + &event(6, "SuccessfulCreate");
        waiting(&healed, "StatefulSet web: 0 of 1 pods created");
    }
}
