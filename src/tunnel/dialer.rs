//! Dials an [`Address`], whichever way leads there.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Resource};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::Stream;
use super::forward::Forward;
use super::names::{self, Meaning};
use super::target::{self, Target};
use crate::checks::{Address, Host};
use crate::complaint::chain;
use crate::watch::Hub;

/// Longest time for one question to the API server, and for a socket to connect.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a socket may take to connect before it is looked at what it leads to.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How much longer than a forward took to open its refusal may take: it comes the same way back.
const PROOF: u32 = 10;

/// Something that could not be dialled. Each text is whole: it names the place and what was found there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The Service or pod does not exist, or has no such port.
    #[error("{0}")]
    Missing(String),
    /// It exists, but nothing ready stands behind it.
    #[error("{0}")]
    NoEndpoint(String),
    /// Something stands there and refuses the connection.
    #[error("{0}")]
    Refused(String),
    /// It leads to something else than pods, which nothing can be forwarded to.
    #[error("{0}")]
    Podless(String),
    /// We could not get that far.
    #[error("{0}")]
    Lost(String),
}

/// Dials into the cluster; clones share their turns.
#[derive(Clone)]
pub struct Dialer {
    hub: Hub,
    way: Way,
    /// Who dials. Looks of two checks that took turns with each other could each meet one endpoint alone.
    whose: Arc<str>,
    /// Each dial to a port of a Service goes to the next of its endpoints, so that repeated looks meet every one.
    turns: Arc<Mutex<BTreeMap<String, usize>>>,
    /// Under which name a Service is known inside, by its own and its namespace's.
    known_inside: fn(&str, &str) -> String,
}

#[derive(Clone, Copy)]
enum Way {
    Forwarding,
    Direct,
}

impl Dialer {
    /// From outside: streams are forwarded through the API server.
    #[must_use]
    pub fn forwarding(hub: Hub) -> Self {
        Self::of_way(hub, Way::Forwarding)
    }

    /// From inside: sockets to `service.namespace.svc` and to the addresses of pods.
    #[must_use]
    pub fn direct(hub: Hub) -> Self {
        Self::of_way(hub, Way::Direct)
    }

    fn of_way(hub: Hub, way: Way) -> Self {
        let known_inside = |name: &str, namespace: &str| format!("{name}.{namespace}.svc");
        Self { hub, way, whose: Arc::default(), turns: Arc::default(), known_inside }
    }

    /// The same where Services are known under other names.
    #[cfg(test)]
    pub(super) fn knowing(self, known_inside: fn(&str, &str) -> String) -> Self {
        Self { known_inside, ..self }
    }

    /// The same for somebody who has turns of his own, whenever he is asked for again.
    #[must_use]
    pub fn of(&self, whose: &str) -> Self {
        Self { whose: whose.into(), ..self.clone() }
    }

    /// A stream to `at`; names without a namespace are looked for in `namespace`. Where it is forwarded, whether
    /// anything listens shows only when it is used: see [`Stream::fate`].
    ///
    /// # Errors
    /// Each [`DialError`] says what was found instead.
    pub async fn dial(&self, at: &Address, namespace: &str) -> Result<Stream, DialError> {
        match (&at.host, self.way) {
            (Host::Service { .. } | Host::Pod { .. }, Way::Forwarding) => {
                Ok(Stream::forward(self.forward(self.target(at, namespace).await?).await?))
            }
            (Host::Service { .. }, Way::Direct) => match self.through(at, namespace).await? {
                Ok(target) => self.reach_behind(at, target, namespace).await,
                Err(stream) => Ok(stream),
            },
            (Host::Outside(_), _) | (Host::Pod { .. }, Way::Direct) => self.reach(at, namespace).await,
        }
    }

    /// Whether something accepts connections at `at`. A socket knows at once; a forward when no refusal has come.
    ///
    /// # Errors
    /// As for [`Dialer::dial`].
    pub async fn knock(&self, at: &Address, namespace: &str) -> Result<(), DialError> {
        match (&at.host, self.way) {
            (Host::Service { .. } | Host::Pod { .. }, Way::Forwarding) => {
                let target = self.target(at, namespace).await?;
                let opening = Instant::now();
                let mut forward = self.forward(target).await?;
                let grace = (opening.elapsed() * PROOF).clamp(Duration::from_millis(250), Duration::from_secs(3));
                forward.refused_within(grace).await
            }
            (Host::Outside(_), _) | (_, Way::Direct) => self.dial(at, namespace).await.map(drop),
        }
    }

