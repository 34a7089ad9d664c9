//! Records, produced to one partition and fetched from it.

use std::collections::BTreeSet;
use std::ops::AddAssign;

use bytes::{Bytes, BytesMut};
use indexmap::IndexMap;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{BrokerId, FetchRequest, ProduceRequest, TopicName};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record, RecordBatchDecoder,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tokio::time::{Instant, sleep};

use super::group::Refusal;
use super::wire::{Line, error};
use crate::checks::Written;
use crate::probes::reach::Unmet;
use crate::probes::replica::ASK_EVERY;

/// `acks=all`: a record is acknowledged once every replica in sync has it.
const ALL: i16 = -1;

/// The format of batches since Kafka 0.11.
const FORMAT: i8 = 2;

/// How long a broker may wait for records before it says that there are none, in milliseconds; and how much it may say, in bytes.
const WAIT_MS: i32 = 100;
const MOST: i32 = 1 << 20;

/// What is produced to one partition.
pub(super) struct Batch {
    pub(super) topic: TopicName,
    pub(super) index: i32,
    /// The broker that leads it.
    pub(super) leader: i32,
    /// The offset of the first record, as the broker said when it took it.
    pub(super) offset: i64,
    /// The values; the key of each is what stands before the `-`.
    pub(super) records: Vec<String>,
}

impl Batch {
    /// The offset behind the last record.
    pub(super) fn end(&self) -> i64 {
        self.offset + i64::try_from(self.records.len()).unwrap_or(i64::MAX)
    }

    fn encoded(&self) -> Result<Bytes, String> {
        let now = jiff::Timestamp::now().as_millisecond();
        let record = |(offset, value): (i32, &String)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(offset),
            // Of a producer without a number the first record has -1.
            sequence: offset - 1,
            timestamp: now,
            key: Some(Bytes::from(key(value).to_owned())),
            value: Some(Bytes::from(value.clone())),
            headers: IndexMap::new(),
        };
        let records: Vec<Record> = (0..).zip(&self.records).map(record).collect();
        let mut batch = BytesMut::new();
        let options = RecordEncodeOptions { version: FORMAT, compression: Compression::None };
        let encoded = RecordBatchEncoder::encode(&mut batch, &records, &options);
        encoded.map(|()| batch.freeze()).map_err(|error| format!("cannot make a batch of records: {error:#}"))
    }
}

fn key(value: &str) -> &str {
    value.split('-').next().unwrap_or_default()
}

/// Produces a batch; the offset of its first record.
pub(super) async fn produce(line: &mut Line, batch: &Batch, patience_ms: i32) -> Result<Result<i64, Refusal>, Unmet> {
    let records = match batch.encoded() {
        Ok(records) => records,
        Err(words) => return Ok(Err(Refusal { words, may_pass: false })),
    };
    let data = PartitionProduceData::default().with_index(batch.index).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(batch.topic.clone()).with_partition_data(vec![data]);
    let question = ProduceRequest::default().with_acks(ALL).with_timeout_ms(patience_ms).with_topic_data(vec![topic]);
    let answer = line.ask(&question).await?;
    let Some(result) = answer.responses.first().and_then(|topic| topic.partition_responses.first()) else {
        return Err(line.broke("answered a batch of records with nothing"));
    };
    Ok(match error(result.error_code, result.error_message.as_ref()) {
        None => Ok(result.base_offset),
        Some(words) => Err(Refusal { words, may_pass: is_news(result.error_code) }),
    })
}

/// Whether an error is that of a broker that has not heard yet of a partition.
fn is_news(code: i16) -> bool {
    let news = [
        ResponseError::UnknownTopicOrPartition,
        ResponseError::LeaderNotAvailable,
        ResponseError::NotLeaderOrFollower,
        ResponseError::OffsetNotAvailable,
    ];
    news.iter().any(|one| one.code() == code)
}

/// What was read of what was produced.
#[derive(Default)]
pub(super) struct Kept {
    values: BTreeSet<String>,
    keys: BTreeSet<String>,
}

impl AddAssign for Kept {
    fn add_assign(&mut self, mut other: Self) {
        self.values.append(&mut other.values);
        self.keys.append(&mut other.keys);
    }
}

impl Kept {
    /// The numbers of the records whose values end like this.
    pub(super) fn numbers(&self, token: &str) -> impl Iterator<Item = usize> {
        self.values
            .iter()
            .filter_map(move |value| value.split_once('-').filter(|(_, end)| *end == token)?.0.parse().ok())
    }

