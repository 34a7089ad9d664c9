//! What is covered: each requirement with everything in the suites that serves it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::plan::{DEPLOY_BUDGET, StepId};
use crate::suite::{RequirementId, Suite};

/// A claim that serves a requirement: its name in plans and reports, and why it is left out here, if it is.
type Server<'a> = (StepId, Option<&'a str>);

/// One requirement a line, then one claim a line.
pub(super) fn as_table(suites: &[&Suite]) -> String {
    let mut text = String::new();
    for (requirement, servers) in served(suites) {
        text += &format!("{requirement}\n");
        for (claim, off) in servers {
            let off = off.map_or_else(String::new, |why| format!(" (off: {why})"));
            text += &format!("  {claim}{off}\n");
        }
    }
    text
}

/// The same for programs.
pub(super) fn as_json(suites: &[&Suite]) -> Value {
    let row = |(requirement, servers): (&RequirementId, Vec<Server<'_>>)| {
        let checks: Vec<Value> =
            servers.iter().map(|(claim, off)| json!({ "check": claim.as_str(), "off": off })).collect();
        json!({ "requirement": requirement, "checks": checks })
    };
    json!({ "requirements": served(suites).into_iter().map(row).collect::<Vec<_>>() })
}

fn served<'a>(suites: &[&'a Suite]) -> BTreeMap<&'a RequirementId, Vec<Server<'a>>> {
    let mut served: BTreeMap<&RequirementId, Vec<Server<'_>>> = BTreeMap::new();
    for suite in suites {
        for requirement in &suite.deploy_requirements {
            served.entry(requirement).or_default().push((StepId::of_suite(&suite.name, DEPLOY_BUDGET), None));
        }
        for component in suite.components.values() {
            for check in component.checks.values() {
                let claim = StepId::of_component(&suite.name, &component.name, check.name.as_str());
                for requirement in &check.requirements {
                    served.entry(requirement).or_default().push((claim.clone(), component.off.as_deref()));
                }
            }
        }
    }
    served
}
