//! CustomResourceDefinitions, whose names are accepted and which are established a moment later; and APIServices.

use serde_json::{Value, json};

use super::faults::Fault;
use super::offspring::{conditions, set_condition};
use super::scene::{Scene, condition, is, list, text};

/// Accepts the names of a definition and establishes it.
pub(super) fn live(scene: &mut Scene<'_>) {
    if scene.leaving() {
        return;
    }
    let mut all = conditions(scene.object);
    let stamp = scene.stamp();
    let (mut accepted, mut conflict) = names(scene);
    if scene.strikes(Fault::CrdNamesRefused) {
        let plural = text(scene.object, "/spec/names/plural");
        conflict = Some(("PluralConflict", format!("\"{plural}\" is already in use")));
        accepted = json!({"plural": "", "kind": ""});
    }
    let mut say = |kind: &str, status: &str, reason: &str, message: &str| {
        let new = json!({"type": kind, "status": status, "reason": reason, "message": message});
        set_condition(&mut all, new, &stamp);
    };
    match conflict {
        Some((reason, message)) => {
            say("NamesAccepted", "False", reason, &message);
            if condition(scene.object, "Established").is_none() {
                say("Established", "False", "NotAccepted", "not all names are accepted");
            }
        }
        None => {
            say("NamesAccepted", "True", "NoConflicts", "no conflicts found");
            let established = super::scene::holds(scene.object, "Established");
            let waited = scene.lasting("accepted", 0);
            if scene.strikes(Fault::CrdNotEstablished) || (waited.is_zero() && !established) {
                say("Established", "False", "Installing", "the initial names have been accepted");
                let pause = scene.dice.delay(10, 60);
                scene.after(pause);
            } else if !established {
                say("Established", "True", "InitialNamesAccepted", "the initial names have been accepted");
            }
        }
    }
    let status = json!({"conditions": all, "acceptedNames": accepted, "storedVersions": stored(scene.object)});
    scene.status(status);
}

/// The versions that objects have been stored in: what was said before, and the present one.
fn stored(definition: &Value) -> Vec<Value> {
    let mut stored = list(definition, "/status/storedVersions").to_vec();
    let versions = list(definition, "/spec/versions").iter();
    let present = versions.filter(|version| is(version, "/storage")).filter_map(|version| version.get("name"));
    for version in present {
        if !stored.contains(version) {
            stored.push(version.clone());
        }
    }
    stored
}

/// The names that a definition is given, and the last conflict with another definition of its group, as the naming
/// controller finds them.
fn names(scene: &mut Scene<'_>) -> (Value, Option<(&'static str, String)>) {
    let object = scene.object;
    let group = text(object, "/spec/group");
    let fields = [
        ("plural", "PluralConflict"),
        ("singular", "SingularConflict"),
        ("kind", "KindConflict"),
        ("listKind", "ListKindConflict"),
    ];
    let (mut accepted, mut conflict) = (json!({"plural": "", "kind": ""}), None);
    for (field, reason) in fields {
        let wanted = text(object, &format!("/spec/names/{field}"));
        // Kinds and the names of lists are of one sort: neither may be another's other.
        let sort = if matches!(field, "kind" | "listKind") { "kinds" } else { "resources" };
        if wanted.is_empty() {
            continue;
        }
        if scene.take(format!("{group}/{sort}/{wanted}")) {
            accepted[field] = json!(wanted);
        } else {
            conflict = Some((reason, format!("\"{wanted}\" is already in use")));
        }
    }
    for field in ["shortNames", "categories"] {
        if let Some(more) = object.pointer(&format!("/spec/names/{field}")) {
            accepted[field] = more.clone();
        }
    }
    (accepted, conflict)
}

/// Says of an APIService that the server itself serves it.
pub(super) fn local(scene: &mut Scene<'_>) {
    if scene.object.pointer("/spec/service").is_some_and(|service| !service.is_null()) {
        return;
    }
    let mut all = conditions(scene.object);
    let message = "Local APIServices are always available";
    let new = json!({"type": "Available", "status": "True", "reason": "Local", "message": message});
    set_condition(&mut all, new, &scene.stamp());
    scene.status(json!({"conditions": all}));
}
