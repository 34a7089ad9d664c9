//! Charts as files: what decides their content, and a copy that renders to nothing but CRDs.
//!
//! Everything here blocks; `render` calls it off the runtime's threads.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::manifest;

/// A digest of every file of a chart's folder by its name, or of its archive.
pub(super) fn digest(chart: &Path, into: &mut Sha256) -> io::Result<()> {
    for file in files(chart)? {
        let name = file.strip_prefix(chart).unwrap_or(&file).display().to_string();
        let bytes = fs::read(&file)?;
        into.update(format!("{name}\0{}\0", bytes.len()));
        into.update(&bytes);
    }
    Ok(())
}

/// A chart's own values. What is not its own to know is free-form there: what all charts or its subcharts are given.
pub(super) fn values(chart: &Path) -> io::Result<Value> {
    let read = |name: &str| Ok::<_, io::Error>(manifest::value(name, &text(chart, name)?).unwrap_or_default());
    let (mut values, about) = (read("values.yaml")?, read("Chart.yaml")?);
    let subcharts = about["dependencies"].as_array().into_iter().flatten();
    let subcharts = subcharts.filter_map(|one| one["alias"].as_str().or_else(|| one["name"].as_str()));
    if let Value::Object(fields) = &mut values {
        fields.extend(["global", "tags"].into_iter().chain(subcharts).map(|name| (name.to_owned(), Value::Null)));
    }
    Ok(values)
}

/// A file at the top of a chart; no text where there is none.
fn text(chart: &Path, name: &str) -> io::Result<String> {
    if chart.is_dir() {
        let file = chart.join(name);
        return if file.is_file() { fs::read_to_string(file) } else { Ok(String::new()) };
    }
    for entry in opened(chart)?.entries()? {
        let mut entry = entry?;
        // Below the one folder that an archive holds.
        if entry.path()?.iter().skip(1).eq([name]) {
            return io::read_to_string(&mut entry);
        }
    }
    Ok(String::new())
}

/// A copy of a chart that holds the templates of its CRDs and nothing else that renders.
#[derive(Debug)]
pub(super) struct CrdChart {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// What was in its own `crds/`, which helm prints as it stands, once for each switch; taken out of the folder.
    pub(super) plain: Vec<PathBuf>,
    /// Values that are off and by their name switch CRDs on: `crds.enabled`, `installCRDs`.
    pub(super) switches: Vec<String>,
    /// Whether anything is left that only helm can read.
    pub(super) renders: bool,
}

/// Copies or unpacks a chart into `into` and takes out of it what has nothing to do with CRDs.
///
/// A chart whose other templates demand values renders its CRDs all the same, and a schema cannot refuse a switch.
pub(super) fn only_crds(chart: &Path, into: &Path) -> io::Result<CrdChart> {
    if chart.is_dir() {
        copy(chart, &into.join("chart"))?;
    } else {
        unpack(chart, into)?;
    }
    let folder = only_folder(into)?;
    if !folder.join("Chart.yaml").is_file() {
        return Err(io::Error::other("it is no chart: it has no Chart.yaml"));
    }
    for archive in files(&folder)?.into_iter().filter(|file| is_archive(file)) {
        unpack(&archive, archive.parent().unwrap_or(&folder))?;
        fs::remove_file(&archive)?;
    }
    let (mut plain, mut switches, mut renders) = (Vec::new(), Vec::new(), false);
    if folder.join("crds").is_dir() && !may_hide_crds(&folder)? {
        fs::rename(folder.join("crds"), into.join("crds"))?;
        plain = files(&into.join("crds"))?;
        plain.retain(|file| manifest::is_named_as_one(file));
    }
    for file in files(&folder)? {
        let inner = file.strip_prefix(&folder).unwrap_or(&file).to_owned();
        if inner.ends_with("values.yaml") {
            switches.extend(switches_of(&inner, &fs::read_to_string(&file)?));
        } else if inner.ends_with("values.schema.json") || (is_template(&inner) && !concerns_crds(&inner, &file)?) {
            fs::remove_file(&file)?;
        } else {
            renders = renders || inner.starts_with("crds") || is_helms(&inner, &file)?;
        }
    }
    Ok(CrdChart { folder, plain, switches, renders })
}

/// Whether a `.helmignore` may be about CRDs: then what is left of `crds/` is for helm to say. Those of `helm create` name
/// hidden files and editors' leftovers.
fn may_hide_crds(chart: &Path) -> io::Result<bool> {
    let file = chart.join(".helmignore");
    let patterns = if file.is_file() { fs::read_to_string(file)? } else { String::new() };
    let spares = |line: &str| {
        let ending = line.strip_prefix("*.").is_some_and(|ending| !["yaml", "yml", "json", "*"].contains(&ending));
        line.is_empty() || line.starts_with(['#', '.']) || line.ends_with('~') || ending
    };
    Ok(!patterns.lines().all(|line| spares(line.trim())))
}

