//! The real world: which room does the work of which step.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::hooks::{self, Hooks};
use super::site::{About, Site};
use crate::checks::Verdict;
use crate::cluster::{Clusters, Ownership};
use crate::complaint;
use crate::events::{Ending, Evidence, Fault};
use crate::evidence::{EvidenceStore, Scene};
use crate::install::{self, Installed, Installer, Rendered};
use crate::k8s;
use crate::number::count;
use crate::plan::{CheckWork, ClusterWork, ComponentKey, ComponentWork, Step, Work};
use crate::ports::{Done, Notes, Trouble, World};
use crate::probes;
use crate::secrets::Secrets;
use crate::suite::Install;
use crate::watch::{Doom, ObjectRef, WatchError};

/// Everything that a run works with.
pub(super) struct Platform {
    pub(super) clusters: Clusters,
    pub(super) installer: Installer,
    pub(super) helm: Option<PathBuf>,
    pub(super) evidence: EvidenceStore,
    pub(super) secrets: Secrets,
    /// The run's name.
    pub(super) run: String,
    /// The run's own folder.
    pub(super) folder: PathBuf,
    /// Whether what was installed into a borrowed cluster stays there.
    pub(super) keep: bool,
    pub(super) memory: Memory,
}

/// What one step leaves for another.
#[derive(Default)]
pub(super) struct Memory {
    /// Known once the cluster is.
    site: OnceCell<Site>,
    rendered: Mutex<BTreeMap<ComponentKey, Arc<Rendered>>>,
    installed: Mutex<BTreeMap<ComponentKey, Vec<ObjectRef>>>,
    /// What helm and the API server said to each component's render and install, by file name.
    told: Mutex<BTreeMap<ComponentKey, BTreeMap<&'static str, String>>>,
    /// Set once nothing of ours is left in a borrowed cluster.
    tidied: OnceCell<()>,
}

impl World for Platform {
    async fn perform(&self, step: &Step, notes: &Notes) -> Result<Done, Trouble> {
        match &step.work {
            Work::Cluster(work) => self.raise(work, notes).await,
            Work::Render(work) => self.memory.keep(&work.key, "render.txt", self.render(work, notes).await),
            Work::Preload(work) => self.clusters.preload(&work.images, notes).await,
            Work::Install(work) => self.memory.keep(&work.key, "install.txt", self.install(work, notes).await),
            Work::Settle(work) => self.memory.settle(work, notes).await,
            Work::Endure(work) => self.memory.endure(work, notes).await,
            Work::Teardown => self.take_down(notes).await,
            Work::Budget(_) | Work::Check(_) => Err(ours(format!("{} is not performed", step.id))),
        }
    }

    async fn observe(&self, check: &CheckWork, notes: &Notes) -> Verdict {
        self.memory.observe(check, notes).await
    }

    async fn keep_evidence(&self, step: &Step, ending: &Ending, notes: &Notes) -> Option<Evidence> {
        let mut scene = Scene::default();
        if let Some(site) = self.memory.site.get() {
            scene.hub = Some(site.hub.clone());
            scene.logs = Some(site.logs.clone());
        }
        if let Work::Check(check) = &step.work {
            scene.check = Some(probes::mark(check));
        }
        if let Some((key, namespace)) = component(step) {
            scene.namespace = Some(namespace.to_owned());
            scene.objects = self.memory.installed(key);
            let told = lock(&self.memory.told).get(key).cloned().unwrap_or_default();
            scene.texts = told.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
        }
        self.evidence.keep(&step.id, ending, &notes.last(), &scene).await
    }
}

impl Memory {
    /// The same of another cluster, in which everything has been installed already.
    pub(super) fn on(&self, site: Site) -> Self {
        Self {
            site: OnceCell::new_with(Some(site)),
            rendered: Mutex::new(lock(&self.rendered).clone()),
            installed: Mutex::new(lock(&self.installed).clone()),
            ..Self::default()
        }
    }

    /// The objects of a component, as they were installed.
    pub(super) fn installed(&self, key: &ComponentKey) -> Vec<ObjectRef> {
        lock(&self.installed).get(key).cloned().unwrap_or_default()
    }

    /// The cluster.
    pub(super) fn site(&self) -> Result<&Site, Trouble> {
        self.site.get().ok_or_else(|| ours("there is no cluster to work on"))
    }

    /// One look of a check.
    pub(super) async fn observe(&self, check: &CheckWork, notes: &Notes) -> Verdict {
        match self.site.get() {
            Some(site) => site.prober.observe(check, notes).await,
            None => Verdict::unclear("there is no cluster to look at"),
        }
    }

    /// Waits until what was installed is ready.
    pub(super) async fn settle(&self, work: &ComponentWork, notes: &Notes) -> Result<Done, Trouble> {
        let site = self.site()?;
        let objects = self.installed(&work.key);
        if let Install::Crds { .. } = work.install {
            // An established kind is not yet one that answers: its storage is built at the first request.
            return install::await_served(&site.target.client, &self.rendered(&work.key)?.objects, notes).await;
        }
        site.hub.catch_up(&objects).await;
        settled(site.hub.settle(&objects, notes).await)
    }

    /// Looks once more whether it still is. Jobs are left out: they have ended.
    pub(super) async fn endure(&self, work: &ComponentWork, notes: &Notes) -> Result<Done, Trouble> {
        let mut objects = self.installed(&work.key);
        objects.retain(|object| object.resource.kind != "Job");
        settled(self.site()?.hub.endure(&objects, notes).await)
    }

