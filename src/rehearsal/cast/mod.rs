//! Who answers behind which port: a stand-in for each running container, of the kind that its image and its command
//! name, told what they tell the real server.

mod told;
mod trade;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::Value;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::trade::Trade;
use super::actors::{Roles, Started, started};
use super::cluster::{Cluster, State};
use super::names;
use super::object::{Key, View as _};
use super::standins::words::Words;
use super::standins::{StandIn, clickhouse, dns, echo, http, kafka, pgadmin, postgres, redis, tls};
use super::store::Store;

/// What a connection inside this process holds before its reader has taken it.
const BUFFER: usize = 64 << 10;

/// How many Sentinels there usually are, and how many must agree.
const SENTINELS: u32 = 3;
const QUORUM: u32 = 2;

/// The databases that are declared for clusters of CloudNativePG's.
const DATABASES: &str = "postgresql.cnpg.io/databases";

/// The topics that are declared for clusters of Strimzi's.
const DECLARED_TOPICS: &str = "kafka.strimzi.io/kafkatopics";

/// What is declared for servers that stand in for others, and is there once its status says so.
pub(super) const DECLARED: [&str; 2] = [DATABASES, DECLARED_TOPICS];

/// The label by which Strimzi knows of which cluster a pod, a topic or a user is.
const CLUSTER: &str = "strimzi.io/cluster";

/// All stand-ins that are on.
pub(super) struct Cast {
    cluster: Weak<Cluster>,
    parts: Mutex<HashMap<(String, String), Part>>,
    words: Words,
    /// Whether nobody is served who comes in.
    held: watch::Sender<bool>,
    /// Counts who came to those that end every other conversation.
    turns: AtomicUsize,
}

/// One of them.
struct Part {
    pod: Key,
    ports: Vec<u16>,
    door: Door,
    stand_in: StandIn,
    /// Ends its connections with it.
    ended: CancellationToken,
    /// The host name of the one that it is to follow; of a Sentinel of the one that it is to watch.
    master: Option<String>,
    /// Of a Sentinel: under which name it watches it.
    watches: Option<String>,
    /// What it speaks TLS with, and the port on which it speaks nothing else.
    tls: Option<Arc<tls::Identity>>,
    tls_port: Option<u16>,
    /// Of a member of Patroni's or CloudNativePG's cluster: which, and how its pod says that it leads.
    member: Option<Roles>,
}

/// Whom Sentinels have chosen.
struct Chosen {
    namespace: Arc<str>,
    /// The host name of the one that they were told to watch.
    host: String,
    leads: Arc<redis::Server>,
}

impl Cast {
    /// Nobody is on.
    pub(super) fn new(cluster: &Arc<Cluster>) -> Self {
        Self {
            cluster: Arc::downgrade(cluster),
            parts: Mutex::default(),
            words: Words::default(),
            held: watch::Sender::default(),
            turns: AtomicUsize::new(0),
        }
    }

    /// From now on nobody is served who comes in, until this is taken back.
    pub(super) fn hold(&self, is_held: bool) {
        self.held.send_replace(is_held);
    }

    /// What those say who are to say something else.
    pub(super) const fn words(&self) -> &Words {
        &self.words
    }

    /// A container runs.
    pub(super) fn start(&self, state: &State, pod: &Key, uid: &str, container: &str) {
        if self.enter(state, pod, uid, container) {
            self.rewire(state);
        }
    }

    /// Lets one begin that nobody follows yet; says whether it has.
    fn enter(&self, state: &State, pod: &Key, uid: &str, container: &str) -> bool {
        let Some(object) = state.store.get(pod) else { return false };
        let spec = &object["spec"];
        let of_name = |one: &&Value| one["name"] == container;
        let Some(found) = spec["containers"].as_array().into_iter().flatten().find(of_name) else { return false };
        let Some(told) = started(&object, container, &state.store).filter(|told| !told.waits) else { return false };
        let part = self.assign(pod, &object, found, &told);
        self.parts().insert((uid.to_owned(), container.to_owned()), part);
        self.heed(state, pod);
        self.declare(state, &pod.namespace);
        true
    }

