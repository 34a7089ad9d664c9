//! Migrations of Flyway: what a file's name and text say of the row that it becomes in the schema history.
//!
//! The rules are those of flyway-core 10: `ResourceNameParser` for names, `MigrationVersion` for versions, and
//! `ChecksumCalculator`. What the tests hold them against is what the real program has written.

use flate2::Crc;

/// One migration, as its file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its version as it is written; `None` of a repeatable one (`R__…`), which is known by its description.
    pub version: Option<String>,
    /// What it does.
    pub description: String,
    /// The name of its file.
    pub script: String,
    /// The sum of its text; `None` where nobody knows it who does not run it: of a repeatable one with placeholders, whose values
    /// go into the sum.
    pub checksum: Option<i32>,
}

impl Migration {
    /// The migrations of a folder's files, each with its name and its content.
    ///
    /// # Errors
    /// As for one of them, where two are the same, and where there are none: an empty folder would claim that nothing has run.
    pub fn of_files<C: AsRef<[u8]>>(files: impl IntoIterator<Item = (String, C)>) -> Result<Vec<Self>, String> {
        let mut all: Vec<Self> = Vec::new();
        for (name, content) in files {
            let Some(migration) = Self::of_file(&name, content.as_ref())? else { continue };
            if let Some(other) = all.iter().find(|other| other.key() == migration.key()) {
                return Err(format!("{} and {name} are the same migration", other.script));
            }
            all.push(migration);
        }
        if all.is_empty() { Err("there is no migration".to_owned()) } else { Ok(all) }
    }

    /// What tells it apart: its version, or if it is repeatable its description.
    pub(super) fn key(&self) -> (Option<Vec<(usize, &str)>>, &str) {
        key(self.version.as_deref(), &self.description)
    }

    /// The migration that a file is; `None` where Flyway would not look at it.
    ///
    /// # Errors
    /// What is wrong with a file that ends in `.sql` and is no migration of the community's edition, or no text. Flyway
    /// itself passes over a name that it cannot read, and so over a migration whose name is mistyped.
    pub fn of_file(name: &str, content: &[u8]) -> Result<Option<Self>, String> {
        let Some(stem) = name.strip_suffix(".sql") else { return Ok(None) };
        let wrong =
            || format!("{name} is no name of a migration: `V<version>__<description>.sql`, or `R__<description>.sql`");
        if is_callback(stem) {
            return Ok(None);
        }
        let (prefix, description) = stem.split_once("__").filter(|(_, words)| !words.is_empty()).ok_or_else(wrong)?;
        let version = match prefix {
            "R" => None,
            _ => Some(prefix.strip_prefix('V').and_then(written).ok_or_else(wrong)?),
        };
        let text = std::str::from_utf8(content).map_err(|_| format!("{name} is not text in UTF-8"))?;
        let varies = version.is_none() && text.contains("${");
        Ok(Some(Self {
            version,
            description: description.replace('_', " "),
            script: name.to_owned(),
            checksum: (!varies).then(|| checksum(text)),
        }))
    }
}

/// Whether a file is run before or after something and leaves no row: `beforeMigrate`, `afterEachMigrate__refresh` (flyway-core,
/// `Event`).
fn is_callback(stem: &str) -> bool {
    let event = stem.split("__").next().unwrap_or_default();
    let rest = event.strip_prefix("before").or_else(|| event.strip_prefix("after"));
    event == "createSchema" || rest.is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_uppercase()))
}

/// A version as Flyway writes it, of the part of a file's name that says it: `2_1` is 2.1.
fn written(version: &str) -> Option<String> {
    let version = version.replace('_', ".");
    is_version(&version).then_some(version)
}

/// Whether a text is a version as Flyway writes it.
pub(super) fn is_version(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|letter| letter.is_ascii_digit());
    text.split('.').all(is_number)
}

/// What a version is compared by: 1.0 is 1, 002 is 2, and 1.10 comes after 1.9. Numbers are of any length.
pub(super) fn place(version: &str) -> Vec<(usize, &str)> {
    let number = |part| {
        let digits = str::trim_start_matches(part, '0');
        (digits.len(), digits)
    };
    let mut parts: Vec<(usize, &str)> = version.split('.').map(number).collect();
    while parts.len() > 1 && parts.last().is_some_and(|(length, _)| *length == 0) {
        parts.pop();
    }
    parts
}

