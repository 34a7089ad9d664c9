//! A row of our own: inserted over one connection and read over another, in a table that is made for it and dropped.

use std::time::Duration;

use tokio::time::timeout;

use super::server::Talk;
use crate::checks::{Obstacle, Written};
use crate::probes::reach::{Failure, Unmet, heard};
use crate::probes::{Site, Unseen, token};

/// Longest time for making a table, inserting a row and reading it, and for dropping the table; both bound a task that
/// nobody waits for.
pub(super) const WRITE: Duration = Duration::from_secs(8);
pub(super) const REMOVE: Duration = Duration::from_secs(5);

/// The most characters of a run's name that a table's name has.
pub(super) const RUN: usize = 40;

/// What came of it, and what of ours could not be removed.
pub(super) struct Proven<T> {
    pub(super) came: Result<T, Unmet>,
    pub(super) leftovers: Vec<String>,
}

/// Sees a proof through even where this look is given up half-way; the run does not end before that, and tells what is left behind.
pub(super) async fn see_through<T: Send + 'static>(
    site: &Site<'_>,
    proof: impl Future<Output = Proven<T>> + Send + 'static,
) -> Result<(T, Vec<String>), Unmet> {
    let made = site.prober.made.clone();
    let proven = site.prober.unfinished.spawn(async move {
        let proven = proof.await;
        proven.leftovers.iter().for_each(|left| made.leave(format!("table {left}")));
        proven
    });
    let lost = |error| Unmet::from(Unseen(format!("the write was not seen through: {error}")));
    let Proven { came, leftovers } = proven.await.map_err(lost)?;
    Ok((came?, leftovers))
}

/// One row in a table of one server.
pub(super) async fn prove(mut writer: Talk, table: String) -> Proven<Written> {
    let mut reader = writer.again();
    let written = timeout(WRITE, write(&mut writer, &mut reader, &table)).await;
    let dropped = timeout(REMOVE, reader.ask(&format!("DROP TABLE IF EXISTS {table}"))).await;
    // Who may make no table may drop none either, and there is none.
    let is_there = !matches!(written, Ok(Ok(Insertion::NoTable(_))));
    let leftovers = kept(dropped).filter(|_| is_there).map(|why| format!("{table}: {why}")).into_iter().collect();
    let came = match written {
        Ok(insertion) => insertion.map(Insertion::written),
        Err(_elapsed) => Err(unfinished(&writer)),
    };
    Proven { came, leftovers }
}

/// Why a table was not dropped.
pub(super) fn kept<T>(dropped: Result<Result<T, Failure>, tokio::time::error::Elapsed>) -> Option<String> {
    match dropped {
        Ok(Ok(_)) => None,
        Ok(Err(failure)) => Some(failure.words()),
        Err(_elapsed) => Some(format!("no answer within {} s", REMOVE.as_secs())),
    }
}

/// A write that took too long.
pub(super) fn unfinished(writer: &Talk) -> Unmet {
    let words = format!("clickhouse {} did not finish a write within {} s", writer.server.at, WRITE.as_secs());
    Unmet::Obstacle(Obstacle::Broke(words))
}

/// What came of inserting a row.
enum Insertion {
    /// No table was made, in these words.
    NoTable(String),
    /// There is a table.
    Table(Written),
}

impl Insertion {
    fn written(self) -> Written {
        match self {
            Self::NoTable(error) => Written::Refused(error),
            Self::Table(written) => written,
        }
    }
}

async fn write(writer: &mut Talk, reader: &mut Talk, table: &str) -> Result<Insertion, Unmet> {
    let create = format!("CREATE TABLE {table} (value String) ENGINE = MergeTree ORDER BY tuple()");
    if let Err(error) = heard(writer.ask(&create).await)? {
        return Ok(Insertion::NoTable(error));
    }
    insert(writer, reader, table, &token()).await.map(Insertion::Table)
}

/// Inserts a row, and reads it back.
pub(super) async fn insert(writer: &mut Talk, reader: &mut Talk, table: &str, value: &str) -> Result<Written, Unmet> {
    if let Err(error) = heard(writer.ask(&format!("INSERT INTO {table} VALUES ('{value}')")).await)? {
        return Ok(Written::Refused(error));
    }
    Ok(match heard(reader.ask(&rows(table)).await)? {
        Ok(found) if found.trim_end() == value => Written::Kept,
        Ok(found) if found.is_empty() => Written::Lost("no row".to_owned()),
        Ok(_) => Written::Lost("another row".to_owned()),
        Err(error) => Written::Lost(format!("an error in place of it: {error}")),
    })
}

/// The question for all rows.
pub(super) fn rows(table: &str) -> String {
    format!("SELECT value FROM {table} FORMAT TabSeparated")
}

/// A name that needs no quotes.
pub(super) fn table_name(run: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let run: String = run.chars().map(plain).take(RUN).collect();
    format!("seaworthy_{run}_{}", token())
}
