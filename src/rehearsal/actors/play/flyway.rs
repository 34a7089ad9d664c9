//! Flyway, as the Jobs of migrations run it: `migrate` on the schema `public` of a PostgreSQL in the same rehearsal. The words are
//! those of Flyway 10.22.
//!
//! What has been applied is held against the files, and what has not is applied, each in a transaction with its row of the schema
//! history. Placeholders, callbacks and other schemas are not known; other commands succeed silently.

use flate2::Crc;

use super::super::super::standins::postgres::{Refusal, Visit};
use super::super::scene::text;
use super::player::{Flow, MOST_STEPS, Player};

/// The table of the history where nobody says otherwise, and where the image has its migrations.
const TABLE: &str = "flyway_schema_history";
const LOCATION: &str = "filesystem:/flyway/sql";

/// The columns of a history, as Flyway makes it.
const COLUMNS: &str = "installed_rank integer NOT NULL, version varchar(50), description varchar(200) NOT NULL, \
    type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum integer, installed_by varchar(100) NOT NULL, \
    installed_on timestamp NOT NULL DEFAULT now(), execution_time integer NOT NULL, success boolean NOT NULL";

/// A file of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    /// Empty of a repeatable one.
    version: String,
    description: String,
    script: String,
    checksum: String,
    text: String,
}

/// A row of the history.
struct Row {
    version: String,
    description: String,
    kind: String,
    checksum: String,
    success: bool,
}

/// Where it goes, as who.
struct Target {
    url: String,
    host: String,
    port: u16,
    database: String,
    user: String,
    password: String,
    table: String,
}

