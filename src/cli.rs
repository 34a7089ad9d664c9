//! The command line; the doc comments are the help text.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::span::Span;

/// What chooses the environment where `--env` does not.
pub const ENVIRONMENT_VARIABLE: &str = "SEAWORTHY_ENV";

/// Says whether a layer of a Kubernetes platform works, and if not, why.
///
/// A suite is one layer: what to install, what must hold afterwards, and the layers it stands on. `seaworthy suite NAME`
/// provides a cluster, installs the layers NAME needs and NAME itself, looks at it through its own protocols, and
/// removes what it made.
#[derive(Debug, Parser)]
#[command(name = "seaworthy", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// Where the suite files are.
    #[arg(long, global = true, value_name = "DIR", default_value = "suites", env = "SEAWORTHY_SUITES", value_hint = ValueHint::DirPath)]
    pub suites: PathBuf,

    /// The environment to lay over the suites: a file in the suites' `environments` folder.
    #[arg(short = 'e', long = "env", global = true, value_name = "NAME", env = ENVIRONMENT_VARIABLE)]
    pub environment: Option<String>,

    /// When to use colour. NO_COLOR and CLICOLOR_FORCE are honoured.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,

    /// Say more: every look and every wait. Twice: also each request to the API server.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Say only what failed, and the summary.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every claim holds
  1  a claim is broken
  2  a suite file or the command line is wrong
  3  no judgement: cluster, chart, tool or network in the way
  4  nothing was selected
  5  a check was skipped that a sign-off needs
 70  a defect of this program
130  interrupted";

const SUITE_USAGE: &str = "\
seaworthy suite [OPTIONS] <SUITE>...
       seaworthy suite [OPTIONS] --all
       seaworthy suite [OPTIONS] --selector <SELECTOR>";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run suites: provide a cluster, install, look, report, remove.
    Suite(Box<SuiteArgs>),
    /// Show that every check can fail: bring about each fault that it claims to see, on rehearsals.
    ///
    /// The suites are brought up once on an embedded cluster. Then, each on a cluster forked from that one, every fault that
    /// a check claims to see is brought about, and must turn it red with the cause named; and so is weather that it must
    /// bear: an API server that throttles, fails or breaks off, a pod that is replaced, an endpoint that is late. Exit code
    /// 1 where a fault is missed or weather turns a check red, 3 where something could not be shown, 4 where nothing was proven.
    Prove(Box<ProveArgs>),
    /// Check every suite and environment file; all mistakes at once.
    Validate,
    /// List suites, their components and checks, with the requirements they serve.
    List(ListArgs),
    /// Print the JSON Schema of suite or environment files, for editors.
    Schema {
        /// Which kind of file.
        #[arg(value_enum, default_value = "suite")]
        of: SchemaOf,
    },
    /// Render a transcript again, exactly as the run did.
    Replay(ReplayArgs),
    /// Find and remove clusters that earlier runs left behind.
    Cluster {
        /// What to do with them.
        #[command(subcommand)]
        command: ClusterCommand,
    },
    /// Print a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// What to run, where, and what to leave behind.
#[derive(Debug, Args)]
#[command(override_usage = SUITE_USAGE)]
pub struct SuiteArgs {
    /// The suites to run in full.
    #[arg(value_name = "SUITE", required_unless_present_any = ["all", "selector"])]
    pub names: Vec<String>,

    /// Run every suite: the whole platform.
    #[arg(long, conflicts_with = "names")]
    pub all: bool,

    /// Only suites with these labels, in kubectl's words: `layer=40,stage!=qa`, `stage in (data, auth)`.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,

    /// Install nothing that was not asked for: the layers below must be there already.
    #[arg(long, conflicts_with = "installed")]
    pub only: bool,

    /// Install nothing at all and only look: somebody else filled the cluster.
    #[arg(long)]
    pub installed: bool,

    /// Only these components (glob, repeatable).
    #[arg(long = "component", value_name = "GLOB", help_heading = "Selection")]
    pub components: Vec<String>,

    /// Only these checks (glob, repeatable).
    #[arg(long = "check", value_name = "GLOB", help_heading = "Selection")]
    pub checks: Vec<String>,

    /// Only checks that serve these requirements (glob, repeatable).
    #[arg(long = "requirement", value_name = "GLOB", help_heading = "Selection")]
    pub requirements: Vec<String>,

    /// Print the plan and stop.
    #[arg(long)]
    pub dry_run: bool,

    /// How many steps may be under way at once.
    #[arg(short, long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub jobs: u16,

    /// Where the cluster comes from. [default: context where --context is given, in-cluster where this runs in a pod
    /// with a service account, kind where a container engine answers, rehearsal elsewhere]
    #[arg(long, value_name = "KIND", help_heading = "Cluster", env = "SEAWORTHY_CLUSTER")]
    pub cluster: Option<ClusterKind>,

