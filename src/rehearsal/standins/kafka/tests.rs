//! A login, faults and a broker that goes, as a client sees them.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DescribeQuorumRequest, FindCoordinatorRequest, MetadataRequest,
    MetadataResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslHandshakeRequest, TopicName,
};
use kafka_protocol::protocol::{Decodable as _, Encodable as _, HeaderVersion as _, Request, StrBytes};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Duration, timeout};

use super::config::User;
use super::{Cluster, Config, Fault, NewTopic, Server};
use crate::rehearsal::standins::StandIn;
use crate::rehearsal::standins::conformance::{Connection, dial};

struct Client(Connection);

impl Client {
    fn of(server: &Arc<Server>) -> Self {
        Self(dial(&StandIn::Kafka(Arc::clone(server))))
    }

    /// The answer; `None` where the broker ends the conversation.
    async fn ask<R: Request>(&mut self, question: &R, version: i16) -> Option<R::Response> {
        let mut said = BytesMut::new();
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(7);
        header.encode(&mut said, R::header_version(version)).unwrap();
        question.encode(&mut said, version.min(R::VERSIONS.max)).unwrap();
        let length = u32::try_from(said.len()).unwrap().to_be_bytes();
        self.0.write_all(&[&length[..], &said].concat()).await.ok()?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length).await.ok()?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer).await.ok()?;
        let mut answer = Bytes::from(answer);
        // What a broker does not know is answered in the oldest form.
        let version = if version > R::VERSIONS.max { 0 } else { version };
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, 7);
        let decoded = R::Response::decode(&mut answer, version).unwrap();
        assert!(!answer.has_remaining());
        Some(decoded)
    }

    async fn login(&mut self, mechanism: &'static str, told: &str) -> Option<i16> {
        let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let code = self.ask(&handshake, 1).await?.error_code;
        if code != 0 {
            return Some(code);
        }
        let told = Bytes::from(told.to_owned());
        Some(self.ask(&SaslAuthenticateRequest::default().with_auth_bytes(told), 2).await?.error_code)
    }
}

fn alone(users: &[(&str, &str)]) -> Arc<Server> {
    let user = |(name, password): &(&str, &str)| User { name: (*name).to_owned(), password: (*password).to_owned() };
    Arc::new(Server::new(Config { users: users.iter().map(user).collect(), ..Config::default() }, &Arc::default()))
}

fn three() -> Vec<Arc<Server>> {
    let cluster = Arc::<Cluster>::default();
    let broker = |node| {
        let quorum = "0@a:9093,1@b:9093,2@c:9093".to_owned();
        Arc::new(Server::new(Config { node, host: format!("kafka-{node}"), quorum, ..Config::default() }, &cluster))
    };
    (0..3).map(broker).collect()
}

fn name(name: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(name))
}

async fn make(client: &mut Client, replicas: i16) -> (i16, String) {
    let topic = CreatableTopic::default().with_name(name("t")).with_num_partitions(3).with_replication_factor(replicas);
    let answer = client.ask(&CreateTopicsRequest::default().with_topics(vec![topic]), 7).await.unwrap();
    let said = answer.topics[0].error_message.as_ref().map_or_else(String::new, |words| words.to_string());
    (answer.topics[0].error_code, said)
}

async fn metadata(client: &mut Client) -> MetadataResponse {
    let topic = MetadataRequestTopic::default().with_name(Some(name("t")));
    client.ask(&MetadataRequest::default().with_topics(Some(vec![topic])), 12).await.unwrap()
}

#[tokio::test]
async fn a_broker_lets_in_whoever_has_the_password_and_talks_to_nobody_else() {
    let server = alone(&[("app", "secret")]);
    let failed = Some(ResponseError::SaslAuthenticationFailed.code());
    for (mechanism, told, code) in [
        ("PLAIN", "\0app\0secret", Some(0)),
        ("PLAIN", "\0app\0wrong", failed),
        ("PLAIN", "\0nobody\0secret", failed),
        ("PLAIN", "app secret", failed),
        ("SCRAM-SHA-512", "", Some(ResponseError::UnsupportedSaslMechanism.code())),
    ] {
        assert_eq!(Client::of(&server).login(mechanism, told).await, code, "{mechanism} {told:?}");
    }
    let mut stranger = Client::of(&server);
    assert!(stranger.ask(&ApiVersionsRequest::default(), 3).await.is_some());
    assert!(stranger.ask(&MetadataRequest::default(), 12).await.is_none());
    let mut refused = Client::of(&server);
    refused.login("PLAIN", "\0app\0wrong").await;
    assert!(refused.ask(&ApiVersionsRequest::default(), 3).await.is_none(), "it is shown the door");
    let illegal = Some(ResponseError::IllegalSaslState.code());
    assert_eq!(Client::of(&alone(&[])).login("PLAIN", "").await, illegal, "nobody has to log in there");
}

