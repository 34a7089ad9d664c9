//! Flyway: the schema history of a database says what the migrations' files say, and running them again changes nothing.
//!
//! - Why the files: on PostgreSQL a migration that fails leaves no row, so a history without a failure may be one in which nothing
//!   has run. What must be in it is known from the files alone.
//! - Why a second run: the Job runs with each deploy. One that is not idempotent is found there, and not in a history.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::migration::{Migration, key, place};
use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Obstacle, Outlook, Ran, Trust, Verdict};
use crate::number::count;

/// A claim about the migrations that Flyway has made in one PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flyway {
    /// Where to connect.
    pub at: Address,
    /// User; one who may read the schema history.
    pub user: String,
    /// Its password; an empty one where it is left out.
    #[serde(default)]
    pub password: Option<Credential>,
    /// Database; the user's name where it is left out.
    #[serde(default)]
    pub database: Option<String>,
    /// Speak TLS, as with `sslmode=verify-full`, and trust this: `any`, or `ca` with the place of a certificate in PEM. What the Job
    /// speaks is its own affair.
    #[serde(default)]
    pub tls: Option<Trust>,
    /// The schema that the history is in.
    #[serde(default = "public")]
    pub schema: String,
    /// The table of the history.
    #[serde(default = "usual")]
    pub table: String,
    /// A folder with the migrations: those of its files that end in `.sql`, not those of folders in it. Each must be in the history
    /// once, as a success, with the description and the checksum of its file; and nothing else may be. What has placeholders in a
    /// repeatable one is not compared by its checksum.
    pub migrations: PathBuf,
    /// The version up to which the database was as it should be when Flyway came to it: what the history's baseline passes over is
    /// missing otherwise, since nobody has seen it run.
    #[serde(default)]
    pub baseline: Option<String>,
    /// The Job that has run them, in the component's namespace. A copy of it is run to its end, under a name of its own: it must
    /// succeed, and leave the history as it was. The copy is removed afterwards.
    #[serde(default)]
    pub again: Option<String>,
}

fn public() -> String {
    "public".to_owned()
}

/// Flyway's own name for it (`flyway.table`).
fn usual() -> String {
    "flyway_schema_history".to_owned()
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlywayAnswer {
    /// There was nobody to talk to.
    Unmet(Obstacle),
    /// The server ended the login with an error: its SQLSTATE, then its words.
    Refused(String),
    /// It let us in, and does not show the history, in these words.
    Unreadable(String),
    /// We were let in.
    Open(FlywayFacts),
}

/// What a database showed that let us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlywayFacts {
    /// What the files say.
    pub migrations: Vec<Migration>,
    /// The history by rank; `None` where there is no such table.
    pub history: Option<Vec<Applied>>,
    /// What came of the second run; `None` as long as none was made.
    pub again: Option<Again>,
}

/// One row of a schema history, in the columns that are judged (<https://documentation.red-gate.com/flyway>, schema history table).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// `installed_rank`: the order in which rows came.
    pub rank: i64,
    /// `version`; `None` of a repeatable migration, and of the row that says that Flyway made the schema.
    pub version: Option<String>,
    /// `description`.
    pub description: String,
    /// `type`: `SQL`, `JDBC`, `BASELINE`, `SCHEMA`, `DELETE`.
    pub kind: String,
    /// `script`.
    pub script: String,
    /// `checksum`; `None` of what has none.
    pub checksum: Option<i32>,
    /// `installed_on`, as the server writes it.
    pub installed_on: String,
    /// `success`.
    pub success: bool,
}

/// What came of running the migrations once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// There is no such Job.
    NoJob,
    /// A copy of it ran.
    Ran {
        /// How that went.
        ran: Ran,
        /// The history afterwards; `None` where the Job failed, or the table is gone.
        history: Option<Vec<Applied>>,
    },
}

impl Claim for Flyway {
    type Answer = FlywayAnswer;