/// What tells migrations apart: a version, or of a repeatable one its description.
pub(super) fn key<'m>(version: Option<&'m str>, description: &'m str) -> (Option<Vec<(usize, &'m str)>>, &'m str) {
    match version {
        Some(version) => (Some(place(version)), ""),
        None => (None, description),
    }
}

/// The CRC-32 of all lines without their ends and without a byte order mark before the first, as a signed number.
fn checksum(text: &str) -> i32 {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sum = Crc::new();
    // A carriage return alone ends a line as well; lines without anything in them add nothing.
    text.split(['\r', '\n']).for_each(|line| sum.update(line.as_bytes()));
    sum.sum().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migration(name: &str, text: &str) -> Migration {
        Migration::of_file(name, text.as_bytes()).unwrap().unwrap()
    }

    /// Rows that Flyway 10.22.0 wrote into a PostgreSQL 15 for these files.
    #[test]
    fn files_say_what_the_real_program_writes() {
        for (name, text, version, description, checksum) in [
            (
                "V1__create_customers.sql",
                "-- The people who use the shop.\nCREATE TABLE customers (\n  id integer PRIMARY KEY,\n  name text NOT NULL\n);\n",
                Some("1"),
                "create customers",
                -15_032_512,
            ),
            (
                "V1.1__first_customers.sql",
                "INSERT INTO customers (id, name) VALUES (1, 'Ada'), (2, 'Grace');\n",
                Some("1.1"),
                "first customers",
                -45_076_519,
            ),
            (
                "V002__with_bom_and_crlf.sql",
                "\u{feff}CREATE TABLE \"orders\" (id integer PRIMARY KEY);\r\nINSERT INTO orders VALUES (1); -- naïve ü 😀",
                Some("002"),
                "with bom and crlf",
                -1_933_867_329,
            ),
            (
                "V3_0__blank_lines.sql",
                "CREATE TABLE a3 (id integer);\n\n\rSELECT 1;\n\n",
                Some("3.0"),
                "blank lines",
                763_445_272,
            ),
            (
                "R__views_of_all.sql",
                "CREATE TABLE IF NOT EXISTS rep (id integer);\n",
                None,
                "views of all",
                -2_046_719_032,
            ),
        ] {
            let found = migration(name, text);
            let version = version.map(str::to_owned);
            let wanted = Migration {
                version,
                description: description.to_owned(),
                script: name.to_owned(),
                checksum: Some(checksum),
            };
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn other_files_are_passed_over_and_mistyped_names_are_not() {
        assert_eq!(Migration::of_file("V1__a.sql.conf", b""), Ok(None));
        assert_eq!(Migration::of_file("README.md", b""), Ok(None));
        assert_eq!(Migration::of_file("afterMigrate.sql", b""), Ok(None));
        assert_eq!(Migration::of_file("beforeEachMigrate__locks.sql", b""), Ok(None));
        for name in [
            "beforehand.sql",
            "V1_a.sql",
            "V__a.sql",
            "V1.__a.sql",
            "Vx__a.sql",
            "v1__a.sql",
            "U1__a.sql",
            "V1__.sql",
            "notes.sql",
        ] {
            let said = Migration::of_file(name, b"").unwrap_err();
            assert!(said.starts_with(&format!("{name} is no name of a migration")), "{said}");
        }
        assert_eq!(Migration::of_file("V1__a.sql", &[0xff]), Err("V1__a.sql is not text in UTF-8".to_owned()));
    }

    #[test]
    fn two_files_of_one_migration_and_none_at_all_are_mistakes() {
        let read = |names: &[&str]| Migration::of_files(names.iter().map(|name| ((*name).to_owned(), b"")));
        assert_eq!(read(&["V1__a.sql", "V1.1__a.sql", "R__a.sql", "notes.txt"]).map(|all| all.len()), Ok(3));
        assert_eq!(
            read(&["V1__a.sql", "V01_0__b.sql"]),
            Err("V1__a.sql and V01_0__b.sql are the same migration".to_owned())
        );
        assert_eq!(read(&["notes.txt"]), Err("there is no migration".to_owned()));
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(place("1.0") == place("1") && place("002") == place("2") && place("0") == place("0.0"));
        assert!(place("1.10") > place("1.9") && place("1") < place("1.0.1") && place("20240101") > place("9"));
    }

    #[test]
    fn placeholders_of_a_repeatable_migration_leave_its_sum_open() {
        assert_eq!(migration("R__grants.sql", "GRANT SELECT ON t TO ${reader};").checksum, None);
        assert!(migration("V1__grants.sql", "GRANT SELECT ON t TO ${reader};").checksum.is_some());
    }
}
