//! Twin of `checks/exec.rs`.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess, ListParams};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::reach::SILENCE;
use super::{Site, Unseen};
use crate::checks::{Claim, Exec, ExecAnswer, ExecEnd};
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
    see_through(&mut process, name, claim, site).await
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
/// all that it was zero. One that does not end breaks the claim, should the look's time run out.
async fn see_through(
    process: &mut AttachedProcess,
    pod: String,
    claim: &Exec,
    site: &Site<'_>,
) -> Result<ExecAnswer, Unseen> {
    let lost = || Unseen(format!("lost the connection to a command in pod {pod}; how it ended is unknown"));
    let status = process.take_status().ok_or_else(lost)?;
    let (stdout, stderr) = (process.stdout().ok_or_else(lost)?, process.stderr().ok_or_else(lost)?);
    let (said, complained) = (Kept::default(), Kept::default());
    let mut ends = pin!(async { tokio::join!(said.beginning(stdout), complained.beginning(stderr), status) });
    let (read, read_too, status) = loop {
        match timeout(site.prober.hub.here(SILENCE), &mut ends).await {
            Ok(ends) => break ends,
            Err(_elapsed) => {
                let output = Some(complained.text()).filter(|text| !text.trim().is_empty());
                let output = output.unwrap_or_else(|| said.text());
                site.notes.stands(claim.judge(&ExecAnswer::Running { pod: pod.clone(), output }));
            }
        }
    };
    read.and(read_too).map_err(|_| lost())?;
    match ending(&status.ok_or_else(lost)?) {
        Ending::Code(code) => Ok(ExecAnswer::Ended(ExecEnd {
            pod,
            code,
            cut: said.is_cut(),
            stdout: said.text(),
            stderr: complained.text(),
        })),
        Ending::NotStarted(why) => Ok(ExecAnswer::NotStarted { pod, why }),
        Ending::Unknown(why) => Err(Unseen(format!("how a command in pod {pod} ended is unknown: {why}"))),
    }
}

/// The beginning of an output, as far as it has come: one byte more than is kept, where there is one.
#[derive(Default)]
struct Kept(Mutex<Vec<u8>>);

impl Kept {
    /// Reads to the end.
    async fn beginning(&self, mut output: impl AsyncRead + Unpin) -> std::io::Result<()> {
        let mut chunk = [0; 4096];
        loop {
            match output.read(&mut chunk).await? {
                0 => return Ok(()),
                count => {
                    let mut kept = self.bytes();
                    let room = (KEPT + 1).saturating_sub(kept.len());
                    kept.extend_from_slice(&chunk[..count.min(room)]);
                }
            }
        }
    }

    fn text(&self) -> String {
        let bytes = self.bytes();
        String::from_utf8_lossy(&bytes[..bytes.len().min(KEPT)]).into_owned()
    }

    fn is_cut(&self) -> bool {
        self.bytes().len() > KEPT
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let (flood, little) = (Kept::default(), Kept::default());
        flood.beginning(vec![b'x'; 5 * KEPT].as_slice()).await.unwrap();
        assert_eq!((flood.text().len(), flood.is_cut()), (KEPT, true));
        little.beginning(&b"ok"[..]).await.unwrap();
        assert_eq!((little.text().as_str(), little.is_cut()), ("ok", false));
    }
}
