//! A DNS server over TCP: each message after its length in two bytes (RFC 1035, 4.2.2).
//!
//! What a name means is not known here; whoever makes the server says it. Flags and the SOA of a negative answer are as
//! CoreDNS sends them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hickory_resolver::proto::op::{Message, Query, ResponseCode};
pub(crate) use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::proto::rr::rdata::SOA;
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::switch::Switch;

/// The domain that the server speaks for, in seconds how long its answers hold, and an address that nobody has
/// (RFC 5737, RFC 3849).
const DOMAIN: &str = "cluster.local.";
const LIVES: u32 = 30;
const NOBODYS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NOBODYS_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its addresses; those of another kind than was asked for are left out.
    Addresses(Vec<IpAddr>),
    /// It exists, and has none.
    NoData,
    /// It does not exist.
    NxDomain,
    /// That cannot be told: whom the server asks in turn does not answer.
    ServFail,
    /// The server does not speak to us about it.
    Refused,
}

/// Looks up a name: in lower case, without the dot at its end.
pub(crate) type Lookup = Arc<dyn Fn(&str, RecordType) -> Answer + Send + Sync>;

/// What a server is told when it starts.
#[derive(Clone)]
pub(crate) struct Config {
    /// What names mean, asked anew for every question.
    pub(crate) lookup: Lookup,
}

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No name exists.
    NxDomain,
    /// Every question fails.
    ServFail,
    /// Every question is refused.
    Refused,
    /// Every name exists, and none has an address.
    NoAddresses,
    /// Every name that has an address has one that nobody else has.
    WrongAddress,
    /// Questions are taken and not answered.
    Hangs,
    /// The connection ends within the first answer.
    Closes,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::NxDomain,
        Self::ServFail,
        Self::Refused,
        Self::NoAddresses,
        Self::WrongAddress,
        Self::Hangs,
        Self::Closes,
    ];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NxDomain => "nxdomain",
            Self::ServFail => "servfail",
            Self::Refused => "refused",
            Self::NoAddresses => "no-addresses",
            Self::WrongAddress => "wrong-address",
            Self::Hangs => "hangs",
            Self::Closes => "closes",
        }
    }
}