    /// Each ready pod behind a Service, at least one; of anything else that itself.
    ///
    /// # Errors
    /// As for [`Dialer::dial`].
    pub async fn each(&self, at: &Address, namespace: &str) -> Result<Vec<Address>, DialError> {
        let Host::Service { name, namespace: own } = &at.host else { return Ok(vec![at.clone()]) };
        let targets = self.behind(name, own.as_deref().unwrap_or(namespace), at.port).await?;
        Ok(targets.into_iter().map(Target::address).collect())
    }

    /// One ready pod behind a Service, each time the next; of anything else that itself. For whoever needs several streams to
    /// the same server.
    ///
    /// # Errors
    /// As for [`Dialer::dial`].
    pub async fn one(&self, at: &Address, namespace: &str) -> Result<Address, DialError> {
        match (&at.host, self.way) {
            (Host::Service { .. }, Way::Forwarding) => Ok(self.target(at, namespace).await?.address()),
            (Host::Service { .. }, Way::Direct) => {
                Ok(self.through(at, namespace).await?.map_or_else(|_| at.clone(), Target::address))
            }
            (Host::Pod { .. } | Host::Outside(_), _) => Ok(at.clone()),
        }
    }

    /// Who is meant by a name or an address under which a server makes itself known to its clients, for a client in this namespace: as the
    /// cluster's DNS has it, so that what no client could resolve is nobody here either.
    ///
    /// # Errors
    /// `Missing` where that is nobody, `Lost` where we could not look.
    pub async fn known_as(&self, host: &str, port: u16, namespace: &str) -> Result<Address, DialError> {
        let host = match host.parse() {
            Ok(address) => self.with_address(address, namespace).await?,
            Err(_) => self.with_name(host, namespace).await?,
        };
        Ok(Address { host, port })
    }

    async fn with_address(&self, address: IpAddr, namespace: &str) -> Result<Host, DialError> {
        let pods: Api<Pod> = self.api(namespace);
        let pods = asked(pods.list(&ListParams::default()), &format!("list the pods in {namespace}")).await?;
        if let Some(host) = names::pod_at(address, &pods.items, namespace) {
            return Ok(host);
        }
        let services: Api<Service> = self.api(namespace);
        let services =
            asked(services.list(&ListParams::default()), &format!("list the Services in {namespace}")).await?;
        names::service_at(address, &services.items).ok_or_else(|| {
            DialError::Missing(format!("no pod and no Service in {namespace} has the address {address}"))
        })
    }

    async fn with_name(&self, name: &str, namespace: &str) -> Result<Host, DialError> {
        let name = &name.to_ascii_lowercase();
        let meanings = names::meanings(name, namespace);
        let mut reasons = Vec::new();
        for meaning in &meanings {
            match self.meant(meaning).await {
                Err(DialError::Missing(reason)) => reasons.push(reason),
                // Whether it is this one is not known; that it is none of those before is.
                Err(DialError::Lost(why)) if !reasons.is_empty() => {
                    return Err(DialError::Lost(format!("{why}; {}", reasons.join(", and "))));
                }
                found => return found,
            }
        }
        if names::may_be_outside(name, namespace) {
            // Whoever this machine knows by such a name need not be whom clients in the cluster know by it, and would be told a password.
            return match self.way {
                Way::Direct => Ok(Host::Outside(name.to_owned())),
                Way::Forwarding => {
                    reasons.push("if it is outside the cluster, only a client inside can tell".to_owned());
                    Err(unresolved(name, &reasons))
                }
            };
        }
        // A pod's name alone is known to nobody but itself.
        if let [Meaning::Service { name: alone, .. }] = meanings.as_slice()
            && let Some((hostname, subdomain)) = self.pod(alone, namespace).await?.as_ref().and_then(names::own_name)
        {
            reasons.push(format!("the pod goes by {hostname}.{subdomain}.{namespace}.svc"));
        }
        if reasons.is_empty() {
            reasons.push("it is no name".to_owned());
        }
        Err(unresolved(name, &reasons))
    }

