//! What is true of an S3 server and must be true of its stand-in, as a client sees it.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::rehearsal::standins::conformance::{Connection, Login, http_exchange};
use crate::rehearsal::standins::hmac;

/// A request as its sender signs it, and as it is sent.
#[derive(Clone, Copy)]
pub(crate) struct S3Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// In the order of its names, encoded.
    pub(crate) query: &'a str,
    pub(crate) body: &'a str,
    /// A header field that is not signed, with its end of line.
    pub(crate) field: &'a str,
    /// The host that is told, where it is not the one that is signed.
    pub(crate) host: Option<&'a str>,
    /// How many seconds ago it was signed.
    pub(crate) age: i64,
}

impl<'a> S3Request<'a> {
    pub(crate) const fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, query: "", body: "", field: "", host: None, age: 0 }
    }
}

/// The signature of a canonical request, and whose and of when it says that it is.
fn s3_signature(login: Login<'_>, date: &str, canonical: &str) -> (String, String) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
    let said = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let first = format!("AWS4{}", login.password).into_bytes();
    let key = scope.split('/').fold(first, |key, part| hmac(&key, &[part.as_bytes()]).to_vec());
    (hex(&hmac(&key, &[said.as_bytes()])), format!("{}/{scope}", login.user))
}

/// What comes of it: the status, and the code of an error or else the whole answer.
async fn s3_said(mut stream: Connection, request: S3Request<'_>, target: &str, fields: &str) -> (u16, String) {
    let S3Request { method, body, field, host, .. } = request;
    let (host, length) = (host.unwrap_or("s3:9000"), body.len());
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    let all = http_exchange(&mut stream, &format!("{head}{fields}{field}\r\n{body}")).await;
    let status = all.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let code = all.split_once("<Code>").and_then(|(_, rest)| rest.split('<').next());
    (status, code.map_or_else(|| all.clone(), str::to_owned))
}

/// A request that is signed by a header field.
pub(crate) async fn s3_ask(stream: Connection, login: Login<'_>, request: S3Request<'_>) -> (u16, String) {
    let S3Request { method, path, query, body, age, .. } = request;
    let date = (Timestamp::now() - SignedDuration::from_secs(age)).strftime("%Y%m%dT%H%M%SZ").to_string();
    let payload: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    let names = "host;x-amz-content-sha256;x-amz-date";
    let fields = format!("host:s3:9000\nx-amz-content-sha256:{payload}\nx-amz-date:{date}\n");
    let (signature, credential) =
        s3_signature(login, &date, &format!("{method}\n{path}\n{query}\n{fields}\n{names}\n{payload}"));
    let fields = format!(
        "X-Amz-Date: {date}\r\nX-Amz-Content-Sha256: {payload}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}\r\n"
    );
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    s3_said(stream, request, &target, &fields).await
}

/// A request whose address is signed, for a minute.
pub(crate) async fn s3_presigned(stream: Connection, login: Login<'_>, request: S3Request<'_>) -> (u16, String) {
    let S3Request { method, path, age, .. } = request;
    let date = (Timestamp::now() - SignedDuration::from_secs(age)).strftime("%Y%m%dT%H%M%SZ").to_string();
    let credential = s3_signature(login, &date, "").1.replace('/', "%2F");
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={date}&X-Amz-Expires=60&\
         X-Amz-SignedHeaders=host"
    );
    let canonical = format!("{method}\n{path}\n{query}\nhost:s3:9000\n\nhost\nUNSIGNED-PAYLOAD");
    let target = format!("{path}?{query}&X-Amz-Signature={}", s3_signature(login, &date, &canonical).0);
    s3_said(stream, request, &target, "").await
}

/// A MinIO does what the key's owner signs, and nothing else; it says that it is ready to whoever asks.
pub(crate) async fn guards_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let list = S3Request::new("GET", "/");
    for path in ["/minio/health/live", "/minio/health/ready"] {
        let (status, _) = s3_said(connect().await, S3Request::new("GET", path), path, "").await;
        assert_eq!(status, 200, "{path}");
    }
    let (status, all) = s3_ask(connect().await, login, list).await;
    assert!(status == 200 && all.contains("<ListAllMyBucketsResult xmlns="), "{all}");
    let (old, new) = (S3Request { age: 3600, ..list }, S3Request { age: -3600, ..list });
    let (wrong, nobody) = (Login { password: "wrong-secret", ..login }, Login { user: "nobody", ..login });
    for (login, request, code) in [
        (wrong, list, "SignatureDoesNotMatch"),
        (nobody, list, "InvalidAccessKeyId"),
        (login, old, "RequestTimeTooSkewed"),
        (login, new, "RequestTimeTooSkewed"),
        (login, S3Request { host: Some("other:9000"), ..list }, "SignatureDoesNotMatch"),
        // Who is not let in is not told what is there.
        (wrong, S3Request::new("GET", "/nosuch"), "SignatureDoesNotMatch"),
    ] {
        assert_eq!(s3_ask(connect().await, login, request).await, (403, code.to_owned()), "{} {code}", request.path);
    }
    for (path, fields, said) in [
        ("/", "", (403, "AccessDenied")),
        ("/nosuch/none", "", (403, "AccessDenied")),
        ("/", "Authorization: Basic YTpi\r\n", (400, "InvalidRequest")),
        ("/", "Authorization: AWS4-HMAC-SHA256 nonsense\r\n", (400, "AccessDenied")),
    ] {
        let (status, code) = s3_said(connect().await, S3Request::new("GET", path), path, fields).await;
        assert_eq!((status, code.as_str()), said, "{path} {fields}");
    }
}