/// A DNS server.
pub(crate) struct Server {
    config: Config,
    faults: Switch<Fault>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl Server {
    /// A server in order.
    pub(crate) fn new(config: Config) -> Self {
        Self { config, faults: Switch::off() }
    }

    /// Switches a fault on, or off what is on.
    pub(crate) fn inject(&self, fault: Option<Fault>) {
        self.faults.turn(fault);
    }

    /// Serves one connection until either side ends it.
    ///
    /// # Errors
    /// The stream's own.
    pub(crate) async fn serve<S>(&self, mut stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        loop {
            let length = match stream.read_u16().await {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return stream.shutdown().await,
                Err(error) => return Err(error),
            };
            let mut question = vec![0; usize::from(length)];
            stream.read_exact(&mut question).await?;
            self.faults.outlast(Fault::Hangs).await;
            // What is no message is dropped, as a server does with nonsense.
            let Ok(question) = Message::from_vec(&question) else { return stream.shutdown().await };
            let answer = self.reply(&question).to_vec().map_err(io::Error::other)?;
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            let bytes = [&length.to_be_bytes()[..], &answer].concat();
            if self.faults.is(Fault::Closes) {
                stream.write_all(&bytes[..bytes.len() / 2]).await?;
                return stream.shutdown().await;
            }
            stream.write_all(&bytes).await?;
            stream.flush().await?;
        }
    }

    fn reply(&self, question: &Message) -> Message {
        let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
        reply.metadata.recursion_desired = question.metadata.recursion_desired;
        let Some(query) = question.queries.first() else {
            reply.metadata.response_code = ResponseCode::FormErr;
            return reply;
        };
        reply.add_query(query.clone());
        let name = query.name().to_lowercase();
        let is_own = in_domain(&name);
        reply.metadata.authoritative = is_own;
        // Only what lies outside is asked of others.
        reply.metadata.recursion_available = !is_own;
        let (code, addresses) = match self.known(query) {
            Answer::Addresses(all) => (ResponseCode::NoError, all),
            Answer::NoData => (ResponseCode::NoError, Vec::new()),
            Answer::NxDomain => (ResponseCode::NXDomain, Vec::new()),
            Answer::ServFail => (ResponseCode::ServFail, Vec::new()),
            Answer::Refused => (ResponseCode::Refused, Vec::new()),
        };
        reply.metadata.response_code = code;
        reply.add_answers(addresses.into_iter().filter_map(|address| record(query, address)));
        let is_negative = matches!(code, ResponseCode::NXDomain | ResponseCode::NoError) && reply.answers.is_empty();
        if is_negative && is_own {
            reply.add_authorities(authority());
        }
        reply
    }

    fn known(&self, query: &Query) -> Answer {
        let name = query.name().to_lowercase().to_ascii();
        let known = || (self.config.lookup)(name.trim_end_matches('.'), query.query_type());
        match self.faults.on() {
            Some(Fault::NxDomain) => Answer::NxDomain,
            Some(Fault::ServFail) => Answer::ServFail,
            Some(Fault::Refused) => Answer::Refused,
            Some(Fault::NoAddresses) => Answer::NoData,
            Some(Fault::WrongAddress) => match known() {
                Answer::Addresses(all) if !all.is_empty() => Answer::Addresses(vec![NOBODYS.into(), NOBODYS_6.into()]),
                other @ (Answer::Addresses(_)
                | Answer::NoData
                | Answer::NxDomain
                | Answer::ServFail
                | Answer::Refused) => other,
            },
            Some(Fault::Hangs | Fault::Closes) | None => known(),
        }
    }
}

fn in_domain(name: &Name) -> bool {
    let text = name.to_ascii();
    text == DOMAIN || text.strip_suffix(DOMAIN).is_some_and(|rest| rest.ends_with('.'))
}

/// An address as an answer, where it is of the kind that was asked for.
fn record(query: &Query, address: IpAddr) -> Option<Record> {
    let data = match (address, query.query_type()) {
        (IpAddr::V4(address), RecordType::A) => RData::A(address.into()),
        (IpAddr::V6(address), RecordType::AAAA) => RData::AAAA(address.into()),
        (IpAddr::V4(_) | IpAddr::V6(_), _) => return None,
    };
    Some(Record::from_rdata(query.name().clone(), LIVES, data))
}

/// Who says that there is nothing.
fn authority() -> Option<Record> {
    let name = |text: &str| Name::from_ascii(text).ok();
    let primary = name(&format!("ns.dns.{DOMAIN}"))?;
    let keeper = name(&format!("hostmaster.{DOMAIN}"))?;
    let soa = SOA::new(primary, keeper, 1, 7200, 1800, 86_400, LIVES);
    Some(Record::from_rdata(name(DOMAIN)?, LIVES, RData::SOA(soa)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::rehearsal::standins::StandIn;
    use crate::rehearsal::standins::conformance::{Connection, dial, dns_exchange};

    const NAMES: [&str; 5] = ["both.test.", "empty.test.", "none.test.", "lost.test.", "shut.test."];

    fn server() -> Arc<Server> {
        let lookup = |name: &str, _| match name {
            "both.test" => Answer::Addresses(vec![[10, 0, 0, 1].into(), Ipv6Addr::LOCALHOST.into()]),
            "empty.test" => Answer::NoData,
            "lost.test" => Answer::ServFail,
            "shut.test" => Answer::Refused,
            _ => Answer::NxDomain,
        };
        Arc::new(Server::new(Config { lookup: Arc::new(lookup) }))
    }

    /// The code and the addresses that a name is answered with.
    async fn asked(stream: &mut Connection, name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
        let answer = dns_exchange(stream, name, kind).await;
        let addresses = answer.answers.iter().filter_map(|record| record.data.ip_addr());
        (answer.metadata.response_code, addresses.map(|address| address.to_string()).collect())
    }

    #[tokio::test]
    async fn each_answer_is_told_apart_and_each_kind_of_address_has_its_own() {
        let mut stream = dial(&StandIn::Dns(server()));
        let none = Vec::<String>::new;
        for (name, kind, said) in [
            ("both.test.", RecordType::A, (ResponseCode::NoError, vec!["10.0.0.1".to_owned()])),
            ("Both.test.", RecordType::AAAA, (ResponseCode::NoError, vec!["::1".to_owned()])),
            ("both.test.", RecordType::TXT, (ResponseCode::NoError, none())),
            ("empty.test.", RecordType::A, (ResponseCode::NoError, none())),
            ("none.test.", RecordType::A, (ResponseCode::NXDomain, none())),
            ("lost.test.", RecordType::A, (ResponseCode::ServFail, none())),
            ("shut.test.", RecordType::A, (ResponseCode::Refused, none())),
        ] {
            assert_eq!(asked(&mut stream, name, kind).await, said, "{name}");
        }
    }

    #[tokio::test]
    async fn every_fault_shows_and_passes() {
        let server = server();
        let mut stream = dial(&StandIn::Dns(Arc::clone(&server)));
        let right = asked(&mut stream, NAMES[0], RecordType::A).await;
        for (fault, said) in [
            (Fault::NxDomain, (ResponseCode::NXDomain, Vec::new())),
            (Fault::ServFail, (ResponseCode::ServFail, Vec::new())),
            (Fault::Refused, (ResponseCode::Refused, Vec::new())),
            (Fault::NoAddresses, (ResponseCode::NoError, Vec::new())),
            (Fault::WrongAddress, (ResponseCode::NoError, vec!["192.0.2.1".to_owned()])),
        ] {
            server.inject(Some(fault));
            assert_eq!(asked(&mut stream, NAMES[0], RecordType::A).await, said);
            server.inject(None);
            assert_eq!(asked(&mut stream, NAMES[0], RecordType::A).await, right, "{fault:?}");
        }
        // A name without an address gets no wrong one.
        server.inject(Some(Fault::WrongAddress));
        for name in &NAMES[1..] {
            assert_eq!(asked(&mut stream, name, RecordType::A).await.1, Vec::<String>::new(), "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_broken_off_late_or_none_where_nothing_was_asked() {
        let server = server();
        server.inject(Some(Fault::Closes));
        let question = [0, 12, 0, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut stream = dial(&StandIn::Dns(Arc::clone(&server)));
        stream.write_all(&question).await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), 7);
        let mut stream = dial(&StandIn::Dns(Arc::clone(&server)));
        stream.write_all(b"\0\x03abc").await.unwrap();
        all.clear();
        stream.read_to_end(&mut all).await.unwrap();
        assert!(all.is_empty(), "{all:?}");
        server.inject(Some(Fault::Hangs));
        let mut stream = dial(&StandIn::Dns(Arc::clone(&server)));
        timeout(Duration::from_secs(60), asked(&mut stream, NAMES[0], RecordType::A)).await.unwrap_err();
    }
}
