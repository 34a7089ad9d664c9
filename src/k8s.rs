//! A Kubernetes client from an explicit [`Access`]; nothing ambient.

use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

/// Label on everything that a run creates; its value is the run's name.
pub const RUN_LABEL: &str = "seaworthy.dev/run";

/// Label on what a check runs; its value is the check's mark.
pub const CHECK_LABEL: &str = "seaworthy.dev/check";

/// Field manager of everything that is applied.
pub const FIELD_MANAGER: &str = "seaworthy";

/// How long connecting to the API server may take before it counts as unreachable.
const CONNECT: Duration = Duration::from_secs(5);

/// Which API server to talk to, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The kubeconfig file.
    pub kubeconfig: PathBuf,
    /// Its context; the file's current one where `None`.
    pub context: Option<String>,
}

/// An access from which no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig {path}")]
    Kubeconfig {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: kube::config::KubeconfigError,
    },
    /// It can be read, but no client can be built from it.
    #[error("cannot make a client from the kubeconfig {path}")]
    Client {
        /// The file.
        path: String,
        /// What is wrong.
        source: Box<kube::Error>,
    },
}

/// A client for this access. It never retries by itself: whoever waits counts the attempts.
///
/// # Errors
/// Where the kubeconfig is missing, unreadable, or names a context or credentials that are not there.
pub async fn client(access: &Access) -> Result<Client, AccessError> {
    let path = || access.kubeconfig.display().to_string();
    let wrong = |source| AccessError::Kubeconfig { path: path(), source };
    let kubeconfig = Kubeconfig::read_from(&access.kubeconfig).map_err(wrong)?;
    let options = KubeConfigOptions { context: access.context.clone(), ..KubeConfigOptions::default() };
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(wrong)?;
    // kube repeats a 429 or 5xx up to fifteen times on its own, which would hide attempts and outlast budgets.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).map_err(|source| AccessError::Client { path: path(), source: Box::new(source) })
}
