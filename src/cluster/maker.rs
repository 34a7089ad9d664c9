//! The tool that makes clusters, and the container engine under it.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{k3d, kind};
use crate::complaint;
use crate::ports::{Notes, Trouble};
use crate::process::{ProcessError, Program};
use crate::tools::{Engine, Equipment, Tool};

/// A kind of cluster that is made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// Made by `kind`.
    Kind,
    /// Made by `k3d`.
    K3d,
}

/// One cluster to make.
pub(super) struct Order<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Configuration file of its tool.
    pub(super) config: &'a Path,
    /// Node image; the tool's own where `None`.
    pub(super) image: Option<&'a str>,
    /// File that will say how to reach it.
    pub(super) kubeconfig: &'a Path,
}

/// A tool of one flavour, with the engine.
#[derive(Clone, Debug)]
pub(super) struct Maker {
    flavour: Flavour,
    program: PathBuf,
    version: String,
    engine: Engine,
}

/// A tool that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum MakerError {
    /// It ran, and failed; or it did not run.
    #[error("{cause}")]
    Tool {
        /// The one line that says why.
        cause: String,
        /// Everything that it said last.
        words: Vec<String>,
    },
    /// It printed what cannot be read.
    #[error("cannot read what `{command}` printed")]
    Printed {
        /// The command.
        command: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// The kubeconfig cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
}

impl From<MakerError> for Trouble {
    fn from(error: MakerError) -> Self {
        let trouble = Self::environment(complaint::chain(&error));
        match error {
            MakerError::Tool { words, .. } => trouble.with(words),
            MakerError::Printed { .. } | MakerError::Write { .. } => trouble,
        }
    }
}

impl MakerError {
    /// The trouble that it makes for what was being done.
    pub(super) fn during(self, what: &str) -> Trouble {
        let trouble = Trouble::from(self);
        Trouble { headline: format!("{what}: {}", trouble.headline), ..trouble }
    }
}

impl Flavour {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Kind, Self::K3d];

    /// The tool that makes it.
    #[must_use]
    pub const fn tool(self) -> Tool {
        match self {
            Self::Kind => Tool::Kind,
            Self::K3d => Tool::K3d,
        }
    }

    /// How many nodes a configuration file asks for.
    pub(super) fn nodes(self, config: &str) -> Result<usize, String> {
        match self {
            Self::Kind => kind::nodes(config),
            Self::K3d => k3d::nodes(config),
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tool().name())
    }
}

impl Maker {
    /// The maker of this flavour, where its tool and an engine are there.
    pub(super) fn of(flavour: Flavour, equipment: &Equipment) -> Option<Self> {
        let (found, engine) = (equipment.tools.get(&flavour.tool())?, equipment.engine.clone()?);
        Some(Self { flavour, program: found.path.clone(), version: found.version.to_string(), engine })
    }

