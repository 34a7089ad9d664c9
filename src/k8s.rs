//! A Kubernetes client from an explicit [`Access`]; nothing ambient.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::Client;
use kube::Config;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};

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
pub enum Access {
    /// As a kubeconfig says.
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// Its context; the file's current one where `None`.
        context: Option<String>,
    },
    /// The API server of the cluster that this program runs in, as the service account of its pod.
    Pod,
}

impl Access {
    /// What tells helm the same; it is told always, so that nothing in its surroundings decides.
    #[must_use]
    pub fn for_helm(&self) -> Vec<OsString> {
        let (file, context) = match self {
            Self::Kubeconfig { file, context } => (file.into(), context.as_ref()),
            // A kubeconfig that is named and empty leaves helm with the service account (client-go `clientcmd`).
            Self::Pod => ("/dev/null".into(), None),
        };
        let context = context.iter().flat_map(|context| ["--kube-context".into(), context.into()]);
        ["--kubeconfig".into(), file].into_iter().chain(context).collect()
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubeconfig { file, .. } => write!(f, "the kubeconfig {}", file.display()),
            Self::Pod => f.write_str("the service account of this pod"),
        }
    }
}

/// An access from which no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The kubeconfig cannot be used.
    #[error("cannot use {access}")]
    Kubeconfig {
        /// Which.
        access: String,
        /// What is wrong with it.
        source: KubeconfigError,
    },
    /// This is no pod, or one without a service account.
    #[error("cannot use {access}")]
    Pod {
        /// Which.
        access: String,
        /// What is missing.
        source: InClusterError,
    },
    /// It can be read, but no client can be built from it.
    #[error("cannot make a client from {access}")]
    Client {
        /// Which.
        access: String,
        /// What is wrong.
        source: Box<kube::Error>,
    },
}

/// A client for this access. It never retries by itself: whoever waits counts the attempts.
///
/// # Errors
/// Where the kubeconfig is missing, unreadable, or names a context or credentials that are not there; in a pod, where no
/// service account is mounted.
pub async fn client(access: &Access) -> Result<Client, AccessError> {
    let mut config = config(access).await?;
    // kube repeats a 429 or 5xx up to fifteen times on its own, which would hide attempts and outlast budgets.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).map_err(|source| AccessError::Client { access: access.to_string(), source: source.into() })
}

async fn config(access: &Access) -> Result<Config, AccessError> {
    match access {
        Access::Kubeconfig { file, context } => {
            let wrong = |source| AccessError::Kubeconfig { access: access.to_string(), source };
            let kubeconfig = Kubeconfig::read_from(file).map_err(wrong)?;
            let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
            let own = kubeconfig
                .clusters
                .iter()
                .filter_map(|named| named.cluster.as_ref())
                .any(|one| one.proxy_url.is_some());
            let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(wrong)?;
            if !own && (is_loopback(&config.cluster_url) || !is_proxied(&Matcher::from_env(), &config.cluster_url)) {
                config.proxy_url = None;
            }
            Ok(config)
        }
        Access::Pod => service_account(),
    }
}

/// Whether a server is on this machine. No proxy of the environment is asked for such a one, as with kubectl (Go's
/// `net/http` `ProxyFromEnvironment`); kube would ask it.
fn is_loopback(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the environment's proxy is for this server; kube compares `NO_PROXY` with the proxy itself.
fn is_proxied(environment: &Matcher, server: &Uri) -> bool {
    environment.intercept(server).is_some()
}

/// What Kubernetes tells a pod of its cluster: two variables and a mounted folder.
///
/// # Errors
/// Where this program does not run in a pod, or in one without a service account's token.
pub fn service_account() -> Result<Config, AccessError> {
    Config::incluster().map_err(|source| AccessError::Pod { access: Access::Pod.to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_this_machine_is_known_by_its_address_or_name() {
        for (server, here) in [
            ("https://127.0.0.1:6443", true),
            ("https://[::1]:6443", true),
            ("https://localhost:6443", true),
            ("https://10.0.0.1:6443", false),
            ("https://localhost.example.com", false),
        ] {
            assert_eq!(is_loopback(&server.parse().unwrap()), here, "{server}");
        }
    }

    #[test]
    fn a_server_that_no_proxy_is_for_is_reached_directly() {
        let environment = Matcher::builder().https("http://proxy:3128").no("10.0.0.0/8,.corp.example").build();
        for (server, proxied) in [
            ("https://10.0.0.1:6443", false),
            ("https://k8s.corp.example", false),
            ("https://192.0.2.1:6443", true),
            ("https://api.example.com", true),
        ] {
            assert_eq!(is_proxied(&environment, &server.parse().unwrap()), proxied, "{server}");
        }
    }
}
