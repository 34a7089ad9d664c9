//! Against a broker on loopback that misbehaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_quorum_response as quorum;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{OffsetFetchResponsePartition, OffsetFetchResponseTopic};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, CreateTopicsRequest, CreateTopicsResponse, DeleteGroupsRequest,
    DeleteGroupsResponse, DeleteTopicsRequest, DeleteTopicsResponse, DescribeQuorumResponse, FetchResponse,
    FindCoordinatorResponse, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupResponse,
    MetadataRequest, MetadataResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchResponse, ProduceRequest,
    ProduceResponse, ResponseHeader, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeResponse,
    SyncGroupRequest, SyncGroupResponse, TopicName,
};
use kafka_protocol::protocol::{
    Decodable, Encodable, HeaderVersion, StrBytes, decode_request_header_from_buffer as header_of,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::ours::REMOVE;
use super::proof::WRITE;
use crate::checks::Verdict;
use crate::probes::stand::{
    Heard, Stand, actual, closed_port, for_web_test, look, serve, stands_when_dropped, trusting,
};

const PASSWORD: &str = "not-to-be-seen";

/// What it does instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    OlderThanTheQuestion,
    NoVersions,
    AnotherNumber,
    Huge,
    Cut,
    Hangs,
    HangsForOthers,
    HangsAtProduce,
    WrongPassword,
    NoLogin,
    UnsureOfThePassword,
    ElsewherePort,
    NoPort,
    Voterless,
    NoQuorum,
    Leaderless,
    RefusesTopics,
    RefusesRecords,
    LosesRecords,
    NoBatch,
    ForeignLeader,
    AssignsNothing,
    Rebalances,
    ForgetsOffsets,
    KeepsAll,
}

/// One broker, and what it has been told.
#[derive(Clone)]
struct Broker {
    fault: Fault,
    heard: Heard,
    port: Arc<Mutex<i32>>,
    kept: Arc<Mutex<(Bytes, BTreeMap<i32, i64>)>>,
}

impl Broker {
    async fn start(fault: Fault) -> Self {
        let broker = Self { fault, heard: Heard::default(), port: Arc::default(), kept: Arc::default() };
        let served = broker.clone();
        broker.at(serve(move |stream| served.clone().talk(stream)).await).await
    }

    /// One in order that speaks TLS.
    async fn start_over_tls() -> Self {
        let broker = Self { fault: Fault::None, heard: Heard::default(), port: Arc::default(), kept: Arc::default() };
        let served = broker.clone();
        let talk = async |served: Self, stream| served.talk(for_web_test().accept(stream).await?).await;
        broker.at(serve(move |stream| talk(served.clone(), stream)).await).await
    }

    async fn at(self, port: u16) -> Self {
        let (broker, fault) = (&self, self.fault);
        let mut advertised = i32::from(port);
        if fault == Fault::ElsewherePort {
            advertised = i32::from(closed_port().await);
        } else if fault == Fault::NoPort {
            advertised = 70_000;
        }
        *broker.port.lock().unwrap() = advertised;
        broker.heard.note(port.to_string());
        self
    }

