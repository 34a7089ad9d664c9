//! What the user asks for, and what cannot be planned.
//!
//! Patterns are globs over names (`redis`, `A-40-*`). One with slashes is held against as many names from the right:
//! `redis/*` against component and check, `data-plane/redis/*` against the suite as well.

use globset::{GlobBuilder, GlobMatcher};

use super::selector::Selector;
use crate::suite::{Catalog, CheckSpec, ComponentName, RequirementId, Suite};

/// What the user asks for.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The suites asked for.
    pub suites: Suites,
    /// Of those, only suites with these labels.
    pub selector: Option<Selector>,
    /// How much is done for what they stand on.
    pub extent: Extent,
    /// Patterns over components; none selects all.
    pub components: Vec<String>,
    /// Patterns over checks and [`super::DEPLOY_BUDGET`]; none selects all.
    pub checks: Vec<String>,
    /// Patterns over requirement ids; none selects all.
    pub requirements: Vec<String>,
}

/// Which suites.
#[derive(Clone, Debug, Default)]
pub enum Suites {
    /// The platform.
    #[default]
    All,
    /// These, as typed.
    Named(Vec<String>),
}

impl Suites {
    /// These; the platform where none is named.
    #[must_use]
    pub fn of(names: &[String]) -> Self {
        if names.is_empty() { Self::All } else { Self::Named(names.to_vec()) }
    }
}

/// How much is done for what the suites asked for stand on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// What they need is installed and waited for, but not checked.
    #[default]
    WithNeeds,
    /// Nothing that was not asked for is installed.
    Only,
    /// Nothing is installed: somebody else has filled the cluster.
    Installed,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A suite that nobody wrote.
    #[error("there is no suite `{name}`; {hint}")]
    UnknownSuite {
        /// As typed.
        name: String,
        /// The nearest name, or all of them.
        hint: String,
    },
    /// A pattern that is no glob.
    #[error("`{option} {pattern}` is no pattern")]
    Pattern {
        /// The option that it was given to.
        option: &'static str,
        /// As typed.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: globset::Error,
    },
    /// A pattern that selects nothing; a typing mistake would otherwise look like a green.
    #[error("`{option} {pattern}` matches nothing in the suites asked for; see: seaworthy list")]
    Unmatched {
        /// The option that it was given to.
        option: &'static str,
        /// As typed.
        pattern: String,
    },
    /// No check is left to make; a run of nothing would be green.
    #[error("nothing to check: {why}")]
    NothingSelected {
        /// How it came to that.
        why: String,
    },
    /// A check whose name is that of another step of its component.
    #[error("`{step}` would be two steps of one name; rename the check")]
    StepTwice {
        /// The name.
        step: String,
    },
}

impl PlanError {
    /// Whether the selection was understood and came to nothing; such a run has an exit code of its own.
    #[must_use]
    pub const fn selects_nothing(&self) -> bool {
        match self {
            Self::Unmatched { .. } | Self::NothingSelected { .. } => true,
            Self::UnknownSuite { .. } | Self::Pattern { .. } | Self::StepTwice { .. } => false,
        }
    }
}

impl Selection {
    /// The suites asked for, in the catalog's order.
    ///
    /// # Errors
    /// A name that is no suite's, or labels that no suite has.
    pub fn asked<'a>(&self, catalog: &'a Catalog) -> Result<Vec<&'a Suite>, PlanError> {
        let mut suites = self.named(catalog)?;
        if let Some(selector) = &self.selector {
            suites.retain(|suite| selector.takes(suite));
            if suites.is_empty() {
                return Err(PlanError::Unmatched { option: "--selector", pattern: selector.to_string() });
            }
        }
        Ok(suites)
    }

    fn named<'a>(&self, catalog: &'a Catalog) -> Result<Vec<&'a Suite>, PlanError> {
        let Suites::Named(names) = &self.suites else {
            return Ok(catalog.suites.values().collect());
        };
        let is_known = |name: &&String| catalog.suites.keys().any(|suite| suite.as_str() == name.as_str());
        if let Some(name) = names.iter().find(|name| !is_known(name)) {
            return Err(PlanError::UnknownSuite { name: name.clone(), hint: hint(name, catalog) });
        }
        Ok(catalog.suites.values().filter(|suite| names.iter().any(|name| name == suite.name.as_str())).collect())
    }
}