impl Player<'_> {
    /// `flyway [-name=value]… migrate`
    pub(super) fn flyway(&mut self, args: &[String]) -> Flow {
        if !args.iter().any(|word| word == "migrate") {
            return Flow::Code(0);
        }
        self.tell("Flyway OSS Edition 10.22.0 by Redgate\n");
        let Some(target) = self.target(args) else {
            return self.complain("ERROR: Unable to connect to the database. Configure the url, user and password!");
        };
        let namespace = text(self.around.pod, "/metadata/namespace");
        let Some(server) = self.around.view.database(namespace, &target.host, target.port) else {
            return self.refused(&target, args);
        };
        let visit = match server.visit(&target.user, &target.password, &target.database) {
            Ok(visit) => visit,
            Err(Refusal { code, words }) => return self.unconnected(&target, code, &format!("FATAL: {words}")),
        };
        let version = visit.version();
        let short = version.split(' ').next().unwrap_or_default();
        self.tell(&format!("Database: {} (PostgreSQL {short})", target.url));
        match self.migrate(visit, &target, args) {
            Ok(()) => Flow::Code(0),
            Err(words) => self.complain(&format!("ERROR: {words}")),
        }
    }

    fn tell(&mut self, line: &str) {
        self.write(&format!("{line}\n"));
    }

    /// A setting, from the arguments or from the environment: `connectRetries` is `FLYWAY_CONNECT_RETRIES` there.
    fn setting(&self, args: &[String], name: &str) -> Option<String> {
        let option = format!("-{name}=");
        let given = args.iter().find_map(|word| word.strip_prefix(&option).map(str::to_owned));
        let letter = |letter: char| match letter.is_ascii_uppercase() {
            true => format!("_{letter}"),
            false => letter.to_ascii_uppercase().to_string(),
        };
        let variable = format!("FLYWAY_{}", name.chars().map(letter).collect::<String>());
        given.or_else(|| Some(self.variable(&variable))).filter(|value| !value.is_empty())
    }

    fn target(&self, args: &[String]) -> Option<Target> {
        let url = self.setting(args, "url")?;
        let (place, database) = url.strip_prefix("jdbc:postgresql://")?.split_once('/')?;
        let (host, port) = place.split_once(':').unwrap_or((place, "5432"));
        let database = database.split('?').next().unwrap_or_default();
        Some(Target {
            host: host.to_owned(),
            port: port.parse().ok()?,
            database: database.to_owned(),
            user: self.setting(args, "user").unwrap_or_default(),
            password: self.setting(args, "password").unwrap_or_default(),
            table: self.setting(args, "table").unwrap_or_else(|| TABLE.to_owned()),
            url,
        })
    }

    /// Nobody answers. Where it is to try again it does so until somebody does.
    fn refused(&mut self, target: &Target, args: &[String]) -> Flow {
        let words = format!(
            "Connection to {}:{} refused. Check that the hostname and port are correct and that the postmaster is accepting \
             TCP/IP connections.",
            target.host, target.port
        );
        let retries = self.setting(args, "connectRetries").and_then(|times| times.parse::<u32>().ok());
        if retries.is_some_and(|times| times > 0) {
            self.tell(&format!("WARNING: Connection error: {words}"));
            (self.unanswered, self.steps) = (true, MOST_STEPS + 1);
            return Flow::Forever;
        }
        self.unconnected(target, "08001", &words)
    }

    fn unconnected(&mut self, target: &Target, code: &str, words: &str) -> Flow {
        let (url, user) = (&target.url, &target.user);
        self.complain(&format!("ERROR: Unable to obtain connection from database ({url}) for user '{user}': {words}"));
        self.complain(&format!("SQL State  : {code}"));
        self.complain(&format!("Message    : {words}"))
    }

    fn migrate(&mut self, mut visit: Visit<'_>, target: &Target, args: &[String]) -> Result<(), String> {
        let location = self.setting(args, "locations").unwrap_or_else(|| LOCATION.to_owned());
        let files = files(&self.around.files(location.trim_start_matches("filesystem:")));
        let (table, history) = (target.table.as_str(), format!("\"public\".\"{}\"", target.table));
        let others: Vec<String> = visit.tables().into_iter().filter(|known| known != table).collect();
        let is_new = others.len() == visit.tables().len();
        if is_new {
            self.tell(&format!("Schema history table {history} does not exist yet"));
        }
        let mut rows = if is_new { Vec::new() } else { rows(&mut visit, &history).map_err(said)? };
        validate(&files, &rows)?;
        self.tell(&format!(
            "Successfully validated {} (execution time 00:00.010s)",
            count(files.len().max(rows.len()))
        ));
        if is_new {
            let baseline = self.setting(args, "baselineOnMigrate").is_some_and(|on| on == "true");
            let baseline = match (others.is_empty(), baseline) {
                (true, _) => None,
                (false, true) => Some(self.setting(args, "baselineVersion").unwrap_or_else(|| "1".to_owned())),
                (false, false) => {
                    return Err(
                        "Found non-empty schema(s) \"public\" but no schema history table. Use baseline() or set \
                                baselineOnMigrate to true to initialize the schema history table."
                            .to_owned(),
                    );
                }
            };
            let with = if baseline.is_some() { " with baseline" } else { "" };
            self.tell(&format!("Creating Schema History table {history}{with} ..."));
            visit.run(&format!("CREATE TABLE {history} ({COLUMNS})")).map_err(said)?;
            if let Some(version) = baseline {
                let words = "<< Flyway Baseline >>";
                visit.run(&self.row(target, 1, ("BASELINE", &version), words, (words, ""))).map_err(said)?;
                self.tell(&format!("Successfully baselined schema with version: {version}"));
                rows = self::rows(&mut visit, &history).map_err(said)?;
            }
        }
        self.apply(&mut visit, target, &files, &rows)
    }

    /// Applies what has not been.
    fn apply(&mut self, visit: &mut Visit<'_>, target: &Target, files: &[File], rows: &[Row]) -> Result<(), String> {
        let current = rows.iter().filter(|row| !row.version.is_empty()).map(|row| row.version.as_str());
        let current = current.max_by_key(|version| place(version));
        self.tell(&format!("Current version of schema \"public\": {}", current.unwrap_or("<< Empty Schema >>")));
        let baseline = rows.iter().find(|row| row.kind == "BASELINE").map(|row| row.version.as_str());
        let pending: Vec<&File> = files.iter().filter(|file| is_pending(file, rows, baseline)).collect();
        let mut newest = current.unwrap_or_default();
        for (file, rank) in pending.iter().zip(rows.len() + 1..) {
            let File { version, description, script, checksum, text } = *file;
            let what = match version.as_str() {
                "" => format!("with repeatable migration \"{description}\""),
                version => format!("to version \"{version} - {description}\""),
            };
            self.tell(&format!("Migrating schema \"public\" {what}"));
            let row = self.row(target, rank, ("SQL", version), description, (script, checksum));
            visit.run(&format!("{text}\n;{row}")).map_err(|refusal| {
                format!(
                    "Migration of schema \"public\" {what} failed! Changes successfully rolled back.\nERROR: Script {script} \
                     failed\nSQL State  : {}\nMessage    : ERROR: {}",
                    refusal.code, refusal.words
                )
            })?;
            newest = if version.is_empty() { newest } else { version };
        }
        let done = match pending.len() {
            0 => "Schema \"public\" is up to date. No migration necessary.".to_owned(),
            applied => {
                let all = count(applied);
                format!(
                    "Successfully applied {all} to schema \"public\", now at version v{newest} (execution time 00:00.010s)"
                )
            }
        };
        self.tell(&done);
        Ok(())
    }

    /// The statement that puts a row into the history.
    fn row(
        &self,
        target: &Target,
        rank: usize,
        (kind, version): (&str, &str),
        description: &str,
        (script, checksum): (&str, &str),
    ) -> String {
        let quoted = |text: &str| match text {
            "" => "NULL".to_owned(),
            text => format!("'{}'", text.replace('\'', "''")),
        };
        let (version, description, script, user) =
            (quoted(version), quoted(description), quoted(script), quoted(&target.user));
        let checksum = if checksum.is_empty() { "NULL" } else { checksum };
        let on = self.wall.strftime("%Y-%m-%d %H:%M:%S.%6f");
        format!(
            "INSERT INTO \"public\".\"{}\" VALUES ({rank}, {version}, {description}, '{kind}', {script}, {checksum}, {user}, \
             '{on}', 10, true)",
            target.table
        )
    }
}

