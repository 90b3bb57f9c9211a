//! Values as of points in time over recorded events.
//!
//! A [`Timeline`] turns events and questions into rows of one schema, each with the *moment* from which an
//! event counts or at which a question is asked. Whoever sorts those rows by [`Timeline::SORT_COLUMNS`] can
//! stream them through [`PointInTime`], which holds one entity's latest event at a time. The moment carries the
//! cut: it is the event time for a fixed cut, the later of event time and arrival where arrival must not be
//! after T, and the offset where each event is asked at its own position.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, UInt8Array, UInt32Array};
use arrow_array::{UInt64Array, new_null_array};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;
use trifold_eventlog::{Aside, Events};
use trifold_model::canonical::ForeignType;
use trifold_model::{ArrivalTime, CanonicalRows, Cut, EntityKey, EventTime, FeatureView};
use trifold_sandbox::Budget;

use crate::admission::admit;
use crate::rows::Rows;
use crate::values::{Latest, values};
use crate::version::LiveVersion;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The value at every recorded event's own position: what the stream emitted for it. T is the latest event
    /// time that counts there.
    OwnPosition,
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
}

/// The kinds of rows, in the order in which the rows of one moment are sorted: questions come after the events that
/// they may see, or with `before` ahead of them.
const QUESTION_BEFORE: u8 = 0;
const EVENT: u8 = 1;
const QUESTION: u8 = 2;
/// An event that is asked at its own moment, which other events may share.
const BOTH: u8 = 3;

fn is_question(kind: u8) -> bool {
    kind == QUESTION || kind == QUESTION_BEFORE
}

/// The columns before the view's inputs.
pub(crate) const LEAD: usize = 7;
/// The prefix that keeps input columns apart from the extra columns of a spine.
const INPUT_PREFIX: &str = "input.";

/// How events and questions become rows that can be sorted together.
#[derive(Debug, Clone)]
pub struct Timeline {
    view: FeatureView,
    ask: Ask,
    before: bool,
    schema: SchemaRef,
    extra_count: usize,
}

impl Timeline {
    /// Sorting by these columns, ascending, puts the rows in the order that [`PointInTime`] needs.
    pub const SORT_COLUMNS: [&'static str; 4] = ["key", "moment", "kind", "number"];

    /// A timeline of a view. With `before`, events at exactly T do not count. `extra` names further columns that
    /// questions bring along, such as the labels of a spine; they must be nullable.
    pub fn new(view: &FeatureView, ask: Ask, before: bool, extra: &[FieldRef]) -> Self {
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
        let inputs =
            view.input_schema().fields().iter().map(|field| {
                Field::new(format!("{INPUT_PREFIX}{}", field.name()), field.data_type().clone(), true)
            });
        let fields: Vec<FieldRef> =
            lead.into_iter().chain(inputs).map(Arc::new).chain(extra.iter().cloned()).collect();
        let schema = Arc::new(Schema::new(fields));
        Timeline { view: view.clone(), ask, before, schema, extra_count: extra.len() }
    }

    /// The schema of the rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of a batch of events, and the events that do not count.
    pub fn events(&self, events: Events) -> Result<(RecordBatch, Vec<Aside>), TimelineError> {
        let mut events = admit::<TimelineError>(&self.view, events)?;
        let aside = std::mem::take(&mut events.aside);
        let keys = CanonicalRows::of_columns(&events.inputs, self.view.key_columns().iter().copied())?;
        let times: Vec<i64> = events.times.iter().map(|time| time.0).collect();
        let count = times.len();
        let (moments, kind, as_of) = match &self.ask {
            Ask::OwnPosition => (events.offsets.iter().map(|&offset| offset as i64).collect(), BOTH, None),
            Ask::EveryEvent(Cut::All | Cut::Position(_)) => (times.clone(), BOTH, Some(times.clone())),
            Ask::Spine(Cut::All | Cut::Position(_)) => (times.clone(), EVENT, None),
            Ask::EveryEvent(Cut::Arrival) | Ask::Spine(Cut::Arrival) => {
                (self.arrival_moments(&events)?, EVENT, None)
            }
        };
        let rows =
            RowSet { keys: encode_keys(&keys, count), moments, numbers: events.offsets.clone(), kind, as_of };
        let own = Some((times.clone(), events.ids.clone()));
        let batch = self.batch(rows, own, events.inputs.columns())?;
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
            numbers: events.offsets.clone(),
            kind: self.question(),
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
            kind: self.question(),
            as_of: Some(times),
        };
        let nothing: Vec<_> =
            self.input_fields().map(|field| new_null_array(field.data_type(), keys.len())).collect();
        Ok(self.batch(rows, None, &[&nothing, extra].concat())?)
    }

