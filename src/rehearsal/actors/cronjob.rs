//! CronJobs: a Job at each of their times.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::scene::{Scene, condition, is, list, map_of, name, number, put, stamp, terse, text, uid};
use super::schedule::Schedule;

/// Who says so.
const SOURCE: &str = "cronjob-controller";
/// The collection of Jobs.
const JOBS: &str = "batch/jobs";
/// How many missed times are looked for at most.
const MOST_MISSED: i64 = 120;

/// Creates the Job that is due and clears away old ones.
pub(super) fn live(scene: &mut Scene<'_>) {
    if scene.leaving() {
        return;
    }
    let jobs = scene.view.controlled(JOBS, scene.uid());
    let over = |job: &Value| super::scene::holds(job, "Complete") || super::scene::holds(job, "Failed");
    let mut active: Vec<Value> = jobs.iter().filter(|job| !over(job)).map(|job| reference(job)).collect();
    saw(scene, &jobs);
    let mut last = text(scene.object, "/status/lastScheduleTime").to_owned();
    match Schedule::parse(text(scene.object, "/spec/schedule")) {
        Some(schedule) if !is(scene.object, "/spec/suspend") => {
            if let Some(due) = due(scene, &schedule, &last)
                && (active.is_empty() || text(scene.object, "/spec/concurrencyPolicy") != "Forbid")
            {
                if text(scene.object, "/spec/concurrencyPolicy") == "Replace" {
                    jobs.iter()
                        .filter(|job| !over(job))
                        .for_each(|job| scene.delete(scene.key.beside(JOBS, name(job)), job));
                    active.clear();
                }
                start(scene, due);
                last = stamp(due);
            }
            let rest = 60_000 - scene.wall.as_millisecond().rem_euclid(60_000);
            scene.after(Duration::from_millis(u64::try_from(rest).unwrap_or(60_000)));
        }
        Some(_) => {}
        None => scene.warn(SOURCE, "UnparseableSchedule", "unparseable schedule".into()),
    }
    tidy(scene, &jobs);
    let done = jobs.iter().filter_map(|job| job.pointer("/status/completionTime").and_then(Value::as_str)).max();
    let before = text(scene.object, "/status/lastSuccessfulTime");
    let status = json!({
        "active": active,
        "lastScheduleTime": last,
        "lastSuccessfulTime": done.unwrap_or_default().max(before),
    });
    scene.status(terse(status, &[]));
}

/// A reference to a Job.
fn reference(job: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": name(job), "namespace": text(job, "/metadata/namespace"),
        "uid": uid(job), "resourceVersion": text(job, "/metadata/resourceVersion"),
    })
}

/// Reports each Job that ended since.
fn saw(scene: &mut Scene<'_>, jobs: &[Arc<Value>]) {
    let known: Vec<String> =
        list(scene.object, "/status/active").iter().map(|one| text(one, "/uid").to_owned()).collect();
    for job in jobs.iter().filter(|job| known.iter().any(|known| known == uid(job))) {
        let end = ["Complete", "Failed"].into_iter().find(|kind| condition(job, kind).is_some());
        if let Some(kind) = end {
            let message = format!("Saw completed job: {}, condition: {kind}", name(job));
            scene.tell(SOURCE, "SawCompletedJob", message);
        }
    }
}

/// The latest time of the schedule that has come and has not been served.
fn due(scene: &Scene<'_>, schedule: &Schedule, last: &str) -> Option<Timestamp> {
    let zone = match text(scene.object, "/spec/timeZone") {
        "" => TimeZone::UTC,
        named => TimeZone::get(named).unwrap_or(TimeZone::UTC),
    };
    let since = if last.is_empty() { text(scene.object, "/metadata/creationTimestamp") } else { last };
    let since = since.parse::<Timestamp>().ok()?.as_second();
    let this = scene.wall.as_second().div_euclid(60);
    let minutes = (this - MOST_MISSED..=this).rev().take_while(|minute| minute * 60 > since);
    let times = minutes.filter_map(|minute| Timestamp::from_second(minute * 60).ok());
    times.into_iter().find(|time| schedule.meets(time.to_zoned(zone.clone()).datetime()))
}

/// Creates the Job of a time.
fn start(scene: &mut Scene<'_>, due: Timestamp) {
    let full = format!("{}-{}", scene.key.name, due.as_second() / 60);
    let template = scene.object.pointer("/spec/jobTemplate").cloned().unwrap_or_default();
    let mut metadata = map_of(&template, "/metadata");
    metadata["name"] = json!(full);
    metadata["namespace"] = json!(&*scene.key.namespace);
    put(&mut metadata, &["annotations", "batch.kubernetes.io/cronjob-scheduled-timestamp"], json!(stamp(due)));
    metadata["ownerReferences"] = json!([scene.controller()]);
    let spec = template.get("spec").cloned().unwrap_or_default();
    scene.create(JOBS, json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}));
    scene.tell(SOURCE, "SuccessfulCreate", format!("Created job {full}"));
}

/// Deletes the oldest Jobs beyond the history limits.
fn tidy(scene: &mut Scene<'_>, jobs: &[Arc<Value>]) {
    for (kind, field, usual) in [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)]
    {
        let limit = number(scene.object, &format!("/spec/{field}")).unwrap_or(usual);
        let mut ended: Vec<&Arc<Value>> = jobs.iter().filter(|job| super::scene::holds(job, kind)).collect();
        ended.sort_by_key(|job| text(job, "/status/startTime").to_owned());
        let surplus = ended.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        for job in &ended[..surplus] {
            scene.delete(scene.key.beside(JOBS, name(job)), job);
            scene.tell(SOURCE, "SuccessfulDelete", format!("Deleted job {}", name(job)));
        }
    }
}
