//! What containers have written, one log for each start of each container.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

/// The log of one start of one container.
#[derive(Debug)]
pub(super) struct Log {
    held: Mutex<Held>,
    /// Changes with every line, and with the end.
    grown: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Held {
    lines: Vec<(Timestamp, String)>,
    complete: bool,
}

/// What is in a log from a line on.
pub(super) struct Part {
    pub(super) lines: Vec<(Timestamp, String)>,
    pub(super) complete: bool,
}

impl Log {
    fn new() -> Self {
        Self { held: Mutex::default(), grown: watch::Sender::new(0) }
    }

    fn fork(&self) -> Self {
        let held = self.held();
        let held = Held { lines: held.lines.clone(), complete: held.complete };
        Self { held: Mutex::new(held), grown: watch::Sender::new(0) }
    }

    /// Adds a line.
    pub(super) fn write(&self, line: String) {
        self.held().lines.push((Timestamp::now(), line));
        self.grown.send_modify(|grown| *grown += 1);
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        self.held().complete = true;
        self.grown.send_modify(|grown| *grown += 1);
    }

    /// What is there from this line on.
    pub(super) fn from(&self, line: usize) -> Part {
        let held = self.held();
        Part { lines: held.lines.get(line..).unwrap_or_default().to_vec(), complete: held.complete }
    }

    /// Wakes when there is more.
    pub(super) fn growth(&self) -> watch::Receiver<usize> {
        self.grown.subscribe()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which log: the pod's uid, the container, and how often it had been started before.
type Name = (String, String, u32);

/// The logs of all containers. As on a node, only the current one and the one before it are kept.
#[derive(Debug, Default)]
pub(super) struct Logs(Mutex<HashMap<Name, Arc<Log>>>);

impl Logs {
    /// The same logs once more; what is written to one of them from now on is not in the other.
    pub(super) fn fork(&self) -> Self {
        let copied = |(name, log): (&Name, &Arc<Log>)| (name.clone(), Arc::new(log.fork()));
        Self(Mutex::new(self.logs().iter().map(copied).collect()))
    }

    /// The log of a start, begun if need be.
    pub(super) fn open(&self, uid: &str, container: &str, restart: u32) -> Arc<Log> {
        let mut logs = self.logs();
        if let Some(too_old) = restart.checked_sub(2) {
            logs.remove(&(uid.to_owned(), container.to_owned(), too_old));
        }
        logs.entry((uid.to_owned(), container.to_owned(), restart)).or_insert_with(|| Arc::new(Log::new())).clone()
    }

    /// The log of a start, if there is one.
    pub(super) fn find(&self, uid: &str, container: &str, restart: u32) -> Option<Arc<Log>> {
        self.logs().get(&(uid.to_owned(), container.to_owned(), restart)).cloned()
    }

    /// A pod is gone, and its logs with it; who reads them reads to their end.
    pub(super) fn drop_pod(&self, uid: &str) {
        self.logs().retain(|(held, _, _), log| {
            if held == uid {
                log.end();
            }
            held != uid
        });
    }

    fn logs(&self) -> MutexGuard<'_, HashMap<Name, Arc<Log>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_before_the_current_one_is_kept_and_older_ones_are_not() {
        let logs = Logs::default();
        for restart in 0..3 {
            logs.open("uid", "main", restart).write(format!("start {restart}"));
        }
        assert!(logs.find("uid", "main", 0).is_none());
        assert_eq!(logs.find("uid", "main", 1).unwrap().from(0).lines[0].1, "start 1");
    }

    #[test]
    fn who_reads_the_log_of_a_pod_that_goes_sees_its_end() {
        let logs = Logs::default();
        let log = logs.open("uid", "main", 0);
        logs.drop_pod("uid");
        assert!(log.from(0).complete && logs.find("uid", "main", 0).is_none());
    }
}
