//! A group of consumers with one member, which is told by itself what it reads (the classic protocol, KIP-62).

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, DeleteGroupsRequest, FindCoordinatorRequest, GroupId,
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest,
    SyncGroupRequest, TopicName,
};
use kafka_protocol::protocol::{Decodable as _, Encodable, StrBytes};

use super::wire::{Line, error};
use crate::probes::reach::Unmet;

/// How long the coordinator keeps a member that is silent, in milliseconds: what consumers ask for unless told otherwise is 45 s; no
/// broker allows less than 6 s unless told otherwise, and ours lasts for a moment.
const SESSION_MS: i32 = 10_000;

/// The strategy by which members say that they divide partitions among themselves.
const STRATEGY: StrBytes = StrBytes::from_static_str("range");
const CONSUMER: StrBytes = StrBytes::from_static_str("consumer");

/// The version of what members tell each other.
const TOLD: i16 = 0;

/// What a coordinator refused: the question, the error's name, and whether it may be well in a moment.
pub(super) struct Refusal {
    pub(super) words: String,
    pub(super) may_pass: bool,
}

/// Refused where the code is an error's.
fn unless(code: i16, question: &str) -> Result<(), Refusal> {
    let Some(name) = error(code, None) else { return Ok(()) };
    let passing = [
        ResponseError::CoordinatorLoadInProgress,
        ResponseError::CoordinatorNotAvailable,
        ResponseError::NotCoordinator,
        ResponseError::RebalanceInProgress,
    ];
    Err(Refusal { words: format!("{question}: {name}"), may_pass: passing.iter().any(|one| one.code() == code) })
}

/// The broker that coordinates a group, as any broker tells it.
pub(super) async fn coordinator(line: &mut Line, group: &str) -> Result<Result<i32, Refusal>, Unmet> {
    let question = FindCoordinatorRequest::default().with_key(StrBytes::from_string(group.to_owned())).with_key_type(0);
    let answer = line.ask(&question).await?;
    let found = unless(answer.error_code, "FindCoordinator");
    Ok(found.map(|()| answer.node_id.0))
}

/// The one member of a group.
#[derive(Clone)]
pub(super) struct Member {
    group: GroupId,
    topic: TopicName,
    id: StrBytes,
    generation: i32,
}

impl Member {
    /// Joins, and is told by itself to read these partitions.
    pub(super) async fn join(
        line: &mut Line,
        group: &str,
        topic: &str,
        partitions: &[i32],
    ) -> Result<Result<Self, Refusal>, Unmet> {
        let topics = vec![StrBytes::from_string(topic.to_owned())];
        let told = in_words(line, &ConsumerProtocolSubscription::default().with_topics(topics))?;
        let member = Self {
            group: GroupId(StrBytes::from_string(group.to_owned())),
            topic: TopicName(StrBytes::from_string(topic.to_owned())),
            id: StrBytes::new(),
            generation: -1,
        };
        let mut joined = member.ask_to_join(line, &told, StrBytes::new()).await?;
        // Who comes for the first time is given a name, and comes again with it (KIP-394).
        if joined.error_code == ResponseError::MemberIdRequired.code() {
            joined = member.ask_to_join(line, &told, joined.member_id).await?;
        }
        if let Err(refusal) = unless(joined.error_code, "JoinGroup") {
            return Ok(Err(refusal));
        }
        let member = Self { id: joined.member_id, generation: joined.generation_id, ..member };
        if joined.leader != member.id {
            let words = "JoinGroup: somebody else leads a group of our own".to_owned();
            return Ok(Err(Refusal { words, may_pass: false }));
        }
        member.sync(line, partitions).await
    }

    async fn ask_to_join(&self, line: &mut Line, told: &Bytes, id: StrBytes) -> Result<JoinGroupResponse, Unmet> {
        let protocol = JoinGroupRequestProtocol::default().with_name(STRATEGY).with_metadata(told.clone());
        let question = JoinGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_session_timeout_ms(SESSION_MS)
            .with_rebalance_timeout_ms(SESSION_MS)
            .with_member_id(id)
            .with_protocol_type(CONSUMER)
            .with_protocols(vec![protocol]);
        line.ask(&question).await
    }

