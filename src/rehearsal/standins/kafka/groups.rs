//! Groups of consumers, and how far they have come (the classic protocol).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{OffsetFetchResponsePartition, OffsetFetchResponseTopic};
use kafka_protocol::messages::{
    BrokerId, DeleteGroupsRequest, DeleteGroupsResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
    SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::cluster::{Group, State};
use super::{Fault, Head, Server, Then};

impl Server {
    pub(super) fn find_coordinator(&self, head: Head, asked: &FindCoordinatorRequest) -> Then {
        let mut state = self.cluster.state();
        let found = state.coordinator(&asked.key).filter(|_| !self.faults.is(Fault::NoCoordinator));
        let place = self.brokers(&state).into_iter().find(|(id, ..)| Some(*id) == found);
        let answer = FindCoordinatorResponse::default();
        let Some((id, host, port)) = place else {
            let code = ResponseError::CoordinatorNotAvailable.code();
            return head.say(&answer.with_error_code(code).with_node_id(BrokerId(-1)).with_port(-1));
        };
        let host = StrBytes::from_string(host);
        head.say(&answer.with_node_id(BrokerId(id)).with_host(host).with_port(port))
    }

    /// A group that this broker coordinates.
    fn group<'s>(&self, state: &'s mut State, group: &str) -> Result<&'s mut Group, ResponseError> {
        if state.coordinator(group) != Some(self.config.node) {
            return Err(ResponseError::NotCoordinator);
        }
        Ok(state.groups.entry(group.to_owned()).or_default())
    }

    /// The same, of a member of its present generation.
    fn membership<'s>(
        &self,
        state: &'s mut State,
        group: &str,
        member: &str,
        generation: i32,
    ) -> Result<&'s mut Group, ResponseError> {
        let group = self.group(state, group)?;
        if !group.members.contains_key(member) {
            return Err(ResponseError::UnknownMemberId);
        }
        if group.generation == generation { Ok(group) } else { Err(ResponseError::IllegalGeneration) }
    }

    pub(super) fn join_group(&self, head: Head, asked: JoinGroupRequest) -> Then {
        let mut state = self.cluster.state();
        let answer = JoinGroupResponse::default().with_generation_id(-1).with_member_id(asked.member_id.clone());
        if self.faults.is(Fault::RefusesGroups) {
            return head.say(&answer.with_error_code(ResponseError::GroupAuthorizationFailed.code()));
        }
        let mut id = asked.member_id.to_string();
        if id.is_empty() {
            state.members += 1;
            id = format!("seaworthy-{:08x}", state.members);
            // Who comes for the first time is only given a name (KIP-394).
            if head.version >= 4 {
                let named = answer.with_member_id(StrBytes::from_string(id));
                return head.say(&named.with_error_code(ResponseError::MemberIdRequired.code()));
            }
        }
        let group = match self.group(&mut state, &asked.group_id) {
            Ok(group) => group,
            Err(error) => return head.say(&answer.with_error_code(error.code())),
        };
        let Some(protocol) = asked.protocols.into_iter().next() else {
            return head.say(&answer.with_error_code(ResponseError::InconsistentGroupProtocol.code()));
        };
        group.members.insert(id.clone(), protocol.metadata);
        group.generation += 1;
        group.assignments.clear();
        if !group.members.contains_key(&group.leader) {
            group.leader.clone_from(&id);
        }
        let told = |(id, metadata): (&String, &bytes::Bytes)| {
            JoinGroupResponseMember::default()
                .with_member_id(StrBytes::from_string(id.clone()))
                .with_metadata(metadata.clone())
        };
        let members = if group.leader == id { group.members.iter().map(told).collect() } else { Vec::new() };
        head.say(
            &answer
                .with_generation_id(group.generation)
                .with_protocol_type(Some(asked.protocol_type))
                .with_protocol_name(Some(protocol.name))
                .with_leader(StrBytes::from_string(group.leader.clone()))
                .with_member_id(StrBytes::from_string(id))
                .with_members(members),
        )
    }

    pub(super) fn sync_group(&self, head: Head, asked: &SyncGroupRequest) -> Then {
        let mut state = self.cluster.state();
        let answer = SyncGroupResponse::default();
        let group = match self.membership(&mut state, &asked.group_id, &asked.member_id, asked.generation_id) {
            Ok(group) => group,
            Err(error) => return head.say(&answer.with_error_code(error.code())),
        };
        if group.leader == asked.member_id.as_str() {
            let assignments = asked.assignments.iter();
            group.assignments = assignments.map(|one| (one.member_id.to_string(), one.assignment.clone())).collect();
        }
        // Real members wait until the one that leads has said it.
        match group.assignments.get(asked.member_id.as_str()) {
            Some(assignment) => head.say(
                &answer
                    .with_assignment(assignment.clone())
                    .with_protocol_type(asked.protocol_type.clone())
                    .with_protocol_name(asked.protocol_name.clone()),
            ),
            None => head.say(&answer.with_error_code(ResponseError::RebalanceInProgress.code())),
        }
    }

    pub(super) fn heartbeat(&self, head: Head, asked: &HeartbeatRequest) -> Then {
        let mut state = self.cluster.state();
        let found = self.membership(&mut state, &asked.group_id, &asked.member_id, asked.generation_id);
        head.say(&HeartbeatResponse::default().with_error_code(found.err().map_or(0, |error| error.code())))
    }

    pub(super) fn leave_group(&self, head: Head, asked: &LeaveGroupRequest) -> Then {
        let mut state = self.cluster.state();
        let answer = LeaveGroupResponse::default();
        let group = match self.group(&mut state, &asked.group_id) {
            Ok(group) => group,
            Err(error) => return head.say(&answer.with_error_code(error.code())),
        };
        let unknown = ResponseError::UnknownMemberId.code();
        let mut leave = |id: &StrBytes| if group.members.remove(id.as_str()).is_some() { 0 } else { unknown };
        // Several may leave at once since version 3.
        if head.version < 3 {
            return head.say(&answer.with_error_code(leave(&asked.member_id)));
        }
        let left = asked.members.iter().map(|member| {
            MemberResponse::default().with_member_id(member.member_id.clone()).with_error_code(leave(&member.member_id))
        });
        let left = left.collect();
        head.say(&answer.with_members(left))
    }

    pub(super) fn offset_commit(&self, head: Head, asked: &OffsetCommitRequest) -> Then {
        let mut state = self.cluster.state();
        let generation = asked.generation_id_or_member_epoch;
        let forgets = self.faults.is(Fault::ForgetsOffsets);
        let mut found = self.membership(&mut state, &asked.group_id, &asked.member_id, generation);
        let mut topics = Vec::new();
        for topic in &asked.topics {
            let mut partitions = Vec::new();
            for one in &topic.partitions {
                let code = match &mut found {
                    Ok(group) if !forgets => {
                        group.offsets.insert((topic.name.to_string(), one.partition_index), one.committed_offset);
                        0
                    }
                    Ok(_) => 0,
                    Err(error) => error.code(),
                };
                let answer = OffsetCommitResponsePartition::default();
                partitions.push(answer.with_partition_index(one.partition_index).with_error_code(code));
            }
            let name = topic.name.clone();
            topics.push(OffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions));
        }
        head.say(&OffsetCommitResponse::default().with_topics(topics))
    }

    pub(super) fn offset_fetch(&self, head: Head, asked: &OffsetFetchRequest) -> Then {
        let mut state = self.cluster.state();
        let has_lost = state.has_lost;
        let answer = OffsetFetchResponse::default();
        let group = match self.group(&mut state, &asked.group_id) {
            Ok(group) => group,
            Err(error) => return head.say(&answer.with_error_code(error.code())),
        };
        if has_lost && self.faults.is(Fault::CoordinatesNobody) {
            return head.say(&answer.with_error_code(ResponseError::GroupAuthorizationFailed.code()));
        }
        let topics = asked.topics.iter().flatten().map(|topic| {
            // Of what was never committed the offset is -1.
            let partition = |index: &i32| {
                let committed = group.offsets.get(&(topic.name.to_string(), *index)).copied();
                OffsetFetchResponsePartition::default()
                    .with_partition_index(*index)
                    .with_committed_offset(committed.unwrap_or(-1))
                    .with_metadata(Some(StrBytes::new()))
            };
            let partitions = topic.partition_indexes.iter().map(partition).collect();
            OffsetFetchResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
        });
        let topics = topics.collect();
        head.say(&answer.with_topics(topics))
    }

    pub(super) fn delete_groups(&self, head: Head, asked: &DeleteGroupsRequest) -> Then {
        let mut state = self.cluster.state();
        let mut results = Vec::new();
        for name in &asked.groups_names {
            let code = match state.coordinator(name) == Some(self.config.node) {
                false => ResponseError::NotCoordinator.code(),
                true => match state.groups.get(name.as_str()) {
                    None => ResponseError::GroupIdNotFound.code(),
                    Some(group) if !group.members.is_empty() => ResponseError::NonEmptyGroup.code(),
                    Some(_) => {
                        state.groups.remove(name.as_str());
                        0
                    }
                },
            };
            results.push(DeletableGroupResult::default().with_group_id(name.clone()).with_error_code(code));
        }
        head.say(&DeleteGroupsResponse::default().with_results(results))
    }
}