    async fn meant(&self, meaning: &Meaning) -> Result<Host, DialError> {
        match meaning {
            Meaning::Service { name, namespace } => {
                self.service(name, namespace).await?;
                Ok(Host::Service { name: name.clone(), namespace: Some(namespace.clone()) })
            }
            Meaning::Endpoint { hostname, service, namespace } => {
                let slices = self.slices(service, namespace).await?;
                let full = format!("{namespace}/{service}");
                match names::with_hostname(hostname, &slices, namespace) {
                    Some(Some(host)) => return Ok(host),
                    Some(None) => return Err(DialError::Lost(format!("{hostname} of Service {full} is no pod"))),
                    None => {}
                }
                self.service(service, namespace).await?;
                let pod = self.pod(hostname, namespace).await?;
                Err(DialError::Missing(names::nameless(hostname, &full, pod.as_ref())))
            }
        }
    }

    async fn forward(&self, target: Target) -> Result<Forward, DialError> {
        let pods: Api<Pod> = Api::namespaced(self.hub.client().clone(), &target.namespace);
        let forwarder =
            asked(pods.portforward(&target.pod, &[target.port]), &format!("open a forward to {target}")).await?;
        let taken = DialError::Lost(format!("the forward to {target} has no stream"));
        Forward::new(forwarder, target).ok_or(taken)
    }

    /// The pod's port behind an address.
    async fn target(&self, at: &Address, namespace: &str) -> Result<Target, DialError> {
        match &at.host {
            Host::Service { name, namespace: own } => {
                let namespace = own.as_deref().unwrap_or(namespace);
                let targets = self.behind(name, namespace, at.port).await?;
                let turn = self.turn(format!("{}/{namespace}/{name}:{}", self.whose, at.port)) % targets.len();
                Ok(targets[turn].clone())
            }
            Host::Pod { name, namespace: own } => Ok(Target {
                namespace: own.as_deref().unwrap_or(namespace).to_owned(),
                pod: name.clone(),
                port: at.port,
                ip: None,
            }),
            Host::Outside(name) => Err(DialError::Lost(format!("{name} is outside the cluster"))),
        }
    }

    /// How often a port of a Service has been asked for before.
    fn turn(&self, port: String) -> usize {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(port).or_default();
        *turn += 1;
        *turn - 1
    }

    /// The ready pods behind a Service's port; at least one.
    async fn behind(&self, name: &str, namespace: &str, port: u16) -> Result<Vec<Target>, DialError> {
        let service = self.service(name, namespace).await?;
        let targets = target::targets(&service, &self.slices(name, namespace).await?, port)?;
        if !targets.is_empty() {
            return Ok(targets);
        }
        let pods = match target::selector(&service) {
            Some(selector) => {
                let pods: Api<Pod> = self.api(namespace);
                let selected = ListParams::default().labels(&selector);
                asked(pods.list(&selected), &format!("look for the pods of Service {namespace}/{name}")).await?.items
            }
            None => Vec::new(),
        };
        Err(target::no_endpoint(&service, port, &pods))
    }

    /// A socket. Where there is none at once, what it leads to is looked at: what is wrong there counts before the words
    /// of the way to it.
    async fn reach(&self, at: &Address, namespace: &str) -> Result<Stream, DialError> {
        let place = match &at.host {
            Host::Service { name, namespace: own } => (self.known_inside)(name, own.as_deref().unwrap_or(namespace)),
            Host::Pod { name, namespace: own } => self.pod_address(name, own.as_deref().unwrap_or(namespace)).await?,
            Host::Outside(name) => name.clone(),
        };
        let mut socket = pin!(socket(format!("{place}:{}", at.port)));
        let early = timeout(AT_ONCE, &mut socket).await;
        if let Ok(Ok(stream)) = early {
            return Ok(stream);
        }
        let cause = match &at.host {
            Host::Service { name, namespace: own } => {
                self.behind(name, own.as_deref().unwrap_or(namespace), at.port).await.err()
            }
            Host::Pod { name, namespace: own } => {
                let now = self.pod_address(name, own.as_deref().unwrap_or(namespace)).await;
                let replaced = || DialError::Missing(format!("{at} has been replaced, and was at {place} before"));
                now.map_or_else(Some, |now| (now != place).then(replaced))
            }
            Host::Outside(_) => None,
        };
        match (cause, early) {
            (Some(cause @ (DialError::Missing(_) | DialError::NoEndpoint(_))), _) => Err(cause),
            (_, Ok(end)) => end,
            (_, Err(_)) => socket.await,
        }
    }