/// A MinIO keeps an object until it is deleted, and gives it to whoever has a presigned address.
pub(crate) async fn keeps_objects(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let ask = async |request: S3Request<'_>| s3_ask(connect().await, login, request).await;
    let (bucket, object) = (S3Request::new("PUT", "/conformance"), S3Request::new("GET", "/conformance/a/b%20c"));
    assert_eq!(ask(bucket).await.0, 200);
    assert_eq!(ask(bucket).await, (409, "BucketAlreadyOwnedByYou".to_owned()));
    assert_eq!(ask(S3Request { method: "HEAD", ..bucket }).await.0, 200);
    let put = S3Request { method: "PUT", body: "hello", ..object };
    let (status, said) = ask(put).await;
    let etag = "\r\netag: \"5d41402abc4b2a76b9719d911017c592\"\r\n";
    assert!(status == 200 && said.to_lowercase().contains(etag), "{said}");
    let (status, said) = ask(object).await;
    assert!(status == 200 && said.to_lowercase().contains(etag) && said.ends_with("\r\n\r\nhello"), "{said}");
    let list = |query| S3Request { query, ..S3Request::new("GET", "/conformance") };
    let (_, said) = ask(list("list-type=2&max-keys=1&prefix=a%2F")).await;
    assert!(said.contains("<KeyCount>1</KeyCount>") && said.contains("<Key>a/b c</Key>"), "{said}");
    assert!(said.contains("<Size>5</Size>") && said.contains("5d41402abc4b2a76b9719d911017c592"), "{said}");
    let (_, said) = ask(list("list-type=2&prefix=z")).await;
    assert!(said.contains("<ListBucketResult xmlns=") && said.contains("<KeyCount>0</KeyCount>"), "{said}");
    let (_, said) = ask(list("location=")).await;
    assert!(said.contains("<LocationConstraint xmlns="), "{said}");

    let (status, said) = s3_presigned(connect().await, login, object).await;
    assert!(status == 200 && said.ends_with("\r\n\r\nhello"), "{said}");
    for (login, request, code) in [
        (login, S3Request { host: Some("other:9000"), ..object }, "SignatureDoesNotMatch"),
        (login, S3Request { age: 120, ..object }, "AccessDenied"),
        (login, S3Request { age: -3600, ..object }, "AccessDenied"),
        (Login { password: "wrong-secret", ..login }, object, "SignatureDoesNotMatch"),
        (Login { user: "nobody", ..login }, object, "InvalidAccessKeyId"),
    ] {
        assert_eq!(s3_presigned(connect().await, login, request).await, (403, code.to_owned()), "{code}");
    }
    assert_eq!(s3_said(connect().await, object, object.path, "").await, (403, "AccessDenied".to_owned()));

    assert_eq!(ask(S3Request { method: "DELETE", ..bucket }).await, (409, "BucketNotEmpty".to_owned()));
    for _ in 0..2 {
        assert_eq!(ask(S3Request { method: "DELETE", ..object }).await.0, 204);
    }
    assert_eq!(ask(object).await, (404, "NoSuchKey".to_owned()));
    assert_eq!(ask(S3Request { method: "DELETE", ..bucket }).await.0, 204);
    assert_eq!(ask(S3Request { method: "DELETE", ..bucket }).await, (404, "NoSuchBucket".to_owned()));
}

/// A MinIO refuses what cannot be done, each with its code.
pub(crate) async fn refuses(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let ask = async |request: S3Request<'_>| s3_ask(connect().await, login, request).await;
    let put = S3Request { body: "hello", ..S3Request::new("PUT", "/conformance/a") };
    assert_eq!(ask(S3Request::new("PUT", "/conformance")).await.0, 200);
    for (request, status, code) in [
        (S3Request::new("PUT", "/A_b"), 400, "InvalidBucketName"),
        (S3Request::new("GET", "/nosuch"), 404, "NoSuchBucket"),
        (S3Request::new("GET", "/nosuch/a"), 404, "NoSuchBucket"),
        (S3Request { path: "/nosuch/a", ..put }, 404, "NoSuchBucket"),
        (S3Request::new("DELETE", "/nosuch/a"), 404, "NoSuchBucket"),
        (S3Request { field: "Content-MD5: MDAwMDAwMDAwMDAwMDAwMA==\r\n", ..put }, 400, "BadDigest"),
        (S3Request::new("POST", "/"), 400, "BadRequest"),
    ] {
        assert_eq!(ask(request).await, (status, code.to_owned()), "{} {}", request.method, request.path);
    }
    assert_eq!(ask(S3Request::new("GET", "/conformance/a")).await, (404, "NoSuchKey".to_owned()));
    assert_eq!(ask(S3Request::new("DELETE", "/conformance")).await.0, 204);
}