    fn question(&self) -> u8 {
        if self.before { QUESTION_BEFORE } else { QUESTION }
    }

    fn arrival_moments(&self, events: &Events) -> Result<Vec<i64>, TimelineError> {
        let arrivals = events
            .arrivals
            .as_ref()
            .ok_or_else(|| TimelineError::NoArrival { view: self.view.name.to_string() })?;
        // The time must lie before T where `before` says so, the arrival need not.
        let later = i64::from(self.before);
        let moment = |(time, arrival): (&EventTime, &ArrivalTime)| time.0.saturating_add(later).max(arrival.0);
        Ok(events.times.iter().zip(arrivals).map(moment).collect())
    }

    /// Whether questions come before the events of the same moment.
    fn asks_first(&self) -> bool {
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
            Arc::new(UInt8Array::from(vec![rows.kind; count])),
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
    kind: u8,
    as_of: Option<Vec<i64>>,
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

/// Answers to questions, in the order of the sorted timeline.
pub struct Answered {
    /// The timeline's rows that asked, among them `key`, `number` (offset or spine row), `event_time`,
    /// `event_id` and the extra columns.
    pub questions: RecordBatch,
    /// The as-of time of each.
    pub as_of: Vec<EventTime>,
    /// The value of each.
    pub rows: Rows,
}

impl Answered {
    /// The entity of each question, as its key's bytes.
    pub fn keys(&self) -> &BinaryArray {
        self.questions.column(0).as_binary()
    }

    /// The offset, or row of the spine, of each question.
    pub fn numbers(&self) -> &UInt64Array {
        self.questions.column(2).as_primitive()
    }
}

/// Follows a sorted timeline and answers its questions.
pub struct PointInTime {
    timeline: Timeline,
    version: LiveVersion,
    /// Events of the last (key, moment) that are asked at it; the next batch may bring more of them.
    unfinished: Option<RecordBatch>,
    latest: Option<Carried>,
}

/// The latest event of the entity that the last batch ended with.
struct Carried {
    key: Box<[u8]>,
    winner: Winner,
    inputs: RecordBatch,
}

#[derive(Clone)]
struct Winner {
    time: i64,
    id: String,
    offset: u64,
    /// Row of the batch, or `CARRIED`.
    row: u32,
}

const CARRIED: u32 = u32::MAX;

impl PointInTime {
    /// Starts before the first row of a timeline.
    pub fn new(timeline: Timeline, version: LiveVersion) -> Self {
        PointInTime { timeline, version, unfinished: None, latest: None }
    }

    /// Takes the next rows in sorted order and answers the questions whose moment is complete.
    pub fn push(&mut self, rows: RecordBatch, budget: &mut Budget) -> Result<Answered, TimelineError> {
        let rows = match self.unfinished.take() {
            Some(unfinished) => concat_batches(&self.timeline.schema, [&unfinished, &rows])?,
            None => rows,
        };
        let complete = complete_rows(&rows);
        if complete < rows.num_rows() {
            self.unfinished = Some(rows.slice(complete, rows.num_rows() - complete));
        }
        self.answer(rows.slice(0, complete), budget)
    }

    /// Answers what is left.
    pub fn finish(mut self, budget: &mut Budget) -> Result<Answered, TimelineError> {
        let rest = self.unfinished.take().unwrap_or_else(|| RecordBatch::new_empty(self.timeline.schema.clone()));
        self.answer(rest, budget)
    }

    fn answer(&mut self, rows: RecordBatch, budget: &mut Budget) -> Result<Answered, TimelineError> {
        let walk = self.walk(&rows);
        let (latest, as_of) = self.latest_of(&rows, &walk)?;
        let answers = values(&self.version, &latest, &as_of, budget)?;
        self.carry(&rows, walk.last)?;
        let all = walk.asked.len() == rows.num_rows();
        let questions = if all { rows } else { take_record_batch(&rows, &UInt32Array::from(walk.asked))? };
        Ok(Answered { questions, as_of, rows: answers })
    }

    /// Walks the rows moment by moment: events first, then questions, or the other way round with `before`.
    fn walk(&self, rows: &RecordBatch) -> Walk {
        let columns = Columns::new(rows);
        let asks_first = self.timeline.asks_first();
        let mut walk = Walk::default();
        let mut key: Option<&[u8]> = self.latest.as_ref().map(|carried| &*carried.key);
        let mut winner = self.latest.as_ref().map(|carried| carried.winner.clone());
        let mut start = 0;
        while start < rows.num_rows() {
            let end = (start + 1..rows.num_rows())
                .find(|&row| !columns.same_moment(start, row))
                .unwrap_or(rows.num_rows());
            if key != Some(columns.keys.value(start)) {
                key = Some(columns.keys.value(start));
                winner = None;
            }
            if asks_first {
                walk.ask(&columns, start..end, &winner);
            }
            for row in (start..end).filter(|&row| !is_question(columns.kinds[row])) {
                if columns.beats(row, &winner) {
                    winner = Some(columns.winner(row));
                }
            }
            if !asks_first {
                walk.ask(&columns, start..end, &winner);
            }
            start = end;
        }
        walk.last = key.zip(winner).map(|(key, winner)| (key.into(), winner));
        walk
    }

    /// The inputs that were chosen and each question's as-of time.
    fn latest_of(&self, rows: &RecordBatch, walk: &Walk) -> Result<(Latest, Vec<EventTime>), TimelineError> {
        let columns = Columns::new(rows);
        let is_event = columns.kinds.iter().map(|&kind| Some(!is_question(kind))).collect();
        let mut place = Vec::with_capacity(rows.num_rows());
        let mut times = Vec::new();
        for row in 0..rows.num_rows() {
            place.push(times.len() as u32);
            if !is_question(columns.kinds[row]) {
                times.push(EventTime(columns.times.value(row)));
            }
        }
        let own_count = times.len() as u32;
        let mut inputs = self.inputs(&filter_all(rows, &is_event)?)?;
        if let Some(carried) = self.latest.as_ref().filter(|_| walk.chosen.contains(&Some(CARRIED))) {
            inputs = concat_batches(self.version.view().input_schema(), [&inputs, &carried.inputs])?;
            times.push(EventTime(carried.winner.time));
        }
        let choice: Vec<Option<u32>> = walk
            .chosen
            .iter()
            .map(|chosen| chosen.map(|row| if row == CARRIED { own_count } else { place[row as usize] }))
            .collect();
        let as_of = walk
            .asked
            .iter()
            .zip(&choice)
            .map(|(&row, choice)| {
                if columns.as_of.is_valid(row as usize) {
                    return EventTime(columns.as_of.value(row as usize));
                }
                // Only a question at its own position brings no time: it is asked at the latest event time there.
                let own = EventTime(columns.times.value(row as usize));
                choice.map_or(own, |chosen| own.max(times[chosen as usize]))
            })
            .collect();
        Ok((Latest { inputs, times, choice }, as_of))
    }

    fn inputs(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let schema = self.version.view().input_schema();
        let columns = rows.columns()[LEAD..LEAD + schema.fields().len()].to_vec();
        RecordBatch::try_new(schema.clone(), columns)
    }

    /// Keeps the last entity's latest event for the next batch.
    fn carry(&mut self, rows: &RecordBatch, last: Option<(Box<[u8]>, Winner)>) -> Result<(), TimelineError> {
        self.latest = match (last, self.latest.take()) {
            (Some((key, winner)), carried) if winner.row == CARRIED => {
                carried.map(|carried| Carried { key, winner, ..carried })
            }
            (Some((key, winner)), _) => {
                // A copy of the one row, so that the batch it came from can be freed.
                let row = UInt32Array::from(vec![winner.row]);
                let inputs = self.inputs(&take_record_batch(rows, &row)?)?;
                Some(Carried { key, winner: Winner { row: CARRIED, ..winner }, inputs })
            }
            (None, _) => None,
        };
        Ok(())
    }
}

fn filter_all(rows: &RecordBatch, keep: &arrow_array::BooleanArray) -> Result<RecordBatch, ArrowError> {
    if keep.true_count() == rows.num_rows() { Ok(rows.clone()) } else { filter_record_batch(rows, keep) }
}

/// How many sorted rows can be answered without those that follow: all of them where events and questions are
/// sorted apart, else those before the last (key, moment).
fn complete_rows(rows: &RecordBatch) -> usize {
    let columns = Columns::new(rows);
    let Some(last) = rows.num_rows().checked_sub(1) else { return 0 };
    if columns.kinds[last] != BOTH {
        return rows.num_rows();
    }
    (0..last).rev().find(|&row| !columns.same_moment(row, last)).map_or(0, |row| row + 1)
}

#[derive(Default)]
struct Walk {
    asked: Vec<u32>,
    chosen: Vec<Option<u32>>,
    last: Option<(Box<[u8]>, Winner)>,
}

impl Walk {
    fn ask(&mut self, columns: &Columns<'_>, rows: std::ops::Range<usize>, winner: &Option<Winner>) {
        for row in rows.filter(|&row| columns.kinds[row] != EVENT) {
            self.asked.push(row as u32);
            self.chosen.push(winner.as_ref().map(|winner| winner.row));
        }
    }
}

struct Columns<'a> {
    keys: &'a BinaryArray,
    moments: &'a [i64],
    numbers: &'a [u64],
    kinds: &'a [u8],
    times: &'a Int64Array,
    ids: &'a StringArray,
    as_of: &'a Int64Array,
}

impl<'a> Columns<'a> {
    fn new(rows: &'a RecordBatch) -> Self {
        Columns {
            keys: rows.column(0).as_binary(),
            moments: rows.column(1).as_primitive::<Int64Type>().values(),
            numbers: rows.column(2).as_primitive::<UInt64Type>().values(),
            kinds: rows.column(3).as_primitive::<UInt8Type>().values(),
            times: rows.column(4).as_primitive(),
            ids: rows.column(5).as_string(),
            as_of: rows.column(6).as_primitive(),
        }
    }

    fn same_moment(&self, left: usize, right: usize) -> bool {
        self.moments[left] == self.moments[right] && self.keys.value(left) == self.keys.value(right)
    }

    /// Whether the event of a row is later in canonical order than the winner, or the same event at an earlier
    /// position.
    fn beats(&self, row: usize, winner: &Option<Winner>) -> bool {
        winner.as_ref().is_none_or(|winner| {
            let canonical = (self.times.value(row), self.ids.value(row)).cmp(&(winner.time, winner.id.as_str()));
            canonical.then_with(|| winner.offset.cmp(&self.numbers[row])).is_gt()
        })
    }

    fn winner(&self, row: usize) -> Winner {
        Winner {
            time: self.times.value(row),
            id: self.ids.value(row).to_owned(),
            offset: self.numbers[row],
            row: row as u32,
        }
    }
}
