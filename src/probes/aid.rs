//! What a release's tests use and is no test itself: an account, a configuration, a Secret.

use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams};

use super::running::{mark, refusal};
use super::{Site, Unseen, helm_test};
use crate::complaint;
use crate::k8s::{CHECK_LABEL, FIELD_MANAGER, RUN_LABEL};
use crate::kinds;
use crate::manifest;
use crate::watch::ObjectRef;

/// Brings such a hook in; the run's end takes it away. In helm's place: to helm it counts as run once it is made. The
/// inner error is why the cluster does not take it.
pub(super) async fn bring(mut hook: DynamicObject, site: &Site<'_>) -> Result<Result<(), String>, Unseen> {
    let (client, title) = (site.prober.hub.client(), manifest::title(&hook));
    let cannot =
        |what: &str, error: &kube::Error| Unseen(format!("cannot {what} {title}: {}", complaint::chain(error)));
    let Some(types) = hook.types.clone() else { return Ok(Err(format!("{title} has no kind"))) };
    let served = kinds::served(client, &types).await.map_err(|error| cannot("look for the kind of", &error))?;
    let Some(kind) = served else {
        return Ok(Err(format!("{title}: the API server does not serve {}/{}", types.api_version, types.kind)));
    };
    let labels = hook.labels_mut();
    labels.insert(RUN_LABEL.to_owned(), site.prober.run.clone());
    labels.insert(CHECK_LABEL.to_owned(), mark(site.check));
    let endpoint = kind.endpoint(client, &hook, site.namespace());
    let there = endpoint.get_opt(&hook.name_any()).await.map_err(|error| cannot("look for", &error))?;
    if there.is_some_and(|there| !helm_test::is_test(&there)) {
        return Ok(Err(format!("{title} is there already, and is no test hook")));
    }
    let params = PatchParams::apply(FIELD_MANAGER).force();
    match endpoint.patch(&hook.name_any(), &params, &Patch::Apply(&hook)).await {
        Ok(_) => {}
        Err(error) => return refusal(&error).map_or_else(|| Err(cannot("bring in", &error)), |why| Ok(Err(why))),
    }
    let namespace = kind.place(&hook, site.namespace());
    site.prober.remember(ObjectRef { resource: kind.resource, namespace, name: hook.name_any() });
    Ok(Ok(()))
}