    fn check(&self, more: &str) -> String {
        let port = self.heard.all()[0].clone();
        format!(
            "kafka: {{at: 'host/127.0.0.1:{port}', user: app, password: {{value: {PASSWORD}}}, mechanism: plain, {more}}}"
        )
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S) -> std::io::Result<()> {
        let questions = self.heard.all().len();
        if self.fault == Fault::HangsForOthers && questions > 3 {
            std::future::pending::<()>().await;
        }
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length).await?;
            let mut question = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
            stream.read_exact(&mut question).await?;
            let mut question = Bytes::from(question);
            let header = header_of(&mut question).unwrap();
            let key = ApiKey::try_from(header.request_api_key).unwrap();
            self.heard.note(format!("{key:?}"));
            let hangs = self.fault == Fault::Hangs
                || (self.fault == Fault::HangsAtProduce && key == ApiKey::Produce)
                || (self.fault == Fault::NoQuorum && key == ApiKey::DescribeQuorum);
            if hangs {
                std::future::pending::<()>().await;
            }
            let mut said =
                Said { number: header.correlation_id, version: header.request_api_version, bytes: BytesMut::new() };
            if self.fault == Fault::AnotherNumber {
                said.number += 1;
            }
            self.answer(key, &mut question, &mut said);
            let size = if self.fault == Fault::Huge { i32::MAX } else { i32::try_from(said.bytes.len()).unwrap() };
            let all = [&size.to_be_bytes()[..], &said.bytes].concat();
            let cut = if self.fault == Fault::Cut { all.len() / 2 } else { all.len() };
            stream.write_all(&all[..cut]).await?;
            if cut < all.len() {
                return Ok(());
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "Kafka has many more questions")]
    fn answer(&self, key: ApiKey, question: &mut Bytes, said: &mut Said) {
        match key {
            ApiKey::ApiVersions => self.versions(said),
            ApiKey::SaslHandshake if self.fault == Fault::NoLogin => {
                said.say(&SaslHandshakeResponse::default().with_error_code(ResponseError::IllegalSaslState.code()));
            }
            ApiKey::SaslHandshake => said.say(&SaslHandshakeResponse::default()),
            ApiKey::SaslAuthenticate => self.login(&said.read(question), said),
            ApiKey::Metadata => self.metadata(&said.read(question), said),
            ApiKey::DescribeQuorum => self.quorum(said),
            ApiKey::CreateTopics | ApiKey::DeleteTopics | ApiKey::DeleteGroups => self.change(key, question, said),
            ApiKey::Produce | ApiKey::Fetch => self.records(key, question, said),
            ApiKey::FindCoordinator => said.say(&FindCoordinatorResponse::default()),
            ApiKey::JoinGroup | ApiKey::SyncGroup => self.join(key, question, said),
            ApiKey::OffsetCommit | ApiKey::OffsetFetch => self.offsets(key, question, said),
            ApiKey::Heartbeat => {
                let code = if self.fault == Fault::Rebalances { ResponseError::RebalanceInProgress.code() } else { 0 };
                said.say(&HeartbeatResponse::default().with_error_code(code));
            }
            ApiKey::LeaveGroup => said.say(&LeaveGroupResponse::default()),
            other => panic!("{other:?} was not expected"),
        }
    }

    fn versions(&self, said: &mut Said) {
        let keys = ApiKey::iter().map(|key| {
            let versions = key.valid_versions();
            let most = if self.fault == Fault::NoVersions && key == ApiKey::Metadata { -1 } else { versions.max };
            ApiVersion::default().with_api_key(key as i16).with_min_version(versions.min).with_max_version(most)
        });
        let answer = ApiVersionsResponse::default().with_api_keys(keys.collect());
        if self.fault == Fault::OlderThanTheQuestion && said.version > 0 {
            said.version = 0;
            return said.say(&answer.with_error_code(ResponseError::UnsupportedVersion.code()));
        }
        said.say(&answer);
    }

    fn login(&self, asked: &SaslAuthenticateRequest, said: &mut Said) {
        let told = String::from_utf8_lossy(&asked.auth_bytes).into_owned();
        let answer = SaslAuthenticateResponse::default();
        if self.fault == Fault::UnsureOfThePassword {
            let nonce = told.split("r=").nth(1).unwrap_or_default();
            let last = told.contains(",p=");
            let words = if last { "v=AAAA".to_owned() } else { format!("r={nonce}x,s=AAAA,i=4096") };
            return said.say(&answer.with_auth_bytes(Bytes::from(words)));
        }
        if self.fault == Fault::WrongPassword || told != format!("\0app\0{PASSWORD}") {
            let words = StrBytes::from_static_str("Authentication failed: Invalid username or password");
            let code = ResponseError::SaslAuthenticationFailed.code();
            return said.say(&answer.with_error_code(code).with_error_message(Some(words)));
        }
        said.say(&answer);
    }

    fn metadata(&self, asked: &MetadataRequest, said: &mut Said) {
        assert!(!asked.allow_auto_topic_creation, "no topic is to be made by being asked for");
        let broker = MetadataResponseBroker::default()
            .with_host(StrBytes::from_static_str("127.0.0.1"))
            .with_port(*self.port.lock().unwrap());
        let leader = if self.fault == Fault::Leaderless { -1 } else { 0 };
        let topic = |name: TopicName| {
            let partition = MetadataResponsePartition::default()
                .with_leader_id(BrokerId(leader))
                .with_replica_nodes(vec![BrokerId(0)])
                .with_isr_nodes(vec![BrokerId(0)]);
            let is_unknown = name.ends_with(".unknown");
            let topic = MetadataResponseTopic::default().with_name(Some(name));
            match is_unknown {
                true => topic.with_error_code(ResponseError::UnknownTopicOrPartition.code()),
                false => topic.with_partitions(vec![partition]),
            }
        };
        let names = asked.topics.iter().flatten().filter_map(|topic| topic.name.clone());
        said.say(&MetadataResponse::default().with_brokers(vec![broker]).with_topics(names.map(topic).collect()));
    }

    fn quorum(&self, said: &mut Said) {
        let voter = quorum::ReplicaState::default().with_last_caught_up_timestamp(9);
        let voters = if self.fault == Fault::Voterless { Vec::new() } else { vec![voter] };
        let partition = quorum::PartitionData::default().with_current_voters(voters);
        let topic = quorum::TopicData::default().with_partitions(vec![partition]);
        said.say(&DescribeQuorumResponse::default().with_topics(vec![topic]));
    }

    fn change(&self, key: ApiKey, question: &mut Bytes, said: &mut Said) {
        let refused = if self.fault == Fault::KeepsAll { ResponseError::TopicAuthorizationFailed.code() } else { 0 };
        if key == ApiKey::CreateTopics {
            let asked: CreateTopicsRequest = said.read(question);
            self.heard.note(format!("made {}", asked.topics[0].name.as_str()));
            let code = if self.fault == Fault::RefusesTopics { ResponseError::PolicyViolation.code() } else { 0 };
            let result = CreatableTopicResult::default().with_error_code(code);
            return said.say(&CreateTopicsResponse::default().with_topics(vec![result]));
        }
        if key == ApiKey::DeleteTopics {
            let asked: DeleteTopicsRequest = said.read(question);
            self.heard.note(format!("deleted topic {}", asked.topic_names[0].as_str()));
            let result = DeletableTopicResult::default().with_error_code(refused);
            return said.say(&DeleteTopicsResponse::default().with_responses(vec![result]));
        }
        let asked: DeleteGroupsRequest = said.read(question);
        self.heard.note(format!("deleted group {}", asked.groups_names[0].as_str()));
        let result = DeletableGroupResult::default().with_error_code(refused);
        said.say(&DeleteGroupsResponse::default().with_results(vec![result]));
    }

    fn records(&self, key: ApiKey, question: &mut Bytes, said: &mut Said) {
        if key == ApiKey::Produce {
            let asked: ProduceRequest = said.read(question);
            assert_eq!(asked.acks, -1, "each replica in sync is to have it");
            let data = asked.topic_data[0].partition_data[0].records.clone().unwrap();
            let code = if self.fault == Fault::RefusesRecords { ResponseError::NotEnoughReplicas.code() } else { 0 };
            self.kept.lock().unwrap().0 = data;
            let result = PartitionProduceResponse::default().with_error_code(code);
            let topic = TopicProduceResponse::default().with_partition_responses(vec![result]);
            return said.say(&ProduceResponse::default().with_responses(vec![topic]));
        }
        let records = self.kept.lock().unwrap().0.clone();
        let found = PartitionData::default();
        let found = if self.fault == Fault::LosesRecords {
            found
        } else if self.fault == Fault::NoBatch {
            found.with_records(Some(Bytes::from_static(&[0; 40])))
        } else {
            found.with_high_watermark(12).with_records(Some(records))
        };
        let topic = FetchableTopicResponse::default().with_partitions(vec![found]);
        said.say(&FetchResponse::default().with_responses(vec![topic]));
    }

    fn join(&self, key: ApiKey, question: &mut Bytes, said: &mut Said) {
        if key == ApiKey::JoinGroup {
            let asked: JoinGroupRequest = said.read(question);
            let leader = if self.fault == Fault::ForeignLeader { "n" } else { "m" };
            let answer = JoinGroupResponse::default()
                .with_member_id(StrBytes::from_static_str("m"))
                .with_leader(StrBytes::from_static_str(leader));
            let code = if asked.member_id.is_empty() { ResponseError::MemberIdRequired.code() } else { 0 };
            return said.say(&answer.with_error_code(code));
        }
        let asked: SyncGroupRequest = said.read(question);
        let told = asked.assignments[0].assignment.clone();
        let told = if self.fault == Fault::AssignsNothing { Bytes::new() } else { told };
        said.say(&SyncGroupResponse::default().with_assignment(told));
    }

    fn offsets(&self, key: ApiKey, question: &mut Bytes, said: &mut Said) {
        let mut kept = self.kept.lock().unwrap();
        if key == ApiKey::OffsetCommit {
            let asked: OffsetCommitRequest = said.read(question);
            let one = &asked.topics[0].partitions[0];
            kept.1.insert(one.partition_index, one.committed_offset);
            let topic =
                OffsetCommitResponseTopic::default().with_partitions(vec![OffsetCommitResponsePartition::default()]);
            return said.say(&OffsetCommitResponse::default().with_topics(vec![topic]));
        }
        let offset = if self.fault == Fault::ForgetsOffsets { -1 } else { kept.1[&0] };
        let one = OffsetFetchResponsePartition::default().with_committed_offset(offset);
        let topic = OffsetFetchResponseTopic::default().with_partitions(vec![one]);
        said.say(&OffsetFetchResponse::default().with_topics(vec![topic]));
    }
}

