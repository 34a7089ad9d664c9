//! Where objects come from: files that exist, versions and images that are pinned.

use std::collections::BTreeMap;
use std::path::PathBuf;

use semver::Version;

use super::Cx;
use crate::suite::document::{
    ChartDocument, CrdsDocument, HelmDocument, InstallDocument, ManifestsDocument, OciDocument, RepositoryDocument,
};
use crate::suite::field::{Entries, Field, List, Placed};
use crate::suite::mistake::Finding;
use crate::suite::model::{ChartSource, HelmInstall, Install, SingleValue};
use crate::suite::names::NamespaceName;
use crate::suite::overlay::ComponentOverlay;
use crate::suite::source::Place;

/// One install with its environment's changes.
pub(super) fn lay(
    cx: &mut Cx<'_>,
    source: &Placed<InstallDocument>,
    changes: Option<&ComponentOverlay>,
) -> Option<Install> {
    if let (Some(changes), false) = (changes, matches!(source.value, InstallDocument::Helm(_))) {
        only_for_charts(cx, changes);
    }
    match &source.value {
        InstallDocument::Helm(chart) => helm(cx, source, chart, changes).map(Install::Helm),
        InstallDocument::Manifests(manifests) => manifests_of(cx, source, manifests),
        InstallDocument::Crds(crds) => crds_of(cx, source, crds),
        InstallDocument::Provided(provided) => {
            let remedy = "say who brings it: `by: the cluster itself`";
            let by = cx.want(cx.sources.within(source.place, &["provided"]), &provided.by, "by", remedy)?;
            Some(Install::Provided { by: cx.said(by) })
        }
    }
}

/// Values, single values and a version mean nothing where no chart is installed.
fn only_for_charts(cx: &mut Cx<'_>, changes: &ComponentOverlay) {
    let places = [
        ("values", changes.values.get().map(|field| field.place)),
        ("set", changes.set.get().map(|field| field.place)),
        ("version", changes.version.get().map(|field| field.place)),
    ];
    for (key, place) in places {
        if let Some(place) = place {
            let finding =
                Finding::new(format!("`{key}` is for Helm charts, and this component is not installed by one"));
            cx.note(place, finding.remedy("remove it, or change `install` to `helm` here"));
        }
    }
}

fn helm(
    cx: &mut Cx<'_>,
    source: &Placed<InstallDocument>,
    written: &HelmDocument,
    changes: Option<&ComponentOverlay>,
) -> Option<HelmInstall> {
    let place = cx.sources.within(source.place, &["helm"]);
    let remedy = "say where the chart is: `chart: { path: … }`, `{ oci: … }` or `{ repository: … }`";
    let chart = cx.want(place, &written.chart, "chart", remedy);
    let chart = chart.and_then(|placed| chart_of(cx, placed, changes.and_then(|changes| changes.version.get())));
    let release = cx.want(place, &written.release, "release", "name the release: `release: …`");
    let release = release.map(|name| release_name(cx, name));
    let mut values = files(cx, &written.values);
    let own = changes.is_none_or(|changes| changes.install.get().is_none());
    let mut set = pairs(&written.set);
    if own {
        for value in set.values_mut() {
            if let SingleValue::Text(text) = value {
                *text = cx.images.in_place_of(std::mem::take(text));
            }
        }
    }
    if let Some(changes) = changes {
        values.extend(files(cx, &changes.values));
        set.extend(pairs(&changes.set));
    }
    Some(HelmInstall { release: release?, chart: chart?, values, set })
}

/// Helm takes DNS labels of at most 53 characters.
fn release_name(cx: &mut Cx<'_>, name: &Placed<String>) -> String {
    let text = &name.value;
    if text.len() > 53 || text.parse::<NamespaceName>().is_err() {
        let finding = Finding::new(format!("`{text}` is not a release's name"));
        cx.note(name.place, finding.remedy("use small letters, digits and dashes, at most 53 characters"));
    }
    text.clone()
}

fn files(cx: &mut Cx<'_>, list: &List<PathBuf>) -> Vec<PathBuf> {
    list.items().map(|path| cx.file(path)).collect()
}

fn pairs<V: Clone>(entries: &Field<Entries<String, V>>) -> BTreeMap<String, V> {
    entries.entries().filter_map(|(key, value)| Some((key.value.clone(), value.value()?.clone()))).collect()
}

fn chart_of(cx: &mut Cx<'_>, chart: &Placed<ChartDocument>, changed: Option<&Placed<String>>) -> Option<ChartSource> {
    match &chart.value {
        ChartDocument::Path(path) => {
            if let Some(version) = changed {
                let finding = Finding::new("this chart is a folder or file, which has one version");
                cx.note(version.place, finding.remedy("remove `version`, or change `install` here"));
            }
            Some(ChartSource::Path(cx.file_at(cx.sources.within(chart.place, &["path"]), path)))
        }
        ChartDocument::Oci(OciDocument { reference, version }) => {
            let place = cx.sources.within(chart.place, &["oci"]);
            let reference = address(cx, place, reference, "reference", &["oci://"]);
            let version = pinned_version(cx, place, version, changed);
            Some(ChartSource::Oci { reference: reference?, version: version? })
        }
        ChartDocument::Repository(RepositoryDocument { url, chart: name, version }) => {
            let place = cx.sources.within(chart.place, &["repository"]);
            let url = address(cx, place, url, "url", &["https://", "http://"]);
            let name = cx.want(place, name, "chart", "name the chart: `chart: …`").map(|name| cx.said(name));
            let version = pinned_version(cx, place, version, changed);
            Some(ChartSource::Repository { url: url?, chart: name?, version: version? })
        }
    }
}

