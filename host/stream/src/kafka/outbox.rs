//! What steps came to, on its way into a transaction.

use std::collections::BTreeMap;

use arrow_array::{ArrayRef, RecordBatch};
use bytes::Bytes;
use trifold_eventlog::{AsideReason, JsonObjects, LogError, entity_key};
use trifold_pipeline::row_table::column::KEY_PREFIX;
use trifold_store::{Commit, Entry, SlotChange};

use crate::aside;
use crate::feed::FeedId;
use crate::kafka::fetch::Origin;
use crate::kafka::topics::Purpose;
use crate::sink::{AsideKind, AsideLine, Discard, Emission, Sink};

/// What is told of an event that was set aside. It may take twice as much in a record, which holds it as a text.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// A record of a topic of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` removes what was under the key.
    pub value: Option<Bytes>,
}

impl Outgoing {
    /// Its key and its value.
    pub(crate) fn parts(&self) -> (Option<&[u8]>, Option<&[u8]>) {
        (self.key.as_deref(), self.value.as_deref())
    }
}

/// A record on its way to another partition than the one that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// Where it goes.
    pub partition: u32,
    /// The record.
    pub record: Outgoing,
    /// Where it stood first.
    pub origin: Origin,
    /// Why its value is no event that could be read.
    pub problem: Option<String>,
}

/// What is to be written for one feed.
#[derive(Debug, Default)]
pub struct Parcel {
    /// Events that are partitioned anew, in their order.
    pub routed: Vec<Routed>,
    /// Rows and set-aside events, in their order.
    pub messages: Vec<(Purpose, Outgoing)>,
    /// The last change of everything that changed, by its key.
    pub changes: BTreeMap<Vec<u8>, Option<Bytes>>,
    /// The marker that holds with these changes.
    pub marker: Option<Outgoing>,
}

/// The key and the value of a change.
type Change = (Vec<u8>, Option<Bytes>);

/// A sink that keeps what steps came to until a transaction takes it.
pub(crate) struct Outbox {
    parcels: BTreeMap<FeedId, Parcel>,
    /// Changes in the order in which they came, which is nearly that of their keys: sorting them at the end takes less
    /// than to find each one's place.
    changes: BTreeMap<FeedId, Vec<Change>>,
    features: bool,
}

impl Outbox {
    /// An empty one, which takes rows in if there is a topic for them.
    pub(crate) fn new(features: bool) -> Self {
        Outbox { parcels: BTreeMap::new(), changes: BTreeMap::new(), features }
    }

    /// What has come since this was asked for last.
    pub(crate) fn take(&mut self) -> BTreeMap<FeedId, Parcel> {
        for (feed, changes) in std::mem::take(&mut self.changes) {
            // Of changes under the same key the last one stays.
            self.parcel(&feed).changes = changes.into_iter().collect();
        }
        std::mem::take(&mut self.parcels)
    }

    fn parcel(&mut self, feed: &FeedId) -> &mut Parcel {
        self.parcels.entry(feed.clone()).or_default()
    }
}

impl Sink for Outbox {
    fn write(&mut self, emission: &Emission) -> Result<(), LogError> {
        let wants_rows = self.features;
        let parcel = self.parcel(&emission.feed);
        let short: Vec<_> = emission.aside.iter().map(shortened).collect();
        let lines = aside::table(emission.partition, &short).map_err(|source| LogError::RowSchema {
            file: "set-aside events".into(),
            detail: source.to_string(),
        })?;
        for (line, text) in emission.aside.iter().zip(texts(&lines)) {
            parcel.messages.push((purpose(line.kind), Outgoing { key: None, value: Some(text) }));
        }
        for rows in emission.tables().filter(|_| wants_rows) {
            let entity = entity_columns(rows);
            parcel.messages.extend(texts(rows).enumerate().map(|(row, text)| {
                (Purpose::Features, Outgoing { key: Some(entity_key(&entity, row)), value: Some(text) })
            }));
        }
        Ok(())
    }

    fn change(&mut self, feed: &FeedId, commit: &Commit, parts: &[SlotChange]) {
        let records = commit.puts.iter().map(|(key, record)| {
            let (key, record) = (key.clone(), Box::new(record.clone()));
            Entry::Record { key, record }
        });
        let entries = records.chain(parts.iter().cloned().map(Entry::Slot));
        let entries = entries.chain(commit.switches.iter().copied().map(Entry::Switch));
        let changes = self.changes.entry(feed.clone()).or_default();
        changes.extend(entries.map(|entry| (entry.key(), entry.value())));
        let marker = Entry::Marker(commit.marker.clone());
        self.parcel(feed).marker = Some(Outgoing { key: Some(marker.key()), value: marker.value() });
    }

    // What was not committed is gone with the transaction.
    fn discard(&mut self, _feed: &FeedId, _partition: u32, _next: u64) -> Result<Discard, LogError> {
        Ok(Discard::default())
    }
}

/// An event that no record would hold is cut: its place says where all of it is.
fn shortened(line: &AsideLine) -> AsideLine {
    let mut line = line.clone();
    if line.event.len() > EVENT_BYTES_MAX {
        line.event.truncate(line.event.floor_char_boundary(EVENT_BYTES_MAX));
    }
    line
}

/// The rows of a table as JSON objects, which share their memory.
fn texts(rows: &RecordBatch) -> impl Iterator<Item = Bytes> {
    let objects = JsonObjects::new(rows);
    let mut text = String::with_capacity(objects.row_bytes() * rows.num_rows());
    let write = |row| {
        let begin = text.len();
        objects.write_row(row, &mut text);
        begin..text.len()
    };
    let ranges: Vec<_> = (0..rows.num_rows()).map(write).collect();
    let text = Bytes::from(text);
    ranges.into_iter().map(move |range| text.slice(range))
}

/// The topic that tells of an event which was set aside.
pub(crate) fn purpose(kind: AsideKind) -> Purpose {
    match kind {
        AsideKind::Excluded(AsideReason::Late | AsideReason::Early) => Purpose::Late,
        AsideKind::Excluded(_) | AsideKind::RowError | AsideKind::Unavailable => Purpose::DeadLetters,
    }
}

/// The columns that name the entities of rows.
fn entity_columns(rows: &RecordBatch) -> Vec<&ArrayRef> {
    let columns = rows.schema_ref().fields().iter().zip(rows.columns());
    columns.filter(|(field, _)| field.name().starts_with(KEY_PREFIX)).map(|(_, column)| column).collect()
}
