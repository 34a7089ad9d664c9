//! The whole look, at servers that do as they are told.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::proof::{RUN, WRITE, table_name};
use super::server::{Reply, WORDS};
use crate::checks::Verdict;
use crate::probes::stand::{Heard, Stand, actual, closed_port, look, serve, stands_when_dropped, why};

/// What a misbehaving server does instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    WrongPassword,
    WrongPasswordOfOld,
    Overloaded,
    Open,
    ReadOnly,
    NoSpace,
    Forgets,
    Garbles,
    LateException,
    BrokenOff,
    KeepsTables,
    NoPing,
    NoCode,
    HangsAtInsert,
    HangsAndKeepsTables,
    OneAnswer,
    Old,
    KeepsPath,
    OtherRefusesLogin,
    OtherWithoutKeeper,
    OtherWithoutMacro,
    OtherHangs,
    OtherReadOnly,
    OtherUnlisted,
    OtherAlone,
    OtherHasNoRow,
    OtherHasAnotherRow,
    OtherKeepsTable,
    Hangs,
}

/// A request: its first line and its header fields, then its body.
async fn request(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
    let mut all = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok((head.to_owned(), body.to_owned()));
            }
        }
        if stream.read_buf(&mut all).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

const PASSWORD: &str = "hunter22";

fn said(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn exception(code: u16, words: &str) -> String {
    let body = format!("Code: {code}. DB::Exception: {words} (version 25.8.2.29 (official build))\n");
    let head = format!("500 Internal Server Error\r\nX-ClickHouse-Exception-Code: {code}");
    said(&head, &body)
}

fn refuses_login(fault: Fault, head: &str) -> Option<String> {
    let is_right = fault == Fault::Open || head.to_lowercase().contains(&format!("x-clickhouse-key: {PASSWORD}\r\n"));
    let words = "app: Authentication failed: password is incorrect, or there is no user with such name.\nMore.";
    if fault == Fault::WrongPasswordOfOld {
        let words = "Wrong password for user app";
        let body = format!("Code: 193, e.displayText() = DB::Exception: {words}, e.what() = DB::Exception\n");
        return Some(said("401 Unauthorized", &body));
    }
    (fault == Fault::WrongPassword || !is_right).then(|| exception(516, words))
}

/// Whether the replica is addressed that is another than the server of the claim.
fn is_other(head: &str) -> bool {
    head.to_lowercase().contains("\r\nhost: localhost:")
}

/// What a server says as one of two replicas, both of which it plays.
fn of_cluster(fault: Fault, head: &str, sql: &str) -> Option<String> {
    let asks = |words: &str| sql.contains(words);
    let other = |wanted| is_other(head) && fault == wanted;
    let rows = |text: &str| Some(said("200 OK", text));
    match sql {
        _ if other(Fault::OtherRefusesLogin) => Some(exception(516, "app: Authentication failed")),
        _ if asks("system.clusters") => {
            rows("main\t1\t127.0.0.1\t1\nmain\t1\tlocalhost\t0\nmain\t2\tfar\t0\ntest\t1\ta\t1\n")
        }
        _ if asks("path = '/'") && other(Fault::OtherWithoutKeeper) => {
            let words = "Coordination::Exception: Connection loss, path: /";
            let body = format!("Code: 999, e.displayText() = {words}, e.what() = Coordination::Exception\n");
            Some(said("500 Internal Server Error", &body))
        }
        _ if asks("path = '/'") => rows("2\n"),
        _ if asks("system.zookeeper") => rows(if fault == Fault::KeepsPath { "1\n" } else { "0\n" }),
        _ if asks("is_readonly") && other(Fault::OtherUnlisted) => rows(""),
        _ if asks("is_readonly") => rows(if other(Fault::OtherReadOnly) { "1\t1\n" } else { "0\t0\n" }),
        _ if asks("active_replicas") => rows(if other(Fault::OtherAlone) { "1\n" } else { "2\n" }),
        _ if asks("CREATE") && other(Fault::OtherWithoutMacro) => Some(exception(139, "No macro 'replica' in config")),
        _ if asks("DROP") && other(Fault::OtherKeepsTable) => {
            Some(exception(242, "Can't drop readonly replicated table"))
        }
        _ if asks(" SYNC") && fault == Fault::Old => Some(exception(62, "Syntax error: failed at position 40: SYNC")),
        _ if asks("SELECT value") && other(Fault::OtherHasNoRow) => rows(""),
        _ if asks("SELECT value") && other(Fault::OtherHasAnotherRow) => rows("0123\n"),
        _ => None,
    }
}

fn answer(fault: Fault, head: &str, sql: &str, heard: &Heard) -> String {
    if let Some(refusal) = refuses_login(fault, head) {
        return refusal;
    }
    if let Some(said) = of_cluster(fault, head, sql) {
        return said;
    }
    let inserted =
        || heard.all().iter().find_map(|said| said.strip_prefix("INSERT")?.split('\'').nth(1).map(str::to_owned));
    match (sql.split(' ').next().unwrap(), fault) {
        (_, Fault::Overloaded) => exception(202, "Too many simultaneous queries. Maximum: 100"),
        (_, Fault::NoCode) => said("503 Service Unavailable", "upstream connect error\n"),
        ("CREATE", Fault::ReadOnly) | ("DROP", Fault::ReadOnly) => {
            exception(164, "app: Cannot execute query in readonly mode. (READONLY)")
        }
        ("INSERT", Fault::NoSpace) => exception(243, "Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)"),
        ("DROP", Fault::KeepsTables | Fault::HangsAndKeepsTables) => {
            exception(497, "app: Not enough privileges. (ACCESS_DENIED)")
        }
        ("SELECT", _) if sql.contains("version()") => said("200 OK", "25.8.2.29\n"),
        ("SELECT", Fault::Forgets) => said("200 OK", ""),
        ("SELECT", Fault::Garbles) => said("200 OK", "0123\n"),
        ("SELECT", Fault::LateException) => {
            said("200 OK", "0123Code: 241. DB::Exception: Memory limit exceeded (version 25.8.2.29)\n")
        }
        ("SELECT", Fault::BrokenOff) => {
            let body = "__exception__\r\nCode: 241. DB::Exception: Memory limit exceeded (version 25.8.2.29)\r\n";
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len())
        }
        ("SELECT", _) => said("200 OK", &format!("{}\n", inserted().unwrap_or_default())),
        _ => said("200 OK", ""),
    }
}

