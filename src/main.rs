//! Parses the command line, runs, and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use seaworthy::{app, cli::Cli};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(app::run(&Cli::parse()))
}
