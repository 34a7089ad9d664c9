//! The few colours, by meaning.

use owo_colors::{OwoColorize, Style};

use crate::events::{Ending, Fault, Outcome};

/// How a step's word is written.
pub(super) const fn ending(ending: &Ending) -> Style {
    match ending {
        Ending::Held { .. } => Style::new().green(),
        Ending::Broken { .. } => Style::new().red().bold(),
        Ending::Unclear { fault: Fault::Platform | Fault::Environment, .. } => Style::new().yellow().bold(),
        Ending::Unclear { fault: Fault::Ourselves, .. } => Style::new().magenta().bold(),
        Ending::Blocked { .. } | Ending::NotRun { .. } => Style::new().dimmed(),
    }
}

/// How the last line is written.
pub(super) const fn outcome(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Conformant => Style::new().green().bold(),
        Outcome::Broken => Style::new().red().bold(),
        Outcome::Partial | Outcome::Nothing | Outcome::Environment | Outcome::Interrupted => {
            Style::new().yellow().bold()
        }
        Outcome::OurBug => Style::new().magenta().bold(),
    }
}

/// What need not catch the eye.
pub(super) fn quiet(text: &str) -> String {
    text.dimmed().to_string()
}

/// What leads the eye: a section's title.
pub(super) fn title(text: &str) -> String {
    text.bold().to_string()
}

/// What a reader should know although it is not red.
pub(super) fn warning(text: &str) -> String {
    text.yellow().to_string()
}