    pub(super) const fn flavour(&self) -> Flavour {
        self.flavour
    }

    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The tool with its version: what decides on the node image where none is named.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.flavour, self.version)
    }

    /// Makes a cluster and writes its kubeconfig; notes what the tool says that it does. Where it fails, something may be left.
    pub(super) async fn create(&self, order: &Order<'_>, notes: &Notes) -> Result<(), MakerError> {
        let (create, progress): (_, fn(&str) -> Option<&str>) = match self.flavour {
            Flavour::Kind => (kind::create(self.tool(), order), kind::progress),
            Flavour::K3d => (k3d::create(self.tool(), order), k3d::progress),
        };
        let say = |doing: &str| notes.waiting(format!("{} to create cluster {}: {doing}", self.title(), order.name));
        say("starting");
        let ended = create.heard(|line| progress(line).into_iter().for_each(say)).await;
        ended.and_then(|ended| ended.succeeded(&create)).map_err(|error| self.failed(&error))?;
        match self.flavour {
            Flavour::Kind => Ok(()),
            Flavour::K3d => self.write_kubeconfig(order.name, order.kubeconfig).await,
        }
    }

    /// Removes a cluster, or whatever there is of it; succeeds where there is nothing.
    pub(super) async fn delete(&self, name: &str, kubeconfig: &Path) -> Result<(), MakerError> {
        let delete = match self.flavour {
            Flavour::Kind => kind::delete(self.tool(), name, kubeconfig),
            Flavour::K3d => k3d::delete(self.tool(), name, kubeconfig),
        };
        self.run(&delete).await.map(drop)
    }

    /// The names of all clusters of this flavour, whoever made them.
    pub(super) async fn names(&self) -> Result<BTreeSet<String>, MakerError> {
        match self.flavour {
            Flavour::Kind => {
                let printed = self.run(&kind::list(self.tool())).await?;
                Ok(String::from_utf8_lossy(&printed).lines().map(str::to_owned).collect())
            }
            Flavour::K3d => {
                let list = k3d::list(self.tool());
                let names = k3d::names(&self.run(&list).await?);
                let names = names.map_err(|source| MakerError::Printed { command: list.line(), source })?;
                Ok(names.into_iter().collect())
            }
        }
    }

    /// Writes how to reach a cluster, for this user's eyes only.
    pub(super) async fn write_kubeconfig(&self, name: &str, to: &Path) -> Result<(), MakerError> {
        let kubeconfig = match self.flavour {
            Flavour::Kind => kind::kubeconfig(self.tool(), name),
            Flavour::K3d => k3d::kubeconfig(self.tool(), name),
        };
        let bytes = self.run(&kubeconfig).await?;
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(to);
        file.and_then(|mut file| io::Write::write_all(&mut file, &bytes))
            .map_err(|source| MakerError::Write { path: to.display().to_string(), source })
    }

    /// Brings the images of an archive into every node of a cluster.
    pub(super) async fn load(&self, archive: &Path, name: &str) -> Result<(), MakerError> {
        let load = match self.flavour {
            Flavour::Kind => kind::load(self.tool(), archive, name),
            Flavour::K3d => k3d::load(self.tool(), archive, name),
        };
        self.run(&load).await.map(drop)
    }

    /// The containers that are a cluster's nodes.
    pub(super) async fn nodes(&self, name: &str) -> Result<Vec<String>, MakerError> {
        let (cluster, role, roles) = match self.flavour {
            Flavour::Kind => (kind::CLUSTER_LABEL, kind::ROLE_LABEL, kind::NODE_ROLES),
            Flavour::K3d => (k3d::CLUSTER_LABEL, k3d::ROLE_LABEL, k3d::NODE_ROLES),
        };
        let ps = Program::new(&self.engine.program)
            .args(["ps", "--filter", &format!("label={cluster}={name}"), "--format"])
            .arg(format!("{{{{.Names}}}} {{{{.Label \"{role}\"}}}}"));
        let printed = self.run(&ps).await?;
        let rows = String::from_utf8_lossy(&printed);
        let nodes = rows.lines().filter_map(|row| row.split_once(' ')).filter(|(_, role)| roles.contains(role));
        Ok(nodes.map(|(node, _)| node.to_owned()).collect())
    }

    /// Runs the tool or the engine.
    pub(super) async fn run(&self, program: &Program) -> Result<Vec<u8>, MakerError> {
        program.output().await.map_err(|error| self.failed(&error))
    }

    fn tool(&self) -> Program {
        let tool = Program::new(&self.program);
        if self.engine.podman { tool.env("KIND_EXPERIMENTAL_PROVIDER", "podman") } else { tool }
    }

    /// What the tool says, its reason first.
    fn failed(&self, error: &ProcessError) -> MakerError {
        let chain = complaint::chain(error);
        let ProcessError::Failed { words, command, status } = error else {
            return MakerError::Tool { cause: chain, words: Vec::new() };
        };
        let cause = match self.flavour {
            Flavour::Kind => kind::cause(words),
            Flavour::K3d => k3d::cause(words),
        };
        let cause = cause.or_else(|| words.lines().last().map(str::to_owned)).unwrap_or_else(|| status.to_string());
        let head = format!("`{command}` failed ({status})");
        MakerError::Tool { cause, words: std::iter::once(head).chain(words.lines().map(str::to_owned)).collect() }
    }
}
