//! How large batches are made, so that memory depends on the limit and not on the width of the rows.

use crate::error::BackfillError;
use crate::job::{Job, Resources};
use crate::recording::Recording;

/// Batches of narrow rows: the most that one call of the sandbox takes.
const BATCH_ROWS_MAX: usize = 4096;
/// Batches of the widest rows.
const BATCH_ROWS_MIN: usize = 16;
/// What a batch may weigh as it goes through the pipeline.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// The most that is sorted as one batch.
const SORT_BATCH_BYTES_MAX: usize = 2 << 20;

/// The sizes of batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Rows of a batch that is read or computed.
    pub(crate) batch_rows: usize,
    /// Bytes of a batch that is sorted.
    pub(crate) sort_batch_bytes: usize,
    /// Memory of the sort of one lane.
    pub(crate) lane_bytes: usize,
}

impl Sizes {
    /// Sizes for lanes that share the memory, by the width of the log's first rows.
    pub(crate) fn new(job: &Job, recording: &Recording, resources: &Resources) -> Result<Self, BackfillError> {
        let share = resources.memory_bytes_max / resources.threads.clamp(1, resources.shards.max(1) as usize);
        let lane_bytes = share.max(Resources::MEMORY_BYTES_MIN);
        let row_bytes = row_bytes(job, recording)?;
        // A merge of spilled runs holds two batches of each, and as much again that nobody counts. With such a small
        // part a hundred runs merge at a time in no more memory than sorting took.
        let batch_bytes = (lane_bytes / 256).min(BATCH_BYTES_MAX);
        Ok(Sizes {
            batch_rows: (batch_bytes / row_bytes).clamp(BATCH_ROWS_MIN, BATCH_ROWS_MAX),
            sort_batch_bytes: (lane_bytes / 32).min(SORT_BATCH_BYTES_MAX),
            lane_bytes,
        })
    }
}

impl Sizes {
    /// The same for sorts that have half of the memory.
    pub(crate) fn halved(self) -> Self {
        let sort_batch_bytes = self.sort_batch_bytes / 2;
        let lane_bytes = (self.lane_bytes / 2).max(Resources::MEMORY_BYTES_MIN);
        Sizes { sort_batch_bytes, lane_bytes, batch_rows: (self.batch_rows / 2).max(1) }
    }
}

/// What a row of the log weighs in memory, by its first few hundred.
fn row_bytes(job: &Job, recording: &Recording) -> Result<usize, BackfillError> {
    const SAMPLE_ROWS: usize = 256;
    let Some(unit) = recording.units.first() else { return Ok(1) };
    let Some(events) = recording.events(job, unit, SAMPLE_ROWS)?.next() else { return Ok(1) };
    let events = events?;
    Ok(events.inputs.get_array_memory_size() / events.times.len().max(1) + 64)
}
