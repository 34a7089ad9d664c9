//! CustomResourceDefinitions: names accepted, established. Being served is one step further and needs a request.
//!
//! `Established` stays true although the names have been lost since (apiextensions `v1/types.go`), so both are asked.

use super::object::{text, words};
use super::{Health, Object};

pub(super) fn assess(definition: Object<'_>) -> Health {
    let name = definition.name();
    let says =
        |condition| format!("CustomResourceDefinition {name}: {} ({})", words(condition), text(condition, "/reason"));
    let lacks = |kind: &str| definition.condition(kind).filter(|condition| text(condition, "/status") == "False");
    if let Some(conflict) = lacks("NamesAccepted") {
        return Health::doomed(says(conflict));
    }
    if let Some(schema) = definition.holds("NonStructuralSchema") {
        return Health::doomed(says(schema));
    }
    if let Some(policy) = lacks("KubernetesAPIApprovalPolicyConformant") {
        return Health::doomed(says(policy));
    }
    match lacks("Established") {
        Some(refused) if text(refused, "/reason") != "Installing" => Health::doomed(says(refused)),
        Some(installing) => Health::waiting(says(installing)),
        None if definition.holds("Established").is_some() && definition.holds("NamesAccepted").is_some() => {
            Health::ready("established")
        }
        None => Health::waiting(format!("CustomResourceDefinition {name} is not established yet")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::literal::{doomed, ready, waiting};

    fn definition(conditions: &str) -> String {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{ name: a.b.c }}\n\
             status: {{ conditions: [{conditions}] }}"
        )
    }

    const ACCEPTED: &str = "{ type: NamesAccepted, status: 'True' }, { type: Established, status: 'True' }";

    #[test]
    fn a_definition_is_ready_when_accepted_and_established() {
        ready(&definition(ACCEPTED), "established");
        waiting(&definition(""), "CustomResourceDefinition a.b.c is not established yet");
        let installing = "{ type: NamesAccepted, status: 'True' }, { type: Established, status: 'False', reason: Installing, \
                          message: wait }";
        waiting(&definition(installing), "CustomResourceDefinition a.b.c: wait (Installing)");
    }

    #[test]
    fn a_definition_that_was_refused_is_doomed_even_where_it_was_established_once() {
        let table = [
            (
                "{ type: NamesAccepted, status: 'False', reason: PluralConflict, message: taken }",
                "taken (PluralConflict)",
            ),
            ("{ type: NonStructuralSchema, status: 'True', reason: Violations, message: bad }", "bad (Violations)"),
        ];
        for (condition, words) in table {
            let yaml = definition(&format!("{condition}, {ACCEPTED}"));
            doomed(&yaml, &format!("CustomResourceDefinition a.b.c: {words}"));
        }
        let bundle = "{ type: NamesAccepted, status: 'True' }, { type: Established, status: 'False', reason: InvalidCABundle, \
                      message: bad }";
        doomed(&definition(bundle), "CustomResourceDefinition a.b.c: bad (InvalidCABundle)");
    }
}
