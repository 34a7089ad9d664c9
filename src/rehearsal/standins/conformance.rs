//! What is true of the real servers and must be true of the stand-ins, as their clients see it.
//!
//! Each claim is a function that is given a way to connect. Here that leads to a stand-in; nothing in a claim knows.

use std::sync::Arc;

use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::StandIn;

/// An open connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection of no known kind.
pub(crate) type Connection = Box<dyn Stream>;

/// A new connection to a stand-in.
pub(crate) fn dial(stand_in: &StandIn) -> Connection {
    let (ours, theirs) = tokio::io::duplex(1 << 14);
    let stand_in = stand_in.clone();
    tokio::spawn(async move { stand_in.serve(theirs).await });
    Box::new(ours)
}

/// How to log in.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) database: &'a str,
}

/// What goes on over TLS where a server's certificate is for this name, and signed by this one, in PEM; else the client's words.
pub(crate) async fn over_tls<S: Stream>(stream: S, trusted: &str, name: &str) -> Result<TlsStream<S>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = versions.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| error.to_string())
}

// ── DNS

/// One question and its answer.
pub(crate) async fn dns_exchange(stream: &mut Connection, name: &str, kind: RecordType) -> Message {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    let bytes = question.to_vec().unwrap();
    stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut answer).await.unwrap();
    let answer = Message::from_vec(&answer).unwrap();
    assert_eq!(answer.metadata.id, question.metadata.id);
    assert_eq!(answer.queries, question.queries);
    answer
}

/// The DNS of a cluster knows the API server's Service, and tells a name that is missing from one without an address.
pub(crate) async fn dns_answers(connect: impl AsyncFn() -> Connection) {
    let mut stream = connect().await;
    let api = "kubernetes.default.svc.cluster.local.";
    for name in [api, "Kubernetes.DEFAULT.svc.cluster.local."] {
        let answer = dns_exchange(&mut stream, name, RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        assert!(answer.metadata.authoritative, "{answer:?}");
        assert_eq!(answer.answers.len(), 1);
        assert_eq!(answer.answers[0].ttl, 30);
        assert!(answer.answers[0].data.ip_addr().unwrap().is_ipv4());
    }
    let none = dns_exchange(&mut stream, api, RecordType::AAAA).await;
    assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(none.authorities.len(), 1);
    let missing = dns_exchange(&mut stream, "nosuch.default.svc.cluster.local.", RecordType::A).await;
    assert_eq!((missing.metadata.response_code, missing.answers.len()), (ResponseCode::NXDomain, 0));
    assert!(missing.metadata.authoritative && missing.authorities.len() == 1, "{missing:?}");
    assert_eq!(missing.authorities[0].record_type(), RecordType::SOA);
}

// ── HTTP

/// Sends a request and reads until the server ends the connection.
pub(crate) async fn http_exchange(stream: &mut Connection, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    // A connection that breaks has said what it has said.
    stream.read_to_end(&mut all).await.ok();
    String::from_utf8_lossy(&all).into_owned()
}

/// A web server answers a request, and refuses what is none.
pub(crate) async fn http_answers(connect: impl AsyncFn() -> Connection) {
    let request = "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
    let page = http_exchange(&mut connect().await, request).await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    let nonsense = http_exchange(&mut connect().await, "NONSENSE\r\n\r\n").await;
    assert!(nonsense.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{nonsense}");
}
