//! Steps: the few kinds of thing that a run does.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::span::Span;
use crate::suite::{
    CheckName, CheckSpec, ComponentName, Environment, Install, NamespaceName, RequirementId, SuiteName,
};

/// A step's name in plan, events and reports: `cluster`, `data-plane/redis/install`, `data-plane/redis/primary-answers`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId(String);

impl StepId {
    /// The step that provides the cluster.
    #[must_use]
    pub fn cluster() -> Self {
        Self("cluster".to_owned())
    }

    /// The step that takes away what the run made.
    #[must_use]
    pub fn teardown() -> Self {
        Self("teardown".to_owned())
    }

    /// A step of a suite: its deploy budget.
    #[must_use]
    pub fn of_suite(suite: &SuiteName, step: &str) -> Self {
        Self(format!("{suite}/{step}"))
    }

    /// A step of a component: `render`, `preload`, `install`, `settle`, `endure`, or a check's name.
    #[must_use]
    pub fn of_component(suite: &SuiteName, component: &ComponentName, step: &str) -> Self {
        Self(format!("{suite}/{component}/{step}"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing that will happen.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// Steps that must have held before it starts.
    pub needs: BTreeSet<StepId>,
    /// Longest time it may take; for a check, its window.
    pub budget: Span,
    /// Where it belongs; `None` for the cluster and the teardown.
    pub place: Option<Place>,
    /// What is done.
    pub work: Work,
}

impl Step {
    /// What kind of step, as one word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.work {
            Work::Cluster(_) => "cluster",
            Work::Render(_) => "render",
            Work::Preload(_) => "preload",
            Work::Install(_) => "install",
            Work::Settle(_) => "settle",
            Work::Budget(_) => "budget",
            Work::Check(_) => "check",
            Work::Endure(_) => "endure",
            Work::Teardown => "teardown",
        }
    }

    /// What is so once the step has held, as a sentence; what was expected if it is not.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.work {
            Work::Cluster(_) => "a cluster is there".to_owned(),
            Work::Render(work) => format!("{} renders", work.key),
            Work::Preload(work) => format!("the images of {} are in the cluster", work.key),
            Work::Install(work) => format!("{} is installed", work.key),
            Work::Settle(work) => format!("{} is ready within {}", work.key, self.budget),
            Work::Budget(work) => {
                format!("{} is ready within {} of its first install", work.suite, work.limit)
            }
            Work::Check(work) => work.spec.title.clone(),
            Work::Endure(work) => format!("{} is still ready at the end", work.key),
            Work::Teardown => "what the run made and does not keep is gone".to_owned(),
        }
    }

    /// The requirements it serves.
    #[must_use]
    pub fn requirements(&self) -> &[RequirementId] {
        match &self.work {
            Work::Budget(work) => &work.requirements,
            Work::Check(work) => &work.spec.requirements,
            Work::Cluster(_)
            | Work::Render(_)
            | Work::Preload(_)
            | Work::Install(_)
            | Work::Settle(_)
            | Work::Endure(_)
            | Work::Teardown => &[],
        }
    }
}

/// Where in the suites a step belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The suite.
    pub suite: SuiteName,
    /// The component; `None` for a suite's own step.
    pub component: Option<ComponentName>,
    /// The check, where the step is one.
    pub check: Option<CheckName>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.suite)?;
        if let Some(component) = &self.component {
            write!(f, "/{component}")?;
        }
        self.check.as_ref().map_or(Ok(()), |check| write!(f, "/{check}"))
    }
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Work {
    /// Provide a cluster.
    Cluster(Box<ClusterWork>),
    /// Turn the component's source into objects; needs no cluster, so a broken chart is red before one exists.
    Render(ComponentWork),
    /// Bring the component's images into the cluster.
    Preload(PreloadWork),
    /// Put the component's objects into the cluster.
    Install(ComponentWork),
    /// Wait until every object of the component is ready, or one is doomed.
    Settle(ComponentWork),
    /// Hold the time from the suite's first install to its last component ready against its budget. The engine's own.
    Budget(BudgetWork),
    /// Look, and judge.
    Check(Box<CheckWork>),
    /// Look once more, when every check has ended, whether the component is still ready: what dies a little after it was
    /// ready, or under what the checks did to it, does not work.
    Endure(ComponentWork),
    /// Take away what the run made. Runs however the run ends.
    Teardown,
}

/// What providing a cluster takes.
#[derive(Clone, Debug)]
pub struct ClusterWork {
    /// The environment's wishes.
    pub environment: Environment,
}

/// One component, as far as installing it needs it.
#[derive(Clone, Debug)]
pub struct ComponentWork {
    /// `suite/component`: what the world keeps its rendered and installed objects under.
    pub key: ComponentKey,
    /// Where it lives.
    pub namespace: NamespaceName,
    /// What is installed.
    pub install: Install,
}

/// A component among all suites.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ComponentKey {
    /// Its suite.
    pub suite: SuiteName,
    /// Its name there.
    pub component: ComponentName,
}

impl fmt::Display for ComponentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.suite, self.component)
    }
}

/// Images to bring into the cluster.
#[derive(Clone, Debug)]
pub struct PreloadWork {
    /// Whose they are.
    pub key: ComponentKey,
    /// Whole references.
    pub images: Vec<String>,
}

/// A suite's deploy budget.
#[derive(Clone, Debug)]
pub struct BudgetWork {
    /// Whose budget.
    pub suite: SuiteName,
    /// The steps from whose first start the time counts.
    pub from: BTreeSet<StepId>,
    /// The budget.
    pub limit: Span,
    /// Requirements served.
    pub requirements: Vec<RequirementId>,
}

/// One check with what it needs to know of its component.
#[derive(Clone, Debug)]
pub struct CheckWork {
    /// Whose check it is.
    pub key: ComponentKey,
    /// Where it looks unless it says otherwise.
    pub namespace: NamespaceName,
    /// The component's release, where it is a Helm install.
    pub release: Option<String>,
    /// Folder that files named in the check are relative to.
    pub folder: PathBuf,
    /// The claim and its patience.
    pub spec: CheckSpec,
}
