//! A suite file, field for field.
//!
//! - Never: a rule that concerns more than one value; those are in `validate`.
//! - Why every field may be missing: `validate` says so for all of them at once, each with its remedy. Only the schema is
//!   told here which are required.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::field::{Entries, Field, List};
use super::model::SingleValue;
use super::names::{CheckName, ComponentName, LabelKey, LabelValue, NamespaceName, RequirementId, SuiteName};
use crate::checks::Check;
use crate::span::Span;

/// One layer of the platform: what is installed, and what must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Suite", extend("required" = ["version", "suite", "title", "components"]))]
pub(super) struct SuiteDocument {
    /// The format of this file: 1.
    #[schemars(range(min = 1, max = 1))]
    pub(super) version: Field<u64>,
    /// The suite's name; the file is called the same.
    pub(super) suite: Field<SuiteName>,
    /// One line for people.
    pub(super) title: Field<String>,
    /// Labels to select it by: `{ layer: "40", stage: data }`.
    pub(super) labels: Field<Entries<LabelKey, LabelValue>>,
    /// Suites that this one stands on.
    pub(super) needs: List<SuiteName>,
    /// Longest times.
    pub(super) budget: Field<BudgetDocument>,
    /// Requirements that holding the deploy budget serves.
    pub(super) requirements: List<RequirementId>,
    /// What is installed and claimed, by name.
    #[schemars(extend("minProperties" = 1))]
    pub(super) components: Field<Entries<ComponentName, ComponentDocument>>,
}

/// Longest times of a suite.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Budget")]
pub(super) struct BudgetDocument {
    /// From the first install to the last component ready; 10m where it is left out.
    pub(super) deploy: Field<Span>,
}

/// One install, and what must hold of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Component", extend("required" = ["install", "checks"]))]
pub(super) struct ComponentDocument {
    /// One line for people; its name where it is left out.
    pub(super) title: Field<String>,
    /// Where it lives and where its checks look; may be left out where nothing namespaced is installed.
    pub(super) namespace: Field<NamespaceName>,
    /// Components of this suite that must be ready first.
    pub(super) needs: List<ComponentName>,
    /// What is installed.
    pub(super) install: Field<InstallDocument>,
    /// Images brought into the cluster beforehand where the environment preloads: whole references with a pinned tag.
    pub(super) images: List<String>,
    /// From its install to all its objects ready; 5m, or the deploy budget if that is less, where it is left out.
    pub(super) ready: Field<Span>,
    /// What must hold, by name.
    #[schemars(extend("minProperties" = 1))]
    pub(super) checks: Field<Entries<CheckName, CheckDocument>>,
}

/// Where objects come from. Paths are relative to the folder of the file they are written in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Install")]
pub(super) enum InstallDocument {
    /// A Helm chart.
    Helm(HelmDocument),
    /// Manifests, or what kustomize printed.
    Manifests(ManifestsDocument),
    /// Only the CustomResourceDefinitions of charts and manifests.
    Crds(CrdsDocument),
    /// Nothing: the cluster brings it.
    Provided(ProvidedDocument),
}

/// One Helm release.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Helm", extend("required" = ["chart", "release"]))]
pub(super) struct HelmDocument {
    /// Where the chart is.
    pub(super) chart: Field<ChartDocument>,
    /// The release's name.
    pub(super) release: Field<String>,
    /// Values files; later ones win.
    pub(super) values: List<PathBuf>,
    /// Single values by path (`image.tag`), set last: text, whole numbers, `true` and `false`. What is in quotes is text.
    pub(super) set: Field<Entries<String, SingleValue>>,
}

/// Where a chart is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Chart")]
pub(super) enum ChartDocument {
    /// A chart's folder, or its `.tgz`.
    Path(PathBuf),
    /// A chart in an OCI registry.
    Oci(OciDocument),
    /// A chart in a Helm repository.
    Repository(RepositoryDocument),
}

/// A chart in an OCI registry.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Oci", extend("required" = ["reference", "version"]))]
pub(super) struct OciDocument {
    /// `oci://…`, without the version.
    #[schemars(regex(pattern = "^oci://."))]
    pub(super) reference: Field<String>,
    /// The exact version.
    pub(super) version: Field<String>,
}

/// A chart in a Helm repository.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Repository", extend("required" = ["url", "chart", "version"]))]
pub(super) struct RepositoryDocument {
    /// The repository's address.
    #[schemars(regex(pattern = "^https?://."))]
    pub(super) url: Field<String>,
    /// The chart's name in it.
    pub(super) chart: Field<String>,
    /// The exact version.
    pub(super) version: Field<String>,
}

/// Objects as they are applied.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Manifests", extend("required" = ["paths"]))]
pub(super) struct ManifestsDocument {
    /// Files, or folders whose `.yaml`, `.yml` and `.json` files count.
    #[schemars(extend("minItems" = 1))]
    pub(super) paths: List<PathBuf>,
    /// Images to use in place of those written: whole references.
    pub(super) images: Field<Entries<String, String>>,
}

/// Where CustomResourceDefinitions are taken from.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Crds")]
pub(super) struct CrdsDocument {
    /// Charts, of which `crds/` and templates count.
    pub(super) charts: List<ChartDocument>,
    /// Files and folders.
    pub(super) paths: List<PathBuf>,
}

/// What is there already.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Provided", extend("required" = ["by"]))]
pub(super) struct ProvidedDocument {
    /// Who provides it, in one line.
    pub(super) by: Field<String>,
}

/// One named claim.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Check", extend("required" = ["requirements", "probe"]))]
pub(super) struct CheckDocument {
    /// The claim as a sentence; made from its name where it is left out.
    pub(super) title: Field<String>,
    /// The requirements it serves.
    #[schemars(extend("minItems" = 1))]
    pub(super) requirements: List<RequirementId>,
    /// What is claimed, and how to look.
    pub(super) probe: Field<Check>,
    /// The window in which the claim must become true.
    pub(super) within: Field<Span>,
    /// Longest time that one look may take; only where there is more than one look.
    pub(super) look: Field<Span>,
    /// The pause after the first look that did not hold; only where there is more than one look.
    pub(super) every: Field<Span>,
    /// How many looks must hold one after the other; only where there is more than one look.
    #[schemars(range(min = 1))]
    pub(super) in_a_row: Field<u32>,
}
