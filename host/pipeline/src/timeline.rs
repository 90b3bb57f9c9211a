//! Events and questions on one axis, for values as of points in time over recorded events.
//!
//! A [`Timeline`] turns events and questions into rows of one schema, each with the *moment* from which an
//! event counts or at which a question is asked. Whoever sorts those rows by [`Timeline::SORT_COLUMNS`] can
//! stream them through [`crate::PointInTime`], which holds one entity's latest event at a time. The moment carries the
//! cut: it is the event time for a fixed cut, the later of event time and arrival where arrival must not be
//! after T, and the event's number where each is asked at its own position.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, UInt8Array};
use arrow_array::{UInt64Array, new_null_array};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use trifold_eventlog::{Aside, Events};
use trifold_model::canonical::ForeignType;
use trifold_model::{ArrivalTime, CanonicalRows, Cut, DecodeError, EntityKey, EventNumber, EventTime};
use trifold_sandbox::Budget;

use crate::admission::admit;
use crate::emitted::Emitted;
use crate::point_in_time::Columns;
use crate::version::LiveVersion;
use crate::windows::{FoldError, NotPrepared, Prepared, contents, prepare};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The value at every recorded event's own position: what the stream emitted for it. T is the latest event
    /// time that counts there.
    OwnPosition,
    /// The same, at those events only whose rows the version computed.
    Emitted(Arc<Emitted>),
    /// The value at every recorded event's time, within one cut.
    EveryEvent(Cut),
    /// The values at the rows of a spine, within one cut.
    Spine(Cut),
}

