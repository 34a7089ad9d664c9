//! What was seen beside what was recorded.

use std::path::PathBuf;

use libtest_mimic::Failed;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity")
}

/// A line that a rehearsal shows otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Difference {
    scenario: String,
    /// What a cluster shows; none where a rehearsal shows a line more.
    recorded: Option<String>,
    /// What a rehearsal shows; none where it shows a line less.
    rehearsed: Option<String>,
}

/// The lines of `differences.txt`: scenario | recorded line | rehearsal's line | reason; `-` where there is no line.
fn differences() -> Result<Vec<Difference>, Failed> {
    let text = std::fs::read_to_string(folder().join("differences.txt"))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| {
        let parts: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [scenario, recorded, rehearsed, reason] = parts[..] else {
            return Err(Failed::from(format!("differences.txt: not four parts: {line}")));
        };
        if reason.is_empty() {
            return Err(Failed::from(format!("differences.txt: no reason: {line}")));
        }
        let line = |text: &str| (text != "-").then(|| text.to_owned());
        Ok(Difference { scenario: scenario.to_owned(), recorded: line(recorded), rehearsed: line(rehearsed) })
    };
    lines.map(read).collect()
}

fn recorded(scenario: &str) -> Result<Vec<String>, Failed> {
    let path = folder().join("recorded").join(format!("{scenario}.txt"));
    let text = std::fs::read_to_string(path).map_err(|error| format!("nothing is recorded of {scenario}: {error}"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Writes a recording.
pub(crate) fn record(scenario: &str, seen: &[String]) -> Result<(), Failed> {
    std::fs::write(folder().join("recorded").join(format!("{scenario}.txt")), format!("{}\n", seen.join("\n")))?;
    Ok(())
}

/// What was seen is what was recorded.
pub(crate) fn same(scenario: &str, seen: &[String]) -> Result<(), Failed> {
    judge(&recorded(scenario)?, seen)
}

/// What was seen is what was recorded, except for what is listed, and that it is.
pub(crate) fn same_but_for_what_is_listed(scenario: &str, seen: &[String]) -> Result<(), Failed> {
    let (mut wanted, mut seen) = (recorded(scenario)?, seen.to_vec());
    for listed in differences()?.into_iter().filter(|listed| listed.scenario == scenario) {
        let at = |lines: &[String], line: &Option<String>| lines.iter().position(|one| Some(one) == line.as_ref());
        let (is, was) = (at(&seen, &listed.rehearsed), at(&wanted, &listed.recorded));
        match (&listed.recorded, was, &listed.rehearsed, is) {
            (Some(_), Some(was), Some(rehearsed), Some(_)) => wanted[was].clone_from(rehearsed),
            (Some(_), Some(was), None, None) => drop(wanted.remove(was)),
            (None, None, Some(_), Some(is)) => drop(seen.remove(is)),
            _ => {
                return Err(
                    format!("a listed difference is none any more: {listed:?}\nseen:\n{}", seen.join("\n")).into()
                );
            }
        }
    }
    judge(&wanted, &seen)
}

fn judge(wanted: &[String], seen: &[String]) -> Result<(), Failed> {
    if wanted == seen {
        return Ok(());
    }
    let same = wanted.iter().zip(seen).take_while(|(wanted, seen)| wanted == seen).count();
    let mut told = String::from("not what was recorded (- recorded, + seen):");
    for line in &wanted[..same] {
        told.push_str(&format!("\n  {line}"));
    }
    let rest = wanted.len().max(seen.len());
    for at in same..rest {
        match (wanted.get(at), seen.get(at)) {
            (Some(wanted), Some(seen)) if wanted == seen => told.push_str(&format!("\n  {seen}")),
            (wanted, seen) => {
                wanted.iter().for_each(|line| told.push_str(&format!("\n- {line}")));
                seen.iter().for_each(|line| told.push_str(&format!("\n+ {line}")));
            }
        }
    }
    Err(told.into())
}

/// Nothing is recorded or listed of what is no scenario, and no scenario is there twice.
pub(crate) fn check_names(names: &[&str]) -> Result<(), Failed> {
    for file in std::fs::read_dir(folder().join("recorded"))? {
        let file = file?.file_name().to_string_lossy().into_owned();
        if !names.iter().any(|name| file == format!("{name}.txt")) {
            return Err(format!("recorded/{file} belongs to no scenario").into());
        }
    }
    for listed in differences()? {
        if !names.contains(&listed.scenario.as_str()) {
            return Err(format!("differences.txt: no such scenario: {}", listed.scenario).into());
        }
    }
    let mut once = names.to_vec();
    once.sort_unstable();
    once.dedup();
    if once.len() == names.len() { Ok(()) } else { Err("two scenarios have one name".into()) }
}
