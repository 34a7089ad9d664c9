//! An embedded cluster: a Kubernetes API server in this process, actors that give its objects life, and stand-ins that
//! speak the protocols behind their ports.
//!
//! - Purpose: suites are written without an engine, and every check is shown to be able to fail.
//! - Never: anything beyond loopback and a temporary folder; no container is run, no image is read, nothing real is
//!   tested, and whoever reports on it must say so.
//! - Why a whole API server and not a fake of our client: helm and kubectl work on it as well, and what is rehearsed goes
//!   the very way that it goes on a real cluster.
//!
//! A request is one step under one lock (`cluster`): `server` → `handle` → `read`, `write`, `delete` → `store`.
//! What has changed wakes `life`, which asks the `actors` and does what they say.

mod actors;
mod admission;
mod agenda;
mod cast;
mod catalog;
mod cluster;
mod collector;
mod delete;
mod discovery;
mod failure;
mod fields;
mod handle;
mod life;
mod logs;
mod names;
pub(crate) mod object;
mod parts;
mod quota;
mod read;
mod remains;
mod request;
mod review;
mod schema;
mod seed;
mod select;
mod server;
mod shape;
mod stage;
mod standins;
mod store;
mod streams;
mod table;
#[cfg(test)]
mod tests;
mod watch;
mod weather;
mod webhooks;
mod wire;
mod write;

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use self::cast::Cast;
use self::cluster::Cluster;
use self::handle::Desk;
use self::object::Key;
use self::server::Door;
use self::stage::{Next, Stage};
use self::weather::Weather;

pub use self::actors::{Fault, Target};
pub use self::stage::Streams;
#[cfg(test)]
pub(crate) use self::standins::temporal;
pub use self::weather::Gust;
pub use self::webhooks::DENIES;

/// How many times faster than in a real cluster time passes in a rehearsal, as far as a client is concerned: what must last
/// to be believed there must last that much less here.
pub const TEMPO: u32 = 20;

/// The node that a rehearsal has.
pub const NODE: &str = "rehearsal-control-plane";

/// What comes later than this is not at once.
const MOMENT: Duration = Duration::from_millis(30);

/// The longest that a new cluster is waited for to have all that it begins with.
const BEGINNING: Duration = Duration::from_secs(5);

