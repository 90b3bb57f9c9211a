//! The questions of a spine, from a file or from memory.

mod carried;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::FieldRef;
use arrow_select::concat::concat_batches;
use trifold_eventlog::{
    DecodedColumn, FileLog, LogError, LogOptions, RawBatch, RawRows, ScanUnit, YEARS_1_TO_9999, decode_columns,
};
use trifold_model::view::arrow_schema;
use trifold_model::{CanonicalRows, EntityKey, EventTime, FeatureView, Field, FieldType};
use trifold_pipeline::{Timeline, TimelineError};

use crate::error::BackfillError;
use crate::job::Spine;
use crate::{AskedRows, Questions};
use carried::Carried;

/// Rows that are decoded at a time where all of them are wanted.
const WHOLE_ROWS: usize = 8192;

/// Takes a batch of a timeline's rows, and says whether more are wanted.
pub(crate) type Take<'a> = &'a mut dyn FnMut(RecordBatch) -> Result<bool, BackfillError>;

/// Questions that can be asked again in every pass.
pub(crate) trait Questioner: Sync {
    /// How many there are.
    fn rows(&self) -> u64;

    /// Hands the questions over as rows of a timeline, from the first on, as long as they are wanted.
    fn each(&self, timeline: &Timeline, batch_rows: usize, take: Take<'_>) -> Result<(), BackfillError>;
}

impl Questioner for Questions {
    fn rows(&self) -> u64 {
        self.keys.len() as u64
    }

    fn each(&self, timeline: &Timeline, batch_rows: usize, take: Take<'_>) -> Result<(), BackfillError> {
        let batches = self.keys.chunks(batch_rows).zip(self.as_of.chunks(batch_rows));
        let mut first = 0;
        for (keys, as_of) in batches {
            if !take(timeline.questions(keys, as_of, first, &[])?)? {
                break;
            }
            first += keys.len() as u64;
        }
        Ok(())
    }
}

/// A spine's file, looked at.
pub(crate) struct SpineFile {
    spine: Spine,
    /// What is asked with, beside the time: the key fields of an entity, or the fields of a request.
    fields: Vec<Field>,
    units: Arc<[ScanUnit]>,
    /// The rows that ask.
    rows: Range<u64>,
    carried: Carried,
}

/// A column that is read.
struct Wanted<'a> {
    name: &'a str,
    ty: FieldType,
    nullable: bool,
}

/// Consecutive rows of a spine.
pub(crate) struct SpineRows {
    /// The first of them.
    pub(crate) first: u64,
    /// The fields that are asked with.
    pub(crate) asked: Vec<ArrayRef>,
    /// The times that are asked for.
    pub(crate) as_of: Vec<EventTime>,
    /// The spine's other columns.
    pub(crate) carried: Vec<ArrayRef>,
}

impl Spine {
    /// Reads the whole file, which may do without times.
    pub fn read(&self, view: &FeatureView) -> Result<AskedRows, BackfillError> {
        SpineFile::bare(self, view)?.whole()
    }
}

impl SpineFile {
    /// Looks at the file's columns and at the first questions of each file, so that a spine which asks nothing is
    /// refused before anything is written; the other rows are looked at when they are asked.
    pub(crate) fn open(spine: &Spine, view: &FeatureView) -> Result<Self, BackfillError> {
        let mut file = SpineFile::bare(spine, view)?;
        file.carried = file.look()?;
        Ok(file)
    }

    /// A file that nothing is known of but how many rows it has.
    fn bare(spine: &Spine, view: &FeatureView) -> Result<Self, BackfillError> {
        let log = FileLog::open(&spine.path, LogOptions::default()).map_err(|error| match error {
            LogError::NotFound { path } => BackfillError::NoSpine { file: path },
            error => error.into(),
        });
        let units = log?.units()?;
        Ok(SpineFile {
            spine: spine.clone(),
            fields: view.key_fields().iter().chain(view.request_fields()).cloned().collect(),
            rows: 0..units.iter().map(|unit| unit.rows).sum(),
            units: units.into(),
            carried: Carried::default(),
        })
    }