    fn judge(&self, answer: &FlywayAnswer) -> Verdict {
        let (who, table) = (self.who(), &self.table);
        match answer {
            FlywayAnswer::Unmet(obstacle) => obstacle.judge(format!("{who} is let in"), Access::Allowed),
            // Not final: bootstraps and operators create users after the server has begun to accept.
            FlywayAnswer::Refused(error) => {
                Verdict::broken(format!("{who} is let in"), format!("{who} was refused: {error}"))
            }
            FlywayAnswer::Unreadable(error) => Verdict::broken(
                format!("{who} may read {table}"),
                format!("{who} was refused to read {table}: {error}"),
            ),
            FlywayAnswer::Open(facts) => match &facts.history {
                // A Job may still be about to make it.
                None => Verdict::broken(
                    format!("the migrations are in {}.{table}", self.schema),
                    format!("no migration has run: {} has no table {}.{table}", self.whose(), self.schema),
                ),
                Some(history) => self.judge_history(facts, history),
            },
        }
    }
}

impl Flyway {
    fn who(&self) -> String {
        format!("postgres {}@{}", self.user, self.at)
    }

    fn whose(&self) -> String {
        format!("database {} of {}", self.database.as_ref().unwrap_or(&self.user), self.at)
    }

    fn judge_history(&self, facts: &FlywayFacts, history: &[Applied]) -> Verdict {
        let history = History::of(history);
        let mut faults = Faults::default();
        let passed_over = self.baseline.as_deref();
        let stays = [history.failures(&mut faults), history.held_against(&facts.migrations, passed_over, &mut faults)];
        let stays = history.strangers(&facts.migrations, &mut faults) || stays.contains(&true);
        match (faults.or_held(self.sight(facts)), &facts.again) {
            // Only a hand changes a row that is there.
            (Verdict::Broken { expected, actual, .. }, _) if stays => {
                Verdict::Broken { expected, actual, outlook: Outlook::Final }
            }
            (Verdict::Held { saw, .. }, Some(again)) => self.judge_again(&saw, &history, again),
            (verdict, _) => verdict,
        }
    }

    fn judge_again(&self, saw: &str, before: &History<'_>, again: &Again) -> Verdict {
        let name = self.again.as_deref().unwrap_or_default();
        let Again::Ran { ran, history } = again else {
            return Verdict::unclear(format!(
                "there is no Job {name} that could be run again: one that is removed once it has ended \
                 (`ttlSecondsAfterFinished`, `helm.sh/hook-delete-policy`) must be kept, or `again` be left out"
            ));
        };
        let (what, expected) = (format!("Job {name}, run again,"), format!("Job {name}, run again, changes nothing"));
        let verdict = ran.verdict(&what);
        let Verdict::Held { saw: told, warnings } = verdict else { return verdict };
        let Some(after) = history else {
            return Verdict::doomed(expected, format!("{what} took {} away", self.table));
        };
        match before.change(after) {
            Some(change) => Verdict::doomed(expected, format!("{what} changed {}: {change}", self.table)),
            None => Verdict::Held { saw: format!("{saw}; {told}, and nothing changed"), warnings },
        }
    }

    /// What a claim that holds has shown, in one line.
    fn sight(&self, facts: &FlywayFacts) -> String {
        let versions = facts.migrations.iter().filter_map(|migration| migration.version.as_deref());
        let newest = versions.max_by_key(|version| place(version));
        let newest = newest.map_or_else(String::new, |version| format!(", up to version {version}"));
        let all = count(facts.migrations.len(), "migration");
        format!("{} has {all}{newest}, each as its file has it", self.whose())
    }
}

/// A schema history, by rank.
struct History<'a> {
    rows: Vec<&'a Applied>,
    /// The version up to which a database was as it should be before Flyway came to it.
    baseline: Option<&'a str>,
    whole: &'a [Applied],
}

