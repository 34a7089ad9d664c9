//! Being asked to stop: Ctrl-C, SIGTERM, and the time limit of the whole run, as one stream of words.
//!
//! The first request tears down, the second aborts; the third signal ends the process at once. So that nothing that
//! blocks can keep it from doing so, signals are heard on a thread of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::Stream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::output;
use crate::process;

/// The exit code of an interrupted run.
pub(super) const INTERRUPTED: u8 = 130;

/// What to do after an end without any tidying.
const LEFT: &str = "nothing was tidied up; see: seaworthy cluster list";

/// Listens from now on; each item is one request to stop, by the name of what asked.
///
/// # Errors
/// Where the system does not let us listen.
pub(super) fn requests(limit: Option<Duration>) -> std::io::Result<impl Stream<Item = String> + Send + Unpin> {
    let (requests, received) = mpsc::unbounded_channel();
    listen(&requests)?;
    if let Some(limit) = limit {
        tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            // Nobody listens once the run is over.
            requests.send("the time limit of the run".to_owned()).ok();
        });
    }
    Ok(Box::pin(futures::stream::unfold(received, |mut received| async move {
        received.recv().await.map(|request| (request, received))
    })))
}

fn listen(requests: &mpsc::UnboundedSender<String>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    let count = Arc::new(AtomicUsize::new(0));
    for (kind, name) in
        [(SignalKind::interrupt(), "SIGINT"), (SignalKind::terminate(), "SIGTERM"), (SignalKind::hangup(), "SIGHUP")]
    {
        runtime.spawn(forward(signal(kind)?, name, requests.clone(), Arc::clone(&count)));
    }
    drop(entered);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .map(drop)
}

async fn forward(
    mut signal: Signal,
    name: &'static str,
    requests: mpsc::UnboundedSender<String>,
    count: Arc<AtomicUsize>,
) {
    while signal.recv().await.is_some() {
        if count.fetch_add(1, Ordering::Relaxed) >= 2 {
            process::kill_all();
            output::complain(&format!("ended at once by a third signal, {name}"), &[LEFT.to_owned()]);
            std::process::exit(INTERRUPTED.into());
        }
        // Nobody listens once the run is over; a third signal still ends the process.
        requests.send(name.to_owned()).ok();
    }
}