    /// The whole file in memory. Its rows need no times.
    fn whole(&self) -> Result<AskedRows, BackfillError> {
        let schema = arrow_schema(&self.fields);
        let (mut batches, mut as_of) = (Vec::new(), Vec::new());
        for raw in self.raw(self.rows.clone(), WHOLE_ROWS) {
            let raw = raw?;
            let columns = self.decoded(&raw, self.wanted_fields())?;
            let options = RecordBatchOptions::new().with_row_count(Some(raw.rows()));
            let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options);
            batches.push(batch.map_err(TimelineError::from)?);
            as_of.extend(self.times_if_any(&raw)?);
        }
        let columns = concat_batches(&schema, &batches).map_err(TimelineError::from)?;
        Ok(AskedRows { columns, as_of })
    }

    /// Some rows of the same file as questions about the entities of a view, which carry nothing.
    pub(crate) fn about(&self, view: &FeatureView, rows: Range<u64>) -> SpineFile {
        SpineFile {
            spine: self.spine.clone(),
            fields: view.key_fields().to_vec(),
            units: self.units.clone(),
            rows,
            carried: Carried::default(),
        }
    }

    pub(crate) fn spine(&self) -> &Spine {
        &self.spine
    }

    pub(crate) fn bytes(&self) -> Result<u64, BackfillError> {
        let mut files: Vec<_> = self.units.iter().map(|unit| unit.file.clone()).collect();
        files.dedup();
        let sizes = files.iter().map(|file| {
            std::fs::metadata(&**file).map(|file| file.len()).map_err(BackfillError::io("read", &**file))
        });
        sizes.sum()
    }

    /// The columns that are carried through, with their own names.
    pub(crate) fn carried(&self) -> Vec<FieldRef> {
        self.carried.fields()
    }

    /// The columns that say what is asked: the fields in declared order, then the time.
    fn own_columns(&self) -> Vec<String> {
        let fields = self.fields.iter().map(|field| field.name.to_string());
        fields.chain([self.spine.as_of.clone()]).collect()
    }

    /// What the columns carried are: a Parquet file says so itself, JSON lines have to be read.
    fn look(&self) -> Result<Carried, BackfillError> {
        let taken = self.own_columns();
        let mut seen = Carried::default();
        let mut known = None;
        for unit in self.units.iter() {
            if known.as_ref() == Some(&unit.file) {
                continue;
            }
            for raw in unit.read(None, carried::LOOK_ROWS)? {
                let raw = raw?;
                if raw.first_offset == unit.first_offset {
                    self.asked(&raw)?;
                }
                if !seen.look(&raw, &taken)? {
                    known = Some(unit.file.clone());
                    break;
                }
            }
        }
        Ok(seen)
    }

    fn raw(&self, rows: Range<u64>, batch_rows: usize) -> impl Iterator<Item = Result<RawBatch, BackfillError>> {
        let wanted = move |first: u64, next: u64| first < rows.end && rows.start < next;
        let units = self.units.iter().filter(move |unit| wanted(unit.first_offset, unit.first_offset + unit.rows));
        // One unit is open at a time: a spine of many files would run out of file descriptors.
        let raw = units.flat_map(move |unit| {
            let (rows, error) = match unit.read(None, batch_rows) {
                Ok(rows) => (Some(rows), None),
                Err(error) => (None, Some(Err(error))),
            };
            rows.into_iter().flatten().chain(error).map(|raw| Ok(raw?))
        });
        raw.filter(move |raw| raw.as_ref().map_or(true, |raw| wanted(raw.first_offset, raw.next_offset())))
    }

    /// Some of the rows, in batches.
    pub(crate) fn batches(
        &self,
        rows: Range<u64>,
        batch_rows: usize,
    ) -> impl Iterator<Item = Result<SpineRows, BackfillError>> {
        self.raw(rows.clone(), batch_rows).map(move |raw| {
            let raw = raw?;
            let (asked, as_of) = self.asked(&raw)?;
            let carried = self.carried.columns(&raw)?;
            Ok(SpineRows { first: raw.first_offset, asked, as_of, carried }.within(&rows))
        })
    }

    /// The fields and the times that are asked for.
    fn asked(&self, raw: &RawBatch) -> Result<(Vec<ArrayRef>, Vec<EventTime>), BackfillError> {
        let mut columns = self.decoded(raw, self.wanted_fields().chain([self.wanted_time(false)]))?;
        let as_of = columns.pop().ok_or_else(|| BackfillError::Internal("a spine without times".to_owned()))?;
        Ok((columns, self.times(raw, &as_of)?.into_iter().flatten().collect()))
    }

    /// The times that are asked for, of the rows that have one.
    fn times_if_any(&self, raw: &RawBatch) -> Result<Vec<Option<EventTime>>, BackfillError> {
        let file_has_none = match &raw.rows {
            RawRows::Columns { file_schema, .. } => file_schema.field_with_name(&self.spine.as_of).is_err(),
            RawRows::Lines(_) => false,
        };
        match self.decoded(raw, [self.wanted_time(true)].into_iter().filter(|_| !file_has_none))?.first() {
            Some(as_of) => self.times(raw, as_of),
            None => Ok(vec![None; raw.rows()]),
        }
    }

    fn wanted_fields(&self) -> impl Iterator<Item = Wanted<'_>> {
        self.fields.iter().map(|Field { name, ty, nullable, .. }| Wanted {
            name: name.as_str(),
            ty: *ty,
            nullable: *nullable,
        })
    }

    fn wanted_time(&self, nullable: bool) -> Wanted<'_> {
        Wanted { name: &self.spine.as_of, ty: FieldType::Timestamp, nullable }
    }

    /// Columns of a batch, all of whose rows must be as they are wanted.
    fn decoded<'a>(
        &self,
        raw: &RawBatch,
        wanted: impl Iterator<Item = Wanted<'a>>,
    ) -> Result<Vec<ArrayRef>, BackfillError> {
        let wanted: Vec<_> = wanted.collect();
        let types: Vec<_> = wanted.iter().map(|wanted| (wanted.name, wanted.ty)).collect();
        let columns = decode_columns(raw, &types)?.into_iter().zip(&wanted);
        columns.map(|(column, wanted)| self.good(raw, wanted, column)).collect()
    }

    fn good(
        &self,
        raw: &RawBatch,
        &Wanted { name, nullable, .. }: &Wanted<'_>,
        column: DecodedColumn,
    ) -> Result<ArrayRef, BackfillError> {
        if let Some((row, problem)) = column.bad.into_iter().next() {
            return Err(self.row_error(raw, row, name, problem));
        }
        match (0..column.array.len()).find(|&row| column.array.is_null(row) && !nullable) {
            Some(row) => Err(self.row_error(raw, row, name, self.absence(raw, name))),
            None => Ok(column.array),
        }
    }

    /// What is said of a value that is not there: in JSON lines its column may be missing as well.
    fn absence(&self, raw: &RawBatch, name: &str) -> String {
        let is_lines = raw.file.extension().is_some_and(|extension| extension == "jsonl");
        let null = if is_lines { "is missing or null" } else { "is null" };
        let other = if name == self.spine.as_of { "; `--as-of-column` names another" } else { "" };
        format!("{null}{other}")
    }

    fn times(&self, raw: &RawBatch, as_of: &ArrayRef) -> Result<Vec<Option<EventTime>>, BackfillError> {
        let times = as_of.as_primitive::<TimestampMicrosecondType>();
        let is_beyond = |time: &Option<i64>| time.is_some_and(|time| !YEARS_1_TO_9999.contains(&time));
        if let Some((row, Some(time))) = times.iter().enumerate().find(|(_, time)| is_beyond(time)) {
            let problem = format!("holds {time} microseconds, outside the years 1 to 9999");
            return Err(self.row_error(raw, row, &self.spine.as_of, problem));
        }
        Ok(times.iter().map(|time| time.map(EventTime)).collect())
    }

    fn row_error(&self, raw: &RawBatch, row: usize, column: &str, problem: String) -> BackfillError {
        let first = self.units.iter().find(|unit| unit.file == raw.file).map_or(0, |unit| unit.first_offset);
        BackfillError::SpineRow {
            file: raw.file.to_path_buf(),
            row: raw.first_offset - first + row as u64,
            column: column.to_owned(),
            problem,
        }
    }
}

