//! Values that a chart does not know: mostly misspelt ones, which change nothing and of which helm says nothing.
//!
//! A chart may read what its `values.yaml` does not mention, and hand whole maps on as they are. So a value counts as
//! unknown only where the chart renders to the same without it.

use std::collections::BTreeSet;
use std::ffi::OsString;

use serde_json::Value;

use super::helm;
use crate::manifest;
use crate::suite::HelmInstall;

/// The keys that lead to a value.
pub(super) type Keys = Vec<String>;

/// What of the values of an install is not among those of its chart: the texts of its values files, and the single ones.
/// Text that is no YAML is helm's to complain about.
pub(super) fn unmentioned(files: &[String], install: &HelmInstall, known: &Value) -> BTreeSet<Keys> {
    let files = files.iter().map(|text| manifest::value("values", text).unwrap_or_default());
    let nested =
        |path: &String| keys(path).into_iter().rfold(Value::Null, |value, key| [(key, value)].into_iter().collect());
    let mut found = BTreeSet::new();
    for given in files.chain(install.set.keys().map(nested)) {
        collect(&[], &given, known, &mut found);
    }
    found
}

/// A map that is empty in the chart's values is there to be filled with anything.
fn collect(path: &[String], given: &Value, known: &Value, found: &mut BTreeSet<Keys>) {
    let (Some(given), Some(known)) = (given.as_object(), known.as_object().filter(|known| !known.is_empty())) else {
        return;
    };
    for (key, value) in given {
        let path = [path, std::slice::from_ref(key)].concat();
        match known.get(key) {
            Some(known) => collect(&path, value, known, found),
            None => drop(found.insert(path)),
        }
    }
}

/// The values of an install as arguments for helm, without this one.
pub(super) fn without(install: &HelmInstall, left_out: &Keys) -> Vec<OsString> {
    let mut install = install.clone();
    install.set.retain(|path, _| !keys(path).starts_with(left_out));
    let mut arguments = helm::values(&install);
    arguments.extend(["--set".into(), format!("{}=null", path(left_out)).into()]);
    arguments
}

/// The keys of a path as `set` has it (helm `pkg/strvals`); what follows an index is left away.
fn keys(path: &str) -> Keys {
    let (mut keys, mut key, mut letters) = (Vec::new(), String::new(), path.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => key.extend(letters.next()),
            '.' => keys.push(std::mem::take(&mut key)),
            '[' => break,
            letter => key.push(letter),
        }
    }
    keys.push(key);
    keys
}

/// The path of keys as `set` has it.
pub(super) fn path(keys: &Keys) -> String {
    let escaped = |key: &String| -> String {
        key.chars()
            .flat_map(|letter| "\\.,=[]{}".contains(letter).then_some('\\').into_iter().chain([letter]))
            .collect()
    };
    keys.iter().map(escaped).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{ChartSource, SingleValue};

    fn install(set: &[(&str, &str)]) -> HelmInstall {
        let text = |value: &str| SingleValue::Text(value.to_owned());
        let set = set.iter().map(|(path, value)| ((*path).to_owned(), text(value))).collect();
        HelmInstall { release: "r".to_owned(), chart: ChartSource::Path("chart".into()), values: Vec::new(), set }
    }

    #[test]
    fn a_value_that_the_charts_own_do_not_have_is_found_in_files_and_among_single_ones() {
        let known =
            manifest::value("x", "{replicas: 1, image: {tag: a}, free: {}, none: null, list: [], sub: null}").unwrap();
        let files = ["{repliacs: 3, image: {tga: b, tag: c}, free: {a: 1}, none: {b: 2}, sub: {c: 3}}".to_owned()];
        let install = install(&[("image.tags", "1"), ("image.tag", "1"), ("list[0].x", "1"), ("a\\.b.c[1]", "1")]);
        let paths: Vec<String> = unmentioned(&files, &install, &known).iter().map(path).collect();
        assert_eq!(paths, ["a\\.b", "image.tags", "image.tga", "repliacs"]);
        assert!(unmentioned(&files, &install, &Value::Null).is_empty(), "a chart without values says nothing of them");
    }

    #[test]
    fn a_value_is_left_out_wherever_it_was_given() {
        let arguments = without(&install(&[("a.b", "1"), ("a.bc", "2")]), &vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(arguments, ["--set-string", "a.bc=2", "--set", "a.b=null"]);
    }
}
