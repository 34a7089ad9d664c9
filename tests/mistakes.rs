//! Every mistake that an author can make, shown back exactly as it is in `tests/mistakes`.
//!
//! `x.yaml` is read as the suite `x`, and `x.err` is what its author must read. A folder `x/` is a whole folder of
//! suites: its files, its `environments`, and `expected.err`; the environment asked for is in `asked-for`, if one is.
//! Files whose path says `absent` do not exist. With `BLESS=1` the expected texts are written anew.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use seaworthy::suite::{EnvironmentName, SourceFile, read};

fn main() -> ExitCode {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let mut trials = Vec::new();
    for path in listed(&fixtures) {
        let expected = if path.is_dir() { path.join("expected.err") } else { path.with_extension("err") };
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        match path.extension().and_then(|extension| extension.to_str()) {
            None | Some("yaml") => trials.push(Trial::test(name, move || shows(&path, &expected))),
            Some("err") if path.with_extension("yaml").exists() => {}
            Some(_) => trials.push(Trial::test(name, move || Err(format!("{} has no twin", path.display()).into()))),
        }
    }
    assert!(trials.len() >= 25, "the fixtures are not where they should be");
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The mistakes in a fixture are those expected, in exactly these words.
fn shows(fixture: &Path, expected: &Path) -> Result<(), Failed> {
    let files = if fixture.is_dir() { folder(fixture) } else { vec![source(fixture, fixture.parent().unwrap())] };
    let asked = fs::read_to_string(fixture.join("asked-for")).ok();
    let asked = asked.map(|name| name.trim().parse::<EnvironmentName>()).transpose()?;
    let exists = |path: &Path| !path.to_string_lossy().contains("absent");
    let Err(mistakes) = read(Path::new("suites"), &files, asked.as_ref(), &exists) else {
        return Err("nothing was found to be wrong".into());
    };
    let shown = format!("{mistakes}\n");
    if std::env::var_os("BLESS").is_some() {
        fs::write(expected, &shown)?;
    }
    let wanted = fs::read_to_string(expected)?;
    if shown == wanted { Ok(()) } else { Err(format!("expected:\n{wanted}\nshown:\n{shown}").into()) }
}

/// The suites and environments of a fixture.
fn folder(fixture: &Path) -> Vec<SourceFile> {
    let environments = fixture.join("environments");
    let all = listed(fixture).into_iter().chain(if environments.is_dir() { listed(&environments) } else { Vec::new() });
    let yaml = all.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|path| source(&path, fixture)).collect()
}

/// A file as if its fixture's folder were `suites`.
fn source(path: &Path, folder: &Path) -> SourceFile {
    let shown = Path::new("suites").join(path.strip_prefix(folder).unwrap());
    SourceFile { path: shown, bytes: fs::read(path).unwrap() }
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
