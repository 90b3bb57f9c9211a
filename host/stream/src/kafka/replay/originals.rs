//! Records as they stand in the topic of events.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message, OwnedHeaders};

use crate::kafka::error::ClusterError;
use crate::kafka::reader::{Reader, ends, read_from, reader};
use crate::kafka::settings::{ClusterSettings, REQUEST_TIMEOUT};

/// So many records are read through rather than asked for anew.
const NEAR: u64 = 1_000;

/// All that a record is.
pub(crate) struct Original {
    pub(crate) partition: u32,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Option<OwnedHeaders>,
    /// When it happened, as whoever wrote it said, in milliseconds.
    pub(crate) timestamp: Option<i64>,
}

impl Original {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        Original {
            partition: message.partition().unsigned_abs(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: message.headers().map(|headers| headers.detach()),
            timestamp: message.timestamp().to_millis(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        [&self.key, &self.value].into_iter().flatten().map(Vec::len).sum()
    }
}

/// Reads single records.
pub(crate) struct Originals {
    topic: String,
    reader: Reader,
    /// The partition that is read, and the offset that comes next.
    at: Option<(u32, u64)>,
}

impl Originals {
    pub(crate) fn new(cluster: &ClusterSettings, topic: &str) -> Result<Self, ClusterError> {
        Ok(Originals { topic: topic.to_owned(), reader: reader(&cluster.reader())?, at: None })
    }

    /// The record at a place, if it is still there.
    pub(crate) fn fetch(&mut self, partition: u32, offset: u64) -> Result<Option<Original>, ClusterError> {
        let failed = || ClusterError::client(format!("read the topic {}", self.topic));
        let goes_on =
            self.at.take().is_some_and(|(of, next)| of == partition && (next..next + NEAR).contains(&offset));
        if !goes_on {
            let (first, end) = ends(&self.reader, &self.topic, partition)?;
            if !(first..end).contains(&offset) {
                return Ok(None);
            }
            read_from(&self.reader, [(self.topic.as_str(), partition, offset)])?;
        }
        loop {
            let message = match self.reader.poll(REQUEST_TIMEOUT) {
                Some(Ok(message)) => message,
                Some(Err(error)) if is_gone(&error) => return Ok(None),
                Some(Err(error)) => return Err(failed()(error)),
                None => return Err(failed()(KafkaError::NoMessageReceived)),
            };
            let found = message.offset().unsigned_abs();
            if found >= offset {
                self.at = Some((partition, found + 1));
                return Ok((found == offset).then(|| Original::of(&message)));
            }
        }
    }
}

/// Whether there is nothing from an offset on, or it was deleted since it was looked.
fn is_gone(error: &KafkaError) -> bool {
    let codes = [RDKafkaErrorCode::OffsetOutOfRange, RDKafkaErrorCode::AutoOffsetReset];
    matches!(error, KafkaError::PartitionEOF(_))
        || error.rdkafka_error_code().is_some_and(|code| codes.contains(&code))
}
