//! What surrounds an object: everything in its namespace that can explain how it is.

use std::collections::{BTreeMap, BTreeSet};

use super::Object;

/// The objects around the one that is assessed. A kind that is not there explains nothing and breaks nothing.
#[derive(Debug, Default)]
pub struct Surroundings<'a> {
    kinds: BTreeMap<&'a str, Vec<Object<'a>>>,
    statusless: BTreeSet<(String, String)>,
    unseen: BTreeSet<String>,
}

impl<'a> Surroundings<'a> {
    /// The surroundings made of these objects: pods, their owners, events, claims, endpoint slices, nodes.
    pub fn new(objects: impl IntoIterator<Item = Object<'a>>) -> Self {
        let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for object in objects {
            kinds.entry(object.kind).or_default().push(object);
        }
        Self { kinds, ..Self::default() }
    }

    /// The same, knowing the groups and kinds whose definition has no status to write.
    #[must_use]
    pub fn without_status(mut self, kinds: impl IntoIterator<Item = (String, String)>) -> Self {
        self.statusless.extend(kinds);
        self
    }

    /// The same, knowing the kinds that may not be looked at: nothing of them is missing for not being seen.
    #[must_use]
    pub fn unseen(mut self, kinds: impl IntoIterator<Item = String>) -> Self {
        self.unseen.extend(kinds);
        self
    }

    /// Whether an object would be seen if it were there, and is not.
    pub(super) fn lacks(&self, kind: &str, name: &str) -> bool {
        !self.unseen.contains(kind) && self.named(kind, name).is_none()
    }

    /// Whether objects of a kind may be looked at.
    pub(super) fn sees(&self, kind: &str) -> bool {
        !self.unseen.contains(kind)
    }

    pub(super) fn has_no_status(&self, object: Object<'_>) -> bool {
        self.statusless.contains(&(object.group.to_owned(), object.kind.to_owned()))
    }

    pub(super) fn all(&self, kind: &str) -> &[Object<'a>] {
        self.kinds.get(kind).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn named(&self, kind: &str, name: &str) -> Option<Object<'a>> {
        self.all(kind).iter().find(|object| object.name() == name).copied()
    }

    pub(super) fn owned(&self, kind: &str, owner: Object<'_>) -> impl Iterator<Item = Object<'a>> {
        self.all(kind).iter().filter(move |object| object.is_owned_by(owner.uid())).copied()
    }

    /// The newest event about an object among those with one of these reasons; all reasons where none is named.
    pub(super) fn newest_event(&self, about: Object<'_>, reasons: &[&str]) -> Option<Object<'a>> {
        self.newest_event_that(about, |event| reasons.is_empty() || reasons.contains(&event.text("/reason")))
    }

    pub(super) fn newest_event_that(&self, about: Object<'_>, fits: impl Fn(Object<'a>) -> bool) -> Option<Object<'a>> {
        let own = |event: &&Object<'a>| event.text("/involvedObject/uid") == about.uid() && fits(**event);
        // Timestamps of events are whole seconds; resource versions order them as they were written.
        let written = |event: &&Object<'_>| event.metadata.resource_version.as_deref()?.parse::<u64>().ok();
        self.all("Event").iter().filter(own).max_by_key(written).copied()
    }
}
