//! How much of a run's wall time was the program's own.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What the process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time without children.
    pub cpu_ms: u64,
    /// Largest resident memory, in kilobytes.
    pub peak_kb: u64,
}

/// Counts the time during which nothing outside this program was being waited for.
#[derive(Clone, Debug)]
pub(super) struct Meter(Arc<Mutex<Clock>>);

#[derive(Debug)]
struct Clock {
    /// Futures that wait for something outside; one that is just being polled does not wait.
    waiting: usize,
    own: Duration,
    since: Instant,
}

impl Meter {
    pub(super) fn start() -> Self {
        Self(Arc::new(Mutex::new(Clock { waiting: 0, own: Duration::ZERO, since: Instant::now() })))
    }

    /// Runs a future whose pending time is the world's, not ours. Pauses between looks are the world's as well: it is
    /// given time to converge.
    pub(super) async fn outside<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut away = Away { meter: self, is_away: false };
        poll_fn(|cx| {
            away.set(false);
            let poll = future.as_mut().poll(cx);
            away.set(poll.is_pending());
            poll
        })
        .await
    }

    /// The program's own time so far.
    pub(super) fn own(&self) -> Duration {
        let clock = self.clock();
        clock.own + if clock.waiting == 0 { clock.since.elapsed() } else { Duration::ZERO }
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    fn leave(&mut self) {
        if self.waiting == 0 {
            self.own += self.since.elapsed();
        }
        self.waiting += 1;
    }

    fn come_back(&mut self) {
        self.waiting -= 1;
        if self.waiting == 0 {
            self.since = Instant::now();
        }
    }
}

/// One future's whereabouts; comes back when it is dropped, too.
struct Away<'a> {
    meter: &'a Meter,
    is_away: bool,
}

impl Away<'_> {
    fn set(&mut self, is_away: bool) {
        match (self.is_away, is_away) {
            (false, true) => self.meter.clock().leave(),
            (true, false) => self.meter.clock().come_back(),
            (false, false) | (true, true) => {}
        }
        self.is_away = is_away;
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use tokio::time::{advance, sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_is_the_worlds_time_and_the_rest_is_ours() {
        let meter = Meter::start();
        advance(Duration::from_secs(1)).await;
        meter.outside(sleep(Duration::from_secs(5))).await;
        advance(Duration::from_secs(2)).await;
        assert_eq!(meter.own(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_dropped_no_longer_waits() {
        let meter = Meter::start();
        let forever = meter.outside(poll_fn(|_| Poll::<()>::Pending));
        timeout(Duration::from_secs(5), forever).await.unwrap_err();
        advance(Duration::from_secs(1)).await;
        assert_eq!(meter.own(), Duration::from_secs(1));
    }
}
