//! A step on its way: a batch that was read, what it came to, and what was committed.

use trifold_eventlog::{RawBatch, decode};
use trifold_pipeline::row_table::RowTable;
use trifold_pipeline::{ArrivalPolicy, ArrivalPolicyError, Ingest, LiveVersion};
use trifold_sandbox::Budget;
use trifold_store::{Commit, OnlineStore};

use crate::emission::emit;
use crate::error::{Problem, StreamError};
use crate::feed::{Feed, FeedId};
use crate::notice::Counts;
use crate::sink::Emission;
use crate::worker::WorkerConfig;

/// A batch of the log, and the feeds that stand at its beginning.
pub struct Polled {
    pub(crate) raw: RawBatch,
    pub(crate) feeds: Vec<FeedId>,
}

/// A batch taken through its feeds, not yet committed.
pub struct Step {
    pub(crate) first_offset: u64,
    pub(crate) next_offset: u64,
    pub(crate) parts: Vec<Part>,
    pub(crate) blocked: Vec<(FeedId, Problem)>,
}

/// A step's result for one feed.
pub(crate) struct Part {
    pub(crate) feed: FeedId,
    pub(crate) emission: Emission,
    pub(crate) commit: Commit,
    pub(crate) counts: Counts,
}

/// A step that was committed.
#[derive(Debug)]
pub struct StepReport {
    /// The first offset of the step.
    pub first_offset: u64,
    /// The offset after its last event.
    pub next_offset: u64,
    /// The feeds that it moved, and what it came to for each.
    pub feeds: Vec<(FeedId, Counts)>,
    /// Views that could not follow and stand still from now on.
    pub problems: Vec<Problem>,
}

/// Decodes, admits and folds a batch for one feed; the inner error keeps this feed back and no other.
pub(crate) async fn process_feed(
    config: &WorkerConfig,
    store: &dyn OnlineStore,
    id: &FeedId,
    feed: &Feed,
    raw: &RawBatch,
) -> Result<Result<Part, Problem>, StreamError> {
    let (version, view) = (&feed.version, feed.version.view());
    let arrivals = match arrival_policy(config, version) {
        Ok(arrivals) => arrivals,
        Err(problem) => return Ok(Err(Problem::Arrival(problem))),
    };
    let mut clock = feed.clock(raw.partition);
    let events = match decode(raw, &config.source, view, &mut clock) {
        Ok(events) => events,
        Err(source) => {
            let (view, offset) = (id.view.clone(), raw.first_offset);
            return Ok(Err(Problem::Decode { view, offset, source }));
        }
    };
    let ingest = Ingest::new(view, events)?;
    let snapshot = store.read(id.state, ingest.entities()).await.map_err(StreamError::store(&id.view))?;
    if snapshot.marker.as_ref() != feed.expected() {
        return Err(StreamError::Overtaken { view: id.view.clone(), state: id.state });
    }
    let mut ingested = ingest.fold(&snapshot.records, version, &mut Budget::unlimited())?;
    let puts = std::mem::take(&mut ingested.puts);
    let marker = feed.advanced(raw.partition, raw.next_offset(), clock);
    let table = RowTable::of_events(view, arrivals, config.digest);
    let (emission, counts) = emit(&table, version, raw.first_offset, raw.rows() as u64, ingested)
        .map_err(|source| StreamError::Table { view: id.view.clone(), source })?;
    let commit = Commit { state: id.state, marker, puts };
    Ok(Ok(Part { feed: id.clone(), emission, commit, counts }))
}

/// Where arrivals come from for a view, if it can be fed at all.
pub(crate) fn arrival_policy(
    config: &WorkerConfig,
    version: &LiveVersion,
) -> Result<ArrivalPolicy, ArrivalPolicyError> {
    ArrivalPolicy::new(version.view(), config.source.arrival.is_some(), config.assume_on_time)
}