fn is_archive(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "tgz")
        && file.parent().is_some_and(|at| at.ends_with("charts"))
}

fn is_template(inner: &Path) -> bool {
    inner.components().any(|part| part.as_os_str() == "templates")
}

/// Whether a file left of a chart is only understood by helm: a template, a subchart, or a wish for one or for a Kubernetes.
fn is_helms(inner: &Path, file: &Path) -> io::Result<bool> {
    let about = if inner == Path::new("Chart.yaml") { fs::read_to_string(file)? } else { String::new() };
    let wants = ["dependencies", "kubeVersion"].iter().any(|wish| about.contains(wish));
    Ok(wants || is_template(inner) || inner.starts_with("charts") || inner == Path::new("requirements.yaml"))
}

/// Partials stay, and templates that write a CRD, or that by their name read one from a file.
fn concerns_crds(inner: &Path, file: &Path) -> io::Result<bool> {
    let name = inner.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let partial = name.starts_with('_') || inner.extension().is_some_and(|extension| extension == "tpl");
    let named = inner.to_string_lossy().to_lowercase().contains("crd");
    Ok(partial || named || String::from_utf8_lossy(&fs::read(file)?).contains("CustomResourceDefinition"))
}

/// The switches in one `values.yaml`, by their path from the chart's root.
fn switches_of(inner: &Path, text: &str) -> Vec<String> {
    // `charts/a/charts/b/values.yaml` is set as `a.b.…`.
    let parents = inner.parent().into_iter().flat_map(Path::components).map(|part| part.as_os_str().to_string_lossy());
    let path: Vec<String> = parents.filter(|part| part != "charts").map(|part| part.into_owned()).collect();
    let mut switches = Vec::new();
    // Values that cannot be read are helm's to complain about.
    collect(&manifest::value("values.yaml", text).unwrap_or_default(), &path, &mut switches);
    switches
}

fn collect(value: &Value, path: &[String], switches: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = [path, std::slice::from_ref(key)].concat();
        match value {
            Value::Bool(false) if switches_crds(&path) => switches.push(path.join(".")),
            Value::Object(_) => collect(value, &path, switches),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
        }
    }
}

fn switches_crds(path: &[String]) -> bool {
    let lower = |at: usize| path.iter().rev().nth(at).map_or(String::new(), |part| part.to_lowercase());
    let (key, parent) = (lower(0), lower(1));
    let verb = ["install", "create", "enable", "deploy"].iter().any(|verb| key.contains(verb));
    verb && (key.contains("crd") || ["crd", "crds", "customresourcedefinitions"].contains(&parent.as_str()))
}

/// Every file below a folder in the order of its path; a file is its own only one. Links are followed by their target.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    let nested: Vec<Vec<PathBuf>> = entries.iter().map(|entry| files(entry)).collect::<io::Result<_>>()?;
    Ok(nested.concat())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for file in files(from)? {
        let target = to.join(file.strip_prefix(from).unwrap_or(&file));
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        fs::copy(&file, &target)?;
    }
    Ok(())
}

/// The most that an unpacked chart may take: helm's own limit for one is 100 MiB.
const LARGEST: u64 = 100 << 20;

/// Unpacks an archive; entries that point outside of `into` are refused by the library.
fn unpack(archive: &Path, into: &Path) -> io::Result<()> {
    opened(archive)?.unpack(into)
}

fn opened(archive: &Path) -> io::Result<tar::Archive<impl io::Read>> {
    Ok(tar::Archive::new(GzDecoder::new(fs::File::open(archive)?).take(LARGEST)))
}

