//! A bare copier: it reads the topic of events and writes records, in transactions that hold its positions, without
//! looking at what is in them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use crate::kafka::clients::{PATIENCE, config, consumer, ends, read, send};
use crate::kafka::{PARTITIONS, TOPIC};
use crate::measure::processor_seconds;

/// How long records are gathered and how many at most, as by workers.
const GATHER: Duration = Duration::from_millis(100);
const RECORDS_MAX: u64 = 65_536;

/// What is copied.
#[derive(Serialize, Deserialize)]
pub(crate) struct Copy {
    pub(crate) brokers: String,
    pub(crate) group: String,
    /// Topics whose records it writes, which it has in memory before it is measured, and the topics that it writes
    /// them to.
    pub(crate) topics: Vec<(String, String)>,
}

/// What was copied.
#[derive(Serialize, Deserialize)]
pub(crate) struct Copied {
    pub(crate) processor_seconds: f64,
    pub(crate) events: u64,
    pub(crate) records: u64,
}

type Record = (Vec<u8>, Option<Vec<u8>>);

/// What is written to one topic in the course of reading a partition.
struct Line<'a> {
    topic: &'a str,
    records: Vec<Record>,
    written: usize,
}

/// A partition of the topic of events, on the way to its end.
struct Place<'a> {
    lines: Vec<Line<'a>>,
    next: u64,
    end: u64,
}

pub(crate) fn run(task: &Copy) -> anyhow::Result<Copied> {
    let Copy { brokers, group, topics } = task;
    let lookout = consumer(brokers, "lookout")?;
    let all: u64 = ends(&lookout, TOPIC)?.iter().map(|(_, end)| end).sum();
    let mut places: Vec<Place<'_>> =
        ends(&lookout, TOPIC)?.into_iter().map(|(next, end)| Place { lines: Vec::new(), next, end }).collect();
    drop(lookout);
    let mut count = 0;
    for (from, to) in topics {
        let mut partitions: Vec<Vec<Record>> = (0..PARTITIONS).map(|_| Vec::new()).collect();
        read(brokers, from, |message| {
            let record = (message.key().unwrap_or_default().to_vec(), message.payload().map(<[u8]>::to_vec));
            partitions[message.partition() as usize].push(record);
        })?;
        for (place, records) in places.iter_mut().zip(partitions) {
            count += records.len() as u64;
            place.lines.push(Line { topic: to, records, written: 0 });
        }
    }
    let begun = processor_seconds()?;
    copy(brokers, group, &mut places)?;
    let spent = processor_seconds()? - begun;
    let is_done = |place: &Place<'_>| place.lines.iter().all(|line| line.written == line.records.len());
    ensure!(places.iter().all(is_done), "the copier has not written everything");
    Ok(Copied { processor_seconds: spent, events: all, records: count })
}

fn copy(brokers: &str, group: &str, places: &mut [Place<'_>]) -> anyhow::Result<()> {
    let consumer = consumer(brokers, group)?;
    consumer.subscribe(&[TOPIC])?;
    let producer: BaseProducer =
        config(brokers).set("transactional.id", group).set("compression.type", "lz4").create()?;
    producer.init_transactions(PATIENCE)?;
    while places.iter().any(|place| place.next < place.end) {
        let reached = gather(&consumer)?;
        producer.begin_transaction()?;
        let mut offsets = TopicPartitionList::new();
        for (partition, next) in reached {
            places[partition as usize].reach(&producer, partition, next)?;
            offsets.add_partition_offset(TOPIC, partition as i32, Offset::Offset(next as i64))?;
        }
        let member = consumer.group_metadata().context("the copier is no member of its group")?;
        producer.flush(PATIENCE)?;
        producer.send_offsets_to_transaction(&offsets, &member, PATIENCE)?;
        producer.commit_transaction(PATIENCE)?;
    }
    consumer.unsubscribe();
    Ok(())
}

/// Reads records for a transaction: the offset behind the last of each partition.
fn gather(consumer: &BaseConsumer) -> anyhow::Result<BTreeMap<u32, u64>> {
    let (mut reached, mut count, mut deadline) = (BTreeMap::new(), 0, Instant::now() + PATIENCE);
    while count < RECORDS_MAX {
        let left = deadline.saturating_duration_since(Instant::now());
        match consumer.poll(left) {
            Some(Ok(message)) => {
                if count == 0 {
                    deadline = Instant::now() + GATHER;
                }
                count += 1;
                reached.insert(message.partition().unsigned_abs(), message.offset().unsigned_abs() + 1);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => return Err(error.into()),
            None if left.is_zero() => break,
            None => {}
        }
    }
    ensure!(count > 0, "no records came within {PATIENCE:?}");
    Ok(reached)
}

impl Place<'_> {
    /// Writes as much of the records as was read of the events.
    fn reach(&mut self, producer: &BaseProducer, partition: u32, next: u64) -> anyhow::Result<()> {
        self.next = next;
        for Line { topic, records, written } in &mut self.lines {
            let upto = (records.len() as u64 * self.next / self.end) as usize;
            for (key, value) in &records[*written..upto] {
                send(producer, topic, partition, key, value.as_deref())?;
            }
            *written = upto;
        }
        producer.poll(Duration::ZERO);
        Ok(())
    }
}
