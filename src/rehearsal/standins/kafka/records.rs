//! Records that are produced and fetched.

use bytes::{Bytes, BytesMut};
use indexmap::IndexMap;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ProduceRequest, ProduceResponse};
use kafka_protocol::records::{
    Compression, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record, RecordBatchDecoder, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};

use super::cluster::{State, Stored};
use super::{Fault, Head, Server, Then};

/// What is in place of a value under `other-value`.
const OTHER: &[u8] = b"another value";

impl Server {
    pub(super) fn produce(&self, head: Head, asked: &ProduceRequest) -> Then {
        let mut state = self.cluster.state();
        let mut responses = Vec::new();
        for topic in &asked.topic_data {
            let mut partitions = Vec::new();
            for data in &topic.partition_data {
                let answer = PartitionProduceResponse::default().with_index(data.index).with_log_append_time_ms(-1);
                partitions.push(match self.append(&mut state, &topic.name, data) {
                    Ok(offset) => answer.with_base_offset(offset),
                    Err(error) => answer.with_base_offset(-1).with_error_code(error.code()),
                });
            }
            let name = topic.name.clone();
            responses.push(TopicProduceResponse::default().with_name(name).with_partition_responses(partitions));
        }
        // Who wants no acknowledgement gets no answer.
        match asked.acks {
            0 => Then::Leave,
            _ => head.say(&ProduceResponse::default().with_responses(responses)),
        }
    }

    fn append(&self, state: &mut State, topic: &str, data: &PartitionProduceData) -> Result<i64, ResponseError> {
        let index = self.led(state, topic, data.index)?;
        match self.faults.on() {
            Some(Fault::RefusesWrites) => return Err(ResponseError::NotEnoughReplicas),
            Some(Fault::StorageError) => return Err(ResponseError::KafkaStorageError),
            _ => {}
        }
        let mut records = data.records.clone().unwrap_or_default();
        let batches = RecordBatchDecoder::decode_all(&mut records).map_err(|_| ResponseError::CorruptMessage)?;
        let partition = state.topics.get_mut(topic).and_then(|topic| topic.partitions.get_mut(index));
        let kept = &mut partition.ok_or(ResponseError::UnknownTopicOrPartition)?.records;
        let offset = i64::try_from(kept.len()).unwrap_or(i64::MAX);
        if !self.faults.is(Fault::LosesRecords) {
            let stored = |record: Record| Stored { key: record.key, value: record.value, timestamp: record.timestamp };
            kept.extend(batches.into_iter().flat_map(|batch| batch.records).map(stored));
        }
        Ok(offset)
    }

    /// The place of a partition that this broker leads.
    fn led(&self, state: &State, topic: &str, index: i32) -> Result<usize, ResponseError> {
        let unknown = ResponseError::UnknownTopicOrPartition;
        let index = usize::try_from(index).map_err(|_| unknown)?;
        let partition = state.topics.get(topic).and_then(|topic| topic.partitions.get(index)).ok_or(unknown)?;
        let (leader, _) = self.standing(state, index, partition);
        if leader == Some(self.config.node) { Ok(index) } else { Err(ResponseError::NotLeaderOrFollower) }
    }

    pub(super) fn fetch(&self, head: Head, asked: &FetchRequest) -> Then {
        let state = self.cluster.state();
        let of_topic = |topic: &kafka_protocol::messages::fetch_request::FetchTopic| {
            let of_one = |one: &FetchPartition| self.read(&state, &topic.topic, one);
            let partitions = topic.partitions.iter().map(of_one).collect();
            FetchableTopicResponse::default().with_topic(topic.topic.clone()).with_partitions(partitions)
        };
        head.say(&FetchResponse::default().with_responses(asked.topics.iter().map(of_topic).collect()))
    }

    fn read(&self, state: &State, topic: &str, asked: &FetchPartition) -> PartitionData {
        let answer = PartitionData::default().with_partition_index(asked.partition);
        let refused = |error: ResponseError| answer.clone().with_error_code(error.code()).with_high_watermark(-1);
        let index = match self.led(state, topic, asked.partition) {
            Ok(index) => index,
            Err(error) => return refused(error),
        };
        let found = state.topics.get(topic).and_then(|topic| topic.partitions.get(index));
        let records = found.map(|partition| partition.records.as_slice()).unwrap_or_default();
        let end = i64::try_from(records.len()).unwrap_or(i64::MAX);
        let Some(rest) = usize::try_from(asked.fetch_offset).ok().and_then(|from| records.get(from..)) else {
            return refused(ResponseError::OffsetOutOfRange);
        };
        let batch = self.encoded(asked.fetch_offset, rest);
        answer.with_high_watermark(end).with_last_stable_offset(end).with_log_start_offset(0).with_records(Some(batch))
    }

    fn encoded(&self, offset: i64, records: &[Stored]) -> Bytes {
        let is_other = self.faults.is(Fault::OtherValue);
        let record = |(number, stored): (i32, &Stored)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: 0,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            timestamp_type: TimestampType::Creation,
            offset: offset + i64::from(number),
            sequence: number - 1,
            timestamp: stored.timestamp,
            key: stored.key.clone(),
            value: if is_other { Some(Bytes::from_static(OTHER)) } else { stored.value.clone() },
            headers: IndexMap::new(),
        };
        let records: Vec<Record> = (0..).zip(records).map(record).collect();
        let mut batch = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        // Of records that came as such a batch one can be made.
        RecordBatchEncoder::encode(&mut batch, &records, &options).ok();
        batch.freeze()
    }
}
