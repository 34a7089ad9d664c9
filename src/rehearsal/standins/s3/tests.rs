//! Faults, as a client sees them; and AWS's own examples.

use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use tokio::time::timeout;

use super::conformance::{S3Request, s3_ask, s3_presigned};
use super::error::Error;
use super::signature::Shown;
use super::{Config, Fault, Server};
use crate::rehearsal::standins::StandIn;
use crate::rehearsal::standins::conformance::{Login, dial, http_exchange};

const LOGIN: Login<'static> = Login { user: "app", password: "secret", database: "" };

fn server() -> Arc<Server> {
    let (access_key, secret_key) = ("app".to_owned(), "secret".to_owned());
    Arc::new(Server::new(Config { access_key, secret_key, buckets: vec!["data".to_owned()] }))
}

fn to(server: &Arc<Server>) -> StandIn {
    StandIn::S3(Arc::clone(server))
}

const LIST_ALL: S3Request<'static> = S3Request::new("GET", "/");
const LIST: S3Request<'static> = S3Request::new("GET", "/data");
const PUT: S3Request<'static> = S3Request { body: "hello", ..S3Request::new("PUT", "/data/a") };
const GET: S3Request<'static> = S3Request::new("GET", "/data/a");
const DELETE: S3Request<'static> = S3Request::new("DELETE", "/data/a");

async fn asked(server: &Arc<Server>, request: S3Request<'_>) -> (u16, String) {
    s3_ask(dial(&to(server)), LOGIN, request).await
}

async fn unsigned(server: &Arc<Server>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: s3:9000\r\nConnection: close\r\n\r\n");
    http_exchange(&mut dial(&to(server)), &request).await
}

#[tokio::test]
async fn what_a_fault_refuses_is_refused_with_its_code_and_taken_after_it() {
    for (fault, before, request, status, code) in [
        (Fault::NoSpace, &[][..], PUT, 507, "XMinioStorageFull"),
        (Fault::ReadOnly, &[], PUT, 403, "AccessDenied"),
        (Fault::ReadOnly, &[], S3Request::new("PUT", "/other"), 403, "AccessDenied"),
        (Fault::ReadOnly, &[PUT], DELETE, 403, "AccessDenied"),
        (Fault::RefusesDeletes, &[PUT], DELETE, 403, "AccessDenied"),
        (Fault::RefusesLists, &[], LIST, 403, "AccessDenied"),
        (Fault::RefusesLists, &[], LIST_ALL, 403, "AccessDenied"),
        (Fault::NoBucket, &[], LIST, 404, "NoSuchBucket"),
        (Fault::NoBucket, &[], PUT, 404, "NoSuchBucket"),
        (Fault::RejectsKey, &[], LIST_ALL, 403, "SignatureDoesNotMatch"),
        (Fault::OtherTime, &[], LIST_ALL, 403, "RequestTimeTooSkewed"),
        (Fault::Overloaded, &[], LIST_ALL, 503, "SlowDown"),
    ] {
        let server = server();
        for request in before {
            assert_eq!(asked(&server, *request).await.0, 200);
        }
        server.inject(Some(fault));
        assert_eq!(asked(&server, request).await, (status, code.to_owned()), "{fault:?}");
        server.inject(None);
        assert!(asked(&server, request).await.0 < 300, "{fault:?}");
    }
}

#[tokio::test]
async fn an_object_is_lost_or_is_another_or_is_not_listed_or_stays() {
    for (fault, request, said) in [
        (Fault::LosesObjects, GET, "NoSuchKey"),
        (Fault::OtherBytes, GET, "\r\n\r\nother"),
        (Fault::WrongEtag, GET, "\r\n\r\nhello"),
        (Fault::ListsNothing, LIST, "<IsTruncated>false</IsTruncated></ListBucketResult>"),
    ] {
        let server = server();
        server.inject(Some(fault));
        let (status, put) = asked(&server, PUT).await;
        let is_wrong = put.contains(&format!("\"{}\"", "0".repeat(32)));
        assert!(status == 200 && is_wrong == (fault == Fault::WrongEtag), "{put}");
        let (_, found) = asked(&server, request).await;
        assert!(found.ends_with(said), "{fault:?}: {found}");
    }
    let server = server();
    asked(&server, PUT).await;
    server.inject(Some(Fault::KeepsObjects));
    assert_eq!(asked(&server, DELETE).await.0, 204);
    assert_eq!(asked(&server, GET).await.0, 200);
    server.inject(Some(Fault::SlowOnceDeleted));
    assert_eq!(asked(&server, GET).await.0, 200);
    assert_eq!(asked(&server, DELETE).await.0, 204);
    assert_eq!(asked(&server, GET).await, (503, "SlowDown".to_owned()));
}