    /// Never fall back to a rehearsal: where there is no container engine, fail.
    #[arg(long, help_heading = "Cluster")]
    pub real: bool,

    /// Use this context of the kubeconfig instead of a cluster of our own.
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,

    /// The kubeconfig of --context; like kubectl, $KUBECONFIG and ~/.kube/config otherwise.
    #[arg(long, value_name = "FILE", help_heading = "Cluster", requires = "context", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,

    /// Confirm that the cluster may be installed into: the same name as --context, or `in-cluster` in a pod.
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub yes_this_cluster: Option<String>,

    /// Use a cluster that an earlier run kept, or make one and keep it.
    #[arg(long, help_heading = "Cluster")]
    pub reuse: bool,

    /// Leave the cluster in place.
    #[arg(long, help_heading = "Cluster")]
    pub keep: bool,

    /// Node image of a new cluster; overrides the environment's.
    #[arg(long, value_name = "IMAGE", help_heading = "Cluster")]
    pub node_image: Option<String>,

    /// Write a JUnit report.
    #[arg(long, value_name = "FILE", help_heading = "Reports", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,

    /// Make the JUnit report valid against the Jenkins xunit schema (junit-10), at the price of some detail.
    #[arg(long, help_heading = "Reports", requires = "junit")]
    pub junit_strict: bool,

    /// Write a transcript: one JSON event a line; `seaworthy replay` renders it again.
    #[arg(long, value_name = "FILE", help_heading = "Reports", value_hint = ValueHint::FilePath)]
    pub transcript: Option<PathBuf>,

    /// Where logs and evidence are kept.
    #[arg(long, value_name = "DIR", default_value = "seaworthy-out", help_heading = "Reports", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,

    /// Sign something off: what the environment leaves out then costs the green (exit code 5).
    #[arg(long)]
    pub sign_off: bool,

    /// The longest that the whole run may take; what has not ended by then is interrupted, and reported as such.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<Span>,
}

/// What to prove.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// The suites whose checks are proven; all where none is named.
    #[arg(value_name = "SUITE")]
    pub names: Vec<String>,

    /// Only these components (glob, repeatable).
    #[arg(long = "component", value_name = "GLOB", help_heading = "Selection")]
    pub components: Vec<String>,

    /// Only these checks (glob, repeatable).
    #[arg(long = "check", value_name = "GLOB", help_heading = "Selection")]
    pub checks: Vec<String>,

    /// Only faults and weather of these names (glob, repeatable): `wrong-role`, `api-*`.
    #[arg(long = "fault", value_name = "GLOB", help_heading = "Selection")]
    pub faults: Vec<String>,

    /// How many cases may be under way at once; most of their time they wait.
    #[arg(short, long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub jobs: u16,

    /// How often a case may be tried. Later tries come few at once and with four times as much time: a machine that is busy
    /// makes checks see too little. What was seen only then is told.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub tries: u32,

    /// The longest that all of it may take; what is not proven by then is told as undone.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<Span>,

    /// Write a JUnit report: one case for each fault.
    #[arg(long, value_name = "FILE", help_heading = "Reports", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,

    /// As JSON, for programs.
    #[arg(long, help_heading = "Reports")]
    pub json: bool,
}

/// What to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only these suites.
    #[arg(value_name = "SUITE")]
    pub names: Vec<String>,
    /// Only suites with these labels, in kubectl's words: `layer=40,stage!=qa`, `stage in (data, auth)`.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// What is covered instead: each requirement with the checks that serve it.
    #[arg(long)]
    pub requirements: bool,
    /// As JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// What to render again.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The transcript.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub transcript: PathBuf,
    /// Write a JUnit report as well.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,
    /// Make it valid against the Jenkins xunit schema (junit-10).
    #[arg(long, requires = "junit")]
    pub junit_strict: bool,
}

/// What to do with left-over clusters.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show the clusters that runs of this program made and that still exist.
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Remove clusters whose run is gone.
    Down {
        /// Which; all whose run is gone where none is named.
        #[arg(value_name = "CLUSTER")]
        names: Vec<String>,
        /// Also remove clusters that are kept.
        #[arg(long)]
        all: bool,
        /// Also remove a cluster whose run is still alive.
        #[arg(long)]
        force: bool,
    },
}

/// Where a cluster comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClusterKind {
    /// Made with `kind`.
    Kind,
    /// Made with `k3d`.
    K3d,
    /// One that exists, named by --context.
    Context,
    /// The one that this program runs in, as a pod with a service account.
    InCluster,
    /// An embedded one, for suites without an engine: what runs in it is played, and nothing real is tested.
    Rehearsal,
}

/// Which kind of file a schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// `suites/*.yaml`.
    Suite,
    /// `suites/environments/*.yaml`.
    Environment,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
