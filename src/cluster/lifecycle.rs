//! From the wish for a cluster to one that is usable, and back to nothing.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::images::Loader;
use super::maker::{Maker, MakerError, Order};
use super::record::{Claim, Record, Shelf};
use super::{Borrowing, Flavour, Place, usable};
use crate::complaint;
use crate::k8s::{self, Access};
use crate::number::count;
use crate::plan::ClusterWork;
use crate::ports::{Done, Notes, Trouble};
use crate::process;
use crate::rehearsal::{self, Rehearsal};
use crate::tools::Equipment;

/// What every cluster made here is called first.
pub(super) const PREFIX: &str = "seaworthy-";

/// How long removing a cluster may take; the tools have no bound of their own.
const REMOVAL: Duration = Duration::from_secs(120);

/// How often it is tried.
const REMOVALS: u32 = 6;

/// Where a run's cluster comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterKind {
    /// Made with kind.
    Kind,
    /// Made with k3d.
    K3d,
    /// Somebody else's.
    Borrowed(Borrowing),
    /// An embedded one, in which nothing is real.
    Rehearsal,
}

/// What the user wants.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where the cluster comes from.
    pub kind: ClusterKind,
    /// The run's name; the cluster is `seaworthy-<run>`.
    pub run: String,
    /// Whether a cluster that is made outlives the run.
    pub keep: bool,
    /// Whether a kept cluster of the same making is used, and one that must be made is kept.
    pub reuse: bool,
    /// Folder of the default configurations: `default.yaml` for kind, `k3d.yaml` for k3d. Those of this program serve
    /// where it has none.
    pub configs: PathBuf,
    /// Folders for files.
    pub folders: Folders,
}

/// Folders for files.
#[derive(Clone, Debug)]
pub struct Folders {
    /// What must survive the process: `$XDG_STATE_HOME/seaworthy`.
    pub state: PathBuf,
    /// The run's own; it exists.
    pub run: PathBuf,
}

/// Whose the cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Made here: removed whole.
    Ours,
    /// Somebody else's: what was installed must be uninstalled, and the cluster is left.
    Borrowed,
}

/// A usable cluster.
#[derive(Clone, Debug)]
pub struct Raised {
    /// How to reach it.
    pub access: Access,
    /// Whose it is.
    pub ownership: Ownership,
    /// How many times faster than everywhere else time passes in it.
    pub tempo: u32,
    /// What was done.
    pub done: Done,
}

/// The clusters of this machine, and the one of this run.
#[derive(Debug)]
pub struct Clusters {
    pub(super) options: ClusterOptions,
    pub(super) equipment: Equipment,
    pub(super) shelf: Shelf,
    held: Mutex<Option<Held>>,
    rehearsal: Mutex<Option<Rehearsal>>,
    pub(super) loader: Loader,
}

/// The cluster that this run has made or taken.
#[derive(Debug)]
struct Held {
    claim: Claim,
    maker: Maker,
    reused: bool,
    usable: bool,
}

/// What a cluster is made of.
struct Recipe {
    config: PathBuf,
    image: Option<String>,
    nodes: usize,
    digest: String,
}

impl Held {
    fn name(&self) -> &str {
        &self.claim.record.name
    }

    /// Whether it outlives the run: not where it was never usable, unless it was there before the run.
    const fn stays(&self) -> bool {
        self.claim.record.keep && (self.usable || self.reused)
    }
}

impl Clusters {
    /// Nothing happens before a cluster is asked for.
    #[must_use]
    pub fn new(options: ClusterOptions, equipment: Equipment) -> Self {
        let shelf = Shelf::new(&options.folders.state);
        Self {
            options,
            equipment,
            shelf,
            held: Mutex::default(),
            rehearsal: Mutex::default(),
            loader: Loader::default(),
        }
    }

