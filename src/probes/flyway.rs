//! Twin of `checks/flyway.rs`.
//!
//! Nothing is written to the database. A second run is the Job itself once more, under a name of its own, and what it leaves in the
//! schema history is what is looked for.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, ResourceExt as _};
use serde_json::Value;
use tokio::fs;
use tokio::time::timeout;

use super::channel::Tls;
use super::postgres::{Login, Server};
use super::reach::{Failure, Unmet, silent};
use super::running::Running;
use super::{Site, Unseen, credential};
use crate::checks::{Again, Applied, Claim as _, Flyway, FlywayAnswer, FlywayFacts, Migration, Outlook, Verdict};
use crate::complaint::chain;

/// How long to wait between looks at a history that is not yet as it must be before the second run: no table can be watched.
const AGAIN: Duration = Duration::from_secs(1);

/// Longest time for a look that is not the first: what was seen before it stands until then.
const LOOK: Duration = Duration::from_secs(10);

pub(super) async fn observe(claim: &Flyway, site: &Site<'_>) -> Result<FlywayAnswer, Unseen> {
    let migrations = migrations(claim, site).await?;
    let Some(name) = &claim.again else { return look(claim, &migrations, site).await };
    // What is broken for good needs no second run, nor is it looked at in vain.
    let is_decided = |answer: &FlywayAnswer| {
        matches!(claim.judge(answer), Verdict::Held { .. } | Verdict::Broken { outlook: Outlook::Final, .. })
    };
    let before = until(claim, &migrations, site, is_decided).await;
    let FlywayAnswer::Open(facts) = before else { return Ok(before) };
    let open = |again| FlywayAnswer::Open(FlywayFacts { again: Some(again), ..facts.clone() });
    if !matches!(claim.judge(&FlywayAnswer::Open(facts.clone())), Verdict::Held { .. }) {
        return Ok(FlywayAnswer::Open(facts));
    }
    let Some(job) = find(name, site).await? else { return Ok(open(Again::NoJob)) };
    let running = Running::new(site, copy(job))?;
    running.prune().await?;
    let ran = running.until_the_end(None).await?;
    if ran.end.is_err() {
        return Ok(open(Again::Ran { ran, history: None }));
    }
    // How it stands meanwhile is that of this look, and not that the Job has not ended.
    let is_seen = |answer: &FlywayAnswer| matches!(answer, FlywayAnswer::Open(_) | FlywayAnswer::Unreadable(_));
    match until(claim, &migrations, site, is_seen).await {
        FlywayAnswer::Open(after) => Ok(open(Again::Ran { ran, history: after.history })),
        other @ (FlywayAnswer::Unmet(_) | FlywayAnswer::Refused(_) | FlywayAnswer::Unreadable(_)) => Ok(other),
    }
}

/// Looks until that is `enough`, and notes each time how the check stands.
async fn until(
    claim: &Flyway,
    migrations: &[Migration],
    site: &Site<'_>,
    enough: impl Fn(&FlywayAnswer) -> bool,
) -> FlywayAnswer {
    let mut seen = look(claim, migrations, site).await;
    loop {
        match seen {
            Ok(answer) if enough(&answer) => return answer,
            Ok(answer) => site.notes.stands(claim.judge(&answer)),
            Err(Unseen(why)) => site.notes.stands(Verdict::unclear(why)),
        }
        tokio::time::sleep(site.prober.hub.here(AGAIN)).await;
        let visit = timeout(site.prober.hub.here(LOOK), visit(claim, migrations, site)).await;
        let visit = visit.unwrap_or_else(|_elapsed| Err(Unmet::Obstacle(silent("postgres", &claim.at))));
        seen = visit.or_else(|unmet| unmet.answer(FlywayAnswer::Unmet));
    }
}

/// One look at the history.
async fn look(claim: &Flyway, migrations: &[Migration], site: &Site<'_>) -> Result<FlywayAnswer, Unseen> {
    let silence = || FlywayAnswer::Unmet(silent("postgres", &claim.at));
    let seen = site.hearing(claim, silence, visit(claim, migrations, site)).await;
    seen.or_else(|unmet| unmet.answer(FlywayAnswer::Unmet))
}

