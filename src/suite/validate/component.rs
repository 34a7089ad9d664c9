//! Components: installed somewhere, ready within the suite's budget, claimed by at least one check.

use indexmap::IndexMap;

use super::environment::entry;
use super::{Cx, check, install, unnamed};
use crate::span::Span;
use crate::suite::document::{ComponentDocument, InstallDocument};
use crate::suite::field::{Field, Placed};
use crate::suite::mistake::Finding;
use crate::suite::model::{CheckSpec, Component, Install, as_words};
use crate::suite::names::{CheckName, ComponentName, NamespaceName};
use crate::suite::overlay::{ComponentOverlay, SuiteOverlay};

/// Long enough for an image of a gigabyte on an ordinary line.
const READY: Span = Span::secs(300);

/// The deploy budget where a suite says nothing: the platform's own measure of a layer (F-4).
pub(super) const DEPLOY: Span = Span::secs(600);

/// What a component's suite says.
pub(super) struct Around<'d> {
    /// The deploy budget, where one is written.
    pub(super) budget: Option<&'d Placed<Span>>,
    pub(super) overlay: Option<&'d SuiteOverlay>,
}

/// One component with its environment's changes. `None` where a part that cannot be guessed is missing or broken.
pub(super) fn lay(
    cx: &mut Cx<'_>,
    around: &Around<'_>,
    name: &ComponentName,
    component: &Placed<ComponentDocument>,
) -> Option<Component> {
    let Placed { place, value: written } = component;
    let changes = around.overlay.and_then(|suite| entry(&suite.components, name));
    let off = off(cx, around.overlay, changes);
    let title = written.title.get().map(|title| cx.said(title));
    let remedy = "say what is installed: one of `helm`, `manifests`, `crds`, `provided`";
    let own = cx.want(*place, &written.install, "install", remedy);
    let source = changes.and_then(|changes| changes.install.get()).or(own);
    let namespace = namespace(cx, component, source);
    let installed = source.and_then(|source| install::lay(cx, source, changes));
    if let (Some(Install::Helm(helm)), Some(namespace), None) = (&installed, &namespace, &off) {
        install::claim_release(cx, source?, namespace, &helm.release);
    }
    let preload = preload(cx, written, changes);
    let ready_within = ready(cx, around, written, changes);
    let checks = checks(cx, component, changes);
    Some(Component {
        name: name.clone(),
        title: title.unwrap_or_else(|| as_words(name.as_str())),
        namespace: namespace?,
        needs: written.needs.items().map(|need| need.value.clone()).collect(),
        install: installed?,
        preload,
        ready_within,
        checks,
        off,
        line: cx.sources.line(*place),
    })
}

/// Why it is left out: its suite's reason, or its own.
fn off(cx: &mut Cx<'_>, suite: Option<&SuiteOverlay>, changes: Option<&ComponentOverlay>) -> Option<String> {
    let whole = suite.and_then(|suite| suite.off.get());
    let own = changes.and_then(|changes| changes.off.get());
    let reasons: Vec<String> = own.into_iter().chain(whole).map(|reason| cx.said(reason)).collect();
    reasons.into_iter().next()
}

/// Where it lives. What brings nothing namespaced may leave it out.
fn namespace(
    cx: &mut Cx<'_>,
    component: &Placed<ComponentDocument>,
    source: Option<&Placed<InstallDocument>>,
) -> Option<NamespaceName> {
    let field = &component.value.namespace;
    let needs_none = source.is_some_and(|source| match source.value {
        InstallDocument::Provided(_) | InstallDocument::Crds(_) => true,
        InstallDocument::Helm(_) | InstallDocument::Manifests(_) => false,
    });
    if matches!(field, Field::Missing) && (needs_none || source.is_none()) {
        return "default".parse().ok();
    }
    let namespace = cx.want(component.place, field, "namespace", "say where it lives: `namespace: …`");
    namespace.map(|namespace| namespace.value.clone())
}

/// Images to load beforehand: the environment's for this very component, or the suite's as the environment maps them.
fn preload(cx: &mut Cx<'_>, component: &ComponentDocument, changes: Option<&ComponentOverlay>) -> Vec<String> {
    if let Some(Field::Is(own)) = changes.map(|changes| &changes.images) {
        return own.value.iter().filter_map(Field::get).map(|image| install::image(cx, image)).collect();
    }
    let written: Vec<String> = component.images.items().map(|image| install::image(cx, image)).collect();
    written.into_iter().map(|image| cx.images.in_place_of(image)).collect()
}

/// How long it may take to be ready. The times of a chain of components are ceilings and may add up to more than the
/// deploy budget, which is measured as a whole; each alone must fit.
fn ready(
    cx: &mut Cx<'_>,
    around: &Around<'_>,
    component: &ComponentDocument,
    changes: Option<&ComponentOverlay>,
) -> Span {
    let written = changes.and_then(|changes| changes.ready.get()).or(component.ready.get());
    let budget = around.budget.map_or(DEPLOY, |budget| budget.value);
    let Some(ready) = written else { return READY.min(budget) };
    if ready.value > budget {
        let what = format!("{} to be ready is more than the suite's deploy budget of {budget}", ready.value);
        let mut places = vec![(ready.place, String::new())];
        places.extend(around.budget.map(|budget| (budget.place, "the budget around it".to_owned())));
        cx.ledger.note_all(places, Finding::new(what).remedy("shorten `ready`, or raise `budget: { deploy: … }`"));
    }
    ready.value
}

fn checks(
    cx: &mut Cx<'_>,
    component: &Placed<ComponentDocument>,
    changes: Option<&ComponentOverlay>,
) -> IndexMap<CheckName, CheckSpec> {
    let field = &component.value.checks;
    let remedy = "a component that nothing is claimed of is a green that means nothing: add a check";
    if let Some(written) = cx.want(component.place, field, "checks", remedy)
        && written.value.0.is_empty()
    {
        cx.note(written.place, Finding::new("this component has no checks").remedy(remedy));
    }
    let laid = field.all().filter_map(|(name, written)| {
        if let Some(name) = name {
            cx.refuse_reserved(name, "check", "component", &["render", "preload", "install", "settle", "endure"]);
        }
        let name = name.map_or_else(unnamed, |name| name.value.clone());
        let change = changes.and_then(|changes| entry(&changes.checks, &name));
        let laid = check::lay(cx, &name, written.get()?, change)?;
        Some((name, laid))
    });
    laid.collect()
}
