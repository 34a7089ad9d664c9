//! A suite that can be trusted: every reference resolves, every budget fits into the one around it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Visitor};

use super::names::{
    CheckName, ComponentName, EnvironmentName, LabelKey, LabelValue, NamespaceName, ProgramName, RequirementId,
    SuiteName, VariableName,
};
use super::patience::Patience;
use crate::checks::Check;
use crate::span::Span;

/// Everything that was written: the suites with one environment laid over them.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The environment in force.
    pub environment: Environment,
    /// Every suite of the folder, in the order in which layers stand on each other, then by name.
    pub suites: IndexMap<SuiteName, Suite>,
}

/// What an environment says beyond its changes to components, which are already laid over the [`Catalog`]'s suites.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its name; `local` where none was chosen.
    pub name: EnvironmentName,
    /// Kind's node image, if not the one that the installed `kind` brings.
    pub node_image: Option<String>,
    /// A cluster configuration file under `kind-configs/`, if not the default one.
    pub cluster_config: Option<PathBuf>,
    /// Whether the images of components are taken from the local engine and loaded into the cluster before installs.
    pub preload: bool,
    /// Longest time that providing the cluster may take.
    pub cluster_budget: Span,
    /// What must be there before anything is made.
    pub requires: Requires,
}

/// What an environment needs of the machine beyond the tools that the plan's own steps need.
#[derive(Clone, Debug, Default)]
pub struct Requires {
    /// Variables that must be set and not empty. Their values are never read beyond that, and never shown.
    pub env: Vec<VariableName>,
    /// Programs that must be on the PATH.
    pub programs: Vec<ProgramName>,
}

/// One layer of the platform.
#[derive(Clone, Debug)]
pub struct Suite {
    /// What the user types.
    pub name: SuiteName,
    /// One line for people.
    pub title: String,
    /// What it is selected by, beside its name: its layer, its stage.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Layers that this one stands on.
    pub needs: Vec<SuiteName>,
    /// From the first install of this suite to the last component ready.
    pub deploy_budget: Span,
    /// The requirements that holding the deploy budget serves (`F-4`).
    pub deploy_requirements: Vec<RequirementId>,
    /// What is installed and claimed, in the order written.
    pub components: IndexMap<ComponentName, Component>,
    /// The file it came from, relative to where the program runs.
    pub file: PathBuf,
}

/// One install inside a suite.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its name within the suite.
    pub name: ComponentName,
    /// One line for people.
    pub title: String,
    /// Where it lives and where its checks look.
    pub namespace: NamespaceName,
    /// Components of this suite that must be ready before it is installed.
    pub needs: Vec<ComponentName>,
    /// What is installed.
    pub install: Install,
    /// Images that must be in the cluster beforehand where the environment preloads.
    pub preload: Vec<String>,
    /// From its install to all its objects ready.
    pub ready_within: Span,
    /// What must hold, in the order written.
    pub checks: IndexMap<CheckName, CheckSpec>,
    /// Why the environment leaves it out, if it does.
    pub off: Option<String>,
    /// The line of its suite's file on which it begins, from 1.
    pub line: usize,
}

/// Where a component's objects come from. Paths are relative to where the program runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Install {
    /// A Helm chart.
    Helm(HelmInstall),
    /// Manifests, or what kustomize printed: files, or folders whose `.yaml`, `.yml` and `.json` files count.
    Manifests {
        /// Files and folders.
        paths: Vec<PathBuf>,
        /// Images to use in place of those written (whole references).
        images: BTreeMap<String, String>,
    },
    /// Only the CustomResourceDefinitions of charts and manifests: from `crds/` and from templates.
    Crds {
        /// Charts: a folder, a `.tgz`, or a remote one.
        charts: Vec<ChartSource>,
        /// Files and folders.
        paths: Vec<PathBuf>,
    },
    /// Nothing: the cluster brings it (its DNS, its nodes).
    Provided {
        /// Who provides it, in one line.
        by: String,
    },
}

/// One Helm release.
#[derive(Clone, Debug, PartialEq)]
pub struct HelmInstall {
    /// Release name.
    pub release: String,
    /// Where the chart is.
    pub chart: ChartSource,
    /// Values files, later ones win.
    pub values: Vec<PathBuf>,
    /// Single values by path (`image.tag`), set last.
    pub set: BTreeMap<String, SingleValue>,
}

/// A single value of a chart. A fraction is refused: `1.10` without quotes is more often a version than a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SingleValue {
    /// Text, whatever it looks like.
    Text(String),
    /// A whole number, `true` or `false`, as helm reads it.
    Plain(String),
}

impl<'de> Deserialize<'de> for SingleValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Single;
        impl Visitor<'_> for Single {
            type Value = SingleValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a single value")
            }

            fn visit_str<E>(self, text: &str) -> Result<SingleValue, E> {
                Ok(SingleValue::Text(text.to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<SingleValue, E> {
                Ok(SingleValue::Plain(value.to_string()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<SingleValue, E> {
                Ok(SingleValue::Plain(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<SingleValue, E> {
                Ok(SingleValue::Plain(number.to_string()))
            }
        }
        deserializer.deserialize_any(Single)
    }
}

impl JsonSchema for SingleValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SingleValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": ["string", "integer", "boolean"] })
    }
}

/// Where a chart is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChartSource {
    /// A chart's folder, or its `.tgz`.
    Path(PathBuf),
    /// `oci://…`.
    Oci {
        /// The reference, without its version.
        reference: String,
        /// The version; always pinned.
        version: String,
    },
    /// A chart in a repository.
    Repository {
        /// The repository's address.
        url: String,
        /// The chart's name in it.
        chart: String,
        /// The version; always pinned.
        version: String,
    },
}

/// One named claim of a component.
#[derive(Clone, Debug)]
pub struct CheckSpec {
    /// Its name within the component.
    pub name: CheckName,
    /// The claim as a sentence; made from the name where none is written.
    pub title: String,
    /// The requirements it serves; never empty.
    pub requirements: Vec<RequirementId>,
    /// What is claimed and how to look.
    pub check: Check,
    /// How long and how insistently.
    pub patience: Patience,
    /// The line of its suite's file on which it begins, from 1.
    pub line: usize,
}

impl CheckSpec {
    /// Whether the title only says the name again.
    #[must_use]
    pub fn is_titled_by_its_name(&self) -> bool {
        self.title == as_words(self.name.as_str())
    }
}

/// A name as words: the title of what was given none.
pub(super) fn as_words(name: &str) -> String {
    name.replace('-', " ")
}