fn address(cx: &mut Cx<'_>, place: Place, field: &Field<String>, key: &str, schemes: &[&str]) -> Option<String> {
    let written = cx.want(place, field, key, &format!("write `{key}: {}…`", schemes[0]))?;
    if !schemes.iter().any(|scheme| written.value.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty())) {
        let finding = Finding::new(format!("`{}` does not start with `{}`", written.value, schemes.join("` or `")));
        cx.note(written.place, finding.remedy(format!("write `{key}: {}…`", schemes[0])));
    }
    Some(written.value.clone())
}

/// An exact version: a range would make two runs test two platforms.
fn pinned_version(
    cx: &mut Cx<'_>,
    place: Place,
    own: &Field<String>,
    changed: Option<&Placed<String>>,
) -> Option<String> {
    let remedy = "pin the exact version, as in `version: 1.2.3`";
    let own = cx.want(place, own, "version", remedy);
    let version = changed.or(own)?;
    if Version::parse(version.value.strip_prefix('v').unwrap_or(&version.value)).is_err() {
        cx.note(version.place, Finding::new(format!("`{}` is not an exact version", version.value)).remedy(remedy));
    }
    Some(version.value.clone())
}

fn manifests_of(cx: &mut Cx<'_>, source: &Placed<InstallDocument>, written: &ManifestsDocument) -> Option<Install> {
    let remedy = "name files or folders: `paths: [manifests/redis.yaml]`";
    let place = cx.sources.within(source.place, &["manifests"]);
    if let Some(paths) = cx.want(place, &written.paths, "paths", remedy)
        && paths.value.is_empty()
    {
        cx.note(paths.place, Finding::new("nothing is installed by this").remedy(remedy));
    }
    for (_, to) in written.images.entries() {
        if let Some(to) = to.get() {
            image(cx, to);
        }
    }
    let images = cx.images.beside(pairs(&written.images));
    Some(Install::Manifests { paths: files(cx, &written.paths), images })
}

fn crds_of(cx: &mut Cx<'_>, source: &Placed<InstallDocument>, written: &CrdsDocument) -> Option<Install> {
    if is_empty(&written.charts) && is_empty(&written.paths) {
        let finding = Finding::new("nothing is installed by this");
        cx.note(source.place, finding.remedy("name `charts` or `paths` to take definitions from"));
    }
    let charts = written.charts.items().filter_map(|chart| chart_of(cx, chart, None)).collect();
    Some(Install::Crds { charts, paths: files(cx, &written.paths) })
}

/// Nothing is written there; what is written and broken is something.
fn is_empty<T>(list: &List<T>) -> bool {
    match list {
        Field::Missing => true,
        Field::Broken => false,
        Field::Is(items) => items.value.is_empty(),
    }
}

/// A whole image reference with a tag that does not move by design, or a digest.
pub(super) fn image(cx: &mut Cx<'_>, image: &Placed<String>) -> String {
    if let Err(what) = pinned(&image.value) {
        let finding = Finding::new(format!("`{}` {what}", image.value));
        cx.note(image.place, finding.remedy("pin it: `registry/name:1.2.3`, or by digest"));
    }
    image.value.clone()
}

fn pinned(image: &str) -> Result<(), &'static str> {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or_default();
    let tag = last.split_once(':').map(|(_, tag)| tag);
    if name.is_empty() || name.contains(char::is_whitespace) || last.starts_with(':') || last.is_empty() {
        return Err("is not an image reference");
    }
    match (digest, tag) {
        (Some(digest), _) if digest.starts_with("sha256:") => Ok(()),
        (Some(_), _) => Err("has a digest that is not `sha256:…`"),
        (None, None | Some("")) => Err("has no tag, so it means whatever is newest"),
        (None, Some("latest")) => Err("is whatever is newest"),
        (None, Some(_)) => Ok(()),
    }
}

/// Two releases of one name in one namespace would overwrite each other.
pub(super) fn claim_release(
    cx: &mut Cx<'_>,
    source: &Placed<InstallDocument>,
    namespace: &NamespaceName,
    release: &str,
) {
    let place = cx.sources.within(source.place, &["helm", "release"]);
    if let Some(first) = cx.releases.insert((namespace.clone(), release.to_owned()), place)
        && first != place
    {
        let finding = Finding::new(format!("two components are the release `{release}` in `{namespace}`"));
        let places = vec![(place, "again here".to_owned()), (first, "first here".to_owned())];
        cx.ledger.note_all(places, finding.remedy("give one of them another release name or namespace"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_pinned_by_a_tag_or_a_digest() {
        for image in [
            "redis:7.4",
            "docker.io/library/redis:7.4",
            "localhost:5000/redis:7",
            "redis@sha256:ab",
            "redis:7@sha256:ab",
        ] {
            assert_eq!(pinned(image), Ok(()), "{image}");
        }
        for image in
            ["", "redis", "redis:", "redis:latest", "localhost:5000/redis", "a b:1", ":7", "a/:7", "redis@md5:1"]
        {
            assert!(pinned(image).is_err(), "{image}");
        }
    }
}
