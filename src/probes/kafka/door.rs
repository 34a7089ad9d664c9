//! The ways into a Kafka cluster: where a client begins, and where each broker says that it is.

use kafka_protocol::messages::MetadataResponse;

use super::login::Login;
use super::wire::Line;
use crate::checks::{Address, Host, Kafka, Obstacle};
use crate::probes::Site;
use crate::probes::channel::{Channel, Tls};
use crate::probes::http::host_name;
use crate::probes::reach::Unmet;
use crate::tunnel::{Dialer, Stream};

/// How a broker is entered, whichever it is.
#[derive(Clone)]
pub(super) struct Door {
    dialer: Dialer,
    login: Option<Login>,
    tls: Tls,
    /// The namespace of the component, and that of the brokers: names that they advertise are looked for there.
    namespace: String,
    home: String,
    /// Whether they are outside the cluster, and so is what they advertise.
    is_outside: bool,
}

/// A broker as the cluster knows it.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub(super) id: i32,
    pub(super) host: String,
    pub(super) port: i32,
}

impl Registered {
    pub(super) fn advertised(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// All that are registered, in the order of their numbers.
pub(super) fn registered(metadata: &MetadataResponse) -> Vec<Registered> {
    let registered = metadata.brokers.iter();
    let mut all: Vec<Registered> = registered
        .map(|broker| Registered { id: broker.node_id.0, host: broker.host.to_string(), port: broker.port })
        .collect();
    all.sort_by_key(|broker| broker.id);
    all
}

impl Door {
    pub(super) fn new(claim: &Kafka, login: Option<Login>, tls: Tls, site: &Site<'_>) -> Self {
        let (is_outside, home) = match &claim.at.host {
            Host::Service { namespace, .. } | Host::Pod { namespace, .. } => (false, namespace.as_deref()),
            Host::Outside(_) => (true, None),
        };
        Self {
            dialer: site.prober.dialer.clone(),
            login,
            tls,
            namespace: site.namespace().to_owned(),
            home: home.unwrap_or(site.namespace()).to_owned(),
            is_outside,
        }
    }

    /// Enters where a client begins, over a stream that leads there.
    pub(super) async fn begin(&self, at: &Address, stream: Stream) -> Result<Result<Line, String>, Unmet> {
        let who = format!("kafka {at}");
        let channel = self.tls.over(stream, &who, &host_name(at, &self.namespace)).await?;
        self.enter_by(channel, who).await
    }

    /// Begins a conversation, and logs in where there is a login. The inner error is the broker's: its name, then its words.
    async fn enter_by(&self, channel: Channel, who: String) -> Result<Result<Line, String>, Unmet> {
        let mut line = Line::open(who, channel).await?;
        match &self.login {
            Some(login) => Ok(login.prove(&mut line).await?.map(|()| line)),
            None => Ok(Ok(line)),
        }
    }

    /// Where a broker advertises itself.
    async fn place(&self, broker: &Registered) -> Result<Address, Unmet> {
        let port = u16::try_from(broker.port).ok().filter(|port| *port > 0);
        let none = || Unmet::Obstacle(Obstacle::Missing(format!("{} is no port", broker.port)));
        let port = port.ok_or_else(none)?;
        match self.is_outside {
            true => Ok(Address { host: Host::Outside(broker.host.clone()), port }),
            false => Ok(self.dialer.known_as(&broker.host, port, &self.home).await?),
        }
    }

    /// The pod that a broker is; where each is advertised by a Service of its own, the one behind that.
    pub(super) async fn pod(&self, broker: &Registered) -> Result<Option<String>, Unmet> {
        let at = self.place(broker).await?;
        let behind = self.dialer.each(&at, &self.namespace).await?;
        Ok(match behind.as_slice() {
            [Address { host: Host::Pod { name, .. }, .. }] => Some(name.clone()),
            _ => None,
        })
    }

    /// The namespace of the brokers.
    pub(super) fn home(&self) -> &str {
        &self.home
    }

    /// Enters a broker where it advertises itself.
    pub(super) async fn enter(&self, broker: &Registered) -> Result<Result<Line, String>, Unmet> {
        let at = self.place(broker).await?;
        let stream = self.dialer.dial(&at, &self.namespace).await?;
        let who = format!("broker {} at {}", broker.id, broker.advertised());
        let channel = self.tls.clone().by_own_names().over(stream, &who, &broker.host).await?;
        self.enter_by(channel, who).await
    }
}
