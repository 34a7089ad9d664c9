//! From a catalog and a selection to steps and what each of them needs.
//!
//! - A component starts when what *it* needs is ready. What needs a layer waits for every component of that layer; a
//!   component that names others of its own layer stands on them, and through them on the layers below.
//! - Of a layer that is only needed, the components are installed and waited for, and nothing is checked.
//! - What is not installed (off, provided, not asked for) is transparent: what needs it waits for what it would itself
//!   have waited for. So a need of something that is off is met, and the order beyond it is kept; that it is off is an
//!   omission, which the verdict tells of.
//! - A check that takes something away from a component comes after its other checks, and not where others have filled the
//!   cluster.
//! - Filters on checks pick what the checks stand on, no more. The deploy budget is a claim about a whole suite: it is
//!   judged only where the whole suite is installed.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::selection::{Extent, Filters, PlanError, Selection};
use super::step::{
    BudgetWork, CheckWork, ClusterWork, ComponentKey, ComponentWork, Place, PreloadWork, Step, StepId, Work,
};
use super::{Omission, Plan, Written, budget};
use crate::number::count;
use crate::suite::{Catalog, CheckSpec, Component, ComponentName, Install, Suite, SuiteName};

/// The name of a suite's budget step, for patterns over checks.
pub const DEPLOY_BUDGET: &str = "deploy-budget";

/// Why a check that takes something away is left out where somebody else has filled the cluster.
const DISRUPTS: &str = "it deletes a pod, and with --installed nothing is taken away";

type Steps = BTreeSet<StepId>;

/// Plans the suites asked for.
///
/// # Errors
/// A suite or pattern that fits nothing, or a selection without a single check.
pub fn plan(catalog: &Catalog, selection: &Selection) -> Result<Plan, PlanError> {
    let filters = Filters::of(selection)?;
    let asked = selection.asked(catalog)?;
    filters.refuse_unmatched(&asked)?;
    let scope = Scope::of(catalog, selection.extent, &asked, filters);
    let mut graph = Graph { catalog, scope, steps: IndexMap::new(), omissions: Vec::new(), tops: BTreeMap::new() };
    graph.add(Step {
        id: StepId::cluster(),
        needs: Steps::new(),
        budget: catalog.environment.cluster_budget,
        place: None,
        work: Work::Cluster(Box::new(ClusterWork { environment: catalog.environment.clone() })),
    })?;
    for suite in catalog.suites.values() {
        graph.suite(suite)?;
    }
    graph.add(Step {
        id: StepId::teardown(),
        needs: Steps::new(),
        budget: budget::TEARDOWN,
        place: None,
        work: Work::Teardown,
    })?;
    graph.finish()
}

/// What is done of each suite.
struct Scope {
    extent: Extent,
    filters: Filters,
    asked: BTreeSet<SuiteName>,
    needed: BTreeSet<SuiteName>,
    installed: BTreeSet<ComponentKey>,
}

impl Scope {
    fn of(catalog: &Catalog, extent: Extent, asked: &[&Suite], filters: Filters) -> Self {
        let asked_names = asked.iter().map(|suite| suite.name.clone()).collect();
        let mut scope =
            Self { extent, filters, asked: asked_names, needed: BTreeSet::new(), installed: BTreeSet::new() };
        for suite in asked {
            for component in suite.components.values() {
                if scope.is_wanted(suite, component) {
                    scope.bring_in(catalog, suite, &component.name);
                }
            }
        }
        scope
    }

    /// Whether the selection itself asks for this component.
    fn is_wanted(&self, suite: &Suite, component: &Component) -> bool {
        let filters = &self.filters;
        let picked = |check: &CheckSpec| filters.take_check(suite, &component.name, check);
        let wanted = !filters.pick_checks() || filters.take_budget(suite) || component.checks.values().any(picked);
        filters.take_component(suite, &component.name) && wanted && component.off.is_none()
    }

