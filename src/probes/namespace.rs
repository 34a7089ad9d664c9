//! Twin of `checks/namespace.rs`: a wait on a namespace and on what is made in it for every pod.

use std::collections::BTreeMap;

use futures::future::select_all;
use kube::api::DynamicObject;
use serde_json::Value;

use super::{Site, Unseen};
use crate::checks::{Claim, Namespace, NamespaceAnswer, NamespaceFound, Verdict};
use crate::complaint::chain;
use crate::watch::{Objects, WatchError, Window};

/// Made by controllers in every new namespace; a pod created before them is refused, or starts without them.
const PREPARED: [(&str, &str); 2] = [("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")];

pub(super) async fn observe(claim: &Namespace, site: &Site<'_>) -> Result<NamespaceAnswer, Unseen> {
    let name = claim.name.as_deref().unwrap_or(site.namespace());
    watch(claim, site, name).await.map_err(|error| Unseen(chain(&error)))
}

/// Looks again at every change until the claim holds; the engine ends the wait.
async fn watch(claim: &Namespace, site: &Site<'_>, name: &str) -> Result<NamespaceAnswer, WatchError> {
    let mut windows = windows(site, name).await?;
    loop {
        if let Some(found) = found(&mut windows, name)? {
            let answer = NamespaceAnswer { name: name.to_owned(), found };
            match claim.judge(&answer) {
                Verdict::Held { .. } => return Ok(answer),
                verdict @ (Verdict::Broken { .. } | Verdict::Unclear { .. }) => site.notes.stands(verdict),
            }
        }
        select_all(windows.iter_mut().map(|window| Box::pin(window.changed()))).await;
    }
}

/// Windows on the namespaces, and on the quotas, accounts and ConfigMaps of this one.
async fn windows(site: &Site<'_>, name: &str) -> Result<Vec<Window>, WatchError> {
    let hub = &site.prober.hub;
    let mut windows = vec![hub.window(&hub.resource("Namespace").await?.resource, None)];
    for kind in ["ResourceQuota", PREPARED[0].0, PREPARED[1].0] {
        windows.push(hub.window(&hub.resource(kind).await?.resource, Some(name)));
    }
    Ok(windows)
}

/// The namespace as it is now, or that there is none; nothing before every list is complete.
fn found(windows: &mut [Window], name: &str) -> Result<Option<Option<NamespaceFound>>, WatchError> {
    let mut seen = Vec::new();
    for window in windows {
        match window.objects()? {
            Some(objects) => seen.push(objects),
            None => return Ok(None),
        }
    }
    let [namespaces, quotas, accounts, maps] = seen.as_slice() else { return Ok(None) };
    let prepared = PREPARED.into_iter().zip([accounts, maps]);
    let unprepared = prepared.filter(|((_, name), objects)| named(objects, name).is_none());
    Ok(Some(named(namespaces, name).map(|namespace| NamespaceFound {
        phase: namespace.data.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default().to_owned(),
        labels: namespace.metadata.labels.clone().unwrap_or_default(),
        quota: quotas.iter().flat_map(|quota| limits(quota)).collect(),
        unprepared: unprepared.map(|((kind, name), _)| format!("{kind} {name}")).collect(),
    })))
}

fn named<'a>(objects: &'a Objects, name: &str) -> Option<&'a DynamicObject> {
    objects.iter().find(|object| object.metadata.name.as_deref() == Some(name)).map(|object| &**object)
}

/// The limits that a quota's controller enforces.
fn limits(quota: &DynamicObject) -> BTreeMap<String, String> {
    let hard = quota.data.pointer("/status/hard").and_then(Value::as_object);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    hard.into_iter().flatten().map(|(resource, limit)| (resource.clone(), text(limit))).collect()
}
