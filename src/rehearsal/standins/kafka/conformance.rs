//! What is true of a Kafka broker and must be true of its stand-in, as a client sees it.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use indexmap::IndexMap;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition;
use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::describe_quorum_request::{PartitionData as QuorumPartition, TopicData as QuorumTopic};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData as Fetched;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, BrokerId, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
    CreateTopicsRequest, DeleteGroupsRequest, DeleteTopicsRequest, DescribeQuorumRequest, FetchRequest,
    FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    MetadataRequest, MetadataResponse, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, RequestHeader,
    ResponseHeader, SaslAuthenticateRequest, SaslHandshakeRequest, SyncGroupRequest, TopicName,
};
use kafka_protocol::protocol::{Decodable as _, Encodable, HeaderVersion as _, Request, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record, RecordBatchDecoder,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use crate::rehearsal::standins::conformance::{Connection, Login};

/// The longest that a broker may take for what it does in its own time: a topic that all know of, a group that somebody coordinates.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest that a connection may take to be ended.
const PARTING: Duration = Duration::from_secs(5);

/// In which version each question is asked, as the probe asks it.
const ASKED: [(ApiKey, i16); 14] = [
    (ApiKey::Metadata, 12),
    (ApiKey::DescribeQuorum, 2),
    (ApiKey::CreateTopics, 7),
    (ApiKey::DeleteTopics, 5),
    (ApiKey::Produce, 12),
    (ApiKey::Fetch, 12),
    (ApiKey::FindCoordinator, 3),
    (ApiKey::JoinGroup, 9),
    (ApiKey::SyncGroup, 5),
    (ApiKey::Heartbeat, 4),
    (ApiKey::OffsetCommit, 9),
    (ApiKey::OffsetFetch, 7),
    (ApiKey::LeaveGroup, 5),
    (ApiKey::DeleteGroups, 2),
];

/// A client that says nothing by itself.
pub(crate) struct Client(pub(crate) Connection);

impl Client {
    /// The answer; `None` where the broker ends the conversation.
    pub(crate) async fn ask<R: Request>(&mut self, question: &R, version: i16) -> Option<R::Response> {
        let mut said = BytesMut::new();
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(7);
        header.encode(&mut said, R::header_version(version)).unwrap();
        question.encode(&mut said, version.min(R::VERSIONS.max)).unwrap();
        let length = u32::try_from(said.len()).unwrap().to_be_bytes();
        self.0.write_all(&[&length[..], &said].concat()).await.ok()?;
        self.0.flush().await.ok()?;
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

    /// The answer in the version of [`ASKED`].
    async fn said<R: Request + std::fmt::Debug>(&mut self, question: &R) -> R::Response {
        let (_, version) = ASKED.iter().find(|(key, _)| *key as i16 == R::KEY).unwrap();
        let said = timeout(PATIENCE, self.ask(question, *version)).await;
        said.ok().flatten().unwrap_or_else(|| panic!("question {} is not answered: {question:?}", R::KEY))
    }

    /// The code that a login comes to; `None` where the broker ends the conversation.
    pub(crate) async fn login(&mut self, mechanism: &'static str, told: &str) -> Option<i16> {
        let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let code = self.ask(&handshake, 1).await?.error_code;
        if code != 0 {
            return Some(code);
        }
        let told = Bytes::from(told.to_owned());
        Some(self.ask(&SaslAuthenticateRequest::default().with_auth_bytes(told), 2).await?.error_code)
    }

    /// Whether the broker ends the conversation without a word.
    async fn is_left(&mut self) -> bool {
        timeout(PARTING, self.0.read(&mut [0; 8])).await.is_ok_and(|read| read.map_or(true, |bytes| bytes == 0))
    }
}

async fn entered(connect: &impl AsyncFn() -> Connection, login: Login<'_>) -> Client {
    let mut client = Client(connect().await);
    assert_eq!(client.login("PLAIN", &format!("\0{}\0{}", login.user, login.password)).await, Some(0));
    client
}

fn name(name: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(name))
}

fn code(error: ResponseError) -> i16 {
    error.code()
}

/// A Kafka 4.1 that lets in by name and password (SASL/PLAIN) hears nobody else.
pub(crate) async fn guards_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let (user, password) = (login.user, login.password);
    let failed = Some(code(ResponseError::SaslAuthenticationFailed));
    for (mechanism, told, said) in [
        ("PLAIN", format!("\0{user}\0{password}"), Some(0)),
        ("PLAIN", format!("\0{user}\0wrong"), failed),
        ("PLAIN", format!("\0nobody\0{password}"), failed),
        ("PLAIN", format!("{user} {password}"), failed),
        ("SCRAM-SHA-512", String::new(), Some(code(ResponseError::UnsupportedSaslMechanism))),
    ] {
        let mut client = Client(connect().await);
        assert_eq!(client.login(mechanism, &told).await, said, "{mechanism} {told:?}");
    }
    let mut stranger = Client(connect().await);
    assert!(stranger.ask(&ApiVersionsRequest::default(), 3).await.is_some(), "anybody may ask what it understands");
    assert!(stranger.ask(&MetadataRequest::default(), 12).await.is_none());
    let mut refused = Client(connect().await);
    refused.login("PLAIN", &format!("\0{user}\0wrong")).await;
    assert!(refused.ask(&MetadataRequest::default(), 12).await.is_none(), "it is shown the door");
}

