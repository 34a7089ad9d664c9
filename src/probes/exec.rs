//! Twin of `checks/exec.rs`.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess, ListParams};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Site, Unseen};
use crate::checks::{Exec, ExecAnswer, ExecEnd};
use crate::complaint::chain;

/// The most that is kept of each output, in bytes; the rest is read and dropped, so that the command can end.
const KEPT: usize = 64 << 10;

pub(super) async fn observe(claim: &Exec, site: &Site<'_>) -> Result<ExecAnswer, Unseen> {
    let pods: Api<Pod> = Api::namespaced(site.prober.hub.client().clone(), site.namespace());
    let labels: Vec<String> = claim.pod.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let selected = pods
        .list(&ListParams::default().labels(&labels.join(",")))
        .await
        .map_err(|error| Unseen(format!("cannot list pods in {}: {}", site.namespace(), chain(&error))))?;
    let Some(pod) = first_running(&selected.items) else {
        return Ok(ExecAnswer::NoPod(selected.items.iter().map(standing).collect()));
    };
    let name = pod.metadata.name.clone().unwrap_or_default();
    let mut how = AttachParams::default().stdin(false).stdout(true).stderr(true);
    how.container = claim.container.clone().or_else(|| default_container(pod));
    let mut process = pods.exec(&name, &claim.command, &how).await.map_err(|error| {
        Unseen(format!("cannot run a command in pod {}/{name}: {}", site.namespace(), chain(&error)))
    })?;
    see_through(&mut process, name).await
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("without a phase")
}

fn first_running(pods: &[Pod]) -> Option<&Pod> {
    let running = |pod: &&Pod| phase(pod) == "Running" && pod.metadata.deletion_timestamp.is_none();
    pods.iter().filter(running).min_by_key(|pod| pod.metadata.name.clone())
}

fn standing(pod: &Pod) -> String {
    format!("{} {}", pod.metadata.name.as_deref().unwrap_or_default(), phase(pod))
}

fn default_container(pod: &Pod) -> Option<String> {
    let annotated = pod.metadata.annotations.as_ref()?.get("kubectl.kubernetes.io/default-container").cloned();
    annotated.or_else(|| pod.spec.as_ref()?.containers.first().map(|container| container.name.clone()))
}

/// Reads to the command's end. Its exit code comes on a channel of its own; without one nothing is known, and least of
/// all that it was zero.
async fn see_through(process: &mut AttachedProcess, pod: String) -> Result<ExecAnswer, Unseen> {
    let lost = || Unseen(format!("lost the connection to a command in pod {pod}; how it ended is unknown"));
    let status = process.take_status().ok_or_else(lost)?;
    let (stdout, stderr) = (process.stdout().ok_or_else(lost)?, process.stderr().ok_or_else(lost)?);
    let (stdout, stderr, status) = tokio::join!(beginning(stdout), beginning(stderr), status);
    let (stdout, stderr) = (stdout.map_err(|_| lost())?, stderr.map_err(|_| lost())?);
    match ending(&status.ok_or_else(lost)?) {
        Ending::Code(code) => Ok(ExecAnswer::Ended(ExecEnd {
            cut: stdout.len() > KEPT,
            pod,
            code,
            stdout: text(stdout),
            stderr: text(stderr),
        })),
        Ending::NotStarted(why) => Ok(ExecAnswer::NotStarted { pod, why }),
        Ending::Unknown(why) => Err(Unseen(format!("how a command in pod {pod} ended is unknown: {why}"))),
    }
}

/// The beginning of an output: one byte more than is kept, where there is one.
async fn beginning(mut output: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match output.read(&mut chunk).await? {
            0 => return Ok(kept),
            count => kept.extend_from_slice(&chunk[..count.min((KEPT + 1).saturating_sub(kept.len()))]),
        }
    }
}

fn text(mut bytes: Vec<u8>) -> String {
    bytes.truncate(KEPT);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(Debug, PartialEq, Eq)]
enum Ending {
    Code(i32),
    NotStarted(String),
    Unknown(String),
}

/// What the kubelet's status says: `Success`, or `NonZeroExitCode` with a cause that holds the code. Anything else
/// is the runtime's failure to run the command, told apart by its words alone.
fn ending(status: &Status) -> Ending {
    if status.status.as_deref() == Some("Success") {
        return Ending::Code(0);
    }
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    let code = causes
        .filter(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .find_map(|cause| cause.message.as_deref().and_then(|code| code.parse().ok()));
    let words = status.message.clone().unwrap_or_else(|| "the kubelet gives no reason".to_owned());
    match (status.reason.as_deref(), code, words.split_once("unable to start container process: ")) {
        (Some("NonZeroExitCode"), Some(code), _) => Ending::Code(code),
        (_, _, Some((_, why))) => Ending::NotStarted(why.to_owned()),
        (_, _, None) => Ending::Unknown(words),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(status: Value) -> Ending {
        ending(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn an_exit_code_is_read_from_where_the_kubelet_puts_it() {
        assert_eq!(of(json!({"status": "Success"})), Ending::Code(0));
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated with non-zero exit code",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}});
        assert_eq!(of(failed), Ending::Code(3));
    }

    #[test]
    fn what_is_no_exit_code_is_never_taken_for_one() {
        let missing = "OCI runtime exec failed: unable to start container process: exec: \"nope\": executable file not found in $PATH";
        assert_eq!(
            of(json!({"status": "Failure", "reason": "InternalError", "message": missing})),
            Ending::NotStarted("exec: \"nope\": executable file not found in $PATH".to_owned())
        );
        for status in [
            json!({}),
            json!({"status": "Failure"}),
            json!({"status": "Failure", "reason": "NonZeroExitCode"}),
            json!({"status": "Failure", "reason": "InternalError", "message": "container not found"}),
        ] {
            assert!(matches!(of(status.clone()), Ending::Unknown(_)), "{status}");
        }
    }

    #[test]
    fn the_first_running_pod_by_name_is_taken_and_its_default_container() {
        let pods: Vec<Pod> = serde_json::from_value(json!([
            {"metadata": {"name": "c"}, "status": {"phase": "Running"}},
            {"metadata": {"name": "a"}, "status": {"phase": "Pending"}},
            {"metadata": {"name": "b", "annotations": {"kubectl.kubernetes.io/default-container": "main"}},
             "spec": {"containers": [{"name": "sidecar"}, {"name": "main"}]}, "status": {"phase": "Running"}},
            {"metadata": {"name": "0", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Running"}},
        ]))
        .unwrap();
        let pod = first_running(&pods).unwrap();
        assert_eq!(standing(pod), "b Running");
        assert_eq!(default_container(pod).as_deref(), Some("main"));
        assert!(first_running(&pods[1..2]).is_none());
    }

    #[tokio::test]
    async fn a_flood_is_read_to_its_end_and_kept_to_its_bound() {
        let flood = vec![b'x'; 5 * KEPT];
        assert_eq!(beginning(flood.as_slice()).await.unwrap().len(), KEPT + 1);
        assert_eq!(beginning(&b"ok"[..]).await.unwrap(), b"ok");
    }
}
