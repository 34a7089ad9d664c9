//! The cluster as a broker tells of it, and topics that come and go.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_quorum_response::{PartitionData, ReplicaState, TopicData};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeQuorumResponse, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::cluster::{Partition, State, Topic};
use super::{Fault, Head, NewTopic, Server, Then};

/// The topic in which controllers keep what they know.
const METADATA: &str = "__cluster_metadata";

/// How far a voter is behind under `voter-lags`, in milliseconds.
const BEHIND_MS: i64 = 60_000;

/// What the topics of probes begin with.
const OF_PROBES: &str = "seaworthy.";

/// The port of `advertises-closed-port`.
const CLOSED: i32 = 9;

impl Server {
    /// The brokers that are there, with where they are.
    pub(super) fn brokers(&self, state: &State) -> Vec<(i32, String, i32)> {
        let there = state.brokers.iter();
        let mut all: Vec<_> = there.map(|(id, (host, port))| (*id, host.clone(), i32::from(*port))).collect();
        match (self.faults.on(), all.first().cloned()) {
            (Some(Fault::BrokerMissing), _) => drop(all.pop()),
            (Some(Fault::AdvertisesLocalhost), _) => all.iter_mut().for_each(|one| "localhost".clone_into(&mut one.1)),
            (Some(Fault::AdvertisesClosedPort), _) => all.iter_mut().last().into_iter().for_each(|one| one.2 = CLOSED),
            (Some(Fault::AdvertisesOneName), Some((_, host, port))) => {
                all.iter_mut().for_each(|one| (one.1, one.2) = (host.clone(), port));
            }
            (Some(Fault::AdvertisesPodName), _) => {
                all.iter_mut().for_each(|one| one.1.truncate(one.1.find('.').unwrap_or(one.1.len())));
            }
            _ => {}
        }
        all
    }

    /// The leader of a partition, if there is one, and who is in sync.
    pub(super) fn standing(&self, state: &State, index: usize, partition: &Partition) -> (Option<i32>, Vec<i32>) {
        let there = self.brokers(state);
        let mut in_sync: Vec<i32> =
            partition.replicas.iter().copied().filter(|id| there.iter().any(|(one, ..)| one == id)).collect();
        if self.faults.is(Fault::UnderReplicated) && in_sync.len() > 1 {
            let last = there.last().map(|(id, ..)| *id);
            in_sync.retain(|id| Some(*id) != last);
        }
        // Who is not seen to be there is not seen to lead either.
        let led = partition.leader().and_then(|id| in_sync.iter().find(|one| **one == id).or(in_sync.first()));
        let leader = led.copied().filter(|_| !(self.faults.is(Fault::NoLeader) && index == 0));
        (leader, in_sync)
    }

