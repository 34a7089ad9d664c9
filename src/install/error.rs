//! What can go wrong in this room, and whose fault it is.

use crate::checks::Admission;
use crate::complaint;
use crate::events::Fault;
use crate::manifest::ManifestError;
use crate::ports::Trouble;
use crate::process::ProcessError;
use crate::secrets::Secrets;

/// An install that did not come about.
#[derive(Debug, thiserror::Error)]
pub(super) enum InstallError {
    /// A file or folder.
    #[error("cannot read {path}")]
    Read { path: String, source: std::io::Error },
    /// A file of the run folder, or a copy of a chart.
    #[error("cannot write {path}")]
    Write { path: String, source: std::io::Error },
    /// Text that holds no objects.
    #[error("cannot use what {of} gives")]
    Manifest { of: String, source: ManifestError },
    /// Nothing where there should be something.
    #[error("{0}")]
    Nothing(String),
    /// Helm itself did not run.
    #[error("cannot {deed}")]
    Process { deed: String, source: ProcessError },
    /// Helm ran and failed; its words are kept as it said them.
    #[error("cannot {deed}: {}", headline(words))]
    Helm { deed: String, words: String },
    /// Helm's own state stands in the way.
    #[error("{0}")]
    Release(String),
    /// The API server did not take an object, for good or for too long.
    #[error("the API server does not take {object}: {}", words(admission))]
    Refused { object: String, admission: Admission },
    /// A release is not as recorded, and not all of it can be put back: a line for each of its objects, those first.
    #[error("{}", .0.join("\n"))]
    Drifted(Vec<String>),
    /// The API server could not be asked.
    #[error("cannot {deed}")]
    Api { deed: String, source: Box<kube::Error> },
    #[error("the API server does not establish {crd}: {why}")]
    NotEstablished { crd: String, why: String },
}

/// Words of helm that tell of the platform, and not of the chart or of the way there.
const PLATFORM: [&str; 9] = [
    "hooks failed",
    "failed pre-install",
    "failed post-install",
    "denied the request",
    "denied request",
    "violates PodSecurity",
    "exceeded quota",
    "BackoffLimitExceeded",
    "DeadlineExceeded",
];

impl InstallError {
    /// As the engine reports it, without secrets.
    pub(super) fn trouble(&self, secrets: &Secrets) -> Trouble {
        let text = secrets.mask(&complaint::chain(self));
        let mut lines = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned);
        let headline = lines.next().unwrap_or_default();
        let mut details: Vec<String> = lines.collect();
        if let Self::Helm { words, .. } = self {
            details.extend(secrets.mask(words).lines().map(str::to_owned));
        }
        Trouble { fault: self.fault(), headline, details }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Refused { admission: Admission::Denied { .. } | Admission::Unready { .. }, .. }
            | Self::Drifted(_)
            | Self::NotEstablished { .. } => Fault::Platform,
            Self::Helm { words, .. } if PLATFORM.iter().any(|part| words.contains(part)) => Fault::Platform,
            Self::Read { .. }
            | Self::Write { .. }
            | Self::Manifest { .. }
            | Self::Nothing(_)
            | Self::Process { .. }
            | Self::Helm { .. }
            | Self::Release(_)
            | Self::Refused { .. }
            | Self::Api { .. } => Fault::Environment,
        }
    }
}

/// Helm's message in one line: from `Error:` to the first empty line, its hints left out.
///
/// Helm 3 says it in one line; helm 4 puts template line, place and cause on a line each.
fn headline(words: &str) -> String {
    let start = words.find("Error: ").map_or(0, |at| at + "Error: ".len());
    let lines = words[start..].lines().map(str::trim).take_while(|line| !line.is_empty());
    let said = lines.filter(|line| !line.starts_with("Use --debug")).collect::<Vec<_>>().join(" ");
    if said.is_empty() { "helm says nothing".to_owned() } else { said }
}

pub(super) fn words(admission: &Admission) -> &str {
    match admission {
        Admission::Accepted => "accepted",
        Admission::Denied { words }
        | Admission::Invalid { words }
        | Admission::Unready { words }
        | Admission::Forbidden { words } => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helm(words: &str) -> Trouble {
        let error = InstallError::Helm { deed: "render the chart charts/demo".to_owned(), words: words.to_owned() };
        let secrets = Secrets::default();
        secrets.learn("hunter22");
        error.trouble(&secrets)
    }

    #[test]
    fn the_first_line_names_chart_template_line_and_cause_in_both_of_helms_styles() {
        let expected =
            "executing \"demo/templates/cm.yaml\" at <.Values.image.a>: can't evaluate field a in type interface {}";
        let three = format!(
            "Error: template: demo/templates/cm.yaml:6:19: {expected}\n\nUse --debug flag to render out invalid YAML"
        );
        let four = "Error: demo/templates/cm.yaml:6:19\n  executing \"demo/templates/cm.yaml\" at <.Values.image.a>:\n    \
                    can't evaluate field a in type interface {}\n\nUse --debug flag to render out invalid YAML";
        for words in [three.as_str(), four] {
            let headline = helm(words).headline;
            assert!(headline.starts_with("cannot render the chart charts/demo: "), "{headline}");
            assert!(headline.contains("demo/templates/cm.yaml:6:19") && headline.ends_with(expected), "{headline}");
        }
    }

    #[test]
    fn warnings_before_the_error_are_details_only_and_secrets_are_nowhere() {
        let trouble = helm("WARNING: kubeconfig is group-readable\nError: cannot log in with hunter22");
        assert_eq!(trouble.headline, "cannot render the chart charts/demo: cannot log in with <sensitive>");
        assert_eq!(trouble.details[0], "WARNING: kubeconfig is group-readable");
        assert!(!format!("{trouble:?}").contains("hunter22"));
    }

    #[test]
    fn what_admission_or_a_hook_refuses_is_the_platforms_fault_and_a_chart_is_not() {
        assert_eq!(helm("Error: failed post-install: job migrate failed: BackoffLimitExceeded").fault, Fault::Platform);
        assert_eq!(helm("Error: values don't meet the specifications").fault, Fault::Environment);
    }
}
