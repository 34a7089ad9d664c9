//! Checks: a requirement served, a window that its looks fit into, files that exist.

use std::path::Path;

use super::Cx;
use crate::checks::{Check, Contradiction, Pace};
use crate::span::Span;
use crate::suite::document::CheckDocument;
use crate::suite::field::{Field, Placed};
use crate::suite::mistake::Finding;
use crate::suite::model::{CheckSpec, as_words};
use crate::suite::names::CheckName;
use crate::suite::overlay::CheckOverlay;
use crate::suite::patience::Patience;
use crate::suite::source::Place;

/// One check with its environment's changes.
pub(super) fn lay(
    cx: &mut Cx<'_>,
    name: &CheckName,
    written: &Placed<CheckDocument>,
    change: Option<&CheckOverlay>,
) -> Option<CheckSpec> {
    let Placed { place, value: document } = written;
    let title = document.title.get().map(|title| cx.said(title));
    let remedy = "name the requirement that this check serves: `requirements: [A-40-redis]`";
    if let Some(served) = cx.want(*place, &document.requirements, "requirements", remedy)
        && served.value.is_empty()
    {
        cx.note(served.place, Finding::new("this check serves no requirement").remedy(remedy));
    }
    let probe = cx.want(*place, &document.probe, "probe", "say what is claimed: `probe: { http: { … } }`")?;
    for (keys, path) in files(&probe.value) {
        let place = cx.sources.within(probe.place, keys);
        cx.file_at(place, path);
    }
    for Contradiction { key, what, remedy } in probe.value.contradictions() {
        let place = cx.sources.within(probe.place, &[probe.value.kind(), key]);
        cx.note(place, Finding::new(what).remedy(remedy));
    }
    Some(CheckSpec {
        name: name.clone(),
        title: title.unwrap_or_else(|| as_words(name.as_str())),
        requirements: document.requirements.items().map(|requirement| requirement.value.clone()).collect(),
        check: with_images(cx, probe.value.clone()),
        patience: patience(cx, document, probe, change),
        line: cx.sources.line(*place),
    })
}

/// The claim with the environment's images, where it names a manifest.
fn with_images(cx: &Cx<'_>, check: Check) -> Check {
    match check {
        Check::Job(mut job) => {
            job.images = cx.images.beside(job.images);
            Check::Job(job)
        }
        Check::Namespace(_)
        | Check::Crd(_)
        | Check::Workload(_)
        | Check::Operator(_)
        | Check::HelmTest(_)
        | Check::Dns(_)
        | Check::Http(_)
        | Check::Tcp(_)
        | Check::Exec(_)
        | Check::Redis(_)
        | Check::Sentinel(_)
        | Check::Failover(_)
        | Check::Postgres(_)
        | Check::Clickhouse(_)
        | Check::Flyway(_)
        | Check::Kafka(_)
        | Check::S3(_)
        | Check::Pgadmin(_)
        | Check::Neo4j(_)
        | Check::Temporal(_) => check,
    }
}

/// The files that a claim names, and the keys that lead to each.
fn files(check: &Check) -> Vec<(&'static [&'static str], &Path)> {
    match check {
        Check::Job(job) => vec![(&["job", "manifest"], &job.manifest)],
        Check::Flyway(flyway) => vec![(&["flyway", "migrations"], &flyway.migrations)],
        Check::Operator(operator) => {
            let accepts = operator.accepts.iter().map(|path| (["operator", "accepts"].as_slice(), path.as_path()));
            let denies = operator.denies.iter().map(|path| (["operator", "denies"].as_slice(), path.as_path()));
            accepts.chain(denies).collect()
        }
        Check::Namespace(_)
        | Check::Crd(_)
        | Check::Workload(_)
        | Check::HelmTest(_)
        | Check::Dns(_)
        | Check::Http(_)
        | Check::Tcp(_)
        | Check::Exec(_)
        | Check::Redis(_)
        | Check::Sentinel(_)
        | Check::Failover(_)
        | Check::Postgres(_)
        | Check::Clickhouse(_)
        | Check::Kafka(_)
        | Check::S3(_)
        | Check::Pgadmin(_)
        | Check::Neo4j(_)
        | Check::Temporal(_) => Vec::new(),
    }
}

