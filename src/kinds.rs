//! Which endpoint serves a kind, asked of the API server's discovery; nothing is guessed from a kind's name.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject, TypeMeta};
use kube::core::DynamicResourceScope;
use kube::{Client, Error, Resource};

/// A kind as the API server serves it.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// Group, version, kind and plural.
    pub resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether a status can be written to it apart from the object.
    pub has_status: bool,
}

impl Kind {
    /// The endpoint for an object: in its own namespace, else in `namespace`, else for the whole cluster.
    #[must_use]
    pub fn endpoint(&self, client: &Client, object: &DynamicObject, namespace: &str) -> Api<DynamicObject> {
        endpoint(client, &self.resource, self.place(object, namespace).as_deref())
    }

    /// The namespace that an object of this kind lives in; `None` for a kind without.
    #[must_use]
    pub fn place(&self, object: &DynamicObject, namespace: &str) -> Option<String> {
        let own = object.metadata.namespace.as_deref().filter(|own| !own.is_empty());
        self.namespaced.then(|| own.unwrap_or(namespace).to_owned())
    }
}

/// The endpoint for a kind in a namespace; for the whole cluster, or a kind without namespaces, where none is given.
#[must_use]
pub fn endpoint<K>(client: &Client, resource: &ApiResource, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    }
}

/// The resource of the two kinds that run to an end, Job and Pod; `None` for any other.
#[must_use]
pub fn running(types: Option<&TypeMeta>) -> Option<ApiResource> {
    match types.map(|types| (types.api_version.as_str(), types.kind.as_str()))? {
        ("batch/v1", "Job") => Some(ApiResource::erase::<Job>(&())),
        ("v1", "Pod") => Some(ApiResource::erase::<Pod>(&())),
        _ => None,
    }
}

/// Whether an object goes by itself once it has run: a Job that is deleted some time after its end (batch/v1 `JobSpec`).
#[must_use]
pub fn cleans_up(object: &DynamicObject) -> bool {
    object.data.pointer("/spec/ttlSecondsAfterFinished").is_some()
}

/// The kind of an object; `None` while the API server does not serve it.
///
/// # Errors
/// Where the API server cannot be asked.
pub async fn served(client: &Client, types: &TypeMeta) -> Result<Option<Kind>, Error> {
    let all = of_version(client, &types.api_version).await?;
    Ok(all.into_iter().find(|kind| kind.resource.kind == types.kind))
}

/// The kind of an object in every version in which its group serves it.
///
/// # Errors
/// Where the API server cannot be asked.
pub async fn versions(client: &Client, types: &TypeMeta) -> Result<Vec<ApiResource>, Error> {
    let versions = match types.api_version.split_once('/') {
        None => client.list_core_api_versions().await?.versions,
        Some((name, _)) => {
            let group = client.list_api_groups().await?.groups.into_iter().find(|group| group.name == name);
            group.into_iter().flat_map(|group| group.versions).map(|version| version.group_version).collect()
        }
    };
    let mut served = Vec::new();
    for version in versions {
        let all = of_version(client, &version).await?;
        served.extend(all.into_iter().map(|kind| kind.resource).filter(|resource| resource.kind == types.kind));
    }
    Ok(served)
}

/// Every kind of `group/version` (`v1`, `apps/v1`); none where it is not served.
///
/// # Errors
/// Where the API server cannot be asked.
pub async fn of_version(client: &Client, version: &str) -> Result<Vec<Kind>, Error> {
    let list = match version.contains('/') {
        true => client.list_api_group_resources(version).await,
        false => client.list_core_api_resources(version).await,
    };
    let list = match list {
        Err(Error::Api(status)) if status.code == 404 => return Ok(Vec::new()),
        list => list?,
    };
    let (group, bare) = version.split_once('/').unwrap_or(("", version));
    // Subresources stand in the same list as `plural/status`.
    let has_status = |plural: &str| list.resources.iter().any(|one| one.name.strip_suffix("/status") == Some(plural));
    let kinds = list.resources.iter().filter(|resource| !resource.name.contains('/'));
    Ok(kinds
        .map(|resource| Kind {
            has_status: has_status(&resource.name),
            resource: ApiResource {
                group: group.to_owned(),
                version: bare.to_owned(),
                api_version: version.to_owned(),
                kind: resource.kind.clone(),
                plural: resource.name.clone(),
            },
            namespaced: resource.namespaced,
        })
        .collect())
}
