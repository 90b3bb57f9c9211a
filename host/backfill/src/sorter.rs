//! Sorting more rows than fit into memory, by DataFusion's external sort.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion_common::DataFusionError;
use datafusion_execution::config::SessionConfig;
use datafusion_execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion_execution::memory_pool::GreedyMemoryPool;
use datafusion_execution::runtime_env::RuntimeEnvBuilder;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::expressions::Column;
use datafusion_physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion_physical_plan::ExecutionPlan;
use datafusion_physical_plan::sorts::sort::SortExec;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use datafusion_physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use crate::error::BackfillError;

/// Batches held between those who send and the one who sorts.
const CHANNEL_BATCHES: usize = 2;

/// Threads that read spilled runs. DataFusion would have one for each run, and what every thread keeps of the memory
/// that it once had adds up.
const SPILL_THREADS: usize = 2;

/// What sorts need of the machine.
#[derive(Debug, Clone)]
pub(crate) struct SortLimits {
    /// Memory for one sort.
    pub(crate) memory_bytes: usize,
    /// Rows of a batch that comes out.
    pub(crate) batch_rows: usize,
    /// Where to spill.
    pub(crate) spill_dir: PathBuf,
}

/// The senders' side stopped before it had sent everything.
#[derive(Debug, thiserror::Error)]
#[error("its input ended early")]
struct Stopped;

/// Sends rows to a sort. The sort has its input once every sender has said that it sent all it had; a sender that is
/// dropped before, for whatever reason, makes the sort fail, so that no part is ever taken for the whole.
pub(crate) struct SortInput {
    sender: mpsc::Sender<Option<RecordBatch>>,
    complete: bool,
}

impl SortInput {
    /// Sends a batch; whether anybody still wants it.
    pub(crate) fn send(&self, batch: RecordBatch) -> bool {
        self.sender.blocking_send(Some(batch)).is_ok()
    }

    /// Says that everything was sent.
    pub(crate) fn complete(mut self) {
        self.complete = true;
    }
}

impl Clone for SortInput {
    fn clone(&self) -> Self {
        SortInput { sender: self.sender.clone(), complete: false }
    }
}

impl Drop for SortInput {
    fn drop(&mut self) {
        if !self.complete {
            // If nobody listens, the sort has failed already.
            let _ = self.sender.blocking_send(None);
        }
    }
}

/// A sort that waits for its input.
pub(crate) struct Sort {
    what: &'static str,
    schema: SchemaRef,
    by: Vec<usize>,
    input: mpsc::Receiver<Option<RecordBatch>>,
}

impl Sort {
    /// A sort of rows of a schema by some of its columns, ascending, and where to send the rows.
    pub(crate) fn new(what: &'static str, schema: SchemaRef, by: Vec<usize>) -> (Self, SortInput) {
        let (sender, input) = mpsc::channel(CHANNEL_BATCHES);
        (Sort { what, schema, by, input }, SortInput { sender, complete: false })
    }

    /// Takes the input to its end and hands the rows over in order. Blocks the thread, on which also the sorting
    /// happens.
    pub(crate) fn run(
        self,
        limits: &SortLimits,
        mut each: impl FnMut(RecordBatch) -> Result<(), BackfillError>,
    ) -> Result<(), BackfillError> {
        let what = self.what;
        let failed = |source: DataFusionError| match source.find_root() {
            DataFusionError::External(error) if error.is::<Stopped>() => BackfillError::Interrupted,
            DataFusionError::ResourcesExhausted(_) => {
                BackfillError::Memory { what, memory_bytes: limits.memory_bytes }
            }
            _ => BackfillError::Sort { what, source: Box::new(source) },
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(SPILL_THREADS)
            .build()
            .map_err(|error| failed(DataFusionError::IoError(error)))?;
        let mut rows = runtime.block_on(async { self.start(limits) }).map_err(failed)?;
        // Outside of the runtime whoever takes the rows may block.
        while let Some(batch) = runtime.block_on(rows.next()) {
            each(batch.map_err(failed)?)?;
        }
        Ok(())
    }

    fn start(self, limits: &SortLimits) -> Result<SendableRecordBatchStream, DataFusionError> {
        let by = self.by.iter().map(|&column| {
            PhysicalSortExpr::new_default(Arc::new(Column::new(self.schema.field(column).name(), column)))
        });
        let by = LexOrdering::new(by)
            .ok_or_else(|| DataFusionError::Internal("a sort without columns to sort by".to_owned()))?;
        let schema = self.schema.clone();
        let input = Input { schema: self.schema, rows: Mutex::new(Some(self.input)) };
        let scan = StreamingTableExec::try_new(schema, vec![Arc::new(input)], None, [], false, None)?;
        SortExec::new(by, Arc::new(scan)).execute(0, limits.context()?)
    }
}

impl SortLimits {
    fn context(&self) -> Result<Arc<TaskContext>, DataFusionError> {
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.spill_dir.clone()]))
            .with_max_temp_directory_size(u64::MAX);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(self.memory_bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()?;
        // Merging needs memory beside what is merged, for another form of the columns that are sorted by, and fails
        // where it does not get it. DataFusion keeps 10 MiB for it by default, which is more than all there is under a
        // low limit, and was too little for three million payments within 256 MiB.
        let config = SessionConfig::new()
            .with_batch_size(self.batch_rows)
            .with_sort_spill_reservation_bytes(self.memory_bytes / 2);
        Ok(Arc::new(TaskContext::default().with_session_config(config).with_runtime(runtime)))
    }
}

/// The rows of a channel as the one partition of a table.
struct Input {
    schema: SchemaRef,
    rows: Mutex<Option<mpsc::Receiver<Option<RecordBatch>>>>,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Input")
    }
}

impl PartitionStream for Input {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        let batches = stream::unfold(rows, |rows| async move {
            let mut rows = rows?;
            match rows.recv().await? {
                Some(batch) => Some((Ok(batch), Some(rows))),
                None => Some((Err(DataFusionError::External(Box::new(Stopped))), None)),
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, RecordBatch};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn sorted(input: impl FnOnce(SortInput) + Send) -> Result<usize, BackfillError> {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let (sort, sender) = Sort::new("numbers", schema, vec![0]);
        let limits = SortLimits { memory_bytes: 16 << 20, batch_rows: 16, spill_dir: std::env::temp_dir() };
        std::thread::scope(|scope| {
            scope.spawn(|| input(sender));
            let mut rows = 0;
            sort.run(&limits, |batch| {
                rows += batch.num_rows();
                Ok(())
            })?;
            Ok(rows)
        })
    }

    fn numbers() -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![3, 1, 2]))]).unwrap()
    }

    #[test]
    fn a_sort_is_over_only_if_every_sender_has_sent_everything() {
        let all = sorted(|input| {
            let other = input.clone();
            assert!(input.send(numbers()) && other.send(numbers()));
            input.complete();
            other.complete();
        });
        assert_eq!(all.unwrap(), 6);
        let part = sorted(|input| {
            let other = input.clone();
            assert!(input.send(numbers()) && other.send(numbers()));
            input.complete();
            drop(other);
        });
        assert!(matches!(part, Err(BackfillError::Interrupted)), "{part:?}");
    }
}
