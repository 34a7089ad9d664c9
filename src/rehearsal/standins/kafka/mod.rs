//! A Kafka broker of version 4.1, with the others of its cluster: topics, records, groups, a quorum of controllers, a login.
//!
//! All brokers of a cluster share what they keep ([`Cluster`]), so a replica is in sync as long as its broker is there. Versions of
//! questions in which topics are numbered instead of named are not taken.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable as _, HeaderVersion, Request, decode_request_header_from_buffer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use self::login::Session;
use super::switch::Switch;

mod cluster;
mod config;
#[cfg(test)]
pub(crate) mod conformance;
mod fault;
mod groups;
mod login;
mod records;
#[cfg(test)]
mod tests;
mod topics;

pub(crate) use self::cluster::Cluster;
pub(crate) use self::config::{Config, NewTopic};
pub(crate) use self::fault::Fault;

/// The largest question that is taken, in bytes (`socket.request.max.bytes`).
const LARGEST: usize = 104_857_600;

/// A broker.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    cluster: Arc<Cluster>,
    faults: Switch<Fault>,
    stopped: watch::Sender<bool>,
}

/// What comes of a question.
enum Then {
    /// This is said.
    Say(Bytes),
    /// This is said, and the conversation is over.
    Last(Bytes),
    /// Nothing is ever said.
    Hush,
    /// The conversation is over without a word.
    Leave,
}

/// The head of a question.
#[derive(Clone, Copy)]
struct Head {
    key: ApiKey,
    version: i16,
    number: i32,
}

impl Head {
    /// An answer, behind its header.
    fn say<A: kafka_protocol::protocol::Encodable + HeaderVersion>(self, answer: &A) -> Then {
        self.say_as(self.version, answer)
    }

    fn say_as<A: kafka_protocol::protocol::Encodable + HeaderVersion>(self, version: i16, answer: &A) -> Then {
        let mut said = BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(self.number);
        let whole =
            header.encode(&mut said, A::header_version(version)).and_then(|()| answer.encode(&mut said, version));
        whole.map_or(Then::Leave, |()| Then::Say(said.freeze()))
    }
}

impl Server {
    /// A broker in order, that is registered with the others of this cluster.
    pub(crate) fn new(config: Config, cluster: &Arc<Cluster>) -> Self {
        cluster.register(&config);
        Self { config, cluster: Arc::clone(cluster), faults: Switch::off(), stopped: watch::Sender::new(false) }
    }

    /// Whether brokers that are told this are of its cluster.
    pub(crate) fn is_with(&self, config: &Config) -> bool {
        !config.quorum.is_empty() && self.config.quorum == config.quorum
    }

    /// What the brokers of its cluster share.
    pub(crate) const fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Switches a fault on, or off what is on.
    pub(crate) fn inject(&self, fault: Option<Fault>) {
        self.faults.turn(fault);
    }

    /// Ends every connection and answers no more; others lead what it has led.
    pub(crate) fn stop(&self) {
        if !self.stopped.send_replace(true) {
            self.cluster.unregister(self.config.node, self.faults.on());
        }
    }

    /// Serves one connection until either side ends it, or the broker is stopped.
    ///
    /// # Errors
    /// The stream's own.
    pub(crate) async fn serve<S>(&self, mut stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut stopped = self.stopped.subscribe();
        let talk = async {
            if self.faults.is(Fault::NotKafka) {
                return super::speak_http(&mut stream).await;
            }
            self.talk(&mut stream).await
        };
        tokio::select! {
            ended = talk => ended,
            _ = stopped.wait_for(|stopped| *stopped) => Ok(()),
        }
    }

