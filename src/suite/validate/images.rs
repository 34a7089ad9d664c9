//! An environment's images: whole references, replaced wherever a suite names them.
//!
//! - Purpose: one line per image points a whole platform at a mirror, or at what was built on the spot.
//! - Never: over a change that the environment makes to a single component; who names a component means it.
//! - Why an entry that fits nothing is refused: a misspelt reference would silently pull the original.

use std::collections::BTreeMap;

use super::environment::Overlay;
use super::{Cx, Layers, install};
use crate::checks::Check;
use crate::suite::document::{ComponentDocument, InstallDocument, SuiteDocument};
use crate::suite::field::{Entries, Field};
use crate::suite::mistake::Finding;
use crate::suite::model::SingleValue;

/// What replaces what in the environment being laid.
#[derive(Debug, Default)]
pub(super) struct Images(BTreeMap<String, String>);

impl Images {
    /// What the environment says. Notes references that are not pinned, and those that no suite names.
    pub(super) fn of(cx: &mut Cx<'_>, layers: &Layers<'_>, overlay: Overlay<'_>) -> Self {
        let Some(document) = overlay.document() else { return Self::default() };
        let known = Known::of(layers);
        let mut images = BTreeMap::new();
        for (from, to) in document.images.entries() {
            if known.complete && !known.references.contains(&from.value.as_str()) {
                let finding = Finding::new(format!("no suite names the image `{}`", from.value));
                let remedy = "remove it, or list the image under `images` of the component that runs it";
                let finding = finding.remedy(remedy).did_you_mean(&from.value, known.references.iter().copied());
                cx.note(from.place, finding);
            }
            if let Some(to) = to.get() {
                images.insert(from.value.clone(), install::image(cx, to));
            }
        }
        Self(images)
    }

    /// The reference in force for one that a suite names.
    pub(super) fn in_place_of(&self, written: String) -> String {
        self.0.get(&written).cloned().unwrap_or(written)
    }

    /// A suite's own replacements, led on to what is in force, and the environment's beside them.
    pub(super) fn beside(&self, own: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let led_on = own.into_iter().map(|(from, to)| (from, self.in_place_of(to)));
        self.0.clone().into_iter().chain(led_on).collect()
    }
}

/// Every reference that a suite names. Images that only a chart or a manifest names are not known here: whoever wants
/// them replaced lists them under `images`, which is what loads them beforehand as well.
struct Known<'d> {
    references: Vec<&'d str>,
    /// Whether every part that may name one was understood; else what seems unknown may stand in what was not.
    complete: bool,
}

impl<'d> Known<'d> {
    fn of(layers: &Layers<'d>) -> Self {
        let complete = layers.known.len() == layers.ordered.len();
        let mut known = Self { references: Vec::new(), complete };
        layers.ordered.iter().for_each(|(_, suite)| known.suite(&suite.value));
        known.references.sort_unstable();
        known.references.dedup();
        known
    }

    fn suite(&mut self, suite: &'d SuiteDocument) {
        for (_, component) in suite.components.entries() {
            match component.value() {
                Some(component) => self.component(component),
                None => self.complete = false,
            }
        }
    }

    fn component(&mut self, component: &'d ComponentDocument) {
        self.complete &= !matches!(component.images, Field::Broken) && !matches!(component.install, Field::Broken);
        self.references.extend(component.images.items().map(|image| image.value.as_str()));
        match component.install.value() {
            Some(InstallDocument::Helm(helm)) => self.values(&helm.set),
            Some(InstallDocument::Manifests(manifests)) => self.pairs(&manifests.images),
            Some(InstallDocument::Crds(_) | InstallDocument::Provided(_)) | None => {}
        }
        for (_, check) in component.checks.entries() {
            if let Some(Check::Job(job)) = check.value().and_then(|check| check.probe.value()) {
                self.references.extend(job.images.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]));
            }
        }
    }

    fn values(&mut self, set: &'d Field<Entries<String, SingleValue>>) {
        let texts = set.entries().filter_map(|(_, value)| match value.value()? {
            SingleValue::Text(text) => Some(text.as_str()),
            SingleValue::Plain(_) => None,
        });
        self.references.extend(texts);
    }

    fn pairs(&mut self, pairs: &'d Field<Entries<String, String>>) {
        for (key, value) in pairs.entries() {
            self.references.push(&key.value);
            self.references.extend(value.value().map(String::as_str));
        }
    }
}