/// A Kafka 4.1 says what it understands, and of which cluster it is; here one that is a cluster of its own.
pub(crate) async fn tells_of_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let mut client = Client(connect().await);
    let newer = client.ask(&ApiVersionsRequest::default(), 9).await.expect("a question that is too new is answered");
    assert_eq!(newer.error_code, code(ResponseError::UnsupportedVersion), "in the oldest form (KIP-511)");
    let unnamed = client.ask(&ApiVersionsRequest::default(), 3).await.unwrap();
    assert_eq!(unnamed.error_code, code(ResponseError::InvalidRequest), "by now a client has to say what it is");
    let named = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("seaworthy"))
        .with_client_software_version(StrBytes::from_static_str("0.1.0"));
    let takes = client.ask(&named, 3).await.unwrap();
    assert_eq!(takes.error_code, 0);
    for (key, version) in ASKED {
        let taken = takes.api_keys.iter().find(|taken| taken.api_key == key as i16);
        assert!(taken.is_some_and(|one| (one.min_version..=one.max_version).contains(&version)), "{key:?} {version}");
    }
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 1, 0], &[0xff; 8]] {
        let mut client = Client(connect().await);
        client.0.write_all(nonsense).await.unwrap();
        client.0.flush().await.unwrap();
        assert!(client.is_left().await, "{nonsense:?}");
    }
    let mut client = entered(&connect, login).await;
    let known = client.said(&MetadataRequest::default().with_topics(Some(Vec::new()))).await;
    let [broker] = known.brokers.as_slice() else { panic!("{:?}", known.brokers) };
    assert!(!broker.host.is_empty() && broker.port > 0);
    assert_eq!(known.controller_id, broker.node_id);
    // 16 bytes in base64 (`Uuid.toString`).
    assert_eq!(known.cluster_id.as_ref().map(|id| id.len()), Some(22));
    assert!(known.topics.is_empty(), "of no topics nothing is told");
    let metadata = QuorumTopic::default()
        .with_topic_name(name("__cluster_metadata"))
        .with_partitions(vec![QuorumPartition::default()]);
    let quorum = client.said(&DescribeQuorumRequest::default().with_topics(vec![metadata])).await;
    assert_eq!(quorum.error_code, 0);
    let [partition] = quorum.topics[0].partitions.as_slice() else { panic!("{:?}", quorum.topics) };
    assert_eq!((partition.error_code, partition.leader_id), (0, broker.node_id));
    let [voter] = partition.current_voters.as_slice() else { panic!("{:?}", partition.current_voters) };
    assert_eq!(voter.replica_id, broker.node_id);
    assert!(voter.last_caught_up_timestamp > 0 && voter.log_end_offset > 0);
}

