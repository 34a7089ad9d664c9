//! A client that says whatever it is told to, byte for byte, and objects to begin with.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use seaworthy::rehearsal::Rehearsal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The longest that anything here may take that is not waited for on purpose.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// How to reach a rehearsal.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    tls: TlsConnector,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as an object.
    pub(crate) fn object(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Client {
    /// A client of a rehearsal, by its kubeconfig.
    pub(crate) fn of(rehearsal: &Rehearsal) -> Self {
        Self::by(&rehearsal.kubeconfig())
    }

    fn by(kubeconfig: &Path) -> Self {
        let read: Value = serde_json::from_slice(&std::fs::read(kubeconfig).unwrap()).unwrap();
        let cluster = &read["clusters"][0]["cluster"];
        let address = cluster["server"].as_str().unwrap().strip_prefix("https://").unwrap().parse().unwrap();
        let pem = STANDARD.decode(cluster["certificate-authority-data"].as_str().unwrap()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let token = read["users"][0]["user"]["token"].as_str().unwrap().to_owned();
        Self { address, token, tls: TlsConnector::from(Arc::new(config)) }
    }

    /// A connection on which nothing was said.
    pub(crate) async fn dial(&self) -> TlsStream<TcpStream> {
        let name = ServerName::from(self.address.ip());
        let stream = TcpStream::connect(self.address).await.unwrap();
        timeout(SOON, self.tls.connect(name, stream)).await.expect("the handshake should end").unwrap()
    }

    /// The head of a request that closes its connection, with the token.
    pub(crate) fn head(&self, line: &str, headers: &str) -> String {
        let token = &self.token;
        format!(
            "{line} HTTP/1.1\r\nHost: rehearsal\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{headers}\r\n"
        )
    }

    /// Sends a request with a JSON body.
    pub(crate) async fn send(&self, line: &str, body: &Value) -> Answer {
        self.send_as(line, "application/json", body.to_string().as_bytes()).await
    }

    /// Sends a request with any body.
    pub(crate) async fn send_as(&self, line: &str, kind: &str, body: &[u8]) -> Answer {
        let headers = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        self.say(&[self.head(line, &headers).as_bytes(), body].concat()).await
    }

    /// Asks for something.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.say(self.head(&format!("GET {path}"), "").as_bytes()).await
    }

    /// Says something on a connection of its own, and hears all that is answered.
    pub(crate) async fn say(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.dial().await;
        // One that hears no more may have answered already.
        stream.write_all(bytes).await.ok();
        stream.flush().await.ok();
        answer(&mut stream).await
    }

    /// A watch whose first bytes have come; nobody reads further.
    pub(crate) async fn watch(&self, path: &str) -> TlsStream<TcpStream> {
        let mut stream = self.dial().await;
        stream.write_all(self.head(&format!("GET {path}"), "").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut first = [0; 12];
        timeout(SOON, stream.read_exact(&mut first)).await.expect("a watch should begin").unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        stream
    }
}

/// Reads until the server has said everything.
pub(crate) async fn answer(stream: &mut TlsStream<TcpStream>) -> Answer {
    let bytes = rest(stream, SOON).await;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let code = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Answer { code, body: bytes[end..].to_vec() }
}

/// All that still comes. However the connection ends, what was read counts.
pub(crate) async fn rest(stream: &mut TlsStream<TcpStream>, within: Duration) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = timeout(within, stream.read_to_end(&mut bytes)).await;
    read.expect("the connection should be closed").ok();
    bytes
}

/// A ConfigMap of a size in bytes.
pub(crate) fn config_map(name: &str, size: usize, mark: usize) -> Value {
    let text = format!("{mark:08}").repeat(size / 8);
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "text": text } })
}

/// A Deployment of so many pods.
pub(crate) fn deployment(name: &str, replicas: usize) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "main", "image": "web:1", "ports": [{ "containerPort": 8080 }] }] },
            },
        },
    })
}

/// Waits until a Deployment is available.
pub(crate) async fn available(client: &Client, name: &str) {
    let path = format!("/apis/apps/v1/namespaces/default/deployments/{name}");
    for _ in 0..250 {
        if client.get(&path).await.object()["status"]["availableReplicas"].as_u64().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{name} should become available");
}