async fn talk(mut stream: TcpStream, fault: Fault, heard: Heard) -> std::io::Result<()> {
    loop {
        let (head, sql) = request(&mut stream).await?;
        let hangs_at_insert = matches!(fault, Fault::HangsAtInsert | Fault::HangsAndKeepsTables);
        let hangs = fault == Fault::Hangs
            || (hangs_at_insert && sql.starts_with("INSERT"))
            || (fault == Fault::OtherHangs && is_other(&head));
        let reply = match head.starts_with("GET /ping ") {
            true if fault == Fault::NoPing => said("200 OK", "It works!\n"),
            true => said("200 OK", "Ok.\n"),
            false => answer(fault, &head, &sql, &heard),
        };
        heard.note(if sql.is_empty() { head } else { sql });
        if hangs {
            std::future::pending::<()>().await;
        }
        if fault == Fault::OneAnswer {
            return stream.write_all(reply.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).await;
        }
        stream.write_all(reply.as_bytes()).await?;
        if reply.contains("chunked") {
            return Ok(());
        }
    }
}

async fn server(fault: Fault, heard: Heard) -> u16 {
    serve(move |stream| talk(stream, fault, heard.clone())).await
}

fn check(port: u16, more: &str) -> String {
    format!("clickhouse: {{at: 'host/127.0.0.1:{port}', user: app, password: {{value: {PASSWORD}}}, {more}}}")
}

async fn judged(fault: Fault, more: &str) -> Verdict {
    look(&check(server(fault, Heard::default()).await, more)).await
}

#[tokio::test]
async fn a_good_server_holds_and_the_table_of_ours_is_dropped() {
    let heard = Heard::default();
    let port = server(Fault::None, heard.clone()).await;
    let verdict = look(&check(port, "version: ^25, database: app")).await;
    assert!(matches!(&verdict, Verdict::Held { warnings, .. } if warnings.is_empty()), "{verdict:?}");
    let said = heard.all();
    assert!(said[0].starts_with("GET /ping HTTP/1.1\r\n"), "{said:?}");
    let table = said[3].split(' ').nth(2).unwrap();
    assert!(table.starts_with("seaworthy_run_1_"), "{table}");
    assert_eq!(said.last().unwrap(), &format!("DROP TABLE IF EXISTS {table}"));
}

#[tokio::test]
async fn a_connection_serves_for_several_questions_and_one_that_ends_is_replaced() {
    // The writer's, the one that comes without a password, and the reader's; or one for each question.
    for (fault, connections) in [(Fault::None, 3), (Fault::OneAnswer, 7)] {
        let (heard, met) = (Heard::default(), Heard::default());
        let counted = met.clone();
        let port = serve(move |stream| {
            counted.note("met");
            talk(stream, fault, heard.clone())
        })
        .await;
        let verdict = look(&check(port, "writes: true")).await;
        assert!(matches!(&verdict, Verdict::Held { warnings, .. } if warnings.is_empty()), "{verdict:?}");
        assert_eq!(met.all().len(), connections, "{fault:?}");
    }
}

