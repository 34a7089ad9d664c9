//! Every shipped suite: it parses, it plans, it prints, and each of its checks is listed here by name.
//!
//! With `BLESS=1` the table of the README is written anew.
#![expect(clippy::unwrap_used, reason = "a suite that cannot be read is a failed test")]

#[path = "live/serves.rs"]
mod serves;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Trial};
use seaworthy::plan::{self, Plan, Selection, StepId, Suites};
use seaworthy::suite::{self, Catalog, EnvironmentName, SourceFile, Suite};

fn main() {
    let arguments = Arguments::from_args();
    let names = environments();
    let mut trials: Vec<Trial> = names
        .iter()
        .cloned()
        .map(|name| Trial::test(format!("environment::{name}"), move || plans_and_prints(&name)))
        .collect();
    for suite in catalog(None).suites.into_values() {
        trials.extend(checks(&suite));
    }
    trials.push(Trial::test("the_table_of_the_readme_is_made_of_the_suites", table_is_current));
    trials.push(Trial::test("what_is_promised_so_far_is_shown_by_a_check_or_a_trial", nothing_is_left_over));
    libtest_mimic::run(&arguments, trials).exit();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("suites")
}

fn yaml(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

fn environments() -> Vec<String> {
    let files = yaml(&folder().join("environments"));
    files.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn catalog(environment: Option<&EnvironmentName>) -> Catalog {
    let paths = yaml(&folder()).into_iter().chain(yaml(&folder().join("environments")));
    let files: Vec<SourceFile> = paths.map(|path| SourceFile { bytes: std::fs::read(&path).unwrap(), path }).collect();
    suite::read(&folder(), &files, environment, &|path| path.exists()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn whole_platform(catalog: &Catalog) -> Plan {
    plan::plan(catalog, &Selection { suites: Suites::All, ..Selection::default() }).unwrap()
}

/// What this version promises to show: of the program itself, of the namespaces, the CRDs and the nodes.
const PROMISED: &[&str] = &[
    "F-1",
    "F-2",
    "F-3",
    "F-4",
    "F-5",
    "F-7",
    "A-10-namespace",
    "A-12-crds",
    "A-20-clickhouse",
    "A-20-cnpg",
    "A-20-nodes",
    "A-20-redis",
    "A-20-strimzi",
    "A-40-redis",
    "A-40-diagnostics",
    "A-40-clickhouse",
    "A-40-kafka",
    "A-40-pgadmin",
    "A-42-flyway",
    "A-45-minio",
    "A-45-neo4j",
    "A-45-temporal",
    "A-m1",
    "A-m2",
    "A-m3",
    "A-m4",
    "A-m5",
    "A-m6",
    "A-m7",
    "A-m9",
    "A-m10",
    "B-8",
    "C-1",
    "C-2",
    "C-5",
    "D-1",
    "D-2",
    "D-3",
    "D-6",
];

fn nothing_is_left_over() -> Result<(), libtest_mimic::Failed> {
    let mut shown: BTreeSet<String> =
        serves::SERVES.iter().flat_map(|(_, ids)| *ids).map(|id| (*id).to_owned()).collect();
    for suite in catalog(None).suites.into_values() {
        let of_checks = suite
            .components
            .values()
            .flat_map(|component| component.checks.values())
            .flat_map(|check| &check.requirements);
        shown.extend(of_checks.map(ToString::to_string));
    }
    let left: Vec<_> = PROMISED.iter().filter(|id| !shown.contains(**id)).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("shown by nothing: {left:?}").into()) }
}

/// Under this environment the whole platform has a plan, and every step of it is printed.
fn plans_and_prints(environment: &str) -> Result<(), libtest_mimic::Failed> {
    let catalog = catalog(Some(&environment.parse()?));
    let plan = whole_platform(&catalog);
    let outline = plan::outline(&plan);
    for name in catalog.suites.keys() {
        if !outline.contains(name.as_str()) {
            return Err(format!("the outline lacks {name}:\n{outline}").into());
        }
    }
    Ok(())
}

/// A trial for each check: it is in the plan under its name, and a requirement is served by it.
fn checks(suite: &Suite) -> Vec<Trial> {
    let mut trials = Vec::new();
    for component in suite.components.values() {
        for check in component.checks.values() {
            let id = StepId::of_component(&suite.name, &component.name, check.name.as_str());
            let served = check.requirements.len();
            let off = component.off.is_some();
            trials.push(Trial::test(format!("check::{id}"), move || {
                let planned = whole_platform(&catalog(None)).steps.contains_key(&id);
                match (planned || off, served) {
                    (true, 1..) => Ok(()),
                    (planned, served) => Err(format!("planned: {planned}, requirements served: {served}").into()),
                }
            }));
        }
    }
    trials
}

/// Between these two lines the README has the table.
const BEGINS: &str = "<!-- made of the suites: BLESS=1 cargo test --test suites -->\n";
const ENDS: &str = "<!-- so far -->\n";

fn table_is_current() -> Result<(), libtest_mimic::Failed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(BEGINS).ok_or("README.md has no place for the table")?;
    let (_, after) = rest.split_once(ENDS).ok_or("the table of README.md has no end")?;
    let current = format!("{before}{BEGINS}{}{ENDS}{after}", table());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, current)?;
    } else if current != text {
        return Err("the table of README.md is not what the suites say: BLESS=1 cargo test --test suites".into());
    }
    Ok(())
}

/// A row for each component: what is looked at with which probe, and whether the lab has the real thing.
fn table() -> String {
    let catalog = catalog(Some(&"lab".parse().unwrap()));
    let mut table =
        "| suite | component | probes | claims | requirements | shown on |\n|---|---|---|---|---|---|\n".to_owned();
    for suite in catalog.suites.values() {
        for component in suite.components.values() {
            let checks = || component.checks.values();
            let probes: BTreeSet<&str> = checks().map(|check| check.check.kind()).collect();
            let claims: Vec<&str> = checks().map(|check| check.title.as_str()).collect();
            let served: BTreeSet<String> = checks().flat_map(|c| &c.requirements).map(ToString::to_string).collect();
            let shown = match &component.off {
                None => "the real thing, in the lab".to_owned(),
                Some(why) => format!("rehearsals alone: {why}"),
            };
            let list = |words: Vec<&str>, between: &str| words.join(between);
            table += &format!(
                "| {} | {} | {} | {} | {} | {shown} |\n",
                suite.name,
                component.title,
                list(probes.into_iter().collect(), ", "),
                list(claims, "; "),
                list(served.iter().map(String::as_str).collect(), ", "),
            );
        }
    }
    table
}
