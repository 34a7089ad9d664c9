//! What will happen, before anything does.
//!
//! - Purpose: a catalog and a selection in, a DAG of steps with every omission and its reason out.
//! - Never: run anything. A plan is data that can be printed (`--dry-run`), compared and tested.
//! - Why a DAG and no workflow language: layers stand on layers; there are eight kinds of step, named in [`Work`].

pub mod budget;
mod graph;
mod outline;
mod selection;
mod selector;
mod step;

use std::collections::BTreeMap;
use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::suite::RequirementId;

pub use self::graph::{DEPLOY_BUDGET, plan};
pub use self::outline::outline;
pub use self::selection::{Extent, PlanError, Selection, Suites};
pub use self::selector::Selector;
pub use self::step::{
    BudgetWork, CheckWork, ClusterWork, ComponentKey, ComponentWork, Place, PreloadWork, Step, StepId, Work,
};

/// Everything that will happen, and everything that will not.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The steps, each after those it needs.
    pub steps: IndexMap<StepId, Step>,
    /// What was left out, and why.
    pub omissions: Vec<Omission>,
    /// Where the author wrote what a step is about; not of the cluster and the teardown.
    pub written: BTreeMap<StepId, Written>,
}

/// A line that the author wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The suite's file, relative to where the program runs.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
}

/// Something that will not happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omission {
    /// Where it belongs.
    pub place: Place,
    /// The requirements that therefore go unserved; none of a component that others stand on.
    pub requirements: Vec<RequirementId>,
    /// Why it is left out: the environment's words, or the selection's.
    pub reason: String,
    /// Whether the user asked for less (`--only`, `--check`): such an omission is not reported as skipped.
    pub asked: bool,
}
