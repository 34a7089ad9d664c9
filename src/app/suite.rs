//! The main job: a plan, a world, a run, its reports.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::world::{Memory, Platform};
use super::{ENVIRONMENT, WRONG, catalog, folders, output, reports, required, signals};
use crate::cli::{self, Cli, SuiteArgs};
use crate::cluster::{self, Borrowing, ClusterKind, ClusterOptions, Clusters, Folders, Place};
use crate::engine::{self, RunOptions, Usage};
use crate::events::REHEARSAL;
use crate::evidence::EvidenceStore;
use crate::install::Installer;
use crate::k8s;
use crate::plan::{self, Extent, Plan, Selection, Suites, Work};
use crate::report::Reports;
use crate::secrets::Secrets;
use crate::suite::{Catalog, Install};
use crate::tools::{Equipment, Tool, Toolbox};

/// Prints the plan.
pub(super) fn dry_run(cli: &Cli, arguments: &SuiteArgs) -> u8 {
    match kind(arguments).and_then(|_| planned(cli, arguments)) {
        Ok((_, plan)) => output::say(&plan::outline(&plan)),
        Err(code) => code,
    }
}

/// Runs the plan.
pub(super) async fn run(cli: &Cli, arguments: &SuiteArgs) -> u8 {
    reports::remove_former(arguments.junit.iter().chain(&arguments.transcript));
    match prepare(cli, arguments).await {
        Ok((ready, reports)) => ready.run(arguments, reports).await,
        Err(code) => code,
    }
}

fn planned(cli: &Cli, arguments: &SuiteArgs) -> Result<(Catalog, Plan), u8> {
    let selection = Selection {
        suites: Suites::of(&arguments.names),
        selector: catalog::selector(arguments.selector.as_ref())?,
        extent: match (arguments.only, arguments.installed) {
            (_, true) => Extent::Installed,
            (true, false) => Extent::Only,
            (false, false) => Extent::WithNeeds,
        },
        components: arguments.components.clone(),
        checks: arguments.checks.clone(),
        requirements: arguments.requirements.clone(),
    };
    selected(cli, &selection, arguments.node_image.as_ref())
}

fn selected(cli: &Cli, selection: &Selection, node_image: Option<&String>) -> Result<(Catalog, Plan), u8> {
    let mut catalog = catalog::read(cli)?;
    if let Some(image) = node_image {
        catalog.environment.node_image = Some(image.clone());
    }
    match plan::plan(&catalog, selection) {
        Ok(plan) => Ok((catalog, plan)),
        Err(error) => Err(catalog::unplanned(&error)),
    }
}

/// Finds everything that bringing a selection up on a rehearsal needs; what that leaves goes into the folder.
pub(super) async fn rehearsed(cli: &Cli, selection: &Selection, folder: &Path) -> Result<Ready, u8> {
    let (catalog, plan) = selected(cli, selection, None)?;
    let kind = ClusterKind::Rehearsal;
    let equipment = equipped(&toolbox(), &kind, &plan, &catalog).await?;
    let (folder, run, configs) = (folder.to_owned(), name_of_run(), configs(cli));
    Ok(Ready { catalog, plan, run, folder, kind, configs, equipment })
}

/// Everything that a run needs, found.
pub(super) struct Ready {
    catalog: Catalog,
    pub(super) plan: Plan,
    run: String,
    folder: PathBuf,
    kind: ClusterKind,
    /// The folder of cluster configurations, beside the one of suites.
    configs: PathBuf,
    equipment: Equipment,
}

async fn prepare(cli: &Cli, arguments: &SuiteArgs) -> Result<(Ready, Reports), u8> {
    let (catalog, plan) = planned(cli, arguments)?;
    let toolbox = toolbox();
    let mut kind = kind(arguments)?;
    if kind == ClusterKind::Kind && may_fall_back(arguments) && !toolbox.has_engine().await {
        kind = ClusterKind::Rehearsal;
    }
    let equipment = equipped(&toolbox, &kind, &plan, &catalog).await.inspect_err(|_| {
        if kind == ClusterKind::Kind && may_fall_back(arguments) {
            output::remark("a rehearsal needs no engine and no kind, and tests nothing real: --cluster rehearsal");
        }
    })?;
    let cannot = |why: String| {
        // A report that was opened and will hold nothing.
        reports::remove_former(arguments.junit.iter().chain(&arguments.transcript));
        output::complain(&why, &[]);
        ENVIRONMENT
    };
    // Before the folder: a run that cannot report does not leave one behind.
    let reports = reports::open(cli, arguments).map_err(cannot)?;
    let run = name_of_run();
    let name = if kind == ClusterKind::Rehearsal { format!("{run}-{REHEARSAL}") } else { run.clone() };
    let folder = folder(&arguments.out, &name).map_err(cannot)?;
    let ready = Ready { catalog, plan, run, folder, kind, configs: configs(cli), equipment };
    Ok((ready, reports))
}

