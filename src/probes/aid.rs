//! What a release's tests use and is no test itself: an account, a configuration, a Secret.

use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use tokio::time::timeout;

use super::running::{label, refusal};
use super::{Site, Unseen, helm_test};
use crate::complaint;
use crate::k8s::FIELD_MANAGER;
use crate::kinds;
use crate::manifest;
use crate::watch::ObjectRef;

/// How long what an earlier test left has to be gone.
const GOING: Duration = Duration::from_secs(20);

/// Makes such a hook, anew where it is there already, as helm does by default: to helm it has run once it is made. What was
/// not there before goes when the run ends. The inner error is why the cluster does not take it.
pub(super) async fn bring(mut hook: DynamicObject, site: &Site<'_>) -> Result<Result<(), String>, Unseen> {
    let (client, title) = (site.prober.hub.client(), manifest::title(&hook));
    let cannot = |what: &str, why: &str| Unseen(format!("cannot {what} {title}: {why}"));
    manifest::secret_values(&hook).iter().for_each(|value| site.prober.secrets.learn(value));
    let Some(types) = hook.types.clone() else { return Ok(Err(format!("{title} has no kind"))) };
    let served = kinds::served(client, &types).await;
    let served = served.map_err(|error| cannot("look for the kind of", &complaint::chain(&error)))?;
    let Some(kind) = served else {
        return Ok(Err(format!("{title}: the API server does not serve {}/{}", types.api_version, types.kind)));
    };
    let (name, endpoint) = (hook.name_any(), kind.endpoint(client, &hook, site.namespace()));
    let there = endpoint.get_opt(&name).await.map_err(|error| cannot("look for", &complaint::chain(&error)))?;
    let was_there = there.is_some();
    match there {
        Some(there) if helm_test::is_test(&there) => {
            replaced(&endpoint, &there).await.map_err(|why| cannot("replace", &why))?;
        }
        Some(_) => return Ok(Err(format!("{title} is there already, and is no test hook"))),
        // Only what is ours carries the marks by which it is taken away.
        None => label(&mut hook, site),
    }
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    if let Err(error) = endpoint.create(&params, &hook).await {
        return refusal(&error).map_or_else(|| Err(cannot("make", &complaint::chain(&error))), |why| Ok(Err(why)));
    }
    if !was_there {
        let namespace = kind.place(&hook, site.namespace());
        site.prober.remember(ObjectRef { resource: kind.resource, namespace, name });
    }
    Ok(Ok(()))
}

/// Deletes what is there, and waits until it is gone.
async fn replaced(endpoint: &Api<DynamicObject>, there: &DynamicObject) -> Result<(), String> {
    let (name, uid) = (there.name_any(), there.uid().unwrap_or_default());
    match endpoint.delete(&name, &DeleteParams::background()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(complaint::chain(&error)),
    }
    match timeout(GOING, await_condition(endpoint.clone(), &name, conditions::is_deleted(&uid))).await {
        Ok(gone) => gone.map(drop).map_err(|error| complaint::chain(&error)),
        Err(_) => Err(format!("it is still there {} s after its deletion", GOING.as_secs())),
    }
}