    /// Tells the group, which is itself, who reads what; and is told.
    async fn sync(self, line: &mut Line, partitions: &[i32]) -> Result<Result<Self, Refusal>, Unmet> {
        let all = TopicPartition::default().with_topic(self.topic.clone()).with_partitions(partitions.to_vec());
        let told = in_words(line, &ConsumerProtocolAssignment::default().with_assigned_partitions(vec![all]))?;
        let assignment = SyncGroupRequestAssignment::default().with_member_id(self.id.clone()).with_assignment(told);
        let question = SyncGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_protocol_type(Some(CONSUMER))
            .with_protocol_name(Some(STRATEGY))
            .with_assignments(vec![assignment]);
        let answer = line.ask(&question).await?;
        if let Err(refusal) = unless(answer.error_code, "SyncGroup") {
            return Ok(Err(refusal));
        }
        let assigned = assigned(answer.assignment).unwrap_or_default();
        if assigned != partitions {
            let words = format!("SyncGroup: it was told to read partitions {assigned:?} instead of {partitions:?}");
            return Ok(Err(Refusal { words, may_pass: false }));
        }
        Ok(Ok(self))
    }

    /// Commits how far it has come in each partition, and asks for that again. Returns what is kept.
    pub(super) async fn commit(
        &self,
        line: &mut Line,
        offsets: &[(i32, i64)],
    ) -> Result<Result<Vec<(i32, i64)>, Refusal>, Unmet> {
        let beat = HeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone());
        if let Err(refusal) = unless(line.ask(&beat).await?.error_code, "Heartbeat") {
            return Ok(Err(refusal));
        }
        let of_one = |(index, offset): &(i32, i64)| {
            OffsetCommitRequestPartition::default().with_partition_index(*index).with_committed_offset(*offset)
        };
        let topic = OffsetCommitRequestTopic::default()
            .with_name(self.topic.clone())
            .with_partitions(offsets.iter().map(of_one).collect());
        let question = OffsetCommitRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(self.id.clone())
            .with_topics(vec![topic]);
        let answer = line.ask(&question).await?;
        let codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.error_code);
        if let Some(Err(refusal)) = codes.map(|code| unless(code, "OffsetCommit")).find(Result::is_err) {
            return Ok(Err(refusal));
        }
        self.committed(line, offsets.iter().map(|(index, _)| *index).collect()).await
    }

    /// How far it has come in these partitions, as the coordinator keeps it.
    pub(super) async fn committed(
        &self,
        line: &mut Line,
        partitions: Vec<i32>,
    ) -> Result<Result<Vec<(i32, i64)>, Refusal>, Unmet> {
        let topic = OffsetFetchRequestTopic::default().with_name(self.topic.clone()).with_partition_indexes(partitions);
        let question = OffsetFetchRequest::default().with_group_id(self.group.clone()).with_topics(Some(vec![topic]));
        let answer = line.ask(&question).await?;
        let found: Vec<_> = answer.topics.iter().flat_map(|topic| &topic.partitions).collect();
        let codes = std::iter::once(answer.error_code).chain(found.iter().map(|one| one.error_code));
        if let Some(Err(refusal)) = codes.map(|code| unless(code, "OffsetFetch")).find(Result::is_err) {
            return Ok(Err(refusal));
        }
        let mut kept: Vec<_> = found.iter().map(|one| (one.partition_index, one.committed_offset)).collect();
        kept.sort_unstable();
        Ok(Ok(kept))
    }

    /// Leaves the group, which nobody is in then, and deletes it. Returns why that was refused.
    pub(super) async fn leave(&self, line: &mut Line) -> Result<Option<String>, Unmet> {
        let question = LeaveGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_members(vec![MemberIdentity::default().with_member_id(self.id.clone())]);
        // A group that one is in cannot be deleted, and says so then.
        line.ask(&question).await?;
        let question = DeleteGroupsRequest::default().with_groups_names(vec![self.group.clone()]);
        let answer = line.ask(&question).await?;
        let code = answer.results.first().map_or(0, |result| result.error_code);
        let is_gone = code == ResponseError::GroupIdNotFound.code();
        Ok(error(code, None).filter(|_| !is_gone))
    }
}

/// What a member says to others, its version first. Only the coordinator's protocol has a codec of its own.
fn in_words(line: &Line, told: &impl Encodable) -> Result<Bytes, Unmet> {
    let mut words = BytesMut::new();
    words.put_i16(TOLD);
    told.encode(&mut words, TOLD).map_err(|error| line.unsaid(&error))?;
    Ok(words.freeze())
}

/// The partitions that a member is told to read.
fn assigned(mut told: Bytes) -> Option<Vec<i32>> {
    let version = told.try_get_i16().ok()?;
    let assignment = ConsumerProtocolAssignment::decode(&mut told, version.clamp(0, 3)).ok()?;
    let mut all: Vec<i32> = assignment.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect();
    all.sort_unstable();
    Some(all)
}
