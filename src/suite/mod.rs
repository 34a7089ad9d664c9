//! What the author wrote, made trustworthy.
//!
//! - Purpose: suite and environment files in, a [`Catalog`] or every mistake at once out.
//! - Never: a file, a clock, a cluster. Files arrive as bytes with their names, so that a mistake is a unit test.
//! - Why refuse unknown keys: a typo in a conformance suite silently removes a requirement.

mod model;
mod names;
mod patience;

pub use self::model::{Catalog, ChartSource, CheckSpec, Component, Environment, HelmInstall, Install, Suite};
pub use self::names::{CheckName, ComponentName, EnvironmentName, NamespaceName, RequirementId, SuiteName};
pub use self::patience::Patience;