    /// Installs a component, and what it needs where the extent says so.
    fn bring_in(&mut self, catalog: &Catalog, suite: &Suite, name: &ComponentName) {
        if self.extent == Extent::Installed {
            return;
        }
        let key = key(suite, name);
        if !self.installed.insert(key) || self.extent == Extent::Only {
            return;
        }
        for need in suite.components.get(name).into_iter().flat_map(|component| &component.needs) {
            self.bring_in(catalog, suite, need);
        }
        for below in suite.needs.iter().filter_map(|need| catalog.suites.get(need)) {
            if self.needed.insert(below.name.clone()) {
                below.components.keys().for_each(|component| self.bring_in(catalog, below, component));
            }
        }
    }

    fn installs(&self, suite: &Suite, component: &Component) -> bool {
        let provided = matches!(component.install, Install::Provided { .. });
        component.off.is_none() && !provided && self.brings_in(suite, component)
    }

    fn takes(&self, suite: &Suite, component: &Component, check: &CheckSpec) -> bool {
        self.asked.contains(&suite.name) && self.filters.take_check(suite, &component.name, check)
    }

    /// Whether something that is looked at is this component, or stands on it.
    fn brings_in(&self, suite: &Suite, component: &Component) -> bool {
        self.installed.contains(&key(suite, &component.name))
    }

    /// Whether a component installs nothing, and what its checks run may still need images.
    fn only_looks(&self, suite: &Suite, component: &Component) -> bool {
        let provided = matches!(component.install, Install::Provided { .. });
        let mut checks = component.checks.values();
        provided && self.brings_in(suite, component) && checks.any(|check| self.takes(suite, component, check))
    }

    /// Why the deploy budget would mean nothing, and whether the user's selection is the cause.
    fn why_no_budget(&self, suite: &Suite) -> Option<(&'static str, bool)> {
        let mut on = suite.components.values().filter(|component| component.off.is_none());
        if self.extent == Extent::Installed {
            Some(("nothing is installed", true))
        } else if !self.filters.take_budget(suite) {
            Some(("not selected", true))
        } else if !on.all(|component| self.installed.contains(&key(suite, &component.name))) {
            Some(("not the whole suite is selected", true))
        } else if !suite.components.values().any(|component| self.installs(suite, component)) {
            Some((
                "nothing of it is installed here",
                suite.components.values().all(|component| component.off.is_none()),
            ))
        } else {
            None
        }
    }
}

/// A plan in the making. Suites and components come in an order in which each follows what it needs.
struct Graph<'a> {
    catalog: &'a Catalog,
    scope: Scope,
    steps: IndexMap<StepId, Step>,
    omissions: Vec<Omission>,
    /// What has held once a suite is there: for those that need it.
    tops: BTreeMap<SuiteName, Steps>,
}

impl<'a> Graph<'a> {
    fn add(&mut self, step: Step) -> Result<(), PlanError> {
        match self.steps.insert(step.id.clone(), step) {
            Some(twin) => Err(PlanError::StepTwice { step: twin.id.to_string() }),
            None => Ok(()),
        }
    }

    fn suite(&mut self, suite: &'a Suite) -> Result<(), PlanError> {
        let below: Steps = suite.needs.iter().filter_map(|need| self.tops.get(need)).flatten().cloned().collect();
        let mut ready: BTreeMap<&ComponentName, Steps> = BTreeMap::new();
        let mut top = Steps::new();
        for component in in_order(suite) {
            let needs = component.needs.iter().filter_map(|need| ready.get(need));
            let beside: Steps = needs.flatten().cloned().collect();
            let mut held = if beside.is_empty() { below.clone() } else { beside };
            if self.scope.installs(suite, component) {
                held = self.install(suite, component, held)?;
                top.extend(held.iter().cloned());
            }
            let mut looked_after = held.clone();
            if self.scope.only_looks(suite, component) {
                looked_after.extend(self.preload(suite, component)?);
            }
            self.checks(suite, component, &looked_after)?;
            ready.insert(&component.name, held);
        }
        self.budget(suite)?;
        self.tops.insert(suite.name.clone(), if top.is_empty() { below } else { top });
        Ok(())
    }

