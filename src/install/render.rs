//! From a source to objects, without a cluster.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use futures::future::{try_join, try_join_all};
use indexmap::IndexMap;
use kube::api::DynamicObject;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::helm::Named;
use super::{InstallError, Installer, Rendered, chart, helm, hidden, images, values};
use crate::manifest::{self, Written};
use crate::plan::ComponentWork;
use crate::ports::Notes;
use crate::suite::{ChartSource, HelmInstall, Install};

const CRD_GROUP: &str = "apiextensions.k8s.io";

impl Installer {
    pub(super) async fn rendered(&self, work: &ComponentWork, notes: &Notes) -> Result<Rendered, InstallError> {
        let rendered = match &work.install {
            Install::Helm(install) => self.release(work, install, notes).await?,
            Install::Manifests { paths, images } => manifests(paths, images).await?,
            Install::Crds { charts, paths } => self.crds(work, charts, paths, notes).await?,
            Install::Provided { .. } => Rendered::default(),
        };
        for objects in [&rendered.objects, &rendered.tests, &rendered.hooks] {
            hidden::learn(objects, &self.secrets);
        }
        self.keep(work, &rendered).await?;
        Ok(rendered)
    }

    async fn release(
        &self,
        work: &ComponentWork,
        install: &HelmInstall,
        notes: &Notes,
    ) -> Result<Rendered, InstallError> {
        let mut files = Vec::new();
        for file in &install.values {
            files.push(tokio::fs::read_to_string(file).await.map_err(|source| unread(file, source))?);
        }
        let chart = self.fetched(&install.chart, notes).await?;
        let digest = self.digest(work, install, &chart).await?;
        let named = named(install, work);
        notes.waiting(format!("helm renders {}", named.chart));
        let text = self.helm.template(&named, &chart, helm::values(install)).await?;
        let written = read(&named.chart, &text)?;
        let unmentioned = values::unmentioned(&files, install, &own_values(&chart).await);
        let mut warnings = Vec::new();
        for keys in unmentioned {
            let without = self.helm.template(&named, &chart, values::without(install, &keys)).await;
            if without.is_ok_and(|without| without == text) {
                let path = values::path(&keys);
                warnings.push(format!(
                    "the value {path} is not among the chart's values.yaml and changes nothing as it is set"
                ));
            }
        }
        Ok(Rendered { digest, chart: Some(chart), warnings, ..sorted(written) })
    }

    async fn crds(
        &self,
        work: &ComponentWork,
        charts: &[ChartSource],
        paths: &[PathBuf],
        notes: &Notes,
    ) -> Result<Rendered, InstallError> {
        let charts = try_join_all(charts.iter().map(|chart| self.crds_of(work, chart, notes))).await?;
        let files = crds_only(read_paths(paths).await?);
        let mut found: IndexMap<String, Written> = IndexMap::new();
        for written in charts.into_iter().flatten().chain(files) {
            let name = written.object.metadata.name.clone().unwrap_or_default();
            if let Some(other) = found.get(&name).filter(|other| other.object != written.object) {
                let (one, two) = (&other.source, &written.source);
                return Err(InstallError::Nothing(format!("{one} and {two} bring different CRDs of the name {name}")));
            }
            found.insert(name, written);
        }
        let objects = found.into_values().map(|written| written.object).collect();
        Ok(Rendered { objects, ..Rendered::default() })
    }

    /// The CRDs of one chart: rendered once with each switch that turns some on, as two of them may exclude each other.
    async fn crds_of(
        &self,
        work: &ComponentWork,
        source: &ChartSource,
        notes: &Notes,
    ) -> Result<Vec<Written>, InstallError> {
        let title = helm::title(source);
        let path = self.fetched(source, notes).await?;
        let unread = |error| InstallError::Read { path: title.clone(), source: error };
        let unwritten = |source| InstallError::Write { path: self.folder.display().to_string(), source };
        tokio::fs::create_dir_all(&self.folder).await.map_err(unwritten)?;
        // In the run's folder: in a pod there may be no other that can be written to.
        let temp = tempfile::tempdir_in(&self.folder).map_err(unwritten)?;
        let into = temp.path().to_owned();
        let copy = blocking(move || chart::only_crds(&path, &into)).await.map_err(unread)?;
        let mut settings: Vec<Vec<OsString>> =
            copy.switches.iter().map(|switch| vec!["--set".into(), format!("{switch}=true").into()]).collect();
        if settings.is_empty() && copy.renders {
            settings.push(Vec::new());
        }
        let named = Named { name: "crds", namespace: work.namespace.as_str(), chart: title.clone() };
        let renders = settings.into_iter().map(|setting| self.helm.template(&named, &copy.folder, setting));
        let plain = copy.plain.into_iter().map(|file| parsed(file.clone(), in_crds(&title, &file)));
        let (mut written, texts) = try_join(try_join_all(plain), try_join_all(renders)).await?;
        for text in texts {
            written.push(read_side_by_side(&title, &text).await?);
        }
        let mut found: IndexMap<String, Written> = IndexMap::new();
        for written in crds_only(written.concat()) {
            found.entry(written.object.metadata.name.clone().unwrap_or_default()).or_insert(written);
        }
        if found.is_empty() {
            return Err(InstallError::Nothing(format!("the chart {title} holds no CustomResourceDefinition")));
        }
        Ok(found.into_values().collect())
    }

