//! What an environment requires of the machine, looked for before anything is made.
//!
//! Never: the value of a variable in a text; that it is set is all that is known here.

use std::env;

use crate::suite::{Environment, ProgramName, VariableName};
use crate::tools::Missing;

/// Each variable that is not set or empty, and each program that is not on the PATH.
pub(super) fn missing(environment: &Environment) -> Vec<Missing> {
    let why = format!("environment {} requires it", environment.name);
    let variable = |name: &VariableName| {
        let is_set = env::var_os(name.as_str()).is_some_and(|value| !value.is_empty());
        let what = format!("variable {name}: not set, and {why}");
        (!is_set).then(|| Missing::new(what, format!("export {name} with its value")))
    };
    let program = |name: &ProgramName| {
        let is_there = which::which_in(name.as_str(), env::var_os("PATH"), ".").is_ok();
        let what = format!("program {name}: not on the PATH, and {why}");
        (!is_there).then(|| Missing::new(what, format!("install {name}")))
    };
    let requires = &environment.requires;
    requires.env.iter().filter_map(variable).chain(requires.programs.iter().filter_map(program)).collect()
}
