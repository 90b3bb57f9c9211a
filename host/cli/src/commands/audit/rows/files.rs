//! The files that a stream worker emitted, one for each step.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use trifold_eventlog::read_row_files;
use trifold_model::{ComponentDigest, EntityKey, EventTime, FeatureView, RowDigest};
use trifold_pipeline::row_table::{RowTable, column, read_rows};
use trifold_pipeline::{ArrivalPolicy, LiveVersion};

use crate::commands::stream::log_failure;
use crate::exit::{Exit, Failure, OrExit, Outcome};

/// The steps of a directory, in the order of their offsets.
pub(super) struct StepFiles(pub Vec<StepFile>);

/// The rows of one step that one component computed.
pub(super) struct StepFile {
    path: PathBuf,
    /// The first offset of the step.
    pub first_offset: u64,
    /// The component that computed them.
    pub component: ComponentDigest,
    /// Whether the step's other rows, computed by another component, stand in another file.
    pub is_divided: bool,
    /// Whether its rows carry their digest, as those of the stream do.
    is_digested: bool,
}

/// One emitted row.
pub(super) struct Emitted {
    /// The offset of its event.
    pub number: u64,
    /// The entity.
    pub key: EntityKey,
    /// The time of its event, as stored.
    pub event_time: EventTime,
    /// The id of its event, as stored.
    pub event_id: String,
    /// The as-of time.
    pub as_of: EventTime,
    /// The registry's number of the version that computed it, as stored.
    pub version: Option<u64>,
    /// The canonical bytes of the stored columns, and the stored digest; `None` where the row was unavailable.
    pub value: Option<(Vec<u8>, Option<RowDigest>)>,
    /// Whether there is a column for the digest.
    pub is_digested: bool,
}

impl StepFiles {
    /// The files of a directory; none where there is no directory.
    pub(super) fn list(dir: &Path) -> Outcome<Self> {
        let mut files = Vec::new();
        for path in entries(dir) {
            if let Some(first_offset) = first_offset(&path) {
                let (component, is_digested) = first_row(&path)?;
                files.push(StepFile { path, first_offset, component, is_divided: false, is_digested });
            }
        }
        files.sort_by(|left, right| (left.first_offset, &left.path).cmp(&(right.first_offset, &right.path)));
        for step in files.chunk_by_mut(|left, right| left.first_offset == right.first_offset) {
            let is_divided = step.len() > 1;
            step.iter_mut().for_each(|file| file.is_divided = is_divided);
        }
        Ok(StepFiles(files))
    }

    /// The first directory in a directory that holds files of steps.
    pub(super) fn below(dir: &Path) -> Option<PathBuf> {
        entries(dir).filter(|path| entries(path).any(|file| first_offset(&file).is_some())).min()
    }

    /// The components that computed them.
    pub(super) fn components(&self) -> BTreeSet<ComponentDigest> {
        self.0.iter().map(|file| file.component).collect()
    }

    /// The offset after the last row.
    pub(super) fn end(&self, versions: &BTreeMap<ComponentDigest, LiveVersion>) -> Outcome<u64> {
        let mut end = 0;
        let first_offset = self.0.last().map_or(0, |last| last.first_offset);
        for file in self.0.iter().rev().take_while(|file| file.first_offset == first_offset) {
            let Some(version) = versions.get(&file.component) else { continue };
            let rows = file.rows(version.view(), ArrivalPolicy::NotNeeded)?;
            end = end.max(rows.last().map_or(first_offset, |row| row.number + 1));
        }
        Ok(end)
    }
}

/// What is in a directory; nothing where it cannot be read.
fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// A step's file is named `<partition>-<first offset>.<format>`, or `<partition>-<first offset>-canary.<format>`.
fn first_offset(path: &Path) -> Option<u64> {
    let known = path.extension().is_some_and(|extension| extension == "parquet" || extension == "jsonl");
    let place = path.file_stem()?.to_str()?;
    let (_, offset) = place.strip_suffix("-canary").unwrap_or(place).split_once('-')?;
    offset.parse().ok().filter(|_| known)
}