fn said(Refusal { code, words }: Refusal) -> String {
    format!("{words}\nSQL State  : {code}")
}

fn count(number: usize) -> String {
    format!("{number} migration{}", if number == 1 { "" } else { "s" })
}

/// The migrations among files, in the order in which they are applied: repeatable ones last.
fn files(files: &[(String, String)]) -> Vec<File> {
    let mut all: Vec<File> = files.iter().filter_map(|(name, text)| file(name, text)).collect();
    all.sort_by(|a, b| {
        (a.version.is_empty(), place(&a.version), &a.description).cmp(&(
            b.version.is_empty(),
            place(&b.version),
            &b.description,
        ))
    });
    all
}

fn file(name: &str, text: &str) -> Option<File> {
    let (prefix, description) = name.strip_suffix(".sql")?.split_once("__")?;
    let version = if prefix == "R" { String::new() } else { prefix.strip_prefix('V')?.replace('_', ".") };
    let mut sum = Crc::new();
    let letters = text.strip_prefix('\u{feff}').unwrap_or(text);
    letters.split(['\r', '\n']).for_each(|line| sum.update(line.as_bytes()));
    Some(File {
        version,
        description: description.replace('_', " "),
        script: name.to_owned(),
        checksum: sum.sum().cast_signed().to_string(),
        text: letters.to_owned(),
    })
}

/// What a version is ordered by.
fn place(version: &str) -> Vec<u64> {
    let mut parts: Vec<u64> = version.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    while parts.len() > 1 && parts.last() == Some(&0) {
        parts.pop();
    }
    parts
}

fn rows(visit: &mut Visit<'_>, history: &str) -> Result<Vec<Row>, Refusal> {
    let shown = visit.run(&format!("SELECT version, description, type, checksum, success FROM {history}"))?;
    let row = |cells: Vec<Option<String>>| {
        let mut cells = cells.into_iter().map(Option::unwrap_or_default);
        let mut next = || cells.next().unwrap_or_default();
        Row { version: next(), description: next(), kind: next(), checksum: next(), success: next() == "t" }
    };
    Ok(shown.into_iter().map(row).collect())
}