    /// Provides a usable cluster. Bounded by the caller.
    ///
    /// # Errors
    /// A trouble of the environment, in the tool's own words, with what was left behind; [`Clusters::lower`] removes it.
    pub async fn raise(&self, work: &ClusterWork, notes: &Notes) -> Result<Raised, Trouble> {
        match &self.options.kind {
            ClusterKind::Kind => self.provide(Flavour::Kind, work, notes).await,
            ClusterKind::K3d => self.provide(Flavour::K3d, work, notes).await,
            ClusterKind::Borrowed(borrowing) => {
                borrow(borrowing, notes).await.map_err(|trouble| trouble.with(self.another_way(borrowing)))
            }
            ClusterKind::Rehearsal => self.rehearse(notes).await,
        }
    }

    /// Begins a rehearsal. Chance is another in each run, so that suites meet the races of real clusters.
    async fn rehearse(&self, notes: &Notes) -> Result<Raised, Trouble> {
        let seed = u64::from_str_radix(&self.options.run, 16).unwrap_or(1);
        let rehearsal = Rehearsal::begin(seed).await;
        let rehearsal = rehearsal.map_err(|error| Trouble::environment(complaint::chain(&error)))?;
        let access = Access::Kubeconfig { file: rehearsal.kubeconfig(), context: None };
        let client = k8s::client(&access).await.map_err(|error| Trouble::environment(complaint::chain(&error)))?;
        usable::made(&client, 1, notes).await?;
        let done = Done::saying(format!("rehearsal at {}: nothing in it is real", rehearsal.address()));
        *self.rehearsal.lock().unwrap_or_else(PoisonError::into_inner) = Some(rehearsal);
        Ok(Raised { access, ownership: Ownership::Ours, tempo: rehearsal::TEMPO, done })
    }