    /// From inside, whose turn it is of those behind a Service; a stream to whoever is where that is no pod. The Service's name, and the
    /// way behind it, are part of what a client goes through; whom the cluster chooses is not whose turn it is.
    async fn through(&self, at: &Address, namespace: &str) -> Result<Result<Target, Stream>, DialError> {
        let stream = self.reach(at, namespace).await?;
        match self.target(at, namespace).await {
            Ok(target) => Ok(Ok(target)),
            Err(DialError::Podless(_)) => Ok(Err(stream)),
            Err(error) => Err(error),
        }
    }

    /// A socket to a pod behind a Service at which somebody has just accepted.
    async fn reach_behind(&self, at: &Address, target: Target, namespace: &str) -> Result<Stream, DialError> {
        if let Some(ip) = target.ip
            && let Ok(Ok(stream)) = timeout(AT_ONCE, socket(SocketAddr::new(ip, target.port).to_string())).await
        {
            return Ok(stream);
        }
        match self.reach(&target.address(), namespace).await {
            // That is no refusal of the Service.
            Err(DialError::Refused(words)) => {
                Err(DialError::NoEndpoint(format!("{at} accepts, and of those behind it {words}")))
            }
            reached => reached,
        }
    }

    async fn pod_address(&self, name: &str, namespace: &str) -> Result<String, DialError> {
        let missing = || DialError::Missing(format!("there is no pod {namespace}/{name}"));
        let pod = self.pod(name, namespace).await?.ok_or_else(missing)?;
        let standing = || DialError::Missing(format!("pod {namespace}/{}", target::standing(&pod)));
        target::address(&pod).ok_or_else(standing)
    }

    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.hub.client().clone(), namespace)
    }

    async fn pod(&self, name: &str, namespace: &str) -> Result<Option<Pod>, DialError> {
        let pods: Api<Pod> = self.api(namespace);
        asked(pods.get_opt(name), &format!("look for pod {namespace}/{name}")).await
    }

    async fn service(&self, name: &str, namespace: &str) -> Result<Service, DialError> {
        let services: Api<Service> = self.api(namespace);
        asked(services.get_opt(name), &format!("look for Service {namespace}/{name}"))
            .await?
            .ok_or_else(|| DialError::Missing(format!("there is no Service {namespace}/{name}")))
    }

    async fn slices(&self, service: &str, namespace: &str) -> Result<Vec<EndpointSlice>, DialError> {
        let slices: Api<EndpointSlice> = self.api(namespace);
        let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
        let doing = format!("look for the endpoints of Service {namespace}/{service}");
        Ok(asked(slices.list(&of_service), &doing).await?.items)
    }
}

fn unresolved(name: &str, reasons: &[String]) -> DialError {
    DialError::Missing(format!("no client can resolve {name}: {}", reasons.join(", and ")))
}

/// One question to the API server, bounded. A thing that is not there is missing; any other refusal is ours to bear.
async fn asked<T>(question: impl Future<Output = Result<T, kube::Error>>, doing: &str) -> Result<T, DialError> {
    match timeout(CONNECT, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error @ kube::Error::Api(_))) if is_not_found(&error) => {
            Err(DialError::Missing(format!("cannot {doing}: {}", chain(&error))))
        }
        Ok(Err(error)) => Err(DialError::Lost(format!("cannot {doing}: {}", chain(&error)))),
        Err(_) => Err(DialError::Lost(format!("cannot {doing}: no answer within {} s", CONNECT.as_secs()))),
    }
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

async fn socket(place: String) -> Result<Stream, DialError> {
    match timeout(CONNECT, TcpStream::connect(&place)).await {
        Ok(Ok(socket)) => {
            // Probes write small requests and wait for the answer.
            socket.set_nodelay(true).ok();
            Ok(Stream::socket(socket))
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Err(DialError::Refused(format!("nothing listens on {place}: connection refused")))
        }
        Ok(Err(error)) => Err(DialError::Lost(format!("cannot connect to {place}: {error}"))),
        Err(_) => Err(DialError::Lost(format!("cannot connect to {place}: no answer within {} s", CONNECT.as_secs()))),
    }
}