    /// Lets the servers of CloudNativePG's clusters have the databases that are declared for them and applied.
    pub(super) fn declare(&self, state: &State, namespace: &str) {
        for declared in state.store.list(DATABASES, Some(namespace)) {
            let text = |pointer: &str| declared.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let (cluster, name) = (text("/spec/cluster/name"), text("/spec/name"));
            let is_of_it = |part: &&Part| {
                &*part.pod.namespace == namespace
                    && part.member.as_ref().is_some_and(|roles| roles.cluster() == cluster)
            };
            if declared["status"]["applied"] == true {
                let parts = self.parts();
                parts.values().filter(is_of_it).filter_map(Part::postgres).for_each(|server| server.create(name));
            }
        }
        for declared in state.store.list(DECLARED_TOPICS, Some(namespace)) {
            let of = |object: &Value| object["metadata"]["labels"][CLUSTER].as_str().map(str::to_owned);
            let cluster = of(&declared).filter(|_| declared["status"]["topicId"].is_string());
            let is_of_it = |part: &&Part| {
                &*part.pod.namespace == namespace
                    && cluster.is_some()
                    && state.store.get(&part.pod).is_some_and(|pod| of(&pod) == cluster)
            };
            // Brokers of a cluster share what they have: whoever is on says how many there are to place it on.
            let topic = kafka::NewTopic::declared(&declared);
            let parts = self.parts();
            let on = parts.values().filter(is_of_it).filter_map(Part::kafka).next();
            on.zip(topic).into_iter().for_each(|(server, topic)| server.cluster().declare(&topic));
        }
    }

    /// Lets others stand in for all who are on, in a cluster that was made from theirs. What clients have left with them is
    /// not there, but for what a database holds: what Jobs have put there is as old as the objects.
    pub(super) fn succeed(&self, former: &Self, state: &State) {
        let on: Vec<_> = former
            .parts()
            .iter()
            .map(|((uid, container), part)| (part.pod.clone(), uid.clone(), container.clone()))
            .collect();
        for (pod, uid, container) in &on {
            self.enter(state, pod, uid, container);
        }
        self.rewire(state);
        let (former, own) = (former.parts(), self.parts());
        for (key, part) in own.iter() {
            if let (Some(server), Some(other)) = (part.postgres(), former.get(key).and_then(Part::postgres)) {
                server.inherit(other);
            }
        }
    }

    /// A pod was changed: whoever was elected in it leads, and the others of its cluster follow.
    pub(super) fn heed(&self, state: &State, pod: &Key) {
        if &*pod.resource != "/pods" {
            return;
        }
        let Some(object) = state.store.get(pod) else { return };
        let elected = |part: &Part| part.member.as_ref().is_some_and(|member| member.leads(&object));
        let parts = self.parts();
        let servers = parts.values().filter(|part| part.pod == *pod && elected(part)).filter_map(Part::postgres);
        let fresh: Vec<_> = servers.filter(|server| !server.leads()).cloned().collect();
        drop(parts);
        if !fresh.is_empty() {
            fresh.iter().for_each(|server| server.lead());
            self.rewire(state);
        }
    }

    /// A container does not run any more.
    pub(super) fn stop(&self, uid: &str, container: &str) {
        let stopped = self.parts().remove(&(uid.to_owned(), container.to_owned()));
        stopped.into_iter().for_each(Part::leave);
    }

    /// A pod is gone.
    pub(super) fn drop_pod(&self, uid: &str) {
        self.parts().retain(|(held, _), part| {
            let stays = held != uid;
            if !stays {
                part.silence();
            }
            stays
        });
    }

