//! Bad weather at the API server: what a real one does now and then, and what no check may turn red for.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::{Method, Uri};
use serde_json::json;
use tokio::sync::watch;

use super::failure::Failure;

/// What the API server does to some requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gust {
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
    coming: Mutex<Coming>,
    /// Counts how often every connection was broken.
    cut: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Coming {
    /// Gusts with how many requests each still hits.
    gusts: VecDeque<(Gust, usize)>,
    /// What hits each request once, and how many it still does.
    storm: Option<(Gust, usize)>,
    /// The requests that it has hit.
    struck: HashSet<String>,
    /// How many requests were hit.
    blows: usize,
}

impl Weather {
    pub(super) fn new() -> Self {
        Self { coming: Mutex::default(), cut: watch::Sender::new(0) }
    }

    /// Lets a gust hit the next requests, so many of them; after those that are coming already.
    pub(super) fn gust(&self, gust: Gust, requests: usize) {
        self.coming().gusts.push_back((gust, requests));
    }

    /// Lets a gust hit each request when it is made for the first time, and no more than so many.
    pub(super) fn storm(&self, gust: Gust, at_most: usize) {
        self.coming().storm = Some((gust, at_most));
    }

    /// How many requests were hit so far.
    pub(super) fn blows(&self) -> usize {
        self.coming().blows
    }

    /// Breaks every connection.
    pub(super) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    pub(super) fn cuts(&self) -> watch::Receiver<u64> {
        self.cut.subscribe()
    }

    /// What happens to this request.
    pub(super) async fn next(&self, method: &Method, uri: &Uri) -> Blow {
        // What asks whether the server is there is answered by whatever is.
        let hit = (uri.path().starts_with("/api")).then(|| self.coming().take(method, uri)).flatten();
        match hit {
            None => Blow::None,
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

    fn coming(&self) -> MutexGuard<'_, Coming> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Coming {
    /// What hits this request.
    fn take(&mut self, method: &Method, uri: &Uri) -> Option<Gust> {
        let hit = self.next_gust().or_else(|| self.first_time(method, uri));
        self.blows += usize::from(hit.is_some());
        hit
    }

    fn next_gust(&mut self) -> Option<Gust> {
        let (gust, left) = self.gusts.front_mut()?;
        let gust = *gust;
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.gusts.pop_front();
        }
        Some(gust)
    }

    fn first_time(&mut self, method: &Method, uri: &Uri) -> Option<Gust> {
        let (gust, left) = self.storm.as_mut().filter(|(_, left)| *left > 0)?;
        let is_watch = uri.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("watch=")));
        let request = format!("{method} {}{}", uri.path(), if is_watch { "?watch" } else { "" });
        if !self.struck.insert(request) {
            return None;
        }
        *left -= 1;
        Some(*gust)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_storm_hits_each_request_once_and_lets_it_through_when_it_is_made_again() {
        let weather = Weather::new();
        weather.storm(Gust::Fail, 3);
        let pods: Uri = "/api/v1/pods?limit=500".parse().unwrap();
        let more: Uri = "/api/v1/pods?limit=500&continue=x".parse().unwrap();
        let watch: Uri = "/api/v1/pods?allowWatchBookmarks=true&watch=1".parse().unwrap();
        let is_hit = async |method: Method, uri: &Uri| !matches!(weather.next(&method, uri).await, Blow::None);
        assert!(is_hit(Method::GET, &pods).await);
        assert!(!is_hit(Method::GET, &more).await);
        assert!(is_hit(Method::GET, &watch).await);
        assert!(!is_hit(Method::GET, &watch).await);
        assert!(is_hit(Method::POST, &pods).await);
        assert!(!is_hit(Method::DELETE, &pods).await, "no more than so many are hit");
        assert_eq!(weather.blows(), 3);
    }
}
