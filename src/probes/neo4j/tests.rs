//! Whole looks at a Neo4j on loopback that does as it is told.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{WRITE, packstream};
use crate::checks::{Outlook, Verdict};
use crate::probes::stand::{Heard, Stand, actual, closed_port, look, serve, silent, stands_when_dropped, why};

const PASSWORD: &str = "hunter22 & more";

/// What a misbehaving server does instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    OneAnswer,
    NotNeo4j,
    BadGateway,
    Refuses(&'static str),
    ErrorsIn200,
    Forgets,
    Doubles,
    Garbles,
    Full,
    Keeps,
    NoDelete,
    AwayOnceDeleted,
    Astray,
    HangsAtMake,
    Hangs,
    /// Over Bolt.
    BoltVersion([u8; 4]),
    BoltRefuses,
    BoltOthers,
    BoltFails,
    BoltBreaks,
    BoltBabbles,
    BoltEndless,
}

const WRONG: &str = "Neo.ClientError.Security.Unauthorized";
const AWAY: &str = "Neo.TransientError.General.DatabaseUnavailable";

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

fn sent(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn failed(status: u16, code: &str) -> String {
    // Results may be there nonetheless.
    let error = json!({ "code": code, "message": "It is\n  not so." });
    sent(status, &json!({ "results": [{ "columns": [], "data": [] }], "errors": [error] }).to_string())
}

fn rows(rows: &[Value]) -> String {
    let data: Vec<Value> = rows.iter().map(|row| json!({ "row": [row], "meta": [null] })).collect();
    let results = json!([{ "columns": ["n.value"], "data": data }]);
    sent(200, &json!({ "results": results, "errors": [], "lastBookmarks": ["FB:1"] }).to_string())
}

/// What is there: the value of the node that was made last, unless it is gone.
fn there(fault: Fault, heard: &Heard) -> Vec<Value> {
    let all = heard.all();
    let is_gone = all.iter().any(|said| said == "delete") && fault != Fault::Keeps;
    let made = all.iter().rev().find_map(|said| said.strip_prefix("make ")).filter(|_| !is_gone);
    let made: Vec<Value> = made.map(Value::from).into_iter().collect();
    let times = match (fault == Fault::Forgets, fault == Fault::Doubles) {
        (true, _) => 0,
        (_, true) => 2,
        (false, false) => 1,
    };
    let shown = |value: &Value| if fault == Fault::Garbles { "other".into() } else { value.clone() };
    made.iter().cycle().take(times * made.len()).map(shown).collect()
}

fn answer(fault: Fault, head: &str, body: &str, heard: &Heard) -> String {
    if head.starts_with("GET / ") {
        heard.note("discover");
        let bolt = if fault == Fault::Astray { "bolt://localhost:1" } else { "bolt://graph:7687" };
        let document = json!({ "neo4j_version": "5.26.0", "bolt_direct": bolt }).to_string();
        return match (fault == Fault::NotNeo4j, fault == Fault::BadGateway) {
            (true, _) => sent(200, "<html>It works!</html>"),
            (_, true) => sent(502, "upstream\n"),
            (false, false) => sent(200, &document),
        };
    }
    let said: Value = serde_json::from_str(body).unwrap();
    let (statement, parameters) = (&said["statements"][0]["statement"], &said["statements"][0]["parameters"]);
    let word = statement.as_str().unwrap().split(' ').next().unwrap();
    let is_delete = statement.as_str().unwrap().contains("DELETE");
    match (word, is_delete) {
        ("RETURN", _) => heard.note("enter"),
        ("CREATE", _) => {
            assert_eq!(parameters["run"], "run-1");
            heard.note(format!("make {}", parameters["value"].as_str().unwrap()));
        }
        (_, false) => heard.note("find"),
        (_, true) => heard.note("delete"),
    }
    match (fault, word) {
        (Fault::Refuses(code), _) => failed(401, code),
        (Fault::ErrorsIn200, _) => failed(200, AWAY),
        (Fault::Full, "CREATE") => failed(200, "Neo.ClientError.General.WriteOnReadOnlyAccessDatabase"),
        (Fault::NoDelete, _) if is_delete => failed(200, "Neo.ClientError.Security.Forbidden"),
        (Fault::AwayOnceDeleted, "MATCH") if !is_delete && heard.all().contains(&"delete".to_owned()) => {
            failed(404, AWAY)
        }
        (_, "RETURN") => rows(&[json!(1)]),
        (_, "CREATE") => rows(&[parameters["value"].clone()]),
        (_, _) if is_delete => rows(&[]),
        (_, _) => rows(&there(fault, heard)),
    }
}

async fn talk(mut stream: TcpStream, fault: Fault, heard: Heard) -> std::io::Result<()> {
    loop {
        let (head, body) = request(&mut stream).await?;
        heard.note(head.as_str());
        let reply = answer(fault, &head, &body, &heard);
        if fault == Fault::Hangs || (fault == Fault::HangsAtMake && body.contains("CREATE")) {
            std::future::pending::<()>().await;
        }
        if fault == Fault::OneAnswer {
            return stream.write_all(reply.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).await;
        }
        stream.write_all(reply.as_bytes()).await?;
    }
}

async fn tell(stream: &mut TcpStream, signature: u8, fields: &[Value]) -> std::io::Result<()> {
    let message = packstream::message(signature, fields);
    // In two chunks, after nothing.
    let (one, other) = message.split_at(message.len() / 2);
    let mut bytes = vec![0, 0];
    for chunk in [one, other].into_iter().filter(|chunk| !chunk.is_empty()) {
        bytes.extend(u16::try_from(chunk.len()).unwrap().to_be_bytes());
        bytes.extend(chunk);
    }
    stream.write_all(&[&bytes[..], &[0, 0]].concat()).await
}

async fn told(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<Value>)> {
    let mut message = Vec::new();
    loop {
        let length = usize::from(stream.read_u16().await?);
        if length == 0 {
            return Ok(packstream::read(&message).unwrap());
        }
        let start = message.len();
        message.resize(start + length, 0);
        stream.read_exact(&mut message[start..]).await?;
    }
}

async fn bolt(mut stream: TcpStream, fault: Fault, heard: Heard) -> std::io::Result<()> {
    let mut proposed = [0; 20];
    stream.read_exact(&mut proposed).await?;
    assert_eq!(proposed[..8], [0x60, 0x60, 0xb0, 0x17, 0, 8, 8, 5]);
    let version = if let Fault::BoltVersion(version) = fault { version } else { [0, 0, 8, 5] };
    stream.write_all(&version).await?;
    let failure = |code: &str| {
        let key = if version[3] == 5 && version[2] > 6 { "neo4j_code" } else { "code" };
        json!({ key: code, "message": "It is\nnot so." })
    };
    let mut rows = Vec::new();
    loop {
        let (signature, fields) = told(&mut stream).await?;
        heard.note(format!("bolt {signature:#04x} {}", json!(fields)));
        let credentials = fields.first().is_some_and(|user| user.get("credentials").is_some());
        match (signature, fault) {
            (0x02, _) => return Ok(()),
            (_, Fault::BoltBreaks) => return Ok(()),
            (_, Fault::BoltBabbles) => stream.write_all(&[0, 4, b'b', b'a', b'b', b'b', 0, 0]).await?,
            (_, Fault::BoltEndless) => stream.write_all(&[0xff; 70_000]).await?,
            (0x01 | 0x6a, Fault::BoltRefuses) if credentials => {
                return tell(&mut stream, 0x7f, &[failure(WRONG)]).await;
            }
            (0x10, Fault::BoltFails) if fields[0] != "RETURN 1" => tell(&mut stream, 0x7f, &[failure(AWAY)]).await?,
            (0x10, _) => {
                rows = match fields[0].as_str().unwrap() {
                    "RETURN 1" => vec![json!(1)],
                    _ if fault == Fault::BoltOthers => Vec::new(),
                    _ => there(fault, &heard),
                };
                tell(&mut stream, 0x70, &[json!({ "fields": ["n.value"] })]).await?;
            }
            (0x3f, _) => {
                for row in rows.drain(..) {
                    tell(&mut stream, 0x71, &[json!([row])]).await?;
                }
                tell(&mut stream, 0x70, &[json!({ "bookmark": "FB:2" })]).await?;
            }
            _ => tell(&mut stream, 0x70, &[json!({})]).await?,
        }
    }
}

/// Both doors, and what they were told.
async fn server(fault: Fault) -> (u16, u16, Heard) {
    let heard = Heard::default();
    let (over_http, over_bolt) = (heard.clone(), heard.clone());
    let http = serve(move |stream| talk(stream, fault, over_http.clone())).await;
    let bolt = serve(move |stream| bolt(stream, fault, over_bolt.clone())).await;
    (http, bolt, heard)
}

fn check(http: u16, bolt: Option<u16>, more: &str) -> String {
    let bolt = bolt.map_or_else(String::new, |bolt| format!("bolt: 'host/127.0.0.1:{bolt}', "));
    format!("neo4j: {{at: 'host/127.0.0.1:{http}', {bolt}user: app, password: {{value: {PASSWORD}}}, {more}}}")
}

fn denial(http: u16, bolt: Option<u16>) -> String {
    let bolt = bolt.map_or_else(String::new, |bolt| format!("bolt: 'host/127.0.0.1:{bolt}', "));
    format!("neo4j: {{at: 'host/127.0.0.1:{http}', {bolt}expect: denied}}")
}

async fn judged(fault: Fault) -> Verdict {
    let (http, bolt, _) = server(fault).await;
    look(&check(http, Some(bolt), "")).await
}

/// What was asked for, without what is not the same twice.
fn steps(heard: &Heard) -> Vec<String> {
    let step = |said: String| match said.split(' ').next()? {
        word @ ("discover" | "enter" | "make" | "find" | "delete") => Some(word.to_owned()),
        "bolt" => Some(said[5..9].to_owned()),
        _ => None,
    };
    heard.all().into_iter().filter_map(step).collect()
}

#[tokio::test]
async fn a_good_server_holds_and_its_node_is_gone() {
    for (fault, over_bolt, login) in [
        (Fault::None, true, &["0x01", "0x6a"][..]),
        (Fault::OneAnswer, true, &["0x01", "0x6a"]),
        (Fault::BoltVersion([0, 0, 2, 5]), true, &["0x01", "0x6a"]),
        (Fault::BoltVersion([0, 0, 0, 5]), true, &["0x01"]),
        (Fault::BoltVersion([0, 0, 4, 4]), true, &["0x01"]),
        (Fault::None, false, &[]),
    ] {
        let (http, bolt, heard) = server(fault).await;
        let stand = Stand::of(&check(http, over_bolt.then_some(bolt), "version: ^5.26"));
        let verdict = stand.look().await;
        let Verdict::Held { saw, .. } = &verdict else { panic!("{fault:?}: {verdict:?}") };
        assert!(saw.ends_with(", and kept a node"), "{saw}");
        let mut expected = vec!["discover", "enter"];
        expected.extend(login);
        let run = ["0x10", "0x3f"];
        expected.extend(run.iter().filter(|_| over_bolt));
        expected.extend(["make", "find"]);
        expected.extend(run.iter().filter(|_| over_bolt));
        expected.push("delete");
        expected.extend(if over_bolt { &run[..] } else { &["find"] });
        let said = steps(&heard);
        assert_eq!(said[..expected.len()], expected, "{fault:?}: {said:?}");
        assert!(stand.prober.left().is_empty());
    }
}

#[tokio::test]
async fn all_is_asked_of_the_database_that_is_named_and_another_server_must_have_caught_up() {
    let (http, bolt, heard) = server(Fault::None).await;
    look(&check(http, Some(bolt), "database: my orders")).await;
    let all = heard.all();
    let asked: Vec<_> = all.iter().filter(|said| said.starts_with("POST ")).collect();
    assert!(!asked.is_empty() && asked.iter().all(|said| said.starts_with("POST /db/my%20orders/tx/commit ")));
    assert!(asked.iter().all(|said| said.contains(&format!("host: 127.0.0.1:{http}\r\n"))), "{asked:?}");
    let found = all.iter().find(|said| said.starts_with("bolt 0x10") && said.contains("MATCH")).unwrap();
    assert!(found.ends_with(r#"{"mode":"r","db":"my orders","bookmarks":["FB:1"]}]"#), "{found}");
}

#[tokio::test]
async fn nothing_is_made_where_nothing_is_claimed_of_writes() {
    let (http, bolt, heard) = server(Fault::None).await;
    let verdict = look(&check(http, Some(bolt), "writes: false")).await;
    assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
    assert_eq!(steps(&heard), ["discover", "enter", "0x01", "0x6a", "0x10", "0x3f"]);
}

#[tokio::test]
async fn each_fault_breaks_with_its_own_words() {
    for (fault, said) in [
        (Fault::NotNeo4j, "answered GET / with HTTP 200, \"<html>It works!</html>\""),
        (Fault::BadGateway, "answered GET / with HTTP 502, \"upstream\""),
        (Fault::Refuses(AWAY), "DatabaseUnavailable: It is not so."),
        (
            Fault::ErrorsIn200,
            "of app in database neo4j with: Neo.TransientError.General.DatabaseUnavailable: It is not so.",
        ),
        (Fault::Forgets, "took a node and then had in place of it: no node"),
        (Fault::Doubles, "had in place of it: 2 nodes"),
        (Fault::Garbles, "had in place of it: a node with another value"),
        (Fault::Full, "refused to write: Neo.ClientError.General.WriteOnReadOnlyAccessDatabase: It is not so."),
        (Fault::Keeps, "said that a node was deleted, and still has it"),
        (Fault::NoDelete, "refused to delete a node: Neo.ClientError.Security.Forbidden: It is not so."),
        (Fault::BoltVersion([0, 0, 0, 0]), " speaks neither Bolt 5.0 to 5.8 nor 4.4"),
        (Fault::BoltVersion(*b"HTTP"), " answered Bolt's handshake in HTTP"),
        (Fault::BoltVersion(*b"SSH-"), " answered Bolt's handshake with \"SSH-\", which is no version"),
        (Fault::BoltRefuses, " refused app: Neo.ClientError.Security.Unauthorized: It is not so."),
        (Fault::BoltOthers, " in place of it: no node"),
        (Fault::BoltFails, " in place of it: Neo.TransientError.General.DatabaseUnavailable: It is not so."),
        (Fault::BoltBabbles, " sent what is no message of Bolt, or a value not asked for"),
        (Fault::BoltEndless, " sent a message of more than 64 KiB"),
    ] {
        let verdict = judged(fault).await;
        let actual = actual(&verdict);
        assert!(actual.ends_with(said) && !actual.contains(PASSWORD), "{fault:?}: {actual}");
    }
    assert!(actual(&judged(Fault::BoltBreaks).await).contains(" gave no valid answer: "));
    let away = judged(Fault::AwayOnceDeleted).await;
    // What is there is looked for over Bolt, which knows no such fault.
    assert!(matches!(away, Verdict::Held { .. }), "{away:?}");
    let (http, ..) = server(Fault::AwayOnceDeleted).await;
    let away = look(&check(http, None, "")).await;
    assert!(
        why(&away).ends_with("was deleted, and answered Neo.TransientError.General.DatabaseUnavailable: It is not so.")
    );
}

#[tokio::test]
async fn a_wrong_password_ends_the_looks_and_a_lock_does_not() {
    for (code, outlook) in
        [(WRONG, Outlook::Final), ("Neo.ClientError.Security.AuthenticationRateLimit", Outlook::MayHeal)]
    {
        let verdict = judged(Fault::Refuses(code)).await;
        let Verdict::Broken { outlook: found, .. } = &verdict else { panic!("{verdict:?}") };
        assert_eq!(*found, outlook, "{code}");
    }
}

#[tokio::test]
async fn who_is_sent_to_their_own_machine_for_bolt_is_told_of() {
    let (http, bolt, _) = server(Fault::Astray).await;
    let Verdict::Held { warnings, .. } = look(&check(http, Some(bolt), "")).await else { panic!("not held") };
    assert!(warnings[0].contains(" for Bolt to bolt://localhost:1 ("), "{warnings:?}");
    let (http, ..) = server(Fault::Astray).await;
    let Verdict::Held { warnings, .. } = look(&check(http, None, "")).await else { panic!("not held") };
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[tokio::test]
async fn a_stranger_is_kept_out_only_by_a_refusal_through_each_door() {
    let (http, bolt, heard) = server(Fault::Refuses(WRONG)).await;
    let verdict = look(&denial(http, None)).await;
    assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
    // Over Bolt whoever comes is let in.
    assert!(actual(&look(&denial(http, Some(bolt))).await).ends_with(" let in a stranger"));
    assert!(heard.all().iter().any(|said| said.contains("\"principal\":\"seaworthy-")));
    let (http, bolt, _) = server(Fault::None).await;
    assert!(actual(&look(&denial(http, Some(bolt))).await).ends_with(" let in a stranger"));
    for fault in [Fault::ErrorsIn200, Fault::BadGateway, Fault::NotNeo4j, Fault::Refuses(AWAY)] {
        let (http, bolt, _) = server(fault).await;
        let verdict = look(&denial(http, Some(bolt))).await;
        assert!(matches!(verdict, Verdict::Unclear { .. }), "{fault:?}: {verdict:?}");
    }
    let (http, ..) = server(Fault::Refuses(WRONG)).await;
    let (_, bolt, _) = server(Fault::BoltRefuses).await;
    let verdict = look(&denial(http, Some(bolt))).await;
    assert!(matches!(&verdict, Verdict::Held { saw, .. } if saw.starts_with("bolt ")), "{verdict:?}");
    for fault in [Fault::BoltVersion(*b"HTTP"), Fault::BoltBreaks] {
        let (_, bolt, _) = server(fault).await;
        let verdict = look(&denial(http, Some(bolt))).await;
        assert!(matches!(verdict, Verdict::Unclear { .. }), "{fault:?}: {verdict:?}");
    }
}

#[tokio::test]
async fn what_was_made_is_removed_whatever_became_of_it() {
    for fault in [Fault::Forgets, Fault::Garbles, Fault::BoltOthers] {
        let (http, bolt, heard) = server(fault).await;
        look(&check(http, Some(bolt), "")).await;
        assert!(steps(&heard).contains(&"delete".to_owned()), "{fault:?}");
    }
    let (http, bolt, _) = server(Fault::NoDelete).await;
    let stand = Stand::of(&check(http, Some(bolt), ""));
    stand.look().await;
    let left = stand.prober.left();
    assert!(
        left[0].starts_with("node :SeaworthyCheck {token: ") && left[0].ends_with("Forbidden: It is not so."),
        "{left:?}"
    );
    // What was refused is not there.
    let (http, bolt, heard) = server(Fault::Full).await;
    look(&check(http, Some(bolt), "")).await;
    assert!(!steps(&heard).contains(&"delete".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_given_up_half_way_removes_what_it_made() {
    let (http, bolt, heard) = server(Fault::HangsAtMake).await;
    let check = check(http, Some(bolt), "");
    let is_told = |word: &'static str| move |heard: &Heard| steps(heard).iter().any(|said| said == word);
    tokio::select! {
        verdict = look(&check) => panic!("{verdict:?}"),
        () = heard.told("make", is_told("make")) => {}
    }
    tokio::time::advance(WRITE + Duration::from_millis(1)).await;
    heard.told("delete", is_told("delete")).await;
}

#[tokio::test]
async fn a_door_that_is_silent_is_named_and_one_that_is_shut_at_once() {
    let (http, ..) = server(Fault::Hangs).await;
    let verdict = stands_when_dropped(&check(http, None, "")).await.unwrap();
    assert_eq!(actual(&verdict), format!("neo4j host/127.0.0.1:{http} does not answer"));
    let (http, ..) = server(Fault::None).await;
    let bolt = silent().await;
    let verdict = stands_when_dropped(&check(http, Some(bolt), "")).await.unwrap();
    assert_eq!(actual(&verdict), format!("bolt host/127.0.0.1:{bolt} does not answer"));
    let shut = closed_port().await;
    let verdict = look(&check(http, Some(shut), "")).await;
    assert_eq!(actual(&verdict), format!("nothing listens on 127.0.0.1:{shut}: connection refused"));
}
