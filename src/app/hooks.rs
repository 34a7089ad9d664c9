//! What helm makes that may be gone before it returns: the hooks that it waits for, as it never says why one does not
//! start, and the Jobs that clean up after themselves.

use futures::future::{join_all, select_all};
use kube::ResourceExt as _;
use kube::api::DynamicObject;

use crate::kinds;
use crate::watch::{Doom, Hub, ObjectRef, Window};

/// Windows on the Jobs among these objects that go once they are done: whoever looks later would not find them.
pub(super) fn windows(hub: &Hub, objects: &[DynamicObject], namespace: &str) -> Vec<Window> {
    let going = objects.iter().filter(|object| kinds::cleans_up(object));
    let jobs = going.filter_map(|object| reference(object, namespace));
    jobs.map(|job| hub.window(&job.resource, job.namespace.as_deref())).collect()
}

/// The Jobs and Pods among a release's hooks, each with the uid of what was there by its name before: helm replaces what
/// an earlier install left behind, and how that ended says nothing of this one.
pub(super) struct Hooks(Vec<(ObjectRef, Option<String>)>);

impl Hooks {
    /// To be asked before helm starts.
    pub(super) async fn before(hub: &Hub, hooks: &[DynamicObject], namespace: &str) -> Self {
        let waited = hooks.iter().filter_map(|hook| reference(hook, namespace));
        let stale = waited.map(async |hook| {
            let there = hub.current(&hook).await.ok().flatten();
            (hook, there.and_then(|object| object.uid()))
        });
        Self(join_all(stale).await)
    }

    /// Why a hook will never end well; waits for ever where none is doomed.
    pub(super) async fn doomed(&self, hub: &Hub) -> Doom {
        let dooms = self.0.iter().map(|(hook, stale)| Box::pin(doomed(hub, hook, stale.as_deref())));
        // One more, as there may be no hook at all.
        let (doom, ..) = select_all(dooms.map(futures::future::Either::Left).chain([never()])).await;
        doom
    }
}

fn never<F>() -> futures::future::Either<F, std::future::Pending<Doom>> {
    futures::future::Either::Right(std::future::pending())
}

async fn doomed(hub: &Hub, hook: &ObjectRef, stale: Option<&str>) -> Doom {
    let fresh = hub.until(&hook.resource, hook.namespace.as_deref(), |objects| {
        hook.among(objects).is_some_and(|object| object.uid().as_deref() != stale).then_some(())
    });
    // What may not be watched is left to helm; so is a hook that ends well. What helm says is what is noted.
    if fresh.await.is_ok()
        && let Ok(Err(doom)) = hub.settle_telling(std::slice::from_ref(hook), |_| {}).await
    {
        return doom;
    }
    std::future::pending().await
}

/// Helm waits for hooks of these two kinds only (`pkg/kube`, `WatchUntilReady`).
fn reference(hook: &DynamicObject, namespace: &str) -> Option<ObjectRef> {
    let resource = kinds::running(hook.types.as_ref())?;
    let namespace = hook.namespace().unwrap_or_else(|| namespace.to_owned());
    Some(ObjectRef { resource, namespace: Some(namespace), name: hook.name_any() })
}