    /// The chart on this machine: its own path, or the archive that helm has downloaded into the run's folder.
    async fn fetched(&self, source: &ChartSource, notes: &Notes) -> Result<PathBuf, InstallError> {
        if let ChartSource::Path(path) = source {
            let there = tokio::fs::metadata(path).await;
            there.map_err(|source| InstallError::Read { path: format!("the chart {}", path.display()), source })?;
            return Ok(path.clone());
        }
        let name = hex(&Sha256::digest(helm::title(source)));
        let into = self.folder.join("charts").join(name);
        let unwritten = |source| InstallError::Write { path: into.display().to_string(), source };
        tokio::fs::create_dir_all(&into).await.map_err(unwritten)?;
        notes.waiting(format!("helm fetches {}", helm::title(source)));
        self.helm.pull(source, &into).await?;
        let mut entries = tokio::fs::read_dir(&into).await.map_err(unwritten)?;
        let archive = entries.next_entry().await.map_err(unwritten)?;
        archive.map(|archive| archive.path()).ok_or_else(|| {
            InstallError::Nothing(format!("helm says to have fetched {}, but there is no file", helm::title(source)))
        })
    }

    /// Of what helm is given, and not of what it renders: a chart may make up a password at every render.
    async fn digest(&self, work: &ComponentWork, install: &HelmInstall, chart: &Path) -> Result<String, InstallError> {
        let mut hash = Sha256::new();
        let kubernetes = self.helm.kubernetes.as_deref().unwrap_or_default();
        hash.update(format!("{}\0{}\0{kubernetes}\0{:?}\0", install.release, work.namespace, install.set));
        for file in &install.values {
            let bytes = tokio::fs::read(file).await.map_err(|source| unread(file, source))?;
            hash.update(format!("{}\0", bytes.len()));
            hash.update(&bytes);
        }
        let path = chart.to_owned();
        let hashed = blocking(move || chart::digest(&path, &mut hash).map(|()| hash)).await;
        hashed.map(|hash| hex(&hash.finalize())).map_err(|source| unread(chart, source))
    }

    /// Writes down what was rendered, for people; no secret is in it.
    async fn keep(&self, work: &ComponentWork, rendered: &Rendered) -> Result<(), InstallError> {
        let file = self.folder.join(format!("{}.{}.yaml", work.key.suite, work.key.component));
        let unwritten = |source| InstallError::Write { path: file.display().to_string(), source };
        let written = rendered.crds.iter().chain(&rendered.objects).chain(&rendered.tests).map(|object| {
            let (object, secrets) = (hidden::redacted(object), self.secrets.clone());
            // What was just read from YAML can be written as YAML.
            blocking(move || Ok(serde_saphyr::to_string(&object).map(|text| secrets.mask(&text)).unwrap_or_default()))
        });
        let written = try_join_all(written).await.map_err(unwritten)?;
        let text: String = written.iter().map(|text| format!("---\n{text}\n")).collect();
        tokio::fs::create_dir_all(&self.folder).await.map_err(unwritten)?;
        tokio::fs::write(&file, text).await.map_err(unwritten)
    }
}

/// The release of a component.
pub(super) fn named<'a>(install: &'a HelmInstall, work: &'a ComponentWork) -> Named<'a> {
    Named { name: &install.release, namespace: work.namespace.as_str(), chart: helm::title(&install.chart) }
}

pub(super) fn read(of: &str, text: &str) -> Result<Vec<Written>, InstallError> {
    manifest::read(of, text).map_err(|source| InstallError::Manifest { of: of.to_owned(), source })
}

/// The same for much text: its documents are parsed off the threads that others wait on.
async fn read_side_by_side(of: &str, text: &str) -> Result<Vec<Written>, InstallError> {
    let parsed = manifest::documents(of, text).into_iter().map(|document| async move {
        let origin = document.origin.clone();
        blocking(move || Ok(document.read())).await.map_err(|source| InstallError::Read { path: origin, source })
    });
    let parsed: Result<Vec<_>, _> = try_join_all(parsed).await?.into_iter().collect();
    parsed.map(|objects| objects.concat()).map_err(|source| InstallError::Manifest { of: of.to_owned(), source })
}