#[tokio::test]
async fn the_database_is_named_and_no_password_is_in_an_address() {
    let heard = Heard::default();
    let noted = heard.clone();
    let port = serve(move |mut stream| {
        let noted = noted.clone();
        async move {
            let (head, _) = request(&mut stream).await?;
            let reply =
                if head.starts_with("GET") { said("200 OK", "Ok.\n") } else { exception(81, "no such database") };
            noted.note(head);
            stream.write_all(reply.as_bytes()).await
        }
    })
    .await;
    let verdict = look(&check(port, "database: 'a&b c'")).await;
    assert!(actual(&verdict).ends_with("answered the first query with: 81 no such database"), "{verdict:?}");
    let head = heard.all().pop().unwrap();
    assert!(head.starts_with("POST /?wait_end_of_query=1&database=a%26b+c HTTP/1.1\r\n"), "{head}");
    for field in [
        format!("host: 127.0.0.1:{port}"),
        "x-clickhouse-user: app".to_owned(),
        format!("x-clickhouse-key: {PASSWORD}"),
    ] {
        assert!(head.to_lowercase().lines().any(|line| line == field), "{field} in {head}");
    }
}

#[tokio::test]
async fn each_fault_breaks_with_its_own_words() {
    for (fault, said) in [
        (
            Fault::WrongPassword,
            "refused the login: 516 app: Authentication failed: password is incorrect, or there is no user with such name.",
        ),
        (Fault::WrongPasswordOfOld, "refused the login: 193 Wrong password for user app"),
        (Fault::Overloaded, "answered the first query with: 202 Too many simultaneous queries. Maximum: 100"),
        (Fault::ReadOnly, "refused to write: 164 app: Cannot execute query in readonly mode. (READONLY)"),
        (Fault::NoSpace, "refused to write: 243 Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)"),
        (Fault::Forgets, "took a row and then had no row"),
        (Fault::Garbles, "took a row and then had another row"),
        (Fault::LateException, "took a row and then had an error in place of it: 241 Memory limit exceeded"),
        (Fault::BrokenOff, "took a row and then had an error in place of it: 241 Memory limit exceeded"),
        (Fault::NoPing, "answered /ping with HTTP 200, \"It works!\""),
        (Fault::NoCode, "answered a query with HTTP 503, \"upstream connect error\""),
    ] {
        let verdict = judged(fault, "writes: true").await;
        let actual = actual(&verdict);
        assert!(actual.ends_with(said) && !actual.contains(PASSWORD), "{fault:?}: {actual}");
    }
}

#[tokio::test]
async fn a_table_is_dropped_whatever_became_of_its_row() {
    for fault in [Fault::NoSpace, Fault::Forgets, Fault::LateException] {
        let heard = Heard::default();
        look(&check(server(fault, heard.clone()).await, "writes: true")).await;
        assert!(heard.all().last().unwrap().starts_with("DROP TABLE"), "{fault:?}");
    }
    let verdict = judged(Fault::KeepsTables, "writes: true").await;
    let Verdict::Held { warnings, .. } = &verdict else { panic!("{verdict:?}") };
    assert!(warnings[0].contains(": 497 app: Not enough privileges. (ACCESS_DENIED)"), "{warnings:?}");
}

