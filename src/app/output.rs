//! What is said outside a run: complaints on standard error, answers on standard output.

use std::io::{ErrorKind, Write as _};

use tracing_subscriber::EnvFilter;

use super::ENVIRONMENT;
use crate::cli::Color;
use crate::complaint;
use crate::report::{self, Colour, ReportError};
use crate::suite::Mistakes;

/// What the clients log goes to standard error: with `-vv` each request to the API server. `RUST_LOG` overrules it.
pub(super) fn diagnostics(verbose: u8, color: Color) {
    let level = if verbose >= 2 { "kube_client=debug" } else { "off" };
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

/// An answer, on standard output; the exit code. A reader who has seen enough (`| head`) is no failure.
pub(super) fn say(text: &str) -> u8 {
    say_in(text, Color::Auto)
}

/// The same with the colours that the command line asks for.
pub(super) fn say_in(text: &str, color: Color) -> u8 {
    let mut out = report::coloured(std::io::stdout(), colour(color));
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format!("cannot write the answer: {error}"), &[]);
            ENVIRONMENT
        }
        Ok(()) | Err(_) => 0,
    }
}

/// Mistakes, each with its place, on standard error.
pub(super) fn point_out(mistakes: &Mistakes) {
    writeln!(std::io::stderr(), "{mistakes}\n").ok();
}

/// The exit code of a run that was told, and what could not be told of it: a report that somebody waits for and that is
/// not there is no green.
pub(super) fn ended(code: u8, troubles: &[ReportError]) -> u8 {
    troubles.iter().for_each(|trouble| complain(&complaint::chain(trouble), &[]));
    if troubles.is_empty() || code != 0 { code } else { ENVIRONMENT }
}

/// What is being done before a run can speak, on standard error.
pub(super) fn remark(line: &str) {
    writeln!(std::io::stderr(), "seaworthy: {line}").ok();
}

/// What is wrong, on standard error, with what else is known below it.
pub(super) fn complain(headline: &str, details: &[String]) {
    let mut err = report::coloured(std::io::stderr(), Colour::Auto);
    let lines = details.iter().flat_map(|detail| detail.lines()).map(|line| format!("\n  {line}")).collect::<String>();
    writeln!(err, "seaworthy: {headline}{lines}").ok();
}
