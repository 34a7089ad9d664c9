//! A test stand: servers on loopback that do as they are told, and one whole look at them, from YAML to verdict.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::{Made, Prober};
use crate::checks::Verdict;
use crate::k8s::Access;
use crate::logs::LogKeeper;
use crate::plan::{CheckWork, ComponentKey, StepId};
use crate::ports::Notes;
use crate::secrets::Secrets;
use crate::suite::{CheckSpec, Patience};
use crate::tunnel::Dialer;
use crate::watch::Hub;

// Made with openssl for `web.test` alone, valid until the year 2500; the key guards nothing.
pub(super) const CA: &str = include_str!("certificates/ca.pem");
const CERTIFICATE: &str = include_str!("certificates/server.pem");
const KEY: &str = include_str!("certificates/server.key");

/// The server's side of TLS with the certificate.
pub(super) fn for_web_test() -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(CERTIFICATE.as_bytes()).map(Result::unwrap).collect();
    acceptor(chain, PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap())
}

/// The server's side of TLS with this chain.
pub(super) fn acceptor(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// How a claim says that it trusts who has signed that certificate, and that it is for this name.
pub(super) fn trusting(name: &str) -> String {
    format!("tls: {{ca: {{value: {CA:?}}}, name: {name}}}")
}

/// A server on loopback that treats every connection alike; its port.
pub(super) async fn serve<F, Served>(handle: F) -> u16
where
    F: Fn(TcpStream) -> Served + Send + 'static,
    Served: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    port
}

/// A server that accepts and never says a word; its port.
pub(super) async fn silent() -> u16 {
    serve(|stream| async {
        let _held = stream;
        std::future::pending().await
    })
    .await
}

/// A port on loopback where nothing listens, nor ever will: it stays taken.
pub(super) async fn closed_port() -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    std::mem::forget(socket);
    port
}

/// One look at a check in the suite file's words. There is no cluster: whatever asks one gets an error.
pub(super) async fn look(check: &str) -> Verdict {
    Stand::of(check).look().await
}

/// How a check stands when its look's time runs out, as soon as anything is noted of that.
pub(super) async fn stands_when_dropped(check: &str) -> Option<Verdict> {
    let stand = Stand::of(check);
    let noted = async {
        while stand.notes.last().verdict.is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        verdict = stand.look() => panic!("the look came to an end: {verdict:?}"),
        noted = timeout(Duration::from_secs(20), noted) => drop(noted),
    }
    stand.notes.last().verdict
}

/// One check, and the world it looks at.
pub(super) struct Stand {
    pub(super) prober: Prober,
    pub(super) work: CheckWork,
    pub(super) notes: Notes,
}

impl Stand {
    pub(super) fn of(check: &str) -> Self {
        let refuse = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("there is no cluster here"))
        });
        let hub = Hub::new(kube::Client::new(refuse, "default"));
        let secrets = Secrets::default();
        Self {
            prober: Prober {
                dialer: Dialer::forwarding(hub.clone()),
                logs: LogKeeper::new(hub.clone(), "no-logs".into(), secrets.clone()),
                hub,
                secrets,
                run: "run-1".to_owned(),
                helm: None,
                access: Access::Kubeconfig { file: "no-kubeconfig".into(), context: None },
                made: Made::default(),
                unfinished: TaskTracker::new(),
                learnt: Arc::default(),
                turns: Arc::default(),
            },
            work: work(check),
            notes: Notes::new(StepId::cluster(), mpsc::unbounded_channel().0),
        }
    }

    pub(super) async fn look(&self) -> Verdict {
        self.prober.observe(&self.work, &self.notes).await
    }
}

fn work(check: &str) -> CheckWork {
    CheckWork {
        key: ComponentKey { suite: "data-plane".parse().unwrap(), component: "redis".parse().unwrap() },
        namespace: "data".parse().unwrap(),
        release: None,
        folder: std::path::PathBuf::new(),
        spec: CheckSpec {
            name: "answers".parse().unwrap(),
            title: "It answers".to_owned(),
            requirements: Vec::new(),
            check: serde_saphyr::from_str(check).unwrap_or_else(|error| panic!("{error}")),
            patience: Patience::default(),
            line: 1,
        },
    }
}

/// A message of PostgreSQL's protocol: its letter, its length, its body.
pub(super) fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[letter][..], &length.to_be_bytes(), body].concat()
}

/// An error of a PostgreSQL server.
pub(super) fn refusal(code: &str, words: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0C{code}\0M{words}\0\0").as_bytes())
}

/// What a server has been told, for a test to look at.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    pub(super) fn note(&self, words: impl Into<String>) {
        self.0.lock().unwrap().push(words.into());
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits for `word`, of which `is_told` knows whether it was heard, with no idle moment in which paused time would go on.
    pub(super) async fn told(&self, word: &str, is_told: impl Fn(&Self) -> bool) {
        for _ in 0..1_000_000 {
            if is_told(self) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{word} was never heard, but {:?}", self.all());
    }
}

/// The actual state that a broken verdict tells of.
#[track_caller]
pub(super) fn actual(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Broken { actual, .. } => actual,
        Verdict::Held { .. } | Verdict::Unclear { .. } => panic!("not broken: {verdict:?}"),
    }
}

/// What kept us from looking.
#[track_caller]
pub(super) fn why(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Unclear { why } => why,
        Verdict::Held { .. } | Verdict::Broken { .. } => panic!("not unclear: {verdict:?}"),
    }
}
