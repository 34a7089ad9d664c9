//! Commands that only tell: validate, list, schema, replay.

use std::fs::File;
use std::io::BufReader;

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::{Value, json};

use super::{ENVIRONMENT, WRONG, catalog, coverage, output, reports};
use crate::cli::{Cli, ListArgs, ReplayArgs, SchemaOf};
use crate::complaint;
use crate::number::count;
use crate::plan::{Selection, Suites};
use crate::report::{self, Reporter, Reports};
use crate::suite::{self, Catalog, CheckSpec, Component, Suite};

pub(super) fn validate(cli: &Cli) -> u8 {
    match catalog::read(cli) {
        Ok(catalog) => {
            let checks: usize =
                catalog.suites.values().flat_map(|suite| suite.components.values()).map(|c| c.checks.len()).sum();
            let (suites, checks) = (count(catalog.suites.len(), "suite"), count(checks, "check"));
            output::say(&format!("in order: {suites} with {checks}, in every environment"))
        }
        Err(code) => code,
    }
}

pub(super) fn schema(of: SchemaOf) -> u8 {
    let schema = match of {
        SchemaOf::Suite => suite::suite_schema(),
        SchemaOf::Environment => suite::environment_schema(),
    };
    output::say(&format!("{schema:#}"))
}

pub(super) fn completion(shell: Shell) -> u8 {
    // By way of memory: the generator takes a reader who has seen enough for a defect.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "seaworthy", &mut script);
    output::say(&String::from_utf8_lossy(&script))
}

pub(super) fn list(cli: &Cli, list: &ListArgs) -> u8 {
    let catalog = match catalog::read(cli) {
        Ok(catalog) => catalog,
        Err(code) => return code,
    };
    let selector = match catalog::selector(list.selector.as_ref()) {
        Ok(selector) => selector,
        Err(code) => return code,
    };
    let selection = Selection { suites: Suites::of(&list.names), selector, ..Selection::default() };
    let suites = match selection.asked(&catalog) {
        Ok(suites) => suites,
        Err(error) => return catalog::unplanned(&error),
    };
    let text = match (list.requirements, list.json) {
        (false, false) => as_tree(&suites),
        (false, true) => format!("{:#}", as_json(&catalog, &suites)),
        (true, false) => coverage::as_table(&suites),
        (true, true) => format!("{:#}", coverage::as_json(&suites)),
    };
    output::say(&text)
}

fn as_tree(suites: &[&Suite]) -> String {
    let mut text = String::new();
    for suite in suites {
        let needs = suite.needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let stands = if needs.is_empty() { String::new() } else { format!(" (needs {needs})") };
        text += &format!("{}{stands}{}: {}\n", suite.name, labels(suite), suite.title);
        for component in suite.components.values() {
            let off = component.off.as_ref().map_or_else(String::new, |why| format!(" (off: {why})"));
            text += &format!("  {}{off}: {}\n", component.name, component.title);
            for check in component.checks.values() {
                text += &format!("    {} [{}] {}\n", check.name, check.check.kind(), requirements(check).join(" "));
            }
        }
    }
    text
}

fn labels(suite: &Suite) -> String {
    let labels: Vec<String> = suite.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if labels.is_empty() { String::new() } else { format!(" [{}]", labels.join(", ")) }
}

fn as_json(catalog: &Catalog, suites: &[&Suite]) -> Value {
    let suite = |suite: &&Suite| {
        let components: Vec<Value> = suite.components.values().map(component).collect();
        json!({
            "suite": suite.name, "title": suite.title, "labels": suite.labels, "needs": suite.needs, "file": suite.file,
            "deploy-budget": suite.deploy_budget, "components": components,
        })
    };
    json!({ "environment": catalog.environment.name, "suites": suites.iter().map(suite).collect::<Vec<_>>() })
}

fn component(component: &Component) -> Value {
    let check = |check: &CheckSpec| {
        json!({
            "check": check.name, "title": check.title, "kind": check.check.kind(),
            "requirements": check.requirements, "within": check.patience.within,
        })
    };
    json!({
        "component": component.name, "title": component.title, "namespace": component.namespace,
        "needs": component.needs, "off": component.off,
        "checks": component.checks.values().map(check).collect::<Vec<_>>(),
    })
}

fn requirements(check: &CheckSpec) -> Vec<String> {
    check.requirements.iter().map(ToString::to_string).collect()
}

pub(super) fn replay(cli: &Cli, arguments: &ReplayArgs) -> u8 {
    let path = arguments.transcript.display();
    let reading = match File::open(&arguments.transcript) {
        Ok(file) => report::read(BufReader::new(file)).map_err(|error| complaint::chain(&error)),
        Err(error) => Err(error.to_string()),
    };
    let reading = match reading {
        Ok(reading) => reading,
        Err(why) => {
            output::complain(&format!("cannot replay {path}: {why}"), &[]);
            return WRONG;
        }
    };
    let mut reporters = vec![Reporter::Terminal(reports::terminal(cli))];
    match reports::junit(arguments.junit.as_deref(), arguments.junit_strict) {
        Ok(junit) => reporters.extend(junit),
        Err(why) => {
            output::complain(&why, &[]);
            return ENVIRONMENT;
        }
    }
    let mut told = Reports::new(reporters);
    reading.events.iter().for_each(|event| told.take(event));
    if let Some(warning) = &reading.warning {
        output::complain(warning, &[]);
    }
    let code = told.tally().exit_code();
    output::ended(code, &told.close())
}
