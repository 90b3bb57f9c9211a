//! Splitting rows by entity: every row goes to the lane that computes its shard.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BinaryArray, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use trifold_model::EntityKey;

use crate::sorter::SortInput;

/// The name of the column that an exchange puts behind a timeline's columns.
const SHARD: &str = "shard";

/// The shard of an entity: the first eight bytes of its key's BLAKE3 hash as a little-endian number, modulo the
/// number of shards.
pub(crate) fn shard_of(key: &[u8], shards: u32) -> u32 {
    let mut head = [0; 8];
    head.copy_from_slice(&EntityKey(key.into()).hash()[..8]);
    (u64::from_le_bytes(head) % u64::from(shards)) as u32
}

/// A timeline's schema with the column of the shard.
pub(crate) fn with_shard(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().cloned();
    let shard = Arc::new(Field::new(SHARD, DataType::UInt32, false));
    Arc::new(Schema::new(fields.chain([shard]).collect::<Vec<_>>()))
}

/// Which lane each shard goes to.
pub(crate) struct Routes {
    lanes: Vec<Option<usize>>,
    schema: SchemaRef,
    /// Rows wait until a lane has this many bytes of them: sorting few large batches is faster than many small
    /// ones.
    batch_bytes: usize,
}

impl Routes {
    /// Shards `wanted`, ascending, go in equal parts to `lanes` lanes; the other shards' rows are dropped.
    pub(crate) fn new(
        timeline: &SchemaRef,
        shards: u32,
        wanted: &[u32],
        lanes: usize,
        batch_bytes: usize,
    ) -> Self {
        let mut routes = vec![None; shards as usize];
        for (lane, part) in lane_parts(wanted, lanes).into_iter().enumerate() {
            for &shard in part {
                routes[shard as usize] = Some(lane);
            }
        }
        Routes { lanes: routes, schema: with_shard(timeline), batch_bytes }
    }

    fn shards(&self) -> u32 {
        self.lanes.len() as u32
    }
}

/// The shards of each lane.
pub(crate) fn lane_parts(wanted: &[u32], lanes: usize) -> Vec<&[u32]> {
    let bound = |lane: usize| wanted.len() * lane / lanes;
    (0..lanes).map(|lane| &wanted[bound(lane)..bound(lane + 1)]).collect()
}

/// Sends the rows of one thread to the lanes.
pub(crate) struct Router<'a> {
    routes: &'a Routes,
    waiting: Vec<(Waiting, SortInput)>,
}

#[derive(Default)]
struct Waiting {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl<'a> Router<'a> {
    pub(crate) fn new(routes: &'a Routes, lanes: &[SortInput]) -> Self {
        let waiting = lanes.iter().map(|lane| (Waiting::default(), lane.clone())).collect();
        Router { routes, waiting }
    }

    /// Sends the rows of a timeline. Whether all lanes still want rows.
    pub(crate) fn send(&mut self, rows: RecordBatch) -> Result<bool, ArrowError> {
        let keys: &BinaryArray = rows.column(0).as_binary();
        let shards: Vec<u32> = match self.routes.shards() {
            1 => vec![0; rows.num_rows()],
            count => keys.iter().flatten().map(|key| shard_of(key, count)).collect(),
        };
        let mut of_lane = vec![Vec::new(); self.waiting.len()];
        for (row, &shard) in shards.iter().enumerate() {
            if let Some(lane) = self.routes.lanes[shard as usize] {
                of_lane[lane].push(row as u32);
            }
        }
        let shards: ArrayRef = Arc::new(UInt32Array::from(shards));
        let columns = rows.columns().iter().cloned().chain([shards]).collect();
        let rows = RecordBatch::try_new(self.routes.schema.clone(), columns)?;
        for ((waiting, _), chosen) in self.waiting.iter_mut().zip(of_lane) {
            let part = if chosen.len() == rows.num_rows() {
                rows.clone()
            } else {
                take_record_batch(&rows, &UInt32Array::from(chosen))?
            };
            waiting.push(part);
        }
        self.flush(self.routes.batch_bytes)
    }

    /// Sends what still waits, and tells the lanes that it was all. Where a lane has gone the others are told that
    /// their input is not complete.
    pub(crate) fn finish(mut self) -> Result<(), ArrowError> {
        if self.flush(1)? {
            self.waiting.into_iter().for_each(|(_, lane)| lane.complete());
        }
        Ok(())
    }

    /// Sends what has reached a number of bytes.
    fn flush(&mut self, bytes_min: usize) -> Result<bool, ArrowError> {
        for (waiting, lane) in &mut self.waiting {
            if waiting.bytes >= bytes_min {
                let batch = concat_batches(&self.routes.schema, &std::mem::take(waiting).batches)?;
                if !lane.send(batch) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl Waiting {
    fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.bytes += batch.get_array_memory_size();
            self.batches.push(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_the_same_everywhere() {
        // BLAKE3 of the empty input begins with af 13 49 b9 f5 f9 a1 a6.
        let head = u64::from_le_bytes([0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6]);
        for shards in [1, 2, 7, 1000] {
            assert_eq!(u64::from(shard_of(&[], shards)), head % u64::from(shards));
        }
    }

    #[test]
    fn lanes_get_equal_parts_of_the_shards_in_order() {
        assert_eq!(lane_parts(&[1, 4, 5, 8, 9], 2), [&[1, 4][..], &[5, 8, 9]]);
        assert_eq!(lane_parts(&[3], 1), [&[3]]);
    }
}