/// The one folder within a folder: what a chart's archive unpacks to.
fn only_folder(path: &Path) -> io::Result<PathBuf> {
    let folders = fs::read_dir(path)?.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
    match folders.collect::<Vec<_>>().as_slice() {
        [one] => Ok(one.clone()),
        other => Err(io::Error::other(format!("a chart's archive holds one folder, this one {}", other.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRD: &str = "kind: CustomResourceDefinition\n";

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        }
    }

    fn pack(folder: &Path, name: &str, archive: &Path) {
        let gz = flate2::write::GzEncoder::new(fs::File::create(archive).unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        tar.append_dir_all(name, folder).unwrap();
        tar.into_inner().unwrap().finish().unwrap();
    }

    /// A chart with a CRD in `crds/`, one behind a switch, one read from a file, and a packed subchart with its own.
    fn demo(root: &Path) -> PathBuf {
        let (chart, sub) = (root.join("demo"), root.join("sub"));
        write(
            &sub,
            &[("Chart.yaml", "name: sub"), ("templates/a.yaml", CRD), ("values.yaml", "crds: {create: false}")],
        );
        write(
            &chart,
            &[
                ("Chart.yaml", "name: demo"),
                (
                    "values.yaml",
                    "installCRDs: false\ncrds: {keep: false, conversion: {enabled: false}}\nother: {enabled: false}\n",
                ),
                ("values.schema.json", "{}"),
                ("crds/a.yaml", CRD),
                ("templates/b.yaml", CRD),
                ("templates/all-crds.yaml", "{{ .Files.Get \"all.yaml\" }}"),
                ("templates/_names.tpl", ""),
                ("templates/deployment.yaml", "{{ required \"no\" .Values.x }}"),
                ("charts/.keep", ""),
            ],
        );
        pack(&sub, "sub", &chart.join("charts/sub-1.0.0.tgz"));
        chart
    }

    fn left(chart: &CrdChart) -> Vec<String> {
        let names = files(&chart.folder).unwrap();
        names.iter().map(|file| file.strip_prefix(&chart.folder).unwrap().display().to_string()).collect()
    }

    #[test]
    fn a_folder_and_its_archive_keep_the_same_templates_and_switches() {
        let temp = tempfile::tempdir().unwrap();
        let folder = demo(temp.path());
        let archive = temp.path().join("demo-1.0.0.tgz");
        pack(&folder, "demo", &archive);
        for chart in [folder, archive] {
            let into = tempfile::tempdir().unwrap();
            let found = only_crds(&chart, into.path()).unwrap();
            assert_eq!(
                left(&found),
                [
                    "Chart.yaml",
                    "charts/.keep",
                    "charts/sub/Chart.yaml",
                    "charts/sub/templates/a.yaml",
                    "charts/sub/values.yaml",
                    "templates/_names.tpl",
                    "templates/all-crds.yaml",
                    "templates/b.yaml",
                    "values.yaml",
                ]
            );
            assert_eq!(found.plain, [into.path().join("crds/a.yaml")]);
            assert_eq!(found.switches, ["sub.crds.create", "installCRDs"]);
            assert!(found.renders);
        }
    }

    #[test]
    fn a_chart_of_nothing_but_its_own_crds_needs_no_helm_and_one_that_wants_others_does() {
        let plain =
            [("Chart.yaml", "name: demo"), ("values.yaml", "a: 1"), ("README.md", "x"), ("crds/a.yaml", "a: 1")];
        let renders = |more: (&str, &str)| {
            let (temp, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            write(temp.path(), &plain);
            write(temp.path(), &[more]);
            only_crds(temp.path(), into.path()).unwrap().renders
        };
        assert!(!renders(("templates/web.yaml", "kind: Deployment")), "nothing of which is left");
        assert!(renders(("templates/crd.yaml", "kind: CustomResourceDefinition")));
        assert!(renders(("charts/sub/Chart.yaml", "name: sub")));
        assert!(!renders((".helmignore", "# x\n.git/\n*.tmp\n*~\n")));
        assert!(renders((".helmignore", "crds/a.yaml")));
        assert!(renders(("Chart.yaml", "name: demo\nkubeVersion: '>=1.99'")));
        assert!(renders(("Chart.yaml", "name: demo\ndependencies: [{name: sub}]")), "helm misses what is not there");
    }

    #[test]
    fn a_charts_own_values_are_read_from_its_folder_and_its_archive_and_leave_a_subcharts_to_it() {
        let temp = tempfile::tempdir().unwrap();
        let (folder, archive) = (temp.path().join("demo"), temp.path().join("demo-1.0.0.tgz"));
        let about = "name: demo\ndependencies: [{name: redis}, {name: postgresql, alias: db}]";
        let own = "replicas: 1\nredis: {a: 1}\n";
        write(&folder, &[("Chart.yaml", about), ("values.yaml", own), ("charts/redis/values.yaml", "b: 1")]);
        pack(&folder, "demo", &archive);
        let expected = serde_json::json!({ "replicas": 1, "redis": null, "db": null, "global": null, "tags": null });
        assert_eq!((values(&folder).unwrap(), values(&archive).unwrap()), (expected.clone(), expected));
    }

    #[test]
    fn a_digest_changes_with_any_byte_and_any_name_and_with_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let chart = temp.path().join("demo");
        let digest_now = || {
            let mut hash = Sha256::new();
            digest(&chart, &mut hash).unwrap();
            hash.finalize()
        };
        write(&chart, &[("b.yaml", "1"), ("a.yaml", "2")]);
        let first = digest_now();
        write(&chart, &[("a.yaml", "2")]);
        assert_eq!(first, digest_now());
        write(&chart, &[("a.yaml", "3")]);
        let second = digest_now();
        assert_ne!(first, second);
        fs::rename(chart.join("a.yaml"), chart.join("c.yaml")).unwrap();
        assert_ne!(second, digest_now());
    }

    #[test]
    fn an_archive_that_is_none_is_an_error() {
        let temp = tempfile::tempdir().unwrap();
        write(temp.path(), &[("x.tgz", "no archive")]);
        assert!(only_crds(&temp.path().join("x.tgz"), temp.path()).is_err());
    }
}
