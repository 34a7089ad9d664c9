//! What is true of a PostgreSQL and must be true of its stand-in, as a client sees it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::rehearsal::standins::conformance::{Connection, Login, over_tls};

/// A client that was let in, or the server's words: severity, code, words.
pub(crate) async fn postgres_client(stream: Connection, login: Login<'_>) -> Result<Client, String> {
    let mut config = tokio_postgres::Config::new();
    config.user(login.user).password(login.password).dbname(login.database).application_name("conformance");
    match config.connect_raw(stream, NoTls).await {
        Ok((client, driver)) => {
            tokio::spawn(driver);
            Ok(client)
        }
        Err(error) => Err(words(&error)),
    }
}

fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} {} {}", said.severity(), said.code().code(), said.message()),
        None => error.to_string(),
    }
}

/// A PostgreSQL with a certificate goes on over TLS where it is asked to, and lets the same users in as without.
pub(crate) async fn speaks_tls(connect: impl AsyncFn() -> Connection, login: Login<'_>, trusted: &str, name: &str) {
    let asked = async || {
        let mut stream = connect().await;
        stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'S');
        stream
    };
    let encrypted = async || Box::new(over_tls(asked().await, trusted, name).await.unwrap()) as Connection;
    let client = postgres_client(encrypted().await, login).await.unwrap();
    assert_eq!(shown(&client, "SELECT 1").await, [[Some("1".to_owned())]]);
    let refused = postgres_client(encrypted().await, Login { password: "wrong", ..login }).await.err();
    assert!(refused.unwrap().contains("28P01"));
    let other = over_tls(asked().await, trusted, "somebody.else.example").await.err();
    assert!(other.unwrap().contains("not valid for name"));
    assert!(postgres_client(connect().await, login).await.is_ok(), "plain text is taken as before");
}

/// Runs a text of statements.
pub(crate) async fn run(client: &Client, sql: &str) -> Result<(), String> {
    client.batch_execute(sql).await.map_err(|error| words(&error))
}

/// All cells of all rows.
pub(crate) async fn shown(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let all = client.simple_query(sql).await.map_err(|error| words(&error)).unwrap();
    let row = |message: SimpleQueryMessage| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
    };
    all.into_iter().filter_map(row).collect()
}

/// A PostgreSQL 15 lets in whoever has the password, and says no in its own words.
pub(crate) async fn guards_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let refused = async |login| postgres_client(connect().await, login).await.err().unwrap();
    let user = login.user;
    let wrong = format!("FATAL 28P01 password authentication failed for user \"{user}\"");
    assert_eq!(refused(Login { password: "wrong", ..login }).await, wrong);
    assert_eq!(refused(Login { password: "", ..login }).await, wrong);
    assert_eq!(
        refused(Login { user: "nobody", ..login }).await,
        "FATAL 28P01 password authentication failed for user \"nobody\""
    );
    assert_eq!(
        refused(Login { database: "nowhere", ..login }).await,
        "FATAL 3D000 database \"nowhere\" does not exist"
    );
    assert_eq!(refused(Login { password: "wrong", database: "nowhere", ..login }).await, wrong);
    assert!(postgres_client(connect().await, login).await.is_ok());
}

/// A PostgreSQL 15 says what it is.
pub(crate) async fn says_what_it_is(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let client = postgres_client(connect().await, login).await.unwrap();
    let one = |text: &str| vec![vec![Some(text.to_owned())]];
    assert_eq!(shown(&client, "SELECT 1").await, one("1"));
    assert_eq!(shown(&client, "SELECT pg_is_in_recovery()").await, one("f"));
    assert_eq!(
        shown(&client, "SELECT 'it''s', NULL, true; ").await,
        [[Some("it's".to_owned()), None, Some("t".to_owned())]]
    );
    assert_eq!(shown(&client, "SELECT 'x', count(*)").await, [[Some("x".to_owned()), Some("1".to_owned())]]);
    assert_eq!(shown(&client, "SELECT current_database()").await, one(login.database));
    assert_eq!(shown(&client, "SELECT current_user").await, one(login.user));
    assert_eq!(shown(&client, "SHOW default_transaction_read_only").await, one("off"));
    assert_eq!(shown(&client, "SHOW application_name").await, one("conformance"));
    assert_eq!(shown(&client, "SET application_name = 'x'; SHOW application_name").await, one("x"));
    let inside = "ERROR 25001 DISCARD ALL cannot run inside a transaction block";
    assert_eq!(run(&client, "DISCARD ALL; SELECT 1").await, Err(inside.to_owned()));
    assert_eq!(run(&client, "SET statement_timeout = 7; SELECT 1").await, Ok(()));
    assert_eq!(run(&client, "DISCARD ALL").await, Ok(()));
    assert_eq!(shown(&client, "SHOW statement_timeout").await, one("0"));
    let number = shown(&client, "SHOW server_version_num").await[0][0].clone().unwrap();
    assert!(number.len() == 6 && number.starts_with("15"), "{number}");
    let version = shown(&client, "SHOW server_version").await[0][0].clone().unwrap();
    assert!(version.starts_with("15."), "{version}");
    let long = shown(&client, "SELECT version()").await[0][0].clone().unwrap();
    assert!(long.starts_with(&format!("PostgreSQL {version} on ")), "{long}");
}

