//! Being asked to stop: Ctrl-C, SIGTERM, and the time limit of the whole run, as one stream of words.

use std::time::Duration;

use futures::Stream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Listens from now on; each item is one request to stop, by the name of what asked.
///
/// # Errors
/// Where the system does not let us listen.
pub(super) fn requests(limit: Option<Duration>) -> std::io::Result<impl Stream<Item = String> + Send + Unpin> {
    let (requests, received) = mpsc::unbounded_channel();
    for (kind, name) in
        [(SignalKind::interrupt(), "SIGINT"), (SignalKind::terminate(), "SIGTERM"), (SignalKind::hangup(), "SIGHUP")]
    {
        tokio::spawn(forward(signal(kind)?, name, requests.clone()));
    }
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

async fn forward(mut signal: Signal, name: &'static str, requests: mpsc::UnboundedSender<String>) {
    while signal.recv().await.is_some() {
        if requests.send(name.to_owned()).is_err() {
            return;
        }
    }
}
