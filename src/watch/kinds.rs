//! From a kind's name, as a suite writes it, to what the API server serves under it.
//!
//! Why a table: the built-in kinds have not moved in years, so naming them costs no request. Every other kind is
//! looked up once, and looked up again for as long as it is not found: a CustomResourceDefinition may be on its way.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use kube::Client;
use kube::api::{ApiResource, TypeMeta};
use kube::discovery::{ApiCapabilities, Discovery, Scope};

use super::{Hub, WatchError};
use crate::kinds::{self, Kind};

/// Kinds looked up so far.
pub(super) struct Kinds {
    client: Client,
    known: Mutex<BTreeMap<String, Kind>>,
}

impl Hub {
    /// What is served under `kind`, written `Deployment` where the name alone is enough, else with its API version:
    /// `apps/v1/Deployment`, `v1/Pod`, `postgresql.cnpg.io/v1/Cluster`.
    ///
    /// # Errors
    /// [`WatchError::Unknown`] where nothing is served under it, [`WatchError::Otherwise`] where it is not clear which
    /// or only other versions are, [`WatchError::Discovery`] where the API server does not say.
    pub async fn resource(&self, kind: &str) -> Result<Kind, WatchError> {
        if let Some(served) = built_in(kind) {
            return Ok(served);
        }
        let known = |kinds: &Kinds| kinds.known.lock().unwrap_or_else(PoisonError::into_inner).get(kind).cloned();
        if let Some(served) = known(&self.kinds) {
            return Ok(served);
        }
        let served = match kind.rsplit_once('/') {
            Some((version, name)) => pinned(&self.kinds.client, kind, version, name).await?,
            None => anywhere(&self.kinds.client, kind).await?,
        };
        let mut known = self.kinds.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(kind.to_owned(), served.clone());
        Ok(served)
    }
}

impl Kinds {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }
}

/// One kind of one version of one group: a single request, unless it is not there.
async fn pinned(client: &Client, kind: &str, version: &str, name: &str) -> Result<Kind, WatchError> {
    let failed = |source| WatchError::Discovery { kind: kind.to_owned(), source: Box::new(source) };
    let types = TypeMeta { api_version: version.to_owned(), kind: name.to_owned() };
    if let Some(served) = kinds::served(client, &types).await.map_err(failed)? {
        return Ok(served);
    }
    Err(not_as_written(kind, &kinds::versions(client, &types).await.map_err(failed)?))
}

/// A kind by its name alone, in whichever group has it.
async fn anywhere(client: &Client, kind: &str) -> Result<Kind, WatchError> {
    let failed = |source| WatchError::Discovery { kind: kind.to_owned(), source: Box::new(source) };
    let discovery = Discovery::new(client.clone()).run_aggregated().await.map_err(failed)?;
    let mut found: Vec<_> = discovery.groups().filter_map(|group| group.recommended_kind(kind)).collect();
    match found.len() {
        1 => Ok(discovered(found.remove(0))),
        _ => Err(not_as_written(kind, &found.into_iter().map(|(resource, _)| resource).collect::<Vec<_>>())),
    }
}

fn not_as_written(kind: &str, served: &[ApiResource]) -> WatchError {
    let kind = kind.to_owned();
    if served.is_empty() {
        return WatchError::Unknown { kind };
    }
    let served: Vec<_> = served.iter().map(|one| format!("{}/{}", one.api_version, one.kind)).collect();
    WatchError::Otherwise { kind, served: served.join(", ") }
}

fn discovered((resource, can): (ApiResource, ApiCapabilities)) -> Kind {
    let has_status = can.subresources.iter().any(|(subresource, _)| subresource.plural.ends_with("status"));
    Kind { resource, namespaced: can.scope == Scope::Namespaced, has_status }
}

/// The kinds that every API server has, by name or with their API version.
pub(super) fn built_in(kind: &str) -> Option<Kind> {
    let (version, name) = kind.rsplit_once('/').map_or((None, kind), |(version, name)| (Some(version), name));
    let (api_version, kind, plural, namespaced) =
        BUILT_IN.into_iter().find(|(api, kind, ..)| *kind == name && version.is_none_or(|version| version == *api))?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    Some(Kind { resource, namespaced, has_status: true })
}

/// API version, kind, plural, whether it is namespaced.
const BUILT_IN: [(&str, &str, &str, bool); 26] = [
    ("v1", "Pod", "pods", true),
    ("v1", "Service", "services", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "ServiceAccount", "serviceaccounts", true),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("v1", "ResourceQuota", "resourcequotas", true),
    ("v1", "LimitRange", "limitranges", true),
    ("v1", "Event", "events", true),
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Node", "nodes", false),
    ("v1", "PersistentVolume", "persistentvolumes", false),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "StatefulSet", "statefulsets", true),
    ("apps/v1", "DaemonSet", "daemonsets", true),
    ("apps/v1", "ReplicaSet", "replicasets", true),
    ("batch/v1", "Job", "jobs", true),
    ("batch/v1", "CronJob", "cronjobs", true),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", true),
    ("networking.k8s.io/v1", "Ingress", "ingresses", true),
    ("networking.k8s.io/v1", "IngressClass", "ingressclasses", false),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", false),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("apiregistration.k8s.io/v1", "APIService", "apiservices", false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_kind_is_known_by_its_name_and_by_its_whole_name() {
        for kind in ["Deployment", "apps/v1/Deployment"] {
            assert_eq!(built_in(kind).unwrap().resource.plural, "deployments", "{kind}");
        }
        assert!(!built_in("v1/Namespace").unwrap().namespaced);
    }

    #[test]
    fn the_same_name_in_another_group_is_not_taken_for_it() {
        assert_eq!(built_in("serving.knative.dev/v1/Service"), None);
        assert_eq!(built_in("deployment"), None);
    }
}
