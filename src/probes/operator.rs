//! Twin of `checks/operator.rs`: the operator's Deployments, then its kinds, then its admission by a server-side dry run.

use std::path::Path;

use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, PostParams};

use super::{Site, Unseen};
use crate::checks::{Admission, Claim, Operator, OperatorAnswer, Verdict};
use crate::complaint;
use crate::k8s::FIELD_MANAGER;
use crate::kinds;
use crate::manifest;
use crate::watch::ObjectRef;

pub(super) async fn observe(claim: &Operator, site: &Site<'_>) -> Result<OperatorAnswer, Unseen> {
    site.notes.stands(Verdict::broken(claim.wants_workloads(), "not all of them are ready"));
    let workloads = match ready(claim, site).await? {
        Ok(workloads) => workloads,
        Err(why) => return Ok(OperatorAnswer::Doomed { why }),
    };
    let crds: Vec<String> =
        try_join_all(claim.crds.iter().map(|name| unserved(name, site))).await?.into_iter().flatten().collect();
    if !crds.is_empty() {
        let answer = OperatorAnswer::Unserved { crds };
        site.notes.stands(claim.judge(&answer));
        return Ok(answer);
    }
    let (accepts, denies) =
        tokio::try_join!(rehearse(claim.accepts.as_deref(), site), rehearse(claim.denies.as_deref(), site))?;
    Ok(OperatorAnswer::Serving { workloads, accepts, denies })
}

async fn ready(claim: &Operator, site: &Site<'_>) -> Result<Result<String, String>, Unseen> {
    let deployment = |name: &String| ObjectRef {
        resource: ApiResource::erase::<k8s_openapi::api::apps::v1::Deployment>(&()),
        namespace: Some(site.namespace().to_owned()),
        name: name.clone(),
    };
    let objects: Vec<ObjectRef> = claim.deployments.iter().map(deployment).collect();
    let hub = &site.prober.hub;
    let stands = |on: &str| site.notes.stands(Verdict::broken(claim.wants_workloads(), on));
    let unseen = |error| Unseen(complaint::chain(&error));
    let settled = match hub.settle_telling(&objects, stands).await.map_err(unseen)? {
        Ok(settled) => settled,
        Err(doom) => return Ok(Err(doom.why)),
    };
    for object in &objects {
        let now = hub.current(object).await.map_err(unseen)?;
        if now.is_some_and(|deployment| deployment.data["spec"]["replicas"] == 0) {
            return Ok(Err(format!("{object} is scaled to 0: nothing of it runs")));
        }
    }
    // What comes now is not about workloads any more.
    drop(site.notes.look_afresh());
    Ok(Ok(settled))
}

/// What keeps a CRD from being served; `None` once every version that it serves answers a list.
async fn unserved(name: &str, site: &Site<'_>) -> Result<Option<String>, Unseen> {
    let client = site.prober.hub.client();
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let Some(crd) = crds.get_opt(name).await.map_err(unseen(name))? else {
        return Ok(Some(format!("{name} does not exist")));
    };
    if crd.metadata.deletion_timestamp.is_some() {
        return Ok(Some(format!("{name} is being deleted")));
    }
    let served: Vec<_> = crd.spec.versions.iter().filter(|version| version.served).collect();
    if served.is_empty() {
        return Ok(Some(format!("{name} serves no version")));
    }
    for version in served {
        let resource = ApiResource {
            group: crd.spec.group.clone(),
            version: version.name.clone(),
            api_version: format!("{}/{}", crd.spec.group, version.name),
            kind: crd.spec.names.kind.clone(),
            plural: crd.spec.names.plural.clone(),
        };
        let endpoint: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        match endpoint.list_metadata(&ListParams::default().limit(1)).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code != 403 => {
                return Ok(Some(format!("{name} does not answer a list of {}: {}", version.name, status.message)));
            }
            Err(error) => return Err(unseen(name)(error)),
        }
    }
    Ok(None)
}

/// What the API server would make of the object in a file, were it created now.
async fn rehearse(file: Option<&Path>, site: &Site<'_>) -> Result<Option<Admission>, Unseen> {
    let Some(file) = file else { return Ok(None) };
    let path = site.check.folder.join(file);
    let origin = path.display().to_string();
    let text =
        tokio::fs::read_to_string(&path).await.map_err(|error| Unseen(format!("cannot read {origin}: {error}")))?;
    let mut written = manifest::read(&origin, &text).map_err(|error| Unseen(complaint::chain(&error)))?;
    let (Some(written), true) = (written.pop(), written.is_empty()) else {
        return Err(Unseen(format!("{origin} must hold exactly one object")));
    };
    Ok(Some(create(&written.object, site).await?))
}

async fn create(object: &DynamicObject, site: &Site<'_>) -> Result<Admission, Unseen> {
    let title = manifest::title(object);
    let client = site.prober.hub.client();
    let types = object.types.clone().unwrap_or_default();
    let Some(kind) = kinds::served(client, &types).await.map_err(unseen(&title))? else {
        return Ok(Admission::Invalid { words: format!("no kind {} in {} is served", types.kind, types.api_version) });
    };
    let rehearsal = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
    match kind.endpoint(client, object, site.namespace()).create(&rehearsal, object).await {
        Ok(_) => Ok(Admission::Accepted),
        // That it is already there is found last, after admission has let it pass.
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Admission::Accepted),
        Err(kube::Error::Api(status)) => Ok(Admission::refused(status.code, &status.message)),
        Err(error) => Err(unseen(&title)(error)),
    }
}

fn unseen(what: &str) -> impl Fn(kube::Error) -> Unseen {
    move |error| Unseen(format!("cannot ask the API server for {what}: {}", complaint::chain(&error)))
}
