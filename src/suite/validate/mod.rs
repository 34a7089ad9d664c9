//! From documents to a [`Catalog`]: every rule that concerns more than one value.
//!
//! - Purpose: every mistake of every file, in every environment, whichever is asked for.
//! - Never: stop at a mistake. What is missing or broken is `None`, and the rest is looked at all the same.
//! - Why each environment in full: a budget or a release that only collides in `production` is found on a laptop.

mod check;
mod component;
mod environment;
mod images;
mod install;
mod needs;
mod suite;

use std::collections::BTreeMap;
use std::path::{Component as Part, Path, PathBuf};
use std::str::FromStr;

use super::document::SuiteDocument;
use super::field::{Field, Placed};
use super::mistake::{Finding, Ledger, Mistakes};
use super::model::Catalog;
use super::names::{EnvironmentName, NamespaceName, SuiteName};
use super::overlay::EnvironmentDocument;
use super::source::{Place, SourceFile, Sources};
use super::{reader, tree};

/// Reads all suite files of a folder and the environments beside them, and lays one environment over the suites.
///
/// `files` are the suites directly in `folder` and the environments in `folder/environments`; paths are relative to
/// where the program runs, and `exists` answers for such paths. Without an `environment` it is `local`, which needs no
/// file.
///
/// # Errors
/// Every mistake of every file: of its text, its keys and values, its references and budgets, in each environment.
pub fn read(
    folder: &Path,
    files: &[SourceFile],
    environment: Option<&EnvironmentName>,
    exists: &dyn Fn(&Path) -> bool,
) -> Result<Catalog, Mistakes> {
    let (sources, documents, ledger) = understand(folder, files);
    if documents.suites.is_empty() {
        return Err(Mistakes::no_suites(folder));
    }
    let mut cx = Cx { sources: &sources, exists, ledger, releases: BTreeMap::new(), images: images::Images::default() };
    let overlays = environment::names(&mut cx, &documents.environments);
    let layers = suite::names(&mut cx, &documents.suites);
    let chosen = environment::chosen(&mut cx, folder, environment, &overlays);
    let mut catalog = None;
    for overlay in overlays.all() {
        let laid = suite::lay(&mut cx, &layers, overlay);
        if Some(&laid.environment.name) == chosen.as_ref() {
            catalog = Some(laid);
        }
    }
    cx.ledger.close(&sources)?;
    catalog.ok_or_else(|| Mistakes::no_suites(folder))
}

/// All files as documents, with what is wrong in each.
struct Documents {
    suites: Vec<Filed<SuiteDocument>>,
    environments: Vec<Filed<EnvironmentDocument>>,
}

/// A document and the file it came from.
struct Filed<D> {
    /// The file's name without `.yaml`.
    stem: String,
    document: Field<D>,
}

fn understand(folder: &Path, files: &[SourceFile]) -> (Sources, Documents, Ledger) {
    let (mut sources, mut ledger) = (Sources::default(), Ledger::default());
    let mut documents = Documents { suites: Vec::new(), environments: Vec::new() };
    let mut files: Vec<&SourceFile> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for source in files {
        let stem = source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (file, trouble) = sources.add(source);
        let root = match trouble {
            Ok(()) => tree::parse(&mut sources, file, &mut ledger),
            Err((place, finding)) => {
                ledger.note(place, finding);
                None
            }
        };
        if source.path.starts_with(folder.join("environments")) {
            let document = root.map_or(Field::Broken, |root| reader::read(&root, &mut ledger));
            documents.environments.push(Filed { stem, document });
        } else {
            let document = root.map_or(Field::Broken, |root| reader::read(&root, &mut ledger));
            documents.suites.push(Filed { stem, document });
        }
    }
    (sources, documents, ledger)
}

/// The suites of all files, each after those it needs.
struct Layers<'d> {
    ordered: Vec<(SuiteName, &'d Placed<SuiteDocument>)>,
    /// Every name that is a suite's, even if its file cannot be understood.
    known: Vec<String>,
}

/// What every rule needs: the texts, the world's files, and where mistakes go.
struct Cx<'a> {
    sources: &'a Sources,
    exists: &'a dyn Fn(&Path) -> bool,
    ledger: Ledger,
    /// Helm releases of the environment being laid, by namespace and name, and where each is written.
    releases: BTreeMap<(NamespaceName, String), Place>,
    /// Images of the environment being laid.
    images: images::Images,
}

