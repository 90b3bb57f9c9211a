//! Rows of features as tables: the columns of the files that the stream worker and the backfill write.
//!
//! In order: what was asked (`_partition` and `_offset` of an event, or `_spine_row` of a spine's row), the
//! entity's key fields as `_key_<field>` or an on-demand view's request fields as `_request_<field>`, for events `_event_time` and `_event_id`, then `_as_of`, the spine's
//! own columns under their own names, `_status` and `_error_code`, the view's outputs under their own names,
//! `_version`, `_component` and, if wanted, `_row_digest`. Names of fields never begin with `_`, so that nothing
//! of ours can clash with an output, not even where an output repeats a key field. A spine column that bears
//! the name of an output, or begins with `_`, is refused.
//!
//! Outputs are null wherever the status is not `value`. `_error_code` stands beside the status `error` alone.
//! `_version` is null for a component that is in no registry. `_row_digest` is null where the status is
//! `unavailable`.

mod read;

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder, UInt16Builder};
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{
    Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use trifold_model::canonical::ForeignType;
use trifold_model::types::UTC;
use trifold_model::{DecodeError, EventNumber, EventTime, FeatureView, FieldType, RowStatus, decode_rows};

pub use read::{ReadEvents, ReadRows, read_rows};

use crate::admission::ArrivalPolicy;
use crate::ingest::Ingested;
use crate::point_in_time::Answered;
use crate::rows::{Outcome, Rows};
use crate::timeline::LEAD;
use crate::version::LiveVersion;

/// The names of the columns that are not the view's.
pub mod column {
    /// The partition of the event that was asked at.
    pub const PARTITION: &str = "_partition";
    /// The offset of the event that was asked at.
    pub const OFFSET: &str = "_offset";
    /// The row of the spine that asked, from zero.
    pub const SPINE_ROW: &str = "_spine_row";
    /// Comes before the name of each key field.
    pub const KEY_PREFIX: &str = "_key_";
    /// Comes before the name of each request field of an on-demand view.
    pub const REQUEST_PREFIX: &str = "_request_";
    /// The time of the event that was asked at.
    pub const EVENT_TIME: &str = "_event_time";
    /// The id of the event that was asked at.
    pub const EVENT_ID: &str = "_event_id";
    /// The as-of time.
    pub const AS_OF: &str = "_as_of";
    /// `value`, `empty`, `expired`, `error` or `unavailable`.
    pub const STATUS: &str = "_status";
    /// The code of a row error.
    pub const ERROR_CODE: &str = "_error_code";
    /// The number of the view's version in the registry.
    pub const VERSION: &str = "_version";
    /// The digest of the component, in hexadecimal digits.
    pub const COMPONENT: &str = "_component";
    /// The digest of the row's canonical bytes, 16 bytes.
    pub const ROW_DIGEST: &str = "_row_digest";
}

/// The status of rows that have no answer.
pub const UNAVAILABLE: &str = "unavailable";

/// The key of the schema's metadata that names the view.
pub const VIEW_METADATA: &str = "trifold.view";
/// The key of the schema's metadata that says where times of arrival came from.
pub const ARRIVAL_METADATA: &str = "trifold.arrival";

/// Why rows could not be put into a table, or read from one.
#[derive(Debug, thiserror::Error)]
pub enum RowTableError {
    /// A column of a spine that a table cannot hold.
    #[error("column {column} of the spine {problem}: rename it")]
    Clash {
        /// The column.
        column: String,
        /// What is wrong with its name.
        problem: &'static str,
    },
    /// A table without a column that it must have.
    #[error("the rows have no column {column}: they were not written for view {view}")]
    Missing {
        /// The column.
        column: String,
        /// The view that was read for.
        view: String,
    },
    /// A column of another type.
    #[error("column {column} has type {found} where {expected} must stand")]
    WrongType {
        /// The column.
        column: String,
        /// Its type.
        found: DataType,
        /// The type that it must have.
        expected: String,
    },
    /// A cell that no table of ours holds.
    #[error("row {row}: column {column} holds {found}, which is not {expected}")]
    Cell {
        /// The row of the batch.
        row: usize,
        /// The column.
        column: &'static str,
        /// What stands there.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// Entity keys that are not of the view.
    #[error("the rows' entity keys: {0}")]
    Key(#[from] DecodeError),
    /// Arrow refused an operation.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// A column of a type outside the contract.
    #[error(transparent)]
    Type(#[from] ForeignType),
}

/// What the rows of a table answer, one entry for each.
pub enum Asked<'a> {
    /// Events.
    Events {
        /// The partition of each event.
        partitions: UInt32Array,
        /// The offset of each event.
        offsets: UInt64Array,
        /// The time of each event.
        times: TimestampMicrosecondArray,
        /// The id of each event.
        ids: &'a StringArray,
    },
    /// Rows of a spine.
    Spine {
        /// The number of each row.
        numbers: UInt64Array,
        /// The spine's own columns.
        carried: &'a [ArrayRef],
    },
}

/// The table of one view's rows.
#[derive(Debug, Clone)]
pub struct RowTable {
    view: FeatureView,
    schema: SchemaRef,
    digest: bool,
}

fn required(name: impl Into<String>, ty: DataType) -> Field {
    Field::new(name, ty, false)
}

fn timestamp(name: &str) -> Field {
    required(name, FieldType::Timestamp.to_arrow())
}

impl RowTable {
    /// The table of rows that events asked for. `digest` adds the row digest.
    pub fn of_events(view: &FeatureView, arrivals: ArrivalPolicy, digest: bool) -> Self {
        let lead = [required(column::PARTITION, DataType::UInt32), required(column::OFFSET, DataType::UInt64)];
        let own = [timestamp(column::EVENT_TIME), required(column::EVENT_ID, DataType::Utf8)];
        let fields = lead.into_iter().chain(key_fields(view)).chain(own).chain([timestamp(column::AS_OF)]);
        Self::new(view, fields.map(Arc::new).collect(), arrivals, digest)
    }

    /// The table of rows that a spine asked for; `carried` are the spine's own columns.
    pub fn of_spine(
        view: &FeatureView,
        carried: &[FieldRef],
        arrivals: ArrivalPolicy,
        digest: bool,
    ) -> Result<Self, RowTableError> {
        for field in carried {
            let problem = match field.name() {
                name if name.starts_with('_') => "begins with an underscore, as the columns of row files do",
                name if view.outputs.iter().any(|output| output.name == **name) => "bears the name of an output",
                _ => continue,
            };
            return Err(RowTableError::Clash { column: field.name().clone(), problem });
        }
        let lead = [required(column::SPINE_ROW, DataType::UInt64)];
        let asked = key_fields(view).chain(request_fields(view));
        let fields = lead.into_iter().chain(asked).chain([timestamp(column::AS_OF)]).map(Arc::new);
        Ok(Self::new(view, fields.chain(carried.iter().cloned()).collect(), arrivals, digest))
    }

    fn new(view: &FeatureView, mut fields: Vec<FieldRef>, arrivals: ArrivalPolicy, digest: bool) -> Self {
        let mut push = |field| fields.push(Arc::new(field));
        push(required(column::STATUS, DataType::Utf8));
        push(Field::new(column::ERROR_CODE, DataType::UInt16, true));
        for output in view.output_schema().fields() {
            push(output.as_ref().clone().with_nullable(true));
        }
        push(Field::new(column::VERSION, DataType::UInt64, true));
        push(required(column::COMPONENT, DataType::Utf8));
        if digest {
            push(Field::new(column::ROW_DIGEST, DataType::Binary, true));
        }
        let metadata = [
            (VIEW_METADATA.to_owned(), view.name.to_string()),
            (ARRIVAL_METADATA.to_owned(), arrivals.name().to_owned()),
        ];
        let schema = Arc::new(Schema::new(fields).with_metadata(metadata.into()));
        RowTable { view: view.clone(), schema, digest }
    }

    /// The table's schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows that a batch of events emitted.
    pub fn ingested(&self, version: &LiveVersion, ingested: &Ingested) -> Result<RecordBatch, RowTableError> {
        let events = &ingested.events;
        let asked = Asked::Events {
            partitions: vec![events.partition; events.offsets.len()].into(),
            offsets: events.offsets.clone().into(),
            times: times(&events.times),
            ids: &events.ids,
        };
        let keys: Vec<_> =
            self.view.key_columns().iter().map(|&column| events.inputs.column(column).clone()).collect();
        self.batch(version, asked, &keys, &ingested.as_of, &ingested.rows)
    }

    /// The rows that a timeline answered.
    pub fn answered(&self, version: &LiveVersion, answered: &Answered) -> Result<RecordBatch, RowTableError> {
        let keys = self.keys(answered)?;
        let numbers = answered.numbers().clone();
        let asked = if self.schema.field(0).name() == column::SPINE_ROW {
            Asked::Spine { numbers, carried: answered.extra() }
        } else {
            let times = answered.event_times().reinterpret_cast::<TimestampMicrosecondType>();
            let places = || numbers.values().iter().map(|number| EventNumber(*number));
            Asked::Events {
                partitions: UInt32Array::from_iter_values(places().map(EventNumber::partition)),
                offsets: UInt64Array::from_iter_values(places().map(EventNumber::offset)),
                times: times.with_timezone(UTC),
                ids: answered.event_ids(),
            }
        };
        self.batch(version, asked, &keys, &answered.as_of, &answered.rows)
    }

    /// The key fields of questions. Events of a row view bring theirs along, other questions have only the key's bytes.
    fn keys(&self, answered: &Answered) -> Result<Vec<ArrayRef>, RowTableError> {
        if self.view.windows().is_none() {
            let inputs = self.view.key_columns().iter().map(|&column| answered.questions.column(LEAD + column));
            let inputs: Vec<_> = inputs.cloned().collect();
            if inputs.iter().all(|input| input.null_count() == 0) {
                return Ok(inputs);
            }
        }
        Ok(decode_rows(self.view.key_fields(), answered.keys().iter().flatten())?.columns().to_vec())
    }

    /// Rows of the table. `keys` are the key fields in declared order, or the request fields of an on-demand view.
    pub fn batch(
        &self,
        version: &LiveVersion,
        asked: Asked<'_>,
        keys: &[ArrayRef],
        as_of: &[EventTime],
        rows: &Rows,
    ) -> Result<RecordBatch, RowTableError> {
        let count = rows.len();
        let as_of = Arc::new(times(as_of)) as ArrayRef;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        match asked {
            Asked::Events { partitions, offsets, times, ids } => {
                columns.push(Arc::new(partitions));
                columns.push(Arc::new(offsets));
                columns.extend_from_slice(keys);
                columns.push(Arc::new(times));
                columns.push(Arc::new(ids.clone()));
                columns.push(as_of);
            }
            Asked::Spine { numbers, carried } => {
                columns.push(Arc::new(numbers));
                columns.extend_from_slice(keys);
                columns.push(as_of);
                columns.extend_from_slice(carried);
            }
        }
        columns.extend(statuses(rows));
        columns.extend_from_slice(rows.outputs().columns());
        columns.push(match version.version {
            0 => new_null_array(&DataType::UInt64, count),
            number => Arc::new(UInt64Array::from(vec![number; count])),
        });
        columns.push(Arc::new(repeated(&version.digest().to_string(), count)));
        if self.digest {
            columns.push(digests(rows)?);
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

impl ArrivalPolicy {
    /// The word that the metadata of row files uses.
    pub fn name(self) -> &'static str {
        match self {
            ArrivalPolicy::Recorded => "recorded",
            ArrivalPolicy::NotNeeded => "not-needed",
            ArrivalPolicy::AssumedOnTime => "assumed-on-time",
        }
    }
}

fn key_fields(view: &FeatureView) -> impl Iterator<Item = Field> {
    view.key_fields()
        .iter()
        .map(|field| required(format!("{}{}", column::KEY_PREFIX, field.name), field.ty.to_arrow()))
}

fn request_fields(view: &FeatureView) -> impl Iterator<Item = Field> {
    let name = |field: &trifold_model::Field| format!("{}{}", column::REQUEST_PREFIX, field.name);
    view.request_fields().map(move |field| Field::new(name(field), field.ty.to_arrow(), field.nullable))
}

fn times(times: &[EventTime]) -> TimestampMicrosecondArray {
    TimestampMicrosecondArray::from_iter_values(times.iter().map(|time| time.0)).with_timezone(UTC)
}

fn statuses(rows: &Rows) -> [ArrayRef; 2] {
    let mut names = StringBuilder::with_capacity(rows.len(), rows.len() * "value".len());
    let mut codes = UInt16Builder::with_capacity(rows.len());
    for outcome in rows.outcomes() {
        let (name, code) = match outcome {
            Outcome::Known(RowStatus::Error(code)) => ("error", Some(code.0)),
            Outcome::Known(status) => (status.name(), None),
            Outcome::Unavailable(_) => (UNAVAILABLE, None),
        };
        names.append_value(name);
        codes.append_option(code);
    }
    [Arc::new(names.finish()), Arc::new(codes.finish())]
}

fn repeated(text: &str, count: usize) -> StringArray {
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(text.len(), count));
    StringArray::new(offsets, text.repeat(count).into_bytes().into(), None)
}

fn digests(rows: &Rows) -> Result<ArrayRef, RowTableError> {
    let mut builder = BinaryBuilder::with_capacity(rows.len(), rows.len() * 16);
    for digest in rows.digests()? {
        builder.append_option(digest.map(|digest| digest.0));
    }
    Ok(Arc::new(builder.finish()))
}