    async fn talk<S>(&self, stream: &mut S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut session = Session::new(self.config.users.is_empty());
        loop {
            let mut length = [0; 4];
            if let Err(error) = stream.read_exact(&mut length).await {
                return if error.kind() == io::ErrorKind::UnexpectedEof { stream.shutdown().await } else { Err(error) };
            }
            // What is longer, or no length, ends the conversation (`NetworkReceive`).
            let size = usize::try_from(i32::from_be_bytes(length)).ok().filter(|size| *size <= LARGEST);
            let Some(size) = size else { return stream.shutdown().await };
            let mut question = vec![0; size];
            stream.read_exact(&mut question).await?;
            self.faults.outlast(Fault::Hangs).await;
            let (said, ends) = match self.answer(&mut session, Bytes::from(question)) {
                Then::Say(said) => (said, false),
                Then::Last(said) => (said, true),
                Then::Hush => std::future::pending().await,
                Then::Leave => return stream.shutdown().await,
            };
            let length = u32::try_from(said.len()).map_err(io::Error::other)?;
            let said = [&length.to_be_bytes()[..], &said].concat();
            if self.faults.is(Fault::ClosesMidReply) {
                stream.write_all(&said[..said.len() / 2]).await?;
                return stream.shutdown().await;
            }
            stream.write_all(&said).await?;
            stream.flush().await?;
            if ends {
                return stream.shutdown().await;
            }
        }
    }

    fn answer(&self, session: &mut Session, mut question: Bytes) -> Then {
        // The codec counts on these being there.
        if question.len() < 8 {
            return Then::Leave;
        }
        let Ok(header) = decode_request_header_from_buffer(&mut question) else { return Then::Leave };
        let RequestHeader { request_api_key, request_api_version: version, correlation_id: number, .. } = header;
        let Ok(key) = ApiKey::try_from(request_api_key) else { return Then::Leave };
        let head = Head { key, version, number };
        if key == ApiKey::ApiVersions {
            return self.versions(head, &mut question);
        }
        let takes =
            self.taken().into_iter().any(|(taken, least, most)| taken == key && (least..=most).contains(&version));
        // Who has not logged in is not told what else is wrong.
        if !takes || !(session.is_in() || matches!(key, ApiKey::SaslHandshake | ApiKey::SaslAuthenticate)) {
            return Then::Leave;
        }
        self.take(head, session, &mut question).unwrap_or(Then::Leave)
    }

    /// `None` where the question cannot be read.
    #[expect(clippy::wildcard_enum_match_arm, reason = "Kafka has five times as many questions as are taken here")]
    fn take(&self, head: Head, session: &mut Session, question: &mut Bytes) -> Option<Then> {
        fn read<R: Request>(head: Head, question: &mut Bytes) -> Option<R> {
            Decodable::decode(question, head.version).ok()
        }
        Some(match head.key {
            ApiKey::SaslHandshake => self.handshake(head, session, &read(head, question)?),
            ApiKey::SaslAuthenticate => self.authenticate(head, session, &read(head, question)?),
            ApiKey::Metadata => self.metadata(head, &read(head, question)?),
            ApiKey::DescribeQuorum => self.quorum(head),
            ApiKey::CreateTopics => self.create_topics(head, &read(head, question)?),
            ApiKey::DeleteTopics => self.delete_topics(head, &read(head, question)?),
            ApiKey::Produce => self.produce(head, &read(head, question)?),
            ApiKey::Fetch => self.fetch(head, &read(head, question)?),
            ApiKey::FindCoordinator => self.find_coordinator(head, &read(head, question)?),
            ApiKey::JoinGroup => self.join_group(head, read(head, question)?),
            ApiKey::SyncGroup => self.sync_group(head, &read(head, question)?),
            ApiKey::Heartbeat => self.heartbeat(head, &read(head, question)?),
            ApiKey::LeaveGroup => self.leave_group(head, &read(head, question)?),
            ApiKey::OffsetCommit => self.offset_commit(head, &read(head, question)?),
            ApiKey::OffsetFetch => self.offset_fetch(head, &read(head, question)?),
            ApiKey::DeleteGroups => self.delete_groups(head, &read(head, question)?),
            _ => return None,
        })
    }
}