    /// Opens a connection to a port of a pod.
    ///
    /// # Errors
    /// Why nothing answers there, in the kubelet's words.
    pub(super) fn connect(&self, pod: &str, uid: &str, port: u16) -> Result<DuplexStream, String> {
        let parts = self.parts();
        let mut of_pod = parts.iter().filter(|((held, _), _)| held == uid).map(|(_, part)| part);
        let Some(part) = of_pod.find(|part| part.lets_in(port)) else {
            return Err(format!(
                "error forwarding port {port} to pod {pod}, uid {uid}: failed to execute portforward in network namespace: failed to connect to localhost:{port} inside namespace, IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused"
            ));
        };
        let (stand_in, ended) = (part.stand_in.clone(), part.ended.clone());
        let words = (part.door == Door::Babbling).then(|| self.words.text());
        let tls = part.tls.clone().filter(|tls| part.tls_port == Some(port) && tls.is_on());
        let is_native = matches!(stand_in, StandIn::Clickhouse(_)) && port == clickhouse::NATIVE;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        if part.door == Door::Flapping && self.turns.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            return Ok(ours);
        }
        // How a conversation ends is seen at its other end.
        let mut held = self.held.subscribe();
        tokio::spawn(async move {
            let talk = async {
                // The sender is the rehearsal's: with it all of this is over.
                held.wait_for(|is_held| !is_held).await.ok()?;
                match (words, tls) {
                    (Some(words), _) => babble(theirs, &words).await.ok(),
                    (None, _) if is_native => clickhouse::serve_native(theirs).await.ok(),
                    (None, Some(tls)) => stand_in.serve(tls.accept(theirs).await.ok()?).await.ok(),
                    (None, None) => stand_in.serve(theirs).await.ok(),
                }
            };
            ended.run_until_cancelled(talk).await
        });
        Ok(ours)
    }

    /// The PostgreSQL behind a name, as a pod of this namespace would reach it on this port.
    pub(super) fn database(
        &self,
        store: &Store,
        namespace: &str,
        host: &str,
        port: u16,
    ) -> Option<Arc<postgres::Server>> {
        let parts = self.parts();
        let answers = |part: &&Part| part.lets_in(port);
        behind(store, &parts, namespace, host)?.filter(answers).find_map(Part::postgres).cloned()
    }

    /// The names of the faults that the servers of a pod know.
    pub(super) fn faults(&self, namespace: &str, pod: &str) -> Vec<&'static str> {
        let parts = self.parts();
        let of_pod = parts.values().filter(|part| &*part.pod.namespace == namespace && &*part.pod.name == pod);
        of_pod.flat_map(Part::faults).collect()
    }

    /// Switches a fault of the servers of a pod on by its name, or off what is on. Says how many know it.
    pub(super) fn inject(&self, namespace: &str, pod: &str, fault: Option<&str>) -> usize {
        let mut parts = self.parts();
        let of_pod = parts.values_mut().filter(|part| &*part.pod.namespace == namespace && &*part.pod.name == pod);
        of_pod.map(|part| part.inject(fault)).filter(|knows| *knows).count()
    }

    /// Who speaks for a container.
    fn assign(&self, pod: &Key, object: &Value, container: &Value, told: &Started) -> Part {
        let mut ports = told::ports(container);
        let address = object["status"]["podIP"].as_str().unwrap_or_default();
        let (mut master, mut watches, mut member) = (None, None, None);
        let (tls, tls_port) = told::identity(told);
        let stand_in = match Trade::of(container["image"].as_str().unwrap_or_default(), told, &ports) {
            Trade::Redis => {
                let config = told::redis_config(told, address);
                (watches, master) = told::followed(&told.words, config.sentinel);
                ports.push(config.port);
                StandIn::Redis(Arc::new(redis::Server::new(config)))
            }
            Trade::Postgres => {
                ports.push(5432);
                (master, member) = (told::primary(told), Roles::told(|name| told.environment.get(name).cloned()));
                let config = told::postgres_config(pod, told, master.is_some() || member.is_some(), tls.clone());
                StandIn::Postgres(Arc::new(postgres::Server::new(config)))
            }
            Trade::Clickhouse => {
                ports.push(clickhouse::HTTP);
                let (config, keeper) = self.clickhouse(pod, told);
                StandIn::Clickhouse(Arc::new(clickhouse::Server::new(config, &keeper)))
            }
            Trade::Kafka => {
                let (config, cluster) = self.kafka(pod, object, told);
                ports.push(config.port);
                StandIn::Kafka(Arc::new(kafka::Server::new(config, &cluster)))
            }
            Trade::S3 => told::store(told, &mut ports),
            Trade::Pgadmin => {
                let config = pgadmin::Config::told(&told.environment, told.servers.as_deref());
                ports.push(config.port);
                StandIn::Pgadmin(Arc::new(pgadmin::Server::new(config)))
            }
            Trade::Neo4j => told::graph(told, &mut ports),
            Trade::Temporal => told::flows(told, &mut ports),
            Trade::Dns => {
                ports.push(53);
                StandIn::Dns(Arc::new(dns::Server::new(dns::Config { lookup: self.lookup() })))
            }
            Trade::Http => {
                let (name, words) = (pod.name.to_string(), self.words.clone());
                let config = http::Config { name, words, routes: told::pages(object), ..http::Config::default() };
                StandIn::Http(Arc::new(http::Server::new(config)))
            }
            Trade::Unknown => StandIn::Echo(Arc::new(echo::Server::new())),
        };
        Part {
            pod: pod.clone(),
            ports,
            door: Door::default(),
            stand_in,
            ended: CancellationToken::new(),
            master,
            watches,
            tls,
            tls_port,
            member,
        }
    }

    /// Lets every server follow the one that it was told to, as soon as that one is on; or whom the Sentinels have chosen in its
    /// place.
    fn rewire(&self, state: &State) {
        let parts = self.parts();
        let told = |part: &Part| {
            let (namespace, host) = (&part.pod.namespace, part.master.as_deref()?);
            match behind(&state.store, &parts, namespace, host) {
                Some(mut named) => named.find_map(Part::redis).cloned(),
                // An operator tells its servers the address of a pod, and no name.
                None => {
                    let is_meant = |other: &&Part| other.pod.namespace == *namespace && *other.pod.name == *host;
                    parts.values().filter(is_meant).find_map(Part::redis).cloned()
                }
            }
        };
        for part in parts.values() {
            let StandIn::Postgres(server) = &part.stand_in else { continue };
            let primary = match (&part.master, &part.member) {
                (Some(host), _) => {
                    let named = behind(&state.store, &parts, &part.pod.namespace, host);
                    named.into_iter().flatten().find_map(Part::postgres)
                }
                (None, Some(_)) => {
                    let is_of_it =
                        |other: &&Part| other.pod.namespace == part.pod.namespace && other.member == part.member;
                    parts.values().filter(is_of_it).filter_map(Part::postgres).find(|other| other.leads())
                }
                (None, None) => continue,
            };
            let Some(primary) = primary else { continue };
            if !Arc::ptr_eq(server, primary) && !server.is_following(primary) {
                server.follow(primary);
            }
        }
        // Of Sentinels that were told to watch the same one, one speaks for all.
        let mut chosen: Vec<(Chosen, Option<Arc<redis::Server>>)> = Vec::new();
        for part in parts.values() {
            let Some(choice) = part.chosen() else { continue };
            let is_same = |(other, _): &(Chosen, _)| other.namespace == choice.namespace && other.host == choice.host;
            if !chosen.iter().any(is_same) {
                chosen.push((choice, told(part)));
            }
        }
        for part in parts.values() {
            let Some(server) = part.redis() else { continue };
            let is_meant = |(choice, first): &&(Chosen, Option<Arc<redis::Server>>)| {
                choice.namespace == part.pod.namespace
                    && (part.master.as_ref() == Some(&choice.host)
                        || first.as_ref().is_some_and(|first| Arc::ptr_eq(first, server)))
            };
            let choice = chosen.iter().find(is_meant).map(|(choice, _)| Arc::clone(&choice.leads));
            let Some(leads) = choice.or_else(|| told(part)) else { continue };
            match &part.watches {
                Some(name) if server.leader(name).is_none() => server.watch(name, &leads, QUORUM, SENTINELS),
                Some(_) => {}
                None if Arc::ptr_eq(server, &leads) || server.is_following(&leads) || leads.is_stopped() => {}
                None => server.follow(&leads),
            }
        }
    }

    /// What a broker is told, and what it shares with others: with those of its namespace that are told the same of their quorum.
    fn kafka(&self, pod: &Key, object: &Value, told: &Started) -> (kafka::Config, Arc<kafka::Cluster>) {
        let mut config = kafka::Config::told(&told.environment);
        let topics = object["metadata"]["annotations"][told::TOPICS].as_str().unwrap_or_default();
        config.topics = kafka::NewTopic::listed(topics);
        let parts = self.parts();
        let of_namespace = parts.values().filter(|part| part.pod.namespace == pod.namespace);
        let other = of_namespace.filter_map(Part::kafka).find(|other| other.is_with(&config));
        let cluster = other.map_or_else(Arc::default, |other| Arc::clone(other.cluster()));
        (config, cluster)
    }

    /// What a ClickHouse is told, and what it shares with others: with those of its namespace that are told of the same Keeper.
    fn clickhouse(&self, pod: &Key, told: &Started) -> (clickhouse::Config, Arc<clickhouse::Keeper>) {
        let config = told::clickhouse_config(told, &pod.name);
        let parts = self.parts();
        let of_namespace = parts.values().filter(|part| part.pod.namespace == pod.namespace);
        let other = of_namespace.filter_map(Part::clickhouse).find(|other| other.is_with(&config));
        let keeper = other.map_or_else(Arc::default, |other| Arc::clone(other.keeper()));
        (config, keeper)
    }

    fn lookup(&self) -> dns::Lookup {
        let cluster = self.cluster.clone();
        Arc::new(move |name, _| match cluster.upgrade() {
            Some(cluster) => cluster.step(|state| names::look_up(state, name)),
            None => dns::Answer::ServFail,
        })
    }

    fn parts(&self) -> MutexGuard<'_, HashMap<(String, String), Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Of a Sentinel: who leads by now.
    fn chosen(&self) -> Option<Chosen> {
        let leads = self.redis()?.leader(self.watches.as_ref()?)?;
        Some(Chosen { namespace: Arc::clone(&self.pod.namespace), host: self.master.clone()?, leads })
    }

    fn leave(self) {
        self.silence();
    }

    const fn redis(&self) -> Option<&Arc<redis::Server>> {
        if let StandIn::Redis(server) = &self.stand_in { Some(server) } else { None }
    }

    const fn kafka(&self) -> Option<&Arc<kafka::Server>> {
        if let StandIn::Kafka(server) = &self.stand_in { Some(server) } else { None }
    }

    const fn clickhouse(&self) -> Option<&Arc<clickhouse::Server>> {
        if let StandIn::Clickhouse(server) = &self.stand_in { Some(server) } else { None }
    }

    const fn postgres(&self) -> Option<&Arc<postgres::Server>> {
        if let StandIn::Postgres(server) = &self.stand_in { Some(server) } else { None }
    }

    /// Whether a connection to this port is let in.
    fn lets_in(&self, port: u16) -> bool {
        self.door == Door::Wide
            || (self.door != Door::Shut && (self.ports.contains(&port) || self.tls_port == Some(port)))
    }

    /// The names of all that can be wrong with it.
    fn faults(&self) -> Vec<&'static str> {
        let of_tls = self.tls.iter().flat_map(|_| tls::Fault::ALL).map(|fault| fault.name());
        self.stand_in.faults().into_iter().chain(Door::FAULTS.map(|(name, _)| name)).chain(of_tls).collect()
    }

    /// Lets the fault of this name be so, or none. Whether there is one.
    fn inject(&mut self, fault: Option<&str>) -> bool {
        let of_tls = tls::Fault::ALL.iter().copied().find(|of_tls| fault == Some(of_tls.name()));
        self.tls.iter().for_each(|tls| tls.inject(of_tls));
        self.door = fault.and_then(Door::of).unwrap_or_default();
        match of_tls {
            Some(_) => self.tls.is_some(),
            None if self.door != Door::default() => true,
            None => self.stand_in.inject(fault).is_ok(),
        }
    }

    /// Ends its connections; who follows it sees that it is gone.
    fn silence(&self) {
        self.ended.cancel();
        self.redis().into_iter().for_each(|server| server.stop());
        self.postgres().into_iter().for_each(|server| server.stop());
        self.kafka().into_iter().for_each(|server| server.stop());
        self.clickhouse().into_iter().for_each(|server| server.stop());
    }
}

