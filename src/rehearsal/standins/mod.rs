//! Servers that speak the real protocol behind a workload's ports.
//!
//! Each serves one byte stream that is already open, and models what a client could see of the real server: its replies,
//! its error codes, its words. Each has faults that can be switched on and off while connections are open.
//!
//! - [`redis`]: a Redis 7, alone, in replication, or as a Sentinel.
//! - [`postgres`]: a PostgreSQL with tables, transactions and a login.
//! - [`clickhouse`]: a ClickHouse with tables and a login, over HTTP.
//! - [`kafka`]: a broker of a Kafka 4.1, with topics, groups and a login.
//! - [`s3`]: a MinIO with a key, buckets and objects.
//! - [`pgadmin`]: a pgAdmin 9 with its login page, sessions and a list of servers.
//! - [`neo4j`]: a Neo4j 5 with nodes and a login, over HTTP and Bolt.
//! - [`temporal`]: a Temporal with namespaces and workflows, over gRPC.
//! - [`http`]: pages by path.
//! - [`dns`]: names over TCP.
//! - [`echo`]: any other port.
//! - [`switch`]: the fault that is on.
//! - [`tls`]: what is spoken over TLS, and with which certificate.
//! - [`words`]: what is said instead of what should be.
//!
//! What is true of a stand-in is held against the real server's client by `conformance`, whose claims hold of the real
//! server as well.

use std::io;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) mod clickhouse;
pub(crate) mod dns;
pub(crate) mod echo;
pub(crate) mod http;
pub(crate) mod kafka;
pub(crate) mod neo4j;
pub(crate) mod pgadmin;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod s3;
pub(crate) mod switch;
pub(crate) mod temporal;
pub(crate) mod tls;
pub(crate) mod words;

#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
mod genuine;
#[cfg(test)]
mod tests;

/// What answers behind a port.
#[derive(Clone, Debug)]
pub(crate) enum StandIn {
    /// A Redis server.
    Redis(Arc<redis::Server>),
    /// A PostgreSQL server.
    Postgres(Arc<postgres::Server>),
    /// A ClickHouse server.
    Clickhouse(Arc<clickhouse::Server>),
    /// A Kafka broker.
    Kafka(Arc<kafka::Server>),
    /// An S3 server.
    S3(Arc<s3::Server>),
    /// A pgAdmin.
    Pgadmin(Arc<pgadmin::Server>),
    /// A Neo4j.
    Neo4j(Arc<neo4j::Server>),
    /// A Temporal.
    Temporal(Arc<temporal::Server>),
    /// A web server.
    Http(Arc<http::Server>),
    /// A DNS server, over TCP.
    Dns(Arc<dns::Server>),
    /// A server that sends back what it is sent.
    Echo(Arc<echo::Server>),
}

impl StandIn {
    /// Serves one connection until either side ends it.
    ///
    /// # Errors
    /// The stream's own: a client that leaves within a request is one as well.
    pub(crate) async fn serve<S>(&self, stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        match self {
            Self::Redis(server) => server.serve(stream).await,
            Self::Postgres(server) => server.serve(stream).await,
            Self::Clickhouse(server) => server.serve(stream).await,
            Self::Kafka(server) => server.serve(stream).await,
            Self::S3(server) => server.serve(stream).await,
            Self::Pgadmin(server) => server.serve(stream).await,
            Self::Neo4j(server) => server.serve(stream).await,
            Self::Temporal(server) => server.serve(stream).await,
            Self::Http(server) => server.serve(stream).await,
            Self::Dns(server) => server.serve(stream).await,
            Self::Echo(server) => server.serve(stream).await,
        }
    }

    /// The names of all faults that it knows.
    pub(crate) fn faults(&self) -> Vec<&'static str> {
        match self {
            Self::Redis(_) => redis::Fault::ALL.iter().map(|fault| fault.name()).collect(),
            Self::Postgres(_) => postgres::Fault::ALL.iter().map(|fault| fault.name()).collect(),
            Self::Clickhouse(_) => clickhouse::Fault::ALL.iter().map(|fault| fault.name()).collect(),
            Self::Kafka(_) => kafka::Fault::ALL.iter().map(|fault| fault.name()).collect(),
            Self::S3(_) => s3::Fault::ALL.iter().map(|fault| fault.name()).collect(),
            Self::Pgadmin(_) => pgadmin::Fault::ALL.iter().map(|fault| fault.name()).collect(),
            Self::Neo4j(_) => neo4j::Fault::ALL.iter().map(|fault| fault.name()).collect(),
            Self::Temporal(_) => temporal::Fault::ALL.iter().map(|fault| fault.name()).collect(),
            Self::Http(_) => http::Fault::ALL.iter().map(|fault| fault.name()).collect(),
            Self::Dns(_) => dns::Fault::ALL.iter().map(|fault| fault.name()).collect(),
            Self::Echo(_) => echo::Fault::ALL.iter().map(|fault| fault.name()).collect(),
        }
    }

    /// Switches the fault of this name on, or with `None` the one that is on off. Open connections see it too.
    ///
    /// # Errors
    /// Where it knows no fault of this name; nothing is changed then.
    pub(crate) fn inject(&self, name: Option<&str>) -> Result<(), UnknownFault> {
        match self {
            Self::Redis(server) => server.inject(find(redis::Fault::ALL, redis::Fault::name, name)?),
            Self::Postgres(server) => server.inject(find(postgres::Fault::ALL, postgres::Fault::name, name)?),
            Self::Clickhouse(server) => server.inject(find(clickhouse::Fault::ALL, clickhouse::Fault::name, name)?),
            Self::Kafka(server) => server.inject(find(kafka::Fault::ALL, kafka::Fault::name, name)?),
            Self::S3(server) => server.inject(find(s3::Fault::ALL, s3::Fault::name, name)?),
            Self::Pgadmin(server) => server.inject(find(pgadmin::Fault::ALL, pgadmin::Fault::name, name)?),
            Self::Neo4j(server) => server.inject(find(neo4j::Fault::ALL, neo4j::Fault::name, name)?),
            Self::Temporal(server) => server.inject(find(temporal::Fault::ALL, temporal::Fault::name, name)?),
            Self::Http(server) => server.inject(find(http::Fault::ALL, http::Fault::name, name)?),
            Self::Dns(server) => server.inject(find(dns::Fault::ALL, dns::Fault::name, name)?),
            Self::Echo(server) => server.inject(find(echo::Fault::ALL, echo::Fault::name, name)?),
        }
        Ok(())
    }
}

/// A name that is no fault's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownFault(pub(crate) String);

fn find<F: Copy>(all: &[F], name_of: fn(F) -> &'static str, name: Option<&str>) -> Result<Option<F>, UnknownFault> {
    let Some(name) = name else { return Ok(None) };
    match all.iter().find(|fault| name_of(**fault) == name) {
        Some(fault) => Ok(Some(*fault)),
        None => Err(UnknownFault(name.to_owned())),
    }
}

/// HMAC with SHA-256 (RFC 2104) of some parts, one after the other.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("a key of any length will do"));
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Answers the first bytes that come as a web server does that was sent nonsense, and ends the connection.
async fn speak_http<S>(mut stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let _count = stream.read(&mut [0; 1024]).await?;
    let head =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 16\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(b"400 Bad Request\n").await?;
    stream.shutdown().await
}
