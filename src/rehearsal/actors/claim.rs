//! PersistentVolumeClaims: a volume made for each, as Kind's local-path provisioner does it.

use serde_json::{Value, json};

use super::super::object::Key;
use super::faults::Fault;
use super::scene::{Scene, name, text};

/// Who says so.
const SOURCE: &str = "persistentvolume-controller";
/// The class that a rehearsed cluster has.
pub(super) const STANDARD: &str = "standard";
/// The collection of classes.
const CLASSES: &str = "storage.k8s.io/storageclasses";
/// The node of a claim's first consumer.
const SELECTED: &str = "volume.kubernetes.io/selected-node";

/// Binds a claim, or says what it waits for.
pub(super) fn live(scene: &mut Scene<'_>) {
    let phase = text(scene.object, "/status/phase");
    if scene.leaving() || phase == "Bound" {
        return;
    }
    if phase != "Pending" {
        scene.status(json!({"phase": "Pending"}));
    }
    let class = text(scene.object, "/spec/storageClassName").to_owned();
    let known = scene.view.get(&Key::new(CLASSES, "", if class.is_empty() { STANDARD } else { &class }));
    if known.is_none() && !matches!(&*class, "" | STANDARD) {
        let why = format!("storageclass.storage.k8s.io \"{class}\" not found");
        return once(scene, true, "ProvisioningFailed", why);
    }
    let waits = known.as_ref().is_none_or(|class| text(class, "/volumeBindingMode") != "Immediate");
    let selected = scene.object.pointer("/metadata/annotations").and_then(|map| map.get(SELECTED)).is_some();
    if waits && !selected {
        let why = "waiting for first consumer to be created before binding";
        return once(scene, false, "WaitForFirstConsumer", why.to_owned());
    }
    if scene.strikes(Fault::PvcPending) {
        let why = "failed to provision volume with StorageClass \"standard\": no space left on device";
        return once(scene, true, "ProvisioningFailed", why.to_owned());
    }
    if scene.lasting("provisioning", 0).is_zero() {
        let why = "Waiting for a volume to be created either by the external provisioner 'rancher.io/local-path' or \
                   manually by the system administrator. If volume creation is delayed, please verify that the \
                   provisioner is running and correctly registered.";
        scene.tell(SOURCE, "ExternalProvisioning", why.to_owned());
        let pause = scene.dice.delay(5, 20);
        return scene.after(pause);
    }
    bind(scene, if class.is_empty() { STANDARD } else { &class });
}

/// Says something unless it was said before.
fn once(scene: &mut Scene<'_>, warning: bool, reason: &'static str, why: String) {
    let token = i64::from(warning) * 2 + i64::try_from(reason.len()).unwrap_or_default() * 4;
    // A class may appear, and then nothing else tells of it.
    let later = scene.dice.delay(150, 250);
    scene.after(later);
    if scene.lasting("said", token).is_zero() {
        scene.event(SOURCE, reason, why, None, warning);
    }
}

/// Makes a volume and binds the claim to it.
fn bind(scene: &mut Scene<'_>, class: &str) {
    let claim = scene.object;
    let volume = format!("pvc-{}", scene.uid());
    let modes = claim.pointer("/spec/accessModes").cloned().unwrap_or(json!(["ReadWriteOnce"]));
    let storage = claim.pointer("/spec/resources/requests/storage").cloned().unwrap_or(json!("1Gi"));
    let capacity = json!({"storage": storage});
    let whole = format!("{}/{}", scene.key.namespace, scene.key.name);
    let provisioner = "rancher.io_local-path";
    scene.event(
        provisioner,
        "Provisioning",
        format!("External provisioner is provisioning volume for claim \"{whole}\""),
        None,
        false,
    );
    let message = format!("Successfully provisioned volume {volume}");
    scene.event(provisioner, "ProvisioningSucceeded", message, None, false);
    scene.create(
        "/persistentvolumes",
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume, "annotations": {"pv.kubernetes.io/provisioned-by": "rancher.io/local-path"}},
            "spec": {
                "capacity": capacity, "accessModes": modes, "storageClassName": class, "volumeMode": "Filesystem",
                "persistentVolumeReclaimPolicy": "Delete",
                "hostPath": {"path": format!("/var/local-path-provisioner/{volume}"), "type": "DirectoryOrCreate"},
                "claimRef": {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name(claim),
                    "namespace": &*scene.key.namespace, "uid": scene.uid(),
                },
            },
            "status": {"phase": "Bound"},
        }),
    );
    scene.merge(json!({
        "metadata": {"annotations": {
            "pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes",
            "volume.kubernetes.io/storage-provisioner": "rancher.io/local-path",
        }},
        "spec": {"volumeName": volume},
    }));
    scene.status(json!({"phase": "Bound", "accessModes": modes, "capacity": capacity}));
}

/// A volume is bound to its claim for as long as there is one, and goes with it.
pub(super) fn volume(scene: &mut Scene<'_>) {
    let reference = scene.object.pointer("/spec/claimRef");
    let Some(claim) = reference.map(|claim| (text(claim, "/namespace"), text(claim, "/name"), text(claim, "/uid")))
    else {
        return scene.status(json!({"phase": "Available"}));
    };
    let key = Key::new("/persistentvolumeclaims", claim.0, claim.1);
    let there = scene.view.get(&key).is_some_and(|object| super::scene::uid(&object) == claim.2);
    match (there, text(scene.object, "/spec/persistentVolumeReclaimPolicy")) {
        (true, _) => scene.status(json!({"phase": "Bound"})),
        (false, "Delete") if !scene.leaving() => scene.delete(scene.key.clone(), scene.object),
        (false, _) => scene.status(json!({"phase": "Released"})),
    }
}

/// The volume of a claim.
pub(super) fn volume_of(claim: &Value) -> Option<Key> {
    let volume = text(claim, "/spec/volumeName");
    (!volume.is_empty()).then(|| Key::new("/persistentvolumes", "", volume))
}