/// Whether what has been applied is what the files say.
fn validate(files: &[File], rows: &[Row]) -> Result<(), String> {
    const FAILED: &str = "Validate failed: Migrations have failed validation";
    for row in rows.iter().filter(|row| row.kind == "SQL" && !row.version.is_empty()) {
        let (version, applied) = (&row.version, &row.checksum);
        if !row.success {
            return Err(format!("{FAILED}\nDetected failed migration to version {version} ({}).", row.description));
        }
        match files.iter().find(|file| !file.version.is_empty() && place(&file.version) == place(version)) {
            None => return Err(format!("{FAILED}\nDetected applied migration not resolved locally: {version}.")),
            Some(file) if file.checksum != *applied => {
                let words = format!("Migration checksum mismatch for migration version {version}");
                let found = &file.checksum;
                return Err(format!(
                    "{FAILED}\n{words}\n-> Applied to database : {applied}\n-> Resolved locally    : {found}"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn is_pending(file: &File, rows: &[Row], baseline: Option<&str>) -> bool {
    if file.version.is_empty() {
        let last = rows.iter().rfind(|row| row.version.is_empty() && row.description == file.description);
        return last.is_none_or(|row| row.checksum != file.checksum);
    }
    let is_newer = baseline.is_none_or(|baseline| place(&file.version) > place(baseline));
    is_newer && !rows.iter().any(|row| !row.version.is_empty() && place(&row.version) == place(&file.version))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::super::super::super::object::{Key, View};
    use super::super::super::super::standins::postgres::{Config, Fault, Server, User};
    use super::super::super::pod::Surroundings;
    use super::super::perform;

    /// A namespace with one ConfigMap of migrations and one database.
    struct Place {
        files: Value,
        server: Option<Arc<Server>>,
    }

    impl View for Place {
        fn get(&self, _: &Key) -> Option<Arc<Value>> {
            Some(Arc::new(json!({ "data": self.files })))
        }

        fn list(&self, _: &str, _: Option<&str>) -> Vec<Arc<Value>> {
            Vec::new()
        }

        fn labelled(&self, _: &str, _: &str, _: &Value) -> Vec<Arc<Value>> {
            Vec::new()
        }

        fn controlled(&self, _: &str, _: &str) -> Vec<Arc<Value>> {
            Vec::new()
        }

        fn database(&self, namespace: &str, host: &str, port: u16) -> Option<Arc<Server>> {
            self.server.clone().filter(|_| (namespace, host, port) == ("data", "db", 5432))
        }
    }

    const FIRST: &str = "CREATE TABLE customers (id integer);\n";
    const SECOND: &str = "INSERT INTO customers VALUES (1)";

    fn place() -> Place {
        let users = vec![User { name: "app".to_owned(), password: "secret".to_owned() }];
        let server = Server::new(Config { users, databases: vec!["app".to_owned()], ..Config::default() });
        let files = json!({ "V1.1__fill_it.sql": SECOND, "V1__make_it.sql": FIRST, "notes.txt": "x" });
        Place { files, server: Some(Arc::new(server)) }
    }

    /// What a container says and how it ends that is told this, without the two lines that every run begins with.
    fn run(place: &Place, more: &[(&str, &str)]) -> (Vec<String>, Option<i32>) {
        let told = [
            ("FLYWAY_URL", "jdbc:postgresql://db:5432/app?sslmode=disable"),
            ("FLYWAY_USER", "app"),
            ("FLYWAY_PASSWORD", "secret"),
        ];
        let mut env: Vec<(&str, &str)> =
            told.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name)).collect();
        env.extend(more);
        let env: Vec<Value> = env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let pod = json!({
            "metadata": { "name": "m", "namespace": "data" },
            "spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "flyway", "image": "docker.io/flyway/flyway:10", "args": ["migrate"], "env": env,
                    "volumeMounts": [{ "name": "sql", "mountPath": "/flyway/sql" }],
                }],
                "volumes": [{ "name": "sql", "configMap": { "name": "sql" } }],
            },
        });
        let around = Surroundings::of(&pod, "flyway", place).unwrap();
        let plot = perform(&around, false, Timestamp::UNIX_EPOCH);
        let lines = plot.lines.iter().flat_map(|(_, line)| line.split('\n')).map(str::to_owned).skip(2).collect();
        (lines, plot.end.map(|(_, code)| code))
    }

    fn fails(place: &Place, more: &[(&str, &str)]) -> String {
        let (lines, code) = run(place, more);
        assert_eq!(code, Some(1), "{lines:?}");
        lines.join("\n")
    }

    const DATABASE: &str = "Database: jdbc:postgresql://db:5432/app?sslmode=disable (PostgreSQL 15.14)";

    #[test]
    fn what_has_not_been_applied_is_and_once() {
        let place = place();
        let said = [
            DATABASE,
            "Schema history table \"public\".\"flyway_schema_history\" does not exist yet",
            "Successfully validated 2 migrations (execution time 00:00.010s)",
            "Creating Schema History table \"public\".\"flyway_schema_history\" ...",
            "Current version of schema \"public\": << Empty Schema >>",
            "Migrating schema \"public\" to version \"1 - make it\"",
            "Migrating schema \"public\" to version \"1.1 - fill it\"",
            "Successfully applied 2 migrations to schema \"public\", now at version v1.1 (execution time 00:00.010s)",
        ];
        assert_eq!(run(&place, &[]), (said.map(str::to_owned).into(), Some(0)));
        let mut visit = place.server.as_ref().unwrap().visit("app", "secret", "app").unwrap();
        let rows = visit
            .run("SELECT installed_rank, version, script, checksum, installed_by, success FROM flyway_schema_history")
            .unwrap();
        let read =
            |row: &Vec<Option<String>>| row.iter().map(|cell| cell.clone().unwrap()).collect::<Vec<_>>().join(" ");
        let rows: Vec<String> = rows.iter().map(read).collect();
        assert_eq!(rows, ["1 1 V1__make_it.sql -89480827 app t", "2 1.1 V1.1__fill_it.sql 1712636893 app t"]);
        let said = [
            DATABASE,
            "Successfully validated 2 migrations (execution time 00:00.010s)",
            "Current version of schema \"public\": 1.1",
            "Schema \"public\" is up to date. No migration necessary.",
        ];
        assert_eq!(run(&place, &[]), (said.map(str::to_owned).into(), Some(0)));
        assert_eq!(visit.run("SELECT id FROM customers").unwrap().len(), 1);
    }

    #[test]
    fn what_was_applied_must_be_what_the_files_say() {
        let mut place = place();
        run(&place, &[]);
        place.files["V1__make_it.sql"] = json!("CREATE TABLE others (id integer);\n");
        let said = fails(&place, &[]);
        let drift = "ERROR: Validate failed: Migrations have failed validation\nMigration checksum mismatch for migration version 1\n\
                     -> Applied to database : -89480827\n-> Resolved locally    : ";
        assert!(said.contains(drift), "{said}");
        place.files = json!({ "V1__make_it.sql": FIRST });
        assert!(fails(&place, &[]).ends_with("Detected applied migration not resolved locally: 1.1."));
    }

    #[test]
    fn whoever_is_not_let_in_says_so_as_the_driver_does() {
        let place = place();
        let said = fails(&place, &[("FLYWAY_PASSWORD", "wrong")]);
        assert!(
            said.contains("for user 'app': FATAL: password authentication failed for user \"app\"\nSQL State  : 28P01"),
            "{said}"
        );
        let said = fails(&place, &[("FLYWAY_URL", "jdbc:postgresql://db/other")]);
        assert!(said.contains("FATAL: database \"other\" does not exist\nSQL State  : 3D000"), "{said}");
        let said = fails(&place, &[("FLYWAY_URL", "")]);
        assert!(said.contains("Configure the url, user and password!"), "{said}");
        place.server.as_ref().unwrap().inject(Some(Fault::StartingUp));
        assert!(fails(&place, &[]).contains("FATAL: the database system is starting up"));
    }

    #[test]
    fn where_nobody_answers_it_fails_unless_it_is_to_try_again() {
        let place = Place { server: None, ..place() };
        assert!(fails(&place, &[]).contains("Connection to db:5432 refused"));
        let (said, code) = run(&place, &[("FLYWAY_CONNECT_RETRIES", "10")]);
        assert!(code.is_none() && said[0].starts_with("WARNING: Connection error: "), "{said:?}");
    }

    #[test]
    fn a_schema_with_tables_needs_a_baseline() {
        let mut place = place();
        run(&place, &[]);
        place.files = json!({ "V1__more.sql": "CREATE TABLE more (id integer)" });
        let other = ("FLYWAY_TABLE", "other_schema_history");
        assert!(fails(&place, &[other]).contains("Found non-empty schema(s) \"public\" but no schema history table."));
        let (said, code) =
            run(&place, &[other, ("FLYWAY_BASELINE_ON_MIGRATE", "true"), ("FLYWAY_BASELINE_VERSION", "0")]);
        assert_eq!(code, Some(0), "{said:?}");
        assert!(said.contains(&"Successfully baselined schema with version: 0".to_owned()), "{said:?}");
        assert!(said.last().unwrap().starts_with("Successfully applied 1 migration to schema"), "{said:?}");
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing() {
        let mut place = place();
        place.files["V2__bad.sql"] = json!("CREATE TABLE bad (id integer); SELEKT 1;");
        let said = fails(&place, &[]);
        let words =
            "ERROR: Migration of schema \"public\" to version \"2 - bad\" failed! Changes successfully rolled back.";
        assert!(said.contains(words) && said.contains("ERROR: syntax error at or near \"SELEKT\""), "{said}");
        assert_eq!(place.server.unwrap().tables("app"), ["customers", "flyway_schema_history"]);
    }

    #[test]
    fn a_repeatable_migration_runs_when_its_text_is_another() {
        let mut place = place();
        place.files["R__stamp.sql"] = json!("SELECT 1;");
        let applied = |place: &Place| run(place, &[]).0.pop().unwrap();
        assert!(applied(&place).contains("applied 3 migrations"));
        assert!(applied(&place).contains("is up to date"));
        place.files["R__stamp.sql"] = json!("SELECT 2;");
        assert!(applied(&place).contains("applied 1 migration to"));
    }
}