impl Cx<'_> {
    fn note(&mut self, place: Place, finding: Finding) {
        self.ledger.note(place, finding);
    }

    /// A part that must be there; its absence is noted at `parent`, with what to write.
    fn want<'f, T>(&mut self, parent: Place, field: &'f Field<T>, key: &str, remedy: &str) -> Option<&'f Placed<T>> {
        if matches!(field, Field::Missing) {
            self.note(parent, Finding::missing(key).remedy(remedy));
        }
        field.get()
    }

    /// Text for people: it says something.
    fn said(&mut self, text: &Placed<String>) -> String {
        if text.value.trim().is_empty() {
            self.note(text.place, Finding::new("this says nothing").remedy("write a few words for the reader"));
        }
        text.value.trim().to_owned()
    }

    /// A path as the program can open it; it must exist.
    fn file(&mut self, path: &Placed<PathBuf>) -> PathBuf {
        self.file_at(path.place, &path.value)
    }

    fn file_at(&mut self, place: Place, path: &Path) -> PathBuf {
        let whole = joined(self.sources.folder(self.sources.file_of(place)), path);
        if !(self.exists)(&whole) {
            let finding = Finding::new(format!("`{}` does not exist", path.display()));
            let remedy = format!("paths start from this file's folder, so `{}` was looked for", whole.display());
            self.note(place, finding.remedy(remedy));
        }
        whole
    }

    /// The `version: 1` that every file starts with.
    fn version(&mut self, root: Place, version: &Field<u64>) {
        if let Some(written) = self.want(root, version, "version", "start the file with `version: 1`")
            && written.value != 1
        {
            let finding = Finding::new(format!("version {} of the format is not known", written.value));
            self.note(written.place, finding.remedy("write `version: 1`"));
        }
    }

    /// Refuses names that steps have of their own: reports would show two things under one name.
    fn refuse_reserved<N: std::fmt::Display>(&mut self, name: &Placed<N>, what: &str, of: &str, steps: &[&str]) {
        let word = name.value.to_string();
        if steps.contains(&word.as_str()) {
            let finding =
                Finding::new(format!("`{word}` is a step of the {of}'s own, so no {what} can be called that"));
            self.note(name.place, finding.remedy(format!("give the {what} another name")));
        }
    }

    /// A file is called like what it describes, so that people find it.
    fn file_name<N: std::fmt::Display>(&mut self, name: &Placed<N>) {
        let path = &self.sources.text(self.sources.file_of(name.place)).path;
        let actual = path.file_name().unwrap_or_default().to_string_lossy();
        let wanted = format!("{}.yaml", name.value);
        if actual != wanted {
            let finding = Finding::new(format!("this is called `{}` in a file called `{actual}`", name.value));
            self.note(name.place, finding.remedy(format!("rename the file to `{wanted}`, or correct the name")));
        }
    }
}

/// Stands in for a name that could not be understood: what it names is looked at all the same.
fn unnamed<N: FromStr<Err = String>>() -> N {
    "unnamed".parse().unwrap_or_else(|rule| unreachable!("{rule}"))
}