    /// Adds what brings a component up; returns what has held once it is ready.
    fn install(&mut self, suite: &Suite, component: &Component, stands_on: Steps) -> Result<Steps, PlanError> {
        let id = |step| StepId::of_component(&suite.name, &component.name, step);
        let step = |id, needs, budget, work| Step { id, needs, budget, place: Some(place(suite, component)), work };
        let work = ComponentWork {
            key: key(suite, &component.name),
            namespace: component.namespace.clone(),
            install: component.install.clone(),
        };
        let mut needs = stands_on;
        needs.extend([StepId::cluster(), id("render")]);
        self.add(step(id("render"), Steps::new(), budget::RENDER, Work::Render(work.clone())))?;
        needs.extend(self.preload(suite, component)?);
        let ready_within = component.ready_within;
        self.add(step(id("install"), needs, ready_within, Work::Install(work.clone())))?;
        self.add(step(id("settle"), [id("install")].into(), ready_within, Work::Settle(work.clone())))?;
        if !matches!(component.install, Install::Crds { .. }) {
            self.add(step(id("endure"), [id("settle")].into(), budget::ENDURE, Work::Endure(work)))?;
        }
        Ok([id("settle")].into())
    }

    /// Adds what brings a component's images into the cluster, where the environment wants that.
    fn preload(&mut self, suite: &Suite, component: &Component) -> Result<Option<StepId>, PlanError> {
        if !self.catalog.environment.preload || component.preload.is_empty() {
            return Ok(None);
        }
        let id = StepId::of_component(&suite.name, &component.name, "preload");
        let images = PreloadWork { key: key(suite, &component.name), images: component.preload.clone() };
        self.add(Step {
            id: id.clone(),
            needs: [StepId::cluster()].into(),
            budget: budget::PRELOAD,
            place: Some(place(suite, component)),
            work: Work::Preload(images),
        })?;
        Ok(Some(id))
    }

    /// Adds a component's checks, or says why they are left out.
    fn checks(&mut self, suite: &Suite, component: &Component, held: &Steps) -> Result<(), PlanError> {
        let off = component.off.as_ref().map(|why| format!("off in {}: {why}", self.catalog.environment.name));
        if let Some(reason) = &off
            && self.scope.brings_in(suite, component)
            && !component.checks.values().any(|check| self.scope.takes(suite, component, check))
        {
            // Checks stand on it, and none of its own will say that it is not there.
            self.omissions.push(Omission {
                place: place(suite, component),
                requirements: Vec::new(),
                reason: reason.clone(),
                asked: false,
            });
        }
        if !self.scope.asked.contains(&suite.name) {
            return Ok(());
        }
        // What takes something away from a component that others look at comes last, one after the other.
        let mut before = held.clone();
        let (last, first): (Vec<_>, Vec<_>) = component.checks.values().partition(|check| check.check.disrupts());
        for check in first.into_iter().chain(last) {
            let mut place = place(suite, component);
            place.check = Some(check.name.clone());
            let taken = self.scope.takes(suite, component, check);
            let reason = match &off {
                _ if !taken => "not selected".to_owned(),
                Some(reason) => reason.clone(),
                None if check.check.disrupts() && self.scope.extent == Extent::Installed => DISRUPTS.to_owned(),
                None => {
                    let stands_on = if check.check.disrupts() { &before } else { held };
                    let step = check_step(suite, component, check, stands_on);
                    before.insert(step.id.clone());
                    self.add(step)?;
                    continue;
                }
            };
            self.omissions.push(Omission { place, requirements: check.requirements.clone(), reason, asked: !taken });
        }
        Ok(())
    }

