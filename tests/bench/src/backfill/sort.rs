//! DataFusion's sort of a log by card, time and id, read to its end.

use std::fmt;
use std::fs::{self, File};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::SchemaRef;
use datafusion_common::DataFusionError;
use datafusion_execution::config::SessionConfig;
use datafusion_execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion_execution::memory_pool::FairSpillPool;
use datafusion_execution::runtime_env::RuntimeEnvBuilder;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::expressions::Column;
use datafusion_physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion_physical_plan::ExecutionPlan;
use datafusion_physical_plan::sorts::sort::SortExec;
use datafusion_physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use datafusion_physical_plan::streaming::{PartitionStream, StreamingTableExec};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use tokio_stream::StreamExt;

/// What the backfill reads, in the order of the log's columns.
const COLUMNS: [&str; 7] = ["event_id", "event_time", "arrived_at", "card", "merchant", "amount", "declined"];
const BY: [&str; 3] = ["card", "event_time", "event_id"];
const BATCH_ROWS: usize = 4096;

/// Sorts all files of a directory on so many threads.
pub(crate) fn run(log: &Path, spill: &Path, memory_bytes: usize, threads: usize) -> anyhow::Result<()> {
    let mut files = fs::read_dir(log)?.map(|file| Ok(file?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.sort();
    let schema = open(files.first().context("a log without files")?)?.schema();
    let partitions = (0..threads).map(|thread| -> Arc<dyn PartitionStream> {
        let files = files.iter().skip(thread).step_by(threads).cloned().collect();
        Arc::new(Files { schema: schema.clone(), files })
    });
    let scan = StreamingTableExec::try_new(schema.clone(), partitions.collect(), None, [], false, None)?;
    let by = BY.map(|name| Ok(PhysicalSortExpr::new_default(Arc::new(Column::new_with_schema(name, &schema)?))));
    let by =
        LexOrdering::new(by.into_iter().collect::<Result<Vec<_>, DataFusionError>>()?).context("no columns")?;
    let sort = SortExec::new(by.clone(), Arc::new(scan)).with_preserve_partitioning(true);
    let merge = SortPreservingMergeExec::new(by, Arc::new(sort));
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![spill.to_owned()]))
        .with_max_temp_directory_size(u64::MAX);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes)))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    // With the 10 MiB of the default, the sort of ten million payments fails.
    let config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(threads)
        .with_sort_spill_reservation_bytes(memory_bytes / 2 / threads);
    let context = Arc::new(TaskContext::default().with_session_config(config).with_runtime(runtime));
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build()?;
    tokio.block_on(async {
        let mut rows = merge.execute(0, context)?;
        while let Some(batch) = rows.next().await {
            std::hint::black_box(batch?);
        }
        Ok(())
    })
}

fn open(path: &Path) -> anyhow::Result<ParquetRecordBatchReader> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.with_batch_size(BATCH_ROWS);
    let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    Ok(builder.with_projection(mask).build()?)
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, DataFusionError>> + Send>;

/// Some files as one partition of a table.
struct Files {
    schema: SchemaRef,
    files: Vec<PathBuf>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}

impl PartitionStream for Files {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = self.files.clone().into_iter().flat_map(|path| -> Batches {
            match open(&path) {
                Ok(reader) => Box::new(reader.map(|batch| batch.map_err(DataFusionError::from))),
                Err(error) => Box::new(iter::once(Err(DataFusionError::External(error.into())))),
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), tokio_stream::iter(batches)))
    }
}
