//! What the author wrote, made trustworthy.
//!
//! - Purpose: suite and environment files in, a [`Catalog`] or every mistake at once out.
//! - Never: a file, a clock, a cluster. Files arrive as bytes with their names, so that a mistake is a unit test.
//! - Why refuse unknown keys: a typo in a conformance suite silently removes a requirement.
//!
//! A file goes from text (`source`) to a tree of places (`tree`) to a document of parts that may each be wrong
//! (`reader`, `document`, `overlay`) to a suite that can be trusted (`validate`, `model`).

mod model;
mod names;
mod patience;

mod source;
mod tree;

mod field;
mod reader;
mod stop;

mod document;
mod overlay;
mod schema;

mod mistake;
mod validate;

#[cfg(test)]
mod hostile;

pub use self::mistake::{Mistake, MistakeSpot, Mistakes};
pub use self::model::{
    Catalog, ChartSource, CheckSpec, Component, Environment, HelmInstall, Install, Requires, SingleValue, Suite,
};
pub use self::names::{
    CheckName, ComponentName, EnvironmentName, LabelKey, LabelValue, NamespaceName, ProgramName, RequirementId,
    SuiteName, VariableName,
};
pub use self::patience::Patience;
pub use self::schema::{environment_schema, suite_schema};
pub use self::source::SourceFile;
pub use self::validate::read;