    /// Adds a suite's deploy budget, or says why it is left out.
    fn budget(&mut self, suite: &Suite) -> Result<(), PlanError> {
        if !self.scope.asked.contains(&suite.name) {
            return Ok(());
        }
        let place = Place { suite: suite.name.clone(), component: None, check: None };
        let requirements = suite.deploy_requirements.clone();
        if let Some((reason, asked)) = self.scope.why_no_budget(suite) {
            self.omissions.push(Omission { place, requirements, reason: reason.to_owned(), asked });
            return Ok(());
        }
        let each = |step| {
            let installed = suite.components.values().filter(|component| self.scope.installs(suite, component));
            installed.map(|component| StepId::of_component(&suite.name, &component.name, step)).collect()
        };
        let (from, settled) = (each("install"), each("settle"));
        let limit = suite.deploy_budget;
        self.add(Step {
            id: StepId::of_suite(&suite.name, DEPLOY_BUDGET),
            needs: settled,
            budget: limit,
            place: Some(place),
            work: Work::Budget(BudgetWork { suite: suite.name.clone(), from, limit, requirements }),
        })
    }

    fn finish(self) -> Result<Plan, PlanError> {
        if self.steps.values().any(|step| matches!(step.work, Work::Check(_) | Work::Budget(_))) {
            let place = |step: &Step| Some((step.id.clone(), written(self.catalog, step.place.as_ref()?)?));
            let written = self.steps.values().filter_map(place).collect();
            return Ok(Plan { steps: self.steps, omissions: self.omissions, written });
        }
        let checks: Vec<_> = self.omissions.iter().filter(|omission| omission.place.check.is_some()).collect();
        let why = match checks.iter().find(|omission| !omission.asked).or(checks.first()) {
            Some(first) => {
                let left_out = count(checks.len(), "check");
                format!("{left_out} left out, for instance {}: {}", first.place, first.reason)
            }
            None => "the suites asked for claim nothing".to_owned(),
        };
        Err(PlanError::NothingSelected { why })
    }
}

/// The line of the check, of the component, or of the suite.
fn written(catalog: &Catalog, place: &Place) -> Option<Written> {
    let suite = catalog.suites.get(&place.suite)?;
    let component = place.component.as_ref().and_then(|name| suite.components.get(name));
    let check = place.check.as_ref().and_then(|name| component?.checks.get(name));
    let line = check.map(|check| check.line).or(component.map(|component| component.line));
    Some(Written { file: suite.file.clone(), line: line.unwrap_or(1) })
}

fn check_step(suite: &Suite, component: &Component, check: &CheckSpec, held: &Steps) -> Step {
    let release = match &component.install {
        Install::Helm(helm) => Some(helm.release.clone()),
        Install::Manifests { .. } | Install::Crds { .. } | Install::Provided { .. } => None,
    };
    let mut needs = held.clone();
    if needs.is_empty() {
        needs.insert(StepId::cluster());
    }
    let mut place = place(suite, component);
    place.check = Some(check.name.clone());
    Step {
        id: StepId::of_component(&suite.name, &component.name, check.name.as_str()),
        needs,
        budget: check.patience.within,
        place: Some(place),
        work: Work::Check(Box::new(CheckWork {
            key: key(suite, &component.name),
            namespace: component.namespace.clone(),
            release,
            folder: suite.file.parent().map(Into::into).unwrap_or_default(),
            spec: check.clone(),
        })),
    }
}

/// A suite's components, each after those it needs, otherwise as written.
fn in_order(suite: &Suite) -> Vec<&Component> {
    fn visit<'a>(
        suite: &'a Suite,
        name: &ComponentName,
        order: &mut IndexMap<&'a ComponentName, &'a Component>,
        open: &mut BTreeSet<ComponentName>,
    ) {
        let Some(component) = suite.components.get(name) else { return };
        if order.contains_key(name) || !open.insert(name.clone()) {
            return;
        }
        for need in &component.needs {
            visit(suite, need, order, open);
        }
        order.insert(&component.name, component);
    }
    let (mut order, mut open) = (IndexMap::new(), BTreeSet::new());
    for name in suite.components.keys() {
        visit(suite, name, &mut order, &mut open);
    }
    order.into_values().collect()
}

fn key(suite: &Suite, component: &ComponentName) -> ComponentKey {
    ComponentKey { suite: suite.name.clone(), component: component.clone() }
}

fn place(suite: &Suite, component: &Component) -> Place {
    Place { suite: suite.name.clone(), component: Some(component.name.clone()), check: None }
}