async fn manifests(paths: &[PathBuf], images: &BTreeMap<String, String>) -> Result<Rendered, InstallError> {
    let mut objects: Vec<DynamicObject> = read_paths(paths).await?.into_iter().map(|written| written.object).collect();
    if objects.is_empty() {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(InstallError::Nothing(format!("there is no object in {}", paths.join(", "))));
    }
    objects.iter_mut().for_each(|object| images::replace(object, images));
    Ok(Rendered { objects, ..Rendered::default() })
}

/// What helm printed, by what becomes of it: `crds/` are ours to apply, test hooks are kept for their check, and other
/// hooks, which helm runs, to be watched while it does.
pub(super) fn sorted(written: Vec<Written>) -> Rendered {
    let mut rendered = Rendered::default();
    for Written { source, object } in written {
        match hooks(&object) {
            hooks if hooks.iter().any(|hook| hook.starts_with("test")) => rendered.tests.push(object),
            hooks if !hooks.is_empty() => rendered.hooks.push(object),
            _ if source.contains("/crds/") && !source.contains("/templates/") => rendered.crds.push(object),
            _ => rendered.objects.push(object),
        }
    }
    rendered
}

fn hooks(object: &DynamicObject) -> Vec<String> {
    let annotations = object.metadata.annotations.as_ref();
    let hooks = annotations.and_then(|all| all.get("helm.sh/hook")).map_or("", String::as_str);
    hooks.split(',').map(str::trim).filter(|hook| !hook.is_empty()).map(str::to_owned).collect()
}

fn crds_only(written: Vec<Written>) -> Vec<Written> {
    written.into_iter().filter(|one| manifest::is(&one.object, CRD_GROUP, "CustomResourceDefinition")).collect()
}

/// The objects of files and folders, in their order; parsed side by side, off the threads that others wait on.
async fn read_paths(paths: &[PathBuf]) -> Result<Vec<Written>, InstallError> {
    let each = listed(paths).await?.into_iter().map(|file| parsed(file.clone(), file.display().to_string()));
    Ok(try_join_all(each).await?.concat())
}

/// The objects of one file that people know by this name.
async fn parsed(file: PathBuf, name: String) -> Result<Vec<Written>, InstallError> {
    let text = tokio::fs::read_to_string(&file).await.map_err(|source| unread(&file, source))?;
    blocking(move || Ok(read(&name, &text))).await.map_err(|source| unread(&file, source))?
}

/// A file of a chart's `crds/`, as people name it.
fn in_crds(chart: &str, file: &Path) -> String {
    format!("{chart}/crds/{}", file.file_name().unwrap_or_default().display())
}

/// The files, and those of the folders whose ending says that they are manifests, each folder in the order of names.
async fn listed(paths: &[PathBuf]) -> Result<Vec<PathBuf>, InstallError> {
    let mut files = Vec::new();
    for path in paths {
        let about = tokio::fs::metadata(path).await.map_err(|source| unread(path, source))?;
        if !about.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut folder = tokio::fs::read_dir(path).await.map_err(|source| unread(path, source))?;
        let mut within = Vec::new();
        while let Some(entry) = folder.next_entry().await.map_err(|source| unread(path, source))? {
            within.push(entry.path());
        }
        within.retain(|file| manifest::is_named_as_one(file));
        within.sort();
        files.extend(within);
    }
    Ok(files)
}

/// The chart's own values. What cannot be read of a chart is for helm to complain about.
async fn own_values(chart: &Path) -> Value {
    let path = chart.to_owned();
    blocking(move || chart::values(&path)).await.unwrap_or_default()
}