/// A rehearsal that could not begin.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The system does not let us listen, or write a file.
    #[error("the rehearsal cannot begin")]
    System(#[from] io::Error),
    /// No certificate can be made.
    #[error("the rehearsal has no certificate")]
    Certificate(#[from] rcgen::Error),
    /// No TLS can be spoken.
    #[error("the rehearsal cannot speak TLS")]
    Tls(#[from] rustls::Error),
    /// What every cluster has could not be created.
    #[error("the rehearsal's first objects: {0}")]
    Seed(String),
}

/// A cluster that ends when it is dropped.
pub struct Rehearsal {
    folder: TempDir,
    address: String,
    weather: Arc<Weather>,
    stage: Arc<Stage>,
    cluster: Arc<Cluster>,
    papers: Papers,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// How a cluster and its clients know each other.
#[derive(Clone)]
struct Papers {
    /// As PEM.
    certificate: String,
    /// None where no TLS is spoken.
    tls: Option<TlsAcceptor>,
    token: String,
}

impl std::fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rehearsal").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Rehearsal {
    /// Begins a rehearsal at a free port of loopback. The seed decides about chance: names, and which of two things that
    /// happen at about the same time comes first.
    ///
    /// # Errors
    /// Where the system has no port, no folder or no random numbers for it.
    pub async fn begin(seed: u64) -> Result<Self, RehearsalError> {
        let (certificate, tls) = identity()?;
        let cluster = Cluster::new(seed);
        let cast = Arc::new(Cast::new(&cluster));
        let stage = Stage::new(seed, certificate.clone(), cast);
        cluster.step(seed::fill).map_err(RehearsalError::Seed)?;
        let rehearsal = Self::open(cluster, stage, Papers { certificate, tls: Some(tls), token: token()? }).await?;
        // As in a cluster that is older than its clients, namespaces have their accounts, and nobody can be told how it began.
        rehearsal.rest(BEGINNING).await;
        rehearsal.cluster.step(|state| state.store.forget());
        Ok(rehearsal)
    }

    /// Another cluster that has everything this one has but for these objects and what they own, at an address of its own,
    /// and from now on goes its own way; at once, however long it took to fill this one. Faults that are on in servers stay
    /// behind, and so does what clients have left in them, but for what databases hold.
    ///
    /// TLS would take a fifth of all the time of a fork that lasts for a few looks, and can be left out; but helm tells nobody its token
    /// then.
    ///
    /// # Errors
    /// As [`Rehearsal::begin`].
    pub(crate) async fn fork(&self, without: &[Key], encrypted: bool) -> Result<Self, RehearsalError> {
        let (cluster, stage) = self.cluster.step(|state| {
            let cluster = Cluster::fork(state, without);
            let cast = Arc::new(Cast::new(&cluster));
            cluster.step(|state| cast.succeed(&self.stage.cast, state));
            let stage = self.stage.fork(cast);
            (cluster, stage)
        });
        let tls = self.papers.tls.clone().filter(|_| encrypted);
        Self::open(cluster, stage, Papers { tls, ..self.papers.clone() }).await
    }

    /// Lets a cluster live, and its clients in.
    async fn open(cluster: Arc<Cluster>, stage: Stage, papers: Papers) -> Result<Self, RehearsalError> {
        let stage = Arc::new(stage);
        let listener = server::bind().await?;
        let scheme = if papers.tls.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://{}", listener.local_addr()?);
        let weather = Arc::new(Weather::new());
        let folder = tempfile::Builder::new().prefix("seaworthy-rehearsal-").tempdir()?;
        write_kubeconfig(&folder.path().join("kubeconfig"), &address, &papers)?;
        let desk = Arc::new(Desk { cluster: cluster.clone(), stage: stage.clone() });
        let door = Arc::new(Door { desk, weather: weather.clone(), token: papers.token.clone() });
        let listening = tokio::spawn(server::listen(listener, papers.tls.clone(), door));
        let living = tokio::spawn(life::live(cluster.clone(), stage.clone()));
        let tasks = [AbortOnDropHandle::new(listening), AbortOnDropHandle::new(living)];
        Ok(Self { folder, address, weather, stage, cluster, papers, _tasks: tasks })
    }

    /// Returns once what was done has had its consequences: nothing is to be done now, nor in the next moment. Where
    /// something always is, as with a container that fails and fails, after this time.
    pub async fn rest(&self, at_most: Duration) {
        let mut next = self.stage.next.subscribe();
        let resting = async {
            loop {
                let has_news = self.cluster.step(|state| !state.store.news.is_empty());
                let rests = match *next.borrow_and_update() {
                    Next::Now => false,
                    Next::At(due) => due > Instant::now() + MOMENT,
                    Next::Never => true,
                };
                if rests && !has_news {
                    return;
                }
                // The sender is our own.
                next.changed().await.ok();
            }
        };
        timeout(at_most, resting).await.ok();
    }

    /// The file that says how to reach it; gone with the rehearsal.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Lets something go wrong with the objects of a target from now on; with none, everything that was to go wrong with
    /// that target is right again.
    pub fn afflict(&self, target: Target, fault: Option<Fault>) {
        let namespace = target.namespace.clone();
        self.stage.actors().inject(target, fault);
        // A fault is met when an object is looked at.
        self.cluster.step(|state| state.store.stir(namespace.as_deref()));
        self.cluster.stirred.notify_one();
    }

    /// The faults that the servers behind a pod's containers know, by name.
    #[must_use]
    pub fn server_faults(&self, namespace: &str, pod: &str) -> Vec<&'static str> {
        self.stage.cast.faults(namespace, pod)
    }

    /// Switches a fault of the server behind a pod's containers on by its name, or off what is on. Says how many servers
    /// know such a fault.
    pub fn afflict_server(&self, namespace: &str, pod: &str, fault: Option<&str>) -> usize {
        self.stage.cast.inject(namespace, pod, fault)
    }

    /// Lets a gust of bad weather hit the next requests to the API server, so many of them.
    pub fn gust(&self, gust: Gust, requests: usize) {
        self.weather.gust(gust, requests);
    }

    /// Lets a gust hit each request to the API server when it is made for the first time, and no more than so many.
    pub fn storm(&self, gust: Gust, at_most: usize) {
        self.weather.storm(gust, at_most);
    }

    /// How many requests were hit by bad weather so far.
    #[must_use]
    pub fn blows(&self) -> usize {
        self.weather.blows()
    }

    /// What came to be open between this cluster and its clients, as it happens.
    #[must_use]
    pub fn streams(&self) -> tokio::sync::watch::Receiver<Streams> {
        self.stage.streams.subscribe()
    }

    /// From now on whoever connects to a container waits for an answer, until this is taken back; connections end with
    /// the container all the same.
    pub fn hold(&self, is_held: bool) {
        self.stage.cast.hold(is_held);
    }

    /// Who is to say something else than it should says this.
    pub fn let_say(&self, text: &str) {
        self.stage.words.set(text);
    }

    /// Serves the kind of a definition no more, whatever its conditions say, until it is changed.
    ///
    /// # Errors
    /// Where no definition has this name, `PLURAL.GROUP`.
    pub fn unserve(&self, definition: &str) -> Result<(), String> {
        let (plural, group) = definition.split_once('.').unwrap_or((definition, ""));
        let is_withdrawn = self.cluster.step(|state| state.catalog.withdraw(group, plural));
        if is_withdrawn { Ok(()) } else { Err(format!("{definition} is not served")) }
    }

    /// Breaks every connection to the API server.
    pub fn cut(&self) {
        self.weather.cut();
    }

    /// Lets every watch and every list that was begun expire, as a compaction of etcd does.
    pub fn forget(&self) {
        self.cluster.step(|state| {
            state.store.forget();
            state.paging.forget();
        });
    }
}

/// Whether somebody looks after custom resources of a kind, as its operator would.
#[must_use]
pub fn is_operated(api_version: &str, kind: &str) -> bool {
    actors::operated(api_version, kind).is_some()
}

/// The authority that has signed what servers show in place of their own certificates, in PEM; the same for all rehearsals of this
/// process. `None` where no certificate can be made.
#[must_use]
pub fn other_authority() -> Option<&'static str> {
    standins::tls::authority()
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        self.stage.ended.cancel();
    }
}

/// A certificate for loopback as PEM, and what speaks TLS with it.
fn identity() -> Result<(String, TlsAcceptor), RehearsalError> {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(cert.der().to_vec())], key)?;
    // Nobody comes back often enough for what both ends would keep of each connection.
    config.send_tls13_tickets = 0;
    Ok((cert.pem(), TlsAcceptor::from(Arc::new(config))))
}

/// A token that nobody guesses.
fn token() -> Result<String, io::Error> {
    let mut bytes = [0; 24];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn write_kubeconfig(path: &Path, address: &str, papers: &Papers) -> io::Result<()> {
    let name = "rehearsal";
    // Of no use without TLS, and yet there: clients that are told of no authority read all that the machine trusts.
    let authority = STANDARD.encode(&papers.certificate);
    let cluster = json!({ "server": address, "certificate-authority-data": authority });
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": name, "cluster": cluster }],
        "users": [{ "name": name, "user": { "token": papers.token } }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
        "current-context": name,
    });
    // For this user's eyes only, from the beginning.
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, kubeconfig.to_string().as_bytes())
}