async fn visit(claim: &Flyway, migrations: &[Migration], site: &Site<'_>) -> Result<FlywayAnswer, Unmet> {
    let password = credential::resolve_any(claim.password.as_ref(), site).await?;
    let tls = Tls::of(claim.tls.as_ref(), site).await?;
    let login = Login::new(&claim.user, claim.database.as_deref(), password, tls, site);
    let server = match Server::enter(&claim.at, &login, site.dial(&claim.at).await?).await {
        Ok(server) => server,
        Err(Failure::Said(error)) => return Ok(FlywayAnswer::Refused(error)),
        Err(Failure::Unmet(unmet)) => return Err(unmet),
    };
    let history = match server.rows(&query(claim)).await {
        Ok(rows) => Some(rows.into_iter().map(|row| applied(&row)).collect::<Result<_, _>>()?),
        // 42P01 undefined_table, also where there is no such schema
        Err(Failure::Said(error)) if error.starts_with("42P01") => None,
        Err(Failure::Said(error)) => return Ok(FlywayAnswer::Unreadable(error)),
        Err(Failure::Unmet(unmet)) => return Err(unmet),
    };
    Ok(FlywayAnswer::Open(FlywayFacts { migrations: migrations.to_vec(), history, again: None }))
}

fn query(claim: &Flyway) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns = "installed_rank, version, description, type, script, checksum, installed_on, success";
    format!("SELECT {columns} FROM {}.{}", quoted(&claim.schema), quoted(&claim.table))
}

/// A row in the columns of the query.
fn applied(row: &[Option<String>]) -> Result<Applied, Unseen> {
    let [rank, version, description, kind, script, checksum, installed_on, success] = row else {
        return Err(Unseen(format!("a row of the history has {} columns", row.len())));
    };
    let strange = |what: &str, value: &Option<String>| Unseen(format!("a row of the history has the {what} {value:?}"));
    let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
    let sum = |sum: &String| sum.parse::<i32>().map_err(|_| strange("checksum", checksum));
    Ok(Applied {
        rank: text(rank).parse().map_err(|_| strange("rank", rank))?,
        version: version.clone(),
        description: text(description),
        kind: text(kind),
        script: text(script),
        checksum: checksum.as_ref().map(sum).transpose()?,
        installed_on: text(installed_on),
        success: success.as_deref() == Some("t"),
    })
}

/// What the files of the folder say.
async fn migrations(claim: &Flyway, site: &Site<'_>) -> Result<Vec<Migration>, Unseen> {
    let folder = site.check.folder.join(&claim.migrations);
    let cannot = |error: std::io::Error| Unseen(format!("cannot read {}: {}", folder.display(), chain(&error)));
    let mut entries = fs::read_dir(&folder).await.map_err(cannot)?;
    let mut files = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(cannot)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && name.ends_with(".sql") {
            files.push((name, fs::read(entry.path()).await.map_err(cannot)?));
        }
    }
    files.sort();
    Migration::of_files(files).map_err(|why| Unseen(format!("in {}: {why}", folder.display())))
}

/// The Job that has run the migrations, if it is still there.
async fn find(name: &str, site: &Site<'_>) -> Result<Option<DynamicObject>, Unseen> {
    let resource = ApiResource::erase::<Job>(&());
    let jobs: Api<DynamicObject> = Api::namespaced_with(site.prober.hub.client().clone(), site.namespace(), &resource);
    let found = jobs.get_opt(name).await;
    found.map_err(|error| Unseen(format!("cannot read Job {}/{name}: {}", site.namespace(), chain(&error))))
}

/// Labels of a Job's pods by which their controller knows them (`batch/v1`, `types.go`): a copy gets its own.
const CONTROLLER: [&str; 4] =
    ["controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"];

