//! Environments: each name once, and nothing changed that is not there.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Cx, Filed, Layers, install};
use crate::span::Span;
use crate::suite::field::{Entries, Field, Placed};
use crate::suite::mistake::{Finding, listed};
use crate::suite::model::{Environment, Requires};
use crate::suite::names::{EnvironmentName, SuiteName};
use crate::suite::overlay::{ComponentOverlay, EnvironmentDocument, RequiresDocument, SuiteOverlay};

/// Where nobody chose.
const LOCAL: &str = "local";
/// Providing a cluster: creation, and its images where they must be pulled.
const CLUSTER: Span = Span::secs(300);

/// All environments.
pub(super) struct Overlays<'d> {
    local: EnvironmentName,
    named: BTreeMap<EnvironmentName, &'d Placed<EnvironmentDocument>>,
    /// Names of files that cannot be understood; they are not unknown.
    broken: Vec<String>,
}

/// One environment; without a document it changes nothing.
#[derive(Clone, Copy)]
pub(super) struct Overlay<'d> {
    name: &'d EnvironmentName,
    document: Option<&'d Placed<EnvironmentDocument>>,
}

impl Overlays<'_> {
    /// Each of them, `local` among them whether it has a file or not.
    pub(super) fn all(&self) -> impl Iterator<Item = Overlay<'_>> {
        let local = (!self.named.contains_key(&self.local)).then_some(Overlay { name: &self.local, document: None });
        local.into_iter().chain(self.named.iter().map(|(name, document)| Overlay { name, document: Some(document) }))
    }
}

impl<'d> Overlay<'d> {
    /// What is written of it.
    pub(super) fn document(self) -> Option<&'d EnvironmentDocument> {
        self.document.map(|document| &document.value)
    }

    /// What it changes in a suite.
    pub(super) fn of(self, suite: &SuiteName) -> Option<&'d SuiteOverlay> {
        entry(&self.document()?.suites, suite)
    }
}

/// The entry of a name.
pub(super) fn entry<'d, K: PartialEq, V>(entries: &'d Field<Entries<K, V>>, name: &K) -> Option<&'d V> {
    entries.entries().find(|(key, _)| key.value == *name).and_then(|(_, value)| value.value())
}

/// Each environment by its name. Notes wrong names and names used twice.
pub(super) fn names<'d>(cx: &mut Cx<'_>, files: &'d [Filed<EnvironmentDocument>]) -> Overlays<'d> {
    let mut named: BTreeMap<EnvironmentName, &Placed<EnvironmentDocument>> = BTreeMap::new();
    let mut broken = Vec::new();
    for filed in files {
        let Some(environment) = filed.document.get() else {
            broken.push(filed.stem.clone());
            continue;
        };
        cx.version(environment.place, &environment.value.version);
        let remedy = format!("write `environment: {}`", filed.stem);
        let field = &environment.value.environment;
        match cx.want(environment.place, field, "environment", &remedy) {
            None => broken.push(filed.stem.clone()),
            Some(name) => {
                cx.file_name(name);
                named.entry(name.value.clone()).or_insert(environment);
            }
        }
    }
    let local = LOCAL.parse().unwrap_or_else(|rule| unreachable!("{rule}"));
    Overlays { local, named, broken }
}

/// The environment in force. Notes one that does not exist.
pub(super) fn chosen(
    cx: &mut Cx<'_>,
    folder: &Path,
    asked: Option<&EnvironmentName>,
    overlays: &Overlays<'_>,
) -> Option<EnvironmentName> {
    let name = asked.unwrap_or(&overlays.local);
    let known: Vec<&str> = overlays.all().map(|overlay| overlay.name.as_str()).collect();
    if known.contains(&name.as_str()) {
        return Some(name.clone());
    }
    if !overlays.broken.iter().any(|stem| stem == name.as_str()) {
        let finding = Finding::new(format!("there is no environment `{name}`"));
        let file = folder.join(format!("environments/{name}.yaml"));
        let remedy = format!("choose one of {}, or write `{}`", listed(&known), file.display());
        cx.ledger.note_nowhere(finding.remedy(remedy));
    }
    None
}

/// Notes changes to suites, components and checks that are not there.
pub(super) fn check_names(cx: &mut Cx<'_>, layers: &Layers<'_>, overlay: Overlay<'_>) {
    let Some(document) = overlay.document else { return };
    unknown(cx, "suite", &document.value.suites, &layers.known);
    for (name, suite) in &layers.ordered {
        let Some(changes) = overlay.of(name) else { continue };
        let components = &suite.value.components;
        if components.get().is_none() {
            continue;
        }
        unknown(cx, "component", &changes.components, &words(components));
        for (name, component) in components.entries() {
            let changes = entry(&changes.components, &name.value);
            if let (Some(ComponentOverlay { checks, .. }), Some(component)) = (changes, component.value()) {
                unknown(cx, "check", checks, &words(&component.checks));
            }
        }
    }
}

fn words<K: std::fmt::Display, V>(entries: &Field<Entries<K, V>>) -> Vec<String> {
    entries.entries().map(|(name, _)| name.value.to_string()).collect()
}

fn unknown<K: std::fmt::Display, V>(cx: &mut Cx<'_>, what: &str, changes: &Field<Entries<K, V>>, known: &[String]) {
    for (name, _) in changes.entries() {
        let word = name.value.to_string();
        if !known.contains(&word) {
            let finding = Finding::new(format!("there is no {what} `{word}` to change"));
            let finding = finding.remedy("remove the change");
            cx.note(name.place, finding.did_you_mean(&word, known.iter().map(String::as_str)));
        }
    }
}

/// What an environment says of the cluster.
pub(super) fn lay(cx: &mut Cx<'_>, overlay: Overlay<'_>) -> Environment {
    let written = overlay.document();
    let cluster = written.and_then(|written| written.cluster.value());
    let node_image = cluster.and_then(|cluster| cluster.node_image.get());
    let config = cluster.and_then(|cluster| cluster.config.get());
    Environment {
        name: overlay.name.clone(),
        node_image: node_image.map(|image| install::image(cx, image)),
        cluster_config: config.map(|path| cx.file(path)),
        preload: written.and_then(|written| written.preload.value()).copied().unwrap_or(false),
        cluster_budget: cluster.and_then(|cluster| cluster.budget.value()).copied().unwrap_or(CLUSTER),
        requires: written.and_then(|written| written.requires.value()).map(requires).unwrap_or_default(),
    }
}

fn requires(written: &RequiresDocument) -> Requires {
    Requires {
        env: written.env.items().map(|variable| variable.value.clone()).collect(),
        programs: written.programs.items().map(|program| program.value.clone()).collect(),
    }
}
