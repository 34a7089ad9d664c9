//! Reading the folder of suites.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::Cli;
use crate::plan::Selector;
use crate::suite::{self, Catalog, EnvironmentName, SourceFile};

use super::{WRONG, output};

/// The suites of the folder with the environment laid over them; says what is wrong where there is none.
pub(super) fn read(cli: &Cli) -> Result<Catalog, u8> {
    let environment = cli.environment.as_deref().map(str::parse::<EnvironmentName>).transpose();
    let environment = environment.map_err(|why| wrong(&why))?;
    let files =
        files(&cli.suites).map_err(|(path, error)| wrong(&format!("cannot read {}: {error}", path.display())))?;
    let catalog = suite::read(&cli.suites, &files, environment.as_ref(), &|path: &Path| path.exists());
    catalog.map_err(|mistakes| {
        let count = mistakes.iter().count();
        output::say(&mistakes.to_string());
        wrong(&format!("{count} {} in the suites", if count == 1 { "mistake" } else { "mistakes" }))
    })
}

/// The selector of the command line.
pub(super) fn selector(written: Option<&String>) -> Result<Option<Selector>, u8> {
    written.map(|text| text.parse()).transpose().map_err(|why: String| wrong(&format!("--selector: {why}")))
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