    /// The rehearsal that [`Clusters::raise`] began, which from now on is the caller's to end.
    #[must_use]
    pub fn rehearsal(&self) -> Option<Rehearsal> {
        self.rehearsal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Removes the cluster that [`Clusters::raise`] made, or half made, unless it is to be kept. Once done, doing it
    /// again does nothing. A borrowed cluster is left alone.
    ///
    /// # Errors
    /// Where it is still there afterwards; its record stays, so that [`Clusters::down`] can try again.
    pub async fn lower(&self, notes: &Notes) -> Result<Done, Trouble> {
        let held = self.lock().as_ref().map(|held| (held.maker.clone(), held.name().to_owned(), held.stays()));
        let Some((maker, name, stays)) = held else {
            return Ok(Done::saying(match &self.options.kind {
                ClusterKind::Kind | ClusterKind::K3d => "no cluster of this run is left".to_owned(),
                ClusterKind::Borrowed(borrowing) => format!("{} is left as it is", borrowing.place),
                ClusterKind::Rehearsal => {
                    drop(self.rehearsal.lock().unwrap_or_else(PoisonError::into_inner).take());
                    "the rehearsal is over".to_owned()
                }
            }));
        };
        if stays {
            drop(self.lock().take());
            let reach = format!("export KUBECONFIG={}", self.shelf.kubeconfig(&name).display());
            return Ok(Done::saying(format!("kept {name}\n{reach}\nseaworthy cluster down {name}")));
        }
        notes.waiting(format!("cluster {name} to be removed"));
        self.remove(&maker, &name).await?;
        // Held until here: a removal that failed or was cut off can be asked for again.
        if let Some(held) = self.lock().take() {
            self.shelf.release(&held.claim)?;
        }
        Ok(Done::saying(format!("removed {name}")))
    }

    /// The cluster that this run has made, or half made, and neither removed nor kept.
    #[must_use]
    pub fn held_name(&self) -> Option<String> {
        self.lock().as_ref().map(|held| held.name().to_owned())
    }

    /// Removes a cluster and sees that it is gone.
    pub(super) async fn remove(&self, maker: &Maker, name: &str) -> Result<(), Trouble> {
        let kubeconfig = self.shelf.kubeconfig(name);
        // A tool that outlived its run would go on making what is removed here.
        process::end_orphans(kubeconfig.as_os_str());
        let removal = async {
            for again in 1..=REMOVALS {
                let deleted = maker.delete(name, &kubeconfig).await;
                // What counts is whether it is there, not what the tool says.
                if !maker.names().await?.contains(name) {
                    return Ok(true);
                }
                if again == REMOVALS {
                    return deleted.map(|()| false);
                }
                // An engine that was stopped while it made a node finishes it all the same.
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Ok(false)
        };
        let still = |why: &str| Trouble::environment(format!("cluster {name} is still there: {why}"));
        match tokio::time::timeout(REMOVAL, removal).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(still(&format!("{} said that it removed it", maker.flavour()))),
            Ok(Err(error)) => Err(error.during(&format!("cluster {name} is still there"))),
            Err(_) => Err(still(&format!("{} did not end within {REMOVAL:?}", maker.flavour()))),
        }
        .map_err(|trouble| trouble.with([format!("try again with: seaworthy cluster down {name}")]))
    }

    /// The maker and the name of this run's cluster, once it is usable.
    pub(super) fn usable(&self) -> Option<(Maker, String)> {
        let held = self.lock();
        held.as_ref().filter(|held| held.usable).map(|held| (held.maker.clone(), held.name().to_owned()))
    }

    async fn provide(&self, flavour: Flavour, work: &ClusterWork, notes: &Notes) -> Result<Raised, Trouble> {
        let Some(maker) = Maker::of(flavour, &self.equipment) else {
            return Err(Trouble::environment(format!("{flavour} or a container engine is missing")));
        };
        let recipe = self.recipe(&maker, work)?;
        let kept = if self.options.reuse { self.kept(&maker, &recipe).await? } else { Err(Vec::new()) };
        let (name, saw, passed_over) = match kept {
            Ok(claim) => (self.reuse(claim, &maker).await?, "reused", Vec::new()),
            Err(passed_over) => (self.make(&maker, &recipe, notes).await?, "made", passed_over),
        };
        let access = Access::Kubeconfig { file: self.shelf.kubeconfig(&name), context: None };
        let client = k8s::client(&access).await.map_err(|error| Trouble::environment(complaint::chain(&error)))?;
        let (gate, leftovers) = tokio::join!(usable::made(&client, recipe.nodes, notes), self.leftovers());
        gate?;
        if let Some(held) = self.lock().as_mut() {
            held.usable = true;
        }
        let mut done = Done::saying(format!("{saw} {name} with {}, {}", maker.title(), count(recipe.nodes, "node")));
        done.warnings = passed_over.into_iter().chain(leftovers).collect();
        Ok(Raised { access, ownership: Ownership::Ours, tempo: 1, done })
    }

    /// Records a new cluster, then makes it.
    async fn make(&self, maker: &Maker, recipe: &Recipe, notes: &Notes) -> Result<String, Trouble> {
        let name = format!("{PREFIX}{}", self.options.run);
        let record = Record {
            name: name.clone(),
            flavour: maker.flavour(),
            run: self.options.run.clone(),
            pid: std::process::id(),
            created: Timestamp::now(),
            // Not before it is whole: what a killed run has half made is nobody's to use again.
            keep: false,
            digest: recipe.digest.clone(),
        };
        let claim = self.shelf.claim(record)?;
        self.hold(Held { claim, maker: maker.clone(), reused: false, usable: false });
        let kubeconfig = self.shelf.kubeconfig(&name);
        let order =
            Order { name: &name, config: &recipe.config, image: recipe.image.as_deref(), kubeconfig: &kubeconfig };
        if let Err(error) = maker.create(&order, notes).await {
            return Err(uncreated(maker, &name, error).await);
        }
        if (self.options.keep || self.options.reuse)
            && let Some(held) = self.lock().as_mut()
        {
            held.claim.keep()?;
        }
        Ok(name)
    }

    /// A kept cluster of the same making that no run uses; where there is none, why each other one is not it.
    async fn kept(&self, maker: &Maker, recipe: &Recipe) -> Result<Result<Claim, Vec<String>>, Trouble> {
        let names = maker.names().await?;
        let mut passed_over = Vec::new();
        for (record, _) in self.shelf.records()? {
            let name = &record.name;
            if !record.keep || record.flavour != maker.flavour() || !names.contains(name) {
                continue;
            }
            let why = if record.digest != recipe.digest {
                format!(
                    "it was made of another configuration or node image; remove it with: seaworthy cluster down {name}"
                )
            } else if let Some(claim) = self.shelf.reclaim(name)? {
                return Ok(Ok(claim));
            } else {
                // Taken, or removed, since the list was read at the latest.
                "another run uses it".to_owned()
            };
            passed_over.push(format!("{name} is not reused: {why}"));
        }
        Ok(Err(passed_over))
    }

    async fn reuse(&self, mut claim: Claim, maker: &Maker) -> Result<String, Trouble> {
        claim.used_by(std::process::id())?;
        let name = claim.record.name.clone();
        // A helm that outlived its run would go on writing to what this run installs.
        process::end_orphans(self.shelf.kubeconfig(&name).as_os_str());
        self.hold(Held { claim, maker: maker.clone(), reused: true, usable: false });
        // After the engine was restarted, the API server may be at another port.
        maker.write_kubeconfig(&name, &self.shelf.kubeconfig(&name)).await?;
        Ok(name)
    }

    /// Where a context is that of a cluster which a run made. The tools put their name before the cluster's.
    fn another_way(&self, borrowing: &Borrowing) -> Option<String> {
        let Place::Context { name, .. } = &borrowing.place else { return None };
        let name = ["kind-", "k3d-"].into_iter().find_map(|tool| name.strip_prefix(tool))?;
        let records = self.shelf.records().ok()?;
        let is_ours = records.iter().any(|(record, _)| record.name == name);
        is_ours.then(|| format!("a run of this program made {name}: --reuse in place of --context uses it again"))
    }

    fn hold(&self, held: Held) {
        *self.lock() = Some(held);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recipe(&self, maker: &Maker, work: &ClusterWork) -> Result<Recipe, Trouble> {
        let (default, built_in) = match maker.flavour() {
            Flavour::Kind => ("default.yaml", include_str!("../../kind-configs/default.yaml")),
            Flavour::K3d => ("k3d.yaml", include_str!("../../kind-configs/k3d.yaml")),
        };
        let named = work.environment.cluster_config.clone();
        let mut config = named.clone().unwrap_or_else(|| self.options.configs.join(default));
        if named.is_none() && !config.exists() {
            // Suites of one's own need not come with a configuration.
            config = self.options.folders.run.join(default);
            let written =
                std::fs::create_dir_all(&self.options.folders.run).and_then(|()| std::fs::write(&config, built_in));
            written.map_err(|error| Trouble::environment(format!("cannot write {}: {error}", config.display())))?;
        }
        let unusable = |why: String| {
            Trouble::environment(format!("cannot use the cluster configuration {}: {why}", config.display()))
        };
        let text = std::fs::read_to_string(&config).map_err(|error| unusable(error.to_string()))?;
        let nodes = maker.flavour().nodes(&text).map_err(&unusable)?;
        let image = work.environment.node_image.clone();
        // Where no image is named the tool's version decides on it.
        let base = image.clone().unwrap_or_else(|| maker.title());
        Ok(Recipe { digest: digest(&[maker.flavour().tool().name(), &text, &base]), config, image, nodes })
    }
}

async fn borrow(borrowing: &Borrowing, notes: &Notes) -> Result<Raised, Trouble> {
    let access = borrowing.locate().map_err(|missing| Trouble::environment(missing.what).with([missing.remedy]))?;
    let client = k8s::client(&access).await.map_err(|error| Trouble::environment(complaint::chain(&error)))?;
    usable::borrowed(&client, notes).await?;
    let done = Done::saying(borrowing.admit(&client).await?);
    Ok(Raised { access, ownership: Ownership::Borrowed, tempo: 1, done })
}

/// Why a cluster was not made, and what there is of it.
async fn uncreated(maker: &Maker, name: &str, error: MakerError) -> Trouble {
    let left = match maker.names().await {
        Ok(names) if names.contains(name) => format!("left behind: cluster {name}, which the teardown removes"),
        Ok(_) => "nothing was left behind".to_owned(),
        Err(_) => format!("whether anything of cluster {name} was left behind could not be seen"),
    };
    error.during(&format!("{} could not create cluster {name}", maker.title())).with([left])
}

/// Each part with its length first, so that no two lists of parts read the same.
fn digest(parts: &[&str]) -> String {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update(part.len().to_le_bytes());
        sum.update(part);
    }
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