fn configs(cli: &Cli) -> PathBuf {
    cli.suites.parent().unwrap_or(Path::new("")).join("kind-configs")
}

fn toolbox() -> Toolbox {
    Toolbox { path: std::env::var_os("PATH").unwrap_or_default(), cache: folders::cache() }
}

/// The tools that a plan needs; says what is missing.
async fn equipped(toolbox: &Toolbox, kind: &ClusterKind, plan: &Plan, catalog: &Catalog) -> Result<Equipment, u8> {
    let missing = required::missing(&catalog.environment);
    let equipment = cluster::preflight(toolbox, kind, tools(plan), missing, &output::remark).await;
    equipment.map_err(|trouble| {
        output::complain(&trouble.headline, &trouble.details);
        ENVIRONMENT
    })
}

/// Whether a rehearsal will do where no container engine answers: not where something is asked for that only a real
/// cluster has.
const fn may_fall_back(arguments: &SuiteArgs) -> bool {
    let asks_for_more = arguments.reuse || arguments.keep || arguments.node_image.is_some();
    arguments.cluster.is_none() && !(arguments.real || arguments.sign_off || asks_for_more)
}

/// What is wanted of a cluster and no rehearsal has.
fn refuse_to_rehearse(arguments: &SuiteArgs) -> Result<ClusterKind, &'static str> {
    if arguments.real {
        return Err("--real and --cluster rehearsal exclude each other");
    }
    if arguments.sign_off {
        return Err("--sign-off needs a real cluster: in a rehearsal nothing real is tested");
    }
    if arguments.keep || arguments.reuse || arguments.node_image.is_some() {
        return Err(
            "a rehearsal ends with its run and has no nodes of its own: leave out --keep, --reuse and --node-image",
        );
    }
    Ok(ClusterKind::Rehearsal)
}

/// Which cluster the command line asks for, or else the surroundings.
fn kind(arguments: &SuiteArgs) -> Result<ClusterKind, u8> {
    use cli::ClusterKind::{Context, InCluster, K3d, Kind, Rehearsal};
    let borrowed = |place| ClusterKind::Borrowed(Borrowing { place, confirmed: arguments.yes_this_cluster.clone() });
    let kind = match (arguments.cluster, arguments.context.clone()) {
        (None | Some(Context), Some(name)) => {
            Ok(borrowed(Place::Context { name, files: folders::kubeconfigs(arguments.kubeconfig.clone()) }))
        }
        (Some(InCluster), None) => Ok(borrowed(Place::Here)),
        (None, None) if k8s::service_account().is_ok() => Ok(borrowed(Place::Here)),
        (None | Some(Kind | K3d | Rehearsal), None) if arguments.yes_this_cluster.is_some() => {
            Err("--yes-this-cluster confirms a cluster that exists; name it with --context")
        }
        (None | Some(Kind), None) => Ok(ClusterKind::Kind),
        (Some(K3d), None) => Ok(ClusterKind::K3d),
        (Some(Rehearsal), None) => refuse_to_rehearse(arguments),
        (Some(Context), None) => Err("--cluster context needs --context NAME"),
        (Some(Kind | K3d | InCluster | Rehearsal), Some(_)) => {
            Err("--context names a cluster that exists; leave --cluster out")
        }
    };
    kind.map_err(|why| {
        output::complain(why, &[]);
        WRONG
    })
}

/// What the plan's installs need: helm renders charts, and releases are read with it.
fn tools(plan: &Plan) -> BTreeSet<Tool> {
    let needs_helm = |work: &Work| match work {
        Work::Render(work) => match &work.install {
            Install::Helm(_) => true,
            Install::Crds { charts, .. } => !charts.is_empty(),
            Install::Manifests { .. } | Install::Provided { .. } => false,
        },
        Work::Check(work) => work.spec.check.kind() == "helm-test",
        Work::Cluster(_)
        | Work::Preload(_)
        | Work::Install(_)
        | Work::Settle(_)
        | Work::Endure(_)
        | Work::Budget(_)
        | Work::Teardown => false,
    };
    plan.steps.values().any(|step| needs_helm(&step.work)).then_some(Tool::Helm).into_iter().collect()
}