#[tokio::test]
async fn who_may_have_an_object_is_not_who_should() {
    let server = server();
    asked(&server, PUT).await;
    let wrong = Login { password: "wrong", ..LOGIN };
    let given = async |login| s3_presigned(dial(&to(&server)), login, GET).await.0;
    for (fault, signed, with_another, with_none) in [
        (None, 200, 403, "403 "),
        (Some(Fault::RefusesPresigned), 403, 403, "403 "),
        (Some(Fault::AcceptsAnySignature), 200, 200, "403 "),
        (Some(Fault::Public), 200, 403, "200 "),
        (Some(Fault::SlowToStrangers), 200, 403, "503 "),
    ] {
        server.inject(fault);
        assert_eq!((given(LOGIN).await, given(wrong).await), (signed, with_another), "{fault:?}");
        let said = unsigned(&server, "/data/a").await;
        assert!(said.strip_prefix("HTTP/1.1 ").unwrap().starts_with(with_none), "{fault:?}: {said}");
        assert_eq!(asked(&server, GET).await.0, 200, "{fault:?}");
    }
    // What is public is what can be read, not what can be listed.
    server.inject(Some(Fault::Public));
    assert!(unsigned(&server, "/data").await.contains("<Code>AccessDenied</Code>"));
}

#[tokio::test]
async fn an_answer_breaks_off_or_is_another_servers() {
    let server = server();
    server.inject(Some(Fault::ClosesMidReply));
    let said = unsigned(&server, "/").await;
    assert!(said.starts_with("HTTP/1.1 403 ") && !said.contains("</Error>"), "{said}");
    server.inject(Some(Fault::NotS3));
    let said = unsigned(&server, "/").await;
    assert!(said.ends_with("\r\n\r\nIt works!\n") && !said.contains("MinIO"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_says_nothing_until_it_does_not() {
    let server = server();
    server.inject(Some(Fault::Hangs));
    let mut answer = Box::pin(asked(&server, LIST_ALL));
    timeout(Duration::from_secs(60), &mut answer).await.unwrap_err();
    server.inject(None);
    assert_eq!(answer.await.0, 200);
}

/// The examples of the S3 API Reference, by a header field and within the address.
#[test]
fn the_examples_of_aws_are_taken_and_others_are_not() {
    let (key, secret) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
    let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
    let field = |signature: &str| {
        let request = Request::get("/?max-keys=2&prefix=J")
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("x-amz-date", "20130524T000000Z")
            .header("x-amz-content-sha256", empty)
            .header("authorization", format!("AWS4-HMAC-SHA256 Credential={scope},SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature={signature}"));
        request.body(()).unwrap().into_parts().0
    };
    let address = |host: &str| {
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&\
             X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
            scope.replace('/', "%2F")
        );
        Request::get(format!("/test.txt?{query}")).header("host", host).body(()).unwrap().into_parts().0
    };
    for (head, expected) in [
        (field(signature), Ok(())),
        (field(&signature.replace("34b", "34c")), Err(Error::SIGNATURE)),
        (address("examplebucket.s3.amazonaws.com"), Ok(())),
        (address("other.s3.amazonaws.com"), Err(Error::SIGNATURE)),
    ] {
        let shown = Shown::read(&head).unwrap().unwrap();
        assert_eq!(shown.is_of(key, secret, &head), expected, "{head:?}");
        assert_eq!(shown.is_of(key, "another", &head), Err(Error::SIGNATURE));
        assert_eq!(shown.is_of("another", secret, &head), Err(Error::NO_KEY));
    }
    let shown = Shown::read(&field(signature)).unwrap().unwrap();
    assert_eq!((shown.covers(b""), shown.covers(b"x")), (Ok(()), Err(Error::PAYLOAD)));
    let at = |time: &str, head| Shown::read(&head).unwrap().unwrap().is_timely(time.parse().unwrap());
    let host = "examplebucket.s3.amazonaws.com";
    assert_eq!(at("2013-05-24T00:14:00Z", field(signature)), Ok(()));
    assert_eq!(at("2013-05-24T00:16:00Z", field(signature)), Err(Error::SKEWED));
    assert_eq!(at("2013-05-23T23:44:00Z", field(signature)), Err(Error::SKEWED));
    assert_eq!(at("2013-05-24T23:59:00Z", address(host)), Ok(()));
    assert_eq!(at("2013-05-25T00:01:00Z", address(host)), Err(Error::EXPIRED));
    assert_eq!(at("2013-05-23T23:44:00Z", address(host)), Err(Error::EARLY));
}
