//! A bare relay: it reads events and puts them into a Redis under their cards, and how far it is.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use crate::kafka::PARTITIONS;
use crate::kafka::clients::consumer;

/// The hash that says by partition how far it is.
pub(crate) const POSITIONS: &str = "relay:positions";
/// So many events at once at most.
const EVENTS_MAX: usize = 4_096;

/// A topic of events, and where they go.
#[derive(Serialize, Deserialize)]
pub(crate) struct Relay {
    pub(crate) brokers: String,
    pub(crate) topic: String,
    pub(crate) redis: String,
}

pub(crate) fn run(Relay { brokers, topic, redis }: &Relay) -> anyhow::Result<()> {
    let mut connection = redis::Client::open(redis.as_str())?.get_connection()?;
    let consumer = consumer(brokers, "relay")?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    loop {
        let (mut pipeline, mut positions, mut count) = (redis::pipe(), BTreeMap::new(), 0);
        let mut wait = Duration::from_millis(50);
        while count < EVENTS_MAX {
            match consumer.poll(wait) {
                Some(Ok(message)) => {
                    let key = [b"relay:card:", message.key().unwrap_or_default()].concat();
                    let value = message.payload().unwrap_or_default();
                    pipeline.cmd("HSET").arg(key).arg("last").arg(value).ignore();
                    positions.insert(message.partition(), message.offset() + 1);
                    count += 1;
                    wait = Duration::ZERO;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => return Err(error.into()),
                None => break,
            }
        }
        if count > 0 {
            let next: Vec<_> = positions.into_iter().collect();
            pipeline.hset_multiple(POSITIONS, &next).ignore();
            pipeline.query::<()>(&mut connection)?;
        }
    }
}
