//! What can be wrong with a schema history of Flyway.
//!
//! The table itself stays as it is: whoever reads it is shown another. Only one that grows does so for all.

use super::store::Table;
use super::wire::Complaint;

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    /// There is none.
    Gone,
    /// The user may not read it.
    Denied,
    /// Its last migration has not run.
    Lacks,
    /// Its last migration has failed, and left a row that says so.
    Failed,
    /// Its last migration was applied from another text.
    Drifted,
    /// Its last migration is there twice.
    Twice,
    /// A later deploy has made another one.
    Ahead,
    /// Its last migration never ran: the baseline passes over it.
    Baselined,
    /// Its last migration was applied under another name.
    Renamed,
    /// A repeatable migration is another one each time that it runs, as one with the time in it is.
    Grows,
}

impl History {
    /// The fault's name in kebab case.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gone => "history-gone",
            Self::Denied => "history-denied",
            Self::Lacks => "history-lacks",
            Self::Failed => "history-failed",
            Self::Drifted => "history-drifted",
            Self::Twice => "history-twice",
            Self::Ahead => "history-ahead",
            Self::Baselined => "history-baselined",
            Self::Renamed => "history-renamed",
            Self::Grows => "history-grows",
        }
    }

    /// What whoever reads the table is shown in its place.
    ///
    /// # Errors
    /// What it is told instead.
    pub(super) fn shown(self, name: &str, mut table: Table) -> Result<Table, Complaint> {
        match self {
            Self::Gone => return Err(Complaint::new("42P01", format!("relation \"{name}\" does not exist"))),
            Self::Denied => return Err(Complaint::new("42501", format!("permission denied for table {name}"))),
            Self::Lacks => drop(table.rows.pop()),
            Self::Failed => set(&mut table, "success", Some("f")),
            Self::Drifted => set(&mut table, "checksum", Some("1")),
            Self::Twice => repeat(&mut table),
            Self::Ahead => {
                repeat(&mut table);
                set(&mut table, "version", Some("9999"));
                set(&mut table, "script", Some("V9999__of_a_later_deploy.sql"));
            }
            Self::Baselined => {
                set(&mut table, "type", Some("BASELINE"));
                set(&mut table, "script", Some("<< Flyway Baseline >>"));
            }
            Self::Renamed => set(&mut table, "description", Some("another name")),
            Self::Grows => {}
        }
        Ok(table)
    }
}

/// Whether a table is a schema history, by its name.
pub(super) fn is_one(table: &str) -> bool {
    table.ends_with("schema_history")
}

/// One more run of a repeatable migration.
pub(super) fn grow(table: &mut Table) {
    repeat(table);
    set(table, "version", None);
    set(table, "description", Some("stamp"));
    set(table, "script", Some("R__stamp.sql"));
}

/// The last row once more, under the next rank.
fn repeat(table: &mut Table) {
    let rank = (table.rows.len() + 1).to_string();
    table.rows.extend(table.rows.last().cloned());
    set(table, "installed_rank", Some(&rank));
}

/// Sets a value of the last row.
fn set(table: &mut Table, column: &str, value: Option<&str>) {
    let place = table.place(column);
    if let (Some(row), Some(place)) = (table.rows.last_mut(), place) {
        row[place] = value.map(str::to_owned);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sql::{Column, Kind};
    use super::super::store::Cell;
    use super::*;

    fn table() -> Table {
        let column = |name: &str| Column { name: name.to_owned(), kind: Kind::Text };
        let row = |rank: &str, version: &str| -> Vec<Cell> {
            [rank, version, "V.sql", "7", "t"].map(|cell| Some(cell.to_owned())).into()
        };
        let columns = ["installed_rank", "version", "script", "checksum", "success"].map(column).into();
        Table { columns, rows: vec![row("1", "1"), row("2", "2")] }
    }

    fn last(table: &Table) -> Vec<&str> {
        table.rows.last().unwrap().iter().map(|cell| cell.as_deref().unwrap_or("-")).collect()
    }

    #[test]
    fn each_fault_shows_another_table() {
        for (fault, rows, shown) in [
            (History::Lacks, 1, ["1", "1", "V.sql", "7", "t"]),
            (History::Failed, 2, ["2", "2", "V.sql", "7", "f"]),
            (History::Drifted, 2, ["2", "2", "V.sql", "1", "t"]),
            (History::Twice, 3, ["3", "2", "V.sql", "7", "t"]),
            (History::Ahead, 3, ["3", "9999", "V9999__of_a_later_deploy.sql", "7", "t"]),
            (History::Baselined, 2, ["2", "2", "<< Flyway Baseline >>", "7", "t"]),
            (History::Grows, 2, ["2", "2", "V.sql", "7", "t"]),
        ] {
            let table = fault.shown("h", table()).unwrap();
            assert_eq!((table.rows.len(), last(&table)), (rows, shown.to_vec()), "{fault:?}");
        }
        let code = |fault: History| fault.shown("h", table()).unwrap_err().code;
        assert_eq!((code(History::Gone), code(History::Denied)), ("42P01", "42501"));
        let mut grown = table();
        grow(&mut grown);
        assert_eq!(last(&grown), ["3", "-", "R__stamp.sql", "7", "t"]);
    }
}