fn unread(path: &Path, source: std::io::Error) -> InstallError {
    InstallError::Read { path: path.display().to_string(), source }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

/// Half of a digest in hexadecimal: a label takes at most 63 characters.
fn hex(digest: &[u8]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::secrets::Secrets;

    #[test]
    fn hooks_are_left_to_helm_tests_are_kept_and_crd_folders_are_ours() {
        let hook = |name: &str, hook: &str| {
            format!(
                "---\n# Source: c/templates/{name}.yaml\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  \
                     annotations: {{helm.sh/hook: '{hook}'}}\n"
            )
        };
        let plain =
            |source: &str| format!("---\n# Source: {source}\napiVersion: v1\nkind: Pod\nmetadata: {{name: plain}}\n");
        let text = [
            hook("a", "pre-install,pre-upgrade"),
            hook("b", "test"),
            hook("c", "test-success"),
            plain("c/crds/a.yaml"),
            plain("c/charts/sub/crds/a.yaml"),
            plain("c/templates/crds/a.yaml"),
            plain("c/templates/a.yaml"),
        ];
        let rendered = sorted(manifest::read("c", &text.concat()).unwrap());
        assert_eq!((rendered.objects.len(), rendered.tests.len(), rendered.crds.len()), (2, 2, 2));
        assert_eq!(rendered.hooks.len(), 1);
    }

    /// A helm that prints its arguments as a ConfigMap with a Secret beside it.
    const ECHO: &str = r#"#!/bin/sh
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: args}\ndata:\n  args: >-\n    %s\n---\n' "$*"
printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2222}\n'
"#;

    #[tokio::test]
    async fn values_are_layered_in_order_and_no_secret_reaches_the_runs_folder() {
        let place = fake::place(ECHO);
        let secrets = Secrets::default();
        let installer = place.installer(secrets.clone()).for_kubernetes("1.34.4");
        let (notes, _kept) = fake::notes();
        let rendered = installer.render(&place.work("image.tag", "a,b"), &notes).await.unwrap();
        let args = rendered.objects[0].data["data"]["args"].as_str().unwrap().to_owned();
        let at = |part: &str| args.find(part).unwrap_or_else(|| panic!("{part} is not in {args}"));
        assert!(at("one.yaml") < at("two.yaml") && at("two.yaml") < at("--set-string image.tag=a\\,b"), "{args}");
        assert!(args.contains("--include-crds") && args.contains("--kube-version 1.34.4"), "{args}");
        let kept = std::fs::read_to_string(place.folder().join("data.redis.yaml")).unwrap();
        assert!(kept.contains("password: <sensitive>") && !kept.contains("hunter"), "{kept}");
        assert_eq!(secrets.mask("hunter2222"), "<sensitive>");
    }

    #[tokio::test]
    async fn a_digest_follows_from_what_helm_is_given() {
        let place = fake::place(ECHO);
        let installer = place.installer(Secrets::default());
        let (notes, _kept) = fake::notes();
        let one = installer.render(&place.work("a", "1"), &notes).await.unwrap().digest;
        assert_eq!(one, installer.render(&place.work("a", "1"), &notes).await.unwrap().digest);
        assert_ne!(one, installer.render(&place.work("a", "2"), &notes).await.unwrap().digest);
        std::fs::write(place.folder().join("two.yaml"), "changed: true").unwrap();
        assert_ne!(one, installer.render(&place.work("a", "1"), &notes).await.unwrap().digest);
    }

    #[tokio::test]
    async fn a_chart_or_file_that_is_not_there_is_named() {
        let place = fake::place(ECHO);
        let installer = place.installer(Secrets::default());
        let (notes, _kept) = fake::notes();
        std::fs::remove_dir_all(place.folder().join("chart")).unwrap();
        let trouble = installer.render(&place.work("a", "1"), &notes).await.unwrap_err();
        assert!(trouble.headline.starts_with("cannot read the chart ") && trouble.headline.contains("No such file"));
        std::fs::remove_file(place.folder().join("one.yaml")).unwrap();
        let trouble = installer.render(&place.work("a", "1"), &notes).await.unwrap_err();
        assert!(trouble.headline.contains("one.yaml: No such file"), "{trouble:?}");
    }

    #[tokio::test]
    async fn a_value_that_the_chart_does_not_know_is_told_where_nothing_depends_on_it() {
        let script = "#!/bin/sh\nprintf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: a}\\n'\n\
                      case \"$*\" in *used=null*) ;; *) echo 'data: {a: b}' ;; esac\n";
        let place = fake::place(script);
        std::fs::write(place.folder().join("chart/values.yaml"), "a: 1").unwrap();
        std::fs::write(place.folder().join("two.yaml"), "{used: 1, repliacs: 3}").unwrap();
        let (notes, _kept) = fake::notes();
        let rendered = place.installer(Secrets::default()).render(&place.work("imgae.tag", "1"), &notes).await.unwrap();
        let told = |path: &str| {
            format!("the value {path} is not among the chart's values.yaml and changes nothing as it is set")
        };
        assert_eq!(rendered.warnings, [told("imgae"), told("repliacs")]);
    }

    #[tokio::test]
    async fn a_helm_that_fails_speaks_for_itself() {
        let place = fake::place("#!/bin/sh\necho 'Error: c/templates/a.yaml:6:19' >&2\necho '  boom' >&2\nexit 1\n");
        let (notes, _kept) = fake::notes();
        let trouble = place.installer(Secrets::default()).render(&place.work("a", "1"), &notes).await.unwrap_err();
        assert!(trouble.headline.ends_with("chart: c/templates/a.yaml:6:19 boom"), "{trouble:?}");
    }
}
