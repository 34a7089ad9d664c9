//! The commands on keys.

use std::time::Duration;

use tokio::time::Instant;

use super::commands::{arity, text};
use super::keys::{Change, Entry};
use super::resp::Reply;
use super::{Fault, Server};

const NO_INTEGER: &str = "ERR value is not an integer or out of range";

/// Under which condition a `SET` is done.
#[derive(Clone, Copy, PartialEq)]
enum When {
    Always,
    Missing,
    There,
}

impl Server {
    /// Runs a command on the keys of a database.
    pub(super) fn on_keys(&self, database: usize, name: &str, words: &[Vec<u8>]) -> Reply {
        self.settle();
        match name {
            "get" => self.read(database, &words[0]).map_or(Reply::Null, Reply::Bulk),
            "set" => self.set(database, words).unwrap_or_else(Reply::error),
            "del" => count(words.iter().filter(|key| self.remove(database, key)).count()),
            "exists" => count(words.iter().filter(|key| self.entry(database, key).is_some()).count()),
            "expire" => self.expire(database, words),
            "ttl" | "pttl" => self.time_left(database, &words[0], name == "pttl"),
            "flushall" => self.flush(None),
            "flushdb" => self.flush(Some(database)),
            "incr" => self.increase(database, &words[0]),
            "dbsize" => count(self.state().keys.count(database, Instant::now()).0),
            other => Reply::Error(arity(other)),
        }
    }

    fn entry(&self, database: usize, key: &[u8]) -> Option<Entry> {
        self.state().keys.get(database, key, Instant::now()).cloned()
    }

    fn read(&self, database: usize, key: &[u8]) -> Option<Vec<u8>> {
        let entry = self.entry(database, key)?;
        match self.faults.on() {
            Some(Fault::StaleRead) => entry.before,
            Some(Fault::OtherValue) => Some(b"something else".to_vec()),
            Some(_) | None => Some(entry.value),
        }
    }

    fn put(&self, database: usize, key: &[u8], value: Vec<u8>, until: Option<Instant>) {
        let before = self.entry(database, key).map(|entry| entry.value);
        self.make(Change { database, key: key.to_vec(), entry: Some(Entry { value, until, before }) });
    }

    fn remove(&self, database: usize, key: &[u8]) -> bool {
        let was_there = self.entry(database, key).is_some();
        if was_there {
            self.make(Change { database, key: key.to_vec(), entry: None });
        }
        was_there
    }

    /// Removes every key, of this database only where one is named.
    fn flush(&self, database: Option<usize>) -> Reply {
        let all = self.state().keys.all(database);
        for (database, key) in all {
            self.make(Change { database, key, entry: None });
        }
        Reply::Status("OK")
    }

    /// `SET key value [NX|XX] [GET] [EX s|PX ms|KEEPTTL]`
    fn set(&self, database: usize, words: &[Vec<u8>]) -> Result<Reply, &'static str> {
        let (key, value) = (&words[0], &words[1]);
        let old = self.entry(database, key);
        let (mut when, mut until, mut gets) = (When::Always, None, false);
        let mut rest = words[2..].iter();
        while let Some(word) = rest.next() {
            match text(word).to_lowercase().as_str() {
                "nx" if when == When::Always => when = When::Missing,
                "xx" if when == When::Always => when = When::There,
                "get" => gets = true,
                "keepttl" if until.is_none() => until = old.as_ref().and_then(|entry| entry.until),
                unit @ ("ex" | "px") if until.is_none() => {
                    let length = rest.next().ok_or("ERR syntax error")?;
                    until = Some(Instant::now() + lifetime(length, unit)?);
                }
                _ => return Err("ERR syntax error"),
            }
        }
        let is_done = match when {
            When::Always => true,
            When::Missing => old.is_none(),
            When::There => old.is_some(),
        };
        if is_done {
            self.put(database, key, value.clone(), until);
        }
        Ok(match (gets, is_done) {
            (true, _) => old.map_or(Reply::Null, |entry| Reply::Bulk(entry.value)),
            (false, true) => Reply::Status("OK"),
            (false, false) => Reply::Null,
        })
    }

    fn expire(&self, database: usize, words: &[Vec<u8>]) -> Reply {
        let Ok(seconds) = text(&words[1]).parse::<i64>() else { return Reply::error(NO_INTEGER) };
        let option = words.get(2).map(|word| text(word).to_lowercase());
        if let Some(option) = option.as_deref().filter(|option| !matches!(*option, "nx" | "xx" | "gt" | "lt")) {
            return Reply::error(format!("ERR Unsupported option {option}"));
        }
        let Some(entry) = self.entry(database, &words[0]) else { return Reply::Integer(0) };
        let until = u64::try_from(seconds).ok().map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let is_done = match option.as_deref() {
            Some("nx") => entry.until.is_none(),
            Some("xx") => entry.until.is_some(),
            // A key without an end lives longer than any other.
            Some("gt") => entry.until.is_some_and(|old| until > Some(old)),
            Some("lt") => entry.until.is_none_or(|old| until < Some(old)),
            Some(_) | None => true,
        };
        if !is_done {
            return Reply::Integer(0);
        }
        let entry = until.map(|until| Entry { until: Some(until), ..entry });
        self.make(Change { database, key: words[0].clone(), entry });
        Reply::Integer(1)
    }

    fn time_left(&self, database: usize, key: &[u8], in_millis: bool) -> Reply {
        let Some(entry) = self.entry(database, key) else { return Reply::Integer(-2) };
        let Some(until) = entry.until else { return Reply::Integer(-1) };
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        // Seconds are rounded as the server does it.
        let left = if in_millis { left } else { (left + 500) / 1000 };
        Reply::Integer(i64::try_from(left).unwrap_or(i64::MAX))
    }

    fn increase(&self, database: usize, key: &[u8]) -> Reply {
        let old = self.entry(database, key);
        let number = old.as_ref().map_or(Ok(0), |entry| text(&entry.value).parse::<i64>());
        let Ok(number) = number else { return Reply::error(NO_INTEGER) };
        let Some(more) = number.checked_add(1) else {
            return Reply::error("ERR increment or decrement would overflow");
        };
        self.put(database, key, more.to_string().into_bytes(), old.and_then(|entry| entry.until));
        Reply::Integer(more)
    }
}

fn lifetime(length: &[u8], unit: &str) -> Result<Duration, &'static str> {
    let length = text(length).parse::<i64>().map_err(|_| NO_INTEGER)?;
    match u64::try_from(length) {
        Ok(length @ 1..) if unit == "px" => Ok(Duration::from_millis(length)),
        Ok(length @ 1..) => Ok(Duration::from_secs(length)),
        Ok(0) | Err(_) => Err("ERR invalid expire time in 'set' command"),
    }
}

fn count(number: usize) -> Reply {
    Reply::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
