//! Requests that no client should send.

use seaworthy::rehearsal::Rehearsal;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::client::{Client, SOON, answer, config_map};

const PODS: &str = "/api/v1/namespaces/default/pods";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn begun() -> (Rehearsal, Client) {
    let rehearsal = Rehearsal::begin(1).await.unwrap();
    let client = Client::of(&rehearsal);
    (rehearsal, client)
}

/// Whether the server still answers whoever asks properly.
async fn still_serves(client: &Client) {
    assert_eq!(client.get("/api/v1/namespaces/default").await.code, 200, "others should be served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_object_of_its_kind_is_a_bad_request() {
    let (_rehearsal, client) = begun().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        "{",
        "null",
        "[]",
        "7",
        "\"x\"",
        "{}",
        "\u{0}",
        &deep,
        r#"{"kind":"Pod"}"#,
        r#"{"kind":"Ghost","apiVersion":"v1","metadata":{"name":"a"}}"#,
        r#"{"kind":"Pod","apiVersion":"v9","metadata":{"name":"a"}}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":"x"}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":[]}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":7}}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","labels":[1]}}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":7}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"containers":"x"}}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"containers":[7]}}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"status":7,"spec":{"containers":{}}}"#,
    ] {
        let code = client.send_as(&format!("POST {PODS}"), "application/json", body.as_bytes()).await.code;
        assert_eq!(code, 400, "{}", &body[..body.len().min(80)]);
    }
    still_serves(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_in_no_known_notation_are_refused() {
    let (_rehearsal, client) = begun().await;
    let post = format!("POST {PODS}");
    let protobuf = "application/vnd.kubernetes.protobuf";
    for garbage in [
        &b"\xff\xfe{}"[..],
        b"k8s\0",
        b"k8s\0\xff\xff\xff\xff\xff",
        b"k8s\0\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f",
        b"",
    ] {
        assert_eq!(client.send_as(&post, protobuf, garbage).await.code, 400, "protobuf {garbage:x?}");
        assert_eq!(client.send_as(&post, "application/json", garbage).await.code, 400, "JSON {garbage:x?}");
        assert_eq!(client.send_as(&post, "application/yaml", garbage).await.code, 400, "YAML {garbage:x?}");
    }
    for kind in ["text/plain", "multipart/form-data", "application/octet-stream"] {
        assert_eq!(client.send_as(&post, kind, b"{}").await.code, 415, "{kind}");
    }
    client.send(&format!("POST {MAPS}"), &config_map("a", 8, 0)).await;
    assert_eq!(client.send_as(&format!("PATCH {MAPS}/a"), "application/json", b"{}").await.code, 415);
    for patch in ["7", "[]", "\"x\""] {
        let merged = client.send_as(&format!("PATCH {MAPS}/a"), "application/merge-patch+json", patch.as_bytes()).await;
        assert!((400..500).contains(&merged.code), "{patch}: {}", merged.code);
    }
    still_serves(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_long_is_not_read_to_its_end() {
    let (_rehearsal, client) = begun().await;
    let long = vec![b' '; (3 << 20) + 1];
    assert_eq!(client.send_as(&format!("POST {PODS}"), "application/json", &long).await.code, 413);
    let endless =
        client.head(&format!("POST {PODS}"), "Content-Type: application/json\r\nContent-Length: 999999999999\r\n");
    let mut stream = client.dial().await;
    stream.write_all(endless.as_bytes()).await.unwrap();
    let block = vec![b' '; 1 << 20];
    for _ in 0..64 {
        if stream.write_all(&block).await.is_err() {
            break;
        }
    }
    still_serves(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_and_queries_that_name_nothing_are_refused() {
    let (_rehearsal, client) = begun().await;
    let long = format!("/api/v1/namespaces/{}", "x".repeat(20_000));
    for path in [
        "/nothing",
        "/api/v1/ghosts",
        "/api/v7/pods",
        "/apis/ghost.io/v1/ghosts",
        "/apis/apps/v1/namespaces/default",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/namespaces/default/pods/a/b/c/d",
        "/api/v1/%ff%fe/%00",
        "/api/v1/namespaces/default/pods/%2e%2e%2fsecrets",
        "/api/v1/../../etc/passwd",
        "//////",
        &long,
        "/api/v1/namespaces/default/pods/a/ghost",
        "/api/v1/namespaces/ghost/pods/a",
    ] {
        assert_eq!(client.get(path).await.code, 404, "{}", &path[..path.len().min(80)]);
    }
    for query in [
        "labelSelector=%3Dx",
        "labelSelector=a%20b",
        "labelSelector=a%20in%20(",
        "fieldSelector=spec.ghost%3D1",
        "fieldSelector=x",
        "resourceVersion=abc",
        "continue=zzz",
        "watch=1&resourceVersion=abc",
        "resourceVersion=-1",
        "resourceVersion=99999999999999999999999",
        "continue=e30",
    ] {
        assert_eq!(client.get(&format!("{PODS}?{query}")).await.code, 400, "{query}");
    }
    still_serves(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_that_a_path_does_not_have_are_refused() {
    let (_rehearsal, client) = begun().await;
    for line in [
        format!("PUT {PODS}"),
        format!("PATCH {PODS}"),
        format!("POST {PODS}/a"),
        format!("TRACE {PODS}"),
        format!("OPTIONS {PODS}"),
        format!("BREW {PODS}"),
        format!("PATCH {PODS}/a/log"),
    ] {
        let code = client.send_as(&line, "application/json", b"{}").await.code;
        assert!(matches!(code, 404 | 405), "{line}: {code}");
    }
    let only_protobuf = client.head(&format!("GET {PODS}"), "Accept: application/vnd.kubernetes.protobuf\r\n");
    assert_eq!(client.say(only_protobuf.as_bytes()).await.code, 406);
    still_serves(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_or_no_tls_is_answered_by_its_end() {
    let (_rehearsal, client) = begun().await;
    assert_eq!(client.say(b"what is this\r\n\r\n").await.code, 400);
    assert_eq!(client.say(b"GET /\xff\xff HTTP/1.1\r\n\r\n").await.code, 400);
    let vast = client.head("GET /api", &format!("X-Vast: {}\r\n", "x".repeat(2 << 20)));
    assert_eq!(client.say(vast.as_bytes()).await.code, 431);
    let many: String = (0..5_000).map(|at| format!("X-{at}: y\r\n")).collect();
    assert_eq!(client.say(client.head("GET /api", &many).as_bytes()).await.code, 431);
    let mut plain = TcpStream::connect(client.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    let ended = tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut heard);
    tokio::time::timeout(SOON, ended).await.expect("it should be hung up on").ok();
    assert!(!heard.starts_with(b"HTTP"), "nothing is said in the clear");
    still_serves(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_in_without_the_token() {
    let (_rehearsal, client) = begun().await;
    let right = client.token.clone();
    for said in
        ["", "Authorization: Bearer x\r\n", "Authorization: Basic eDp5\r\n", &format!("Authorization: {right}\r\n")]
    {
        for path in [PODS, "/apis", "/nothing", "/openapi/v3"] {
            let mut stream = client.dial().await;
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{said}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            let answer = answer(&mut stream).await;
            assert_eq!(answer.code, 401, "{path}");
            assert!(!String::from_utf8_lossy(&answer.body).contains(&right));
        }
    }
    let open = client.say(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!((open.code, &open.body[..]), (200, &b"ok"[..]));
}
