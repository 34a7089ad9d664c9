//! helm, kind and k3d: which versions work, and how each tells its own.

use std::fmt;
use std::path::{Path, PathBuf};

use semver::{Prerelease, Version, VersionReq};

use crate::complaint;
use crate::process::Program;

/// A program that is driven, and that can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// Installs charts.
    Helm,
    /// Kubernetes in containers.
    Kind,
    /// k3s in containers.
    K3d,
}

/// A tool that is there, at a version that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The program.
    pub path: PathBuf,
    /// What it says of itself.
    pub version: Version,
}

impl Tool {
    /// Every tool.
    pub const ALL: [Self; 3] = [Self::Helm, Self::Kind, Self::K3d];

    /// The program's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Helm => "helm",
            Self::Kind => "kind",
            Self::K3d => "k3d",
        }
    }

    /// The versions that work.
    #[must_use]
    pub const fn wanted(self) -> &'static str {
        match self {
            Self::Helm => ">=3.18, <5",
            Self::Kind => ">=0.29, <1",
            Self::K3d => ">=5.8, <6",
        }
    }

    /// Where people install it from.
    #[must_use]
    pub const fn home(self) -> &'static str {
        match self {
            Self::Helm => "https://helm.sh/docs/intro/install",
            Self::Kind => "https://kind.sigs.k8s.io/docs/user/quick-start",
            Self::K3d => "https://k3d.io/stable/#installation",
        }
    }

    /// Asks the program at this path for its version.
    ///
    /// # Errors
    /// In one line: it does not run, says no version, or one that is not [`Tool::wanted`].
    pub async fn ask(self, path: &Path) -> Result<Found, String> {
        let args: &[&str] = match self {
            Self::Helm => &["version", "--short"],
            Self::Kind | Self::K3d => &["version"],
        };
        let told = Program::new(path).args(args).output().await.map_err(|error| complaint::chain(&error))?;
        let told = String::from_utf8_lossy(&told);
        let version =
            version_in(&told).ok_or_else(|| format!("{} says no version: {}", path.display(), told.trim()))?;
        if self.accepts(&version) {
            return Ok(Found { path: path.to_owned(), version });
        }
        Err(format!("{} is {version}, needed is {}", path.display(), self.wanted()))
    }

    /// Whether this version works. A pre-release counts as what it is going to be.
    fn accepts(self, version: &Version) -> bool {
        let release = Version { pre: Prerelease::EMPTY, ..version.clone() };
        VersionReq::parse(self.wanted()).is_ok_and(|wanted| wanted.matches(&release))
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The first version in a tool's own words: `kind v0.32.0 go1.26 linux/amd64`, `v4.2.3+g1a2b3c4`, and `v4.2` of a helm
/// that was built with `go install`.
fn version_in(words: &str) -> Option<Version> {
    words.split_whitespace().find_map(|word| {
        let number = word.strip_prefix('v').unwrap_or(word).split('+').next()?;
        Version::parse(number).or_else(|_| Version::parse(&format!("{number}.0"))).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tools_own_words_are_understood() {
        for (words, version) in [
            ("kind v0.33.0 go1.26.8 linux/amd64\n", "0.33.0"),
            ("kind v0.34.0-alpha+5dc2b6 go1.26.8 linux/amd64", "0.34.0-alpha"),
            ("v3.18.4+gd80839c\n", "3.18.4"),
            ("v4.3", "4.3.0"),
            ("k3d version v5.9.0\nk3s version v1.33.6-k3s1 (default)\n", "5.9.0"),
        ] {
            assert_eq!(version_in(words).map(|version| version.to_string()).as_deref(), Some(version), "{words}");
        }
        assert_eq!(version_in("command not found"), None);
    }

    #[test]
    fn only_versions_known_to_work_are_accepted() {
        for (tool, version, accepted) in [
            (Tool::Helm, "3.17.3", false),
            (Tool::Helm, "3.18.0", true),
            (Tool::Helm, "4.3.1", true),
            (Tool::Helm, "5.0.0", false),
            (Tool::Kind, "0.28.0", false),
            (Tool::Kind, "0.29.0-alpha", true),
            (Tool::Kind, "0.33.0", true),
            (Tool::K3d, "5.7.5", false),
            (Tool::K3d, "5.9.0", true),
        ] {
            assert_eq!(tool.accepts(&version.parse().unwrap()), accepted, "{tool} {version}");
        }
    }
}
