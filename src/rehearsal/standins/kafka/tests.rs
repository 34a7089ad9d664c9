//! A login, faults and a broker that goes, as a client sees them.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    CreateTopicsRequest, DescribeQuorumRequest, FindCoordinatorRequest, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use serde_json::json;
use tokio::time::{Duration, timeout};

use super::config::User;
use super::conformance::{self, Client};
use super::{Cluster, Config, Fault, NewTopic, Server};
use crate::rehearsal::standins::StandIn;
use crate::rehearsal::standins::conformance::{Login, dial};

fn talk_to(server: &Arc<Server>) -> Client {
    Client(dial(&StandIn::Kafka(Arc::clone(server))))
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

#[tokio::test(start_paused = true)]
async fn a_broker_is_as_the_real_one() {
    let login = Login { user: "app", password: "secret", database: "" };
    let server = alone(&[(login.user, login.password)]);
    let to = || async { dial(&StandIn::Kafka(Arc::clone(&server))) };
    conformance::guards_itself(to, login).await;
    conformance::tells_of_itself(to, login).await;
    conformance::makes_topics(to, login).await;
    conformance::keeps_records(to, login).await;
    conformance::serves_groups(to, login).await;
}

#[tokio::test]
async fn nobody_logs_in_where_nobody_has_to_and_what_is_too_new_is_not_answered() {
    let server = alone(&[]);
    let illegal = Some(ResponseError::IllegalSaslState.code());
    assert_eq!(talk_to(&server).login("PLAIN", "").await, illegal);
    assert!(talk_to(&server).ask(&FindCoordinatorRequest::default(), 4).await.is_none());
}

#[tokio::test]
async fn brokers_of_a_cluster_share_what_they_keep_and_lead_in_the_place_of_one_that_is_gone() {
    let all = three();
    let mut client = talk_to(&all[0]);
    let (code, said) = make(&mut client, 4).await;
    assert_eq!(code, ResponseError::InvalidReplicationFactor.code());
    assert!(said.ends_with("factor of 4 cannot be reached because only 3 broker(s) are registered."), "{said}");
    assert_eq!(make(&mut client, 3).await, (0, String::new()));
    assert_eq!(make(&mut client, 3).await.0, ResponseError::TopicAlreadyExists.code());
    let leaders = |metadata: &MetadataResponse| {
        let partitions = metadata.topics[0].partitions.iter();
        partitions.map(|one| (one.leader_id.0, one.isr_nodes.len())).collect::<Vec<_>>()
    };
    let mut other = talk_to(&all[2]);
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
    let mut client = talk_to(&server);
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
    let leader = async |all: &[Arc<Server>]| metadata(&mut talk_to(&all[2])).await.topics[0].partitions[0].leader_id.0;
    for (fault, after, late, back) in [
        (None, 1, 1, 1),
        (Some(Fault::NeverElects), -1, -1, 0),
        (Some(Fault::ElectsLate), -1, 1, 1),
        (Some(Fault::LeadsEmpty), 1, 1, 1),
    ] {
        let all = three();
        make(&mut talk_to(&all[0]), 3).await;
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
