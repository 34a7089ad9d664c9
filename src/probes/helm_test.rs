//! Twin of `checks/helm_test.rs`.
//!
//! `helm test` itself loses logs with the pods it deletes and is green without a test. So the hooks are read from the
//! release and run like Jobs of our own, in helm's order, with what they use.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::DynamicObject;

use super::running::Running;
use super::{Site, Unseen, aid};
use crate::checks::{HelmTest, HelmTestAnswer, Ran};
use crate::complaint;
use crate::kinds;
use crate::manifest;
use crate::process::Program;

/// The annotation that makes an object a hook: a list of the moments at which it runs.
const HOOK: &str = "helm.sh/hook";

/// Hooks of one moment run by ascending weight, then by name (helm `pkg/action/hooks.go`, `hookByWeight.Less`).
const WEIGHT: &str = "helm.sh/hook-weight";

pub(super) async fn observe(claim: &HelmTest, site: &Site<'_>) -> Result<HelmTestAnswer, Unseen> {
    let release = claim.release.as_ref().or(site.check.release.as_ref());
    let release =
        release.ok_or_else(|| Unseen("the component is no Helm release, and the check names none".to_owned()))?;
    let turn = site.prober.turns.of(format!("{}/{release}", site.namespace()));
    site.notes.waiting(format!("another check to end the tests of release {release}"));
    let _turn = turn.lock().await;
    site.notes.waiting(format!("the tests of release {release}"));
    let hooks = in_order(test_hooks(release, site).await?);
    let is_run = |hook: &&DynamicObject| kinds::running(hook.types.as_ref()).is_some();
    let names = hooks.iter().filter(is_run).map(|hook| hook.name_any()).collect();
    let mut answer = HelmTestAnswer { hooks: names, ran: BTreeMap::new() };
    for hook in hooks {
        let name = hook.name_any();
        let end = if !is_run(&&hook) {
            aid::bring(hook, site).await?.map(|()| None)
        } else if claim.only.is_empty() || claim.only.contains(&name) {
            let running = Running::new(site, hook)?;
            running.prune().await?;
            Ok(Some(running.until_the_end(None).await?))
        } else {
            continue;
        };
        let ran = match end {
            Ok(None) => continue,
            Ok(Some(ran)) => ran,
            Err(why) => Ran { end: Err(vec![why]), launch: None, log: None, cut: None },
        };
        let failed = ran.end.is_err();
        answer.ran.insert(name, ran);
        // As helm does: what comes after a failed hook may build on it.
        if failed {
            break;
        }
    }
    Ok(answer)
}

async fn test_hooks(release: &str, site: &Site<'_>) -> Result<Vec<DynamicObject>, Unseen> {
    let (prober, namespace) = (site.prober, site.namespace());
    let helm = prober.helm.as_ref().ok_or_else(|| Unseen("there is no helm to read the release with".to_owned()))?;
    let program = Program::new(helm).args(["get", "hooks", release, "--namespace", namespace]);
    let program = program.args(prober.access.for_helm());
    let text = program.output().await.map_err(|error| Unseen(prober.secrets.mask(&complaint::chain(&error))))?;
    let objects = manifest::read(&format!("the hooks of release {release}"), &String::from_utf8_lossy(&text));
    let objects = objects.map_err(|error| Unseen(complaint::chain(&error)))?;
    Ok(objects.into_iter().map(|written| written.object).filter(is_test).collect())
}

/// `test-success` is the name that helm 2 used; helm still honours it.
pub(super) fn is_test(object: &DynamicObject) -> bool {
    let moments = object.annotations().get(HOOK).map(String::as_str).unwrap_or_default();
    moments.split(',').any(|moment| matches!(moment.trim(), "test" | "test-success"))
}

fn in_order(mut hooks: Vec<DynamicObject>) -> Vec<DynamicObject> {
    let weight = |hook: &DynamicObject| {
        hook.annotations().get(WEIGHT).and_then(|weight| weight.trim().parse::<i64>().ok()).unwrap_or(0)
    };
    hooks.sort_by_key(|hook| (weight(hook), hook.name_any()));
    hooks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(name: &str, annotations: &[(&str, &str)]) -> DynamicObject {
        let mut object =
            DynamicObject::new(name, &kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&()));
        object
            .annotations_mut()
            .extend(annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        object
    }

    #[test]
    fn only_test_hooks_are_tests() {
        for (moments, test) in
            [("test", true), ("post-install,test", true), ("test-success", true), ("post-install", false)]
        {
            assert_eq!(is_test(&hook("a", &[(HOOK, moments)])), test, "{moments}");
        }
        assert!(!is_test(&hook("a", &[])));
    }

    #[test]
    fn hooks_run_by_weight_and_then_by_name() {
        let hooks = vec![hook("b", &[]), hook("a", &[]), hook("z", &[(WEIGHT, "-5")]), hook("c", &[(WEIGHT, "10")])];
        let names: Vec<String> = in_order(hooks).iter().map(|hook| hook.name_any()).collect();
        assert_eq!(names, ["z", "a", "b", "c"]);
    }
}
