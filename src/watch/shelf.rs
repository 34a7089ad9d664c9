//! The objects of one kind in one namespace at a moment, and who among them belongs to whom.
//!
//! Why an index: a wait reads the events about its own object and the pods below it. A thousand waits that each search ten
//! thousand objects for them would cost more than everything else that a run does.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use kube::api::DynamicObject;
use serde_json::Value;

/// The objects by namespace and name.
#[derive(Debug, Default)]
pub struct Shelf {
    objects: Vec<Arc<DynamicObject>>,
    /// The places of what belongs to an object, by its uid; made when it is asked for first.
    kin: OnceLock<HashMap<Box<str>, Vec<usize>>>,
}

impl Shelf {
    /// These objects, which are in order.
    pub(super) fn new(objects: Vec<Arc<DynamicObject>>) -> Self {
        Self { objects, kin: OnceLock::new() }
    }

    /// The objects, to be changed and kept in order.
    pub(super) fn edit(&mut self) -> &mut Vec<Arc<DynamicObject>> {
        self.kin.take();
        &mut self.objects
    }

    /// The places of the objects that have an owner of this uid, and of the events about it.
    pub(super) fn kin(&self, uid: &str) -> &[usize] {
        self.kin.get_or_init(|| self.related()).get(uid).map(Vec::as_slice).unwrap_or_default()
    }

    fn related(&self) -> HashMap<Box<str>, Vec<usize>> {
        let mut kin: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (at, object) in self.objects.iter().enumerate() {
            let owners = object.metadata.owner_references.iter().flatten().map(|owner| owner.uid.as_str());
            let about = object.data.pointer("/involvedObject/uid").and_then(Value::as_str);
            for uid in owners.chain(about) {
                kin.entry(uid.into()).or_default().push(at);
            }
        }
        kin
    }
}

impl Clone for Shelf {
    fn clone(&self) -> Self {
        Self::new(self.objects.clone())
    }
}

impl Deref for Shelf {
    type Target = [Arc<DynamicObject>];

    fn deref(&self) -> &Self::Target {
        &self.objects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(yaml: &str) -> Arc<DynamicObject> {
        Arc::new(serde_saphyr::from_str(yaml).unwrap())
    }

    #[test]
    fn what_belongs_to_an_object_is_found_by_its_uid_and_anew_after_a_change() {
        let owned = |name: &str, owner: &str| {
            object(&format!(
                "{{ apiVersion: v1, kind: Pod, metadata: {{ name: {name}, ownerReferences: [{{ apiVersion: v1, kind: X, name: x, uid: {owner} }}] }} }}"
            ))
        };
        let about = object("{ apiVersion: v1, kind: Event, metadata: { name: e }, involvedObject: { uid: one } }");
        let mut shelf = Shelf::new(vec![owned("a", "one"), owned("b", "two"), about]);
        assert_eq!((shelf.kin("one"), shelf.kin("two"), shelf.kin("three")), (&[0, 2][..], &[1][..], &[][..]));
        shelf.edit()[1] = owned("b", "one");
        assert_eq!((shelf.kin("one"), shelf.kin("two")), (&[0, 1, 2][..], &[][..]));
    }
}
