//! The composition root: the one place that knows every room, reads the environment and opens files.
//!
//! - Purpose: a command line in, an exit code out.
//! - Never: a rule of judgement, of planning or of waiting: those have rooms.

mod catalog;
mod clusters;
mod coverage;
mod folders;
mod hooks;
mod inform;
mod output;
mod prove;
mod reports;
mod required;
mod signals;
mod site;
mod suite;
mod world;

use crate::cli::{Cli, ClusterCommand, Command};

/// The suite files or the command line are wrong.
const WRONG: u8 = 2;
/// Cluster, chart, tool or network in the way.
const ENVIRONMENT: u8 = 3;
/// Nothing was selected.
const NOTHING: u8 = 4;
/// A defect of this program.
const OURS: u8 = 70;

/// Carries out a command; the number is the exit code (see `--help`).
#[must_use]
pub fn run(cli: &Cli) -> u8 {
    output::diagnostics(cli.verbose, cli.color);
    // Some clients take the process's provider of cryptography; one that is set already is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    match &cli.command {
        Command::Validate => inform::validate(cli),
        Command::List(list) => inform::list(cli, list),
        Command::Schema { of } => inform::schema(*of),
        Command::Replay(replay) => inform::replay(cli, replay),
        Command::Completion { shell } => inform::completion(*shell),
        Command::Suite(arguments) if arguments.dry_run => suite::dry_run(cli, arguments),
        Command::Suite(arguments) => waiting(suite::run(cli, arguments)),
        Command::Prove(arguments) => waiting(prove::run(cli, arguments)),
        Command::Cluster { command: ClusterCommand::List { json } } => waiting(clusters::list(*json)),
        Command::Cluster { command: ClusterCommand::Down { names, all, force } } => {
            waiting(clusters::down(names, *all, *force))
        }
    }
}

/// The stack of a thread, in bytes: as much as the first has. Without optimisation the deepest of the probes takes more than the 2 MiB that
/// are usual.
const STACK: usize = 8 << 20;

/// Runs what has to wait for something.
fn waiting(work: impl Future<Output = u8>) -> u8 {
    // Two threads: one for the run, one so that a slow parse of a large answer does not hold up its deadlines.
    match tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_stack_size(STACK).enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            output::complain(&format!("cannot start: {error}"), &[]);
            OURS
        }
    }
}
