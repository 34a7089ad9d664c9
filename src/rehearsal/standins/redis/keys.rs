//! What a server keeps, and the log by which others follow it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// How many databases a server has.
pub(super) const DATABASES: usize = 16;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The value.
    pub(super) value: Vec<u8>,
    /// When it goes away by itself.
    pub(super) until: Option<Instant>,
    /// The value that this one replaced.
    pub(super) before: Option<Vec<u8>>,
}

/// One change of one key: what it is from then on, or that it is gone.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// In which database.
    pub(super) database: usize,
    /// Of which key.
    pub(super) key: Vec<u8>,
    /// What it is now.
    pub(super) entry: Option<Entry>,
}

/// All databases of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(BTreeMap<(usize, Vec<u8>), Entry>);

impl Keys {
    /// The value of a key, unless its time is over.
    pub(super) fn get(&self, database: usize, key: &[u8], now: Instant) -> Option<&Entry> {
        self.0.get(&(database, key.to_vec())).filter(|entry| is_alive(entry, now))
    }

    /// How many keys of a database there are, and how many of them will expire.
    pub(super) fn count(&self, database: usize, now: Instant) -> (usize, usize) {
        let alive = self.0.iter().filter(|((at, _), entry)| *at == database && is_alive(entry, now));
        alive.fold((0, 0), |(all, expiring), (_, entry)| (all + 1, expiring + usize::from(entry.until.is_some())))
    }

    /// All keys, of this database only where one is named.
    pub(super) fn all(&self, database: Option<usize>) -> Vec<(usize, Vec<u8>)> {
        self.0.keys().filter(|(at, _)| database.is_none_or(|database| *at == database)).cloned().collect()
    }

    /// Makes one change.
    pub(super) fn apply(&mut self, change: Change) {
        let at = (change.database, change.key);
        match change.entry {
            Some(entry) => {
                self.0.insert(at, entry);
            }
            None => {
                self.0.remove(&at);
            }
        }
    }
}

fn is_alive(entry: &Entry, now: Instant) -> bool {
    entry.until.is_none_or(|until| now < until)
}

/// One change as it was sent to those who follow.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// When.
    pub(super) at: Instant,
    /// What.
    pub(super) change: Change,
    /// The offset of the stream behind it, in bytes.
    pub(super) offset: u64,
}

/// Everything that a server has sent, in order. It outlives the server: what has been sent arrives.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Sent>>>);

impl Log {
    /// Adds a change.
    pub(super) fn push(&self, at: Instant, change: Change) {
        let mut all = self.lock();
        let size = change.key.len() + change.entry.as_ref().map_or(0, |entry| entry.value.len());
        // Roughly what the command takes on the wire.
        let offset = all.last().map_or(0, |last| last.offset) + u64::try_from(size + 30).unwrap_or(u64::MAX);
        all.push(Sent { at, change, offset });
    }

    /// How many changes there are.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The offset behind the first so many changes.
    pub(super) fn offset(&self, count: usize) -> u64 {
        count.checked_sub(1).and_then(|last| self.lock().get(last).map(|sent| sent.offset)).unwrap_or(0)
    }

    /// The changes from one on that were sent at this time or before it.
    pub(super) fn since(&self, from: usize, until: Instant) -> Vec<Change> {
        let all = self.lock();
        all.iter().skip(from).take_while(|sent| sent.at <= until).map(|sent| sent.change.clone()).collect()
    }

    /// When the last change was sent.
    pub(super) fn last(&self) -> Option<Instant> {
        self.lock().last().map(|sent| sent.at)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Sent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn set(key: &str, until: Option<Instant>) -> Change {
        let entry = Entry { value: b"v".to_vec(), until, before: None };
        Change { database: 0, key: key.as_bytes().to_vec(), entry: Some(entry) }
    }

    #[test]
    fn a_key_is_gone_when_its_time_is_over() {
        let now = Instant::now();
        let mut keys = Keys::default();
        keys.apply(set("a", Some(now + Duration::from_secs(1))));
        keys.apply(set("b", None));
        assert_eq!(keys.count(0, now), (2, 1));
        assert!(keys.get(0, b"a", now).is_some() && keys.get(1, b"a", now).is_none());
        let later = now + Duration::from_secs(1);
        assert!(keys.get(0, b"a", later).is_none() && keys.get(0, b"b", later).is_some());
        assert_eq!(keys.count(0, later), (1, 0));
    }

    #[test]
    fn a_log_hands_out_what_was_sent_by_then() {
        let now = Instant::now();
        let log = Log::default();
        log.push(now, set("a", None));
        log.push(now + Duration::from_secs(1), set("b", None));
        assert_eq!(log.since(0, now).len(), 1);
        assert_eq!(log.since(1, now + Duration::from_secs(1)).len(), 1);
        assert!(log.offset(0) == 0 && log.offset(1) > 0 && log.offset(2) > log.offset(1));
    }
}
