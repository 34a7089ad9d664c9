//! Pods that no node takes.

use serde_json::Value;

use super::object::{list, text};
use super::patience::{REFERENCE, SCHEDULING};
use super::{Health, Object, Surroundings, volumes};

/// Whether the nodes would tell more of a pod: the scheduler finds them too small for it.
#[must_use]
pub fn wants_nodes(pod: Object<'_>) -> bool {
    pod.condition("PodScheduled").is_some_and(|condition| text(condition, "/message").contains("Insufficient"))
}

/// Why a pod has no node; `None` where it has one, or the scheduler has not looked yet.
pub(super) fn assess(pod: Object<'_>, around: &Surroundings<'_>) -> Option<Health> {
    let condition = pod.condition("PodScheduled").filter(|condition| text(condition, "/status") == "False")?;
    let message = text(condition, "/message").trim();
    if text(condition, "/reason") != "Unschedulable" {
        return Some(Health::waiting(format!("pod {} is not scheduled: {message}", pod.name())));
    }
    if let Some(claim) = claims(pod, around) {
        return Some(claim);
    }
    let line = format!("pod {} is taken by no node: {message} (Unschedulable)", pod.name());
    if message.contains("persistentvolumeclaim") && message.contains("not found") {
        return Some(Health::stuck(line, REFERENCE));
    }
    match too_big(pod, around) {
        Some(excess) => Some(Health::doomed(format!("pod {} {excess}: {message} (Unschedulable)", pod.name()))),
        None => Some(Health::stuck(line, SCHEDULING)),
    }
}

/// The gravest state of the volumes that a pod claims.
fn claims(pod: Object<'_>, around: &Surroundings<'_>) -> Option<Health> {
    let names = pod.list("/spec/volumes").iter().map(|volume| text(volume, "/persistentVolumeClaim/claimName"));
    let claims = names.filter_map(|name| around.named("PersistentVolumeClaim", name));
    Health::gravest(claims.map(|claim| volumes::assess(claim, around).below(claim)))
        .filter(|health| health.gravity() > 1)
}

/// Which request of a pod is larger than all of every node; `None` where one could take it, or no node is known.
fn too_big(pod: Object<'_>, around: &Surroundings<'_>) -> Option<String> {
    let nodes = around.all("Node");
    ["cpu", "memory", "ephemeral-storage"].into_iter().find_map(|resource| {
        let wanted = request(pod, resource);
        let sizes = nodes.iter().map(|node| node.text(&format!("/status/allocatable/{resource}")));
        let largest = sizes.max_by(|a, b| quantity(a).total_cmp(&quantity(b)))?;
        (wanted > quantity(largest)).then(|| format!("asks for more {resource} than any node has ({largest})"))
    })
}

/// What a pod asks for: its containers and sidecars together, or its largest init container if that is more.
fn request(pod: Object<'_>, resource: &str) -> f64 {
    let pointer = format!("/resources/requests/{resource}");
    let of = |container: &Value| quantity(text(container, &pointer));
    let (sidecars, inits): (Vec<_>, Vec<_>) =
        list(pod.data, "/spec/initContainers").iter().partition(|init| text(init, "/restartPolicy") == "Always");
    let together: f64 = pod.list("/spec/containers").iter().chain(sidecars).map(of).sum();
    inits.into_iter().map(of).fold(together, f64::max)
}

/// A quantity as the API writes it, in its base unit; zero for one that cannot be read.
fn quantity(text: &str) -> f64 {
    const SUFFIXES: [(&str, f64); 12] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("m", 0.001),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("", 1.0),
    ];
    let found = SUFFIXES.iter().find_map(|(suffix, factor)| {
        let number: f64 = text.strip_suffix(suffix)?.parse().ok()?;
        Some(number * factor)
    });
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_the_api_writes_them() {
        for (text, value) in [("500m", 0.5), ("2", 2.0), ("1Ki", 1024.0), ("64Gi", 68_719_476_736.0), ("1e3", 1000.0)] {
            assert!((quantity(text) - value).abs() < 1e-9, "{text}");
        }
        assert!(quantity("nonsense").abs() < 1e-9);
    }
}