impl<'a> History<'a> {
    /// What is in force of the rows: what was repaired as deleted, or undone, is as if it had never been.
    fn of(whole: &'a [Applied]) -> Self {
        let mut ordered: Vec<&Applied> = whole.iter().collect();
        ordered.sort_by_key(|row| row.rank);
        let (mut rows, mut baseline) = (Vec::<&Applied>::new(), None);
        for row in ordered {
            match row.kind.as_str() {
                "SCHEMA" => {}
                "BASELINE" => baseline = row.version.as_deref(),
                "DELETE" => rows.retain(|former| former.key() != row.key()),
                kind if kind.starts_with("UNDO") && row.success => rows.retain(|former| former.key() != row.key()),
                _ => rows.push(row),
            }
        }
        Self { rows, baseline, whole }
    }

    /// The baseline, where it passes over a migration: that is not for Flyway to make.
    fn passes_over(&self, migration: &Migration) -> Option<&'a str> {
        let is_up_to = |baseline: &&str| is_up_to(migration.version.as_deref(), baseline);
        self.baseline.filter(is_up_to)
    }

    /// The rows of a migration. A repeatable one has a row for each time that it has run.
    fn of_migration(&self, migration: &Migration) -> Vec<&'a Applied> {
        self.rows.iter().filter(|row| row.is_of(migration)).copied().collect()
    }

    /// Migrations that failed; whether there are any. (Databases whose DDL is in no transaction keep such a row.)
    fn failures(&self, faults: &mut Faults) -> bool {
        let failed: Vec<&&Applied> = self.rows.iter().filter(|row| !row.success).collect();
        for row in &failed {
            faults.unless(false, "every migration has succeeded", format!("{} has failed", title(row)));
        }
        !failed.is_empty()
    }

    /// What the files say that the history does not; whether any of it stays so.
    fn held_against(&self, migrations: &[Migration], baseline: Option<&str>, faults: &mut Faults) -> bool {
        let mut missing = Vec::new();
        let mut stays = false;
        for migration in migrations {
            let rows = self.of_migration(migration);
            let Some(last) = rows.last() else {
                let name = named(migration.version.as_deref(), &migration.script);
                match self.passes_over(migration) {
                    None => missing.push(name),
                    Some(_) if baseline.is_some_and(|known| is_up_to(migration.version.as_deref(), known)) => {}
                    Some(passes) => missing.push(format!("{name}, which the baseline {passes} passes over")),
                }
                continue;
            };
            let once = migration.version.is_none() || rows.len() == 1;
            let title = title(last);
            faults.unless(once, "every version is there once", format!("{title} is there {} times", rows.len()));
            stays |= !once | last.differs(migration, faults);
        }
        let expected = format!("all {} have been applied", count(migrations.len(), "migration"));
        faults.unless(missing.is_empty(), expected, format!("not applied: {}", missing.join(", ")));
        stays
    }

    /// What is there that no file says; whether anything is.
    fn strangers(&self, migrations: &[Migration], faults: &mut Faults) -> bool {
        let known = |row: &&&Applied| migrations.iter().any(|migration| row.is_of(migration));
        let strangers: Vec<&&Applied> = self.rows.iter().filter(|row| !known(row)).collect();
        for row in &strangers {
            let words = format!("{} has been applied, and is not among the files", title(row));
            faults.unless(false, "nothing else has been applied", words);
        }
        !strangers.is_empty()
    }

    /// How a history differs from this one, in the first row that does.
    fn change(&self, after: &[Applied]) -> Option<String> {
        let find = |rows: &'a [Applied], rank| rows.iter().find(|row| row.rank == rank);
        let changed = self.whole.iter().find_map(|row| match after.iter().find(|later| later.rank == row.rank) {
            None => Some(format!("row {} ({}) is gone", row.rank, title(row))),
            Some(later) if later != row => Some(format!("row {} ({}) is another", row.rank, title(row))),
            Some(_) => None,
        });
        let added = || after.iter().find(|later| find(self.whole, later.rank).is_none());
        changed.or_else(|| added().map(|row| format!("row {} ({}) has come", row.rank, title(row))))
    }
}