async fn make(client: &mut Client, topic: CreatableTopic, is_trial: bool) -> CreatableTopicResult {
    let question =
        CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000).with_validate_only(is_trial);
    client.said(&question).await.topics.remove(0)
}

fn topic(of: &'static str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default().with_name(name(of)).with_num_partitions(partitions).with_replication_factor(replicas)
}

async fn told_of(client: &mut Client, topic: &'static str) -> MetadataResponse {
    let asked = MetadataRequestTopic::default().with_name(Some(name(topic)));
    client.said(&MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false)).await
}

/// The codes of a topic and of its partitions, once they are these.
async fn comes_to(client: &mut Client, topic: &'static str, wanted: (i16, &[i16])) -> MetadataResponse {
    let until = Instant::now() + PATIENCE;
    loop {
        let said = told_of(client, topic).await;
        let [one] = said.topics.as_slice() else { panic!("{:?}", said.topics) };
        let codes: Vec<i16> = one.partitions.iter().map(|partition| partition.error_code).collect();
        if (one.error_code, codes.as_slice()) == wanted {
            return said;
        }
        assert!(Instant::now() < until, "{topic} has {codes:?}, and {}", one.error_code);
        sleep(Duration::from_millis(50)).await;
    }
}

fn batch(values: &[&str]) -> Bytes {
    let record = |(offset, value): (i32, &&str)| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(offset),
        sequence: offset - 1,
        timestamp: jiff::Timestamp::now().as_millisecond(),
        key: None,
        value: Some(Bytes::from((*value).to_owned())),
        headers: IndexMap::new(),
    };
    let records: Vec<Record> = (0..).zip(values).map(record).collect();
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut batch, &records, &options).unwrap();
    batch.freeze()
}

