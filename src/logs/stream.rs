//! One container instance's log, from its first line to its end, through as many streams as that takes.

use std::path::PathBuf;
use std::time::Duration;

use futures::io::AsyncBufReadExt as _;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::Api;
use kube::api::LogParams;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::lines::{Line, Mark};
use crate::complaint;
use crate::secrets::Secrets;
use crate::watch::is_no_log;

/// How long a log that cannot be opened is asked for again: the API server may be restarting, the container starting.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause before a log that brought nothing new is opened again.
const REOPEN: Duration = Duration::from_millis(500);

/// Which instance of which container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instance {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) uid: String,
    /// The uid of what its pod belongs to, the controller; empty for a pod of nobody's.
    pub(super) owner: String,
    pub(super) container: String,
    pub(super) restart: i32,
}

/// Everything that following one instance takes.
pub(super) struct Follow {
    pub(super) pods: Api<Pod>,
    pub(super) instance: Instance,
    pub(super) file: PathBuf,
    pub(super) secrets: Secrets,
    /// A newer instance is there: this one's log is had with `previous`.
    pub(super) previous: bool,
}

/// What has become of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Running,
    Ended,
    /// Its successor is there, and answers for it to who does not ask for `previous`.
    Replaced,
    /// Pod or instance are no more; what is there by its name is another.
    Gone,
}

impl Follow {
    /// Follows until the log is over, or cannot be had any more. Returns why it was cut, if it was.
    pub(super) async fn until_the_end(mut self) -> Result<(), String> {
        let mut file = File::create(&self.file).await.map_err(|error| complaint::chain(&error))?;
        let (mut mark, mut heard) = (Mark::default(), Instant::now());
        // Whether the stream before ended by itself, after the instance had, and with a whole line.
        let (mut over, mut whole) = (false, false);
        loop {
            let before = mark;
            let stream = self.once(&mut file, &mut mark).await;
            if stream.is_ok() || mark != before {
                heard = Instant::now();
            }
            let stand = match &stream {
                Err(Cut::Refused(why)) => return Err(why.clone()),
                Ok(_) | Err(Cut::Dropped(_)) => self.stand().await,
            };
            match (stream, stand) {
                // The end was heard before the pod went.
                (Err(_), Ok(Stand::Gone)) if whole => return Ok(()),
                (Err(Cut::Dropped(why) | Cut::Refused(why)), Ok(Stand::Gone)) => return Err(why),
                (Ok(tail), Ok(Stand::Gone)) => return self.last(&mut file, &tail).await,
                // A stream may end before its log does: a rotation, an API server that is restarted. The log is over
                // once the instance has ended and one more stream brings nothing new.
                (Ok(tail), Ok(Stand::Ended | Stand::Replaced)) if over && before == mark => {
                    return self.append(&mut file, &tail).await;
                }
                (Ok(tail), Ok(stand)) => {
                    over = stand == Stand::Ended || self.previous;
                    whole = over && tail.is_empty();
                    self.previous |= stand == Stand::Replaced;
                }
                (Err(_), Ok(stand)) => {
                    over = false;
                    self.previous |= stand == Stand::Replaced;
                }
                (_, Err(why)) if heard.elapsed() > PATIENCE => return Err(why),
                (_, Err(_)) => over = false,
            }
            if heard.elapsed() > PATIENCE {
                return Err(format!("its log could not be had for {} s", PATIENCE.as_secs()));
            }
            if before == mark && !over {
                tokio::time::sleep(REOPEN).await;
            }
        }
    }

