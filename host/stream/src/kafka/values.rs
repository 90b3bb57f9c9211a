//! What stands in a record, as the event that views read.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::message::{BorrowedMessage, Message, Timestamp};
use trifold_formats::{Decoder, Encoding, ValueError};

use crate::kafka::error::ClusterError;
use crate::kafka::fetch::Fetched;
use crate::kafka::headers;

/// Takes records over from the client, with their values as JSON.
pub(crate) struct Values {
    /// Not for JSON, which is taken as it is.
    decoder: Option<Decoder>,
    /// The topic of which the values are so encoded.
    topic: String,
}

impl Values {
    pub(crate) fn new(encoding: &Encoding, topic: &str) -> Result<Self, ClusterError> {
        let decoder = match encoding {
            Encoding::Json => None,
            encoding => Some(Decoder::new(encoding.clone())?),
        };
        Ok(Values { decoder, topic: topic.to_owned() })
    }

    /// Takes a record over. What cannot be decoded says why; an error says that nobody knows yet.
    pub(crate) fn fetched(&mut self, message: &BorrowedMessage<'_>) -> Result<Fetched, ClusterError> {
        if message.topic() != self.topic {
            return Ok(rekeyed(message));
        }
        let mut fetched = Fetched {
            append_time: match message.timestamp() {
                Timestamp::LogAppendTime(millis) => Some(millis.saturating_mul(1_000)),
                Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
            },
            ..keyed(message)
        };
        match (message.payload(), &mut self.decoder) {
            (None, _) => fetched.problem = Some("the record has no value".to_owned()),
            (Some(value), None) => fetched.value.extend_from_slice(value),
            (Some(value), Some(decoder)) => match decoder.decode(value, &mut fetched.value) {
                Ok(()) => {}
                Err(ValueError::Registry(error)) => return Err(error.into()),
                Err(error) => {
                    fetched.problem = Some(error.to_string());
                    fetched.value.extend_from_slice(value);
                }
            },
        }
        Ok(fetched)
    }
}

/// Takes a record over that was partitioned anew, from what was decoded before.
fn rekeyed(message: &BorrowedMessage<'_>) -> Fetched {
    let mut fetched = keyed(message);
    fetched.value.extend_from_slice(message.payload().unwrap_or_default());
    headers::read(message.headers(), &mut fetched);
    fetched
}

/// A record without its value.
fn keyed(message: &BorrowedMessage<'_>) -> Fetched {
    Fetched {
        offset: message.offset().unsigned_abs(),
        key: message.key().map(<[u8]>::to_vec),
        ..Fetched::default()
    }
}

/// What the readers of one worker have in common, so that a schema is asked for once.
pub(crate) type SharedValues = Arc<Mutex<Values>>;

/// Takes a record over.
pub(crate) fn fetched(values: &SharedValues, message: &BorrowedMessage<'_>) -> Result<Fetched, ClusterError> {
    values.lock().unwrap_or_else(PoisonError::into_inner).fetched(message)
}
