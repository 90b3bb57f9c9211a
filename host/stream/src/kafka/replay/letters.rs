//! Dead letters, and the notes of those that were fed back.

use std::collections::BTreeSet;
use std::ops::Range;

use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use serde::Deserialize;

use crate::kafka::error::ClusterError;
use crate::kafka::reader::{Reader, ends, read_from, reader};
use crate::kafka::settings::{ClusterSettings, REQUEST_TIMEOUT};
use crate::kafka::topics::{Purpose, Topics};

/// What is read of a letter. The event that it holds is what the view reads of the record, and not the record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Letter {
    /// The partition of the record.
    pub(crate) partition: u32,
    /// Its offset.
    pub(crate) offset: u64,
    /// Why it was written.
    pub(crate) reason: String,
}

/// What stands in a note, beside its key.
pub(crate) fn note_key(letter: &Letter) -> String {
    format!("{}/{}", letter.partition, letter.offset)
}

fn place(key: &[u8]) -> Option<(u32, u64)> {
    let (partition, offset) = std::str::from_utf8(key).ok()?.split_once('/')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

/// A partition, up to where it ended when it was first looked at.
struct Records {
    topic: String,
    reader: Reader,
    end: u64,
    next: u64,
}

impl Records {
    fn new(cluster: &ClusterSettings, topic: &str, partition: u32) -> Result<Self, ClusterError> {
        let reader = reader(&cluster.reader())?;
        let (next, end) = ends(&reader, topic, partition)?;
        read_from(&reader, [(topic, partition, next)])?;
        Ok(Records { topic: topic.to_owned(), reader, end, next })
    }

    /// The next record, if there is one.
    fn read(&mut self) -> Result<Option<BorrowedMessage<'_>>, ClusterError> {
        let failed = ClusterError::client(format!("read the topic {}", self.topic));
        if self.next >= self.end {
            return Ok(None);
        }
        match self.reader.poll(REQUEST_TIMEOUT) {
            Some(Ok(message)) if message.offset().unsigned_abs() < self.end => {
                self.next = message.offset().unsigned_abs() + 1;
                Ok(Some(message))
            }
            // The last ones may be those that say how transactions ended.
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => {
                self.next = self.end;
                Ok(None)
            }
            Some(Err(error)) => Err(failed(error)),
            None => Err(failed(KafkaError::NoMessageReceived)),
        }
    }
}

/// The dead letters of one partition that are there now. Those of records that are fed back come later.
pub(crate) struct Letters {
    records: Records,
    written: Range<i64>,
}

impl Letters {
    /// Those that were written within some time, in microseconds since 1970.
    pub(crate) fn new(
        cluster: &ClusterSettings,
        (topic, partition): (&str, u32),
        written: Range<i64>,
    ) -> Result<Self, ClusterError> {
        Ok(Letters { records: Records::new(cluster, topic, partition)?, written })
    }

    /// The next letters, if there are any.
    pub(crate) fn read(&mut self, letters_max: usize) -> Result<Option<Vec<Letter>>, ClusterError> {
        let (mut letters, topic) = (Vec::new(), self.records.topic.clone());
        while letters.len() < letters_max {
            let Some(message) = self.records.read()? else { break };
            let written = message.timestamp().to_millis().unwrap_or_default().saturating_mul(1_000);
            if !self.written.contains(&written) {
                continue;
            }
            let letter = serde_json::from_slice(message.payload().unwrap_or_default());
            letters.push(letter.map_err(|error: serde_json::Error| ClusterError::Letter {
                topic: topic.clone(),
                partition: message.partition(),
                offset: message.offset(),
                problem: error.to_string(),
            })?);
        }
        Ok((!letters.is_empty()).then_some(letters))
    }
}

/// The positions of the records that were fed back.
pub(crate) fn notes(cluster: &ClusterSettings, topics: &Topics) -> Result<BTreeSet<(u32, u64)>, ClusterError> {
    let topic = topics.names().of_group(Purpose::Replayed);
    let mut fed = BTreeSet::new();
    if topics.partitions(&topic)?.is_some() {
        let mut notes = Records::new(cluster, &topic, 0)?;
        while let Some(note) = notes.read()? {
            fed.extend(place(note.key().unwrap_or_default()));
        }
    }
    Ok(fed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_noted_under_its_records_place() {
        let text = r#"{"partition":3,"offset":18446744073709551615,"reason":"decode","detail":"x","event":"{}"}"#;
        let letter: Letter = serde_json::from_str(text).unwrap();
        assert_eq!((letter.partition, letter.offset, letter.reason.as_str()), (3, u64::MAX, "decode"));
        assert_eq!(place(note_key(&letter).as_bytes()), Some((3, u64::MAX)));
        for other in ["", "3", "3/", "/7", "a/7"] {
            assert_eq!(place(other.as_bytes()), None, "{other}");
        }
    }
}
