//! An environment file, field for field: what is different there.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::document::{BudgetDocument, InstallDocument};
use super::field::{Entries, Field, List};
use super::model::SingleValue;
use super::names::{CheckName, ComponentName, EnvironmentName, ProgramName, SuiteName, VariableName};
use crate::span::Span;

/// What is different in one environment.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Environment", extend("required" = ["version", "environment"]))]
pub(super) struct EnvironmentDocument {
    /// The format of this file: 1.
    #[schemars(range(min = 1, max = 1))]
    pub(super) version: Field<u64>,
    /// The environment's name; the file is called the same.
    pub(super) environment: Field<EnvironmentName>,
    /// The cluster that is provided.
    pub(super) cluster: Field<ClusterDocument>,
    /// What must be there before anything is made; all that is missing is said at once. A publish gate is this: name the
    /// variable of its token, and no install starts without it.
    pub(super) requires: Field<RequiresDocument>,
    /// Whether the images of components are loaded into the cluster before installs.
    pub(super) preload: Field<bool>,
    /// Images to use in place of those that suites and their manifests name: whole references. A change to a single
    /// component wins over these.
    pub(super) images: Field<Entries<String, String>>,
    /// Changes to suites, by name.
    pub(super) suites: Field<Entries<SuiteName, SuiteOverlay>>,
}

/// What must be there before anything is made.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Requires")]
pub(super) struct RequiresDocument {
    /// Variables that must be set and not empty.
    pub(super) env: List<VariableName>,
    /// Programs that must be on the PATH.
    pub(super) programs: List<ProgramName>,
}

/// The cluster that is provided.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Cluster")]
pub(super) struct ClusterDocument {
    /// Kind's node image; the one that the installed `kind` brings where it is left out.
    pub(super) node_image: Field<String>,
    /// A cluster configuration file.
    pub(super) config: Field<PathBuf>,
    /// Longest time that providing the cluster may take; 5m where it is left out.
    pub(super) budget: Field<Span>,
}

/// Changes to one suite.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SuiteOverlay {
    /// Why the whole suite is left out.
    pub(super) off: Field<String>,
    /// Longest times, in place of the suite's.
    pub(super) budget: Field<BudgetDocument>,
    /// Changes to components, by name.
    pub(super) components: Field<Entries<ComponentName, ComponentOverlay>>,
}

/// Changes to one component.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ComponentOverlay {
    /// Why it is left out.
    pub(super) off: Field<String>,
    /// What is installed in place of what the suite says.
    pub(super) install: Field<InstallDocument>,
    /// Values files after the suite's own.
    pub(super) values: List<PathBuf>,
    /// Single values after the suite's own.
    pub(super) set: Field<Entries<String, SingleValue>>,
    /// The version of a remote chart, in place of the suite's.
    pub(super) version: Field<String>,
    /// Images in place of the suite's.
    pub(super) images: List<String>,
    /// From its install to all its objects ready, in place of the suite's.
    pub(super) ready: Field<Span>,
    /// Changes to checks, by name.
    pub(super) checks: Field<Entries<CheckName, CheckOverlay>>,
}

/// Changes to one check.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CheckOverlay {
    /// The window in which the claim must become true, in place of the suite's.
    pub(super) within: Field<Span>,
}