/// The component that a file's first row names, and whether it has a column for the digest.
fn first_row(path: &Path) -> Outcome<(ComponentDigest, bool)> {
    let (text, is_digested) = if path.extension().is_some_and(|extension| extension == "jsonl") {
        let mut line = String::new();
        BufReader::new(std::fs::File::open(path).or_exit(Exit::Io)?).read_line(&mut line).or_exit(Exit::Io)?;
        let row: serde_json::Value = serde_json::from_str(&line).or_exit(Exit::Data)?;
        (row[column::COMPONENT].as_str().map(str::to_owned), row.get(column::ROW_DIGEST).is_some())
    } else {
        let batch = read_row_files(path, None).map_err(log_failure)?.next().transpose().map_err(log_failure)?;
        let is_digested = batch.as_ref().is_some_and(|batch| batch.column_by_name(column::ROW_DIGEST).is_some());
        let component = batch.and_then(|batch: RecordBatch| {
            let components = batch.column_by_name(column::COMPONENT)?.as_string_opt::<i32>()?;
            (!components.is_empty()).then(|| components.value(0).to_owned())
        });
        (component, is_digested)
    };
    text.and_then(|text| Some((text.parse().ok()?, is_digested)))
        .ok_or_else(|| Failure::new(Exit::Data, format!("{}: its first row names no component", path.display())))
}

impl StepFile {
    /// The offsets of the rows.
    pub(super) fn offsets(&self) -> Outcome<BTreeSet<u64>> {
        let is_text = self.path.extension().is_some_and(|extension| extension == "jsonl");
        let schema = is_text.then(|| Schema::new(vec![Field::new(column::OFFSET, DataType::UInt64, false)]));
        let mut offsets = BTreeSet::new();
        for batch in read_row_files(&self.path, schema.map(Arc::new)).map_err(log_failure)? {
            let batch = batch.map_err(log_failure)?;
            let found = batch.column_by_name(column::OFFSET).and_then(|of| of.as_primitive_opt::<UInt64Type>());
            let Some(found) = found else {
                let message = format!("{}: its rows have no column {}", self.path.display(), column::OFFSET);
                return Err(Failure::new(Exit::Data, message));
            };
            offsets.extend(found.values());
        }
        Ok(offsets)
    }

    /// The rows, which must all be of the step's component and in the order of their offsets.
    pub(super) fn rows(&self, view: &FeatureView, arrivals: ArrivalPolicy) -> Outcome<Vec<Emitted>> {
        let is_text = self.path.extension().is_some_and(|extension| extension == "jsonl");
        let schema = is_text.then(|| RowTable::of_events(view, arrivals, self.is_digested).schema().clone());
        let mut rows: Vec<Emitted> = Vec::new();
        for batch in read_row_files(&self.path, schema).map_err(log_failure)? {
            let read = read_rows(view, &batch.map_err(log_failure)?)
                .map_err(|error| Failure::new(Exit::Data, format!("{}: {error}", self.path.display())))?;
            if read.components.iter().any(|component| *component != self.component) {
                let message = format!("{}: its rows name more than one component", self.path.display());
                return Err(Failure::new(Exit::Data, message));
            }
            let Some(events) = read.events else {
                let message = format!("{}: its rows answer a spine, and not events", self.path.display());
                return Err(Failure::new(Exit::Data, message));
            };
            let canonical = read.rows.canonical().or_exit(Exit::Data)?;
            rows.extend(canonical.into_iter().enumerate().map(|(row, bytes)| Emitted {
                number: read.numbers[row],
                key: read.keys[row].clone(),
                event_time: events.times[row],
                event_id: events.ids.value(row).to_owned(),
                as_of: read.as_of[row],
                version: read.versions[row],
                is_digested: self.is_digested,
                value: bytes.map(|bytes| (bytes, read.digests.as_ref().and_then(|digests| digests[row]))),
            }));
        }
        match rows.windows(2).find(|pair| pair[0].number >= pair[1].number) {
            Some(pair) => {
                let message =
                    format!("{}: offset {} stands twice or out of order", self.path.display(), pair[1].number);
                Err(Failure::new(Exit::Data, message))
            }
            None => Ok(rows),
        }
    }
}