    pub(super) fn metadata(&self, head: Head, asked: &MetadataRequest) -> Then {
        let mut state = self.cluster.state();
        let names: Vec<String> = match &asked.topics {
            // Of the oldest version, nothing means everything.
            Some(topics) if head.version > 0 || !topics.is_empty() => {
                topics.iter().filter_map(|topic| topic.name.as_ref()).map(|name| name.to_string()).collect()
            }
            Some(_) | None => state.topics.keys().cloned().collect(),
        };
        if self.faults.is(Fault::AcceptsUnknownTopic) {
            let unknown: Vec<String> = names.iter().filter(|name| !state.topics.contains_key(*name)).cloned().collect();
            unknown.into_iter().for_each(|name| state.make(&NewTopic { name, partitions: 1, replicas: 1 }));
        }
        let topics = names.iter().filter_map(|name| self.topic(&state, name, asked.topics.is_none())).collect();
        let brokers = self.brokers(&state).into_iter().map(|(id, host, port)| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(StrBytes::from_string(host))
                .with_port(port)
        });
        // A broker names any of them where controllers are a quorum: it passes on what is meant for that.
        let controller = self.brokers(&state).first().map_or(-1, |(id, ..)| *id);
        head.say(
            &MetadataResponse::default()
                .with_brokers(brokers.collect())
                .with_cluster_id(Some(StrBytes::from_static_str("5L6g3nShT-eMCtK--X86sw")))
                .with_controller_id(BrokerId(controller))
                .with_topics(topics),
        )
    }

    fn topic(&self, state: &State, name: &str, is_listed: bool) -> Option<MetadataResponseTopic> {
        let is_missing = self.faults.is(Fault::TopicsMissing) && is_listed;
        let answer = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
            .with_is_internal(name.starts_with("__"));
        if self.faults.is(Fault::HidesTopics) && !name.starts_with(OF_PROBES) {
            let refused = ResponseError::TopicAuthorizationFailed.code();
            return (!is_listed).then(|| answer.with_error_code(refused));
        }
        let Some(topic) = state.topics.get(name).filter(|_| !is_missing) else {
            let unknown = ResponseError::UnknownTopicOrPartition.code();
            return (!is_listed).then(|| answer.with_error_code(unknown));
        };
        Some(answer.with_partitions(self.partitions(state, topic)))
    }

    fn partitions(&self, state: &State, topic: &Topic) -> Vec<MetadataResponsePartition> {
        let most = if self.faults.is(Fault::FewerPartitions) { 1 } else { usize::MAX };
        let of_one = |(index, partition): (usize, &Partition)| {
            let (leader, mut in_sync) = self.standing(state, index, partition);
            let mut replicas = partition.replicas.clone();
            if self.faults.is(Fault::FewerReplicas) {
                replicas.retain(|id| Some(*id) == leader);
                in_sync.clone_from(&replicas);
            }
            let code = if leader.is_some() { 0 } else { ResponseError::LeaderNotAvailable.code() };
            let ids = |ids: Vec<i32>| ids.into_iter().map(BrokerId).collect::<Vec<_>>();
            MetadataResponsePartition::default()
                .with_error_code(code)
                .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
                .with_leader_id(BrokerId(leader.unwrap_or(-1)))
                .with_replica_nodes(ids(replicas))
                .with_isr_nodes(ids(in_sync))
        };
        topic.partitions.iter().enumerate().take(most).map(of_one).collect()
    }

    /// Who votes, and who leads; `None` where too few are there to let anybody lead.
    fn voters(&self, state: &State) -> Option<(Vec<i32>, i32)> {
        let mut voters = self.config.voters();
        if voters.is_empty() {
            voters = state.brokers.keys().copied().collect();
        }
        let there: Vec<i32> = voters.iter().copied().filter(|id| state.brokers.contains_key(id)).collect();
        let leader = there.first().copied()?;
        (there.len() * 2 > voters.len() && !self.faults.is(Fault::NoQuorum)).then_some((voters, leader))
    }

    /// What is meant for the controller that leads waits as long as there is none.
    pub(super) fn quorum(&self, head: Head) -> Then {
        let state = self.cluster.state();
        let Some((mut voters, leader)) = self.voters(&state) else { return Then::Hush };
        if self.faults.is(Fault::QuorumRefused) {
            let refused = ResponseError::ClusterAuthorizationFailed.code();
            return head.say(&DescribeQuorumResponse::default().with_error_code(refused));
        }
        if self.faults.is(Fault::VoterMissing) {
            voters.pop();
        }
        let (now, last) = (jiff::Timestamp::now().as_millisecond(), voters.last().copied());
        let voter = |id: i32| {
            let is_there = state.brokers.contains_key(&id);
            let caught_up = match self.faults.on() {
                Some(Fault::VoterLags) if Some(id) == last => now - BEHIND_MS,
                Some(Fault::VoterLost) if Some(id) == last => -1,
                _ if is_there => now,
                _ => -1,
            };
            ReplicaState::default()
                .with_replica_id(BrokerId(id))
                .with_log_end_offset(1)
                .with_last_fetch_timestamp(caught_up)
                .with_last_caught_up_timestamp(caught_up)
        };
        let partition = PartitionData::default()
            .with_leader_id(BrokerId(leader))
            .with_leader_epoch(1)
            .with_high_watermark(1)
            .with_current_voters(voters.into_iter().map(voter).collect());
        let topic = TopicData::default()
            .with_topic_name(TopicName(StrBytes::from_static_str(METADATA)))
            .with_partitions(vec![partition]);
        head.say(&DescribeQuorumResponse::default().with_topics(vec![topic]))
    }

    pub(super) fn create_topics(&self, head: Head, asked: &CreateTopicsRequest) -> Then {
        let mut state = self.cluster.state();
        if self.voters(&state).is_none() {
            return Then::Hush;
        }
        let result = |topic: &CreatableTopic| {
            let answer = CreatableTopicResult::default().with_name(topic.name.clone());
            match self.create(&mut state, topic, asked.validate_only) {
                Ok(made) => answer
                    .with_num_partitions(i32::try_from(made.partitions).unwrap_or(i32::MAX))
                    .with_replication_factor(i16::try_from(made.replicas).unwrap_or(i16::MAX)),
                Err((error, words)) => {
                    answer.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(words)))
                }
            }
        };
        head.say(&CreateTopicsResponse::default().with_topics(asked.topics.iter().map(result).collect()))
    }

    fn create(
        &self,
        state: &mut State,
        asked: &CreatableTopic,
        is_trial: bool,
    ) -> Result<NewTopic, (ResponseError, String)> {
        let name = asked.name.to_string();
        if self.faults.is(Fault::RefusesTopics) {
            return Err((ResponseError::TopicAuthorizationFailed, "Authorization failed.".to_owned()));
        }
        if state.topics.contains_key(&name) {
            return Err((ResponseError::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
        }
        if !asked.assignments.is_empty() {
            return self.assign(state, asked, is_trial);
        }
        // What is left to the broker is one (`num.partitions`, `default.replication.factor`).
        let or_one = |wanted: i32| usize::try_from(if wanted == -1 { 1 } else { wanted }).unwrap_or_default();
        let (partitions, replicas) = (or_one(asked.num_partitions), or_one(asked.replication_factor.into()));
        if partitions == 0 {
            let words = "Number of partitions was set to an invalid non-positive value.".to_owned();
            return Err((ResponseError::InvalidPartitions, words));
        }
        let there = if self.faults.is(Fault::TooFewBrokers) { 0 } else { state.brokers.len() };
        if replicas == 0 || replicas > there {
            let words = format!(
                "Unable to replicate the partition {replicas} time(s): The target replication factor of {replicas} cannot be reached because only {there} broker(s) are registered."
            );
            return Err((ResponseError::InvalidReplicationFactor, words));
        }
        let topic = NewTopic { name, partitions, replicas };
        if !is_trial {
            state.make(&topic);
            self.keep(state, &topic.name);
        }
        Ok(topic)
    }

    /// A topic whose replicas are placed by whoever asks (Kafka, `ReplicationControlManager.createTopic`).
    fn assign(
        &self,
        state: &mut State,
        asked: &CreatableTopic,
        is_trial: bool,
    ) -> Result<NewTopic, (ResponseError, String)> {
        let told = [("replication factor", asked.replication_factor.into()), ("numPartitions", asked.num_partitions)];
        if let Some((field, _)) = told.iter().find(|(_, told)| *told != -1) {
            let words = format!("A manual partition assignment was specified, but {field} was not set to -1.");
            return Err((ResponseError::InvalidRequest, words));
        }
        let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
        let placed: Vec<Vec<i32>> = asked.assignments.iter().map(|one| ids(&one.broker_ids)).collect();
        let unknown = placed.iter().flatten().find(|id| !state.brokers.contains_key(id));
        if let Some(unknown) = unknown {
            let words =
                format!("The manual partition assignment includes broker {unknown}, but no such broker is registered.");
            return Err((ResponseError::InvalidReplicaAssignment, words));
        }
        let replicas = placed.first().map_or(0, Vec::len);
        let topic = NewTopic { name: asked.name.to_string(), partitions: placed.len(), replicas };
        if !is_trial {
            state.place(&topic.name, placed.into_iter());
            self.keep(state, &topic.name);
        }
        Ok(topic)
    }

    fn keep(&self, state: &mut State, name: &str) {
        let made = state.topics.get_mut(name).into_iter();
        made.for_each(|made| made.is_kept = self.faults.is(Fault::KeepsTopics));
    }

    pub(super) fn delete_topics(&self, head: Head, asked: &DeleteTopicsRequest) -> Then {
        let mut state = self.cluster.state();
        if self.voters(&state).is_none() {
            return Then::Hush;
        }
        let result = |name: &TopicName| {
            let answer = DeletableTopicResult::default().with_name(Some(name.clone()));
            let is_kept = state.topics.get(name.as_str()).is_some_and(|topic| topic.is_kept);
            if is_kept || self.faults.is(Fault::KeepsTopics) {
                let words = Some(StrBytes::from_static_str("Topic deletion is disabled."));
                return answer.with_error_code(ResponseError::TopicDeletionDisabled.code()).with_error_message(words);
            }
            match state.topics.remove(name.as_str()) {
                Some(_) => {
                    let of_others = |(topic, _): &(String, i32), _: &mut i64| topic != name.as_str();
                    state.groups.values_mut().for_each(|group| group.offsets.retain(of_others));
                    answer
                }
                None => {
                    let words = Some(StrBytes::from_static_str("This server does not host this topic-partition."));
                    answer.with_error_code(ResponseError::UnknownTopicOrPartition.code()).with_error_message(words)
                }
            }
        };
        head.say(&DeleteTopicsResponse::default().with_responses(asked.topic_names.iter().map(result).collect()))
    }
}
