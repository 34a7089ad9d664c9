//! Putting a component's objects into a cluster: helm releases, manifests, and CRDs taken out of charts.
//!
//! - Purpose: [`Installer::render`] turns a source into objects without a cluster, so a broken chart is red before one
//!   exists; [`Installer::install`] brings them in and says which they are; [`Installer::remove`] takes them out again.
//! - Never: wait until anything is ready (no `--wait`, no `--atomic`: readiness is `watch`'s business), or touch what
//!   already is as it should be: installing twice changes nothing and says so.
//! - Why helm as a child: there is no other renderer of charts, and releases must stay what helm's users expect.

mod apply;
mod chart;
mod claims;
mod conceded;
mod crds;
mod drift;
mod error;
#[cfg(test)]
mod fake;
mod helm;
mod hidden;
mod images;
mod release;
mod remove;
mod render;
mod values;

use std::path::PathBuf;

use kube::api::DynamicObject;

pub use self::crds::await_served;
use self::error::InstallError;
use self::helm::Helm;
use crate::k8s::Access;
use crate::plan::ComponentWork;
use crate::ports::{Done, Notes, Trouble};
use crate::secrets::Secrets;
use crate::suite::Install;
use crate::watch::ObjectRef;

/// Installs the components of one run.
#[derive(Clone, Debug)]
pub struct Installer {
    helm: Helm,
    run: String,
    folder: PathBuf,
    secrets: Secrets,
}

/// The cluster that is installed into.
#[derive(Clone)]
pub struct Target {
    /// For helm, which makes its own connection.
    pub access: Access,
    /// For everything else.
    pub client: kube::Client,
    /// Whether nobody but this run works on it.
    pub exclusive: bool,
}

/// A component's source as objects.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// What will be in the cluster; hooks are not part of it.
    pub objects: Vec<DynamicObject>,
    /// The chart's test hooks, for `helm-test`.
    pub tests: Vec<DynamicObject>,
    /// The hooks that helm runs while it installs, and waits for.
    pub hooks: Vec<DynamicObject>,
    /// What a reader should know although it went well.
    pub warnings: Vec<String>,
    /// Of everything that decides what a release installs: two renders with one digest install the same. Empty for what
    /// is compared object by object.
    pub digest: String,
    /// The objects of the charts' `crds/` folders, which helm would install once and never upgrade.
    crds: Vec<DynamicObject>,
    /// The chart on this machine, where there is one.
    chart: Option<PathBuf>,
}

/// An install that went well.
#[derive(Clone, Debug)]
pub struct Installed {
    /// What came of it, for the report.
    pub done: Done,
    /// What is to become ready.
    pub objects: Vec<ObjectRef>,
}

impl Installer {
    /// `helm` is a checked binary (3.18 or newer); `folder` takes what was rendered, without its secrets; `run` is on
    /// everything that is created.
    #[must_use]
    pub const fn new(helm: PathBuf, run: String, folder: PathBuf, secrets: Secrets) -> Self {
        Self { helm: Helm::new(helm), run, folder, secrets }
    }

    /// Renders charts for this version of Kubernetes (`1.34.4`) in place of the one that helm was built with.
    #[must_use]
    pub fn for_kubernetes(mut self, version: impl Into<String>) -> Self {
        self.helm.kubernetes = Some(version.into());
        self
    }

    /// Turns the component's source into objects. Needs no cluster.
    ///
    /// # Errors
    /// A missing chart or file, a chart that does not render, values that break its schema, text that is no object: in
    /// helm's or the parser's own words.
    pub async fn render(&self, work: &ComponentWork, notes: &Notes) -> Result<Rendered, Trouble> {
        self.rendered(work, notes).await.map_err(|error| error.trouble(&self.secrets))
    }

    /// Brings the rendered objects into the cluster.
    ///
    /// # Errors
    /// In helm's or the API server's own words; the platform is at fault where admission or a hook refused, or a release
    /// was changed and cannot be put back, the environment otherwise.
    pub async fn install(
        &self,
        work: &ComponentWork,
        rendered: &Rendered,
        cluster: &Target,
        notes: &Notes,
    ) -> Result<Installed, Trouble> {
        self.installed(work, rendered, cluster, notes).await.map_err(|error| error.trouble(&self.secrets))
    }

    /// Takes away what this run created in a cluster that stays: its releases with their hooks, then the objects it has
    /// applied and the claims that StatefulSets among `installed` have had made, then its namespaces; waits until they are
    /// gone. Bounded by the caller.
    ///
    /// # Errors
    /// What is left, a line each, the first as the headline; the rest was removed all the same.
    pub async fn remove(&self, cluster: &Target, installed: &[ObjectRef], notes: &Notes) -> Result<Done, Trouble> {
        let (done, left) = remove::everything(self, cluster, installed, notes).await;
        let mut left = left.iter().map(|error| error.trouble(&self.secrets).headline);
        match left.next() {
            None => Ok(done),
            Some(first) => Err(Trouble::environment(first).with(left)),
        }
    }

    async fn installed(
        &self,
        work: &ComponentWork,
        rendered: &Rendered,
        cluster: &Target,
        notes: &Notes,
    ) -> Result<Installed, InstallError> {
        let applier = apply::Applier::new(cluster, work.namespace.as_str(), &self.run, notes);
        match &work.install {
            Install::Helm(install) => release::install(self, &applier, install, rendered, cluster).await,
            Install::Manifests { .. } => {
                applier.namespace().await?;
                applier.apply(&rendered.objects).await
            }
            Install::Crds { .. } => crds::install(&applier, &rendered.objects).await,
            Install::Provided { by } => {
                Ok(Installed { done: Done::saying(format!("provided by {by}")), objects: Vec::new() })
            }
        }
    }
}
