//! The plan as a tree, for `--dry-run`: the same plan always prints the same text.

use std::fmt::Write;

use indexmap::IndexMap;

use super::step::{CheckWork, ComponentWork, Step, Work};
use super::{Omission, Plan};
use crate::number::count;
use crate::suite::{ChartSource, CheckName, ComponentName, Install, RequirementId, SuiteName};

/// Everything that will happen, and everything that will not, layer by layer.
#[must_use]
pub fn outline(plan: &Plan) -> String {
    let mut text = String::new();
    for step in plan.steps.values().filter(|step| step.place.is_none() && !matches!(step.work, Work::Teardown)) {
        line(&mut text, 0, &format!("{} · within {}", step.id, step.budget));
    }
    let layers = Layer::all(plan);
    for (suite, layer) in &layers {
        layer.write(&mut text, suite);
    }
    for step in plan.steps.values().filter(|step| matches!(step.work, Work::Teardown)) {
        line(&mut text, 0, &format!("\n{} · within {}", step.id, step.budget));
    }
    let checks = plan.steps.values().filter(|step| matches!(step.work, Work::Check(_))).count();
    let counts = [
        count(layers.len(), "suite"),
        count(plan.steps.len(), "step"),
        count(checks, "check"),
        format!("{} left out", plan.omissions.len()),
    ];
    line(&mut text, 0, &format!("\n{}", counts.join(", ")));
    text
}

/// One suite's part of the plan.
#[derive(Default)]
struct Layer<'a> {
    budget: Option<&'a Step>,
    components: IndexMap<&'a ComponentName, Row<'a>>,
    left_out: Vec<&'a Omission>,
}

/// One component's part of the plan.
#[derive(Default)]
struct Row<'a> {
    steps: Vec<&'a Step>,
    left_out: Vec<&'a Omission>,
}

impl<'a> Layer<'a> {
    fn all(plan: &'a Plan) -> IndexMap<&'a SuiteName, Self> {
        let mut layers: IndexMap<&SuiteName, Self> = IndexMap::new();
        for step in plan.steps.values() {
            let Some(place) = &step.place else { continue };
            let layer = layers.entry(&place.suite).or_default();
            match &place.component {
                Some(component) => layer.components.entry(component).or_default().steps.push(step),
                None => layer.budget = Some(step),
            }
        }
        for omission in &plan.omissions {
            let layer = layers.entry(&omission.place.suite).or_default();
            match &omission.place.component {
                Some(component) => layer.components.entry(component).or_default().left_out.push(omission),
                None => layer.left_out.push(omission),
            }
        }
        layers
    }

    fn write(&self, text: &mut String, suite: &SuiteName) {
        let is_checked = self
            .components
            .values()
            .any(|row| row.checks().next().is_some() || row.left_out.iter().any(|omission| is_check(omission)));
        let about = match self.budget {
            Some(step) => format!(" · ready within {}{}", step.budget, tags(step.requirements())),
            None if is_checked || !self.left_out.is_empty() => String::new(),
            None => " · only made ready".to_owned(),
        };
        line(text, 0, &format!("\n{suite}{about}"));
        for omission in &self.left_out {
            line(text, 1, &left_out("deploy-budget", omission));
        }
        for (name, row) in &self.components {
            row.write(text, suite, name);
        }
    }
}

impl<'a> Row<'a> {
    fn checks(&self) -> impl Iterator<Item = (&'a Step, &'a CheckWork)> {
        self.steps.iter().filter_map(|step| {
            let Work::Check(check) = &step.work else { return None };
            Some((*step, check.as_ref()))
        })
    }

    fn write(&self, text: &mut String, suite: &SuiteName, name: &ComponentName) {
        let mut about = name.to_string();
        let mut deeds = Vec::new();
        for step in &self.steps {
            match &step.work {
                Work::Install(work) => {
                    about.push_str(&format!(" · {}{}", source(work), after(suite, step)));
                    deeds.push("install".to_owned());
                }
                Work::Preload(work) => deeds.push(format!("preload {}", count(work.images.len(), "image"))),
                Work::Settle(_) => deeds.push(format!("ready within {}", step.budget)),
                Work::Render(_) => deeds.push("render".to_owned()),
                Work::Endure(_) => deeds.push("still ready at the end".to_owned()),
                Work::Cluster(_) | Work::Budget(_) | Work::Check(_) | Work::Teardown => {}
            }
        }
        line(text, 1, &about);
        if !deeds.is_empty() {
            line(text, 2, &deeds.join(", "));
        }
        for (step, check) in self.checks() {
            let spec = &check.spec;
            let kind = spec.check.kind();
            let requirements = tags(&spec.requirements);
            line(text, 2, &format!("{} · {kind} · within {}{requirements}", spec.name, step.budget));
            if !spec.is_titled_by_its_name() {
                line(text, 3, &spec.title);
            }
        }
        let (unpicked, others): (Vec<_>, Vec<_>) =
            self.left_out.iter().copied().partition(|omission: &&Omission| omission.asked && is_check(omission));
        for omission in others {
            let name = omission.place.check.as_ref().map_or("all", CheckName::as_str);
            line(text, 2, &left_out(name, omission));
        }
        if let Some(first) = unpicked.first() {
            line(text, 2, &format!("left out: {} · {}", count(unpicked.len(), "check"), first.reason));
        }
    }
}

const fn is_check(omission: &Omission) -> bool {
    omission.place.check.is_some()
}

/// Where a component comes from and where it goes.
fn source(work: &ComponentWork) -> String {
    let what = match &work.install {
        Install::Helm(helm) => format!("chart {}", chart(&helm.chart)),
        Install::Manifests { paths, .. } => {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        }
        Install::Crds { charts, paths } => {
            let sources = charts.iter().map(chart).chain(paths.iter().map(|path| path.display().to_string()));
            format!("CRDs of {}", sources.collect::<Vec<_>>().join(", "))
        }
        Install::Provided { by } => by.clone(),
    };
    format!("{what} into {}", work.namespace)
}

fn chart(source: &ChartSource) -> String {
    match source {
        ChartSource::Path(path) => path.display().to_string(),
        ChartSource::Oci { reference, version } => format!("{reference} {version}"),
        ChartSource::Repository { url, chart, version } => format!("{chart} {version} of {url}"),
    }
}

/// The components that an install stands on, short where they are of its own suite.
fn after(suite: &SuiteName, install: &Step) -> String {
    let own = format!("{suite}/");
    let settled = install.needs.iter().filter_map(|need| need.as_str().strip_suffix("/settle"));
    let names: Vec<&str> = settled.map(|key| key.strip_prefix(own.as_str()).unwrap_or(key)).collect();
    if names.is_empty() { String::new() } else { format!(" · after {}", names.join(", ")) }
}

fn left_out(name: &str, omission: &Omission) -> String {
    format!("left out: {name}{} · {}", tags(&omission.requirements), omission.reason)
}

fn tags(requirements: &[RequirementId]) -> String {
    let names: Vec<&str> = requirements.iter().map(RequirementId::as_str).collect();
    if names.is_empty() { String::new() } else { format!(" [{}]", names.join(", ")) }
}

fn line(text: &mut String, depth: usize, words: &str) {
    // Writing to a String cannot fail.
    writeln!(text, "{:indent$}{words}", "", indent = depth * 2).ok();
}