/// An answer in the making.
struct Said {
    number: i32,
    version: i16,
    bytes: BytesMut,
}

impl Said {
    fn read<R: Decodable>(&self, question: &mut Bytes) -> R {
        R::decode(question, self.version).unwrap()
    }

    fn say<A: Encodable + HeaderVersion>(&mut self, answer: &A) {
        let header = ResponseHeader::default().with_correlation_id(self.number);
        header.encode(&mut self.bytes, A::header_version(self.version)).unwrap();
        answer.encode(&mut self.bytes, self.version).unwrap();
    }
}

async fn judged(fault: Fault, more: &str) -> Verdict {
    let broker = Broker::start(fault).await;
    look(&broker.check(more)).await
}

#[tokio::test]
async fn a_good_broker_holds_and_topic_and_group_of_ours_are_deleted() {
    for fault in [Fault::None, Fault::OlderThanTheQuestion] {
        let broker = Broker::start(fault).await;
        let verdict = look(&broker.check("brokers: 1, quorum: 1")).await;
        assert!(matches!(&verdict, Verdict::Held { warnings, .. } if warnings.is_empty()), "{verdict:?}");
        let heard = broker.heard.all();
        let of = |what: &str| heard.iter().find_map(|said| said.strip_prefix(what)).unwrap_or_default().to_owned();
        let topic = of("made ");
        assert!(topic.starts_with("seaworthy.run-1."), "{topic}");
        assert_eq!([of("deleted topic "), of("deleted group ")], [topic.clone(), topic]);
    }
}

