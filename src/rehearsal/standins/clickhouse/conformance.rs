//! What is true of a ClickHouse and must be true of its stand-in, as a client sees it.

use crate::rehearsal::standins::conformance::{Connection, Login, http_exchange};

/// One query over a connection of its own. The error is the server's: the exception's code, then all that it says.
pub(crate) async fn clickhouse_query(mut stream: Connection, login: Login<'_>, sql: &str) -> Result<String, String> {
    let Login { user, password, database } = login;
    let request = format!(
        "POST /?wait_end_of_query=1&database={database} HTTP/1.0\r\nHost: clickhouse\r\nX-ClickHouse-User: {user}\r\n\
         X-ClickHouse-Key: {password}\r\nContent-Length: {}\r\n\r\n{sql}",
        sql.len()
    );
    let all = http_exchange(&mut stream, &request).await;
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    if head.split(' ').nth(1) == Some("200") {
        return Ok(body.to_owned());
    }
    let code = body.strip_prefix("Code: ").and_then(|rest| rest.split(['.', ',']).next());
    Err(format!("{} {body}", code.unwrap_or("none")))
}

async fn clickhouse_code(stream: Connection, login: Login<'_>, sql: &str) -> String {
    let said = clickhouse_query(stream, login, sql).await.unwrap_err();
    said.split(' ').next().unwrap_or_default().to_owned()
}

/// A ClickHouse from 18 on says to whoever comes that it is there, and lets in whoever has the password.
pub(crate) async fn guards_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    for path in ["/", "/ping", "/replicas_status"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: clickhouse\r\nConnection: close\r\n\r\n");
        let said = http_exchange(&mut connect().await, &request).await;
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\nOk.\n"), "{path}: {said}");
    }
    let nowhere = "GET /nowhere HTTP/1.1\r\nHost: clickhouse\r\nConnection: close\r\n\r\n";
    let said = http_exchange(&mut connect().await, nowhere).await;
    assert!(said.starts_with("HTTP/1.1 404 Not Found\r\n") && said.contains("There is no handle /nowhere"), "{said}");
    for wrong in [
        Login { password: "wrong", ..login },
        Login { password: "", ..login },
        Login { user: "nobody", ..login },
        Login { password: "wrong", database: "nowhere", ..login },
    ] {
        // Servers before 20.1 tell an unknown user from a wrong password, and that from none.
        let code = clickhouse_code(connect().await, wrong, "SELECT 1").await;
        assert!(["516", "193", "192", "194"].contains(&code.as_str()), "{code}");
    }
    assert_eq!(clickhouse_code(connect().await, Login { database: "nowhere", ..login }, "SELECT 1").await, "81");
    assert_eq!(clickhouse_query(connect().await, login, "SELECT 1").await.as_deref(), Ok("1\n"));
    // What an address asks by GET must change nothing; HTTP's own login does as well.
    let token = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("{}:{}", login.user, login.password),
    );
    for (sql, heard) in [("SELECT%201", "\r\n\r\n1\n"), ("DROP%20TABLE%20t", "\r\n\r\nCode: 164")] {
        let request = format!("GET /?query={sql} HTTP/1.0\r\nHost: clickhouse\r\nAuthorization: Basic {token}\r\n\r\n");
        let said = http_exchange(&mut connect().await, &request).await;
        assert!(said.contains(heard), "{sql}: {said}");
    }
}

/// A ClickHouse from 18 on keeps what is inserted, and shows it to other connections.
pub(crate) async fn keeps_rows(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let ask = async |sql: &str| clickhouse_query(connect().await, login, sql).await;
    let nothing = || Ok(String::new());
    assert_eq!(ask("DROP TABLE IF EXISTS conformance").await, nothing());
    let create = "CREATE TABLE conformance (value String, n UInt64) ENGINE = MergeTree ORDER BY tuple()";
    assert_eq!(ask(create).await, nothing());
    assert_eq!(ask("CREATE TABLE IF NOT EXISTS conformance (value String) ENGINE = Memory").await, nothing());
    assert_eq!(ask("SELECT value FROM conformance").await, nothing());
    assert_eq!(ask("INSERT INTO conformance VALUES ('it\\'s', 7)").await, nothing());
    let rows = || Ok("it\\'s\t7\n".to_owned());
    assert_eq!(ask("SELECT * FROM conformance FORMAT TabSeparated").await, rows());
    assert_eq!(ask(&format!("SELECT value, n FROM {}.conformance", login.database)).await, rows());
    assert_eq!(ask("INSERT INTO conformance (n) VALUES (1), (2)").await, nothing());
    assert_eq!(ask("SELECT count() FROM conformance").await.as_deref(), Ok("3\n"));
    assert_eq!(ask("SELECT 1 FROM conformance").await.as_deref(), Ok("1\n1\n1\n"));
    let version = ask("SELECT version();").await.unwrap();
    let (major, _) = version.split_once('.').unwrap();
    assert!(major.parse::<u32>().is_ok_and(|major| major >= 18), "{version}");
    assert_eq!(ask("DROP TABLE conformance").await, nothing());
}