/// The offset of the first record, or the code. Of a topic that was just made its broker may not have heard that it leads it.
async fn produce(client: &mut Client, of: &'static str, index: i32, records: Bytes) -> Result<i64, i16> {
    let until = Instant::now() + PATIENCE;
    loop {
        let said = produce_once(client, of, index, records.clone()).await;
        if said != Err(code(ResponseError::NotLeaderOrFollower)) || Instant::now() >= until {
            return said;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn produce_once(client: &mut Client, of: &'static str, index: i32, records: Bytes) -> Result<i64, i16> {
    let data = PartitionProduceData::default().with_index(index).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(name(of)).with_partition_data(vec![data]);
    let question = ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![topic]);
    let answer = client.said(&question).await;
    let result = &answer.responses[0].partition_responses[0];
    if result.error_code == 0 { Ok(result.base_offset) } else { Err(result.error_code) }
}

async fn fetch(client: &mut Client, of: &'static str, index: i32, offset: i64) -> Fetched {
    let partition = FetchPartition::default()
        .with_partition(index)
        .with_current_leader_epoch(-1)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name(of)).with_partitions(vec![partition]);
    let question = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(100)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let mut answer = client.said(&question).await;
    assert_eq!(answer.error_code, 0);
    answer.responses.remove(0).partitions.remove(0)
}

/// The records from this offset on, with their offsets. A broker sends whole batches, and may begin with what comes before.
fn read(fetched: Fetched, from: i64) -> Vec<(i64, String)> {
    let mut records = fetched.records.unwrap_or_default();
    let sets = RecordBatchDecoder::decode_all(&mut records).unwrap();
    let all = sets.into_iter().flat_map(|set| set.records).filter(|record| record.offset >= from);
    all.map(|record| (record.offset, String::from_utf8(record.value.unwrap().to_vec()).unwrap())).collect()
}

/// What a refusal says beside its code.
fn words(result: &CreatableTopicResult) -> String {
    result.error_message.as_ref().map_or(String::new(), |it| it.to_string())
}

async fn delete(client: &mut Client, of: &'static str) -> (i16, Option<String>) {
    let question = DeleteTopicsRequest::default().with_topic_names(vec![name(of)]).with_timeout_ms(10_000);
    let gone = client.said(&question).await.responses.remove(0);
    (gone.error_code, gone.error_message.map(|words| words.to_string()))
}

/// A Kafka 4.1 that is alone makes topics as it is told, and says what it cannot make; what is deleted is unknown.
pub(crate) async fn makes_topics(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    const NAME: &str = "conformance.topics";
    let mut client = entered(&connect, login).await;
    let unknown = code(ResponseError::UnknownTopicOrPartition);
    comes_to(&mut client, NAME, (unknown, &[])).await;
    let placed = |broker: i32| {
        let one = CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(broker)]);
        topic(NAME, -1, -1).with_assignments(vec![one])
    };
    for (asked, error, said) in [
        (
            topic(NAME, 1, 4),
            ResponseError::InvalidReplicationFactor,
            "Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot be reached because only 1 broker(s) are registered.",
        ),
        (
            topic(NAME, 0, 1),
            ResponseError::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            placed(99),
            ResponseError::InvalidReplicaAssignment,
            "The manual partition assignment includes broker 99, but no such broker is registered.",
        ),
        (
            placed(0).with_num_partitions(1),
            ResponseError::InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
        (
            placed(0).with_replication_factor(1),
            ResponseError::InvalidRequest,
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ),
    ] {
        let result = make(&mut client, asked, false).await;
        assert_eq!((result.error_code, words(&result).as_str()), (code(error), said));
    }
    assert_eq!(make(&mut client, topic(NAME, 2, 1), true).await.error_code, 0, "it could be made");
    comes_to(&mut client, NAME, (unknown, &[])).await;
    let made = make(&mut client, topic(NAME, 2, 1), false).await;
    assert_eq!((made.error_code, made.num_partitions, made.replication_factor), (0, 2, 1));
    let again = make(&mut client, topic(NAME, 2, 1), false).await;
    let there = (code(ResponseError::TopicAlreadyExists), "Topic 'conformance.topics' already exists.".to_owned());
    assert_eq!((again.error_code, words(&again)), there);
    let known = comes_to(&mut client, NAME, (0, &[0, 0])).await;
    let broker = known.brokers[0].node_id;
    for partition in &known.topics[0].partitions {
        let all = (partition.leader_id, &partition.replica_nodes, &partition.isr_nodes);
        assert_eq!(all, (broker, &vec![broker], &vec![broker]));
    }
    assert_eq!(delete(&mut client, NAME).await, (0, None));
    comes_to(&mut client, NAME, (unknown, &[])).await;
    let gone = (unknown, Some("This server does not host this topic-partition.".to_owned()));
    assert_eq!(delete(&mut client, NAME).await, gone);
}