    /// One stream, appended to the file. Returns what came after the last whole line: the log's last one, or one that
    /// was cut; the next stream will tell.
    async fn once(&self, file: &mut File, mark: &mut Mark) -> Result<String, Cut> {
        let params = LogParams {
            container: Some(self.instance.container.clone()),
            follow: !self.previous,
            previous: self.previous,
            timestamps: true,
            since_time: mark.since(),
            ..LogParams::default()
        };
        let opened = self.pods.log_stream(&self.instance.pod, &params).await;
        let mut stream = Box::pin(opened.map_err(|error| self.unopened(&error))?);
        let (mut seam, mut line) = (mark.seam(), Line::default());
        loop {
            let chunk = stream.fill_buf().await.map_err(|error| Cut::Dropped(complaint::chain(&error)))?;
            // What ends without a line's end and has no time before it is a kubelet's own word.
            if chunk.is_empty() && !line.is_empty() && !line.has_time() {
                let words = line.masked(&self.secrets);
                return Err(if is_no_log(&words) { Cut::Refused(words) } else { Cut::Dropped(words) });
            }
            if chunk.is_empty() {
                return Ok(if line.is_empty() || !seam.is_new(&line.text()) {
                    String::new()
                } else {
                    line.masked(&self.secrets)
                });
            }
            let (read, mut fresh) = (chunk.len(), String::new());
            for part in chunk.split_inclusive(|byte| *byte == b'\n') {
                line.push(part);
                if part.ends_with(b"\n") {
                    if seam.is_new(&line.text()) {
                        fresh.push_str(&line.masked(&self.secrets));
                        fresh.push('\n');
                    }
                    line.clear();
                }
            }
            stream.consume_unpin(read);
            write(file, &fresh).await.map_err(Cut::Refused)?;
            *mark = seam.mark();
        }
    }

    /// The end of a log whose pod went in the same moment.
    async fn last(&self, file: &mut File, tail: &str) -> Result<(), String> {
        self.append(file, tail).await?;
        if tail.is_empty() { Ok(()) } else { Err("the pod was gone in the middle of a line".to_owned()) }
    }

    async fn append(&self, file: &mut File, tail: &str) -> Result<(), String> {
        if tail.is_empty() { Ok(()) } else { write(file, &format!("{tail}\n")).await }
    }

    /// Asks for the pod itself: a watch may be behind the log. Fails where the API server cannot be asked.
    async fn stand(&self) -> Result<Stand, String> {
        let pod = self.pods.get_opt(&self.instance.pod).await.map_err(|error| complaint::chain(&error))?;
        let Some(pod) = pod.filter(|pod| pod.metadata.uid.as_deref() == Some(self.instance.uid.as_str())) else {
            return Ok(Stand::Gone);
        };
        let status = pod.status.unwrap_or_default();
        let all = [status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses];
        let mut all = all.into_iter().flatten().flatten();
        let own = all.find(|container| container.name == self.instance.container);
        Ok(own.map_or(Stand::Gone, |container| stand(&container, self.instance.restart)))
    }

    fn unopened(&self, error: &kube::Error) -> Cut {
        let why = complaint::chain(error);
        let code = if let kube::Error::Api(status) = error { status.code } else { 0 };
        // Of `previous`, 400 says that there is no such instance any more; otherwise that it is still waiting to start.
        if matches!(code, 401 | 403) || code == 400 && self.previous { Cut::Refused(why) } else { Cut::Dropped(why) }
    }
}

fn stand(container: &ContainerStatus, restart: i32) -> Stand {
    let state = container.state.clone().unwrap_or_default();
    match container.restart_count - restart {
        // One that waits to be restarted is still this one, and its log is had as such.
        ..=0 if state.running.is_some() => Stand::Running,
        ..=0 => Stand::Ended,
        1 if state.waiting.is_none() => Stand::Replaced,
        _ => Stand::Gone,
    }
}

async fn write(file: &mut File, text: &str) -> Result<(), String> {
    let written = async { file.write_all(text.as_bytes()).await.and(file.flush().await) };
    if text.is_empty() { Ok(()) } else { written.await.map_err(|error| complaint::chain(&error)) }
}

/// Why a stream ended early.
enum Cut {
    /// It may be opened again.
    Dropped(String),
    /// It may not.
    Refused(String),
}