/// Says this, whatever is said, until the client leaves.
async fn babble(mut stream: DuplexStream, words: &str) -> std::io::Result<()> {
    stream.write_all(words.as_bytes()).await?;
    stream.flush().await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
}

/// Who may come in, whatever is spoken behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Door {
    /// Whoever comes to one of its ports.
    #[default]
    Open,
    /// Nobody: nothing listens.
    Shut,
    /// Whoever comes; but of all who come to such servers every other one finds the conversation ended.
    Flapping,
    /// Whoever comes to any port.
    Wide,
    /// Whoever comes, who is told something else than the server would say.
    Babbling,
}

impl Door {
    /// What can be wrong with it, each with the name of the fault.
    const FAULTS: [(&str, Self); 4] =
        [("refuses", Self::Shut), ("flaps", Self::Flapping), ("opens", Self::Wide), ("babbles", Self::Babbling)];

    /// The one that a fault makes.
    fn of(fault: &str) -> Option<Self> {
        Self::FAULTS.iter().find(|(name, _)| *name == fault).map(|(_, door)| *door)
    }
}

/// Those behind a name, as a pod of this namespace would reach them; `None` where there is no such name.
fn behind<'p>(
    store: &Store,
    parts: &'p HashMap<(String, String), Part>,
    namespace: &str,
    name: &str,
) -> Option<impl Iterator<Item = &'p Part> + use<'p>> {
    let full = match name.split('.').count() {
        1 => format!("{name}.{namespace}.svc"),
        2 => format!("{name}.svc"),
        _ => name.trim_end_matches(".cluster.local").to_owned(),
    };
    let mut labels: Vec<&str> = full.trim_end_matches(".svc").split('.').collect();
    let namespace = labels.pop()?;
    let service = labels.pop()?;
    let host = labels.pop().map(str::to_owned);
    let selector = store.get(&Key::new("/services", namespace, service))?["spec"]["selector"].clone();
    let behind = store.labelled("/pods", namespace, &selector);
    let is_meant = move |part: &&'p Part| {
        host.as_deref().is_none_or(|host| host == &*part.pod.name)
            && behind.iter().any(|pod| pod["metadata"]["name"] == *part.pod.name)
    };
    Some(parts.values().filter(is_meant))
}
