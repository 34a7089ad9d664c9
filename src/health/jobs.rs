//! Jobs: run to success, or failed with the container that failed it.
//!
//! Only `Complete` and `Failed` end a Job; `SuccessCriteriaMet` and `FailureTarget` come while its pods still run, and are
//! never taken back: what will have failed is not waited for
//! (<https://kubernetes.io/docs/concepts/workloads/controllers/job/#termination-of-job-pods>).

use super::object::words;
use super::{Health, Object, Speaker, Surroundings, containers, creation, pods};
use crate::number::count;

/// Whether it is a Job that has ended and goes then by its own wish (`ttlSecondsAfterFinished`): that it is being deleted,
/// or gone, says nothing against it.
#[must_use]
pub fn is_cleaned_up(object: Object<'_>) -> bool {
    (object.group, object.kind) == ("batch", "Job")
        && object.number("/spec/ttlSecondsAfterFinished").is_some()
        && (object.holds("Complete").is_some() || object.holds("Failed").is_some())
}

pub(super) fn assess(job: Object<'_>, around: &Surroundings<'_>) -> Health {
    if job.holds("Complete").is_some() {
        return Health::ready("ran to success");
    }
    if let Some(failed) = job.holds("Failed").or_else(|| job.holds("FailureTarget")) {
        return failure(job, super::object::text(failed, "/reason"), words(failed), around).below(job);
    }
    if job.holds("Suspended").is_some() {
        return Health::waiting(format!("Job {} is suspended", job.name()));
    }
    let pods = around.owned("Pod", job).filter(|pod| !pod.is_going());
    let lowest = Health::gravest(pods.map(|pod| attempt(pods::assess(pod, around)))).map(|health| health.below(job));
    Health::gravest(lowest.into_iter().chain(creation::refused(job, around))).unwrap_or_else(|| {
        let active = count(usize::try_from(job.count("/status/active")).unwrap_or_default(), "active pod");
        Health::waiting(format!("Job {} has not ended: {active}", job.name()))
    })
}

/// A container that exited is one attempt of the Job, which decides itself how many it makes.
fn attempt(health: Health) -> Health {
    match health {
        Health::Doomed(on) | Health::Waiting { on, .. } if on.speaker.is_some() => {
            Health::Waiting { on, patience: None }
        }
        other @ (Health::Ready { .. } | Health::Waiting { .. } | Health::Doomed(_)) => other,
    }
}

fn failure(job: Object<'_>, reason: &str, message: &str, around: &Surroundings<'_>) -> Health {
    // The newest attempt is the one whose log is most likely still there.
    let mut pods: Vec<_> = around.owned("Pod", job).collect();
    pods.sort_by_key(|pod| std::cmp::Reverse(pod.metadata.creation_timestamp.clone()));
    match pods.into_iter().find_map(|pod| containers::culprit(pod, around)) {
        Some(Health::Doomed(mut cause)) => {
            cause.line = format!("Job {} has failed ({reason}): {}", job.name(), cause.line);
            Health::Doomed(cause)
        }
        _ => {
            // Pods that restart their containers, and those that ran too long, are deleted with the Job's failure.
            let speaker = Speaker::Pods { owner: job.uid().to_owned() };
            Health::doomed(format!("Job {} has failed ({reason}): {message}", job.name())).said_by(speaker)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::literal::{doomed, health, ready, waiting};
    use super::super::{Health, Speaker};

    fn job(status: &str) -> String {
        format!("apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: migrate, uid: j1 }}\nstatus: {{ {status} }}")
    }

    fn pod(name: &str, phase: &str, state: &str) -> String {
        format!(
            "\n---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name}, ownerReferences: [{{ apiVersion: batch/v1, kind: Job, \
             name: migrate, uid: j1 }}] }}\nspec: {{ restartPolicy: Never, nodeName: n, containers: [{{ name: app, image: b }}] }}\n\
             status: {{ phase: {phase}, containerStatuses: [{{ name: app, state: {{ {state} }} }}] }}"
        )
    }

    const FAILED: &str =
        "conditions: [{ type: Failed, status: 'True', reason: BackoffLimitExceeded, message: too often }]";

    #[test]
    fn a_job_is_ready_only_when_complete() {
        ready(&job("conditions: [{ type: Complete, status: 'True' }]"), "ran to success");
        waiting(&job("active: 1"), "Job migrate has not ended: 1 active pod");
        waiting(&job("conditions: [{ type: Suspended, status: 'True' }]"), "Job migrate is suspended");
        let interim = job("active: 1, conditions: [{ type: SuccessCriteriaMet, status: 'True' }]");
        waiting(&interim, "Job migrate has not ended: 1 active pod");
    }

    #[test]
    fn a_job_that_will_have_failed_is_not_waited_for_until_its_pods_are_gone() {
        let late = "{ type: FailureTarget, status: 'True', reason: DeadlineExceeded, message: too long }";
        doomed(
            &job(&format!("active: 0, conditions: [{late}]")),
            "Job migrate has failed (DeadlineExceeded): too long",
        );
    }

    #[test]
    fn a_job_that_is_deleted_since_it_has_ended_has_still_ended() {
        let going = |status: &str| {
            job(status).replace("uid: j1 }", "uid: j1, deletionTimestamp: '2026-01-01T00:00:00Z' }")
                + "\nspec: { ttlSecondsAfterFinished: 0 }"
        };
        ready(&going("conditions: [{ type: Complete, status: 'True' }]"), "ran to success");
        doomed(&going(FAILED), "Job migrate has failed (BackoffLimitExceeded): too often");
        waiting(&going("active: 1"), "Job migrate is being deleted");
    }

    #[test]
    fn a_failed_job_names_its_container_and_whose_log_to_read() {
        let yaml = job(FAILED) + &pod("migrate-x", "Failed", "terminated: { exitCode: 7 }");
        let Health::Doomed(cause) = health(&yaml) else { panic!("{yaml}") };
        assert_eq!(
            cause.line,
            "Job migrate has failed (BackoffLimitExceeded): pod migrate-x: container app exited with code 7"
        );
        let speaker = Speaker::Container { pod: "migrate-x".to_owned(), container: "app".to_owned(), previous: false };
        assert_eq!(cause.speaker, Some(speaker));
    }

    #[test]
    fn a_failed_job_without_pods_quotes_its_condition_and_asks_who_heard_them() {
        let Health::Doomed(cause) = health(&job(FAILED)) else { panic!() };
        assert_eq!(cause.line, "Job migrate has failed (BackoffLimitExceeded): too often");
        assert_eq!(cause.speaker, Some(Speaker::Pods { owner: "j1".to_owned() }));
    }

    #[test]
    fn a_failed_attempt_is_not_a_failed_job() {
        let yaml = job("active: 0, failed: 1") + &pod("migrate-x", "Failed", "terminated: { exitCode: 7 }");
        waiting(&yaml, "pod migrate-x: container app exited with code 7");
    }

    #[test]
    fn a_job_whose_image_is_not_there_never_gets_to_fail_by_itself() {
        let yaml =
            job("active: 1") + &pod("migrate-x", "Pending", "waiting: { reason: ErrImagePull, message: not found }");
        doomed(&yaml, "pod migrate-x: container app cannot pull image \"b\": not found (ErrImagePull)");
    }
}