/// A PostgreSQL 15 shows others what is committed, and nothing before.
pub(crate) async fn commits(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let one = postgres_client(connect().await, login).await.unwrap();
    let two = postgres_client(connect().await, login).await.unwrap();
    let table = "\"conformance Table\"";
    run(&one, &format!("DROP TABLE IF EXISTS {table}")).await.unwrap();
    let batch = format!("BEGIN; CREATE TABLE {table} (value text); INSERT INTO {table} VALUES ('a'); COMMIT");
    run(&one, &batch).await.unwrap();
    let values = format!("SELECT value FROM {table}");
    let a = vec![vec![Some("a".to_owned())]];
    assert_eq!(shown(&two, &values).await, a);
    run(&one, &format!("BEGIN; INSERT INTO {table} VALUES ('b'), ('c')")).await.unwrap();
    assert_eq!(shown(&one, &values).await.len(), 3);
    assert_eq!(shown(&two, &values).await, a);
    run(&one, "ROLLBACK").await.unwrap();
    assert_eq!(shown(&one, &values).await, a);
    // One message is one transaction.
    let half = run(&one, &format!("INSERT INTO {table} VALUES ('b'); SELECT nothing FROM {table}")).await;
    assert_eq!(half, Err("ERROR 42703 column \"nothing\" does not exist".to_owned()));
    assert_eq!(shown(&two, &values).await, a);
    let wrong = run(&one, &format!("INSERT INTO {table} VALUES ('b'); SELEKT 1")).await;
    assert_eq!(wrong, Err("ERROR 42601 syntax error at or near \"SELEKT\"".to_owned()));
    run(&one, &format!("UPDATE {table} SET value = 'z' WHERE value = 'a'")).await.unwrap();
    assert_eq!(shown(&two, &format!("SELECT count(*) FROM {table} WHERE value = 'z'")).await, [[Some("1".to_owned())]]);
    run(&one, &format!("DELETE FROM {table}; DROP TABLE {table}")).await.unwrap();
    let missing = run(&two, &values).await;
    assert_eq!(missing, Err("ERROR 42P01 relation \"conformance Table\" does not exist".to_owned()));
}

/// A PostgreSQL 15 refuses what cannot be done, and a transaction that has failed takes no more.
pub(crate) async fn refuses(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let client = postgres_client(connect().await, login).await.unwrap();
    run(&client, "DROP TABLE IF EXISTS conformance; CREATE TABLE conformance (n int)").await.unwrap();
    for (sql, said) in [
        ("SELECT * FROM nowhere", "42P01 relation \"nowhere\" does not exist"),
        ("DROP TABLE nowhere", "42P01 table \"nowhere\" does not exist"),
        ("CREATE TABLE conformance (n int)", "42P07 relation \"conformance\" already exists"),
        ("CREATE TABLE elsewhere.conformance (n int)", "3F000 schema \"elsewhere\" does not exist"),
        ("CREATE TABLE wrong (n nosuch)", "42704 type \"nosuch\" does not exist"),
        ("INSERT INTO conformance VALUES ('x')", "22P02 invalid input syntax for type integer: \"x\""),
        ("INSERT INTO conformance VALUES (1, 2)", "42601 INSERT has more expressions than target columns"),
        ("INSERT INTO conformance (m) VALUES (1)", "42703 column \"m\" of relation \"conformance\" does not exist"),
        ("SELECT nosuch()", "42883 function nosuch() does not exist"),
        ("SELECT * ", "42601 SELECT * with no tables specified is not valid"),
        ("SELECT 1 FROM", "42601 syntax error at end of input"),
        ("SHOW nosuch", "42704 unrecognized configuration parameter \"nosuch\""),
        ("SELECT 'a", "42601 unterminated quoted string at or near \"'a\""),
        (
            "BEGIN READ ONLY; INSERT INTO conformance VALUES (1)",
            "25006 cannot execute INSERT in a read-only transaction",
        ),
        ("SELECT 1", "25P02 current transaction is aborted, commands ignored until end of transaction block"),
        ("ROLLBACK; BEGIN; SELECT nosuch", "42703 column \"nosuch\" does not exist"),
        (
            "SHOW server_version",
            "25P02 current transaction is aborted, commands ignored until end of transaction block",
        ),
        (
            "ROLLBACK; BEGIN READ ONLY; CREATE TABLE other (n int)",
            "25006 cannot execute CREATE TABLE in a read-only transaction",
        ),
        (
            "ROLLBACK; BEGIN READ ONLY; DROP TABLE conformance",
            "25006 cannot execute DROP TABLE in a read-only transaction",
        ),
    ] {
        assert_eq!(run(&client, sql).await, Err(format!("ERROR {said}")), "{sql}");
    }
    // Ending one that has failed is no error, and ends it.
    run(&client, "COMMIT").await.unwrap();
    run(&client, "ROLLBACK; DROP TABLE conformance; DROP TABLE IF EXISTS conformance; ;").await.unwrap();
}