#[tokio::test]
async fn each_fault_breaks_with_its_own_words() {
    for (fault, said) in [
        (Fault::NoVersions, "takes no version of Metadata that is spoken here, 0 to 13, but 0 to -1"),
        (Fault::AnotherNumber, "gave no valid answer: an answer to another question"),
        (Fault::Huge, "gave no valid answer: it begins with \"\\u{7f}"),
        (Fault::Cut, "gave no valid answer: early eof"),
        (
            Fault::WrongPassword,
            "refused the login: SASL_AUTHENTICATION_FAILED Authentication failed: Invalid username or password",
        ),
        (Fault::NoLogin, "refused the login: ILLEGAL_SASL_STATE (PLAIN; it asks for no login)"),
        (Fault::ElsewherePort, "connection refused"),
        (Fault::NoPort, "broker 0 advertises 127.0.0.1:70000 (`advertised.listeners`): 70000 is no port"),
        (Fault::HangsForOthers, "(`advertised.listeners`): it does not answer there"),
        (Fault::Voterless, "has a quorum of 0 voters ()"),
        (Fault::NoQuorum, "does not say who its controllers are: no answer within 3000 ms"),
        (Fault::RefusesTopics, "refused to write: POLICY_VIOLATION, when making a topic"),
        (Fault::RefusesRecords, "refused to write: NOT_ENOUGH_REPLICAS, when producing records"),
        (Fault::NoBatch, "sent what is no batch of records"),
        (Fault::ForeignLeader, "serves no group: JoinGroup: somebody else leads a group of our own"),
        (Fault::AssignsNothing, "serves no group: SyncGroup: it was told to read partitions [] instead of [0]"),
        (Fault::Rebalances, "serves no group: Heartbeat: REBALANCE_IN_PROGRESS"),
        (Fault::ForgetsOffsets, "took the offsets of a group and then had none"),
    ] {
        let verdict = judged(fault, "quorum: 1").await;
        let actual = actual(&verdict);
        assert!(actual.contains(said) && !actual.contains(PASSWORD), "{fault:?}: {actual}");
    }
}

