//! Numbers and times what happened, and hands it to the sink.

use std::time::Duration;

use tokio::time::Instant;

use crate::events::{Event, EventKind};

/// The one voice of a run.
pub(super) struct Recorder<S> {
    sink: S,
    started: Instant,
    seq: u64,
}

impl<S: FnMut(&Event)> Recorder<S> {
    pub(super) fn start(sink: S) -> Self {
        Self { sink, started: Instant::now(), seq: 0 }
    }

    /// Time since the run started.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The moment that lies this long after the run's start.
    pub(super) fn moment(&self, at: Duration) -> Instant {
        self.started + at
    }

    pub(super) fn record(&mut self, kind: EventKind) {
        let event = Event { seq: self.seq, at_ms: millis(self.now()), kind };
        self.seq += 1;
        (self.sink)(&event);
    }
}

/// Whole milliseconds, as events carry them.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