/// A Kafka 4.1 keeps what is produced to it, in order, each partition by itself.
pub(crate) async fn keeps_records(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    const NAME: &str = "conformance.records";
    let mut client = entered(&connect, login).await;
    let unknown = code(ResponseError::UnknownTopicOrPartition);
    assert_eq!(make(&mut client, topic(NAME, 2, 1), false).await.error_code, 0);
    comes_to(&mut client, NAME, (0, &[0, 0])).await;
    assert_eq!(produce(&mut client, NAME, 0, batch(&["a", "b"])).await, Ok(0));
    assert_eq!(produce(&mut client, NAME, 0, batch(&["c"])).await, Ok(2));
    assert_eq!(produce(&mut client, NAME, 1, batch(&["d"])).await, Ok(0), "each partition counts for itself");
    assert_eq!(produce(&mut client, NAME, 9, batch(&["e"])).await, Err(unknown));
    let mut torn = batch(&["f"]).to_vec();
    *torn.last_mut().unwrap() ^= 1;
    assert_eq!(produce(&mut client, NAME, 0, torn.into()).await, Err(code(ResponseError::CorruptMessage)));
    let all = fetch(&mut client, NAME, 0, 0).await;
    assert_eq!((all.error_code, all.high_watermark, all.log_start_offset), (0, 3, 0));
    let value = |offset, value: &str| (offset, value.to_owned());
    assert_eq!(read(all, 0), [value(0, "a"), value(1, "b"), value(2, "c")]);
    assert_eq!(read(fetch(&mut client, NAME, 0, 1).await, 1), [value(1, "b"), value(2, "c")]);
    assert_eq!(read(fetch(&mut client, NAME, 0, 3).await, 3), [], "behind the last there is nothing yet");
    for (index, offset, error) in
        [(0, 99, ResponseError::OffsetOutOfRange), (9, 0, ResponseError::UnknownTopicOrPartition)]
    {
        let refused = fetch(&mut client, NAME, index, offset).await;
        assert_eq!((refused.error_code, refused.high_watermark), (code(error), -1), "{index} {offset}");
    }
    assert_eq!(delete(&mut client, NAME).await, (0, None));
}

/// What the members of a group tell each other: what they read, and who reads what. Of anything else a coordinator makes nothing, and does
/// not answer.
fn in_words(told: &impl Encodable) -> Bytes {
    let mut words = BytesMut::from(&[0, 0][..]);
    told.encode(&mut words, 0).unwrap();
    words.freeze()
}

fn subscription(of: &'static str) -> Bytes {
    in_words(&ConsumerProtocolSubscription::default().with_topics(vec![StrBytes::from_static_str(of)]))
}

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str("conformance.group"))
}

async fn join(client: &mut Client, of: &'static str, member: StrBytes) -> JoinGroupResponse {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(subscription(of));
    let question = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_member_id(member)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    client.said(&question).await
}