/// Eight letters and digits that no other run has: a part of cluster names, labels and keys.
fn name_of_run() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The standard library's only source of randomness; two runs of one machine differ, and that is all it is for.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{random:016x}")[..8].to_owned()
}

/// The run's own folder below `out`, and `latest` beside it.
fn folder(out: &Path, run: &str) -> Result<PathBuf, String> {
    let cannot = |path: &Path, error: std::io::Error| format!("cannot make the folder {}: {error}", path.display());
    let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let name = format!("{stamp}-{run}");
    fs::create_dir_all(out).map_err(|error| cannot(out, error))?;
    let out = out.canonicalize().map_err(|error| cannot(out, error))?;
    let folder = out.join(&name);
    fs::create_dir(&folder).map_err(|error| cannot(&folder, error))?;
    let latest = out.join("latest");
    // A convenience: another run may be making it at this moment, and a file system may have no links.
    fs::remove_file(&latest).ok();
    std::os::unix::fs::symlink(&name, &latest).ok();
    Ok(folder)
}

/// What outlives a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keeping {
    /// Whether the cluster, or what was installed into a borrowed one, stays.
    keep: bool,
    /// Whether a cluster that stayed is used again.
    reuse: bool,
}

impl Ready {
    async fn run(self, arguments: &SuiteArgs, mut reports: Reports) -> u8 {
        let secrets = Secrets::default();
        let requests = match signals::requests(arguments.timeout.map(crate::span::Span::duration)) {
            Ok(requests) => requests,
            Err(error) => {
                output::complain(&format!("cannot listen for signals: {error}"), &[]);
                return super::OURS;
            }
        };
        let options = self.options(arguments.jobs, arguments.sign_off);
        let plan = self.plan.clone();
        let keeping = Keeping { keep: arguments.keep, reuse: arguments.reuse };
        let world = Arc::new(self.world(&keeping, &secrets));
        let engine = engine::run(&plan, Arc::clone(&world), options, requests, |event| {
            reports.take(&reports::masked(event, &secrets));
        });
        engine.await;
        let code = reports.tally().exit_code();
        let code = output::ended(code, &reports.close());
        world.left_behind().iter().for_each(|left| output::complain(left, &[]));
        code
    }

    pub(super) fn options(&self, jobs: u16, sign_off: bool) -> RunOptions {
        RunOptions {
            jobs: NonZeroUsize::new(jobs.into()).unwrap_or(NonZeroUsize::MIN),
            run: self.run.clone(),
            environment: self.catalog.environment.name.to_string(),
            cluster: self.cluster_word().to_owned(),
            sign_off,
            started: jiff::Timestamp::now(),
            measure: usage,
        }
    }

    /// The helm that was found, if one is needed.
    pub(super) fn helm(&self) -> Option<PathBuf> {
        self.equipment.program(Tool::Helm).cloned()
    }

    const fn cluster_word(&self) -> &'static str {
        match self.kind {
            ClusterKind::Kind => "kind",
            ClusterKind::K3d => "k3d",
            ClusterKind::Borrowed(Borrowing { place: Place::Context { .. }, .. }) => "context",
            ClusterKind::Borrowed(Borrowing { place: Place::Here, .. }) => "in-cluster",
            ClusterKind::Rehearsal => REHEARSAL,
        }
    }

    pub(super) fn world(self, keeping: &Keeping, secrets: &Secrets) -> Platform {
        let helm = self.helm();
        let rendered = self.folder.join("rendered");
        let options = ClusterOptions {
            kind: self.kind,
            run: self.run.clone(),
            keep: keeping.keep,
            reuse: keeping.reuse,
            configs: self.configs,
            folders: Folders { state: folders::state(), run: self.folder.clone() },
        };
        Platform {
            clusters: Clusters::new(options, self.equipment),
            installer: Installer::new(helm.clone().unwrap_or_default(), self.run.clone(), rendered, secrets.clone()),
            helm,
            evidence: EvidenceStore {
                folder: self.folder.join("evidence"),
                secrets: secrets.clone(),
                began: jiff::Timestamp::now(),
            },
            secrets: secrets.clone(),
            run: self.run,
            folder: self.folder,
            keep: keeping.keep,
            memory: Memory::default(),
        }
    }
}

/// What this process has used; children do not count. Memory is known on Linux only, and zero elsewhere.
fn usage() -> Usage {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu_ms = u64::try_from(cpu.tv_sec * 1_000 + cpu.tv_nsec / 1_000_000).unwrap_or(0);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kb = peak.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    Usage { cpu_ms, peak_kb }
}