fn patience(
    cx: &mut Cx<'_>,
    document: &CheckDocument,
    probe: &Placed<Check>,
    change: Option<&CheckOverlay>,
) -> Patience {
    let usual = Patience::of(&probe.value);
    let window = change.and_then(|change| change.within.get()).or(document.within.get());
    let within = window.map_or(usual.within, |window| window.value);
    let window = Window { within, place: window.map(|window| window.place) };
    if let Check::Job(job) = &probe.value {
        let place = cx.sources.within(probe.place, &["job", "launch"]);
        window.holds(cx, place, job.launch, "until the job is launched");
    }
    if let Check::Sentinel(sentinel) = &probe.value {
        let place = cx.sources.within(probe.place, &["sentinel", "lag"]);
        window.holds(cx, place, sentinel.lag, "until a written key is on every replica");
    }
    if let Check::Postgres(postgres) = &probe.value
        && postgres.replica.is_some()
    {
        let place = cx.sources.within(probe.place, &["postgres", "lag"]);
        window.holds(cx, place, postgres.lag(), "until a committed row is on the replica");
    }
    if let Check::Clickhouse(clickhouse) = &probe.value
        && clickhouse.cluster.is_some()
        && clickhouse.writes
    {
        let place = cx.sources.within(probe.place, &["clickhouse", "lag"]);
        window.holds(cx, place, clickhouse.lag(), "until an inserted row is on every replica");
    }
    if let Check::Failover(failover) = &probe.value {
        let place = cx.sources.within(probe.place, &["failover", "gap"]);
        window.holds(cx, place, failover.gap, "without a write that is acknowledged");
    }
    match probe.value.pace() {
        Pace::Once => {
            one_look_only(cx, document, probe.value.kind());
            Patience { within, look: within, ..usual }
        }
        Pace::Repeated => Patience {
            within,
            look: part(cx, &document.look, usual.look, &window, "for one look"),
            every: part(cx, &document.every, usual.every, &window, "between two looks"),
            in_a_row: in_a_row(cx, &document.in_a_row).unwrap_or(usual.in_a_row),
        },
    }
}

/// The window of a check, and where it is written, if it is.
struct Window {
    within: Span,
    place: Option<Place>,
}

impl Window {
    /// A part of the window may not be longer than all of it.
    fn holds(&self, cx: &mut Cx<'_>, place: Place, part: Span, what: &str) {
        let within = self.within;
        if part > within {
            let mut places = vec![(place, String::new())];
            places.extend(self.place.map(|window| (window, "the window around it".to_owned())));
            let finding = Finding::new(format!("{part} {what} is more than the check's window of {within}"));
            cx.ledger.note_all(places, finding.remedy(format!("shorten it, or write `within: {part}` or more")));
        }
    }
}

/// A part of the window: as written, or as usual if that fits.
fn part(cx: &mut Cx<'_>, field: &Field<Span>, usual: Span, window: &Window, what: &str) -> Span {
    let Some(written) = field.get() else { return usual.min(window.within) };
    window.holds(cx, written.place, written.value, what);
    written.value
}

fn in_a_row(cx: &mut Cx<'_>, field: &Field<u32>) -> Option<u32> {
    let written = field.get()?;
    if written.value == 0 {
        let finding = Finding::new("zero looks show nothing");
        cx.note(written.place, finding.remedy("write 1 or more, or leave `in-a-row` out"));
    }
    Some(written.value)
}

/// A check that is one look as long as its window has nothing to repeat.
fn one_look_only(cx: &mut Cx<'_>, document: &CheckDocument, kind: &str) {
    let written = [
        ("look", document.look.get().map(|field| field.place)),
        ("every", document.every.get().map(|field| field.place)),
        ("in-a-row", document.in_a_row.get().map(|field| field.place)),
    ];
    for (key, place) in written {
        if let Some(place) = place {
            let finding = Finding::new(format!("`{key}` means nothing here: `{kind}` is one look that lasts"));
            cx.note(place, finding.remedy("remove it; `within` is how long the look may last"));
        }
    }
}
