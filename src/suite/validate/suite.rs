//! Suites: one per file, each name once, standing on each other without a circle.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::environment::Overlay;
use super::images::Images;
use super::{Cx, Filed, Layers, component, environment, needs, unnamed};
use crate::span::Span;
use crate::suite::document::SuiteDocument;
use crate::suite::field::Placed;
use crate::suite::mistake::Finding;
use crate::suite::model::{Catalog, Component, Suite};
use crate::suite::names::{ComponentName, LabelKey, LabelValue, SuiteName};
use crate::suite::overlay::SuiteOverlay;
use crate::suite::source::Place;

/// Each suite by its name. Notes wrong names, names used twice, needs that are not there, circles.
pub(super) fn names<'d>(cx: &mut Cx<'_>, files: &'d [Filed<SuiteDocument>]) -> Layers<'d> {
    let mut named: BTreeMap<SuiteName, (&Placed<SuiteDocument>, Place)> = BTreeMap::new();
    for filed in files {
        let Some(suite) = filed.document.get() else { continue };
        cx.version(suite.place, &suite.value.version);
        let remedy = format!("write `suite: {}`", filed.stem);
        let Some(name) = cx.want(suite.place, &suite.value.suite, "suite", &remedy) else {
            let stand_in = filed.stem.parse().unwrap_or_else(|_| unnamed());
            named.entry(stand_in).or_insert((suite, suite.place));
            continue;
        };
        cx.file_name(name);
        if let Some((_, first)) = named.get(&name.value) {
            let places = vec![(name.place, "again here".to_owned()), (*first, "first here".to_owned())];
            let finding = Finding::new(format!("two suites are called `{}`", name.value));
            cx.ledger.note_all(places, finding.remedy("give one of them another name"));
            continue;
        }
        named.insert(name.value.clone(), (suite, name.place));
    }
    let mut known: Vec<String> = named.keys().map(ToString::to_string).collect();
    known.extend(files.iter().filter(|filed| filed.document.get().is_none()).map(|filed| filed.stem.clone()));
    let needs =
        named.iter().map(|(name, (suite, _))| (name.clone(), suite.value.needs.items().cloned().collect())).collect();
    needs::check(cx, "suite", &needs, &known);
    let ordered = needs::order(&needs).into_iter().map(|name| (name.clone(), named[&name].0)).collect();
    Layers { ordered, known }
}

/// All suites with one environment laid over them.
pub(super) fn lay(cx: &mut Cx<'_>, layers: &Layers<'_>, overlay: Overlay<'_>) -> Catalog {
    cx.releases.clear();
    cx.images = Images::of(cx, layers, overlay);
    environment::check_names(cx, layers, overlay);
    let suites = layers.ordered.iter().filter_map(|(name, suite)| {
        let suite = one(cx, name, suite, overlay.of(name))?;
        Some((name.clone(), suite))
    });
    let suites: IndexMap<SuiteName, Suite> = suites.collect();
    Catalog { environment: environment::lay(cx, overlay), suites }
}

fn one(
    cx: &mut Cx<'_>,
    name: &SuiteName,
    suite: &Placed<SuiteDocument>,
    overlay: Option<&SuiteOverlay>,
) -> Option<Suite> {
    let Placed { place, value: written } = suite;
    let title = cx.want(*place, &written.title, "title", "say in one line what this layer gives: `title: …`");
    let title = title.map(|title| cx.said(title));
    let laid = component::Around { budget: budget(written, overlay), overlay };
    let components = components(cx, suite, &laid);
    Some(Suite {
        name: name.clone(),
        title: title?,
        labels: labels(written),
        needs: written.needs.items().map(|need| need.value.clone()).collect(),
        deploy_budget: laid.budget.map_or(component::DEPLOY, |budget| budget.value),
        deploy_requirements: written.requirements.items().map(|requirement| requirement.value.clone()).collect(),
        components,
        file: cx.sources.text(cx.sources.file_of(*place)).path.clone(),
    })
}

fn labels(suite: &SuiteDocument) -> BTreeMap<LabelKey, LabelValue> {
    let labels = suite.labels.entries();
    labels.filter_map(|(key, value)| Some((key.value.clone(), value.value()?.clone()))).collect()
}

/// The deploy budget in force, where one is written.
fn budget<'d>(suite: &'d SuiteDocument, overlay: Option<&'d SuiteOverlay>) -> Option<&'d Placed<Span>> {
    let own = suite.budget.value().and_then(|budget| budget.deploy.get());
    let changed = overlay.and_then(|overlay| overlay.budget.value()).and_then(|budget| budget.deploy.get());
    changed.or(own)
}

fn components(
    cx: &mut Cx<'_>,
    suite: &Placed<SuiteDocument>,
    around: &component::Around<'_>,
) -> IndexMap<ComponentName, Component> {
    let field = &suite.value.components;
    let remedy = "a suite installs or claims something: add a component with a check";
    if let Some(written) = cx.want(suite.place, field, "components", remedy)
        && written.value.0.is_empty()
    {
        cx.note(written.place, Finding::new("this suite has no components").remedy(remedy));
    }
    let known: Vec<String> = field.entries().map(|(name, _)| name.value.to_string()).collect();
    let needs = field.entries().filter_map(|(name, component)| {
        let needs = &component.value()?.needs;
        Some((name.value.clone(), needs.items().cloned().collect()))
    });
    needs::check(cx, "component", &needs.collect(), &known);
    let laid = field.all().filter_map(|(name, component)| {
        if let Some(name) = name {
            cx.refuse_reserved(name, "component", "suite", &["deploy-budget"]);
        }
        let name = name.map_or_else(unnamed, |name| name.value.clone());
        let laid = component::lay(cx, around, &name, component.get()?)?;
        Some((name, laid))
    });
    laid.collect()
}
