//! The `helm` program, version 3 or 4: only what both understand alike.
//!
//! Never `--wait`, `--atomic` or `--create-namespace`. A run that is stopped drops the future, which kills helm's whole
//! process group; `release` recovers what that leaves.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::InstallError;
use crate::k8s::{Access, RUN_LABEL};
use crate::process::Program;
use crate::suite::{ChartSource, HelmInstall, SingleValue};

/// Label on a release's own record: of what it was made.
pub(super) const DIGEST_LABEL: &str = "seaworthy.dev/digest";

/// How long helm waits for a hook: longer than any budget, whose end is the caller's business.
const HOOKS: &str = "24h";

/// Variables by which helm could be turned to another cluster, account or namespace than the ones it is given.
const AMBIENT: [&str; 8] = [
    "HELM_KUBEAPISERVER",
    "HELM_KUBETOKEN",
    "HELM_KUBEASUSER",
    "HELM_KUBEASGROUPS",
    "HELM_KUBECAFILE",
    "HELM_KUBECONTEXT",
    "HELM_NAMESPACE",
    "HELM_DEBUG",
];

/// The program.
#[derive(Clone, Debug)]
pub(super) struct Helm {
    path: PathBuf,
    pub(super) kubernetes: Option<String>,
}

/// A release as `upgrade -o json` prints it.
#[derive(Debug, Deserialize)]
pub(super) struct Release {
    /// Its revision.
    pub(super) version: u64,
    /// Its objects without hooks, as YAML.
    #[serde(default)]
    pub(super) manifest: String,
}

/// What is on every revision's record that we make.
pub(super) struct Mark<'a> {
    pub(super) run: &'a str,
    pub(super) digest: &'a str,
}

impl Helm {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, kubernetes: None }
    }

    /// The chart as YAML, `crds/` folders included.
    pub(super) async fn template(
        &self,
        release: &Named<'_>,
        chart: &Path,
        more: Vec<OsString>,
    ) -> Result<String, InstallError> {
        let mut program = self.program(["template", release.name]).arg(chart).arg("--include-crds").args(more);
        program = program.args(["--namespace", release.namespace]);
        if let Some(version) = &self.kubernetes {
            program = program.args(["--kube-version", version]);
        }
        let output = run(&program, &format!("render the chart {}", release.chart)).await?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Downloads a chart's archive into a folder.
    pub(super) async fn pull(&self, source: &ChartSource, into: &Path) -> Result<(), InstallError> {
        let program = match source {
            ChartSource::Path(_) => return Ok(()),
            ChartSource::Oci { reference, version } => self.program(["pull", reference, "--version", version]),
            ChartSource::Repository { url, chart, version } => {
                self.program(["pull", chart, "--repo", url, "--version", version])
            }
        };
        run(&program.arg("--destination").arg(into), &format!("fetch the chart {}", title(source))).await.map(drop)
    }

    /// Installs or upgrades, hooks included, without waiting for anything else.
    pub(super) async fn upgrade(
        &self,
        access: &Access,
        release: &Named<'_>,
        chart: &Path,
        values: Vec<OsString>,
        mark: &Mark<'_>,
    ) -> Result<Release, InstallError> {
        let labels = format!("{RUN_LABEL}={},{DIGEST_LABEL}={}", mark.run, mark.digest);
        let program = self
            .program(["upgrade", "--install", release.name])
            .arg(chart)
            .args(["--namespace", release.namespace, "--skip-crds", "--timeout", HOOKS, "--output", "json"])
            .args(["--labels", &labels])
            .args(values);
        let deed = format!("install the release {} from {}", release.name, release.chart);
        let output = run(&program.args(access.for_helm()), &deed).await?;
        serde_json::from_slice(&output)
            .map_err(|error| InstallError::Helm { deed, words: format!("its answer cannot be read ({error})") })
    }

    /// The objects of a revision, as YAML.
    pub(super) async fn manifest(&self, access: &Access, release: &Named<'_>) -> Result<String, InstallError> {
        let program = self.program(["get", "manifest", release.name, "--namespace", release.namespace]);
        let output = run(&program.args(access.for_helm()), &format!("read the release {}", release.name)).await?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// The hooks of a release, as YAML.
    pub(super) async fn hooks(&self, access: &Access, name: &str, namespace: &str) -> Result<String, InstallError> {
        let program = self.program(["get", "hooks", name, "--namespace", namespace]);
        let output = run(&program.args(access.for_helm()), &format!("read the hooks of the release {name}")).await?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Takes a release away.
    pub(super) async fn uninstall(&self, access: &Access, name: &str, namespace: &str) -> Result<(), InstallError> {
        let program = self.program(["uninstall", name, "--namespace", namespace, "--ignore-not-found"]);
        run(&program.args(access.for_helm()), &format!("uninstall the release {name}")).await.map(drop)
    }

    fn program<const N: usize>(&self, args: [&str; N]) -> Program {
        let quiet = AMBIENT.into_iter().fold(Program::new(&self.path), |program, name| program.env(name, ""));
        quiet.env("HELM_DRIVER", "secret").args(args)
    }
}

/// A release by name, with what a person would call its chart.
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    pub(super) chart: String,
}

/// The values of an install as arguments: files in their order, then single ones, of which helm may interpret the plain.
pub(super) fn values(install: &HelmInstall) -> Vec<OsString> {
    let files = install.values.iter().flat_map(|file| [OsString::from("--values"), file.clone().into()]);
    let singles = install.set.iter().flat_map(|(path, value)| match value {
        // Helm splits at commas; one within a value is its own.
        SingleValue::Text(text) => {
            ["--set-string".into(), format!("{path}={}", text.replace('\\', "\\\\").replace(',', "\\,")).into()]
        }
        SingleValue::Plain(plain) => ["--set".into(), format!("{path}={plain}").into()],
    });
    files.chain(singles).collect()
}

/// A chart's source as people write it.
pub(super) fn title(source: &ChartSource) -> String {
    match source {
        ChartSource::Path(path) => path.display().to_string(),
        ChartSource::Oci { reference, version } => format!("{reference} {version}"),
        ChartSource::Repository { url, chart, version } => format!("{chart} {version} of {url}"),
    }
}

async fn run(program: &Program, deed: &str) -> Result<Vec<u8>, InstallError> {
    let ended = program.run().await.map_err(|source| InstallError::Process { deed: deed.to_owned(), source })?;
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    Err(InstallError::Helm { deed: deed.to_owned(), words: ended.words() })
}