/// A PostgreSQL 15 takes statements with parameters.
pub(crate) async fn takes_parameters(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let client = postgres_client(connect().await, login).await.unwrap();
    run(&client, "DROP TABLE IF EXISTS parameters").await.unwrap();
    client.execute("CREATE TABLE parameters (n int, t text, b bool, l bigint)", &[]).await.unwrap();
    let insert = "INSERT INTO parameters VALUES ($1, $2, $3, $4)";
    let count = client.execute(insert, &[&-7, &"it's", &true, &None::<i64>]).await.unwrap();
    assert_eq!(count, 1);
    let row = client.query_one("SELECT n, t, b, l FROM parameters WHERE t = $1", &[&"it's"]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, String>(1)), (-7, "it's".to_owned()));
    assert_eq!((row.get::<_, bool>("b"), row.get::<_, Option<i64>>("l")), (true, None));
    assert_eq!(client.query("SELECT * FROM parameters WHERE n = $1", &[&8]).await.unwrap().len(), 0);
    let said: String = client.query_one("SELECT $1::text", &[&"x"]).await.unwrap().get(0);
    assert_eq!(said, "x");
    let many: i64 = client.query_one("SELECT count(*) FROM parameters", &[]).await.unwrap().get(0);
    assert_eq!(many, 1);
    let missing = client.query("SELECT * FROM nowhere", &[]).await.unwrap_err();
    assert_eq!(words(&missing), "ERROR 42P01 relation \"nowhere\" does not exist");
    // After an error the connection goes on, and one in a transaction ends what can be prepared in it.
    run(&client, "BEGIN").await.unwrap();
    assert!(client.query("SELECT nosuch", &[]).await.is_err());
    let aborted = "ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block";
    assert_eq!(words(&client.prepare("SELECT 1").await.unwrap_err()), aborted);
    run(&client, "ROLLBACK").await.unwrap();
    let user: String = client.query_one("SELECT current_user", &[]).await.unwrap().get(0);
    assert_eq!(user, login.user);
    assert_eq!(client.execute("DELETE FROM parameters WHERE n = $1", &[&-7]).await.unwrap(), 1);
    client.execute("DROP TABLE parameters", &[]).await.unwrap();
}

/// Messages that no client library sends.
pub(crate) async fn meets_strangers(connect: impl AsyncFn() -> Connection) {
    // What asks for TLS is told that there is none, and may go on.
    let mut stream = connect().await;
    stream.write_all(&[&8_u32.to_be_bytes()[..], &80_877_103_u32.to_be_bytes()].concat()).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'N');
    // One of the versions before 3 is told so in the form that it understands.
    let old = "EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.0\n\0";
    for (startup, said) in [(&[0, 2, 0, 0, 0][..], old), (&[0, 3, 0, 0, 0], "\0C28000\0")] {
        let length = u32::try_from(startup.len() + 4).unwrap();
        let mut stream = connect().await;
        stream.write_all(&[&length.to_be_bytes()[..], startup].concat()).await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        let all = String::from_utf8_lossy(&all);
        assert!(all.starts_with('E') && all.contains(said), "{all}");
    }
}
