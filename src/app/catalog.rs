//! Reading the folder of suites.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::{Cli, ENVIRONMENT_VARIABLE};
use crate::complaint;
use crate::number::count;
use crate::plan::{PlanError, Selector};
use crate::suite::{self, Catalog, EnvironmentName, SourceFile};

use super::{NOTHING, WRONG, output};

/// The suites of the folder with the environment laid over them; says what is wrong where there is none.
pub(super) fn read(cli: &Cli) -> Result<Catalog, u8> {
    let environment = cli.environment.as_deref().map(str::parse::<EnvironmentName>).transpose();
    let environment = environment.map_err(|why| wrong(&why))?;
    let files =
        files(&cli.suites).map_err(|(path, error)| wrong(&format!("cannot read {}: {error}", path.display())))?;
    let catalog = suite::read(&cli.suites, &files, environment.as_ref(), &|path: &Path| path.exists());
    catalog.map_err(|mistakes| {
        output::point_out(&mistakes);
        let chosen = environment.as_ref().and_then(|name| by_variable(name, &cli.suites, &files));
        let headline = format!("{} in the suites", count(mistakes.iter().count(), "mistake"));
        output::complain(&headline, chosen.as_slice());
        WRONG
    })
}

/// Who chose an environment that has no file, where it was not the command line: nobody sees a variable.
fn by_variable(name: &EnvironmentName, suites: &Path, files: &[SourceFile]) -> Option<String> {
    let is_there = files.iter().any(|file| file.path == suites.join(format!("environments/{name}.yaml")));
    let is_variable = std::env::var_os(ENVIRONMENT_VARIABLE).is_some_and(|value| value == name.as_str());
    let said = format!("`{name}` comes from the variable {ENVIRONMENT_VARIABLE}; unset it, or overrule it with --env");
    (is_variable && !is_there).then_some(said)
}

/// The selector of the command line.
pub(super) fn selector(written: Option<&String>) -> Result<Option<Selector>, u8> {
    written.map(|text| text.parse()).transpose().map_err(|why: String| wrong(&format!("--selector: {why}")))
}

/// Says why nothing can be planned.
pub(super) fn unplanned(error: &PlanError) -> u8 {
    output::complain(&complaint::chain(error), &[]);
    if error.selects_nothing() { NOTHING } else { WRONG }
}

fn wrong(why: &str) -> u8 {
    output::complain(why, &[]);
    WRONG
}

/// Every suite and environment file. A folder that does not exist has none; the room of suites says so.
fn files(folder: &Path) -> Result<Vec<SourceFile>, (PathBuf, io::Error)> {
    let mut found = Vec::new();
    for folder in [folder.to_owned(), folder.join("environments")] {
        let entries = match folder.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err((folder, error)),
        };
        for entry in entries {
            let path = entry.map_err(|error| (folder.clone(), error))?.path();
            if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") && path.is_file() {
                let bytes = std::fs::read(&path).map_err(|error| (path.clone(), error))?;
                found.push(SourceFile { path, bytes });
            }
        }
    }
    Ok(found)
}