/// Why a timeline could not be made or followed.
#[derive(Debug, thiserror::Error)]
pub enum TimelineError {
    /// The cut needs arrival times that the events do not carry.
    #[error(
        "view {view}: the cut `arrival` needs arrival times and the source records none: name the arrival \
         column with `--arrival`, or choose the cut `all` or `position`"
    )]
    NoArrival {
        /// The view's name.
        view: String,
    },
    /// Arrow refused an operation.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// A column of a type outside the contract.
    #[error(transparent)]
    Type(#[from] ForeignType),
    /// An event of a window view could not be prepared, for a reason that says nothing of it.
    #[error(transparent)]
    NotPrepared(#[from] NotPrepared),
    /// A plan of folds could not be carried out.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// Entity keys do not decode as those of the view.
    #[error("view {view}: an entity key is damaged: {source}")]
    Keys {
        /// The view's name.
        view: String,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// The kinds of rows, in the order in which the rows of one moment are sorted: questions come after the events that
/// they may see, or with `before` ahead of them.
pub(crate) const QUESTION_BEFORE: u8 = 0;
pub(crate) const EVENT: u8 = 1;
pub(crate) const QUESTION: u8 = 2;
/// An event that is asked at its own moment, which other events may share.
pub(crate) const BOTH: u8 = 3;

pub(crate) fn is_question(kind: u8) -> bool {
    kind == QUESTION || kind == QUESTION_BEFORE
}

/// The columns before what events carry: the inputs of a row view, the content and the prepared columns of a window view.
pub(crate) const LEAD: usize = 7;
/// The prefix that keeps input columns apart from the extra columns of a spine.
const INPUT_PREFIX: &str = "input.";

/// How events and questions become rows that can be sorted together.
#[derive(Clone)]
pub struct Timeline {
    version: LiveVersion,
    ask: Ask,
    pub(crate) before: bool,
    pub(crate) schema: SchemaRef,
    pub(crate) extra_count: usize,
}

impl Timeline {
    /// Sorting by these columns, ascending, puts the rows in the order that [`crate::PointInTime`] needs.
    pub const SORT_COLUMNS: [&'static str; 4] = ["key", "moment", "kind", "number"];

    /// A timeline of a version's view. With `before`, events at exactly T do not count. `extra` names further columns that
    /// questions bring along, such as the labels of a spine; they must be nullable.
    pub fn new(version: &LiveVersion, ask: Ask, before: bool, extra: &[FieldRef]) -> Self {
        let lead = [
            Field::new("key", DataType::Binary, false),
            Field::new("moment", DataType::Int64, false),
            Field::new("number", DataType::UInt64, false),
            Field::new("kind", DataType::UInt8, false),
            Field::new("event_time", DataType::Int64, true),
            Field::new("event_id", DataType::Utf8, true),
            Field::new("as_of", DataType::Int64, true),
        ];
        debug_assert_eq!(lead.len(), LEAD);
        let carried = match version.view().windows() {
            None => version.view().input_schema().fields().iter().cloned().collect::<Vec<_>>(),
            Some(_) => {
                let content = Arc::new(Field::new("content", DataType::Binary, true));
                [content].into_iter().chain(version.transform.prepared().fields().iter().cloned()).collect()
            }
        };
        let inputs = carried
            .iter()
            .map(|field| Field::new(format!("{INPUT_PREFIX}{}", field.name()), field.data_type().clone(), true));
        let fields: Vec<FieldRef> =
            lead.into_iter().chain(inputs).map(Arc::new).chain(extra.iter().cloned()).collect();
        let schema = Arc::new(Schema::new(fields));
        Timeline { version: version.clone(), ask, before, schema, extra_count: extra.len() }
    }

    /// The schema of the rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of a batch of events, and the events that do not count.
    pub fn events(&self, events: Events) -> Result<(RecordBatch, Vec<Aside>), TimelineError> {
        self.events_on(events, &mut Budget::unlimited())
    }

    /// The same, on somebody's budget.
    pub(crate) fn events_on(
        &self,
        events: Events,
        budget: &mut Budget,
    ) -> Result<(RecordBatch, Vec<Aside>), TimelineError> {
        let view = self.version.view();
        let (mut events, carried) = match view.windows() {
            None => {
                let events = admit::<TimelineError>(view, events)?;
                let columns = events.inputs.columns().to_vec();
                (events, columns)
            }
            Some(_) => {
                let Prepared { events, columns } =
                    prepare::<TimelineError>(&self.version, &self.version.transform, events, budget)?;
                let content: ArrayRef = Arc::new(BinaryArray::from_iter_values(contents(&events.inputs)?));
                (events, [&[content], columns.columns()].concat())
            }
        };
        let aside = std::mem::take(&mut events.aside);
        let keys = CanonicalRows::of_columns(&events.inputs, view.key_columns().iter().copied())?;
        let times: Vec<i64> = events.times.iter().map(|time| time.0).collect();
        let count = times.len();
        let numbers: Vec<u64> = (0..count).map(|row| events.number(row)).collect();
        let (moments, kind, as_of) = match &self.ask {
            Ask::OwnPosition | Ask::Emitted(_) => {
                (numbers.iter().map(|&number| number as i64).collect(), BOTH, None)
            }
            Ask::EveryEvent(Cut::All | Cut::Position(_)) => (times.clone(), BOTH, Some(times.clone())),
            Ask::Spine(Cut::All | Cut::Position(_)) => (times.clone(), EVENT, None),
            Ask::EveryEvent(Cut::Arrival) | Ask::Spine(Cut::Arrival) => {
                (self.arrival_moments(&events)?, EVENT, None)
            }
        };
        let kinds = match &self.ask {
            Ask::Emitted(emitted) => emitted_kinds(emitted, &numbers, &keys),
            _ => vec![kind; count],
        };
        let rows = RowSet { keys: encode_keys(&keys, count), moments, numbers: numbers.clone(), kinds, as_of };
        let own = Some((times.clone(), events.ids.clone()));
        let batch = self.batch(rows, own, &carried)?;
        let batch = match &self.ask {
            Ask::EveryEvent(Cut::Position(cut)) | Ask::Spine(Cut::Position(cut)) => {
                let within = events.offsets.iter().map(|&offset| Some(cut.includes(events.partition, offset)));
                filter_record_batch(&batch, &within.collect())?
            }
            _ => batch,
        };
        if self.ask != Ask::EveryEvent(Cut::Arrival) {
            return Ok((batch, aside));
        }
        // An event that arrives after it happened does not know itself at its own time, so that the question
        // stands at another moment than the event.
        let questions = RowSet {
            keys: encode_keys(&keys, count),
            moments: times.clone(),
            numbers,
            kinds: vec![self.question(); count],
            as_of: Some(times.clone()),
        };
        let questions = self.batch(questions, Some((times, events.ids.clone())), &[])?;
        Ok((concat_batches(&self.schema, [&batch, &questions])?, aside))
    }

    /// The rows of some questions of a spine, numbered from `first`.
    pub fn questions(
        &self,
        keys: &[EntityKey],
        as_of: &[EventTime],
        first: u64,
        extra: &[ArrayRef],
    ) -> Result<RecordBatch, TimelineError> {
        let times: Vec<i64> = as_of.iter().map(|time| time.0).collect();
        let rows = RowSet {
            keys: BinaryArray::from_iter_values(keys.iter().map(|key| &key.0)),
            moments: times.clone(),
            numbers: (first..).take(keys.len()).collect(),
            kinds: vec![self.question(); keys.len()],
            as_of: Some(times),
        };
        let nothing: Vec<_> =
            self.input_fields().map(|field| new_null_array(field.data_type(), keys.len())).collect();
        Ok(self.batch(rows, None, &[&nothing, extra].concat())?)
    }

    /// For each of some rows of events whether it is sorted ahead of a question at `at`, which then knows it.
    pub(crate) fn known(&self, rows: &RecordBatch, at: EventTime) -> Vec<bool> {
        let (columns, question) = (Columns::new(rows), (at.0, self.question()));
        let sorted = columns.moments.iter().zip(columns.kinds);
        sorted.map(|(&moment, &kind)| (moment, kind) < question).collect()
    }

    fn question(&self) -> u8 {
        if self.asks_first() { QUESTION_BEFORE } else { QUESTION }
    }

    fn arrival_moments(&self, events: &Events) -> Result<Vec<i64>, TimelineError> {
        let arrivals = events
            .arrivals
            .as_ref()
            .ok_or_else(|| TimelineError::NoArrival { view: self.version.view().name.to_string() })?;
        // The time must lie before T where `before` says so, the arrival need not.
        let later = i64::from(self.before);
        let moment = |(time, arrival): (&EventTime, &ArrivalTime)| time.0.saturating_add(later).max(arrival.0);
        Ok(events.times.iter().zip(arrivals).map(moment).collect())
    }

    /// Whether questions come before the events of the same moment.
    pub(crate) fn asks_first(&self) -> bool {
        self.before && !matches!(self.ask, Ask::EveryEvent(Cut::Arrival) | Ask::Spine(Cut::Arrival))
    }

    fn input_fields(&self) -> impl Iterator<Item = &FieldRef> {
        self.schema.fields()[LEAD..self.schema.fields().len() - self.extra_count].iter()
    }

    /// Puts rows together; input and extra columns that are not given are null.
    fn batch(
        &self,
        rows: RowSet,
        own: Option<(Vec<i64>, StringArray)>,
        rest: &[ArrayRef],
    ) -> Result<RecordBatch, ArrowError> {
        let count = rows.moments.len();
        let (times, ids) = match own {
            Some((times, ids)) => (Int64Array::from(times), ids),
            None => (Int64Array::new_null(count), StringArray::new_null(count)),
        };
        let as_of = rows.as_of.map_or_else(|| Int64Array::new_null(count), Int64Array::from);
        let lead: [ArrayRef; LEAD] = [
            Arc::new(rows.keys),
            Arc::new(Int64Array::from(rows.moments)),
            Arc::new(UInt64Array::from(rows.numbers)),
            Arc::new(UInt8Array::from(rows.kinds)),
            Arc::new(times),
            Arc::new(ids),
            Arc::new(as_of),
        ];
        let given = lead.into_iter().chain(rest.iter().cloned());
        let missing = self.schema.fields().iter().skip(LEAD + rest.len());
        let columns = given.chain(missing.map(|field| new_null_array(field.data_type(), count))).collect();
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

struct RowSet {
    keys: BinaryArray,
    moments: Vec<i64>,
    numbers: Vec<u64>,
    kinds: Vec<u8>,
    as_of: Option<Vec<i64>>,
}

/// Events whose rows another version computed count, and are not asked at.
fn emitted_kinds(emitted: &Emitted, numbers: &[u64], keys: &CanonicalRows<'_>) -> Vec<u8> {
    let mut scratch = Vec::new();
    let mut has = |row, number| emitted.has(EventNumber(number), &keys.key(row, &mut scratch));
    (0..).zip(numbers).map(|(row, &number)| if has(row, number) { BOTH } else { EVENT }).collect()
}

fn encode_keys(keys: &CanonicalRows<'_>, count: usize) -> BinaryArray {
    let mut scratch = Vec::new();
    let mut builder = BinaryBuilder::with_capacity(count, 0);
    for row in 0..count {
        scratch.clear();
        keys.write_fields(row, &mut scratch);
        builder.append_value(&scratch);
    }
    builder.finish()
}