    fn rendered(&self, key: &ComponentKey) -> Result<Arc<Rendered>, Trouble> {
        let rendered = lock(&self.rendered).get(key).cloned();
        rendered.ok_or_else(|| ours(format!("{key} was not rendered")))
    }

    /// Keeps what was said, for the evidence of whatever of the component ends red.
    fn keep(&self, key: &ComponentKey, name: &'static str, end: Result<Done, Trouble>) -> Result<Done, Trouble> {
        let (headline, more) = match &end {
            Ok(done) => (&done.saw, &done.warnings),
            Err(trouble) => (&trouble.headline, &trouble.details),
        };
        let text = std::iter::once(headline).chain(more).map(|line| format!("{line}\n")).collect();
        lock(&self.told).entry(key.clone()).or_default().insert(name, text);
        end
    }
}

impl Platform {
    async fn raise(&self, work: &ClusterWork, notes: &Notes) -> Result<Done, Trouble> {
        let raised = self.clusters.raise(work, notes).await?;
        let helm = self.helm.as_deref();
        let about = About { run: &self.run, folder: &self.folder, helm, secrets: &self.secrets };
        let site = Site::open(&raised, about).await?;
        if self.memory.site.set(site).is_err() {
            return Err(ours("the cluster was provided twice"));
        }
        Ok(raised.done)
    }

    async fn render(&self, work: &ComponentWork, notes: &Notes) -> Result<Done, Trouble> {
        let rendered = self.installer.render(work, notes).await?;
        let done = Done { saw: count(rendered.objects.len(), "object"), warnings: rendered.warnings.clone() };
        lock(&self.memory.rendered).insert(work.key.clone(), Arc::new(rendered));
        Ok(done)
    }

    async fn install(&self, work: &ComponentWork, notes: &Notes) -> Result<Done, Trouble> {
        let site = self.memory.site()?;
        let rendered = self.memory.rendered(&work.key)?;
        // Before anything starts, so that the first line of its log is heard, and a Job that goes when it is done is seen.
        site.logs.follow(work.namespace.as_str());
        let _windows = hooks::windows(&site.hub, &rendered.objects, work.namespace.as_str());
        let hooks = Hooks::before(&site.hub, &rendered.hooks, work.namespace.as_str()).await;
        let Installed { done, objects } = tokio::select! {
            installed = self.installer.install(work, &rendered, &site.target, notes) => installed?,
            // Ends helm, which would wait for a hook that never starts until the time is up.
            doom = hooks.doomed(&site.hub) => {
                return Err(Trouble::platform(format!("hook {}", doom.why)).with(doom.details));
            }
        };
        lock(&self.memory.installed).insert(work.key.clone(), objects);
        Ok(done)
    }

    async fn take_down(&self, notes: &Notes) -> Result<Done, Trouble> {
        let (mut left, mut warnings) = (Vec::new(), Vec::new());
        if let Some(site) = self.memory.site.get() {
            let borrowed = site.ownership == Ownership::Borrowed;
            // What is in the servers of a cluster that is removed goes with it.
            if borrowed || self.keep {
                left.extend(site.prober.finish().await);
                warnings = site.prober.left();
            }
            if borrowed || !self.keep {
                left.extend(site.prober.clean().await);
            }
            if borrowed && !self.keep {
                let installed = lock(&self.memory.installed).values().flatten().cloned().collect::<Vec<_>>();
                let removed = self.installer.remove(&site.target, &installed, notes).await;
                left.extend(
                    removed.err().into_iter().flat_map(|trouble| [vec![trouble.headline], trouble.details].concat()),
                );
            }
        }
        let mut done = self.clusters.lower(notes).await?;
        let of_ours = warnings.into_iter().map(|what| format!("something of ours was left behind: {what}"));
        done.warnings.extend(of_ours);
        if left.is_empty() {
            self.memory.tidied.set(()).ok();
            return Ok(done);
        }
        let headline = format!("left behind: {}", left[0]);
        Err(Trouble::environment(headline).with(left.into_iter().chain(done.warnings)))
    }

    /// What is still there after a run whose teardown did not come to its end, and how to remove it.
    pub(super) fn left_behind(&self) -> Option<String> {
        if let Some(name) = self.clusters.held_name() {
            return Some(format!("left behind: cluster {name}; remove it with: seaworthy cluster down {name}"));
        }
        let site = self.memory.site.get()?;
        let (borrowed, tidied) = (site.ownership == Ownership::Borrowed, self.memory.tidied.get().is_some());
        let mark = format!("{}={}", k8s::RUN_LABEL, self.run);
        (borrowed && !tidied && !self.keep).then(|| {
            format!("left behind: what has the label {mark}; find it with: kubectl get secrets,all,ns -A -l {mark}")
        })
    }
}

fn settled(settled: Result<Result<String, Doom>, WatchError>) -> Result<Done, Trouble> {
    match settled {
        Ok(Ok(saw)) => Ok(Done::saying(saw)),
        Ok(Err(doom)) => Err(Trouble::platform(doom.why).with(doom.details)),
        Err(error) => Err(Trouble::environment(complaint::chain(&error))),
    }
}

fn component(step: &Step) -> Option<(&ComponentKey, &str)> {
    match &step.work {
        Work::Render(work) | Work::Install(work) | Work::Settle(work) | Work::Endure(work) => {
            Some((&work.key, work.namespace.as_str()))
        }
        Work::Check(work) => Some((&work.key, work.namespace.as_str())),
        Work::Cluster(_) | Work::Preload(_) | Work::Budget(_) | Work::Teardown => None,
    }
}

fn ours(headline: impl Into<String>) -> Trouble {
    Trouble { fault: Fault::Ourselves, headline: headline.into(), details: Vec::new() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