/// Whether a version is not above another; a repeatable migration has none.
fn is_up_to(version: Option<&str>, other: &str) -> bool {
    version.is_some_and(|version| place(version) <= place(other))
}

/// The most characters of a description that are kept in the table.
const DESCRIPTION: usize = 200;

impl Applied {
    /// How a row is not as the migration's file has it; whether that stays so. A repeatable migration that has changed runs anew.
    fn differs(&self, migration: &Migration, faults: &mut Faults) -> bool {
        let title = title(self);
        let is_same = migration.checksum.is_none() || self.checksum == migration.checksum;
        let sum = |sum: Option<i32>| sum.map_or_else(|| "none".to_owned(), |sum| sum.to_string());
        let (applied, file) = (sum(self.checksum), sum(migration.checksum));
        let how = if migration.version.is_some() { "has drifted" } else { "has changed since" };
        let words = format!("{title} {how}: it was applied with checksum {applied}, and its file has {file}");
        faults.unless(is_same, "every checksum is that of its file", words);
        let description: String = migration.description.chars().take(DESCRIPTION).collect();
        let is_named = migration.version.is_none() || self.description == description;
        let words = format!("{title} was applied as {:?}, and its file is named {description:?}", self.description);
        faults.unless(is_named, "every description is that of its file", words);
        migration.version.is_some() && !(is_same && is_named)
    }

    fn key(&self) -> (Option<Vec<(usize, &str)>>, &str) {
        key(self.version.as_deref(), &self.description)
    }

    fn is_of(&self, migration: &Migration) -> bool {
        self.key() == migration.key()
    }
}

fn title(row: &Applied) -> String {
    named(row.version.as_deref(), &row.script)
}

