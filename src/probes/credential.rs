//! Secret values by where they come from. What is resolved here is learnt, so that no report shows it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use tokio::time::timeout;

use super::{Site, Unseen};
use crate::checks::{Credential, SecretKey};
use crate::complaint::chain;

/// How long a check waits for the Secrets around it to be read.
const LEARNING: Duration = Duration::from_secs(5);

/// The value of a credential.
///
/// # Errors
/// Where the Secret, its key or the variable does not exist, or is not text: nothing can be said of the platform then.
pub(super) async fn resolve(credential: &Credential, site: &Site<'_>) -> Result<String, Unseen> {
    let value = read(credential, site).await?;
    site.prober.secrets.learn(&value);
    Ok(value)
}

/// The value of what is kept like a credential and is no secret: a certificate, whose lines nobody wants masked.
///
/// # Errors
/// As for [`resolve`].
pub(super) async fn read(credential: &Credential, site: &Site<'_>) -> Result<String, Unseen> {
    match credential {
        Credential::Value(value) => Ok(value.clone()),
        Credential::Env(name) => {
            std::env::var(name).map_err(|_| Unseen(format!("the environment variable {name} is not set, or no text")))
        }
        Credential::Secret(key) => of_cluster(key, site).await,
    }
}

/// The value of a credential that may be left out.
pub(super) async fn resolve_any(credential: Option<&Credential>, site: &Site<'_>) -> Result<Option<String>, Unseen> {
    match credential {
        Some(credential) => resolve(credential, site).await.map(Some),
        None => Ok(None),
    }
}

/// Names of keys under which a Secret keeps what is none, beside what is: a report could not do without them.
const PLAIN: [&str; 11] = [
    "ca.crt",
    "database",
    "dbname",
    "endpoint",
    "host",
    "hostname",
    "namespace",
    "port",
    "tls.crt",
    "user",
    "username",
];

/// Learns what the Secrets of the check's namespace hold, once for each component: what this run has not installed, or what
/// an operator has made since, it does not know otherwise. What may not be read, or what the check itself says in plain
/// text, is left out; what could not be read is tried again at the next look.
pub(super) async fn learn_all(site: &Site<'_>) {
    let learnt = site.prober.learnt.of(site.check.key.to_string());
    let learning = async {
        let secrets: Api<Secret> = Api::namespaced(site.prober.hub.client().clone(), site.namespace());
        let list = match timeout(LEARNING, secrets.list(&ListParams::default())).await {
            Ok(Ok(list)) => list,
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 401 | 403 | 404) => return Ok(()),
            Ok(Err(_)) | Err(_) => return Err(()),
        };
        let said = serde_json::to_string(&site.check.spec.check).unwrap_or_default() + site.namespace();
        let of_helm = |secret: &Secret| secret.type_.as_deref() == Some("helm.sh/release.v1");
        for (key, value) in list.items.into_iter().filter(|one| !of_helm(one)).filter_map(|one| one.data).flatten() {
            if let Ok(value) = String::from_utf8(value.0)
                && !PLAIN.contains(&key.as_str())
                && !said.contains(value.trim())
            {
                site.prober.secrets.learn(&value);
            }
        }
        Ok(())
    };
    learnt.get_or_try_init(|| learning).await.ok();
}

async fn of_cluster(key: &SecretKey, site: &Site<'_>) -> Result<String, Unseen> {
    let namespace = key.namespace.as_deref().unwrap_or(site.namespace());
    let name = format!("{namespace}/{}", key.name);
    let secrets: Api<Secret> = Api::namespaced(site.prober.hub.client().clone(), namespace);
    let secret = secrets
        .get_opt(&key.name)
        .await
        .map_err(|error| Unseen(format!("cannot read Secret {name}: {}", chain(&error))))?
        .ok_or_else(|| Unseen(format!("there is no Secret {name}, whose key `{}` is needed", key.key)))?;
    let mut data = secret.data.unwrap_or_default();
    let value = data.remove(&key.key).ok_or_else(|| {
        let others: Vec<String> = data.into_keys().collect();
        let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
        Unseen(format!("Secret {name} has no key `{}`; it has {others}", key.key))
    })?;
    String::from_utf8(value.0).map_err(|_| Unseen(format!("key `{}` of Secret {name} is not text", key.key)))
}
