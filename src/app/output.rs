//! What is said outside a run: complaints on standard error, answers on standard output.

use std::io::Write as _;

use tracing_subscriber::EnvFilter;

use crate::cli::Color;
use crate::report::{self, Colour};

/// Where this program's own diagnostics go, and how much of them. `RUST_LOG` overrules `-vv`.
pub(super) fn diagnostics(verbose: u8, color: Color) {
    let level = if verbose >= 2 { "seaworthy=debug,kube=info" } else { "seaworthy=error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let ansi = matches!(color, Color::Always);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
}

/// The reporter's word for the command line's.
pub(super) const fn colour(color: Color) -> Colour {
    match color {
        Color::Auto => Colour::Auto,
        Color::Always => Colour::Always,
        Color::Never => Colour::Never,
    }
}

/// An answer, on standard output. A reader who has seen enough (`| head`) is no failure.
pub(super) fn say(text: &str) {
    let mut out = report::coloured(std::io::stdout(), Colour::Auto);
    writeln!(out, "{}", text.trim_end()).ok();
}

/// What is wrong, on standard error, with what else is known below it.
pub(super) fn complain(headline: &str, details: &[String]) {
    let mut err = report::coloured(std::io::stderr(), Colour::Auto);
    let lines = details.iter().flat_map(|detail| detail.lines()).map(|line| format!("\n  {line}")).collect::<String>();
    writeln!(err, "seaworthy: {headline}{lines}").ok();
}