fn named(version: Option<&str>, script: &str) -> String {
    version.map_or_else(|| format!("repeatable {script}"), |version| format!("version {version} ({script})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Launch;

    fn claim(again: bool) -> Flyway {
        let again = if again { ", again: migrations" } else { "" };
        serde_saphyr::from_str(&format!("{{at: 'db:5432', user: app, migrations: sql{again}}}")).unwrap()
    }

    fn migration(name: &str) -> Migration {
        Migration::of_file(name, b"SELECT 1;").unwrap().unwrap()
    }

    fn applied(rank: i64, name: &str) -> Applied {
        let Migration { version, description, script, checksum } = migration(name);
        let (kind, installed_on) = ("SQL".to_owned(), format!("2026-11-29 09:32:0{rank}.6"));
        Applied { rank, version, description, kind, script, checksum, installed_on, success: true }
    }

    fn of_kind(rank: i64, kind: &str, version: Option<&str>) -> Applied {
        let version = version.map(str::to_owned);
        Applied { version, kind: kind.to_owned(), checksum: None, ..applied(rank, "V0__x.sql") }
    }

    const NAMES: [&str; 3] = ["V1__one.sql", "V1.1__more.sql", "R__views.sql"];

    fn history() -> Vec<Applied> {
        NAMES.into_iter().zip(1..).map(|(name, rank)| applied(rank, name)).collect()
    }

    fn open(history: Vec<Applied>, again: Option<Again>) -> FlywayAnswer {
        let migrations = NAMES.map(migration).into();
        FlywayAnswer::Open(FlywayFacts { migrations, history: Some(history), again })
    }

    fn judged(change: impl FnOnce(&mut Vec<Applied>)) -> Verdict {
        let mut rows = history();
        change(&mut rows);
        claim(false).judge(&open(rows, None))
    }

    #[track_caller]
    fn broken(verdict: &Verdict) -> (&str, Outlook) {
        match verdict {
            Verdict::Broken { actual, outlook, .. } => (actual, *outlook),
            Verdict::Held { .. } | Verdict::Unclear { .. } => panic!("not broken: {verdict:?}"),
        }
    }

    fn ran() -> Ran {
        let launch = Launch { starting: crate::span::Span::secs(1), ..Launch::default() };
        Ran { end: Ok(()), launch: Some(launch), log: Some("up to date\n".to_owned()), cut: None }
    }

    #[test]
    fn a_history_that_is_as_the_files_are_holds() {
        let saw = "database app of db:5432 has 3 migrations, up to version 1.1, each as its file has it";
        assert_eq!(judged(|_| {}), Verdict::held(saw));
    }

    #[test]
    fn every_part_of_a_claim_can_fail() {
        let drifted = "version 1 (V1__one.sql) has drifted: it was applied with checksum 7, and its file has 78787420";
        type Change = fn(&mut Vec<Applied>);
        let cases: [(Change, &str, Outlook); 9] = [
            (
                |rows| rows[0].description = "two".to_owned(),
                "version 1 (V1__one.sql) was applied as \"two\", and its file is named \"one\"",
                Outlook::Final,
            ),
            (
                |rows| rows[0] = of_kind(1, "BASELINE", Some("1.0")),
                "not applied: version 1 (V1__one.sql), which the baseline 1.0 passes over",
                Outlook::MayHeal,
            ),
            (|rows| rows[0].success = false, "version 1 (V1__one.sql) has failed", Outlook::Final),
            (
                |rows| rows.truncate(1),
                "not applied: version 1.1 (V1.1__more.sql), repeatable R__views.sql",
                Outlook::MayHeal,
            ),
            (|rows| rows[0].checksum = Some(7), drifted, Outlook::Final),
            (
                |rows| rows[2].checksum = None,
                "repeatable R__views.sql has changed since: it was applied with checksum none, and its file has 78787420",
                Outlook::MayHeal,
            ),
            (|rows| rows.push(applied(4, "V1__one.sql")), "version 1 (V1__one.sql) is there 2 times", Outlook::Final),
            (
                |rows| rows.push(applied(4, "V9__later.sql")),
                "version 9 (V9__later.sql) has been applied, and is not among the files",
                Outlook::Final,
            ),
            (
                |rows| rows.push(applied(4, "R__others.sql")),
                "repeatable R__others.sql has been applied, and is not among the files",
                Outlook::Final,
            ),
        ];
        for (change, said, outlook) in cases {
            assert_eq!(broken(&judged(change)), (said, outlook));
        }
    }

    #[test]
    fn what_could_not_be_undone_is_in_force_and_has_failed() {
        let verdict = judged(|rows| rows.push(Applied { success: false, ..of_kind(4, "UNDO_SQL", Some("1.1")) }));
        assert!(broken(&verdict).0.starts_with("version 1.1 (V0__x.sql) has failed"), "{verdict:?}");
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let verdict = judged(|rows| {
            rows[0].checksum = Some(7);
            rows.pop();
        });
        let (actual, outlook) = broken(&verdict);
        assert!(actual.contains("has drifted") && actual.contains("not applied: repeatable R__views.sql"), "{actual}");
        assert_eq!(outlook, Outlook::Final);
    }

    #[test]
    fn rows_that_are_no_migrations_are_no_strangers_and_those_taken_back_do_not_count() {
        let held = |change: fn(&mut Vec<Applied>)| matches!(judged(change), Verdict::Held { .. });
        assert!(held(|rows| rows.push(of_kind(0, "SCHEMA", None))), "Flyway made the schema");
        assert!(held(|rows| rows.push(of_kind(0, "BASELINE", Some("0")))), "a baseline below all");
        assert!(held(|rows| rows.push(applied(4, "R__views.sql"))), "a repeatable one has run twice");
        assert!(!held(|rows| rows.push(of_kind(4, "DELETE", Some("1.1")))), "1.1 was marked as deleted");
        assert!(!held(|rows| rows.push(of_kind(4, "UNDO_SQL", Some("1.1")))), "1.1 was undone");
        assert!(
            held(|rows| rows.extend([of_kind(4, "DELETE", Some("1.1")), applied(5, "V1.1__more.sql")])),
            "and made anew"
        );
    }

    #[test]
    fn what_a_baseline_passes_over_is_there_only_where_that_is_claimed() {
        let held = |baseline: &str| {
            let text = format!("{{at: 'db:5432', user: app, migrations: sql, baseline: '{baseline}'}}");
            let mut rows = history();
            rows[0] = of_kind(1, "BASELINE", Some("1.0"));
            let claim: Flyway = serde_saphyr::from_str(&text).unwrap();
            matches!(claim.judge(&open(rows, None)), Verdict::Held { .. })
        };
        assert!(held("1") && held("1.0") && !held("0.9"));
        let text = "{at: 'db:5432', user: app, migrations: sql, baseline: '9'}";
        let claim: Flyway = serde_saphyr::from_str(text).unwrap();
        let answer = open(history().split_off(1), None);
        assert!(
            broken(&claim.judge(&answer)).0.contains("not applied: version 1"),
            "there is no baseline in the history"
        );
    }

    #[test]
    fn no_table_no_login_and_no_right_to_read_are_broken_in_their_own_words() {
        let none = FlywayFacts { migrations: Vec::new(), history: None, again: None };
        for (answer, said) in [
            (
                FlywayAnswer::Open(none),
                "no migration has run: database app of db:5432 has no table public.flyway_schema_history",
            ),
            (FlywayAnswer::Refused("28P01 no".to_owned()), "postgres app@db:5432 was refused: 28P01 no"),
            (
                FlywayAnswer::Unreadable("42501 no".to_owned()),
                "postgres app@db:5432 was refused to read flyway_schema_history: 42501 no",
            ),
            (FlywayAnswer::Unmet(Obstacle::Refused("nothing listens".to_owned())), "nothing listens"),
        ] {
            assert_eq!(broken(&claim(false).judge(&answer)), (said, Outlook::MayHeal));
        }
    }

    #[test]
    fn a_second_run_that_changes_nothing_holds_and_any_other_is_broken() {
        let judged = |after: Option<Vec<Applied>>| {
            let again = Again::Ran { ran: ran(), history: after };
            claim(true).judge(&open(history(), Some(again)))
        };
        let Verdict::Held { saw, .. } = judged(Some(history())) else { panic!("not held") };
        assert!(saw.ends_with("its log ends: up to date, and nothing changed"), "{saw}");
        let mut longer = history();
        longer.push(applied(4, "R__views.sql"));
        let mut stamped = history();
        stamped[1].installed_on = "now".to_owned();
        for (after, said) in [
            (Some(longer), "row 4 (repeatable R__views.sql) has come"),
            (Some(stamped), "row 2 (version 1.1 (V1.1__more.sql)) is another"),
            (Some(history()[..2].to_vec()), "row 3 (repeatable R__views.sql) is gone"),
            (None, "took flyway_schema_history away"),
        ] {
            let verdict = judged(after);
            let (actual, outlook) = broken(&verdict);
            assert!(actual.starts_with("Job migrations, run again,") && actual.ends_with(said), "{actual}");
            assert_eq!(outlook, Outlook::Final);
        }
    }

    #[test]
    fn a_second_run_that_fails_is_broken_by_its_cause_and_one_that_cannot_be_made_unclear() {
        let judged = |again| claim(true).judge(&open(history(), Some(again)));
        let failed = Ran { end: Err(vec!["container flyway exited with code 1".to_owned()]), ..ran() };
        let verdict = judged(Again::Ran { ran: failed, history: None });
        assert_eq!(broken(&verdict), ("container flyway exited with code 1", Outlook::Final));
        let Verdict::Unclear { why } = judged(Again::NoJob) else { panic!("judged") };
        assert!(why.starts_with("there is no Job migrations that could be run again"), "{why}");
    }

    #[test]
    fn what_is_wrong_with_the_history_is_told_whatever_came_of_a_second_run() {
        let mut rows = history();
        rows[0].checksum = Some(7);
        let again = Again::Ran { ran: ran(), history: Some(rows.clone()) };
        assert!(broken(&claim(true).judge(&open(rows, Some(again)))).0.contains("has drifted"));
    }
}