/// Waits until somebody coordinates the group, as soon as what it is kept in is there; who that is.
async fn coordinated(client: &mut Client) -> BrokerId {
    let until = Instant::now() + PATIENCE;
    let question = FindCoordinatorRequest::default().with_key(group().0);
    loop {
        let found = client.said(&question).await;
        if found.error_code == 0 {
            assert!(!found.host.is_empty() && found.port > 0);
            return found.node_id;
        }
        assert_eq!((found.error_code, found.node_id), (code(ResponseError::CoordinatorNotAvailable), BrokerId(-1)));
        assert!(Instant::now() < until, "nobody coordinates it");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A member that came for the first time and was given a name (KIP-394), and then came with it.
async fn joined(client: &mut Client, of: &'static str) -> JoinGroupResponse {
    let until = Instant::now() + PATIENCE;
    loop {
        let named = join(client, of, StrBytes::new()).await;
        if named.error_code == code(ResponseError::MemberIdRequired) {
            assert!(!named.member_id.is_empty());
            return join(client, of, named.member_id).await;
        }
        // What it coordinates it may be reading yet.
        let passing = [ResponseError::CoordinatorLoadInProgress, ResponseError::NotCoordinator].map(code);
        assert!(passing.contains(&named.error_code), "{}", named.error_code);
        assert!(Instant::now() < until, "it is not let in");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn beats(client: &mut Client, member: &StrBytes, generation: i32) -> i16 {
    let beat = HeartbeatRequest::default().with_group_id(group()).with_generation_id(generation);
    client.said(&beat.with_member_id(member.clone())).await.error_code
}

async fn commits(client: &mut Client, of: &'static str, member: &StrBytes, generation: i32, offset: i64) -> i16 {
    let one = OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default().with_name(name(of)).with_partitions(vec![one]);
    let question = OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(member.clone())
        .with_topics(vec![topic]);
    client.said(&question).await.topics[0].partitions[0].error_code
}

async fn committed(client: &mut Client, of: &'static str) -> i64 {
    let topic = OffsetFetchRequestTopic::default().with_name(name(of)).with_partition_indexes(vec![0]);
    let question = OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![topic]));
    let answer = client.said(&question).await;
    let kept = &answer.topics[0].partitions[0];
    assert_eq!((answer.error_code, kept.error_code), (0, 0));
    kept.committed_offset
}

/// A Kafka 4.1 lets consumers be a group (the classic protocol), keeps how far it has come, and forgets it when told.
pub(crate) async fn serves_groups(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    const NAME: &str = "conformance.groups";
    let mut client = entered(&connect, login).await;
    assert_eq!(make(&mut client, topic(NAME, 1, 1), false).await.error_code, 0);
    let known = comes_to(&mut client, NAME, (0, &[0])).await;
    assert_eq!(coordinated(&mut client).await, known.brokers[0].node_id);
    let member = joined(&mut client, NAME).await;
    assert_eq!((member.error_code, member.generation_id, &member.leader), (0, 1, &member.member_id));
    assert_eq!(member.protocol_name.as_ref().map(|name| name.as_str()), Some("range"));
    let [told] = member.members.as_slice() else { panic!("{:?}", member.members) };
    assert_eq!((&told.member_id, told.metadata.as_ref()), (&member.member_id, &subscription(NAME)[..]));
    let all = TopicPartition::default().with_topic(name(NAME)).with_partitions(vec![0]);
    let assignment = in_words(&ConsumerProtocolAssignment::default().with_assigned_partitions(vec![all]));
    let one = SyncGroupRequestAssignment::default()
        .with_member_id(member.member_id.clone())
        .with_assignment(assignment.clone());
    let question = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(member.generation_id)
        .with_member_id(member.member_id.clone())
        .with_protocol_type(member.protocol_type.clone())
        .with_protocol_name(member.protocol_name.clone())
        .with_assignments(vec![one]);
    let synced = client.said(&question).await;
    assert_eq!((synced.error_code, synced.assignment), (0, assignment));
    let (id, nobody) = (&member.member_id, &StrBytes::from_static_str("nobody"));
    let (illegal, stranger) = (code(ResponseError::IllegalGeneration), code(ResponseError::UnknownMemberId));
    for (who, generation, said) in [(id, 1, 0), (id, 7, illegal), (nobody, 1, stranger)] {
        assert_eq!(beats(&mut client, who, generation).await, said, "{who} {generation}");
    }
    assert_eq!(committed(&mut client, NAME).await, -1, "nothing yet");
    for (who, generation, said) in [(id, 7, illegal), (nobody, 1, stranger), (id, 1, 0)] {
        assert_eq!(commits(&mut client, NAME, who, generation, 5).await, said, "{who} {generation}");
    }
    assert_eq!(committed(&mut client, NAME).await, 5);
    let forget = DeleteGroupsRequest::default().with_groups_names(vec![group()]);
    let code_of = async |client: &mut Client| client.said(&forget).await.results[0].error_code;
    assert_eq!(code_of(&mut client).await, code(ResponseError::NonEmptyGroup));
    let leave = LeaveGroupRequest::default()
        .with_group_id(group())
        .with_members(vec![MemberIdentity::default().with_member_id(id.clone())]);
    for said in [0, stranger] {
        let left = client.said(&leave).await;
        assert_eq!((left.error_code, left.members[0].error_code), (0, said));
    }
    assert_eq!(beats(&mut client, id, 1).await, stranger);
    assert_eq!(code_of(&mut client).await, 0);
    assert_eq!(code_of(&mut client).await, code(ResponseError::GroupIdNotFound));
    assert_eq!(committed(&mut client, NAME).await, -1, "forgotten with the group");
    assert_eq!(delete(&mut client, NAME).await, (0, None));
}