/// A ClickHouse from 18 on refuses what cannot be done, each with its code.
pub(crate) async fn refuses(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    clickhouse_query(connect().await, login, "DROP TABLE IF EXISTS conformance").await.unwrap();
    let create = "CREATE TABLE conformance (value String) ENGINE = MergeTree ORDER BY tuple()";
    clickhouse_query(connect().await, login, create).await.unwrap();
    for (sql, code) in [
        ("SELEKT 1", "62"),
        ("SELECT", "62"),
        ("SELECT 'a", "62"),
        ("", "62"),
        ("SELECT nosuch()", "46"),
        ("SELECT 1 FORMAT Nosuch", "73"),
        ("SELECT nosuch FROM conformance", "47"),
        ("SELECT value FROM nosuch", "60"),
        ("SELECT value FROM nowhere.nosuch", "81"),
        ("INSERT INTO nosuch VALUES ('a')", "60"),
        ("INSERT INTO conformance (nosuch) VALUES ('a')", "16"),
        ("DROP TABLE nosuch", "60"),
        (create, "57"),
        ("CREATE TABLE nowhere.t (value String) ENGINE = Memory", "81"),
        ("CREATE TABLE t (value Strng) ENGINE = Memory", "50"),
        ("CREATE TABLE t (value String) ENGINE = MergeTre", "56"),
        ("CREATE TABLE t (value String) ENGINE = ReplicatedMergeTree('/t', 'a') ORDER BY tuple()", "225"),
    ] {
        assert_eq!(clickhouse_code(connect().await, login, sql).await, code, "{sql}");
    }
    let request = format!(
        "POST /?nosuch=1 HTTP/1.0\r\nX-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\nContent-Length: 8\r\n\r\nSELECT 1",
        login.user, login.password
    );
    let said = http_exchange(&mut connect().await, &request).await;
    assert!(said.contains(" 404 Not Found\r\n") && said.contains("\r\n\r\nCode: 115"), "{said}");
    clickhouse_query(connect().await, login, "DROP TABLE conformance").await.unwrap();
}

/// Two replicas of a cluster `main`, of a ClickHouse from 18 on, with a Keeper and the macro `replica`: what is inserted on one is on the
/// other, and with the last of them goes what Keeper has of the table.
pub(crate) async fn replicates(
    one: impl AsyncFn() -> Connection,
    other: impl AsyncFn() -> Connection,
    login: Login<'_>,
) {
    let ask = async |sql: &str| clickhouse_query(one().await, login, sql).await;
    let ask_other = async |sql: &str| clickhouse_query(other().await, login, sql).await;
    let nothing = || Ok(String::new());
    let create = "CREATE TABLE copied (value String) ENGINE = ReplicatedMergeTree('/clickhouse/copied', '{replica}') ORDER BY tuple()";
    assert_eq!(ask("SELECT count() FROM system.clusters WHERE cluster = 'main'").await.as_deref(), Ok("2\n"));
    let hosts =
        "SELECT shard_num, replica_num, is_local FROM system.clusters WHERE cluster = 'main' ORDER BY replica_num";
    assert!(ask(hosts).await.unwrap().starts_with("1\t1\t1\n1\t2\t"));
    let macros = ask("SELECT substitution FROM system.macros WHERE macro = 'replica'").await.unwrap();
    let name = macros.trim_end();
    assert_eq!(ask(create).await, nothing());
    let same = create.replace("{replica}", name);
    assert!(clickhouse_query(other().await, login, &same).await.unwrap_err().starts_with("253 "));
    assert_eq!(ask_other(create).await, nothing());
    assert_eq!(ask("INSERT INTO copied VALUES ('a')").await, nothing());
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    while ask_other("SELECT value FROM copied").await.as_deref() != Ok("a\n") {
        assert!(tokio::time::Instant::now() < until, "the row should be there");
        tokio::task::yield_now().await;
    }
    let state = "SELECT is_readonly, is_session_expired, zookeeper_path, total_replicas, active_replicas FROM system.replicas WHERE table = 'copied'";
    assert_eq!(ask(state).await.as_deref(), Ok("0\t0\t/clickhouse/copied\t2\t2\n"));
    let named = "SELECT count() FROM system.zookeeper WHERE path = '/clickhouse' AND name = 'copied'";
    let replicas = "SELECT name FROM system.zookeeper WHERE path = '/clickhouse/copied/replicas'";
    assert_eq!(ask("DROP TABLE copied").await, nothing());
    assert_eq!(ask_other(named).await.as_deref(), Ok("1\n"));
    let left = ask_other(replicas).await.unwrap();
    assert!(left.lines().count() == 1 && left.trim_end() != name, "{left}");
    assert_eq!(ask_other("DROP TABLE IF EXISTS copied").await, nothing());
    assert_eq!(ask_other(named).await.as_deref(), Ok("0\n"));
    for (sql, codes) in [
        (replicas, ["999", "999"]),
        ("SELECT name FROM system.zookeeper", ["36", "36"]),
        ("SELECT nosuch FROM system.replicas", ["47", "47"]),
        ("SELECT name FROM system.nosuch", ["60", "60"]),
        // Servers before 22.6 say of it that the syntax is wrong.
        (&create.replace("replica}", "nosuch}"), ["139", "62"]),
        ("CREATE TABLE t (v String) ENGINE = ReplicatedMergeTree('/t') ORDER BY tuple()", ["42", "42"]),
    ] {
        let code = clickhouse_code(one().await, login, sql).await;
        assert!(codes.contains(&code.as_str()), "{sql}: {code}");
    }
}