async fn told(heard: &Heard, word: &str) {
    heard.told(word, |heard| heard.all().iter().any(|said| said.starts_with(word))).await;
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_given_up_half_way_drops_its_table() {
    let heard = Heard::default();
    let check = check(server(Fault::HangsAtInsert, heard.clone()).await, "writes: true");
    tokio::select! {
        verdict = look(&check) => panic!("{verdict:?}"),
        () = told(&heard, "INSERT") => {}
    }
    tokio::time::advance(WRITE).await;
    told(&heard, "DROP TABLE").await;
}

#[tokio::test(start_paused = true)]
async fn what_a_look_that_is_given_up_leaves_behind_is_told_at_the_end() {
    let heard = Heard::default();
    let stand = Stand::of(&check(server(Fault::HangsAndKeepsTables, heard.clone()).await, "writes: true"));
    tokio::select! {
        verdict = stand.look() => panic!("{verdict:?}"),
        () = told(&heard, "INSERT") => {}
    }
    tokio::time::advance(WRITE).await;
    told(&heard, "DROP TABLE").await;
    assert_eq!(stand.prober.finish().await, None);
    let left = stand.prober.left();
    assert_eq!(left.len(), 1);
    assert!(left[0].starts_with("table seaworthy_run_1_") && left[0].contains(": 497 app: "), "{left:?}");
}

/// A claim about a cluster of two, both of which are at one port.
const CLUSTER: &str = "cluster: main, lag: 30s";
const IMPATIENT: &str = "cluster: main, lag: 100ms";

#[tokio::test]
async fn a_row_is_looked_for_on_each_replica_and_the_table_is_dropped_on_each() {
    for (fault, drop) in [(Fault::None, "DROP TABLE IF EXISTS T SYNC"), (Fault::Old, "DROP TABLE IF EXISTS T")] {
        let heard = Heard::default();
        let verdict = look(&check(server(fault, heard.clone()).await, CLUSTER)).await;
        let Verdict::Held { saw, warnings } = &verdict else { panic!("{verdict:?}") };
        assert!(
            saw.ends_with("kept an inserted row on 2 replicas of cluster main") && warnings.is_empty(),
            "{verdict:?}"
        );
        let said = heard.all();
        let insert = said.iter().find(|said| said.starts_with("INSERT")).unwrap();
        let table = insert.split(' ').nth(2).unwrap();
        let said: Vec<String> = said.iter().map(|said| said.replace(table, "T")).collect();
        let create =
            "CREATE TABLE T (value String) ENGINE = ReplicatedMergeTree('/clickhouse/T', '{replica}') ORDER BY tuple()";
        let gone = "SELECT count() FROM system.zookeeper WHERE path = '/clickhouse' AND name = 'T' FORMAT TabSeparated";
        for (sql, times) in [(create, 2), ("SELECT value FROM T FORMAT TabSeparated", 3), (drop, 2), (gone, 1)] {
            assert_eq!(said.iter().filter(|said| *said == sql).count(), times, "{sql} in {said:#?}");
        }
        assert_eq!(said.last().unwrap(), gone);
    }
}

#[tokio::test]
async fn a_replica_that_is_not_as_the_others_is_named_with_what_is_wrong() {
    for (fault, said) in [
        (
            Fault::OtherRefusesLogin,
            "replica localhost of cluster main: it refused the login: 516 app: Authentication failed",
        ),
        (
            Fault::OtherWithoutKeeper,
            "replica localhost of cluster main: it does not reach its Keeper: 999 Connection loss, path: /",
        ),
        (
            Fault::OtherWithoutMacro,
            "replica localhost of cluster main: it refused to make a replicated table: 139 No macro 'replica' in config",
        ),
        (Fault::OtherReadOnly, "replica localhost is read-only (system.replicas): its session with Keeper has expired"),
        (
            Fault::OtherUnlisted,
            "replica localhost of cluster main: it answered for the table with: it is not listed in system.replicas",
        ),
        (Fault::OtherAlone, "replica localhost knows 1 active of 2 (system.replicas)"),
        (Fault::OtherHasNoRow, "replica localhost had no such row 100ms after it was inserted"),
        (
            Fault::OtherHasAnotherRow,
            "replica localhost of cluster main: it answered for the table with: another row than the one that was inserted",
        ),
    ] {
        let heard = Heard::default();
        let more = if fault == Fault::OtherHasNoRow { IMPATIENT } else { CLUSTER };
        let verdict = look(&check(server(fault, heard.clone()).await, more)).await;
        assert_eq!(actual(&verdict), said, "{fault:?}");
        // What was made on the others is dropped.
        let count = |word: &str| heard.all().iter().filter(|said| said.starts_with(word)).count();
        assert_eq!(count("DROP"), count("CREATE"), "{fault:?}");
    }
}

#[tokio::test]
async fn what_stays_of_a_replicated_table_is_told_with_its_place() {
    for (fault, said) in [
        (Fault::OtherKeepsTable, " on localhost: 242 Can't drop readonly replicated table"),
        (Fault::KeepsPath, " in Keeper: it is there after the table was dropped"),
    ] {
        let verdict = judged(fault, CLUSTER).await;
        let Verdict::Held { warnings, .. } = &verdict else { panic!("{verdict:?}") };
        assert!(warnings.len() == 1 && warnings[0].ends_with(said), "{warnings:?}");
    }
}

#[tokio::test]
async fn without_writes_replicas_are_met_and_nothing_is_made() {
    let heard = Heard::default();
    let more = format!("{CLUSTER}, writes: false");
    let verdict = look(&check(server(Fault::None, heard.clone()).await, &more)).await;
    assert!(matches!(&verdict, Verdict::Held { saw, .. } if saw.ends_with(", one of 2 replicas of cluster main")));
    assert!(!heard.all().iter().any(|said| said.starts_with("CREATE")));
    let verdict = judged(Fault::OtherWithoutKeeper, &more).await;
    assert!(actual(&verdict).contains("replica localhost of cluster main: it does not reach its Keeper: 999"));
}

#[tokio::test]
async fn a_replica_that_hangs_is_the_one_that_is_named() {
    let port = server(Fault::OtherHangs, Heard::default()).await;
    let verdict = stands_when_dropped(&check(port, CLUSTER)).await.unwrap();
    assert_eq!(actual(&verdict), "replica localhost of cluster main: no answer yet when it was met");
}

#[tokio::test]
async fn only_a_refused_login_is_a_denial() {
    for fault in [Fault::WrongPassword, Fault::WrongPasswordOfOld] {
        let verdict = judged(fault, "expect: denied").await;
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
    }
    for fault in [Fault::Overloaded, Fault::NoPing, Fault::NoCode] {
        let verdict = judged(fault, "expect: denied").await;
        assert!(matches!(verdict, Verdict::Unclear { .. }), "{fault:?}: {verdict:?}");
    }
    assert!(actual(&judged(Fault::None, "expect: denied").await).ends_with("was let in"));
}

#[tokio::test]
async fn a_user_who_comes_in_without_a_password_is_a_warning() {
    let verdict = judged(Fault::Open, "writes: false").await;
    let Verdict::Held { warnings, .. } = &verdict else { panic!("{verdict:?}") };
    assert_eq!(warnings, &["the password was not tested: app comes in without one"]);
}

#[tokio::test]
async fn a_server_that_hangs_breaks_when_the_time_is_up_and_one_that_is_away_at_once() {
    let port = server(Fault::Hangs, Heard::default()).await;
    let verdict = stands_when_dropped(&check(port, "writes: true")).await.unwrap();
    assert_eq!(actual(&verdict), format!("clickhouse host/127.0.0.1:{port} does not answer"));
    let port = closed_port().await;
    let verdict = look(&check(port, "writes: true")).await;
    assert_eq!(actual(&verdict), format!("nothing listens on 127.0.0.1:{port}: connection refused"));
}

#[tokio::test]
async fn a_password_that_cannot_be_sent_says_nothing_of_the_platform() {
    let port = server(Fault::None, Heard::default()).await;
    for (password, said) in [
        ("two\\nlines", "the password of app fits into no header"),
        ("secret ", "the password of app begins or ends with a blank, which no header keeps"),
    ] {
        let check =
            format!("clickhouse: {{at: 'host/127.0.0.1:{port}', user: app, password: {{value: \"{password}\"}}}}");
        assert_eq!(why(&look(&check).await), said);
    }
}

#[test]
fn exceptions_are_read_as_servers_of_all_ages_write_them() {
    let reply = |body: &str, code: Option<&str>| {
        Reply { status: 500, code: code.map(str::to_owned), body: body.to_owned() }.exception()
    };
    let told = |body: &str| reply(body, None);
    assert_eq!(
        told(
            "Code: 60. DB::Exception: Table default.t does not exist. (UNKNOWN_TABLE) (version 25.8.2.29 (official build))\n"
        ),
        Some("60 Table default.t does not exist. (UNKNOWN_TABLE)".to_owned())
    );
    assert_eq!(
        told("Code: 60, e.displayText() = DB::Exception: Table default.t doesn't exist., e.what() = DB::Exception\n"),
        Some("60 Table default.t doesn't exist.".to_owned())
    );
    assert_eq!(
        told(
            "Code: 999. Coordination::Exception: Coordination error: No node, path /a. (KEEPER_EXCEPTION) (version 25.8.2.29)"
        ),
        Some("999 Coordination error: No node, path /a. (KEEPER_EXCEPTION)".to_owned())
    );
    assert_eq!(told("a Code: x\nCode: 7\n"), None);
    assert_eq!(
        reply("Poco::Exception. Code: 1000\nmore", Some("1000")),
        Some("1000 Poco::Exception. Code: 1000".to_owned())
    );
    let long = told(&format!("Code: 1. DB::Exception: {}", "ä".repeat(5000))).unwrap();
    assert_eq!(long.chars().count(), WORDS + 2);
}

#[test]
fn a_tables_name_is_unique_and_needs_no_quotes() {
    let name = table_name("Run-é`; DROP");
    assert!(name.starts_with("seaworthy_Run_____DROP_"), "{name}");
    assert_ne!(name, table_name("Run-é`; DROP"));
    assert_eq!(table_name(&"x".repeat(200)).len(), "seaworthy__".len() + RUN + 16);
}
