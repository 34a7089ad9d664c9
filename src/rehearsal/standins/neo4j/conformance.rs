//! What is true of a Neo4j and must be true of its stand-in, as a client sees it.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::packstream;
use crate::rehearsal::standins::conformance::{Connection, Login, http_exchange};

/// One request over HTTP, by whoever logs in: the status, and the answer if that is JSON.
pub(crate) async fn neo4j_ask(
    mut stream: Connection,
    login: Option<Login<'_>>,
    line: &str,
    body: &str,
) -> (u16, serde_json::Value) {
    let login = login.map(|login| BASE64_STANDARD.encode(format!("{}:{}", login.user, login.password)));
    let login = login.map_or_else(String::new, |pair| format!("Authorization: Basic {pair}\r\n"));
    let request = format!(
        "{line} HTTP/1.1\r\nHost: graph:7474\r\nConnection: close\r\nAccept: application/json\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\n{login}\r\n{body}",
        body.len()
    );
    let all = http_exchange(&mut stream, &request).await;
    let status = all.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = all.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// A statement over HTTP as a transaction of its own: the status, and the first column or the code of an error.
pub(crate) async fn neo4j_run(
    stream: Connection,
    login: Login<'_>,
    statement: &str,
    parameters: serde_json::Value,
) -> (u16, Result<Vec<serde_json::Value>, String>) {
    let body = json!({ "statements": [{ "statement": statement, "parameters": parameters }] }).to_string();
    let line = format!("POST /db/{}/tx/commit", login.database);
    let (status, said) = neo4j_ask(stream, Some(login), &line, &body).await;
    if let Some(code) = said["errors"][0]["code"].as_str() {
        return (status, Err(code.to_owned()));
    }
    let rows = said["results"][0]["data"].as_array().into_iter().flatten();
    (status, Ok(rows.map(|row| row["row"][0].clone()).collect()))
}

/// A client of Bolt.
pub(crate) struct BoltClient {
    stream: Connection,
    /// What was agreed on: major, then minor.
    pub(crate) version: (u8, u8),
}

impl BoltClient {
    /// Proposes one version and so many before it.
    pub(crate) async fn propose(mut stream: Connection, major: u8, minor: u8, range: u8) -> Self {
        stream.write_all(&[0x60, 0x60, 0xb0, 0x17, 0, range, minor, major]).await.unwrap();
        stream.write_all(&[0; 12]).await.unwrap();
        let mut agreed = [0; 4];
        stream.read_exact(&mut agreed).await.unwrap();
        Self { stream, version: (agreed[3], agreed[2]) }
    }

    /// Sends a message and takes one answer: its signature, and what it tells.
    pub(crate) async fn ask(&mut self, signature: u8, fields: Vec<serde_json::Value>) -> (u8, serde_json::Value) {
        let bytes = packstream::written(&(signature, fields));
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        self.stream.write_all(&[&length[..], &bytes, &[0, 0]].concat()).await.unwrap();
        self.hear().await
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> (u8, serde_json::Value) {
        let mut bytes = Vec::new();
        loop {
            let length = usize::from(self.stream.read_u16().await.unwrap());
            if length == 0 && !bytes.is_empty() {
                break;
            }
            let start = bytes.len();
            bytes.resize(start + length, 0);
            self.stream.read_exact(&mut bytes[start..]).await.unwrap();
        }
        let (signature, mut fields) = packstream::read(bytes).unwrap();
        (signature, if fields.is_empty() { serde_json::Value::Null } else { fields.remove(0) })
    }

    /// Logs in as this version has it: what the last answer was.
    pub(crate) async fn log_in(&mut self, login: Login<'_>) -> (u8, serde_json::Value) {
        let user = json!({ "scheme": "basic", "principal": login.user, "credentials": login.password });
        let mut hello = json!({ "user_agent": "conformance/1", "bolt_agent": { "product": "conformance/1" } });
        if self.version < (5, 1) {
            hello.as_object_mut().unwrap().extend(user.as_object().unwrap().clone());
            return self.ask(0x01, vec![hello]).await;
        }
        let (signature, about) = self.ask(0x01, vec![hello]).await;
        assert!(signature == 0x70 && about["server"].as_str().unwrap().starts_with("Neo4j/5."), "{about}");
        self.ask(0x6a, vec![user]).await
    }

    /// Somebody who is in, in the newest version.
    pub(crate) async fn inside(stream: Connection, login: Login<'_>) -> Self {
        let mut client = Self::propose(stream, 5, 8, 8).await;
        let said = client.log_in(login).await;
        assert_eq!(said.0, 0x70, "{said:?}");
        client
    }

    /// What a statement brings that reads: its first column, or the code of an error.
    pub(crate) async fn run(
        &mut self,
        login: Login<'_>,
        statement: &str,
        parameters: serde_json::Value,
    ) -> Result<Vec<serde_json::Value>, String> {
        let extra = json!({ "db": login.database, "mode": "r" });
        let said = self.ask(0x10, vec![statement.into(), parameters, extra]).await;
        let mut next = match said.0 {
            0x70 => self.ask(0x3f, vec![json!({ "n": -1 })]).await,
            _ => said,
        };
        let mut rows = Vec::new();
        while next.0 == 0x71 {
            rows.push(next.1[0].clone());
            next = self.hear().await;
        }
        if next.0 == 0x70 { Ok(rows) } else { Err(bolt_code(self.version, &next)) }
    }
}

/// The code of a failure, by the name that it has in this version.
fn bolt_code(version: (u8, u8), (signature, told): &(u8, serde_json::Value)) -> String {
    assert_eq!(*signature, 0x7f, "{told}");
    let key = if version >= (5, 7) { "neo4j_code" } else { "code" };
    told[key].as_str().unwrap_or_default().to_owned()
}

const UNAUTHORIZED: &str = "Neo.ClientError.Security.Unauthorized";
const RATE_LIMIT: &str = "Neo.ClientError.Security.AuthenticationRateLimit";

/// A Neo4j 5 tells whoever comes what it is, and answers what it does not have with a code.
pub(crate) async fn tells_of_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let (status, told) = neo4j_ask(connect().await, None, "GET /", "").await;
    assert!(status == 200 && told["neo4j_version"].as_str().unwrap().starts_with("5."), "{told}");
    assert!(told["bolt_direct"].as_str().unwrap().starts_with("bolt://"), "{told}");
    assert_eq!(told["transaction"], "http://graph:7474/db/{databaseName}/tx");
    for (line, status, words) in
        [("GET /nosuch", 404, "Not Found"), ("GET /db/neo4j/tx/commit", 405, "Method Not Allowed")]
    {
        let said = neo4j_ask(connect().await, Some(login), line, "").await;
        let error = json!({ "errors": [{ "code": "Neo.ClientError.Request.Invalid", "message": words }] });
        assert_eq!(said, (status, error), "{line}");
    }
}

/// A Neo4j lets its user in through both doors; of wrong passwords the third locks the account for a while, for those of nobody nothing
/// is locked.
pub(crate) async fn guards_itself(
    http: impl AsyncFn() -> Connection,
    bolt: impl AsyncFn() -> Connection,
    login: Login<'_>,
) {
    let one = async |login: Login<'_>| neo4j_run(http().await, login, "RETURN 1", json!({})).await;
    let (status, said) = neo4j_ask(http().await, None, "POST /db/neo4j/tx/commit", "{}").await;
    assert_eq!((status, said["errors"][0]["code"].as_str()), (401, Some(UNAUTHORIZED)));
    let (nobody, wrong) = (Login { user: "nobody", ..login }, Login { password: "wrong", ..login });
    for _ in 0..5 {
        assert_eq!(one(nobody).await, (401, Err(UNAUTHORIZED.to_owned())));
    }
    // Who is not let in is not told what is there.
    let elsewhere = Login { database: "nosuch", ..nobody };
    assert_eq!(one(elsewhere).await, (401, Err(UNAUTHORIZED.to_owned())));
    assert_eq!(one(login).await, (200, Ok(vec![1.into()])));
    for (major, minor, range) in [(5, 8, 8), (5, 0, 0), (4, 4, 0)] {
        let mut client = BoltClient::propose(bolt().await, major, minor, range).await;
        assert_eq!(client.version, (major, minor));
        assert_eq!(client.log_in(login).await.0, 0x70, "{major}.{minor}");
        let mut client = BoltClient::propose(bolt().await, major, minor, range).await;
        let said = client.log_in(nobody).await;
        assert_eq!(bolt_code(client.version, &said), UNAUTHORIZED, "{major}.{minor}");
    }
    for _ in 0..3 {
        assert_eq!(one(wrong).await, (401, Err(UNAUTHORIZED.to_owned())));
    }
    for login in [wrong, login] {
        assert_eq!(one(login).await, (429, Err(RATE_LIMIT.to_owned())));
        let mut client = BoltClient::propose(bolt().await, 5, 8, 8).await;
        let said = client.log_in(login).await;
        assert_eq!(bolt_code(client.version, &said), RATE_LIMIT);
    }
    tokio::time::sleep(Duration::from_millis(5100)).await;
    assert_eq!(one(login).await, (200, Ok(vec![1.into()])));
}

/// A Neo4j has one graph behind both doors.
pub(crate) async fn keeps_nodes(
    http: impl AsyncFn() -> Connection,
    bolt: impl AsyncFn() -> Connection,
    login: Login<'_>,
) {
    let run = async |statement: &str| {
        let parameters = json!({ "token": "t", "value": "v" });
        let (status, said) = neo4j_run(http().await, login, statement, parameters).await;
        assert_eq!(status, 200, "{said:?}");
        said.unwrap()
    };
    let find = "MATCH (n:Conformance {token: $token}) RETURN n.value LIMIT 3";
    assert_eq!(run(find).await, [json!(null); 0]);
    assert_eq!(run("CREATE (n:Conformance {token: $token, value: $value}) RETURN n.value").await, [json!("v")]);
    assert_eq!(run(find).await, [json!("v")]);
    let mut client = BoltClient::inside(bolt().await, login).await;
    assert_eq!(client.run(login, find, json!({ "token": "t" })).await, Ok(vec![json!("v")]));
    assert_eq!(client.run(login, find, json!({ "token": "other" })).await, Ok(Vec::new()));
    for _ in 0..2 {
        assert_eq!(run("MATCH (n:Conformance {token: $token}) DETACH DELETE n").await, [json!(null); 0]);
    }
    assert_eq!(run(find).await, [json!(null); 0]);
    assert_eq!(client.run(login, find, json!({ "token": "t" })).await, Ok(Vec::new()));
    let body = json!({ "statements": [{ "statement": "RETURN 7 AS seven" }] }).to_string();
    let (_, said) = neo4j_ask(http().await, Some(login), "POST /db/neo4j/tx/commit", &body).await;
    let result = json!([{ "columns": ["seven"], "data": [{ "row": [7], "meta": [null] }] }]);
    assert_eq!((&said["results"], &said["errors"]), (&result, &json!([])));
    assert!(said["lastBookmarks"][0].is_string(), "{said}");
}

/// A Neo4j refuses what cannot be done, each with its code: over HTTP with 200 as a rule.
pub(crate) async fn refuses(http: impl AsyncFn() -> Connection, bolt: impl AsyncFn() -> Connection, login: Login<'_>) {
    let elsewhere = Login { database: "nosuch", ..login };
    let (none, create) = ("Neo.ClientError.Database.DatabaseNotFound", "CREATE (n:Conformance {token: $token})");
    let (syntax, missing) = ("Neo.ClientError.Statement.SyntaxError", "Neo.ClientError.Statement.ParameterMissing");
    for (login, statement, status, code) in
        [(elsewhere, "RETURN 1", 404, none), (login, "RETRUN 1", 200, syntax), (login, create, 200, missing)]
    {
        let said = neo4j_run(http().await, login, statement, json!({})).await;
        assert_eq!(said, (status, Err(code.to_owned())), "{statement}");
        let mut client = BoltClient::inside(bolt().await, login).await;
        // In a mode in which it may.
        let extra = json!({ "db": login.database, "mode": "w" });
        let said = client.ask(0x10, vec![statement.into(), json!({}), extra]).await;
        assert_eq!(bolt_code(client.version, &said), code, "{statement}");
        // Nothing is done until the error was taken note of.
        assert_eq!(client.ask(0x3f, vec![json!({ "n": -1 })]).await.0, 0x7e);
        assert_eq!(client.ask(0x0f, Vec::new()).await.0, 0x70);
    }
    let mut client = BoltClient::inside(bolt().await, login).await;
    let said = client.run(login, create, json!({ "token": "t" })).await;
    assert_eq!(said, Err("Neo.ClientError.Statement.AccessMode".to_owned()));
    for (major, minor) in [(9, 0), (3, 0)] {
        assert_eq!(BoltClient::propose(bolt().await, major, minor, 0).await.version, (0, 0));
    }
    let mut client = BoltClient::propose(bolt().await, 5, 8, 0).await;
    let said = client.ask(0x01, vec![json!({ "user_agent": "conformance/1" })]).await;
    assert_eq!(bolt_code(client.version, &said), "Neo.ClientError.Request.Invalid");
}