    /// What that says of the batches.
    pub(super) fn judged(&self, batches: &[Batch]) -> Written {
        let produced: Vec<&String> = batches.iter().flat_map(|batch| &batch.records).collect();
        let of = produced.len();
        let same = produced.iter().filter(|value| self.values.contains(value.as_str())).count();
        let there = produced.iter().filter(|value| self.keys.contains(key(value))).count();
        match (same, there) {
            (same, _) if same == of => Written::Kept,
            (_, there) if there == of => Written::Lost(format!("other values in {} of {of}", of - same)),
            (_, there) => Written::Lost(format!("{there} of {of}")),
        }
    }
}

/// Reads a partition from its first record to the last that every replica has. What was acknowledged is among that, though a new
/// leader may know it a moment later: it is asked for until then. The inner error is the broker's.
pub(super) async fn fetch(line: &mut Line, batch: &Batch, until: Instant) -> Result<Result<Kept, String>, Unmet> {
    let (mut kept, mut offset) = (Kept::default(), batch.offset);
    loop {
        let found = ask(line, batch, offset).await?;
        let is_late = Instant::now() >= until;
        match error(found.error_code, None) {
            None => {}
            Some(_) if is_news(found.error_code) && !is_late => {
                sleep(ASK_EVERY).await;
                continue;
            }
            Some(words) => return Ok(Err(words)),
        }
        let mut records = found.records.unwrap_or_default();
        let batches = RecordBatchDecoder::decode_all(&mut records);
        let batches = batches.map_err(|error| line.broke(&format!("sent what is no batch of records: {error:#}")))?;
        let before = offset;
        for record in batches.into_iter().flat_map(|batch| batch.records) {
            let text = |bytes: Option<Bytes>| String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
            offset = offset.max(record.offset + 1);
            kept.keys.insert(text(record.key));
            kept.values.insert(text(record.value));
        }
        let has_all = found.high_watermark >= batch.end() && offset >= found.high_watermark;
        if has_all || is_late {
            return Ok(Ok(kept));
        }
        if offset == before {
            sleep(ASK_EVERY).await;
        }
    }
}

async fn ask(line: &mut Line, batch: &Batch, offset: i64) -> Result<PartitionData, Unmet> {
    let partition = FetchPartition::default()
        .with_partition(batch.index)
        .with_current_leader_epoch(-1)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(MOST);
    let topic = FetchTopic::default().with_topic(batch.topic.clone()).with_partitions(vec![partition]);
    let question = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(WAIT_MS)
        .with_min_bytes(1)
        .with_max_bytes(MOST)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let mut answer = line.ask(&question).await?;
    let found = answer.responses.pop().and_then(|mut topic| topic.partitions.pop());
    match (error(answer.error_code, None), found) {
        (None, Some(found)) => Ok(found),
        (Some(error), _) => Err(line.broke(&format!("answered a fetch with {error}"))),
        (None, None) => Err(line.broke("answered a fetch with nothing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_held_against_what_was_produced() {
        let batch = |records: [&str; 2]| Batch {
            topic: TopicName::default(),
            index: 0,
            leader: 0,
            offset: 0,
            records: records.map(str::to_owned).to_vec(),
        };
        let batches = [batch(["0-a", "2-b"]), batch(["1-c", "3-d"])];
        let read = |values: &[&str]| Kept {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            keys: values.iter().map(|value| key(value).to_owned()).collect(),
        };
        let mut all = read(&["0-a", "2-b"]);
        all += read(&["3-d", "1-c"]);
        assert_eq!(all.judged(&batches), Written::Kept);
        assert_eq!(read(&["0-a", "1-c", "2-b"]).judged(&batches), Written::Lost("3 of 4".to_owned()));
        assert_eq!(read(&[]).judged(&batches), Written::Lost("0 of 4".to_owned()));
        let others = read(&["0-a", "1-c", "2-x", "3-y"]);
        assert_eq!(others.judged(&batches), Written::Lost("other values in 2 of 4".to_owned()));
    }

    #[test]
    fn a_batch_is_read_as_it_was_made() {
        let batch = Batch {
            topic: TopicName::default(),
            index: 0,
            leader: 0,
            offset: 5,
            records: vec!["0-a".into(), "1-b".into()],
        };
        let mut bytes = batch.encoded().unwrap();
        let sets = RecordBatchDecoder::decode_all(&mut bytes).unwrap();
        assert_eq!((sets.len(), batch.end()), (1, 7), "one batch, so that the broker takes all of it or nothing");
        let values: Vec<_> = sets[0].records.iter().map(|record| record.value.clone().unwrap()).collect();
        assert_eq!(values, ["0-a", "1-b"]);
    }
}