#[tokio::test]
async fn every_broker_is_talked_to_over_tls_where_that_is_claimed_and_each_by_its_own_name() {
    let verdict = look(&Broker::start_over_tls().await.check("brokers: 1, tls: any")).await;
    assert!(matches!(&verdict, Verdict::Held { warnings, .. } if warnings.is_empty()), "{verdict:?}");
    // Who is behind the claim's address passes as who the claim says; as whom it advertises it does not.
    let broker = Broker::start_over_tls().await;
    let verdict = look(&broker.check(&trusting("web.test"))).await;
    let said = format!(
        "broker 0 at 127.0.0.1:{0} has a certificate for web.test, and not for 127.0.0.1",
        broker.heard.all()[0]
    );
    assert!(actual(&verdict).contains(&said), "{verdict:?}");
    let verdict = look(&Broker::start_over_tls().await.check(&trusting("kafka.data.svc"))).await;
    assert!(actual(&verdict).ends_with(" has a certificate for web.test, and not for kafka.data.svc"), "{verdict:?}");
}

#[tokio::test]
async fn a_broker_that_does_not_know_the_password_is_no_kafka() {
    let broker = Broker::start(Fault::UnsureOfThePassword).await;
    let verdict = look(&broker.check("writes: true").replace("plain", "scram-sha-512")).await;
    assert!(actual(&verdict).ends_with("let us in without knowing the password itself"), "{verdict:?}");
}

#[tokio::test]
async fn what_does_not_come_is_waited_for_and_then_told() {
    for (fault, said) in [
        (Fault::Leaderless, "refused to write: no broker leads a new topic-0 (replicas 0, in sync 0)"),
        (Fault::LosesRecords, "acknowledged records and then had 0 of 12"),
    ] {
        let broker = Broker::start(fault).await;
        let mut stand = Stand::of(&broker.check("writes: true"));
        stand.prober.hub = stand.prober.hub.clone().at_tempo(10);
        let verdict = stand.look().await;
        assert!(actual(&verdict).contains(said), "{fault:?}: {verdict:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_deleted_is_a_warning() {
    let verdict = judged(Fault::KeepsAll, "writes: true").await;
    let Verdict::Held { warnings, .. } = &verdict else { panic!("{verdict:?}") };
    assert!(
        warnings.len() == 2 && warnings.iter().all(|one| one.ends_with("TOPIC_AUTHORIZATION_FAILED")),
        "{warnings:?}"
    );
}

/// Waits for what a broker is told, with no idle moment in which paused time would go on.
async fn told(heard: &Heard, word: &str) {
    for _ in 0..1_000_000 {
        if heard.all().iter().any(|said| said.starts_with(word)) {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{word} was never heard, but {:?}", heard.all());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_given_up_half_way_deletes_its_topic() {
    let broker = Broker::start(Fault::HangsAtProduce).await;
    let check = broker.check("writes: true");
    tokio::select! {
        verdict = look(&check) => panic!("{verdict:?}"),
        () = told(&broker.heard, "Produce") => {}
    }
    tokio::time::advance(WRITE).await;
    told(&broker.heard, "deleted topic").await;
    assert!(WRITE + 3 * REMOVE <= Duration::from_secs(30), "a run waits no longer for what is unfinished");
}

#[tokio::test]
async fn only_a_refused_login_is_a_denial() {
    let verdict = judged(Fault::WrongPassword, "expect: denied").await;
    assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
    for fault in [Fault::NoLogin, Fault::Cut, Fault::AnotherNumber] {
        let verdict = judged(fault, "expect: denied").await;
        assert!(matches!(verdict, Verdict::Unclear { .. }), "{fault:?}: {verdict:?}");
    }
    assert!(actual(&judged(Fault::None, "expect: denied").await).ends_with("was let in"));
}

#[tokio::test]
async fn a_broker_that_hangs_breaks_when_the_time_is_up_and_one_that_is_away_at_once() {
    let broker = Broker::start(Fault::Hangs).await;
    let verdict = stands_when_dropped(&broker.check("writes: true")).await.unwrap();
    assert!(actual(&verdict).ends_with(" does not answer"), "{verdict:?}");
    let broker = Broker::start(Fault::HangsAtProduce).await;
    let verdict = stands_when_dropped(&broker.check("writes: true")).await.unwrap();
    assert!(actual(&verdict).ends_with("refused to write: no answer yet when producing records"), "{verdict:?}");
    let port = closed_port().await;
    let verdict = look(&format!("kafka: {{at: 'host/127.0.0.1:{port}'}}")).await;
    assert_eq!(actual(&verdict), format!("nothing listens on 127.0.0.1:{port}: connection refused"));
}