/// `path` as seen from where the program runs, `a/../b` shortened to `b`.
fn joined(folder: &Path, path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Part::ParentDir if matches!(whole.components().next_back(), Some(Part::Normal(_))) => {
                whole.pop();
            }
            Part::CurDir => {}
            Part::Prefix(_) | Part::RootDir | Part::ParentDir | Part::Normal(_) => whole.push(part),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Check;
    use crate::span::Span;
    use crate::suite::model::SingleValue;
    use crate::suite::model::{ChartSource, Component, Install};
    use crate::suite::names::ComponentName;

    const SUITE: &str = include_str!("../valid.yaml");
    const LAB: &str = include_str!("../valid-environment.yaml");

    fn laid(environment: Option<&str>) -> Catalog {
        let file = |path: &str, text: &str| SourceFile { path: path.into(), bytes: text.as_bytes().to_vec() };
        let files = [file("suites/environments/lab.yaml", LAB), file("suites/data-plane.yaml", SUITE)];
        let environment = environment.map(|name| name.parse().unwrap());
        read(Path::new("suites"), &files, environment.as_ref(), &|_| true)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    fn component(catalog: &Catalog, name: &str) -> Component {
        catalog.suites[0].components[&name.parse::<ComponentName>().unwrap()].clone()
    }

    #[test]
    fn without_an_environment_a_suite_is_what_is_written() {
        let catalog = laid(None);
        let redis = component(&catalog, "redis");
        assert_eq!(catalog.environment.name.as_str(), "local");
        assert!(!catalog.environment.preload);
        let Install::Helm(helm) = &redis.install else { panic!("{redis:?}") };
        assert_eq!(helm.chart, ChartSource::Path("charts-under-test/redis".into()));
        assert_eq!(helm.values, [PathBuf::from("suites/values/redis.yaml")]);
        assert_eq!(redis.ready_within, Span::secs(180));
        assert_eq!(component(&catalog, "postgres").ready_within, Span::secs(300));
        assert_eq!(component(&catalog, "nodes").namespace.as_str(), "default");
        assert_eq!(component(&catalog, "definitions").off, None);
    }

    #[test]
    fn an_environment_is_laid_over_what_is_written() {
        let catalog = laid(Some("lab"));
        let redis = component(&catalog, "redis");
        let Install::Helm(helm) = &redis.install else { panic!("{redis:?}") };
        assert_eq!(helm.values, ["suites/values/redis.yaml", "suites/environments/lab/redis.yaml"].map(PathBuf::from));
        let text = |text: &str| SingleValue::Text(text.to_owned());
        assert_eq!(helm.set["image.tag"], text("7.0"));
        assert_eq!(helm.set["replicas"], SingleValue::Plain("1".to_owned()));
        assert_eq!(helm.set["auth"], SingleValue::Plain("true".to_owned()));
        // A change to the component itself wins over the environment's images; what it leaves alone is mapped.
        assert_eq!(redis.preload, ["lab/redis:7.0"]);
        assert_eq!(helm.set["sidecar"], text("lab/busybox:1.35"));
        assert_eq!(component(&catalog, "nodes").preload, ["lab/busybox:1.35"]);
        assert_eq!(redis.ready_within, Span::secs(120));
        assert_eq!(redis.checks[0].patience.within, Span::secs(60));
        assert_eq!(redis.checks[0].patience.look, Span::secs(5));
        assert_eq!(catalog.suites[0].deploy_budget, Span::secs(300));
        let Install::Helm(postgres) = component(&catalog, "postgres").install else { panic!("not replaced") };
        assert_eq!(postgres.values, [PathBuf::from("suites/environments/lab/postgres.yaml")]);
        let off = component(&catalog, "definitions").off;
        assert_eq!(off.as_deref(), Some("no registry is reachable from the lab"));
        let requires = &catalog.environment.requires;
        assert_eq!((requires.env[0].as_str(), requires.programs[0].as_str()), ("REGISTRY_TOKEN", "cosign"));
        assert_eq!(catalog.environment.cluster_config, Some("kind-configs/lab.yaml".into()));
    }

    #[test]
    fn images_of_an_environment_reach_the_manifests_of_installs_and_claims() {
        let catalog = laid(Some("lab"));
        let Check::Job(job) = &component(&catalog, "redis").checks[1].check else { panic!("no Job") };
        assert_eq!(job.images["docker.io/library/redis:7.4"], "lab/redis:7.1");
        let Install::Manifests { images, .. } = component(&catalog, "proxy").install else { panic!("no manifests") };
        assert_eq!(images["docker.io/library/busybox:1.37"], "lab/busybox:1.35");
        assert_eq!(images["busybox:1"], "lab/busybox:1.35", "a replacement of the suite's own is led on");
        let Install::Manifests { images, .. } = component(&laid(None), "proxy").install else { panic!("no manifests") };
        assert_eq!(images["busybox:1"], "docker.io/library/busybox:1.37");
    }

    #[test]
    fn a_version_of_the_environment_replaces_that_of_the_chart() {
        for (environment, expected) in [(None, "1.2.3"), (Some("lab"), "2.0.0")] {
            let Install::Helm(helm) = component(&laid(environment), "metrics").install else { panic!("no chart") };
            let ChartSource::Repository { version, .. } = helm.chart else { panic!("not remote") };
            assert_eq!(version, expected);
        }
    }

    #[test]
    fn a_check_that_lasts_is_one_look_as_long_as_its_window() {
        let loads = &component(&laid(None), "redis").checks[1].clone();
        assert_eq!((loads.patience.within, loads.patience.look), (Span::secs(90), Span::secs(90)));
        assert_eq!(loads.title, "loads");
    }

    #[test]
    fn paths_are_seen_from_where_the_program_runs() {
        for (folder, path, expected) in [
            ("suites", "../charts/redis", "charts/redis"),
            ("suites/environments", "lab/./redis.yaml", "suites/environments/lab/redis.yaml"),
            ("", "a.yaml", "a.yaml"),
            ("suites", "../../outside", "../outside"),
            ("suites", "/absolute/a", "/absolute/a"),
        ] {
            assert_eq!(joined(Path::new(folder), Path::new(path)), Path::new(expected), "{folder} {path}");
        }
    }
}
