//! One container instance's log, from its first line to its end, through as many streams as that takes.

use std::path::PathBuf;
use std::time::Duration;

use futures::io::{AsyncBufReadExt as _, BufReader};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use super::lines::Mark;
use crate::complaint;
use crate::secrets::Secrets;

/// Streams in a row that may fail without bringing a new line before the log is given up.
const BARREN: u32 = 5;

/// The pause before a log is opened again; the API server may be restarting.
const REOPEN: Duration = Duration::from_millis(500);

/// Which instance of which container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instance {
    pub(super) pod: String,
    pub(super) uid: String,
    pub(super) container: String,
    pub(super) restart: i32,
}

/// Everything that following one instance takes.
pub(super) struct Follow {
    pub(super) pods: Api<Pod>,
    pub(super) instance: Instance,
    pub(super) file: PathBuf,
    pub(super) secrets: Secrets,
    /// The instance has ended and a newer one runs: its log is had with `previous`.
    pub(super) previous: bool,
}

impl Follow {
    /// Follows until the log is over, or cannot be had any more. Returns why it was cut, if it was.
    pub(super) async fn until_the_end(self) -> Result<(), String> {
        let mut file = File::create(&self.file).await.map_err(|error| complaint::chain(&error))?;
        let mut mark = Mark::default();
        let mut barren = 0;
        loop {
            let before = mark;
            match self.once(&mut file, &mut mark).await {
                // A stream that ended may have been cut by a rotation or a restart: it is over once another one
                // brings nothing new and the container no longer runs.
                Ok(tail) if before == mark && !self.runs().await => return self.keep(&mut file, &tail).await,
                Ok(_) => barren = 0,
                Err(Cut::Gone(why)) => return Err(why),
                Err(Cut::Dropped(why)) if barren >= BARREN => return Err(why),
                Err(Cut::Dropped(_)) => barren = if before == mark { barren + 1 } else { 0 },
            }
            if before == mark {
                tokio::time::sleep(REOPEN).await;
            }
        }
    }

    /// One stream, appended to the file. Returns what came after the last whole line.
    async fn once(&self, file: &mut File, mark: &mut Mark) -> Result<String, Cut> {
        let params = LogParams {
            container: Some(self.instance.container.clone()),
            follow: !self.previous,
            previous: self.previous,
            timestamps: true,
            since_time: mark.since(),
            ..LogParams::default()
        };
        let mut stream = BufReader::new(self.pods.log_stream(&self.instance.pod, &params).await.map_err(Cut::from)?);
        let mut seam = mark.seam();
        loop {
            let mut bytes = Vec::new();
            let read = stream.read_until(b'\n', &mut bytes).await;
            read.map_err(|error| Cut::Dropped(complaint::chain(&error)))?;
            let line = String::from_utf8_lossy(&bytes).into_owned();
            // A line without its end is either the log's last one or one that was cut: the next stream will tell.
            let Some(line) = line.strip_suffix('\n') else {
                return Ok(if seam.is_new(&line) { line } else { String::new() });
            };
            if seam.is_new(line) {
                self.keep(file, line).await.map_err(Cut::Gone)?;
                *mark = seam.mark();
            }
        }
    }

    async fn keep(&self, file: &mut File, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        let line = format!("{}\n", self.secrets.mask(line));
        let written = async { file.write_all(line.as_bytes()).await.and(file.flush().await) };
        written.await.map_err(|error| complaint::chain(&error))
    }

    /// Whether this very instance is still running. A pod that cannot be read is taken for gone.
    async fn runs(&self) -> bool {
        if self.previous {
            return false;
        }
        let Ok(pod) = self.pods.get(&self.instance.pod).await else { return false };
        let status = pod.status.unwrap_or_default();
        let all = [status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses];
        pod.metadata.uid.as_deref() == Some(self.instance.uid.as_str())
            && all.into_iter().flatten().flatten().any(|container| {
                container.name == self.instance.container
                    && container.restart_count == self.instance.restart
                    && container.state.is_some_and(|state| state.running.is_some())
            })
    }
}

/// Why a stream ended early.
enum Cut {
    /// It may be opened again.
    Dropped(String),
    /// It may not: the pod or its log is gone.
    Gone(String),
}

impl From<kube::Error> for Cut {
    fn from(error: kube::Error) -> Self {
        let why = complaint::chain(&error);
        // 400 while the container is still waiting to start, or has just been replaced.
        let gone = matches!(&error, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404));
        if gone { Self::Gone(why) } else { Self::Dropped(why) }
    }
}