/// The nearest name, or all of them.
fn hint(name: &str, catalog: &Catalog) -> String {
    let known = || catalog.suites.keys().map(|suite| suite.as_str());
    let near = known().min_by_key(|known| strsim::damerau_levenshtein(known, name));
    match near {
        Some(near) if strsim::damerau_levenshtein(near, name) <= near.len() / 3 => format!("did you mean `{near}`?"),
        Some(_) => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
        None => "no suite was found at all".to_owned(),
    }
}

/// The patterns of a [`Selection`], ready to be held against names.
pub(super) struct Filters {
    components: Patterns,
    checks: Patterns,
    requirements: Patterns,
}

struct Patterns {
    option: &'static str,
    globs: Vec<GlobMatcher>,
}

impl Filters {
    pub(super) fn of(selection: &Selection) -> Result<Self, PlanError> {
        Ok(Self {
            components: Patterns::parse("--component", &selection.components)?,
            checks: Patterns::parse("--check", &selection.checks)?,
            requirements: Patterns::parse("--requirement", &selection.requirements)?,
        })
    }

    /// Whether checks are picked one by one; then only what they stand on is installed.
    pub(super) const fn pick_checks(&self) -> bool {
        !self.checks.globs.is_empty() || !self.requirements.globs.is_empty()
    }

    pub(super) fn take_component(&self, suite: &Suite, component: &ComponentName) -> bool {
        self.components.take([format!("{}/{component}", suite.name)])
    }

    pub(super) fn take_check(&self, suite: &Suite, component: &ComponentName, check: &CheckSpec) -> bool {
        self.take_component(suite, component)
            && self.checks.take([format!("{}/{component}/{}", suite.name, check.name)])
            && self.requirements.take(&check.requirements)
    }

    pub(super) fn take_budget(&self, suite: &Suite) -> bool {
        self.checks.take([format!("{}/{}", suite.name, super::DEPLOY_BUDGET)])
            && self.requirements.take(&suite.deploy_requirements)
    }

    /// Refuses a pattern that matches nothing in the suites asked for.
    pub(super) fn refuse_unmatched(&self, asked: &[&Suite]) -> Result<(), PlanError> {
        let mut components = Vec::new();
        let mut checks = Vec::new();
        let mut requirements: Vec<&RequirementId> = Vec::new();
        for suite in asked {
            checks.push(format!("{}/{}", suite.name, super::DEPLOY_BUDGET));
            requirements.extend(&suite.deploy_requirements);
            for component in suite.components.values() {
                components.push(format!("{}/{}", suite.name, component.name));
                checks
                    .extend(component.checks.keys().map(|check| format!("{}/{}/{check}", suite.name, component.name)));
                requirements.extend(component.checks.values().flat_map(|check| &check.requirements));
            }
        }
        self.components.refuse_unmatched(&components)?;
        self.checks.refuse_unmatched(&checks)?;
        self.requirements.refuse_unmatched(requirements)
    }
}

impl Patterns {
    fn parse(option: &'static str, patterns: &[String]) -> Result<Self, PlanError> {
        let parse = |pattern: &String| match GlobBuilder::new(pattern).literal_separator(true).build() {
            Ok(glob) => Ok(glob.compile_matcher()),
            Err(source) => Err(PlanError::Pattern { option, pattern: pattern.clone(), source }),
        };
        Ok(Self { option, globs: patterns.iter().map(parse).collect::<Result<_, _>>()? })
    }

    fn take(&self, paths: impl IntoIterator<Item = impl ToString>) -> bool {
        self.globs.is_empty()
            || paths.into_iter().any(|path| {
                let path = path.to_string();
                self.globs.iter().any(|glob| matches(glob, &path))
            })
    }

    fn refuse_unmatched(&self, paths: impl IntoIterator<Item = impl ToString>) -> Result<(), PlanError> {
        let paths: Vec<String> = paths.into_iter().map(|path| path.to_string()).collect();
        match self.globs.iter().find(|glob| !paths.iter().any(|path| matches(glob, path))) {
            Some(glob) => Err(PlanError::Unmatched { option: self.option, pattern: glob.glob().glob().to_owned() }),
            None => Ok(()),
        }
    }
}

/// Holds a pattern against as many names from the right of the path as the pattern itself has.
fn matches(glob: &GlobMatcher, path: &str) -> bool {
    let depth = glob.glob().glob().split('/').count();
    let names: Vec<&str> = path.split('/').collect();
    names.len() >= depth && glob.is_match(names[names.len() - depth..].join("/"))
}