/// The same Job as one that has never run, and that belongs to nobody. It stays until we have seen its end.
fn copy(mut job: DynamicObject) -> DynamicObject {
    let prefix = format!("{}-", job.name_any());
    job.metadata = kube::core::ObjectMeta { generate_name: Some(prefix), ..kube::core::ObjectMeta::default() };
    if let Some(fields) = job.data.as_object_mut() {
        fields.remove("status");
    }
    let spec = &mut job.data["spec"];
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|field, _| !["selector", "manualSelector", "ttlSecondsAfterFinished"].contains(&field.as_str()));
    }
    if let Some(labels) = spec.pointer_mut("/template/metadata/labels").and_then(Value::as_object_mut) {
        labels.retain(|label, _| !CONTROLLER.contains(&label.as_str()));
    }
    job
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::probes::stand::{Heard, actual, closed_port, look, message, refusal, serve, stands_when_dropped, why};

    /// What a server shows in place of the history that it should.
    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        WrongPassword,
        NoTable,
        Denied,
        Drifted,
        Strange,
        ClosesAfterLogin,
        Hangs,
    }

    /// A row of texts, where `-` is `NULL`.
    fn row(cells: &[&str]) -> Vec<u8> {
        let column = [&b"c\0"[..], &[0; 18]].concat();
        let number = u16::try_from(cells.len()).unwrap().to_be_bytes();
        let cell = |cell: &&str| match *cell {
            "-" => u32::MAX.to_be_bytes().to_vec(),
            text => [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat(),
        };
        let cells: Vec<u8> = cells.iter().flat_map(cell).collect();
        let columns = column.repeat(number[1].into());
        let (head, row) = ([&number[..], &columns].concat(), [&number[..], &cells].concat());
        [message(b'T', &head), message(b'D', &row), message(b'C', b"SELECT 1\0")].concat()
    }

    async fn talk(mut stream: TcpStream, fault: Fault, heard: Heard) -> std::io::Result<()> {
        let mut startup = vec![0; usize::try_from(stream.read_u32().await?).unwrap() - 4];
        stream.read_exact(&mut startup).await?;
        if fault == Fault::Hangs {
            std::future::pending::<()>().await;
        }
        if fault == Fault::WrongPassword {
            stream.write_all(&refusal("28P01", "password authentication failed")).await?;
        }
        stream.write_all(&[message(b'R', &[0; 4]), message(b'Z', b"I")].concat()).await?;
        while fault != Fault::ClosesAfterLogin && stream.read_u8().await? == b'Q' {
            let mut sql = vec![0; usize::try_from(stream.read_u32().await?).unwrap() - 4];
            stream.read_exact(&mut sql).await?;
            heard.note(String::from_utf8_lossy(&sql).trim_end_matches('\0'));
            let with = |sum| row(&["1", "1", "one", "SQL", "V1__one.sql", sum, "2026-11-29 09:32:02.6", "t"]);
            let shown = match fault {
                Fault::NoTable => refusal("42P01", "relation \"public.h\" does not exist"),
                Fault::Denied => refusal("42501", "permission denied for table h"),
                Fault::Drifted => with("1"),
                Fault::Strange => with("x"),
                Fault::None | Fault::WrongPassword | Fault::ClosesAfterLogin | Fault::Hangs => with("78787420"),
            };
            stream.write_all(&[shown, message(b'Z', b"I")].concat()).await?;
        }
        Ok(())
    }

    async fn server(fault: Fault, heard: Heard) -> u16 {
        serve(move |stream| talk(stream, fault, heard.clone())).await
    }

    fn folder(names: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| std::fs::write(folder.path().join(name), "SELECT 1;\n").unwrap());
        folder
    }

    fn check(port: u16, folder: &TempDir, more: &str) -> String {
        let folder = folder.path().display();
        format!(
            "flyway: {{at: 'host/127.0.0.1:{port}', user: app, table: h, password: {{value: hunter22}}, migrations: '{folder}'{more}}}"
        )
    }

    #[tokio::test]
    async fn a_history_that_is_as_the_files_are_holds() {
        let (heard, folder) = (Heard::default(), folder(&["V1__one.sql", "README.md"]));
        std::fs::create_dir(folder.path().join("V2__folder.sql")).unwrap();
        let port = server(Fault::None, heard.clone()).await;
        let verdict = look(&check(port, &folder, "")).await;
        assert!(matches!(&verdict, Verdict::Held { warnings, .. } if warnings.is_empty()), "{verdict:?}");
        let columns = "installed_rank, version, description, type, script, checksum, installed_on, success";
        assert_eq!(heard.all(), [format!("SELECT {columns} FROM \"public\".\"h\"")]);
    }

    #[tokio::test]
    async fn each_fault_breaks_with_its_own_words() {
        let folder = folder(&["V1__one.sql"]);
        for (fault, said) in [
            (Fault::WrongPassword, "was refused: 28P01 password authentication failed"),
            (Fault::NoTable, "no migration has run: database app of host/127.0.0.1:"),
            (Fault::Denied, "was refused to read h: 42501 permission denied for table h"),
            (
                Fault::Drifted,
                "version 1 (V1__one.sql) has drifted: it was applied with checksum 1, and its file has 78787420",
            ),
            (Fault::ClosesAfterLogin, "broke off: "),
        ] {
            let verdict = look(&check(server(fault, Heard::default()).await, &folder, "")).await;
            let actual = actual(&verdict);
            assert!(actual.contains(said) && !actual.contains("hunter22"), "{actual}");
        }
        let verdict = look(&check(server(Fault::Strange, Heard::default()).await, &folder, "")).await;
        assert_eq!(why(&verdict), "a row of the history has the checksum Some(\"x\")");
    }

    #[tokio::test]
    async fn files_that_are_no_migrations_cannot_be_held_against_anything() {
        let port = server(Fault::None, Heard::default()).await;
        let verdict = look(&check(port, &folder(&["V1_one.sql"]), "")).await;
        assert!(why(&verdict).contains("V1_one.sql is no name of a migration"), "{verdict:?}");
        let verdict = look(&check(port, &folder(&[]), "")).await;
        assert!(why(&verdict).ends_with("there is no migration"), "{verdict:?}");
        let verdict = look("flyway: {at: 'db:1', user: app, migrations: /no/such/folder}").await;
        assert!(why(&verdict).starts_with("cannot read /no/such/folder: "), "{verdict:?}");
    }

    #[tokio::test]
    async fn a_server_that_hangs_breaks_when_the_time_is_up_and_one_that_is_away_at_once() {
        let folder = folder(&["V1__one.sql"]);
        let port = server(Fault::Hangs, Heard::default()).await;
        let verdict = stands_when_dropped(&check(port, &folder, "")).await.unwrap();
        assert_eq!(actual(&verdict), format!("postgres host/127.0.0.1:{port} does not answer"));
        let port = closed_port().await;
        let verdict = look(&check(port, &folder, "")).await;
        assert_eq!(actual(&verdict), format!("nothing listens on 127.0.0.1:{port}: connection refused"));
    }

    #[tokio::test]
    async fn before_a_second_run_the_history_must_hold() {
        let folder = folder(&["V1__one.sql"]);
        let again = async |fault| check(server(fault, Heard::default()).await, &folder, ", again: migrations");
        let verdict = look(&again(Fault::Drifted).await).await;
        assert!(actual(&verdict).contains("has drifted"), "{verdict:?}");
        // It holds, and here is no cluster that would have the Job.
        let verdict = look(&again(Fault::None).await).await;
        assert!(why(&verdict).starts_with("cannot read Job data/migrations: "), "{verdict:?}");
        // A history that does not hold yet is waited for.
        let verdict = stands_when_dropped(&again(Fault::NoTable).await).await.unwrap();
        assert!(actual(&verdict).starts_with("no migration has run"), "{verdict:?}");
    }

    #[test]
    fn names_of_schema_and_table_are_quoted() {
        let yaml = "{at: 'db:1', user: app, migrations: sql, schema: Shop, table: 'h\"; DROP'}";
        let claim: Flyway = serde_saphyr::from_str(yaml).unwrap();
        assert!(query(&claim).ends_with(" FROM \"Shop\".\"h\"\"; DROP\""), "{}", query(&claim));
    }

    #[test]
    fn a_copy_of_a_job_has_never_run_and_belongs_to_nobody() {
        let job = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": "migrations", "namespace": "data", "uid": "u", "resourceVersion": "7",
                "labels": { "app.kubernetes.io/managed-by": "Helm" },
                "annotations": { "helm.sh/hook": "pre-upgrade" },
                "ownerReferences": [{ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "v" }],
            },
            "spec": {
                "backoffLimit": 1,
                "ttlSecondsAfterFinished": 0,
                "manualSelector": false,
                "selector": { "matchLabels": { "batch.kubernetes.io/controller-uid": "u" } },
                "template": {
                    "metadata": { "labels": { "app": "x", "job-name": "migrations", "batch.kubernetes.io/controller-uid": "u" } },
                    "spec": { "containers": [{ "name": "flyway", "image": "flyway:10" }] },
                },
            },
            "status": { "succeeded": 1 },
        });
        let copied = serde_json::to_value(copy(serde_json::from_value(job).unwrap())).unwrap();
        let template = json!({
            "metadata": { "labels": { "app": "x" } },
            "spec": { "containers": [{ "name": "flyway", "image": "flyway:10" }] },
        });
        let wanted = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "generateName": "migrations-" },
            "spec": { "backoffLimit": 1, "template": template },
        });
        assert_eq!(copied, wanted);
    }
}