#[tokio::test]
async fn what_is_too_new_is_answered_in_the_oldest_form_or_not_at_all() {
    let server = alone(&[]);
    let answer = Client::of(&server).ask(&ApiVersionsRequest::default(), 9).await;
    assert_eq!(answer.unwrap().error_code, ResponseError::UnsupportedVersion.code());
    let mut client = Client::of(&server);
    assert!(client.ask(&FindCoordinatorRequest::default(), 4).await.is_none());
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 1, 0], &[0xff; 8]] {
        let mut client = Client::of(&server);
        client.0.write_all(nonsense).await.unwrap();
        assert_eq!(client.0.read(&mut [0; 8]).await.unwrap(), 0, "{nonsense:?}");
    }
}

#[tokio::test]
async fn brokers_of_a_cluster_share_what_they_keep_and_lead_in_the_place_of_one_that_is_gone() {
    let all = three();
    let mut client = Client::of(&all[0]);
    let (code, said) = make(&mut client, 4).await;
    assert_eq!(code, ResponseError::InvalidReplicationFactor.code());
    assert!(said.ends_with("factor of 4 cannot be reached because only 3 broker(s) are registered."), "{said}");
    assert_eq!(make(&mut client, 3).await, (0, String::new()));
    assert_eq!(make(&mut client, 3).await.0, ResponseError::TopicAlreadyExists.code());
    let leaders = |metadata: &MetadataResponse| {
        let partitions = metadata.topics[0].partitions.iter();
        partitions.map(|one| (one.leader_id.0, one.isr_nodes.len())).collect::<Vec<_>>()
    };
    let mut other = Client::of(&all[2]);
    assert_eq!(leaders(&metadata(&mut other).await), [(0, 3), (1, 3), (2, 3)]);
    all[1].stop();
    assert_eq!(leaders(&metadata(&mut other).await), [(0, 2), (2, 2), (2, 2)]);
    let quorum = other.ask(&DescribeQuorumRequest::default(), 2).await.unwrap();
    let voters = &quorum.topics[0].partitions[0].current_voters;
    assert_eq!(voters.iter().filter(|voter| voter.last_caught_up_timestamp < 0).count(), 1);
    all[0].stop();
    let question = DescribeQuorumRequest::default();
    let asked = timeout(Duration::from_millis(50), other.ask(&question, 2)).await;
    assert!(asked.is_err(), "one of three is no quorum, and nobody is there to answer");
}

#[tokio::test]
async fn a_group_has_a_coordinator_once_there_is_a_topic_to_keep_it_in() {
    let server = alone(&[]);
    let mut client = Client::of(&server);
    let question = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("g"));
    let codes =
        [client.ask(&question, 3).await.unwrap().error_code, client.ask(&question, 3).await.unwrap().error_code];
    assert_eq!(codes, [ResponseError::CoordinatorNotAvailable.code(), 0]);
    server.inject(Some(Fault::NoCoordinator));
    assert_eq!(client.ask(&question, 3).await.unwrap().error_code, ResponseError::CoordinatorNotAvailable.code());
    server.inject(None);
    assert_eq!(client.ask(&question, 3).await.unwrap().error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_comes_back_follows_and_what_goes_wrong_with_its_successor_shows() {
    let leader =
        async |all: &[Arc<Server>]| metadata(&mut Client::of(&all[2])).await.topics[0].partitions[0].leader_id.0;
    for (fault, after, late, back) in [
        (None, 1, 1, 1),
        (Some(Fault::NeverElects), -1, -1, 0),
        (Some(Fault::ElectsLate), -1, 1, 1),
        (Some(Fault::LeadsEmpty), 1, 1, 1),
    ] {
        let all = three();
        make(&mut Client::of(&all[0]), 3).await;
        all[0].inject(fault);
        all[0].stop();
        assert_eq!(leader(&all).await, after, "{fault:?}");
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(leader(&all).await, late, "{fault:?}");
        let config = Config { node: 0, host: "kafka-0".to_owned(), ..Config::default() };
        let _again = Server::new(config, all[2].cluster());
        assert_eq!(leader(&all).await, back, "{fault:?}");
    }
}

#[test]
fn a_topic_that_is_declared_before_all_brokers_are_there_is_on_each_of_them_in_the_end() {
    let object = json!({ "metadata": { "name": "orders" }, "spec": { "partitions": 2, "replicas": 3 } });
    let topic = NewTopic::declared(&object).unwrap();
    assert_eq!((topic.name.as_str(), topic.partitions, topic.replicas), ("orders", 2, 3));
    let cluster = Arc::<Cluster>::default();
    let on = |cluster: &Arc<Cluster>| -> Vec<usize> {
        let state = cluster.state();
        let partitions = state.topics.get("orders").map(|topic| topic.partitions.as_slice()).unwrap_or_default();
        partitions.iter().map(|one| one.replicas.iter().collect::<BTreeSet<_>>().len()).collect()
    };
    cluster.declare(&topic);
    assert!(on(&cluster).is_empty(), "on whom?");
    for node in 0..3 {
        drop(Server::new(Config { node, ..Config::default() }, &cluster));
        cluster.declare(&topic);
        let there = usize::try_from(node).unwrap() + 1;
        assert_eq!(on(&cluster), [there, there]);
    }
    let named = json!({ "metadata": { "name": "a" }, "spec": { "topicName": "A.b" } });
    assert_eq!(NewTopic::declared(&named), Some(NewTopic { name: "A.b".to_owned(), partitions: 1, replicas: 1 }));
}
