//! Volumes and where they come from.

use serde_json::{Value, json};

use super::Layout;
use super::glance::{Glance, bare, or_none};

/// The columns of kinds about storage.
pub(super) fn layout(plural: &str) -> Option<Layout> {
    Some(match plural {
        "persistentvolumes" => (
            "Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|*VolumeMode",
            volume,
        ),
        "persistentvolumeclaims" => {
            ("Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|*VolumeMode", claim)
        }
        "storageclasses" => {
            ("Name|Provisioner|ReclaimPolicy|VolumeBindingMode|?AllowVolumeExpansion|Age", storage_class)
        }
        "csidrivers" => {
            ("Name|?AttachRequired|?PodInfoOnMount|?StorageCapacity|TokenRequests|?RequiresRepublish|Modes|Age", driver)
        }
        "csinodes" => ("Name|#Drivers|Age", node),
        "volumeattachments" => ("Name|Attacher|PV|Node|?Attached|Age", attachment),
        _ => return None,
    })
}

fn volume(glance: &Glance<'_>) -> Value {
    let full_name = |claim: &Value| format!("{}/{}", bare(&claim["namespace"]), bare(&claim["name"]));
    let claim = glance.some("/spec/claimRef").map(full_name).unwrap_or_default();
    json!([
        glance.name(),
        quantity(glance.at("/spec/capacity/storage")),
        modes(glance.list("/spec/accessModes")),
        glance.text("/spec/persistentVolumeReclaimPolicy"),
        phase(glance),
        claim,
        class(glance),
        glance.text_or("/spec/volumeAttributesClassName", "<unset>"),
        glance.text("/status/reason"),
        glance.age(),
        glance.text_or("/spec/volumeMode", "<unset>"),
    ])
}

fn claim(glance: &Glance<'_>) -> Value {
    let bound = !glance.text("/spec/volumeName").is_empty();
    let when_bound = |text: String| if bound { text } else { String::new() };
    json!([
        glance.name(),
        phase(glance),
        glance.text("/spec/volumeName"),
        when_bound(quantity(glance.at("/status/capacity/storage"))),
        when_bound(modes(glance.list("/status/accessModes"))),
        class(glance),
        glance.text_or("/spec/volumeAttributesClassName", "<unset>"),
        glance.age(),
        glance.text_or("/spec/volumeMode", "<unset>"),
    ])
}

fn phase<'a>(glance: &Glance<'a>) -> &'a str {
    if glance.is_being_deleted() { "Terminating" } else { glance.text("/status/phase") }
}

/// The class of a volume or claim; the annotation is older than the field and goes before it.
fn class<'a>(glance: &Glance<'a>) -> &'a str {
    match glance.text("/metadata/annotations/volume.beta.kubernetes.io~1storage-class") {
        "" => glance.text("/spec/storageClassName"),
        beta => beta,
    }
}

/// A quantity as it is written; one that is not there is 0.
fn quantity(value: &Value) -> String {
    if value.is_null() { "0".to_owned() } else { bare(value) }
}

/// Access modes by their short names, each once, in the order in which they are always named.
fn modes(given: &[Value]) -> String {
    let known =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let named = known.iter().filter(|(mode, _)| given.iter().any(|given| given == mode));
    named.map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

fn storage_class(glance: &Glance<'_>) -> Value {
    let marks = ["storageclass.kubernetes.io~1is-default-class", "storageclass.beta.kubernetes.io~1is-default-class"];
    let is_default = marks.iter().any(|mark| glance.text(&format!("/metadata/annotations/{mark}")) == "true");
    json!([
        format!("{}{}", glance.name(), if is_default { " (default)" } else { "" }),
        glance.text("/provisioner"),
        glance.text_or("/reclaimPolicy", "Delete"),
        glance.text_or("/volumeBindingMode", "Immediate"),
        glance.at("/allowVolumeExpansion") == true,
        glance.age(),
    ])
}

fn driver(glance: &Glance<'_>) -> Value {
    let audiences: Vec<String> =
        glance.list("/spec/tokenRequests").iter().map(|request| bare(&request["audience"])).collect();
    let tokens = if audiences.is_empty() { "<unset>".to_owned() } else { audiences.join(",") };
    let modes: Vec<String> = glance.list("/spec/volumeLifecycleModes").iter().map(bare).collect();
    json!([
        glance.name(),
        glance.at("/spec/attachRequired") != false,
        glance.at("/spec/podInfoOnMount") == true,
        glance.at("/spec/storageCapacity") == true,
        tokens,
        glance.at("/spec/requiresRepublish") == true,
        or_none(modes.join(",")),
        glance.age(),
    ])
}

fn node(glance: &Glance<'_>) -> Value {
    json!([glance.name(), glance.count("/spec/drivers"), glance.age()])
}

fn attachment(glance: &Glance<'_>) -> Value {
    json!([
        glance.name(),
        glance.text("/spec/attacher"),
        glance.text("/spec/source/persistentVolumeName"),
        glance.text("/spec/nodeName"),
        glance.at("/status/attached") == true,
        glance.age(),
    ])
}
