//! Tables, and the changes that a transaction makes to them.

use std::collections::BTreeMap;

use super::sql::{Column, Kind};
use super::wire::Complaint;

/// A value in the text form of its type; `None` is `NULL`.
pub(super) type Cell = Option<String>;

/// All tables of a database by name.
pub(super) type Tables = BTreeMap<String, Table>;

/// Values by the place of their column.
pub(super) type Places = Vec<(usize, Cell)>;

/// One table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// The place of a column.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// A change that was made within a transaction.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Create { table: String, columns: Vec<Column> },
    Drop(String),
    Insert { table: String, rows: Vec<Vec<Cell>> },
    Update { table: String, sets: Places, filter: Places },
    Delete { table: String, filter: Places },
}

impl Change {
    /// Whether it is about rows, not tables.
    pub(super) const fn is_of_rows(&self) -> bool {
        match self {
            Self::Create { .. } | Self::Drop(_) => false,
            Self::Insert { .. } | Self::Update { .. } | Self::Delete { .. } => true,
        }
    }
}

/// Makes a change, and says how many rows it has met. A table that another transaction has dropped since is passed over.
pub(super) fn apply(tables: &mut Tables, change: &Change) -> usize {
    match change {
        Change::Create { table, columns } => {
            tables.entry(table.clone()).or_insert_with(|| Table { columns: columns.clone(), rows: Vec::new() });
            0
        }
        Change::Drop(table) => {
            tables.remove(table);
            0
        }
        Change::Insert { table, rows } => tables.get_mut(table).map_or(0, |table| {
            table.rows.extend(rows.iter().cloned());
            rows.len()
        }),
        Change::Update { table, sets, filter } => tables.get_mut(table).map_or(0, |table| {
            let met = table.rows.iter_mut().filter(|row| fits(row, filter));
            met.map(|row| sets.iter().for_each(|(place, value)| row[*place].clone_from(value))).count()
        }),
        Change::Delete { table, filter } => tables.get_mut(table).map_or(0, |table| {
            let before = table.rows.len();
            table.rows.retain(|row| !fits(row, filter));
            before - table.rows.len()
        }),
    }
}

/// Whether a row has these values. `NULL` equals nothing.
pub(super) fn fits(row: &[Cell], filter: &[(usize, Cell)]) -> bool {
    filter.iter().all(|(place, wanted)| wanted.is_some() && row.get(*place) == Some(wanted))
}

/// A value as a column of this type keeps it.
///
/// # Errors
/// 22P02 where it is none of the type.
pub(super) fn coerce(value: Cell, kind: Kind) -> Result<Cell, Complaint> {
    let Some(text) = value else { return Ok(None) };
    let kept = match kind {
        Kind::Name | Kind::Text | Kind::Varchar => Some(text.clone()),
        Kind::Int2 => text.trim().parse::<i16>().ok().map(|number| number.to_string()),
        Kind::Int4 => text.trim().parse::<i32>().ok().map(|number| number.to_string()),
        Kind::Int8 => text.trim().parse::<i64>().ok().map(|number| number.to_string()),
        Kind::Bool => match text.trim().to_lowercase().as_str() {
            "t" | "true" | "yes" | "on" | "1" => Some("t".to_owned()),
            "f" | "false" | "no" | "off" | "0" => Some("f".to_owned()),
            _ => None,
        },
    };
    let wrong = || Complaint::new("22P02", format!("invalid input syntax for type {}: \"{text}\"", kind.name()));
    kept.map(Some).ok_or_else(wrong)
}

/// A value as it goes over the wire in binary.
pub(super) fn to_binary(text: &str, kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Bool => vec![u8::from(text == "t")],
        Kind::Int2 => text.parse::<i16>().unwrap_or(0).to_be_bytes().to_vec(),
        Kind::Int4 => text.parse::<i32>().unwrap_or(0).to_be_bytes().to_vec(),
        Kind::Int8 => text.parse::<i64>().unwrap_or(0).to_be_bytes().to_vec(),
        Kind::Name | Kind::Text | Kind::Varchar => text.as_bytes().to_vec(),
    }
}

/// A value as it came over the wire in binary.
///
/// # Errors
/// 22P03 where it has another length than its type.
pub(super) fn from_binary(bytes: &[u8], kind: Kind) -> Result<String, Complaint> {
    let text = match kind {
        Kind::Bool => <[u8; 1]>::try_from(bytes).ok().map(|[byte]| if byte == 0 { "f" } else { "t" }.to_owned()),
        Kind::Int2 => bytes.try_into().ok().map(|bytes| i16::from_be_bytes(bytes).to_string()),
        Kind::Int4 => bytes.try_into().ok().map(|bytes| i32::from_be_bytes(bytes).to_string()),
        Kind::Int8 => bytes.try_into().ok().map(|bytes| i64::from_be_bytes(bytes).to_string()),
        Kind::Name | Kind::Text | Kind::Varchar => Some(String::from_utf8_lossy(bytes).into_owned()),
    };
    text.ok_or_else(|| Complaint::new("22P03", "incorrect binary data format in bind parameter 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_as_its_type_writes_it() {
        let cell = |text: &str| Some(text.to_owned());
        assert_eq!(coerce(cell(" 7 "), Kind::Int4), Ok(cell("7")));
        assert_eq!(coerce(cell("Yes"), Kind::Bool), Ok(cell("t")));
        assert_eq!(coerce(None, Kind::Bool), Ok(None));
        let wrong = coerce(cell("x"), Kind::Int8).unwrap_err();
        assert_eq!((wrong.code, wrong.words.as_str()), ("22P02", "invalid input syntax for type bigint: \"x\""));
    }

    #[test]
    fn binary_and_text_say_the_same() {
        for (text, kind) in
            [("t", Kind::Bool), ("-3", Kind::Int2), ("70000", Kind::Int4), ("-1", Kind::Int8), ("ü", Kind::Text)]
        {
            assert_eq!(from_binary(&to_binary(text, kind), kind), Ok(text.to_owned()));
        }
        assert_eq!(from_binary(b"abc", Kind::Int4).unwrap_err().code, "22P03");
    }

    #[test]
    fn null_equals_nothing() {
        let row = [None, Some("a".to_owned())];
        assert!(fits(&row, &[(1, Some("a".to_owned()))]) && !fits(&row, &[(0, None)]));
    }
}