impl SpineRows {
    fn within(self, rows: &Range<u64>) -> SpineRows {
        let skip = rows.start.saturating_sub(self.first) as usize;
        let end = (rows.end.saturating_sub(self.first) as usize).min(self.as_of.len());
        let slice = |columns: &[ArrayRef]| columns.iter().map(|column| column.slice(skip, end - skip)).collect();
        SpineRows {
            first: self.first + skip as u64,
            asked: slice(&self.asked),
            as_of: self.as_of[skip..end].to_vec(),
            carried: slice(&self.carried),
        }
    }
}

impl Questioner for SpineFile {
    fn rows(&self) -> u64 {
        self.rows.end - self.rows.start
    }

    fn each(&self, timeline: &Timeline, batch_rows: usize, take: Take<'_>) -> Result<(), BackfillError> {
        for rows in self.batches(self.rows.clone(), batch_rows) {
            let SpineRows { first, asked, as_of, carried } = rows?;
            let keys = keys(&asked).map_err(BackfillError::Timeline)?;
            if !take(timeline.questions(&keys, &as_of, first, &carried)?)? {
                break;
            }
        }
        Ok(())
    }
}

/// The entity keys of rows, from their key columns.
pub(crate) fn keys(columns: &[ArrayRef]) -> Result<Vec<EntityKey>, TimelineError> {
    let named = columns.iter().enumerate().map(|(index, column)| (index.to_string(), column.clone()));
    let batch = RecordBatch::try_from_iter(named)?;
    let rows = CanonicalRows::new(&batch)?;
    let mut scratch = Vec::new();
    Ok((0..batch.num_rows()).map(|row| rows.key(row, &mut scratch)).collect())
}
