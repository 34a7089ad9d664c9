//! Bad weather at the API server: what a real one does now and then, and what no check may turn red for.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Method;
use serde_json::json;
use tokio::sync::watch;

use super::failure::Failure;

/// What the API server does to some requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gust {
    /// Nothing.
    Calm,
    /// 429 with `Retry-After: 1`: too many requests.
    Throttle,
    /// 500, as etcd without a leader causes.
    Fail,
    /// 503, as while it starts.
    Unavailable,
    /// The connection is broken off.
    Reset,
    /// The answer comes this much later.
    Delay(Duration),
}

/// What happens to one request.
#[derive(Debug)]
pub(super) enum Blow {
    None,
    Refuse(Failure),
    BreakOff,
}

/// The weather.
#[derive(Debug)]
pub(super) struct Weather {
    /// Gusts with how many requests each still hits.
    coming: Mutex<VecDeque<(Gust, usize)>>,
    /// Counts how often every connection was broken.
    cut: watch::Sender<u64>,
}

impl Weather {
    pub(super) fn new() -> Self {
        Self { coming: Mutex::default(), cut: watch::Sender::new(0) }
    }

    /// Lets a gust hit the next requests, so many of them; after those that are coming already.
    pub(super) fn gust(&self, gust: Gust, requests: usize) {
        self.coming().push_back((gust, requests));
    }

    /// Breaks every connection.
    pub(super) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    pub(super) fn cuts(&self) -> watch::Receiver<u64> {
        self.cut.subscribe()
    }

    /// What happens to this request.
    pub(super) async fn next(&self, method: &Method, path: &str) -> Blow {
        // What asks whether the server is there is answered by whatever is.
        let hit = (path.starts_with("/api")).then(|| self.take()).flatten();
        match hit {
            None | Some(Gust::Calm) => Blow::None,
            Some(Gust::Throttle) => {
                let failure = Failure::new(429, "TooManyRequests", "too many requests, please try again later");
                Blow::Refuse(Failure { details: json!({ "retryAfterSeconds": 1 }), ..failure })
            }
            Some(Gust::Fail) => Blow::Refuse(Failure::new(500, "InternalError", "etcdserver: leader changed")),
            Some(Gust::Unavailable) => {
                let words = "the server is currently unable to handle the request";
                Blow::Refuse(Failure::new(
                    503,
                    "ServiceUnavailable",
                    format!("{words} ({})", method.as_str().to_lowercase()),
                ))
            }
            Some(Gust::Reset) => Blow::BreakOff,
            Some(Gust::Delay(time)) => {
                tokio::time::sleep(time).await;
                Blow::None
            }
        }
    }

    fn take(&self) -> Option<Gust> {
        let mut coming = self.coming();
        let (gust, left) = coming.front_mut()?;
        let gust = *gust;
        *left = left.saturating_sub(1);
        if *left == 0 {
            coming.pop_front();
        }
        Some(gust)
    }

    fn coming(&self) -> MutexGuard<'_, VecDeque<(Gust, usize)>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
