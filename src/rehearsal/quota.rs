//! Quotas: what of a namespace is counted, and who is refused because of it (`plugin/pkg/admission/resourcequota`,
//! `pkg/quota/v1/evaluator/core`).
//!
//! - Counted: objects of any kind, pods that have not ended, and what containers ask for and may use of `cpu` and `memory`.
//! - Not counted: storage, and quotas with scopes, which allow everything here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::catalog::Resource;
use super::cluster::State;
use super::failure::Failure;
use super::object::View as _;
use super::schema::Amount;
use super::store::{self, Stored};

/// Whether the quotas of a namespace allow one object more.
pub(super) fn admit(state: &State, resource: &Resource, object: &Value) -> Result<(), Failure> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    for quota in state.store.list("/resourcequotas", Some(namespace)).iter().filter(|quota| !is_scoped(quota)) {
        let called = quota["metadata"]["name"].as_str().unwrap_or_default();
        let hard = quota["spec"]["hard"].as_object();
        let hard: BTreeMap<&String, Amount> =
            hard.into_iter().flatten().filter_map(|(what, most)| Some((what, Amount::read(most)?))).collect();
        if is_pods(resource) {
            let missing: Vec<String> = hard.keys().filter_map(|what| unspecified(object, what)).collect();
            if !missing.is_empty() {
                let why = format!("failed quota: {called}: must specify {}", missing.join("; "));
                return Err(Failure::forbidden(resource, name, &why));
            }
        }
        let mut too_much: [Vec<String>; 3] = Default::default();
        for (what, most) in hard {
            let Some(asked) = asked(resource, object, what) else { continue };
            let used = used(state, resource, namespace, what);
            if used.and(asked).exceeds(most) {
                let columns = too_much.iter_mut().zip([asked, used, most]);
                columns.for_each(|(column, amount)| column.push(format!("{what}={amount}")));
            }
        }
        let [asked, used, most] = too_much.map(|column| column.join(","));
        if !asked.is_empty() {
            let why = format!("exceeded quota: {called}, requested: {asked}, used: {used}, limited: {most}");
            return Err(Failure::forbidden(resource, name, &why));
        }
    }
    Ok(())
}

fn is_pods(resource: &Resource) -> bool {
    resource.group.is_empty() && &*resource.plural == "pods"
}

fn is_scoped(quota: &Value) -> bool {
    quota["spec"]["scopes"].as_array().is_some_and(|scopes| !scopes.is_empty())
        || quota["spec"]["scopeSelector"].is_object()
}

/// How much an object uses of what a quota limits; `None` where it is not about its kind.
fn asked(resource: &Resource, object: &Value, what: &str) -> Option<Amount> {
    let counted = match &*resource.group {
        "" => what.strip_prefix("count/").unwrap_or(what) == &*resource.plural,
        group => what.strip_prefix("count/") == Some(&format!("{}.{group}", resource.plural)),
    };
    if counted { Some(Amount::count(1)) } else { of_pod(object, what).filter(|_| is_pods(resource)) }
}

/// How much a namespace uses, of what `asked` tells of one object.
fn used(state: &State, resource: &Resource, namespace: &str, what: &str) -> Amount {
    // `count/pods` counts those too that have ended.
    let lives = |stored: &&Arc<Stored>| {
        let phase = store::value(&stored.fields, "status.phase");
        what.starts_with("count/") || !matches!(phase, Some("Succeeded" | "Failed"))
    };
    let all = state.store.within(&resource.collection, Some(namespace)).filter(lives);
    if is_amount(what) {
        all.filter_map(|stored| of_pod(&state.store.seen(stored), what)).fold(Amount::ZERO, Amount::and)
    } else {
        Amount::count(all.count())
    }
}

/// Whether a quota limits by this name what containers ask for or may use.
pub(super) fn is_amount(what: &str) -> bool {
    part(what).is_some()
}

/// Which part of `resources`, and what of it: `cpu` is short for `requests.cpu`.
fn part(what: &str) -> Option<(&str, &str)> {
    let (part, resource) = what.split_once('.').unwrap_or(("requests", what));
    (matches!(part, "requests" | "limits") && matches!(resource, "cpu" | "memory")).then_some((part, resource))
}

/// How much of something that is no number of objects a pod asks for, or may use: what its containers have together, or what
/// one of those has that run before them, whichever is more. `None` where it is nothing of the kind.
pub(super) fn of_pod(pod: &Value, what: &str) -> Option<Amount> {
    let (part, resource) = part(what)?;
    let of = |container: &Value| Amount::read(&container["resources"][part][resource]).unwrap_or(Amount::ZERO);
    let mut beside = Amount::ZERO;
    let mut most = Amount::ZERO;
    for container in containers(pod, "initContainers") {
        let own = of(container);
        if container["restartPolicy"] == "Always" {
            beside = beside.and(own);
        } else if beside.and(own).exceeds(most) {
            most = beside.and(own);
        }
    }
    let together = containers(pod, "containers").map(of).fold(beside, Amount::and);
    Some(if most.exceeds(together) { most } else { together })
}

/// The containers of a pod that do not say what a quota counts, as the server names them.
fn unspecified(pod: &Value, what: &str) -> Option<String> {
    let (part, resource) = part(what)?;
    let all = containers(pod, "initContainers").chain(containers(pod, "containers"));
    let silent = all.filter(|container| Amount::read(&container["resources"][part][resource]).is_none());
    let mut names: Vec<&str> = silent.filter_map(|container| container["name"].as_str()).collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| format!("{what} for: {}", names.join(",")))
}

fn containers<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    pod["spec"][list].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        let container =
            |name: &str, memory: &str| json!({ "name": name, "resources": { "limits": { "memory": memory } } });
        let mut sidecar = container("proxy", "100Mi");
        sidecar["restartPolicy"] = json!("Always");
        json!({ "spec": {
            "initContainers": [sidecar, container("migrate", "600Mi")],
            "containers": [container("main", "256Mi"), container("metrics", "256Mi")],
        }})
    }

    #[test]
    fn a_pod_uses_what_its_containers_have_together_or_one_that_runs_before_them() {
        let mut pod = pod();
        assert_eq!(of_pod(&pod, "limits.memory").unwrap().to_string(), "700Mi");
        pod["spec"]["containers"][0]["resources"]["limits"]["memory"] = json!("1Gi");
        assert_eq!(of_pod(&pod, "limits.memory").unwrap().to_string(), "1380Mi");
        assert!(of_pod(&pod, "pods").is_none() && of_pod(&pod, "requests.storage").is_none());
    }

    #[test]
    fn who_does_not_say_what_is_counted_is_named() {
        assert_eq!(unspecified(&pod(), "limits.memory"), None);
        let all = "main,metrics,migrate,proxy";
        assert_eq!(unspecified(&pod(), "requests.cpu"), Some(format!("requests.cpu for: {all}")));
        assert_eq!(unspecified(&pod(), "cpu"), Some(format!("cpu for: {all}")));
    }
}
